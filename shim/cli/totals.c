#include "totals.h"

#include "verdict.h"

#include <string.h>
#include <sys/socket.h>

void totals_init(struct totals *totals, const struct trace *trace, struct process_list *processes)
{
    memset(totals, 0, sizeof *totals);
    totals->trace = trace;
    totals->processes_known = processes;
    totals->first = UINT64_MAX;
    table_init(&totals->connections, sizeof(struct connection), SIZE_MAX);
    table_init(&totals->processes, sizeof(struct process_sums), TOTALS_PROCESSES_MAX);
    table_init(&totals->peers, sizeof(struct peer_sums), TOTALS_PEERS_MAX);
}

void totals_free(struct totals *totals)
{
    table_free(&totals->connections);
    table_free(&totals->processes);
    table_free(&totals->peers);
}

void totals_forget_process(struct totals *totals)
{
    totals->last_process = NULL;
}

/* A trace may say anything, and no sum may begin anew at 0. */
static void add(uint64_t *sum, uint64_t number)
{
    if (__builtin_add_overflow(*sum, number, sum))
        *sum = UINT64_MAX;
}

/* All but connections and their ends. */
static inline void add_receives(struct sums *sums, const struct sums *more)
{
    sums->receives += more->receives;
    add(&sums->bytes, more->bytes);
    sums->errors += more->errors;
    add(&sums->retries, more->retries);
}

void sums_add(struct sums *sums, const struct sums *more)
{
    add_receives(sums, more);
    sums->connections += more->connections;
    for (size_t i = 0; i < CAUSES; i++)
        sums->disconnects[i] += more->disconnects[i];
}

struct table_key peer_key(const struct recvshim_address *address)
{
    struct recvshim_address key = {.family = address->family};
    if (address->family == AF_INET6)
        key.scope = address->scope;
    memcpy(key.bytes, address->bytes, address->family == AF_INET6 ? sizeof key.bytes : 4);
    struct table_key words;
    memcpy(&words, &key, sizeof words);
    return words;
}

static bool has_peer(const struct recvshim_record *record)
{
    return (record->result_flags & RECVSHIM_RESULT_PEER) != 0 &&
           (record->family == AF_INET || record->family == AF_INET6 || record->family == AF_UNIX);
}

static bool is_stream(const struct recvshim_record *record)
{
    return record->socket_type == SOCK_STREAM || record->socket_type == SOCK_SEQPACKET;
}

static bool is_error(const struct recvshim_record *record)
{
    if (record->event == RECVSHIM_EVENT_CONNECT)
        return connect_failed(record->error);
    return record->event == RECVSHIM_EVENT_ERROR;
}

struct table_key process_key(const struct process *process, uint32_t pid)
{
    return (struct table_key){{pid, process != NULL ? process->start : 0, 0}};
}

static struct process_sums *process_of(struct totals *totals, uint32_t pid, uint64_t time)
{
    if (totals->last_process != NULL && pid == totals->last_pid && time >= totals->last_from &&
        time < totals->last_until)
        return totals->last_process;
    const struct process_list *list = totals->processes_known;
    const struct process *process = process_find(totals->processes_known, pid, time);
    struct table_key key = process_key(process, pid);
    struct process_sums *found = table_add(&totals->processes, &key);
    totals->last_process = found;
    totals->last_pid = pid;
    /* Of a process that never said hello, and before the first of its pid began, every time is looked up. */
    bool certain = process != NULL && process->start <= time;
    bool next = certain && process + 1 < list->items + list->count && process[1].pid == pid;
    totals->last_from = certain ? process->start : time;
    totals->last_until = next ? process[1].start : certain ? UINT64_MAX : time;
    return found;
}

uint64_t connection_process_time(const struct connection *connection)
{
    return (connection->known & CONNECTION_RECEIVED) != 0 ? connection->received : connection->first;
}

static struct sums *peer_sums(struct totals *totals, const struct recvshim_address *address)
{
    struct table_key key = peer_key(address);
    struct peer_sums *peer = table_add(&totals->peers, &key);
    return peer != NULL ? &peer->sums : &totals->other_peers;
}

/* Who is at the other end. What accept and connect say of a stream is better than anything else. A socket that is no
 * stream may have many peers: from the second on each of its records counts for its own peer, while until then the
 * connection's sums are its only peer's. */
