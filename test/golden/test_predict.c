/* SPDX-License-Identifier: Apache-2.0 */
/* The prediction layer of krill against its goldens, from every kind of file that has it; and what
 * leaving it out changes: memory, and nothing else. Arguments: the folder below REMORA_MODELS and,
 * for a file that was made from it, the file and the limit. Without a file the folder is opened, on
 * the guarded backend too, and a pack that is made of it here.
 *
 * The limit is that of the main model (test_krill.c): two computations in float32 that round in
 * different places. */
#define _POSIX_C_SOURCE 200809L
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "groups.h"
#include "guard_backend.h"
#include "session.h"

static rig R;
static const char *path;
static double limit = 1e-4;

static int open_model(void **state)
{
    (void)state;
    if (path != NULL && strlen(path) < sizeof R.folder) strcpy(R.folder, path);
    rig_open(&R, rig_runtime(2, NULL));
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    rig_close(&R);
    return 0;
}

static remora_session *predicting(const rig *r)
{
    const remora_session_opts o = {
        .struct_size = sizeof o, .flags = REMORA_SESSION_PREDICTION, .kv_type = REMORA_KV_F32};
    remora_error err = {.struct_size = sizeof err};
    remora_session *s;
    if (remora_session_create(r->model, &o, &s, &err) < 0) fail_msg("%s", err.message);
    return s;
}

/* The hidden states of n output rows. */
static float *hidden_of(const rig *r, const remora_session *s, size_t n)
{
    const size_t width = r->info.n_hidden;
    float *hidden = malloc(n * width * sizeof *hidden);
    for (uint32_t i = 0; i < n; i++) {
        size_t got = 0;
        assert_int_equal(remora_session_hidden(s, i, hidden + i * width, width, &got, NULL),
                         REMORA_OK);
        assert_int_equal(got, width);
    }
    return hidden;
}

/* The logits at all tokens but the last, `piece` tokens at a time; 0: all at once. */
static float *predicted(const rig *r, const char *ids, size_t piece, size_t *n)
{
    const size_t width = r->info.n_vocab, n_hidden = r->info.n_hidden;
    size_t all = 0;
    const remora_token *t = rig_ids(r, ids, &all);
    remora_session *s = predicting(r);
    rig_feed(s, t, all, 0, REMORA_WANT_ALL | REMORA_WANT_HIDDEN);
    float *hidden = hidden_of(r, s, all), *logits = malloc(all * width * sizeof *logits);
    *n = all - 1;
    for (size_t at = 0, take; at < *n; at += take) {
        take = piece > 0 && piece < *n - at ? piece : *n - at;
        const rmr_prediction p = {.first = at,
                                  .n = (uint32_t)take,
                                  .hidden = hidden + at * n_hidden,
                                  .next = t + at + 1,
                                  .n_out = (uint32_t)take,
                                  .logits = logits + at * width};
        remora_error err = {.struct_size = sizeof err};
        if (rmr_predict(s, &p, NULL, &err) < 0) fail_msg("predict: %s", err.message);
    }
    free(hidden);
    remora_session_free(s);
    return logits;
}

/* The token that a draft would be, without the logits of others. */
static remora_token most_likely(const rig *r, const char *ids)
{
    size_t all = 0;
    const remora_token *t = rig_ids(r, ids, &all);
    remora_session *s = predicting(r);
    remora_token best = -1;
    rig_feed(s, t, all, 0, REMORA_WANT_ALL | REMORA_WANT_HIDDEN);
    float *hidden = hidden_of(r, s, all);
    const rmr_prediction p = {
        .n = (uint32_t)all - 1, .hidden = hidden, .next = t + 1, .n_out = 1, .best = &best};
    assert_int_equal(rmr_predict(s, &p, NULL, NULL), REMORA_OK);
    free(hidden);
    remora_session_free(s);
    return best;
}

static void compare(const rig *r, const char *ids, const char *golden)
{
    const size_t width = r->info.n_vocab;
    size_t n = 0;
    float *whole = predicted(r, ids, 0, &n), *pieces = predicted(r, ids, 3, &n);
    const float *want = rig_f32(r, golden, n * width);
    for (size_t i = 0; i < n; i++) {
        const double d = rig_distance(whole + i * width, want + i * width, width);
        if (!(d <= limit)) fail_msg("%s, row %zu: distance %g, limit %g", ids, i, d, limit);
    }
    assert_memory_equal(whole, pieces, n * width * sizeof *whole);
    const float *last = whole + (n - 1) * width;
    const remora_token best = most_likely(r, ids);
    assert_in_range(best, 0, width - 1);
    for (size_t i = 0; i < width; i++) assert_true(last[i] <= last[best]);
    free(whole);
    free(pieces);
}

