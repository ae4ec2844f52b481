/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of JSON Schema as regular expressions of ECMAScript. What a format means is in the
 * RFC beside it; where one is no regular language, or a large one, a part of it stands here. */
#include "ecma.h"
#include "schema_parts.h"

/* RFC 3339. */
#define YEAR "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
#define LEAP_YEAR                                                                                  \
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(?:" YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"                                \
    "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" LEAP_YEAR "-02-29)"
#define HOUR "(?:[01][0-9]|2[0-3])"
#define FRACTION "(?:\\.[0-9]+)?"
#define OFFSET "(?:[Zz]|[+\\-]" HOUR ":[0-5][0-9])"
/* A second 60 is one of 23:59 UTC: without an offset, or with one of whole hours, half hours or
 * quarters (leap_seconds). */
#define TIME HOUR ":[0-5][0-9]:[0-5][0-9]" FRACTION OFFSET
#define DURATION_TIME "(?:T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))"
#define DURATION                                                                                   \
    "P(?:[0-9]+W|" DURATION_TIME                                                                   \
    "|(?:[0-9]+D|[0-9]+M(?:[0-9]+D)?|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?)" DURATION_TIME "?)"

/* RFC 4291. */
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 "(?:" OCTET "(?:\\." OCTET "){3})"
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                       \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32      \
    "|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16             \
    ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16       \
    ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16 ":){0,6}" H16   \
    ")?::)"

/* RFC 1123. Labels with -- as their third and fourth characters are encoded names (RFC 5891), which
 * are left out; so is a name of more than 253 characters. */
#define ALNUM "[A-Za-z0-9]"
#define LDH "[A-Za-z0-9\\-]"
#define LABEL                                                                                      \
    "(?:" ALNUM "|" ALNUM LDH "?" ALNUM "|" ALNUM LDH LDH ALNUM "|" ALNUM LDH "(?:" ALNUM LDH      \
    "|-" ALNUM ")" LDH "{0,58}" ALNUM ")"
#define HOSTNAME LABEL "(?:\\." LABEL ")*"

/* RFC 5321. */
#define ATEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]"
#define QUOTED "\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\""
#define DOMAIN "(?:" HOSTNAME "|\\[(?:" IPV4 "|IPv6:" IPV6 ")\\])"
#define EMAIL "(?:" ATEXT "+(?:\\." ATEXT "+)*|" QUOTED ")@" DOMAIN
#define IDN_TEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-\\u{80}-\\u{10FFFF}]"
#define IDN_QUOTED "\"(?:[ !#-\\[\\]-~\\u{80}-\\u{10FFFF}]|\\\\[ -~])*\""
#define IDN_LABEL "(?:" LABEL "|[A-Za-z0-9\\u{A1}-\\u{2FFF}\\u{3400}-\\u{10FFFF}]{1,30})"
#define IDN_EMAIL                                                                                  \
    "(?:" IDN_TEXT "+(?:\\." IDN_TEXT "+)*|" IDN_QUOTED ")@" IDN_LABEL "(?:\\." IDN_LABEL ")*"

/* RFC 3986, and RFC 3987 with U. */
#define UCS                                                                                        \
    "\\u{A0}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFEF}\\u{10000}-\\u{1FFFD}\\u{20000}-\\u{"  \
    "2FFFD}"
