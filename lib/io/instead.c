/* SPDX-License-Identifier: Apache-2.0 */
#include "instead.h"

#include <stdio.h>
#include <string.h>

#include "le.h"

enum { HEAD = 512 /* bytes that tell */, QUOTE = 60 /* bytes of a text that is shown */ };

#define AGAIN "download it again"
#define PICKLE "which is not read: convert the weights to safetensors"

/* ---- one file, by its first bytes ---- */

/* The first bytes of files that are not text. */
static const struct magic {
    const char *bytes;
    uint8_t at, n;
    rmr_expected kind; /* an opener that expected this is not told */
    const char *what;
} magics[] = {
    {"GGUF", 0, 4, RMR_EXPECTED_GGUF, "a GGUF file: open it by a name that ends in .gguf"},
    {"remora_pack: ", 0, 13, RMR_EXPECTED_PACK, "a pack: open it by a name that ends in .remora"},
    {"{", 8, 1, RMR_EXPECTED_SAFETENSORS,
     "a safetensors file: it belongs in a folder with config.json"},
    {"PK\3\4", 0, 4, RMR_EXPECTED_NOTHING,
     "a zip archive, as torch.save (PyTorch pickles) and NumPy write, " PICKLE},
    {"\x80\2", 0, 2, RMR_EXPECTED_NOTHING, "a Python pickle, " PICKLE},
    {"\x80\3", 0, 2, RMR_EXPECTED_NOTHING, "a Python pickle, " PICKLE},
    {"\x80\4", 0, 2, RMR_EXPECTED_NOTHING, "a Python pickle, " PICKLE},
    {"\x80\5", 0, 2, RMR_EXPECTED_NOTHING, "a Python pickle, " PICKLE},
    {"\x89HDF\r\n", 0, 6, RMR_EXPECTED_NOTHING, "an HDF5 file, " PICKLE},
    {"\x93NUMPY", 0, 6, RMR_EXPECTED_NOTHING, "a NumPy array, " PICKLE},
    {"lmgg", 0, 4, RMR_EXPECTED_NOTHING, "a GGML file from before GGUF: take a GGUF file"},
    {"fmgg", 0, 4, RMR_EXPECTED_NOTHING, "a GGML file from before GGUF: take a GGUF file"},
    {"tjgg", 0, 4, RMR_EXPECTED_NOTHING, "a GGML file from before GGUF: take a GGUF file"},
    {"\x1f\x8b", 0, 2, RMR_EXPECTED_NOTHING, "gzip-compressed: unpack it"},
    {"\x28\xb5\x2f\xfd", 0, 4, RMR_EXPECTED_NOTHING, "zstd-compressed: unpack it"},
    {"\xfd"
     "7zXZ",
     0, 5, RMR_EXPECTED_NOTHING, "xz-compressed: unpack it"},
    {"7z\xbc\xaf\x27\x1c", 0, 6, RMR_EXPECTED_NOTHING, "a 7z archive: unpack it"},
};

/* The first characters of texts, behind a byte order mark and white space, in any case of letters.
 */
static const struct opening_text {
    const char *begins;
    const char *what;
} texts[] = {
    {"<!doctype html", "an HTML page, as servers send for errors and logins: " AGAIN},
    {"<html", "an HTML page, as servers send for errors and logins: " AGAIN},
    {"<?xml", "an XML message, as storage servers send for errors: " AGAIN},
    {"<error>", "an XML message, as storage servers send for errors: " AGAIN},
    {"/annex/objects/", "a git-annex pointer, not the file itself: \"git annex get\" fetches it"},
};

/* Texts that servers send in place of a file that is not there. */
static const char *const answers[] = {
    "entry not found",  "repository not found", "revision not found",  "invalid credentials",
    "invalid username", "access to model",      "access to this repo", "not found",
    "404: not found",   "404 not found",        "unauthorized",        "forbidden",
    "too many requests"};

/* First keys of the JSON objects that servers send in place of a file. */
static const char *const error_keys[] = {"\"error\"",  "\"errors\"",     "\"message\"",
                                         "\"detail\"", "\"statuscode\"", "\"code\""};

static size_t skip_blank(const char *p, size_t n)
{
    size_t i = n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n')) i++;
    return i;
}

