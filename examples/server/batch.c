/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"
#include "slots.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAKERS = 2,  /* a request that takes long to make leaves one for others */
    BESIDE = 64, /* tokens of prompts in a step that others take part in */
    MOST_SLOTS = 256,
    LOOK_NS = 200000000 /* how often the clients of waiting jobs are looked at when nothing runs */
};

struct sv_batch {
    sv_slots slots; /* its thread alone */
    sv_batch_opts o;
    pthread_t threads[1 + MAKERS];
    int n_threads;
    pthread_mutex_t lock;
    pthread_cond_t news;    /* a job that is made, room in `out`, the end */
    pthread_cond_t to_make; /* a job that is not made, the end */
    sv_job *first, *last;   /* that wait */
    sv_counts counts;
    int closed, stops;
    int32_t cancel; /* of the step under way */
};

void sv_batch_lock(sv_batch *b)
{
    pthread_mutex_lock(&b->lock);
}

void sv_batch_unlock(sv_batch *b)
{
    pthread_cond_signal(&b->news);
    pthread_mutex_unlock(&b->lock);
}

void sv_batch_counts(sv_batch *b, sv_counts *out)
{
    pthread_mutex_lock(&b->lock);
    *out = b->counts;
    for (const sv_job *j = b->first; j != NULL; j = j->next) out->unmade += j->state != SV_MADE;
    pthread_mutex_unlock(&b->lock);
}

/* ---- jobs, under the lock ---- */

static void drop(sv_job *j)
{
    if (--j->refs == 0) sv_job_free(j);
}

static void wake(sv_job *j)
{
    if (!j->asleep) return;
    j->asleep = 0;
    j->wake(j->connection);
}

/* What was made goes to the client. Whatever is left of it when memory is out is lost, and the
 * answer with it. */
static void hand_over(sv_job *j)
{
    if (j->made.n > 0 && tool_buffer_add(&j->out, j->made.s, j->made.n) < 0) j->done = 1;
    j->made.n = 0;
    if (j->done || (j->r.stream && j->out.n > j->sent)) wake(j);
}

static void refuse_with(sv_job *j, const sv_problem *why)
{
    j->http = why->http;
    j->done = 1;
    sv_wire_problem(j, why);
    hand_over(j);
}

static void refuse(sv_job *j, int http, const char *message)
{
    sv_problem why = {.http = http};
    snprintf(why.message, sizeof why.message, "%s", message);
    refuse_with(j, &why);
}

int sv_batch_submit(sv_batch *b, sv_job *j, sv_problem *why)
{
    int result = 0;
    sv_batch_lock(b);
    if (b->closed) {
        result = sv_refuse(why, 503, NULL, "stopping", "the server stops");
    } else if (b->counts.waiting >= b->o.queue) {
        result = sv_refuse(why, 503, NULL, "queue_full", "%u requests are waiting already",
                           b->counts.waiting);
    } else {
        j->refs++;
        j->next = NULL;
        if (b->last != NULL)
            b->last->next = j;
        else
            b->first = j;
        b->last = j;
        b->counts.waiting++;
        pthread_cond_signal(&b->to_make);
    }
    sv_batch_unlock(b);
    return result;
}

void sv_batch_drop(sv_batch *b, sv_job *j)
{
    sv_batch_lock(b);
    drop(j);
    sv_batch_unlock(b);
}

/* The first job that waits and is so far; NULL: there is none. */
static sv_job *first_of(const sv_batch *b, int state)
{
    sv_job *j = b->first;
    while (j != NULL && j->state != state) j = j->next;
    return j;
}

/* Out of those that wait. 0: it is not among them. */
static int take_out(sv_batch *b, const sv_job *j)
{
    sv_job *before = NULL;
    for (sv_job *k = b->first; k != j; before = k, k = k->next)
        if (k == NULL) return 0;
    if (before != NULL)
        before->next = j->next;
    else
        b->first = j->next;
    if (b->last == j) b->last = before;
    b->counts.waiting--;
    return 1;
}

/* ---- clients that go away: their connections sleep, so nobody else looks ---- */

