/* SPDX-License-Identifier: Apache-2.0 */
/* normalizer, pre_tokenizer, decoder and post_processor of tokenizer.json. A part that is not
 * supported is refused by name: a tokenizer that is almost right gives wrong ids without a word. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "nfc.h"
#include "tok.h"

#define FILE_NAME "tokenizer.json"

enum { MAX_DEPTH = 4, PATH = 96 };

typedef struct reader {
    rmr_tok_parts *t;
    remora_error *err;
    int byte_level; /* a ByteLevel part was read, which makes bytes: no part may follow */
} reader;

typedef remora_status part_fn(reader *r, const char *path, const char *type, const json_t *v);

static remora_status unsupported(const reader *r, const char *path, const char *key,
                                 const char *value)
{
    RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, FILE_NAME ": %s.%s %s is not supported", path, key,
             rmr_show(value).text);
}

/* Calls fn for the part v, or for each part of a Sequence, whose list is v[list]. */
static remora_status walk(reader *r, const char *path, const char *list, const json_t *v, int depth,
                          part_fn *fn)
{
    const char *type;
    if (v == NULL || json_is_null(v)) return REMORA_OK;
    if (!json_is_object(v))
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s is not an object", path);
    RMR_TRY(rmr_json_string(FILE_NAME, v, "type", &type, r->err));
    if (type == NULL) RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.type is missing", path);
    if (strcmp(type, "Sequence") != 0) return fn(r, path, type, v);
    const json_t *parts = json_object_get(v, list);
    if (!json_is_array(parts))
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.%s is not an array", path, list);
    if (depth == MAX_DEPTH)
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, FILE_NAME ": %s has too many sequences", path);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        char inner[PATH];
        snprintf(inner, sizeof inner, "%.40s.%s[%zu]", path, list, i);
        RMR_TRY(walk(r, inner, list, json_array_get(parts, i), depth + 1, fn));
    }
    return REMORA_OK;
}

static remora_status normalizer(reader *r, const char *path, const char *type, const json_t *v)
{
    (void)v;
    if (strcmp(type, "NFC") != 0) return unsupported(r, path, "type", type);
    r->t->nfc = 1;
    return REMORA_OK;
}

/* Normalized added tokens are matched as they stand, so they must be normal already. */
static remora_status check_normal(reader *r)
{
    rmr_tok_parts *t = r->t;
    for (uint32_t i = 0; t->nfc && i < t->normalized.n; i++) {
        const rmr_added *a = &t->normalized.items[i];
        char *normal;
        size_t n;
        RMR_TRY(rmr_nfc(t->mem, t->arena + a->text, a->len, &normal, &n, r->err));
        if (normal == NULL) continue;
        rmr_free(t->mem, normal, n);
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                 FILE_NAME ": the added token with id %u changes under its normalizer", a->id);
    }
    return REMORA_OK;
}

static remora_status add_step(reader *r, const char *path, const char *pattern, size_t n,
                              uint32_t how)
{
    return rmr_tok_add_step(r->t, path, pattern, n, how, r->err);
}

/* Isolated: matches and gaps both become pieces, and `invert` changes nothing. Removed takes the
 * matches away; with `invert` it takes the gaps away. Patterns of GPT-4's kind are often written in
 * that form; they leave no gaps. */
static remora_status split(reader *r, const char *path, const json_t *v)
{
    const char *behavior;
    const json_t *pattern = json_object_get(v, "pattern");
    int invert;
    RMR_TRY(rmr_json_string(FILE_NAME, v, "behavior", &behavior, r->err));
    RMR_TRY(rmr_json_bool(FILE_NAME, v, "invert", 0, &invert, r->err));
    const int matches = behavior != NULL && invert && strcmp(behavior, "Removed") == 0;
    if (behavior == NULL || (!matches && strcmp(behavior, "Isolated") != 0))
        return unsupported(r, path, "behavior", behavior != NULL ? behavior : "(none)");
    const json_t *regex = json_object_get(pattern, "Regex");
    const json_t *string = json_object_get(pattern, "String");
    const json_t *text = regex != NULL ? regex : string;
    if (!json_is_string(text))
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.pattern is neither Regex nor String",
                 path);
    return add_step(r, path, json_string_value(text), json_string_length(text),
                    (regex == NULL ? RMR_STEP_LITERAL : 0) | (matches ? RMR_STEP_MATCHES : 0));
}

