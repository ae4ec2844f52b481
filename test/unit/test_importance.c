/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of squared inputs: exactly those of the numbers that go into each product, on the backend's
 * operations (against slots that can be read) and through the public functions on tiny models; the
 * same for every cut of the work. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "bed.h"
#include "host.h"
#include "product.h"
#include "tiny.h"

/* ---- operations ---- */

enum { HIDDEN = 24, INNER = 20, SHARED = 300, EXPERTS = 4, USED = 2, MAX_ROWS = 70 };
enum { FF0 = BED_MOE_SLOTS, SHARED_FF = FF0 + EXPERTS, SLOTS };

typedef struct rig {
    bed bed;
    bed_moe m;
    rmr_buffer *sums;
    rmr_weight *one[EXPERTS][2];
} rig;

static rmr_weight *weight(rig *r, rmr_weight_use use, uint32_t count, uint32_t rows, uint32_t cols,
                          const float *data)
{
    return bed_weight_of(&r->bed, (rmr_weight_desc){use, RMR_ELEM_F32, count, rows, cols, {0}},
                         data);
}

static float *fill(rig *r, size_t n)
{
    float *v = malloc(n * sizeof *v);
    assert_non_null(v);
    bed_floats(&r->bed, v, n);
    return v;
}

static void rig_init(rig *r, uint32_t threads)
{
    static const uint32_t rows[3] = {INNER, INNER, HIDDEN}, cols[3] = {HIDDEN, HIDDEN, INNER};
    bed_moe *const m = &r->m;
    bed_init(&r->bed, threads, 7);
    for (int i = 0; i < 3; i++) {
        float *v = fill(r, EXPERTS * HIDDEN * INNER);
        m->w[i] = weight(r, RMR_USE_MATRIX, EXPERTS, rows[i], cols[i], v);
        for (int e = 0; i < 2 && e < EXPERTS; e++)
            r->one[e][i] =
                weight(r, RMR_USE_MATRIX, 1, rows[i], cols[i], v + (size_t)e * HIDDEN * INNER);
        free(v);
        v = fill(r, HIDDEN * SHARED);
        m->s[i] = i < 2 ? weight(r, RMR_USE_MATRIX, 1, SHARED, HIDDEN, v)
                        : weight(r, RMR_USE_MATRIX, 1, HIDDEN, SHARED, v);
        free(v);
    }
    float *v = fill(r, MAX_ROWS * HIDDEN);
    m->table = weight(r, RMR_USE_TABLE, 1, MAX_ROWS, HIDDEN, v);
    free(v);
    v = fill(r, MAX_ROWS * EXPERTS);
    for (int i = 0; i < MAX_ROWS; i++) v[i * EXPERTS + 2] = -9; /* nobody is sent to expert 2 */
    m->logits = weight(r, RMR_USE_TABLE, 1, MAX_ROWS, EXPERTS, v);
    free(v);
}

static void rig_free(rig *r)
{
    rmr_backend *const be = r->bed.be;
    for (int e = 0; e < EXPERTS; e++)
        for (int i = 0; i < 2; i++) be->ops->weight_free(be, r->one[e][i]);
    be->ops->buffer_free(be, r->sums);
    bed_moe_free(&r->bed, &r->m);
    bed_free(&r->bed);
}

/* What a step leaves in its slots. */
typedef struct result {
    float in[MAX_ROWS][HIDDEN], ff[EXPERTS][MAX_ROWS][INNER], shared_ff[MAX_ROWS][SHARED];
    uint32_t ids[MAX_ROWS][USED];
} result;

static void run(rig *r, uint32_t first, uint32_t n, const rmr_sums sums[4], result *out)
{
    bed *const b = &r->bed;
    rmr_slot slots[SLOTS];
    rmr_op list[BED_MOE_OPS + 1 + EXPERTS];
    bed_moe_plan(&r->m, USED, slots, list);
    list[BED_SWIGLU].sums = sums[0];
    list[BED_DOWN].sums = sums[1];
    list[BED_SWIGLU].shared_sums = sums[2];
    list[BED_DOWN].shared_sums = sums[3];
    for (uint32_t e = 0; e <= EXPERTS; e++) { /* the last are the shared ones */
        const int shared = e == EXPERTS;
        slots[FF0 + e] = (rmr_slot){shared ? SHARED : INNER, RMR_ROWS_ALL};
        list[BED_MOE_OPS + e] = (rmr_op){.kind = RMR_OP_SWIGLU,
                                         .in = {BED_IN, 0},
                                         .out = {FF0 + e, 0},
                                         .w = shared ? r->m.s[0] : r->one[e][0],
                                         .w2 = shared ? r->m.s[1] : r->one[e][1],
                                         .n = HIDDEN};
    }
    const rmr_step_desc d = {list, BED_MOE_OPS + 1 + EXPERTS, slots, SLOTS, MAX_ROWS, 1, 1, NULL};
    const rmr_inputs in = bed_rows(first, n, MAX_ROWS);
    rmr_step *s = bed_step(b, &d, &in);
    bed_read(b, s, BED_IN, n, out->in[first]);
    bed_read(b, s, BED_IDS, n, out->ids[first]);
    bed_read(b, s, SHARED_FF, n, out->shared_ff[first]);
    for (uint32_t e = 0; e < EXPERTS; e++) bed_read(b, s, FF0 + e, n, out->ff[e][first]);
    bed_end(b, s);
}

