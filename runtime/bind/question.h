/* question.h - a question about pictures and its answer, as tables.
 *
 *   static int l_ask(lua_State *L) {
 *     cal_wire_picture pictures[CAL_QUESTION_PICTURES];
 *     cal_wire_question question = cal_check_question(L, 1, pictures);      // borrows from the table at 1 and from the stack
 *     lua_pushinteger(L, (lua_Integer)question.picture_count);
 *     return 1;
 *   }
 *
 * {model =, system =, user =, schema =, pictures = {{bytes =, mime =}}, max_tokens =, settings =}; schema and settings are
 * tables, or JSON text.
 * uses: core, Lua
 */
#ifndef CAL_BIND_QUESTION_H
#define CAL_BIND_QUESTION_H

#include <lua.h>

#include "core/caption/wire.h"

enum { CAL_QUESTION_PICTURES = 16 };

/* Raises for wrong types. What it borrows stays on the stack: the caller's function ends, or sets the top. */
cal_wire_question cal_check_question(lua_State *L, int index, cal_wire_picture pictures[CAL_QUESTION_PICTURES]);

/* Into the table on top: text, model, finish, tokens = {input =, output =, thought =}, each where it is known. */
void cal_set_answer(lua_State *L, const cal_wire_answer *answer);

#endif
