/* SPDX-License-Identifier: Apache-2.0 */
/* The DLL as a plugin host uses it: loaded, called, a model opened and closed, freed, again and
 * again, with a path of which not every character is ASCII.
 *
 *     test_dll LIBREMORA.DLL MODEL */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>
#include <cmocka.h>

#include <remora/remora.h>

enum { ROUNDS = 20, BEFORE = 4 };

/* A Greek, a Chinese and a mathematical character. */
#define COPY "remora-\xCE\xB1\xE6\xA8\xA1\xF0\x9D\x94\xB8.remora"

static char dll[512], model[512];

typedef remora_status open_fn(remora_runtime *, const remora_source *, const remora_model_opts *,
                              remora_model **, remora_error *);
typedef void free_fn(remora_model *);

static FARPROC symbol(HMODULE h, const char *name)
{
    const FARPROC p = GetProcAddress(h, name);
    assert_non_null(p);
    return p;
}

static void open_and_close(HMODULE h, const char *path)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = path};
    remora_model *m = NULL;
    open_fn *open;
    free_fn *release;
    const FARPROC a = symbol(h, "remora_model_open"), b = symbol(h, "remora_model_free");
    memcpy(&open, &a, sizeof open);
    memcpy(&release, &b, sizeof release);
    if (open(NULL, &src, NULL, &m, &err) < 0) fail_msg("%s", err.message);
    release(m);
}

static DWORD handles(void)
{
    DWORD n = 0;
    assert_true(GetProcessHandleCount(GetCurrentProcess(), &n));
    return n;
}

static void loaded_and_freed(void **state)
{
    DWORD before = 0;
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const HMODULE h = LoadLibraryA(dll);
        assert_non_null(h);
        open_and_close(h, model);
        assert_true(FreeLibrary(h));
        assert_null(GetModuleHandleA("libremora-1.dll"));
        if (i == BEFORE) before = handles();
    }
    assert_int_equal(handles(), before);
}

static void a_path_of_unicode(void **state)
{
    wchar_t from[512], to[64];
    const HMODULE h = LoadLibraryA(dll);
    (void)state;
    assert_non_null(h);
    assert_true(MultiByteToWideChar(CP_UTF8, 0, model, -1, from, 512) > 0);
    assert_true(MultiByteToWideChar(CP_UTF8, 0, COPY, -1, to, 64) > 0);
    assert_true(CopyFileW(from, to, FALSE));
    open_and_close(h, COPY);
    assert_true(DeleteFileW(to));
    assert_true(FreeLibrary(h));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded_and_freed),
        cmocka_unit_test(a_path_of_unicode),
    };
    if (argc != 3) return 2;
    snprintf(dll, sizeof dll, "%s", argv[1]);
    snprintf(model, sizeof model, "%s", argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
