#include "find_tensor.h"

#include <stdio.h>
#include <string.h>

#define WEIGHT "weight"

/* One weight that is looked for. */
typedef struct wanted {
    const rmr_tensor_finder *in;
    const char *name;
} wanted;

/* "<name>.<tail>", or NULL when there is no such tensor. In GGUF files a weight is one tensor. */
static const rmr_tensor *look(const wanted *w, const char *tail)
{
    char full[RMR_NAMES_MAX];
    if (w->in->names.naming == RMR_NAMING_GGUF && strcmp(tail, WEIGHT) != 0) return NULL;
    rmr_names_full(&w->in->names, w->name, tail, full, sizeof full);
    return rmr_checkpoint_find(w->in->ck, full);
}

/* "<name>.weight", or a name that is whole: a bias, a stack of experts. */
static const rmr_tensor *look_weight(const wanted *w)
{
    const rmr_tensor *t = look(w, WEIGHT);
    return t != NULL ? t : look(w, "");
}

static void use(const wanted *w, const rmr_tensor *t)
{
    w->in->used[rmr_checkpoint_index(w->in->ck, t)] = 1;
}

static remora_status wrong_shape(const wanted *w, const rmr_tensor *t, uint64_t rows, uint64_t cols)
{
    char have[96] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < t->n_dims && at + 24 < sizeof have; i++)
        at += (size_t)snprintf(have + at, sizeof have - at, "%s%llu", i > 0 ? "," : "",
                               (unsigned long long)t->dims[i]);
    RMR_FAIL(w->in->err, REMORA_E_FORMAT, "%s: tensor %s has shape [%s], %s [%llu,%llu]",
             rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text, have,
             w->in->names.naming == RMR_NAMING_GGUF ? "the file's keys mean" : "config.json means",
             (unsigned long long)rows, (unsigned long long)cols);
}

/* The tensor has shape [rows, cols], or [cols] as a vector; then it is used. */
static remora_status check_shape(const wanted *w, const rmr_tensor *t, uint64_t rows, uint64_t cols,
                                 int vector)
{
    const int fits = vector ? t->n_dims == 1 && t->dims[0] == cols
                            : t->n_dims == 2 && t->dims[0] == rows && t->dims[1] == cols;
    use(w, t);
    return fits ? REMORA_OK : wrong_shape(w, t, rows, cols);
}

static remora_status wrong_type(const wanted *w, const rmr_tensor *t, const char *want)
{
    RMR_FAIL(w->in->err, REMORA_E_UNSUPPORTED, "%s: tensor %s is %s; this build reads %s",
             rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text,
             rmr_dtype_name(t->dtype), want);
}

static remora_status missing(const wanted *w, const char *tail)
{
    char full[RMR_NAMES_MAX];
    const size_t n = strlen(w->name);
    const int is_bias = n > 4 && strcmp(w->name + n - 4, "bias") == 0;
    rmr_names_full(&w->in->names, w->name, is_bias ? "" : tail, full, sizeof full);
    RMR_FAIL(w->in->err, REMORA_E_FORMAT, "checkpoint: tensor %s is missing", full);
}

static remora_status whole_groups(const wanted *w, const rmr_tensor *t, uint64_t cols)
{
    if (cols % 32 == 0) return REMORA_OK;
    RMR_FAIL(w->in->err, REMORA_E_FORMAT, "%s: tensor %s has rows of %llu values, not groups of 32",
             rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text,
             (unsigned long long)cols);
}

