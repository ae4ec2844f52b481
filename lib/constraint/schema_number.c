/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as texts: exact ranges digit by digit.
 *
 * A number is written as an integer, an integer with ".0", or with a fraction that does not end in
 * 0 and has at most 15 digits, which readers that take numbers as doubles tell apart; more of them,
 * and an exponent, only where the schema says no more than that it is a number. */
#include "schema_parts.h"

enum { DIGITS_MAX = 320, FRACTION_MAX = 30, EXACT_MAX = 16, LONGER_MAX = 40, DIVISOR_MAX = 100000 };

static rmr_rx digit(schema *s, int lo, int hi)
{
    rmr_byte_set b = {{0}};
    if (lo > hi) return RMR_RX_NONE;
    for (int c = '0' + lo; c <= '0' + hi; c++) b.bits[0] |= UINT64_C(1) << c;
    return rmr_rx_bytes(s->rx, &b);
}

static rmr_rx digits(schema *s, uint32_t min, uint32_t max)
{
    return rmr_rx_repeat(s->rx, digit(s, 0, 9), min, max);
}

static rmr_rx optional(schema *s, rmr_rx a)
{
    return rmr_rx_or2(s->rx, a, RMR_RX_EMPTY);
}

static rmr_rx two(schema *s, rmr_rx a, rmr_rx b)
{
    return rmr_rx_concat(s->rx, a, b);
}

/* Any fraction, and none. */
static rmr_rx any_fraction(schema *s)
{
    return optional(s, two(s, rmr_rx_byte(s->rx, '.'), digits(s, 1, RMR_RX_MANY)));
}

static rmr_rx whole(schema *s)
{
    return rmr_rx_or2(s->rx, rmr_rx_byte(s->rx, '0'),
                      two(s, digit(s, 1, 9), digits(s, 0, DIGITS_MAX)));
}

static rmr_rx minus(schema *s)
{
    return optional(s, rmr_rx_byte(s->rx, '-'));
}

/* Whole numbers, and fractions in that many characters without their sign. */
static rmr_rx numbers(schema *s, uint32_t longest)
{
    rmr_byte_set digit_or_point = {{UINT64_C(0x3FF) << '0' | UINT64_C(1) << '.', 0, 0, 0}};
    const rmr_rx frac = rmr_rx_or2(s->rx, rmr_rx_byte(s->rx, '0'),
                                   two(s, digits(s, 0, FRACTION_MAX), digit(s, 1, 9)));
    const rmr_rx line[] = {whole(s), rmr_rx_byte(s->rx, '.'), frac};
    const rmr_rx size = rmr_rx_repeat(s->rx, rmr_rx_bytes(s->rx, &digit_or_point), 3, longest);
    const rmr_rx with = rmr_rx_and2(s->rx, rmr_rx_concat_n(s->rx, line, 3), size);
    const rmr_rx ways[] = {whole(s), two(s, whole(s), rmr_rx_literal(s->rx, ".0", 2)), with};
    return two(s, minus(s), rmr_rx_or(s->rx, ways, 3));
}

rmr_rx rmr_schema_number_plain(schema *s)
{
    if (s->number == RMR_RX_NONE) s->number = numbers(s, EXACT_MAX);
    return s->number;
}

rmr_rx rmr_schema_integer(schema *s)
{
    if (s->integer != RMR_RX_NONE) return s->integer;
    const rmr_rx parts[] = {minus(s), whole(s), optional(s, rmr_rx_literal(s->rx, ".0", 2))};
    return s->integer = rmr_rx_concat_n(s->rx, parts, 3);
}