static int begins(const char *p, size_t n, const char *with)
{
    for (; *with != 0; p++, with++, n--)
        if (n == 0 || (*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p) != *with) return 0;
    return 1;
}

static int is_answer(const char *p, size_t n)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (begins(p, n, answers[i])) return 1;
    if (n == 0 || *p != '{') return 0;
    const size_t key = 1 + skip_blank(p + 1, n - 1);
    for (size_t i = 0; i < sizeof error_keys / sizeof error_keys[0]; i++)
        if (begins(p + key, n - key, error_keys[i])) return 1;
    return 0;
}

/* The beginning of a text, fit for a message. */
static rmr_shown quote(const char *p, size_t n)
{
    char s[QUOTE + 1];
    const size_t k = n < QUOTE ? n : QUOTE;
    memcpy(s, p, k);
    s[k] = 0;
    return rmr_show(s);
}

/* A pointer of Git LFS: lines of "key value", one of them the size. */
static remora_status lfs_pointer(const char *name, const char *p, size_t n, remora_error *err)
{
    unsigned long long bytes = 0;
    char s[HEAD + 1];
    memcpy(s, p, n);
    s[n] = 0;
    const char *size = strstr(s, "\nsize ");
    if (size != NULL && sscanf(size, "\nsize %19llu", &bytes) == 1)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: is a Git LFS pointer, not the file of %llu bytes itself: \"git lfs pull\" "
                 "fetches it",
                 name, bytes);
    RMR_FAIL(err, REMORA_E_FORMAT,
             "%s: is a Git LFS pointer, not the file itself: \"git lfs pull\" fetches it", name);
}

static int is_printable(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((p[i] < 0x20 || p[i] > 0x7E) && p[i] != '\n' && p[i] != '\r' && p[i] != '\t') return 0;
    return n > 0;
}

static int is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) return 0;
    return n > 0;
}

static remora_status text_instead(const char *name, const char *p, size_t n, int binary,
                                  remora_status st, remora_error *err)
{
    static const char lfs[] = "version https://git-lfs.github.com/spec/";
    const size_t at = skip_blank(p, n);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (begins(p + at, n - at, texts[i].begins))
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s", name, texts[i].what);
    if (begins(p, n, lfs)) return lfs_pointer(name, p, n, err);
    if (is_answer(p + at, n - at))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is a server's answer in place of the file (%s): " AGAIN,
                 name, quote(p + at, n - at).text);
    if (binary && is_printable(p, n < QUOTE ? n : QUOTE))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is a text (%s) in place of weights: " AGAIN, name,
                 quote(p + at, n - at).text);
    return st;
}

remora_status rmr_instead_bytes(const char *name, const void *head, size_t have, uint64_t size,
                                rmr_expected expected, remora_status st, remora_error *err)
{
    const char *p = head;
    const size_t n = have < HEAD ? have : HEAD;
    if (size == 0) RMR_FAIL(err, REMORA_E_FORMAT, "%s: is empty (0 bytes): " AGAIN, name);
    if (is_zero(p, n))
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: begins with %zu zero bytes, as a download does that did not finish: " AGAIN,
                 name, n);
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        const struct magic *m = &magics[i];
        if (n < (size_t)m->at + m->n || memcmp(p + m->at, m->bytes, m->n) != 0) continue;
        if (m->kind == RMR_EXPECTED_SAFETENSORS && rmr_le64((const unsigned char *)p) >= size)
            continue; /* a text with a brace there */
        if (m->kind == expected && expected != RMR_EXPECTED_NOTHING) return st;
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s", name, m->what);
    }
    const int binary = expected != RMR_EXPECTED_TEXT && expected != RMR_EXPECTED_NOTHING;
    return text_instead(name, p, n, binary, st, err);
}

remora_status rmr_instead_file(const rmr_file *f, rmr_expected expected, remora_status st,
                               remora_error *err)
{
    char head[HEAD];
    const uint64_t size = rmr_file_size(f);
    const size_t n = size < sizeof head ? (size_t)size : sizeof head;
    if (st != REMORA_E_FORMAT && st != REMORA_E_UNSUPPORTED) return st;
    if (rmr_file_read(f, 0, head, n, NULL) < 0) return st;
    return rmr_instead_bytes(rmr_show(rmr_file_name(f)).text, head, n, size, expected, st, err);
}

