/* Linked into the library of a build that counts what runs (RECVSHIM_COVERAGE), and into no other. gcov writes its
 * counters in a destructor, which _exit and an overflow that libc aborts leave out: they are written here before that.
 * What a signal kills or another program replaces by exec is not counted. */
void __gcov_dump(void);
void __gcov_reset(void);
void __real_lifecycle_exiting(int status);
void __wrap_lifecycle_exiting(int status);
_Noreturn void __real___chk_fail(void);
_Noreturn void __wrap___chk_fail(void);

/* What is written is added to the files; and the counters begin anew, as the process may go on from here. */
static void keep(void)
{
    __gcov_dump();
    __gcov_reset();
}

void __wrap_lifecycle_exiting(int status)
{
    __real_lifecycle_exiting(status);
    keep();
}

void __wrap___chk_fail(void)
{
    keep();
    __real___chk_fail();
}
