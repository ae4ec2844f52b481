/* SPDX-License-Identifier: Apache-2.0 */
/* P11: the last free returns every byte. Counted by the host's hooks; the allocator of the tests
 * also checks sizes, alignments and canaries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

typedef struct handles {
    remora_runtime *rt;
    remora_model *m;
    remora_session *s, *fork;
    remora_sampler *p, *clone;
} handles;

static void make(handles *h, tmem *mem, const remora_source *src)
{
    remora_error err = HOST_ERROR;
    remora_token ids[50], out[6];
    size_t n;
    const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 6};
    const remora_stage cut = {.struct_size = sizeof cut, .kind = REMORA_STAGE_REPEAT, .value = 1.1};
    h->rt = host_runtime(mem, 2, NULL);
    h->m = host_open(h->rt, src);
    h->s = host_session(h->m, 200, REMORA_KV_BF16);
    REQUIRE_OK(remora_sampler_create(h->m, 1, &h->p, &err), &err);
    REQUIRE_OK(remora_sampler_add(h->p, &cut, &err), &err);
    REQUIRE_OK(remora_sampler_clone(h->p, &h->clone, NULL), NULL);
    host_ids(ids, 50, host_vocab(h->m), 1);
    REQUIRE_OK(remora_session_append(h->s, ids, 50, REMORA_WANT_ALL | REMORA_WANT_HIDDEN, NULL),
               NULL);
    REQUIRE_OK(remora_eval(&h->s, 1, NULL, &err), &err);
    REQUIRE_OK(remora_session_fork(h->s, &h->fork, &err), &err);
    REQUIRE_OK(remora_generate(h->fork, h->clone, &g, out, 6, &n, &err), &err);
    remora_session *both[2] = {h->s, h->fork};
    REQUIRE_OK(remora_session_append(h->s, ids, 3, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_session_append(h->fork, ids, 40, REMORA_WANT_LAST, NULL), NULL);
    const remora_eval_opts tiny_step = {.struct_size = sizeof tiny_step, .budget_us = 1};
    REQUIRE(remora_eval(both, 2, &tiny_step, &err) == REMORA_MORE); /* freed half done */
}

/* Free the six handles in the given order. */
static void drop(handles *h, const int *order)
{
    for (int i = 0; i < 6; i++) switch (order[i]) {
        case 0: remora_runtime_free(h->rt); break;
        case 1: remora_model_free(h->m); break;
        case 2: remora_session_free(h->s); break;
        case 3: remora_session_free(h->fork); break;
        case 4: remora_sampler_free(h->p); break;
        default: remora_sampler_free(h->clone); break;
        }
}

static void check_empty(tmem *mem)
{
    assert_int_equal(atomic_load(&mem->bytes), 0);
    assert_int_equal(atomic_load(&mem->blocks), 0);
    assert_int_equal(atomic_load(&mem->damage), 0);
    assert_true(atomic_load(&mem->calls) > 100); /* the hooks were in use */
}

static void twenty_times(void **state)
{
    tmem mem = {0};
    tiny t;
    (void)state;
    static const int order[] = {3, 2, 5, 4, 1, 0};
    tiny_make(&t, NULL);
    long long peak = 0;
    for (int i = 0; i < 20; i++) {
        handles h;
        atomic_store(&mem.peak, 0);
        make(&h, &mem, &t.source);
        drop(&h, order);
        check_empty(&mem);
        if (i > 0) assert_int_equal(atomic_load(&mem.peak), peak); /* nothing grows with runs */
        peak = atomic_load(&mem.peak);
    }
    tiny_free(&t);
}

/* All 720 orders are legal: children hold references. */
static void any_order(void **state)
{
    tmem mem = {0};
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.layers = 1});
    for (int code = 0; code < 720; code++) {
        int left[6] = {0, 1, 2, 3, 4, 5}, order[6], c = code;
        for (int i = 6; i > 0; i--) {
            const int k = c % i;
            c /= i;
            order[6 - i] = left[k];
            left[k] = left[i - 1];
        }
        handles h;
        make(&h, &mem, &t.source);
        drop(&h, order);
        check_empty(&mem);
    }
    tiny_free(&t);
}

/* What is left when a session lives on behind everybody's back still works. */
static void last_one_works(void **state)
{
    tmem mem = {0};
    tiny t;
    handles h;
    remora_error err = HOST_ERROR;
    const float *row;
    (void)state;
    tiny_make(&t, NULL);
    make(&h, &mem, &t.source);
    remora_runtime_free(h.rt);
    remora_model_free(h.m);
    remora_session_free(h.s);
    remora_sampler_free(h.p);
    remora_sampler_free(h.clone);
    REQUIRE_OK(remora_eval(&h.fork, 1, NULL, &err), &err);
    assert_int_equal(remora_session_logits(h.fork, 0, &row, NULL, NULL), REMORA_OK);
    remora_session_free(h.fork);
    check_empty(&mem);
    tiny_free(&t);
}

/* Every kind of source, and opening that fails half way. */
static void sources(void **state)
{
    tmem mem = {0};
    tiny t;
    (void)state;
    static const int order[] = {0, 1, 2, 3, 4, 5};
    tiny_make(&t, &(tiny_opts){.v2 = 1});
    host_io io = {.blobs = t.blobs, .n = t.n};
    const remora_source cb = host_io_source(&io);
    handles h;
    make(&h, &mem, &cb);
    drop(&h, order);
    check_empty(&mem);
    char path[1024];
    if (host_folder(path, sizeof path, "fixtures/v3")) {
        const remora_source src = {
            .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = path};
        make(&h, &mem, &src);
        drop(&h, order);
        check_empty(&mem);
    }
    remora_blob cut[4];
    memcpy(cut, t.blobs, sizeof cut);
    cut[1].size /= 2;
    const remora_source bad = {
        .struct_size = sizeof bad, .kind = REMORA_SOURCE_MEMORY, .blobs = cut, .n_blobs = t.n};
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    remora_model *m;
    assert_int_equal(remora_model_open(rt, &bad, NULL, &m, NULL), REMORA_E_FORMAT);
    remora_runtime_free(rt);
    check_empty(&mem);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_times),
        cmocka_unit_test(any_order),
        cmocka_unit_test(last_one_works),
        cmocka_unit_test(sources),
    };
    return cmocka_run_group_tests_name("P11", tests, NULL, NULL);
}
