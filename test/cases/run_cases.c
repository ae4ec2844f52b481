/* SPDX-License-Identifier: Apache-2.0 */
/* The cases that all languages run, through the C interface.
 *
 *     run_cases SOURCE_ROOT [--write]
 *
 * What each case gives is compared with its "want"; --write puts it there instead. */
#include "run_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int put_status(world *w, json_t *want, remora_status st)
{
    json_object_set_new(want, "status", json_string(remora_status_name(st)));
    if (st < 0) json_object_set_new(want, "message", json_string(w->err.message));
    return st < 0;
}

static remora_status open_model(world *w, const char *name, uint32_t flags, remora_model **m)
{
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    remora_model_opts o = {.struct_size = sizeof o};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", w->root, name);
    src.path = path;
    o.flags = flags;
    return remora_model_open(NULL, &src, &o, m, &w->err);
}

static void do_open(world *w, const json_t *in, json_t *want)
{
    remora_model *m = NULL;
    remora_model_info info = {.struct_size = sizeof info};
    remora_status st = open_model(w, string_of(in, "path"), (uint32_t)flags_of(w, in, "flags"), &m);
    if (st >= 0) st = remora_model_get_info(m, &info, &w->err);
    put_status(w, want, st);
    json_object_del(want, "message"); /* it has the path of the source folder */
    if (st < 0) return;
    put_model_info(want, &info);
    remora_model_free(m);
}

static void do_tokenize(world *w, const json_t *in, json_t *want)
{
    const remora_text text = text_of(in, "text");
    remora_token t[MOST];
    remora_detok d = {{0}};
    char out[MOST];
    size_t n = 0, got = 0, rest = 0;
    remora_status st = remora_tokenize(w->model, text.ptr, text.len,
                                       (uint32_t)flags_of(w, in, "flags"), t, MOST, &n, &w->err);
    if (st >= 0) st = remora_detok_push(w->model, &d, t, n, out, MOST, &got, &w->err);
    if (st >= 0) st = remora_detok_flush(w->model, &d, out + got, MOST - got, &rest, &w->err);
    if (put_status(w, want, st)) return;
    put_tokens(want, "tokens", t, n);
    put_text(want, "text", out, got + rest);
}

static size_t tokens_of(const json_t *list, remora_token *t)
{
    const size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < MOST; i++)
        t[i] = (remora_token)json_integer_value(json_array_get(list, i));
    return n;
}

static void do_append(world *w, const json_t *in, json_t *want)
{
    maker *k = calloc(1, sizeof *k);
    remora_token t[MOST];
    const size_t n = tokens_of(json_object_get(in, "tokens"), t);
    put_status(w, want, make_session(w, k, in, t, n));
    free_maker(k);
}

static void do_rows(world *w, const json_t *in, json_t *want)
{
    maker *k = calloc(1, sizeof *k);
    remora_token t[MOST];
    remora_token_prob top[64];
    size_t n = 0;
    const size_t cap = (size_t)json_integer_value(json_object_get(in, "n_best"));
    remora_status st = prompt_of(w, in, t, &n);
    if (st >= 0) st = make_session(w, k, in, t, n);
    if (st >= 0) st = remora_eval(&k->session, 1, NULL, &w->err);
    if (st >= 0) st = remora_session_top(k->session, 0, top, cap < 64 ? cap : 64, &n, &w->err);
    if (!put_status(w, want, st)) put_top(want, top, n);
    free_maker(k);
}

static remora_status prepare(world *w, maker *k, const json_t *in)
{
    remora_token t[MOST];
    size_t n = 0;
    remora_status st = prompt_of(w, in, t, &n);
    if (st >= 0) st = make_session(w, k, in, t, n);
    const json_t *seed = json_object_get(in, "seed");
    return st < 0 ? st : make_sampler(w, k, in, (uint64_t)json_integer_value(seed));
}

