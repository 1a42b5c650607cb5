/* The layout of a recvshim trace, for the library that writes it and for every program that reads it.
 *
 * A trace is one file, mapped by all its writers and readers at once:
 *
 *      0 +-----------------------------+
 *        | header                      |  written once, before the file gets its name
 *   4096 +-----------------------------+  } mapped read-only in traced processes
 *        | control                     |  written by the command only
 *  64 Ki +-----------------------------+  (64 Ki: the largest page size of any Linux machine)
 *        | counters          128 bytes |
 *        | rules      512 *  32 bytes  |  what rules of fault injection have counted, in all processes
 *        | cursors   shards * 128 bytes |  one a shard, each on cache lines of its own
 *        | processes  n *  64 bytes    |  who wrote: never overwritten
 *        | names      n * 128 bytes    |  unix paths, each once
 *        +-----------------------------+  (next multiple of 4096)
 *        | shard 0: slots * 128 bytes  |
 *        | shard 1: ...                |
 *        +-----------------------------+
 *
 * The counts are in the header; recvshim_layout() below turns them into offsets. Everything has a fixed width and the
 * byte order of the machine that wrote it. 32- and 64-bit processes share one file.
 *
 * A reader takes every byte of a trace as hostile, and copies the header before it uses it.
 */
#ifndef RECVSHIM_TRACE_H
#define RECVSHIM_TRACE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Clang promises it of every object: on i386 only atomic ones are aligned as it takes, as all are here. */
#if (ATOMIC_LLONG_LOCK_FREE != 2 && !(defined __clang__ && (defined __i586__ || defined __i686__))) ||                 \
    ATOMIC_INT_LOCK_FREE != 2
#error "recvshim needs lock-free atomics of 4 and 8 bytes: a lock in a process cannot guard memory shared by many"
#endif

#define RECVSHIM_MAGIC      "recvshim" /* 8 bytes, no terminator in the file */
#define RECVSHIM_VERSION    2U
#define RECVSHIM_BYTE_ORDER 0x01020304U

#define RECVSHIM_CONTROL_OFFSET  4096U
#define RECVSHIM_WRITABLE_OFFSET 65536U
#define RECVSHIM_RECORD_SIZE     128U
#define RECVSHIM_MAX_SHARDS      64U
#define RECVSHIM_MAX_PROCESSES   65536U
#define RECVSHIM_MAX_NAMES       4096U
/* slots * shards * 128 stays far below 2^63, so that no sum of offsets can overflow. */
#define RECVSHIM_MAX_SLOTS (UINT64_C(1) << 40)

/* What happened. The names are those of the JSON output. Numbers are part of the format: append, never reorder. */
#define RECVSHIM_EVENT_TABLE(X)                                                                                        \
    X(RECEIVE, "receive", "data arrived")                                                                              \
    X(EMPTY, "empty", "a zero-length datagram arrived")                                                                \
    X(DISCONNECT, "disconnect", "the connection ended, or was ended")                                                  \
    X(ERROR, "error", "any other failure")                                                                             \
    X(INTERRUPTED, "interrupted", "EINTR reached the program")                                                         \
    X(WOULD_BLOCK, "would-block", "nothing there yet: EAGAIN")                                                         \
    X(CONNECT, "connect", "the program asked for a connection, or learnt what became of it")                           \
    X(ACCEPT, "accept", "the program accepted a connection")                                                           \
    X(CLOSE, "close", "the program closed the descriptor")                                                             \
    X(START, "start", "a process began to write here")                                                                 \
    X(EXIT, "exit", "a process ended, of its own will")                                                                \
    X(FAULT, "fault", "a fault was injected into a receive")

/* Which call the program made. The fortified forms count as the plain ones; of a recvmmsg each message is a receive of
 * its own. Append, never reorder. */
