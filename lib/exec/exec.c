#include "exec.h"

#include "list.h"

typedef struct rmr_exec {
    remora_model *m;
    rmr_list list;
    pthread_mutex_t lock;
    rmr_context *pool;           /* free contexts, under the lock */
    atomic_uint_least64_t bytes; /* of all contexts */
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
                           .max_runs = max_rows,
                           .max_pages = max_pages,
                           .max_out = RMR_HEAD_ROWS};
}

/* ---- contexts ---- */

static uint32_t round_pages(uint32_t max_pages)
{
    return max_pages > RMR_MIN_PAGES ? max_pages : RMR_MIN_PAGES;
}

static void context_free(remora_model *m, rmr_context *c)
{
    rmr_mem *mem = &m->rt->ctx.mem;
    if (c == NULL) return;
    m->be->ops->step_free(m->be, c->step);
    rmr_free(mem, c->in.token, c->max_rows * sizeof *c->in.token);
    rmr_free(mem, c->in.pos, c->max_rows * sizeof *c->in.pos);
    rmr_free(mem, c->in.run, c->max_rows * sizeof *c->in.run);
    rmr_free(mem, c->in.page, c->max_pages * sizeof *c->in.page);
    rmr_free(mem, c->in.out_row, RMR_HEAD_ROWS * sizeof *c->in.out_row);
    rmr_free(mem, c->want, c->max_rows * sizeof *c->want);
    rmr_free(mem, c, sizeof *c);
}

uint64_t rmr_exec_bytes(const remora_model *m)
{
    return atomic_load_explicit(&exec_of(m)->bytes, memory_order_relaxed);
}

uint64_t rmr_exec_context_bytes(remora_model *m, uint32_t max_rows, uint32_t max_pages)
{
    const rmr_step_desc d = describe(exec_of(m), max_rows, round_pages(max_pages));
    const rmr_context *c = NULL;
    return sizeof *c + m->be->ops->step_bytes(m->be, &d) +
           (uint64_t)max_rows *
               (sizeof *c->in.token + sizeof *c->in.pos + sizeof *c->in.run + sizeof *c->want) +
           (uint64_t)d.max_pages * sizeof *c->in.page + RMR_HEAD_ROWS * sizeof *c->in.out_row;
}

static remora_status context_new(rmr_exec *x, uint32_t max_rows, uint32_t max_pages,
                                 rmr_context **out, remora_error *err)
{
    rmr_mem *mem = &x->m->rt->ctx.mem;
    const rmr_step_desc d = describe(x, max_rows, max_pages);
    rmr_context *c = rmr_calloc(mem, 1, sizeof *c);
    if (c == NULL) return rmr_error_nomem(err, "context", sizeof *c);
    c->max_rows = max_rows;
    c->max_pages = max_pages;
    c->in.token = rmr_calloc(mem, max_rows, sizeof *c->in.token);
    c->in.pos = rmr_calloc(mem, max_rows, sizeof *c->in.pos);
    c->in.run = rmr_calloc(mem, max_rows, sizeof *c->in.run);
    c->in.page = rmr_calloc(mem, max_pages, sizeof *c->in.page);
    c->in.out_row = rmr_calloc(mem, RMR_HEAD_ROWS, sizeof *c->in.out_row);
    c->want = rmr_calloc(mem, max_rows, sizeof *c->want);
    remora_status st = REMORA_OK;
    if (!c->in.token || !c->in.pos || !c->in.run || !c->in.page || !c->in.out_row || !c->want)
        st = rmr_error_nomem(err, "step inputs", (uint64_t)max_pages * 8);
    if (st >= 0) st = x->m->be->ops->step_create(x->m->be, &d, &c->step, err);
    if (st < 0) {
        context_free(x->m, c);
        return st;
    }
    atomic_fetch_add_explicit(&x->bytes, rmr_exec_context_bytes(x->m, max_rows, max_pages),
                              memory_order_relaxed);
    *out = c;
    return REMORA_OK;
}

/* Unlink the first free context that is large enough; the smaller ones found on the way go to
 * *small. */
static rmr_context *unlink_free(rmr_exec *x, uint32_t max_rows, uint32_t max_pages,
                                rmr_context **small)
{
    rmr_context *found = NULL;
    *small = NULL;
    pthread_mutex_lock(&x->lock);
    for (rmr_context **at = &x->pool; *at != NULL;) {
        rmr_context *c = *at;
        const int fits = c->max_rows >= max_rows && c->max_pages >= max_pages;
        if (fits && found != NULL) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        if (fits) {
            found = c;
        } else {
            c->next = *small;
            *small = c;
        }
    }
    pthread_mutex_unlock(&x->lock);
    return found;
}

