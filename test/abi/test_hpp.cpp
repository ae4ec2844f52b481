/* SPDX-License-Identifier: Apache-2.0 */
/* Every class of remora.hpp on the model in the box: what it answers, what it frees, and what its
 * errors say. Built without exceptions and run-time type information.
 *
 *     test_hpp MODEL FOLDER_FOR_FILES
 */
#include <remora/remora.hpp>

#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#define CHECK(x) check((x), __LINE__, #x)

static void check(bool ok, int line, const char *what)
{
    if (ok) return;
    std::fprintf(stderr, "test_hpp.cpp:%d: %s\n", line, what);
    std::exit(1);
}

/* What a call gave, or the end of the test with its message. */
template <class R> static R good(R r)
{
    if (!r) std::fprintf(stderr, "%s: %s\n", r.name(), r.message());
    CHECK(static_cast<bool>(r));
    return r;
}

static const char begin[] = "Once upon a time";

static void spans()
{
    int three[] = {1, 2, 3};
    std::vector<int> v = {4, 5};
    const std::array<int, 2> a = {6, 7};
    remora::span<const int> s = three;
    CHECK(s.size() == 3 && s[2] == 3 && s.from(1).size() == 2 && s.first(1).size() == 1);
    s = v;
    CHECK(s.data() == v.data() && !s.empty() && s.end() - s.begin() == 2);
    s = remora::span<const int>(a);
    CHECK(s[1] == 7 && remora::span<int>().empty());
    remora::span<const int> of_mutable = remora::span<int>(three);
    CHECK(of_mutable[0] == 1);
    CHECK(remora::view_of(remora::text_of("text")) == "text");
}

static void library()
{
    CHECK(remora::abi_check() && remora::version() == remora_version());
    CHECK(std::strncmp(remora::version_string(), "1.", 2) == 0 && *remora::build_info());
    CHECK(std::strcmp(remora::status_name(REMORA_E_FULL), "E_FULL") == 0);
    CHECK(std::strstr(remora::recipe_at(0)->yaml, ":") != nullptr);
    CHECK(remora::recipe_at(999).status() == REMORA_E_NOT_FOUND);
    CHECK(std::strlen(*remora::chat_format_name(0)) > 0);
}

static void errors(const remora::runtime &rt)
{
    auto r = remora::model::open("no/such/folder", nullptr, &rt);
    CHECK(!r && r.status() == REMORA_E_NOT_FOUND && !*r);
    CHECK(std::strcmp(r.name(), "E_NOT_FOUND") == 0);
    CHECK(std::strstr(r.message(), "no/such/folder") != nullptr && r.os_code() >= 0);
    remora::session none;
    CHECK(!none && none.append({}, 0).status() == REMORA_E_ARG);
    CHECK(none.tokens().status() == REMORA_E_ARG && none.tokens()->empty());
}

static void runtimes(const remora::runtime &rt)
{
    CHECK(good(rt.info())->n_threads == 2 && rt.device_count() >= 1);
    CHECK(std::strcmp(good(rt.device_at(0))->id, "cpu") == 0);
    CHECK(rt.device_at(99).status() == REMORA_E_NOT_FOUND);
}

static void numbers_of(remora::model &m, const char *path)
{
    const auto info = good(m.info());
    CHECK(info->n_layers > 0 && std::strcmp(info->device, "cpu") == 0);
    CHECK(good(m.memory_used())->host_weights + m.memory_used()->host_mapped > 0);
    CHECK(m.runtime_of() != nullptr);
    CHECK(!good(m.meta_key(0))->empty() && !good(m.meta(m.meta_key(0)->c_str()))->empty());
    CHECK(m.meta("no.such.key").status() == REMORA_E_NOT_FOUND);
    CHECK(m.set_budget(std::uint64_t{1} << 40).status() == REMORA_OK);
    CHECK(m.set_budget(1).status() == REMORA_E_NOMEM);
    const auto guess =
        good(remora::model::estimate(remora::path_source(path), nullptr, nullptr, 2));
    CHECK(guess->host_kv > 0);
    CHECK(good(m.routing_enable(true)).status() == REMORA_OK);
    CHECK(m.importance_at(0).status() == REMORA_E_NOT_FOUND);
    CHECK(m.importance_read(0, 0).status() == REMORA_E_NOT_FOUND);
}

