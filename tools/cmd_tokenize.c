/* SPDX-License-Identifier: Apache-2.0 */
/* remora tokenize: text to token ids, a table of the pieces, or ids back to bytes. */
#include "commands.h"
#include "host.h"
#include "input.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

typedef struct tokenize {
    tool_host host;
    const char *file;
    int decode, pieces, no_bos, special, format;
    tool_texts words;
    char *text; /* what was read */
    size_t len;
    char *piece; /* the bytes of one token */
    size_t piece_cap;
} tokenize;

static int parse(tokenize *z, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(z->host),
        {'f', "file", TOOL_TEXT, &z->file, "PATH", "read the input from a file; - is stdin", 0, 0},
        {'d', "decode", TOOL_FLAG, &z->decode, NULL, "the input is ids, the output their text", 0,
         0},
        {0, "pieces", TOOL_FLAG, &z->pieces, NULL, "a table: position, id, kind, text", 0, 0},
        {'o', "output", TOOL_CHOICE, &z->format, TOOL_FORMATS, "of that table (default md)", 0, 0},
        {0, "no-bos", TOOL_FLAG, &z->no_bos, NULL, "do not begin with the begin token", 0, 0},
        {0, "special", TOOL_FLAG, &z->special, NULL,
         "markup in the text becomes those tokens; with\n--decode, control tokens write their name",
         0, 0},
        TOOL_HOST_OPTIONS(z->host),
    };
    const tool_spec spec = {
        .usage = "remora tokenize -m MODEL [options] [TEXT...]",
        .about = "Writes the token ids of a text on one line. The text comes from the arguments\n"
                 "(several are joined by spaces), from a file, or from stdin. --decode goes the\n"
                 "other way and writes exactly the bytes that the tokens stand for.",
        .more = "examples:\n  remora tokenize -m models/krill --pieces \"Once upon a time\"\n"
                "  remora tokenize -m models/krill --decode 31 1031 66",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .words = &z->words};
    const int code = tool_parse(&spec, argc, argv);
    if (code != TOOL_GO) return code;
    if (z->words.n && z->file) return tool_usage("input from arguments or from a file, not both");
    return TOOL_GO;
}

/* The words of the command line as one text. */
static int join_words(tokenize *z)
{
    size_t cap = 1;
    for (size_t i = 0; i < z->words.n; i++) cap += strlen(z->words.v[i]) + 1;
    z->text = malloc(cap);
    if (!z->text) return tool_fail(REMORA_E_NOMEM, "text", NULL);
    for (size_t i = 0; i < z->words.n; i++) {
        const size_t n = strlen(z->words.v[i]);
        if (i) z->text[z->len++] = ' ';
        memcpy(z->text + z->len, z->words.v[i], n);
        z->len += n;
    }
    return TOOL_GO;
}

static int read_input(tokenize *z)
{
    if (z->words.n) return join_words(z);
    return tool_read_file(z->file ? z->file : "-", &z->text, &z->len) < 0 ? TOOL_FAILED : TOOL_GO;
}

/* The bytes of a token in z->piece. */
static remora_status read_piece(tokenize *z, remora_token t, size_t *n)
{
    remora_status st;
    while ((st = remora_token_bytes(z->host.model, t, z->piece, z->piece_cap, n, NULL)) ==
           REMORA_E_BUFFER) {
        char *more = realloc(z->piece, *n);
        if (!more) return REMORA_E_NOMEM;
        z->piece = more;
        z->piece_cap = *n;
    }
    return st;
}

static int print_text(tokenize *z, const remora_token *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const remora_status st = read_piece(z, t[i], &len);
        if (st < 0) return tool_fail(st, "decode", NULL);
        if (z->special || !(remora_token_flags(z->host.model, t[i]) & REMORA_TOKEN_CONTROL))
            tool_write(z->piece, len);
    }
    return TOOL_OK;
}

