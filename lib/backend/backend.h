/* SPDX-License-Identifier: Apache-2.0 */
/* All that the rest of the library knows of a device. docs/architecture.md, "The backend boundary",
 * has the order of calls as a picture; CONTRIBUTING.md, "A backend", how to write one.
 *
 * A backend holds weights in its own layout, holds buffers that only it can read, and runs steps. A
 * step is a list of the model's own operations over named activation slots. The list is prepared
 * once; whatever changes from step to step (token ids, positions, runs, page tables, output rows)
 * is one rmr_inputs, copied in before the step, so a recorded step can be replayed. Operations are
 * submitted in slices; wait() gives the status of everything so far.
 *
 * Code above this header never follows a device address: rmr_page addresses are numbers that go
 * into rmr_inputs. */
#ifndef RMR_BACKEND_H
#define RMR_BACKEND_H

#include "cache_layout.h"
#include "ctx.h"
#include "inputs.h"
#include "layout.h"
#include "ops.h"

/* ---- weights ---- */
/* The parts into which a weight may be cut for several devices that work on the same rows of
 * activations (docs/architecture.md, "Several devices"). A part is a range of rows, with all of
 * their columns, of each matrix of the weight; or it is a range of matrices. A backend that is one
 * device does not look at this. */
typedef enum rmr_share_kind {
    RMR_SHARE_NONE,    /* every device has the whole weight */
    RMR_SHARE_ROWS,    /* of a vector: of its values, which belong to rows of a matrix */
    RMR_SHARE_MATRICES /* a matrix for each head */
} rmr_share_kind;

typedef struct rmr_share {
    rmr_share_kind kind;
    uint32_t unit; /* rows that stay together; of matrices one */
} rmr_share;

/* `count` matrices [rows, cols] of one shape (experts, heads), row-major in the source. */
typedef struct rmr_weight_desc {
    rmr_weight_use use;
    rmr_elem elem; /* in the source; the backend may keep another exact representation */
    uint32_t count;
    uint32_t rows;
    uint32_t cols;
    rmr_share share;
} rmr_weight_desc;

enum { RMR_ROW_GRANULE = 16 }; /* uploads start at a multiple of this many rows */

/* The bytes that an object takes in the host's memory and in the device's. */
typedef struct rmr_bytes {
    uint64_t host, device;
} rmr_bytes;

static inline rmr_bytes rmr_bytes_host(uint64_t n)
{
    return (rmr_bytes){n, 0};
}

/* 0 when a sum overflows. */
static inline int rmr_bytes_add(rmr_bytes *to, rmr_bytes b)
{
    return rmr_add_ok(to->host, b.host, &to->host) && rmr_add_ok(to->device, b.device, &to->device);
}

/* ---- steps ---- */
typedef struct rmr_step rmr_step;
typedef struct rmr_halt rmr_halt; /* halt.h */
typedef struct rmr_backend rmr_backend;

/* ops, slots and the layout of the cache are borrowed for the life of the step. */
typedef struct rmr_step_desc {
    const rmr_op *ops;
    uint32_t n_ops;
    const rmr_slot *slots;
    uint32_t n_slots;
    uint32_t max_rows, max_pages,
        max_out;                   /* runs: at most max_rows; max_out: of one pass of the head */
    const rmr_cache_layout *cache; /* NULL: no operation uses the cache */
} rmr_step_desc;

/* The operations [first, first + n), which are submitted at once. Numbers that only the next
 * operation of the same slice reads need not be in their slot when the slice is done. */
typedef struct rmr_slice {
    uint32_t first, n;
} rmr_slice;

/* Numbers of a slot: columns [col, col + n_cols) of rows [row0, row0 + n_rows). On the host they
 * lie row by row without gaps. */
typedef struct rmr_area {
    uint32_t slot, col, n_cols, row0, n_rows;
} rmr_area;

/* A question about a row of a slot: its `n` largest numbers, a few more or fewer. With a scale
 * above 0 the mass of the others is asked for too. */
