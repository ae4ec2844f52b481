/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints and their guides: what was read, going back, copies, and starting anew when the
 * machine was dropped. */
#include <string.h>

#include "constraint.h"
#include "lock.h"
#include "machine.h"
#include "masks.h"

enum { BLOCK = 64 };
#define STATE_ENDED UINT32_MAX /* behind a token that ends a turn */

struct rmr_constraint {
    rmr_mem *mem;
    atomic_uint refs;
    rmr_lock lock;
    rmr_grammar *g;
    const rmr_vocabulary *v;
    rmr_machine machine;
    rmr_masks masks;
    uint64_t generation; /* of the machine: states of another are none */
    int built;           /* the machine is whole */
};

/* Tokens that were read, and the state behind each. Shared by clones; what several have is only
 * written to enter the same states anew. */
typedef struct history {
    atomic_uint refs;
    remora_token tokens[BLOCK];
    uint32_t states[BLOCK];
} history;

struct rmr_guide {
    rmr_constraint *c;
    history **blocks;
    size_t n_blocks, cap_blocks;
    size_t n; /* tokens */
    uint64_t generation;
};

/* -- The machine and its limits -- */

static remora_status build_machine(rmr_constraint *c, remora_error *err)
{
    c->generation++;
    c->built = 0;
    if (c->machine.g == NULL) {
        RMR_TRY(rmr_machine_init(&c->machine, c->g, c->v->longest, err));
        RMR_TRY(rmr_masks_init(&c->masks, &c->machine, c->v, err));
    } else {
        if (c->masks.m != NULL) rmr_masks_forget(&c->masks);
        RMR_TRY(rmr_machine_reset(&c->machine, err));
        if (c->masks.m == NULL) RMR_TRY(rmr_masks_init(&c->masks, &c->machine, c->v, err));
    }
    c->built = 1;
    return REMORA_OK;
}

static uint32_t *state_at(const rmr_guide *m, size_t i)
{
    return &m->blocks[i / BLOCK]->states[i % BLOCK];
}

static uint32_t state_of(const rmr_guide *m)
{
    return m->n == 0 ? m->c->machine.start : *state_at(m, m->n - 1);
}

/* The state behind a token; STATE_DEAD: it may not come. */
static uint32_t behind(rmr_constraint *c, uint32_t state, remora_token t)
{
    rmr_machine *m = &c->machine;
    size_t n;
    if (state == STATE_ENDED || state == STATE_DEAD || (uint64_t)t >= c->v->n_vocab)
        return STATE_DEAD;
    const char *text = vocab_text(c->v, t, &n);
    uint32_t at = n > 0 ? state : (uint32_t)STATE_DEAD;
    for (size_t i = 0; i < n && at != STATE_DEAD; i++)
        at = rmr_state_next(m, at, (unsigned char)text[i]);
    at = rmr_state_union(m, at, rmr_state_token(m, state, (uint32_t)t));
    if (machine_failed(m)) return STATE_DEAD;
    const int ends = c->v->ends[t / 32] >> (t % 32) & 1;
    return at == STATE_DEAD && ends && m->states[state].accept ? STATE_ENDED : at;
}

/* Read all tokens once more, because their states are those of a machine that is gone. */
static remora_status replay(rmr_guide *m, remora_error *err)
{
    rmr_constraint *c = m->c;
    if (m->generation == c->generation) return REMORA_OK;
    uint32_t state = c->machine.start;
    for (size_t i = 0; i < m->n && !machine_failed(&c->machine); i++) {
        c->machine.rx->steps = 0; /* they were counted when they were read */
        state = behind(c, state, m->blocks[i / BLOCK]->tokens[i % BLOCK]);
        *state_at(m, i) = state;
    }
    RMR_TRY(rmr_rx_status(c->machine.rx, err));
    m->generation = c->generation;
    return REMORA_OK;
}

/* Something that is done under the lock: it returns what it likes to, or fails the machine. */
typedef remora_status (*job)(rmr_guide *m, void *arg, remora_error *err);

