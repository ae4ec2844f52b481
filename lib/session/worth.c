/* SPDX-License-Identifier: Apache-2.0 */
#include "worth.h"

#include "fpenv.h"

static const float INITIAL = 1, INCOME = 1.0F / 200, FULL = 16; /* of the purse */
static const float WORTH = 1.02F;          /* so much faster, or it is not tried */
static const float WORTH_TOGETHER = 1.05F; /* the same for one of several sessions: its share is
                                              small beside what a busy machine does to a step */
static const float SLOPE = .4F; /* of a step of one row, for a further row, until one is measured */
static const float LAYER = .15F;  /* the same for a draft of the prediction layer */
static const float LASTS = 512;   /* steps; behind so many half of a cost is believed, so that what
                                     was measured at a bad time is tried again */
static const uint32_t AGAIN = 50; /* steps of other sizes behind which one of several sessions has
                                     no drafts, so that it is known what that takes */
static const float AGE = .99F;    /* of what a record knows, with each new judgement */
static const float DOUBT = .995F; /* the same, each time that its source is passed over */

/* What a source's drafts are worth before anything is known, which counts as two of them. That is
 * much: to try costs little. */
static const float PRIOR[RMR_DRAFT_SOURCES][2] = {[RMR_DRAFT_SHORT] = {.6F, .7F},
                                                  [RMR_DRAFT_MIDDLE] = {.75F, .8F},
                                                  [RMR_DRAFT_LONG] = {.9F, .9F},
                                                  [RMR_DRAFT_PREDICTED] = {.8F, .6F},
                                                  [RMR_DRAFT_HOOK] = {.8F, .8F}};

static float chance(const rmr_draft_record *r, float prior)
{
    return (r->right + 2 * prior) / (r->tried + 2);
}

/* The next number of rows that is known, from these on upwards, or downwards; 0: none. */
static uint32_t known(const rmr_worth *w, uint32_t rows, int step)
{
    while (rows > 0 && rows <= RMR_WORTH_MOST && w->us[rows] <= 0) rows += (uint32_t)step;
    return rows <= RMR_WORTH_MOST ? rows : 0;
}

/* The time of a step: measured, or on a line between or behind what is. Fewer rows than any that
 * are known take no longer than those. */
static float cost(const rmr_worth *w, uint32_t rows)
{
    const uint32_t lo = known(w, rows, -1), hi = known(w, rows, 1);
    if (lo == 0 || lo == hi) return w->us[hi];
    const float over = (float)(rows - lo);
    if (hi > 0) return w->us[lo] + (w->us[hi] - w->us[lo]) * over / (float)(hi - lo);
    const uint32_t first = known(w, 1, 1);
    const float slope = first < lo ? (w->us[lo] - w->us[first]) / (float)(lo - first)
                                   : SLOPE * w->us[lo] / (float)lo;
    return w->us[lo] + (slope > 0 ? slope : 0) * over;
}

/* The time of the step without drafts; 0: neither it nor one of fewer and one of more rows has been
 * measured. */
static float cost_without(const rmr_worth *w, const rmr_worth_step *step)
{
    if (step->sessions == 0 || step->rows > RMR_WORTH_MOST) return 0;
    return known(w, step->rows, -1) > 0 && known(w, step->rows, 1) > 0 ? cost(w, step->rows) : 0;
}

/* Steps of twice the rows that are known, and no more: a line is a guess. */
static uint32_t most_rows(const rmr_worth *w)
{
    const uint32_t rows = 2 * known(w, RMR_WORTH_MOST, -1);
    return rows < RMR_WORTH_MOST ? rows : RMR_WORTH_MOST;
}

/* The share of a cost's excess that is believed still. */
static float fresh(const rmr_worth *w, uint32_t rows)
{
    return LASTS / (LASTS + (float)w->since[rows]);
}

static void pass_over(rmr_worth *w, rmr_draft_source source)
{
    rmr_draft_record *const r[] = {&w->first[source], &w->next[source]};
    for (int i = 0; i < 2; i++) {
        r[i]->right *= DOUBT;
        r[i]->tried *= DOUBT;
    }
}

static rmr_worth_choice choose(rmr_worth *w, const rmr_worth_step *step, rmr_draft_source source,
                               uint32_t most, int64_t left_us)
{
    const float all = cost_without(w, step),
                one = step->sessions > 0 ? all / (float)step->sessions : 0,
                next = chance(&w->next[source], PRIOR[source][1]);
    const uint32_t end = most_rows(w);
    const int in_time = left_us > 0 && all <= (float)left_us;
    float tokens = 1, likely = chance(&w->first[source], PRIOR[source][0]),
          best = step->sessions > 1 ? WORTH_TOGETHER : WORTH;
    const float can_pay = (INITIAL + w->purse) * likely; /* one that fails leaves others some */
    const float each = source != RMR_DRAFT_PREDICTED ? 0
                       : w->draft_us > 0             ? w->draft_us
                                                     : LAYER * one;
    rmr_worth_choice c = {0, 1};
    if (one <= 0 || (step->sessions > 1 && w->since[step->rows] >= AGAIN)) return c;
    for (uint32_t k = 1; k <= most; k++) {
        const uint32_t drafts = step->drafts + k, rows = step->rows + drafts;
        const float us = cost(w, rows), over = us > all ? us - all : 0, layer = each * (float)k;
        const float more = over * (float)k / (float)drafts + layer;
        tokens += likely;
        likely *= next;
        if (rows > end || can_pay <= 0 || more > can_pay * one ||
            (in_time && us + layer > (float)left_us))
            break;
        const float speed = tokens * one / (one + more * fresh(w, rows));
        if (speed <= best) continue;
        best = speed;
        c = (rmr_worth_choice){k, speed};
    }
    if (c.n == 0 && most > 0) pass_over(w, source);
    return c;
}

