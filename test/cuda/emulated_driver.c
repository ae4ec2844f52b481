/* SPDX-License-Identifier: Apache-2.0 */
#include "emulated_driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "emulator.h"

emulated_state emulated = {.seed = 1,
                           .fail_after = -1,
                           .memory_after = -1,
                           .memory = 1ll << 34,
                           .gpus = 1,
                           .sms = 4,
                           .cut = 2,
                           .greatest = -5};

enum { BAD_VALUE = 1, BAD_CONTEXT = 201, LAUNCH_FAILED = 719, NOT_RECORDED = 900 };

/* The emulator runs one kernel at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static rmr_cu_result call(void)
{
    rmr_cu_result r = RMR_CU_SUCCESS;
    pthread_mutex_lock(&lock);
    emulated.calls++;
    if (emulated.fail_after == 0) r = LAUNCH_FAILED;
    if (emulated.fail_after > 0) emulated.fail_after--;
    pthread_mutex_unlock(&lock);
    return r;
}

/* ---- contexts: a stack for each thread ---- */

static char handle, foreign, own;
static _Thread_local rmr_cu_context stack[8];
static _Thread_local int depth;

int emulated_current(void)
{
    if (depth == 0) return 0;
    return (void *)stack[depth - 1] == (void *)&foreign ? EMULATED_FOREIGN : EMULATED_OURS;
}

void emulated_enter_foreign(void)
{
    stack[depth++] = (rmr_cu_context)(void *)&foreign;
}

void emulated_leave_foreign(void)
{
    depth--;
}

#define CALL()                                                                                     \
    do {                                                                                           \
        const rmr_cu_result r_ = call();                                                           \
        if (r_ != RMR_CU_SUCCESS) return r_;                                                       \
    } while (0)
/* A call that works in the current context. */
#define CALL_INSIDE()                                                                              \
    do {                                                                                           \
        if (emulated_current() != EMULATED_OURS) return BAD_CONTEXT;                               \
        CALL();                                                                                    \
    } while (0)

static int out_of_memory(void)
{
    if (emulated.memory_after < 0) return 0;
    return emulated.memory_after-- == 0;
}

static rmr_cu_result init(unsigned flags)
{
    (void)flags;
    return call();
}

static rmr_cu_result error_string(rmr_cu_result r, const char **text)
{
    (void)r;
    *text = "of the emulated driver";
    return RMR_CU_SUCCESS;
}

