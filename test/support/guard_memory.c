/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory of the guard backend: freed blocks of the same size, else new ones at the end of
 * the arena, with the bookkeeping outside; and the gate before it. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guard.h"

enum { MAX_BLOCKS = 1 << 16, PAGE = 4096, HUGE_PAGE = 2 << 20 };

static const size_t arena_bytes = (size_t)8 << 30;

/* In whole huge pages: opening and closing costs by the page. */
static void protect(guard *g, int prot)
{
    if (g->top > 0) mprotect(g->arena, rmr_round_up(g->top, HUGE_PAGE), prot);
}

void guard_enter(guard *g)
{
    pthread_mutex_lock(&g->device);
    g->stats.calls++;
    protect(g, PROT_READ | PROT_WRITE);
}

void guard_leave(guard *g)
{
    protect(g, PROT_NONE);
    pthread_mutex_unlock(&g->device);
}

remora_status guard_begin(guard *g, remora_error *err)
{
    guard_enter(g);
    if (g->fail_call == 0 || --g->fail_call > 0) return REMORA_OK;
    guard_leave(g);
    RMR_FAIL(err, REMORA_E_DEVICE, "the device is lost");
}

static size_t take_block(guard *g, size_t size)
{
    for (size_t i = 0; i < g->n_blocks; i++) {
        if (g->blocks[i].used || g->blocks[i].size != size) continue;
        g->blocks[i].used = 1;
        return g->blocks[i].at;
    }
    if (g->n_blocks == MAX_BLOCKS || size > arena_bytes - g->top) return SIZE_MAX;
    g->blocks[g->n_blocks++] = (guard_block){g->top, size, 1};
    g->top += size;
    return g->top - size;
}

/* Whole pages. A device's memory is not zeroed: here it is full of NaN. */
static void *REMORA_CALL device_alloc(void *user, size_t size, size_t align)
{
    guard *g = user;
    const size_t at = take_block(g, (size + PAGE - 1) / PAGE * PAGE);
    (void)align;
    if (at == SIZE_MAX) return NULL;
    g->stats.live += size;
    if (g->stats.live > g->stats.peak) g->stats.peak = g->stats.live;
    protect(g, PROT_READ | PROT_WRITE);
    memset(g->arena + at, 0xEE, size);
    return g->arena + at;
}

static void REMORA_CALL device_release(void *user, void *p, size_t size, size_t align)
{
    guard *g = user;
    (void)align;
    g->stats.live -= size;
    for (size_t i = 0; i < g->n_blocks; i++)
        if (g->arena + g->blocks[i].at == p) g->blocks[i].used = 0;
}

static void *REMORA_CALL device_resize(void *user, void *p, size_t old_size, size_t size,
                                       size_t align)
{
    (void)user, (void)p, (void)old_size, (void)size, (void)align;
    return NULL; /* nothing on a device is resized */
}

remora_status guard_memory_make(guard *g, remora_error *err)
{
    g->mem = (rmr_mem){
        .user = g, .alloc = device_alloc, .resize = device_resize, .release = device_release};
    rmr_mem_init(&g->mem);
    g->blocks = calloc(MAX_BLOCKS, sizeof *g->blocks);
    g->map = mmap(NULL, arena_bytes + HUGE_PAGE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (g->blocks == NULL || g->map == MAP_FAILED)
        return rmr_error_nomem(err, "guard arena", arena_bytes);
    g->arena = (unsigned char *)(uintptr_t)rmr_round_up((uintptr_t)g->map, HUGE_PAGE);
#ifdef MADV_HUGEPAGE
    madvise(g->arena, arena_bytes, MADV_HUGEPAGE); /* a hint, which may be refused */
#endif
    return REMORA_OK;
}

void guard_memory_free(guard *g)
{
    if (g->map != MAP_FAILED) munmap(g->map, arena_bytes + HUGE_PAGE);
    free(g->blocks);
}
