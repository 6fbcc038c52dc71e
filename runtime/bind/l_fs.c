/* l_fs.c - native.fs: files below the granted roots. */
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"

#define LOCK "calotype.lock"

static unsigned check_rights(lua_State *L, int arg) {
  static const char *const names[] = {"read", "write", NULL};
  return cal_check_choice(L, arg, "read", names) ? CAL_FS_READ | CAL_FS_WRITE : CAL_FS_READ;
}

/* fs.grant(path, "read" | "write") -> true | nil, message, code. "write" allows reading too. */
static int l_grant(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_grant(cal_bind_fs(L), luaL_checkstring(L, 1), check_rights(L, 2), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_allows(lua_State *L) {
  lua_pushboolean(L, cal_fs_allows(cal_bind_fs(L), luaL_checkstring(L, 1), check_rights(L, 2)));
  return 1;
}

static int l_absolute(lua_State *L) {
  cal_error err = {0};
  char *path = cal_fs_absolute(cal_bind_fs(L), luaL_checkstring(L, 1), &err);
  if (!path) return cal_push_refusal(L, &err);
  cal_buffer b = {.data = path, .size = strlen(path), .capacity = strlen(path) + 1};
  return cal_push_buffer(L, &b);
}

/* fs.real(path) -> absolute path without links, of what is there and granted | nil, message, code */
static int l_real(lua_State *L) {
  cal_error err = {0};
  char *path = cal_fs_real(cal_bind_fs(L), luaL_checkstring(L, 1), &err);
  if (!path) return cal_push_refusal(L, &err);
  cal_buffer b = {.data = path, .size = strlen(path), .capacity = strlen(path) + 1};
  return cal_push_buffer(L, &b);
}

static int l_read(lua_State *L) {
  cal_error err = {0};
  cal_buffer bytes = {0};
  if (cal_fs_read(cal_bind_fs(L), luaL_checkstring(L, 1), (uint64_t)luaL_optinteger(L, 2, 0), &bytes, &err)) {
    cal_buffer_free(&bytes);
    return cal_push_refusal(L, &err);
  }
  return cal_push_buffer(L, &bytes);
}

static int l_write(lua_State *L) {
  cal_error err = {0};
  size_t size;
  const char *path = luaL_checkstring(L, 1), *bytes = luaL_checklstring(L, 2, &size);
  if (cal_fs_write(cal_bind_fs(L), path, bytes, size, &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.stage(path, text) -> the hidden file beside it that has the text | nil, message, code. fs.rename gives it its place. */
static int l_stage(lua_State *L) {
  cal_error err = {0};
  cal_buffer staged = {0};
  size_t size;
  const char *path = luaL_checkstring(L, 1), *bytes = luaL_checklstring(L, 2, &size);
  if (cal_fs_stage(cal_bind_fs(L), path, bytes, size, &staged, &err)) {
    cal_buffer_free(&staged);
    return cal_push_refusal(L, &err);
  }
  return cal_push_buffer(L, &staged);
}

/* fs.rename(from, to) -> true | nil, message, code. A file that is there is replaced, in one step. */
static int l_rename(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_rename(cal_bind_fs(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static void push_info(lua_State *L, const cal_fs_info *info) {
  static const char *const kinds[] = {"file", "folder", "other"};
  lua_createtable(L, 0, 4);
  if (info->path) lua_pushstring(L, info->path), lua_setfield(L, -2, "path");
  lua_pushstring(L, kinds[info->kind]);
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, (lua_Integer)info->size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, info->mtime_ns);
  lua_setfield(L, -2, "mtime_ns");
}

/* fs.stat(path) -> { kind, size, mtime_ns, stamp } | nil, message, code. stamp: a text that is another one when another file lies there, or
 * when it was changed in any way, its old time put back or not. */
static int l_stat(lua_State *L) {
  cal_error err = {0};
  cal_fs_info info = {0};
  if (cal_fs_stat(cal_bind_fs(L), luaL_checkstring(L, 1), &info, &err)) return cal_push_refusal(L, &err);
  push_info(L, &info);
  lua_pushfstring(L, "%I:%I:%I:%I:%I", (lua_Integer)info.device, (lua_Integer)info.inode, (lua_Integer)info.size,
                  (lua_Integer)info.mtime_ns, (lua_Integer)info.ctime_ns);
  lua_setfield(L, -2, "stamp");
  return 1;
}

/* The list lives in a shell while Lua tables are made: a raise for lack of memory frees it. */
typedef struct {
  cal_fs_info *items;
  size_t count;
} listing;

static int l_listing_free(lua_State *L) {
  listing *l = lua_touserdata(L, 1);
  cal_fs_list_free(l->items, l->count);
  *l = (listing){0};
  return 0;
}

static int l_listing_text(lua_State *L) {
  lua_pushliteral(L, "listing");
  return 1;
}

/* fs.list(folder [, recursive]) -> { {path, kind, size, mtime_ns}, ... } sorted by path. */
static int l_list(lua_State *L) {
  cal_error err = {0};
  const char *folder = luaL_checkstring(L, 1);
  const bool recursive = lua_toboolean(L, 2);
  listing *l = cal_push_shell(L, "calotype.listing", sizeof *l);
  if (cal_fs_list(cal_bind_fs(L), folder, recursive, &l->items, &l->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)l->count, 0);
  for (size_t i = 0; i < l->count; i++) {
    push_info(L, &l->items[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int l_make_folder(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_make_folder(cal_bind_fs(L), luaL_checkstring(L, 1), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.writable(path [, folder]) -> true | nil, message, code: whether it could be written now. Nothing is made. */
static int l_writable(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_writable(cal_bind_fs(L), luaL_checkstring(L, 1), lua_toboolean(L, 2), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.nearest(path) -> the path that was meant, where one is there beside it | nil. For messages. */
static int l_nearest(lua_State *L) {
  char *path = cal_fs_nearest(cal_bind_fs(L), luaL_checkstring(L, 1));
  if (!path) return lua_pushnil(L), 1;
  cal_buffer b = {.data = path, .size = strlen(path), .capacity = strlen(path) + 1};
  return cal_push_buffer(L, &b);
}

static int l_remove(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_remove(cal_bind_fs(L), luaL_checkstring(L, 1), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.remove_left(path) -> whether it was what a killed write left, and went | nil, message, code */
static int l_remove_left(lua_State *L) {
  cal_error err = {0};
  bool removed = false;
  if (cal_fs_remove_left(cal_bind_fs(L), luaL_checkstring(L, 1), &removed, &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, removed);
  return 1;
}

/* fs.move(from, to) -> true | nil, message, code; "BUSY" when `to` is there already. */
static int l_move(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_move(cal_bind_fs(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.remove_folder(path) -> true | nil, message, code; "ARG" when something is in it. */
static int l_remove_folder(lua_State *L) {
  cal_error err = {0};
  if (cal_fs_remove_folder(cal_bind_fs(L), luaL_checkstring(L, 1), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.lock(folder) -> lock, let go by close or at the end of its block | nil, message, "BUSY": another process has it. */
static int l_lock(lua_State *L) {
  cal_error err = {0};
  const char *folder = luaL_checkstring(L, 1);
  int *fd = cal_push_shell(L, LOCK, sizeof *fd);
  *fd = cal_fs_lock(cal_bind_fs(L), folder, &err) + 1; /* 0: let go */
  return *fd ? 1 : cal_push_refusal(L, &err);
}

static int l_lock_close(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, LOCK);
  if (*fd) close(*fd - 1);
  *fd = 0;
  return 0;
}

static int l_lock_text(lua_State *L) {
  lua_pushliteral(L, "lock");
  return 1;
}

int luaopen_cal_fs(lua_State *L);
int luaopen_cal_fs(lua_State *L) {
  static const luaL_Reg functions[] = {{"grant", l_grant},
                                       {"allows", l_allows},
                                       {"absolute", l_absolute},
                                       {"real", l_real},
                                       {"read", l_read},
                                       {"write", l_write},
                                       {"stage", l_stage},
                                       {"rename", l_rename},
                                       {"stat", l_stat},
                                       {"list", l_list},
                                       {"make_folder", l_make_folder},
                                       {"remove", l_remove},
                                       {"remove_left", l_remove_left},
                                       {"move", l_move},
                                       {"remove_folder", l_remove_folder},
                                       {"writable", l_writable},
                                       {"nearest", l_nearest},
                                       {"lock", l_lock},
                                       {NULL, NULL}};
  cal_register_type(L, "calotype.listing", (const luaL_Reg[]){{NULL, NULL}}, l_listing_free, l_listing_text);
  cal_register_type(L, LOCK, (const luaL_Reg[]){{"close", l_lock_close}, {NULL, NULL}}, l_lock_close, l_lock_text);
  luaL_newlib(L, functions);
  return 1;
}
