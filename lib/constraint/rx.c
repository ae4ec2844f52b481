/* SPDX-License-Identifier: Apache-2.0 */
/* The set itself: nodes by their content, byte sets and their classes, and what went wrong. */
#include <string.h>

#include "rx_set.h"

enum { FIRST_SLOTS = 256, MOST_MEMO = 1 << 15 };

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

rmr_rx rmr_rx_fail(rmr_rx_set *s, remora_status status, const char *text)
{
    s->error.struct_size = sizeof s->error;
    if (s->status == REMORA_OK) s->status = rmr_error_set(&s->error, status, 0, "%s", text);
    return RMR_RX_NONE;
}

remora_status rmr_rx_status(const rmr_rx_set *s, remora_error *err)
{
    if (s->status == REMORA_OK) return REMORA_OK;
    RMR_FAIL(err, s->status, "%s", s->error.message);
}

int rmr_rx_failed(const rmr_rx_set *s)
{
    return s->status != REMORA_OK;
}

remora_status rmr_rx_lack(const rmr_mem *mem, uint64_t bytes, remora_error *err)
{
    const rmr_budget *b = mem->budget;
    if (b != NULL && bytes > b->limit - b->used)
        RMR_FAIL(err, REMORA_E_LIMIT,
                 "the constraint needs more memory than its limit \"bytes\" has");
    return rmr_error_nomem(err, "a constraint", bytes);
}

rmr_rx rmr_rx_no_memory(rmr_rx_set *s, uint64_t bytes)
{
    s->error.struct_size = sizeof s->error;
    if (s->status == REMORA_OK) s->status = rmr_rx_lack(s->mem, bytes, &s->error);
    return RMR_RX_NONE;
}

/* Room for n more of a growing array of the set. 0: failed. */
static int room(rmr_rx_set *s, void *items, size_t *cap, size_t need, size_t size)
{
    if (s->status != REMORA_OK) return 0;
    if (need <= *cap) return 1;
    if (rmr_grow(s->mem, items, cap, need, size, NULL) >= 0) return 1;
    rmr_rx_no_memory(s, (uint64_t)need * size);
    return 0;
}

int rmr_rx_push(rmr_rx_set *s, uint32_t v)
{
    rx_array *a = &s->scratch;
    if (!room(s, &a->p, &a->cap, a->n + 1, sizeof *a->p)) return 0;
    a->p[a->n++] = v;
    return 1;
}

/* -- Byte sets -- */

/* Split the classes that the set cuts in two. */
static void refine(rmr_rx_set *s, const rmr_byte_set *set)
{
    uint8_t inside[256], outside[256];
    memset(inside, 0, sizeof inside);
    memset(outside, 0, sizeof outside);
    for (unsigned b = 0; b < 256; b++) (rx_has(set, b) ? inside : outside)[s->class_of[b]] = 1;
    unsigned n = s->n_classes, to[256];
    for (unsigned c = 0; c < s->n_classes; c++) to[c] = inside[c] && outside[c] ? n++ : c;
    if (n == s->n_classes) return;
    for (unsigned b = 256; b-- > 0;) {
        if (rx_has(set, b)) s->class_of[b] = (uint8_t)to[s->class_of[b]];
        s->class_byte[s->class_of[b]] = (uint8_t)b;
    }
    s->n_classes = n;
}

uint32_t rmr_rx_byte_set_id(rmr_rx_set *s, const rmr_byte_set *set)
{
    /* A search from the newest: sets are few, but for hostile input, whose steps are counted. */
    for (size_t i = s->n_sets; i-- > 0;)
        if (memcmp(&s->sets[i], set, sizeof *set) == 0) return (uint32_t)i;
    s->steps += s->n_sets / 8;
    if (!room(s, &s->sets, &s->cap_sets, s->n_sets + 1, sizeof *set)) return 0;
    s->sets[s->n_sets] = *set;
    refine(s, set);
    return (uint32_t)s->n_sets++;
}

void rmr_rx_all_classes(rmr_rx_set *s)
{
    for (unsigned b = 0; b < 256; b++) s->class_of[b] = s->class_byte[b] = (uint8_t)b;
    s->n_classes = 256;
}

/* -- Nodes -- */

static uint64_t hash_node(const rmr_rx_set *s, const rx_node *n)
{
    uint64_t h = mix(n->kind, (uint64_t)n->min << 32 | n->max);
    if (n->kind != RX_OR && n->kind != RX_AND) return mix(h, (uint64_t)n->a << 32 | n->b);
    for (uint32_t i = 0; i < n->b; i++) h = mix(h, s->kids.p[n->a + i]);
    return h;
}

static int same_node(const rmr_rx_set *s, const rx_node *x, const rx_node *y)
{
    if (x->kind != y->kind || x->b != y->b || x->min != y->min || x->max != y->max) return 0;
    if (x->kind != RX_OR && x->kind != RX_AND) return x->a == y->a;
    return memcmp(s->kids.p + x->a, s->kids.p + y->a, x->b * sizeof(uint32_t)) == 0;
}

