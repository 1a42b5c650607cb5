/* The formats in which events are printed: one file each. */
#ifndef FORMAT_H
#define FORMAT_H

#include "event.h"
#include "output.h"

#include <time.h>

struct fault_list;
struct story;

/* What a format may need to know, and keeps from one event to the next. */
struct printer {
    struct output *output;
    const struct format *format;
    const struct process_list *processes; /* may grow between two events */
    uint64_t monotonic;                   /* the trace's clock at its start */
    struct story *story;                  /* NULL, or of the one connection that is printed */
    struct fault_list *faults;            /* what format_faults prints in the end; others need none */
    bool colour;
    bool date;       /* the day is part of the time */
    uint64_t events; /* printed so far */
    uint64_t second; /* since 1970: the one that `stamp` tells */
    uint32_t stamp_length;
    char stamp[32];
};

/* begin and end may be NULL. event appends at most OUTPUT_EVENT_MAX bytes; the others reserve for themselves. */
struct format {
    const char *name;
    void (*begin)(struct printer *printer);
    void (*event)(struct printer *printer, const struct event *event);
    void (*end)(struct printer *printer);
};

extern const struct format format_text, format_json, format_csv, format_chrome, format_faults;

/* The format of that name: text, json, csv, chrome or faults; NULL if there is none. */
const struct format *format_find(const char *name);

void printer_init(struct printer *printer, struct output *output, const struct format *format,
                  const struct trace *trace, const struct process_list *processes);
void printer_event(struct printer *printer, const struct event *event);
/* Append the time up to the second, in strftime's words, in UTC or local time. A printer keeps to one of these. */
void printer_stamp(struct printer *printer, const char *words, struct tm *(*convert)(const time_t *, struct tm *),
                   uint64_t realtime);

#endif
