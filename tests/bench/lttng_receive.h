/* The event that lttng_receive.c records, as LTTng-UST wants it described: what a record of ours says of a receive. */
/* The macros are no C before they are expanded. */
/* clang-format off */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER recvshim_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./lttng_receive.h"

#if !defined(LTTNG_RECEIVE_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define LTTNG_RECEIVE_H

#include <lttng/tracepoint.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef LTTNG_RECEIVE_PEER
#define LTTNG_RECEIVE_PEER
#define PEER_ADDRESS_BYTES 16
struct peer {
    uint16_t family, port; /* family 0 where there is none; port in host order */
    uint8_t address[PEER_ADDRESS_BYTES];
};
#endif

LTTNG_UST_TRACEPOINT_EVENT(
    recvshim_bench, receive,
    LTTNG_UST_TP_ARGS(int, fd, size_t, requested, ssize_t, result, int, error, int, flags, const struct peer *, peer),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, fd, fd)
        lttng_ust_field_integer(uint64_t, requested, requested)
        lttng_ust_field_integer(int64_t, result, result)
        lttng_ust_field_integer(int, error, error)
        lttng_ust_field_integer(int, flags, flags)
        lttng_ust_field_integer(uint16_t, family, peer->family)
        lttng_ust_field_integer(uint16_t, port, peer->port)
        lttng_ust_field_array(uint8_t, address, peer->address, PEER_ADDRESS_BYTES)
    )
)

#endif

#include <lttng/tracepoint-event.h>
