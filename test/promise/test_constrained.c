/* SPDX-License-Identifier: Apache-2.0 */
/* Output that keeps to a constraint: random models write nothing else, whatever stages do; clones
 * go on, samplers go back as if they had never gone on, and failures change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <regex.h>

#include "world.h"

static remora_constraint *compile(const world *w, int32_t kind, const char *source)
{
    remora_error err = HOST_ERROR;
    remora_constraint *c;
    const remora_constraint_opts o = {
        .struct_size = sizeof o, .kind = kind, .source = host_text(source)};
    REQUIRE_OK(remora_constraint_create(w->m, &o, &c, &err), &err);
    return c;
}

static remora_sampler *sampler(const world *w, remora_constraint *c, uint64_t seed)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    const remora_stage repeat = {
        .struct_size = sizeof repeat, .kind = REMORA_STAGE_REPEAT, .value = 1.3, .count = 8};
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE, .value = 1.5};
    REQUIRE_OK(remora_sampler_create(w->m, seed, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &repeat, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &warm, &err), &err);
    REQUIRE_OK(remora_sampler_constrain(p, c, &err), &err);
    return p;
}

static size_t generate(const world *w, remora_sampler *p, char *text, size_t cap)
{
    remora_error err = HOST_ERROR;
    remora_session *s = host_session(w->m, 512, REMORA_KV_F32);
    const remora_token prompt[] = {TINY_BOS, 'x'};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 400, .flags = REMORA_GEN_NEW};
    remora_gen_opts more = o;
    size_t n = 0, made;
    remora_status st;
    REQUIRE_OK(remora_session_append(s, prompt, 2, REMORA_WANT_LAST, &err), &err);
    more.flags = 0;
    do {
        size_t k = 0;
        st = remora_generate_text(s, p, n == 0 ? &o : &more, text + n, cap - 1 - n, &k, NULL, 0,
                                  &made, &err);
        REQUIRE_OK(st, &err);
        n += k;
    } while (st != REMORA_END);
    text[n] = 0;
    remora_session_free(s);
    return n;
}

static void random_models_keep_to_it(void **state)
{
    (void)state;
    static const char source[] = "\\{\"k\": (\"[a-z]{2,6}\"|-?[1-9][0-9]{0,3})(, \"z\": [tf])?\\}";
    static const char pattern[] =
        "^\\{\"k\": (\"[a-z]{2,6}\"|-?[1-9][0-9]{0,3})(, \"z\": [tf])?\\}$";
    world w;
    regex_t re;
    world_begin(&w, NULL);
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, source);
    for (uint64_t seed = 0; seed < 30; seed++) {
        char text[1024];
        remora_sampler *p = sampler(&w, c, seed);
        generate(&w, p, text, sizeof text);
        if (regexec(&re, text, 0, NULL, 0) != 0) fail_msg("%s", text);
        remora_sampler_free(p);
    }
    regfree(&re);
    remora_constraint_free(c);
    world_end(&w);
}

static void choices_and_grammars_do_too(void **state)
{
    (void)state;
    world w;
    char text[1024];
    remora_error err = HOST_ERROR;
    world_begin(&w, NULL);
    const remora_text list[] = {{"yes", 3}, {"no", 2}, {"maybe", 5}};
    const remora_constraint_opts o = {
        .struct_size = sizeof o, .kind = REMORA_CONSTRAINT_CHOICE, .choices = list, .n_choices = 3};
    remora_constraint *c;
    REQUIRE_OK(remora_constraint_create(w.m, &o, &c, &err), &err);
    remora_sampler *p = sampler(&w, c, 5);
    remora_constraint_free(c); /* the sampler keeps it */
    generate(&w, p, text, sizeof text);
    assert_true(strcmp(text, "yes") == 0 || strcmp(text, "no") == 0 || strcmp(text, "maybe") == 0);
    c = compile(&w, REMORA_CONSTRAINT_GBNF, "root ::= \"(\" (root | \"a\") \")\"");
    REQUIRE_OK(remora_sampler_constrain(p, c, &err), &err);
    remora_constraint_free(c);
    const size_t n = generate(&w, p, text, sizeof text);
    assert_true(n % 2 == 1 && text[n / 2] == 'a' && strspn(text, "(") == n / 2 &&
                strspn(text + n / 2 + 1, ")") == n / 2);
    remora_sampler_free(p);
    c = compile(&w, REMORA_CONSTRAINT_LARK,
                "start: \"x\" N %json {\"enum\": [true, \"seven\"]}\nN: \"0\"..\"9\" ~ 2\n");
    p = sampler(&w, c, 5);
    remora_constraint_free(c);
    generate(&w, p, text, sizeof text);
    assert_true(text[0] == 'x' && strspn(text + 1, "0123456789") >= 2);
    assert_true(strcmp(text + 3, "true") == 0 || strcmp(text + 3, "\"seven\"") == 0);
    remora_sampler_free(p);
    world_end(&w);
}

