/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include "process.h"

struct rmr_page {
    atomic_uint refs;
    uint32_t next; /* index of the next free page; n of the block: none */
    rmr_page_block *block;
};

struct rmr_page_block {
    rmr_page_block *next;
    rmr_page_pool *pool;
    rmr_buffer *buffer;
    uint32_t n, n_free, free; /* free: index of the first one */
    int made;                 /* of one page made as needed: in no list, and gone with the page */
    rmr_page page[];
};

static uint64_t block_bytes(uint64_t n)
{
    return sizeof(rmr_page_block) + n * sizeof(rmr_page);
}

rmr_bytes rmr_pages_cost(rmr_backend *be, uint64_t page_bytes, uint64_t n)
{
    rmr_bytes bytes = be->ops->buffer_bytes(be, n * page_bytes);
    bytes.host += block_bytes(n);
    return bytes;
}

void rmr_pages_init(rmr_pages *p, rmr_mem *mem, rmr_budget *device, rmr_backend *be)
{
    *p = (rmr_pages){.mem = mem, .device = device, .be = be, .process = rmr_process()};
    rmr_lock_init(&p->lock);
}

static void give(rmr_pages *p, rmr_bytes n)
{
    rmr_mem_give(p->mem, n.host);
    if (p->device != NULL) rmr_budget_give(p->device, n.device);
}

static remora_status take(rmr_pages *p, rmr_bytes n, remora_error *err)
{
    if (!rmr_mem_take(p->mem, n.host)) return rmr_error_nomem(err, "cache pages", n.host);
    if (p->device == NULL || rmr_budget_take(p->device, n.device)) return REMORA_OK;
    rmr_mem_give(p->mem, n.host);
    return rmr_error_device_mem(err, "cache pages", n.device);
}

static void free_blocks(rmr_pages *p, rmr_page_block *b)
{
    while (b != NULL) {
        rmr_page_block *next = b->next;
        p->be->ops->buffer_free(p->be, b->buffer);
        give(p, p->be->ops->buffer_bytes(p->be, b->n * b->pool->page_bytes));
        rmr_free(p->mem, b, (size_t)block_bytes(b->n));
        b = next;
    }
}

void rmr_pages_end(rmr_pages *p)
{
    for (int i = 0; i < RMR_KV_TYPES; i++) {
        RMR_ASSERT(
            p->process != rmr_process() ||
            (p->pool[i].promised == 0 && p->pool[i].blocks == NULL && p->pool[i].n_made == 0));
        free_blocks(p, p->pool[i].blocks);
    }
}

/* Count the pages anew, by the lists of blocks and of free pages. A page that was on its way into
 * or out of a list when the process was forked is in none: it belongs to a table that a thread of
 * the parent was changing, and was promised to it. So there is still a page for everybody else. */
static void count_anew(rmr_page_pool *pool)
{
    pool->n_pages = pool->n_free = 0;
    for (rmr_page_block *b = pool->blocks; b != NULL; b = b->next) {
        b->n_free = 0;
        for (uint32_t i = b->free; i < b->n; i = b->page[i].next) b->n_free++;
        pool->n_pages += b->n;
        pool->n_free += b->n_free;
    }
}

static void take_lock(rmr_pages *p)
{
    if (!rmr_lock_take(&p->lock)) return;
    for (int i = 0; i < RMR_KV_TYPES; i++) count_anew(&p->pool[i]);
}

static remora_status make_buffer(rmr_pages *p, uint64_t bytes, rmr_buffer **out, remora_error *err)
{
    const rmr_bytes taken = p->be->ops->buffer_bytes(p->be, bytes);
    RMR_TRY(take(p, taken, err));
    const remora_status st = p->be->ops->buffer_create(p->be, bytes, out, err);
    if (st < 0) give(p, taken);
    return st;
}