rmr_rx rmr_schema_number_all(schema *s)
{
    if (s->number_all != RMR_RX_NONE) return s->number_all;
    const rmr_byte_set e = {{0, UINT64_C(1) << ('E' - 64) | UINT64_C(1) << ('e' - 64), 0, 0}};
    const rmr_byte_set sign = {{UINT64_C(1) << '+' | UINT64_C(1) << '-', 0, 0, 0}};
    const rmr_rx hundreds[] = {digit(s, 0, 2), digit(s, 0, 9), digit(s, 0, 9)};
    const rmr_rx thirty[] = {rmr_rx_literal(s->rx, "30", 2), digit(s, 0, 8)};
    const rmr_rx exps[] = {digits(s, 1, 2), rmr_rx_concat_n(s->rx, hundreds, 3),
                           rmr_rx_concat_n(s->rx, thirty, 2)};
    const rmr_rx exp[] = {
        minus(s),
        digit(s, 0, 9),
        optional(s, two(s, rmr_rx_byte(s->rx, '.'), digits(s, 1, FRACTION_MAX))),
        rmr_rx_bytes(s->rx, &e),
        optional(s, rmr_rx_bytes(s->rx, &sign)),
        rmr_rx_or(s->rx, exps, 3),
    };
    return s->number_all =
               rmr_rx_or2(s->rx, numbers(s, LONGER_MAX), rmr_rx_concat_n(s->rx, exp, 6));
}

rmr_rx rmr_schema_number_once(schema *s)
{
    if (s->canon_number != RMR_RX_NONE) return s->canon_number;
    const rmr_rx twice[] = {two(s, RMR_RX_ANY, rmr_rx_literal(s->rx, ".0", 2)),
                            rmr_rx_literal(s->rx, "-0", 2)};
    const rmr_rx not_twice = rmr_rx_not(s->rx, rmr_rx_or(s->rx, twice, 2));
    return s->canon_number = rmr_rx_and2(s->rx, rmr_schema_number_plain(s), not_twice);
}

/* ---- bounds ---- */

/* The absolute value of a bound, as its digits before and behind the point. */
typedef struct parts {
    const char *whole, *frac;
    uint32_t n_whole, n_frac, zeros; /* zeros: between the point and `frac` */
} parts;

static parts part(const rmr_exact *x)
{
    parts p = {x->digits, x->digits + x->n, x->n, 0, 0};
    if (x->scale == 0) return p;
    if (x->scale >= x->n) {
        p = (parts){"0", x->digits, 1, x->n, x->scale - x->n};
    } else {
        p.n_whole = x->n - x->scale;
        p.frac = x->digits + p.n_whole;
        p.n_frac = x->scale;
    }
    return p;
}

static int frac_digit(const parts *p, uint32_t i)
{
    return i < p->zeros ? 0 : p->frac[i - p->zeros] - '0';
}

/* Digits behind a point that make more, or less, than the fraction of the bound. */
static rmr_rx fraction(schema *s, const parts *p, int less, int strict)
{
    const uint32_t n = p->n_frac + p->zeros;
    const rmr_rx more[] = {digits(s, 0, RMR_RX_MANY), digit(s, 1, 9), digits(s, 0, RMR_RX_MANY)};
    rmr_rx r;
    if (less)
        r = strict ? RMR_RX_NONE : rmr_rx_repeat(s->rx, rmr_rx_byte(s->rx, '0'), 0, RMR_RX_MANY);
    else
        r = strict ? rmr_rx_concat_n(s->rx, more, 3) : digits(s, 0, RMR_RX_MANY);
    for (uint32_t i = n; i-- > 0;) {
        const int d = frac_digit(p, i);
        const rmr_rx off = less ? digit(s, 0, d - 1) : digit(s, d + 1, 9);
        const rmr_rx ways[] = {two(s, digit(s, d, d), r), two(s, off, digits(s, 0, RMR_RX_MANY)),
                               less ? RMR_RX_EMPTY : RMR_RX_NONE};
        r = rmr_rx_or(s->rx, ways, 3);
    }
    return r;
}

/* What follows the digits of the bound's whole part. */
static rmr_rx behind_whole(schema *s, const parts *p, int less, int strict)
{
    const rmr_rx with = two(s, rmr_rx_byte(s->rx, '.'), fraction(s, p, less, strict));
    const int zero = p->n_frac == 0;
    const int bare = less ? !zero || !strict : zero && !strict;
    return bare ? optional(s, with) : with;
}