#define RECVSHIM_CALL_TABLE(X)                                                                                         \
    X(RECV, "recv")                                                                                                    \
    X(RECVFROM, "recvfrom")                                                                                            \
    X(RECVMSG, "recvmsg")                                                                                              \
    X(RECVMMSG, "recvmmsg")                                                                                            \
    X(READ, "read")                                                                                                    \
    X(READV, "readv")

#define RECVSHIM_ENUM_EVENT(id, name, meaning) RECVSHIM_EVENT_##id,
enum recvshim_event { RECVSHIM_EVENT_TABLE(RECVSHIM_ENUM_EVENT) RECVSHIM_EVENTS };
#undef RECVSHIM_ENUM_EVENT

#define RECVSHIM_ENUM_CALL(id, name) RECVSHIM_CALL_##id,
enum recvshim_call { RECVSHIM_CALL_TABLE(RECVSHIM_ENUM_CALL) RECVSHIM_CALLS };
#undef RECVSHIM_ENUM_CALL

/* Of an event that is about no receive: connect, accept, close, start, exit. */
#define RECVSHIM_CALL_NONE 255U

/* What fault injection does to a receive: a rule's ACTION, and what its value counts. Append, never reorder. */
#define RECVSHIM_ACTION_TABLE(X)                                                                                       \
    X(ERROR, "error", "an errno: the call fails with it, and takes nothing")                                           \
    X(EOF, "eof", "none: the call returns 0, and so do all later ones on its connection")                              \
    X(SHORT, "short", "bytes: a stream is asked for no more")                                                          \
    X(DELAY, "delay", "nanoseconds: the call starts later")                                                            \
    X(INTERRUPT, "interrupt", "interruptions below the retry")                                                         \
    X(TRUNCATE, "truncate", "bytes: a datagram is cut to them")                                                        \
    X(DROP, "drop", "none: a datagram is thrown away, and the next one awaited")                                       \
    X(CORRUPT, "corrupt", "bits of the received data are flipped")                                                     \
    X(SCOPE, "scope", "a scope id: the lower layer's sin6_scope_id becomes it")

#define RECVSHIM_ENUM_ACTION(id, name, meaning) RECVSHIM_ACTION_##id,
enum recvshim_action { RECVSHIM_ACTION_TABLE(RECVSHIM_ENUM_ACTION) RECVSHIM_ACTIONS };
#undef RECVSHIM_ENUM_ACTION

/* A set of events has bit N for event N. */
#define RECVSHIM_EVENTS_ALL     ((1U << RECVSHIM_EVENTS) - 1U)
#define RECVSHIM_EVENTS_DEFAULT (RECVSHIM_EVENTS_ALL & ~(1U << RECVSHIM_EVENT_WOULD_BLOCK))

/* What happens to records once a shard has been filled. */
enum recvshim_mode {
    RECVSHIM_MODE_OVERWRITE, /* the oldest give way */
    RECVSHIM_MODE_STOP,      /* the newest are counted as dropped */
};

struct recvshim_header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint32_t record_size;
    uint32_t shards; /* a power of two, 1 to RECVSHIM_MAX_SHARDS */
    uint64_t slots;  /* in each shard: a power of two, 1 to RECVSHIM_MAX_SLOTS */
    uint32_t processes;
    uint32_t names; /* a power of two, 1 to RECVSHIM_MAX_NAMES */
    uint32_t mode;  /* enum recvshim_mode */
    uint32_t clock; /* the clockid_t of every time in the trace, in nanoseconds */
    /* One moment on both clocks, see recvshim_realtime(). */
    uint64_t monotonic;
    uint64_t realtime;
    uint8_t boot_id[16];    /* of /proc/sys/kernel/random/boot_id; all zero where that cannot be read */
    uint64_t pid_namespace; /* inode of /proc/self/ns/pid; 0 where that cannot be read */
    uint64_t seed;          /* of every random choice made under this trace */
};

/* A record's time as nanoseconds since 1970, UTC. */
static inline uint64_t recvshim_realtime(const struct recvshim_header *header, uint64_t time)
{
    return header->realtime + (time - header->monotonic);
}