/* Rows [0, MAX_ROWS) of x, those that take part, as one chain for each column. */
static uint64_t expect(const float *x, uint32_t cols, const result *r, uint32_t expert, double *sum)
{
    uint64_t count = 0;
    for (uint32_t c = 0; c < cols; c++) sum[c] = 0;
    for (uint32_t i = 0; i < MAX_ROWS; i++) {
        if (expert < EXPERTS && r->ids[i][0] != expert && r->ids[i][1] != expert) continue;
        count++;
        for (uint32_t c = 0; c < cols; c++)
            sum[c] += (double)x[i * cols + c] * (double)x[i * cols + c];
    }
    return count;
}

static void check(rmr_backend *be, const rmr_sums *s, uint32_t index, const float *x,
                  const result *r, uint32_t expert, const char *what)
{
    const rmr_backend_ops *ops = be->ops;
    double want[SHARED], got[SHARED];
    uint64_t count;
    const uint64_t n = expect(x, s->cols, r, expert, want);
    const uint64_t at = s->at + (uint64_t)index * s->cols * 8;
    assert_int_equal(ops->buffer_read(be, s->buffer, at, got, s->cols * 8ull, NULL), REMORA_OK);
    assert_int_equal(ops->counters_read(be, s->buffer,
                                        s->at + s->count * s->cols * 8ull + index * 8ull, &count, 1,
                                        0, NULL),
                     REMORA_OK);
    if (count != n || memcmp(got, want, s->cols * sizeof *got) != 0)
        fail_msg("%s of expert %u: %llu rows, not %llu, or other sums", what, expert,
                 (unsigned long long)count, (unsigned long long)n);
}

static void operations(void **state)
{
    static const uint32_t cuts[][4] = {{MAX_ROWS}, {1, 1, 33, 35}, {64, 6}};
    static result got;
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++)
        for (size_t k = 0; k < sizeof cuts / sizeof cuts[0]; k++) {
            rig r;
            rig_init(&r, threads);
            rmr_backend *const be = r.bed.be;
            r.bed.apart = threads == 2;
            rmr_sums s[4] = {{NULL, 8, EXPERTS, HIDDEN},
                             {NULL, 0, EXPERTS, INNER},
                             {NULL, 0, 1, HIDDEN},
                             {NULL, 0, 1, SHARED}};
            uint64_t bytes = 8; /* the buffer begins with something else */
            for (int i = 0; i < 4; i++) {
                s[i].at = bytes;
                bytes += rmr_sums_bytes(s[i].count, s[i].cols);
            }
            assert_int_equal(be->ops->buffer_create(be, bytes, &r.sums, NULL), REMORA_OK);
            assert_int_equal(be->ops->buffer_zero(be, r.sums, 0, bytes, NULL), REMORA_OK);
            for (int i = 0; i < 4; i++) s[i].buffer = r.sums;
            for (uint32_t i = 0, first = 0; i < 4 && cuts[k][i] > 0; first += cuts[k][i++])
                run(&r, first, cuts[k][i], s, &got);
            for (uint32_t e = 0; e < EXPERTS; e++) {
                check(be, &s[0], e, got.in[0], &got, e, "input");
                check(be, &s[1], e, got.ff[e][0], &got, e, "input of down");
            }
            check(be, &s[2], 0, got.in[0], &got, EXPERTS, "input");
            check(be, &s[3], 0, got.shared_ff[0], &got, EXPERTS, "input of down");
            rig_free(&r);
        }
}

enum { ADDERS = 4, ADDS = 40, ADD_ROWS = 2000, ADD_COLS = 64 };

