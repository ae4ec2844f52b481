/* SPDX-License-Identifier: Apache-2.0 */
#include "json_text.h"

#include <string.h>

#include "digits.h"
#include "utf8.h"

/* ---- checking ---- */

typedef struct reader {
    const char *p, *end;
    uint32_t depth;
} reader;

static const char *space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

/* The bytes of the \u escape, or two of them, at p; 0 when it is none, or half a surrogate. */
static size_t unicode(const char *p, const char *end, uint32_t *cp)
{
    uint32_t low;
    if (end - p < 6 || !rmr_hex_four(p + 2, 4, cp)) return 0;
    if (*cp < 0xD800 || *cp > 0xDFFF) return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u' || !rmr_hex_four(p + 8, 4, &low)) return 0;
    return rmr_utf16_pair(*cp, low, cp) ? 12 : 0;
}

static int string(reader *r)
{
    uint32_t cp;
    if (r->p == r->end || *r->p != '"') return 0;
    for (r->p++; r->p < r->end && *r->p != '"';) {
        if ((unsigned char)*r->p < 0x20) return 0;
        if (*r->p != '\\') {
            r->p++;
            continue;
        }
        if (r->end - r->p < 2) return 0;
        if (r->p[1] == 'u') {
            const size_t n = unicode(r->p, r->end, &cp);
            if (n == 0) return 0;
            r->p += n;
        } else if (strchr("\"\\/bfnrt", r->p[1]) != NULL && r->p[1] != 0) {
            r->p += 2;
        } else {
            return 0;
        }
    }
    if (r->p == r->end) return 0;
    r->p++;
    return 1;
}

static int digits(reader *r)
{
    const char *from = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') r->p++;
    return r->p > from;
}

static int number(reader *r)
{
    if (*r->p == '-') r->p++;
    const char *first = r->p;
    if (!digits(r) || (*first == '0' && r->p > first + 1)) return 0;
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        if (!digits(r)) return 0;
    }
    if (r->p < r->end && (*r->p | 0x20) == 'e') {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
        if (!digits(r)) return 0;
    }
    return 1;
}

static int word(reader *r, const char *w)
{
    const size_t n = strlen(w);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, w, n) != 0) return 0;
    r->p += n;
    return 1;
}

static int value(reader *r);

static int key(reader *r)
{
    if (!string(r)) return 0;
    r->p = space(r->p, r->end);
    if (r->p == r->end || *r->p != ':') return 0;
    r->p = space(r->p + 1, r->end);
    return 1;
}

static int items(reader *r, char close)
{
    if (++r->depth > RMR_JSON_DEPTH) return 0;
    r->p = space(r->p + 1, r->end);
    for (int first = 1; r->p < r->end && *r->p != close; first = 0) {
        if (!first) {
            if (*r->p != ',') return 0;
            r->p = space(r->p + 1, r->end);
        }
        if (close == '}' && !key(r)) return 0;
        if (!value(r)) return 0;
        r->p = space(r->p, r->end);
    }
    if (r->p == r->end) return 0;
    r->p++;
    r->depth--;
    return 1;
}

static int value(reader *r)
{
    if (r->p == r->end) return 0;
    switch (*r->p) {
    case '{': return items(r, '}');
    case '[': return items(r, ']');
    case '"': return string(r);
    case 't': return word(r, "true");
    case 'f': return word(r, "false");
    case 'n': return word(r, "null");
    default: return number(r);
    }
}

remora_status rmr_json_text_check(const char *what, const char *text, size_t n, rmr_json_span *out,
                                  remora_error *err)
{
    const char *end = text + n, *begin = space(text, end);
    reader r = {begin, end, 0};
    const int good = value(&r);
    const char *rest = space(r.p, end);
    if (!good)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: byte %zu: this is not JSON, or nested deeper than %d levels", what,
                 (size_t)(r.p - text), RMR_JSON_DEPTH);
    if (rest != end)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: byte %zu: something follows the JSON value", what,
                 (size_t)(rest - text));
    *out = (rmr_json_span){begin, (size_t)(r.p - begin)};
    return REMORA_OK;
}

/* ---- looking ---- */

char rmr_json_text_kind(rmr_json_span v)
{
    const char c = v.size > 0 ? v.text[0] : 'n';
    return c == '-' || (c >= '0' && c <= '9') ? '0' : c;
}

rmr_json_items rmr_json_text_open(rmr_json_span v)
{
    RMR_ASSERT(v.size >= 2);
    return (rmr_json_items){v.text + 1, v.text + v.size - 1};
}

