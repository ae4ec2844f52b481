/* SPDX-License-Identifier: Apache-2.0 */
/* A library with asserts (lib/base/debug.h): what an assert that fails says, and the path of a
 * status from its birth to the public function that returns it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ctx.h"
#include "host.h"
#include "pages.h"
#include "tiny.h"

enum { MOST = 64 };

static jmp_buf back;
static char failed[512];
static rmr_status_seen path[MOST];
static char born_text[sizeof(((remora_error *)0)->message)];
static size_t n_path;

void rmr_on_assert(const char *file, int line, const char *what)
{
    snprintf(failed, sizeof failed, "%s:%d: %s", file, line, what);
    longjmp(back, 1);
}

void rmr_on_status(const rmr_status_seen *seen)
{
    if (n_path == MOST) return;
    path[n_path++] = *seen;
    if (seen->text != NULL) snprintf(born_text, sizeof born_text, "%s", seen->text);
}

static void asserts(void **state)
{
    volatile int line = 0;
    int evaluated = 0;
    (void)state;
    RMR_ASSERT(++evaluated == 1);
    assert_int_equal(evaluated, 1);
    if (setjmp(back) == 0) {
        line = __LINE__ + 1;
        RMR_ASSERT(evaluated == 2);
        fail_msg("an assert that is wrong went on");
    }
    char says[64];
    snprintf(says, sizeof says, "test_debug.c:%d: evaluated == 2", line);
    assert_non_null(strstr(failed, says));
}

/* An invariant of the library: a page that nobody was promised cannot be taken. */
static void of_the_library(void **state)
{
    rmr_mem mem = {0};
    rmr_pages pages;
    (void)state;
    rmr_mem_init(&mem);
    rmr_pages_init(&pages, &mem, NULL, NULL);
    failed[0] = 0;
    if (setjmp(back) == 0) (void)rmr_page_take(&pages, RMR_KV_BF16, NULL);
    assert_non_null(strstr(failed, "/pages.c:"));
    assert_non_null(strstr(failed, "n_free > 0"));
    rmr_lock_give(&pages.lock);
    rmr_pages_end(&pages);
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

/* A model of another family: the status is born in the reader of shapes and passed on by others. */
static void path_of_a_status(void **state)
{
    static const char config[] = "{\"model_type\": \"another\"}";
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    const remora_blob was = t.blobs[0];
    t.blobs[0].data = config;
    t.blobs[0].size = sizeof config - 1;
    n_path = 0;
    assert_int_equal(remora_model_open(NULL, &t.source, NULL, &m, &err), REMORA_E_UNSUPPORTED);
    assert_true(n_path > 1 && n_path < MOST);
    assert_true(ends_with(path[0].file, "/shape.c"));
    assert_string_equal(born_text, err.message);
    assert_string_equal(path[0].name, "E_UNSUPPORTED");
    for (size_t i = 0; i < n_path; i++) {
        assert_int_equal(path[i].status, REMORA_E_UNSUPPORTED);
        assert_true((path[i].text != NULL) == (i == 0));
        assert_true(path[i].line > 0 && path[i].function[0] != 0);
    }
    assert_false(ends_with(path[n_path - 1].file, "/shape.c"));
    t.blobs[0] = was;
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(asserts), cmocka_unit_test(of_the_library),
                                       cmocka_unit_test(path_of_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
