/* SPDX-License-Identifier: Apache-2.0 */
#include "metadata.h"

#include <stdio.h>
#include <string.h>

#include "fpenv.h"
#include "json.h"

remora_status rmr_metadata_add(rmr_mem *mem, rmr_metadata *meta, const char *key, const char *value,
                               remora_error *err)
{
    RMR_TRY(rmr_grow(mem, &meta->items, &meta->cap, meta->n + 1, sizeof *meta->items, err));
    rmr_metadata_item it = {rmr_strdup(mem, key), rmr_strdup(mem, value)};
    if (it.key == NULL || it.value == NULL) {
        rmr_strfree(mem, it.key);
        rmr_strfree(mem, it.value);
        return rmr_error_nomem(err, "metadata", strlen(key) + strlen(value));
    }
    meta->items[meta->n++] = it;
    return REMORA_OK;
}

remora_status rmr_metadata_add_json(rmr_mem *mem, rmr_metadata *meta, const char *group,
                                    const json_t *object, remora_error *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v)
    {
        char name[128], number[40];
        const char *text = number;
        if ((size_t)snprintf(name, sizeof name, "%s.%s", group, key) >= sizeof name) continue;
        if (json_is_string(v) && !rmr_json_is_odd(v))
            text = json_string_value(v);
        else if (json_is_number(v))
            rmr_json_number_text(number, sizeof number, v);
        else if (json_is_boolean(v))
            text = json_is_true(v) ? "true" : "false";
        else
            continue;
        RMR_TRY(rmr_metadata_add(mem, meta, name, text, err));
    }
    return REMORA_OK;
}

remora_status rmr_metadata_add_template(rmr_mem *mem, rmr_metadata *meta, const char *name,
                                        const char *text, remora_error *err)
{
    char key[128] = "chat_template";
    const int is_named = name != NULL && name[0] != 0 && strcmp(name, "default") != 0;
    if (is_named && (size_t)snprintf(key, sizeof key, "chat_template.%s", name) >= sizeof key)
        return REMORA_OK;
    if (rmr_metadata_find(meta, key) != NULL) return REMORA_OK; /* the first one counts */
    return rmr_metadata_add(mem, meta, key, text, err);
}

/* "tokenizer.chat_template", and ".<name>" behind it. */
static remora_status gguf_template(rmr_mem *mem, rmr_metadata *meta, const char *key,
                                   const char *text, remora_error *err)
{
    static const char prefix[] = "gguf.tokenizer.chat_template";
    const char *name = key + sizeof prefix - 1;
    if (strncmp(key, prefix, sizeof prefix - 1) != 0 || (name[0] != 0 && name[0] != '.'))
        return REMORA_OK;
    return rmr_metadata_add_template(mem, meta, name[0] == '.' ? name + 1 : NULL, text, err);
}

static void gguf_number(const rmr_gguf_item *it, char *buf, size_t cap)
{
    if (it->type == RMR_GGUF_BOOL) {
        snprintf(buf, cap, "%s", it->number != 0 ? "true" : "false");
    } else if (it->type == RMR_GGUF_F32 || it->type == RMR_GGUF_F64) {
        const rmr_fpenv own = rmr_fpenv_enter();
        json_t *v = json_real(it->number);
        rmr_json_number_text(buf, cap, v);
        json_decref(v);
        rmr_fpenv_leave(own);
    } else if (rmr_gguf_is_signed(it->type)) {
        snprintf(buf, cap, "%lld", (long long)it->integer);
    } else {
        snprintf(buf, cap, "%llu", (unsigned long long)it->integer);
    }
}

remora_status rmr_metadata_add_gguf(rmr_mem *mem, rmr_metadata *meta, const rmr_gguf *g,
                                    remora_error *err)
{
    for (size_t i = 0; i < rmr_gguf_count(g); i++) {
        const rmr_gguf_item it = rmr_gguf_at(g, i);
        char name[128], number[40];
        char *text = NULL;
        if (it.type == RMR_GGUF_ARRAY || it.key.size > sizeof name - 6) continue;
        if (it.type == RMR_GGUF_STRING) {
            if (memchr(it.text.text, 0, it.text.size) != NULL) continue;
            text = rmr_strndup(mem, it.text.text, it.text.size);
            if (text == NULL) return rmr_error_nomem(err, "metadata", it.text.size);
        } else {
            gguf_number(&it, number, sizeof number);
        }
        snprintf(name, sizeof name, "gguf.%.*s", (int)it.key.size, it.key.text);
        remora_status st = rmr_metadata_add(mem, meta, name, text != NULL ? text : number, err);
        if (st >= 0 && text != NULL) st = gguf_template(mem, meta, name, text, err);
        rmr_strfree(mem, text);
        RMR_TRY(st);
    }
    return REMORA_OK;
}

