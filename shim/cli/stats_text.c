/* Statistics for a person: tables in tcplife's manner, distributions in that of bpftrace's hist. */
#include "bars.h"
#include "event.h"
#include "quantity.h"
#include "report.h"
#include "trace/clock.h"
#include "trace/names.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* libsmartcols escapes what may move a cursor; what is printed beside its tables are names of ours, and numbers. */
struct text {
    const struct report *report;
    struct output *output;
    bool date; /* the day is part of a time */
};

/* A table, and the line that is being filled. */
struct rows {
    struct libscols_table *table;
    struct libscols_line *line;
    size_t column;
};

struct column {
    const char *name;
    bool right;
};

static bool rows_begin(struct rows *rows, const struct text *text, const struct column *columns)
{
    *rows = (struct rows){.table = scols_new_table()};
    if (rows->table == NULL)
        return false;
    /* Never cut to the terminal's width: half an address is worth nothing. */
    scols_table_set_termforce(rows->table, SCOLS_TERMFORCE_NEVER);
    scols_table_enable_colors(rows->table, text->report->colour);
    for (; columns->name != NULL; columns++)
        if (scols_table_new_column(rows->table, columns->name, 0, columns->right ? SCOLS_FL_RIGHT : 0) == NULL)
            return false;
    return true;
}

static void next_row(struct rows *rows)
{
    rows->line = scols_table_new_line(rows->table, NULL);
    rows->column = 0;
}

static void cell(struct rows *rows, const char *text)
{
    if (rows->line != NULL)
        scols_line_set_data(rows->line, rows->column++, text);
}

__attribute__((format(printf, 2, 3))) static void cell_format(struct rows *rows, const char *format, ...)
{
    char text[320];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): as above */
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cell(rows, text);
}

static void cell_number(struct rows *rows, uint64_t number)
{
    cell_format(rows, "%" PRIu64, number);
}

static void colour_cell(struct rows *rows, const char *colour)
{
    if (rows->line != NULL)
        scols_cell_set_color(scols_line_get_cell(rows->line, rows->column - 1), colour);
}

static void rows_end(struct rows *rows, const struct text *text)
{
    char *printed = NULL;
    if (scols_print_table_to_string(rows->table, &printed) == 0 && printed != NULL) {
        output_long(text->output, printed, strlen(printed));
        output_long(text->output, "\n", printed[0] != '\0' && printed[strlen(printed) - 1] != '\n');
    }
    free(printed);
    scols_unref_table(rows->table);
}

static void cell_span(struct rows *rows, uint64_t nanoseconds)
{
    char span[32];
    quantity_span(nanoseconds, span);
    cell(rows, span);
}

static void cell_time(struct rows *rows, const struct text *text, uint64_t time)
{
    uint64_t realtime = report_realtime(text->report, time);
    struct tm fields = {0};
    char stamp[32];
    localtime_r(&(time_t){(time_t)(realtime / NANOSECONDS_A_SECOND)}, &fields);
    strftime(stamp, sizeof stamp, text->date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &fields);
    cell_format(rows, "%s.%03" PRIu64, stamp, realtime % NANOSECONDS_A_SECOND / 1000000);
}

static void cell_address(struct rows *rows, const struct text *text, const struct recvshim_address *address,
                         bool with_port)
{
    char bare[REPORT_ADDRESS_MAX], scope[16] = "", port[8] = "";
    report_address(text->report, address, bare);
    if (address->family == AF_UNIX) {
        cell(rows, bare[0] != '\0' ? bare : "unix");
        return;
    }
    if (address->scope != 0)
        snprintf(scope, sizeof scope, "%%%" PRIu32, address->scope);
    if (with_port)
        snprintf(port, sizeof port, ":%" PRIu16, address->port);
    bool brackets = address->family == AF_INET6 && with_port;
    cell_format(rows, "%s%s%s%s%s", brackets ? "[" : "", bare, scope, brackets ? "]" : "", port);
}

static void cell_ends(struct rows *rows, const struct text *text, const struct connection *connection)
{
    struct recvshim_address local;
    if (connection_local(connection, &local))
        cell_address(rows, text, &local, true);
    else if (connection->local_port != 0)
        cell_format(rows, "*:%" PRIu16, connection->local_port);
    else
        cell(rows, "*");
    if ((connection->known & CONNECTION_PEERS) != 0)
        cell(rows, "several");
    else if ((connection->known & CONNECTION_PEER) != 0)
        cell_address(rows, text, &connection->peer, true);
    else
        cell(rows, "*");
}

