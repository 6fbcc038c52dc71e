#include "core/window/fonts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/fs.h"
#include "core/base/memory.h"

static const char *const plain[] = {"DejaVuSans.ttf",
                                    "NotoSans-Regular.ttf",
                                    "LiberationSans-Regular.ttf",
                                    "HelveticaNeue.ttc",
                                    "Helvetica.ttc",
                                    "Arial.ttf",
                                    "NotoSansCJK-Regular.ttc",
                                    "NotoSansCJKsc-Regular.otf",
                                    "wqy-microhei.ttc",
                                    "wqy-zenhei.ttc",
                                    "DroidSansFallbackFull.ttf",
                                    "DroidSansFallback.ttf",
                                    "PingFang.ttc",
                                    "Hiragino Sans GB.ttc",
                                    "AppleSDGothicNeo.ttc",
                                    "Arial Unicode.ttf",
                                    "NotoSansSymbols-Regular.ttf",
                                    "NotoSansSymbols2-Regular.ttf",
                                    "NotoColorEmoji.ttf",
                                    "Apple Color Emoji.ttc",
                                    NULL};
static const char *const bold[] = {"DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf",    "LiberationSans-Bold.ttf",
                                   "Arial Bold.ttf",      "NotoSansCJK-Bold.ttc", NULL};
static const char *const mono[] = {"DejaVuSansMono.ttf", "NotoSansMono-Regular.ttf", "LiberationMono-Regular.ttf",
                                   "Menlo.ttc",          "Courier New.ttf",          NULL};
static const char *const bold_mono[] = {"DejaVuSansMono-Bold.ttf", "NotoSansMono-Bold.ttf", "LiberationMono-Bold.ttf",
                                        "Courier New Bold.ttf", NULL};
static const char *const *const own[CAL_FONT_STYLES] = {NULL, bold, mono, bold_mono};

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool is_font(const char *path) {
  const char *dot = strrchr(base_name(path), '.');
  return dot && (strcasecmp(dot, ".ttf") == 0 || strcasecmp(dot, ".otf") == 0 || strcasecmp(dot, ".ttc") == 0);
}

/* Of a family's many files the upright one. */
static bool is_plain(const char *path) {
  static const char *const others[] = {"Bold",  "Italic", "Oblique", "Light", "Thin", "Condensed", "Black",
                                       "Serif", "Medium", "Heavy",   "Mono",  "Math", "Semi",      NULL};
  for (int i = 0; others[i]; i++)
    if (strcasestr(base_name(path), others[i])) return false;
  return true;
}

/* Noto's CJK collections: the same Han letters as Japanese, Korean, simplified and traditional Chinese, and Hong Kong's write them. Their
 * .otf files are of one language each. */
static long face_for(const char *path) {
  const char *name = base_name(path);
  if (!strstr(name, "CJK") || !strcasestr(name, ".ttc")) return 0;
  const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"}, *language = "";
  for (int i = 0; i < 3 && !*language; i++) language = getenv(names[i]) ? getenv(names[i]) : "";
  if (strncmp(language, "ko", 2) == 0) return 1;
  if (strncmp(language, "zh_HK", 5) == 0) return 4;
  if (strncmp(language, "zh_TW", 5) == 0) return 3;
  return strncmp(language, "zh", 2) == 0 ? 2 : 0;
}

typedef struct {
  char **paths;
  size_t count, room;
} found;

static void keep(found *f, char **path) {
  if (f->count == f->room) {
    const size_t room = f->room ? 2 * f->room : 256;
    char **more = cal_resize(f->paths, room * sizeof *more, NULL);
    if (!more) return; /* with fewer fonts, then */
    f->paths = more;
    f->room = room;
  }
  f->paths[f->count++] = *path;
  *path = NULL;
}

