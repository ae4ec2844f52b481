/* SPDX-License-Identifier: Apache-2.0 */
/* Quantised activations (kernels.h): rows of a slot are quantised once for all operations that read
 * them. */
#include "cpu.h"

#include "product.h"

void rmr_cpu_quantize_rows(const rmr_cpu *c, const rmr_operand *x, uint32_t r0, uint32_t end,
                           uint32_t k)
{
    for (; r0 < end; r0++) c->k->integer->quantize(x->q + r0 * x->ldq, x->x + r0 * x->ldx, k);
}

typedef struct quantize_job {
    const rmr_cpu *c;
    rmr_operand x;
    uint32_t n, k;
} quantize_job;

enum { QUANT_ROWS = 2 }; /* of one chunk */

static void quantize_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const quantize_job *j = arg;
    const uint32_t r0 = chunk * QUANT_ROWS;
    (void)worker;
    rmr_cpu_quantize_rows(j->c, &j->x, r0, j->n - r0 < QUANT_ROWS ? j->n : r0 + QUANT_ROWS, j->k);
}

remora_status rmr_cpu_quantized(rmr_step *s, rmr_view view, uint32_t n, uint32_t k,
                                unsigned char **out)
{
    *out = s->q_rows;
    if (s->q_n == n && s->q_k == k && s->q_view.slot == view.slot && s->q_view.col == view.col) {
        rmr_cpu_skip(s);
        return REMORA_OK;
    }
    quantize_job j = {
        s->cpu, {rmr_row(s, view, 0), rmr_width(s, view), s->q_rows, rmr_q_stride(k)}, n, k};
    RMR_ASSERT(s->q_rows + n * rmr_q_stride(k) <= s->arena.base + s->arena.size);
    s->q_n = 0; /* some rows of the last ones are overwritten */
    RMR_CPU_TRY(rmr_cpu_chunks(s, (n + QUANT_ROWS - 1) / QUANT_ROWS, quantize_chunk, &j, 0));
    s->q_view = view;
    s->q_n = n;
    s->q_k = k;
    return REMORA_OK;
}

void rmr_cpu_quantized_after(rmr_step *s, const rmr_op *op)
{
    if (s->q_n > 0 && rmr_op_writes_slot(op, s->q_view.slot)) s->q_n = 0;
}

void rmr_cpu_quantized_forget(rmr_step *s, uint32_t slot)
{
    if (s->q_view.slot == slot) s->q_n = 0;
}
