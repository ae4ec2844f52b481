/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a group: the members' own steps, and what passes between them. */
#include <string.h>

#include "group.h"
#include "step_calls.h"

typedef struct group_step {
    rmr_step_desc desc;
    group_program program;
    rmr_step *member[GROUP_MAX];
    uint64_t marks[GROUP_MAX]; /* of the members' last slices */
    rmr_inputs in;             /* for one member at a time */
    uint64_t in_bytes;
    float *exchange; /* columns on the way from one member to the others */
    uint64_t exchange_bytes;
    uint64_t mark;
    uint32_t n_rows, n_want; /* of the step, and of its slices to come */
    uint32_t done;           /* operations before this one have run last */
    remora_status failed;    /* of a slice since the last inputs */
} group_step;

static group_step *step_of(rmr_step *s)
{
    return (group_step *)(void *)s;
}

static uint32_t most_rows(const rmr_step_desc *d)
{
    return d->max_rows > d->max_out ? d->max_rows : d->max_out;
}

static uint64_t exchange_bytes(const group_program *p, const rmr_step_desc *d)
{
    return (uint64_t)most_rows(d) * p->most_columns * sizeof(float);
}

rmr_bytes group_step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    const group *g = group_of(be);
    group_program p;
    if (group_program_make(g, d, &p, NULL) < 0) return rmr_bytes_host(UINT64_MAX);
    rmr_bytes bytes = rmr_bytes_host(sizeof(group_step) + p.bytes + exchange_bytes(&p, d) +
                                     rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages));
    for (uint32_t m = 0; m < g->n; m++) {
        const rmr_step_desc own = group_program_desc(&p, d, m);
        group_add_bytes(&bytes, g->member[m]->ops->step_bytes(g->member[m], &own));
    }
    group_program_free(g, &p);
    return bytes;
}

void group_step_free(rmr_backend *be, rmr_step *step)
{
    const group *g = group_of(be);
    group_step *s = step_of(step);
    if (s == NULL) return;
    for (uint32_t m = 0; m < g->n; m++)
        if (s->member[m] != NULL) g->member[m]->ops->step_free(g->member[m], s->member[m]);
    group_program_free(g, &s->program);
    rmr_free(&g->ctx->mem, s->exchange, (size_t)s->exchange_bytes);
    rmr_free(&g->ctx->mem, s->in.block, (size_t)s->in_bytes);
    rmr_free(&g->ctx->mem, s, sizeof *s);
}

/* The parts of a step that is all zero so far. */
static remora_status make(const group *g, group_step *s, const rmr_step_desc *d, remora_error *err)
{
    rmr_mem *mem = &g->ctx->mem;
    s->desc = *d;
    RMR_TRY(group_program_make(g, d, &s->program, err));
    s->exchange_bytes = exchange_bytes(&s->program, d);
    s->exchange = rmr_alloc(mem, (size_t)s->exchange_bytes);
    s->in_bytes = rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages);
    unsigned char *const block = rmr_alloc(mem, (size_t)s->in_bytes);
    if (block != NULL) rmr_inputs_place(&s->in, block, d->max_rows, d->max_pages);
    if (s->exchange == NULL || block == NULL)
        return rmr_error_nomem(err, "a group's step", s->exchange_bytes + s->in_bytes);
    for (uint32_t m = 0; m < g->n; m++) {
        const rmr_step_desc own = group_program_desc(&s->program, d, m);
        RMR_TRY(g->member[m]->ops->step_create(g->member[m], &own, &s->member[m], err));
    }
    return REMORA_OK;
}

remora_status group_step_create(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                remora_error *err)
{
    const group *g = group_of(be);
    *out = NULL;
    group_step *s = rmr_calloc(&g->ctx->mem, 1, sizeof *s);
    if (s == NULL) return rmr_error_nomem(err, "a group's step", sizeof *s);
    const remora_status st = make(g, s, d, err);
    if (st < 0)
        group_step_free(be, (rmr_step *)(void *)s);
    else
        *out = (rmr_step *)(void *)s;
    return st;
}

/* The inputs as a member takes them: its own page addresses, and choices are counted once. */
static remora_status inputs_of(group *g, group_step *s, const rmr_inputs *in, uint32_t m,
                               uint32_t turn, remora_error *err)
{
    rmr_inputs_copy(&s->in, in);
    if (m > 0) s->in.count_routing = 0;
    for (uint32_t i = 0; i < in->n_pages; i++) {
        s->in.page[i] = group_address(g, in->page[i], m, turn);
        if (s->in.page[i] == 0)
            RMR_FAIL(err, REMORA_E_INTERNAL, "page %u lies in no buffer of the group", i);
    }
    return g->member[m]->ops->step_inputs(g->member[m], s->member[m], &s->in, err);
}

