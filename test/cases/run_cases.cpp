/* SPDX-License-Identifier: Apache-2.0 */
/* The cases that all languages run, through remora.hpp.
 *
 *     run_cases_cpp SOURCE_ROOT */
#include <remora/remora.hpp>

#include "run_cases.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using remora::outcome;
using remora::span;
using remora::token;

/* The model and the names of values that all cases share. */
struct program {
    world names; /* its JSON alone */
    remora::model model;
};

static std::string_view view(const json_t *in, const char *key)
{
    return remora::view_of(text_of(in, key));
}

static std::uint32_t flags(const program &w, const json_t *in, const char *key = "flags")
{
    return static_cast<std::uint32_t>(flags_of(&w.names, in, key));
}

static json_int_t number(const json_t *in, const char *key)
{
    return json_integer_value(json_object_get(in, key));
}

static void put(json_t *want, const char *key, std::string_view text)
{
    put_text(want, key, text.data(), text.size());
}

/* True when it is an error. */
static bool put_outcome(json_t *want, const outcome &o)
{
    put(want, "status", o.name());
    if (!o) put(want, "message", o.message());
    return !o;
}

static std::vector<remora_text> texts(const json_t *in, const char *key)
{
    std::vector<remora_text> out;
    std::size_t i;
    json_t *each;
    json_array_foreach(json_object_get(in, key), i, each)
    {
        out.push_back({json_string_value(each), json_string_length(each)});
    }
    return out;
}

static std::vector<token> tokens_in(const json_t *in, const char *key)
{
    std::vector<token> out;
    std::size_t i;
    json_t *each;
    json_array_foreach(json_object_get(in, key), i, each)
    {
        out.push_back(static_cast<token>(json_integer_value(each)));
    }
    return out;
}

/* Steps of a case, of which the first one that fails is what the case gives. */
class steps
{
  public:
    explicit operator bool() const
    {
        return static_cast<bool>(last);
    }
    bool take(outcome o)
    {
        last = o;
        return static_cast<bool>(last);
    }
    /* The value of a call, moved to where it belongs. */
    template <class T, class R> bool take(T &to, R r)
    {
        last = r;
        if (last) to = *std::move(r);
        return static_cast<bool>(last);
    }
    outcome last;
};

/* A session and a sampler as a case describes them, and what generating with them gives. */
struct generating {
    remora::session session;
    remora::sampler sampler;
    remora::gen_opts opts;
    std::vector<remora_text> stop;
    std::vector<token> made;
    std::string text;
};

static bool make_session(program &w, generating &g, const json_t *in, span<const token> prompt,
                         steps &s)
{
    remora::session_opts o;
    o.capacity = static_cast<std::uint32_t>(number(in, "capacity"));
    return s.take(g.session, remora::session::create(w.model, &o)) &&
           s.take(g.session.append(prompt, REMORA_WANT_LAST));
}

static bool constrain(program &w, generating &g, const json_t *in, steps &s)
{
    if (!in) return true;
    const std::vector<remora_text> choices = texts(in, "choices");
    remora::constraint bounds;
    remora::constraint_opts o;
    o.kind = static_cast<std::int32_t>(value_of(&w.names, string_of(in, "kind")));
    o.source = text_of(in, "source");
    o.flags = flags(w, in);
    o.n_choices = choices.size();
    o.choices = choices.empty() ? nullptr : choices.data();
    return s.take(bounds, remora::constraint::create(w.model, o)) &&
           s.take(g.sampler.constrain(bounds));
}

