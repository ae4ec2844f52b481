/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the guard backend: lists of operations with the weights and buffers of the inner
 * backend; slices that wait. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"

enum { MAX_SLICES = 16 /* of a step that wait */, PARTS = 4 /* of a row */, RUN = 100 };

static guard_step *step_of(rmr_step *s)
{
    return (guard_step *)s;
}

/* ---- making one ---- */

static void use(guard_step *s, guard_buffer *b)
{
    for (size_t i = 0; i < s->n_uses; i++)
        if (s->uses[i] == b) return;
    if (s->n_uses == s->cap_uses) {
        s->cap_uses = 2 * s->cap_uses + 8;
        s->uses = realloc(s->uses, s->cap_uses * sizeof(guard_buffer *));
        if (s->uses == NULL) abort();
    }
    s->uses[s->n_uses++] = b;
}

static void translate_weight(guard *g, guard_step *s, const rmr_weight **at)
{
    const guard_weight *w = (const guard_weight *)(const void *)*at;
    if (w == NULL) return;
    if (!w->empty && !w->done) guard_violation(g, "a step has a weight that is not done");
    s->empty |= !w->done;
    *at = w->inner;
}

static void translate_buffer(guard_step *s, rmr_buffer **at)
{
    guard_buffer *b = (guard_buffer *)*at;
    if (b == NULL) return;
    use(s, b);
    *at = b->inner;
}

/* The operations with what the inner backend knows; 0: no memory. */
static int translate(guard *g, guard_step *s, const rmr_step_desc *d)
{
    s->desc = *d;
    s->desc.ops = s->ops = calloc(d->n_ops > 0 ? d->n_ops : 1, sizeof *s->ops);
    if (s->ops == NULL) return 0;
    for (uint32_t i = 0; i < d->n_ops; i++) {
        rmr_op *op = &s->ops[i];
        *op = d->ops[i];
        const rmr_weight **const weights[] = {&op->w, &op->w2, &op->bias, &op->s1, &op->s2};
        rmr_buffer **const buffers[] = {&op->counters, &op->sums.buffer, &op->shared_sums.buffer};
        for (size_t k = 0; k < sizeof weights / sizeof weights[0]; k++)
            translate_weight(g, s, weights[k]);
        for (size_t k = 0; k < sizeof buffers / sizeof buffers[0]; k++)
            translate_buffer(s, buffers[k]);
    }
    s->n_named = s->n_uses;
    return 1;
}

static void end(guard *g, guard_step *s)
{
    g->inner->ops->step_free(g->inner, s->inner);
    free(s->ops);
    free(s->uses);
    free(s->pos);
    free(s->best);
    free(s);
}

/* What step_best has found goes with the next call. */
static void forget_best(guard_step *s)
{
    free(s->best);
    s->best = NULL;
}

static rmr_bytes bytes_of(const guard *g, const guard_step *s)
{
    const rmr_step_desc *d = &s->desc;
    rmr_bytes bytes = g->inner->ops->step_bytes(g->inner, d);
    bytes.host += sizeof *s + d->n_ops * sizeof *s->ops + d->max_rows * sizeof *s->pos;
    return bytes;
}

rmr_bytes guard_step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    guard *g = guard_of(be);
    guard_step s = {0};
    rmr_bytes bytes = {0};
    guard_enter(g);
    if (translate(g, &s, d)) bytes = bytes_of(g, &s);
    free(s.ops);
    free(s.uses);
    guard_leave(g);
    return bytes;
}

remora_status guard_step_create(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                remora_error *err)
{
    guard *g = guard_of(be);
    *out = NULL;
    RMR_TRY(rmr_ops_check(d->ops, d->n_ops, d->slots, d->n_slots, d->cache, err));
    RMR_TRY(guard_begin(g, err));
    guard_step *s = calloc(1, sizeof *s);
    remora_status st = REMORA_OK;
    if (s == NULL || !translate(g, s, d) || (s->pos = calloc(d->max_rows, sizeof *s->pos)) == NULL)
        st = rmr_error_nomem(err, "guard step", sizeof *s);
    if (st >= 0) st = g->inner->ops->step_create(g->inner, &s->desc, &s->inner, err);
    if (st >= 0)
        *out = (rmr_step *)s;
    else if (s != NULL)
        end(g, s);
    guard_leave(g);
    return st;
}

