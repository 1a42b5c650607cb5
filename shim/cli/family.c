#include "family.h"

#include "message.h"
#include "recording.h"
#include "trace/clock.h"
#include "trace/locate.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMBERS_MAX    4096
#define DEPARTURES_MAX (1U << 20)
#define SHARE          100                   /* of the time is what looking takes at most, in the long run */
#define CREDIT_NS      20000000              /* and what it may take at once: most children are started early */
#define LOST_UNNAMED   (FAMILY_LOST_MAX + 1) /* a member's `lost`, of one of `lost_more` */
#define EXITING        0x4                   /* of a process's flags: the kernel's PF_EXITING */
#define JOINING_NS     100000000             /* from the loading of the library to its constructor */

void family_begin(struct family *family, const struct trace *trace, const struct process_list *known, pid_t pid,
                  uint64_t since, bool shared)
{
    memset(family, 0, sizeof *family);
    family->trace = trace;
    family->known = known;
    family->pid = pid;
    family->since = family->looked = family->greeted = since;
    family->shared = shared;
    family->credit = CREDIT_NS;
}

void family_free(struct family *family)
{
    free(family->members);
    free(family->departures);
}

/* ---- who said goodbye ---- */

static void note_departure(struct family *family, uint32_t pid, uint64_t time)
{
    if (family->departure_count == family->departure_room) {
        size_t room = family->departure_room > 0 ? 2 * family->departure_room : 64;
        struct departure *departures =
            room <= DEPARTURES_MAX ? reallocarray(family->departures, room, sizeof *departures) : NULL;
        family->incomplete |= departures == NULL;
        if (departures == NULL)
            return;
        family->departures = departures;
        family->departure_room = room;
    }
    family->departures[family->departure_count++] = (struct departure){pid, time};
}

void family_observe(void *context, const struct recvshim_record *record)
{
    struct family *family = context;
    bool asked = record->event == RECVSHIM_EVENT_CONNECT && (record->error == 0 || record->error == EINPROGRESS);
    family->connections += asked || record->event == RECVSHIM_EVENT_ACCEPT;
    if (record->event == RECVSHIM_EVENT_EXIT)
        note_departure(family, record->pid, record->time);
}

/* ---- looking ---- */

/* proc_pid_stat(5). Returns false where it is gone: also as a zombie, and before that once it has begun to end, as its
 * memory goes first, and of one without memory nothing else can be read. */
static bool read_stat(struct member *member)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)member->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    char *name = strchr(text, '('), *end = strrchr(text, ')'), state;
    unsigned flags;
    if (name == NULL || end == NULL)
        return false;
    *end = '\0';
    snprintf(member->comm, sizeof member->comm, "%.15s", name + 1);
    /* Fields 3, 9 (flags), 22 (starttime) and 28 (startstack), which is 0 where it may not be seen. */
    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers. */
    return sscanf(end + 1,
                  " %c %*s %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64
                  " %*s %*s %*s %*s %*s %" SCNu64,
                  &state, &flags, &member->born, &member->image) == 4 &&
           state != 'Z' && state != 'X' && (flags & EXITING) == 0;
}

static bool is_same_image(const struct member *left, const struct member *right)
{
    return left->image == right->image && (left->image != 0 || strcmp(left->comm, right->comm) == 0);
}

static bool has_registered(const struct family *family, pid_t pid, uint64_t since)
{
    for (size_t i = 0; i < family->known->count; i++)
        if (family->known->items[i].pid == (uint32_t)pid && family->known->items[i].start >= since)
            return true;
    return false;
}

static void note_program(struct family *family, const char *path)
{
    for (size_t i = 0; i < family->program_count; i++)
        if (strcmp(family->programs[i], path) == 0)
            return;
    if (family->program_count < FAMILY_PROGRAMS_MAX)
        snprintf(family->programs[family->program_count++], PATH_MAX, "%s", path);
}

/* What was read of one that ended meanwhile, or became another program, tells nothing: its environment is empty. */
static bool is_still_there(const struct member *member)
{
    struct member now = {.pid = member->pid};
    return read_stat(&now) && now.born == member->born && is_same_image(member, &now);
}

/* Count it with others like it, once: a program that is just being started may be seen in two states. The end of each
 * is then explained, of the one that is named and of those that are only counted. */
