/* SPDX-License-Identifier: Apache-2.0 */
#include "ops.h"

#include <string.h>

#include "inputs.h"

enum {
    IN = RMR_VIEW_IN,
    IN2 = RMR_VIEW_IN2,
    IN3 = RMR_VIEW_IN3,
    OUT = RMR_VIEW_OUT,
    OUT2 = RMR_VIEW_OUT2,
    COUNTS = RMR_VIEW_COUNTS
};
enum {
    ABSORBED = 1 << RMR_FORM_ABSORBED,
    EXPANDED = 1 << RMR_FORM_EXPANDED,
    ALL = ABSORBED | EXPANDED
};
enum { MLA = RMR_DIMS_MLA, GQA = RMR_DIMS_GQA, MOE = RMR_DIMS_MOE };

uint32_t rmr_op_kv_heads(const rmr_op *op)
{
    return op->kv_n > 0 ? op->kv_n : op->gqa->kv_heads;
}

/* ---- rules of ops_list.h: the columns that an operation uses of a view ---- */

static uint64_t no_width(const rmr_op *op, uint32_t which)
{
    (void)op, (void)which;
    return 0;
}

static uint64_t plain_width(const rmr_op *op, uint32_t which)
{
    (void)which;
    return op->n;
}

static uint64_t norm_width(const rmr_op *op, uint32_t which)
{
    (void)which;
    return (uint64_t)op->n * (op->parts > 0 ? op->parts : 1);
}

static uint64_t product_width(const rmr_op *op, uint32_t which)
{
    return which == IN ? op->n : op->n_out;
}

static uint64_t rope_width(const rmr_op *op, uint32_t which)
{
    const rmr_rotary *r = &op->rotary;
    return which == IN ? (uint64_t)(r->heads - 1) * r->stride + r->first + r->width : r->width;
}

/* The row that an operation has in its stream. */
static rmr_cache_stream row_of(const rmr_op *op)
{
    if (op->gqa != NULL)
        return (rmr_cache_stream){.rows = RMR_CACHE_KEYS_VALUES,
                                  .width = 2 * op->gqa->kv_heads * op->gqa->head_dim};
    return (rmr_cache_stream){
        .rows = RMR_CACHE_LATENT, .width = op->mla->rank + op->mla->rope, .rope = op->mla->rope};
}

static uint64_t cache_width(const rmr_op *op, uint32_t which)
{
    const rmr_cache_stream row = row_of(op);
    return which == IN ? row.width : row.rope;
}

/* Columns of a latent model's queries, absorbed queries, latents and values of all heads. */
static uint64_t queries(const rmr_mla *a)
{
    return (uint64_t)a->heads * (a->nope + a->rope);
}

static uint64_t absorbed_queries(const rmr_mla *a)
{
    return (uint64_t)a->heads * (a->rank + a->rope);
}

static uint64_t latents(const rmr_mla *a)
{
    return (uint64_t)a->heads * a->rank;
}

static uint64_t values(const rmr_mla *a)
{
    return (uint64_t)a->heads * a->v;
}

static uint64_t absorb_width(const rmr_op *op, uint32_t which)
{
    return which == IN ? queries(op->mla) : absorbed_queries(op->mla);
}

static uint64_t latent_width(const rmr_op *op, uint32_t which)
{
    return which == IN ? absorbed_queries(op->mla) : latents(op->mla);
}

static uint64_t unabsorb_width(const rmr_op *op, uint32_t which)
{
    return which == IN ? latents(op->mla) : values(op->mla);
}

static uint64_t expanded_width(const rmr_op *op, uint32_t which)
{
    return which == IN ? queries(op->mla) : values(op->mla);
}

static uint64_t grouped_width(const rmr_op *op, uint32_t which)
{
    const rmr_gqa *g = op->gqa;
    (void)which;
    return (uint64_t)(g->heads / g->kv_heads) * rmr_op_kv_heads(op) * g->head_dim;
}

