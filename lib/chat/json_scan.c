/* SPDX-License-Identifier: Apache-2.0 */
#include "json_scan.h"

#include <string.h>

#include "digits.h"

enum {
    S_VALUE, /* a value must follow */
    S_FIRST, /* an element, or the end of an empty array */
    S_NAME,  /* a member's name, or the end of an empty object */
    S_NEXT,  /* a member's name */
    S_COLON,
    S_STRING,
    S_ESCAPE,
    S_HEX,
    S_MINUS,
    S_ZERO,
    S_DIGITS,
    S_POINT,
    S_FRACTION,
    S_E,
    S_SIGN,
    S_EXPONENT,
    S_WORD,
    S_AFTER, /* a value has ended */
    S_BAD
};

static int said(const rmr_json_scan *s)
{
    if (s->state == S_BAD) return RMR_JSON_BAD;
    const int number = s->state == S_ZERO || s->state == S_DIGITS || s->state == S_FRACTION ||
                       s->state == S_EXPONENT;
    return s->depth == 0 && (s->state == S_AFTER || number) ? RMR_JSON_WHOLE : RMR_JSON_OPEN;
}

static int in_array(const rmr_json_scan *s)
{
    return (int)(s->is_array >> (s->depth - 1) & 1);
}

static void open_bracket(rmr_json_scan *s, int array)
{
    s->state = S_BAD;
    if (s->depth == RMR_JSON_SCAN_DEPTH) return;
    const uint64_t bit = (uint64_t)1 << s->depth;
    s->is_array = array ? s->is_array | bit : s->is_array & ~bit;
    s->depth++;
    s->state = array ? S_FIRST : S_NAME;
}

static void begin_value(rmr_json_scan *s, uint8_t c)
{
    switch (c) {
    case '{': open_bracket(s, 0); break;
    case '[': open_bracket(s, 1); break;
    case '"':
        s->is_key = 0;
        s->state = S_STRING;
        break;
    case '-': s->state = S_MINUS; break;
    case '0': s->state = S_ZERO; break;
    case 't':
    case 'f':
    case 'n':
        s->word = c;
        s->n_word = 1;
        s->state = S_WORD;
        break;
    default: s->state = c >= '1' && c <= '9' ? S_DIGITS : S_BAD;
    }
}

static void in_word(rmr_json_scan *s, uint8_t c)
{
    const char *word = s->word == 't' ? "true" : s->word == 'f' ? "false" : "null";
    if (c != (uint8_t)word[s->n_word++])
        s->state = S_BAD;
    else if (word[s->n_word] == 0)
        s->state = S_AFTER;
}

static void after_value(rmr_json_scan *s, uint8_t c)
{
    if (rmr_json_space(c)) {
        s->state = S_AFTER;
        return;
    }
    const int array = s->depth > 0 && in_array(s);
    if (s->depth > 0 && c == ',')
        s->state = array ? S_VALUE : S_NEXT;
    else if (s->depth > 0 && c == (array ? ']' : '}')) {
        s->depth--;
        s->state = S_AFTER;
    } else
        s->state = S_BAD;
}

static int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Numbers: what does not go on with one ends it. */
static void in_number(rmr_json_scan *s, uint8_t c)
{
    const int digit = is_digit(c), e = c == 'e' || c == 'E';
    switch (s->state) {
    case S_MINUS: s->state = c == '0' ? S_ZERO : digit ? S_DIGITS : S_BAD; return;
    case S_POINT: s->state = digit ? S_FRACTION : S_BAD; return;
    case S_E: s->state = digit ? S_EXPONENT : c == '-' || c == '+' ? S_SIGN : S_BAD; return;
    case S_SIGN: s->state = digit ? S_EXPONENT : S_BAD; return;
    default: break;
    }
    if (digit && s->state != S_ZERO) return;
    if (c == '.' && (s->state == S_ZERO || s->state == S_DIGITS))
        s->state = S_POINT;
    else if (e && s->state != S_EXPONENT)
        s->state = S_E;
    else
        after_value(s, c);
}

static void in_string(rmr_json_scan *s, uint8_t c)
{
    if (s->state == S_ESCAPE) {
        s->hex = 4;
        s->state = c == 'u' ? S_HEX : memchr("\"\\/bfnrt", c, 8) != NULL ? S_STRING : S_BAD;
    } else if (s->state == S_HEX) {
        if (rmr_hex_digit(c) < 0)
            s->state = S_BAD;
        else if (--s->hex == 0)
            s->state = S_STRING;
    } else if (c == '"')
        s->state = s->is_key ? S_COLON : S_AFTER;
    else if (c == '\\')
        s->state = S_ESCAPE;
    else if (c < 0x20)
        s->state = S_BAD;
}

/* Between values: what may stand there, or the beginning of one. */
static void between(rmr_json_scan *s, uint8_t c)
{
    if (rmr_json_space(c)) return;
    if (s->state == S_COLON)
        s->state = c == ':' ? S_VALUE : S_BAD;
    else if (s->state == S_FIRST && c == ']')
        after_value(s, c);
    else if (s->state == S_NAME && c == '}')
        after_value(s, c);
    else if (s->state == S_NAME || s->state == S_NEXT) {
        s->is_key = 1;
        s->state = c == '"' ? S_STRING : S_BAD;
    } else
        begin_value(s, c);
}

int rmr_json_scan_push(rmr_json_scan *s, uint8_t c)
{
    switch (s->state) {
    case S_VALUE:
    case S_FIRST:
    case S_NAME:
    case S_NEXT:
    case S_COLON: between(s, c); break;
    case S_STRING:
    case S_ESCAPE:
    case S_HEX: in_string(s, c); break;
    case S_WORD: in_word(s, c); break;
    case S_AFTER: after_value(s, c); break;
    case S_BAD: break;
    default: in_number(s, c);
    }
    return said(s);
}

void rmr_json_nest_push(rmr_json_nest *w, uint8_t c)
{
    if (w->in_string) {
        if (w->escaped)
            w->escaped = 0;
        else if (c == '\\')
            w->escaped = 1;
        else if (c == '"') {
            w->in_string = 0;
            w->ended = w->depth == 0;
        }
        return;
    }
    if (rmr_json_space(c)) return;
    w->begun = 1;
    if (c == '"')
        w->in_string = 1;
    else if ((c == '{' || c == '[') && w->depth < UINT32_MAX)
        w->depth++;
    else if ((c == '}' || c == ']') && w->depth > 0)
        w->ended = --w->depth == 0;
}

size_t rmr_json_escape(uint8_t c, char out[6])
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\n\t\r\b\f\"\\", to[] = "ntrbf\"\\";
    const char *at = c == 0 ? NULL : strchr(from, c);
    out[0] = (char)c;
    if (at == NULL && c >= 0x20) return 1;
    out[0] = '\\';
    if (at != NULL) {
        out[1] = to[at - from];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}
