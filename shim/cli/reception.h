/* What a program and its libraries import, put together: by which calls it may receive, and what would help to see it.
 */
#ifndef RECEPTION_H
#define RECEPTION_H

#include "libraries.h"

#include <stdbool.h>
#include <stdint.h>

/* The calls by which an object may receive: of those that it imports, read and readv only where it makes sockets, or
 * nothing in the program does, which then inherits them. Nearly everything reads files. */
uint32_t reception_of(const struct libraries *libraries, const struct library *item);

/* Of all objects together. */
uint32_t reception_of_all(const struct libraries *libraries);

/* Whether anything in it does. */
bool reception_makes_sockets(const struct libraries *libraries);

/* Where a program's own receives are to be expected: in itself; else in the libraries that it names; else anywhere. */
bool reception_is_central(const struct libraries *libraries, const struct library *item);

/* What those receives come to, if these calls are handled. */
enum reception {
    RECEPTION_NONE,    /* there are none */
    RECEPTION_HANDLED, /* all of them are handled */
    RECEPTION_MIXED,   /* some are */
    RECEPTION_BLIND,   /* none is */
};
/* *by is an object that says so best; NULL with RECEPTION_NONE. */
enum reception reception_judge(const struct libraries *libraries, uint32_t handled, const struct library **by);

/* What would help a program of which no receive was seen although these calls were handled: a phrase that follows its
 * name and a colon. Returns false where nothing is known that would. */
#define RECEPTION_WORDS_MAX 1024
bool reception_advice(const struct libraries *libraries, uint32_t handled, char words[RECEPTION_WORDS_MAX]);

/* "recv, recvfrom and read", with " and " as the conjunction. */
#define RECEPTION_LIST_MAX 128
void reception_list(uint32_t calls, const char *conjunction, char list[RECEPTION_LIST_MAX]);

#endif
