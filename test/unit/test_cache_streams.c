/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of the cache: where their parts lie in a page, what an id tells apart, which streams
 * models have; and layers with two streams of different widths on the CPU, through forks, trims and
 * copies on write: every row of every stream is the one that was written, and attention over the
 * second stream has the bits of attention over the same rows alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "model.h"
#include "host.h"
#include "page_table.h"
#include "tiny.h"

/* ---- layouts ---- */

static const rmr_cache_stream wide[] = {
    {"latent", 0, RMR_CACHE_LATENT, 512 + 64, 64},
    {"index", 0, RMR_CACHE_LATENT, 24, 8},
    {"keys_values", 2, RMR_CACHE_KEYS_VALUES, 100, 0},
};

static void parts_follow_each_other(void **state)
{
    const rmr_cache_layout l = rmr_cache_layout_of(wide, 3), latent = rmr_cache_layout_of(wide, 2);
    uint64_t at[3];
    (void)state;
    assert_int_equal(l.n_layers, 3);
    assert_int_equal(rmr_cache_offsets(&l, RMR_KV_BF16, at), 32 * 2 * (576 + 24 + 100));
    assert_true(at[0] == 0 && at[1] == 32 * 2 * 576 && at[2] == 32 * 2 * (576 + 24));
    assert_int_equal(rmr_cache_page_bytes(&l, RMR_KV_F32), 32 * 4 * (576 + 24 + 100));
    /* the rope key twice; for two blocks of the latent or one, and two of the rope key, a scale and
     * a sum; 16 columns or a multiple of them */
    assert_int_equal(rmr_cache_offsets(&latent, RMR_KV_INT8, at),
                     32 * (512 + 2 * 64 + 4 * 8) + 32 * (16 + 2 * 16 + 3 * 8));
    assert_int_equal(at[1], 32 * (512 + 2 * 64 + 4 * 8));
    assert_true(rmr_cache_stores(&latent, RMR_KV_INT8));
    assert_false(rmr_cache_stores(&l, RMR_KV_INT8));
    assert_true(rmr_cache_stores(&l, RMR_KV_BF16) && rmr_cache_stores(&l, RMR_KV_F32));
    assert_int_equal(rmr_cache_find(&l, 0, "index"), 1);
    assert_int_equal(rmr_cache_find(&l, 2, "keys_values"), 2);
    assert_int_equal(rmr_cache_find(&l, 2, "index"), 3);
    assert_int_equal(rmr_cache_find(&l, 1, "latent"), 3);
}

static void streams_apart_lie_in_other_pages(void **state)
{
    rmr_cache_layout l = rmr_cache_layout_of(wide, 3);
    uint64_t at[3];
    (void)state;
    l.n_apart = 1;
    assert_int_equal(rmr_cache_offsets(&l, RMR_KV_BF16, at), 32 * 2 * (576 + 24));
    assert_int_equal(rmr_cache_apart_bytes(&l, RMR_KV_BF16), 32 * 2 * 100);
    assert_true(at[0] == 0 && at[1] == 32 * 2 * 576 && at[2] == 0);
}

static void ids_tell_layouts_apart(void **state)
{
    rmr_cache_stream other[3];
    const uint64_t id = rmr_cache_layout_of(wide, 3).id;
    (void)state;
    assert_true(id == 0x4d97aa91742da324); /* for ever, on every machine */
    assert_true(rmr_cache_layout_of(wide, 2).id != id);
    for (int k = 0; k < 5; k++) {
        memcpy(other, wide, sizeof other);
        assert_true(rmr_cache_layout_of(other, 3).id == id);
        if (k == 0) other[1].name = "latent";
        if (k == 1) other[1].layer = 1;
        if (k == 2) other[1].rows = RMR_CACHE_KEYS_VALUES;
        if (k == 3) other[1].width = 25;
        if (k == 4) other[1].rope = 16;
        assert_true(rmr_cache_layout_of(other, 3).id != id);
    }
}

