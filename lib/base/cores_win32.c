/* SPDX-License-Identifier: Apache-2.0 */
/* The processors that the process is bound to, in the group that it runs in. */
#include "cores.h"

#include <windows.h>

uint32_t rmr_cgroup_cores(const char *root)
{
    (void)root;
    return UINT32_MAX;
}

rmr_cores rmr_usable_cores(const char *root)
{
    DWORD_PTR ours = 0, all = 0;
    (void)root;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) || ours == 0)
        return (rmr_cores){1, 0}; /* threads in several groups have no such mask */
    return (rmr_cores){(uint32_t)__builtin_popcountll(ours), 0};
}
