#define _DEFAULT_SOURCE
#include "guard_backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu.h"

enum {
    MAX_BLOCKS = 1 << 16,
    MAX_STEPS = 256,
    MAX_QUEUE = 16,
    MAX_WANT = 64,
    PAGE = 4096,
    HUGE_PAGE = 2 << 20
};

static const size_t arena_bytes = (size_t)8 << 30;

typedef struct block {
    size_t at, size;
    int used;
} block;

/* The rows that a slice is for, and a slice that waits with them. */
typedef struct rows_wanted {
    uint32_t n, row[MAX_WANT];
} rows_wanted;

typedef struct waiting {
    rmr_slice slice;
    rows_wanted want;
} waiting;

/* A step of the inner backend: what is submitted and not yet waited for, and the positions of its
 * rows. */
typedef struct stepping {
    rmr_step *step; /* NULL: free entry */
    rmr_step_desc desc;
    waiting queue[MAX_QUEUE];
    rows_wanted want; /* for the slices to come */
    uint32_t queued;
    uint64_t mark; /* of the last slice queued */
    uint32_t *pos, n_rows;
} stepping;

typedef struct guard {
    rmr_backend base;
    rmr_backend *inner;
    rmr_mem mem;                /* device memory */
    unsigned char *map, *arena; /* the arena begins at a huge page inside the map */
    size_t top;                 /* end of what was ever handed out */
    block *blocks;
    size_t n_blocks;
    stepping steps[MAX_STEPS];
    unsigned inside; /* threads in the backend */
    guard_stats stats;
    guard_tap *tap;
    void *tap_user;
    pthread_mutex_t lock; /* over everything above */
} guard;

static guard *of(rmr_backend *be)
{
    return (guard *)be;
}

/* ---- the gate ---- */

/* In whole huge pages: opening and closing costs by the page. */
static void protect(guard *g, int prot)
{
    if (g->top > 0) mprotect(g->arena, rmr_round_up(g->top, HUGE_PAGE), prot);
}

static void enter(guard *g)
{
    pthread_mutex_lock(&g->lock);
    g->stats.calls++;
    if (g->inside++ == 0) protect(g, PROT_READ | PROT_WRITE);
    pthread_mutex_unlock(&g->lock);
}

static void leave(guard *g)
{
    pthread_mutex_lock(&g->lock);
    if (--g->inside == 0) protect(g, PROT_NONE);
    pthread_mutex_unlock(&g->lock);
}

static void violation(guard *g)
{
    pthread_mutex_lock(&g->lock);
    g->stats.violations++;
    pthread_mutex_unlock(&g->lock);
}

/* ---- device memory: freed blocks of the same size, else new at the end; bookkeeping outside ----
 */

static size_t take_block(guard *g, size_t size)
{
    for (size_t i = 0; i < g->n_blocks; i++) {
        if (g->blocks[i].used || g->blocks[i].size != size) continue;
        g->blocks[i].used = 1;
        return g->blocks[i].at;
    }
    if (g->n_blocks == MAX_BLOCKS || size > arena_bytes - g->top) return SIZE_MAX;
    g->blocks[g->n_blocks++] = (block){g->top, size, 1};
    g->top += size;
    return g->top - size;
}

static void *REMORA_CALL device_alloc(void *user, size_t size, size_t align)
{
    guard *g = user;
    const size_t need = (size + PAGE - 1) / PAGE * PAGE;
    void *p = NULL;
    (void)align; /* whole pages */
    pthread_mutex_lock(&g->lock);
    const size_t at = take_block(g, need);
    if (at != SIZE_MAX) {
        p = g->arena + at;
        g->stats.live += size;
        if (g->stats.live > g->stats.peak) g->stats.peak = g->stats.live;
        if (g->inside > 0) { /* always so: only the inner backend allocates */
            protect(g, PROT_READ | PROT_WRITE);
            memset(p, 0xEE, size); /* a device's memory is not zeroed: here it is full of NaN */
        }
    }
    pthread_mutex_unlock(&g->lock);
    return p;
}

