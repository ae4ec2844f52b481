/* The tensors of a model, by name and shape (docs/models.md, "Tensors"), bound to its weights. */
#include "find_tensor.h"
#include "tile.h"

#include <stdio.h>
#include <string.h>

typedef struct planner {
    rmr_weights *to; /* items point into it */
    const rmr_shape *shape;
    rmr_backend *be;
    rmr_mem *mem;
    rmr_tensor_finder in; /* the checkpoint, or: */
    const rmr_pack *pack;
    rmr_weight_plan *plan;
    uint32_t layer;
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

/* "model.layers.<layer>.<part>", or the name itself outside the layers. */
static void full_name(const planner *p, char *buf, size_t cap, const char *part)
{
    if (p->layer == UINT32_MAX)
        snprintf(buf, cap, "%s", part);
    else
        snprintf(buf, cap, "model.layers.%u.%s", p->layer, part);
}

/* Parameters are counted once for each checkpoint tensor; `active` of `count` matrices take part in
 * a token. */
static void count_params(planner *p, uint64_t each, uint64_t count, uint64_t active)
{
    p->plan->n_params += each * count;
    p->plan->n_params_active += each * active;
}

static remora_status find(planner *p, const char *part, uint64_t rows, uint64_t cols, int vector,
                          rmr_found_tensor *out)
{
    char name[160];
    full_name(p, name, sizeof name, part);
    return rmr_find_tensor(&p->in, name, rows, cols, vector, out);
}

static remora_status add_piece(planner *p, const rmr_piece *piece)
{
    rmr_weight_plan *plan = p->plan;
    RMR_TRY(rmr_grow(p->mem, &plan->pieces, &plan->cap_pieces, plan->n_pieces + 1, sizeof *piece,
                     p->err));
    plan->pieces[plan->n_pieces++] = *piece;
    return REMORA_OK;
}

/* The item's pieces are in place. */
static remora_status add_item(planner *p, const rmr_weight_plan_item *item)
{
    const rmr_bytes bytes = p->be->ops->weight_bytes(p->be, &item->desc, item->adopt);
    RMR_ASSERT(item->weight != NULL && item->desc.count > 0 && item->desc.elem < RMR_ELEM_COUNT);
    RMR_ASSERT(p->pack != NULL || item->piece + item->desc.count == p->plan->n_pieces);
    RMR_TRY(rmr_grow(p->mem, &p->plan->items, &p->plan->cap, p->plan->n + 1, sizeof *item, p->err));
    if (!rmr_bytes_add(&p->plan->weight_bytes, bytes))
        RMR_FAIL(p->err, REMORA_E_FORMAT, "checkpoint: the sizes of all weights overflow");
    p->plan->items[p->plan->n++] = *item;
    return REMORA_OK;
}

static rmr_weight_desc desc_of(const planner *p, rmr_weight_use use, rmr_elem elem, uint32_t count,
                               uint64_t rows, uint64_t cols)
{
    return (rmr_weight_desc){use, elem, count, (uint32_t)rows, (uint32_t)cols, p->share};
}

static rmr_weight_plan_item item_of(const planner *p, rmr_weight **w, const char *part,
                                    const rmr_found_tensor *b)
{
    rmr_weight_plan_item it = {
        .weight = w, .coding = b->coding, .stored = b->elem, .piece = p->plan->n_pieces};
    full_name(p, it.name, sizeof it.name, part);
    return it;
}

/* An item whose bytes lie at `data` (NULL: they have to be read) is used there if the backend can.
 */
static void adopt_if_possible(planner *p, rmr_weight_plan_item *it, const void *data,
                              uint64_t bytes)
{
    it->adopt = data != NULL && p->be->ops->weight_adopts(p->be, &it->desc, data);
    if (it->adopt) p->plan->mapped_bytes += bytes;
}

static const void *table_data(const rmr_found_tensor *b)
{
    const rmr_tensor *t = b->piece.data;
    const unsigned char *data = rmr_file_data(t->file);
    return data != NULL && b->coding == RMR_CODING_PLAIN ? data + t->offset : NULL;
}

/* A weight of the pack: in its memory, or to be read. */
static remora_status packed(planner *p, rmr_weight **w, rmr_weight_use use, const char *part,
                            uint32_t count, uint64_t rows, uint64_t cols)
{
    rmr_weight_plan_item it = {.weight = w};
    full_name(p, it.name, sizeof it.name, part);
    const rmr_pack_tensor *t = rmr_pack_find(p->pack, it.name, use);
    const rmr_shown shown = rmr_show(rmr_pack_file(p->pack));
    const char *const file = shown.text;
    if (t == NULL)
        RMR_FAIL(p->err, REMORA_E_FORMAT, "%s: %s %s is missing", file, rmr_pack_use_name(use),
                 it.name);
    if (t->count != count || t->rows != rows || t->cols != cols)
        RMR_FAIL(p->err, REMORA_E_FORMAT,
                 "%s: %s is %u of [%u,%u], its config needs %u of [%llu,%llu]", file, it.name,
                 t->count, t->rows, t->cols, count, (unsigned long long)rows,
                 (unsigned long long)cols);
    p->plan->used[rmr_pack_index(p->pack, t)] = 1;
    it.packed = t;
    it.stored = t->elem;
    it.desc = desc_of(p, use, t->elem, t->count, t->rows, t->cols);
    adopt_if_possible(p, &it, rmr_pack_data(p->pack, t), t->bytes);
    return add_item(p, &it);
}

static remora_status whole(planner *p, rmr_weight **w, rmr_weight_use use, const char *part,
                           uint64_t rows, uint64_t cols)
{
    rmr_found_tensor b;
    if (p->pack != NULL) {
        count_params(p, rows * cols, 1, 1);
        return kept(p, packed(p, w, use, part, 1, rows, cols));
    }
    const remora_status st = find(p, part, rows, cols, use == RMR_USE_VECTOR, &b);
    if (st < 0) return kept(p, st);
    rmr_weight_plan_item it = item_of(p, w, part, &b);
    it.desc = desc_of(p, use, b.keep, 1, rows, cols);
    count_params(p, rows * cols, 1, 1);
    if (use == RMR_USE_TABLE) adopt_if_possible(p, &it, table_data(&b), b.piece.data->bytes);
    RMR_TRY(add_piece(p, &b.piece));
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

/* The type in which a view of kv_b_proj can be kept: pieces begin at any row and may be transposed,
 * which blocks of the stored type need not survive. */
static rmr_elem view_elem(const rmr_found_tensor *b, const rmr_mla *a, int transpose)
{
    const uint64_t head = (uint64_t)a->nope + a->v;
    if (b->elem < RMR_ELEM_PLAIN) return b->elem;
    if (b->keep != RMR_ELEM_F8) return transpose ? RMR_ELEM_F32 : b->keep;
    if (transpose) return head % RMR_F8_RUN == 0 ? RMR_ELEM_F8 : RMR_ELEM_F32;
    return head % RMR_TILE == 0 && a->nope % RMR_TILE == 0 ? RMR_ELEM_F8 : RMR_ELEM_F32;
}

static remora_status kv_view(planner *p, rmr_weight **w, const char *name,
                             const rmr_found_tensor *b, int transpose)
{
    const rmr_mla *a = &p->shape->mla;
    rmr_weight_plan_item it = item_of(p, w, name, b);
    it.transpose = transpose;
    it.desc = desc_of(p, RMR_USE_MATRIX, view_elem(b, a, transpose), a->heads,
                      transpose ? a->rank : a->v, transpose ? a->nope : a->rank);
    for (uint32_t h = 0; h < a->heads; h++) {
        rmr_piece piece = b->piece;
        piece.row0 = (uint64_t)h * (a->nope + a->v) + (transpose ? 0 : a->nope);
        RMR_TRY(add_piece(p, &piece));
    }
    return add_item(p, &it);
}

/* A tensor that holds matrices: `parts` for each of a weight's, whose own are number `part`. */
typedef struct stack_place {
    const char *tensor;
    uint32_t parts, part;
} stack_place;

/* `count` matrices in one tensor. */
static remora_status stacked(planner *p, rmr_weight **w, const char *part, stack_place at,
                             uint32_t count, uint32_t rows, uint32_t cols, uint32_t used)
{
    char name[160];
    rmr_found_tensor b;
    full_name(p, name, sizeof name, at.tensor);
    const remora_status st = rmr_find_tensor_stack(&p->in, name, count, at.parts, rows, cols, &b);
    if (st < 0) return kept(p, st);
    rmr_weight_plan_item it = item_of(p, w, part, &b);
    it.desc = desc_of(p, RMR_USE_MATRIX, b.keep, count, rows, cols);
    for (uint32_t i = 0; i < count; i++) {
        b.piece.row0 = ((uint64_t)i * at.parts + at.part) * rows;
        RMR_TRY(add_piece(p, &b.piece));
    }
    count_params(p, (uint64_t)rows * cols, count, used);
    return add_item(p, &it);
}

#define KV_B "self_attn.kv_b_proj"

/* Two views of kv_b_proj: W_UK transposed, and W_UV. New GGUF files have them as tensors, some
 * beside the old one (docs/models.md T20). */
static remora_status kv_views(planner *p, rmr_layer *l)
{
    const rmr_mla *a = &p->shape->mla;
    const uint64_t rows = (uint64_t)a->heads * (a->nope + a->v);
    char name[160];
    rmr_found_tensor b;
    if (p->pack != NULL) {
        count_params(p, rows * a->rank, 1, 1);
        RMR_TRY(kept(p, packed(p, &l->w[RMR_W_ABSORB], RMR_USE_MATRIX, KV_B ".absorb", a->heads,
                               a->rank, a->nope)));
        return kept(p, packed(p, &l->w[RMR_W_VALUE_UP], RMR_USE_MATRIX, KV_B ".value", a->heads,
                              a->v, a->rank));
    }
    full_name(p, name, sizeof name, KV_B ".absorb");
    if (p->in.names.naming == RMR_NAMING_GGUF && rmr_find_tensor_has(&p->in, name)) {
        full_name(p, name, sizeof name, KV_B);
        rmr_find_tensor_ignore(&p->in, name);
        const stack_place k = {KV_B ".absorb", 1, 0}, v = {KV_B ".value", 1, 0};
        RMR_TRY(stacked(p, &l->w[RMR_W_ABSORB], k.tensor, k, a->heads, a->rank, a->nope, a->heads));
        return stacked(p, &l->w[RMR_W_VALUE_UP], v.tensor, v, a->heads, a->v, a->rank, a->heads);
    }
    const remora_status st = find(p, KV_B, rows, a->rank, 0, &b);
    if (st < 0) return kept(p, st);
    count_params(p, rows * a->rank, 1, 1);
    RMR_TRY(kv_view(p, &l->w[RMR_W_ABSORB], KV_B ".absorb", &b, 1));
    return kv_view(p, &l->w[RMR_W_VALUE_UP], KV_B ".value", &b, 0);
}

/* Where all experts' matrices of a projection lie in one tensor: GGUF files have one for each,
 * transformers 5 has gate_proj and up_proj behind one another for each expert. 0: in none. */
static int find_stack(const planner *p, const char *proj, const char *part, stack_place *out)
{
    char name[160];
    *out = (stack_place){part, 1, 0};
    if (p->in.names.naming == RMR_NAMING_GGUF) return 1;
    full_name(p, name, sizeof name, "mlp.experts.gate_up_proj");
    if (!rmr_find_tensor_has(&p->in, name)) return 0;
    if (strcmp(proj, "down_proj") != 0)
        *out = (stack_place){"mlp.experts.gate_up_proj", 2, strcmp(proj, "up_proj") == 0};
    return 1;
}

#define EXPERTS "mlp.experts."

/* The experts' matrices of one projection ("mlp.experts.up_proj"); all of one type. */
static remora_status stack(planner *p, rmr_weight **w, const char *all, uint32_t rows,
                           uint32_t cols)
{
    const char *const proj = all + sizeof EXPERTS - 1;
    const rmr_moe *m = &p->shape->moe;
    char part[64];
    stack_place at;
    rmr_weight_plan_item it = {0};
    if (p->pack != NULL) {
        count_params(p, (uint64_t)rows * cols, m->n_experts, m->n_used);
        return kept(p, packed(p, w, RMR_USE_MATRIX, all, m->n_experts, rows, cols));
    }
    if (find_stack(p, proj, all, &at))
        return stacked(p, w, all, at, m->n_experts, rows, cols, m->n_used);
    for (uint32_t e = 0; e < m->n_experts; e++) {
        rmr_found_tensor b;
        snprintf(part, sizeof part, EXPERTS "%u.%s", e, proj);
        const remora_status st = find(p, part, rows, cols, 0, &b);
        if (st < 0) {
            RMR_TRY(kept(p, st));
            continue;
        }
        if (it.weight == NULL) {
            it = item_of(p, w, all, &b);
            it.desc = desc_of(p, RMR_USE_MATRIX, b.keep, m->n_experts, rows, cols);
        }
        if (b.coding != it.coding || b.elem != it.stored)
            RMR_TRY(kept(p, rmr_error_set(p->err, REMORA_E_UNSUPPORTED, 0,
                                          "%s: tensor %s has another dtype than expert 0's",
                                          rmr_show(rmr_file_name(b.piece.data->file)).text,
                                          rmr_show(b.piece.data->name).text)));
        RMR_TRY(add_piece(p, &b.piece));
    }
    if (it.weight == NULL) return REMORA_OK; /* none was found, which is kept */
    count_params(p, (uint64_t)rows * cols, m->n_experts, m->n_used);
    return add_item(p, &it);
}

/* One of the layer's weights. VALUE_UP is planned with ABSORB, for they are of one tensor. */
static remora_status weight(planner *p, rmr_layer *l, rmr_weight_id id)
{
    const rmr_weight_info *i = &rmr_weight_infos[id];
    const rmr_weight_size n = rmr_weight_size_of(p->shape, id);
    p->share = rmr_weight_share_of(p->shape, id);
    switch (i->form) {
    case RMR_WEIGHT_VECTOR: return vector(p, &l->w[id], i->name, n.cols);
    case RMR_WEIGHT_EXPERTS:
        return stack(p, &l->w[id], i->name, (uint32_t)n.rows, (uint32_t)n.cols);
    case RMR_WEIGHT_KV_ABSORB: return kv_views(p, l);
    case RMR_WEIGHT_KV_VALUE: return REMORA_OK;
    default: return matrix(p, &l->w[id], i->name, n.rows, n.cols);
    }
}

static remora_status plan_layer(planner *p, rmr_layer *l)
{
    for (int id = 0; id < RMR_W_COUNT; id++)
        if (rmr_weight_present(p->shape, p->layer, (rmr_weight_id)id))
            RMR_TRY(weight(p, l, (rmr_weight_id)id));
    return REMORA_OK;
}

static int ends_in(const char *name, const char *tail)
{
    const size_t n = strlen(name), t = strlen(tail);
    return n >= t && strcmp(name + n - t, tail) == 0;
}

/* What checkpoints hold beside weights and nothing here needs: the rope tables that old ones stored
 * and GGUF's divisors, which the shape has; the scales by which other engines round activations and
 * caches to 8 bits. */
static int is_no_weight(const char *name)
{
    static const char *const tails[] = {
        "rotary_emb.inv_freq", ".input_scale", ".output_scale", ".activation_scale",
        "_activation_scale",   ".k_scale",     ".v_scale",      ".q_scale",
        ".kv_scale",           ".prob_scale",
    };
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
        if (ends_in(name, tails[i])) return 1;
    return strcmp(name, "rope_freqs.weight") == 0;
}

/* A layer behind the last one predicts further tokens when it has the tensors that only such layers
 * have; config.json need not count it. Without them it is a layer that the configuration leaves
 * out. */
static int is_prediction_layer(const planner *p, unsigned layer)
{
    static const char *const only[] = {"eh_proj", "enorm", "hnorm", "shared_head.norm"};
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "model.layers.%u.%s", layer, only[i]);
        if (rmr_find_tensor_has(&p->in, name)) return 1;
    }
    return 0;
}

