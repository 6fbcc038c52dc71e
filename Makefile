# calotype: one C program that embeds Lua. `make` alone says what it can do.
# One folder per build mode under build/; headers are tracked with -MMD -MP.

MODE     ?= release
BUILD    := build/$(MODE)
PROGRAM  := $(BUILD)/calotype
VERSION  := 0.1.0

# --- What Debian, macOS, Fedora and Arch call what we need ---------------------------------------------------------
APT_BUILD := gcc make pkg-config liblua5.4-dev libcjson-dev libsqlite3-dev libzip-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev \
             libcurl4-openssl-dev ca-certificates libsdl2-dev libsdl2-image-dev libsdl2-ttf-dev fonts-dejavu-core libedit-dev libutf8proc-dev ocl-icd-opencl-dev opencl-headers \
             pocl-opencl-icd libclblast-dev libdnnl-dev
APT_TEST  := xvfb xdotool
APT_CHECK := lua-check cppcheck clang-format clang libclang-rt-14-dev openssl
BREW      := lua@5.4 cjson curl sqlite libzip jpeg-turbo libpng zlib sdl2 sdl2_image sdl2_ttf libedit utf8proc pocl clblast onednn pkg-config
DNF       := gcc make pkgconf lua-devel cjson-devel libcurl-devel sqlite-devel libzip-devel libjpeg-turbo-devel libpng-devel zlib-devel SDL2-devel \
             SDL2_image-devel SDL2_ttf-devel dejavu-sans-fonts libedit-devel utf8proc-devel ocl-icd-devel opencl-headers pocl clblast-devel onednn-devel
PACMAN    := gcc make pkgconf lua54 cjson curl sqlite libzip libjpeg-turbo libpng zlib sdl2 sdl2_image sdl2_ttf ttf-dejavu libedit libutf8proc ocl-icd opencl-headers \
             pocl clblast onednn

# --- Flags ---------------------------------------------------------------------------------------------------------
PKGS     := lua5.4 libcjson sqlite3 libzip libjpeg libpng zlib libedit libutf8proc
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
WARNINGS := -Wall -Wextra -Wshadow -Wpedantic
OPT_release := -O2 -g
OPT_debug   := -O0 -g3 -DCAL_HOSTILE=1
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
CFLAGS   ?=
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(OPT_$(MODE)) $(WARNINGS) -Iruntime -I$(BUILD) -DCAL_VERSION='"$(VERSION)"' $(PKG_CFLAGS) $(CFLAGS)
LIBS     = $(PKG_LIBS) -ldl -lpthread -lm

# --- Sources -------------------------------------------------------------------------------------------------------
CORE     := $(sort $(shell find runtime/core runtime/bind runtime/repl -name '*.c' 2>/dev/null))
STDLIB   := $(sort $(shell find stdlib -name '*.lua' -not -path 'stdlib/_meta/*' 2>/dev/null))
SCRIPTS  := $(sort $(shell find scripts -name '*.lua' 2>/dev/null))
KERNELS  := $(sort $(shell find runtime/core/cl/kernels -name '*.cl' 2>/dev/null))
CORE_O   := $(CORE:%.c=$(BUILD)/%.o) $(BUILD)/embedded.o
C_TESTS  := $(sort $(wildcard tests/c/test_*.c))
C_TEST_PROGRAMS := $(C_TESTS:tests/c/%.c=$(BUILD)/tests/%)
HOST     := $(BUILD)/tests/host
FAKE     := $(BUILD)/tests/fake

.PHONY: bench-captions bench-gpu window-pictures live goldens help deps deps-test deps-check build demo test test-ops check asan face fuzz bench doctor install clean fmt
.DEFAULT_GOAL := help

help: ## this text
	@echo "calotype $(VERSION): make TARGET [MODE=release|debug|asan]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14 | sed 's/^/  /'

build: $(PROGRAM) ## build/release/calotype

