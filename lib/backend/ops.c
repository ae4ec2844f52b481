#include "ops.h"

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

/* Parallel to rmr_op_kind. */
const rmr_op_info rmr_op_infos[RMR_OP_COUNT] = {
    [RMR_OP_EMBED] = {"embed", 0, OUT, 1, 0, 0, ALL},
    [RMR_OP_ROPE_TABLE] = {"rope-table", 0, OUT, 1, 0, 0, ALL},
    [RMR_OP_NORM] = {"norm", IN, OUT, 1, 0, 0, ALL},
    [RMR_OP_LINEAR] = {"linear", IN, OUT, 1, 0, 0, ALL},
    [RMR_OP_SWIGLU] = {"swiglu", IN, OUT, 2, 0, 0, ALL},
    [RMR_OP_ROPE] = {"rope", IN | IN2, IN, 0, 0, 0, ALL},
    [RMR_OP_CACHE_WRITE] = {"cache-write", IN | IN2, IN, 0, MLA | GQA, RMR_CACHE_WRITES, ALL},
    [RMR_OP_ABSORB] = {"absorb", IN, OUT, 1, MLA, 0, ABSORBED},
    [RMR_OP_ATTEND_LATENT] = {"attend-latent", IN, OUT, 0, MLA, RMR_CACHE_READS, ABSORBED},
    [RMR_OP_UNABSORB] = {"unabsorb", IN, OUT, 1, MLA, 0, ABSORBED},
    [RMR_OP_ATTEND_EXPANDED] = {"attend-expanded", IN, OUT, 2, MLA, RMR_CACHE_READS, EXPANDED},
    [RMR_OP_ATTEND_GROUPED] = {"attend-grouped", IN, OUT, 0, GQA, RMR_CACHE_READS, ALL},
    [RMR_OP_GATE] = {"gate", IN | COUNTS, OUT | OUT2 | COUNTS, 0, MOE, 0, ALL},
    [RMR_OP_EXPERTS_SWIGLU] = {"experts-swiglu", IN | IN2, OUT | OUT2, 2, MOE, 0, ALL},
    [RMR_OP_EXPERTS_DOWN] = {"experts-down", IN | IN2 | IN3 | OUT, OUT, 1, MOE, 0, ALL},
    [RMR_OP_PICK_ROWS] = {"pick-rows", IN, OUT, 0, 0, 0, ALL},
    [RMR_OP_COUNTS_CLEAR] = {"counts-clear", 0, COUNTS, 0, 0, 0, ALL},
    [RMR_OP_COUNTS_ADD] = {"counts-add", COUNTS, 0, 0, 0, 0, ALL},
};

rmr_view rmr_op_view(const rmr_op *op, uint32_t which)
{
    switch (which) {
    case IN: return op->in;
    case IN2: return op->in2;
    case IN3: return op->in3;
    case OUT: return op->out;
    case OUT2: return op->out2;
    default: return op->counts;
    }
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

uint32_t rmr_op_kv_heads(const rmr_op *op)
{
    return op->kv_n > 0 ? op->kv_n : op->gqa->kv_heads;
}

/* Columns of a head's query, of its absorbed query and so on, times the heads. */
static uint64_t attention_width(const rmr_op *op, uint32_t which)
{
    const rmr_mla *a = op->mla;
    const int in = which == IN;
    if (op->kind == RMR_OP_ATTEND_GROUPED) {
        const rmr_gqa *g = op->gqa;
        return (uint64_t)(g->heads / g->kv_heads) * rmr_op_kv_heads(op) * g->head_dim;
    }
    const uint64_t query = (uint64_t)a->heads * (a->nope + a->rope),
                   absorbed = (uint64_t)a->heads * (a->rank + a->rope),
                   latent = (uint64_t)a->heads * a->rank, value = (uint64_t)a->heads * a->v;
    switch (op->kind) {
    case RMR_OP_ABSORB: return in ? query : absorbed;
    case RMR_OP_ATTEND_LATENT: return in ? absorbed : latent;
    case RMR_OP_UNABSORB: return in ? latent : value;
    default: return in ? query : value;
    }
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

static uint64_t experts_width(const rmr_op *op, uint32_t which)
{
    const rmr_moe *m = op->moe;
    const uint64_t routed = (uint64_t)m->n_used * m->inner;
    if (which & (IN2 | IN3)) return m->n_used;
    if (op->kind == RMR_OP_EXPERTS_DOWN) return which == IN ? routed + m->shared_inner : op->n_out;
    return which == IN ? op->n : which == OUT ? routed : m->shared_inner;
}

uint64_t rmr_op_width(const rmr_op *op, uint32_t which)
{
    const rmr_rotary *r = &op->rotary;
    switch (op->kind) {
    case RMR_OP_EMBED:
    case RMR_OP_PICK_ROWS: return op->n;
    case RMR_OP_NORM: return (uint64_t)op->n * (op->parts > 0 ? op->parts : 1);
    case RMR_OP_ROPE_TABLE:
    case RMR_OP_LINEAR:
    case RMR_OP_SWIGLU: return which == IN ? op->n : op->n_out;
    case RMR_OP_ROPE:
        return which == IN ? (uint64_t)(r->heads - 1) * r->stride + r->first + r->width : r->width;
    case RMR_OP_CACHE_WRITE: return cache_width(op, which);
    case RMR_OP_ABSORB:
    case RMR_OP_ATTEND_LATENT:
    case RMR_OP_UNABSORB:
    case RMR_OP_ATTEND_EXPANDED:
    case RMR_OP_ATTEND_GROUPED: return attention_width(op, which);
    case RMR_OP_GATE: return which & (IN | COUNTS) ? op->moe->n_experts : op->moe->n_used;
    case RMR_OP_EXPERTS_SWIGLU:
    case RMR_OP_EXPERTS_DOWN: return experts_width(op, which);
    default: return 0;
    }
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
