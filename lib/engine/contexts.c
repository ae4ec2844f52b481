/* SPDX-License-Identifier: Apache-2.0 */
#include "contexts.h"

#include <string.h>

#include "arena.h"
#include "model.h"
#include "process.h"

static rmr_step_desc describe(const remora_model *m, const rmr_context_size *size)
{
    return (rmr_step_desc){.ops = m->programs.ops,
                           .n_ops = m->programs.n_ops,
                           .slots = m->programs.slots,
                           .n_slots = RMR_SLOT_COUNT,
                           .max_rows = size->rows,
                           .max_pages = size->pages,
                           .max_out = RMR_HEAD_ROWS,
                           .cache = &m->cache};
}

static rmr_context_size round_pages(rmr_context_size size)
{
    if (size.pages < RMR_MIN_PAGES) size.pages = RMR_MIN_PAGES;
    return size;
}

/* A context without its step, in one block. NULL when counting. */
static rmr_context *lay_out(rmr_arena *a, const rmr_context_size *size)
{
    const uint64_t inputs = rmr_inputs_place(NULL, NULL, size->rows, size->pages);
    rmr_context *c = rmr_arena_take(a, 1, sizeof *c);
    void *user = rmr_arena_take(a, size->user_bytes, 1);
    unsigned char *block = rmr_arena_take(a, inputs, 1);
    if (c == NULL) return NULL;
    *c = (rmr_context){.user = user, .size = *size, .block_bytes = a->used};
    memset(user, 0, size->user_bytes);
    memset(block, 0, (size_t)inputs);
    rmr_inputs_place(&c->in, block, size->rows, size->pages);
    return c;
}

static void context_free(remora_model *m, rmr_context *c)
{
    m->be->ops->step_free(m->be, c->step);
    rmr_arena_free(&m->rt->ctx.mem, c, c->block_bytes);
}

static void give_bytes(remora_model *m, rmr_bytes n)
{
    rmr_budget_give(&m->budget, n.host);
    rmr_budget_give(&m->device_budget, n.device);
}

static remora_status take_bytes(remora_model *m, rmr_bytes n, remora_error *err)
{
    if (!rmr_budget_take(&m->budget, n.host)) return rmr_error_nomem(err, "context", n.host);
    if (rmr_budget_take(&m->device_budget, n.device)) return REMORA_OK;
    rmr_budget_give(&m->budget, n.host);
    return rmr_error_device_mem(err, "context", n.device);
}

/* Under the lock: move the context that *at points to from there to the list *gone. */
static void unlink_context(rmr_contexts *x, rmr_context **at, rmr_context **gone)
{
    rmr_context *c = *at;
    *at = c->next;
    rmr_lock_order();
    c->next = *gone;
    *gone = c;
    (void)rmr_bytes_add(&x->leaving, c->bytes);
}

/* Take the lock. What another thread was about to free when the process was forked stays: it leaves
 * no more. */
static void enter(rmr_contexts *x)
{
    const uint32_t me = rmr_process();
    (void)rmr_lock_take(&x->lock);
    if (x->process != me) x->leaving = (rmr_bytes){0};
    x->process = me;
}

/* Free a list of unlinked contexts. */
static void free_gone(remora_model *m, rmr_context *c)
{
    rmr_bytes bytes = {0};
    if (c == NULL) return;
    while (c != NULL) {
        rmr_context *next = c->next;
        (void)rmr_bytes_add(&bytes, c->bytes);
        context_free(m, c);
        c = next;
    }
    enter(&m->contexts);
    give_bytes(m, bytes);
    m->contexts.leaving.host -= bytes.host;
    m->contexts.leaving.device -= bytes.device;
    rmr_lock_give(&m->contexts.lock);
}

rmr_bytes rmr_context_bytes(const remora_model *m, rmr_context_size size)
{
    const rmr_context_size all = round_pages(size);
    const rmr_step_desc d = describe(m, &all);
    rmr_bytes bytes = m->be->ops->step_bytes(m->be, &d);
    rmr_arena a = {0};
    lay_out(&a, &all);
    if (!rmr_add_ok(bytes.host, a.used, &bytes.host)) bytes.host = UINT64_MAX;
    return bytes;
}

rmr_bytes rmr_contexts_bytes(remora_model *m)
{
    rmr_bytes bytes = {0};
    enter(&m->contexts);
    for (const rmr_context *c = m->contexts.all; c != NULL; c = c->next)
        (void)rmr_bytes_add(&bytes, rmr_context_bytes(m, c->size));
    rmr_lock_give(&m->contexts.lock);
    return bytes;
}

