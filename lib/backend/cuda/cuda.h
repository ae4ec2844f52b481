/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend's own structures. */
#ifndef RMR_CUDA_H
#define RMR_CUDA_H

#include <pthread.h>
#include <stdatomic.h>

#include "args.h"
#include "backend.h"
#include "create.h"

/* The kernels by name. First the element types that have a product for many rows: */
#define RMR_CUDA_MANY(X)                                                                           \
    X(bf16, BF16)                                                                                  \
    X(f8, F8)                                                                                      \
    X(q8_0, Q8_0)                                                                                  \
    X(q4_0, Q4_0)                                                                                  \
    X(i4, I4)                                                                                      \
    X(iq4_nl, IQ4_NL)                                                                              \
    X(mxfp4, MXFP4)                                                                                \
    X(iq4_xs, IQ4_XS)                                                                              \
    X(q4_k, Q4_K)                                                                                  \
    X(q5_k, Q5_K) X(q6_k, Q6_K) X(q3_k, Q3_K) X(q4_1, Q4_1) X(q5_0, Q5_0) X(q5_1, Q5_1)
/* All element types but F32: each has four products for few rows. */
#define RMR_CUDA_PRODUCTS(X)                                                                       \
    RMR_CUDA_MANY(X)                                                                               \
    X(f16, F16)                                                                                    \
    X(q2_k, Q2_K)
#define RMR_CUDA_KERNELS(X)                                                                        \
    X(product_f32)                                                                                 \
    X(spread)                                                                                      \
    X(tails)                                                                                       \
    X(finish)                                                                                      \
    X(prepare)                                                                                     \
    X(embed)                                                                                       \
    X(rope_table)                                                                                  \
    X(norm)                                                                                        \
    X(pick_rows)                                                                                   \
    X(find_best)                                                                                   \
    X(run_masses)                                                                                  \
    X(rope)                                                                                        \
    X(cache_write)                                                                                 \
    X(rope_write)                                                                                  \
    X(attend_any)                                                                                  \
    X(attend_latent_bf16)                                                                          \
    X(attend_latent_int8)                                                                          \
    X(attend_prompt)                                                                               \
    X(attend_merge)                                                                                \
    X(gate) X(gate_sort) X(sort_rows) X(combine) X(counters) X(counters_take) X(square_sums)

typedef enum rmr_cuda_kernel {
#define X(name, elem)                                                                              \
    RMR_K_product_##name, RMR_K_product_##name##_wide, RMR_K_product_##name##_few,                 \
        RMR_K_product_##name##_one,
    RMR_CUDA_PRODUCTS(X)
#undef X
#define X(name, elem) RMR_K_many_##name,
        RMR_CUDA_MANY(X)
#undef X
#define X(name) RMR_K_##name,
            RMR_CUDA_KERNELS(X)
#undef X
                RMR_K_COUNT
} rmr_cuda_kernel;

/* Pinned memory through which bytes go to the device and back. A thread fills one while others are
 * on their way. */
typedef struct rmr_cuda_stage {
    unsigned char *at; /* NULL: nobody has needed it yet */
    rmr_cu_event done; /* when it can be written again */
    int taken;
} rmr_cuda_stage;

enum { RMR_CUDA_STAGES = 8, RMR_CUDA_STAGING = 4 << 20 /* bytes of each */ };

enum { RMR_CUDA_PIECE_US = 300 }; /* by an estimate that may be wrong by two thirds */

