# Millrace: one non-recursive Makefile. `make help` lists the targets.
#
#   CC=clang        another compiler (its own build tree)
#   SAN=address,undefined | thread    sanitized build (its own build tree)
#   COV=1           counts lines (its own tree), for make coverage
#   V=1             show commands

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

CC ?= gcc
ifeq ($(CC),cc)
CC := gcc
endif
MUSL_CC ?= musl-gcc
CXX := $(if $(findstring clang,$(CC)),clang++,g++)
SAN ?=
comma := ,

# One tree per variant, so that a sanitized build never mixes with a plain one.
VARIANT := $(if $(filter gcc,$(CC)),,-$(notdir $(CC)))$(if $(SAN),-san-$(subst $(comma),-,$(SAN)))$(if $(COV),-cov)
B := build$(if $(VARIANT),/variant$(VARIANT))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2))

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wwrite-strings -Wundef -Wformat=2 -Wvla -Wswitch-enum -Wnull-dereference
OPT := $(if $(COV),-O0 -g --coverage,$(if $(SAN),-O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=undefined,-O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong))
PKGS := zlib libpq libcurl yaml-0.1 libevent libevent_openssl libevent_pthreads jansson libsodium libzstd openssl libprotobuf-c
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE $(WARN) $(OPT) -fPIE -pthread -I. -I$(B)/gen -I$(B)/gen/proto $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL := -pie -pthread -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(if $(COV),--coverage) $(LDFLAGS)
LIBS_ALL := $(PKG_LIBS) -lnng -lre2 -ljsonnet -lstdc++ -lm
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || echo unknown)

