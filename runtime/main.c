/* main.c - the command line; nothing else. */
#include <stdio.h>

int main(void) {
  puts("calotype " CAL_VERSION);
  return 0;
}
