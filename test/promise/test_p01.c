/* SPDX-License-Identifier: Apache-2.0 */
/* P1: no argument ends the process. Every function of the header gets NULLs, sizes that are too
 * small or promise fields that nobody knows, enumerators out of range, negative and enormous
 * numbers; each answers with a status, and what it got stays usable. (Failing resources are in
 * test/fault, damaged files in P19.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { CAP = 64 };

typedef struct fixture {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    remora_model *m, *bare; /* bare: no weights, no tokenizer */
    remora_session *s;
    remora_sampler *p;
    float *expect;
    long blocks;
} fixture;

static const remora_token some[] = {5, 6, 7, 8, 9};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    remora_error err = HOST_ERROR;
    tiny bare;
    const remora_model_opts no = {.struct_size = sizeof no, .flags = REMORA_MODEL_NO_WEIGHTS};
    assert_non_null(f);
    tiny_make(&f->t, NULL);
    tiny_make(&bare, &(tiny_opts){.no_tokenizer = 1});
    f->rt = host_runtime(&f->mem, 2, NULL);
    f->m = host_open(f->rt, &f->t.source);
    REQUIRE_OK(remora_model_open(f->rt, &bare.source, &no, &f->bare, &err), &err);
    tiny_free(&bare);
    f->expect = host_logits(f->m, some, 5);
    f->s = host_session(f->m, CAP, REMORA_KV_F32);
    REQUIRE_OK(remora_sampler_create(f->m, 1, &f->p, &err), &err);
    REQUIRE_OK(remora_session_append(f->s, some, 5, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&f->s, 1, NULL, &err), &err);
    f->blocks = atomic_load(&f->mem.blocks);
    *state = f;
    return 0;
}

/* After each test: nothing leaked, and the handles do what they did. */
static int still_works(void **state)
{
    fixture *f = *state;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_trim(f->s, 0, NULL), NULL);
    REQUIRE_OK(remora_session_append(f->s, some, 5, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&f->s, 1, NULL, &err), &err);
    float *got = host_rows(f->s, 5);
    REQUIRE(memcmp(got, f->expect, 5 * TINY_TEXT_VOCAB * sizeof *got) == 0);
    free(got);
    REQUIRE(atomic_load(&f->mem.blocks) == f->blocks);
    REQUIRE(atomic_load(&f->mem.damage) == 0);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    free(f->expect);
    remora_sampler_free(f->p);
    remora_session_free(f->s);
    remora_model_free(f->m);
    remora_model_free(f->bare);
    remora_runtime_free(f->rt);
    assert_int_equal(atomic_load(&f->mem.bytes), 0);
    tiny_free(&f->t);
    free(f);
    return 0;
}

/* ---- each refusal says why ---- */

static remora_error told;

static remora_error *clear(void)
{
    told = (remora_error)HOST_ERROR;
    return &told;
}

static void refused(remora_status st, remora_status want, const char *call, int line)
{
    if (st != want || told.code != want || told.message[0] == 0)
        fail_msg("line %d: %s is %s, and says %s: %s", line, call, remora_status_name(st),
                 remora_status_name(told.code), told.message);
}

#define ERR clear()
#define REFUSED(call, want) refused((call), (want), #call, __LINE__)

/* ---- structs that carry their size ---- */

typedef remora_status in_fn(void *ctx, const void *opts);

/* An input struct of `size` bytes whose contents are legal. */
static void hostile_in(in_fn *call, void *ctx, const void *legal, uint32_t size)
{
    static const uint32_t no_size[] = {0, 1, 4, 8, 16, 4097, 0xa5a5a5a5u, UINT32_MAX};
    static unsigned char big[4096];
    for (size_t i = 0; i < sizeof no_size / sizeof no_size[0]; i++) {
        memset(big, 0, sizeof big);
        memcpy(big, legal, size);
        memcpy(big, &no_size[i], 4);
        assert_int_equal(call(ctx, big), REMORA_E_STRUCT);
    }
    const uint32_t one_less = size - 1;
    memcpy(big, legal, size);
    memcpy(big, &one_less, 4);
    assert_int_equal(call(ctx, big), REMORA_E_STRUCT);
    for (uint32_t more = 1; more <= 2048; more *= 2) { /* a newer program */
        const uint32_t n = size + more;
        memset(big, 0, sizeof big);
        memcpy(big, legal, size);
        memcpy(big, &n, 4);
        big[n - 1] = 1;
        assert_int_equal(call(ctx, big), REMORA_E_STRUCT);
        big[n - 1] = 0;
        assert_true(call(ctx, big) >= 0); /* the new field unused: served */
        big[size] = 0x80;
        assert_int_equal(call(ctx, big), REMORA_E_STRUCT);
    }
    assert_true(call(ctx, legal) >= 0);
}

typedef remora_status out_fn(void *ctx, void *out);

static void hostile_out(out_fn *call, void *ctx, uint32_t size)
{
    static unsigned char big[8192], small[8192];
    assert_int_equal(call(ctx, NULL), REMORA_E_ARG);
    for (uint32_t n = 0; n < size; n += n < 16 ? 1 : 7) {
        memset(big, 0x5A, sizeof big);
        memcpy(big, &n, 4);
        memcpy(small, big, sizeof big);
        assert_int_equal(call(ctx, big), REMORA_E_STRUCT);
        assert_memory_equal(big, small, sizeof big); /* untouched */
    }
    static const uint32_t forgotten[] = {4097, 0xa5a5a5a5u, UINT32_MAX};
    for (size_t i = 0; i < sizeof forgotten / sizeof forgotten[0]; i++) {
        memset(big, 0xA5, sizeof big);
        memcpy(big, &forgotten[i], 4);
        memcpy(small, big, sizeof big);
        assert_int_equal(call(ctx, big), REMORA_E_STRUCT);
        assert_memory_equal(big, small, sizeof big);
    }
    static const uint32_t more[] = {0, 1, 60, 240, 4096};
    for (size_t k = 0; k < sizeof more / sizeof more[0]; k++) {
        const uint32_t n = size + more[k] < 4096 ? size + more[k] : 4096;
        uint32_t after;
        memset(big, 0x5A, sizeof big);
        memcpy(big, &n, 4);
        assert_int_equal(call(ctx, big), REMORA_OK);
        memcpy(&after, big, 4);
        assert_int_equal(after, n);
        for (uint32_t i = size; i < n; i++) assert_int_equal(big[i], 0);
        for (uint32_t i = n; i < sizeof big; i++) assert_int_equal(big[i], 0x5A);
    }
}

