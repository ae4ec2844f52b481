/* SPDX-License-Identifier: Apache-2.0 */
/* The services of a runtime that every module needs: memory, log, threads. Passed by pointer, never
 * global (P9). */
#ifndef RMR_CTX_H
#define RMR_CTX_H

#include "log.h"
#include "mem.h"
#include "pool.h"

typedef struct rmr_ctx {
    rmr_mem mem;
    rmr_log log;
    rmr_pool *pool;
} rmr_ctx;

#endif
