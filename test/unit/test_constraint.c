/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints: accepted and refused texts of grammars and regular expressions, byte by byte and in
 * random tokens; masks against trying every token; going back and copies against never having read;
 * hostile input within its limits; memory that ends. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "constrain.h"
#include "groups.h"
#include "tmem.h"
#include "tokenizer_of.h"

static tmem meter;
static rmr_mem mem = {
    .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
static rmr_vocabulary *vocab;
static json_t *cases;
static uint32_t seed = 1;

static unsigned random_below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static rmr_constraint *compile(const char *kind, const char *src)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    const remora_status st = constrain_new(&mem, vocab, kind, src, strlen(src), NULL, &c, &err);
    if (st < 0) fail_msg("%s: %d: %s", src, (int)st, err.message);
    return c;
}

/* Any token that the text begins with. */
static remora_token random_token(const char *s, size_t n)
{
    remora_token fit[CONSTRAIN_WORDS + 1];
    size_t k = 0;
    fit[k++] = (unsigned char)s[0];
    for (size_t i = 0; i < CONSTRAIN_WORDS; i++) {
        const size_t len = strlen(constrain_words[i]);
        if (len <= n && memcmp(constrain_words[i], s, len) == 0) fit[k++] = (remora_token)(256 + i);
    }
    return fit[random_below((unsigned)k)];
}

/* 1: the text is in the language. way 0: byte by byte. */
static int matches(rmr_constraint *c, const char *s, size_t n, int way)
{
    rmr_guide *m;
    int end = 0;
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    size_t at = 0;
    while (at < n) {
        const remora_token t = way == 0 ? (unsigned char)s[at] : random_token(s + at, n - at);
        const remora_status st = rmr_guide_accept(m, t, NULL);
        assert_true(st == REMORA_OK || st == REMORA_E_NO_TOKEN);
        if (st < 0) break;
        at += t < 256 ? 1 : strlen(constrain_words[t - 256]);
    }
    if (at == n) {
        assert_int_equal(rmr_guide_may_end(m, &end, NULL), REMORA_OK);
        assert_int_equal(rmr_guide_accept(m, CONSTRAIN_END, NULL),
                         end ? REMORA_OK : REMORA_E_NO_TOKEN);
    }
    rmr_guide_free(m);
    return end;
}

static void texts_are_accepted_and_refused(void **state)
{
    (void)state;
    size_t i, k;
    json_t *row, *text;
    json_array_foreach(json_object_get(cases, "cases"), i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        rmr_constraint *c = compile(json_string_value(json_object_get(row, "kind")),
                                    json_string_value(json_object_get(row, "grammar")));
        for (int way = 0; way < 5; way++)
            for (int yes = 0; yes < 2; yes++)
                json_array_foreach(json_object_get(row, yes ? "accept" : "reject"), k,
                                   text) if (matches(c, json_string_value(text),
                                                     json_string_length(text), way) != yes)
                    fail_msg("%s: \"%s\" is %s", name, json_string_value(text),
                             yes ? "refused" : "accepted");
        rmr_constraint_free(c);
    }
    assert_int_equal(meter.damage, 0);
}

static void sources_are_refused(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(cases, "must_refuse"), i, row)
    {
        remora_error err = {.struct_size = sizeof err};
        rmr_constraint *c = NULL;
        json_t *src = json_object_get(row, "grammar");
        const remora_status st =
            constrain_new(&mem, vocab, json_string_value(json_object_get(row, "kind")),
                          json_string_value(src), json_string_length(src), NULL, &c, &err);
        if (st != REMORA_E_ARG && st != REMORA_E_UNSUPPORTED)
            fail_msg("%s: %d", json_string_value(json_object_get(row, "name")), (int)st);
        assert_true(strlen(err.message) > 10);
    }
}

/* The mask of where a guide is, token by token. */
static void assert_mask(rmr_guide *m, const char *what)
{
    uint32_t mask[CONSTRAIN_MASK];
    const remora_status st = rmr_guide_mask(m, mask, NULL);
    assert_true(st == REMORA_OK || st == REMORA_E_NO_TOKEN);
    for (remora_token t = 0; t < CONSTRAIN_VOCAB; t++) {
        const remora_status one = rmr_guide_allows(m, t, NULL);
        const int bit = st == REMORA_OK && constrain_bit(mask, t);
        if ((one == REMORA_OK) != bit)
            fail_msg("%s: token %d after %zu tokens: mask %d", what, (int)t, rmr_guide_count(m),
                     bit);
    }
}

/* A random token of the mask, or -1. */
static remora_token pick(rmr_guide *m)
{
    uint32_t mask[CONSTRAIN_MASK];
    remora_token fit[CONSTRAIN_VOCAB];
    unsigned n = 0;
    if (rmr_guide_mask(m, mask, NULL) < 0) return -1;
    for (remora_token t = 0; t < CONSTRAIN_VOCAB; t++)
        if (constrain_bit(mask, t)) fit[n++] = t;
    return fit[random_below(n)];
}

