/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled tokenizer: one block that opens where it lies, whatever is in it. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "groups.h"
#include "tok_fixture.h"

enum { ROOM = 4096, N_VOCAB = 512, HEAD = 1280 };

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(remora_error)                                                        \
    }

static const char text[] = "<s>ab abab \xC3\xA9t\xC3\xA9 <t>123456 \xFF the end<s> aaaaaaaaaaaaaaaa"
                           "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbab";

/* Everything there is: merges, words, all kinds of added tokens, NFC, a pattern and a string. */
static const fix rich = {
    .vocab = ",\"ab\":256,\"\\u0120a\":257,\"\\u0120ab\":258,\"aa\":259,\"bb\":260",
    .merges = "\"a b\",\"\\u0120 a\",\"\\u0120a b\",\"a a\",\"b b\"",
    .added =
        "{\"id\":300,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":301,\"content\":\"<t>\",\"normalized\":true},"
        "{\"id\":302,\"content\":\"end\"},{\"id\":303,\"content\":\"123\",\"normalized\":false}",
    .normalizer = "{\"type\":\"NFC\"}",
    .pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
           "\"\\\\p{N}{1,3}| ?\\\\p{L}+\"},\"behavior\":\"Isolated\"},{\"type\":\"Split\","
           "\"pattern\":{\"String\":\"h\"},\"behavior\":\"Isolated\"}," FIX_BYTE_LEVEL "]}",
    .model = ",\"ignore_merges\":true"};

typedef struct world {
    tmem t;
    rmr_mem mem;
    rmr_tokenizer *tok;
    unsigned char *blob; /* its block, in malloc's memory so that sanitizers see its ends */
    size_t n;
    remora_error err;
} world;

static void begin(world *w)
{
    memset(w, 0, sizeof *w);
    w->mem = fix_mem(&w->t);
    w->err.struct_size = sizeof w->err;
}

static void take_blob(world *w)
{
    const void *blob = rmr_tokenizer_compiled(w->tok, &w->n);
    w->blob = malloc(w->n);
    memcpy(w->blob, blob, w->n);
}

static void begin_rich(world *w)
{
    begin(w);
    assert_int_equal(fix_open(&w->mem, &rich, &w->tok, &w->err), REMORA_OK);
    take_blob(w);
}

static void end(world *w)
{
    rmr_tokenizer_free(w->tok);
    free(w->blob);
    assert_int_equal(w->t.blocks, 0);
    assert_int_equal(w->t.damage, 0);
}

static remora_status open_blob(world *w, const void *blob, size_t n, rmr_tokenizer **out)
{
    return rmr_tokenizer_open_compiled(&w->mem, blob, n, 0, N_VOCAB, out, &w->err);
}

static void same_ids(const rmr_tokenizer *a, const rmr_tokenizer *b)
{
    for (uint32_t flags = 0; flags < 4; flags++) {
        remora_token x[ROOM], y[ROOM];
        size_t nx, ny;
        assert_int_equal(rmr_tokenizer_encode(a, text, sizeof text - 1, flags, x, ROOM, &nx, NULL),
                         REMORA_OK);
        assert_int_equal(rmr_tokenizer_encode(b, text, sizeof text - 1, flags, y, ROOM, &ny, NULL),
                         REMORA_OK);
        assert_int_equal(nx, ny);
        assert_memory_equal(x, y, nx * sizeof *x);
    }
    for (remora_token id = 0; id < N_VOCAB; id++) {
        const char *p, *q;
        size_t n, m;
        assert_int_equal(rmr_tokenizer_flags(a, id), rmr_tokenizer_flags(b, id));
        assert_int_equal(rmr_tokenizer_bytes(a, id, &p, &n, NULL), REMORA_OK);
        assert_int_equal(rmr_tokenizer_bytes(b, id, &q, &m, NULL), REMORA_OK);
        assert_int_equal(n, m);
        assert_memory_equal(p, q, n);
    }
}

static void same_where_it_lies(void **state)
{
    world w;
    rmr_tokenizer *again;
    size_t n;
    (void)state;
    begin_rich(&w);
    const long blocks = w.t.blocks;
    assert_int_equal(open_blob(&w, w.blob, w.n, &again), REMORA_OK);
    assert_ptr_equal(rmr_tokenizer_compiled(again, &n), w.blob);
    assert_int_equal(n, w.n);
    assert_true(w.t.blocks > blocks);
    same_ids(w.tok, again);
    rmr_tokenizer_free(again);
    end(&w);
}