static void note_lost(struct family *family, struct member *member, const struct running *running,
                      enum inspect_verdict verdict, const char *reason)
{
    if (!is_still_there(member))
        return;
    member->state = MEMBER_LOST;
    note_departure(family, (uint32_t)member->pid, clock_now());
    for (size_t i = 0; i < family->lost_count; i++) {
        struct lost *lost = &family->lost[i];
        if (lost->verdict == verdict && strcmp(lost->program, running->program) == 0) {
            lost->others += lost->pid != 0 && member->lost != i + 1;
            lost->pid = lost->pid != 0 ? lost->pid : running->pid;
            member->lost = i + 1;
            return;
        }
    }
    if (family->lost_count == FAMILY_LOST_MAX) {
        family->lost_more += member->lost == 0;
        member->lost = member->lost == 0 ? LOST_UNNAMED : member->lost;
        return;
    }
    struct lost *lost = &family->lost[family->lost_count++];
    lost->pid = running->pid;
    lost->verdict = verdict;
    lost->since = verdict == INSPECT_TRACEABLE ? member->apart : family->since;
    memcpy(lost->comm, running->comm, sizeof lost->comm);
    memcpy(lost->program, running->program, sizeof lost->program);
    snprintf(lost->reason, sizeof lost->reason, "%.500s", reason);
    member->lost = family->lost_count;
}

/* The one that cannot be looked into has gained privileges, or has itself protected, which one that is traced may. */
static void judge_hidden(struct family *family, struct member *member, const struct running *running)
{
    if (has_registered(family, running->pid, family->since))
        member->state = MEMBER_TRACED;
    else
        note_lost(family, member, running, INSPECT_PRIVILEGED,
                  "gained privileges when it started (it cannot be looked into), and the loader then ignores the "
                  "library");
}

/* It has joined the trace after all, later than any that were seen: what was noted of it is taken back. */
static void note_found(struct family *family, struct member *member)
{
    const size_t number = member->lost;
    member->state = MEMBER_TRACED;
    member->lost = 0;
    if (number == 0 || number > family->lost_count)
        return;
    struct lost *lost = &family->lost[number - 1];
    const bool alone = lost->others == 0;
    lost->others -= !alone;
    if (alone)
        lost->pid = 0;
    for (size_t i = 0; i < family->count && lost->pid == member->pid; i++)
        if (family->members[i].lost == number && family->members[i].pid != member->pid)
            lost->pid = family->members[i].pid;
}

/* Whether it has joined the trace: by its maps. What it wrote there may have been before its last exec, and under
 * another pid (in a pid namespace). */
static bool has_joined(const struct family *family, pid_t pid)
{
    return locate_has(pid, family->trace) != LOCATE_NO;
}

/* Whether it has the library, and the trace as well. One that has not may be about to join. */
static void judge_loaded(struct family *family, struct member *member, const struct running *running)
{
    if (has_joined(family, running->pid)) {
        note_program(family, running->program);
        member->state = MEMBER_TRACED;
    } else if (member->apart == 0) {
        member->apart = family->looked;
    } else if (family->looked - member->apart > JOINING_NS) {
        note_lost(
            family, member, running, INSPECT_TRACEABLE,
            "has the library, but not this trace: RECVSHIM_TRACE is not in its environment, or cannot be opened there: "
            "by another user, whose processes join no trace of yours, or from a pid namespace of its own: give --trace "
            "a file that it sees");
    }
}

static void judge(struct family *family, struct member *member)
{
    static struct running running; /* too large for a stack, both of them */
    static struct inspection inspection;
    int error;
    member->state = MEMBER_NEW;
    if (running_look(member->pid, &running, &error) != NULL) {
        if (error == EACCES || error == EPERM)
            judge_hidden(family, member, &running);
        return;
    }
    running_inspect(&running, &inspection);
    enum inspect_verdict verdict = inspection.verdict;
    if (verdict == INSPECT_TRACEABLE) {
        judge_loaded(family, member, &running);
    } else if (verdict == INSPECT_UNLOADED && !running.settled) {
        member->state = MEMBER_NEW;
    } else if (verdict == INSPECT_UNLOADED && running.preloaded == ANSWER_NO) {
        note_lost(family, member, &running, verdict,
                  "was started without LD_PRELOAD in its environment, as env -i, sudo or a server may do: have it keep "
                  "LD_PRELOAD and RECVSHIM_TRACE");
    } else if (verdict != INSPECT_UNREADABLE && inspect_reason(&inspection) != NULL) { /* else it has just ended */
        note_lost(family, member, &running, verdict, inspection.reason);
    }
    inspect_free(&inspection);
}