$(PROGRAM): $(CORE_O) $(BUILD)/runtime/main.o
	@echo "  link    $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc      $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The inner loops of CPU devices: vectors are made by the compiler, which may assume that nobody reads errno after sqrtf.
NATIVE_release := -O3 -fno-math-errno -fno-trapping-math
$(BUILD)/runtime/core/cl/native/vector.o $(BUILD)/runtime/core/cl/native/few.o: OPT_$(MODE) += $(NATIVE_$(MODE))

# stdlib and scripts (compiled by this Lua) and kernels (as text) become one C file.
$(BUILD)/embed: runtime/embed.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O1 $(WARNINGS) $(PKG_CFLAGS) -o $@ $< $(PKG_LIBS)
$(BUILD)/embedded.c: $(BUILD)/embed $(STDLIB) $(SCRIPTS) $(KERNELS)
	@echo "  embed   $(words $(STDLIB) $(SCRIPTS)) Lua files, $(words $(KERNELS)) kernels"
	@$(BUILD)/embed $@ $(STDLIB) $(SCRIPTS) $(KERNELS)
$(BUILD)/embedded.o: $(BUILD)/embedded.c runtime/bind/embedded.h
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/tests/test_%: tests/c/test_%.c tests/c/test.h $(CORE_O)
	@mkdir -p $(@D)
	@echo "  cc      $<"
	@$(CC) $(ALL_CFLAGS) -Itests/c -MMD -MP -MF $@.d -o $@ $< $(CORE_O) $(LIBS)
$(BUILD)/tests/bench_%: tests/bench/bench_%.c $(CORE_O)
	@mkdir -p $(@D)
	@echo "  cc      $<"
	@$(CC) $(ALL_CFLAGS) -Itests/c -MMD -MP -MF $@.d -o $@ $< $(CORE_O) $(LIBS)
$(HOST): tests/c/host.c $(CORE_O)
	@mkdir -p $(@D)
	@echo "  cc      $<"
	@$(CC) $(ALL_CFLAGS) -Itests/c -MMD -MP -MF $@.d -o $@ $< $(CORE_O) $(LIBS)
