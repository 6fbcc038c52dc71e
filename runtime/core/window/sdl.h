/* sdl.h - SDL2's and SDL2_ttf's functions, found when a window is first opened. Not for others.
 *
 *   cal_error err = {0};
 *   if (cal_sdl_open(&err)) return err.code;      // "SDL2_ttf is not installed: ... apt-get install libsdl2-ttf-2.0-0"
 *   sdl.SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
 *
 * None of them is linked: the prompt is there before SDL would be. They are called from one thread.
 * uses: base
 */
#ifndef CAL_WINDOW_SDL_H
#define CAL_WINDOW_SDL_H

#define SDL_MAIN_HANDLED
#include <SDL2/SDL.h>
#include <SDL2/SDL_syswm.h>
#include <SDL2/SDL_ttf.h>

#include "core/base/error.h"

/* clang-format off */
#define CAL_SDL_FUNCTIONS(X) \
  X(GetVersion) X(SetMainReady) X(InitSubSystem) X(QuitSubSystem) X(GetError) X(ClearError) X(SetHint) X(SetHintWithPriority) X(GetPlatform) \
  X(GetCurrentVideoDriver) X(GetDisplayUsableBounds) X(CreateWindow) X(DestroyWindow) X(SetWindowTitle) X(SetWindowMinimumSize) \
  X(SetWindowSize) X(GetWindowSize) X(GetWindowWMInfo) X(SetWindowFullscreen) X(GetWindowFlags) X(GetWindowDisplayIndex) X(GetWindowID) \
  X(SetClipboardText) X(GetClipboardText) X(CreateSystemCursor) X(SetCursor) X(FreeCursor) \
  X(CreateRenderer) X(DestroyRenderer) X(GetRendererInfo) X(GetRendererOutputSize) X(RenderTargetSupported) X(SetRenderTarget) \
  X(SetRenderDrawColor) X(SetRenderDrawBlendMode) X(RenderClear) X(RenderFillRect) X(RenderCopy) X(RenderCopyF) X(RenderGeometry) \
  X(RenderSetClipRect) X(RenderReadPixels) X(RenderPresent) \
  X(CreateTexture) X(DestroyTexture) X(UpdateTexture) X(SetTextureBlendMode) X(SetTextureScaleMode) X(SetTextureColorMod) \
  X(SetTextureAlphaMod) X(FreeSurface) X(ConvertSurfaceFormat) X(RWFromConstMem) X(free) X(strdup) \
  X(PumpEvents) X(PollEvent) X(WaitEventTimeout) X(PushEvent) X(FlushEvents) X(RegisterEvents) X(EventState) X(GetKeyName) X(GetKeyFromName) \
  X(GetModState) X(GetMouseState) X(StartTextInput) X(StopTextInput) X(SetTextInputRect)
#define CAL_TTF_FUNCTIONS(X) \
  X(Init) X(Quit) X(OpenFontIndexRW) X(CloseFont) X(SetFontSize) X(SetFontHinting) X(FontHeight) X(FontAscent) X(FontLineSkip) \
  X(GlyphIsProvided32) X(GlyphMetrics32) X(RenderGlyph32_Blended) X(FontFaceFamilyName)
#define CAL_SDL_SLOT(name) __typeof__(SDL_##name) *name;
#define CAL_TTF_SLOT(name) __typeof__(TTF_##name) *name;
typedef struct { CAL_SDL_FUNCTIONS(CAL_SDL_SLOT) } cal_sdl_functions;
typedef struct { CAL_TTF_FUNCTIONS(CAL_TTF_SLOT) } cal_ttf_functions;
/* clang-format on */

extern cal_sdl_functions sdl;
extern cal_ttf_functions ttf;

/* Open both libraries once. CAL_E_MISSING names the package, also when one is older than 2.0.18 (January 2022). */
cal_status cal_sdl_open(cal_error *err);

#endif
