#include "core/base/sha256.h"
#include "test.h"

TEST(sha256_of_the_empty_text_is_the_published_one) {
  char hex[CAL_SHA256_HEX];
  cal_sha256_hex("", 0, hex);
  CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_MAIN()
