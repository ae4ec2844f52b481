/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the schema front end.
 *
 * A *literal* is a schema or its complement. A *term* is a set of literals that a value satisfies
 * together, and is stored once. Expanding a term looks at what holds for the value itself, never
 * into its members: the result is a *union* of scalars (a regular language for each type), arrays
 * and objects in simple forms, whose members are terms again. So intersection, union and complement
 * of schemas are those of unions, recursion ends because terms are finite, and a term becomes one
 * rule of the grammar. */
#ifndef RMR_SCHEMA_PARTS_H
#define RMR_SCHEMA_PARTS_H

#include "schema.h"
#include "schema_json.h"

typedef struct schema_literal {
    const rmr_node *node;
    uint8_t not ;     /* its complement */
    uint8_t constant; /* the node is a value to equal, no schema */
} schema_literal;

typedef struct schema_union schema_union;
typedef struct schema schema;

typedef struct schema_term {
    struct schema_term *next, *later; /* of the same hash; to be written */
    uint32_t hash, n;
    schema_literal *lits;
    const schema_union *is; /* NULL: not expanded yet */
    uint8_t busy, empty;    /* empty: 0 unknown, 1 no, 2 yes, 3 being asked */
    uint8_t contradicts;    /* it has a literal and its complement, or "false" */
    uint8_t settled;        /* it has its symbol */
    rmr_symbol symbol;
} schema_term;

/* A language of scalars of a type; ALL is every spelling that JSON has, and more than the rest,
 * which have the shortest ones only. */
#define SCHEMA_ALL (UINT32_MAX - 1)
#define SCHEMA_MANY UINT32_MAX

enum { WORD_NULL = 1, WORD_FALSE = 2, WORD_TRUE = 4, WORD_ANY = 7 };

typedef struct schema_name {
    const char *text;
    size_t n;
} schema_name;

/* Keys: those of the names and patterns, or all others. */
typedef struct schema_keys {
    int others;
    schema_name *names;
    uint32_t n_names, n_patterns;
    const rmr_node **patterns; /* nodes whose `key` is the pattern, or a schema of names */
    uint8_t of_names;          /* the one pattern is a schema of names (propertyNames) */
} schema_keys;

/* The language of a pattern, or of a schema of names, as texts with quotes. */
typedef struct schema_cached {
    struct schema_cached *next;
    const rmr_node *node;
    rmr_rx rx;
} schema_cached;
rmr_rx rmr_schema_keys_pattern(schema *s, const schema_keys *k, uint32_t i);

typedef struct schema_key_rule {
    const schema_keys *keys;
    schema_literal lit;
} schema_key_rule;

/* When key `has` is there, `wants` are. */
typedef struct schema_implied {
    schema_name has;
    const rmr_node *wants; /* array of strings */
} schema_implied;

/* Some key of the set has a value of the literal. */
typedef struct schema_some {
    const schema_keys *keys;
    schema_literal lit;
} schema_some;

typedef struct schema_object {
    schema_key_rule *rules;
    schema_name *required;
    schema_implied *implied;
    schema_some *some;
    const schema_keys **seen; /* evaluated keys, for unevaluatedProperties */
    uint32_t n_rules, n_required, n_implied, n_some, n_seen;
    uint32_t min, max; /* number of keys */
    int seen_all;
} schema_object;

/* Elements from .. to (excluded). */
typedef struct schema_item_rule {
    uint32_t from, to;
    schema_literal lit;
} schema_item_rule;

/* Of the elements from number `from` on, min to max are of the literal. */
typedef struct schema_contains {
    schema_literal lit;
    uint32_t from, min, max;
} schema_contains;

typedef struct schema_array {
    schema_item_rule *items;
    schema_contains *contains;
    uint32_t n_items, n_contains;
    uint32_t min, max;      /* elements */
    uint32_t seen;          /* the first elements that were evaluated, for unevaluatedItems */
    const rmr_node *unique; /* the keyword; NULL: elements may be equal */
    uint8_t seen_contained; /* so were those that `contains` takes */
} schema_array;

struct schema_union {
    uint8_t words;
    rmr_rx number, string; /* or SCHEMA_ALL; of a string with its quotes */
    uint32_t n_arrays, n_objects;
    schema_array **arrays;
    schema_object **objects;
};

enum { TERM_BUCKETS = 256, NESTED_MAX = 48 };

