/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#if RMR_RED_ZONES
#include <sanitizer/asan_interface.h>
enum { RED_ZONE = RMR_ALIGN };

static void forbid(const void *p, uint64_t n)
{
    __asan_poison_memory_region(p, (size_t)n);
}

static void allow(const void *p, uint64_t n)
{
    __asan_unpoison_memory_region(p, (size_t)n);
}
#else
enum { RED_ZONE = 0 };

static void forbid(const void *p, uint64_t n)
{
    (void)p, (void)n;
}

static void allow(const void *p, uint64_t n)
{
    (void)p, (void)n;
}
#endif

/* The bytes of a part with its padding and red zone; 0 when they overflow. */
static int part_bytes(const rmr_arena *a, uint64_t bytes, uint64_t *whole)
{
    const uint64_t more = RMR_ALIGN - 1 + (a->dense ? 0 : RED_ZONE);
    if (!rmr_add_ok(bytes, more, whole)) return 0;
    *whole &= ~(uint64_t)(RMR_ALIGN - 1);
    return 1;
}

void *rmr_arena_take(rmr_arena *a, uint64_t n, uint64_t size)
{
    uint64_t bytes, whole, end;
    if (!rmr_mul_ok(n, size, &bytes) || !part_bytes(a, bytes, &whole) ||
        !rmr_add_ok(a->used, whole, &end)) {
        RMR_ASSERT(a->base == NULL);
        a->used = UINT64_MAX;
        return NULL;
    }
    unsigned char *const part = a->base != NULL ? a->base + a->used : NULL;
    a->used = end;
    if (part == NULL) return NULL;
    RMR_ASSERT(a->used <= a->size);
    if (a->dense) return part;
    allow(part, bytes); /* the memory may have been laid out in another way before */
    forbid(part + bytes, whole - bytes);
    return part;
}

remora_status rmr_arena_make(rmr_arena *a, rmr_mem *mem, const char *what, remora_error *err)
{
    const uint64_t size = a->used;
    a->base = size <= PTRDIFF_MAX ? rmr_alloc(mem, (size_t)size) : NULL;
    if (a->base == NULL) return rmr_error_nomem(err, what, size);
    a->size = size;
    a->used = 0;
    return REMORA_OK;
}

void rmr_arena_free(rmr_mem *mem, void *base, uint64_t size)
{
    if (base == NULL) return;
    allow(base, size);
    rmr_free(mem, base, (size_t)size);
}
