/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a matrix in a folder: its tensor, the tensor of its scales, and the form they are in
 * (docs/formats.md, "How weights may be stored"). */
#include <stdio.h>
#include <string.h>

#include "hf.h"

#define WEIGHT "weight"
#define PACKED "weight_packed" /* instead of it, in groups of codes */

/* One weight that is looked for. */
typedef struct wanted {
    rmr_hf_origin *in;
    const char *name;
    rmr_weight_plan_item *it;
    remora_error *err;
} wanted;

/* "<name>.<tail>", or NULL when there is no such tensor. */
static const rmr_tensor *look(const wanted *w, const char *tail)
{
    char full[RMR_NAMES_MAX];
    rmr_hf_names_full(&w->in->names, w->name, tail, full, sizeof full);
    return rmr_checkpoint_find(w->in->tensors.ck, full);
}

/* "<name>.weight", or a name that is whole: a bias, a stack of experts. */
static const rmr_tensor *look_weight(const wanted *w)
{
    const rmr_tensor *t = look(w, WEIGHT);
    return t != NULL ? t : look(w, "");
}

static void use(const wanted *w, const rmr_tensor *t)
{
    rmr_checkpoint_origin_mark(&w->in->tensors, t);
}

static remora_status check_shape(const wanted *w, const rmr_tensor *t, uint64_t rows, uint64_t cols)
{
    return rmr_find_shape(&w->in->tensors, t, rows, cols, 0, w->err);
}

static remora_status missing(const wanted *w, const char *tail)
{
    char full[RMR_NAMES_MAX];
    rmr_hf_names_full(&w->in->names, w->name, tail, full, sizeof full);
    return rmr_find_missing("", full, w->err);
}

static remora_status missing_weight(const wanted *w)
{
    char full[RMR_NAMES_MAX];
    const size_t n = strlen(w->name);
    const int is_bias = n > 4 && strcmp(w->name + n - 4, "bias") == 0;
    rmr_hf_names_full(&w->in->names, w->name, is_bias ? "" : WEIGHT, full, sizeof full);
    return rmr_find_missing(w->name, full, w->err);
}

static remora_status whole_groups(const wanted *w, const rmr_tensor *t)
{
    if (w->it->desc.cols % 32 == 0) return REMORA_OK;
    RMR_FAIL(w->err, REMORA_E_FORMAT, "%s: tensor %s has rows of %u values, not groups of 32",
             rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text, w->it->desc.cols);
}

static remora_status check_scale_type(const wanted *w, const rmr_tensor *s)
{
    if (s->dtype == RMR_DTYPE_F32 || s->dtype == RMR_DTYPE_BF16 || s->dtype == RMR_DTYPE_F16 ||
        s->dtype == RMR_DTYPE_F8_E8M0)
        return REMORA_OK;
    return rmr_find_wrong_type(s, "F32, BF16, F16 and F8_E8M0 scales", w->err);
}

/* The scales of FP8 multiply, whatever they are called. */
static const rmr_tensor *look_f8_scale(const wanted *w)
{
    static const char *const tails[] = {"weight_scale_inv", "weight_scale", "scale"};
    const rmr_tensor *s = NULL;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0] && s == NULL; i++) s = look(w, tails[i]);
    return s;
}

static uint64_t runs(uint64_t n)
{
    return (n + RMR_F8_RUN - 1) / RMR_F8_RUN;
}

/* FP8 and its scales: one for each block of 128 x 128 (DeepSeek), for each row, or for all. Kernels
 * take 16 rows with one scale at a time, so the second kind is decoded. */
static remora_status find_f8(const wanted *w, const rmr_tensor *t)
{
    const uint64_t rows = w->it->desc.rows, cols = w->it->desc.cols;
    const rmr_tensor *s = look_f8_scale(w);
    if (s == NULL) return missing(w, "weight_scale_inv");
    RMR_TRY(check_shape(w, t, rows, cols));
    RMR_TRY(check_scale_type(w, s));
    const uint64_t n = rmr_tensor_values(s);
    const int column = s->n_dims == 1 || (s->n_dims == 2 && s->dims[1] == 1);
    if (n == 1 && s->n_dims <= 2) {
        rmr_find_set(w->it, t, s, RMR_CODING_F8_ONE, RMR_ELEM_F8, RMR_ELEM_F8);
    } else if (n == rows && column) {
        rmr_find_set(w->it, t, s, RMR_CODING_F8_ROWS, RMR_ELEM_F8, RMR_ELEM_F32);
    } else {
        rmr_find_set(w->it, t, s, RMR_CODING_F8, RMR_ELEM_F8, RMR_ELEM_F8);
        return check_shape(w, s, runs(rows), runs(cols));
    }
    use(w, s);
    return REMORA_OK;
}

/* compressed-tensors pack-quantized, 4 bits in groups of 32: weight_packed [rows, cols / 8] of I32,
 * weight_scale [rows, cols / 32], weight_shape. */
static remora_status find_i4(const wanted *w, const rmr_tensor *t)
{
    const rmr_weight_desc *d = &w->it->desc;
    const rmr_tensor *s = look(w, "weight_scale"), *shape = look(w, "weight_shape");
    if (s == NULL) return missing(w, "weight_scale");
    RMR_TRY(whole_groups(w, t));
    RMR_TRY(check_shape(w, t, d->rows, d->cols / 8));
    RMR_TRY(check_shape(w, s, d->rows, d->cols / 32));
    if (s->dtype != RMR_DTYPE_BF16) return rmr_find_wrong_type(s, "BF16 scales of groups", w->err);
    if (shape != NULL) use(w, shape);
    rmr_find_set(w->it, t, s, RMR_CODING_I4, RMR_ELEM_I4, RMR_ELEM_I4);
    return REMORA_OK;
}

