/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation, and rows into the cache: the latent's norm and its rope key, or keys and values as they
 * are. */
#include "cpu.h"

#include <string.h>

static void rope_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    (void)worker;
    const rmr_rotary *r = &op->rotary;
    const rmr_kernels *k = s->cpu->k;
    float *x = rmr_row(s, op->in, row) + r->first;
    const float *cs = rmr_row(s, op->in2, row);
    for (uint32_t h = 0; h < r->heads; h++, x += r->stride)
        if (r->pairs == RMR_ROPE_HALVES)
            k->elementwise->rope_half(x, cs, r->width / 2);
        else
            k->elementwise->rope(x, cs, r->width / 2);
}

remora_status rmr_cpu_rope(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_for_rows(s, op, rope_row);
}

static const rmr_run *run_of(const rmr_step *s, uint32_t row)
{
    const rmr_run *r = s->in.run;
    while (row >= r->row0 + r->n_rows) r++;
    RMR_ASSERT(r < s->in.run + s->in.n_runs && row >= r->row0);
    return r;
}

static void write_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    (void)worker;
    const rmr_mla *a = op->mla;
    const rmr_kernels *k = s->cpu->k;
    const uint32_t width = rmr_cache_width(s, op), pos = s->in.pos[row];
    const rmr_run *run = run_of(s, row);
    float *x = rmr_row(s, op->in, row);
    if (a != NULL) {
        k->elementwise->norm(x, x, rmr_vector(op->w), a->rank, op->eps);
        k->elementwise->rope(x + a->rank, rmr_row(s, op->in2, row), a->rope / 2);
    }
    if (run->kv == RMR_KV_INT8)
        k->kv8->put(rmr_cache_part(s, run, op, pos), pos % RMR_PAGE_TOKENS, x, a->rank, a->rope);
    else if (run->kv == RMR_KV_BF16)
        k->elementwise->to_bf16((uint16_t *)(void *)rmr_cache_row(s, run, op, pos), x, width);
    else
        memcpy(rmr_cache_row(s, run, op, pos), x, (size_t)width * 4);
}

remora_status rmr_cpu_cache_write(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_for_rows(s, op, write_row);
}
