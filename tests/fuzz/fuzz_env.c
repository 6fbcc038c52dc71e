/* Any bytes: a .env file is read or refused with a sentence; what was read, written in single quotes, is read the same. */
#include <stdlib.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/net/env_file.h"
#include "core/net/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_buffer text = {0};
  cal_buffer_add(&text, bytes, size);
  if (cal_scrub(&text, &err)) abort();
  cal_buffer_free(&text);
  cal_env_file *file = cal_env_file_parse((const char *)bytes, size, &err);
  if (!file) {
    if (!err.code || !err.text[0]) abort();
    return 0;
  }
  cal_buffer again = {0};
  bool plain = true;
  for (size_t i = 0; i < cal_env_file_count(file); i++) {
    const char *value = cal_env_file_value(file, i);
    if (strpbrk(value, "'\n\r")) plain = false;
    cal_buffer_printf(&again, "%s='%s'\n", cal_env_file_name(file, i), value);
  }
  if (plain && again.size <= CAL_ENV_FILE_MOST) {
    cal_env_file *second = cal_env_file_parse(again.data ? again.data : "", again.size, &err);
    if (!second || cal_env_file_count(second) != cal_env_file_count(file)) abort();
    for (size_t i = 0; i < cal_env_file_count(file); i++)
      if (strcmp(cal_env_file_value(file, i), cal_env_file_find(second, cal_env_file_name(file, i))) != 0) abort();
    cal_env_file_free(second);
  }
  cal_buffer_free(&again);
  cal_env_file_free(file);
  return 0;
}
