/* SPDX-License-Identifier: Apache-2.0 */
/* The speed of decoding with drafts. Each way to draft is timed beside plain decode of the same
 * text, one behind the other in every round. Beside it stands what steps of several rows, timed in
 * the same run, would allow if every choice were the best one. The tokens are compared on the way.
 *
 *     drafts MODEL [TOKENS [ROUNDS]] */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "draft.h"
#include "measure.h"

enum { MAX_ROUNDS = 64, MAX_TEXT = 4096, PLACES = 8, N_ROWS = 6, ANY = REMORA_DRAFTS_AUTO };

static const uint32_t rows_of[N_ROWS] = {1, 2, 4, 8, 16, RMR_MOST_DRAFTS + 1};

/* A prompt and the tokens behind it. */
typedef struct text {
    remora_token t[MAX_TEXT];
    uint32_t prompt, n; /* tokens of the prompt; of both */
    int wanted;         /* what follows is not the model's choice: it is made to write it */
} text;

typedef enum source { HOOK, LOOK_UP, LAYER } source;

typedef struct way {
    const char *words;
    text *of;
    source from;
    int chance;    /* of the hook's guesses, in 100 */
    uint32_t most; /* drafts */
} way;

typedef struct result {
    double seconds, picking; /* of the tokens; of picks among them */
    uint64_t drafts, used;
    double draft_us;
} result;

static remora_model *m;
static remora_model_info info;
static uint32_t n_tokens = 192, n_rounds = 5;
static text own, edit;
static double step[N_ROWS][MAX_ROUNDS * PLACES]; /* beside a step of one row; that in seconds */
static double cost[RMR_MOST_DRAFTS + 2];         /* [rows] of a step: its median, of one row's */
static double pick;                              /* the time of a pick, of that of such a step */
static uint64_t seed = 1;