static void REMORA_CALL device_release(void *user, void *p, size_t size, size_t align)
{
    guard *g = user;
    (void)align;
    pthread_mutex_lock(&g->lock);
    g->stats.live -= size;
    for (size_t i = 0; i < g->n_blocks; i++)
        if (g->arena + g->blocks[i].at == p) g->blocks[i].used = 0;
    pthread_mutex_unlock(&g->lock);
}

static void *REMORA_CALL device_resize(void *user, void *p, size_t old_size, size_t size,
                                       size_t align)
{
    (void)user, (void)p, (void)old_size, (void)size, (void)align;
    return NULL; /* nothing on a device is resized */
}

/* ---- steps ---- */

static stepping *find_step(guard *g, const rmr_step *s)
{
    stepping *found = NULL;
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < MAX_STEPS && found == NULL; i++)
        if (g->steps[i].step == s) found = &g->steps[i];
    pthread_mutex_unlock(&g->lock);
    return found;
}

static remora_status step_create(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                 remora_error *err)
{
    guard *g = of(be);
    *out = NULL;
    RMR_TRY(rmr_ops_check(d->ops, d->n_ops, d->slots, d->n_slots, d->cache, err));
    enter(g);
    const remora_status st = g->inner->ops->step_create(g->inner, d, out, err);
    leave(g);
    if (st < 0) return st;
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < MAX_STEPS; i++) {
        if (g->steps[i].step != NULL) continue;
        g->steps[i] =
            (stepping){.step = *out, .desc = *d, .pos = calloc(d->max_rows, sizeof(uint32_t))};
        break;
    }
    pthread_mutex_unlock(&g->lock);
    return REMORA_OK;
}

static void step_free(rmr_backend *be, rmr_step *s)
{
    guard *g = of(be);
    if (s == NULL) return;
    stepping *q = find_step(g, s);
    if (q->queued > 0) violation(g);
    free(q->pos);
    q->pos = NULL;
    enter(g);
    g->inner->ops->step_free(g->inner, s);
    leave(g);
    pthread_mutex_lock(&g->lock);
    q->step = NULL;
    pthread_mutex_unlock(&g->lock);
}

static remora_status step_inputs(rmr_backend *be, rmr_step *s, const rmr_inputs *in,
                                 remora_error *err)
{
    guard *g = of(be);
    stepping *q = find_step(g, s);
    if (q->queued > 0) violation(g);
    enter(g);
    const remora_status st = g->inner->ops->step_inputs(g->inner, s, in, err);
    leave(g);
    if (st < 0) return st;
    q->want.n = 0;
    memcpy(q->pos, in->pos, in->n_rows * sizeof *in->pos);
    q->n_rows = in->n_rows;
    return REMORA_OK;
}

/* Behind what is queued: kept until the slices to come are run. */
static remora_status step_want(rmr_backend *be, rmr_step *s, const uint32_t *rows, uint32_t n,
                               remora_error *err)
{
    stepping *q = find_step(of(be), s);
    if (n > MAX_WANT || n > q->desc.max_out)
        RMR_FAIL(err, REMORA_E_INTERNAL, "%u wanted rows are too many", n);
    for (uint32_t i = 0; i < n; i++)
        if (rows[i] >= q->n_rows)
            RMR_FAIL(err, REMORA_E_INTERNAL, "wanted row %u is not one of the step's", rows[i]);
    q->want.n = n;
    memcpy(q->want.row, rows, n * sizeof *rows);
    return REMORA_OK;
}

static remora_status step_submit(rmr_backend *be, rmr_step *s, const rmr_slice *slice,
                                 uint64_t *mark, remora_error *err)
{
    stepping *q = find_step(of(be), s);
    if (slice->first > q->desc.n_ops || slice->n > q->desc.n_ops - slice->first ||
        q->queued == MAX_QUEUE)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step slice out of range, or too many");
    q->queue[q->queued++] = (waiting){*slice, q->want};
    *mark = ++q->mark;
    return REMORA_OK;
}

