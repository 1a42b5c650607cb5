/* For what the machine can hold up at a moment that counts, so that a run of it shows nothing: what follows is done
 * again until the condition holds. What is wrong is so each time, and a test of the condition that comes then fails. */
#ifndef UNTIL_H
#define UNTIL_H

enum { MOST_ATTEMPTS = 20 };

#define UNTIL(condition)                                                                                               \
    for (int attempts_ = 0; attempts_ == 0 || (attempts_ < MOST_ATTEMPTS && !(condition)); attempts_++)

#endif