/* Of the multi-token prediction layers, which are not used yet: layers behind the last one, or
 * tensors under a name of their own. */
static int is_mtp(const planner *p, const char *name)
{
    const rmr_shape *s = p->shape;
    const char *body = NULL;
    unsigned layer = 0;
    char rest = 0;
    if (p->in.names.naming == RMR_NAMING_GGUF) {
        const long l = rmr_names_layer(name);
        return l >= (long)s->n_layers && l < (long)s->n_layers + (long)s->n_mtp;
    }
    body = rmr_names_body(&p->in.names, name);
    if (strncmp(name, "mtp.", 4) == 0 || (body != NULL && strncmp(body, "mtp.", 4) == 0)) return 1;
    if (body == NULL || sscanf(body, "layers.%5u%c", &layer, &rest) != 2 || rest != '.') return 0;
    return layer >= s->n_layers && is_prediction_layer(p, layer);
}

static remora_status no_part(const planner *p, const char *file, const char *name)
{
    return kept(p, rmr_error_set(p->err, REMORA_E_UNSUPPORTED, 0,
                                 "%s: tensor %s is not part of model_type %s", rmr_show(file).text,
                                 rmr_show(name).text, p->shape->family));
}

static remora_status refuse_extra_packed(planner *p)
{
    const rmr_shape *s = p->shape;
    for (uint32_t i = 0; i < rmr_pack_count(p->pack); i++) {
        const rmr_pack_tensor *t = rmr_pack_at(p->pack, i);
        unsigned layer = 0;
        if (p->plan->used[rmr_pack_index(p->pack, t)]) continue;
        if (sscanf(t->name, "model.layers.%5u.", &layer) != 1 || layer < s->n_layers ||
            layer >= s->n_layers + s->n_mtp)
            RMR_TRY(no_part(p, rmr_pack_file(p->pack), t->name));
        count_params(p, (uint64_t)t->rows * t->cols, t->count, 0);
    }
    return REMORA_OK;
}

