#include "format.h"

#include "story.h"
#include "trace/clock.h"

const struct format *format_find(const char *name)
{
    static const struct format *const formats[] = {&format_text, &format_json, &format_csv, &format_chrome,
                                                   &format_faults};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

void printer_init(struct printer *printer, struct output *output, const struct format *format,
                  const struct trace *trace, const struct process_list *processes)
{
    *printer = (struct printer){
        .output = output, .format = format, .processes = processes, .monotonic = trace->header.monotonic};
    /* A time of day says enough of today, and too little of any other day. */
    time_t begun = (time_t)(trace->header.realtime / NANOSECONDS_A_SECOND), now = time(NULL);
    struct tm day, today;
    if (localtime_r(&begun, &day) != NULL && localtime_r(&now, &today) != NULL)
        printer->date = day.tm_yday != today.tm_yday || day.tm_year != today.tm_year;
}

void printer_event(struct printer *printer, const struct event *event)
{
    output_reserve(printer->output);
    if (printer->story != NULL)
        story_add(printer->story, event);
    printer->format->event(printer, event);
    printer->events++;
}

void printer_stamp(struct printer *printer, const char *words, struct tm *(*convert)(const time_t *, struct tm *),
                   uint64_t realtime)
{
    uint64_t second = realtime / NANOSECONDS_A_SECOND;
    if (second != printer->second || printer->stamp_length == 0) {
        /* 64 bits of nanoseconds end in 2554: every year has four digits. */
        struct tm fields = {0};
        convert(&(time_t){(time_t)second}, &fields);
        printer->stamp_length = (uint32_t)strftime(printer->stamp, sizeof printer->stamp, words, &fields);
        printer->second = second;
    }
    output_bytes(printer->output, printer->stamp, printer->stamp_length);
}
