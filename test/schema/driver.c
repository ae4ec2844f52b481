/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas and documents line by line, for schema_data.py and hostile.py. Tokens are bytes and a few
 * words, or, with the folder of a tokenizer and the number of its tokens as arguments, those of its
 * vocabulary.
 *
 *     O draft          for the schemas that follow; 0: as $schema says
 *     S schema         -> C, or E and the reason
 *     D document       -> R 1 or R 0, byte by byte
 *     T seed document  -> the same in random tokens, some of them compared with their bit of the
 *                         mask; M: that bit is wrong
 *     G seed           -> G and a random document of the schema, or N: none ended, X: a dead end
 *                         or, as the status says, a limit. In random tokens of the mask
 *     H kind source    -> H, the status of compiling, that of a few random tokens, and the most
 *                         bytes that both took. A 1 (SOH) stands for the end of a line */
#include <stdio.h>
#include <stdlib.h>

#include "constrain.h"
#include "schema.h"
#include "tmem.h"
#include "tokenizer_of.h"

enum { LINE = 1 << 22, LONGEST = 6000, MOST_VOCAB = 131072, LONGEST_TOKEN = 32 };

static tmem meter;
static rmr_mem mem = {
    .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
static rmr_vocabulary *vocab;
static uint32_t n_vocab = CONSTRAIN_VOCAB;
static uint32_t mask[MOST_VOCAB / 32];
static remora_token sorted[MOST_VOCAB]; /* tokens with text, by their text */
static size_t n_sorted;

static uint64_t seed;
static unsigned random_below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 20) % n);
}

static rmr_constraint *compile(const char *text, int draft)
{
    remora_error err = {.struct_size = sizeof err};
    const rmr_schema_opts o = {.draft = draft};
    rmr_constraint *c = NULL;
    rmr_grammar *g = NULL;
    rmr_rule start;
    remora_status st = rmr_grammar_new(&mem, NULL, &g, &err);
    if (st >= 0) st = rmr_schema(g, text, strlen(text), &o, &start, &err);
    if (st >= 0) st = rmr_grammar_finish(g, start, &err);
    if (st >= 0)
        st = rmr_constraint_new(&mem, g, vocab, &c, &err);
    else
        rmr_grammar_free(g);
    if (st < 0)
        (void)printf("E %d %s\n", (int)st, err.message);
    else
        (void)printf("C\n");
    return st < 0 ? NULL : c;
}

static int compare(const void *a, const void *b)
{
    size_t n, k;
    const char *s = vocab_text(vocab, *(const remora_token *)a, &n);
    const char *t = vocab_text(vocab, *(const remora_token *)b, &k);
    const int c = memcmp(s, t, n < k ? n : k);
    return c != 0 ? c : n < k ? -1 : n > k;
}

static void sort_tokens(void)
{
    for (remora_token t = 0; t < (remora_token)n_vocab; t++) {
        size_t n;
        (void)vocab_text(vocab, t, &n);
        if (n > 0) sorted[n_sorted++] = t;
    }
    qsort(sorted, n_sorted, sizeof *sorted, compare);
}

