/* What records add up to, rule by rule: what counts as received, how a connection ended, whose it is, what is lost. */
#include "cli/verdict.h"
#include "fixture.h"
#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

static struct trace trace;
static struct process_list processes;
static struct totals totals;
static struct reader_account account;

static void begin(void)
{
    trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    totals_init(&totals, &trace, &processes);
}

static void end(void)
{
    totals_free(&totals);
    process_list_free(&processes);
    trace_close(&trace);
}

TestSuite(totals, .init = begin, .fini = end);

static struct recvshim_record event(uint8_t kind, uint64_t time)
{
    struct recvshim_record record = fixture_record(time, 0);
    record.event = kind;
    record.call = kind < RECVSHIM_EVENT_CONNECT ? RECVSHIM_CALL_RECV : RECVSHIM_CALL_NONE;
    record.socket_type = SOCK_STREAM;
    record.result_flags = RECVSHIM_RESULT_CONNECTED;
    return record;
}

static void add(const struct recvshim_record *record)
{
    totals_add(&totals, record);
    totals_flush(&totals);
}

static void add_event(uint8_t kind, uint64_t time)
{
    struct recvshim_record record = event(kind, time);
    add(&record);
}

static void add_receive(uint64_t time, int64_t result, uint32_t flags)
{
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, time);
    record.result = result;
    record.flags = flags;
    add(&record);
}

static void add_failure(uint8_t kind, uint64_t time, uint16_t error)
{
    struct recvshim_record record = event(kind, time);
    record.result = -1;
    record.error = error;
    add(&record);
}

static struct connection *connection(uint64_t number)
{
    struct table_key key = {{number, 0, 0}};
    struct connection *found = table_find(&totals.connections, &key);
    cr_assert_not_null(found);
    return found;
}

static const char *ending(bool exited)
{
    static struct ending told;
    told = verdict_ending(connection(7), exited);
    return ending_name(&told);
}

static enum first who(void)
{
    return verdict_ending(connection(7), false).first;
}

Test(totals, leaves_out_what_was_only_looked_at)
{
    add_receive(10, 40, 0);
    add_receive(11, 40, MSG_PEEK);
    add_receive(12, 40, MSG_ERRQUEUE);
    add_receive(13, 4000, MSG_TRUNC); /* a datagram cut to the 100 that were asked for */
    add_event(RECVSHIM_EVENT_EMPTY, 14);
    cr_assert_eq(connection(7)->bytes, 140);
    cr_assert_eq(connection(7)->receives, 3);
    cr_assert_eq(totals.all.bytes, 140);
    cr_assert_eq(totals.sizes.count, 3);
    cr_assert_eq(totals.events[RECVSHIM_EVENT_RECEIVE][RECVSHIM_CALL_RECV], 4);
}

/* Its own facts lie where a receive has its retries, its duration and its addresses. */
Test(totals, faults_are_no_receives)
{
    struct recvshim_record fault = fixture_fault(10, RECVSHIM_ACTION_ERROR, ECONNRESET, 4711, 3);
    fault.result_flags = UINT16_MAX;
    fault.family = AF_INET;
    add(&fault);
    fault = fixture_fault(20, RECVSHIM_ACTION_SHORT, 5, 4711, 4);
    add(&fault);
    add(&fault);
    fault.injected = UINT16_MAX;
    add(&fault);
    cr_assert_eq(totals.injections[RECVSHIM_ACTION_ERROR], 1);
    cr_assert_eq(totals.injections[RECVSHIM_ACTION_SHORT], 2);
    cr_assert_eq(totals.injections[RECVSHIM_ACTIONS], 1);
    cr_assert_eq(totals.events[RECVSHIM_EVENT_FAULT][RECVSHIM_CALL_RECV], 4);
    cr_assert_eq(totals.all.receives + totals.all.bytes + totals.all.errors + totals.all.retries, 0);
    cr_assert_eq(totals.sizes.count + totals.durations.count, 0);
    cr_assert_eq(totals.interruptions.count + totals.against_intent.receives, 0);
    const struct connection *connection = table_at(&totals.connections, 0);
    cr_assert_eq(connection->known & (CONNECTION_LOCAL | CONNECTION_TCP | CONNECTION_RECEIVED | CONNECTION_ENDED), 0);
    cr_assert_eq(connection->first, 10);
    cr_assert_eq(connection->last, 20);
}