remora_status rmr_instead_json(const char *name, const char *text, size_t size, remora_status st,
                               remora_error *err)
{
    const char *zero = memchr(text, 0, size);
    size_t end = zero != NULL ? (size_t)(zero - text) : size;
    const size_t start = skip_blank(text, end);
    if (zero != NULL && end > 0 && is_zero(zero, size - end))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: half-written: has %zu of %zu bytes, then zeros: " AGAIN,
                 name, end, size);
    while (end > start && skip_blank(&text[end - 1], 1) == 1) end--;
    if (zero != NULL || start == end || text[start] != '{' || text[end - 1] == '}') return st;
    RMR_FAIL(err, REMORA_E_FORMAT,
             "%s: half-written: ends at byte %zu, before its JSON does: " AGAIN, name, end);
}

/* ---- folders ---- */

#define PICKLES "weights are PyTorch pickles (%s), which are not read: convert them to safetensors"
#define UNFINISHED "%s is a download that did not finish"

typedef enum match { WHOLE, SUFFIX, PREFIX } match;

/* Files that say what a folder is when it has no config.json or no weights; the first row that
 * matches any name counts. "%s" is the name. */
static const struct sign {
    const char *text;
    match how;
    const char *what;
} signs[] = {
    {"adapter_config.json", WHOLE,
     "%s is a LoRA adapter's: merge the adapter into its base model and open that"},
    {"model_index.json", WHOLE, "%s is a diffusers pipeline's, which is no language model"},
    {"params.json", WHOLE,
     "%s is of Meta's or Mistral's own form: take the form for transformers, with config.json"},
    {"consolidated", PREFIX,
     "%s is of Meta's or Mistral's own form: take the form for transformers, with config.json"},
    {".gguf", SUFFIX, "%s is a GGUF file: open it by its name"},
    {".remora", SUFFIX, "%s is a pack: open it by its name"},
    {".bin", SUFFIX, PICKLES},
    {".pth", SUFFIX, PICKLES},
    {".pt", SUFFIX, PICKLES},
    {".ckpt", SUFFIX, PICKLES},
    {".bin.index.json", SUFFIX, PICKLES},
    {".onnx", SUFFIX, "%s is an ONNX model, which is not read: take safetensors or GGUF"},
    {".npz", SUFFIX, "%s is of MLX or NumPy, which is not read: take safetensors or GGUF"},
    {".h5", SUFFIX, "%s is of Keras, which is not read: take safetensors or GGUF"},
    {".msgpack", SUFFIX, "%s is of Flax, which is not read: take safetensors or GGUF"},
    {".tflite", SUFFIX, "%s is of TensorFlow Lite, which is not read: take safetensors or GGUF"},
    {".engine", SUFFIX, "%s is of TensorRT, which is not read: take safetensors or GGUF"},
    {".incomplete", SUFFIX, UNFINISHED},
    {".part", SUFFIX, UNFINISHED},
    {".partial", SUFFIX, UNFINISHED},
    {".aria2", SUFFIX, UNFINISHED},
    {".crdownload", SUFFIX, UNFINISHED},
    {".download", SUFFIX, UNFINISHED},
    {".safetensors", SUFFIX, "%s alone is no model: take all files of its folder"},
};
enum { N_SIGNS = sizeof signs / sizeof signs[0] };

static int matches(const struct sign *s, const char *name)
{
    const size_t n = strlen(name), k = strlen(s->text);
    if (n < k) return 0;
    return s->how == WHOLE    ? strcmp(name, s->text) == 0
           : s->how == PREFIX ? memcmp(name, s->text, k) == 0
                              : n > k && memcmp(name + n - k, s->text, k) == 0;
}

typedef struct look {
    const rmr_source *src;
    size_t row;                  /* best so far; N_SIGNS: none */
    char name[RMR_MAX_NAME + 1]; /* the file that matches it; the first by name of several */
    size_t files, folders;
    char folder[RMR_MAX_NAME + 1]; /* the first by name */
} look;

static void keep_first(char kept[RMR_MAX_NAME + 1], const char *name)
{
    if (strlen(name) > RMR_MAX_NAME || (kept[0] != 0 && strcmp(kept, name) <= 0)) return;
    memcpy(kept, name, strlen(name) + 1);
}

