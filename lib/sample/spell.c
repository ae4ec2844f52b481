/* SPDX-License-Identifier: Apache-2.0 */
#include "spell.h"

#include <string.h>

/* The bytes of the text that the token spells; 0: it does not go on with it. */
static size_t spelled(const rmr_spell *s, remora_token t)
{
    size_t n;
    const char *bytes = s->bytes(s->user, t, &n);
    const size_t left = s->n - s->at, both = n < left ? n : left;
    return both > 0 && memcmp(bytes, s->text + s->at, both) == 0 ? both : 0;
}

/* Keep the candidates that spell at least `least` bytes. */
static size_t keep(const rmr_spell *s, rmr_candidates *l, size_t least)
{
    size_t m = 0;
    for (size_t i = 0; i < l->n; i++)
        if (spelled(s, l->c[i].token) >= least) l->c[m++] = l->c[i];
    return m;
}

/* A token that spells a part of the text says little of the whole: " re" is a likely one before
 * "turn", and so it would be before "tu", where the model means " return". So those that spell all
 * of it come first. */
void rmr_spell_filter(const rmr_spell *s, rmr_candidates *l)
{
    if (s->at == s->n) return;
    for (size_t i = 0; i < l->n; i++)
        if (spelled(s, l->c[i].token) == s->n - s->at) {
            l->n = keep(s, l, s->n - s->at);
            return;
        }
    l->n = keep(s, l, 1);
}

void rmr_spell_accept(rmr_spell *s, remora_token t)
{
    if (s->at == s->n) {
        s->behind++;
        return;
    }
    const size_t n = spelled(s, t);
    s->began[s->n_began++] = (uint16_t)s->at;
    s->at = n > 0 ? s->at + (uint32_t)n : s->n;
}

void rmr_spell_rollback(rmr_spell *s, size_t n)
{
    const uint64_t k = n < s->behind ? n : s->behind;
    s->behind -= k;
    for (n -= k; n > 0 && s->n_began > 0; n--) s->at = s->began[--s->n_began];
}
