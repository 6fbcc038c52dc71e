/* fuzz_url.c - addresses as a .env or a redirect may have them: read, or refused; a host that is read is asked what it is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  cal_url url;
  cal_error err = {0};
  memcpy(text, data, size);
  text[size] = 0;
  if (!cal_url_read(text, &url, &err)) {
    if (!url.host[0] || !url.port[0]) abort();
    if (cal_host_loopback(url.host) && !cal_host_private(url.host)) abort();
  } else if (!err.text[0] || url.host[0]) abort();
  if (cal_host_loopback(text) && !cal_host_private(text)) abort();
  free(text);
  return 0;
}