/* A step that took far longer than others has met a machine that did something else: that is
 * believed in part. */
static float believed(const rmr_worth *w, uint32_t rows, uint64_t us)
{
    const uint32_t first = known(w, 1, 1);
    const float guess = first > 0 ? (float)rows * w->us[first] / (float)first : 0,
                is = w->us[rows] > 0 ? w->us[rows] : guess, now = us > 0 ? (float)us : 1;
    return is > 0 && now > 2 * is ? 2 * is : now;
}

static void measure(float *known_as, float now)
{
    *known_as += *known_as > 0 ? (now - *known_as) / 8 : now;
}

/* Steps of fewer rows take no longer. Where they are said to, they met a busy machine, and while
 * there are drafts no further step of one row says otherwise: then all drafts would seem free. */
static void correct_fewer(rmr_worth *w, uint32_t rows, float now)
{
    for (uint32_t i = 1; i < rows; i++) {
        if (w->us[i] > 2 * now) w->us[i] = now;
        if (w->us[i] > now) measure(&w->us[i], now);
    }
}

static void put_in(rmr_worth *w, float steps)
{
    w->purse += steps;
    if (w->purse > FULL) w->purse = FULL;
    if (w->purse < -FULL) w->purse = -FULL;
}

static void took(rmr_worth *w, const rmr_worth_step *step, uint32_t n, rmr_draft_source source,
                 uint64_t us, uint64_t draft_us)
{
    const uint32_t rows = step->rows + step->drafts;
    const float now = believed(w, rows, us);
    for (uint32_t i = 1; i <= RMR_WORTH_MOST; i++) w->since[i]++;
    w->since[rows] = 0;
    measure(&w->us[rows], now);
    correct_fewer(w, rows, now);
    put_in(w, INCOME);
    w->asked = n;
    w->source = source;
    const float all = cost_without(w, step), one = all / (float)step->sessions;
    w->paid = n > 0 && all > 0
                  ? 1 + ((now - all) * (float)n / (float)step->drafts + (float)draft_us) / one
                  : 0;
    if (source == RMR_DRAFT_PREDICTED && n > 0) measure(&w->draft_us, (float)draft_us / (float)n);
}

static void note(rmr_draft_record *r, uint32_t right, uint32_t tried)
{
    for (uint32_t i = 0; i < tried; i++) {
        r->right = r->right * AGE + (i < right ? 1 : 0);
        r->tried = r->tried * AGE + 1;
    }
}

static void judge(rmr_worth *w, uint32_t n, uint32_t right)
{
    note(&w->first[w->source], right > 0, 1);
    if (right > 0) note(&w->next[w->source], right - 1, right < n ? right : n - 1);
    put_in(w, (float)right * (1 + INCOME) + 1 - w->paid);
}

/* ---- in the library's floating-point mode, whatever the host's is ---- */

rmr_worth_choice rmr_worth_choose(rmr_worth *w, const rmr_worth_step *step, rmr_draft_source source,
                                  uint32_t most, int64_t left_us)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const rmr_worth_choice c = choose(w, step, source, most, left_us);
    rmr_fpenv_leave(own);
    return c;
}

void rmr_worth_took(rmr_worth *w, const rmr_worth_step *step, uint32_t n, rmr_draft_source source,
                    uint64_t us, uint64_t draft_us)
{
    if (step->rows == 0 || step->sessions == 0 || step->rows + step->drafts > RMR_WORTH_MOST)
        return;
    const rmr_fpenv own = rmr_fpenv_enter();
    took(w, step, n, source, us, draft_us);
    rmr_fpenv_leave(own);
}

void rmr_worth_judge(rmr_worth *w, uint32_t right)
{
    const uint32_t n = w->asked;
    w->asked = 0;
    if (n == 0) return;
    const rmr_fpenv own = rmr_fpenv_enter();
    judge(w, n, right);
    rmr_fpenv_leave(own);
}

void rmr_worth_lost(rmr_worth *w, const rmr_worth_step *step, uint64_t us)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const float all = cost_without(w, step);
    if (all > 0) put_in(w, -(float)us * (float)step->sessions / all);
    rmr_fpenv_leave(own);
}
