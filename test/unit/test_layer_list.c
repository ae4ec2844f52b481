/* SPDX-License-Identifier: Apache-2.0 */
/* docs/architecture.md lists the operations of a layer of DeepSeek-V3 as the library makes them.
 * Without arguments the program prints the list, to be pasted; with the page's name it compares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache_streams.h"
#include "model.h"

/* The published configuration, as far as the list depends on it. */
static const char config[] =
    "{\"model_type\": \"deepseek_v3\", \"num_hidden_layers\": 61, \"hidden_size\": 7168,"
    "\"vocab_size\": 129280, \"num_attention_heads\": 128, \"num_key_value_heads\": 128,"
    "\"q_lora_rank\": 1536, \"kv_lora_rank\": 512, \"qk_nope_head_dim\": 128,"
    "\"qk_rope_head_dim\": 64, \"v_head_dim\": 128, \"intermediate_size\": 18432,"
    "\"moe_intermediate_size\": 2048, \"n_routed_experts\": 256, \"num_experts_per_tok\": 8,"
    "\"n_shared_experts\": 1, \"first_k_dense_replace\": 3, \"n_group\": 8, \"topk_group\": 4,"
    "\"topk_method\": \"noaux_tc\", \"scoring_func\": \"sigmoid\", \"norm_topk_prob\": true,"
    "\"routed_scaling_factor\": 2.5, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000,"
    "\"max_position_embeddings\": 163840, \"hidden_act\": \"silu\"}";

enum { LAYER = 3 /* the first with experts */, LIST_BYTES = 8192, PAGE_BYTES = 1 << 20 };
enum { SLOTS = 21, WEIGHTS = 61 }; /* columns */

static const char *page_name;

typedef struct text {
    char s[LIST_BYTES];
    size_t n;
} text;

static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->s + t->n, sizeof t->s - t->n, format, args);
    va_end(args);
    assert_true(n >= 0 && t->n + (size_t)n < sizeof t->s);
    t->n += (size_t)n;
}

/* Up to this column of the line, at least one blank. */
static void pad(text *t, size_t line, size_t column)
{
    do put(t, " ");
    while (t->n - line < column);
}

/* The slots of the views `which`. */
static void put_slots(text *t, const rmr_op *op, uint32_t which)
{
    uint64_t seen = 0;
    for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1) {
        const uint32_t slot = rmr_op_view(op, v).slot;
        if (!(which & v) || (seen >> slot & 1)) continue;
        put(t, "%s%s", seen != 0 ? ", " : "", rmr_slot_infos[slot].name);
        seen |= (uint64_t)1 << slot;
    }
}

/* The number of matrices of a weight. */
static uint32_t matrices(const remora_model *m, rmr_weight_form form)
{
    switch (form) {
    case RMR_WEIGHT_EXPERTS: return m->shape.moe.n_experts;
    case RMR_WEIGHT_KV_ABSORB:
    case RMR_WEIGHT_KV_VALUE: return m->shape.mla.heads;
    default: return 1;
    }
}

static void put_weight(text *t, const remora_model *m, rmr_weight_id id)
{
    const rmr_weight_info *info = &rmr_weight_infos[id];
    const rmr_weight_size size = rmr_weight_size_of(&m->shape, id);
    put(t, "%s", info->name);
    if (info->form == RMR_WEIGHT_VECTOR)
        put(t, " [%u]", (unsigned)size.cols);
    else
        put(t, " [%u, %u]", (unsigned)size.rows, (unsigned)size.cols);
    if (matrices(m, info->form) > 1) put(t, " x %u", matrices(m, info->form));
    put(t, "\n");
}

/* The weights of an operation, found by their addresses, one a line. */
static void put_weights(text *t, const remora_model *m, const rmr_op *op, size_t line)
{
    const rmr_weight *const w[] = {op->w, op->w2, op->bias, op->s1, op->s2};
    int n = 0;
    for (size_t i = 0; i < sizeof w / sizeof w[0]; i++)
        for (int id = 0; w[i] != NULL && id < RMR_W_COUNT; id++) {
            if (m->weights.layers[LAYER].w[id] != w[i]) continue;
            pad(t, n++ == 0 ? line : t->n, WEIGHTS);
            put_weight(t, m, (rmr_weight_id)id);
        }
    if (n == 0) put(t, "\n");
}

