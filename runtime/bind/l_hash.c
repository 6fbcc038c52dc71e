/* l_hash.c - native.hash: names by content, bytes as text, and numbers by seed. */
#include "bind/bind.h"
#include "core/base/interrupt.h"
#include "core/base/progress.h"
#include "core/base/random.h"
#include "core/base/sha256.h"
#include "core/codec/base64.h"

/* hash.sha256(bytes) -> 64 hexadecimal digits */
static int l_sha256(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  char hex[CAL_SHA256_HEX];
  cal_sha256_hex(bytes, size, hex);
  lua_pushstring(L, hex);
  return 1;
}

/* hash.base64(bytes) -> text, for data: addresses */
static int l_base64(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  cal_buffer text = {0};
  cal_base64_encode(bytes, size, &text);
  if (text.failed) return luaL_error(L, "not enough memory for %d bytes as base64", (int)size);
  return cal_push_buffer(L, &text);
}

enum { PIECE = 1 << 22 };

/* hash.file(path [, label]) -> the sha256 of a file's content | nil, message, code. With a label, a bar in MB says how far it is, and
 * Ctrl-C ends it (INTERRUPT). */
static int l_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *label = luaL_optstring(L, 2, NULL);
  cal_error err = {0};
  cal_mapping map;
  if (cal_fs_map(cal_bind_fs(L), path, &map, &err)) return cal_push_refusal(L, &err);
  cal_progress *bar = label ? cal_progress_new(label, map.size / 1000000) : NULL;
  char hex[CAL_SHA256_HEX];
  cal_sha256 hash;
  cal_sha256_start(&hash);
  cal_status status = CAL_OK;
  for (size_t at = 0; at < map.size && !status; at += PIECE) {
    size_t size = map.size - at < PIECE ? map.size - at : PIECE;
    cal_sha256_add(&hash, map.data + at, size);
    cal_fs_unneeded(&map, map.data + at, size); /* a checkpoint of gigabytes is never in memory as a whole */
    cal_progress_set(bar, (at + size) / 1000000);
    if (label) status = cal_interrupt_check(&err);
  }
  cal_sha256_end(&hash, hex);
  cal_progress_free(bar);
  cal_fs_unmap(&map);
  if (status) return cal_push_refusal(L, &err);
  lua_pushstring(L, hex);
  return 1;
}

static cal_random *check_random(lua_State *L) { return luaL_checkudata(L, 1, "calotype.random"); }

/* hash.random(seed [, stream]) -> r. The same seed and stream give the same numbers on every machine. */
static int l_random(lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1), stream = luaL_optinteger(L, 2, 0);
  cal_random *r = cal_push_shell(L, "calotype.random", sizeof *r);
  *r = cal_random_seed((uint64_t)seed, (uint64_t)stream);
  return 1;
}

static int l_uniform(lua_State *L) { /* [0, 1) */
  lua_pushnumber(L, cal_random_uniform(check_random(L)));
  return 1;
}

static int l_below(lua_State *L) { /* 0 .. n-1 */
  cal_random *r = check_random(L);
  lua_Integer bound = luaL_checkinteger(L, 2);
  luaL_argcheck(L, bound > 0, 2, "must be at least 1");
  lua_pushinteger(L, (lua_Integer)cal_random_below(r, (uint64_t)bound));
  return 1;
}

/* r:normal(count [, deviation]) -> f32 bytes of a normal distribution around 0: noise, and weights to begin with */
static int l_normal(lua_State *L) {
  cal_random *r = check_random(L);
  const lua_Integer count = luaL_checkinteger(L, 2);
  const float deviation = (float)luaL_optnumber(L, 3, 1);
  luaL_argcheck(L, count >= 0 && count <= 1 << 28, 2, "0 to 2^28 numbers");
  luaL_Buffer b;
  const size_t size = (size_t)count * sizeof(float);
  float *out = (float *)(void *)luaL_buffinitsize(L, &b, size);
  cal_random_normal_into(r, out, (size_t)count);
  for (lua_Integer i = 0; deviation != 1 && i < count; i++) out[i] *= deviation;
  luaL_pushresultsize(&b, size);
  return 1;
}

/* r:shuffle(list) -> the same list, in place (Fisher and Yates, from the end). */
static int l_shuffle(lua_State *L) {
  cal_random *r = check_random(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, 2); i > 1; i--) {
    lua_Integer j = 1 + (lua_Integer)cal_random_below(r, (uint64_t)i);
    lua_rawgeti(L, 2, i);
    lua_rawgeti(L, 2, j);
    lua_rawseti(L, 2, i);
    lua_rawseti(L, 2, j);
  }
  lua_settop(L, 2);
  return 1;
}

static int l_nothing(lua_State *L) { return (void)L, 0; }

static int l_text(lua_State *L) {
  cal_random *r = check_random(L);
  lua_pushfstring(L, "random (seed %I, stream %I)", (lua_Integer)r->seed, (lua_Integer)r->stream);
  return 1;
}

int luaopen_cal_hash(lua_State *L);
int luaopen_cal_hash(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"uniform", l_uniform}, {"below", l_below}, {"normal", l_normal}, {"shuffle", l_shuffle}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"sha256", l_sha256}, {"base64", l_base64}, {"file", l_file}, {"random", l_random}, {NULL, NULL}};
  cal_register_type(L, "calotype.random", methods, l_nothing, l_text);
  luaL_newlib(L, functions);
  return 1;
}
