/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of a model, by name and shape (docs/models.md, "Tensors"), and where they lie. */
#include "weight_plan.h"

#include <stdio.h>
#include <string.h>

#include "layout.h"

typedef struct planner {
    rmr_weights *to; /* items point into it */
    const rmr_shape *shape;
    rmr_origin *from;
    rmr_weight_plan *plan;
    uint32_t layer;
    int predicts; /* the layer does */
    rmr_share share; /* of the weight that is being planned */
    rmr_refusals *keep;
    remora_error *err;
} planner;

/* Reasons enough: a config.json may mean more tensors than anybody has. */
enum { ENOUGH = 1 << 17 };

static remora_status kept(const planner *p, remora_status st)
{
    return p->keep != NULL && p->keep->total >= ENOUGH ? st
                                                       : rmr_refusals_keep(p->keep, st, p->err);
}

/* Parameters are counted once for each checkpoint tensor; `active` of `count` matrices take part in
 * a token. */
static void count_params(planner *p, uint64_t each, uint64_t count, uint64_t active)
{
    p->plan->n_params += each * count;
    if (!p->predicts) p->plan->n_params_active += each * active;
}

/* `part` is behind "model.layers.<layer>.", or the whole name outside the layers. */
static void name_item(const planner *p, rmr_weight_plan_item *it, const char *part)
{
    if (p->layer == UINT32_MAX)
        snprintf(it->name, sizeof it->name, "%s", part);
    else
        snprintf(it->name, sizeof it->name, "model.layers.%u.%s", p->layer, part);
}

/* An item that is to be found: `count` matrices of that size. */
static remora_status begin_item(const planner *p, rmr_weight_plan_item *it, rmr_weight **w,
                                rmr_weight_use use, const char *part, uint32_t count,
                                rmr_weight_size n)
{
    *it = (rmr_weight_plan_item){.weight = w};
    name_item(p, it, part);
    if (n.rows > UINT32_MAX || n.cols > UINT32_MAX)
        RMR_FAIL(p->err, REMORA_E_FORMAT,
                 "%s: %s has [%llu,%llu] values; supported are 32 bits for each", p->from->file,
                 it->name, (unsigned long long)n.rows, (unsigned long long)n.cols);
    it->desc = (rmr_weight_desc){.use = use,
                                 .elem = RMR_ELEM_COUNT,
                                 .count = count,
                                 .rows = (uint32_t)n.rows,
                                 .cols = (uint32_t)n.cols,
                                 .share = p->share};
    return REMORA_OK;
}

/* Bytes of the weight where it lies, if the source has it in memory and the backend can use it
 * there; else 0. */
static uint64_t adopted_bytes(const planner *p, const rmr_weight_plan_item *it)
{
    rmr_backend *be = p->to->be;
    const rmr_weight_desc *d = &it->desc;
    const void *data = p->from->format->data(p->from, it);
    rmr_layout l;
    if (data == NULL || !be->ops->weight_adopts(be, d, data)) return 0;
    return rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l) ? l.bytes : 0;
}

/* The item has been found. */
static remora_status add_item(planner *p, rmr_weight_plan_item *it)
{
    rmr_weight_plan *plan = p->plan;
    rmr_backend *be = p->to->be;
    const uint64_t adopted = adopted_bytes(p, it);
    RMR_ASSERT(it->weight != NULL && it->desc.count > 0 && it->desc.elem < RMR_ELEM_COUNT);
    RMR_TRY(rmr_grow(p->to->mem, &plan->items, &plan->cap, plan->n + 1, sizeof *it, p->err));
    it->adopt = adopted > 0;
    if (!rmr_bytes_add(&plan->weight_bytes, be->ops->weight_bytes(be, &it->desc, it->adopt)))
        RMR_FAIL(p->err, REMORA_E_FORMAT, "checkpoint: the sizes of all weights overflow");
    plan->mapped_bytes += adopted;
    plan->items[plan->n++] = *it;
    return REMORA_OK;
}