static void look_at(sv_batch *b, sv_job *j)
{
    struct pollfd p = {.fd = j->fd, .events = POLLRDHUP};
    if (j->gone || j->fd < 0) return;
    if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR))) return;
    j->gone = 1;
    b->counts.gone++;
    wake(j);
}

static void look_at_clients(sv_batch *b)
{
    for (uint32_t i = 0; i < b->slots.n; i++)
        if (b->slots.v[i].job != NULL) look_at(b, b->slots.v[i].job);
    for (sv_job *j = b->first, *next; j != NULL; j = next) {
        next = j->next;
        look_at(b, j);
        if (j->gone && take_out(b, j)) drop(j);
    }
}

/* ---- the makers ---- */

/* Nothing of a stream has begun, so what is wrong with a request is a status of HTTP. */
static void not_made(sv_batch *b, sv_job *j, const sv_problem *why)
{
    j->r.stream = 0;
    if (!take_out(b, j)) return; /* its client is gone */
    refuse_with(j, why);
    drop(j);
}

static void was_made(sv_batch *b, sv_job *j)
{
    j->state = SV_MADE;
    b->counts.jobs++;
    if (j->r.stream) wake(j);
    pthread_cond_signal(&b->news);
}

static void *make_jobs(void *arg)
{
    sv_batch *b = arg;
    pthread_mutex_lock(&b->lock);
    while (!b->stops) {
        sv_problem why = {0};
        sv_job *j = first_of(b, SV_WAITS);
        if (j == NULL) {
            pthread_cond_wait(&b->to_make, &b->lock);
            continue;
        }
        j->state = SV_IN_MAKING;
        j->refs++;
        pthread_mutex_unlock(&b->lock);
        const int ok = sv_job_make(j, &why) == 0;
        pthread_mutex_lock(&b->lock);
        if (ok)
            was_made(b, j);
        else
            not_made(b, j, &why);
        drop(j);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- the thread ---- */

/* The job has no more to do; its timeline stays unless it is not to be trusted. */
static void finish(sv_batch *b, sv_slot *slot, int forget)
{
    sv_job *j = slot->job;
    if (forget)
        sv_slot_forget(&b->slots, slot);
    else
        sv_slot_leave(&b->slots, slot);
    pthread_mutex_lock(&b->lock);
    j->done = 1;
    hand_over(j);
    b->counts.running--;
    b->counts.finished++;
    drop(j);
    pthread_mutex_unlock(&b->lock);
}

static void fail(sv_batch *b, sv_slot *slot, remora_status st, const remora_error *err)
{
    const int full = st == REMORA_E_NOMEM || st == REMORA_E_DEVICE_MEM;
    char message[300];
    snprintf(message, sizeof message, "%s: %s", remora_status_name(st), err ? err->message : "");
    pthread_mutex_lock(&b->lock);
    slot->job->made.n = 0;
    refuse(slot->job, full ? 503 : 500, message);
    pthread_mutex_unlock(&b->lock);
    finish(b, slot, 1);
}

static void place(sv_batch *b, sv_job *j)
{
    remora_error err = {.struct_size = sizeof err};
    sv_slot *slot = NULL;
    const remora_status st = sv_slots_place(&b->slots, j, &slot, &err);
    pthread_mutex_lock(&b->lock);
    if (st < 0) {
        refuse(j, st == REMORA_E_NOMEM ? 503 : 500, err.message);
        b->counts.finished++;
        drop(j);
    } else {
        b->counts.running++;
        b->counts.reused += j->answer.n_cached;
    }
    pthread_mutex_unlock(&b->lock);
}

/* Jobs that are made into free slots. */
static void admit(sv_batch *b)
{
    for (uint32_t i = 0; i < b->slots.n; i++) {
        if (b->slots.v[i].job != NULL) continue;
        pthread_mutex_lock(&b->lock);
        sv_job *j = first_of(b, SV_MADE);
        if (j != NULL) take_out(b, j);
        pthread_mutex_unlock(&b->lock);
        if (j == NULL) return;
        place(b, j);
    }
}

/* The answer waits for its client, which has not taken so much of it. Under the lock. */
static int is_held(const sv_batch *b, const sv_slot *slot)
{
    return slot->is_decoding && slot->job->out.n - slot->job->sent > b->o.most_unsent;
}

/* Sessions that take part in the next step: those that write answers first, then prompts in the
 * order in which they came. Returns how many; *writing are the former. */
static size_t gather(sv_batch *b, sv_slot **out, size_t *writing)
{
    size_t n = 0;
    pthread_mutex_lock(&b->lock);
    for (uint32_t i = 0; i < b->slots.n; i++) {
        sv_slot *slot = &b->slots.v[i];
        if (slot->job && slot->is_decoding && !is_held(b, slot)) out[n++] = slot;
    }
    pthread_mutex_unlock(&b->lock);
    *writing = n;
    for (uint32_t i = 0; i < b->slots.n; i++) {
        sv_slot *slot = &b->slots.v[i];
        if (slot->job == NULL || slot->is_decoding) continue;
        size_t at = n++;
        for (; at > *writing && out[at - 1]->since > slot->since; at--) out[at] = out[at - 1];
        out[at] = slot;
    }
    return n;
}

/* The session has the row of its last token: pick the next one. 1: the job goes on. */
static int advance(sv_batch *b, sv_slot *slot)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session_info info = {.struct_size = sizeof info};
    sv_job *j = slot->job;
    remora_token t;
    remora_session_get_info(slot->s, &info, NULL);
    if (info.pending > 0 || info.n_rows == 0) return 0;
    slot->is_decoding = 1;
    remora_status st = remora_sampler_pick(j->sampler, slot->s, info.n_rows - 1, &t, &err);
    if (st >= 0) st = remora_sampler_accept(j->sampler, t, &err);
    if (st >= 0 && sv_answer_token(j, slot->s, info.n_rows - 1, t) < 0) st = REMORA_E_NOMEM;
    if (st >= 0 && j->answer.finish == SV_GOES_ON) st = sv_slot_append(&b->slots, slot, t, &err);
    if (st < 0) {
        fail(b, slot, st, &err);
        return 0;
    }
    pthread_mutex_lock(&b->lock);
    b->counts.tokens++;
    if (j->r.stream) hand_over(j);
    pthread_mutex_unlock(&b->lock);
    const int goes_on = j->answer.finish == SV_GOES_ON;
    if (!goes_on) finish(b, slot, 0);
    return goes_on;
}

/* Pick tokens while they are those that were guessed: their rows are there, so nobody has to wait
 * for the others of the batch. */
static void advance_far(sv_batch *b, sv_slot *slot)
{
    const remora_eval_opts ahead = {
        .struct_size = sizeof ahead, .flags = REMORA_EVAL_AHEAD, .cancel = &b->cancel};
    while (advance(b, slot) && remora_eval(&slot->s, 1, &ahead, NULL) == REMORA_OK)
        ;
}

static void step(sv_batch *b, sv_slot **slots, size_t n, size_t writing)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session *s[MOST_SLOTS];
    const remora_eval_opts o = {.struct_size = sizeof o,
                                .max_tokens = writing ? writing + BESIDE : b->o.session.chunk,
                                .cancel = &b->cancel,
                                .max_drafts = b->o.max_drafts};
    for (size_t i = 0; i < n; i++) s[i] = slots[i]->s;
    const remora_status st = remora_eval(s, n, &o, &err);
    if (st == REMORA_E_CANCELLED) return;
    for (size_t i = 0; i < n; i++) {
        if (st < 0)
            fail(b, slots[i], st, &err);
        else
            advance_far(b, slots[i]);
    }
    pthread_mutex_lock(&b->lock);
    b->counts.steps++;
    pthread_mutex_unlock(&b->lock);
}

