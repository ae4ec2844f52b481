/* SPDX-License-Identifier: Apache-2.0 */
#include "dump.h"

#include <stdio.h>
#include <string.h>

#include "decimal.h"
#include "model.h"
#include "option.h"
#include "source.h"
#include "write_file.h"

enum { BUFFER = 1 << 16, LINE_HEAD = 160 /* bytes of a line before its values, at most */ };

struct rmr_dump {
    rmr_mem *mem;
    rmr_dump_spec only;
    char *path;
    atomic_uint_least64_t steps;
    rmr_lock lock; /* over the rest */
    rmr_write_file file;
    uint64_t at; /* bytes of the file */
    char *buffer;
    size_t n;
    uint32_t *row; /* [widest slot] */
    size_t row_bytes;
};

/* ---- options ---- */

/* The index of a name, or -1. */
static int64_t op_named(const char *name)
{
    for (int i = 0; i < RMR_OP_COUNT; i++)
        if (strcmp(rmr_op_infos[i].name, name) == 0) return i;
    return -1;
}

static int64_t slot_named(const char *name)
{
    for (int i = 0; i < RMR_SLOT_COUNT; i++)
        if (strcmp(rmr_slot_infos[i].name, name) == 0) return i;
    return -1;
}

static int64_t number(const char *text)
{
    int64_t n = 0;
    for (const char *p = text; *p != 0; p++) {
        if (*p < '0' || *p > '9' || n > UINT32_MAX) return -1;
        n = n * 10 + (*p - '0');
    }
    return *text != 0 ? n : -1;
}

/* The next word of a text, and where to go on; 0: there is none, or it is too long for any. */
static int next_word(const char **text, char word[24])
{
    size_t n = 0;
    while (**text == ' ') ++*text;
    for (; **text != 0 && **text != ' '; ++*text, n++) {
        if (n == 23) return 0;
        word[n] = **text;
    }
    word[n] = 0;
    return n > 0;
}

/* "layer 3 op attend-latent": pairs of words, in any order. */
static remora_status read_only(const char *text, rmr_dump_spec *out, remora_error *err)
{
    const struct key {
        const char *name;
        int64_t *to;
        int64_t (*read)(const char *word);
    } keys[] = {{"step", &out->step, number},
                {"layer", &out->layer, number},
                {"position", &out->position, number},
                {"op", &out->op, op_named},
                {"slot", &out->slot, slot_named}};
    const size_t n = sizeof keys / sizeof keys[0];
    char word[24];
    while (next_word(&text, word)) {
        size_t k = 0;
        while (k < n && strcmp(keys[k].name, word) != 0) k++;
        if (k == n)
            RMR_FAIL(
                err, REMORA_E_ARG,
                "x-dump-only has the word %s; supported are step, layer, position, op and slot",
                rmr_show(word).text);
        if (!next_word(&text, word) || (*keys[k].to = keys[k].read(word)) < 0)
            RMR_FAIL(err, REMORA_E_ARG, "x-dump-only: %s is followed by \"%s\", which is none",
                     keys[k].name, rmr_show(word).text);
    }
    if (*text != 0) RMR_FAIL(err, REMORA_E_ARG, "x-dump-only has a word that is too long");
    return REMORA_OK;
}

remora_status rmr_dump_spec_read(const remora_model_opts *o, rmr_dump_spec *out, remora_error *err)
{
    *out = (rmr_dump_spec){{0}, 0, -1, -1, -1, -1, -1};
    RMR_TRY(rmr_options_check(o->extra, o->n_extra, err));
    for (uint64_t i = 0; i < o->n_extra; i++) {
        char only[256];
        RMR_TRY(rmr_option_check(o->extra, i, err));
        if (rmr_option_is(&o->extra[i], "x-dump")) {
            RMR_TRY(rmr_option_value(&o->extra[i], out->path, sizeof out->path, err));
            if (out->path[0] == 0)
                RMR_FAIL(err, REMORA_E_ARG, "x-dump is empty; it names the file to write");
            out->wanted = 1;
        } else if (rmr_option_is(&o->extra[i], "x-dump-only")) {
            RMR_TRY(rmr_option_value(&o->extra[i], only, sizeof only, err));
            RMR_TRY(read_only(only, out, err));
        } else {
            return rmr_option_unknown(&o->extra[i], "models have x-dump and x-dump-only", err);
        }
    }
    return REMORA_OK;
}

