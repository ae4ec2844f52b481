/* SPDX-License-Identifier: Apache-2.0 */
/* Command line options as a table: one row names an option, where its value goes and what --help
 * says about it, so that a subcommand's options and their help cannot drift apart. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* Exit codes of the command. */
enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2, TOOL_INTERRUPTED = 130 };
enum { TOOL_GO = -1 }; /* tool_parse: no exit, go on */

enum tool_kind {
    TOOL_FLAG,   /* int: set to 1 */
    TOOL_TEXT,   /* const char * */
    TOOL_TEXTS,  /* tool_texts: may be given several times */
    TOOL_U32,    /* uint32_t in lo .. hi */
    TOOL_U64,    /* uint64_t */
    TOOL_REAL,   /* double in lo .. hi */
    TOOL_LIST,   /* tool_list: "0,4096", each in lo .. hi */
    TOOL_CHOICE, /* int: index of the word in `arg`, which reads "one|two|three" */
};

typedef struct tool_texts {
    const char *v[64];
    size_t n;
} tool_texts;

typedef struct tool_list {
    uint32_t v[64];
    size_t n;
} tool_list;

typedef struct tool_option {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    enum tool_kind kind;
    void *to;
    const char *arg;  /* how --help calls the value */
    const char *help; /* further lines after '\n' */
    double lo, hi;
} tool_option;

typedef struct tool_spec {
    const char *usage; /* what follows "usage: " */
    const char *about; /* paragraphs before the options */
    const char *more;  /* paragraphs after them */
    const tool_option *options;
    size_t n_options;
    tool_texts *words; /* arguments that are no options; NULL: there are none */
} tool_spec;

/* Reads argv[1 .. argc - 1]. TOOL_GO; TOOL_OK after --help; TOOL_USAGE with a message on stderr. */
int tool_parse(const tool_spec *s, int argc, char **argv);

/* A usage error found after parsing: printf-like, with a hint to --help. Returns TOOL_USAGE. */
int tool_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