static uint32_t word_at(const unsigned char *p, size_t at)
{
    uint32_t v;
    memcpy(&v, p + at, 4);
    return v;
}

/* A flag is set where the tokenizer needs it and nowhere else: older readers refuse flags. */
static void flags_of_the_head(void **state)
{
    static const struct {
        fix f;
        uint32_t flags;
    } cases[] = {{{.added = "{\"id\":300,\"content\":\"<s>\"},{\"id\":301,\"content\":\"s\\u00e4\","
                            "\"special\":true}"},
                  0},
                 {{.normalizer = "{\"type\":\"NFC\"}"}, 1},
                 {{.added = "{\"id\":300,\"content\":\"s\\u00e4\"}"}, 2}};
    world w;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&w);
        assert_int_equal(fix_open(&w.mem, &cases[i].f, &w.tok, &w.err), REMORA_OK);
        take_blob(&w);
        assert_int_equal(word_at(w.blob, 16), cases[i].flags);
        end(&w);
    }
    begin(&w);
    const fix_file file = {"tokenizer.json",
                           "{\"pre_tokenizer\":" FIX_BYTE_LEVEL ",\"decoder\":{\"type\":"
                           "\"ByteLevel\"},\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}"};
    assert_int_equal(fix_open_files(&w.mem, &file, 1, N_VOCAB, &w.tok, &w.err), REMORA_OK);
    take_blob(&w);
    assert_int_equal(word_at(w.blob, 16), 4);
    assert_int_equal(word_at(w.blob, 256 + 4 * 'a'), 0);
    assert_int_equal(word_at(w.blob, 256 + 4 * 'b'), UINT32_MAX);
    end(&w);
}

static void odd_addresses_are_copied(void **state)
{
    world w;
    rmr_tokenizer *again;
    size_t n;
    (void)state;
    begin_rich(&w);
    unsigned char *odd = malloc(w.n + 1);
    memcpy(odd + 1, w.blob, w.n);
    assert_int_equal(open_blob(&w, odd + 1, w.n, &again), REMORA_OK);
    free(odd);
    assert_memory_equal(rmr_tokenizer_compiled(again, &n), w.blob, w.n);
    same_ids(w.tok, again);
    rmr_tokenizer_free(again);
    end(&w);
}

static void owned_blocks_are_freed(void **state)
{
    world w;
    rmr_tokenizer *again;
    (void)state;
    begin_rich(&w);
    for (int damaged = 0; damaged < 2; damaged++) {
        const long blocks = w.t.blocks;
        unsigned char *own = rmr_alloc(&w.mem, w.n);
        memcpy(own, w.blob, w.n);
        own[0] ^= (unsigned char)damaged;
        assert_int_equal(rmr_tokenizer_open_compiled(&w.mem, own, w.n, 1, N_VOCAB, &again, &w.err),
                         damaged ? REMORA_E_FORMAT : REMORA_OK);
        rmr_tokenizer_free(again);
        assert_int_equal(w.t.blocks, blocks);
    }
    end(&w);
}

static void every_cut_is_a_status(void **state)
{
    world w;
    rmr_tokenizer *again;
    (void)state;
    begin_rich(&w);
    for (size_t n = 0; n < w.n; n++) {
        unsigned char *cut = malloc(n + 1);
        memcpy(cut, w.blob, n);
        assert_int_equal(open_blob(&w, cut, n, &again), REMORA_E_FORMAT);
        assert_null(again);
        free(cut);
    }
    end(&w);
}

/* Ids above the model's rows, a version of tomorrow. */
static void heads_are_checked(void **state)
{
    world w;
    rmr_tokenizer *again;
    (void)state;
    begin_rich(&w);
    assert_int_equal(rmr_tokenizer_open_compiled(&w.mem, w.blob, w.n, 0, 301, &again, &w.err),
                     REMORA_E_FORMAT);
    w.blob[8] = 2;
    assert_int_equal(open_blob(&w, w.blob, w.n, &again), REMORA_E_UNSUPPORTED);
    assert_non_null(strstr(w.err.message, "version 2"));
    end(&w);
}

