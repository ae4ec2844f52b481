/* SPDX-License-Identifier: Apache-2.0 */
/* The floating-point mode that one CPU result (P22) needs: round to nearest, subnormals kept, no
 * exception trapped. Hosts (games, audio) like to set other modes in their threads.
 *
 * The library's mode is set around code that computes and calls nobody: the chunks of regions that
 * compute, the reading of numbers from text, configurations, stages. All other code runs in the
 * thread's own mode, so that the host's hooks find it as the host has set it, whichever code calls
 * them (P26). There is no place that could remember the host's mode for a hook: it would have to
 * belong to the thread, and memory of threads is allocated by the C library, which ends the process
 * when there is none. */
#ifndef RMR_FPENV_H
#define RMR_FPENV_H

#include <stdint.h>

typedef uint64_t rmr_fpenv;

rmr_fpenv rmr_fpenv_enter(void);       /* set our mode, return the thread's */
void rmr_fpenv_leave(rmr_fpenv saved); /* put it back, with the flags of exceptions it had */

#endif