static remora_status attempt(rmr_guide *m, job j, void *arg, remora_error *err)
{
    rmr_constraint *c = m->c;
    if (!c->built) RMR_TRY(build_machine(c, err));
    c->machine.rx->steps = 0;
    RMR_TRY(replay(m, err));
    c->machine.rx->steps = 0;
    const remora_status st = j(m, arg, err);
    return machine_failed(&c->machine) ? rmr_rx_status(c->machine.rx, err) : st;
}

/* A machine that fails is dropped. If it had much in it that this text does not need, an empty one
 * may do. */
static remora_status perform(rmr_guide *m, job j, void *arg, remora_error *err)
{
    rmr_constraint *c = m->c;
    if (rmr_lock_take(&c->lock)) c->built = 0; /* a child of fork(): it may be half changed */
    remora_status st = attempt(m, j, arg, err);
    if (c->machine.g != NULL && machine_failed(&c->machine)) {
        const int steps = c->machine.rx->steps > c->g->lim.step;
        c->built = 0;
        if (st == REMORA_E_LIMIT && !steps) st = attempt(m, j, arg, err);
        if (c->machine.g != NULL && machine_failed(&c->machine)) c->built = 0;
    }
    rmr_lock_give(&c->lock);
    return st;
}

/* -- Constraints -- */

static void unref(rmr_constraint *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1) return;
    rmr_masks_free(&c->masks);
    rmr_machine_free(&c->machine);
    rmr_grammar_free(c->g);
    rmr_free(c->mem, c, sizeof *c);
}

remora_status rmr_constraint_new(rmr_mem *mem, rmr_grammar *g, const rmr_vocabulary *v,
                                 rmr_constraint **out, remora_error *err)
{
    rmr_constraint *c = rmr_calloc(mem, 1, sizeof *c);
    if (c == NULL) {
        rmr_grammar_free(g);
        return rmr_error_nomem(err, "a constraint", sizeof *c);
    }
    c->mem = mem;
    c->g = g;
    c->v = v;
    atomic_init(&c->refs, 1);
    rmr_lock_init(&c->lock);
    const remora_status st = build_machine(c, err);
    if (st < 0) {
        unref(c);
        return RMR_PASSED_ON(st);
    }
    *out = c;
    return REMORA_OK;
}

void rmr_constraint_free(rmr_constraint *c)
{
    if (c != NULL) unref(c);
}

/* -- Matchers -- */

remora_status rmr_guide_new(rmr_constraint *c, rmr_guide **out, remora_error *err)
{
    rmr_guide *m = rmr_calloc(c->mem, 1, sizeof *m);
    if (m == NULL) return rmr_error_nomem(err, "a guide", sizeof *m);
    m->c = c;
    atomic_fetch_add(&c->refs, 1);
    *out = m;
    return REMORA_OK;
}

static void drop_block(rmr_guide *m, size_t i)
{
    history *h = m->blocks[i];
    if (atomic_fetch_sub(&h->refs, 1) == 1) rmr_free(m->c->mem, h, sizeof *h);
}

void rmr_guide_free(rmr_guide *m)
{
    if (m == NULL) return;
    rmr_constraint *c = m->c;
    for (size_t i = 0; i < m->n_blocks; i++) drop_block(m, i);
    rmr_free(c->mem, m->blocks, m->cap_blocks * sizeof *m->blocks);
    rmr_free(c->mem, m, sizeof *m);
    unref(c);
}

remora_status rmr_guide_clone(const rmr_guide *m, rmr_guide **out, remora_error *err)
{
    rmr_guide *x = NULL;
    RMR_TRY(rmr_guide_new(m->c, &x, err));
    const remora_status st =
        rmr_grow(m->c->mem, &x->blocks, &x->cap_blocks, m->n_blocks, sizeof *x->blocks, err);
    if (st < 0) {
        rmr_guide_free(x);
        return RMR_PASSED_ON(st);
    }
    for (size_t i = 0; i < m->n_blocks; i++) {
        x->blocks[i] = m->blocks[i];
        atomic_fetch_add(&x->blocks[i]->refs, 1);
    }
    x->n_blocks = m->n_blocks;
    x->n = m->n;
    x->generation = m->generation;
    *out = x;
    return REMORA_OK;
}

size_t rmr_guide_count(const rmr_guide *m)
{
    return m->n;
}

