/* SPDX-License-Identifier: Apache-2.0 */
/* remora chat: a conversation, line by line. */
#include "chat_calls.h"
#include "commands.h"
#include "drafts.h"
#include "host.h"
#include "input.h"
#include "line.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM "\033[2m"
#define PLAIN "\033[0m"

typedef struct chat {
    tool_host host;
    tool_session session;
    const char *format, *system, *tools, *tool_command;
    uint64_t n, seed;
    double temp, top_p;
    tool_drafts drafts;
    int think; /* index of the option's words */
    int fold;  /* reasoning is not shown */

    remora_chat *talk;
    remora_session *s;
    remora_sampler *p;
    remora_token *prompt;
    uint32_t ctx;
    tool_buffer roles;         /* a letter for each turn: s, u, a, t */
    tool_buffer said, thought; /* of the answer that is being made */
    tool_calls calls;
    int32_t choice;     /* REMORA_CHOICE_* of the next answer */
    tool_buffer chosen; /* its tool */
    tool_buffer result; /* of a call */
    tool_lines lines;
    int terminal; /* stdout is one */
    int dim;      /* what is written now is dimmed */
    int hides;    /* that reasoning is made is shown, and not what */
    int told;     /* what is left out of the tools' schemas */
} chat;

static int parse(chat *g, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(g->host),
        {0, "system", TOOL_TEXT, &g->system, "TEXT", "what the model is told first", 0, 0},
        {0, "format", TOOL_TEXT, &g->format, "NAME", "the chat format (default: the model's)", 0,
         0},
        {0, "tools", TOOL_TEXT, &g->tools, "PATH",
         "tools that the model may call: a list in OpenAI's\nform; you are asked for their results",
         0, 0},
        {0, "tool-command", TOOL_TEXT, &g->tool_command, "COMMAND",
         "is asked instead of you: it has a call on stdin, as\n{\"name\": .., \"arguments\": ..}, "
         "and "
         "writes its result",
         0, 0},
        {0, "think", TOOL_CHOICE, &g->think, "default|on|off", "whether the model reasons first", 0,
         0},
        {0, "fold", TOOL_FLAG, &g->fold, NULL, "do not show the reasoning", 0, 0},
        {'n', "tokens", TOOL_U64, &g->n, "N",
         "most tokens of an answer (default: what the\n"
         "context leaves)",
         0, 0},
        {0, "temp", TOOL_REAL, &g->temp, "X",
         "temperature (default 0.7); 0 takes the most\nprobable token", 0, 1e6},
        TOOL_TOP_P_OPTION(g->top_p),
        TOOL_SEED_OPTION(g->seed),
        TOOL_DRAFT_OPTION(g->drafts),
        {0, "ctx", TOOL_U32, &g->session.ctx, "N",
         "most tokens of the conversation (default 4096, or\nwhat the model has)", 1, 4294967295.0},
        TOOL_SESSION_OPTIONS(g->session),
        TOOL_THREADS_OPTION(g->host),
        TOOL_DEVICE_OPTION(g->host),
        TOOL_ISA_OPTION(g->host),
        TOOL_HOST_OPTIONS(g->host),
    };
    const tool_spec spec = {
        .usage = "remora chat -m MODEL [options]",
        .about = "Each line is a turn, and the model answers it. Ctrl-C ends the answer, at an\n"
                 "empty prompt the program. Lines that begin with / are commands: /help.",
        .more = "example:\n  remora chat -m models/krill --format deepseek-v3",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    const int code = tool_parse(&spec, argc, argv);
    if (code != TOOL_GO) return code;
    if (g->tool_command != NULL && g->tools == NULL)
        return tool_usage("--tool-command without --tools");
    return tool_drafts_parse(&g->drafts);
}

/* -- texts -- */

static remora_text text_of(const tool_buffer *t)
{
    return (remora_text){t->s, t->n};
}

static void style(chat *g, int dim)
{
    if (g->terminal && dim != g->dim) tool_printf("%s", dim ? DIM : PLAIN);
    g->dim = dim;
}

/* -- turns -- */

