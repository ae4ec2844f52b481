/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_object.h"

#include <string.h>
#include <windows.h>

#include "wide.h"

remora_status rmr_object_open(const char *path, void **out, remora_error *err)
{
    wchar_t wide[RMR_WIDE_PATH];
    *out = NULL;
    if (!rmr_wide_path(path, wide) || GetFileAttributesW(wide) == INVALID_FILE_ATTRIBUTES)
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "module %.160s cannot be opened", path);
    *out = (void *)LoadLibraryExW(wide, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
    if (*out != NULL) return REMORA_OK;
    RMR_FAIL(err, REMORA_E_FORMAT, "module cannot be loaded: %.160s (system error %u)", path,
             (unsigned)GetLastError());
}

void *rmr_object_symbol(void *object, const char *name)
{
    const FARPROC function = GetProcAddress((HMODULE)object, name);
    void *p;
    memcpy(&p, &function, sizeof p);
    return p;
}

void rmr_object_close(void *object)
{
    FreeLibrary((HMODULE)object);
}

const char *rmr_object_here(char room[RMR_OBJECT_PATH])
{
    wchar_t wide[RMR_WIDE_PATH];
    HMODULE here;
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                                GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (const wchar_t *)(uintptr_t)rmr_object_here, &here))
        return "";
    const DWORD n = GetModuleFileNameW(here, wide, RMR_WIDE_PATH);
    if (n == 0 || n >= RMR_WIDE_PATH || !rmr_wide_to_path(wide, room, RMR_OBJECT_PATH)) return "";
    return room;
}
