/* What every target asks of AddressSanitizer: what was freed is kept from use for a while, but no more of it than the
 * processor's cache holds. New pages for what is allocated would cost the most of all. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}