/* The token with this text, or -1. */
static remora_token token_of(const char *s, size_t n)
{
    size_t lo = 0, hi = n_sorted, k;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const char *t = vocab_text(vocab, sorted[mid], &k);
        const int c = memcmp(t, s, n < k ? n : k);
        if (c == 0 && n == k) return sorted[mid];
        if (c < 0 || (c == 0 && k < n))
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

/* Any token that the text begins with; way 0: its first byte. */
static remora_token next_token(const char *s, size_t left, int way)
{
    remora_token fit[LONGEST_TOKEN];
    unsigned n = 0;
    for (size_t k = 1; k <= LONGEST_TOKEN && k <= left && (way != 0 || k == 1); k++) {
        const remora_token t = token_of(s, k);
        if (t >= 0) fit[n++] = t;
    }
    return n > 0 ? fit[random_below(n)] : -1;
}

static void read_document(rmr_constraint *c, const char *s, int way)
{
    rmr_guide *m = NULL;
    int end = 0, wrong = 0;
    size_t left = strlen(s), n;
    remora_status st = rmr_guide_new(c, &m, NULL);
    while (left > 0 && st >= 0) {
        const remora_token t = next_token(s, left, way);
        const int look = way != 0 && random_below(8) == 0;
        const remora_status has = look ? rmr_guide_mask(m, mask, NULL) : REMORA_OK;
        st = rmr_guide_accept(m, t, NULL);
        if (look && st != REMORA_E_LIMIT)
            wrong |= (has >= 0 && constrain_bit(mask, t)) != (st >= 0);
        (void)vocab_text(vocab, t, &n);
        s += n;
        left -= n;
    }
    if (st >= 0) st = rmr_guide_may_end(m, &end, NULL);
    (void)printf(wrong ? "M\n" : "R %d\n", st >= 0 && end == 1);
    rmr_guide_free(m);
}

static int allowed(const char *s)
{
    const remora_token t = token_of(s, 1);
    return t >= 0 && constrain_bit(mask, t);
}

/* Once the text is long, a byte that closes something if there is such. */
static remora_token pick_closing(size_t length)
{
    const int in_string = allowed("a") && allowed("]");
    const char *closing = in_string ? "\"" : "]}\"";
    for (; length > 80 && *closing != 0; closing++)
        if (allowed(closing) && random_below(4) != 0) return token_of(closing, 1);
    return -1;
}

/* A byte of the mask, most often one that is printed. */
static remora_token pick_byte(void)
{
    unsigned char fit[256];
    unsigned n = 0;
    for (int b = 0x20; b < 0x7F; b++)
        if (constrain_bit(mask, (remora_token)b)) fit[n++] = (unsigned char)b;
    for (int b = 0; b < 256 && (n == 0 || random_below(400) == 0); b++)
        if (constrain_bit(mask, (remora_token)b)) fit[n++] = (unsigned char)b;
    return n > 0 ? fit[random_below(n)] : -1;
}

/* A token of the mask that has text. */
static remora_token pick_token(void)
{
    const size_t from = random_below((unsigned)n_sorted);
    for (size_t i = 0; i < n_sorted; i++) {
        const remora_token t = sorted[(from + i) % n_sorted];
        if (constrain_bit(mask, t)) return t;
    }
    return -1;
}

static void generate(rmr_constraint *c)
{
    static char text[LONGEST + 1];
    rmr_guide *m = NULL;
    size_t n = 0, k = 0;
    int end = 0;
    remora_status st = rmr_guide_new(c, &m, NULL);
    while (st >= 0 && n < LONGEST) {
        st = rmr_guide_may_end(m, &end, NULL);
        if (st < 0 || (end == 1 && (n > 80 || random_below(3) == 0))) break;
        st = rmr_guide_mask(m, mask, NULL);
        remora_token t = st < 0 ? -1 : pick_closing(n);
        if (st >= 0 && t < 0) t = n_vocab == CONSTRAIN_VOCAB ? pick_byte() : pick_token();
        if (t < 0) break;
        st = rmr_guide_accept(m, t, NULL);
        const char *s = vocab_text(vocab, t, &k);
        if (st < 0 || n + k > LONGEST) break;
        memcpy(text + n, s, k);
        n += k;
    }
    const char kind = end == 1                                                  ? 'G'
                      : n + k > LONGEST || n == LONGEST || st == REMORA_E_LIMIT ? 'N'
                                                                                : 'X';
    (void)printf("%c %.*s\n", kind, (int)n, text);
    rmr_guide_free(m);
}

/* What follows the kind; a random token of the mask each time. */
static void read_hostile(char *kind)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    rmr_guide *m = NULL;
    char *src = strchr(kind, ' ');
    if (src == NULL) return;
    *src++ = 0;
    for (char *p = src; (p = strchr(p, 1)) != NULL;) *p = '\n';
    const long long before = meter.bytes;
    meter.peak = before;
    const remora_status st = constrain_new(&mem, vocab, kind, src, strlen(src), NULL, &c, &err);
    remora_status then = st < 0 ? st : rmr_guide_new(c, &m, &err);
    for (int i = 0; i < 40 && then >= 0; i++) {
        then = rmr_guide_mask(m, mask, &err);
        remora_token t = (remora_token)random_below(n_vocab);
        for (uint32_t k = 0; k < n_vocab && !constrain_bit(mask, t); k++)
            t = (remora_token)(((uint32_t)t + 1) % n_vocab);
        if (then >= 0) then = rmr_guide_accept(m, t, &err);
    }
    rmr_guide_free(m);
    rmr_constraint_free(c);
    (void)printf("H %d %d %lld %s\n", (int)st, (int)then, (long long)meter.peak - before,
                 err.message);
}

static int open_vocabulary(const char *folder, const char *tokens)
{
    rmr_source *src;
    rmr_tokenizer *tok;
    const remora_source at = {.struct_size = sizeof at, .kind = REMORA_SOURCE_PATH, .path = folder};
    if (folder == NULL)
        return rmr_vocabulary_new(&mem, n_vocab, constrain_text, NULL, &vocab, NULL) >= 0;
    n_vocab = (uint32_t)atoi(tokens);
    if (n_vocab == 0 || n_vocab > MOST_VOCAB) return 0;
    if (rmr_source_open(&mem, &at, 1, &src, NULL) < 0) return 0;
    remora_status st = tokenizer_of(&mem, src, n_vocab, &tok, NULL);
    rmr_source_free(src);
    if (st < 0) return 0;
    st = rmr_vocabulary_of(&mem, tok, n_vocab, &vocab, NULL);
    rmr_tokenizer_free(tok);
    return st >= 0;
}

int main(int argc, char **argv)
{
    rmr_constraint *c = NULL;
    char *line = malloc(LINE);
    int draft = 0;
    if (line == NULL || (argc != 1 && argc != 3)) return 1;
    if (!open_vocabulary(argv[1], argc > 2 ? argv[2] : NULL)) return 1;
    sort_tokens();
    while (fgets(line, LINE, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        seed = UINT64_C(0x9E3779B97F4A7C15) * (uint64_t)(atoi(line + 1) + 1);
        if (line[0] == 'O') draft = atoi(line + 1);
        if (line[0] == 'S') {
            rmr_constraint_free(c);
            c = compile(line + 2, draft);
        }
        if (line[0] == 'D' && c != NULL) read_document(c, line + 2, 0);
        if (line[0] == 'T' && c != NULL) read_document(c, strchr(line + 2, ' ') + 1, 1);
        if (line[0] == 'G' && c != NULL) generate(c);
        if (line[0] == 'H') read_hostile(line + 2);
        (void)fflush(stdout);
    }
    rmr_constraint_free(c);
    rmr_vocabulary_free(vocab);
    free(line);
    return meter.blocks != 0 || meter.damage != 0;
}
