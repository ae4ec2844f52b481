/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that a JSON schema leads to: every token comes from the mask, and a text that may end is
 * JSON for jansson, and obeys `type`, `const` and `enum` of the outermost schema. The first byte
 * says the options, the second how many of the last bytes pick tokens. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "constrain.h"
#include "tmem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 4096, ANY = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL };

static void require(int ok)
{
    if (!ok) abort();
}

static int has_type(const json_t *v, const char *type)
{
    static const char *const names[] = {"object", "array", "string", "null"};
    static const json_type types[] = {JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(type, names[i]) == 0) return json_typeof(v) == types[i];
    if (strcmp(type, "boolean") == 0) return json_is_boolean(v);
    if (!json_is_number(v)) return 0;
    return strcmp(type, "number") == 0 || floor(json_number_value(v)) == json_number_value(v);
}

/* A $ref takes its neighbours away in older drafts, so such a schema says nothing here. */
static void require_obeys(const json_t *schema, const json_t *v)
{
    const json_t *rule, *one;
    size_t i;
    int found = 0;
    if (!json_is_object(schema) || json_object_get(schema, "$ref") != NULL) return;
    rule = json_object_get(schema, "type");
    if (json_is_string(rule)) require(has_type(v, json_string_value(rule)));
    rule = json_object_get(schema, "enum");
    json_array_foreach(rule, i, one) found |= json_equal(one, v);
    require(!json_is_array(rule) || found);
}

/* The text is over: jansson reads it. A number that is too large for a double it may refuse. */
static void require_json(const json_t *schema, const char *text, size_t n)
{
    json_error_t e;
    json_t *v = json_loadb(text, n, ANY, &e);
    require(v != NULL || json_error_code(&e) == json_error_numeric_overflow);
    if (v != NULL) require_obeys(schema, v);
    json_decref(v);
}

/* The token of the mask that a byte picks, or -1. */
static remora_token picked(const uint32_t *mask, unsigned byte)
{
    remora_token fit[CONSTRAIN_VOCAB];
    unsigned n = 0;
    for (remora_token t = 0; t < CONSTRAIN_VOCAB; t++)
        if (constrain_bit(mask, t)) fit[n++] = t;
    return n > 0 ? fit[(byte * n) >> 8] : -1;
}

static void write_text(rmr_guide *m, const json_t *schema, const uint8_t *bytes, size_t n)
{
    uint32_t mask[CONSTRAIN_MASK];
    char out[LONGEST];
    size_t length = 0;
    for (size_t i = 0; i <= n; i++) {
        int end = 0;
        if (rmr_guide_may_end(m, &end, NULL) != REMORA_OK) return;
        if (end) require_json(schema, out, length);
        if (i == n || rmr_guide_mask(m, mask, NULL) != REMORA_OK) return;
        const remora_token t = picked(mask, bytes[i]);
        const char *text = NULL;
        size_t k = 0;
        int is_end = 0;
        if (t < 0) return;
        constrain_text(NULL, t, &text, &k, &is_end);
        require(!is_end || end);
        if (is_end || length + k > LONGEST) return;
        const remora_status st = rmr_guide_accept(m, t, NULL);
        require(st == REMORA_OK || st == REMORA_E_LIMIT);
        if (st != REMORA_OK) return;
        memcpy(out + length, text, k);
        length += k;
    }
}

static remora_status compile(rmr_grammar *g, const uint8_t *data, size_t n, remora_error *err)
{
    static const int drafts[] = {0, 4, 6, 7, 2019, 2020, 2020, 0};
    const rmr_schema_opts o = {.space = (rmr_schema_space)(data[0] % 3),
                               .lax = data[0] >> 2 & 1,
                               .object = data[0] >> 3 & 1,
                               .draft = drafts[data[0] >> 4 & 7]};
    rmr_rule start;
    RMR_TRY(rmr_schema(g, (const char *)data + 2, n, &o, &start, err));
    return rmr_grammar_finish(g, start, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmem meter = {0};
    rmr_mem mem = {
        .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    const rmr_limits lim = {.build = 200000, .step = 100000, .bytes = 8 << 20};
    remora_error err = {.struct_size = sizeof err};
    rmr_vocabulary *v;
    rmr_grammar *g;
    rmr_constraint *c = NULL;
    rmr_guide *m = NULL;
    if (size < 2) return 0;
    const size_t picks = data[1] < size - 2 ? data[1] : size - 2, n = size - 2 - picks;
    require(rmr_vocabulary_new(&mem, CONSTRAIN_VOCAB, constrain_text, NULL, &v, NULL) == REMORA_OK);
    require(rmr_grammar_new(&mem, &lim, &g, &err) == REMORA_OK);
    remora_status st = compile(g, data, n, &err);
    if (st == REMORA_OK)
        st = rmr_constraint_new(&mem, g, v, &c, &err);
    else
        rmr_grammar_free(g);
    require(st == REMORA_OK || st == REMORA_E_ARG || st == REMORA_E_UNSUPPORTED ||
            st == REMORA_E_LIMIT || st == REMORA_E_FORMAT);
    require(st == REMORA_OK || err.message[0] != 0);
    if (st == REMORA_OK && rmr_guide_new(c, &m, NULL) == REMORA_OK) {
        json_t *schema = json_loadb((const char *)data + 2, n, ANY, NULL);
        write_text(m, schema, data + 2 + n, picks);
        json_decref(schema);
    }
    rmr_guide_free(m);
    rmr_constraint_free(c);
    rmr_vocabulary_free(v);
    require(meter.blocks == 0 && meter.damage == 0);
    return 0;
}
