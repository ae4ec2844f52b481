/* SPDX-License-Identifier: Apache-2.0 */
/* The automaton of a grammar over bytes, which is built as it is walked.
 *
 * A *lexer state* is a set of lexemes and what is left of each. A *row* is what the grammar expects
 * where a lexeme begins: items, each a place in a rule and where it returns to. Two rows with the
 * same items are one row, and so are the places to return to: a rule that ends with another one
 * gives it its own return, so right recursion does not grow, and a loop comes back to the row it
 * began with. A *state* is a set of scans: a row, and how far a lexeme that began there has come.
 * States are stored once too, so a text has one state, whoever reads it, and what follows is
 * remembered with it.
 *
 * All of this is a cache: it is dropped when it reaches the limits of the constraint (reset), and
 * built anew from the tokens (guide.c). After a failure it must be dropped, for it may be wrong.
 * Internal to lib/constraint. */
#ifndef RMR_MACHINE_H
#define RMR_MACHINE_H

#include "grammar_parts.h"
#include "map.h"

enum { LEX_UNKNOWN, LEX_DEAD };     /* numbers of lexer states; others are states */
enum { STATE_UNKNOWN, STATE_DEAD }; /* numbers of states */
enum { ROW_NONE };                  /* of rows */
enum { CONT_ROOT };                 /* of returns: the text may end */
#define TEXT_FRESH UINT32_MAX       /* of a scan: nothing of its lexeme was read */

typedef struct lex_pair {
    rmr_rx lexeme, rest; /* its name in the row, and what is left of its language */
} lex_pair;

typedef struct lex_state {
    uint32_t pairs, n;
    uint32_t accepts; /* lexemes that are whole: the rest of these first pairs may be empty */
    uint32_t near;    /* the state with saturated counters; 0: not known yet */
    uint8_t ends;     /* no byte can follow */
    /* What strings.c knows: all texts of so many characters go on; some text of so many does not,
     * 0: none is known. */
    uint8_t sure, unsure;
} lex_state;

/* An item: a place, what it returns to, repetitions so far, registers. */
typedef struct row_item {
    uint32_t place, cont, count, reg;
} row_item;

/* A lexeme that a row expects. Its name is the lexeme of the grammar, whatever texts are left out
 * of it here: so lexer states are the same once no text that is left out can come any more. Where
 * one name would stand for two languages in a row, the languages are the names. */
typedef struct row_lexeme {
    rmr_rx name, language;
    row_item item;
} row_lexeme;

typedef struct parse_row {
    uint32_t items, n_items;       /* its kernel: what was read up to here */
    uint32_t lexemes, n_lexemes;   /* sorted by lexeme */
    uint32_t tokens, n_tokens;     /* items whose symbol is a set of tokens */
    uint32_t lex;                  /* the lexer state at its beginning */
    uint8_t accept, closed, texts; /* texts: some check looks at texts */
} parse_row;

typedef struct row_cont {
    uint32_t items, n;
    uint8_t shares; /* registers come back from the rule */
} row_cont;

typedef struct scan {
    uint32_t row, lex, text;
} scan;

typedef struct parse_state {
    uint32_t scans, n;
    uint8_t accept;
    uint16_t only; /* the only byte that may follow, and 2; 1: there is none; 0: not known yet */
} parse_state;

typedef struct reg_value {
    uint64_t word;
    uint32_t seen; /* the last text that was remembered, 0: none */
} reg_value;

/* A text, as the one before and a byte; and a set of texts, as the one before and a text. */
typedef struct chained {
    uint32_t before, what;
} chained;

typedef struct rmr_machine {
    rmr_grammar *g;
    rmr_rx_set *rx;
    rmr_mem *mem;
    uint32_t longest; /* bytes of a token: counters beyond are alike */

    lex_state *lex;
    size_t n_lex, cap_lex;
    lex_pair *pairs;
    size_t n_pairs, cap_pairs;
    uint32_t *lex_next; /* by lexer state and class */
    size_t cap_lex_next;
    unsigned n_classes;

    parse_row *rows;
    size_t n_rows, cap_rows;
    row_item *items;
    size_t n_items, cap_items;
    row_lexeme *lexemes;
    size_t n_lexemes, cap_lexemes;
    row_cont *conts;
    size_t n_conts, cap_conts;

    parse_state *states;
    size_t n_states, cap_states;
    scan *scans;
    size_t n_scans, cap_scans;

    reg_value *regs;
    size_t n_regs, cap_regs;
    chained *texts, *seen;
    size_t n_texts, cap_texts, n_seen, cap_seen;

    rmr_map lex_by, rows_by, states_by, next_by, row_after, regs_by, texts_by, seen_by, unique_by;

    /* What is worked on: items of a row, whether one is there already, what rules are wanted. */
    row_item *work;
    size_t n_work, cap_work;
    rmr_map work_by;
    struct row_want *wants;
    size_t n_wants, cap_wants;
    struct row_back *backs;
    size_t n_backs, cap_backs;
    struct row_ended *ended;
    size_t n_ended, cap_ended;
    scan *scan_work;
    size_t n_scan_work, cap_scan_work;
    lex_pair *pair_work;
    size_t n_pair_work, cap_pair_work;
    rx_parts parts; /* of lexer state parts_of */
    uint32_t parts_of;
    char *spelling;
    size_t cap_spelling;
    uint32_t start; /* the state before any text */
} rmr_machine;

