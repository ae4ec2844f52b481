/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of squares of the inputs of products, for quantisation that knows which columns matter.
 *
 * The sums are doubles: float would stop counting after 2^24 tokens of equal size, and the square
 * of a float is exact in double. A column's sum is one chain over the rows in order, continued from
 * what is there, so how a text is cut into steps and threads does not change it. Contexts that run
 * side by side add to the same sums, therefore atomically; only then does the order vary. */
#include "cpu.h"

#include <string.h>

#include "product.h"

enum { COLUMNS = 256 }; /* of one chunk */

typedef struct sums_job {
    const float *x;
    size_t ldx;
    const uint32_t *row; /* NULL: rows 0, 1, .. */
    uint32_t n_rows, cols;
    _Atomic uint64_t *sum; /* bits of doubles */
} sums_job;

static double chain(const sums_job *j, uint32_t col, double sum)
{
    for (uint32_t i = 0; i < j->n_rows; i++) {
        const double x = (double)j->x[(j->row != NULL ? j->row[i] : i) * j->ldx + col];
        sum += x * x;
    }
    return sum;
}

/* The chain of every column of the chunk at once. */
static void chains(const sums_job *j, uint32_t col0, uint32_t n, double *sum)
{
    for (uint32_t i = 0; i < j->n_rows; i++) {
        const float *x = j->x + (j->row != NULL ? j->row[i] : i) * j->ldx + col0;
        for (uint32_t c = 0; c < n; c++) sum[c] += (double)x[c] * (double)x[c];
    }
}

static uint64_t bits(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static void sums_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const sums_job *j = arg;
    const uint32_t col0 = chunk * COLUMNS, n = j->cols - col0 < COLUMNS ? j->cols - col0 : COLUMNS;
    uint64_t old[COLUMNS];
    double sum[COLUMNS];
    (void)worker;
    for (uint32_t c = 0; c < n; c++) {
        old[c] = atomic_load_explicit(&j->sum[col0 + c], memory_order_relaxed);
        memcpy(&sum[c], &old[c], sizeof sum[c]);
    }
    chains(j, col0, n, sum);
    for (uint32_t c = 0; c < n; c++)
        while (!atomic_compare_exchange_weak_explicit(&j->sum[col0 + c], &old[c], bits(sum[c]),
                                                      memory_order_relaxed, memory_order_relaxed)) {
            memcpy(&sum[c], &old[c], sizeof sum[c]); /* another context came in between */
            sum[c] = chain(j, col0 + c, sum[c]);
        }
}

remora_status rmr_cpu_sums_add(rmr_step *s, const rmr_sums *to, uint32_t index, const float *x,
                               size_t ldx, const uint32_t *row, uint32_t n_rows)
{
    if (to->buffer == NULL || n_rows == 0 || rmr_cpu_passed(s)) return REMORA_OK;
    RMR_ASSERT(index < to->count &&
               to->at + rmr_sums_bytes(to->count, to->cols) <= to->buffer->bytes);
    _Atomic uint64_t *base = (_Atomic uint64_t *)(void *)(to->buffer->data + to->at);
    sums_job j = {x, ldx, row, n_rows, to->cols, base + (size_t)index * to->cols};
    RMR_CPU_TRY(rmr_cpu_chunks(s, (to->cols + COLUMNS - 1) / COLUMNS, sums_chunk, &j, 0));
    atomic_fetch_add_explicit(base + (size_t)to->count * to->cols + index, n_rows,
                              memory_order_relaxed);
    return REMORA_OK;
}