remora_status rmr_guide_rollback(rmr_guide *m, size_t n, remora_error *err)
{
    if (n > m->n)
        RMR_FAIL(err, REMORA_E_ARG, "the constraint has read %zu tokens and cannot go back by %zu",
                 m->n, n);
    m->n -= n;
    while (m->n_blocks > (m->n + BLOCK - 1) / BLOCK) drop_block(m, --m->n_blocks);
    return REMORA_OK;
}

/* Room for one more token in a block that is this guide's alone. */
static remora_status own_block(rmr_guide *m, remora_error *err)
{
    rmr_mem *mem = m->c->mem;
    const size_t i = m->n / BLOCK;
    if (i < m->n_blocks && atomic_load(&m->blocks[i]->refs) == 1) return REMORA_OK;
    RMR_TRY(rmr_grow(mem, &m->blocks, &m->cap_blocks, i + 1, sizeof *m->blocks, err));
    history *h = rmr_alloc(mem, sizeof *h);
    if (h == NULL) return rmr_error_nomem(err, "tokens of a guide", sizeof *h);
    atomic_init(&h->refs, 1);
    if (i < m->n_blocks) {
        memcpy(h->tokens, m->blocks[i]->tokens, sizeof h->tokens);
        memcpy(h->states, m->blocks[i]->states, sizeof h->states);
        drop_block(m, i);
    } else {
        m->n_blocks++;
    }
    m->blocks[i] = h;
    return REMORA_OK;
}

static remora_status not_allowed(remora_token t, remora_error *err)
{
    RMR_FAIL(err, REMORA_E_NO_TOKEN, "the constraint does not allow token %d here", (int)t);
}

static remora_status accept_job(rmr_guide *m, void *arg, remora_error *err)
{
    const remora_token t = *(const remora_token *)arg;
    const uint32_t state = behind(m->c, state_of(m), t);
    if (machine_failed(&m->c->machine)) return REMORA_OK;
    if (state == STATE_DEAD) return not_allowed(t, err);
    RMR_TRY(own_block(m, err));
    m->blocks[m->n / BLOCK]->tokens[m->n % BLOCK] = t;
    *state_at(m, m->n) = state;
    m->n++;
    return REMORA_OK;
}

remora_status rmr_guide_accept(rmr_guide *m, remora_token t, remora_error *err)
{
    return perform(m, accept_job, &t, err);
}

static remora_status allows_job(rmr_guide *m, void *arg, remora_error *err)
{
    const remora_token t = *(const remora_token *)arg;
    return behind(m->c, state_of(m), t) == STATE_DEAD ? not_allowed(t, err) : REMORA_OK;
}

remora_status rmr_guide_allows(rmr_guide *m, remora_token t, remora_error *err)
{
    return perform(m, allows_job, &t, err);
}

static remora_status mask_job(rmr_guide *m, void *arg, remora_error *err)
{
    uint32_t *mask = arg, any = 0;
    const uint32_t state = state_of(m);
    if (state == STATE_ENDED)
        RMR_FAIL(err, REMORA_E_NO_TOKEN,
                 "the text of the constraint has ended: no token may follow");
    rmr_masks_of(&m->c->masks, state, mask);
    for (uint32_t i = 0; i < m->c->v->words; i++) any |= mask[i];
    if (any == 0)
        RMR_FAIL(err, REMORA_E_NO_TOKEN,
                 "the vocabulary has no token for what the constraint wants here");
    return REMORA_OK;
}

remora_status rmr_guide_mask(rmr_guide *m, uint32_t *mask, remora_error *err)
{
    return perform(m, mask_job, mask, err);
}

static remora_status end_job(rmr_guide *m, void *arg, remora_error *err)
{
    (void)err;
    const uint32_t state = state_of(m);
    *(int *)arg = state == STATE_ENDED ? 2 : m->c->machine.states[state].accept;
    return REMORA_OK;
}

remora_status rmr_guide_may_end(rmr_guide *m, int *end, remora_error *err)
{
    return perform(m, end_job, end, err);
}

/* -- Forced text -- */

enum { MOST_FORCED = 512 };

typedef struct forced {
    char text[MOST_FORCED];
    size_t n;
    remora_token *tokens;
    size_t n_tokens;
} forced;