typedef struct rmr_cuda {
    rmr_backend base;
    rmr_ctx *ctx;
    rmr_cu_driver d;
    rmr_cu_device device;
    uint32_t process;      /* a process that it forks must not touch the driver */
    remora_status refused; /* < 0: the GPU cannot be used; why: */
    char reason[160], id[16], name[96];
    uint64_t memory; /* of the GPU, bytes */
    const void *image;
    pthread_mutex_t opening;
    atomic_int open; /* are these there? */
    rmr_cu_context context;
    rmr_cu_module module;
    rmr_cu_green green;   /* NULL: all multiprocessors */
    rmr_cu_stream stream; /* of weights and buffers */
    rmr_cu_function kernel[RMR_K_COUNT];
    int sms; /* that the kernels have */
    int major, minor;
    int own_context, priority, stream_priority;
    int short_pieces;             /* kernels of at most RMR_CUDA_PIECE_US */
    uint64_t cycles_us, bytes_us; /* of all multiprocessors in a microsecond; of memory */
    rmr_cu_resource part;         /* of the multiprocessors; count 0: all of them */
    uint32_t shared;              /* bytes that a block can have at most */
    int exact;                    /* products of activations in all their bits */
    int graphs;                   /* slices are recorded */
    int overlap;         /* a kernel's blocks may start, and wait, before the last one is done */
    atomic_int poisoned; /* the driver's code after which nothing can be done any more */
    _Atomic(const char *) poison_text; /* the driver's, of that code */
    pthread_mutex_t upload;            /* of which stages are taken: */
    pthread_cond_t stage_free;
    rmr_cuda_stage stage[RMR_CUDA_STAGES];
    pthread_mutex_t order; /* of what follows */
    rmr_cu_event changed;  /* the last work in `stream` */
    uint64_t changes;      /* how often that was */
    rmr_step *steps;       /* all of them */
} rmr_cuda;

struct rmr_weight {
    rmr_weight_desc desc;
    rmr_layout layout;
    rmr_cu_address at;
    int finished;
};

struct rmr_buffer {
    uint64_t bytes;
    rmr_cu_address at;
};

/* Activations in the form of products, made by the first operation that asks. */
typedef struct rmr_cuda_prepared {
    rmr_cu_address at, scales; /* 0: no operation needs it */
    uint64_t bytes, scale_bytes;
    rmr_view view; /* of what it is; n 0: of nothing */
    uint32_t n, k, per_row, step;
    rmr_gpu_form form;
    int spread; /* in blocks (args.h) */
} rmr_cuda_prepared;

/* The choices that the lists by expert are of; n 0: of none. */
typedef struct rmr_cuda_sorted {
    rmr_view ids;
    uint32_t n;
} rmr_cuda_sorted;

enum { RMR_CUDA_FORMS = RMR_GPU_FLOAT + 1, RMR_CUDA_EVENTS = 16, RMR_CUDA_GRAPHS = 64 };

/* All that the kernels of a slice depend on but for the contents of device memory. */
typedef struct rmr_cuda_key {
    rmr_slice slice;
    uint32_t n_rows, n_want, forms, kinds, unit, most_units;
    uint32_t prepared[RMR_CUDA_FORMS][2], sorted; /* what is there already */
} rmr_cuda_key;

/* A slice that was recorded; it is the second time that one is asked for, or `graph` is NULL. */
typedef struct rmr_cuda_graph {
    rmr_cuda_key key;
    uint64_t used; /* when */
    uint64_t us;   /* that its kernels take, estimated */
    rmr_cu_graph_exec graph;
    rmr_cuda_prepared after[RMR_CUDA_FORMS][2];
    rmr_cuda_sorted sorted_after;
} rmr_cuda_graph;

/* Offsets in a step's memory. */
typedef struct rmr_cuda_layout {
    uint64_t slot[64];
    uint64_t inputs, counts, want, run_of;
    uint64_t prepared[RMR_CUDA_FORMS][2], scales[RMR_CUDA_FORMS][2];
    uint64_t lists, queries, routed, shared, arrived, arrived_bytes, parts, part_bytes, best;
    uint64_t prepared_bytes[RMR_CUDA_FORMS][2], scale_bytes[RMR_CUDA_FORMS][2];
    uint64_t total;
} rmr_cuda_layout;

