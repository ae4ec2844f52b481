/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled tokenizer: every table of rmr_tok_parts in one block, little-endian and without
 * pointers, used where it lies (docs/pack.md has the layout for other implementations).
 *
 * Opening looks at the head and compiles the patterns, so a vocabulary of any size opens in the
 * same time. The tables stay unchecked: the code that reads them checks (added.c, bpe.c,
 * tokenizer.c). */
#include <stdio.h>
#include <string.h>

#include "tok.h"

enum {
    VERSION = 1,
    MAX_SPECIAL = 32, /* places for special tokens, more than there are kinds today */
    SETS = 3,         /* raw, normalized, words */
    FLAG_NFC = 1,
    FLAG_PLAIN = 2,   /* some added tokens are RMR_TOK_PLAIN */
    FLAG_MISSING = 4, /* some bytes have no token */
    FLAG_MATCHES = 8, /* some steps are RMR_STEP_MATCHES */
    FLAGS = FLAG_NFC | FLAG_PLAIN | FLAG_MISSING | FLAG_MATCHES,
};

static const char magic[8] = {'r', 'm', 'r', '-', 't', 'o', 'k', 0};

/* 32-bit words throughout, so no compiler pads it. */
typedef struct head {
    char magic[8];
    uint32_t version, bytes;
    uint32_t flags;
    uint32_t n_ids, arena_size, n_rules;
    uint32_t n_items[SETS];
    uint32_t n_steps, steps_bytes;
    uint32_t n_prefix;
    int32_t prefix[RMR_TOK_MAX_PREFIX];
    int32_t special[MAX_SPECIAL];
    uint32_t reserved[10]; /* 0 */
    uint32_t byte_id[256];
} head;

_Static_assert(sizeof(head) == 1280, "the layout in docs/pack.md");
_Static_assert(sizeof(rmr_added) == 12 && sizeof(rmr_bpe_rule) == 12, "the layout in docs/pack.md");
_Static_assert((int)RMR_TOK_N_SPECIAL <= MAX_SPECIAL, "room for every special token");

/* Offsets of the tables in the block. */
typedef struct layout {
    uint64_t offset, first, rules, set_first[SETS], set_items[SETS], steps, flags, arena, bytes;
} layout;

static void lay_out(const head *h, layout *l)
{
    const uint64_t ids = (uint64_t)h->n_ids + 1;
    uint64_t at = sizeof *h;
    l->offset = at;
    at += ids * 4;
    l->first = at;
    at += ids * 4;
    l->rules = at;
    at += (uint64_t)h->n_rules * sizeof(rmr_bpe_rule);
    for (int i = 0; i < SETS; i++) {
        l->set_first[i] = at;
        if (h->n_items[i] > 0) at += RMR_ADDED_FIRST * 4;
        l->set_items[i] = at;
        at += (uint64_t)h->n_items[i] * sizeof(rmr_added);
    }
    l->steps = at;
    at += h->steps_bytes;
    l->flags = at;
    at += h->n_ids;
    l->arena = at;
    l->bytes = at + h->arena_size;
}

/* ---- the parts ---- */

void rmr_tok_begin(rmr_tok_parts *t, rmr_mem *mem, const char *file, uint32_t n_vocab)
{
    *t = (rmr_tok_parts){.mem = mem, .file = file, .n_vocab = n_vocab};
    for (int i = 0; i < RMR_TOK_N_SPECIAL; i++) t->special[i] = REMORA_TOKEN_NONE;
}

remora_status rmr_tok_add_step(rmr_tok_parts *t, const char *field, const char *pattern, size_t n,
                               uint32_t how, remora_error *err)
{
    rmr_tok_step *step = &t->steps[t->n_steps];
    if (t->n_steps == RMR_TOK_MAX_STEPS)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s has more than %d steps", t->file, field,
                 RMR_TOK_MAX_STEPS);
    snprintf(step->field, sizeof step->field, "%.40s: %s", t->file, field);
    step->pattern = rmr_strndup(t->mem, pattern, n);
    if (step->pattern == NULL) return rmr_error_nomem(err, step->field, n);
    step->n = n;
    step->how = how;
    t->n_steps++;
    return REMORA_OK;
}

