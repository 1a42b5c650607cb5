/* What a program and its libraries import, put together: by which calls it may receive, and which of them count. */
#ifndef RECEPTION_H
#define RECEPTION_H

#include "libraries.h"

#include <stdbool.h>
#include <stdint.h>

/* Nearly every library reads files. What an object imports is taken for a receive where it makes sockets; of a program
 * in which nothing does, and which inherits them, all is. */
bool reception_counts(const struct libraries *libraries, const struct library *item);

/* All calls that some object, or one that counts, imports. */
uint32_t reception_calls(const struct libraries *libraries);

/* Whether an object counts and imports calls, but none of those that are handled: the program itself first. NULL: there
 * is none such. */
const struct library *reception_blind(const struct libraries *libraries, uint32_t handled);

/* What would help a program of which no receive was seen although these calls were handled: a phrase that follows its
 * name and a colon. Returns false where nothing is known that would. */
#define RECEPTION_WORDS_MAX 1024
bool reception_advice(const struct libraries *libraries, uint32_t handled, char words[RECEPTION_WORDS_MAX]);

/* "recv, recvfrom and read". */
void reception_list(uint32_t calls, const char *conjunction, char list[256]);

/* The last part of an object's path. */
const char *library_name(const struct library *item);

#endif
