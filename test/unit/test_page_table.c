/* SPDX-License-Identifier: Apache-2.0 */
/* The latent cache's page table: rounding, sharing, copy on write, bookkeeping, failures. A backend
 * of buffers alone stands below it; what would be latents are numbers that name who wrote them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "page_table.h"
#include "tmem.h"

enum { CAPACITY = 320, STREAMS = 3, PAGE = (3 + 2 + 7) * RMR_PAGE_TOKENS * 4 };

/* Two streams in the first layer, and one of another width in the second. */
static const rmr_cache_stream streams[STREAMS] = {{"latent", 0, RMR_CACHE_LATENT, 3, 0},
                                                  {"other", 0, RMR_CACHE_KEYS_VALUES, 2, 0},
                                                  {"latent", 1, RMR_CACHE_LATENT, 7, 0}};

/* ---- a backend of buffers ---- */

struct rmr_buffer {
    uint64_t bytes;
    uint32_t *data;
};

typedef struct buffers {
    rmr_backend base;
    rmr_mem *mem;
    int live;
    remora_status create_fails, copy_fails;
} buffers;

static remora_status buffer_create(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                   remora_error *err)
{
    buffers *b = (buffers *)be;
    if (b->create_fails < 0) RMR_FAIL(err, b->create_fails, "buffer_create fails");
    rmr_buffer *p = rmr_alloc(b->mem, sizeof *p);
    if (p == NULL) return rmr_error_nomem(err, "buffer", bytes);
    *p = (rmr_buffer){bytes, rmr_alloc(b->mem, (size_t)bytes)};
    if (p->data == NULL) {
        rmr_free(b->mem, p, sizeof *p);
        return rmr_error_nomem(err, "buffer", bytes);
    }
    b->live++;
    *out = p;
    return REMORA_OK;
}

static void buffer_free(rmr_backend *be, rmr_buffer *p)
{
    buffers *b = (buffers *)be;
    rmr_free(b->mem, p->data, (size_t)p->bytes);
    rmr_free(b->mem, p, sizeof *p);
    b->live--;
}

static uint64_t buffer_address(const rmr_buffer *p)
{
    return (uint64_t)(uintptr_t)p->data;
}

static rmr_bytes buffer_bytes(rmr_backend *be, uint64_t bytes)
{
    (void)be;
    return (rmr_bytes){sizeof(rmr_buffer), bytes};
}

static remora_status buffer_copy(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                 const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                 remora_error *err)
{
    const buffers *b = (buffers *)be;
    if (b->copy_fails < 0) RMR_FAIL(err, b->copy_fails, "buffer_copy fails");
    assert_true(dst_off + n <= dst->bytes && src_off + n <= src->bytes);
    memcpy((char *)dst->data + dst_off, (const char *)src->data + src_off, (size_t)n);
    return REMORA_OK;
}

static const rmr_backend_ops buffer_ops = {.buffer_create = buffer_create,
                                           .buffer_free = buffer_free,
                                           .buffer_address = buffer_address,
                                           .buffer_bytes = buffer_bytes,
                                           .buffer_copy = buffer_copy};

/* ---- the bed ---- */

typedef struct bed {
    tmem t;
    rmr_mem mem;
    buffers be;
    rmr_pages pool;
    int as_needed; /* the tables' pages */
} bed;

static void bed_init(bed *b)
{
    memset(b, 0, sizeof *b);
    b->mem = (rmr_mem){
        .user = &b->t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&b->mem);
    b->be = (buffers){.base = {.ops = &buffer_ops}, .mem = &b->mem};
    rmr_pages_init(&b->pool, &b->mem, NULL, &b->be.base);
}

static remora_status open_table(bed *b, rmr_page_table *table)
{
    return rmr_page_table_init(table, &b->pool, PAGE, RMR_KV_F32, CAPACITY, b->as_needed, NULL);
}

