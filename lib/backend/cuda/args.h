/* SPDX-License-Identifier: Apache-2.0 */
/* The agreements of host and device: the argument of every kernel (a kernel takes one struct), the
 * cuts of K, and the forms in which products take activations. Read by C and by CUDA. */
#ifndef RMR_CUDA_ARGS_H
#define RMR_CUDA_ARGS_H

#include "backend.h"
#include "float_math.h"

enum {
    RMR_GPU_WARPS = 8,   /* of a product's block: each multiplies one slice of K */
    RMR_GPU_UNIT = 32,   /* rows of a weight that a block multiplies: two tiles */
    RMR_GPU_COLUMNS = 8, /* columns of activations that a matrix instruction takes */
    RMR_GPU_WIDE = 4,    /* so many times those columns in the wide form of a product */
    RMR_GPU_RUN16 = 128, /* columns that share a scale of activations in half precision */
    RMR_GPU_UNITS = 128, /* of positions that a row is cut into at most, up to a unit of 64 */
    RMR_GPU_HEADS = 16,  /* heads that share a pass over the latent cache */
    RMR_GPU_LEAST = 64,  /* positions of the smallest unit */
    RMR_GPU_STAY = 2,    /* blocks of product_few.cuh on a multiprocessor */
    RMR_GPU_OWN = 4,     /* prepared rows that every block may make for itself */
    RMR_GPU_IDS = 512,   /* chosen experts that are sorted from shared memory */
    RMR_GPU_LATENT_SHARED = 177408,  /* bytes of shared memory of attend_latent.cuh, */
    RMR_GPU_LATENT8_SHARED = 111872, /* of attend_latent8.cuh, */
    RMR_GPU_PROMPT_SHARED = 231424,  /* of attend_prompt.cuh */
    RMR_GPU_MANY_LISTS = 512,        /* lists that product_many.cuh takes, and one; */
    RMR_GPU_MANY_SHARED = 231424,    /* its shared memory */
    RMR_GPU_MANY_GROUP = 8,          /* rows of activations that lie together for it */
    RMR_GPU_BEST_PART = 512,         /* numbers of a row that a warp of best.cuh has at most, */
    RMR_GPU_BEST_EACH = 16           /* and of those it names at most */
};

/* An integer for the bits of a float, in the order of the numbers; -infinity and NaN have the
 * lowest. And back. */
