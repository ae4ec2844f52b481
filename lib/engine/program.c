/* SPDX-License-Identifier: Apache-2.0 */
/* The layer sequence (docs/models.md, "A layer"): h += attention(norm(h)); h +=
 * feed_forward(norm(h)). */
#include "program.h"

#include "model.h"

/* Parallel to rmr_slot_id. */
const rmr_slot_info rmr_slot_infos[RMR_SLOT_COUNT] = {
    [RMR_SLOT_X] = {"x", RMR_ROWS_ALL, 0},
    [RMR_SLOT_H] = {"h", RMR_ROWS_ALL, 0},
    [RMR_SLOT_QA] = {"qa", RMR_ROWS_ALL, 0},
    [RMR_SLOT_Q] = {"q", RMR_ROWS_ALL, 0},
    [RMR_SLOT_KV] = {"kv", RMR_ROWS_ALL, 0},
    [RMR_SLOT_QL] = {"ql", RMR_ROWS_ALL, 0},
    [RMR_SLOT_Z] = {"z", RMR_ROWS_ALL, 0},
    [RMR_SLOT_O] = {"o", RMR_ROWS_ALL, 0},
    [RMR_SLOT_FF] = {"ff", RMR_ROWS_ALL, 0},
    [RMR_SLOT_ROUTER] = {"router", RMR_ROWS_ALL, 0},
    [RMR_SLOT_IDS] = {"ids", RMR_ROWS_ALL, 1},
    [RMR_SLOT_WEIGHTS] = {"weights", RMR_ROWS_ALL, 0},
    [RMR_SLOT_COUNTS] = {"counts", RMR_ROWS_ONE, 1},
    [RMR_SLOT_ROPE] = {"rope", RMR_ROWS_ALL, 0},
    [RMR_SLOT_OUT] = {"out", RMR_ROWS_OUT, 0},
    [RMR_SLOT_LOGITS] = {"logits", RMR_ROWS_OUT, 0},
    [RMR_SLOT_EH] = {"eh", RMR_ROWS_ALL, 0},
};

static rmr_view at(rmr_slot_id slot)
{
    return (rmr_view){slot, 0};
}

/* Count the operation, and keep it when there is room: room is made for as many as were counted
 * before. */
static void add(rmr_programs *l, rmr_op op)
{
    if (l->n_ops < l->cap_ops) l->ops[l->n_ops] = op;
    l->n_ops++;
}

/* Set the places where the inputs of products are summed up, found by the products' weights. */
static void add_sums(rmr_programs *l, const remora_model *m)
{
    for (uint32_t i = 0; m->importance.buffer != NULL && i < l->n_ops; i++) {
        rmr_op *op = &l->ops[i];
        if (op->kind != RMR_OP_LINEAR && op->kind != RMR_OP_SWIGLU &&
            op->kind != RMR_OP_EXPERTS_SWIGLU && op->kind != RMR_OP_EXPERTS_DOWN)
            continue;
        op->sums = rmr_importance_of(&m->importance, op->w);
        op->shared_sums = rmr_importance_of(&m->importance, op->s1);
    }
}

static void norm(rmr_programs *l, rmr_slot_id in, rmr_slot_id out, const rmr_weight *w, uint32_t n,
                 float eps, rmr_row_set rows)
{
    add(l, (rmr_op){.kind = RMR_OP_NORM,
                    .rows = rows,
                    .in = at(in),
                    .out = at(out),
                    .w = w,
                    .n = n,
                    .eps = eps});
}

/* A product with a weight of the layer, whose widths the table of weights has. */
static void linear(rmr_programs *l, const remora_model *m, uint32_t layer, rmr_weight_id id,
                   rmr_slot_id in, rmr_slot_id out, int add_to)
{
    const rmr_weight_size size = rmr_weight_size_of(&m->shape, id);
    add(l, (rmr_op){.kind = RMR_OP_LINEAR,
                    .in = at(in),
                    .out = at(out),
                    .w = m->weights.layers[layer].w[id],
                    .n = (uint32_t)size.cols,
                    .n_out = (uint32_t)size.rows,
                    .add = add_to});
}

static void rotate(rmr_programs *l, rmr_slot_id slot, rmr_rotary rotary)
{
    add(l,
        (rmr_op){.kind = RMR_OP_ROPE, .in = at(slot), .in2 = at(RMR_SLOT_ROPE), .rotary = rotary});
}

/* The number of a stream of this layer. */
static uint32_t stream(const rmr_programs *l, uint32_t layer, const char *name)
{
    return rmr_cache_find(l->cache, layer, name);
}

