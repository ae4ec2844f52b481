/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pack. Those that begin like one are the file; of others the bytes before the first
 * NUL are a manifest behind a front with a checksum that fits, and the bytes behind it are what the
 * tensors' places hold, zeros after that. Whatever opens is read whole, verified, and opened as a
 * model. */
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "pack.h"
#include "tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY = 256 << 10, MAX_READ = 1 << 20, ROOM = 64 };

static void require(int ok)
{
    if (!ok) abort();
}

static int is_status(remora_status st)
{
    return st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED;
}

static unsigned char *make(const uint8_t *data, size_t size, size_t *n)
{
    if (size >= 13 && memcmp(data, RMR_PACK_MAGIC, 13) == 0) {
        unsigned char *file = malloc(size);
        require(file != NULL);
        memcpy(file, data, size);
        *n = size;
        return file;
    }
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t text = nul != NULL ? (size_t)(nul - data) : size;
    size_t rest = nul != NULL ? size - text - 1 : 0;
    if (rest > BODY) rest = BODY;
    const size_t header =
        (RMR_PACK_FRONT + text + RMR_PACK_PAGE - 1) / RMR_PACK_PAGE * RMR_PACK_PAGE;
    *n = header + BODY;
    unsigned char *file = aligned_alloc(RMR_PACK_PAGE, *n);
    require(file != NULL);
    memset(file, 0, *n);
    if (text > 0) memcpy(file + RMR_PACK_FRONT, data, text);
    if (rest > 0) memcpy(file + header, nul + 1, rest);
    const rmr_pack_front front = {1, header, RMR_PACK_FRONT + text, *n};
    rmr_pack_seal(file, &front);
    return file;
}

static void use_tokenizer(rmr_mem *mem, const rmr_pack *p)
{
    const rmr_pack_blob *b = rmr_pack_find_blob(p, "tokenizer");
    remora_error err = {.struct_size = sizeof err};
    remora_token ids[ROOM];
    rmr_tokenizer *t;
    size_t n;
    if (b == NULL) return;
    const remora_status st = rmr_tokenizer_open_compiled(mem, rmr_pack_blob_data(p, b),
                                                         (size_t)b->bytes, 0, 4096, &t, &err);
    require(is_status(st));
    if (st < 0) return;
    require(
        is_status(rmr_tokenizer_encode(t, "the \xC3\xA9 <x>\xFF 12", 14, 3, ids, ROOM, &n, &err)));
    for (int32_t id = 0; id < 300; id++) {
        const char *bytes;
        (void)rmr_tokenizer_bytes(t, id, &bytes, &n, NULL);
        require(n == 0 || bytes[n - 1] == bytes[n - 1]);
    }
    rmr_tokenizer_free(t);
}

static void read_all(rmr_mem *mem, const rmr_pack *p)
{
    static unsigned char chunk[RMR_PACK_CHUNK];
    remora_error err = {.struct_size = sizeof err};
    rmr_pack_reader *r;
    uint64_t done = 0;
    require(rmr_pack_reader_create(p, mem, &r, &err) == REMORA_OK);
    for (uint32_t i = 0; i < rmr_pack_count(p) && done < MAX_READ; i++) {
        const rmr_pack_tensor *t = rmr_pack_at(p, i);
        require(rmr_pack_find(p, t->name, t->use) == t);
        done += t->bytes;
        if (done > MAX_READ) break;
        for (uint64_t c = 0; c < rmr_pack_chunks(t); c++)
            require(is_status(rmr_pack_read_chunk(r, t, c, chunk, &err)));
    }
    rmr_pack_reader_free(r);
}

/* Models of these sizes are what the limit lets through; larger ones are E_NOMEM. */
static void open_model(const unsigned char *file, size_t n)
{
    const remora_blob blob = {"m.remora", file, n};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
    const remora_model_opts o = {.struct_size = sizeof o, .host_budget = 1 << 20};
    remora_error err = {.struct_size = sizeof err};
    remora_model *m = NULL;
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    const remora_status st = remora_model_open(rt, &src, &o, &m, &err);
    require(is_status(st) || st == REMORA_E_NOMEM);
    remora_model_free(m);
    remora_runtime_free(rt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmr_mem mem = {0};
    rmr_source *src;
    rmr_pack *p;
    remora_error err = {.struct_size = sizeof err};
    size_t n;
    if (size > 1 << 20) return 0;
    unsigned char *file = make(data, size, &n);
    const remora_blob blob = {"m.remora", file, n};
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
    rmr_mem_init(&mem);
    require(rmr_source_open(&mem, &desc, 0, &src, &err) == REMORA_OK);
    const remora_status st = rmr_pack_open(&mem, src, "m.remora", &p, &err);
    rmr_source_free(src);
    require(is_status(st));
    require((st == REMORA_OK) == (p != NULL));
    if (p != NULL) {
        read_all(&mem, p);
        use_tokenizer(&mem, p);
        rmr_pack_free(p);
        open_model(file, n);
    }
    require(atomic_load(&mem.bytes) == 0);
    free(file);
    return 0;
}