LIBDIRS := common proto rundef evaluate gateway runservice executor toolbox cli
PROTOS := $(wildcard proto/*.proto)
GEN_PROTO_C := $(PROTOS:proto/%.proto=$(B)/gen/proto/%.pb-c.c)
GEN_PROTO_H := $(PROTOS:proto/%.proto=$(B)/gen/proto/%.pb-c.h)

src_of = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c))
obj_of = $(patsubst %.c,$(B)/obj/%.o,$(call src_of,$(1)))
lib_objs_proto := $(GEN_PROTO_C:$(B)/gen/%.c=$(B)/obj/gen/%.o)
lib_objs_gateway := $(B)/obj/gen/gateway_schema.o
lib_objs_runservice := $(B)/obj/gen/runservice_schema.o
# The shims of RE2 and libjsonnet are C++.
lib_objs_common := $(patsubst common/%.cc,$(B)/obj/common/%.o,$(wildcard common/*.cc))
lib_objs_rundef := $(patsubst rundef/%.cc,$(B)/obj/rundef/%.o,$(wildcard rundef/*.cc))
lib_objs_evaluate := $(patsubst evaluate/%.cc,$(B)/obj/evaluate/%.o,$(wildcard evaluate/*.cc)) $(B)/obj/gen/evaluate_std.o

define lib_rule
$(B)/lib/lib$(1).a: $(call obj_of,$(1)) $(lib_objs_$(1))
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach d,$(LIBDIRS),$(eval $(call lib_rule,$(d))))

BIN := $(B)/bin
DAEMONS := gateway runservice executor
BINS := $(DAEMONS:%=$(BIN)/millrace-%) $(BIN)/millrace $(BIN)/millrace-toolbox
.PHONY: all
all: $(BINS)

libs_gateway := gateway rundef evaluate proto common
libs_runservice := runservice proto common
libs_executor := executor proto common
libs_cli := cli rundef evaluate common
libpaths = $(patsubst %,$(B)/lib/lib%.a,$(1))
link = $(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS_ALL)

define daemon_rule
$(BIN)/millrace-$(1): $(B)/obj/$(1)/main.o $(call libpaths,$(libs_$(1)))
	$$(call say,LINK,$$@)
	$$(link)
endef
$(foreach d,$(DAEMONS),$(eval $(call daemon_rule,$(d))))
$(BIN)/millrace: $(B)/obj/cli/main.o $(call libpaths,$(libs_cli))
	$(call say,LINK,$@)
	$(link)

# The toolbox runs in any image: static, musl, libc and zstd only. Never sanitized; its code is
# tested sanitized on the host through libtoolbox.a.
ZSTD_A := $(shell gcc -print-file-name=libzstd.a 2>/dev/null)
TOOLBOX_SRC := $(wildcard toolbox/*.c) $(wildcard proto/*.c)
$(BIN)/millrace-toolbox: $(TOOLBOX_SRC) $(wildcard toolbox/*.h proto/*.h) Makefile
	$(call say,MUSL,$@)
	$(Q)mkdir -p $(@D) && $(MUSL_CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O2 -ffunction-sections -fdata-sections \
	  -fstack-protector-strong -I. -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu \
	  -static -Wl,--gc-sections -s -o $@ $(TOOLBOX_SRC) $(ZSTD_A)

# Only these know the version, and are compiled again when it changes.
$(B)/version: FORCE
	@mkdir -p $(@D) && echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
VERSIONED := $(addprefix $(B)/obj/,common/daemon.o cli/main.o cli/cmd_version.o)
$(VERSIONED): $(B)/version
$(VERSIONED): CFLAGS_ALL += -DMILLRACE_VERSION='"$(VERSION)"'
.PHONY: FORCE
FORCE:

$(B)/obj/%.o: %.c $(GEN_PROTO_H) | Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(B)/obj/%.o: %.cc
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++17 -Wall -Wextra -Werror $(OPT) -fPIE -I. -MMD -MP -c -o $@ $<
$(B)/obj/gen/%.o: $(B)/gen/%.c | $(GEN_PROTO_H)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(OPT) -fPIE -I. -I$(B)/gen -I$(B)/gen/proto $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/proto/%.pb-c.c $(B)/gen/proto/%.pb-c.h: proto/%.proto $(PROTOS)
	$(call say,PROTOC,$<)
	$(Q)mkdir -p $(@D) && protoc-c -I proto --c_out=$(@D) $<

$(B)/gen/%_schema.c: $(wildcard gateway/schema/*.sql) $(wildcard runservice/schema/*.sql) common/schema2c.sh
	$(call say,SCHEMA,$@)
	$(Q)mkdir -p $(@D) && sh common/schema2c.sh $* $(sort $(wildcard $*/schema/*.sql)) >$@

$(B)/gen/evaluate_std.c: evaluate/std.libsonnet evaluate/std2c.sh
	$(call say,STD,$@)
	$(Q)mkdir -p $(@D) && sh evaluate/std2c.sh $< >$@

# --- tests ---
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
PROP := $(patsubst tests/prop/%.c,$(B)/tests/%,$(wildcard tests/prop/prop_*.c))
STORE := $(patsubst tests/store/%.c,$(B)/tests/%,$(wildcard tests/store/test_*.c))
# Programs that integration scripts call.
TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/%,$(wildcard tests/tools/*.c))
TEST_LIBS := $(call libpaths,$(LIBDIRS))
TEST_HELPERS := $(patsubst tests/lib/%.c,$(B)/obj/tests/lib/%.o,$(wildcard tests/lib/*.c))
define test_rule
$(B)/tests/%: $(B)/obj/tests/$(1)/%.o $(TEST_HELPERS) $(TEST_LIBS)
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D) && $(CC) $(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS_ALL) -lcmocka
endef
$(foreach k,unit prop store tools,$(eval $(call test_rule,$(k))))
# A fuzz target replays its corpus; with SAN=fuzzer-no-link,... libFuzzer drives it (make fuzz).
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_MAIN := $(if $(findstring fuzzer,$(SAN)),,$(B)/obj/tests/fuzz/replay.o)
$(FUZZ): $(B)/tests/%: $(B)/obj/tests/fuzz/%.o $(FUZZ_MAIN) $(TEST_LIBS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(if $(findstring fuzzer,$(SAN)),$(CXX),$(CC)) $(subst fuzzer-no-link,fuzzer,$(LDFLAGS_ALL)) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS_ALL)

.PRECIOUS: $(B)/obj/%.o $(B)/gen/%.c $(B)/gen/%_schema.c $(B)/gen/proto/%.pb-c.c $(B)/gen/proto/%.pb-c.h

# T=pattern chooses tests by name; the runner (tests/run.sh) finds the programs by their sources.
RUN_TESTS = T='$(T)' TEST_BUILD=$(B) SAN='$(SAN)' tests/run.sh
.PHONY: tests stores fuzzers check check-fast
tests: $(UNIT) $(PROP) $(FUZZ) $(TOOLS)
fuzzers: $(FUZZ)
stores: $(STORE)
check-fast:
	@deploy/stack/packages.sh build test
	@$(MAKE) --no-print-directory all tests
	@$(RUN_TESTS) fmt unit prop fuzz
check:
	@deploy/stack/packages.sh build run test
	@$(MAKE) --no-print-directory all tests stores
	@$(if $(SAN),,$(MAKE) --no-print-directory COV=1 fuzzers)
	@$(RUN_TESTS) fmt unit prop fuzz $(if $(SAN),,coverage) store s3 integration

# Lines of each parser that its fuzz target's corpus reaches.
.PHONY: coverage fuzz
coverage:
	@$(MAKE) --no-print-directory COV=1 fuzzers
	@tests/coverage.sh
# T: name of a target without fuzz_. What libFuzzer finds new stays in build/fuzz/T; MERGE=1 puts what reaches new code into the corpus.
fuzz:
	@deploy/stack/packages.sh build lint
	@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined fuzzers
	@tests/fuzz.sh $(if $(T),$(T),$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))

# SECS: how long it goes on with new seeds; SEED: the first one (default: the time).
.PHONY: soak
soak:
	@deploy/stack/packages.sh build run test
	@$(MAKE) --no-print-directory all
	@SECS=$(or $(SECS),600) SEED='$(SEED)' TEST_SCRIPT_SECONDS=$$(($(or $(SECS),600) + 600)) T=run_fire TEST_BUILD=$(B) SAN='$(SAN)' tests/run.sh integration

# --- figures ---
# T=row chooses; build/bench.json holds the last figures.
BENCH := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))
$(BENCH): $(B)/bench/%: $(B)/obj/bench/%.o $(call libpaths,proto common)
	$(call say,LINK,$@)
	$(link)
.PHONY: bench
bench:
	@deploy/stack/packages.sh build run test
	@$(MAKE) --no-print-directory all $(BENCH)
	@T='$(T)' bench/run.sh

# --- the local stack ---
.PHONY: up down demo compose
up:
	@deploy/stack/packages.sh build run
	@$(MAKE) --no-print-directory all
	@deploy/stack/up.sh
down:
	@deploy/stack/down.sh
demo:
	@deploy/stack/demo.sh
compose:
	@deploy/stack/packages.sh build compose
	@$(MAKE) --no-print-directory all
	@deploy/compose/setup.sh

# --- house keeping ---
C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
SH_FILES = $(shell git ls-files -co --exclude-standard '*.sh') .ci/run
.PHONY: fmt fmt-check lint clean help install
fmt:
	clang-format -i $(C_FILES)
fmt-check:
	@clang-format --dry-run --Werror $(C_FILES)
lint:
	@deploy/stack/packages.sh build lint
	@$(MAKE) --no-print-directory $(TEST_LIBS)
	@LINT_BUILD=$(B) LINT_CFLAGS='-std=gnu11 -D_GNU_SOURCE -I. -I$(B)/gen -I$(B)/gen/proto $(PKG_CFLAGS) -DMILLRACE_VERSION="0"' tests/lint.sh
clean:
	rm -rf build
help:
	@echo 'all demo up down compose check check-fast coverage fuzz soak bench lint fmt clean; CC=clang, SAN=address,undefined or thread, V=1'

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
