/* SPDX-License-Identifier: Apache-2.0 */
/* Merge rules for a vocabulary of ranks, as tiktoken has it: two neighbours are joined when the
 * bytes of both together are a token, the token of the lowest rank first.
 *
 * Every cut of a token into two tokens is a rule. A token may have several, but a merge happens by
 * one of them only: until bytes are joined across the ends of a stretch of text, the merges inside
 * it do not depend on the rest, so the stretch always comes down to the same last two parts. Rules
 * of one token therefore never compete, and their order among themselves is of no account.
 *
 * Cuts are found without a hash table, in time that grows with the bytes of all tokens: the tokens
 * that a token begins with are a chain from one to the next shorter one, and so are those that it
 * ends with; a cut is one of each whose lengths add up.
 *
 * They are found twice, to be counted and then to be put where the counts say. Nothing that a file
 * can make large is allocated before the count is known to be one of a vocabulary. */
#include <string.h>

#include "tok.h"

#define NONE UINT32_MAX

/* Real vocabularies have 2 or 3 rules a token. Long runs of tokens that differ by one byte, and all
 * words over two letters, have many more; a vocabulary made of nothing else is no vocabulary, and
 * its rules would take many times the memory of its file. */
enum { MAX_CUTS_PER_TOKEN = 6, MAX_CUTS_MORE = 65536 };

typedef struct half { /* a cut but for its right token */
    uint32_t left, rank, merged;
} half;

typedef struct cutter {
    rmr_tok_parts *t;
    uint32_t n;
    uint32_t *prefix, *suffix; /* [n] the longest other token that token i begins or ends with */
    uint32_t *tails;           /* the tokens that one token ends with, the longest first */
    size_t tails_cap;
    uint32_t *by_right; /* [n + 1] where in `cuts` those with right token i begin */
    half *cuts;         /* [bpe.n_rules] */
    uint32_t n_cuts;
    remora_error *err;
} cutter;

typedef void see_cut(cutter *c, uint32_t left, uint32_t right, uint32_t id);

static uint32_t length(const rmr_tok_parts *t, uint32_t id)
{
    return t->offset[id + 1] - t->offset[id];
}

/* Set prefix[i] for every token. `items` are sorted by their texts in `arena`, which all differ. A
 * token that an item begins with comes before it, and everything between the two begins with that
 * token as well. */
static void link_prefixes(const rmr_tok_parts *t, const char *arena, const rmr_added *items,
                          uint32_t n, uint32_t *prefix)
{
    uint32_t before = NONE;
    for (uint32_t i = 0; i < n; i++) {
        const rmr_added *a = &items[i];
        while (before != NONE &&
               (length(t, before) >= a->len ||
                memcmp(arena + t->offset[before], arena + a->text, length(t, before)) != 0))
            before = prefix[before];
        prefix[a->id] = before;
        before = a->id;
    }
}

/* Set suffix[i] for every token: the prefixes of the tokens with their bytes turned round. */
static remora_status link_suffixes(cutter *c)
{
    const rmr_tok_parts *t = c->t;
    rmr_tok_added turned = {.n = c->n};
    remora_status st;
    char *arena = rmr_alloc(t->mem, t->arena_size);
    turned.items = rmr_calloc(t->mem, c->n, sizeof *turned.items);
    if (arena == NULL || turned.items == NULL) {
        st = rmr_error_nomem(c->err, "merges", t->arena_size);
        goto out;
    }
    memcpy(turned.items, t->words.items, c->n * sizeof *turned.items);
    for (uint32_t i = 0; i < c->n; i++) {
        const uint32_t len = turned.items[i].len, at = turned.items[i].text;
        for (uint32_t k = 0; k < len; k++) arena[at + k] = t->arena[at + len - 1 - k];
    }
    st = rmr_added_index(t->mem, arena, turned.items, c->n, turned.first, c->err);
    if (st >= 0) link_prefixes(t, arena, turned.items, c->n, c->suffix);
out:
    rmr_free(t->mem, turned.items, c->n * sizeof *turned.items);
    rmr_free(t->mem, arena, t->arena_size);
    return st;
}

/* Call `see` for every cut of a token. */
static remora_status cut(cutter *c, uint32_t id, see_cut *see)
{
    const rmr_tok_parts *t = c->t;
    size_t n = 0;
    for (uint32_t s = c->suffix[id]; s != NONE; s = c->suffix[s]) {
        RMR_TRY(rmr_grow(t->mem, &c->tails, &c->tails_cap, n + 1, sizeof *c->tails, c->err));
        c->tails[n++] = s;
    }
    for (uint32_t p = c->prefix[id]; p != NONE; p = c->prefix[p]) {
        const uint32_t rest = length(t, id) - length(t, p);
        while (n > 0 && length(t, c->tails[n - 1]) < rest) n--;
        if (n > 0 && length(t, c->tails[n - 1]) == rest) see(c, p, c->tails[n - 1], id);
    }
    return REMORA_OK;
}

