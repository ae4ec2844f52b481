/* SPDX-License-Identifier: Apache-2.0 */
/* Derivatives, whether a language is empty, and languages that are alike for texts of some length.
 */
#include "rx_set.h"

static rmr_rx derive(rmr_rx_set *s, rmr_rx a, unsigned b);

/* Of the head, and of what is behind it as long as all before may be empty. */
static rmr_rx derive_concat(rmr_rx_set *s, rmr_rx a, unsigned b)
{
    const size_t base = s->scratch.n;
    for (;;) {
        const rx_node n = *rx_at(s, a);
        if (n.kind != RX_CONCAT) {
            rmr_rx_push(s, derive(s, a, b));
            break;
        }
        rmr_rx_push(s, rmr_rx_concat(s, derive(s, n.a, b), n.b));
        if (!rmr_rx_nullable(s, n.a) || rmr_rx_failed(s)) break;
        s->steps++;
        a = n.b;
    }
    if (!rmr_rx_failed(s) && s->scratch.n == base + 1) return s->scratch.p[--s->scratch.n];
    return rmr_rx_join(s, RX_OR, base);
}

static rmr_rx derive_join(rmr_rx_set *s, const rx_node *n, unsigned b)
{
    const size_t base = s->scratch.n;
    for (uint32_t i = 0; i < n->b; i++)
        if (!rmr_rx_push(s, derive(s, s->kids.p[n->a + i], b))) break;
    return rmr_rx_join(s, (rx_kind)n->kind, base);
}

static rmr_rx derive_repeat(rmr_rx_set *s, const rx_node *n, unsigned b)
{
    const rmr_rx first = derive(s, n->a, b);
    if (first == RMR_RX_NONE) return first;
    const uint32_t max = n->max == RMR_RX_MANY ? n->max : n->max - 1;
    return rmr_rx_concat(s, first, rmr_rx_repeat(s, n->a, n->min > 0 ? n->min - 1 : 0, max));
}

static rmr_rx derive_multiple(rmr_rx_set *s, const rx_node *n, unsigned b)
{
    const unsigned mode = n->b & 0xFF, left = n->b >> 8;
    const uint64_t rem = (uint64_t)n->max << 32 | n->min, d = s->divisors[n->a];
    if (b == '.')
        return mode == RX_IN_WHOLE ? rmr_rx_multiple_state(s, n->a, rem, RX_AT_POINT, left)
                                   : RMR_RX_NONE;
    if (b < '0' || b > '9') return RMR_RX_NONE;
    const uint64_t next = (rem * 10 + (b - '0')) % d;
    if (mode < RX_AT_POINT) return rmr_rx_multiple_state(s, n->a, next, RX_IN_WHOLE, left);
    if (left > 0) return rmr_rx_multiple_state(s, n->a, next, RX_IN_FRACTION, left - 1);
    return b == '0' ? rmr_rx_multiple_state(s, n->a, rem, RX_IN_FRACTION, 0) : RMR_RX_NONE;
}

static rmr_rx derive_new(rmr_rx_set *s, rmr_rx a, unsigned b)
{
    const rx_node n = *rx_at(s, a);
    s->steps++;
    switch ((rx_kind)n.kind) {
    case RX_NONE:
    case RX_EMPTY: return RMR_RX_NONE;
    case RX_ANY: return RMR_RX_ANY;
    case RX_BYTES: return rx_has(&s->sets[n.a], b) ? RMR_RX_EMPTY : RMR_RX_NONE;
    case RX_CONCAT: return derive_concat(s, a, b);
    case RX_OR:
    case RX_AND: return derive_join(s, &n, b);
    case RX_NOT: return rmr_rx_not(s, derive(s, n.a, b));
    case RX_REPEAT: return derive_repeat(s, &n, b);
    case RX_MULTIPLE: return derive_multiple(s, &n, b);
    }
    return RMR_RX_NONE;
}

static rmr_rx derive(rmr_rx_set *s, rmr_rx a, unsigned b)
{
    if (rmr_rx_failed(s)) return RMR_RX_NONE;
    const rx_node *n = rx_at(s, a);
    /* What needs no memory: a byte, and a byte in front. */
    if (n->kind <= RX_BYTES) return derive_new(s, a, b);
    if (n->kind == RX_CONCAT && rx_at(s, n->a)->kind == RX_BYTES)
        return rx_has(&s->sets[rx_at(s, n->a)->a], b) ? n->b : RMR_RX_NONE;
    const unsigned byte = s->class_byte[s->class_of[b]];
    rx_memo *m = rmr_rx_memo_of(s, a, byte);
    if (m != NULL && m->of == a && m->byte == byte) return m->is;
    const rmr_rx r = derive_new(s, a, byte);
    m = rmr_rx_memo_of(s, a, byte); /* it may have grown */
    if (m != NULL && !rmr_rx_failed(s)) *m = (rx_memo){a, r, byte};
    return r;
}