/* Room for the letter of a turn before the turn is there. */
static remora_status note_turn(chat *g, char role)
{
    return tool_buffer_add(&g->roles, &role, 1) < 0 ? REMORA_E_NOMEM : REMORA_OK;
}

static remora_status noted(chat *g, remora_status st)
{
    if (st < 0) tool_buffer_cut(&g->roles, g->roles.n - 1, 1);
    return st;
}

static remora_status add_turn(chat *g, int32_t role, remora_text said, remora_error *err)
{
    const remora_turn turn = {.struct_size = sizeof turn, .role = role, .text = said};
    const remora_status st = note_turn(g, role == REMORA_ROLE_SYSTEM ? 's' : 'u');
    return st < 0 ? st : noted(g, remora_chat_add(g->talk, &turn, err));
}

/* The answer that was made. */
static remora_status add_answer(chat *g, remora_error *err)
{
    const remora_turn turn = {.struct_size = sizeof turn,
                              .role = REMORA_ROLE_ASSISTANT,
                              .text = text_of(&g->said),
                              .reasoning = text_of(&g->thought)};
    const remora_status st = note_turn(g, 'a');
    return st < 0 ? st : noted(g, tool_calls_add(&g->calls, g->talk, turn, err));
}

static remora_status add_result(chat *g, const tool_call *call, remora_text result,
                                remora_error *err)
{
    const remora_turn turn = {.struct_size = sizeof turn,
                              .role = REMORA_ROLE_TOOL,
                              .text = result,
                              .call_id = text_of(&call->id)};
    const remora_status st = note_turn(g, 't');
    return st < 0 ? st : noted(g, remora_chat_add(g->talk, &turn, err));
}

static void drop_turns(chat *g, size_t keep)
{
    if (remora_chat_trim(g->talk, keep, NULL) >= 0)
        tool_buffer_cut(&g->roles, keep, g->roles.n - keep);
}

/* The last turn that is a question; the number of turns where there is none. */
static size_t last_question(const chat *g)
{
    for (size_t i = g->roles.n; i-- > 0;)
        if (g->roles.s[i] == 'u') return i;
    return g->roles.n;
}

/* Reasoning is dim, or a sign that there is some stands in its place until the answer begins. */
static void write_reasoning(chat *g, remora_text piece)
{
    if (!g->fold) {
        style(g, 1);
        tool_write(piece.ptr, (size_t)piece.len);
    } else if (g->terminal && !g->hides) {
        tool_printf(DIM "thinking .." PLAIN);
        g->hides = 1;
    }
}

static void end_reasoning(chat *g)
{
    const int first = g->said.n == 0 && g->calls.n == 0;
    if (g->hides) tool_printf("\r\033[K");
    if (g->thought.n > 0 && first && !g->fold) tool_write("\n\n", 2);
    style(g, 0);
    g->hides = 0;
}

/* A call is shown as it is made, in a line of its own. */
static remora_status take_call(chat *g, const remora_chat_event *e)
{
    if (e->kind == REMORA_PART_CALL) {
        end_reasoning(g);
        tool_printf("%s[%.*s ", g->said.n > 0 || g->calls.n > 0 ? "\n" : "", (int)e->text.len,
                    e->text.ptr);
    } else if (e->kind == REMORA_PART_ARGUMENTS) {
        tool_write(e->text.ptr, (size_t)e->text.len);
    } else {
        tool_write("]", 1);
    }
    tool_flush();
    return tool_calls_take(&g->calls, e) < 0 ? REMORA_E_NOMEM : REMORA_OK;
}

static remora_status take(chat *g, const remora_chat_event *e)
{
    if (e->kind >= REMORA_PART_CALL && e->kind <= REMORA_PART_CALL_END) return take_call(g, e);
    tool_buffer *to = e->kind == REMORA_PART_REASONING ? &g->thought : &g->said;
    if (e->kind != REMORA_PART_REASONING && e->kind != REMORA_PART_CONTENT) return REMORA_OK;
    if (e->kind == REMORA_PART_REASONING) {
        write_reasoning(g, e->text);
    } else {
        end_reasoning(g);
        tool_write(e->text.ptr, (size_t)e->text.len);
    }
    tool_flush();
    return tool_buffer_add(to, e->text.ptr, (size_t)e->text.len) < 0 ? REMORA_E_NOMEM : REMORA_OK;
}

