/* The runtime when memory ends, and the devices. */
#include "bind/fault.h"
#include "bind/runtime.h"
#include "core/base/interrupt.h"
#include "core/base/progress.h"
#include "core/cl/device.h"
#include "test.h"

TEST(a_runtime_that_cannot_be_made_says_so_and_leaks_nothing) {
  size_t before = cal_memory_in_use();
  long fail = 0;
  for (; fail < 20000; fail += fail < 200 ? 1 : 37) {
    cal_error err = {0};
    cal_memory_fail_after(fail);
    cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){.guarded = true}, &err);
    cal_memory_fail_after(-1);
    if (rt) {
      cal_runtime_free(rt);
      break;
    }
    CHECK(err.code == CAL_E_MEMORY);
    CHECK(err.text[0]);
    CHECK(cal_memory_in_use() == before);
  }
  CHECK(fail > 100 && fail < 20000);
  CHECK(cal_memory_in_use() == before);
}

/* In a state that is whole, a recipe is loaded, fails and is rendered while one allocation after the other fails. */
static int scenario(lua_State *L) {
  luaL_loadstring(L,
                  "local script = require 'native.script'\n"
                  "local env = {} for k, v in pairs(script.safe) do env[k] = v end\n"
                  "local fn = script.load('local t = {} for i = 1, 9 do t[i] = (\"x\"):rep(i) end\\n"
                  "table.sort(t) print2(table.concat(t):gsub(\"x+\", \"%0%0\"))', 'a.lua', env)\n"
                  "local ok, fault = script.call(fn)\n"
                  "return script.render(fault) .. script.function_text(fn) .. tostring(script.load('x = = 1', 'b.lua', env))");
  lua_call(L, 0, 1);
  return 1;
}

TEST(an_allocation_that_fails_in_the_middle_of_an_error_leaks_nothing) {
  size_t before = cal_memory_in_use();
  bool whole = false;
  for (long fail = 0; fail < 3000 && !whole; fail++) {
    cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){0}, NULL);
    CHECK(rt != NULL);
    if (!rt) return;
    lua_pushcfunction(rt->L, scenario);
    cal_memory_fail_after(fail);
    int status = lua_pcall(rt->L, 0, 1, 0);
    cal_memory_fail_after(-1);
    whole = status == LUA_OK && strstr(lua_tostring(rt->L, -1), "'print2' is not defined");
    cal_runtime_free(rt);
    CHECK(cal_memory_in_use() == before);
  }
  CHECK(whole);
}

TEST(lua_is_refused_more_than_its_cap) {
  cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){.memory_cap = 4u << 20}, NULL);
  CHECK(rt != NULL);
  if (!rt) return;
  CHECK(luaL_dostring(rt->L, "local t = {} for i = 1, 1e7 do t[i] = {} end") != LUA_OK);
  CHECK_TEXT(lua_tostring(rt->L, -1), "not enough memory");
  CHECK(rt->used <= rt->cap);
  CHECK(luaL_dostring(rt->L, "collectgarbage() return 1") == LUA_OK);
  cal_runtime_free(rt);
}

/* Large files: minutes on a slow disk. Those without a bar are small, and what Ctrl-C keeps may need them. */
TEST(ctrl_c_ends_what_reads_a_model_with_a_bar) {
  cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){0}, NULL);
  CHECK(rt != NULL);
  if (!rt) return;
  cal_progress_quiet(1);
  CHECK(!cal_fs_grant(rt->fs, "tests", CAL_FS_READ, NULL));
  CHECK(luaL_dostring(
            rt->L,
            "local layers, part = require 'models.layers', require 'models.part'\n"
            "it = part.open('tests/golden/wd14', { root = 'wd14', stem = 'model', config = require('models.wd14').config })\n"
            "g = layers.new()\n"
            "g.graph:output('sample', g.linear(g.input('x', 'f32', { 1, 24 }), it:weights(g).head, 20))\n"
            "ref = require('native.graph').reference(g.graph)\n"
            "function codes()\n"
            "  local file, kept = 'tests/golden/wd14/model.safetensors', require 'native.hash'\n"
            "  local said = {}\n"
            "  for _, label in ipairs { false, 'label' } do said[#said + 1] = select(3, kept.file(file, label or nil)) or 'read' end\n"
            "  said[3] = select(3, part.load(g, ref, it)) or 'read'\n"
            "  return table.concat(said, ' ')\n"
            "end\n"
            "return codes()") == LUA_OK);
  CHECK_TEXT(lua_tostring(rt->L, -1), "read read read");
  cal_interrupt_raise();
  CHECK(luaL_dostring(rt->L, "return codes()") == LUA_OK);
  CHECK_TEXT(lua_tostring(rt->L, -1), "read INTERRUPT INTERRUPT");
  cal_interrupt_clear();
  cal_runtime_free(rt);
}

TEST(opencl_errors_have_their_names) {
  cal_error err = {0};
  CHECK_TEXT(cal_opencl_error_name(-5), "CL_OUT_OF_RESOURCES");
  CHECK_TEXT(cal_opencl_error_name(-9999), "CL error -9999");
  CHECK(cal_opencl_check(0, "finish", &err) == CAL_OK);
  CHECK(cal_opencl_check(-6, "finish", &err) == CAL_E_MEMORY);
  CHECK_TEXT(err.text, "finish: CL_OUT_OF_HOST_MEMORY (-6): the driver found no memory on the host");
  CHECK(cal_opencl_check(-48, "launch", &err) == CAL_E_DEVICE);
}

TEST(each_device_tells_its_size) {
  cal_device *list;
  size_t count;
  cal_error err = {0};
  if (cal_device_list(&list, &count, &err)) SKIP(err.text);
  CHECK(count > 0);
  for (size_t i = 0; i < count; i++) {
    CHECK(list[i].name[0]);
    CHECK(list[i].compute_units > 0);
    CHECK(list[i].memory >= list[i].largest_buffer);
    CHECK(list[i].c_version[0]);
  }
  cal_device_list_free(list);
}

TEST_MAIN()