/* Different pages that tables hold. */
static uint64_t held(const bed *b)
{
    const rmr_page_pool *pool = &b->pool.pool[RMR_KV_F32];
    return pool->n_pages - pool->n_free + pool->n_made;
}

static int setup(void **state)
{
    bed *b = malloc(sizeof *b);
    assert_non_null(b);
    bed_init(b);
    *state = b;
    return 0;
}

static int setup_as_needed(void **state)
{
    setup(state);
    ((bed *)*state)->as_needed = 1;
    return 0;
}

static int teardown(void **state)
{
    bed *b = *state;
    const int clean = atomic_load(&b->t.blocks) == 0 && atomic_load(&b->t.damage) == 0 &&
                      b->be.live == 0 && rmr_pages_bytes(&b->pool).device == 0;
    rmr_pages_end(&b->pool);
    free(b);
    return clean ? 0 : -1;
}

/* What a backend would do at a position: every stream's row of it. */
static uint32_t *row(const rmr_page_table *table, uint64_t pos, uint32_t stream)
{
    const rmr_cache_layout layout = {.n_streams = STREAMS, .streams = streams};
    uint64_t at[STREAMS];
    uint64_t pages[CAPACITY / RMR_PAGE_TOKENS];
    rmr_page_table_addresses(table, pos + 1, pages);
    uint32_t *page = (uint32_t *)(uintptr_t)pages[pos / RMR_PAGE_TOKENS];
    assert_int_equal(rmr_cache_offsets(&layout, RMR_KV_F32, at), PAGE);
    return page + at[stream] / 4 + pos % RMR_PAGE_TOKENS * streams[stream].width;
}

static void write_rows(const rmr_page_table *table, uint64_t from, uint64_t to, uint32_t mark)
{
    for (uint64_t pos = from; pos < to; pos++)
        for (uint32_t l = 0; l < STREAMS; l++)
            for (uint32_t i = 0; i < streams[l].width; i++)
                row(table, pos, l)[i] = mark * 100000 + (uint32_t)pos * 100 + l * 10 + i;
}

static int rows_are(const rmr_page_table *table, uint64_t from, uint64_t to, uint32_t mark)
{
    for (uint64_t pos = from; pos < to; pos++)
        for (uint32_t l = 0; l < STREAMS; l++)
            for (uint32_t i = 0; i < streams[l].width; i++)
                if (row(table, pos, l)[i] != mark * 100000 + (uint32_t)pos * 100 + l * 10 + i)
                    return 0;
    return 1;
}

static void extend(rmr_page_table *table, uint64_t from, uint64_t to, uint32_t mark)
{
    assert_int_equal(rmr_page_table_reserve(table, from, to, NULL), REMORA_OK);
    write_rows(table, from, to, mark);
}

/* ---- tests ---- */

static void pages_are_of_32_tokens(void **state)
{
    static const struct {
        uint64_t to;
        size_t pages;
    } cases[] = {{1, 1}, {2, 1}, {31, 1}, {32, 1}, {33, 2}, {64, 2}, {65, 3}, {CAPACITY, 10}};
    bed *b = *state;
    rmr_page_table table;
    uint64_t at = 0;
    assert_int_equal(open_table(b, &table), REMORA_OK);
    assert_int_equal(rmr_page_table_bytes(&table), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        extend(&table, at, cases[i].to, 1);
        at = cases[i].to;
        assert_int_equal(rmr_pages_for(at), cases[i].pages);
        assert_int_equal(rmr_page_table_bytes(&table), cases[i].pages * PAGE);
        assert_int_equal(rmr_page_table_shared_bytes(&table), 0);
        assert_int_equal(held(b), cases[i].pages);
    }
    assert_true(rows_are(&table, 0, CAPACITY, 1));
    rmr_page_table_free(&table);
    rmr_page_table_free(&table); /* and once more: nothing is left */
}

