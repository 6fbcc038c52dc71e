#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/caption/gemini.h"
#include "core/caption/gemini_batch.h"
#include "core/caption/gemini_files.h"
#include "core/caption/huggingface.h"
#include "core/caption/openai.h"
#include "core/caption/reply.h"
#include "core/caption/wire.h"
#include "core/codec/base64.h"
#include "test.h"

/* ---- base64 ---- */

TEST(base64_gives_the_texts_of_rfc_4648) {
  static const char *const bytes[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\xfd\xfb"};
  static const char *const texts[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy", "//79+w=="};
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
    cal_buffer text = {0}, back = {0};
    cal_base64_encode(bytes[i], strlen(bytes[i]), &text);
    CHECK_TEXT(text.data, texts[i]);
    CHECK(cal_base64_decode(texts[i], strlen(texts[i]), &back, NULL) == CAL_OK);
    CHECK_TEXT(back.data, bytes[i]);
    cal_buffer_free(&text);
    cal_buffer_free(&back);
  }
}

TEST(base64_appends_and_comes_back_for_every_length_and_byte) {
  cal_random r = cal_random_seed(3, 0);
  for (size_t size = 0; size < 300; size++) {
    unsigned char bytes[300];
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)cal_random_below(&r, 256);
    cal_buffer text = {0}, back = {0};
    cal_buffer_add_text(&text, "x:");
    cal_base64_encode(bytes, size, &text);
    CHECK(text.size == 2 + (size + 2) / 3 * 4 && strlen(text.data) == text.size && !strncmp(text.data, "x:", 2));
    cal_buffer_add_text(&back, "y:");
    CHECK(cal_base64_decode(text.data + 2, text.size - 2, &back, NULL) == CAL_OK);
    CHECK(back.size == size + 2 && !memcmp(back.data + 2, bytes, size) && !back.data[back.size]);
    cal_buffer_free(&text);
    cal_buffer_free(&back);
  }
}

TEST(base64_that_is_not_strict_is_refused_and_nothing_is_appended) {
  static const char *const bad[] = {"Zg",
                                    "Zg=",
                                    "Zg===",
                                    "Z===",
                                    "====",
                                    "Zg==Zg==",
                                    "Zm9v\n",
                                    "Zm 9",
                                    "Zm9v\nZm9",
                                    "Zm-_",
                                    "Z=g=",
                                    "Zh==",
                                    "Zm9=",
                                    "\xc3\xa4Zg",
                                    "=",
                                    "==",
                                    "data"
                                    ":",
                                    "Zm9vYg=a"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cal_error err = {0};
    cal_buffer out = {0};
    cal_buffer_add_text(&out, "kept");
    CHECK(cal_base64_decode(bad[i], strlen(bad[i]), &out, &err) == CAL_E_FORMAT);
    CHECK(!strncmp(err.text, "base64: ", 8));
    CHECK_TEXT(out.data, "kept");
    CHECK(out.size == 4);
    cal_buffer_free(&out);
  }
}

/* ---- questions ---- */

static const cal_wire_picture jpeg = {"\xff\xd8\xff", 3, "image/jpeg"};

/* The body, or "!" and the message. Read at once: the place is reused. */
static const char *built(const char *wire_name, const cal_wire_question *q) {
  static char out[2048];
  cal_buffer path = {0}, body = {0};
  const char *type = NULL;
  cal_error err = {0};
  cal_status status = cal_wire_find(wire_name)->build(q, &path, &body, &type, &err);
  if (status) snprintf(out, sizeof out, "!%s", err.text);
  else snprintf(out, sizeof out, "%s %s %s", path.data, type, body.data);
  CHECK(status || (type && strlen(body.data) == body.size));
  cal_buffer_free(&path);
  cal_buffer_free(&body);
  return out;
}

TEST(wires_are_found_by_name_and_listed) {
  CHECK(cal_wire_find("gemini") == &cal_wire_gemini && cal_wire_find("openai") == &cal_wire_openai);
  CHECK(cal_wire_find("huggingface") == &cal_wire_huggingface);
  CHECK(!cal_wire_find("Gemini") && !cal_wire_find(""));
  size_t count = 0;
  for (const cal_wire *w; (w = cal_wire_at(count)); count++) CHECK(cal_wire_find(w->name) == w && w->key_header && w->key_prefix);
  CHECK(count == 3);
  CHECK_TEXT(cal_wire_verdict_name(CAL_WIRE_OTHER_MODEL), "other_model");
}

TEST(a_gemini_question_has_the_picture_first_then_the_text) {
  cal_wire_question q = {
      .model = "gemini-3.8-flash", .system = "Be \"brief\".", .user = "Caption it.", .pictures = &jpeg, .picture_count = 1};
  CHECK_TEXT(
      built("gemini", &q),
      "/v1beta/models/gemini-3.8-flash:generateContent application/json {\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{"
      "\"mimeType\":\"image/jpeg\",\"data\":\"/9j/\"}},{\"text\":\"Caption it.\"}]}],\"systemInstruction\":{\"parts\":[{\"text\":\"Be "
      "\\\"brief\\\".\"}]}}");
}

TEST(gemini_takes_each_setting_to_its_place_and_nothing_that_was_not_asked_for) {
  cal_wire_question q = {.model = "models/gemini-3.8-flash",
                         .user = "x",
                         .schema = " {\"type\" : \"object\"}",
                         .max_tokens = 2048,
                         .settings =
                             "{\"thinking\":\"low\",\"media_resolution\":\"high\",\"safety\":{\"harassment\":\"off\",\"hate_speech\":"
                             "\"block_none\"},\"seed\":7,\"temperature\":0.2,\"tier\":\"flex\"}"};
  CHECK_TEXT(
      built("gemini", &q),
      "/v1beta/models/gemini-3.8-flash:generateContent application/json {\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}],"
      "\"generationConfig\":{\"maxOutputTokens\":2048,\"responseMimeType\":\"application/"
      "json\",\"responseJsonSchema\":{\"type\":\"object\"},"
      "\"thinkingConfig\":{\"thinkingLevel\":\"low\"},\"mediaResolution\":\"MEDIA_RESOLUTION_HIGH\",\"seed\":7,\"temperature\":0.2},"
      "\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"threshold\":\"OFF\"},{\"category\":\"HARM_CATEGORY_HATE_SPEECH\","
      "\"threshold\":\"BLOCK_NONE\"}],\"serviceTier\":\"flex\"}");
  q = (cal_wire_question){.model = "tunedModels/mine", .user = "x", .settings = "{\"thinking\":0,\"safety\":\"block_only_high\"}"};
  const char *text = built("gemini", &q);
  CHECK(strstr(text, "/v1beta/tunedModels/mine:generateContent"));
  CHECK(strstr(
      text,
      "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":0}},\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\""));
  CHECK(strstr(text, "{\"category\":\"HARM_CATEGORY_DANGEROUS_CONTENT\",\"threshold\":\"BLOCK_ONLY_HIGH\"}]}"));
  q = (cal_wire_question){.model = "m", .user = "x", .settings = "[]"};
  CHECK(!strstr(built("gemini", &q), "generationConfig"));
}

TEST(an_openai_question_carries_pictures_as_data_addresses) {
  cal_wire_question q = {
      .model = "llava",
      .system = "S",
      .user = "U",
      .pictures = &jpeg,
      .picture_count = 1,
      .max_tokens = 300,
      .schema = "{}",
      .settings = "{\"temperature\":0,\"seed\":1,\"thinking\":false,\"detail\":\"low\",\"extra\":{\"keep_alive\":\"10m\"}}"};
  CHECK_TEXT(built("openai", &q),
             "/v1/chat/completions application/json "
             "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"U\"},{"
             "\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpeg;base64,/9j/"
             "\",\"detail\":\"low\"}}]}],\"model\":\"llava\",\"stream\":false,\"max_tokens\":300,\"temperature\":0,\"seed\":1,\"chat_"
             "template_kwargs\":{\"enable_thinking\":false},\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
             "\"answer\",\"schema\":{}}},\"keep_alive\":\"10m\"}");
  q = (cal_wire_question){
      .user = "U",
      .schema = "{}",
      .max_tokens = 5,
      .settings = "{\"schema_as\":\"json_object\",\"limit_as\":\"max_completion_tokens\",\"thinking\":\"low\",\"extra\":{}}"};
  CHECK_TEXT(built("openai", &q),
             "/v1/chat/completions application/json "
             "{\"messages\":[{\"role\":\"user\",\"content\":\"U\"}],\"stream\":false,\"max_completion_tokens\":5,\"reasoning_effort\":"
             "\"low\",\"response_format\":{\"type\":\"json_object\"}}");
  q = (cal_wire_question){.user = "U", .schema = "{}", .settings = "{\"schema_as\":\"none\"}"};
  CHECK(!strstr(built("openai", &q), "response_format"));
}

