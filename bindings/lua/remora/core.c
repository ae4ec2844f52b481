/* SPDX-License-Identifier: Apache-2.0 */
/* The C module of the binding for plain Lua 5.4: memory, typed reads and writes, calls, handles that the collector frees, and
 * callbacks that run functions of Lua. Each call and callback is in core_calls.h, which is generated.
 *
 *     cc -shared -fPIC -o core.so core.c $(pkg-config --cflags lua5.4) $(pkg-config --cflags --libs remora) */
#include <lauxlib.h>
#include <lua.h>
#include <remora/remora.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define HANDLE "remora.handle"

typedef struct freeing {
    const char *name;
    void (*drop)(void *p);
} freeing;

typedef struct handle {
    void *p;
    void (*drop)(void *p);
} handle;

/* The state that is inside a call of the library on this thread: callbacks run in it. NULL on a thread of the library's. */
static _Thread_local lua_State *running;
/* Where the functions of Lua that callbacks run are kept in the registry. */
static const char handlers_key;

static lua_State *enter_call(lua_State *L)
{
    lua_State *before = running;
    luaL_checkstack(L, 20, "a call of remora");
    running = L;
    return before;
}

static void leave_call(lua_State *before)
{
    running = before;
}

static void push_pointer(lua_State *L, const void *p)
{
    if (p)
        lua_pushlightuserdata(L, (void *)p);
    else
        lua_pushnil(L);
}

/* nil is NULL; a string its bytes; a handle what it holds; other memory itself. */
static void *pointer_at(lua_State *L, int i)
{
    handle *h;
    switch (lua_type(L, i)) {
    case LUA_TNONE:
    case LUA_TNIL: return NULL;
    case LUA_TSTRING: return (void *)lua_tostring(L, i);
    case LUA_TLIGHTUSERDATA: return lua_touserdata(L, i);
    case LUA_TUSERDATA:
        h = luaL_testudata(L, i, HANDLE);
        return h ? h->p : lua_touserdata(L, i);
    default: break;
    }
    luaL_argerror(L, i, "memory, a handle or a string expected");
    return NULL;
}

/* ---- memory */

static int core_new(lua_State *L)
{
    const lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 0, 1, "a size");
    memset(lua_newuserdatauv(L, (size_t)n + !n, 0), 0, (size_t)n + !n);
    return 1;
}

/* Where n bytes from offset `at` of the memory in argument 1 begin; memory of our own is looked at for its size. */
static char *place(lua_State *L, lua_Integer at, size_t n)
{
    char *p = pointer_at(L, 1);
    luaL_argcheck(L, p && at >= 0, 1, "there is no memory");
    if (lua_type(L, 1) == LUA_TUSERDATA && !luaL_testudata(L, 1, HANDLE))
        luaL_argcheck(L, (lua_Unsigned)at + n <= lua_rawlen(L, 1), 2, "outside of the memory");
    return p + at;
}

static size_t size_of(lua_State *L, char code)
{
    switch (code) {
    case 'c': return 1;
    case 'i':
    case 'I':
    case 'f': return 4;
    case 'l':
    case 'd':
    case 'p': return 8;
    default: return (size_t)luaL_argerror(L, 3, "no such type");
    }
}

static int core_get(lua_State *L)
{
    const char code = *luaL_checkstring(L, 3);
    const char *from = place(L, luaL_checkinteger(L, 2), size_of(L, code));
    union {
        unsigned char c;
        int32_t i;
        uint32_t u;
        int64_t l;
        float f;
        double d;
        void *p;
    } x;
    memcpy(&x, from, size_of(L, code));
    switch (code) {
    case 'c': lua_pushinteger(L, x.c); break;
    case 'i': lua_pushinteger(L, x.i); break;
    case 'I': lua_pushinteger(L, x.u); break;
    case 'l': lua_pushinteger(L, x.l); break;
    case 'f': lua_pushnumber(L, (lua_Number)x.f); break;
    case 'd': lua_pushnumber(L, x.d); break;
    default: push_pointer(L, x.p); break;
    }
    return 1;
}

