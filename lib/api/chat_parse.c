/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an answer: handles around lib/chat's. */
#include <string.h>

#include "answer.h"
#include "chat_handle.h"
#include "checks.h"
#include "model.h"
#include "tool_types.h"
#include "use.h"

struct remora_chat_parse {
    remora_model *model; /* counted */
    rmr_use use;
    rmr_tool_types types;
    rmr_markers markers; /* its types are these */
    rmr_answer answer;
};

static remora_status find_format(const remora_model *m, const remora_chat_parse_opts *o,
                                 const rmr_chat_format **out, remora_error *err)
{
    RMR_NEED(o->format == NULL || o->chat == NULL, err, "format and chat are both given");
    if (o->chat == NULL) return rmr_api_chat_format(m, o->format, out, err);
    if (o->chat->model != m)
        RMR_FAIL(err, REMORA_E_MISMATCH, "the conversation is of another model");
    *out = o->chat->format;
    return REMORA_OK;
}

/* Where an answer begins when the prompt is the format's own. */
static int default_begin(const rmr_chat_format *f)
{
    if (f->think.open == NULL || !f->think.by_default) return RMR_PARSE_CONTENT;
    return f->think.by_model ? RMR_PARSE_START : RMR_PARSE_REASONING;
}

static remora_status find_begin(const remora_chat_parse_opts *o, const rmr_chat_format *f,
                                int *state, remora_error *err)
{
    switch (o->begin) {
    case 0: *state = default_begin(f); return REMORA_OK;
    case REMORA_PLACE_START: *state = RMR_PARSE_START; return REMORA_OK;
    case REMORA_PLACE_REASONING: *state = RMR_PARSE_REASONING; return REMORA_OK;
    case REMORA_PLACE_CONTENT: *state = RMR_PARSE_CONTENT; return REMORA_OK;
    case REMORA_PLACE_CALLS:
        *state = RMR_PARSE_CALLS;
        if (o->flags & REMORA_CHAT_PARSE_CALLS && f->calls.args != RMR_ARGS_NONE) return REMORA_OK;
        RMR_FAIL(err, REMORA_E_ARG,
                 "remora_chat_parse_opts.begin is CALLS, but calls are not looked for");
    default:
        RMR_FAIL(err, REMORA_E_ARG,
                 "remora_chat_parse_opts.begin is %d; supported are 0, START, REASONING, CONTENT "
                 "and CALLS",
                 o->begin);
    }
}

static remora_status check(const remora_model *m, const remora_chat_parse_opts *o,
                           remora_error *err)
{
    if (o->flags & ~(uint32_t)REMORA_CHAT_PARSE_CALLS)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_chat_parse_opts.flags 0x%x are not known; 0x%x are",
                 o->flags, REMORA_CHAT_PARSE_CALLS);
    if (o->reserved != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_chat_parse_opts.reserved is not 0");
    if (m->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "an answer is read with the model's tokenizer; the "
                 "model has none that this build can use");
    return REMORA_OK;
}

static remora_status make(remora_model *m, remora_chat_parse **out, remora_error *err)
{
    remora_chat_parse *p = rmr_alloc(&m->session_mem, sizeof *p);
    if (p == NULL) return rmr_error_nomem(err, "reader of an answer", sizeof *p);
    p->model = m;
    p->types = (rmr_tool_types){0};
    rmr_use_init(&p->use);
    rmr_model_ref(m);
    *out = p;
    return REMORA_OK;
}

/* Free a handle that could not be finished, and pass on why. */
static remora_status drop(remora_chat_parse **out, remora_status st)
{
    if (st >= 0) return st;
    remora_chat_parse_free(*out);
    *out = NULL;
    return st;
}

static void set_markers(remora_chat_parse *p, const rmr_markers *m)
{
    p->markers = *m;
    p->markers.types = p->types.items;
    p->markers.n_types = p->types.n;
}

remora_status remora_chat_parse_create(remora_model *m, const remora_chat_parse_opts *given,
                                       remora_chat_parse **out, remora_error *err)
{
    const rmr_chat_format *f = NULL;
    rmr_markers markers;
    int state = 0;
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(m != NULL && given != NULL, err, "model or options are NULL");
    RMR_IN(remora_chat_parse_opts, o, given, err);
    RMR_TRY(check(m, &o, err));
    RMR_TRY(find_format(m, &o, &f, err));
    RMR_TRY(find_begin(&o, f, &state, err));
    RMR_TRY(rmr_markers_make(&markers, f, m->tok, (o.flags & REMORA_CHAT_PARSE_CALLS) != 0, err));
    RMR_TRY(make(m, out, err));
    remora_chat_parse *p = *out;
    if (o.chat != NULL)
        RMR_TRY(drop(out, rmr_tool_types_make(&p->types, &m->session_mem, &o.chat->talk, err)));
    set_markers(p, &markers);
    rmr_answer_begin(&p->answer, &p->markers, state);
    return REMORA_OK;
}

