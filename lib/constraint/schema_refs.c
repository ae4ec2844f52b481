/* SPDX-License-Identifier: Apache-2.0 */
/* Where a $ref leads: the document itself, its parts with an $id, pointers and anchors. */
#include <string.h>

#include "schema_parts.h"
#include "digits.h"

void rmr_schema_find_draft(schema *s)
{
    static const struct {
        const char *part;
        int draft;
    } table[] = {{"draft-03", 4}, {"draft-04", 4},   {"draft-05", 4},  {"draft-06", 6},
                 {"draft-07", 7}, {"2019-09", 2019}, {"2020-12", 2020}};
    const rmr_node *v = rmr_node_get(s->root, "$schema");
    s->draft = s->o.draft != 0 ? s->o.draft : 2020;
    if (v == NULL || v->kind != RMR_JSON_STRING || v->n > 200) return;
    char url[201] = "";
    memcpy(url, v->text, v->n);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(url, table[i].part) != NULL) s->draft = table[i].draft;
}

/* ---- addresses ---- */

typedef struct span {
    const char *p;
    size_t n;
} span;

static span text_of(const rmr_node *v)
{
    return (span){v->text, v->n};
}

static int same(span a, span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static span until(span a, char c)
{
    const char *p = a.n > 0 ? memchr(a.p, c, a.n) : NULL;
    if (p != NULL) a.n = (size_t)(p - a.p);
    return a;
}

static size_t scheme_length(span a)
{
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] == ':') return i + 1;
        if (memchr("/?#", a.p[i], 3) != NULL) return 0;
    }
    return 0;
}

/* The end of scheme and host. */
static size_t root_length(span a)
{
    size_t i = scheme_length(a);
    if (a.n >= i + 2 && a.p[i] == '/' && a.p[i + 1] == '/')
        for (i += 2; i < a.n && a.p[i] != '/';) i++;
    return i;
}

/* `rel` as it is meant where the base is `base`, without a fragment. */
static span resolve(schema *s, span base, span rel)
{
    base = until(base, '#');
    rel = until(rel, '#');
    if (rel.n == 0) return base;
    if (scheme_length(rel) > 0 || base.n == 0) return rel;
    size_t keep = root_length(base);
    if (rel.p[0] != '/')
        for (size_t i = keep; i < base.n; i++)
            if (base.p[i] == '/') keep = i + 1;
    char *out = rmr_schema_take(s, keep + rel.n + 1, 1);
    if (out == NULL) return (span){"", 0};
    memcpy(out, base.p, keep);
    size_t n = keep;
    if (keep > 0 && rel.p[0] != '/' && out[keep - 1] != '/') out[n++] = '/';
    while (rel.n >= 2 && rel.p[0] == '.' && rel.p[1] == '/') rel.p += 2, rel.n -= 2;
    memcpy(out + n, rel.p, rel.n);
    return (span){out, n + rel.n};
}

/* The $id of a node that makes it a resource of its own, or NULL. */
static const rmr_node *id_of(const schema *s, const rmr_node *n)
{
    const rmr_node *id = rmr_node_get(n, s->draft == 4 ? "id" : "$id");
    if (id == NULL || id->kind != RMR_JSON_STRING || id->n == 0 || id->text[0] == '#') return NULL;
    if (n->up != NULL && n->key != NULL && n->key_n == 10 && memcmp(n->key, "properties", 10) == 0)
        return NULL;
    /* Beside a $ref it says nothing in the old drafts. */
    return s->draft <= 7 && rmr_node_get(n, "$ref") != NULL ? NULL : id;
}

static const rmr_node *resource(const schema *s, const rmr_node *n)
{
    while (n->up != NULL && id_of(s, n) == NULL) n = n->up;
    return n;
}

static span base_of(schema *s, const rmr_node *n)
{
    const rmr_node *r = resource(s, n), *id = id_of(s, r);
    if (id == NULL) return (span){"", 0};
    if (r->up == NULL) return until(text_of(id), '#');
    return resolve(s, base_of(s, r->up), text_of(id));
}

/* The node after this one in the order of the text. */
static const rmr_node *following(const rmr_node *n)
{
    if (n->first != NULL) return n->first;
    while (n != NULL && n->next == NULL) n = n->up;
    return n != NULL ? n->next : NULL;
}

/* Nodes inside enum and const are values, no schemas. */
static int is_value(const rmr_node *n)
{
    return n->up != NULL && n->up->kind == RMR_JSON_OBJECT &&
           ((n->key_n == 4 && memcmp(n->key, "enum", 4) == 0) ||
            (n->key_n == 5 && memcmp(n->key, "const", 5) == 0));
}

static int in_value(const rmr_node *n)
{
    for (; n != NULL; n = n->up)
        if (is_value(n)) return 1;
    return 0;
}

static const rmr_node *find_resource(schema *s, span url)
{
    for (const rmr_node *n = s->root; n != NULL; n = following(n)) {
        if (n->kind != RMR_JSON_OBJECT || id_of(s, n) == NULL || in_value(n)) continue;
        if (!rmr_grammar_fuel(s->g, 1)) return NULL;
        if (same(base_of(s, n), url)) return n;
    }
    return NULL;
}

