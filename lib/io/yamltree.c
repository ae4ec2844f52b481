/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events to and from a jansson tree. libyaml checks its arguments by assert, so none of
 * them here can be NULL (P1). */
#include "yamltree.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "digits.h"
#include "fpenv.h"
#include "json.h"
#include "utf8.h"

enum { MAX_NUMBER = 128 /* characters */ };

/* ---- reading ---- */

typedef struct reader {
    const char *file;
    yaml_parser_t parser;
    size_t nodes_left;
    remora_error *err;
} reader;

static remora_status fail_at(const reader *r, yaml_mark_t at, const char *what)
{
    RMR_FAIL(r->err, REMORA_E_FORMAT, "%s:%zu:%zu: %s", r->file, at.line + 1, at.column + 1, what);
}

static remora_status nomem(const reader *r)
{
    return rmr_error_nomem(r->err, r->file, r->parser.offset);
}

static remora_status fail_parser(const reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *what = p->problem != NULL ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR) return nomem(r);
    if (p->error == YAML_READER_ERROR)
        RMR_FAIL(r->err, REMORA_E_FORMAT, "%s: byte %zu: %s", r->file, p->problem_offset, what);
    return fail_at(r, p->problem_mark, what);
}

static remora_status next(reader *r, yaml_event_t *ev)
{
    return yaml_parser_parse(&r->parser, ev) ? REMORA_OK : fail_parser(r);
}

static int is_one_of(const char *s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, list[i]) == 0) return 1;
    return 0;
}

static size_t digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* Digits to the end of s; 0 when they are none or too large. */
static int read_integer(const char *s, int base, int negative, json_int_t *out)
{
    const uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t v = 0;
    for (; *s != 0; s++) {
        const int d = rmr_hex_digit((unsigned char)*s);
        if (d < 0 || d >= base || v > (limit - (uint64_t)d) / (uint64_t)base) return 0;
        v = v * (uint64_t)base + (uint64_t)d;
    }
    *out = negative ? (json_int_t)(0 - v) : (json_int_t)v;
    return 1;
}

/* [0-9]*(\.[0-9]*)?([eE][-+]?[0-9]+)? with at least one digit in front of the exponent, after the
 * sign. */
static int looks_real(const char *s)
{
    size_t n = digits(s), total = n;
    s += n;
    if (*s == '.') {
        s++;
        n = digits(s);
        total += n;
        s += n;
    }
    if (total == 0) return 0;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+') s++;
        n = digits(s);
        if (n == 0) return 0;
        s += n;
    }
    return *s == 0;
}

enum { SAME, OUT_OF_RANGE, NO_MEMORY };

/* Read a number twice, for where memory for its buffer runs out jansson drops digits and says
 * nothing. */
static int read_twice(const char *text, size_t n, json_t **out)
{
    json_error_t why;
    *out = json_loadb(text, n, JSON_DECODE_ANY, &why);
    if (*out == NULL && json_error_code(&why) == json_error_numeric_overflow) return OUT_OF_RANGE;
    json_t *again = json_loadb(text, n, JSON_DECODE_ANY, NULL);
    const int same = again != NULL && json_equal(*out, again);
    json_decref(again);
    return same ? SAME : NO_MEMORY;
}

/* jansson reads the number: strtod minds the host's locale. JSON wants digits on both sides of the
 * point. */
static remora_status read_real(reader *r, const yaml_event_t *ev, const char *s, int negative,
                               json_t **out)
{
    char buf[MAX_NUMBER + 8];
    const size_t whole = digits(s);
    const char *rest = s + whole;
    size_t n = (size_t)snprintf(buf, sizeof buf, "%s%.*s", negative ? "-" : "",
                                whole > 0 ? (int)whole : 1, whole > 0 ? s : "0");
    if (*rest == '.') rest++;
    const size_t part = digits(rest);
    n += (size_t)snprintf(buf + n, sizeof buf - n, ".%.*s%s", part > 0 ? (int)part : 1,
                          part > 0 ? rest : "0", rest + part);
    const rmr_fpenv own = rmr_fpenv_enter();
    const int read = read_twice(buf, n, out);
    rmr_fpenv_leave(own);
    if (read == OUT_OF_RANGE) return fail_at(r, ev->start_mark, "a number out of range");
    return read == SAME ? REMORA_OK : nomem(r);
}

