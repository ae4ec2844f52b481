/* SPDX-License-Identifier: Apache-2.0 */
/* P14: the whole library once, as a program that can run on emulated processors: opens a model,
 * tokenizes, evaluates, generates, and prints the kernel set in use and a number made from
 * everything that came out. Arguments: a kernel set to force ("best": none) and, if there is one, a
 * model folder. Exit 3: the set is not to be had here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "tiny.h"

enum { N = 60, MADE = 12 };

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static uint64_t run(remora_runtime *rt, const remora_source *src, uint64_t h)
{
    remora_error err = HOST_ERROR;
    remora_token ids[N], out[MADE];
    remora_token_prob top[5];
    remora_sampler *p = NULL;
    size_t n;
    static const char text[] = "The other end of the line \xc3\xa9\xe4\xbd\xa0 1234";
    const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = MADE};
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE, .value = 0.8};
    remora_model *m = host_open(rt, src);
    const uint32_t n_vocab = host_vocab(m);
    const remora_status st = remora_tokenize(m, text, sizeof text - 1, 0, ids, N, &n, NULL);
    if (st == REMORA_OK) h = mix(h, ids, n * sizeof *ids);
    host_ids(ids, N, n_vocab, 14);
    for (int kv = REMORA_KV_BF16; kv <= REMORA_KV_F32; kv += 2) {
        remora_session *s = host_session(m, 128, kv);
        REQUIRE_OK(remora_session_append(s, ids, N - 5, REMORA_WANT_ALL, NULL), NULL);
        REQUIRE_OK(remora_session_append(s, ids + N - 5, 5, REMORA_WANT_ALL, NULL), NULL);
        REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
        float *rows = host_rows(s, N);
        h = mix(h, rows, (size_t)N * n_vocab * sizeof *rows);
        free(rows);
        REQUIRE_OK(remora_session_top(s, 3, top, 5, &n, NULL), NULL);
        h = mix(h, top, sizeof top);
        REQUIRE_OK(remora_sampler_create(m, 5, &p, &err), &err);
        REQUIRE_OK(remora_sampler_add(p, &warm, &err), &err);
        REQUIRE_OK(remora_generate(s, p, &g, out, MADE, &n, &err), &err);
        h = mix(h, out, n * sizeof *out);
        remora_sampler_free(p);
        remora_session_free(s);
    }
    remora_model_free(m);
    return h;
}

/* Whether the library says that this machine lacks a kernel set. */
static int lacks(const char *set)
{
    const remora_option extra = host_option("x-isa", set);
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 1, .extra = &extra, .n_extra = 1};
    remora_runtime *rt = NULL;
    const remora_status st = remora_runtime_create(&o, &rt, NULL);
    remora_runtime_free(rt);
    return st == REMORA_E_UNSUPPORTED;
}

int main(int argc, char **argv)
{
    static const tiny_opts shapes[] = {{0},
                                       {.v2 = 1, .width = 37},
                                       {.dtype = "F16"},
                                       {.dtype = "F32"},
                                       {.dense = "qwen3"},
                                       {.dense = "llama", .interleave = 1, .width = 37}};
    uint64_t h = 14695981039346656037u;
    remora_device d = {.struct_size = sizeof d};
    if (argc < 2) return 2;
    const char *const set = strcmp(argv[1], "best") ? argv[1] : NULL;
    if (set && lacks(set)) return 3;
    remora_runtime *rt = host_runtime(NULL, 2, set);
    REQUIRE_OK(remora_device_get(rt, 0, &d, NULL), NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        tiny t;
        tiny_make(&t, &shapes[i]);
        h = run(rt, &t.source, h);
        tiny_free(&t);
    }
    if (argc > 2) {
        const remora_source src = {
            .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = argv[2]};
        h = run(rt, &src, h);
    }
    remora_runtime_free(rt);
    printf("%s %016" PRIx64 "\n", d.paths, h);
    return 0;
}
