/* Two threads install one of two handlers, `rounds` times each, and two raise the signal. Whichever handler runs, runs
 * with its own flags and mask, and what is read back is one of the two, whole. */
#include "victim.h"

#include <pthread.h>
#include <stdatomic.h>

static long rounds;
static atomic_long wrong, runs;
static atomic_bool over;

static bool blocks(int signal)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, signal) == 1;
}

static void plain(int signal)
{
    runs++;
    wrong += signal != SIGUSR1 || !blocks(SIGHUP) || blocks(SIGINT);
}

static void informed(int signal, siginfo_t *info, void *context)
{
    runs++;
    wrong += signal != SIGUSR1 || info->si_signo != SIGUSR1 || info->si_code != SI_TKILL || context == NULL ||
             blocks(SIGHUP) || !blocks(SIGINT);
}

static void *install(void *unused)
{
    for (long i = 0; i < rounds; i++) {
        struct sigaction action = {.sa_flags = 0}, old;
        if (i % 2) {
            action.sa_sigaction = informed;
            action.sa_flags = SA_SIGINFO | SA_RESTART;
            sigaddset(&action.sa_mask, SIGINT);
        } else {
            action.sa_handler = plain;
            sigaddset(&action.sa_mask, SIGHUP);
        }
        must(sigaction(SIGUSR1, &action, &old) == 0, "sigaction");
        bool is_plain = old.sa_handler == plain && (old.sa_flags & (SA_SIGINFO | SA_RESTART)) == 0 &&
                        sigismember(&old.sa_mask, SIGHUP) == 1;
        bool is_informed = old.sa_sigaction == informed && (old.sa_flags & SA_SIGINFO) != 0 &&
                           (old.sa_flags & SA_RESTART) != 0 && sigismember(&old.sa_mask, SIGINT) == 1;
        wrong += !is_plain && !is_informed;
    }
    return unused;
}

static void *raise_often(void *unused)
{
    do
        pthread_kill(pthread_self(), SIGUSR1);
    while (!over);
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    rounds = number(argv, "rounds", 20000);
    pthread_t installers[2], raisers[2];
    handle(SIGUSR1, SIG_IGN, 0);
    struct sigaction action = {.sa_handler = plain};
    sigaddset(&action.sa_mask, SIGHUP);
    must(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    for (int i = 0; i < 2; i++)
        must(pthread_create(&installers[i], NULL, install, NULL) == 0 &&
                 pthread_create(&raisers[i], NULL, raise_often, NULL) == 0,
             "pthread_create");
    for (int i = 0; i < 2; i++)
        pthread_join(installers[i], NULL);
    over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(raisers[i], NULL);
    say("wrong", wrong);
    say("ran", runs > 0);
    return 0;
}
