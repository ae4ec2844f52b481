/* Tensor names of the V2/V3 line (facts section 2.1) and of dense models with grouped attention
 * (section 11.1) bound to weights. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

typedef struct planner {
    remora_model *m;
    rmr_mem *mem;
    const rmr_checkpoint *ck;
    rmr_plan *plan;
    uint32_t layer;
    remora_error *err;
} planner;

static remora_status elem_of(const rmr_tensor *t, rmr_elem *out, remora_error *err)
{
    switch (t->dtype) {
    case RMR_DTYPE_BF16: *out = RMR_ELEM_BF16; return REMORA_OK;
    case RMR_DTYPE_F16: *out = RMR_ELEM_F16; return REMORA_OK;
    case RMR_DTYPE_F32: *out = RMR_ELEM_F32; return REMORA_OK;
    default:
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: tensor %s is %s; this build reads BF16, F16 and F32",
                 rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text,
                 rmr_dtype_name(t->dtype));
    }
}

static remora_status find(planner *p, const char *name, uint64_t rows, uint64_t cols, int vector,
                          const rmr_tensor **out)
{
    const rmr_tensor *t = rmr_checkpoint_find(p->ck, name);
    if (t == NULL) RMR_FAIL(p->err, REMORA_E_FORMAT, "checkpoint: tensor %s is missing", name);
    const int fits = vector ? t->n_dims == 1 && t->dims[0] == cols
                            : t->n_dims == 2 && t->dims[0] == rows && t->dims[1] == cols;
    if (!fits) {
        char have[96];
        size_t at = 0;
        have[0] = 0;
        for (uint32_t i = 0; i < t->n_dims && at + 24 < sizeof have; i++)
            at += (size_t)snprintf(have + at, sizeof have - at, "%s%llu", i > 0 ? "," : "",
                                   (unsigned long long)t->dims[i]);
        RMR_FAIL(p->err, REMORA_E_FORMAT,
                 "%s: tensor %s has shape [%s], config.json means [%llu,%llu]",
                 rmr_show(rmr_file_name(t->file)).text, name, have, (unsigned long long)rows,
                 (unsigned long long)cols);
    }
    p->plan->used[rmr_checkpoint_index(p->ck, t)] = 1;
    *out = t;
    return REMORA_OK;
}

static remora_status add_item(planner *p, const rmr_plan_item *item)
{
    const uint64_t bytes = item->adopt ? 0 : p->m->be->ops->weight_bytes(p->m->be, &item->desc);
    RMR_TRY(rmr_grow(p->mem, &p->plan->items, &p->plan->cap, p->plan->n + 1, sizeof *item, p->err));
    if (!rmr_add_ok(p->plan->weight_bytes, bytes, &p->plan->weight_bytes))
        RMR_FAIL(p->err, REMORA_E_FORMAT, "checkpoint: the sizes of all weights overflow");
    p->plan->items[p->plan->n++] = *item;
    return REMORA_OK;
}

/* Parameters are counted once for each checkpoint tensor; `active` of `count` matrices take part in
 * a token. */
static void count_params(planner *p, uint64_t each, uint64_t count, uint64_t active)
{
    p->plan->n_params += each * count;
    p->plan->n_params_active += each * active;
}

/* "model.layers.<layer>.<part>", or the name itself outside the layers. */
static void full_name(const planner *p, char *buf, size_t cap, const char *part)
{
    if (p->layer == UINT32_MAX)
        snprintf(buf, cap, "%s", part);
    else
        snprintf(buf, cap, "model.layers.%u.%s", p->layer, part);
}

/* A table in mapped or borrowed memory, aligned for its elements, is used where it lies. */
static void adopt_if_possible(planner *p, rmr_plan_item *it)
{
    const unsigned char *data = rmr_file_data(it->tensor->file);
    it->adopt =
        data != NULL && (uintptr_t)(data + it->tensor->offset) % rmr_elem_size(it->desc.elem) == 0;
    if (it->adopt) p->plan->mapped_bytes += it->tensor->bytes;
}