/* Its bytes are taken from the budget already. */
static remora_status make(remora_model *m, const rmr_context_size *size, rmr_context **out,
                          remora_error *err)
{
    const rmr_step_desc d = describe(m, size);
    rmr_arena a = {0};
    RMR_ASSERT(size->rows > 0 && size->pages > 0);
    lay_out(&a, size);
    RMR_TRY(rmr_arena_make(&a, &m->rt->ctx.mem, "context", err));
    rmr_context *c = lay_out(&a, size);
    const remora_status st = m->be->ops->step_create(m->be, &d, &c->step, err);
    if (st >= 0)
        *out = c;
    else
        rmr_arena_free(&m->rt->ctx.mem, c, c->block_bytes);
    return st;
}

static remora_status context_new(remora_model *m, rmr_context_size size, rmr_context **out,
                                 remora_error *err)
{
    const rmr_bytes bytes = rmr_context_bytes(m, size);
    RMR_TRY(take_bytes(m, bytes, err));
    const remora_status st = make(m, &size, out, err);
    if (st >= 0)
        (*out)->bytes = bytes;
    else
        give_bytes(m, bytes);
    return st;
}

static int is_taken(const rmr_context *c)
{
    return c->holder != NULL;
}

static int fits(const rmr_context *c, const rmr_context_size *size)
{
    return c->size.rows >= size->rows && c->size.pages >= size->pages &&
           c->size.user_bytes >= size->user_bytes;
}

/* Under the lock: the smallest context that fits; only free ones unless `any`. */
static rmr_context *find(const rmr_contexts *x, const rmr_context_size *size, int any)
{
    rmr_context *best = NULL;
    for (rmr_context *c = x->all; c != NULL; c = c->next)
        if ((any || !is_taken(c)) && fits(c, size) &&
            (best == NULL || c->size.rows < best->size.rows))
            best = c;
    return best;
}

/* Under the lock: unlink the free contexts that `larger` makes superfluous, as a list. */
static rmr_context *unlink_smaller(rmr_contexts *x, const rmr_context *larger)
{
    rmr_context *gone = NULL;
    for (rmr_context **at = &x->all; *at != NULL;) {
        rmr_context *c = *at;
        if (c == larger || is_taken(c) || !fits(larger, &c->size)) {
            at = &c->next;
            continue;
        }
        unlink_context(x, at, &gone);
    }
    return gone;
}

/* Under the lock: may c be given back, now or when it is free? Of those that cover each other, one
 * stays, rather one in use. */
static int is_spare(const rmr_contexts *x, const rmr_context *c)
{
    int before = 1;
    if (x->reserved == 0) return 1;
    for (const rmr_context *k = x->all; k != NULL; k = k->next) {
        if (k == c)
            before = 0;
        else if (fits(k, &c->size) && (!fits(c, &k->size) || is_taken(k) > is_taken(c) ||
                                       (is_taken(k) == is_taken(c) && before)))
            return 1;
    }
    return 0;
}

/* Under the lock: the bytes that stay when all spare contexts are gone. */
static rmr_bytes least_bytes(remora_model *m)
{
    rmr_bytes least = {atomic_load(&m->budget.used) - m->contexts.leaving.host,
                       atomic_load(&m->device_budget.used) - m->contexts.leaving.device};
    for (const rmr_context *c = m->contexts.all; c != NULL; c = c->next)
        if (is_spare(&m->contexts, c)) {
            least.host -= c->bytes.host;
            least.device -= c->bytes.device;
        }
    return least;
}

/* Bytes taken above the ceilings. */
static rmr_bytes excess(const remora_model *m)
{
    return (rmr_bytes){rmr_budget_excess(&m->budget), rmr_budget_excess(&m->device_budget)};
}

static int covers(rmr_bytes a, rmr_bytes b)
{
    return a.host >= b.host && a.device >= b.device;
}

/* Under the lock: unlink free contexts that are spare, as a list, for n bytes or as many as they
 * have. */
static rmr_context *unlink_spare(remora_model *m, rmr_bytes n)
{
    rmr_bytes gained = {0};
    rmr_context *gone = NULL;
    for (rmr_context **at = &m->contexts.all; *at != NULL && !covers(gained, n);) {
        rmr_context *c = *at;
        if (is_taken(c) || !is_spare(&m->contexts, c)) {
            at = &c->next;
            continue;
        }
        (void)rmr_bytes_add(&gained, c->bytes);
        unlink_context(&m->contexts, at, &gone);
    }
    return gone;
}

/* Find or make a context, and take it when there is a holder. A new one replaces the free ones it
 * covers, once it exists. What a fork() in the middle of a section under the lock leaves to the
 * child is a whole list, of which a context may be missing, or be taken by an evaluation that the
 * child does not have. */
