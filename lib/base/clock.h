/* SPDX-License-Identifier: Apache-2.0 */
/* Monotonic time in microseconds. */
#ifndef RMR_CLOCK_H
#define RMR_CLOCK_H

#include <stdint.h>

uint64_t rmr_clock_us(void);

#endif
