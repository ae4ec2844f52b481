/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of stops. A prompt that is cancelled again and again, or evaluated in calls with a
 * budget, is timed beside the same prompt in one call. The delay of a call is the time by which it
 * ends too late.
 *
 *     stops MODEL keys   MS [TOKENS [CHUNK]]   an editor: a key every MS milliseconds cancels, and
 *                                              when the prompt is done each key gets its token
 *     stops MODEL cancel MS [TOKENS [CHUNK]]   a cancel MS milliseconds after each call begins
 *     stops MODEL budget US [TOKENS [CHUNK]]   calls with a budget of US microseconds */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <string.h>

#include "measure.h"

enum { MAX_CALLS = 1 << 16, KEYS = 40 };

static int32_t word;
static remora_model *m;
static uint32_t n_vocab, n_tokens = 510, chunk;
static double late[MAX_CALLS]; /* how long after its time a call came back, in seconds */
static int n_late;

/* ---- somebody who sets the word ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static double set_at; /* when it is due, 0: not at all */
static double was_set;

static void *setter(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        const double left = set_at - now();
        if (set_at == 0) {
            pthread_cond_wait(&changed, &lock);
        } else if (left > 0) {
            const struct timespec t = {0, (long)(left * 1e9) % 1000000000};
            pthread_mutex_unlock(&lock);
            nanosleep(&t, NULL);
            pthread_mutex_lock(&lock);
        } else {
            was_set = now();
            __atomic_store_n(&word, 1, __ATOMIC_RELAXED);
            set_at = 0;
        }
    }
    return NULL;
}

static void set_word_at(double t)
{
    pthread_mutex_lock(&lock);
    __atomic_store_n(&word, 0, __ATOMIC_RELAXED);
    was_set = 0;
    set_at = t;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* ---- calls ---- */

static remora_session *prompt(uint32_t n)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session *s = NULL;
    remora_token *t = malloc(n * sizeof *t);
    const remora_session_opts o = {
        .struct_size = sizeof o, .chunk = chunk, .capacity = n + KEYS + 8};
    if (t == NULL) exit(1);
    for (uint32_t i = 0; i < n; i++) t[i] = (remora_token)((i * 7919u + 100) % n_vocab);
    must(remora_session_create(m, &o, &s, &err), &err);
    must(remora_session_append(s, t, n, REMORA_WANT_LAST, &err), &err);
    free(t);
    return s;
}

/* One call; returns the seconds it took. */
static double call(remora_session *s, int64_t budget_us, remora_status *st)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_eval_opts o = {.struct_size = sizeof o, .budget_us = budget_us, .cancel = &word};
    const double start = now();
    *st = remora_eval(&s, 1, &o, &err);
    const double end = now(), took = end - start;
    if (*st != REMORA_E_CANCELLED) must(*st, &err);
    if (n_late == MAX_CALLS) return took;
    if (*st == REMORA_E_CANCELLED) late[n_late++] = end - was_set;
    if (*st == REMORA_MORE) late[n_late++] = took - 1e-6 * (double)budget_us;
    return took;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double share(double part)
{
    return n_late > 0 ? 1e3 * late[(int)(part * (n_late - 1))] : 0;
}

static void report(const remora_session *s, double in_calls, double alone, int calls)
{
    remora_error err = {.struct_size = sizeof err};
    remora_stats st = {.struct_size = sizeof st};
    must(remora_session_get_stats(s, &st, &err), &err);
    qsort(late, (size_t)n_late, sizeof *late, by_value);
    printf("prompt of %u tokens: %.0f ms in %d calls, %.0f ms in one: %.3f\n", n_tokens,
           1e3 * in_calls, calls, 1e3 * alone, in_calls / alone);
    printf("late by: median %.3f ms, 99 %% %.3f ms, most %.3f ms; longest_slice_us %llu\n",
           share(0.5), share(0.99), share(1), (unsigned long long)st.longest_slice_us);
}

/* Keys come at fixed times; each appends a token and asks for the next one. */
static void keys(remora_session *s, double every, double next)
{
    remora_error err = {.struct_size = sizeof err};
    double worst = 0;
    int missed = 0;
    for (int k = 0; k < KEYS; k++, next += every) {
        const remora_token t = (remora_token)(k % (int)n_vocab);
        remora_status st;
        while (now() < next) nanosleep(&(struct timespec){0, 200000}, NULL);
        must(remora_session_append(s, &t, 1, REMORA_WANT_LAST, &err), &err);
        set_word_at(next + every);
        const double took = call(s, 0, &st);
        missed += st != REMORA_OK;
        if (st == REMORA_OK && took > worst) worst = took;
    }
    printf("%d keys: %d without a token, the slowest token took %.1f ms\n", KEYS, missed,
           1e3 * worst);
}

int main(int argc, char **argv)
{
    remora_error err = {.struct_size = sizeof err};
    remora_model_info info = {.struct_size = sizeof info};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    pthread_t thread;
    remora_status st;
    if (argc < 4) return 2;
    src.path = argv[1];
    const int budgets = strcmp(argv[2], "budget") == 0, editor = strcmp(argv[2], "keys") == 0;
    const double every = atof(argv[3]) * 1e-3;
    if (argc > 4) n_tokens = (uint32_t)atoi(argv[4]);
    if (argc > 5) chunk = (uint32_t)atoi(argv[5]);
    must(remora_model_open(NULL, &src, NULL, &m, &err), &err);
    must(remora_model_get_info(m, &info, &err), &err);
    n_vocab = info.n_vocab;
    if (pthread_create(&thread, NULL, setter, NULL) != 0) return 1;
    double alone = 1e9, in_calls = 0, next = 0;
    for (int i = 0; i < 3; i++) {
        remora_session *s = prompt(n_tokens);
        const double took = call(s, 0, &st);
        if (took < alone) alone = took;
        remora_session_free(s);
    }
    remora_session *s = prompt(n_tokens);
    int calls = 0;
    n_late = 0;
    do {
        next = now() + every;
        if (!budgets) set_word_at(next);
        in_calls += call(s, budgets ? atoll(argv[3]) : 0, &st);
        calls++;
    } while (st != REMORA_OK);
    report(s, in_calls, alone, calls);
    if (editor) keys(s, every, next);
    remora_session_free(s);
    remora_model_free(m);
    return 0;
}