static remora_status whole(planner *p, rmr_weight **w, rmr_weight_use use, const char *part,
                           uint64_t rows, uint64_t cols)
{
    char name[160];
    rmr_plan_item it = {.weight = w, .take = RMR_TAKE_WHOLE};
    full_name(p, name, sizeof name, part);
    RMR_TRY(find(p, name, rows, cols, use == RMR_USE_VECTOR, &it.tensor));
    it.desc = (rmr_weight_desc){use, RMR_ELEM_F32, 1, (uint32_t)rows, (uint32_t)cols};
    RMR_TRY(elem_of(it.tensor, &it.desc.elem, p->err));
    count_params(p, rows * cols, 1, 1);
    if (use == RMR_USE_TABLE) adopt_if_possible(p, &it);
    return add_item(p, &it);
}

static remora_status matrix(planner *p, rmr_weight **w, const char *part, uint64_t rows,
                            uint64_t cols)
{
    return whole(p, w, RMR_USE_MATRIX, part, rows, cols);
}

static remora_status vector(planner *p, rmr_weight **w, const char *part, uint64_t n)
{
    return whole(p, w, RMR_USE_VECTOR, part, 1, n);
}

/* Three views of kv_b_proj (facts section 2.5): W_UK both ways, for the two attention forms, and
 * W_UV. */
static remora_status kv_views(planner *p, rmr_layer *l)
{
    const rmr_mla *a = &p->m->shape.mla;
    const uint64_t rows = (uint64_t)a->heads * (a->nope + a->v);
    char name[160];
    rmr_plan_item it = {.take = RMR_TAKE_KV_KEY_T};
    rmr_elem elem = RMR_ELEM_BF16;
    full_name(p, name, sizeof name, "self_attn.kv_b_proj.weight");
    RMR_TRY(find(p, name, rows, a->rank, 0, &it.tensor));
    RMR_TRY(elem_of(it.tensor, &elem, p->err));
    count_params(p, rows * a->rank, 1, 1);
    it.weight = &l->absorb;
    it.desc = (rmr_weight_desc){RMR_USE_MATRIX, elem, a->heads, a->rank, a->nope};
    RMR_TRY(add_item(p, &it));
    it.weight = &l->key_up;
    it.take = RMR_TAKE_KV_KEY;
    it.desc.rows = a->nope;
    it.desc.cols = a->rank;
    RMR_TRY(add_item(p, &it));
    it.weight = &l->value_up;
    it.take = RMR_TAKE_KV_VALUE;
    it.desc.rows = a->v;
    return add_item(p, &it);
}

static remora_status latent_attention(planner *p, rmr_layer *l)
{
    const rmr_shape *s = &p->m->shape;
    const rmr_mla *a = &s->mla;
    const uint64_t q_rows = (uint64_t)a->heads * (a->nope + a->rope);
    if (s->q_rank > 0) {
        RMR_TRY(matrix(p, &l->q_a, "self_attn.q_a_proj.weight", s->q_rank, s->n_hidden));
        RMR_TRY(vector(p, &l->q_a_norm, "self_attn.q_a_layernorm.weight", s->q_rank));
        RMR_TRY(matrix(p, &l->q, "self_attn.q_b_proj.weight", q_rows, s->q_rank));
    } else {
        RMR_TRY(matrix(p, &l->q, "self_attn.q_proj.weight", q_rows, s->n_hidden));
    }
    RMR_TRY(
        matrix(p, &l->kv_a, "self_attn.kv_a_proj_with_mqa.weight", a->rank + a->rope, s->n_hidden));
    RMR_TRY(vector(p, &l->kv_norm, "self_attn.kv_a_layernorm.weight", a->rank));
    RMR_TRY(kv_views(p, l));
    return matrix(p, &l->out, "self_attn.o_proj.weight", s->n_hidden, (uint64_t)a->heads * a->v);
}

/* Grouped attention (facts section 11.1). */
static remora_status grouped_attention(planner *p, rmr_layer *l)
{
    const rmr_shape *s = &p->m->shape;
    const rmr_gqa *a = &s->gqa;
    const uint64_t q = (uint64_t)a->heads * a->head_dim, kv = (uint64_t)a->kv_heads * a->head_dim;
    RMR_TRY(matrix(p, &l->q, "self_attn.q_proj.weight", q, s->n_hidden));
    RMR_TRY(matrix(p, &l->k, "self_attn.k_proj.weight", kv, s->n_hidden));
    RMR_TRY(matrix(p, &l->v, "self_attn.v_proj.weight", kv, s->n_hidden));
    if (s->qkv_bias) {
        RMR_TRY(vector(p, &l->q_bias, "self_attn.q_proj.bias", q));
        RMR_TRY(vector(p, &l->k_bias, "self_attn.k_proj.bias", kv));
        RMR_TRY(vector(p, &l->v_bias, "self_attn.v_proj.bias", kv));
    }
    if (s->head_norm) {
        RMR_TRY(vector(p, &l->q_norm, "self_attn.q_norm.weight", a->head_dim));
        RMR_TRY(vector(p, &l->k_norm, "self_attn.k_norm.weight", a->head_dim));
    }
    if (s->out_bias) RMR_TRY(vector(p, &l->out_bias, "self_attn.o_proj.bias", s->n_hidden));
    return matrix(p, &l->out, "self_attn.o_proj.weight", s->n_hidden, q);
}

