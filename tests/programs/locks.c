/* Open file description locks (fcntl(2)): set through one description, seen through another. With LINKED_LONG_AGO as a
 * program does it that was linked before glibc 2.28, on i386: with the kernel's 64-bit offsets. */
#include "victim.h"

#if defined LINKED_LONG_AGO && defined __i386__ && !defined _FILE_OFFSET_BITS
__asm__(".symver fcntl, fcntl@GLIBC_2.0");
#define LOCK flock64
#else
#define LOCK flock
#endif

int main(void)
{
    char path[] = "/tmp/locks.XXXXXX";
    int fd = mkstemp(path), other = open(path, O_RDWR);
    must(fd >= 0 && other >= 0 && unlink(path) == 0, path);
    struct LOCK lock = {.l_type = F_WRLCK, .l_start = 100, .l_len = 10}, found = {.l_type = F_WRLCK};
    say("set", fcntl(fd, F_OFD_SETLK, &lock));
    say("get", fcntl(other, F_OFD_GETLK, &found));
    say("type", found.l_type);
    say("start", (long long)found.l_start);
    say("length", (long long)found.l_len);
    return 0;
}
