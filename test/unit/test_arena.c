/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: counting and placing are the same, parts are aligned and apart, sums beyond 64 bits are
 * no memory; and in builds with AddressSanitizer a write behind a part is deadly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena.h"
#include "tmem.h"

typedef struct thing {
    char *a;     /* [5] */
    uint64_t *b; /* [100] */
    char *none;
    char *c; /* [64] */
} thing;

static void lay_out(thing *t, rmr_arena *a)
{
    t->a = rmr_arena_take(a, 5, 1);
    t->b = rmr_arena_take(a, 100, sizeof *t->b);
    t->none = rmr_arena_take(a, 0, 8);
    t->c = rmr_arena_take(a, 64, 1);
}

static void mem_init(tmem *t, rmr_mem *mem)
{
    memset(t, 0, sizeof *t);
    *mem =
        (rmr_mem){.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(mem);
}

static void what_is_counted_is_placed(void **state)
{
    tmem t;
    rmr_mem mem;
    rmr_arena a = {0};
    thing x;
    (void)state;
    mem_init(&t, &mem);
    lay_out(&x, &a);
    assert_true(x.a == NULL && x.b == NULL && x.c == NULL);
    const uint64_t counted = a.used;
    assert_int_equal(counted, 64 + 832 + 64 + RMR_RED_ZONES * 4 * 64);
    assert_int_equal(rmr_arena_make(&a, &mem, "thing", NULL), REMORA_OK);
    assert_int_equal(atomic_load(&mem.bytes), counted);
    lay_out(&x, &a);
    assert_int_equal(a.used, counted);
    assert_ptr_equal(x.a, a.base);
    assert_true((unsigned char *)x.c + 64 <= a.base + counted);
    assert_true((uintptr_t)x.b % RMR_ALIGN == 0 && (uintptr_t)x.c % RMR_ALIGN == 0);
    memset(x.a, 1, 5);
    memset(x.b, 2, 100 * sizeof *x.b);
    memset(x.c, 3, 64);
    assert_true(x.a[4] == 1 && x.b[99] == 0x0202020202020202u && x.c[0] == 3);
    rmr_arena_free(&mem, a.base, a.size);
    rmr_arena_free(&mem, NULL, 7);
    assert_true(atomic_load(&mem.bytes) == 0 && atomic_load(&t.damage) == 0);
}

/* Parts that are copied together lie as close as their alignment lets them. */
static void dense_parts(void **state)
{
    _Alignas(RMR_ALIGN) unsigned char block[256];
    rmr_arena a = {.base = block, .size = sizeof block, .dense = 1};
    (void)state;
    assert_ptr_equal(rmr_arena_take(&a, 3, 4), block);
    assert_ptr_equal(rmr_arena_take(&a, 65, 1), block + 64);
    assert_ptr_equal(rmr_arena_take(&a, 1, 64), block + 192);
    assert_int_equal(a.used, 256);
    memset(block, 1, sizeof block);
}

static void too_much(void **state)
{
    static const struct {
        uint64_t n, size;
    } cases[] = {{UINT64_MAX, 2}, {UINT64_MAX, 1}, {UINT64_MAX - 100, 1}, {1ull << 63, 1}};
    tmem t;
    rmr_mem mem;
    (void)state;
    mem_init(&t, &mem);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rmr_arena a = {0};
        remora_error err = {.struct_size = sizeof err};
        rmr_arena_take(&a, 1ull << 63, 1);
        rmr_arena_take(&a, cases[i].n, cases[i].size);
        assert_true(a.used == UINT64_MAX);
        rmr_arena_take(&a, 1, 1);
        assert_true(a.used == UINT64_MAX);
        assert_int_equal(rmr_arena_make(&a, &mem, "thing", &err), REMORA_E_NOMEM);
        assert_non_null(strstr(err.message, "thing"));
    }
    rmr_arena a = {0};
    rmr_arena_take(&a, 1, 1);
    t.fail_at = 1;
    assert_int_equal(rmr_arena_make(&a, &mem, "thing", NULL), REMORA_E_NOMEM);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

#if RMR_RED_ZONES
static void overrun(size_t at)
{
    rmr_mem mem = {0};
    rmr_arena a = {0};
    thing x;
    rmr_mem_init(&mem);
    lay_out(&x, &a);
    a.used += 1024;
    if (rmr_arena_make(&a, &mem, "thing", NULL) < 0) _exit(0);
    rmr_arena_take(&a, 100, 1); /* another layout before, with red zones elsewhere */
    rmr_arena_take(&a, 100, 1);
    a.used = 0;
    lay_out(&x, &a);
    memset(x.b, 1, 100 * sizeof *x.b);
    ((volatile char *)x.b)[at] = 1;
    rmr_arena_free(&mem, a.base, a.size);
    _exit(0);
}

static int survives(size_t at)
{
    int status = -1;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) overrun(at);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void behind_a_part_is_deadly(void **state)
{
    (void)state;
    assert_true(survives(799));
    assert_false(survives(800));
    assert_false(survives(895));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_counted_is_placed),
        cmocka_unit_test(dense_parts),
        cmocka_unit_test(too_much),
#if RMR_RED_ZONES
        cmocka_unit_test(behind_a_part_is_deadly),
#endif
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
