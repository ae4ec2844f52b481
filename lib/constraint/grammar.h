/* SPDX-License-Identifier: Apache-2.0 */
/* A grammar as front ends build it: rules whose symbols are rules, lexemes or tokens.
 *
 * A lexeme is a regular language over bytes (rx.h). Nothing about it is greedy: a text is in the
 * language of the grammar when it can be cut in some way, and the guide follows all ways at once.
 * So where a front end cuts between rules and lexemes changes speed, never the language: what is
 * not recursive and not large is best one lexeme. Left, right and hidden recursion, cycles and
 * ambiguity are fine.
 *
 *     rmr_rule list = rmr_rule_new(g, "list", 4);
 *     rmr_symbol item[] = {rmr_lexeme(word), rmr_lexeme(comma)};
 *     rmr_rule_alt(g, list, item, 2);
 *     RMR_TRY(rmr_grammar_finish(g, list, err));
 *
 * Builders cannot fail in the caller's hands, as those of rx.h cannot: rmr_grammar_status, or
 * rmr_grammar_finish at the end, has the first reason. */
#ifndef RMR_GRAMMAR_H
#define RMR_GRAMMAR_H

#include "rx.h"

/* Bounds of a constraint; 0 is the default. What reaches one ends in E_LIMIT with the name of the
 * bound and of the rule. */
typedef struct rmr_limits {
    uint32_t rules;     /* rules of a grammar: 500,000 */
    uint32_t symbols;   /* symbols of all alternatives: 1,000,000 */
    uint32_t nodes;     /* of regular languages, also those that matching derives: 2,000,000 */
    uint32_t nesting;   /* depth of groups, and of what is read by depth: 1,000 */
    uint32_t row_items; /* items of a row of the parser: 10,000 */
    uint64_t bytes;     /* all memory of a constraint: 64 MiB */
    uint64_t build;     /* steps for building: 20,000,000 */
    uint64_t step;      /* steps for a mask, a token or forced text: 5,000,000 */
} rmr_limits;

/* Fill in the defaults. */
void rmr_limits_settle(rmr_limits *l);

typedef struct rmr_grammar rmr_grammar;
typedef uint32_t rmr_rule;  /* 0: none */
typedef uint32_t rmr_check; /* 0: none */

typedef enum rmr_symbol_kind {
    RMR_SYMBOL_LEXEME, /* id: an rmr_rx */
    RMR_SYMBOL_RULE,   /* id: an rmr_rule */
    RMR_SYMBOL_TOKENS, /* id: of rmr_grammar_tokens; one token, whatever its bytes */
    RMR_SYMBOL_EMPTY,  /* nothing, for a check alone */
} rmr_symbol_kind;

/* One symbol of an alternative, min to max times (RMR_RX_MANY: without end), counted and not
 * unrolled. */
typedef struct rmr_symbol {
    rmr_symbol_kind kind;
    uint32_t id;
    uint32_t min, max;
    rmr_check check; /* of each repetition */
} rmr_symbol;

static inline rmr_symbol rmr_lexeme(rmr_rx a)
{
    return (rmr_symbol){RMR_SYMBOL_LEXEME, a, 1, 1, 0};
}

static inline rmr_symbol rmr_call(rmr_rule r)
{
    return (rmr_symbol){RMR_SYMBOL_RULE, r, 1, 1, 0};
}

static inline rmr_symbol rmr_times(rmr_symbol s, uint32_t min, uint32_t max)
{
    s.min = min;
    s.max = max;
    return s;
}

static inline rmr_symbol rmr_checked(rmr_symbol s, rmr_check c)
{
    s.check = c;
    return s;
}

/* Registers. Each use of a rule has a word of 64 bits and a set of texts of its own, zero and empty
 * when it begins, which its alternative's symbols look at and change. What the bits mean is the
 * front end's: flags of keys that were seen, a counter of `width` bits at `shift`. A rule that
 * shares (rmr_rule_share) begins with those of the rule that uses it and gives them back.
 *
 * A symbol with a check is possible only if the word has all bits of `need` and none of `forbid`,
 * and its counter is lo to hi. Behind the symbol the bits of `set` are set and `add` is added to
 * the counter, which stays at its largest value (all ones of its width) once it is there. `clear`
 * forgets bits first. */
typedef struct rmr_check_desc {
    uint64_t need, forbid, set, clear;
    uint32_t shift, width; /* of the counter; width 0: there is none */
    uint32_t lo, hi;       /* the counter before the symbol; hi RMR_RX_MANY: no bound */
    uint32_t add;
    /* Of a lexeme only: its text is none that a symbol with `unique` had in this use of the rule
     * before, and is remembered. Masks know it from the first byte: when only texts that were there
     * could follow, nothing does. */
    int unique;
} rmr_check_desc;

/* `lim` may be NULL. `mem` must outlive the grammar. */
remora_status rmr_grammar_new(rmr_mem *mem, const rmr_limits *lim, rmr_grammar **out,
                              remora_error *err);
void rmr_grammar_free(rmr_grammar *g);
rmr_rx_set *rmr_grammar_rx(rmr_grammar *g); /* the set that all its lexemes are of */
const rmr_limits *rmr_grammar_limits(const rmr_grammar *g);
/* What went wrong first, in the grammar or its lexemes. */
remora_status rmr_grammar_status(const rmr_grammar *g, remora_error *err);
int rmr_grammar_failed(const rmr_grammar *g);
/* Take so many steps from those for building; 0: they are used up and the grammar has failed. For
 * loops of front ends. */
int rmr_grammar_fuel(rmr_grammar *g, uint64_t steps);

/* A rule; the name (copied, need not be one only this rule has) is for messages. */
rmr_rule rmr_rule_new(rmr_grammar *g, const char *name, size_t n);
/* One more alternative: these symbols, one after another; n may be 0. */
void rmr_rule_alt(rmr_grammar *g, rmr_rule r, const rmr_symbol *symbols, size_t n);
/* Its registers are those of the rule that uses it. Such a rule is used by symbols of max 1 or
 * repeated; when it may be empty, its checks do not happen for the empty text. */
void rmr_rule_share(rmr_grammar *g, rmr_rule r);
rmr_check rmr_grammar_check(rmr_grammar *g, const rmr_check_desc *d);
/* A set of token ids lo .. hi, or of all that are in no range. They need not have text. */
typedef struct rmr_token_range {
    uint32_t lo, hi;
} rmr_token_range;
uint32_t rmr_grammar_tokens(rmr_grammar *g, const rmr_token_range *ranges, size_t n, int negated);

/* Everything was said. Refuses with E_UNSUPPORTED a rule that no text can match, by its name (a
 * lexeme that is empty, a recursion without an end), when the start needs it; alternatives that
 * cannot match are left out. Guards are not looked into: a front end must see to it that checks
 * leave a way on, for a dead end behind the next lexeme is not foreseen. */
remora_status rmr_grammar_finish(rmr_grammar *g, rmr_rule start, remora_error *err);

#endif
