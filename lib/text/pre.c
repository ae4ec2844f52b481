/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns that a GGUF file only names, as they stand in the models' own files.
 *
 * Sources: tokenizer.json of DeepSeek-V3, DeepSeek-V2 and DeepSeek-Coder, Qwen2, Llama-3, GLM-4 and
 * SmolLM; pat_str in tokenization_kimi.py of Kimi-K2 and tokenization_moonshot.py of Moonlight;
 * GPT-2's encoder.py; o200k_base in OpenAI's tiktoken; tekken.json in Mistral's mistral-common. For
 * Youtu-LLM and Seed-Coder: the patterns that llama.cpp (src/llama-vocab.cpp) quotes from their
 * tokenizer.json. That file is also the source of the other names under which a pattern is known.
 * Left out are names of models that cannot be opened, and names for which llama.cpp is known to
 * have another pattern than the model. */
#include "pre.h"

#include <string.h>

#include "tok.h"

#define BLANKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SUFFIXES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define HEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define GPT4(digits) SUFFIXES "|" HEAD "\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" BLANKS
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define KANA "\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}"

/* Cased letters. */
#define CASED                                                                                      \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"                       \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                 \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"                 \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}"                 \
    "\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}"         \
    "\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}"                           \
    "\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}"                 \
    "\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}"          \
    "\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"                  \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"         \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}"                  \
    "\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}"                 \
    "\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}"                 \
    "\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"         \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"

/* Words of upper-case letters, then lower-case ones: U and L are the classes, `suffix` may follow.
 */
#define CASES(U, L, suffix) HEAD U "*" L "+" suffix "|" HEAD U "+" L "*" suffix
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

/* The two classes without Han (in Kimi's own form [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]).
 * PCRE2 has no intersections, so they are said by what they leave out: all the other general
 * categories, and Han. A class, where a look-ahead would serve as well, because repeats of a class
 * need no memory. */
#define NO_HAN_UPPER "[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{Han}]"
#define NO_HAN_LOWER "[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{Han}]"

static const char *const gpt2[] = {RMR_PRE_GPT2, NULL};
/* Digits are split off first, one by one. */
static const char *const starcoder[] = {"\\p{N}", RMR_PRE_GPT2, NULL};
static const char *const deepseek_llm[] = {
    "[\\r\\n]",
    "\\s?[" CASED "]+",
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
    "\\s+$",
    CJK,
    "\\p{N}",
    NULL};
static const char *const deepseek_coder[] = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                                             CJK,        "\\p{N}",      NULL};
static const char *const deepseek_v3[] = {
    "\\p{N}{1,3}", "[" KANA "]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" BLANKS,
    NULL};
static const char *const qwen2[] = {GPT4("\\p{N}"), NULL};
static const char *const llama3[] = {GPT4("\\p{N}{1,3}"), NULL};
static const char *const seed_coder[] = {
    SUFFIXES "|" HEAD "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" BLANKS, NULL};
static const char *const kimi[] = {
    "[\\p{Han}]+|" CASES(NO_HAN_UPPER, NO_HAN_LOWER,
                         SUFFIXES "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" BLANKS,
    NULL};
static const char *const o200k[] = {
    CASES(UPPER, LOWER, SUFFIXES "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BLANKS, NULL};
static const char *const tekken[] = {
    CASES(UPPER, LOWER, "") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BLANKS, NULL};
static const char *const youtu[] = {
    "[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|"
    "[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}\\x{ff1b}\\x{ff0c}"
    "\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|[" KANA "]+",
    CASES(UPPER, LOWER, SUFFIXES "?") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BLANKS, NULL};
/* Not the pattern of any model: llama.cpp splits so when the file does not name one. */
static const char *const unknown[] = {"[\\p{P}\\$\\+<=>\\^~\\|]+", RMR_PRE_GPT2, "\\p{N}+",
                                      "[0-9][0-9][0-9]", NULL};

static const rmr_pre pres[] = {
    {"deepseek-llm", deepseek_llm, 0, 0, 0},
    {"deepseek-coder", deepseek_coder, 0, 0, 0},
    {"deepseek-v3", deepseek_v3, 0, 0, 0},
    {"joyai-llm", deepseek_v3, 0, 0, 0},
    {"deepseek-r1-qwen", qwen2, 1, 0, 0},
    {"qwen2", qwen2, 1, 0, 0},
    {"kimi-k2", kimi, 0, 1, 0},
    {"glm4", llama3, 0, 0, 0},
    {"chatglm-bpe", llama3, 0, 0, 0},
    {"llama-bpe", llama3, 0, 1, 1},
    {"llama3", llama3, 0, 1, 1},
    {"llama-v3", llama3, 0, 1, 1},
    {"smaug-bpe", llama3, 0, 1, 0},
    {"gpt-2", gpt2, 0, 0, 0},
    {"gigachat", gpt2, 0, 0, 0},
    {"trillion", gpt2, 0, 0, 0},
    {"a.x-4.0", gpt2, 0, 0, 0},
    {"mellum", gpt2, 0, 0, 0},
    {"smollm", starcoder, 0, 0, 0},
    {"starcoder", starcoder, 0, 0, 0},
    {"refact", starcoder, 0, 0, 0},
    {"megrez", qwen2, 0, 0, 0},
    {"seed-coder", seed_coder, 0, 0, 0},
    {"gpt-4o", o200k, 0, 0, 0},
    {"kanana2", o200k, 0, 0, 0},
    {"tekken", tekken, 0, 1, 1},
    {"youtu", youtu, 0, 1, 0},
    {"default", unknown, 0, 0, 0},
};

const rmr_pre *rmr_pre_find(const char *name, size_t n)
{
    if (n == 0) name = "default", n = strlen(name);
    for (size_t i = 0; i < sizeof pres / sizeof pres[0]; i++)
        if (n == strlen(pres[i].name) && memcmp(name, pres[i].name, n) == 0) return &pres[i];
    return NULL;
}

int rmr_pre_is_guess(const rmr_pre *pre)
{
    return pre->patterns == unknown;
}

remora_status rmr_tok_add_pre(rmr_tok_parts *t, const char *field, const rmr_pre *pre,
                              remora_error *err)
{
    for (const char *const *p = pre->patterns; *p != NULL; p++)
        RMR_TRY(rmr_tok_add_step(t, field, *p, strlen(*p), 0, err));
    return REMORA_OK;
}
