/* SPDX-License-Identifier: Apache-2.0 */
/* A character of a game that answers with a decision and not only with words: what the model writes
 * keeps to a JSON schema, so the game reads it without a parser that has to guess. The answer grows
 * by at most 2 ms of work a frame.
 *
 *     npc_json MODEL [FRAMES]
 */
#include <remora/remora.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET_US = 2000 };

static const char scene[] = "Tom gave the baker a coin and asked for bread. The baker thought:\n";

/* maxLength bounds the answer, so it ends whatever the model would like to add. */
static const char schema[] =
    "{\"type\": \"object\", \"properties\": {"
    "\"mood\": {\"enum\": [\"happy\", \"sad\", \"angry\"]},"
    "\"gives_bread\": {\"type\": \"boolean\"},"
    "\"says\": {\"type\": \"string\", \"pattern\": \"^[A-Za-z ,.!?]*$\", \"maxLength\": 60}},"
    "\"required\": [\"mood\", \"gives_bread\", \"says\"], \"additionalProperties\": false}";

static remora_status begin(remora_model *m, remora_session *s, remora_error *err)
{
    remora_token t[128];
    size_t n;
    const remora_status st =
        remora_tokenize(m, scene, strlen(scene), REMORA_TEXT_BOS, t, 128, &n, err);
    return st < 0 ? st : remora_session_append(s, t, n, REMORA_WANT_LAST, err);
}

/* The sampler keeps the constraint, which is compiled once for all characters. */
static remora_status constrain(remora_model *m, remora_sampler *p, remora_error *err)
{
    const remora_constraint_opts o = {.struct_size = sizeof o,
                                      .kind = REMORA_CONSTRAINT_JSON_SCHEMA,
                                      .source = {schema, sizeof schema - 1}};
    remora_constraint *c = NULL;
    remora_status st = remora_constraint_create(m, &o, &c, err);
    if (st >= 0) st = remora_sampler_constrain(p, c, err);
    remora_constraint_free(c);
    return st;
}

/* One frame's work: END when the answer is complete. */
static remora_status think(remora_session *s, remora_sampler *p, char *answer, size_t cap,
                           size_t *len, remora_error *err)
{
    const remora_gen_opts o = {.struct_size = sizeof o, .budget_us = BUDGET_US};
    size_t n = 0;
    const remora_status st =
        remora_generate_text(s, p, &o, answer + *len, cap - *len, &n, NULL, 0, NULL, err);
    *len += n;
    return st;
}

int main(int argc, char **argv)
{
    const int most = argc > 2 ? atoi(argv[2]) : 1000000;
    char answer[1024];
    size_t len = 0;
    int frames = 0;
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    remora_model *m = NULL;
    remora_session *s = NULL;
    remora_sampler *p = NULL;
    if (argc < 2) return 2;
    src.path = argv[1];
    remora_status st = remora_model_open(NULL, &src, NULL, &m, &err);
    if (st >= 0) st = remora_session_create(m, NULL, &s, &err);
    if (st >= 0) st = remora_sampler_create(m, 7, &p, &err);
    if (st >= 0) st = constrain(m, p, &err);
    if (st >= 0) st = begin(m, s, &err);
    for (int go_on = st >= 0; go_on; go_on = st == REMORA_MORE && frames < most) {
        st = think(s, p, answer, sizeof answer, &len, &err);
        frames++; /* here the game draws */
    }
    if (st >= 0)
        printf("%.*s\n%s after %d frames\n", (int)len, answer,
               st == REMORA_END ? "complete" : "not complete", frames);
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    remora_sampler_free(p);
    remora_session_free(s);
    remora_model_free(m);
    return st != REMORA_END;
}