static void note_peer(struct totals *totals, struct connection *connection, const struct recvshim_record *record)
{
    bool opening = record->event == RECVSHIM_EVENT_ACCEPT || record->event == RECVSHIM_EVENT_CONNECT;
    uint8_t rank = opening && !is_error(record) ? 2 : 1;
    if ((connection->known & CONNECTION_PEER) == 0 || (is_stream(record) && rank > connection->peer_rank)) {
        connection->peer = record->peer;
        connection->peer_rank = rank;
        connection->known |= CONNECTION_PEER;
        return;
    }
    if (is_stream(record) || (connection->known & CONNECTION_PEERS) != 0 ||
        memcmp(&connection->peer, &record->peer, sizeof record->peer) == 0)
        return;
    connection->known |= CONNECTION_PEERS;
    struct sums before = {.receives = connection->receives,
                          .bytes = connection->bytes,
                          .errors = connection->errors,
                          .retries = connection->retries};
    add_receives(peer_sums(totals, &connection->peer), &before);
}

static void note_local(struct connection *connection, const struct recvshim_record *record)
{
    if (record->local_port != 0)
        connection->local_port = record->local_port;
    /* What repeats a fault lies where the address does: no honest record has both. */
    if ((record->result_flags & RECVSHIM_RESULT_LOCAL) == 0 || record->event == RECVSHIM_EVENT_FAULT)
        return;
    connection->known |= CONNECTION_LOCAL;
    connection->local_family = record->family;
    memcpy(connection->local_address, record->local_address, sizeof connection->local_address);
}

static void note_tcp(struct connection *connection, const struct recvshim_record *record)
{
    if ((record->result_flags & RECVSHIM_RESULT_TCP) == 0 ||
        (record->event != RECVSHIM_EVENT_DISCONNECT && record->event != RECVSHIM_EVENT_CLOSE) ||
        ((connection->known & CONNECTION_TCP) != 0 && record->time < connection->tcp_time))
        return;
    connection->known |= CONNECTION_TCP;
    connection->tcp = record->tcp;
    connection->tcp_time = record->time;
}

static void note_process(struct connection *connection, const struct recvshim_record *record, bool arrived)
{
    bool received = (connection->known & CONNECTION_RECEIVED) != 0;
    if (connection->pid != record->pid)
        connection->known |= CONNECTION_PROCESSES;
    if (arrived ? !received || record->time >= connection->received : !received && record->time < connection->first)
        connection->pid = record->pid;
}

static void note_opening(struct connection *connection, const struct recvshim_record *record)
{
    if (record->event == RECVSHIM_EVENT_CONNECT &&
        ((connection->known & CONNECTION_CONNECT) == 0 || record->time >= connection->connected)) {
        connection->known |= CONNECTION_CONNECT;
        connection->connected = record->time;
        connection->connect_error = record->error;
    }
    bool opens = record->event == RECVSHIM_EVENT_ACCEPT || is_stream(record);
    if (opens && ((connection->known & CONNECTION_OPENED) == 0 || record->time < connection->opened)) {
        connection->known |= CONNECTION_OPENED;
        connection->opened = record->time;
    }
}

static void note_end(struct connection *connection, const struct recvshim_record *record)
{
    if (record->event == RECVSHIM_EVENT_DISCONNECT &&
        ((connection->known & CONNECTION_ENDED) == 0 || record->time < connection->ended)) {
        connection->known |= CONNECTION_ENDED;
        connection->ended = record->time;
        connection->cause = (uint8_t)cause_of(record);
        connection->ended_first = (uint8_t)first_of(record);
    }
    if (record->event == RECVSHIM_EVENT_CLOSE &&
        ((connection->known & CONNECTION_CLOSED) == 0 || record->time >= connection->closed)) {
        connection->known |= CONNECTION_CLOSED;
        connection->closed = record->time;
        connection->closed_first = (uint8_t)first_of(record);
    }
}

static struct table_key key_of(const struct recvshim_record *record)
{
    return (struct table_key){{record->connection, 0, 0}};
}