static void add_connection(struct rows *rows, const struct text *text, const struct connection *connection,
                           bool with_tcp)
{
    const struct report *report = text->report;
    struct ending ending = report_ending(report, connection);
    const char *comm = report_comm(report, connection->pid, connection_process_time(connection));
    const char *first = first_name(ending.first);
    bool complete = report_complete(report, connection), tcp = (connection->known & CONNECTION_TCP) != 0;
    next_row(rows);
    cell_number(rows, connection_number(connection));
    cell_number(rows, connection->pid);
    cell(rows, comm != NULL ? comm : "?");
    cell_ends(rows, text, connection);
    cell_format(rows, "%" PRIu64 "%s", connection->bytes, complete ? "" : "+");
    if (!complete)
        colour_cell(rows, "yellow");
    cell_format(rows, "%" PRIu64 "%s", connection->receives, complete ? "" : "+");
    cell_time(rows, text, connection->first);
    cell_time(rows, text, connection->last);
    cell_span(rows, connection->last - connection->first);
    cell(rows, ending_name(&ending));
    if (ending.end == END_CONNECT_FAILED ||
        (ending.end == END_DISCONNECT && ending.cause != CAUSE_EOF && ending.cause != CAUSE_LOCAL_SHUTDOWN))
        colour_cell(rows, "red");
    cell(rows, first != NULL ? first : "");
    if (!with_tcp)
        return;
    if (!tcp) {
        cell(rows, "");
        cell(rows, "");
        return;
    }
    if (connection->tcp.rtt < 1000) /* the kernel knows no more digits */
        cell_format(rows, "%" PRIu32 " us", connection->tcp.rtt);
    else
        cell_span(rows, connection->tcp.rtt * UINT64_C(1000));
    cell_format(rows, "%u%s", connection->tcp.retransmits, connection->tcp.retransmits == UINT16_MAX ? "+" : "");
}

static void print_more(const struct text *text, size_t all, size_t shown, const char *what)
{
    if (all > shown)
        output_print(text->output, "... and %zu more %s; --top all shows all of them\n", all - shown, what);
}

static void print_connections(const struct text *text)
{
    static const struct column columns[] = {{"ID", true},    {"PID", true},      {"COMM", false},    {"LOCAL", false},
                                            {"PEER", false}, {"BYTES", true},    {"RECEIVES", true}, {"FIRST", false},
                                            {"LAST", false}, {"DURATION", true}, {"END", false},     {"BY", false},
                                            {"RTT", true},   {"RESENT", true},   {NULL, false}};
    struct column wanted[sizeof columns / sizeof columns[0]];
    const struct report *report = text->report;
    struct rows rows;
    bool with_tcp = false;
    for (size_t i = 0; i < report->connections_shown; i++)
        with_tcp = with_tcp || (((const struct connection *)report->connections[i])->known & CONNECTION_TCP) != 0;
    memcpy(wanted, columns, sizeof columns);
    if (!with_tcp)
        wanted[sizeof columns / sizeof columns[0] - 3].name = NULL;
    if (report->connections_shown == 0 || !rows_begin(&rows, text, wanted))
        return;
    for (size_t i = 0; i < report->connections_shown; i++)
        add_connection(&rows, text, report->connections[i], with_tcp);
    rows_end(&rows, text);
    print_more(text, report->totals->connections.count, report->connections_shown, "connections");
    if (report->incomplete != 0)
        output_print(text->output, "+ at least: records of %" PRIu64 " of the connections may have been lost\n",
                     report->incomplete);
    if (report->unknown != 0)
        output_print(text->output, "END ?: it may be among the %s\n",
                     report->hidden ? "events that were not asked for" : "lost records");
}

static const struct column sums_columns[] = {{"CONNECTIONS", true}, {"RECEIVES", true}, {"BYTES", true},
                                             {"ERRORS", true},      {"RETRIES", true},  {"DISCONNECTS", false},
                                             {NULL, false}};

static void cells_of_sums(struct rows *rows, const struct sums *sums)
{
    cell_number(rows, sums->connections);
    cell_number(rows, sums->receives);
    cell_number(rows, sums->bytes);
    cell_number(rows, sums->errors);
    cell_number(rows, sums->retries);
    char causes[320] = "";
    size_t length = 0;
    for (size_t i = 0; i < CAUSES; i++)
        if (sums->disconnects[i] != 0 && length < sizeof causes)
            length += (size_t)snprintf(causes + length, sizeof causes - length, "%s%" PRIu64 " %s",
                                       length > 0 ? ", " : "", sums->disconnects[i], cause_names[i]);
    cell(rows, causes);
}