static void texts(const remora::model &m)
{
    const auto t = good(m.tokenize(begin, REMORA_TEXT_BOS));
    remora::token small[2], room[64];
    CHECK(m.tokenize(begin, REMORA_TEXT_BOS, small).status() == REMORA_E_BUFFER);
    CHECK(*good(m.tokenize(begin, REMORA_TEXT_BOS, room)) == t->size() && room[1] == (*t)[1]);
    CHECK((*t)[0] == m.special(REMORA_SPECIAL_BOS));
    CHECK(m.token_flags((*t)[0]) & REMORA_TOKEN_CONTROL);
    CHECK(!good(m.token_bytes((*t)[1]))->empty() && !good(m.end_tokens())->empty());
    remora::detok d(m);
    std::string text = *good(d.push(*t)) + *good(d.flush());
    CHECK(text == begin);
    char c[64];
    const auto n = good(d.push(*t, c));
    CHECK(std::string_view(c, *n) == begin && good(d.push((*t)[1]))->size() > 0);
    const auto fim = good(m.fim("int main(void)\n{\n", "\n}\n"));
    CHECK(fim->tokens.size() >= fim->info.prefix_tokens && fim->info.suffix_tokens > 0);
    CHECK(!good(m.fim_stop(0))->empty());
}

static void rows(const remora::model &m, remora::session &s)
{
    remora_token_prob best[3];
    CHECK(s.logits(0).status() == REMORA_E_NOT_FOUND);
    CHECK(good(s.eval()).status() == REMORA_OK);
    CHECK(good(s.logits(0))->size() == m.info()->n_vocab);
    const auto top = good(s.top(0, best));
    CHECK(top->size() == 3 && (*top)[0].logprob == *good(s.logprob(0, (*top)[0].token)));
    CHECK(good(s.hidden(0))->size() == m.info()->n_hidden);
    auto greedy = good(remora::sampler::create(const_cast<remora::model &>(m), 1));
    CHECK(good(greedy->add(REMORA_STAGE_TEMPERATURE, 0)).status() == REMORA_OK);
    CHECK(*good(greedy->pick(s, 0)) == best[0].token);
    CHECK(*good(greedy->pick_from(*s.logits(0))) == best[0].token);
    const float host[] = {0.0f, 5.0f, 1.0f};
    CHECK(*good(greedy->pick_from(host)) == 1);
}

static void sessions(remora::model &m)
{
    remora::session_opts o;
    o.capacity = 256;
    const auto t = good(m.tokenize(begin, REMORA_TEXT_BOS));
    auto s = good(remora::session::create(m, &o));
    CHECK(s->model_of() == m.get() && good(s->options())->capacity == 256);
    CHECK(good(s->append(*t, REMORA_WANT_LAST | REMORA_WANT_HIDDEN)).status() == REMORA_OK);
    CHECK(good(s->info())->pending == t->size());
    rows(m, *s);
    auto child = good(s->fork());
    CHECK(*good(child->tokens()) == *t && good(child->tokens(2))->size() == t->size() - 2);
    CHECK(*good(child->sync(remora::span<const remora::token>(*t).first(3), 0)) == 3);
    CHECK(good(child->trim(2)).status() == REMORA_OK && child->trim(9).status() == REMORA_E_ARG);
    const remora::token more[] = {(*t)[2]};
    CHECK(good(s->append(more, REMORA_WANT_LAST)).status() == REMORA_OK);
    CHECK(good(child->append(more, REMORA_WANT_LAST)).status() == REMORA_OK);
    remora_session *both[] = {s->get(), child->get()};
    remora::cancel_word word;
    remora::eval_opts eo;
    eo.cancel = word.get();
    word.set();
    CHECK(remora::eval(both, &eo).status() == REMORA_E_CANCELLED);
    word.clear();
    CHECK(good(remora::eval(both, &eo)).status() == REMORA_OK && s->info()->pending == 0);
    CHECK(good(s->numbers())->decode_tokens + s->numbers()->prefill_tokens > t->size());
    CHECK(!good(m.routing_read(m.info()->n_dense_layers))->empty() || m.info()->n_experts == 0);
}