static uint32_t any(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* ---- texts ---- */

static void add_ids(text *x, const char *words)
{
    remora_error err = {.struct_size = sizeof err};
    size_t n = 0;
    must(remora_tokenize(m, words, strlen(words), 0, x->t + x->n, MAX_TEXT - x->n, &n, &err), &err);
    x->n += (uint32_t)n;
}

/* Lines of a program. '@' is the name of a variable, '#' any number. */
static void add_program(text *x, const char *name, int n_lines)
{
    static const char *const lines[] = {
        "    @ = @ + price[#] * count[#];\n", "    if (@ > limit) return @ - #;\n",
        "    /* the shelf # of room # */\n",  "    ask(&count[#], where[#]);\n",
        "    price[#] = price[#] + #;\n",     "    show(\"you pay\", @, #);\n"};
    char line[128];
    seed = 7;
    for (int i = 0; i < n_lines; i++) {
        size_t n = 0;
        for (const char *c = lines[any(6)]; *c != 0; c++)
            if (*c == '@' || *c == '#')
                n += (size_t)(*c == '@' ? snprintf(line + n, sizeof line - n, "%s", name)
                                        : snprintf(line + n, sizeof line - n, "%u", any(90)));
            else
                line[n++] = *c;
        line[n] = 0;
        add_ids(x, line);
    }
}

/* A text that is copied with one name changed; without a tokenizer, one id of twenty. */
static void make_edit(text *x)
{
    x->wanted = 1;
    if (info.has_tokenizer) {
        const int n_lines = (int)n_tokens / 9 + 1;
        add_program(x, "total", n_lines);
        add_ids(x, "\n\n");
        x->prompt = x->n;
        add_program(x, "sum", n_lines);
    } else {
        for (uint32_t i = 0; i < n_tokens; i++) x->t[i] = (remora_token)any(info.n_vocab);
        for (uint32_t i = 0; i < n_tokens; i++)
            x->t[n_tokens + i] = any(20) > 0 ? x->t[i] : (remora_token)any(info.n_vocab);
        x->prompt = n_tokens;
        x->n = 2 * n_tokens;
    }
    if (x->n > x->prompt + n_tokens) x->n = x->prompt + n_tokens;
}

static void make_own(text *x)
{
    if (info.has_tokenizer)
        add_ids(x, "Once upon a time there was a little girl who lived with her mother in a small "
                   "house near the sea. One morning she went down to the shore, and there");
    else
        for (x->n = 0; x->n < 40; x->n++) x->t[x->n] = (remora_token)any(info.n_vocab);
    x->prompt = x->n;
}

/* ---- who writes, and who guesses ---- */

typedef struct writer {
    const text *x;
    const remora_session *s;
    int chance;
} writer;

static remora_token wanted(const writer *w, uint64_t at)
{
    return w->x->t[at < w->x->n ? at : w->x->n - 1];
}

/* The stage that makes the model write the text. */
static remora_status REMORA_CALL keep_wanted(void *user, remora_token_prob *cand, size_t *n)
{
    const writer *w = user;
    for (size_t i = 0; i < *n; i++)
        if (cand[i].token == wanted(w, w->s->n_tokens)) {
            cand[0] = cand[i];
            *n = 1;
            return REMORA_OK;
        }
    return REMORA_E_NO_TOKEN;
}

static uint32_t guess(void *user, const remora_session *s, remora_token *out, uint32_t most)
{
    const writer *w = user;
    for (uint32_t i = 0; i < most; i++) {
        const remora_token right = wanted(w, s->n_tokens + i);
        out[i] = (int)any(100) < w->chance
                     ? right
                     : (remora_token)(((uint32_t)right + 1 + any(info.n_vocab - 1)) % info.n_vocab);
    }
    return most;
}

/* ---- measuring ---- */

static remora_session *begin(const text *x, int predicts)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session *s = NULL;
    const remora_session_opts o = {.struct_size = sizeof o,
                                   .flags = predicts ? REMORA_SESSION_PREDICTION : 0,
                                   .capacity = x->prompt + n_tokens + RMR_MOST_DRAFTS + 1};
    must(remora_session_create(m, &o, &s, &err), &err);
    must(remora_session_append(s, x->t, x->prompt, REMORA_WANT_LAST, &err), &err);
    must(remora_eval(&s, 1, NULL, &err), &err);
    return s;
}

static remora_sampler *sampler_for(writer *w)
{
    remora_error err = {.struct_size = sizeof err};
    remora_sampler *p = NULL;
    const remora_stage best = {.struct_size = sizeof best, .kind = REMORA_STAGE_TEMPERATURE},
                       told = {.struct_size = sizeof told,
                               .kind = REMORA_STAGE_CALLBACK,
                               .user = w,
                               .fn = keep_wanted};
    must(remora_sampler_create(m, 1, &p, &err), &err);
    must(remora_sampler_add(p, w->x->wanted ? &told : &best, &err), &err);
    return p;
}

/* Write the text of a way; the first time its own one becomes known. */
static result write_text(const way *y, uint32_t most)
{
    remora_error err = {.struct_size = sizeof err};
    text *x = y->of;
    remora_session *s = begin(x, y->from == LAYER && most > 0);
    writer w = {x, s, y->chance};
    const rmr_drafter hook = {&w, guess, NULL};
    remora_sampler *p = sampler_for(&w);
    remora_token out[MAX_TEXT];
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = n_tokens, .max_drafts = most};
    size_t n = 0;
    if (y->from == HOOK) s->drafter = &hook;
    const double start = now();
    must(remora_generate(s, p, &o, out, MAX_TEXT, &n, &err), &err);
    const double took = now() - start;
    const result r = {took, 1e-6 * (double)s->stats.sample_us, s->stats.drafts,
                      s->stats.drafts_used, s->worth.draft_us};
    if (x->n == x->prompt) {
        memcpy(x->t + x->prompt, out, n * sizeof *out);
        x->n += (uint32_t)n;
    }
    if (n != x->n - x->prompt || memcmp(out, x->t + x->prompt, n * sizeof *out) != 0) {
        fprintf(stderr, "%s: other tokens\n", y->words);
        exit(1);
    }
    remora_sampler_free(p);
    remora_session_free(s);
    return r;
}