/* Generate and show an answer. */
static remora_status stream(chat *g, remora_chat_parse *reader, remora_error *err)
{
    const remora_gen_opts o = {.struct_size = sizeof o,
                               .max_tokens = g->n,
                               .cancel = tool_cancel(),
                               .max_drafts = g->drafts.most};
    remora_gen_opts now = o;
    remora_chat_event e = {.struct_size = sizeof e};
    remora_status st, more;
    now.flags = REMORA_GEN_NEW;
    do {
        remora_token t;
        size_t made = 0, used = 0;
        st = remora_generate(g->s, g->p, &now, &t, 1, &made, err);
        now.flags = 0;
        for (size_t at = 0;; at += used) {
            more = remora_chat_parse_next(reader, &t + at, made - at, &used, &e, NULL);
            if (more != REMORA_MORE) break;
            if ((more = take(g, &e)) < 0) return more;
        }
    } while (st == REMORA_MORE && !tool_output_failed());
    while ((more = remora_chat_parse_end(reader, st != REMORA_END, &e, NULL)) == REMORA_MORE)
        if ((more = take(g, &e)) < 0) return more;
    if (g->hides) end_reasoning(g);
    style(g, 0);
    tool_write("\n", 1);
    tool_flush();
    return st;
}

static remora_prompt_opts prompt_opts(const chat *g)
{
    return (remora_prompt_opts){.struct_size = sizeof(remora_prompt_opts),
                                .think = g->think,
                                .choice = g->choice,
                                .tool = g->choice == REMORA_CHOICE_NAMED ? text_of(&g->chosen)
                                                                         : (remora_text){NULL, 0}};
}

/* The prompt into the session, which keeps what it has of it, and where the answer begins. */
static remora_status load(chat *g, remora_prompt_info *info, size_t *n, remora_error *err)
{
    const remora_prompt_opts o = prompt_opts(g);
    remora_status st = remora_chat_prompt(g->talk, &o, g->prompt, g->ctx, n, info, err);
    if (st == REMORA_E_BUFFER || (st >= 0 && *n >= g->ctx)) return REMORA_E_FULL;
    if (st >= 0) st = remora_session_sync(g->s, g->prompt, *n, REMORA_WANT_LAST, NULL, err);
    return st;
}

/* Of the conversation as the next prompt will have it: past reasoning may be left out. */
static uint64_t tokens_taken(const chat *g)
{
    const remora_prompt_opts o = {.struct_size = sizeof o, .think = g->think};
    size_t n = 0;
    if (remora_chat_prompt(g->talk, &o, NULL, 0, &n, NULL, NULL) != REMORA_E_BUFFER) return 0;
    return n < g->ctx ? n : g->ctx;
}

/* Where there are tools the answer keeps to them. */
static remora_status constrain(chat *g, remora_error *err)
{
    const remora_prompt_opts o = prompt_opts(g);
    const remora_answer_opts a = {.struct_size = sizeof a, .flags = REMORA_ANSWER_LAX};
    remora_constraint *bounds = NULL;
    if (g->tools == NULL) return REMORA_OK;
    g->host.no_warnings = g->told; /* what schemas ask for in vain is told once */
    remora_status st = remora_chat_constraint(g->talk, &o, &a, &bounds, err);
    g->host.no_warnings = 0;
    if (st >= 0 && o.choice != REMORA_CHOICE_NAMED) g->told = 1; /* of all tools */
    if (st >= 0) st = remora_sampler_constrain(g->p, bounds, err);
    remora_constraint_free(bounds);
    return st;
}

/* The prompt has it, where there is one. */
static void meter(const chat *g)
{
    if (g->host.quiet || g->lines.asks) return;
    fprintf(stderr, "[%llu of %u tokens]\n", (unsigned long long)tokens_taken(g), g->ctx);
}

