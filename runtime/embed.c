/* embed.c - the build's helper: turns stdlib, scripts and kernels into C arrays. Not part of the program.
 *
 *   embed OUT.c stdlib/recipe/schema.lua ... scripts/train_tiny_base.lua ... runtime/core/cl/kernels/matmul.cl ...
 *
 * A .lua file is compiled by the Lua it is linked with (line numbers kept, for error messages); others go in as text. Of a script that
 * is a command (scripts/NAME.lua) the comment that it opens with goes in too: `calotype help` shows it. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;
static size_t written;

static void put(const unsigned char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) fprintf(out, "%u,%s", bytes[i], written++ % 32 == 31 ? "\n" : "");
}

static int writer(lua_State *L, const void *bytes, size_t size, void *unused) {
  (void)L;
  (void)unused;
  put(bytes, size);
  return 0;
}

static int put_lua(lua_State *L, const char *path) {
  char chunk[4096];
  snprintf(chunk, sizeof chunk, "@%s", path);
  FILE *in = fopen(path, "rb");
  if (!in) return perror(path), 1;
  size_t room = 1 << 20, size;
  char *text = malloc(room);
  size = text ? fread(text, 1, room, in) : room;
  fclose(in);
  int bad = size == room || luaL_loadbufferx(L, text, size, chunk, "t") != LUA_OK;
  if (bad) fprintf(stderr, "embed: %s: %s\n", path, size == room ? "too large" : lua_tostring(L, -1));
  else lua_dump(L, writer, NULL, 0);
  lua_settop(L, 0);
  free(text);
  return bad;
}

static int put_text(const char *path) {
  unsigned char block[4096];
  size_t size;
  FILE *in = fopen(path, "rb");
  if (!in) return perror(path), 1;
  while ((size = fread(block, 1, sizeof block, in)) > 0) put(block, size);
  fclose(in);
  return 0;
}

/* NAME of scripts/NAME.lua; false for every other file. */
static bool script_name(const char *path, char *name, size_t room) {
  const size_t size = strlen(path);
  if (strncmp(path, "scripts/", 8) || size < 13 || size - 12 >= room || strcmp(path + size - 4, ".lua") || strchr(path + 8, '/'))
    return false;
  memcpy(name, path + 8, size - 12);
  name[size - 12] = 0;
  return true;
}

static int put_header(const char *path) {
  char line[4096];
  FILE *in = fopen(path, "rb");
  if (!in) return perror(path), 1;
  while (fgets(line, sizeof line, in) && !strncmp(line, "--", 2)) {
    const char *text = line + (line[2] == ' ' ? 3 : 2);
    put((const unsigned char *)text, strlen(text));
  }
  fclose(in);
  return 0;
}

int main(int count, char **args) {
  char script[256];
  if (count < 2) return fprintf(stderr, "usage: embed OUT.c FILE ...\n"), 2;
  char partial[4096];
  snprintf(partial, sizeof partial, "%s.tmp", args[1]);
  out = fopen(partial, "w");
  if (!out) return perror(partial), 1;
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  fprintf(out, "/* made by embed; do not edit */\n#include \"bind/embedded.h\"\n");
  for (int i = 2; i < count; i++) {
    size_t length = strlen(args[i]);
    fprintf(out, "static const unsigned char file_%d[] = {\n", i);
    written = 0;
    if (length > 4 && !strcmp(args[i] + length - 4, ".lua") ? put_lua(L, args[i]) : put_text(args[i])) return 1;
    fprintf(out, "0};\nenum { SIZE_%d = %zu };\n", i, written);
    if (!script_name(args[i], script, sizeof script)) continue;
    fprintf(out, "static const char header_%d[] = {\n", i);
    if (put_header(args[i])) return 1;
    fprintf(out, "0};\n");
  }
  fprintf(out, "const cal_embedded cal_embedded_files[] = {\n");
  for (int i = 2; i < count; i++) {
    fprintf(out, "  {\"%s\", file_%d, SIZE_%d, ", args[i], i, i);
    if (script_name(args[i], script, sizeof script)) fprintf(out, "\"%s\", header_%d},\n", script, i);
    else fprintf(out, "NULL, NULL},\n");
  }
  fprintf(out, "  {0}};\n");
  lua_close(L);
  if (fclose(out) != 0 || rename(partial, args[1]) != 0) return perror(args[1]), 1;
  return 0;
}
