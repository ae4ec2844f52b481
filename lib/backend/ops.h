/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a step, as data: what each computes, reads and writes. A program is a list of
 * them over activation slots; backends prepare it once (backend.h). */
#ifndef RMR_OPS_H
#define RMR_OPS_H

#include "cache_layout.h"
#include "error.h"
#include "layout.h"

typedef struct rmr_weight rmr_weight;
typedef struct rmr_buffer rmr_buffer;

/* Part of the rows of an activation slot, from column `col`. */
typedef struct rmr_view {
    uint32_t slot;
    uint32_t col;
} rmr_view;

/* ops_list.h has them, and what each computes, reads and writes. */
typedef enum rmr_op_kind {
#define RMR_OP(kind, ...) RMR_OP_##kind,
#include "ops_list.h"
#undef RMR_OP
    RMR_OP_COUNT
} rmr_op_kind;

typedef enum rmr_row_set {
    RMR_ROWS_ALL,
    RMR_ROWS_OUT, /* the rows that step_want() gave */
    RMR_ROWS_ONE
} rmr_row_set; /* the count that bounds an operation's or a slot's rows */

/* The dimensions of latent attention (docs/models.md, "Latent attention"): all per head but rank.
 */
typedef struct rmr_mla {
    uint32_t heads, nope, rope, v, rank;
    float scale; /* softmax scale, yarn's included */
} rmr_mla;

/* Grouped-query attention: query head h reads kv head h / (heads / kv_heads). */
typedef struct rmr_gqa {
    uint32_t heads, kv_heads, head_dim;
    float scale; /* softmax scale */
} rmr_gqa;

typedef enum rmr_rope_pairs {
    RMR_ROPE_INTERLEAVED, /* (x[2i], x[2i+1]) */
    RMR_ROPE_HALVES       /* (x[i], x[i + width/2]) */
} rmr_rope_pairs;

/* The rotary parts of a row: `width` numbers from `first` of each of `heads` heads, `stride` apart.
 */
typedef struct rmr_rotary {
    uint32_t heads, stride, first, width;
    rmr_rope_pairs pairs;
} rmr_rotary;

typedef enum rmr_gate_kind {
    RMR_GATE_SOFTMAX,       /* V2-Lite: softmax, greedy */
    RMR_GATE_SOFTMAX_GROUP, /* V2: softmax, group_limited_greedy (group score = max) */
    RMR_GATE_SIGMOID        /* V3: sigmoid, noaux_tc with bias (group score = sum of the top two) */
} rmr_gate_kind;

typedef struct rmr_moe {
    rmr_gate_kind gate;
    uint32_t n_experts, n_used, n_group, topk_group;
    int norm_topk;
    float scale;    /* routed_scaling_factor */
    uint32_t inner; /* width of one routed expert */
    uint32_t shared_inner;
} rmr_moe;

/* The place at which the squares of a product's inputs are summed up (importance for quantisation).
 * From byte `at` of the buffer there is an f64 for each of `count` matrices and each column, then
 * for each matrix the u64 number of rows. A weak compare-and-exchange of 8 bytes must be possible
 * there, and counters_read() reads both. Rows of a step that is dropped stay in. */
typedef struct rmr_sums {
    rmr_buffer *buffer; /* NULL: nothing is summed up */
    uint64_t at;
    uint32_t count, cols;
} rmr_sums;

static inline uint64_t rmr_sums_bytes(uint32_t count, uint32_t cols)
{
    return ((uint64_t)cols + 1) * count * 8;
}

