/* SPDX-License-Identifier: Apache-2.0 */
/* Strings as texts, and what the keywords of scalars say. */
#include <string.h>

#include "schema_parts.h"

static int raw(const schema *s)
{
    return s->spelling == RMR_SPELL_UTF8;
}

rmr_rx rmr_schema_quoted(schema *s, rmr_rx body)
{
    if (raw(s)) return body;
    const rmr_rx q = rmr_rx_byte(s->rx, '"'), parts[] = {q, body, q};
    return rmr_rx_concat_n(s->rx, parts, 3);
}

rmr_rx rmr_schema_chars(schema *s, uint32_t min, uint32_t max)
{
    if (min > max) return RMR_RX_NONE;
    if (s->chars == RMR_RX_NONE) s->chars = rmr_rx_chars_not(s->rx, NULL, 0, s->spelling);
    return rmr_rx_repeat(s->rx, s->chars, min, max);
}

rmr_rx rmr_schema_any_string(schema *s)
{
    if (s->string == RMR_RX_NONE)
        s->string = rmr_schema_quoted(s, rmr_schema_chars(s, 0, RMR_RX_MANY));
    return s->string;
}

static rmr_rx one_of(schema *s, const char *bytes)
{
    rmr_byte_set b = {{0}};
    for (; *bytes != 0; bytes++) b.bits[*bytes / 64] |= UINT64_C(1) << *bytes % 64;
    return rmr_rx_bytes(s->rx, &b);
}

/* An escape of JSON: one letter, \uXXXX, or a pair of them for what lies above U+FFFF. */
static rmr_rx escape(schema *s)
{
    const rmr_rx hex = one_of(s, "0123456789abcdefABCDEF"), d = one_of(s, "dD");
    const rmr_rx first = one_of(s, "0123456789abcefABCEF"), u = rmr_rx_byte(s->rx, 'u');
    const rmr_rx plain[] = {first, rmr_rx_repeat(s->rx, hex, 3, 3)};
    const rmr_rx below[] = {d, one_of(s, "01234567"), hex, hex};
    const rmr_rx pair[] = {d, one_of(s, "89abAB"),   hex, hex, rmr_rx_literal(s->rx, "\\u", 2),
                           d, one_of(s, "cdefCDEF"), hex, hex};
    const rmr_rx code[] = {rmr_rx_concat_n(s->rx, plain, 2), rmr_rx_concat_n(s->rx, below, 4),
                           rmr_rx_concat_n(s->rx, pair, 9)};
    const rmr_rx behind[] = {one_of(s, "\"\\/bfnrt"),
                             rmr_rx_concat(s->rx, u, rmr_rx_or(s->rx, code, 3))};
    return rmr_rx_concat(s->rx, rmr_rx_byte(s->rx, '\\'), rmr_rx_or(s->rx, behind, 2));
}

static rmr_rx string_all(schema *s)
{
    static const rmr_cp_range special[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
    if (raw(s)) return rmr_schema_any_string(s);
    if (s->string_all != RMR_RX_NONE) return s->string_all;
    const rmr_rx c =
        rmr_rx_or2(s->rx, rmr_rx_chars_not(s->rx, special, 3, RMR_SPELL_UTF8), escape(s));
    return s->string_all = rmr_schema_quoted(s, rmr_rx_repeat(s->rx, c, 0, RMR_RX_MANY));
}

rmr_rx rmr_schema_whole(schema *s, rmr_rx a, int string)
{
    if (a != SCHEMA_ALL) return a;
    return string ? string_all(s) : rmr_schema_number_all(s);
}

/* The shortest spelling of a string, with quotes; returns its length, or 0. `out` has room for
 * 6 n + 2 bytes. */
static size_t spell(const char *text, size_t n, char *out)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    size_t k = 0;
    out[k++] = '"';
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char *p = c != 0 ? strchr(from, c) : NULL;
        if (p != NULL) {
            out[k++] = '\\';
            out[k++] = to[p - from];
        } else if (c < 0x20) {
            memcpy(out + k, "\\u00", 4);
            out[k + 4] = hex[c >> 4];
            out[k + 5] = hex[c & 15];
            k += 6;
        } else {
            out[k++] = (char)c;
        }
    }
    out[k++] = '"';
    return k;
}

