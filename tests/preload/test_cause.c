/* SEMANTICS.md, "What counts as a disconnect", row by row: what ended a connection, and who was first. */
#include "harness.h"

#include "trace/cause.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(cause, .init = harness_begin, .fini = harness_end);

/* TCP's state in a record that holds it, as a bit: more than one where it depends on how far an answer has come. */
#define NO_TCP      0U
#define STATE(name) (1U << TCP_##name)
#define ANY_STATE   ~0U

static void expect_state(const struct recvshim_record *record, unsigned states, const char *way)
{
    bool has = (record->result_flags & RECVSHIM_RESULT_TCP) != 0;
    if (states != ANY_STATE)
        cr_expect_eq(has, states != NO_TCP, "%s: TCP's state in %s: %d", way,
                     record->event == RECVSHIM_EVENT_CLOSE ? "close" : "the end", has);
    if (states != ANY_STATE && has)
        cr_expect(states >> record->tcp.state & 1U, "%s: state %u", way, record->tcp.state);
}

/* The line of the victim's receives, compared with that of a run without the library. */
static void expect_seen(const struct finished *job, const struct finished *native, const char *seen)
{
    const char *line = strstr(job->out, "seen");
    cr_expect_str_eq(job->out, native->out, "as without the library");
    cr_assert(line != NULL && strncmp(line + 4, seen, strlen(seen)) == 0 && line[4 + strlen(seen)] == '\n', "%s",
              job->out);
}

/* The ring with one connection's records alone. */
static struct ring of_connection(const struct ring *ring, uint64_t connection)
{
    struct ring one = *ring;
    one.records = calloc((size_t)ring->count + 1, sizeof *one.records);
    one.count = 0;
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].connection == connection)
            one.records[one.count++] = ring->records[i];
    return one;
}

static const struct recvshim_record *first_record(const struct ring *ring, enum recvshim_event event)
{
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].event == event)
            return &ring->records[i];
    return NULL;
}

/* A way for a connection to end. */
struct end {
    const char *victim, *way;
    const char *seen;   /* by the program: result/errno of each receive */
    const char *events; /* of the connection */
    enum cause cause;
    enum first first;       /* by the disconnect */
    unsigned state;         /* of TCP, in the disconnect */
    enum first close_first; /* by the close */
    unsigned close_state;
};

