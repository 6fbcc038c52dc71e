#include "core/base/random.h"

#include <math.h>

void cal_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)0xd2511f53 * c0, q = (uint64_t)0xcd9e8d57 * c2;
    c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)q;
    c3 = (uint32_t)p;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

cal_random cal_random_seed(uint64_t seed, uint64_t stream) { return (cal_random){.seed = seed, .stream = stream}; }

uint32_t cal_random_bits(cal_random *r) {
  if (!r->left) {
    uint32_t counter[4] = {(uint32_t)r->counter, (uint32_t)(r->counter >> 32), (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
    uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    cal_philox(counter, key, r->block);
    r->counter++;
    r->left = 4;
  }
  return r->block[4 - r->left--];
}

double cal_random_uniform(cal_random *r) {
  uint64_t high = cal_random_bits(r) >> 5, low = cal_random_bits(r) >> 6;
  return (double)(high << 26 | low) * 0x1p-53;
}

uint64_t cal_random_below(cal_random *r, uint64_t bound) {
  uint64_t reject = (0 - bound) % bound; /* 2^64 mod bound: below it the remainder would be biased */
  for (;;) {
    uint64_t high = cal_random_bits(r), x = high << 32 | cal_random_bits(r);
    if (x >= reject) return x % bound;
  }
}

void cal_random_normal_into(cal_random *r, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 2) {
    double u = 1.0 - cal_random_uniform(r), angle = 6.283185307179586477 * cal_random_uniform(r);
    double length = sqrt(-2.0 * log(u));
    out[i] = (float)(length * cos(angle));
    if (i + 1 < count) out[i + 1] = (float)(length * sin(angle));
  }
}