static bool make_sampler(program &w, generating &g, const json_t *in, std::uint64_t seed, steps &s)
{
    std::size_t i;
    json_t *each;
    g.opts.max_tokens = static_cast<std::uint64_t>(number(in, "max_tokens"));
    g.opts.flags = flags(w, in);
    g.stop = texts(in, "stop");
    if (!s.take(g.sampler, remora::sampler::create(w.model, seed))) return false;
    json_array_foreach(json_object_get(in, "stages"), i, each)
    {
        const auto kind = static_cast<std::int32_t>(value_of(&w.names, string_of(each, "kind")));
        const double value = json_number_value(json_object_get(each, "value"));
        if (!s.take(g.sampler.add(kind, value, number(each, "count")))) return false;
    }
    return constrain(w, g, json_object_get(in, "constraint"), s);
}

static bool prompt_of(program &w, const json_t *in, std::vector<token> &out, steps &s)
{
    const std::uint32_t how = json_object_get(in, "prompt_flags")
                                  ? flags(w, in, "prompt_flags")
                                  : std::uint32_t{REMORA_TEXT_BOS};
    return s.take(out, w.model.tokenize(view(in, "prompt"), how));
}

static bool prepare(program &w, generating &g, const json_t *in, steps &s)
{
    std::vector<token> prompt;
    return prompt_of(w, in, prompt, s) && make_session(w, g, in, prompt, s) &&
           make_sampler(w, g, in, static_cast<std::uint64_t>(number(in, "seed")), s);
}

static void put_result(const program &w, const generating &g, const outcome &end, json_t *want)
{
    const auto info = g.session.generation();
    if (!info) std::abort();
    put_outcome(want, end);
    put_tokens(want, "tokens", g.made.data(), g.made.size());
    put(want, "reason", name_of(&w.names, "remora_reasons", info->reason));
    if (info->reason == REMORA_REASON_STOP)
        json_object_set_new(want, "stop", json_integer(info->stop));
}

static void generate_all(const program &w, generating &g, json_t *want)
{
    std::vector<char> text(MOST);
    std::vector<token> made(MOST);
    remora::result<remora::delivered> got;
    g.opts.stop = g.stop.data();
    g.opts.n_stop = g.stop.size();
    do {
        got = g.session.generate_text(g.sampler, text, &g.opts, made);
        g.text.append(got->text);
        g.made.insert(g.made.end(), made.begin(),
                      made.begin() + static_cast<std::ptrdiff_t>(got->n_tokens));
    } while (got.is_more());
    put_result(w, g, got, want);
    put(want, "text", g.text);
}

static void do_open(program &w, const json_t *in, json_t *want)
{
    const std::string path = std::string(w.names.root) + "/" + string_of(in, "path");
    remora::model_opts o;
    o.flags = flags(w, in);
    const auto m = remora::model::open(path.c_str(), &o);
    put(want, "status", m.name()); /* the message has the path of the source folder */
    if (!m) return;
    const auto info = m->info();
    put_model_info(want, &*info);
}

static void do_tokenize(program &w, const json_t *in, json_t *want)
{
    steps s;
    std::vector<token> t;
    std::string text, rest;
    remora::detok back(w.model);
    if (s.take(t, w.model.tokenize(view(in, "text"), flags(w, in))) && s.take(text, back.push(t)))
        s.take(rest, back.flush());
    if (put_outcome(want, s.last)) return;
    put_tokens(want, "tokens", t.data(), t.size());
    put(want, "text", text + rest);
}

static void do_append(program &w, const json_t *in, json_t *want)
{
    steps s;
    generating g;
    make_session(w, g, in, tokens_in(in, "tokens"), s);
    put_outcome(want, s.last);
}

static void do_rows(program &w, const json_t *in, json_t *want)
{
    steps s;
    generating g;
    std::vector<token> prompt;
    std::vector<remora_token_prob> room(static_cast<std::size_t>(number(in, "n_best")));
    span<remora_token_prob> top(room);
    if (prompt_of(w, in, prompt, s) && make_session(w, g, in, prompt, s) &&
        s.take(g.session.eval()))
        s.take(top, g.session.top(0, room));
    if (!put_outcome(want, s.last)) put_top(want, top.data(), top.size());
}