/* ---- several sessions at once ---- */

enum { TOGETHER = 4 };

static remora_token pick_next(remora_sampler *p, remora_session *s)
{
    remora_error err = {.struct_size = sizeof err};
    remora_token t = 0;
    must(remora_sampler_pick(p, s, 0, &t, &err), &err);
    must(remora_sampler_accept(p, t, &err), &err);
    must(remora_session_append(s, &t, 1, REMORA_WANT_LAST, &err), &err);
    return t;
}

/* The same text by sessions that are evaluated together, as a server does it. */
static result write_together(const way *y, uint32_t most)
{
    static const remora_eval_opts ahead = {.struct_size = sizeof ahead, .flags = REMORA_EVAL_AHEAD};
    const remora_eval_opts o = {.struct_size = sizeof o, .max_drafts = most};
    remora_error err = {.struct_size = sizeof err};
    const text *x = y->of;
    remora_session *s[TOGETHER], *left[TOGETHER];
    remora_sampler *p[TOGETHER];
    writer w[TOGETHER];
    rmr_drafter hook[TOGETHER];
    uint32_t at[TOGETHER], n_left = TOGETHER;
    result r = {0};
    for (uint32_t i = 0; i < TOGETHER; i++) {
        s[i] = begin(x, y->from == LAYER && most > 0);
        w[i] = (writer){x, s[i], y->chance};
        hook[i] = (rmr_drafter){&w[i], guess, NULL};
        if (y->from == HOOK) s[i]->drafter = &hook[i];
        p[i] = sampler_for(&w[i]);
        at[i] = x->prompt;
    }
    const double start = now();
    while (n_left > 0) {
        n_left = 0;
        for (uint32_t i = 0; i < TOGETHER; i++) {
            if (at[i] == x->n) continue;
            do
                if (pick_next(p[i], s[i]) != x->t[at[i]++]) {
                    fprintf(stderr, "%s, together: other tokens\n", y->words);
                    exit(1);
                }
            while (at[i] < x->n && remora_eval(&s[i], 1, &ahead, &err) == REMORA_OK);
            if (at[i] < x->n) left[n_left++] = s[i];
        }
        must(remora_eval(left, n_left, &o, &err), &err);
    }
    r.seconds = now() - start;
    for (uint32_t i = 0; i < TOGETHER; i++) {
        r.drafts += s[i]->stats.drafts;
        r.used += s[i]->stats.drafts_used;
        remora_sampler_free(p[i]);
        remora_session_free(s[i]);
    }
    return r;
}

/* The time of a step over the tokens from `at` on. */
static double one_step(remora_session *s, const text *x, uint32_t at, uint32_t rows)
{
    remora_error err = {.struct_size = sizeof err};
    must(remora_session_trim(s, at, &err), &err);
    must(remora_session_append(s, x->t + at, rows, REMORA_WANT_ALL, &err), &err);
    const double start = now();
    must(remora_eval(&s, 1, NULL, &err), &err);
    return now() - start;
}

static void measure_steps(const text *x, uint32_t round)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session *s = begin(x, 0);
    const uint32_t room = x->n - x->prompt - RMR_MOST_DRAFTS - 1;
    must(remora_session_append(s, x->t + x->prompt, room, REMORA_WANT_LAST, &err), &err);
    must(remora_eval(&s, 1, NULL, &err), &err);
    for (uint32_t i = PLACES; i-- > 0;) {
        const uint32_t at = x->prompt + room * i / PLACES, k = round * PLACES + i;
        step[0][k] = one_step(s, x, at, 1);
        for (uint32_t r = 1; r < N_ROWS; r++) {
            const double alone = one_step(s, x, at, 1);
            step[r][k] = one_step(s, x, at, rows_of[r]) / alone;
        }
    }
    remora_session_free(s);
}

