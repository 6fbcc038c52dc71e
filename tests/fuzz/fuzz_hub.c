/* What a server puts into headers and lists: redirects never leave https, names never lead out, hints are numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/net/download.h"
#include "core/net/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_buffer text = {0}, out = {0};
  cal_buffer_add(&text, bytes, size);
  cal_buffer_add_byte(&text, 0);
  bool same = false;
  if (!cal_hub_redirect("https://hub.example/a/b", text.data, &out, &same, &err)) {
    if (strncasecmp(out.data, "https://", 8) != 0) abort();
    if (same && strncasecmp(out.data, "https://hub.example", 19) != 0) abort();
    if (same && out.data[19] && !strchr("/?#", out.data[19])) abort();
  } else if (!err.text[0]) abort();
  if (cal_download_path_ok(text.data)) {
    if (text.data[0] == '/' || strstr(text.data, "//") || strchr(text.data, '\\')) abort();
    for (const char *at = text.data; (at = strstr(at, "..")); at++)
      if ((at == text.data || at[-1] == '/') && (!at[2] || at[2] == '/')) abort();
  }
  const double hints[] = {cal_retry_hint(text.data, NULL, 1e9), cal_retry_hint(NULL, text.data, 1e9)};
  for (int i = 0; i < 2; i++)
    if (!isfinite(hints[i]) || (hints[i] < 0 && hints[i] != -1)) abort();
  out.size = 0;
  cal_hub_escape(&out, text.data, size % 2);
  for (size_t i = 0; i < out.size; i++)
    if ((unsigned char)out.data[i] <= 32 || (unsigned char)out.data[i] >= 127) abort();
  cal_buffer_free(&text);
  cal_buffer_free(&out);
  return 0;
}