static const struct end ends[] = {
    {"ends", "fin", " 3/0 0/0 0/0", "aRdx", CAUSE_EOF, FIRST_PEER, STATE(CLOSE_WAIT), FIRST_PEER, NO_TCP},
    {"ends", "fin-by-shutdown", " 0/0", "adx", CAUSE_EOF, FIRST_PEER, STATE(CLOSE_WAIT), FIRST_PEER, NO_TCP},
    /* A reset takes nothing away that had arrived. */
    {"ends", "reset-after-data", " 3/0 -1/104 0/0", "aRdx", CAUSE_RESET, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
    {"ends", "reset-unread", " -1/104 0/0", "adx", CAUSE_RESET, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
    {"ends", "reset-unread-after-data", " 3/0 -1/104", "aRdx", CAUSE_RESET, FIRST_PEER, STATE(CLOSE), FIRST_PEER,
     NO_TCP},
    /* The end is what came first: the reset that follows is told to writers alone. */
    {"ends", "reset-after-fin", " 0/0 0/0", "adx", CAUSE_EOF, FIRST_PEER, STATE(CLOSE_WAIT), FIRST_PEER, NO_TCP},
    {"ends", "unix-close", " 3/0 0/0", "Rdx", CAUSE_EOF, FIRST_PEER, NO_TCP, FIRST_PEER, NO_TCP},
    {"ends", "unix-unread", " -1/104 0/0", "dx", CAUSE_RESET, FIRST_PEER, NO_TCP, FIRST_PEER, NO_TCP},
    {"ends", "unix-shutdown", " 0/0", "dx", CAUSE_EOF, FIRST_PEER, NO_TCP, FIRST_PEER, NO_TCP},
    {"ends", "seqpacket-unread", " -1/104", "dx", CAUSE_RESET, FIRST_PEER, NO_TCP, FIRST_PEER, NO_TCP},
    {"ends", "seqpacket-empty", " 0/0 2/0 0/0", "eRdx", CAUSE_EOF, FIRST_PEER, NO_TCP, FIRST_PEER, NO_TCP},
    /* The program closes: only TCP knows of what it did not look at. */
    {"ends", "fin-unread", " 3/0", "aRx", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PEER, STATE(CLOSE_WAIT)},
    {"ends", "reset-unseen", " 3/0", "aRx", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PEER, STATE(CLOSE)},
    {"ends", "program", " 3/0", "aRx", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PROGRAM, STATE(ESTABLISHED)},
    {"ends", "program-unix", " 3/0", "Rx", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PROGRAM, NO_TCP},
    {"ends", "program-without-data", "", "ax", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PROGRAM, NO_TCP},

    /* Data goes on to arrive, and what ends the connection in the end was not the first to do so. */
    {"shut", "reading", " 0/0 3/0 0/0", "adRx", CAUSE_LOCAL_SHUTDOWN, FIRST_PROGRAM, STATE(ESTABLISHED), FIRST_UNKNOWN,
     ANY_STATE},
    {"shut", "both", " 0/0", "adx", CAUSE_LOCAL_SHUTDOWN, FIRST_PROGRAM, STATE(FIN_WAIT1) | STATE(FIN_WAIT2),
     FIRST_PROGRAM, ANY_STATE},
    {"shut", "writing", " 3/0 0/0", "aRdx", CAUSE_EOF, FIRST_PROGRAM, STATE(CLOSE) | STATE(TIME_WAIT), FIRST_PROGRAM,
     NO_TCP},
    {"shut", "writing-then-reset", " -1/104", "adx", CAUSE_RESET, FIRST_PROGRAM, STATE(CLOSE), FIRST_PROGRAM, NO_TCP},
    {"shut", "writing-after-the-end", " 0/0", "adx", CAUSE_EOF, FIRST_PEER, STATE(CLOSE_WAIT), FIRST_PEER, NO_TCP},
    {"shut", "writing-then-close", " 3/0", "aRx", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PROGRAM,
     STATE(FIN_WAIT1) | STATE(FIN_WAIT2)},
    {"shut", "unix-reading", " 0/0", "dx", CAUSE_LOCAL_SHUTDOWN, FIRST_PROGRAM, NO_TCP, FIRST_PROGRAM, NO_TCP},
    {"shut", "unix-both", " 0/0", "dx", CAUSE_LOCAL_SHUTDOWN, FIRST_PROGRAM, NO_TCP, FIRST_PROGRAM, NO_TCP},
    {"shut", "unix-writing", " 0/0", "dx", CAUSE_EOF, FIRST_PROGRAM, NO_TCP, FIRST_PROGRAM, NO_TCP},
    /* Through another descriptor of the socket, which is closed too. */
    {"shut", "copy-reading", " 0/0", "adxx", CAUSE_LOCAL_SHUTDOWN, FIRST_PROGRAM, STATE(ESTABLISHED), FIRST_PROGRAM,
     ANY_STATE},
    /* By dup2 of a connection whose peer has gone: that says nothing of this one, whose peer is there. */
    {"shut", "replaced", " 3/0", "aRx", CAUSE_UNKNOWN, FIRST_UNKNOWN, NO_TCP, FIRST_PROGRAM, ANY_STATE},

    {"timeouts", "keepalive", " -1/110 0/0", "adx", CAUSE_TIMEOUT, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
    {"timeouts", "user-timeout", " -1/110 0/0", "adx", CAUSE_TIMEOUT, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
    {"timeouts", "no-route", " -1/101 0/0", "cdx", CAUSE_UNREACHABLE, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
    {"timeouts", "unreachable", " -1/113 0/0", "cdx", CAUSE_UNREACHABLE, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
    {"timeouts", "aborted", " -1/103 0/0", "cdx", CAUSE_ABORTED, FIRST_PEER, STATE(CLOSE), FIRST_PEER, NO_TCP},
};

static void check(struct end end)
{
    struct finished native = RUN(.argv = {end.victim, end.way}, .native = true);
    if (not_permitted(&native))
        SKIP("namespaces are not permitted here");
    struct finished job = RUN(.argv = {end.victim, end.way}, .env = {"RECVSHIM_EVENTS=all"});
    cr_assert(exited_with(&job, 0));
    expect_seen(&job, &native, end.seen);
    struct ring all = read_trace(trace_path());
    expect_complete(&all);
    const struct recvshim_record *watched = NULL;
    for (long long i = 0; i < all.count && watched == NULL; i++)
        if (all.records[i].fd == said(&job, "fd"))
            watched = &all.records[i];
    cr_assert(watched != NULL, "%s", events_of(&all));
    struct ring ring = of_connection(&all, watched->connection);
    cr_assert_str_eq(events_of(&ring), end.events, "%s: %s", end.way, events_of(&ring));

    const struct recvshim_record *ended = first_record(&ring, RECVSHIM_EVENT_DISCONNECT);
    if (ended != NULL) {
        cr_expect_eq(cause_of(ended), end.cause, "%s: %s", end.way, cause_names[cause_of(ended)]);
        cr_expect_eq(first_of(ended), end.first, "%s: first %u, flags %#x", end.way, first_of(ended),
                     ended->result_flags);
        expect_state(ended, end.state, end.way);
    }
    const struct recvshim_record *closed = first_record(&ring, RECVSHIM_EVENT_CLOSE);
    cr_assert_not_null(closed);
    if (end.close_first != FIRST_UNKNOWN)
        cr_expect_eq(first_of(closed), end.close_first, "%s: first %u, flags %#x", end.way, first_of(closed),
                     closed->result_flags);
    expect_state(closed, end.close_state, end.way);
}

ROWS(cause, each_end, ends)
{
    check(ends[*index]);
}

/* Receives that ask for other things than the next data: none of them is taken for an end. */
static const struct {
    const char *way, *seen, *events;
} queues[] = {
    {"out-of-band", " 1/0 -1/22 2/0 0/0", "RERd"},
    {"error-queue", " 3/0 -1/11 -1/11", "Rww"},
    {"empty-error-queue", " 0/0 -1/11", "Rw"},
    {"error-told", " -1/111 -1/11", "Ew"},
    {"error-queue-of-a-stream", " -1/11 -1/11 0/0", "wwd"},
    {"nothing-asked-for", " 0/0 0/0 3/0 0/0 0/0 0/0", "RRRRd"},
    {"peeked", " 3/0 2/0 1/0", "RRR"},
    {"empty-datagrams", " 0/0 0/0 3/0 0/0", "eeRR"},
};

ROWS(cause, each_queue, queues)
{
    const char *way = queues[*index].way;
    struct finished native = RUN(.argv = {"queues", way}, .native = true);
    struct finished job = RUN(.argv = {"queues", way}, .env = {"RECVSHIM_EVENTS=all"});
    cr_assert(exited_with(&job, 0));
    expect_seen(&job, &native, queues[*index].seen);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_str_eq(events_of(&ring), queues[*index].events, "%s: %s", way, events_of(&ring));
}

/* What TCP did before it gave up. */
Test(cause, a_timeout_tells_of_its_retransmissions)
{
    struct finished job = RUN(.argv = {"timeouts", "user-timeout"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *ended = first_record(&ring, RECVSHIM_EVENT_DISCONNECT);
    cr_assert_not_null(ended);
    cr_expect(ended->result_flags & RECVSHIM_RESULT_TCP);
    cr_expect_geq(ended->tcp.retransmits, 1);
    cr_expect_gt(ended->tcp.rtt, 0);
}

/* A reader's descriptor is closed, and its number another connection's, before it has woken: TCP can be asked about
 * that one only, which is open. */
Test(cause, of_a_connection_whose_number_is_in_use_again)
{
    struct finished job = RUN(.argv = {"hangup", "eof"}, .after = "lower_reuse.so", .env = {"LOWER_REUSE=tcp"});
    cr_assert(exited_with(&job, 0));
    cr_expect_str_eq(job.out, "3/0 0/0 0/0 ");
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *ended = first_record(&ring, RECVSHIM_EVENT_DISCONNECT);
    cr_assert_not_null(ended);
    expect_state(ended, NO_TCP, "reused");
    cr_expect_eq(cause_of(ended), CAUSE_EOF, "%s", cause_names[cause_of(ended)]);
    cr_expect_neq(first_of(ended), FIRST_PROGRAM);
}
