/* sha256.h - names by content.
 *
 *   char hex[CAL_SHA256_HEX];
 *   cal_sha256_hex("abc", 3, hex);        // "ba7816bf..."
 *
 *   cal_sha256 h;
 *   cal_sha256_start(&h);
 *   cal_sha256_add(&h, "ab", 2);
 *   cal_sha256_add(&h, "c", 1);
 *   cal_sha256_end(&h, hex);              // the same
 *
 * FIPS 180-4. Uses the processor's SHA instructions where it has them.
 * uses: libc
 */
#ifndef CAL_BASE_SHA256_H
#define CAL_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { CAL_SHA256_HEX = 65 };

typedef struct {
  uint32_t state[8];
  uint64_t size;
  unsigned char block[64];
} cal_sha256;

void cal_sha256_start(cal_sha256 *h);
void cal_sha256_add(cal_sha256 *h, const void *bytes, size_t size);
void cal_sha256_end(cal_sha256 *h, char hex[CAL_SHA256_HEX]); /* lower case, NUL-terminated */
void cal_sha256_hex(const void *bytes, size_t size, char hex[CAL_SHA256_HEX]);

#endif
