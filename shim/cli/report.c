#include "report.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const char *const report_keys[] = {"bytes", "receives", "duration", "first", "last", "connection", "pid", "peer", NULL};

uint64_t report_realtime(const struct report *report, uint64_t time)
{
    return recvshim_realtime(&report->totals->trace->header, time);
}

const char *report_comm(const struct report *report, uint32_t pid, uint64_t time)
{
    const struct process *process = process_find(report->totals->processes_known, pid, time);
    return process != NULL ? process->comm : NULL;
}

/* NULL for one that is among the others. */
static struct process_sums *process_of(const struct report *report, const struct connection *connection)
{
    const struct process *process =
        process_find(report->totals->processes_known, connection->pid, connection_process_time(connection));
    struct table_key key = process_key(process, connection->pid);
    return table_find(&report->process_table, &key);
}

struct ending report_ending(const struct report *report, const struct connection *connection)
{
    const struct process_sums *process = process_of(report, connection);
    struct ending ending = verdict_ending(connection, !report->written || (process != NULL && process->exited));
    bool full = report->totals->trace->header.mode == RECVSHIM_MODE_STOP;
    if ((ending.end == END_OPEN || ending.end == END_EXIT) &&
        (report->hidden || verdict_end_lost(connection, &report->account, full)))
        ending.end = END_UNKNOWN;
    return ending;
}

bool report_complete(const struct report *report, const struct connection *connection)
{
    struct table_key pid = {{connection->pid, 0, 0}};
    bool childless = report->all_parents_known && table_find(&report->parents, &pid) == NULL;
    return verdict_complete(connection, &report->account, childless);
}

/* Every pid that a process which said hello calls its parent. */
static bool collect_parents(struct report *report)
{
    const struct process_list *list = report->totals->processes_known;
    table_init(&report->parents, sizeof(struct table_key), SIZE_MAX);
    report->all_parents_known = list->claimed == list->count;
    if (report->account.gaps_since == UINT64_MAX)
        return true; /* nobody will ask */
    for (size_t i = 0; i < list->count; i++) {
        struct table_key pid = {{list->items[i].parent, 0, 0}};
        if (table_add(&report->parents, &pid) == NULL)
            return false;
    }
    return true;
}

size_t report_address(const struct report *report, const struct recvshim_address *address,
                      char text[REPORT_ADDRESS_MAX])
{
    if (address->family == AF_INET || address->family == AF_INET6) {
        inet_ntop(address->family, address->bytes, text, REPORT_ADDRESS_MAX);
        return strlen(text);
    }
    uint32_t name;
    memcpy(&name, address->bytes, sizeof name);
    size_t length = lookup_name(report->totals->trace, name, text);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = '@';
    text[length] = '\0';
    return length;
}

bool connection_local(const struct connection *connection, struct recvshim_address *address)
{
    uint16_t family = connection->local_family;
    *address = (struct recvshim_address){.family = family, .port = connection->local_port};
    memcpy(address->bytes, connection->local_address, sizeof address->bytes);
    return (connection->known & CONNECTION_LOCAL) != 0 &&
           (family == AF_INET || family == AF_INET6 || family == AF_UNIX);
}

/* Whether `left` comes first: 1, comes last: -1, or neither. */
static int larger(uint64_t left, uint64_t right)
{
    return left > right ? 1 : left < right ? -1 : 0;
}

static int by_peer(const struct connection *left, const struct connection *right)
{
    /* Those without one last, those with several before them. */
    unsigned int mask = CONNECTION_PEER | CONNECTION_PEERS;
    unsigned int rank_left = (left->known & mask) == CONNECTION_PEER,
                 rank_right = (right->known & mask) == CONNECTION_PEER;
    if (rank_left != rank_right)
        return larger(rank_left, rank_right);
    if (left->peer.family != right->peer.family)
        return larger(right->peer.family, left->peer.family);
    int bytes = memcmp(right->peer.bytes, left->peer.bytes, sizeof left->peer.bytes);
    return bytes != 0 ? bytes : larger(right->peer.port, left->peer.port);
}

static int compare(enum report_key key, const struct connection *left, const struct connection *right)
{
    switch (key) {
    case REPORT_BYTES:
        return larger(left->bytes, right->bytes);
    case REPORT_RECEIVES:
        return larger(left->receives, right->receives);
    case REPORT_DURATION:
        return larger(left->last - left->first, right->last - right->first);
    case REPORT_FIRST:
        return larger(right->first, left->first);
    case REPORT_LAST:
        return larger(left->last, right->last);
    case REPORT_PID:
        return larger(right->pid, left->pid);
    case REPORT_PEER:
        return by_peer(left, right);
    case REPORT_CONNECTION:
        break;
    }
    return larger(connection_number(right), connection_number(left));
}

static bool connection_before(const void *context, const void *left, const void *right)
{
    const struct report_order *order = context;
    int verdict = compare(order->key, left, right);
    if (verdict == 0)
        verdict = compare(REPORT_CONNECTION, left, right);
    return order->reversed ? verdict < 0 : verdict > 0;
}

/* By bytes, then receives, connections, errors; at last by their keys, so that the order is always the same. */
static bool sums_before(const struct sums *left, const struct sums *right, const void *left_key, const void *right_key)
{
    int verdict = larger(left->bytes, right->bytes);
    if (verdict == 0)
        verdict = larger(left->receives, right->receives);
    if (verdict == 0)
        verdict = larger(left->connections, right->connections);
    if (verdict == 0)
        verdict = larger(left->errors, right->errors);
    return verdict != 0 ? verdict > 0 : memcmp(left_key, right_key, sizeof(struct table_key)) < 0;
}

