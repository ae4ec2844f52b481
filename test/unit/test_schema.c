/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema: each keyword with texts that it takes and refuses, byte by byte; ranges and
 * multiples against arithmetic; what is refused by name; hostile schemas; memory that ends. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "constrain.h"
#include "groups.h"
#include "schema.h"
#include "tmem.h"

static tmem meter;
static rmr_mem mem = {
    .user = &meter, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
static rmr_vocabulary *vocab;

static remora_status try_schema(const char *text, size_t n, const rmr_schema_opts *o,
                                rmr_constraint **out, remora_error *err)
{
    rmr_grammar *g;
    rmr_rule start;
    *out = NULL;
    RMR_TRY(rmr_grammar_new(&mem, NULL, &g, err));
    remora_status st = rmr_schema(g, text, n, o, &start, err);
    if (st >= 0) st = rmr_grammar_finish(g, start, err);
    if (st < 0) {
        rmr_grammar_free(g);
        return st;
    }
    return rmr_constraint_new(&mem, g, vocab, out, err);
}

static rmr_constraint *compile(const char *text, const rmr_schema_opts *o)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c;
    const remora_status st = try_schema(text, strlen(text), o, &c, &err);
    if (st < 0) fail_msg("%s: %d: %s", text, (int)st, err.message);
    return c;
}

static int takes(rmr_constraint *c, const char *s)
{
    rmr_guide *m;
    int end = 0;
    assert_int_equal(rmr_guide_new(c, &m, NULL), REMORA_OK);
    remora_status st = REMORA_OK;
    for (; *s != 0 && st >= 0; s++) st = rmr_guide_accept(m, (unsigned char)*s, NULL);
    if (st >= 0) assert_int_equal(rmr_guide_may_end(m, &end, NULL), REMORA_OK);
    rmr_guide_free(m);
    return st >= 0 && end == 1;
}

/* A schema, texts that it takes, NULL, texts that it refuses, NULL. */
typedef struct example {
    const char *schema;
    const char *texts[24];
} example;

static void check(const example *e, size_t n, const rmr_schema_opts *o)
{
    for (size_t i = 0; i < n; i++) {
        rmr_constraint *c = compile(e[i].schema, o);
        const char *const *t = e[i].texts;
        for (; *t != NULL; t++)
            if (!takes(c, *t)) fail_msg("%s refuses %s", e[i].schema, *t);
        for (t++; *t != NULL; t++)
            if (takes(c, *t)) fail_msg("%s takes %s", e[i].schema, *t);
        rmr_constraint_free(c);
    }
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- keywords ---- */

static const example scalars[] = {
    {"{}",
     {"null", "{\"a\":[1,{}]}", "\"\\u00e9\\/\"", "1e5", "-0.5", NULL, "nul", "{a:1}", "01",
      "\"\\ud800\"", " 1", "1 ", "+1", "1.", NULL}},
    {"{\"type\":\"integer\"}", {"0", "-12", "1.0", NULL, "1.5", "1e2", "\"1\"", "00", NULL}},
    {"{\"type\":[\"string\",\"null\"]}", {"\"a\"", "null", NULL, "true", "1", NULL}},
    {"{\"enum\":[\"a\",\"b\\n\",1,null,[1,{\"x\":2}]]}",
     {"\"a\"", "\"b\\n\"", "1", "1.0", "null", "[1,{\"x\":2}]", NULL, "\"c\"", "2", "[1]",
      "[1,{\"x\":3}]", NULL}},
    {"{\"const\":{\"a\":1,\"b\":[true]}}",
     {"{\"a\":1,\"b\":[true]}", "{\"b\": [true], \"a\": 1.0}", NULL, "{\"a\":1}",
      "{\"a\":1,\"b\":[true],\"c\":1}", NULL}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"\xC3\xA9\xF0\x9F\x98\x80x\"", "\"\\n\\\"\"", NULL, "\"a\"", "\"abcd\"", NULL}},
    {"{\"type\":\"string\",\"pattern\":\"b+\"}", {"\"abbc\"", "\"b\"", NULL, "\"ac\"", NULL}},
    {"{\"type\":\"string\",\"pattern\":\"^(?!no$)[a-z]+$\"}",
     {"\"nob\"", "\"n\"", NULL, "\"no\"", "\"N\"", NULL}},
    {"{\"type\":\"string\",\"pattern\":\"^(?=.*x)(?!a)\"}",
     {"\"bx\"", "\"x\"", NULL, "\"ax\"", "\"b\"", NULL}},
    {"{\"type\":\"string\",\"pattern\":\"^\\\"\\n\\\\\\\\$\"}",
     {"\"\\\"\\n\\\\\"", NULL, "\"n\"", NULL}},
    {"{\"minimum\":0.5,\"exclusiveMaximum\":1.25}",
     {"0.5", "1.2", "1.24", "1", "1.0", "\"x\"", NULL, "0.4", "1.25", "1.3", "-1", "2", NULL}},
    {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":12}",
     {"-3", "0", "9", "12", "12.0", NULL, "-4", "13", "100", "1.5", NULL}},
    {"{\"type\":\"number\",\"multipleOf\":0.01}", {"0.07", "1", "-3.5", NULL, "0.075", NULL}},
    {"{\"maximum\":18446744073709551615,\"type\":\"integer\"}",
     {"18446744073709551615", NULL, "18446744073709551616", NULL}},
    {"{\"not\":{\"type\":[\"integer\",\"object\"]}}",
     {"1.5", "\"a\"", "[]", NULL, "1", "1.0", "{}", NULL}},
    {"{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"b\"]}}",
     {"\"c\"", "\"ab\"", NULL, "\"a\"", "\"b\"", "1", NULL}},
};