#define FORCED "the first forty bytes are forced: "

/* Tokens of a generation in calls with room for `cap` of them, with a budget, and cancelled now and
 * then. */
static size_t in_calls(const world *w, remora_sampler *p, size_t cap, int64_t budget,
                       remora_token *out)
{
    remora_error err = HOST_ERROR;
    remora_session *s = host_session(w->m, 512, REMORA_KV_F32);
    const remora_token prompt[] = {TINY_BOS, 'x'};
    const int32_t now = 1;
    remora_gen_opts o = {.struct_size = sizeof o, .flags = REMORA_GEN_NEW, .budget_us = budget};
    size_t n = 0;
    remora_status st = REMORA_MORE;
    REQUIRE_OK(remora_session_append(s, prompt, 2, REMORA_WANT_LAST, &err), &err);
    for (unsigned call = 0; st != REMORA_END; call++) {
        remora_session_info i = {.struct_size = sizeof i};
        size_t k = 0;
        o.cancel = budget > 0 && call % 3 == 2 ? &now : NULL;
        st = remora_generate(s, p, &o, out + n, cap, &k, &err);
        if (st != REMORA_E_CANCELLED) REQUIRE_OK(st, &err);
        n += k;
        assert_true(n < 400);
        REQUIRE_OK(remora_session_get_info(s, &i, &err), &err);
        assert_in_range(i.pending, 0, 31);
        o.flags = 0;
    }
    remora_session_free(s);
    return n;
}

/* However calls are cut, forced text is the same tokens. */
static void forced_text_is_the_same_in_any_cut(void **state)
{
    (void)state;
    world w;
    world_begin(&w, NULL);
    remora_constraint *c =
        compile(&w, REMORA_CONSTRAINT_REGEX,
                FORCED "[ab]{3}, and then: (yes indeed|no thanks) " FORCED "[a-z]{4}");
    for (uint64_t seed = 0; seed < 6; seed++) {
        static const size_t caps[] = {1, 3, 40, 399};
        remora_token want[400], got[400];
        remora_sampler *p = sampler(&w, c, seed);
        const size_t n = in_calls(&w, p, 399, 0, want);
        remora_sampler_free(p);
        for (size_t i = 0; i < 8; i++) {
            p = sampler(&w, c, seed);
            assert_int_equal(in_calls(&w, p, caps[i / 2], i % 2, got), n);
            assert_memory_equal(got, want, n * sizeof *want);
            remora_sampler_free(p);
        }
    }
    remora_constraint_free(c);
    world_end(&w);
}

static void fill(float *logits, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) logits[i] = (float)(host_random(&seed) % 1000) / 100;
}

/* The token that a copy of the sampler would pick of some logits. */
static remora_token next(const remora_sampler *p, size_t n_vocab, uint64_t seed)
{
    remora_error err = HOST_ERROR;
    float logits[TINY_TEXT_VOCAB];
    remora_sampler *copy;
    remora_token t;
    fill(logits, n_vocab, seed);
    REQUIRE_OK(remora_sampler_clone(p, &copy, &err), &err);
    REQUIRE_OK(remora_sampler_pick_from(copy, logits, n_vocab, &t, &err), &err);
    remora_sampler_free(copy);
    return t;
}

