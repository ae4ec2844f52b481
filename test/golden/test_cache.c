/* SPDX-License-Identifier: Apache-2.0 */
/* The latent cache seen through sessions: its size to the byte, what forks share, what trims give
 * back; and the routing counters against the experts that the gate really chose. On tiny models
 * made up on the spot, so it needs no files. Bits after forks and trims are compared by one-result.
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "guard_backend.h"
#include "program.h"
#include "session.h"
#include "tiny.h"

typedef struct bed {
    tiny t;
    rig r;         /* model and runtime */
    uint64_t page; /* bytes, bf16 */
} bed;

/* Numbers that a token has in the cache of a layer. */
static uint64_t row_of(const remora_model_info *m)
{
    return m->kv_lora_rank > 0 ? m->kv_lora_rank + m->rope_dim
                               : (uint64_t)2 * m->n_kv_heads * m->head_dim;
}

/* Bytes of one with 8 bits: codes, the rope key's twice, and for each 256 columns of the latent and
 * for both parts of the rope key a scale and a sum. */
static uint64_t int8_row_of(const remora_model_info *m)
{
    const uint64_t latent = (m->kv_lora_rank + 15) / 16 * 16, rope = (m->rope_dim + 15) / 16 * 16;
    return latent + 2 * rope + ((m->kv_lora_rank + 255) / 256 + 2) * 8;
}

static void open_bed(bed *b, const tiny_opts *o, remora_runtime *rt)
{
    remora_error err = {.struct_size = sizeof err};
    memset(b, 0, sizeof *b);
    tiny_make(&b->t, o);
    b->r.rt = rt;
    if (remora_model_open(rt, &b->t.source, NULL, &b->r.model, &err) < 0)
        fail_msg("open: %s", err.message);
    b->r.info.struct_size = sizeof b->r.info;
    assert_int_equal(remora_model_get_info(b->r.model, &b->r.info, NULL), REMORA_OK);
    b->page = 32 * 2 * (uint64_t)b->r.info.n_layers * row_of(&b->r.info);
}

static void close_bed(bed *b)
{
    rig_close(&b->r);
    tiny_free(&b->t);
}

static remora_session_info info_of(const remora_session *s)
{
    remora_session_info i = {.struct_size = sizeof i};
    assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
    return i;
}

static uint64_t host_kv(const bed *b)
{
    remora_memory m = {.struct_size = sizeof m};
    assert_int_equal(remora_model_get_memory(b->r.model, &m, NULL), REMORA_OK);
    return m.host_kv;
}

/* Different pages that sessions hold. */
static uint64_t held(const bed *b)
{
    const rmr_page_pool *p = &b->r.model->pages.pool[RMR_KV_BF16];
    return p->n_pages - p->n_free;
}

/* n tokens, any ids, evaluated */
static void feed(remora_session *s, size_t n)
{
    remora_token t[512];
    assert_true(n <= 512);
    for (size_t i = 0; i < n; i++) t[i] = (remora_token)(i * 7 % 200);
    rig_feed(s, t, n, 0, REMORA_WANT_NONE);
}

#define IS(s, bytes, shared)                                                                       \
    do {                                                                                           \
        assert_int_equal(info_of(s).kv_bytes, (bytes)*b.page);                                     \
        assert_int_equal(info_of(s).kv_bytes_shared, (shared)*b.page);                             \
    } while (0)

static void bytes_of_a_token(void **state)
{
    static const tiny_opts kinds[] = {{0}, {.v2 = 1}, {.layers = 5}, {.dense = "qwen2"}};
    static const int32_t types[] = {REMORA_KV_BF16, REMORA_KV_F32, REMORA_KV_INT8};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bed b;
        open_bed(&b, &kinds[i], rig_runtime(1, NULL));
        const remora_model_info *m = &b.r.info;
        for (size_t k = 0; k < 3; k++) {
            const uint64_t bytes = k < 2 ? row_of(m) * (k == 0 ? 2 : 4) : int8_row_of(m);
            const uint64_t token = bytes * m->n_layers;
            const remora_session_opts o = {
                .struct_size = sizeof o, .kv_type = types[k], .capacity = 256};
            remora_memory need = {.struct_size = sizeof need};
            const remora_status st =
                remora_model_estimate(NULL, &b.t.source, NULL, &o, 1, &need, NULL);
            if (k == 2 && m->kv_lora_rank == 0) { /* 8 bits: latent attention only */
                remora_session *none = NULL;
                assert_int_equal(st, REMORA_E_UNSUPPORTED);
                assert_int_equal(remora_session_create(b.r.model, &o, &none, NULL),
                                 REMORA_E_UNSUPPORTED);
                continue;
            }
            assert_int_equal(st, REMORA_OK);
            assert_int_equal(need.kv_bytes_per_token, token);
            remora_session *s = rig_session(&b.r, types[k], 0);
            for (uint64_t n = 1; n <= 70; n++) {
                const remora_token t = 3;
                assert_int_equal(remora_session_append(s, &t, 1, REMORA_WANT_NONE, NULL),
                                 REMORA_OK);
                assert_int_equal(info_of(s).kv_bytes, (n + 31) / 32 * 32 * token);
            }
            remora_session_free(s);
            assert_int_equal(host_kv(&b), 0);
        }
        close_bed(&b);
    }
}

