/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and chance from the system, beside its threads and clocks (thread.h, clock.h) and its
 * files (lib/io/system_file.h). What differs between systems is in lib/base and lib/io alone, in a
 * file for each of them, whose name ends with the system's. */
#ifndef RMR_SYSTEM_H
#define RMR_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/* Large blocks hold weights or cache, which are read from end to end and gain from huge pages. */
enum { RMR_HUGE_PAGE = 2 << 20, RMR_HUGE_BLOCK = 4 * RMR_HUGE_PAGE };

/* NULL: there is no memory. align: a power of two. */
void *rmr_system_alloc(size_t size, size_t align);
void rmr_system_release(void *p);

/* Ask for huge pages for a block or a mapping that begins at a page, if it is large: a Linux kernel
 * gives those to callers that ask. */
void rmr_wish_huge(void *p, size_t size);

/* Bytes of memory that the machine has, and that are free; 0: not known. */
void rmr_system_memory(uint64_t *total, uint64_t *available);

/* Fill n bytes that nobody can foretell, without waiting; 0: the system has none. */
int rmr_system_random(void *p, size_t n);

#endif
