/* SPDX-License-Identifier: Apache-2.0 */
/* remora_convert and remora_verify through the public header: a pack gives the very logits of what
 * it was made from; nothing but a whole pack ever has the final name; damage and other answers are
 * found. Models are made up on the spot; arguments, if any, are folders under REMORA_MODELS. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { N_IDS = 45 };

static char folder[HOST_DIR], path[96];
static const char **folders;
static int n_folders;

static int make_folder(void **state)
{
    (void)state;
    host_dir_make(folder);
    snprintf(path, sizeof path, "%s/model.remora", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when anything was left behind */
}

/* |a - b|^2 / |a|^2, over everything: a chosen expert may flip, which moves a row far. */
static double distance(const float *a, const float *b, size_t n)
{
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)a[i] * (double)a[i];
    }
    return d / all;
}

/* A pack says how many parameters its source has, and has its fingerprint if it has its weights. */
static void same_identity(const remora_model *a, const remora_model *b, int same_weights)
{
    remora_model_info x = {.struct_size = sizeof x}, y = {.struct_size = sizeof y};
    REQUIRE(remora_model_get_info(a, &x, NULL) == REMORA_OK &&
            remora_model_get_info(b, &y, NULL) == REMORA_OK);
    REQUIRE(x.n_params == y.n_params && x.n_params_active == y.n_params_active);
    REQUIRE((memcmp(x.fingerprint, y.fingerprint, sizeof x.fingerprint) == 0) == same_weights);
}

/* How far the pack's logits are from its source's; -1: equal to the bit. */
static double compare(remora_runtime *rt, const remora_source *src, const char *recipe, int zstd)
{
    const remora_source packed = host_path_source(path);
    remora_token ids[N_IDS];
    remora_verify_report r = {.struct_size = sizeof r};
    remora_error err = HOST_ERROR;
    host_convert(rt, src, path, recipe, zstd);
    remora_model *a = host_open(rt, src), *b = host_open(rt, &packed);
    const size_t n = (size_t)N_IDS * host_vocab(a);
    host_ids(ids, N_IDS, host_vocab(a), 7);
    float *x = host_logits(a, ids, N_IDS), *y = host_logits(b, ids, N_IDS);
    const double d = memcmp(x, y, n * sizeof *x) == 0 ? -1 : distance(x, y, n);
    same_identity(a, b, d == -1);
    free(x);
    free(y);
    remora_model_free(a);
    remora_model_free(b);
    REQUIRE_OK(remora_verify(rt, &packed, NULL, &r, &err), &err);
    REQUIRE(r.checksums == REMORA_OK && r.self_test == REMORA_OK && r.exact == 1);
    REQUIRE(host_dir_count(folder) == 1);
    return d;
}

static void kept_to_the_bit(void **state)
{
    static const tiny_opts kinds[] = {
        {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen2"}, {.dtype = "F16"}, {.dtype = "F32"}};
    remora_runtime *rt = host_runtime(NULL, 3, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        for (int zstd = 0; zstd < 4; zstd += 3)
            if (compare(rt, &t.source, "keep", zstd) != -1) fail_msg("kind %zu, zstd %d", i, zstd);
        tiny_free(&t);
    }
    for (int i = 0; i < n_folders; i++) {
        char p[256];
        if (!host_folder(p, sizeof p, folders[i])) continue;
        const remora_source src = host_path_source(p);
        if (compare(rt, &src, NULL, 0) != -1) fail_msg("%s", folders[i]);
    }
    remora_runtime_free(rt);
}

/* Not exact, but close: the types are told apart and land where they belong. */
static void quantised_is_close(void **state)
{
    static const struct {
        const char *recipe;
        double limit;
    } cases[] = {{"q8", 0.01}, {"fp8", 0.1}, {"q4", 0.5}};
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.dense = "llama", .width = 128});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double d = compare(rt, &t.source, cases[i].recipe, 0);
        if (!(d > 0 && d < cases[i].limit)) fail_msg("%s: %g", cases[i].recipe, d);
    }
    tiny_free(&t);
    remora_runtime_free(rt);
}