typedef struct rmr_best_wish {
    uint32_t n;
    float scale;
} rmr_best_wish;

/* Numbers of a row, each once, in any order, and their columns: in the step's memory, until the
 * next call on the step. All other numbers of the row are at most `rest` or NaN; NaN and -infinity
 * may be among these with any column, and stand for nothing then. */
typedef struct rmr_best {
    const float *value;
    const int32_t *col;
    uint32_t n; /* at most as many as the row has */
    float rest;
    /* where there is a scale: */
    float least; /* of all numbers of the row but NaN and -infinity */
    double mass; /* the sum of e^(scale * (x - rest)) of those that are not among these, within 1e-5
                    of it */
} rmr_best;

/* A row in runs of `run` columns, the last one of fewer. Its numbers are divided as
 * (float)((double)x / divisor), and held to what is finite; NaN and -infinity are left out. Of each
 * run the largest result, -infinity where there is none, and the sum of e^(y - that) of its results
 * y, in double precision. In the step's memory, until the next call on the step. */
typedef struct rmr_masses {
    const float *top;
    const double *mass;
    uint32_t n, run;
} rmr_masses;

/* The functions of a backend. Any thread may call any of them at any time; functions of one step,
 * and those that make or end one object, are called one after another. Every function that takes
 * `err` may return E_NOMEM, E_DEVICE_MEM or E_DEVICE besides what it says.
 *
 * The order of what runs. Slices of a step run in the order in which they were submitted; steps
 * have no order among themselves. A step uses the buffers that page addresses of its inputs lie in,
 * and the buffers that its operations name. The functions on buffers (read, write, zero, copy) find
 * in a buffer what the slices before them have left there, those submitted before the call whose
 * steps use it, and leave what slices submitted after the call find; functions on one buffer keep
 * their order, and a copy is a function on both of its buffers. Nothing more is promised, and a
 * backend should not wait for more: a fork copies a page while steps of other sessions run. */
enum { RMR_BACKEND_VERSION = 3 }; /* the version of all that backends and the library share */

/* ---- the functions of a backend ---- */

/* Bytes a weight, step or buffer will take, exactly, bookkeeping included: of an adopted weight
 * that alone. A size that overflows is UINT64_MAX. */
typedef rmr_bytes rmr_weight_bytes_fn(rmr_backend *be, const rmr_weight_desc *d, int adopted);
typedef rmr_bytes rmr_step_bytes_fn(rmr_backend *be, const rmr_step_desc *d);
typedef rmr_bytes rmr_buffer_bytes_fn(rmr_backend *be, uint64_t bytes);

/* A weight is created, filled by uploads or by fills, and done; or it is adopted. */
typedef remora_status rmr_weight_create_fn(rmr_backend *be, const rmr_weight_desc *d,
                                           rmr_weight **out, remora_error *err);
/* Can the backend use this memory as it lies, borrowed? Tables are canonical rows (quant.h),
 * matrices and vectors have the layout of packs (layout.h). Asked once for each weight, when
 * it is planned. */
typedef int rmr_weight_adopts_fn(rmr_backend *be, const rmr_weight_desc *d, const void *data);
/* Memory that weight_adopts said yes to, or NULL: a weight without content, for asking what a
 * step with it would take. */
typedef remora_status rmr_weight_adopt_fn(rmr_backend *be, const rmr_weight_desc *d,
                                          const void *data, rmr_weight **out, remora_error *err);
/* Rows [row0, row0 + n) of matrix `index`, row-major, any alignment. Disjoint rows from several
 * threads. */
typedef remora_status rmr_weight_upload_fn(rmr_backend *be, rmr_weight *w, uint32_t index,
                                           uint32_t row0, uint32_t n, const void *rows,
                                           remora_error *err);
/* n bytes at `offset` of a created weight in the layout of packs. Disjoint bytes from several
 * threads. */