struct schema {
    rmr_grammar *g;
    rmr_rx_set *rx;
    rmr_bump pool;
    rmr_schema_opts o;
    rmr_node *root;
    rmr_spelling spelling; /* of strings: UTF8 has no quotes either */
    struct schema *raw;    /* the same schema with strings as they are; NULL: not made yet */
    rmr_node *of_string;   /* {"type": "string"} */
    rmr_node *of_object;
    uint32_t count;        /* nodes */
    uint32_t n_listed;     /* nodes that `listed` has a bit for */
    unsigned char *listed; /* nodes that are left out and were told; NULL: none was */
    int draft;             /* 4, 6, 7, 2019, 2020 */
    int unevaluated;       /* some keyword asks which members were evaluated */
    uint32_t depth;        /* of expanding */
    uint32_t probes;       /* questions under way whether a term is empty */
    int unknown;           /* the innermost one has no answer */
    schema_term *terms[TERM_BUCKETS];
    schema_term *queue, **queue_end; /* to be written */
    remora_status st;                /* the first reason to end */
    remora_error *err;
    /* Languages used often; RMR_RX_NONE: not made yet. */
    rmr_rx number, number_all, integer, canon_number, chars, string, string_all;
    rmr_rx open_object, close_object, open_array, close_array, comma, colon;
    rmr_node yes, no; /* the schemas true and false */
    const schema_union *all, *none;
    schema_cached *patterns; /* languages of patterns, by their nodes */
};

/* ---- ends ---- */
/* Remember the first reason to end; returns 0. */
int rmr_schema_fail(schema *s, remora_status st, const char *fmt, ...);
/* A keyword that is not enforced: 1 when it is to be left out, else the schema has failed. */
int rmr_schema_skip(schema *s, const rmr_node *at, const char *what);
int rmr_schema_failed(schema *s);
void *rmr_schema_take(schema *s, size_t n, size_t size); /* NULL: failed */

/* ---- references (schema_refs.c) ---- */
const rmr_node *rmr_schema_ref(schema *s, const rmr_node *at, const rmr_node *ref);
void rmr_schema_find_draft(schema *s);

/* ---- scalars (schema_text.c) ---- */
rmr_rx rmr_schema_quoted(schema *s, rmr_rx body);
rmr_rx rmr_schema_chars(schema *s, uint32_t min, uint32_t max);        /* without quotes */
rmr_rx rmr_schema_literal_text(schema *s, const char *text, size_t n); /* with quotes */
rmr_rx rmr_schema_pattern(schema *s, const rmr_node *at, const char *text, size_t n);
/* The texts of a format without quotes; NONE: it says nothing. */
rmr_rx rmr_schema_format(schema *s, const rmr_node *at, const rmr_node *name);
rmr_rx rmr_schema_any_string(schema *s); /* with quotes, shortest spelling */
/* A language, or every spelling of its type for ALL. */
rmr_rx rmr_schema_whole(schema *s, rmr_rx a, int string);

/* ---- numbers (schema_number.c) ---- */
rmr_rx rmr_schema_number_plain(schema *s); /* without exponents */
rmr_rx rmr_schema_number_all(schema *s);
rmr_rx rmr_schema_integer(schema *s);
rmr_rx rmr_schema_number_equal(schema *s, const rmr_exact *x);
rmr_rx rmr_schema_number_bound(schema *s, const rmr_exact *x, int below, int strict);
/* NONE: not enforced. */
rmr_rx rmr_schema_number_multiple(schema *s, const rmr_exact *x);
rmr_rx rmr_schema_number_once(schema *s); /* each number in one spelling */

/* ---- unions (schema_union.c) ---- */
const schema_union *rmr_schema_all(schema *s);  /* every value */
const schema_union *rmr_schema_none(schema *s); /* no value */
schema_union *rmr_schema_new(schema *s);        /* none yet, to be filled */
const schema_union *rmr_schema_both(schema *s, const schema_union *a, const schema_union *b);
const schema_union *rmr_schema_either(schema *s, const schema_union *a, const schema_union *b);
/* The same values, nothing of them evaluated: what stands inside a complement evaluates nothing. */
const schema_union *rmr_schema_unseen(schema *s, const schema_union *u);
int rmr_schema_union_empty(schema *s, const schema_union *u);
schema_object *rmr_schema_object_new(schema *s, schema_union *u); /* any object, added to u */
schema_array *rmr_schema_array_new(schema *s, schema_union *u);
schema_object *rmr_schema_object_copy(schema *s, schema_union *u, const schema_object *o);
schema_array *rmr_schema_array_copy(schema *s, schema_union *u, const schema_array *a);
rmr_rx rmr_schema_rx_both(schema *s, rmr_rx a, rmr_rx b);
rmr_rx rmr_schema_rx_either(schema *s, rmr_rx a, rmr_rx b);

