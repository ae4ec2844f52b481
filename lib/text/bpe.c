/* SPDX-License-Identifier: Apache-2.0 */
/* Merge rules sorted by pair; short words are merged by search, long ones with a heap. Both take
 * the same merges in the same order. */
#include "bpe.h"

#include <string.h>

#define NONE UINT32_MAX

enum { SHORT_WORD = 48 }; /* bytes; below this a linear search beats the heap */

typedef struct rmr_bpe_node {
    uint32_t id, rank,
        merged; /* the token, and the rule for it and its neighbour (rank NONE: no) */
    uint32_t prev, next;
} node;

/* Stable counting sort of merge numbers by one of the two ids: in -> out. */
static void sort_by(const rmr_bpe_merge *merges, int by_left, const uint32_t *in, uint32_t *out,
                    uint32_t n, uint32_t *first, uint32_t n_ids)
{
    memset(first, 0, ((size_t)n_ids + 1) * sizeof *first);
    for (uint32_t i = 0; i < n; i++) first[(by_left ? merges[i].left : merges[i].right) + 1]++;
    for (uint32_t i = 0; i < n_ids; i++) first[i + 1] += first[i];
    for (uint32_t i = 0; i < n; i++) {
        const rmr_bpe_merge *m = &merges[in[i]];
        out[first[by_left ? m->left : m->right]++] = in[i];
    }
}

/* Fill rules and first from the sorted merge numbers. Of equal pairs only the last is kept. */
static void fill(rmr_bpe_tables *bpe, const rmr_bpe_merge *merges, const uint32_t *order,
                 uint32_t n)
{
    uint32_t k = 0, left = 0;
    for (uint32_t i = 0; i < n; i++) {
        const rmr_bpe_merge *m = &merges[order[i]];
        if (i + 1 < n && merges[order[i + 1]].left == m->left &&
            merges[order[i + 1]].right == m->right)
            continue;
        for (; left <= m->left; left++) bpe->first[left] = k;
        bpe->rules[k++] = (rmr_bpe_rule){m->right, order[i], m->merged};
    }
    RMR_ASSERT(k == bpe->n_rules);
    for (; left <= bpe->n_ids; left++) bpe->first[left] = k;
}

static int same_pair(const rmr_bpe_merge *a, const rmr_bpe_merge *b)
{
    return a->left == b->left && a->right == b->right;
}

remora_status rmr_bpe_build(rmr_mem *mem, const rmr_bpe_merge *merges, uint32_t n, uint32_t n_ids,
                            rmr_bpe_tables *out, remora_error *err)
{
    const size_t order_bytes = (size_t)n * 2 * sizeof(uint32_t);
    remora_status st = REMORA_OK;
    uint32_t n_rules = 0;
    uint32_t *a = rmr_alloc(mem, order_bytes);
    out->n_ids = n_ids;
    out->first = rmr_alloc(mem, ((size_t)n_ids + 1) * sizeof *out->first);
    if (a == NULL || out->first == NULL) {
        st = rmr_error_nomem(err, "merges", order_bytes);
        goto out;
    }
    uint32_t *b = a + n;
    for (uint32_t i = 0; i < n; i++) a[i] = i;
    sort_by(merges, 0, a, b, n, out->first, n_ids);
    sort_by(merges, 1, b, a, n, out->first, n_ids);
    for (uint32_t i = 0; i < n; i++)
        n_rules += i + 1 == n || !same_pair(&merges[a[i]], &merges[a[i + 1]]);
    out->n_rules = n_rules;
    out->rules = rmr_calloc(mem, n_rules, sizeof *out->rules);
    if (out->rules == NULL) {
        st = rmr_error_nomem(err, "merges", (uint64_t)n_rules * sizeof *out->rules);
        goto out;
    }
    fill(out, merges, a, n);
out:
    rmr_free(mem, a, order_bytes);
    return st;
}

void rmr_bpe_free(rmr_mem *mem, rmr_bpe_tables *bpe)
{
    rmr_free(mem, bpe->first, ((size_t)bpe->n_ids + 1) * sizeof *bpe->first);
    rmr_free(mem, bpe->rules, (size_t)bpe->n_rules * sizeof *bpe->rules);
    bpe->first = NULL;
    bpe->rules = NULL;
}

void rmr_bpe_scratch_free(rmr_mem *mem, rmr_bpe_scratch *s)
{
    rmr_free(mem, s->nodes, s->n_nodes * sizeof *s->nodes);
    rmr_free(mem, s->heap, s->n_heap * sizeof *s->heap);
    memset(s, 0, sizeof *s);
}

/* The rule for (left, right): its rank and result into the left node. */
static void look_up(const rmr_bpe *bpe, node *left, uint32_t right)
{
    left->rank = NONE;
    if (left->id >= bpe->n_ids) return;
    uint32_t lo = bpe->first[left->id], hi = bpe->first[left->id + 1];
    if (hi > bpe->n_rules) hi = bpe->n_rules;
    const uint32_t end = hi;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (bpe->rules[mid].right < right)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo >= end || bpe->rules[lo].right != right) return;
    left->rank = bpe->rules[lo].rank;
    left->merged = bpe->rules[lo].merged;
}