static void streams_of_models(void **state)
{
    static const struct {
        tiny_opts o;
        const char *name;
    } kinds[] = {
        {{.layers = 4}, "latent"}, {{.v2 = 1}, "latent"}, {{.dense = "qwen3"}, "keys_values"}};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        tiny t;
        tiny_make(&t, &kinds[k].o);
        remora_model *m = host_open(NULL, &t.source);
        const rmr_cache_layout *l = &m->cache;
        const uint32_t heads = 2 * m->shape.gqa.kv_heads * m->shape.gqa.head_dim;
        assert_int_equal(l->n_layers, m->shape.n_layers);
        assert_int_equal(l->n_streams, m->shape.n_layers);
        for (uint32_t i = 0; i < l->n_streams; i++) {
            assert_string_equal(l->streams[i].name, kinds[k].name);
            assert_int_equal(l->streams[i].layer, i);
            assert_int_equal(l->streams[i].width, m->shape.mla.rank + m->shape.mla.rope + heads);
            assert_int_equal(l->streams[i].rope, m->shape.mla.rope);
        }
        remora_model_free(m);
        tiny_free(&t);
    }
}

/* ---- two streams in a layer, on the CPU ---- */

enum { TOKENS = 256, CAPACITY = 160, STREAMS = 4, MOST = 300 /* widest row */ };

/* Layer 0 has two streams of latents, layer 1 one; what layer 2 has is not stored in 8 bits. */
static const rmr_cache_stream streams[STREAMS] = {
    {"latent", 0, RMR_CACHE_LATENT, 24 + 8, 8},
    {"index", 0, RMR_CACHE_LATENT, 40 + 16, 16},
    {"latent", 1, RMR_CACHE_LATENT, 260 + 8, 8},
    {"keys_values", 2, RMR_CACHE_KEYS_VALUES, 2 * 3 * 5, 0},
};

static const rmr_mla mla[STREAMS] = {{.heads = 1, .rank = 24, .rope = 8, .scale = 0.5f},
                                     {.heads = 3, .rank = 40, .rope = 16, .scale = 0.5f},
                                     {.heads = 1, .rank = 260, .rope = 8, .scale = 0.5f}};
static const rmr_gqa gqa = {.heads = 3, .kv_heads = 3, .head_dim = 5, .scale = 1};

/* Slots: a row of each stream, a table of rotations of 8 and one of 16 numbers, queries over the
 * second stream and what attention finds. */
enum { ROPE_8 = STREAMS, ROPE_16, QUERY, FOUND, SLOTS };
enum { OPS = 2 + 2 * STREAMS + 2 };

typedef struct world {
    bed bed;
    rmr_pages pages;
    rmr_kv_type type;
    uint32_t n; /* streams in use */
    rmr_cache_layout layout;
    rmr_weight *table[STREAMS], *norm[STREAMS], *freq[2], *queries;
    rmr_op ops[OPS];
    uint32_t n_ops;
    rmr_step *step;
    rmr_step_desc desc;
} world;

/* A session: what it wrote last at each position, as the slots had it. */
typedef struct timeline {
    rmr_page_table table;
    uint32_t n;
    float row[CAPACITY][STREAMS][MOST];
} timeline;

static void add(world *w, rmr_op op)
{
    assert_true(w->n_ops < OPS);
    w->ops[w->n_ops++] = op;
}

static rmr_weight *vector(world *w, uint32_t n)
{
    return bed_weight(&w->bed, (rmr_weight_desc){RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, n, {0}});
}

static rmr_weight *rows_of(world *w, uint32_t width)
{
    return bed_weight(&w->bed,
                      (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, TOKENS, width, {0}});
}

static void add_stream(world *w, uint32_t i)
{
    const rmr_cache_stream *s = &streams[i];
    const int latent = s->rows == RMR_CACHE_LATENT;
    w->table[i] = rows_of(w, s->width);
    w->norm[i] = latent ? vector(w, s->width - s->rope) : NULL;
    add(w, (rmr_op){.kind = RMR_OP_EMBED, .out = {i, 0}, .w = w->table[i], .n = s->width});
    add(w, (rmr_op){.kind = RMR_OP_CACHE_WRITE,
                    .stream = i,
                    .in = {i, 0},
                    .in2 = {s->rope == 16 ? ROPE_16 : ROPE_8, 0},
                    .w = w->norm[i],
                    .eps = 1e-6f,
                    .mla = latent ? &mla[i] : NULL,
                    .gqa = latent ? NULL : &gqa});
}