typedef remora_status rmr_weight_fill_fn(rmr_backend *be, rmr_weight *w, uint64_t offset,
                                         uint64_t n, const void *bytes, remora_error *err);
/* All rows, or all bytes, of a created weight are there: once, before a step with it is made.
 * Until then a backend may keep them as they came, and give them its own layout here. It comes
 * soon after the last of them, so that little is kept at a time. */
typedef remora_status rmr_weight_done_fn(rmr_backend *be, rmr_weight *w, remora_error *err);
typedef void rmr_weight_free_fn(rmr_backend *be, rmr_weight *w);

typedef remora_status rmr_buffer_create_fn(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                           remora_error *err);
/* No step that is under way uses it. */
typedef void rmr_buffer_free_fn(rmr_backend *be, rmr_buffer *b);
typedef uint64_t rmr_buffer_address_fn(const rmr_buffer *b);
/* In the order said above. read returns when dst is filled, write when src may change again;
 * zero and copy may return before they are done, and what fails then is a failure of what comes
 * after them: a wait, a read. The ranges of a copy do not overlap. */
typedef remora_status rmr_buffer_read_fn(rmr_backend *be, const rmr_buffer *b, uint64_t off,
                                         void *dst, uint64_t n, remora_error *err);
typedef remora_status rmr_buffer_write_fn(rmr_backend *be, rmr_buffer *b, uint64_t off,
                                          const void *src, uint64_t n, remora_error *err);
typedef remora_status rmr_buffer_zero_fn(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t n,
                                         remora_error *err);
typedef remora_status rmr_buffer_copy_fn(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                         const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                         remora_error *err);
/* Read u64 counters, ordered with the functions on the buffer but with no slices: what slices
 * that were waited for have counted is in them. With `reset` they are 0 afterwards and no count
 * is lost, whatever runs. */
typedef remora_status rmr_counters_read_fn(rmr_backend *be, rmr_buffer *b, uint64_t off,
                                           uint64_t *dst, uint32_t n, int reset, remora_error *err);

/* Memory of the host for what step_read gives: a block of `mem`, pinned where that makes a
 * device faster. NULL: no memory. */
typedef void *rmr_host_alloc_fn(rmr_backend *be, rmr_mem *mem, size_t size);
typedef void rmr_host_free_fn(rmr_backend *be, rmr_mem *mem, void *p,
                              size_t size); /* p may be NULL */

/* The weights of its operations are done, or without content: then nothing is submitted. */
typedef remora_status rmr_step_create_fn(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                         remora_error *err);
typedef void rmr_step_free_fn(rmr_backend *be, rmr_step *s);
/* Copy the inputs in; everything that was submitted of this step has been waited for. Counts
 * must be within the step's maxima (E_INTERNAL otherwise). */
typedef remora_status rmr_step_inputs_fn(rmr_backend *be, rmr_step *s, const rmr_inputs *in,
                                         remora_error *err);
/* Copy in the rows that the RMR_ROWS_OUT operations are for, n <= max_out, each below n_rows
 * (E_INTERNAL otherwise); none after step_inputs. Ordered like a slice: slices submitted before
 * keep the rows they had. */
typedef remora_status rmr_step_want_fn(rmr_backend *be, rmr_step *s, const uint32_t *rows,
                                       uint32_t n, remora_error *err);
/* Start a slice; returns before it is done. Slices of a step run in order; each gets a mark,
 * counting up by one from the step's creation, also when this fails. A slice with an operation
 * that fails ends the step: slices behind it do nothing, and until the next inputs every wait
 * and submission gives its status. Where submitting computes, submitting says so first.
 *
 * `halt` (NULL: nothing) may end a slice before it is done. Where submitting computes it is looked
 * at before each item of work; a backend whose slices run later looks between operations, or not
 * at all, and its caller stops between slices. REMORA_MORE: the slice was stopped. What is
 * finished of it is kept, every number of its results computed once or not at all, and nothing
 * runs. It goes on when the same slice is submitted again, with no other call on the step in
 * between but waits, or is dropped by the next inputs. Its slots are not read before it is done. */
