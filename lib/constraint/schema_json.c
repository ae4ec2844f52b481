/* SPDX-License-Identifier: Apache-2.0 */
#include "schema_json.h"

#include <string.h>

#include "digits.h"
#include "rx_set.h"
#include "utf8.h"

/* ---- memory ---- */

enum { BLOCK = 16384, EXPONENT_MAX = 400 };

struct rmr_pool_block {
    rmr_pool_block *next;
    size_t size, used; /* bytes, with this head */
};

enum { HEAD = (sizeof(rmr_pool_block) + 15) / 16 * 16 };

/* Bytes of a block that has room for so many. */
static size_t block_bytes(uint64_t want)
{
    return want > BLOCK - HEAD ? (size_t)want + HEAD : BLOCK;
}

void *rmr_bump_take(rmr_bump *b, size_t n, size_t size)
{
    uint64_t want;
    if (!rmr_mul_ok(n, size, &want) || want > UINT32_MAX) return NULL;
    want = rmr_round_up(want + (want == 0), 16);
    if (b->blocks == NULL || b->blocks->size - b->blocks->used < want) {
        const size_t bytes = block_bytes(want);
        rmr_pool_block *k = rmr_alloc(b->mem, bytes);
        if (k == NULL) return NULL;
        *k = (rmr_pool_block){b->blocks, bytes, HEAD};
        b->blocks = k;
    }
    void *p = (unsigned char *)b->blocks + b->blocks->used;
    b->blocks->used += (size_t)want;
    memset(p, 0, (size_t)want);
    return p;
}

remora_status rmr_bump_lack(const rmr_bump *b, uint64_t want, remora_error *err)
{
    return rmr_rx_lack(b->mem, block_bytes(rmr_round_up(want, 16)), err);
}

void rmr_bump_free(rmr_bump *b)
{
    while (b->blocks != NULL) {
        rmr_pool_block *k = b->blocks;
        b->blocks = k->next;
        rmr_free(b->mem, k, k->size);
    }
}

/* ---- reading ---- */

typedef struct reader {
    rmr_bump *pool;
    const char *text;
    size_t n, at;
    uint32_t depth, nesting, *count;
    remora_error *err;
} reader;

static remora_status wrong(const reader *r, const char *what)
{
    RMR_FAIL(r->err, REMORA_E_FORMAT, "schema: byte %zu is wrong: it %s", r->at, what);
}

static void space(reader *r)
{
    while (r->at < r->n && memchr(" \t\r\n", r->text[r->at], 4) != NULL) r->at++;
}

static int is_digit(const reader *r)
{
    return r->at < r->n && r->text[r->at] >= '0' && r->text[r->at] <= '9';
}

static size_t digits(reader *r)
{
    const size_t from = r->at;
    while (is_digit(r)) r->at++;
    return r->at - from;
}

/* The digits of a number without its point, moved by the exponent. */
static remora_status settle_number(reader *r, rmr_exact *x, const char *text, size_t n, long exp)
{
    char *d = rmr_bump_take(r->pool, n + EXPONENT_MAX, 1);
    size_t k = 0, begin = 0;
    long scale = -exp;
    int point = 0;
    if (d == NULL) return rmr_bump_lack(r->pool, n + EXPONENT_MAX, r->err);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.')
            point = 1;
        else {
            d[k++] = text[i];
            scale += point;
        }
    }
    for (; scale < 0; scale++) d[k++] = '0';
    while (begin + 1 < k && d[begin] == '0' && (long)(k - begin) > 1) begin++;
    while (scale > 0 && k > begin && d[k - 1] == '0') {
        k--;
        scale--;
    }
    if (k == begin || (k == begin + 1 && d[begin] == '0')) {
        d[begin] = '0';
        k = begin + 1;
        scale = 0;
    }
    x->digits = d + begin;
    x->n = (uint32_t)(k - begin);
    x->scale = (uint32_t)scale;
    return REMORA_OK;
}