static remora_status obtain(remora_model *m, rmr_context_size size, const void *holder,
                            rmr_context **out, remora_error *err)
{
    rmr_contexts *x = &m->contexts;
    const rmr_context_size rounded = round_pages(size);
    enter(x);
    rmr_context *c = find(x, &rounded, holder == NULL);
    if (c != NULL && holder != NULL) c->holder = holder;
    if (c != NULL && holder == NULL) x->reserved++; /* what is found stays from here on */
    rmr_lock_give(&x->lock);
    *out = c;
    if (c != NULL) return REMORA_OK;
    RMR_TRY(context_new(m, rounded, &c, err));
    enter(x);
    c->holder = holder;
    if (holder == NULL) x->reserved++;
    c->next = x->all;
    rmr_lock_order();
    x->all = c;
    rmr_context *gone = unlink_smaller(x, c);
    rmr_lock_give(&x->lock);
    free_gone(m, gone);
    *out = c;
    return REMORA_OK;
}

remora_status rmr_context_take(remora_model *m, rmr_context_size size, const void *holder,
                               rmr_context **out, remora_error *err)
{
    RMR_ASSERT(holder != NULL);
    return obtain(m, size, holder, out, err);
}

void rmr_context_give(remora_model *m, rmr_context *c)
{
    if (c == NULL) return;
    (void)rmr_context_wait(m, c, NULL); /* nothing may run on it any more */
    enter(&m->contexts);
    RMR_ASSERT(is_taken(c));
    c->holder = NULL;
    rmr_context *gone = unlink_spare(m, excess(m));
    rmr_lock_give(&m->contexts.lock);
    free_gone(m, gone);
}

void rmr_contexts_forget(remora_model *m, const void *holder)
{
    rmr_context *gone = NULL;
    enter(&m->contexts);
    for (rmr_context **at = &m->contexts.all; *at != NULL;) {
        if ((*at)->holder == holder)
            unlink_context(&m->contexts, at, &gone);
        else
            at = &(*at)->next;
    }
    rmr_lock_give(&m->contexts.lock);
    free_gone(m, gone);
}

remora_status rmr_contexts_reserve(remora_model *m, rmr_context_size size, remora_error *err)
{
    rmr_context *c;
    return obtain(m, size, NULL, &c, err);
}

void rmr_contexts_release(remora_model *m)
{
    enter(&m->contexts);
    RMR_ASSERT(m->contexts.reserved > 0);
    m->contexts.reserved--;
    rmr_lock_give(&m->contexts.lock);
}

static void set_limits(remora_model *m, rmr_bytes limit)
{
    atomic_store(&m->budget.limit, limit.host);
    atomic_store(&m->device_budget.limit, limit.device);
}

static remora_status too_low(rmr_bytes limit, rmr_bytes least, remora_error *err)
{
    if (least.host > limit.host)
        RMR_FAIL(err, REMORA_E_NOMEM,
                 "host_budget is %llu, the model and its sessions need %llu bytes",
                 (unsigned long long)limit.host, (unsigned long long)least.host);
    RMR_FAIL(err, REMORA_E_DEVICE_MEM,
             "device_budget is %llu, the model and its sessions need %llu bytes of the device's",
             (unsigned long long)limit.device, (unsigned long long)least.device);
}

remora_status rmr_contexts_set_limit(remora_model *m, rmr_bytes limit, remora_error *err)
{
    rmr_contexts *x = &m->contexts;
    enter(x);
    const rmr_bytes before = {atomic_load(&m->budget.limit), atomic_load(&m->device_budget.limit)},
                    least = least_bytes(m);
    int ok = covers(limit, least);
    if (ok) {
        /* Somebody may have taken more just before. Then the old limit comes back, and who asks
         * between these lines can be refused under one that never holds: as if memory had been
         * short for a moment. */
        set_limits(m, limit);
        ok = covers(limit, least_bytes(m));
        if (!ok) set_limits(m, before);
    }
    rmr_context *gone = ok ? unlink_spare(m, excess(m)) : NULL;
    rmr_lock_give(&x->lock);
    free_gone(m, gone);
    if (!ok) return too_low(limit, least, err);
    return covers((rmr_bytes){0}, excess(m)) ? REMORA_OK : REMORA_MORE;
}

/* Called for the budgets. Locks of others may be held, but not that of the contexts. */
static void reclaim_bytes(remora_model *m, rmr_bytes n)
{
    enter(&m->contexts);
    rmr_context *gone = unlink_spare(m, n);
    rmr_lock_give(&m->contexts.lock);
    free_gone(m, gone);
}

static void reclaim(void *user, uint64_t n)
{
    reclaim_bytes(user, (rmr_bytes){n, 0});
}

static void reclaim_device(void *user, uint64_t n)
{
    reclaim_bytes(user, (rmr_bytes){0, n});
}

/* ---- steps ---- */

