#include "core/window/sdl.h"

#include "core/base/library.h"

cal_sdl_functions sdl;
cal_ttf_functions ttf;

#define SDL_ROW(name) {"SDL_" #name, (void *)&sdl.name},
#define TTF_ROW(name) {"TTF_" #name, (void *)&ttf.name},
static const cal_symbol sdl_symbols[] = {CAL_SDL_FUNCTIONS(SDL_ROW){0}};
static const cal_symbol ttf_symbols[] = {CAL_TTF_FUNCTIONS(TTF_ROW){0}};
static const char *const sdl_names[] = {"libSDL2-2.0.so.0", "libSDL2-2.0.0.dylib", "libSDL2.dylib", NULL};
static const char *const ttf_names[] = {"libSDL2_ttf-2.0.so.0", "libSDL2_ttf-2.0.0.dylib", "libSDL2_ttf.dylib", NULL};
static cal_library sdl_library = {"SDL2", sdl_names, sdl_symbols, "libsdl2-2.0-0", NULL};
static cal_library ttf_library = {"SDL2_ttf", ttf_names, ttf_symbols, "libsdl2-ttf-2.0-0", NULL};

cal_status cal_sdl_open(cal_error *err) {
  cal_status status = cal_library_open(&sdl_library, err);
  return status ? status : cal_library_open(&ttf_library, err);
}
