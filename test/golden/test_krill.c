/* SPDX-License-Identifier: Apache-2.0 */
/* krill, the small real model, against its goldens: logits, greedy texts from text to text, and the
 * negative log-likelihood of held-out windows. Arguments: "guard" to run on the guarded backend.
 *
 * The limits. f32 cache: as for the fixtures, two float32 computations that round in different
 * places are some 1e-5 apart, mistakes are above 1e-3; the mean over 8,176 positions averages
 * rounding away and 1e-4 nats leaves room for the odd token that is routed to another expert. bf16
 * cache: every cached number is off by up to 2^-9 of itself, which goes into all attention sums:
 * 2e-2 over all logits and 2e-3 nats in the mean. Single rows may be further off, where the error
 * sends a near tie to another expert; nine rows of ten must be within half of the limit.
 * 8-bit cache: latents are off by up to 1/254 of the largest of 256, queries and weights of the
 * absorbed form likewise, the rope key by next to nothing: 3e-2, and the same nats. */
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "guard_backend.h"

static const double limit = 1e-4, nll_limit = 1e-4, limit_bf16 = 2e-2, limit_int8 = 3e-2,
                    nll_limit_rounded = 2e-3;
enum {
    N_WINDOWS = 16,
    N_USED = RIG_SLOW ? 1 : N_WINDOWS,
    WINDOW = 512,
    N_GREEDY = 48,
    MAX_IDS = 256
};

static rig R;
static int guarded;

static int open_model(void **state)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    remora_runtime *rt = NULL;
    (void)state;
    if (guarded)
        assert_int_equal(guard_runtime_create(&o, &rt, NULL), REMORA_OK);
    else
        rt = rig_runtime(2, NULL);
    rig_open(&R, rt);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    rig_close(&R);
    return 0;
}

static void compare(const char *ids, const char *logits, int32_t kv, size_t piece, double max)
{
    size_t n = 0;
    const remora_token *t = rig_ids(&R, ids, &n);
    remora_session *s = rig_session(&R, kv, 0);
    rig_feed(s, t, n, piece, REMORA_WANT_ALL);
    rig_compare_rows(&R, s, rig_f32(&R, logits, n * R.info.n_vocab), n, max);
    remora_session_free(s);
}

static void logits_of_every_position(void **state)
{
    (void)state;
    compare("ids_a", "logits_a", REMORA_KV_F32, 0, limit);
    compare("ids_b", "logits_b", REMORA_KV_F32, 0, limit);
    compare("ids_a", "logits_a", REMORA_KV_F32, 31, limit);
    compare("ids_b", "logits_b", REMORA_KV_F32, 3, limit);
}

static void compare_rounded(int32_t kv, const char *ids, const char *logits, size_t piece)
{
    const double max = kv == REMORA_KV_INT8 ? limit_int8 : limit_bf16;
    const size_t width = R.info.n_vocab;
    size_t n = 0, close = 0;
    double all = 0;
    const remora_token *t = rig_ids(&R, ids, &n);
    const float *golden = rig_f32(&R, logits, n * width);
    remora_session *s = rig_session(&R, kv, 0);
    rig_feed(s, t, n, piece, REMORA_WANT_ALL);
    for (uint32_t i = 0; i < n; i++) {
        const double d = rig_distance(rig_row(s, i, width), golden + i * width, width);
        close += d <= max / 2;
        all += d * d / (double)n;
    }
    if (!(sqrt(all) <= max)) fail_msg("%s: distance %g", ids, sqrt(all));
    if (!(close >= n - n / 10)) fail_msg("%s: %zu of %zu rows are close", ids, close, n);
    remora_session_free(s);
}

static void logits_with_a_bf16_cache(void **state)
{
    (void)state;
    compare_rounded(REMORA_KV_BF16, "ids_a", "logits_a", 0);
    compare_rounded(REMORA_KV_BF16, "ids_b", "logits_b", 7);
}

static void logits_with_an_8_bit_cache(void **state)
{
    (void)state;
    compare_rounded(REMORA_KV_INT8, "ids_a", "logits_a", 0);
    compare_rounded(REMORA_KV_INT8, "ids_a", "logits_a", 31);
    compare_rounded(REMORA_KV_INT8, "ids_b", "logits_b", 1);
}