Test(totals, tells_of_every_retry_what_interrupted)
{
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, 10);
    add(&record);
    cr_assert_eq(totals.interruptions.count, 0);
    record.retries = 3;
    record.flags = MSG_PEEK;
    record.result_flags |= RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_INTENT;
    record.signals = signal_bit(SIGALRM);
    add(&record);
    record.event = RECVSHIM_EVENT_CLOSE; /* damage: a close is never retried */
    add(&record);
    record = event(RECVSHIM_EVENT_DISCONNECT, 11);
    record.retries = 4;
    add(&record);
    add_failure(RECVSHIM_EVENT_INTERRUPTED, 12, EINTR);
    const struct interruptions *interruptions = &totals.interruptions;
    uint64_t retries = 0, receives = 0;
    for (size_t i = 0; i < interruptions->count; i++) {
        retries += interruptions->rows[i].retries;
        receives += interruptions->rows[i].receives;
    }
    cr_assert_eq(interruptions->count, 3);
    cr_assert_eq(receives, 3);
    cr_assert_eq(retries, 7);
    cr_assert_eq(totals.all.retries, 7);
    cr_assert_eq(totals.against_intent.receives, 1);
}

Test(totals, takes_times_in_any_order)
{
    add_receive(30, 1, 0);
    add_receive(10, 1, 0);
    add_receive(20, 1, 0);
    cr_assert_eq(connection(7)->first, 10);
    cr_assert_eq(connection(7)->last, 30);
    cr_assert_eq(connection(7)->received, 30);
    cr_assert_eq(totals.first, 10);
    cr_assert_eq(totals.last, 30);
}

Test(totals, counts_one_end_a_connection)
{
    add_failure(RECVSHIM_EVENT_DISCONNECT, 30, ECONNRESET);
    add_failure(RECVSHIM_EVENT_DISCONNECT, 20, ETIMEDOUT);
    add_event(RECVSHIM_EVENT_CLOSE, 40);
    cr_assert_str_eq(ending(true), "timeout", "the earliest one");
    cr_assert_eq(who(), FIRST_PEER);
}

Test(totals, tells_who_closed_first)
{
    add_receive(10, 1, 0);
    cr_assert_str_eq(ending(false), "open");
    cr_assert_str_eq(ending(true), "exit");
    add_event(RECVSHIM_EVENT_CLOSE, 20);
    cr_assert_str_eq(ending(true), "closed");
    cr_assert_eq(who(), FIRST_PROGRAM);
    struct recvshim_record close = event(RECVSHIM_EVENT_CLOSE, 21);
    close.result_flags |= RECVSHIM_RESULT_TCP;
    close.tcp = (struct recvshim_tcp){.rtt = 5, .state = TCP_CLOSE_WAIT};
    add(&close);
    cr_assert_eq(who(), FIRST_PEER, "the last close knows that the peer had ended");
    cr_assert_eq(connection(7)->tcp.rtt, 5);
    add_receive(30, 1, 0);
    cr_assert_str_eq(ending(false), "open", "another descriptor was closed: it goes on");
}

Test(totals, shows_a_connect_that_failed)
{
    add_failure(RECVSHIM_EVENT_CONNECT, 10, EINPROGRESS);
    cr_assert_str_eq(ending(false), "open");
    cr_assert_eq(totals.all.errors, 0);
    add_failure(RECVSHIM_EVENT_CONNECT, 20, ECONNREFUSED);
    add_event(RECVSHIM_EVENT_CLOSE, 30);
    cr_assert_str_eq(ending(true), "ECONNREFUSED");
    cr_assert_eq(totals.errors[ECONNREFUSED], 1);
    add_event(RECVSHIM_EVENT_CONNECT, 25); /* tried again, with success */
    cr_assert_str_eq(ending(true), "closed");
}

Test(totals, connects_under_way_are_no_errors)
{
    cr_assert(!connect_failed(0) && !connect_failed(EINPROGRESS) && !connect_failed(EALREADY) &&
              !connect_failed(EISCONN) && !connect_failed(EINTR));
    cr_assert(connect_failed(ETIMEDOUT));
    add_failure(RECVSHIM_EVENT_CONNECT, 10, ECONNREFUSED);
    add_receive(20, 1, 0);
    cr_assert_str_eq(ending(false), "open", "it receives: that was another try");
}

Test(totals, belongs_to_who_received_last)
{
    struct recvshim_record record = event(RECVSHIM_EVENT_ACCEPT, 10);
    record.pid = 1;
    add(&record);
    record = event(RECVSHIM_EVENT_CLOSE, 40);
    record.pid = 1;
    add(&record);
    cr_assert_eq(connection(7)->pid, 1);
    record = event(RECVSHIM_EVENT_RECEIVE, 30);
    record.pid = 3;
    add(&record);
    record = event(RECVSHIM_EVENT_RECEIVE, 20);
    record.pid = 2;
    add(&record);
    cr_assert_eq(connection(7)->pid, 3);
    cr_assert_eq(connection_process_time(connection(7)), 30);
    cr_assert_neq(connection(7)->known & CONNECTION_PROCESSES, 0);
}