#define CHAR(U) "(?:[A-Za-z0-9\\-._~!$&'()*+,;=:@" U "]|%[0-9A-Fa-f]{2})"
#define CHAR_NC(U) "(?:[A-Za-z0-9\\-._~!$&'()*+,;=@" U "]|%[0-9A-Fa-f]{2})"
#define NAME(U) "(?:[A-Za-z0-9\\-._~!$&'()*+,;=" U "]|%[0-9A-Fa-f]{2})*"
#define USER(U) "(?:[A-Za-z0-9\\-._~!$&'()*+,;=:" U "]|%[0-9A-Fa-f]{2})*"
#define LITERAL "\\[(?:" IPV6 "|[vV][0-9A-Fa-f]+\\.[A-Za-z0-9\\-._~!$&'()*+,;=:]+)\\]"
#define AUTHORITY(U) "(?:" USER(U) "@)?(?:" LITERAL "|" NAME(U) ")(?::[0-9]*)?"
#define SEGMENTS(U) "(?:/" CHAR(U) "*)*"
#define PRIVATE "\\u{E000}-\\u{F8FF}\\u{F0000}-\\u{FFFFD}\\u{100000}-\\u{10FFFD}"
#define REST(U, V) "(?:\\?(?:" CHAR(U V) "|[/?])*)?(?:#(?:" CHAR(U) "|[/?])*)?"
#define HIER(U)                                                                                    \
    "(?://" AUTHORITY(U)                                                                           \
        SEGMENTS(U) "|/(?:" CHAR(U) "+" SEGMENTS(U) ")?|" CHAR(U) "+" SEGMENTS(U) "|)"
#define RELATIVE(U)                                                                                \
    "(?://" AUTHORITY(U)                                                                           \
        SEGMENTS(U) "|/(?:" CHAR(U) "+" SEGMENTS(U) ")?|" CHAR_NC(U) "+" SEGMENTS(U) "|)"
#define ABSOLUTE(U) "[A-Za-z][A-Za-z0-9+.\\-]*:" HIER(U)

/* RFC 6570 without the operators that it reserves, which no reader takes; 6901, 4122. */
#define VARIABLE                                                                                   \
    "(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*(?::[1-9][0-9]{0,3}" \
    "|\\*)?"
#define TEMPLATE                                                                                   \
    "(?:[!#$&'\\(-;=?-\\[\\]_a-z~" UCS "]|%[0-9A-Fa-f]{2}|\\{[+#./;?&]?" VARIABLE "(?:," VARIABLE  \
    ")*\\})*"
#define POINTER "(?:/(?:[^~/]|~[01])*)*"
#define UUID "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

/* Expressions of ECMAScript: atoms, groups up to three deep. */
#define RX_ESCAPE                                                                                  \
    "\\\\(?:[dDwWsStnvfr0]|[\\^$\\\\.*+?()\\[\\]{}|/]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"
#define RX_CLASS_ONE "(?:[^\\\\\\]\\[\\-^]|\\\\[dDwWsStnrfv\\\\\\]\\[\\-^])"
#define RX_CLASS "\\[\\^?(?:" RX_CLASS_ONE "|0-9|a-z|A-Z|a-f|A-F)+\\]"
#define RX_REPEAT                                                                                  \
    "(?:(?:[*+?]|\\{(?:[0-9]|[1-9][0-9])(?:,)?\\})\\?"                                             \
    "?)?"
#define RX_ATOM "[^\\^$\\\\.*+?()\\[\\]{}|]|\\.|" RX_ESCAPE "|" RX_CLASS
#define RX_IN(X) "(?:(?:" X ")" RX_REPEAT "|\\^|\\$)*"
#define RX_OF(X) RX_IN(X) "(?:\\|" RX_IN(X) ")*"
#define RX_1 RX_ATOM "|\\((?:\\?:)?" RX_OF(RX_ATOM) "\\)"
#define RX_2 RX_ATOM "|\\((?:\\?:)?" RX_OF(RX_1) "\\)"

/* A text of `source` or of `other`, then one of `behind`; NULL: there is none, and without a source
 * the format is not enforced. */
