/* SPDX-License-Identifier: Apache-2.0 */
/* One block of memory for parts that live as long as each other.
 *
 * The same code counts the block and places its parts: a function that takes them is called over an
 * arena without memory, where every part is NULL and only `used` moves, and then over one that was
 * allocated with as many bytes. So what an estimate says and what is used are one computation.
 *
 *     rmr_arena a = {0};
 *     lay_out(&thing, &a);                          counts
 *     RMR_TRY(rmr_arena_make(&a, mem, "thing", err));
 *     lay_out(&thing, &a);                          places
 *
 * Every part begins at a multiple of RMR_ALIGN. In builds with AddressSanitizer a red zone follows
 * each part, so that running over its end is seen although the next one lies right there. */
#ifndef RMR_ARENA_H
#define RMR_ARENA_H

#include "mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define RMR_RED_ZONES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RMR_RED_ZONES 1
#endif
#endif
#ifndef RMR_RED_ZONES
#define RMR_RED_ZONES 0
#endif

typedef struct rmr_arena {
    unsigned char *base; /* NULL: counting */
    uint64_t used; /* bytes of the parts taken so far; UINT64_MAX when they do not fit 64 bits */
    uint64_t size; /* of the block */
    int dense;     /* parts are copied together: no red zones between them */
} rmr_arena;

/* The next part: n elements of so many bytes each. NULL when counting. */
void *rmr_arena_take(rmr_arena *a, uint64_t n, uint64_t size);

/* Allocate the block that was counted, to be placed from its beginning; `what` names it when there
 * is no memory (E_NOMEM). */
remora_status rmr_arena_make(rmr_arena *a, rmr_mem *mem, const char *what, remora_error *err);

/* Give back the block that begins at `base` (or NULL) and has so many bytes. */
void rmr_arena_free(rmr_mem *mem, void *base, uint64_t size);

#endif
