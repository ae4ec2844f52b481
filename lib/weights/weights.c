/* SPDX-License-Identifier: Apache-2.0 */
#include "weights.h"

remora_status rmr_weights_make(rmr_weights *w, rmr_backend *be, rmr_mem *mem, uint32_t n_layers,
                               remora_error *err)
{
    *w = (rmr_weights){.be = be, .mem = mem, .n_layers = n_layers};
    w->layers = rmr_calloc(mem, n_layers, sizeof *w->layers);
    if (w->layers == NULL) return rmr_error_nomem(err, "layers", n_layers * sizeof *w->layers);
    return REMORA_OK;
}

remora_status rmr_weights_add_constants(rmr_weights *w, const rmr_shape *s, remora_error *err)
{
    const rmr_backend_ops *ops = w->be->ops;
    const rmr_weight_desc d = {RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, rmr_shape_rope(s) / 2, {0}};
    RMR_TRY(ops->weight_create(w->be, &d, &w->inv_freq, err));
    w->constant_bytes = ops->weight_bytes(w->be, &d, 0);
    RMR_TRY(ops->weight_upload(w->be, w->inv_freq, 0, 0, 1, s->inv_freq, err));
    return ops->weight_done(w->be, w->inv_freq, err);
}

void rmr_weights_free(rmr_weights *w)
{
    rmr_backend *be = w->be;
    if (be == NULL) return;
    for (uint32_t i = 0; w->layers != NULL && i < w->n_layers; i++)
        for (int id = 0; id < RMR_W_COUNT; id++) be->ops->weight_free(be, w->layers[i].w[id]);
    rmr_free(w->mem, w->layers, w->n_layers * sizeof *w->layers);
    be->ops->weight_free(be, w->embed);
    be->ops->weight_free(be, w->norm);
    be->ops->weight_free(be, w->head);
    be->ops->weight_free(be, w->inv_freq);
    *w = (rmr_weights){0};
}
