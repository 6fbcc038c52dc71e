/* number.c - f16 and bf16 by their bits: no compiler or processor needs to know them. */
#include <string.h>

#include "core/graph/reference.h"

static float float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint32_t bits_of_float(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

float cal_bf16_to_float(uint16_t half) { return float_of_bits((uint32_t)half << 16); }

uint16_t cal_bf16_of(float number) {
  uint32_t bits = bits_of_float(number);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* a NaN stays one */
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float cal_f16_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float f = (float)fraction * 0x1p-24f;
  return sign ? -f : f;
}

uint16_t cal_f16_of(float number) {
  uint32_t bits = bits_of_float(number), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
  if (size >= 0x38800000) return (uint16_t)(sign | ((size + 0xfff + (size >> 13 & 1)) - 0x38000000) >> 13);
  /* Below the smallest normal number the float adder rounds at the right bit: 0.5 has 2^-24 as its last one. */
  return (uint16_t)(sign | (bits_of_float(float_of_bits(size) + 0.5f) - bits_of_float(0.5f)));
}

void cal_numbers_of(cal_dtype dtype, const void *bytes, int64_t count, double *out) {
  for (int64_t i = 0; i < count; i++) switch (dtype) {
      case CAL_F32: out[i] = ((const float *)bytes)[i]; break;
      case CAL_F16: out[i] = cal_f16_to_float(((const uint16_t *)bytes)[i]); break;
      case CAL_BF16: out[i] = cal_bf16_to_float(((const uint16_t *)bytes)[i]); break;
      default: out[i] = ((const int32_t *)bytes)[i];
    }
}

void cal_numbers_to(cal_dtype dtype, const double *numbers, int64_t count, void *bytes) {
  for (int64_t i = 0; i < count; i++) switch (dtype) {
      case CAL_F32: ((float *)bytes)[i] = (float)numbers[i]; break;
      case CAL_F16: ((uint16_t *)bytes)[i] = cal_f16_of((float)numbers[i]); break;
      case CAL_BF16: ((uint16_t *)bytes)[i] = cal_bf16_of((float)numbers[i]); break;
      default: ((int32_t *)bytes)[i] = (int32_t)numbers[i];
    }
}
