/* SPDX-License-Identifier: Apache-2.0 */
/* Constructors that combine languages, and the simplifications that keep them few. */
#include "rx_set.h"
#include "sort.h"

static rmr_rx make(rmr_rx_set *s, rx_kind kind, uint32_t a, uint32_t b)
{
    return rmr_rx_intern(s, (rx_node){.kind = (uint8_t)kind, .a = a, .b = b});
}

rmr_rx rmr_rx_bytes(rmr_rx_set *s, const rmr_byte_set *set)
{
    if ((set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3]) == 0) return RMR_RX_NONE;
    const uint32_t id = rmr_rx_byte_set_id(s, set);
    return make(s, RX_BYTES, id, 0);
}

rmr_rx rmr_rx_byte(rmr_rx_set *s, unsigned char b)
{
    rmr_byte_set set = {{0, 0, 0, 0}};
    set.bits[b / 64] |= UINT64_C(1) << (b % 64);
    return rmr_rx_bytes(s, &set);
}

/* -- Concatenation -- */

static uint32_t add_counts(uint32_t x, uint32_t y)
{
    return x == RMR_RX_MANY || y >= RMR_RX_MANY - x ? RMR_RX_MANY : x + y;
}

/* a a{m,n} and a{m,n} a{p,q} are one counter. Sets m and n to those of x; returns the language that
 * is repeated. */
static rmr_rx counted(const rmr_rx_set *s, rmr_rx x, uint32_t *m, uint32_t *n)
{
    const rx_node *k = rx_at(s, x);
    *m = k->kind == RX_REPEAT ? k->min : 1;
    *n = k->kind == RX_REPEAT ? k->max : 1;
    return k->kind == RX_REPEAT ? k->a : x;
}

/* Two neighbours as one counter, or 0. */
static rmr_rx merge_counts(rmr_rx_set *s, rmr_rx a, rmr_rx b)
{
    if (rx_at(s, a)->kind != RX_REPEAT && rx_at(s, b)->kind != RX_REPEAT) return 0;
    uint32_t m, n, p, q;
    if (counted(s, a, &m, &n) != counted(s, b, &p, &q)) return 0;
    const uint32_t min = add_counts(m, p), max = add_counts(n, q);
    if (min == RMR_RX_MANY || (max == RMR_RX_MANY && n != RMR_RX_MANY && q != RMR_RX_MANY))
        return 0;
    return rmr_rx_repeat(s, rx_at(s, a)->kind == RX_REPEAT ? rx_at(s, a)->a : a, min, max);
}

/* a is no concatenation, and neither is empty. */
static rmr_rx link(rmr_rx_set *s, rmr_rx a, rmr_rx b)
{
    if (b == RMR_RX_EMPTY) return a;
    if (a == RMR_RX_ANY && b == RMR_RX_ANY) return a;
    const rx_node *t = rx_at(s, b);
    const rmr_rx next = t->kind == RX_CONCAT ? t->a : b,
                 rest = t->kind == RX_CONCAT ? t->b : RMR_RX_EMPTY;
    const rmr_rx one = merge_counts(s, a, next);
    if (one != 0) return rest == RMR_RX_EMPTY ? one : make(s, RX_CONCAT, one, rest);
    return make(s, RX_CONCAT, a, b);
}

rmr_rx rmr_rx_chain(rmr_rx_set *s, size_t base, rmr_rx tail)
{
    while (s->scratch.n > base) tail = link(s, s->scratch.p[--s->scratch.n], tail);
    return rmr_rx_failed(s) ? RMR_RX_NONE : tail;
}

rmr_rx rmr_rx_concat(rmr_rx_set *s, rmr_rx a, rmr_rx b)
{
    if (rmr_rx_failed(s) || a == RMR_RX_NONE || b == RMR_RX_NONE) return RMR_RX_NONE;
    if (a == RMR_RX_EMPTY) return b;
    if (b == RMR_RX_EMPTY) return a;
    if (rx_at(s, a)->kind != RX_CONCAT) return link(s, a, b);
    const size_t base = s->scratch.n;
    for (; rx_at(s, a)->kind == RX_CONCAT; a = rx_at(s, a)->b)
        if (!rmr_rx_push(s, rx_at(s, a)->a)) break;
    s->steps += (s->scratch.n - base) / 8;
    rmr_rx_push(s, a);
    return rmr_rx_chain(s, base, b);
}