remora_status group_step_inputs(rmr_backend *be, rmr_step *step, const rmr_inputs *in,
                                remora_error *err)
{
    group *g = group_of(be);
    group_step *s = step_of(step);
    if (in->n_rows > s->desc.max_rows || in->n_runs > s->desc.max_rows ||
        in->n_pages > s->desc.max_pages)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step inputs exceed the prepared maxima");
    const uint32_t turn = g->opts.rotate ? atomic_fetch_add(&g->turn, 1) % g->n : 0;
    for (uint32_t m = 0; m < g->n; m++) RMR_TRY(inputs_of(g, s, in, m, turn, err));
    s->n_rows = in->n_rows;
    s->n_want = 0;
    s->done = 0;
    s->failed = REMORA_OK;
    return REMORA_OK;
}

remora_status group_step_want(rmr_backend *be, rmr_step *step, const uint32_t *rows, uint32_t n,
                              remora_error *err)
{
    const group *g = group_of(be);
    group_step *s = step_of(step);
    for (uint32_t m = 0; m < g->n; m++)
        RMR_TRY(g->member[m]->ops->step_want(g->member[m], s->member[m], rows, n, err));
    s->n_want = n;
    return REMORA_OK;
}

/* ---- running ---- */

static remora_status wait_all(const group *g, group_step *s, remora_error *err)
{
    for (uint32_t m = 0; m < g->n; m++)
        RMR_TRY(g->member[m]->ops->step_wait(g->member[m], s->member[m], s->marks[m], err));
    return REMORA_OK;
}

/* Columns of one member to all the others. */
static remora_status pass(group *g, group_step *s, const rmr_area *a, uint32_t from,
                          remora_error *err)
{
    rmr_backend *be = g->member[from];
    RMR_TRY(be->ops->step_read(be, s->member[from], a, s->exchange, err));
    for (uint32_t m = 0; m < g->n; m++) {
        if (m == from) continue;
        be = g->member[m];
        RMR_TRY(be->ops->step_write(be, s->member[m], a, s->exchange, err));
        atomic_fetch_add(&g->bytes, (uint64_t)a->n_rows * a->n_cols * sizeof(float));
    }
    return REMORA_OK;
}

/* The columns of a member's share; a->n_cols is 0 when it has none. */
static rmr_area area_of(const group_columns *c, uint32_t member, uint32_t repeat)
{
    const group_range r = c->share[member];
    return (rmr_area){.slot = c->slot,
                      .col = c->col + r.first * c->width + repeat * c->stride,
                      .n_cols = r.n * c->width};
}

static remora_status gather(group *g, group_step *s, const group_columns *c, remora_error *err)
{
    for (uint32_t m = 0; m < g->n; m++)
        for (uint32_t i = 0; i < c->repeat; i++) {
            rmr_area a = area_of(c, m, i);
            a.n_rows = s->desc.slots[c->slot].rows == RMR_ROWS_OUT ? s->n_want : s->n_rows;
            if (a.n_cols > 0 && a.n_rows > 0) RMR_TRY(pass(g, s, &a, m, err));
        }
    return REMORA_OK;
}

static int gathers(const group_op *o)
{
    int some = 0;
    for (uint32_t out = 0; out < o->n_out; out++) some |= o->out[out].gather;
    return some;
}

static remora_status exchange(group *g, group_step *s, uint32_t i, remora_error *err)
{
    const group_op *o = &s->program.ops[i];
    if (!gathers(o)) return REMORA_OK;
    RMR_TRY(wait_all(g, s, err));
    atomic_fetch_add(&g->gathers[o->op->kind], 1);
    if (g->opts.forget != 0 && g->opts.forget == o->op->kind) return REMORA_OK;
    for (uint32_t out = 0; out < o->n_out; out++)
        if (o->out[out].gather) RMR_TRY(gather(g, s, &o->out[out], err));
    return REMORA_OK;
}

/* Operations [first, end) on every member that has any of them. */
static remora_status run(group *g, group_step *s, uint32_t first, uint32_t end, remora_error *err)
{
    for (uint32_t m = 0; m < g->n; m++) {
        const uint32_t at = s->program.at[m][first], n = s->program.at[m][end] - at;
        const rmr_slice own = {at, n};
        rmr_backend *be = g->member[m];
        if (n < end - first) atomic_fetch_add(&g->idle, end - first - n);
        if (n > 0) RMR_TRY(be->ops->step_submit(be, s->member[m], &own, NULL, &s->marks[m], err));
    }
    return REMORA_OK;
}

