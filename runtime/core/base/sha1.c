#include "core/base/sha1.h"

#include <stdio.h>
#include <string.h>

static uint32_t turn(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void block(uint32_t state[5], const unsigned char *bytes) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 | (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = turn(a, 5) + f + e + k + w[i];
    e = d, d = c, c = turn(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void cal_sha1_start(cal_sha1 *h) { *h = (cal_sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}}; }

void cal_sha1_add(cal_sha1 *h, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  while (size) {
    size_t used = h->size % 64, room = 64 - used, take = size < room ? size : room;
    memcpy(h->block + used, at, take);
    h->size += take;
    at += take;
    size -= take;
    if (used + take == 64) block(h->state, h->block);
  }
}

void cal_sha1_end(cal_sha1 *h, char hex[CAL_SHA1_HEX]) {
  uint64_t bits = h->size * 8;
  unsigned char length[8];
  cal_sha1_add(h, "\x80", 1);
  while (h->size % 64 != 56) cal_sha1_add(h, "", 1);
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
  cal_sha1_add(h, length, 8);
  for (int i = 0; i < 5; i++) snprintf(hex + (size_t)i * 8, 9, "%08x", h->state[i]);
}
