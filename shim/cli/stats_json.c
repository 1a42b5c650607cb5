/* Statistics as one JSON object on a line: every key always, null where there is no value. */
#include "json.h"
#include "json_event.h"
#include "report.h"
#include "trace/clock.h"
#include "trace/names.h"

#include <sys/socket.h>
#include <time.h>

#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

/* An object on its way: whether a comma comes before the next key or item. */
struct json {
    struct output *output;
    bool comma;
};

static void separate(struct json *json)
{
    output_reserve(json->output);
    if (json->comma)
        output_byte(json->output, ',');
    json->comma = true;
}

static void add_key(struct json *json, const char *key)
{
    separate(json);
    output_byte(json->output, '"');
    output_text(json->output, key);
    LITERAL(json->output, "\":");
}

/* An object or array, which is an item of an array where it has no key. */
static void begin(struct json *json, const char *key, char bracket)
{
    if (key != NULL)
        add_key(json, key);
    else
        separate(json);
    output_byte(json->output, bracket);
    json->comma = false;
}

static void end(struct json *json, char bracket)
{
    output_byte(json->output, bracket);
    json->comma = true;
}

static void add_number(struct json *json, const char *key, uint64_t number)
{
    add_key(json, key);
    output_unsigned(json->output, number);
}

static void add_text(struct json *json, const char *key, const char *text)
{
    add_key(json, key);
    if (text == NULL)
        LITERAL(json->output, "null");
    else
        json_string(json->output, text, strlen(text));
}

static void add_truth(struct json *json, const char *key, bool truth)
{
    add_key(json, key);
    json_truth(json->output, truth);
}

static void add_null(struct json *json, const char *key)
{
    add_text(json, key, NULL);
}

static void add_time(struct json *json, const char *key, uint64_t realtime)
{
    time_t second = (time_t)(realtime / NANOSECONDS_A_SECOND);
    struct tm fields = {0};
    char stamp[32];
    gmtime_r(&second, &fields);
    strftime(stamp, sizeof stamp, "\"%Y-%m-%dT%H:%M:%S.", &fields);
    add_key(json, key);
    output_text(json->output, stamp);
    output_padded(json->output, realtime % NANOSECONDS_A_SECOND, 9);
    LITERAL(json->output, "Z\"");
}

static void add_address(const struct report *report, struct json *json, const char *key, bool known,
                        const struct recvshim_address *address, bool with_port)
{
    if (!known) {
        add_null(json, key);
        return;
    }
    char text[REPORT_ADDRESS_MAX];
    bool ip = address->family != AF_UNIX;
    size_t length = report_address(report, address, text);
    begin(json, key, '{');
    add_text(json, "family", address->family == AF_INET ? "inet" : ip ? "inet6" : "unix");
    add_key(json, "address");
    json_string(json->output, text, length);
    if (with_port && ip)
        add_number(json, "port", address->port);
    else if (with_port)
        add_null(json, "port");
    add_number(json, "scope_id", address->scope);
    end(json, '}');
}

static void add_disconnects(struct json *json, const uint64_t disconnects[CAUSES])
{
    begin(json, "disconnects", '{');
    for (size_t i = 0; i < CAUSES; i++)
        add_number(json, cause_names[i], disconnects[i]);
    end(json, '}');
}

static void add_sums(struct json *json, const struct sums *sums)
{
    add_number(json, "connections", sums->connections);
    add_number(json, "receives", sums->receives);
    add_number(json, "bytes", sums->bytes);
    add_number(json, "errors", sums->errors);
    add_number(json, "retries", sums->retries);
    add_disconnects(json, sums->disconnects);
}