static const example objects[] = {
    {"{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{}},\"required\":[\"b\"],"
     "\"additionalProperties\":false,\"type\":\"object\"}",
     {"{\"b\":1}", "{\"a\": 1, \"b\": 2}", "{\"b\":[],\"a\":2}", NULL, "{}", "{\"a\":1}",
      "{\"b\":1,\"c\":1}", "{\"a\":\"x\",\"b\":1}", "{\"b\":1,\"b\":2}", "{\"b\":1,}", NULL}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}},"
     "\"additionalProperties\":{\"type\":\"boolean\"}}",
     {"{}", "{\"x\":true,\"a\":null}", NULL, "{\"a\":true}", "{\"x\":null}", NULL}},
    {"{\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"integer\"},\"y$\":"
     "{\"minimum\":5}},\"additionalProperties\":false}",
     {"{\"x\":1,\"y\":6,\"xy\":7}", NULL, "{\"xy\":1}", "{\"xy\":5.5}", "{\"a\":1}", NULL}},
    {"{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"a\",\"b\"]}}",
     {"{\"a\":1,\"b\":[]}", "{}", NULL, "{\"c\":1}", NULL}},
    {"{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":2}",
     {"{\"a\":1}", "{\"a\":1,\"b\":2}", NULL, "{}", "{\"a\":1,\"b\":2,\"c\":3}",
      "{\"a\":1,\"a\":2}", NULL}},
    {"{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]}}",
     {"{\"a\":1,\"b\":2}", "{\"b\":2}", "{}", NULL, "{\"a\":1}", NULL}},
    {"{\"type\":\"object\",\"dependentSchemas\":{\"a\":{\"properties\":{\"b\":{\"const\":1}}}}}",
     {"{\"a\":0,\"b\":1}", "{\"b\":2}", NULL, "{\"a\":0,\"b\":2}", NULL}},
    {"{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[1,2]}},\"required\":[\"k\"],"
     "\"if\":{\"properties\":{\"k\":{\"const\":1}}},\"then\":{\"required\":[\"x\"]},"
     "\"else\":{\"required\":[\"y\"]}}",
     {"{\"k\":1,\"x\":0}", "{\"y\":0,\"k\":2}", NULL, "{\"k\":1,\"y\":0}", "{\"k\":2,\"x\":0}",
      NULL}},
    {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\"}",
     {"{\"a\":1}", "{\"b\":1}", NULL, "{}", "{\"a\":1,\"b\":1}", NULL}},
    {"{\"allOf\":[{\"properties\":{\"a\":{\"minimum\":2}}},{\"properties\":{\"a\":{\"maximum\":"
     "3}}}],\"type\":\"object\"}",
     {"{\"a\":2}", "{\"a\":3}", NULL, "{\"a\":1}", "{\"a\":4}", NULL}},
    {"{\"type\":\"object\",\"not\":{\"required\":[\"a\"]}}",
     {"{\"b\":1}", NULL, "{\"a\":1}", NULL}},
    {"{\"type\":\"object\",\"not\":{\"additionalProperties\":{\"type\":\"null\"}}}",
     {"{\"b\":1,\"c\":null}", NULL, "{\"a\":null}", "{}", NULL}},
    {"{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":true}}],\"properties\":{\"b\":true},"
     "\"unevaluatedProperties\":false}",
     {"{\"a\":1,\"b\":2}", NULL, "{\"c\":1}", NULL}},
    {"{\"$ref\":\"#/$defs/"
     "t\",\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"t\":{\"$ref\":"
     "\"#/$defs/t\"},\"v\":{\"type\":\"integer\"}},\"required\":[\"v\"],\"additionalProperties\":"
     "false}}}",
     {"{\"v\":1}", "{\"t\":{\"t\":{\"v\":1},\"v\":2},\"v\":3}", NULL, "{\"t\":{},\"v\":1}", NULL}},
    {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"definitions\":{\"a\":{\"$id\":"
     "\"#x\",\"type\":\"null\"}},\"type\":\"array\",\"items\":[{\"$ref\":\"#x\",\"type\":"
     "\"string\"}],\"additionalItems\":false}",
     {"[null]", "[]", NULL, "[\"a\"]", "[null,1]", NULL}},
};

