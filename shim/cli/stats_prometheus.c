/* Statistics in Prometheus's text exposition format: what has few values as a label, and nothing of a single
 * connection. Times are seconds, sizes bytes; what only grows ends in _total. */
#include "event.h"
#include "report.h"
#include "trace/clock.h"
#include "trace/names.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

static void add_head(struct output *output, const char *name, const char *type, const char *help)
{
    output_reserve(output);
    LITERAL(output, "# HELP recvshim_");
    output_text(output, name);
    output_byte(output, ' ');
    output_text(output, help);
    LITERAL(output, "\n# TYPE recvshim_");
    output_text(output, name);
    output_byte(output, ' ');
    output_text(output, type);
    output_byte(output, '\n');
}

static void begin_sample(struct output *output, const char *name)
{
    output_reserve(output);
    LITERAL(output, "recvshim_");
    output_text(output, name);
}

static void add_value(struct output *output, uint64_t value)
{
    output_byte(output, ' ');
    output_unsigned(output, value);
    output_byte(output, '\n');
}

/* A label's value: valid UTF-8, with backslash, quote and line end escaped. */
static void add_label_value(struct output *output, const char *text)
{
    size_t count = strlen(text);
    output_byte(output, '"');
    for (size_t at = 0; at < count;) {
        uint32_t character;
        size_t length = utf8_decode(text + at, count - at, &character);
        if (text[at] == '\n')
            LITERAL(output, "\\n");
        else if (text[at] == '\\' || text[at] == '"')
            output_bytes(output, (char[]){'\\', text[at]}, 2);
        else if (length == 0)
            output_text(output, "\xef\xbf\xbd");
        else
            output_bytes(output, text + at, length);
        at += length == 0 ? 1 : length;
    }
    output_byte(output, '"');
}

static void add_sample(struct output *output, const char *name, const char *label, const char *text, uint64_t value)
{
    begin_sample(output, name);
    output_byte(output, '{');
    output_text(output, label);
    output_byte(output, '=');
    add_label_value(output, text);
    output_byte(output, '}');
    add_value(output, value);
}

static void add_single(struct output *output, const char *name, const char *type, const char *help, uint64_t value)
{
    add_head(output, name, type, help);
    begin_sample(output, name);
    add_value(output, value);
}

static void add_events(const struct totals *totals, struct output *output)
{
    static const char name[] = "events_total";
    add_head(output, name, "counter", "Events in the trace, by kind and call.");
    for (size_t event = 0; event <= RECVSHIM_EVENTS; event++) {
        for (size_t call = 0; call <= RECVSHIM_CALLS; call++) {
            if (totals->events[event][call] == 0)
                continue;
            begin_sample(output, name);
            LITERAL(output, "{event=");
            add_label_value(output, event < RECVSHIM_EVENTS ? event_names[event] : "unknown");
            LITERAL(output, ",call=");
            add_label_value(output, call < RECVSHIM_CALLS ? call_names[call] : "");
            output_byte(output, '}');
            add_value(output, totals->events[event][call]);
        }
    }
}

static void add_signal(void *context, const char *name)
{
    struct output *output = context;
    output_separate(output, '"', ',');
    output_text(output, name);
}

static void add_interruption(struct output *output, const char *name, const struct interruption_sums *sums, bool other,
                             size_t offset)
{
    static const char *const certain[] = {
        [CERTAINTY_UNKNOWN] = "unknown", [CERTAINTY_CANDIDATES] = "false", [CERTAINTY_EXACT] = "true"};
    uint64_t value;
    memcpy(&value, (const char *)sums + offset, sizeof value);
    begin_sample(output, name);
    LITERAL(output, "{outcome=\"");
    output_text(output, outcome_names[sums->interruption.outcome]);
    LITERAL(output, "\",signals=\"");
    if (other)
        LITERAL(output, "other");
    signals_for_each(sums->interruption.signals, add_signal, output);
    LITERAL(output, "\",certain=\"");
    output_text(output, certain[sums->interruption.certainty]);
    LITERAL(output, "\"}");
    add_value(output, value);
}

/* Those beyond the table's room have `other` for their signals. */
static void add_interruptions(const struct interruptions *interruptions, struct output *output)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } metrics[] = {
        {"interrupted_receives_total", "Receives that were interrupted, by what became of them, and by signals.",
         offsetof(struct interruption_sums, receives)},
        {"interrupted_receive_retries_total", "Interruptions that these absorbed.",
         offsetof(struct interruption_sums, retries)},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        add_head(output, metrics[i].name, "counter", metrics[i].help);
        for (size_t j = 0; j < interruptions->count; j++)
            add_interruption(output, metrics[i].name, &interruptions->rows[j], false, metrics[i].offset);
        for (size_t j = 0; j < OUTCOMES; j++)
            if (interruptions->others[j].receives != 0)
                add_interruption(output, metrics[i].name, &interruptions->others[j], true, metrics[i].offset);
    }
}

/* A pid may have been several programs', one after the other: they are one here, under the last one's name, as no two
 * samples may have the same labels. */
