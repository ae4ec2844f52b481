/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <string.h>

#include "option.h"

remora_status rmr_session_enter(remora_session *s, remora_error *err)
{
    return rmr_use_begin(&s->use, "session", err);
}

remora_status rmr_session_look(const remora_session *s, remora_error *err)
{
    return rmr_use_look(&s->use, "session", err);
}

/* The invariants of a session between any two calls. */
static int is_sound(const remora_session *s)
{
    const rmr_output_rows *r = &s->rows;
    return s->committed <= s->n_tokens && s->n_tokens <= s->capacity &&
           rmr_pages_for(s->n_tokens) <= s->cache.n && s->cache.n <= s->cache.max &&
           r->n_ready <= r->n_wanted && r->n_wanted <= r->cap && r->n_wanted <= r->flags_cap;
}

void rmr_session_leave(remora_session *s)
{
    RMR_ASSERT(is_sound(s));
    rmr_use_end(&s->use);
}

static uint32_t capacity_of(const remora_model *m, const remora_session_opts *o)
{
    if (o->capacity > 0) return o->capacity;
    return m->shape.max_context < RMR_DEFAULT_CAPACITY ? m->shape.max_context
                                                       : RMR_DEFAULT_CAPACITY;
}

static uint32_t chunk_of(const remora_model *m, const remora_session_opts *o)
{
    const uint32_t chunk = o->chunk > 0 ? o->chunk : RMR_DEFAULT_CHUNK,
                   capacity = capacity_of(m, o);
    return chunk < capacity ? chunk : capacity;
}

static rmr_kv_type type_of(const remora_session_opts *o)
{
    if (o->kv_type == REMORA_KV_INT8) return RMR_KV_INT8;
    return o->kv_type == REMORA_KV_F32 ? RMR_KV_F32 : RMR_KV_BF16;
}

static remora_status check_opts(const remora_model *m, const remora_session_opts *o,
                                remora_error *err)
{
    const uint32_t known = REMORA_SESSION_PAGES_AS_NEEDED | REMORA_SESSION_PREDICTION;
    if ((o->flags & ~known) != 0 || o->reserved != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "session flags 0x%x or reserved %u are not known", o->flags,
                 o->reserved);
    RMR_TRY(rmr_options_check(o->extra, o->n_extra, err));
    if (o->n_extra > 0) {
        RMR_TRY(rmr_option_check(o->extra, 0, err));
        return rmr_option_unknown(&o->extra[0], "sessions have none", err);
    }
    if (o->kv_type < 0 || o->kv_type > REMORA_KV_F32)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "kv_type %d is not known", o->kv_type);
    if (!rmr_cache_stores(&m->cache, type_of(o)))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "kv_type INT8 is for models with latent attention");
    if (o->capacity > m->shape.max_context)
        RMR_FAIL(err, REMORA_E_ARG, "capacity %u is above the model's max_context %u", o->capacity,
                 m->shape.max_context);
    if (o->chunk > RMR_MAX_CHUNK)
        RMR_FAIL(err, REMORA_E_ARG, "chunk %u is above %d", o->chunk, RMR_MAX_CHUNK);
    return REMORA_OK;
}

/* The struct and the timeline, in one block. NULL when counting. */
static remora_session *lay_out(rmr_arena *a, uint32_t capacity)
{
    remora_session *s = rmr_arena_take(a, 1, sizeof *s);
    remora_token *tokens = rmr_arena_take(a, capacity, sizeof *tokens);
    uint8_t *flags = rmr_arena_take(a, capacity, sizeof *flags);
    if (s == NULL) return NULL;
    *s = (remora_session){.tokens = tokens, .flags = flags, .capacity = capacity};
    return s;
}

/* The options of a session, as they were chosen. */
typedef struct traits {
    uint32_t capacity, chunk;
    rmr_kv_type type;
    int as_needed; /* pages of the cache */
    int predicts;  /* it drafts with the model's prediction layer */
} traits;

static traits traits_of(const remora_model *m, const remora_session_opts *o)
{
    return (traits){capacity_of(m, o), chunk_of(m, o), type_of(o),
                    (o->flags & REMORA_SESSION_PAGES_AS_NEEDED) != 0,
                    (o->flags & REMORA_SESSION_PREDICTION) != 0 && m->shape.n_predict > 0};
}

