/* SPDX-License-Identifier: Apache-2.0 */
/* remora.hpp - the calls of remora.h for C++17: handles that free themselves, spans and results.
 *
 * The manual is remora.h: each function here is the C function of its name, with the same statuses,
 * threads and ownership, and nothing here is compiled into the library. It needs neither exceptions
 * nor run-time type information. A program:
 *
 *     #include <remora/remora.hpp>
 *     #include <cstdio>
 *
 *     int main(int argc, char **argv)
 *     {
 *         if (argc != 3) return 2;
 *         auto model = remora::model::open(argv[1]);
 *         if (!model) return std::fprintf(stderr, "%s\n", model.message()), 1;
 *         auto session = remora::session::create(*model);
 *         if (!session) return std::fprintf(stderr, "%s\n", session.message()), 1;
 *         auto sampler = remora::sampler::create(*model, 42);
 *         if (!sampler) return std::fprintf(stderr, "%s\n", sampler.message()), 1;
 *         auto prompt = model->tokenize(argv[2], REMORA_TEXT_BOS);
 *         if (!prompt) return std::fprintf(stderr, "%s\n", prompt.message()), 1;
 *         if (auto r = session->append(*prompt, REMORA_WANT_LAST); !r)
 *             return std::fprintf(stderr, "%s\n", r.message()), 1;
 *         remora::gen_opts opts;
 *         opts.max_tokens = 200;
 *         remora::text_stream text(*session, *sampler, opts);
 *         for (std::string_view piece : text)
 *             std::fwrite(piece.data(), 1, piece.size(), stdout);
 *         return text.last() ? 0 : 1;
 *     }
 *
 * Results. outcome is what a call returned: false in a condition when it is an error, whose text is
 * message(). result<T> has a value besides, which is an empty one after an error; it is read with *
 * and ->, and is_more() and is_end() tell the conditions.
 *
 * Structs. remora::gen_opts is remora_gen_opts with struct_size set and the rest 0, and so are the
 * others: fields are set as in C, and pointers to them go to C functions.
 *
 * Handles move and do not copy; get() is the C handle, for calls that are not here. A moved-from or
 * empty one is NULL, which calls answer with E_ARG. Member functions that are const only read.
 *
 * Memory. Functions that return a std::vector or std::string take it from the standard library and
 * fail as that fails; those that take a span take none. Callables that the library is given must
 * not throw: their wrappers are noexcept. */
#ifndef REMORA_HPP
#define REMORA_HPP

