/* SPDX-License-Identifier: Apache-2.0 */
/* A chat format as data: how a family writes turns, reasoning, tools, calls and their results, and
 * by which of these markers its output is read back. A row of the table (chat_formats.c) is one
 * family; a host describes its own in the same struct.
 *
 * A string of a format is *markup*: the added tokens of the tokenizer are recognised in it, and in
 * nothing else. NULL and "" both mean that nothing is written. */
#ifndef RMR_CHAT_FORMAT_H
#define RMR_CHAT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Where system turns go. */
enum rmr_chat_system {
    RMR_SYSTEM_IN_PLACE,
    RMR_SYSTEM_LAST,  /* the last one alone, in front */
    RMR_SYSTEM_JOINED /* all in front, an empty line between two */
};

/* When the assistant's marker is written before an answer. */
enum rmr_chat_open {
    RMR_OPEN_ALWAYS,
    RMR_OPEN_UNLESS_RESULTS, /* an answer to results goes on where they end */
    RMR_OPEN_IF_ASKED,       /* where the turn before, system turns left out, is the user's */
    RMR_OPEN_WITH_USER       /* the user's turn ends with it */
};

/* When the prompt's end asks for an answer by that marker, beside what RMR_OPEN_WITH_USER wrote. */
enum rmr_chat_ask { RMR_ASK_ALWAYS, RMR_ASK_UNLESS_RESULTS, RMR_ASK_IF_ASKED, RMR_ASK_NEVER };

/* Which conversations the family's own encoder takes. */
enum rmr_chat_takes {
    RMR_TAKES_ALL,
    RMR_TAKES_ANSWERED, /* without a request for an answer only those that end in one, and none to
                           be continued */
    RMR_TAKES_REQUESTS  /* only with a request for an answer, or one to be continued */
};

/* Which reasoning of past answers is sent. Elsewhere `answered` stands in its place. */
enum rmr_chat_past {
    RMR_PAST_NONE,      /* the answer's text is sent as it is */
    RMR_PAST_CUT_LAST,  /* none, and of the text what follows the last closing tag */
    RMR_PAST_CUT_FIRST, /* none, and of the text what follows the first closing tag */
    RMR_PAST_QWQ,       /* as CUT_LAST, without the newlines that follow the tag */
    RMR_PAST_QWEN3,     /* behind the last question, where there is any or it is the last turn */
    RMR_PAST_GLM,       /* behind the last question, stripped */
    RMR_PAST_KIMI,      /* behind the last answer without calls */
    RMR_PAST_DSML32,    /* behind the last question, while thinking is on */
    RMR_PAST_DSML4      /* the same, results being questions too; all where tools are declared */
};

/* Reasoning in the output: `open` and `close` are what the parser looks for; NULL in a family that
 * does not think. */
typedef struct rmr_chat_think {
    const char *open, *close;           /* "<think>", "</think>" */
    const char *on, *off;               /* end the prompt when thinking is on and off */
    const char *answered;               /* before a past answer without reasoning */
    const char *past_open, *past_close; /* around reasoning that is written back */
    uint8_t by_default;                 /* thinking is on unless the host says off */
    uint8_t always;                     /* it cannot be switched off */
    uint8_t by_model;     /* when it is on the model writes `open` itself, or does not */
    uint8_t past;         /* rmr_chat_past */
    uint8_t literal_open; /* an opening tag that the model repeats is reasoning (V4) */
    uint8_t strip;        /* newlines before the answer go also where nothing was thought (V4) */
} rmr_chat_think;

enum rmr_chat_args {
    RMR_ARGS_NONE,    /* the family has no calls */
    RMR_ARGS_TEXT,    /* JSON text, as it came */
    RMR_ARGS_PRINTED, /* JSON, printed anew as Python's json.dumps does */
    RMR_ARGS_PARAMS,  /* one by one, with string="true" raw and with "false" JSON (DSML) */
    RMR_ARGS_TAGS     /* one by one, strings raw and all else JSON (GLM) */
};

/* Calls of an answer:
 *   block_open { call_open NAME name_close ARGUMENTS call_close } block_close
 * with `between` between two. An argument of PARAMS and TAGS is
 *   param_open KEY param_kind [true|false param_value] VALUE param_close
 * with the part in brackets in PARAMS alone, and `param_between` between two. */
typedef struct rmr_chat_calls {
    const char *block_open, *block_close;
    const char *call_open, *name_close, *call_close, *between;
    const char *param_open, *param_kind, *param_value, *param_close, *param_between;
    const char *after_text; /* before the block where the answer has text (Qwen's newline) */
    const char *params_end; /* behind the last argument, before call_close, where there is any */
    const char *no_params;  /* in place of arguments that there are none of */
    const char *misspelt;   /* another spelling of block_open, which models write */
    uint8_t args;           /* rmr_chat_args */
    uint8_t numbered;       /* ":i" follows the name, counted over the conversation (Kimi) */
    uint8_t one;            /* an answer has one call at most */
    uint8_t no_text;        /* the text of an answer with calls is not sent (Llama-3.1) */
    uint8_t bare;           /* no marker: the answer is the JSON of a call from its beginning */
} rmr_chat_calls;

