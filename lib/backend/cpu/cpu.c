/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend: creation, buffers, and the table of its functions. Its events are simply done.
 */
#include "cpu.h"

#include <string.h>

#include "system.h"

static rmr_cpu *cpu_of(rmr_backend *be)
{
    return (rmr_cpu *)be;
}

static void cpu_free(rmr_backend *be)
{
    rmr_cpu *c = cpu_of(be);
    rmr_free(&c->ctx->mem, c, sizeof *c);
}

static void cpu_describe(rmr_backend *be, remora_device *out)
{
    rmr_cpu *c = cpu_of(be);
    out->kind = REMORA_DEVICE_CPU;
    out->usable = REMORA_OK;
    rmr_system_memory(&out->mem_total, &out->mem_free);
    strncpy(out->id, "cpu", sizeof out->id - 1);
    strncpy(out->name, "CPU", sizeof out->name - 1);
    strncpy(out->paths, c->k->name, sizeof out->paths - 1);
}

static remora_status buffer_create(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                   remora_error *err)
{
    rmr_cpu *c = cpu_of(be);
    *out = NULL;
    rmr_buffer *b = rmr_calloc(&c->ctx->mem, 1, sizeof *b);
    if (b == NULL) return rmr_error_nomem(err, "buffer", bytes);
    b->bytes = bytes;
    b->data = bytes <= PTRDIFF_MAX ? rmr_alloc(c->mem, (size_t)bytes) : NULL;
    if (b->data == NULL) {
        rmr_free(&c->ctx->mem, b, sizeof *b);
        return rmr_error_nomem(err, "buffer", bytes);
    }
    *out = b;
    return REMORA_OK;
}

static rmr_bytes buffer_bytes(rmr_backend *be, uint64_t bytes)
{
    return rmr_cpu_bytes(cpu_of(be), sizeof(rmr_buffer), bytes);
}

static void buffer_free(rmr_backend *be, rmr_buffer *b)
{
    rmr_cpu *c = cpu_of(be);
    if (b == NULL) return;
    rmr_free(c->mem, b->data, (size_t)b->bytes);
    rmr_free(&c->ctx->mem, b, sizeof *b);
}

static uint64_t buffer_address(const rmr_buffer *b)
{
    return (uint64_t)(uintptr_t)b->data;
}

static int in_range(const rmr_buffer *b, uint64_t off, uint64_t n)
{
    return off <= b->bytes && n <= b->bytes - off;
}

static remora_status buffer_read(rmr_backend *be, const rmr_buffer *b, uint64_t off, void *dst,
                                 uint64_t n, remora_error *err)
{
    (void)be;
    if (!in_range(b, off, n))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a read is out of the range of its buffer");
    memcpy(dst, b->data + off, (size_t)n);
    return REMORA_OK;
}

static remora_status buffer_write(rmr_backend *be, rmr_buffer *b, uint64_t off, const void *src,
                                  uint64_t n, remora_error *err)
{
    (void)be;
    if (!in_range(b, off, n))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a write is out of the range of its buffer");
    memcpy(b->data + off, src, (size_t)n);
    return REMORA_OK;
}

static remora_status buffer_zero(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t n,
                                 remora_error *err)
{
    (void)be;
    if (!in_range(b, off, n))
        RMR_FAIL(err, REMORA_E_INTERNAL, "zeros are out of the range of their buffer");
    memset(b->data + off, 0, (size_t)n);
    return REMORA_OK;
}

static remora_status counters_read(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t *dst,
                                   uint32_t n, int reset, remora_error *err)
{
    (void)be;
    if (!in_range(b, off, n * sizeof *dst))
        RMR_FAIL(err, REMORA_E_INTERNAL, "counters are out of the range of their buffer");
    _Atomic uint64_t *c = (_Atomic uint64_t *)(void *)(b->data + off);
    for (uint32_t i = 0; i < n; i++)
        dst[i] = reset ? atomic_exchange_explicit(&c[i], 0, memory_order_relaxed)
                       : atomic_load_explicit(&c[i], memory_order_relaxed);
    return REMORA_OK;
}

static remora_status buffer_copy(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                 const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                 remora_error *err)
{
    (void)be;
    if (!in_range(dst, dst_off, n) || !in_range(src, src_off, n))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a copy is out of the range of its buffers");
    memcpy(dst->data + dst_off, src->data + src_off, (size_t)n);
    return REMORA_OK;
}

/* Output rows are copied by the processor, so memory of any kind will do. */
static void *host_alloc(rmr_backend *be, rmr_mem *mem, size_t size)
{
    (void)be;
    return rmr_alloc(mem, size);
}

static void host_free(rmr_backend *be, rmr_mem *mem, void *p, size_t size)
{
    (void)be;
    rmr_free(mem, p, size);
}

static const rmr_backend_ops cpu_ops = {
    RMR_BACKEND_HEAD,
    .free = cpu_free,
    .describe = cpu_describe,
    .weight_bytes = rmr_cpu_weight_bytes,
    .step_bytes = rmr_cpu_step_bytes,
    .weight_create = rmr_cpu_weight_create,
    .weight_adopts = rmr_cpu_weight_adopts,
    .weight_adopt = rmr_cpu_weight_adopt,
    .weight_upload = rmr_cpu_weight_upload,
    .weight_fill = rmr_cpu_weight_fill,
    .weight_done = rmr_cpu_weight_done,
    .weight_free = rmr_cpu_weight_free,
    .buffer_bytes = buffer_bytes,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .buffer_address = buffer_address,
    .buffer_read = buffer_read,
    .buffer_write = buffer_write,
    .buffer_zero = buffer_zero,
    .buffer_copy = buffer_copy,
    .counters_read = counters_read,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .step_create = rmr_cpu_step_create,
    .step_free = rmr_cpu_step_free,
    .step_inputs = rmr_cpu_step_inputs,
    .step_want = rmr_cpu_step_want,
    .step_submit = rmr_cpu_step_submit,
    .step_wait = rmr_cpu_step_wait,
    .step_read = rmr_cpu_step_read,
    .step_write = rmr_cpu_step_write,
};

remora_status rmr_cpu_create(rmr_ctx *ctx, const char *isa, rmr_mem *device_mem, rmr_backend **out,
                             remora_error *err)
{
    *out = NULL;
    const rmr_kernels *k = rmr_kernels_pick(isa);
    if (k == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "kernel set \"%s\" is not in this build or not for this processor", isa);
    rmr_cpu *c = rmr_calloc(&ctx->mem, 1, sizeof *c);
    if (c == NULL) return rmr_error_nomem(err, "CPU backend", sizeof *c);
    c->base.ops = &cpu_ops;
    c->ctx = ctx;
    c->mem = device_mem != NULL ? device_mem : &ctx->mem;
    c->k = k;
    *out = &c->base;
    return REMORA_OK;
}
