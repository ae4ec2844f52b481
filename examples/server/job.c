/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include "../../tools/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int refuse(sv_problem *why, remora_status st, const remora_error *err, const char *param)
{
    const int theirs = st == REMORA_E_ARG || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED ||
                       st == REMORA_E_LIMIT;
    const int full = st == REMORA_E_NOMEM || st == REMORA_E_DEVICE_MEM;
    return sv_refuse(why,
                     theirs ? 400
                     : full ? 503
                            : 500,
                     theirs ? param : NULL, NULL, "%s",
                     err->code == st && err->message[0] ? err->message : remora_status_name(st));
}

/* ---- the prompt ---- */

static int make_chat(sv_job *j, const char *body, size_t n, sv_problem *why)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_chat_opts o = {.struct_size = sizeof o, .format = j->m->format};
    remora_prompt_info info = {.struct_size = sizeof info};
    remora_chat_parse_opts p = {.struct_size = sizeof p};
    remora_answer_opts a = {.struct_size = sizeof a};
    remora_constraint *bounds = NULL;
    remora_chat *chat = NULL;
    remora_status st = remora_chat_create(j->m->model, &o, &chat, &err);
    if (st >= 0) st = remora_chat_add_json(chat, body, n, &err);
    if (st >= 0) st = remora_chat_prompt(chat, NULL, NULL, 0, &j->n_prompt, &info, &err);
    if (st == REMORA_E_BUFFER) {
        j->prompt = malloc(j->n_prompt * sizeof *j->prompt);
        st = j->prompt == NULL ? REMORA_E_NOMEM
                               : remora_chat_prompt(chat, NULL, j->prompt, j->n_prompt,
                                                    &j->n_prompt, &info, &err);
    }
    p.chat = chat;
    p.begin = info.begin;
    p.flags = info.calls ? REMORA_CHAT_PARSE_CALLS : 0;
    if (st >= 0) st = remora_chat_parse_create(j->m->model, &p, &j->parse, &err);
    a.flags = (j->r.lax ? REMORA_ANSWER_LAX : 0) | (j->r.one_call ? REMORA_ANSWER_ONE_CALL : 0);
    if (st >= 0 && j->r.bounded) st = remora_chat_constraint(chat, NULL, &a, &bounds, &err);
    if (st >= 0 && bounds != NULL) st = remora_sampler_constrain(j->sampler, bounds, &err);
    remora_constraint_free(bounds);
    remora_chat_free(chat);
    return st < 0 ? refuse(why, st, &err, "messages") : 0;
}

static int copy_tokens(sv_job *j, sv_problem *why)
{
    remora_model_info info = {.struct_size = sizeof info};
    remora_model_get_info(j->m->model, &info, NULL);
    j->n_prompt = json_array_size(j->r.prompt_tokens);
    if ((j->prompt = malloc(j->n_prompt * sizeof *j->prompt)) == NULL)
        return sv_refuse(why, 503, NULL, NULL, "memory is out");
    for (size_t i = 0; i < j->n_prompt; i++) {
        const json_int_t t = json_integer_value(json_array_get(j->r.prompt_tokens, i));
        if (t < 0 || t >= (json_int_t)info.n_vocab)
            return sv_refuse(why, 400, "prompt", NULL, "prompt has the token %lld of %u",
                             (long long)t, info.n_vocab);
        j->prompt[i] = (remora_token)t;
    }
    return 0;
}

/* Tokens of the text, or of the hole between it and the suffix. */
static remora_status text_tokens(sv_job *j, remora_token *out, size_t cap, remora_error *err)
{
    const sv_request *r = &j->r;
    if (!r->has_suffix)
        return remora_tokenize(j->m->model, r->prompt.ptr, (size_t)r->prompt.len, REMORA_TEXT_BOS,
                               out, cap, &j->n_prompt, err);
    return remora_fim(j->m->model, r->prompt.ptr, (size_t)r->prompt.len, r->suffix.ptr,
                      (size_t)r->suffix.len, NULL, out, cap, &j->n_prompt, NULL, err);
}

/* Markers that end what fills a hole, of those that are one token. */
static void fim_ends(sv_job *j)
{
    remora_text name;
    for (uint32_t i = 0; remora_fim_stop(j->m->model, i, &name, NULL) == REMORA_OK; i++) {
        remora_token t[2];
        size_t n = 0;
        if (j->n_fim_end < sizeof j->fim_end / sizeof j->fim_end[0] &&
            remora_tokenize(j->m->model, name.ptr, (size_t)name.len, REMORA_TEXT_SPECIAL, t, 2, &n,
                            NULL) == REMORA_OK &&
            n == 1)
            j->fim_end[j->n_fim_end++] = t[0];
    }
}

static remora_status text_bounds(sv_job *j, remora_error *err)
{
    const int is_grammar = j->r.grammar.len > 0;
    const remora_constraint_opts o = {.struct_size = sizeof o,
                                      .kind = is_grammar ? REMORA_CONSTRAINT_GBNF
                                                         : REMORA_CONSTRAINT_JSON_SCHEMA,
                                      .source = is_grammar ? j->r.grammar : j->r.schema,
                                      .flags = is_grammar ? 0 : REMORA_SCHEMA_LAX};
    remora_constraint *c = NULL;
    remora_status st;
    if (o.source.len == 0) return REMORA_OK;
    st = remora_constraint_create(j->m->model, &o, &c, err);
    if (st >= 0) st = remora_sampler_constrain(j->sampler, c, err);
    remora_constraint_free(c);
    return st;
}

