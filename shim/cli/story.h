/* The story of one connection, from its first event to its last, told when all its events have been printed. */
#ifndef STORY_H
#define STORY_H

#include "event.h"
#include "output.h"

struct story {
    uint64_t connection;
    uint64_t begun, ended; /* times of the first event and the last, on the trace's clock */
    uint64_t events, receives, bytes, errors, faults;
    struct event peer; /* the first event that had one */
    bool has_peer, several_peers;
    bool closed, disconnected;
    int refusal;      /* errno of the last connect, if it failed for good; else 0 */
    enum cause cause; /* of the disconnect */
    enum first first; /* who ended the connection */
};

void story_begin(struct story *story, uint64_t connection);
/* Events come in the order of time, all of this connection. */
void story_add(struct story *story, const struct event *event);

/* Nanoseconds from the first event to this one. */
uint64_t story_age(const struct story *story, const struct recvshim_record *record);

/* One line. */
void story_print(const struct story *story, struct output *output);

#endif
