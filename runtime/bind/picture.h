/* picture.h - native.image's pictures, for other bindings that take or hand out some.
 *
 *   static int l_upside_down(lua_State *L) {
 *     cal_error err = {0};
 *     const cal_image *im = cal_check_picture(L, 1);                 // raises when argument 1 is none, or is closed
 *     return cal_push_picture(L, cal_image_rotate(im, 2, &err), &err);
 *   }
 *
 * uses: base, image
 */
#ifndef CAL_BIND_PICTURE_H
#define CAL_BIND_PICTURE_H

#include "bind/bind.h"
#include "core/image/image.h"

cal_image *cal_check_picture(lua_State *L, int arg);

/* Moves `im` into Lua, counted against what a script's pictures may hold: returns 1. NULL, or too much: nil, message, code. Freed
 * whatever happens. */
int cal_push_picture(lua_State *L, cal_image *im, cal_error *err);

#endif