static struct member *find(const struct family *family, pid_t pid)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->members[i].pid == pid)
            return &family->members[i];
    return NULL;
}

/* Add one, if it is new. What a traced parent has forked, and not replaced yet, is traced. */
static void add(struct family *family, pid_t pid, const struct member *parent)
{
    struct member member = {.pid = pid};
    if (find(family, pid) != NULL || family->count == MEMBERS_MAX || !read_stat(&member))
        return;
    if (family->count == family->room) {
        size_t room = family->room > 0 ? 2 * family->room : 16;
        struct member *members = reallocarray(family->members, room, sizeof *members);
        if (members == NULL)
            return;
        family->members = members;
        family->room = room;
    }
    bool forked = parent != NULL && parent->image != 0 && is_same_image(parent, &member);
    if (forked)
        member.state = parent->state;
    else
        judge(family, &member);
    family->members[family->count++] = member;
}

static void add_children_of_thread(struct family *family, const struct member *parent, const char *thread)
{
    char path[128];
    int pid;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)parent->pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fscanf(file, "%d", &pid) == 1) /* NOLINT(cert-err34-c): the kernel wrote it */
        add(family, pid, parent);
    fclose(file);
}

static void add_children(struct family *family, const struct member *parent)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent->pid);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            add_children_of_thread(family, parent, entry->d_name);
    closedir(directory);
}

/* Who was traced for longer than a look, and is gone, was killed: or it would have said so. */
static void note_gone(struct family *family, const struct member *member)
{
    if (member->kept != 0 && member->pid != family->pid)
        note_departure(family, (uint32_t)member->pid, member->kept);
}

/* Returns false where it is gone. */
static bool look_at(struct family *family, size_t index)
{
    struct member now = {.pid = family->members[index].pid};
    const struct member before = family->members[index];
    if (!read_stat(&now) || now.born != before.born) {
        note_gone(family, &before);
        return false;
    }
    now.lost = before.lost;
    bool same = is_same_image(&before, &now);
    now.apart = same ? before.apart : 0;
    if (!same || before.state == MEMBER_NEW)
        judge(family, &now);
    else
        now.state = before.state;
    if (same && now.state == MEMBER_LOST && now.apart != 0 && has_joined(family, now.pid))
        note_found(family, &now);
    now.seen = now.state == MEMBER_TRACED ? family->looked : 0;
    now.kept = same && now.seen != 0 ? before.seen : 0;
    family->members[index] = now;
    add_children(family, &now);
    return true;
}

static const struct process *find_last(const struct process_list *known, uint32_t pid)
{
    const struct process *last = NULL;
    for (size_t i = 0; i < known->count; i++)
        if (known->items[i].pid == pid)
            last = &known->items[i];
    return last;
}

/* Whether the eldest is among its parents, as far as these said hello: others may write to a trace that has a name. */
static bool is_descendant(const struct family *family, const struct process *process)
{
    for (int generation = 0; process != NULL && generation < 64; generation++) {
        if (process->pid == (uint32_t)family->pid || process->parent == (uint32_t)family->pid)
            return true;
        process = find_last(family->known, process->parent);
    }
    return false;
}

/* Those that said hello since: a daemon has no parent in the family by which it would be found. */
static void add_greeted(struct family *family)
{
    uint64_t newest = family->greeted;
    struct recording recording = {0};
    if (!recording_look(family->trace, &recording) || recording.foreign)
        return; /* those of another pid namespace have other numbers here */
    for (size_t i = 0; i < family->known->count; i++) {
        const struct process *process = &family->known->items[i];
        if (process->start <= family->greeted || (family->shared && !is_descendant(family, process)))
            continue;
        const struct member *found = find(family, (pid_t)process->parent);
        const struct member parent = found != NULL ? *found : (struct member){0}; /* adding may move it */
        add(family, (pid_t)process->pid, found != NULL ? &parent : NULL);
        newest = process->start > newest ? process->start : newest;
    }
    family->greeted = newest;
}

/* Nanoseconds that this thread has worked. */
static int64_t worked(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * (int64_t)NANOSECONDS_A_SECOND + time.tv_nsec;
}

void family_look(struct family *family)
{
    uint64_t now = clock_now();
    family->credit += (int64_t)((now - family->looked) / SHARE);
    family->looked = now;
    if (family->credit > CREDIT_NS)
        family->credit = CREDIT_NS;
    if (family->credit < 0)
        return;
    int64_t before = worked();
    add(family, family->pid, NULL);
    add_greeted(family);
    for (size_t i = 0; i < family->count;) {
        if (look_at(family, i))
            i++;
        else
            family->members[i] = family->members[--family->count];
    }
    family->credit -= worked() - before;
}