/* The event as the host sees it. REMORA_MORE; REMORA_OK where there is none. */
static remora_status show(const remora_chat_parse *p, const rmr_answer_event *e,
                          remora_chat_event *out, remora_error *err)
{
    if (e == NULL) return REMORA_OK;
    const char *text = p->answer.text + e->at;
    const remora_chat_event event = {
        .kind = e->part, .call = e->call, .text = {text, e->n}, .id = {text + e->n, e->n_id}};
    RMR_TRY(RMR_OUT(remora_chat_event, out, event, err));
    return REMORA_MORE;
}

/* Nothing is taken from the queue for a struct that cannot be filled. */
static remora_status check_event(remora_chat_event *event, remora_error *err)
{
    const remora_chat_event none = {0};
    return RMR_OUT(remora_chat_event, event, none, err);
}

static remora_status enter(remora_chat_parse *p, remora_error *err)
{
    return rmr_use_begin(&p->use, "reader of an answer", err);
}

static remora_status look(const remora_chat_parse *p, remora_error *err)
{
    return rmr_use_look(&p->use, "reader of an answer", err);
}

static remora_status check_open(const remora_chat_parse *p, remora_error *err)
{
    if (p->answer.finished) RMR_FAIL(err, REMORA_E_ARG, "the answer has been ended");
    return REMORA_OK;
}

static remora_status take_tokens(remora_chat_parse *p, const remora_token *t, size_t n,
                                 size_t *used, remora_chat_event *event, remora_error *err)
{
    const rmr_answer_event *e = NULL;
    RMR_TRY(check_open(p, err));
    RMR_TRY(check_event(event, err));
    RMR_TRY(rmr_answer_tokens(&p->answer, p->model->tok, t, n, used, &e, err));
    return show(p, e, event, err);
}

remora_status remora_chat_parse_next(remora_chat_parse *p, const remora_token *t, size_t n,
                                     size_t *used, remora_chat_event *event, remora_error *err)
{
    RMR_NEED(p != NULL && used != NULL && event != NULL, err, "handle, used or event is NULL");
    RMR_NEED(t != NULL || n == 0, err, "t is NULL");
    RMR_TRY(enter(p, err));
    const remora_status st = take_tokens(p, t, n, used, event, err);
    rmr_use_end(&p->use);
    return st;
}

static remora_status take_text(remora_chat_parse *p, const char *text, size_t len, size_t *used,
                               remora_chat_event *event, remora_error *err)
{
    const rmr_answer_event *e = NULL;
    RMR_TRY(check_open(p, err));
    RMR_TRY(check_event(event, err));
    RMR_TRY(rmr_answer_text(&p->answer, p->model->tok, text, len, used, &e, err));
    return show(p, e, event, err);
}

remora_status remora_chat_parse_text(remora_chat_parse *p, const char *text, size_t len,
                                     size_t *used, remora_chat_event *event, remora_error *err)
{
    RMR_NEED(p != NULL && used != NULL && event != NULL, err, "handle, used or event is NULL");
    RMR_NEED(text != NULL || len == 0, err, "text is NULL");
    RMR_TRY(enter(p, err));
    const remora_status st = take_text(p, text, len, used, event, err);
    rmr_use_end(&p->use);
    return st;
}

static remora_status show_end(const remora_chat_parse *p, remora_chat_event *out, remora_error *err)
{
    const rmr_chat_parse *r = &p->answer.parse;
    if (r->broken && r->open_call)
        RMR_FAIL(err, REMORA_E_FORMAT, "the answer ends inside call %u", r->n_calls - 1);
    if (r->broken)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "the answer is not as the chat format has it, behind %u calls", r->n_calls);
    const remora_chat_event event = {.kind = REMORA_PART_END,
                                     .call = r->n_calls,
                                     .finish = p->answer.cut    ? REMORA_FINISH_LENGTH
                                               : r->n_calls > 0 ? REMORA_FINISH_CALLS
                                                                : REMORA_FINISH_STOP};
    RMR_TRY(RMR_OUT(remora_chat_event, out, event, err));
    return REMORA_END;
}

static remora_status end(remora_chat_parse *p, int32_t cut, remora_chat_event *event,
                         remora_error *err)
{
    const rmr_answer_event *e = NULL;
    RMR_TRY(check_event(event, err));
    RMR_TRY(rmr_answer_end(&p->answer, p->model->tok, cut, &e, err));
    return e != NULL ? show(p, e, event, err) : show_end(p, event, err);
}