static void do_generate(program &w, const json_t *in, json_t *want)
{
    steps s;
    generating g;
    if (prepare(w, g, in, s))
        generate_all(w, g, want);
    else
        put_outcome(want, s.last);
}

static void do_cancel(program &w, const json_t *in, json_t *want)
{
    steps s;
    generating g;
    remora::cancel_word word;
    std::vector<char> text(MOST);
    if (!prepare(w, g, in, s)) {
        put_outcome(want, s.last);
        return;
    }
    word.set();
    g.opts.cancel = word.get();
    put(want, "cancelled", g.session.generate_text(g.sampler, text, &g.opts).name());
    g.opts.cancel = nullptr;
    generate_all(w, g, want);
}

static void do_fork(program &w, const json_t *in, json_t *want)
{
    steps s;
    generating parent;
    json_t *forks = json_array();
    std::size_t i;
    json_t *seed;
    prepare(w, parent, in, s);
    json_array_foreach(json_object_get(in, "seeds"), i, seed)
    {
        generating child;
        json_t *one = json_object();
        if (s && s.take(child.session, parent.session.fork()) &&
            make_sampler(w, child, in, static_cast<std::uint64_t>(json_integer_value(seed)), s))
            generate_all(w, child, one);
        json_array_append_new(forks, one);
    }
    put_outcome(want, s.last);
    json_object_set_new(want, "forks", forks);
}

/* The parts of an answer, joined. */
struct parts {
    std::string reasoning, content, arguments;
    json_t *calls = json_array();
    std::int32_t finish = 0;

    parts() = default;
    parts(const parts &) = delete;
    ~parts() { json_decref(calls); }

    void take(const remora_chat_event &e)
    {
        const std::string_view text = remora::view_of(e.text);
        if (e.kind == REMORA_PART_REASONING) reasoning += text;
        if (e.kind == REMORA_PART_CONTENT) content += text;
        if (e.kind == REMORA_PART_END) finish = e.finish;
        if (e.kind == REMORA_PART_CALL) {
            json_t *call = json_object();
            put(call, "name", text);
            json_array_append_new(calls, call);
            arguments.clear();
        }
        if (e.kind == REMORA_PART_ARGUMENTS)
            put(json_array_get(calls, e.call), "arguments", arguments += text);
    }
    void put_into(const program &w, json_t *want) const
    {
        json_t *out = json_object();
        put(out, "reasoning", reasoning);
        put(out, "content", content);
        json_object_set(out, "calls", calls);
        put(out, "finish", name_of(&w.names, "remora_chat_finishes", finish));
        json_object_set_new(want, "parts", out);
    }
};

/* Read all of an answer, which is a span of tokens or a text. */
template <class A> static outcome read_all(program &w, const remora::chat_parse_opts &o, A answer,
                                           bool cut, parts &p)
{
    remora::chat_event e;
    auto reader = remora::chat_parse::create(w.model, &o);
    if (!reader) return reader;
    outcome now;
    while ((now = reader->next(answer, e)).is_more()) p.take(e);
    if (!now) return now;
    do {
        now = reader->end(cut, e);
        if (now) p.take(e);
    } while (now.is_more());
    return now;
}

static bool ask(program &w, const json_t *in, remora::chat &chat, json_t *want, steps &s)
{
    generating g;
    parts p;
    remora::prompt prompt;
    remora::chat_parse_opts o;
    char *request = json_dumps(json_object_get(in, "request"), JSON_COMPACT);
    const bool said = s.take(chat.add_json(request));
    std::free(request);
    if (!said || !s.take(prompt, chat.make_prompt())) return false;
    put_tokens(want, "prompt", prompt.tokens.data(), prompt.tokens.size());
    if (!make_session(w, g, in, prompt.tokens, s) || !make_sampler(w, g, in, 0, s)) return false;
    std::vector<token> made(MOST);
    remora::result<std::size_t> got;
    do {
        got = g.session.generate(g.sampler, made, &g.opts);
        g.made.insert(g.made.end(), made.begin(),
                      made.begin() + static_cast<std::ptrdiff_t>(*got));
    } while (got.is_more());
    put_result(w, g, got, want);
    o.chat = chat.get();
    o.begin = prompt.info.begin;
    o.flags = prompt.info.calls ? std::uint32_t{REMORA_CHAT_PARSE_CALLS} : 0;
    const bool cut = g.session.generation()->reason != REMORA_REASON_END_OF_TURN;
    const outcome read = read_all(w, o, span<const token>(g.made), cut, p);
    if (!read) put_outcome(want, read);
    p.put_into(w, want);
    return true;
}

