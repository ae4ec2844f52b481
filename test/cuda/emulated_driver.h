/* SPDX-License-Identifier: Apache-2.0 */
/* A driver whose device is this process: kernels run in the emulator, at once. */
#ifndef EMULATED_DRIVER_H
#define EMULATED_DRIVER_H

#include "driver.h"

rmr_cu_driver emulated_driver(void);

extern uint64_t emulated_seed;     /* of the schedules to come */
extern long emulated_fail_after;   /* so many calls succeed from now on; -1: all */
extern long emulated_memory_after; /* so many allocations get memory; -1: all */
extern long emulated_calls, emulated_blocks_in_use;

void emulated_reset(void); /* frees all blocks, as a driver does when its process ends */

#endif