/* A sampler that spells a text, and has read some tokens. */
static remora_sampler *speller(const world *w, remora_constraint *c, uint64_t seed,
                               const remora_token *read, size_t n)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p = sampler(w, c, seed);
    REQUIRE_OK(remora_sampler_spell(p, "abc, de", 7, &err), &err);
    for (size_t i = 0; i < n; i++) REQUIRE_OK(remora_sampler_accept(p, read[i], &err), &err);
    return p;
}

static void picks_alike(const remora_sampler *p, const remora_sampler *q)
{
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(next(p, TINY_TEXT_VOCAB, i), next(q, TINY_TEXT_VOCAB, i));
}

/* What is taken back was never there: for penalties, the constraint and the text to spell. */
static void going_back_is_never_having_gone(void **state)
{
    (void)state;
    world w;
    remora_error err = HOST_ERROR;
    world_begin(&w, NULL);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, "[a-z]{3}(, [a-z]{3})*");
    for (uint64_t run = 0; run < 40; run++) {
        remora_sampler *p = speller(&w, c, run, NULL, 0);
        remora_token read[100];
        size_t n = 0;
        for (uint64_t step = 0; step < 60; step++) {
            const remora_token t = next(p, TINY_TEXT_VOCAB, step + 100 * run);
            REQUIRE_OK(remora_sampler_accept(p, t, &err), &err);
            read[n++] = t;
            if (t != TINY_EOS && step % 9 != 8) continue;
            const size_t some = (run + step) % 6, least = t == TINY_EOS;
            const size_t back = some < n ? (some > least ? some : least) : n;
            REQUIRE_OK(remora_sampler_rollback(p, back, &err), &err);
            n -= back;
            remora_sampler *fresh = speller(&w, c, run, read, n);
            picks_alike(p, fresh);
            remora_sampler_free(fresh);
        }
        assert_int_equal(remora_sampler_rollback(p, 1000, &err), REMORA_E_ARG);
        remora_sampler_free(p);
    }
    remora_constraint_free(c);
    world_end(&w);
}

/* The sampler behind forced text is one that was given its tokens: no number of the generator was
 * taken, and penalties count them. With probabilities it is the same. */
static void forced_text_is_not_sampled(void **state)
{
    (void)state;
    world w;
    remora_error err = HOST_ERROR;
    world_begin(&w, NULL);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, FORCED FORCED "[ab]{9}");
    for (int probs = 0; probs < 2; probs++) {
        remora_sampler *p = sampler(&w, c, 7), *given = sampler(&w, c, 7);
        remora_session *s = host_session(w.m, 512, REMORA_KV_F32);
        const remora_token prompt[] = {TINY_BOS, 'x'};
        remora_token_prob row[400];
        remora_token out[400];
        size_t n = 0, text = 0;
        REQUIRE_OK(remora_session_append(s, prompt, 2, REMORA_WANT_LAST, &err), &err);
        for (; text + 2 < 2 * strlen(FORCED); n++) {
            const remora_gen_opts o = {.struct_size = sizeof o, .probs = probs ? row : NULL};
            size_t k, len;
            char bytes[8];
            assert_int_equal(remora_generate(s, p, &o, out + n, 1, &k, &err), REMORA_MORE);
            assert_int_equal(k, 1);
            if (probs) assert_int_equal(row[0].token, out[n]);
            REQUIRE_OK(remora_token_bytes(w.m, out[n], bytes, sizeof bytes, &len, &err), &err);
            text += len;
        }
        assert_true(n < text); /* merges are taken */
        for (size_t i = 0; i < n; i++) REQUIRE_OK(remora_sampler_accept(given, out[i], &err), &err);
        REQUIRE_OK(remora_sampler_constrain(p, NULL, &err), &err);
        REQUIRE_OK(remora_sampler_constrain(given, NULL, &err), &err);
        for (uint64_t i = 0; i < 20; i++)
            assert_int_equal(next(p, TINY_TEXT_VOCAB, i), next(given, TINY_TEXT_VOCAB, i));
        remora_sampler_free(p);
        remora_sampler_free(given);
        remora_session_free(s);
    }
    remora_constraint_free(c);
    world_end(&w);
}

/* A generation with probabilities or without, whose k-th allocation fails: returns its tokens, and
 * whether any allocation did. After each call the timeline and the counts have what was delivered.
 */
