/* SPDX-License-Identifier: Apache-2.0 */
/* Text to ids: added tokens, normalizer, splits, merges, in that order. Every stage hands its
 * pieces straight to the next, so only ids are collected. */
#include <limits.h>
#include <string.h>

#include "nfc.h"
#include "tok.h"
#include "utf8.h"

/* Steps of pattern matching for one call. Ordinary text takes about 5 per byte. */
#define WORK_BASE ((uint64_t)1 << 26)
#define WORK_PER_BYTE 256u

typedef struct encoder {
    const rmr_tokenizer *t;
    rmr_mem *mem;
    rmr_matcher *matcher;
    rmr_bpe_scratch scratch;
    int32_t *ids;
    size_t n, cap;
    uint32_t flags;
    remora_error *err;
} encoder;

static remora_status add(encoder *e, remora_token id)
{
    if ((uint32_t)id >= e->t->n_ids)
        RMR_FAIL(e->err, REMORA_E_FORMAT, "tokenizer: is damaged: token %u of %u", (uint32_t)id,
                 e->t->n_ids);
    RMR_TRY(rmr_grow(e->mem, &e->ids, &e->cap, e->n + 1, sizeof *e->ids, e->err));
    e->ids[e->n++] = id;
    return REMORA_OK;
}

static remora_status word(encoder *e, const char *s, size_t n)
{
    size_t made;
    const rmr_added *whole = rmr_added_get(&e->t->words, s, n);
    if (whole != NULL) return add(e, (remora_token)whole->id);
    RMR_TRY(rmr_grow(e->mem, &e->ids, &e->cap, e->n + n, sizeof *e->ids, e->err));
    RMR_TRY(rmr_bpe_word(e->mem, &e->t->bpe, &e->scratch, (const unsigned char *)s, n,
                         e->ids + e->n, &made, e->err));
    RMR_ASSERT(made <= n);
    e->n += made;
    return REMORA_OK;
}

/* Cut s by split number `step`; its matches go to the next one, and so do the gaps between them
 * unless it drops them. */
static remora_status split(encoder *e, size_t step, const char *s, size_t n)
{
    size_t done = 0, from = 0, begin, end;
    if (n == 0) return REMORA_OK;
    if (step == e->t->n_steps) return word(e, s, n);
    RMR_ASSERT(step < e->t->n_steps);
    const int gaps = (e->t->matches_only >> step & 1) == 0;
    while (from <= n) {
        const remora_status found =
            rmr_regex_find(e->t->steps[step], e->matcher, s, n, from, &begin, &end, e->err);
        RMR_TRY(found);
        if (found == REMORA_END) break;
        if (begin > end || begin < done) /* \K or a look-behind of a strange kind */
            RMR_FAIL(e->err, REMORA_E_UNSUPPORTED, "tokenizer: a split goes backwards");
        if (gaps) RMR_TRY(split(e, step + 1, s + done, begin - done));
        RMR_TRY(split(e, step + 1, s + begin, end - begin));
        done = from = end;
        if (begin == end) { /* an empty match cuts here; the search goes on behind the next one */
            uint32_t cp;
            if (from == n) break;
            from += rmr_utf8_step((const unsigned char *)s + from, n - from, &cp);
        }
    }
    return gaps ? split(e, step + 1, s + done, n - done) : REMORA_OK;
}

typedef remora_status piece_fn(encoder *e, const char *s, size_t n);

/* Added tokens of the set become ids: all of them, or without REMORA_TEXT_SPECIAL the plain ones.
 * The text between them goes to fn. */
static remora_status cut_added(encoder *e, const rmr_added_set *set, const char *s, size_t n,
                               piece_fn *fn)
{
    const uint8_t mask = (e->flags & REMORA_TEXT_SPECIAL) ? 0 : RMR_TOK_PLAIN;
    size_t done = 0, at;
    while (e->t->any_plain || mask == 0) {
        const rmr_added *hit = rmr_added_find(set, mask, s, n, done, &at);
        if (hit == NULL) break;
        RMR_ASSERT(at >= done && hit->len > 0 && hit->len <= n - at);
        RMR_TRY(fn(e, s + done, at - done));
        RMR_TRY(add(e, (remora_token)hit->id));
        done = at + hit->len;
    }
    return fn(e, s + done, n - done);
}

static remora_status splits(encoder *e, const char *s, size_t n)
{
    return split(e, 0, s, n);
}

/* s is UTF-8. */
static remora_status normalized(encoder *e, const char *s, size_t n)
{
    char *normal = NULL;
    size_t n_normal;
    if (e->t->nfc) RMR_TRY(rmr_nfc(e->mem, s, n, &normal, &n_normal, e->err));
    if (normal == NULL) return cut_added(e, &e->t->normalized, s, n, splits);
    const remora_status st = cut_added(e, &e->t->normalized, normal, n_normal, splits);
    rmr_free(e->mem, normal, n_normal);
    return st;
}

/* The length of the run at s that is UTF-8; if that is 0, of the run that is not. */
static size_t run(const char *s, size_t n, int *valid)
{
    *valid = 1;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        const size_t len = rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        const int good = cp < RMR_UTF8_SHORT;
        if (i == 0) *valid = good;
        if (good != *valid) return i;
        i += len;
    }
    return n;
}

