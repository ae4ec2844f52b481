/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "process.h"

#include <unistd.h>

uint32_t rmr_process(void)
{
    return (uint32_t)getpid();
}