static void masks_are_what_tokens_say(void **state)
{
    (void)state;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(cases, "cases"), i, row)
    {
        rmr_constraint *c = compile(json_string_value(json_object_get(row, "kind")),
                                    json_string_value(json_object_get(row, "grammar")));
        for (int walk = 0; walk < 3; walk++) {
            rmr_guide *m;
            assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
            for (int k = 0; k < 12; k++) {
                assert_mask(m, json_string_value(json_object_get(row, "name")));
                const remora_token t = pick(m);
                if (t < 0) break;
                assert_int_equal(rmr_guide_accept(m, t, NULL), REMORA_OK);
            }
            rmr_guide_free(m);
        }
        rmr_constraint_free(c);
    }
}

static const char *const JSON =
    "root ::= value\nvalue ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" "
    "[0-9a-fA-F]{4}))* \"\\\"\" ws\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]*) (\".\" [0-9]+)? ws\nws ::= [ \\n]{0,3}\n";

/* Random reading, going back and copying; the tokens that are there by then are read once more by a
 * new guide, which has to be where the other is. */
static void going_back_is_never_having_read(void **state)
{
    (void)state;
    enum { MOST = 400 };
    static const char *const sources[][2] = {
        {"gbnf", JSON},
        {"gbnf", "root ::= expr\nexpr ::= expr [-+] term | term\nterm ::= term [*/] f | f\n"
                 "f ::= [0-9]+ | \"(\" expr \")\""},
        {"gbnf", "root ::= \"(\" root \")\" root | \"a\"*"},
        /* Registers: properties in any order, elements that differ, counts. */
        {"schema",
         "{\"type\": \"object\", \"required\": [\"a\", \"b\", \"c\"], \"properties\": {\"a\": "
         "{\"type\": \"integer\"}, \"b\": {\"type\": \"boolean\"}, \"c\": {\"maxLength\": 3}}, "
         "\"additionalProperties\": false}"},
        {"schema",
         "{\"type\": \"array\", \"uniqueItems\": true, \"minItems\": 3, \"items\": {\"enum\": "
         "[\"a\", \"ab\", \"abc\", 1, 12, 123, true, null]}}"},
        {"schema",
         "{\"type\": \"object\", \"minProperties\": 2, \"maxProperties\": 4, "
         "\"additionalProperties\": {\"type\": \"array\", \"maxItems\": 6, \"contains\": "
         "{\"const\": "
         "true}, \"minContains\": 2, \"maxContains\": 3, \"items\": {\"type\": \"boolean\"}}}"},
    };
    for (size_t g = 0; g < sizeof sources / sizeof *sources; g++) {
        rmr_constraint *c = compile(sources[g][0], sources[g][1]);
        for (int run = 0; run < 20; run++) {
            /* A constraint without states of its own yet cannot be wrong in the same way. */
            rmr_constraint *anew = compile(sources[g][0], sources[g][1]);
            rmr_guide *m, *fresh;
            remora_token read[MOST];
            size_t n = 0;
            assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
            for (int step = 0; step < 300; step++) {
                const unsigned what = random_below(10);
                const remora_token t = what < 8 ? pick(m) : -1;
                if (t >= 0 && n < MOST) {
                    assert_int_equal(rmr_guide_accept(m, t, NULL), REMORA_OK);
                    read[n++] = t;
                } else if (what == 9) {
                    rmr_guide *copy;
                    assert_int_equal(rmr_guide_clone(m, &copy, NULL), REMORA_OK);
                    assert_int_equal(rmr_guide_rollback(copy, random_below((unsigned)n + 1), NULL),
                                     REMORA_OK);
                    const remora_token other = pick(copy);
                    if (other >= 0)
                        assert_int_equal(rmr_guide_accept(copy, other, NULL), REMORA_OK);
                    rmr_guide_free(copy);
                } else {
                    const size_t back = random_below((unsigned)n + 1);
                    assert_int_equal(rmr_guide_rollback(m, back, NULL), REMORA_OK);
                    n -= back;
                }
                assert_int_equal(rmr_guide_count(m), n);
            }
            assert_int_equal(rmr_guide_rollback(m, n + 1, NULL), REMORA_E_ARG);
            const size_t back = random_below((unsigned)n + 1);
            n -= back;
            assert_int_equal(rmr_guide_rollback(m, back, NULL), REMORA_OK);
            assert_int_equal(rmr_guide_new(anew, &fresh, NULL), REMORA_OK);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(rmr_guide_accept(fresh, read[i], NULL), REMORA_OK);
            uint32_t a[CONSTRAIN_MASK] = {0}, b[CONSTRAIN_MASK] = {0};
            assert_int_equal(rmr_guide_mask(m, a, NULL), rmr_guide_mask(fresh, b, NULL));
            assert_memory_equal(a, b, sizeof a);
            rmr_guide_free(fresh);
            rmr_guide_free(m);
            rmr_constraint_free(anew);
        }
        rmr_constraint_free(c);
    }
}

/* Two lexemes, of two rows, that end with the same byte. */
static void lexemes_end_together(void **state)
{
    (void)state;
    rmr_constraint *c = compile("gbnf", "root ::= \"a\" x | \"aa\" y\nx ::= \"a\" z\n"
                                        "z ::= \"b\" x | \"b\"\ny ::= \"c\" y | \"c\"");
    for (int way = 0; way < 3; way++) {
        assert_int_equal(matches(c, "aab", 3, way), 1);
        assert_int_equal(matches(c, "aac", 3, way), 1);
        assert_int_equal(matches(c, "aabab", 5, way), 1);
        assert_int_equal(matches(c, "aacc", 4, way), 1);
        assert_int_equal(matches(c, "aabc", 4, way), 0);
    }
    rmr_constraint_free(c);
}