rmr_rx rmr_schema_literal_text(schema *s, const char *text, size_t n)
{
    char small[512];
    if (raw(s)) return rmr_rx_literal(s->rx, text, n);
    char *buf = n <= 80 ? small : rmr_schema_take(s, n + 1, 6);
    return buf == NULL ? RMR_RX_NONE : rmr_rx_literal(s->rx, buf, spell(text, n, buf));
}

int rmr_schema_has_text(schema *s, rmr_rx a, const char *text, size_t n)
{
    char small[512];
    if (raw(s)) return rmr_grammar_fuel(s->g, n + 2) && rmr_rx_matches(s->rx, a, text, n);
    char *buf = n <= 80 ? small : rmr_schema_take(s, n + 1, 6);
    if (buf == NULL || !rmr_grammar_fuel(s->g, n + 2)) return 0;
    return rmr_rx_matches(s->rx, a, buf, spell(text, n, buf));
}

/* ---- strings ---- */

rmr_rx rmr_schema_string_of(schema *s, const rmr_node *n)
{
    const uint32_t min = rmr_schema_bound(s, n, "minLength", 0);
    const uint32_t max = rmr_schema_bound(s, n, "maxLength", SCHEMA_MANY);
    const rmr_node *pattern = rmr_node_get(n, "pattern"), *format = rmr_node_get(n, "format");
    rmr_rx r = min > 0 || max != SCHEMA_MANY ? rmr_schema_chars(s, min, max) : SCHEMA_ALL;
    if (pattern != NULL && pattern->kind != RMR_JSON_STRING)
        rmr_schema_fail(s, REMORA_E_ARG, "schema: pattern is no string");
    else if (pattern != NULL)
        r = rmr_schema_rx_both(s, r, rmr_schema_pattern(s, pattern, pattern->text, pattern->n));
    if (format != NULL && format->kind == RMR_JSON_STRING) {
        const rmr_rx f = rmr_schema_format(s, n, format);
        if (f != RMR_RX_NONE) r = rmr_schema_rx_both(s, r, f);
    }
    return r == SCHEMA_ALL ? r : rmr_schema_quoted(s, r);
}

/* ---- numbers ---- */

static void bound(schema *s, rmr_rx *r, const rmr_node *v, int below, int strict)
{
    if (v == NULL) return;
    if (v->kind != RMR_JSON_NUMBER)
        rmr_schema_fail(s, REMORA_E_ARG, "schema: a bound is no number");
    else
        *r = rmr_schema_rx_both(s, *r, rmr_schema_number_bound(s, &v->num, below, strict));
}

/* In draft 4 exclusiveMinimum is a word that changes minimum. */
static void bounds(schema *s, rmr_rx *r, const rmr_node *n, int below)
{
    const rmr_node *v = rmr_node_get(n, below ? "maximum" : "minimum");
    const rmr_node *x = rmr_node_get(n, below ? "exclusiveMaximum" : "exclusiveMinimum");
    const int word = x != NULL && (x->kind == RMR_JSON_TRUE || x->kind == RMR_JSON_FALSE);
    bound(s, r, v, below, word && x->kind == RMR_JSON_TRUE);
    if (!word) bound(s, r, x, below, 1);
}

rmr_rx rmr_schema_number_of(schema *s, const rmr_node *n)
{
    const rmr_node *m = rmr_node_get(n, s->draft > 3 ? "multipleOf" : "divisibleBy");
    rmr_rx r = SCHEMA_ALL;
    bounds(s, &r, n, 0);
    bounds(s, &r, n, 1);
    if (m == NULL) return r;
    const rmr_rx x = m->kind == RMR_JSON_NUMBER && !m->num.negative
                         ? rmr_schema_number_multiple(s, &m->num)
                         : RMR_RX_NONE;
    if (x != RMR_RX_NONE) return rmr_schema_rx_both(s, r, x);
    if (m->kind != RMR_JSON_NUMBER || m->num.negative || (m->num.n == 1 && m->num.digits[0] == '0'))
        rmr_schema_fail(s, REMORA_E_ARG, "schema: multipleOf is no number above 0");
    else
        (void)rmr_schema_skip(s, m, "multipleOf above 100,000 without its point");
    return r;
}
