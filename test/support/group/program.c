/* SPDX-License-Identifier: Apache-2.0 */
/* A model's list of operations as the members of a group run it.
 *
 * An operation is split by the rows or the matrices of its weight; or, where it does each head by
 * itself and has no such weight, by the heads that each member has of its input; else every member
 * does all of it. Its result is then split, too, and stays so as long as every member has what it
 * reads. Where one does not, the columns are gathered right behind the operation that wrote them
 * last, so that what is read several times is gathered once. */
#include <string.h>

#include "arena.h"
#include "group.h"

/* Columns [from, to) of a slot that are split and not gathered so far: those of ops[op].out[out],
 * or what is left of them where others have been written since. */
typedef struct pending {
    uint32_t op, out, from, to;
} pending;

enum { MOST_PENDING = 32 };

typedef struct maker {
    const group *g;
    const rmr_step_desc *d;
    group_program *p;
    rmr_mla *mla[GROUP_MAX]; /* [n_ops] of the member's operations */
    pending list[MOST_PENDING];
    uint32_t n;
} maker;

/* ---- what is split how ---- */

static int is_split(const rmr_weight *w)
{
    return w != NULL && group_weight_of(w)->desc.share.kind != RMR_SHARE_NONE;
}

/* A row of the weight is a column of the result. */
static int has_rows(const rmr_op *op)
{
    return op->kind == RMR_OP_LINEAR || op->kind == RMR_OP_SWIGLU ||
           op->kind == RMR_OP_EXPERTS_DOWN;
}

static void take_ranges(const maker *k, const rmr_weight *w, group_range *out)
{
    for (uint32_t m = 0; m < k->g->n; m++) out[m] = group_weight_of(w)->part[m].range;
}

/* Heads, or other parts of a row, that the operation does each by itself: how many, 0 if it does
 * not, and their columns in a view. */
static uint32_t heads_of(const rmr_op *op)
{
    switch (op->kind) {
    case RMR_OP_ABSORB:
    case RMR_OP_ATTEND_LATENT:
    case RMR_OP_UNABSORB:
    case RMR_OP_ATTEND_EXPANDED: return op->mla->heads;
    case RMR_OP_ATTEND_GROUPED: return op->gqa->kv_heads;
    case RMR_OP_ROPE: return op->rotary.heads;
    case RMR_OP_NORM: return op->parts;
    default: return 0;
    }
}

static uint32_t head_columns(const rmr_op *op, uint32_t which)
{
    if (op->kind == RMR_OP_ROPE && which == RMR_VIEW_IN) return op->rotary.stride;
    return (uint32_t)(rmr_op_width(op, which) / heads_of(op));
}

static group_columns *columns_of(const maker *k, const pending *x)
{
    return &k->p->ops[x->op].out[x->out];
}

/* By the heads that members have of the input, where shares of it end with heads. */
static int split_as_input(const maker *k, group_op *o)
{
    const rmr_view in = o->op->in;
    const uint32_t heads = heads_of(o->op),
                   width = heads > 0 ? head_columns(o->op, RMR_VIEW_IN) : 0;
    for (uint32_t i = 0; i < k->n && heads > 0; i++) {
        const group_columns *c = columns_of(k, &k->list[i]);
        if (c->slot != in.slot || c->col != in.col || c->repeat > 1 ||
            c->width * c->total != width * heads || k->list[i].from != in.col ||
            k->list[i].to != group_columns_end(c))
            continue;
        for (uint32_t m = 0; m < k->g->n; m++) {
            const uint32_t first = c->share[m].first * c->width, n = c->share[m].n * c->width;
            if (first % width != 0 || n % width != 0) return 0;
            o->share[m] = (group_range){first / width, n / width};
        }
        return 1;
    }
    return 0;
}

static void decide(const maker *k, group_op *o)
{
    const rmr_op *op = o->op;
    o->split = is_split(op->w);
    if (o->split)
        take_ranges(k, op->w, o->share);
    else
        o->split = split_as_input(k, o);
    o->shared_split = op->kind == RMR_OP_EXPERTS_SWIGLU && is_split(op->s1);
    if (o->shared_split) take_ranges(k, op->s1, o->shared_share);
}

/* ---- what each member reads ---- */

/* Columns of a view that a member reads of an operation. */
static group_range needs(const maker *k, const group_op *o, uint32_t which, uint32_t m)
{
    const rmr_op *op = o->op;
    const rmr_view v = rmr_op_view(op, which);
    const int idle =
        o->split && o->share[m].n == 0 && !(o->shared_split && o->shared_share[m].n > 0);
    uint32_t width = (uint32_t)rmr_op_width(op, which);
    if (idle) return (group_range){v.col, 0};
    if (which == RMR_VIEW_OUT && o->split && has_rows(op))
        return (group_range){v.col + o->share[m].first, o->share[m].n}; /* adds to its own */
    if (o->split && heads_of(op) > 0 && which == RMR_VIEW_IN) {
        width = head_columns(op, which);
        return (group_range){v.col + o->share[m].first * width, o->share[m].n * width};
    }
    if (width == 0) width = k->d->slots[v.slot].width - v.col;
    return (group_range){v.col, width};
}

