/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sort.h"
#include "utf8.h"
#include "vocabulary.h"

/* The part that a text belongs to. */
static unsigned part_of(const char *text, size_t n)
{
    size_t chars = 0;
    for (size_t at = 0; at < n; chars++) {
        uint32_t cp;
        at += rmr_utf8_step((const unsigned char *)text + at, n - at, &cp);
        if (cp >= RMR_UTF8_SHORT || cp < 0x20 || cp == '"' || cp == '\\') return VOCAB_REST;
    }
    return chars <= VOCAB_SHORT_CHARS ? VOCAB_SHORT : VOCAB_STRING;
}

/* What is sorted: the text, and first its beginning, as a number that is in the order of texts. */
typedef struct word {
    uint64_t head;
    const char *text;
    uint32_t n;
    remora_token id;
} word;

enum { HEAD = 8 };

static uint64_t head_of(const char *text, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < HEAD; i++) h = h << 8 | (i < n ? (unsigned char)text[i] : 0u);
    return h;
}

static int compare(const void *a, const void *b)
{
    const word *x = a, *y = b;
    const int c = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    if (c != 0) return c;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Sort by beginnings, a byte at a time from the last one on; `other` has room for as many. */
static void sort_heads(const word **w, size_t n, const word **other)
{
    for (unsigned shift = 0; shift < 8 * HEAD; shift += 8) {
        size_t at[257] = {0};
        for (size_t i = 0; i < n; i++) at[(w[i]->head >> shift & 0xFF) + 1]++;
        for (unsigned b = 0; b < 256; b++) at[b + 1] += at[b];
        for (size_t i = 0; i < n; i++) other[at[w[i]->head >> shift & 0xFF]++] = w[i];
        const word **t = w; /* an even number of times */
        w = other;
        other = t;
    }
}

/* Comparing all words with each other would cost ten times as much: few have a long beginning in
 * common. */
static void sort_words(const word **w, size_t n, const word **other)
{
    sort_heads(w, n, other);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && w[end]->head == w[i]->head; end++) {
        }
        if (end - i > 1) rmr_sort((const void **)(w + i), end - i, compare);
    }
}

static size_t common(const word *x, const word *y)
{
    size_t k = 0;
    while (k < x->n && k < y->n && x->text[k] == y->text[k]) k++;
    return k;
}

/* Nodes of the trie of sorted words; nodes NULL: only counts. */
static size_t lay(const word *const *w, size_t n, trie_node *nodes, remora_token *again,
                  size_t *n_again)
{
    size_t open[VOCAB_MAX_DEPTH + 1], count = 0, depth = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t same = i == 0 ? 0 : common(w[i - 1], w[i]);
        if (same == w[i]->n) { /* equal, for they are sorted */
            if (nodes != NULL) {
                again[2 * *n_again] = w[i]->id;
                again[2 * *n_again + 1] = nodes[open[depth]].token;
            }
            ++*n_again;
            continue;
        }
        for (; nodes != NULL && depth > same; depth--)
            nodes[open[depth]].skip = (uint32_t)(count - open[depth]) & 0xFFFFFF;
        for (depth = same; depth < w[i]->n;) {
            open[++depth] = count;
            if (nodes != NULL)
                nodes[count] = (trie_node){.token = VOCAB_NO_TOKEN,
                                           .byte = (unsigned char)w[i]->text[depth - 1],
                                           .depth = (unsigned char)depth};
            count++;
        }
        if (nodes != NULL) nodes[open[depth]].token = w[i]->id & 0xFFFFFF;
    }
    for (; nodes != NULL && depth > 0; depth--)
        nodes[open[depth]].skip = (uint32_t)(count - open[depth]) & 0xFFFFFF;
    return count;
}

static void set_bit(uint32_t *mask, uint32_t i)
{
    mask[i / 32] |= UINT32_C(1) << (i % 32);
}

static remora_status build_part(rmr_vocabulary *v, vocab_part *p, const word **w, size_t n,
                                remora_error *err)
{
    size_t again = 0;
    p->mask = rmr_calloc(v->mem, v->words, sizeof *p->mask);
    const size_t count = lay(w, n, NULL, NULL, &again);
    if (count >= VOCAB_NO_TOKEN)
        RMR_FAIL(err, REMORA_E_LIMIT,
                 "the texts of the vocabulary have more than 2^24 different beginnings");
    p->nodes = rmr_alloc(v->mem, count * sizeof *p->nodes);
    if (p->mask == NULL || p->nodes == NULL)
        return rmr_error_nomem(err, "the trie of a vocabulary", count * sizeof *p->nodes);
    p->n = (uint32_t)count;
    lay(w, n, p->nodes, v->again, &v->n_again);
    for (size_t i = 0; i < n; i++) set_bit(p->mask, w[i]->id);
    for (unsigned b = 0; b <= 256; b++) p->first[b] = p->n;
    for (uint32_t i = 0; i < p->n; i += p->nodes[i].skip) p->first[p->nodes[i].byte] = i;
    return REMORA_OK;
}

/* The texts, one behind the other. */
static remora_status copy_texts(rmr_vocabulary *v, rmr_token_text text, void *user,
                                remora_error *err)
{
    size_t n, total = 0;
    int end;
    const char *s;
    for (uint32_t pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (remora_token id = 0; id < (remora_token)v->n_vocab; id++) {
            n = 0;
            end = 0;
            text(user, id, &s, &n, &end);
            if (pass == 1) {
                v->offsets[id] = (uint32_t)at;
                if (n > 0) memcpy(v->bytes + at, s, n);
                if (end) set_bit(v->ends, (uint32_t)id);
                if (n > v->longest) v->longest = (uint32_t)n;
            }
            at += n;
        }
        total = at;
        if (pass == 1) break;
        if (total > UINT32_MAX)
            RMR_FAIL(err, REMORA_E_LIMIT, "the texts of the vocabulary have more than 2^32 bytes");
        v->n_bytes = total;
        v->bytes = rmr_alloc(v->mem, total);
        if (v->bytes == NULL) return rmr_error_nomem(err, "the texts of a vocabulary", total);
    }
    v->offsets[v->n_vocab] = (uint32_t)total;
    return REMORA_OK;
}