TEST(a_huggingface_question_is_the_picture_itself_or_json) {
  cal_wire_picture png = {"abc", 3, "image/png"};
  cal_wire_question q = {.model = "Salesforce/blip 2", .pictures = &png, .picture_count = 1};
  CHECK_TEXT(built("huggingface", &q), "/models/Salesforce/blip%202 image/png abc");
  q.max_tokens = 60;
  CHECK_TEXT(built("huggingface", &q),
             "/models/Salesforce/blip%202 application/json {\"inputs\":\"YWJj\",\"parameters\":{\"max_new_tokens\":60}}");
  q.settings = "{\"form\":\"raw\"}";
  CHECK(strstr(built("huggingface", &q), "form raw has no place for max_tokens"));
  q = (cal_wire_question){.pictures = &png, .picture_count = 1, .settings = "{\"form\":\"json\"}"};
  CHECK_TEXT(built("huggingface", &q), "/ application/json {\"inputs\":\"YWJj\"}");
}

static const struct {
  const char *wire, *model, *user, *schema, *settings, *mime, *says;
} wrong[] = {
    {"gemini", NULL, "x", NULL, NULL, NULL, "gemini: model: a name"},
    {"gemini", "..", "x", NULL, NULL, NULL, "gemini: model: a name"},
    {"gemini", "models/", "x", NULL, NULL, NULL, "gemini: model: a name"},
    {"gemini", "m", "", NULL, NULL, NULL, "gemini: neither a picture nor a text"},
    {"gemini", "m", "\xff", NULL, NULL, NULL, "gemini: user: byte 1 is not UTF-8"},
    {"gemini", "m", "x", "{", NULL, NULL, "gemini: schema: json: line 1"},
    {"gemini", "m", "x", NULL, "{", NULL, "gemini: settings: json: line 1"},
    {"gemini", "m", "x", NULL, "7", NULL, "gemini: settings: a JSON object is expected"},
    {"gemini", "m", "x", NULL, "{\"temprature\":1}", NULL, "there is no setting \"temprature\"; did you mean temperature?"},
    {"gemini", "m", "x", NULL, "{\"zzz\\u001b\":1}", NULL, "there is no setting \"zzz\\x1b\"; there are thinking, media_resolution"},
    {"gemini", "m", "x", NULL, "{\"temperature\":3}", NULL, "gemini: temperature: a number from 0 to 2 is expected"},
    {"gemini", "m", "x", NULL, "{\"seed\":1.5}", NULL, "gemini: seed: a whole number from"},
    {"gemini", "m", "x", NULL, "{\"thinking\":\"lots\"}", NULL, "gemini: thinking: one of minimal, low, medium, high is expected"},
    {"gemini", "m", "x", NULL, "{\"thinking\":-2}", NULL, "gemini: thinking: a whole number from -1"},
    {"gemini", "m", "x", NULL, "{\"safety\":\"none\"}", NULL, "gemini: safety: one of off, block_none"},
    {"gemini", "m", "x", NULL, "{\"safety\":{\"rude\":\"off\"}}", NULL, "gemini: safety: the categories are"},
    {"gemini", "m", "x", NULL, "{\"safety\":{\"harassment\":1}}", NULL, "gemini: safety: harassment: one of off"},
    {"gemini", "m", "x", NULL, "{\"tier\":\"fast\"}", NULL, "gemini: tier: one of flex"},
    {"gemini", "m", "x", NULL, NULL, "image/gif", "gemini: picture 1 is image/gif; taken are image/jpeg, image/png"},
    {"openai", "\xff", "x", NULL, NULL, NULL, "openai: model: its name is not UTF-8"},
    {"openai", NULL, "", NULL, NULL, NULL, "openai: neither a picture nor a text"},
    {"openai", NULL, "x", NULL, "{\"thinking\":\"lots\"}", NULL, "openai: true, false, or: thinking: one of none, minimal"},
    {"openai", NULL, "x", NULL, "{\"schema_as\":\"xml\"}", NULL, "openai: schema_as: one of json_schema, json_object, none"},
    {"openai", NULL, "x", NULL, "{\"limit_as\":1}", NULL, "openai: limit_as: one of max_tokens"},
    {"openai", NULL, "x", NULL, "{\"detail\":\"fine\"}", NULL, "openai: detail: one of low, high, auto"},
    {"openai", NULL, "x", NULL, "{\"seed\":1e300}", NULL, "openai: seed: a whole number from 0"},
    {"openai", NULL, "x", NULL, "{\"extra\":[]}", NULL, "openai: extra: an object"},
    {"openai", NULL, "x", NULL, "{\"extra\":{\"model\":\"y\"}}", NULL, "openai: extra: model is written from the other settings"},
    {"openai", NULL, "x", "nul", NULL, NULL, "openai: schema: json: line 1"},
    {"openai", NULL, "x", NULL, "{\"key\":1}", NULL, "openai: there is no setting \"key\"; there are temperature"},
    {"openai", NULL, "x", NULL, NULL, "text/html", "openai: picture 1 is text/html; taken are image/jpeg, image/png and the like"},
    {"openai", NULL, "x", NULL, NULL, "image/a\"b", "openai: picture 1 is image/a\"b"},
    {"huggingface", "a/b", "x", NULL, NULL, "image/png", "takes no prompt; ask a chat model through openai"},
    {"huggingface", "a/b", NULL, "{}", NULL, "image/png", "takes no prompt"},
    {"huggingface", "a/b", NULL, NULL, NULL, NULL, "exactly one picture is expected, not 0"},
    {"huggingface", "a/../b", NULL, NULL, NULL, "image/png", "huggingface: model: a name"},
    {"huggingface", "/a", NULL, NULL, NULL, "image/png", "huggingface: model: a name"},
    {"huggingface", "a/b", NULL, NULL, "{\"form\":\"tar\"}", "image/png", "huggingface: form: one of raw, json"},
    {"gemini", "m", "x", NULL, NULL, "image/\",\x1b", "gemini: picture 1 is image/\",\\x1b; taken"},
};

TEST(a_question_that_cannot_be_is_refused_with_the_field) {
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    cal_wire_picture picture = {"x", 1, wrong[i].mime};
    cal_wire_question q = {.model = wrong[i].model,
                           .user = wrong[i].user,
                           .schema = wrong[i].schema,
                           .settings = wrong[i].settings,
                           .pictures = &picture,
                           .picture_count = wrong[i].mime ? 1 : 0};
    const char *text = built(wrong[i].wire, &q);
    CHECK(text[0] == '!');
    CHECK(strstr(text, wrong[i].says));
    if (text[0] != '!' || !strstr(text, wrong[i].says)) printf("  %zu: %s\n", i, text);
  }
  cal_wire_picture pictures[2] = {{"x", CAL_WIRE_QUESTION_MOST, "image/png"}, {"x", 1, "image/png"}};
  cal_wire_question q = {.model = "m", .pictures = pictures, .picture_count = 2};
  CHECK(strstr(built("gemini", &q), "more than 96 MB together"));
  pictures[0].size = 0;
  CHECK(strstr(built("gemini", &q), "picture 1 is empty"));
  q = (cal_wire_question){.model = "m", .user = "x", .max_tokens = -1};
  CHECK(strstr(built("gemini", &q), "max_tokens: -1"));
}

TEST(a_question_is_the_same_whatever_the_locale_and_without_memory_it_fails_cleanly) {
  cal_wire_question q = {.model = "m", .user = "x", .settings = "{\"temperature\":0.25}", .pictures = &jpeg, .picture_count = 1};
  if (setlocale(LC_NUMERIC, "de_DE.UTF-8")) CHECK(strstr(built("gemini", &q), "\"temperature\":0.25"));
  setlocale(LC_NUMERIC, "C");
  for (size_t w = 0; cal_wire_at(w); w++) {
    for (int n = 0; n < 60; n++) {
      cal_buffer path = {0}, body = {0};
      const char *type;
      cal_error err = {0};
      cal_memory_fail_after(n);
      cal_status status = cal_wire_at(w)->build(&q, &path, &body, &type, &err);
      cal_memory_fail_after(-1);
      CHECK(status == CAL_OK || status == CAL_E_MEMORY || status == CAL_E_ARG);
      CHECK(status == CAL_OK || err.text[0]);
      cal_buffer_free(&path);
      cal_buffer_free(&body);
    }
  }
}

/* ---- replies ---- */

static cal_wire_answer answer;

static const cal_wire_answer *reads(const char *wire, int status, const char *body) {
  cal_wire_answer_free(&answer);
  CHECK(cal_wire_find(wire)->read(status, "application/json", body, strlen(body), &answer, NULL) == CAL_OK);
  return &answer;
}

static const char *text_of(const cal_wire_answer *a) { return a->text.data ? a->text.data : ""; }

#define CHOICE(message, finish) "{\"model\":\"llava\",\"choices\":[{\"index\":0,\"message\":" message ",\"finish_reason\":" finish "}]}"
#define CANDIDATE(parts, finish) \
  "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[" parts "]},\"finishReason\":\"" finish "\"}]}"

