/* SPDX-License-Identifier: Apache-2.0 */
/* P22, one result on the CPU: logits are the same bit for bit for every kernel set, number of
 * threads, chunk size, budget, batch of sessions, fork, source of the bytes and floating-point mode
 * of the host. Argument: the model's folder.
 *
 * The timeline below alternates prompts (expanded form) and short appends (absorbed form), and in
 * both forms crosses the borders of pages (32), of attention segments (256) and of the chunks
 * tried. */
#define _DEFAULT_SOURCE
#include "groups.h"
#include "host.h"
#include "rig.h"

#include <dirent.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { WHOLE = 1024, MAX_BLOBS = 64 };
static const size_t pieces[] = {40, 1, 5, 31, 200, 1, 20, 1, 90, 33, 7, 31, 40, 31};
enum { N_PIECES = sizeof pieces / sizeof pieces[0], N_TOKENS = 531 };

static rig R;
static const remora_token *ids;
/* One thread, the whole at once, best kernel set, for each type of cache. */
static const int32_t types[] = {REMORA_KV_F32, REMORA_KV_BF16, REMORA_KV_INT8};
enum { N_TYPES = sizeof types / sizeof types[0] };
static float *expected[N_TYPES];

/* INT8, or where attention is grouped what there is instead. */
static int32_t int8_or_f32(void)
{
    return R.info.kv_lora_rank > 0 ? REMORA_KV_INT8 : REMORA_KV_F32;
}

/* ---- running the timeline ---- */

typedef struct way {
    int32_t kv;
    uint32_t chunk;
    size_t n_pieces;
    int eval_each; /* evaluate after every append, instead of once at the end */
    int64_t budget_us;
    uint64_t max_tokens;
} way;

static void eval(remora_session *const *s, size_t n, const way *w)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_eval_opts o = {
        .struct_size = sizeof o, .budget_us = w->budget_us, .max_tokens = w->max_tokens};
    remora_status st;
    while ((st = remora_eval(s, n, &o, &err)) == REMORA_MORE)
        ;
    if (st < 0) fail_msg("eval: %s", err.message);
}

/* Copy the rows that are ready to out. */
static size_t take_rows(remora_session *s, size_t n_vocab, float *out)
{
    remora_session_info i = {.struct_size = sizeof i};
    assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
    for (uint32_t r = 0; r < i.n_rows; r++)
        memcpy(out + r * n_vocab, rig_row(s, r, n_vocab), n_vocab * sizeof *out);
    return i.n_rows;
}

/* Logits of all tokens of pieces [first, last) appended to the session. */
static void go_on(remora_session *s, const rig *r, const way *w, size_t first, size_t last,
                  float *out)
{
    size_t at = 0;
    for (size_t i = 0; i < first; i++) at += pieces[i];
    for (size_t i = first, rows = 0; i < last; i++) {
        assert_int_equal(remora_session_append(s, ids + at, pieces[i], REMORA_WANT_ALL, NULL),
                         REMORA_OK);
        at += pieces[i];
        if (!w->eval_each && i + 1 < last) continue;
        eval(&s, 1, w);
        rows += take_rows(s, r->info.n_vocab, out + rows * r->info.n_vocab);
    }
}

static size_t tokens_of(size_t n_pieces)
{
    size_t n = 0;
    for (size_t i = 0; i < n_pieces; i++) n += pieces[i];
    return n;
}

static float *logits(const rig *r, const way *w)
{
    const size_t n = w->n_pieces > 0 ? w->n_pieces : N_PIECES;
    float *out = calloc(tokens_of(n) * r->info.n_vocab, sizeof *out);
    remora_session *s = rig_session(r, w->kv, w->chunk);
    go_on(s, r, w, 0, n, out);
    remora_session_free(s);
    return out;
}

static const float *expected_for(int32_t kv)
{
    size_t i = 0;
    while (types[i] != kv) i++;
    return expected[i];
}