static remora_status whole(planner *p, rmr_weight **w, rmr_weight_use use, const char *part,
                           rmr_weight_size n)
{
    rmr_weight_plan_item it;
    remora_status st = begin_item(p, &it, w, use, part, 1, n);
    if (st >= 0) st = p->from->format->find(p->from, &it, p->err);
    if (st < 0) return kept(p, st);
    count_params(p, n.rows * n.cols, 1, 1);
    return add_item(p, &it);
}

/* ---- stacks of matrices ---- */

/* Find the item's matrices each by itself; *found is how many there are. All have to be of one
 * type. */
static remora_status find_each(planner *p, rmr_weight_plan_item *it, uint32_t *found)
{
    const rmr_weight_desc d = it->desc;
    const char *last = strrchr(it->name, '.');
    const int n = last != NULL ? (int)(last - it->name) : 0;
    for (uint32_t i = 0; i < d.count; i++) {
        rmr_weight_plan_item one = {.desc = d};
        one.desc.count = 1;
        snprintf(one.name, sizeof one.name, "%.*s.%u%s", n, it->name, i, it->name + n);
        const remora_status st = p->from->format->find(p->from, &one, p->err);
        if (st < 0) {
            RMR_TRY(kept(p, st));
            continue;
        }
        if ((*found)++ == 0) {
            it->coding = one.coding;
            it->stored = one.stored;
            it->desc.elem = one.desc.elem;
        }
        if (one.coding != it->coding || one.stored != it->stored)
            RMR_TRY(kept(p, rmr_error_set(p->err, REMORA_E_UNSUPPORTED, 0,
                                          "%s: tensor %s has another dtype than expert 0's",
                                          rmr_show(rmr_file_name(one.first.data->file)).text,
                                          rmr_show(one.first.data->name).text)));
        it->each[i] = one.first;
    }
    return REMORA_OK;
}

static void free_item(rmr_mem *mem, rmr_weight_plan_item *it)
{
    if (it->each != NULL) rmr_free(mem, it->each, it->desc.count * sizeof *it->each);
    it->each = NULL;
}

/* Matrices that are weights of their own; where none was found, which is kept, there is no item. */
static remora_status one_by_one(planner *p, rmr_weight_plan_item *it, uint32_t used)
{
    rmr_mem *mem = p->to->mem;
    const rmr_weight_desc *d = &it->desc;
    uint32_t found = 0;
    it->each = rmr_calloc(mem, d->count, sizeof *it->each);
    if (it->each == NULL) return rmr_error_nomem(p->err, "plan", d->count * sizeof *it->each);
    remora_status st = find_each(p, it, &found);
    if (st >= 0 && found > 0) {
        count_params(p, (uint64_t)d->rows * d->cols, d->count, used);
        st = add_item(p, it);
        if (st >= 0) return st;
    }
    free_item(mem, it);
    return st;
}

/* `used` of the `count` matrices take part in a token. */
static remora_status stack(planner *p, rmr_weight **w, const char *part, uint32_t count,
                           uint32_t used, rmr_weight_size n)
{
    const rmr_format *f = p->from->format;
    rmr_weight_plan_item it;
    remora_status st = begin_item(p, &it, w, RMR_USE_MATRIX, part, count, n);
    if (st < 0) return kept(p, st);
    st = f->find_stack != NULL ? f->find_stack(p->from, &it, p->err) : REMORA_E_NOT_FOUND;
    if (st == REMORA_E_NOT_FOUND) return one_by_one(p, &it, used);
    if (st < 0) return kept(p, st);
    count_params(p, n.rows * n.cols, count, used);
    return add_item(p, &it);
}

/* ---- the halves of kv_b_proj ---- */

/* The type in which a half of kv_b_proj can be kept: its matrices begin at any row and may be
 * transposed, which blocks of the stored type need not survive. */
