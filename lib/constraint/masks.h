/* SPDX-License-Identifier: Apache-2.0 */
/* Masks of states, and what is kept of them.
 *
 * The work is split where contexts differ. For a lexer state alone it is known which tokens stay
 * inside a lexeme (they are allowed in every context), and the *borders*: the nodes of the trie at
 * which a lexeme may end, with what the parser has to decide below them. That is found out once for
 * a lexer state (*lexer mask*); a scan's mask is that one and its borders, walked with the parser.
 * Both are kept, a few of each, and the least recently used one goes. Internal to lib/constraint.
 */
#ifndef RMR_MASKS_H
#define RMR_MASKS_H

#include "machine.h"
#include "vocabulary.h"

enum { LEX_MASKS = 256, SCAN_MASKS = 512, MASK_WAYS = 4 };

typedef struct mask_border {
    uint32_t node, part;
    uint32_t lex;   /* the lexer state at the node */
    uint32_t again; /* the token of the node itself is for the parser to decide */
} mask_border;

typedef struct lex_mask {
    uint32_t lex; /* 0: unused */
    uint64_t used;
    uint32_t *bits;
    mask_border *borders;
    size_t n, cap;
} lex_mask;

typedef struct scan_mask {
    scan of; /* its lexer state with counters saturated */
    uint64_t used;
    uint32_t *bits;
} scan_mask;

/* A lexer state that a search has reached, how far a character has come, and after how many. */
typedef struct string_pair {
    uint32_t q, from;
    uint16_t u, chars;
} string_pair;

typedef struct rmr_masks {
    rmr_machine *m;
    const rmr_vocabulary *v;
    uint64_t clock;
    lex_mask *lex;
    scan_mask *scans;
    /* For each state of the texts of strings the bytes that tell classes and next states apart. */
    uint8_t reps[8][256];
    unsigned n_reps[8];
    uint32_t *states;   /* states along the branch of the trie that is walked */
    string_pair *pairs; /* of the search in strings.c */
    size_t cap_pairs;
} rmr_masks;

remora_status rmr_masks_init(rmr_masks *k, rmr_machine *m, const rmr_vocabulary *v,
                             remora_error *err);
void rmr_masks_free(rmr_masks *k);
void rmr_masks_forget(rmr_masks *k); /* the machine was reset */

/* -- strings.c -- */
#define STRINGS_ANY 255u /* any number of characters */
void rmr_strings_init(rmr_masks *k);
/* Whether all texts of at most so many characters that may stand in a JSON string as they are go on
 * in a lexer state. One that is too hard to find out about does not, which costs a walk and no
 * token. */
int rmr_strings_go_on(rmr_masks *k, uint32_t q, unsigned most);

/* The mask of a state. Look at machine_failed afterwards. */
void rmr_masks_of(rmr_masks *k, uint32_t state, uint32_t *mask);
/* Whether some token of the trie has the text, and goes on so that the state allows it. */
int rmr_masks_crossed(rmr_masks *k, const char *text, size_t n, uint32_t state);

#endif
