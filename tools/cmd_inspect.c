/* SPDX-License-Identifier: Apache-2.0 */
/* remora inspect: what a model is and what it takes, without loading its weights. */
#include "commands.h"
#include "host.h"
#include "output.h"
#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct inspect {
    tool_host host;
    tool_session session;
    tool_list contexts, sessions;
    int show_tensors, format;
    tool_census census;
    tool_table info, missing, meta, tensors, types, classes, memory;
} inspect;

static int parse(inspect *x, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(x->host),
        {'c', "ctx", TOOL_LIST, &x->contexts, "N,N,..",
         "context lengths of the memory estimate\n(default 4096, or the model's when less)", 1,
         4294967295.0},
        {'s', "sessions", TOOL_LIST, &x->sessions, "N,N,..", "numbers of sessions (default 1)", 1,
         1e6},
        {0, "tensors", TOOL_FLAG, &x->show_tensors, NULL, "list the tensors too", 0, 0},
        {'o', "output", TOOL_CHOICE, &x->format, TOOL_FORMATS, "(default md)", 0, 0},
        TOOL_SESSION_OPTIONS(x->session),
        TOOL_THREADS_OPTION(x->host),
        TOOL_HOST_OPTIONS(x->host),
    };
    const tool_spec spec = {
        .usage = "remora inspect -m MODEL [options]",
        .about = "Shows the shape of a model, the metadata of its configuration, what its tensors\n"
                 "take by type and by part of the model, and how much memory sessions of a given\n"
                 "length would take, without reading its weights. Of a model that cannot run it\n"
                 "shows what can be read and all that is missing, and fails.",
        .more = "example:\n  remora inspect -m models/krill --ctx 1024,2048 --sessions 1,16",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    return tool_parse(&spec, argc, argv);
}

static void add_number(tool_table *t, const char *field, uint64_t v)
{
    tool_table_add(t, "%s", field);
    tool_table_add(t, "%llu", (unsigned long long)v);
}

static void add_text(tool_table *t, const char *field, const char *v)
{
    tool_table_add(t, "%s", field);
    tool_table_add(t, "%s", v);
}

static void add_info(tool_table *t, const remora_model_info *i)
{
    char print[65];
    for (size_t b = 0; b < 32; b++) {
        static const char hex[] = "0123456789abcdef";
        print[2 * b] = hex[i->fingerprint[b] >> 4];
        print[2 * b + 1] = hex[i->fingerprint[b] & 15];
    }
    print[64] = 0;
    add_text(t, "name", i->name);
    add_text(t, "family", i->family);
    add_number(t, "n_params", i->n_params);
    add_number(t, "n_params_active", i->n_params_active);
    add_number(t, "weight_bytes", i->weight_bytes);
    add_number(t, "n_layers", i->n_layers);
    add_number(t, "n_dense_layers", i->n_dense_layers);
    add_number(t, "n_hidden", i->n_hidden);
    add_number(t, "n_heads", i->n_heads);
    if (i->kv_lora_rank > 0) {
        add_number(t, "kv_lora_rank", i->kv_lora_rank);
        add_number(t, "rope_dim", i->rope_dim);
    } else {
        add_number(t, "n_kv_heads", i->n_kv_heads);
        add_number(t, "head_dim", i->head_dim);
    }
    add_number(t, "n_experts", i->n_experts);
    add_number(t, "n_experts_used", i->n_experts_used);
    add_number(t, "n_shared_experts", i->n_shared_experts);
    add_number(t, "n_vocab", i->n_vocab);
    add_number(t, "max_context", i->max_context);
    add_text(t, "has_tokenizer", i->has_tokenizer ? "yes" : "no");
    add_text(t, "fingerprint", print);
}