typedef struct rmr_op {
    rmr_op_kind kind;
    rmr_row_set rows;
    uint32_t layer;
    uint32_t stream; /* of the cache, by its number in the layout */
    uint32_t n;      /* input width */
    uint32_t n_out;  /* output width: ROPE_TABLE, LINEAR, SWIGLU, EXPERTS_DOWN, and of each expert
                        EXPERTS_SWIGLU; 0: not said */
    uint32_t n_out2; /* EXPERTS_SWIGLU: width of out2 */
    uint32_t parts;  /* NORM: 0 is one */
    int add;
    float eps, amp;
    rmr_view in, in2, in3, out, out2;
    rmr_view counts; /* counters of chosen experts in this step; a layer's counters begin at its
                        column */
    const rmr_weight *w, *w2;  /* SWIGLU: gate, up */
    const rmr_weight *bias;    /* LINEAR; NULL: none */
    const rmr_weight *s1, *s2; /* of the shared experts (NULL: none) */
    const rmr_mla *mla;
    const rmr_gqa *gqa;
    const rmr_moe *moe;
    uint32_t kv_first, kv_n; /* ATTEND_GROUPED: with kv_n the operation has the query heads of so
                                many kv heads of the cache, from kv_first on; else all */
    rmr_rotary rotary;       /* ROPE */
    rmr_buffer *counters;    /* COUNTS_ADD: u64 for each value of counts */
    rmr_sums sums;           /* of in: LINEAR, SWIGLU, and of the routed experts */
    rmr_sums shared_sums;    /* of in, of the shared experts */
} rmr_op;

typedef struct rmr_slot {
    uint32_t width; /* 4-byte values per row */
    rmr_row_set rows;
} rmr_slot;

/* The views of an operation, one bit each. */
enum {
    RMR_VIEW_IN = 1,
    RMR_VIEW_IN2 = 2,
    RMR_VIEW_IN3 = 4,
    RMR_VIEW_OUT = 8,
    RMR_VIEW_OUT2 = 16,
    RMR_VIEW_COUNTS = 32,
    RMR_VIEW_ALL = 63
};

/* The kinds of dimensions that an operation can take, one bit each. One of them has to be there. */
enum { RMR_DIMS_MLA = 1, RMR_DIMS_GQA = 2, RMR_DIMS_MOE = 4 };

/* The way in which an operation uses the rows of its stream. */
enum { RMR_CACHE_READS = 1, RMR_CACHE_WRITES = 2 };

typedef struct rmr_op_info {
    const char *name;      /* for people: "gate" */
    uint8_t reads, writes; /* views; with `add` an operation also reads what it writes */
    uint8_t weights;       /* of w and w2 the first so many must be there */
    uint8_t dims;
    uint8_t cache; /* RMR_CACHE_READS, RMR_CACHE_WRITES; 0: it has no stream */
    uint8_t forms; /* it works on rows of these forms of attention, 1 << rmr_form each */
    uint64_t (*width)(const rmr_op *op, uint32_t which); /* rmr_op_width */
} rmr_op_info;

extern const rmr_op_info rmr_op_infos[RMR_OP_COUNT];

/* A view of the operation, and where it lies in the struct. */
rmr_view rmr_op_view(const rmr_op *op, uint32_t which);
size_t rmr_op_view_at(uint32_t which);
uint32_t rmr_op_reads(const rmr_op *op);
/* Does the operation write into that slot? */
int rmr_op_writes_slot(const rmr_op *op, uint32_t slot);

/* The kv heads of an ATTEND_GROUPED. */
uint32_t rmr_op_kv_heads(const rmr_op *op);

/* The columns that an operation uses of a view, as far as its own numbers tell; 0 when they do not.
 */
uint64_t rmr_op_width(const rmr_op *op, uint32_t which);

/* Is the list one that a backend can run: slots that are there and wide enough, with as many rows
 * as the operation has; streams whose rows are those of the operation; nothing read that nothing
 * has written; weights and dimensions where they are needed. `cache` is NULL where no operation
 * has a stream. E_INTERNAL names the operation. Programs come from this library, so this is for
 * tests and for those who write new ones. */
remora_status rmr_ops_check(const rmr_op *ops, uint32_t n_ops, const rmr_slot *slots,
                            uint32_t n_slots, const rmr_cache_layout *cache, remora_error *err);

#endif