static remora_status encode_bytes(void *user, const char *text, size_t n, remora_token *out,
                                  size_t cap, size_t *n_out, remora_error *err)
{
    (void)user;
    (void)err;
    *n_out = 0;
    for (size_t at = 0; at < n; ++*n_out) { /* the longest token each time */
        size_t best = 1;
        assert_true(*n_out < cap);
        out[*n_out] = (unsigned char)text[at];
        for (remora_token i = 0; i < CONSTRAIN_WORDS; i++) {
            const size_t len = strlen(constrain_words[i]);
            if (len > best && len <= n - at && memcmp(text + at, constrain_words[i], len) == 0) {
                best = len;
                out[*n_out] = 256 + i;
            }
        }
        at += best;
    }
    return REMORA_OK;
}

static size_t forced(const char *kind, const char *src, char *text)
{
    rmr_constraint *c = compile(kind, src);
    rmr_guide *m;
    remora_token out[64];
    size_t n, at = 0;
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    assert_int_equal(rmr_guide_forced(m, encode_bytes, NULL, out, 64, &n, NULL), REMORA_OK);
    for (size_t i = 0; i < n; i++) {
        const char *s = NULL;
        size_t len;
        int end;
        constrain_text(NULL, out[i], &s, &len, &end);
        memcpy(text + at, s, len);
        at += len;
        assert_int_equal(rmr_guide_accept(m, out[i], NULL), REMORA_OK);
    }
    text[at] = 0;
    rmr_guide_free(m);
    rmr_constraint_free(c);
    return n;
}

static void forced_text_is_canonical(void **state)
{
    (void)state;
    char text[256];
    forced("regex", "true|true,", text); /* the text might end behind true, and need not */
    assert_string_equal(text, "true");
    forced("regex", "[ab]c", text);
    assert_string_equal(text, "");
    /* "a" is forced, and abc is a token: it is left to the model. */
    forced("regex", "xa(b|d)", text);
    assert_string_equal(text, "x");
    /* "foo" goes on in foob only where the grammar does. */
    forced("regex", "xfoo(b|c)", text);
    assert_string_equal(text, "x");
    forced("regex", "xfoo[cd]", text);
    assert_string_equal(text, "xfoo");
}

static void special_tokens_match_symbols_alone(void **state)
{
    (void)state;
    char src[200];
    uint32_t mask[CONSTRAIN_MASK];
    rmr_guide *m;
    sprintf(src, "root ::= \"a\" <[%d]> (\"b\" | <[%d]>) !<[98]>?", CONSTRAIN_SPECIAL,
            CONSTRAIN_END);
    rmr_constraint *c = compile("gbnf", src);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    assert_int_equal(rmr_guide_accept(m, 'a', NULL), REMORA_OK);
    assert_int_equal(rmr_guide_mask(m, mask, NULL), REMORA_OK);
    for (remora_token t = 0; t < CONSTRAIN_VOCAB; t++)
        assert_int_equal(constrain_bit(mask, t), t == CONSTRAIN_SPECIAL);
    assert_int_equal(rmr_guide_accept(m, CONSTRAIN_SPECIAL, NULL), REMORA_OK);
    assert_mask(m, src);
    assert_int_equal(rmr_guide_accept(m, CONSTRAIN_END, NULL), REMORA_OK);
    assert_mask(m, src);
    assert_int_equal(rmr_guide_allows(m, 'b', NULL), REMORA_E_NO_TOKEN);
    assert_int_equal(rmr_guide_allows(m, 'c', NULL), REMORA_OK);
    rmr_guide_free(m);
    rmr_constraint_free(c);
    sprintf(src, "root ::= (\"a\" root? \"b\") | <[%d]>", CONSTRAIN_SPECIAL);
    c = compile("gbnf", src);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    assert_int_equal(rmr_guide_allows(m, CONSTRAIN_SPECIAL, NULL), REMORA_OK);
    rmr_guide_free(m);
    rmr_constraint_free(c);
    sprintf(src, "root ::= \"abc\" | <[%d]>", CONSTRAIN_SPECIAL);
    c = compile("gbnf", src);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    assert_int_equal(rmr_guide_accept(m, 'a', NULL), REMORA_OK);
    assert_int_equal(rmr_guide_allows(m, CONSTRAIN_SPECIAL, NULL), REMORA_E_NO_TOKEN);
    rmr_guide_free(m);
    rmr_constraint_free(c);
}