/* The i-th key, or the value of a key when there is one; in memory from malloc. */
static remora_status get_meta(const remora_model *m, uint32_t i, const char *key, char **out)
{
    char *text = NULL;
    size_t cap = 0, n = 0;
    for (;;) {
        const remora_status st = key ? remora_model_meta(m, key, text, cap, &n, NULL)
                                     : remora_model_meta_key(m, i, text, cap, &n, NULL);
        if (st == REMORA_OK) {
            *out = text;
            return st;
        }
        free(text);
        if (st != REMORA_E_BUFFER) return st;
        cap = n + 1;
        text = malloc(cap);
        if (!text) return REMORA_E_NOMEM;
    }
}

static int starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* "tensor.NAME" with the value "TYPE [SHAPE]" into the table of tensors and the census,
 * "missing.N" with "STATUS: REASON" into that of what is missing, other keys into meta. */
static void add_pair(inspect *x, const char *key, const char *value)
{
    static const char prefix[] = "tensor.";
    const char *name = key + sizeof prefix - 1, *space = strchr(value, ' ');
    char type[16];
    if (starts_with(key, "missing.") && space) {
        tool_table_add(&x->missing, "%.*s", (int)(space - value) - 1, value);
        tool_table_add(&x->missing, "%s", space + 1);
        return;
    }
    if (!starts_with(key, prefix) || !space) {
        add_text(&x->meta, key, value);
        return;
    }
    snprintf(type, sizeof type, "%.*s", (int)(space - value), value);
    tool_census_add(&x->census, name, type, space + 1);
    tool_table_add(&x->tensors, "%s", name);
    tool_table_add(&x->tensors, "%.*s", (int)(space - value), value);
    tool_table_add(&x->tensors, "%s", space + 1);
}

static int add_metadata(inspect *x)
{
    const remora_model *m = x->host.model;
    remora_status st = REMORA_OK;
    for (uint32_t i = 0; st == REMORA_OK && !tool_cancelled(); i++) {
        char *key = NULL, *value = NULL;
        st = get_meta(m, i, NULL, &key);
        if (st == REMORA_E_NOT_FOUND) return TOOL_GO;
        if (st == REMORA_OK) st = get_meta(m, i, key, &value);
        if (st == REMORA_OK) add_pair(x, key, value);
        free(key);
        free(value);
    }
    return tool_fail(st == REMORA_OK ? REMORA_E_CANCELLED : st, "metadata", NULL);
}

static void add_bytes(tool_table *t, int format, uint64_t bytes)
{
    if (format == TOOL_MD)
        tool_table_add(t, "%.1f MiB", (double)bytes / 1048576.0);
    else
        tool_table_add(t, "%llu", (unsigned long long)bytes);
}

static void add_size_columns(const inspect *x, tool_table *t, const tool_sizes *s)
{
    tool_table_add(t, "%llu", (unsigned long long)s->tensors);
    tool_table_add(t, "%llu", (unsigned long long)s->weights);
    add_bytes(t, x->format, s->bytes);
    if (s->weights > 0)
        tool_table_add(t, "%.3f", (double)s->bytes * 8 / (double)s->weights);
    else
        tool_table_add(t, x->format == TOOL_JSON ? "null" : "");
}

static void sum_sizes(tool_sizes *to, const tool_sizes *more)
{
    to->tensors += more->tensors;
    to->weights += more->weights;
    to->bytes += more->bytes;
}

/* "BF16 F32", the types of one class. */
static void add_types_of(const inspect *x, tool_table *t, const tool_sizes *cells)
{
    char text[TOOL_MOST_TYPES * sizeof x->census.types[0] + 1] = "";
    for (uint32_t i = 0; i < x->census.n_types; i++) {
        if (cells[i].tensors == 0) continue;
        if (text[0]) strcat(text, " ");
        strcat(text, x->census.types[i]);
    }
    tool_table_add(t, "%s", text);
}