/* ---- library and runtime ---- */

static void library(void **state)
{
    (void)state;
    static const int32_t codes[] = {0, 1, 2, 3, 100, -1, -18, -19, -1000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_non_null(remora_status_name(codes[i]));
    assert_string_equal(remora_status_name(REMORA_E_NOMEM), "E_NOMEM");
    assert_string_equal(remora_status_name(REMORA_E_LIMIT), "E_LIMIT");
    assert_string_equal(remora_status_name(-19), "unknown status");
    assert_int_equal(remora_abi_check(REMORA_VERSION_NUM), REMORA_OK);
    assert_int_equal(remora_abi_check(0), REMORA_E_STRUCT);
    assert_int_equal(remora_abi_check(UINT32_MAX), REMORA_E_STRUCT);
    assert_int_equal(remora_abi_check(2u << 24), REMORA_E_STRUCT);
    assert_int_equal(remora_abi_check(REMORA_VERSION_NUM + (1u << 16)), REMORA_E_STRUCT);
    assert_non_null(remora_build_info());
}

static remora_status make_runtime(void *ctx, const void *opts)
{
    remora_error err = HOST_ERROR;
    remora_runtime *rt = ctx;
    const remora_status st = remora_runtime_create(opts, &rt, &err);
    if (st < 0) {
        assert_null(rt);
        assert_int_equal(err.code, st);
        assert_true(err.message[0] != 0);
        /* an err that is missing, or too small for its text, is no reason to fail otherwise */
        remora_error brief = {.struct_size = 20};
        memset(brief.message, 0x5A, sizeof brief.message);
        assert_int_equal(remora_runtime_create(opts, &rt, NULL), st);
        assert_int_equal(remora_runtime_create(opts, &rt, &brief), st);
        assert_int_equal(brief.message[4], 0x5A);
        brief.struct_size = 0;
        assert_int_equal(remora_runtime_create(opts, &rt, &brief), st);
    } else {
        remora_runtime_free(rt);
    }
    return st;
}

static void runtime(void **state)
{
    fixture *f = *state;
    remora_runtime *rt = NULL;
    remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 1};
    REFUSED(remora_runtime_create(NULL, NULL, ERR), REMORA_E_ARG);
    hostile_in(make_runtime, f->rt, &o, sizeof o);
    o.n_threads = -1;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.n_threads = 1025;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.n_threads = INT32_MIN;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.n_threads = 1;
    o.flags = 1;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_STRUCT);
    o.flags = 0;
    o.log_level = 5;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.log_level = -1;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.log_level = 0;
    o.alloc = tmem_alloc; /* some but not all */
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.dealloc = tmem_release;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    o.alloc = NULL;
    o.dealloc = NULL;
    static const struct {
        remora_option extra;
        remora_status want;
    } bad[] = {{{{NULL, 5}, {"x", 1}}, REMORA_E_ARG},
               {{{"x-isa", 5}, {NULL, 1}}, REMORA_E_ARG},
               {{{"x-isa", 5}, {"a\0b", 3}}, REMORA_E_ARG},
               {{{"x-isa", 5}, {NULL, 0}}, REMORA_E_UNSUPPORTED},
               {{{NULL, 0}, {NULL, 0}}, REMORA_E_UNSUPPORTED},
               {{{"x-isa", 4}, {"avx2", 4}}, REMORA_E_UNSUPPORTED},
               {{{"x-isa", 6}, {"avx2", 4}}, REMORA_E_UNSUPPORTED},
               {{{"x-isa", 5}, {"mips", 4}}, REMORA_E_UNSUPPORTED},
               {{{"x-other", 7}, {"1", 1}}, REMORA_E_UNSUPPORTED}};
    o.n_extra = 1;
    assert_int_equal(make_runtime(rt, &o), REMORA_E_ARG);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.extra = &bad[i].extra;
        assert_int_equal(make_runtime(rt, &o), bad[i].want);
    }
    remora_runtime_free(NULL);
}

static remora_status get_device(void *ctx, void *out)
{
    return remora_device_get(ctx, 0, out, NULL);
}

static remora_status get_runtime(void *ctx, void *out)
{
    return remora_runtime_get_info(ctx, out, NULL);
}

static void devices(void **state)
{
    fixture *f = *state;
    remora_runtime_info info = {.struct_size = sizeof info};
    REFUSED(remora_runtime_get_info(NULL, &info, ERR), REMORA_E_ARG);
    hostile_out(get_runtime, f->rt, sizeof info);
    remora_device d = {.struct_size = sizeof d};
    assert_int_equal(remora_device_count(NULL), 0);
    REFUSED(remora_device_get(NULL, 0, &d, ERR), REMORA_E_ARG);
    REFUSED(remora_device_get(f->rt, 1, &d, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_device_get(f->rt, UINT32_MAX, &d, ERR), REMORA_E_NOT_FOUND);
    hostile_out(get_device, f->rt, sizeof d);
}

/* ---- model ---- */

static remora_status open_source(void *ctx, const void *src)
{
    remora_error err = HOST_ERROR;
    remora_model *m = (void *)&err;
    const remora_status st = remora_model_open(ctx, src, NULL, &m, &err);
    if (st < 0) {
        assert_null(m);
        assert_int_equal(err.code, st);
        assert_true(err.message[0] != 0);
    } else {
        remora_model_free(m);
    }
    return st;
}

static void sources(void **state)
{
    fixture *f = *state;
    remora_model *m = NULL;
    remora_source s = f->t.source;
    static const int32_t kinds[] = {0, 4, -1, INT32_MAX, INT32_MIN};
    hostile_in(open_source, f->rt, &s, sizeof s);
    REFUSED(remora_model_open(f->rt, NULL, NULL, &m, ERR), REMORA_E_ARG);
    REFUSED(remora_model_open(f->rt, &s, NULL, NULL, ERR), REMORA_E_ARG);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        s.kind = kinds[i];
        assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG);
    }
    s = (remora_source){.struct_size = sizeof s, .kind = REMORA_SOURCE_PATH};
    static const char *const paths[] = {NULL, "",          "/nowhere/at/all",
                                        "/",  "/dev/null", "\xff\n%s%n"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        s.path = paths[i];
        assert_true(open_source(f->rt, &s) < 0);
    }
    char *deep = malloc(100001);
    assert_non_null(deep);
    memset(deep, 'a', 100000);
    deep[100000] = 0;
    s.path = deep;
    assert_true(open_source(f->rt, &s) < 0);
    s.kind = REMORA_SOURCE_MEMORY;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG); /* that path as a blob's name */
    s.path = NULL;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_NOT_FOUND); /* no blobs */
    remora_blob b[] = {{"config.json", "{}", 2}, {"config.json", "{}", 2}};
    s.n_blobs = 2;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG); /* no array */
    s.blobs = b;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG); /* one name twice */
    static const char *const names[] = {NULL, "", ".", "..", "/etc/passwd", "a/b", "a\\b", "\n"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        b[1].name = names[i];
        assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG);
    }
    b[1].name = deep;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG);
    b[1] = (remora_blob){"model.safetensors", NULL, 8};
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG);
    b[1].data = "";
    b[1].size = UINT64_MAX;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG);
    s.n_blobs = UINT64_MAX;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG);
    s.kind = REMORA_SOURCE_IO;
    assert_int_equal(open_source(f->rt, &s), REMORA_E_ARG); /* no callbacks */
    free(deep);
}