remora_status rmr_context_begin(remora_model *m, rmr_context *c, remora_error *err)
{
    if (m->dump != NULL) c->number = rmr_dump_step(m->dump);
    c->n_wanted = 0;
    c->in.count_routing = (uint32_t)atomic_load_explicit(&m->count_routing, memory_order_relaxed);
    return m->be->ops->step_inputs(m->be, c->step, &c->in, err);
}

remora_status rmr_context_want(remora_model *m, rmr_context *c, const uint32_t *rows, uint32_t n,
                               remora_error *err)
{
    RMR_ASSERT(is_taken(c) && n <= RMR_HEAD_ROWS);
    c->wanted = rows;
    c->n_wanted = n;
    return m->be->ops->step_want(m->be, c->step, rows, n, err);
}

remora_status rmr_context_run(remora_model *m, rmr_context *c, const rmr_program_slice *slice,
                              rmr_halt *halt, remora_error *err)
{
    if (m->dump != NULL) return rmr_dump_run(m->dump, m, c, slice, err);
    const uint64_t before = c->mark;
    const rmr_slice s = {slice->first, slice->n};
    RMR_ASSERT(is_taken(c));
    const uint32_t ahead = slice->kind == RMR_SLICE_LAYER ? m->be->ahead : 0;
    const remora_status st = m->be->ops->step_submit(m->be, c->step, &s, halt, &c->mark, err);
    if (st != REMORA_OK) return st;
    RMR_ASSERT(c->mark == before + 1);
    if (c->mark <= ahead) return REMORA_OK;
    return m->be->ops->step_wait(m->be, c->step, c->mark - ahead, err);
}

remora_status rmr_context_write(remora_model *m, rmr_context *c, uint32_t n, const float *hidden,
                                remora_error *err)
{
    const uint32_t width = m->shape.n_hidden;
    const rmr_area a = {RMR_SLOT_EH, width, width, 0, n};
    RMR_ASSERT(is_taken(c) && n <= c->in.n_rows);
    return m->be->ops->step_write(m->be, c->step, &a, hidden, err);
}

remora_status rmr_context_wait(remora_model *m, rmr_context *c, remora_error *err)
{
    return m->be->ops->step_wait(m->be, c->step, c->mark, err);
}

remora_status rmr_context_finish(remora_model *m, rmr_context *c, const rmr_program *p,
                                 remora_error *err)
{
    for (uint32_t i = 0; i < p->n_slices; i++)
        if (p->slices[i].kind == RMR_SLICE_FINISH)
            RMR_TRY(rmr_context_run(m, c, &p->slices[i], NULL, err));
    return rmr_context_wait(m, c, err);
}

remora_status rmr_context_read(remora_model *m, rmr_context *c, uint32_t i, uint32_t n,
                               float *logits, float *hidden, remora_error *err)
{
    const rmr_area h = {RMR_SLOT_OUT, 0, m->shape.n_hidden, i, n},
                   l = {RMR_SLOT_LOGITS, 0, m->shape.n_vocab, i, n};
    if (hidden != NULL) RMR_TRY(m->be->ops->step_read(m->be, c->step, &h, hidden, err));
    if (logits == NULL) return REMORA_OK;
    return m->be->ops->step_read(m->be, c->step, &l, logits, err);
}

remora_status rmr_context_best(remora_model *m, rmr_context *c, uint32_t i,
                               const rmr_best_wish *wish, rmr_best *out, remora_error *err)
{
    return m->be->ops->step_best(m->be, c->step, RMR_SLOT_LOGITS, i, wish, out, err);
}

remora_status rmr_context_masses(remora_model *m, rmr_context *c, uint32_t i, double divisor,
                                 rmr_masses *out, remora_error *err)
{
    return m->be->ops->step_masses(m->be, c->step, RMR_SLOT_LOGITS, i, divisor, out, err);
}

remora_status rmr_context_read_run(remora_model *m, rmr_context *c, uint32_t i, uint32_t first,
                                   uint32_t n, float *logits, remora_error *err)
{
    const rmr_area a = {RMR_SLOT_LOGITS, first, n, i, 1};
    return m->be->ops->step_read(m->be, c->step, &a, logits, err);
}

/* ---- life ---- */

void rmr_contexts_init(remora_model *m)
{
    rmr_contexts *x = &m->contexts;
    x->all = NULL;
    x->reserved = 0;
    x->leaving = (rmr_bytes){0};
    x->process = rmr_process();
    m->budget.reclaim = reclaim;
    m->device_budget.reclaim = reclaim_device;
    m->budget.user = m->device_budget.user = m;
    rmr_lock_init(&x->lock);
}

void rmr_contexts_end(remora_model *m)
{
    while (m->contexts.all != NULL) {
        rmr_context *c = m->contexts.all;
        m->contexts.all = c->next;
        RMR_ASSERT(!is_taken(c) || m->process != rmr_process());
        context_free(m, c);
    }
}
