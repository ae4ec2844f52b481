/* SPDX-License-Identifier: Apache-2.0 */
/* jansson behind statuses, and the walk over members that needs no memory. */
#include "json.h"

#include <string.h>

#include "fpenv.h"
#include "instead.h"
#include "system.h"

void rmr_json_seed(void)
{
    uint32_t seed;
    if (rmr_system_random(&seed, sizeof seed) && seed != 0) json_object_seed(seed);
}

/* ---- finding where values end ---- */

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* p is at the opening quote; NULL when the string does not end. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"') return p + 1;
        if (*p == '\\' && ++p == end) return NULL;
    }
    return NULL;
}

/* p is at the opening bracket; NULL when it is not closed or nests deeper than max. Which bracket
 * closes which is left to the parser of the value. */
static const char *skip_nested(const char *p, const char *end, uint32_t max, int *too_deep)
{
    uint32_t depth = 0;
    while (p != NULL && p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[') {
            if (++depth > max) {
                *too_deep = 1;
                return NULL;
            }
        } else if (*p == '}' || *p == ']') {
            if (--depth == 0) return p + 1;
        }
        p++;
    }
    return NULL;
}

static const char *skip_scalar(const char *p, const char *end)
{
    const char *from = p;
    while (p < end && *p != ',' && *p != '}' && *p != ']' && *p != ' ' && *p != '\n' &&
           *p != '\r' && *p != '\t')
        p++;
    return p > from ? p : NULL;
}

/* ---- numbers that jansson refuses ---- */

/* Stands for a number that a json_t cannot hold. No reader takes a string that begins with NUL. */
#define ODD "\\u0000number"
#define ODD_QUOTED "\"" ODD "\""

/* jansson has a code for it and seldom sets it; an error without a text is one too. (Some failures
 * of its lexer look like syntax errors, and we cannot tell.) */
static int is_out_of_memory(const json_error_t *why)
{
    return json_error_code(why) == json_error_out_of_memory || why->text[0] == 0;
}

static int is_word(const char *p, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(p, word, n) == 0;
}

/* NaN and the infinities as Python writes them, integers outside 64 bits, reals outside a double.
 * jansson itself says which numbers are outside; only long ones and those with an exponent can be.
 */
static int is_odd(const char *p, size_t n)
{
    json_error_t why;
    if (*p == 'N' || *p == 'I' || *p == '-')
        if (is_word(p, n, "NaN") || is_word(p, n, "Infinity") || is_word(p, n, "-Infinity"))
            return 1;
    if (*p != '-' && !(*p >= '0' && *p <= '9')) return 0;
    if (n < 19 && memchr(p, 'e', n) == NULL && memchr(p, 'E', n) == NULL) return 0;
    json_t *v = json_loadb(p, n, JSON_DECODE_ANY, &why);
    json_decref(v);
    return v == NULL && json_error_code(&why) == json_error_numeric_overflow &&
           (size_t)why.position == n; /* all of it is the number */
}

/* Hands a text to jansson with ODD in place of such numbers. Writers leave them in fields that
 * nobody reads (a model_max_length of int(1e30)), and jansson would refuse the whole document. */
typedef struct feed {
    const char *at, *end;
    const char *seen; /* up to here the text is copied as it stands */
} feed;

/* The end of the string, number or word at p, or of the one byte that is anything else. */
static const char *token_end(const char *p, const char *end)
{
    const char *q = NULL;
    RMR_ASSERT(p < end);
    if (*p == '"')
        q = skip_string(p, end);
    else if (strchr("{}[]:, \t\r\n", *p) == NULL)
        q = skip_scalar(p, end);
    else
        return p + 1;
    return q != NULL ? q : end;
}

static size_t feed_some(void *buf, size_t room, void *user)
{
    feed *f = user;
    char *out = buf;
    size_t n = 0;
    while (n < room && f->at < f->end) {
        if (f->at == f->seen) {
            const char *to = token_end(f->at, f->end);
            if (is_odd(f->at, (size_t)(to - f->at))) {
                if (room - n < sizeof ODD_QUOTED - 1) break; /* jansson's buffer has 1,024 bytes */
                memcpy(out + n, ODD_QUOTED, sizeof ODD_QUOTED - 1);
                n += sizeof ODD_QUOTED - 1;
                f->at = f->seen = to;
                continue;
            }
            f->seen = to;
        }
        const size_t left = (size_t)(f->seen - f->at), k = left < room - n ? left : room - n;
        memcpy(out + n, f->at, k);
        n += k;
        f->at += k;
    }
    return n;
}