Test(totals, untracked_descriptors_count_in_the_totals_alone)
{
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, 10);
    record.connection = 0;
    record.result = 5;
    add(&record);
    record = event(RECVSHIM_EVENT_DISCONNECT, 20);
    record.connection = 0;
    add(&record);
    cr_assert_eq(totals.connections.count, 0);
    cr_assert_eq(totals.all.bytes, 5);
    cr_assert_eq(totals.all.disconnects[CAUSE_EOF], 1);
}

static struct recvshim_record datagram(uint64_t time, uint8_t host)
{
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, time);
    record.socket_type = SOCK_DGRAM;
    record.result = 10;
    record.result_flags = RECVSHIM_RESULT_PEER;
    record.family = AF_INET;
    record.port = 53;
    memcpy(record.address, (uint8_t[]){10, 0, 0, host}, 4);
    return record;
}

static const struct sums *peer(uint8_t host)
{
    struct recvshim_address address = {.family = AF_INET, .port = 99, .scope = 3, .bytes = {10, 0, 0, host, 77}};
    struct table_key key = peer_key(&address); /* the port, and what is beyond an IPv4 address, mean nothing */
    const struct peer_sums *found = table_find(&totals.peers, &key);
    return found != NULL ? &found->sums : NULL;
}

Test(totals, tells_the_peers_of_a_datagram_socket_apart)
{
    struct recvshim_record record = datagram(10, 1);
    add(&record);
    add(&record);
    cr_assert_eq(totals.peers.count, 0, "as long as there is one, it is the connection's");
    record = datagram(20, 2);
    add(&record);
    record = datagram(30, 1);
    add(&record);
    cr_assert_neq(connection(7)->known & CONNECTION_PEERS, 0);
    cr_assert_eq(peer(1)->receives, 3);
    cr_assert_eq(peer(1)->bytes, 30);
    cr_assert_eq(peer(2)->bytes, 10);
    cr_assert_eq(connection(7)->bytes, 40);
}

Test(totals, a_datagram_socket_connected_later_keeps_its_other_peers)
{
    struct recvshim_record record = datagram(10, 1);
    add(&record);
    record = datagram(20, 2);
    record.event = RECVSHIM_EVENT_CONNECT;
    add(&record);
    cr_assert_neq(connection(7)->known & CONNECTION_PEERS, 0);
    cr_assert_eq(peer(1)->bytes, 10);
}

Test(totals, bounds_the_peers_of_datagram_sockets)
{
    for (uint32_t i = 0; i < TOTALS_PEERS_MAX + 10; i++) {
        struct recvshim_record record = datagram(i, 0);
        memcpy(record.address, &i, sizeof i);
        totals_add(&totals, &record);
    }
    totals_flush(&totals);
    cr_assert_eq(totals.peers.count, TOTALS_PEERS_MAX);
    cr_assert_eq(totals.other_peers.receives, 10);
    cr_assert_eq(totals.other_peers.bytes, 100);
    cr_assert_not(totals.out_of_memory);
}

Test(totals, a_stream_has_the_peer_that_it_was_connected_to)
{
    struct recvshim_record record = datagram(10, 1);
    record.socket_type = SOCK_STREAM;
    add(&record);
    record.event = RECVSHIM_EVENT_ACCEPT;
    record.address[3] = 2;
    add(&record);
    record.event = RECVSHIM_EVENT_RECEIVE;
    record.address[3] = 3;
    add(&record);
    cr_assert_eq(connection(7)->peer.bytes[3], 2);
    cr_assert_eq(connection(7)->known & CONNECTION_PEERS, 0);
}

Test(totals, processes_are_told_apart_by_when_they_began)
{
    fixture_process(&trace, 42, 100, "old");
    fixture_process(&trace, 42, 200, "new");
    cr_assert(process_list_update(&processes, &trace));
    add_receive(150, 1, 0);
    add_receive(250, 2, 0);
    add_receive(199, 4, 0);
    add_receive(200, 8, 0);
    add_receive(50, 16, 0); /* the clock is read before a process says hello */
    struct table_key old = {{42, 100, 0}}, new = {{42, 200, 0}};
    cr_assert_eq(((struct process_sums *)table_find(&totals.processes, &old))->sums.bytes, 21);
    cr_assert_eq(((struct process_sums *)table_find(&totals.processes, &new))->sums.bytes, 10);
    struct recvshim_record record = event(RECVSHIM_EVENT_EXIT, 260);
    record.connection = 0;
    add(&record);
    cr_assert(((struct process_sums *)table_find(&totals.processes, &new))->exited);
    cr_assert_not(((struct process_sums *)table_find(&totals.processes, &old))->exited);
}