/* Why an answer ended that did not end by itself. */
static void say_end(const chat *g, remora_status st)
{
    remora_generation_info i = {.struct_size = sizeof i};
    if (st == REMORA_E_CANCELLED)
        fputs("[stopped]\n", stderr);
    else if (st == REMORA_E_FULL)
        fprintf(stderr, "[cut: the context of %u tokens is full; /undo, /clear]\n", g->ctx);
    else if (!g->host.quiet && remora_session_get_generation(g->s, &i, NULL) >= 0 &&
             i.reason == REMORA_REASON_MAX_TOKENS)
        fprintf(stderr, "[cut after %llu tokens]\n", (unsigned long long)i.n_tokens);
}

/* -- results of calls -- */

/* The command's answer, or the user's. 0: there is none, and the question goes. */
static int get_result(chat *g, const tool_call *call, remora_text *result)
{
    char prompt[96];
    if (g->tool_command != NULL) {
        if (tool_call_run(call, g->tool_command, &g->result) < 0 || tool_cancelled()) return 0;
        style(g, 1);
        tool_write(g->result.s, g->result.n);
        style(g, 0);
        tool_write("\n", 1);
        tool_flush();
        *result = text_of(&g->result);
        return 1;
    }
    snprintf(prompt, sizeof prompt, "%.64s = ", call->name.s);
    if (!tool_lines_read(&g->lines, prompt)) return 0;
    *result = text_of(&g->lines.text);
    return 1;
}

/* REMORA_MORE: there are results, and the model goes on; REMORA_OK: somebody has stopped. */
static remora_status add_results(chat *g, remora_error *err)
{
    remora_status st = REMORA_OK;
    for (size_t i = 0; i < g->calls.n && st >= 0; i++) {
        remora_text result;
        if (!get_result(g, &g->calls.v[i], &result)) {
            if (tool_cancelled()) fputs("[stopped]\n", stderr);
            drop_turns(g, last_question(g));
            return REMORA_OK;
        }
        st = add_result(g, &g->calls.v[i], result, err);
    }
    return st < 0 ? st : REMORA_MORE;
}

/* -- answers -- */

/* Calls of an answer that did not end by itself are not made. */
static void drop_calls(chat *g, remora_status st)
{
    if (st == REMORA_END && (g->calls.n == 0 || g->calls.v[g->calls.n - 1].whole)) return;
    if (g->calls.n > 0) fputs("[not called: the answer is not whole]\n", stderr);
    g->calls.n = 0;
}

/* One answer; REMORA_MORE: it had calls, whose results are there. */
static remora_status answer_once(chat *g, remora_error *err)
{
    remora_prompt_info info = {.struct_size = sizeof info};
    remora_chat_parse_opts o = {.struct_size = sizeof o, .chat = g->talk};
    remora_chat_parse *reader = NULL;
    size_t n = 0;
    remora_status st = load(g, &info, &n, err);
    o.begin = info.begin;
    o.flags = info.calls ? REMORA_CHAT_PARSE_CALLS : 0;
    if (st >= 0) st = remora_chat_parse_create(g->host.model, &o, &reader, err);
    if (st >= 0) st = constrain(g, err);
    g->said.n = g->thought.n = g->calls.n = 0;
    if (st >= 0) st = stream(g, reader, err);
    remora_chat_parse_free(reader);
    g->choice = 0;
    drop_calls(g, st);
    const int shown = g->said.n > 0 || g->thought.n > 0 || g->calls.n > 0;
    const int ended = st >= 0 || st == REMORA_E_CANCELLED || (st == REMORA_E_FULL && shown);
    if (!ended) return st;
    say_end(g, st);
    if (!shown) drop_turns(g, last_question(g));
    if (shown && (st = add_answer(g, err)) < 0) return st;
    return g->calls.n > 0 ? add_results(g, err) : REMORA_OK;
}

/* Answer what has been said. The question goes again where nothing came of it. */
static remora_status answer(chat *g, remora_error *err)
{
    remora_status st;
    do st = answer_once(g, err);
    while (st == REMORA_MORE && !tool_output_failed());
    if (st < 0) drop_turns(g, last_question(g));
    if (st >= 0) meter(g);
    return st;
}

