/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-level BPE as tokenizer.json or tiktoken.model defines it. Immutable after opening and safe
 * from any thread.
 *
 * Supported of tokenizer.json: model BPE (with ignore_merges); normalizer none or NFC;
 * pre_tokenizer Split (Isolated, or Removed and inverted), Digits and ByteLevel; decoder ByteLevel;
 * post_processor ByteLevel and TemplateProcessing with tokens in front; added_tokens without
 * lstrip, rstrip and single_word. `truncation` and `padding` are not the tokenizer's business and
 * ignored. */
#ifndef RMR_TOKENIZER_H
#define RMR_TOKENIZER_H

#include "gguf.h"

typedef struct rmr_tokenizer rmr_tokenizer;
typedef struct rmr_json_files rmr_json_files; /* json_files.h */

/* Read tokenizer.json or, where there is none, tiktoken.model (docs/formats.md);
 * tokenizer_config.json (BOS, EOS, PAD, add_bos_token; the special tokens of tiktoken.model) and
 * generation_config.json / config.json (further end-of-sequence ids) from files. E_NOT_FOUND
 * when there is neither; E_UNSUPPORTED names the field that asks for something we do not
 * do; E_FORMAT says what is wrong. Ids must be below n_vocab, which is at most 2^24, and holes are
 * fine. An added token with a higher id is left out: its text is text. Of two merges of one pair
 * the later counts. `from->mem` is kept and must be thread-safe. */
remora_status rmr_tokenizer_open(rmr_json_files *from, uint32_t n_vocab, rmr_tokenizer **out,
                                 remora_error *err);

/* Read the tokenizer from a GGUF file's keys; E_NOT_FOUND when it has no vocabulary. Tokens of the
 * types control and user-defined are treated as added_tokens of tokenizer.json; converters that
 * mark "<｜User｜>" as control make it make no text. */
remora_status rmr_tokenizer_open_gguf(rmr_mem *mem, const rmr_gguf *g, uint32_t n_vocab,
                                      rmr_tokenizer **out, remora_error *err);

/* 1 when the GGUF file does not say how its model splits text. Such files are split as other
 * engines do. */
int rmr_tokenizer_gguf_guess(const rmr_gguf *g);

/* The number of the source's added tokens that were left out: the model has no rows for them. */
uint32_t rmr_tokenizer_rowless(const rmr_tokenizer *t);

/* The number of ids between the words of tiktoken.model and the first special token that has a
 * name. Kimi's and Moonlight's files have none: one that was cut off at the end of a line has. */
uint32_t rmr_tokenizer_nameless(const rmr_tokenizer *t);
void rmr_tokenizer_free(rmr_tokenizer *t);

/* The tokenizer as one block without pointers, the same on every machine, which opens without work
 * that grows with the vocabulary (docs/pack.md has the layout). Valid as long as t. */
const void *rmr_tokenizer_compiled(const rmr_tokenizer *t, size_t *n);

/* Open such a block where it lies, borrowed; or `owned`: a block of n bytes from mem that this call
 * takes over, also when it fails. Borrowed blocks that are not aligned to 4 bytes are copied.
 * E_FORMAT: the block is not one, is cut off, or has ids above n_vocab; E_UNSUPPORTED: a newer
 * version, or a pattern we do not do. Tables are checked as they are used: damaged ones give wrong
 * tokens or, from encode, E_FORMAT. */
remora_status rmr_tokenizer_open_compiled(rmr_mem *mem, const void *blob, size_t n, int owned,
                                          uint32_t n_vocab, rmr_tokenizer **out, remora_error *err);