/* ---- fragments ---- */

/* One token of a pointer, with %XX and ~0 ~1 decoded; returns its length. */
static size_t token(span *p, char *out)
{
    size_t n = 0;
    int tilde = 0; /* the last byte of `out` is one that says nothing yet */
    while (p->n > 0 && *p->p != '/') {
        char c = *p->p;
        size_t used = 1;
        if (c == '%' && p->n >= 3) {
            const int high = rmr_hex_digit((unsigned char)p->p[1]);
            const int low = rmr_hex_digit((unsigned char)p->p[2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                used = 3;
            }
        }
        const int one = tilde && (c == '0' || c == '1');
        if (one)
            out[n - 1] = c == '0' ? '~' : '/';
        else
            out[n++] = c;
        tilde = !one && c == '~';
        p->p += used;
        p->n -= used;
    }
    return n;
}

static const rmr_node *element(const rmr_node *n, const char *text, size_t k)
{
    size_t at = 0;
    if (n->kind == RMR_JSON_OBJECT) return rmr_node_get_n(n, text, k);
    if (n->kind != RMR_JSON_ARRAY || k == 0 || k > 8) return NULL;
    for (size_t i = 0; i < k; i++) {
        if (text[i] < '0' || text[i] > '9') return NULL;
        at = at * 10 + (size_t)(text[i] - '0');
    }
    const rmr_node *e = n->first;
    while (e != NULL && at-- > 0) e = e->next;
    return e;
}

static const rmr_node *pointer(schema *s, const rmr_node *n, span p)
{
    char *buf = rmr_schema_take(s, p.n + 1, 1);
    while (buf != NULL && n != NULL && p.n > 0) {
        p.p++;
        p.n--;
        const size_t k = token(&p, buf);
        n = element(n, buf, k);
    }
    return n;
}

static int is_anchor(const rmr_node *n, span name)
{
    const rmr_node *a = rmr_node_get(n, "$anchor"), *d = rmr_node_get(n, "$dynamicAnchor");
    const rmr_node *id = rmr_node_get(n, "$id");
    if (a != NULL && a->kind == RMR_JSON_STRING && same(text_of(a), name)) return 1;
    if (d != NULL && d->kind == RMR_JSON_STRING && same(text_of(d), name)) return 1;
    return id != NULL && id->kind == RMR_JSON_STRING && id->n == name.n + 1 && id->text[0] == '#' &&
           memcmp(id->text + 1, name.p, name.n) == 0;
}

static const rmr_node *anchor(schema *s, const rmr_node *in, span name)
{
    for (const rmr_node *n = s->root; n != NULL; n = following(n)) {
        if (n->kind != RMR_JSON_OBJECT || in_value(n) || !is_anchor(n, name)) continue;
        if (resource(s, n) == in) return n;
    }
    return NULL;
}

/* A $dynamicRef leads where a $ref does when only one place has that name. */
static int is_dynamic(schema *s, const rmr_node *ref)
{
    uint32_t places = 0;
    const int recursive = ref->key_n == 13; /* $recursiveRef */
    if (ref->key_n == 4) return 0;
    const char *sharp = memchr(ref->text, '#', ref->n);
    const span name = {sharp != NULL ? sharp + 1 : "",
                       sharp != NULL ? ref->n - (size_t)(sharp - ref->text) - 1 : 0};
    for (const rmr_node *n = s->root; n != NULL; n = following(n)) {
        const rmr_node *d = rmr_node_get(n, recursive ? "$recursiveAnchor" : "$dynamicAnchor");
        if (d == NULL) continue;
        if (recursive)
            places += d->kind == RMR_JSON_TRUE;
        else
            places += d->kind == RMR_JSON_STRING && same(text_of(d), name);
    }
    return places > 1;
}

const rmr_node *rmr_schema_ref(schema *s, const rmr_node *at, const rmr_node *ref)
{
    if (ref->kind != RMR_JSON_STRING) {
        rmr_schema_fail(s, REMORA_E_ARG, "schema: a $ref is no string");
        return NULL;
    }
    const span all = text_of(ref), url = until(all, '#');
    span frag = {all.p + url.n + 1, all.n > url.n ? all.n - url.n - 1 : 0};
    const rmr_node *in = resource(s, at);
    if (is_dynamic(s, ref)) {
        rmr_schema_fail(s, REMORA_E_UNSUPPORTED,
                        "schema: \"%.*s\" leads to more than one place; supported is one",
                        (int)(all.n < 80 ? all.n : 80), all.p);
        return NULL;
    }
    if (url.n > 0) {
        const span target = resolve(s, base_of(s, at), url);
        in = same(target, base_of(s, s->root)) ? s->root : find_resource(s, target);
    }
    if (in != NULL && frag.n > 0)
        in = frag.p[0] == '/' ? pointer(s, in, frag) : anchor(s, in, frag);
    if (in == NULL)
        rmr_schema_fail(s, REMORA_E_UNSUPPORTED,
                        "schema: $ref \"%.*s\" leads to nothing in the schema; others are not read",
                        (int)(all.n < 80 ? all.n : 80), all.p);
    return in;
}
