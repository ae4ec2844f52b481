/* SPDX-License-Identifier: Apache-2.0 */
/* There is no fork(), so the number is always the same; it comes from the thread's own block. */
#include "process.h"

#include <windows.h>

uint32_t rmr_process(void)
{
    return (uint32_t)GetCurrentProcessId() % RMR_PROCESS_LIMIT;
}