static rmr_json_span take(rmr_json_items *it)
{
    reader r = {it->at, it->end, 0};
    const int good = value(&r);
    RMR_ASSERT(good);
    (void)good;
    const rmr_json_span v = {it->at, (size_t)(r.p - it->at)};
    it->at = r.p;
    return v;
}

/* The place of the next item; 0 behind the last one. */
static int next(rmr_json_items *it)
{
    it->at = space(it->at, it->end);
    if (it->at < it->end && *it->at == ',') it->at = space(it->at + 1, it->end);
    return it->at < it->end;
}

int rmr_json_text_element(rmr_json_items *it, rmr_json_span *v)
{
    if (!next(it)) return 0;
    *v = take(it);
    return 1;
}

int rmr_json_text_member(rmr_json_items *it, rmr_json_span *k, rmr_json_span *v)
{
    if (!next(it)) return 0;
    *k = take(it);
    it->at = space(it->at, it->end) + 1; /* the colon */
    it->at = space(it->at, it->end);
    *v = take(it);
    return 1;
}

/* Decode what is at *p, a byte or an escape; returns the bytes put into out. */
static size_t decode_one(const char **p, const char *end, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (**p != '\\') {
        out[0] = *(*p)++;
        return 1;
    }
    if ((*p)[1] == 'u') {
        uint32_t cp = 0;
        *p += unicode(*p, end, &cp);
        return rmr_utf8_put(cp, (unsigned char *)out);
    }
    const char *at = strchr(from, (*p)[1]);
    out[0] = at != NULL ? to[at - from] : (*p)[1];
    *p += 2;
    return 1;
}

size_t rmr_json_text_decode(rmr_json_span s, char *out)
{
    const char *p = s.text + 1, *end = s.text + s.size - 1;
    size_t n = 0;
    while (p < end) {
        char c[4];
        const size_t len = decode_one(&p, end, c);
        memcpy(out + n, c, len);
        n += len;
    }
    return n;
}

int rmr_json_text_is(rmr_json_span s, const char *text)
{
    const char *p = s.text + 1, *end = s.text + s.size - 1;
    while (p < end) {
        char c[4];
        const size_t n = decode_one(&p, end, c);
        if (strncmp(text, c, n) != 0 || memchr(c, 0, n) != NULL) return 0;
        text += n;
    }
    return *text == 0;
}

int rmr_json_text_get(rmr_json_span object, const char *key, rmr_json_span *v)
{
    rmr_json_items it = rmr_json_text_open(object);
    rmr_json_span k;
    while (rmr_json_text_member(&it, &k, v))
        if (rmr_json_text_is(k, key)) return 1;
    return 0;
}

/* ---- printing ---- */

static void put_char(rmr_chat_writer *w, char c)
{
    rmr_chat_put(w, &c, 1);
}

static void put_escaped(rmr_chat_writer *w, const char *s, size_t n)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        const char *at = c != 0 ? strchr(plain, c) : NULL;
        if (at != NULL) {
            const char two[2] = {'\\', letter[at - plain]};
            rmr_chat_put(w, two, 2);
        } else if (c < 0x20) {
            const char six[6] = {'\\', 'u', '0', '0', digit[c >> 4], digit[c & 15]};
            rmr_chat_put(w, six, 6);
        } else {
            put_char(w, s[i]);
        }
    }
}

void rmr_json_text_quote(rmr_chat_writer *w, const char *s, size_t n)
{
    put_char(w, '"');
    put_escaped(w, s, n);
    put_char(w, '"');
}

static void print_string(rmr_chat_writer *w, rmr_json_span s)
{
    const char *p = s.text + 1, *end = s.text + s.size - 1;
    put_char(w, '"');
    while (p < end) {
        char c[4];
        const size_t n = decode_one(&p, end, c);
        put_escaped(w, c, n);
    }
    put_char(w, '"');
}

/* The digits of a number "-12.5e3" that jansson printed, and its exponent: 0.DIGITS * 10^exponent.
 * Zeros at both ends of the digits are left out. */
