/* Moments as a person gives them. Pure, but for the time zone. */
#ifndef MOMENT_H
#define MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* One of
 *     HH:MM[:SS[.FRACTION]]                      today, local time
 *     YYYY-MM-DD[(T| )HH:MM[:SS[.FRACTION]][Z|(+|-)HH:MM]]     ISO 8601; local time without a zone
 *     @SECONDS[.FRACTION]                        since 1970, UTC
 *     -NUMBER[.FRACTION](ms|s|m|h|d)             before now
 * into nanoseconds since 1970. Returns whether it was one. */
bool moment_parse(const char *text, uint64_t now, uint64_t *moment);

#endif
