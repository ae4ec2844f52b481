/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes of a set of regular languages, and how they are found again. Internal to rx*.c. */
#ifndef RMR_RX_SET_H
#define RMR_RX_SET_H

#include "rx.h"

typedef enum rx_kind {
    RX_NONE,
    RX_EMPTY,
    RX_ANY,
    RX_BYTES,    /* a: a byte set */
    RX_CONCAT,   /* a, then b; a is no concatenation */
    RX_OR,       /* b kids from a on: sorted, none twice, none of them an OR */
    RX_AND,      /* the same */
    RX_NOT,      /* of a */
    RX_REPEAT,   /* a, min to max times; min is 0 when a may be empty */
    RX_MULTIPLE, /* divisor a; min, max: low and high half of the remainder; b: mode | left << 8 */
} rx_kind;

enum {
    RX_NULLABLE = 1, /* has the empty text */
    RX_PLAIN = 2,    /* made without AND and NOT, so not empty */
    RX_KNOWN = 4,    /* a search has shown RX_ALIVE, or its absence */
    RX_ALIVE = 8,
};

/* What a multiple has read: nothing, digits, the point, digits behind the point. */
enum { RX_AT_START, RX_IN_WHOLE, RX_AT_POINT, RX_IN_FRACTION };

typedef struct rx_node {
    uint8_t kind, flags;
    uint16_t depth; /* calls that its derivative nests */
    uint32_t a, b, min, max;
} rx_node;

typedef struct rx_memo {
    rmr_rx of, is; /* of RMR_RX_NONE: unused */
    uint32_t byte;
} rx_memo;

typedef struct rx_array {
    uint32_t *p;
    size_t n, cap;
} rx_array;

struct rmr_rx_set {
    rmr_mem *mem;
    uint32_t max_nodes;
    rx_node *nodes;
    size_t n_nodes, cap_nodes;
    uint32_t *slots; /* nodes by their content, 0: free; a power of two */
    size_t n_slots;
    rmr_byte_set *sets;
    size_t n_sets, cap_sets;
    rx_array kids;    /* of ORs and ANDs */
    rx_array scratch; /* a stack for constructors */
    rx_memo *memo;    /* of derivatives, by a hash */
    size_t n_memo;
    uint64_t *divisors;
    size_t n_divisors, cap_divisors;
    /* Bytes that no set of this one tells apart are a class. */
    uint8_t class_of[256], class_byte[256];
    unsigned n_classes;
    struct {
        size_t nodes, kids, sets;
    } mark;         /* what was there when it was marked */
    uint64_t steps; /* derivatives made, for the fuel of callers */
    remora_status status;
    remora_error error;
};

/* The most calls that nest in a derivative: 128 kB of stack are enough for them. */
enum { RX_MAX_DEPTH = 250 };

/* The status of so many bytes that were not to be had: E_LIMIT when it is the budget that ended. */
remora_status rmr_rx_lack(const rmr_mem *mem, uint64_t bytes, remora_error *err);
/* Remember it. */
rmr_rx rmr_rx_no_memory(rmr_rx_set *s, uint64_t bytes);
/* The node with this content. Flags and depth are filled in. */
rmr_rx rmr_rx_intern(rmr_rx_set *s, rx_node n);
/* The same with n kids, which are copied. */
rmr_rx rmr_rx_intern_kids(rmr_rx_set *s, rx_kind kind, const uint32_t *kids, size_t n);
int rmr_rx_push(rmr_rx_set *s, uint32_t v); /* on the scratch stack; 0: failed */
uint32_t rmr_rx_byte_set_id(rmr_rx_set *s, const rmr_byte_set *set);
rmr_rx rmr_rx_multiple_state(rmr_rx_set *s, uint32_t divisor, uint64_t rem, unsigned mode,
                             unsigned left);
/* OR or AND of what lies on the scratch stack from `base` on, which is taken off. */
rmr_rx rmr_rx_join(rmr_rx_set *s, rx_kind kind, size_t base);
/* Concatenation of what lies on the scratch stack from `base` on, and then `tail`. */
rmr_rx rmr_rx_chain(rmr_rx_set *s, size_t base, rmr_rx tail);

/* What is there stays; rmr_rx_reset forgets what has come since, and what went wrong. */
void rmr_rx_mark(rmr_rx_set *s);
void rmr_rx_reset(rmr_rx_set *s);
/* Where the derivative by a byte is remembered; NULL: nowhere. The memo is a cache, and the one
 * array of a set whose lack is no error: a derivative that was not remembered is made once more and
 * is the same node. So a budget that has no room for a larger memo still has room for an answer. */
enum { RX_FIRST_MEMO = 256, RX_MEMO_GROWS = 4 }; /* entries, and by what factor there become more */
rx_memo *rmr_rx_memo_of(rmr_rx_set *s, rmr_rx a, unsigned byte);

enum { RX_PARTS_NODES = 4096 };

/* Classes of bytes that some languages do not tell apart: in the first byte of a text. */
typedef struct rx_parts {
    uint8_t part[256];  /* of a class */
    uint16_t size[256]; /* of a part, in classes */
    unsigned n;
    unsigned left;     /* nodes that may still be looked at, of RX_PARTS_NODES */
    uint64_t reps[4];  /* the bytes that stand for classes */
    uint32_t done[16]; /* byte sets that were taken into account */
} rx_parts;

/* All classes are one part; split the parts where the derivatives of a language may differ. When
 * that takes too long each class becomes a part. */
void rmr_rx_parts_begin(const rmr_rx_set *s, rx_parts *p);
void rmr_rx_parts_split(const rmr_rx_set *s, rx_parts *p, rmr_rx a);

/* The language without its NOTs of finitely many texts, in its first part: it has those texts, too.
 * Where it goes on after a text without end, so does the language. */
rmr_rx rmr_rx_without_few(rmr_rx_set *s, rmr_rx a);

/* Every byte is a class of its own from now on: texts will be built later. */
void rmr_rx_all_classes(rmr_rx_set *s);
/* A language that has the same texts and beginnings of texts of up to n bytes, and the same one for
 * counters that differ only beyond that. */
rmr_rx rmr_rx_saturate(rmr_rx_set *s, rmr_rx a, uint32_t n);

static inline const rx_node *rx_at(const rmr_rx_set *s, rmr_rx a)
{
    RMR_ASSERT(a < s->n_nodes);
    return &s->nodes[a];
}

static inline int rx_has(const rmr_byte_set *set, unsigned b)
{
    return (int)(set->bits[b / 64] >> (b % 64) & 1);
}

#endif