/* Registers: keys that are not repeated, a counter, flags. */
static rmr_constraint *compile_checks(void)
{
    rmr_grammar *g;
    assert_int_equal(rmr_grammar_new(&mem, NULL, &g, NULL), REMORA_OK);
    rmr_rx_set *s = rmr_grammar_rx(g);
    static const char *const names[] = {"x", "aa", "ab"};
    static const size_t lengths[] = {1, 2, 2};
    const rmr_check unique = rmr_grammar_check(
        g, &(rmr_check_desc){.unique = 1, .hi = RMR_RX_MANY, .width = 4, .add = 1});
    const rmr_check two =
        rmr_grammar_check(g, &(rmr_check_desc){.lo = 2, .hi = RMR_RX_MANY, .width = 4});
    const rmr_rule root = rmr_rule_new(g, "root", 4), pair = rmr_rule_new(g, "pair", 4),
                   nested = rmr_rule_new(g, "nested", 6);
    const rmr_symbol key = rmr_checked(rmr_lexeme(rmr_rx_strings(s, names, lengths, 3)), unique);
    const rmr_symbol p[] = {key, rmr_lexeme(rmr_rx_byte(s, ';'))},
                     q[] = {key, rmr_lexeme(rmr_rx_byte(s, '=')), rmr_call(nested)};
    rmr_rule_share(g, pair);
    rmr_rule_alt(g, pair, p, 2);
    rmr_rule_alt(g, pair, q, 3);
    const rmr_symbol all[] = {rmr_lexeme(rmr_rx_byte(s, '{')),
                              rmr_times(rmr_call(pair), 0, RMR_RX_MANY),
                              rmr_checked(rmr_lexeme(rmr_rx_byte(s, '}')), two)};
    rmr_rule_alt(g, nested, all, 3);
    const rmr_symbol once = rmr_call(nested);
    rmr_rule_alt(g, root, &once, 1);
    assert_int_equal(rmr_grammar_finish(g, root, NULL), REMORA_OK);
    rmr_constraint *c;
    assert_int_equal(rmr_constraint_new(&mem, g, vocab, &c, NULL), REMORA_OK);
    return c;
}

static void registers_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int yes;
    } rows[] = {{"{aa;ab;}", 1},        {"{aa;x;ab;}", 1},
                {"{aa;}", 0},           {"{}", 0},
                {"{aa;aa;}", 0},        {"{aa;x;aa;}", 0},
                {"{aa;x={aa;ab;}}", 1}, {"{aa;x={aa;ab;}x;}", 0},
                {"{x={aa;aa;}ab;}", 0}, {"{x={aa;ab;}ab;}", 1}};
    rmr_constraint *c = compile_checks();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int way = 0; way < 5; way++)
            if (matches(c, rows[i].text, strlen(rows[i].text), way) != rows[i].yes)
                fail_msg("%s", rows[i].text);
    rmr_guide *m;
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    for (const char *s = "{aa;"; *s != 0; s++) {
        assert_int_equal(rmr_guide_accept(m, *s, NULL), REMORA_OK);
        assert_mask(m, "checks");
    }
    assert_int_equal(rmr_guide_accept(m, 'a', NULL), REMORA_OK);
    assert_mask(m, "checks");
    assert_int_equal(rmr_guide_allows(m, 'a', NULL), REMORA_E_NO_TOKEN); /* aa was there */
    rmr_guide_free(m);
    rmr_constraint_free(c);
}

/* -- Lark's own -- */

static int reads(rmr_constraint *c, const remora_token *t, size_t n)
{
    rmr_guide *m;
    int end = 0;
    remora_status st = REMORA_OK;
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    for (size_t i = 0; i < n && st == REMORA_OK; i++) st = rmr_guide_accept(m, t[i], NULL);
    if (st == REMORA_OK) assert_int_equal(rmr_guide_may_end(m, &end, NULL), REMORA_OK);
    rmr_guide_free(m);
    return end == 1;
}

static void lark_names_special_tokens(void **state)
{
    (void)state;
    rmr_constraint *c = compile("lark", "start: <|two|> \"ab\" <[5-9,12]> <[^7]> <[*]>?");
    const remora_token two = CONSTRAIN_SPECIAL + 1, one = CONSTRAIN_SPECIAL;
    assert_true(reads(c, (const remora_token[]){two, 'a', 'b', 12, 8}, 5));
    assert_true(reads(c, (const remora_token[]){two, 256, 5, one, two}, 5));
    assert_false(reads(c, (const remora_token[]){one, 256, 5, one}, 4));
    assert_false(reads(c, (const remora_token[]){two, 256, 10, one}, 4));
    assert_false(reads(c, (const remora_token[]){two, 256, 5, 7}, 4));
    rmr_constraint_free(c);
}