/* What a rule of fault injection keeps its counts for. */
enum recvshim_per { RECVSHIM_PER_PROCESS, RECVSHIM_PER_CONNECTION, RECVSHIM_PER_TRACE, RECVSHIM_PERS };

/* A rule of fault injection: README has the meaning of each part. One that is all zero matches nothing. */
struct recvshim_rule {
    /* First what tells of most rules that they have nothing to do with a call: two words. */
    uint32_t calls;             /* set of enum recvshim_call; RECVSHIM_RULE_EVERY_CALL for `*` */
    int32_t fd;                 /* -1: any */
    uint16_t family;            /* of `peer`: AF_INET, AF_INET6; 0: any peer, or none */
    uint16_t port;              /* the peer's; 0: any */
    uint8_t action;             /* enum recvshim_action */
    uint8_t per;                /* enum recvshim_per */
    uint8_t type;               /* SOCK_STREAM or SOCK_DGRAM; 0: any */
    uint8_t peer_bits;          /* leading bits of `peer` that must agree: up to 32 or 128 */
    uint64_t after;             /* once the connection has received that many bytes */
    uint64_t origin;            /* only of the connection of this origin; 0: any */
    uint64_t first, last, step; /* when: of the calls that it counts, from 1, `first` and every `step`th up to `last` */
    uint64_t low;               /* the action's value is drawn from these two and all between */
    uint64_t high;
    uint64_t times;   /* injections at most; 0: any number */
    uint64_t draw;    /* what a `corrupt` draws its bits from; 0: from the seed, as every other draw */
    uint32_t chance;  /* 1 to RECVSHIM_CHANCE_ALWAYS */
    uint16_t counter; /* which of a connection's RECVSHIM_CONNECTION_COUNTERS counts for this rule, where it needs one;
                       * RECVSHIM_NO_COUNTER else */
    uint16_t reserved;
    uint8_t peer[16]; /* as recvshim_address has it; the bits beyond peer_bits are 0 */
};
#define RECVSHIM_RULE_EVERY_CALL     UINT32_MAX
#define RECVSHIM_CHANCE_ALWAYS       UINT32_C(1000000000)
#define RECVSHIM_CONNECTION_COUNTERS 8U
#define RECVSHIM_NO_COUNTER          UINT16_MAX
#define RECVSHIM_RULE_WORDS          14
#define RECVSHIM_MAX_RULES           512U

/* Switches that reach every process that has the trace mapped, at its next call. */
struct recvshim_control {
    _Atomic uint32_t tracing; /* 0: nothing is recorded. Also what a process reads once its map has been replaced */
    _Atomic uint32_t events;  /* the set of events that are recorded */
    /* Whose rules hold. 0: each process has those that it was started with, and `rule_words` are those of whoever made
     * the trace, for a reader to know. Else all processes have those of `rule_words`. Odd: they are being written, and
     * nothing is injected. With each generation all that rules count begins anew. */
    _Atomic uint32_t generation;
    _Atomic uint32_t rules; /* how many there are, up to RECVSHIM_MAX_RULES */
    alignas(64) _Atomic uint64_t rule_words[RECVSHIM_MAX_RULES][RECVSHIM_RULE_WORDS]; /* each a struct recvshim_rule */
};

#define RECVSHIM_COUNT_BITS 40
#define RECVSHIM_COUNT_MAX  ((UINT64_C(1) << RECVSHIM_COUNT_BITS) - 1)

/* A count of up to RECVSHIM_COUNT_MAX as such a word: the generation's upper 8 bits are lost. */
static inline uint64_t recvshim_count_word(uint32_t generation, uint64_t count)
{
    return (uint64_t)generation << RECVSHIM_COUNT_BITS | count;
}
/* The count in such a word, if it is of that generation; else 0. */
static inline uint64_t recvshim_counted(uint64_t word, uint32_t generation)
{
    return ((word ^ recvshim_count_word(generation, 0)) >> RECVSHIM_COUNT_BITS) == 0 ? word & RECVSHIM_COUNT_MAX : 0;
}