static remora_status number(reader *r, rmr_node *v)
{
    const size_t sign = r->at < r->n && r->text[r->at] == '-';
    r->at += sign;
    const size_t from = r->at;
    long exp = 0;
    if (digits(r) == 0 || (r->text[from] == '0' && r->at - from > 1))
        return wrong(r, "is no JSON value");
    if (r->at < r->n && r->text[r->at] == '.') {
        r->at++;
        if (digits(r) == 0) return wrong(r, "is no digit behind a point");
    }
    const size_t to = r->at;
    if (r->at < r->n && (r->text[r->at] | 32) == 'e') {
        int minus = 0;
        r->at++;
        if (r->at < r->n && (r->text[r->at] == '-' || r->text[r->at] == '+'))
            minus = r->text[r->at++] == '-';
        if (!is_digit(r)) return wrong(r, "is no digit of an exponent");
        for (; is_digit(r); r->at++)
            if (exp < 10000) exp = exp * 10 + (r->text[r->at] - '0');
        if (minus) exp = -exp;
    }
    if (exp >= EXPONENT_MAX || exp <= -EXPONENT_MAX)
        RMR_FAIL(r->err, REMORA_E_LIMIT, "schema: byte %zu ends a number outside a double", r->at);
    v->kind = RMR_JSON_NUMBER;
    RMR_TRY(settle_number(r, &v->num, r->text + from, to - from, exp));
    v->num.negative = sign && !(v->num.n == 1 && v->num.digits[0] == '0');
    return REMORA_OK;
}

static int hex4(reader *r, uint32_t *cp)
{
    if (!rmr_hex_four(r->text + r->at, r->n - r->at, cp)) return 0;
    r->at += 4;
    return 1;
}

/* What stands behind a backslash, as UTF-8. */
static int escaped(reader *r, unsigned char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at >= r->n) return 0;
    const char c = r->text[r->at++];
    const char *p = c != 0 ? strchr(from, c) : NULL;
    uint32_t cp, low;
    if (p != NULL) {
        out[(*n)++] = (unsigned char)to[p - from];
        return 1;
    }
    if (c != 'u' || !hex4(r, &cp)) return 0;
    if (cp >= 0xD800 && cp < 0xE000) {
        if (cp >= 0xDC00 || r->n - r->at < 6 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u')
            return 0;
        r->at += 2;
        if (!hex4(r, &low) || !rmr_utf16_pair(cp, low, &cp)) return 0;
    }
    *n += rmr_utf8_put(cp, out + *n);
    return 1;
}

static remora_status string(reader *r, const char **text, size_t *n)
{
    const size_t from = ++r->at;
    size_t to = from;
    while (to < r->n && r->text[to] != '"') to += r->text[to] == '\\' ? 2 : 1;
    if (to >= r->n) return wrong(r, "begins a string without an end");
    unsigned char *out = rmr_bump_take(r->pool, to - from + 1, 1);
    *n = 0;
    *text = (char *)out;
    if (out == NULL) return rmr_bump_lack(r->pool, to - from + 1, r->err);
    while (r->at < to) {
        const unsigned char c = (unsigned char)r->text[r->at];
        if (c < 0x20) return wrong(r, "is a control character in a string");
        if (c == '\\') {
            r->at++;
            if (!escaped(r, out, n)) return wrong(r, "ends an escape that JSON does not have");
            continue;
        }
        out[(*n)++] = c;
        r->at++;
    }
    r->at = to + 1;
    if (rmr_utf8_until(*text, *n) != *n) return wrong(r, "ends a string that is not UTF-8");
    return REMORA_OK;
}

static int word(reader *r, const char *w)
{
    const size_t n = strlen(w);
    if (r->n - r->at < n || memcmp(r->text + r->at, w, n) != 0) return 0;
    r->at += n;
    return 1;
}

