/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sv_refuse(sv_problem *why, int http, const char *param, const char *code, const char *format,
              ...)
{
    va_list list;
    why->http = http;
    why->param = param;
    why->code = code;
    va_start(list, format);
    vsnprintf(why->message, sizeof why->message, format, list);
    va_end(list);
    return -1;
}

/* ---- fields: absent and null are the same ---- */

static json_t *field(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);
    return json_is_null(v) ? NULL : v;
}

static int real(const json_t *o, const char *name, double lo, double hi, double *to,
                sv_problem *why)
{
    const json_t *v = field(o, name);
    if (v == NULL) return 0;
    const double x = json_number_value(v);
    if (!json_is_number(v) || !(x >= lo && x <= hi))
        return sv_refuse(why, 400, name, NULL, "%s is no number from %g to %g", name, lo, hi);
    *to = x;
    return 0;
}

static int whole(const json_t *o, const char *name, json_int_t lo, json_int_t hi, json_int_t *to,
                 sv_problem *why)
{
    const json_t *v = field(o, name);
    if (v == NULL) return 0;
    const json_int_t x = json_integer_value(v);
    if (!json_is_integer(v) || x < lo || x > hi)
        return sv_refuse(why, 400, name, NULL, "%s is no integer from %lld to %lld", name,
                         (long long)lo, (long long)hi);
    *to = x;
    return 0;
}

static int yes_no(const json_t *o, const char *name, int *to, sv_problem *why)
{
    const json_t *v = field(o, name);
    if (v == NULL) return 0;
    if (!json_is_boolean(v)) return sv_refuse(why, 400, name, NULL, "%s is no boolean", name);
    *to = json_is_true(v);
    return 0;
}

static int text(const json_t *o, const char *name, remora_text *to, sv_problem *why)
{
    const json_t *v = field(o, name);
    if (v == NULL) return 0;
    if (!json_is_string(v)) return sv_refuse(why, 400, name, NULL, "%s is no string", name);
    *to = (remora_text){json_string_value(v), json_string_length(v)};
    return 0;
}

/* ---- what both kinds have ---- */

static int one_stop(sv_request *r, const json_t *v, sv_problem *why)
{
    const size_t n = json_string_length(v);
    if (!json_is_string(v) || n == 0 || n > 4096)
        return sv_refuse(why, 400, "stop", NULL,
                         "stop has something else than texts of 1 to 4096 bytes");
    r->stop[r->n_stop++] = (remora_text){json_string_value(v), n};
    return 0;
}

static int stops(sv_request *r, sv_problem *why)
{
    const json_t *v = field(r->root, "stop");
    if (v == NULL) return 0;
    if (!json_is_array(v)) return one_stop(r, v, why);
    if (json_array_size(v) > SV_MOST_STOPS)
        return sv_refuse(why, 400, "stop", NULL, "stop has more than %d texts", SV_MOST_STOPS);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (one_stop(r, json_array_get(v, i), why) < 0) return -1;
    return 0;
}

static int biases(sv_request *r, sv_problem *why)
{
    json_t *v = field(r->root, "logit_bias"), *each;
    const char *key;
    if (v == NULL) return 0;
    if (!json_is_object(v) || json_object_size(v) > SV_MOST_BIASES)
        return sv_refuse(why, 400, "logit_bias", NULL, "logit_bias is no object of at most %d",
                         SV_MOST_BIASES);
    json_object_foreach(v, key, each)
    {
        char *end;
        const long id = strtol(key, &end, 10);
        const double x = json_number_value(each);
        if (*key < '0' || *key > '9' || *end || id > INT32_MAX || !json_is_number(each) ||
            !(x >= -100 && x <= 100))
            return sv_refuse(
                why, 400, "logit_bias", NULL,
                "logit_bias: numbers from -100 to 100 by the id of a token are needed");
        r->bias[r->n_bias++] = (sv_bias){(remora_token)id, x};
    }
    return 0;
}