static remora_status load(const char *file, const char *text, size_t size, size_t flags,
                          json_t **out, remora_error *err)
{
    json_error_t why;
    feed f = {text, text + size, text};
    const rmr_fpenv own = rmr_fpenv_enter(); /* strtod rounds as the mode says */
    *out = json_load_callback(feed_some, &f, flags | JSON_REJECT_DUPLICATES, &why);
    rmr_fpenv_leave(own);
    if (*out != NULL) return REMORA_OK;
    if (is_out_of_memory(&why)) return rmr_error_nomem(err, file, size);
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: line %d, byte %d: %s", file, why.line, why.position,
             why.text);
}

/* ---- whole documents ---- */

remora_status rmr_json_parse(const char *file, const void *data, size_t size, json_t **out,
                             remora_error *err)
{
    int too_deep = 0;
    const char *text = data, *end = text + size;
    *out = NULL;
    const char *p = skip_space(text, end);
    if (p == end || *p != '{') RMR_FAIL(err, REMORA_E_FORMAT, "%s: is not a JSON object", file);
    (void)skip_nested(p, end, RMR_JSON_DEPTH, &too_deep);
    if (too_deep)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is JSON nested deeper than %d", file, RMR_JSON_DEPTH);
    const remora_status st = load(file, text, size, JSON_ALLOW_NUL, out, err);
    return st == REMORA_E_FORMAT ? rmr_instead_json(file, text, size, st, err) : st;
}

static const char *kind_of(const json_t *v)
{
    static const char *const kinds[] = {"an object",     "an array", "a string", "an integer",
                                        "a real number", "true",     "false",    "null"};
    if (rmr_json_is_odd(v)) return "NaN, infinite or outside 64 bits";
    return v != NULL && (size_t)json_typeof(v) < sizeof kinds / sizeof *kinds
               ? kinds[json_typeof(v)]
               : "missing";
}

int rmr_json_is_odd(const json_t *v)
{
    return json_is_string(v) && json_string_length(v) > 0 && json_string_value(v)[0] == 0;
}

remora_status rmr_json_wrong(const char *file, const char *key, const json_t *v, const char *want,
                             remora_error *err)
{
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is %s, not %s", file, key, kind_of(v), want);
}

static const json_t *field(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_null(v) ? NULL : v;
}

remora_status rmr_json_u32(const char *file, const json_t *obj, const char *key, uint32_t min,
                           uint32_t max, uint32_t fallback, uint32_t *out, remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = fallback;
    if (v == NULL) return REMORA_OK;
    if (!json_is_integer(v)) return rmr_json_wrong(file, key, v, "an integer", err);
    const json_int_t i = json_integer_value(v);
    if (i < (json_int_t)min || i > (json_int_t)max)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is %lld, not in %u..%u", file, key, (long long)i,
                 min, max);
    *out = (uint32_t)i;
    return REMORA_OK;
}

remora_status rmr_json_number(const char *file, const json_t *obj, const char *key, double fallback,
                              double *out, remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = fallback;
    if (v == NULL) return REMORA_OK;
    if (!json_is_number(v)) return rmr_json_wrong(file, key, v, "a number", err);
    *out = json_number_value(v);
    return REMORA_OK;
}

remora_status rmr_json_bool(const char *file, const json_t *obj, const char *key, int fallback,
                            int *out, remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = fallback;
    if (v == NULL) return REMORA_OK;
    if (!json_is_boolean(v)) return rmr_json_wrong(file, key, v, "true or false", err);
    *out = json_is_true(v);
    return REMORA_OK;
}

const char *rmr_json_text(const json_t *v)
{
    const char *text = json_string_value(v);
    return text != NULL && strlen(text) == json_string_length(v) ? text : NULL;
}

remora_status rmr_json_string(const char *file, const json_t *obj, const char *key,
                              const char **out, remora_error *err)
{
    const json_t *v = field(obj, key);
    *out = NULL;
    if (v == NULL) return REMORA_OK;
    if (!json_is_string(v) || rmr_json_is_odd(v))
        return rmr_json_wrong(file, key, v, "a string", err);
    *out = rmr_json_text(v);
    if (*out == NULL) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s has a NUL inside", file, key);
    return REMORA_OK;
}

static void number_text(char *buf, size_t cap, const json_t *v)
{
    buf[0] = 0;
    for (size_t digits = 6; digits <= 17; digits++) {
        const size_t n = json_dumpb(v, buf, cap - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        buf[n < cap ? n : 0] = 0; /* not the digits of the round before */
        if (n == 0 || n >= cap) return;
        json_t *back = json_loads(buf, JSON_DECODE_ANY, NULL);
        const int same = json_is_number(back) && json_number_value(back) == json_number_value(v);
        json_decref(back);
        if (same) return;
    }
}

void rmr_json_number_text(char *buf, size_t cap, const json_t *v)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    number_text(buf, cap, v);
    rmr_fpenv_leave(own);
}

/* ---- member by member ---- */

static remora_status fail_at(const rmr_json_walk *w, const char *p, const char *what,
                             remora_error *err)
{
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: byte %zu: %s", w->file, (size_t)(p - w->origin), what);
}

