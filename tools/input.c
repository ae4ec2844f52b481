/* SPDX-License-Identifier: Apache-2.0 */
/* Input of the command. */
#include "input.h"
#include "host.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(void)
{
    fputs("remora: out of memory\n", stderr);
    return -1;
}

/* Reads to the end; a file of unknown size (a pipe) grows by doubling. */
static int read_all(FILE *f, char **out, size_t *n)
{
    char *buf = NULL;
    size_t len = 0, cap = 0;
    for (;;) {
        if (len + 1 >= cap) { /* room for a NUL */
            cap = cap ? 2 * cap : 65536;
            char *more = realloc(buf, cap);
            if (!more) {
                free(buf);
                return no_memory();
            }
            buf = more;
        }
        const size_t got = fread(buf + len, 1, cap - len - 1, f);
        len += got;
        if (got == 0) break;
    }
    buf[len] = 0;
    *out = buf;
    *n = len;
    return 0;
}

int tool_read_file(const char *path, char **out, size_t *n)
{
    const int is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : tool_fopen(path, "rb");
    int result = -1;
    *out = NULL;
    if (!f) {
        fprintf(stderr, "remora: %s: %s\n", path, strerror(errno));
        return -1;
    }
    if (read_all(f, out, n) == 0) {
        result = 0;
        if (ferror(f)) {
            if (!tool_cancelled()) fprintf(stderr, "remora: %s: %s\n", path, strerror(errno));
            free(*out);
            *out = NULL;
            result = -1;
        }
    }
    if (!is_stdin) fclose(f);
    return result;
}

static int is_separator(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',';
}

/* One id at *at, which moves behind it. */
static int parse_id(const char *text, size_t len, size_t *at, remora_token *out)
{
    const size_t start = *at;
    int64_t v = 0;
    for (; *at < len && !is_separator(text[*at]); ++*at) {
        const char c = text[*at];
        if (c < '0' || c > '9' || v > INT32_MAX) goto bad;
        v = v * 10 + (c - '0');
    }
    if (v > INT32_MAX) goto bad;
    *out = (remora_token)v;
    return 0;
bad:
    fprintf(stderr, "remora: byte %zu of the ids: not a token id\n", start);
    return -1;
}

int tool_parse_ids(const char *text, size_t len, remora_token **out, size_t *n)
{
    /* every id takes at least one byte and, but for the last, a separator */
    remora_token *ids = malloc((len / 2 + 1) * sizeof *ids);
    size_t at = 0;
    if (!ids) return no_memory();
    *n = 0;
    for (;;) {
        while (at < len && is_separator(text[at])) at++;
        if (at == len) break;
        if (parse_id(text, len, &at, &ids[*n]) < 0) {
            free(ids);
            return -1;
        }
        ++*n;
    }
    *out = ids;
    return 0;
}

int tool_unpack_ids(const char *bytes, size_t len, remora_token **out, size_t *n)
{
    const unsigned char *b = (const unsigned char *)bytes;
    remora_token *ids;
    if (len % 4 != 0) {
        fprintf(stderr, "remora: %zu bytes are no whole number of int32 ids\n", len);
        return -1;
    }
    ids = malloc(len + 1);
    if (!ids) return no_memory();
    for (size_t i = 0; i < len / 4; i++, b += 4) {
        const uint32_t v = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        ids[i] = v > INT32_MAX ? REMORA_TOKEN_NONE : (remora_token)v;
    }
    *out = ids;
    *n = len / 4;
    return 0;
}

int tool_need_text(const remora_model *m)
{
    remora_model_info info = {.struct_size = sizeof info};
    if (remora_model_get_info(m, &info, NULL) == REMORA_OK && info.has_tokenizer) return 0;
    fprintf(stderr,
            "remora: the model has no tokenizer that can be used: it takes token ids only\n");
    return -1;
}

int tool_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags,
                  remora_token **out, size_t *n)
{
    /* seldom more tokens than bytes; E_BUFFER says how many when a tokenizer is stranger */
    size_t cap = len + 16;
    for (;;) {
        remora_token *ids = malloc(cap * sizeof *ids);
        if (!ids) return no_memory();
        const remora_status st = remora_tokenize(m, text, len, flags, ids, cap, n, NULL);
        if (st == REMORA_OK) {
            *out = ids;
            return 0;
        }
        free(ids);
        if (st != REMORA_E_BUFFER) {
            if (tool_need_text(m) == 0) tool_fail(st, "tokenize", NULL); /* else it says so */
            return -1;
        }
        cap = *n;
    }
}