rmr_rx rmr_rx_derive(rmr_rx_set *s, rmr_rx a, unsigned char b)
{
    return derive(s, a, b);
}

int rmr_rx_nullable(const rmr_rx_set *s, rmr_rx a)
{
    return (rx_at(s, a)->flags & RX_NULLABLE) != 0;
}

int rmr_rx_matches(rmr_rx_set *s, rmr_rx a, const char *text, size_t n)
{
    for (size_t i = 0; i < n && a != RMR_RX_NONE; i++) a = derive(s, a, (unsigned char)text[i]);
    return !rmr_rx_failed(s) && rmr_rx_nullable(s, a);
}

/* -- Whether some text is in a language -- */

/* 1 or 0 where it is known, else -1. */
static int known(const rmr_rx_set *s, rmr_rx a)
{
    const rx_node *n = rx_at(s, a);
    if (a == RMR_RX_NONE) return 0;
    if (n->flags & (RX_NULLABLE | RX_PLAIN)) return 1;
    return n->flags & RX_KNOWN ? (n->flags & RX_ALIVE) != 0 : -1;
}

static int visited(const rx_array *seen, rmr_rx a)
{
    /* An open table lies in the array: slots of 0 are free. */
    for (size_t at = a * 2654435761u & (seen->n - 1); seen->p[at] != 0;
         at = (at + 1) & (seen->n - 1))
        if (seen->p[at] == a) return 1;
    return 0;
}

static void visit(rx_array *seen, rmr_rx a)
{
    size_t at = a * 2654435761u & (seen->n - 1);
    while (seen->p[at] != 0) at = (at + 1) & (seen->n - 1);
    seen->p[at] = a;
}

static int enlarge(rmr_rx_set *s, rx_array *seen)
{
    rx_array more = {NULL, seen->n == 0 ? 64 : 4 * seen->n, 0};
    more.p = rmr_calloc(s->mem, more.n, sizeof *more.p);
    if (more.p == NULL) {
        rmr_rx_no_memory(s, more.n * sizeof *more.p);
        return 0;
    }
    for (size_t i = 0; i < seen->n; i++)
        if (seen->p[i] != 0) visit(&more, seen->p[i]);
    rmr_free(s->mem, seen->p, seen->n * sizeof *seen->p);
    *seen = more;
    return 1;
}

static void learn(rmr_rx_set *s, rmr_rx a, int alive)
{
    s->nodes[a].flags |= (uint8_t)(RX_KNOWN | (alive ? RX_ALIVE : 0));
}

/* Push the derivatives of the node that were not seen yet. Returns 1 when one of them is known not
 * to be empty. */
static int expand(rmr_rx_set *s, rmr_rx a, rx_array *seen, size_t *n_seen)
{
    uint8_t seen_part[256] = {0};
    rx_parts parts;
    rmr_rx_parts_begin(s, &parts);
    rmr_rx_parts_split(s, &parts, a);
    s->steps += (RX_PARTS_NODES - parts.left) / 16;
    for (unsigned c = 0; c < s->n_classes && !rmr_rx_failed(s); c++) {
        if (seen_part[parts.part[c]]) continue;
        seen_part[parts.part[c]] = 1;
        const rmr_rx d = derive(s, a, s->class_byte[c]);
        const int k = known(s, d);
        if (k == 1) return 1;
        if (k == 0 || visited(seen, d)) continue;
        if (2 * (*n_seen + 1) > seen->n && !enlarge(s, seen)) return 0;
        visit(seen, d);
        ++*n_seen;
        rmr_rx_push(s, d);
    }
    return 0;
}