/* "BF16 [512, 256]" */
static void tensor_text(const rmr_tensor *t, char *buf, size_t cap)
{
    size_t at = (size_t)snprintf(buf, cap, "%s [", rmr_dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->n_dims && at < cap; i++)
        at += (size_t)snprintf(buf + at, cap - at, "%s%llu", i > 0 ? ", " : "",
                               (unsigned long long)t->dims[i]);
    if (at < cap) snprintf(buf + at, cap - at, "]");
}

remora_status rmr_metadata_add_tensors(rmr_mem *mem, rmr_metadata *meta, const rmr_checkpoint *ck,
                                       remora_error *err)
{
    enum { PREFIX = 7 };
    char *key = rmr_alloc(mem, PREFIX + RMR_MAX_TENSOR_NAME + 1);
    remora_status st = REMORA_OK;
    if (key == NULL) return rmr_error_nomem(err, "metadata", RMR_MAX_TENSOR_NAME);
    memcpy(key, "tensor.", PREFIX);
    meta->sorted_from = meta->n;
    for (uint64_t i = 0; i < rmr_checkpoint_count(ck) && st >= 0; i++) {
        char value[256];
        const rmr_tensor *t = rmr_checkpoint_at(ck, i);
        memcpy(key + PREFIX, t->name, strlen(t->name) + 1);
        tensor_text(t, value, sizeof value);
        st = rmr_metadata_add(mem, meta, key, value, err);
    }
    rmr_free(mem, key, PREFIX + RMR_MAX_TENSOR_NAME + 1);
    return st;
}

/* "Q4_K [64, 1408, 2048]", "BF16 [512, 256]", "F32 [256]" */
static void packed_text(const rmr_pack_tensor *t, char *buf, size_t cap)
{
    const char *type = rmr_elem_table[t->elem].name;
    if (t->use == RMR_USE_VECTOR)
        snprintf(buf, cap, "%s [%u]", type, t->cols);
    else if (t->count == 1)
        snprintf(buf, cap, "%s [%u, %u]", type, t->rows, t->cols);
    else
        snprintf(buf, cap, "%s [%u, %u, %u]", type, t->count, t->rows, t->cols);
}

remora_status rmr_metadata_add_packed(rmr_mem *mem, rmr_metadata *meta, const rmr_pack *p,
                                      remora_error *err)
{
    meta->sorted_from = meta->n;
    for (uint32_t i = 0; i < rmr_pack_count(p); i++) {
        char key[RMR_PACK_MAX_NAME + 32], value[64];
        const rmr_pack_tensor *t = rmr_pack_at(p, i);
        const int again = i > 0 && strcmp(t->name, rmr_pack_at(p, i - 1)->name) == 0;
        snprintf(key, sizeof key, "tensor.%s%s%s", t->name, again ? "#" : "",
                 again ? rmr_pack_use_name(t->use) : "");
        packed_text(t, value, sizeof value);
        RMR_TRY(rmr_metadata_add(mem, meta, key, value, err));
    }
    return REMORA_OK;
}

const char *rmr_metadata_find(const rmr_metadata *meta, const char *key)
{
    size_t lo = meta->sorted_from > 0 ? meta->sorted_from : meta->n, hi = meta->n;
    for (size_t i = 0; i < lo; i++)
        if (strcmp(meta->items[i].key, key) == 0) return meta->items[i].value;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        const int c = strcmp(meta->items[mid].key, key);
        if (c == 0) return meta->items[mid].value;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

void rmr_metadata_free(rmr_mem *mem, rmr_metadata *meta)
{
    for (size_t i = 0; i < meta->n; i++) {
        rmr_strfree(mem, meta->items[i].key);
        rmr_strfree(mem, meta->items[i].value);
    }
    rmr_free(mem, meta->items, meta->cap * sizeof *meta->items);
    *meta = (rmr_metadata){0};
}
