/* ask.h - what the builders of questions share.
 *
 *   static const char *const known[] = {"seed", "temperature", NULL};
 *   cal_error err = {0};
 *   cal_buffer body = {0};
 *   cal_json *settings = NULL;
 *   if (cal_ask_settings("{\"seed\":7}", "gemini", known, &settings, &err)) puts(err.text);
 *   cal_ask_number(settings, "seed", "gemini", 0, INT32_MAX, true, "\"seed\":", &body, &err);     // "seed":7
 *   cal_json_free(settings);
 *   cal_buffer_free(&body);
 *
 * `who` is the name of the format; it stands in messages, which name the field. All of these return CAL_OK, CAL_E_ARG
 * or CAL_E_MEMORY, and append to a body nothing but whole parts.
 * uses: base codec
 */
#ifndef CAL_CAPTION_ASK_H
#define CAL_CAPTION_ASK_H

#include "core/caption/wire.h"
#include "core/codec/json.h"

/* The settings as a tree (an empty object for NULL and ""), when each stands in `known`. */
cal_status cal_ask_settings(const char *text, const char *who, const char *const *known, cal_json **settings, cal_error *err);

/* Is there anything to ask, are texts UTF-8, pictures present and of a kind in `mimes` ("image/png"; NULL: any image/...),
 * together within CAL_WIRE_QUESTION_MOST? */
cal_status cal_ask_check(const cal_wire_question *question, const char *who, const char *const *mimes, cal_error *err);

/* Where the setting is there: `before` and the value. Whole numbers without a point. */
cal_status cal_ask_number(const cal_json *settings, const char *key, const char *who, double least, double most, bool whole,
                          const char *before, cal_buffer *body, cal_error *err);

/* Where the setting is there: it must be a text, one of `names`. *index is its place, or -1. */
cal_status cal_ask_choice(const cal_json *settings, const char *key, const char *who, const char *const *names, int *index, cal_error *err);

/* `before` and JSON text, read and written again: one value on one line. */
cal_status cal_ask_json(const char *text, const char *field, const char *who, const char *before, cal_buffer *body, cal_error *err);

/* A name as one step of a path: letters, digits, "-._~", others as %XX; "/" stays when `slashes`. CAL_E_ARG for empty
 * names and steps, "." and "..". */
cal_status cal_ask_path(const char *name, const char *who, bool slashes, cal_buffer *path, cal_error *err);

cal_status cal_ask_done(const cal_buffer *path, const cal_buffer *body, const char *who, cal_error *err); /* was there memory? */

#endif