static void do_generate(world *w, const json_t *in, json_t *want)
{
    maker *k = calloc(1, sizeof *k);
    const remora_status st = prepare(w, k, in);
    if (st < 0)
        put_status(w, want, st);
    else
        generate_all(w, k, want);
    free_maker(k);
}

static void do_cancel(world *w, const json_t *in, json_t *want)
{
    maker *k = calloc(1, sizeof *k);
    const int32_t cancel = 1;
    size_t n = 0;
    remora_status st = prepare(w, k, in);
    if (st >= 0) {
        k->opts.cancel = &cancel;
        st = remora_generate_text(k->session, k->sampler, &k->opts, k->text, MOST, &n, NULL, 0,
                                  NULL, &w->err);
        json_object_set_new(want, "cancelled", json_string(remora_status_name(st)));
        k->opts.cancel = NULL;
        generate_all(w, k, want);
    } else {
        put_status(w, want, st);
    }
    free_maker(k);
}

static void do_fork(world *w, const json_t *in, json_t *want)
{
    maker *parent = calloc(1, sizeof *parent), *child[8] = {NULL};
    json_t *forks = json_array();
    const json_t *seeds = json_object_get(in, "seeds");
    const size_t n = json_array_size(seeds);
    remora_status st = prepare(w, parent, in);
    for (size_t i = 0; i < n; i++) {
        child[i] = calloc(1, sizeof **child);
        if (st >= 0) st = remora_session_fork(parent->session, &child[i]->session, &w->err);
    }
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_object();
        const uint64_t seed = (uint64_t)json_integer_value(json_array_get(seeds, i));
        if (st >= 0) st = make_sampler(w, child[i], in, seed);
        if (st >= 0) generate_all(w, child[i], one);
        json_array_append_new(forks, one);
        free_maker(child[i]);
    }
    put_status(w, want, st);
    json_object_set_new(want, "forks", forks);
    free_maker(parent);
}

static void run_case(void *user, const json_t *one, json_t *got)
{
    world *w = user;
    static const struct {
        const char *name;
        void (*run)(world *w, const json_t *in, json_t *want);
    } verbs[] = {{"open", do_open},  {"tokenize", do_tokenize}, {"append", do_append},
                 {"rows", do_rows},  {"generate", do_generate}, {"cancel", do_cancel},
                 {"fork", do_fork},  {"fim", do_fim},           {"chat", do_chat},
                 {"parse", do_parse}};
    const char *verb = string_of(one, "do");
    memset(&w->err, 0, sizeof w->err);
    w->err.struct_size = sizeof w->err;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!strcmp(verbs[i].name, verb)) {
            verbs[i].run(w, json_object_get(one, "in"), got);
            return;
        }
    }
    fprintf(stderr, "there is no verb \"%s\"\n", verb);
    exit(1);
}

/* One case a line, so that a change of one is a change of its line. */
static void write_cases(const json_t *cases, const char *path)
{
    FILE *f = fopen(path, "wb");
    size_t i;
    json_t *each;
    if (!f) exit(1);
    json_array_foreach(cases, i, each)
    {
        fputs(i ? ",\n" : "[\n", f);
        json_dumpf(each, f, 0);
    }
    fputs("\n]\n", f);
    fclose(f);
}

int main(int argc, char **argv)
{
    world w = {.root = argc > 1 ? argv[1] : "."};
    const int writes = argc > 2 && !strcmp(argv[2], "--write");
    char path[4096];
    w.abi = load_json(w.root, "include/remora/remora.abi.json", path, sizeof path);
    json_t *cases = load_json(w.root, "bindings/cases.json", path, sizeof path);
    w.err.struct_size = sizeof w.err;
    if (open_model(&w, "models/krill.remora", 0, &w.model) < 0) {
        fprintf(stderr, "%s\n", w.err.message);
        return 1;
    }
    const int bad = run_all_cases(cases, run_case, &w);
    if (writes) write_cases(cases, path);
    json_decref(cases);
    json_decref(w.abi);
    remora_model_free(w.model);
    return !writes && bad;
}
