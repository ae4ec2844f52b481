#include "importance.h"

#include <string.h>

static const rmr_weight_plan_item *planned(const rmr_weight_plan *plan, rmr_weight *const *weight)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->items[i].weight == weight) return &plan->items[i];
    return NULL;
}

/* `like`: the item whose sums it shares, or UINT32_MAX. Weights that this model lacks are not
 * planned. */
static remora_status add(remora_model *m, const rmr_weight_plan *plan, rmr_weight *const *weight,
                         uint32_t like, remora_error *err)
{
    rmr_importance *x = &m->importance;
    const rmr_weight_plan_item *p = planned(plan, weight);
    if (p == NULL) return REMORA_OK;
    RMR_TRY(rmr_grow(&m->mem, &x->items, &x->cap, x->n + 1, sizeof *x->items, err));
    rmr_importance_item *it = &x->items[x->n++];
    *it = (rmr_importance_item){
        .weight = weight, .count = p->desc.count, .cols = p->desc.cols, .at = x->bytes};
    memcpy(it->name, p->name, sizeof it->name);
    if (like != UINT32_MAX)
        it->at = x->items[like].at;
    else if (!rmr_add_ok(x->bytes, rmr_sums_bytes(it->count, it->cols), &x->bytes))
        RMR_FAIL(err, REMORA_E_FORMAT, "checkpoint: the sums of all inputs overflow");
    return REMORA_OK;
}

static remora_status add_layer(remora_model *m, const rmr_weight_plan *plan, const rmr_layer *l,
                               remora_error *err)
{
    for (int id = 0; id < RMR_W_COUNT; id++) {
        const rmr_weight_sums sums = rmr_weight_infos[id].sums;
        if (sums == RMR_SUMS_NONE) continue;
        const uint32_t before = (uint32_t)m->importance.n - 1; /* of the weight before it */
        RMR_TRY(add(m, plan, &l->w[id], sums == RMR_SUMS_BEFORE ? before : UINT32_MAX, err));
    }
    return REMORA_OK;
}

remora_status rmr_importance_make(remora_model *m, const rmr_weight_plan *plan, remora_error *err)
{
    rmr_importance *x = &m->importance;
    for (uint32_t i = 0; i < m->shape.n_layers; i++)
        RMR_TRY(add_layer(m, plan, &m->layers[i], err));
    RMR_TRY(add(m, plan, &m->head, UINT32_MAX, err));
    if (!m->has_weights) return REMORA_OK;
    RMR_TRY(m->be->ops->buffer_create(m->be, x->bytes, &x->buffer, err));
    return m->be->ops->buffer_zero(m->be, x->buffer, 0, x->bytes, err);
}

void rmr_importance_free(remora_model *m)
{
    rmr_importance *x = &m->importance;
    m->be->ops->buffer_free(m->be, x->buffer);
    rmr_free(&m->mem, x->items, x->cap * sizeof *x->items);
}

uint64_t rmr_importance_bytes(const remora_model *m)
{
    return m->importance.n > 0 ? m->be->ops->buffer_bytes(m->be, m->importance.bytes) : 0;
}

rmr_sums rmr_importance_of(const remora_model *m, const rmr_weight *w)
{
    const rmr_importance *x = &m->importance;
    for (size_t i = 0; w != NULL && x->buffer != NULL && i < x->n; i++)
        if (*x->items[i].weight == w)
            return (rmr_sums){x->buffer, x->items[i].at, x->items[i].count, x->items[i].cols};
    return (rmr_sums){0};
}

const rmr_importance_item *rmr_importance_at(const remora_model *m, uint32_t i)
{
    const rmr_importance *x = &m->importance;
    return x->buffer != NULL && i < x->n ? &x->items[i] : NULL;
}