static remora_status attention(planner *p, rmr_layer *l)
{
    const rmr_shape *s = &p->m->shape;
    RMR_TRY(vector(p, &l->attn_norm, "input_layernorm.weight", s->n_hidden));
    RMR_TRY(s->attention == RMR_ATTENTION_GQA ? grouped_attention(p, l) : latent_attention(p, l));
    return vector(p, &l->ffn_norm, "post_attention_layernorm.weight", s->n_hidden);
}

/* The experts' tensors of one projection, stacked; all of one dtype. */
static remora_status stack(planner *p, rmr_weight **w, const char *proj, uint32_t rows,
                           uint32_t cols)
{
    const rmr_moe *m = &p->m->shape.moe;
    rmr_plan_item it = {.weight = w, .take = RMR_TAKE_STACK};
    const size_t first = p->plan->n_stacks;
    for (uint32_t e = 0; e < m->n_experts; e++) {
        char name[160];
        rmr_elem elem = RMR_ELEM_BF16;
        const rmr_tensor *t;
        snprintf(name, sizeof name, "model.layers.%u.mlp.experts.%u.%s.weight", p->layer, e, proj);
        RMR_TRY(find(p, name, rows, cols, 0, &t));
        RMR_TRY(elem_of(t, &elem, p->err));
        if (e == 0) it.desc = (rmr_weight_desc){RMR_USE_MATRIX, elem, m->n_experts, rows, cols};
        if (elem != it.desc.elem)
            RMR_FAIL(p->err, REMORA_E_UNSUPPORTED,
                     "%s: tensor %s has another dtype than expert 0's",
                     rmr_show(rmr_file_name(t->file)).text, name);
        p->plan->stacks[p->plan->n_stacks++] = t; /* room for all was made at the start */
    }
    it.stack = p->plan->stacks + first;
    count_params(p, (uint64_t)rows * cols, m->n_experts, m->n_used);
    return add_item(p, &it);
}

static remora_status feed_forward(planner *p, rmr_layer *l)
{
    const rmr_shape *s = &p->m->shape;
    const rmr_moe *m = &s->moe;
    if (!rmr_shape_is_moe(s, p->layer)) {
        RMR_TRY(matrix(p, &l->gate, "mlp.gate_proj.weight", s->inner, s->n_hidden));
        RMR_TRY(matrix(p, &l->up, "mlp.up_proj.weight", s->inner, s->n_hidden));
        return matrix(p, &l->down, "mlp.down_proj.weight", s->n_hidden, s->inner);
    }
    RMR_TRY(matrix(p, &l->router, "mlp.gate.weight", m->n_experts, s->n_hidden));
    if (s->gate_bias)
        RMR_TRY(vector(p, &l->router_bias, "mlp.gate.e_score_correction_bias", m->n_experts));
    RMR_TRY(stack(p, &l->gate, "gate_proj", m->inner, s->n_hidden));
    RMR_TRY(stack(p, &l->up, "up_proj", m->inner, s->n_hidden));
    RMR_TRY(stack(p, &l->down, "down_proj", s->n_hidden, m->inner));
    if (m->shared_inner == 0) return REMORA_OK;
    RMR_TRY(
        matrix(p, &l->s_gate, "mlp.shared_experts.gate_proj.weight", m->shared_inner, s->n_hidden));
    RMR_TRY(matrix(p, &l->s_up, "mlp.shared_experts.up_proj.weight", m->shared_inner, s->n_hidden));
    return matrix(p, &l->s_down, "mlp.shared_experts.down_proj.weight", s->n_hidden,
                  m->shared_inner);
}