static remora_status build(rmr_vocabulary *v, word *words, const word **lists, remora_error *err)
{
    size_t n[VOCAB_PARTS] = {0, 0, 0};
    const uint32_t all = v->n_vocab;
    for (uint32_t id = 0; id < all; id++) {
        size_t k;
        const char *s = vocab_text(v, (remora_token)id, &k);
        if (k == 0) continue;
        if (k > VOCAB_MAX_DEPTH) {
            v->far[v->n_far++] = (remora_token)id;
            continue;
        }
        const unsigned p = part_of(s, k);
        words[id] = (word){head_of(s, k), s, (uint32_t)k, (remora_token)id};
        lists[(size_t)p * all + n[p]++] = &words[id];
    }
    for (unsigned p = 0; p < VOCAB_PARTS; p++) {
        const word **list = lists + (size_t)p * all;
        sort_words(list, n[p], lists + (size_t)VOCAB_PARTS * all);
        RMR_TRY(build_part(v, &v->parts[p], list, n[p], err));
    }
    return REMORA_OK;
}

remora_status rmr_vocabulary_new(rmr_mem *mem, uint32_t n_vocab, rmr_token_text text, void *user,
                                 rmr_vocabulary **out, remora_error *err)
{
    if (n_vocab >= VOCAB_NO_TOKEN)
        RMR_FAIL(err, REMORA_E_LIMIT, "the vocabulary has %u tokens; below 2^24 are supported",
                 n_vocab);
    rmr_vocabulary *v = rmr_calloc(mem, 1, sizeof *v);
    if (v == NULL) return rmr_error_nomem(err, "a vocabulary", sizeof *v);
    v->mem = mem;
    v->n_vocab = n_vocab;
    v->words = (n_vocab + 31) / 32;
    v->offsets = rmr_calloc(mem, n_vocab + 1u, sizeof *v->offsets);
    v->again = rmr_calloc(mem, n_vocab, 2 * sizeof *v->again);
    v->far = rmr_calloc(mem, n_vocab, sizeof *v->far);
    v->ends = rmr_calloc(mem, v->words, sizeof *v->ends);
    word *words = rmr_calloc(mem, n_vocab, sizeof *words);
    const size_t n_lists = (VOCAB_PARTS + 1) * (size_t)n_vocab; /* one is for sorting */
    const word **lists = rmr_calloc(mem, n_lists, sizeof *lists);
    remora_status st = REMORA_OK;
    if (v->offsets == NULL || v->again == NULL || v->far == NULL || v->ends == NULL ||
        words == NULL || lists == NULL)
        st = rmr_error_nomem(err, "a vocabulary", (uint64_t)n_vocab * sizeof *words);
    if (st >= 0) st = copy_texts(v, text, user, err);
    if (st >= 0) st = build(v, words, lists, err);
    rmr_free(mem, words, n_vocab * sizeof *words);
    rmr_free(mem, lists, n_lists * sizeof *lists);
    if (st < 0) {
        rmr_vocabulary_free(v);
        return RMR_PASSED_ON(st);
    }
    *out = v;
    return REMORA_OK;
}

void rmr_vocabulary_free(rmr_vocabulary *v)
{
    if (v == NULL) return;
    rmr_mem *m = v->mem;
    for (unsigned p = 0; p < VOCAB_PARTS; p++) {
        rmr_free(m, v->parts[p].nodes, v->parts[p].n * sizeof(trie_node));
        rmr_free(m, v->parts[p].mask, v->words * sizeof(uint32_t));
    }
    rmr_free(m, v->bytes, v->n_bytes);
    rmr_free(m, v->offsets, (v->n_vocab + 1u) * sizeof *v->offsets);
    rmr_free(m, v->again, v->n_vocab * 2 * sizeof *v->again);
    rmr_free(m, v->far, v->n_vocab * sizeof *v->far);
    rmr_free(m, v->ends, v->words * sizeof *v->ends);
    rmr_free(m, v, sizeof *v);
}

uint64_t rmr_vocabulary_bytes(const rmr_vocabulary *v)
{
    uint64_t n =
        sizeof *v + v->n_bytes + v->n_vocab * (uint64_t)(4 * sizeof(uint32_t)) + v->words * 4u;
    for (unsigned p = 0; p < VOCAB_PARTS; p++)
        n += v->parts[p].n * sizeof(trie_node) + v->words * 4u;
    return n;
}

static void text_of(void *user, remora_token id, const char **text, size_t *n, int *end)
{
    const rmr_tokenizer *t = user;
    const uint32_t flags = rmr_tokenizer_flags(t, id);
    *end = (flags & REMORA_TOKEN_END_OF_TURN) != 0;
    if ((flags & REMORA_TOKEN_CONTROL) || rmr_tokenizer_is_markup(t, id) ||
        rmr_tokenizer_bytes(t, id, text, n, NULL) < 0)
        *n = 0;
}

remora_status rmr_vocabulary_of(rmr_mem *mem, const rmr_tokenizer *t, uint32_t n_vocab,
                                rmr_vocabulary **out, remora_error *err)
{
    void *user;
    memcpy(&user, &t, sizeof user); /* without const: text_of gives it back */
    return rmr_vocabulary_new(mem, n_vocab, text_of, user, out, err);
}