static void add_processes(const struct report *report, struct output *output)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } metrics[] = {
        {"process_connections", "Connections, by the process that received on them last.",
         offsetof(struct sums, connections)},
        {"process_receives_total", "Receives that took something from a socket.", offsetof(struct sums, receives)},
        {"process_received_bytes_total", "Bytes received.", offsetof(struct sums, bytes)},
        {"process_errors_total", "Receives and connects that failed.", offsetof(struct sums, errors)},
        {"process_retries_total", "Interruptions absorbed.", offsetof(struct sums, retries)},
    };
    size_t count = report->process_table.count;
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        add_head(output, metrics[i].name, i == 0 ? "gauge" : "counter", metrics[i].help);
        uint64_t sum = 0;
        for (size_t j = 0; j < count; j++) {
            const struct process_sums *process = report->by_pid[j];
            uint32_t pid = (uint32_t)process->key.words[0];
            uint64_t value;
            memcpy(&value, (const char *)&process->sums + metrics[i].offset, sizeof value);
            sum += value;
            if (j + 1 < count && ((const struct process_sums *)report->by_pid[j + 1])->key.words[0] == pid)
                continue;
            const char *comm = report_comm(report, pid, process->key.words[1]);
            begin_sample(output, metrics[i].name);
            LITERAL(output, "{pid=\"");
            output_unsigned(output, pid);
            LITERAL(output, "\",comm=");
            add_label_value(output, comm != NULL ? comm : "");
            output_byte(output, '}');
            add_value(output, sum);
            sum = 0;
        }
    }
}

/* Exactly: numbers are whole, so that an octave of 64 to 127 is what is at most 127. */
static void add_bound(struct output *output, uint64_t bound, bool nanoseconds)
{
    output_unsigned(output, nanoseconds ? bound / NANOSECONDS_A_SECOND : bound);
    if (nanoseconds) {
        output_byte(output, '.');
        output_padded(output, bound % NANOSECONDS_A_SECOND, 9);
    }
}

static void add_histogram(struct output *output, const char *name, const char *help, const struct histogram *histogram,
                          bool nanoseconds)
{
    add_head(output, name, "histogram", help);
    uint64_t count = 0;
    /* The same bounds every time, whatever there is: bytes to 16 MiB, times from 1 us to 73 minutes. */
    unsigned int first = nanoseconds ? 10 : 0, last = nanoseconds ? 42 : 24;
    for (unsigned int octave = 0; octave <= last; octave++) {
        count += histogram_octave(histogram, octave);
        if (octave < first)
            continue;
        begin_sample(output, name);
        LITERAL(output, "_bucket{le=\"");
        add_bound(output, histogram_octave_to(octave), nanoseconds);
        LITERAL(output, "\"}");
        add_value(output, count);
    }
    begin_sample(output, name);
    LITERAL(output, "_bucket{le=\"+Inf\"}");
    add_value(output, histogram->count);
    begin_sample(output, name);
    LITERAL(output, "_sum ");
    add_bound(output, histogram->sum, nanoseconds);
    output_byte(output, '\n');
    begin_sample(output, name);
    LITERAL(output, "_count");
    add_value(output, histogram->count);
}

static void add_injections(const struct totals *totals, struct output *output)
{
    static const char name[] = "faults_injected_total";
    add_head(output, name, "counter", "Faults injected into receives, by action.");
    for (uint32_t i = 0; i <= RECVSHIM_ACTIONS; i++)
        if (i < RECVSHIM_ACTIONS || totals->injections[i] != 0)
            add_sample(output, name, "action", action_name(i), totals->injections[i]);
}

static void add_losses(const struct reader_account *account, struct output *output)
{
    static const char name[] = "lost_records_total";
    add_head(output, name, "counter", "Records that were lost: overwritten, dropped by writers, or died with them.");
    add_sample(output, name, "reason", "overwritten", account->overwritten);
    add_sample(output, name, "reason", "dropped", account->dropped);
    add_sample(output, name, "reason", "died", account->died);
}

void report_prometheus(const struct report *report, struct output *output)
{
    const struct totals *totals = report->totals;
    add_events(totals, output);
    add_single(output, "receives_total", "counter", "Receives that took something from a socket.",
               totals->all.receives);
    add_single(output, "received_bytes_total", "counter", "Bytes received.", totals->all.bytes);
    add_single(output, "retries_total", "counter", "Interruptions of receives that were absorbed.",
               totals->all.retries);
    add_interruptions(&totals->interruptions, output);
    add_head(output, "errors_total", "counter", "Receives and connects that failed, by errno.");
    for (int i = 0; i < TOTALS_ERRORS; i++)
        if (totals->errors[i] != 0)
            add_sample(output, "errors_total", "error", error_name(i), totals->errors[i]);
    add_single(output, "connections_total", "counter", "Connections with an event in the trace.",
               totals->connections.count);
    add_single(output, "open_connections", "gauge", "Connections whose end is not in the trace.", report->open);
    add_head(output, "disconnects_total", "counter", "Ends of connections as receives told them, by cause.");
    for (size_t i = 0; i < CAUSES; i++)
        add_sample(output, "disconnects_total", "cause", cause_names[i], report->disconnects[i]);

    add_processes(report, output);
    add_histogram(output, "receive_size_bytes", "Bytes of each receive.", &totals->sizes, false);
    if (totals->durations.count != 0)
        add_histogram(output, "call_duration_seconds", "Time in each receiving call, where it was measured.",
                      &totals->durations, true);
    add_histogram(output, "connection_lifetime_seconds",
                  "From the first to the last event of connections that have ended.", &report->lifetimes, true);
    add_losses(&report->account, output);
    add_injections(totals, output);
}