static void put_op(text *t, const remora_model *m, const rmr_op *op)
{
    const rmr_op_info *info = &rmr_op_infos[op->kind];
    const size_t line = t->n;
    put(t, "    %s", info->name);
    pad(t, line, SLOTS);
    put_slots(t, op, rmr_op_reads(op));
    if (info->cache & RMR_CACHE_READS) put(t, ", cache");
    put(t, " -> ");
    put_slots(t, op, info->writes);
    if (info->cache & RMR_CACHE_WRITES) put(t, ", cache");
    put_weights(t, m, op, line);
}

static void put_widths(text *t, const rmr_programs *p)
{
    put(t, "\n    numbers a row of a slot:");
    for (int i = 0; i < RMR_SLOT_COUNT; i++)
        if (p->slots[i].rows == RMR_ROWS_ALL && p->slots[i].width > 0)
            put(t, " %s %u", rmr_slot_infos[i].name, p->slots[i].width);
    put(t, "\n");
}

/* A model without files: its weights are addresses that nobody follows. */
static void make_model(remora_model *m, rmr_mem *mem, char *weights)
{
    remora_error err = {.struct_size = sizeof err};
    json_t *json = json_loads(config, 0, NULL);
    *m = (remora_model){0};
    assert_non_null(json);
    if (rmr_shape_read("config.json", json, &m->shape, &err) != REMORA_OK)
        fail_msg("%s", err.message);
    json_decref(json);
    m->weights.layers = calloc(m->shape.n_layers, sizeof *m->weights.layers);
    assert_non_null(m->weights.layers);
    for (uint32_t l = 0; l < m->shape.n_layers; l++)
        for (int id = 0; id < RMR_W_COUNT; id++)
            if (rmr_weight_present(&m->shape, l, (rmr_weight_id)id))
                m->weights.layers[l].w[id] = (rmr_weight *)(void *)(weights + id);
    m->weights.embed = m->weights.norm = m->weights.head = m->weights.inv_freq =
        (rmr_weight *)(void *)weights;
    m->routing = (rmr_buffer *)(void *)weights;
    assert_int_equal(rmr_cache_streams_make(mem, &m->shape, &m->cache, &err), REMORA_OK);
    assert_int_equal(rmr_programs_make(m, mem, &m->programs, &err), REMORA_OK);
}

static void make_list(text *t)
{
    static char weights[RMR_W_COUNT];
    rmr_mem mem = {0};
    remora_model m;
    rmr_mem_init(&mem);
    make_model(&m, &mem, weights);
    const rmr_program *p = &m.programs.program[RMR_PROGRAM_MAIN];
    for (uint32_t i = 0; i < p->n_slices; i++)
        for (uint32_t op = p->slices[i].first;
             p->slices[i].kind == RMR_SLICE_LAYER && p->slices[i].layer == LAYER &&
             op < p->slices[i].first + p->slices[i].n;
             op++)
            put_op(t, &m, &m.programs.ops[op]);
    put_widths(t, &m.programs);
    rmr_programs_free(&mem, &m.programs);
    rmr_cache_streams_free(&mem, &m.cache);
    free(m.weights.layers);
}

static void the_page_has_the_list(void **state)
{
    static char page[PAGE_BYTES];
    text t = {.n = 0};
    FILE *f = fopen(page_name, "rb");
    (void)state;
    assert_non_null(f);
    const size_t n = fread(page, 1, sizeof page - 1, f);
    fclose(f);
    page[n] = 0;
    make_list(&t);
    if (strstr(page, t.s) != NULL) return;
    fprintf(stderr, "%s has not the list that is:\n%s", page_name, t.s);
    fail();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_has_the_list)};
    if (argc > 1) {
        page_name = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
    }
    text t = {.n = 0};
    make_list(&t);
    fputs(t.s, stdout);
    return 0;
}
