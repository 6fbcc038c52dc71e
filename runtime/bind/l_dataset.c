/* l_dataset.c - native.dataset: what a folder of pictures is made of. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/push.h"
#include "core/dataset/bucket.h"
#include "core/dataset/duplicate.h"
#include "core/dataset/scan.h"
#include "core/dataset/sidecar.h"

/* A native block that outlives a raise: freed by its shell. */
#define DUPLICATES "calotype.duplicates"
#define BLOCK "calotype.block"

static int l_block_free(lua_State *L) {
  void **shell = lua_touserdata(L, 1);
  cal_free(*shell);
  *shell = NULL;
  return 0;
}

static int l_duplicates_free(lua_State *L) {
  cal_duplicates_free(lua_touserdata(L, 1));
  return 0;
}

static int l_text(lua_State *L) {
  lua_pushliteral(L, "dataset");
  return 1;
}

/* ---- scan ---- */

#define SCAN "calotype.scan"

typedef struct {
  cal_scan scan;
  cal_json *measures; /* of the file whose record is being made */
} scan_shell;

static int l_scan_free(lua_State *L) {
  scan_shell *shell = lua_touserdata(L, 1);
  cal_scan_free(&shell->scan);
  cal_json_free(shell->measures);
  shell->measures = NULL;
  return 0;
}

static void push_record(lua_State *L, scan_shell *shell, size_t i) {
  const cal_scan_item *item = &shell->scan.items[i];
  if (item->measures) {
    cal_error err = {0};
    shell->measures = cal_json_parse(item->measures, strlen(item->measures), &err);
    if (!shell->measures) cal_raise(L, &err);
    cal_push_json(L, shell->measures);
    cal_json_free(shell->measures);
    shell->measures = NULL;
  } else {
    lua_createtable(L, 0, 5);
    lua_pushstring(L, item->error ? item->error : "not enough memory");
    lua_setfield(L, -2, "error");
    lua_pushstring(L, cal_status_name(item->code));
    lua_setfield(L, -2, "code");
  }
  lua_rawgeti(L, 2, (lua_Integer)i + 1);
  lua_setfield(L, -2, "path");
  if (!*item->sha) return;
  lua_pushstring(L, item->sha);
  lua_setfield(L, -2, "sha256");
  lua_pushinteger(L, (lua_Integer)item->size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, item->mtime_ns);
  lua_setfield(L, -2, "mtime_ns");
}

static void set_count(lua_State *L, const char *key, size_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, key);
}

/* dataset.scan(store, {path, ...} [, {label =}]) -> records, {files =, hashed =, measured =, new =} | nil, message, code
 * A record: path, sha256, size, mtime_ns, width, height, format, orientation, phash, phashes, brightness, entropy, sharpness, alpha,
 * gray, thumb (a blob's sha256), profile (a colour profile's name, when it is not sRGB's); of a file that cannot be used: path, error,
 * code. The counts are of work really done; `new` are those of the measured that are good. */
static int l_scan(lua_State *L) {
  cal_store **store = luaL_checkudata(L, 1, "calotype.store");
  if (!*store) return luaL_error(L, "the store is closed");
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *label = cal_option_text(L, 3, "label", NULL);
  lua_settop(L, 3);
  size_t count = lua_rawlen(L, 2);
  cal_error err = {0};
  void **block = cal_push_shell(L, BLOCK, sizeof *block);
  const char **paths = *block = cal_alloc(count * sizeof *paths, &err);
  if (!paths) return cal_push_refusal(L, &err);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TSTRING) return luaL_error(L, "path %d is not a string", (int)i + 1);
    paths[i] = lua_tostring(L, -1); /* the table holds it */
    lua_pop(L, 1);
  }
  scan_shell *shell = cal_push_shell(L, SCAN, sizeof *shell);
  if (cal_scan_files(cal_bind_fs(L), *store, paths, count, label, &shell->scan, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_record(L, shell, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_createtable(L, 0, 3);
  set_count(L, "files", count);
  set_count(L, "hashed", shell->scan.hashed);
  set_count(L, "measured", shell->scan.measured);
  set_count(L, "new", shell->scan.new);
  return 2;
}

/* ---- duplicates ---- */

static uint64_t check_hash(lua_State *L, lua_Integer i) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) luaL_error(L, "picture %I: a hash is 16 hexadecimal digits", i);
  return strtoull(text, NULL, 16);
}

