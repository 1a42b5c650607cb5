/* Does nothing: what is left is the start of a process, and its end. */
int main(void)
{
    return 0;
}
