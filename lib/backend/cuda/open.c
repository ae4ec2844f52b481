/* SPDX-License-Identifier: Apache-2.0 */
/* A CUDA backend from its making to its end. Making it asks the driver what the GPU is. The first
 * weight, buffer or step opens it: the context, the kernels, a stream. The host's own context is
 * current again after every call. */
#include <stdio.h>
#include <string.h>

#include "cuda.h"
#include "process.h"

const char *const rmr_cuda_kernel_names[RMR_K_COUNT] = {
#define X(name, elem)                                                                              \
    [RMR_K_product_##name] = "rmr_product_" #name,                                                 \
    [RMR_K_product_##name##_wide] = "rmr_product_" #name "_wide",                                  \
    [RMR_K_product_##name##_few] = "rmr_product_" #name "_few",                                    \
    [RMR_K_product_##name##_one] = "rmr_product_" #name "_one",
    RMR_CUDA_PRODUCTS(X)
#undef X
#define X(name, elem) [RMR_K_many_##name] = "rmr_many_" #name,
        RMR_CUDA_MANY(X)
#undef X
#define X(name) [RMR_K_##name] = "rmr_" #name,
            RMR_CUDA_KERNELS(X)
#undef X
};

static remora_status find_kernels(rmr_cuda *c, remora_error *err)
{
    for (int i = 0; i < RMR_K_COUNT; i++) {
        RMR_TRY(rmr_cuda_check(
            c, c->d.module_function(&c->kernel[i], c->module, rmr_cuda_kernel_names[i]),
            rmr_cuda_kernel_names[i], err));
        RMR_TRY(rmr_cuda_check(
            c, c->d.function_attribute(c->kernel[i], RMR_CU_FUNC_MAX_SHARED, (int)c->shared - 1024),
            rmr_cuda_kernel_names[i], err));
    }
    return REMORA_OK;
}

static remora_status load(rmr_cuda *c, remora_error *err)
{
    RMR_TRY(rmr_cuda_share(c, err));
    RMR_TRY(rmr_cuda_check(c, c->d.module_load(&c->module, c->image), "loading the kernels", err));
    RMR_TRY(find_kernels(c, err));
    RMR_TRY(rmr_cuda_stream_new(c, &c->stream, err));
    return rmr_cuda_check(c, c->d.event_create(&c->changed, RMR_CU_EVENT_DISABLE_TIMING),
                          "making an event", err);
}

/* What load() has made; the context is current. */
static void unload(rmr_cuda *c)
{
    for (int i = 0; i < RMR_CUDA_STAGES; i++) {
        if (c->stage[i].at != NULL) (void)c->d.host_free(c->stage[i].at);
        if (c->stage[i].done != NULL) (void)c->d.event_destroy(c->stage[i].done);
        c->stage[i] = (rmr_cuda_stage){NULL, NULL, 0};
    }
    if (c->changed != NULL) (void)c->d.event_destroy(c->changed);
    if (c->stream != NULL) (void)c->d.stream_destroy(c->stream);
    if (c->module != NULL) (void)c->d.module_unload(c->module);
    rmr_cuda_unshare(c);
    c->changed = NULL;
    c->stream = NULL;
    c->module = NULL;
}

static remora_status push(rmr_cuda *c, remora_error *err)
{
    return rmr_cuda_check(c, c->d.context_push(c->context), "making the context current", err);
}

/* Bytes that are free in the current context; 0: not known. */
static uint64_t available_bytes(const rmr_cuda *c)
{
    size_t available = 0, all = 0;
    return c->d.memory_info(&available, &all) == RMR_CU_SUCCESS ? available : 0;
}

/* What opening took: the context with its kernels, or the kernels alone where no more can be
 * measured. Somebody else's memory that came meanwhile counts too. */
typedef struct opening {
    int known;
    uint64_t used, available; /* before */
} opening;

static uint64_t measure(rmr_cuda *c, const opening *o)
{
    const uint64_t available = available_bytes(c);
    uint64_t used;
    if (o->known && rmr_cuda_used_memory(c, &used)) return used > o->used ? used - o->used : 0;
    return available < o->available ? o->available - available : 0;
}

/* The first call after which the device is open; one that fails leaves it as it was. */
static remora_status open_context(rmr_cuda *c, remora_error *err)
{
    opening o = {0};
    o.known = rmr_cuda_used_memory(c, &o.used);
    RMR_TRY(rmr_cuda_context_open(c, err));
    remora_status s = push(c, err);
    if (s >= 0) {
        o.available = available_bytes(c);
        s = load(c, err);
        if (s >= 0) atomic_store(&c->base.opened_bytes, measure(c, &o));
        if (s < 0 && c->poisoned == 0) unload(c);
        rmr_cuda_leave(c);
    }
    if (s < 0 && c->poisoned == 0) rmr_cuda_context_close(c);
    return s;
}

static remora_status open_once(rmr_cuda *c, remora_error *err)
{
    remora_status s = REMORA_OK;
    if (atomic_load_explicit(&c->open, memory_order_acquire)) return REMORA_OK;
    pthread_mutex_lock(&c->opening);
    if (!atomic_load_explicit(&c->open, memory_order_relaxed)) {
        s = open_context(c, err);
        if (s >= 0) atomic_store_explicit(&c->open, 1, memory_order_release);
    }
    pthread_mutex_unlock(&c->opening);
    return s;
}

int rmr_cuda_is_ours(const rmr_cuda *c)
{
    return rmr_process() == c->process;
}

/* May the driver be called at all? */
static remora_status check_alive(rmr_cuda *c, remora_error *err)
{
    const int code = atomic_load(&c->poisoned);
    if (!rmr_cuda_is_ours(c))
        RMR_FAIL(err, REMORA_E_DEVICE,
                 "%s was opened before this process was forked, and belongs to its parent", c->id);
    if (code != 0)
        return rmr_error_set(err, REMORA_E_DEVICE, code,
                             "%s cannot be used any more after CUDA error %d (%s)", c->id, code,
                             atomic_load(&c->poison_text));
    if (c->refused < 0) RMR_FAIL(err, c->refused, "%s cannot be used: %s", c->id, c->reason);
    return REMORA_OK;
}

remora_status rmr_cuda_enter(rmr_cuda *c, remora_error *err)
{
    RMR_TRY(check_alive(c, err));
    RMR_TRY(open_once(c, err));
    return push(c, err);
}

void rmr_cuda_leave(rmr_cuda *c)
{
    rmr_cu_context old;
    (void)c->d.context_pop(&old);
}

/* ---- what a GPU is ---- */

remora_status rmr_cuda_ask_attributes(rmr_cuda *c, const rmr_cuda_attribute *list, size_t n,
                                      remora_error *err)
{
    for (size_t i = 0; i < n; i++)
        RMR_TRY(rmr_cuda_check(c, c->d.device_attribute(list[i].to, list[i].which, c->device),
                               "cuDeviceGetAttribute", err));
    return REMORA_OK;
}

static remora_status ask(rmr_cuda *c, int number, remora_error *err)
{
    int shared = 0;
    size_t bytes = 0;
    RMR_TRY(rmr_cuda_check(c, c->d.device_get(&c->device, number), "cuDeviceGet", err));
    RMR_TRY(rmr_cuda_check(c, c->d.device_name(c->name, (int)sizeof c->name, c->device),
                           "cuDeviceGetName", err));
    RMR_TRY(rmr_cuda_check(c, c->d.device_memory(&bytes, c->device), "cuDeviceTotalMem", err));
    const rmr_cuda_attribute list[] = {{&c->sms, RMR_CU_ATTR_SMS},
                                       {&c->major, RMR_CU_ATTR_MAJOR},
                                       {&c->minor, RMR_CU_ATTR_MINOR},
                                       {&shared, RMR_CU_ATTR_SHARED}};
    RMR_TRY(rmr_cuda_ask_attributes(c, list, sizeof list / sizeof list[0], err));
    c->memory = bytes;
    c->shared = (uint32_t)shared;
    return REMORA_OK;
}

static remora_status check_supported(rmr_cuda *c, int toolkit, remora_error *err)
{
    int driver = 0;
    if (c->major < 8)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "the GPU has compute capability %d.%d; supported is 8.0 and later", c->major,
                 c->minor);
    RMR_TRY(rmr_cuda_check(c, c->d.driver_version(&driver), "cuDriverGetVersion", err));
    if (driver / 1000 < toolkit / 1000)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "the driver is for CUDA %d.%d; the kernels need one for CUDA %d.0 or later",
                 driver / 1000, driver % 1000 / 10, toolkit / 1000);
    return REMORA_OK;
}

static uint64_t free_in(rmr_cuda *c, rmr_cu_context context)
{
    uint64_t available;
    if (c->d.context_push(context) != RMR_CU_SUCCESS) return 0;
    available = available_bytes(c);
    rmr_cuda_leave(c);
    return available;
}

/* Free bytes are known where a context is open, the backend's or the host's own. */
static uint64_t free_memory(rmr_cuda *c)
{
    uint64_t available;
    unsigned flags;
    int active = 0;
    rmr_cu_context context;
    if (atomic_load_explicit(&c->open, memory_order_acquire)) return free_in(c, c->context);
    if (c->d.context_state(c->device, &flags, &active) != RMR_CU_SUCCESS || !active) return 0;
    if (c->d.context_retain(&context, c->device) != RMR_CU_SUCCESS) return 0;
    available = free_in(c, context);
    (void)c->d.context_release(c->device);
    return available;
}

void rmr_cuda_describe(rmr_backend *be, remora_device *out)
{
    rmr_cuda *c = (rmr_cuda *)be;
    remora_error err = {.struct_size = sizeof err};
    out->kind = REMORA_DEVICE_CUDA;
    out->mem_total = c->memory;
    snprintf(out->id, sizeof out->id, "%s", c->id);
    snprintf(out->name, sizeof out->name, "%s", c->name);
    snprintf(out->paths, sizeof out->paths, "sm_%d%d%s", c->major, c->minor,
             c->exact ? " exact" : "");
    out->usable = check_alive(c, &err);
    if (out->usable < 0)
        snprintf(out->reason, sizeof out->reason, "%.159s",
                 c->refused < 0 ? c->reason : err.message);
    else
        out->mem_free = free_memory(c);
}

/* ---- making and ending ---- */

void rmr_cuda_free(rmr_backend *be)
{
    rmr_cuda *c = (rmr_cuda *)be;
    if (atomic_load(&c->open) && check_alive(c, NULL) >= 0 && push(c, NULL) >= 0) {
        unload(c);
        rmr_cuda_leave(c);
        rmr_cuda_context_close(c);
    }
    if (c->d.library != NULL) rmr_cu_driver_close(&c->d);
    pthread_mutex_destroy(&c->opening);
    pthread_mutex_destroy(&c->upload);
    pthread_cond_destroy(&c->stage_free);
    pthread_mutex_destroy(&c->order);
    rmr_free(&c->ctx->mem, c, sizeof *c);
}

/* A GPU that cannot be used is a backend too, which says why. */
static void see(rmr_cuda *c, const rmr_cuda_options *options)
{
    remora_error why = {.struct_size = sizeof why};
    c->process = rmr_process();
    snprintf(c->id, sizeof c->id, "cuda:%d", options->device);
    snprintf(c->name, sizeof c->name, "GPU %d", options->device);
    c->refused = ask(c, options->device, &why);
    if (c->refused >= 0) c->refused = check_supported(c, options->toolkit, &why);
    if (c->refused >= 0) c->refused = rmr_cuda_limit(c, options->sms, &why);
    if (c->refused >= 0) c->refused = rmr_cuda_ask_speed(c, &why);
    if (c->refused < 0) snprintf(c->reason, sizeof c->reason, "%.159s", why.message);
    c->overlap = !options->one_by_one && c->major >= 9;
}

remora_status rmr_cuda_create(rmr_ctx *ctx, const rmr_cuda_options *options, rmr_backend **out,
                              remora_error *err)
{
    *out = NULL;
    rmr_cuda *c = rmr_calloc(&ctx->mem, 1, sizeof *c);
    if (c == NULL) return rmr_error_nomem(err, "CUDA backend", sizeof *c);
    c->base.ops = &rmr_cuda_ops;
    c->base.ahead = 2;
    c->ctx = ctx;
    c->exact = options->exact;
    c->graphs = options->graphs;
    c->own_context = options->own_context;
    c->short_pieces = options->short_pieces;
    c->priority = options->priority;
    c->image = options->image;
    pthread_mutex_init(&c->opening, NULL);
    pthread_mutex_init(&c->upload, NULL);
    pthread_cond_init(&c->stage_free, NULL);
    pthread_mutex_init(&c->order, NULL);
    remora_status s = REMORA_OK;
    if (options->driver != NULL)
        c->d = *options->driver;
    else
        s = rmr_cu_driver_open(&c->d, err);
    if (s < 0) {
        rmr_cuda_free(&c->base);
        return s;
    }
    see(c, options);
    *out = &c->base;
    return REMORA_OK;
}

uint64_t rmr_cuda_bytes(void)
{
    return sizeof(rmr_cuda);
}
