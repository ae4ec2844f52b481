/* SPDX-License-Identifier: Apache-2.0 */
/* A whole small model with edits: the input is a list of changes to its files. Whatever opens must
 * evaluate three tokens, take a text and generate tokens and text, and the end must find every byte
 * returned.
 *
 * With the first byte's highest bit it is opened for inspection instead, whatever is wrong with it.
 *
 * An edit is six bytes: file (mod 5; the fifth means the first 4 kB of the weights, their header),
 * what to do, and where (three bytes), with what. So a mutation of the input is a small mutation of
 * the model, and most inputs pass the first checks. */
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "tiny.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EDIT = 6, MAX_EDITS = 24 };

static const char *const numbers[] = {"0",
                                      "1",
                                      "2",
                                      "3",
                                      "-1",
                                      "7",
                                      "8",
                                      "16",
                                      "255",
                                      "4096",
                                      "65536",
                                      "2147483647",
                                      "2147483648",
                                      "4294967295",
                                      "4294967296",
                                      "9223372036854775807",
                                      "18446744073709551615",
                                      "1e308",
                                      "0.5",
                                      "null",
                                      "true",
                                      "[]",
                                      "{}",
                                      "\"\"",
                                      "1e-320"};

typedef struct file {
    unsigned char *data;
    size_t size;
} file;

static void replace(file *f, size_t at, size_t old, const void *with, size_t n)
{
    unsigned char *p = malloc(f->size - old + n + 1);
    REQUIRE(p != NULL);
    memcpy(p, f->data, at);
    memcpy(p + at, with, n);
    memcpy(p + at + n, f->data + at + old, f->size - at - old);
    free(f->data);
    f->data = p;
    f->size = f->size - old + n;
}

/* The number at or after a place becomes another one. */
static void renumber(file *f, size_t at, const char *with)
{
    while (at < f->size && (f->data[at] < '0' || f->data[at] > '9')) at++;
    size_t end = at;
    while (end < f->size && f->data[end] >= '0' && f->data[end] <= '9') end++;
    replace(f, at, end - at, with, strlen(with));
}

/* The length in front of a safetensors header follows what was done to the header. */
static void fix_header(file *f, size_t before)
{
    uint64_t n;
    if (f->size < 8) return;
    memcpy(&n, f->data, 8);
    n += f->size - before;
    memcpy(f->data, &n, 8);
}

static void edit(file *files, const uint8_t *e)
{
    const int header = e[0] % 5 == 4;
    file *f = &files[header ? 1 : e[0] % 5];
    const size_t before = f->size;
    size_t at = (size_t)e[2] << 16 | (size_t)e[3] << 8 | e[4];
    if (f->size == 0) return;
    at %= header && f->size > 4096 ? 4096 : f->size;
    switch (e[1] % 8) {
    case 0: f->data[at] ^= (uint8_t)(1u << e[5] % 8); return;
    case 1: f->data[at] = e[5]; return;
    case 2: replace(f, at, 1, "", 0); break;
    case 3: replace(f, at, 0, &e[5], 1); break;
    case 4: f->size = at; return;
    case 5: renumber(f, at, numbers[e[5] % (sizeof numbers / sizeof numbers[0])]); break;
    case 6: { /* a piece from elsewhere in the file */
        const size_t n = e[5] % 64, from = (at * 7 + e[5]) % f->size;
        unsigned char piece[64];
        const size_t k = n < f->size - from ? n : f->size - from;
        memcpy(piece, f->data + from, k);
        replace(f, at, 0, piece, k);
        break;
    }
    default: /* a piece is gone */
        replace(f, at, (e[5] < f->size - at ? e[5] : f->size - at), "", 0);
    }
    if (header) fix_header(f, before);
}

/* The text of two more tokens: it comes in whole characters, and the calls end. */
static void generate_text(remora_session *s, remora_sampler *p)
{
    const remora_text stop[] = {{"e", 1}, {"no such text", 12}};
    const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 2, .stop = stop, .n_stop = 2};
    remora_generation_info i = {.struct_size = sizeof i};
    char text[8];
    size_t n, bytes = 0;
    remora_status st = REMORA_MORE;
    for (int calls = 0; st == REMORA_MORE; calls++) {
        REQUIRE(calls < 100000);
        st = remora_generate_text(s, p, &g, text, sizeof text, &n, NULL, 0, NULL, NULL);
        REQUIRE(n <= sizeof text);
        if (n > 0) REQUIRE(((unsigned char)text[0] & 0xc0) != 0x80);
        bytes += n;
    }
    if (st == REMORA_E_UNSUPPORTED) return; /* there is no tokenizer */
    REQUIRE(st == REMORA_END || st == REMORA_E_NO_TOKEN);
    REQUIRE(remora_session_get_generation(s, &i, NULL) == REMORA_OK);
    REQUIRE(i.text_bytes == bytes && i.n_tokens <= 2);
}