/* One row for each type and one for each class, then one for all. */
static void add_sizes(inspect *x)
{
    const tool_census *c = &x->census;
    tool_sizes all = {0};
    for (uint32_t i = 0; i < c->n_types; i++) {
        tool_sizes sum = {0};
        for (int k = 0; k < TOOL_CLASSES; k++) sum_sizes(&sum, &c->cells[k][i]);
        tool_table_add(&x->types, "%s", c->types[i]);
        add_size_columns(x, &x->types, &sum);
        sum_sizes(&all, &sum);
    }
    for (int k = 0; k < TOOL_CLASSES; k++) {
        tool_sizes sum = {0};
        for (uint32_t i = 0; i < c->n_types; i++) sum_sizes(&sum, &c->cells[k][i]);
        if (sum.tensors == 0) continue;
        tool_table_add(&x->classes, "%s", tool_class_name((tool_class)k));
        add_size_columns(x, &x->classes, &sum);
        add_types_of(x, &x->classes, c->cells[k]);
    }
    tool_table_add(&x->types, "all");
    add_size_columns(x, &x->types, &all);
    if (c->unknown > 0)
        fprintf(stderr, "remora: %llu tensors of unknown type are not in the sizes\n",
                (unsigned long long)c->unknown);
}

static int add_estimate(inspect *x, tool_table *t, uint32_t ctx, uint32_t sessions)
{
    remora_error err = {.struct_size = sizeof err};
    remora_memory m = {.struct_size = sizeof m};
    const remora_model_opts mopts = {.struct_size = sizeof mopts,
                                     .flags = x->host.no_mmap ? REMORA_MODEL_NO_MMAP : 0};
    remora_session_opts sopts;
    remora_source src;
    tool_source(&x->host, &src);
    tool_session_opts(&x->session, ctx, &sopts);
    const remora_status st =
        remora_model_estimate(x->host.rt, &src, &mopts, &sopts, sessions, &m, &err);
    if (st < 0) return tool_fail(st, "memory estimate", &err);
    tool_table_add(t, "%u", ctx);
    tool_table_add(t, "%u", sessions);
    tool_table_add(t, "%llu", (unsigned long long)m.kv_bytes_per_token);
    add_bytes(t, x->format, m.host_weights);
    add_bytes(t, x->format, m.host_mapped);
    add_bytes(t, x->format, m.host_kv);
    add_bytes(t, x->format, m.host_scratch);
    add_bytes(t, x->format, m.host_other);
    add_bytes(t, x->format, m.host_weights + m.host_kv + m.host_scratch + m.host_other);
    return TOOL_GO;
}

static int add_estimates(inspect *x, tool_table *t)
{
    int code = TOOL_GO;
    for (size_t c = 0; code == TOOL_GO && c < x->contexts.n; c++)
        for (size_t s = 0; code == TOOL_GO && s < x->sessions.n; s++)
            code = add_estimate(x, t, x->contexts.v[c], x->sessions.v[s]);
    return code;
}

/* One table after the other; in JSON, one object with a member for each. */
static int print_part(const inspect *x, const char *name, const tool_table *t, int first)
{
    if (x->format == TOOL_JSON)
        tool_printf("%s\"%s\": ", first ? "{\n" : ",\n", name);
    else
        tool_printf(first ? "" : "\n");
    return tool_table_print(t, x->format);
}

static int print_all(inspect *x)
{
    const int runs = x->missing.n_cells == 0;
    const int failed =
        print_part(x, "model", &x->info, 1) < 0 ||
        ((!runs || x->format == TOOL_JSON) && print_part(x, "missing", &x->missing, 0) < 0) ||
        print_part(x, "metadata", &x->meta, 0) < 0 ||
        (x->show_tensors && print_part(x, "tensors", &x->tensors, 0) < 0) ||
        print_part(x, "types", &x->types, 0) < 0 || print_part(x, "classes", &x->classes, 0) < 0 ||
        (runs && print_part(x, "memory", &x->memory, 0) < 0);
    if (x->format == TOOL_JSON && !failed) tool_printf("}\n");
    return failed ? TOOL_FAILED : TOOL_OK;
}