static remora_status check_scale_type(const wanted *w, const rmr_tensor *s)
{
    if (s->dtype == RMR_DTYPE_F32 || s->dtype == RMR_DTYPE_BF16 || s->dtype == RMR_DTYPE_F16 ||
        s->dtype == RMR_DTYPE_F8_E8M0)
        return REMORA_OK;
    return wrong_type(w, s, "F32, BF16, F16 and F8_E8M0 scales");
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
static remora_status bind_f8(const wanted *w, const rmr_tensor *t, uint64_t rows, uint64_t cols,
                             rmr_found_tensor *out)
{
    const rmr_tensor *s = look_f8_scale(w);
    if (s == NULL) return missing(w, "weight_scale_inv");
    RMR_TRY(check_shape(w, t, rows, cols, 0));
    RMR_TRY(check_scale_type(w, s));
    const uint64_t n = rmr_tensor_values(s);
    const int column = s->n_dims == 1 || (s->n_dims == 2 && s->dims[1] == 1);
    *out = (rmr_found_tensor){{t, s, 0}, RMR_CODING_F8, RMR_ELEM_F8, RMR_ELEM_F8};
    if (n == 1 && s->n_dims <= 2) {
        out->coding = RMR_CODING_F8_ONE;
    } else if (n == rows && column) {
        out->coding = RMR_CODING_F8_ROWS;
        out->keep = RMR_ELEM_F32;
    } else {
        return check_shape(w, s, runs(rows), runs(cols), 0);
    }
    use(w, s);
    return REMORA_OK;
}

/* compressed-tensors pack-quantized, 4 bits in groups of 32: weight_packed [rows, cols / 8] of I32,
 * weight_scale [rows, cols / 32], weight_shape. */
static remora_status bind_i4(const wanted *w, const rmr_tensor *t, uint64_t rows, uint64_t cols,
                             rmr_found_tensor *out)
{
    const rmr_tensor *s = look(w, "weight_scale"), *shape = look(w, "weight_shape");
    if (s == NULL) return missing(w, "weight_scale");
    RMR_TRY(whole_groups(w, t, cols));
    RMR_TRY(check_shape(w, t, rows, cols / 8, 0));
    RMR_TRY(check_shape(w, s, rows, cols / 32, 0));
    if (s->dtype != RMR_DTYPE_BF16) return wrong_type(w, s, "BF16 scales of groups");
    if (shape != NULL) use(w, shape);
    *out = (rmr_found_tensor){{t, s, 0}, RMR_CODING_I4, RMR_ELEM_I4, RMR_ELEM_I4};
    return REMORA_OK;
}

/* MXFP4: two codes to a byte [rows, cols / 2], low nibble first, and a scale for 32 columns. */
static remora_status bind_mxfp4(const wanted *w, const rmr_tensor *t, uint64_t rows, uint64_t cols,
                                rmr_found_tensor *out)
{
    const rmr_tensor *s = look(w, "weight_scale");
    if (s == NULL) s = look(w, "scale");
    if (s == NULL) return missing(w, "weight_scale");
    if (s->dtype == RMR_DTYPE_F8_E4M3) return wrong_type(w, s, "MXFP4 (F8_E8M0), not NVFP4");
    RMR_TRY(whole_groups(w, t, cols));
    RMR_TRY(check_shape(w, t, rows, cols / 2, 0));
    RMR_TRY(check_shape(w, s, rows, cols / 32, 0));
    if (s->dtype != RMR_DTYPE_F8_E8M0 && s->dtype != RMR_DTYPE_U8)
        return wrong_type(w, s, "F8_E8M0 scales of groups");
    *out = (rmr_found_tensor){{t, s, 0}, RMR_CODING_MXFP4, RMR_ELEM_MXFP4, RMR_ELEM_MXFP4};
    return REMORA_OK;
}

/* Canonical rows as they lie there. Vectors are plain numbers. */
static remora_status bind_plain(const wanted *w, const rmr_tensor *t, int vector,
                                rmr_found_tensor *out)
{
    const rmr_elem e = rmr_dtype_elem(t->dtype);
    *out = (rmr_found_tensor){{t, NULL, 0}, RMR_CODING_PLAIN, e, e};
    if (e == RMR_ELEM_COUNT || (vector && e >= RMR_ELEM_PLAIN))
        return wrong_type(w, t, vector ? "BF16, F16 and F32 here" : "what docs/formats.md lists");
    return REMORA_OK;
}

remora_status rmr_find_tensor(const rmr_tensor_finder *binder, const char *name, uint64_t rows,
                              uint64_t cols, int vector, rmr_found_tensor *out)
{
    const wanted w = {binder, name};
    const rmr_tensor *t = look_weight(&w);
    if (t == NULL && !vector) {
        t = look(&w, "weight_packed");
        if (t != NULL && t->dtype == RMR_DTYPE_I32) return bind_i4(&w, t, rows, cols, out);
    }
    if (t == NULL) return missing(&w, WEIGHT);
    if (!vector) {
        if (t->dtype == RMR_DTYPE_F8_E4M3) return bind_f8(&w, t, rows, cols, out);
        if (t->dtype == RMR_DTYPE_U8 || t->dtype == RMR_DTYPE_I8)
            return bind_mxfp4(&w, t, rows, cols, out);
    }
    RMR_TRY(check_shape(&w, t, rows, cols, vector));
    return bind_plain(&w, t, vector, out);
}

/* FP8 matrices that are one tensor, [count, rows, cols]; their scales are "<name>_scale_inv",
 * [count, blocks of rows, blocks of cols]. Each begins with a block of its own when its rows are
 * whole blocks. */
static remora_status bind_f8_stack(const wanted *w, const rmr_tensor *t, uint64_t count,
                                   uint64_t rows, uint64_t cols, uint64_t part_rows,
                                   rmr_found_tensor *out)
{
    char name[RMR_NAMES_MAX];
    snprintf(name, sizeof name, "%s_scale_inv", w->name);
    const wanted scale = {w->in, name};
    const rmr_tensor *s = look(&scale, "");
    if (s == NULL) return missing(&scale, "");
    use(w, s);
    RMR_TRY(check_scale_type(w, s));
    if (s->n_dims != 3 || s->dims[0] != count || s->dims[1] != runs(rows) ||
        s->dims[2] != runs(cols))
        return wrong_shape(w, s, count * runs(rows), runs(cols));
    if (part_rows % RMR_F8_RUN != 0)
        RMR_FAIL(w->in->err, REMORA_E_UNSUPPORTED,
                 "%s: tensor %s is FP8 in matrices of %llu rows; supported are multiples of %d",
                 rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text,
                 (unsigned long long)part_rows, RMR_F8_RUN);
    *out = (rmr_found_tensor){{t, s, 0}, RMR_CODING_F8, RMR_ELEM_F8, RMR_ELEM_F8};
    return REMORA_OK;
}

remora_status rmr_find_tensor_stack(const rmr_tensor_finder *binder, const char *name,
                                    uint64_t count, uint64_t parts, uint64_t rows, uint64_t cols,
                                    rmr_found_tensor *out)
{
    const wanted w = {binder, name};
    const rmr_tensor *t = look_weight(&w);
    const uint64_t all = parts * rows;
    if (t == NULL) return missing(&w, WEIGHT);
    use(&w, t);
    const int fits = t->n_dims == 3
                         ? t->dims[0] == count && t->dims[1] == all && t->dims[2] == cols
                         : t->n_dims == 2 && t->dims[0] == count * all && t->dims[1] == cols;
    if (!fits) return wrong_shape(&w, t, count * all, cols);
    if (t->dtype == RMR_DTYPE_F8_E4M3) return bind_f8_stack(&w, t, count, all, cols, rows, out);
    return bind_plain(&w, t, 0, out);
}

int rmr_find_tensor_has(const rmr_tensor_finder *binder, const char *name)
{
    const wanted w = {binder, name};
    return look_weight(&w) != NULL;
}

void rmr_find_tensor_ignore(const rmr_tensor_finder *binder, const char *name)
{
    const wanted w = {binder, name};
    const rmr_tensor *t = look_weight(&w);
    if (t != NULL) use(&w, t);
}
