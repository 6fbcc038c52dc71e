/* The only file that includes SDL's headers; none of its functions is linked. */
#define SDL_MAIN_HANDLED
#include "core/image/decode.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <SDL2/SDL.h>
#include <SDL2/SDL_image.h>

#include "core/base/library.h"
#include "core/base/memory.h"
#include "core/image/gif.h"
#include "core/image/jpeg.h"
#include "core/image/png.h"

static __typeof__(SDL_RWFromConstMem) *sdl_from_memory;
static __typeof__(SDL_ConvertSurfaceFormat) *sdl_convert;
static __typeof__(SDL_FreeSurface) *sdl_free;
static __typeof__(SDL_GetError) *sdl_error;
static __typeof__(IMG_Init) *img_init;
static __typeof__(IMG_LoadTyped_RW) *img_load;
static const cal_symbol sdl_symbols[] = {{"SDL_RWFromConstMem", (void *)&sdl_from_memory},
                                         {"SDL_ConvertSurfaceFormat", (void *)&sdl_convert},
                                         {"SDL_FreeSurface", (void *)&sdl_free},
                                         {"SDL_GetError", (void *)&sdl_error},
                                         {0}};
static const cal_symbol img_symbols[] = {{"IMG_Init", (void *)&img_init}, {"IMG_LoadTyped_RW", (void *)&img_load}, {0}};
static const char *const sdl_names[] = {"libSDL2-2.0.so.0", "libSDL2-2.0.0.dylib", "libSDL2.dylib", NULL};
static const char *const img_names[] = {"libSDL2_image-2.0.so.0", "libSDL2_image-2.0.0.dylib", "libSDL2_image.dylib", NULL};
static cal_library sdl = {"SDL2", sdl_names, sdl_symbols, "libsdl2-2.0-0", NULL};
static cal_library img = {"SDL2_image", img_names, img_symbols, "libsdl2-image-2.0-0", NULL};

/* libtiff prints its complaints, and SDL2_image goes on after them with a half picture: its handlers are replaced by ones
 * that are silent and count the errors of this thread. */
typedef void (*tiff_handler)(const char *module, const char *format, va_list args);
static tiff_handler (*tiff_set_errors)(tiff_handler), (*tiff_set_warnings)(tiff_handler);
static const cal_symbol tiff_symbols[] = {
    {"TIFFSetErrorHandler", (void *)&tiff_set_errors}, {"TIFFSetWarningHandler", (void *)&tiff_set_warnings}, {0}};
static const char *const tiff_names[] = {"libtiff.so.6", "libtiff.so.5", "libtiff.6.dylib", "libtiff.dylib", NULL};
static cal_library tiff = {"libtiff", tiff_names, tiff_symbols, "libtiff6", NULL};
static _Thread_local int tiff_errors;

static void count_error(const char *module, const char *format, va_list args) {
  (void)module, (void)format, (void)args;
  tiff_errors++;
}

/* SDL2_image's formats are made ready once, under a lock: IMG_Init is not safe from several threads. */
static cal_status open_libraries(cal_image_format format, cal_error *err) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool ready, tiff_ready;
  pthread_mutex_lock(&lock);
  cal_status status = cal_library_open(&sdl, err);
  if (!status) status = cal_library_open(&img, err);
  if (!status && !ready) {
    img_init(IMG_INIT_WEBP | IMG_INIT_TIF); /* what is missing is said when such a picture comes */
    ready = true;
  }
  if (!status && format == CAL_IMAGE_TIFF && !tiff_ready && !(status = cal_library_open(&tiff, err))) {
    tiff_set_errors(count_error);
    tiff_set_warnings(NULL);
    tiff_ready = true;
  }
  pthread_mutex_unlock(&lock);
  return status;
}

/* SDL2_image gives some formats an alpha channel that the file does not have: then it is opaque everywhere. */
static bool see_through(const SDL_Surface *rgba) {
  for (int y = 0; y < rgba->h; y++) {
    const unsigned char *alpha = (unsigned char *)rgba->pixels + (ptrdiff_t)y * rgba->pitch + 3;
    for (int x = 0; x < rgba->w; x++)
      if (alpha[4 * x] != 255) return true;
  }
  return false;
}

static cal_image *from_surface(SDL_Surface *surface, const char *name, cal_error *err) {
  SDL_Surface *rgba = sdl_convert(surface, SDL_PIXELFORMAT_RGBA32, 0);
  if (!rgba) return cal_fail(err, CAL_E_MEMORY, "%s: %s", name, sdl_error()), NULL;
  cal_image *im = cal_image_new(rgba->w, rgba->h, see_through(rgba) ? 4 : 3, err);
  for (int y = 0; im && y < im->height; y++) {
    const unsigned char *from = (unsigned char *)rgba->pixels + (ptrdiff_t)y * rgba->pitch;
    unsigned char *to = cal_image_at(im, 0, y);
    if (im->channels == 4) memcpy(to, from, (size_t)im->width * 4);
    else
      for (int x = 0; x < im->width; x++, from += 4, to += 3) memcpy(to, from, 3);
  }
  sdl_free(rgba);
  return im;
}