struct rmr_step {
    rmr_cuda *c;
    rmr_step_desc desc;
    rmr_cuda_layout l;
    rmr_cu_address memory;
    rmr_inputs in;         /* a copy in pinned memory */
    unsigned char *pinned; /* inputs, counts, run_of, best */
    uint64_t pinned_bytes;
    void *best; /* of a row, or its masses, that were asked for last (best.c) */
    rmr_gpu_inputs gpu;
    uint32_t n_want;           /* rows of the head pass */
    uint32_t forms;            /* of attention that rows have, bits */
    uint32_t kinds;            /* types of cache, bits */
    uint32_t unit, most_units; /* of positions: of the row that sees most; rounded up */
    rmr_cuda_prepared prepared[RMR_CUDA_FORMS][2]; /* [1]: for the router, with all bits */
    rmr_cuda_sorted sorted;
    uint64_t *stream_at; /* [RMR_KV_TYPES][streams]: where their parts of a page begin */
    uint64_t stream_bytes;
    rmr_cu_stream stream;
    rmr_cu_event event[RMR_CUDA_EVENTS];
    remora_status failed; /* that of a slice since the last inputs, or REMORA_OK */
    uint64_t mark, work;  /* the last slice; the last piece of work, slices and copies */
    uint64_t waited;      /* the last piece of work that is known to be done */
    uint64_t spent;       /* microseconds that all work so far takes, estimated */
    uint64_t spent_at[RMR_CUDA_EVENTS]; /* and that up to a piece of work */
    rmr_slice stopped;                  /* the last slice, that may have been stopped */
    uint32_t done; /* operations of a slice that was stopped, which have been submitted */
    uint64_t work_of[RMR_CUDA_EVENTS]; /* of slices: which piece of work one is */
    uint64_t changes;                  /* of the backend's stream that it waits for */
    rmr_cuda_graph graph[RMR_CUDA_GRAPHS];
    uint64_t graph_clock;
    rmr_step *next;
};

/* A status for a result of the driver; `what` was done. */
remora_status rmr_cuda_check(rmr_cuda *c, rmr_cu_result r, const char *what, remora_error *err);

/* open.c. Every entry opens the device where it is not open, makes the context current, and undoes
 * that. */
int rmr_cuda_is_ours(const rmr_cuda *c); /* or is this a child of its process? */
remora_status rmr_cuda_enter(rmr_cuda *c, remora_error *err);
void rmr_cuda_leave(rmr_cuda *c);
remora_status rmr_cuda_wait(rmr_cuda *c, rmr_cu_event event, remora_error *err);
/* Work in the backend's own stream: after all that was submitted to steps before, and before all
 * that will be. */
remora_status rmr_cuda_begin(rmr_cuda *c, remora_error *err);
remora_status rmr_cuda_end(rmr_cuda *c, remora_error *err);
/* Work in that stream that waits for no step: what is submitted later comes behind it. */
remora_status rmr_cuda_changed(rmr_cuda *c, remora_error *err);
remora_status rmr_cuda_launch(rmr_cuda *c, rmr_cu_stream stream, rmr_cuda_kernel k,
                              const uint32_t grid[3], uint32_t threads, uint32_t shared, void *args,
                              remora_error *err);

/* open.c: attributes of the device, each into its place. */
typedef struct rmr_cuda_attribute {
    int *to, which;
} rmr_cuda_attribute;

remora_status rmr_cuda_ask_attributes(rmr_cuda *c, const rmr_cuda_attribute *list, size_t n,
                                      remora_error *err);

/* share.c: the context, a limit of multiprocessors, the priority of streams. rmr_cuda_limit() is
 * asked before anything is open and sets `sms`; rmr_cuda_share() when the context is current. */
remora_status rmr_cuda_limit(rmr_cuda *c, int sms, remora_error *err);
remora_status rmr_cuda_context_open(rmr_cuda *c, remora_error *err);
void rmr_cuda_context_close(rmr_cuda *c);
remora_status rmr_cuda_share(rmr_cuda *c, remora_error *err);
void rmr_cuda_unshare(rmr_cuda *c); /* its streams are gone */
remora_status rmr_cuda_stream_new(rmr_cuda *c, rmr_cu_stream *out, remora_error *err);

extern const char *const rmr_cuda_kernel_names[RMR_K_COUNT];

/* usage.c: bytes of the GPU's memory that are in use, by whomever. 0: that is not known. */
int rmr_cuda_used_memory(rmr_cuda *c, uint64_t *used);

void rmr_cuda_free(rmr_backend *be);
void rmr_cuda_describe(rmr_backend *be, remora_device *out);

extern const rmr_backend_ops rmr_cuda_ops;

