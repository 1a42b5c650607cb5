#include "story.h"

#include "text.h"
#include "verdict.h"

#include <sys/socket.h>

void story_begin(struct story *story, uint64_t connection)
{
    *story = (struct story){.connection = connection};
}

static void add_peer(struct story *story, const struct event *event)
{
    const struct recvshim_record *record = &event->record, *known = &story->peer.record;
    if (event->family == NULL)
        return;
    if (!story->has_peer)
        story->peer = *event;
    else if (record->family != known->family || record->port != known->port ||
             event->address_length != story->peer.address_length ||
             memcmp(event->address, story->peer.address, event->address_length) != 0)
        story->several_peers = true;
    story->has_peer = true;
}

void story_add(struct story *story, const struct event *event)
{
    const struct recvshim_record *record = &event->record;
    if (story->events++ == 0)
        story->begun = story->ended = record->time;
    if (record->time > story->ended)
        story->ended = record->time;
    add_peer(story, event);
    switch (record->event) {
    case RECVSHIM_EVENT_RECEIVE:
    case RECVSHIM_EVENT_EMPTY:
        /* What was peeked at is received once more; what the error queue has was sent. */
        if ((record->flags & (MSG_PEEK | MSG_ERRQUEUE)) == 0) {
            story->receives++;
            story->bytes += event->size;
        }
        break;
    case RECVSHIM_EVENT_DISCONNECT:
        if (story->disconnected)
            break; /* the first tells how it ended, as in the statistics */
        story->disconnected = true;
        story->cause = cause_of(record);
        story->first = first_of(record);
        break;
    case RECVSHIM_EVENT_CLOSE:
        story->closed = true;
        if (story->first == FIRST_UNKNOWN)
            story->first = first_of(record);
        break;
    case RECVSHIM_EVENT_CONNECT:
        story->refusal = connect_failed(record->error) ? record->error : 0;
        story->errors += story->refusal != 0;
        break;
    case RECVSHIM_EVENT_ERROR:
        story->errors++;
        break;
    case RECVSHIM_EVENT_FAULT:
        story->faults++;
        break;
    default:
        break;
    }
}

uint64_t story_age(const struct story *story, const struct recvshim_record *record)
{
    /* A live feed may print late what was held up. */
    return record->time > story->begun ? record->time - story->begun : 0;
}

static void add_end(const struct story *story, struct output *output)
{
    if (story->refusal != 0 && story->receives == 0 && !story->disconnected) {
        LITERAL(output, "; never connected: ");
        output_text(output, error_name(story->refusal));
    }
    bool orderly = !story->disconnected || story->cause == CAUSE_EOF || story->cause == CAUSE_LOCAL_SHUTDOWN;
    if (orderly && story->first != FIRST_UNKNOWN) {
        output_text(output, story->first == FIRST_PEER ? "; the peer closed first" : "; the program closed first");
    } else if (story->disconnected) {
        LITERAL(output, "; disconnect: ");
        output_text(output, cause_meanings[story->cause]);
    } else if (story->closed) {
        LITERAL(output, "; closed");
    }
    if (!story->closed)
        LITERAL(output, "; no close in the trace");
}

void story_print(const struct story *story, struct output *output)
{
    output_reserve(output);
    LITERAL(output, "connection ");
    output_unsigned(output, story->connection);
    LITERAL(output, ": ");
    text_count(output, story->receives, "receive");
    LITERAL(output, ", ");
    text_count(output, story->bytes, "byte");
    if (story->errors > 0) {
        LITERAL(output, ", ");
        text_count(output, story->errors, "error");
    }
    if (story->faults > 0) {
        LITERAL(output, ", ");
        text_count(output, story->faults, "fault");
        LITERAL(output, " injected");
    }
    LITERAL(output, " in ");
    text_span(output, story->ended - story->begun);
    if (story->several_peers) {
        LITERAL(output, " from several peers");
    } else if (story->has_peer) {
        const struct event *peer = &story->peer;
        LITERAL(output, " from ");
        text_address(output, peer->record.family, peer->address, peer->address_length, peer->record.port);
    }
    add_end(story, output);
    output_byte(output, '\n');
}
