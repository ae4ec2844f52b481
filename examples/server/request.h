/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a request: bytes from the network to numbers and texts that are in range. It knows
 * no model, and keeps nothing of the body but what is in `root`. */
#ifndef SV_REQUEST_H
#define SV_REQUEST_H

#include <jansson.h>
#include <remora/remora.h>
#include <stddef.h>
#include <stdint.h>

enum { SV_MOST_STOPS = 16, SV_MOST_BIASES = 512, SV_MOST_TOP = 20, SV_MOST_DEPTH = 64 };
enum sv_kinds { SV_CHAT, SV_COMPLETION };

/* Why a request is refused, in the words of OpenAI's API. */
typedef struct sv_problem {
    int http;          /* the status of HTTP; 0: none */
    const char *param; /* the field, or NULL */
    const char *code;  /* a word for programs, or NULL */
    char message[320];
} sv_problem;

typedef struct sv_bias {
    remora_token token;
    double value;
} sv_bias;

typedef struct sv_request {
    int kind; /* SV_* */
    json_t *root;
    remora_text prompt;          /* COMPLETION, or */
    const json_t *prompt_tokens; /* an array of integers */
    remora_text suffix;
    int has_suffix;
    remora_text grammar, schema; /* COMPLETION: bounds of the text, each empty or one of them */
    char *schema_text;           /* the memory of `schema` */
    remora_text stop[SV_MOST_STOPS];
    size_t n_stop;
    sv_bias bias[SV_MOST_BIASES];
    size_t n_bias;
    double temperature, top_p, min_p, frequency, presence;
    uint32_t top_k; /* 0: all */
    uint64_t seed;
    int has_seed;
    uint64_t max_tokens; /* 0: what there is room for */
    int stream, include_usage;
    int logprobs; /* wanted */
    uint32_t top; /* alternatives of each token */
    int bounded;  /* CHAT: the answer is to be held to tools or to JSON */
    int lax;      /* schemas need not be strict */
    int one_call; /* parallel_tool_calls is false */
    int fresh;    /* cache_prompt is false: nothing of an earlier request is used */
} sv_request;

/* 0, or -1 and *why. Texts lie in `root`; sv_request_free() in both cases. */
int sv_request_read(const char *body, size_t n, int kind, sv_request *out, sv_problem *why);
void sv_request_free(sv_request *r);

/* Returns -1. */
int sv_refuse(sv_problem *why, int http, const char *param, const char *code, const char *format,
              ...) __attribute__((format(printf, 5, 6)));

#endif
