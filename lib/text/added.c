/* Search among sorted texts, narrowed byte by byte: no trie to build, nothing to backtrack. */
#include "added.h"

#include <string.h>

#include "sort.h"

static int compare(const void *pa, const void *pb)
{
    const rmr_added *a = pa, *b = pb;
    const int c = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (c != 0) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

remora_status rmr_added_index(rmr_mem *mem, rmr_added *items, uint32_t n, rmr_added_set *out,
                              remora_error *err)
{
    const size_t scratch_bytes = (size_t)n * (sizeof(void *) + sizeof *items);
    const void **order = rmr_alloc(mem, scratch_bytes);
    out->items = items;
    out->n = n;
    if (order == NULL) return rmr_error_nomem(err, "added tokens", scratch_bytes);
    rmr_added *copy = (rmr_added *)(void *)(order + n);
    for (uint32_t i = 0; i < n; i++) order[i] = &items[i];
    rmr_sort(order, n, compare);
    for (uint32_t i = 0; i < n; i++) copy[i] = *(const rmr_added *)order[i];
    memcpy(items, copy, n * sizeof *items);
    rmr_free(mem, order, scratch_bytes);
    for (uint32_t b = 0, i = 0; b <= 256; b++) {
        while (i < n && (unsigned char)items[i].text[0] < b) i++;
        out->first[b] = i;
    }
    return REMORA_OK;
}

void rmr_added_free(rmr_mem *mem, rmr_added_set *set)
{
    rmr_free(mem, set->items, (size_t)set->n * sizeof *set->items);
    set->items = NULL;
}

/* The first of items[lo..hi), all longer than d bytes, whose byte d is at least b. */
static uint32_t lower(const rmr_added *items, uint32_t lo, uint32_t hi, size_t d, unsigned b)
{
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)items[mid].text[d] < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static const rmr_added *longest_at(const rmr_added_set *set, const char *s, size_t n)
{
    const rmr_added *best = NULL;
    const unsigned b = (unsigned char)s[0];
    uint32_t lo = set->first[b], hi = set->first[b + 1];
    for (size_t d = 1; lo < hi; d++) { /* items[lo..hi) begin with s[0..d) */
        if (set->items[lo].len == d) best = &set->items[lo++];
        if (d == n) break;
        const unsigned c = (unsigned char)s[d];
        lo = lower(set->items, lo, hi, d, c);
        hi = lower(set->items, lo, hi, d, c + 1);
    }
    return best;
}

const rmr_added *rmr_added_find(const rmr_added_set *set, const char *s, size_t n, size_t from,
                                size_t *at)
{
    if (set->n == 0) return NULL;
    for (size_t i = from; i < n; i++) {
        const unsigned b = (unsigned char)s[i];
        if (set->first[b] == set->first[b + 1]) continue;
        const rmr_added *hit = longest_at(set, s + i, n - i);
        if (hit == NULL) continue;
        *at = i;
        return hit;
    }
    return NULL;
}

const rmr_added *rmr_added_get(const rmr_added_set *set, const char *s, size_t n)
{
    if (set->n == 0 || n == 0) return NULL;
    const rmr_added *hit = longest_at(set, s, n);
    return hit != NULL && hit->len == n ? hit : NULL;
}