void guard_step_free(rmr_backend *be, rmr_step *step)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    if (s == NULL) return;
    guard_enter(g);
    for (const guard_item *e = g->waiting; e != NULL; e = e->next)
        if (e->step == s) guard_violation(g, "a step is freed while slices of it wait");
    guard_forget_step(g, s);
    end(g, s);
    guard_leave(g);
}

/* ---- running it ---- */

static unsigned waiting_of(const guard *g, const guard_step *s)
{
    unsigned n = 0;
    for (const guard_item *e = g->waiting; e != NULL; e = e->next) n += e->step == s;
    return n;
}

/* The buffers that the page table leads into: pages that follow each other are mostly of one. */
static void use_pages(guard *g, guard_step *s, const rmr_inputs *in)
{
    guard_buffer *b = NULL;
    s->n_uses = s->n_named;
    for (uint32_t i = 0; i < in->n_pages; i++) {
        const uint64_t at = in->page[i];
        if (b == NULL || at < b->address || at - b->address >= b->bytes)
            for (b = g->buffers; b != NULL && (at < b->address || at - b->address >= b->bytes);)
                b = b->next;
        if (b != NULL)
            use(s, b);
        else
            guard_violation(g, "a page lies in no buffer");
    }
}

remora_status guard_step_inputs(rmr_backend *be, rmr_step *step, const rmr_inputs *in,
                                remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    RMR_TRY(guard_begin(g, err));
    forget_best(s);
    if (waiting_of(g, s) > 0) guard_violation(g, "inputs come while slices wait");
    const remora_status st = g->inner->ops->step_inputs(g->inner, s->inner, in, err);
    if (st >= 0) {
        use_pages(g, s, in);
        s->want.n = 0;
        s->failed = REMORA_OK;
        s->n_rows = in->n_rows;
        memcpy(s->pos, in->pos, in->n_rows * sizeof *in->pos);
    }
    guard_leave(g);
    return st;
}

/* Kept until the slices to come are run. */
remora_status guard_step_want(rmr_backend *be, rmr_step *step, const uint32_t *rows, uint32_t n,
                              remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    if (n > GUARD_MAX_WANT || n > s->desc.max_out)
        RMR_FAIL(err, REMORA_E_INTERNAL, "%u wanted rows are too many", n);
    for (uint32_t i = 0; i < n; i++)
        if (rows[i] >= s->n_rows)
            RMR_FAIL(err, REMORA_E_INTERNAL, "wanted row %u is not one of the step's", rows[i]);
    RMR_TRY(guard_begin(g, err));
    forget_best(s);
    s->want.n = n;
    memcpy(s->want.row, rows, n * sizeof *rows);
    guard_leave(g);
    return REMORA_OK;
}

static remora_status failed(const guard_step *s, remora_error *err)
{
    return rmr_error_set(err, s->failed, s->why.os_code, "%s", s->why.message);
}

remora_status guard_step_submit(rmr_backend *be, rmr_step *step, const rmr_slice *slice,
                                rmr_halt *halt, uint64_t *mark, remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    (void)halt; /* slices run later */
    if (slice->first > s->desc.n_ops || slice->n > s->desc.n_ops - slice->first ||
        waiting_of(g, s) == MAX_SLICES)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step slice out of range, or too many");
    *mark = ++s->mark;
    if (s->failed < 0) return failed(s, err);
    RMR_TRY(guard_begin(g, err));
    forget_best(s);
    if (s->empty) guard_violation(g, "a step without the content of its weights is submitted");
    const guard_item it = {.step = s, .slice = *slice, .want = s->want, .mark = *mark};
    const remora_status st = guard_put(g, &it, err);
    guard_leave(g);
    return st;
}