/* ---- nothing but a whole pack ---- */

typedef struct stopper {
    int32_t cancel;
    uint32_t calls, stop_at; /* progress says stop at this call; 0: never */
    uint32_t cancel_at;      /* or sets the cancel word */
    uint64_t done, total;
    int backwards;
} stopper;

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    stopper *s = user;
    s->calls++;
    s->backwards |= done < s->done || done > total;
    s->done = done;
    s->total = total;
    if (s->calls == s->cancel_at) s->cancel = 1;
    return s->calls == s->stop_at;
}

static remora_status convert_with(remora_runtime *rt, const remora_source *src, stopper *s)
{
    remora_error err = HOST_ERROR;
    const remora_convert_opts o = {.struct_size = sizeof o,
                                   .recipe = "q8",
                                   .cancel = &s->cancel,
                                   .progress_user = s,
                                   .progress = on_progress};
    return remora_convert(rt, src, path, &o, &err);
}

static void stopped_at_any_point(void **state)
{
    remora_runtime *rt =
        host_runtime(NULL, 1, NULL); /* so that the calls of progress are the same */
    stopper whole = {0};
    tiny t;
    FILE *f = fopen(path, "w");
    (void)state;
    assert_non_null(f);
    fputs("what was there", f);
    fclose(f);
    tiny_make(&t, NULL);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    for (uint32_t k = 1; k < 40; k++) {
        stopper stop = {.stop_at = k}, cancel = {.cancel_at = k};
        const remora_status a = convert_with(rt, &t.source, &stop);
        assert_int_equal(a, stop.calls >= k ? REMORA_E_CANCELLED : REMORA_OK);
        if (a == REMORA_OK) break;
        assert_int_equal(convert_with(rt, &t.source, &cancel), REMORA_E_CANCELLED);
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(after.st_size, before.st_size);
        assert_int_equal(host_dir_count(folder), 1);
    }
    assert_int_equal(convert_with(rt, &t.source, &whole), REMORA_OK);
    assert_true(whole.calls > 3 && !whole.backwards && whole.done == whole.total);
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size > before.st_size);
    tiny_free(&t);
    remora_runtime_free(rt);
}

/* The host's jobs, one after another; at the k-th region the cancel word is set. */
typedef struct regions {
    int32_t cancel;
    uint32_t n, cancel_at;
} regions;

static void REMORA_CALL run_region(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                                   void *arg)
{
    regions *r = user;
    if (++r->n == r->cancel_at) r->cancel = 1;
    for (uint32_t i = 0; i < n; i++) fn(arg, i);
}

/* In the walk, in the checksums, in the self-test: a cancel word is honoured wherever it is set. */
static void cancelled_in_any_region(void **state)
{
    tiny t;
    uint32_t k = 1, step = 1;
    (void)state;
    tiny_make(&t, &(tiny_opts){.dense = "llama"});
    for (;; k += step) {
        regions r = {.cancel_at = k};
        const remora_runtime_opts ro = {
            .struct_size = sizeof ro, .n_threads = 2, .run = run_region, .run_user = &r};
        const remora_convert_opts o = {.struct_size = sizeof o, .cancel = &r.cancel};
        remora_runtime *rt;
        remora_error err = HOST_ERROR;
        REQUIRE_OK(remora_runtime_create(&ro, &rt, &err), &err);
        const remora_status st = remora_convert(rt, &t.source, path, &o, &err);
        remora_runtime_free(rt);
        if (st != (r.cancel ? REMORA_E_CANCELLED : REMORA_OK))
            fail_msg("region %u: %s", k, remora_status_name(st));
        assert_int_equal(host_dir_count(folder), st == REMORA_OK);
        if (!r.cancel) break;
        step = 1 + k / 8;
    }
    assert_true(k > 20);
    tiny_free(&t);
}