static uint64_t gate_width(const rmr_op *op, uint32_t which)
{
    return which & (IN | COUNTS) ? op->moe->n_experts : op->moe->n_used;
}

static uint64_t experts_width(const rmr_op *op, uint32_t which)
{
    const rmr_moe *m = op->moe;
    const uint64_t routed = (uint64_t)m->n_used * m->inner;
    if (which & (IN2 | IN3)) return m->n_used;
    if (op->kind == RMR_OP_EXPERTS_DOWN) return which == IN ? routed + m->shared_inner : op->n_out;
    return which == IN ? op->n : which == OUT ? routed - m->inner + op->n_out : op->n_out2;
}

/* ---- the table ---- */

const rmr_op_info rmr_op_infos[RMR_OP_COUNT] = {
#define RMR_OP(kind, name, function, reads, writes, weights, dims, cache, forms, width)            \
    [RMR_OP_##kind] = {name, reads, writes, weights, dims, cache, forms, width},
#include "ops_list.h"
#undef RMR_OP
};

uint64_t rmr_op_width(const rmr_op *op, uint32_t which)
{
    return rmr_op_infos[op->kind].width(op, which);
}

size_t rmr_op_view_at(uint32_t which)
{
    switch (which) {
    case IN: return offsetof(rmr_op, in);
    case IN2: return offsetof(rmr_op, in2);
    case IN3: return offsetof(rmr_op, in3);
    case OUT: return offsetof(rmr_op, out);
    case OUT2: return offsetof(rmr_op, out2);
    default: return offsetof(rmr_op, counts);
    }
}

rmr_view rmr_op_view(const rmr_op *op, uint32_t which)
{
    rmr_view v;
    memcpy(&v, (const char *)op + rmr_op_view_at(which), sizeof v);
    return v;
}

uint32_t rmr_op_reads(const rmr_op *op)
{
    const rmr_op_info *i = &rmr_op_infos[op->kind];
    return i->reads | (op->add ? i->writes : 0u);
}

int rmr_op_writes_slot(const rmr_op *op, uint32_t slot)
{
    const uint32_t writes = rmr_op_infos[op->kind].writes;
    for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1)
        if ((writes & v) && rmr_op_view(op, v).slot == slot) return 1;
    return 0;
}

/* ---- the validator ---- */

typedef struct checking {
    const rmr_op *ops, *op;
    uint32_t index;
    const rmr_slot *slots;
    uint32_t n_slots;
    const rmr_cache_layout *cache;
    uint64_t written; /* slots, one bit each */
    remora_error *err;
} checking;

static const char *name_of(const checking *c)
{
    return rmr_op_infos[c->op->kind].name;
}

/* Rows of what is not the operation's own: PICK_ROWS takes some of all, and counts are one row. */
static rmr_row_set rows_of(const rmr_op *op, uint32_t which)
{
    if (which == COUNTS) return RMR_ROWS_ONE;
    return op->kind == RMR_OP_PICK_ROWS && which == IN ? RMR_ROWS_ALL : op->rows;
}

static remora_status check_view(const checking *c, uint32_t which)
{
    const rmr_view v = rmr_op_view(c->op, which);
    const uint64_t width = rmr_op_width(c->op, which);
    if (v.slot >= c->n_slots)
        RMR_FAIL(c->err, REMORA_E_INTERNAL, "operation %u (%s) has slot %u, of %u", c->index,
                 name_of(c), v.slot, c->n_slots);
    const rmr_slot *s = &c->slots[v.slot];
    if (v.col + width > s->width)
        RMR_FAIL(c->err, REMORA_E_INTERNAL,
                 "operation %u (%s) uses columns %u to %llu of slot %u, which has %u", c->index,
                 name_of(c), v.col, (unsigned long long)(v.col + width), v.slot, s->width);
    if (s->rows != rows_of(c->op, which))
        RMR_FAIL(c->err, REMORA_E_INTERNAL, "operation %u (%s) has other rows than slot %u",
                 c->index, name_of(c), v.slot);
    if ((rmr_op_reads(c->op) & which) && !(c->written >> v.slot & 1))
        RMR_FAIL(c->err, REMORA_E_INTERNAL,
                 "operation %u (%s) reads slot %u, which nothing has written", c->index, name_of(c),
                 v.slot);
    return REMORA_OK;
}

