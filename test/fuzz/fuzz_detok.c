/* SPDX-License-Identifier: Apache-2.0 */
/* Any tokens in any cuts: the pieces must join to what one call gives, each in whole characters.
 * The first 32 bytes are a state that nobody made; every further pair is a token, and a cut after
 * it when the second byte's top bit is set. */
#include "../unit/tok_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TOKENS = 2048, ROOM = 8 * MAX_TOKENS };

static void require(int ok)
{
    if (!ok) abort();
}

static void whole(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        require(cp < RMR_UTF8_SHORT);
    }
}

static size_t push(const rmr_tokenizer *t, remora_detok *st, const remora_token *ids, size_t n_ids,
                   char *out, size_t room)
{
    const remora_detok before = *st;
    size_t need, n;
    const remora_status first = rmr_detok_push(t, st, ids, n_ids, NULL, 0, &need, NULL);
    require(first == (need > 0 ? REMORA_E_BUFFER : REMORA_OK));
    if (first == REMORA_OK) return 0;
    require(memcmp(st, &before, sizeof before) == 0 && need <= room);
    require(rmr_detok_push(t, st, ids, n_ids, out, need, &n, NULL) == REMORA_OK && n == need);
    whole(out, n);
    return n;
}

static void foreign_state(const rmr_tokenizer *t, const uint8_t *data)
{
    static const remora_token ids[] = {0x80, 'a'};
    remora_detok st;
    char out[64];
    size_t n;
    memcpy(&st, data, sizeof st);
    const remora_status s = rmr_detok_push(t, &st, ids, 2, out, sizeof out, &n, NULL);
    require(s == REMORA_OK || s == REMORA_E_ARG);
    memcpy(&st, data, sizeof st);
    require(rmr_detok_flush(t, &st, out, sizeof out, &n, NULL) == s);
}

static void all_cuts(const rmr_tokenizer *t, const uint8_t *data, size_t n_ids)
{
    static char joined[ROOM], bulk[ROOM];
    static remora_token ids[MAX_TOKENS];
    remora_detok st = {{0}}, one = {{0}};
    size_t n = 0, m, k, begin = 0;
    for (size_t i = 0; i < n_ids; i++)
        ids[i] = data[2 * i] + ((data[2 * i + 1] & 0x7F) == 0x7F ? 45 : 0);
    for (size_t i = 0; i <= n_ids; i++) {
        if (i < n_ids && !(data[2 * i + 1] & 0x80)) continue;
        const size_t end = i < n_ids ? i + 1 : n_ids;
        n += push(t, &st, ids + begin, end - begin, joined + n, ROOM - n);
        begin = end;
    }
    require(rmr_detok_flush(t, &st, joined + n, ROOM - n, &k, NULL) == REMORA_OK);
    n += k;
    m = push(t, &one, ids, n_ids, bulk, ROOM);
    require(rmr_detok_flush(t, &one, bulk + m, ROOM - m, &k, NULL) == REMORA_OK);
    m += k;
    require(n == m && memcmp(joined, bulk, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const fix f = {.added = "{\"id\":299,\"content\":\"<s>\",\"special\":true},"
                                   "{\"id\":300,\"content\":\"<t>\"}"};
    remora_error err = {.struct_size = sizeof err};
    rmr_mem mem = {0};
    rmr_tokenizer *t;
    if (size < sizeof(remora_detok)) return 0;
    rmr_mem_init(&mem);
    require(fix_open(&mem, &f, &t, &err) == REMORA_OK);
    foreign_state(t, data);
    size_t n = (size - sizeof(remora_detok)) / 2;
    if (n > MAX_TOKENS) n = MAX_TOKENS;
    all_cuts(t, data + sizeof(remora_detok), n);
    rmr_tokenizer_free(t);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
