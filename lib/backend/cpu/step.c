/* A prepared step: one arena holding activations, inputs and scratch, sized once for the step's
 * maxima, so that running it never allocates. */
#include "cpu.h"

#include <string.h>

#include "fpenv.h"

typedef struct op_entry {
    rmr_cpu_op_fn *run;
    rmr_cpu_scratch (*scratch)(const rmr_op *op, const rmr_step_desc *d);
} op_entry;

static const op_entry table[RMR_OP_COUNT] = {
    [RMR_OP_EMBED] = {rmr_cpu_embed, NULL},
    [RMR_OP_ROPE_TABLE] = {rmr_cpu_rope_table, NULL},
    [RMR_OP_NORM] = {rmr_cpu_norm, NULL},
    [RMR_OP_LINEAR] = {rmr_cpu_linear, NULL},
    [RMR_OP_SWIGLU] = {rmr_cpu_swiglu, NULL},
    [RMR_OP_ROPE] = {rmr_cpu_rope, NULL},
    [RMR_OP_CACHE_WRITE] = {rmr_cpu_cache_write, NULL},
    [RMR_OP_ABSORB] = {rmr_cpu_absorb, NULL},
    [RMR_OP_ATTEND_LATENT] = {rmr_cpu_attend_latent, rmr_cpu_latent_scratch},
    [RMR_OP_UNABSORB] = {rmr_cpu_unabsorb, NULL},
    [RMR_OP_ATTEND_EXPANDED] = {rmr_cpu_attend_expanded, rmr_cpu_expanded_scratch},
    [RMR_OP_GATE] = {rmr_cpu_gate, rmr_cpu_gate_scratch},
    [RMR_OP_EXPERTS] = {rmr_cpu_experts, rmr_cpu_experts_scratch},
    [RMR_OP_PICK_ROWS] = {rmr_cpu_pick_rows, NULL},
};

/* Offsets of everything in the arena. */
typedef struct layout {
    uint64_t slots, token, pos, run, page, out_row, span, worker, shared, total;
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
    return d->slots[slot].rows == RMR_ROWS_OUT ? d->max_out : d->max_rows;
}

static layout lay_out(const rmr_cpu *c, const rmr_step_desc *d)
{
    layout l = {0};
    uint64_t worker = 0, shared = 0;
    for (uint32_t i = 0; i < d->n_ops; i++) {
        if (table[d->ops[i].kind].scratch == NULL) continue;
        const rmr_cpu_scratch need = table[d->ops[i].kind].scratch(&d->ops[i], d);
        if (need.worker > worker) worker = need.worker;
        if (need.shared > shared) shared = need.shared;
    }
    l.worker_bytes = rmr_round_up(worker, RMR_ALIGN);
    l.slots = take(&l, 0);
    for (uint32_t i = 0; i < d->n_slots; i++)
        take(&l, (uint64_t)slot_rows(d, i) * d->slots[i].width * 4);
    l.token = take(&l, d->max_rows * sizeof(int32_t));
    l.pos = take(&l, d->max_rows * sizeof(uint32_t));
    l.run = take(&l, d->max_runs * sizeof(rmr_run));
    l.page = take(&l, d->max_pages * sizeof(uint64_t));
    l.out_row = take(&l, d->max_out * sizeof(uint32_t));
    l.span = take(&l, d->max_runs * sizeof(rmr_row_span));
    l.worker = take(&l, l.worker_bytes * rmr_pool_width(c->ctx->pool));
    l.shared = take(&l, shared);
    return l;
}

uint64_t rmr_cpu_step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    return lay_out((rmr_cpu *)be, d).total + sizeof(rmr_step) + d->n_slots * sizeof(float *);
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
    s->in.token = (int32_t *)(void *)(s->arena + l.token);
    s->in.pos = (uint32_t *)(void *)(s->arena + l.pos);
    s->in.run = (rmr_run *)(void *)(s->arena + l.run);
    s->in.page = (uint64_t *)(void *)(s->arena + l.page);
    s->in.out_row = (uint32_t *)(void *)(s->arena + l.out_row);
    s->span = (rmr_row_span *)(void *)(s->arena + l.span);
    s->worker = s->arena + l.worker;
    s->worker_bytes = l.worker_bytes;
    s->shared = s->arena + l.shared;
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
    if (in->n_rows > d->max_rows || in->n_runs > d->max_runs || in->n_pages > d->max_pages ||
        in->n_out > d->max_out)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step inputs exceed the prepared maxima");
    s->in.n_rows = in->n_rows;
    s->in.n_runs = in->n_runs;
    s->in.n_pages = in->n_pages;
    s->in.n_out = in->n_out;
    s->in.count_routing = in->count_routing;
    memcpy(s->in.token, in->token, in->n_rows * sizeof *in->token);
    memcpy(s->in.pos, in->pos, in->n_rows * sizeof *in->pos);
    memcpy(s->in.run, in->run, in->n_runs * sizeof *in->run);
    memcpy(s->in.page, in->page, in->n_pages * sizeof *in->page);
    memcpy(s->in.out_row, in->out_row, in->n_out * sizeof *in->out_row);
    find_spans(s);
    return REMORA_OK;
}

remora_status rmr_cpu_step_submit(rmr_backend *be, rmr_step *s, uint32_t first, uint32_t n,
                                  remora_error *err)
{
    (void)be;
    if (first > s->desc.n_ops || n > s->desc.n_ops - first)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step slice out of range");
    const rmr_fpenv saved = rmr_fpenv_enter(); /* we run on the host's thread */
    for (uint32_t i = first; i < first + n; i++) table[s->desc.ops[i].kind].run(s, &s->desc.ops[i]);
    rmr_fpenv_leave(saved);
    return REMORA_OK;
}

remora_status rmr_cpu_step_wait(rmr_backend *be, rmr_step *s, remora_error *err)
{
    (void)be, (void)s, (void)err;
    return REMORA_OK;
}

remora_status rmr_cpu_step_read(rmr_backend *be, rmr_step *s, uint32_t slot, uint32_t row0,
                                uint32_t n, void *dst, remora_error *err)
{
    (void)be;
    if (slot >= s->desc.n_slots || row0 > slot_rows(&s->desc, slot) ||
        n > slot_rows(&s->desc, slot) - row0)
        RMR_FAIL(err, REMORA_E_INTERNAL, "slot read out of range");
    const size_t width = s->desc.slots[slot].width;
    memcpy(dst, s->slot[slot] + row0 * width, n * width * 4);
    return REMORA_OK;
}
