/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend: creation, the context around every call, buffers, and the table of its
 * functions. Whatever error the driver keeps for good poisons the backend: from then on every call
 * fails with it and the driver is left alone. */
#include "cuda.h"

#include <sched.h>
#include <string.h>

#include "clock.h"

static rmr_cuda *cuda_of(rmr_backend *be)
{
    return (rmr_cuda *)be;
}

/* Errors after which the driver refuses everything (cuda.h of CUDA 13). */
static int is_sticky(rmr_cu_result r)
{
    return r == 46 || r == 100 || r == 214 || r == 220 || r == 226 ||
           (r >= 700 && r <= 719 && r != 701) || r == 999;
}

/* Texts of errors live as long as the driver is loaded. */
static void poison(rmr_cuda *c, rmr_cu_result r, const char *text)
{
    atomic_store(&c->poison_text, text);
    atomic_store(&c->poisoned, r);
}

remora_status rmr_cuda_check(rmr_cuda *c, rmr_cu_result r, const char *what, remora_error *err)
{
    const char *text = NULL;
    if (r == RMR_CU_SUCCESS) return REMORA_OK;
    if (r == RMR_CU_NO_MEMORY)
        return rmr_error_set(err, REMORA_E_DEVICE_MEM, r, "%s: the device has no memory left",
                             what);
    if (c->d.error_string(r, &text) != RMR_CU_SUCCESS || text == NULL) text = "unknown";
    if (is_sticky(r)) poison(c, r, text);
    return rmr_error_set(err, REMORA_E_DEVICE, r, "%s: the driver says CUDA error %d (%s)", what, r,
                         text);
}

/* A hung device must not hang the host. */
enum { DEADLINE_MS = 60000, SPIN_MS = 5 };

remora_status rmr_cuda_wait(rmr_cuda *c, rmr_cu_event event, remora_error *err)
{
    const uint64_t begin = rmr_clock_us();
    for (;;) {
        const rmr_cu_result r = c->d.event_query(event);
        if (r != RMR_CU_NOT_READY) return rmr_cuda_check(c, r, "waiting for the device", err);
        const uint64_t ms = (rmr_clock_us() - begin) / 1000;
        if (ms > SPIN_MS) sched_yield();
        if (ms > DEADLINE_MS) {
            poison(c, RMR_CU_NOT_READY, "the device does not finish");
            RMR_FAIL(err, REMORA_E_DEVICE, "the device does not finish within %d seconds",
                     DEADLINE_MS / 1000);
        }
    }
}

/* The last work in the backend's stream is now this; under `order`. */
static remora_status note_change(rmr_cuda *c, remora_error *err)
{
    c->changes++;
    return rmr_cuda_check(c, c->d.event_record(c->changed, c->stream), "ordering", err);
}

remora_status rmr_cuda_changed(rmr_cuda *c, remora_error *err)
{
    pthread_mutex_lock(&c->order);
    const remora_status s = note_change(c, err);
    pthread_mutex_unlock(&c->order);
    return s;
}

remora_status rmr_cuda_begin(rmr_cuda *c, remora_error *err)
{
    pthread_mutex_lock(&c->order);
    for (rmr_step *s = c->steps; s != NULL; s = s->next) {
        if (s->work == 0) continue;
        const remora_status st =
            rmr_cuda_check(c, c->d.stream_wait(c->stream, s->event[s->work % RMR_CUDA_EVENTS], 0),
                           "ordering", err);
        if (st >= 0) continue;
        pthread_mutex_unlock(&c->order);
        return st;
    }
    return REMORA_OK;
}

remora_status rmr_cuda_end(rmr_cuda *c, remora_error *err)
{
    const remora_status s = note_change(c, err);
    pthread_mutex_unlock(&c->order);
    return s;
}

remora_status rmr_cuda_launch(rmr_cuda *c, rmr_cu_stream stream, rmr_cuda_kernel k,
                              const uint32_t grid[3], uint32_t threads, uint32_t shared, void *args,
                              remora_error *err)
{
    void *params[] = {args};
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return REMORA_OK;
    if (c->overlap) {
        rmr_cu_launch_attribute a = {.id = RMR_CU_LAUNCH_OVERLAP, .u.value = 1};
        const rmr_cu_launch_config config = {
            {grid[0], grid[1], grid[2]}, {threads, 1, 1}, shared, stream, &a, 1};
        return rmr_cuda_check(c, c->d.launch_with(&config, c->kernel[k], params, NULL),
                              "starting a kernel", err);
    }
    return rmr_cuda_check(c,
                          c->d.launch(c->kernel[k], grid[0], grid[1], grid[2], threads, 1, 1,
                                      shared, stream, params, NULL),
                          "starting a kernel", err);
}

/* ---- buffers ---- */

static rmr_bytes buffer_bytes(rmr_backend *be, uint64_t bytes)
{
    (void)be;
    return (rmr_bytes){sizeof(rmr_buffer), bytes};
}

