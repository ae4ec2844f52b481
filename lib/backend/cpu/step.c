/* A prepared step: one arena holding activations, inputs and scratch, sized once for the step's
 * maxima, so that running it never allocates. */
#include "cpu.h"

#include <string.h>

#include "fpenv.h"
#include "product.h"

static rmr_cpu_op_fn *const functions[RMR_OP_COUNT] = {
#define RMR_OP(kind, name, function, ...) [RMR_OP_##kind] = rmr_cpu_##function,
#include "ops_list.h"
#undef RMR_OP
};

static rmr_cpu_scratch scratch_of(const rmr_op *op, const rmr_step_desc *d)
{
    switch (op->kind) {
    case RMR_OP_LINEAR:
    case RMR_OP_SWIGLU: return rmr_cpu_linear_scratch(op, d);
    case RMR_OP_ABSORB:
    case RMR_OP_UNABSORB: return rmr_cpu_head_scratch(op, d);
    case RMR_OP_ATTEND_LATENT: return rmr_cpu_latent_scratch(op, d);
    case RMR_OP_ATTEND_EXPANDED: return rmr_cpu_expanded_scratch(op, d);
    case RMR_OP_ATTEND_GROUPED: return rmr_cpu_grouped_scratch(op, d);
    case RMR_OP_GATE: return rmr_cpu_gate_scratch(op, d);
    case RMR_OP_EXPERTS_SWIGLU:
    case RMR_OP_EXPERTS_DOWN: return rmr_cpu_experts_scratch(op, d);
    default: return (rmr_cpu_scratch){0};
    }
}

/* Offsets of everything in the arena. */
typedef struct layout {
    uint64_t slots, parts, inputs, want, span, worker, shared, q_rows, total;
    uint64_t worker_bytes;
} layout;

static uint64_t take(layout *l, uint64_t bytes)
{
    const uint64_t at = l->total;
    l->total += rmr_round_up(bytes, RMR_ALIGN);
    return at;
}

static uint32_t slot_rows(const rmr_step_desc *d, uint32_t slot)
{
    const rmr_row_set rows = d->slots[slot].rows;
    return rows == RMR_ROWS_ONE ? 1 : rows == RMR_ROWS_OUT ? d->max_out : d->max_rows;
}

static uint64_t streams_of(const rmr_step_desc *d)
{
    return d->cache != NULL ? d->cache->n_streams : 0;
}

/* Compute where each stream's part of a page begins, once, for pages of every type. */
static void place_parts(const rmr_step *s)
{
    const rmr_cache_layout *l = s->desc.cache;
    for (int type = 0; l != NULL && type < RMR_KV_TYPES; type++)
        rmr_cache_offsets(l, (rmr_kv_type)type, s->part + (size_t)type * l->n_streams);
}

static layout lay_out(const rmr_cpu *c, const rmr_step_desc *d)
{
    layout l = {0};
    uint64_t worker = 0, shared = 0, q_rows = 0;
    for (uint32_t i = 0; i < d->n_ops; i++) {
        const rmr_cpu_scratch need = scratch_of(&d->ops[i], d);
        if (need.worker > worker) worker = need.worker;
        if (need.shared > shared) shared = need.shared;
        if (need.q_rows > q_rows) q_rows = need.q_rows;
    }
    l.worker_bytes = rmr_round_up(worker, RMR_ALIGN);
    l.slots = take(&l, 0);
    for (uint32_t i = 0; i < d->n_slots; i++)
        take(&l, (uint64_t)slot_rows(d, i) * d->slots[i].width * 4);
    l.parts = take(&l, RMR_KV_TYPES * streams_of(d) * sizeof(uint64_t));
    l.inputs = take(&l, rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages));
    l.want = take(&l, d->max_out * sizeof(uint32_t));
    l.span = take(&l, d->max_rows * sizeof(rmr_row_span));
    l.worker = take(&l, l.worker_bytes * rmr_pool_width(c->ctx->pool));
    l.shared = take(&l, shared);
    l.q_rows = take(&l, q_rows);
    return l;
}

rmr_bytes rmr_cpu_step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    return rmr_bytes_host(lay_out((rmr_cpu *)be, d).total + sizeof(rmr_step) +
                          d->n_slots * sizeof(float *));
}

