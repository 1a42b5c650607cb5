/* Preloaded in place of the library. */
int preload_nothing(void);

int preload_nothing(void)
{
    return 0;
}
