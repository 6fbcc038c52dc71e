/* Any bytes: an archive is listed and read, or refused; no name leads out, no entry has more bytes than it claims. */
#include <stdlib.h>
#include <string.h>

#include "core/codec/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_zip *z = cal_zip_open_bytes(bytes, size, "fuzz.zip", &err);
  if (!z) return err.code && err.text[0] ? 0 : (abort(), 0);
  for (size_t i = 0; i < cal_zip_count(z) && i < 20; i++) {
    const char *name = cal_zip_name(z, i);
    if (!*name || *name == '/' || strncmp(name, "../", 3) == 0 || strstr(name, "/../") || strchr(name, '\\')) abort();
    cal_buffer out = {0};
    if (!cal_zip_read(z, i, 1 << 20, &out, &err) && out.size != cal_zip_size(z, i)) abort();
    cal_buffer_free(&out);
  }
  cal_zip_close(z);
  return 0;
}