static remora_status buffer_create(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                   remora_error *err)
{
    rmr_cuda *c = cuda_of(be);
    *out = NULL;
    rmr_buffer *b = rmr_calloc(&c->ctx->mem, 1, sizeof *b);
    if (b == NULL) return rmr_error_nomem(err, "buffer", sizeof *b);
    b->bytes = bytes;
    remora_status s = rmr_cuda_enter(c, err);
    if (s >= 0) {
        s = rmr_cuda_check(c, c->d.memory_alloc(&b->at, bytes > 0 ? bytes : 1), "buffer", err);
        rmr_cuda_leave(c);
    }
    if (s < 0) {
        rmr_free(&c->ctx->mem, b, sizeof *b);
        return s;
    }
    *out = b;
    return REMORA_OK;
}

static void buffer_free(rmr_backend *be, rmr_buffer *b)
{
    rmr_cuda *c = cuda_of(be);
    if (b == NULL) return;
    if (rmr_cuda_enter(c, NULL) >= 0) {
        (void)c->d.memory_free(b->at);
        rmr_cuda_leave(c);
    }
    rmr_free(&c->ctx->mem, b, sizeof *b);
}

static uint64_t buffer_address(const rmr_buffer *b)
{
    return b->at;
}

static remora_status check_range(const rmr_buffer *b, uint64_t off, uint64_t n, remora_error *err)
{
    if (off > b->bytes || n > b->bytes - off)
        RMR_FAIL(err, REMORA_E_INTERNAL, "bytes are out of the range of their buffer");
    return REMORA_OK;
}

static remora_status wait_changed(rmr_cuda *c, remora_error *err)
{
    return rmr_cuda_wait(c, c->changed, err);
}

/* One piece of work in the backend's stream. */
static remora_status ordered(rmr_cuda *c, rmr_cu_result (*work)(rmr_cuda *, const void *),
                             const void *arg, const char *what, int wait, remora_error *err)
{
    RMR_TRY(rmr_cuda_enter(c, err));
    remora_status s = rmr_cuda_begin(c, err);
    if (s >= 0) {
        s = rmr_cuda_check(c, work(c, arg), what, err);
        const remora_status end = rmr_cuda_end(c, s < 0 ? NULL : err);
        if (s >= 0) s = end;
    }
    if (s >= 0 && wait) s = wait_changed(c, err);
    rmr_cuda_leave(c);
    return s;
}

typedef struct movement {
    void *host;
    rmr_cu_address to, from;
    uint64_t n;
} movement;

static rmr_cu_result do_read(rmr_cuda *c, const void *arg)
{
    const movement *m = arg;
    return c->d.copy_out(m->host, m->from, m->n, c->stream);
}

static rmr_cu_result do_write(rmr_cuda *c, const void *arg)
{
    const movement *m = arg;
    return c->d.copy_in(m->to, m->host, m->n, c->stream);
}

static rmr_cu_result do_zero(rmr_cuda *c, const void *arg)
{
    const movement *m = arg;
    return c->d.set_bytes(m->to, 0, m->n, c->stream);
}

static rmr_cu_result do_copy(rmr_cuda *c, const void *arg)
{
    const movement *m = arg;
    return c->d.copy_within(m->to, m->from, m->n, c->stream);
}

static remora_status buffer_read(rmr_backend *be, const rmr_buffer *b, uint64_t off, void *dst,
                                 uint64_t n, remora_error *err)
{
    RMR_TRY(check_range(b, off, n, err));
    return ordered(cuda_of(be), do_read, &(movement){dst, 0, b->at + off, n}, "reading a buffer", 1,
                   err);
}

static remora_status buffer_write(rmr_backend *be, rmr_buffer *b, uint64_t off, const void *src,
                                  uint64_t n, remora_error *err)
{
    void *const from = (void *)(uintptr_t)src; /* only read */
    RMR_TRY(check_range(b, off, n, err));
    return ordered(cuda_of(be), do_write, &(movement){from, b->at + off, 0, n}, "writing a buffer",
                   1, err);
}

static remora_status buffer_zero(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t n,
                                 remora_error *err)
{
    RMR_TRY(check_range(b, off, n, err));
    return ordered(cuda_of(be), do_zero, &(movement){NULL, b->at + off, 0, n}, "zeroing a buffer",
                   0, err);
}

/* Counters to pinned memory, each exchanged for 0 by one instruction: steps go on counting. */
static remora_status take_counters(rmr_cuda *c, rmr_cuda_stage *stage, rmr_cu_address from,
                                   uint64_t *dst, uint32_t n, remora_error *err)
{
    rmr_gpu_take a = {(uint64_t *)(uintptr_t)from, (uint64_t *)(void *)stage->at, n};
    const uint32_t grid[3] = {(n + 255) / 256, 1, 1};
    RMR_TRY(rmr_cuda_launch(c, c->stream, RMR_K_counters_take, grid, 256, 0, &a, err));
    RMR_TRY(rmr_cuda_check(c, c->d.event_record(stage->done, c->stream), "event", err));
    RMR_TRY(rmr_cuda_wait(c, stage->done, err));
    memcpy(dst, stage->at, n * sizeof *dst);
    return REMORA_OK;
}