static int grow_slots(rmr_rx_set *s)
{
    size_t n = s->n_slots == 0 ? FIRST_SLOTS : 2 * s->n_slots;
    while (n <= 2 * (s->n_nodes + 1)) n *= 2;
    uint32_t *slots = rmr_calloc(s->mem, n, sizeof *slots);
    if (slots == NULL) {
        rmr_rx_no_memory(s, n * sizeof *slots);
        return 0;
    }
    for (size_t i = 3; i < s->n_nodes; i++) {
        size_t at = hash_node(s, &s->nodes[i]) & (n - 1);
        while (slots[at] != 0) at = (at + 1) & (n - 1);
        slots[at] = (uint32_t)i;
    }
    rmr_free(s->mem, s->slots, s->n_slots * sizeof *slots);
    s->slots = slots;
    s->n_slots = n;
    return 1;
}

/* Calls that the derivative of a concatenation nests: its tail is gone along in a loop. */
static unsigned concat_depth(const rmr_rx_set *s, const rx_node *n)
{
    const rx_node *head = rx_at(s, n->a), *tail = rx_at(s, n->b);
    unsigned d = 1u + head->depth;
    if (head->flags & RX_NULLABLE) {
        const unsigned t = tail->kind == RX_CONCAT ? tail->depth : 1u + tail->depth;
        if (t > d) d = t;
    }
    return d;
}

static unsigned multiple_ends(const rmr_rx_set *s, const rx_node *n)
{
    const unsigned mode = n->b & 0xFF, left = n->b >> 8;
    if (mode != RX_IN_WHOLE && mode != RX_IN_FRACTION) return 0;
    uint64_t r = (uint64_t)n->max << 32 | n->min;
    for (unsigned i = 0; i < left; i++) r = r * 10 % s->divisors[n->a];
    return r == 0;
}

/* Whether all (of an AND) or any (of an OR) of the kids have a flag; `depth` is their largest. */
static unsigned kids_flags(const rmr_rx_set *s, const rx_node *n, unsigned *depth)
{
    unsigned all = RX_NULLABLE | RX_PLAIN, any = 0;
    for (uint32_t i = 0; i < n->b; i++) {
        const rx_node *k = rx_at(s, s->kids.p[n->a + i]);
        all &= k->flags;
        any |= k->flags;
        if (k->depth > *depth) *depth = k->depth;
    }
    if (n->kind == RX_AND) return all & RX_NULLABLE;
    return (all & RX_PLAIN) | (any & RX_NULLABLE);
}

static void settle(const rmr_rx_set *s, rx_node *n)
{
    unsigned flags = RX_PLAIN, depth = 0;
    const rx_node *a;
    switch ((rx_kind)n->kind) {
    case RX_NONE:
    case RX_BYTES: break;
    case RX_EMPTY:
    case RX_ANY: flags |= RX_NULLABLE; break;
    case RX_CONCAT:
        flags = rx_at(s, n->a)->flags & rx_at(s, n->b)->flags & (RX_PLAIN | RX_NULLABLE);
        depth = concat_depth(s, n);
        break;
    case RX_OR:
    case RX_AND:
        flags = kids_flags(s, n, &depth);
        depth++;
        break;
    case RX_NOT:
        a = rx_at(s, n->a);
        flags = (unsigned)(a->flags & RX_NULLABLE) ^ RX_NULLABLE;
        depth = a->depth + 1u;
        break;
    case RX_REPEAT:
        a = rx_at(s, n->a);
        flags = a->flags & RX_PLAIN;
        if (n->min == 0) flags |= RX_NULLABLE;
        depth = a->depth + 1u;
        break;
    case RX_MULTIPLE:
        if (multiple_ends(s, n)) flags |= RX_NULLABLE;
        break;
    }
    n->flags = (uint8_t)flags;
    n->depth = (uint16_t)depth;
}

rmr_rx rmr_rx_intern(rmr_rx_set *s, rx_node n)
{
    if (s->status != REMORA_OK) return RMR_RX_NONE;
    if (2 * (s->n_nodes + 1) > s->n_slots && !grow_slots(s)) return RMR_RX_NONE;
    size_t at = hash_node(s, &n) & (s->n_slots - 1);
    for (; s->slots[at] != 0; at = (at + 1) & (s->n_slots - 1))
        if (same_node(s, &s->nodes[s->slots[at]], &n)) return s->slots[at];
    settle(s, &n);
    if (n.depth > RX_MAX_DEPTH)
        return rmr_rx_fail(
            s, REMORA_E_LIMIT,
            "a regular expression is nested too deeply: at most 250 levels are supported");
    if (s->n_nodes >= s->max_nodes)
        return rmr_rx_fail(
            s, REMORA_E_LIMIT,
            "the constraint needs more nodes of regular languages than its limit \"nodes\" has");
    if (!room(s, &s->nodes, &s->cap_nodes, s->n_nodes + 1, sizeof n)) return RMR_RX_NONE;
    s->nodes[s->n_nodes] = n;
    s->slots[at] = (uint32_t)s->n_nodes;
    return (rmr_rx)s->n_nodes++;
}