/* A callable that tells when it is gone. */
struct only_even {
    std::shared_ptr<int> calls;
    std::size_t operator()(remora::span<remora_token_prob> c) const
    {
        std::size_t kept = 0;
        ++*calls;
        for (const remora_token_prob &each : c)
            if (each.token % 2 == 0) c[kept++] = each;
        return *calls > 3 ? remora::stage_failed : kept;
    }
};

static void samplers(remora::model &m)
{
    const auto calls = std::make_shared<int>(0);
    const float logits[] = {0.0f, 9.0f, 1.0f, 9.0f};
    auto p = good(remora::sampler::create(m, 7));
    CHECK(good(p->add_stage(only_even{calls})).status() == REMORA_OK && calls.use_count() == 2);
    CHECK(*good(p->pick_from(logits)) % 2 == 0);
    auto same = good(p->clone());
    p->reset();
    CHECK(calls.use_count() == 2 && *good(same->pick_from(logits)) % 2 == 0);
    remora::sampler moved = std::move(*same);
    CHECK(!*same && *good(moved.pick_from(logits)) % 2 == 0);
    CHECK(moved.pick_from(logits).status() == REMORA_E_CALLBACK);
    CHECK(good(moved.accept(5)).status() == REMORA_OK);
    CHECK(good(moved.rollback(1)).status() == REMORA_OK);
    CHECK(good(moved.spell("he")).status() == REMORA_OK);
    moved.start_anew(8);
    CHECK(moved.add(REMORA_STAGE_TOP_P, 2.0).status() == REMORA_E_ARG);
    moved.reset();
    CHECK(calls.use_count() == 1);
}

static std::string written(remora::model &m, remora::sampler &p, const remora::gen_opts &o);

/* A stage that tells when it is inside, and stays there until it may go on. */
struct doors {
    std::mutex lock;
    std::condition_variable changed;
    bool inside = false, go = false;

    void open(bool &door)
    {
        const std::lock_guard<std::mutex> held(lock);
        door = true;
        changed.notify_all();
    }
    void wait(const bool &door)
    {
        std::unique_lock<std::mutex> held(lock);
        while (!door) changed.wait(held);
    }
};

/* In a child of fork(): what another thread was using is busy and can be freed, all else goes on.
 * What is wrong, or 0. */
static int goes_on(remora::model &m, remora::session &used, const std::string &expect)
{
    const remora::token more[] = {5};
    remora::gen_opts o;
    o.max_tokens = 6;
    auto p = remora::sampler::create(m, 0);
    alarm(120);
    if (used.append(more, 0).status() != REMORA_E_BUSY) return 1;
    if (used.info().status() != REMORA_E_BUSY) return 2;
    used = remora::session();
    if (!p || !p->add(REMORA_STAGE_TEMPERATURE, 0.0)) return 3;
    return written(m, *p, o) == expect ? 0 : 4;
}

static void forks(remora::model &m)
{
    doors d;
    remora::session_opts so;
    remora::gen_opts o;
    so.capacity = 64;
    o.max_tokens = 6;
    auto greedy = good(remora::sampler::create(m, 0));
    CHECK(good(greedy->add(REMORA_STAGE_TEMPERATURE, 0.0)).status() == REMORA_OK);
    const std::string expect = written(m, *greedy, o);
    auto used = good(remora::session::create(m, &so));
    const auto t = good(m.tokenize(begin, REMORA_TEXT_BOS));
    CHECK(good(used->append(*t, REMORA_WANT_LAST)).status() == REMORA_OK);
    CHECK(good(used->eval()).status() == REMORA_OK);
    std::thread thread([&] {
        auto slow = good(remora::sampler::create(m, 1));
        const auto stay = [&](remora::span<remora_token_prob> c) {
            d.open(d.inside);
            d.wait(d.go);
            return c.size();
        };
        CHECK(good(slow->add_stage(stay)).status() == REMORA_OK);
        o.max_tokens = 1;
        remora_token made[1];
        std::size_t n = 0;
        CHECK(remora_generate(used->get(), slow->get(), &o, made, 1, &n, nullptr) >= 0 && n == 1);
    });
    d.wait(d.inside);
    int how = 1;
    const pid_t pid = fork();
    if (pid == 0) _exit(goes_on(m, *used, expect));
    CHECK(pid > 0 && waitpid(pid, &how, 0) == pid);
    d.open(d.go);
    thread.join();
    CHECK(how == 0 && used->info().status() == REMORA_OK);
}