/* Does a member have what it needs of these columns? */
static int has(const maker *k, const pending *x, group_range need, uint32_t m)
{
    const group_columns *c = columns_of(k, x);
    const uint32_t from = need.first > x->from ? need.first : x->from, end = need.first + need.n,
                   to = end < x->to ? end : x->to;
    const uint32_t own = c->col + c->share[m].first * c->width;
    if (from >= to || c->share[m].n == c->total) return 1;
    return c->repeat == 1 && from >= own && to <= own + c->share[m].n * c->width;
}

static void forget(maker *k, uint32_t i)
{
    k->list[i] = k->list[--k->n];
}

static void gather(maker *k, uint32_t i)
{
    columns_of(k, &k->list[i])->gather = 1;
    forget(k, i);
}

static void gather_view(maker *k, const group_op *o, uint32_t which)
{
    for (uint32_t i = k->n; i-- > 0;) {
        const group_columns *c = columns_of(k, &k->list[i]);
        int all = 1;
        if (c->slot != rmr_op_view(o->op, which).slot) continue;
        for (uint32_t m = 0; m < k->g->n; m++) all &= has(k, &k->list[i], needs(k, o, which, m), m);
        if (!all) gather(k, i);
    }
}

/* ---- what each member writes ---- */

static void add_columns(group_op *o, group_columns c)
{
    o->out[o->n_out++] = c;
}

/* The columns of what an operation writes; those that every member writes alike are those of the
 * whole view. */
static void set_columns(const maker *k, group_op *o, uint32_t which)
{
    const rmr_op *op = o->op;
    const rmr_view v = rmr_op_view(op, which);
    const int shared = op->kind == RMR_OP_EXPERTS_SWIGLU && which == RMR_VIEW_OUT2;
    group_columns c = {.slot = v.slot, .col = v.col, .width = 1, .repeat = 1, .share = o->share};
    if (shared) {
        c.total = op->moe->shared_inner;
        c.share = o->shared_split ? o->shared_share : NULL;
    } else if (op->kind == RMR_OP_EXPERTS_SWIGLU) {
        c.total = c.stride = op->moe->inner;
        c.repeat = op->moe->n_used;
    } else if (heads_of(op) > 0) {
        c.width = head_columns(op, which);
        c.total = heads_of(op);
    } else if (has_rows(op)) {
        c.total = group_weight_of(op->w)->desc.rows;
    } else {
        const uint32_t width = (uint32_t)rmr_op_width(op, which);
        c.total = width > 0 ? width : k->d->slots[v.slot].width - v.col;
    }
    if (!shared && !o->split) c.share = NULL;
    if (c.total > 0) add_columns(o, c);
}

/* Where there is no room, what is gathered without need is right, too. */
static void add(maker *k, pending x)
{
    if (x.from >= x.to) return;
    if (k->n == MOST_PENDING) gather(k, 0);
    k->list[k->n++] = x;
}

/* What was pending there is no more. */
static void replace(maker *k, uint32_t op, uint32_t out)
{
    const group_columns *c = &k->p->ops[op].out[out];
    const uint32_t end = group_columns_end(c);
    for (uint32_t i = k->n; i-- > 0;) {
        const pending x = k->list[i];
        if (columns_of(k, &x)->slot != c->slot || x.to <= c->col || end <= x.from) continue;
        forget(k, i);
        add(k, (pending){x.op, x.out, x.from, c->col});
        add(k, (pending){x.op, x.out, end, x.to});
    }
    if (c->share != NULL) add(k, (pending){op, out, c->col, end});
}

static void go_over(maker *k, uint32_t i)
{
    group_op *o = &k->p->ops[i];
    const uint32_t writes = rmr_op_infos[o->op->kind].writes, reads = rmr_op_reads(o->op);
    decide(k, o);
    for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1)
        if (reads & v) gather_view(k, o, v);
    for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1)
        if (writes & v) set_columns(k, o, v);
    for (uint32_t out = 0; out < o->n_out; out++) replace(k, i, out);
}

/* ---- the members' operations ---- */

static const rmr_weight *own_weight(const rmr_weight *w, uint32_t m)
{
    return w != NULL ? group_weight_of(w)->part[m].w : NULL;
}

/* What is summed up of an input is summed up by the first member that has the operation. */
static rmr_sums own_sums(const maker *k, rmr_sums s, const group_range *share, int split,
                         uint32_t m)
{
    uint32_t first = 0;
    while (split && first + 1 < k->g->n && share[first].n == 0) first++;
    s.buffer = s.buffer != NULL && m == first ? group_buffer_of(s.buffer)->member[m] : NULL;
    return s;
}