/* ---- writing ---- */

static remora_status flush(rmr_dump *d, remora_error *err)
{
    const size_t n = d->n;
    d->n = 0;
    d->at += n;
    return rmr_write_file_at(&d->file, d->at - n, d->buffer, n, err);
}

static remora_status make_room(rmr_dump *d, size_t n, remora_error *err)
{
    return n <= BUFFER - d->n ? REMORA_OK : flush(d, err);
}

static remora_status put_value(rmr_dump *d, uint32_t bits, int integer, remora_error *err)
{
    float f;
    int32_t i;
    memcpy(&f, &bits, 4);
    memcpy(&i, &bits, 4);
    RMR_TRY(make_room(d, RMR_DECIMAL_MAX + 1, err));
    d->buffer[d->n++] = ' ';
    if (integer)
        d->n += (size_t)snprintf(d->buffer + d->n, RMR_DECIMAL_MAX, "%d", i);
    else
        d->n += rmr_decimal(f, d->buffer + d->n);
    return REMORA_OK;
}

/* Columns of a slot that an operation has made. */
typedef struct shown {
    uint32_t slot, col, width;
} shown;

/* One operation of a step, after it has run. */
typedef struct moment {
    remora_model *m;
    rmr_context *c;
    const rmr_program_slice *slice;
    uint32_t op;
    remora_error *err;
} moment;

static remora_status put_head(rmr_dump *d, const moment *t, const shown *s, uint32_t row,
                              uint32_t position)
{
    static const char *const kinds[] = {"layer", "head", "finish"};
    char layer[12] = "-";
    RMR_TRY(make_room(d, LINE_HEAD, t->err));
    if (t->slice->kind == RMR_SLICE_LAYER) snprintf(layer, sizeof layer, "%u", t->slice->layer);
    d->n += (size_t)snprintf(d->buffer + d->n, LINE_HEAD, "%llu %u %s %s %s %s %u %u %u",
                             (unsigned long long)t->c->number, t->op, kinds[t->slice->kind], layer,
                             rmr_op_infos[t->m->programs.ops[t->op].kind].name,
                             rmr_slot_infos[s->slot].name, s->col, row, position);
    return REMORA_OK;
}

static remora_status put_row(rmr_dump *d, const moment *t, const shown *s, uint32_t row,
                             uint32_t position)
{
    const rmr_area area = {s->slot, s->col, s->width, row, 1};
    RMR_TRY(t->m->be->ops->step_read(t->m->be, t->c->step, &area, d->row, t->err));
    RMR_TRY(put_head(d, t, s, row, position));
    for (uint32_t i = 0; i < s->width; i++)
        RMR_TRY(put_value(d, d->row[i], rmr_slot_infos[s->slot].integers, t->err));
    RMR_TRY(make_room(d, 1, t->err));
    d->buffer[d->n++] = '\n';
    return REMORA_OK;
}

/* ---- which rows ---- */

static const rmr_op *op_of(const moment *t)
{
    return &t->m->programs.ops[t->op];
}

static int row_has_form(const rmr_inputs *in, uint32_t row, uint32_t forms)
{
    uint32_t i = 0;
    while (i + 1 < in->n_runs && row >= in->run[i].row0 + in->run[i].n_rows) i++;
    return forms >> in->run[i].form & 1;
}

static remora_status put_slot(rmr_dump *d, const moment *t, const shown *s)
{
    const rmr_inputs *in = &t->c->in;
    const rmr_row_set set = rmr_slot_infos[s->slot].rows;
    const uint32_t forms = rmr_op_infos[op_of(t)->kind].forms;
    const uint32_t n = set == RMR_ROWS_ALL ? in->n_rows : set == RMR_ROWS_OUT ? t->c->n_wanted : 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t row = set == RMR_ROWS_OUT ? t->c->wanted[i] : i;
        const int64_t position = set == RMR_ROWS_ONE ? 0 : in->pos[row];
        if (set == RMR_ROWS_ALL && !row_has_form(in, row, forms)) continue;
        if (d->only.position >= 0 && d->only.position != position) continue;
        RMR_TRY(put_row(d, t, s, i, (uint32_t)position));
    }
    return REMORA_OK;
}

/* The views that are dumped: all views that the operation writes; or the named slot, written or
 * not, where both an operation and a slot are named. */
