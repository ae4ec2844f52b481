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
 * ends with; a cut is one of each whose lengths add up. */
#include <string.h>

#include "tok.h"

#define NONE UINT32_MAX

/* Real vocabularies have about 3 rules a token. Long runs of tokens that differ by one byte have
 * many more; a vocabulary made of nothing else is no vocabulary. */
enum { MAX_CUTS_PER_TOKEN = 16, MAX_CUTS_MORE = 65536 };

typedef struct cutter {
    rmr_tok_parts *t;
    uint32_t n;
    uint32_t *prefix, *suffix; /* [n] the longest other token that token i begins or ends with */
    uint32_t *tails;           /* the tokens that one token ends with, the longest first */
    size_t tails_cap;
    rmr_bpe_merge *merges;
    size_t n_merges, merges_cap;
    remora_error *err;
} cutter;

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

static remora_status add_cut(cutter *c, uint32_t left, uint32_t right, uint32_t id)
{
    const uint64_t limit = (uint64_t)c->n * MAX_CUTS_PER_TOKEN + MAX_CUTS_MORE;
    if (c->n_merges == limit)
        RMR_FAIL(c->err, REMORA_E_FORMAT,
                 "%s: its tokens are made of each other in above %llu ways, far too many for %u",
                 c->t->file, (unsigned long long)limit, c->n);
    RMR_TRY(rmr_grow(c->t->mem, &c->merges, &c->merges_cap, c->n_merges + 1, sizeof *c->merges,
                     c->err));
    c->merges[c->n_merges++] = (rmr_bpe_merge){left, right, id};
    return REMORA_OK;
}

static remora_status cut(cutter *c, uint32_t id)
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
        if (n > 0 && length(t, c->tails[n - 1]) == rest)
            RMR_TRY(add_cut(c, p, c->tails[n - 1], id));
    }
    return REMORA_OK;
}

static remora_status make_merges(cutter *c)
{
    rmr_tok_parts *t = c->t;
    c->prefix = rmr_calloc(t->mem, c->n, sizeof *c->prefix);
    c->suffix = rmr_calloc(t->mem, c->n, sizeof *c->suffix);
    if (c->prefix == NULL || c->suffix == NULL)
        return rmr_error_nomem(c->err, "merges", (uint64_t)c->n * 8);
    link_prefixes(t, t->arena, t->words.items, c->n, c->prefix);
    RMR_TRY(link_suffixes(c));
    for (uint32_t id = 0; id < c->n; id++) RMR_TRY(cut(c, id));
    return rmr_bpe_build(t->mem, c->merges, (uint32_t)c->n_merges, t->n_ids, &t->bpe, c->err);
}

remora_status rmr_tok_merge_by_rank(rmr_tok_parts *t, remora_error *err)
{
    cutter c = {.t = t, .n = t->words.n, .err = err};
    const remora_status st = make_merges(&c);
    rmr_free(t->mem, c.prefix, c.n * sizeof *c.prefix);
    rmr_free(t->mem, c.suffix, c.n * sizeof *c.suffix);
    rmr_free(t->mem, c.tails, c.tails_cap * sizeof *c.tails);
    rmr_free(t->mem, c.merges, c.merges_cap * sizeof *c.merges);
    return st;
}
