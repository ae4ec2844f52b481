/* SPDX-License-Identifier: Apache-2.0 */
/* A pack is the model it was made from: the same logits, bit for bit, from every kind of source,
 * compressed or not; opening it copies nothing that can be used where it lies. And packs of earlier
 * releases, kept in the folder pack/, still open and give the logits they gave.
 *
 *     pack FOLDER          the tests; FOLDER holds the packs that are kept
 *     pack FOLDER make     write those that FOLDER does not have yet */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "aligned.h"
#include "groups.h"
#include "host.h"
#include "pack.h"
#include "tiny.h"

enum { N = 24 };

static const char *kept;

static const tiny_opts kinds[] = {
    {0}, {.v2 = 1, .dtype = "F16"}, {.dense = "llama", .dtype = "F32"}, {.dense = "qwen2"}};

typedef struct world {
    tiny t;
    char dir[64], path[96];
    remora_token ids[N];
    float *want;
    uint32_t vocab;
} world;

static remora_model *open_with(tmem *mem, const remora_source *src, uint32_t flags)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    remora_runtime *rt = host_runtime(mem, 2, NULL);
    REQUIRE_OK(remora_model_open(rt, src, &o, &m, &err), &err);
    remora_runtime_free(rt);
    return m;
}

static void pack_it(const remora_source *src, const char *path, int level)
{
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    host_convert(rt, src, path, "keep", level);
    remora_runtime_free(rt);
}

static void begin(world *w, const tiny_opts *o)
{
    memset(w, 0, sizeof *w);
    tiny_make(&w->t, o);
    strcpy(w->dir, "/tmp/remora-pack-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/m.remora", w->dir);
    remora_model *m = open_with(NULL, &w->t.source, 0);
    w->vocab = host_vocab(m);
    host_ids(w->ids, N, w->vocab, 5);
    w->want = host_logits(m, w->ids, N);
    remora_model_free(m);
}

static void end(world *w)
{
    remove(w->path);
    assert_int_equal(rmdir(w->dir), 0);
    free(w->want);
    tiny_free(&w->t);
}

static remora_source path_source(const char *path)
{
    return (remora_source){
        .struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = path};
}

/* The model gives the expected logits and all its memory back; returns what it used in place. */
static uint64_t same(const world *w, const remora_source *src, uint32_t flags)
{
    tmem mem = {0};
    remora_memory now = {.struct_size = sizeof now};
    remora_model *m = open_with(&mem, src, flags);
    assert_int_equal(remora_model_get_memory(m, &now, NULL), REMORA_OK);
    float *got = host_logits(m, w->ids, N);
    assert_memory_equal(got, w->want, (size_t)N * w->vocab * sizeof *got);
    free(got);
    remora_token ids[64];
    size_t n = 0, n_want = 0;
    remora_token want[64];
    remora_model *folder = open_with(NULL, &w->t.source, 0);
    assert_int_equal(remora_tokenize(folder, "the ab of <x>", 13, 0, want, 64, &n_want, NULL),
                     REMORA_OK);
    assert_int_equal(remora_tokenize(m, "the ab of <x>", 13, 0, ids, 64, &n, NULL), REMORA_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof *ids);
    remora_model_free(folder);
    remora_model_free(m);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    assert_int_equal(atomic_load(&mem.damage), 0);
    return now.host_mapped;
}

static void same_logits_from_everywhere(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int level = 0; level <= 3; level += 3) {
            world w;
            begin(&w, &kinds[k]);
            pack_it(&w.t.source, w.path, level);
            const remora_source path = path_source(w.path), dir = path_source(w.dir);
            const uint64_t mapped = same(&w, &path, 0);
            assert_true(level > 0 || mapped > 0);
            assert_int_equal(same(&w, &dir, 0), mapped); /* the only model in the folder */
            assert_int_equal(same(&w, &path, REMORA_MODEL_NO_MMAP), 0);
            size_t n;
            unsigned char *file = host_file(w.path, &n),
                          *own = aligned_new(4096, (n + 8191) / 4096 * 4096);
            for (size_t shift = 0; shift < 2; shift++) { /* nothing can be used at odd addresses */
                memcpy(own + shift, file, n);
                const remora_blob blob = {"m.remora", own + shift, n};
                const remora_source memory = {.struct_size = sizeof memory,
                                              .kind = REMORA_SOURCE_MEMORY,
                                              .blobs = &blob,
                                              .n_blobs = 1};
                assert_int_equal(same(&w, &memory, 0), shift == 0 ? mapped : 0);
                host_io io = {.blobs = &blob, .n = 1};
                remora_source host = host_io_source(&io);
                host.path = "m.remora";
                assert_int_equal(same(&w, &host, 0), 0);
            }
            aligned_delete(own);
            free(file);
            end(&w);
        }
}