/* Results: block_open { open TEXT close } block_close, `between` between two. */
typedef struct rmr_chat_results {
    const char *block_open, *block_close, *open, *close, *between;
    uint8_t by_id;   /* `open` is followed by the call's id and a newline (Kimi) */
    uint8_t quoted;  /* the text is a JSON string (Llama-3.1) */
    uint8_t in_user; /* they are parts of the user's turn, in the order of their calls (V4) */
    uint8_t strict;  /* a result without a call is an error */
    uint8_t tagged;  /* the block is followed by think.on or .answered (V3.2) */
} rmr_chat_results;

enum rmr_chat_place {
    RMR_TOOLS_NOWHERE,
    RMR_TOOLS_SYSTEM,    /* behind the system text in front */
    RMR_TOOLS_TURN,      /* in front of all turns */
    RMR_TOOLS_FIRST_USER /* before the text of the first user turn */
};

enum rmr_chat_tool {
    RMR_TOOL_OBJECT,   /* the host's object on one line */
    RMR_TOOL_FUNCTION, /* its `function` alone */
    RMR_TOOL_HEADED,   /* each_open NAME head_description DESCRIPTION head_parameters JSON (V3.1) */
    RMR_TOOL_INDENTED  /* the host's object, indented by four (Llama-3.1) */
};

typedef struct rmr_chat_tools {
    const char *open, *each_open, *each_close, *between, *close;
    const char
        *alone; /* in place of `open` where there is no system text; NULL: `open` there too */
    const char *head_description, *head_parameters;
    uint8_t place;    /* rmr_chat_place */
    uint8_t as;       /* rmr_chat_tool */
    uint8_t borrowed; /* the family's own template declares no tools: the text is that of servers */
    uint8_t if_empty; /* its template writes the section for an empty list too */
} rmr_chat_tools;

enum rmr_chat_effort {
    RMR_EFFORT_NONE,
    RMR_EFFORT_TEXTS, /* think more: a paragraph where there is one */
    RMR_EFFORT_NUMBER /* a number from 1 to 100 between the two texts */
};

/* What is written in front of a prompt that thinks. */
typedef struct rmr_chat_efforts {
    const char *low, *high, *max; /* TEXTS: paragraphs; NUMBER: digits */
    const char *open, *close;     /* NUMBER: the texts around it */
    uint8_t style;                /* rmr_chat_effort */
} rmr_chat_efforts;

typedef struct rmr_chat_role {
    const char *open, *close;
} rmr_chat_role;

enum { RMR_CHAT_MAX_TOKENS = 8 };

typedef struct rmr_chat_format {
    const char *name; /* "deepseek-v3" */
    const char *bos;
    rmr_chat_role system, user, assistant;
    const char *name_close; /* behind the name of a turn, which follows the role's `open` (Kimi) */
    const char *generation; /* asks for an answer; NULL: assistant.open does */
    const char *continued;  /* before an answer that is continued; NULL: assistant.open */
    const char *system_default;    /* where the conversation does not begin with a system turn */
    const char *system_lead;       /* before the first system text, which then is always there */
    const char *system_lead_tools; /* before that lead, where tools are declared */
    const char *system_lead_date;  /* between the lead's two parts: the default date */
    const char *system_lead_end;
    const char *json_schema, *json_object; /* ask for JSON: before the schema; for any object */
    const char *reminder;                  /* before the text of a reminder; NULL: there are none */
    const char *const *tasks; /* rmr_chat_task - 1: what asks for it; NULL: there are none */
    const char *needs[RMR_CHAT_MAX_TOKENS]; /* tokens without which it is not this format */
    const char *stops[RMR_CHAT_MAX_TOKENS]; /* tokens that end an answer; [0] ends turns */
    rmr_chat_think think;
    rmr_chat_calls calls;
    rmr_chat_results results;
    rmr_chat_tools tools;
    rmr_chat_efforts efforts;
    uint8_t system_rule;   /* rmr_chat_system */
    uint8_t open;          /* rmr_chat_open */
    uint8_t ask;           /* rmr_chat_ask */
    uint8_t takes;         /* rmr_chat_takes */
    uint8_t trim;          /* white space around texts goes */
    uint8_t trim_answer;   /* ... around those of answers */
    uint8_t merge_users;   /* user turns that follow each other are one, an empty line between */
    uint8_t system_if_any; /* system.open is written only where something follows it (V4.1) */
} rmr_chat_format;

/* The built-in formats; *n of them. */
const rmr_chat_format *rmr_chat_formats(size_t *n);

/* A built-in format by its name, or NULL. */
const rmr_chat_format *rmr_chat_format_named(const char *name, size_t n);

#endif