static size_t with_failure(world *w, long k, int probs, remora_token *out, int *hit)
{
    remora_error err = HOST_ERROR;
    remora_constraint *c = compile(w, REMORA_CONSTRAINT_REGEX, "forced [ab]{3}[a-z]{70}");
    remora_sampler *p = sampler(w, c, 7);
    remora_session *s = host_session(w->m, 512, REMORA_KV_F32);
    const remora_token prompt[] = {TINY_BOS, 'x', 'y'};
    remora_token_prob row[400];
    remora_gen_opts o = {
        .struct_size = sizeof o, .flags = REMORA_GEN_NEW, .probs = probs ? row : NULL};
    size_t n = 0;
    remora_status st;
    /* The first token is forced, and there is no room for another row. */
    REQUIRE_OK(remora_session_append(s, prompt, 2, REMORA_WANT_ALL, &err), &err);
    REQUIRE_OK(remora_session_append(s, prompt + 2, 1, 0, &err), &err);
    tmem_arm(&w->mem, k);
    do {
        remora_generation_info i = {.struct_size = sizeof i};
        size_t made = 0;
        st = remora_generate(s, p, &o, out + n, 400 - n, &made, &err);
        if (st != REMORA_E_NOMEM) REQUIRE_OK(st, &err);
        n += made;
        const remora_session_info now = host_session_info(s);
        assert_int_equal(now.committed + now.pending, 3 + n);
        REQUIRE_OK(remora_session_get_generation(s, &i, &err), &err);
        if (st != REMORA_E_NOMEM || n > 0) {
            assert_int_equal(i.n_tokens, n);
            o.flags = 0;
        }
    } while (st != REMORA_END);
    *hit = atomic_load(&w->mem.calls) >= k;
    tmem_arm(&w->mem, 0);
    remora_session_free(s);
    remora_sampler_free(p);
    remora_constraint_free(c);
    return n;
}

/* A token is drawn, read by the constraint, appended and delivered, or none of that: wherever
 * memory ends, the same call again goes on as if it had not. */
static void failures_lose_no_token(void **state)
{
    (void)state;
    world w;
    world_begin(&w, NULL);
    for (int probs = 0; probs < 2; probs++) {
        remora_token want[400], got[400];
        int hit = 0;
        const size_t n = with_failure(&w, 1000000, probs, want, &hit);
        long k = 0;
        assert_false(hit);
        do {
            assert_int_equal(with_failure(&w, ++k, probs, got, &hit), n);
            assert_memory_equal(got, want, n * sizeof *want);
        } while (hit);
        assert_true(k > 20);
    }
    world_end(&w);
}

static uint64_t in_use(const world *w)
{
    remora_error err = HOST_ERROR;
    remora_memory m = {.struct_size = sizeof m};
    REQUIRE_OK(remora_model_get_memory(w->m, &m, &err), &err);
    return m.host_scratch;
}

/* What constraints take is in the numbers of the model's memory, and so is what they have found
 * out. */
static void memory_is_counted(void **state)
{
    (void)state;
    world w;
    char text[1024];
    world_begin(&w, NULL);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, "a");
    remora_sampler *p = sampler(&w, c, 3);
    generate(&w, p, text, sizeof text);
    remora_sampler_free(p);
    remora_constraint_free(c);
    const uint64_t before = in_use(&w); /* the vocabulary and activations stay */
    c = compile(&w, REMORA_CONSTRAINT_REGEX, "[a-z]{9,20}");
    assert_true(in_use(&w) > before + 16384); /* more than the structs */
    p = sampler(&w, c, 3);
    const uint64_t idle = in_use(&w);
    generate(&w, p, text, sizeof text);
    assert_true(in_use(&w) > idle);
    remora_sampler_free(p);
    remora_constraint_free(c);
    assert_int_equal(in_use(&w), before);
    world_end(&w);
}

