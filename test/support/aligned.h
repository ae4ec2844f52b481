/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of an alignment; on Windows only its own function frees it. */
#ifndef TEST_ALIGNED_H
#define TEST_ALIGNED_H

#include <stdlib.h>

/* n: a multiple of align; NULL: there is none. */
static inline void *aligned_new(size_t align, size_t n)
{
#ifdef _WIN32
    return _aligned_malloc(n, align);
#else
    return aligned_alloc(align, n);
#endif
}

static inline void aligned_delete(void *p)
{
#ifdef _WIN32
    _aligned_free(p);
#else
    free(p);
#endif
}

#endif
