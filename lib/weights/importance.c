/* SPDX-License-Identifier: Apache-2.0 */
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
static remora_status add(rmr_importance *x, const rmr_weight_plan *plan, rmr_weight *const *weight,
                         uint32_t like, remora_error *err)
{
    const rmr_weight_plan_item *p = planned(plan, weight);
    if (p == NULL) return REMORA_OK;
    RMR_TRY(rmr_grow(x->mem, &x->items, &x->cap, x->n + 1, sizeof *x->items, err));
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

static remora_status add_layer(rmr_importance *x, const rmr_weight_plan *plan, const rmr_layer *l,
                               remora_error *err)
{
    for (int id = 0; id < RMR_W_COUNT; id++) {
        const rmr_weight_sums sums = rmr_weight_infos[id].sums;
        if (sums == RMR_SUMS_NONE) continue;
        const uint32_t before = (uint32_t)x->n - 1; /* of the weight before it */
        RMR_TRY(add(x, plan, &l->w[id], sums == RMR_SUMS_BEFORE ? before : UINT32_MAX, err));
    }
    return REMORA_OK;
}

remora_status rmr_importance_make(rmr_importance *x, const rmr_weights *w, uint32_t n_layers,
                                  const rmr_weight_plan *plan, int filled, remora_error *err)
{
    *x = (rmr_importance){.be = w->be, .mem = w->mem};
    for (uint32_t i = 0; i < n_layers; i++) RMR_TRY(add_layer(x, plan, &w->layers[i], err));
    RMR_TRY(add(x, plan, &w->head, UINT32_MAX, err));
    if (!filled) return REMORA_OK;
    RMR_TRY(x->be->ops->buffer_create(x->be, x->bytes, &x->buffer, err));
    return x->be->ops->buffer_zero(x->be, x->buffer, 0, x->bytes, err);
}

void rmr_importance_free(rmr_importance *x)
{
    if (x->be == NULL) return;
    x->be->ops->buffer_free(x->be, x->buffer);
    rmr_free(x->mem, x->items, x->cap * sizeof *x->items);
    *x = (rmr_importance){0};
}

rmr_bytes rmr_importance_bytes(const rmr_importance *x)
{
    return x->n > 0 ? x->be->ops->buffer_bytes(x->be, x->bytes) : (rmr_bytes){0};
}

rmr_sums rmr_importance_of(const rmr_importance *x, const rmr_weight *w)
{
    for (size_t i = 0; w != NULL && x->buffer != NULL && i < x->n; i++)
        if (*x->items[i].weight == w)
            return (rmr_sums){x->buffer, x->items[i].at, x->items[i].count, x->items[i].cols};
    return (rmr_sums){0};
}

const rmr_importance_item *rmr_importance_at(const rmr_importance *x, uint32_t i)
{
    return x->buffer != NULL && i < x->n ? &x->items[i] : NULL;
}
