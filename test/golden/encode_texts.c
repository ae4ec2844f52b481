/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of texts, for tests that compare them with another library's: the tokenizer of a folder
 * or a GGUF file, without its weights. Arguments: the path and the size of the vocabulary. Stdin is
 * requests, each a line "FLAGS BYTES" and so many bytes of text; the answer to each is a line of
 * ids, or the name of a status. A tokenizer that does not open answers nothing: 1, and why on
 * stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf.h"
#include "tokenizer_of.h"

enum { MAX_TEXT = 1 << 20 };

static remora_status open_gguf(rmr_mem *mem, rmr_source *src, const char *name, uint32_t n_vocab,
                               rmr_tokenizer **out, remora_error *err)
{
    rmr_gguf *g = NULL;
    rmr_checkpoint *c = NULL;
    remora_status st = rmr_gguf_open(mem, src, name, NULL, &g, &c, err);
    if (st >= 0) st = rmr_tokenizer_open_gguf(mem, g, n_vocab, out, err);
    rmr_gguf_free(g);
    rmr_checkpoint_free(c);
    return st;
}

static remora_status open_path(rmr_mem *mem, const char *path, uint32_t n_vocab,
                               rmr_tokenizer **out, remora_error *err)
{
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = path};
    char name[RMR_MAX_NAME + 1];
    rmr_source *src;
    remora_status st = rmr_source_open(mem, &desc, 1, &src, err);
    if (st < 0) return st;
    st = rmr_find_gguf_file(src, name, err);
    if (st >= 0)
        st = name[0] != 0 ? open_gguf(mem, src, name, n_vocab, out, err)
                          : tokenizer_of(mem, src, n_vocab, out, err);
    rmr_source_free(src);
    return st;
}

static void answer(const rmr_tokenizer *t, const char *text, size_t len, uint32_t flags)
{
    static remora_token ids[MAX_TEXT + 16];
    size_t n;
    const remora_status st =
        rmr_tokenizer_encode(t, text, len, flags, ids, MAX_TEXT + 16, &n, NULL);
    if (st < 0) printf("%s", rmr_status_name(st));
    for (size_t i = 0; st >= 0 && i < n; i++) printf(i > 0 ? " %d" : "%d", ids[i]);
    printf("\n");
}

int main(int argc, char **argv)
{
    static char text[MAX_TEXT];
    remora_error err = {.struct_size = sizeof err};
    rmr_mem mem = {0};
    rmr_tokenizer *t = NULL;
    uint32_t flags;
    size_t len;
    if (argc != 3) return 2;
    rmr_mem_init(&mem);
    if (open_path(&mem, argv[1], (uint32_t)atoi(argv[2]), &t, &err) < 0) {
        fprintf(stderr, "%s: %s\n", rmr_status_name(err.code), err.message);
        return 1;
    }
    while (scanf("%u %zu", &flags, &len) == 2 && getchar() == '\n' && len <= MAX_TEXT &&
           fread(text, 1, len, stdin) == len)
        answer(t, text, len, flags);
    rmr_tokenizer_free(t);
    return ferror(stdin) || !feof(stdin);
}
