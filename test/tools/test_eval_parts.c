/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of remora eval on rows small enough to do by hand, its windows, and its file of
 * saved logits: what goes in comes out within half a step, and no damaged file is believed. */
#include "logits_file.h"
#include "stats.h"
#include "eval_windows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g is not %.17g", got, want);
}

static void rows(void **state)
{
    (void)state;
    const float half[2] = {0, 0}, third[3] = {1, 1, 1};
    const float odds[2] = {0, (float)log(3)}; /* 1/4, 3/4 */
    tool_row a, b;
    assert_int_equal(tool_row_measure(half, 2, &a), 0);
    near(a.log_sum, log(2), 1e-15);
    assert_int_equal(a.top, 0); /* the lower index on ties */
    assert_int_equal(tool_row_measure(odds, 2, &b), 0);
    assert_int_equal(b.top, 1);
    near(b.log_sum, log(4), 1e-7);
    /* 1/2 log(2) + 1/2 log(2/3); and the other way round 1/4 log(1/2) + 3/4 log(3/2) */
    near(tool_kl(half, &a, odds, &b, 2), 0.5 * log(4.0 / 3), 1e-7);
    near(tool_kl(odds, &b, half, &a, 2), 0.75 * log(3) - log(2), 1e-7);
    assert_int_equal(tool_row_measure(third, 3, &a), 0);
    near(a.log_sum, 1 + log(3), 1e-15);
    near(tool_kl(third, &a, third, &a, 3), 0, 0);
}

/* Rows far from 0 and rows with entries whose probability is below any double. */
static void stable_rows(void **state)
{
    (void)state;
    const float far[3] = {60000, 59999, -60000}, low[3] = {-1e30f, -1e30f, -1e30f};
    const float plain[3] = {1, 0, -3e38f}, bad[2] = {0, NAN}, infinite[2] = {0, INFINITY};
    tool_row a, b;
    assert_int_equal(tool_row_measure(far, 3, &a), 0);
    near(a.log_sum, 60000 + log1p(exp(-1)), 1e-10);
    assert_int_equal(tool_row_measure(plain, 3, &b), 0);
    near(tool_kl(far, &a, plain, &b, 3), 0, 1e-10);
    near(tool_kl(plain, &b, far, &a, 3), 0, 1e-10);
    assert_int_equal(tool_row_measure(low, 3, &a), 0);
    near(a.log_sum, (double)-1e30f, 0);
    assert_int_equal(tool_row_measure(bad, 2, &a), -1);
    assert_int_equal(tool_row_measure(infinite, 2, &a), -1);
}

static void series(void **state)
{
    (void)state;
    tool_series s = {0};
    const double v[5] = {5, 1, 4, 2, 3};
    assert_int_equal(tool_series_add(&s, 7), 0);
    near(tool_series_mean(&s), 7, 0);
    near(tool_series_error(&s), 0, 0);
    near(tool_series_at(&s, 0.99), 7, 0);
    s.n = 0;
    for (size_t i = 0; i < 5; i++) assert_int_equal(tool_series_add(&s, v[i]), 0);
    near(tool_series_mean(&s), 3, 1e-15);
    near(tool_series_error(&s), sqrt(2.5 / 5), 1e-15); /* variance 10 / 4 */
    tool_series_sort(&s);
    near(tool_series_at(&s, 0), 1, 0);
    near(tool_series_at(&s, 0.5), 3, 0);
    near(tool_series_at(&s, 0.6), 3.4, 1e-15);
    near(tool_series_at(&s, 1), 5, 0);
    for (size_t i = 0; i < 5000; i++) assert_int_equal(tool_series_add(&s, 3), 0);
    near(tool_series_mean(&s), 3, 1e-12);
    tool_series_free(&s);
}

static void windows(void **state)
{
    (void)state;
    const remora_token bos[2] = {100, 101}, ids[5] = {0, 1, 2, 3, 4};
    const char lines[] = "1 2 3\n\n9\n4,5\r\n6 7 8 9";
    tool_windows w = {0};
    assert_int_equal(tool_windows_cut(&w, bos, 2, ids, 5, 4, 0), 0);
    assert_int_equal(w.n, 3); /* 100 101 0 1 | 100 101 2 3 | 100 101 4 */
    assert_int_equal(w.scored, 5);
    assert_int_equal(w.longest, 4);
    assert_int_equal(w.ids[w.v[2].at], 100);
    assert_int_equal(w.ids[w.v[2].at + 2], 4);
    assert_int_equal(w.v[2].first, 2);
    tool_windows_free(&w);
    assert_int_equal(tool_windows_cut(&w, NULL, 0, ids, 5, 2, 0), 0);
    assert_int_equal(w.n, 2); /* the fifth has nothing to score */
    assert_int_equal(w.scored, 2);
    tool_windows_free(&w);
    assert_int_equal(tool_windows_cut(&w, NULL, 0, ids, 5, 2, 1), 0);
    assert_int_equal(w.n, 1);
    tool_windows_free(&w);
    assert_int_equal(tool_windows_lines(&w, lines, sizeof lines - 1, 0), 0);
    assert_int_equal(w.n, 3);
    assert_int_equal(w.scored, 2 + 1 + 3);
    assert_int_equal(w.ids[w.v[1].at + 1], 5);
    tool_windows_free(&w);
}

/* ---- the file ---- */

enum { VOCAB = 7, ROWS = 3 };
static const float logits[ROWS][VOCAB] = {
    {0.5f, 9.25f, -3, 9.25f, 0, -11, 2}, {4, 4, 4, 4, 4, 4, 4}, {1, 2, 3, -1e20f, 5, 6, 6.00001f}};