/* MXFP4: two codes to a byte [rows, cols / 2], low nibble first, and a scale for 32 columns. */
static remora_status find_mxfp4(const wanted *w, const rmr_tensor *t)
{
    const rmr_weight_desc *d = &w->it->desc;
    const rmr_tensor *s = look(w, "weight_scale");
    if (s == NULL) s = look(w, "scale");
    if (s == NULL) return missing(w, "weight_scale");
    if (s->dtype == RMR_DTYPE_F8_E4M3)
        return rmr_find_wrong_type(s, "MXFP4 (F8_E8M0), not NVFP4", w->err);
    RMR_TRY(whole_groups(w, t));
    RMR_TRY(check_shape(w, t, d->rows, d->cols / 2));
    RMR_TRY(check_shape(w, s, d->rows, d->cols / 32));
    if (s->dtype != RMR_DTYPE_F8_E8M0 && s->dtype != RMR_DTYPE_U8)
        return rmr_find_wrong_type(s, "F8_E8M0 scales of groups", w->err);
    rmr_find_set(w->it, t, s, RMR_CODING_MXFP4, RMR_ELEM_MXFP4, RMR_ELEM_MXFP4);
    return REMORA_OK;
}

remora_status rmr_hf_find(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err)
{
    const wanted w = {(rmr_hf_origin *)o, it->name, it, err};
    const int vector = it->desc.use == RMR_USE_VECTOR;
    const rmr_tensor *t = look_weight(&w);
    if (t == NULL && !vector) {
        t = look(&w, PACKED);
        if (t != NULL && t->dtype == RMR_DTYPE_I32) return find_i4(&w, t);
    }
    if (t == NULL) return missing_weight(&w);
    if (!vector && t->dtype == RMR_DTYPE_F8_E4M3) return find_f8(&w, t);
    if (!vector && (t->dtype == RMR_DTYPE_U8 || t->dtype == RMR_DTYPE_I8)) return find_mxfp4(&w, t);
    return rmr_find_plain(&w.in->tensors, t, it, err);
}

/* ---- the experts of a layer in one tensor ---- */

/* FP8: [count, rows, cols]; the scales are "<tensor>_scale_inv", [count, blocks of rows, blocks of
 * cols]. Each matrix begins with a block of its own when its rows are whole blocks. */
static remora_status find_f8_stack(const wanted *w, const rmr_tensor *t, uint64_t rows)
{
    const rmr_weight_desc *d = &w->it->desc;
    char name[RMR_NAMES_MAX];
    snprintf(name, sizeof name, "%s_scale_inv", w->name);
    const wanted scale = {w->in, name, w->it, w->err};
    const rmr_tensor *s = look(&scale, "");
    if (s == NULL) return missing(&scale, "");
    use(w, s);
    RMR_TRY(check_scale_type(w, s));
    if (s->n_dims != 3 || s->dims[0] != d->count || s->dims[1] != runs(rows) ||
        s->dims[2] != runs(d->cols))
        return rmr_find_wrong_shape(&w->in->tensors, s, d->count * runs(rows), runs(d->cols),
                                    w->err);
    if (d->rows % RMR_F8_RUN != 0)
        RMR_FAIL(w->err, REMORA_E_UNSUPPORTED,
                 "%s: tensor %s is FP8 in matrices of %u rows; supported are multiples of %d",
                 rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text, d->rows,
                 RMR_F8_RUN);
    rmr_find_set(w->it, t, s, RMR_CODING_F8, RMR_ELEM_F8, RMR_ELEM_F8);
    return REMORA_OK;
}

/* The item's matrices are part `part` of the `parts` that each expert has in the tensor. */
static remora_status find_parts(const wanted *w, uint32_t parts, uint32_t part)
{
    rmr_weight_plan_item *it = w->it;
    const uint64_t rows = (uint64_t)parts * it->desc.rows;
    const rmr_tensor *t = look_weight(w);
    if (t == NULL) return missing_weight(w);
    RMR_TRY(rmr_find_stack_shape(&w->in->tensors, t, it->desc.count, rows, it->desc.cols, w->err));
    if (t->dtype == RMR_DTYPE_F8_E4M3)
        RMR_TRY(find_f8_stack(w, t, rows));
    else
        RMR_TRY(rmr_find_set_plain(t, it, w->err));
    it->first.row0 = (uint64_t)part * it->desc.rows;
    it->step = rows;
    return REMORA_OK;
}

/* transformers 5 has gate_proj and up_proj behind one another for each expert; others have a tensor
 * for each matrix. */
remora_status rmr_hf_find_stack(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err)
{
    char both[RMR_NAMES_MAX];
    const char *last = strrchr(it->name, '.');
    const int n = last != NULL ? (int)(last - it->name) : 0;
    snprintf(both, sizeof both, "%.*s.gate_up_proj", n, it->name);
    const wanted w = {(rmr_hf_origin *)o, both, it, err}, own = {w.in, it->name, it, err};
    if (look_weight(&w) == NULL) return REMORA_E_NOT_FOUND;
    if (strcmp(it->name + n, ".down_proj") == 0) return find_parts(&own, 1, 0);
    return find_parts(&w, 2, strcmp(it->name + n, ".up_proj") == 0);
}

int rmr_hf_has(rmr_origin *o, const char *name)
{
    const wanted w = {.in = (rmr_hf_origin *)o, .name = name};
    return look_weight(&w) != NULL || look(&w, PACKED) != NULL;
}
