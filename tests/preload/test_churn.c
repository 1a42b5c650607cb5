/* Connections by the thousand, and descriptors' numbers that are used again and again by four threads. What belongs
 * together is proved from the trace alone: a connection's tag is the length of its receives (tests/programs/churn.c).
 * RECVSHIM_TEST_CONNECTIONS=1000000 in the environment is the full form. */
#include "harness.h"

#include "trace/cause.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(churn, .init = harness_begin, .fini = harness_end);

enum { THREADS = 4 };

/* All that the records of one id say. */
struct story {
    long long tag;
    uint64_t first_receive, last_receive, accepted, closed, ended;
    long long receives, bytes, accepts, connects, closes, ends;
    uint16_t port, local_port; /* of its accept or connect */
    bool consistent;           /* each receive has the same tag, ends and type */
    enum cause cause;
};

static void add_receive(struct story *story, const struct recvshim_record *record)
{
    bool tcp = (long long)record->requested / THREADS % 2 == 0;
    bool first = story->receives++ == 0;
    story->consistent =
        (first || (story->consistent && story->tag == (long long)record->requested)) &&
        record->socket_type == SOCK_STREAM && (record->result_flags & RECVSHIM_RESULT_PEER) != 0 &&
        record->family == (tcp ? AF_INET : AF_UNIX) &&
        (!tcp || (record->port == story->port && record->local_port == story->local_port && story->accepts == 1));
    story->tag = (long long)record->requested;
    story->bytes += record->result > 0 ? record->result : 0;
    if (first)
        story->first_receive = record->time;
    story->last_receive = record->time;
    if (record->event == RECVSHIM_EVENT_DISCONNECT) {
        story->ends++;
        story->cause = cause_of(record);
    }
}

static void add(struct story *story, const struct recvshim_record *record)
{
    if (is_receive(record)) {
        add_receive(story, record);
    } else if (record->event == RECVSHIM_EVENT_CLOSE) {
        story->closes++;
        story->closed = record->time;
    } else {
        story->accepts += record->event == RECVSHIM_EVENT_ACCEPT;
        story->connects += record->event == RECVSHIM_EVENT_CONNECT;
        story->accepted = record->time;
        story->port = record->port;
        story->local_port = record->local_port;
    }
}

/* Whether a story with receives is what the victim does to a connection of this tag. */
static bool holds(const struct story *story)
{
    long long turn = story->tag / THREADS, bytes = 1 + story->tag % 3;
    bool tcp = turn % 2 == 0, ends = turn % 4 < 2;
    return story->consistent && story->bytes == bytes && story->receives == bytes + ends && story->ends == ends &&
           (!ends || story->cause == (tcp ? CAUSE_RESET : CAUSE_EOF)) && story->accepts == tcp &&
           story->connects == 0 && story->closes == 1 && story->accepted <= story->first_receive &&
           story->last_receive <= story->closed;
}

static void complain(const struct story *story, uint64_t id)
{
    cr_log_error("connection %llu: tag %lld, %s, %lld receives, %lld bytes, %lld ends by %s, %lld accepts, %lld "
                 "connects, %lld closes; in order: %d %d",
                 (unsigned long long)id, story->tag, story->consistent ? "consistent" : "mixed", story->receives,
                 story->bytes, story->ends, cause_names[story->cause], story->accepts, story->connects, story->closes,
                 story->accepted <= story->first_receive, story->last_receive <= story->closed);
}

static struct story *stories_of(const struct ring *ring, uint64_t *count)
{
    *count = 0;
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].connection > *count)
            *count = ring->records[i].connection;
    struct story *stories = calloc(*count + 1, sizeof *stories);
    cr_assert_not_null(stories);
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].fd >= 0)
            add(&stories[ring->records[i].connection], &ring->records[i]);
    return stories;
}

Test(churn, every_event_belongs_to_its_connection)
{
    const char *wanted = getenv("RECVSHIM_TEST_CONNECTIONS");
    /* Six records a connection at most, in as many shards as there may be CPUs, one of which may get all. Both their
     * number and that of a shard's records are powers of two. */
    long shards = 1;
    while (shards < sysconf(_SC_NPROCESSORS_CONF))
        shards *= 2;
    long long connections = wanted == NULL ? 80000 / (shards > 4 ? shards : 4) : strtoll(wanted, NULL, 10);
    long long told = 0, tcp = 0;
    char argument[64], size[64];
    snprintf(argument, sizeof argument, "connections=%lld", connections);
    snprintf(size, sizeof size, "RECVSHIM_SIZE=%lldM",
             1 + connections * 6 * RECVSHIM_RECORD_SIZE * 2 * shards / (1 << 20));
    struct finished job = RUN(.argv = {"churn", argument}, .env = {size, "RECVSHIM_FULL=stop"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);

    uint64_t count;
    struct story *stories = stories_of(&ring, &count);
    bool *seen = calloc((size_t)connections + 1, sizeof *seen);
    cr_assert_not_null(seen);
    cr_expect_eq(stories[0].receives + stories[0].closes, 0, "every event has a connection");
    long long wrong = 0, clients = 0, again = 0;
    for (uint64_t id = 1; id <= count; id++) {
        const struct story *story = &stories[id];
        if (story->receives == 0) {
            clients += story->connects == 1 && story->closes == 1 && story->accepts == 0;
            wrong += story->connects + story->accepts + story->closes != 0 && story->connects != 1;
            continue;
        }
        bool known = story->tag >= 1 && story->tag <= connections;
        if ((!known || !holds(story)) && wrong++ < 10)
            complain(story, id);
        again += known && seen[story->tag];
        if (known)
            seen[story->tag] = true;
        tcp += story->accepts;
    }
    for (long long tag = 1; tag <= connections; tag++)
        told += seen[tag];
    cr_expect_eq(wrong, 0, "%lld of %lld connections have what is not theirs", wrong, connections);
    cr_expect_eq(again, 0, "%lld tags under two connections", again);
    cr_expect_eq(told, connections, "%lld of %lld connections", told, connections);
    cr_expect_eq(clients, tcp, "%lld clients of %lld connections of TCP", clients, tcp);
    cr_log_info("%lld connections, %lld records, %lld wrong", connections, ring.count, wrong);
}