remora_status rmr_cpu_step_create(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                  remora_error *err)
{
    rmr_cpu *c = (rmr_cpu *)be;
    const layout l = lay_out(c, d);
    uint64_t at = l.slots;
    *out = NULL;
    rmr_step *s = rmr_calloc(&c->ctx->mem, 1, sizeof *s);
    if (s == NULL) return rmr_error_nomem(err, "step", sizeof *s);
    s->cpu = c;
    s->desc = *d;
    s->arena_bytes = l.total;
    s->slot = rmr_calloc(&c->ctx->mem, d->n_slots, sizeof *s->slot);
    s->arena = l.total <= PTRDIFF_MAX ? rmr_alloc(c->mem, (size_t)l.total) : NULL;
    if (s->slot == NULL || s->arena == NULL) {
        rmr_cpu_step_free(be, s);
        return rmr_error_nomem(err, "activations and scratch", l.total);
    }
    for (uint32_t i = 0; i < d->n_slots; i++) {
        s->slot[i] = (float *)(void *)(s->arena + at);
        at += rmr_round_up((uint64_t)slot_rows(d, i) * d->slots[i].width * 4, RMR_ALIGN);
    }
    rmr_inputs_place(&s->in, s->arena + l.inputs, d->max_rows, d->max_pages);
    s->part = (uint64_t *)(void *)(s->arena + l.parts);
    place_parts(s);
    s->want = (uint32_t *)(void *)(s->arena + l.want);
    s->span = (rmr_row_span *)(void *)(s->arena + l.span);
    s->worker = s->arena + l.worker;
    s->worker_bytes = l.worker_bytes;
    s->shared = s->arena + l.shared;
    s->q_rows = s->arena + l.q_rows;
    RMR_ASSERT(at == l.parts && l.q_rows <= l.total);
    *out = s;
    return REMORA_OK;
}

void rmr_cpu_step_free(rmr_backend *be, rmr_step *s)
{
    rmr_cpu *c = (rmr_cpu *)be;
    if (s == NULL) return;
    if (s->arena != NULL) rmr_free(c->mem, s->arena, (size_t)s->arena_bytes);
    if (s->slot != NULL) rmr_free(&c->ctx->mem, s->slot, s->desc.n_slots * sizeof *s->slot);
    rmr_free(&c->ctx->mem, s, sizeof *s);
}

/* The positions of a run follow each other, and have pages. */
static int run_is_sound(const rmr_inputs *in, const rmr_run *r)
{
    if (r->page0 + (r->pos0 + r->n_rows - 1) / RMR_PAGE_TOKENS >= in->n_pages) return 0;
    for (uint32_t k = 0; k < r->n_rows; k++)
        if (in->pos[r->row0 + k] != r->pos0 + k) return 0;
    return 1;
}

/* The runs cover the rows in order. Steps without a cache have no pages. */
static int inputs_are_sound(const rmr_inputs *in)
{
    uint32_t row = 0;
    for (uint32_t i = 0; i < in->n_runs; row += in->run[i++].n_rows)
        if (in->run[i].n_rows == 0 || in->run[i].row0 != row ||
            (in->n_pages > 0 && !run_is_sound(in, &in->run[i])))
            return 0;
    return row == in->n_rows;
}

/* Absorbed runs next to each other form one span, so that matrices are read once for all of them.
 */
static void find_spans(rmr_step *s)
{
    s->n_spans = 0;
    for (uint32_t i = 0; i < s->in.n_runs; i++) {
        const rmr_run *r = &s->in.run[i];
        rmr_row_span *last = s->n_spans > 0 ? &s->span[s->n_spans - 1] : NULL;
        if (r->form != RMR_FORM_ABSORBED) continue;
        if (last != NULL && last->row0 + last->n_rows == r->row0)
            last->n_rows += r->n_rows;
        else
            s->span[s->n_spans++] = (rmr_row_span){r->row0, r->n_rows};
    }
}

remora_status rmr_cpu_step_inputs(rmr_backend *be, rmr_step *s, const rmr_inputs *in,
                                  remora_error *err)
{
    const rmr_step_desc *d = &s->desc;
    (void)be;
    if (in->n_rows > d->max_rows || in->n_runs > d->max_rows || in->n_pages > d->max_pages)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step inputs exceed the prepared maxima");
    RMR_ASSERT(inputs_are_sound(in));
    memcpy(s->in.block, in->block, (size_t)rmr_inputs_used(in));
    s->in.n_rows = in->n_rows;
    s->in.n_runs = in->n_runs;
    s->in.n_pages = in->n_pages;
    s->n_want = 0;
    s->in.count_routing = in->count_routing;
    s->q_n = 0;
    s->passed_on = NULL;
    s->failed = REMORA_OK;
    find_spans(s);
    return REMORA_OK;
}