/* A connection from its accept to its close. */
static void add_life(uint64_t from, uint64_t to)
{
    add_event(RECVSHIM_EVENT_ACCEPT, from);
    add_receive(from + 1, 1, 0);
    add_event(RECVSHIM_EVENT_CLOSE, to);
}

static bool complete(bool childless)
{
    return verdict_complete(connection(7), &account, childless);
}

Test(totals, is_complete_where_nothing_was_lost)
{
    account = (struct reader_account){.gaps_since = UINT64_MAX};
    add_receive(10, 1, 0);
    cr_assert(complete(false));
}

Test(totals, is_complete_if_it_began_after_the_last_overwriting)
{
    account = (struct reader_account){.overwritten = 1, .complete_since = 10, .gaps_since = UINT64_MAX};
    add_receive(12, 1, 0);
    cr_assert_not(complete(true), "its first record may not be the first");
    add_event(RECVSHIM_EVENT_ACCEPT, 11);
    cr_assert(complete(true));
    account.complete_since = 11;
    cr_assert(complete(true));
    account.complete_since = 12;
    cr_assert_not(complete(true));
    account.complete_since = 5;
    add_receive(8, 1, 0); /* before its own beginning: nothing is certain */
    cr_assert_not(complete(true));
}

Test(totals, connect_proves_a_beginning_of_streams_alone)
{
    account = (struct reader_account){.overwritten = 1, .complete_since = 5, .gaps_since = UINT64_MAX};
    struct recvshim_record record = event(RECVSHIM_EVENT_CONNECT, 10);
    record.socket_type = SOCK_DGRAM; /* may have received before */
    add(&record);
    cr_assert_not(complete(true));
    record.socket_type = SOCK_STREAM;
    add(&record);
    cr_assert(complete(true));
}

Test(totals, is_complete_if_it_ended_before_the_first_gap)
{
    account = (struct reader_account){.dropped = 1, .gaps_since = 30};
    add_life(10, 20);
    cr_assert(complete(true));
    cr_assert_not(complete(false), "a child may have it still");
    account.gaps_since = 20;
    cr_assert_not(complete(true));
    account.gaps_since = 30;
    add_receive(21, 1, 0);
    cr_assert_not(complete(true), "its close was not the last of it");
    add_event(RECVSHIM_EVENT_DISCONNECT, 22);
    cr_assert(complete(false), "nothing comes after the peer's end");
}

Test(totals, soft_errors_are_no_proof_of_an_end)
{
    account = (struct reader_account){.dropped = 1, .gaps_since = 30};
    add_receive(10, 1, 0);
    add_failure(RECVSHIM_EVENT_DISCONNECT, 20, EHOSTUNREACH);
    cr_assert_not(complete(true));
}

Test(totals, shared_by_processes_it_may_go_on_after_a_close)
{
    account = (struct reader_account){.died = 1, .gaps_since = 30};
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, 15);
    record.pid = 43;
    add(&record);
    add_life(10, 20);
    cr_assert_not(complete(true));
}

Test(totals, survives_hostile_records)
{
    struct recvshim_record record;
    for (unsigned int i = 0; i < 5000; i++) {
        memset(&record, (int)(i % 256), sizeof record);
        record.event = (uint8_t)i;
        record.call = (uint8_t)(i * 7);
        record.connection = i % 3 == 0 ? UINT64_MAX - i : i % 3 == 1 ? 1 : UINT64_C(1) << (i % 64);
        record.result = i % 2 == 0 ? INT64_MIN : INT64_MAX;
        record.requested = UINT64_MAX;
        record.duration = UINT64_MAX;
        record.retries = UINT32_MAX;
        record.error = (uint16_t)(i * 13);
        totals_add(&totals, &record);
    }
    totals_flush(&totals);
    cr_assert_eq(totals.records, 5000);
    cr_assert_eq(totals.all.bytes, UINT64_MAX, "no sum begins anew at 0");
    for (size_t i = 0; i < totals.connections.count; i++) {
        struct ending told = verdict_ending(table_at(&totals.connections, i), false);
        cr_assert_not_null(ending_name(&told));
    }
}