static void compare_all(const rig *r)
{
    assert_int_equal(r->info.n_prediction_layers, 1);
    compare(r, "ids_a", "mtp_logits_a");
    compare(r, "ids_b", "mtp_logits_b");
}

static void logits_of_the_second_next_token(void **state)
{
    (void)state;
    compare_all(&R);
}

static void on_the_guard(void **state)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    rig g = R;
    (void)state;
    assert_int_equal(guard_runtime_create(&o, &g.rt, NULL), REMORA_OK);
    rig_open(&g, g.rt);
    compare_all(&g);
    assert_int_equal(guard_get_stats(g.rt).best, 2);
    GUARD_IS_CLEAN(g.rt);
    rig_close(&g);
}

static void from_a_pack(void **state)
{
    char dir[] = "/tmp/remora-predict-XXXXXX";
    rig g = R;
    const remora_source src = host_path_source(R.folder);
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(g.folder, sizeof g.folder, "%s/m.remora", dir);
    host_convert(R.rt, &src, g.folder, "keep", 0);
    g.rt = rig_runtime(2, NULL);
    rig_open(&g, g.rt);
    assert_int_equal(g.info.n_params, R.info.n_params);
    assert_memory_equal(g.info.fingerprint, R.info.fingerprint, sizeof R.info.fingerprint);
    compare_all(&g);
    rig_close(&g);
    remove(g.folder);
    assert_int_equal(rmdir(dir), 0);
}

static rig open_without(void)
{
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_NO_PREDICTION};
    const remora_source src = host_path_source(R.folder);
    rig g = R;
    remora_error err = {.struct_size = sizeof err};
    g.rt = rig_runtime(2, NULL);
    if (remora_model_open(g.rt, &src, &o, &g.model, &err) < 0) fail_msg("%s", err.message);
    assert_int_equal(remora_model_get_info(g.model, &g.info, NULL), REMORA_OK);
    return g;
}

/* The same model to everybody but those who ask for memory. */
static void without_it(void **state)
{
    rig g = open_without();
    const size_t width = R.info.n_vocab;
    remora_memory with = {.struct_size = sizeof with}, left = with;
    size_t n = 0;
    (void)state;
    assert_int_equal(g.info.n_prediction_layers, 0);
    assert_int_equal(g.info.n_params, R.info.n_params);
    assert_int_equal(g.info.n_params_active, R.info.n_params_active);
    assert_memory_equal(g.info.fingerprint, R.info.fingerprint, sizeof R.info.fingerprint);
    assert_int_equal(remora_model_get_memory(R.model, &with, NULL), REMORA_OK);
    assert_int_equal(remora_model_get_memory(g.model, &left, NULL), REMORA_OK);
    assert_int_equal(with.kv_bytes_per_token, left.kv_bytes_per_token);
    assert_true(g.info.weight_bytes < R.info.weight_bytes);
    const remora_token *t = rig_ids(&R, "ids_a", &n);
    remora_session *a = rig_session(&R, REMORA_KV_BF16, 0), *b = rig_session(&g, REMORA_KV_BF16, 0);
    rig_feed(a, t, n, 0, REMORA_WANT_ALL);
    rig_feed(b, t, n, 0, REMORA_WANT_ALL);
    for (uint32_t i = 0; i < n; i++)
        assert_memory_equal(rig_row(a, i, width), rig_row(b, i, width), width * sizeof(float));
    const rmr_prediction p = {.n = 1, .next = t};
    assert_int_equal(rmr_predict(b, &p, NULL, NULL), REMORA_E_UNSUPPORTED);
    remora_session_free(a);
    remora_session_free(b);
    rig_close(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_of_the_second_next_token),
                                       cmocka_unit_test(without_it), cmocka_unit_test(on_the_guard),
                                       cmocka_unit_test(from_a_pack)};
    if (argc != 2 && argc != 4) return 2;
    if (!rig_find(&R, argv[1])) return 1;
    if (argc == 4) {
        path = argv[2];
        limit = atof(argv[3]);
    }
    const size_t n = path != NULL ? 2 : sizeof tests / sizeof *tests;
    const int failed = run_group("predict", tests, n, open_model, close_model);
    goldens_close(&R.golden);
    return failed;
}
