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

void rmr_spell_filter(const rmr_spell *s, rmr_candidates *l)
{
    size_t m = 0;
    if (s->at == s->n) return;
    for (size_t i = 0; i < l->n; i++)
        if (spelled(s, l->c[i].token) > 0) l->c[m++] = l->c[i];
    l->n = m;
}

void rmr_spell_accept(rmr_spell *s, remora_token t)
{
    if (s->at == s->n) return;
    const size_t n = spelled(s, t);
    s->at = n > 0 ? s->at + (uint32_t)n : s->n;
}
