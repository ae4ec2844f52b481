/* SPDX-License-Identifier: Apache-2.0 */
/* Files, paths, threads and clocks of whatever system this is. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "cores.h"
#include "event.h"
#include "path.h"
#include "source.h"
#include "system.h"
#include "system_file.h"
#include "thread.h"
#include "tmem.h"

/* A Greek, a Chinese and a mathematical character, of 2, 3 and 4 bytes. */
#define NAME "\xCE\xB1\xE6\xA8\xA1\xF0\x9D\x94\xB8.txt"

static rmr_handle make(rmr_handle folder, const char *name, const char *text)
{
    const rmr_handle h = rmr_sys_make_in(folder, name);
    assert_true(h != -1);
    assert_int_equal(rmr_sys_write(h, 0, text, strlen(text)), strlen(text));
    return h;
}

static void has(rmr_handle folder, const char *name, const char *text)
{
    char got[64] = {0};
    const rmr_handle h = rmr_sys_open_in(folder, name);
    assert_true(h != -1);
    assert_int_equal(rmr_sys_read(h, 0, got, sizeof got - 1), strlen(text));
    assert_string_equal(got, text);
    rmr_sys_close(h);
}

typedef struct seen {
    int n, ours;
} seen;

static int see(void *user, const char *name)
{
    seen *s = user;
    s->n++;
    s->ours += strcmp(name, NAME) == 0;
    return 0;
}

/* A folder that nobody else has; the path of it. */
static rmr_handle folder_of_test(char path[64])
{
    strcpy(path, "remora-files-XXXXXX");
    assert_non_null(mkdtemp(path));
    const rmr_handle folder = rmr_sys_open_folder(path);
    assert_true(folder != -1);
    return folder;
}

static void remove_folder(rmr_handle folder, const char *path)
{
    rmr_sys_close(folder);
    assert_int_equal(rmdir(path), 0);
}

static void bytes_at_places(void **state)
{
    char path[64], got[16];
    rmr_file_facts facts;
    const rmr_handle folder = folder_of_test(path);
    const rmr_handle h = make(folder, NAME, "0123456789");
    (void)state;
    assert_int_equal(rmr_sys_write(h, 12, "cd", 2), 2); /* a hole before it */
    assert_int_equal(rmr_sys_read(h, 8, got, 16), 6);
    assert_memory_equal(got, "89\0\0cd", 6);
    assert_int_equal(rmr_sys_read(h, 14, got, 16), 0); /* the end */
    assert_int_equal(rmr_sys_read(h, 1 << 20, got, 16), 0);
    assert_int_equal(rmr_sys_resize(h, 5), 0);
    assert_int_equal(rmr_sys_look_at(h, &facts), 0);
    assert_true(facts.kind == RMR_KIND_FILE && facts.size == 5);
    assert_true(facts.written_s > 1500000000 && facts.written_ns < 1000000000);
    assert_int_equal(rmr_sys_sync(h), 0);
    assert_int_equal(rmr_sys_sync(folder), 0);
    rmr_sys_close(h);
    assert_int_equal(rmr_sys_remove_in(folder, NAME), 0);
    remove_folder(folder, path);
}