/* ---- what is said in the end ---- */

static int by_pid_and_time(const void *left_item, const void *right_item)
{
    const struct departure *left = left_item, *right = right_item;
    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    return left->time < right->time ? -1 : left->time > right->time;
}

/* Needs them sorted. */
static bool has_departed(const struct family *family, const struct process *process)
{
    size_t low = 0, high = family->departure_count; /* the number of those up to that pid */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (family->departures[middle].pid <= process->pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && family->departures[low - 1].pid == process->pid &&
           family->departures[low - 1].time >= process->start;
}

/* Whether it was there, and traced, at the last look and the one before. */
static bool was_traced(const struct family *family, const struct process *process)
{
    pid_t pid = (pid_t)process->pid;
    const struct member *member = pid != family->pid ? find(family, pid) : NULL;
    return member != NULL && member->kept >= process->start;
}

/* Whether the entry is a process's last, and nobody knows what became of it. */
static bool has_vanished(const struct family *family, size_t index)
{
    const struct process *process = &family->known->items[index];
    pid_t pid = (pid_t)process->pid;
    bool last = index + 1 == family->known->count || process[1].pid != process->pid;
    return last && process->start >= family->since && pid > 0 && !has_departed(family, process) &&
           !was_traced(family, process) && (pid == family->pid || kill(pid, 0) != 0);
}

static bool say_lost(const struct family *family, const struct family_end *end)
{
    bool said = false;
    for (size_t i = 0; i < family->lost_count; i++) {
        const struct lost *lost = &family->lost[i];
        char more[48] = "";
        if (lost->pid == 0 || (end->told && lost->pid == family->pid))
            continue;
        bool hidden = lost->program[0] == '\0';
        if ((lost->verdict == INSPECT_TRACEABLE || hidden) && has_registered(family, lost->pid, lost->since))
            continue; /* it was very slow to join, or had itself protected before that was known */
        if (lost->others > 0)
            snprintf(more, sizeof more, " and %zu more like it", lost->others);
        message("%s: process %d (%s)%s was not traced: it %s", end->name, (int)lost->pid,
                lost->program[0] != '\0' ? lost->program : lost->comm, more, lost->reason);
        said = true;
    }
    if (family->lost_more > 0)
        message("%s: %zu more processes were not traced", end->name, family->lost_more);
    return said;
}

/* It said `start`, ended by itself, and said no `exit`. */
static void say_eldest_vanished(const struct process *process, const struct family_end *end)
{
    if (strcmp(process->comm, end->comm) != 0)
        message("%s: became %s, which was not traced: it was run without LD_PRELOAD in its environment, or cannot load "
                "the library; see recvshim check",
                end->name, message_name(end->comm));
    else
        message("%s: ended and did not tell: by daemon(3), quick_exit or a raw system call, or it became another "
                "program of its name, which was not traced",
                end->name);
}

static bool say_vanished(const struct family *family, const struct family_end *end)
{
    const struct process *first = NULL;
    size_t others = 0;
    bool said = false;
    for (size_t i = 0; i < family->known->count; i++) {
        const struct process *process = &family->known->items[i];
        if (!has_vanished(family, i) || (family->shared && !is_descendant(family, process)))
            continue;
        if (process->pid != (uint32_t)family->pid) {
            others += first != NULL;
            first = first != NULL ? first : process;
        } else if (!end->killed && !end->told) {
            say_eldest_vanished(process, end);
            said = true;
        }
    }
    char more[48] = "";
    if (others > 0)
        snprintf(more, sizeof more, " and %zu more", others);
    if (first != NULL)
        message("%s: process %" PRIu32
                " (%s)%s ended and did not tell: killed by a signal, by daemon(3), quick_exit or "
                "a raw system call, or having become another program, which was not traced, as with env -i",
                end->name, first->pid, first->comm, more);
    return said || first != NULL;
}

bool family_report(struct family *family, const struct family_end *end)
{
    if (family->departure_count > 0)
        qsort(family->departures, family->departure_count, sizeof *family->departures, by_pid_and_time);
    bool lost = say_lost(family, end), vanished = false;
    if (end->departures && !family->incomplete && family->known->claimed <= family->known->count)
        vanished = say_vanished(family, end);
    return lost || vanished;
}