static void world_init(world *w, rmr_kv_type type)
{
    static const rmr_slot slots[SLOTS] = {{32, 0}, {56, 0}, {268, 0}, {30, 0},
                                          {8, 0},  {16, 0}, {168, 0}, {120, 0}};
    memset(w, 0, sizeof *w);
    bed_init(&w->bed, 3, 11);
    rmr_pages_init(&w->pages, &w->bed.ctx.mem, NULL, w->bed.be);
    w->type = type;
    w->n = type == RMR_KV_INT8 ? STREAMS - 1 : STREAMS;
    w->layout = rmr_cache_layout_of(streams, w->n);
    assert_true(rmr_cache_stores(&w->layout, type));
    for (int i = 0; i < 2; i++) {
        w->freq[i] = vector(w, 4u << i);
        add(w,
            (rmr_op){.kind = RMR_OP_ROPE_TABLE, .out = {ROPE_8 + i, 0}, .w = w->freq[i], .amp = 1});
    }
    for (uint32_t i = 0; i < w->n; i++) add_stream(w, i);
    w->queries = rows_of(w, 168);
    add(w, (rmr_op){.kind = RMR_OP_EMBED, .out = {QUERY, 0}, .w = w->queries, .n = 168});
    add(w, (rmr_op){.kind = RMR_OP_ATTEND_LATENT,
                    .stream = 1,
                    .in = {QUERY, 0},
                    .out = {FOUND, 0},
                    .mla = &mla[1]});
    w->desc =
        (rmr_step_desc){w->ops, w->n_ops, slots, SLOTS, CAPACITY, 2 * CAPACITY, 1, &w->layout};
    assert_int_equal(rmr_ops_check(w->ops, w->n_ops, slots, SLOTS, &w->layout, NULL), REMORA_OK);
    assert_int_equal(w->bed.be->ops->step_create(w->bed.be, &w->desc, &w->step, NULL), REMORA_OK);
}

static void world_free(world *w)
{
    const rmr_backend_ops *ops = w->bed.be->ops;
    ops->step_free(w->bed.be, w->step);
    for (int i = 0; i < STREAMS; i++) {
        ops->weight_free(w->bed.be, w->table[i]);
        ops->weight_free(w->bed.be, w->norm[i]);
    }
    ops->weight_free(w->bed.be, w->freq[0]);
    ops->weight_free(w->bed.be, w->freq[1]);
    ops->weight_free(w->bed.be, w->queries);
    assert_int_equal(rmr_pages_bytes(&w->pages).host, 0);
    rmr_pages_end(&w->pages);
    bed_free(&w->bed);
}

static timeline *timeline_new(world *w)
{
    timeline *t = calloc(1, sizeof *t);
    assert_non_null(t);
    assert_int_equal(rmr_page_table_init(&t->table, &w->pages,
                                         rmr_cache_page_bytes(&w->layout, w->type), w->type,
                                         CAPACITY, 0, NULL),
                     REMORA_OK);
    return t;
}

static void timeline_free(timeline *t)
{
    rmr_page_table_free(&t->table);
    free(t);
}

static timeline *timeline_fork(world *w, const timeline *from)
{
    timeline *t = timeline_new(w);
    assert_int_equal(rmr_page_table_fork(&t->table, &from->table, from->n, NULL), REMORA_OK);
    t->n = from->n;
    memcpy(t->row, from->row, sizeof t->row);
    return t;
}