/* The item on top of the stack: "hex", or {"hex" (1 or 8 times), sha256 = "..."}. Its texts live in the argument. */
static void take_item(lua_State *L, lua_Integer i, cal_duplicate_item *item) {
  *item = (cal_duplicate_item){.count = 1};
  if (lua_type(L, -1) != LUA_TTABLE) {
    item->variants[0] = check_hash(L, i);
    return;
  }
  item->count = (int)lua_rawlen(L, -1);
  if (item->count != 1 && item->count != CAL_VARIANTS) luaL_error(L, "picture %I: 1 or 8 hashes are needed, not %d", i, item->count);
  for (int v = 0; v < item->count; v++) {
    lua_rawgeti(L, -1, v + 1);
    item->variants[v] = check_hash(L, i);
    lua_pop(L, 1);
  }
  if (lua_getfield(L, -1, "sha256") == LUA_TSTRING) item->sha = lua_tostring(L, -1);
  lua_pop(L, 1);
}

/* found:pair(i, j) -> distance, "same" | "flip" ..., how picture j looks like picture i < j | nil: they are linked through others only. */
static int l_pair(lua_State *L) {
  const cal_duplicates *found = luaL_checkudata(L, 1, DUPLICATES);
  const lua_Integer i = luaL_checkinteger(L, 2), j = luaL_checkinteger(L, 3);
  if (i < 1 || j < 1 || i > UINT32_MAX || j > UINT32_MAX) return 0;
  const cal_duplicate_pair *pair = cal_duplicates_pair(found, (uint32_t)(i - 1), (uint32_t)(j - 1));
  if (!pair) return 0;
  lua_pushinteger(L, pair->distance);
  lua_pushstring(L, cal_image_transform_name(pair->transform));
  return 2;
}

/* found:count() -> of all pairs */
static int l_pairs(lua_State *L) {
  const cal_duplicates *found = luaL_checkudata(L, 1, DUPLICATES);
  lua_pushinteger(L, (lua_Integer)found->pair_count);
  return 1;
}

/* dataset.duplicates({ "hex" | {8 x "hex", sha256 =}, ... } [, {distance = 4, flips = true}])
 *   -> groups { {i, j, ...}, ... }, found: the pairs, which may be millions and stay native | nil, message, code */
static int l_duplicates(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer distance = cal_option_integer(L, 2, "distance", 4);
  bool flips = cal_option_boolean(L, 2, "flips", 1);
  size_t count = lua_rawlen(L, 1);
  if (distance < 0 || distance > 31) return luaL_error(L, "option 'distance': 0 to 31 bits, not %I", distance);
  cal_error err = {0};
  void **block = cal_push_shell(L, BLOCK, sizeof *block);
  cal_duplicate_item *items = *block = cal_alloc(count * sizeof *items, &err);
  if (!items) return cal_push_refusal(L, &err);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    take_item(L, (lua_Integer)i + 1, &items[i]);
    lua_pop(L, 1);
  }
  cal_duplicates *found = cal_push_shell(L, DUPLICATES, sizeof *found);
  cal_progress *progress = cal_progress_new("comparing", 0);
  cal_status status = cal_duplicates_find(items, count, (int)distance, flips, progress, found, &err);
  cal_progress_free(progress);
  if (status) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)found->group_count, 0);
  for (size_t g = 0; g < found->group_count; g++) {
    size_t from = found->starts[g], to = found->starts[g + 1];
    lua_createtable(L, (int)(to - from), 0);
    for (size_t k = from; k < to; k++) {
      lua_pushinteger(L, (lua_Integer)found->members[k] + 1);
      lua_rawseti(L, -2, (lua_Integer)(k - from) + 1);
    }
    lua_rawseti(L, -2, (lua_Integer)g + 1);
  }
  lua_pushvalue(L, -2);
  return 2;
}

/* ---- buckets ---- */

static int side(lua_State *L, int index, const char *key, int otherwise) {
  lua_Integer value = cal_option_integer(L, index, key, otherwise);
  if (value < 0 || value > INT32_MAX) luaL_error(L, "option '%s': %I is no size", key, value);
  return (int)value;
}

static cal_bucket_rule check_rule(lua_State *L, int index) {
  return (cal_bucket_rule){side(L, index, "resolution", 512), side(L, index, "min", 0), side(L, index, "max", 0),
                           side(L, index, "step", 0)};
}