/* A value, but of an array or object only its bracket. */
static remora_status value(reader *r, rmr_node *v)
{
    const char c = r->at < r->n ? r->text[r->at] : 0;
    if (c == '{' || c == '[') {
        v->kind = c == '{' ? RMR_JSON_OBJECT : RMR_JSON_ARRAY;
        r->at++;
        if (++r->depth > r->nesting)
            RMR_FAIL(r->err, REMORA_E_LIMIT, "schema: byte %zu is nested deeper than %u", r->at,
                     r->nesting);
        return REMORA_OK;
    }
    if (c == '"') {
        v->kind = RMR_JSON_STRING;
        return string(r, &v->text, &v->n);
    }
    if (word(r, "null"))
        v->kind = RMR_JSON_NULL;
    else if (word(r, "false"))
        v->kind = RMR_JSON_FALSE;
    else if (word(r, "true"))
        v->kind = RMR_JSON_TRUE;
    else
        return number(r, v);
    return REMORA_OK;
}

static rmr_node *child(reader *r, rmr_node *up)
{
    rmr_node *v = rmr_bump_take(r->pool, 1, sizeof *v);
    if (v == NULL) return NULL;
    v->number = ++*r->count;
    v->up = up;
    if (up == NULL) return v;
    if (up->last != NULL)
        up->last->next = v;
    else
        up->first = v;
    up->last = v;
    up->n++;
    return v;
}

/* Behind a value: close what ends here. Leaves the node whose next element begins, or NULL. */
static remora_status behind(reader *r, rmr_node *in, rmr_node **next)
{
    for (; in != NULL; in = in->up, r->depth--) {
        const char close = in->kind == RMR_JSON_OBJECT ? '}' : ']';
        space(r);
        const char c = r->at < r->n ? r->text[r->at] : 0;
        if (c != close) {
            if (in->n > 0 && c != ',') return wrong(r, "is neither a comma nor the bracket's end");
            r->at += in->n > 0;
            break;
        }
        r->at++;
    }
    *next = in;
    return REMORA_OK;
}

remora_status rmr_node_read(rmr_bump *b, const char *text, size_t n, uint32_t nesting,
                            uint32_t *count, rmr_node **out, remora_error *err)
{
    reader r = {b, text, n, 0, 0, nesting, count, err};
    rmr_node *in = NULL;
    *out = NULL;
    do {
        rmr_node *v = child(&r, in);
        if (v == NULL) return rmr_bump_lack(b, sizeof *v, err);
        if (*out == NULL) *out = v;
        space(&r);
        if (in != NULL && in->kind == RMR_JSON_OBJECT) {
            if (r.at >= n || text[r.at] != '"') return wrong(&r, "does not begin a key");
            RMR_TRY(string(&r, &v->key, &v->key_n));
            space(&r);
            if (r.at >= n || text[r.at++] != ':') return wrong(&r, "is no colon");
            space(&r);
        }
        RMR_TRY(value(&r, v));
        const int opens = v->kind == RMR_JSON_ARRAY || v->kind == RMR_JSON_OBJECT;
        RMR_TRY(behind(&r, opens ? v : in, &in));
    } while (in != NULL);
    space(&r);
    if (r.at != n) return wrong(&r, "comes behind the value");
    return REMORA_OK;
}

/* ---- questions ---- */

const rmr_node *rmr_node_get_n(const rmr_node *o, const char *key, size_t n)
{
    const rmr_node *found = NULL;
    if (o == NULL || o->kind != RMR_JSON_OBJECT) return NULL;
    for (const rmr_node *m = o->first; m != NULL; m = m->next)
        if (m->key_n == n && memcmp(m->key, key, n) == 0) found = m;
    return found;
}

const rmr_node *rmr_node_get(const rmr_node *o, const char *key)
{
    return rmr_node_get_n(o, key, strlen(key));
}

int rmr_node_is(const rmr_node *v, const char *text)
{
    return v != NULL && v->kind == RMR_JSON_STRING && v->n == strlen(text) &&
           memcmp(v->text, text, v->n) == 0;
}

int rmr_node_count(const rmr_node *v, uint32_t *out)
{
    uint64_t x = 0;
    if (v == NULL || v->kind != RMR_JSON_NUMBER || v->num.negative || v->num.scale != 0) return 0;
    for (uint32_t i = 0; i < v->num.n; i++) {
        x = x * 10 + (uint64_t)(v->num.digits[i] - '0');
        if (x >= UINT32_MAX) x = UINT32_MAX - 1;
    }
    *out = (uint32_t)x;
    return 1;
}
