/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the guard backend (guard_backend.h). One thread at a time is inside; it holds the
 * device's lock. */
#ifndef GUARD_H
#define GUARD_H

#include <pthread.h>

#include "cpu.h"
#include "guard_backend.h"

enum { GUARD_MAX_WANT = 64 };

/* A buffer, a weight and a step are our own structs: whoever takes them for those of the CPU
 * backend reads nonsense. */
typedef struct guard_buffer {
    struct guard_buffer *next;
    rmr_buffer *inner;
    uint64_t address, bytes;
} guard_buffer;

typedef enum guard_way { GUARD_NOTHING, GUARD_ROWS, GUARD_BYTES } guard_way;

typedef struct guard_weight {
    struct guard_weight *next;
    rmr_weight_desc desc;
    rmr_layout layout;
    int empty, done;      /* without content; packed */
    guard_way way;        /* how it is filled */
    unsigned char *came;  /* rows or bytes as they came, on the host, until it is done */
    uint64_t n_came;      /* rows or bytes */
    unsigned char *block; /* of device memory: the matrices, the last one first, and red zones */
    rmr_weight *inner;    /* finds its matrices in there */
} guard_weight;

typedef struct guard_rows {
    uint32_t n, row[GUARD_MAX_WANT];
} guard_rows;

typedef struct guard_step {
    rmr_step *inner;
    rmr_step_desc desc; /* with our copy of the operations */
    rmr_op *ops;        /* with the inner backend's weights and buffers */
    int empty;          /* a weight has no content: nothing may run */
    uint32_t *pos, n_rows;
    guard_rows want;     /* for the slices to come */
    guard_buffer **uses; /* [n_uses] by its operations, the first n_named, and by its inputs */
    size_t n_uses, n_named, cap_uses;
    void *best;    /* what step_best or step_masses has found, until the next call */
    uint64_t mark; /* of the last slice submitted */
    remora_status failed;
    remora_error why;
} guard_step;

/* What was asked for and is not done: a slice of a step, or a function on buffers. */
typedef struct guard_item {
    struct guard_item *next;
    guard_step *step; /* or NULL */
    rmr_slice slice;
    guard_rows want;
    uint64_t mark;
    guard_buffer *dst, *src; /* src NULL: zeros */
    uint64_t dst_off, src_off, n;
} guard_item;

typedef struct guard_pinned {
    struct guard_pinned *next;
    const unsigned char *at;
    size_t size;
} guard_pinned;

typedef struct guard_block {
    size_t at, size;
    int used;
} guard_block;

typedef struct guard {
    rmr_backend base;
    rmr_backend *inner;
    pthread_mutex_t device;
    rmr_mem mem;                /* device memory */
    unsigned char *map, *arena; /* the arena begins at a huge page inside the map */
    size_t top;                 /* end of what was ever handed out */
    guard_block *blocks;
    size_t n_blocks;
    guard_buffer *buffers;
    guard_weight *weights;
    guard_item *waiting; /* the oldest first */
    guard_pinned *pinned;
    guard_stats stats;
    const char *complaint;   /* the first violation */
    long fail_call, fail_op; /* the call and the operation that fail, counted down; 0: none */
    guard_tap *tap;
    void *tap_user;
} guard;

static inline guard *guard_of(rmr_backend *be)
{
    return (guard *)be;
}

static inline void guard_violation(guard *g, const char *what)
{
    if (g->stats.violations++ == 0) g->complaint = what;
}

/* guard_memory.c: the arena and its gate. `begin` fails when it was told to; functions that cannot
 * fail enter. */
remora_status guard_memory_make(guard *g, remora_error *err);
void guard_memory_free(guard *g);
remora_status guard_begin(guard *g, remora_error *err);
void guard_enter(guard *g);
void guard_leave(guard *g);

/* guard_weights.c */
rmr_weight_bytes_fn guard_weight_bytes;
rmr_weight_create_fn guard_weight_create;
rmr_weight_adopts_fn guard_weight_adopts;
rmr_weight_adopt_fn guard_weight_adopt;
rmr_weight_upload_fn guard_weight_upload;
rmr_weight_fill_fn guard_weight_fill;
rmr_weight_done_fn guard_weight_done;
rmr_weight_free_fn guard_weight_free;
unsigned guard_red_zones_hurt(const guard *g); /* weights of which one was written */

/* guard_order.c: buffers, and what runs when */
void guard_settle_buffer(guard *g, const guard_buffer *b, int slices_too);
void guard_settle_step(guard *g, const guard_step *s, uint64_t mark);
void guard_forget_step(guard *g, const guard_step *s); /* what waits of it is dropped */
remora_status guard_put(guard *g, const guard_item *item, remora_error *err);
rmr_buffer_bytes_fn guard_buffer_bytes;
rmr_buffer_create_fn guard_buffer_create;
rmr_buffer_free_fn guard_buffer_free;
rmr_buffer_address_fn guard_buffer_address;
rmr_buffer_read_fn guard_buffer_read;
rmr_buffer_write_fn guard_buffer_write;
rmr_buffer_zero_fn guard_buffer_zero;
rmr_buffer_copy_fn guard_buffer_copy;
rmr_counters_read_fn guard_counters_read;

/* guard_steps.c */
void guard_run_slice(guard *g, guard_step *s, const rmr_slice *slice, const guard_rows *want);
rmr_step_bytes_fn guard_step_bytes;
rmr_step_create_fn guard_step_create;
rmr_step_free_fn guard_step_free;
rmr_step_inputs_fn guard_step_inputs;
rmr_step_want_fn guard_step_want;
rmr_step_submit_fn guard_step_submit;
rmr_step_wait_fn guard_step_wait;
rmr_step_read_fn guard_step_read;
rmr_step_write_fn guard_step_write;
rmr_step_best_fn guard_step_best;
rmr_step_masses_fn guard_step_masses;

#endif
