/* SPDX-License-Identifier: Apache-2.0 */
/* The coding of each element type's values: the fields of a row of elem_rows.h, and the table of
 * them. The table is in the header, so that it folds to constants in the kernels.
 *
 * A block has scales, codes and, in large blocks, sub-scales. With v(code) the integer that a code
 * stands for, sub-blocks of values / subs values each, and d, m the first and second scale, a value
 * is
 *     without subs       d * v(code)                  scales = 1
 *                        d * v(code) + m              scales = 2
 *     with subs          d * sub * v(code)            scales = 1
 *                        d * sub * v(code) - m * min  scales = 2 */
#ifndef RMR_ELEM_FORMAT_H
#define RMR_ELEM_FORMAT_H

#include <stdint.h>

/* A list of small numbers in a block. `unit` of them lie in as many bytes next to each other; the
 * next unit lies above these in the same bytes, and when the bytes are full, in those behind. */
typedef struct rmr_fields {
    uint8_t bits;  /* of a number; 0: there is no such list */
    uint8_t at;    /* the byte of the first number */
    uint8_t unit;  /* 1, or a multiple of 16 for codes */
    uint8_t shift; /* the lowest bit of the first number */
    /* The place of the second half of the list. at2 is 0 when it follows the first half. */
    uint8_t at2, shift2;
} rmr_fields;

typedef enum rmr_scale_form {
    RMR_SCALE_F16,
    RMR_SCALE_BF16,
    RMR_SCALE_E8M0 /* one byte e for 2^(e - 128) */
} rmr_scale_form;

/* In the order of the rows: a C++ compiler (the kernels of CUDA) wants it. */
typedef struct rmr_elem_format {
    int integer;      /* products take activations quantised to 8 bits (kernels.h) */
    const char *name; /* as GGUF spells it: "Q4_K" */
    uint32_t values;  /* of a block; the columns of a matrix are a multiple of it */
    uint32_t bytes;   /* of a block */

    /* Scales of the block, next to each other from byte d on. */
    uint8_t scales, d;
    rmr_scale_form scale;

    /* A code is its low bits and, above them, its high bits. v(code) is book[code]; or, without a
     * book, the code as a signed byte where it has 8 bits, and else code - offset. v + offset is
     * never negative, and |v| is no larger than an offset that is not 0. Kernels take offsets of 0,
     * 8, 16 and 128, and with 16 sub-blocks those of 0, 4 and 32. */
    rmr_fields low, high;
    const int8_t *book;
    const uint8_t *book_up; /* the book's values + offset */
    uint8_t offset;

    /* Sub-scales: numbers of low and high bits less sub_offset, or signed bytes where they have 8
     * bits. Sub-minima have as many bits, and no offset. Kernels take 8 or 16 of them, one for each
     * 32 or 16 values. */
    uint8_t subs;
    rmr_fields sub, sub_high, min, min_high;
    uint8_t sub_offset;
} rmr_elem_format;

/* ---- code books: each once with its values, once with the offset that makes them codes without a
 * sign ---- */

#define RMR_BOOK(name) .book = rmr_book_##name, .book_up = rmr_book_up_##name
#define RMR_VALUE(v) v
#define RMR_UP_16(v) ((v) + 16)
#define RMR_UP_128(v) ((v) + 128)

/* IQ4_NL and IQ4_XS. */
#define RMR_IQ4(V)                                                                                 \
    {                                                                                              \
        V(-127), V(-104), V(-83), V(-65), V(-49), V(-35), V(-22), V(-10), V(1), V(13), V(25),      \
            V(38), V(53), V(69), V(89), V(113)                                                     \
    }
static const int8_t rmr_book_iq4[16] = RMR_IQ4(RMR_VALUE);
static const uint8_t rmr_book_up_iq4[16] = RMR_IQ4(RMR_UP_128);

/* MXFP4: twice the value of e2m1. An integer book, so code 8, the minus zero, is plain zero. */
#define RMR_E2M1(V)                                                                                \
    {                                                                                              \
        V(0), V(1), V(2), V(3), V(4), V(6), V(8), V(12), V(0), V(-1), V(-2), V(-3), V(-4), V(-6),  \
            V(-8), V(-12)                                                                          \
    }
static const int8_t rmr_book_e2m1[16] = RMR_E2M1(RMR_VALUE);
static const uint8_t rmr_book_up_e2m1[16] = RMR_E2M1(RMR_UP_16);

/* ---- the types ---- */

typedef enum rmr_elem {
#define PLAIN_TYPE(id, ...) id,
#define BLOCK_TYPE(id, name, ...) id,
#include "elem_rows.h"
    RMR_ELEM_COUNT,
    RMR_ELEM_PLAIN = RMR_ELEM_F8 /* the types below this are plain */
} rmr_elem;

static const rmr_elem_format rmr_elem_table[RMR_ELEM_COUNT] = {
#define PLAIN_TYPE(id, ...) [id] = {__VA_ARGS__},
#define BLOCK_TYPE(id, function, ...) [id] = {.integer = 1, __VA_ARGS__},
#include "elem_rows.h"
};

#endif