/* Mean over the windows; rows are wanted a piece at a time, so that their memory stays small. */
static double mean_nll(int32_t kv)
{
    size_t n = 0;
    const remora_token *t = rig_ids(&R, "nll_ids", &n);
    double sum = 0;
    assert_int_equal(n, N_WINDOWS * WINDOW);
    for (int w = 0; w < N_USED; w++, t += WINDOW) {
        remora_session *s = rig_session(&R, kv, 0);
        rig_feed(s, t, WINDOW, 0, REMORA_WANT_ALL);
        for (uint32_t i = 0; i + 1 < WINDOW; i++) {
            float logprob = 0;
            assert_int_equal(remora_session_logprob(s, i, t[i + 1], &logprob, NULL), REMORA_OK);
            sum -= logprob;
        }
        remora_session_free(s);
    }
    return sum / (N_USED * (WINDOW - 1));
}

static double golden_nll(void)
{
    const float *nll = rig_f32(&R, "nll", (size_t)N_WINDOWS * (WINDOW - 1));
    double sum = 0;
    for (int i = 0; i < N_USED * (WINDOW - 1); i++) sum += nll[i];
    return sum / (N_USED * (WINDOW - 1));
}

static void compare_nll(int32_t kv, double max)
{
    const double got = mean_nll(kv), expect = golden_nll();
    if (!(fabs(got - expect) <= max)) fail_msg("mean nll %.6f, golden %.6f", got, expect);
}

static void held_out_nll(void **state)
{
    (void)state;
    compare_nll(REMORA_KV_F32, nll_limit);
}

static void held_out_nll_with_a_bf16_cache(void **state)
{
    (void)state;
    compare_nll(REMORA_KV_BF16, nll_limit_rounded);
}

static void held_out_nll_with_an_8_bit_cache(void **state)
{
    (void)state;
    compare_nll(REMORA_KV_INT8, nll_limit_rounded);
}

/* From the prompt's text to the continuation's text, over both directions of the tokenizer. */
static void greedy_text(size_t i)
{
    char name[32], text[4096];
    const json_t *p = json_array_get(json_object_get(R.golden.json, "prompts"), i);
    const char *prompt = json_string_value(json_object_get(p, "prompt"));
    const char *expect = json_string_value(json_object_get(p, "text"));
    const size_t n_prompt = (size_t)json_integer_value(json_object_get(p, "prompt_tokens"));
    remora_token t[MAX_IDS];
    remora_detok d = {{0}};
    size_t n = 0, n_ids = 0, len = 0;
    snprintf(name, sizeof name, "greedy_%zu", i);
    const remora_token *ids = rig_ids(&R, name, &n_ids);
    assert_non_null(prompt);
    assert_non_null(expect);
    assert_int_equal(
        remora_tokenize(R.model, prompt, strlen(prompt), REMORA_TEXT_BOS, t, MAX_IDS, &n, NULL),
        REMORA_OK);
    assert_int_equal(n, n_prompt);
    assert_int_equal(n_ids, n_prompt + N_GREEDY);
    remora_session *s = rig_session(&R, REMORA_KV_F32, 0);
    rig_feed(s, t, n, 0, REMORA_WANT_LAST);
    rig_greedy(&R, s, t + n, N_GREEDY);
    for (size_t k = 0; k < n_ids; k++) assert_int_equal(t[k], ids[k]);
    assert_int_equal(remora_detok_push(R.model, &d, t, n_ids, text, sizeof text, &len, NULL),
                     REMORA_OK);
    assert_int_equal(len, strlen(expect));
    assert_memory_equal(text, expect, len);
    remora_session_free(s);
}

static void greedy_texts(void **state)
{
    const size_t n = json_array_size(json_object_get(R.golden.json, "prompts"));
    (void)state;
    assert_int_equal(n, 5);
    for (size_t i = 0; i < (RIG_SLOW ? 1 : n); i++) greedy_text(i);
}

static void device_is_waited_for(void **state)
{
    (void)state;
    GUARD_IS_CLEAN(R.rt);
    assert_int_equal(guard_get_stats(R.rt).unpinned, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        /* not guarded: the same operations as with f32, and the longest tests */
        cmocka_unit_test(held_out_nll_with_a_bf16_cache),
        cmocka_unit_test(held_out_nll_with_an_8_bit_cache),
        cmocka_unit_test(logits_of_every_position),
        cmocka_unit_test(logits_with_a_bf16_cache),
        cmocka_unit_test(logits_with_an_8_bit_cache),
        cmocka_unit_test(greedy_texts),
        cmocka_unit_test(held_out_nll),
        cmocka_unit_test(device_is_waited_for), /* guarded only */
    };
    const size_t n_tests = sizeof tests / sizeof *tests;
    guarded = argc > 1 && strcmp(argv[1], "guard") == 0;
    if (!rig_find(&R, "krill")) return 1;
    const int failed = run_group("krill", tests + (guarded ? 2 : 0), n_tests - (guarded ? 2 : 1),
                                 open_model, close_model);
    goldens_close(&R.golden);
    return failed;
}