/* Positions [from, from + n). */
static void same_bits(const float *got, int32_t kv, size_t from, size_t n, const char *what)
{
    const size_t width = R.info.n_vocab;
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i * width, expected_for(kv) + (from + i) * width, width * sizeof *got) !=
            0)
            fail_msg("%s: position %zu differs", what, from + i);
}

static void check(const rig *r, const way *w, const char *what)
{
    float *got = logits(r, w);
    same_bits(got, w->kv, 0, tokens_of(w->n_pieces > 0 ? w->n_pieces : N_PIECES), what);
    free(got);
}

static void open_on(rig *r, int threads, const char *isa)
{
    *r = R;
    rig_open(r, rig_runtime(threads, isa));
}

static int make_expected(void **state)
{
    (void)state;
    rig_open(&R, rig_runtime(1, NULL));
    const size_t bytes = (size_t)N_TOKENS * R.info.n_vocab * sizeof(float);
    for (size_t i = 0; i < N_TYPES; i++) {
        if (types[i] == REMORA_KV_INT8 && int8_or_f32() != REMORA_KV_INT8) continue;
        expected[i] = logits(&R, &(way){.kv = types[i], .chunk = WHOLE});
        for (size_t k = 0; k < i; k++) assert_true(memcmp(expected[k], expected[i], bytes) != 0);
    }
    return 0;
}

static int free_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) free(expected[i]);
    rig_close(&R);
    return 0;
}

/* ---- machines ---- */

static const uint32_t chunks[] = {1, 7, 64, WHOLE};

/* Small chunks make many steps, which are slow where there are more threads than cores: there the
 * beginning of the timeline must do. */
static void check_chunks(const rig *r, int threads, const char *what)
{
    for (size_t c = RIG_SLOW; c < sizeof chunks / sizeof chunks[0]; c++) {
        char name[128];
        const size_t n = threads == 1 || chunks[c] > 7 ? N_PIECES : chunks[c] > 1 ? 5 : 3;
        const way w = {.kv = REMORA_KV_F32, .chunk = chunks[c], .n_pieces = n};
        const way half = {.kv = REMORA_KV_BF16, .chunk = chunks[c], .n_pieces = n < 5 ? n : 5};
        const way int8 = {.kv = int8_or_f32(), .chunk = chunks[c], .n_pieces = n};
        snprintf(name, sizeof name, "%s, chunk %u", what, chunks[c]);
        check(r, &w, name);
        if (threads < 3) check(r, &half, name);
        if (int8.kv == REMORA_KV_INT8) check(r, &int8, name);
    }
}

static void kernel_sets_threads_and_chunks(void **state)
{
    char sets[HOST_SETS][16];
    static const int threads[] = {1, 2, 3, 5};
    const int is_large = R.info.n_vocab > 1000;
    int tried = 0;
    (void)state;
    for (uint32_t i = host_sets(sets); --i > 0;) { /* all but the first, the plain one */
        for (size_t t = 0; t < (RIG_SLOW ? 2 : sizeof threads / sizeof threads[0]); t++) {
            if (is_large && tried >= 4 && t != 1) continue; /* the fixtures have the full product */
            char name[64];
            remora_runtime *rt = rig_runtime(threads[t], sets[i]);
            if (rt == NULL) break; /* not on this machine */
            rig r = R;
            rig_open(&r, rt);
            snprintf(name, sizeof name, "%s, %d threads", sets[i], threads[t]);
            check_chunks(&r, threads[t], name);
            rig_close(&r);
            if (t == 1) host_ran(sets[i]); /* always tried */
            tried++;
        }
    }
}

/* Plain C calls fmaf in a function: it is slow, so the beginning of the timeline must do, but once.
 */
static void plain_c(void **state)
{
    static const way once = {.kv = REMORA_KV_F32, .chunk = WHOLE, .n_pieces = 5};
    static const way small = {.kv = REMORA_KV_BF16, .chunk = 7, .n_pieces = 3};
    const way int8 = {.kv = int8_or_f32(), .chunk = 7, .n_pieces = 4};
    const int is_large = R.info.n_vocab > 1000;
    rig r;
    (void)state;
    for (int threads = is_large ? 3 : 1; threads <= 3; threads += 2) {
        open_on(&r, threads, "ref");
        check(&r, &small, "ref, chunk 7");
        check(&r, &int8, "ref, 8 bits");
        if (threads == 1 && !is_large) check(&r, &once, "ref");
        rig_close(&r);
    }
}

