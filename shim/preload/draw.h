/* Random choices that repeat: a value is drawn from what it is for, and not from the values drawn before it, so that
 * no thread can take another's. Counter-based, as Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011);
 * mixed by SplitMix64's finalizer (Steele, Lea, Flood 2014; constants of Stafford's variant 13). Pure: the program's
 * own random() is never touched. */
#ifndef DRAW_H
#define DRAW_H

#include <stdint.h>

static inline uint64_t draw_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* One value of two, of which the order matters. */
static inline uint64_t draw_of(uint64_t key, uint64_t counter)
{
    return draw_mix(key ^ draw_mix(counter + UINT64_C(0x9e3779b97f4a7c15)));
}

/* From low to high, both possible. The bias of the remainder is below (high - low) / 2^64. */
static inline uint64_t draw_between(uint64_t draw, uint64_t low, uint64_t high)
{
    return high - low == UINT64_MAX ? draw : low + draw % (high - low + 1);
}

/* With that many chances in a billion. */
static inline int draw_hits(uint64_t draw, uint32_t chances)
{
    return (draw >> 32) * UINT64_C(1000000000) >> 32 < chances;
}

#endif
