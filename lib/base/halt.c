/* SPDX-License-Identifier: Apache-2.0 */
#include "halt.h"

#include "cancel.h"
#include "clock.h"

void rmr_halt_init(rmr_halt *s, const int32_t *cancel, int64_t budget_us, uint64_t start_us)
{
    s->cancel = cancel;
    s->end_us = budget_us > 0 ? start_us + (uint64_t)budget_us : 0;
    atomic_init(&s->begun, 0);
    atomic_init(&s->cause, RMR_HALT_NONE);
    atomic_init(&s->looked_us, start_us);
    atomic_init(&s->longest_us, 0);
}

static void note_stretch(rmr_halt *s, uint64_t us)
{
    uint64_t longest = atomic_load_explicit(&s->longest_us, memory_order_relaxed);
    while (us > longest &&
           !atomic_compare_exchange_weak_explicit(&s->longest_us, &longest, us,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* The time, at which the worker looks. Another worker may have looked later than this one read its
 * clock. */
static uint64_t look(rmr_halt *s)
{
    const uint64_t now = rmr_clock_us();
    const uint64_t before = atomic_exchange_explicit(&s->looked_us, now, memory_order_relaxed);
    if (now > before) note_stretch(s, now - before);
    return now;
}

static int stopped(rmr_halt *s, rmr_halt_cause cause)
{
    uint32_t none = RMR_HALT_NONE;
    if (cause == RMR_HALT_CANCEL)
        atomic_store_explicit(&s->cause, cause, memory_order_relaxed);
    else
        (void)atomic_compare_exchange_strong(&s->cause, &none, cause);
    return 0;
}

int rmr_halt_allows(rmr_halt *s, rmr_pace *p, uint32_t n)
{
    if (p->at_us == 0) p->at_us = look(s);
    if (atomic_load_explicit(&s->begun, memory_order_relaxed) == 0 &&
        (n == 0 || atomic_exchange_explicit(&s->begun, 1, memory_order_relaxed) == 0))
        return 1;
    if (rmr_cancelled(s->cancel)) return stopped(s, RMR_HALT_CANCEL);
    const uint64_t done_us = p->at_us + n * p->chunk_ns / 1000;
    if (s->end_us > 0 && (p->at_us >= s->end_us || done_us > s->end_us))
        return stopped(s, RMR_HALT_TIME);
    return 1;
}

void rmr_halt_begun(rmr_halt *s)
{
    atomic_store_explicit(&s->begun, 1, memory_order_relaxed);
}

void rmr_halt_item_done(rmr_halt *s, rmr_pace *p, uint32_t n)
{
    const uint64_t now = look(s), us = now > p->at_us ? now - p->at_us : 0;
    note_stretch(s, us);
    p->chunk_ns = us * 1000 / n;
    p->at_us = now;
}

uint64_t rmr_halt_longest(rmr_halt *s)
{
    (void)look(s);
    return atomic_load(&s->longest_us);
}