/* Slots of clients that are gone are free. */
static void sweep(sv_batch *b)
{
    for (uint32_t i = 0; i < b->slots.n; i++) {
        sv_slot *slot = &b->slots.v[i];
        if (slot->job == NULL) continue;
        pthread_mutex_lock(&b->lock);
        const int gone = slot->job->gone;
        pthread_mutex_unlock(&b->lock);
        if (gone) finish(b, slot, 0);
    }
}

/* A slot can go on or be emptied, or is free for a job that is made. Under the lock. */
static int has_work(const sv_batch *b)
{
    const int any_made = first_of(b, SV_MADE) != NULL;
    for (uint32_t i = 0; i < b->slots.n; i++) {
        const sv_slot *slot = &b->slots.v[i];
        if (slot->job == NULL ? any_made : slot->job->gone || !is_held(b, slot)) return 1;
    }
    return 0;
}

/* Sleeps until there is something to do. 0: it is over. */
static int wait_for_news(sv_batch *b)
{
    pthread_mutex_lock(&b->lock);
    if (!b->stops && !has_work(b)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (b->counts.running > 0)
            pthread_cond_timedwait(&b->news, &b->lock, &until);
        else
            pthread_cond_wait(&b->news, &b->lock);
    }
    look_at_clients(b);
    const int go_on = !b->stops;
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

static void *run(void *arg)
{
    sv_batch *b = arg;
    sv_slot *slots[MOST_SLOTS];
    size_t n = 0, writing = 0;
    while (wait_for_news(b)) {
        sweep(b);
        admit(b);
        n = gather(b, slots, &writing);
        if (n > 0) step(b, slots, n, writing);
    }
    return NULL;
}

/* ---- beginning and end ---- */

static int start_threads(sv_batch *b)
{
    for (int i = 0; i < 1 + MAKERS; i++, b->n_threads++)
        if (pthread_create(&b->threads[i], NULL, i == 0 ? run : make_jobs, b) != 0) return -1;
    return 0;
}

remora_status sv_batch_start(const sv_model *m, const sv_batch_opts *o, sv_batch **out,
                             remora_error *err)
{
    remora_session *first = NULL;
    sv_batch *b = calloc(1, sizeof *b);
    *out = NULL;
    if (b == NULL) return REMORA_E_NOMEM;
    b->o = *o;
    if (b->o.slots > MOST_SLOTS) b->o.slots = MOST_SLOTS;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->news, NULL);
    pthread_cond_init(&b->to_make, NULL);
    remora_status st = REMORA_E_NOMEM;
    if (sv_slots_make(&b->slots, m, &b->o.session, b->o.slots) == 0)
        st = remora_session_create(m->model, &b->o.session, &first,
                                   err); /* what is wrong shows now */
    if (st >= 0) {
        b->slots.v[0].s = first;
        if (start_threads(b) < 0) st = REMORA_E_NOMEM;
    }
    if (st < 0) {
        if (b->n_threads > 0) sv_batch_stop(b);
        sv_batch_free(b);
        return st;
    }
    *out = b;
    return REMORA_OK;
}