/* A folder that is not there, or not ours to read, has no fonts. */
static void look_in(const char *folder, found *f) {
  cal_fs *fs = cal_fs_new("/", 0, NULL);
  cal_fs_info *list = NULL;
  size_t count = 0;
  if (fs && !cal_fs_grant(fs, folder, CAL_FS_READ, NULL) && !cal_fs_list(fs, folder, true, &list, &count, NULL))
    for (size_t i = 0; i < count; i++)
      if (list[i].kind != CAL_FS_FOLDER && is_font(list[i].path)) keep(f, &list[i].path);
  cal_fs_list_free(list, count);
  cal_fs_free(fs);
}

/* The file's place in the list, added if need be; -1: no room. */
static int file_at(cal_fonts *fonts, const char *path) {
  for (int i = 0; i < fonts->count; i++)
    if (strcmp(fonts->files[i].path, path) == 0) return i;
  char *copy = fonts->count < CAL_FONTS_MOST ? cal_copy_text(path, NULL) : NULL;
  if (!copy) return -1;
  fonts->files[fonts->count] = (cal_font_file){copy, face_for(copy)};
  return fonts->count++;
}

static void chain(cal_fonts *fonts, int style, const char *path) {
  const int at = file_at(fonts, path);
  for (int i = 0; i < fonts->lengths[style]; i++)
    if (fonts->chains[style][i] == at) return;
  if (at >= 0) fonts->chains[style][fonts->lengths[style]++] = at;
}

static void chain_names(cal_fonts *fonts, int style, const char *const *names, const found *f) {
  for (; names && *names; names++)
    for (size_t i = 0; i < f->count; i++)
      if (strcasecmp(base_name(f->paths[i]), *names) == 0) {
        chain(fonts, style, f->paths[i]);
        break;
      }
}

cal_fonts *cal_fonts_find(cal_error *err) {
  static const char *const folders[] = {"/usr/share/fonts",      "/usr/local/share/fonts", "/run/current-system/sw/share/X11/fonts",
                                        "/System/Library/Fonts", "/Library/Fonts",         NULL};
  static const char *const at_home[] = {"/.local/share/fonts", "/.fonts", "/Library/Fonts", NULL};
  cal_fonts *fonts = cal_alloc_zero(1, sizeof *fonts, err);
  if (!fonts) return NULL;
  const char *first = getenv("CALOTYPE_FONT"), *home = getenv("HOME");
  if (first && *first) {
    cal_fs *fs = cal_fs_new(NULL, 0, err);
    char *path = fs ? cal_fs_absolute(fs, first, err) : NULL;
    cal_fs_info info = {0};
    cal_status status = !path ? CAL_E_MEMORY : cal_fs_grant(fs, path, CAL_FS_READ, err);
    if (!status) status = cal_fs_stat(fs, path, &info, err);
    if (!status && info.kind != CAL_FS_FILE) status = cal_fail(err, CAL_E_NOTFOUND, "%s is no file", first);
    for (int style = 0; !status && style < CAL_FONT_STYLES; style++) chain(fonts, style, path);
    cal_free(path);
    cal_fs_free(fs);
    if (status) {
      cal_error_context(err, "CALOTYPE_FONT");
      cal_fonts_free(fonts);
      return NULL;
    }
  }
  found f = {0};
  for (int i = 0; folders[i]; i++) look_in(folders[i], &f);
  for (int i = 0; home && *home && at_home[i]; i++) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s%s", home, at_home[i]) < (int)sizeof path) look_in(path, &f);
  }
  for (int style = 0; style < CAL_FONT_STYLES; style++) {
    chain_names(fonts, style, own[style], &f);
    chain_names(fonts, style, plain, &f);
  }
  for (size_t i = 0; i < f.count; i++)
    for (int style = 0; is_plain(f.paths[i]) && style < CAL_FONT_STYLES; style++) chain(fonts, style, f.paths[i]);
  for (size_t i = 0; i < f.count; i++) cal_free(f.paths[i]);
  cal_free(f.paths);
  return fonts;
}

void cal_fonts_free(cal_fonts *fonts) {
  for (int i = 0; fonts && i < fonts->count; i++) cal_free(fonts->files[i].path);
  cal_free(fonts);
}