/* Up to the last operation of the slice, in parts that end where columns are exchanged. */
static remora_status run_slice(group *g, group_step *s, uint32_t first, uint32_t end,
                               remora_error *err)
{
    for (uint32_t i = first; i < end; i++) {
        if (i + 1 < end && !gathers(&s->program.ops[i])) continue;
        RMR_TRY(run(g, s, first, i + 1, err));
        RMR_TRY(exchange(g, s, i, err));
        first = i + 1;
    }
    return REMORA_OK;
}

static remora_status failed_before(const group_step *s, remora_error *err)
{
    RMR_FAIL(err, s->failed, "a slice before it has failed on a member");
}

remora_status group_step_submit(rmr_backend *be, rmr_step *step, const rmr_slice *slice,
                                rmr_halt *halt, uint64_t *mark, remora_error *err)
{
    group_step *s = step_of(step);
    (void)halt; /* columns are gathered behind whole operations */
    RMR_TRY(rmr_check_slice(&s->desc, slice, err));
    *mark = ++s->mark;
    if (s->failed < 0) return failed_before(s, err);
    s->failed = run_slice(group_of(be), s, slice->first, slice->first + slice->n, err);
    s->done = slice->first + slice->n;
    return s->failed;
}

remora_status group_step_wait(rmr_backend *be, rmr_step *step, uint64_t mark, remora_error *err)
{
    group_step *s = step_of(step);
    if (mark > s->mark) RMR_FAIL(err, REMORA_E_INTERNAL, "wait for a slice that was not submitted");
    if (s->failed < 0) return failed_before(s, err);
    s->failed = wait_all(group_of(be), s, err);
    return s->failed;
}

/* ---- slots, from outside ---- */

/* Columns [from, to) of the area from one member, row by row. */
static remora_status read_from(const group *g, const group_step *s, uint32_t m, const rmr_area *a,
                               uint32_t from, uint32_t to, float *dst, remora_error *err)
{
    rmr_backend *be = g->member[m];
    for (uint32_t row = 0; row < a->n_rows && from < to; row++) {
        const rmr_area part = {a->slot, from, to - from, a->row0 + row, 1};
        RMR_TRY(be->ops->step_read(be, s->member[m], &part,
                                   dst + (size_t)row * a->n_cols + from - a->col, err));
    }
    return REMORA_OK;
}

/* The same from those who have written them. */
static remora_status read_columns(const group *g, const group_step *s, const group_columns *c,
                                  const rmr_area *a, uint32_t from, uint32_t to, float *dst,
                                  remora_error *err)
{
    if (c->share == NULL) return read_from(g, s, 0, a, from, to, dst, err);
    for (uint32_t m = 0; m < g->n; m++)
        for (uint32_t i = 0; i < c->repeat; i++) {
            const rmr_area own = area_of(c, m, i);
            const uint32_t end = own.col + own.n_cols;
            RMR_TRY(read_from(g, s, m, a, from > own.col ? from : own.col, to < end ? to : end, dst,
                              err));
        }
    return REMORA_OK;
}

/* The same as the operations before `i` left them: of each column the last counts. */
static remora_status read_before(const group *g, const group_step *s, uint32_t i, const rmr_area *a,
                                 uint32_t from, uint32_t to, float *dst, remora_error *err)
{
    while (from < to && i-- > 0) {
        const group_op *o = &s->program.ops[i];
        for (uint32_t out = 0; out < o->n_out; out++) {
            const group_columns *c = &o->out[out];
            const uint32_t first = from > c->col ? from : c->col, end = group_columns_end(c);
            const uint32_t last = to < end ? to : end;
            if (c->slot != a->slot || first >= last) continue;
            RMR_TRY(read_columns(g, s, c, a, first, last, dst, err));
            RMR_TRY(read_before(g, s, i + 1, a, from, first, dst, err));
            from = last;
        }
    }
    return read_from(g, s, 0, a, from, to, dst, err);
}

remora_status group_step_read(rmr_backend *be, rmr_step *step, const rmr_area *a, void *dst,
                              remora_error *err)
{
    const group_step *s = step_of(step);
    return read_before(group_of(be), s, s->done, a, a->col, a->col + a->n_cols, dst, err);
}

remora_status group_step_write(rmr_backend *be, rmr_step *step, const rmr_area *a, const void *src,
                               remora_error *err)
{
    const group *g = group_of(be);
    const group_step *s = step_of(step);
    for (uint32_t m = 0; m < g->n; m++)
        RMR_TRY(g->member[m]->ops->step_write(g->member[m], s->member[m], a, src, err));
    return REMORA_OK;
}
