#include "contexts.h"

#include "cache_streams.h"
#include "program.h"

typedef struct rmr_exec {
    remora_model *m;
    rmr_cache_layout cache;
    rmr_program list;
    pthread_mutex_t lock;
    rmr_context *all; /* under the lock */
} rmr_exec;

static rmr_exec *exec_of(const remora_model *m)
{
    return m->exec;
}

static rmr_step_desc describe(const rmr_exec *x, uint32_t max_rows, uint32_t max_pages)
{
    return (rmr_step_desc){.ops = x->list.ops,
                           .n_ops = x->list.n_ops,
                           .slots = x->list.slots,
                           .n_slots = RMR_SLOT_COUNT,
                           .max_rows = max_rows,
                           .max_pages = max_pages,
                           .max_out = RMR_HEAD_ROWS,
                           .cache = &x->cache};
}

const rmr_cache_layout *rmr_exec_cache(const remora_model *m)
{
    static const rmr_cache_layout none; /* a model that was opened anyway has no layers */
    return exec_of(m) != NULL ? &exec_of(m)->cache : &none;
}

/* ---- contexts ---- */

static uint32_t round_pages(uint32_t max_pages)
{
    return max_pages > RMR_MIN_PAGES ? max_pages : RMR_MIN_PAGES;
}

static size_t block_bytes(uint32_t max_rows, uint32_t max_pages)
{
    return (size_t)rmr_inputs_place(NULL, NULL, max_rows, max_pages);
}

static void context_free(remora_model *m, rmr_context *c)
{
    m->be->ops->step_free(m->be, c->step);
    rmr_free(&m->rt->ctx.mem, c->in.block, block_bytes(c->max_rows, c->max_pages));
    rmr_free(&m->rt->ctx.mem, c->parts, c->max_rows * sizeof *c->parts);
    rmr_free(&m->rt->ctx.mem, c, sizeof *c);
}

uint64_t rmr_exec_context_bytes(const remora_model *m, uint32_t max_rows, uint32_t max_pages)
{
    const rmr_step_desc d = describe(exec_of(m), max_rows, round_pages(max_pages));
    return sizeof(rmr_context) + d.max_rows * sizeof(rmr_part) +
           block_bytes(d.max_rows, d.max_pages) + m->be->ops->step_bytes(m->be, &d);
}

uint64_t rmr_exec_bytes(const remora_model *m)
{
    rmr_exec *x = exec_of(m);
    uint64_t bytes = 0;
    if (x == NULL) return 0; /* opened anyway */
    pthread_mutex_lock(&x->lock);
    for (const rmr_context *c = x->all; c != NULL; c = c->next)
        bytes += rmr_exec_context_bytes(m, c->max_rows, c->max_pages);
    pthread_mutex_unlock(&x->lock);
    return bytes;
}

static remora_status context_new(rmr_exec *x, uint32_t max_rows, uint32_t max_pages,
                                 rmr_context **out, remora_error *err)
{
    rmr_mem *mem = &x->m->rt->ctx.mem;
    const rmr_step_desc d = describe(x, max_rows, max_pages);
    const size_t bytes = block_bytes(max_rows, max_pages);
    rmr_context *c = rmr_calloc(mem, 1, sizeof *c);
    unsigned char *block = rmr_calloc(mem, 1, bytes);
    rmr_part *parts = rmr_calloc(mem, max_rows, sizeof *parts);
    if (c == NULL || block == NULL || parts == NULL) {
        rmr_free(mem, parts, max_rows * sizeof *parts);
        rmr_free(mem, block, bytes);
        rmr_free(mem, c, sizeof *c);
        return rmr_error_nomem(err, "step inputs", bytes);
    }
    c->max_rows = max_rows;
    c->max_pages = max_pages;
    c->parts = parts;
    rmr_inputs_place(&c->in, block, max_rows, max_pages);
    const remora_status st = x->m->be->ops->step_create(x->m->be, &d, &c->step, err);
    if (st < 0) {
        context_free(x->m, c);
        return st;
    }
    *out = c;
    return REMORA_OK;
}

static int fits(const rmr_context *c, uint32_t max_rows, uint32_t max_pages)
{
    return c->max_rows >= max_rows && c->max_pages >= max_pages;
}

/* Under the lock: the smallest context that fits; only free ones unless `any`. */
static rmr_context *find(rmr_exec *x, uint32_t max_rows, uint32_t max_pages, int any)
{
    rmr_context *best = NULL;
    for (rmr_context *c = x->all; c != NULL; c = c->next)
        if ((any || !c->taken) && fits(c, max_rows, max_pages) &&
            (best == NULL || c->max_rows < best->max_rows))
            best = c;
    return best;
}