static void add_connection(const struct report *report, struct json *json, const struct connection *connection)
{
    static const char *const ends[] = {[END_OPEN] = NULL,
                                       [END_DISCONNECT] = "disconnect",
                                       [END_CONNECT_FAILED] = "connect-failed",
                                       [END_CLOSED] = "close",
                                       [END_EXIT] = "exit",
                                       [END_UNKNOWN] = "unknown"};
    struct recvshim_address local;
    struct ending ending = report_ending(report, connection);
    bool several = (connection->known & CONNECTION_PEERS) != 0;
    bool has_local = connection_local(connection, &local);
    begin(json, NULL, '{');
    add_number(json, "connection", connection_number(connection));
    add_number(json, "pid", connection->pid);
    add_text(json, "comm", report_comm(report, connection->pid, connection_process_time(connection)));
    add_address(report, json, "local", has_local, &local, true);
    if (connection->local_port != 0)
        add_number(json, "local_port", connection->local_port);
    else
        add_null(json, "local_port");
    add_address(report, json, "peer", (connection->known & CONNECTION_PEER) != 0 && !several, &connection->peer, true);
    add_truth(json, "several_peers", several);
    add_number(json, "bytes", connection->bytes);
    add_number(json, "receives", connection->receives);
    add_number(json, "errors", connection->errors);
    add_number(json, "retries", connection->retries);
    add_time(json, "first_seen", report_realtime(report, connection->first));
    add_time(json, "last_seen", report_realtime(report, connection->last));
    add_number(json, "duration_ns", connection->last - connection->first);
    add_text(json, "end", ends[ending.end]);
    add_text(json, "cause", ending.end == END_DISCONNECT ? cause_names[ending.cause] : NULL);
    add_text(json, "error", ending.end == END_CONNECT_FAILED ? error_name(ending.error) : NULL);
    add_text(json, "first", first_name(ending.first));
    add_key(json, "tcp");
    json_tcp(json->output, (connection->known & CONNECTION_TCP) != 0 ? &connection->tcp : NULL);
    add_truth(json, "complete", report_complete(report, connection));
    end(json, '}');
}

static void add_processes(const struct report *report, struct json *json)
{
    begin(json, "processes", '[');
    for (size_t i = 0; i < report->processes_shown; i++) {
        const struct process_sums *process = report->processes[i];
        uint32_t pid = (uint32_t)process->key.words[0];
        begin(json, NULL, '{');
        add_number(json, "pid", pid);
        add_text(json, "comm", report_comm(report, pid, process->key.words[1]));
        add_sums(json, &process->sums);
        add_truth(json, "exited", process->exited);
        end(json, '}');
    }
    end(json, ']');
}

static void add_peers(const struct report *report, struct json *json)
{
    begin(json, "peers", '[');
    for (size_t i = 0; i < report->peers_shown; i++) {
        const struct peer_sums *peer = report->peers[i];
        begin(json, NULL, '{');
        add_address(report, json, "peer", true, &peer->address, false);
        add_sums(json, &peer->sums);
        end(json, '}');
    }
    end(json, ']');
}

static void add_others(struct json *json, const char *key, const struct sums *sums)
{
    begin(json, key, '{');
    add_sums(json, sums);
    end(json, '}');
}

/* What interrupted receives, and how often. Of those beyond the room of the table only what became of them is known. */
static void add_interruptions(struct json *json, const struct interruptions *interruptions)
{
    begin(json, "interruptions", '[');
    for (size_t i = 0; i < interruptions->count; i++) {
        const struct interruption_sums *sums = &interruptions->rows[i];
        begin(json, NULL, '{');
        add_text(json, "outcome", outcome_names[sums->interruption.outcome]);
        add_key(json, "signals");
        json_signals(json->output, &sums->interruption);
        add_key(json, "certain");
        json_certain(json->output, sums->interruption.certainty);
        add_number(json, "receives", sums->receives);
        add_number(json, "retries", sums->retries);
        end(json, '}');
    }
    end(json, ']');
    begin(json, "other_interruptions", '[');
    for (size_t i = 0; i < OUTCOMES; i++) {
        const struct interruption_sums *sums = &interruptions->others[i];
        if (sums->receives == 0)
            continue;
        begin(json, NULL, '{');
        add_text(json, "outcome", outcome_names[i]);
        add_number(json, "receives", sums->receives);
        add_number(json, "retries", sums->retries);
        end(json, '}');
    }
    end(json, ']');
}

