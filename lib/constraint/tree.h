/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as a person writes them, and what becomes of them: rules that are regular and small are
 * lexemes, the others rules of the grammar. Front ends of grammars (rules.h) read into a
 * tree. Nodes come after their parts, so everything here is a loop over them. Internal to
 * lib/constraint. */
#ifndef RMR_TREE_H
#define RMR_TREE_H

#include "grammar_parts.h"
#include "map.h"

typedef enum tree_kind {
    TREE_RX,
    TREE_TEXT,
    TREE_RULE,
    TREE_TOKENS,
    TREE_CALL, /* of a rule that is in the grammar already */
    TREE_SEQ,
    TREE_ALT,
    TREE_REPEAT
} tree_kind;

typedef struct tree_node {
    uint8_t kind, part_of_alt;
    uint8_t regular; /* rx is its language */
    uint32_t a, n;   /* kids; of RX: the language; of TEXT: bytes in `text`; of RULE: its number; of
                        CALL: the rule */
    uint32_t min, max; /* of REPEAT */
    uint32_t size;     /* parts that its language is made of */
    rmr_rx rx;
    rmr_symbol symbol; /* in the grammar */
} tree_node;

typedef struct tree_rule {
    uint32_t name, name_n;
    uint32_t first, end; /* its nodes; the last one is its root. first == end: not defined */
    uint32_t uses;       /* nodes of other rules that use it: a list by `next` */
    uint32_t waits;      /* uses in it of rules that are not known to be regular */
    uint8_t defined, done, lexeme; /* lexeme: it is used as one */
    rmr_rule rule;
} tree_rule;

typedef struct rmr_tree {
    rmr_grammar *g;
    tree_node *nodes;
    size_t n_nodes, cap_nodes;
    uint32_t *kids;
    size_t n_kids, cap_kids;
    tree_rule *rules;
    size_t n_rules, cap_rules;
    char *text;
    size_t n_text, cap_text;
    uint32_t *stack; /* parts that wait for what they belong to */
    size_t n_stack, cap_stack;
    rmr_map names;
    uint32_t *uses; /* pairs: the using rule, the next use */
    size_t n_uses, cap_uses;
} rmr_tree;

void rmr_tree_free(rmr_tree *t);
int rmr_tree_push(rmr_tree *t, uint32_t node); /* on the stack */
uint32_t rmr_tree_node(rmr_tree *t, tree_node n);
uint32_t rmr_tree_text(rmr_tree *t, const char *text, size_t n);
/* A SEQ or ALT of what is on the stack from `base` on, which is taken off; one part is itself. */
uint32_t rmr_tree_join(rmr_tree *t, tree_kind kind, size_t base);
uint32_t rmr_tree_repeat(rmr_tree *t, uint32_t node, uint32_t min, uint32_t max);
/* The rule of a name, new or not. */
uint32_t rmr_tree_rule(rmr_tree *t, const char *name, size_t n);
/* Make rules of the grammar and finish it. E_ARG: a rule that is used is not defined, or there is
 * none of the name that the start has. */
remora_status rmr_tree_finish(rmr_tree *t, const char *start, remora_error *err);

#endif
