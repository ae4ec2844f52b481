/* SPDX-License-Identifier: Apache-2.0 */
/* The markers of a chat format, made ready for reading output: trimmed to what must be there, with
 * the bytes that must be special tokens. */
#ifndef RMR_MARKERS_H
#define RMR_MARKERS_H

#include "chat_format.h"
#include "tokenizer.h"

enum rmr_marker_id {
    RMR_M_THINK_OPEN,
    RMR_M_THINK_CLOSE,
    RMR_M_BLOCK_OPEN,
    RMR_M_BLOCK_MISSPELT,
    RMR_M_BLOCK_CLOSE,
    RMR_M_CALL_OPEN,
    RMR_M_NAME_CLOSE,
    RMR_M_CALL_CLOSE,
    RMR_M_CALL_CLOSE_TAIL, /* call_close from its first angle bracket on */
    RMR_M_PARAM_OPEN,
    RMR_M_PARAM_KIND,
    RMR_M_PARAM_VALUE,
    RMR_M_PARAM_CLOSE,
    RMR_M_STOP, /* and the other stops */
    RMR_M_COUNT = RMR_M_STOP + RMR_CHAT_MAX_TOKENS
};

/* RMR_CALL_MIN: the least bytes of the markers of a call, so that little text is few calls. */
enum { RMR_MARKER_MAX = 64, RMR_HELD_MAX = 512, RMR_NAME_MAX = 256, RMR_CALL_MIN = 8 };

/* Where a byte of the output comes from. */
enum rmr_byte_mark {
    RMR_BYTE_TEXT,    /* a token of text: part of no special token */
    RMR_BYTE_SPECIAL, /* the text of an added token */
    RMR_BYTE_UNKNOWN  /* text of which nobody knows: markers are found in it */
};

typedef struct rmr_marker {
    char text[RMR_MARKER_MAX];
    uint64_t special; /* bit i: byte i belongs to a special token */
    uint8_t n;        /* 0: the format has no such marker */
    uint8_t loose;    /* white space inside does not matter (JSON, tags) */
} rmr_marker;

/* An argument that the declared tools have a type for (hash of the tool's name and its own). */
typedef struct rmr_chat_type {
    uint64_t key;
    uint32_t is_text;
    uint32_t order; /* of declaration: of two with one key the first counts */
} rmr_chat_type;

/* Whether the declared tools say that an argument is a string. */
enum { RMR_TYPE_OTHER, RMR_TYPE_TEXT, RMR_TYPE_UNKNOWN };
int rmr_tool_types_find(const rmr_chat_type *types, size_t n, uint64_t key);

typedef struct rmr_markers {
    rmr_marker all[RMR_M_COUNT];
    const rmr_chat_type *types; /* borrowed, by ascending key */
    size_t n_types;
    uint8_t tools;               /* calls are looked for */
    uint8_t args;                /* rmr_chat_args */
    uint8_t json_head;           /* a call is JSON from its beginning (Qwen, Llama) */
    uint8_t bare;                /* ... without a marker before it */
    uint8_t numbered;            /* the name is "functions.NAME:i" */
    uint8_t lead;                /* newlines that belong to the marker of calls, before it */
    uint8_t literal_open, strip; /* as in rmr_chat_think */
    uint8_t n_skip;
    char skip[8]; /* what answers begin with that the prompt left out: the space of "Assistant: " */
} rmr_markers;

/* The markers of f; tok may be NULL, then no byte must be special. tools: tools are declared.
 * E_UNSUPPORTED for a marker that is too long. */
remora_status rmr_markers_make(rmr_markers *m, const rmr_chat_format *f, const rmr_tokenizer *tok,
                               int tools, remora_error *err);

enum { RMR_MATCH_NO, RMR_MATCH_PREFIX, RMR_MATCH_WHOLE };

/* Does marker m begin the n held bytes (WHOLE: *len of them are it), or they the marker (PREFIX)?
 */
int rmr_marker_match(const rmr_marker *m, const uint8_t *held, const uint8_t *marks, size_t n,
                     size_t *len);

/* The same for the head of a call that is JSON without a marker: {"name": "NAME", "arguments":.
 * *name and *n_name are the name's place in held. */
int rmr_markers_match_bare(const rmr_markers *m, const uint8_t *held, const uint8_t *marks,
                           size_t n, size_t *len, size_t *name, size_t *n_name);

/* Whether the text of a special token is part of a marker. */
int rmr_markers_have(const rmr_markers *m, const char *text, size_t n);

/* Hash of a tool's name, or (on with it) of an argument's name behind it: FNV-1a. */
uint64_t rmr_chat_key(uint64_t before, const void *text, size_t n);
#define RMR_CHAT_KEY_BEGIN ((uint64_t)14695981039346656037u)

#endif
