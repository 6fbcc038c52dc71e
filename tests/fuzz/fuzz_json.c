/* Any bytes: JSON is read or refused; what was read is written, read again and written the same. */
#include <stdlib.h>
#include <string.h>

#include "core/codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_json *value = cal_json_parse((const char *)bytes, size, &err);
  if (!value) {
    if (!err.code || !err.text[0]) abort();
    return 0;
  }
  cal_buffer first = {0}, second = {0};
  if (cal_json_write(value, size % 2 ? CAL_JSON_PRETTY : 0, &first, &err)) abort();
  cal_json *again = cal_json_parse(first.data, first.size, &err);
  if (!again || cal_json_write(again, size % 2 ? CAL_JSON_PRETTY : 0, &second, &err)) abort();
  if (first.size != second.size || memcmp(first.data, second.data, first.size) != 0) abort();
  cal_json_free(value);
  cal_json_free(again);
  cal_buffer_free(&first);
  cal_buffer_free(&second);
  return 0;
}
