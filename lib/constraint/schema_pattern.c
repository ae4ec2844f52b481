/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: regular expressions of ECMAScript, and lookaheads where they stand at the beginning.
 *
 * ^(?!A)B is what ^B has and ^(?:A) has not, so a lookahead right behind ^ is an intersection. */
#include <string.h>

#include "ecma.h"
#include "schema_parts.h"

typedef struct source {
    const char *p;
    size_t n;
} source;

static remora_status compile(schema *s, source src, rmr_rx *out, remora_error *why)
{
    return rmr_ecma(s->g, src.p, src.n, RMR_ECMA_ANYWHERE, s->spelling, out, why);
}

/* Where the group that begins at `at` ends, behind its parenthesis; with at 0 as the text that is
 * no group: where a | outside of all groups is. n: nowhere. */
static size_t end_of(source src, size_t at, int group)
{
    size_t depth = 0;
    int class = 0;
    for (size_t i = at; i < src.n; i++) {
        const char c = src.p[i];
        if (c == '\\')
            i++;
        else if (class)
            class = c != ']';
        else if (c == '[')
            class = 1;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth > 0 && --depth == 0 && group)
            return i + 1;
        else if (c == '|' && depth == 0 && !group)
            return i;
    }
    return src.n;
}

static int looks(source src)
{
    return src.n > 4 && memcmp(src.p, "^(?", 3) == 0 && (src.p[3] == '!' || src.p[3] == '=') &&
           end_of(src, 0, 0) == src.n;
}

/* ^ and then `inner` in a group, or as it is. */
static source anchored(schema *s, const char *inner, size_t n, int group)
{
    char *buf = rmr_schema_take(s, n + 8, 1);
    const char *open = group ? "^(?:" : "^";
    const size_t k = strlen(open);
    if (buf == NULL) return (source){"", 0};
    memcpy(buf, open, k);
    memcpy(buf + k, inner, n);
    if (group) buf[k + n] = ')';
    return (source){buf, k + n + (size_t)group};
}

static remora_status read(schema *s, source src, rmr_rx *out, remora_error *why)
{
    rmr_rx all = SCHEMA_ALL, one = RMR_RX_NONE;
    while (looks(src)) {
        const size_t end = end_of(src, 1, 1);
        if (end < 6 || src.p[end - 1] != ')') break;
        const source ahead = anchored(s, src.p + 4, end - 5, 1);
        RMR_TRY(compile(s, ahead, &one, why));
        if (src.p[3] == '!')
            one = rmr_rx_and2(s->rx, rmr_schema_chars(s, 0, RMR_RX_MANY), rmr_rx_not(s->rx, one));
        all = rmr_schema_rx_both(s, all, one);
        src = anchored(s, src.p + end, src.n - end, 0);
        if (s->st < 0) return s->st;
    }
    RMR_TRY(compile(s, src, &one, why));
    *out = rmr_schema_rx_both(s, all, one);
    return REMORA_OK;
}

rmr_rx rmr_schema_pattern(schema *s, const rmr_node *at, const char *text, size_t n)
{
    remora_error why = {.struct_size = sizeof why};
    rmr_rx r = RMR_RX_NONE;
    const remora_status st = read(s, (source){text, n}, &r, &why);
    if (st >= 0) return r;
    if (st == REMORA_E_UNSUPPORTED) {
        if (rmr_schema_skip(s, at, why.message)) return rmr_schema_chars(s, 0, RMR_RX_MANY);
    } else {
        rmr_schema_fail(s, st, "schema: %s", why.message);
    }
    return RMR_RX_NONE;
}
