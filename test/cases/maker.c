/* SPDX-License-Identifier: Apache-2.0 */
#include "run_cases.h"

#include <stdlib.h>
#include <string.h>

remora_status prompt_of(world *w, const json_t *in, remora_token *t, size_t *n)
{
    const remora_text text = text_of(in, "prompt");
    uint32_t flags = REMORA_TEXT_BOS;
    if (json_object_get(in, "prompt_flags")) flags = (uint32_t)flags_of(w, in, "prompt_flags");
    return remora_tokenize(w->model, text.ptr, text.len, flags, t, MOST, n, &w->err);
}

remora_status make_session(world *w, maker *k, const json_t *in, const remora_token *t, size_t n)
{
    remora_session_opts o = {.struct_size = sizeof o};
    o.capacity = (uint32_t)json_integer_value(json_object_get(in, "capacity"));
    const remora_status st = remora_session_create(w->model, &o, &k->session, &w->err);
    return st < 0 ? st : remora_session_append(k->session, t, n, REMORA_WANT_LAST, &w->err);
}

static remora_status add_stages(world *w, maker *k, const json_t *stages)
{
    size_t i;
    json_t *each;
    json_array_foreach(stages, i, each)
    {
        remora_stage stage = {.struct_size = sizeof stage};
        stage.kind = (int32_t)value_of(w, string_of(each, "kind"));
        stage.value = json_number_value(json_object_get(each, "value"));
        stage.count = json_integer_value(json_object_get(each, "count"));
        const remora_status st = remora_sampler_add(k->sampler, &stage, &w->err);
        if (st < 0) return st;
    }
    return REMORA_OK;
}

static size_t texts_of(const json_t *list, remora_text *out)
{
    const size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < 8; i++) {
        out[i].ptr = json_string_value(json_array_get(list, i));
        out[i].len = json_string_length(json_array_get(list, i));
    }
    return n;
}

static remora_status constrain(world *w, maker *k, const json_t *in)
{
    remora_constraint_opts o = {.struct_size = sizeof o};
    remora_text choices[8];
    if (!in) return REMORA_OK;
    o.kind = (int32_t)value_of(w, string_of(in, "kind"));
    o.source = text_of(in, "source");
    o.flags = (uint32_t)flags_of(w, in, "flags");
    o.n_choices = texts_of(json_object_get(in, "choices"), choices);
    o.choices = o.n_choices ? choices : NULL;
    const remora_status st = remora_constraint_create(w->model, &o, &k->constraint, &w->err);
    return st < 0 ? st : remora_sampler_constrain(k->sampler, k->constraint, &w->err);
}

remora_status make_sampler(world *w, maker *k, const json_t *in, uint64_t seed)
{
    remora_status st = remora_sampler_create(w->model, seed, &k->sampler, &w->err);
    k->opts.struct_size = sizeof k->opts;
    k->opts.max_tokens = (uint64_t)json_integer_value(json_object_get(in, "max_tokens"));
    k->opts.flags = (uint32_t)flags_of(w, in, "flags");
    k->opts.n_stop = texts_of(json_object_get(in, "stop"), k->stop);
    k->opts.stop = k->stop;
    if (st >= 0) st = add_stages(w, k, json_object_get(in, "stages"));
    if (st >= 0) st = constrain(w, k, json_object_get(in, "constraint"));
    return st;
}

void put_result(world *w, maker *k, json_t *want, remora_status st)
{
    remora_generation_info info = {.struct_size = sizeof info};
    if (remora_session_get_generation(k->session, &info, NULL) < 0) abort();
    put_status(w, want, st);
    put_tokens(want, "tokens", k->made, k->n_made);
    json_object_set_new(want, "reason", json_string(name_of(w, "remora_reasons", info.reason)));
    if (info.reason == REMORA_REASON_STOP)
        json_object_set_new(want, "stop", json_integer(info.stop));
}

remora_status generate_all(world *w, maker *k, json_t *want)
{
    remora_status st;
    do {
        size_t n = 0, n_tokens = 0;
        st = remora_generate_text(k->session, k->sampler, &k->opts, k->text + k->n_text,
                                  MOST - k->n_text, &n, k->made + k->n_made, MOST - k->n_made,
                                  &n_tokens, &w->err);
        k->n_text += n;
        k->n_made += n_tokens;
    } while (st == REMORA_MORE);
    put_result(w, k, want, st);
    put_text(want, "text", k->text, k->n_text);
    return st;
}

void free_maker(maker *k)
{
    remora_session_free(k->session);
    remora_sampler_free(k->sampler);
    remora_constraint_free(k->constraint);
    free(k);
}
