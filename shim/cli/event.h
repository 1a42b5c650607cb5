/* One event, with all that has to be looked up for it: what every format prints. */
#ifndef EVENT_H
#define EVENT_H

#include "injection.h"
#include "interruption.h"
#include "trace/cause.h"
#include "trace/lookup.h"

#include <stdbool.h>

struct event {
    struct recvshim_record record; /* of a fault: with 0 for what only other events have, as `fault` has the rest */
    uint64_t realtime;             /* nanoseconds since 1970, UTC */
    const char *comm;              /* of the process; NULL if it is not known */
    uint32_t parent;               /* of the process; 0 if it is not known */
    const char *event;             /* names */
    const char *call;              /* NULL of RECVSHIM_CALL_NONE */
    const char *cause;             /* NULL for all but a disconnect */
    const char *first;     /* who ended the connection first: "peer", "program"; NULL where that means nothing */
    const char *error;     /* NULL where there is none */
    const char *socket;    /* "stream"; NULL if it is not known */
    const char *tcp_state; /* "CLOSE_WAIT"; NULL where TCP was not asked: record.tcp then means nothing */
    bool is_call;          /* a receive, or a fault injected into one: requested and flags mean something */
    bool is_receive;       /* size and retries too */
    bool is_fault;         /* result means nothing */
    bool is_process;       /* start or exit: fd means nothing */
    uint64_t size;         /* bytes the program got into its buffer */
    struct interruption interruption;
    struct injection fault; /* with is_fault */
    const char *family;     /* "inet", "inet6", "unix"; NULL without a peer */
    bool has_local;         /* local_address is known */
    size_t address_length, local_length;
    char address[160], local_address[160]; /* as text; a unix path may hold any bytes */
};

#define EVENT_ADDRESSES_LOG2 10
#define EVENT_ADDRESSES      (1U << EVENT_ADDRESSES_LOG2)

/* Fills events in. Keeps what was looked up for the next one. */
struct event_maker {
    const struct trace *trace;
    struct process_list *processes;
    struct address_text {
        uint16_t family;
        uint8_t address[16];
        uint8_t length; /* 0: unused */
        char text[47];
    } addresses[EVENT_ADDRESSES];
};

void event_maker_init(struct event_maker *maker, const struct trace *trace, struct process_list *processes);

/* The rest of the event from its record. */
void event_complete(struct event_maker *maker, struct event *event);

/* The name of a TCP state, as "ESTABLISHED"; "unknown" for none of the kernel's. */
const char *tcp_state_name(uint8_t state);

/* The name of an errno, as "ECONNRESET". */
const char *error_name(int error);

/* Call `each` with the name of every MSG_* flag in the set, in the order of their bits; bits without a name come last,
 * as one number in hexadecimal. */
void flags_for_each(uint32_t flags, void (*each)(void *context, const char *name), void *context);

#endif
