/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing the planned weights to the backend. */
#include "load_weights.h"

#include "walk.h"

typedef struct loader {
    rmr_backend *be;
    rmr_origin *from;
} loader;

static remora_status make(const loader *l, const rmr_weight_plan *plan, remora_error *err)
{
    const rmr_backend_ops *ops = l->be->ops;
    if (plan->mapped_bytes > 0) RMR_TRY(l->from->format->hold(l->from, err));
    for (size_t i = 0; i < plan->n; i++) {
        const rmr_weight_plan_item *it = &plan->items[i];
        if (it->adopt)
            RMR_TRY(ops->weight_adopt(l->be, &it->desc, l->from->format->data(l->from, it),
                                      it->weight, err));
        else
            RMR_TRY(ops->weight_create(l->be, &it->desc, it->weight, err));
    }
    return REMORA_OK;
}

static remora_status fill(void *user, const rmr_weight_plan_item *it, const rmr_portion *p,
                          uint32_t worker, remora_error *err)
{
    const loader *l = user;
    const rmr_backend_ops *ops = l->be->ops;
    (void)worker;
    if (it->adopt) return REMORA_OK; /* it lies where it is used; reading it has checked it */
    if (l->from->format->laid_out)
        return ops->weight_fill(l->be, *it->weight, p->offset, p->bytes, p->data, err);
    return ops->weight_upload(l->be, *it->weight, p->index, p->row0, p->n, p->data, err);
}

static remora_status done(void *user, const rmr_weight_plan_item *it, remora_error *err)
{
    rmr_backend *be = ((const loader *)user)->be;
    return it->adopt ? REMORA_OK : be->ops->weight_done(be, *it->weight, err);
}

remora_status rmr_load_weights(rmr_weights *w, rmr_origin *from, const rmr_weight_plan *plan,
                               const rmr_job_host *host, remora_error *err)
{
    loader l = {w->be, from};
    const rmr_walk walk = {from, plan, fill, done, &l, "opening", *host};
    w->weight_bytes = plan->weight_bytes;
    w->mapped_bytes = plan->mapped_bytes;
    RMR_TRY(make(&l, plan, err));
    if (plan->mapped_bytes > 0 && from->format->mend_pages != NULL)
        w->pages = from->format->mend_pages(from);
    return rmr_walk_weights(&walk, err);
}

remora_status rmr_load_nothing(rmr_weights *w, rmr_origin *from, const rmr_weight_plan *plan,
                               remora_error *err)
{
    w->weight_bytes = plan->weight_bytes;
    w->mapped_bytes = plan->mapped_bytes;
    if (plan->mapped_bytes > 0) RMR_TRY(from->format->hold(from, err));
    for (size_t i = 0; i < plan->n; i++)
        RMR_TRY(w->be->ops->weight_adopt(w->be, &plan->items[i].desc, NULL, plan->items[i].weight,
                                         err));
    return REMORA_OK;
}
