/* SPDX-License-Identifier: Apache-2.0 */
/* See imatrix.h. A safetensors file is the size of its header (8 bytes), a JSON header, and the
 * tensors one after another. Here all counts (I64) come first, so that everything is aligned. */
#include "imatrix.h"
#include "host.h"
#include "outfile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
    char *v;
    size_t n, cap;
    int failed;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    va_list args;
    for (;;) {
        va_start(args, format);
        const int n = vsnprintf(t->v + t->n, t->cap - t->n, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < t->cap - t->n) {
            t->n += (size_t)n;
            return;
        }
        char *more = n < 0 || t->failed ? NULL : realloc(t->v, 2 * t->cap + (size_t)n);
        if (!more) {
            t->failed = 1;
            return;
        }
        t->v = more;
        t->cap = 2 * t->cap + (size_t)n;
    }
}

/* Weight i; 0 behind the last one. */
static int item(const remora_model *m, uint32_t i, remora_importance *out)
{
    *out = (remora_importance){.struct_size = sizeof *out};
    return remora_importance_get(m, i, out, NULL) == REMORA_OK;
}

/* Names are the library's own: letters, digits, dots and underscores. */
static void add_header(text *t, const remora_model *m, uint64_t n_tokens)
{
    remora_importance x;
    uint64_t at = 0;
    add(t, "{\"__metadata__\":{\"format\":\"remora-imatrix-1\",\"tokens\":\"%llu\"}",
        (unsigned long long)n_tokens);
    for (uint32_t i = 0; item(m, i, &x); i++) {
        add(t, ",\"%s.count\":{\"dtype\":\"I64\",\"shape\":[%u],\"data_offsets\":[%llu,%llu]}",
            x.name, x.n_matrices, (unsigned long long)at,
            (unsigned long long)(at + 8ull * x.n_matrices));
        at += 8ull * x.n_matrices;
    }
    for (uint32_t i = 0; item(m, i, &x); i++) {
        const uint64_t bytes = 4ull * x.n_matrices * x.n_cols;
        add(t, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", x.name);
        if (x.n_matrices > 1) add(t, "%u,", x.n_matrices);
        add(t, "%u],\"data_offsets\":[%llu,%llu]}", x.n_cols, (unsigned long long)at,
            (unsigned long long)(at + bytes));
        at += bytes;
    }
    add(t, "}");
    while (t->n % 8 != 0 && !t->failed) add(t, " ");
}

static void put(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (unsigned char)(v >> 8 * i);
}

/* One matrix: its count, or its means. */
static int write_matrix(tool_outfile *o, const remora_model *m, uint32_t i, uint32_t matrix,
                        const remora_importance *x, int counts)
{
    double *sums = malloc(x->n_cols * sizeof *sums);
    unsigned char *bytes = malloc(4 * (size_t)x->n_cols + 8);
    uint64_t count;
    size_t n, len = 8;
    int code = -1;
    const remora_status st =
        sums && bytes ? remora_importance_read(m, i, matrix, &count, sums, x->n_cols, &n, NULL)
                      : REMORA_E_NOMEM;
    if (st < 0) {
        tool_fail(st, x->name, NULL);
        goto out;
    }
    if (counts) put(bytes, count, 8);
    if (!counts) {
        for (size_t c = 0; c < n; c++) {
            const float mean = count ? (float)(sums[c] / (double)count) : 0;
            uint32_t bits;
            memcpy(&bits, &mean, 4);
            put(bytes + 4 * c, bits, 4);
        }
        len = 4 * n;
    }
    code = tool_outfile_write(o, bytes, len);
out:
    free(sums);
    free(bytes);
    return code;
}

static int write_data(tool_outfile *o, const remora_model *m, int counts)
{
    remora_importance x;
    for (uint32_t i = 0; item(m, i, &x); i++)
        for (uint32_t k = 0; k < x.n_matrices; k++)
            if (write_matrix(o, m, i, k, &x, counts) < 0) return -1;
    return 0;
}

int tool_imatrix_write(const char *path, const remora_model *m, uint64_t n_tokens)
{
    tool_outfile o = {0};
    text t = {.v = malloc(65536), .cap = 65536};
    unsigned char size[8];
    int code = -1;
    if (t.v) add_header(&t, m, n_tokens);
    if (!t.v || t.failed) {
        tool_fail(REMORA_E_NOMEM, path, NULL);
        goto out;
    }
    put(size, t.n, 8);
    if (tool_outfile_create(&o, path) == 0 && tool_outfile_write(&o, size, 8) == 0 &&
        tool_outfile_write(&o, t.v, t.n) == 0 && write_data(&o, m, 1) == 0 &&
        write_data(&o, m, 0) == 0)
        code = tool_outfile_finish(&o);
out:
    tool_outfile_close(&o);
    free(t.v);
    return code;
}