static void latent_attention(rmr_programs *l, const remora_model *m, uint32_t layer)
{
    const rmr_shape *s = &m->shape;
    rmr_weight *const *w = m->weights.layers[layer].w;
    const rmr_mla *a = &s->mla;
    const uint32_t latent = stream(l, layer, RMR_STREAM_LATENT);
    if (s->q_rank > 0) {
        linear(l, m, layer, RMR_W_Q_A, RMR_SLOT_H, RMR_SLOT_QA, 0);
        linear(l, m, layer, RMR_W_KV_A, RMR_SLOT_H, RMR_SLOT_KV, 0); /* while H is quantised */
        norm(l, RMR_SLOT_QA, RMR_SLOT_QA, w[RMR_W_Q_A_NORM], s->q_rank, RMR_INNER_EPS,
             RMR_ROWS_ALL);
        linear(l, m, layer, RMR_W_Q_B, RMR_SLOT_QA, RMR_SLOT_Q, 0);
    } else {
        linear(l, m, layer, RMR_W_Q, RMR_SLOT_H, RMR_SLOT_Q, 0);
        linear(l, m, layer, RMR_W_KV_A, RMR_SLOT_H, RMR_SLOT_KV, 0);
    }
    rotate(l, RMR_SLOT_Q, /* neighbours: docs/models.md T3 */
           (rmr_rotary){.heads = a->heads,
                        .stride = a->nope + a->rope,
                        .first = a->nope,
                        .width = a->rope,
                        .pairs = RMR_ROPE_INTERLEAVED});
    add(l, (rmr_op){.kind = RMR_OP_CACHE_WRITE,
                    .layer = layer,
                    .stream = latent,
                    .in = at(RMR_SLOT_KV),
                    .in2 = at(RMR_SLOT_ROPE),
                    .w = w[RMR_W_KV_NORM],
                    .eps = RMR_INNER_EPS,
                    .mla = a});
    add(l, (rmr_op){.kind = RMR_OP_ABSORB,
                    .layer = layer,
                    .in = at(RMR_SLOT_Q),
                    .out = at(RMR_SLOT_QL),
                    .w = w[RMR_W_ABSORB],
                    .mla = a});
    add(l, (rmr_op){.kind = RMR_OP_ATTEND_LATENT,
                    .layer = layer,
                    .stream = latent,
                    .in = at(RMR_SLOT_QL),
                    .out = at(RMR_SLOT_Z),
                    .mla = a});
    add(l, (rmr_op){.kind = RMR_OP_UNABSORB,
                    .layer = layer,
                    .in = at(RMR_SLOT_Z),
                    .out = at(RMR_SLOT_O),
                    .w = w[RMR_W_VALUE_UP],
                    .mla = a});
    add(l, (rmr_op){.kind = RMR_OP_ATTEND_EXPANDED,
                    .layer = layer,
                    .stream = latent,
                    .in = at(RMR_SLOT_Q),
                    .out = at(RMR_SLOT_O),
                    .w = w[RMR_W_ABSORB],
                    .w2 = w[RMR_W_VALUE_UP],
                    .mla = a});
    linear(l, m, layer, RMR_W_OUT, RMR_SLOT_O, RMR_SLOT_X, 1);
}

/* A projection to some heads with its bias, and for queries and keys of Qwen3 the norm over each
 * head. */
static void heads_of(rmr_programs *l, const remora_model *m, rmr_view out, const rmr_weight *w,
                     const rmr_weight *bias, const rmr_weight *head_norm, uint32_t heads)
{
    const rmr_shape *s = &m->shape;
    add(l, (rmr_op){.kind = RMR_OP_LINEAR,
                    .in = at(RMR_SLOT_H),
                    .out = out,
                    .w = w,
                    .bias = bias,
                    .n = s->n_hidden,
                    .n_out = heads * s->gqa.head_dim});
    if (head_norm != NULL)
        add(l, (rmr_op){.kind = RMR_OP_NORM,
                        .in = out,
                        .out = out,
                        .w = head_norm,
                        .n = s->gqa.head_dim,
                        .parts = heads,
                        .eps = s->eps});
}

