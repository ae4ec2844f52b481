/* SPDX-License-Identifier: Apache-2.0 */
/* The function that makes a CUDA backend. */
#ifndef RMR_CUDA_CREATE_H
#define RMR_CUDA_CREATE_H

#include "backend.h"
#include "driver.h"

typedef enum rmr_cuda_priority {
    RMR_CUDA_PRIORITY_ANY, /* the driver's default */
    RMR_CUDA_PRIORITY_LOW,
    RMR_CUDA_PRIORITY_HIGH
} rmr_cuda_priority;

typedef struct rmr_cuda_options {
    int device;                  /* number */
    int exact;                   /* products of activations in all their bits */
    int graphs;                  /* record slices that come again */
    int one_by_one;              /* no kernel starts before the last one is done */
    int own_context;             /* and not the primary one */
    int priority;                /* rmr_cuda_priority of all streams */
    int sms;                     /* most multiprocessors; 0: all */
    int short_pieces;            /* no kernel takes long */
    const void *image;           /* the kernels */
    int toolkit;                 /* 13000: they need a driver for CUDA 13 */
    const rmr_cu_driver *driver; /* NULL: the machine's */
} rmr_cuda_options;

/* Ask what a GPU is. It is opened by the first call that needs it. One that cannot be used is a
 * backend too: it is listed with its reason, and every other call fails. */
remora_status rmr_cuda_create(rmr_ctx *ctx, const rmr_cuda_options *options, rmr_backend **out,
                              remora_error *err);
uint64_t rmr_cuda_bytes(void); /* of the host's memory, that a backend takes before it is opened */

#endif