void rmr_tok_drop(rmr_tok_parts *t)
{
    rmr_mem *mem = t->mem;
    rmr_tok_added *const sets[SETS] = {&t->raw, &t->normalized, &t->words};
    for (size_t i = 0; i < t->n_steps; i++) rmr_free(mem, t->steps[i].pattern, t->steps[i].n + 1);
    for (int i = 0; i < SETS; i++)
        rmr_free(mem, sets[i]->items, (size_t)sets[i]->n * sizeof *sets[i]->items);
    rmr_bpe_free(mem, &t->bpe);
    rmr_free(mem, t->flags, t->n_ids);
    rmr_free(mem, t->offset, ((size_t)t->n_ids + 1) * sizeof *t->offset);
    rmr_free(mem, t->arena, t->arena_size);
}

rmr_added_set rmr_tok_set(const rmr_tok_parts *t, const rmr_tok_added *a)
{
    return (rmr_added_set){t->arena, t->arena_size, a->n, a->items, a->first, t->flags, t->n_ids};
}

/* ---- writing ---- */

static uint64_t step_bytes(size_t field, size_t pattern)
{
    return 12 + rmr_round_up((uint64_t)field + pattern, 4);
}

static void put(unsigned char *to, const void *from, size_t n)
{
    if (n > 0) memcpy(to, from, n);
}

/* A step: how it splits (RMR_STEP_*), length of the field, length of the pattern, both, zeros to a
 * multiple of 4. */
static void write_steps(const rmr_tok_parts *t, unsigned char *to)
{
    for (size_t i = 0; i < t->n_steps; i++) {
        const rmr_tok_step *s = &t->steps[i];
        RMR_ASSERT(s->n <= UINT32_MAX && strlen(s->field) < sizeof s->field);
        const uint32_t field = (uint32_t)strlen(s->field);
        const uint32_t words[3] = {s->how, field, (uint32_t)s->n};
        memcpy(to, words, sizeof words);
        put(to + 12, s->field, field);
        put(to + 12 + field, s->pattern, s->n);
        to += step_bytes(field, s->n);
    }
}

/* The flags of the head. A reader that does not know one of them refuses the tokenizer, instead of
 * giving wrong ids. */
static uint32_t flags_of(const rmr_tok_parts *t)
{
    uint32_t flags = t->nfc ? FLAG_NFC : 0;
    for (uint32_t i = 0; i < t->n_ids; i++)
        if (t->flags[i] & RMR_TOK_PLAIN) flags |= FLAG_PLAIN;
    for (int b = 0; b < 256; b++)
        if (t->bpe.byte_id[b] == RMR_BPE_NO_TOKEN) flags |= FLAG_MISSING;
    for (size_t i = 0; i < t->n_steps; i++)
        if (t->steps[i].how & RMR_STEP_MATCHES) flags |= FLAG_MATCHES;
    return flags;
}

static remora_status fill_head(const rmr_tok_parts *t, head *h, layout *l, remora_error *err)
{
    const rmr_tok_added *const sets[SETS] = {&t->raw, &t->normalized, &t->words};
    uint64_t steps = 0;
    memcpy(h->magic, magic, sizeof magic);
    h->version = VERSION;
    h->flags = flags_of(t);
    h->n_ids = t->n_ids;
    h->arena_size = t->arena_size;
    h->n_rules = t->bpe.n_rules;
    for (int i = 0; i < SETS; i++) h->n_items[i] = sets[i]->n;
    for (size_t i = 0; i < t->n_steps; i++)
        steps += step_bytes(strlen(t->steps[i].field), t->steps[i].n);
    h->n_steps = (uint32_t)t->n_steps;
    h->steps_bytes = (uint32_t)steps;
    h->n_prefix = (uint32_t)t->n_prefix;
    memcpy(h->prefix, t->prefix, t->n_prefix * sizeof t->prefix[0]);
    for (int i = 0; i < MAX_SPECIAL; i++) h->special[i] = REMORA_TOKEN_NONE;
    memcpy(h->special, t->special, sizeof t->special);
    memcpy(h->byte_id, t->bpe.byte_id, sizeof h->byte_id);
    lay_out(h, l);
    if (steps > UINT32_MAX || l->bytes > UINT32_MAX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "tokenizer: its tables are above 4 GiB");
    h->bytes = (uint32_t)l->bytes;
    return REMORA_OK;
}