/* ---- ways to cut the work ---- */

static void evaluations(void **state)
{
    const way ways[] = {
        {.kv = REMORA_KV_F32, .chunk = WHOLE, .eval_each = 1},
        {.kv = REMORA_KV_F32, .chunk = 7, .eval_each = 1},
        {.kv = REMORA_KV_F32, .budget_us = 1},
        {.kv = REMORA_KV_BF16, .budget_us = 1, .eval_each = 1},
        {.kv = REMORA_KV_F32, .chunk = WHOLE, .budget_us = 300},
        {.kv = int8_or_f32(), .chunk = WHOLE, .eval_each = 1},
        {.kv = int8_or_f32(), .budget_us = 1, .eval_each = 1},
        {.kv = REMORA_KV_F32, .chunk = WHOLE, .max_tokens = 33},
        {.kv = REMORA_KV_F32, .chunk = 64, .max_tokens = 10, .budget_us = 1},
        {.kv = REMORA_KV_BF16, .chunk = 64, .max_tokens = 1, .n_pieces = 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "way %zu", i);
        check(&R, &ways[i], name);
    }
}

/* ---- several sessions ---- */

typedef struct member {
    remora_session *s;
    size_t from,
        to; /* pieces that are evaluated together with the others'; those before are there */
    int32_t kv;
} member;

static void append_pieces(remora_session *s, size_t from, size_t to)
{
    size_t at = tokens_of(from);
    for (size_t i = from; i < to; at += pieces[i++])
        assert_int_equal(remora_session_append(s, ids + at, pieces[i], REMORA_WANT_ALL, NULL),
                         REMORA_OK);
}

/* Sessions at different places of the timeline, prompts beside single tokens, in one eval. */
static void batch(const way *w, const char *what)
{
    const int32_t int8 = int8_or_f32();
    member m[] = {{NULL, 1, 2, REMORA_KV_F32},   {NULL, 4, 5, REMORA_KV_F32},
                  {NULL, 5, 6, REMORA_KV_BF16},  {NULL, 0, 4, REMORA_KV_F32},
                  {NULL, 0, 1, REMORA_KV_BF16},  {NULL, 7, 8, int8},
                  {NULL, 11, 14, REMORA_KV_F32}, {NULL, 2, 3, REMORA_KV_BF16},
                  {NULL, 9, 12, int8},           {NULL, 3, 4, int8}};
    enum { N = sizeof m / sizeof m[0] };
    remora_session *all[N];
    for (size_t i = 0; i < N; i++) {
        /* one session beside the first has a chunk of its own: the first's counts */
        all[i] = m[i].s = rig_session(&R, m[i].kv, i == 1 ? 5 : w->chunk);
        append_pieces(m[i].s, 0, m[i].from);
        eval(&m[i].s, 1, &(way){.chunk = w->chunk});
        append_pieces(m[i].s, m[i].from, m[i].to);
    }
    eval(all, N, w);
    for (size_t i = 0; i < N; i++) {
        const size_t from = tokens_of(m[i].from), n = tokens_of(m[i].to) - from;
        float *got = malloc(n * R.info.n_vocab * sizeof *got);
        assert_int_equal(take_rows(m[i].s, R.info.n_vocab, got), n);
        same_bits(got, m[i].kv, from, n, what);
        free(got);
        remora_session_free(m[i].s);
    }
}

static void batches(void **state)
{
    (void)state;
    batch(&(way){.chunk = WHOLE}, "batch");
    batch(&(way){.chunk = 7}, "batch, chunk 7");
    batch(&(way){.chunk = 64, .budget_us = 1}, "batch, budget");
    batch(&(way){.chunk = 64, .max_tokens = 50}, "batch, max_tokens");
}

