/* SPDX-License-Identifier: Apache-2.0 */
#include "emulated_driver.h"

#include <stdlib.h>
#include <string.h>

#include "emulator.h"

uint64_t emulated_seed = 1;
long emulated_fail_after = -1, emulated_memory_after = -1, emulated_calls, emulated_blocks_in_use;

enum { LAUNCH_FAILED = 719 };

static rmr_cu_result call(void)
{
    emulated_calls++;
    if (emulated_fail_after < 0) return RMR_CU_SUCCESS;
    return emulated_fail_after-- > 0 ? RMR_CU_SUCCESS : (emulated_fail_after = 0, LAUNCH_FAILED);
}

#define CALL()                                                                                     \
    do {                                                                                           \
        const rmr_cu_result r_ = call();                                                           \
        if (r_ != RMR_CU_SUCCESS) return r_;                                                       \
    } while (0)

static int out_of_memory(void)
{
    if (emulated_memory_after < 0) return 0;
    return emulated_memory_after-- == 0;
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

static rmr_cu_result device_count(int *n)
{
    CALL();
    *n = 1;
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

static rmr_cu_result device_memory(size_t *n, rmr_cu_device d)
{
    (void)d;
    CALL();
    *n = (size_t)1 << 34;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result device_attribute(int *v, int which, rmr_cu_device d)
{
    (void)d;
    CALL();
    *v = which == RMR_CU_ATTR_SMS      ? 4
         : which == RMR_CU_ATTR_SHARED ? 232448
         : which == RMR_CU_ATTR_MAJOR  ? 9
                                       : 0;
    return RMR_CU_SUCCESS;
}

static char handle;

static rmr_cu_result context_retain(rmr_cu_context *c, rmr_cu_device d)
{
    (void)d;
    CALL();
    *c = (rmr_cu_context)(void *)&handle;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_release(rmr_cu_device d)
{
    (void)d;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result context_push(rmr_cu_context c)
{
    (void)c;
    return call();
}

static rmr_cu_result context_pop(rmr_cu_context *c)
{
    *c = NULL;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result module_load(rmr_cu_module *m, const void *image)
{
    (void)image;
    CALL();
    *m = (rmr_cu_module)(void *)&handle;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result module_unload(rmr_cu_module m)
{
    (void)m;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result module_function(rmr_cu_function *f, rmr_cu_module m, const char *name)
{
    (void)m;
    CALL();
    *f = (rmr_cu_function)emulator_kernel(name);
    return *f == NULL ? 500 : RMR_CU_SUCCESS;
}

static rmr_cu_result function_attribute(rmr_cu_function f, int which, int v)
{
    (void)f;
    (void)which;
    (void)v;
    return call();
}

static rmr_cu_result memory_info(size_t *available, size_t *all)
{
    CALL();
    *available = *all = (size_t)1 << 34;
    return RMR_CU_SUCCESS;
}

/* Blocks are in a list, so that what a poisoned device was left with can be given back. */
typedef struct device_block {
    struct device_block *next, *before;
} device_block;

enum { HEAD = 256 }; /* bytes before a block, which keep it aligned */
static device_block blocks = {&blocks, &blocks};

static void *block_new(size_t n)
{
    device_block *const b = aligned_alloc(HEAD, HEAD + (n + HEAD - 1) / HEAD * HEAD);
    if (b == NULL) return NULL;
    *b = (device_block){blocks.next, &blocks};
    b->next->before = blocks.next = b;
    emulated_blocks_in_use++;
    return (char *)b + HEAD;
}

static void block_free(void *at)
{
    if (at == NULL) return;
    device_block *const b = (device_block *)(void *)((char *)at - HEAD);
    b->before->next = b->next;
    b->next->before = b->before;
    free(b);
    emulated_blocks_in_use--;
}

void emulated_reset(void)
{
    while (blocks.next != &blocks) {
        void *const at = (char *)blocks.next + HEAD;
        emulator_freed(at);
        block_free(at);
    }
}

/* Memory is full of NaN, so that what is read before it is written shows. */
static rmr_cu_result memory_alloc(rmr_cu_address *at, size_t n)
{
    CALL();
    if (out_of_memory()) return RMR_CU_NO_MEMORY;
    void *const p = block_new(n);
    if (p == NULL) return RMR_CU_NO_MEMORY;
    memset(p, 0xff, n);
    *at = (rmr_cu_address)(uintptr_t)p;
    emulator_allocated(p, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result memory_free(rmr_cu_address at)
{
    emulator_freed((void *)(uintptr_t)at);
    block_free((void *)(uintptr_t)at);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result host_alloc(void **at, size_t n, unsigned flags)
{
    (void)flags;
    CALL();
    if (out_of_memory()) return RMR_CU_NO_MEMORY;
    *at = block_new(n);
    return *at == NULL ? RMR_CU_NO_MEMORY : RMR_CU_SUCCESS;
}

static rmr_cu_result host_free(void *at)
{
    block_free(at);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result copy_in(rmr_cu_address to, const void *from, size_t n, rmr_cu_stream s)
{
    (void)s;
    CALL();
    memcpy((void *)(uintptr_t)to, from, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result copy_out(void *to, rmr_cu_address from, size_t n, rmr_cu_stream s)
{
    (void)s;
    CALL();
    memcpy(to, (const void *)(uintptr_t)from, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result copy_within(rmr_cu_address to, rmr_cu_address from, size_t n, rmr_cu_stream s)
{
    (void)s;
    CALL();
    memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result set_bytes(rmr_cu_address to, unsigned char v, size_t n, rmr_cu_stream s)
{
    (void)s;
    CALL();
    memset((void *)(uintptr_t)to, v, n);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result stream_create(rmr_cu_stream *s, unsigned flags, int priority)
{
    (void)flags;
    (void)priority;
    CALL();
    *s = (rmr_cu_stream)(void *)&handle;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result stream_destroy(rmr_cu_stream s)
{
    (void)s;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result stream_wait(rmr_cu_stream s, rmr_cu_event e, unsigned flags)
{
    (void)s;
    (void)e;
    (void)flags;
    return call();
}

static rmr_cu_result event_create(rmr_cu_event *e, unsigned flags)
{
    (void)flags;
    CALL();
    *e = (rmr_cu_event)(void *)&handle;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result event_destroy(rmr_cu_event e)
{
    (void)e;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result event_record(rmr_cu_event e, rmr_cu_stream s)
{
    (void)e;
    (void)s;
    return call();
}

static rmr_cu_result event_query(rmr_cu_event e)
{
    (void)e;
    return call();
}

static rmr_cu_result launch(rmr_cu_function f, unsigned x, unsigned y, unsigned z, unsigned bx,
                            unsigned by, unsigned bz, unsigned shared, rmr_cu_stream s,
                            void **params, void **extra)
{
    const unsigned grid[3] = {x, y, z}, block[3] = {bx, by, bz};
    (void)s;
    (void)extra;
    CALL();
    if (y > 65535 || z > 65535 || shared > 232448) return 1;
    emulator_launch((void *)f, grid, block, shared, params[0], emulated_seed++);
    return RMR_CU_SUCCESS;
}

static rmr_cu_result launch_with(const rmr_cu_launch_config *l, rmr_cu_function f, void **params,
                                 void **extra)
{
    return launch(f, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2],
                  l->shared, l->stream, params, extra);
}

static rmr_cu_result capture_begin(rmr_cu_stream s, int mode)
{
    (void)s;
    (void)mode;
    return 801; /* not supported */
}

static rmr_cu_result capture_end(rmr_cu_stream s, rmr_cu_graph *g)
{
    (void)s;
    (void)g;
    return 801;
}

static rmr_cu_result graph_instantiate(rmr_cu_graph_exec *e, rmr_cu_graph g,
                                       unsigned long long flags)
{
    (void)e;
    (void)g;
    (void)flags;
    return 801;
}

static rmr_cu_result graph_launch(rmr_cu_graph_exec e, rmr_cu_stream s)
{
    (void)e;
    (void)s;
    return 801;
}

static rmr_cu_result graph_exec_destroy(rmr_cu_graph_exec e)
{
    (void)e;
    return RMR_CU_SUCCESS;
}

static rmr_cu_result graph_destroy(rmr_cu_graph g)
{
    (void)g;
    return RMR_CU_SUCCESS;
}

rmr_cu_driver emulated_driver(void)
{
    rmr_cu_driver d;
    memset(&d, 0, sizeof d);
#define X(name, symbol, parameters) d.name = name;
    RMR_CU_FUNCTIONS(X)
#undef X
    return d;
}