static void grouped_attention(rmr_programs *l, const remora_model *m, uint32_t layer)
{
    const rmr_shape *s = &m->shape;
    rmr_weight *const *w = m->weights.layers[layer].w;
    const rmr_gqa *a = &s->gqa;
    const uint32_t kv = a->kv_heads * a->head_dim;
    const uint32_t keys_values = stream(l, layer, RMR_STREAM_KEYS_VALUES);
    rmr_rotary rotary = {.stride = a->head_dim, .width = a->head_dim, .pairs = s->rope_pairs};
    heads_of(l, m, at(RMR_SLOT_Q), w[RMR_W_Q], w[RMR_W_Q_BIAS], w[RMR_W_Q_NORM], a->heads);
    heads_of(l, m, at(RMR_SLOT_KV), w[RMR_W_K], w[RMR_W_K_BIAS], w[RMR_W_K_NORM], a->kv_heads);
    heads_of(l, m, (rmr_view){RMR_SLOT_KV, kv}, w[RMR_W_V], w[RMR_W_V_BIAS], NULL, a->kv_heads);
    rotary.heads = a->heads;
    rotate(l, RMR_SLOT_Q, rotary);
    rotary.heads = a->kv_heads;
    rotate(l, RMR_SLOT_KV, rotary);
    add(l, (rmr_op){.kind = RMR_OP_CACHE_WRITE,
                    .layer = layer,
                    .stream = keys_values,
                    .in = at(RMR_SLOT_KV),
                    .gqa = a});
    add(l, (rmr_op){.kind = RMR_OP_ATTEND_GROUPED,
                    .layer = layer,
                    .stream = keys_values,
                    .in = at(RMR_SLOT_Q),
                    .out = at(RMR_SLOT_O),
                    .gqa = a});
    add(l, (rmr_op){.kind = RMR_OP_LINEAR,
                    .in = at(RMR_SLOT_O),
                    .out = at(RMR_SLOT_X),
                    .w = w[RMR_W_OUT],
                    .bias = w[RMR_W_OUT_BIAS],
                    .n = a->heads * a->head_dim,
                    .n_out = s->n_hidden,
                    .add = 1});
}

static void attention(rmr_programs *l, const remora_model *m, uint32_t layer)
{
    const rmr_shape *s = &m->shape;
    norm(l, RMR_SLOT_X, RMR_SLOT_H, m->weights.layers[layer].w[RMR_W_ATTN_NORM], s->n_hidden,
         s->eps, RMR_ROWS_ALL);
    if (s->attention == RMR_ATTENTION_GQA)
        grouped_attention(l, m, layer);
    else
        latent_attention(l, m, layer);
}

static void feed_forward(rmr_programs *l, const remora_model *m, uint32_t layer)
{
    const rmr_shape *s = &m->shape;
    rmr_weight *const *w = m->weights.layers[layer].w;
    norm(l, RMR_SLOT_X, RMR_SLOT_H, w[RMR_W_FFN_NORM], s->n_hidden, s->eps, RMR_ROWS_ALL);
    if (!rmr_shape_is_moe(s, layer)) {
        add(l, (rmr_op){.kind = RMR_OP_SWIGLU,
                        .in = at(RMR_SLOT_H),
                        .out = at(RMR_SLOT_FF),
                        .w = w[RMR_W_GATE],
                        .w2 = w[RMR_W_UP],
                        .n = s->n_hidden,
                        .n_out = s->inner});
        linear(l, m, layer, RMR_W_DOWN, RMR_SLOT_FF, RMR_SLOT_X, 1);
        return;
    }
    linear(l, m, layer, RMR_W_ROUTER, RMR_SLOT_H, RMR_SLOT_ROUTER, 0);
    add(l, (rmr_op){.kind = RMR_OP_GATE,
                    .layer = layer,
                    .in = at(RMR_SLOT_ROUTER),
                    .out = at(RMR_SLOT_IDS),
                    .out2 = at(RMR_SLOT_WEIGHTS),
                    .w = w[RMR_W_ROUTER_BIAS],
                    .moe = &s->moe,
                    .counts = {RMR_SLOT_COUNTS, layer * s->moe.n_experts}});
    add(l, (rmr_op){.kind = RMR_OP_EXPERTS_SWIGLU,
                    .layer = layer,
                    .in = at(RMR_SLOT_H),
                    .in2 = at(RMR_SLOT_IDS),
                    .out = at(RMR_SLOT_FF),
                    .out2 = {RMR_SLOT_FF, s->moe.n_used * s->moe.inner},
                    .w = w[RMR_W_E_GATE],
                    .w2 = w[RMR_W_E_UP],
                    .s1 = w[RMR_W_S_GATE],
                    .s2 = w[RMR_W_S_UP],
                    .moe = &s->moe,
                    .n = s->n_hidden,
                    .n_out = s->moe.inner,
                    .n_out2 = s->moe.shared_inner});
    add(l, (rmr_op){.kind = RMR_OP_EXPERTS_DOWN,
                    .layer = layer,
                    .in = at(RMR_SLOT_FF),
                    .in2 = at(RMR_SLOT_IDS),
                    .in3 = at(RMR_SLOT_WEIGHTS),
                    .out = at(RMR_SLOT_X),
                    .w = w[RMR_W_E_DOWN],
                    .s1 = w[RMR_W_S_DOWN],
                    .moe = &s->moe,
                    .n = s->moe.inner,
                    .n_out = s->n_hidden});
}

