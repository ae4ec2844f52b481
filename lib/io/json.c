#include "json.h"

#include <math.h>

remora_status rmr_json_parse(const char *file, const void *data, size_t size, json_t **out, remora_error *err)
{
    json_error_t why;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    *out = NULL;
    if (root == NULL) {
        if (json_error_code(&why) == json_error_out_of_memory) return rmr_error_nomem(err, file, size);
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: line %d, byte %d: %s", file, why.line, why.position, why.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: not a JSON object", file);
    }
    *out = root;
    return REMORA_OK;
}

static const json_t *field(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_null(v) ? NULL : v;
}

remora_status rmr_json_u32(const char *file, const json_t *obj, const char *key, uint32_t min, uint32_t max,
                           uint32_t fallback, uint32_t *out, remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = fallback;
    if (v == NULL) return REMORA_OK;
    if (!json_is_integer(v)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not an integer", file, key);
    const json_int_t i = json_integer_value(v);
    if (i < (json_int_t)min || i > (json_int_t)max)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is %lld, not in %u..%u", file, key, (long long)i, min, max);
    *out = (uint32_t)i;
    return REMORA_OK;
}

remora_status rmr_json_number(const char *file, const json_t *obj, const char *key, double fallback, double *out,
                              remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = fallback;
    if (v == NULL) return REMORA_OK;
    if (!json_is_number(v)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not a number", file, key);
    *out = json_number_value(v);
    if (!isfinite(*out)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not finite", file, key);
    return REMORA_OK;
}

remora_status rmr_json_bool(const char *file, const json_t *obj, const char *key, int fallback, int *out,
                            remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = fallback;
    if (v == NULL) return REMORA_OK;
    if (!json_is_boolean(v)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not true or false", file, key);
    *out = json_is_true(v);
    return REMORA_OK;
}

remora_status rmr_json_string(const char *file, const json_t *obj, const char *key, const char **out,
                              remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = NULL;
    if (v == NULL) return REMORA_OK;
    if (!json_is_string(v)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not a string", file, key);
    *out = json_string_value(v);
    return REMORA_OK;
}
