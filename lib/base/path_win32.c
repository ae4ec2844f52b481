/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <string.h>
#include <windows.h>

#include "wide.h"

enum { OLD_LIMIT = 240 }; /* characters that every call takes, with some of a name behind them */

const char *rmr_path_last(const char *path)
{
    const char *last = path;
    for (const char *p = path; *p != 0; p++)
        if (*p == '/' || *p == '\\' || (*p == ':' && p == path + 1)) last = p + 1;
    return last;
}

int rmr_wide_path(const char *path, wchar_t out[RMR_WIDE_PATH])
{
    static const wchar_t drive[] = L"\\\\?\\", share[] = L"\\\\?\\UNC";
    wchar_t given[RMR_WIDE_PATH];
    const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out, RMR_WIDE_PATH);
    if (n == 0) return 0;
    if (n <= OLD_LIMIT || memcmp(out, drive, sizeof drive - sizeof *drive) == 0) return 1;
    memcpy(given, out, (size_t)n * sizeof *out);
    const int is_share = given[0] == '\\' && given[1] == '\\';
    const wchar_t *const head = is_share ? share : drive;
    const size_t n_head = wcslen(head), from = n_head - (size_t)is_share;
    const DWORD room = (DWORD)(RMR_WIDE_PATH - from);
    const DWORD whole = GetFullPathNameW(given, room, out + from, NULL);
    if (whole == 0 || whole >= room) return 0;
    memcpy(out, head, n_head * sizeof *out); /* of "\\server" it takes the place of one "\" */
    return 1;
}

int rmr_wide_to_path(const wchar_t *wide, char *out, uint32_t cap)
{
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, out, (int)cap, NULL, NULL) > 0;
}