static void what_is_not_allowed_changes_nothing(void **state)
{
    (void)state;
    world w;
    remora_error err = HOST_ERROR;
    remora_token t;
    float logits[TINY_TEXT_VOCAB];
    world_begin(&w, NULL);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, "ab");
    remora_sampler *p = sampler(&w, c, 1);
    fill(logits, TINY_TEXT_VOCAB, 3);
    assert_int_equal(remora_sampler_accept(p, 'b', &err), REMORA_E_NO_TOKEN);
    assert_int_equal(remora_sampler_accept(p, TINY_EOS, &err), REMORA_E_NO_TOKEN);
    assert_int_equal(remora_sampler_accept(p, TINY_CONTROL, &err), REMORA_E_NO_TOKEN);
    REQUIRE_OK(remora_sampler_accept(p, 'a', &err), &err);
    REQUIRE_OK(remora_sampler_pick_from(p, logits, TINY_TEXT_VOCAB, &t, &err), &err);
    assert_int_equal(t, 'b');
    REQUIRE_OK(remora_sampler_accept(p, 'b', &err), &err);
    REQUIRE_OK(remora_sampler_pick_from(p, logits, TINY_TEXT_VOCAB, &t, &err), &err);
    assert_int_equal(t, TINY_EOS);
    REQUIRE_OK(remora_sampler_accept(p, TINY_EOS, &err), &err);
    assert_int_equal(remora_sampler_accept(p, 'a', &err), REMORA_E_NO_TOKEN);
    assert_int_equal(remora_sampler_accept(p, TINY_EOS, &err), REMORA_E_NO_TOKEN);
    assert_int_equal(remora_sampler_pick_from(p, logits, TINY_TEXT_VOCAB, &t, &err),
                     REMORA_E_NO_TOKEN);
    remora_sampler_reset(p, 1);
    assert_int_equal(remora_sampler_accept(p, 'b', &err), REMORA_E_NO_TOKEN);
    REQUIRE_OK(remora_sampler_accept(p, 'a', &err), &err); /* it begins anew */
    REQUIRE_OK(remora_sampler_constrain(p, NULL, &err), &err);
    REQUIRE_OK(remora_sampler_accept(p, 'b', &err), &err);
    remora_sampler_free(p);
    remora_constraint_free(c);
    world_end(&w);
}

/* A stage of the host that puts in a token which the constraint does not have. */
static remora_status REMORA_CALL put_in(void *user, remora_token_prob *c, size_t *n)
{
    (void)user;
    c[0].token = 'q';
    *n = *n > 0 ? *n : 1;
    return REMORA_OK;
}

static void stages_of_the_host_do_not_get_around_it(void **state)
{
    (void)state;
    world w;
    remora_error err = HOST_ERROR;
    remora_token t;
    float logits[TINY_TEXT_VOCAB];
    world_begin(&w, NULL);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, "[ab]");
    remora_sampler *p = sampler(&w, c, 1);
    const remora_stage own = {
        .struct_size = sizeof own, .kind = REMORA_STAGE_CALLBACK, .fn = put_in};
    REQUIRE_OK(remora_sampler_add(p, &own, &err), &err);
    fill(logits, TINY_TEXT_VOCAB, 3);
    REQUIRE_OK(remora_sampler_pick_from(p, logits, TINY_TEXT_VOCAB, &t, &err), &err);
    assert_true(t == 'a' || t == 'b');
    remora_sampler_free(p);
    remora_constraint_free(c);
    world_end(&w);
}

/* Of the best candidate alone nothing would be left, if what is not allowed were among them. */
static void stages_see_what_is_allowed(void **state)
{
    (void)state;
    world w;
    remora_error err = HOST_ERROR;
    remora_token t;
    float logits[TINY_TEXT_VOCAB] = {0};
    world_begin(&w, NULL);
    remora_constraint *c = compile(&w, REMORA_CONSTRAINT_REGEX, "[ab]");
    remora_sampler *p = sampler(&w, c, 1);
    const remora_stage best = {.struct_size = sizeof best, .kind = REMORA_STAGE_TOP_K, .count = 1};
    REQUIRE_OK(remora_sampler_add(p, &best, &err), &err);
    logits['q'] = 9;
    logits['b'] = 1;
    REQUIRE_OK(remora_sampler_pick_from(p, logits, TINY_TEXT_VOCAB, &t, &err), &err);
    assert_int_equal(t, 'b');
    remora_sampler_free(p);
    remora_constraint_free(c);
    world_end(&w);
}