/* What the rule of the same number has counted in all processes that share its generation. The counts are
 * `generation:24 | count:40`; another generation means 0. */
struct recvshim_rule_counters {
    alignas(32) _Atomic uint64_t calls; /* with RECVSHIM_PER_TRACE: that it selected */
    _Atomic uint64_t taken;             /* with RECVSHIM_PER_TRACE and `times`: of these */
    _Atomic uint64_t injected;          /* always: injections */
    uint64_t reserved;
};

struct recvshim_counters {
    alignas(128) _Atomic uint64_t connections; /* connection ids given out: the ids run from 1 to this */
    _Atomic uint64_t processes;                /* processes that said hello; those beyond the table have no entry */
    _Atomic uint64_t nameless;                 /* unix paths for which there was no room */
    _Atomic uint64_t foreign; /* processes of another pid namespace than the header's: their tids mean nothing there */
    /* Receives that went on waiting although the policy `intent` would have left them to the program (those that
     * RECVSHIM_RESULT_INTENT marks, but told when they begin: such a one may never end), those of them that ended, and
     * the signals, as in recvshim_record. Never ended have those of a process that was killed or replaced, and those
     * that were left by siglongjmp or cancellation. */
    _Atomic uint64_t overruled;
    _Atomic uint64_t overruled_ended;
    _Atomic uint64_t overruled_signals;
};

struct recvshim_cursor {
    alignas(128) _Atomic uint64_t cursor; /* positions given out: position P is slot P % slots in lap P / slots */
    _Atomic uint64_t dropped;             /* positions given up by their owners: shard full, or slot not free */
};

/* A process that had the trace mapped. The pid is stored last (release), and 0 until then. */
struct recvshim_process {
    alignas(64) _Atomic uint32_t pid;
    uint32_t parent;
    uint64_t start; /* when it mapped the trace, or when a forked child first wrote */
    char comm[16];  /* as the kernel gives it: cut, terminated */
    uint8_t reserved[32];
};

/* A unix socket's path, referred to by its index from a record's address. */
struct recvshim_name {
    alignas(64) _Atomic uint32_t state; /* 0 free, 1 being written, 2 whole (release) */
    uint32_t length;                    /* of text, 1 to 108 */
    char text[108];                     /* sun_path's bytes; an abstract name begins with a zero byte */
    uint8_t reserved[12];
};

/* Result flags of a record. */
enum {
    RECVSHIM_RESULT_NORMALISED = 1, /* the scope id was changed on the way to the program */
    RECVSHIM_RESULT_DURATION = 2,   /* duration was measured */
    RECVSHIM_RESULT_PEER = 4,       /* family, port, scope and address tell who sent this, or is at the other end */
    RECVSHIM_RESULT_LOCAL = 8,      /* family and local_address tell which address of ours it came to */
    RECVSHIM_RESULT_TCP = 16,       /* tcp was asked for, just after the call (close: just before it) */
    /* Of the connection, as this process knew it at the time of a disconnect or close: */
    RECVSHIM_RESULT_CONNECTED = 32,      /* it was connected, by accept, connect, socketpair or by having received */
    RECVSHIM_RESULT_SHUT_READ = 64,      /* the program had called shutdown(SHUT_RD) or SHUT_RDWR */
    RECVSHIM_RESULT_PROGRAM_FIRST = 128, /* the program had shut down writing before it saw the peer's end */
    RECVSHIM_RESULT_PEER_ENDED = 256,    /* the program has seen the peer's end; if not now, before */
    /* Of a receive that was interrupted, whether it was retried or not: */
    RECVSHIM_RESULT_SIGNALS = 512,     /* `signals` are those whose handlers ran meanwhile, in this thread */
    RECVSHIM_RESULT_CANDIDATES = 1024, /* `signals` are those that may have interrupted it: they had handlers, and were
                                        * not blocked; empty where SIGSTOP and SIGCONT alone can have done it */
    RECVSHIM_RESULT_PASSED = 2048,     /* EINTR reached the program because the policy or the pass list let it; an
                                        * `interrupted` without it could not be retried */
    RECVSHIM_RESULT_INTENT = 4096,     /* it was retried, and the policy `intent` would not have (of candidates: would
                                        * not have after one of them): the program may count on EINTR */
};

