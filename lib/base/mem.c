/* SPDX-License-Identifier: Apache-2.0 */
/* Counted allocation through the host's hooks, or the C library's allocator. */
#include "mem.h"

#include <string.h>

#include "system.h"

static void *REMORA_CALL libc_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    void *p = rmr_system_alloc(size, size >= RMR_HUGE_BLOCK ? RMR_HUGE_PAGE : align);
    if (p != NULL) rmr_wish_huge(p, size);
    return p;
}

static void REMORA_CALL libc_release(void *user, void *p, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    rmr_system_release(p);
}

static void *REMORA_CALL libc_resize(void *user, void *p, size_t old_size, size_t size,
                                     size_t align)
{
    void *q = libc_alloc(user, size, align);
    if (q == NULL) return NULL;
    memcpy(q, p, old_size < size ? old_size : size);
    rmr_system_release(p);
    return q;
}

void rmr_mem_init(rmr_mem *mem)
{
    if (mem->alloc == NULL) {
        mem->alloc = libc_alloc;
        mem->resize = libc_resize;
        mem->release = libc_release;
    }
    atomic_init(&mem->bytes, 0);
}

void rmr_budget_init(rmr_budget *b)
{
    atomic_init(&b->used, 0);
    atomic_init(&b->limit, UINT64_MAX);
    b->reclaim = NULL;
}

/* *lacks: the bytes that there are too few of, when it returns 0. */
static int try_take(rmr_budget *b, uint64_t n, uint64_t *lacks)
{
    uint64_t used = atomic_load_explicit(&b->used, memory_order_relaxed), sum;
    do {
        const uint64_t limit = atomic_load(&b->limit);
        if (!rmr_add_ok(used, n, &sum)) sum = UINT64_MAX;
        *lacks = sum > limit ? sum - limit : 0;
        if (*lacks > 0 || sum == UINT64_MAX) return 0;
    } while (!atomic_compare_exchange_weak(&b->used, &used, sum));
    return 1;
}

int rmr_budget_take(rmr_budget *b, uint64_t n)
{
    uint64_t lacks;
    if (try_take(b, n, &lacks)) return 1;
    if (b->reclaim == NULL || lacks == 0) return 0;
    b->reclaim(b->user, lacks);
    return try_take(b, n, &lacks);
}

void rmr_budget_give(rmr_budget *b, uint64_t n)
{
    RMR_ASSERT(atomic_load(&b->used) >= n);
    atomic_fetch_sub(&b->used, n);
}

uint64_t rmr_budget_excess(const rmr_budget *b)
{
    const uint64_t used = atomic_load(&b->used), limit = atomic_load(&b->limit);
    return used > limit ? used - limit : 0;
}

int rmr_mem_take(rmr_mem *mem, uint64_t n)
{
    return mem->budget == NULL || rmr_budget_take(mem->budget, n);
}

void rmr_mem_give(rmr_mem *mem, uint64_t n)
{
    if (mem->budget != NULL) rmr_budget_give(mem->budget, n);
}

void rmr_mem_share(rmr_mem *dst, const rmr_mem *src, rmr_budget *budget)
{
    dst->user = src->user;
    dst->alloc = src->alloc;
    dst->resize = src->resize;
    dst->release = src->release;
    dst->budget = budget;
    atomic_init(&dst->bytes, 0);
}

static void *REMORA_CALL outer_alloc(void *outer, size_t size, size_t align)
{
    RMR_ASSERT(align == RMR_ALIGN);
    (void)align;
    return rmr_alloc(outer, size);
}

static void *REMORA_CALL outer_resize(void *outer, void *p, size_t old_size, size_t size,
                                      size_t align)
{
    RMR_ASSERT(align == RMR_ALIGN);
    (void)align;
    return rmr_resize(outer, p, old_size, size);
}

static void REMORA_CALL outer_release(void *outer, void *p, size_t size, size_t align)
{
    RMR_ASSERT(align == RMR_ALIGN);
    (void)align;
    rmr_free(outer, p, size);
}

