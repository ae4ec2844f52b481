/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF file against the folder it was made from: the same shape, the same logits, the same
 * tokens, however the file is opened. Arguments: the folder below REMORA_MODELS, the GGUF file, and
 * how far rows of logits may be apart: 0 where every element type is the same, and then every bit
 * is; 1e-4 (the promise to other implementations) where the router is F32 in one and BF16 in the
 * other, which sum in another order, or rope's divisors are rounded. */
#define _POSIX_C_SOURCE 200809L
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "guard_backend.h"
#include "host.h"

enum { MAX_IDS = 64, MAX_PARTS = 16 };

static rig R;
static const char *path, *twin;
static double limit;

/* The folder's logits at every position of ids_a, kept: as one prompt (attention in expanded form)
 * and token by token (absorbed). */
static const size_t pieces[2] = {0, 1};
static float *expect[2];
static const remora_token *ids;
static size_t n_ids;

static int open_folder(void **state)
{
    (void)state;
    if (twin != NULL && strlen(twin) < sizeof R.folder) strcpy(R.folder, twin);
    rig_open(&R, rig_runtime(2, NULL));
    ids = rig_ids(&R, "ids_a", &n_ids);
    if (n_ids > MAX_IDS) n_ids = MAX_IDS;
    const size_t width = R.info.n_vocab;
    for (int p = 0; p < 2; p++) {
        expect[p] = malloc(n_ids * width * sizeof(float));
        remora_session *s = rig_session(&R, REMORA_KV_F32, 0);
        rig_feed(s, ids, n_ids, pieces[p], REMORA_WANT_ALL);
        for (size_t i = 0; i < n_ids; i++)
            memcpy(expect[p] + i * width, rig_row(s, (uint32_t)i, width), width * sizeof(float));
        remora_session_free(s);
    }
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    free(expect[0]);
    free(expect[1]);
    rig_close(&R);
    return 0;
}

/* The same rig with the model of another source in place of the folder's. */
static rig open_source(const remora_source *src)
{
    rig g = R;
    remora_error err = {.struct_size = sizeof err};
    g.model = NULL;
    if (remora_model_open(R.rt, src, NULL, &g.model, &err) < 0) fail_msg("%s", err.message);
    assert_int_equal(remora_model_get_info(g.model, &g.info, NULL), REMORA_OK);
    return g;
}

static rig open_file(void)
{
    const remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = path};
    return open_source(&src);
}

static void same_shape(void **state)
{
    rig g = open_file();
    const remora_model_info *a = &R.info, *b = &g.info;
    (void)state;
    assert_true(a->n_layers == b->n_layers && a->n_vocab == b->n_vocab);
    assert_true(a->n_hidden == b->n_hidden && a->n_heads == b->n_heads);
    assert_true(a->kv_lora_rank == b->kv_lora_rank && a->rope_dim == b->rope_dim);
    assert_true(a->n_experts == b->n_experts && a->n_experts_used == b->n_experts_used);
    assert_true(a->n_shared_experts == b->n_shared_experts);
    assert_true(a->n_dense_layers == b->n_dense_layers && a->max_context == b->max_context);
    assert_int_equal(a->n_params_active, b->n_params_active);
    assert_int_equal(a->has_tokenizer, b->has_tokenizer);
    if (limit == 0) assert_memory_equal(a->fingerprint, b->fingerprint, sizeof a->fingerprint);
    remora_model_free(g.model);
}

static void compare_logits(rig *g, int p)
{
    const size_t width = R.info.n_vocab;
    remora_session *s = rig_session(g, REMORA_KV_F32, 0);
    rig_feed(s, ids, n_ids, pieces[p], REMORA_WANT_ALL);
    size_t close = 0;
    double worst = 0;
    for (size_t i = 0; i < n_ids; i++) {
        const float *got = rig_row(s, (uint32_t)i, width), *want = expect[p] + i * width;
        const double d = rig_distance(got, want, width);
        const int same = memcmp(got, want, width * sizeof *got) == 0;
        close += limit == 0 ? same : d <= limit;
        if (!(d <= worst)) worst = d;
    }
    if (close < (twin != NULL ? n_ids * 3 / 4 : n_ids))
        fail_msg("%zu of %zu rows within %g, the worst %g", close, n_ids, limit, worst);
    remora_session_free(s);
}

static void same_logits(void **state)
{
    rig g = open_file();
    (void)state;
    compare_logits(&g, 0);
    compare_logits(&g, 1);
    remora_model_free(g.model);
}

/* ---- on a device with a layout of its own ---- */

static void same_bits_on_the_guard(void **state)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    const size_t row = R.info.n_vocab * sizeof(float);
    rig here = open_file(), there = here;
    (void)state;
    assert_int_equal(guard_runtime_create(&o, &there.rt, NULL), REMORA_OK);
    const remora_source src = host_path_source(path);
    there.model = host_open(there.rt, &src);
    for (int p = 0; p < 2; p++) {
        remora_session *a = rig_session(&here, REMORA_KV_BF16, 0),
                       *b = rig_session(&there, REMORA_KV_BF16, 0);
        rig_feed(a, ids, n_ids, pieces[p], REMORA_WANT_ALL);
        rig_feed(b, ids, n_ids, pieces[p], REMORA_WANT_ALL);
        for (uint32_t i = 0; i < n_ids; i++)
            assert_memory_equal(rig_row(a, i, R.info.n_vocab), rig_row(b, i, R.info.n_vocab), row);
        remora_session_free(a);
        remora_session_free(b);
    }
    GUARD_IS_CLEAN(there.rt);
    remora_model_free(here.model);
    remora_model_free(there.model);
    remora_runtime_free(there.rt);
}

