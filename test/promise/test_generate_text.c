/* SPDX-License-Identifier: Apache-2.0 */
/* Generations of text, with random tokens and stop strings, cut into calls in every way, against a
 * model that knows the whole text: nothing is lost, nothing comes twice, no call ends inside a
 * character, and text comes as soon as no stop string can take it away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "scripted.h"
#include "stop_model.h"

enum { MOST = SCRIPTED_CAPACITY - 1, STRINGS = 4, STRING_BYTES = 40 };

static uint64_t seed = 1;

static uint32_t dice(uint32_t n)
{
    return host_random(&seed) % n;
}

/* What a generation has to give. */
typedef struct answer {
    int32_t reason;
    uint32_t stop;
    size_t n_tokens;
    char text[STOP_MODEL_BYTES];
    size_t n_text;
    size_t certain[MOST + 1]; /* text that is sure to be delivered after so many tokens */
} answer;

/* Enter a token; 1 when a stop string is complete, with the length of the text before it, or with
 * it. */
static int enter(const scripted *f, const remora_gen_opts *o, remora_detok *d, remora_token t,
                 stop_model *m, answer *a)
{
    char bytes[64];
    size_t n;
    const uint32_t silent = REMORA_TOKEN_CONTROL | REMORA_TOKEN_END_OF_TURN;
    const int is_name = (remora_token_flags(f->m, t) & silent) != 0;
    if (is_name)
        REQUIRE_OK(remora_token_bytes(f->m, t, bytes, sizeof bytes, &n, NULL), NULL);
    else
        REQUIRE_OK(remora_detok_push(f->m, d, &t, 1, bytes, sizeof bytes, &n, NULL), NULL);
    for (size_t i = 0; i < n; i++) {
        uint32_t text = 0;
        stop_model_add(m, bytes[i], is_name);
        if (!stop_model_complete(m, o, is_name, &a->stop, &text)) continue;
        a->n_text = m->of[0].n - (o->flags & REMORA_GEN_KEEP_STOP ? 0 : text);
        return 1;
    }
    return 0;
}

static int32_t reason_after(const scripted *f, const remora_gen_opts *o, remora_token t, size_t n)
{
    if (remora_token_flags(f->m, t) & REMORA_TOKEN_END_OF_TURN) return REMORA_REASON_END_OF_TURN;
    if (o->max_tokens > 0 && n == o->max_tokens) return REMORA_REASON_MAX_TOKENS;
    return n == MOST ? REMORA_REASON_CAPACITY : REMORA_REASON_NONE;
}

static void work_out(const scripted *f, const remora_gen_opts *o, answer *a)
{
    stop_model m = {0};
    remora_detok d = {{0}};
    char rest[4];
    size_t n = 0;
    *a = (answer){0};
    while (a->reason == REMORA_REASON_NONE) {
        const remora_token t = f->script[a->n_tokens++ % f->n];
        if (enter(f, o, &d, t, &m, a))
            a->reason = REMORA_REASON_STOP;
        else
            a->reason = reason_after(f, o, t, a->n_tokens);
        a->certain[a->n_tokens] =
            m.of[0].n - (o->flags & REMORA_GEN_KEEP_STOP ? 0 : stop_model_held(&m, o));
    }
    memcpy(a->text, m.of[0].byte, m.of[0].n);
    if (a->reason == REMORA_REASON_STOP) return;
    REQUIRE_OK(remora_detok_flush(f->m, &d, rest, sizeof rest, &n, NULL), NULL);
    memcpy(a->text + m.of[0].n, rest, n);
    a->n_text = m.of[0].n + n;
}

/* ---- random generations ---- */

static size_t random_script(remora_token *script)
{
    static const remora_token from[] = {'a',  'a',  'b',          'b',  0xC3, 0xA9,
                                        0xC3, 0xA9, 0xE2,         0x82, 0xAC, 256,
                                        257,  260,  TINY_CONTROL, 0xFF, 'c',  TINY_BOS};
    const size_t n = 1 + dice(12);
    for (size_t i = 0; i < n; i++) script[i] = from[dice(sizeof from / sizeof *from)];
    if (dice(4) == 0) script[dice((uint32_t)n)] = dice(2) ? TINY_EOS : SCRIPTED_TURN;
    for (size_t i = 0; i + 3 < n && dice(2); i += 3) { /* a whole character */
        script[i] = 0xE2;
        script[i + 1] = 0x82;
        script[i + 2] = 0xAC;
    }
    return n;
}