static void narrow_heads(const maker *k, rmr_op *op, rmr_mla *mla, const group_op *o, uint32_t m)
{
    const group_range r = o->share[m];
    const uint32_t in = r.first * head_columns(o->op, RMR_VIEW_IN);
    (void)k;
    op->in.col += in;
    if (op->kind == RMR_OP_ROPE) {
        op->rotary.heads = r.n;
        return;
    }
    op->out.col += r.first * head_columns(o->op, RMR_VIEW_OUT);
    if (op->kind == RMR_OP_NORM) {
        op->parts = r.n;
    } else if (op->kind == RMR_OP_ATTEND_GROUPED) {
        op->kv_first = r.first;
        op->kv_n = r.n;
    } else {
        *mla = *op->mla;
        mla->heads = r.n;
        op->mla = mla;
    }
}

/* The shared experts alone, where a member has no rows of the others. */
static void become_shared(rmr_op *op)
{
    op->kind = RMR_OP_SWIGLU;
    op->w = op->s1;
    op->w2 = op->s2;
    op->s1 = op->s2 = NULL;
    op->out = op->out2;
    op->n_out = op->n_out2;
    op->sums = op->shared_sums;
    op->shared_sums.buffer = NULL;
}

/* The operation of a member; 0: it has none. */
static int narrow(const maker *k, const group_op *o, uint32_t m, rmr_op *op, rmr_mla *mla)
{
    const int routed = !o->split || o->share[m].n > 0,
              shared = o->shared_split && o->shared_share[m].n > 0;
    if (!routed && !shared) return 0;
    *op = *o->op;
    op->w = own_weight(op->w, m);
    op->w2 = own_weight(op->w2, m);
    op->bias = own_weight(op->bias, m);
    op->s1 = own_weight(op->s1, m);
    op->s2 = own_weight(op->s2, m);
    op->sums = own_sums(k, op->sums, o->share, o->split, m);
    op->shared_sums = op->kind == RMR_OP_EXPERTS_SWIGLU
                          ? own_sums(k, op->shared_sums, o->shared_share, o->shared_split, m)
                          : own_sums(k, op->shared_sums, o->share, o->split, m);
    if (op->counters != NULL) op->counters = group_buffer_of(op->counters)->member[m];
    if (!o->split) return 1;
    if (heads_of(o->op) > 0) {
        narrow_heads(k, op, mla, o, m);
        return 1;
    }
    op->out.col += o->share[m].first;
    op->n_out = o->share[m].n;
    if (shared) op->out2.col += o->shared_share[m].first;
    if (shared) op->n_out2 = o->shared_share[m].n;
    if (!routed) become_shared(op);
    return 1;
}

static void place_lists(maker *k)
{
    group_program *p = k->p;
    for (uint32_t m = 0; m < k->g->n; m++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->n_ops; i++) {
            p->at[m][i] = n;
            n += (uint32_t)narrow(k, &p->ops[i], m, &p->list[m][n], &k->mla[m][n]);
        }
        p->at[m][p->n_ops] = n;
    }
}

static uint32_t most_columns(const group_program *p, uint32_t members)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < p->n_ops; i++)
        for (uint32_t out = 0; out < p->ops[i].n_out; out++) {
            const group_columns *c = &p->ops[i].out[out];
            for (uint32_t m = 0; m < members && c->gather; m++)
                if (c->share[m].n * c->width > most) most = c->share[m].n * c->width;
        }
    return most;
}

static void lay_out(maker *k, rmr_arena *a)
{
    group_program *p = k->p;
    const uint32_t n = p->n_ops, members = k->g->n;
    p->ops = rmr_arena_take(a, n, sizeof *p->ops);
    group_range *const ranges = rmr_arena_take(a, 2ull * n * members, sizeof *ranges);
    for (uint32_t m = 0; m < members; m++) {
        p->list[m] = rmr_arena_take(a, n, sizeof *p->list[m]);
        k->mla[m] = rmr_arena_take(a, n, sizeof *k->mla[m]);
        p->at[m] = rmr_arena_take(a, n + 1ull, sizeof *p->at[m]);
    }
    for (uint32_t i = 0; p->ops != NULL && i < n; i++)
        p->ops[i] = (group_op){.op = &k->d->ops[i],
                               .share = ranges + 2ull * i * members,
                               .shared_share = ranges + (2ull * i + 1) * members};
}

remora_status group_program_make(const group *g, const rmr_step_desc *d, group_program *out,
                                 remora_error *err)
{
    maker k = {.g = g, .d = d, .p = out};
    rmr_arena a = {0};
    *out = (group_program){.n_ops = d->n_ops};
    lay_out(&k, &a);
    RMR_TRY(rmr_arena_make(&a, &g->ctx->mem, "lists of operations", err));
    out->block = a.base;
    out->bytes = a.size;
    lay_out(&k, &a);
    for (uint32_t i = 0; i < d->n_ops; i++) go_over(&k, i);
    place_lists(&k);
    out->most_columns = most_columns(out, g->n);
    return REMORA_OK;
}

void group_program_free(const group *g, group_program *p)
{
    rmr_arena_free(&g->ctx->mem, p->block, p->bytes);
    p->block = NULL;
}

rmr_step_desc group_program_desc(const group_program *p, const rmr_step_desc *d, uint32_t member)
{
    rmr_step_desc own = *d;
    own.ops = p->list[member];
    own.n_ops = p->at[member][p->n_ops];
    return own;
}