static void sources_say_where_they_are_wrong(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"lark", "start: a\na: \"x\" ,x", "line 2, column 8, of a"},
        {"lark", "start: x{\"a\"}", "a template, or a repetition without a number, in line 1"},
        {"lark", "start: \"a\" ~ b", "a repetition whose count is no number in line 1, column 14"},
        {"lark", "start: \"a\"\n%declare B", "%declare in line 2"},
        {"lark", "start: /a/l", "the flag l, by which letters depend on a locale, in line 1"},
        {"lark", "start: /a/gi", "a flag that is none of i, m, s, u and x in line 1, column 11"},
        {"lark", "start: /(a$)/m", "a ^ or $ of lines (flag m), which is not supported, at byte 2"},
        {"lark", "start: /a\nb: /c/x", "an expression without its closing / in line 1, column 9"},
        {"lark", "start: (\"a\" [\"b\")", "a ) without its ( in line 1"},
        {"lark", "start: (\"a\" [\"b\" ", "a [ without its ] in line 1"},
        {"lark", "start: A\nA: /(?=b)/", "lookahead"},
        {"lark", "start: %json {\"uniqueItems\": true}", "uniqueItems"},
        {"lark", "start: <|three|>",
         "a token that the tokenizer does not have in line 1, column 8, of start"},
        {"gbnf", "root ::= \"a\"\n\n root::= \"b\"",
         "a name that was defined before in line 3, column 2"},
        {"gbnf", "root ::= (\"a\"\n | \"b\" # )", "a ( without its ) in line 2"},
        {"gbnf", "root ::= \"a\"\nroot", "a line that begins no rule in line 2, column 1"},
        {"gbnf", "root ::= \"\\v\"", "an unknown escape in line 1, column 12"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        remora_error err = {.struct_size = sizeof err};
        rmr_constraint *c;
        assert_true(constrain_new(&mem, vocab, rows[i][0], rows[i][1], strlen(rows[i][1]), NULL, &c,
                                  &err) < 0);
        if (strstr(err.message, rows[i][2]) == NULL) fail_msg("%s", err.message);
    }
}

/* The limit is in the message, and so is where it was reached. */
static void groups_are_nested_to_a_limit(void **state)
{
    (void)state;
    static const char *const sources[][3] = {{"gbnf", "root ::= ((\"a\"))", "root ::= (((\"a\")))"},
                                             {"lark", "start: [(\"a\")]", "start: [([\"a\"])]"}};
    const rmr_limits lim = {.nesting = 2};
    for (size_t i = 0; i < 2; i++) {
        remora_error err = {.struct_size = sizeof err};
        rmr_constraint *c;
        const char *deep = sources[i][2];
        assert_int_equal(constrain_new(&mem, vocab, sources[i][0], sources[i][1],
                                       strlen(sources[i][1]), &lim, &c, &err),
                         REMORA_OK);
        rmr_constraint_free(c);
        assert_int_equal(
            constrain_new(&mem, vocab, sources[i][0], deep, strlen(deep), &lim, &c, &err),
            REMORA_E_LIMIT);
        assert_non_null(strstr(err.message, "the limit \"nesting\", 2, allows in line 1, column"));
    }
}

/* 1: a text under these limits ends at one, which the message names with the rule. */
static int ends_in_rule(const rmr_limits *lim, const char *limit)
{
    static const char wide[] =
        "root ::= \"x\" wide\nwide ::= a | b | c | d | e\na ::= \"1\" a | "
        "\"1\"\nb ::= \"2\" b | \"1\"\nc ::= \"3\" c | \"1\"\nd ::= \"4\" d | "
        "\"1\"\ne ::= \"5\" e | \"1\"\n";
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    rmr_guide *m = NULL;
    remora_status st = constrain_new(&mem, vocab, "gbnf", wide, strlen(wide), lim, &c, &err);
    if (st >= 0) st = rmr_guide_new(c, &m, &err);
    if (st >= 0) st = rmr_guide_accept(m, 'x', &err);
    rmr_guide_free(m);
    rmr_constraint_free(c);
    if (st == REMORA_OK) return 0;
    assert_int_equal(st, REMORA_E_LIMIT);
    if (strstr(err.message, limit) == NULL) fail_msg("%s", err.message);
    return strstr(err.message, ", in the rule wide") != NULL;
}

/* Where a bound is met depends on it; each has a size at which that is a rule's row. */
static void limits_name_the_rule(void **state)
{
    (void)state;
    int steps = 0, items = 0;
    for (uint32_t n = 1; n < 60; n++) {
        steps += ends_in_rule(&(rmr_limits){.step = n}, "its limit \"step\" has");
        items += ends_in_rule(&(rmr_limits){.row_items = n}, "its limit \"row_items\" allows");
    }
    assert_true(steps > 0 && items > 0);
}

/* -- Hostile input -- */

static char *many(const char *before, const char *each, size_t n, const char *after)
{
    const size_t len = strlen(each);
    char *s = malloc(strlen(before) + n * (len + 18) + strlen(after) + 1);
    if (s == NULL) abort();
    char *p = s + sprintf(s, "%s", before);
    for (size_t i = 0; i < n; i++) p += sprintf(p, each, i, i + 1, i + 1);
    sprintf(p, "%s", after);
    return s;
}