/* An empty machine over a finished grammar, which must outlive it. */
remora_status rmr_machine_init(rmr_machine *m, rmr_grammar *g, uint32_t longest, remora_error *err);
void rmr_machine_free(rmr_machine *m);
/* Forget all states: numbers of states are none any more. Failures are forgotten too. */
remora_status rmr_machine_reset(rmr_machine *m, remora_error *err);

/* Steps of a call are up, memory is, or a bound: the call ends, and the machine has to be reset. */
static inline int machine_failed(const rmr_machine *m)
{
    return rmr_rx_failed(m->rx);
}
/* Count steps of the call that runs; 0: too many. The rule is named. */
int rmr_machine_step(rmr_machine *m, uint64_t n, rmr_rule rule);
int rmr_machine_room(rmr_machine *m, void *items, size_t *cap, size_t need, size_t size);
int rmr_machine_put(rmr_machine *m, rmr_map *map, uint64_t key, uint64_t more, uint32_t value);

/* -- lexer.c -- */
/* The state before a byte of any of these lexemes, sorted by name. */
uint32_t rmr_lex_start(rmr_machine *m, const row_lexeme *lexemes, size_t n);
uint32_t rmr_lex_derive(rmr_machine *m, uint32_t q, unsigned c);
uint32_t rmr_lex_near(rmr_machine *m, uint32_t q);
/* The state before the texts of a language alone, whatever lexeme it is of. */
uint32_t rmr_lex_alone(rmr_machine *m, rmr_rx a);

static inline uint32_t rmr_lex_next(rmr_machine *m, uint32_t q, unsigned c)
{
    const uint32_t known = m->lex_next[(size_t)q * m->n_classes + c];
    return known != LEX_UNKNOWN ? known : rmr_lex_derive(m, q, c);
}

/* -- rows.c -- */
/* The first row. */
uint32_t rmr_row_first(rmr_machine *m);
/* Begin to collect a row; add what follows a row's lexemes that are whole in lexer state q; or its
 * symbols that have a token. Then the row, or ROW_NONE. */
void rmr_row_begin(rmr_machine *m);
void rmr_row_scan(rmr_machine *m, uint32_t row, uint32_t q, uint32_t text);
void rmr_row_token(rmr_machine *m, uint32_t row, uint32_t token);
uint32_t rmr_row_end(rmr_machine *m);
/* All of it for one scan, remembered. */
uint32_t rmr_row_after(rmr_machine *m, uint32_t row, uint32_t q, uint32_t text);

/* -- registers.c -- */
int rmr_reg_allows(const rmr_machine *m, rmr_check c, uint32_t reg);
/* The registers behind a symbol with this check, whose text is that (0: none). */
uint32_t rmr_reg_after(rmr_machine *m, rmr_check c, uint32_t reg, uint32_t text);
/* A lexeme without the texts that were seen. */
rmr_rx rmr_reg_lexeme(rmr_machine *m, rmr_rx lexeme, uint32_t reg);
uint32_t rmr_text_longer(rmr_machine *m, uint32_t text, unsigned byte);

/* -- states.c -- */
/* The state of one row where a lexeme begins. */
uint32_t rmr_state_of_row(rmr_machine *m, uint32_t row);
uint32_t rmr_state_derive(rmr_machine *m, uint32_t state, unsigned byte);
/* Behind a token that the grammar asks for as such; STATE_DEAD: it does not. */
uint32_t rmr_state_token(rmr_machine *m, uint32_t state, uint32_t token);
/* Both at once: texts that are in either. */
uint32_t rmr_state_union(rmr_machine *m, uint32_t a, uint32_t b);

static inline uint32_t rmr_state_next(rmr_machine *m, uint32_t state, unsigned byte)
{
    if (state == STATE_DEAD || machine_failed(m)) return STATE_DEAD;
    const uint32_t *k = rmr_map_find(&m->next_by, state, m->rx->class_of[byte]);
    return k != NULL ? *k : rmr_state_derive(m, state, byte);
}

#endif
