/* A receive with a time-out as UNIX Network Programming has it: a handler without SA_RESTART that does nothing, an
 * alarm, and EINTR is the time-out. Says `timed_out`, or the `result`. The alarm is a child's, which knows when the
 * receive sleeps; once that has either returned or blocks again, it sends the datagram after all. */
#include "settled.h"

#include <sys/wait.h>

static struct progress *progress;

static void on_alarm(int signal)
{
    (void)signal;
    progress->handled++;
}

static void answer_late(const struct sockaddr_storage *address, socklen_t length, pid_t receiver)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), file = open_syscall_file(receiver);
    AWAIT(is_blocked(file), "the receive");
    must(kill(receiver, SIGALRM) == 0, "kill");
    AWAIT(progress->handled != 0, "the alarm");
    AWAIT(progress->returned != 0 || is_blocked(file), "the end of the interruption");
    must(sendto(fd, "late", 4, 0, (const struct sockaddr *)address, length) == 4, "sendto");
}

int main(void)
{
    struct sockaddr_storage address, from;
    socklen_t length, from_length = sizeof from;
    int fd = bound(AF_INET, SOCK_DGRAM, &address, &length);
    setpgid(0, 0);
    progress = shared_progress();
    pid_t receiver = getpid(), child = fork();
    if (child == 0) {
        answer_late(&address, length, receiver);
        _exit(0);
    }
    handle(SIGALRM, on_alarm, 0);
    char answer[16];
    ssize_t result = recvfrom(fd, answer, sizeof answer, 0, (struct sockaddr *)&from, &from_length);
    int error = errno;
    progress->returned++;
    say("timed_out", result < 0 && error == EINTR);
    say("result", result);
    must(waitpid(child, NULL, 0) == child, "wait");
    return 0;
}
