/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend's objects: the backend, weights, buffers, steps; and the functions that fill its
 * table and run its operations. */
#ifndef RMR_CPU_H
#define RMR_CPU_H

#include <string.h>

#include "arena.h"
#include "backend.h"
#include "kernels.h"
#include "pool.h"

typedef struct rmr_cpu {
    rmr_backend base;
    rmr_ctx *ctx; /* host structures and threads */
    rmr_mem *mem; /* weights, buffers, activations: "device" memory */
    const rmr_kernels *k;
} rmr_cpu;

/* `isa` NULL: the best here; unknown or unusable: E_UNSUPPORTED. `device_mem` NULL: ctx's memory.
 */
remora_status rmr_cpu_create(rmr_ctx *ctx, const char *isa, rmr_mem *device_mem, rmr_backend **out,
                             remora_error *err);

struct rmr_weight {
    rmr_weight_desc desc;
    uint64_t tile_stride; /* bytes */
    uint64_t stride;      /* bytes of one matrix of the stack */
    uint64_t bytes;
    unsigned char *data; /* the matrices where they are filled; NULL: they were adopted */
    /* [desc.count] where each matrix is read, in our memory or in adopted memory. Only filling
     * knows that they lie at one stride. */
    const unsigned char *at[];
};

struct rmr_buffer {
    uint64_t bytes;
    unsigned char *data;
};

typedef struct rmr_row_span {
    uint32_t row0, n_rows;
} rmr_row_span;

struct rmr_step {
    rmr_cpu *cpu;
    rmr_step_desc desc;
    uint64_t host_bytes;   /* of this struct and what lies behind it */
    rmr_arena arena;       /* of the device's memory: all that follows but for `slot` and `part` */
    uint64_t worker_bytes; /* from the scratch of one worker to the next one's */
    float **slot;          /* [n_slots] rows x width */
    unsigned char *worker; /* scratch of the first worker */
    unsigned char *shared; /* scratch of one operation */
    unsigned char *q_rows; /* quantised rows of a view of a slot, for all operations that read it */
    rmr_view q_view;       /* whose rows they are */
    uint32_t q_n, q_k;     /* the number of quantised rows (0: none), and of values in each */
    uint64_t *part;        /* [RMR_KV_TYPES][n_streams] where a stream begins in a page */
    rmr_inputs in;         /* pointers into the arena */
    uint32_t *want, n_want;  /* [max_out] rows of the head's pass */
    const rmr_op *slice_end; /* of the slice under way */
    const rmr_op *passed_on; /* the operation whose inputs lie in `shared` in its own form */
    uint64_t mark;
    remora_status failed;          /* of a slice since the inputs came; those after it do nothing */
    remora_error *err;             /* for the slice under way */
    rmr_halt *halt;                /* of the slice under way; NULL: nothing stops it */
    const rmr_op *stopped_in;      /* the operation in which it was stopped; NULL: it was not */
    rmr_op_kind kind;              /* of the operation under way */
    uint32_t region, regions_done; /* of that operation (region.c) */
    uint64_t ns_per_2_20[RMR_OP_COUNT]; /* multiplications, in its last region */
    rmr_rest rest;
    rmr_row_span *span; /* [n_spans] maximal ranges of absorbed rows; room for max_rows */
    uint32_t n_spans;
};

static inline float *rmr_row(const rmr_step *s, rmr_view v, uint32_t row)
{
    RMR_ASSERT(v.slot < s->desc.n_slots && v.col < s->desc.slots[v.slot].width);
    return s->slot[v.slot] + (size_t)row * s->desc.slots[v.slot].width + v.col;
}

static inline size_t rmr_width(const rmr_step *s, rmr_view v)
{
    return s->desc.slots[v.slot].width;
}

static inline uint32_t rmr_op_rows(const rmr_step *s, const rmr_op *op)
{
    return op->rows == RMR_ROWS_OUT ? s->n_want : s->in.n_rows;
}

static inline const unsigned char *rmr_weight_at(const rmr_weight *w, uint32_t index)
{
    RMR_ASSERT(index < w->desc.count);
    return w->at[index];
}

/* From tile t on. */
static inline const unsigned char *rmr_tile_at(const rmr_weight *w, uint32_t index, uint32_t t)
{
    return rmr_weight_at(w, index) + t * w->tile_stride;
}

static inline const float *rmr_vector(const rmr_weight *w)
{
    RMR_ASSERT(w->desc.use == RMR_USE_VECTOR);
    return (const float *)(const void *)w->at[0];
}

/* Bytes in the memory of structures and in that of the device, which are one but in tests. */
static inline rmr_bytes rmr_cpu_bytes(const rmr_cpu *c, uint64_t host, uint64_t device)
{
    uint64_t all;
    if (c->mem != &c->ctx->mem) return (rmr_bytes){host, device};
    return rmr_bytes_host(rmr_add_ok(host, device, &all) ? all : UINT64_MAX);
}

/* weight.c */
rmr_weight_bytes_fn rmr_cpu_weight_bytes;
rmr_weight_create_fn rmr_cpu_weight_create;
rmr_weight_adopts_fn rmr_cpu_weight_adopts;
rmr_weight_adopt_fn rmr_cpu_weight_adopt;
rmr_weight_upload_fn rmr_cpu_weight_upload;
rmr_weight_fill_fn rmr_cpu_weight_fill;
rmr_weight_done_fn rmr_cpu_weight_done;
rmr_weight_free_fn rmr_cpu_weight_free;

