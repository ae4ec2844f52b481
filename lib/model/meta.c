#include "meta.h"

#include <stdio.h>
#include <string.h>

remora_status rmr_meta_add(rmr_mem *mem, rmr_meta *meta, const char *key, const char *value,
                           remora_error *err)
{
    RMR_TRY(rmr_grow(mem, &meta->items, &meta->cap, meta->n + 1, sizeof *meta->items, err));
    rmr_meta_item it = {rmr_strdup(mem, key), rmr_strdup(mem, value)};
    if (it.key == NULL || it.value == NULL) {
        rmr_strfree(mem, it.key);
        rmr_strfree(mem, it.value);
        return rmr_error_nomem(err, "metadata", strlen(key) + strlen(value));
    }
    meta->items[meta->n++] = it;
    return REMORA_OK;
}

/* Doubles with the digits they were most likely written with, whatever the host's locale. */
static void number_text(char *buf, size_t cap, double x)
{
    for (int digits = 6; digits <= 17; digits += 1) {
        snprintf(buf, cap, "%.*g", digits, x);
        for (char *p = buf; *p != 0; p++)
            if (*p == ',') *p = '.';
        json_error_t why;
        json_t *back = json_loads(buf, JSON_DECODE_ANY, &why);
        const double y = json_number_value(back);
        json_decref(back);
        if (y == x) return;
    }
}

remora_status rmr_meta_add_json(rmr_mem *mem, rmr_meta *meta, const json_t *config,
                                remora_error *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)config, key, v)
    {
        char name[128], number[40];
        const char *text = number;
        if ((size_t)snprintf(name, sizeof name, "config.%s", key) >= sizeof name) continue;
        if (json_is_string(v))
            text = json_string_value(v);
        else if (json_is_integer(v))
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
        else if (json_is_real(v))
            number_text(number, sizeof number, json_real_value(v));
        else if (json_is_boolean(v))
            text = json_is_true(v) ? "true" : "false";
        else
            continue;
        RMR_TRY(rmr_meta_add(mem, meta, name, text, err));
    }
    return REMORA_OK;
}

void rmr_meta_free(rmr_mem *mem, rmr_meta *meta)
{
    for (size_t i = 0; i < meta->n; i++) {
        rmr_strfree(mem, meta->items[i].key);
        rmr_strfree(mem, meta->items[i].value);
    }
    rmr_free(mem, meta->items, meta->cap * sizeof *meta->items);
    *meta = (rmr_meta){0};
}
