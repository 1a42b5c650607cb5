/* The beginning of a program that loads where libc is old: the one that compilers of today add needs a function of
 * glibc 2.34. libc has made itself ready by then; what is missing is the program's arguments. */
#include <stdlib.h>

int main(int argc, char **argv);

void old_start(void);
#if defined __x86_64__ || defined __i386__
__attribute__((force_align_arg_pointer)) /* the kernel aligns it for no return address */
#endif
void old_start(void)
{
    char *arguments[] = {"old", NULL};
    exit(main(1, arguments));
}