/* The only byte that may follow, or -1. */
static int find_only_byte(rmr_machine *m, uint32_t state)
{
    const parse_state s = m->states[state];
    unsigned count[256] = {0};
    int only = -1;
    if (s.accept) return -1;
    for (uint32_t i = 0; i < s.n; i++) {
        const scan x = m->scans[s.scans + i];
        if (x.text == TEXT_FRESH && m->rows[x.row].n_tokens > 0) return -1;
    }
    for (unsigned b = 0; b < 256; b++) count[m->rx->class_of[b]]++;
    for (unsigned c = 0; c < m->n_classes; c++) {
        const unsigned b = m->rx->class_byte[c];
        if (rmr_state_next(m, state, b) == STATE_DEAD) continue;
        if (only >= 0 || count[c] > 1) return -1;
        only = (int)b;
    }
    return only;
}

static int only_byte(rmr_machine *m, uint32_t state)
{
    if (m->states[state].only == 0) {
        const int b = find_only_byte(m, state);
        if (machine_failed(m)) return -1;
        m->states[state].only = (uint16_t)(b < 0 ? 1 : b + 2);
    }
    return m->states[state].only - 2;
}

static uint32_t collect(rmr_machine *m, uint32_t state, forced *f)
{
    while (f->n < MOST_FORCED) {
        const int b = only_byte(m, state);
        if (b < 0) break;
        f->text[f->n++] = (char)b;
        state = rmr_state_next(m, state, (unsigned)b);
    }
    return state;
}

static remora_status collect_job(rmr_guide *m, void *arg, remora_error *err)
{
    forced *f = arg;
    (void)err;
    f->n = 0;
    if (state_of(m) != STATE_ENDED) collect(&m->c->machine, state_of(m), f);
    return REMORA_OK;
}

/* Leave out the last tokens that another one might replace, which goes on behind the text. */
static remora_status drop_job(rmr_guide *m, void *arg, remora_error *err)
{
    enum { FAR = 4 };
    forced *f = arg;
    rmr_constraint *c = m->c;
    forced again;
    (void)err;
    again.n = 0;
    const uint32_t end = collect(&c->machine, state_of(m), &again);
    size_t at[FAR + 1], n = f->n, k = 0;
    for (; k < FAR && k < f->n_tokens; k++) {
        size_t len;
        vocab_text(c->v, f->tokens[f->n_tokens - 1 - k], &len);
        n -= len < n ? len : n;
        at[k] = n;
    }
    while (k-- > 0)
        if (f->n > at[k] && rmr_masks_crossed(&c->masks, f->text + at[k], f->n - at[k], end)) {
            f->n_tokens -= k + 1;
            break;
        }
    return REMORA_OK;
}

/* Tokens of the forced text that do not have its bytes (an encoder that normalizes) are none. */
static size_t faithful(const rmr_vocabulary *v, const forced *f)
{
    size_t at = 0;
    for (size_t i = 0; i < f->n_tokens; i++) {
        size_t n = 0;
        const char *s =
            (uint64_t)f->tokens[i] < v->n_vocab ? vocab_text(v, f->tokens[i], &n) : NULL;
        if (n == 0 || n > f->n - at || memcmp(s, f->text + at, n) != 0) return 0;
        at += n;
    }
    return at == f->n ? f->n_tokens : 0;
}

remora_status rmr_guide_forced(rmr_guide *m, rmr_encode encode, void *user, remora_token *out,
                               size_t cap, size_t *n, remora_error *err)
{
    remora_token tokens[MOST_FORCED];
    forced f = {.n = 0, .tokens = tokens};
    *n = 0;
    RMR_TRY(perform(m, collect_job, &f, err));
    if (f.n == 0) return REMORA_OK;
    RMR_TRY(encode(user, f.text, f.n, tokens, MOST_FORCED, &f.n_tokens, err));
    f.n_tokens = faithful(m->c->v, &f);
    RMR_TRY(perform(m, drop_job, &f, err));
    *n = f.n_tokens < cap ? f.n_tokens : cap;
    memcpy(out, tokens, *n * sizeof *out);
    return REMORA_OK;
}