static void rows_of_both_are_right(remora_session *const *s, const char *what)
{
    for (int i = 0; i < 2; i++) {
        const size_t n = tokens_of(4 + (size_t)i);
        float *got = malloc(n * R.info.n_vocab * sizeof *got);
        assert_int_equal(take_rows(s[i], R.info.n_vocab, got), n);
        same_bits(got, REMORA_KV_F32, 0, n, what);
        free(got);
    }
}

static void begin_again(remora_session *const *s)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(remora_session_trim(s[i], 0, NULL), REMORA_OK);
        append_pieces(s[i], 0, 4 + (size_t)i);
    }
}

/* A step left half done is dropped when other sessions come, and done again. */
static void interrupted_batches(void **state)
{
    const way slow = {.chunk = 64, .budget_us = 1};
    const remora_eval_opts once = {.struct_size = sizeof once, .budget_us = 1};
    const remora_eval_opts five = {.struct_size = sizeof five, .max_tokens = 5};
    remora_session *s[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        s[i] = rig_session(&R, REMORA_KV_F32, 64);
        append_pieces(s[i], 0, 4 + (size_t)i);
    }
    remora_session *swapped[2] = {s[1], s[0]};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(remora_eval(s, 2, &once, NULL), REMORA_MORE);
        assert_int_equal(remora_eval(swapped, 2, &once, NULL), REMORA_MORE);
        assert_int_equal(remora_eval(swapped, 1, &once, NULL), REMORA_MORE);
    }
    eval(s, 2, &slow);
    rows_of_both_are_right(s, "interrupted");
    /* the second session goes on alone, or back, while the first one holds a step with both */
    begin_again(s);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 2; k++) assert_int_equal(remora_eval(s, 2, &once, NULL), REMORA_MORE);
        assert_int_equal(remora_eval(&s[1], 1, &five, NULL), REMORA_MORE);
    }
    eval(s, 2, &slow);
    rows_of_both_are_right(s, "gone on alone");
    begin_again(s);
    for (int k = 0; k < 2; k++) assert_int_equal(remora_eval(s, 2, &once, NULL), REMORA_MORE);
    assert_int_equal(remora_session_trim(s[1], 0, NULL), REMORA_OK);
    append_pieces(s[1], 0, 5);
    eval(s, 2, &slow);
    rows_of_both_are_right(s, "gone back");
    for (int i = 0; i < 2; i++) remora_session_free(s[i]);
}

/* ---- forks and trims ---- */

/* Original and fork go on alternately, so that a page wrongly shared would be written by both. */
static void forks(void **state)
{
    const way w = {.kv = int8_or_f32(), .chunk = 64, .eval_each = 1};
    const size_t width = R.info.n_vocab;
    float *got = malloc((size_t)N_TOKENS * width * sizeof *got);
    (void)state;
    for (size_t at = 1; at < 9; at++) {
        remora_session *a = rig_session(&R, w.kv, w.chunk), *b = NULL, *other = NULL;
        go_on(a, &R, &w, 0, at, got);
        assert_int_equal(remora_session_fork(a, &b, NULL), REMORA_OK);
        assert_int_equal(remora_session_fork(a, &other, NULL), REMORA_OK);
        /* one fork goes another way first */
        assert_int_equal(remora_session_append(other, ids, 40, REMORA_WANT_ALL, NULL), REMORA_OK);
        eval(&other, 1, &w);
        go_on(b, &R, &w, at, at + 2, got);
        same_bits(got, w.kv, tokens_of(at), tokens_of(at + 2) - tokens_of(at), "fork");
        go_on(a, &R, &w, at, at + 3, got);
        same_bits(got, w.kv, tokens_of(at), tokens_of(at + 3) - tokens_of(at), "original");
        remora_session_free(a);
        go_on(b, &R, &w, at + 2, at + 3, got);
        same_bits(got, w.kv, tokens_of(at + 2), pieces[at + 2], "fork without its original");
        remora_session_free(other);
        remora_session_free(b);
    }
    free(got);
}

