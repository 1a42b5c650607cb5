/* Where a connection comes from, as a number that is the same in every run, whatever the scheduling: what random
 * choices are keyed by, and what a rule of fault injection can name.
 *
 * It follows from what the program does, not from when: a socket is the Nth that its thread made; the thread, the Nth
 * that its own parent started; the process, the Nth fork of that thread; an accepted connection, the Nth of its
 * listener. (Where several threads accept from one listener, the order of their calls is the program's own race.) A
 * descriptor that came in a way that is not interposed has its number, and how often that was given up. A program that
 * exec starts begins as every program does. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* For the constructor, in the first thread. */
void origin_start(void);

/* What became of a descriptor: connection.c's events. */
void origin_made(int fd);
void origin_accepted(int listener, int fd);
void origin_renewed(int fd);
void origin_duplicated(int fd, int copy);
void origin_forgotten(int fd);

/* Which of the process's connections a descriptor is: never 0. Descriptors beyond what is tracked are all one. */
uint64_t origin_of(int fd);

/* A place is a number from 0 to ORIGIN_PLACES - 1 for what is kept of a connection: the same for all its descriptors,
 * until the last of them is closed. One that has a single descriptor has the place of its number, and is not asked
 * about. 65536 is that of all who have none of their own. For the others, which have the bit CONNECTION_DUPLICATED, and
 * for those without an id (0): this. */
#define ORIGIN_PLACES (65536 + 1 + 1024)
uint32_t origin_place(int fd, uint64_t id);

/* Whether the place of this number is still a duplicate's of what had the number before. */
bool origin_is_taken(int fd);

/* pthread_create, so that the thread knows whose it is. */
int origin_create_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                         void *argument);

#endif
