/* SPDX-License-Identifier: Apache-2.0 */
/* A grammar as it lies in memory: as it is built, and finished, as the parser goes over it. */
#ifndef RMR_GRAMMAR_PARTS_H
#define RMR_GRAMMAR_PARTS_H

#include "grammar.h"
#include "rx_set.h"

enum { SYMBOL_END = RMR_SYMBOL_EMPTY + 1 };

/* A place in a finished rule: a symbol, or the end of an alternative. */
typedef struct rmr_place {
    uint8_t kind, nullable; /* it can be passed over without text */
    rmr_rule rule;
    uint32_t id, min, max;
    rmr_check check;
} rmr_place;

typedef struct grammar_rule {
    uint32_t name, name_n; /* in the names */
    uint32_t first, last;  /* alternatives, as a list; 0: none */
    uint32_t uses;         /* symbols that use it, as a list; 0: none */
    uint32_t starts, n_starts;
    uint8_t shares, possible, nullable;
} grammar_rule;

typedef struct grammar_alt {
    rmr_rule rule;
    uint32_t next;
    uint32_t symbols, n;
    uint32_t waits; /* symbols that do not have the property that is looked for */
} grammar_alt;

typedef struct grammar_symbol {
    rmr_symbol s;
    uint32_t alt, next_use;
} grammar_symbol;

typedef struct token_set {
    uint32_t first, n;
    int negated;
} token_set;

struct rmr_grammar {
    rmr_mem *host; /* where the grammar itself lies */
    rmr_mem mem;   /* all else, within the budget */
    rmr_budget budget;
    rmr_limits lim;
    uint64_t build; /* steps that are left */
    rmr_rx_set *rx;

    grammar_rule *rules;
    size_t n_rules, cap_rules;
    grammar_alt *alts;
    size_t n_alts, cap_alts;
    grammar_symbol *symbols;
    size_t n_symbols, cap_symbols;
    rmr_check_desc *checks;
    size_t n_checks, cap_checks;
    token_set *token_sets;
    size_t n_token_sets, cap_token_sets;
    rmr_token_range *ranges;
    size_t n_ranges, cap_ranges;
    rmr_cp_range *folds; /* of letter_case.h, when something has asked for them */
    size_t n_folds, cap_folds;
    char *names;
    size_t n_names, cap_names;
    /* Finished: */
    rmr_place *places;
    size_t n_places, cap_places;
    uint32_t *starts; /* places where alternatives begin, rule by rule */
    size_t n_starts, cap_starts;
    rmr_rule start;
    int has_checks;
};

/* Room for `need` elements; 0: the grammar has failed. */
int rmr_grammar_room(rmr_grammar *g, void *items, size_t *cap, size_t need, size_t size);
/* The name of a rule, cut to what a message has room for. */
const char *rmr_grammar_name(const rmr_grammar *g, rmr_rule r, char buf[64]);
int rmr_grammar_has_token(const rmr_grammar *g, uint32_t set, uint32_t token);

#endif
