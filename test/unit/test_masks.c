/* SPDX-License-Identifier: Apache-2.0 */
/* Masks over a real vocabulary, in states that random tokens lead to: each is what a walk with
 * every token of the vocabulary gives. */
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

static rmr_constraint *compile(const char *src)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    rmr_grammar *g;
    rmr_rule start;
    assert_int_equal(rmr_grammar_new(&mem, NULL, &g, NULL), REMORA_OK);
    remora_status st = rmr_schema(g, src, strlen(src), NULL, &start, &err);
    if (st >= 0) st = rmr_grammar_finish(g, start, &err);
    if (st >= 0) st = rmr_constraint_new(&mem, g, vocab, &c, &err);
    if (st < 0) fail_msg("%s: %s", src, err.message);
    return c;
}

/* A token of the mask: one that closes a text now and then, else any, among them many short ones.
 */
static remora_token pick(void)
{
    static const char closing[] = "\"\",:}]";
    remora_token best = -1;
    size_t least = SIZE_MAX;
    for (size_t i = 0; random_below(4) == 0 && closing[i] != 0; i++)
        for (remora_token t = 0; t < 256; t++) {
            size_t n;
            const char *s = vocab_text(vocab, t, &n);
            if (constrain_bit(mask, t) && n == 1 && *s == closing[i]) return t;
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
        /* Strings with few characters, with patterns, without some texts. */
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":12}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z_-]+[0-9]?$\"}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"\\\\.js$\"}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"the\"]}}}",
        "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"pattern\":"
        "\"^[^ab]*$\"}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        rmr_constraint *c = compile(schemas[i]);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_states)};
    return getenv("REMORA_MODELS") == NULL ? 0 : RUN_GROUP("masks", tests, set_up, tear_down);
}