static void names_in_a_folder(void **state)
{
    char path[64];
    seen s = {0, 0};
    rmr_file_facts facts;
    const rmr_handle folder = folder_of_test(path);
    const rmr_handle h = make(folder, NAME, "old"), other = make(folder, "part", "new");
    (void)state;
    assert_int_equal(rmr_sys_make_in(folder, NAME), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(rmr_sys_open_in(folder, "none"), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(rmr_sys_look_in(folder, NAME, &facts), 0);
    assert_int_equal(facts.size, 3);
    for (int i = 0; i < 2; i++) { /* each list begins anew */
        s = (seen){0, 0};
        assert_int_equal(rmr_sys_list(folder, ".", see, &s), 0);
        assert_true(s.ours == 1 && s.n == 4); /* "." and ".." */
    }
    rmr_sys_close(h);
    assert_int_equal(rmr_sys_rename_in(folder, "part", NAME), 0); /* it is open */
    has(folder, NAME, "new");
    rmr_sys_close(other);
    assert_int_equal(rmr_sys_remove_in(folder, NAME), 0);
    assert_int_equal(rmr_sys_remove_in(folder, NAME), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(rmr_sys_open_folder("no such folder"), -1);
    assert_int_equal(errno, ENOENT);
    remove_folder(folder, path);
}

static void mapped_bytes(void **state)
{
    char path[64];
    const rmr_handle folder = folder_of_test(path);
    const rmr_handle h = make(folder, "m", "");
    (void)state;
    assert_int_equal(rmr_sys_resize(h, 100000), 0);
    assert_int_equal(rmr_sys_write(h, 99997, "end", 3), 3);
    char *p = rmr_sys_map(h, 100000);
    assert_non_null(p);
    rmr_sys_map_done(p, 100000, 0, 100000);
    assert_memory_equal(p + 99997, "end", 3);
    rmr_sys_unmap(p, 100000);
    rmr_sys_close(h);
    assert_int_equal(rmr_sys_remove_in(folder, "m"), 0);
    remove_folder(folder, path);
}

static void sources_of_paths(void **state)
{
    char path[64], file[128];
    tmem t = {0};
    rmr_mem mem = {&t, tmem_alloc, tmem_resize, tmem_release, 0, NULL};
    remora_error err = {.struct_size = sizeof err};
    rmr_source *src;
    char *data;
    uint64_t n;
    const rmr_handle folder = folder_of_test(path);
    (void)state;
    rmr_sys_close(make(folder, NAME, "a text"));
    snprintf(file, sizeof file, "%s/%s", path, NAME);
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = file};
    rmr_mem_init(&mem);
    assert_int_equal(rmr_source_open(&mem, &desc, 1, &src, &err), REMORA_OK);
    assert_string_equal(rmr_source_file(src), NAME);
    assert_int_equal(rmr_file_load(src, NAME, 100, &data, &n, &err), REMORA_OK);
    assert_string_equal(data, "a text");
    rmr_free(&mem, data, n + 1);
    assert_int_equal(rmr_file_load(src, "other", 100, &data, &n, &err), REMORA_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "no such file"));
    rmr_source_free(src);
    assert_int_equal(t.blocks, 0);
    assert_int_equal(rmr_sys_remove_in(folder, NAME), 0);
    remove_folder(folder, path);
}

static void last_parts(void **state)
{
    (void)state;
    assert_string_equal(rmr_path_last("file"), "file");
    assert_string_equal(rmr_path_last("/a/b.c"), "b.c");
    assert_string_equal(rmr_path_last("a/"), "");
}

typedef struct work {
    rmr_event e;
    uintptr_t self;
    _Atomic int done;
} work;

static void do_work(void *arg)
{
    work *w = arg;
    w->self = rmr_thread_self();
    atomic_store(&w->done, 1);
    rmr_event_signal(&w->e, 1);
}

static void a_thread_and_its_event(void **state)
{
    work w = {.self = 0};
    rmr_thread t;
    (void)state;
    rmr_event_init(&w.e);
    const uint32_t word = atomic_load(&w.e.word);
    assert_true(rmr_thread_start(&t, do_work, &w));
    while (atomic_load(&w.e.word) == word) rmr_event_wait(&w.e, word);
    assert_int_equal(atomic_load(&w.done), 1);
    rmr_thread_join(&t);
    assert_true(w.self != 0 && w.self != rmr_thread_self());
    rmr_event_destroy(&w.e);
}

static void the_machine(void **state)
{
    uint64_t total, available, a = 0, b = 0;
    const uint64_t before = rmr_clock_us();
    (void)state;
    rmr_system_memory(&total, &available);
    assert_true(total > 0 && available > 0 && available <= total);
    assert_true(rmr_system_random(&a, sizeof a) && rmr_system_random(&b, sizeof b) && a != b);
    assert_true(rmr_usable_cores("").n >= 1);
    void *p = rmr_system_alloc(100, 4096);
    assert_true(p != NULL && (uintptr_t)p % 4096 == 0);
    rmr_system_release(p);
    assert_true(before > 0 && rmr_clock_us() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_at_places), cmocka_unit_test(names_in_a_folder),
        cmocka_unit_test(mapped_bytes),    cmocka_unit_test(sources_of_paths),
        cmocka_unit_test(last_parts),      cmocka_unit_test(a_thread_and_its_event),
        cmocka_unit_test(the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