/* Real shapes, and FP8 as it was released. */
static void fixtures(void **state)
{
    static const char *const names[] = {"fixtures/v3", "fixtures/v3-fp8", "fixtures/v2-lite",
                                        "fixtures/llama3", "krill"};
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        world w = {.vocab = 0};
        char folder[1024];
        assert_true(host_folder(folder, sizeof folder, names[k]));
        const remora_source src = path_source(folder);
        strcpy(w.dir, "/tmp/remora-pack-XXXXXX");
        assert_non_null(mkdtemp(w.dir));
        snprintf(w.path, sizeof w.path, "%s/m.remora", w.dir);
        remora_model *m = open_with(NULL, &src, 0);
        w.vocab = host_vocab(m);
        host_ids(w.ids, N, w.vocab, 5);
        w.want = host_logits(m, w.ids, N);
        remora_model_free(m);
        pack_it(&src, w.path, 0);
        const remora_source path = path_source(w.path);
        m = open_with(NULL, &path, 0);
        float *got = host_logits(m, w.ids, N);
        assert_memory_equal(got, w.want, (size_t)N * w.vocab * sizeof *got);
        remora_model_free(m);
        free(got);
        free(w.want);
        remove(w.path);
        assert_int_equal(rmdir(w.dir), 0);
    }
}

static uint64_t host_bytes(const remora_memory *m)
{
    return m->host_weights + m->host_kv + m->host_scratch + m->host_other;
}

/* P23 for packs: nothing of the weights is on the heap when they are used in place. */
static void memory_is_as_estimated(void **state)
{
    const tiny_opts o = {.width = 320, .layers = 4};
    world w;
    (void)state;
    begin(&w, &o);
    for (int level = 0; level <= 1; level++) {
        pack_it(&w.t.source, w.path, level);
        for (uint32_t flags = 0; flags <= REMORA_MODEL_NO_MMAP; flags += REMORA_MODEL_NO_MMAP) {
            tmem mem = {0};
            remora_error err = HOST_ERROR;
            remora_memory est = {.struct_size = sizeof est}, now = est;
            const remora_source src = path_source(w.path);
            const remora_model_opts mo = {.struct_size = sizeof mo, .flags = flags};
            const remora_session_opts so = {.struct_size = sizeof so, .capacity = 64};
            remora_model *m;
            remora_runtime *rt = host_runtime(&mem, 2, NULL);
            REQUIRE_OK(remora_model_estimate(rt, &src, &mo, &so, 1, &est, &err), &err);
            REQUIRE_OK(remora_model_open(rt, &src, &mo, &m, &err), &err);
            remora_session *s = NULL;
            REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
            remora_token ids[64];
            host_ids(ids, 64, w.vocab, 1);
            REQUIRE_OK(remora_session_append(s, ids, 64, REMORA_WANT_LAST, NULL), NULL);
            REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
            const uint64_t used = (uint64_t)atomic_load(&mem.bytes), said = host_bytes(&est);
            assert_int_equal(remora_model_get_memory(m, &now, NULL), REMORA_OK);
            assert_int_equal(now.host_mapped, est.host_mapped);
            assert_true(said >= used && said <= used + used * 3 / 100 + 8192);
            assert_true(host_bytes(&now) >= used);
            if (flags != 0) assert_int_equal(est.host_mapped, 0);
            if (flags == 0 && level == 0) assert_true(est.host_weights < est.host_mapped / 20);
            remora_session_free(s);
            remora_model_free(m);
            remora_runtime_free(rt);
        }
    }
    end(&w);
}

/* ---- failing ---- */

typedef struct sweep {
    const unsigned char *file;
    size_t n;
} sweep;