/* Under the lock: unlink the free contexts that `larger` makes superfluous, as a list. */
static rmr_context *unlink_smaller(rmr_exec *x, const rmr_context *larger)
{
    rmr_context *gone = NULL;
    for (rmr_context **at = &x->all; *at != NULL;) {
        rmr_context *c = *at;
        if (c == larger || c->taken || !fits(larger, c->max_rows, c->max_pages)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->next = gone;
        gone = c;
    }
    return gone;
}

/* Find or make a context. A new one replaces the free ones it covers, once it exists. */
static remora_status obtain(remora_model *m, uint32_t max_rows, uint32_t max_pages, int take,
                            rmr_context **out, remora_error *err)
{
    rmr_exec *x = exec_of(m);
    max_pages = round_pages(max_pages);
    pthread_mutex_lock(&x->lock);
    rmr_context *c = find(x, max_rows, max_pages, !take);
    if (c != NULL && take) c->taken = 1;
    pthread_mutex_unlock(&x->lock);
    *out = c;
    if (c != NULL) return REMORA_OK;
    RMR_TRY(context_new(x, max_rows, max_pages, &c, err));
    pthread_mutex_lock(&x->lock);
    c->taken = take;
    c->next = x->all;
    x->all = c;
    rmr_context *gone = unlink_smaller(x, c);
    pthread_mutex_unlock(&x->lock);
    while (gone != NULL) {
        rmr_context *next = gone->next;
        context_free(m, gone);
        gone = next;
    }
    *out = c;
    return REMORA_OK;
}

remora_status rmr_exec_take(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                            rmr_context **out, remora_error *err)
{
    return obtain(m, max_rows, max_pages, 1, out, err);
}

void rmr_exec_give(remora_model *m, rmr_context *c)
{
    rmr_exec *x = exec_of(m);
    if (c == NULL) return;
    (void)m->be->ops->step_wait(m->be, c->step, c->mark, NULL); /* nothing may run on it any more */
    pthread_mutex_lock(&x->lock);
    c->taken = 0;
    pthread_mutex_unlock(&x->lock);
}

remora_status rmr_exec_reserve(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                               remora_error *err)
{
    rmr_context *c;
    return obtain(m, max_rows, max_pages, 0, &c, err);
}

/* ---- steps ---- */

uint32_t rmr_exec_slices(const remora_model *m)
{
    return exec_of(m)->list.n_slices;
}

remora_status rmr_exec_begin(remora_model *m, rmr_context *c, remora_error *err)
{
    c->in.count_routing = (uint32_t)atomic_load_explicit(&m->count_routing, memory_order_relaxed);
    return m->be->ops->step_inputs(m->be, c->step, &c->in, err);
}

static remora_status run(remora_model *m, rmr_context *c, rmr_slice s, uint32_t ahead,
                         remora_error *err)
{
    if (s.n == 0) return REMORA_OK;
    RMR_TRY(m->be->ops->step_submit(m->be, c->step, &s, &c->mark, err));
    if (c->mark <= ahead) return REMORA_OK;
    return m->be->ops->step_wait(m->be, c->step, c->mark - ahead, err);
}

remora_status rmr_exec_slice(remora_model *m, rmr_context *c, uint32_t slice, remora_error *err)
{
    return run(m, c, exec_of(m)->list.slices[slice], m->be->ahead, err);
}

remora_status rmr_exec_head(remora_model *m, rmr_context *c, uint32_t first, uint32_t n,
                            remora_error *err)
{
    rmr_slice s = exec_of(m)->list.head;
    s.want0 = first;
    s.n_want = n;
    return run(m, c, s, 0, err);
}

remora_status rmr_exec_read(remora_model *m, rmr_context *c, uint32_t i, uint32_t n, float *logits,
                            float *hidden, remora_error *err)
{
    if (hidden != NULL)
        RMR_TRY(m->be->ops->step_read(m->be, c->step, RMR_SLOT_OUT, i, n, hidden, err));
    return m->be->ops->step_read(m->be, c->step, RMR_SLOT_LOGITS, i, n, logits, err);
}

remora_status rmr_exec_finish(remora_model *m, rmr_context *c, remora_error *err)
{
    RMR_TRY(run(m, c, exec_of(m)->list.finish, 0, err));
    return m->be->ops->step_wait(m->be, c->step, c->mark, err);
}

/* ---- life ---- */

static void exec_free(void *exec)
{
    rmr_exec *x = exec;
    rmr_mem *mem = &x->m->mem;
    while (x->all != NULL) {
        rmr_context *c = x->all;
        x->all = c->next;
        context_free(x->m, c);
    }
    rmr_program_free(mem, &x->list);
    rmr_cache_streams_free(mem, &x->cache);
    pthread_mutex_destroy(&x->lock);
    rmr_free(mem, x, sizeof *x);
}

remora_status rmr_exec_attach(remora_model *m, remora_error *err)
{
    rmr_mem *mem = &m->mem;
    rmr_exec *x = rmr_calloc(mem, 1, sizeof *x);
    if (x == NULL) return rmr_error_nomem(err, "exec", sizeof *x);
    x->m = m;
    remora_status st = rmr_cache_streams_make(mem, &m->shape, &x->cache, err);
    if (st >= 0) st = rmr_program_make(m, &x->cache, mem, &x->list, err);
    if (st < 0) {
        rmr_cache_streams_free(mem, &x->cache);
        rmr_free(mem, x, sizeof *x);
        return st;
    }
    pthread_mutex_init(&x->lock, NULL);
    m->exec = x;
    m->exec_free = exec_free;
    return REMORA_OK;
}
