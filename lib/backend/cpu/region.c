/* SPDX-License-Identifier: Apache-2.0 */
/* The regions of an operation are numbered as it comes to them. Those below `regions_done` are
 * done, and `rest` is what is left of the next one. */
#include "cpu.h"

#include "split.h"

int rmr_cpu_passed(rmr_step *s)
{
    if (s->region >= s->regions_done) return 0;
    s->region++;
    return 1;
}

int rmr_cpu_is_new(const rmr_step *s)
{
    return s->region > s->regions_done || (s->region == s->regions_done && s->rest.n == 0);
}

void rmr_cpu_skip(rmr_step *s)
{
    s->region++;
}

/* The expected time of a chunk in a region that nobody has measured. It follows from the pace of
 * the last region of the same operation. */
static uint64_t expected_ns(const rmr_step *s, uint64_t work)
{
    return (work >> 10) * s->ns_per_2_20[s->kind] >> 10;
}

static void note_pace(rmr_step *s, uint64_t work)
{
    if (work >= 1 << 10 && s->rest.chunk_ns > 0)
        s->ns_per_2_20[s->kind] = (s->rest.chunk_ns << 10) / (work >> 10);
}

remora_status rmr_cpu_region(rmr_step *s, const rmr_region *r, uint64_t work)
{
    rmr_region own = *r;
    if (rmr_cpu_passed(s)) return REMORA_OK;
    RMR_ASSERT(s->region == s->regions_done || s->rest.n == 0);
    if (rmr_cpu_is_new(s)) s->rest.chunk_ns = expected_ns(s, work);
    s->regions_done = s->region;
    own.halt = s->halt;
    own.rest = &s->rest;
    if (own.halt != NULL && own.most * work > RMR_ITEM)
        own.most = work < RMR_ITEM ? (uint32_t)(RMR_ITEM / work) : 1;
    const int done = rmr_pool_run_region(s->cpu->ctx->pool, &own);
    if (own.halt != NULL) note_pace(s, work);
    if (!done) return REMORA_MORE;
    s->regions_done = ++s->region;
    return REMORA_OK;
}

remora_status rmr_cpu_chunks(rmr_step *s, uint32_t n, rmr_chunk_fn *fn, void *arg, uint64_t work)
{
    rmr_chunks c = {fn, arg};
    return rmr_cpu_region(
        s, &(rmr_region){.n = n, .most = 1, .fn = rmr_pool_one_by_one, .arg = &c, .in_order = 1},
        work);
}
