/* SPDX-License-Identifier: Apache-2.0 */
/* P12: dlopen and dlclose in a loop are clean, and leaking handles at exit is harmless. The library
 * is the shared one, used through dlsym alone as a plugin host would. Argument: its path. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

static const char *library;

/* The functions that are used, by their declarations in the header. */
typedef struct api {
    void *so;
    __typeof__(&remora_runtime_create) runtime_create;
    __typeof__(&remora_runtime_free) runtime_free;
    __typeof__(&remora_model_open) model_open;
    __typeof__(&remora_model_free) model_free;
    __typeof__(&remora_session_create) session_create;
    __typeof__(&remora_session_free) session_free;
    __typeof__(&remora_session_append) append;
    __typeof__(&remora_sampler_create) sampler_create;
    __typeof__(&remora_sampler_free) sampler_free;
    __typeof__(&remora_generate) generate;
} api;

static void find(void *so, const char *name, void *fn)
{
    void *p = dlsym(so, name);
    REQUIRE(p != NULL);
    memcpy(fn, &p, sizeof p);
}

static void load(api *a)
{
    a->so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (a->so == NULL) fprintf(stderr, "%s\n", dlerror());
    REQUIRE(a->so != NULL);
    find(a->so, "remora_runtime_create", &a->runtime_create);
    find(a->so, "remora_runtime_free", &a->runtime_free);
    find(a->so, "remora_model_open", &a->model_open);
    find(a->so, "remora_model_free", &a->model_free);
    find(a->so, "remora_session_create", &a->session_create);
    find(a->so, "remora_session_free", &a->session_free);
    find(a->so, "remora_session_append", &a->append);
    find(a->so, "remora_sampler_create", &a->sampler_create);
    find(a->so, "remora_sampler_free", &a->sampler_free);
    find(a->so, "remora_generate", &a->generate);
}

typedef struct handles {
    remora_runtime *rt;
    remora_model *m;
    remora_session *s;
    remora_sampler *p;
} handles;

/* Open and generate, with worker threads; the tokens go to out[8]. */
static void use(const api *a, const tiny *t, handles *h, remora_token *out)
{
    remora_error err = HOST_ERROR;
    remora_token ids[40];
    size_t n;
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 3};
    const remora_gen_opts g = {.struct_size = sizeof g};
    host_ids(ids, 40, 200, 1);
    REQUIRE_OK(a->runtime_create(&o, &h->rt, &err), &err);
    REQUIRE_OK(a->model_open(h->rt, &t->source, NULL, &h->m, &err), &err);
    REQUIRE_OK(a->session_create(h->m, NULL, &h->s, &err), &err);
    REQUIRE_OK(a->sampler_create(h->m, 1, &h->p, &err), &err);
    REQUIRE_OK(a->append(h->s, ids, 40, REMORA_WANT_LAST, NULL), NULL);
    memset(out, 0, 8 * sizeof *out);
    REQUIRE_OK(a->generate(h->s, h->p, &g, out, 8, &n, &err), &err);
}

static void drop(const api *a, handles *h)
{
    a->sampler_free(h->p);
    a->session_free(h->s);
    a->model_free(h->m);
    a->runtime_free(h->rt);
}

static int mapped(void)
{
    char line[1024];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    if (f == NULL) return -1;
    while (fgets(line, sizeof line, f) != NULL) n += strstr(line, "libremora") != NULL;
    fclose(f);
    return n;
}

static int thread_count(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    if (d == NULL) return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void twenty_times(void **state)
{
    tiny t;
    remora_token first[8], out[8];
    (void)state;
    const int threads = thread_count();
    assert_int_equal(mapped() > 0, 0);
    tiny_make(&t, NULL);
    for (int i = 0; i < 20; i++) {
        api a;
        handles h;
        load(&a);
        assert_true(mapped() != 0);
        use(&a, &t, &h, i == 0 ? first : out);
        if (i > 0) assert_memory_equal(out, first, sizeof out);
        drop(&a, &h);
        assert_int_equal(dlclose(a.so), 0);
        assert_true(mapped() <= 0); /* really gone: nothing pins it */
        for (int k = 0; k < 1000 && thread_count() != threads; k++)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        assert_int_equal(thread_count(), threads);
    }
    tiny_free(&t);
}

static int child(void (*body)(void))
{
    int status;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        exit(3); /* with all that exit does */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void leak_all(void)
{
    static api a;
    static tiny t;
    static handles h;
    remora_token out[8];
    load(&a);
    tiny_make(&t, NULL);
    use(&a, &t, &h, out);
}

/* The host even takes the memory away that the model borrowed. */
static void leak_and_free_blobs(void)
{
    static api a;
    static tiny t;
    static handles h;
    remora_token out[8];
    load(&a);
    tiny_make(&t, NULL);
    use(&a, &t, &h, out);
    tiny_free(&t);
}

static void leaks_at_exit(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(child(leak_all), 3);
        assert_int_equal(child(leak_and_free_blobs), 3);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_times),
        cmocka_unit_test(leaks_at_exit),
    };
    if (argc != 2) return 2;
    library = argv[1];
    return cmocka_run_group_tests_name("P12", tests, NULL, NULL);
}
