/* SPDX-License-Identifier: Apache-2.0 */
/* Text that the next tokens have to spell: of the candidates only those are left that spell all of
 * what is left of it, and may be longer, or, where there is none, those that go on with it. */
#ifndef RMR_SPELL_H
#define RMR_SPELL_H

#include "candidates.h"
#include "sampler.h"

typedef struct rmr_spell {
    rmr_spell_bytes bytes;
    const void *user; /* borrowed */
    uint32_t n, at;   /* bytes of text, and of them spelled */
    char text[REMORA_HEAL_MAX];
    /* To go back: where each token began that spelled a part, and how many came behind them. */
    uint16_t began[REMORA_HEAL_MAX];
    uint32_t n_began;
    uint64_t behind;
} rmr_spell;

void rmr_spell_filter(const rmr_spell *s, rmr_candidates *l);

/* A token was accepted: it spells a part of the text; one that does not ends the spelling. */
void rmr_spell_accept(rmr_spell *s, remora_token t);

/* The last n tokens were not accepted. */
void rmr_spell_rollback(rmr_spell *s, size_t n);

#endif