static void survive(const char *name, const char *kind, const char *src, int compiles)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    const long long before = atomic_load(&meter.bytes); /* the vocabulary, which others share */
    atomic_store(&meter.peak, before);
    const remora_status st = constrain_new(&mem, vocab, kind, src, strlen(src), NULL, &c, &err);
    assert_true(atomic_load(&meter.peak) - before <= 64ll << 20);
    if (compiles == 1 && st < 0) fail_msg("%s: %d %s", name, (int)st, err.message);
    if (compiles == 0 && st >= 0) fail_msg("%s compiles", name);
    if (st < 0) {
        if (st != REMORA_E_LIMIT && st != REMORA_E_ARG && st != REMORA_E_UNSUPPORTED &&
            st != REMORA_E_FORMAT)
            fail_msg("%s: %d", name, (int)st);
        return;
    }
    rmr_guide *m;
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    for (int i = 0; i < 60; i++) {
        uint32_t mask[CONSTRAIN_MASK];
        const remora_status s = rmr_guide_mask(m, mask, &err);
        if (s == REMORA_E_NO_TOKEN) break;
        if (s == REMORA_E_LIMIT) break;
        if (s < 0) fail_msg("%s: mask %d %s", name, (int)s, err.message);
        const remora_token t = pick(m);
        const remora_status a = t < 0 ? REMORA_E_LIMIT : rmr_guide_accept(m, t, &err);
        if (a == REMORA_E_LIMIT) break;
        assert_int_equal(a, REMORA_OK);
    }
    rmr_guide_free(m);
    rmr_constraint_free(c);
    assert_true(atomic_load(&meter.peak) - before <= 64ll << 20);
}

static void hostile_input_ends_in_a_status(void **state)
{
    (void)state;
    char *s;
#define MANY(name, kind, compiles, ...)                                                            \
    s = many(__VA_ARGS__);                                                                         \
    survive(name, kind, s, compiles);                                                              \
    free(s)
    MANY("nested groups", "gbnf", 0, "root ::= ", "(", 60000, "\"a\"");
    MANY("nested groups", "regex", 0, "", "(", 60000, "a");
    MANY("rule chain", "gbnf", 1, "", "r%zu ::= r%zu\n", 100000, "r100000 ::= \"a\"\nroot ::= r0");
    MANY("alternatives", "gbnf", 1, "root ::= \"x\"", " | \"a%zu\"", 50000, "");
    MANY("rule alternatives", "gbnf", -1, "root ::= \"x\"", " | \"a%zu\" root", 50000, "");
    MANY("doubling", "gbnf", 1, "root ::= x0\nx40 ::= \"a\"\n", "x%zu ::= x%zu x%zu\n", 40, "");
    MANY("long class", "regex", 1, "[", "a-z%zu", 30000, "]");
    MANY("long literal", "regex", 1, "", "abc%zu", 30000, "");
    MANY("optional chain", "gbnf", -1, "root ::= ", "(\"a%zu\" root)? ", 3000, "\"b\"");
    MANY("unclosed", "regex", 0, "", "[a", 50000, "");
    survive("left recursion", "gbnf", "root ::= root \"a\" | \"b\"", 1);
    survive("hidden left recursion", "gbnf", "root ::= x root \"a\" | \"b\"\nx ::= \"\" | \"c\"",
            1);
    survive("star of star", "gbnf", "root ::= ((\"a\"*)*)*", 1);
    survive("count", "gbnf", "root ::= \"a\"{1,1000000000}", 1);
    survive("counts", "gbnf", "root ::= ((\"a\"{1,1000}){1,1000}){1,1000}", 1);
    survive("counts of rules", "gbnf", "root ::= ((\"a\" root?){1,1000}){1,1000} \"b\"", 1);
    survive("cycle", "gbnf", "root ::= x | \"a\"\nx ::= y\ny ::= x | root", 1);
    survive("ambiguous", "gbnf", "root ::= root root | \"a\"", 1);
    survive("very ambiguous", "gbnf", "root ::= root root root | root root | \"a\" | \"\"", 1);
    survive("blow-up", "regex", "(.*a.{20})+$", 1);
    survive("many states", "regex", "(a|b)*a(a|b){12}", 1);
    survive("nested counts", "regex", "((a{1,100}b?){1,100}c?){1,100}", 1);
    survive("large count", "regex", "a{99999999999}", -1);
    survive("any", "regex", "[\\s\\S]*", 1);
    survive("class of all", "regex", "\\p{L}+\\P{L}", 1);
    MANY("nested groups", "lark", 0, "start: ", "(", 60000, "\"a\"");
    MANY("rule chain", "lark", 1, "", "r%zu: r%zu\n", 100000, "r100000: \"a\"\nstart: r0\n");
    MANY("alternatives", "lark", 1, "start: \"x\"", " | \"a%zu\"", 50000, "");
    MANY("doubling", "lark", 1, "start: x0\nx40: \"a\"\n", "x%zu: x%zu x%zu\n", 40, "");
    MANY("ignored", "lark", -1, "start: \"x\" start?\n", "%%ignore /a%zu *b?/\n", 3000, "");
    survive("left recursion", "lark", "start: start \"a\" | \"b\"", 1);
    survive("star of star", "lark", "start: ((\"a\"*)*)*\n%ignore /[ ]*/\n", 1);
    survive("counts", "lark", "start: ((\"a\" ~ 1..1000) ~ 1..1000) ~ 1..1000", 1);
    MANY("nested groups", "schema", 0, "{\"pattern\": \"", "(", 60000, "a\"}");
    MANY("long class", "schema", 1, "{\"pattern\": \"[", "a-z%zu", 30000, "]\"}");
    MANY("names", "schema", -1, "{\"required\": [\"x\"", ", \"a%zu\"", 30000, "]}");
    MANY("nested schemas", "schema", 0, "", "{\"not\": ", 60000, "{}");
    survive("blow-up", "schema", "{\"pattern\": \"(.*a.{20})+$\"}", 1);
    survive("many states", "schema", "{\"pattern\": \"^(a|b)*a(a|b){12}$\"}", 1);
    survive("nested counts", "schema", "{\"pattern\": \"((a{1,100}b?){1,100}c?){1,100}\"}", 1);
    survive("large count", "schema", "{\"pattern\": \"a{99999999999}\"}", -1);
    survive("loop", "schema", "{\"$ref\": \"#\"}", 0);
#undef MANY
}