static remora_status refuse_extra(planner *p)
{
    if (p->pack != NULL) return refuse_extra_packed(p);
    for (uint64_t i = 0; i < rmr_checkpoint_count(p->in.ck); i++) {
        const rmr_tensor *t = rmr_checkpoint_at(p->in.ck, i);
        if (p->plan->used[rmr_checkpoint_index(p->in.ck, t)] || is_no_weight(t->name)) continue;
        if (rmr_names_other_part(&p->in.names, t->name)) {
            if (p->plan->n_other++ == 0) p->plan->other = t->name;
            continue;
        }
        if (!is_mtp(p, t->name)) RMR_TRY(no_part(p, rmr_file_name(t->file), t->name));
        count_params(p, rmr_tensor_values(t), 1, 0);
    }
    return REMORA_OK;
}

static remora_status outside_layers(planner *p)
{
    rmr_weights *w = p->to;
    const rmr_shape *s = p->shape;
    p->layer = UINT32_MAX;
    p->share = (rmr_share){RMR_SHARE_NONE, 0};
    RMR_TRY(whole(p, &w->embed, RMR_USE_TABLE, "model.embed_tokens", s->n_vocab, s->n_hidden));
    p->plan->n_params_active -= (uint64_t)s->n_vocab * s->n_hidden; /* one row of it is read */
    RMR_TRY(vector(p, &w->norm, "model.norm", s->n_hidden));
    p->share = (rmr_share){RMR_SHARE_ROWS, 1};
    const int has_head = p->pack != NULL ? rmr_pack_find(p->pack, "lm_head", RMR_USE_MATRIX) != NULL
                                         : rmr_find_tensor_has(&p->in, "lm_head");
    if (s->tied && !has_head) {
        RMR_TRY(matrix(p, &w->head, "model.embed_tokens", s->n_vocab, s->n_hidden));
        p->plan->n_params -= (uint64_t)s->n_vocab * s->n_hidden;
        return REMORA_OK;
    }
    if (!has_head && p->pack == NULL) {
        char name[RMR_NAMES_MAX];
        rmr_names_full(&p->in.names, "lm_head", "weight", name, sizeof name);
        return kept(p, rmr_error_set(p->err, REMORA_E_FORMAT, 0,
                                     "checkpoint: tensor %s is missing, and tie_word_embeddings is "
                                     "false: a base model without its head gives no logits",
                                     name));
    }
    return matrix(p, &w->head, "lm_head", s->n_vocab, s->n_hidden);
}