static remora::result<remora::sampler> bound_by(remora::model &m, const remora::constraint &c)
{
    auto p = remora::sampler::create(m, 3);
    CHECK(good(p->constrain(c)).status() == REMORA_OK);
    return p;
}

static std::string written(remora::model &m, remora::sampler &p, const remora::gen_opts &o)
{
    auto s = good(remora::session::create(m));
    std::string all;
    CHECK(good(s->append(*m.tokenize(begin, REMORA_TEXT_BOS), REMORA_WANT_LAST)).status() == 0);
    remora::text_stream stream(*s, p, o);
    for (std::string_view piece : stream) all += piece;
    CHECK(good(stream.last()).is_end() && good(s->generation())->text_bytes == all.size());
    return all;
}

static void constraints(remora::model &m)
{
    remora::gen_opts o;
    o.max_tokens = 40;
    const remora_text two[] = {remora::text_of(" red"), remora::text_of(" blue")};
    auto c = good(remora::constraint::choice(m, two));
    auto p = good(bound_by(m, *c));
    c->reset();
    const std::string text = written(m, *p, o);
    CHECK(text == " red" || text == " blue");
    CHECK(good(p->unconstrain()).status() == REMORA_OK);
    auto digits = good(bound_by(m, *good(remora::constraint::regex(m, "[0-9]{4}"))));
    CHECK(written(m, *digits, o).find_first_not_of("0123456789") == std::string::npos);
    auto yes = good(bound_by(m, *good(remora::constraint::gbnf(m, "root ::= \"yes\""))));
    CHECK(written(m, *yes, o) == "yes");
    auto truth = good(bound_by(m, *good(remora::constraint::json_schema(m, "{\"const\": true}"))));
    CHECK(written(m, *truth, o) == "true");
    const auto bad = remora::constraint::regex(m, "(");
    CHECK(bad.status() == REMORA_E_ARG && *bad.message() && !*bad);
}

static void generating(remora::model &m)
{
    auto p = good(remora::sampler::create(m, 42));
    auto s = good(remora::session::create(m));
    remora::gen_opts o;
    o.max_tokens = 20;
    const std::string text = written(m, *p, o);
    p->start_anew(42);
    CHECK(!text.empty() && written(m, *p, o) == text);
    const auto stop = remora::text_of(std::string_view(text).substr(text.size() / 2, 3));
    o.stop = &stop;
    o.n_stop = 1;
    p->start_anew(42);
    const std::string cut = written(m, *p, o);
    CHECK(text.compare(0, cut.size(), cut) == 0 && cut.size() < text.size());
    remora::token made[8], of_text[8];
    char room[64];
    CHECK(s->generate(*p, made).status() == REMORA_E_ARG);
    CHECK(good(s->append(*m.tokenize(begin), 0)).status() == REMORA_OK);
    CHECK(*good(s->generate(*p, made)) == 8);
    const auto got = good(s->generate_text(*p, room, nullptr, of_text));
    CHECK(got->n_tokens >= 1 && got->text.data() == room);
}