typedef remora_status rmr_step_submit_fn(rmr_backend *be, rmr_step *s, const rmr_slice *slice,
                                         rmr_halt *halt, uint64_t *mark, remora_error *err);
/* Wait until the slice of that mark, and so all before it, is done. */
typedef remora_status rmr_step_wait_fn(rmr_backend *be, rmr_step *s, uint64_t mark,
                                       remora_error *err);
/* Read numbers of a slot, after waiting for the last mark; or write them, as if an operation
 * had (what several devices have computed of a slot is put together so). */
typedef remora_status rmr_step_read_fn(rmr_backend *be, rmr_step *s, const rmr_area *a, void *dst,
                                       remora_error *err);
typedef remora_status rmr_step_write_fn(rmr_backend *be, rmr_step *s, const rmr_area *a,
                                        const void *src, remora_error *err);
/* Of row `row` of a slot with RMR_ROWS_OUT, after waiting for the last mark: its largest numbers,
 * where that is less work than reading the row. May be NULL: it is not, as where the row lies in
 * the host's memory. */
typedef remora_status rmr_step_best_fn(rmr_backend *be, rmr_step *s, uint32_t slot, uint32_t row,
                                       const rmr_best_wish *wish, rmr_best *out, remora_error *err);
/* The masses of such a row. NULL where step_best is. */
typedef remora_status rmr_step_masses_fn(rmr_backend *be, rmr_step *s, uint32_t slot, uint32_t row,
                                         double divisor, rmr_masses *out, remora_error *err);

typedef struct rmr_backend_ops {
    uint32_t size, version; /* of this struct; RMR_BACKEND_VERSION */
    void (*free)(rmr_backend *be);
    void (*describe)(rmr_backend *be, remora_device *out);

    rmr_weight_bytes_fn *weight_bytes;
    rmr_step_bytes_fn *step_bytes;
    rmr_buffer_bytes_fn *buffer_bytes;

    rmr_weight_create_fn *weight_create;
    rmr_weight_adopts_fn *weight_adopts;
    rmr_weight_adopt_fn *weight_adopt;
    rmr_weight_upload_fn *weight_upload;
    rmr_weight_fill_fn *weight_fill;
    rmr_weight_done_fn *weight_done;
    rmr_weight_free_fn *weight_free;

    rmr_buffer_create_fn *buffer_create;
    rmr_buffer_free_fn *buffer_free;
    rmr_buffer_address_fn *buffer_address;
    rmr_buffer_read_fn *buffer_read;
    rmr_buffer_write_fn *buffer_write;
    rmr_buffer_zero_fn *buffer_zero;
    rmr_buffer_copy_fn *buffer_copy;
    rmr_counters_read_fn *counters_read;

    rmr_host_alloc_fn *host_alloc;
    rmr_host_free_fn *host_free;

    rmr_step_create_fn *step_create;
    rmr_step_free_fn *step_free;
    rmr_step_inputs_fn *step_inputs;
    rmr_step_want_fn *step_want;
    rmr_step_submit_fn *step_submit;
    rmr_step_wait_fn *step_wait;
    rmr_step_read_fn *step_read;
    rmr_step_write_fn *step_write;
    rmr_step_best_fn *step_best; /* may be NULL, as: */
    rmr_step_masses_fn *step_masses;
} rmr_backend_ops;

/* The first fields of every table of functions. */
#define RMR_BACKEND_HEAD .size = sizeof(rmr_backend_ops), .version = RMR_BACKEND_VERSION

struct rmr_backend {
    const rmr_backend_ops *ops;
    uint32_t
        ahead; /* slices worth submitting beyond the one waited for: 0 where submitting computes */
    atomic_uint_least64_t opened_bytes; /* of the device's memory, that opening the device took */
};

#endif
