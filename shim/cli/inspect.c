#include "inspect.h"

#include "library.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SAY(inspection, ...) snprintf((inspection)->reason, sizeof(inspection)->reason, __VA_ARGS__)

/* ---- privileges ---- */

/* Whether the file's capabilities (capabilities(7)) give any that stay after exec. */
static bool has_capabilities(int fd)
{
    struct vfs_cap_data data = {0};
    ssize_t size = fgetxattr(fd, "security.capability", &data, sizeof data);
    if (size < 0)
        return errno == ERANGE; /* a later version of it, with more */
    return data.data[0].permitted != 0 || data.data[1].permitted != 0;
}

/* As the kernel's bprm_fill_uid() and cap_bprm_creds_from_file(). */
static struct privileges read_privileges(int fd)
{
    struct privileges privileges = {0};
    struct stat file;
    struct statvfs system;
    if (fstat(fd, &file) != 0)
        return privileges;
    privileges.user = file.st_uid;
    privileges.group = file.st_gid;
    privileges.has_user = (file.st_mode & S_ISUID) != 0;
    privileges.has_group = (file.st_mode & S_ISGID) != 0 && (file.st_mode & S_IXGRP) != 0;
    privileges.capabilities = has_capabilities(fd);
    bool ignored =
        (fstatvfs(fd, &system) == 0 && (system.f_flag & ST_NOSUID) != 0) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    privileges.gained =
        !ignored && ((privileges.has_user && file.st_uid != getuid()) ||
                     (privileges.has_group && file.st_gid != getgid()) || (privileges.capabilities && getuid() != 0));
    return privileges;
}

static void add_owner(char words[128], const char *what, const char *name, unsigned int id)
{
    size_t length = strlen(words);
    const char *comma = length > 0 ? ", " : "";
    if (name != NULL)
        snprintf(words + length, 128 - length, "%s%s %s", comma, what, name);
    else
        snprintf(words + length, 128 - length, "%s%s %u", comma, what, id);
}

void privileges_words(const struct privileges *privileges, char words[128])
{
    words[0] = '\0';
    const struct passwd *user = privileges->has_user ? getpwuid(privileges->user) : NULL;
    const struct group *group = privileges->has_group ? getgrgid(privileges->group) : NULL;
    if (privileges->has_user)
        add_owner(words, "setuid", user != NULL ? user->pw_name : NULL, privileges->user);
    if (privileges->has_group)
        add_owner(words, "setgid", group != NULL ? group->gr_name : NULL, privileges->group);
    if (privileges->capabilities)
        snprintf(words + strlen(words), 128 - strlen(words), "%sfile capabilities", words[0] != '\0' ? ", " : "");
}

/* ---- the verdict ---- */

static void say_go(struct inspection *inspection)
{
    SAY(inspection,
        "is a Go program%s: it makes its network calls as raw system calls, past libc, where no preloaded library sees "
        "them; trace the program at the other end of its connections",
        inspection->object.type == OBJECT_PROGRAM ? "" : ", and statically linked");
}

static void say_static(struct inspection *inspection)
{
    SAY(inspection, "is statically linked%s and cannot load the library; trace a dynamically linked build of it",
        inspection->object.type == OBJECT_STATIC_PIE ? " (static-pie)" : "");
}

static void say_other_libc(struct inspection *inspection)
{
    const char *loader = inspection->object.loader, *slash = strrchr(loader, '/');
    bool musl = strncmp(slash != NULL ? slash + 1 : loader, "ld-musl", 7) == 0;
    SAY(inspection, "uses %s, not glibc, for which the library is made; trace a build of it for glibc",
        musl ? "musl" : loader);
}

static void say_other_kind(struct inspection *inspection)
{
    char room[64];
    SAY(inspection, "is for %s, and there is no library for that at %s; install it, or name it by RECVSHIM_LIBRARY",
        kind_words(inspection->object.kind, room), inspection->library);
}

static void say_privileged(struct inspection *inspection)
{
    char words[128];
    const struct privileges *privileges = &inspection->privileges;
    privileges_words(privileges, words);
    if (words[0] == '\0')
        snprintf(words, sizeof words, "by a security module");
    SAY(inspection,
        "gains privileges when it starts (%s), and the loader then ignores the library; run it as %s, or a copy of it, "
        "which has none",
        words,
        privileges->has_user    ? "its owner"
        : privileges->has_group ? "its group"
                                : "root");
}