static void capacity_is_the_limit(void **state)
{
    bed *b = *state;
    remora_error err = {.struct_size = sizeof err};
    rmr_page_table table;
    assert_int_equal(open_table(b, &table), REMORA_OK);
    extend(&table, 0, 40, 1);
    assert_int_equal(rmr_page_table_reserve(&table, 40, CAPACITY + 1, &err), REMORA_E_FULL);
    assert_int_equal(rmr_page_table_bytes(&table), 2 * PAGE);
    assert_true(rows_are(&table, 0, 40, 1));
    extend(&table, 40, CAPACITY, 1);
    rmr_page_table_free(&table);
}

static void trim_drops_whole_pages(void **state)
{
    bed *b = *state;
    rmr_page_table table;
    assert_int_equal(open_table(b, &table), REMORA_OK);
    extend(&table, 0, 100, 1);
    rmr_page_table_trim(&table, 100);
    assert_int_equal(rmr_page_table_bytes(&table), 4 * PAGE);
    rmr_page_table_trim(&table, 65);
    assert_int_equal(rmr_page_table_bytes(&table), 3 * PAGE);
    rmr_page_table_trim(&table, 64);
    assert_int_equal(rmr_page_table_bytes(&table), 2 * PAGE);
    rmr_page_table_trim(&table, 33);
    assert_int_equal(held(b), 2);
    rmr_page_table_trim(&table, 200); /* more than there is */
    assert_int_equal(held(b), 2);
    assert_true(rows_are(&table, 0, 64, 1));
    rmr_page_table_trim(&table, 0);
    assert_int_equal(held(b), 0);
    extend(&table, 0, 5, 2);
    assert_true(rows_are(&table, 0, 5, 2));
    rmr_page_table_free(&table);
}

static void fork_shares_full_pages(void **state)
{
    static const uint64_t at[] = {0, 1, 31, 32, 33, 64, 70, 95, 96};
    bed *b = *state;
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        const size_t full = (size_t)(at[i] / RMR_PAGE_TOKENS),
                     partial = at[i] % RMR_PAGE_TOKENS != 0;
        rmr_page_table a, f;
        assert_int_equal(open_table(b, &a), REMORA_OK);
        assert_int_equal(open_table(b, &f), REMORA_OK);
        extend(&a, 0, 96, 1);
        assert_int_equal(rmr_page_table_fork(&f, &a, at[i], NULL), REMORA_OK);
        assert_int_equal(rmr_page_table_bytes(&f), (full + partial) * PAGE);
        assert_int_equal(rmr_page_table_shared_bytes(&f), full * PAGE);
        assert_int_equal(rmr_page_table_shared_bytes(&a), full * PAGE);
        assert_int_equal(held(b), 3 + partial); /* shared pages count once */
        assert_true(rows_are(&f, 0, at[i], 1));
        /* both go on: the fork's page is its own */
        extend(&f, at[i], at[i] + 10, 2);
        assert_true(rows_are(&a, 0, 96, 1));
        extend(&a, 96, 110, 3);
        assert_true(rows_are(&f, 0, at[i], 1) && rows_are(&f, at[i], at[i] + 10, 2));
        rmr_page_table_free(i % 2 == 0 ? &a : &f); /* either may go first */
        rmr_page_table *left = i % 2 == 0 ? &f : &a;
        assert_int_equal(rmr_page_table_shared_bytes(left), 0);
        assert_true(rows_are(left, 0, at[i], 1));
        rmr_page_table_free(left);
        assert_int_equal(b->be.live, 0);
    }
}