/* ---- other sources ---- */

static void read_file(const char *name, remora_blob *b)
{
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const long n = ftell(f);
    rewind(f);
    char *data = malloc((size_t)n);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    fclose(f);
    const char *slash = strrchr(name, '/');
    *b = (remora_blob){strdup(slash != NULL ? slash + 1 : name), data, (uint64_t)n};
}

/* The file, or all parts of a split one. */
static uint64_t read_parts(remora_blob *blobs)
{
    char name[1024];
    unsigned count = 0;
    const size_t n = strlen(path), tail = sizeof "00001-of-00002.gguf" - 1;
    if (n < tail || sscanf(path + n - tail, "00001-of-%5u.gguf", &count) != 1) {
        read_file(path, blobs);
        return 1;
    }
    assert_true(count <= MAX_PARTS);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%.*s%05u-of-%05u.gguf", (int)(n - tail), path, i + 1, count);
        read_file(name, &blobs[i]);
    }
    return count;
}

typedef struct store {
    const remora_blob *blobs;
    uint64_t n;
    long reads, fail_at; /* read number fail_at fails; 0: none */
} store;

static const remora_blob *find(const store *s, const char *name)
{
    for (uint64_t i = 0; i < s->n; i++)
        if (strcmp(s->blobs[i].name, name) == 0) return &s->blobs[i];
    return NULL;
}

static remora_status REMORA_CALL io_size(void *user, const char *name, uint64_t *size)
{
    const remora_blob *b = find(user, name);
    if (b == NULL) return REMORA_E_NOT_FOUND;
    *size = b->size;
    return REMORA_OK;
}

static remora_status REMORA_CALL io_read(void *user, const char *name, uint64_t off, void *buf,
                                         uint64_t n)
{
    store *s = user;
    const remora_blob *b = find(s, name);
    if (++s->reads == s->fail_at) return REMORA_E_IO;
    memcpy(buf, (const char *)b->data + off, (size_t)n);
    return REMORA_OK;
}

static void memory_and_callbacks(void **state)
{
    remora_blob blobs[MAX_PARTS];
    const uint64_t n = read_parts(blobs);
    store st = {blobs, n, 0, 0};
    (void)state;
    const remora_source memory = {
        .struct_size = sizeof memory, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = n};
    rig g = open_source(&memory);
    compare_logits(&g, 0);
    remora_model_free(g.model);
    const remora_source host = {.struct_size = sizeof host,
                                .kind = REMORA_SOURCE_IO,
                                .path = blobs[n - 1].name, /* any part will do */
                                .io_user = &st,
                                .io_size = io_size,
                                .io_read = io_read};
    g = open_source(&host);
    compare_logits(&g, 0);
    remora_model_free(g.model);
    for (uint64_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)blobs[i].name);
        free((void *)(uintptr_t)blobs[i].data);
    }
}

/* Reads and allocations that fail, ever more of them between those that are tried: a status, and
 * nothing is left behind. */
static void failures(void **state)
{
    remora_blob blobs[MAX_PARTS];
    tmem mem = {0};
    const uint64_t n = read_parts(blobs);
    store st = {blobs, n, 0, 0};
    remora_source src = {.struct_size = sizeof src,
                         .kind = REMORA_SOURCE_IO,
                         .path = blobs[0].name,
                         .io_user = &st,
                         .io_size = io_size,
                         .io_read = io_read};
    const remora_model_opts o = {.struct_size = sizeof o};
    const int large = blobs[0].size > 1 << 23; /* they take long; small ones are read alike */
    (void)state;
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    const long before = atomic_load(&mem.blocks);
    for (int memory = 0; memory < 2 && !large; memory++)
        for (long k = 1, hit = 1; hit; k += 1 + k / 8) {
            remora_model *m = NULL;
            remora_error err = {.struct_size = sizeof err};
            st.reads = 0;
            st.fail_at = memory ? 0 : k;
            tmem_arm(&mem, memory ? k : 0);
            const remora_status got = remora_model_open(rt, &src, &o, &m, &err);
            hit = memory ? atomic_load(&mem.calls) >= k : st.reads >= k;
            tmem_arm(&mem, 0);
            assert_int_equal(got, !hit ? REMORA_OK : memory ? REMORA_E_NOMEM : REMORA_E_CALLBACK);
            assert_int_equal(m == NULL, hit);
            remora_model_free(m);
            assert_int_equal(atomic_load(&mem.blocks), before);
        }
    remora_runtime_free(rt);
    for (uint64_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)blobs[i].name);
        free((void *)(uintptr_t)blobs[i].data);
    }
}

static void metadata(void **state)
{
    rig g = open_file();
    char text[64];
    size_t n;
    (void)state;
    assert_int_equal(
        remora_model_meta(g.model, "gguf.general.architecture", text, sizeof text, &n, NULL),
        REMORA_OK);
    assert_true(n > 0);
    assert_int_equal(remora_model_meta(g.model, "config.model_type", text, sizeof text, &n, NULL),
                     REMORA_OK);
    remora_model_free(g.model);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_shape),
        cmocka_unit_test(same_logits),
        cmocka_unit_test(same_bits_on_the_guard),
        cmocka_unit_test(memory_and_callbacks),
        cmocka_unit_test(failures),
        cmocka_unit_test(metadata),
    };
    if (argc < 4 || argc > 5) return 2;
    if (!rig_find(&R, argv[1])) return 1;
    path = argv[2];
    limit = atof(argv[3]);
    twin = argc > 4 ? argv[4] : NULL;
    const int failed = RUN_GROUP("gguf", tests, open_folder, close_folder);
    goldens_close(&R.golden);
    return failed;
}
