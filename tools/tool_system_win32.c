/* SPDX-License-Identifier: Apache-2.0 */
/* See tool_system.h. The only state of the program that outlives a function is here: what Ctrl-C
 * has said. The console edits lines itself, so keys are never taken one by one. */
#include "tool_system.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int32_t cancel_word;

/* -- text -- */

/* A text in memory from malloc; NULL: no memory, or no UTF-8. */
static wchar_t *widen(const char *s)
{
    const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, s, -1, NULL, 0);
    wchar_t *wide = n > 0 ? malloc((size_t)n * sizeof *wide) : NULL;
    if (wide) MultiByteToWideChar(CP_UTF8, 0, s, -1, wide, n);
    errno = n > 0 ? ENOMEM : EINVAL;
    return wide;
}

static char *narrow(const wchar_t *wide)
{
    const int n = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *s = n > 0 ? malloc((size_t)n) : NULL;
    if (s) WideCharToMultiByte(CP_UTF8, 0, wide, -1, s, n, NULL, NULL);
    return s;
}

/* The console shows UTF-8, and understands the sequences that move its cursor. */
static void prepare_console(DWORD which)
{
    DWORD mode;
    const HANDLE h = GetStdHandle(which);
    if (GetConsoleMode(h, &mode))
        SetConsoleMode(h, mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

int tool_start(int *argc, char ***argv)
{
    int n = 0;
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    _setmode(2, _O_BINARY);
    setvbuf(stderr, NULL, _IONBF, 0);
    SetConsoleOutputCP(CP_UTF8);
    prepare_console(STD_OUTPUT_HANDLE);
    prepare_console(STD_ERROR_HANDLE);
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    char **words = wide ? calloc((size_t)n + 1, sizeof *words) : NULL;
    for (int i = 0; words && i < n; i++)
        if ((words[i] = narrow(wide[i])) == NULL) return -1;
    LocalFree(wide);
    if (!words) return -1;
    *argc = n;
    *argv = words; /* until the program ends */
    return 0;
}

double tool_seconds(void)
{
    LARGE_INTEGER now, second;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&second);
    return (double)now.QuadPart / (double)second.QuadPart;
}

uint32_t tool_cores(void)
{
    DWORD_PTR ours = 0, all = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) || ours == 0) return 1;
    return (uint32_t)__builtin_popcountll(ours);
}

void tool_cpu_name(char *out, size_t cap)
{
    DWORD size = (DWORD)cap;
    if (RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0",
                     "ProcessorNameString", RRF_RT_REG_SZ, NULL, out, &size) != ERROR_SUCCESS)
        snprintf(out, cap, "CPU");
}

/* -- signals -- */