static rmr_cu_result driver_version(int *v)
{
    CALL();
    *v = 13000;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result device_count(int *n)
{
    CALL();
    *n = emulated.gpus;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result device_get(rmr_cu_device *d, int i)
{
    CALL();
    *d = i;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result device_name(char *to, int n, rmr_cu_device d)
{
    (void)d;
    CALL();
    strncpy(to, "emulated", (size_t)n - 1);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result bus_id(char *to, int n, rmr_cu_device d)
{
    (void)d;
    CALL();
    strncpy(to, "0000:00:00.0", (size_t)n - 1);
    to[n - 1] = 0;
    return RMR_CU_SUCCESS;
}

static void use_memory(long long bytes)
{
    pthread_mutex_lock(&lock);
    emulated.memory_in_use += bytes;
    pthread_mutex_unlock(&lock);
}

static rmr_cu_result device_memory(size_t *n, rmr_cu_device d)
{
    (void)d;
    CALL();
    *n = (size_t)emulated.memory;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result device_attribute(int *v, int which, rmr_cu_device d)
{
    (void)d;
    CALL();
    *v = which == RMR_CU_ATTR_SMS            ? emulated.sms
         : which == RMR_CU_ATTR_SHARED       ? 232448
         : which == RMR_CU_ATTR_MAJOR        ? 9
         : which == RMR_CU_ATTR_CLOCK        ? emulated.khz
         : which == RMR_CU_ATTR_MEMORY_CLOCK ? emulated.memory_khz
         : which == RMR_CU_ATTR_MEMORY_BITS  ? emulated.memory_bits
                                             : 0;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_retain(rmr_cu_context *c, rmr_cu_device d)
{
    (void)d;
    CALL();
    *c = (rmr_cu_context)(void *)&handle;
    if (++emulated.retained == 1) use_memory(emulated.context_bytes);
    return RMR_CU_SUCCESS;
}

/* It becomes the current one. */
static rmr_cu_result context_create(rmr_cu_context *c, unsigned flags, rmr_cu_device d)
{
    (void)flags;
    (void)d;
    CALL();
    stack[depth++] = *c = (rmr_cu_context)(void *)&own;
    emulated.owned++;
    use_memory(emulated.context_bytes);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_destroy(rmr_cu_context c)
{
    if ((void *)c != (void *)&own || emulated.owned == 0) return BAD_CONTEXT;
    emulated.owned--;
    use_memory(-emulated.context_bytes);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_release(rmr_cu_device d)
{
    (void)d;
    if (--emulated.retained == 0) use_memory(-emulated.context_bytes);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_state(rmr_cu_device d, unsigned *flags, int *active)
{
    (void)d;
    CALL();
    *flags = 0;
    *active = emulated.retained > 0;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_push(rmr_cu_context c)
{
    CALL();
    stack[depth++] = c;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_pop(rmr_cu_context *c)
{
    if (depth == 0) return BAD_CONTEXT;
    *c = stack[--depth];
    return RMR_CU_SUCCESS;
}

static rmr_cu_result module_load(rmr_cu_module *m, const void *image)
{
    (void)image;
    CALL_INSIDE();
    *m = (rmr_cu_module)(void *)&handle;
    use_memory(emulated.module_bytes);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result module_unload(rmr_cu_module m)
{
    (void)m;
    use_memory(-emulated.module_bytes);
    return RMR_CU_SUCCESS;
}

static rmr_cu_function skipped;

static rmr_cu_result module_function(rmr_cu_function *f, rmr_cu_module m, const char *name)
{
    (void)m;
    CALL_INSIDE();
    *f = (rmr_cu_function)emulator_kernel(name);
    if (emulated.skips != NULL && strcmp(name, emulated.skips) == 0) skipped = *f;
    return *f == NULL ? 500 : RMR_CU_SUCCESS;
}

static rmr_cu_result function_attribute(rmr_cu_function f, int which, int v)
{
    (void)f;
    (void)which;
    (void)v;
    CALL_INSIDE();
    return RMR_CU_SUCCESS;
}

static rmr_cu_result memory_info(size_t *available, size_t *all)
{
    CALL_INSIDE();
    *all = (size_t)emulated.memory;
    *available = (size_t)(emulated.memory - emulated.memory_in_use);
    return RMR_CU_SUCCESS;
}

/* Memory of the device and of the host, streams and graphs are blocks in a list, so that what a
 * poisoned device was left with can be given back. */
typedef struct device_block {
    struct device_block *next, *before;
    size_t bytes;
    int on_device;
} device_block;

enum { HEAD = 256 }; /* bytes before a block, which keep it aligned */
static device_block blocks = {&blocks, &blocks, 0, 0};

static void *block_new(size_t n, int on_device)
{
    device_block *const b = aligned_alloc(HEAD, HEAD + (n + HEAD - 1) / HEAD * HEAD);
    if (b == NULL) return NULL;
    *b = (device_block){blocks.next, &blocks, n, on_device};
    b->next->before = blocks.next = b;
    emulated.blocks_in_use++;
    return (char *)b + HEAD;
}

static void block_free(device_block *b)
{
    if (b->on_device) {
        emulator_freed((char *)b + HEAD);
        emulated.memory_in_use -= (long long)b->bytes;
    }
    b->before->next = b->next;
    b->next->before = b->before;
    free(b);
    emulated.blocks_in_use--;
}

void emulated_reset(void)
{
    pthread_mutex_lock(&lock);
    while (blocks.next != &blocks) block_free(blocks.next);
    emulated.registered = emulated.streams = emulated.events = emulated.graphs = 0;
    emulated.memory_in_use = 0;
    emulated.greens = emulated.green_streams = emulated.owned = 0;
    emulated.retained = 0;
    pthread_mutex_unlock(&lock);
}

static void *take(size_t n, int on_device)
{
    pthread_mutex_lock(&lock);
    const int full = on_device && emulated.memory_in_use + (long long)n > emulated.memory;
    void *const p = out_of_memory() || full ? NULL : block_new(n, on_device);
    if (p != NULL && on_device) {
        memset(p, 0xff, n); /* NaN, so that what is read before it is written shows */
        emulator_allocated(p, n);
        emulated.memory_in_use += (long long)n;
        if (emulated.memory_in_use > emulated.most_memory)
            emulated.most_memory = emulated.memory_in_use;
    }
    pthread_mutex_unlock(&lock);
    return p;
}

static void give(void *p)
{
    if (p == NULL) return;
    pthread_mutex_lock(&lock);
    block_free((device_block *)(void *)((char *)p - HEAD));
    pthread_mutex_unlock(&lock);
}

/* A stream or a graph, or a part of one, zeroed. */
static void *hold(size_t n)
{
    pthread_mutex_lock(&lock);
    void *const p = block_new(n, 0);
    pthread_mutex_unlock(&lock);
    if (p != NULL) memset(p, 0, n);
    return p;
}

static rmr_cu_result memory_alloc(rmr_cu_address *at, size_t n)
{
    CALL_INSIDE();
    void *const p = take(n, 1);
    if (p == NULL) return RMR_CU_NO_MEMORY;
    *at = (rmr_cu_address)(uintptr_t)p;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result memory_free(rmr_cu_address at)
{
    if (emulated_current() != EMULATED_OURS) return BAD_CONTEXT;
    give((void *)(uintptr_t)at);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result host_alloc(void **at, size_t n, unsigned flags)
{
    (void)flags;
    CALL_INSIDE();
    *at = take(n, 0);
    return *at == NULL ? RMR_CU_NO_MEMORY : RMR_CU_SUCCESS;
}

static rmr_cu_result host_free(void *at)
{
    if (emulated_current() != EMULATED_OURS) return BAD_CONTEXT;
    give(at);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result host_register(void *at, size_t n, unsigned flags)
{
    (void)at;
    (void)n;
    (void)flags;
    CALL_INSIDE();
    pthread_mutex_lock(&lock);
    const int none = out_of_memory();
    emulated.registered += !none;
    pthread_mutex_unlock(&lock);
    return none ? RMR_CU_NO_MEMORY : RMR_CU_SUCCESS;
}

static rmr_cu_result host_unregister(void *at)
{
    (void)at;
    if (emulated_current() != EMULATED_OURS) return BAD_CONTEXT;
    pthread_mutex_lock(&lock);
    emulated.registered--;
    pthread_mutex_unlock(&lock);
    return RMR_CU_SUCCESS;
}

/* ---- streams: what is asked for happens at once, or is recorded ---- */

typedef struct launched {
    void *kernel;
    unsigned grid[3], block[3], shared;
    unsigned char args[2048];
} launched;

/* A graph, and one that can be launched. */
typedef struct recorded {
    launched *all;
    size_t n, cap;
} recorded;

typedef struct stream_state {
    recorded *graph; /* NULL: nothing is being recorded */
    int green;
} stream_state;

static stream_state *state_of(rmr_cu_stream s)
{
    return (stream_state *)(void *)s;
}

/* A call that works in a stream, and that no graph has. */
#define CALL_IN_STREAM(s)                                                                          \
    do {                                                                                           \
        CALL_INSIDE();                                                                             \
        if (state_of(s)->graph != NULL) return NOT_RECORDED;                                       \
    } while (0)

static rmr_cu_result copy_in(rmr_cu_address to, const void *from, size_t n, rmr_cu_stream s)
{
    CALL_IN_STREAM(s);
    memcpy((void *)(uintptr_t)to, from, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result copy_out(void *to, rmr_cu_address from, size_t n, rmr_cu_stream s)
{
    CALL_IN_STREAM(s);
    emulated.to_host += (long long)n;
    memcpy(to, (const void *)(uintptr_t)from, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result copy_within(rmr_cu_address to, rmr_cu_address from, size_t n, rmr_cu_stream s)
{
    CALL_IN_STREAM(s);
    memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result set_bytes(rmr_cu_address to, unsigned char v, size_t n, rmr_cu_stream s)
{
    CALL_IN_STREAM(s);
    memset((void *)(uintptr_t)to, v, n);
    return RMR_CU_SUCCESS;
}

static void count(long *what, long by)
{
    pthread_mutex_lock(&lock);
    *what += by;
    pthread_mutex_unlock(&lock);
}

static rmr_cu_result priority_range(int *least, int *greatest)
{
    CALL_INSIDE();
    *least = emulated.least;
    *greatest = emulated.greatest;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result stream_create(rmr_cu_stream *s, unsigned flags, int priority)
{
    if (flags != RMR_CU_STREAM_NON_BLOCKING) return BAD_VALUE;
    CALL_INSIDE();
    *s = (rmr_cu_stream)hold(sizeof(stream_state));
    if (*s == NULL) return RMR_CU_NO_MEMORY;
    emulated.priority = priority;
    count(&emulated.streams, 1);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result stream_destroy(rmr_cu_stream s)
{
    count(&emulated.green_streams, -state_of(s)->green);
    give(state_of(s));
    count(&emulated.streams, -1);
    return RMR_CU_SUCCESS;
}

/* ---- green contexts: some multiprocessors of the primary one ---- */

static rmr_cu_result device_resource(rmr_cu_device d, rmr_cu_resource *r, int type)
{
    (void)d;
    CALL();
    *r = (rmr_cu_resource){.type = type};
    r->sm.count = (unsigned)emulated.sms;
    r->sm.least = r->sm.step = (unsigned)emulated.cut;
    return type == RMR_CU_RESOURCE_SMS ? RMR_CU_SUCCESS : BAD_VALUE;
}

static rmr_cu_result split_sms(rmr_cu_resource *to, unsigned *n, const rmr_cu_resource *from,
                               rmr_cu_resource *rest, unsigned flags, unsigned least)
{
    const unsigned cut = (unsigned)emulated.cut;
    CALL();
    if (*n != 1 || flags != 0 || least > from->sm.count) return BAD_VALUE;
    *to = *rest = *from;
    to->sm.count = (least + cut - 1) / cut * cut;
    rest->sm.count = from->sm.count - to->sm.count;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result resource_desc(rmr_cu_resource_desc *to, rmr_cu_resource *from, unsigned n)
{
    CALL();
    *to = (rmr_cu_resource_desc)(void *)&handle;
    return n == 1 && from->type == RMR_CU_RESOURCE_SMS ? RMR_CU_SUCCESS : BAD_VALUE;
}

static rmr_cu_result green_create(rmr_cu_green *g, rmr_cu_resource_desc of, rmr_cu_device d,
                                  unsigned flags)
{
    (void)d;
    CALL_INSIDE();
    if ((void *)of != (void *)&handle || flags != RMR_CU_GREEN_DEFAULT_STREAM) return BAD_VALUE;
    *g = (rmr_cu_green)(void *)&handle;
    count(&emulated.greens, 1);
    return RMR_CU_SUCCESS;
}

/* One with streams left is lost. */
static rmr_cu_result green_destroy(rmr_cu_green g)
{
    (void)g;
    if (emulated.green_streams == 0) count(&emulated.greens, -1);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result green_stream(rmr_cu_stream *s, rmr_cu_green g, unsigned flags, int priority)
{
    if ((void *)g != (void *)&handle) return BAD_VALUE;
    const rmr_cu_result r = stream_create(s, flags, priority);
    if (r != RMR_CU_SUCCESS) return r;
    state_of(*s)->green = 1;
    count(&emulated.green_streams, 1);
    return r;
}

static rmr_cu_result stream_wait(rmr_cu_stream s, rmr_cu_event e, unsigned flags)
{
    (void)e;
    (void)flags;
    CALL_IN_STREAM(s);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result event_create(rmr_cu_event *e, unsigned flags)
{
    (void)flags;
    CALL_INSIDE();
    *e = (rmr_cu_event)(void *)&handle;
    count(&emulated.events, 1);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result event_destroy(rmr_cu_event e)
{
    (void)e;
    count(&emulated.events, -1);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result event_record(rmr_cu_event e, rmr_cu_stream s)
{
    (void)e;
    CALL_IN_STREAM(s);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result event_query(rmr_cu_event e)
{
    (void)e;
    CALL_INSIDE();
    return RMR_CU_SUCCESS;
}

/* ---- kernels, at once or later ---- */

static void run_kernel(const launched *l)
{
    pthread_mutex_lock(&lock);
    if (l->kernel != (void *)skipped)
        emulator_launch(l->kernel, l->grid, l->block, l->shared, l->args, emulated.seed++);
    emulated.launches++;
    pthread_mutex_unlock(&lock);
}

static rmr_cu_result keep(recorded *g, const launched *l)
{
    if (g->n == g->cap) {
        const size_t cap = g->cap * 2 + 8;
        launched *const grown = hold(cap * sizeof *grown);
        if (grown == NULL) return RMR_CU_NO_MEMORY;
        if (g->n > 0) memcpy(grown, g->all, g->n * sizeof *grown);
        give(g->all);
        g->all = grown;
        g->cap = cap;
    }
    g->all[g->n++] = *l;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result launch(rmr_cu_function f, unsigned x, unsigned y, unsigned z, unsigned bx,
                            unsigned by, unsigned bz, unsigned shared, rmr_cu_stream s,
                            void **params, void **extra)
{
    launched l = {(void *)f, {x, y, z}, {bx, by, bz}, shared, {0}};
    const size_t bytes = emulator_argument_bytes(l.kernel);
    (void)extra;
    CALL_INSIDE();
    if (y > 65535 || z > 65535 || shared > 232448 || bytes > sizeof l.args) return 1;
    memcpy(l.args, params[0], bytes);
    if (state_of(s)->graph != NULL) return keep(state_of(s)->graph, &l);
    run_kernel(&l);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result launch_with(const rmr_cu_launch_config *l, rmr_cu_function f, void **params,
                                 void **extra)
{
    return launch(f, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2],
                  l->shared, l->stream, params, extra);
}

static recorded *graph_new(void)
{
    recorded *const g = hold(sizeof *g);
    if (g != NULL) count(&emulated.graphs, 1);
    return g;
}

static void graph_free(recorded *g)
{
    give(g->all);
    give(g);
    count(&emulated.graphs, -1);
}

static rmr_cu_result capture_begin(rmr_cu_stream s, int mode)
{
    (void)mode;
    CALL_IN_STREAM(s);
    state_of(s)->graph = graph_new();
    return state_of(s)->graph != NULL ? RMR_CU_SUCCESS : RMR_CU_NO_MEMORY;
}

/* A recording ends, whatever the call gives. */
static rmr_cu_result capture_end(rmr_cu_stream s, rmr_cu_graph *g)
{
    const rmr_cu_result r = call();
    recorded *const made = state_of(s)->graph;
    state_of(s)->graph = NULL;
    *g = NULL;
    if (r == RMR_CU_SUCCESS && made != NULL)
        *g = (rmr_cu_graph)(void *)made;
    else if (made != NULL)
        graph_free(made);
    return r != RMR_CU_SUCCESS ? r : made != NULL ? RMR_CU_SUCCESS : NOT_RECORDED;
}

static rmr_cu_result graph_instantiate(rmr_cu_graph_exec *e, rmr_cu_graph g,
                                       unsigned long long flags)
{
    const recorded *const from = (const recorded *)(void *)g;
    (void)flags;
    CALL();
    recorded *const to = graph_new();
    if (to == NULL) return RMR_CU_NO_MEMORY;
    for (size_t i = 0; i < from->n; i++) {
        const rmr_cu_result r = keep(to, &from->all[i]);
        if (r == RMR_CU_SUCCESS) continue;
        graph_free(to);
        return r;
    }
    *e = (rmr_cu_graph_exec)(void *)to;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result graph_launch(rmr_cu_graph_exec e, rmr_cu_stream s)
{
    const recorded *const g = (const recorded *)(void *)e;
    CALL_IN_STREAM(s);
    for (size_t i = 0; i < g->n; i++) run_kernel(&g->all[i]);
    count(&emulated.graph_launches, 1);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result graph_exec_destroy(rmr_cu_graph_exec e)
{
    graph_free((recorded *)(void *)e);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result graph_destroy(rmr_cu_graph g)
{
    graph_free((recorded *)(void *)g);
    return RMR_CU_SUCCESS;
}

rmr_cu_driver emulated_driver(void)
{
    rmr_cu_driver d;
    memset(&d, 0, sizeof d);
#define X(name, symbol, parameters) d.name = name;
    RMR_CU_FUNCTIONS(X)
    RMR_CU_GREEN_FUNCTIONS(X)
#undef X
    return d;
}
