/* SPDX-License-Identifier: Apache-2.0 */
/* A prepared step: an arena of activations, inputs and scratch, sized once for the step's maxima,
 * so that running it never allocates. */
#include "cpu.h"

#include <string.h>

#include "product.h"
#include "step_calls.h"

static rmr_cpu_op_fn *const functions[RMR_OP_COUNT] = {
#define RMR_OP(kind, name, function, ...) [RMR_OP_##kind] = rmr_cpu_##function,
#include "ops_list.h"
#undef RMR_OP
};

static rmr_cpu_scratch op_scratch(const rmr_op *op, const rmr_step_desc *d)
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

/* The most that any operation needs of each kind of scratch. */
static rmr_cpu_scratch scratch_of(const rmr_step_desc *d)
{
    rmr_cpu_scratch most = {0};
    for (uint32_t i = 0; i < d->n_ops; i++) {
        const rmr_cpu_scratch need = op_scratch(&d->ops[i], d);
        if (need.worker > most.worker) most.worker = need.worker;
        if (need.shared > most.shared) most.shared = need.shared;
        if (need.q_rows > most.q_rows) most.q_rows = need.q_rows;
    }
    return most;
}

/* The scratch of each worker is a part by itself. */
static void lay_out_scratch(rmr_step *s, rmr_arena *device)
{
    const rmr_cpu_scratch need = scratch_of(&s->desc);
    const uint64_t before = device->used;
    s->worker = rmr_arena_take(device, need.worker, 1);
    s->worker_bytes = device->used - before;
    for (uint32_t i = 1; i < rmr_pool_width(s->cpu->ctx->pool); i++)
        rmr_arena_take(device, need.worker, 1);
    s->shared = rmr_arena_take(device, need.shared, 1);
    s->q_rows = rmr_arena_take(device, need.q_rows, 1);
}

/* All that a step takes, of the host's memory and of the device's, which are one but in tests. Over
 * arenas that only count it gives NULL. */
static rmr_step *lay_out(rmr_cpu *c, const rmr_step_desc *d, rmr_arena *host, rmr_arena *device)
{
    const uint32_t n_streams = d->cache != NULL ? d->cache->n_streams : 0;
    const uint64_t inputs = rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages);
    rmr_step *const placed = rmr_arena_take(host, 1, sizeof *placed);
    rmr_step counted, *const s = placed != NULL ? placed : &counted;
    *s = (rmr_step){.cpu = c, .desc = *d};
    s->slot = rmr_arena_take(host, d->n_slots, sizeof *s->slot);
    s->part = rmr_arena_take(host, (uint64_t)RMR_KV_TYPES * n_streams, sizeof *s->part);
    s->rest.span = rmr_arena_take(host, rmr_pool_width(c->ctx->pool), sizeof *s->rest.span);
    for (uint32_t i = 0; i < d->n_slots; i++) {
        float *rows = rmr_arena_take(device, (uint64_t)rmr_slot_rows(d, i) * d->slots[i].width, 4);
        if (placed != NULL) s->slot[i] = rows;
    }
    unsigned char *block = rmr_arena_take(device, inputs, 1);
    s->want = rmr_arena_take(device, d->max_out, sizeof *s->want);
    s->span = rmr_arena_take(device, d->max_rows, sizeof *s->span);
    lay_out_scratch(s, device);
    s->host_bytes = host->used;
    s->arena = *device;
    if (placed != NULL) rmr_inputs_place(&s->in, block, d->max_rows, d->max_pages);
    return placed;
}

rmr_bytes rmr_cpu_step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    rmr_arena host = {0}, device = {0};
    lay_out((rmr_cpu *)be, d, &host, &device);
    return rmr_cpu_bytes((rmr_cpu *)be, host.used, device.used);
}

/* Compute where each stream's part of a page begins, once, for pages of every type. */
static void find_parts(const rmr_step *s)
{
    const rmr_cache_layout *l = s->desc.cache;
    for (int type = 0; l != NULL && type < RMR_KV_TYPES; type++)
        rmr_cache_offsets(l, (rmr_kv_type)type, s->part + (size_t)type * l->n_streams);
}