static void forks_share_and_trims_give_back(void **state)
{
    bed b;
    remora_session *f = NULL, *g = NULL;
    (void)state;
    open_bed(&b, NULL, rig_runtime(1, NULL));
    remora_session *s = rig_session(&b.r, REMORA_KV_BF16, 0);
    const uint64_t one = host_kv(&b); /* from the beginning room for all it may hold */
    rmr_backend *be = s->model->be;
    const uint64_t pages = rmr_pages_for(s->capacity) + RMR_PAGE_SPARE;
    assert_int_equal(one, be->ops->buffer_bytes(be, pages * b.page).host);
    feed(s, 100); /* three full pages and one of 4 tokens */
    IS(s, 4, 0);
    assert_int_equal(remora_session_fork(s, &f, NULL), REMORA_OK);
    IS(s, 4, 3);
    IS(f, 4, 3);
    assert_int_equal(held(&b), 5);
    assert_int_equal(remora_session_fork(f, &g, NULL), REMORA_OK);
    assert_int_equal(host_kv(&b), 3 * one);
    assert_int_equal(held(&b), 6);
    assert_int_equal(remora_session_trim(s, 64, NULL), REMORA_OK);
    IS(s, 2, 2);
    IS(f, 4, 3); /* the third one with g */
    assert_int_equal(held(&b), 5);
    feed(s, 1); /* at a page's border: no copy, a new page */
    IS(s, 3, 2);
    assert_int_equal(remora_session_trim(f, 40, NULL), REMORA_OK);
    IS(f, 2, 2);
    assert_int_equal(held(&b), 5);
    feed(f, 1); /* into a page of others: a copy */
    IS(f, 2, 1);
    assert_int_equal(held(&b), 6);
    remora_session_free(g);
    IS(s, 3, 1);
    remora_session_free(s);
    assert_int_equal(host_kv(&b), one);
    IS(f, 2, 0);
    assert_int_equal(held(&b), 2);
    assert_int_equal(remora_session_trim(f, 0, NULL), REMORA_OK);
    IS(f, 0, 0);
    assert_int_equal(held(&b), 0);
    feed(f, 33);
    IS(f, 2, 0);
    remora_session_free(f);
    assert_int_equal(host_kv(&b), 0);
    close_bed(&b);
}

/* Pages of pending tokens are the fork's own: both sides will write them. */
static void pending_tokens_are_not_shared(void **state)
{
    const remora_token t[40] = {1, 2, 3};
    bed b;
    remora_session *f = NULL;
    (void)state;
    open_bed(&b, NULL, rig_runtime(1, NULL));
    remora_session *s = rig_session(&b.r, REMORA_KV_BF16, 0);
    feed(s, 40);
    assert_int_equal(remora_session_append(s, t, 40, REMORA_WANT_LAST, NULL), REMORA_OK);
    IS(s, 3, 0);
    assert_int_equal(remora_session_fork(s, &f, NULL), REMORA_OK);
    IS(f, 3, 1);
    assert_int_equal(info_of(f).pending, 40);
    assert_int_equal(remora_session_trim(s, 50, NULL), REMORA_OK); /* a part of the pending ones */
    IS(s, 2, 1);
    assert_int_equal(info_of(s).pending, 10);
    remora_session_free(s);
    remora_session_free(f);
    close_bed(&b);
}

/* ---- routing ---- */

enum { MAX_LAYERS = 8, MAX_EXPERTS = 16, MAX_IDS = 4096 };

typedef struct chosen {
    uint64_t n[MAX_LAYERS][MAX_EXPERTS];
} chosen;

static void count_ids(void *user, const guard_seen *seen)
{
    static uint32_t ids[MAX_IDS];
    chosen *c = user;
    if (seen->op->kind != RMR_OP_GATE) return;
    const uint32_t n = seen->n_rows * seen->op->moe->n_used;
    assert_true(n <= MAX_IDS);
    const rmr_area all = {RMR_SLOT_IDS, 0, seen->op->moe->n_used, 0, seen->n_rows};
    assert_int_equal(seen->inner->ops->step_read(seen->inner, seen->step, &all, ids, NULL),
                     REMORA_OK);
    for (uint32_t i = 0; i < n; i++) c->n[seen->op->layer][ids[i]]++;
}