static void head(rmr_programs *l, const remora_model *m, const rmr_weight *last_norm)
{
    const uint32_t n = m->shape.n_hidden;
    add(l, (rmr_op){.kind = RMR_OP_PICK_ROWS,
                    .rows = RMR_ROWS_OUT,
                    .in = at(RMR_SLOT_X),
                    .out = at(RMR_SLOT_OUT),
                    .n = n});
    norm(l, RMR_SLOT_OUT, RMR_SLOT_OUT, last_norm, n, m->shape.eps, RMR_ROWS_OUT);
    add(l, (rmr_op){.kind = RMR_OP_LINEAR,
                    .rows = RMR_ROWS_OUT,
                    .in = at(RMR_SLOT_OUT),
                    .out = at(RMR_SLOT_LOGITS),
                    .w = m->weights.head,
                    .n = n,
                    .n_out = m->shape.n_vocab});
}

/* Room for a row of any stream. */
static uint32_t widest(const rmr_cache_layout *cache)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < cache->n_streams; i++)
        if (cache->streams[i].width > width) width = cache->streams[i].width;
    return width;
}

static void slots(rmr_programs *l, const rmr_shape *s)
{
    const rmr_mla *a = &s->mla; /* mla is all zero in grouped attention, gqa in latent attention */
    const uint32_t grouped = s->gqa.heads * s->gqa.head_dim;
    const uint32_t experts = s->moe.n_used * s->moe.inner + s->moe.shared_inner;
    const uint32_t width[RMR_SLOT_COUNT] = {[RMR_SLOT_X] = s->n_hidden,
                                            [RMR_SLOT_H] = s->n_hidden,
                                            [RMR_SLOT_QA] = s->q_rank,
                                            [RMR_SLOT_Q] = a->heads * (a->nope + a->rope) + grouped,
                                            [RMR_SLOT_KV] = widest(l->cache),
                                            [RMR_SLOT_QL] = a->heads * (a->rank + a->rope),
                                            [RMR_SLOT_Z] = a->heads * a->rank,
                                            [RMR_SLOT_O] = a->heads * a->v + grouped,
                                            [RMR_SLOT_FF] = s->inner > experts ? s->inner : experts,
                                            [RMR_SLOT_ROUTER] = s->moe.n_experts,
                                            [RMR_SLOT_IDS] = s->moe.n_used,
                                            [RMR_SLOT_WEIGHTS] = s->moe.n_used,
                                            [RMR_SLOT_ROPE] = rmr_shape_rope(s),
                                            [RMR_SLOT_OUT] = s->n_hidden,
                                            [RMR_SLOT_LOGITS] = s->n_vocab,
                                            [RMR_SLOT_COUNTS] =
                                                rmr_shape_all_layers(s) * s->moe.n_experts,
                                            [RMR_SLOT_EH] = 2 * s->n_hidden * s->n_predict};
    for (int i = 0; i < RMR_SLOT_COUNT; i++)
        l->slots[i] = (rmr_slot){width[i], rmr_slot_infos[i].rows};
}

/* End a slice: it has the operations that were added since the last one. */
static void end_slice(rmr_programs *l, rmr_slice_kind kind, uint32_t layer)
{
    static const rmr_program_slice none;
    const uint32_t at = l->n_slices++;
    if (l->slices == NULL) return; /* counting */
    const rmr_program_slice *before = at > 0 ? &l->slices[at - 1] : &none;
    const uint32_t first = before->first + before->n;
    l->slices[at] = (rmr_program_slice){kind, layer, first, l->n_ops - first};
}

static void begin_step(rmr_programs *l, const remora_model *m, rmr_slot_id embedding)
{
    add(l, (rmr_op){.kind = RMR_OP_EMBED,
                    .out = at(embedding),
                    .w = m->weights.embed,
                    .n = m->shape.n_hidden});
    add(l, (rmr_op){.kind = RMR_OP_ROPE_TABLE,
                    .out = at(RMR_SLOT_ROPE),
                    .w = m->weights.inv_freq,
                    .n_out = rmr_shape_rope(&m->shape),
                    .amp = m->shape.rope_amp});
    if (m->routing != NULL)
        add(l, (rmr_op){.kind = RMR_OP_COUNTS_CLEAR, .counts = at(RMR_SLOT_COUNTS)});
}

