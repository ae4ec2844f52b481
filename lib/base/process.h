/* SPDX-License-Identifier: Apache-2.0 */
/* The process that a thread runs in. After fork() a child has the memory of its parent, but of the
 * parent's threads only the one that called fork(). What belongs to a process or to one of its
 * threads (a lock, a session in use, the threads of a pool) therefore keeps the process's number,
 * and in a child the number is another one. Nothing has to be told of the fork, so there is no list
 * of what would have to be. */
#ifndef RMR_PROCESS_H
#define RMR_PROCESS_H

#include <stdint.h>

/* Never 0, and below RMR_PROCESS_LIMIT. */
#define RMR_PROCESS_LIMIT 0x80000000u
uint32_t rmr_process(void);

#endif