remora_status rmr_exec_take(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                            rmr_context **out, remora_error *err)
{
    rmr_exec *x = exec_of(m);
    rmr_context *small;
    max_pages = round_pages(max_pages);
    *out = unlink_free(x, max_rows, max_pages, &small);
    while (small != NULL) { /* a larger one takes their place */
        rmr_context *next = small->next;
        atomic_fetch_sub_explicit(&x->bytes,
                                  rmr_exec_context_bytes(m, small->max_rows, small->max_pages),
                                  memory_order_relaxed);
        context_free(m, small);
        small = next;
    }
    return *out != NULL ? REMORA_OK : context_new(x, max_rows, max_pages, out, err);
}

void rmr_exec_give(remora_model *m, rmr_context *c)
{
    rmr_exec *x = exec_of(m);
    if (c == NULL) return;
    pthread_mutex_lock(&x->lock);
    c->next = x->pool;
    x->pool = c;
    pthread_mutex_unlock(&x->lock);
}

remora_status rmr_exec_reserve(remora_model *m, uint32_t max_rows, uint32_t max_pages,
                               remora_error *err)
{
    rmr_context *c;
    RMR_TRY(rmr_exec_take(m, max_rows, max_pages, &c, err));
    rmr_exec_give(m, c);
    return REMORA_OK;
}

/* ---- steps ---- */

uint32_t rmr_exec_slices(const remora_model *m)
{
    return exec_of(m)->list.n_slices;
}

remora_status rmr_exec_begin(remora_model *m, rmr_context *c, remora_error *err)
{
    c->in.n_out = 0;
    c->in.count_routing = (uint32_t)atomic_load_explicit(&m->count_routing, memory_order_relaxed);
    return m->be->ops->step_inputs(m->be, c->step, &c->in, err);
}

static remora_status run(remora_model *m, rmr_context *c, rmr_slice s, remora_error *err)
{
    RMR_TRY(m->be->ops->step_submit(m->be, c->step, s.first, s.n, err));
    return m->be->ops->step_wait(m->be, c->step, err);
}

remora_status rmr_exec_slice(remora_model *m, rmr_context *c, uint32_t slice, remora_error *err)
{
    return run(m, c, exec_of(m)->list.slices[slice], err);
}

remora_status rmr_exec_head(remora_model *m, rmr_context *c, uint32_t first, uint32_t n,
                            float *logits, float *hidden, remora_error *err)
{
    c->in.n_out = n;
    for (uint32_t i = 0; i < n; i++) c->in.out_row[i] = c->want[first + i];
    RMR_TRY(m->be->ops->step_inputs(m->be, c->step, &c->in, err));
    RMR_TRY(run(m, c, exec_of(m)->list.head, err));
    if (hidden != NULL)
        RMR_TRY(m->be->ops->step_read(m->be, c->step, RMR_SLOT_OUT, 0, n, hidden, err));
    return m->be->ops->step_read(m->be, c->step, RMR_SLOT_LOGITS, 0, n, logits, err);
}

/* ---- life ---- */

static void exec_free(void *exec)
{
    rmr_exec *x = exec;
    rmr_mem *mem = &x->m->mem;
    while (x->pool != NULL) {
        rmr_context *c = x->pool;
        x->pool = c->next;
        context_free(x->m, c);
    }
    rmr_list_free(mem, &x->list);
    pthread_mutex_destroy(&x->lock);
    rmr_free(mem, x, sizeof *x);
}

remora_status rmr_exec_attach(remora_model *m, remora_error *err)
{
    rmr_mem *mem = &m->mem;
    rmr_exec *x = rmr_calloc(mem, 1, sizeof *x);
    if (x == NULL) return rmr_error_nomem(err, "exec", sizeof *x);
    x->m = m;
    const remora_status st = rmr_list_make(m, mem, &x->list, err);
    if (st < 0) {
        rmr_free(mem, x, sizeof *x);
        return st;
    }
    pthread_mutex_init(&x->lock, NULL);
    m->exec = x;
    m->exec_free = exec_free;
    return REMORA_OK;
}