/* Text to ids. Two-call convention: *n is always the count; with cap too small E_BUFFER and out
 * untouched. Any bytes are legal, NUL and invalid UTF-8 included, and come back byte for byte
 * (under an NFC normalizer: their normal form; invalid bytes stay), but for text that a Split
 * removes. A byte that has no token becomes model.unk_token, or is dropped when there is none. At
 * most 2^31 - 1 bytes.
 *
 * REMORA_TEXT_SPECIAL: the text of added tokens becomes those tokens. Without it no markup is
 * recognised, special or not: `<｜User｜>` is not "special" in DeepSeek-V3's files, and a user who
 * can write it can forge a turn. Added tokens that are plain text (config.c says which) are
 * recognised in every text. With it the ids equal Hugging Face's.
 * REMORA_TEXT_BOS: put in front what the configuration asks for: the post-processor's template,
 * and BOS when tokenizer_config.json has add_bos_token true (false takes it away again). Nothing
 * is put before a text that begins with that token itself, so there are never two.
 *
 * E_UNSUPPORTED when a pattern of the pre-tokenizer would backtrack without end on this text: the
 * work is bounded by 2^26 + 256 steps per byte. */
remora_status rmr_tokenizer_encode(const rmr_tokenizer *t, const char *text, size_t len,
                                   uint32_t flags, remora_token *out, size_t cap, size_t *n,
                                   remora_error *err);

/* Bytes begin to end of a text. */
typedef struct rmr_text_range {
    size_t begin, end;
} rmr_text_range;

/* The same without flags, for text of which some is markup: in the n_markup ranges, which are in
 * order and do not overlap, the text of every added token becomes that token. What lies between two
 * tokens is encoded as one text, across the borders of the ranges. */
remora_status rmr_tokenizer_encode_ranges(const rmr_tokenizer *t, const char *text, size_t len,
                                          const rmr_text_range *markup, size_t n_markup,
                                          remora_token *out, size_t cap, size_t *n,
                                          remora_error *err);

/* The added token with exactly this text, or REMORA_TOKEN_NONE. */
remora_token rmr_tokenizer_find(const rmr_tokenizer *t, const char *text, size_t n);

/* The bytes of a token, an added token's text; valid as long as t, not NUL-terminated. E_ARG for an
 * id that is not below n_vocab; an id without a token has no bytes. */
remora_status rmr_tokenizer_bytes(const rmr_tokenizer *t, remora_token id, const char **bytes,
                                  size_t *n, remora_error *err);

/* REMORA_TOKEN_*. CONTROL: special added tokens, BOS, EOS, PAD. END_OF_TURN: EOS and every
 * eos_token_id. PARTIAL: the bytes alone are not whole UTF-8. 0 for a number that is no id. */
uint32_t rmr_tokenizer_flags(const rmr_tokenizer *t, remora_token id);

/* 1 for a token that no text of users may become: a control token, or an added one that is
 * markup. */
int rmr_tokenizer_is_markup(const rmr_tokenizer *t, remora_token id);

/* REMORA_SPECIAL_*, found among the added tokens; REMORA_TOKEN_NONE when absent. */
remora_token rmr_tokenizer_special(const rmr_tokenizer *t, int32_t which);

/* Streaming detokenizer. The state is the caller's: zero to begin, copied to fork. Only whole UTF-8
 * comes out; what can never become a character is U+FFFD, so that the pieces, however cut, join to
 * what one call gives. Control tokens make no text (and do not end a character); other added tokens
 * make theirs. With cap too small E_BUFFER: *n is the size needed, the state is as before and buf
 * may be scribbled on. E_ARG for a bad id or a state that is none, without a change. flush ends an
 * unfinished character with U+FFFD and the state is zero again. */
remora_status rmr_detok_push(const rmr_tokenizer *t, remora_detok *st, const remora_token *ids,
                             size_t n_ids, char *buf, size_t cap, size_t *n, remora_error *err);
remora_status rmr_detok_flush(const rmr_tokenizer *t, remora_detok *st, char *buf, size_t cap,
                              size_t *n, remora_error *err);

/* The same for one token without a buffer: `put` gets the characters that come out, one by one. */
typedef void (*rmr_detok_put)(void *user, const char *s, size_t n);
remora_status rmr_detok_each(const rmr_tokenizer *t, remora_detok *st, remora_token id,
                             rmr_detok_put put, void *user, remora_error *err);

/* The same for bytes, whatever they are of. */
remora_status rmr_detok_bytes(remora_detok *st, const char *bytes, size_t n, rmr_detok_put put,
                              void *user, remora_error *err);

#endif