static const example arrays[] = {
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
     {"[1]", "[1, 2,3]", NULL, "[]", "[1,2,3,4]", "[\"a\"]", "[1,]", NULL}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"null\"}],\"items\":"
     "{\"type\":\"boolean\"},\"minItems\":1}",
     {"[\"a\"]", "[\"a\",null,true,false]", NULL, "[]", "[null]", "[\"a\",true]", NULL}},
    {"{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\"]},\"uniqueItems\":true}",
     {"[]", "[\"b\",\"a\"]", NULL, "[\"a\",\"a\"]", "[\"a\",\"b\",\"a\"]", NULL}},
    {"{\"type\":\"array\",\"items\":{\"type\":[\"number\",\"null\"]},\"uniqueItems\":true}",
     {"[1,2,null]", "[1.5,15]", NULL, "[1,1]", "[1,1.0]", "[0,-0]", "[null,null]", NULL}},
    {"{\"type\":\"array\",\"contains\":{\"const\":1},\"minContains\":2,\"maxContains\":3}",
     {"[1,1]", "[0,1,\"x\",1,1]", NULL, "[1]", "[1,1,1,1]", "[]", NULL}},
    {"{\"type\":\"array\",\"contains\":{\"type\":\"null\"},\"maxItems\":3}",
     {"[null]", "[1,2,null]", NULL, "[1,2]", "[1,2,3]", "[1,2,3,null]", NULL}},
    {"{\"type\":\"array\",\"not\":{\"items\":{\"type\":\"null\"}}}",
     {"[null,1]", NULL, "[]", "[null]", NULL}},
    {"{\"type\":\"array\",\"prefixItems\":[true],\"unevaluatedItems\":{\"type\":\"null\"}}",
     {"[1]", "[1,null]", NULL, "[1,2]", NULL}},
};

static const example texts[] = {
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-29\"", "\"2000-02-29\"", "\"2023-12-31\"", NULL, "\"2023-02-29\"",
      "\"1900-02-29\"", "\"2023-04-31\"", "\"0000-01-01\"", "\"2023-1-01\"", NULL}},
    {"{\"type\":\"string\",\"format\":\"date-time\"}",
     {"\"2024-02-29T23:59:60Z\"", "\"1998-12-31T15:59:60.123-08:00\"", "\"2020-01-01t00:00:00z\"",
      NULL, "\"2024-02-29T22:59:60Z\"", "\"2024-02-30T00:00:00Z\"", "\"2024-01-01T24:00:00Z\"",
      "\"2024-01-01T00:00:00\"", NULL}},
    {"{\"type\":\"string\",\"format\":\"hostname\"}",
     {"\"a\"", "\"ab\"", "\"a-b.c-1.example\"", "\"ab-c\"", NULL, "\"-a\"", "\"a-\"", "\"ab-\"",
      "\"abc-\"", "\"xn--abc\"", "\"a..b\"", NULL}},
    {"{\"type\":\"string\",\"format\":\"ipv6\"}",
     {"\"::\"", "\"::1\"", "\"1:2:3:4:5:6:7:8\"", "\"1::8\"", "\"::ffff:1.2.3.4\"", NULL,
      "\"1:2:3:4:5:6:7\"", "\"1::2::3\"", "\"12345::\"", "\":2:3:4:5:6:7:8\"", NULL}},
    {"{\"type\":\"string\",\"format\":\"uri\"}",
     {"\"http://a.b/c?d=e#f\"", "\"urn:x:y\"", "\"mailto:a@b\"", "\"http://[::1]:80/\"", NULL,
      "\"/a\"", "\"http:// a\"", "\"a\"", "\"http://a/%zz\"", NULL}},
    {"{\"type\":\"string\",\"format\":\"uuid\"}",
     {"\"2EB8AA08-aa98-11ea-b4aa-73b441d16380\"", NULL, "\"2eb8aa08aa9811eab4aa73b441d16380\"",
      NULL}},
    {"{\"type\":\"string\",\"format\":\"regex\"}",
     {"\"^a(b|c)*[a-f]{2,}$\"", "\"x\"", NULL, "\"(\"", "\"*a\"", "\"[a\"", NULL}},
    {"{\"type\":\"string\",\"format\":\"some-other\"}", {"\"x\"", NULL, "1", NULL}},
};