/* Bytes that are no text are words of their own: nothing to normalize or split. */
static remora_status gap(encoder *e, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        int valid;
        const size_t len = run(s + i, n - i, &valid);
        RMR_ASSERT(len > 0 && len <= n - i);
        RMR_TRY(valid ? normalized(e, s + i, len) : word(e, s + i, len));
        i += len;
    }
    return REMORA_OK;
}

/* Put the prefix in front, unless the text itself already begins with its first token. */
static remora_status encode(encoder *e, const char *text, size_t len)
{
    const rmr_tokenizer *t = e->t;
    if (e->flags & REMORA_TEXT_BOS)
        for (size_t i = 0; i < t->n_prefix; i++) RMR_TRY(add(e, t->prefix[i]));
    const size_t front = e->n;
    RMR_TRY(cut_added(e, &t->raw, text, len, gap));
    if (front > 0 && e->n > front && e->ids[front] == e->ids[0]) {
        e->n -= front;
        memmove(e->ids, e->ids + front, e->n * sizeof *e->ids);
    }
    return REMORA_OK;
}

/* The first added token at or after `from` that lies before n, special or not. */
static const rmr_added *find_any(const encoder *e, const char *text, size_t n, size_t from,
                                 size_t *at)
{
    size_t at_raw = n, at_normalized = n;
    const rmr_added *raw = rmr_added_find(&e->t->raw, 0, text, n, from, &at_raw);
    const rmr_added *other = rmr_added_find(&e->t->normalized, 0, text, n, from, &at_normalized);
    const int first =
        other == NULL || (raw != NULL && (at_raw < at_normalized ||
                                          (at_raw == at_normalized && raw->len >= other->len)));
    *at = first ? at_raw : at_normalized;
    return first ? raw : other;
}

static remora_status encode_ranges(encoder *e, const char *text, size_t len,
                                   const rmr_text_range *markup, size_t n_markup)
{
    size_t done = 0, at;
    for (size_t i = 0; i < n_markup; i++) {
        RMR_ASSERT(markup[i].begin >= done && markup[i].end <= len);
        for (size_t from = markup[i].begin;;) {
            const rmr_added *hit = find_any(e, text, markup[i].end, from, &at);
            if (hit == NULL) break;
            RMR_TRY(cut_added(e, &e->t->raw, text + done, at - done, gap));
            RMR_TRY(add(e, (remora_token)hit->id));
            done = from = at + hit->len;
        }
    }
    return cut_added(e, &e->t->raw, text + done, len - done, gap);
}

static remora_status run_encoder(encoder *e, const char *text, size_t len,
                                 const rmr_text_range *markup, size_t n_markup, remora_token *out,
                                 size_t cap, size_t *n)
{
    remora_error *err = e->err;
    *n = 0;
    if (len > INT32_MAX || (text == NULL && len > 0))
        RMR_FAIL(err, REMORA_E_ARG, "a text of %zu bytes: the limit is %d", len, INT32_MAX);
    if (text == NULL) text = "";
    remora_status st =
        rmr_matcher_create(e->mem, WORK_BASE + WORK_PER_BYTE * (uint64_t)len, &e->matcher, err);
    if (st >= 0)
        st = markup != NULL ? encode_ranges(e, text, len, markup, n_markup) : encode(e, text, len);
    if (st >= 0) {
        *n = e->n;
        if (e->n > cap)
            st = rmr_error_set(err, REMORA_E_BUFFER, 0, "%zu tokens do not fit %zu places", e->n,
                               cap);
        else if (e->n > 0)
            memcpy(out, e->ids, e->n * sizeof *out);
    }
    rmr_matcher_free(e->matcher);
    rmr_bpe_scratch_free(e->mem, &e->scratch);
    rmr_free(e->mem, e->ids, e->cap * sizeof *e->ids);
    return st;
}

remora_status rmr_tokenizer_encode(const rmr_tokenizer *t, const char *text, size_t len,
                                   uint32_t flags, remora_token *out, size_t cap, size_t *n,
                                   remora_error *err)
{
    encoder e = {.t = t, .mem = t->mem, .flags = flags, .err = err};
    *n = 0;
    if (flags & ~(uint32_t)(REMORA_TEXT_SPECIAL | REMORA_TEXT_BOS))
        RMR_FAIL(err, REMORA_E_ARG, "text flags 0x%x are not known", flags);
    return run_encoder(&e, text, len, NULL, 0, out, cap, n);
}

remora_status rmr_tokenizer_encode_ranges(const rmr_tokenizer *t, const char *text, size_t len,
                                          const rmr_text_range *markup, size_t n_markup,
                                          remora_token *out, size_t cap, size_t *n,
                                          remora_error *err)
{
    encoder e = {.t = t, .mem = t->mem, .err = err};
    return run_encoder(&e, text, len, markup, n_markup, out, cap, n);
}

remora_token rmr_tokenizer_find(const rmr_tokenizer *t, const char *text, size_t n)
{
    const rmr_added *a = rmr_added_get(&t->raw, text, n);
    if (a == NULL) a = rmr_added_get(&t->normalized, text, n);
    return a != NULL ? (remora_token)a->id : REMORA_TOKEN_NONE;
}