static rmr_elem half_elem(const rmr_weight_plan_item *whole, const rmr_mla *a, int transpose)
{
    const uint64_t head = (uint64_t)a->nope + a->v;
    if (whole->stored < RMR_ELEM_PLAIN) return whole->stored;
    if (whole->desc.elem != RMR_ELEM_F8) return transpose ? RMR_ELEM_F32 : whole->desc.elem;
    if (transpose) return head % RMR_F8_RUN == 0 ? RMR_ELEM_F8 : RMR_ELEM_F32;
    return head % RMR_TILE == 0 && a->nope % RMR_TILE == 0 ? RMR_ELEM_F8 : RMR_ELEM_F32;
}

/* In each head's rows of kv_b_proj, W_UK comes first, and is kept transposed. */
static remora_status half(planner *p, rmr_weight **w, rmr_weight_id id,
                          const rmr_weight_plan_item *whole)
{
    const rmr_mla *a = &p->shape->mla;
    const rmr_weight_size n = rmr_weight_size_of(p->shape, id);
    const int transpose = id == RMR_W_ABSORB;
    rmr_weight_plan_item it = *whole;
    name_item(p, &it, rmr_weight_infos[id].name);
    it.weight = w;
    it.transpose = transpose;
    it.desc = (rmr_weight_desc){RMR_USE_MATRIX,   half_elem(whole, a, transpose),
                                a->heads,         (uint32_t)n.rows,
                                (uint32_t)n.cols, p->share};
    it.first.row0 += transpose ? 0 : a->nope;
    it.step = (uint64_t)a->nope + a->v;
    return add_item(p, &it);
}

/* W_UK and W_UV, which some files have as weights of their own (docs/models.md T20). */
static remora_status kv_halves(planner *p, rmr_layer *l)
{
    const rmr_format *f = p->from->format;
    const uint32_t heads = p->shape->mla.heads;
    const rmr_weight_size k = rmr_weight_size_of(p->shape, RMR_W_ABSORB),
                          v = rmr_weight_size_of(p->shape, RMR_W_VALUE_UP),
                          n = {heads * (k.cols + v.rows), v.cols};
    rmr_weight_plan_item it;
    remora_status st = begin_item(p, &it, NULL, RMR_USE_MATRIX, RMR_KV_B, 1, n);
    if (st >= 0 && f->has_halves != NULL && f->has_halves(p->from, it.name)) {
        RMR_TRY(stack(p, &l->w[RMR_W_ABSORB], RMR_KV_B ".absorb", heads, heads, k));
        return stack(p, &l->w[RMR_W_VALUE_UP], RMR_KV_B ".value", heads, heads, v);
    }
    if (st >= 0) st = f->find(p->from, &it, p->err);
    if (st < 0) return kept(p, st);
    count_params(p, n.rows * n.cols, 1, 1);
    RMR_TRY(half(p, &l->w[RMR_W_ABSORB], RMR_W_ABSORB, &it));
    return half(p, &l->w[RMR_W_VALUE_UP], RMR_W_VALUE_UP, &it);
}

/* ---- all weights ---- */

/* One of the layer's weights. VALUE_UP is planned with ABSORB, for they are of one tensor. */
static remora_status weight(planner *p, rmr_layer *l, rmr_weight_id id)
{
    const rmr_weight_info *i = &rmr_weight_infos[id];
    const rmr_weight_size n = rmr_weight_size_of(p->shape, id);
    const rmr_moe *m = &p->shape->moe;
    p->share = rmr_weight_share_of(p->shape, id);
    switch (i->form) {
    case RMR_WEIGHT_VECTOR: return whole(p, &l->w[id], RMR_USE_VECTOR, i->name, n);
    case RMR_WEIGHT_EXPERTS: return stack(p, &l->w[id], i->name, m->n_experts, m->n_used, n);
    case RMR_WEIGHT_KV_ABSORB: return kv_halves(p, l);
    case RMR_WEIGHT_KV_VALUE: return REMORA_OK;
    default: return whole(p, &l->w[id], RMR_USE_MATRIX, i->name, n);
    }
}

