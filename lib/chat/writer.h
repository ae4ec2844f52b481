/* SPDX-License-Identifier: Apache-2.0 */
/* A prompt as it is written: bytes, and which of them are markup of the format.
 *
 * Writing goes on without effect after an error, which the writer keeps: a renderer asks once, at
 * its end. */
#ifndef RMR_CHAT_WRITER_H
#define RMR_CHAT_WRITER_H

#include "tokenizer.h"

typedef struct rmr_chat_writer {
    rmr_mem *mem;
    char *text;
    size_t n, cap;
    rmr_text_range *markup; /* in order, apart from each other */
    size_t n_markup, cap_markup;
    remora_status status; /* the first error */
    remora_error *err;
} rmr_chat_writer;

void rmr_chat_writer_free(rmr_chat_writer *w);

/* Host's text: nothing in it is a token but what every text has. */
void rmr_chat_put(rmr_chat_writer *w, const char *s, size_t n);

/* Text of the format, terminated; NULL writes nothing. */
void rmr_chat_mark(rmr_chat_writer *w, const char *s);

/* Cut off what is behind the first n bytes. */
void rmr_chat_cut(rmr_chat_writer *w, size_t n);

#endif