int rmr_rx_live(rmr_rx_set *s, rmr_rx a, uint64_t *fuel)
{
    if (rmr_rx_failed(s)) return 1;
    const int k = known(s, a);
    if (k >= 0) return k;
    const size_t base = s->scratch.n;
    const uint64_t start = s->steps;
    rx_array seen = {NULL, 0, 0};
    size_t n_seen = 1;
    int alive = 0;
    if (!enlarge(s, &seen)) return 1;
    visit(&seen, a);
    rmr_rx_push(s, a);
    while (!alive && s->scratch.n > base && !rmr_rx_failed(s)) {
        alive = expand(s, s->scratch.p[--s->scratch.n], &seen, &n_seen);
        if (s->steps - start > *fuel)
            rmr_rx_fail(s, REMORA_E_LIMIT,
                        "whether a regular language is empty takes more steps than the limits of "
                        "the constraint have");
    }
    const uint64_t used = s->steps - start;
    *fuel -= used < *fuel ? used : *fuel;
    s->scratch.n = base;
    if (rmr_rx_failed(s))
        alive = 1;
    else if (alive)
        learn(s, a, 1);
    else
        for (size_t i = 0; i < seen.n; i++)
            if (seen.p[i] != 0) learn(s, seen.p[i], 0);
    rmr_free(s->mem, seen.p, seen.n * sizeof *seen.p);
    return alive;
}

/* -- Counters beyond the length of a text -- */

static rmr_rx saturate_one(rmr_rx_set *s, rmr_rx a, uint32_t n)
{
    const rx_node k = *rx_at(s, a);
    if (k.kind == RX_REPEAT && (k.min > n || (k.max > n && k.max != RMR_RX_MANY)))
        return rmr_rx_repeat(s, k.a, k.min > n ? n + 1 : k.min, k.max > n ? RMR_RX_MANY : k.max);
    return a;
}

static rmr_rx saturate_spine(rmr_rx_set *s, rmr_rx a, uint32_t n)
{
    enum { FAR = 16 }; /* parts behind are left as they are */
    const size_t base = s->scratch.n;
    int changed = 0;
    rmr_rx at = a;
    for (unsigned i = 0; i < FAR && rx_at(s, at)->kind == RX_CONCAT; i++, at = rx_at(s, at)->b) {
        const rmr_rx part = rx_at(s, at)->a, r = saturate_one(s, part, n);
        changed |= r != part;
        if (!rmr_rx_push(s, r)) break;
    }
    const rmr_rx tail = saturate_one(s, at, n);
    changed |= tail != at;
    if (changed && !rmr_rx_failed(s)) return rmr_rx_chain(s, base, tail);
    s->scratch.n = base;
    return a;
}

rmr_rx rmr_rx_saturate(rmr_rx_set *s, rmr_rx a, uint32_t n)
{
    if (rmr_rx_failed(s)) return a;
    const rx_node k = *rx_at(s, a);
    if (k.kind != RX_OR) return saturate_spine(s, a, n);
    if (k.b > 64) return a; /* as many as that are seldom counters */
    const size_t base = s->scratch.n;
    for (uint32_t i = 0; i < k.b; i++)
        if (!rmr_rx_push(s, saturate_spine(s, s->kids.p[k.a + i], n))) break;
    return rmr_rx_join(s, RX_OR, base);
}

/* -- Texts that are left out -- */

/* 1: the texts of a language are finitely many, as far as so many nodes show. */
static int finite(const rmr_rx_set *s, rmr_rx a, unsigned *nodes)
{
    while (*nodes > 0) {
        const rx_node *n = rx_at(s, a);
        --*nodes;
        switch ((rx_kind)n->kind) {
        case RX_NONE:
        case RX_EMPTY:
        case RX_BYTES: return 1;
        case RX_CONCAT:
            if (!finite(s, n->a, nodes)) return 0;
            a = n->b;
            break;
        case RX_OR:
            for (uint32_t i = 1; i < n->b; i++)
                if (!finite(s, s->kids.p[n->a + i], nodes)) return 0;
            a = s->kids.p[n->a];
            break;
        default: return 0;
        }
    }
    return 0;
}

rmr_rx rmr_rx_without_few(rmr_rx_set *s, rmr_rx a)
{
    enum { LOOK = 20000 };
    const rx_node whole = *rx_at(s, a), n = whole.kind == RX_CONCAT ? *rx_at(s, whole.a) : whole;
    const size_t base = s->scratch.n;
    unsigned nodes = LOOK;
    if (n.kind != RX_AND) return a;
    for (uint32_t i = 0; i < n.b; i++) {
        const rmr_rx kid = s->kids.p[n.a + i];
        const int few = rx_at(s, kid)->kind == RX_NOT && finite(s, rx_at(s, kid)->a, &nodes);
        if (!few && !rmr_rx_push(s, kid)) break;
    }
    s->steps += (LOOK - nodes) / 16;
    const rmr_rx more = rmr_rx_join(s, RX_AND, base);
    return whole.kind == RX_CONCAT ? rmr_rx_concat(s, more, whole.b) : more;
}
