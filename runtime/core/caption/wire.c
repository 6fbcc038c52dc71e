#include "core/caption/wire.h"

#include <string.h>

#include "core/caption/gemini.h"
#include "core/caption/huggingface.h"
#include "core/caption/openai.h"

static const cal_wire *const wires[] = {&cal_wire_gemini, &cal_wire_openai, &cal_wire_huggingface};
enum { WIRES = sizeof wires / sizeof *wires };

const cal_wire *cal_wire_at(size_t index) { return index < WIRES ? wires[index] : NULL; }

const cal_wire *cal_wire_find(const char *name) {
  for (size_t i = 0; i < WIRES; i++)
    if (!strcmp(wires[i]->name, name)) return wires[i];
  return NULL;
}

void cal_wire_answer_free(cal_wire_answer *answer) { cal_buffer_free(&answer->text); }

const char *cal_wire_verdict_name(cal_wire_verdict verdict) {
  static const char *const names[] = {"done", "blocked", "empty", "cut", "again", "other_model", "stop", "refused"};
  return (size_t)verdict < sizeof names / sizeof *names ? names[verdict] : "refused";
}
