/* SPDX-License-Identifier: Apache-2.0 */
/* The floating-point mode that one CPU result (P22) needs: round to nearest, subnormals kept. Hosts
 * (games, audio) like to set flush-to-zero in their threads; work done on a host thread saves and
 * restores their mode. */
#ifndef RMR_FPENV_H
#define RMR_FPENV_H

#include <stdint.h>

typedef uint64_t rmr_fpenv;

rmr_fpenv rmr_fpenv_enter(void);       /* set our mode, return the thread's */
void rmr_fpenv_leave(rmr_fpenv saved); /* put it back */

#endif