static void say_cleared(struct inspection *inspection)
{
    const struct resolution *resolution = &inspection->resolution;
    SAY(inspection, "is started by env -i, with an empty environment: start it as %s %s", resolution->path,
        resolution->script[0]);
}

static void say_no_program(struct inspection *inspection)
{
    SAY(inspection, "is an ELF file, but no program: it has to be linked first, or is a core dump");
}

static enum inspect_verdict judge(struct inspection *inspection)
{
    const struct object *object = &inspection->object;
    const struct resolution *resolution = &inspection->resolution;
    if (object->type == OBJECT_OTHER)
        return INSPECT_NO_PROGRAM;
    if (object->go)
        return INSPECT_GO;
    if (object->type == OBJECT_STATIC || object->type == OBJECT_STATIC_PIE)
        return INSPECT_STATIC;
    if (object->loader != NULL && !object_is_glibc_loader(object->loader))
        return INSPECT_OTHER_LIBC;
    if (!library_find_for(object->kind, inspection->library))
        return INSPECT_OTHER_KIND;
    if (object->type == OBJECT_LIBRARY)
        return INSPECT_LIBRARY;
    if (inspection->privileges.gained)
        return INSPECT_PRIVILEGED;
    return resolution->clears ? INSPECT_CLEARED : INSPECT_TRACEABLE;
}

void inspect_judge(struct inspection *inspection)
{
    static void (*const say[INSPECT_VERDICTS])(struct inspection *) = {
        [INSPECT_NO_PROGRAM] = say_no_program, [INSPECT_GO] = say_go,
        [INSPECT_STATIC] = say_static,         [INSPECT_OTHER_LIBC] = say_other_libc,
        [INSPECT_OTHER_KIND] = say_other_kind, [INSPECT_PRIVILEGED] = say_privileged,
        [INSPECT_CLEARED] = say_cleared,
    };
    inspection->verdict = judge(inspection);
    inspection->reason[0] = '\0';
    if (say[inspection->verdict] != NULL)
        say[inspection->verdict](inspection);
}

void inspect_settle(struct inspection *inspection)
{
    inspection->verdict = INSPECT_TRACEABLE;
    inspection->reason[0] = '\0';
}

/* Takes the descriptor of what it resolved to. */
static void inspect_resolved(struct inspection *inspection)
{
    static const enum inspect_verdict verdicts[] = {
        [RESOLVE_NOT_FOUND] = INSPECT_NOT_FOUND,
        [RESOLVE_NO_INTERPRETER] = INSPECT_NO_INTERPRETER,
        [RESOLVE_UNREADABLE] = INSPECT_UNREADABLE,
        [RESOLVE_TOO_DEEP] = INSPECT_NOT_FOUND,
    };
    const struct resolution *resolution = &inspection->resolution;
    if (resolution->result != RESOLVE_FOUND) {
        inspection->verdict = verdicts[resolution->result];
        return;
    }
    const char *problem = object_read(resolution->fd, &inspection->object);
    inspection->privileges = read_privileges(resolution->fd);
    close(resolution->fd);
    if (problem == NULL) {
        inspect_judge(inspection);
        return;
    }
    inspection->verdict = INSPECT_NO_PROGRAM;
    SAY(inspection, "%s", problem);
}

void inspect_program(const char *command, struct inspection *inspection)
{
    memset(inspection, 0, sizeof *inspection);
    resolve(command, &inspection->resolution);
    inspect_resolved(inspection);
}

void inspect_file(int fd, const char *path, struct inspection *inspection)
{
    struct resolution *resolution = &inspection->resolution;
    int error = errno;
    memset(inspection, 0, sizeof *inspection);
    snprintf(resolution->path, sizeof resolution->path, "%s", path);
    resolution->fd = fd;
    resolution->error = fd < 0 ? error : 0;
    resolution->result = fd < 0 ? RESOLVE_UNREADABLE : RESOLVE_FOUND;
    inspect_resolved(inspection);
}

void inspect_free(struct inspection *inspection)
{
    object_free(&inspection->object);
}

const char *inspect_reason(const struct inspection *inspection)
{
    return inspection->reason[0] != '\0' ? inspection->reason : NULL;
}

#define VERDICT_NAME(id, name) name,
const char *inspect_verdict_name(enum inspect_verdict verdict)
{
    static const char *const names[] = {INSPECT_TABLE(VERDICT_NAME)};
    return names[verdict];
}
