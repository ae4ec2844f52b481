/* SPDX-License-Identifier: Apache-2.0 */
/* A job: one request on its way through the model, from its body to the bytes of its answer. The
 * side of the network takes the body and sends what is in `out`; a maker of the batch makes prompt
 * and bounds of the body; the side of the model fills `out`. What several touch is under the lock
 * of the batch. */
#ifndef SV_JOB_H
#define SV_JOB_H

#include "request.h"
#include "stops.h"

/* The model as all jobs see it. */
typedef struct sv_model {
    remora_model *model;
    const char *name;   /* that answers have */
    const char *format; /* of conversations; NULL: the model's */
    char fingerprint[32];
    int64_t created;
    uint32_t capacity; /* tokens of a prompt and its answer */
} sv_model;

typedef struct sv_called {
    tool_buffer id, name, arguments;
} sv_called;

/* The alternatives of a token, which wait until its text goes out. */
typedef struct sv_chance {
    json_t *v;    /* as a conversation's answer has it */
    size_t start; /* of its text among that of all counted tokens */
} sv_chance;

enum sv_states { SV_WAITS, SV_IN_MAKING, SV_MADE };
enum sv_finishes { SV_GOES_ON, SV_STOP, SV_LENGTH };

typedef struct sv_answer {
    sv_stops stops;
    tool_buffer content, reasoning; /* whole, where the answer is not streamed */
    sv_called *called;
    size_t n_called;
    sv_chance *chance; /* that are not sent */
    size_t n_chance, cap_chance;
    size_t text_made, text_out; /* bytes of counted tokens, and of content that went out */
    uint64_t n_tokens, n_reasoning, n_cached;
    int begun;  /* the first event was written */
    int finish; /* SV_* */
} sv_answer;

typedef struct sv_job {
    const sv_model *m;
    tool_buffer body; /* until it is made */
    sv_request r;     /* the maker's until it is made, but for its kind */
    char id[48];
    int64_t created;
    remora_token *prompt;
    size_t n_prompt;
    uint64_t most; /* tokens of the answer */
    remora_sampler *sampler;
    remora_chat_parse *parse; /* of a conversation's answer, or */
    remora_detok detok;
    remora_token fim_end[8]; /* markers that end what fills a hole */
    size_t n_fim_end;
    sv_answer answer;
    tool_buffer made; /* bytes that are not in `out` yet: the model's side alone */
    struct sv_job *next;

    /* under the lock */
    int refs;
    int state; /* SV_WAITS and on */
    tool_buffer out;
    size_t sent; /* bytes of `out` */
    int done;    /* nothing is added any more */
    int http;    /* the status of an answer that is not streamed */
    int gone;    /* the client */
    int fd;      /* of its connection, while it is not gone */
    int asleep;  /* the connection waits to be woken */
    void (*wake)(void *connection);
    void *connection;
} sv_job;

/* Takes the body of a request of this kind (SV_*) over. NULL: memory ran out. */
sv_job *sv_job_create(const sv_model *m, int kind, tool_buffer *body);
/* Of its body the request, the prompt and the bounds: what may take long. 0, or -1 and *why. */
int sv_job_make(sv_job *j, sv_problem *why);
void sv_job_free(sv_job *j);

/* -- answer.c: the side of the model -- */
/* The token was picked from this row: its text, and what ends the answer (answer.finish). 0, or -1
 * when memory ran out. */
int sv_answer_token(sv_job *j, const remora_session *s, uint32_t row, remora_token t);

/* -- chances.c -- */
int sv_chances_add(sv_job *j, const remora_session *s, uint32_t row, remora_token t);
/* The entries whose text has gone out (or all that are left), in the form of the API, or null. */
json_t *sv_chances_take(sv_job *j, int all);

/* -- wire.c: what clients see -- */
int sv_wire_reasoning(sv_job *j, const char *text, size_t n);
int sv_wire_content(sv_job *j, const char *text, size_t n);
int sv_wire_call(sv_job *j, remora_text name, remora_text id);
int sv_wire_arguments(sv_job *j, remora_text text);
int sv_wire_end(sv_job *j);
int sv_wire_problem(sv_job *j, const sv_problem *why); /* also in the middle of an answer */
char *sv_wire_error(const sv_problem *why);            /* free() it; NULL: memory ran out */
json_t *sv_wire_model(const sv_model *m);

#endif
