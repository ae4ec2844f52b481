/* SPDX-License-Identifier: Apache-2.0 */
/* The group backend's own structures. */
#ifndef GROUP_H
#define GROUP_H

#include <pthread.h>
#include <stdatomic.h>

#include "group_backend.h"

/* ---- shares ---- */

/* What a member has: rows of each matrix, values of a vector, matrices, or heads. */
typedef struct group_range {
    uint32_t first, n;
} group_range;

typedef struct group group;

/* Of `total` rows, of which `unit` stay together, those of a member. */
group_range group_rows_of(const group *g, uint32_t total, uint32_t unit, uint32_t member);

/* ---- weights ---- */

typedef struct group_part {
    group_range range;
    rmr_weight *w; /* NULL: it has none of the weight */
} group_part;

typedef struct group_weight {
    rmr_weight_desc desc;
    group_part part[]; /* [members] */
} group_weight;

static inline const group_weight *group_weight_of(const rmr_weight *w)
{
    return (const group_weight *)(const void *)w;
}

/* ---- programs ---- */

/* Columns that an operation writes, split between members: row or head i of `total` has the columns
 * [col + i * width, col + (i + 1) * width), and those `stride` further, `repeat` times in all. */
typedef struct group_columns {
    uint32_t slot, col, width, total, repeat, stride;
    const group_range *share; /* [members]; NULL: every member writes all of them */
    int gather;               /* after the operation every member gets what it lacks */
} group_columns;

static inline uint32_t group_columns_end(const group_columns *c)
{
    return c->col + c->width * c->total + (c->repeat - 1) * c->stride;
}

typedef struct group_op {
    const rmr_op *op;
    group_range *share;        /* [members] of its rows or heads; unused: each does all */
    group_range *shared_share; /* and of those of the shared experts */
    int split, shared_split;
    group_columns out[3];
    uint32_t n_out;
} group_op;

/* A list of operations as the members run it. */
typedef struct group_program {
    void *block;
    uint64_t bytes;
    uint32_t n_ops;
    group_op *ops;           /* [n_ops] */
    rmr_op *list[GROUP_MAX]; /* the member's own operations */
    uint32_t *at[GROUP_MAX]; /* [n_ops + 1] where in it each of ops is, if the member has it */
    uint32_t most_columns;   /* of one exchange between two members */
} group_program;

remora_status group_program_make(const group *g, const rmr_step_desc *d, group_program *out,
                                 remora_error *err);
void group_program_free(const group *g, group_program *p);
/* The step of a member. */
rmr_step_desc group_program_desc(const group_program *p, const rmr_step_desc *d, uint32_t member);

/* ---- buffers: whole on every member ---- */

typedef struct group_buffer {
    struct group_buffer *next;
    uint64_t address, bytes; /* an address that is nobody's */
    rmr_buffer *member[];
} group_buffer;

static inline group_buffer *group_buffer_of(const rmr_buffer *b)
{
    return (group_buffer *)(uintptr_t)b;
}

/* ---- the backend ---- */

struct group {
    rmr_backend base;
    rmr_ctx *ctx;
    group_opts opts;
    uint32_t n; /* members */
    rmr_backend *member[GROUP_MAX];
    pthread_mutex_t lock; /* over the buffers */
    group_buffer *buffers;
    uint64_t next_address;
    atomic_uint turn; /* of caches */
    atomic_uint_least64_t gathers[RMR_OP_COUNT], bytes, idle;
};

static inline group *group_of(rmr_backend *be)
{
    return (group *)be;
}

/* The same page on a member, in its turn. 0: there is none. */
uint64_t group_address(group *g, uint64_t address, uint32_t member, uint32_t turn);

/* What members take, one after another; UINT64_MAX when it overflows. */
void group_add_bytes(rmr_bytes *to, rmr_bytes b);

/* weight.c */
rmr_weight_bytes_fn group_weight_bytes;
rmr_weight_create_fn group_weight_create;
rmr_weight_adopts_fn group_weight_adopts;
rmr_weight_adopt_fn group_weight_adopt;
rmr_weight_upload_fn group_weight_upload;
rmr_weight_fill_fn group_weight_fill;
rmr_weight_done_fn group_weight_done;
rmr_weight_free_fn group_weight_free;

/* step.c */
rmr_step_bytes_fn group_step_bytes;
rmr_step_create_fn group_step_create;
rmr_step_free_fn group_step_free;
rmr_step_inputs_fn group_step_inputs;
rmr_step_want_fn group_step_want;
rmr_step_submit_fn group_step_submit;
rmr_step_wait_fn group_step_wait;
rmr_step_read_fn group_step_read;
rmr_step_write_fn group_step_write;

#endif
