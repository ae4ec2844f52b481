/* SPDX-License-Identifier: Apache-2.0 */
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

void bed_floats(bed *b, float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) v[i] = (float)host_random(&b->seed) * 0x1p-31f - 1;
}

rmr_weight *bed_weight_of(bed *b, rmr_weight_desc d, const void *rows)
{
    const size_t bytes = (size_t)d.rows * rmr_row_bytes(d.elem, d.cols);
    rmr_weight *w = NULL;
    REQUIRE(b->be->ops->weight_create(b->be, &d, &w, NULL) == REMORA_OK);
    for (uint32_t i = 0; i < d.count; i++)
        REQUIRE(b->be->ops->weight_upload(b->be, w, i, 0, d.rows,
                                          (const unsigned char *)rows + i * bytes,
                                          NULL) == REMORA_OK);
    REQUIRE(b->be->ops->weight_done(b->be, w, NULL) == REMORA_OK);
    return w;
}

rmr_weight *bed_weight(bed *b, rmr_weight_desc d)
{
    const size_t bytes = (size_t)d.count * d.rows * rmr_row_bytes(d.elem, d.cols);
    unsigned char *data = malloc(bytes);
    REQUIRE(data != NULL);
    if (d.elem == RMR_ELEM_F32) bed_floats(b, (float *)(void *)data, bytes / 4);
    for (size_t k = 0; d.elem == RMR_ELEM_Q8_0 && k < bytes; k++)
        data[k] = k % 34 > 1 ? (unsigned char)host_random(&b->seed) : k % 34 == 1 ? 0x20 : 0;
    rmr_weight *w = bed_weight_of(b, d, data);
    free(data);
    return w;
}

rmr_step *bed_step(bed *b, const rmr_step_desc *d, const rmr_inputs *in)
{
    const rmr_backend_ops *ops = b->be->ops;
    rmr_step *s = NULL;
    rmr_slice slice = {0, b->apart ? 1 : d->n_ops};
    uint64_t mark = 0;
    REQUIRE(ops->step_create(b->be, d, &s, NULL) == REMORA_OK);
    REQUIRE(ops->step_inputs(b->be, s, in, NULL) == REMORA_OK);
    for (; slice.first < d->n_ops; slice.first += slice.n)
        REQUIRE(ops->step_submit(b->be, s, &slice, NULL, &mark, NULL) == REMORA_OK);
    REQUIRE(ops->step_wait(b->be, s, mark, NULL) == REMORA_OK);
    return s;
}

void bed_read(bed *b, rmr_step *s, uint32_t slot, uint32_t n, void *out)
{
    const rmr_area a = {slot, 0, s->desc.slots[slot].width, 0, n};
    REQUIRE(b->be->ops->step_read(b->be, s, &a, out, NULL) == REMORA_OK);
}

void bed_end(bed *b, rmr_step *s)
{
    b->be->ops->step_free(b->be, s);
}

rmr_inputs bed_rows(uint32_t first, uint32_t n, uint32_t max_rows)
{
    static _Alignas(RMR_ALIGN) unsigned char block[8192];
    rmr_inputs in = {.n_rows = n, .n_runs = 1};
    REQUIRE(rmr_inputs_place(&in, block, max_rows, 1) <= sizeof block);
    in.run[0] = (rmr_run){0, n, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    for (uint32_t i = 0; i < n; i++) {
        in.token[i] = (int32_t)(first + i);
        in.pos[i] = i;
    }
    return in;
}

void bed_moe_plan(bed_moe *m, uint32_t n_used, rmr_slot *slots, rmr_op *ops)
{
    const uint32_t hidden = m->table->desc.cols, experts = m->logits->desc.cols;
    const uint32_t routed = n_used * m->w[0]->desc.rows;
    const uint32_t widths[BED_MOE_SLOTS] = {
        hidden, experts, n_used, n_used, routed + m->s[0]->desc.rows, hidden};
    m->moe = (rmr_moe){.gate = RMR_GATE_SOFTMAX,
                       .n_experts = experts,
                       .n_used = n_used,
                       .n_group = 1,
                       .topk_group = 1,
                       .scale = 1,
                       .inner = m->w[0]->desc.rows,
                       .shared_inner = m->s[0]->desc.rows};
    for (int i = 0; i < BED_MOE_SLOTS; i++) slots[i] = (rmr_slot){widths[i], RMR_ROWS_ALL};
    ops[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {BED_IN, 0}, .w = m->table, .n = hidden};
    ops[1] = (rmr_op){.kind = RMR_OP_EMBED, .out = {BED_ROUTER, 0}, .w = m->logits, .n = experts};
    ops[2] = (rmr_op){.kind = RMR_OP_GATE,
                      .in = {BED_ROUTER, 0},
                      .out = {BED_IDS, 0},
                      .out2 = {BED_WEIGHTS, 0},
                      .moe = &m->moe};
    ops[BED_SWIGLU] = (rmr_op){.kind = RMR_OP_EXPERTS_SWIGLU,
                               .in = {BED_IN, 0},
                               .in2 = {BED_IDS, 0},
                               .out = {BED_FF, 0},
                               .out2 = {BED_FF, routed},
                               .w = m->w[0],
                               .w2 = m->w[1],
                               .s1 = m->s[0],
                               .s2 = m->s[1],
                               .moe = &m->moe,
                               .n = hidden,
                               .n_out = m->moe.inner,
                               .n_out2 = m->moe.shared_inner};
    ops[BED_DOWN] = (rmr_op){.kind = RMR_OP_EXPERTS_DOWN,
                             .in = {BED_FF, 0},
                             .in2 = {BED_IDS, 0},
                             .in3 = {BED_WEIGHTS, 0},
                             .out = {BED_OUT, 0},
                             .w = m->w[2],
                             .s1 = m->s[2],
                             .moe = &m->moe,
                             .n = m->moe.inner};
}

void bed_moe_free(bed *b, bed_moe *m)
{
    for (int i = 0; i < 3; i++) {
        b->be->ops->weight_free(b->be, m->w[i]);
        b->be->ops->weight_free(b->be, m->s[i]);
    }
    b->be->ops->weight_free(b->be, m->table);
    b->be->ops->weight_free(b->be, m->logits);
}