/* -- lines -- */

static void help(void)
{
    fputs("/clear   begin anew\n/undo    forget the last question and its answer\n"
          "/again   answer the last question once more\n/think   on or off\n"
          "/fold    hide or show the reasoning\n/call    answer the last question with a call of a "
          "tool, which may be named\n/quit    end\n"
          "A line that ends with \\ goes on with the next one; a space before a / makes a text of "
          "it.\n",
          stderr);
}

enum { GO_ON, ANSWER, QUIT };

/* The last question once more. */
static int answer_again(chat *g)
{
    if (last_question(g) == g->roles.n) return GO_ON;
    drop_turns(g, last_question(g) + 1);
    return ANSWER;
}

/* The prompt says whether it can be, before an answer is dropped for it. */
static int answer_with_call(chat *g, const char *name)
{
    remora_error err = {.struct_size = sizeof err};
    size_t n;
    if (g->tools == NULL) {
        fputs("remora: there are no tools: --tools\n", stderr);
        return GO_ON;
    }
    while (*name == ' ') name++;
    g->chosen.n = 0;
    if (last_question(g) == g->roles.n || tool_buffer_add(&g->chosen, name, strlen(name)) < 0)
        return GO_ON;
    g->choice = *name != 0 ? REMORA_CHOICE_NAMED : REMORA_CHOICE_REQUIRED;
    const remora_prompt_opts o = prompt_opts(g);
    const remora_status st = remora_chat_prompt(g->talk, &o, NULL, 0, &n, NULL, &err);
    if (st >= 0 || st == REMORA_E_BUFFER) return answer_again(g);
    g->choice = 0;
    tool_fail(st, "/call", &err);
    return GO_ON;
}

static int command(chat *g, const char *line)
{
    if (strcmp(line, "/quit") == 0) return QUIT;
    if (strcmp(line, "/again") == 0) return answer_again(g);
    if (strcmp(line, "/call") == 0 || strncmp(line, "/call ", 6) == 0)
        return answer_with_call(g, line + 5);
    if (strcmp(line, "/clear") == 0)
        drop_turns(g, g->system != NULL);
    else if (strcmp(line, "/undo") == 0)
        drop_turns(g, last_question(g));
    else if (strcmp(line, "/think on") == 0)
        g->think = REMORA_THINK_ON;
    else if (strcmp(line, "/think off") == 0)
        g->think = REMORA_THINK_OFF;
    else if (strcmp(line, "/fold") == 0)
        g->fold = !g->fold;
    else {
        if (strcmp(line, "/help") != 0) fprintf(stderr, "remora: %s: no such command\n", line);
        help();
    }
    return GO_ON;
}

/* Say why there is no answer. In a terminal, and where the context is full, the conversation can go
 * on: TOOL_OK. */
static int complain(const chat *g, remora_status st, const remora_error *err)
{
    if (st == REMORA_E_FULL) {
        fprintf(stderr,
                "remora: the conversation does not fit into %u tokens any more: /undo, /clear\n",
                g->ctx);
        return TOOL_OK;
    }
    const int code = tool_fail(st, "chat", err);
    return g->lines.asks ? TOOL_OK : code;
}

static int next_line(chat *g)
{
    char prompt[64] = "> ";
    if (!g->host.quiet)
        snprintf(prompt, sizeof prompt, "%llu/%u > ", (unsigned long long)tokens_taken(g), g->ctx);
    return tool_lines_read(&g->lines, prompt);
}

static int talk(chat *g)
{
    remora_error err = {.struct_size = sizeof err};
    const tool_buffer *line = &g->lines.text;
    int code = TOOL_OK;
    while (code == TOOL_OK && next_line(g)) {
        remora_status st = REMORA_OK;
        int what = ANSWER;
        if (line->n == 0) continue;
        if (line->s[0] == '/')
            what = command(g, line->s);
        else
            st = add_turn(g, REMORA_ROLE_USER, text_of(line), &err);
        if (what == QUIT) break;
        if (what == ANSWER && st >= 0) st = answer(g, &err);
        tool_cancel_again();
        if (st < 0) code = complain(g, st, &err);
        if (tool_output_failed()) code = TOOL_FAILED;
    }
    if (!g->host.quiet && !g->lines.asks) tool_drafts_print(g->s);
    return tool_cancelled() ? TOOL_FAILED : code;
}