/* The self-test is as long as fits. */
static void short_contexts(void **state)
{
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    (void)state;
    for (uint32_t context = 1; context < 50; context += 12) {
        const remora_source packed = host_path_source(path);
        remora_verify_report r = {.struct_size = sizeof r};
        remora_error err = HOST_ERROR;
        tiny t;
        tiny_make(&t, &(tiny_opts){.dense = "qwen2", .context = context});
        host_convert(rt, &t.source, path, "keep", 0);
        REQUIRE_OK(remora_verify(rt, &packed, NULL, &r, &err), &err);
        assert_int_equal(r.exact, 1);
        tiny_free(&t);
    }
    remora_runtime_free(rt);
}

static void refused(const remora_source *src, const char *to, const remora_convert_opts *o,
                    remora_status expect, const char *says)
{
    remora_error err = HOST_ERROR;
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    const remora_status st = remora_convert(rt, src, to, o, &err);
    if (st != expect || strstr(err.message, says) == NULL)
        fail_msg("%s, not %s: %s", remora_status_name(st), remora_status_name(expect), err.message);
    remora_runtime_free(rt);
}

static void what_cannot_be_converted(void **state)
{
    tiny t;
    const remora_source gone = host_path_source("/nowhere/at/all");
    const remora_convert_opts none = {.struct_size = sizeof none};
    remora_convert_opts o = none;
    (void)state;
    tiny_make(&t, NULL);
    refused(&gone, path, &none, REMORA_E_NOT_FOUND, "/nowhere");
    refused(&t.source, "/nowhere/at/all.remora", &none, REMORA_E_NOT_FOUND, "/nowhere/at");
    o.recipe = "q17";
    refused(&t.source, path, &o, REMORA_E_NOT_FOUND, "q17");
    o.recipe = "rules:\n  - {match: x\n";
    refused(&t.source, path, &o, REMORA_E_FORMAT, "recipe:");
    o = none;
    o.importance = "/nowhere/imatrix";
    refused(&t.source, path, &o, REMORA_E_NOT_FOUND, "/nowhere");
    o = none;
    o.zstd_level = 23;
    refused(&t.source, path, &o, REMORA_E_ARG, "zstd_level");
    o = none;
    o.flags = 2;
    refused(&t.source, path, &o, REMORA_E_STRUCT, "flags");
    o = none;
    o.reserved = 1;
    refused(&t.source, path, &o, REMORA_E_STRUCT, "reserved");
    assert_int_equal(remora_convert(NULL, NULL, path, NULL, NULL), REMORA_E_ARG);
    assert_int_equal(remora_convert(NULL, &t.source, NULL, NULL, NULL), REMORA_E_ARG);
    assert_int_equal(host_dir_count(folder), 0);
    tiny_free(&t);
}

/* Importance of the experts' gate_proj, the first never seen: the others' mean is taken. */
static void write_importance(const char *file, uint32_t count, uint32_t cols, float value,
                             int64_t tokens)
{
    static const char name[] = "model.layers.1.mlp.experts.gate_proj";
    char header[400];
    const unsigned long long counts = 8ull * count, all = counts + 4ull * count * cols;
    const int n =
        snprintf(header, sizeof header,
                 "{\"%s.count\":{\"dtype\":\"I64\",\"shape\":[%u],\"data_offsets\":[0,%llu]},"
                 "\"%s\":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[%llu,%llu]}}",
                 name, count, counts, name, count, cols, counts, all);
    const uint64_t size = (uint64_t)n;
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    fwrite(&size, sizeof size, 1, f);
    fwrite(header, 1, (size_t)n, f);
    for (uint32_t e = 0; e < count; e++) {
        const int64_t seen = e > 0 ? tokens : 0;
        fwrite(&seen, sizeof seen, 1, f);
    }
    for (uint32_t i = 0; i < count * cols; i++) {
        const float v = i < cols ? 0 : value;
        fwrite(&v, sizeof v, 1, f);
    }
    fclose(f);
}

