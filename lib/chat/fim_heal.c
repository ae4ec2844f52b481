/* SPDX-License-Identifier: Apache-2.0 */
#include "fim_heal.h"

#include <string.h>

enum { MOST = 4 };

typedef struct tails {
    char text[REMORA_HEAL_MAX]; /* of the last tokens */
    size_t begin[MOST + 1];     /* where the text of the last k tokens begins */
    size_t n;                   /* tokens */
} tails;

/* Put the text of one more token in front; 0 where it has no room. */
static int put_front(tails *x, const char *s, size_t n)
{
    const size_t at = x->begin[x->n];
    if (n == 0 || n > at) return 0;
    memcpy(x->text + at - n, s, n);
    x->begin[++x->n] = at - n;
    return 1;
}

static void collect(const rmr_tokenizer *t, const remora_token *ids, size_t from, size_t n,
                    tails *x)
{
    x->begin[0] = sizeof x->text;
    x->n = 0;
    while (x->n < MOST && n - x->n > from) {
        const remora_token id = ids[n - 1 - x->n];
        const char *s;
        size_t len;
        if (rmr_tokenizer_is_markup(t, id)) return;
        if (rmr_tokenizer_bytes(t, id, &s, &len, NULL) < 0 || !put_front(x, s, len)) return;
    }
}

/* Whether token id is longer than the text of the last k tokens and begins with it. A text that
 * begins inside a character is none to begin with. */
static int goes_on(const tails *x, size_t k, const char *s, size_t n)
{
    const char *tail = x->text + x->begin[k];
    const size_t len = sizeof x->text - x->begin[k];
    return n > len && ((unsigned char)tail[0] & 0xC0) != 0x80 && memcmp(s, tail, len) == 0;
}

size_t rmr_fim_heal(const rmr_tokenizer *t, const remora_token *ids, size_t from, size_t n,
                    char heal[REMORA_HEAL_MAX], uint32_t *n_heal)
{
    tails x;
    size_t best = 0;
    const char *s;
    size_t len;
    collect(t, ids, from, n, &x);
    for (remora_token id = 0; best < x.n && rmr_tokenizer_bytes(t, id, &s, &len, NULL) == REMORA_OK;
         id++) {
        if (rmr_tokenizer_is_markup(t, id)) continue;
        for (size_t k = x.n; k > best; k--)
            if (goes_on(&x, k, s, len)) best = k;
    }
    *n_heal = (uint32_t)(sizeof x.text - x.begin[best]);
    memcpy(heal, x.text + x.begin[best], *n_heal);
    return n - best;
}