/* ---- terms (schema_term.c) ---- */
schema_term *rmr_schema_term_of(schema *s, const schema_literal *lits, uint32_t n);
const schema_union *rmr_schema_expand(schema *s, schema_term *t);
const schema_union *rmr_schema_expand_literal(schema *s, schema_literal l);
int rmr_schema_term_empty(schema *s, schema_term *t);
schema_literal rmr_schema_of(const rmr_node *n);
schema_literal rmr_schema_not(schema_literal l);
int rmr_schema_is_true(const schema_literal *l); /* it says nothing */

/* ---- keywords (schema_keywords.c, schema_complement.c, schema_constant.c) ---- */
const schema_union *rmr_schema_keywords(schema *s, const rmr_node *n);
const schema_union *rmr_schema_complement(schema *s, const rmr_node *n);
const schema_union *rmr_schema_constant(schema *s, const rmr_node *v, int not );
/* What the keywords of numbers and of strings allow; ALL: there are none. */
rmr_rx rmr_schema_number_of(schema *s, const rmr_node *n);
rmr_rx rmr_schema_string_of(schema *s, const rmr_node *n);
/* The values of `type`, or all others. */
const schema_union *rmr_schema_type(schema *s, const rmr_node *type, int not );
const schema_union *rmr_schema_enum(schema *s, const rmr_node *values);
/* A bound as a number, `none` where it is not given. */
uint32_t rmr_schema_bound(schema *s, const rmr_node *n, const char *key, uint32_t none);
/* The items of an array: elements of the list one by one, then the rest (NULL: anything). */
typedef struct schema_items {
    const rmr_node *list, *rest;
} schema_items;
schema_items rmr_schema_items_of(schema *s, const rmr_node *n);
const schema_keys *rmr_schema_keys_of(schema *s, const rmr_node *n, int others);
const schema_keys *rmr_schema_one_key(schema *s, const char *key, size_t n);
const schema_keys *rmr_schema_one_pattern(schema *s, const rmr_node *member);
const schema_keys *rmr_schema_keys_not_of(schema *s, const rmr_node *names);
void rmr_schema_add_rule(schema *s, schema_object *o, const schema_keys *k, schema_literal l);
void rmr_schema_add_some(schema *s, schema_object *o, const schema_keys *k, schema_literal l);
void rmr_schema_add_required(schema *s, schema_object *o, const char *text, size_t n);
void rmr_schema_add_item(schema *s, schema_array *a, uint32_t from, uint32_t to, schema_literal l);
void rmr_schema_add_contains(schema *s, schema_array *a, schema_contains c);
/* Whether the text, spelled as a JSON string, is in the language. */
int rmr_schema_has_text(schema *s, rmr_rx a, const char *text, size_t n);
/* Whether a name is one of the keys. */
int rmr_schema_keys_have(schema *s, const schema_keys *k, const char *name, size_t n);

/* ---- rules (schema_write.c, schema_write_object.c, schema_write_array.c) ---- */
/* A value of the term: a lexeme where it is a scalar, else a rule, which is written later. */
rmr_symbol rmr_schema_symbol(schema *s, schema_term *t);
/* `members`: NULL where it is JSON. */
void rmr_schema_write_object(schema *s, rmr_rule r, const schema_object *o,
                             const rmr_schema_members *members);
/* ---- members that are no JSON (schema_write_members.c) ---- */
/* The schema whose languages of strings are those of their texts, without quotes and escapes. */
schema *rmr_schema_raw(schema *s);
/* The value of a member with this key (NULL: of others), and what stands around it. 0: there is
 * none. */
int rmr_schema_member(schema *s, const rmr_schema_members *as, const schema_name *key,
                      const schema_literal *lits, uint32_t n, rmr_symbol *out);
void rmr_schema_write_array(schema *s, rmr_rule r, const schema_array *a);
/* A rule of this name that shares the registers of those that use it. */
rmr_rule rmr_schema_shared(schema *s, const char *name);
rmr_rx rmr_schema_mark(schema *s, char c); /* a bracket, comma or colon with its white space */
/* All scalars of a union as one language; `once`: each value in one spelling. */
rmr_rx rmr_schema_scalars(schema *s, const schema_union *u, int once);
/* How many texts a language has; RMR_RX_MANY: more than `most`, or it was not found out. */
uint32_t rmr_schema_texts(schema *s, rmr_rx a, uint32_t most);

#endif