remora_status rmr_tok_compile(const rmr_tok_parts *t, rmr_tokenizer **out, remora_error *err)
{
    const rmr_tok_added *const sets[SETS] = {&t->raw, &t->normalized, &t->words};
    head h = {0};
    layout l;
    *out = NULL;
    RMR_TRY(fill_head(t, &h, &l, err));
    unsigned char *b = rmr_alloc(t->mem, (size_t)l.bytes);
    if (b == NULL) return rmr_error_nomem(err, "tokenizer", l.bytes);
    memcpy(b, &h, sizeof h);
    put(b + l.offset, t->offset, ((size_t)t->n_ids + 1) * 4);
    put(b + l.first, t->bpe.first, ((size_t)t->n_ids + 1) * 4);
    put(b + l.rules, t->bpe.rules, (size_t)t->bpe.n_rules * sizeof *t->bpe.rules);
    for (int i = 0; i < SETS; i++) {
        if (sets[i]->n > 0) put(b + l.set_first[i], sets[i]->first, sizeof sets[i]->first);
        put(b + l.set_items[i], sets[i]->items, (size_t)sets[i]->n * sizeof *sets[i]->items);
    }
    memset(b + l.steps, 0, h.steps_bytes);
    write_steps(t, b + l.steps);
    put(b + l.flags, t->flags, t->n_ids);
    put(b + l.arena, t->arena, t->arena_size);
    RMR_ASSERT(l.arena + t->arena_size == l.bytes && t->offset[t->n_ids] <= t->arena_size);
    RMR_TRY(rmr_tokenizer_open_compiled(t->mem, b, (size_t)l.bytes, 1, t->n_vocab, out, err));
    (*out)->n_rowless = t->n_rowless;
    (*out)->n_nameless = t->n_nameless;
    return REMORA_OK;
}

/* ---- opening ---- */

static remora_status check_head(const head *h, const layout *l, size_t n, uint32_t n_vocab,
                                remora_error *err)
{
    int32_t low = 0, high = -1;
    if (h->bytes != l->bytes || h->bytes > n)
        RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: %zu bytes, its tables need %llu", n,
                 (unsigned long long)l->bytes);
    if (h->n_ids > n_vocab)
        RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: %u ids, the model has %u rows", h->n_ids,
                 n_vocab);
    if (h->n_steps > RMR_TOK_MAX_STEPS || h->n_prefix > RMR_TOK_MAX_PREFIX ||
        h->steps_bytes % 4 != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: its head is damaged");
    for (uint32_t i = 0; i < h->n_prefix; i++) {
        low = h->prefix[i] < low ? h->prefix[i] : low;
        high = h->prefix[i] > high ? h->prefix[i] : high;
    }
    for (int i = 0; i < RMR_TOK_N_SPECIAL; i++) {
        if (h->special[i] == REMORA_TOKEN_NONE) continue;
        low = h->special[i] < low ? h->special[i] : low;
        high = h->special[i] > high ? h->special[i] : high;
    }
    if (low < 0 || high >= (int32_t)n_vocab)
        RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: a special token is not in the model");
    return REMORA_OK;
}