/* Fork in the middle of a step and with tokens pending. */
static void fork_of_a_half_done_step(void **state)
{
    const way w = {.kv = REMORA_KV_F32, .chunk = 64};
    const remora_eval_opts once = {.struct_size = sizeof once, .budget_us = 1};
    const size_t n = tokens_of(5), width = R.info.n_vocab;
    float *got = malloc(n * width * sizeof *got);
    remora_session *a = rig_session(&R, w.kv, w.chunk), *b = NULL;
    (void)state;
    append_pieces(a, 0, 5);
    for (int i = 0; i < 8; i++) assert_int_equal(remora_eval(&a, 1, &once, NULL), REMORA_MORE);
    assert_int_equal(remora_session_fork(a, &b, NULL), REMORA_OK);
    remora_session *both[2] = {b, a};
    eval(both, 2, &w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take_rows(both[i], width, got), n);
        same_bits(got, w.kv, 0, n, i == 0 ? "fork" : "original");
    }
    remora_session_free(a);
    remora_session_free(b);
    free(got);
}

/* Trim into history, in and between pages, shared or not, and append the same tokens in the same
 * form again. */
static void trims(void **state)
{
    const way w = {.kv = int8_or_f32(), .chunk = 64, .eval_each = 1};
    const size_t width = R.info.n_vocab, end = tokens_of(5); /* the fifth piece is a prompt */
    float *got = malloc((size_t)N_TOKENS * width * sizeof *got);
    remora_session *a = rig_session(&R, w.kv, w.chunk);
    (void)state;
    go_on(a, &R, &w, 0, 5, got);
    for (size_t keep = end - 32; keep > 77; keep -= 29) { /* what comes again is a prompt too */
        remora_session *b = NULL;
        assert_int_equal(remora_session_fork(a, &b, NULL), REMORA_OK);
        /* another text over history that the fork shares */
        assert_int_equal(remora_session_trim(a, keep, NULL), REMORA_OK);
        assert_int_equal(remora_session_append(a, ids + 1, 35, REMORA_WANT_NONE, NULL), REMORA_OK);
        eval(&a, 1, &w);
        go_on(b, &R, &w, 5, 6, got);
        same_bits(got, w.kv, end, pieces[5], "fork of what was trimmed");
        /* and the true one again */
        assert_int_equal(remora_session_trim(a, keep, NULL), REMORA_OK);
        assert_int_equal(remora_session_append(a, ids + keep, end - keep, REMORA_WANT_ALL, NULL),
                         REMORA_OK);
        eval(&a, 1, &w);
        assert_int_equal(take_rows(a, width, got), end - keep);
        same_bits(got, w.kv, keep, end - keep, "after a trim");
        remora_session_free(b);
    }
    remora_session_free(a);
    free(got);
}

/* sync finds the common prefix: replacing an ending and putting the true one back. */
static void sync_again(void **state)
{
    const way w = {.kv = REMORA_KV_F32, .chunk = 64};
    const size_t n = tokens_of(5), cut = 100, width = R.info.n_vocab;
    float *got = malloc(n * width * sizeof *got);
    remora_token *other = malloc(n * sizeof *other);
    remora_session *s = rig_session(&R, w.kv, w.chunk);
    size_t reused = 0;
    (void)state;
    go_on(s, &R, &w, 0, 5, got);
    memcpy(other, ids, n * sizeof *other);
    other[cut] = ids[cut] == 5 ? 6 : 5;
    assert_int_equal(remora_session_sync(s, other, cut + 40, REMORA_WANT_LAST, &reused, NULL),
                     REMORA_OK);
    assert_int_equal(reused, cut);
    eval(&s, 1, &w);
    assert_int_equal(remora_session_sync(s, ids, n, REMORA_WANT_ALL, &reused, NULL), REMORA_OK);
    assert_int_equal(reused, cut);
    eval(&s, 1, &w);
    assert_int_equal(take_rows(s, width, got), n - cut);
    same_bits(got, w.kv, cut, n - cut, "sync");
    remora_session_free(s);
    free(other);
    free(got);
}

/* ---- where the bytes come from ---- */

