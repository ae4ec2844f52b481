/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for input ends with an interrupt, whenever it came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

/* Stdin is a pipe that nobody writes to; a byte is there when `byte` is 1. */
static int pipe_as_stdin(int byte)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    if (byte) assert_int_equal(write(ends[1], "x", 1), 1);
    return ends[1];
}

static void before_the_wait(void **state)
{
    (void)state;
    const int end = pipe_as_stdin(0);
    tool_catch_signals();
    assert_int_equal(raise(SIGINT), 0);
    assert_int_equal(tool_wait_input(), 0); /* with an interrupt that is missed it waits for ever */
    assert_int_equal(tool_wait_input(), 0);
    tool_cancel_again();
    close(end);
    assert_int_equal(tool_wait_input(), 1); /* the end of the input */
}

/* Another process sends it, most often when the wait has begun; the answer is the same anyway. */
static void during_the_wait(void **state)
{
    (void)state;
    const pid_t waits = getpid();
    const int end = pipe_as_stdin(0);
    tool_catch_signals();
    const pid_t sends = fork();
    assert_true(sends >= 0);
    if (sends == 0) {
        usleep(100000);
        kill(waits, SIGINT);
        _exit(0);
    }
    assert_int_equal(tool_wait_input(), 0);
    assert_true(tool_cancelled());
    tool_cancel_again();
    assert_int_equal(waitpid(sends, NULL, 0), sends);
    close(end);
}

static void input_is_there(void **state)
{
    (void)state;
    const int end = pipe_as_stdin(1);
    tool_catch_signals();
    assert_int_equal(tool_wait_input(), 1);
    assert_false(tool_cancelled());
    close(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_the_wait),
        cmocka_unit_test(during_the_wait),
        cmocka_unit_test(input_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