static void keywords(void **state)
{
    (void)state;
    check(scalars, COUNT(scalars), NULL);
    check(objects, COUNT(objects), NULL);
    check(arrays, COUNT(arrays), NULL);
    check(texts, COUNT(texts), NULL);
}

static void white_space(void **state)
{
    (void)state;
    const example none[] = {{"{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",
                             {"[{},{\"a\":1}]", NULL, "[{}, {}]", "[{\"a\": 1}]", NULL}}};
    const example one[] = {{"{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",
                            {"[{}, {\"a\": 1}]", "[{},{}]", NULL, "[{},  {}]", "[ {}]", NULL}}};
    const example free[] = {
        {"{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",
         {"[\n  {\n \"a\" : 1\n}\n]", NULL, " []", "[] ", "[                      ]", NULL}}};
    check(none, 1, &(rmr_schema_opts){.space = RMR_SPACE_NONE});
    check(one, 1, NULL);
    check(free, 1, &(rmr_schema_opts){.space = RMR_SPACE_FREE});
}

/* An object of 60 keys, half of them required, has no bits for all of them. */
static void many_keys(void **state)
{
    (void)state;
    char schema[8000] = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{";
    char required[2000] = "", doc[4000] = "{";
    for (int i = 0; i < 60; i++) {
        char part[64];
        (void)snprintf(part, sizeof part, "%s\"k%d\":{\"const\":%d}", i ? "," : "", i, i);
        strcat(schema, part);
        if (i % 2) continue;
        (void)snprintf(part, sizeof part, "%s\"k%d\"", i ? "," : "", i);
        strcat(required, part);
        (void)snprintf(part, sizeof part, "%s\"k%d\":%d", i ? "," : "", 58 - i, 58 - i);
        strcat(doc, part);
    }
    strcat(schema, "},\"required\":[");
    strcat(schema, required);
    strcat(schema, "]}");
    rmr_constraint *c = compile(schema, NULL);
    char more[4100];
    (void)snprintf(more, sizeof more, "%s}", doc);
    assert_true(takes(c, more));
    (void)snprintf(more, sizeof more, "%s,\"k1\":1}", doc);
    assert_true(takes(c, more));
    (void)snprintf(more, sizeof more, "%s,\"k2\":2}", doc);
    assert_false(takes(c, more));
    assert_false(takes(c, "{\"k0\":0}"));
    rmr_constraint_free(c);
}

/* ---- numbers ---- */

/* The bound and all numbers in hundredths. */
static void hundredths(char *out, size_t cap, int v)
{
    const int a = abs(v);
    const char *sign = v < 0 ? "-" : "";
    if (a % 100 == 0)
        (void)snprintf(out, cap, "%s%d", sign, a / 100);
    else if (a % 10 == 0)
        (void)snprintf(out, cap, "%s%d.%d", sign, a / 100, a / 10 % 10);
    else
        (void)snprintf(out, cap, "%s%d.%02d", sign, a / 100, a % 100);
}

/* Of minimum, exclusiveMinimum, maximum and exclusiveMaximum the one of that number. */
static int is_within(size_t word, int v, int bound)
{
    return word == 0 ? v >= bound : word == 1 ? v > bound : word == 2 ? v <= bound : v < bound;
}

static void ranges(void **state)
{
    (void)state;
    static const char *const words[] = {"minimum", "exclusiveMinimum", "maximum",
                                        "exclusiveMaximum"};
    static const int bounds[] = {-1234, -1000, -999, -101, -100, -50, -7,   0,   1,
                                 9,     10,    95,   100,  105,  999, 1000, 1099};
    for (size_t w = 0; w < 4; w++)
        for (size_t b = 0; b < COUNT(bounds); b++) {
            char schema[80], text[24];
            hundredths(text, sizeof text, bounds[b]);
            (void)snprintf(schema, sizeof schema, "{\"type\":\"number\",\"%s\":%s}", words[w],
                           text);
            rmr_constraint *c = compile(schema, NULL);
            for (int v = -1300; v <= 1300; v += abs(v - bounds[b]) < 130 ? 1 : 37) {
                const int is = is_within(w, v, bounds[b]);
                hundredths(text, sizeof text, v);
                if (takes(c, text) != is) fail_msg("%s and %s", schema, text);
            }
            if (takes(c, "-0") != is_within(w, 0, bounds[b])) fail_msg("%s and -0", schema);
            rmr_constraint_free(c);
        }
}

static void multiples(void **state)
{
    (void)state;
    static const int steps[] = {1, 2, 3, 5, 7, 10, 25, 50, 100, 150, 300, 1100};
    for (size_t b = 0; b < COUNT(steps); b++) {
        char schema[80], text[24];
        hundredths(text, sizeof text, steps[b]);
        (void)snprintf(schema, sizeof schema, "{\"type\":\"number\",\"multipleOf\":%s}", text);
        rmr_constraint *c = compile(schema, NULL);
        for (int v = -700; v <= 3000; v += v < 700 ? 1 : 25) {
            hundredths(text, sizeof text, v);
            if (takes(c, text) != (v % steps[b] == 0)) fail_msg("%s and %s", schema, text);
        }
        rmr_constraint_free(c);
    }
}

/* ---- references ---- */

/* Keys with the bytes that pointers spell in another way, and with those that look like it. */
static void pointers_find_any_key(void **state)
{
    (void)state;
    static const char *const ways[][2] = {{"a~0b", "1"},  {"a%7E0b", "1"},    {"a~1b", "2"},
                                          {"a~01b", "3"}, {"a\\u0001b", "4"}, {"a%01b", "4"},
                                          {"a~00b", "5"}, {"a~~0b", "6"},     {"a~0~0b", "6"}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        char schema[300];
        (void)snprintf(schema, sizeof schema,
                       "{\"$ref\": \"#/$defs/%s\", \"$defs\": {\"a~b\": {\"const\": 1}, \"a/b\": "
                       "{\"const\": 2}, \"a~1b\": {\"const\": 3}, \"a\\u0001b\": {\"const\": 4}, "
                       "\"a~0b\": {\"const\": 5}, \"a~~b\": {\"const\": 6}}}",
                       ways[i][0]);
        rmr_constraint *c = compile(schema, NULL);
        if (!takes(c, ways[i][1])) fail_msg("%s", schema);
        rmr_constraint_free(c);
    }
}

/* ---- refusals ---- */

static void left_out(void *user, const char *what)
{
    (void)snprintf(user, 256, "%s", what);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *says;
        remora_status st;
    } bad[] = {
        {"{\"items\":{\"a\":1}", "byte", REMORA_E_FORMAT},
        {"[", "byte", REMORA_E_FORMAT},
        {"{\"type\":\"text\"}", "type is none of", REMORA_E_ARG},
        {"{\"minItems\":-1}", "minItems", REMORA_E_ARG},
        {"{\"enum\":3}", "enum", REMORA_E_ARG},
        {"{\"pattern\":\"(\"}", "regular expression", REMORA_E_ARG},
        {"{\"pattern\":\"(a)\\\\1\"}", "/pattern", REMORA_E_UNSUPPORTED},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "uniqueItems", REMORA_E_UNSUPPORTED},
        {"{\"format\":\"idn-hostname\"}", "idn-hostname", REMORA_E_UNSUPPORTED},
        {"{\"$ref\":\"http://elsewhere/x\"}", "http://elsewhere/x", REMORA_E_UNSUPPORTED},
        {"{\"$ref\":\"#\"}", "leads back to itself", REMORA_E_UNSUPPORTED},
        {"false", "", REMORA_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        remora_error err = {.struct_size = sizeof err};
        rmr_constraint *c;
        const remora_status st = try_schema(bad[i].schema, strlen(bad[i].schema), NULL, &c, &err);
        if (st != bad[i].st || strstr(err.message, bad[i].says) == NULL)
            fail_msg("%s: %d: %s", bad[i].schema, (int)st, err.message);
    }
    char what[256] = "";
    rmr_constraint *c =
        compile("{\"properties\":{\"a\":{\"type\":\"array\",\"uniqueItems\":true}}}",
                &(rmr_schema_opts){.lax = 1, .left_out = left_out, .user = what});
    assert_true(takes(c, "{\"a\":[[],[]]}"));
    assert_non_null(strstr(what, "uniqueItems"));
    rmr_constraint_free(c);
}

