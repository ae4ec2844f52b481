/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the hot paths once each with one thread and the kernel set avx2, between marks for callgrind
 * (instructions.py reads what it counted):
 *
 *     paths MODEL
 *
 * decode: one token of a quantised model. prompt: 48 tokens at once. attention: one token after
 * 128, for each type of cache; what it takes more than "decode" is attention at depth. */
#include <stdio.h>
#include <string.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif

#ifdef CALLGRIND_ZERO_STATS
#include "host.h"

enum { SHORT = 16, PROMPT = 48, DEEP = 128, CAPACITY = DEEP + 64 };

typedef struct bed {
    remora_model *m;
    remora_token ids[CAPACITY];
} bed;

static void feed(const bed *b, remora_session *s, size_t n)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, b->ids, n, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
}

/* Counts n tokens after `before`; the token in between warms up what only a first use costs. */
static void path(const bed *b, const char *name, int32_t kv, size_t before, size_t n)
{
    remora_session *s = host_session(b->m, CAPACITY, kv);
    feed(b, s, before - 1);
    feed(b, s, 1);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    feed(b, s, n);
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
    remora_session_free(s);
}

int main(int argc, char **argv)
{
    const remora_option isa = host_option("x-isa", "avx2");
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 1, .extra = &isa, .n_extra = 1};
    remora_error err = HOST_ERROR;
    remora_runtime *rt;
    static bed b;
    if (argc != 2) return 2;
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    const remora_source src = host_path_source(argv[1]);
    b.m = host_open(rt, &src);
    host_ids(b.ids, CAPACITY, host_vocab(b.m), 1);
    path(&b, "decode", REMORA_KV_BF16, SHORT, 1);
    path(&b, "prompt", REMORA_KV_BF16, SHORT, PROMPT);
    path(&b, "attention-bf16", REMORA_KV_BF16, DEEP, 1);
    path(&b, "attention-int8", REMORA_KV_INT8, DEEP, 1);
    remora_model_free(b.m);
    remora_runtime_free(rt);
    return 0;
}
#else
int main(void)
{
    puts("the program was built without valgrind's header");
    return 1;
}
#endif
