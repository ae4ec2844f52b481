/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int rig_find(rig *r, const char *name)
{
    char folder[sizeof r->folder];
    memset(r, 0, sizeof *r);
    if (goldens_folder(name, folder, sizeof folder) == NULL) {
        fprintf(stderr, "REMORA_MODELS does not name a folder that has %s\n", name);
        return 0;
    }
    memcpy(r->folder, folder, sizeof folder);
    if (goldens_open(&r->golden, r->folder) == 0) return 1;
    fprintf(stderr, "%s: golden.safetensors or golden.json cannot be read\n", r->folder);
    return 0;
}

remora_runtime *rig_runtime(int threads, const char *isa)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_option extra = host_option("x-isa", isa);
    remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = threads};
    remora_runtime *rt = NULL;
    if (isa != NULL) {
        o.extra = &extra;
        o.n_extra = 1;
    }
    const remora_status st = remora_runtime_create(&o, &rt, &err);
    if (isa != NULL && st == REMORA_E_UNSUPPORTED) return NULL;
    if (st < 0) fail_msg("runtime: %s", err.message);
    return rt;
}

void rig_open(rig *r, remora_runtime *rt)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = r->folder};
    r->rt = rt;
    r->info.struct_size = sizeof r->info;
    if (remora_model_open(rt, &src, NULL, &r->model, &err) < 0) fail_msg("open: %s", err.message);
    assert_int_equal(remora_model_get_info(r->model, &r->info, NULL), REMORA_OK);
}

void rig_close(rig *r)
{
    remora_model_free(r->model);
    remora_runtime_free(r->rt);
    r->model = NULL;
    r->rt = NULL;
}

remora_session *rig_session(const rig *r, int32_t kv_type, uint32_t chunk)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_session_opts o = {.struct_size = sizeof o, .kv_type = kv_type, .chunk = chunk};
    remora_session *s = NULL;
    if (remora_session_create(r->model, &o, &s, &err) < 0) fail_msg("session: %s", err.message);
    return s;
}

void rig_feed(remora_session *s, const remora_token *t, size_t n, size_t piece, uint32_t want)
{
    remora_error err = {.struct_size = sizeof err};
    for (size_t at = 0, take; at < n; at += take) {
        take = piece > 0 && piece < n - at ? piece : n - at;
        assert_int_equal(remora_session_append(s, t + at, take, want, NULL), REMORA_OK);
    }
    if (remora_eval(&s, 1, NULL, &err) < 0) fail_msg("eval: %s", err.message);
}

const float *rig_row(remora_session *s, uint32_t row, size_t n_vocab)
{
    const float *logits = NULL;
    size_t n = 0;
    assert_int_equal(remora_session_logits(s, row, &logits, &n, NULL), REMORA_OK);
    assert_int_equal(n, n_vocab);
    return logits;
}

double rig_distance(const float *a, const float *b, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(diff) / sqrt(norm); /* NaN when a is: comparisons are written so that NaN fails */
}

void rig_compare_rows(const rig *r, remora_session *s, const float *golden, size_t n, double limit)
{
    const size_t width = r->info.n_vocab;
    for (size_t i = 0; i < n; i++) {
        const double d = rig_distance(rig_row(s, (uint32_t)i, width), golden + i * width, width);
        if (!(d <= limit)) fail_msg("row %zu: distance %g, limit %g", i, d, limit);
    }
}

const float *rig_f32(const rig *r, const char *name, size_t n)
{
    size_t have = 0;
    const float *p = goldens_f32(&r->golden, name, &have);
    if (p == NULL || have != n) fail_msg("golden %s has %zu numbers, expected %zu", name, have, n);
    return p;
}

const remora_token *rig_ids(const rig *r, const char *name, size_t *n)
{
    const remora_token *p = goldens_i32(&r->golden, name, n);
    if (p == NULL) fail_msg("golden %s is missing", name);
    return p;
}

void rig_greedy(const rig *r, remora_session *s, remora_token *out, size_t n)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_stage cold = {.struct_size = sizeof cold, .kind = REMORA_STAGE_TEMPERATURE};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = n};
    remora_sampler *p = NULL;
    size_t got = 0;
    assert_int_equal(remora_sampler_create(r->model, 1, &p, &err), REMORA_OK);
    assert_int_equal(remora_sampler_add(p, &cold, &err), REMORA_OK);
    const remora_status st = remora_generate(s, p, &o, out, n, &got, &err);
    if (st < 0) fail_msg("generate: %s", err.message);
    assert_int_equal(st, REMORA_END);
    assert_int_equal(got, n);
    remora_sampler_free(p);
}