static remora_status plan_layer(planner *p, rmr_layer *l)
{
    for (int id = 0; id < RMR_W_COUNT; id++)
        if (rmr_weight_present(p->shape, p->layer, (rmr_weight_id)id))
            RMR_TRY(weight(p, l, (rmr_weight_id)id));
    return REMORA_OK;
}

/* The embedding and a head that is the embedding are two weights of one tensor: one is a table. */
static remora_status outside_layers(planner *p)
{
    rmr_weights *w = p->to;
    const rmr_shape *s = p->shape;
    const rmr_weight_size n = {s->n_vocab, s->n_hidden}, norm = {1, s->n_hidden};
    p->layer = UINT32_MAX;
    p->share = (rmr_share){RMR_SHARE_NONE, 0};
    RMR_TRY(whole(p, &w->embed, RMR_USE_TABLE, "model.embed_tokens", n));
    p->plan->n_params_active -= n.rows * n.cols; /* one row of it is read */
    RMR_TRY(whole(p, &w->norm, RMR_USE_VECTOR, "model.norm", norm));
    p->share = (rmr_share){RMR_SHARE_ROWS, 1};
    if (!s->tied || p->from->format->has(p->from, "lm_head"))
        return whole(p, &w->head, RMR_USE_MATRIX, "lm_head", n);
    RMR_TRY(whole(p, &w->head, RMR_USE_MATRIX, "model.embed_tokens", n));
    p->plan->n_params -= n.rows * n.cols;
    return REMORA_OK;
}

/* Tensors that are of no weight. */
static remora_status refuse_extra(planner *p)
{
    rmr_listed_tensor t;
    for (uint64_t i = 0; p->from->format->tensor(p->from, p->shape, i, &t); i++) {
        if (t.role == RMR_TENSOR_USED) continue;
        if (t.role == RMR_TENSOR_OTHER_PART) {
            if (p->plan->n_other++ == 0) p->plan->other = t.name;
            continue;
        }
        if (t.role == RMR_TENSOR_EXTRA)
            RMR_TRY(kept(p, rmr_error_set(p->err, REMORA_E_UNSUPPORTED, 0,
                                          "%s: tensor %s is not part of model_type %s",
                                          rmr_show(t.file).text, rmr_show(t.name).text,
                                          p->shape->family)));
        count_params(p, t.n_params, 1, 0);
    }
    return REMORA_OK;
}

static remora_status make(planner *p)
{
    for (p->layer = 0; p->layer < p->shape->n_layers; p->layer++)
        RMR_TRY(plan_layer(p, &p->to->layers[p->layer]));
    RMR_TRY(outside_layers(p));
    p->plan->n_main = p->plan->n;
    p->predicts = 1;
    for (p->layer = p->shape->n_layers; p->layer < rmr_shape_all_layers(p->shape); p->layer++)
        RMR_TRY(plan_layer(p, &p->to->layers[p->layer]));
    return refuse_extra(p);
}

remora_status rmr_weight_plan_make(rmr_weights *w, const rmr_shape *s, rmr_origin *from,
                                   rmr_refusals *keep, rmr_weight_plan *plan, remora_error *err)
{
    planner p = {.to = w, .shape = s, .from = from, .plan = plan, .keep = keep, .err = err};
    *plan = (rmr_weight_plan){0};
    if (keep != NULL) keep->by_layer = 1;
    const remora_status st = make(&p);
    if (keep != NULL) keep->by_layer = 0;
    return st;
}

void rmr_weight_plan_free(rmr_mem *mem, rmr_weight_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) free_item(mem, &plan->items[i]);
    rmr_free(mem, plan->items, plan->cap * sizeof *plan->items);
    *plan = (rmr_weight_plan){0};
}