static int make_completion(sv_job *j, sv_problem *why)
{
    remora_error err = {.struct_size = sizeof err};
    remora_status st;
    if (j->r.prompt_tokens != NULL) {
        if (copy_tokens(j, why) < 0) return -1;
    } else {
        st = text_tokens(j, NULL, 0, &err);
        if (st == REMORA_E_BUFFER) {
            j->prompt = malloc(j->n_prompt * sizeof *j->prompt);
            st = j->prompt == NULL ? REMORA_E_NOMEM : text_tokens(j, j->prompt, j->n_prompt, &err);
        }
        if (st < 0) return refuse(why, st, &err, j->r.has_suffix ? "suffix" : "prompt");
        if (j->n_prompt == 0)
            return sv_refuse(why, 400, "prompt", NULL, "prompt has no token to go on from");
    }
    if (j->r.has_suffix) fim_ends(j);
    st = text_bounds(j, &err);
    return st < 0 ? refuse(why, st, &err, j->r.grammar.len > 0 ? "grammar" : "json_schema") : 0;
}

/* ---- the rest ---- */

static remora_status add_stages(sv_job *j, remora_error *err)
{
    const sv_request *r = &j->r;
    remora_sampler *p = j->sampler;
    remora_status st = REMORA_OK;
    for (size_t i = 0; st >= 0 && i < r->n_bias; i++)
        st = tool_add_stage(p, REMORA_STAGE_BIAS, r->bias[i].value, r->bias[i].token, err);
    if (st >= 0 && r->frequency != 0)
        st = tool_add_stage(p, REMORA_STAGE_FREQUENCY, r->frequency, 0, err);
    if (st >= 0 && r->presence != 0)
        st = tool_add_stage(p, REMORA_STAGE_PRESENCE, r->presence, 0, err);
    if (st >= 0) st = tool_add_stage(p, REMORA_STAGE_TEMPERATURE, r->temperature, 0, err);
    if (st >= 0 && r->top_k > 0) st = tool_add_stage(p, REMORA_STAGE_TOP_K, 0, r->top_k, err);
    if (st >= 0) st = tool_add_top_p(p, r->top_p > 0 ? r->top_p : 1e-9, err);
    if (st >= 0 && r->min_p > 0) st = tool_add_stage(p, REMORA_STAGE_MIN_P, r->min_p, 0, err);
    return st;
}

static int make_sampler(sv_job *j, sv_problem *why)
{
    remora_error err = {.struct_size = sizeof err};
    uint64_t seed = j->r.seed;
    if (!j->r.has_seed && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return sv_refuse(why, 500, NULL, NULL, "there are no random numbers");
    remora_status st = remora_sampler_create(j->m->model, seed, &j->sampler, &err);
    if (st >= 0) st = add_stages(j, &err);
    return st < 0 ? refuse(why, st, &err, "logit_bias") : 0;
}

static int make_room(sv_job *j, sv_problem *why)
{
    if (j->n_prompt >= j->m->capacity)
        return sv_refuse(why, 400, j->r.kind == SV_CHAT ? "messages" : "prompt",
                         "context_length_exceeded",
                         "the prompt has %zu tokens; a prompt and its answer have %u together",
                         j->n_prompt, j->m->capacity);
    const uint64_t room = j->m->capacity - j->n_prompt;
    j->most = j->r.max_tokens > 0 && j->r.max_tokens < room ? j->r.max_tokens : room;
    return 0;
}

static void name_it(sv_job *j)
{
    unsigned char b[12] = {0};
    const int head =
        snprintf(j->id, sizeof j->id, "%s", j->r.kind == SV_CHAT ? "chatcmpl-" : "cmpl-");
    if (getrandom(b, sizeof b, 0) < 0) return;
    for (size_t i = 0; i < sizeof b; i++)
        snprintf(j->id + head + 2 * i, sizeof j->id - (size_t)head - 2 * i, "%02x", b[i]);
}

sv_job *sv_job_create(const sv_model *m, int kind, tool_buffer *body)
{
    sv_job *j = calloc(1, sizeof *j);
    if (j == NULL) return NULL;
    j->m = m;
    j->r.kind = kind;
    j->http = 200;
    j->fd = -1;
    j->refs = 1;
    j->body = *body;
    memset(body, 0, sizeof *body);
    return j;
}

int sv_job_make(sv_job *j, sv_problem *why)
{
    const char *body = j->body.s ? j->body.s : "";
    const size_t n = j->body.n;
    if (sv_request_read(body, n, j->r.kind, &j->r, why) < 0) return -1;
    j->created = (int64_t)time(NULL);
    j->answer.stops.stop = j->r.stop;
    j->answer.stops.n = j->r.n_stop;
    name_it(j);
    if (make_sampler(j, why) < 0 ||
        (j->r.kind == SV_CHAT ? make_chat(j, body, n, why) : make_completion(j, why)) < 0 ||
        make_room(j, why) < 0)
        return -1;
    free(j->body.s);
    memset(&j->body, 0, sizeof j->body);
    return 0;
}

void sv_job_free(sv_job *j)
{
    sv_answer *a = &j->answer;
    for (size_t i = 0; i < a->n_called; i++) {
        free(a->called[i].id.s);
        free(a->called[i].name.s);
        free(a->called[i].arguments.s);
    }
    for (size_t i = 0; i < a->n_chance; i++) json_decref(a->chance[i].v);
    free(a->called);
    free(a->chance);
    free(a->content.s);
    free(a->reasoning.s);
    free(a->stops.held.s);
    remora_chat_parse_free(j->parse);
    remora_sampler_free(j->sampler);
    sv_request_free(&j->r);
    free(j->body.s);
    free(j->prompt);
    free(j->made.s);
    free(j->out.s);
    free(j);
}