static void writing_into_shared_history_copies(void **state)
{
    static const uint64_t keep[] = {0, 1, 20, 31, 32, 33, 50, 63, 64};
    bed *b = *state;
    for (size_t i = 0; i < sizeof keep / sizeof keep[0]; i++) {
        rmr_page_table a, f;
        assert_int_equal(open_table(b, &a), REMORA_OK);
        assert_int_equal(open_table(b, &f), REMORA_OK);
        extend(&a, 0, 96, 1);
        assert_int_equal(rmr_page_table_fork(&f, &a, 96, NULL), REMORA_OK);
        rmr_page_table_trim(&a, keep[i]);
        extend(&a, keep[i], 90, 2);
        assert_true(rows_are(&f, 0, 96, 1));
        assert_true(rows_are(&a, 0, keep[i], 1) && rows_are(&a, keep[i], 90, 2));
        assert_int_equal(rmr_page_table_shared_bytes(&a), keep[i] / RMR_PAGE_TOKENS * PAGE);
        rmr_page_table_free(&f);
        assert_true(rows_are(&a, 0, keep[i], 1) && rows_are(&a, keep[i], 90, 2));
        rmr_page_table_free(&a);
    }
}

/* Evaluating the last token again writes a row without a trim. */
static void rewriting_one_row_copies(void **state)
{
    bed *b = *state;
    rmr_page_table a, f;
    assert_int_equal(open_table(b, &a), REMORA_OK);
    assert_int_equal(open_table(b, &f), REMORA_OK);
    extend(&a, 0, 64, 1);
    assert_int_equal(rmr_page_table_fork(&f, &a, 64, NULL), REMORA_OK);
    extend(&f, 63, 64, 2);
    assert_true(rows_are(&a, 0, 64, 1));
    assert_true(rows_are(&f, 0, 63, 1) && rows_are(&f, 63, 64, 2));
    assert_int_equal(rmr_page_table_shared_bytes(&f), PAGE);
    rmr_page_table_free(&a);
    rmr_page_table_free(&f);
}

static void failures_leave_the_table(void **state)
{
    bed *b = *state;
    remora_error err = {.struct_size = sizeof err};
    rmr_page_table a, f, none;
    assert_int_equal(open_table(b, &a), REMORA_OK);
    assert_int_equal(open_table(b, &f), REMORA_OK);
    extend(&a, 0, 70, 1);
    b->be.create_fails = REMORA_E_DEVICE_MEM;
    assert_int_equal(rmr_page_table_init(&none, &b->pool, PAGE, RMR_KV_F32, CAPACITY, 0, &err),
                     REMORA_E_DEVICE_MEM);
    assert_int_equal(err.code, REMORA_E_DEVICE_MEM);
    rmr_page_table_free(&none);
    b->be.create_fails = REMORA_OK;
    b->be.copy_fails = REMORA_E_DEVICE;
    assert_int_equal(rmr_page_table_fork(&f, &a, 70, &err), REMORA_E_DEVICE);
    rmr_page_table_trim(&f, 0); /* a fork that failed is freed by its caller */
    b->be.copy_fails = REMORA_OK;
    assert_int_equal(rmr_page_table_fork(&f, &a, 64, NULL), REMORA_OK);
    b->be.copy_fails = REMORA_E_DEVICE;
    rmr_page_table_trim(&a, 40);
    assert_int_equal(rmr_page_table_reserve(&a, 40, 200, &err), REMORA_E_DEVICE);
    assert_int_equal(err.code, REMORA_E_DEVICE);
    assert_int_equal(rmr_page_table_bytes(&a), 2 * PAGE);
    assert_int_equal(held(b), 2);
    b->be.copy_fails = REMORA_OK;
    assert_true(rows_are(&a, 0, 40, 1) && rows_are(&f, 0, 64, 1));
    extend(&a, 40, 200, 2);
    assert_true(rows_are(&f, 0, 64, 1));
    rmr_page_table_free(&a);
    rmr_page_table_free(&f);
}

/* Two tables that hold all they may, with a page in common: one more is there for the copy. */
static void full_tables_can_still_copy(void **state)
{
    bed *b = *state;
    rmr_page_table a, f;
    assert_int_equal(open_table(b, &a), REMORA_OK);
    assert_int_equal(open_table(b, &f), REMORA_OK);
    extend(&a, 0, CAPACITY, 1);
    assert_int_equal(rmr_page_table_fork(&f, &a, CAPACITY, NULL), REMORA_OK);
    extend(&f, 0, CAPACITY, 2);
    assert_int_equal(rmr_page_table_shared_bytes(&a), 0);
    assert_true(rows_are(&a, 0, CAPACITY, 1) && rows_are(&f, 0, CAPACITY, 2));
    rmr_page_table_free(&a);
    rmr_page_table_free(&f);
}