static void do_chat(program &w, const json_t *in, json_t *want)
{
    steps s;
    remora::chat chat;
    remora::chat_opts o;
    o.format = string_of(in, "format");
    if (!s.take(chat, remora::chat::create(w.model, &o)) || !ask(w, in, chat, want, s))
        put_outcome(want, s.last);
}

static void do_parse(program &w, const json_t *in, json_t *want)
{
    parts p;
    remora::chat_parse_opts o;
    o.format = string_of(in, "format");
    o.flags = flags(w, in);
    put_outcome(want, read_all(w, o, view(in, "text"), false, p));
    p.put_into(w, want);
}

static void do_fim(program &w, const json_t *in, json_t *want)
{
    steps s;
    generating g;
    remora::fim_prompt prompt;
    remora::fim_opts o;
    o.flags = flags(w, in);
    o.max_tokens = static_cast<std::uint64_t>(number(in, "max_prompt"));
    if (s.take(prompt, w.model.fim(view(in, "prefix"), view(in, "suffix"), &o))) {
        const std::string_view heal(prompt.info.heal, prompt.info.n_heal);
        put_tokens(want, "prompt", prompt.tokens.data(), prompt.tokens.size());
        put(want, "heal", heal);
        if (make_session(w, g, in, prompt.tokens, s) && make_sampler(w, g, in, 0, s) &&
            s.take(g.sampler.spell(heal))) {
            for (std::uint32_t i = 0; w.model.fim_stop(i); i++)
                g.stop.push_back(remora::text_of(*w.model.fim_stop(i)));
            g.opts.flags = 0; /* those of the case are of fim() */
            generate_all(w, g, want);
            return;
        }
    }
    put_outcome(want, s.last);
}

static void run_case(void *user, const json_t *one, json_t *got)
{
    program &w = *static_cast<program *>(user);
    static const struct {
        const char *name;
        void (*run)(program &w, const json_t *in, json_t *want);
    } verbs[] = {{"open", do_open}, {"tokenize", do_tokenize}, {"append", do_append},
                 {"rows", do_rows}, {"generate", do_generate}, {"cancel", do_cancel},
                 {"fork", do_fork}, {"fim", do_fim},           {"chat", do_chat},
                 {"parse", do_parse}};
    for (const auto &verb : verbs)
        if (!std::strcmp(verb.name, string_of(one, "do"))) {
            verb.run(w, json_object_get(one, "in"), got);
            return;
        }
    std::fprintf(stderr, "there is no verb \"%s\"\n", string_of(one, "do"));
    std::exit(1);
}

int main(int argc, char **argv)
{
    program w = {};
    char path[4096];
    w.names.root = argc > 1 ? argv[1] : ".";
    w.names.abi = load_json(w.names.root, "include/remora/remora.abi.json", path, sizeof path);
    json_t *cases = load_json(w.names.root, "bindings/cases.json", path, sizeof path);
    auto model = remora::model::open((std::string(w.names.root) + "/models/krill.remora").c_str());
    if (!model) {
        std::fprintf(stderr, "%s\n", model.message());
        return 1;
    }
    w.model = *std::move(model);
    const int bad = run_all_cases(cases, run_case, &w);
    json_decref(cases);
    json_decref(w.names.abi);
    return bad != 0;
}