uint32_t sv_batch_close(sv_batch *b)
{
    sv_batch_lock(b);
    b->closed = 1;
    const uint32_t left = b->counts.running + b->counts.waiting;
    sv_batch_unlock(b);
    return left;
}

void sv_batch_stop(sv_batch *b)
{
    sv_batch_lock(b);
    b->closed = b->stops = 1;
    __atomic_store_n(&b->cancel, 1, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&b->to_make);
    sv_batch_unlock(b);
    for (int i = 0; i < b->n_threads; i++) pthread_join(b->threads[i], NULL);
    pthread_mutex_lock(&b->lock);
    for (uint32_t i = 0; i < b->slots.n; i++) {
        sv_job *j = b->slots.v[i].job;
        if (j == NULL) continue;
        refuse(j, 503, "the server stops");
        drop(j);
        b->slots.v[i].job = NULL;
    }
    while (b->first != NULL) {
        sv_job *j = b->first;
        take_out(b, j);
        refuse(j, 503, "the server stops");
        drop(j);
    }
    b->counts.running = 0;
    pthread_mutex_unlock(&b->lock);
}

void sv_batch_free(sv_batch *b)
{
    sv_slots_free(&b->slots);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->news);
    pthread_cond_destroy(&b->to_make);
    free(b);
}
