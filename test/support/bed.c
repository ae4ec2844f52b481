#include "bed.h"

#include <stdlib.h>

#include "host.h"

void bed_init(bed *b, uint32_t threads, uint64_t seed)
{
    *b = (bed){.seed = seed};
    rmr_mem_init(&b->ctx.mem);
    REQUIRE(rmr_pool_create(&b->ctx.mem, threads, NULL, NULL, &b->ctx.pool, NULL) == REMORA_OK);
    REQUIRE(rmr_cpu_create(&b->ctx, NULL, NULL, &b->be, NULL) == REMORA_OK);
}

void bed_free(bed *b)
{
    b->be->ops->free(b->be);
    rmr_pool_free(b->ctx.pool);
    REQUIRE(atomic_load(&b->ctx.mem.bytes) == 0);
}

rmr_weight *bed_weight(bed *b, rmr_weight_desc d)
{
    const size_t bytes = (size_t)d.rows * rmr_row_bytes(d.elem, d.cols);
    unsigned char *data = malloc(bytes);
    rmr_weight *w = NULL;
    REQUIRE(data != NULL);
    REQUIRE(b->be->ops->weight_create(b->be, &d, &w, NULL) == REMORA_OK);
    for (uint32_t i = 0; i < d.count; i++) {
        for (size_t k = 0; d.elem == RMR_ELEM_Q8_0 && k < bytes; k++)
            data[k] = k % 34 > 1 ? (unsigned char)host_random(&b->seed) : k % 34 == 1 ? 0x20 : 0;
        for (size_t k = 0; d.elem == RMR_ELEM_F32 && k < bytes / 4; k++)
            ((float *)(void *)data)[k] = (float)host_random(&b->seed) * 0x1p-31f - 1;
        REQUIRE(b->be->ops->weight_upload(b->be, w, i, 0, d.rows, data, NULL) == REMORA_OK);
    }
    free(data);
    return w;
}

void bed_run(bed *b, const rmr_step_desc *d, const rmr_inputs *in, uint32_t slot, uint32_t n,
             void *out)
{
    const rmr_backend_ops *ops = b->be->ops;
    rmr_step *s = NULL;
    uint64_t mark;
    REQUIRE(ops->step_create(b->be, d, &s, NULL) == REMORA_OK);
    REQUIRE(ops->step_inputs(b->be, s, in, NULL) == REMORA_OK);
    REQUIRE(ops->step_submit(b->be, s, &(rmr_slice){0, d->n_ops, 0, 0}, &mark, NULL) == REMORA_OK);
    REQUIRE(ops->step_wait(b->be, s, mark, NULL) == REMORA_OK);
    REQUIRE(ops->step_read(b->be, s, slot, 0, n, out, NULL) == REMORA_OK);
    ops->step_free(b->be, s);
}