static void importance_that_overflows(void **state)
{
    enum { WIDTH = 256, EXPERTS = 6 };
    remora_convert_opts o = {.struct_size = sizeof o, .recipe = "q4"};
    char file[96];
    tiny t;
    (void)state;
    snprintf(file, sizeof file, "%s/imatrix", folder);
    tiny_make(&t, &(tiny_opts){.width = WIDTH});
    o.importance = file;
    write_importance(file, EXPERTS, WIDTH, 3e38f, 1000000000);
    refused(&t.source, path, &o, REMORA_E_FORMAT, "overflows");
    write_importance(file, EXPERTS, WIDTH, 3e38f, 0); /* nothing seen at all: as without */
    REQUIRE_OK(remora_convert(NULL, &t.source, path, &o, NULL), NULL);
    unlink(file);
    tiny_free(&t);
}

/* ---- verify ---- */

static remora_status verify(remora_verify_report *r, remora_error *err)
{
    const remora_source src = host_path_source(path);
    *r = (remora_verify_report){.struct_size = sizeof *r};
    return remora_verify(NULL, &src, NULL, r, err);
}

static void damage_is_found(void **state)
{
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_verify_report r;
    remora_error err = HOST_ERROR;
    struct stat s;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    host_convert(rt, &t.source, path, "q8", 0);
    assert_int_equal(stat(path, &s), 0);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, -5000, SEEK_END), 0); /* inside the last tensor */
    const int c = fgetc(f);
    assert_int_equal(fseek(f, -5000, SEEK_END), 0);
    fputc(c ^ 1, f);
    fclose(f);
    assert_int_equal(verify(&r, &err), REMORA_E_FORMAT);
    assert_int_equal(r.checksums, REMORA_E_FORMAT);
    assert_non_null(strstr(err.message, "lm_head"));
    tiny_free(&t);
    remora_runtime_free(rt);
}

static void no_pack_and_no_test(void **state)
{
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    const remora_convert_opts o = {.struct_size = sizeof o, .flags = REMORA_CONVERT_NO_SELF_TEST};
    remora_verify_report r = {.struct_size = sizeof r};
    remora_error err = HOST_ERROR;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    assert_int_equal(remora_verify(rt, &t.source, NULL, &r, &err), REMORA_E_UNSUPPORTED);
    REQUIRE_OK(remora_convert(rt, &t.source, path, &o, &err), &err);
    assert_int_equal(verify(&r, &err), REMORA_OK);
    assert_int_equal(r.checksums, REMORA_OK);
    assert_int_equal(r.self_test, REMORA_E_NOT_FOUND);
    tiny_free(&t);
    remora_runtime_free(rt);
}

static void recipes_are_listed(void **state)
{
    const char *name = NULL, *yaml = NULL;
    uint32_t n = 0;
    (void)state;
    while (remora_recipe_get(n, &name, &yaml, NULL) == REMORA_OK) {
        assert_non_null(strstr(yaml, name));
        n++;
    }
    assert_true(n > 5);
    assert_int_equal(remora_recipe_get(n, &name, &yaml, NULL), REMORA_E_NOT_FOUND);
    assert_int_equal(remora_recipe_get(0, NULL, NULL, NULL), REMORA_E_ARG);
}

int main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        CASE(kept_to_the_bit),           CASE(quantised_is_close), CASE(stopped_at_any_point),
        CASE(what_cannot_be_converted),  CASE(damage_is_found),    CASE(no_pack_and_no_test),
        CASE(recipes_are_listed),        CASE(short_contexts),     CASE(cancelled_in_any_region),
        CASE(importance_that_overflows),
    };
    folders = (const char **)argv + 1;
    n_folders = argc - 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