void rmr_mem_within(rmr_mem *dst, rmr_mem *outer, rmr_budget *budget)
{
    dst->user = outer;
    dst->alloc = outer_alloc;
    dst->resize = outer_resize;
    dst->release = outer_release;
    dst->budget = budget;
    atomic_init(&dst->bytes, 0);
}

void *rmr_alloc(rmr_mem *mem, size_t size)
{
    if (size == 0) size = 1;
    if (size > PTRDIFF_MAX || !rmr_mem_take(mem, size)) return NULL;
    void *p = mem->alloc(mem->user, size, RMR_ALIGN);
    if (p != NULL)
        atomic_fetch_add_explicit(&mem->bytes, size, memory_order_relaxed);
    else
        rmr_mem_give(mem, size);
    return p;
}

void *rmr_calloc(rmr_mem *mem, size_t n, size_t size)
{
    uint64_t total;
    if (!rmr_mul_ok(n, size, &total) || total > PTRDIFF_MAX) return NULL;
    void *p = rmr_alloc(mem, (size_t)total);
    if (p != NULL) memset(p, 0, (size_t)total);
    return p;
}

void *rmr_resize(rmr_mem *mem, void *p, size_t old_size, size_t size)
{
    if (p == NULL) return rmr_alloc(mem, size);
    if (old_size == 0) old_size = 1;
    RMR_ASSERT(atomic_load(&mem->bytes) >= old_size); /* the size that it was allocated with */
    if (size == 0) size = 1;
    if (size > PTRDIFF_MAX || !rmr_mem_take(mem, size))
        return NULL; /* both blocks may be there at a time */
    void *q = mem->resize(mem->user, p, old_size, size, RMR_ALIGN);
    rmr_mem_give(mem, q != NULL ? old_size : size);
    if (q == NULL) return NULL;
    atomic_fetch_add_explicit(&mem->bytes, size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&mem->bytes, old_size, memory_order_relaxed);
    return q;
}

void rmr_free(rmr_mem *mem, void *p, size_t size)
{
    if (p == NULL) return;
    if (size == 0) size = 1;
    RMR_ASSERT(atomic_load(&mem->bytes) >= size);
    mem->release(mem->user, p, size, RMR_ALIGN);
    atomic_fetch_sub_explicit(&mem->bytes, size, memory_order_relaxed);
    rmr_mem_give(mem, size);
}

char *rmr_strndup(rmr_mem *mem, const char *s, size_t n)
{
    char *p = rmr_alloc(mem, n + 1);
    if (p == NULL) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *rmr_strdup(rmr_mem *mem, const char *s)
{
    return rmr_strndup(mem, s, strlen(s));
}

void rmr_strfree(rmr_mem *mem, const char *s)
{
    char *p;
    memcpy(&p, &s, sizeof p); /* without const */
    if (p != NULL) rmr_free(mem, p, strlen(p) + 1);
}

typedef union head {
    size_t size;
    max_align_t align;
} head;

void *rmr_sized_alloc(void *mem, size_t size)
{
    if (size > SIZE_MAX - sizeof(head)) return NULL;
    head *h = rmr_alloc(mem, size + sizeof *h);
    if (h == NULL) return NULL;
    h->size = size + sizeof *h;
    return h + 1;
}

void rmr_sized_free(void *mem, void *p)
{
    if (p == NULL) return;
    head *h = (head *)p - 1;
    RMR_ASSERT(h->size >= sizeof *h);
    rmr_free(mem, h, h->size);
}

remora_status rmr_grow(rmr_mem *mem, void *items, size_t *cap, size_t need, size_t size,
                       remora_error *err)
{
    void *old, *grown;
    uint64_t bytes;
    if (need <= *cap) return REMORA_OK;
    size_t n = *cap + *cap / 2;
    if (n < need) n = need;
    if (!rmr_mul_ok(n, size, &bytes)) return rmr_error_nomem(err, "array", UINT64_MAX);
    memcpy(&old, items, sizeof old);
    RMR_ASSERT((old != NULL) == (*cap > 0));
    grown = rmr_resize(mem, old, *cap * size, (size_t)bytes);
    if (grown == NULL) return rmr_error_nomem(err, "array", bytes);
    memcpy(items, &grown, sizeof grown);
    *cap = n;
    return REMORA_OK;
}