/* Everything but the cache contents. */
static remora_status make(remora_model *m, const traits *t, remora_session **out, remora_error *err)
{
    rmr_mem *mem = &m->session_mem;
    rmr_arena a = {0};
    lay_out(&a, t->capacity);
    RMR_TRY(rmr_arena_make(&a, mem, "session", err));
    remora_session *s = lay_out(&a, t->capacity);
    s->block_bytes = a.size;
    s->model = m;
    s->mem = mem;
    s->serial = atomic_fetch_add_explicit(&m->serial, 1, memory_order_relaxed);
    s->chunk = t->chunk;
    rmr_use_init(&s->use);
    rmr_model_ref(m);
    remora_status st =
        rmr_page_table_init(&s->cache, &m->pages, rmr_cache_page_bytes(&m->cache, t->type), t->type,
                            t->capacity, t->as_needed, err);
    if (st >= 0 && t->predicts) st = rmr_predictor_make(s, t->capacity, t->as_needed, err);
    if (st >= 0) st = rmr_output_rows_make_room(s, 1, 0, err);
    if (st >= 0)
        st = rmr_contexts_reserve(m, rmr_session_context_size(t->chunk, s->cache.max), err);
    s->has_context = st >= 0;
    if (st < 0) {
        rmr_session_free(s);
        return st;
    }
    *out = s;
    return REMORA_OK;
}

remora_status rmr_session_create(remora_model *m, const remora_session_opts *o,
                                 remora_session **out, remora_error *err)
{
    *out = NULL;
    RMR_TRY(check_opts(m, o, err));
    if (!m->has_weights) RMR_FAIL(err, REMORA_E_ARG, "the model was opened without weights");
    const traits t = traits_of(m, o);
    return make(m, &t, out, err);
}

remora_status rmr_session_fork(remora_session *s, remora_session **out, remora_error *err)
{
    remora_session *f;
    *out = NULL;
    const traits t = {s->capacity, s->chunk, s->cache.type, s->cache.as_needed, s->predictor.on};
    RMR_TRY(make(s->model, &t, &f, err));
    remora_status st = rmr_page_table_fork(&f->cache, &s->cache, s->committed, err);
    if (st >= 0) st = rmr_page_table_reserve(&f->cache, s->committed, s->n_tokens, err);
    if (st >= 0) st = rmr_output_rows_copy(f, s, err);
    if (st < 0) {
        rmr_session_free(f);
        return st;
    }
    memcpy(f->tokens, s->tokens, s->n_tokens * sizeof *s->tokens);
    memcpy(f->flags, s->flags, s->n_tokens * sizeof *s->flags);
    f->worth = s->worth;
    f->worth.asked = 0; /* it has no rows of drafts (ahead.h), so it cannot say which were right */
    f->n_tokens = s->n_tokens;
    f->committed = s->committed;
    *out = f;
    return REMORA_OK;
}

/* Rows and pages are left alone, because the other thread may have been changing them. Pages go
 * with the model, rows with the process. */
static void free_lost(remora_session *s)
{
    remora_model *m = s->model;
    rmr_contexts_forget(m, s);
    if (s->has_context) rmr_contexts_release(m);
    rmr_arena_free(s->mem, s, s->block_bytes);
    rmr_model_unref(m);
}

void rmr_session_free(remora_session *s)
{
    if (s == NULL) return;
    remora_model *m = s->model;
    if (rmr_use_is_lost(&s->use)) {
        free_lost(s);
        return;
    }
    rmr_step_in_progress_drop(s);
    if (s->has_context) rmr_contexts_release(m);
    rmr_gen_end(s);
    rmr_ahead_free(s);
    rmr_predictor_free(s);
    rmr_output_rows_free(s);
    rmr_page_table_free(&s->cache);
    rmr_arena_free(s->mem, s, s->block_bytes);
    rmr_model_unref(m);
}

/* The bytes of a cache that is full; UINT64_MAX when they overflow. */
static rmr_bytes cache_cost(const remora_model *m, const traits *t, uint64_t page)
{
    const uint64_t pages = rmr_pages_for(t->capacity);
    if (!t->as_needed) return rmr_pages_cost(m->be, page, pages + RMR_PAGE_SPARE);
    rmr_bytes b = rmr_pages_cost(m->be, page, 1);
    if (!rmr_mul_ok(b.host, pages, &b.host)) b.host = UINT64_MAX;
    if (!rmr_mul_ok(b.device, pages, &b.device)) b.device = UINT64_MAX;
    return b;
}

