/* random.h - numbers that depend on a seed and a counter, on nothing else.
 *
 *   cal_random r = cal_random_seed(42, 0);         // seed 42, stream 0
 *   double u = cal_random_uniform(&r);             // [0, 1)
 *   uint64_t card = cal_random_below(&r, 52);      // 0 .. 51
 *   float noise[4];
 *   cal_random_normal_into(&r, noise, 4);          // mean 0, deviation 1
 *
 * Philox 4x32-10 (Salmon and others, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the same numbers on every
 * machine, any stretch of a stream without drawing what comes before it.
 * uses: libc
 */
#ifndef CAL_BASE_RANDOM_H
#define CAL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint64_t seed, stream, counter;
  uint32_t block[4];
  int left; /* words of `block` not yet handed out */
} cal_random;

/* The generator itself: ten rounds on a 128-bit counter with a 64-bit key. */
void cal_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

cal_random cal_random_seed(uint64_t seed, uint64_t stream);
uint32_t cal_random_bits(cal_random *r);
double cal_random_uniform(cal_random *r);                             /* 53 bits, [0, 1) */
uint64_t cal_random_below(cal_random *r, uint64_t bound);             /* 0 .. bound-1 without bias; bound > 0 */
void cal_random_normal_into(cal_random *r, float *out, size_t count); /* Box-Muller in double, pairs in order */

#endif