static int sampling(sv_request *r, sv_problem *why)
{
    json_int_t k = 0, seed = 0;
    if (real(r->root, "temperature", 0, 2, &r->temperature, why) < 0 ||
        real(r->root, "top_p", 0, 1, &r->top_p, why) < 0 ||
        real(r->root, "min_p", 0, 1, &r->min_p, why) < 0 ||
        real(r->root, "frequency_penalty", -2, 2, &r->frequency, why) < 0 ||
        real(r->root, "presence_penalty", -2, 2, &r->presence, why) < 0 ||
        whole(r->root, "top_k", -1, INT32_MAX, &k, why) < 0 ||
        whole(r->root, "seed", INT64_MIN, INT64_MAX, &seed, why) < 0)
        return -1;
    r->top_k = k > 0 ? (uint32_t)k : 0;
    r->seed = (uint64_t)seed;
    r->has_seed = field(r->root, "seed") != NULL;
    return biases(r, why);
}

/* The newer name wins. */
static int length(sv_request *r, sv_problem *why)
{
    json_int_t n = 0;
    const char *name =
        field(r->root, "max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
    if (whole(r->root, name, 1, INT32_MAX, &n, why) < 0) return -1;
    r->max_tokens = (uint64_t)n;
    return 0;
}

static int streaming(sv_request *r, sv_problem *why)
{
    const json_t *o = field(r->root, "stream_options");
    if (yes_no(r->root, "stream", &r->stream, why) < 0) return -1;
    if (o == NULL) return 0;
    if (!json_is_object(o))
        return sv_refuse(why, 400, "stream_options", NULL, "stream_options is no object");
    return yes_no(o, "include_usage", &r->include_usage, why);
}

static int not_there(sv_request *r, sv_problem *why)
{
    json_int_t n = 1, best = 1;
    int echo = 0;
    if (whole(r->root, "n", 1, 1, &n, why) < 0 || whole(r->root, "best_of", 1, 1, &best, why) < 0 ||
        yes_no(r->root, "echo", &echo, why) < 0)
        return -1;
    if (echo) return sv_refuse(why, 400, "echo", NULL, "echo is not supported");
    return 0;
}

static int common(sv_request *r, sv_problem *why)
{
    int keep = 1;
    const json_t *model = field(r->root, "model");
    if (model != NULL && !json_is_string(model))
        return sv_refuse(why, 400, "model", NULL, "model is no string");
    if (sampling(r, why) < 0 || length(r, why) < 0 || stops(r, why) < 0 || streaming(r, why) < 0 ||
        not_there(r, why) < 0 || yes_no(r->root, "cache_prompt", &keep, why) < 0)
        return -1;
    r->fresh = !keep;
    return 0;
}

/* ---- chat ---- */

static int is_strict(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(json_object_get(o, name), "strict"));
}

/* Whether the answer has to be held to something, and how strictly. What is in messages, tools and
 * formats is for remora_chat_add_json() to judge. */
static void bounds(sv_request *r)
{
    const json_t *tools = field(r->root, "tools"), *format = field(r->root, "response_format");
    const json_t *choice = field(r->root, "tool_choice");
    const char *type = json_string_value(json_object_get(format, "type"));
    const char *word = json_string_value(choice);
    r->lax = !is_strict(format, "json_schema");
    for (size_t i = 0; i < json_array_size(tools); i++)
        if (is_strict(json_array_get(tools, i), "function")) r->lax = 0;
    r->bounded = (json_array_size(tools) > 0 && !(word && strcmp(word, "none") == 0)) ||
                 (type && strcmp(type, "text") != 0);
}

/* Fields of conversations that other servers of this API honour and this one does not. */
static int not_in_chat(sv_request *r, sv_problem *why)
{
    static const char *const bounds_of_texts[] = {"grammar", "json_schema"};
    const json_t *how = field(r->root, "reasoning_format");
    const char *word = json_string_value(how);
    for (size_t i = 0; i < sizeof bounds_of_texts / sizeof bounds_of_texts[0]; i++) {
        const json_t *v = field(r->root, bounds_of_texts[i]);
        if (v == NULL || (json_is_string(v) && json_string_length(v) == 0)) continue;
        return sv_refuse(why, 400, bounds_of_texts[i], NULL,
                         "%s is for completions; a conversation takes response_format",
                         bounds_of_texts[i]);
    }
    if (how != NULL && !(word && (strcmp(word, "auto") == 0 || strcmp(word, "deepseek") == 0)))
        return sv_refuse(why, 400, "reasoning_format", NULL,
                         "reasoning_format is neither auto nor deepseek, which are supported");
    return 0;
}