static char *temp_path(void)
{
    static char path[] = "/tmp/remora-test-XXXXXX";
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void write_file(const char *path, int n_rows)
{
    const remora_token ids[5] = {1, 2, 6, 0, 3};
    tool_windows w = {0};
    tool_logits_file o = {.n_vocab = VOCAB, .name = "a m\xc3\xb6"};
    assert_int_equal(tool_windows_add(&w, NULL, 0, ids, 3, 1), 0);
    assert_int_equal(tool_windows_add(&w, NULL, 0, ids + 3, 2, 1), 0);
    assert_int_equal(tool_logits_create(&o, path, &w), 0);
    for (int i = 0; i < n_rows; i++) {
        tool_row m;
        assert_int_equal(tool_row_measure(logits[i], VOCAB, &m), 0);
        assert_int_equal(tool_logits_write(&o, logits[i], &m, 0.1 * i), 0);
    }
    if (n_rows == ROWS) assert_int_equal(tool_logits_finish(&o), 0);
    tool_logits_close(&o);
    tool_windows_free(&w);
}

static void file_round_trip(void **state)
{
    (void)state;
    char *path = temp_path();
    tool_windows w = {0};
    tool_logits_file o = {0};
    write_file(path, ROWS);
    assert_int_equal(tool_logits_open(&o, path, &w), 0);
    assert_string_equal(o.name, "a m??");
    assert_int_equal(o.n_rows, ROWS);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.ids[w.v[1].at + 1], 3);
    for (int i = 0; i < ROWS; i++) {
        float back[VOCAB];
        tool_row m, want;
        double nll;
        assert_int_equal(tool_logits_read(&o, back, &m, &nll), 0);
        assert_int_equal(tool_row_measure(logits[i], VOCAB, &want), 0);
        assert_int_equal(m.top, want.top);
        near(nll, 0.1 * i, 0);
        near(back[m.top], 0, 0);
        for (int k = 0; k < VOCAB; k++) {
            const double lp = (double)logits[i][k] - want.log_sum;
            /* half a step in the entry and as much in the sum */
            if (lp > -40) near((double)back[k] - m.log_sum, lp, 40.0 / 65535);
        }
    }
    tool_logits_close(&o);
    tool_windows_free(&w);
    unlink(path);
}

/* A writer that is closed before the last row leaves neither half file nor a changed old one. */
static void file_not_finished(void **state)
{
    (void)state;
    char *path = temp_path(), part[64];
    snprintf(part, sizeof part, "%s.part", path);
    write_file(path, ROWS - 1);
    assert_int_not_equal(access(part, F_OK), 0);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fgetc(f), EOF); /* as mkstemp made it */
    fclose(f);
    unlink(path);
}

/* Opens and reads all rows; 0 when nothing was refused. */
static int read_all(const char *path)
{
    tool_windows w = {0};
    tool_logits_file o = {0};
    int st = tool_logits_open(&o, path, &w);
    for (size_t i = 0; st == 0 && i < w.n_ids; i++) /* what the command relies on */
        assert_true(w.ids[i] >= 0 && (uint32_t)w.ids[i] < o.n_vocab);
    for (size_t i = 0; st == 0 && i < w.scored; i++) {
        float *row = malloc(o.n_vocab * sizeof *row);
        tool_row m;
        double nll;
        st = tool_logits_read(&o, row, &m, &nll);
        if (st == 0) assert_true(m.top < o.n_vocab && isfinite(nll) && isfinite(m.log_sum));
        free(row);
    }
    tool_logits_close(&o);
    tool_windows_free(&w);
    return st;
}

static void put_file(const char *path, const unsigned char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void hostile_files(void **state)
{
    (void)state;
    char *path = temp_path();
    unsigned char bytes[1024];
    const int shown = dup(STDERR_FILENO); /* there is a message for every case */
    assert_non_null(freopen("/dev/null", "w", stderr));
    write_file(path, ROWS);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_int_equal(n, 168 + 2 * 8 + 24 + ROWS * (16 + 16));
    for (size_t cut = 0; cut < n; cut++) { /* every length but the whole one */
        put_file(path, bytes, cut);
        assert_int_equal(read_all(path), -1);
    }
    put_file(path, bytes, n + 1);
    assert_int_equal(read_all(path), -1);
    for (size_t i = 0; i < n; i++) { /* every byte; sizes and offsets must all be refused */
        static const unsigned char masks[] = {0x01, 0x80, 0xFF};
        for (size_t k = 0; k < sizeof masks; k++) {
            bytes[i] ^= masks[k];
            put_file(path, bytes, n);
            const int st = read_all(path);
            if (i < 40) assert_int_equal(st, -1);
            if (i >= 168 && i < 184) assert_int_equal(st, -1); /* the windows */
            bytes[i] ^= masks[k];
        }
    }
    put_file(path, bytes, n);
    assert_int_equal(read_all(path), 0);
    /* a first token that is said to be scored, with a row more so that all sizes are right */
    bytes[168 + 4] = 0;
    bytes[32]++;
    memcpy(bytes + n, bytes + n - 32, 32);
    put_file(path, bytes, n + 32);
    assert_int_equal(read_all(path), -1);
    assert_int_equal(read_all("/tmp"), -1);
    assert_int_equal(read_all("/no/such/file"), -1);
    unlink(path);
    fflush(stderr);
    assert_true(dup2(shown, STDERR_FILENO) >= 0);
    close(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(stable_rows),
        cmocka_unit_test(series),
        cmocka_unit_test(windows),
        cmocka_unit_test(file_round_trip),
        cmocka_unit_test(file_not_finished),
        cmocka_unit_test(hostile_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