typedef struct adder {
    rmr_cpu *c;
    rmr_sums sums;
    const float *x;
} adder;

static void *add_often(void *arg)
{
    const adder *a = arg;
    uint64_t span;
    for (int i = 0; i < ADDS; i++) {
        rmr_step s = {.cpu = a->c, .rest = {.span = &span}};
        REQUIRE(rmr_cpu_sums_add(&s, &a->sums, 0, a->x, ADD_COLS, NULL, ADD_ROWS) == REMORA_OK);
    }
    return NULL;
}

/* Long chains from several threads at once to the same sums: another's addition in between is not
 * lost. Sums of small integers, so that the order does not matter. */
static void contention(void **state)
{
    enum { BYTES = (ADD_COLS + 1) * 8 };
    static float x[ADD_ROWS * ADD_COLS];
    double got[ADD_COLS], want[ADD_COLS] = {0};
    pthread_t threads[ADDERS];
    uint64_t count;
    bed b;
    rmr_buffer *sums = NULL;
    (void)state;
    bed_init(&b, 1, 7);
    assert_int_equal(b.be->ops->buffer_create(b.be, BYTES, &sums, NULL), REMORA_OK);
    assert_int_equal(b.be->ops->buffer_zero(b.be, sums, 0, BYTES, NULL), REMORA_OK);
    for (int i = 0; i < ADD_ROWS * ADD_COLS; i++) {
        x[i] = (float)(host_random(&b.seed) % 100);
        want[i % ADD_COLS] += (double)x[i] * (double)x[i] * ADDERS * ADDS;
    }
    adder a = {(rmr_cpu *)b.be, {sums, 0, 1, ADD_COLS}, x};
    for (int i = 0; i < ADDERS; i++) REQUIRE(!pthread_create(&threads[i], NULL, add_often, &a));
    for (int i = 0; i < ADDERS; i++) REQUIRE(!pthread_join(threads[i], NULL));
    assert_int_equal(b.be->ops->buffer_read(b.be, sums, 0, got, sizeof got, NULL), REMORA_OK);
    assert_int_equal(b.be->ops->counters_read(b.be, sums, sizeof got, &count, 1, 0, NULL), 0);
    assert_int_equal(count, ADDERS * ADDS * ADD_ROWS);
    assert_memory_equal(got, want, sizeof got);
    b.be->ops->buffer_free(b.be, sums);
    bed_free(&b);
}

/* ---- the public functions ---- */

enum { TOKENS = 60 };

/* All sums and counts of a model, one after another. */
typedef struct dump {
    double v[100000];
    uint64_t count[500];
    size_t n, n_counts;
} dump;

static remora_model *open_with(remora_runtime *rt, const remora_source *src, uint32_t flags)
{
    remora_error err = HOST_ERROR;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    remora_model *m = NULL;
    REQUIRE_OK(remora_model_open(rt, src, &o, &m, &err), &err);
    return m;
}

static void read_all(const remora_model *m, dump *d)
{
    remora_importance x = {.struct_size = sizeof x};
    d->n = d->n_counts = 0;
    for (uint32_t i = 0; remora_importance_get(m, i, &x, NULL) == REMORA_OK; i++)
        for (uint32_t k = 0; k < x.n_matrices; k++) {
            size_t n = 0;
            REQUIRE(d->n_counts < 500);
            REQUIRE_OK(remora_importance_read(m, i, k, &d->count[d->n_counts++], d->v + d->n,
                                              100000 - d->n, &n, NULL),
                       NULL);
            REQUIRE(n == x.n_cols);
            d->n += n;
        }
}

/* The weight of that name; matrix `k` of it into sums. */
static uint64_t read_one(const remora_model *m, const char *name, uint32_t k, double *sums,
                         remora_importance *x)
{
    for (uint32_t i = 0;; i++) {
        uint64_t count;
        size_t n;
        *x = (remora_importance){.struct_size = sizeof *x};
        if (remora_importance_get(m, i, x, NULL) < 0) fail_msg("%s has no sums", name);
        if (strcmp(x->name, name) != 0) continue;
        REQUIRE_OK(remora_importance_read(m, i, k, &count, sums, 4096, &n, NULL), NULL);
        return count;
    }
}

static void expect_equal(const remora_model *m, const char *a, const char *b, uint64_t count)
{
    double x[4096], y[4096];
    remora_importance p, q;
    assert_int_equal(read_one(m, a, 0, x, &p), count);
    assert_int_equal(read_one(m, b, 0, y, &q), count);
    assert_int_equal(p.n_cols, q.n_cols);
    assert_memory_equal(x, y, p.n_cols * sizeof *x);
    for (uint32_t i = 0; i < p.n_cols; i++) assert_true(x[i] > 0);
}