static const struct {
  const char *wire;
  int status;
  const char *body;
  cal_wire_verdict verdict;
  const char *text, *why; /* why: words that stand in it */
  double wait;
} replies[] = {
    /* Gemini: answers */
    {"gemini", 200, CANDIDATE("{\"text\":\" a cat\\r\\n\"}", "STOP"), CAL_WIRE_DONE, "a cat", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"Hm.\",\"thought\":true},{\"text\":\"{\\\"caption\\\":\"},{\"text\":\"\\\"a\\\"}\"}", "STOP"),
     CAL_WIRE_DONE, "{\"caption\":\"a\"}", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"```json\\n{\\\"a\\\":1}\\n```\"}", "STOP"), CAL_WIRE_DONE, "{\"a\":1}", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"Here:\\n```json\\n{\\\"a\\\":1}\\n```\\nDone.\"}", "STOP"), CAL_WIRE_DONE, "{\"a\":1}", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"Here: ```{\\\"a\\\":``` so\"}", "STOP"), CAL_WIRE_DONE, "Here: ```{\"a\":``` so", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"```a``` and ```b```\"}", "STOP"), CAL_WIRE_DONE, "```a``` and ```b```", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"```a cat```\"}", "STOP"), CAL_WIRE_DONE, "a cat", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"```\"}", "STOP"), CAL_WIRE_DONE, "```", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a\\u001b[31m\\tb\\u007f\\rc\"}", "STOP"), CAL_WIRE_DONE, "a\tb\nc", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a\\u202eb\\u2066c\\u0085d\\u200fe\\u001b[9\"}", "STOP"), CAL_WIRE_DONE,
     "abcd\xe2\x80\x8f"
     "e",
     "", -1},
    {"gemini", 503, "{\"error\":{\"code\":503,\"message\":\"API key not valid: x\"}}", CAL_WIRE_AGAIN, "", "503", -1},
    {"gemini", 302, "", CAL_WIRE_STOP, "", "address (302); name", -1},
    {"openai", 400, "{\"error\":{\"message\":\"API key not valid.\"}}", CAL_WIRE_STOP, "", "does not accept the key", -1},
    {"huggingface", 400, "{\"error\":\"This is not supported\"}", CAL_WIRE_REFUSED, "", "not supported", -1},
    {"gemini", 200, "[" CANDIDATE("{\"text\":\"a\"}", "STOP") "]", CAL_WIRE_DONE, "a", "", -1},
    {"gemini", 200, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}", CAL_WIRE_DONE, "a", "", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a\\u0000b\"}", "STOP"), CAL_WIRE_EMPTY, "", "broken JSON", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"\xff\"}", "STOP"), CAL_WIRE_EMPTY, "", "broken JSON", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\" \\n\"}", "STOP"), CAL_WIRE_EMPTY, "", "no words", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"Hm.\",\"thought\":true}", "STOP"), CAL_WIRE_EMPTY, "", "only thoughts", -1},
    {"gemini", 200, "{\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}]}", CAL_WIRE_EMPTY, "", "no words", -1},
    {"gemini", 200, "{\"candidates\":[{\"content\":{\"role\":\"model\"},\"finishReason\":\"MAX_TOKENS\"}]}", CAL_WIRE_CUT, "",
     "max_tokens before the first", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"Hm\",\"thought\":true}", "MAX_TOKENS"), CAL_WIRE_CUT, "", "max_tokens for thinking", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a ca\"}", "MAX_TOKENS"), CAL_WIRE_CUT, "a ca", "raise max_tokens", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a\"}", "SAFETY"), CAL_WIRE_BLOCKED, "", "(SAFETY)", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a\"}", "SOMETHING_NEW"), CAL_WIRE_EMPTY, "", "(SOMETHING_NEW)", -1},
    {"gemini", 200, CANDIDATE("{\"text\":\"a\"}", "OTHER"), CAL_WIRE_EMPTY, "", "(OTHER)", -1},
    {"gemini", 200, "{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"}}", CAL_WIRE_BLOCKED, "", "(PROHIBITED_CONTENT)", -1},
    {"gemini", 200, "{\"candidates\":[],\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", CAL_WIRE_BLOCKED, "", "by hand", -1},
    {"gemini", 200, "{\"promptFeedback\":{}}", CAL_WIRE_EMPTY, "", "no answer", -1},
    {"gemini", 200, "[]", CAL_WIRE_EMPTY, "", "no answer", -1},
    {"gemini", 200, "null", CAL_WIRE_EMPTY, "", "no answer", -1},
    {"gemini", 200, "", CAL_WIRE_EMPTY, "", "an empty reply", -1},
    {"gemini", 200, "{\"candidates\":[{\"content\"", CAL_WIRE_EMPTY, "", "broken JSON", -1},
    {"gemini", 200, "<html><title>Log in</title>", CAL_WIRE_REFUSED, "", "a web page titled Log in", -1},
    {"gemini", 200, "{\"error\":{\"code\":503,\"message\":\"overloaded\"}}", CAL_WIRE_AGAIN, "", "overloaded", -1},
    {"gemini", 200, "{\"candidates\":{\"content\":7},\"usageMetadata\":[],\"modelVersion\":3}", CAL_WIRE_EMPTY, "", "no answer", -1},
    {"gemini", 200, "{\"candidates\":[7]}", CAL_WIRE_EMPTY, "", "no words", -1},
    /* Gemini: errors */
    {"gemini", 400,
     "{\"error\":{\"code\":400,\"message\":\"API key not valid. Please pass a valid API "
     "key.\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":\"type.googleapis.com/"
     "google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\"}]}}",
     CAL_WIRE_STOP, "", "aistudio.google.com/apikey", -1},
    {"gemini", 400, "{\"error\":{\"code\":400,\"message\":\"API key expired. Please renew\"}}", CAL_WIRE_STOP, "",
     "does not accept the key", -1},
    {"gemini", 400,
     "{\"error\":{\"code\":400,\"message\":\"User location is not supported for the API use.\",\"status\":\"FAILED_PRECONDITION\"}}",
     CAL_WIRE_STOP, "", "billing", -1},
    {"gemini", 400,
     "{\"error\":{\"code\":400,\"message\":\"Thinking level is not supported for this model\",\"status\":\"INVALID_ARGUMENT\"}}",
     CAL_WIRE_REFUSED, "", "Thinking level", -1},
    {"gemini", 403, "{\"error\":{\"code\":403,\"message\":\"no\",\"status\":\"PERMISSION_DENIED\"}}", CAL_WIRE_STOP, "", "403", -1},
    {"gemini", 403,
     "{\"error\":{\"code\":403,\"message\":\"no\",\"details\":[{\" "
     "@type\":\"x/google.rpc.ErrorInfo\",\"reason\":\"API_KEY_SERVICE_BLOCKED\"}]}}",
     CAL_WIRE_STOP, "", "Vertex", -1},
    {"gemini", 401, "{\"error\":{\"code\":401}}", CAL_WIRE_STOP, "", "401", -1},
    {"gemini", 402, "{}", CAL_WIRE_STOP, "", "paid", -1},
    {"gemini", 404,
     "{\"error\":{\"code\":404,\"message\":\"models/gemini-2.0-flash is not found for API version v1beta\",\"status\":\"NOT_FOUND\"}}",
     CAL_WIRE_OTHER_MODEL, "", "name another", -1},
    {"gemini", 404, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", CAL_WIRE_STOP, "", "base URL", -1},
    {"gemini", 404, "404 page not found", CAL_WIRE_STOP, "", "404 page not found", -1},
    {"gemini", 413, "", CAL_WIRE_REFUSED, "", "smaller picture", -1},
    {"gemini", 302, "", CAL_WIRE_STOP, "", "another address", -1},
    {"gemini", 429,
     "{\"error\":{\"code\":429,\"message\":\"q\",\"details\":[{\"@type\":\"type.googleapis.com/"
     "google.rpc.RetryInfo\",\"retryDelay\":\"54s\"}]}}",
     CAL_WIRE_AGAIN, "", "free again in 54 s", 54},
    {"gemini", 429, "{\"error\":{\"code\":429,\"details\":[{\"@type\":\"google.rpc.RetryInfo\",\"retryDelay\":\"900ms\"}]}}",
     CAL_WIRE_AGAIN, "", "0.9 s", 0.9},
    {"gemini", 429, "{\"error\":{\"code\":429,\"details\":[{\"@type\":\"google.rpc.RetryInfo\",\"retryDelay\":\"34.074824224s\"}]}}",
     CAL_WIRE_AGAIN, "", "34.1 s", 34.074824224},
    {"gemini", 429, "{\"error\":{\"code\":429,\"message\":\"Quota exceeded.\\nPlease retry in 54.88s.\"}}", CAL_WIRE_AGAIN, "", "54.9",
     54.88},
    {"gemini", 429, "{\"error\":{\"code\":429,\"message\":\"Please retry in 412.7ms.\"}}", CAL_WIRE_AGAIN, "", "0.413", 0.4127},
    {"gemini", 429, "{\"error\":{\"code\":429,\"details\":[{\"@type\":\"google.rpc.RetryInfo\",\"retryDelay\":\"68940s\"}]}}",
     CAL_WIRE_OTHER_MODEL, "", "1149 minutes", 68940},
    {"gemini", 429,
     "{\"error\":{\"code\":429,\"message\":\"Please retry in "
     "9s\",\"details\":[{\"@type\":\"google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel-"
     "FreeTier\",\"quotaValue\":\"200\"}]}]}}",
     CAL_WIRE_OTHER_MODEL, "", "midnight Pacific", 9},
    {"gemini", 429,
     "{\"error\":{\"code\":429,\"details\":[{\"@type\":\"google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":"
     "\"GenerateRequestsPerMinutePerProjectPerModel\"}]}]}}",
     CAL_WIRE_AGAIN, "", "minute", 60},
    {"gemini", 429, "{\"error\":{\"code\":429,\"message\":\"* Quota exceeded for metric: x, limit: 0, model: gemini-3.1-pro\"}}",
     CAL_WIRE_OTHER_MODEL, "", "limit: 0", -1},
    {"gemini", 429, "{\"error\":{\"code\":429,\"message\":\"limit: 0.5, limit: 05, limit: 10\"}}", CAL_WIRE_AGAIN, "", "no more requests",
     -1},
    {"gemini", 429, "{\"error\":{\"code\":429,\"message\":\"Your project has exceeded its monthly spending cap.\"}}", CAL_WIRE_STOP, "",
     "spending limit", -1},
    {"gemini", 429,
     "[{\"error\":{\"code\":429,,\"message\":\"m\",\"details\":[{\" @type\":\"google.rpc.RetryInfo\",\"retryDelay\":\"2s\"},]}}]",
     CAL_WIRE_AGAIN, "", "2 s", 2},
    {"gemini", 429,
     "{\"error\":{\"code\":429,\"message\":\"{\\\"error\\\":{\\\"code\\\":429,\\\"message\\\":\\\"Please retry in "
     "3s\\\",\\\"details\\\":[]}}\"}}",
     CAL_WIRE_AGAIN, "", "3 s", 3},
    {"gemini", 500, "{\"error\":{\"message\":\" [{\\\"error\\\":{\\\"code\\\":404,\\\"message\\\":\\\"gone\\\"}}]\"}}",
     CAL_WIRE_OTHER_MODEL, "", "gone", -1},
    {"gemini", 429, "{\"error\":\"slow down\"}", CAL_WIRE_AGAIN, "", "slow down", -1},
    {"gemini", 429, "", CAL_WIRE_AGAIN, "", "429", -1},
    {"gemini", 499, "{\"error\":{\"code\":499,\"status\":\"CANCELLED\"}}", CAL_WIRE_AGAIN, "", "499", -1},
    {"gemini", 500, "{\"error\":{\"code\":500,\"message\":\"An internal error has occurred\"}}", CAL_WIRE_AGAIN, "", "internal error", -1},
    {"gemini", 502, "<html><head><title>502 Bad\n Gateway</title></head></html>", CAL_WIRE_AGAIN, "", "titled 502 Bad Gateway", -1},
    {"gemini", 503,
     "{\"error\":{\"code\":503,\"message\":\"The model is overloaded. Please try again later.\",\"status\":\"UNAVAILABLE\"}}",
     CAL_WIRE_AGAIN, "", "overloaded", -1},
    {"gemini", 503, "{\"error\":{\"code\":503,\"details\":[{\"@type\":\"google.rpc.ErrorInfo\",\"reason\":\"MODEL_CAPACITY_EXHAUSTED\"}]}}",
     CAL_WIRE_OTHER_MODEL, "", "no room", -1},
    {"gemini", 504, "{\"error\":{\"code\":504,\"status\":\"DEADLINE_EXCEEDED\"}}", CAL_WIRE_AGAIN, "", "too long", -1},
    {"gemini", 418, "{\"error\":{\"message\":{\"a\":1}}}", CAL_WIRE_REFUSED, "", "418", -1},
    {"gemini", 400, "{\"error\":{\"code\":\"invalid_request\",\"message\":\"bad \\u001b]0;x\"}}", CAL_WIRE_REFUSED, "", "bad \\x1b]0;x",
     -1},
    /* chat completions: answers */
    {"openai", 200, CHOICE("{\"role\":\"assistant\",\"content\":\" a cat \"}", "\"stop\""), CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, CHOICE("{\"content\":[{\"type\":\"text\",\"text\":\"a \"},{\"type\":\"text\",\"text\":\"cat\"}]}", "null"),
     CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, CHOICE("{\"content\":\"a cat\"}", "\"some_new_word\""), CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, CHOICE("{\"content\":\"<think>Hm.</think>\\n```json\\n{}\\n```\"}", "\"stop\""), CAL_WIRE_DONE, "{}", "", -1},
    {"openai", 200, CHOICE("{\"content\":\"Hm.</think>a cat\"}", "\"stop\""), CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, CHOICE("{\"content\":\" <think>Hm.\"}", "\"stop\""), CAL_WIRE_EMPTY, "", "only thoughts", -1},
    {"openai", 200, CHOICE("{\"content\":null,\"reasoning_content\":\"Hm.\"}", "\"stop\""), CAL_WIRE_EMPTY, "", "thinking = false", -1},
    {"openai", 200, CHOICE("{\"content\":\"\",\"reasoning\":\"Hm.\"}", "\"length\""), CAL_WIRE_CUT, "", "for thinking", -1},
    {"openai", 200, CHOICE("{\"content\":\"a ca\"}", "\"length\""), CAL_WIRE_CUT, "a ca", "raise max_tokens", -1},
    {"openai", 200, CHOICE("{\"content\":null}", "\"stop\""), CAL_WIRE_EMPTY, "", "no words", -1},
    {"openai", 200, CHOICE("{\"content\":null,\"refusal\":\"I cannot\"}", "\"stop\""), CAL_WIRE_BLOCKED, "", "refused", -1},
    {"openai", 200, CHOICE("{\"content\":\"a\"}", "\"content_filter\""), CAL_WIRE_BLOCKED, "", "by hand", -1},
    {"openai", 200, CHOICE("{\"content\":\"a\"}", "\"tool_calls\""), CAL_WIRE_EMPTY, "", "(tool_calls)", -1},
    {"openai", 200, "{\"choices\":[{\"text\":\"a cat\",\"finish_reason\":\"stop\"}]}", CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, "{\"choices\":[]}", CAL_WIRE_EMPTY, "", "no words", -1},
    {"openai", 200, "7", CAL_WIRE_EMPTY, "", "no words", -1},
    {"openai", 200, "{\"error\":null,\"choices\":[{\"message\":{\"content\":\"a\"}}]}", CAL_WIRE_DONE, "a", "", -1},
    {"openai", 200, "{\"model\":\"llava\",\"response\":\"a cat\",\"done\":true,\"done_reason\":\"stop\"}", CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, "{\"model\":\"llava\",\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}", CAL_WIRE_EMPTY, "", "(load)", -1},
    {"openai", 200,
     "{\"response\":\"a "
     "c\",\"done\":false}\n{\"response\":\"at\",\"done\":false}\r\n\n{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\"}\n",
     CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, "{\"message\":{\"content\":\"a c\"},\"done\":false}\n{\"message\":{\"content\":\"at\"},\"done\":true}", CAL_WIRE_DONE,
     "a cat", "", -1},
    {"openai", 200, "{\"response\":\"a c\",\"done\":false}\n{\"response\":\"at\",", CAL_WIRE_EMPTY, "", "broke off before its end", -1},
    {"openai", 200, "{\"response\":\"a c\",\"done\":false}", CAL_WIRE_EMPTY, "", "broke off before its end", -1},
    {"openai", 200, "{\"response\":\"a c\",\"done\":false}\n{\"error\":\"an error was encountered while running the model\"}",
     CAL_WIRE_AGAIN, "", "while running", -1},
    {"openai", 200,
     ": hello\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a \"}}]}\n\ndata: "
     "{\"choices\":[{\"delta\":{\"content\":\"cat\"},\"finish_reason\":null}]}\n\nevent: x\ndata: [DONE]\n\n",
     CAL_WIRE_DONE, "a cat", "", -1},
    {"openai", 200, "<html>", CAL_WIRE_REFUSED, "", "a web page instead", -1},
    {"openai", 200, "", CAL_WIRE_EMPTY, "", "an empty reply", -1},
    {"openai", 200, "{\"error\":{\"code\":502,\"message\":\"Upstream\"}}", CAL_WIRE_AGAIN, "", "(502)", -1},
    {"openai", 200, "{\"error\":\"model 'llava' not found\"}", CAL_WIRE_OTHER_MODEL, "", "ollama pull", -1},
    /* chat completions: errors */
    {"openai", 503, "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}", CAL_WIRE_AGAIN, "",
     "still loading", 5},
    {"openai", 503, "{\"error\":\"server busy, please try again.  maximum pending requests exceeded\"}", CAL_WIRE_AGAIN, "", "server busy",
     -1},
    {"openai", 401, "{\"error\":{\"code\":401,\"message\":\"Invalid API Key\",\"type\":\"authentication_error\"}}", CAL_WIRE_STOP, "",
     "does not accept the key", -1},
    {"openai", 404, "{\"error\":{\"message\":\"model \\\"llava\\\" not found, try pulling it first\",\"type\":\"api_error\"}}",
     CAL_WIRE_OTHER_MODEL, "", "fetch it first", -1},
    {"openai", 404, "{\"object\":\"error\",\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"code\":404}",
     CAL_WIRE_OTHER_MODEL, "", "does not exist", -1},
    {"openai", 400, "{\"error\":{\"message\":\"no such\",\"code\":\"model_not_found\"}}", CAL_WIRE_OTHER_MODEL, "", "no such", -1},
    {"openai", 404, "{\"error\":{\"code\":404,\"message\":\"File Not Found\",\"type\":\"not_found_error\"}}", CAL_WIRE_STOP, "",
     "ends before /v1", -1},
    {"openai", 404, "404 page not found", CAL_WIRE_STOP, "", "base URL", -1},
    {"openai", 404, "{\"detail\":\"Not Found\"}", CAL_WIRE_STOP, "", "Not Found", -1},
    {"openai", 422, "{\"detail\":[{\"msg\":\"field required\"}]}", CAL_WIRE_REFUSED, "", "field required", -1},
    {"openai", 400,
     "{\"error\":{\"message\":\"This model's maximum context length is 4096 tokens.\",\"code\":\"context_length_exceeded\"}}",
     CAL_WIRE_REFUSED, "", "num_ctx", -1},
    {"openai", 400, "{\"error\":{\"code\":400,\"message\":\"the request exceeds\",\"type\":\"exceed_context_size_error\"}}",
     CAL_WIRE_REFUSED, "", "llama.cpp -c", -1},
    {"openai", 500, "{\"error\":{\"code\":500,\"message\":\"image input is not supported - hint: you may need to provide the mmproj\"}}",
     CAL_WIRE_OTHER_MODEL, "", "--mmproj", -1},
    {"openai", 400, "{\"error\":{\"message\":\"x\",\"code\":\"content_policy_violation\"}}", CAL_WIRE_BLOCKED, "", "by hand", -1},
    {"openai", 429, "{\"error\":{\"message\":\"You exceeded your current quota\",\"code\":\"insufficient_quota\"}}", CAL_WIRE_STOP, "",
     "billing", -1},
    {"openai", 429,
     "{\"error\":{\"message\":\"Rate limit reached for x on tokens per min (TPM). Please try again in "
     "1m26.4s.\",\"code\":\"rate_limit_exceeded\"}}",
     CAL_WIRE_AGAIN, "", "86.4 s", 86.4},
    {"openai", 429, "{\"error\":{\"message\":\"Rate limit reached on requests per day (RPD). Please try again in 7m12s.\"}}",
     CAL_WIRE_OTHER_MODEL, "", "another model", 432},
    {"openai", 400,
     "{\"error\":{\"message\":\"The requested model 'x' is not supported by any provider\",\"code\":\"model_not_supported\"}}",
     CAL_WIRE_OTHER_MODEL, "", "cannot serve", -1},
    {"openai", 404, "{\"error\":{\"message\":\"No endpoints found for x/y.\",\"code\":404}}", CAL_WIRE_OTHER_MODEL, "", "No endpoints", -1},
    {"openai", 500, "{\"error\":\"model requires more system memory (5.5 GiB) than is available\"}", CAL_WIRE_OTHER_MODEL, "", "5.5 GiB",
     -1},
    {"openai", 500, "{\"error\":{\"code\":500,\"message\":\"Failed to load image or audio file\"}}", CAL_WIRE_REFUSED, "",
     "cannot read this picture", -1},
    {"openai", 400, "{\"error\":{\"message\":\"'response_format.type' must be 'json_schema' or 'text'\"}}", CAL_WIRE_REFUSED, "",
     "schema_as", -1},
    {"openai", 429, "{\"error\":\"too many requests\"}", CAL_WIRE_AGAIN, "", "too many requests", -1},
    {"openai", 501, "{\"error\":{\"code\":501,\"message\":\"no\",\"type\":\"not_supported_error\"}}", CAL_WIRE_REFUSED, "", "501", -1},
    {"openai", 502, "<html><title>Bad</title>", CAL_WIRE_AGAIN, "", "titled Bad", -1},
    {"openai", 500, "{\"error\":{\"message\":null}}", CAL_WIRE_AGAIN, "", "500", -1},
    {"openai", 500, "[]", CAL_WIRE_AGAIN, "", "500", -1},
    /* Hugging Face */
    {"huggingface", 200, "[{\"generated_text\":\"a cat \"}]", CAL_WIRE_DONE, "a cat", "", -1},
    {"huggingface", 200, "[[{\"generated_text\":\"a cat\"}]]", CAL_WIRE_DONE, "a cat", "", -1},
    {"huggingface", 200, "{\"generated_text\":\"a cat\"}", CAL_WIRE_DONE, "a cat", "", -1},
    {"huggingface", 200, "[{\"generated_text\":\"\"}]", CAL_WIRE_EMPTY, "", "no caption", -1},
    {"huggingface", 200, "[{\"label\":\"cat\",\"score\":0.9}]", CAL_WIRE_EMPTY, "", "make text from pictures", -1},
    {"huggingface", 200, "[]", CAL_WIRE_EMPTY, "", "no caption", -1},
    {"huggingface", 503, "{\"error\":\"Model x is currently loading\",\"estimated_time\":20.0}", CAL_WIRE_AGAIN, "", "about 20 s", 20},
    {"huggingface", 503, "{\"error\":\"Model x is currently loading\",\"estimated_time\":1200}", CAL_WIRE_AGAIN, "", "about 1200 s", 60},
    {"huggingface", 503, "{\"error\":\"overloaded\"}", CAL_WIRE_AGAIN, "", "overloaded", -1},
    {"huggingface", 401, "{\"error\":\"Invalid username or password.\"}", CAL_WIRE_STOP, "", "Invalid username", -1},
    {"huggingface", 404, "{\"error\":\"Not Found\"}", CAL_WIRE_OTHER_MODEL, "", "router.huggingface.co", -1},
    {"huggingface", 400, "{\"error\":\"Model a/b not supported by provider hf-inference\"}", CAL_WIRE_OTHER_MODEL, "",
     "router.huggingface.co", -1},
    {"huggingface", 400, "{\"error\":[\"Error in inputs: bad\"]}", CAL_WIRE_REFUSED, "", "Error in inputs", -1},
    {"huggingface", 402, "{\"error\":\"You have exceeded your monthly included credits\"}", CAL_WIRE_STOP, "", "credit", -1},
    {"huggingface", 504, "<html>", CAL_WIRE_AGAIN, "", "too long", -1},
    {"huggingface", 200, "{\"error\":\"x\"}", CAL_WIRE_AGAIN, "", "(500)", -1},
};

