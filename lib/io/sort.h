/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting without memory: the C library's qsort may allocate with malloc behind the host's
 * allocator and may be quadratic on hostile input. Heap sort is neither. */
#ifndef RMR_SORT_H
#define RMR_SORT_H

#include <stddef.h>

/* Sort n pointers by cmp. Not stable: cmp has to decide every tie. */
void rmr_sort(const void **items, size_t n, int (*cmp)(const void *a, const void *b));

#endif