/* dataset.buckets{resolution = 512, min = 256, max = 1024, step = 64} -> { {w, h}, ... } */
static int l_buckets(lua_State *L) {
  cal_bucket_rule rule = check_rule(L, 1);
  cal_error err = {0};
  size_t count;
  void **block = cal_push_shell(L, BLOCK, sizeof *block);
  cal_bucket *list = NULL;
  if (cal_buckets_make(&rule, &list, &count, &err)) return cal_push_refusal(L, &err);
  *block = list;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, list[i].width);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, list[i].height);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int list_side(lua_State *L, lua_Integer i, int place) {
  int fits = 0;
  lua_rawgeti(L, -1, place);
  lua_Integer value = lua_tointegerx(L, -1, &fits);
  if (!fits || value < 1 || value > INT32_MAX) luaL_error(L, "bucket %I: {width, height} expected", i);
  lua_pop(L, 1);
  return (int)value;
}

static void set_integer(lua_State *L, const char *key, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

/* dataset.bucket(w, h, list | {resolution =, min =, max =, step =, upscale = true})
 *   -> { width, height, scale_width, scale_height, crop_x, crop_y } | nil, message, code */
static int l_bucket(lua_State *L) {
  lua_Integer width = luaL_checkinteger(L, 1), height = luaL_checkinteger(L, 2);
  luaL_argcheck(L, width >= 1 && width <= INT32_MAX, 1, "is no size");
  luaL_argcheck(L, height >= 1 && height <= INT32_MAX, 2, "is no size");
  luaL_checktype(L, 3, LUA_TTABLE);
  cal_error err = {0};
  cal_bucket_place place;
  cal_status status;
  size_t count = lua_rawlen(L, 3);
  void **block = cal_push_shell(L, BLOCK, sizeof *block);
  cal_bucket *list = NULL;
  if (count) {
    list = *block = cal_alloc(count * sizeof *list, &err);
    if (!list) return cal_push_refusal(L, &err);
    for (size_t i = 0; i < count; i++) {
      lua_Integer place_of = (lua_Integer)i + 1;
      if (lua_rawgeti(L, 3, place_of) != LUA_TTABLE) return luaL_error(L, "bucket %I: {width, height} expected", place_of);
      list[i] = (cal_bucket){list_side(L, place_of, 1), list_side(L, place_of, 2)};
      lua_pop(L, 1);
    }
    status = cal_bucket_choose((int)width, (int)height, list, count, &place, &err);
  } else {
    cal_bucket_rule rule = check_rule(L, 3);
    if (!cal_option_boolean(L, 3, "upscale", 1)) {
      status = cal_bucket_fit((int)width, (int)height, &rule, &place, &err);
    } else {
      status = cal_buckets_make(&rule, &list, &count, &err);
      *block = list;
      if (!status) status = cal_bucket_choose((int)width, (int)height, list, count, &place, &err);
    }
  }
  if (status) return cal_push_refusal(L, &err);
  lua_createtable(L, 0, 6);
  set_integer(L, "width", place.width);
  set_integer(L, "height", place.height);
  set_integer(L, "scale_width", place.scale_width);
  set_integer(L, "scale_height", place.scale_height);
  set_integer(L, "crop_x", place.crop_x);
  set_integer(L, "crop_y", place.crop_y);
  return 1;
}

/* ---- sidecars ---- */

/* dataset.sidecar(picture) -> {text =, path =} | nil (there is none) | nil, message, code */
static int l_sidecar(lua_State *L) {
  const char *picture = luaL_checkstring(L, 1);
  cal_error err = {0};
  cal_buffer text = {0};
  char *path = NULL;
  void **block = cal_push_shell(L, BLOCK, sizeof *block);
  cal_status status = cal_sidecar_read(cal_bind_fs(L), picture, &text, &path, &err);
  *block = path;
  if (status || !path) {
    cal_buffer_free(&text);
    if (status) return cal_push_refusal(L, &err);
    lua_pushnil(L);
    return 1;
  }
  cal_push_buffer(L, &text);
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "text");
  lua_pushstring(L, path);
  lua_setfield(L, -2, "path");
  return 1;
}

int luaopen_cal_dataset(lua_State *L);
int luaopen_cal_dataset(lua_State *L) {
  static const luaL_Reg functions[] = {{"duplicates", l_duplicates}, {"buckets", l_buckets}, {"bucket", l_bucket},
                                       {"sidecar", l_sidecar},       {"scan", l_scan},       {NULL, NULL}};
  cal_register_type(L, BLOCK, (const luaL_Reg[]){{NULL, NULL}}, l_block_free, l_text);
  cal_register_type(L, SCAN, (const luaL_Reg[]){{NULL, NULL}}, l_scan_free, l_text);
  cal_register_type(L, DUPLICATES, (const luaL_Reg[]){{"pair", l_pair}, {"count", l_pairs}, {NULL, NULL}}, l_duplicates_free, l_text);
  luaL_newlib(L, functions);
  return 1;
}