static remora_status check_parts(const checking *c)
{
    const rmr_op *op = c->op;
    const rmr_op_info *i = &rmr_op_infos[op->kind];
    const rmr_weight *const w[] = {op->w, op->w2};
    const uint32_t dims =
        (op->mla != NULL ? MLA : 0) | (op->gqa != NULL ? GQA : 0) | (op->moe != NULL ? MOE : 0);
    for (uint32_t k = 0; k < i->weights; k++)
        if (w[k] == NULL)
            RMR_FAIL(c->err, REMORA_E_INTERNAL, "operation %u (%s) has no weight %u, of %u",
                     c->index, i->name, k, i->weights);
    if (i->dims != 0 && !(i->dims & dims))
        RMR_FAIL(c->err, REMORA_E_INTERNAL, "operation %u (%s) has no dimensions", c->index,
                 i->name);
    return REMORA_OK;
}

/* Does an operation before this one write the stream? */
static int stream_is_written(const checking *c)
{
    for (uint32_t i = 0; i < c->index; i++)
        if ((rmr_op_infos[c->ops[i].kind].cache & RMR_CACHE_WRITES) &&
            c->ops[i].stream == c->op->stream)
            return 1;
    return 0;
}

static remora_status check_stream(const checking *c)
{
    const uint32_t n = c->cache != NULL ? c->cache->n_streams : 0,
                   uses = rmr_op_infos[c->op->kind].cache;
    if (uses == 0) return REMORA_OK;
    if (c->op->stream >= n)
        RMR_FAIL(c->err, REMORA_E_INTERNAL, "operation %u (%s) has stream %u, of %u", c->index,
                 name_of(c), c->op->stream, n);
    const rmr_cache_stream *s = &c->cache->streams[c->op->stream], row = row_of(c->op);
    if (s->rows != row.rows || s->width != row.width || s->rope != row.rope)
        RMR_FAIL(
            c->err, REMORA_E_INTERNAL,
            "operation %u (%s) has rows of %u numbers, %u of them rotated, for stream %u (%s of "
            "layer %u), which has rows of %u and %u",
            c->index, name_of(c), row.width, row.rope, c->op->stream, s->name, s->layer, s->width,
            s->rope);
    if (uses == RMR_CACHE_READS && !stream_is_written(c))
        RMR_FAIL(c->err, REMORA_E_INTERNAL,
                 "operation %u (%s) reads stream %u (%s of layer %u), which nothing has written",
                 c->index, name_of(c), c->op->stream, s->name, s->layer);
    return REMORA_OK;
}

remora_status rmr_ops_check(const rmr_op *ops, uint32_t n_ops, const rmr_slot *slots,
                            uint32_t n_slots, const rmr_cache_layout *cache, remora_error *err)
{
    checking c = {.ops = ops, .slots = slots, .n_slots = n_slots, .cache = cache, .err = err};
    if (n_slots > 64) RMR_FAIL(err, REMORA_E_INTERNAL, "%u slots are more than 64", n_slots);
    for (c.index = 0; c.index < n_ops; c.index++) {
        c.op = &ops[c.index];
        const uint32_t writes = rmr_op_infos[c.op->kind].writes, reads = rmr_op_reads(c.op);
        RMR_TRY(check_parts(&c));
        RMR_TRY(check_stream(&c));
        for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1)
            if ((reads | writes) & v) RMR_TRY(check_view(&c, v));
        for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1)
            if (writes & v) c.written |= 1ull << rmr_op_view(c.op, v).slot;
    }
    return REMORA_OK;
}