/* The chat formats whose tokens the model has, for one that has none of its own. */
static void list_formats(const chat *g)
{
    const char *name, *before = "remora: --format takes here: ";
    for (uint32_t i = 0; remora_chat_format_name(i, &name, NULL) >= 0; i++) {
        const remora_chat_opts o = {.struct_size = sizeof o, .format = name};
        remora_chat *c;
        if (remora_chat_create(g->host.model, &o, &c, NULL) < 0) continue;
        remora_chat_free(c);
        fprintf(stderr, "%s%s", before, name);
        before = ", ";
    }
    fputs(*before == ',' ? "\n" : "remora: the model has the tokens of no chat format\n", stderr);
}

/* Their schemas are looked at before somebody asks. */
static int declare_tools(chat *g)
{
    remora_error err = {.struct_size = sizeof err};
    const size_t n = g->roles.n;
    if (g->tools == NULL) return TOOL_GO;
    if (tool_calls_declare(g->talk, g->tools) < 0) return TOOL_FAILED;
    remora_status st = add_turn(g, REMORA_ROLE_USER, tool_text("?"), &err);
    if (st >= 0) st = constrain(g, &err);
    drop_turns(g, n);
    return st < 0 ? tool_fail(st, g->tools, &err) : TOOL_GO;
}

static int make(chat *g)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_chat_opts o = {.struct_size = sizeof o, .format = g->format};
    const uint32_t most = g->host.info.max_context;
    remora_session_opts opts;
    g->ctx = g->session.ctx ? g->session.ctx : most < 4096 ? most : 4096;
    g->session.predicts = g->drafts.most > 0;
    tool_session_opts(&g->session, g->ctx, &opts);
    remora_status st = remora_chat_create(g->host.model, &o, &g->talk, &err);
    if (st >= 0) st = remora_session_create(g->host.model, &opts, &g->s, &err);
    if (st >= 0) st = remora_sampler_create(g->host.model, g->seed, &g->p, &err);
    if (st >= 0) st = tool_add_stage(g->p, REMORA_STAGE_TEMPERATURE, g->temp, 0, &err);
    if (st >= 0) st = tool_add_top_p(g->p, g->top_p, &err);
    if (st >= 0 && g->system) st = add_turn(g, REMORA_ROLE_SYSTEM, tool_text(g->system), &err);
    if (st < 0) {
        const int code = tool_fail(st, "chat", &err);
        if (g->talk == NULL && (st == REMORA_E_UNSUPPORTED || st == REMORA_E_NOT_FOUND))
            list_formats(g);
        return code;
    }
    g->prompt = malloc((size_t)g->ctx * sizeof *g->prompt);
    return g->prompt == NULL ? tool_fail(REMORA_E_NOMEM, "chat", NULL) : declare_tools(g);
}

int tool_chat(int argc, char **argv)
{
    chat g = {.seed = 42, .temp = 0.7, .top_p = 0.95};
    int code = parse(&g, argc, argv);
    if (code != TOOL_GO) return code;
    g.terminal = tool_is_terminal(stdout);
    tool_lines_init(&g.lines);
    code = tool_open(&g.host, 0);
    if (code == TOOL_GO) code = make(&g);
    if (code == TOOL_GO) code = talk(&g);
    remora_sampler_free(g.p);
    remora_session_free(g.s);
    remora_chat_free(g.talk);
    tool_close(&g.host);
    free(g.prompt);
    free(g.said.s);
    free(g.thought.s);
    free(g.roles.s);
    free(g.chosen.s);
    free(g.result.s);
    tool_calls_free(&g.calls);
    tool_lines_free(&g.lines);
    return code;
}