static void refused(remora_model *m, remora_constraint_opts o, remora_status want)
{
    remora_error err = HOST_ERROR;
    remora_constraint *c = (remora_constraint *)&err;
    if (o.struct_size == 0) o.struct_size = sizeof o;
    assert_int_equal(remora_constraint_create(m, &o, &c, &err), want);
    assert_null(c);
    assert_true(strlen(err.message) > 8);
}

static void refusals_say_why(void **state)
{
    (void)state;
    world w, bare;
    const remora_text list[] = {{"yes", 3}, {NULL, 2}};
    world_begin(&w, NULL);
    refused(w.m, (remora_constraint_opts){.kind = 99}, REMORA_E_UNSUPPORTED);
    refused(w.m, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_REGEX, .source = {"(a", 2}},
            REMORA_E_ARG);
    refused(w.m, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_REGEX, .source = {"(?=a)", 5}},
            REMORA_E_UNSUPPORTED);
    refused(w.m, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_REGEX, .source = {NULL, 5}},
            REMORA_E_ARG);
    refused(w.m, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_GBNF, .source = {"x ::= y", 7}},
            REMORA_E_ARG);
    refused(w.m, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_CHOICE}, REMORA_E_ARG);
    refused(
        w.m,
        (remora_constraint_opts){.kind = REMORA_CONSTRAINT_CHOICE, .choices = list, .n_choices = 2},
        REMORA_E_ARG);
    refused(
        w.m,
        (remora_constraint_opts){
            .kind = REMORA_CONSTRAINT_REGEX, .source = {"a", 1}, .choices = list, .n_choices = 1},
        REMORA_E_ARG);
    refused(w.m,
            (remora_constraint_opts){
                .kind = REMORA_CONSTRAINT_REGEX, .source = {"a", 1}, .memory = 1000},
            REMORA_E_LIMIT);
    refused(w.m, (remora_constraint_opts){.struct_size = 4097, .kind = REMORA_CONSTRAINT_REGEX},
            REMORA_E_STRUCT);
    refused(NULL, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_REGEX, .source = {"a", 1}},
            REMORA_E_ARG);
    world_begin(&bare, &(world_opts){.model.no_tokenizer = 1});
    refused(bare.m, (remora_constraint_opts){.kind = REMORA_CONSTRAINT_REGEX, .source = {"a", 1}},
            REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_sampler_constrain(NULL, NULL, NULL), REMORA_E_ARG);
    assert_int_equal(remora_sampler_rollback(NULL, 0, NULL), REMORA_E_ARG);
    remora_constraint_free(NULL);
    world_end(&bare);
    world_end(&w);
}

static void told(const world *w, const char *what)
{
    if (strstr(w->warned, what) == NULL) fail_msg("%s: %s", what, w->warned);
}

/* Lax schemas: what is left out is told, each place once, and the rest holds. */
static void what_is_left_out_is_told(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"type\": \"object\", \"required\": [\"a\", \"b\"], \"properties\": {\"a\": {\"$ref\": "
        "\"#/$defs/l\"}, \"b\": {\"$ref\": \"#/$defs/l\", \"minItems\": 1}, \"c\": {\"type\": "
        "\"string\", \"format\": \"idn-hostname\"}, \"d\": {\"type\": \"integer\"}}, \"$defs\": "
        "{\"l\": {\"type\": \"array\", \"uniqueItems\": true, \"items\": {\"type\": \"array\"}}}}";
    remora_error err = HOST_ERROR;
    remora_constraint *c;
    world w;
    world_begin(&w, NULL);
    remora_constraint_opts o = {.struct_size = sizeof o,
                                .kind = REMORA_CONSTRAINT_JSON_SCHEMA,
                                .source = host_text(schema)};
    assert_int_equal(remora_constraint_create(w.m, &o, &c, &err), REMORA_E_UNSUPPORTED);
    assert_int_equal(w.warnings, 0);
    o.flags = REMORA_SCHEMA_LAX;
    REQUIRE_OK(remora_constraint_create(w.m, &o, &c, &err), &err);
    assert_int_equal(w.warnings, 2);
    told(&w, ": /$defs/l/uniqueItems: uniqueItems of arrays or objects\n");
    told(&w, ": /properties/c: idn-hostname\n");
    remora_constraint_free(c);
    o.source = host_text("{\"type\": \"integer\"}");
    REQUIRE_OK(remora_constraint_create(w.m, &o, &c, &err), &err);
    assert_int_equal(w.warnings, 2);
    remora_constraint_free(c);
    world_end(&w);
}