remora_status rmr_cpu_step_create(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                  remora_error *err)
{
    rmr_cpu *c = (rmr_cpu *)be;
    rmr_arena host = {0}, device = {0};
    *out = NULL;
    lay_out(c, d, &host, &device);
    RMR_TRY(rmr_arena_make(&host, &c->ctx->mem, "step", err));
    const remora_status st = rmr_arena_make(&device, c->mem, "activations and scratch", err);
    if (st < 0) {
        rmr_arena_free(&c->ctx->mem, host.base, host.size);
        return st;
    }
    *out = lay_out(c, d, &host, &device);
    find_parts(*out);
    return REMORA_OK;
}

void rmr_cpu_step_free(rmr_backend *be, rmr_step *s)
{
    rmr_cpu *c = (rmr_cpu *)be;
    if (s == NULL) return;
    rmr_arena_free(c->mem, s->arena.base, s->arena.size);
    rmr_arena_free(&c->ctx->mem, s, s->host_bytes);
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

/* None of the next operation's regions is done. */
static void begin_op(rmr_step *s)
{
    s->regions_done = 0;
    s->rest.n = 0;
}

remora_status rmr_cpu_step_inputs(rmr_backend *be, rmr_step *s, const rmr_inputs *in,
                                  remora_error *err)
{
    (void)be;
    RMR_TRY(rmr_check_inputs(&s->desc, in, err));
    RMR_ASSERT(inputs_are_sound(in));
    rmr_inputs_copy(&s->in, in);
    s->n_want = 0;
    s->q_n = 0;
    s->passed_on = NULL;
    s->failed = REMORA_OK;
    s->stopped_in = NULL;
    begin_op(s);
    find_spans(s);
    return REMORA_OK;
}

remora_status rmr_cpu_step_want(rmr_backend *be, rmr_step *s, const uint32_t *rows, uint32_t n,
                                remora_error *err)
{
    (void)be;
    RMR_TRY(rmr_check_want(&s->desc, s->in.n_rows, rows, n, err));
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
    s->stopped_in = NULL;
    for (; op < s->slice_end; op++) {
        RMR_ASSERT(op->kind < RMR_OP_COUNT);
        s->region = 0;
        s->kind = op->kind;
        const remora_status st = functions[op->kind](s, op);
        if (st == REMORA_MORE) s->stopped_in = op;
        if (st != REMORA_OK) return st;
        rmr_cpu_quantized_after(s, op);
        begin_op(s);
    }
    return REMORA_OK;
}

remora_status rmr_cpu_step_submit(rmr_backend *be, rmr_step *s, const rmr_slice *slice,
                                  rmr_halt *halt, uint64_t *mark, remora_error *err)
{
    const rmr_step_desc *d = &s->desc;
    const rmr_op *first = d->ops + slice->first, *const end = first + slice->n;
    (void)be;
    RMR_TRY(rmr_check_slice(d, slice, err));
    *mark = ++s->mark;
    if (s->failed < 0) return failed_before(s, err);
    if (s->stopped_in != NULL) {
        if (end != s->slice_end || s->stopped_in < first)
            RMR_FAIL(err, REMORA_E_INTERNAL, "another slice is submitted where one was stopped");
        first = s->stopped_in;
    }
    s->slice_end = end;
    s->halt = halt;
    s->err = err;
    const remora_status st = run(s, first);
    s->halt = NULL;
    s->err = NULL;
    if (st < 0) s->failed = st;
    return st;
}

remora_status rmr_cpu_step_wait(rmr_backend *be, rmr_step *s, uint64_t mark, remora_error *err)
{
    (void)be;
    if (mark > s->mark) RMR_FAIL(err, REMORA_E_INTERNAL, "wait for a slice that was not submitted");
    return s->failed < 0 ? failed_before(s, err) : REMORA_OK;
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
    if (!rmr_has_area(&s->desc, a))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a read is out of the range of its slot");
    for (uint32_t r = 0; r < a->n_rows; r++)
        memcpy((unsigned char *)dst + r * n, area_row(s, a, r), n);
    return REMORA_OK;
}

remora_status rmr_cpu_step_write(rmr_backend *be, rmr_step *s, const rmr_area *a, const void *src,
                                 remora_error *err)
{
    const size_t n = a->n_cols * sizeof(float);
    (void)be;
    if (!rmr_has_area(&s->desc, a))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a write is out of the range of its slot");
    for (uint32_t r = 0; r < a->n_rows; r++)
        memcpy(area_row(s, a, r), (const unsigned char *)src + r * n, n);
    rmr_cpu_quantized_forget(s, a->slot);
    return REMORA_OK;
}