static remora_status read_number(reader *r, const yaml_event_t *ev, const char *s, json_t **out)
{
    static const char *const not_finite[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    const char *t = s + (*s == '-' || *s == '+');
    const int negative = *s == '-';
    const int base = t[0] == '0' && t[1] == 'x' ? 16 : t[0] == '0' && t[1] == 'o' ? 8 : 10;
    json_int_t v;
    *out = NULL;
    if (is_one_of(t, not_finite, 6)) return fail_at(r, ev->start_mark, "a number not finite");
    const char *all = base == 8 ? "01234567" : "0123456789abcdefABCDEF";
    if (base != 10 && t == s && t[2] != 0 && t[2 + strspn(t + 2, all)] == 0) {
        if (!read_integer(t + 2, base, 0, &v))
            return fail_at(r, ev->start_mark, "an integer above 64 bits");
        *out = json_integer(v);
    } else if (looks_real(t)) {
        const size_t n = digits(t);
        if (n > 1 && t[0] == '0')
            return fail_at(r, ev->start_mark, "a number with a leading zero: quote it or drop it");
        if (strlen(t) > MAX_NUMBER) return fail_at(r, ev->start_mark, "a number too long");
        if (t[n] != 0) {
            RMR_TRY(read_real(r, ev, t, negative, out));
        } else {
            if (!read_integer(t, 10, negative, &v))
                return fail_at(r, ev->start_mark, "an integer above 64 bits");
            *out = json_integer(v);
        }
    } else {
        return REMORA_OK;
    }
    return *out != NULL ? REMORA_OK : nomem(r);
}

static remora_status check_plain(reader *r, const yaml_event_t *ev, const yaml_char_t *anchor,
                                 const yaml_char_t *tag)
{
    if (anchor != NULL) return fail_at(r, ev->start_mark, "anchors are not supported");
    if (tag != NULL) return fail_at(r, ev->start_mark, "tags are not supported");
    return REMORA_OK;
}

/* The text of a scalar event: UTF-8, and NUL-terminated by libyaml. */
static remora_status scalar_text(reader *r, const yaml_event_t *ev, const char **s, size_t *n)
{
    RMR_TRY(check_plain(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag));
    *s = (const char *)ev->data.scalar.value;
    *n = ev->data.scalar.length;
    if (rmr_utf8_until(*s, *n) < *n) return fail_at(r, ev->start_mark, "text that is not UTF-8");
    return REMORA_OK;
}

static remora_status read_scalar(reader *r, const yaml_event_t *ev, json_t **out)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    const char *s;
    size_t n;
    RMR_TRY(scalar_text(r, ev, &s, &n));
    if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (is_one_of(s, nulls, 5))
            *out = json_null();
        else if (is_one_of(s, yes, 3))
            *out = json_true();
        else if (is_one_of(s, no, 3))
            *out = json_false();
        else
            RMR_TRY(read_number(r, ev, s, out));
    }
    if (*out == NULL) *out = json_stringn(s, n);
    return *out != NULL ? REMORA_OK : nomem(r);
}

static remora_status read_value(reader *r, const yaml_event_t *ev, int depth, json_t **out);

static remora_status read_sequence(reader *r, int depth, json_t *list)
{
    for (;;) {
        yaml_event_t ev;
        json_t *v = NULL;
        RMR_TRY(next(r, &ev));
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return REMORA_OK;
        }
        const remora_status st = read_value(r, &ev, depth + 1, &v);
        yaml_event_delete(&ev);
        if (st < 0) {
            json_decref(v);
            return st;
        }
        if (json_array_append_new(list, v) != 0) return nomem(r);
    }
}

