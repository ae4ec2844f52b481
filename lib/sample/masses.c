/* SPDX-License-Identifier: Apache-2.0 */
/* A draw from all logits of a row that knows sums over runs of it, and reads one run. Which token
 * it is depends on sums before it alone, and these are known well, though in another order than
 * that of rmr_candidates_draw. So a number that is not close to a border between two tokens tells.
 */
#include <float.h>
#include <math.h>

#include "candidates.h"
#include "fpenv.h"

/* The sums of both orders are closer to the true ones than `off`. */
typedef struct mass_draw {
    float max;
    double total, target, before, off; /* before: the sum of all runs in front of `run` */
    size_t run;
} mass_draw;

/* The weight of a run beside the best logit. */
static double weight_of_run(const rmr_row_masses *m, size_t i, float max)
{
    return m->mass[i] > 0 ? m->mass[i] * rmr_candidates_weight(m->top[i], max) : 0;
}

/* The run that the number u of all is in; 0: none can be told. Logits that a temperature would have
 * to shift first are left out. */
static int find_run(const rmr_row_masses *m, double u, mass_draw *d)
{
    *d = (mass_draw){.max = -INFINITY};
    for (size_t i = 0; i < m->n; i++)
        if (m->top[i] > d->max) d->max = m->top[i];
    if (!(fabsf(d->max) < FLT_MAX)) return 0;
    for (size_t i = 0; i < m->n; i++) d->total += weight_of_run(m, i, d->max);
    d->target = u * d->total;
    d->off = 1e-9 * d->total;
    for (; d->run < m->n; d->run++) {
        const double w = weight_of_run(m, d->run, d->max);
        if (d->target < d->before + w) return 1;
        d->before += w;
    }
    return 0;
}

/* The token of the run that has it, and whether both its borders are far enough. */
static int find_token(const mass_draw *d, double t, const float *logits, size_t n, size_t *at)
{
    double sum = d->before;
    for (size_t i = 0; i < n; i++) {
        if (!(logits[i] > -INFINITY)) continue;
        const double w = rmr_candidates_weight(rmr_stage_divided(logits[i], t), d->max);
        *at = i;
        if (d->target < sum + w) return d->target - sum > d->off && sum + w - d->target > d->off;
        sum += w;
    }
    return 0;
}

remora_status rmr_sampler_pick_by_mass(rmr_sampler *c, const rmr_row_masses *m, remora_token *out,
                                       remora_error *err)
{
    const double t = rmr_sampler_divisor(c);
    rmr_rng numbers = rmr_sampler_numbers(c);
    const double u = rmr_rng_double(&numbers);
    const float *logits;
    mass_draw d;
    size_t at = 0;
    RMR_ASSERT(t > 0);
    rmr_fpenv host = rmr_fpenv_enter();
    int known = find_run(m, u, &d);
    rmr_fpenv_leave(host);
    if (!known) return REMORA_MORE;
    const size_t first = d.run * m->run, left = m->n_logits - first,
                 n = left < m->run ? left : m->run;
    RMR_TRY(m->read(m->user, first, n, &logits, err));
    host = rmr_fpenv_enter();
    known = find_token(&d, t, logits, n, &at);
    rmr_fpenv_leave(host);
    if (!known) return REMORA_MORE;
    rmr_sampler_set_numbers(c, numbers);
    *out = (remora_token)(first + at);
    return REMORA_OK;
}