static bool process_before(const void *context, const void *left_item, const void *right_item)
{
    (void)context;
    const struct process_sums *left = left_item, *right = right_item;
    return sums_before(&left->sums, &right->sums, left, right);
}

static bool peer_before(const void *context, const void *left_item, const void *right_item)
{
    (void)context;
    const struct peer_sums *left = left_item, *right = right_item;
    return sums_before(&left->sums, &right->sums, left, right);
}

/* What a connection adds to its peer, and to its process, which has its receives already. */
static void share_out(struct report *report, const struct connection *connection, const struct ending *ending)
{
    struct sums ends = {.connections = 1};
    if (ending->end == END_DISCONNECT)
        ends.disconnects[ending->cause] = 1;
    struct process_sums *process = process_of(report, connection);
    if (process != NULL)
        sums_add(&process->sums, &ends);
    if ((connection->known & (CONNECTION_PEER | CONNECTION_PEERS)) != CONNECTION_PEER)
        return;
    ends.receives = connection->receives;
    ends.bytes = connection->bytes;
    ends.errors = connection->errors;
    ends.retries = connection->retries;
    struct table_key key = peer_key(&connection->peer);
    struct peer_sums *peer = table_add(&report->peer_table, &key);
    if (peer != NULL)
        sums_add(&peer->sums, &ends);
}

static void judge(struct report *report, const struct connection *connection)
{
    struct ending ending = report_ending(report, connection);
    bool complete = report_complete(report, connection);
    report->incomplete += !complete;
    switch (ending.end) {
    case END_OPEN:
        report->open++;
        break;
    case END_CLOSED:
        report->closed++;
        break;
    case END_EXIT:
        report->exited++;
        break;
    case END_CONNECT_FAILED:
        report->failed++;
        break;
    case END_UNKNOWN:
        report->unknown++;
        break;
    case END_DISCONNECT:
        report->disconnects[ending.cause]++;
        break;
    }
    if (complete && (ending.end == END_CLOSED || ending.end == END_DISCONNECT))
        histogram_add(&report->lifetimes, connection->last - connection->first);
    share_out(report, connection, &ending);
}

static bool copy_table(struct table *copy, const struct table *table, size_t max)
{
    table_init(copy, table->size, max);
    for (size_t i = 0; i < table->count; i++) {
        void *item = table_add(copy, table_at(table, i));
        if (item == NULL)
            return false;
        memcpy(item, table_at(table, i), table->size);
    }
    return true;
}

static bool choose(const struct report *report, const struct table *table, table_before *before, const void ***chosen,
                   size_t *count)
{
    size_t room = report->limit < table->count ? report->limit : table->count;
    *chosen = reallocarray(NULL, room + 1, sizeof **chosen);
    if (*chosen == NULL)
        return false;
    *count = table_choose(table, before, &report->order, *chosen, room);
    return true;
}

static int by_pid(const void *left_item, const void *right_item)
{
    const struct process_sums *left = *(const struct process_sums *const *)left_item;
    const struct process_sums *right = *(const struct process_sums *const *)right_item;
    for (size_t i = 0; i < 2; i++)
        if (left->key.words[i] != right->key.words[i])
            return left->key.words[i] < right->key.words[i] ? -1 : 1;
    return 0;
}

static bool sort_processes(struct report *report)
{
    size_t count = report->process_table.count;
    report->by_pid = reallocarray(NULL, count + 1, sizeof *report->by_pid);
    if (report->by_pid == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        report->by_pid[i] = table_at(&report->process_table, i);
    qsort(report->by_pid, count, sizeof *report->by_pid, by_pid);
    return true;
}

bool report_make(struct report *report)
{
    struct totals *totals = report->totals;
    interruptions_sort(&totals->interruptions);
    /* Each peer of a connection is one at the most: as many as there are connections, and the bounded rest. */
    if (!collect_parents(report) || !copy_table(&report->process_table, &totals->processes, TOTALS_PROCESSES_MAX) ||
        !copy_table(&report->peer_table, &totals->peers, SIZE_MAX))
        return false;
    memcpy(report->disconnects, totals->all.disconnects, sizeof report->disconnects);
    for (size_t i = 0; i < totals->connections.count; i++) {
        if (i + TOTALS_AHEAD < totals->connections.count) {
            const struct connection *later = table_at(&totals->connections, i + TOTALS_AHEAD);
            struct table_key key = peer_key(&later->peer);
            table_prefetch_slot(&report->peer_table, table_hash(&report->peer_table, &key));
        }
        judge(report, table_at(&totals->connections, i));
    }
    return !report->peer_table.out_of_memory && sort_processes(report) &&
           choose(report, &totals->connections, connection_before, &report->connections, &report->connections_shown) &&
           choose(report, &report->process_table, process_before, &report->processes, &report->processes_shown) &&
           choose(report, &report->peer_table, peer_before, &report->peers, &report->peers_shown);
}

void report_free(struct report *report)
{
    free(report->connections);
    free(report->processes);
    free(report->peers);
    free(report->by_pid);
    report->connections = report->processes = report->peers = report->by_pid = NULL;
    table_free(&report->peer_table);
    table_free(&report->process_table);
    table_free(&report->parents);
}
