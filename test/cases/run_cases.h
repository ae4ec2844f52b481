/* SPDX-License-Identifier: Apache-2.0 */
/* The cases that all languages run (bindings/cases.json), through the C interface; and what of it
 * is JSON alone (case_json.c), which the program in C++ has too. */
#ifndef RUN_CASES_H
#define RUN_CASES_H
#include <jansson.h>
#include <remora/remora.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct world {
    const char *root; /* the source folder */
    json_t *abi;      /* remora.abi.json: values of names */
    remora_model *model;
    remora_error err;
} world;

enum { MOST = 4096 }; /* tokens or bytes of anything in a case */

/* The value of a name of remora.abi.json; the name of a value in one of its enums. */
int64_t value_of(const world *w, const char *name);
const char *name_of(const world *w, const char *enumeration, int64_t value);
int64_t flags_of(const world *w, const json_t *in, const char *key);
remora_text text_of(const json_t *in, const char *key);
const char *string_of(const json_t *in, const char *key); /* NULL where there is none */

void put_tokens(json_t *want, const char *key, const remora_token *t, size_t n);
void put_text(json_t *want, const char *key, const char *text, size_t n);
void put_model_info(json_t *want, const remora_model_info *info);
void put_top(json_t *want, const remora_token_prob *top, size_t n);
/* Runs each case, says which gives something else than its "want", and puts there what it gives.
 * Returns how many differ. */
typedef void run_case_fn(void *user, const json_t *one, json_t *got);
int run_all_cases(json_t *cases, run_case_fn *run, void *user);
/* A file below the source folder; its path is left in `path`. Ends the program where it is none. */
json_t *load_json(const char *root, const char *name, char *path, size_t cap);
/* The status and, of an error, its message; true when it is an error. */
int put_status(world *w, json_t *want, remora_status st);

/* A session and a sampler as a case describes them, and what generating with them gives. */
typedef struct maker {
    remora_session *session;
    remora_sampler *sampler;
    remora_constraint *constraint;
    remora_gen_opts opts;
    remora_text stop[8];
    remora_token made[MOST];
    size_t n_made;
    char text[MOST];
    size_t n_text;
} maker;

remora_status make_session(world *w, maker *k, const json_t *in, const remora_token *t, size_t n);
remora_status make_sampler(world *w, maker *k, const json_t *in, uint64_t seed);
remora_status generate_all(world *w, maker *k, json_t *want);
void put_result(world *w, maker *k, json_t *want, remora_status st);
void free_maker(maker *k);
remora_status prompt_of(world *w, const json_t *in, remora_token *t, size_t *n);

/* What the cases do: fill `want`. */
void do_chat(world *w, const json_t *in, json_t *want);
void do_parse(world *w, const json_t *in, json_t *want);
void do_fim(world *w, const json_t *in, json_t *want);

#ifdef __cplusplus
}
#endif

#endif