/* One end of a connection. */
struct recvshim_address {
    uint16_t family; /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t port;   /* host byte order */
    uint32_t scope;  /* sin6_scope_id */
    /* IPv6: all 16. IPv4: the first 4. Unix: the index of its name + 1 in the first 4, host byte order; 0 for a socket
     * without a path. */
    uint8_t bytes[16];
};

/* What TCP_INFO said (tcp(7), struct tcp_info), as far as a person with a broken connection wants it. */
struct recvshim_tcp {
    uint32_t rtt;         /* smoothed round-trip time, us */
    uint16_t retransmits; /* segments sent again, ever; UINT16_MAX: that many or more */
    uint8_t state;        /* TCP_ESTABLISHED and so on, of netinet/tcp.h */
    uint8_t unacked;      /* segments sent and not acknowledged; UINT8_MAX: that many or more */
};

/* What repeats a fault, beside its action, value and ordinal. */
struct recvshim_injection {
    uint64_t origin; /* of the connection: the same in every run, see README; never 0 */
    uint64_t draw;   /* what a `corrupt` drew its bits from */
};

/* The facts of one call, as the traced process saw them.
 *
 *   event     result                                 error                          also of meaning
 *   connect   of connect(); -1, EINPROGRESS: under   errno; from getsockopt(),      peer, local, duration
 *             way, and what the program then learns  the value of SO_ERROR
 *             from SO_ERROR is another connect
 *   accept    the descriptor                         0                              peer, local
 *   close     0                                      0                              tcp, the flags of the connection
 *             (of each descriptor that it has)
 *   start     0                                      0                              only the process
 *   exit      the status given to exit or _exit      0                              only the process
 *
 *   fault     the action's value, see                errno, of RECVSHIM_ACTION_     peer, local port, requested,
 *             RECVSHIM_ACTION_TABLE                  ERROR                          flags, call; rule, ordinal,
 *                                                                                   injection
 *
 * and of every other event: the receive's own. requested, flags and retries are 0 in the first five, call is
 * RECVSHIM_CALL_NONE, fd is -1 in `start` and `exit`. A fault is recorded when it is injected, before the receive
 * returns, which it may never do. */
struct recvshim_record {
    uint64_t time;       /* when the call returned; of a close, when it was made */
    uint64_t connection; /* 1 and up, of one socket from its making to its last close, in every process that has it by
                          * fork; 0 where the descriptor is beyond what is tracked, and of a process */
    int64_t result;      /* what the call returned */
    uint64_t requested;  /* the length the program asked for, bytes */
    union {
        uint64_t duration; /* ns in the call, with RECVSHIM_RESULT_DURATION */
        uint64_t ordinal;  /* of a fault: which of its connection's receives this is, from 1, since there are rules */
    };
    uint32_t pid;
    uint32_t tid;
    int32_t fd;
    uint32_t flags; /* MSG_* as the program gave them */
    uint16_t error; /* errno of a failure, else 0 */
    uint8_t event;  /* enum recvshim_event */
    uint8_t call;   /* enum recvshim_call, or RECVSHIM_CALL_NONE */
    union {
        uint32_t retries; /* interruptions absorbed; UINT32_MAX: that many or more */
        uint32_t rule;    /* of a fault: the number of its rule, from 1 */
    };
    union { /* with RECVSHIM_RESULT_PEER; of RECVSHIM_RESULT_LOCAL alone, the family */
        struct recvshim_address peer;
        struct {
            uint16_t family;
            uint16_t port;
            uint32_t scope; /* as the program got it */
            uint8_t address[16];
        };
    };
    uint16_t local_port;   /* host byte order; 0 where unknown */
    uint16_t result_flags; /* RECVSHIM_RESULT_* */
    uint16_t injected;     /* what fault injection did to the receive: a set of enum recvshim_action; of a fault: its
                            * action alone */
    uint8_t socket_type;   /* SOCK_STREAM and so on; 0 where it is not known */
    uint8_t reserved;
    union {
        uint8_t local_address[16]; /* with RECVSHIM_RESULT_LOCAL, in the first records of a connection: as `bytes` */
        struct {
            struct recvshim_tcp tcp; /* with RECVSHIM_RESULT_TCP: of a TCP disconnect, or close */
            uint64_t signals;        /* with RECVSHIM_RESULT_SIGNALS or _CANDIDATES, and not with the local address of
                                      * AF_INET6: bit N - 1 for signal N, as this machine numbers them */
        };
        struct recvshim_injection injection; /* of a fault */
    };
};