/* ---- hostile schemas ---- */

static char *many(const char *open, const char *part, const char *close, int n)
{
    char *s = malloc(strlen(open) + strlen(close) + (size_t)n * (strlen(part) + 24) + 1), *at = s;
    if (s == NULL) abort();
    at += sprintf(at, "%s", open);
    for (int i = 0; i < n; i++) {
        *at = ',';
        at += i > 0;
        for (const char *p = part; *p != 0; p++)
            if (*p == '#')
                at += sprintf(at, "%d", i);
            else
                *at++ = *p;
    }
    (void)strcpy(at, close);
    return s;
}

static void hostile(void **state)
{
    (void)state;
    char *all[] = {
        many("{\"enum\":[", "\"value #\"", "]}", 50000),
        many("{\"type\":\"object\",\"properties\":{", "\"p#\":{\"type\":\"integer\"}", "}}", 4000),
        many("{\"allOf\":[",
             "{\"anyOf\":[{\"minimum\":#},{\"required\":[\"a#\"]},{\"maxItems\":#}]}", "]}", 12),
        many("{\"oneOf\":[", "{\"properties\":{\"a#\":{\"type\":\"string\"}}}", "]}", 40),
        many("{\"patternProperties\":{", "\"a#\":{\"minimum\":#}", "}}", 24),
        many("{\"$ref\":\"#/$defs/d0\",\"$defs\":{",
             "\"d#\":{\"anyOf\":[{\"$ref\":\"#/$defs/e#\"},{\"type\":\"null\"}]}", "}}", 3),
        many("{\"minItems\":1000000000,\"maxLength\":", "1000000000", "}", 1),
        many("{\"pattern\":\"", "((a{1,1000}){1,1000}){1,1000}", "\"}", 1),
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        rmr_constraint *c;
        remora_error err = {.struct_size = sizeof err};
        if (try_schema(all[i], strlen(all[i]), NULL, &c, &err) >= 0)
            rmr_constraint_free(c);
        else if (err.message[0] == 0)
            fail_msg("hostile schema %zu is refused without a reason", i);
        free(all[i]);
    }
    char *deep = malloc(200000);
    assert_non_null(deep);
    for (int n = 50; n <= 5000; n *= 10) {
        size_t at = 0;
        for (int i = 0; i < n; i++) at += (size_t)sprintf(deep + at, "{\"items\":");
        memcpy(deep + at, "true", 4);
        at += 4;
        for (int i = 0; i < n; i++) deep[at++] = '}';
        rmr_constraint *c;
        const remora_status st = try_schema(deep, at, NULL, &c, NULL);
        assert_true(n > 1000 ? st == REMORA_E_LIMIT : st == REMORA_OK);
        rmr_constraint_free(c);
    }
    free(deep);
    assert_int_equal(meter.damage, 0);
}

