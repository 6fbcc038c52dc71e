/* secret.h - keys by name. Their values go into one header of one request, and into nothing that is shown.
 *
 *   cal_error err = {0};
 *   const char *names[] = {"GOOGLE_API_KEY", "GEMINI_API_KEY", NULL};
 *   const cal_secret *key = NULL;
 *   const char *name = NULL;
 *   cal_env_place place;
 *   if (cal_secret_find(names, &key, &name, &place, &err)) return err.code;
 *   printf("%s from %s\n", key ? name : "no key", cal_env_place_name(place));   // "GEMINI_API_KEY from .env"
 *   cal_buffer line = {0};
 *   cal_buffer_add_text(&line, "GET /?key=AQ.0123456789abcdefgh HTTP/1.1");
 *   cal_scrub(&line, &err);                                                     // "GET /?key=<hidden> HTTP/1.1"
 *   cal_buffer_free(&line);
 *
 * Settings come from the environment and, where that has none, from the file .env of the working folder, which is read once. A
 * variable that the environment sets to nothing hides that of .env. Values are trimmed. From any thread.
 * uses: base
 */
#ifndef CAL_NET_SECRET_H
#define CAL_NET_SECRET_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/error.h"

typedef struct cal_secret cal_secret; /* lives until the process ends; the same value is the same secret */
typedef enum { CAL_FROM_NOWHERE, CAL_FROM_ENVIRONMENT, CAL_FROM_ENV_FILE } cal_env_place;

/* "nowhere", "environment", ".env" */
const char *cal_env_place_name(cal_env_place place);

/* Appends the value. Not set, or nothing but white space: nothing is appended, *place is CAL_FROM_NOWHERE, CAL_OK. An error is
 * that of .env: it cannot be read, or ".env: line 3: ...". */
cal_status cal_env_get(const char *name, cal_buffer *value, cal_env_place *place, cal_error *err);

/* The names that stand in .env, for "did you mean"; NULL at the end, or where there is no readable .env. Borrowed until cal_env_forget. */
const char *cal_env_name(size_t index);

/* Does the name say that its value is a key? KEY, TOKEN, SECRET, PASSWORD, PASSWD or CREDENTIAL in it, in any case. */
bool cal_env_is_secret(const char *name);

/* The first of `names` (NULL-terminated) that is set; *secret NULL: none is. `name` is one of `names`; `name` and `place` may be
 * NULL. CAL_E_ARG: the value cannot be a key, since something else than visible ASCII
 * is in it, or more than 4,096 bytes. */
cal_status cal_secret_find(const char *const *names, const cal_secret **secret, const char **name, cal_env_place *place, cal_error *err);

const char *cal_secret_value(const cal_secret *secret); /* for http.c alone */
const char *cal_secret_name(const cal_secret *secret);  /* under which it was found first */

/* Hide in `text`:
 * - every key that cal_secret_find found, as it is, as JSON writes it and as a URL does: <NAME>. Keys below 8 bytes are left: no
 *   service gives those out, and people type "none" for servers that want no key;
 * - what looks like a key of Google, Hugging Face, Replicate, RunPod, OpenAI: <key>;
 * - the values of Authorization, x-goog-api-key and x-goog-upload-url, of key=, api_key=, token= and of signed addresses: <hidden>;
 * - 512 characters or more of base64: <base64, N characters, sha256 0123456789ab>.
 * CAL_E_MEMORY: `text` is empty then, which is better than half of it shown. */
cal_status cal_scrub(cal_buffer *text, cal_error *err);

/* The first of these alone: for what is kept as it came, such as captions. */
cal_status cal_scrub_keys(cal_buffer *text, cal_error *err);

/* Forget .env, so that the next question reads it again: the prompt after an edit, tests. Secrets stay, and stay hidden. */
void cal_env_forget(void);

#endif
