/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a checkpoint. The first byte picks the form: even, the rest is model.safetensors;
 * odd, an index and two shards "a" and "b", cut where the next four bytes say. Whatever opens must
 * hold what the headers promise. */
#include <stdlib.h>
#include <string.h>

#include "safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

/* A tensor's bytes lie in its file, and its name finds it. */
static void check_tensor(const rmr_checkpoint *c, const rmr_tensor *t)
{
    char edge;
    require(t->dtype < RMR_DTYPE_COUNT && t->n_dims <= RMR_MAX_DIMS);
    require(t->offset <= rmr_file_size(t->file) && t->bytes <= rmr_file_size(t->file) - t->offset);
    if (t->bytes > 0)
        require(rmr_file_read(t->file, t->offset + t->bytes - 1, &edge, 1, NULL) == REMORA_OK);
    require(rmr_checkpoint_find(c, t->name) == t);
}

/* As listing does, which stops at nothing that one shard has wrong. */
static void list(rmr_mem *mem, rmr_source *src, int opens)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_refusals r = {.mem = mem};
    rmr_checkpoint *c;
    const remora_status st = rmr_safetensors_open(mem, src, NULL, &r, &c, &err);
    require(!opens || (st == REMORA_OK && r.total == 0));
    for (uint64_t i = 0; c != NULL && i < rmr_checkpoint_count(c); i++)
        require(rmr_checkpoint_at(c, i)->dtype <= RMR_DTYPE_COUNT);
    rmr_refusals_free(&r);
    rmr_checkpoint_free(c);
}

static void open_blobs(const remora_blob *blobs, uint64_t n)
{
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = n};
    remora_error err = {.struct_size = sizeof err};
    rmr_mem mem = {0};
    rmr_source *src;
    rmr_checkpoint *c;
    rmr_mem_init(&mem);
    require(rmr_source_open(&mem, &desc, 0, &src, &err) == REMORA_OK);
    const remora_status st = rmr_safetensors_open(&mem, src, NULL, NULL, &c, &err);
    require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED ||
            st == REMORA_E_NOT_FOUND);
    require((st == REMORA_OK) == (c != NULL));
    for (uint64_t i = 0; c != NULL && i < rmr_checkpoint_count(c); i++)
        check_tensor(c, rmr_checkpoint_at(c, i));
    rmr_checkpoint_free(c);
    list(&mem, src, st == REMORA_OK);
    rmr_source_free(src);
    require(atomic_load(&mem.bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5) return 0;
    const uint8_t *rest = data + 5;
    const size_t n = size - 5;
    if (data[0] % 2 == 0) {
        const remora_blob one = {"model.safetensors", data + 1, size - 1};
        open_blobs(&one, 1);
        return 0;
    }
    const size_t index = ((size_t)data[1] << 8 | data[2]) % (n + 1);
    const size_t a = ((size_t)data[3] << 8 | data[4]) % (n - index + 1);
    const remora_blob all[] = {{"model.safetensors.index.json", rest, index},
                               {"a", rest + index, a},
                               {"b", rest + index + a, n - index - a}};
    open_blobs(all, 3);
    return 0;
}