/* step.c */
rmr_step_bytes_fn rmr_cpu_step_bytes;
rmr_step_create_fn rmr_cpu_step_create;
rmr_step_free_fn rmr_cpu_step_free;
rmr_step_inputs_fn rmr_cpu_step_inputs;
rmr_step_want_fn rmr_cpu_step_want;
rmr_step_submit_fn rmr_cpu_step_submit;
rmr_step_wait_fn rmr_cpu_step_wait;
rmr_step_read_fn rmr_cpu_step_read;
rmr_step_write_fn rmr_cpu_step_write;

/* region.c: operations that can be stopped. An operation that was stopped in a region is begun
 * again and takes the same way: regions that are done are passed over, the one that was stopped
 * does the chunks that are left. So what an operation does outside of its regions it may do again,
 * with the same result; and chunks, which are done once, do not depend on what may stop them.
 *
 * Run the operation's next region, whose chunks are about so many multiplications each; 0: not
 * said. Where it may be stopped a range is no longer than the work of an item. REMORA_MORE: it was
 * stopped, and the operation returns that at once. */
remora_status rmr_cpu_region(rmr_step *s, const rmr_region *r, uint64_t work);
/* The same for single chunks, begun in order. */
remora_status rmr_cpu_chunks(rmr_step *s, uint32_t n, rmr_chunk_fn *fn, void *arg, uint64_t work);
/* 1 when the next region was done before the stop: it is passed over. */
int rmr_cpu_passed(rmr_step *s);
/* 1 when the next region has not been begun yet. */
int rmr_cpu_is_new(const rmr_step *s);
/* The numbers that the next region would compute are there already. */
void rmr_cpu_skip(rmr_step *s);
#define RMR_CPU_TRY(call)                                                                          \
    do {                                                                                           \
        const remora_status try_st = (call);                                                       \
        if (try_st != REMORA_OK) return try_st;                                                    \
    } while (0)

/* Call row() for every row of the operation, a few rows a chunk (op_rows.c). */
typedef void rmr_cpu_row_fn(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker);
remora_status rmr_cpu_for_rows(rmr_step *s, const rmr_op *op, rmr_cpu_row_fn *row);

/* The part of the operation's stream in the page that holds a position. Only backends turn an
 * address into a pointer. */
static inline unsigned char *rmr_cache_part(const rmr_step *s, const rmr_run *r, const rmr_op *op,
                                            uint32_t pos)
{
    RMR_ASSERT(r->page0 + pos / RMR_PAGE_TOKENS < s->in.n_pages);
    const uint64_t page = s->in.page[r->page0 + pos / RMR_PAGE_TOKENS];
    return (unsigned char *)(uintptr_t)page +
           (size_t)s->part[(size_t)r->kv * s->desc.cache->n_streams + op->stream];
}

static inline uint32_t rmr_cache_width(const rmr_step *s, const rmr_op *op)
{
    RMR_ASSERT(op->stream < s->desc.cache->n_streams);
    return s->desc.cache->streams[op->stream].width;
}

/* The row of a position in there, of the plain types. */
static inline unsigned char *rmr_cache_row(const rmr_step *s, const rmr_run *r, const rmr_op *op,
                                           uint32_t pos)
{
    RMR_ASSERT(r->kv != RMR_KV_INT8);
    const size_t row = (size_t)rmr_cache_width(s, op) * rmr_kv_bytes_of(r->kv);
    return rmr_cache_part(s, r, op, pos) + pos % RMR_PAGE_TOKENS * row;
}

/* One function for each operation, rmr_cpu_embed to rmr_cpu_counts_add (op_*.c): runs it for the
 * step's current inputs. The text of a failure goes to s->err. REMORA_MORE: it was stopped. */
typedef remora_status rmr_cpu_op_fn(rmr_step *s, const rmr_op *op);
#define RMR_OP(kind, name, function, ...) rmr_cpu_op_fn rmr_cpu_##function;
#include "ops_list.h"
#undef RMR_OP

/* Scratch that an operation needs: per worker, and once. */
typedef struct rmr_cpu_scratch {
    uint64_t worker, shared;
    uint64_t q_rows; /* quantised rows of the input */
} rmr_cpu_scratch;
rmr_cpu_scratch rmr_cpu_linear_scratch(const rmr_op *op, const rmr_step_desc *d);
rmr_cpu_scratch rmr_cpu_head_scratch(const rmr_op *op, const rmr_step_desc *d);
rmr_cpu_scratch rmr_cpu_latent_scratch(const rmr_op *op, const rmr_step_desc *d);
rmr_cpu_scratch rmr_cpu_expanded_scratch(const rmr_op *op, const rmr_step_desc *d);
rmr_cpu_scratch rmr_cpu_grouped_scratch(const rmr_op *op, const rmr_step_desc *d);
rmr_cpu_scratch rmr_cpu_gate_scratch(const rmr_op *op, const rmr_step_desc *d);
rmr_cpu_scratch rmr_cpu_experts_scratch(const rmr_op *op, const rmr_step_desc *d);

/* A query of n columns as scores over a cache of a plain type take it; `to` has rmr_pairs_room(n).
 */
static inline void rmr_cpu_place_query(const rmr_kernels *k, rmr_kv_type kv, float *to,
                                       const float *q, uint32_t n)
{
    if (kv == RMR_KV_BF16)
        k->attention->pairs(to, q, n);
    else
        memcpy(to, q, (size_t)n * sizeof *to);
}

#endif