static remora_status run_one(guard *g, const stepping *q, rmr_slice slice, remora_error *err)
{
    uint64_t mark;
    RMR_TRY(g->inner->ops->step_submit(g->inner, q->step, &slice, &mark, err));
    RMR_TRY(g->inner->ops->step_wait(g->inner, q->step, mark, err));
    if (g->tap != NULL) {
        const guard_seen seen = {&q->desc.ops[slice.first], q->pos, q->n_rows, g->inner, q->step};
        g->tap(g->tap_user, &seen);
    }
    pthread_mutex_lock(&g->lock);
    g->stats.ops++;
    pthread_mutex_unlock(&g->lock);
    return REMORA_OK;
}

/* Run the oldest slice of the queue, one operation at a time. */
static remora_status run_slice(guard *g, stepping *q, remora_error *err)
{
    const rows_wanted want = q->queue[0].want;
    rmr_slice one = q->queue[0].slice;
    const uint32_t n = one.n;
    memmove(q->queue, q->queue + 1, --q->queued * sizeof *q->queue);
    one.n = 1;
    RMR_TRY(g->inner->ops->step_want(g->inner, q->step, want.row, want.n, err));
    for (uint32_t i = 0; i < n; i++, one.first++) RMR_TRY(run_one(g, q, one, err));
    return REMORA_OK;
}

static remora_status step_wait(rmr_backend *be, rmr_step *s, uint64_t mark, remora_error *err)
{
    guard *g = of(be);
    stepping *q = find_step(g, s);
    remora_status st = REMORA_OK;
    if (mark > q->mark) RMR_FAIL(err, REMORA_E_INTERNAL, "wait for what was not submitted");
    enter(g);
    while (q->queued > 0 && q->mark - q->queued < mark && st >= 0) st = run_slice(g, q, err);
    leave(g);
    return st;
}

/* Buffer functions come after everything submitted. A failing slice fails its own step's wait. */
static void drain(guard *g)
{
    for (size_t i = 0; i < MAX_STEPS; i++)
        while (g->steps[i].step != NULL && g->steps[i].queued > 0)
            if (run_slice(g, &g->steps[i], NULL) < 0) violation(g);
}

static remora_status step_read(rmr_backend *be, rmr_step *s, const rmr_area *a, void *dst,
                               remora_error *err)
{
    guard *g = of(be);
    if (find_step(g, s)->queued > 0) violation(g);
    enter(g);
    const remora_status st = g->inner->ops->step_read(g->inner, s, a, dst, err);
    leave(g);
    return st;
}

static remora_status step_write(rmr_backend *be, rmr_step *s, const rmr_area *a, const void *src,
                                remora_error *err)
{
    guard *g = of(be);
    if (find_step(g, s)->queued > 0) violation(g);
    enter(g);
    const remora_status st = g->inner->ops->step_write(g->inner, s, a, src, err);
    leave(g);
    return st;
}

/* ---- weights and buffers: pass through the gate ---- */

static void guard_describe(rmr_backend *be, remora_device *out)
{
    of(be)->inner->ops->describe(of(be)->inner, out);
}

static rmr_bytes weight_bytes(rmr_backend *be, const rmr_weight_desc *d, int adopted)
{
    return of(be)->inner->ops->weight_bytes(of(be)->inner, d, adopted);
}

static rmr_bytes step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    return of(be)->inner->ops->step_bytes(of(be)->inner, d);
}

static rmr_bytes buffer_bytes(rmr_backend *be, uint64_t bytes)
{
    return of(be)->inner->ops->buffer_bytes(of(be)->inner, bytes);
}

static remora_status weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                   remora_error *err)
{
    guard *g = of(be);
    enter(g);
    const remora_status st = g->inner->ops->weight_create(g->inner, d, out, err);
    leave(g);
    return st;
}

