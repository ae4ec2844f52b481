/* SPDX-License-Identifier: Apache-2.0 */
/* The reader that grammars written as rules share: GBNF (gbnf.c) and Lark (lark.c).
 *
 * Both are names with a body of alternatives, and bodies are the same but for details: groups,
 * repetitions, strings with escapes, comments, and a body that ends with its line outside of
 * groups. All of that is here, with the place of what is wrong, and fills a tree (tree.h). A
 * dialect says the details and reads the parts that a language has for itself; its front end reads
 * what stands around bodies. Nothing calls itself: groups are a stack of frames, so the depth of a
 * source costs memory of the grammar and never of the thread. */
#ifndef RMR_RULES_H
#define RMR_RULES_H

#include <string.h>

#include "tree.h"

typedef struct rule_reader rule_reader;

typedef struct rule_dialect {
    const char *escapes, *codes; /* letters behind a backslash, and what they stand for */
    const char *blanks, *ends;   /* white space inside a line; what ends one */
    const char *comment;         /* what begins a comment, as # does; "": nothing else */
    const char *repeats;         /* those of * + ? ~ { that it has */
    int brackets;                /* [ ] is a group that may be left out */
    /* What is no group: push one node and call rmr_rules_quantify; or read what means nothing. */
    remora_status (*part)(rule_reader *r);
} rule_dialect;

typedef struct rule_frame {
    size_t parts, alts; /* where the open sequence and the alternatives before it begin */
    int optional;       /* opened by [ */
} rule_frame;

struct rule_reader {
    rmr_tree t;
    rmr_grammar *g;
    const rule_dialect *dialect;
    void *own; /* what the front end keeps */
    const unsigned char *s;
    size_t n, at;
    rule_frame *frames; /* groups that are open; the first one is the body */
    size_t n_frames, cap_frames;
    uint32_t *alts; /* alternatives that are whole, group by group */
    size_t n_alts, cap_alts;
    char *text; /* of a string */
    size_t n_text, cap_text;
    char name[48]; /* what is defined, for messages; "": they do not say it */
    remora_error *err;
};

/* 0 at the end. */
static inline unsigned peek(const rule_reader *r)
{
    return r->at < r->n ? r->s[r->at] : 0;
}

static inline int begins(const rule_reader *r, const char *text)
{
    const size_t n = strlen(text);
    return r->n - r->at >= n && memcmp(r->s + r->at, text, n) == 0;
}

/* A reader of a source. E_LIMIT: it is longer than trees have room for. */
remora_status rmr_rules_begin(rule_reader *r, rmr_grammar *g, const rule_dialect *d,
                              const char *src, size_t n, remora_error *err);
void rmr_rules_free(rule_reader *r);

/* The status, with "the grammar has .. in line .., column ..". */
remora_status rmr_rules_fail(const rule_reader *r, remora_status st, const char *what);
remora_status rmr_rules_wrong(const rule_reader *r, const char *what); /* E_ARG */

/* Over white space and comments; `lines`: ends of lines too. */
void rmr_rules_skip(rule_reader *r, int lines);
int rmr_rules_number(rule_reader *r,
                     uint32_t *v); /* 0: there is none; large ones are the largest */
remora_status rmr_rules_char(rule_reader *r, uint32_t *cp); /* one, or an escape */
/* A string into `text`; *only: its only character, or UINT32_MAX. */
remora_status rmr_rules_string(rule_reader *r, uint32_t *only);

uint32_t rmr_rules_of_rx(rule_reader *r, rmr_rx a);
uint32_t rmr_rules_of_name(rule_reader *r, const char *name, size_t n);
/* A set of tokens; `not`: the tokens outside of it. */
uint32_t rmr_rules_of_tokens(rule_reader *r, const rmr_token_range *ranges, size_t n, int not );
/* What repeats the part on top of the stack, if anything does. */
remora_status rmr_rules_quantify(rule_reader *r);

/* A rule that is defined from here on, once. */
remora_status rmr_rules_new(rule_reader *r, const char *name, size_t n, uint32_t *rule);
/* Its body, which begins here and ends in front of a line that does not begin with |. */
remora_status rmr_rules_body(rule_reader *r, uint32_t rule);
/* Or, a body that was made of the nodes from `first` on. */
remora_status rmr_rules_define(rule_reader *r, uint32_t rule, size_t first, uint32_t root);

#endif