static void use(remora_model *m)
{
    static const remora_token ids[] = {1, 2, 3};
    remora_session *s = NULL;
    remora_sampler *p = NULL;
    remora_token out[64];
    remora_detok d = {{0}};
    char text[1024];
    size_t n = 0;
    const remora_session_opts o = {.struct_size = sizeof o, .capacity = 8, .chunk = 8};
    const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 2};
    const remora_status st = remora_tokenize(
        m, "the <eos> \xff 12", 14, REMORA_TEXT_SPECIAL | REMORA_TEXT_BOS, out, 64, &n, NULL);
    if (st == REMORA_OK) (void)remora_detok_push(m, &d, out, n, text, sizeof text, &n, NULL);
    if (remora_session_create(m, &o, &s, NULL) == REMORA_OK &&
        remora_session_append(s, ids, 3, REMORA_WANT_ALL, NULL) == REMORA_OK) {
        const remora_status done = remora_eval(&s, 1, NULL, NULL);
        REQUIRE(done == REMORA_OK);
        REQUIRE(remora_sampler_create(m, 1, &p, NULL) == REMORA_OK);
        const remora_status made = remora_generate(s, p, &g, out, 4, &n, NULL);
        REQUIRE(made == REMORA_END || made == REMORA_E_NO_TOKEN);
        if (made == REMORA_END) generate_text(s, p);
    }
    remora_sampler_free(p);
    remora_session_free(s);
}

/* What inspection asks: every key with its value, and "missing.0" if that is why. */
static void inspect(remora_model *m)
{
    static char key[8192], value[8192];
    remora_model_info info = {.struct_size = sizeof info};
    remora_session *s = NULL;
    size_t n;
    REQUIRE(remora_model_get_info(m, &info, NULL) == REMORA_OK);
    for (uint32_t i = 0; remora_model_meta_key(m, i, key, sizeof key, &n, NULL) == REMORA_OK; i++) {
        const remora_status st = remora_model_meta(m, key, value, sizeof value, &n, NULL);
        REQUIRE(st == REMORA_OK || st == REMORA_E_BUFFER);
        if (strncmp(key, "missing.", 8) == 0) REQUIRE(strncmp(value, "E_", 2) == 0);
    }
    REQUIRE(remora_session_create(m, NULL, &s, NULL) < 0 && s == NULL);
    use(m);
}

/* A hostile number must not become an allocation: more than this at once is a finding. */
enum { MOST = 64 << 20 };

static void *bounded_alloc(void *user, size_t size, size_t align)
{
    REQUIRE(size <= MOST);
    return tmem_alloc(user, size, align);
}

static void *bounded_resize(void *user, void *p, size_t old, size_t size, size_t align)
{
    REQUIRE(size <= MOST);
    return tmem_resize(user, p, old, size, align);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { N_BASES = 7 };
    static tiny t[N_BASES];
    file files[4];
    remora_blob blobs[4];
    tmem mem = {0};
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    remora_model *m = NULL;
    if (size < 1) return 0;
    if (t[0].n == 0) {
        tiny_make(&t[0], &(tiny_opts){.layers = 2, .context = 64});
        tiny_make(&t[1], &(tiny_opts){.layers = 2, .context = 64, .v2 = 1});
        tiny_make(&t[2], &(tiny_opts){.layers = 2, .context = 64, .dense = "llama"});
        tiny_make(&t[3], &(tiny_opts){.layers = 2, .context = 64, .dense = "qwen3"});
        tiny_make(&t[4], &(tiny_opts){.layers = 2, .context = 64, .form = TINY_BARE});
        tiny_make(&t[5], &(tiny_opts){.layers = 2, .context = 64, .form = TINY_SEES});
        tiny_make(&t[6], &(tiny_opts){.layers = 2, .context = 64, .form = TINY_FUSED});
    }
    const tiny *base = &t[data[0] % N_BASES];
    for (int i = 0; i < 4; i++) {
        files[i] = (file){malloc(base->blobs[i].size + 1), base->blobs[i].size};
        REQUIRE(files[i].data != NULL);
        memcpy(files[i].data, base->blobs[i].data, files[i].size);
    }
    for (size_t i = 0; i < MAX_EDITS && 1 + (i + 1) * EDIT <= size; i++)
        edit(files, data + 1 + i * EDIT);
    for (int i = 0; i < 4; i++)
        blobs[i] = (remora_blob){base->blobs[i].name, files[i].data, files[i].size};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = 4};
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .alloc_user = &mem,
                                   .alloc = bounded_alloc,
                                   .resize = bounded_resize,
                                   .dealloc = tmem_release,
                                   .n_threads = 1};
    REQUIRE(remora_runtime_create(&o, &rt, &err) == REMORA_OK);
    const int anyway = (data[0] & 0x80) != 0;
    const remora_model_opts mo = {.struct_size = sizeof mo,
                                  .flags =
                                      anyway ? REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_ANYWAY : 0};
    const remora_status st = remora_model_open(rt, &src, &mo, &m, &err);
    REQUIRE((st >= 0) == (m != NULL));
    REQUIRE(st == REMORA_OK || !anyway);
    REQUIRE(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED);
    if (st < 0) REQUIRE(err.code == st && err.message[0] != 0);
    if (m != NULL && anyway)
        inspect(m);
    else if (m != NULL)
        use(m);
    remora_model_free(m);
    remora_runtime_free(rt);
    REQUIRE(atomic_load(&mem.bytes) == 0 && atomic_load(&mem.damage) == 0);
    for (int i = 0; i < 4; i++) free(files[i].data);
    return 0;
}