/* A slot: the state word, the record, and the state word's claim again.
 *
 *   writer   cursor    a position of its own                                                 relaxed
 *            state     not busy, and of an older lap: exchange it for `busy`, else drop it     acquire
 *            tail      the claim                                                               relaxed
 *                                                                                              release fence
 *            payload                                                                           relaxed
 *            state     `done`                                                                  release
 *   reader   state     `done` of the lap that is due                                           acquire
 *            payload, tail                                                                     relaxed
 *                                                                                              acquire fence
 *            state     the same word still: the copy is a record, if the claim in tail agrees  relaxed
 *
 * Nobody ever waits for another. These orders are enough on any machine: tests/model has the proof, as far as a search
 * of every execution of a small ring is one.
 *
 * A copy made front to back by somebody who knows nothing of this (cp of a live trace) looks at the state but once.
 * What is torn in it shows in the tail, which is stored before the first word of the record, where loads keep their
 * order as on x86. Where they may overtake each other (arm64) such a copy proves nothing of slots that were written
 * meanwhile. */
#define RECVSHIM_PAYLOAD_WORDS 14
struct recvshim_slot {
    alignas(128) _Atomic uint64_t state;
    _Atomic uint64_t payload[RECVSHIM_PAYLOAD_WORDS]; /* a struct recvshim_record, copied by words: no data race */
    _Atomic uint64_t tail;
};

_Static_assert(sizeof(struct recvshim_header) <= RECVSHIM_CONTROL_OFFSET, "the header has one page");
_Static_assert(sizeof(struct recvshim_record) == RECVSHIM_PAYLOAD_WORDS * sizeof(uint64_t), "a record fills a payload");
_Static_assert(sizeof(struct recvshim_slot) == RECVSHIM_RECORD_SIZE, "a slot is two cache lines");
_Static_assert(sizeof(struct recvshim_counters) == 128 && sizeof(struct recvshim_cursor) == 128, "no false sharing");
_Static_assert(sizeof(struct recvshim_rule) == RECVSHIM_RULE_WORDS * sizeof(uint64_t), "a rule fills its words");
_Static_assert(RECVSHIM_CONTROL_OFFSET + sizeof(struct recvshim_control) <= RECVSHIM_WRITABLE_OFFSET,
               "what processes only read ends where they write");
_Static_assert(sizeof(struct recvshim_rule_counters) == 32, "the same for every class");
_Static_assert(sizeof(struct recvshim_process) == 64 && sizeof(struct recvshim_name) == 128,
               "the same for every class");

/* On i386 a 64-bit field is aligned to 4 bytes, unless it is atomic, or told otherwise: each stands where it would have
 * been aligned to 8 anyway. */
