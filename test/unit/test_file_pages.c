/* SPDX-License-Identifier: Apache-2.0 */
/* A file that lies in small pages of the system's cache comes back in large ones, where the system
 * has such pages for files. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "file_pages.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum { PAGE = 4096, PIECE = 2 << 20, PIECES = 40, SIZE = PIECES * PIECE };

typedef struct fixture {
    int fd;
    unsigned char *map;
} fixture;

static void expected(unsigned char *page, uint32_t i)
{
    for (uint32_t k = 0; k < PAGE; k += 4) {
        const uint32_t v = i * 2654435761u + k;
        memcpy(page + k, &v, 4);
    }
}

static void map_anew(fixture *f)
{
    if (f->map != NULL) munmap(f->map, SIZE);
    f->map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, f->fd, 0);
    assert_ptr_not_equal(f->map, MAP_FAILED);
    (void)madvise(f->map, SIZE, MADV_HUGEPAGE); /* as the library asks */
}

/* Written page by page, and on disk. */
static int set_up(void **state)
{
    static fixture f;
    static unsigned char page[PAGE];
    char name[] = "file-pages-XXXXXX"; /* in the build's folder: /tmp may have no disk */
    f = (fixture){mkstemp(name), NULL};
    assert_true(f.fd >= 0);
    unlink(name);
    for (uint32_t i = 0; i < SIZE / PAGE; i++) {
        expected(page, i);
        assert_int_equal(write(f.fd, page, PAGE), PAGE);
    }
    assert_int_equal(fsync(f.fd), 0);
    map_anew(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    const fixture *f = *state;
    munmap(f->map, SIZE);
    close(f->fd);
    return 0;
}

static void bytes_are_right(const fixture *f)
{
    static unsigned char page[PAGE];
    for (uint32_t i = 0; i < SIZE / PAGE; i++) {
        expected(page, i);
        assert_memory_equal(f->map + (size_t)i * PAGE, page, PAGE);
    }
}

/* Of the mapping's kB, those in large pages, as the system says. */
static long large_kb(const fixture *f)
{
    char line[512], start[32];
    long kb = 0;
    int in = 0;
    FILE *s = fopen("/proc/self/smaps", "r");
    assert_non_null(s);
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)f->map);
    while (fgets(line, sizeof line, s) != NULL) {
        if (strncmp(line, start, strlen(start)) == 0) in = 1;
        if (in && sscanf(line, "FilePmdMapped: %ld", &kb) == 1) break;
    }
    fclose(s);
    return kb;
}

/* Does the system have large pages for files here? */
static int has_large(fixture *f)
{
    map_anew(f);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)*(volatile unsigned char *)f->map;
    const int has = large_kb(f) > 0;
    map_anew(f);
    return has;
}

static void small_pages_are_dropped(void **state)
{
    fixture *f = *state;
    const rmr_file_pages said = rmr_file_pages_mend(f->map, SIZE, f->fd);
    bytes_are_right(f);
    const long large = large_kb(f);
    if (has_large(f)) {
        assert_int_equal(said, RMR_FILE_PAGES_DROPPED);
        assert_true(large > SIZE / 1024 / 20 * 19);
        bytes_are_right(f);
        assert_int_equal(rmr_file_pages_mend(f->map, SIZE, f->fd), RMR_FILE_PAGES_LARGE);
        assert_true(large_kb(f) > 0);
    } else {
        assert_true(said == RMR_FILE_PAGES_SMALL || said == RMR_FILE_PAGES_UNKNOWN);
    }
}

/* What another process has mapped stays in the cache. */
static void mapped_elsewhere(void **state)
{
    fixture *f = *state, other = {f->fd, NULL};
    map_anew(&other);
    bytes_are_right(&other);
    assert_int_not_equal(rmr_file_pages_mend(f->map, SIZE, f->fd), RMR_FILE_PAGES_DROPPED);
    bytes_are_right(f);
    munmap(other.map, SIZE);
}

static void small_files_are_left(void **state)
{
    const fixture *f = *state;
    assert_int_equal(rmr_file_pages_mend(f->map, 1 << 20, f->fd), RMR_FILE_PAGES_UNKNOWN);
    assert_int_equal(rmr_file_pages_mend(f->map + PAGE, SIZE - PAGE, f->fd),
                     RMR_FILE_PAGES_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_pages_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mapped_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_files_are_left, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