static int32_t sweep_open(void *arg, tmem *t)
{
    const sweep *s = arg;
    const remora_blob blob = {"m.remora", s->file, s->n};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
    const remora_runtime_opts ro = host_runtime_opts(t, 1);
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    remora_model *m = NULL;
    remora_status st = remora_runtime_create(&ro, &rt, &err);
    if (st >= 0) st = remora_model_open(rt, &src, NULL, &m, &err);
    if (st < 0) assert_int_equal(st, REMORA_E_NOMEM);
    remora_model_free(m);
    remora_runtime_free(rt);
    return st;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (int level = 0; level <= 1; level++) {
        world w;
        sweep s = {0};
        tmem t = {0};
        begin(&w, NULL);
        pack_it(&w.t.source, w.path, level);
        unsigned char *file = host_file(w.path, &s.n);
        unsigned char *own = aligned_new(4096, (s.n + 4095) / 4096 * 4096);
        memcpy(own, file, s.n);
        s.file = own;
        assert_true(tmem_sweep(&t, sweep_open, &s) > 50);
        aligned_delete(own);
        free(file);
        end(&w);
    }
}

/* The host's storage fails at its n-th call and from then on, for every n. */
static void storage_that_fails(void **state)
{
    (void)state;
    for (int level = 0; level <= 3; level += 3) {
        world w;
        size_t n;
        begin(&w, NULL);
        pack_it(&w.t.source, w.path, level);
        unsigned char *file = host_file(w.path, &n);
        const remora_blob blob = {"m.remora", file, n};
        for (long at = 1;; at++) {
            tmem mem = {0};
            host_io io = {.blobs = &blob, .n = 1, .fail_at = at, .with = REMORA_E_IO};
            remora_source src = host_io_source(&io);
            remora_error err = HOST_ERROR;
            remora_model *m = NULL;
            src.path = "m.remora";
            remora_runtime *rt = host_runtime(&mem, 1, NULL);
            const remora_status st = remora_model_open(rt, &src, NULL, &m, &err);
            remora_model_free(m);
            remora_runtime_free(rt);
            assert_int_equal(atomic_load(&mem.bytes), 0);
            if (atomic_load(&io.calls) < at) {
                assert_int_equal(st, REMORA_OK);
                assert_true(at > 30);
                break;
            }
            assert_int_equal(st, REMORA_E_CALLBACK);
            assert_non_null(strstr(err.message, "m.remora"));
        }
        free(file);
        end(&w);
    }
}

static int32_t REMORA_CALL stop_at(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    return --*(int *)user == 0;
}

