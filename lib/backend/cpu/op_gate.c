/* SPDX-License-Identifier: Apache-2.0 */
/* The expert gate (docs/models.md, "Gate"): scores, group limit, top-k, weights. Ties go to the
 * lower index. The router logits come from a linear operation in float32; everything here is
 * float32 in one fixed order. */
#include "cpu.h"

#include <math.h>
#include <string.h>

#include "group_score.h"

rmr_cpu_scratch rmr_cpu_gate_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    (void)d;
    /* scores and picks of one row, group scores */
    return (rmr_cpu_scratch){.worker = ((uint64_t)op->moe->n_experts * 2 + op->moe->n_group) * 4};
}

static void softmax_row(const rmr_kernels *k, float *score, const float *logit, uint32_t n)
{
    memcpy(score, logit, (size_t)n * 4);
    const float sum = k->elementwise->exp_sum(score, n, k->elementwise->max(score, n));
    for (uint32_t i = 0; i < n; i++) score[i] = score[i] / sum;
}

/* The index of the largest value, the lower one of equals (docs/models.md T17). NaN is below
 * everything: it marks values that are taken. */
static uint32_t best(const float *x, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[at] || isnan(x[at])) at = i;
    return at;
}

/* Experts outside the topk_group best groups cannot be chosen: -inf, not 0, because scores with
 * their bias may be negative (docs/models.md T6). */
static void limit_groups(const rmr_moe *m, float *pick, float *group)
{
    const uint32_t size = m->n_experts / m->n_group;
    RMR_ASSERT(size * m->n_group == m->n_experts && m->topk_group <= m->n_group);
    for (uint32_t g = 0; g < m->n_group; g++)
        group[g] = rmr_group_score(pick + (size_t)g * size, size, m->gate);
    for (uint32_t kept = 0; kept < m->topk_group; kept++) group[best(group, m->n_group)] = NAN;
    for (uint32_t g = 0; g < m->n_group; g++) {
        if (isnan(group[g])) continue;
        for (uint32_t i = 0; i < size; i++) pick[(size_t)g * size + i] = -INFINITY;
    }
}

static void choose(const rmr_moe *m, const float *score, float *pick, uint32_t *ids, float *weights)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < m->n_used; i++) {
        ids[i] = best(pick, m->n_experts);
        pick[ids[i]] = NAN;
        weights[i] = score[ids[i]];
        sum += weights[i];
    }
    /* The weights are the scores without the bias (docs/models.md T5). V3 normalises and then
     * scales; V2 scales only when it does not normalise (docs/models.md T7). */
    const int normalise = m->norm_topk && m->n_used > 1;
    for (uint32_t i = 0; i < m->n_used; i++) {
        if (normalise) weights[i] = weights[i] / (sum + 1e-20f);
        if (!normalise || m->gate == RMR_GATE_SIGMOID) weights[i] = weights[i] * m->scale;
    }
}

static void gate_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    const rmr_moe *m = op->moe;
    const rmr_kernels *k = s->cpu->k;
    const float *logit = rmr_row(s, op->in, row);
    float *score = (float *)(void *)(s->worker + worker * s->worker_bytes);
    float *pick = score + m->n_experts, *group = pick + m->n_experts;
    if (m->gate == RMR_GATE_SIGMOID)
        k->elementwise->sigmoid(score, logit, m->n_experts);
    else
        softmax_row(k, score, logit, m->n_experts);
    memcpy(pick, score, (size_t)m->n_experts * 4);
    if (op->w != NULL) k->elementwise->add(pick, rmr_vector(op->w), m->n_experts);
    if (m->gate != RMR_GATE_SOFTMAX && m->n_group > 1) limit_groups(m, pick, group);
    choose(m, score, pick, (uint32_t *)(void *)rmr_row(s, op->out, row), rmr_row(s, op->out2, row));
}

remora_status rmr_cpu_gate(rmr_step *s, const rmr_op *op)
{
    RMR_CPU_TRY(rmr_cpu_for_rows(s, op, gate_row));
    if (!s->in.count_routing) return REMORA_OK;
    uint32_t *counts = (uint32_t *)(void *)rmr_row(s, op->counts, 0);
    for (uint32_t r = 0; r < s->in.n_rows; r++) {
        const uint32_t *ids = (const uint32_t *)(const void *)rmr_row(s, op->out, r);
        for (uint32_t i = 0; i < op->moe->n_used; i++) {
            RMR_ASSERT(op->counts.col + ids[i] < rmr_width(s, op->counts));
            counts[ids[i]]++;
        }
    }
    return REMORA_OK;
}

/* ---- routing counters: a step counts for itself, so that one which is dropped leaves no trace
 * ---- */

remora_status rmr_cpu_counts_clear(rmr_step *s, const rmr_op *op)
{
    if (s->in.count_routing) memset(rmr_row(s, op->counts, 0), 0, rmr_width(s, op->counts) * 4);
    return REMORA_OK;
}

remora_status rmr_cpu_counts_add(rmr_step *s, const rmr_op *op)
{
    const uint32_t *counts = (const uint32_t *)(const void *)rmr_row(s, op->counts, 0);
    _Atomic uint64_t *total =
        (_Atomic uint64_t *)(void *)op->counters->data; /* steps run side by side */
    if (!s->in.count_routing) return REMORA_OK;
    RMR_ASSERT(op->counters->bytes == rmr_width(s, op->counts) * sizeof *total);
    for (size_t i = 0; i < rmr_width(s, op->counts); i++)
        if (counts[i] > 0) atomic_fetch_add_explicit(&total[i], counts[i], memory_order_relaxed);
    return REMORA_OK;
}