/* Memory of the host is on the other side of the bus. */
static int weight_adopts(rmr_backend *be, const rmr_weight_desc *d, const void *data)
{
    (void)be, (void)d, (void)data;
    return 0;
}

static remora_status weight_adopt(rmr_backend *be, const rmr_weight_desc *d, const void *data,
                                  rmr_weight **out, remora_error *err)
{
    if (data != NULL) violation(of(be));
    return of(be)->inner->ops->weight_adopt(of(be)->inner, d, data, out, err);
}

static remora_status weight_upload(rmr_backend *be, rmr_weight *w, uint32_t index, uint32_t row0,
                                   uint32_t n, const void *rows, remora_error *err)
{
    guard *g = of(be);
    enter(g);
    const remora_status st = g->inner->ops->weight_upload(g->inner, w, index, row0, n, rows, err);
    leave(g);
    return st;
}

static remora_status weight_fill(rmr_backend *be, rmr_weight *w, uint64_t offset, uint64_t n,
                                 const void *bytes, remora_error *err)
{
    guard *g = of(be);
    enter(g);
    const remora_status st = g->inner->ops->weight_fill(g->inner, w, offset, n, bytes, err);
    leave(g);
    return st;
}

static remora_status weight_done(rmr_backend *be, rmr_weight *w, remora_error *err)
{
    guard *g = of(be);
    enter(g);
    const remora_status st = g->inner->ops->weight_done(g->inner, w, err);
    leave(g);
    return st;
}

static void weight_free(rmr_backend *be, rmr_weight *w)
{
    guard *g = of(be);
    enter(g);
    g->inner->ops->weight_free(g->inner, w);
    leave(g);
}

static remora_status buffer_create(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                   remora_error *err)
{
    guard *g = of(be);
    enter(g);
    const remora_status st = g->inner->ops->buffer_create(g->inner, bytes, out, err);
    leave(g);
    return st;
}

static void buffer_free(rmr_backend *be, rmr_buffer *b)
{
    guard *g = of(be);
    enter(g);
    drain(g);
    g->inner->ops->buffer_free(g->inner, b);
    leave(g);
}

static uint64_t buffer_address(const rmr_buffer *b)
{
    return (uint64_t)(uintptr_t)b->data;
}

static remora_status buffer_read(rmr_backend *be, const rmr_buffer *b, uint64_t off, void *dst,
                                 uint64_t n, remora_error *err)
{
    guard *g = of(be);
    enter(g);
    drain(g);
    const remora_status st = g->inner->ops->buffer_read(g->inner, b, off, dst, n, err);
    leave(g);
    return st;
}

static remora_status buffer_write(rmr_backend *be, rmr_buffer *b, uint64_t off, const void *src,
                                  uint64_t n, remora_error *err)
{
    guard *g = of(be);
    enter(g);
    drain(g);
    const remora_status st = g->inner->ops->buffer_write(g->inner, b, off, src, n, err);
    leave(g);
    return st;
}

static remora_status buffer_zero(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t n,
                                 remora_error *err)
{
    guard *g = of(be);
    enter(g);
    drain(g);
    const remora_status st = g->inner->ops->buffer_zero(g->inner, b, off, n, err);
    leave(g);
    return st;
}

static remora_status buffer_copy(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                 const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                 remora_error *err)
{
    guard *g = of(be);
    enter(g);
    drain(g);
    const remora_status st =
        g->inner->ops->buffer_copy(g->inner, dst, dst_off, src, src_off, n, err);
    leave(g);
    return st;
}

static remora_status counters_read(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t *dst,
                                   uint32_t n, int reset, remora_error *err)
{
    guard *g = of(be);
    enter(g);
    drain(g);
    const remora_status st = g->inner->ops->counters_read(g->inner, b, off, dst, n, reset, err);
    leave(g);
    return st;
}