static void use(const rmr_tokenizer *t)
{
    remora_token ids[ROOM];
    char buf[ROOM];
    remora_detok d = {{0}};
    size_t n, k;
    for (uint32_t flags = 0; flags < 4; flags++) {
        const remora_status st =
            rmr_tokenizer_encode(t, text, sizeof text - 1, flags, ids, ROOM, &n, NULL);
        assert_true(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED);
        for (size_t i = 0; st == REMORA_OK && i < n; i++) assert_in_range(ids[i], 0, N_VOCAB - 1);
    }
    for (remora_token id = 0; id < N_VOCAB; id++) {
        (void)rmr_tokenizer_flags(t, id);
        (void)rmr_detok_push(t, &d, &id, 1, buf, sizeof buf, &k, NULL);
    }
    for (int32_t which = -1; which < 40; which++) {
        const remora_token id = rmr_tokenizer_special(t, which);
        assert_true(id == REMORA_TOKEN_NONE || (id >= 0 && id < N_VOCAB));
    }
}

/* Any damage: wrong tokens or a status. Half of the flips hit the head and the sets. */
static void hostile_flips(void **state)
{
    world w;
    uint64_t seed = 7;
    size_t opened = 0;
    (void)state;
    begin_rich(&w);
    for (int round = 0; round < 3000; round++) {
        unsigned char *bad = malloc(w.n);
        rmr_tokenizer *t;
        memcpy(bad, w.blob, w.n);
        for (uint32_t k = 1 + fix_random(&seed) % 40; k > 0; k--) {
            const size_t span = fix_random(&seed) % 2 ? w.n : 256;
            bad[fix_random(&seed) % span] ^= (unsigned char)(1u << fix_random(&seed) % 8);
            if (round % 2) bad[HEAD + fix_random(&seed) % (w.n - HEAD)] = 0xFF;
        }
        if (round % 4) memcpy(bad, w.blob, 72); /* so that it opens */
        const remora_status st = open_blob(&w, bad, w.n, &t);
        assert_true(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED);
        if (st == REMORA_OK) use(t);
        opened += st == REMORA_OK;
        rmr_tokenizer_free(t);
        free(bad);
    }
    assert_true(opened > 300);
    end(&w);
}

/* Opening touches the head and the patterns, not the tables: their pages cannot be read here. */
static void opening_reads_no_table(void **state)
{
    world w;
    rmr_tokenizer *again;
    (void)state;
    begin(&w);
    assert_int_equal(fix_open_model(&w.mem, "ds3", 129280, &w.tok, &w.err), REMORA_OK);
    take_blob(&w);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (w.n + page - 1) / page * page;
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    memcpy(p, w.blob, w.n);
    size_t steps = HEAD + 8 * ((size_t)word_at(p, 20) + 1) + 12 * (size_t)word_at(p, 28);
    for (size_t i = 0; i < 3; i++) {
        const size_t items = word_at(p, 32 + 4 * i);
        if (items > 0) steps += 257 * 4 + 12 * items;
    }
    const size_t steps_end = steps + word_at(p, 48);
    assert_int_equal(mprotect(p + page, size - page, PROT_NONE), 0);
    assert_int_equal(mprotect(p + steps / page * page, steps_end - steps / page * page, PROT_READ),
                     0);
    assert_int_equal(rmr_tokenizer_open_compiled(&w.mem, p, w.n, 0, 129280, &again, &w.err),
                     REMORA_OK);
    rmr_tokenizer_free(again);
    munmap(p, size);
    end(&w);
}

static int32_t sweep_open(void *arg, tmem *t)
{
    world *w = arg;
    rmr_mem mem = fix_mem(t);
    rmr_tokenizer *tok = NULL;
    remora_error err = ERROR_INIT;
    unsigned char *own = rmr_alloc(&mem, w->n);
    if (own == NULL) return REMORA_E_NOMEM;
    memcpy(own, w->blob, w->n);
    const remora_status st = rmr_tokenizer_open_compiled(&mem, own, w->n, 1, N_VOCAB, &tok, &err);
    if (st < 0) assert_int_equal(st, REMORA_E_NOMEM);
    rmr_tokenizer_free(tok);
    return st;
}

static void every_allocation_fails_once(void **state)
{
    world w;
    tmem t = {0};
    (void)state;
    begin_rich(&w);
    assert_true(tmem_sweep(&t, sweep_open, &w) > 4);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_where_it_lies),     cmocka_unit_test(odd_addresses_are_copied),
        cmocka_unit_test(owned_blocks_are_freed), cmocka_unit_test(every_cut_is_a_status),
        cmocka_unit_test(heads_are_checked),      cmocka_unit_test(hostile_flips),
        cmocka_unit_test(flags_of_the_head),      cmocka_unit_test(every_allocation_fails_once),
    };
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(opening_reads_no_table)};
    return RUN_GROUPS("compiled", tests, model_tests);
}