static remora_status open_steps(rmr_tokenizer *t, const unsigned char *p, uint64_t n,
                                uint32_t n_steps, remora_error *err)
{
    for (uint32_t i = 0; i < n_steps; i++) {
        char field[RMR_TOK_MAX_FIELD];
        uint32_t words[3];
        if (n < sizeof words) RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: split %u is cut off", i);
        memcpy(words, p, sizeof words);
        const uint64_t bytes = 12 + rmr_round_up((uint64_t)words[1] + words[2], 4);
        if (words[1] >= sizeof field || bytes > n)
            RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: split %u is cut off", i);
        if ((words[0] & ~(uint32_t)RMR_STEP_HOW) != 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: split %u is of kind %u", i, words[0]);
        memcpy(field, p + 12, words[1]);
        field[words[1]] = 0;
        RMR_TRY(rmr_regex_compile(t->mem, rmr_show(field).text, (const char *)p + 12 + words[1],
                                  words[2], (words[0] & RMR_STEP_LITERAL) != 0, &t->steps[i], err));
        if (words[0] & RMR_STEP_MATCHES) t->matches_only |= (uint32_t)1 << i;
        t->n_steps++;
        p += bytes;
        n -= bytes;
    }
    return REMORA_OK;
}

static const uint32_t *words_at(const unsigned char *blob, uint64_t at)
{
    return (const uint32_t *)(const void *)(blob + at);
}

static void bind(rmr_tokenizer *t, const head *h, const layout *l)
{
    rmr_added_set *const sets[SETS] = {&t->raw, &t->normalized, &t->words};
    const unsigned char *b = t->blob;
    t->n_ids = h->n_ids;
    t->arena_size = h->arena_size;
    t->arena = (const char *)b + l->arena;
    t->offset = words_at(b, l->offset);
    t->flags = b + l->flags;
    t->bpe.byte_id = ((const head *)(const void *)b)->byte_id;
    t->bpe.first = words_at(b, l->first);
    t->bpe.rules = (const rmr_bpe_rule *)(const void *)(b + l->rules);
    t->bpe.n_ids = h->n_ids;
    t->bpe.n_rules = h->n_rules;
    for (int i = 0; i < SETS; i++)
        *sets[i] = (rmr_added_set){t->arena,
                                   t->arena_size,
                                   h->n_items[i],
                                   (const rmr_added *)(const void *)(b + l->set_items[i]),
                                   words_at(b, l->set_first[i]),
                                   t->flags,
                                   t->n_ids};
    t->any_plain = (h->flags & FLAG_PLAIN) != 0;
    t->nfc = (h->flags & FLAG_NFC) != 0;
    t->n_prefix = h->n_prefix;
    memcpy(t->prefix, h->prefix, sizeof t->prefix);
    memcpy(t->special, h->special, sizeof t->special);
}

static remora_status open_blob(rmr_tokenizer *t, remora_error *err)
{
    head h;
    layout l;
    if (t->blob_size < sizeof h || memcmp(t->blob, magic, sizeof magic) != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "tokenizer: %zu bytes that are no compiled tokenizer",
                 t->blob_size);
    memcpy(&h, t->blob, sizeof h);
    if (h.version != VERSION || (h.flags & ~(uint32_t)FLAGS) != 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "tokenizer: is of version %u with flags 0x%x; this build reads version %d",
                 h.version, h.flags, VERSION);
    lay_out(&h, &l);
    RMR_TRY(check_head(&h, &l, t->blob_size, t->n_vocab, err));
    bind(t, &h, &l);
    return open_steps(t, t->blob + l.steps, h.steps_bytes, h.n_steps, err);
}

/* A block of our own where the borrowed one has words at odd addresses. */
static remora_status align(rmr_tokenizer *t, remora_error *err)
{
    if ((uintptr_t)t->blob % 4 == 0) return REMORA_OK;
    unsigned char *copy = rmr_alloc(t->mem, t->blob_size);
    if (copy == NULL) return rmr_error_nomem(err, "tokenizer", t->blob_size);
    put(copy, t->blob, t->blob_size);
    t->blob = copy;
    t->owned = 1;
    return REMORA_OK;
}

static void free_blob(rmr_mem *mem, const unsigned char *blob, size_t n)
{
    void *p;
    memcpy(&p, &blob, sizeof p); /* without const */
    rmr_free(mem, p, n);
}

remora_status rmr_tokenizer_open_compiled(rmr_mem *mem, const void *blob, size_t n, int owned,
                                          uint32_t n_vocab, rmr_tokenizer **out, remora_error *err)
{
    *out = NULL;
    rmr_tokenizer *t = rmr_calloc(mem, 1, sizeof *t);
    if (t == NULL) {
        if (owned) free_blob(mem, blob, n);
        return rmr_error_nomem(err, "tokenizer", sizeof *t);
    }
    t->mem = mem;
    t->blob = blob;
    t->blob_size = n;
    t->owned = owned;
    t->n_vocab = n_vocab;
    remora_status st = align(t, err);
    if (st >= 0) st = open_blob(t, err);
    if (st >= 0)
        *out = t;
    else
        rmr_tokenizer_free(t);
    return st;
}

const void *rmr_tokenizer_compiled(const rmr_tokenizer *t, size_t *n)
{
    *n = t->blob_size;
    return t->blob;
}

void rmr_tokenizer_free(rmr_tokenizer *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->n_steps; i++) rmr_regex_free(t->steps[i]);
    if (t->owned) free_blob(t->mem, t->blob, t->blob_size);
    rmr_free(t->mem, t, sizeof *t);
}