static int look_at(void *user, const char *name)
{
    look *l = user;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return 0;
    if (rmr_source_is_folder(l->src, name)) {
        l->folders++;
        keep_first(l->folder, name);
        return 0;
    }
    l->files++;
    for (size_t row = 0; row < N_SIGNS && row <= l->row; row++) {
        if (!matches(&signs[row], name)) continue;
        if (row < l->row) l->name[0] = 0;
        l->row = row;
        keep_first(l->name, name);
    }
    return 0;
}

typedef struct snapshots {
    char name[RMR_MAX_NAME + 1]; /* the first by name */
    size_t n;
} snapshots;

static int add_snapshot(void *user, const char *name)
{
    snapshots *s = user;
    if (name[0] == '.') return 0;
    keep_first(s->name, name);
    s->n++;
    return 0;
}

/* The message of a row, behind "<where>: no <wanted>: ". */
static remora_status say(const rmr_source *src, const char *wanted, size_t row, const char *name,
                         remora_error *err)
{
    char what[256];
    const char *form = signs[row].what, *at = strstr(form, "%s");
    snprintf(what, sizeof what, "%.*s%s%s", (int)(at - form), form, rmr_show(name).text, at + 2);
    RMR_FAIL(err, REMORA_E_NOT_FOUND, "%s: has no %s: %s", rmr_show(rmr_source_where(src)).text,
             wanted, what);
}

/* A folder of folders: a cache of huggingface_hub, or a folder that models lie in. */
static remora_status say_folders(const rmr_source *src, const char *wanted, const look *l,
                                 remora_error *err)
{
    const rmr_shown where = rmr_show(rmr_source_where(src));
    snapshots s = {.n = 0};
    if (rmr_source_is_folder(src, "snapshots"))
        (void)rmr_source_list_in(src, "snapshots", add_snapshot, &s, NULL);
    if (s.n > 0)
        RMR_FAIL(err, REMORA_E_NOT_FOUND,
                 "%s: has no %s: a cache of Hugging Face: open its folder snapshots/%s%s",
                 where.text, wanted, rmr_show(s.name).text,
                 s.n > 1 ? ", or another one there" : "");
    RMR_FAIL(err, REMORA_E_NOT_FOUND, "%s: has no %s: only folders (%s%s): open one of them",
             where.text, wanted, rmr_show(l->folder).text, l->folders > 1 ? ", .." : "");
}

/* The file that the source was opened on, by its bytes and then by its name. REMORA_OK: nothing is
 * known of it. */
static remora_status named_file(rmr_source *src, const char *wanted, const char *name,
                                remora_error *err)
{
    remora_error why = {.struct_size = sizeof why};
    rmr_file *f;
    const remora_status st = rmr_file_open(src, name, &f, &why);
    if (st == REMORA_E_NOMEM) RMR_FAIL(err, st, "%s", why.message);
    if (st >= 0) {
        (void)rmr_instead_file(f, RMR_EXPECTED_NOTHING, REMORA_E_FORMAT, &why);
        rmr_file_close(f);
        if (why.code < 0)
            RMR_FAIL(err, REMORA_E_NOT_FOUND, "there is no %s: %s", wanted, why.message);
    }
    for (size_t row = 0; row < N_SIGNS; row++)
        if (matches(&signs[row], name)) return say(src, wanted, row, name, err);
    return REMORA_OK;
}

remora_status rmr_instead_source(rmr_source *src, const char *wanted, remora_error *err)
{
    const char *file = rmr_source_file(src);
    look l = {.src = src, .row = N_SIGNS};
    if (file != NULL) RMR_TRY(named_file(src, wanted, file, err));
    if (rmr_source_list(src, look_at, &l, NULL) < 0) return REMORA_E_NOT_FOUND;
    if (l.row < N_SIGNS) return say(src, wanted, l.row, l.name, err);
    if (l.files == 0 && l.folders > 0) return say_folders(src, wanted, &l, err);
    if (l.files == 0 && rmr_source_can_list(src))
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "%s: has no %s: an empty folder",
                 rmr_show(rmr_source_where(src)).text, wanted);
    return REMORA_E_NOT_FOUND;
}