/* The head's input is the hidden state that a row has. */
static void check_head(const remora_model *m, remora_session *s, const char *name)
{
    double sums[4096], want[4096] = {0};
    float hidden[4096];
    remora_importance x;
    size_t n = 0;
    assert_int_equal(read_one(m, name, 0, sums, &x), TOKENS);
    for (uint32_t r = 0; r < TOKENS; r++) {
        REQUIRE_OK(remora_session_hidden(s, r, hidden, 4096, &n, NULL), NULL);
        for (size_t i = 0; i < n; i++) want[i] += (double)hidden[i] * (double)hidden[i];
    }
    assert_int_equal(x.n_cols, n);
    assert_memory_equal(sums, want, n * sizeof *sums);
}

/* Experts see what the shared experts see, each token USED times in all. */
static void check_experts(remora_model *m, uint32_t layer)
{
    remora_model_info info = {.struct_size = sizeof info};
    char name[96];
    double shared[4096], sums[4096], total[4096] = {0};
    uint64_t routed[64];
    remora_importance x;
    size_t n;
    REQUIRE_OK(remora_model_get_info(m, &info, NULL), NULL);
    REQUIRE_OK(remora_routing_read(m, layer, 0, routed, 64, &n, NULL), NULL);
    snprintf(name, sizeof name, "model.layers.%u.mlp.shared_experts.up_proj", layer);
    assert_int_equal(read_one(m, name, 0, shared, &x), TOKENS);
    snprintf(name, sizeof name, "model.layers.%u.mlp.experts.up_proj", layer);
    for (uint32_t e = 0; e < info.n_experts; e++) {
        assert_int_equal(read_one(m, name, e, sums, &x), routed[e]);
        assert_int_equal(x.n_matrices, info.n_experts);
        for (uint32_t c = 0; c < x.n_cols; c++) total[c] += sums[c];
    }
    for (uint32_t c = 0; c < x.n_cols; c++)
        assert_true(fabs(total[c] / shared[c] / info.n_experts_used - 1) < 1e-12);
    snprintf(name, sizeof name, "model.layers.%u.mlp.experts.down_proj", layer);
    assert_int_equal(read_one(m, name, 1, sums, &x), routed[1]);
}

/* Evaluates TOKENS tokens of the seed in portions, all rows wanted. */
static remora_session *eval_some(remora_model *m, uint32_t chunk, uint64_t max_tokens,
                                 uint64_t seed)
{
    remora_error err = HOST_ERROR;
    const remora_session_opts so = {
        .struct_size = sizeof so, .capacity = 128, .chunk = chunk, .kv_type = REMORA_KV_F32};
    const remora_eval_opts eo = {.struct_size = sizeof eo, .max_tokens = max_tokens};
    remora_token ids[TOKENS];
    remora_session *s = NULL;
    remora_status st;
    host_ids(ids, TOKENS, host_vocab(m), seed);
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    REQUIRE_OK(remora_session_append(s, ids, TOKENS, REMORA_WANT_ALL | REMORA_WANT_HIDDEN, NULL),
               NULL);
    do {
        st = remora_eval(&s, 1, &eo, &err);
        REQUIRE(st >= 0);
    } while (st == REMORA_MORE);
    return s;
}

static const tiny_opts kinds[] = {
    {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen2"}, {.dtype = "F32"}};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static void models(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_KINDS; k++) {
        tiny t;
        tiny_make(&t, &kinds[k]);
        remora_runtime *rt = host_runtime(NULL, 2, NULL);
        remora_model *m = open_with(rt, &t.source, REMORA_MODEL_IMPORTANCE);
        REQUIRE_OK(remora_routing_enable(m, 1, NULL), NULL);
        remora_session *s = eval_some(m, 0, 0, 1);
        const int dense = kinds[k].dense != NULL;
        expect_equal(m, "model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj", TOKENS);
        expect_equal(m, "model.layers.0.mlp.down_proj", "model.layers.0.mlp.down_proj", TOKENS);
        expect_equal(m, "model.layers.2.self_attn.o_proj", "model.layers.2.self_attn.o_proj",
                     TOKENS);
        if (dense)
            expect_equal(m, "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj",
                         TOKENS);
        else
            expect_equal(m, "model.layers.1.self_attn.kv_a_proj_with_mqa",
                         kinds[k].v2 ? "model.layers.1.self_attn.q_proj"
                                     : "model.layers.1.self_attn.q_a_proj",
                         TOKENS);
        if (!dense && !kinds[k].v2)
            expect_equal(m, "model.layers.1.self_attn.q_b_proj",
                         "model.layers.1.self_attn.q_b_proj", TOKENS);
        if (!dense) check_experts(m, 1);
        /* a tied head goes by the name of its tensor */
        check_head(
            m, s, dense && strcmp(kinds[k].dense, "llama") == 0 ? "model.embed_tokens" : "lm_head");
        remora_session_free(s);
        remora_model_free(m);
        remora_runtime_free(rt);
        tiny_free(&t);
    }
}