/* ---- batches ---- */

enum { TALKS = 3, LONGEST = 60 };

/* The tokens of each session under its own constraint: all in one evaluation, or each by itself.
 * They end at different times, and the batch is smaller from there on. */
static void write_all(const world *w, remora_constraint *const *c, int together,
                      remora_token out[TALKS][LONGEST])
{
    remora_error err = HOST_ERROR;
    remora_session *s[TALKS];
    remora_sampler *p[TALKS];
    size_t live[TALKS], n = 0;
    for (size_t i = 0; i < TALKS; i++) {
        const remora_token prompt[] = {TINY_BOS, 'x', (remora_token)('a' + i)};
        s[i] = host_session(w->m, 128, REMORA_KV_F32);
        p[i] = sampler(w, c[i], i + 1);
        REQUIRE_OK(remora_session_append(s[i], prompt, 3 - i % 2, REMORA_WANT_LAST, &err), &err);
        live[n++] = i;
    }
    for (size_t k = 0; n > 0; k++) {
        remora_session *batch[TALKS];
        size_t left = 0;
        assert_true(k < LONGEST);
        for (size_t i = 0; i < n; i++) batch[i] = s[live[i]];
        for (size_t i = 0; i < n; i += together ? n : 1)
            REQUIRE_OK(remora_eval(batch + i, together ? n : 1, NULL, &err), &err);
        for (size_t i = 0; i < n; i++) {
            const size_t at = live[i];
            remora_token *t = &out[at][k];
            REQUIRE_OK(remora_sampler_pick(p[at], s[at], 0, t, &err), &err);
            REQUIRE_OK(remora_sampler_accept(p[at], *t, &err), &err);
            if (*t == TINY_EOS) continue;
            REQUIRE_OK(remora_session_append(s[at], t, 1, REMORA_WANT_LAST, &err), &err);
            live[left++] = at;
        }
        n = left;
    }
    for (size_t i = 0; i < TALKS; i++) {
        remora_sampler_free(p[i]);
        remora_session_free(s[i]);
    }
}

static void a_batch_is_each_alone(void **state)
{
    (void)state;
    world w;
    remora_token alone[TALKS][LONGEST] = {{0}}, batch[TALKS][LONGEST] = {{0}};
    world_begin(&w, NULL);
    remora_constraint *c[TALKS] = {
        compile(&w, REMORA_CONSTRAINT_REGEX, "[a-z]{3,9}-[0-9]{2}"),
        compile(&w, REMORA_CONSTRAINT_JSON_SCHEMA,
                "{\"type\": \"array\", \"minItems\": 2, \"maxItems\": 5, \"items\": {\"type\": "
                "\"boolean\"}}"),
        compile(&w, REMORA_CONSTRAINT_GBNF, "root ::= \"(\" root \")\" | [0-9]")};
    write_all(&w, c, 0, alone);
    write_all(&w, c, 1, batch);
    assert_memory_equal(alone, batch, sizeof alone);
    assert_int_equal(alone[1][0], '[');
    for (size_t i = 0; i < TALKS; i++) remora_constraint_free(c[i]);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_models_keep_to_it),
        cmocka_unit_test(choices_and_grammars_do_too),
        cmocka_unit_test(forced_text_is_the_same_in_any_cut),
        cmocka_unit_test(forced_text_is_not_sampled),
        cmocka_unit_test(going_back_is_never_having_gone),
        cmocka_unit_test(failures_lose_no_token),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(what_is_not_allowed_changes_nothing),
        cmocka_unit_test(stages_of_the_host_do_not_get_around_it),
        cmocka_unit_test(stages_see_what_is_allowed),
        cmocka_unit_test(a_batch_is_each_alone),
        cmocka_unit_test(what_is_left_out_is_told),
        cmocka_unit_test(refusals_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
