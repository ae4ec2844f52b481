/* SPDX-License-Identifier: Apache-2.0 */
/* Any text through a tokenizer with DeepSeek-V3's own pre-tokenizer: every text comes back byte for
 * byte, in one piece or streamed, and cutting it at the special tokens of the text changes nothing
 * when they are not asked for. */
#include "../unit/tok_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TEXT = 8192, N_VOCAB = 300 };

#define SPLIT(regex)                                                                               \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                                          \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"

static const char v3_split[] =
    "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("\\\\p{N}{1,3}") "," SPLIT(
        "[\\u4e00-"
        "\\u9fa5\\u30"
        "40-"
        "\\u309f\\u30"
        "a0-\\u30ff]"
        "+") "," SPLIT("[!\\\"#$%&'()*+,\\\\-./:;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+|"
                       "[^\\r\\n\\\\p{L}\\\\p{P}\\\\p{S}]?[\\\\p{L}\\\\p{M}]+|"
                       " ?[\\\\p{P}\\\\p{S}]+[\\r\\n]*|\\\\s*[\\r\\n]+|\\\\s+(?!\\\\S)|"
                       "\\\\s+") "," FIX_BYTE_LEVEL "]}";

static void require(int ok)
{
    if (!ok) abort();
}

/* Ids to bytes, and streamed through the detokenizer where the text is whole UTF-8 anyway. */
static void back(const rmr_tokenizer *t, const remora_token *ids, size_t n, const char *text,
                 size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *bytes;
        size_t k;
        require(rmr_tokenizer_bytes(t, ids[i], &bytes, &k, NULL) == REMORA_OK);
        require(k <= len - at && memcmp(bytes, text + at, k) == 0);
        at += k;
    }
    require(at == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const fix f = {
        .vocab = ",\"th\":256,\"the\":257,\"\\u0120the\":258,\"\\u0120\\u0120\":259,\"er\":260,"
                 "\"\\u0120\\u0120\\u0120\\u0120\":261,\"00\":262,\"\\u00e4\\u00bd\":263,"
                 "\"\\u010a\\u010a\":264",
        .merges = "\"t h\",\"th e\",\"\\u0120 the\",\"\\u0120 \\u0120\",\"e r\","
                  "\"\\u0120\\u0120 \\u0120\\u0120\",\"0 0\",\"\\u00e4 \\u00bd\","
                  "\"\\u010a \\u010a\"",
        .added = "{\"id\":290,\"content\":\"<s>\",\"special\":true},"
                 "{\"id\":291,\"content\":\"<|a|>\",\"special\":false}",
        .pre = v3_split};
    static remora_token ids[MAX_TEXT + 1];
    const char *text = (const char *)data;
    remora_error err = {.struct_size = sizeof err};
    rmr_mem mem = {0};
    rmr_tokenizer *t;
    size_t n, need;
    if (size > MAX_TEXT) return 0;
    rmr_mem_init(&mem);
    require(fix_open(&mem, &f, &t, &err) == REMORA_OK);
    for (uint32_t flags = 0; flags < 2; flags++) {
        const remora_status st =
            rmr_tokenizer_encode(t, text, size, flags, ids, MAX_TEXT + 1, &n, &err);
        require(st == REMORA_OK && n <= size);
        back(t, ids, n, text, size);
        for (size_t i = 0; flags == 0 && i < n; i++) require(ids[i] != 290);
        require(rmr_tokenizer_encode(t, text, size, flags, NULL, 0, &need, &err) ==
                (n > 0 ? REMORA_E_BUFFER : REMORA_OK));
        require(need == n);
    }
    rmr_tokenizer_free(t);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
