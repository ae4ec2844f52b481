/* SPDX-License-Identifier: Apache-2.0 */
/* Heap sort over an array of pointers. */
#include "sort.h"

static void sift_down(const void **items, size_t root, size_t n,
                      int (*cmp)(const void *a, const void *b))
{
    const void *moving = items[root];
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && cmp(items[child], items[child + 1]) < 0) child++;
        if (cmp(moving, items[child]) >= 0) break;
        items[root] = items[child];
    }
    items[root] = moving;
}

void rmr_sort(const void **items, size_t n, int (*cmp)(const void *a, const void *b))
{
    for (size_t i = n / 2; i-- > 0;) sift_down(items, i, n, cmp);
    for (size_t end = n; end > 1;) {
        const void *last = items[--end];
        items[end] = items[0];
        items[0] = last;
        sift_down(items, 0, end, cmp);
    }
}