/* What was read is shown; the exit code is that of the refusal, as opening the model has it. */
static int refused(const inspect *x)
{
    char **const cells = x->missing.cells;
    const size_t reasons = x->missing.n_cells / 2;
    fprintf(stderr, "remora: %s: %s: %s", x->host.path, cells[0], cells[1]);
    if (reasons > 1) fprintf(stderr, " (and %zu more)", reasons - 1);
    fputs("\n", stderr);
    return TOOL_FAILED;
}

static int work(inspect *x)
{
    int code = tool_open(&x->host, REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_ANYWAY);
    if (code != TOOL_GO) return code;
    if (x->contexts.n == 0) {
        const uint32_t most = x->host.info.max_context;
        x->contexts = (tool_list){.v = {most < 4096 ? most : 4096}, .n = 1};
    }
    add_info(&x->info, &x->host.info);
    code = add_metadata(x);
    if (code == TOOL_GO) add_sizes(x);
    if (x->missing.n_cells > 0) {
        if (code == TOOL_GO) code = print_all(x);
        return code == TOOL_OK ? refused(x) : code;
    }
    if (code == TOOL_GO) code = add_estimates(x, &x->memory);
    return code == TOOL_GO ? print_all(x) : code;
}

int tool_inspect(int argc, char **argv)
{
    static const tool_column pairs[] = {{"field", TOOL_CELL_TEXT}, {"value", TOOL_CELL_TEXT}};
    static const tool_column missing[] = {{"status", TOOL_CELL_TEXT}, {"missing", TOOL_CELL_TEXT}};
    static const tool_column tensors[] = {
        {"tensor", TOOL_CELL_TEXT}, {"type", TOOL_CELL_TEXT}, {"shape", TOOL_CELL_TEXT}};
    static const tool_column types[] = {{"type", TOOL_CELL_TEXT},
                                        {"tensors", TOOL_CELL_NUMBER},
                                        {"weights", TOOL_CELL_NUMBER},
                                        {"size", TOOL_CELL_NUMBER},
                                        {"bits_per_weight", TOOL_CELL_NUMBER}};
    static const tool_column classes[] = {{"class", TOOL_CELL_TEXT},
                                          {"tensors", TOOL_CELL_NUMBER},
                                          {"weights", TOOL_CELL_NUMBER},
                                          {"size", TOOL_CELL_NUMBER},
                                          {"bits_per_weight", TOOL_CELL_NUMBER},
                                          {"types", TOOL_CELL_TEXT}};
    static const tool_column memory[] = {
        {"ctx", TOOL_CELL_NUMBER},          {"sessions", TOOL_CELL_NUMBER},
        {"kv_per_token", TOOL_CELL_NUMBER}, {"weights", TOOL_CELL_NUMBER},
        {"mapped", TOOL_CELL_NUMBER},       {"kv", TOOL_CELL_NUMBER},
        {"scratch", TOOL_CELL_NUMBER},      {"other", TOOL_CELL_NUMBER},
        {"allocated", TOOL_CELL_NUMBER}};
    inspect x = {.sessions = {.v = {1}, .n = 1},
                 .info = {.columns = pairs, .n_columns = 2},
                 .missing = {.columns = missing, .n_columns = 2},
                 .meta = {.columns = pairs, .n_columns = 2},
                 .tensors = {.columns = tensors, .n_columns = 3},
                 .types = {.columns = types, .n_columns = 5},
                 .classes = {.columns = classes, .n_columns = 6},
                 .memory = {.columns = memory, .n_columns = 9}};
    int code = parse(&x, argc, argv);
    if (code == TOOL_GO) code = work(&x);
    tool_close(&x.host);
    tool_table_free(&x.info);
    tool_table_free(&x.missing);
    tool_table_free(&x.meta);
    tool_table_free(&x.tensors);
    tool_table_free(&x.types);
    tool_table_free(&x.classes);
    tool_table_free(&x.memory);
    return code;
}