static int chat(sv_request *r, sv_problem *why)
{
    json_int_t top = 0;
    int many = 1;
    const json_t *messages = field(r->root, "messages");
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return sv_refuse(why, 400, "messages", NULL, "messages is no array with a message");
    if (yes_no(r->root, "logprobs", &r->logprobs, why) < 0 ||
        whole(r->root, "top_logprobs", 0, SV_MOST_TOP, &top, why) < 0 ||
        yes_no(r->root, "parallel_tool_calls", &many, why) < 0 || not_in_chat(r, why) < 0)
        return -1;
    if (top > 0 && !r->logprobs)
        return sv_refuse(why, 400, "top_logprobs", NULL, "top_logprobs needs logprobs");
    r->top = (uint32_t)top;
    r->one_call = !many;
    bounds(r);
    return 0;
}

/* ---- completion ---- */

static int prompt(sv_request *r, sv_problem *why)
{
    const json_t *v = field(r->root, "prompt");
    if (json_is_array(v) && json_array_size(v) == 1 && !json_is_integer(json_array_get(v, 0)))
        v = json_array_get(v, 0); /* a list of one prompt */
    if (json_is_string(v)) {
        r->prompt = (remora_text){json_string_value(v), json_string_length(v)};
        return 0;
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_integer(json_array_get(v, i))) v = NULL;
    if (json_array_size(v) == 0)
        return sv_refuse(why, 400, "prompt", NULL,
                         "prompt is neither a text nor one list of tokens");
    r->prompt_tokens = v;
    return 0;
}

static int text_bounds(sv_request *r, sv_problem *why)
{
    const json_t *schema = field(r->root, "json_schema");
    if (text(r->root, "grammar", &r->grammar, why) < 0) return -1;
    if (schema == NULL) return 0;
    if (r->grammar.len > 0)
        return sv_refuse(why, 400, "grammar", NULL, "grammar and json_schema exclude each other");
    if ((r->schema_text = json_dumps(schema, JSON_ENCODE_ANY)) == NULL)
        return sv_refuse(why, 500, NULL, NULL, "memory is out");
    r->schema = (remora_text){r->schema_text, strlen(r->schema_text)};
    return 0;
}

static int completion(sv_request *r, sv_problem *why)
{
    json_int_t top = -1;
    if (prompt(r, why) < 0 || text(r->root, "suffix", &r->suffix, why) < 0 ||
        whole(r->root, "logprobs", 0, SV_MOST_TOP, &top, why) < 0 || text_bounds(r, why) < 0)
        return -1;
    r->has_suffix = r->suffix.len > 0;
    r->logprobs = top >= 0;
    r->top = top > 0 ? (uint32_t)top : 0;
    if (r->has_suffix && r->prompt_tokens != NULL)
        return sv_refuse(why, 400, "prompt", NULL, "suffix needs a prompt that is a text");
    if (r->max_tokens == 0) r->max_tokens = 16;
    return 0;
}

/* ---- the whole ---- */

/* jansson reads 2048 levels, and goes down as far when it frees them; no request needs as many. */
static int too_deep(const char *body, size_t n)
{
    size_t depth = 0;
    int quoted = 0;
    for (size_t i = 0; i < n; i++) {
        const char c = body[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > SV_MOST_DEPTH)
            return 1;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return 0;
}

int sv_request_read(const char *body, size_t n, int kind, sv_request *out, sv_problem *why)
{
    json_error_t e;
    memset(out, 0, sizeof *out);
    memset(why, 0, sizeof *why);
    out->kind = kind;
    out->temperature = out->top_p = 1;
    if (too_deep(body, n))
        return sv_refuse(why, 400, NULL, NULL, "the body has more than %d levels", SV_MOST_DEPTH);
    if ((out->root = json_loadb(body, n, JSON_ALLOW_NUL, &e)) == NULL)
        return sv_refuse(why, 400, NULL, NULL, "the body is no JSON: line %d, column %d: %s",
                         e.line, e.column, e.text);
    if (!json_is_object(out->root)) return sv_refuse(why, 400, NULL, NULL, "the body is no object");
    if (common(out, why) < 0) return -1;
    return kind == SV_CHAT ? chat(out, why) : completion(out, why);
}

void sv_request_free(sv_request *r)
{
    json_decref(r->root);
    free(r->schema_text);
    memset(r, 0, sizeof *r);
}
