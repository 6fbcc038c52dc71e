/* profile.h - what an embedded colour profile is called, when its colours are not sRGB's.
 *
 *   unsigned char icc[560] = {0};                                  // as it stands in a JPEG's APP2 or a WebP's ICCP
 *   char name[CAL_PROFILE_NAME];
 *   if (cal_profile_differs(icc, sizeof icc, name)) printf("colours are meant as %s\n", name);
 *
 * Pictures are taken as sRGB here whatever their profile says; this is for saying so. Source: ICC.1:2010 (header, tags 'desc', 'rXYZ').
 * uses: libc
 */
#ifndef CAL_IMAGE_PROFILE_H
#define CAL_IMAGE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

enum { CAL_PROFILE_NAME = 48 };

/* True, with the profile's own description in printable ASCII ("a profile without a name" where it has none), when it is one of RGB or
 * CMYK and neither its primaries nor its description are sRGB's. Gray ones, and what is no profile, are false. */
bool cal_profile_differs(const unsigned char *icc, size_t size, char name[CAL_PROFILE_NAME]);

/* The same for PNG's iCCP chunk: a name, a method, and the profile compressed. */
bool cal_profile_differs_png(const unsigned char *chunk, size_t size, char name[CAL_PROFILE_NAME]);

#endif
