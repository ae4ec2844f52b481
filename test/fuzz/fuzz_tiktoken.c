/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as tiktoken.model, the names of its special tokens, and text: three parts, each ended
 * by a NUL. A file that does not begin with a line for byte 0 gets the 256 bytes in front of it.
 * Whatever opens must give every text back byte for byte, and words as the slow way makes them; its
 * compiled form must open and give the same. */
#include "../unit/tik_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_VOCAB = 4096, MAX_FILE = 1 << 16, MAX_TEXT = 4096, MAX_WORD = 24 };

static void require(int ok)
{
    if (!ok) abort();
}

/* The next part; "" when there is none. */
static const char *part(const uint8_t **data, size_t *left, size_t *n)
{
    const char *s = *left > 0 ? (const char *)*data : "";
    const char *nul = *left > 0 ? memchr(s, 0, *left) : NULL;
    *n = nul != NULL ? (size_t)(nul - s) : *left;
    const size_t step = *n + (nul != NULL);
    *data += step;
    *left -= step;
    return s;
}

static size_t encode(const rmr_tokenizer *t, const char *s, size_t n, uint32_t flags,
                     remora_token *ids)
{
    size_t k;
    require(rmr_tokenizer_encode(t, s, n, flags, ids, n + 8, &k, NULL) == REMORA_OK);
    return k;
}

static void check_text(const rmr_tokenizer *t, const rmr_tokenizer *again, const char *s, size_t n,
                       uint32_t flags)
{
    static remora_token a[MAX_TEXT + 8], b[MAX_TEXT + 8];
    const size_t k = encode(t, s, n, flags, a);
    require(encode(again, s, n, flags, b) == k && memcmp(a, b, k * sizeof *a) == 0);
    size_t at = 0;
    for (size_t i = 0; i < k; i++) {
        const char *bytes;
        size_t len;
        require(rmr_tokenizer_bytes(t, a[i], &bytes, &len, NULL) == REMORA_OK);
        if (flags & REMORA_TEXT_BOS) continue;
        require(len <= n - at && memcmp(bytes, s + at, len) == 0);
        at += len;
    }
    require((flags & REMORA_TEXT_BOS) || at == n);
}

/* The text as one word: a pattern leaves letters together, and bytes that are no UTF-8. */
static void check_word(const rmr_tokenizer *t, uint32_t n_words, const char *s, size_t n)
{
    char word[MAX_WORD];
    remora_token got[MAX_WORD + 8], want[MAX_WORD];
    if (n > MAX_WORD) n = MAX_WORD;
    for (size_t i = 0; i < n; i++) word[i] = (char)('a' + ((unsigned char)s[i] & 3));
    if (n == 0) return;
    const size_t k = tik_encode(t, n_words, word, n, want);
    require(encode(t, word, n, 0, got) == k && memcmp(got, want, k * sizeof *got) == 0);
}

static uint32_t count_lines(const tik *f)
{
    uint32_t n = 0;
    for (size_t i = 0, begin = 0; i <= f->n; i++) {
        if (i < f->n && f->text[i] != '\n') continue;
        const size_t len = i - begin;
        n += len > 0 && !(len == 1 && f->text[begin] == '\r');
        begin = i + 1;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmr_mem mem = {0};
    rmr_tokenizer *t = NULL, *again = NULL;
    remora_error err = {.struct_size = sizeof err};
    tik f = {0};
    size_t n_lines, n_table, n_text, n_blob;
    const char *lines = part(&data, &size, &n_lines);
    const char *table = part(&data, &size, &n_table);
    const char *text = part(&data, &size, &n_text);
    if (n_lines > MAX_FILE || n_table > MAX_FILE) return 0;
    if (n_text > MAX_TEXT) n_text = MAX_TEXT;
    rmr_mem_init(&mem);
    if (n_lines < 4 || memcmp(lines, "AA==", 4) != 0) tik_bytes(&f);
    tik_raw(&f, lines, n_lines);
    char *config = malloc(n_table + 96);
    require(config != NULL);
    const int is_table = n_table > 0 && table[0] == '{';
    if (is_table)
        snprintf(config, n_table + 96, "%.*s", (int)n_table, table);
    else
        snprintf(config, n_table + 96,
                 "{\"added_tokens_decoder\":{\"%u\":{\"content\":\"%.*s\",\"special\":true}}}",
                 count_lines(&f) + 7, (int)n_table, n_table > 0 ? table : "");
    const remora_status st = tik_open(&mem, &f, config, NULL, N_VOCAB, &t, &err);
    require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED);
    require((st == REMORA_OK) == (t != NULL));
    if (t != NULL) {
        const void *blob = rmr_tokenizer_compiled(t, &n_blob);
        require(rmr_tokenizer_open_compiled(&mem, blob, n_blob, 0, N_VOCAB, &again, &err) == 0);
        for (uint32_t flags = 0; flags < 4; flags++) check_text(t, again, text, n_text, flags);
        if (!is_table) /* one may have special tokens that are words */
            check_word(t, count_lines(&f), text, n_text);
    }
    rmr_tokenizer_free(again);
    rmr_tokenizer_free(t);
    require(atomic_load(&mem.bytes) == 0);
    free(config);
    free(f.text);
    return 0;
}
