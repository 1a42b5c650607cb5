/* Included before recorder.c, as it is: each of its atomic accesses comes after a moment in which anything may happen.
 */
#ifndef STALLED_H
#define STALLED_H

#include <stdatomic.h>

/* Before an access of a record's store: go on at once, mostly. */
void stall(void);

#ifdef __clang__
#define PLAIN(name)   __c11_atomic_##name
#define PLAIN_N(name) __c11_atomic_##name
#define PLAIN_EXCHANGE(object, expected, desired, success, failure)                                                    \
    __c11_atomic_compare_exchange_strong(object, expected, desired, success, failure)
#else
#define PLAIN(name)   __atomic_##name
#define PLAIN_N(name) __atomic_##name##_n
#define PLAIN_EXCHANGE(object, expected, desired, success, failure)                                                    \
    __atomic_compare_exchange_n(object, expected, desired, 0, success, failure)
#endif

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add_explicit
#undef atomic_compare_exchange_strong_explicit
#define atomic_load_explicit(object, order)             (stall(), PLAIN_N(load)(object, order))
#define atomic_store_explicit(object, desired, order)   (stall(), PLAIN_N(store)(object, desired, order))
#define atomic_fetch_add_explicit(object, added, order) (stall(), PLAIN(fetch_add)(object, added, order))
#define atomic_compare_exchange_strong_explicit(object, expected, desired, success, failure)                           \
    (stall(), PLAIN_EXCHANGE(object, expected, desired, success, failure))

#endif
