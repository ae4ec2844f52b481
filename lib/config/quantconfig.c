/* SPDX-License-Identifier: Apache-2.0 */
#include "quantconfig.h"

#include <string.h>

#include "quant.h"

/* Check a pair of sizes that must be the size of F8's blocks when it is there. */
static remora_status check_block(const char *file, const char *key, const json_t *size,
                                 remora_error *err)
{
    if (size == NULL || json_is_null(size)) return REMORA_OK;
    for (size_t i = 0; i < 2; i++)
        if (json_integer_value(json_array_get(size, i)) != RMR_F8_RUN)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "%s: quantization_config %s is not [%d, %d]; scales of one value and of one "
                     "for each row are supported too",
                     file, key, RMR_F8_RUN, RMR_F8_RUN);
    return REMORA_OK;
}

/* {fmt e4m3, weight_block_size [128, 128]}, DeepSeek's; without the size a scale is for a whole
 * matrix or for a row. */
static remora_status check_fp8(const char *file, const json_t *q, remora_error *err)
{
    const char *fmt;
    RMR_TRY(rmr_json_string(file, q, "fmt", &fmt, err));
    if (fmt != NULL && strcmp(fmt, "e4m3") != 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: quantization_config fmt is \"%.40s\"; supported is e4m3", file, fmt);
    return check_block(file, "weight_block_size", json_object_get(q, "weight_block_size"), err);
}

/* NVIDIA's ModelOpt. */
static remora_status check_modelopt(const char *file, const json_t *q, remora_error *err)
{
    static const char *const known[] = {"FP8", "FP8_PER_CHANNEL_PER_TOKEN"};
    const char *algo;
    RMR_TRY(rmr_json_string(file, q, "quant_algo", &algo, err));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (algo != NULL && strcmp(algo, known[i]) == 0) return REMORA_OK;
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "%s: quantization_config quant_algo is \"%.40s\" (known: FP8, "
             "FP8_PER_CHANNEL_PER_TOKEN)",
             file, algo != NULL ? algo : "");
}

static int is_text(const json_t *v, const char *text)
{
    const char *s = json_string_value(v);
    return s != NULL && strcmp(s, text) == 0;
}

/* compressed-tensors pack-quantized: symmetric INT4 in groups of 32. */
static remora_status check_int4(const char *file, const char *name, const json_t *w,
                                remora_error *err)
{
    if (json_integer_value(json_object_get(w, "num_bits")) == 4 &&
        json_integer_value(json_object_get(w, "group_size")) == 32 &&
        is_text(json_object_get(w, "type"), "int") && json_is_true(json_object_get(w, "symmetric")))
        return REMORA_OK;
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "%s: compressed-tensors %.40s is not symmetric INT4 in groups of 32", file, name);
}

/* compressed-tensors float-quantized and naive-quantized: FP8. */
static remora_status check_float8(const char *file, const char *name, const json_t *w,
                                  remora_error *err)
{
    static const char *const known[] = {"tensor", "channel", "block"};
    if (json_integer_value(json_object_get(w, "num_bits")) == 8 &&
        is_text(json_object_get(w, "type"), "float"))
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (is_text(json_object_get(w, "strategy"), known[i]))
                return check_block(file, "block_structure", json_object_get(w, "block_structure"),
                                   err);
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "%s: compressed-tensors %.40s is not FP8 with strategy tensor, channel or block", file,
             name);
}

static remora_status check_compressed(const char *file, const json_t *q, remora_error *err)
{
    const char *format, *name;
    json_t *group;
    RMR_TRY(rmr_json_string(file, q, "format", &format, err));
    const int packed = format != NULL && strcmp(format, "pack-quantized") == 0;
    if (!packed && (format == NULL || (strcmp(format, "float-quantized") != 0 &&
                                       strcmp(format, "naive-quantized") != 0)))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: compressed-tensors format is \"%.40s\" (known: pack-quantized, "
                 "float-quantized, naive-quantized)",
                 file, format != NULL ? format : "");
    json_object_foreach(json_object_get(q, "config_groups"), name, group)
    {
        const json_t *w = json_object_get(group, "weights");
        RMR_TRY(packed ? check_int4(file, name, w, err) : check_float8(file, name, w, err));
    }
    return REMORA_OK;
}

static remora_status check_nothing(const char *file, const json_t *q, remora_error *err)
{
    (void)file, (void)q, (void)err;
    return REMORA_OK;
}

remora_status rmr_quantconfig_check(const char *file, const json_t *config, remora_error *err)
{
    static const struct {
        const char *method;
        remora_status (*check)(const char *file, const json_t *q, remora_error *err);
    } known[] = {{"fp8", check_fp8},
                 {"fbgemm_fp8", check_nothing}, /* a scale for each row */
                 {"compressed-tensors", check_compressed},
                 {"modelopt", check_modelopt},
                 {"mxfp4", check_nothing}};
    const char *key = "quantization_config", *method;
    /* MLX says it here too, and gives no quant_method */
    if (json_is_integer(json_object_get(json_object_get(config, "quantization"), "bits")))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: quantization is MLX's, which is not read: take the model as it was released, "
                 "or as GGUF",
                 file);
    const json_t *q = json_object_get(config, key);
    if (q == NULL) q = json_object_get(config, key = "compression_config"); /* its older name */
    if (q == NULL || json_is_null(q)) return REMORA_OK;
    if (!json_is_object(q)) return rmr_json_wrong(file, key, q, "an object", err);
    RMR_TRY(rmr_json_string(file, q, "quant_method", &method, err));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (method != NULL && strcmp(method, known[i].method) == 0)
            return known[i].check(file, q, err);
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "%s: %s has quant_method \"%.40s\" (known: fp8, fbgemm_fp8, compressed-tensors, "
             "modelopt, mxfp4)",
             file, key, method != NULL ? method : "");
}
