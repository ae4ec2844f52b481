/* SPDX-License-Identifier: Apache-2.0 */
/* See logits_file.h. All numbers are little-endian, put together byte by byte. */
#include "logits_file.h"
#include "tool_system.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 168, VERSION = 1, ROW_HEAD = 16 };
enum { MAX_VOCAB = 1 << 24, STEPS = 65535 };
static const char magic[8] = {'R', 'M', 'R', 'L', 'O', 'G', 'I', 'T'};
static const double depth = 40; /* nats below the best entry that are told apart */

static int system_error(const char *path)
{
    fprintf(stderr, "remora: %s: %s\n", path, errno ? strerror(errno) : "input/output error");
    return -1;
}

static int no_memory(void)
{
    fputs("remora: out of memory\n", stderr);
    return -1;
}

static int damaged(const char *path, const char *what)
{
    fprintf(stderr, "remora: %s: no file of saved logits, or damaged: %s\n", path, what);
    return -1;
}

static void put(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i > 0; i--) v = v << 8 | p[i - 1];
    return v;
}

static uint64_t pad8(uint64_t n)
{
    return (n + 7) / 8 * 8;
}

/* Names go to terminals: printable ASCII alone. */
static int is_plain(char c)
{
    return c >= 0x20 && c < 0x7F;
}

static int take_row(tool_logits_file *o)
{
    o->row_bytes = ROW_HEAD + (size_t)pad8(2 * (uint64_t)o->n_vocab);
    o->row = calloc(1, o->row_bytes);
    return o->row ? 0 : no_memory();
}

/* ---- writing ---- */

static int write_bytes(tool_logits_file *o, const void *p, size_t n)
{
    return tool_outfile_write(&o->out, p, n);
}

static int write_windows(tool_logits_file *o, const tool_windows *w)
{
    unsigned char b[8] = {0};
    for (size_t i = 0; i < w->n; i++) {
        put(b, w->v[i].n, 4);
        put(b + 4, w->v[i].first, 4);
        if (write_bytes(o, b, 8) < 0) return -1;
    }
    for (size_t i = 0; i < w->n_ids; i++) {
        put(b, (uint32_t)w->ids[i], 4);
        if (write_bytes(o, b, 4) < 0) return -1;
    }
    put(b, 0, 8);
    return w->n_ids % 2 ? write_bytes(o, b, 4) : 0;
}

int tool_logits_create(tool_logits_file *o, const char *path, const tool_windows *w)
{
    unsigned char head[HEADER] = {0};
    o->path = path;
    o->n_rows = w->scored;
    if (take_row(o) < 0 || tool_outfile_create(&o->out, path) < 0) return -1;
    memcpy(head, magic, 8);
    put(head + 8, VERSION, 4);
    put(head + 12, o->n_vocab, 4);
    put(head + 16, w->n, 8);
    put(head + 24, w->n_ids, 8);
    put(head + 32, o->n_rows, 8);
    for (size_t i = 0; i + 1 < sizeof o->name && o->name[i]; i++)
        head[40 + i] = is_plain(o->name[i]) ? (unsigned char)o->name[i] : '?';
    memcpy(head + 136, o->fingerprint, sizeof o->fingerprint);
    if (write_bytes(o, head, sizeof head) < 0) return -1;
    return write_windows(o, w);
}

int tool_logits_write(tool_logits_file *o, const float *logits, const tool_row *m, double nll)
{
    const double top = (double)logits[m->top];
    double range = 0;
    uint32_t step_bits;
    uint64_t nll_bits;
    for (size_t i = 0; i < o->n_vocab; i++) range = fmax(range, top - (double)logits[i]);
    const float step = (float)(fmin(range, depth) / STEPS);
    for (size_t i = 0; i < o->n_vocab; i++) {
        const double n = step > 0 ? (top - (double)logits[i]) / (double)step : 0;
        put(o->row + ROW_HEAD + 2 * i, n < STEPS ? (uint64_t)(n + 0.5) : STEPS, 2);
    }
    memcpy(&step_bits, &step, 4);
    memcpy(&nll_bits, &nll, 8);
    put(o->row, m->top, 4);
    put(o->row + 4, step_bits, 4);
    put(o->row + 8, nll_bits, 8);
    o->at++;
    return write_bytes(o, o->row, o->row_bytes);
}

int tool_logits_finish(tool_logits_file *o)
{
    return tool_outfile_finish(&o->out);
}

void tool_logits_close(tool_logits_file *o)
{
    if (o->f) fclose(o->f);
    tool_outfile_close(&o->out);
    free(o->row);
    *o = (tool_logits_file){0};
}

/* ---- reading ---- */

static int read_bytes(tool_logits_file *o, void *p, size_t n)
{
    errno = 0;
    if (fread(p, 1, n, o->f) == n) return 0;
    return ferror(o->f) ? system_error(o->path) : damaged(o->path, "it ends early");
}

/* Bytes that windows and ids take. The counts are bounded by the file's size first, so that no sum
 * or product below can wrap. */