typedef struct files {
    remora_blob blob[MAX_BLOBS];
    char names[MAX_BLOBS][64];
    uint64_t n;
} files;

static void load_files(files *f)
{
    DIR *d = opendir(R.folder);
    const struct dirent *e;
    assert_non_null(d);
    f->n = 0;
    while ((e = readdir(d)) != NULL) {
        const char *dot = strrchr(e->d_name, '.');
        size_t size = 0;
        if (dot == NULL || (strcmp(dot, ".json") != 0 && strcmp(dot, ".safetensors") != 0))
            continue;
        if (strncmp(e->d_name, "golden", 6) == 0) continue;
        assert_true(f->n < MAX_BLOBS && strlen(e->d_name) < sizeof f->names[0]);
        strcpy(f->names[f->n], e->d_name);
        void *data = goldens_read_file(R.folder, e->d_name, &size);
        assert_non_null(data);
        f->blob[f->n] = (remora_blob){f->names[f->n], data, size};
        f->n++;
    }
    closedir(d);
}

static void free_files(files *f)
{
    for (uint64_t i = 0; i < f->n; i++) free((void *)(uintptr_t)f->blob[i].data);
}

static const remora_blob *blob_of(const files *f, const char *name)
{
    for (uint64_t i = 0; i < f->n; i++)
        if (strcmp(f->names[i], name) == 0) return &f->blob[i];
    return NULL;
}

static remora_status io_size(void *user, const char *name, uint64_t *size)
{
    const remora_blob *b = blob_of(user, name);
    if (b == NULL) return REMORA_E_NOT_FOUND;
    *size = b->size;
    return REMORA_OK;
}

static remora_status io_read(void *user, const char *name, uint64_t off, void *buf, uint64_t n)
{
    const remora_blob *b = blob_of(user, name);
    if (b == NULL || off > b->size || n > b->size - off) return REMORA_E_IO;
    memcpy(buf, (const char *)b->data + off, n);
    return REMORA_OK;
}

static void check_source(const remora_source *src, uint32_t flags, const char *what)
{
    const way w = {.kv = REMORA_KV_F32, .chunk = 64, .n_pieces = 5};
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    remora_error err = {.struct_size = sizeof err};
    rig r = R;
    r.model = NULL;
    r.rt = rig_runtime(2, NULL);
    if (remora_model_open(r.rt, src, &o, &r.model, &err) < 0) fail_msg("%s: %s", what, err.message);
    remora_model_info i = {.struct_size = sizeof i};
    assert_int_equal(remora_model_get_info(r.model, &i, NULL), REMORA_OK);
    assert_memory_equal(i.fingerprint, R.info.fingerprint, sizeof i.fingerprint);
    check(&r, &w, what);
    rig_close(&r);
}

static void sources(void **state)
{
    files f;
    (void)state;
    load_files(&f);
    const remora_source path = {
        .struct_size = sizeof path, .kind = REMORA_SOURCE_PATH, .path = R.folder};
    const remora_source memory = {.struct_size = sizeof memory,
                                  .kind = REMORA_SOURCE_MEMORY,
                                  .blobs = f.blob,
                                  .n_blobs = f.n};
    const remora_source io = {.struct_size = sizeof io,
                              .kind = REMORA_SOURCE_IO,
                              .io_user = &f,
                              .io_size = io_size,
                              .io_read = io_read};
    check_source(&path, 0, "path");
    check_source(&path, REMORA_MODEL_NO_MMAP, "path, no mmap");
    check_source(&memory, 0, "memory");
    check_source(&io, 0, "io");
    free_files(&f);
}

/* ---- the host's floating-point mode ---- */

#if defined(__x86_64__)
/* Rows of the head become subnormal numbers (bf16 1, 2, 3, ...), so that their logits are too: a
 * thread that flushes them would give zeros. */