static remora_status check_key(reader *r, const yaml_event_t *ev, const json_t *object)
{
    const char *s;
    size_t n;
    if (ev->type != YAML_SCALAR_EVENT) return fail_at(r, ev->start_mark, "a key that is no text");
    RMR_TRY(scalar_text(r, ev, &s, &n));
    if (memchr(s, 0, n) != NULL) return fail_at(r, ev->start_mark, "a key with a NUL");
    if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(s, "<<") == 0)
        return fail_at(r, ev->start_mark, "merge keys are not supported");
    if (json_object_get(object, s) != NULL)
        RMR_FAIL(r->err, REMORA_E_FORMAT, "%s:%zu:%zu: key %.80s occurs twice", r->file,
                 ev->start_mark.line + 1, ev->start_mark.column + 1, s);
    return REMORA_OK;
}

/* The pair whose key is `key`. */
static remora_status read_pair(reader *r, const yaml_event_t *key, int depth, json_t *object)
{
    yaml_event_t ev;
    json_t *v = NULL;
    RMR_TRY(check_key(r, key, object));
    RMR_TRY(next(r, &ev));
    const remora_status st = read_value(r, &ev, depth + 1, &v);
    yaml_event_delete(&ev);
    if (st < 0) {
        json_decref(v);
        return st;
    }
    return json_object_set_new(object, (const char *)key->data.scalar.value, v) == 0 ? REMORA_OK
                                                                                     : nomem(r);
}

static remora_status read_mapping(reader *r, int depth, json_t *object)
{
    for (;;) {
        yaml_event_t ev;
        RMR_TRY(next(r, &ev));
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            return REMORA_OK;
        }
        const remora_status st = read_pair(r, &ev, depth, object);
        yaml_event_delete(&ev);
        RMR_TRY(st);
    }
}

/* *out may be set on failure: it is the caller's to release. */
static remora_status read_value(reader *r, const yaml_event_t *ev, int depth, json_t **out)
{
    if (r->nodes_left == 0) return fail_at(r, ev->start_mark, "too many values");
    if (depth > RMR_YAML_DEPTH) return fail_at(r, ev->start_mark, "nested too deep");
    r->nodes_left--;

    switch (ev->type) {
    case YAML_SCALAR_EVENT: return read_scalar(r, ev, out);
    case YAML_SEQUENCE_START_EVENT:
        RMR_TRY(check_plain(r, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag));
        *out = json_array();
        return *out != NULL ? read_sequence(r, depth, *out) : nomem(r);
    case YAML_MAPPING_START_EVENT:
        RMR_TRY(check_plain(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag));
        *out = json_object();
        return *out != NULL ? read_mapping(r, depth, *out) : nomem(r);
    case YAML_ALIAS_EVENT: return fail_at(r, ev->start_mark, "aliases are not supported");
    default: return fail_at(r, ev->start_mark, "a value expected");
    }
}

static remora_status expect(reader *r, yaml_event_type_t type, const char *otherwise)
{
    yaml_event_t ev;
    RMR_TRY(next(r, &ev));
    const yaml_event_type_t got = ev.type;
    const yaml_mark_t at = ev.start_mark;
    yaml_event_delete(&ev);
    return got == type ? REMORA_OK : fail_at(r, at, otherwise);
}

static remora_status read_document(reader *r, json_t **out)
{
    yaml_event_t ev;
    RMR_TRY(expect(r, YAML_STREAM_START_EVENT, "not YAML"));
    RMR_TRY(expect(r, YAML_DOCUMENT_START_EVENT, "an empty document"));
    RMR_TRY(next(r, &ev));
    const remora_status st = read_value(r, &ev, 0, out);
    yaml_event_delete(&ev);
    RMR_TRY(st);
    RMR_TRY(expect(r, YAML_DOCUMENT_END_EVENT, "something after the end"));
    return expect(r, YAML_STREAM_END_EVENT, "something after the end of the document");
}