#include <remora/remora.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace remora
{

using token = remora_token;

/* ---- spans, text, structs -------------------------------------------------------------------- */

/* Some values that lie one after another, borrowed. */
template <class T> class span
{
  public:
    constexpr span() noexcept = default;
    constexpr span(T *p, std::size_t n) noexcept : p_(p), n_(n)
    {
    }
    template <std::size_t N> constexpr span(T (&a)[N]) noexcept : p_(a), n_(N)
    {
    }
    /* Of anything with data() and size(): a vector, an array, a string, a std::span. */
    template <class C, class = std::enable_if_t<
                           !std::is_same_v<std::remove_cv_t<std::remove_reference_t<C>>, span> &&
                           std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
    constexpr span(C &&c) noexcept : p_(c.data()), n_(c.size())
    {
    }

    constexpr T *data() const noexcept
    {
        return p_;
    }
    constexpr std::size_t size() const noexcept
    {
        return n_;
    }
    constexpr bool empty() const noexcept
    {
        return n_ == 0;
    }
    constexpr T *begin() const noexcept
    {
        return p_;
    }
    constexpr T *end() const noexcept
    {
        return p_ + n_;
    }
    constexpr T &operator[](std::size_t i) const noexcept
    {
        return p_[i];
    }
    constexpr span first(std::size_t n) const noexcept
    {
        return span(p_, n);
    }
    constexpr span from(std::size_t at) const noexcept
    {
        return span(p_ + at, n_ - at);
    }

  private:
    T *p_ = nullptr;
    std::size_t n_ = 0;
};

inline remora_text text_of(std::string_view s) noexcept
{
    return remora_text{s.data(), s.size()};
}

inline std::string_view view_of(const remora_text &t) noexcept
{
    return std::string_view(t.ptr, static_cast<std::size_t>(t.len));
}

/* A struct of remora.h, its size set and the rest 0. */
template <class C> struct sized : C {
    sized() noexcept : C()
    {
        this->struct_size = sizeof(C);
    }
};

using runtime_opts = sized<remora_runtime_opts>;
using runtime_info = sized<remora_runtime_info>;
using device = sized<remora_device>;
using source = sized<remora_source>;
using model_opts = sized<remora_model_opts>;
using model_info = sized<remora_model_info>;
using memory = sized<remora_memory>;
using convert_opts = sized<remora_convert_opts>;
using verify_opts = sized<remora_verify_opts>;
using verify_report = sized<remora_verify_report>;
using fim_opts = sized<remora_fim_opts>;
using fim_info = sized<remora_fim_info>;
using chat_format = sized<remora_chat_format>;
using chat_opts = sized<remora_chat_opts>;
using chat_info = sized<remora_chat_info>;
using turn = sized<remora_turn>;
using prompt_opts = sized<remora_prompt_opts>;
using prompt_info = sized<remora_prompt_info>;
using answer_opts = sized<remora_answer_opts>;
using chat_parse_opts = sized<remora_chat_parse_opts>;
using chat_parse_info = sized<remora_chat_parse_info>;
using chat_event = sized<remora_chat_event>;
using session_opts = sized<remora_session_opts>;
using session_info = sized<remora_session_info>;
using eval_opts = sized<remora_eval_opts>;
using stage = sized<remora_stage>;
using constraint_opts = sized<remora_constraint_opts>;
using gen_opts = sized<remora_gen_opts>;
using generation_info = sized<remora_generation_info>;
using stats = sized<remora_stats>;
using importance = sized<remora_importance>;

/* The path of a folder or file, borrowed until the model is open. */
inline source path_source(const char *path) noexcept
{
    source s;
    s.kind = REMORA_SOURCE_PATH;
    s.path = path;
    return s;
}

/* Files in memory, whose data is borrowed as remora_source says. */
inline source memory_source(span<const remora_blob> files) noexcept
{
    source s;
    s.kind = REMORA_SOURCE_MEMORY;
    s.blobs = files.data();
    s.n_blobs = files.size();
    return s;
}

/* A word that cancels calls, for their `cancel`: set() from any thread or signal handler. */
class cancel_word
{
  public:
    void set() noexcept
    {
        word_.store(1, std::memory_order_relaxed);
    }
    void clear() noexcept
    {
        word_.store(0, std::memory_order_relaxed);
    }
    const std::int32_t *get() const noexcept
    {
        static_assert(sizeof(word_) == 4 && std::atomic<std::int32_t>::is_always_lock_free, "");
        return reinterpret_cast<const std::int32_t *>(&word_);
    }

  private:
    std::atomic<std::int32_t> word_{0};
};

/* ---- results --------------------------------------------------------------------------------- */

class [[nodiscard]] outcome
{
  public:
    outcome() noexcept : error_()
    {
        error_.struct_size = sizeof error_;
    }

    explicit operator bool() const noexcept
    {
        return status_ >= 0;
    }
    remora_status status() const noexcept
    {
        return status_;
    }
    bool is_more() const noexcept
    {
        return status_ == REMORA_MORE;
    }
    bool is_end() const noexcept
    {
        return status_ == REMORA_END;
    }
    /* "E_NOMEM"; "OK", "MORE" or "END" when it is none. */
    const char *name() const noexcept
    {
        return remora_status_name(status_);
    }
    /* The reason in words, terminated; empty when there is no error. */
    const char *message() const noexcept
    {
        return status_ < 0 ? error_.message : "";
    }
    std::int32_t os_code() const noexcept
    {
        return status_ < 0 ? error_.os_code : 0;
    }

    /* For calls of one's own: f(remora_error *) returns a status. */
    template <class F> outcome &&run(F &&f) &&
    {
        status_ = f(&error_);
        return std::move(*this);
    }

  protected:
    remora_error error_;
    remora_status status_ = REMORA_OK;
};

template <class T> class [[nodiscard]] result : public outcome
{
  public:
    T &operator*() &noexcept
    {
        return value_;
    }
    const T &operator*() const &noexcept
    {
        return value_;
    }
    T &&operator*() &&noexcept
    {
        return std::move(value_);
    }
    T *operator->() noexcept
    {
        return &value_;
    }
    const T *operator->() const noexcept
    {
        return &value_;
    }

    /* For calls of one's own: f(T &, remora_error *) returns a status. */
    template <class F> result &&run(F &&f) &&
    {
        status_ = f(value_, &error_);
        return std::move(*this);
    }

  private:
    T value_{};
};

namespace detail
{

/* Arrays whose size is not known before: once more with the size that E_BUFFER says. */
template <class V, class F> result<V> filled(std::size_t guess, F &&f)
{
    return result<V>().run([&](V &v, remora_error *e) {
        std::size_t n = guess;
        remora_status st;
        do {
            v.resize(n);
            st = f(v.data(), v.size(), &n, e);
        } while (st == REMORA_E_BUFFER);
        v.resize(st < 0 ? 0 : n);
        return st;
    });
}

/* Text that ends with a NUL, which is not part of n. */
template <class F> result<std::string> named(F &&f)
{
    return result<std::string>().run([&](std::string &v, remora_error *e) {
        std::size_t n = 127;
        remora_status st;
        do {
            v.resize(n + 1);
            st = f(&v[0], v.size(), &n, e);
        } while (st == REMORA_E_BUFFER);
        v.resize(st < 0 ? 0 : n);
        return st;
    });
}

/* A new handle: f(H **, remora_error *). */
template <class W, class F> result<W> made(F &&f)
{
    return result<W>().run([&](W &w, remora_error *e) {
        typename W::raw *h = nullptr;
        const remora_status st = f(&h, e);
        w.reset(h);
        return st;
    });
}

} // namespace detail

/* A C handle that is freed with the object. */
template <class H, void(REMORA_CALL *FREE)(H *)> class handle
{
  public:
    using raw = H;
    handle() noexcept = default;
    explicit handle(H *h) noexcept : h_(h)
    {
    }
    handle(handle &&other) noexcept : h_(other.release())
    {
    }
    handle &operator=(handle &&other) noexcept
    {
        reset(other.release());
        return *this;
    }
    ~handle()
    {
        FREE(h_);
    }

    H *get() const noexcept
    {
        return h_;
    }
    explicit operator bool() const noexcept
    {
        return h_ != nullptr;
    }
    H *release() noexcept
    {
        return std::exchange(h_, nullptr);
    }
    void reset(H *h = nullptr) noexcept
    {
        FREE(std::exchange(h_, h));
    }

  private:
    H *h_ = nullptr;
};

/* ---- library --------------------------------------------------------------------------------- */

inline std::uint32_t version() noexcept
{
    return remora_version();
}
inline const char *version_string() noexcept
{
    return remora_version_string();
}
inline const char *build_info() noexcept
{
    return remora_build_info();
}
inline const char *status_name(remora_status s) noexcept
{
    return remora_status_name(s);
}

/* Does the library fit this header? */
inline bool abi_check() noexcept
{
    return remora_abi_check(REMORA_VERSION_NUM) == REMORA_OK;
}

/* ---- runtime --------------------------------------------------------------------------------- */

class runtime : public handle<remora_runtime, remora_runtime_free>
{
  public:
    static result<runtime> create(const remora_runtime_opts *opts = nullptr)
    {
        return detail::made<runtime>([&](remora_runtime **out, remora_error *e) {
            return remora_runtime_create(opts, out, e);
        });
    }
    result<runtime_info> info() const
    {
        return result<runtime_info>().run([&](runtime_info &out, remora_error *e) {
            return remora_runtime_get_info(get(), &out, e);
        });
    }
    std::uint32_t device_count() const noexcept
    {
        return remora_device_count(get());
    }
    result<device> device_at(std::uint32_t i) const
    {
        return result<device>().run(
            [&](device &out, remora_error *e) { return remora_device_get(get(), i, &out, e); });
    }
};

/* Log lines go to f(int32_t level, std::string_view line), which is borrowed until the runtime's
 * hooks are no longer called and is called from any thread. */
template <class F> void log_to(remora_runtime_opts &o, F &f) noexcept
{
    o.log_user = &f;
    o.log = [](void *user, std::int32_t level, const char *msg, std::size_t len) noexcept {
        (*static_cast<F *>(user))(level, std::string_view(msg, len));
    };
}

/* Of a model's, convert's or verify's options: f(uint64_t done, uint64_t total), borrowed for the
 * call, says whether to go on. */
template <class Opts, class F> void progress_to(Opts &o, F &f) noexcept
{
    o.progress_user = &f;
    o.progress = [](void *user, std::uint64_t done, std::uint64_t total) noexcept {
        return (*static_cast<F *>(user))(done, total) ? std::int32_t{0} : std::int32_t{1};
    };
}

/* ---- model ----------------------------------------------------------------------------------- */

struct fim_prompt {
    std::vector<token> tokens;
    fim_info info;
};

class model : public handle<remora_model, remora_model_free>
{
  public:
    static result<model> open(const remora_source &src, const remora_model_opts *opts = nullptr,
                              const runtime *rt = nullptr)
    {
        return detail::made<model>([&](remora_model **out, remora_error *e) {
            return remora_model_open(rt ? rt->get() : nullptr, &src, opts, out, e);
        });
    }
    static result<model> open(const char *path, const remora_model_opts *opts = nullptr,
                              const runtime *rt = nullptr)
    {
        return open(path_source(path), opts, rt);
    }
    static result<memory> estimate(const remora_source &src, const remora_model_opts *opts,
                                   const remora_session_opts *sopts, std::uint32_t n_sessions,
                                   const runtime *rt = nullptr)
    {
        return result<memory>().run([&](memory &out, remora_error *e) {
            return remora_model_estimate(rt ? rt->get() : nullptr, &src, opts, sopts, n_sessions,
                                         &out, e);
        });
    }
    outcome set_budget(std::uint64_t host, std::uint64_t on_device = 0)
    {
        return outcome().run(
            [&](remora_error *e) { return remora_model_set_budget(get(), host, on_device, e); });
    }
    result<model_info> info() const
    {
        return result<model_info>().run([&](model_info &out, remora_error *e) {
            return remora_model_get_info(get(), &out, e);
        });
    }
    result<memory> memory_used() const
    {
        return result<memory>().run(
            [&](memory &out, remora_error *e) { return remora_model_get_memory(get(), &out, e); });
    }
    /* Borrowed, as long as the model. */
    remora_runtime *runtime_of() const noexcept
    {
        return remora_model_runtime(get());
    }
    result<std::string> meta(const char *key) const
    {
        return detail::named([&](char *buf, std::size_t cap, std::size_t *n, remora_error *e) {
            return remora_model_meta(get(), key, buf, cap, n, e);
        });
    }
    result<std::string> meta_key(std::uint32_t i) const
    {
        return detail::named([&](char *buf, std::size_t cap, std::size_t *n, remora_error *e) {
            return remora_model_meta_key(get(), i, buf, cap, n, e);
        });
    }

    /* Into out: the number of tokens, which with E_BUFFER is the number needed. */
    result<std::size_t> tokenize(std::string_view text, std::uint32_t flags, span<token> out) const
    {
        return result<std::size_t>().run([&](std::size_t &n, remora_error *e) {
            return remora_tokenize(get(), text.data(), text.size(), flags, out.data(), out.size(),
                                   &n, e);
        });
    }
    result<std::vector<token>> tokenize(std::string_view text, std::uint32_t flags = 0) const
    {
        return detail::filled<std::vector<token>>(
            text.size() / 2 + 16, [&](token *out, std::size_t cap, std::size_t *n, auto *e) {
                return remora_tokenize(get(), text.data(), text.size(), flags, out, cap, n, e);
            });
    }
    result<std::string> token_bytes(token t) const
    {
        return detail::filled<std::string>(
            64, [&](char *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_token_bytes(get(), t, out, cap, n, e);
            });
    }
    std::uint32_t token_flags(token t) const noexcept
    {
        return remora_token_flags(get(), t);
    }
    token special(std::int32_t which) const noexcept
    {
        return remora_token_special(get(), which);
    }
    result<std::vector<token>> end_tokens() const
    {
        return detail::filled<std::vector<token>>(
            16, [&](token *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_end_tokens(get(), out, cap, n, e);
            });
    }

    result<fim_prompt> fim(std::string_view prefix, std::string_view suffix,
                           const remora_fim_opts *o = nullptr) const
    {
        return result<fim_prompt>().run([&](fim_prompt &p, remora_error *e) {
            auto tokens = detail::filled<std::vector<token>>(
                512, [&](token *out, std::size_t cap, std::size_t *n, remora_error *) {
                    return remora_fim(get(), prefix.data(), prefix.size(), suffix.data(),
                                      suffix.size(), o, out, cap, n, &p.info, e);
                });
            p.tokens = std::move(*tokens);
            return tokens.status();
        });
    }
    /* A static text. */
    result<std::string_view> fim_stop(std::uint32_t i) const
    {
        return result<std::string_view>().run([&](std::string_view &out, remora_error *e) {
            remora_text t = {nullptr, 0};
            const remora_status st = remora_fim_stop(get(), i, &t, e);
            out = view_of(t);
            return st;
        });
    }

    outcome routing_enable(bool on)
    {
        return outcome().run(
            [&](remora_error *e) { return remora_routing_enable(get(), on ? 1 : 0, e); });
    }
    result<std::vector<std::uint64_t>> routing_read(std::uint32_t layer, bool reset = false)
    {
        return detail::filled<std::vector<std::uint64_t>>(
            256, [&](std::uint64_t *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_routing_read(get(), layer, reset ? 1 : 0, out, cap, n, e);
            });
    }
    result<importance> importance_at(std::uint32_t i) const
    {
        return result<importance>().run([&](importance &out, remora_error *e) {
            return remora_importance_get(get(), i, &out, e);
        });
    }
    /* The sums; *count (may be null) is the number of tokens in them. */
    result<std::vector<double>> importance_read(std::uint32_t i, std::uint32_t matrix,
                                                std::uint64_t *count = nullptr) const
    {
        std::uint64_t ours = 0;
        return detail::filled<std::vector<double>>(1024, [&](double *out, std::size_t cap,
                                                             std::size_t *n, remora_error *e) {
            return remora_importance_read(get(), i, matrix, count ? count : &ours, out, cap, n, e);
        });
    }
};

/* ---- packs ----------------------------------------------------------------------------------- */

inline outcome convert(const remora_source &src, const char *path,
                       const remora_convert_opts *opts = nullptr, const runtime *rt = nullptr)
{
    return outcome().run([&](remora_error *e) {
        return remora_convert(rt ? rt->get() : nullptr, &src, path, opts, e);
    });
}

/* The report is filled after an error too, as far as it came. */
inline result<verify_report> verify(const remora_source &src,
                                    const remora_verify_opts *opts = nullptr,
                                    const runtime *rt = nullptr)
{
    return result<verify_report>().run([&](verify_report &out, remora_error *e) {
        return remora_verify(rt ? rt->get() : nullptr, &src, opts, &out, e);
    });
}

/* Static texts. */
struct recipe {
    const char *name = nullptr;
    const char *yaml = nullptr;
};

inline result<recipe> recipe_at(std::uint32_t i)
{
    return result<recipe>().run([&](recipe &out, remora_error *e) {
        return remora_recipe_get(i, &out.name, &out.yaml, e);
    });
}

/* ---- text of a stream of tokens -------------------------------------------------------------- */

/* Copies branch the stream. The model is borrowed: it must live as long. */
class detok
{
  public:
    explicit detok(const model &m) noexcept : m_(&m), state_()
    {
    }

    result<std::string> push(span<const token> t)
    {
        return detail::filled<std::string>(
            t.size() * 8 + 16, [&](char *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_detok_push(m_->get(), &state_, t.data(), t.size(), out, cap, n, e);
            });
    }
    result<std::string> push(token t)
    {
        return push(span<const token>(&t, 1));
    }
    /* Into out, without memory of its own. With E_BUFFER nothing has changed. */
    result<std::size_t> push(span<const token> t, span<char> out)
    {
        return result<std::size_t>().run([&](std::size_t &n, remora_error *e) {
            return remora_detok_push(m_->get(), &state_, t.data(), t.size(), out.data(), out.size(),
                                     &n, e);
        });
    }
    result<std::string> flush()
    {
        return detail::filled<std::string>(
            16, [&](char *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_detok_flush(m_->get(), &state_, out, cap, n, e);
            });
    }

  private:
    const model *m_;
    remora_detok state_;
};

/* ---- session --------------------------------------------------------------------------------- */

class sampler;

/* What a call of generate_text() delivered, also after an error. */
struct delivered {
    std::string_view text;    /* in the caller's buffer */
    std::size_t n_tokens = 0; /* in the caller's array */
};

class session : public handle<remora_session, remora_session_free>
{
  public:
    static result<session> create(model &m, const remora_session_opts *o = nullptr)
    {
        return detail::made<session>([&](remora_session **out, remora_error *e) {
            return remora_session_create(m.get(), o, out, e);
        });
    }
    result<session> fork()
    {
        return detail::made<session>([&](remora_session **out, remora_error *e) {
            return remora_session_fork(get(), out, e);
        });
    }
    result<session_info> info() const
    {
        return result<session_info>().run([&](session_info &out, remora_error *e) {
            return remora_session_get_info(get(), &out, e);
        });
    }
    result<session_opts> options() const
    {
        return result<session_opts>().run([&](session_opts &out, remora_error *e) {
            return remora_session_get_options(get(), &out, e);
        });
    }
    /* Borrowed, as long as the session. */
    remora_model *model_of() const noexcept
    {
        return remora_session_model(get());
    }
    result<std::vector<token>> tokens(std::uint64_t from = 0) const
    {
        return detail::filled<std::vector<token>>(
            256, [&](token *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_session_tokens(get(), from, out, cap, n, e);
            });
    }

    outcome append(span<const token> t, std::uint32_t want)
    {
        return outcome().run([&](remora_error *e) {
            return remora_session_append(get(), t.data(), t.size(), want, e);
        });
    }
    /* The number of tokens kept that are in the cache. */
    result<std::size_t> sync(span<const token> t, std::uint32_t want)
    {
        return result<std::size_t>().run([&](std::size_t &reused, remora_error *e) {
            return remora_session_sync(get(), t.data(), t.size(), want, &reused, e);
        });
    }
    outcome trim(std::uint64_t keep)
    {
        return outcome().run([&](remora_error *e) { return remora_session_trim(get(), keep, e); });
    }
    outcome eval(const remora_eval_opts *o = nullptr)
    {
        remora_session *one = get();
        return outcome().run([&](remora_error *e) { return remora_eval(&one, 1, o, e); });
    }

    /* Borrowed until the next append, sync, trim, generate or free. */
    result<span<const float>> logits(std::uint32_t row) const
    {
        return result<span<const float>>().run([&](span<const float> &out, remora_error *e) {
            const float *p = nullptr;
            std::size_t n = 0;
            const remora_status st = remora_session_logits(get(), row, &p, &n, e);
            out = span<const float>(p, n);
            return st;
        });
    }
    /* The best ones, as many as out has room for: those that were written. */
    result<span<remora_token_prob>> top(std::uint32_t row, span<remora_token_prob> out) const
    {
        return result<span<remora_token_prob>>().run([&](auto &found, remora_error *e) {
            std::size_t n = 0;
            const auto st = remora_session_top(get(), row, out.data(), out.size(), &n, e);
            found = out.first(st < 0 ? 0 : n);
            return st;
        });
    }
    result<float> logprob(std::uint32_t row, token t) const
    {
        return result<float>().run([&](float &out, remora_error *e) {
            return remora_session_logprob(get(), row, t, &out, e);
        });
    }
    result<std::vector<float>> hidden(std::uint32_t row) const
    {
        return detail::filled<std::vector<float>>(
            1024, [&](float *out, std::size_t cap, std::size_t *n, remora_error *e) {
                return remora_session_hidden(get(), row, out, cap, n, e);
            });
    }

    /* The number of tokens in out, also after an error. */
    result<std::size_t> generate(sampler &p, span<token> out, const remora_gen_opts *o = nullptr);
    result<delivered> generate_text(sampler &p, span<char> text, const remora_gen_opts *o = nullptr,
                                    span<token> tokens = {});
    result<generation_info> generation() const
    {
        return result<generation_info>().run([&](generation_info &out, remora_error *e) {
            return remora_session_get_generation(get(), &out, e);
        });
    }
    result<stats> numbers() const
    {
        return result<stats>().run(
            [&](stats &out, remora_error *e) { return remora_session_get_stats(get(), &out, e); });
    }
};

/* Evaluate several sessions of one model together: an array of C handles, session::get(). */
inline outcome eval(span<remora_session *const> sessions, const remora_eval_opts *o = nullptr)
{
    return outcome().run(
        [&](remora_error *e) { return remora_eval(sessions.data(), sessions.size(), o, e); });
}

/* ---- constraint and sampler ------------------------------------------------------------------ */

class constraint : public handle<remora_constraint, remora_constraint_free>
{
  public:
    static result<constraint> create(model &m, const remora_constraint_opts &o)
    {
        return detail::made<constraint>([&](remora_constraint **out, remora_error *e) {
            return remora_constraint_create(m.get(), &o, out, e);
        });
    }
    static result<constraint> json_schema(model &m, std::string_view schema,
                                          std::uint32_t flags = 0)
    {
        return of_kind(m, REMORA_CONSTRAINT_JSON_SCHEMA, schema, flags);
    }
    static result<constraint> regex(model &m, std::string_view pattern)
    {
        return of_kind(m, REMORA_CONSTRAINT_REGEX, pattern, 0);
    }
    static result<constraint> gbnf(model &m, std::string_view grammar)
    {
        return of_kind(m, REMORA_CONSTRAINT_GBNF, grammar, 0);
    }
    static result<constraint> lark(model &m, std::string_view grammar)
    {
        return of_kind(m, REMORA_CONSTRAINT_LARK, grammar, 0);
    }
    static result<constraint> choice(model &m, span<const remora_text> choices)
    {
        constraint_opts o;
        o.kind = REMORA_CONSTRAINT_CHOICE;
        o.choices = choices.data();
        o.n_choices = choices.size();
        return create(m, o);
    }

  private:
    static result<constraint> of_kind(model &m, std::int32_t kind, std::string_view text,
                                      std::uint32_t flags)
    {
        constraint_opts o;
        o.kind = kind;
        o.source = text_of(text);
        o.flags = flags;
        return create(m, o);
    }
};

/* What a stage of the host returns when it fails: the pick is then E_CALLBACK. */
inline constexpr std::size_t stage_failed = static_cast<std::size_t>(-1);

class sampler : public handle<remora_sampler, remora_sampler_free>
{
  public:
    static result<sampler> create(model &m, std::uint64_t seed)
    {
        return detail::made<sampler>([&](remora_sampler **out, remora_error *e) {
            return remora_sampler_create(m.get(), seed, out, e);
        });
    }
    outcome add(const remora_stage &s)
    {
        return outcome().run([&](remora_error *e) { return remora_sampler_add(get(), &s, e); });
    }
    outcome add(std::int32_t kind, double value, std::int64_t count = 0)
    {
        stage s;
        s.kind = kind;
        s.value = value;
        s.count = count;
        return add(s);
    }
    /* A stage of the host: f(span<remora_token_prob>) may reorder the candidates and change their
     * logits, and returns how many of the first ones to keep, or stage_failed. The sampler owns it;
     * clones share it. */
    template <class F> outcome add_stage(F f)
    {
        F *own = new (std::nothrow) F(std::move(f));
        if (!own)
            return outcome().run([](remora_error *e) {
                constexpr std::string_view why = "there is no memory for a stage of the host";
                e->code = REMORA_E_NOMEM;
                why.copy(e->message, why.size());
                return remora_status{REMORA_E_NOMEM};
            });
        stage s;
        s.kind = REMORA_STAGE_CALLBACK;
        s.user = own;
        s.fn = [](void *user, remora_token_prob *cand, std::size_t *n) noexcept {
            const std::size_t kept = (*static_cast<F *>(user))(span<remora_token_prob>(cand, *n));
            if (kept > *n) return remora_status{REMORA_E_CALLBACK};
            *n = kept;
            return remora_status{REMORA_OK};
        };
        s.release = [](void *user) noexcept { delete static_cast<F *>(user); };
        return add(s);
    }
    result<sampler> clone() const
    {
        return detail::made<sampler>([&](remora_sampler **out, remora_error *e) {
            return remora_sampler_clone(get(), out, e);
        });
    }
    void start_anew(std::uint64_t seed) noexcept
    {
        remora_sampler_reset(get(), seed);
    }
    outcome accept(token t)
    {
        return outcome().run([&](remora_error *e) { return remora_sampler_accept(get(), t, e); });
    }
    outcome spell(std::string_view text)
    {
        return outcome().run([&](remora_error *e) {
            return remora_sampler_spell(get(), text.data(), text.size(), e);
        });
    }
    outcome constrain(const constraint &c)
    {
        return outcome().run(
            [&](remora_error *e) { return remora_sampler_constrain(get(), c.get(), e); });
    }
    outcome unconstrain()
    {
        return constrain(constraint());
    }
    outcome rollback(std::uint64_t n)
    {
        return outcome().run([&](remora_error *e) { return remora_sampler_rollback(get(), n, e); });
    }
    result<token> pick(const session &s, std::uint32_t row)
    {
        return result<token>().run([&](token &out, remora_error *e) {
            return remora_sampler_pick(get(), s.get(), row, &out, e);
        });
    }
    result<token> pick_from(span<const float> logits)
    {
        return result<token>().run([&](token &out, remora_error *e) {
            return remora_sampler_pick_from(get(), logits.data(), logits.size(), &out, e);
        });
    }
};

/* ---- generate -------------------------------------------------------------------------------- */

inline result<std::size_t> session::generate(sampler &p, span<token> out, const remora_gen_opts *o)
{
    return result<std::size_t>().run([&](std::size_t &n, remora_error *e) {
        return remora_generate(get(), p.get(), o, out.data(), out.size(), &n, e);
    });
}

inline result<delivered> session::generate_text(sampler &p, span<char> text,
                                                const remora_gen_opts *o, span<token> tokens)
{
    return result<delivered>().run([&](delivered &d, remora_error *e) {
        std::size_t n = 0;
        const remora_status st =
            remora_generate_text(get(), p.get(), o, text.data(), text.size(), &n, tokens.data(),
                                 tokens.size(), &d.n_tokens, e);
        d.text = std::string_view(text.data(), n);
        return st;
    });
}

/* A new generation as the pieces of its text, for a range-based loop. The loop ends with the
 * generation or an error, which last() tells. Session, sampler and what the options point to are
 * borrowed; with a budget a piece may be empty. */
class text_stream
{
  public:
    text_stream(session &s, sampler &p, const gen_opts &o = {}) : s_(&s), p_(&p), o_(o)
    {
        o_.flags |= REMORA_GEN_NEW;
    }
    text_stream(const text_stream &) = delete;
    text_stream &operator=(const text_stream &) = delete;

    class iterator
    {
      public:
        explicit iterator(text_stream *of) noexcept : of_(of)
        {
        }
        std::string_view operator*() const noexcept
        {
            return of_->last_->text;
        }
        iterator &operator++()
        {
            if (!of_->next()) of_ = nullptr;
            return *this;
        }
        bool operator!=(const iterator &other) const noexcept
        {
            return of_ != other.of_;
        }

      private:
        text_stream *of_;
    };
    iterator begin()
    {
        return iterator(next() ? this : nullptr);
    }
    iterator end() noexcept
    {
        return iterator(nullptr);
    }
    /* What the last call of remora_generate_text() returned. */
    const result<delivered> &last() const noexcept
    {
        return last_;
    }

  private:
    /* Is there another piece? */
    bool next()
    {
        if (is_over_) return false;
        last_ = s_->generate_text(*p_, span<char>(text_), &o_);
        o_.flags &= ~std::uint32_t{REMORA_GEN_NEW};
        is_over_ = !last_.is_more();
        return last_.is_more() || !last_->text.empty();
    }

    session *s_;
    sampler *p_;
    gen_opts o_;
    char text_[512] = {};
    result<delivered> last_;
    bool is_over_ = false;
};

/* ---- chat ------------------------------------------------------------------------------------ */

/* The name of the i-th built-in chat format, static. */
inline result<const char *> chat_format_name(std::uint32_t i)
{
    return result<const char *>().run(
        [&](const char *&out, remora_error *e) { return remora_chat_format_name(i, &out, e); });
}

struct prompt {
    std::vector<token> tokens;
    prompt_info info;
};

class chat : public handle<remora_chat, remora_chat_free>
{
  public:
    static result<chat> create(model &m, const remora_chat_opts *o = nullptr)
    {
        return detail::made<chat>([&](remora_chat **out, remora_error *e) {
            return remora_chat_create(m.get(), o, out, e);
        });
    }
    outcome add(const remora_turn &t)
    {
        return outcome().run([&](remora_error *e) { return remora_chat_add(get(), &t, e); });
    }
    outcome add(std::int32_t role, std::string_view text)
    {
        turn t;
        t.role = role;
        t.text = text_of(text);
        return add(t);
    }
    outcome add_tool(std::string_view json)
    {
        return outcome().run([&](remora_error *e) {
            return remora_chat_add_tool(get(), json.data(), json.size(), e);
        });
    }
    outcome add_json(std::string_view json)
    {
        return outcome().run([&](remora_error *e) {
            return remora_chat_add_json(get(), json.data(), json.size(), e);
        });
    }
    outcome trim(std::uint64_t keep)
    {
        return outcome().run([&](remora_error *e) { return remora_chat_trim(get(), keep, e); });
    }
    result<prompt> make_prompt(const remora_prompt_opts *o = nullptr) const
    {
        return result<prompt>().run([&](prompt &p, remora_error *e) {
            auto tokens = detail::filled<std::vector<token>>(
                512, [&](token *out, std::size_t cap, std::size_t *n, remora_error *) {
                    return remora_chat_prompt(get(), o, out, cap, n, &p.info, e);
                });
            p.tokens = std::move(*tokens);
            return tokens.status();
        });
    }
    /* What the answer to that prompt may be. */
    result<constraint> bounds(const remora_prompt_opts *prompt = nullptr,
                              const remora_answer_opts *o = nullptr) const
    {
        return detail::made<constraint>([&](remora_constraint **out, remora_error *e) {
            return remora_chat_constraint(get(), prompt, o, out, e);
        });
    }
    result<chat_info> info() const
    {
        return result<chat_info>().run(
            [&](chat_info &out, remora_error *e) { return remora_chat_get_info(get(), &out, e); });
    }
};

class chat_parse : public handle<remora_chat_parse, remora_chat_parse_free>
{
  public:
    static result<chat_parse> create(model &m, const remora_chat_parse_opts *o = nullptr)
    {
        return detail::made<chat_parse>([&](remora_chat_parse **out, remora_error *e) {
            return remora_chat_parse_create(m.get(), o, out, e);
        });
    }
    /* is_more(): *event is one, and the taken tokens are no longer in t. */
    outcome next(span<const token> &t, chat_event &event)
    {
        return taking(t, [&](std::size_t *used, remora_error *e) {
            return remora_chat_parse_next(get(), t.data(), t.size(), used, &event, e);
        });
    }
    outcome next(std::string_view &text, chat_event &event)
    {
        span<const char> t(text.data(), text.size());
        outcome o = taking(t, [&](std::size_t *used, remora_error *e) {
            return remora_chat_parse_text(get(), t.data(), t.size(), used, &event, e);
        });
        text = std::string_view(t.data(), t.size());
        return o;
    }
    outcome end(bool cut, chat_event &event)
    {
        return outcome().run(
            [&](remora_error *e) { return remora_chat_parse_end(get(), cut ? 1 : 0, &event, e); });
    }
    result<chat_parse> clone() const
    {
        return detail::made<chat_parse>([&](remora_chat_parse **out, remora_error *e) {
            return remora_chat_parse_clone(get(), out, e);
        });
    }
    outcome copy_from(const chat_parse &from)
    {
        return outcome().run(
            [&](remora_error *e) { return remora_chat_parse_copy(get(), from.get(), e); });
    }
    result<chat_parse_info> info() const
    {
        return result<chat_parse_info>().run([&](chat_parse_info &out, remora_error *e) {
            return remora_chat_parse_get_info(get(), &out, e);
        });
    }

  private:
    template <class T, class F> outcome taking(span<const T> &t, F &&f)
    {
        std::size_t used = 0;
        outcome o = outcome().run([&](remora_error *e) { return f(&used, e); });
        t = t.from(used);
        return o;
    }
};

} // namespace remora
#endif /* REMORA_HPP */