static bool sums_begin(struct rows *rows, const struct text *text, const struct column *first, size_t count)
{
    struct column columns[16];
    memcpy(columns, first, count * sizeof *columns);
    memcpy(columns + count, sums_columns, sizeof sums_columns);
    output_print(text->output, "\n");
    return rows_begin(rows, text, columns);
}

static void print_idle(const struct text *text, size_t idle, const char *before)
{
    if (idle > 0)
        output_print(text->output, "%s%zu process%s without a connection or a receive\n", before, idle,
                     idle == 1 ? "" : "es");
}

/* Whether a process has been seen to start or exit, and nothing else: as each of a shell script's. */
static bool is_idle(const struct process_sums *process)
{
    const struct sums *sums = &process->sums;
    return sums->connections + sums->receives + sums->errors + sums->retries == 0;
}

static void print_processes(const struct text *text)
{
    static const struct column columns[] = {{"PID", true}, {"COMM", false}};
    const struct report *report = text->report;
    struct rows rows;
    size_t idle = 0, shown = 0;
    for (size_t i = 0; i < report->process_table.count; i++)
        idle += is_idle(table_at(&report->process_table, i));
    for (size_t i = 0; i < report->processes_shown; i++)
        shown += !is_idle(report->processes[i]);
    if (shown == 0 || !sums_begin(&rows, text, columns, 2)) {
        print_idle(text, idle, "\n");
        return;
    }
    for (size_t i = 0; i < report->processes_shown; i++) {
        const struct process_sums *process = report->processes[i];
        if (is_idle(process))
            continue;
        uint32_t pid = (uint32_t)process->key.words[0];
        const char *comm = report_comm(report, pid, process->key.words[1]);
        next_row(&rows);
        cell_number(&rows, pid);
        cell(&rows, comm != NULL ? comm : "?");
        cells_of_sums(&rows, &process->sums);
    }
    rows_end(&rows, text);
    print_more(text, report->process_table.count - idle, shown, "processes");
    print_idle(text, idle, "");
}

static void print_peers(const struct text *text)
{
    static const struct column columns[] = {{"PEER", false}};
    const struct report *report = text->report;
    const struct sums *others = &report->totals->other_peers;
    struct rows rows;
    if (report->peers_shown == 0 || !sums_begin(&rows, text, columns, 1))
        return;
    for (size_t i = 0; i < report->peers_shown; i++) {
        const struct peer_sums *peer = report->peers[i];
        next_row(&rows);
        cell_address(&rows, text, &peer->address, false);
        cells_of_sums(&rows, &peer->sums);
    }
    rows_end(&rows, text);
    print_more(text, report->peer_table.count, report->peers_shown, "peers");
    if (others->receives + others->errors != 0)
        output_print(text->output,
                     "Of sockets with several peers the first %d are told apart; all others: %" PRIu64
                     " receives, %" PRIu64 " bytes\n",
                     TOTALS_PEERS_MAX, others->receives, others->bytes);
}

/* In the words of `show`. `words` tell the signals. */
static void print_interruption(const struct text *text, const struct interruption_sums *sums, const char *words)
{
    static const char *const outcomes[OUTCOMES] = {
        [OUTCOME_PASSED] = "left to the program by policy", [OUTCOME_LEFT] = "could not be retried"};
    struct output *output = text->output;
    enum outcome outcome = sums->interruption.outcome;
    if (outcome == OUTCOME_RETRIED) {
        output_print(output, "retried %" PRIu64 " time%s in %" PRIu64 " receive%s%s\n", sums->retries,
                     sums->retries == 1 ? "" : "s", sums->receives, sums->receives == 1 ? "" : "s", words);
        return;
    }
    output_print(output, "%s %" PRIu64 " time%s%s", outcomes[outcome], sums->receives, sums->receives == 1 ? "" : "s",
                 words);
    if (sums->retries != 0)
        output_print(output, ", retried %" PRIu64 " time%s before", sums->retries, sums->retries == 1 ? "" : "s");
    output_print(output, "\n");
}

static void print_interruptions(const struct text *text)
{
    const struct interruptions *interruptions = &text->report->totals->interruptions;
    char words[INTERRUPTION_WORDS_MAX], remark[AGAINST_INTENT_WORDS_MAX];
    if (interruptions->count == 0)
        return;
    output_print(text->output, "\nINTERRUPTED RECEIVES\n");
    for (size_t i = 0; i < interruptions->count && i < text->report->limit; i++) {
        interruption_words(&interruptions->rows[i].interruption, "after", words);
        print_interruption(text, &interruptions->rows[i], words);
    }
    print_more(text, interruptions->count, text->report->limit, "kinds of interruptions");
    for (size_t i = 0; i < OUTCOMES; i++)
        if (interruptions->others[i].receives != 0)
            print_interruption(text, &interruptions->others[i], " after other signals");
    if (against_intent_words(&text->report->totals->against_intent, remark))
        output_print(text->output, "%s\n", remark);
}

