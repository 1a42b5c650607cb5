#include "identity.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

void identity_read_line(const char *path, char *text, size_t size)
{
    ssize_t length = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        length = read(fd, text, size - 1);
        close(fd);
    }
    text[length < 0 ? 0 : length] = '\0';
}

void identity_boot(uint8_t id[16])
{
    char text[64];
    identity_read_line("/proc/sys/kernel/random/boot_id", text, sizeof text);
    size_t digits = 0;
    for (const char *at = text; *at != '\0' && digits < 32; at++) {
        int value = *at >= '0' && *at <= '9' ? *at - '0' : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : -1;
        if (value < 0)
            continue;
        id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | value);
        digits++;
    }
}

/* The link reads `pid:[4026531836]`. */
uint64_t identity_pid_namespace(void)
{
    char text[64];
    ssize_t length = readlink("/proc/self/ns/pid", text, sizeof text);
    uint64_t inode = 0;
    for (ssize_t i = 0; i < length; i++)
        if (text[i] >= '0' && text[i] <= '9')
            inode = inode * 10 + (uint64_t)(text[i] - '0');
    return inode;
}