static remora_status block_new(rmr_pages *p, rmr_page_pool *pool, uint64_t n, rmr_page_block **out,
                               remora_error *err)
{
    uint64_t bytes;
    if (n >= UINT32_MAX || !rmr_mul_ok(n, pool->page_bytes, &bytes))
        return rmr_error_nomem(err, "cache pages", UINT64_MAX);
    rmr_page_block *b = rmr_alloc(p->mem, (size_t)block_bytes(n));
    if (b == NULL) return rmr_error_nomem(err, "cache pages", block_bytes(n));
    *b = (rmr_page_block){.pool = pool, .n = (uint32_t)n, .n_free = (uint32_t)n};
    const remora_status st = make_buffer(p, bytes, &b->buffer, err);
    if (st < 0) {
        rmr_free(p->mem, b, (size_t)block_bytes(n));
        return st;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        b->page[i] = (rmr_page){.next = i + 1, .block = b};
        atomic_init(&b->page[i].refs, 0);
    }
    *out = b;
    return REMORA_OK;
}

/* Under the lock: the invariant of pages.h as far as the pool knows it, and counts that agree. */
static int is_sound(const rmr_page_pool *pool)
{
    uint64_t n = 0, n_free = 0;
    for (const rmr_page_block *b = pool->blocks; b != NULL; b = b->next) {
        if (b->n_free > b->n || (b->n_free > 0) != (b->free < b->n)) return 0;
        n += b->n;
        n_free += b->n_free;
    }
    return n == pool->n_pages && n_free == pool->n_free && pool->promised <= pool->n_pages;
}

/* The block is allocated under the lock: otherwise a page could be promised and taken before its
 * block is there. */
remora_status rmr_pages_promise(rmr_pages *p, rmr_kv_type type, uint64_t page_bytes, uint64_t n,
                                remora_error *err)
{
    rmr_page_pool *pool = &p->pool[type];
    remora_status st = REMORA_OK;
    take_lock(p);
    if (pool->page_bytes == 0) pool->page_bytes = page_bytes; /* read without the lock ever after */
    if (pool->promised + n > pool->n_pages) {
        rmr_page_block *b = NULL;
        st = block_new(p, pool, pool->promised + n - pool->n_pages, &b, err);
        if (st >= 0) {
            b->next = pool->blocks;
            rmr_lock_order();
            pool->blocks = b;
            pool->n_pages += b->n;
            pool->n_free += b->n;
        }
    }
    rmr_lock_order(); /* the pages are there before they are promised */
    if (st >= 0) pool->promised += n;
    RMR_ASSERT(is_sound(pool) && pool->page_bytes == page_bytes);
    rmr_lock_give(&p->lock);
    return st;
}

/* Under the lock: unlink the empty blocks that no promise needs, as a list. */
static rmr_page_block *unlink_spare(rmr_page_pool *pool)
{
    rmr_page_block *gone = NULL;
    for (rmr_page_block **at = &pool->blocks; *at != NULL;) {
        rmr_page_block *b = *at;
        if (b->n_free < b->n || pool->n_pages - b->n < pool->promised) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        rmr_lock_order();
        pool->n_pages -= b->n;
        pool->n_free -= b->n;
        b->next = gone;
        gone = b;
    }
    return gone;
}

void rmr_pages_give_up(rmr_pages *p, rmr_kv_type type, uint64_t n)
{
    take_lock(p);
    RMR_ASSERT(p->pool[type].promised >= n);
    p->pool[type].promised -= n;
    rmr_lock_order(); /* they are not promised any more before they go */
    rmr_page_block *gone = unlink_spare(&p->pool[type]);
    RMR_ASSERT(is_sound(&p->pool[type]));
    rmr_lock_give(&p->lock);
    free_blocks(p, gone);
}

/* Under the lock: the smallest block with a free page; there is one, by the invariant in pages.h. A
 * page that is held keeps its whole block from being given back, so a small table must not take its
 * pages from a large block. */
static rmr_page_block *smallest(const rmr_page_pool *pool)
{
    rmr_page_block *best = NULL;
    for (rmr_page_block *b = pool->blocks; b != NULL; b = b->next)
        if (b->n_free > 0 && (best == NULL || b->n < best->n)) best = b;
    return best;
}