rmr_rx rmr_rx_intern_kids(rmr_rx_set *s, rx_kind kind, const uint32_t *kids, size_t n)
{
    rx_array *a = &s->kids;
    const size_t base = a->n, known = s->n_nodes;
    if (n > UINT32_MAX - base || !room(s, &a->p, &a->cap, base + n, sizeof *a->p))
        return RMR_RX_NONE;
    memcpy(a->p + base, kids, n * sizeof *kids);
    a->n += n;
    const rmr_rx r =
        rmr_rx_intern(s, (rx_node){.kind = (uint8_t)kind, .a = (uint32_t)base, .b = (uint32_t)n});
    if (s->n_nodes == known) a->n = base; /* it was there */
    return r;
}

/* -- The set -- */

remora_status rmr_rx_set_new(rmr_mem *mem, uint32_t max_nodes, rmr_rx_set **out, remora_error *err)
{
    rmr_rx_set *s = rmr_calloc(mem, 1, sizeof *s);
    if (s == NULL) return rmr_error_nomem(err, "a constraint", sizeof *s);
    s->mem = mem;
    s->max_nodes = max_nodes;
    s->n_classes = 1;
    if (room(s, &s->nodes, &s->cap_nodes, 64, sizeof *s->nodes)) {
        static const rx_kind first[] = {RX_NONE, RX_EMPTY, RX_ANY};
        for (; s->n_nodes < 3; s->n_nodes++) {
            s->nodes[s->n_nodes] = (rx_node){.kind = (uint8_t)first[s->n_nodes]};
            settle(s, &s->nodes[s->n_nodes]);
        }
    }
    const remora_status st = rmr_rx_status(s, err);
    if (st < 0) {
        rmr_rx_set_free(s);
        return RMR_PASSED_ON(st);
    }
    *out = s;
    return REMORA_OK;
}

void rmr_rx_set_free(rmr_rx_set *s)
{
    if (s == NULL) return;
    rmr_mem *m = s->mem;
    rmr_free(m, s->nodes, s->cap_nodes * sizeof *s->nodes);
    rmr_free(m, s->slots, s->n_slots * sizeof *s->slots);
    rmr_free(m, s->sets, s->cap_sets * sizeof *s->sets);
    rmr_free(m, s->kids.p, s->kids.cap * sizeof *s->kids.p);
    rmr_free(m, s->scratch.p, s->scratch.cap * sizeof *s->scratch.p);
    rmr_free(m, s->memo, s->n_memo * sizeof *s->memo);
    rmr_free(m, s->divisors, s->cap_divisors * sizeof *s->divisors);
    rmr_free(m, s, sizeof *s);
}

rx_memo *rmr_rx_memo_of(rmr_rx_set *s, rmr_rx a, unsigned byte)
{
    if (s->n_memo < MOST_MEMO && s->n_memo < s->n_nodes) {
        const size_t n = s->n_memo == 0 ? RX_FIRST_MEMO : RX_MEMO_GROWS * s->n_memo;
        rx_memo *m = rmr_calloc(s->mem, n, sizeof *m);
        if (m != NULL) { /* else the small one goes on */
            rmr_free(s->mem, s->memo, s->n_memo * sizeof *s->memo);
            s->memo = m;
            s->n_memo = n;
        }
    }
    if (s->n_memo == 0) return NULL;
    return &s->memo[mix(a, byte) & (s->n_memo - 1)];
}

/* Give back room of an array beyond n elements; where that fails it stays. */
static void shrink(rmr_rx_set *s, void *items, size_t *cap, size_t n, size_t size)
{
    void *p;
    memcpy(&p, items, sizeof p);
    if (*cap <= 2 * n + 64) return;
    void *q = rmr_resize(s->mem, p, *cap * size, (n + 64) * size);
    if (q == NULL) return;
    memcpy(items, &q, sizeof q);
    *cap = n + 64;
}

void rmr_rx_mark(rmr_rx_set *s)
{
    s->mark.nodes = s->n_nodes;
    s->mark.kids = s->kids.n;
    s->mark.sets = s->n_sets;
}

/* Nodes are cut off, and memory that only they needed is given back: half of what there was may be
 * in the way of what comes. The table of slots is filled anew when it is needed. */
void rmr_rx_reset(rmr_rx_set *s)
{
    s->status = REMORA_OK;
    s->steps = 0;
    s->n_nodes = s->mark.nodes;
    s->kids.n = s->mark.kids;
    s->scratch.n = 0;
    for (size_t i = 0; i < s->n_nodes; i++) s->nodes[i].flags &= (uint8_t) ~(RX_KNOWN | RX_ALIVE);
    rmr_free(s->mem, s->slots, s->n_slots * sizeof *s->slots);
    rmr_free(s->mem, s->memo, s->n_memo * sizeof *s->memo);
    s->slots = NULL;
    s->memo = NULL;
    s->n_memo = 0;
    s->n_slots = 0;
    shrink(s, &s->nodes, &s->cap_nodes, s->n_nodes, sizeof *s->nodes);
    shrink(s, &s->kids.p, &s->kids.cap, s->kids.n, sizeof *s->kids.p);
    shrink(s, &s->scratch.p, &s->scratch.cap, 0, sizeof *s->scratch.p);
}
