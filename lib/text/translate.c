/* SPDX-License-Identifier: Apache-2.0 */
/* The dialect's pieces one after the other: escapes, classes, groups, quantifiers.
 *
 * Accepted is what means the same in both engines, or can be said in PCRE2: \s is spelled out as
 * Unicode's White_Space (PCRE2's has U+180E as well), scripts are the Script property (PCRE2
 * prefers Script_Extensions), \v is the vertical tab. `^` and `$` are line anchors in Oniguruma:
 * PCRE2_MULTILINE. Groups and repeats whose meaning differs are refused. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "translate.h"

#include <pcre2.h>
#include <string.h>

#include "digits.h"

#define SPACE                                                                                      \
    "\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}"
#define NOT_SPACE                                                                                  \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-"         \
    "\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"        \
    "\\x{3001}-\\x{10ffff}"

typedef struct reader {
    const char *field, *s;
    size_t n, i;
    int in_class;
    rmr_text *out;
    remora_error *err;
} reader;

static remora_status refuse(const reader *r, size_t at, const char *what)
{
    RMR_FAIL(r->err, REMORA_E_UNSUPPORTED, "%s: %s at byte %zu of the pattern", r->field, what, at);
}

static remora_status put(reader *r, const char *s, size_t n)
{
    RMR_TRY(rmr_grow(r->out->mem, &r->out->p, &r->out->cap, r->out->n + n, 1, r->err));
    memcpy(r->out->p + r->out->n, s, n);
    r->out->n += n;
    return REMORA_OK;
}

static remora_status puts_(reader *r, const char *s)
{
    return put(r, s, strlen(s));
}

/* Copy the next n bytes as they are. */
static remora_status copy(reader *r, size_t n)
{
    RMR_TRY(put(r, r->s + r->i, n));
    r->i += n;
    return REMORA_OK;
}

static int peek(const reader *r, size_t ahead)
{
    return ahead < r->n - r->i ? (unsigned char)r->s[r->i + ahead] : -1;
}

static int is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int is_hex(int c)
{
    return c >= 0 && c < 128 && rmr_hex_digit((unsigned char)c) >= 0;
}