remora_status remora_chat_parse_end(remora_chat_parse *p, int32_t cut, remora_chat_event *event,
                                    remora_error *err)
{
    RMR_NEED(p != NULL && event != NULL, err, "handle or event is NULL");
    RMR_NEED(cut == 0 || cut == 1, err, "cut is neither 0 nor 1");
    RMR_TRY(enter(p, err));
    const remora_status st = end(p, cut, event, err);
    rmr_use_end(&p->use);
    return st;
}

static void copy_answer(remora_chat_parse *to, const remora_chat_parse *from)
{
    to->answer = from->answer;
    to->answer.parse.m = &to->markers;
}

remora_status remora_chat_parse_clone(const remora_chat_parse *p, remora_chat_parse **out,
                                      remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(p != NULL, err, "handle is NULL");
    RMR_TRY(look(p, err));
    RMR_TRY(make(p->model, out, err));
    RMR_TRY(drop(out, rmr_tool_types_copy(&(*out)->types, &p->model->session_mem, &p->types, err)));
    set_markers(*out, &p->markers);
    copy_answer(*out, p);
    return REMORA_OK;
}

static int are_alike(const remora_chat_parse *a, const remora_chat_parse *b)
{
    const size_t n = a->types.n * sizeof *a->types.items;
    rmr_markers other = b->markers;
    other.types = a->markers.types; /* each has its own */
    return a->model == b->model && memcmp(&a->markers, &other, sizeof other) == 0 &&
           (n == 0 || memcmp(a->types.items, b->types.items, n) == 0);
}

remora_status remora_chat_parse_copy(remora_chat_parse *to, const remora_chat_parse *from,
                                     remora_error *err)
{
    RMR_NEED(to != NULL && from != NULL, err, "one of the handles is NULL");
    RMR_TRY(look(from, err));
    if (!are_alike(to, from))
        RMR_FAIL(err, REMORA_E_MISMATCH,
                 "the answers are of different models, chat formats, flags or tools");
    RMR_TRY(enter(to, err));
    if (to != from) copy_answer(to, from);
    rmr_use_end(&to->use);
    return REMORA_OK;
}

static int32_t place_of(const rmr_chat_parse *p)
{
    switch (rmr_chat_parse_where(p)) {
    case RMR_PARSE_START: return REMORA_PLACE_START;
    case RMR_PARSE_REASONING: return REMORA_PLACE_REASONING;
    case RMR_PARSE_CONTENT: return REMORA_PLACE_CONTENT;
    case RMR_PARSE_ARGUMENTS:
    case RMR_PARSE_PARAMS:
    case RMR_PARSE_KEY:
    case RMR_PARSE_KIND:
    case RMR_PARSE_VALUE: return REMORA_PLACE_ARGUMENTS;
    case RMR_PARSE_AFTER: return REMORA_PLACE_AFTER;
    case RMR_PARSE_LOST: return REMORA_PLACE_LOST;
    case RMR_PARSE_ENDED: return REMORA_PLACE_ENDED;
    default: return REMORA_PLACE_CALLS;
    }
}

remora_status remora_chat_parse_get_info(const remora_chat_parse *p, remora_chat_parse_info *out,
                                         remora_error *err)
{
    RMR_NEED(p != NULL && out != NULL, err, "handle or out is NULL");
    RMR_TRY(look(p, err));
    const rmr_chat_parse *r = &p->answer.parse;
    remora_chat_parse_info info = {.place = place_of(r),
                                   .n_calls = r->n_calls,
                                   .broken = r->broken,
                                   .reasoning = r->bytes[REMORA_PART_REASONING],
                                   .content = r->bytes[REMORA_PART_CONTENT],
                                   .calls =
                                       r->bytes[REMORA_PART_CALL] + r->bytes[REMORA_PART_ARGUMENTS],
                                   .rest = r->bytes[REMORA_PART_REST],
                                   .markup = r->bytes[RMR_PART_MARKUP],
                                   .held = rmr_chat_parse_held(r)};
    info.bytes = info.reasoning + info.content + info.calls + info.rest + info.markup + info.held;
    return RMR_OUT(remora_chat_parse_info, out, info, err);
}

void remora_chat_parse_free(remora_chat_parse *p)
{
    if (p == NULL) return;
    remora_model *m = p->model;
    rmr_tool_types_free(&p->types, &m->session_mem);
    rmr_free(&m->session_mem, p, sizeof *p);
    rmr_model_unref(m);
}