TEST(every_reply_gets_its_verdict_its_text_and_a_next_step) {
  for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
    int before = test_failures;
    const cal_wire_answer *a = reads(replies[i].wire, replies[i].status, replies[i].body);
    CHECK_TEXT(cal_wire_verdict_name(a->verdict), cal_wire_verdict_name(replies[i].verdict));
    CHECK_TEXT(text_of(a), replies[i].text);
    CHECK(strstr(a->why, replies[i].why));
    CHECK((a->verdict == CAL_WIRE_DONE) == !a->why[0]);
    CHECK_NEAR(a->wait_seconds, replies[i].wait, 1e-9);
    if (test_failures > before) printf("  %d %s\n    %s\n", replies[i].status, replies[i].body, a->why);
  }
}

TEST(a_gemini_answer_tells_the_model_that_answered_and_the_tokens) {
  const cal_wire_answer *a =
      reads("gemini", 200,
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
            "\"promptTokenCount\":1180,\"candidatesTokenCount\":\"61\",\"thoughtsTokenCount\":210},\"modelVersion\":\"gemini-3.8-flash\"}");
  CHECK(a->tokens_in == 1180 && a->tokens_out == 61 && a->tokens_thought == 210);
  CHECK_TEXT(a->model, "gemini-3.8-flash");
  CHECK_TEXT(a->finish, "STOP");
  a = reads("gemini", 200, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":5}}");
  CHECK(a->tokens_in == 5 && a->tokens_out == 0 && a->tokens_thought == 0);
  a = reads("gemini", 200,
            "{\"candidates\":[{\"finishReason\":\"WHAT\"}],\"usageMetadata\":{\"promptTokenCount\":-5,\"candidatesTokenCount\":1.5,"
            "\"thoughtsTokenCount\":\"many\"}}");
  CHECK(a->tokens_in == -1 && a->tokens_out == -1 && a->tokens_thought == -1);
  CHECK_TEXT(a->finish, "OTHER");
}