#define RECVSHIM_STANDS_AT(offset, structure, field)                                                                   \
    _Static_assert(offsetof(struct recvshim_##structure, field) == (offset), "the same for every class")
RECVSHIM_STANDS_AT(24, header, slots);
RECVSHIM_STANDS_AT(48, header, monotonic);
RECVSHIM_STANDS_AT(80, header, pid_namespace);
RECVSHIM_STANDS_AT(88, header, seed);
RECVSHIM_STANDS_AT(16, rule, after);
RECVSHIM_STANDS_AT(80, rule, draw);
RECVSHIM_STANDS_AT(88, rule, chance);
RECVSHIM_STANDS_AT(96, rule, peer);
RECVSHIM_STANDS_AT(64, control, rule_words);
RECVSHIM_STANDS_AT(16, rule_counters, injected);
RECVSHIM_STANDS_AT(48, counters, overruled_signals);
RECVSHIM_STANDS_AT(8, cursor, dropped);
RECVSHIM_STANDS_AT(8, process, start);
RECVSHIM_STANDS_AT(32, record, duration);
RECVSHIM_STANDS_AT(40, record, pid);
RECVSHIM_STANDS_AT(60, record, retries);
RECVSHIM_STANDS_AT(64, record, peer);
RECVSHIM_STANDS_AT(88, record, local_port);
RECVSHIM_STANDS_AT(96, record, local_address);
RECVSHIM_STANDS_AT(104, record, signals);
RECVSHIM_STANDS_AT(104, record, injection.draw);
RECVSHIM_STANDS_AT(8, slot, payload);
RECVSHIM_STANDS_AT(120, slot, tail);
#undef RECVSHIM_STANDS_AT

/* The state word: `lap + 1` in 40 bits, the owner's tid in 22, the state in 2. All zero is a slot never used. */
enum recvshim_state {
    RECVSHIM_STATE_EMPTY,
    RECVSHIM_STATE_BUSY,
    RECVSHIM_STATE_DONE,
    RECVSHIM_STATE_ABANDONED, /* its owner died while it was busy; set by a reader, never by a writer */
};

static inline uint64_t recvshim_state_word(uint64_t lap, uint32_t tid, enum recvshim_state state)
{
    return (lap + 1) << 24 | (uint64_t)(tid & 0x3fffffU) << 2 | (uint64_t)state;
}
static inline enum recvshim_state recvshim_state_of(uint64_t word)
{
    return (enum recvshim_state)(word & 3U);
}
/* Laps written so far: 0 for a slot never used. */
static inline uint64_t recvshim_laps_of(uint64_t word)
{
    return word >> 24;
}
static inline uint32_t recvshim_tid_of(uint64_t word)
{
    return (uint32_t)(word >> 2) & 0x3fffffU;
}

/* Where the parts of a trace begin, in bytes from its start. */
struct recvshim_layout {
    uint64_t counters;
    uint64_t rules;
    uint64_t cursors;
    uint64_t processes;
    uint64_t names;
    uint64_t slots;
    uint64_t size; /* of the whole file: exactly this */
};

static inline struct recvshim_layout recvshim_layout(uint32_t shards, uint64_t slots, uint32_t processes,
                                                     uint32_t names)
{
    struct recvshim_layout layout = {.counters = RECVSHIM_WRITABLE_OFFSET};
    layout.rules = layout.counters + sizeof(struct recvshim_counters);
    layout.cursors = layout.rules + (uint64_t)RECVSHIM_MAX_RULES * sizeof(struct recvshim_rule_counters);
    layout.processes = layout.cursors + (uint64_t)shards * sizeof(struct recvshim_cursor);
    layout.names = layout.processes + (uint64_t)processes * sizeof(struct recvshim_process);
    layout.slots = (layout.names + (uint64_t)names * sizeof(struct recvshim_name) + 4095U) & ~UINT64_C(4095);
    layout.size = layout.slots + shards * slots * RECVSHIM_RECORD_SIZE;
    return layout;
}

#endif