remora_status rmr_session_estimate(remora_model *m, const remora_session_opts *o, uint32_t n,
                                   remora_memory *out, remora_error *err)
{
    RMR_TRY(check_opts(m, o, err));
    const traits t = traits_of(m, o);
    const uint32_t capacity = t.capacity;
    rmr_arena a = {0};
    lay_out(&a, capacity);
    const uint64_t session = a.used + rmr_page_table_own_bytes(capacity) +
                             rmr_output_rows_bytes(m) +
                             (t.predicts ? rmr_predictor_bytes(m, capacity) : 0);
    rmr_bytes cache = cache_cost(m, &t, rmr_cache_page_bytes(&m->cache, t.type));
    if (t.predicts) {
        const rmr_bytes layer = cache_cost(m, &t, rmr_cache_apart_bytes(&m->cache, t.type));
        if (!rmr_add_ok(cache.host, layer.host, &cache.host)) cache.host = UINT64_MAX;
        if (!rmr_add_ok(cache.device, layer.device, &cache.device)) cache.device = UINT64_MAX;
    }
    rmr_model_memory(m, out);
    if (!rmr_mul_ok(cache.host, n, &out->host_kv) ||
        !rmr_mul_ok(cache.device, n, &out->device_kv) ||
        !rmr_mul_ok(session, n, &out->host_scratch) || out->host_kv > INT64_MAX ||
        out->device_kv > INT64_MAX || out->host_scratch > INT64_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "%u sessions of %u tokens take more than 2^63 bytes", n,
                 capacity);
    const rmr_bytes context =
        rmr_context_bytes(m, rmr_session_context_size(t.chunk, rmr_pages_for(capacity)));
    if (n > 0) out->host_scratch += context.host;
    if (n > 0) out->device_scratch += context.device;
    out->kv_bytes_per_token = rmr_cache_page_bytes(&m->cache, t.type) / RMR_PAGE_TOKENS;
    return REMORA_OK;
}

/* ---- the timeline ---- */

static int wants(uint32_t want, size_t i, size_t n)
{
    if (want & REMORA_WANT_ALL) return 1;
    return (want & (REMORA_WANT_LAST | REMORA_WANT_HIDDEN)) != 0 && i + 1 == n;
}

static remora_status check_append(const remora_session *s, const remora_token *t, size_t n,
                                  uint32_t want, remora_error *err)
{
    if (want & ~(uint32_t)(REMORA_WANT_LAST | REMORA_WANT_ALL | REMORA_WANT_HIDDEN))
        RMR_FAIL(err, REMORA_E_ARG, "want 0x%x is not known", want);
    if (n > s->capacity - s->n_tokens)
        RMR_FAIL(err, REMORA_E_FULL, "%llu tokens and %zu more exceed the capacity %u",
                 (unsigned long long)s->n_tokens, n, s->capacity);
    for (size_t i = 0; i < n; i++)
        if (t[i] < 0 || (uint32_t)t[i] >= s->model->shape.n_vocab)
            RMR_FAIL(err, REMORA_E_ARG, "token %zu is %d, the vocabulary has %u", i, t[i],
                     s->model->shape.n_vocab);
    return REMORA_OK;
}

remora_status rmr_session_append(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                                 remora_error *err)
{
    RMR_TRY(check_append(s, t, n, want, err));
    if (n == 0) return REMORA_OK;
    const uint32_t n_rows = want & REMORA_WANT_ALL ? (uint32_t)n : want != 0;
    const rmr_output_rows before = s->rows;
    if (s->n_tokens == s->committed)
        rmr_output_rows_clear(&s->rows); /* all evaluated: the old rows go */
    remora_status st = rmr_output_rows_make_room(s, n_rows, (want & REMORA_WANT_HIDDEN) != 0, err);
    if (st >= 0) st = rmr_page_table_reserve(&s->cache, s->n_tokens, s->n_tokens + n, err);
    if (st < 0) {
        s->rows.n_wanted = before.n_wanted;
        s->rows.n_ready = before.n_ready;
        return st;
    }
    memcpy(s->tokens + s->n_tokens, t, n * sizeof *t);
    for (size_t i = 0; i < n; i++) {
        uint8_t f = n >= RMR_PROMPT_TOKENS ? RMR_TOKEN_EXPANDED : 0;
        if (wants(want, i, n))
            f |=
                want & REMORA_WANT_HIDDEN ? RMR_TOKEN_WANT | RMR_TOKEN_WANT_HIDDEN : RMR_TOKEN_WANT;
        s->flags[s->n_tokens + i] = f;
    }
    s->n_tokens += n;
    s->rows.n_wanted += n_rows;
    rmr_output_rows_give_back(s);
    return REMORA_OK;
}