/* One step over n more tokens, the first of which is `first`. */
static void append(world *w, timeline *t, uint32_t n, uint32_t first)
{
    static _Alignas(RMR_ALIGN) unsigned char block[1 << 16];
    static float rows[CAPACITY * MOST];
    const rmr_backend_ops *ops = w->bed.be->ops;
    rmr_inputs in = {.n_rows = n, .n_runs = 1};
    uint64_t mark;
    assert_int_equal(rmr_page_table_reserve(&t->table, t->n, t->n + n, NULL), REMORA_OK);
    assert_true(rmr_inputs_place(&in, block, CAPACITY, 2 * CAPACITY) <= sizeof block);
    in.run[0] = (rmr_run){0, n, t->n, 0, RMR_FORM_ABSORBED, w->type};
    for (uint32_t i = 0; i < n; i++) {
        in.token[i] = (int32_t)((first + i * 7) % TOKENS);
        in.pos[i] = t->n + i;
    }
    in.n_pages = (uint32_t)rmr_pages_for(t->n + n);
    rmr_page_table_addresses(&t->table, t->n + n, in.page);
    for (uint64_t i = rmr_pages_for(t->n); i < in.n_pages; i++) /* nobody may rely on new pages */
        memset((void *)(uintptr_t)in.page[i], 0xff, (size_t)t->table.page_bytes);
    assert_int_equal(ops->step_inputs(w->bed.be, w->step, &in, NULL), REMORA_OK);
    assert_int_equal(
        ops->step_submit(w->bed.be, w->step, &(rmr_slice){0, w->n_ops}, NULL, &mark, NULL),
        REMORA_OK);
    assert_int_equal(ops->step_wait(w->bed.be, w->step, mark, NULL), REMORA_OK);
    for (uint32_t k = 0; k < w->n; k++) {
        bed_read(&w->bed, w->step, k, n, rows);
        for (uint32_t i = 0; i < n; i++)
            memcpy(t->row[t->n + i][k], rows + (size_t)i * streams[k].width,
                   streams[k].width * sizeof(float));
    }
    t->n += n;
}

static void trim(timeline *t, uint32_t keep)
{
    rmr_page_table_trim(&t->table, keep);
    t->n = keep;
}

/* A row as the cache gives it back. */
static void stored(const world *w, uint32_t stream, const float *x, float *out)
{
    static _Alignas(RMR_ALIGN) uint8_t part[RMR_PAGE_TOKENS * MOST * 2];
    static uint16_t half[MOST];
    const rmr_kernels *k = ((rmr_cpu *)w->bed.be)->k;
    const rmr_cache_stream *s = &streams[stream];
    memcpy(out, x, s->width * sizeof *x);
    if (w->type == RMR_KV_INT8) {
        k->kv8->put(part, 0, x, s->width - s->rope, s->rope);
        k->kv8->get(out, s->width, part, 1, s->width - s->rope, s->rope);
    } else if (w->type == RMR_KV_BF16) {
        k->elementwise->to_bf16(half, x, s->width);
        k->elementwise->from_bf16(out, half, s->width);
    }
}

/* The rows of one page and stream, read at the place that the layout says. */
static void page_rows(const world *w, uint64_t page, uint32_t stream, float *out)
{
    uint64_t at[STREAMS];
    const rmr_kernels *k = ((rmr_cpu *)w->bed.be)->k;
    const rmr_cache_stream *s = &streams[stream];
    rmr_cache_offsets(&w->layout, w->type, at);
    const unsigned char *part = (const unsigned char *)(uintptr_t)page + at[stream];
    if (w->type == RMR_KV_INT8)
        k->kv8->get(out, s->width, part, RMR_PAGE_TOKENS, s->width - s->rope, s->rope);
    else if (w->type == RMR_KV_BF16)
        k->elementwise->from_bf16(out, (const uint16_t *)(const void *)part,
                                  RMR_PAGE_TOKENS * s->width);
    else
        memcpy(out, part, RMR_PAGE_TOKENS * s->width * sizeof *out);
}

static void check(const world *w, const timeline *t, const char *when)
{
    static float got[RMR_PAGE_TOKENS * MOST], expect[MOST];
    uint64_t pages[CAPACITY / RMR_PAGE_TOKENS];
    rmr_page_table_addresses(&t->table, t->n, pages);
    for (uint32_t k = 0; k < w->n; k++)
        for (uint32_t pos = 0; pos < t->n; pos++) {
            const uint32_t width = streams[k].width, i = pos % RMR_PAGE_TOKENS;
            if (i == 0) page_rows(w, pages[pos / RMR_PAGE_TOKENS], k, got);
            stored(w, k, t->row[pos][k], expect);
            if (memcmp(got + (size_t)i * width, expect, width * sizeof *got) != 0)
                fail_msg("%s, type %d: stream %u has other numbers at %u", when, w->type, k, pos);
        }
}

