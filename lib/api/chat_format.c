/* SPDX-License-Identifier: Apache-2.0 */
/* The chat format of a conversation: the one of a name, the model's own, or one that the host
 * describes. */
#include <string.h>

#include "chat_choice.h"
#include "chat_handle.h"
#include "checks.h"

enum { TEXT_MAX = 4096 }; /* bytes of a marker that a host describes */

remora_status rmr_api_chat_format(const remora_model *m, const char *name,
                                  const rmr_chat_format **out, remora_error *err)
{
    if (m->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "the model has no tokenizer that this build can use, so it has no chat format");
    if (name == NULL)
        return rmr_chat_choose(m->tok, m->shape.family,
                               rmr_metadata_find(&m->meta, "chat_template"), out, err);
    *out = rmr_chat_format_named(name, strlen(name));
    if (*out == NULL)
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "there is no chat format %s", rmr_show(name).text);
    return REMORA_OK;
}

/* A text of the description and where it goes. */
typedef struct text_of {
    const remora_text *from;
    const char **to;
    const char *what;
} text_of;

static remora_status check_text(const text_of *t, remora_error *err)
{
    const remora_text *s = t->from;
    if (s->ptr == NULL && s->len > 0)
        RMR_FAIL(err, REMORA_E_ARG, "remora_chat_format.%s is NULL and has %llu bytes", t->what,
                 (unsigned long long)s->len);
    if (s->len > TEXT_MAX)
        RMR_FAIL(err, REMORA_E_LIMIT,
                 "remora_chat_format.%s has %llu bytes: at most %d are supported", t->what,
                 (unsigned long long)s->len, TEXT_MAX);
    if (s->len > 0 && memchr(s->ptr, 0, (size_t)s->len) != NULL)
        RMR_FAIL(err, REMORA_E_ARG, "remora_chat_format.%s has a NUL", t->what);
    return REMORA_OK;
}

static remora_status copy_texts(remora_chat *c, const text_of *texts, size_t n, remora_error *err)
{
    for (size_t i = 0; i < n; i++) {
        RMR_TRY(check_text(&texts[i], err));
        c->own_size += (size_t)texts[i].from->len + 1;
    }
    c->own_text = rmr_alloc(&c->model->session_mem, c->own_size);
    if (c->own_text == NULL) return rmr_error_nomem(err, "chat format", c->own_size);
    char *p = c->own_text;
    for (size_t i = 0; i < n; i++) {
        const size_t len = (size_t)texts[i].from->len;
        if (len > 0) memcpy(p, texts[i].from->ptr, len);
        p[len] = 0;
        *texts[i].to = len > 0 ? p : NULL;
        p += len + 1;
    }
    return REMORA_OK;
}

static void take_tools(rmr_chat_format *own, const rmr_chat_format *like)
{
    own->calls = like->calls;
    own->results = like->results;
    own->tools = like->tools;
}

remora_status rmr_api_chat_described(remora_chat *c, const remora_chat_format *given,
                                     remora_error *err)
{
    RMR_IN(remora_chat_format, d, given, err);
    rmr_chat_format *f = &c->own;
    const text_of texts[] = {{&d.begin, &f->bos, "begin"},
                             {&d.system_open, &f->system.open, "system_open"},
                             {&d.system_close, &f->system.close, "system_close"},
                             {&d.user_open, &f->user.open, "user_open"},
                             {&d.user_close, &f->user.close, "user_close"},
                             {&d.assistant_open, &f->assistant.open, "assistant_open"},
                             {&d.assistant_close, &f->assistant.close, "assistant_close"},
                             {&d.generation, &f->generation, "generation"},
                             {&d.system_text, &f->system_default, "system_text"},
                             {&d.think_open, &f->think.open, "think_open"},
                             {&d.think_close, &f->think.close, "think_close"}};
    if (d.flags != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_chat_format.flags 0x%x are not known", d.flags);
    if ((d.think_open.len > 0) != (d.think_close.len > 0))
        RMR_FAIL(err, REMORA_E_ARG,
                 "remora_chat_format has one of think_open and think_close alone");
    f->name = "described";
    RMR_TRY(copy_texts(c, texts, sizeof texts / sizeof texts[0], err));
    f->stops[0] = f->assistant.close;
    f->think.by_default = f->think.by_model = f->think.always = f->think.open != NULL;
    if (d.tools_of != NULL) {
        const rmr_chat_format *like = rmr_chat_format_named(d.tools_of, strlen(d.tools_of));
        if (like == NULL)
            RMR_FAIL(err, REMORA_E_NOT_FOUND, "there is no chat format %s",
                     rmr_show(d.tools_of).text);
        take_tools(f, like);
    }
    c->format = f;
    return REMORA_OK;
}