rmr_rx rmr_rx_concat_n(rmr_rx_set *s, const rmr_rx *parts, size_t n)
{
    rmr_rx r = RMR_RX_EMPTY;
    while (n > 0) r = rmr_rx_concat(s, parts[--n], r);
    return r;
}

/* -- OR and AND -- */

static int id_before(const uint32_t *x, const uint32_t *y)
{
    return *x < *y;
}

RMR_SORT_DEFINE(sort_ids, uint32_t, id_before);

static int find_id(const uint32_t *p, size_t n, uint32_t v)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (p[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && p[lo] == v;
}

/* Put the kids of joins of the same kind in their place. Returns 0 when one absorbs all. */
static int flatten(rmr_rx_set *s, rx_kind kind, size_t base)
{
    const rmr_rx absorbs = kind == RX_OR ? RMR_RX_ANY : RMR_RX_NONE;
    const rmr_rx neutral = kind == RX_OR ? RMR_RX_NONE : RMR_RX_ANY;
    const size_t end = s->scratch.n;
    size_t out = base;
    for (size_t i = base; i < end; i++) {
        const rmr_rx x = s->scratch.p[i];
        if (x == absorbs) return 0;
        if (x == neutral) continue;
        const rx_node k = *rx_at(s, x);
        if (k.kind == kind)
            for (uint32_t j = 0; j < k.b && rmr_rx_push(s, s->kids.p[k.a + j]);) j++;
        else
            s->scratch.p[out++] = x;
    }
    for (size_t i = end; i < s->scratch.n; i++) s->scratch.p[out++] = s->scratch.p[i];
    s->scratch.n = out;
    s->steps += (out - base) / 4;
    return !rmr_rx_failed(s);
}

static void sort_unique(rmr_rx_set *s, size_t base)
{
    uint32_t *p = s->scratch.p + base;
    const size_t n = s->scratch.n - base;
    size_t out = 0;
    int sorted = 1; /* most often they are */
    for (size_t i = 1; i < n && sorted; i++) sorted = p[i - 1] <= p[i];
    if (!sorted) sort_ids(p, n);
    for (size_t i = 0; i < n; i++)
        if (out == 0 || p[out - 1] != p[i]) p[out++] = p[i];
    s->scratch.n = base + out;
}

static const rmr_byte_set *bytes_of(const rmr_rx_set *s, rmr_rx a)
{
    const rx_node *k = rx_at(s, a);
    return k->kind == RX_BYTES ? &s->sets[k->a] : NULL;
}

/* Byte sets among the kids become one. */
static void join_bytes(rmr_rx_set *s, rx_kind kind, size_t base)
{
    rmr_byte_set sum = {{0, 0, 0, 0}};
    size_t out = base, n = 0;
    for (size_t i = base; i < s->scratch.n; i++) {
        const rmr_byte_set *set = bytes_of(s, s->scratch.p[i]);
        for (unsigned w = 0; w < 4 && set != NULL; w++)
            sum.bits[w] =
                kind == RX_OR || n == 0 ? sum.bits[w] | set->bits[w] : sum.bits[w] & set->bits[w];
        n += set != NULL;
    }
    if (n < 2) return;
    for (size_t i = base; i < s->scratch.n; i++)
        if (bytes_of(s, s->scratch.p[i]) == NULL) s->scratch.p[out++] = s->scratch.p[i];
    s->scratch.n = out;
    rmr_rx_push(s, rmr_rx_bytes(s, &sum));
}

/* An empty text beside what may be empty says nothing; beside a{1,n} it makes it a{0,n}. */
static void drop_empty(rmr_rx_set *s, size_t base)
{
    uint32_t *p = s->scratch.p + base;
    const size_t n = s->scratch.n - base;
    if (n < 2 || !find_id(p, n, RMR_RX_EMPTY)) return;
    for (size_t i = 0; i < n; i++) {
        const rx_node k = *rx_at(s, p[i]);
        if (p[i] == RMR_RX_EMPTY) continue;
        if (k.kind == RX_REPEAT && k.min == 1) {
            const rmr_rx r = rmr_rx_repeat(s, k.a, 0, k.max);
            p = s->scratch.p + base;
            p[i] = r;
        } else if (!(k.flags & RX_NULLABLE)) {
            continue;
        }
        for (size_t j = 0; j < n; j++)
            if (p[j] == RMR_RX_EMPTY) p[j] = p[i];
        sort_unique(s, base);
        return;
    }
}

/* Whether an AND is empty because a kid and its complement are in it, or the empty text and what
 * cannot be empty. */
static int contradicts(const rmr_rx_set *s, size_t base)
{
    const uint32_t *p = s->scratch.p + base;
    const size_t n = s->scratch.n - base;
    const int empty = find_id(p, n, RMR_RX_EMPTY);
    for (size_t i = 0; i < n; i++) {
        const rx_node *k = rx_at(s, p[i]);
        if (empty && !(k->flags & RX_NULLABLE)) return 1;
        if (k->kind == RX_NOT && find_id(p, n, k->a)) return 1;
    }
    return 0;
}

rmr_rx rmr_rx_join(rmr_rx_set *s, rx_kind kind, size_t base)
{
    rmr_rx r = RMR_RX_NONE;
    if (rmr_rx_failed(s)) goto out;
    if (!flatten(s, kind, base)) {
        r = kind == RX_OR && !rmr_rx_failed(s) ? RMR_RX_ANY : RMR_RX_NONE;
        goto out;
    }
    if (s->scratch.n == base) { /* all were neutral; the array may not even be there */
        r = kind == RX_OR ? RMR_RX_NONE : RMR_RX_ANY;
        goto out;
    }
    sort_unique(s, base);
    join_bytes(s, kind, base);
    sort_unique(s, base);
    if (kind == RX_OR) drop_empty(s, base);
    if (rmr_rx_failed(s)) goto out;
    const size_t n = s->scratch.n - base;
    if (kind == RX_AND && n > 1 && (s->scratch.p[base] == RMR_RX_NONE || contradicts(s, base)))
        goto out;
    if (kind == RX_AND && n > 1 && find_id(s->scratch.p + base, n, RMR_RX_EMPTY))
        r = RMR_RX_EMPTY; /* all may be empty */
    else
        r = n == 1 ? s->scratch.p[base] : rmr_rx_intern_kids(s, kind, s->scratch.p + base, n);
out:
    s->scratch.n = base;
    return r;
}

static rmr_rx join(rmr_rx_set *s, rx_kind kind, const rmr_rx *parts, size_t n)
{
    const size_t base = s->scratch.n;
    for (size_t i = 0; i < n && rmr_rx_push(s, parts[i]);) i++;
    return rmr_rx_join(s, kind, base);
}

rmr_rx rmr_rx_or(rmr_rx_set *s, const rmr_rx *parts, size_t n)
{
    return join(s, RX_OR, parts, n);
}

rmr_rx rmr_rx_and(rmr_rx_set *s, const rmr_rx *parts, size_t n)
{
    return join(s, RX_AND, parts, n);
}

rmr_rx rmr_rx_or2(rmr_rx_set *s, rmr_rx a, rmr_rx b)
{
    return join(s, RX_OR, (const rmr_rx[]){a, b}, 2);
}

rmr_rx rmr_rx_and2(rmr_rx_set *s, rmr_rx a, rmr_rx b)
{
    return join(s, RX_AND, (const rmr_rx[]){a, b}, 2);
}

rmr_rx rmr_rx_not(rmr_rx_set *s, rmr_rx a)
{
    if (rmr_rx_failed(s)) return RMR_RX_NONE;
    if (a == RMR_RX_NONE) return RMR_RX_ANY;
    if (a == RMR_RX_ANY) return RMR_RX_NONE;
    return rx_at(s, a)->kind == RX_NOT ? rx_at(s, a)->a : make(s, RX_NOT, a, 0);
}

/* -- Repetition -- */

static uint32_t times(rmr_rx_set *s, uint32_t x, uint32_t y)
{
    const uint64_t p = (uint64_t)x * y;
    if (x == 0 || y == 0) return 0;
    if (x == RMR_RX_MANY || y == RMR_RX_MANY) return RMR_RX_MANY;
    if (p < RMR_RX_MANY) return (uint32_t)p;
    rmr_rx_fail(s, REMORA_E_LIMIT,
                "a repetition of repetitions counts above 2^32: that is not supported");
    return 0;
}

rmr_rx rmr_rx_repeat(rmr_rx_set *s, rmr_rx a, uint32_t min, uint32_t max)
{
    if (rmr_rx_failed(s) || min > max || min == RMR_RX_MANY) return RMR_RX_NONE;
    if (max == 0) return RMR_RX_EMPTY;
    if (a == RMR_RX_NONE) return min == 0 ? RMR_RX_EMPTY : RMR_RX_NONE;
    if (a == RMR_RX_EMPTY || a == RMR_RX_ANY || (min == 1 && max == 1)) return a;
    rx_node k = *rx_at(s, a);
    if (k.kind == RX_REPEAT && k.min <= 1) { /* the counts k * [min, max] leave no gap */
        min = times(s, min, k.min);
        max = times(s, max, k.max);
        if (rmr_rx_failed(s)) return RMR_RX_NONE;
        a = k.a;
        k = *rx_at(s, a);
        if (min == 1 && max == 1) return a;
    }
    if (k.flags & RX_NULLABLE) min = 0;
    return rmr_rx_intern(s, (rx_node){.kind = RX_REPEAT, .a = a, .min = min, .max = max});
}

/* -- Multiples -- */

rmr_rx rmr_rx_multiple_state(rmr_rx_set *s, uint32_t divisor, uint64_t rem, unsigned mode,
                             unsigned left)
{
    if (mode >= RX_AT_POINT) { /* the digits that are left must be able to make it a multiple */
        const uint64_t d = s->divisors[divisor];
        uint64_t r = rem, most = 1;
        for (unsigned i = 0; i < left; i++) {
            r = r * 10 % d;
            most *= 10;
        }
        if ((d - r) % d >= most) return RMR_RX_NONE;
    }
    return rmr_rx_intern(s, (rx_node){.kind = RX_MULTIPLE,
                                      .a = divisor,
                                      .b = mode | left << 8,
                                      .min = (uint32_t)rem,
                                      .max = (uint32_t)(rem >> 32)});
}

rmr_rx rmr_rx_multiple(rmr_rx_set *s, uint64_t divisor, uint32_t scale)
{
    if (rmr_rx_failed(s)) return RMR_RX_NONE;
    if (divisor == 0 || divisor >> 56 != 0 || scale > 15)
        return rmr_rx_fail(s, REMORA_E_LIMIT,
                           "a number is to be a multiple of one with too many digits: at most 15 "
                           "behind the point and 2^56 without it are supported");
    for (unsigned char c = '0'; c <= '9'; c++) rmr_rx_byte(s, c); /* classes of their own */
    rmr_rx_byte(s, '.');
    uint32_t id = 0;
    while (id < s->n_divisors && s->divisors[id] != divisor) id++;
    if (id == s->n_divisors) {
        if (rmr_grow(s->mem, &s->divisors, &s->cap_divisors, id + 1, sizeof divisor, NULL) < 0)
            return rmr_rx_no_memory(s, (id + 1) * sizeof divisor);
        s->divisors[s->n_divisors++] = divisor;
    }
    return rmr_rx_multiple_state(s, id, 0, RX_AT_START, scale);
}