static void read_back(remora::model &m, const remora::chat &c, std::int32_t where)
{
    remora::chat_parse_opts o;
    o.chat = c.get();
    o.begin = where;
    auto p = good(remora::chat_parse::create(m, &o));
    auto second = good(p->clone());
    remora::chat_event e;
    std::string_view text = "I live on a shark.";
    std::string content;
    while (good(p->next(text, e)).is_more()) content += remora::view_of(e.text);
    CHECK(text.empty() && good(p->info())->bytes == 18);
    while (good(p->end(false, e)).is_more()) content += remora::view_of(e.text);
    CHECK(content == "I live on a shark." && e.kind == REMORA_PART_END);
    CHECK(good(p->copy_from(*second)).status() == REMORA_OK && p->info()->bytes == 0);
    const auto t = good(m.tokenize("Hello"));
    remora::span<const remora::token> left = *t;
    CHECK(good(p->next(left, e)).is_more() && remora::view_of(e.text) == "Hello" && left.empty());
}

static void chats(remora::model &m)
{
    remora::chat_opts o;
    o.format = "deepseek-v3.1";
    auto c = good(remora::chat::create(m, &o));
    CHECK(c->make_prompt().status() == REMORA_E_ARG && c->make_prompt()->tokens.empty());
    CHECK(good(c->add(REMORA_ROLE_USER, "Where do you live?")).status() == REMORA_OK);
    const auto p = good(c->make_prompt());
    CHECK(p->tokens.size() > 5 && p->info.text_bytes > 0);
    read_back(m, *c, p->info.begin);
    CHECK(
        good(c->add_tool("{\"type\": \"function\", \"function\": {\"name\": \"now\"}}")).status() ==
        0);
    CHECK(good(c->info())->n_tools == 1 && c->info()->n_turns == 1);
    CHECK(c->bounds(nullptr, nullptr).status() == REMORA_E_UNSUPPORTED || c->bounds());
    CHECK(good(c->trim(0)).status() == REMORA_OK && c->info()->n_turns == 0);
    const char request[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}";
    CHECK(good(c->add_json(request)).status() == REMORA_OK && c->info()->n_turns == 1);
    CHECK(c->add_json("[").status() == REMORA_E_FORMAT);
}

static void packs(const char *path, const std::string &folder)
{
    const std::string to = folder + "/again.remora";
    std::uint64_t most = 0;
    auto see = [&](std::uint64_t done, std::uint64_t) { return most = done, true; };
    auto never = [](std::uint64_t, std::uint64_t) { return false; };
    remora::verify_opts o;
    remora::progress_to(o, see);
    const auto report = good(remora::verify(remora::path_source(path), &o));
    CHECK(report->checksums == REMORA_OK && report->self_test == REMORA_OK && most > 0);
    remora::progress_to(o, never);
    CHECK(remora::verify(remora::path_source(path), &o).status() == REMORA_E_CANCELLED);
    const auto no = remora::convert(remora::path_source(path), to.c_str()); /* a pack of a pack */
    CHECK(no.status() == REMORA_E_UNSUPPORTED && std::strstr(no.message(), "pack"));
}

static void from_memory()
{
    const char nothing[] = "{}";
    const remora_blob blobs[] = {{"config.json", nothing, 2}};
    const auto r = remora::model::open(remora::memory_source(blobs));
    CHECK(r.status() == REMORA_E_NOT_FOUND || r.status() == REMORA_E_FORMAT ||
          r.status() == REMORA_E_UNSUPPORTED);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    std::string lines;
    auto keep = [&](std::int32_t, std::string_view line) { lines += line; };
    remora::runtime_opts o;
    o.n_threads = 2;
    remora::log_to(o, keep);
    o.log_level = REMORA_LOG_DEBUG;
    auto rt = good(remora::runtime::create(&o));
    remora::model_opts mo;
    auto m = good(remora::model::open(argv[1], &mo, &*rt));
    spans();
    library();
    errors(*rt);
    runtimes(*rt);
    numbers_of(*m, argv[1]);
    texts(*m);
    sessions(*m);
    samplers(*m);
    forks(*m);
    constraints(*m);
    generating(*m);
    chats(*m);
    packs(argv[1], argv[2]);
    from_memory();
    std::printf("all classes answer\n");
    return 0;
}
