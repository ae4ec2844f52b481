/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

#include <windows.h>

static DWORD WINAPI run(void *arg)
{
    const rmr_thread *const t = arg;
    (void)rmr_fpenv_enter(); /* it has Windows' own, with an x87 of 53 bits */
    rmr_fpenv_leave(t->mode);
    t->fn(t->arg);
    return 0;
}

int rmr_thread_start(rmr_thread *t, void (*fn)(void *arg), void *arg)
{
    t->fn = fn;
    t->arg = arg;
    t->mode = rmr_fpenv_enter();
    rmr_fpenv_leave(t->mode);
    t->handle = (uintptr_t)CreateThread(NULL, 0, run, t, 0, NULL);
    return t->handle != 0;
}

void rmr_thread_join(rmr_thread *t)
{
    WaitForSingleObject((HANDLE)t->handle, INFINITE);
    CloseHandle((HANDLE)t->handle);
}

uintptr_t rmr_thread_self(void)
{
    return GetCurrentThreadId();
}
