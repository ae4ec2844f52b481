/* SPDX-License-Identifier: Apache-2.0 */
#include "find_tensor.h"

#include <stdio.h>
#include <string.h>

remora_status rmr_find_missing(const char *name, const char *full, remora_error *err)
{
    if (strcmp(name, "lm_head") == 0)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "checkpoint: tensor %s is missing, and tie_word_embeddings is false: a base model "
                 "without its head gives no logits",
                 full);
    RMR_FAIL(err, REMORA_E_FORMAT, "checkpoint: tensor %s is missing", full);
}

remora_status rmr_find_wrong_shape(const rmr_checkpoint_origin *c, const rmr_tensor *t,
                                   uint64_t rows, uint64_t cols, remora_error *err)
{
    char have[96] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < t->n_dims && at + 24 < sizeof have; i++)
        at += (size_t)snprintf(have + at, sizeof have - at, "%s%llu", i > 0 ? "," : "",
                               (unsigned long long)t->dims[i]);
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has shape [%s], %s [%llu,%llu]",
             rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text, have, c->means,
             (unsigned long long)rows, (unsigned long long)cols);
}

remora_status rmr_find_wrong_type(const rmr_tensor *t, const char *want, remora_error *err)
{
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: tensor %s is %s; this build reads %s",
             rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text,
             rmr_dtype_name(t->dtype), want);
}

remora_status rmr_find_shape(rmr_checkpoint_origin *c, const rmr_tensor *t, uint64_t rows,
                             uint64_t cols, int vector, remora_error *err)
{
    const int fits = vector ? t->n_dims == 1 && t->dims[0] == cols
                            : t->n_dims == 2 && t->dims[0] == rows && t->dims[1] == cols;
    rmr_checkpoint_origin_mark(c, t);
    return fits ? REMORA_OK : rmr_find_wrong_shape(c, t, rows, cols, err);
}

void rmr_find_set(rmr_weight_plan_item *it, const rmr_tensor *t, const rmr_tensor *s,
                  rmr_coding coding, rmr_elem elem, rmr_elem keep)
{
    it->coding = coding;
    it->stored = elem;
    it->desc.elem = keep;
    it->first = (rmr_matrix){t, s, 0};
    it->step = it->desc.rows;
}

remora_status rmr_find_set_plain(const rmr_tensor *t, rmr_weight_plan_item *it, remora_error *err)
{
    const int vector = it->desc.use == RMR_USE_VECTOR;
    const rmr_elem e = rmr_dtype_elem(t->dtype);
    if (e == RMR_ELEM_COUNT || (vector && e >= RMR_ELEM_PLAIN))
        return rmr_find_wrong_type(
            t, vector ? "BF16, F16 and F32 here" : "what docs/formats.md lists", err);
    rmr_find_set(it, t, NULL, RMR_CODING_PLAIN, e, e);
    return REMORA_OK;
}

remora_status rmr_find_plain(rmr_checkpoint_origin *c, const rmr_tensor *t,
                             rmr_weight_plan_item *it, remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    RMR_TRY(rmr_find_shape(c, t, d->rows, d->cols, d->use == RMR_USE_VECTOR, err));
    return rmr_find_set_plain(t, it, err);
}

remora_status rmr_find_stack_shape(rmr_checkpoint_origin *c, const rmr_tensor *t, uint64_t count,
                                   uint64_t rows, uint64_t cols, remora_error *err)
{
    const int fits = t->n_dims == 3
                         ? t->dims[0] == count && t->dims[1] == rows && t->dims[2] == cols
                         : t->n_dims == 2 && t->dims[0] == count * rows && t->dims[1] == cols;
    rmr_checkpoint_origin_mark(c, t);
    return fits ? REMORA_OK : rmr_find_wrong_shape(c, t, count * rows, cols, err);
}