static void main_program(rmr_programs *l, const remora_model *m)
{
    const uint32_t first = l->n_slices;
    begin_step(l, m, RMR_SLOT_X);
    for (uint32_t i = 0; i < m->shape.n_layers; i++) {
        attention(l, m, i);
        feed_forward(l, m, i);
        end_slice(l, RMR_SLICE_LAYER, i);
    }
    head(l, m, m->weights.norm);
    end_slice(l, RMR_SLICE_HEAD, 0);
    if (m->routing != NULL) {
        add(l, (rmr_op){.kind = RMR_OP_COUNTS_ADD,
                        .counts = at(RMR_SLOT_COUNTS),
                        .counters = m->routing});
        end_slice(l, RMR_SLICE_FINISH, 0);
    }
    if (l->slices != NULL)
        l->program[RMR_PROGRAM_MAIN] = (rmr_program){l->slices + first, l->n_slices - first};
}

/* docs/models.md, "Prediction layers (MTP)": the embedding comes first (T19). */
static void join(rmr_programs *l, const remora_model *m, uint32_t layer)
{
    const rmr_shape *s = &m->shape;
    rmr_weight *const *w = m->weights.layers[layer].w;
    const rmr_view half[] = {{RMR_SLOT_EH, 0}, {RMR_SLOT_EH, s->n_hidden}};
    const rmr_weight_id id[] = {RMR_W_E_NORM, RMR_W_H_NORM};
    for (int i = 0; i < 2; i++)
        add(l, (rmr_op){.kind = RMR_OP_NORM,
                        .in = half[i],
                        .out = half[i],
                        .w = w[id[i]],
                        .n = s->n_hidden,
                        .eps = s->eps});
    linear(l, m, layer, RMR_W_EH_PROJ, RMR_SLOT_EH, RMR_SLOT_X, 0);
}

/* Choices of experts are not counted: drafts are no text. */
static void predict_program(rmr_programs *l, const remora_model *m)
{
    const uint32_t first = l->n_slices, layer = m->shape.n_layers;
    if (m->shape.n_predict == 0) return;
    begin_step(l, m, RMR_SLOT_EH);
    join(l, m, layer);
    attention(l, m, layer);
    feed_forward(l, m, layer);
    end_slice(l, RMR_SLICE_LAYER, layer);
    head(l, m, m->weights.layers[layer].w[RMR_W_HEAD_NORM]);
    end_slice(l, RMR_SLICE_HEAD, 0);
    if (l->slices != NULL)
        l->program[RMR_PROGRAM_PREDICT] = (rmr_program){l->slices + first, l->n_slices - first};
}

/* All programs, from the first operation on. Called twice: without room it only counts. What comes
 * behind the last layer's slice of the main program in the list is fetched meanwhile, so the other
 * program is in front of it. */
static void build(rmr_programs *l, const remora_model *m)
{
    l->n_ops = l->n_slices = 0;
    predict_program(l, m);
    main_program(l, m);
}

remora_status rmr_programs_make(const remora_model *m, rmr_mem *mem, rmr_programs *l,
                                remora_error *err)
{
    *l = (rmr_programs){.cache = &m->cache};
    slots(l, &m->shape);
    build(l, m);
    l->cap_ops = l->n_ops;
    l->cap_slices = l->n_slices;
    l->ops = rmr_calloc(mem, l->cap_ops, sizeof *l->ops);
    l->slices = rmr_calloc(mem, l->cap_slices, sizeof *l->slices);
    if (l->ops == NULL || l->slices == NULL) {
        const uint64_t bytes = l->cap_ops * sizeof *l->ops;
        rmr_programs_free(mem, l);
        return rmr_error_nomem(err, "operation list", bytes);
    }
    build(l, m);
    RMR_ASSERT(l->n_ops == l->cap_ops && l->n_slices == l->cap_slices);
    RMR_ASSERT(rmr_ops_check(l->ops, l->n_ops, l->slots, RMR_SLOT_COUNT, l->cache, NULL) ==
               REMORA_OK);
    add_sums(l, m);
    return REMORA_OK;
}

void rmr_programs_free(rmr_mem *mem, rmr_programs *l)
{
    rmr_free(mem, l->ops, l->cap_ops * sizeof *l->ops);
    rmr_free(mem, l->slices, l->cap_slices * sizeof *l->slices);
    *l = (rmr_programs){0};
}
