/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a GGUF file: the container, what config.json is made of its keys, and the tokenizer.
 * The first byte picks the form: even, the rest is one file; odd, two parts of a split one, cut
 * where the next two bytes say. Whatever opens must hold what its header promises. */
#include <stdlib.h>
#include <string.h>

#include "gguf_config.h"
#include "shape.h"
#include "tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_VOCAB = 4096 };

static void require(int ok)
{
    if (!ok) abort();
}

/* A tensor's bytes lie in its file, and its name finds it. */
static void check_tensor(const rmr_checkpoint *c, const rmr_tensor *t)
{
    char edge;
    require(t->dtype < RMR_DTYPE_COUNT && t->n_dims >= 1 && t->n_dims <= 4 && t->bytes > 0);
    require(t->offset <= rmr_file_size(t->file) && t->bytes <= rmr_file_size(t->file) - t->offset);
    require(rmr_file_read(t->file, t->offset + t->bytes - 1, &edge, 1, NULL) == REMORA_OK);
    require(rmr_checkpoint_find(c, t->name) == t);
}

static void check_items(const rmr_gguf *g)
{
    size_t sum = 0;
    for (size_t i = 0; i < rmr_gguf_count(g); i++) {
        const rmr_gguf_item it = rmr_gguf_at(g, i);
        for (size_t k = 0; k < it.key.size; k++) sum += (unsigned char)it.key.text[k];
        for (size_t k = 0; k < it.text.size; k++) sum += (unsigned char)it.text.text[k];
    }
    require(sum != SIZE_MAX);
}

static void expect(remora_status st)
{
    require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED ||
            st == REMORA_E_NOT_FOUND);
}

static void use(rmr_mem *mem, const rmr_gguf *g, const rmr_checkpoint *c)
{
    remora_error err = {.struct_size = sizeof err};
    json_t *config;
    rmr_tokenizer *t;
    remora_status st = rmr_gguf_config(g, c, &config, &err);
    expect(st);
    if (st == REMORA_OK) {
        rmr_shape shape;
        expect(rmr_shape_read("f", config, &shape, &err));
    }
    json_decref(config);
    st = rmr_tokenizer_open_gguf(mem, g, N_VOCAB, &t, &err);
    expect(st);
    require((st == REMORA_OK) == (t != NULL));
    if (t != NULL) {
        remora_token ids[64];
        size_t n;
        st = rmr_tokenizer_encode(t, "a b <s> 12", 10, 3, ids, 64, &n, &err);
        require(st == REMORA_OK || st == REMORA_E_BUFFER);
    }
    rmr_tokenizer_free(t);
}

/* As listing does, which stops at nothing that one part has wrong. */
static void list(rmr_mem *mem, rmr_source *src, const char *name, int opens)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_refusals r = {.mem = mem};
    rmr_gguf *g;
    rmr_checkpoint *c;
    json_t *known = NULL;
    const remora_status st = rmr_gguf_open(mem, src, name, &r, &g, &c, &err);
    require(!opens || (st == REMORA_OK && r.total == 0));
    require((st == REMORA_OK) == (c != NULL) && (st == REMORA_OK) == (g != NULL));
    for (uint64_t i = 0; c != NULL && i < rmr_checkpoint_count(c); i++)
        require(rmr_checkpoint_at(c, i)->dtype <= RMR_DTYPE_COUNT);
    if (g != NULL) {
        check_items(g);
        require(rmr_gguf_known(g, c, &known, &err) == REMORA_OK);
        json_decref(known);
    }
    rmr_refusals_free(&r);
    rmr_gguf_free(g);
    rmr_checkpoint_free(c);
}

static void open_blobs(const remora_blob *blobs, uint64_t n)
{
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = n};
    remora_error err = {.struct_size = sizeof err};
    rmr_mem mem = {0};
    rmr_source *src;
    rmr_gguf *g;
    rmr_checkpoint *c;
    rmr_mem_init(&mem);
    require(rmr_source_open(&mem, &desc, 0, &src, &err) == REMORA_OK);
    const remora_status st = rmr_gguf_open(&mem, src, blobs[0].name, NULL, &g, &c, &err);
    expect(st);
    require((st == REMORA_OK) == (c != NULL) && (st == REMORA_OK) == (g != NULL));
    if (st == REMORA_OK) {
        for (uint64_t i = 0; i < rmr_checkpoint_count(c); i++)
            check_tensor(c, rmr_checkpoint_at(c, i));
        check_items(g);
        use(&mem, g, c);
    }
    rmr_gguf_free(g);
    rmr_checkpoint_free(c);
    list(&mem, src, blobs[0].name, st == REMORA_OK);
    rmr_source_free(src);
    require(atomic_load(&mem.bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    if (data[0] % 2 == 0) {
        const remora_blob one = {"m.gguf", data + 1, size - 1};
        open_blobs(&one, 1);
        return 0;
    }
    const size_t n = size - 3, first = ((size_t)data[1] << 8 | data[2]) % (n + 1);
    const remora_blob all[] = {{"m-00001-of-00002.gguf", data + 3, first},
                               {"m-00002-of-00002.gguf", data + 3 + first, n - first}};
    open_blobs(all, 2);
    return 0;
}