/* -- Memory and steps that end -- */

static int32_t under_failing_memory(void *arg, tmem *t)
{
    const char *const *source = arg; /* its kind, and itself */
    (void)t;
    rmr_constraint *c = NULL;
    rmr_guide *m, *copy;
    uint32_t mask[CONSTRAIN_MASK];
    remora_status first = REMORA_OK;
    RMR_TRY(constrain_new(&mem, vocab, source[0], source[1], strlen(source[1]), NULL, &c, NULL));
    remora_status st = rmr_guide_new(c, &m, NULL);
    if (st >= 0) {
        const char *text = "{\"a\": [1, true]}";
        for (size_t i = 0; text[i] != 0 && st >= 0; i++) {
            st = rmr_guide_accept(m, text[i], NULL);
            if (st >= 0) st = rmr_guide_mask(m, mask, NULL);
            /* What failed is as before, and goes on. */
            if (st == REMORA_E_NOMEM) {
                first = st;
                st = rmr_guide_count(m) == i ? rmr_guide_accept(m, text[i], NULL) : REMORA_OK;
                assert_int_equal(st, REMORA_OK);
                assert_int_equal(rmr_guide_mask(m, mask, NULL), REMORA_OK);
            }
        }
        if (st >= 0) st = rmr_guide_clone(m, &copy, NULL);
        if (st >= 0) rmr_guide_free(copy);
        rmr_guide_free(m);
    }
    rmr_constraint_free(c);
    return st < 0 ? st : first;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    meter.is_cache = is_memo;
    const char *gbnf[] = {"gbnf", JSON};
    const char *lark[] = {"lark",
                          "start: value\nvalue: \"{\" [pair (\",\" pair)*] \"}\" | \"true\" | INT\n"
                          " | \"[\" [value (\",\" value) *] \"]\"\npair: /\"[a-z]*\"/ \":\" value\n"
                          "%import common.INT\n%ignore \" \"+\n"};
    assert_true(tmem_sweep(&meter, under_failing_memory, gbnf) > 100);
    assert_true(tmem_sweep(&meter, under_failing_memory, lark) > 100);
}

/* A machine whose memory is full starts anew, and reads on. */
static void full_machines_start_anew(void **state)
{
    (void)state;
    const rmr_limits lim = {.bytes = 400000};
    rmr_constraint *c = NULL;
    rmr_guide *m, *other;
    assert_int_equal(constrain_new(&mem, vocab, "regex", "[a-z]{0,100000}", 15, &lim, &c, NULL),
                     REMORA_OK);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    assert_int_equal(rmr_guide_new(c, &other, NULL), REMORA_OK);
    assert_int_equal(rmr_guide_accept(other, 'x', NULL), REMORA_OK);
    for (int i = 0; i < 20000; i++) {
        const remora_status st = rmr_guide_accept(m, 'a', NULL);
        if (st == REMORA_E_LIMIT) break; /* one text alone needs more */
        assert_int_equal(st, REMORA_OK);
    }
    assert_true(rmr_guide_count(m) > 500);
    assert_mask(other, "another guide");
    assert_int_equal(rmr_guide_rollback(m, rmr_guide_count(m) - 10, NULL), REMORA_OK);
    assert_mask(m, "the same guide");
    rmr_guide_free(m);
    rmr_guide_free(other);
    rmr_constraint_free(c);
}

/* What earlier texts needed does not stand in the way of the next one. */
static void texts_do_not_pile_up(void **state)
{
    (void)state;
    static const char src[] = "root ::= \"(\" root \")\" | \"[\" root \"]\" | \"\"";
    const rmr_limits lim = {.bytes = 600000};
    rmr_constraint *c = NULL;
    rmr_guide *m;
    assert_int_equal(constrain_new(&mem, vocab, "gbnf", src, strlen(src), &lim, &c, NULL),
                     REMORA_OK);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    for (int text = 0; text < 60; text++) {
        for (int i = 0; i < 200; i++)
            assert_int_equal(rmr_guide_accept(m, random_below(2) ? '(' : '[', NULL), REMORA_OK);
        assert_int_equal(rmr_guide_rollback(m, 200, NULL), REMORA_OK);
    }
    rmr_guide_free(m);
    rmr_constraint_free(c);
}

/* Whatever the limit on bytes, and wherever a schema meets it, it is a limit and no lack of memory.
 */
