/* What the code under test prints, kept to be looked at. */
#ifndef PRINTED_H
#define PRINTED_H

/* The descriptor to print to: the linker leads all calls of write() to __wrap_write(), which keeps what goes there. */
#define PRINTED (-2)

enum printed {
    PRINTED_DATA, /* UTF-8 */
    PRINTED_JSON, /* values of JSON, one after the other */
    PRINTED_TEXT, /* lines without a control character, which could do something to a terminal */
};

/* Look at all that was printed, and forget it. It is UTF-8 in any case. */
void printed_check(enum printed kind);

#endif