/* ---- what is possible ---- */

/* Between the numbers of rows that were measured costs lie on lines. */
static void set_costs(void)
{
    for (uint32_t r = 0, last = 1; r < N_ROWS; last = rows_of[r++]) {
        cost[rows_of[r]] = r == 0 ? 1 : median(step[r], (size_t)n_rounds * PLACES);
        for (uint32_t i = last + 1; i < rows_of[r]; i++)
            cost[i] = cost[last] +
                      (cost[rows_of[r]] - cost[last]) * (i - last) / (double)(rows_of[r] - last);
    }
}

/* So much faster than plain decode are k drafts that are each right by chance; `each` is the time
 * that making one takes. */
static double gain(double chance, uint32_t k, double each)
{
    double tokens = 1, likely = 1;
    for (uint32_t i = 0; i < k; i++) tokens += likely *= chance;
    return tokens * (1 + pick) / (cost[k + 1] + k * each + tokens * pick);
}

static double best_gain(double chance, uint32_t most, double each)
{
    double best = 1;
    if (most != ANY) return gain(chance, most, each);
    for (uint32_t k = 1; k <= RMR_MOST_DRAFTS; k++)
        if (gain(chance, k, each) > best) best = gain(chance, k, each);
    return best;
}

/* The same for what the text before says, where it is known how much of that is right: the
 * shortest time to the end, from each token on. */
static double look_up_gain(const text *x)
{
    static double left[MAX_TEXT + 1];
    remora_token d[RMR_MOST_DRAFTS];
    for (uint32_t i = x->n; i-- > x->prompt;) {
        uint32_t same, right = 0;
        const uint32_t n = rmr_draft_look_up(x->t, i + 1, d, RMR_MOST_DRAFTS, &same);
        while (right < n && i + 1 + right < x->n && d[right] == x->t[i + 1 + right]) right++;
        left[i] = 1 + pick + (i + 1 < x->n ? left[i + 1] : 0);
        for (uint32_t k = 1; k <= right; k++) {
            const double us =
                cost[k + 1] + (k + 1) * pick + (i + k + 1 < x->n ? left[i + k + 1] : 0);
            if (us < left[i]) left[i] = us;
        }
    }
    return (x->n - x->prompt) * (1 + pick) / left[x->prompt];
}

static double allowed(const way *y, const result *last, double one)
{
    if (y->from == LOOK_UP) return look_up_gain(y->of);
    const double each = y->from == LAYER ? 1e-6 * last->draft_us / one : 0;
    const double chance = y->from == HOOK    ? y->chance / 100.0
                          : last->drafts > 0 ? (double)last->used / (double)last->drafts
                                             : 0;
    return best_gain(chance, y->most, each);
}

/* ---- the table ---- */

static void show(const way *y, double *ratio, const result *last, double one)
{
    const double possible = allowed(y, last, one), mid = median(ratio, n_rounds);
    printf("%-58s %5.2f (%.2f..%.2f) %8.2f %9.2f   %llu of %llu\n", y->words, mid, ratio[0],
           ratio[n_rounds - 1], possible, mid / possible, (unsigned long long)last->used,
           (unsigned long long)last->drafts);
}

static void show_steps(double one)
{
    printf("a step of 1 row: %.3f ms; a pick %.3f of it\n", 1e3 * one, pick);
    for (uint32_t r = 1; r < N_ROWS; r++)
        printf("a step of %u rows costs %.2f steps of 1 row (the middle half %.2f..%.2f)\n",
               rows_of[r], cost[rows_of[r]], step[r][n_rounds * PLACES / 4],
               step[r][n_rounds * PLACES * 3 / 4]);
}