/* The memory of a table that is gone serves the next one, or goes back: never more than promised
 * and what a fork still holds. */
static void blocks_come_and_go(void **state)
{
    enum { ALL = CAPACITY / RMR_PAGE_TOKENS + RMR_PAGE_SPARE };
    bed *b = *state;
    rmr_page_table a, f, g;
    assert_int_equal(open_table(b, &a), REMORA_OK);
    assert_int_equal(rmr_pages_bytes(&b->pool).device, (uint64_t)ALL * PAGE);
    assert_int_equal(b->be.live, 1);
    assert_int_equal(open_table(b, &f), REMORA_OK);
    assert_int_equal(b->be.live, 2);
    extend(&a, 0, 64, 1);
    assert_int_equal(rmr_page_table_fork(&f, &a, 64, NULL), REMORA_OK);
    rmr_page_table_free(&a); /* f's pages lie in its block: the other one goes */
    assert_int_equal(b->be.live, 1);
    assert_int_equal(rmr_pages_bytes(&b->pool).device, (uint64_t)ALL * PAGE);
    extend(&f, 64, CAPACITY, 2);
    assert_int_equal(open_table(b, &g), REMORA_OK);
    extend(&g, 0, CAPACITY, 3);
    assert_int_equal(b->be.live, 2);
    assert_true(rows_are(&f, 0, 64, 1) && rows_are(&f, 64, CAPACITY, 2));
    rmr_page_table_trim(&f, 0);
    assert_int_equal(b->be.live, 2); /* it may come back */
    extend(&f, 0, CAPACITY, 4);
    rmr_page_table_free(&f);
    assert_int_equal(b->be.live, 1);
    assert_true(rows_are(&g, 0, CAPACITY, 3));
    rmr_page_table_free(&g);
    assert_int_equal(b->be.live, 0);
}

/* ---- every allocation fails once ---- */

static remora_status some_work(bed *b, rmr_page_table *a, rmr_page_table *f)
{
    RMR_TRY(open_table(b, a));
    RMR_TRY(open_table(b, f));
    const size_t none = a->n;
    remora_status st = rmr_page_table_reserve(a, 0, 100, NULL);
    if (st < 0) {
        assert_int_equal(a->n, none);
        return st;
    }
    write_rows(a, 0, 100, 1);
    RMR_TRY(rmr_page_table_fork(f, a, 80, NULL));
    rmr_page_table_trim(a, 20);
    const size_t before = a->n;
    st = rmr_page_table_reserve(a, 20, 150, NULL);
    assert_true(rows_are(f, 0, 80, 1) && rows_are(a, 0, 20, 1));
    if (st < 0) assert_int_equal(a->n, before);
    return st;
}

static int32_t sweep_body(void *arg, tmem *t)
{
    bed *b = arg;
    rmr_page_table a = {0}, f = {0};
    (void)t;
    const remora_status st = some_work(b, &a, &f);
    rmr_page_table_free(&a);
    rmr_page_table_free(&f);
    if (rmr_pages_bytes(&b->pool).device != 0 || b->be.live != 0) return -1000;
    return st;
}

static void every_allocation_fails_once(void **state)
{
    bed *b = *state;
    /* promised: 4 for each table, none after; as needed: 1, and 3 for each of 4 + 1 + 5 pages, one
     * of which is a copy */
    assert_int_equal(tmem_sweep(&b->t, sweep_body, b), b->as_needed ? 2 + 3 * 10 : 8);
}