remora_status rmr_session_trim(remora_session *s, uint64_t keep, remora_error *err)
{
    if (keep > s->n_tokens)
        RMR_FAIL(err, REMORA_E_ARG, "keep is %llu, the timeline has %llu tokens",
                 (unsigned long long)keep, (unsigned long long)s->n_tokens);
    if (keep < s->n_tokens) rmr_gen_end(s);
    rmr_session_touch(s, keep);
    rmr_output_rows_trim(s, keep);
    rmr_predictor_trim(s, keep);
    s->n_tokens = keep;
    if (s->committed > keep) s->committed = keep;
    rmr_page_table_trim(&s->cache, keep);
    return REMORA_OK;
}

remora_status rmr_session_want_last(remora_session *s, int hidden, remora_error *err)
{
    RMR_ASSERT(s->n_tokens > 0);
    const uint64_t last = s->n_tokens - 1;
    const uint8_t want = (uint8_t)(RMR_TOKEN_WANT | (hidden ? RMR_TOKEN_WANT_HIDDEN : 0));
    const int pending = s->n_tokens > s->committed;
    if (pending && (s->flags[last] & want) == want) return REMORA_OK;
    if (!pending && s->rows.n_ready > 0 && s->rows.last == last &&
        (!hidden || s->rows.has_hidden[s->rows.n_ready - 1]))
        return REMORA_OK;
    const rmr_output_rows before = s->rows;
    if (!pending) rmr_output_rows_clear(&s->rows);
    const int counted = pending && (s->flags[last] & RMR_TOKEN_WANT);
    remora_status st = rmr_output_rows_make_room(s, counted ? 0 : 1, hidden, err);
    if (st >= 0) st = rmr_page_table_reserve(&s->cache, last, s->n_tokens, err);
    if (st < 0) {
        s->rows.n_wanted = before.n_wanted;
        s->rows.n_ready = before.n_ready;
        return st;
    }
    rmr_session_touch(s, last);
    s->rows.n_wanted += counted ? 0 : 1;
    s->flags[last] = (uint8_t)((s->flags[last] & RMR_TOKEN_EXPANDED) | want);
    if (!pending) s->committed = last;
    return REMORA_OK;
}

void rmr_session_unwant(remora_session *s, uint64_t position)
{
    RMR_ASSERT(position < s->n_tokens);
    if (position < s->committed || !(s->flags[position] & RMR_TOKEN_WANT)) return;
    rmr_session_touch(s, position);
    s->flags[position] &= RMR_TOKEN_EXPANDED;
    s->rows.n_wanted--;
}

remora_status rmr_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                               size_t *reused, remora_error *err)
{
    size_t keep = 0;
    while (keep < n && keep < s->n_tokens && s->tokens[keep] == t[keep]) keep++;
    const uint64_t had = s->n_tokens;
    s->n_tokens = keep; /* the state that append will check */
    const remora_status st = check_append(s, t + keep, n - keep, want, err);
    s->n_tokens = had;
    RMR_TRY(st);
    RMR_ASSERT(keep <= n && keep <= s->n_tokens);
    if (keep < s->n_tokens) RMR_TRY(rmr_session_trim(s, keep, err));
    const uint64_t kept = s->committed;
    if (keep < n)
        RMR_TRY(rmr_session_append(s, t + keep, n - keep, want, err));
    else if (n > 0 && want != REMORA_WANT_NONE)
        RMR_TRY(rmr_session_want_last(s, (want & REMORA_WANT_HIDDEN) != 0, err));
    const uint64_t used = s->committed < kept ? s->committed : kept;
    if (reused != NULL) *reused = (size_t)used;
    s->stats.reused_tokens += used;
    return REMORA_OK;
}
