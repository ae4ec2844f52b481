/* Bringing the planned weights to the backend. */
#include "load_weights.h"

#include "walk_rows.h"

/* The embedding table stays where it lies when the source is memory or mapped: rows are looked up,
 * not multiplied. The file is opened once more so that its mapping outlives the checkpoint. */
static remora_status adopt_table(remora_model *m, rmr_source *src, rmr_weight_plan_item *it,
                                 const rmr_tensor *t, remora_error *err)
{
    RMR_TRY(rmr_file_open(src, rmr_file_name(t->file), &m->mapped, err));
    RMR_TRY(rmr_file_check(m->mapped, err));
    const unsigned char *data = rmr_file_data(m->mapped);
    if (data == NULL || rmr_file_size(m->mapped) < t->offset + t->bytes) {
        rmr_file_close(m->mapped); /* it could be mapped when it was planned: now it is read */
        m->mapped = NULL;
        it->adopt = 0;
        return m->be->ops->weight_create(m->be, &it->desc, it->weight, err);
    }
    m->mapped_bytes = t->bytes;
    return m->be->ops->weight_adopt(m->be, &it->desc, data + t->offset, it->weight, err);
}

static remora_status create_weights(remora_model *m, rmr_source *src, rmr_weight_plan *plan,
                                    remora_error *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        rmr_weight_plan_item *it = &plan->items[i];
        if (it->adopt)
            RMR_TRY(adopt_table(m, src, it, plan->pieces[it->piece].data, err));
        else
            RMR_TRY(m->be->ops->weight_create(m->be, &it->desc, it->weight, err));
        if (!it->adopt) m->weight_bytes += m->be->ops->weight_bytes(m->be, &it->desc);
    }
    return REMORA_OK;
}

static remora_status upload(void *user, const rmr_weight_plan_item *it, uint32_t index,
                            uint32_t row0, uint32_t n, const void *rows, uint32_t worker,
                            remora_error *err)
{
    rmr_backend *be = ((remora_model *)user)->be;
    (void)worker;
    if (it->adopt) return REMORA_OK; /* it lies where it is used; reading it has checked it */
    return be->ops->weight_upload(be, *it->weight, index, row0, n, rows, err);
}

remora_status rmr_load_weights(remora_model *m, rmr_source *src, rmr_weight_plan *plan,
                               const remora_model_opts *opts, remora_error *err)
{
    const rmr_walk w = {
        &m->mem, plan,      upload,
        m,       "opening", {m->rt->ctx.pool, opts->cancel, opts->progress_user, opts->progress}};
    RMR_TRY(create_weights(m, src, plan, err));
    return rmr_walk_rows(&w, err);
}

remora_status rmr_load_nothing(remora_model *m, const rmr_weight_plan *plan, remora_error *err)
{
    for (size_t i = 0; i < plan->n; i++)
        RMR_TRY(m->be->ops->weight_adopt(m->be, &plan->items[i].desc, NULL, plan->items[i].weight,
                                         err));
    return REMORA_OK;
}