static void opening_can_be_stopped(void **state)
{
    world w;
    (void)state;
    begin(&w, NULL);
    pack_it(&w.t.source, w.path, 1);
    for (int n = 1;; n++) {
        tmem mem = {0};
        int left = n;
        const remora_source src = path_source(w.path);
        const remora_model_opts o = {
            .struct_size = sizeof o, .progress = stop_at, .progress_user = &left};
        remora_error err = HOST_ERROR;
        remora_model *m = NULL;
        remora_runtime *rt = host_runtime(&mem, 1, NULL);
        const remora_status st = remora_model_open(rt, &src, &o, &m, &err);
        remora_model_free(m);
        remora_runtime_free(rt);
        assert_int_equal(atomic_load(&mem.bytes), 0);
        if (left > 0) {
            assert_int_equal(st, REMORA_OK);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(st, REMORA_E_CANCELLED);
    }
    end(&w);
}

/* The header says what a weight is, the config what it must be. Same length in, same length out. */
static void weights_must_fit_the_config(void **state)
{
    static const struct {
        const char *from, *to, *part;
    } edits[] = {
        {"{name: model.norm,", "{name: model.born,", "m.remora: vector model.norm is missing"},
        {"hidden_size: 40", "hidden_size: 80",
         "m.remora: model.layers.0.input_layernorm is 1 of [1,40], its config needs 1 of [1,80]"},
        {"vocab_size: 272", "vocab_size: 264", ""},
        {"num_hidden_layers: 3", "num_hidden_layers: 2", "is not part of model_type"},
        {"\nconfig:", "\nbonfig:", "config is missing"},
        {"model_type: ", "nodel_type: ", ""},
    };
    world w;
    size_t n;
    (void)state;
    begin(&w, NULL);
    pack_it(&w.t.source, w.path, 0);
    unsigned char *file = host_file(w.path, &n), *bad = malloc(n + 1);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *text = (char *)file + RMR_PACK_FRONT;
        const char *at = strstr(text, edits[i].from);
        assert_non_null(at);
        memcpy(bad, file, n);
        memcpy(bad + (at - (char *)file), edits[i].to, strlen(edits[i].to));
        rmr_pack_front f = {1, 0, 0, n};
        f.header_bytes = (uint64_t)atoll((char *)file + 97 + 14);
        f.manifest_bytes = (uint64_t)atoll((char *)file + 97 + 27 + 16);
        rmr_pack_seal(bad, &f);
        const remora_blob blob = {"m.remora", bad, n};
        const remora_source src = {
            .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
        remora_error err = HOST_ERROR;
        remora_model *m = NULL;
        remora_runtime *rt = host_runtime(NULL, 1, NULL);
        const remora_status st = remora_model_open(rt, &src, NULL, &m, &err);
        if ((st != REMORA_E_FORMAT && st != REMORA_E_UNSUPPORTED) ||
            strstr(err.message, edits[i].part) == NULL)
            fail_msg("%s: %d: %s", edits[i].to, st, err.message);
        remora_runtime_free(rt);
    }
    free(bad);
    free(file);
    end(&w);
}

/* There are no rows of tensors in it. */
static void a_pack_cannot_be_packed(void **state)
{
    world w;
    char again[128];
    remora_error err = HOST_ERROR;
    (void)state;
    begin(&w, NULL);
    pack_it(&w.t.source, w.path, 0);
    snprintf(again, sizeof again, "%s/again.remora", w.dir);
    const remora_source src = path_source(w.path);
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    assert_int_equal(remora_convert(rt, &src, again, NULL, &err), REMORA_E_UNSUPPORTED);
    assert_int_not_equal(access(again, F_OK), 0);
    remora_runtime_free(rt);
    end(&w);
}

/* ---- packs of earlier releases ---- */

static const struct {
    const char *name;
    tiny_opts o;
    int level;
} kept_packs[] = {
    {"v1-plain", {.layers = 2, .width = 24}, 0},
    {"v1-zstd", {.layers = 2, .width = 24}, 19},
    {"v1-dense-f16", {.dense = "qwen2", .dtype = "F16", .layers = 1, .width = 24}, 0},
};

/* Arithmetic may change its last bits between releases, not more. */
static void kept_packs_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kept_packs / sizeof *kept_packs; i++) {
        char path[1024];
        size_t n;
        remora_token ids[N];
        snprintf(path, sizeof path, "%s/%s.logits", kept, kept_packs[i].name);
        unsigned char *file = host_file(path, &n);
        assert_non_null(file);
        snprintf(path, sizeof path, "%s/%s.remora", kept, kept_packs[i].name);
        const remora_source src = path_source(path);
        remora_model *m = open_with(NULL, &src, 0);
        assert_int_equal(n, (size_t)8 * host_vocab(m) * 4);
        host_ids(ids, 8, host_vocab(m), 5);
        float *got = host_logits(m, ids, 8);
        for (size_t k = 0; k < n / 4; k++) {
            float want;
            memcpy(&want, file + 4 * k, 4);
            if (!(fabsf(got[k] - want) <= 1e-5f * (1 + fabsf(want))))
                fail_msg("%s: logit %zu is %g, was %g", path, k, (double)got[k], (double)want);
        }
        free(got);
        free(file);
        remora_model_free(m);
    }
}

static void make_kept(void)
{
    for (size_t i = 0; i < sizeof kept_packs / sizeof *kept_packs; i++) {
        char path[1024];
        remora_token ids[N];
        tiny t;
        snprintf(path, sizeof path, "%s/%s.remora", kept, kept_packs[i].name);
        if (access(path, F_OK) == 0) continue; /* kept means kept */
        tiny_make(&t, &kept_packs[i].o);
        pack_it(&t.source, path, kept_packs[i].level);
        remora_model *m = open_with(NULL, &t.source, 0);
        host_ids(ids, 8, host_vocab(m), 5);
        float *logits = host_logits(m, ids, 8);
        snprintf(path, sizeof path, "%s/%s.logits", kept, kept_packs[i].name);
        FILE *f = fopen(path, "wb");
        REQUIRE(f != NULL && fwrite(logits, (size_t)host_vocab(m) * 4, 8, f) == 8);
        fclose(f);
        free(logits);
        remora_model_free(m);
        tiny_free(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_logits_from_everywhere),
        cmocka_unit_test(memory_is_as_estimated),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(storage_that_fails),
        cmocka_unit_test(opening_can_be_stopped),
        cmocka_unit_test(weights_must_fit_the_config),
        cmocka_unit_test(a_pack_cannot_be_packed),
        cmocka_unit_test(kept_packs_open),
    };
    if (argc < 2) return 1;
    kept = argv[1];
    if (argc > 2) {
        make_kept();
        return 0;
    }
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(fixtures)};
    return RUN_GROUPS("packs", tests, model_tests);
}
