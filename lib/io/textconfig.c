/* SPDX-License-Identifier: Apache-2.0 */
#include "textconfig.h"

/* Keys of the text model's object: of Kimi-K2.5, Llava and most others; of DeepSeek-VL2; of
 * InternVL. */
static const char *const keys[] = {"text_config", "language_config", "llm_config"};

/* Fields of the text model that some files have outside of its configuration. */
static const char *const around[] = {"quantization_config", "compression_config", "quantization",
                                     "tie_word_embeddings", "bos_token_id",       "eos_token_id",
                                     "pad_token_id"};

/* Copy a field that is there. 0, or -1 where memory runs out. */
static int take(json_t *to, const json_t *from, const char *name)
{
    json_t *v = json_object_get(from, name);
    return v == NULL || json_is_null(v) ? 0 : json_object_set(to, name, v);
}

remora_status rmr_textconfig(const char *file, json_t **config, const char **key, remora_error *err)
{
    const json_t *text = NULL;
    int failed = 0;
    *key = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && text == NULL; i++) {
        text = json_object_get(*config, keys[i]);
        if (json_is_null(text)) text = NULL;
        *key = text != NULL ? keys[i] : NULL;
    }
    if (text == NULL) return REMORA_OK;
    if (!json_is_object(text))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not an object", file, *key);
    json_t *out = json_copy((json_t *)(uintptr_t)text);
    if (out == NULL) return rmr_error_nomem(err, file, 0);
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        const json_t *own = json_object_get(out, around[i]);
        if (own == NULL || json_is_null(own)) failed |= take(out, *config, around[i]);
    }
    failed |= take(out, *config, "_name_or_path"); /* the inner one is the text model's ancestor */
    json_decref(*config);
    *config = out;
    return failed ? rmr_error_nomem(err, file, 0) : REMORA_OK;
}