typedef struct bad_io {
    int how;
} bad_io;

static remora_status odd_size(void *user, const char *name, uint64_t *size)
{
    const int how = ((bad_io *)user)->how;
    (void)name;
    if (how == 0) *size = UINT64_MAX;
    if (how == 1) *size = 0;
    if (how == 2) *size = (uint64_t)1 << 50;
    return how == 3 ? 12345 : how == 4 ? INT32_MIN : REMORA_OK; /* 5: size not written */
}

static remora_status odd_read(void *user, const char *name, uint64_t off, void *buf, uint64_t n)
{
    (void)user, (void)name, (void)off, (void)buf, (void)n;
    return REMORA_MORE;
}

static void callbacks(void **state)
{
    fixture *f = *state;
    bad_io io;
    const remora_source s = {.struct_size = sizeof s,
                             .kind = REMORA_SOURCE_IO,
                             .io_user = &io,
                             .io_size = odd_size,
                             .io_read = odd_read};
    for (io.how = 0; io.how < 6; io.how++) assert_true(open_source(f->rt, &s) < 0);
}

typedef struct open_ctx {
    fixture *f;
    remora_source src;
} open_ctx;

static remora_status open_opts(void *ctx, const void *opts)
{
    open_ctx *c = ctx;
    remora_model *m = NULL;
    remora_memory mem = {.struct_size = sizeof mem};
    const remora_status st = remora_model_open(c->f->rt, &c->src, opts, &m, NULL);
    assert_int_equal(m == NULL, st < 0);
    remora_model_free(m);
    assert_int_equal(remora_model_estimate(c->f->rt, &c->src, opts, NULL, 1, &mem, NULL), st);
    return st;
}

static void model_options(void **state)
{
    open_ctx c = {*state, ((fixture *)*state)->t.source};
    const remora_option kv = host_option("x-none", "1");
    remora_model_opts o = {.struct_size = sizeof o};
    hostile_in(open_opts, &c, &o, sizeof o);
    o.flags = 32; /* the first bit without a meaning */
    assert_int_equal(open_opts(&c, &o), REMORA_E_STRUCT);
    o.flags = REMORA_MODEL_ANYWAY; /* without NO_WEIGHTS */
    assert_int_equal(open_opts(&c, &o), REMORA_E_ARG);
    o.flags = UINT32_MAX;
    assert_int_equal(open_opts(&c, &o), REMORA_E_STRUCT);
    o.flags = 0;
    o.device = "";
    assert_int_equal(open_opts(&c, &o), REMORA_E_UNSUPPORTED);
    o.device = "cuda:%n%n";
    assert_int_equal(open_opts(&c, &o), REMORA_E_UNSUPPORTED);
    o.device = "cpu";
    o.n_extra = 1;
    assert_true(open_opts(&c, &o) < 0);
    o.extra = &kv;
    assert_int_equal(open_opts(&c, &o), REMORA_E_UNSUPPORTED);
    o = (remora_model_opts){.struct_size = sizeof o, .host_budget = 1};
    remora_model *m = NULL;
    REFUSED(remora_model_open(c.f->rt, &c.src, &o, &m, ERR), REMORA_E_NOMEM);
}

typedef struct estimate_ctx {
    fixture *f;
    const remora_session_opts *so;
    uint32_t n;
} estimate_ctx;

static remora_status estimate_out(void *ctx, void *out)
{
    estimate_ctx *c = ctx;
    return remora_model_estimate(c->f->rt, &c->f->t.source, NULL, c->so, c->n, out, NULL);
}

static void estimates(void **state)
{
    estimate_ctx c = {*state, NULL, 1};
    remora_memory mem = {.struct_size = sizeof mem};
    remora_session_opts so = {.struct_size = sizeof so, .capacity = UINT32_MAX};
    hostile_out(estimate_out, &c, sizeof mem);
    REFUSED(remora_model_estimate(c.f->rt, NULL, NULL, NULL, 1, &mem, ERR), REMORA_E_ARG);
    c.n = UINT32_MAX; /* large, and no overflow */
    assert_int_equal(estimate_out(&c, &mem), REMORA_OK);
    assert_true(mem.host_kv > (uint64_t)UINT32_MAX * 1000);
    c.n = 0;
    assert_int_equal(estimate_out(&c, &mem), REMORA_OK);
    c.so = &so;
    assert_int_equal(estimate_out(&c, &mem), REMORA_E_ARG);
    so.capacity = 0;
    so.struct_size = 3;
    assert_int_equal(estimate_out(&c, &mem), REMORA_E_STRUCT);
}

static remora_status get_info(void *ctx, void *out)
{
    return remora_model_get_info(ctx, out, NULL);
}

static remora_status get_memory(void *ctx, void *out)
{
    return remora_model_get_memory(ctx, out, NULL);
}