void rmr_json_walk_open(rmr_json_walk *w, const char *file, const char *text, size_t size,
                        uint32_t depth)
{
    *w = (rmr_json_walk){
        .file = file, .origin = text, .text = text, .end = text + size, .depth = depth};
}

void rmr_json_walk_into(rmr_json_walk *w, const rmr_json_walk *outer, rmr_json_span value)
{
    rmr_json_walk_open(w, outer->file, value.text, value.size,
                       outer->depth > 0 ? outer->depth - 1 : 0);
    w->origin = outer->origin;
}

static remora_status walk_key(rmr_json_walk *w, rmr_json_span *key, remora_error *err)
{
    const char *p = w->text;
    RMR_ASSERT(p >= w->origin && p <= w->end);
    if (p == w->end || *p != '"') return fail_at(w, p, "a key expected", err);
    const char *q = skip_string(p, w->end);
    if (q == NULL) return fail_at(w, p, "string not closed", err);
    *key = (rmr_json_span){p, (size_t)(q - p)};
    q = skip_space(q, w->end);
    if (q == w->end || *q != ':') return fail_at(w, q, "':' expected", err);
    w->text = skip_space(q + 1, w->end);
    return REMORA_OK;
}

static remora_status walk_value(rmr_json_walk *w, rmr_json_span *value, remora_error *err)
{
    int too_deep = 0;
    const char *p = w->text;
    if (p == w->end) return fail_at(w, p, "a value expected", err);
    const char *q = *p == '"'                ? skip_string(p, w->end)
                    : *p == '{' || *p == '[' ? skip_nested(p, w->end, w->depth, &too_deep)
                                             : skip_scalar(p, w->end);
    if (too_deep) return fail_at(w, p, "nested too deep", err);
    if (q == NULL) return fail_at(w, p, "a value expected, or it does not end", err);
    *value = (rmr_json_span){p, (size_t)(q - p)};
    w->text = q;
    return REMORA_OK;
}

/* The closing brace is at w->text: nothing but white space may follow. */
static remora_status walk_end(rmr_json_walk *w, remora_error *err)
{
    w->text = skip_space(w->text + 1, w->end);
    if (w->text != w->end) return fail_at(w, w->text, "text after the end of the object", err);
    return REMORA_END;
}

remora_status rmr_json_walk_next(rmr_json_walk *w, rmr_json_span *key, rmr_json_span *value,
                                 remora_error *err)
{
    w->text = skip_space(w->text, w->end);
    const int first = !w->begun;
    if (first) {
        if (w->text == w->end || *w->text != '{')
            return fail_at(w, w->text, "an object expected", err);
        w->text = skip_space(w->text + 1, w->end);
        w->begun = 1;
    }
    if (w->text == w->end) return fail_at(w, w->text, "the object is not closed", err);
    if (*w->text == '}') return walk_end(w, err);
    if (!first) {
        if (*w->text != ',') return fail_at(w, w->text, "',' or '}' expected", err);
        w->text = skip_space(w->text + 1, w->end);
    }
    RMR_TRY(walk_key(w, key, err));
    return walk_value(w, value, err);
}

/* A string of ASCII without escapes stands for itself: nearly every key. */
static int is_plain(rmr_json_span s)
{
    if (s.size < 2 || s.text[0] != '"' || s.text[s.size - 1] != '"') return 0;
    for (size_t i = 1; i + 1 < s.size; i++) {
        const char c = s.text[i];
        if (c < 0x20 || c > 0x7E || c == '\\' || c == '"') return 0;
    }
    return 1;
}

remora_status rmr_json_unquote(const char *file, rmr_json_span s, char *buf, size_t cap, size_t *n,
                               remora_error *err)
{
    json_t *v;
    if (s.size < 2 || s.text[0] != '"')
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: a string is expected", file);
    if (s.size - 1 <= cap && is_plain(s)) {
        *n = s.size - 2;
        memcpy(buf, s.text + 1, *n);
        buf[*n] = 0;
        return REMORA_OK;
    }
    RMR_TRY(load(file, s.text, s.size, JSON_DECODE_ANY, &v, err));
    remora_status st = REMORA_OK;
    *n = json_string_length(v);
    if (*n >= cap)
        st = rmr_error_set(err, REMORA_E_FORMAT, 0,
                           "%s: a string has %zu bytes, more than fit there", file, *n);
    else
        memcpy(buf, json_string_value(v), *n + 1);
    json_decref(v);
    return st;
}

remora_status rmr_json_check(const char *file, rmr_json_span v, remora_error *err)
{
    json_t *tree;
    if (is_plain(v)) return REMORA_OK;
    RMR_TRY(load(file, v.text, v.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &tree, err));
    json_decref(tree);
    return REMORA_OK;
}