remora_status rmr_yaml_parse(const char *file, const void *data, size_t size, size_t max_nodes,
                             json_t **out, remora_error *err)
{
    reader r = {.file = file, .nodes_left = max_nodes, .err = err};
    *out = NULL;
    if (!yaml_parser_initialize(&r.parser)) return rmr_error_nomem(err, file, size);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, data != NULL ? data : (const unsigned char *)"", size);
    const remora_status st = read_document(&r, out);
    yaml_parser_delete(&r.parser);
    if (st < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

/* ---- writing ---- */

typedef struct writer {
    rmr_mem *mem;
    yaml_emitter_t emitter;
    char *text;
    size_t n, cap;
    remora_error *err;
} writer;

static int take(void *data, unsigned char *bytes, size_t size)
{
    writer *w = data;
    if (rmr_grow(w->mem, &w->text, &w->cap, w->n + size + 1, 1, NULL) < 0) return 0;
    memcpy(w->text + w->n, bytes, size);
    w->n += size;
    return 1;
}

/* Takes the event over; `made` is the result of its initialisation. */
static remora_status emit(writer *w, yaml_event_t *ev, int made)
{
    if (!made) return rmr_error_nomem(w->err, "YAML", w->n);
    if (yaml_emitter_emit(&w->emitter, ev)) return REMORA_OK;
    if (w->emitter.error == YAML_MEMORY_ERROR || w->emitter.error == YAML_WRITER_ERROR)
        return rmr_error_nomem(w->err, "YAML", w->n);
    RMR_FAIL(w->err, REMORA_E_INTERNAL, "YAML: %s",
             w->emitter.problem != NULL ? w->emitter.problem : "cannot be written");
}

static remora_status emit_scalar(writer *w, const char *s, size_t n, yaml_scalar_style_t style)
{
    yaml_event_t ev;
    if (n > INT32_MAX) RMR_FAIL(w->err, REMORA_E_UNSUPPORTED, "YAML: a text has %zu bytes", n);
    return emit(
        w, &ev,
        yaml_scalar_event_initialize(&ev, NULL, NULL, (const yaml_char_t *)s, (int)n, 1, 1, style));
}

/* Text that no reader of 1.1 or 1.2 takes for anything else needs no quotes: names and paths. */
static int is_plain_text(const char *s, size_t n)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",  "on",
                                        "off", "true", "false", "null"};
    char lower[8];
    if (n == 0 || n > 512) return 0;
    for (size_t i = 0; i < n; i++) {
        const char c = s[i];
        const int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        const int other = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '/';
        if (!letter && (i == 0 || !other)) return 0;
    }
    if (n >= sizeof lower) return 1;
    for (size_t i = 0; i <= n; i++)
        lower[i] = i == n ? 0 : s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] - 'A' + 'a') : s[i];
    return !is_one_of(lower, words, sizeof words / sizeof words[0]);
}

static remora_status write_text(writer *w, const char *s, size_t n)
{
    return emit_scalar(
        w, s, n, is_plain_text(s, n) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

/* 1.1 knows 1e20 as text: it wants a point and a sign. */
static remora_status write_number(writer *w, const json_t *v)
{
    char plain[40], buf[48];
    rmr_json_number_text(plain, sizeof plain, v);
    if (plain[0] == 0) return rmr_error_nomem(w->err, "manifest", sizeof plain);
    const char *e = strchr(plain, 'e');
    if (e == NULL) return emit_scalar(w, plain, strlen(plain), YAML_PLAIN_SCALAR_STYLE);
    const int point = memchr(plain, '.', (size_t)(e - plain)) != NULL;
    const int n = snprintf(buf, sizeof buf, "%.*s%se%s%s", (int)(e - plain), plain,
                           point ? "" : ".0", e[1] == '-' ? "" : "+", e + 1);
    return emit_scalar(w, buf, (size_t)n, YAML_PLAIN_SCALAR_STYLE);
}

static int is_scalar(const json_t *v)
{
    return !json_is_object(v) && !json_is_array(v);
}

/* 1 when an array is written in one line: a short one of scalars, or one of numbers. */
static int array_in_line(const json_t *v)
{
    const size_t n = json_array_size(v);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        if (!is_scalar(item) || (n > 16 && !json_is_number(item))) return 0;
    }
    return 1;
}

static int object_in_line(const json_t *v)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)v, key, item)
    {
        if (!is_scalar(item) && !(json_is_array(item) && array_in_line(item))) return 0;
    }
    return 1;
}