#define RMR_GPU_NO_KEY 0x007fffffu
static inline uint32_t rmr_gpu_key(uint32_t bits)
{
    if ((bits & 0x7fffffff) > 0x7f800000) return RMR_GPU_NO_KEY;
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

static inline float rmr_gpu_number(uint32_t key)
{
    return rmr_float_of(key >> 31 ? key & 0x7fffffff : ~key);
}

/* Rows of activations that a block of product_many.cuh multiplies at once. */
#define RMR_GPU_MANY_ROWS(elem) ((elem) == RMR_ELEM_BF16 ? 192 : 128)

/* A form of activations (prepare.cuh): BF16: pairs of columns in the order of the matrix
 * instruction; as `parts` rows that add up to the value. HALF: likewise in f16, after division by a
 * power of two for each run of RMR_GPU_RUN16 columns. QUADS: HALF with four columns next to each
 * other, for 8-bit floats. INT8: kernels.h, "Integer products". FLOAT: as the slot has it. */
typedef enum rmr_gpu_form {
    RMR_GPU_BF16,
    RMR_GPU_HALF,
    RMR_GPU_QUADS,
    RMR_GPU_INT8,
    RMR_GPU_FLOAT
} rmr_gpu_form;

/* Bytes and scales of n prepared columns, a multiple of the granule. */
static inline uint32_t rmr_gpu_form_bytes(rmr_gpu_form form, uint32_t n)
{
    return n * (form == RMR_GPU_FLOAT ? 4 : form == RMR_GPU_INT8 ? 1 : 2);
}

static inline uint32_t rmr_gpu_form_scales(rmr_gpu_form form, uint32_t n)
{
    return form == RMR_GPU_INT8                            ? n / 8
           : form == RMR_GPU_HALF || form == RMR_GPU_QUADS ? n / RMR_GPU_RUN16
                                                           : 0;
}

/* Columns that a slice of K is a multiple of. */
static inline uint32_t rmr_gpu_granule(rmr_gpu_form form)
{
    return form == RMR_GPU_INT8 ? 32 : form == RMR_GPU_BF16 ? 64 : RMR_GPU_RUN16;
}

static inline rmr_gpu_form rmr_gpu_form_of(rmr_elem e)
{
    if (e > RMR_ELEM_F8) return RMR_GPU_INT8;
    return e == RMR_ELEM_BF16  ? RMR_GPU_BF16
           : e == RMR_ELEM_F16 ? RMR_GPU_HALF
           : e == RMR_ELEM_F8  ? RMR_GPU_QUADS
                               : RMR_GPU_FLOAT;
}

/* Rows for product_many.cuh are in blocks: 128 bytes of columns of RMR_GPU_MANY_GROUP rows, one row
 * after the other, whose 16 bytes number c lie in row r at c ^ r. First come the first columns of
 * all groups. A row's scales likewise: for each run of 128 columns of QUADS a float for each row;
 * for each 128 columns of INT8 and each group, for each run of 32, rows of a scale and that times
 * the sum. Columns of 16 bits in a block, and bytes of scales of a row for 128 columns. */
static inline uint32_t rmr_gpu_block_columns(rmr_gpu_form form)
{
    return form == RMR_GPU_INT8 ? 128 : 64;
}

static inline uint32_t rmr_gpu_block_scales(rmr_gpu_form form)
{
    return form == RMR_GPU_INT8 ? 32 : form == RMR_GPU_BF16 ? 0 : 4;
}

/* Positions of a unit of a row that sees n positions: a function of the row alone, so that a
 * result does not depend on what else a step has. */
static inline uint32_t rmr_gpu_unit(uint32_t n)
{
    uint32_t unit = RMR_GPU_LEAST;
    while ((uint64_t)unit * RMR_GPU_UNITS < n) unit *= 2;
    return unit;
}

/* The inputs of a step in device memory. */
typedef struct rmr_gpu_counts {
    uint32_t n_pages, count_routing;
} rmr_gpu_counts;

typedef struct rmr_gpu_inputs {
    const rmr_gpu_counts *counts;
    const int32_t *token;
    const uint32_t *pos, *want; /* want: [max_out], rows of the head pass */
    const rmr_run *run;
    const uint64_t *page;
    const uint32_t *run_of; /* [n_rows] */
    uint32_t n_rows;        /* that of counts, where no kernel has to wait for it */
} rmr_gpu_inputs;

/* The rows of an operation: all of the step, or the n of a head pass. */
typedef struct rmr_gpu_rows {
    uint32_t out, n;
} rmr_gpu_rows;

/* A view of a slot: rows `ld` floats apart. */
typedef struct rmr_gpu_view {
    float *at;
    uint64_t ld;
} rmr_gpu_view;

typedef struct rmr_gpu_weight {
    const uint8_t *at;
    uint64_t stride; /* from one matrix to the next */
    uint32_t tile;   /* bytes; of a table: bytes of a row */
    uint32_t count, rows, cols;
} rmr_gpu_weight;

/* Choices by expert: list l has entries [first[l], first[l + 1]). Choice number c is that of expert
 * c % n_used of row c / n_used. */
typedef struct rmr_gpu_lists {
    const uint32_t
        *ids; /* of a step of one row, whose choices products take as they came; or NULL */
    uint32_t *n, *first, *expert; /* [1], [n + 1], [n] */
    uint32_t *place0;             /* [n]: where rows of a list begin, each at a group of its own */
    uint32_t *choice;             /* [entries] */
    uint32_t *order; /* [rows][n_used]: a row's choices in ascending order of experts */
    uint32_t *place; /* [rows][n_used]: of choices, among rows by list; ~0: of none */
    uint32_t n_used;
} rmr_gpu_lists;

/* A stream of the cache: where its part of a page begins, and its rows. */
typedef struct rmr_gpu_stream {
    uint64_t at[RMR_KV_TYPES];
    uint32_t width, rope;
} rmr_gpu_stream;

typedef struct rmr_gpu_embed {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    rmr_gpu_weight w;
    rmr_elem elem;
    uint32_t values, bytes; /* of a block */
    rmr_gpu_view y;
} rmr_gpu_embed;

typedef struct rmr_gpu_rope_table {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    const float *inv_freq;
    uint32_t n;
    float amp;
    rmr_gpu_view y;
} rmr_gpu_rope_table;

typedef struct rmr_gpu_norm {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    rmr_gpu_view x, y;
    const float *w;
    uint32_t n, parts;
    float eps;
} rmr_gpu_norm;

typedef struct rmr_gpu_pick {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    rmr_gpu_view x, y;
    uint32_t n;
} rmr_gpu_pick;

/* x[row][i * step ..] of n columns, for i < per_row, to `parts` rows of the form from row (row *
 * per_row + i) * parts on. */
typedef struct rmr_gpu_prepare {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    rmr_gpu_view x;
    uint32_t n, per_row, step;
    rmr_gpu_form form;
    uint32_t parts;
    uint8_t *to; /* rows ld bytes apart */
    uint64_t ld;
    float *scales; /* [rows][scale_ld] */
    uint64_t scale_ld;
} rmr_gpu_prepare;

/* The same to blocks of rows. With lists: the rows of choices, a row of x or (`by_choice`) of its
 * columns for each. */
typedef struct rmr_gpu_spread {
    rmr_gpu_prepare of;  /* but for ld and scale_ld */
    uint32_t groups;     /* of rows, from one block of columns to the next */
    rmr_gpu_lists lists; /* n NULL: none */
    int by_choice;
} rmr_gpu_spread;

/* y = w x, or silu(w x) * (w2 x). Jobs: one; or a head each, which takes matrix and rows
 * of its own; or a list each. */
typedef struct rmr_gpu_product {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    rmr_gpu_weight w, w2; /* w2.at NULL: no second one */
    rmr_gpu_view floats;  /* of which x is the prepared form */
    uint32_t step;        /* of those, columns from one job to the next */
    uint32_t own;         /* bytes in which each warp prepares its slice of the rows itself; 0: it
                             does not */
    uint32_t tail;        /* columns behind those of K that are copied behind the results */
    uint32_t across;      /* blocks of a job */
    const uint8_t *x;     /* the prepared form */
    uint64_t ldx;
    const float *scales;
    uint64_t scale_ld;
    uint32_t parts;
    uint32_t per_row; /* prepared rows of a row: job j takes the j-th */
    rmr_gpu_view y;
    uint32_t y_step; /* columns of y from one job to the next */
    int add;
    int only; /* only rows of this form of attention are stored; -1: all */
    const float *bias;
    rmr_gpu_lists lists; /* n NULL: none; else y has choices, in columns y_step apart */
    int by_choice;       /* so has x; else it has rows */
} rmr_gpu_product;

/* A product of many rows (product_many.cuh), of activations in blocks: `pass` rows at a time.
 * Without lists it has `jobs` jobs. */
typedef struct rmr_gpu_many {
    rmr_gpu_product of;
    uint32_t jobs, groups, pass;
} rmr_gpu_many;

typedef struct rmr_gpu_rope {
    rmr_gpu_inputs in;
    rmr_gpu_view x, cs;
    rmr_rotary rotary;
} rmr_gpu_rope;

typedef struct rmr_gpu_cache_write {
    rmr_gpu_inputs in;
    rmr_gpu_view x, cs;
    const float *w;
    float eps;
    rmr_gpu_stream stream;
    uint32_t rank; /* 0: grouped, x is stored as it is */
} rmr_gpu_cache_write;

/* Queries are turned while keys are turned and written, by `blocks` blocks. */
typedef struct rmr_gpu_rope_write {
    rmr_gpu_rope rope;
    rmr_gpu_cache_write write;
    uint32_t blocks;
} rmr_gpu_rope_write;

/* out += the choices of a row by weight, then the shared experts. */
typedef struct rmr_gpu_combine {
    rmr_gpu_inputs in;
    rmr_gpu_view out, weights;
    const float *routed, *shared; /* [choices][n], [rows][n] or NULL */
    uint32_t n;
    rmr_gpu_lists lists;
    uint32_t *arrived; /* [across]: of a product that combines, 0 before and behind its launch */
} rmr_gpu_combine;

/* Two products of one element type in one launch, or one: blocks from `blocks` on are those of the
 * second. Neither reads what the other writes. A block of the grid has several of `all` one after
 * the other where the grid has fewer; but `alone` ones of the first product go to a block each that
 * has no others. */
typedef struct rmr_gpu_products {
    rmr_gpu_product of[2];
    uint32_t blocks, all, alone;
    int late;  /* the next kernel starts when the last one is done, and not at once */
    int known; /* experts of lists are there before the last kernel is done */
    uint32_t
        turning; /* blocks of the grid before those that multiply: they have the rows of `turn` */
    rmr_gpu_rope_write turn; /* queries are turned where they are copied (tail) */
    uint32_t arrivals; /* blocks that have the same rows of their weights: what has come last adds
                          them up; 0: none does */
    rmr_gpu_combine combine;
} rmr_gpu_products;

/* Attention of rows [row0, row0 + n_rows), cut into units of positions (grid x); results of a unit
 * are [width of a value] sums, maximum, sum. */
typedef struct rmr_gpu_attend {
    rmr_gpu_inputs in;
    rmr_gpu_view q, out;
    rmr_gpu_stream stream;
    uint32_t row0, n_rows;
    uint32_t heads, group; /* group: query heads of a key head */
    uint32_t key, value;   /* columns */
    uint32_t key0, key_step, value0,
        value_step; /* columns of the cache from one key head to the next */
    uint32_t most_units;
    float scale;
    int only;
    int direct;     /* a unit's results are the row's, and go to `out` */
    rmr_kv_type kv; /* only rows of this type of cache */
    float *part;    /* [n_rows][heads][most_units][value + 2] */
} rmr_gpu_attend;

typedef struct rmr_gpu_gate {
    rmr_gpu_inputs in;
    rmr_gpu_view x, ids, weights;
    const float *bias;
    rmr_moe moe;
    uint32_t *counts;
} rmr_gpu_gate;

typedef struct rmr_gpu_sort {
    rmr_gpu_inputs in;
    rmr_gpu_view ids;
    uint32_t n_experts;
    rmr_gpu_lists lists;
} rmr_gpu_sort;

/* Both, of so few rows that one block has them. */
typedef struct rmr_gpu_gate_sort {
    rmr_gpu_gate gate;
    rmr_gpu_sort sort;
} rmr_gpu_gate_sort;

typedef struct rmr_gpu_counters {
    rmr_gpu_inputs in;
    uint32_t *counts;
    uint64_t *total; /* NULL: counts = 0 */
    uint32_t n;
} rmr_gpu_counters;

/* Counters to `to`, which are 0 then. */
typedef struct rmr_gpu_take {
    uint64_t *total, *to;
    uint32_t n;
} rmr_gpu_take;

/* Sums of squares of columns (rmr_sums). */
typedef struct rmr_gpu_square_sums {
    rmr_gpu_inputs in;
    rmr_gpu_rows rows;
    rmr_gpu_view x;
    uint32_t step; /* columns of x from one choice of a row to the next */
    double *sum;   /* [matrices][cols] */
    uint64_t *n;   /* [matrices] */
    uint32_t cols;
    rmr_gpu_lists lists; /* n NULL: all rows, matrix 0 */
} rmr_gpu_square_sums;

/* The numbers of a part of a row that the part has not named: the key of the largest one. With a
 * scale also their mass, which is the sum of e^(scale * (x - largest)), and the lowest key of the
 * part, named or not. */
typedef struct rmr_gpu_rest {
    uint32_t key, least;
    float mass;
} rmr_gpu_rest;

/* The largest numbers of x[n], of each of `parts` parts `each`. */
typedef struct rmr_gpu_best {
    const float *x;
    uint32_t n, parts, each;
    float scale;        /* 0: none */
    float *value;       /* [parts][each], -infinity where a part has no more */
    int32_t *col;       /* [parts][each] */
    rmr_gpu_rest *rest; /* [parts] */
} rmr_gpu_best;

/* The masses of x[n] divided (rmr_masses), in runs of RMR_GPU_BEST_PART. */
typedef struct rmr_gpu_masses {
    const float *x;
    uint32_t n, runs;
    double divisor;
    double *mass; /* [runs] */
    float *top;   /* [runs] */
} rmr_gpu_masses;

/* Tiles to the device's own order of values, in place (layout.cuh). */
typedef struct rmr_gpu_finish {
    uint8_t *at;
    uint64_t stride, tile;
    uint32_t count, tiles, cols;
    rmr_elem elem;
} rmr_gpu_finish;

#endif