static cal_image *decode_sdl(const unsigned char *bytes, size_t size, const char *name, const cal_image_info *info, cal_error *err) {
  static const char *const types[] = {
      [CAL_IMAGE_WEBP] = "WEBP", [CAL_IMAGE_BMP] = "BMP", [CAL_IMAGE_TIFF] = "TIF", [CAL_IMAGE_QOI] = "QOI", [CAL_IMAGE_PNM] = "PNM"};
  if (open_libraries(info->format, err)) return NULL;
  if (size > INT32_MAX) return cal_fail(err, CAL_E_LIMIT, "%s: %zu bytes; files of this format may have 2 GiB", name, size), NULL;
  tiff_errors = 0;
  SDL_RWops *file = sdl_from_memory(bytes, (int)size);
  SDL_Surface *surface = file ? img_load(file, 1, types[info->format]) : NULL;
  const char *kind = cal_image_format_name(info->format);
  cal_image *im = NULL;
  if (!surface) cal_fail(err, CAL_E_FORMAT, "%s: broken %s of %zu bytes: %s", name, kind, size, sdl_error());
  else if (tiff_errors)
    cal_fail(err, CAL_E_FORMAT, "%s: broken %s of %zu bytes: %d of its parts cannot be read", name, kind, size, tiff_errors);
  else if (surface->w != info->width || surface->h != info->height)
    cal_fail(err, CAL_E_FORMAT, "%s: broken %s: the header says %d x %d, the pixels %d x %d", name, kind, info->width, info->height,
             surface->w, surface->h);
  else im = from_surface(surface, name, err);
  if (surface) sdl_free(surface);
  return im;
}

/* --- WebP: the container is checked here, and of an animation the first frame becomes a file of its own ------------- */
static uint32_t u32(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint32_t u24(const unsigned char *p) { return u32(p) & 0xffffff; } /* one byte more must be there */

static void put_u32(unsigned char *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (8 * i));
}

static cal_status cut_off(const char *name, const char *kind, size_t size, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT, "%s: the %s is cut off: it goes on after byte %zu, the end of the file", name, kind, size);
}

/* Frame 0 of an animation, laid on its canvas. */
static cal_image *decode_webp_frame(const unsigned char *frame, size_t size, const char *name, const cal_image_info *info, cal_error *err) {
  if (size < 24) return cal_fail(err, CAL_E_FORMAT, "%s: broken WebP: a frame of %zu bytes", name, size), NULL;
  const unsigned left = 2 * u24(frame), top = 2 * u24(frame + 3), w = u24(frame + 6) + 1, h = u24(frame + 9) + 1;
  if (left + w > (unsigned)info->width || top + h > (unsigned)info->height)
    return cal_fail(err, CAL_E_FORMAT, "%s: broken WebP: a frame of %u x %u at %u, %u on a canvas of %d x %d", name, w, h, left, top,
                    info->width, info->height),
           NULL;
  cal_buffer still = {0};
  unsigned char head[30] = "RIFF    WEBPVP8X\x0a\0\0\0\x10"; /* the flag: may have alpha */
  put_u32(head + 4, (uint32_t)(size - 16 + 22));
  memcpy(head + 24, frame + 6, 6);
  cal_buffer_add(&still, head, sizeof head);
  cal_buffer_add(&still, frame + 16, size - 16);
  cal_image *im = NULL, *canvas = NULL;
  if (still.failed) cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for its first frame", name);
  else
    im = decode_sdl((unsigned char *)still.data, still.size, name,
                    &(cal_image_info){.format = CAL_IMAGE_WEBP, .width = (int)w, .height = (int)h, .orientation = 1}, err);
  cal_buffer_free(&still);
  if (!im || (im->width == info->width && im->height == info->height)) return im;
  canvas = cal_image_new(info->width, info->height, 4, err);
  for (int y = 0; canvas && y < im->height; y++)
    for (int x = 0; x < im->width; x++) {
      unsigned char *to = cal_image_at(canvas, (int)left + x, (int)top + y), *from = cal_image_at(im, x, y);
      to[3] = 255;
      memcpy(to, from, (size_t)im->channels);
    }
  cal_image_free(im);
  return canvas;
}