static remora_status write_value(writer *w, const json_t *v, int in_array, int depth);

static remora_status write_array(writer *w, const json_t *v, int depth)
{
    yaml_event_t ev;
    RMR_TRY(emit(w, &ev,
                 yaml_sequence_start_event_initialize(
                     &ev, NULL, NULL, 1,
                     array_in_line(v) ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE)));
    for (size_t i = 0; i < json_array_size(v); i++)
        RMR_TRY(write_value(w, json_array_get(v, i), 1, depth + 1));
    return emit(w, &ev, yaml_sequence_end_event_initialize(&ev));
}

static remora_status write_object(writer *w, const json_t *v, int in_array, int depth)
{
    yaml_event_t ev;
    const char *key;
    json_t *item;
    const int in_line = json_object_size(v) == 0 || (in_array && object_in_line(v));
    RMR_TRY(emit(w, &ev,
                 yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1,
                                                     in_line ? YAML_FLOW_MAPPING_STYLE
                                                             : YAML_BLOCK_MAPPING_STYLE)));
    json_object_foreach((json_t *)(uintptr_t)v, key, item)
    {
        RMR_TRY(write_text(w, key, strlen(key)));
        RMR_TRY(write_value(w, item, 0, depth + 1));
    }
    return emit(w, &ev, yaml_mapping_end_event_initialize(&ev));
}

static remora_status write_value(writer *w, const json_t *v, int in_array, int depth)
{
    if (depth > RMR_YAML_DEPTH)
        RMR_FAIL(w->err, REMORA_E_UNSUPPORTED, "YAML: it is nested too deep");
    switch (json_typeof(v)) {
    case JSON_OBJECT: return write_object(w, v, in_array, depth);
    case JSON_ARRAY: return write_array(w, v, depth);
    case JSON_STRING: return write_text(w, json_string_value(v), json_string_length(v));
    case JSON_INTEGER:
    case JSON_REAL: return write_number(w, v);
    case JSON_TRUE: return emit_scalar(w, "true", 4, YAML_PLAIN_SCALAR_STYLE);
    case JSON_FALSE: return emit_scalar(w, "false", 5, YAML_PLAIN_SCALAR_STYLE);
    default: return emit_scalar(w, "null", 4, YAML_PLAIN_SCALAR_STYLE);
    }
}

static remora_status write_document(writer *w, const json_t *doc)
{
    yaml_event_t ev;
    RMR_TRY(emit(w, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING)));
    RMR_TRY(emit(w, &ev, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1)));
    RMR_TRY(write_value(w, doc, 0, 0));
    RMR_TRY(emit(w, &ev, yaml_document_end_event_initialize(&ev, 0)));
    return emit(w, &ev, yaml_stream_end_event_initialize(&ev));
}

remora_status rmr_yaml_write(rmr_mem *mem, const json_t *doc, char **text, size_t *n,
                             remora_error *err)
{
    writer w = {.mem = mem, .err = err};
    *text = NULL;
    *n = 0;
    if (!yaml_emitter_initialize(&w.emitter)) return rmr_error_nomem(err, "YAML", 0);
    yaml_emitter_set_output(&w.emitter, take, &w);
    yaml_emitter_set_unicode(&w.emitter, 1);
    yaml_emitter_set_width(&w.emitter, -1);
    remora_status st = write_document(&w, doc);
    yaml_emitter_delete(&w.emitter);
    char *exact = st < 0 ? NULL : rmr_alloc(mem, w.n + 1);
    if (st >= 0 && exact == NULL) st = rmr_error_nomem(err, "YAML", w.n + 1);
    if (exact != NULL) {
        memcpy(exact, w.text, w.n);
        exact[w.n] = 0;
        *text = exact;
        *n = w.n;
    }
    rmr_free(mem, w.text, w.cap);
    return st;
}
