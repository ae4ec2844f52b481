/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes: which type a weight gets, by name, by width and by what it is; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recipe.h"

static rmr_recipe recipe(const char *text)
{
    rmr_recipe r;
    remora_error e = {.struct_size = sizeof e};
    if (rmr_recipe_open(text, &r, &e) < 0) fail_msg("%s", e.message);
    return r;
}

static const char *type(const rmr_recipe *r, const char *name, rmr_weight_use use, rmr_elem stored,
                        uint32_t cols)
{
    rmr_weight_plan_item it = {
        .desc = {.use = use, .elem = stored, .count = 1, .rows = 16, .cols = cols}};
    strcpy(it.name, name);
    return rmr_elem_table[rmr_recipe_elem(r, &it)].name;
}

static const char *matrix(const rmr_recipe *r, const char *name)
{
    return type(r, name, RMR_USE_MATRIX, RMR_ELEM_BF16, 512);
}

static void first_match_decides(void **state)
{
    rmr_recipe r = recipe("name: x\nrules:\n- {match: 'a.?.c', type: q8}\n"
                          "- {match: 'a*c', type: IQ4_XS}\n- {match: 'b*x*y', type: fp8}\n"
                          "- {match: bb, type: keep}\n- {match: 'b*', type: f16}\n");
    (void)state;
    assert_string_equal(matrix(&r, "a.b.c"), "Q8_0");
    assert_string_equal(matrix(&r, "a.bb.c"), "IQ4_XS");
    assert_string_equal(matrix(&r, "ac"), "IQ4_XS");
    assert_string_equal(matrix(&r, "b1x2x3y4y"), "F8_E4M3");
    assert_string_equal(matrix(&r, "b1x2x3y4"), "F16");
    assert_string_equal(matrix(&r, "bb"), "BF16");
    assert_string_equal(matrix(&r, "zzz"), "BF16"); /* no rule: as it is */
    rmr_recipe_free(&r);
}

static void widths_that_do_not_fit(void **state)
{
    static const struct {
        const char *rule;
        uint32_t cols;
        const char *expect;
    } cases[] = {{"q4", 256, "Q4_K"},      {"q4", 96, "IQ4_NL"}, {"q2", 96, "IQ4_NL"},
                 {"IQ4_XS", 96, "IQ4_NL"}, {"q6", 96, "Q8_0"},   {"q5", 96, "Q8_0"},
                 {"q8", 40, "BF16"},       {"q4", 40, "BF16"},   {"fp8", 40, "F8_E4M3"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[80] = "rules: [{match: '*', type: ";
        strcat(strcat(text, cases[i].rule), "}]");
        rmr_recipe r = recipe(text);
        assert_string_equal(type(&r, "w", RMR_USE_MATRIX, RMR_ELEM_BF16, cases[i].cols),
                            cases[i].expect);
        rmr_recipe_free(&r);
    }
}

static void what_keeps_its_type(void **state)
{
    rmr_recipe q = recipe("q4"), b = recipe("bf16");
    (void)state;
    assert_string_equal(type(&q, "model.norm", RMR_USE_VECTOR, RMR_ELEM_BF16, 512), "F32");
    assert_string_equal(matrix(&q, "model.layers.1.mlp.gate"), "BF16");
    assert_string_equal(matrix(&q, "model.layers.1.mlp.gate_proj"), "Q4_K");
    assert_string_equal(matrix(&q, "model.layers.1.self_attn.kv_b_proj.absorb"), "Q8_0");
    assert_string_equal(
        type(&b, "model.layers.1.self_attn.kv_b_proj.absorb", RMR_USE_MATRIX, RMR_ELEM_F8, 512),
        "BF16");
    assert_string_equal(type(&b, "model.layers.1.mlp.gate", RMR_USE_MATRIX, RMR_ELEM_F32, 512),
                        "F32");
    rmr_recipe_free(&q);
    rmr_recipe_free(&b);
}

static void every_builtin_opens(void **state)
{
    const char *name, *text;
    uint32_t n = 0;
    (void)state;
    for (; (name = rmr_recipe_builtin(n, &text)) != NULL; n++) {
        rmr_recipe a = recipe(name), b = recipe(text);
        assert_true(json_equal(a.root, b.root));
        assert_string_equal(json_string_value(json_object_get(a.root, "name")), name);
        rmr_recipe_free(&a);
        rmr_recipe_free(&b);
    }
    assert_true(n >= 6);
}

static void refused(void **state)
{
    static const struct {
        const char *text;
        remora_status st;
        const char *says;
    } cases[] = {{"q44", REMORA_E_NOT_FOUND, "experts-q4"},
                 {"", REMORA_E_NOT_FOUND, "there are"},
                 {"name: x\n", REMORA_E_FORMAT, "rules"},
                 {"rules: []\n", REMORA_E_FORMAT, "rules"},
                 {"rules: {match: a, type: q4}\n", REMORA_E_FORMAT, "rules"},
                 {"rules: [{match: a}]\n", REMORA_E_FORMAT, "rule 1"},
                 {"rules:\n- {match: a, type: q4}\n- {match: a, type: q7}\n", REMORA_E_FORMAT,
                  "rule 2: there is no type q7"},
                 {"rules: [{match: a, type: q4, x: y}]\n", REMORA_E_FORMAT, "rule 1"},
                 {"rules: [{match: 1, type: q4}]\n", REMORA_E_FORMAT, "rule 1"},
                 {"rules: [{match: a, type: q4}\n", REMORA_E_FORMAT, "recipe:"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmr_recipe r;
        remora_error e = {.struct_size = sizeof e};
        assert_int_equal(rmr_recipe_open(cases[i].text, &r, &e), cases[i].st);
        if (strstr(e.message, cases[i].says) == NULL)
            fail_msg("%s: no \"%s\" in: %s", cases[i].text, cases[i].says, e.message);
        rmr_recipe_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_match_decides),
        cmocka_unit_test(widths_that_do_not_fit),
        cmocka_unit_test(what_keeps_its_type),
        cmocka_unit_test(every_builtin_opens),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