/* Pages as needed: what is held is what tables hold, and a page that cannot be had is a status. */
static void pages_come_and_go(void **state)
{
    bed *b = *state;
    remora_error err = {.struct_size = sizeof err};
    rmr_page_table a, f;
    assert_int_equal(open_table(b, &a), REMORA_OK);
    assert_int_equal(open_table(b, &f), REMORA_OK);
    assert_int_equal(b->be.live, 0);
    extend(&a, 0, 100, 1);
    assert_int_equal(rmr_page_table_kept_bytes(&a), 4 * PAGE);
    assert_int_equal(rmr_pages_bytes(&b->pool).device, 4 * PAGE);
    assert_int_equal(rmr_page_table_fork(&f, &a, 70, NULL), REMORA_OK);
    assert_int_equal(b->be.live, 5);
    assert_int_equal(rmr_page_table_kept_bytes(&a), 2 * PAGE);
    assert_int_equal(rmr_page_table_kept_bytes(&f), PAGE);
    rmr_page_table_trim(&a, 0);
    assert_int_equal(b->be.live, 3);
    b->be.create_fails = REMORA_E_DEVICE_MEM;
    assert_int_equal(rmr_page_table_reserve(&f, 70, 97, &err), REMORA_E_DEVICE_MEM);
    assert_int_equal(err.code, REMORA_E_DEVICE_MEM);
    assert_int_equal(rmr_page_table_reserve(&f, 70, 96, &err), REMORA_OK); /* in what it has */
    assert_int_equal(rmr_page_table_bytes(&f), 3 * PAGE);
    b->be.create_fails = REMORA_OK;
    extend(&f, 70, 97, 2);
    assert_true(rows_are(&f, 0, 70, 1) && rows_are(&f, 70, 97, 2));
    rmr_page_table_free(&f);
    assert_int_equal(b->be.live, 0);
    rmr_page_table_free(&a);
}

/* Tables of both kinds in one pool: neither takes the other's pages. */
static void kinds_are_apart(void **state)
{
    enum { ALL = CAPACITY / RMR_PAGE_TOKENS + RMR_PAGE_SPARE };
    bed *b = *state;
    rmr_page_table promised, needed;
    assert_int_equal(open_table(b, &promised), REMORA_OK);
    b->as_needed = 1;
    assert_int_equal(open_table(b, &needed), REMORA_OK);
    extend(&needed, 0, CAPACITY, 1);
    assert_int_equal(rmr_page_table_kept_bytes(&promised), ALL * PAGE);
    extend(&promised, 0, CAPACITY, 2);
    assert_int_equal(held(b), 2 * (CAPACITY / RMR_PAGE_TOKENS));
    assert_int_equal(rmr_pages_bytes(&b->pool).device, (ALL + CAPACITY / RMR_PAGE_TOKENS) * PAGE);
    rmr_page_table_free(&needed);
    assert_true(rows_are(&promised, 0, CAPACITY, 2));
    rmr_page_table_free(&promised);
}

/* ---- many tables, any order ---- */

/* What a table must hold: who wrote each position. */
typedef struct shadow {
    rmr_page_table table;
    int open;
    uint32_t mark[CAPACITY];
    uint64_t n;
} shadow;