static remora_status run_one(guard *g, guard_step *s, rmr_slice one, remora_error *err)
{
    uint64_t mark;
    if (g->fail_op > 0 && --g->fail_op == 0)
        RMR_FAIL(err, REMORA_E_DEVICE, "the device is lost in an operation");
    RMR_TRY(g->inner->ops->step_submit(g->inner, s->inner, &one, NULL, &mark, err));
    RMR_TRY(g->inner->ops->step_wait(g->inner, s->inner, mark, err));
    g->stats.ops++;
    if (g->tap == NULL) return REMORA_OK;
    const guard_seen seen = {&s->desc.ops[one.first], s->pos, s->n_rows, g->inner, s->inner};
    g->tap(g->tap_user, &seen);
    return REMORA_OK;
}

/* One operation at a time. */
void guard_run_slice(guard *g, guard_step *s, const rmr_slice *slice, const guard_rows *want)
{
    if (s->failed < 0 || s->empty) return;
    s->why = (remora_error){.struct_size = sizeof s->why};
    s->failed = g->inner->ops->step_want(g->inner, s->inner, want->row, want->n, &s->why);
    for (uint32_t i = 0; i < slice->n && s->failed >= 0; i++)
        s->failed = run_one(g, s, (rmr_slice){slice->first + i, 1}, &s->why);
}

remora_status guard_step_wait(rmr_backend *be, rmr_step *step, uint64_t mark, remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    if (mark > s->mark) RMR_FAIL(err, REMORA_E_INTERNAL, "wait for what was not submitted");
    guard_enter(g);
    const int idle = waiting_of(g, s) == 0; /* the device is not asked */
    guard_leave(g);
    if (!idle) {
        RMR_TRY(guard_begin(g, err));
        guard_settle_step(g, s, mark);
        guard_leave(g);
    }
    return s->failed < 0 ? failed(s, err) : REMORA_OK;
}

static int is_pinned(const guard *g, const rmr_area *a, const unsigned char *p)
{
    const size_t n = (size_t)a->n_rows * a->n_cols * sizeof(float);
    for (const guard_pinned *b = g->pinned; b != NULL; b = b->next)
        if (p >= b->at && n <= b->size && (size_t)(p - b->at) <= b->size - n) return 1;
    return 0;
}

remora_status guard_step_read(rmr_backend *be, rmr_step *step, const rmr_area *a, void *dst,
                              remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    RMR_TRY(guard_begin(g, err));
    forget_best(s);
    if (waiting_of(g, s) > 0) guard_violation(g, "results are read while slices wait");
    if (!is_pinned(g, a, dst)) g->stats.unpinned++;
    g->stats.read += (unsigned long)a->n_rows * a->n_cols;
    const remora_status st = g->inner->ops->step_read(g->inner, s->inner, a, dst, err);
    guard_leave(g);
    return st;
}

remora_status guard_step_write(rmr_backend *be, rmr_step *step, const rmr_area *a, const void *src,
                               remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    RMR_TRY(guard_begin(g, err));
    forget_best(s);
    if (waiting_of(g, s) > 0) guard_violation(g, "a slot is written while slices wait");
    const remora_status st = g->inner->ops->step_write(g->inner, s->inner, a, src, err);
    guard_leave(g);
    return st;
}

/* The `each` best of a part of the row, which are taken out of it; then numbers that stand for
 * nothing. */
static void best_of_part(float *row, uint32_t width, uint32_t part, uint32_t each, float *value,
                         int32_t *col)
{
    for (uint32_t k = 0; k < each; k++) {
        uint32_t top = part;
        for (uint32_t i = part; i < width; i += PARTS)
            if (row[i] > row[top] || isnan(row[top])) top = i;
        const int none = top >= width || !(row[top] > -INFINITY);
        value[k] = none ? -INFINITY : row[top];
        col[k] = none ? -1 : (int32_t)top;
        if (!none) row[top] = -INFINITY;
    }
}

static float least_of(const float *row, uint32_t width)
{
    float least = INFINITY;
    for (uint32_t i = 0; i < width; i++)
        if (row[i] > -INFINITY && row[i] < least) least = row[i];
    return least;
}

