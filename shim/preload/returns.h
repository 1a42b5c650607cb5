/* How a function returns in which a system call was made.
 *
 * A processor predicts where `ret` leads by a stack of its own, of the calls made last. Where the kernel returns by
 * "safe RET", its answer to speculative return stack overflow on AMD's Zen 1 to 4, each of its functions leaves an
 * entry there, and of ours none is left after a system call: every function that was waiting for it returns at the
 * price of a wrong guess, 14 ns of a receive's 620 (measured). A jump to the same address is predicted by where it led
 * before. So these functions return by one there; elsewhere by `ret`, because a jump leaves the entry of its caller on
 * that stack, and whoever waits further out would be predicted one call too early. */
#ifndef RETURNS_H
#define RETURNS_H

/* Nothing but x86-64 needs it, and GCC alone has a name for it yet. A shadow stack (CET) knows nothing of jumps: the
 * library is built as one that does not keep to it, and libc then allows none. */
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
#define RETURNS_AFTER_SYSTEM_CALL __attribute__((function_return("thunk-extern")))
#else
#define RETURNS_AFTER_SYSTEM_CALL
#endif

/* For the constructor: find out which the kernel does. */
void returns_start(void);

#endif
