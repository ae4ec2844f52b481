/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a grammar, a regular expression or a schema, and any tokens for what compiles:
 * statuses, within the limits; masks that say what reading a token says; going back. The first byte
 * says the kind, the second how many of the last bytes are tokens. */
#include <stdlib.h>

#include "constrain.h"
#include "tmem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

static int bounded(remora_status st)
{
    return st == REMORA_OK || st == REMORA_E_NO_TOKEN || st == REMORA_E_LIMIT;
}

static void follow(rmr_guide *m, const uint8_t *tokens, size_t n)
{
    uint32_t mask[CONSTRAIN_MASK];
    for (size_t i = 0; i < n; i++) {
        const remora_token t = (remora_token)((i % 2 ? 256u : 0u) + tokens[i]) % CONSTRAIN_VOCAB;
        const size_t before = rmr_guide_count(m);
        const remora_status st = rmr_guide_mask(m, mask, NULL);
        const remora_status read = rmr_guide_accept(m, t, NULL);
        require(bounded(st) && bounded(read));
        require(rmr_guide_count(m) == before + (read == REMORA_OK));
        if (st == REMORA_OK && read != REMORA_E_LIMIT)
            require(constrain_bit(mask, t) == (read == REMORA_OK));
        if (tokens[i] % 16 == 7) require(rmr_guide_rollback(m, before / 2, NULL) == REMORA_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmem meter = {0};
    rmr_mem mem = {
        .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    const rmr_limits lim = {.build = 200000, .step = 100000, .bytes = 8 << 20};
    remora_error err = {.struct_size = sizeof err};
    rmr_vocabulary *v;
    rmr_constraint *c = NULL;
    rmr_guide *m = NULL;
    if (size < 2) return 0;
    const size_t tokens = data[1] < size - 2 ? data[1] : size - 2, n = size - 2 - tokens;
    require(rmr_vocabulary_new(&mem, CONSTRAIN_VOCAB, constrain_text, NULL, &v, NULL) == REMORA_OK);
    static const char *const kinds[] = {"regex", "gbnf", "lark", "schema"};
    const char *kind = kinds[data[0] % 4];
    const remora_status st =
        constrain_new(&mem, v, kind, (const char *)data + 2, n, &lim, &c, &err);
    require(st == REMORA_OK || st == REMORA_E_ARG || st == REMORA_E_UNSUPPORTED ||
            st == REMORA_E_LIMIT || st == REMORA_E_FORMAT);
    require(st == REMORA_OK || err.message[0] != 0);
    if (st == REMORA_OK && rmr_guide_new(c, &m, NULL) == REMORA_OK) follow(m, data + 2 + n, tokens);
    rmr_guide_free(m);
    rmr_constraint_free(c);
    rmr_vocabulary_free(v);
    require(meter.blocks == 0 && meter.damage == 0);
    return 0;
}