static int is_alpha(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* \s or \S, in or out of a class. */
static remora_status space(reader *r, int negated)
{
    r->i += 2;
    if (!r->in_class) {
        RMR_TRY(puts_(r, negated ? "[^" SPACE "]" : "[" SPACE "]"));
        return REMORA_OK;
    }
    RMR_TRY(puts_(r, negated ? NOT_SPACE : SPACE));
    if (peek(r, 0) == '-') { /* a literal after a class escape, but we end in a range */
        r->i++;
        return puts_(r, "\\-");
    }
    return REMORA_OK;
}

/* \p{Name}: general categories pass, longer names are scripts. */
static remora_status property(reader *r)
{
    const size_t start = r->i;
    size_t len = 0;
    if (peek(r, 2) != '{') return refuse(r, start, "a property without braces");
    const char *name = r->s + r->i + 3;
    const char *close = memchr(name, '}', r->n - r->i - 3);
    if (close == NULL) return refuse(r, start, "an open property");
    len = (size_t)(close - name);
    RMR_TRY(put(r, r->s + r->i, 3));
    if (len > 0 && name[0] == '^') {
        RMR_TRY(put(r, "^", 1));
        name++, len--;
    }
    for (size_t i = 0; i < len; i++)
        if (!is_alpha((unsigned char)name[i]) && name[i] != '_')
            return refuse(r, start, "a property of a form we do not know");
    if (len == 0) return refuse(r, start, "an empty property");
#if PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40
    if (len > 2) RMR_TRY(puts_(r, "sc:"));
#endif
    RMR_TRY(put(r, name, len));
    RMR_TRY(put(r, "}", 1));
    r->i = (size_t)(close - r->s) + 1;
    return REMORA_OK;
}

/* \xHH below 0x80 (above, Oniguruma means a raw byte), \x{H...} and \uHHHH. */
static remora_status code_point(reader *r)
{
    const size_t start = r->i;
    if (peek(r, 1) == 'x' && peek(r, 2) == '{') {
        size_t len = 3;
        while (is_hex(peek(r, len))) len++;
        if (len == 3 || peek(r, len) != '}') return refuse(r, start, "a malformed \\x{}");
        return copy(r, len + 1);
    }
    if (peek(r, 1) == 'x') {
        if (!is_digit(peek(r, 2)) || peek(r, 2) > '7' || !is_hex(peek(r, 3)))
            return refuse(r, start, "a \\x that is not two digits below 80");
        return copy(r, 4);
    }
    for (size_t i = 2; i < 6; i++)
        if (!is_hex(peek(r, i))) return refuse(r, start, "a malformed \\u");
    RMR_TRY(puts_(r, "\\x{"));
    RMR_TRY(put(r, r->s + r->i + 2, 4));
    r->i += 6;
    return puts_(r, "}");
}

static remora_status escape(reader *r)
{
    const int c = peek(r, 1);
    switch (c) {
    case -1: return refuse(r, r->i, "a lone backslash");
    case 's': return space(r, 0);
    case 'S': return space(r, 1);
    case 'p':
    case 'P': return property(r);
    case 'x':
    case 'u': return code_point(r);
    case 'v': r->i += 2; return puts_(r, "\\x0b");
    case 'd':
    case 'D':
    case 'r':
    case 'n':
    case 't':
    case 'f':
    case 'a':
    case 'e': return copy(r, 2);
    case 'A':
    case 'z':
    case 'Z':
        if (!r->in_class) return copy(r, 2);
        break;
    default: break;
    }
    if (is_alpha(c) || is_digit(c) || c >= 0x80) return refuse(r, r->i, "an escape we do not know");
    return copy(r, 2);
}

/* In a class, '-' between two items is a range: its end must be a single character. */
static remora_status class_range(reader *r)
{
    const int next = peek(r, 1), after = peek(r, 2);
    if (next == '\\' && (after == 's' || after == 'S' || after == 'd' || after == 'D' ||
                         after == 'p' || after == 'P'))
        return refuse(r, r->i, "a range that ends in a class");
    return copy(r, 1);
}

static remora_status char_class(reader *r)
{
    const size_t start = r->i;
    RMR_TRY(copy(r, 1));
    if (peek(r, 0) == '^') RMR_TRY(copy(r, 1));
    if (peek(r, 0) == ']') return refuse(r, start, "an empty class");
    r->in_class = 1;
    while (peek(r, 0) != ']') {
        const int c = peek(r, 0);
        if (c < 0) return refuse(r, start, "an open class");
        if (c == '[') return refuse(r, r->i, "a class in a class");
        if (c == '&' && peek(r, 1) == '&') return refuse(r, r->i, "an intersection of classes");
        RMR_TRY(c == '\\' ? escape(r) : c == '-' ? class_range(r) : copy(r, 1));
    }
    r->in_class = 0;
    return copy(r, 1);
}

/* (...) (?:...) (?i:...) (?=...) (?!...) (?<=...) (?<!...) (?>...) */
static remora_status group(reader *r)
{
    static const char *const heads[] = {
        "(?:", "(?i:", "(?-i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    if (peek(r, 1) == '*') return refuse(r, r->i, "a verb");
    if (peek(r, 1) != '?') return copy(r, 1);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        const size_t len = strlen(heads[i]);
        if (r->n - r->i >= len && memcmp(r->s + r->i, heads[i], len) == 0) return copy(r, len);
    }
    return refuse(r, r->i, "a group we do not know");
}

/* {n}, {n,} and {n,m} are repeats, any other brace is itself. */
static remora_status brace(reader *r)
{
    size_t len = 1;
    while (is_digit(peek(r, len))) len++;
    const int any = len > 1;
    if (!any && peek(r, len) == ',' && is_digit(peek(r, len + 1)))
        return refuse(r, r->i, "a repeat without a lower end");
    if (any && peek(r, len) == ',') {
        len++;
        while (is_digit(peek(r, len))) len++;
    }
    if (!any || peek(r, len) != '}') {
        r->i++;
        return puts_(r, "\\{");
    }
    const int after = peek(r, len + 1);
    if (after == '+' || after == '?') return refuse(r, r->i, "a doubled repeat");
    return copy(r, len + 1);
}

remora_status rmr_regex_translate(const char *field, const char *pattern, size_t n, rmr_text *out,
                                  remora_error *err)
{
    reader r = {.field = field, .s = pattern, .n = n, .out = out, .err = err};
    while (r.i < n) {
        switch (pattern[r.i]) {
        case '\\': RMR_TRY(escape(&r)); break;
        case '[': RMR_TRY(char_class(&r)); break;
        case '(': RMR_TRY(group(&r)); break;
        case '{': RMR_TRY(brace(&r)); break;
        default: RMR_TRY(copy(&r, 1)); break;
        }
    }
    return REMORA_OK;
}
