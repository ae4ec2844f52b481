/* SPDX-License-Identifier: Apache-2.0 */
/* Which classes of bytes a language does not tell apart in the first byte of a text.
 *
 * A derivative looks at its byte only where a set of bytes, or a digit of a multiple, may come
 * first. Two classes that are in the same of those sets have the same derivative, node for node. */
#include <string.h>

#include "rx_set.h"

void rmr_rx_parts_begin(const rmr_rx_set *s, rx_parts *p)
{
    memset(p, 0, sizeof *p);
    memset(p->done, 0xFF, sizeof p->done);
    for (unsigned c = 0; c < s->n_classes; c++)
        p->reps[s->class_byte[c] / 64] |= UINT64_C(1) << (s->class_byte[c] % 64);
    p->n = 1;
    p->left = RX_PARTS_NODES;
    p->size[0] = (uint16_t)s->n_classes;
}

/* Parts that are partly in the set lose those classes to a new part. */
static void split(const rmr_rx_set *s, rx_parts *p, const rmr_byte_set *set)
{
    uint16_t in[256] = {0};
    uint8_t to[256] = {0}, classes[256], old[256]; /* to: the new part of a part, 0: none yet */
    unsigned n = 0;
    for (unsigned w = 0; w < 4; w++)
        for (uint64_t bits = set->bits[w] & p->reps[w]; bits != 0; bits &= bits - 1)
            classes[n++] = s->class_of[64 * w + (unsigned)__builtin_ctzll(bits)];
    for (unsigned i = 0; i < n; i++) {
        old[i] = p->part[classes[i]];
        in[old[i]]++;
    }
    for (unsigned i = 0; i < n; i++) {
        const unsigned o = old[i];
        if (in[o] == p->size[o]) continue;
        if (to[o] == 0) to[o] = (uint8_t)p->n++;
        p->part[classes[i]] = to[o];
        p->size[to[o]]++;
    }
    for (unsigned i = 0; i < n; i++) p->size[old[i]] -= p->part[classes[i]] != old[i];
}

static void split_by(const rmr_rx_set *s, rx_parts *p, uint32_t set)
{
    uint32_t *done = &p->done[set % (sizeof p->done / sizeof *p->done)];
    if (*done == set) return;
    *done = set;
    split(s, p, &s->sets[set]);
}

static void split_digits(const rmr_rx_set *s, rx_parts *p)
{
    static const char which[] = "0123456789.";
    for (unsigned i = 0; which[i] != 0; i++) {
        rmr_byte_set one = {{0}};
        const unsigned b = (unsigned char)which[i]; /* a class of its own (rmr_rx_multiple) */
        one.bits[b / 64] = UINT64_C(1) << (b % 64);
        split(s, p, &one);
    }
}

void rmr_rx_parts_split(const rmr_rx_set *s, rx_parts *p, rmr_rx a)
{
    while (p->left > 0) {
        const rx_node *n = rx_at(s, a);
        p->left--;
        switch ((rx_kind)n->kind) {
        case RX_NONE:
        case RX_EMPTY:
        case RX_ANY: return;
        case RX_BYTES: split_by(s, p, n->a); return;
        case RX_MULTIPLE: split_digits(s, p); return;
        case RX_NOT:
        case RX_REPEAT: a = n->a; break;
        case RX_CONCAT:
            if (rmr_rx_nullable(s, n->a)) {
                rmr_rx_parts_split(s, p, n->a);
                a = n->b;
            } else {
                a = n->a;
            }
            break;
        case RX_OR:
        case RX_AND:
            for (uint32_t i = 1; i < n->b; i++) rmr_rx_parts_split(s, p, s->kids.p[n->a + i]);
            a = s->kids.p[n->a];
            break;
        }
    }
    for (unsigned c = 0; c < s->n_classes; c++) p->part[c] = (uint8_t)c;
    p->n = s->n_classes;
}
