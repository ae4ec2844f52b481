/* SPDX-License-Identifier: Apache-2.0 */
/* The function that makes a CUDA backend. */
#ifndef RMR_CUDA_CREATE_H
#define RMR_CUDA_CREATE_H

#include "backend.h"
#include "driver.h"

typedef struct rmr_cuda_options {
    int device;                  /* number */
    int exact;                   /* products of activations in all their bits */
    int graphs;                  /* record slices that come again */
    int one_by_one;              /* no kernel starts before the last one is done */
    const void *image;           /* the kernels */
    const rmr_cu_driver *driver; /* NULL: the machine's */
} rmr_cuda_options;

remora_status rmr_cuda_create(rmr_ctx *ctx, const rmr_cuda_options *options, rmr_backend **out,
                              remora_error *err);

#endif