static int core_set(lua_State *L)
{
    const char code = *luaL_checkstring(L, 3);
    char *to = place(L, luaL_checkinteger(L, 2), size_of(L, code));
    union {
        unsigned char c;
        uint32_t u;
        int64_t l;
        float f;
        double d;
        void *p;
    } x;
    switch (code) {
    case 'c': x.c = (unsigned char)luaL_checkinteger(L, 4); break;
    case 'i':
    case 'I': x.u = (uint32_t)luaL_checkinteger(L, 4); break;
    case 'l': x.l = luaL_checkinteger(L, 4); break;
    case 'f': x.f = (float)luaL_checknumber(L, 4); break;
    case 'd': x.d = luaL_checknumber(L, 4); break;
    default: x.p = pointer_at(L, 4); break;
    }
    memcpy(to, &x, size_of(L, code));
    return 0;
}

/* string(p): up to the NUL; string(p, n). */
static int core_string(lua_State *L)
{
    const size_t n = (size_t)luaL_optinteger(L, 2, 0);
    const char *p = place(L, 0, n);
    lua_pushlstring(L, p, lua_isnoneornil(L, 2) ? strlen(p) : n);
    return 1;
}

static int core_string_at(lua_State *L)
{
    const size_t n = (size_t)luaL_checkinteger(L, 3);
    lua_pushlstring(L, place(L, luaL_checkinteger(L, 2), n), n);
    return 1;
}

static int core_copy(lua_State *L)
{
    size_t n;
    const char *s = luaL_checklstring(L, 2, &n);
    memcpy(place(L, 0, n), s, n);
    return 0;
}

static int core_address(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)(uintptr_t)pointer_at(L, 1));
    return 1;
}

static int core_pointer(lua_State *L)
{
    push_pointer(L, (void *)(uintptr_t)luaL_checkinteger(L, 1));
    return 1;
}

/* ---- callbacks */

/* The function of Lua for a callback, and `user` as a number, on the stack of the state that is inside a call. */
static lua_State *enter_callback(const char *name, void *user)
{
    lua_State *L = running;
    if (!L || !lua_checkstack(L, 20)) return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handlers_key);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    lua_pushinteger(L, (lua_Integer)(uintptr_t)user);
    return L;
}

/* Run it with n arguments. It catches what the program throws; what is left is running out of memory: `fails`. */
static lua_Integer leave_callback(lua_State *L, int n, lua_Integer fails)
{
    lua_Integer got = fails;
    if (lua_pcall(L, n, 1, 0) == LUA_OK && lua_isinteger(L, -1)) got = lua_tointeger(L, -1);
    lua_pop(L, 1);
    running = L;
    return got;
}

static void set_trampoline(lua_State *L, const char *name, void (*f)(void))
{
    void *p;
    memcpy(&p, &f, sizeof p);
    lua_pushlightuserdata(L, p);
    lua_setfield(L, -2, name);
}

#include "core_calls.h"

/* ---- handles */

/* own(pointer, "remora_model_free") */
static int core_own(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    void *p = pointer_at(L, 1);
    for (size_t i = 0; i < sizeof frees / sizeof frees[0]; i++) {
        if (strcmp(frees[i].name, name)) continue;
        handle *h = lua_newuserdatauv(L, sizeof *h, 0);
        *h = (handle){p, frees[i].drop};
        luaL_setmetatable(L, HANDLE);
        return 1;
    }
    return luaL_argerror(L, 2, "no such function");
}

static int core_free(lua_State *L)
{
    handle *h = luaL_checkudata(L, 1, HANDLE);
    void *p = h->p;
    lua_State *before = enter_call(L);
    h->p = NULL;
    if (p) h->drop(p);
    leave_call(before);
    return 0;
}

static const luaL_Reg functions[] = {
    {"new", core_new},
    {"get", core_get},
    {"set", core_set},
    {"string", core_string},
    {"string_at", core_string_at},
    {"copy", core_copy},
    {"address", core_address},
    {"pointer", core_pointer},
    {"own", core_own},
    {"free", core_free},
    {NULL, NULL},
};

EXPORT int luaopen_remora_core(lua_State *L);
EXPORT int luaopen_remora_core(lua_State *L)
{
    luaL_checkversion(L);
    luaL_newmetatable(L, HANDLE);
    lua_pushcfunction(L, core_free);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, functions);
    luaL_newlib(L, calls);
    lua_setfield(L, -2, "calls");
    lua_newtable(L);
    push_trampolines(L);
    lua_setfield(L, -2, "trampolines");
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handlers_key);
    lua_setfield(L, -2, "handlers");
    return 1;
}