/* The same history for every type. */
static void two_streams(void **state)
{
    (void)state;
    for (int type = 0; type < RMR_KV_TYPES; type++) {
        world w;
        world_init(&w, (rmr_kv_type)type);
        timeline *a = timeline_new(&w);
        append(&w, a, 30, 1);
        append(&w, a, 20, 50);
        check(&w, a, "two steps");
        timeline *f = timeline_fork(&w, a);
        check(&w, f, "a fork");
        append(&w, a, 40, 90);
        append(&w, f, 33, 130);
        check(&w, a, "behind a fork");
        check(&w, f, "a fork that went on");
        assert_true(rmr_page_table_shared_bytes(&a->table) > 0);
        trim(a, 20); /* into the shared page, which is copied before it is written */
        append(&w, a, 60, 7);
        check(&w, a, "written after a trim");
        check(&w, f, "a fork beside a trim");
        assert_int_equal(rmr_page_table_shared_bytes(&f->table), 0);
        timeline_free(a);
        append(&w, f, 1, 3);
        check(&w, f, "a fork alone");
        timeline_free(f);
        world_free(&w);
    }
}

/* ---- attention over the second stream ---- */

/* The same rows in the only stream of another layout. */
static void alone(world *w, const timeline *t, uint32_t token, float *out)
{
    static _Alignas(RMR_ALIGN) unsigned char pages[CAPACITY * MOST * 4], block[1 << 14];
    const rmr_cache_layout l = rmr_cache_layout_of(&streams[1], 1);
    const uint64_t bytes = rmr_cache_page_bytes(&l, w->type);
    const rmr_slot slots[] = {{168, 0}, {120, 0}};
    const rmr_op ops[] = {
        {.kind = RMR_OP_EMBED, .out = {0, 0}, .w = w->queries, .n = 168},
        {.kind = RMR_OP_ATTEND_LATENT, .in = {0, 0}, .out = {1, 0}, .mla = &mla[1]}};
    const rmr_step_desc d = {ops, 2, slots, 2, 1, CAPACITY, 1, &l};
    uint64_t at[STREAMS], from[CAPACITY / RMR_PAGE_TOKENS];
    rmr_inputs in = {.n_rows = 1, .n_runs = 1, .n_pages = (uint32_t)rmr_pages_for(t->n)};
    assert_true(rmr_inputs_place(&in, block, 1, CAPACITY) <= sizeof block);
    rmr_cache_offsets(&w->layout, w->type, at);
    rmr_page_table_addresses(&t->table, t->n, from);
    for (uint32_t i = 0; i < in.n_pages; i++) {
        memcpy(pages + i * bytes, (const unsigned char *)(uintptr_t)from[i] + at[1], bytes);
        in.page[i] = (uint64_t)(uintptr_t)(pages + i * bytes);
    }
    in.run[0] = (rmr_run){0, 1, t->n - 1, 0, RMR_FORM_ABSORBED, w->type};
    in.token[0] = (int32_t)token;
    in.pos[0] = t->n - 1;
    rmr_step *s = bed_step(&w->bed, &d, &in);
    bed_read(&w->bed, s, 1, 1, out);
    bed_end(&w->bed, s);
}

static void attention_reads_its_stream(void **state)
{
    float got[120], expect[120];
    (void)state;
    for (int type = 0; type < RMR_KV_TYPES; type++) {
        world w;
        world_init(&w, (rmr_kv_type)type);
        timeline *t = timeline_new(&w);
        append(&w, t, 70, 1);
        append(&w, t, 1, 5);
        bed_read(&w.bed, w.step, FOUND, 1, got);
        alone(&w, t, 5, expect);
        assert_memory_equal(got, expect, sizeof got);
        timeline_free(t);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_follow_each_other),
        cmocka_unit_test(streams_apart_lie_in_other_pages),
        cmocka_unit_test(ids_tell_layouts_apart),
        cmocka_unit_test(streams_of_models),
        cmocka_unit_test(two_streams),
        cmocka_unit_test(attention_reads_its_stream),
    };
    return cmocka_run_group_tests_name("cache_streams", tests, NULL, NULL);
}