static way ways[] = {
    {"own text, guesses right in 85 of 100, 1 a step", &own, HOOK, 85, 1},
    {"own text, guesses right in 85 of 100, 3 a step", &own, HOOK, 85, 3},
    {"own text, guesses right in 85 of 100, auto", &own, HOOK, 85, ANY},
    {"own text, guesses always wrong, auto", &own, HOOK, 0, ANY},
    {"own text, from the text before, auto", &own, LOOK_UP, 0, ANY},
    {"a program copied with one name changed, text before, auto", &edit, LOOK_UP, 0, ANY},
    {"own text, prediction layer and text before, 1 a step", &own, LAYER, 0, 1},
    {"own text, prediction layer and text before, auto", &own, LAYER, 0, ANY},
};

enum { N_WAYS = sizeof ways / sizeof *ways };

static void measure_together(uint32_t n_ways)
{
    printf("\n%-58s %-18s   %s\n", "the same, four sessions at once", "median", "right drafts");
    for (uint32_t i = 0; i < n_ways; i++) {
        double ratio[MAX_ROUNDS];
        result last = {0};
        for (uint32_t round = 0; round < n_rounds; round++) {
            const double none = write_together(&ways[i], 0).seconds;
            last = write_together(&ways[i], ways[i].most);
            ratio[round] = none / last.seconds;
        }
        const double mid = median(ratio, n_rounds);
        printf("%-58s %5.2f (%.2f..%.2f)   %llu of %llu\n", ways[i].words, mid, ratio[0],
               ratio[n_rounds - 1], (unsigned long long)last.used, (unsigned long long)last.drafts);
    }
}

static void measure(uint32_t n_ways)
{
    static double ratio[N_WAYS][MAX_ROUNDS], picks[N_WAYS * MAX_ROUNDS], plain[MAX_ROUNDS];
    result last[N_WAYS];
    size_t n_picks = 0;
    for (uint32_t round = 0; round < n_rounds; round++) {
        measure_steps(&own, round);
        for (uint32_t i = 0; i < n_ways; i++) {
            const result none = write_text(&ways[i], 0);
            last[i] = write_text(&ways[i], ways[i].most);
            ratio[i][round] = none.seconds / last[i].seconds;
            if (i == 0) plain[round] = (own.n - own.prompt) / none.seconds;
            picks[n_picks++] = none.picking / (ways[i].of->n - ways[i].of->prompt);
        }
    }
    const double one = median(step[0], (size_t)n_rounds * PLACES);
    pick = median(picks, n_picks) / one;
    set_costs();
    printf("%s, %u tokens behind %u, %u rounds; plain: %.1f tokens a second\n", info.name,
           own.n - own.prompt, own.prompt, n_rounds, median(plain, n_rounds));
    show_steps(one);
    printf("\n%-58s %-18s %8s %9s   %s\n", "speed with drafts / without", "median", "possible",
           "share", "right drafts");
    for (uint32_t i = 0; i < n_ways; i++) show(&ways[i], ratio[i], &last[i], one);
}

int main(int argc, char **argv)
{
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    if (argc < 2) return 2;
    src.path = argv[1];
    if (argc > 2) n_tokens = (uint32_t)atoi(argv[2]);
    if (argc > 3) n_rounds = (uint32_t)atoi(argv[3]);
    if (n_tokens < 2 * RMR_MOST_DRAFTS || n_tokens > 1024 || n_rounds < 1 || n_rounds > MAX_ROUNDS)
        return 2;
    info.struct_size = sizeof info;
    must(remora_model_open(NULL, &src, NULL, &m, &err), &err);
    must(remora_model_get_info(m, &info, &err), &err);
    make_own(&own);
    make_edit(&edit);
    write_text(&ways[0], 0);
    if (own.n - own.prompt < 2 * RMR_MOST_DRAFTS) {
        fprintf(stderr, "the model ends its text behind %u tokens\n", own.n - own.prompt);
        return 1;
    }
    const uint32_t n_ways = info.n_prediction_layers > 0 ? N_WAYS : N_WAYS - 2;
    measure(n_ways);
    measure_together(n_ways);
    remora_model_free(m);
    return 0;
}
