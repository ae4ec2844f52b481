/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a tokenizer and as text. Bytes before the first NUL are tokenizer.json when they
 * begin with '{', else a pattern of the fixture's pre-tokenizer; those behind are text. Whatever
 * opens must give every text back byte for byte, or refuse it by status. */
#include "../unit/tok_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_VOCAB = 4096, MAX_TEXT = 4096, MAX_HEAD = 1 << 16 };

static void require(int ok)
{
    if (!ok) abort();
}

static void check_ids(const rmr_tokenizer *t, const remora_token *ids, size_t n, const char *text,
                      size_t len, uint32_t flags)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *bytes;
        size_t k;
        require(rmr_tokenizer_bytes(t, ids[i], &bytes, &k, NULL) == REMORA_OK);
        if (flags & REMORA_TEXT_BOS) continue;
        require(k <= len - at && memcmp(bytes, text + at, k) == 0);
        at += k;
    }
    require((flags & REMORA_TEXT_BOS) || at == len);
}

/* `lossy`: a normalizer may change the text. */
static void encode(const rmr_tokenizer *t, const char *text, size_t len, uint32_t flags, int lossy)
{
    remora_token small[1];
    size_t n, again;
    remora_error err = {.struct_size = sizeof err};
    const remora_status st = rmr_tokenizer_encode(t, text, len, flags, small, 1, &n, &err);
    require(st == REMORA_OK || st == REMORA_E_BUFFER || st == REMORA_E_UNSUPPORTED);
    if (st == REMORA_E_UNSUPPORTED) return;
    remora_token *ids = malloc((n + 1) * sizeof *ids);
    require(ids != NULL);
    require(rmr_tokenizer_encode(t, text, len, flags, ids, n, &again, &err) == REMORA_OK);
    require(again == n);
    if (!lossy) check_ids(t, ids, n, text, len, flags);
    free(ids);
}

/* The fixture with the pattern, quoted for JSON, in its pre-tokenizer. */
static remora_status open_pattern(rmr_mem *mem, const uint8_t *s, size_t n, rmr_tokenizer **out,
                                  remora_error *err)
{
    static const char head[] = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
                               "\"pattern\":{\"Regex\":\"";
    static const char tail[] = "\"},\"behavior\":\"Isolated\"}," FIX_BYTE_LEVEL "]}";
    char *pre = malloc(sizeof head + 6 * n + sizeof tail);
    require(pre != NULL);
    char *p = pre + sprintf(pre, "%s", head);
    for (size_t i = 0; i < n; i++)
        p += s[i] < 0x20 || s[i] == '"' || s[i] == '\\' ? sprintf(p, "\\u%04x", s[i])
                                                        : sprintf(p, "%c", s[i]);
    strcpy(p, tail);
    const fix f = {.vocab = ",\"ab\":256,\"Ġa\":257,\"ĠĠ\":258",
                   .merges = "\"a b\",\"Ġ a\",\"Ġ Ġ\"",
                   .added = "{\"id\":300,\"content\":\"<s>\",\"special\":true}",
                   .pre = pre};
    const remora_status st = fix_open(mem, &f, out, err);
    free(pre);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t head = nul != NULL ? (size_t)(nul - data) : size;
    const char *text = nul != NULL ? (const char *)nul + 1 : "ab <s> ab";
    size_t len = nul != NULL ? size - head - 1 : 9;
    rmr_mem mem = {0};
    rmr_tokenizer *t = NULL;
    remora_status st;
    remora_error err = {.struct_size = sizeof err};
    if (head > MAX_HEAD) return 0;
    if (len > MAX_TEXT) len = MAX_TEXT;
    rmr_mem_init(&mem);
    const int is_json = head > 0 && data[0] == '{';
    if (is_json) {
        char *json = malloc(head + 1);
        require(json != NULL);
        memcpy(json, data, head);
        json[head] = 0;
        const fix_file file = {"tokenizer.json", json};
        st = fix_open_files(&mem, &file, 1, N_VOCAB, &t, &err);
        free(json);
    } else {
        st = open_pattern(&mem, data, head, &t, &err);
    }
    require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED);
    require((st == REMORA_OK) == (t != NULL));
    for (uint32_t flags = 0; t != NULL && flags < 4; flags++) encode(t, text, len, flags, is_json);
    rmr_tokenizer_free(t);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
