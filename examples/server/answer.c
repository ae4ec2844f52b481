/* SPDX-License-Identifier: Apache-2.0 */
/* From tokens to the parts of an answer: reasoning, text, calls; and to its end. */
#include "job.h"

#include <string.h>

/* Text of the answer that may go out. */
static int let_out(sv_job *j)
{
    sv_stops *s = &j->answer.stops;
    if (s->ready == 0) return 0;
    j->answer.text_out += s->ready;
    if (sv_wire_content(j, s->held.s, s->ready) < 0) return -1;
    sv_stops_took(s);
    return 0;
}

static int text_comes(sv_job *j, const char *text, size_t n)
{
    if (sv_stops_add(&j->answer.stops, text, n) < 0) return -1;
    return let_out(j);
}

/* What was held back is no stop string. */
static int text_ends(sv_job *j)
{
    sv_stops_end(&j->answer.stops);
    return let_out(j);
}

static int take(sv_job *j, const remora_chat_event *e)
{
    if (j->answer.stops.found) return 0;
    switch (e->kind) {
    case REMORA_PART_REASONING: return sv_wire_reasoning(j, e->text.ptr, (size_t)e->text.len);
    case REMORA_PART_CONTENT:
        return sv_stops_add(&j->answer.stops, e->text.ptr, (size_t)e->text.len);
    case REMORA_PART_CALL: return text_ends(j) < 0 ? -1 : sv_wire_call(j, e->text, e->id);
    case REMORA_PART_ARGUMENTS: return sv_wire_arguments(j, e->text);
    default: return 0;
    }
}

static int32_t place(const sv_job *j)
{
    remora_chat_parse_info info = {.struct_size = sizeof info};
    remora_chat_parse_get_info(j->parse, &info, NULL);
    return info.place;
}

static int chat_token(sv_job *j, const remora_session *s, uint32_t row, remora_token t)
{
    remora_chat_event e = {.struct_size = sizeof e};
    const int32_t before = place(j);
    remora_status st;
    int ok = 0;
    for (size_t at = 0, used = 0; ok == 0; at += used) {
        st = remora_chat_parse_next(j->parse, &t, 1 - at, &used, &e, NULL);
        if (st != REMORA_MORE) break;
        ok = take(j, &e);
    }
    const int32_t after = place(j);
    if (before == REMORA_PLACE_REASONING || after == REMORA_PLACE_REASONING)
        j->answer.n_reasoning++;
    /* The token's chances go out with its text, so they have to be there before it does. */
    if (ok == 0 && j->r.logprobs && after == REMORA_PLACE_CONTENT &&
        !(remora_token_flags(j->m->model, t) & REMORA_TOKEN_CONTROL))
        ok = sv_chances_add(j, s, row, t);
    return ok < 0 ? -1 : let_out(j);
}

static int is_fim_end(const sv_job *j, remora_token t)
{
    for (size_t i = 0; i < j->n_fim_end; i++)
        if (j->fim_end[i] == t) return 1;
    return 0;
}

static int plain_token(sv_job *j, remora_token t)
{
    char text[2048];
    size_t n = 0;
    const remora_status st =
        remora_detok_push(j->m->model, &j->detok, &t, 1, text, sizeof text, &n, NULL);
    return st < 0 ? -1 : text_comes(j, text, n);
}

/* The last of the text, which no token follows. */
static int close_text(sv_job *j)
{
    char text[8];
    size_t n = 0;
    if (j->parse == NULL) {
        remora_detok_flush(j->m->model, &j->detok, text, sizeof text, &n, NULL);
        return text_comes(j, text, n);
    }
    remora_chat_event e = {.struct_size = sizeof e};
    const int32_t cut = j->answer.finish == SV_LENGTH || j->answer.stops.found;
    while (remora_chat_parse_end(j->parse, cut, &e, NULL) == REMORA_MORE)
        if (take(j, &e) < 0) return -1;
    return 0;
}

int sv_answer_token(sv_job *j, const remora_session *s, uint32_t row, remora_token t)
{
    sv_answer *a = &j->answer;
    const uint32_t flags = remora_token_flags(j->m->model, t);
    const int ends = (flags & REMORA_TOKEN_END_OF_TURN) || is_fim_end(j, t);
    a->n_tokens++;
    if (j->parse != NULL) {
        if (chat_token(j, s, row, t) < 0) return -1;
    } else if (!ends) {
        if (j->r.logprobs && sv_chances_add(j, s, row, t) < 0) return -1;
        if (plain_token(j, t) < 0) return -1;
    }
    if (ends || a->stops.found)
        a->finish = SV_STOP;
    else if (a->n_tokens >= j->most)
        a->finish = SV_LENGTH;
    if (a->finish == SV_GOES_ON) return 0;
    if (close_text(j) < 0 || text_ends(j) < 0) return -1;
    return sv_wire_end(j);
}
