/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser: long options as --name value and --name=value, short ones as -m value and
 * -mvalue, "--" ends them. Values are read whole or refused, with their range in the message. */
#include "options.h"
#include "output.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tool_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("remora: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (see --help)\n", stderr);
    va_end(args);
    return TOOL_USAGE;
}

static void print_option(const tool_option *o)
{
    char left[64];
    const char *help = o->help;
    const char *arg = o->kind == TOOL_FLAG ? "" : o->arg;
    if (o->letter)
        snprintf(left, sizeof left, "-%c, --%s %s", o->letter, o->name, arg);
    else
        snprintf(left, sizeof left, "    --%s %s", o->name, arg);
    for (;;) {
        const size_t n = strcspn(help, "\n");
        tool_printf("  %-24s %.*s\n", left, (int)n, help);
        if (help[n] == 0) break;
        help += n + 1;
        left[0] = 0;
    }
}

static void print_help(const tool_spec *s)
{
    tool_printf("usage: %s\n\n%s\n\noptions:\n", s->usage, s->about);
    for (size_t i = 0; i < s->n_options; i++) print_option(&s->options[i]);
    tool_printf("  %-24s %s\n", "-h, --help", "this text");
    if (s->more) tool_printf("\n%s\n", s->more);
}

/* A whole number from the start of text; *end is what follows it. 0 when there is none. */
static int read_u64(const char *text, const char **end, uint64_t *out)
{
    char *stop;
    if (*text < '0' || *text > '9') return 0;
    errno = 0;
    const unsigned long long v = strtoull(text, &stop, 10);
    if (errno != 0) return 0;
    *out = v;
    *end = stop;
    return 1;
}

static int bad_value(const tool_option *o, const char *value)
{
    if (o->kind == TOOL_CHOICE)
        return tool_usage("--%s takes %s, not \"%s\"", o->name, o->arg, value);
    if (o->kind == TOOL_U64)
        return tool_usage("--%s takes a whole number, not \"%s\"", o->name, value);
    return tool_usage("--%s takes %s from %g to %g, not \"%s\"", o->name,
                      o->kind == TOOL_REAL   ? "a number"
                      : o->kind == TOOL_LIST ? "whole numbers with commas between them, each"
                                             : "a whole number",
                      o->lo, o->hi, value);
}

static int set_list(const tool_option *o, const char *value)
{
    tool_list *list = o->to;
    const char *at = value;
    list->n = 0;
    for (;;) {
        uint64_t v;
        if (!read_u64(at, &at, &v) || (double)v < o->lo || (double)v > o->hi ||
            list->n == sizeof list->v / sizeof list->v[0])
            return bad_value(o, value);
        list->v[list->n++] = (uint32_t)v;
        if (*at == 0) return TOOL_GO;
        if (*at++ != ',') return bad_value(o, value);
    }
}

static int set_choice(const tool_option *o, const char *value)
{
    const size_t len = strlen(value);
    const char *at = o->arg;
    for (int i = 0; len > 0; i++) {
        const size_t n = strcspn(at, "|");
        if (n == len && memcmp(at, value, n) == 0) {
            *(int *)o->to = i;
            return TOOL_GO;
        }
        if (at[n] == 0) break;
        at += n + 1;
    }
    return bad_value(o, value);
}

static int set_text(const tool_option *o, const char *value)
{
    tool_texts *texts = o->to;
    if (o->kind == TOOL_TEXT) {
        *(const char **)o->to = value;
        return TOOL_GO;
    }
    if (texts->n == sizeof texts->v / sizeof texts->v[0])
        return tool_usage("--%s is given too often", o->name);
    texts->v[texts->n++] = value;
    return TOOL_GO;
}

static int set_number(const tool_option *o, const char *value)
{
    const char *end;
    uint64_t v = 0;
    if (o->kind == TOOL_REAL) {
        char *stop;
        const double d = strtod(value, &stop);
        if (stop == value || *stop != 0 || !(d >= o->lo && d <= o->hi)) return bad_value(o, value);
        *(double *)o->to = d;
        return TOOL_GO;
    }
    if (!read_u64(value, &end, &v) || *end != 0) return bad_value(o, value);
    if (o->kind == TOOL_U64) {
        *(uint64_t *)o->to = v;
        return TOOL_GO;
    }
    if ((double)v < o->lo || (double)v > o->hi) return bad_value(o, value);
    *(uint32_t *)o->to = (uint32_t)v;
    return TOOL_GO;
}

static int set_option(const tool_option *o, const char *value)
{
    switch (o->kind) {
    case TOOL_TEXT:
    case TOOL_TEXTS: return set_text(o, value);
    case TOOL_LIST: return set_list(o, value);
    case TOOL_CHOICE: return set_choice(o, value);
    default: return set_number(o, value);
    }
}

/* The option that an argument names; *value is what stands in the same argument, or NULL. */
static const tool_option *find_option(const tool_spec *s, const char *arg, const char **value)
{
    const int is_long = arg[1] == '-';
    const char *name = arg + 2;
    const size_t n = strcspn(name, "=");
    *value = NULL;
    for (size_t i = 0; i < s->n_options; i++) {
        const tool_option *o = &s->options[i];
        if (is_long && strlen(o->name) == n && memcmp(o->name, name, n) == 0) {
            if (name[n] == '=') *value = name + n + 1;
            return o;
        }
        if (!is_long && o->letter == arg[1]) {
            if (arg[2] != 0) *value = arg + 2;
            return o;
        }
    }
    return NULL;
}

static int parse_option(const tool_spec *s, int argc, char **argv, int *i)
{
    const char *value;
    const tool_option *o = find_option(s, argv[*i], &value);
    if (!o) return tool_usage("there is no option %s", argv[*i]);
    if (o->kind == TOOL_FLAG) {
        if (value) return tool_usage("--%s takes no value", o->name);
        *(int *)o->to = 1;
        return TOOL_GO;
    }
    if (!value) {
        if (*i + 1 >= argc) return tool_usage("--%s needs a value: %s", o->name, o->arg);
        value = argv[++*i];
    }
    return set_option(o, value);
}

static int parse_word(const tool_spec *s, const char *word)
{
    const tool_option as_option = {.name = "(text)", .kind = TOOL_TEXTS, .to = s->words};
    if (!s->words) return tool_usage("there is no place for \"%s\"", word);
    return set_text(&as_option, word);
}

int tool_parse(const tool_spec *s, int argc, char **argv)
{
    int options = 1;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        int code;
        if (options && (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
            print_help(s);
            return TOOL_OK;
        }
        if (options && strcmp(arg, "--") == 0) {
            options = 0;
            continue;
        }
        if (options && arg[0] == '-' && arg[1] != 0)
            code = parse_option(s, argc, argv, &i);
        else
            code = parse_word(s, arg);
        if (code != TOOL_GO) return code;
    }
    return TOOL_GO;
}
