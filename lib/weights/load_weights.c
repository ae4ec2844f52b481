/* Bringing the planned weights to the backend. */
#include "load_weights.h"

#include "walk_rows.h"

/* The embedding table stays where it lies when the source is memory or mapped: rows are looked up,
 * not multiplied. The file is opened once more so that its mapping outlives the checkpoint. */
static remora_status adopt_table(rmr_weights *w, rmr_source *src, rmr_weight_plan_item *it,
                                 const rmr_tensor *t, remora_error *err)
{
    RMR_TRY(rmr_file_open(src, rmr_file_name(t->file), &w->mapped, err));
    RMR_TRY(rmr_file_check(w->mapped, err));
    const unsigned char *data = rmr_file_data(w->mapped);
    if (data == NULL || rmr_file_size(w->mapped) < t->offset + t->bytes) {
        rmr_file_close(w->mapped); /* it could be mapped when it was planned: now it is read */
        w->mapped = NULL;
        it->adopt = 0;
        return w->be->ops->weight_create(w->be, &it->desc, it->weight, err);
    }
    w->mapped_bytes = t->bytes;
    return w->be->ops->weight_adopt(w->be, &it->desc, data + t->offset, it->weight, err);
}

static remora_status create_weights(rmr_weights *w, rmr_source *src, rmr_weight_plan *plan,
                                    remora_error *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        rmr_weight_plan_item *it = &plan->items[i];
        if (it->adopt)
            RMR_TRY(adopt_table(w, src, it, it->piece.data, err));
        else
            RMR_TRY(w->be->ops->weight_create(w->be, &it->desc, it->weight, err));
        (void)rmr_bytes_add(&w->weight_bytes, /* the plan's sum did not overflow */
                            w->be->ops->weight_bytes(w->be, &it->desc, it->adopt));
    }
    return REMORA_OK;
}

static remora_status upload(void *user, const rmr_weight_plan_item *it, uint32_t index,
                            uint32_t row0, uint32_t n, const void *rows, uint32_t worker,
                            remora_error *err)
{
    rmr_backend *be = ((rmr_weights *)user)->be;
    (void)worker;
    if (it->adopt) return REMORA_OK; /* it lies where it is used; reading it has checked it */
    return be->ops->weight_upload(be, *it->weight, index, row0, n, rows, err);
}

static remora_status done(void *user, const rmr_weight_plan_item *it, remora_error *err)
{
    rmr_backend *be = ((rmr_weights *)user)->be;
    return it->adopt ? REMORA_OK : be->ops->weight_done(be, *it->weight, err);
}

remora_status rmr_load_weights(rmr_weights *w, rmr_source *src, rmr_weight_plan *plan,
                               const rmr_job_host *host, remora_error *err)
{
    const rmr_walk walk = {w->mem, plan, upload, done, w, "opening", *host};
    RMR_TRY(create_weights(w, src, plan, err));
    return rmr_walk_rows(&walk, err);
}

remora_status rmr_load_nothing(rmr_weights *w, const rmr_weight_plan *plan, remora_error *err)
{
    w->weight_bytes = plan->weight_bytes;
    w->mapped_bytes = plan->mapped_bytes;
    for (size_t i = 0; i < plan->n; i++)
        RMR_TRY(w->be->ops->weight_adopt(w->be, &plan->items[i].desc, NULL, plan->items[i].weight,
                                         err));
    return REMORA_OK;
}