/* Numbers without a sign that are more, or less, than the absolute value of the bound. */
static rmr_rx unsigned_bound(schema *s, const rmr_exact *x, int less, int strict)
{
    const parts p = part(x);
    const rmr_rx frac = any_fraction(s);
    rmr_rx r = behind_whole(s, &p, less, strict);
    for (uint32_t i = p.n_whole; i-- > 0;) {
        const int d = p.whole[i] - '0', low = i == 0 && p.n_whole > 1;
        const rmr_rx off = less ? digit(s, low, d - 1) : digit(s, d + 1, 9);
        const uint32_t left = p.n_whole - 1 - i;
        const rmr_rx away[] = {off, digits(s, left, left), frac};
        r = rmr_rx_or2(s->rx, two(s, digit(s, d, d), r), rmr_rx_concat_n(s->rx, away, 3));
    }
    const rmr_rx lead = digit(s, 1, 9);
    if (less && p.n_whole > 1) {
        const rmr_rx shorter[] = {
            rmr_rx_or2(s->rx, digit(s, 0, 0), two(s, lead, digits(s, 0, p.n_whole - 2))), frac};
        return rmr_rx_or2(s->rx, r, rmr_rx_concat_n(s->rx, shorter, 2));
    }
    if (less) return r;
    const rmr_rx longer[] = {lead, digits(s, p.n_whole, RMR_RX_MANY), frac};
    return rmr_rx_or2(s->rx, r, rmr_rx_concat_n(s->rx, longer, 3));
}

rmr_rx rmr_schema_number_bound(schema *s, const rmr_exact *x, int below, int strict)
{
    const rmr_rx sign = rmr_rx_byte(s->rx, '-');
    const rmr_rx any = two(s, digits(s, 1, RMR_RX_MANY), any_fraction(s));
    const rmr_exact zero = {"0", 1, 0, 0};
    const int is_zero = x->n == 1 && x->digits[0] == '0';
    /* The side of 0 on which the bound is not holds all of its numbers, or none but 0. */
    const int same_side_less = below != x->negative;
    const rmr_rx near = unsigned_bound(s, x, same_side_less, strict);
    rmr_rx r;
    if (is_zero) {
        const rmr_rx zeros = unsigned_bound(s, &zero, 1, 0);
        const rmr_rx plus = below ? (strict ? RMR_RX_NONE : zeros) : near;
        const rmr_rx under =
            below ? unsigned_bound(s, &zero, 0, strict) : (strict ? RMR_RX_NONE : zeros);
        r = rmr_rx_or2(s->rx, plus, two(s, sign, under));
    } else if (x->negative) {
        const rmr_rx under = two(s, sign, near);
        r = below ? under : rmr_rx_or2(s->rx, any, under);
    } else {
        r = below ? rmr_rx_or2(s->rx, near, two(s, sign, any)) : near;
    }
    return rmr_rx_and2(s->rx, rmr_schema_number_plain(s), r);
}

rmr_rx rmr_schema_number_equal(schema *s, const rmr_exact *x)
{
    const parts p = part(x);
    const int is_zero = x->n == 1 && x->digits[0] == '0';
    rmr_rx r = rmr_rx_literal(s->rx, p.whole, p.n_whole);
    if (p.n_frac == 0) {
        r = two(s, r, optional(s, rmr_rx_literal(s->rx, ".0", 2)));
        return is_zero ? two(s, minus(s), r) : x->negative ? two(s, rmr_rx_byte(s->rx, '-'), r) : r;
    }
    const rmr_rx rest[] = {x->negative ? rmr_rx_byte(s->rx, '-') : RMR_RX_EMPTY, r,
                           rmr_rx_byte(s->rx, '.'),
                           rmr_rx_repeat(s->rx, rmr_rx_byte(s->rx, '0'), p.zeros, p.zeros),
                           rmr_rx_literal(s->rx, p.frac, p.n_frac)};
    return rmr_rx_concat_n(s->rx, rest, 5);
}

rmr_rx rmr_schema_number_multiple(schema *s, const rmr_exact *x)
{
    uint64_t d = 0;
    if (x->scale > 15) return RMR_RX_NONE;
    for (uint32_t i = 0; i < x->n; i++) {
        d = d * 10 + (uint64_t)(x->digits[i] - '0');
        if (d > DIVISOR_MAX) return RMR_RX_NONE;
    }
    if (d == 0) return RMR_RX_NONE;
    const rmr_rx m = two(s, minus(s), rmr_rx_multiple(s->rx, d, x->scale));
    return rmr_rx_and2(s->rx, rmr_schema_number_plain(s), m);
}