/* Nothing at all where none were: who injects no faults need not know of them. */
static void print_injections(const struct text *text)
{
    const uint64_t *injections = text->report->totals->injections;
    const char *before = "injected faults:";
    for (uint32_t i = 0; i <= RECVSHIM_ACTIONS; i++) {
        if (injections[i] == 0)
            continue;
        output_print(text->output, "%s %" PRIu64 " %s", before, injections[i], action_name(i));
        before = "";
    }
    output_print(text->output, "%s", *before == '\0' ? "\n" : "");
}

static void print_totals(const struct text *text)
{
    const struct report *report = text->report;
    const struct totals *totals = report->totals;
    const struct {
        const char *name;
        uint64_t count;
    } ends[] = {{"open", report->open},
                {"closed", report->closed},
                {"ended with their process", report->exited},
                {"never connected", report->failed},
                {"with an end that is not known", report->unknown}};
    const char *before = ":";
    output_print(text->output, "\n%zu connection%s", totals->connections.count,
                 totals->connections.count == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends[i].count == 0)
            continue;
        output_print(text->output, "%s %" PRIu64 " %s", before, ends[i].count, ends[i].name);
        before = ",";
    }
    for (size_t i = 0; i < CAUSES; i++) {
        if (report->disconnects[i] == 0)
            continue;
        output_print(text->output, "%s %" PRIu64 " %s", before, report->disconnects[i], cause_names[i]);
        before = ",";
    }
    output_print(text->output,
                 "\n%" PRIu64 " bytes in %" PRIu64 " receives, %" PRIu64 " retries\nevents:", totals->all.bytes,
                 totals->all.receives, totals->all.retries);
    for (size_t i = 0; i <= RECVSHIM_EVENTS; i++) {
        uint64_t count = 0;
        for (size_t j = 0; j <= RECVSHIM_CALLS; j++)
            count += totals->events[i][j];
        if (count != 0)
            output_print(text->output, " %" PRIu64 " %s", count, i < RECVSHIM_EVENTS ? event_names[i] : "unknown");
    }
    output_print(text->output, "%s\nerrors:", totals->records == 0 ? " none" : "");
    for (int i = 0; i < TOTALS_ERRORS; i++)
        if (totals->errors[i] != 0)
            output_print(text->output, " %" PRIu64 " %s", totals->errors[i], error_name(i));
    output_print(text->output, "%s\n", totals->all.errors == 0 ? " none" : "");
    print_injections(text);
}

static void print_losses(const struct text *text)
{
    const struct reader_account *account = &text->report->account;
    uint64_t lost = account->overwritten + account->dropped + account->died;
    if (lost == 0) {
        output_print(text->output, "losses: none\n");
        return;
    }
    output_print(text->output,
                 "losses: %" PRIu64 " of %" PRIu64 " records: %" PRIu64 " overwritten, %" PRIu64 " dropped, %" PRIu64
                 " left unfinished by killed writers; a larger --size of the trace keeps more\n",
                 lost, account->cursor, account->overwritten, account->dropped, account->died);
}

static bool is_today(const struct report *report)
{
    time_t begun = (time_t)(report->totals->trace->header.realtime / NANOSECONDS_A_SECOND), now = time(NULL);
    struct tm day, today;
    return localtime_r(&begun, &day) != NULL && localtime_r(&now, &today) != NULL && day.tm_yday == today.tm_yday &&
           day.tm_year == today.tm_year;
}

void report_text(const struct report *report, struct output *output)
{
    struct text text = {report, output, !is_today(report)};
    /* What is printed is UTF-8 in every locale; libsmartcols has to know, or it escapes every letter beyond ASCII. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL), before = NULL;
    if (utf8 != NULL)
        before = uselocale(utf8);
    print_connections(&text);
    print_processes(&text);
    print_peers(&text);
    print_interruptions(&text);
    bars_print(output, report->width, "size of a receive", &report->totals->sizes, quantity_size);
    bars_print(output, report->width, "time in a receiving call", &report->totals->durations, quantity_span);
    bars_print(output, report->width, "life of a connection that ended", &report->lifetimes, quantity_span);
    print_totals(&text);
    print_losses(&text);
    if (utf8 != NULL) {
        uselocale(before);
        freelocale(utf8);
    }
}