static remora_status put_op(rmr_dump *d, const moment *t)
{
    const rmr_op *op = op_of(t);
    const rmr_slot *slots = t->m->programs.slots;
    if (d->only.op >= 0 && d->only.slot >= 0) {
        const shown s = {(uint32_t)d->only.slot, 0, slots[d->only.slot].width};
        return put_slot(d, t, &s);
    }
    for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1) {
        const rmr_view view = rmr_op_view(op, v);
        const uint64_t width = rmr_op_width(op, v);
        const shown s = {view.slot, view.col,
                         width > 0 ? (uint32_t)width : slots[view.slot].width - view.col};
        if (!(rmr_op_infos[op->kind].writes & v)) continue;
        if (d->only.slot >= 0 && d->only.slot != view.slot) continue;
        RMR_TRY(put_slot(d, t, &s));
    }
    return REMORA_OK;
}

static int is_wanted(const rmr_dump *d, const moment *t)
{
    const rmr_dump_spec *o = &d->only;
    return (o->step < 0 || (uint64_t)o->step == t->c->number) &&
           (o->layer < 0 ||
            (t->slice->kind == RMR_SLICE_LAYER && (uint64_t)o->layer == t->slice->layer)) &&
           (o->op < 0 || o->op == (int64_t)op_of(t)->kind);
}

static remora_status run_op(const moment *t)
{
    const rmr_backend_ops *ops = t->m->be->ops;
    const rmr_slice one = {t->op, 1};
    RMR_TRY(ops->step_submit(t->m->be, t->c->step, &one, NULL, &t->c->mark, t->err));
    return ops->step_wait(t->m->be, t->c->step, t->c->mark, t->err);
}

remora_status rmr_dump_run(rmr_dump *d, remora_model *m, rmr_context *c,
                           const rmr_program_slice *slice, remora_error *err)
{
    moment t = {m, c, slice, 0, err};
    for (uint32_t i = 0; i < slice->n; i++) {
        t.op = slice->first + i;
        RMR_TRY(run_op(&t));
        if (!is_wanted(d, &t)) continue;
        (void)rmr_lock_take(&d->lock);
        remora_status st = put_op(d, &t);
        if (st >= 0) st = flush(d, err);
        rmr_lock_give(&d->lock);
        RMR_TRY(st);
    }
    return REMORA_OK;
}

uint64_t rmr_dump_step(rmr_dump *d)
{
    return atomic_fetch_add_explicit(&d->steps, 1, memory_order_relaxed);
}

/* ---- life ---- */

static remora_status open_file(rmr_dump *d, remora_error *err)
{
    static const char head[] = "# step operation part layer name slot column row position values\n";
    const rmr_handle fd = rmr_sys_make(d->path);
    if (fd == -1) return rmr_fail_errno(err, d->path, "cannot be made");
    d->file = rmr_write_file_of(fd, d->path);
    memcpy(d->buffer, head, sizeof head - 1);
    d->n = sizeof head - 1;
    return flush(d, err);
}

remora_status rmr_dump_create(rmr_mem *mem, const rmr_dump_spec *spec,
                              const rmr_slot slots[RMR_SLOT_COUNT], rmr_dump **out,
                              remora_error *err)
{
    rmr_dump *d = rmr_calloc(mem, 1, sizeof *d);
    *out = d;
    if (d == NULL) return rmr_error_nomem(err, "dump", sizeof *d);
    d->mem = mem;
    d->only = *spec;
    d->file.fd = -1;
    rmr_lock_init(&d->lock);
    for (int i = 0; i < RMR_SLOT_COUNT; i++)
        if (slots[i].width * sizeof *d->row > d->row_bytes)
            d->row_bytes = slots[i].width * sizeof *d->row;
    d->path = rmr_strdup(mem, spec->path);
    d->buffer = rmr_alloc(mem, BUFFER);
    d->row = rmr_alloc(mem, d->row_bytes);
    if (d->path == NULL || d->buffer == NULL || d->row == NULL)
        return rmr_error_nomem(err, "dump", BUFFER + d->row_bytes);
    return open_file(d, err);
}

void rmr_dump_free(rmr_dump *d)
{
    if (d == NULL) return;
    if (d->file.fd != -1) rmr_sys_close(d->file.fd);
    rmr_free(d->mem, d->row, d->row_bytes);
    rmr_free(d->mem, d->buffer, BUFFER);
    rmr_strfree(d->mem, d->path);
    rmr_free(d->mem, d, sizeof *d);
}