static int check_size(tool_logits_file *o, uint64_t size, uint64_t n_windows, uint64_t n_ids)
{
    if (o->n_vocab < 1 || o->n_vocab > MAX_VOCAB) return damaged(o->path, "n_vocab");
    if (n_windows < 1 || n_windows > size / 8) return damaged(o->path, "number of windows");
    if (n_ids > size / 4) return damaged(o->path, "number of ids");
    const uint64_t row_bytes = ROW_HEAD + pad8(2 * (uint64_t)o->n_vocab);
    if (o->n_rows < 1 || o->n_rows > size / row_bytes) return damaged(o->path, "number of rows");
    if (size != HEADER + 8 * n_windows + pad8(4 * n_ids) + o->n_rows * row_bytes)
        return damaged(o->path, "its size is not what its header says");
    return 0;
}

static int read_header(tool_logits_file *o, uint64_t size, uint64_t *n_windows, uint64_t *n_ids)
{
    unsigned char head[HEADER];
    if (size < HEADER) return damaged(o->path, "it ends early");
    if (read_bytes(o, head, HEADER) < 0) return -1;
    if (memcmp(head, magic, 8) != 0) return damaged(o->path, "it does not begin with RMRLOGIT");
    if (get(head + 8, 4) != VERSION) {
        fprintf(stderr, "remora: %s: version %u of saved logits, this program reads %d\n", o->path,
                (unsigned)get(head + 8, 4), VERSION);
        return -1;
    }
    o->n_vocab = (uint32_t)get(head + 12, 4);
    *n_windows = get(head + 16, 8);
    *n_ids = get(head + 24, 8);
    o->n_rows = get(head + 32, 8);
    memcpy(o->name, head + 40, sizeof o->name);
    memcpy(o->fingerprint, head + 136, sizeof o->fingerprint);
    if (!memchr(o->name, 0, sizeof o->name)) return damaged(o->path, "name");
    for (const char *c = o->name; *c; c++)
        if (!is_plain(*c)) return damaged(o->path, "name");
    return check_size(o, size, *n_windows, *n_ids);
}

/* One window's ids behind those already in w. */
static int read_ids(tool_logits_file *o, tool_windows *w, uint32_t n, uint32_t first)
{
    unsigned char *bytes = malloc(4 * (size_t)n);
    remora_token *ids = malloc((size_t)n * sizeof *ids);
    int st = bytes && ids ? read_bytes(o, bytes, 4 * (size_t)n) : no_memory();
    for (uint32_t i = 0; st == 0 && i < n; i++) {
        const uint64_t id = get(bytes + 4 * (size_t)i, 4);
        if (id >= o->n_vocab)
            st = damaged(o->path, "a token outside the vocabulary");
        else
            ids[i] = (remora_token)id;
    }
    if (st == 0) st = tool_windows_add(w, NULL, 0, ids, n, first);
    free(ids);
    free(bytes);
    return st;
}

static int read_windows(tool_logits_file *o, uint64_t n_windows, uint64_t n_ids, tool_windows *w)
{
    unsigned char *table = malloc((size_t)n_windows * 8), b[4];
    uint64_t left = n_ids;
    int st = table ? read_bytes(o, table, (size_t)n_windows * 8) : no_memory();
    for (uint64_t i = 0; st == 0 && i < n_windows; i++) {
        const uint32_t n = (uint32_t)get(table + 8 * i, 4);
        const uint32_t first = (uint32_t)get(table + 8 * i + 4, 4);
        if (n > left || first < 1 || first >= n)
            st = damaged(o->path, "a window");
        else
            st = read_ids(o, w, n, first);
        left -= n;
    }
    free(table);
    if (st == 0 && (left != 0 || w->scored != o->n_rows))
        st = damaged(o->path, "windows do not make up its ids and rows");
    return st == 0 && n_ids % 2 ? read_bytes(o, b, 4) : st;
}

int tool_logits_open(tool_logits_file *o, const char *path, tool_windows *w)
{
    uint64_t size = 0, n_windows, n_ids;
    o->path = path;
    errno = 0;
    o->f = tool_fopen(path, "rb");
    const int kind = o->f ? tool_file_size(o->f, &size) : -1;
    if (kind < 0) return system_error(path);
    if (kind > 0) return damaged(path, "it is no regular file");
    if (read_header(o, size, &n_windows, &n_ids) < 0) return -1;
    if (read_windows(o, n_windows, n_ids, w) < 0) return -1;
    return take_row(o);
}

int tool_logits_read(tool_logits_file *o, float *logits, tool_row *m, double *nll)
{
    float step;
    if (read_bytes(o, o->row, o->row_bytes) < 0) return -1;
    const uint32_t step_bits = (uint32_t)get(o->row + 4, 4);
    const uint64_t nll_bits = get(o->row + 8, 8);
    const uint32_t top = (uint32_t)get(o->row, 4);
    memcpy(&step, &step_bits, 4);
    memcpy(nll, &nll_bits, 8);
    if (top >= o->n_vocab || !isfinite(*nll) || !(step >= 0) || (double)step > depth)
        return damaged(o->path, "a row");
    for (size_t i = 0; i < o->n_vocab; i++)
        logits[i] = -step * (float)get(o->row + ROW_HEAD + 2 * i, 2);
    if (tool_row_measure(logits, o->n_vocab, m) < 0) return damaged(o->path, "a row");
    m->top = top; /* entries that share the best one's step are told apart here */
    o->at++;
    return 0;
}