static uint64_t random_stops(char text[STRINGS][STRING_BYTES], remora_text stop[STRINGS])
{
    static const char *const from[] = {
        "a", "b", "\xC3\xA9", "\xE2\x82\xAC", "\xEF\xBF\xBD", "<c2>", "c2>", "c", "q", "a", "b"};
    const uint64_t n = dice(STRINGS + 1);
    for (uint64_t i = 0; i < n; i++) {
        text[i][0] = 0;
        for (uint32_t k = 0; k == 0 || (k < 8 && dice(3) > 0); k++)
            strcat(text[i], from[dice(sizeof from / sizeof *from)]);
        stop[i] = host_text(text[i]);
        strcat(text[i], "a"); /* its length says where it ends */
    }
    return n;
}

/* Bytes of the character that begins with this one; 0 for a byte inside of one. */
static size_t character(char first)
{
    const unsigned c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xC0 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static int is_whole(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t len = character(s[i]);
        if (len == 0 || len > n - i) return 0;
        for (size_t k = 1; k < len; k++)
            if (character(s[i + k]) != 0) return 0;
        i += len;
    }
    return 1;
}

/* How a generation is cut into calls. */
typedef struct cuts {
    uint32_t text;   /* most room for text beyond 4 bytes; 0: a random one for each call */
    uint32_t tokens; /* room for tokens; 0: they are not asked for */
    int budget, cancel, no_memory;
} cuts;

typedef struct delivery {
    char text[STOP_MODEL_BYTES];
    remora_token tokens[MOST + 1];
    size_t n_text, n_tokens;
    int begun;
} delivery;

static remora_status one_call(scripted *f, const remora_gen_opts *generation, const cuts *how,
                              const answer *a, delivery *got)
{
    const int32_t one = 1;
    remora_gen_opts o = *generation;
    remora_error err = HOST_ERROR;
    char text[64];
    remora_token tokens[8];
    size_t n = 99, n_tokens = 99;
    const size_t cap = 4 + (how->text > 0 ? how->text - 1 : dice(12)), before = f->step;
    if (how->budget && dice(2)) o.budget_us = 1;
    if (how->cancel && dice(3) == 0) o.cancel = &one;
    if (!got->begun) o.flags |= REMORA_GEN_NEW;
    if (how->no_memory && dice(2)) tmem_arm(&f->mem, 1);
    text[cap] = 'X';
    const remora_status st =
        remora_generate_text(f->s, f->p, &o, text, cap, &n, how->tokens > 0 ? tokens : NULL,
                             how->tokens, &n_tokens, &err);
    tmem_arm(&f->mem, 0);
    assert_true(text[cap] == 'X' && n <= cap && is_whole(text, n));
    assert_int_equal(n_tokens, f->step - before);
    memcpy(got->text + got->n_text, text, n);
    got->n_text += n;
    if (how->tokens > 0) {
        assert_true(n_tokens <= how->tokens);
        memcpy(got->tokens + got->n_tokens, tokens, n_tokens * sizeof *tokens);
    }
    got->n_tokens += n_tokens;
    if (st == REMORA_E_NOMEM) return st;
    got->begun = 1;
    const remora_generation_info i = scripted_info(f);
    assert_int_equal(i.n_tokens, got->n_tokens);
    assert_int_equal(i.text_bytes, got->n_text);
    if (st == REMORA_E_CANCELLED) assert_true(o.cancel != NULL && n == 0);
    if (st != REMORA_MORE) return st;
    assert_int_equal(i.reason, REMORA_REASON_NONE);
    size_t certain = a->certain[got->n_tokens];
    if (got->n_tokens == a->n_tokens && a->reason != REMORA_REASON_CAPACITY) certain = a->n_text;
    if (got->n_text > certain)
        certain = a->n_text; /* the call before has seen that the session is full */
    assert_true(got->n_text == certain || cap - n < character(a->text[got->n_text]));
    if (n == 0) assert_true(o.budget_us > 0 || n_tokens == how->tokens);
    return st;
}

