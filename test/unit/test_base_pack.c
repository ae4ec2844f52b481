/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion with a base: the weights that an earlier pack of the same model has are taken to the
 * bit, the others are made, and a base of another model or with damage is refused. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host.h"
#include "pack.h"
#include "tiny.h"

static char folder[HOST_DIR], path[96], base[96];
static remora_runtime *rt;
static tiny model;

static int make_folder(void **state)
{
    (void)state;
    host_dir_make(folder);
    snprintf(path, sizeof path, "%s/new.remora", folder);
    snprintf(base, sizeof base, "%s/base.remora", folder);
    rt = host_runtime(NULL, 2, NULL);
    tiny_make(&model, &(tiny_opts){.width = 64});
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tiny_free(&model);
    remora_runtime_free(rt);
    unlink(path);
    unlink(base);
    return rmdir(folder); /* fails when anything was left behind */
}

static rmr_pack *open_pack(const char *file, rmr_mem *mem)
{
    const remora_source src = host_path_source(file);
    remora_error err = HOST_ERROR;
    rmr_pack *p = NULL;
    REQUIRE_OK(rmr_pack_open_source(mem, &src, &p, &err), &err);
    return p;
}

/* The pack of the file without the weight, which it has under another name then. */
static void hide(const char *file, const char *weight)
{
    char entry[64];
    size_t n;
    unsigned char *bytes = host_file(file, &n);
    rmr_mem mem = {0};
    REQUIRE(bytes != NULL);
    rmr_mem_init(&mem);
    rmr_pack *p = open_pack(file, &mem);
    const uint64_t size = rmr_pack_size(p);
    rmr_pack_free(p);
    rmr_pack_front front = {.version = RMR_PACK_VERSION, .file_bytes = size};
    front.header_bytes = strtoull((char *)bytes + 111, NULL, 10);
    front.manifest_bytes = strtoull((char *)bytes + 140, NULL, 10);
    snprintf(entry, sizeof entry, "name: %s,", weight);
    char *at = strstr((char *)bytes, entry);
    REQUIRE(at != NULL && n == size);
    at[strlen("name: ")] = '_';
    rmr_pack_seal(bytes, &front);
    FILE *f = fopen(file, "wb");
    REQUIRE(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    free(bytes);
}

typedef struct told {
    uint64_t done, total;
    int backwards;
} told;

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    told *t = user;
    t->backwards |= done < t->done || done > total || (t->total != 0 && total != t->total);
    *t = (told){done, total, t->backwards};
    return 0;
}

static remora_status convert(const remora_source *src, const char *recipe, remora_error *err)
{
    told t = {0};
    const remora_convert_opts o = {.struct_size = sizeof o,
                                   .recipe = recipe,
                                   .base = base,
                                   .progress_user = &t,
                                   .progress = on_progress};
    *err = (remora_error)HOST_ERROR;
    const remora_status st = remora_convert(rt, src, path, &o, err);
    assert_true(!t.backwards && (st < 0 || (t.done == t.total && t.total > 0)));
    return st;
}

/* All but one weight of the new pack are the base's; that one has the type. */
static void check_weights(const char *but, rmr_elem elem)
{
    rmr_mem mem = {0};
    uint32_t others = 0;
    rmr_mem_init(&mem);
    rmr_pack *was = open_pack(base, &mem), *now = open_pack(path, &mem);
    assert_int_equal(rmr_pack_count(was), rmr_pack_count(now));
    for (uint32_t i = 0; i < rmr_pack_count(now); i++) {
        const rmr_pack_tensor *t = rmr_pack_at(now, i), *b = rmr_pack_find(was, t->name, t->use);
        if (b == NULL) {
            others++;
            assert_string_equal(t->name, but);
            assert_int_equal(t->elem, elem);
            continue;
        }
        assert_int_equal(t->elem, b->elem);
        assert_memory_equal(t->sha256, b->sha256, sizeof t->sha256);
    }
    assert_int_equal(others, but != NULL);
    rmr_pack_free(was);
    rmr_pack_free(now);
}

static void check_answer(void)
{
    const remora_source src = host_path_source(path);
    remora_verify_report r = {.struct_size = sizeof r};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_verify(rt, &src, NULL, &r, &err), &err);
    assert_int_equal(r.exact, 1);
}

static void weights_are_taken(void **state)
{
    remora_error err;
    (void)state;
    for (int zstd = 0; zstd < 4; zstd += 3) {
        host_convert(rt, &model.source, base, "q8", zstd);
        REQUIRE_OK(convert(&model.source, "bf16", &err), &err);
        check_weights(NULL, RMR_ELEM_COUNT);
        check_answer();
        hide(base, "lm_head");
        REQUIRE_OK(convert(&model.source, "bf16", &err), &err);
        check_weights("lm_head", RMR_ELEM_BF16);
        check_answer();
    }
}

static void refused(const remora_source *src, remora_status expect, const char *says)
{
    remora_error err;
    const remora_status st = convert(src, "bf16", &err);
    if (st != expect || strstr(err.message, says) == NULL)
        fail_msg("%s, not %s: %s", remora_status_name(st), remora_status_name(expect), err.message);
    assert_int_equal(access(path, F_OK), -1);
}

static void another_base(void **state)
{
    static const tiny_opts others[] = {{.width = 128}, {.width = 64, .dtype = "F16"}};
    static const char *const says[] = {
        "base.remora: model.layers.0.input_layernorm is 1 of [1,128]",
        "base.remora: model.layers.0.input_layernorm has other"};
    (void)state;
    refused(&model.source, REMORA_E_NOT_FOUND, "base.remora");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tiny t;
        tiny_make(&t, &others[i]);
        host_convert(rt, &t.source, base, "keep", 0);
        tiny_free(&t);
        refused(&model.source, REMORA_E_MISMATCH, says[i]);
    }
    FILE *f = fopen(base, "w");
    REQUIRE(f != NULL && fclose(f) == 0);
    refused(&model.source, REMORA_E_FORMAT, "base.remora");
    unlink(base);
    tiny_folder_make(&model, base, sizeof base);
    refused(&model.source, REMORA_E_UNSUPPORTED, "is no pack");
    tiny_folder_free(&model, base);
}

static void damage_is_not_taken_along(void **state)
{
    (void)state;
    host_convert(rt, &model.source, base, "q8", 0);
    FILE *f = fopen(base, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, -5000, SEEK_END), 0); /* inside the last tensor */
    const int c = fgetc(f);
    assert_int_equal(fseek(f, -5000, SEEK_END), 0);
    fputc(c ^ 1, f);
    fclose(f);
    refused(&model.source, REMORA_E_FORMAT, "base.remora: tensor lm_head is damaged");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {CASE(weights_are_taken), CASE(another_base),
                                       CASE(damage_is_not_taken_along)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
