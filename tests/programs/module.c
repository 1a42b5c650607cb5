/* Loaded by the victim `gaps`: a module that receives. */
#include "victim.h"

long module_exchange(const int fds[2], long times);

long module_exchange(const int fds[2], long times)
{
    return exchange(fds, times);
}