static void model_questions(void **state)
{
    fixture *f = *state;
    remora_model_info info = {.struct_size = sizeof info};
    remora_memory mem = {.struct_size = sizeof mem};
    char buf[64];
    size_t n = 77;
    hostile_out(get_info, f->m, sizeof info);
    hostile_out(get_memory, f->m, sizeof mem);
    hostile_out(get_memory, f->bare, sizeof mem);
    REFUSED(remora_model_get_info(NULL, &info, ERR), REMORA_E_ARG);
    REFUSED(remora_model_get_memory(NULL, &mem, ERR), REMORA_E_ARG);
    REFUSED(remora_model_meta(NULL, "source", buf, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_model_meta(f->m, NULL, buf, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_model_meta(f->m, "no such key", buf, 64, &n, ERR), REMORA_E_NOT_FOUND);
    assert_int_equal(n, 77);
    REFUSED(remora_model_meta(f->m, "source", NULL, 0, &n, ERR), REMORA_E_BUFFER);
    REFUSED(remora_model_meta(f->m, "source", NULL, 0, NULL, ERR), REMORA_E_BUFFER);
    REFUSED(remora_model_meta(f->m, "source", buf, n, NULL, ERR), REMORA_E_BUFFER);
    assert_int_equal(remora_model_meta(f->m, "source", buf, n + 1, NULL, NULL), REMORA_OK);
    REFUSED(remora_model_meta_key(NULL, 0, buf, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_model_meta_key(f->m, UINT32_MAX, buf, 64, &n, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_model_meta_key(f->m, 0, NULL, 0, NULL, ERR), REMORA_E_BUFFER);
    assert_null(remora_model_runtime(NULL));
    remora_model_free(NULL);
}

static void routing(void **state)
{
    fixture *f = *state;
    uint64_t counts[64];
    size_t n = 0;
    REFUSED(remora_routing_enable(NULL, 1, ERR), REMORA_E_ARG);
    REFUSED(remora_routing_enable(f->m, 2, ERR), REMORA_E_ARG);
    REFUSED(remora_routing_enable(f->m, -1, ERR), REMORA_E_ARG);
    REFUSED(remora_routing_read(NULL, 1, 0, counts, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_routing_read(f->m, 1, 0, counts, 64, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_routing_read(f->m, 0, 0, counts, 64, &n, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_routing_read(f->m, UINT32_MAX, 0, counts, 64, &n, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_routing_read(f->m, 1, 0, NULL, 0, &n, ERR), REMORA_E_BUFFER);
    assert_int_equal(n, 6);
    REFUSED(remora_routing_read(f->m, 1, 1, counts, 5, &n, ERR), REMORA_E_BUFFER);
    assert_int_equal(remora_routing_read(f->m, 1, 1, counts, 6, &n, NULL), REMORA_OK);
}

static void importance(void **state)
{
    fixture *f = *state;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_IMPORTANCE};
    remora_importance x = {.struct_size = sizeof x}, small = {.struct_size = 4};
    remora_model *m = NULL;
    double sums[512];
    uint64_t count = 7;
    size_t n = 0;
    REFUSED(remora_importance_get(NULL, 0, &x, ERR), REMORA_E_ARG);
    REFUSED(remora_importance_get(f->m, 0, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_importance_get(f->m, 0, &x, ERR), REMORA_E_NOT_FOUND);
    assert_int_equal(remora_model_open(NULL, &f->t.source, &o, &m, NULL), REMORA_OK);
    REFUSED(remora_importance_get(m, UINT32_MAX, &x, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_importance_get(m, 0, &small, ERR), REMORA_E_STRUCT);
    assert_int_equal(remora_importance_get(m, 0, &x, NULL), REMORA_OK);
    assert_int_equal(x.n_matrices, 1);
    assert_true(x.n_cols > 0 && x.n_cols < 512);
    REFUSED(remora_importance_read(NULL, 0, 0, &count, sums, 512, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_importance_read(m, 0, 0, NULL, sums, 512, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_importance_read(m, 0, 0, &count, sums, 512, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_importance_read(m, 0, 1, &count, sums, 512, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_importance_read(m, UINT32_MAX, 0, &count, sums, 512, &n, ERR),
            REMORA_E_NOT_FOUND);
    assert_int_equal(n, 0);
    REFUSED(remora_importance_read(m, 0, 0, &count, NULL, 0, &n, ERR), REMORA_E_BUFFER);
    assert_int_equal(n, x.n_cols);
    REFUSED(remora_importance_read(m, 0, 0, &count, sums, n - 1, &n, ERR), REMORA_E_BUFFER);
    assert_int_equal(count, 7);
    assert_int_equal(remora_importance_read(m, 0, 0, &count, sums, n, &n, NULL), REMORA_OK);
    assert_int_equal(count, 0);
    remora_model_free(m);
}

/* ---- text ---- */

static void text(void **state)
{
    fixture *f = *state;
    remora_token ids[64];
    size_t n;
    static char big[300];
    REFUSED(remora_tokenize(NULL, "a", 1, 0, ids, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, NULL, 1, 0, ids, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, "a", 1, 0, ids, 64, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, "a", 1, 0, NULL, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, "a", 1, 4, ids, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, "a", 1, UINT32_MAX, ids, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, "a", (size_t)1 << 31, 0, ids, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_tokenize(f->m, "a", SIZE_MAX, 0, ids, 64, &n, ERR), REMORA_E_ARG);
    assert_int_equal(remora_tokenize(f->m, NULL, 0, 0, NULL, 0, &n, NULL), REMORA_OK);
    assert_int_equal(n, 0);
    REFUSED(remora_tokenize(f->m, "ab", 2, 0, NULL, 0, &n, ERR), REMORA_E_BUFFER);
    assert_int_equal(n, 2);
    REFUSED(remora_tokenize(f->bare, "ab", 2, 0, ids, 64, &n, ERR), REMORA_E_UNSUPPORTED);
    for (size_t len = 0; len < sizeof big; len++) {
        memset(big, (int)len, len);
        (void)remora_tokenize(f->m, big, len, 3, ids, 64, &n, NULL);
    }
    static const remora_token bad[] = {-1, INT32_MIN, INT32_MAX, TINY_TEXT_VOCAB};
    for (size_t i = 0; i < 4; i++) {
        remora_detok d = {{0}};
        REFUSED(remora_token_bytes(f->m, bad[i], big, 300, &n, ERR), REMORA_E_ARG);
        assert_int_equal(remora_token_flags(f->m, bad[i]), 0);
        REFUSED(remora_detok_push(f->m, &d, &bad[i], 1, big, 300, &n, ERR), REMORA_E_ARG);
    }
    REFUSED(remora_token_bytes(NULL, 1, big, 300, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_token_bytes(f->m, 1, NULL, 300, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_token_bytes(f->m, 1, big, 300, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_token_bytes(f->m, 1, NULL, 0, &n, ERR), REMORA_E_BUFFER);
    REFUSED(remora_token_bytes(f->bare, 1, big, 300, &n, ERR), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_token_flags(NULL, 1), 0);
    static const int32_t which[] = {0, -1, 11, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(remora_token_special(f->m, which[i]), REMORA_TOKEN_NONE);
    assert_int_equal(remora_token_special(NULL, 1), REMORA_TOKEN_NONE);
    REFUSED(remora_end_tokens(NULL, ids, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_end_tokens(f->m, ids, 64, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_end_tokens(f->m, NULL, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_end_tokens(f->m, NULL, 0, &n, ERR), REMORA_E_BUFFER);
    REFUSED(remora_end_tokens(f->bare, ids, 64, &n, ERR), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_token_special(f->bare, 1), REMORA_TOKEN_NONE);
}

static void detok(void **state)
{
    fixture *f = *state;
    const remora_token t[2] = {0xE4, 'a'};
    char out[64];
    size_t n;
    remora_detok d = {{0}};
    REFUSED(remora_detok_push(NULL, &d, t, 2, out, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_push(f->m, NULL, t, 2, out, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_push(f->m, &d, NULL, 2, out, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_push(f->m, &d, t, 2, NULL, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_push(f->m, &d, t, 2, out, 64, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_push(f->bare, &d, t, 2, out, 64, &n, ERR), REMORA_E_UNSUPPORTED);
    REFUSED(remora_detok_flush(NULL, &d, out, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_flush(f->m, NULL, out, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_flush(f->m, &d, NULL, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_flush(f->m, &d, out, 64, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_detok_flush(f->bare, &d, out, 64, &n, ERR), REMORA_E_UNSUPPORTED);
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) { /* states that nobody made */
        for (int k = 0; k < 4; k++)
            d.opaque[k] = (uint64_t)host_random(&seed) << 33 ^ (uint64_t)host_random(&seed) << 11;
        const remora_status st = remora_detok_push(f->m, &d, t, 2, out, 64, &n, NULL);
        assert_true(st == REMORA_OK || st == REMORA_E_ARG);
    }
}

/* ---- session ---- */

static remora_status make_session(void *ctx, const void *opts)
{
    remora_error err = HOST_ERROR;
    remora_session *s = (void *)&err;
    const remora_status st = remora_session_create(ctx, opts, &s, &err);
    if (st < 0) {
        assert_null(s);
        assert_int_equal(err.code, st);
    } else {
        remora_session_free(s);
    }
    return st;
}

static void session_options(void **state)
{
    fixture *f = *state;
    const remora_option kv = host_option("x-none", "1");
    remora_session *s = NULL;
    remora_session_opts o = {.struct_size = sizeof o, .capacity = 16};
    hostile_in(make_session, f->m, &o, sizeof o);
    REFUSED(remora_session_create(NULL, &o, &s, ERR), REMORA_E_ARG);
    REFUSED(remora_session_create(f->m, &o, NULL, ERR), REMORA_E_ARG);
    assert_int_equal(make_session(f->bare, &o), REMORA_E_ARG);
    o.flags = 4; /* the first bit without a meaning */
    assert_int_equal(make_session(f->m, &o), REMORA_E_STRUCT);
    o.flags = 0;
    o.capacity = UINT32_MAX;
    assert_int_equal(make_session(f->m, &o), REMORA_E_ARG);
    o.capacity = 2049;
    assert_int_equal(make_session(f->m, &o), REMORA_E_ARG);
    o.capacity = 16;
    o.chunk = UINT32_MAX;
    assert_int_equal(make_session(f->m, &o), REMORA_E_ARG);
    o.chunk = 65537;
    assert_int_equal(make_session(f->m, &o), REMORA_E_ARG);
    o.chunk = 65536;
    assert_int_equal(make_session(f->m, &o), REMORA_OK);
    o.chunk = 0;
    static const int32_t types[] = {4, 5, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 5; i++) {
        o.kv_type = types[i];
        assert_int_equal(make_session(f->m, &o), REMORA_E_UNSUPPORTED);
    }
    o.kv_type = 0;
    o.n_extra = UINT64_MAX;
    assert_true(make_session(f->m, &o) < 0);
    o.extra = &kv;
    assert_int_equal(make_session(f->m, &o), REMORA_E_UNSUPPORTED);
    remora_session_free(NULL);
}

static remora_status session_info(void *ctx, void *out)
{
    return remora_session_get_info(ctx, out, NULL);
}

static remora_status session_options_of(void *ctx, void *out)
{
    return remora_session_get_options(ctx, out, NULL);
}

static remora_status session_stats(void *ctx, void *out)
{
    return remora_session_get_stats(ctx, out, NULL);
}

static void session_calls(void **state)
{
    fixture *f = *state;
    remora_session *k = NULL;
    remora_session_info info = {.struct_size = sizeof info};
    remora_stats stats = {.struct_size = sizeof stats};
    remora_token t[CAP + 1] = {0};
    size_t n;
    hostile_out(session_info, f->s, sizeof info);
    hostile_out(session_stats, f->s, sizeof stats);
    REFUSED(remora_session_get_info(NULL, &info, ERR), REMORA_E_ARG);
    REFUSED(remora_session_get_stats(NULL, &stats, ERR), REMORA_E_ARG);
    remora_session_opts options = {.struct_size = sizeof options};
    REFUSED(remora_session_get_options(NULL, &options, ERR), REMORA_E_ARG);
    hostile_out(session_options_of, f->s, sizeof options);
    assert_null(remora_session_model(NULL));
    REFUSED(remora_session_fork(NULL, &k, ERR), REMORA_E_ARG);
    REFUSED(remora_session_fork(f->s, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_session_tokens(NULL, 0, t, CAP, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_tokens(f->s, 6, t, CAP, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_tokens(f->s, UINT64_MAX, t, CAP, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_tokens(f->s, 0, NULL, CAP, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_tokens(f->s, 0, t, CAP, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_session_tokens(f->s, 0, NULL, 0, &n, ERR), REMORA_E_BUFFER);
    assert_int_equal(n, 5);
    assert_int_equal(remora_session_tokens(f->s, 5, NULL, 0, &n, NULL), REMORA_OK);
    REFUSED(remora_session_append(NULL, t, 1, 0, ERR), REMORA_E_ARG);
    REFUSED(remora_session_append(f->s, NULL, 1, 0, ERR), REMORA_E_ARG);
    assert_int_equal(remora_session_append(f->s, NULL, 0, 0, NULL), REMORA_OK);
    REFUSED(remora_session_append(f->s, t, CAP + 1, 0, ERR), REMORA_E_FULL);
    REFUSED(remora_session_append(f->s, t, SIZE_MAX, 0, ERR), REMORA_E_FULL);
    REFUSED(remora_session_append(f->s, t, (size_t)1 << 32, 0, ERR), REMORA_E_FULL);
    REFUSED(remora_session_append(f->s, t, 1, 8, ERR), REMORA_E_ARG);
    REFUSED(remora_session_append(f->s, t, 1, UINT32_MAX, ERR), REMORA_E_ARG);
    static const remora_token bad[] = {-1, INT32_MIN, INT32_MAX, TINY_TEXT_VOCAB};
    for (size_t i = 0; i < 4; i++) {
        t[2] = bad[i];
        REFUSED(remora_session_append(f->s, t, 3, REMORA_WANT_ALL, ERR), REMORA_E_ARG);
        REFUSED(remora_session_sync(f->s, t, 3, 0, &n, ERR), REMORA_E_ARG);
    }
    REFUSED(remora_session_sync(NULL, t, 1, 0, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_sync(f->s, NULL, 1, 0, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_sync(f->s, t, CAP + 1, 0, NULL, ERR), REMORA_E_FULL);
    REFUSED(remora_session_sync(f->s, t, SIZE_MAX, 0, NULL, ERR), REMORA_E_FULL);
    REFUSED(remora_session_sync(f->s, t, 1, 64, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_session_trim(NULL, 0, ERR), REMORA_E_ARG);
    REFUSED(remora_session_trim(f->s, 6, ERR), REMORA_E_ARG);
    REFUSED(remora_session_trim(f->s, UINT64_MAX, ERR), REMORA_E_ARG);
    assert_int_equal(remora_session_get_info(f->s, &info, NULL), REMORA_OK);
    assert_int_equal(info.committed, 5); /* refused calls changed nothing */
    assert_int_equal(info.pending, 0);
    assert_int_equal(info.n_rows, 5);
}

static void rows(void **state)
{
    fixture *f = *state;
    const float *row;
    float x[64];
    remora_token_prob top[300];
    size_t n = 3;
    static const uint32_t bad[] = {5, 1000, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        REFUSED(remora_session_logits(f->s, bad[i], &row, &n, ERR), REMORA_E_NOT_FOUND);
        REFUSED(remora_session_top(f->s, bad[i], top, 5, &n, ERR), REMORA_E_NOT_FOUND);
        REFUSED(remora_session_logprob(f->s, bad[i], 1, x, ERR), REMORA_E_NOT_FOUND);
        REFUSED(remora_session_hidden(f->s, bad[i], x, 64, &n, ERR), REMORA_E_NOT_FOUND);
    }
    REFUSED(remora_session_logits(NULL, 0, &row, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_logits(f->s, 0, NULL, &n, ERR), REMORA_E_ARG);
    assert_int_equal(remora_session_logits(f->s, 0, &row, NULL, NULL), REMORA_OK);
    REFUSED(remora_session_top(NULL, 0, top, 5, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_top(f->s, 0, NULL, 5, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_top(f->s, 0, top, 5, NULL, ERR), REMORA_E_ARG);
    assert_int_equal(remora_session_top(f->s, 0, NULL, 0, &n, NULL), REMORA_OK);
    assert_int_equal(remora_session_top(f->s, 0, top, SIZE_MAX, &n, NULL), REMORA_OK);
    assert_int_equal(n, TINY_TEXT_VOCAB);
    REFUSED(remora_session_logprob(NULL, 0, 1, x, ERR), REMORA_E_ARG);
    REFUSED(remora_session_logprob(f->s, 0, 1, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_session_logprob(f->s, 0, -1, x, ERR), REMORA_E_ARG);
    REFUSED(remora_session_logprob(f->s, 0, TINY_TEXT_VOCAB, x, ERR), REMORA_E_ARG);
    REFUSED(remora_session_hidden(NULL, 0, x, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_hidden(f->s, 0, x, 64, &n, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_session_hidden(f->s, 0, NULL, 64, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_session_hidden(f->s, 0, x, 64, NULL, ERR), REMORA_E_ARG);
}

static remora_status eval_opts(void *ctx, const void *opts)
{
    remora_session *s = ctx;
    return remora_eval(&s, 1, opts, NULL);
}

static void eval(void **state)
{
    fixture *f = *state;
    remora_eval_opts o = {.struct_size = sizeof o};
    remora_session *two[3] = {f->s, f->s, NULL};
    hostile_in(eval_opts, f->s, &o, sizeof o);
    REFUSED(remora_eval(NULL, 1, NULL, ERR), REMORA_E_ARG);
    assert_int_equal(remora_eval(NULL, 0, NULL, NULL), REMORA_OK);
    REFUSED(remora_eval(&two[2], 1, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_eval(&two[1], 2, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_eval(two, 2, NULL, ERR), REMORA_E_ARG); /* one session twice */
    o.budget_us = -1;
    assert_int_equal(eval_opts(f->s, &o), REMORA_E_ARG);
    o.budget_us = INT64_MIN;
    assert_int_equal(eval_opts(f->s, &o), REMORA_E_ARG);
    o.budget_us = INT64_MAX;
    o.max_tokens = UINT64_MAX;
    assert_int_equal(remora_session_append(f->s, some, 5, 0, NULL), REMORA_OK);
    assert_int_equal(eval_opts(f->s, &o), REMORA_OK);
    o.max_drafts = 31;
    assert_int_equal(eval_opts(f->s, &o), REMORA_E_ARG);
    o.max_drafts = REMORA_DRAFTS_AUTO;
    o.flags = REMORA_EVAL_AHEAD;
    assert_int_equal(eval_opts(f->s, &o), REMORA_OK);
    o.flags = 2;
    assert_int_equal(eval_opts(f->s, &o), REMORA_E_STRUCT);
    o.flags = 0;
    o.reserved = 1;
    assert_int_equal(eval_opts(f->s, &o), REMORA_E_STRUCT);
}

/* ---- sampler and generate ---- */

static remora_status add_stage(void *ctx, const void *stage)
{
    remora_sampler *p = NULL;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_sampler_create(ctx, 1, &p, &err), &err);
    const remora_status st = remora_sampler_add(p, stage, &err);
    if (st < 0) assert_int_equal(err.code, st);
    remora_sampler_free(p);
    return st;
}

static void stages(void **state)
{
    fixture *f = *state;
    remora_stage s = {.struct_size = sizeof s, .kind = REMORA_STAGE_TEMPERATURE, .value = 1};
    hostile_in(add_stage, f->m, &s, sizeof s);
    REFUSED(remora_sampler_add(NULL, &s, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_add(f->p, NULL, ERR), REMORA_E_ARG);
    static const int32_t kinds[] = {0, -1, 9, 11, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 6; i++) {
        s.kind = kinds[i];
        assert_int_equal(add_stage(f->m, &s), REMORA_E_UNSUPPORTED);
    }
    const double values[] = {-1, NAN, INFINITY, -INFINITY, 1e308, -1e-320, 0};
    const int64_t counts[] = {-1, INT64_MIN, INT64_MAX, 0, 1 << 21};
    for (s.kind = REMORA_STAGE_TEMPERATURE; s.kind <= REMORA_STAGE_CALLBACK; s.kind++)
        for (size_t v = 0; v < 7; v++)
            for (size_t c = 0; c < 5; c++) {
                remora_sampler *p = NULL;
                remora_token t = -5;
                s.value = values[v];
                s.count = counts[c];
                REQUIRE_OK(remora_sampler_create(f->m, 1, &p, NULL), NULL);
                const remora_status st = remora_sampler_add(p, &s, NULL);
                assert_true(st == REMORA_OK || st == REMORA_E_ARG || st == REMORA_E_UNSUPPORTED);
                const remora_status got = remora_sampler_pick(p, f->s, 0, &t, NULL);
                assert_true(got == REMORA_OK || got == REMORA_E_NO_TOKEN);
                if (got == REMORA_OK)
                    assert_true(t >= 0 && t < TINY_TEXT_VOCAB);
                else
                    assert_int_equal(t, -5);
                remora_sampler_free(p);
            }
}

static remora_status bad_stage(void *user, remora_token_prob *cand, size_t *n)
{
    switch (*(int *)user) {
    case 0: return REMORA_E_ARG;
    case 1: return REMORA_MORE;
    case 2: *n += 1; return REMORA_OK;
    case 3: *n = SIZE_MAX; return REMORA_OK;
    case 4: cand[0].token = -1; return REMORA_OK;
    case 5: cand[0].token = INT32_MAX; return REMORA_OK;
    case 6: *n = 0; return REMORA_OK;
    case 7:
        for (size_t i = 0; i < *n; i++) cand[i].logit = NAN;
        return REMORA_OK;
    default:
        for (size_t i = 0; i < *n; i++) cand[i].logit = INFINITY;
        return REMORA_OK;
    }
}

static void sampler(void **state)
{
    fixture *f = *state;
    remora_sampler *p = NULL;
    remora_token t = -5;
    float x[TINY_TEXT_VOCAB + 1] = {0};
    REFUSED(remora_sampler_create(NULL, 1, &p, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_create(f->m, 1, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_clone(NULL, &p, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_clone(f->p, NULL, ERR), REMORA_E_ARG);
    remora_sampler_reset(NULL, 1);
    static const remora_token bad[] = {-1, INT32_MIN, INT32_MAX, TINY_TEXT_VOCAB};
    for (size_t i = 0; i < 4; i++) REFUSED(remora_sampler_accept(f->p, bad[i], ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_accept(NULL, 1, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick(NULL, f->s, 0, &t, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick(f->p, NULL, 0, &t, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick(f->p, f->s, 0, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick(f->p, f->s, 5, &t, ERR), REMORA_E_NOT_FOUND);
    REFUSED(remora_sampler_pick_from(NULL, x, 1, &t, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick_from(f->p, NULL, 1, &t, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick_from(f->p, x, 1, NULL, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick_from(f->p, x, 0, &t, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick_from(f->p, x, TINY_TEXT_VOCAB + 1, &t, ERR), REMORA_E_ARG);
    REFUSED(remora_sampler_pick_from(f->p, x, SIZE_MAX, &t, ERR), REMORA_E_ARG);
    const float odd[] = {NAN, -INFINITY};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < TINY_TEXT_VOCAB; i++) x[i] = odd[k];
        REFUSED(remora_sampler_pick_from(f->p, x, 9, &t, ERR), REMORA_E_NO_TOKEN);
    }
    assert_int_equal(t, -5);
    for (int how = 0; how < 9; how++) {
        const remora_stage s = {
            .struct_size = sizeof s, .kind = REMORA_STAGE_CALLBACK, .fn = bad_stage, .user = &how};
        REQUIRE_OK(remora_sampler_create(f->m, 1, &p, NULL), NULL);
        REQUIRE_OK(remora_sampler_add(p, &s, NULL), NULL);
        const remora_status st = remora_sampler_pick(p, f->s, 0, &t, NULL);
        if (how < 6)
            assert_int_equal(st, REMORA_E_CALLBACK);
        else if (how < 8)
            assert_int_equal(st, REMORA_E_NO_TOKEN);
        else
            assert_true(st == REMORA_OK || st == REMORA_E_CALLBACK || st == REMORA_E_NO_TOKEN);
        remora_sampler_free(p);
    }
    remora_sampler_free(NULL);
}

static remora_status generate_opts(void *ctx, const void *opts)
{
    fixture *f = ctx;
    remora_token t[4];
    size_t n = 99;
    const remora_status st = remora_generate(f->s, f->p, opts, t, 1, &n, NULL);
    if (st < 0) assert_int_equal(n, 0);
    if (st >= 0) REQUIRE_OK(remora_session_trim(f->s, 5, NULL), NULL);
    return st;
}

static remora_status text_opts(void *ctx, const void *opts)
{
    fixture *f = ctx;
    char text[8];
    size_t n = 99;
    const remora_status st =
        remora_generate_text(f->s, f->p, opts, text, sizeof text, &n, NULL, 0, NULL, NULL);
    if (st < 0) assert_int_equal(n, 0);
    if (st >= 0) REQUIRE_OK(remora_session_trim(f->s, 5, NULL), NULL);
    return st;
}

static void generate_text(void **state)
{
    fixture *f = *state;
    remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 1};
    remora_token t[4];
    char text[8];
    size_t n, k;
    hostile_in(text_opts, f, &o, sizeof o);
#define TEXT(s, p, text, cap, n, t, tcap, tn)                                                      \
    REFUSED(remora_generate_text(s, p, &o, text, cap, n, t, tcap, tn, ERR), REMORA_E_ARG)
    TEXT(NULL, f->p, text, 8, &n, t, 4, &k);
    TEXT(f->s, NULL, text, 8, &n, t, 4, &k);
    TEXT(f->s, f->p, NULL, 8, &n, t, 4, &k);
    TEXT(f->s, f->p, text, 8, NULL, t, 4, &k);
    TEXT(f->s, f->p, text, 8, &n, NULL, 4, &k);
    TEXT(f->s, f->p, text, 8, &n, t, 0, &k);
    TEXT(f->s, f->p, text, 8, &n, t, 4, NULL);
    for (size_t cap = 0; cap < 4; cap++) TEXT(f->s, f->p, text, cap, &n, t, 4, &k);
#undef TEXT
    o.flags = 4;
    assert_int_equal(text_opts(f, &o), REMORA_E_STRUCT);
    o.flags = REMORA_GEN_KEEP_STOP;
    assert_true(text_opts(f, &o) >= 0);
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    REQUIRE_OK(remora_session_trim(f->s, 0, NULL), NULL);
    assert_int_equal(text_opts(f, NULL), REMORA_E_ARG); /* nothing to go on from */
}

static remora_status generation_info(void *ctx, void *out)
{
    return remora_session_get_generation(ctx, out, NULL);
}

static void generate(void **state)
{
    fixture *f = *state;
    remora_token t[4];
    size_t n;
    remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 1};
    hostile_in(generate_opts, f, &o, sizeof o);
    REFUSED(remora_generate(NULL, f->p, &o, t, 4, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_generate(f->s, NULL, &o, t, 4, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_generate(f->s, f->p, &o, NULL, 4, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_generate(f->s, f->p, &o, t, 0, &n, ERR), REMORA_E_ARG);
    REFUSED(remora_generate(f->s, f->p, &o, t, 4, NULL, ERR), REMORA_E_ARG);
    o.budget_us = -1;
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    o.budget_us = 0;
    o.flags = 4;
    assert_int_equal(generate_opts(f, &o), REMORA_E_STRUCT);
    o.flags = 0;
    static remora_token_prob probs[4 * 3];
    o.n_best = 2; /* without probs */
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    o.probs = probs;
    assert_true(generate_opts(f, &o) >= 0);
    assert_int_equal(text_opts(f, &o), REMORA_E_ARG); /* without tokens */
    o.n_best = TINY_TEXT_VOCAB + 1;
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    o.n_best = 0;
    o.probs = NULL;
    o.max_drafts = 31;
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    o.max_drafts = 0;
    remora_generation_info info = {.struct_size = sizeof info};
    REFUSED(remora_session_get_generation(NULL, &info, ERR), REMORA_E_ARG);
    REFUSED(remora_session_get_generation(f->s, NULL, ERR), REMORA_E_ARG);
    hostile_out(generation_info, f->s, sizeof info);
    o.n_stop = 1;
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    o.n_stop = UINT64_MAX;
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    static char longer[4098];
    memset(longer, 'a', 4097);
    remora_text stops[1025];
    for (int i = 0; i < 1025; i++) stops[i] = host_text("zz");
    o.stop = stops;
    o.n_stop = 1025;
    assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    o.n_stop = 1024;
    assert_true(generate_opts(f, &o) >= 0);
    const remora_text bad[] = {{NULL, 2}, {"", 0}, {longer, 4097}, {longer, UINT64_MAX}};
    for (int i = 0; i < 4; i++) {
        stops[3] = bad[i];
        assert_int_equal(generate_opts(f, &o), REMORA_E_ARG);
    }
    REQUIRE_OK(remora_session_trim(f->s, 0, NULL), NULL);
    assert_int_equal(generate_opts(f, NULL), REMORA_E_ARG); /* nothing to go on from */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(library, still_works),
        cmocka_unit_test_teardown(runtime, still_works),
        cmocka_unit_test_teardown(devices, still_works),
        cmocka_unit_test_teardown(sources, still_works),
        cmocka_unit_test_teardown(callbacks, still_works),
        cmocka_unit_test_teardown(model_options, still_works),
        cmocka_unit_test_teardown(estimates, still_works),
        cmocka_unit_test_teardown(model_questions, still_works),
        cmocka_unit_test_teardown(routing, still_works),
        cmocka_unit_test_teardown(importance, still_works),
        cmocka_unit_test_teardown(text, still_works),
        cmocka_unit_test_teardown(detok, still_works),
        cmocka_unit_test_teardown(session_options, still_works),
        cmocka_unit_test_teardown(session_calls, still_works),
        cmocka_unit_test_teardown(rows, still_works),
        cmocka_unit_test_teardown(eval, still_works),
        cmocka_unit_test_teardown(stages, still_works),
        cmocka_unit_test_teardown(sampler, still_works),
        cmocka_unit_test_teardown(generate, still_works),
        cmocka_unit_test_teardown(generate_text, still_works),
    };
    return RUN_GROUP("P1", tests, setup, teardown);
}