static const struct {
    const char *name, *source, *other, *behind;
    int leap;      /* 1: seconds 60 of a time; 2: of a date and time */
    uint32_t most; /* characters; 0: any number */
} formats[] = {
    {"date", DATE, NULL, NULL, 0, 0},
    {"time", TIME, NULL, NULL, 1, 0},
    {"date-time", DATE "[Tt]" TIME, NULL, NULL, 2, 0},
    {"duration", DURATION, NULL, NULL, 0, 0},
    {"email", EMAIL, NULL, NULL, 0, 0},
    {"idn-email", IDN_EMAIL, NULL, NULL, 0, 0},
    {"hostname", HOSTNAME, NULL, NULL, 0, 253},
    {"idn-hostname", NULL, NULL, NULL, 0, 0},
    {"ipv4", IPV4, NULL, NULL, 0, 0},
    {"ipv6", IPV6, NULL, NULL, 0, 0},
    {"uri", ABSOLUTE(""), NULL, REST("", ""), 0, 0},
    {"uri-reference", ABSOLUTE(""), RELATIVE(""), REST("", ""), 0, 0},
    {"iri", ABSOLUTE(UCS), NULL, REST(UCS, PRIVATE), 0, 0},
    {"iri-reference", ABSOLUTE(UCS), RELATIVE(UCS), REST(UCS, PRIVATE), 0, 0},
    {"uri-template", TEMPLATE, NULL, NULL, 0, 0},
    {"uuid", UUID, NULL, NULL, 0, 0},
    {"json-pointer", POINTER, NULL, NULL, 0, 0},
    {"relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")", NULL, NULL, 0, 0},
    {"regex", RX_OF(RX_2), NULL, NULL, 0, 0},
};

static rmr_rx source(schema *s, const char *text)
{
    rmr_rx r = RMR_RX_NONE;
    size_t n = 0;
    while (text[n] != 0) n++;
    const remora_status st = rmr_ecma(s->g, text, n, 0, s->spelling, &r, s->err);
    if (st < 0 && s->st >= 0) s->st = st;
    return r;
}

/* hh:mm:60 with the offset under which it is 23:59 UTC. */
static rmr_rx leap_seconds(schema *s)
{
    const rmr_rx frac = source(s, ":60" FRACTION);
    rmr_rx ways[2 * 24 * 4 + 1];
    size_t n = 0;
    const rmr_rx utc[] = {rmr_rx_literal(s->rx, "23:59", 5), frac, source(s, "[Zz]")};
    ways[n++] = rmr_rx_concat_n(s->rx, utc, 3);
    for (int minus = 0; minus < 2; minus++)
        for (int off = 0; off < 24 * 60; off += 15) {
            const int t = (24 * 60 - 1 + (minus ? -off : off) + 24 * 60) % (24 * 60);
            const char local[] = {(char)('0' + t / 600), (char)('0' + t / 60 % 10), ':',
                                  (char)('0' + t % 60 / 10), (char)('0' + t % 10)};
            const char offset[] = {minus ? '-' : '+',           (char)('0' + off / 600),
                                   (char)('0' + off / 60 % 10), ':',
                                   (char)('0' + off % 60 / 10), (char)('0' + off % 10)};
            const rmr_rx line[] = {rmr_rx_literal(s->rx, local, 5), frac,
                                   rmr_rx_literal(s->rx, offset, 6)};
            ways[n++] = rmr_rx_concat_n(s->rx, line, 3);
        }
    return rmr_rx_or(s->rx, ways, n);
}

rmr_rx rmr_schema_format(schema *s, const rmr_node *at, const rmr_node *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!rmr_node_is(name, formats[i].name)) continue;
        if (formats[i].source == NULL) {
            (void)rmr_schema_skip(s, at, formats[i].name);
            return RMR_RX_NONE;
        }
        rmr_rx r = source(s, formats[i].source);
        if (formats[i].other != NULL) r = rmr_rx_or2(s->rx, r, source(s, formats[i].other));
        if (formats[i].behind != NULL) r = rmr_rx_concat(s->rx, r, source(s, formats[i].behind));
        if (formats[i].leap == 1) r = rmr_rx_or2(s->rx, r, leap_seconds(s));
        if (formats[i].leap == 2)
            r = rmr_rx_or2(s->rx, r, rmr_rx_concat(s->rx, source(s, DATE "[Tt]"), leap_seconds(s)));
        if (formats[i].most > 0) r = rmr_rx_and2(s->rx, r, rmr_schema_chars(s, 1, formats[i].most));
        return r;
    }
    return RMR_RX_NONE;
}
