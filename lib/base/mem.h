/* SPDX-License-Identifier: Apache-2.0 */
/* The host's allocator, counted. All memory of a runtime goes through one rmr_mem, so that the last
 * free is seen to return every byte (P11) and any allocation can be made to fail in tests. Sizes
 * are passed back on free. */
#ifndef RMR_MEM_H
#define RMR_MEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define RMR_ALIGN 64u /* every block: one cache line, one AVX-512 register */

/* A ceiling in bytes over whatever is taken from it, and what has been. Any thread. */
typedef struct rmr_budget {
    atomic_uint_least64_t used, limit; /* limit: UINT64_MAX for none */
    /* Give back n bytes or as much as there is; called before something is refused. May be NULL. */
    void (*reclaim)(void *user, uint64_t n);
    void *user;
} rmr_budget;

void rmr_budget_init(rmr_budget *b); /* without a limit */
/* 0: the ceiling does not have that much left, and nothing is taken. */
int rmr_budget_take(rmr_budget *b, uint64_t n);
void rmr_budget_give(rmr_budget *b, uint64_t n);
/* Bytes taken above the ceiling, which was lowered. */
uint64_t rmr_budget_excess(const rmr_budget *b);

typedef struct rmr_mem {
    void *user;
    void *(REMORA_CALL *alloc)(void *user, size_t size, size_t align);
    void *(REMORA_CALL *resize)(void *user, void *p, size_t old_size, size_t size, size_t align);
    void(REMORA_CALL *release)(void *user, void *p, size_t size, size_t align);
    atomic_uint_least64_t bytes; /* bytes of the blocks in use */
    rmr_budget *budget;          /* the blocks are taken from it; NULL: from none */
} rmr_mem;

/* Use the C library's allocator when all hooks are NULL. */
void rmr_mem_init(rmr_mem *mem);

/* Another count over the same hooks, within a budget or NULL: a block is freed through the rmr_mem
 * it came from. */
void rmr_mem_share(rmr_mem *dst, const rmr_mem *src, rmr_budget *budget);

/* A count of its own, within a budget or NULL, of blocks that are taken from `outer`, which counts
 * them too and must outlive it. */
void rmr_mem_within(rmr_mem *dst, rmr_mem *outer, rmr_budget *budget);

/* Take bytes that are no block of this count (a device's) from its budget: 0 when there are too
 * few; and give them back. */
int rmr_mem_take(rmr_mem *mem, uint64_t n);
void rmr_mem_give(rmr_mem *mem, uint64_t n);

/* The allocating functions return NULL when the host has no memory (or n * size overflows); size 0
 * gives a valid block of 1 byte. */
void *rmr_alloc(rmr_mem *mem, size_t size);
void *rmr_calloc(rmr_mem *mem, size_t n, size_t size); /* zeroed */
void *rmr_resize(rmr_mem *mem, void *p, size_t old_size,
                 size_t size);                     /* p may be NULL; on NULL p is untouched */
void rmr_free(rmr_mem *mem, void *p, size_t size); /* p may be NULL; size as allocated */

/* Copy of a string; free with rmr_strfree. */
char *rmr_strdup(rmr_mem *mem, const char *s);
char *rmr_strndup(rmr_mem *mem, const char *s, size_t n);
void rmr_strfree(rmr_mem *mem, const char *s);

/* Allocation for libraries that free without a size: each block carries its own. `mem` is a
 * rmr_mem. */
void *rmr_sized_alloc(void *mem, size_t size);
void rmr_sized_free(void *mem, void *p);

/* Make *items (elements of `size` bytes, *cap of them) hold at least `need`, growing by half. */
remora_status rmr_grow(rmr_mem *mem, void *items, size_t *cap, size_t need, size_t size,
                       remora_error *err);

/* a * b and a + b with overflow check: 0 when it overflows (return value false). */
static inline int rmr_mul_ok(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline int rmr_add_ok(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline uint64_t rmr_round_up(uint64_t n, uint64_t to)
{
    RMR_ASSERT(to > 0 && n <= UINT64_MAX - to);
    return (n + to - 1) / to * to;
}

#endif