static void count(cutter *c, uint32_t left, uint32_t right, uint32_t id)
{
    (void)id;
    c->t->bpe.first[left]++;
    c->by_right[right]++;
    c->n_cuts++;
}

/* Count the cuts of each left and each right token, and let every count become the end of its
 * token's place. */
static remora_status count_all(cutter *c)
{
    rmr_bpe_tables *bpe = &c->t->bpe;
    const uint32_t limit = c->n * MAX_CUTS_PER_TOKEN + MAX_CUTS_MORE; /* n is at most 2^24 */
    for (uint32_t id = 0; id < c->n; id++) {
        RMR_TRY(cut(c, id, count));
        if (c->n_cuts > limit)
            RMR_FAIL(c->err, REMORA_E_FORMAT,
                     "%s: its %u tokens are made of each other in above %u ways, far too many "
                     "(real files have 2 or 3 for each)",
                     c->t->file, c->n, limit);
    }
    for (uint32_t i = 0; i < c->n; i++) c->by_right[i + 1] += c->by_right[i];
    for (uint32_t i = 0; i < bpe->n_ids; i++) bpe->first[i + 1] += bpe->first[i];
    bpe->n_rules = c->n_cuts;
    return REMORA_OK;
}

static void place(cutter *c, uint32_t left, uint32_t right, uint32_t id)
{
    RMR_ASSERT(c->by_right[right] > 0 && c->n_cuts < c->t->bpe.n_rules);
    c->cuts[--c->by_right[right]] = (half){left, c->n_cuts++, id};
}

/* Sort the cuts by their right tokens. */
static remora_status place_all(cutter *c)
{
    const uint32_t n = c->t->bpe.n_rules;
    c->cuts = rmr_calloc(c->t->mem, n, sizeof *c->cuts);
    if (c->cuts == NULL) return rmr_error_nomem(c->err, "merges", (uint64_t)n * sizeof *c->cuts);
    c->n_cuts = 0;
    for (uint32_t id = 0; id < c->n; id++) RMR_TRY(cut(c, id, place));
    return REMORA_OK;
}

static void drop_chains(cutter *c)
{
    rmr_mem *mem = c->t->mem;
    rmr_free(mem, c->prefix, c->n * sizeof *c->prefix);
    rmr_free(mem, c->suffix, c->n * sizeof *c->suffix);
    rmr_free(mem, c->tails, c->tails_cap * sizeof *c->tails);
    c->prefix = c->suffix = c->tails = NULL;
    c->tails_cap = 0;
}

/* Make a rule of each cut. Going from the last right token to the first, each rule is put at the
 * end of the free part of its left token's place. */
static remora_status make_rules(cutter *c)
{
    rmr_bpe_tables *bpe = &c->t->bpe;
    bpe->rules = rmr_calloc(c->t->mem, bpe->n_rules, sizeof *bpe->rules);
    if (bpe->rules == NULL)
        return rmr_error_nomem(c->err, "merges", (uint64_t)bpe->n_rules * sizeof *bpe->rules);
    for (uint32_t right = c->n; right-- > 0;)
        for (uint32_t i = c->by_right[right]; i < c->by_right[right + 1]; i++) {
            const half *h = &c->cuts[i];
            RMR_ASSERT(bpe->first[h->left] > 0 && bpe->first[h->left] <= bpe->n_rules);
            bpe->rules[--bpe->first[h->left]] = (rmr_bpe_rule){right, h->rank, h->merged};
        }
    return REMORA_OK;
}

static remora_status make_merges(cutter *c)
{
    rmr_tok_parts *t = c->t;
    c->prefix = rmr_calloc(t->mem, c->n, sizeof *c->prefix);
    c->suffix = rmr_calloc(t->mem, c->n, sizeof *c->suffix);
    c->by_right = rmr_calloc(t->mem, (size_t)c->n + 1, sizeof *c->by_right);
    t->bpe.n_ids = t->n_ids;
    t->bpe.first = rmr_calloc(t->mem, (size_t)t->n_ids + 1, sizeof *t->bpe.first);
    if (c->prefix == NULL || c->suffix == NULL || c->by_right == NULL || t->bpe.first == NULL)
        return rmr_error_nomem(c->err, "merges", (uint64_t)c->n * 12 + (uint64_t)t->n_ids * 4);
    link_prefixes(t, t->arena, t->words.items, c->n, c->prefix);
    RMR_TRY(link_suffixes(c));
    RMR_TRY(count_all(c));
    RMR_TRY(place_all(c));
    drop_chains(c);
    return make_rules(c);
}

remora_status rmr_tok_merge_by_rank(rmr_tok_parts *t, remora_error *err)
{
    cutter c = {.t = t, .n = t->words.n, .err = err};
    RMR_ASSERT(c.n <= t->n_ids && c.n <= RMR_TOK_MAX_IDS);
    const remora_status st = make_merges(&c);
    drop_chains(&c);
    rmr_free(t->mem, c.by_right, ((size_t)c.n + 1) * sizeof *c.by_right);
    rmr_free(t->mem, c.cuts, t->bpe.n_rules * sizeof *c.cuts);
    return st;
}
