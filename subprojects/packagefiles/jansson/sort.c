/* SPDX-License-Identifier: Apache-2.0
 * Jansson sorts the keys of an object with qsort when it is asked to (JSON_SORT_KEYS). The C library's qsort may allocate;
 * this one, a heap sort, does not. */
#include <stddef.h>

static void swap(unsigned char *a, unsigned char *b, size_t bytes)
{
    while (bytes-- > 0) {
        unsigned char t = *a;
        *a++ = *b;
        *b++ = t;
    }
}

void rmr_dep_qsort(void *base, size_t n, size_t bytes, int (*compare)(const void *, const void *));

void rmr_dep_qsort(void *base, size_t n, size_t bytes, int (*compare)(const void *, const void *))
{
    unsigned char *at = base;
    size_t begin = n / 2, end = n;
    while (end > 1) {
        if (begin > 0) {
            begin--;
        } else {
            end--;
            swap(at, at + end * bytes, bytes);
        }
        for (size_t parent = begin, child; (child = 2 * parent + 1) < end; parent = child) {
            if (child + 1 < end && compare(at + child * bytes, at + (child + 1) * bytes) < 0) child++;
            if (compare(at + parent * bytes, at + child * bytes) >= 0) break;
            swap(at + parent * bytes, at + child * bytes, bytes);
        }
    }
}