$(FAKE): $(wildcard tests/fake/*.c) tests/fake/fake.h $(CORE_O)
	@mkdir -p $(@D)
	@echo "  cc      tests/fake"
	@$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c,$^) $(CORE_O) $(LIBS)

tests: $(PROGRAM) $(HOST) $(FAKE) $(C_TEST_PROGRAMS)

test: deps-test ## set up, build, run all tests; T=image runs those of one noun
	@$(MAKE) -s --no-print-directory -j2 tests
	@BUILD=$(BUILD) T=$(T) tests/run.sh

test-ops: deps ## every op in every dtype by every candidate of the device, against loops in double
	@$(MAKE) -s --no-print-directory -j2 $(BUILD)/tests/test_ops
	@BUILD=$(BUILD) T=ops CALOTYPE_OPS=all tests/run.sh

# use_tls=0: the leak checker of gcc 12 crashes on the thread-local memory of oneDNN, which is opened late.
asan: deps-test ## the tests under the address, undefined-behaviour and leak checkers
	@$(MAKE) -s --no-print-directory MODE=asan -j2 tests
	@BUILD=build/asan T=$(T) ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$(CURDIR)/tests/leaks.txt:print_suppressions=0:use_tls=0 tests/run.sh

deps: ## install what the build needs (apt-get; lists for brew, dnf, pacman)
	@.ci/deps "$(APT_BUILD)" "$(BREW)" "$(DNF)" "$(PACMAN)"

deps-test: deps
	@.ci/deps "$(APT_TEST)" "xdotool" "xorg-x11-server-Xvfb xdotool" "xorg-server-xvfb xdotool"

deps-check: deps
	@.ci/deps "$(APT_CHECK)" "luacheck cppcheck clang-format" "luacheck cppcheck clang-tools-extra" "luacheck cppcheck clang"

check: deps-check ## who uses whom, headers, examples in headers, luacheck, cppcheck, formatting
	@.ci/check

fmt: ## format the C files
	@clang-format -i $$(find runtime tests -name '*.[ch]')

FUZZ_SECONDS ?= 20
fuzz: deps-check ## feed the readers of foreign bytes (libFuzzer); FUZZ_SECONDS=20 each; T=json: one
	@.ci/fuzz $(FUZZ_SECONDS)

doctor: deps ## what was found and what is missing; which OpenCL devices there are
	@$(MAKE) -s --no-print-directory $(PROGRAM) && $(PROGRAM) doctor

PREFIX ?= /usr/local
install: $(PROGRAM) ## copy the program and the editor files below PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/calotype
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/calotype
	cp -R editor $(DESTDIR)$(PREFIX)/share/calotype/

demo: deps ## set up, build, and go from the pictures of examples/shapes to a LoRA and to pictures it draws
	@$(MAKE) -s --no-print-directory -j2 $(PROGRAM)
	@$(PROGRAM) run examples/shapes/recipe.lua

face: demo ## the README's pictures, from what the demo made
	@cp out/shapes/grid.png docs/demo-grid.png && cp out/shapes/sheet.png docs/demo-sheet.png

live: build ## ask the real services for three captions each: needs keys, the internet and a few cents
	@PROGRAM=$(PROGRAM) tests/live.sh

bench: ## scan rate, start to prompt, check, captions again, a LoRA's step, a request's cost, the window: medians; on a quiet machine
	@$(MAKE) -s --no-print-directory -j2 $(PROGRAM) $(HOST) $(FAKE)
	@tests/bench/pictures.sh $(PROGRAM)
	@tests/bench/captions.sh $(PROGRAM)
	@tests/bench/lora.sh $(PROGRAM)
	@tests/bench/net.sh $(HOST)
	@tests/bench/window.sh $(HOST)

bench-captions: ## BLIP, WD14 and :score against PyTorch, alternating, and are they the same; PYTHON=... has it; BENCH_ROUNDS=3 BENCH_PICTURES=8: quick
	@$(MAKE) -s --no-print-directory -j2 $(HOST)
	@tests/bench/looking/speed.sh $(HOST) $(or $(PYTHON),python3)
	@tests/bench/looking/same.sh $(HOST) $(or $(PYTHON),python3)

bench-gpu: ## bench-captions on a GPU, against PyTorch on CUDA where there is one; all knobs stand in tests/bench/looking/speed.sh
	@BENCH_DEVICE=$(or $(BENCH_DEVICE),gpu) BENCH_DTYPES="$(or $(BENCH_DTYPES),f32 f16)" BENCH_BATCH=$(or $(BENCH_BATCH),16) \
	  BENCH_PICTURES=$(or $(BENCH_PICTURES),64) $(MAKE) -s --no-print-directory bench-captions

goldens: ## optional: make the goldens again with PyTorch and its family (PyPI) and compare; PYTHON=... if you have them
	@.ci/goldens

window-pictures: $(HOST) ## the window's pictures and tables again: tests/golden/window/view-*.png, docs/window.md
	@CALOTYPE_TEST_TMP=$$(mktemp -d) && export CALOTYPE_TEST_TMP && trap 'rm -rf "$$CALOTYPE_TEST_TMP"' EXIT && \
	LOOKS_PART=1 WINDOW_GOLDEN=1 SDL_VIDEODRIVER=dummy $(HOST) tests/test_window_looks.lua && \
	LOOKS_PART=docs SDL_VIDEODRIVER=dummy $(HOST) tests/test_window_looks.lua && \
	WINDOW_DOCS=1 $(HOST) tests/test_window_docs.lua

clean: ## remove build/
	rm -rf build

-include $(CORE_O:.o=.d) $(BUILD)/runtime/main.d $(C_TEST_PROGRAMS:=.d) $(HOST).d