remora_status rmr_cpu_step_want(rmr_backend *be, rmr_step *s, const uint32_t *rows, uint32_t n,
                                remora_error *err)
{
    (void)be;
    if (n > s->desc.max_out)
        RMR_FAIL(err, REMORA_E_INTERNAL, "%u wanted rows are more than the prepared %u", n,
                 s->desc.max_out);
    for (uint32_t i = 0; i < n; i++)
        if (rows[i] >= s->in.n_rows)
            RMR_FAIL(err, REMORA_E_INTERNAL, "wanted row %u is not one of the step's %u", rows[i],
                     s->in.n_rows);
    memcpy(s->want, rows, n * sizeof *rows);
    s->n_want = n;
    return REMORA_OK;
}

static remora_status failed_before(const rmr_step *s, remora_error *err)
{
    RMR_FAIL(err, s->failed, "a slice before it has failed");
}

/* The operations of the slice under way, from op on. */
static remora_status run(rmr_step *s, const rmr_op *op)
{
    for (; op < s->slice_end; op++) {
        RMR_ASSERT(op->kind < RMR_OP_COUNT);
        RMR_TRY(functions[op->kind](s, op));
        rmr_cpu_quantized_after(s, op);
    }
    return REMORA_OK;
}

remora_status rmr_cpu_step_submit(rmr_backend *be, rmr_step *s, const rmr_slice *slice,
                                  uint64_t *mark, remora_error *err)
{
    const rmr_step_desc *d = &s->desc;
    (void)be;
    if (slice->first > d->n_ops || slice->n > d->n_ops - slice->first)
        RMR_FAIL(err, REMORA_E_INTERNAL, "a slice is out of the range of its step");
    *mark = ++s->mark;
    if (s->failed < 0) return failed_before(s, err);
    s->slice_end = d->ops + slice->first + slice->n;
    s->err = err;
    const rmr_fpenv saved = rmr_fpenv_enter(); /* we run on the host's thread */
    s->failed = run(s, d->ops + slice->first);
    rmr_fpenv_leave(saved);
    s->err = NULL;
    return s->failed;
}

remora_status rmr_cpu_step_wait(rmr_backend *be, rmr_step *s, uint64_t mark, remora_error *err)
{
    (void)be;
    if (mark > s->mark) RMR_FAIL(err, REMORA_E_INTERNAL, "wait for a slice that was not submitted");
    return s->failed < 0 ? failed_before(s, err) : REMORA_OK;
}

static int has_area(const rmr_step *s, const rmr_area *a)
{
    if (a->slot >= s->desc.n_slots) return 0;
    const uint32_t rows = slot_rows(&s->desc, a->slot), width = s->desc.slots[a->slot].width;
    return a->row0 <= rows && a->n_rows <= rows - a->row0 && a->col <= width &&
           a->n_cols <= width - a->col;
}

static float *area_row(const rmr_step *s, const rmr_area *a, uint32_t row)
{
    return rmr_row(s, (rmr_view){a->slot, a->col}, a->row0 + row);
}

remora_status rmr_cpu_step_read(rmr_backend *be, rmr_step *s, const rmr_area *a, void *dst,
                                remora_error *err)
{
    const size_t n = a->n_cols * sizeof(float);
    (void)be;
    if (!has_area(s, a)) RMR_FAIL(err, REMORA_E_INTERNAL, "a read is out of the range of its slot");
    for (uint32_t r = 0; r < a->n_rows; r++)
        memcpy((unsigned char *)dst + r * n, area_row(s, a, r), n);
    return REMORA_OK;
}

remora_status rmr_cpu_step_write(rmr_backend *be, rmr_step *s, const rmr_area *a, const void *src,
                                 remora_error *err)
{
    const size_t n = a->n_cols * sizeof(float);
    (void)be;
    if (!has_area(s, a))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a write is out of the range of its slot");
    for (uint32_t r = 0; r < a->n_rows; r++)
        memcpy(area_row(s, a, r), (const unsigned char *)src + r * n, n);
    rmr_cpu_quantized_forget(s, a->slot);
    return REMORA_OK;
}