rmr_page *rmr_page_take(rmr_pages *p, rmr_kv_type type, const rmr_page *near)
{
    rmr_page_pool *pool = &p->pool[type];
    take_lock(p);
    RMR_ASSERT(is_sound(pool) && pool->n_free > 0);
    RMR_ASSERT(near == NULL || near->block->pool == pool);
    rmr_page_block *b = near != NULL && near->block->n_free > 0 ? near->block : smallest(pool);
    rmr_page *page = &b->page[b->free];
    RMR_ASSERT(b->free < b->n && atomic_load(&page->refs) == 0);
    b->free = page->next;
    b->n_free--;
    pool->n_free--;
    rmr_lock_give(&p->lock);
    atomic_store_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

remora_status rmr_page_make(rmr_pages *p, rmr_kv_type type, uint64_t page_bytes, rmr_page **out,
                            remora_error *err)
{
    rmr_page_pool *pool = &p->pool[type];
    rmr_page_block *b;
    take_lock(p);
    if (pool->page_bytes == 0) pool->page_bytes = page_bytes;
    rmr_lock_give(&p->lock);
    RMR_ASSERT(pool->page_bytes == page_bytes);
    RMR_TRY(block_new(p, pool, 1, &b, err));
    b->made = 1;
    b->n_free = 0;
    b->free = 1;
    atomic_store_explicit(&b->page[0].refs, 1, memory_order_relaxed);
    take_lock(p);
    pool->n_made++;
    rmr_lock_give(&p->lock);
    *out = &b->page[0];
    return REMORA_OK;
}

void rmr_page_ref(rmr_page *page)
{
    RMR_ASSERT(atomic_load(&page->refs) > 0);
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
}

/* Under the lock: a page that nobody has any more becomes free. Gives the blocks that go with it.
 */
static rmr_page_block *put_back(rmr_page *page)
{
    rmr_page_block *b = page->block;
    RMR_ASSERT(b->n_free < b->n);
    page->next = b->free;
    rmr_lock_order();
    b->free = (uint32_t)(page - b->page);
    b->n_free++;
    b->pool->n_free++;
    return b->n_free == b->n ? unlink_spare(b->pool) : NULL;
}

/* The same for a page that was made. */
static rmr_page_block *unlink_made(rmr_page_block *b)
{
    RMR_ASSERT(b->pool->n_made > 0 && b->next == NULL);
    b->pool->n_made--;
    return b;
}

void rmr_page_unref(rmr_pages *p, rmr_page *page)
{
    rmr_page_block *b = page->block;
    RMR_ASSERT(atomic_load(&page->refs) > 0);
    if (atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) != 1) return;
    take_lock(p);
    rmr_page_block *gone = b->made ? unlink_made(b) : put_back(page);
    rmr_lock_give(&p->lock);
    free_blocks(p, gone);
}

int rmr_page_shared(const rmr_page *page)
{
    return atomic_load_explicit(&page->refs, memory_order_acquire) > 1;
}

static uint64_t offset(const rmr_page *page)
{
    RMR_ASSERT(page >= page->block->page && page < page->block->page + page->block->n);
    return (uint64_t)(page - page->block->page) * page->block->pool->page_bytes;
}

uint64_t rmr_page_address(const rmr_pages *p, const rmr_page *page)
{
    return p->be->ops->buffer_address(page->block->buffer) + offset(page);
}

remora_status rmr_page_copy(rmr_pages *p, rmr_page *dst, const rmr_page *src, remora_error *err)
{
    RMR_ASSERT(dst != src && dst->block->pool == src->block->pool && !rmr_page_shared(dst));
    return p->be->ops->buffer_copy(p->be, dst->block->buffer, offset(dst), src->block->buffer,
                                   offset(src), dst->block->pool->page_bytes, err);
}

rmr_bytes rmr_pages_bytes(rmr_pages *p)
{
    rmr_bytes bytes = {0};
    take_lock(p);
    for (int i = 0; i < RMR_KV_TYPES; i++) {
        const rmr_page_pool *pool = &p->pool[i];
        const rmr_bytes one = p->be->ops->buffer_bytes(p->be, pool->page_bytes);
        for (const rmr_page_block *b = pool->blocks; b != NULL; b = b->next)
            (void)rmr_bytes_add(&bytes, p->be->ops->buffer_bytes(p->be, b->n * pool->page_bytes));
        (void)rmr_bytes_add(&bytes,
                            (rmr_bytes){pool->n_made * one.host, pool->n_made * one.device});
    }
    rmr_lock_give(&p->lock);
    return bytes;
}
