/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting without memory: the C library's qsort may allocate with malloc behind the host's
 * allocator and may be quadratic on hostile input. Heap sort is neither. */
#ifndef RMR_SORT_H
#define RMR_SORT_H

#include <stddef.h>

/* Sort n pointers by cmp. Not stable: cmp has to decide every tie. */
void rmr_sort(const void **items, size_t n, int (*cmp)(const void *a, const void *b));

/* Define `static void name(type *p, size_t n)`, which sorts the elements themselves.
 * before(const type *x, const type *y) says that x comes first. Not stable, as above. */
#define RMR_SORT_DEFINE(name, type, before)                                                        \
    static void name##_sift(type *p, size_t i, size_t n)                                           \
    {                                                                                              \
        for (size_t kid; (kid = 2 * i + 1) < n; i = kid) {                                         \
            if (kid + 1 < n && before(&p[kid], &p[kid + 1])) kid++;                                \
            if (!before(&p[i], &p[kid])) return;                                                   \
            const type moving = p[i];                                                              \
            p[i] = p[kid];                                                                         \
            p[kid] = moving;                                                                       \
        }                                                                                          \
    }                                                                                              \
    static void name(type *p, size_t n)                                                            \
    {                                                                                              \
        for (size_t i = n / 2; i-- > 0;) name##_sift(p, i, n);                                     \
        while (n > 1) {                                                                            \
            const type last = p[--n];                                                              \
            p[n] = p[0];                                                                           \
            p[0] = last;                                                                           \
            name##_sift(p, 0, n);                                                                  \
        }                                                                                          \
    }                                                                                              \
    typedef int name##_defined /* takes the semicolon */

#endif