/* The counters of a MoE layer are `factor` times what was seen; their sum is tokens times experts
 * used. */
static void counters_are(const bed *b, const chosen *c, uint64_t factor, uint64_t tokens, int reset)
{
    const remora_model_info *m = &b->r.info;
    for (uint32_t l = 0; l < m->n_layers; l++) {
        uint64_t got[MAX_EXPERTS], sum = 0;
        size_t n = 0;
        const remora_status st =
            remora_routing_read(b->r.model, l, reset, got, MAX_EXPERTS, &n, NULL);
        assert_int_equal(st, l < m->n_dense_layers ? REMORA_E_NOT_FOUND : REMORA_OK);
        if (st < 0) continue;
        assert_int_equal(n, m->n_experts);
        for (uint32_t e = 0; e < m->n_experts; e++) {
            assert_int_equal(got[e], factor * c->n[l][e]);
            sum += got[e];
        }
        assert_int_equal(sum, tokens * m->n_experts_used);
    }
}

/* The tokens of feed(100) and feed(3) in a session of their own, evaluated in cuts. */
static void feed_again(const bed *b, const remora_eval_opts *cut, remora_session *other)
{
    remora_token t[103];
    remora_session *s = rig_session(&b->r, REMORA_KV_BF16, 7);
    remora_session *led_by_other[2] = {other, s};
    for (size_t j = 0; j < 103; j++) t[j] = (remora_token)((j < 100 ? j : j - 100) * 7 % 200);
    assert_int_equal(remora_session_append(s, t, 100, REMORA_WANT_LAST, NULL), REMORA_OK);
    assert_int_equal(remora_session_append(s, t + 100, 3, REMORA_WANT_LAST, NULL), REMORA_OK);
    /* steps that another batch makes void must not count */
    for (int k = 0; k < 3 && other != NULL; k++) {
        for (int i = 0; i < 3; i++) assert_int_equal(remora_eval(&s, 1, cut, NULL), REMORA_MORE);
        assert_int_equal(remora_eval(led_by_other, 2, cut, NULL), REMORA_MORE);
    }
    remora_status st;
    while ((st = remora_eval(&s, 1, cut, NULL)) == REMORA_MORE)
        ;
    assert_int_equal(st, REMORA_OK);
    remora_session_free(s);
}

static void count_all_kinds(bed *b, chosen *c)
{
    static const remora_eval_opts cuts[] = {
        {.struct_size = sizeof(remora_eval_opts)},
        {.struct_size = sizeof(remora_eval_opts), .budget_us = 1},
        {.struct_size = sizeof(remora_eval_opts), .budget_us = 1, .max_tokens = 11},
    };
    const chosen none = {0};
    remora_session *s = rig_session(&b->r, REMORA_KV_BF16, 7);
    remora_session *idle = rig_session(&b->r, REMORA_KV_BF16, 7);
    guard_set_tap(b->r.rt, count_ids, c);
    feed(s, 40); /* off at first */
    counters_are(b, &none, 1, 0, 0);
    *c = none;
    assert_int_equal(remora_routing_enable(b->r.model, 1, NULL), REMORA_OK);
    assert_int_equal(remora_session_trim(s, 0, NULL), REMORA_OK);
    feed(s, 100);
    feed(s, 3);
    counters_are(b, c, 1, 103, 0);
    assert_int_equal(remora_routing_enable(b->r.model, 0, NULL), REMORA_OK);
    guard_set_tap(b->r.rt, NULL, NULL);
    feed(s, 9);
    counters_are(b, c, 1, 103, 1); /* kept when switched off; set to 0 by this read */
    counters_are(b, &none, 1, 0, 0);
    assert_int_equal(remora_routing_enable(b->r.model, 1, NULL), REMORA_OK);
    for (int k = 0; k < 3; k++) feed_again(b, &cuts[k], NULL);
    counters_are(b, c, 3, 3 * 103, 0);
    feed_again(b, &cuts[1], idle);
    counters_are(b, c, 4, 4 * 103, 0);
    remora_session_free(s);
    remora_session_free(idle);
}

static void routing_counters(void **state)
{
    static const tiny_opts kinds[] = {{0}, {.v2 = 1}};
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        remora_runtime *rt = NULL;
        chosen c;
        bed b;
        memset(&c, 0, sizeof c);
        assert_int_equal(guard_runtime_create(&o, &rt, NULL), REMORA_OK);
        open_bed(&b, &kinds[i], rt);
        count_all_kinds(&b, &c);
        GUARD_IS_CLEAN(rt);
        close_bed(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_a_token),
        cmocka_unit_test(forks_share_and_trims_give_back),
        cmocka_unit_test(pending_tokens_are_not_shared),
        cmocka_unit_test(routing_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