static uint32_t next(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static void check_all(const shadow *all, size_t n, const bed *b)
{
    uint64_t pages = 0, open = 0;
    for (size_t i = 0; i < n; i++) {
        if (!all[i].open) continue;
        for (uint64_t pos = 0; pos < all[i].n; pos++)
            assert_true(rows_are(&all[i].table, pos, pos + 1, all[i].mark[pos]));
        assert_int_equal(rmr_page_table_bytes(&all[i].table), rmr_pages_for(all[i].n) * PAGE);
        pages += all[i].table.n;
        open++;
    }
    assert_true(held(b) <= pages);
    assert_int_equal(b->pool.pool[RMR_KV_F32].promised,
                     b->as_needed ? 0 : open * (CAPACITY / RMR_PAGE_TOKENS + RMR_PAGE_SPARE));
    if (b->as_needed) assert_int_equal(b->be.live, held(b));
}

static void random_work_keeps_every_table(void **state)
{
    enum { TABLES = 5, STEPS = 600 };
    bed *b = *state;
    static shadow all[TABLES];
    uint64_t seed = 4;
    uint32_t writer = 0;
    memset(all, 0, sizeof all);
    for (int step = 0; step < STEPS; step++) {
        shadow *s = &all[next(&seed, TABLES)], *from = &all[next(&seed, TABLES)];
        const uint32_t what = next(&seed, 8);
        if (!s->open) {
            assert_int_equal(open_table(b, &s->table), REMORA_OK);
            s->open = 1;
            s->n = from != s && from->open ? next(&seed, (uint32_t)from->n + 1) : 0;
            const long calls = atomic_load(&b->t.calls);
            if (s->n > 0)
                assert_int_equal(rmr_page_table_fork(&s->table, &from->table, s->n, NULL),
                                 REMORA_OK);
            assert_true(b->as_needed || atomic_load(&b->t.calls) == calls);
            memcpy(s->mark, from->mark, sizeof s->mark);
        } else if (what == 0) {
            rmr_page_table_free(&s->table);
            s->open = 0;
        } else if (what < 4) {
            s->n = next(&seed, (uint32_t)s->n + 1);
            rmr_page_table_trim(&s->table, s->n);
        } else {
            const uint64_t room = CAPACITY - s->n,
                           more = room > 0 ? next(&seed, (uint32_t)room + 1) % 50 : 0;
            const long calls = atomic_load(&b->t.calls);
            extend(&s->table, s->n, s->n + more, ++writer);
            /* promised pages come from the pool */
            assert_true(b->as_needed || atomic_load(&b->t.calls) == calls);
            for (uint64_t i = 0; i < more; i++) s->mark[s->n++] = writer;
        }
        if (step % 10 == 0) check_all(all, TABLES, b);
    }
    for (size_t i = 0; i < TABLES; i++)
        if (all[i].open) rmr_page_table_free(&all[i].table);
}

/* A fork() has caught a thread that was changing another table: the lock is its, counts are half
 * changed, and a page is in no list. This table still gets every page that it was promised. */
static void the_lock_is_of_another_process(void **state)
{
    bed *b = *state;
    rmr_page_table lost, mine;
    rmr_page_pool *pool = &b->pool.pool[RMR_KV_F32];
    assert_int_equal(open_table(b, &lost), REMORA_OK);
    assert_int_equal(open_table(b, &mine), REMORA_OK);
    extend(&lost, 0, 40, 1);
    atomic_store(&b->pool.lock.word, 1);
    pool->n_free += 3;
    pool->n_pages -= 1;
    extend(&mine, 0, CAPACITY, 2);
    assert_int_equal(held(b), 2 + CAPACITY / RMR_PAGE_TOKENS);
    assert_true(rows_are(&mine, 0, CAPACITY, 2) && rows_are(&lost, 0, 40, 1));
    rmr_page_table_free(&mine);
    rmr_page_table_free(&lost);
}
#define PROMISED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define AS_NEEDED(test)                                                                            \
    {                                                                                              \
#test " (pages as needed)", test, setup_as_needed, teardown, NULL                          \
    }
#define BOTH(test) PROMISED(test), AS_NEEDED(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(pages_are_of_32_tokens),
        BOTH(capacity_is_the_limit),
        BOTH(trim_drops_whole_pages),
        BOTH(fork_shares_full_pages),
        BOTH(writing_into_shared_history_copies),
        BOTH(rewriting_one_row_copies),
        BOTH(failures_leave_the_table),
        BOTH(full_tables_can_still_copy),
        PROMISED(blocks_come_and_go),
        AS_NEEDED(pages_come_and_go),
        PROMISED(kinds_are_apart),
        BOTH(every_allocation_fails_once),
        BOTH(random_work_keeps_every_table),
        PROMISED(the_lock_is_of_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