TEST(an_openai_answer_tells_the_model_and_the_tokens_thoughts_apart) {
  const cal_wire_answer *a = reads(
      "openai", 200,
      "{\"model\":\"gpt\",\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":900,"
      "\"completion_tokens\":70,\"completion_tokens_details\":{\"reasoning_tokens\":50}}}");
  CHECK(a->tokens_in == 900 && a->tokens_out == 20 && a->tokens_thought == 50);
  CHECK_TEXT(a->model, "gpt");
  CHECK_TEXT(a->finish, "stop");
  a = reads("openai", 200, "{\"response\":\"a\",\"done\":true,\"prompt_eval_count\":9,\"eval_count\":3}");
  CHECK(a->tokens_in == 9 && a->tokens_out == 3 && a->tokens_thought == -1);
  a = reads("huggingface", 200, "[{\"generated_text\":\"a\"}]");
  CHECK(a->tokens_in == -1 && a->tokens_out == -1 && !a->model[0]);
}

TEST(an_error_inside_a_reply_of_200_names_its_own_status) {
  CHECK(reads("gemini", 200, "{\"error\":{\"code\":503}}")->status == 503);
  CHECK(reads("gemini", 200, "{\"error\":\"odd\"}")->status == 500);
  CHECK(reads("gemini", 200, "{\"error\":{\"code\":8}}")->status == 429); /* gRPC's number */
  CHECK(reads("gemini", 502, "<html>")->status == 502);
  CHECK(reads("gemini", 200, "{}")->status == 200);
}