static void few_bytes_are_a_limit(void **state)
{
    (void)state;
    enum { LONG = 60000 };
    static char src[3 * LONG + 100];
    const int head = sprintf(src, "{\"enum\": [\"");
    size_t n = (size_t)head;
    memset(src + n, 'x', LONG);
    n += LONG;
    n += (size_t)sprintf(src + n, "\", 1");
    memset(src + n, '0', LONG);
    n += LONG;
    for (int i = 0; i < LONG / 3; i++) n += (size_t)sprintf(src + n, ", %d", i % 10);
    n += (size_t)sprintf(src + n, "]}");
    unsigned limits = 0;
    for (uint64_t bytes = 30000; bytes < 3000000; bytes += bytes / 40) {
        const rmr_limits lim = {.bytes = bytes};
        remora_error err = {.struct_size = sizeof err};
        rmr_constraint *c = NULL;
        const remora_status st = constrain_new(&mem, vocab, "schema", src, n, &lim, &c, &err);
        if (st != REMORA_OK) assert_int_equal(st, REMORA_E_LIMIT);
        limits += st == REMORA_E_LIMIT && strstr(err.message, "\"bytes\"") != NULL;
        rmr_constraint_free(c);
    }
    assert_true(limits > 50);
}

/* -- A real vocabulary -- */

static rmr_vocabulary *open_real(rmr_tokenizer **tok)
{
    char path[4096];
    rmr_source *src;
    rmr_vocabulary *v;
    snprintf(path, sizeof path, "%s/ds3", getenv("REMORA_MODELS"));
    const remora_source at = {.struct_size = sizeof at, .kind = REMORA_SOURCE_PATH, .path = path};
    assert_int_equal(rmr_source_open(&mem, &at, 1, &src, NULL), REMORA_OK);
    assert_int_equal(tokenizer_of(&mem, src, 129280, tok, NULL), REMORA_OK);
    rmr_source_free(src);
    assert_int_equal(rmr_vocabulary_of(&mem, *tok, 129280, &v, NULL), REMORA_OK);
    return v;
}

static void follow_real(rmr_constraint *c, const rmr_tokenizer *tok, const char *text)
{
    static uint32_t mask[129280 / 32];
    remora_token ids[200];
    size_t n;
    rmr_guide *m;
    int end;
    assert_int_equal(rmr_tokenizer_encode(tok, text, strlen(text), 0, ids, 200, &n, NULL),
                     REMORA_OK);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    for (size_t i = 0; i <= n; i++) {
        assert_int_equal(rmr_guide_mask(m, mask, NULL), REMORA_OK);
        for (remora_token t = 0; t < 129280; t++)
            if (constrain_bit(mask, t) != (rmr_guide_allows(m, t, NULL) == REMORA_OK))
                fail_msg("%s: token %d behind %zu", text, (int)t, i);
        if (i < n) assert_int_equal(rmr_guide_accept(m, ids[i], NULL), REMORA_OK);
    }
    assert_int_equal(rmr_guide_may_end(m, &end, NULL), REMORA_OK);
    assert_int_equal(end, 1);
    rmr_guide_free(m);
}

static void masks_of_a_real_vocabulary(void **state)
{
    static const struct {
        const char *kind, *src, *text;
    } rows[] = {{"gbnf", JSON, "{\"a\\u00e9\":[1.5,\"so \xE4\xB8\xAD\"]}"},
                {"regex", "\"[^\"\\\\]{0,12}\"(, |)[a-z]+", "\"two words\", end"},
                {"regex", ".{3,200}", "any text"}};
    (void)state;
    rmr_tokenizer *tok;
    rmr_vocabulary *small = vocab;
    vocab = open_real(&tok);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmr_constraint *c = compile(rows[i].kind, rows[i].src);
        follow_real(c, tok, rows[i].text);
        rmr_constraint_free(c);
    }
    rmr_vocabulary_free(vocab);
    rmr_tokenizer_free(tok);
    vocab = small;
}

static int set_up(void **state)
{
    (void)state;
    cases = json_load_file(getenv("REMORA_GRAMMAR_CASES"), JSON_ALLOW_NUL, NULL);
    return cases == NULL ||
           rmr_vocabulary_new(&mem, CONSTRAIN_VOCAB, constrain_text, NULL, &vocab, NULL) < 0;
}

static int tear_down(void **state)
{
    (void)state;
    rmr_vocabulary_free(vocab);
    json_decref(cases);
    return meter.blocks != 0 || meter.damage != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted_and_refused),
        cmocka_unit_test(sources_are_refused),
        cmocka_unit_test(masks_are_what_tokens_say),
        cmocka_unit_test(going_back_is_never_having_read),
        cmocka_unit_test(lexemes_end_together),
        cmocka_unit_test(forced_text_is_canonical),
        cmocka_unit_test(special_tokens_match_symbols_alone),
        cmocka_unit_test(registers_are_checked),
        cmocka_unit_test(lark_names_special_tokens),
        cmocka_unit_test(sources_say_where_they_are_wrong),
        cmocka_unit_test(groups_are_nested_to_a_limit),
        cmocka_unit_test(limits_name_the_rule),
        cmocka_unit_test(hostile_input_ends_in_a_status),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(full_machines_start_anew),
        cmocka_unit_test(texts_do_not_pile_up),
        cmocka_unit_test(few_bytes_are_a_limit),
    };
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(masks_of_a_real_vocabulary)};
    int failed = RUN_GROUP("constraint", tests, set_up, tear_down);
    if (getenv("REMORA_MODELS") != NULL)
        failed += RUN_GROUP("constraint with models", model_tests, set_up, tear_down);
    return failed;
}