static void add_histogram(struct json *json, const char *key, const struct histogram *histogram)
{
    if (histogram->count == 0) {
        add_null(json, key);
        return;
    }
    begin(json, key, '{');
    add_number(json, "count", histogram->count);
    add_number(json, "sum", histogram->sum);
    add_number(json, "min", histogram->min);
    add_number(json, "p50", histogram_quantile(histogram, 500));
    add_number(json, "p90", histogram_quantile(histogram, 900));
    add_number(json, "p99", histogram_quantile(histogram, 990));
    add_number(json, "max", histogram->max);
    begin(json, "buckets", '[');
    for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        begin(json, NULL, '{');
        add_number(json, "from", histogram_bucket_from(i));
        add_number(json, "to", histogram_bucket_to(i));
        add_number(json, "count", histogram->buckets[i]);
        end(json, '}');
    }
    end(json, ']');
    end(json, '}');
}

static void add_totals(const struct report *report, struct json *json)
{
    const struct totals *totals = report->totals;
    begin(json, "totals", '{');
    add_number(json, "records", totals->records);
    struct sums all = totals->all;
    all.connections = totals->connections.count;
    memcpy(all.disconnects, report->disconnects, sizeof all.disconnects);
    add_sums(json, &all);
    add_number(json, "open", report->open);
    add_number(json, "closed", report->closed);
    add_number(json, "exited", report->exited);
    add_number(json, "connects_failed", report->failed);
    add_number(json, "end_unknown", report->unknown);
    add_number(json, "incomplete", report->incomplete);
    begin(json, "events", '{');
    for (size_t i = 0; i <= RECVSHIM_EVENTS; i++) {
        uint64_t count = 0;
        for (size_t j = 0; j <= RECVSHIM_CALLS; j++)
            count += totals->events[i][j];
        add_number(json, i < RECVSHIM_EVENTS ? event_names[i] : "unknown", count);
    }
    end(json, '}');
    begin(json, "errors_by_name", '{');
    for (int i = 0; i < TOTALS_ERRORS; i++) {
        if (totals->errors[i] == 0)
            continue;
        add_number(json, error_name(i), totals->errors[i]);
    }
    end(json, '}');
    end(json, '}');
}

static void add_losses(const struct report *report, struct json *json)
{
    const struct reader_account *account = &report->account;
    begin(json, "losses", '{');
    add_number(json, "overwritten", account->overwritten);
    add_number(json, "dropped", account->dropped);
    add_number(json, "died", account->died);
    add_number(json, "pending", account->pending);
    if (account->complete_since == 0 || account->complete_since == UINT64_MAX)
        add_null(json, "complete_since");
    else
        add_time(json, "complete_since", report_realtime(report, account->complete_since));
    end(json, '}');
}

/* Faults by their actions. */
static void add_injections(const struct totals *totals, struct json *json)
{
    begin(json, "injections", '{');
    for (uint32_t i = 0; i <= RECVSHIM_ACTIONS; i++)
        add_number(json, action_name(i), totals->injections[i]);
    end(json, '}');
}

void report_json(const struct report *report, struct output *output)
{
    const struct totals *totals = report->totals;
    struct json json = {.output = output};
    begin(&json, NULL, '{');
    if (totals->records == 0) {
        add_null(&json, "first_seen");
        add_null(&json, "last_seen");
    } else {
        add_time(&json, "first_seen", report_realtime(report, totals->first));
        add_time(&json, "last_seen", report_realtime(report, totals->last));
    }
    add_truth(&json, "written", report->written);
    add_totals(report, &json);
    begin(&json, "connections", '[');
    for (size_t i = 0; i < report->connections_shown; i++)
        add_connection(report, &json, report->connections[i]);
    end(&json, ']');
    add_number(&json, "connections_left_out", totals->connections.count - report->connections_shown);
    add_processes(report, &json);
    add_others(&json, "other_processes", &totals->other_processes);
    add_peers(report, &json);
    add_others(&json, "other_peers", &totals->other_peers);
    add_interruptions(&json, &totals->interruptions);
    begin(&json, "distributions", '{');
    add_histogram(&json, "receive_bytes", &totals->sizes);
    add_histogram(&json, "call_duration_ns", &totals->durations);
    add_histogram(&json, "connection_lifetime_ns", &report->lifetimes);
    end(&json, '}');
    add_losses(report, &json);
    add_injections(totals, &json);
    end(&json, '}');
    output_byte(output, '\n');
}