TEST(errors_in_messages_in_messages_end_at_ten) {
  cal_buffer body = {0};
  cal_buffer_add_text(&body, "{\"message\":\"Please retry in 5s\"}");
  for (int i = 0; i < 9; i++) { /* backslashes double each time */
    cal_buffer outer = {0};
    cal_buffer_add_text(&outer, "{\"error\":{\"code\":429,\"message\":");
    cal_json_write_text(body.data, body.size, &outer);
    cal_buffer_add_text(&outer, "}}");
    cal_buffer_free(&body);
    body = outer;
  }
  CHECK_NEAR(reads("gemini", 429, body.data)->wait_seconds, 5, 1e-9);
  cal_buffer_free(&body);
}

TEST(replies_too_long_too_deep_or_with_too_many_words_are_empty_answers) {
  cal_buffer body = {0};
  cal_buffer_add_text(&body, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
  for (int i = 0; i < 70000; i++) cal_buffer_add_byte(&body, 'a');
  cal_buffer_add_text(&body, "\"}]},\"finishReason\":\"STOP\"}]}");
  const cal_wire_answer *a = reads("gemini", 200, body.data);
  CHECK(a->verdict == CAL_WIRE_EMPTY && strstr(a->why, "70000 bytes") && !a->text.size);
  cal_buffer_free(&body);
  for (int i = 0; i < 20000; i++) cal_buffer_add_byte(&body, '[');
  for (size_t w = 0; cal_wire_at(w); w++) CHECK(reads(cal_wire_at(w)->name, 200, body.data)->verdict == CAL_WIRE_EMPTY);
  cal_buffer_reserve(&body, CAL_WIRE_REPLY_MOST + 1);
  memset(body.data, ' ', CAL_WIRE_REPLY_MOST + 1);
  body.data[CAL_WIRE_REPLY_MOST + 1] = 0;
  for (size_t w = 0; cal_wire_at(w); w++) CHECK(strstr(reads(cal_wire_at(w)->name, 200, body.data)->why, "too many"));
  cal_buffer_free(&body);
}

TEST(why_is_cut_between_characters_and_is_printable) {
  cal_buffer body = {0};
  cal_buffer_add_text(&body, "{\"error\":{\"code\":500,\"message\":\"a");
  for (int i = 0; i < 400; i++) cal_buffer_add_text(&body, "\xc3\xa4");
  cal_buffer_add_text(&body, "\"}}");
  for (size_t w = 0; cal_wire_at(w); w++) {
    const cal_wire_answer *a = reads(cal_wire_at(w)->name, 500, body.data);
    CHECK(cal_utf8_valid(a->why, strlen(a->why), NULL) && strstr(a->why, "\xc3\xa4..."));
  }
  cal_buffer_free(&body);
  cal_reply_begin(&answer);
  for (size_t length = 500; length < 520; length++) {
    char text[600];
    memset(text, 'x', length);
    memcpy(text + length, "\xf0\x9f\x8e\xa8", 5);
    cal_reply_say(&answer, CAL_WIRE_STOP, "%s", text);
    CHECK(cal_utf8_valid(answer.why, strlen(answer.why), NULL) && strlen(answer.why) <= 511);
  }
}

TEST(durations_are_read_as_servers_write_them) {
  CHECK_NEAR(cal_reply_seconds("1m26.4s"), 86.4, 1e-9);
  CHECK_NEAR(cal_reply_seconds("2h3m"), 7380, 1e-9);
  CHECK_NEAR(cal_reply_seconds("6ms"), 0.006, 1e-12);
  CHECK_NEAR(cal_reply_seconds("0s"), 0, 0);
  CHECK_NEAR(cal_reply_seconds("99999999999999999999999999s"), 1e9, 0);
  CHECK_NEAR(cal_reply_seconds_after("PLEASE RETRY IN 7s.", "retry in "), 7, 0);
  static const char *const none[] = {"", "s", "-3s", "x5s", "5", "nan", "1e5s", "0x3s", ".5s"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) CHECK(cal_reply_seconds(none[i]) == -1);
  CHECK(cal_reply_seconds(NULL) == -1);
}

TEST(a_reply_cut_anywhere_or_without_memory_is_answered_or_refused_cleanly) {
  for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
    const cal_wire *wire = cal_wire_find(replies[i].wire);
    size_t size = strlen(replies[i].body);
    for (size_t cut = 0; cut < size; cut += 1 + size / 40) {
      cal_wire_answer_free(&answer);
      CHECK(wire->read(replies[i].status, NULL, replies[i].body, cut, &answer, NULL) == CAL_OK);
      CHECK(answer.verdict == CAL_WIRE_DONE || answer.why[0]);
    }
    for (int n = 0; n < 40; n++) {
      cal_error err = {0};
      cal_wire_answer_free(&answer);
      cal_memory_fail_after(n);
      cal_status status = wire->read(replies[i].status, NULL, replies[i].body, size, &answer, &err);
      cal_memory_fail_after(-1);
      CHECK(status == CAL_OK || (status == CAL_E_MEMORY && err.text[0]));
    }
  }
}

/* ---- batches ---- */

TEST(a_batch_holds_each_question_with_its_key) {
  cal_buffer lines = {0}, path = {0}, body = {0};
  cal_error err = {0};
  cal_wire_question q = {.user = "x", .max_tokens = 9};
  CHECK(cal_gemini_batch_line(&q, "img \"1\\", &lines, &err) == CAL_OK);
  q.max_tokens = 0, q.schema = "{\n\"type\":\n\"object\"}"; /* a line is a line */
  CHECK(cal_gemini_batch_line(&q, "img2", &lines, &err) == CAL_OK);
  const size_t size = lines.size;
  CHECK(cal_gemini_batch_line(&(cal_wire_question){.user = ""}, "img3", &lines, &err) == CAL_E_ARG);
  CHECK(strstr(err.text, "gemini batch: img3: gemini: neither a picture"));
  CHECK(cal_gemini_batch_line(&q, "", &lines, &err) == CAL_E_ARG && lines.size == size);
  CHECK(strchr(lines.data, '\n') < lines.data + size - 1 && !strchr(strchr(lines.data, '\n') + 1, '\n')[1]);
  CHECK(cal_gemini_batch_inside("gemini-3.8-flash", "my \"1\"", lines.data, lines.size, &path, &body, &err) == CAL_OK);
  CHECK_TEXT(path.data, "/v1beta/models/gemini-3.8-flash:batchGenerateContent");
  CHECK(strstr(body.data,
               "{\"batch\":{\"displayName\":\"my \\\"1\\\"\",\"inputConfig\":{\"requests\":{\"requests\":[{\"request\":{\"contents\":[{"
               "\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{\"maxOutputTokens\":9}},\"metadata\":{\"key\":"
               "\"img \\\"1\\\\\"}},{\"request\":{"));
  CHECK(strstr(body.data, "\"metadata\":{\"key\":\"img2\"}}]}}}}"));
  CHECK(body.size <= size + CAL_GEMINI_BATCH_FRAME + 2 * CAL_GEMINI_BATCH_EACH);
  cal_json *tree = cal_json_parse(body.data, body.size, &err);
  CHECK(tree != NULL);
  cal_json_free(tree);
  cal_buffer_free(&path);
  cal_buffer_free(&body);
  CHECK(cal_gemini_batch_inside("m", "", lines.data, lines.size, &path, &body, &err) == CAL_E_ARG);
  CHECK(cal_gemini_batch_inside("..", "n", lines.data, lines.size, &path, &body, &err) == CAL_E_ARG);
  cal_buffer_free(&path);
  CHECK(cal_gemini_batch_inside("m", "n", lines.data, 0, &path, &body, &err) == CAL_E_ARG && strstr(err.text, "nothing was added"));
  CHECK(cal_gemini_batch_inside("m", "n", "{\"key\":\"a\n", 10, &path, &body, &err) == CAL_E_ARG && strstr(err.text, "byte 0"));
  cal_buffer_free(&path);
  cal_buffer_free(&body);
  cal_buffer_free(&lines);
}

