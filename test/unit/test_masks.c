/* SPDX-License-Identifier: Apache-2.0 */
/* Masks over a real vocabulary, in states that random tokens lead to: each is what a walk with
 * every token of the vocabulary gives; and how many steps the keys of many forms take. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "constrain.h"
#include "groups.h"
#include "schema.h"
#include "tmem.h"
#include "tokenizer_of.h"

enum { VOCAB = 129280, STEPS = 18, EACH = 3 }; /* one state of three is compared */

static tmem meter;
static rmr_mem mem = {
    .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
static rmr_vocabulary *vocab;
static uint32_t mask[VOCAB / 32];
static uint32_t seed = 1;

static unsigned random_below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static rmr_constraint *compile(const char *src, const rmr_limits *lim)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    rmr_grammar *g;
    rmr_rule start;
    assert_int_equal(rmr_grammar_new(&mem, lim, &g, NULL), REMORA_OK);
    remora_status st = rmr_schema(g, src, strlen(src), NULL, &start, &err);
    if (st >= 0) st = rmr_grammar_finish(g, start, &err);
    if (st >= 0) st = rmr_constraint_new(&mem, g, vocab, &c, &err);
    if (st < 0) fail_msg("%s: %s", src, err.message);
    return c;
}

/* The token of one byte. */
static remora_token byte_token(char byte)
{
    for (remora_token t = 0; t < 256; t++) {
        size_t n;
        const char *s = vocab_text(vocab, t, &n);
        if (n == 1 && *s == byte) return t;
    }
    return -1;
}

/* A token of the mask: one that closes a text now and then, else any, among them many short ones.
 */
static remora_token pick(void)
{
    static const char closing[] = "\"\",:}]";
    remora_token best = -1;
    size_t least = SIZE_MAX;
    for (size_t i = 0; random_below(4) == 0 && closing[i] != 0; i++) {
        const remora_token t = byte_token(closing[i]);
        if (t >= 0 && constrain_bit(mask, t)) return t;
    }
    const unsigned from = random_below(VOCAB);
    for (unsigned i = 0, tries = 0; i < VOCAB && tries < 1 + random_below(6); i++) {
        const remora_token t = (remora_token)((from + i) % VOCAB);
        size_t n;
        vocab_text(vocab, t, &n);
        if (!constrain_bit(mask, t) || n == 0) continue;
        tries++;
        if (n < least) {
            least = n;
            best = t;
        }
    }
    return best;
}

static void compare(rmr_guide *m, const char *src, size_t at)
{
    const remora_status st = rmr_guide_mask(m, mask, NULL);
    assert_true(st == REMORA_OK || st == REMORA_E_NO_TOKEN);
    if (at % EACH != 1) return;
    for (remora_token t = 0; t < VOCAB; t++)
        if (constrain_bit(mask, t) != (rmr_guide_allows(m, t, NULL) == REMORA_OK))
            fail_msg("%s: token %d behind %zu tokens", src, (int)t, at);
}

static void random_states(void **state)
{
    static const char *const schemas[] = {
        /* Keys that are named, and others, none twice. */
        "{\"type\":\"object\",\"properties\":{\"name\":{\"maxLength\":5,\"type\":\"string\"},"
        "\"names\":{\"type\":\"boolean\"},\"note\":{\"type\":\"null\"},\"id\":{\"const\":1}}}",
        "{\"type\":\"object\",\"additionalProperties\":{\"const\":0}}",
        "{\"type\":\"object\",\"patternProperties\":{\"^a\":{\"const\":0}},"
        "\"additionalProperties\":{\"const\":1}}",
        "{\"type\":\"object\",\"propertyNames\":{\"maxLength\":4},\"properties\":{\"th\":{"
        "\"const\":0},"
        "\"them\":{\"const\":1}}}",
        "{\"oneOf\":[{\"required\":[\"name\"],\"properties\":{\"name\":{\"const\":0},\"note\":{"
        "\"const\":1}}},"
        "{\"required\":[\"names\"],\"properties\":{\"names\":{\"const\":0},\"no\":{\"const\":1}}}],"
        "\"type\":\"object\"}",
        /* Strings with few characters, with patterns, without some texts. */
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":12}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z_-]+[0-9]?$\"}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"\\\\.js$\"}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"the\"]}}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"not\":{\"pattern\":\"^[at]\"}}}",
        "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"pattern\":"
        "\"^[^ab]*$\"}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        rmr_constraint *c = compile(schemas[i], NULL);
        rmr_guide *m;
        assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
        for (size_t at = 0; at < STEPS; at++) {
            compare(m, schemas[i], at);
            const remora_token t = pick();
            if (t < 0) break;
            assert_int_equal(rmr_guide_accept(m, t, NULL), REMORA_OK);
        }
        rmr_guide_free(m);
        rmr_constraint_free(c);
    }
}

/* Keys that no form names make every beginning of a key right, whatever keys the forms name. The
 * steps are 2,000 to 4,000; a search through the beginnings of all names takes over 60,000. */
static void names_of_keys_are_not_searched(void **state)
{
    static char src[16384];
    const rmr_limits lim = {.step = 10000};
    size_t n = 0;
    rmr_guide *m;
    (void)state;
    n += (size_t)snprintf(src, sizeof src, "{\"type\":\"object\",\"anyOf\":[");
    for (unsigned form = 0; form < 4; form++) {
        n += (size_t)snprintf(src + n, sizeof src - n, "%s{\"properties\":{", form > 0 ? "," : "");
        for (unsigned i = 0; i < 30; i++)
            n += (size_t)snprintf(src + n, sizeof src - n, "%s\"%cofTheForm%c%u\":{\"const\":%u}",
                                  i > 0 ? "," : "", 'a' + (int)(i % 26), 'A' + (int)form, i, form);
        n += (size_t)snprintf(src + n, sizeof src - n, "}}");
    }
    (void)snprintf(src + n, sizeof src - n, "]}");
    rmr_constraint *c = compile(src, &lim);
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    static const char text[] = "{\"co";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(rmr_guide_accept(m, byte_token(text[i]), NULL), REMORA_OK);
        assert_int_equal(rmr_guide_mask(m, mask, NULL), REMORA_OK);
    }
    rmr_guide_free(m);
    rmr_constraint_free(c);
}

static int set_up(void **state)
{
    char path[4096];
    rmr_source *src;
    rmr_tokenizer *tok;
    (void)state;
    snprintf(path, sizeof path, "%s/ds3", getenv("REMORA_MODELS"));
    const remora_source at = {.struct_size = sizeof at, .kind = REMORA_SOURCE_PATH, .path = path};
    if (rmr_source_open(&mem, &at, 1, &src, NULL) < 0 ||
        tokenizer_of(&mem, src, VOCAB, &tok, NULL) < 0)
        return 1;
    rmr_source_free(src);
    const remora_status st = rmr_vocabulary_of(&mem, tok, VOCAB, &vocab, NULL);
    rmr_tokenizer_free(tok);
    return st < 0;
}

static int tear_down(void **state)
{
    (void)state;
    rmr_vocabulary_free(vocab);
    return meter.blocks != 0 || meter.damage != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_states),
                                       cmocka_unit_test(names_of_keys_are_not_searched)};
    return getenv("REMORA_MODELS") == NULL ? 0 : RUN_GROUP("masks", tests, set_up, tear_down);
}
