/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a model from names of tensors in both dialects, and what tensors take. */
#include "tensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void classes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        tool_class class;
    } cases[] = {
        {"model.embed_tokens.weight", TOOL_CLASS_EMBEDDING},
        {"model.layers.61.embed_tokens.weight", TOOL_CLASS_EMBEDDING},
        {"token_embd.weight", TOOL_CLASS_EMBEDDING},
        {"lm_head.weight", TOOL_CLASS_HEAD},
        {"output.weight", TOOL_CLASS_HEAD},
        {"model.layers.61.shared_head.head.weight", TOOL_CLASS_HEAD},
        {"blk.61.nextn.shared_head_head.weight", TOOL_CLASS_HEAD},
        {"model.norm.weight", TOOL_CLASS_NORMS},
        {"output_norm.weight", TOOL_CLASS_NORMS},
        {"model.layers.3.input_layernorm.weight", TOOL_CLASS_NORMS},
        {"model.layers.3.self_attn.q_a_layernorm.weight", TOOL_CLASS_NORMS},
        {"blk.3.attn_q_a_norm.weight", TOOL_CLASS_NORMS},
        {"blk.3.ffn_norm.weight", TOOL_CLASS_NORMS},
        {"blk.3.indexer.k_norm.bias", TOOL_CLASS_NORMS},
        {"model.layers.61.shared_head.norm.weight", TOOL_CLASS_NORMS},
        {"blk.61.nextn.enorm.weight", TOOL_CLASS_NORMS},
        {"model.layers.3.self_attn.kv_a_proj_with_mqa.weight", TOOL_CLASS_ATTENTION},
        {"model.layers.3.self_attn.o_proj.weight_scale_inv", TOOL_CLASS_ATTENTION},
        {"model.layers.3.self_attn.q_proj.bias", TOOL_CLASS_ATTENTION},
        {"model.layers.3.self_attn.indexer.wq_b.weight", TOOL_CLASS_ATTENTION},
        {"blk.3.attn_kv_a_mqa.weight", TOOL_CLASS_ATTENTION},
        {"blk.3.attn_output.weight", TOOL_CLASS_ATTENTION},
        {"blk.3.indexer.proj.weight", TOOL_CLASS_ATTENTION},
        {"model.layers.0.mlp.gate_proj.weight", TOOL_CLASS_DENSE},
        {"blk.0.ffn_down.weight", TOOL_CLASS_DENSE},
        {"blk.0.ffn_gate.weight", TOOL_CLASS_DENSE},
        {"model.layers.3.mlp.experts.17.down_proj.weight", TOOL_CLASS_EXPERTS},
        {"model.layers.3.mlp.experts.17.down_proj.weight_packed", TOOL_CLASS_EXPERTS},
        {"blk.3.ffn_gate_exps.weight", TOOL_CLASS_EXPERTS},
        {"blk.3.ffn_gate_up_exps.weight", TOOL_CLASS_EXPERTS},
        {"model.layers.3.mlp.shared_experts.up_proj.weight", TOOL_CLASS_SHARED},
        {"blk.3.ffn_up_shexp.weight", TOOL_CLASS_SHARED},
        {"model.layers.3.mlp.gate.weight", TOOL_CLASS_ROUTER},
        {"model.layers.3.mlp.gate.e_score_correction_bias", TOOL_CLASS_ROUTER},
        {"blk.3.ffn_gate_inp.weight", TOOL_CLASS_ROUTER},
        {"blk.3.exp_probs_b.bias", TOOL_CLASS_ROUTER},
        {"model.layers.61.eh_proj.weight", TOOL_CLASS_OTHER},
        {"rope_freqs.weight", TOOL_CLASS_OTHER},
        {"model.norm", TOOL_CLASS_NORMS}, /* a pack's names */
        {"model.layers.3.input_layernorm", TOOL_CLASS_NORMS},
        {"model.layers.3.mlp.gate", TOOL_CLASS_ROUTER},
        {"model.layers.3.mlp.gate_proj", TOOL_CLASS_DENSE},
        {"model.layers.3.mlp.experts.gate_proj", TOOL_CLASS_EXPERTS},
        {"model.layers.3.self_attn.kv_b_proj.absorb", TOOL_CLASS_ATTENTION},
        {"lm_head", TOOL_CLASS_HEAD},
        {"", TOOL_CLASS_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (tool_tensor_class(cases[i].name) != cases[i].class)
            fail_msg("%s: %s", cases[i].name, tool_class_name(tool_tensor_class(cases[i].name)));
}

static void one_size(const char *name, const char *type, const char *shape, uint64_t weights,
                     uint64_t bytes)
{
    tool_sizes s = {0};
    assert_int_equal(tool_sizes_add(&s, name, type, shape), 0);
    assert_int_equal(s.tensors, 1);
    assert_int_equal(s.weights, weights);
    assert_int_equal(s.bytes, bytes);
}

static void sizes(void **state)
{
    (void)state;
    tool_sizes s = {0};
    one_size("lm_head.weight", "BF16", "[512, 256]", 512 * 256, 512 * 256 * 2);
    one_size("a.bias", "F32", "[]", 1, 4);
    one_size("a.bias", "F32", "[3, 0]", 0, 0);
    one_size("output.weight", "Q6_K", "[10, 512]", 5120, 20 * 210);
    one_size("a.weight", "F8_E4M3", "[200, 300]", 60000, 60000);
    one_size("a", "F8_E4M3", "[2, 100, 300]", 60000, 60000 + 200 * 3 * 4); /* of a pack */
    one_size("a.weight_scale_inv", "F32", "[2, 3]", 0, 24);
    one_size("a.weight_packed", "I32", "[8, 32]", 2048, 1024);
    one_size("a.weight_scale", "BF16", "[8, 8]", 0, 128);
    one_size("a.weight_shape", "I64", "[2]", 0, 16);
    one_size("a.weight", "U8", "[8, 16]", 256, 128);
    assert_int_equal(tool_sizes_add(&s, "a", "Q9_9", "[2]"), -1);
    assert_int_equal(tool_sizes_add(&s, "a", "F32", "2"), -1);
    assert_int_equal(tool_sizes_add(&s, "a", "F32", "[2, x]"), -1);
    assert_int_equal(tool_sizes_add(&s, "a", "F32", "[2"), -1);
    assert_int_equal(tool_sizes_add(&s, "a", "F32", "[99999999999999999999]"), -1);
    assert_int_equal(tool_sizes_add(&s, "a", "F32", "[4294967296, 4294967296]"), -1);
    assert_int_equal(s.tensors, 6);
    assert_int_equal(s.bytes, 0);
}

static void census(void **state)
{
    (void)state;
    static tool_census c;
    char type[] = "T00";
    tool_census_add(&c, "lm_head.weight", "BF16", "[2, 2]");
    tool_census_add(&c, "blk.0.attn_q.weight", "Q4_K", "[256]");
    tool_census_add(&c, "blk.1.attn_q.weight", "Q4_K", "[512]");
    assert_int_equal(c.n_types, 2);
    assert_string_equal(c.types[1], "Q4_K");
    assert_int_equal(c.cells[TOOL_CLASS_ATTENTION][1].tensors, 2);
    assert_int_equal(c.cells[TOOL_CLASS_ATTENTION][1].bytes, 3 * 144);
    assert_int_equal(c.cells[TOOL_CLASS_HEAD][0].bytes, 8);
    assert_int_equal(c.unknown, 0);
    tool_census_add(&c, "x", "A_NAME_OF_16_LETTERS", "[1]");
    assert_int_equal(c.unknown, 1);
    for (int i = 0; i < 40; i++) { /* more than there is room for */
        type[1] = (char)('0' + i / 10);
        type[2] = (char)('0' + i % 10);
        tool_census_add(&c, "x", type, "[1]");
    }
    assert_int_equal(c.n_types, TOOL_MOST_TYPES);
    assert_int_equal(c.unknown, 41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),
        cmocka_unit_test(sizes),
        cmocka_unit_test(census),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
