/* SPDX-License-Identifier: Apache-2.0 */
/* See tool_system.h. The only state of the program that outlives a function is here: what signals
 * have said, and the terminal as it was. */
#include "tool_system.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PASTE_MARKS_ON "\033[?2004h" /* the terminal says where pasted text begins and ends */
#define PASTE_MARKS_OFF "\033[?2004l"

extern char **environ;

static int32_t cancel_word;
static volatile sig_atomic_t resized; /* the window has another size */
static struct termios before;         /* the terminal before its keys were taken */

int tool_start(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

double tool_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

uint32_t tool_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
    return n > 0 && n <= 1024 ? (uint32_t)n : 1;
}

void tool_cpu_name(char *out, size_t cap)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(out, cap, "CPU");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        const char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(out, cap, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    fclose(f);
}

/* -- signals -- */

static void on_signal(int number)
{
    __atomic_store_n(&cancel_word, number, __ATOMIC_RELAXED);
}

void tool_catch_signals(void)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = (int)SA_RESETHAND; /* no SA_RESTART: reading stdin ends too */
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

static void on_window(int number)
{
    (void)number;
    resized = 1;
}

void tool_watch_window(void)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_window;
    act.sa_flags = SA_RESTART;
    sigemptyset(&act.sa_mask);
    sigaction(SIGWINCH, &act, NULL);
}

const int32_t *tool_cancel(void)
{
    return &cancel_word;
}

int tool_cancelled(void)
{
    return __atomic_load_n(&cancel_word, __ATOMIC_RELAXED) != 0;
}

int tool_wait_input(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t stops, mask;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGWINCH);
    /* They come during ppoll() alone. The runtime's threads take no signals. */
    sigprocmask(SIG_BLOCK, &stops, &mask);
    while (!tool_cancelled() && !resized && ppoll(&in, 1, NULL, &mask) < 0 && errno == EINTR) {
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    const int size_changed = resized;
    resized = 0;
    return tool_cancelled() ? 0 : size_changed ? -1 : 1;
}

void tool_cancel_again(void)
{
    if (__atomic_load_n(&cancel_word, __ATOMIC_RELAXED) == SIGTERM) return;
    __atomic_store_n(&cancel_word, 0, __ATOMIC_RELAXED);
    tool_catch_signals();
}

/* -- the terminal -- */

int tool_is_terminal(FILE *f)
{
    return isatty(fileno(f));
}

int tool_terminal_edits(void)
{
    const char *term = getenv("TERM");
    return term != NULL && *term != 0 && strcmp(term, "dumb") != 0;
}

size_t tool_terminal_width(void)
{
    struct winsize size;
    const int known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

void tool_terminal_take_keys(void)
{
    struct termios now;
    tcgetattr(STDIN_FILENO, &before);
    now = before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
    fputs(PASTE_MARKS_ON, stderr);
}

void tool_terminal_give_keys_back(void)
{
    fputs(PASTE_MARKS_OFF, stderr);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void tool_terminal_suspend(void)
{
    raise(SIGTSTP);
}

size_t tool_read_input(char *to, size_t cap)
{
    const ssize_t n = read(STDIN_FILENO, to, cap);
    return n > 0 ? (size_t)n : 0;
}

/* -- files -- */

FILE *tool_fopen(const char *path, const char *mode)
{
    return fopen(path, mode);
}

int tool_file_size(FILE *f, uint64_t *size)
{
    struct stat about;
    if (fstat(fileno(f), &about) != 0) return -1;
    *size = (uint64_t)about.st_size;
    return S_ISREG(about.st_mode) ? 0 : 1;
}

int tool_rename(const char *from, const char *to)
{
    return rename(from, to);
}

int tool_unlink(const char *path)
{
    return unlink(path);
}

int tool_make_folder(char *path, size_t cap)
{
    const char *const folder = getenv("TMPDIR");
    snprintf(path, cap, "%.40s/remora-XXXXXX", folder && *folder ? folder : "/tmp");
    return mkdtemp(path) ? 0 : -1;
}

void tool_remove_folder(const char *path)
{
    rmdir(path);
}

const char *tool_find_module(char *path, size_t cap)
{
    static const char *const folders[] = {"", "../lib/", "../" TOOL_LIBDIR "/"};
    const ssize_t n = readlink("/proc/self/exe", path, cap - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    char *const name = strrchr(path, '/') + 1;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        const size_t left = cap - (size_t)(name - path);
        if ((size_t)snprintf(name, left, "%slibremora-cuda.so", folders[i]) < left &&
            access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

/* -- programs -- */

FILE *tool_temporary_file(void)
{
    return tmpfile();
}

static int spawn(const char *command, int in, int out, pid_t *pid)
{
    char sh[] = "sh", c[] = "-c", *text = strdup(command);
    char *const argv[] = {sh, c, text, NULL};
    posix_spawn_file_actions_t a;
    if (text == NULL) return ENOMEM;
    int e = posix_spawn_file_actions_init(&a);
    if (e == 0) {
        e = posix_spawn_file_actions_adddup2(&a, in, STDIN_FILENO);
        if (e == 0) e = posix_spawn_file_actions_adddup2(&a, out, STDOUT_FILENO);
        if (e == 0) e = posix_spawn(pid, "/bin/sh", &a, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&a);
    }
    free(text);
    return e;
}

static int read_result(int from, tool_buffer *result)
{
    char piece[4096];
    ssize_t n;
    int lost = 0;
    while ((n = read(from, piece, sizeof piece)) != 0) {
        if (n < 0 && errno != EINTR) break;
        if (n > 0 && !lost) lost = tool_buffer_add(result, piece, (size_t)n) < 0;
    }
    return lost ? ENOMEM : n < 0 ? errno : 0;
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return errno;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "remora: the tool command ended with %s %d\n",
                WIFEXITED(status) ? "code" : "signal",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 0;
}

int tool_shell(const char *command, FILE *in, tool_buffer *out)
{
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0) return errno;
    int e = spawn(command, fileno(in), ends[1], &pid);
    close(ends[1]);
    if (e == 0) {
        const int failed = read_result(ends[0], out);
        e = wait_for(pid);
        if (failed) e = failed;
    }
    close(ends[0]);
    return e;
}