static cal_image *decode_webp(const unsigned char *bytes, size_t size, const char *name, const cal_image_info *info, cal_error *err) {
  if (size < 30 || u32(bytes + 4) > size - 8) return cut_off(name, "WebP", size, err), NULL;
  if (memcmp(bytes + 12, "VP8X", 4) != 0 || !(bytes[20] & 2)) return decode_sdl(bytes, size, name, info, err);
  for (size_t at = 12; size - at >= 8;) {
    const size_t length = u32(bytes + at + 4), padded = length + (length & 1);
    if (length > size - at - 8) break;
    if (memcmp(bytes + at, "ANMF", 4) == 0) return decode_webp_frame(bytes + at + 8, length, name, info, err);
    if (padded > size - at - 8) break;
    at += 8 + padded;
  }
  return cal_fail(err, CAL_E_FORMAT, "%s: broken WebP: an animation without a frame", name), NULL;
}

/* QOI has no checks but its end; SDL2_image repeats the last colour when data are missing. */
static cal_image *decode_qoi(const unsigned char *bytes, size_t size, const char *name, const cal_image_info *info, cal_error *err) {
  if (size < 22 || memcmp(bytes + size - 8, "\0\0\0\0\0\0\0\1", 8) != 0) return cut_off(name, "QOI", size, err), NULL;
  return decode_sdl(bytes, size, name, info, err);
}

cal_image *cal_image_decode(const void *bytes, size_t size, const char *name, const cal_image_hint *hint, cal_image_info *info,
                            cal_error *err) {
  cal_image_info seen;
  bool cut;
  if (!info) info = &seen;
  if (cal_image_header(bytes, size, name, info, &cut, err)) return NULL;
  const long long most = hint && hint->max_pixels > 0 ? hint->max_pixels : CAL_IMAGE_MAX_PIXELS;
  if ((long long)info->width * info->height > most || info->width > CAL_IMAGE_SIDE || info->height > CAL_IMAGE_SIDE)
    return cal_fail(err, CAL_E_LIMIT, "%s: %d x %d pixels; at most %.4g million are decoded (max_pixels)", name, info->width, info->height,
                    (double)most / 1e6),
           NULL;
  cal_image *im = NULL;
  switch (info->format) {
    case CAL_IMAGE_JPEG: im = cal_jpeg_decode(bytes, size, name, hint ? hint->min_side : 0, err); break;
    case CAL_IMAGE_PNG: im = cal_png_decode(bytes, size, name, err); break;
    case CAL_IMAGE_GIF: im = cal_gif_decode(bytes, size, name, err); break;
    case CAL_IMAGE_WEBP: im = decode_webp(bytes, size, name, info, err); break;
    case CAL_IMAGE_QOI: im = decode_qoi(bytes, size, name, info, err); break;
    default: im = decode_sdl(bytes, size, name, info, err); break;
  }
  int turn = info->orientation;
  /* libtiff flips as 1 to 4 ask for, and treats 5 to 8 as if they were 1 to 4 with rows and columns not exchanged: what is left of 5
   * and 7 is to exchange them, of 6 and 8 to do so along the other diagonal. */
  if (info->format == CAL_IMAGE_TIFF) turn = turn < 5 ? 1 : turn % 2 ? 5 : 7;
  if (!im || turn == 1) return im;
  cal_image *turned = cal_image_orient(im, turn, err);
  cal_image_free(im);
  return turned;
}

cal_image *cal_image_load(const cal_fs *fs, const char *path, const cal_image_hint *hint, cal_image_info *info, cal_error *err) {
  cal_buffer bytes = {0};
  cal_image *im = NULL;
  if (!cal_fs_read(fs, path, (uint64_t)1 << 30, &bytes, err))
    im = cal_image_decode(bytes.data ? bytes.data : "", bytes.size, path, hint, info, err);
  cal_buffer_free(&bytes);
  return im;
}

cal_status cal_image_probe(const cal_fs *fs, const char *path, cal_image_info *info, cal_error *err) {
  enum { FIRST = 64 * 1024 };
  int file = cal_fs_open(fs, path, err);
  if (file < 0) return err ? err->code : CAL_E_IO;
  unsigned char *start = cal_alloc(FIRST, err);
  ssize_t got = 0, more = 1;
  while (start && got < FIRST && (more = read(file, start + got, (size_t)(FIRST - got))) > 0) got += more;
  bool cut = false;
  cal_status status = !start ? CAL_E_MEMORY : more < 0 ? cal_fail(err, CAL_E_IO, "%s: cannot be read", path) : CAL_OK;
  if (!status) status = cal_image_header(start, (size_t)got, path, info, &cut, err);
  close(file);
  cal_free(start);
  if (!cut || got < FIRST) return status;
  cal_buffer bytes = {0}; /* a long profile or preview comes first, or EXIF stands at the end: look at all of it */
  status = cal_fs_read(fs, path, (uint64_t)1 << 30, &bytes, err);
  if (!status) status = cal_image_header((unsigned char *)bytes.data, bytes.size, path, info, &cut, err);
  cal_buffer_free(&bytes);
  return status;
}