static remora_status pre_tokenizer(reader *r, const char *path, const char *type, const json_t *v)
{
    int on;
    if (r->byte_level)
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, FILE_NAME ": %s follows ByteLevel", path);
    if (strcmp(type, "Split") == 0) return split(r, path, v);
    if (strcmp(type, "Digits") == 0) {
        RMR_TRY(rmr_json_bool(FILE_NAME, v, "individual_digits", 0, &on, r->err));
        return add_step(r, path, on ? "\\p{N}" : "\\p{N}+", on ? 5 : 6, 0);
    }
    if (strcmp(type, "ByteLevel") != 0) return unsupported(r, path, "type", type);
    RMR_TRY(rmr_json_bool(FILE_NAME, v, "add_prefix_space", 0, &on, r->err));
    if (on) return unsupported(r, path, "add_prefix_space", "true");
    RMR_TRY(rmr_json_bool(FILE_NAME, v, "use_regex", 1, &on, r->err));
    if (on) RMR_TRY(add_step(r, path, RMR_PRE_GPT2, strlen(RMR_PRE_GPT2), 0));
    r->byte_level = 1;
    return REMORA_OK;
}

static remora_status decoder(reader *r, const char *path, const char *type, const json_t *v)
{
    (void)v;
    if (strcmp(type, "ByteLevel") != 0 || r->byte_level) return unsupported(r, path, "type", type);
    r->byte_level = 1;
    return REMORA_OK;
}

/* Read one SpecialToken of a template: its ids, by the template's own table. */
static remora_status template_token(reader *r, const char *path, const json_t *tokens,
                                    const json_t *item)
{
    const char *name;
    RMR_TRY(rmr_json_string(FILE_NAME, item, "id", &name, r->err));
    const json_t *ids = name != NULL ? json_object_get(json_object_get(tokens, name), "ids") : NULL;
    if (!json_is_array(ids))
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.special_tokens lacks %s", path,
                 name != NULL ? rmr_show(name).text : "a name");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value < 0 || value >= (json_int_t)r->t->n_ids)
            RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.special_tokens: %s has a bad id",
                     path, rmr_show(name).text);
        if (r->t->n_prefix == RMR_TOK_MAX_PREFIX)
            RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, FILE_NAME ": %s.single has above %d tokens",
                     path, RMR_TOK_MAX_PREFIX);
        r->t->prefix[r->t->n_prefix++] = (remora_token)value;
    }
    return REMORA_OK;
}

/* Read a template: special tokens in front of the text, nothing behind it. */
static remora_status post_processor(reader *r, const char *path, const char *type, const json_t *v)
{
    int text_seen = 0;
    if (strcmp(type, "ByteLevel") == 0) return REMORA_OK; /* offsets only */
    if (strcmp(type, "TemplateProcessing") != 0) return unsupported(r, path, "type", type);
    const json_t *single = json_object_get(v, "single");
    if (!json_is_array(single))
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.single is not an array", path);
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i);
        const json_t *special = json_object_get(item, "SpecialToken");
        if (special == NULL && json_object_get(item, "Sequence") == NULL)
            RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %s.single[%zu] is unknown", path, i);
        if (text_seen)
            RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                     FILE_NAME ": %s.single[%zu] comes behind the text", path, i);
        if (special != NULL)
            RMR_TRY(template_token(r, path, json_object_get(v, "special_tokens"), special));
        else
            text_seen = 1;
    }
    return REMORA_OK;
}

static remora_status need_byte_level(reader *r, const char *path)
{
    if (!r->byte_level)
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, FILE_NAME ": %s is not ByteLevel", path);
    r->byte_level = 0;
    return REMORA_OK;
}

remora_status rmr_tok_load_pipeline(rmr_tok_parts *t, const json_t *root, remora_error *err)
{
    reader r = {.t = t, .err = err};
    RMR_TRY(
        walk(&r, "normalizer", "normalizers", json_object_get(root, "normalizer"), 0, normalizer));
    RMR_TRY(check_normal(&r));
    RMR_TRY(walk(&r, "pre_tokenizer", "pretokenizers", json_object_get(root, "pre_tokenizer"), 0,
                 pre_tokenizer));
    RMR_TRY(need_byte_level(&r, "pre_tokenizer"));
    RMR_TRY(walk(&r, "decoder", "decoders", json_object_get(root, "decoder"), 0, decoder));
    RMR_TRY(need_byte_level(&r, "decoder"));
    return walk(&r, "post_processor", "processors", json_object_get(root, "post_processor"), 0,
                post_processor);
}