/* The bytes as a C string would have them, so that every piece stays on its line. */
static void escape(const char *s, size_t n, char *out, size_t cap)
{
    size_t at = 0;
    for (size_t i = 0; i < n && at + 6 < cap; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c == '\n' || c == '\t' || c == '\r') {
            out[at++] = '\\';
            out[at++] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        } else if (c == '\\' || c == '"') {
            out[at++] = '\\';
            out[at++] = (char)c;
        } else if (c < 0x20 || c == 0x7F || c >= 0x80) {
            static const char hex[] = "0123456789abcdef";
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = hex[c >> 4];
            out[at++] = hex[c & 15];
        } else {
            out[at++] = (char)c;
        }
    }
    out[at] = 0;
}

static const char *kind_of(uint32_t flags)
{
    if (flags & REMORA_TOKEN_END_OF_TURN) return "end";
    if (flags & REMORA_TOKEN_CONTROL) return "control";
    if (flags & REMORA_TOKEN_PARTIAL) return "partial";
    return "text";
}

static int print_pieces(tokenize *z, const remora_token *t, size_t n)
{
    static const tool_column columns[] = {{"position", TOOL_CELL_NUMBER},
                                          {"id", TOOL_CELL_NUMBER},
                                          {"kind", TOOL_CELL_TEXT},
                                          {"piece", TOOL_CELL_TEXT}};
    tool_table table = {.columns = columns, .n_columns = 4};
    int code = TOOL_OK;
    for (size_t i = 0; i < n; i++) {
        char text[512];
        size_t len;
        const uint32_t flags = remora_token_flags(z->host.model, t[i]);
        const remora_status st = read_piece(z, t[i], &len);
        if (st < 0) {
            code = tool_fail(st, "tokenize", NULL);
            goto out;
        }
        /* whole characters are shown as they are, in quotes for their spaces */
        if (!(flags & REMORA_TOKEN_PARTIAL) && len < sizeof text - 1 &&
            !memchr(z->piece, '\n', len) && !memchr(z->piece, '\r', len) &&
            !memchr(z->piece, '\t', len) && !memchr(z->piece, 0, len)) {
            memcpy(text, z->piece, len);
            text[len] = 0;
        } else {
            escape(z->piece, len, text, sizeof text);
        }
        tool_table_add(&table, "%zu", i);
        tool_table_add(&table, "%d", t[i]);
        tool_table_add(&table, "%s", kind_of(flags));
        tool_table_add(&table, "\"%s\"", text);
    }
    if (tool_table_print(&table, z->format) < 0) code = TOOL_FAILED;
out:
    tool_table_free(&table);
    return code;
}

static void print_ids(const remora_token *t, size_t n)
{
    for (size_t i = 0; i < n; i++) tool_printf(i ? " %d" : "%d", t[i]);
    tool_write("\n", 1);
}

static int work(tokenize *z)
{
    const uint32_t flags =
        (z->no_bos ? 0 : REMORA_TEXT_BOS) | (z->special ? REMORA_TEXT_SPECIAL : 0);
    remora_token *t = NULL;
    size_t n = 0;
    int st, code;
    z->host.threads = 1; /* nothing is computed */
    code = tool_open(&z->host, REMORA_MODEL_NO_WEIGHTS);
    if (code == TOOL_GO && tool_need_text(z->host.model) < 0) return TOOL_FAILED;
    if (code == TOOL_GO) code = read_input(z);
    if (code != TOOL_GO) return code;
    if (z->decode)
        st = tool_parse_ids(z->text, z->len, &t, &n);
    else
        st = tool_tokenize(z->host.model, z->text, z->len, flags, &t, &n);
    if (st < 0) return TOOL_FAILED;
    code = TOOL_OK;
    if (z->pieces)
        code = print_pieces(z, t, n);
    else if (z->decode)
        code = print_text(z, t, n);
    else
        print_ids(t, n);
    free(t);
    return code;
}

int tool_tokenize_command(int argc, char **argv)
{
    tokenize z = {0};
    int code = parse(&z, argc, argv);
    if (code == TOOL_GO) code = work(&z);
    tool_close(&z.host);
    free(z.piece);
    free(z.text);
    return code;
}