static void run(scripted *f, const remora_gen_opts *o, const cuts *how)
{
    answer a;
    delivery got = {0};
    remora_status st;
    int calls = 0;
    work_out(f, o, &a);
    do {
        st = one_call(f, o, how, &a, &got);
        assert_true(++calls < 5000);
    } while (st == REMORA_MORE || st == REMORA_E_CANCELLED || st == REMORA_E_NOMEM);
    assert_int_equal(st, a.reason == REMORA_REASON_CAPACITY ? REMORA_E_FULL : REMORA_END);
    const remora_generation_info i = scripted_info(f);
    assert_int_equal(i.reason, a.reason);
    assert_int_equal(i.stop, a.stop);
    assert_int_equal(got.n_tokens, a.n_tokens);
    assert_int_equal(got.n_text, a.n_text);
    assert_memory_equal(got.text, a.text, a.n_text);
    for (size_t k = 0; how->tokens > 0 && k < a.n_tokens; k++)
        assert_int_equal(got.tokens[k], f->script[k % f->n]);
}

static void random_generations(void **state)
{
    scripted *f = *state;
    int reasons[5] = {0};
    for (int round = 0; round < 3000; round++) {
        char strings[STRINGS][STRING_BYTES];
        remora_text stop[STRINGS];
        remora_token script[SCRIPTED_CAPACITY];
        const size_t n = random_script(script);
        remora_gen_opts o = {.struct_size = sizeof o,
                             .flags = dice(3) == 0 ? REMORA_GEN_KEEP_STOP : 0,
                             .max_tokens = dice(3) == 0 ? 0 : 1 + dice(40),
                             .stop = stop};
        o.n_stop = random_stops(strings, stop);
        const cuts how = {dice(3) == 0 ? 1 : 0, dice(4), (int)dice(2), (int)dice(2), dice(4) == 0};
        scripted_begin(f, script, n);
        run(f, &o, &how);
        reasons[scripted_info(f).reason]++;
    }
    for (int32_t r = REMORA_REASON_END_OF_TURN; r <= REMORA_REASON_CAPACITY; r++)
        assert_true(reasons[r] > 50);
}

/* Every room for text and for tokens. */
static void every_cut(void **state)
{
    static const remora_token script[] = {'a',  0xE2, 0x82, 0xAC, 'b',  TINY_CONTROL, 0xC3,
                                          0xA9, 'a',  'b',  256,  0xFF, 0xE2,         0x82};
    const remora_text stop[] = {host_text("b\xC3\xA9"
                                          "aba"),
                                host_text("ab<c2>"), host_text("\xEF\xBF\xBD\xEF\xBF\xBD")};
    scripted *f = *state;
    for (uint64_t n_stop = 0; n_stop <= 3; n_stop++)
        for (uint32_t text = 1; text <= 30; text++)
            for (uint32_t tokens = 0; tokens <= 8; tokens++) {
                const remora_gen_opts o = {
                    .struct_size = sizeof o, .max_tokens = 20, .stop = stop, .n_stop = n_stop};
                const cuts how = {.text = text, .tokens = tokens};
                scripted_begin(f, script, sizeof script / sizeof *script);
                run(f, &o, &how);
            }
}

/* Tokens alone and text are two generations, and whether the stop string is kept belongs to one. */
static void other_kinds_begin_one(void **state)
{
    static const remora_token script[] = {'a', 'b', 'c'};
    scripted *f = *state;
    remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 20};
    remora_token t;
    char text[8];
    size_t n;
    scripted_begin(f, script, 3);
    assert_int_equal(remora_generate(f->s, f->p, &o, &t, 1, &n, NULL), REMORA_MORE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(remora_generate_text(f->s, f->p, &o, text, 8, &n, NULL, 0, NULL, NULL),
                         REMORA_MORE);
        assert_int_equal(scripted_info(f).n_tokens, 1);
        assert_true(n == 1 && text[0] == "bc"[i]);
        o.flags = REMORA_GEN_KEEP_STOP;
    }
    o.flags = 0;
    assert_int_equal(remora_generate(f->s, f->p, &o, &t, 1, &n, NULL), REMORA_MORE);
    assert_int_equal(scripted_info(f).n_tokens, 1);
    assert_int_equal(scripted_info(f).text_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_generations),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(other_kinds_begin_one),
    };
    return RUN_GROUP("generate_text", tests, scripted_setup, scripted_teardown);
}