static void make_subnormal_head(files *f)
{
    uint64_t header = 0;
    for (uint64_t i = 0; i < f->n; i++) {
        char *p = (char *)(uintptr_t)f->blob[i].data;
        if (strstr(f->names[i], ".safetensors") == NULL || strstr(f->names[i], "index") != NULL)
            continue;
        memcpy(&header, p, 8);
        json_t *h = json_loadb(p + 8, header, 0, NULL);
        const json_t *head = json_object_get(h, "lm_head.weight");
        if (head == NULL) head = json_object_get(h, "model.embed_tokens.weight"); /* tied */
        const json_t *at = json_object_get(head, "data_offsets");
        if (at != NULL) {
            uint16_t *w =
                (uint16_t *)(void *)(p + 8 + header + json_integer_value(json_array_get(at, 0)));
            for (uint16_t k = 0; k < 4 * R.info.n_hidden; k++) w[k] = (uint16_t)(1 + k % 0x7f);
        }
        json_decref(h);
    }
}

static float *with_mode(const remora_source *src, unsigned mxcsr, const way *w)
{
    const unsigned before = _mm_getcsr();
    remora_error err = {.struct_size = sizeof err};
    rig r = R;
    _mm_setcsr(mxcsr);
    r.rt = rig_runtime(2, NULL); /* threads inherit the mode of their maker */
    if (remora_model_open(r.rt, src, NULL, &r.model, &err) < 0) fail_msg("open: %s", err.message);
    float *got = logits(&r, w);
    rig_close(&r);
    assert_int_equal(_mm_getcsr() & ~0x3fu,
                     mxcsr); /* the host's mode is as it was, but for sticky flags */
    _mm_setcsr(before);
    return got;
}

static void floating_point_mode(void **state)
{
    enum { MASKED = 0x1f80, DAZ = 0x40, FTZ = 0x8000, UP = 0x4000, DOWN = 0x2000 };
    static const unsigned modes[] = {MASKED | DAZ | FTZ, MASKED | UP, MASKED | DOWN | DAZ};
    const way w = {.kv = REMORA_KV_F32, .chunk = 64, .n_pieces = 4};
    const size_t n = tokens_of(4), width = R.info.n_vocab;
    files f;
    (void)state;
    load_files(&f);
    make_subnormal_head(&f);
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = f.blob, .n_blobs = f.n};
    float *normal = with_mode(&src, MASKED, &w);
    assert_true(normal[0] != 0 && normal[0] > -1e-36f && normal[0] < 1e-36f);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        float *got = with_mode(&src, modes[i], &w);
        if (memcmp(got, normal, n * width * sizeof *got) != 0)
            fail_msg("mode 0x%x differs", modes[i]);
        free(got);
    }
    free(normal);
    free_files(&f);
}
#else
static void floating_point_mode(void **state)
{
    const way w = {.kv = REMORA_KV_F32, .chunk = 64, .n_pieces = 4};
    (void)state;
    fesetround(FE_UPWARD);
    float *got = logits(&R, &w);
    fesetround(FE_TONEAREST);
    same_bits(got, w.kv, 0, tokens_of(4), "rounding mode");
    free(got);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_sets_threads_and_chunks),
        cmocka_unit_test(evaluations),
        cmocka_unit_test(batches),
        cmocka_unit_test(interrupted_batches),
        cmocka_unit_test(forks),
        cmocka_unit_test(fork_of_a_half_done_step),
        cmocka_unit_test(trims),
        cmocka_unit_test(sync_again),
        cmocka_unit_test(sources),
        cmocka_unit_test(floating_point_mode),
        cmocka_unit_test(plain_c), /* not where RIG_SLOW */
    };
    size_t n = 0;
    if (argc < 2) return 2;
    if (!rig_find(&R, argv[1])) return 1;
    ids = goldens_i32(&R.golden, strcmp(argv[1], "krill") == 0 ? "nll_ids" : "ids_long", &n);
    if (ids == NULL || n < N_TOKENS || tokens_of(N_PIECES) != N_TOKENS) return 2;
    const int failed = run_group("one result", tests, sizeof tests / sizeof *tests - RIG_SLOW,
                                 make_expected, free_expected);
    goldens_close(&R.golden);
    return failed;
}