/* Make a node for each byte that has a token; returns their number. */
static size_t take_bytes(const rmr_bpe *bpe, const unsigned char *s, size_t n, node *w)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t id = bpe->byte_id[s[i]];
        if (id != RMR_BPE_NO_TOKEN) w[k++].id = id;
    }
    return k;
}

static size_t merge_short(const rmr_bpe *bpe, const unsigned char *s, size_t n, int32_t *out)
{
    node w[SHORT_WORD];
    RMR_ASSERT(n <= SHORT_WORD);
    n = take_bytes(bpe, s, n, w);
    if (n == 0) return 0;
    for (size_t i = 0; i + 1 < n; i++) look_up(bpe, &w[i], w[i + 1].id);
    w[n - 1].rank = NONE;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (w[i].rank < w[best].rank) best = i;
        if (w[best].rank == NONE) break;
        RMR_ASSERT(best + 1 < n);
        w[best].id = w[best].merged;
        n--;
        memmove(&w[best + 1], &w[best + 2], (n - best - 1) * sizeof w[0]);
        if (best + 1 < n)
            look_up(bpe, &w[best], w[best + 1].id);
        else
            w[best].rank = NONE;
        if (best > 0) look_up(bpe, &w[best - 1], w[best].id);
    }
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)w[i].id;
    return n;
}

/* Heap of rank << 32 | position: smallest rank first, leftmost of equals. */
static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    const uint64_t moving = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= moving) break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

static void sift_up(uint64_t *heap, size_t i)
{
    const uint64_t moving = heap[i];
    for (; i > 0 && heap[(i - 1) / 2] > moving; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = moving;
}

static void push(uint64_t *heap, size_t *n, const node *w, uint32_t at)
{
    if (w[at].rank == NONE) return;
    RMR_ASSERT(at < NONE);
    heap[*n] = (uint64_t)w[at].rank << 32 | at;
    sift_up(heap, (*n)++);
}

/* Room for 2n entries is enough, because every merge takes one entry out and puts at most two in.
 * An entry is stale when its node has another rule by now or was swallowed (rank NONE). */
static size_t merge_long(const rmr_bpe *bpe, node *w, uint64_t *heap, const unsigned char *s,
                         uint32_t n, int32_t *out)
{
    size_t n_heap = 0, k = 0;
    n = (uint32_t)take_bytes(bpe, s, n, w);
    if (n == 0) return 0;
    for (uint32_t i = 0; i < n; i++) {
        w[i].prev = i == 0 ? NONE : i - 1;
        w[i].next = i + 1 == n ? NONE : i + 1;
        w[i].rank = NONE;
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        look_up(bpe, &w[i], w[i + 1].id);
        if (w[i].rank != NONE) heap[n_heap++] = (uint64_t)w[i].rank << 32 | i;
    }
    for (size_t i = n_heap / 2; i-- > 0;) sift_down(heap, n_heap, i);
    while (n_heap > 0) {
        const uint32_t rank = (uint32_t)(heap[0] >> 32), at = (uint32_t)heap[0];
        heap[0] = heap[--n_heap];
        if (n_heap > 0) sift_down(heap, n_heap, 0);
        if (w[at].rank != rank) continue;
        const uint32_t gone = w[at].next;
        RMR_ASSERT(gone < n && w[gone].prev == at && n_heap < 2 * (size_t)n);
        w[at].id = w[at].merged;
        w[at].next = w[gone].next;
        w[gone].rank = NONE;
        w[at].rank = NONE;
        if (w[at].next != NONE) {
            w[w[at].next].prev = at;
            look_up(bpe, &w[at], w[w[at].next].id);
            push(heap, &n_heap, w, at);
        }
        if (w[at].prev != NONE) {
            look_up(bpe, &w[w[at].prev], w[at].id);
            push(heap, &n_heap, w, w[at].prev);
        }
    }
    for (uint32_t i = 0; i != NONE; i = w[i].next) out[k++] = (int32_t)w[i].id;
    return k;
}

static remora_status check_ids(const rmr_bpe *bpe, const int32_t *ids, size_t n, remora_error *err)
{
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)ids[i] >= bpe->n_ids)
            RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: is damaged: token %u of %u",
                     (uint32_t)ids[i], bpe->n_ids);
    return REMORA_OK;
}

remora_status rmr_bpe_word(rmr_mem *mem, const rmr_bpe *bpe, rmr_bpe_scratch *scratch,
                           const unsigned char *s, size_t n, int32_t *out, size_t *n_out,
                           remora_error *err)
{
    *n_out = 0;
    if (n == 0) return REMORA_OK;
    if (n <= SHORT_WORD) {
        *n_out = merge_short(bpe, s, n, out);
        return check_ids(bpe, out, *n_out, err);
    }
    if (n >= NONE) RMR_FAIL(err, REMORA_E_ARG, "a word of %zu bytes is too long", n);
    RMR_TRY(rmr_grow(mem, &scratch->nodes, &scratch->n_nodes, n, sizeof *scratch->nodes, err));
    RMR_TRY(rmr_grow(mem, &scratch->heap, &scratch->n_heap, 2 * n, sizeof *scratch->heap, err));
    *n_out = merge_long(bpe, scratch->nodes, scratch->heap, s, (uint32_t)n, out);
    return check_ids(bpe, out, *n_out, err);
}
