/* SPDX-License-Identifier: Apache-2.0 */
/* A host that has a job system of its own: the runtime gets its `run` hook and creates no thread.
 * The job system here is the least that works; an engine would put its own scheduler behind run().
 *
 *     host_jobs MODEL
 */
#include <remora/remora.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { N_WORKERS = 3 };

/* One batch of jobs at a time: n calls of fn, which workers and the caller take one by one. */
typedef struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void(REMORA_CALL *fn)(void *arg, uint32_t i);
    void *arg;
    uint32_t n, next, left;
    int stop;
    unsigned long batches;
    pthread_t workers[N_WORKERS];
} jobs;

/* Takes jobs until none is left to take. Called and returns with the lock held. */
static void take_jobs(jobs *j)
{
    while (j->next < j->n) {
        const uint32_t i = j->next++;
        pthread_mutex_unlock(&j->lock);
        j->fn(j->arg, i);
        pthread_mutex_lock(&j->lock);
        if (--j->left == 0) pthread_cond_signal(&j->done);
    }
}

static void *worker(void *arg)
{
    jobs *j = arg;
    pthread_mutex_lock(&j->lock);
    while (!j->stop) {
        take_jobs(j);
        if (!j->stop) pthread_cond_wait(&j->work, &j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* The hook: returns when every job has returned. */
static void REMORA_CALL run(void *user, uint32_t n, void(REMORA_CALL *fn)(void *arg, uint32_t i),
                            void *arg)
{
    jobs *j = user;
    pthread_mutex_lock(&j->lock);
    j->fn = fn;
    j->arg = arg;
    j->n = j->left = n;
    j->next = 0;
    j->batches++;
    pthread_cond_broadcast(&j->work);
    take_jobs(j);
    while (j->left > 0) pthread_cond_wait(&j->done, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

/* What may come after a text: the five most probable tokens. */
static remora_status guess(remora_model *m, const char *prompt, remora_error *err)
{
    remora_session *s = NULL;
    remora_token t[256];
    remora_token_prob best[5];
    char piece[64];
    size_t n = 0, len = 0;
    remora_status st = remora_session_create(m, NULL, &s, err);
    if (st == REMORA_OK)
        st = remora_tokenize(m, prompt, strlen(prompt), REMORA_TEXT_BOS, t, 256, &n, err);
    if (st == REMORA_OK) st = remora_session_append(s, t, n, REMORA_WANT_LAST, err);
    if (st == REMORA_OK) st = remora_eval(&s, 1, NULL, err);
    if (st == REMORA_OK) st = remora_session_top(s, 0, best, 5, &n, err);
    for (size_t i = 0; st == REMORA_OK && i < n; i++) {
        st = remora_token_bytes(m, best[i].token, piece, sizeof piece, &len, err);
        if (st == REMORA_OK)
            printf("%s[%.*s] %.1f %%\n", prompt, (int)len, piece, 100 * exp(best[i].logprob));
    }
    remora_session_free(s);
    return st;
}

int main(int argc, char **argv)
{
    jobs j = {.lock = PTHREAD_MUTEX_INITIALIZER,
              .work = PTHREAD_COND_INITIALIZER,
              .done = PTHREAD_COND_INITIALIZER};
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    remora_runtime_opts opts = {
        .struct_size = sizeof opts, .n_threads = N_WORKERS + 1, .run_user = &j, .run = run};
    remora_runtime *rt = NULL;
    remora_model *m = NULL;
    int started = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: host_jobs MODEL\n");
        return 2;
    }
    src.path = argv[1];
    while (started < N_WORKERS && pthread_create(&j.workers[started], NULL, worker, &j) == 0)
        started++; /* with fewer workers the caller does more */
    remora_status st = remora_runtime_create(&opts, &rt, &err);
    if (st == REMORA_OK) st = remora_model_open(rt, &src, NULL, &m, &err);
    if (st == REMORA_OK) st = guess(m, "The captain looked at the sea", &err);
    if (st == REMORA_OK) printf("%lu batches of jobs on %d workers\n", j.batches, started);
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    remora_model_free(m);
    remora_runtime_free(rt);

    pthread_mutex_lock(&j.lock);
    j.stop = 1;
    pthread_cond_broadcast(&j.work);
    pthread_mutex_unlock(&j.lock);
    for (int i = 0; i < started; i++) pthread_join(j.workers[i], NULL);
    return st < 0;
}