static void *host_alloc(rmr_backend *be, rmr_mem *mem, size_t size)
{
    return of(be)->inner->ops->host_alloc(of(be)->inner, mem, size);
}

static void host_free(rmr_backend *be, rmr_mem *mem, void *p, size_t size)
{
    of(be)->inner->ops->host_free(of(be)->inner, mem, p, size);
}

static void guard_free(rmr_backend *be)
{
    guard *g = of(be);
    if (g->inner != NULL) g->inner->ops->free(g->inner);
    if (g->map != MAP_FAILED) munmap(g->map, arena_bytes + HUGE_PAGE);
    pthread_mutex_destroy(&g->lock);
    free(g->blocks);
    free(g);
}

static const rmr_backend_ops guard_ops = {
    RMR_BACKEND_HEAD,
    .free = guard_free,
    .describe = guard_describe,
    .weight_bytes = weight_bytes,
    .step_bytes = step_bytes,
    .buffer_bytes = buffer_bytes,
    .weight_create = weight_create,
    .weight_adopts = weight_adopts,
    .weight_adopt = weight_adopt,
    .weight_upload = weight_upload,
    .weight_fill = weight_fill,
    .weight_done = weight_done,
    .weight_free = weight_free,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .buffer_address = buffer_address,
    .buffer_read = buffer_read,
    .buffer_write = buffer_write,
    .buffer_zero = buffer_zero,
    .buffer_copy = buffer_copy,
    .counters_read = counters_read,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .step_create = step_create,
    .step_free = step_free,
    .step_inputs = step_inputs,
    .step_want = step_want,
    .step_submit = step_submit,
    .step_wait = step_wait,
    .step_read = step_read,
    .step_write = step_write,
};

remora_status guard_make(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                         remora_error *err)
{
    (void)user;
    guard *g = calloc(1, sizeof *g);
    if (g == NULL) return rmr_error_nomem(err, "guard", sizeof *g);
    g->base.ops = &guard_ops;
    g->base.ahead = 2; /* what a device with a queue asks for */
    g->mem = (rmr_mem){
        .user = g, .alloc = device_alloc, .resize = device_resize, .release = device_release};
    rmr_mem_init(&g->mem);
    pthread_mutex_init(&g->lock, NULL);
    g->blocks = calloc(MAX_BLOCKS, sizeof *g->blocks);
    g->map = mmap(NULL, arena_bytes + HUGE_PAGE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    remora_status st = REMORA_OK;
    if (g->blocks == NULL || g->map == MAP_FAILED) {
        st = rmr_error_nomem(err, "guard arena", arena_bytes);
    } else {
        g->arena = (unsigned char *)(uintptr_t)rmr_round_up((uintptr_t)g->map, HUGE_PAGE);
#ifdef MADV_HUGEPAGE
        madvise(g->arena, arena_bytes, MADV_HUGEPAGE); /* a hint, which may be refused */
#endif
    }
    if (st >= 0) st = rmr_cpu_create(ctx, isa, &g->mem, &g->inner, err);
    if (st < 0) {
        guard_free(&g->base);
        return st;
    }
    *out = &g->base;
    return REMORA_OK;
}

remora_status guard_runtime_create(const remora_runtime_opts *opts, remora_runtime **out,
                                   remora_error *err)
{
    const rmr_device_maker maker = {guard_make, NULL};
    return rmr_runtime_create_with(opts, &maker, 1, out, err);
}

guard_stats guard_get_stats(remora_runtime *rt)
{
    return guard_stats_of(rt->backends[0]);
}

guard_stats guard_stats_of(rmr_backend *be)
{
    guard *g = of(be);
    pthread_mutex_lock(&g->lock);
    const guard_stats s = g->stats;
    pthread_mutex_unlock(&g->lock);
    return s;
}

void guard_set_tap(remora_runtime *rt, guard_tap *tap, void *user)
{
    of(rt->backends[0])->tap = tap;
    of(rt->backends[0])->tap_user = user;
}