static int32_t once(void *arg, tmem *t)
{
    (void)t;
    rmr_constraint *c;
    const remora_status st = try_schema(arg, strlen(arg), NULL, &c, NULL);
    if (st >= 0) rmr_constraint_free(c);
    return st;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    static char schema[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,\"x\",[2]]},\"b\":{\"type\":"
        "\"string\",\"pattern\":\"^a+\",\"format\":\"date\"}},\"patternProperties\":{\"^x\":"
        "{\"minimum\":2}},\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}";
    meter.is_cache = is_memo;
    assert_true(tmem_sweep(&meter, once, schema) > 20);
}

static int setup(void **state)
{
    (void)state;
    return rmr_vocabulary_new(&mem, CONSTRAIN_VOCAB, constrain_text, NULL, &vocab, NULL) < 0;
}

static int teardown(void **state)
{
    (void)state;
    rmr_vocabulary_free(vocab);
    return meter.blocks != 0 || meter.damage != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keywords),
        cmocka_unit_test(white_space),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(ranges),
        cmocka_unit_test(multiples),
        cmocka_unit_test(refusals),
        cmocka_unit_test(pointers_find_any_key),
        cmocka_unit_test(hostile),
        cmocka_unit_test(every_allocation_fails),
    };
    return RUN_GROUP("schema", tests, setup, teardown);
}