static remora_status take_all_counters(rmr_cuda *c, rmr_cu_address from, uint64_t *dst, uint32_t n,
                                       remora_error *err)
{
    enum { MOST = RMR_CUDA_STAGING / 8 };
    rmr_cuda_stage *stage;
    RMR_TRY(rmr_cuda_stage_take(c, &stage, err));
    remora_status s = REMORA_OK;
    for (uint32_t i = 0; i < n && s >= 0; i += MOST)
        s = take_counters(c, stage, from + (uint64_t)i * 8, dst + i, n - i < MOST ? n - i : MOST,
                          err);
    rmr_cuda_stage_give(c, stage);
    return s;
}

static remora_status counters_read(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t *dst,
                                   uint32_t n, int reset, remora_error *err)
{
    rmr_cuda *c = cuda_of(be);
    if (!reset) return buffer_read(be, b, off, dst, n * sizeof *dst, err);
    RMR_TRY(check_range(b, off, n * sizeof *dst, err));
    RMR_TRY(rmr_cuda_enter(c, err));
    const remora_status s = take_all_counters(c, b->at + off, dst, n, err);
    rmr_cuda_leave(c);
    return s;
}

static remora_status buffer_copy(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                 const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                 remora_error *err)
{
    RMR_TRY(check_range(dst, dst_off, n, err));
    RMR_TRY(check_range(src, src_off, n, err));
    return ordered(cuda_of(be), do_copy, &(movement){NULL, dst->at + dst_off, src->at + src_off, n},
                   "copying", 0, err);
}

/* ---- output rows ---- */

/* Large blocks are pinned, whole pages that nothing else lies in; behind them: */
typedef struct host_block {
    void *whole; /* of the host's allocator */
    int pinned;
} host_block;

enum { PAGE = 4096, PINNED_FROM = 8 * PAGE };

static size_t whole_size(size_t size)
{
    return (size_t)rmr_round_up(size, PAGE) + PAGE + sizeof(host_block);
}

static host_block *block_of(void *p, size_t size)
{
    return (host_block *)(void *)((unsigned char *)p + rmr_round_up(size, PAGE));
}

/* Memory that cannot be pinned is as good, but for the driver, which copies it twice. */
static int pin(rmr_cuda *c, void *p, size_t size)
{
    if (rmr_cuda_enter(c, NULL) < 0) return 0;
    const rmr_cu_result r = c->d.host_register(p, (size_t)rmr_round_up(size, PAGE), 0);
    (void)rmr_cuda_check(c, r, "pinning", NULL);
    rmr_cuda_leave(c);
    return r == RMR_CU_SUCCESS;
}

static void *host_alloc(rmr_backend *be, rmr_mem *mem, size_t size)
{
    if (size < PINNED_FROM || size > SIZE_MAX / 2) return rmr_alloc(mem, size);
    void *const whole = rmr_alloc(mem, whole_size(size));
    if (whole == NULL) return NULL;
    void *const p = (void *)(uintptr_t)rmr_round_up((uintptr_t)whole, PAGE);
    *block_of(p, size) = (host_block){whole, pin(cuda_of(be), p, size)};
    return p;
}

static void host_free(rmr_backend *be, rmr_mem *mem, void *p, size_t size)
{
    rmr_cuda *c = cuda_of(be);
    if (p == NULL || size < PINNED_FROM) {
        rmr_free(mem, p, size);
        return;
    }
    const host_block *b = block_of(p, size);
    if (b->pinned && rmr_cuda_enter(c, NULL) >= 0) {
        (void)c->d.host_unregister(p);
        rmr_cuda_leave(c);
    }
    rmr_free(mem, b->whole, whole_size(size));
}

const rmr_backend_ops rmr_cuda_ops = {
    RMR_BACKEND_HEAD,
    .free = rmr_cuda_free,
    .describe = rmr_cuda_describe,
    .weight_bytes = rmr_cuda_weight_bytes,
    .step_bytes = rmr_cuda_step_bytes,
    .weight_create = rmr_cuda_weight_create,
    .weight_adopts = rmr_cuda_weight_adopts,
    .weight_adopt = rmr_cuda_weight_adopt,
    .weight_upload = rmr_cuda_weight_upload,
    .weight_fill = rmr_cuda_weight_fill,
    .weight_done = rmr_cuda_weight_done,
    .weight_free = rmr_cuda_weight_free,
    .buffer_bytes = buffer_bytes,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .buffer_address = buffer_address,
    .buffer_read = buffer_read,
    .buffer_write = buffer_write,
    .buffer_zero = buffer_zero,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .counters_read = counters_read,
    .buffer_copy = buffer_copy,
    .step_create = rmr_cuda_step_create,
    .step_free = rmr_cuda_step_free,
    .step_inputs = rmr_cuda_step_inputs,
    .step_submit = rmr_cuda_step_submit,
    .step_wait = rmr_cuda_step_wait,
    .step_want = rmr_cuda_step_want,
    .step_write = rmr_cuda_step_write,
    .step_read = rmr_cuda_step_read,
    .step_best = rmr_cuda_step_best,
    .step_masses = rmr_cuda_step_masses,
};