static remora_status make(planner *p)
{
    const rmr_shape *s = p->shape;
    for (p->layer = 0; p->layer < s->n_layers; p->layer++)
        RMR_TRY(plan_layer(p, &p->to->layers[p->layer]));
    RMR_TRY(outside_layers(p));
    return refuse_extra(p);
}

remora_status rmr_weight_plan_make(rmr_weights *w, const rmr_shape *s, const rmr_checkpoint *ck,
                                   const rmr_pack *pack, rmr_refusals *keep, rmr_weight_plan *plan,
                                   remora_error *err)
{
    planner p = {.to = w,
                 .shape = s,
                 .be = w->be,
                 .mem = w->mem,
                 .in = {.ck = ck, .err = err},
                 .pack = pack,
                 .plan = plan,
                 .keep = keep,
                 .err = err};
    *plan = (rmr_weight_plan){0};
    const size_t n = pack != NULL ? rmr_pack_count(pack) : (size_t)rmr_checkpoint_count(ck);
    plan->used = rmr_calloc(p.mem, n, 1);
    if (plan->used == NULL) return rmr_error_nomem(err, "plan", n);
    plan->n_used = n;
    p.in.used = plan->used;
    if (ck != NULL) p.in.names = rmr_names_of(ck);
    if (keep != NULL) keep->by_layer = 1;
    const remora_status st = make(&p);
    if (keep != NULL) keep->by_layer = 0;
    return st;
}

void rmr_weight_plan_free(rmr_mem *mem, rmr_weight_plan *plan)
{
    rmr_free(mem, plan->used, plan->n_used);
    rmr_free(mem, plan->items, plan->cap * sizeof *plan->items);
    rmr_free(mem, plan->pieces, plan->cap_pieces * sizeof *plan->pieces);
    *plan = (rmr_weight_plan){0};
}