static size_t scan_digits(const char *s, char *out, int *exponent)
{
    size_t n = 0;
    int point = 0, seen_point = 0, e = 0, sign = 1;
    for (; *s != 0 && (*s | 0x20) != 'e'; s++) {
        if (*s == '.') seen_point = 1;
        if (*s < '0' || *s > '9') continue;
        if (n == 0 && *s == '0') {
            point -= seen_point;
            continue;
        }
        out[n++] = *s;
        point += !seen_point;
    }
    if (*s != 0) s++;
    if (*s == '-') sign = -1;
    if (*s == '-' || *s == '+') s++;
    for (; *s >= '0' && *s <= '9'; s++) e = e * 10 + (*s - '0');
    while (n > 0 && out[n - 1] == '0') n--;
    *exponent = point + sign * e;
    return n;
}

/* As Python's repr: with an exponent below 1e-4 and from 1e16 on. */
static void put_real(rmr_chat_writer *w, const char *shortest)
{
    char d[48];
    int at;
    const size_t n = scan_digits(shortest, d, &at);
    if (shortest[0] == '-') put_char(w, '-');
    if (n == 0) {
        rmr_chat_put(w, "0.0", 3);
    } else if (at > 16 || at < -3) {
        const int e = at - 1 < 0 ? 1 - at : at - 1;
        put_char(w, d[0]);
        if (n > 1) put_char(w, '.');
        rmr_chat_put(w, d + 1, n - 1);
        rmr_chat_put(w, at - 1 < 0 ? "e-" : "e+", 2);
        if (e >= 100) put_char(w, (char)('0' + e / 100));
        put_char(w, (char)('0' + e / 10 % 10));
        put_char(w, (char)('0' + e % 10));
    } else {
        if (at <= 0) rmr_chat_put(w, "0.", 2);
        for (int i = at; i < 0; i++) put_char(w, '0');
        for (size_t i = 0; i < n || (int)i < at; i++) {
            if (at > 0 && (int)i == at) put_char(w, '.');
            put_char(w, i < n ? d[i] : '0');
        }
        if (at > 0 && (size_t)at >= n) rmr_chat_put(w, ".0", 2);
    }
}

static void print_number(rmr_chat_writer *w, rmr_json_span v)
{
    char buf[48];
    size_t real = 0;
    for (size_t i = 0; i < v.size; i++) real |= strchr(".eE", v.text[i]) != NULL;
    if (!real) { /* integers are kept, however large */
        const int zero = v.size == 2 && v.text[0] == '-' && v.text[1] == '0';
        rmr_chat_put(w, v.text + zero, v.size - (size_t)zero);
        return;
    }
    json_t *number = json_loadb(v.text, v.size, JSON_DECODE_ANY, NULL);
    if (number == NULL) { /* outside of a double */
        rmr_chat_put(w, v.text, v.size);
        return;
    }
    rmr_json_number_text(buf, sizeof buf, number);
    json_decref(number);
    if (buf[0] != 0)
        put_real(w, buf);
    else if (w->status >= 0)
        w->status = rmr_error_nomem(w->err, "a number", sizeof buf);
}

static void print(rmr_chat_writer *w, rmr_json_span v, uint32_t indent, uint32_t depth);

static void line(rmr_chat_writer *w, uint32_t indent, uint32_t depth)
{
    if (indent == 0) return;
    put_char(w, '\n');
    for (uint32_t i = 0; i < indent * depth; i++) put_char(w, ' ');
}

static void print_items(rmr_chat_writer *w, rmr_json_span v, uint32_t indent, uint32_t depth)
{
    const char close = v.text[0] == '{' ? '}' : ']';
    rmr_json_items it = rmr_json_text_open(v);
    rmr_json_span k = {NULL, 0}, x;
    int any = 0;
    put_char(w, v.text[0]);
    for (; close == '}' ? rmr_json_text_member(&it, &k, &x) : rmr_json_text_element(&it, &x);
         any = 1) {
        if (any) rmr_chat_put(w, ", ", indent > 0 ? 1 : 2);
        line(w, indent, depth + 1);
        if (close == '}') {
            print_string(w, k);
            rmr_chat_put(w, ": ", 2);
        }
        print(w, x, indent, depth + 1);
    }
    if (any) line(w, indent, depth);
    put_char(w, close);
}

static void print(rmr_chat_writer *w, rmr_json_span v, uint32_t indent, uint32_t depth)
{
    switch (rmr_json_text_kind(v)) {
    case '{':
    case '[': print_items(w, v, indent, depth); break;
    case '"': print_string(w, v); break;
    case '0': print_number(w, v); break;
    default: rmr_chat_put(w, v.text, v.size); break;
    }
}

void rmr_json_text_print(rmr_chat_writer *w, rmr_json_span v, uint32_t indent)
{
    print(w, v, indent, 0);
}