/* The same bits whatever the threads, chunks and evals; and the same logits as without sums. */
static void one_result(void **state)
{
    static const struct {
        int32_t threads;
        uint32_t chunk;
        uint64_t most;
        const char *isa;
    } ways[] = {{1, 0, 0, NULL}, {3, 0, 0, NULL},  {2, 1, 0, NULL},
                {2, 7, 0, NULL}, {1, 0, 13, NULL}, {2, 0, 0, "ref"}};
    static dump first, now;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    remora_model *plain = open_with(NULL, &t.source, 0);
    remora_session *s = eval_some(plain, 0, 0, 1);
    float *rows = host_rows(s, TOKENS);
    const size_t size = (size_t)TOKENS * host_vocab(plain) * sizeof *rows;
    remora_session_free(s);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        remora_runtime *rt = host_runtime(NULL, ways[i].threads, ways[i].isa);
        remora_model *m = open_with(rt, &t.source, REMORA_MODEL_IMPORTANCE);
        s = eval_some(m, ways[i].chunk, ways[i].most, 1);
        float *with = host_rows(s, TOKENS);
        assert_memory_equal(with, rows, size);
        read_all(m, i == 0 ? &first : &now);
        if (i > 0) {
            assert_int_equal(now.n, first.n);
            assert_memory_equal(now.v, first.v, now.n * sizeof *now.v);
            assert_memory_equal(now.count, first.count, now.n_counts * sizeof *now.count);
        }
        free(with);
        remora_session_free(s);
        remora_model_free(m);
        remora_runtime_free(rt);
    }
    free(rows);
    remora_model_free(plain);
    tiny_free(&t);
}

enum { THREADS = 4, ROUNDS = 8 };

static void *eval_beside(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) remora_session_free(eval_some(arg, 0, 0, 1));
    return NULL;
}

/* Evals side by side lose nothing. */
static void side_by_side(void **state)
{
    static dump once, all;
    pthread_t threads[THREADS];
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    remora_model *m = open_with(NULL, &t.source, REMORA_MODEL_IMPORTANCE);
    remora_session_free(eval_some(m, 0, 0, 1));
    read_all(m, &once);
    for (int i = 0; i < THREADS; i++) REQUIRE(!pthread_create(&threads[i], NULL, eval_beside, m));
    for (int i = 0; i < THREADS; i++) REQUIRE(!pthread_join(threads[i], NULL));
    read_all(m, &all);
    for (size_t i = 0; i < all.n_counts; i++)
        assert_int_equal(all.count[i], once.count[i] * (THREADS * ROUNDS + 1));
    for (size_t i = 0; i < all.n; i++)
        if (!(fabs(all.v[i] - once.v[i] * (THREADS * ROUNDS + 1)) <= 1e-12 * all.v[i]))
            fail_msg("sum %zu is %.17g after %.17g", i, all.v[i], once.v[i]);
    remora_model_free(m);
    tiny_free(&t);
}

/* Without the flag, or without weights, there is nothing. */
static void nothing(void **state)
{
    static const uint32_t flags[] = {0, REMORA_MODEL_NO_WEIGHTS,
                                     REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_IMPORTANCE};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        remora_model *m = open_with(NULL, &t.source, flags[i]);
        remora_importance x = {.struct_size = sizeof x};
        uint64_t count;
        double sum;
        size_t n;
        assert_int_equal(remora_importance_get(m, 0, &x, NULL), REMORA_E_NOT_FOUND);
        assert_int_equal(remora_importance_read(m, 0, 0, &count, &sum, 1, &n, NULL),
                         REMORA_E_NOT_FOUND);
        remora_model_free(m);
    }
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations), cmocka_unit_test(contention),   cmocka_unit_test(models),
        cmocka_unit_test(one_result), cmocka_unit_test(side_by_side), cmocka_unit_test(nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
