/* SPDX-License-Identifier: Apache-2.0 */
/* Search among sorted texts, narrowed byte by byte: no trie to build, nothing to backtrack. */
#include "added.h"

#include <string.h>

#include "sort.h"

typedef struct sortable {
    uint64_t key; /* the first bytes as a number, zeros behind the end: most pairs differ in it, and
                     the texts of a large vocabulary are not in the cache */
    const char *text;
    rmr_added item;
} sortable;

static uint64_t first_bytes(const char *s, uint32_t n)
{
    uint64_t key = 0;
    for (uint32_t i = 0; i < 8; i++) key = key << 8 | (i < n ? (unsigned char)s[i] : 0u);
    return key;
}

static int compare(const void *pa, const void *pb)
{
    const sortable *a = pa, *b = pb;
    const uint32_t n = a->item.len < b->item.len ? a->item.len : b->item.len;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    const int c = memcmp(a->text, b->text, n);
    if (c != 0) return c;
    if (a->item.len != b->item.len) return a->item.len < b->item.len ? -1 : 1;
    return a->item.id < b->item.id ? -1 : a->item.id > b->item.id;
}

remora_status rmr_added_index(rmr_mem *mem, const char *arena, rmr_added *items, uint32_t n,
                              uint32_t *first, remora_error *err)
{
    const size_t scratch_bytes = (size_t)n * (sizeof(sortable) + sizeof(void *));
    sortable *copy = rmr_alloc(mem, scratch_bytes);
    if (copy == NULL) return rmr_error_nomem(err, "added tokens", scratch_bytes);
    const void **order = (const void **)(void *)(copy + n);
    for (uint32_t i = 0; i < n; i++) {
        const char *text = arena + items[i].text;
        copy[i] = (sortable){first_bytes(text, items[i].len), text, items[i]};
        order[i] = &copy[i];
    }
    rmr_sort(order, n, compare);
    for (uint32_t i = 0; i < n; i++) items[i] = ((const sortable *)order[i])->item;
    rmr_free(mem, copy, scratch_bytes);
    for (uint32_t b = 0, i = 0; b < RMR_ADDED_FIRST; b++) {
        while (i < n && (unsigned char)arena[items[i].text] < b) i++;
        first[b] = i;
    }
    return REMORA_OK;
}

/* Byte d of an item; behind its end 256, which is above every byte. */
static unsigned byte_at(const rmr_added_set *set, uint32_t i, size_t d)
{
    const rmr_added *a = &set->items[i];
    if (d >= a->len || a->text >= set->arena_size || d >= set->arena_size - a->text) return 256;
    return (unsigned char)set->arena[a->text + d];
}

/* The first of items[lo..hi) whose byte d is at least b. */
static uint32_t lower(const rmr_added_set *set, uint32_t lo, uint32_t hi, size_t d, unsigned b)
{
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (byte_at(set, mid, d) < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int is_wanted(const rmr_added_set *set, const rmr_added *a, uint8_t mask)
{
    return mask == 0 || (a->id < set->n_ids && (set->flags[a->id] & mask) != 0);
}

static const rmr_added *longest_at(const rmr_added_set *set, uint8_t mask, const char *s, size_t n)
{
    const rmr_added *best = NULL;
    const unsigned b = (unsigned char)s[0];
    RMR_ASSERT(n > 0);
    uint32_t lo = set->first[b], hi = set->first[b + 1];
    if (hi > set->n) hi = set->n;
    for (size_t d = 1; lo < hi; d++) { /* items[lo..hi) begin with s[0..d) */
        if (set->items[lo].len == d) {
            if (is_wanted(set, &set->items[lo], mask)) best = &set->items[lo];
            lo++;
        }
        if (d == n) break;
        const unsigned c = (unsigned char)s[d];
        lo = lower(set, lo, hi, d, c);
        hi = lower(set, lo, hi, d, c + 1);
    }
    return best;
}

const rmr_added *rmr_added_find(const rmr_added_set *set, uint8_t mask, const char *s, size_t n,
                                size_t from, size_t *at)
{
    if (set->n == 0) return NULL;
    for (size_t i = from; i < n; i++) {
        const unsigned b = (unsigned char)s[i];
        if (set->first[b] == set->first[b + 1]) continue;
        const rmr_added *hit = longest_at(set, mask, s + i, n - i);
        if (hit == NULL) continue;
        *at = i;
        return hit;
    }
    return NULL;
}

const rmr_added *rmr_added_get(const rmr_added_set *set, const char *s, size_t n)
{
    if (set->n == 0 || n == 0) return NULL;
    const rmr_added *hit = longest_at(set, 0, s, n);
    return hit != NULL && hit->len == n ? hit : NULL;
}
