/* SPDX-License-Identifier: Apache-2.0 */
/* Log probabilities of the tokens of an answer and of their alternatives. */
#include "job.h"

#include <math.h>
#include <stdlib.h>

/* The text of a token alone: a part of a character is replaced. */
static json_t *token_text(const sv_job *j, remora_token t, const char *bytes, size_t n)
{
    remora_detok d = {{0}};
    char text[4096];
    size_t a = 0, b = 0;
    json_t *v = json_stringn(bytes, n);
    if (v != NULL) return v;
    if (remora_detok_push(j->m->model, &d, &t, 1, text, sizeof text, &a, NULL) < 0) return NULL;
    if (remora_detok_flush(j->m->model, &d, text + a, sizeof text - a, &b, NULL) < 0) return NULL;
    return json_stringn(text, a + b);
}

/* JSON has no infinity: OpenAI's API says -9999. */
static json_t *entry(const sv_job *j, remora_token t, double logprob, size_t *n_bytes)
{
    char bytes[1024];
    size_t n = 0;
    if (remora_token_bytes(j->m->model, t, bytes, sizeof bytes, &n, NULL) < 0) n = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes[i]));
    *n_bytes = n;
    return json_pack("{s:o, s:f, s:o}", "token", token_text(j, t, bytes, n), "logprob",
                     isfinite(logprob) ? logprob : -9999.0, "bytes", list);
}

int sv_chances_add(sv_job *j, const remora_session *s, uint32_t row, remora_token t)
{
    sv_answer *a = &j->answer;
    remora_token_prob best[SV_MOST_TOP];
    float logprob = 0;
    size_t n = 0, n_text = 0, ignored;
    if (a->n_chance == a->cap_chance) {
        const size_t cap = 2 * a->cap_chance + 16;
        sv_chance *grown = realloc(a->chance, cap * sizeof *grown);
        if (grown == NULL) return -1;
        a->chance = grown;
        a->cap_chance = cap;
    }
    if (remora_session_logprob(s, row, t, &logprob, NULL) < 0 ||
        remora_session_top(s, row, best, j->r.top, &n, NULL) < 0)
        return -1;
    json_t *v = entry(j, t, logprob, &n_text), *top = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(top, entry(j, best[i].token, best[i].logprob, &ignored));
    if (v == NULL || json_object_set_new(v, "top_logprobs", top) < 0) {
        json_decref(v);
        return -1;
    }
    a->chance[a->n_chance++] = (sv_chance){v, a->text_made};
    a->text_made += n_text;
    return 0;
}

/* A text completion has lists beside each other. */
static json_t *as_lists(const sv_answer *a, size_t n)
{
    json_t *tokens = json_array(), *logprobs = json_array(), *top = json_array();
    json_t *offsets = json_array(), *each;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = a->chance[i].v;
        json_t *of = json_object();
        size_t k;
        json_array_append(tokens, json_object_get(v, "token"));
        json_array_append(logprobs, json_object_get(v, "logprob"));
        json_array_foreach(json_object_get(v, "top_logprobs"), k, each)
            json_object_set(of, json_string_value(json_object_get(each, "token")),
                            json_object_get(each, "logprob"));
        json_array_append_new(top, of);
        json_array_append_new(offsets, json_integer((json_int_t)a->chance[i].start));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", logprobs,
                     "top_logprobs", top, "text_offset", offsets);
}

static json_t *as_list(const sv_answer *a, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append(list, a->chance[i].v);
    return json_pack("{s:o}", "content", list);
}

json_t *sv_chances_take(sv_job *j, int all)
{
    sv_answer *a = &j->answer;
    size_t n = 0;
    if (!j->r.logprobs) return json_null();
    while (n < a->n_chance && (all || a->chance[n].start < a->text_out)) n++;
    json_t *v = j->r.kind == SV_CHAT ? as_list(a, n) : as_lists(a, n);
    for (size_t i = 0; i < n; i++) json_decref(a->chance[i].v);
    for (size_t i = n; i < a->n_chance; i++) a->chance[i - n] = a->chance[i];
    a->n_chance -= n;
    return v;
}