TEST(a_batch_of_a_file_names_it) {
  cal_buffer path = {0}, body = {0};
  cal_error err = {0};
  CHECK(cal_gemini_batch_filed("m", "n", "files/abc-1", &path, &body, &err) == CAL_OK);
  CHECK_TEXT(path.data, "/v1beta/models/m:batchGenerateContent");
  CHECK_TEXT(body.data, "{\"batch\":{\"displayName\":\"n\",\"inputConfig\":{\"fileName\":\"files/abc-1\"}}}");
  static const char *const bad[] = {NULL, "", "abc", "files/", "files/a b", "files/a\"b", "files/a/b"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(cal_gemini_batch_filed("m", "n", bad[i], &path, &body, &err) == CAL_E_ARG);
  cal_buffer_free(&path);
  cal_buffer_free(&body);
}

static cal_fs *own_folder(void) {
  cal_fs *fs = cal_fs_new(NULL, 0, NULL);
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  CHECK(fs && cal_fs_grant(fs, tmp ? tmp : "/tmp", CAL_FS_READ | CAL_FS_WRITE, NULL) == CAL_OK);
  return fs;
}

static char *in_folder(const char *name) {
  static char path[600];
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  snprintf(path, sizeof path, "%s/%s", tmp ? tmp : "/tmp", name);
  return path;
}

TEST(questions_stay_inside_the_call_until_they_are_too_many_for_it) {
  static unsigned char bytes[6 << 20];
  cal_wire_picture picture = {bytes, sizeof bytes, "image/png"};
  cal_wire_question q = {.pictures = &picture, .picture_count = 1};
  cal_buffer path = {0}, body = {0}, file = {0};
  cal_error err = {0};
  uint64_t size = 7;
  cal_fs *fs = own_folder();
  const cal_gemini_questions_options o = {.fs = fs, .path = in_folder("batch-1.jsonl"), .model = "m", .name = "n"};
  cal_gemini_questions *all = cal_gemini_questions_new(&o, &err);
  CHECK(all && cal_gemini_questions_add(all, &q, "a", &err) == CAL_OK && cal_gemini_questions_add(all, &q, "b", &err) == CAL_OK);
  CHECK(cal_gemini_questions_end(all, &path, &body, &size, &err) == CAL_OK && size == 0 && body.size <= CAL_GEMINI_BATCH_MOST);
  CHECK(strstr(body.data + body.size - 22, "\"key\":\"b\"}}]}}}}"));
  cal_gemini_questions_free(all);
  CHECK(cal_fs_stat(fs, o.path, &(cal_fs_info){0}, NULL) == CAL_E_NOTFOUND);
  all = cal_gemini_questions_new(&o, &err);
  for (int i = 0; i < 3; i++) CHECK(cal_gemini_questions_add(all, &q, i == 0 ? "a" : i == 1 ? "b" : "c", &err) == CAL_OK);
  CHECK(cal_gemini_questions_add(all, &(cal_wire_question){.user = ""}, "d", &err) == CAL_E_ARG);
  CHECK(cal_fs_stat(fs, o.path, &(cal_fs_info){0}, NULL) == CAL_E_NOTFOUND); /* not whole yet */
  body.size = path.size = 0;
  CHECK(cal_gemini_questions_end(all, &path, &body, &size, &err) == CAL_OK && size > 3 * 8 << 20 && !body.size && !path.size);
  cal_gemini_questions_free(all);
  CHECK(cal_fs_read(fs, o.path, 0, &file, &err) == CAL_OK && file.size == size && file.data[size - 1] == '\n');
  const char *line = file.data;
  for (int i = 0; i < 3; i++, line = strchr(line, '\n') + 1) {
    cal_json *tree = cal_json_parse(line, strcspn(line, "\n"), &err);
    CHECK(cal_json_find(tree, "request") && cal_json_text(cal_json_find(tree, "key"))[0] == 'a' + i);
    cal_json_free(tree);
  }
  CHECK(!*line);
  CHECK(cal_fs_remove(fs, o.path, &err) == CAL_OK);
  cal_buffer_free(&path);
  cal_buffer_free(&body);
  cal_buffer_free(&file);
  cal_fs_free(fs);
}

TEST(a_file_of_questions_that_is_full_says_so_and_stays_whole) {
  cal_wire_question q = {.user = "what?"};
  cal_buffer path = {0}, body = {0};
  cal_error err = {0};
  uint64_t size = 0;
  cal_fs *fs = own_folder();
  cal_gemini_questions_options o = {
      .fs = fs, .path = in_folder("batch-2.jsonl"), .model = "m", .name = "n", .most_inside = 1200, .most_in_a_file = 1000};
  cal_gemini_questions *all = cal_gemini_questions_new(&o, &err);
  int count = 0;
  while (count < 100 && cal_gemini_questions_add(all, &q, "key", &err) == CAL_OK) count++;
  CHECK(count > 5 && count < 20 && err.code == CAL_E_LIMIT && strstr(err.text, "more than 1000 bytes; begin another one"));
  CHECK(cal_gemini_questions_end(all, &path, &body, &size, &err) == CAL_OK && size <= 1000 && size % (uint64_t)count == 0);
  cal_gemini_questions_free(all);
  CHECK(cal_fs_remove(fs, o.path, &err) == CAL_OK);
  all = cal_gemini_questions_new(&o, &err); /* nothing was ended: nothing is left */
  for (int i = 0; i < 5; i++) CHECK(cal_gemini_questions_add(all, &q, "key", &err) == CAL_OK);
  cal_gemini_questions_free(all);
  CHECK(cal_fs_stat(fs, o.path, &(cal_fs_info){0}, NULL) == CAL_E_NOTFOUND);
  all = cal_gemini_questions_new(&o, &err);
  CHECK(cal_gemini_questions_end(all, &path, &body, &size, &err) == CAL_E_ARG);
  cal_gemini_questions_free(all);
  o.name = "";
  CHECK(!cal_gemini_questions_new(&o, &err) && err.code == CAL_E_ARG);
  o.name = "n", o.path = "/nowhere-that-may-be-written/x";
  all = cal_gemini_questions_new(&o, &err);
  CHECK(cal_gemini_questions_add(all, &q, "1", &err) == CAL_OK);
  CHECK(cal_gemini_questions_add(all, &q, "2", &err) == CAL_E_DENIED && strstr(err.text, "/nowhere"));
  cal_gemini_questions_free(all);
  o.path = in_folder("batch-3.jsonl");
  for (int n = 0; n < 60; n++) { /* without memory: refused, or done */
    cal_error lack = {0};
    cal_memory_fail_after(n);
    all = cal_gemini_questions_new(&o, &lack);
    cal_status status = all ? CAL_OK : CAL_E_MEMORY;
    for (int i = 0; i < 4 && !status; i++) status = cal_gemini_questions_add(all, &q, "key", &lack);
    if (!status) status = cal_gemini_questions_end(all, &path, &body, &size, &lack);
    cal_memory_fail_after(-1);
    CHECK(status == CAL_OK || (lack.code && lack.text[0]));
    cal_gemini_questions_free(all);
  }
  cal_fs_remove(fs, o.path, NULL);
  cal_buffer_free(&path);
  cal_buffer_free(&body);
  cal_fs_free(fs);
}

static char told[600];

static cal_status tell(void *context, size_t index, const char *key, const cal_wire_answer *a, cal_error *err) {
  size_t used = strlen(told);
  snprintf(told + used, sizeof told - used, "%zu %s %s %s;", index, key ? key : "-", cal_wire_verdict_name(a->verdict), text_of(a));
  return context && index == 1 ? cal_fail(err, CAL_E_ARG, "enough") : CAL_OK;
}

static cal_gemini_batch batch_of(int status, const char *body) {
  cal_gemini_batch batch;
  told[0] = 0;
  CHECK(cal_gemini_batch_read(status, "application/json", body, strlen(body), tell, NULL, &batch, NULL) == CAL_OK);
  return batch;
}

#define ANSWERED "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a cat\"}]},\"finishReason\":\"STOP\"}]}"
#define INLINED                                                                                                                       \
  "{\"inlinedResponses\":{\"inlinedResponses\":[{\"response\":" ANSWERED                                                              \
  ",\"metadata\":{\"key\":\"x\"}},{\"error\":{\"code\":3,\"message\":\"bad\"},\"metadata\":{\"key\":\"y\"}},{\"error\":{\"code\":14," \
  "\"message\":\"busy\"}},{}]}}"

TEST(a_batch_tells_its_state_and_its_answers_wherever_they_stand) {
  cal_gemini_batch b =
      batch_of(200,
               "{\"name\":\"batches/1-a\",\"metadata\":{\"displayName\":\"my "
               "1\",\"state\":\"BATCH_STATE_RUNNING\",\"batchStats\":{\"requestCount\":\"4\",\"successfulRequestCount\":1}}}");
  CHECK(b.verdict == CAL_WIRE_DONE && b.state == CAL_GEMINI_BATCH_RUNNING && b.requests == 4 && b.succeeded == 1 && b.failed == -1 &&
        !told[0]);
  CHECK_TEXT(b.name, "batches/1-a");
  CHECK_TEXT(b.display_name, "my 1");
  static const char expected[] = "0 x done a cat;1 y refused ;2 - again ;3 - empty ;";
  b = batch_of(200, "{\"name\":\"batches/1\",\"metadata\":{\"state\":\"JOB_STATE_SUCCEEDED\"},\"done\":true,\"response\":" INLINED "}");
  CHECK(b.state == CAL_GEMINI_BATCH_SUCCEEDED && b.answers == 4);
  CHECK_TEXT(told, expected);
  b = batch_of(200, "{\"name\":\"batches/1\",\"metadata\":{\"state\":\"BATCH_STATE_SUCCEEDED\",\"output\":" INLINED "}}");
  CHECK_TEXT(told, expected);
  b = batch_of(
      200,
      "{\"name\":\"batches/1\",\"state\":\"BATCH_STATE_SUCCEEDED\",\"output\":{\"inlinedResponses\":[{\"key\":\"z\",\"response\":" ANSWERED
      "}]}}");
  CHECK_TEXT(told, "0 z done a cat;");
  b = batch_of(200, "{\"name\":\"batches/1\",\"done\":true,\"response\":{\"responsesFile\":\"files/abc\"}}");
  CHECK(b.state == CAL_GEMINI_BATCH_SUCCEEDED);
  CHECK_TEXT(b.file, "files/abc");
  b = batch_of(200, "{\"name\":\"batches/1\",\"metadata\":{\"output\":{\"responsesFile\":\"files/../x\"}}}");
  CHECK(!b.file[0] && b.state == CAL_GEMINI_BATCH_UNKNOWN);
  b = batch_of(200,
               "{\"name\":\"batches/"
               "1\",\"done\":true,\"error\":{\"code\":13,\"message\":\"broke\"},\"metadata\":{\"state\":\"BATCH_STATE_FAILED\"}}");
  CHECK(b.verdict == CAL_WIRE_DONE && b.state == CAL_GEMINI_BATCH_FAILED && strstr(b.why, "broke"));
  b = batch_of(200, "{\"name\":\"batches/1\",\"metadata\":{\"state\":\"BATCH_STATE_EXPIRED\"}}");
  CHECK(b.state == CAL_GEMINI_BATCH_EXPIRED && strstr(b.why, "smaller batches"));
  CHECK_TEXT(cal_gemini_batch_state_name(CAL_GEMINI_BATCH_EXPIRED), "expired");
}

TEST(what_is_no_batch_has_a_verdict_and_a_reason) {
  cal_gemini_batch b = batch_of(200, "{}");
  CHECK(b.verdict == CAL_WIRE_EMPTY && strstr(b.why, "names no batch"));
  b = batch_of(200, "{\"name\":\"batches/../models\"}");
  CHECK(b.verdict == CAL_WIRE_EMPTY);
  b = batch_of(200, "{\"name\":\"batches/..\"}");
  CHECK(b.verdict == CAL_WIRE_EMPTY);
  b = batch_of(429, "{\"error\":{\"code\":429,\"message\":\"Please retry in 7s\"}}");
  CHECK(b.verdict == CAL_WIRE_AGAIN && b.status == 429 && b.wait_seconds == 7);
  b = batch_of(502, "<html>");
  CHECK(b.verdict == CAL_WIRE_AGAIN && b.why[0]);
  b = batch_of(200, "");
  CHECK(b.verdict == CAL_WIRE_EMPTY && strstr(b.why, "empty reply"));
  cal_gemini_batch out;
  cal_error err = {0};
  static const char two[] = "{\"name\":\"batches/1\",\"response\":" INLINED "}";
  told[0] = 0;
  CHECK(cal_gemini_batch_read(200, NULL, two, sizeof two - 1, tell, told, &out, &err) == CAL_E_ARG && out.answers == 2);
  CHECK_TEXT(err.text, "enough");
}

TEST(a_batch_is_found_in_the_list_by_its_display_name) {
  static const char list[] =
      "{\"operations\":[{\"name\":\"batches/1\",\"metadata\":{\"displayName\":\"a\"}},{\"name\":\"batches/"
      "2\",\"metadata\":{\"displayName\":\"b\",\"state\":\"BATCH_STATE_PENDING\"}}],\"nextPageToken\":\"t\"}";
  cal_gemini_batch b;
  char next[256];
  CHECK(cal_gemini_batch_find(200, NULL, list, strlen(list), "b", &b, next, NULL) == CAL_OK && b.verdict == CAL_WIRE_DONE);
  CHECK(b.state == CAL_GEMINI_BATCH_PENDING);
  CHECK_TEXT(b.name, "batches/2");
  CHECK_TEXT(next, "t");
  CHECK(cal_gemini_batch_find(200, NULL, list, strlen(list), "c", &b, next, NULL) == CAL_OK && b.verdict == CAL_WIRE_EMPTY && !b.name[0]);
  CHECK(cal_gemini_batch_find(200, NULL, "{}", 2, "c", &b, next, NULL) == CAL_OK && b.verdict == CAL_WIRE_EMPTY && !next[0]);
  CHECK(cal_gemini_batch_find(403, NULL, "{}", 2, "c", &b, next, NULL) == CAL_OK && b.verdict == CAL_WIRE_STOP);
}

TEST(the_lines_of_an_answers_file_are_read_one_by_one) {
  static const char lines[] = "{\"key\":\"x\",\"response\":" ANSWERED
                              "}\r\n\n{\"key\":\"y\",\"error\":{\"code\":8,\"message\":\"limit: 0\"}}\n{\"key\":\"z\",\"resp";
  told[0] = 0;
  CHECK(cal_gemini_batch_lines(lines, sizeof lines - 1, tell, NULL, NULL) == CAL_OK);
  CHECK_TEXT(told, "0 x done a cat;1 y other_model ;2 - empty ;");
  CHECK(cal_gemini_batch_lines(lines, sizeof lines - 1, tell, told, NULL) == CAL_E_ARG);
  CHECK(cal_gemini_batch_lines("", 0, tell, NULL, NULL) == CAL_OK);
}

TEST(lines_that_come_in_pieces_are_the_same_lines) {
  static const char lines[] =
      "{\"key\":\"x\",\"response\":" ANSWERED "}\r\n\n \n{\"key\":\"y\",\"error\":{\"code\":8}}\nno\n{\"key\":\"z\"}";
  char whole[sizeof told];
  told[0] = 0;
  CHECK(cal_gemini_batch_lines(lines, sizeof lines - 1, tell, NULL, NULL) == CAL_OK);
  strcpy(whole, told);
  for (size_t piece = 1; piece < sizeof lines; piece++) {
    cal_gemini_lines l = {0};
    told[0] = 0;
    for (size_t from = 0; from < sizeof lines - 1; from += piece)
      CHECK(!cal_gemini_lines_add(&l, lines + from, sizeof lines - 1 - from < piece ? sizeof lines - 1 - from : piece, tell, NULL, NULL));
    CHECK(cal_gemini_lines_end(&l, tell, NULL, NULL) == CAL_OK);
    CHECK_TEXT(told, whole);
    cal_gemini_lines_free(&l);
  }
}

TEST(a_line_of_answers_without_end_is_left_out_and_the_next_is_read) {
  static char much[1 << 20];
  static const char next[] = "\n{\"key\":\"y\",\"error\":{\"code\":8}}\n";
  cal_gemini_lines l = {0};
  memset(much, 'x', sizeof much);
  told[0] = 0;
  for (int i = 0; i < 40; i++) CHECK(cal_gemini_lines_add(&l, much, sizeof much, tell, NULL, NULL) == CAL_OK);
  CHECK(l.rest.capacity < 3 * CAL_WIRE_REPLY_MOST); /* 40 MB came */
  CHECK(cal_gemini_lines_add(&l, next, sizeof next - 1, tell, NULL, NULL) == CAL_OK);
  CHECK(cal_gemini_lines_end(&l, tell, NULL, NULL) == CAL_OK);
  CHECK(!strncmp(told, "0 - empty ;1 y ", 15));
  cal_gemini_lines_free(&l);
}

TEST(a_file_of_answers_is_read_a_few_lines_at_a_time) {
  cal_fs *fs = own_folder();
  cal_error err = {0};
  cal_buffer text = {0};
  const char *path = in_folder("batch-1.answers");
  for (int i = 0; i < 30000; i++) cal_buffer_printf(&text, "{\"key\":\"%d\",\"response\":" ANSWERED "}\n", i);
  CHECK(cal_fs_write(fs, path, text.data, text.size, &err) == CAL_OK);
  cal_gemini_answers *a = cal_gemini_answers_open(fs, path, &err);
  size_t sum = 0, count = 1, calls = 0, most = 0;
  while (a && count) {
    told[0] = 0;
    CHECK(cal_gemini_answers_next(a, tell, NULL, &count, &err) == CAL_OK);
    sum += count, calls++;
    if (count > most) most = count;
  }
  CHECK(sum == 30000 && calls > 3 && most < 20000);
  cal_gemini_answers_close(a);
  CHECK(cal_fs_write(fs, path, "", 0, &err) == CAL_OK);
  a = cal_gemini_answers_open(fs, path, &err);
  CHECK(cal_gemini_answers_next(a, tell, NULL, &count, &err) == CAL_OK && count == 0);
  CHECK(cal_gemini_answers_next(a, tell, NULL, &count, &err) == CAL_OK && count == 0);
  cal_gemini_answers_close(a);
  CHECK(cal_fs_remove(fs, path, &err) == CAL_OK);
  CHECK(!cal_gemini_answers_open(fs, path, &err) && err.code == CAL_E_NOTFOUND);
  cal_buffer_free(&text);
  cal_fs_free(fs);
}

TEST_MAIN()