/* The rope tables that old checkpoints stored: not parameters, and not needed. */
static int is_rope_table(const char *name)
{
    static const char tail[] = ".self_attn.rotary_emb.inv_freq";
    const size_t n = strlen(name), t = sizeof tail - 1;
    return n > t && strcmp(name + n - t, tail) == 0;
}

/* Of the multi-token prediction layers after the last main layer, which are not used yet. */
static int is_mtp(const rmr_shape *s, const char *name)
{
    unsigned layer;
    char rest;
    if (sscanf(name, "model.layers.%5u%c", &layer, &rest) != 2 || rest != '.') return 0;
    return layer >= s->n_layers && layer < s->n_layers + s->n_mtp;
}

static remora_status refuse_extra(planner *p)
{
    for (uint64_t i = 0; i < rmr_checkpoint_count(p->ck); i++) {
        const rmr_tensor *t = rmr_checkpoint_at(p->ck, i);
        if (p->plan->used[rmr_checkpoint_index(p->ck, t)] || is_rope_table(t->name)) continue;
        if (!is_mtp(&p->m->shape, t->name))
            RMR_FAIL(p->err, REMORA_E_UNSUPPORTED, "%s: tensor %s is not part of model_type %s",
                     rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text,
                     p->m->shape.family);
        count_params(p, rmr_tensor_values(t), 1, 0);
    }
    return REMORA_OK;
}

static remora_status outside_layers(planner *p)
{
    remora_model *m = p->m;
    const rmr_shape *s = &m->shape;
    p->layer = UINT32_MAX;
    RMR_TRY(
        whole(p, &m->embed, RMR_USE_TABLE, "model.embed_tokens.weight", s->n_vocab, s->n_hidden));
    p->plan->n_params_active -= (uint64_t)s->n_vocab * s->n_hidden; /* one row of it is read */
    RMR_TRY(vector(p, &m->norm, "model.norm.weight", s->n_hidden));
    if (s->tied && rmr_checkpoint_find(p->ck, "lm_head.weight") == NULL) {
        RMR_TRY(matrix(p, &m->head, "model.embed_tokens.weight", s->n_vocab, s->n_hidden));
        p->plan->n_params -= (uint64_t)s->n_vocab * s->n_hidden;
        return REMORA_OK;
    }
    return matrix(p, &m->head, "lm_head.weight", s->n_vocab, s->n_hidden);
}

remora_status rmr_plan_make(remora_model *m, const rmr_checkpoint *ck, rmr_plan *plan,
                            remora_error *err)
{
    planner p = {m, &m->mem, ck, plan, 0, err};
    const rmr_shape *s = &m->shape;
    *plan = (rmr_plan){0};
    uint64_t n_stacks = 0;
    for (uint32_t i = 0; i < s->n_layers; i++)
        if (rmr_shape_is_moe(s, i)) n_stacks += 3 * (uint64_t)s->moe.n_experts;
    if (n_stacks > rmr_checkpoint_count(ck)) /* before anything is sized by it */
        RMR_FAIL(err, REMORA_E_FORMAT, "checkpoint: %llu tensors, config.json means at least %llu",
                 (unsigned long long)rmr_checkpoint_count(ck), (unsigned long long)n_stacks);
    RMR_TRY(
        rmr_grow(p.mem, &plan->used, &(size_t){0}, (size_t)rmr_checkpoint_count(ck) + 1, 1, err));
    memset(plan->used, 0, (size_t)rmr_checkpoint_count(ck) + 1);
    RMR_TRY(rmr_grow(p.mem, &plan->stacks, &plan->cap_stacks, (size_t)n_stacks,
                     sizeof *plan->stacks, err));
    for (p.layer = 0; p.layer < s->n_layers; p.layer++) {
        RMR_TRY(attention(&p, &m->layers[p.layer]));
        RMR_TRY(feed_forward(&p, &m->layers[p.layer]));
    }
    RMR_TRY(outside_layers(&p));
    return refuse_extra(&p);
}

void rmr_plan_free(rmr_mem *mem, const rmr_checkpoint *ck, rmr_plan *plan)
{
    rmr_free(mem, plan->used, (size_t)rmr_checkpoint_count(ck) + 1);
    rmr_free(mem, plan->items, plan->cap * sizeof *plan->items);
    rmr_free(mem, plan->stacks, plan->cap_stacks * sizeof *plan->stacks);
    *plan = (rmr_plan){0};
}
