/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation: turns, tools, and what its next answer is to be like. It knows no chat format. */
#ifndef RMR_CONVERSATION_H
#define RMR_CONVERSATION_H

#include "mem.h"

enum {
    RMR_CHAT_MAX_BYTES = 64 << 20, /* of all texts together */
    RMR_CHAT_MAX_TURNS = 1 << 16,
    RMR_CHAT_MAX_CALLS = 1024, /* of one turn */
    RMR_CHAT_MAX_TOOLS = 1024,
    RMR_CHAT_MAX_NAME = 256 /* bytes of the name of a tool or turn, and of the id of a call */
};

enum rmr_chat_turn_role {
    RMR_ROLE_SYSTEM = 1,
    RMR_ROLE_USER,
    RMR_ROLE_ASSISTANT,
    RMR_ROLE_TOOL,
    RMR_ROLE_REMINDER
};
/* What DeepSeek-V4 is asked for in place of an answer; in the order of rmr_chat_format.tasks. */
enum rmr_chat_task {
    RMR_TASK_NONE,
    RMR_TASK_ACTION,
    RMR_TASK_QUERY,
    RMR_TASK_AUTHORITY,
    RMR_TASK_DOMAIN,
    RMR_TASK_TITLE,
    RMR_TASK_READ_URL,
    RMR_TASKS
};
enum rmr_chat_thinking { RMR_THINK_DEFAULT, RMR_THINK_ON, RMR_THINK_OFF };
enum rmr_chat_choice { RMR_CHOICE_AUTO, RMR_CHOICE_NONE, RMR_CHOICE_REQUIRED, RMR_CHOICE_NAMED };
enum rmr_chat_reply { RMR_REPLY_TEXT, RMR_REPLY_JSON, RMR_REPLY_SCHEMA };

typedef struct rmr_chat_str {
    char *p;
    size_t n;
} rmr_chat_str;

typedef struct rmr_chat_call {
    rmr_chat_str id, name, args;
} rmr_chat_call;

typedef struct rmr_chat_turn {
    uint8_t role;   /* rmr_chat_turn_role */
    uint8_t prefix; /* the host marked it as the beginning of the answer */
    uint8_t task;   /* rmr_chat_task, which holds where the turn is the last one */
    rmr_chat_str text, name, reasoning;
    rmr_chat_str call_id; /* TOOL: the call that it is the result of */
    rmr_chat_call *calls; /* ASSISTANT */
    size_t n_calls, cap_calls;
} rmr_chat_turn;

/* What the next answer is to be like. */
typedef struct rmr_chat_wish {
    uint8_t think;       /* rmr_chat_thinking */
    uint8_t choice;      /* rmr_chat_choice */
    uint8_t reply;       /* rmr_chat_reply */
    uint8_t go_on;       /* the last turn is continued */
    uint8_t no_request;  /* the prompt ends behind the last turn */
    uint8_t as_template; /* what the family's own template leaves out stays out */
    uint32_t effort;     /* 1 to 100; 0: the family's default */
    rmr_chat_str tool;   /* NAMED */
    rmr_chat_str schema; /* SCHEMA */
} rmr_chat_wish;

typedef struct rmr_conversation {
    rmr_mem *mem;
    rmr_chat_turn *turns;
    size_t n_turns, cap_turns;
    rmr_chat_str *tools; /* objects in OpenAI's form, checked */
    size_t n_tools, cap_tools;
    uint8_t tools_given; /* an empty list was given */
    size_t bytes;        /* of all texts */
    rmr_chat_wish wish;
} rmr_conversation;

void rmr_conversation_init(rmr_conversation *c, rmr_mem *mem);
void rmr_conversation_clear(rmr_conversation *c);

/* Take over the turns of `from`, which is empty afterwards: all of them, or nothing and an error.
 */
remora_status rmr_conversation_add(rmr_conversation *c, rmr_conversation *from, remora_error *err);

/* The same with tools, which replace those of c where there are any, and wishes, which do so
 * always. */
remora_status rmr_conversation_add_all(rmr_conversation *c, rmr_conversation *from,
                                       remora_error *err);

/* Keep the first `keep` turns. */
void rmr_conversation_trim(rmr_conversation *c, size_t keep);

/* Add an empty turn, which the other functions fill; *out is valid until the next one. */
remora_status rmr_conversation_turn(rmr_conversation *c, int role, rmr_chat_turn **out,
                                    remora_error *err);
remora_status rmr_conversation_call(rmr_conversation *c, rmr_chat_turn *t, rmr_chat_call **out,
                                    remora_error *err);

/* Set a text, which must be UTF-8 and fit the limits; `what` names it in errors. */
remora_status rmr_conversation_set(rmr_conversation *c, rmr_chat_str *s, const char *what,
                                   const char *text, size_t n, remora_error *err);
/* The same for the name of a tool or turn and for the id of a call. */
remora_status rmr_conversation_set_name(rmr_conversation *c, rmr_chat_str *s, const char *what,
                                        const char *text, size_t n, remora_error *err);

/* Add a tool: an object in OpenAI's form, {"type": "function", "function": {"name": .., ..}}. */
remora_status rmr_conversation_tool(rmr_conversation *c, const char *json, size_t n,
                                    remora_error *err);

/* Add what a request in OpenAI's form says: messages, tools, tool_choice, response_format,
 * thinking, reasoning_effort, chat_template_kwargs, continue_final_message, add_generation_prompt.
 * Fields that have nothing to do with the prompt are passed over. All of it or nothing is added.
 * E_FORMAT names the field that is wrong, E_UNSUPPORTED what is right and not done. */
remora_status rmr_conversation_add_json(rmr_conversation *c, const char *json, size_t n,
                                        remora_error *err);

#endif
