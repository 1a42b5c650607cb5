#include "connection.h"
#include "origin.h"
#include "thread.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Criterion runs each test in a process of its own. Numbers stand for descriptors: no kernel is asked. */

static void make(int fd)
{
    connection_made(fd, AF_INET, SOCK_STREAM, (uint64_t)fd, 0);
}

/* As fault_begin() has it. */
static uint32_t place_of(int fd)
{
    bool duplicated = (connection_word(fd) & CONNECTION_DUPLICATED) != 0;
    return duplicated ? origin_place(fd, connection_id(connection_word(fd))) : (uint32_t)fd;
}

Test(origin, of_sockets_by_their_order)
{
    origin_start();
    make(5);
    uint64_t first = origin_of(5);
    make(5);
    cr_expect_neq(origin_of(5), first, "the number is used anew");
    make(6);
    cr_expect(origin_of(6) != origin_of(5) && origin_of(6) != first && first != 0);
    uint64_t sixth = origin_of(6);
    connection_renewed(6, 9);
    cr_expect_neq(origin_of(6), sixth);
}

/* What threads make, in the order of their starting: the second makes its sockets first. */
static uint64_t seen[3][2];
static pthread_barrier_t turns[3];

static void *make_two(void *number)
{
    long own = (long)number;
    pthread_barrier_wait(&turns[own]);
    for (int i = 0; i < 2; i++) {
        make((int)(10 + own));
        seen[own][i] = origin_of((int)(10 + own));
    }
    return NULL;
}

static void run_threads(long first, long second)
{
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) {
        pthread_barrier_init(&turns[i], NULL, 2);
        cr_assert_eq(origin_create_thread(&threads[i], NULL, make_two, (void *)i), 0);
    }
    pthread_barrier_wait(&turns[first]);
    pthread_join(threads[first], NULL);
    pthread_barrier_wait(&turns[second]);
    pthread_join(threads[second], NULL);
}

static void write_seen(uint64_t out[2][2], long first, long second)
{
    pid_t child = fork();
    if (child == 0) {
        origin_start();
        run_threads(first, second);
        for (int i = 0; i < 4; i++)
            out[i / 2][i % 2] = seen[i / 2][i % 2];
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(origin, of_threads_whatever_their_scheduling)
{
    uint64_t(*runs)[2][2] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    write_seen(runs[0], 0, 1);
    write_seen(runs[1], 1, 0);
    cr_expect_arr_eq(runs[0], runs[1], sizeof runs[0]);
    cr_expect(runs[0][0][0] != runs[0][1][0] && runs[0][0][0] != runs[0][0][1] && runs[0][0][0] != 0);
}

static void *give_back(void *argument)
{
    return argument;
}

Test(origin, of_more_threads_at_once_than_there_is_room_for)
{
    origin_start();
    pthread_t threads[300];
    pthread_barrier_init(&turns[2], NULL, 2);
    for (int i = 0; i < 300; i++)
        cr_assert_eq(origin_create_thread(&threads[i], NULL, give_back, &threads[i]), 0);
    for (int i = 0; i < 300; i++) {
        void *result;
        cr_assert_eq(pthread_join(threads[i], &result), 0);
        cr_assert_eq(result, &threads[i]);
    }
}

Test(origin, of_children_of_fork)
{
    uint64_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    origin_start();
    make(5);
    make(6);
    for (int child = 0; child < 2; child++) {
        if (fork() == 0) {
            make(7);
            connection_accepted(5, 8, 1, 0);
            shared[3 * child] = origin_of(6);
            shared[3 * child + 1] = origin_of(7);
            shared[3 * child + 2] = origin_of(8);
            _exit(0);
        }
        wait(NULL);
    }
    make(7);
    connection_accepted(5, 8, 1, 0);
    cr_expect(shared[0] == origin_of(6) && shared[3] == origin_of(6), "what was made before the fork stays what it is");
    for (int i = 1; i < 3; i++)
        cr_expect(shared[i] != shared[i + 3] && shared[i] != origin_of(6 + i) && shared[i + 3] != origin_of(6 + i));
}

Test(origin, of_what_is_accepted)
{
    origin_start();
    make(5);
    make(6);
    connection_accepted(5, 7, 1, 0);
    connection_accepted(6, 8, 2, 0);
    connection_accepted(5, 9, 3, 0);
    uint64_t first = origin_of(7);
    cr_expect(first != origin_of(8) && first != origin_of(9) && origin_of(8) != origin_of(9));
    make(5);
    connection_accepted(5, 7, 1, 0);
    cr_expect_neq(origin_of(7), first, "another listener");
}

Test(origin, of_strangers_by_their_number)
{
    uint64_t fifth = origin_of(5);
    cr_expect(fifth != 0 && fifth == origin_of(5) && fifth != origin_of(6));
    connection_identify(5, 1);
    connection_forget(5);
    cr_expect_neq(origin_of(5), fifth, "it was given up once");
    cr_expect_eq(origin_of(-1), origin_of(CONNECTION_DESCRIPTORS));
}

Test(origin, places_of_duplicates)
{
    origin_start();
    make(5);
    uint32_t place = place_of(5);
    connection_duplicated(5, 6);
    cr_expect_eq(origin_of(6), origin_of(5));
    cr_expect_eq(place_of(6), place);
    connection_forget(5);
    make(5);
    cr_expect_neq(place_of(5), place, "the duplicate still has it");
    cr_expect_eq(place_of(6), place);
    connection_forget(6);
    make(6);
    uint32_t sixth = place_of(6);
    cr_expect(sixth != place_of(5));
    connection_forget(5);
    make(5);
    cr_expect_eq(place_of(5), place, "free again");
}

Test(origin, places_of_duplicates_that_get_theirs_late)
{
    origin_start();
    make(5);
    connection_duplicated(5, 6);
    connection_duplicated(6, 7);
    uint32_t place = place_of(7);
    cr_expect(place_of(5) == place && place_of(6) == place);
    connection_forget(7);
    make(7);
    cr_expect_neq(place_of(7), place);
    cr_expect_lt(place_of(7), ORIGIN_PLACES);
}

Test(origin, there_are_never_too_few_places)
{
    origin_start();
    for (int fd = 0; fd < CONNECTION_DESCRIPTORS; fd++) {
        make(fd);
        cr_assert_eq(place_of(fd), (uint32_t)fd);
    }
    connection_duplicated(7, 8);
    cr_expect_eq(place_of(7), 7);
    cr_expect_eq(place_of(8), 7);
    cr_expect_eq(origin_place(CONNECTION_DESCRIPTORS, 7), CONNECTION_DESCRIPTORS);
}