/* On a thread of the system's own. A second one is left to the system, which ends the program. */
static BOOL WINAPI on_control(DWORD what)
{
    const int number = what == CTRL_C_EVENT || what == CTRL_BREAK_EVENT ? SIGINT : SIGTERM;
    int32_t none = 0;
    return __atomic_compare_exchange_n(&cancel_word, &none, number, 0, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

void tool_catch_signals(void)
{
    SetConsoleCtrlHandler(on_control, TRUE);
}

const int32_t *tool_cancel(void)
{
    return &cancel_word;
}

int tool_cancelled(void)
{
    return __atomic_load_n(&cancel_word, __ATOMIC_RELAXED) != 0;
}

void tool_watch_window(void)
{
}

/* Ctrl-C ends the reading of a console: there is nothing to wait for. */
int tool_wait_input(void)
{
    return !tool_cancelled();
}

void tool_cancel_again(void)
{
    int32_t interrupt = SIGINT;
    __atomic_compare_exchange_n(&cancel_word, &interrupt, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* -- the terminal -- */

/* _isatty() says so of every device, of NUL too. */
int tool_is_terminal(FILE *f)
{
    DWORD mode;
    return GetConsoleMode((HANDLE)_get_osfhandle(_fileno(f)), &mode) != 0;
}

int tool_terminal_edits(void)
{
    return 0;
}

size_t tool_terminal_width(void)
{
    CONSOLE_SCREEN_BUFFER_INFO i;
    const int known = GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &i) != 0;
    return known ? (size_t)(i.srWindow.Right - i.srWindow.Left + 1) : 80;
}

void tool_terminal_take_keys(void)
{
}

void tool_terminal_give_keys_back(void)
{
}

void tool_terminal_suspend(void)
{
}

/* A line of the console, whose "\r" goes; Ctrl-Z at its beginning is the end. */
static size_t read_console(HANDLE in, char *to, size_t cap)
{
    wchar_t wide[256];
    DWORD n = 0;
    const DWORD room = (DWORD)(cap / 3 < 255 ? cap / 3 : 255);
    if (!ReadConsoleW(in, wide, room, &n, NULL) || n == 0 || wide[0] == 26) return 0;
    if (n < room + 1 && (wide[n - 1] & 0xfc00) == 0xd800) { /* the first half of a character */
        DWORD more = 0;
        if (ReadConsoleW(in, wide + n, 1, &more, NULL)) n += more;
    }
    const int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, (int)n, to, (int)cap, NULL, NULL);
    size_t kept = 0;
    for (int i = 0; i < bytes; i++)
        if (to[i] != '\r') to[kept++] = to[i];
    return kept;
}

size_t tool_read_input(char *to, size_t cap)
{
    const HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
    DWORD n = 0, mode;
    if (GetConsoleMode(in, &mode)) return read_console(in, to, cap);
    return ReadFile(in, to, (DWORD)cap, &n, NULL) ? n : 0;
}

/* -- files -- */

FILE *tool_fopen(const char *path, const char *mode)
{
    wchar_t how[8] = {0};
    wchar_t *wide = widen(path);
    if (!wide) return NULL;
    for (size_t i = 0; mode[i] && i < 7; i++) how[i] = (wchar_t)mode[i];
    FILE *f = _wfopen(wide, how);
    const int e = errno;
    free(wide);
    errno = e;
    return f;
}

int tool_file_size(FILE *f, uint64_t *size)
{
    const HANDLE h = (HANDLE)_get_osfhandle(_fileno(f));
    LARGE_INTEGER n;
    if (GetFileType(h) != FILE_TYPE_DISK) return 1;
    if (!GetFileSizeEx(h, &n)) {
        errno = EIO;
        return -1;
    }
    *size = (uint64_t)n.QuadPart;
    return 0;
}

int tool_rename(const char *from, const char *to)
{
    wchar_t *a = widen(from), *b = widen(to);
    const int done = a && b && MoveFileExW(a, b, MOVEFILE_REPLACE_EXISTING);
    free(a);
    free(b);
    if (!done) errno = EACCES;
    return done ? 0 : -1;
}

int tool_unlink(const char *path)
{
    wchar_t *wide = widen(path);
    const int done = wide && DeleteFileW(wide);
    free(wide);
    return done ? 0 : -1;
}

int tool_make_folder(char *path, size_t cap)
{
    wchar_t wide[MAX_PATH + 32];
    const DWORD n = GetTempPathW(MAX_PATH + 1, wide);
    if (n == 0 || n > MAX_PATH) return -1;
    for (unsigned i = 0; i < 64; i++) {
        swprintf(wide + n, 32, L"remora-%08x", (unsigned)(GetTickCount64() * 64 + i));
        if (!CreateDirectoryW(wide, NULL)) continue;
        return WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, (int)cap, NULL, NULL) > 0 ? 0 : -1;
    }
    return -1;
}

void tool_remove_folder(const char *path)
{
    wchar_t *wide = widen(path);
    if (wide) RemoveDirectoryW(wide);
    free(wide);
}

/* There is no module for GPUs on Windows. */
const char *tool_find_module(char *path, size_t cap)
{
    (void)path, (void)cap;
    return NULL;
}

/* -- programs -- */

FILE *tool_temporary_file(void)
{
    wchar_t folder[MAX_PATH + 1], path[MAX_PATH + 1];
    const DWORD n = GetTempPathW(MAX_PATH + 1, folder);
    if (n == 0 || n > MAX_PATH || GetTempFileNameW(folder, L"rmr", 0, path) == 0) {
        errno = EACCES;
        return NULL;
    }
    return _wfopen(path, L"w+bD"); /* D: it goes when it is closed */
}

static HANDLE inheritable(HANDLE h)
{
    SetHandleInformation(h, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    return h;
}

/* Start cmd.exe with a command; NULL: it cannot be started. */
static HANDLE start(const char *command, FILE *in, HANDLE out)
{
    static const wchar_t shell[] = L"cmd.exe /d /s /c \"";
    STARTUPINFOW with = {.cb = sizeof with, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION made = {0};
    wchar_t *wide = widen(command);
    const size_t n = wide ? wcslen(wide) : 0, n_shell = wcslen(shell);
    wchar_t *line = wide ? malloc((n_shell + n + 2) * sizeof *line) : NULL;
    int done = 0;
    if (line) {
        memcpy(line, shell, n_shell * sizeof *line);
        memcpy(line + n_shell, wide, n * sizeof *line);
        line[n_shell + n] = '"';
        line[n_shell + n + 1] = 0;
        with.hStdInput = inheritable((HANDLE)_get_osfhandle(_fileno(in)));
        with.hStdOutput = inheritable(out);
        with.hStdError = GetStdHandle(STD_ERROR_HANDLE);
        done = CreateProcessW(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &with, &made);
    }
    free(line);
    free(wide);
    if (!done) return NULL;
    CloseHandle(made.hThread);
    return made.hProcess;
}

int tool_shell(const char *command, FILE *in, tool_buffer *out)
{
    char piece[4096];
    HANDLE from, to;
    DWORD n, code = 0;
    int lost = 0;
    if (!CreatePipe(&from, &to, NULL, 0)) return EMFILE;
    const HANDLE program = start(command, in, to);
    CloseHandle(to);
    while (program && ReadFile(from, piece, sizeof piece, &n, NULL) && n > 0)
        if (!lost) lost = tool_buffer_add(out, piece, n) < 0;
    CloseHandle(from);
    if (!program) return ENOENT;
    WaitForSingleObject(program, INFINITE);
    GetExitCodeProcess(program, &code);
    CloseHandle(program);
    if (code != 0) fprintf(stderr, "remora: the tool command ended with code %u\n", (unsigned)code);
    return lost ? ENOMEM : 0;
}