static void find_best(float *row, uint32_t width, uint32_t each, float scale, float *at,
                      rmr_best *out)
{
    int32_t *const col = (int32_t *)(void *)(at + (size_t)PARTS * each);
    *out = (rmr_best){at, col, PARTS * each, -INFINITY, least_of(row, width), 0};
    for (uint32_t p = 0; p < PARTS; p++)
        best_of_part(row, width, p, each, at + p * each, col + p * each);
    for (uint32_t i = 0; i < width; i++)
        if (row[i] > out->rest) out->rest = row[i];
    if (!(scale > 0)) return;
    for (uint32_t i = 0; i < width; i++)
        if (row[i] > -INFINITY) out->mass += exp(scale * ((double)row[i] - (double)out->rest));
    out->mass *= 1 + 0.9e-5;
}

/* Row `row` of a slot, for the caller to free; NULL: it cannot be read. Room for what is found of
 * it is in s->best. */
static float *row_of(guard *g, guard_step *s, uint32_t slot, uint32_t row, size_t room,
                     remora_status *st, remora_error *err)
{
    const uint32_t width = s->desc.slots[slot].width;
    const rmr_area a = {slot, 0, width, row, 1};
    forget_best(s);
    if (waiting_of(g, s) > 0) guard_violation(g, "the best is asked for while slices wait");
    if (s->desc.slots[slot].rows != RMR_ROWS_OUT)
        guard_violation(g, "the best is asked for of other rows");
    g->stats.best++;
    float *const v = malloc(width * sizeof *v);
    s->best = malloc(room + 1);
    if (v == NULL || s->best == NULL) abort();
    *st = g->inner->ops->step_read(g->inner, s->inner, &a, v, err);
    if (*st >= 0) return v;
    free(v);
    return NULL;
}

remora_status guard_step_best(rmr_backend *be, rmr_step *step, uint32_t slot, uint32_t row,
                              const rmr_best_wish *wish, rmr_best *out, remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    const uint32_t width = s->desc.slots[slot].width, most = width / PARTS,
                   each = wish->n / 2 < most ? wish->n / 2 + 1 : most;
    remora_status st;
    RMR_TRY(guard_begin(g, err));
    if (wish->n == 0) guard_violation(g, "none of the best are asked for");
    float *const v = row_of(g, s, slot, row, (size_t)PARTS * each * 2 * sizeof *v, &st, err);
    if (v != NULL) find_best(v, width, each, wish->scale, s->best, out);
    free(v);
    guard_leave(g);
    return st;
}

static float divided(float x, double divisor)
{
    const double y = (double)x / divisor;
    return y > FLT_MAX ? FLT_MAX : y < -FLT_MAX ? -FLT_MAX : (float)y;
}

static void find_masses(const float *row, uint32_t width, double divisor, double *at,
                        rmr_masses *out)
{
    const uint32_t n = (width + RUN - 1) / RUN;
    float *const top = (float *)(void *)(at + n);
    *out = (rmr_masses){top, at, n, RUN};
    for (uint32_t r = 0; r < n; r++) {
        const uint32_t first = r * RUN, end = first + RUN < width ? first + RUN : width;
        top[r] = -INFINITY;
        at[r] = 0;
        for (uint32_t i = first; i < end; i++)
            if (row[i] > -INFINITY && divided(row[i], divisor) > top[r])
                top[r] = divided(row[i], divisor);
        for (uint32_t i = first; i < end; i++)
            if (row[i] > -INFINITY) at[r] += exp((double)divided(row[i], divisor) - top[r]);
    }
}

remora_status guard_step_masses(rmr_backend *be, rmr_step *step, uint32_t slot, uint32_t row,
                                double divisor, rmr_masses *out, remora_error *err)
{
    guard *g = guard_of(be);
    guard_step *s = step_of(step);
    const uint32_t width = s->desc.slots[slot].width;
    remora_status st;
    RMR_TRY(guard_begin(g, err));
    float *const v = row_of(g, s, slot, row, (width / RUN + 1) * 2 * sizeof(double), &st, err);
    if (v != NULL) find_masses(v, width, divisor, s->best, out);
    free(v);
    guard_leave(g);
    return st;
}