/* weight.c */
rmr_weight_bytes_fn rmr_cuda_weight_bytes;
rmr_weight_create_fn rmr_cuda_weight_create;
rmr_weight_adopts_fn rmr_cuda_weight_adopts;
rmr_weight_adopt_fn rmr_cuda_weight_adopt;
rmr_weight_upload_fn rmr_cuda_weight_upload;
rmr_weight_fill_fn rmr_cuda_weight_fill;
rmr_weight_done_fn rmr_cuda_weight_done;
rmr_weight_free_fn rmr_cuda_weight_free;

/* Take a stage that can be written, and give it back; in the context. */
remora_status rmr_cuda_stage_take(rmr_cuda *c, rmr_cuda_stage **out, remora_error *err);
void rmr_cuda_stage_give(rmr_cuda *c, rmr_cuda_stage *s);

/* step.c */
rmr_step_bytes_fn rmr_cuda_step_bytes;
rmr_step_create_fn rmr_cuda_step_create;
rmr_step_free_fn rmr_cuda_step_free;
rmr_step_inputs_fn rmr_cuda_step_inputs;
rmr_step_submit_fn rmr_cuda_step_submit;
rmr_step_wait_fn rmr_cuda_step_wait;
rmr_step_want_fn rmr_cuda_step_want;
rmr_step_read_fn rmr_cuda_step_read;
rmr_step_write_fn rmr_cuda_step_write;
rmr_step_best_fn rmr_cuda_step_best;
rmr_step_masses_fn rmr_cuda_step_masses;

/* best.c: bytes of what is found, in the device's memory and pinned; find it; read it where that is
 * done. */
uint64_t rmr_cuda_best_bytes(const rmr_step_desc *d);
remora_status rmr_cuda_find_best(rmr_step *s, uint32_t slot, uint32_t row,
                                 const rmr_best_wish *wish, remora_error *err);
void rmr_cuda_read_best(const rmr_step *s, uint32_t slot, const rmr_best_wish *wish, rmr_best *out);
remora_status rmr_cuda_find_masses(rmr_step *s, uint32_t slot, uint32_t row, double divisor,
                                   remora_error *err);
void rmr_cuda_read_masses(const rmr_step *s, uint32_t slot, rmr_masses *out);

/* Is the operation a product whose result a gate reads? Its activations keep all their bits, so
 * that rounding does not choose experts. */
int rmr_cuda_is_router(const rmr_step_desc *d, const rmr_op *op);
uint32_t rmr_cuda_parts(const rmr_cuda *c, rmr_gpu_form form, int router);

/* Has the GPU groups of warps, and the shared memory for product_many.cuh? */
int rmr_cuda_has_many(const rmr_cuda *c);
/* Groups of rows for product_many.cuh: of rows with per_row parts each, or of choices in lists. */
uint32_t rmr_cuda_groups(uint64_t rows, uint32_t per_row, uint64_t choices, uint32_t lists);

/* Bytes of a prepared row of k columns, and floats of its scales. */
uint64_t rmr_cuda_row_bytes(rmr_gpu_form form, uint32_t k);
uint32_t rmr_cuda_row_scales(rmr_gpu_form form, uint32_t k);

/* launch.c: what was made of a slot is not there any more. */
void rmr_cuda_forget(rmr_step *s, uint32_t slot);

/* launch.c: submit operations from number *done on, which counts up. REMORA_MORE: stopped. */
remora_status rmr_cuda_run_ops(rmr_step *s, const rmr_op *ops, uint32_t n, uint32_t *done,
                               rmr_halt *halt, remora_error *err);

/* step.c: end a piece of work; wait for one. */
remora_status rmr_cuda_end_work(rmr_step *s, remora_error *err);
remora_status rmr_cuda_wait_work(rmr_step *s, uint64_t work, remora_error *err);

/* pace.c: what the GPU can do; the time of a kernel; how many of n units that take `us` together
 * go into one kernel. */
remora_status rmr_cuda_ask_speed(rmr_cuda *c, remora_error *err);
uint64_t rmr_cuda_us(const rmr_cuda *c, uint64_t bytes, uint64_t cycles);
uint32_t rmr_cuda_piece(const rmr_cuda *c, uint32_t n, uint64_t us);
/* Before more work of a call that may be ended: wait until little is under way. REMORA_MORE: the
 * call ends. */
remora_status rmr_cuda_pace(rmr_step *s, rmr_halt *halt, remora_error *err);

#endif