static void add_to_connection(struct totals *totals, const struct waiting_record *waiting, const struct sums *one)
{
    const struct recvshim_record *record = &waiting->record;
    struct table_key key = key_of(record);
    size_t known = totals->connections.count;
    struct connection *connection = table_add_hashed(&totals->connections, &key, waiting->hash);
    if (connection == NULL)
        return;
    bool arrived = record->event == RECVSHIM_EVENT_RECEIVE || record->event == RECVSHIM_EVENT_EMPTY;
    if (totals->connections.count != known) {
        connection->first = record->time;
        connection->last = record->time;
        connection->pid = record->pid;
    }
    note_process(connection, record, arrived);
    if (arrived && ((connection->known & CONNECTION_RECEIVED) == 0 || record->time > connection->received)) {
        connection->known |= CONNECTION_RECEIVED;
        connection->received = record->time;
    }
    if (record->time < connection->first)
        connection->first = record->time;
    if (record->time > connection->last)
        connection->last = record->time;
    if (has_peer(record))
        note_peer(totals, connection, record);
    note_local(connection, record);
    note_tcp(connection, record);
    if (record->event == RECVSHIM_EVENT_CONNECT || record->event == RECVSHIM_EVENT_ACCEPT)
        note_opening(connection, record);
    else
        note_end(connection, record);

    connection->receives += one->receives;
    add(&connection->bytes, one->bytes);
    connection->errors += one->errors;
    add(&connection->retries, one->retries);
    if ((connection->known & CONNECTION_PEERS) != 0 && has_peer(record))
        add_receives(peer_sums(totals, &record->peer), one);
}

static void count(struct totals *totals, const struct waiting_record *waiting)
{
    const struct recvshim_record *record = &waiting->record;
    bool receiving = record->event < RECVSHIM_EVENT_CONNECT;
    bool arrived = record->event == RECVSHIM_EVENT_RECEIVE || record->event == RECVSHIM_EVENT_EMPTY;
    struct sums one = {.errors = is_error(record), .retries = receiving ? record->retries : 0};
    if (arrived && (record->flags & (MSG_PEEK | MSG_ERRQUEUE)) == 0) {
        one.receives = 1;
        one.bytes = size_of_receive(record);
        histogram_add(&totals->sizes, one.bytes);
    }
    if (receiving && (record->result_flags & RECVSHIM_RESULT_DURATION) != 0)
        histogram_add(&totals->durations, record->duration);
    if (one.retries != 0 || record->event == RECVSHIM_EVENT_INTERRUPTED) {
        interruptions_add(&totals->interruptions, record);
        against_intent_add(&totals->against_intent, record);
    }

    totals->records++;
    totals->first = record->time < totals->first ? record->time : totals->first;
    totals->last = record->time > totals->last ? record->time : totals->last;
    totals->events[record->event < RECVSHIM_EVENTS ? record->event : RECVSHIM_EVENTS]
                  [record->call < RECVSHIM_CALLS ? record->call : RECVSHIM_CALLS]++;
    if (one.errors != 0)
        totals->errors[record->error < TOTALS_ERRORS ? record->error : TOTALS_ERRORS - 1]++;
    if (record->event == RECVSHIM_EVENT_FAULT)
        totals->injections[injection_of(record).action]++;
    if (record->event == RECVSHIM_EVENT_DISCONNECT && record->connection == 0)
        totals->all.disconnects[cause_of(record)]++;
    add_receives(&totals->all, &one);

    struct process_sums *process = process_of(totals, record->pid, record->time);
    add_receives(process != NULL ? &process->sums : &totals->other_processes, &one);
    if (process != NULL && record->event == RECVSHIM_EVENT_EXIT)
        process->exited = true;
    if (record->connection != 0)
        add_to_connection(totals, waiting, &one);
    totals->out_of_memory =
        totals->connections.out_of_memory || totals->processes.out_of_memory || totals->peers.out_of_memory;
}

#define WAITING (2 * TOTALS_AHEAD)

void totals_add(struct totals *totals, const struct recvshim_record *record)
{
    struct waiting_record *place = &totals->waiting[totals->taken % WAITING];
    if (totals->taken >= WAITING)
        count(totals, place);
    struct table_key key = key_of(record);
    place->record = *record;
    place->hash = table_hash(&totals->connections, &key);
    table_prefetch_slot(&totals->connections, place->hash);
    if (totals->taken >= TOTALS_AHEAD)
        table_prefetch_item(&totals->connections, totals->waiting[(totals->taken - TOTALS_AHEAD) % WAITING].hash);
    totals->taken++;
}

void totals_flush(struct totals *totals)
{
    for (uint64_t i = totals->taken > WAITING ? totals->taken - WAITING : 0; i < totals->taken; i++)
        count(totals, &totals->waiting[i % WAITING]);
    totals->taken = 0;
}
