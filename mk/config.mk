# SPDX-License-Identifier: MIT
# Architectures, tools, flags, folders.

VERSION := $(shell cat VERSION)

# ---- Architectures: one row each; the names are those of libbpf's __TARGET_ARCH_* --------------

ARCHITECTURES := x86 arm64 arm riscv
TRIPLET_x86 := x86_64-linux-gnu
TRIPLET_arm64 := aarch64-linux-gnu
TRIPLET_arm := arm-linux-gnueabihf
TRIPLET_riscv := riscv64-linux-gnu

HOST_MACHINE := $(shell uname -m)
HOST_ARCH := $(strip $(if $(filter x86_64 i%86,$(HOST_MACHINE)),x86,\
	$(if $(filter aarch64,$(HOST_MACHINE)),arm64,\
	$(if $(filter arm%,$(HOST_MACHINE)),arm,\
	$(if $(filter riscv%,$(HOST_MACHINE)),riscv,$(HOST_MACHINE))))))

# With --no-builtin-variables in MAKEFLAGS the built-in TARGET_ARCH is empty.
ifeq ($(strip $(TARGET_ARCH)),)
TARGET_ARCH := $(HOST_ARCH)
endif
ifeq ($(filter $(TARGET_ARCH),$(ARCHITECTURES)),)
$(error TARGET_ARCH=$(TARGET_ARCH) is unknown: use one of $(ARCHITECTURES))
endif

ifneq ($(TARGET_ARCH),$(HOST_ARCH))
CROSS_COMPILE ?= $(TRIPLET_$(TARGET_ARCH))-
endif

# ---- Tools --------------------------------------------------------------------------------------

# What the user sets (environment or command line) is kept; make's own defaults are not.
is_default = $(filter default undefined,$(origin $(1)))
ifneq ($(call is_default,CC),)
CC := $(CROSS_COMPILE)gcc
endif
ifneq ($(call is_default,AR),)
AR := $(CROSS_COMPILE)ar
endif
STRIP ?= $(CROSS_COMPILE)strip
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
CLANG_FORMAT ?= clang-format
INSTALL ?= install
# The distribution's Python: the test packages are installed for it, and not for others in PATH.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
# sudo only when not root.
SUDO ?= $(if $(filter 0,$(shell id -u)),,sudo)

# Where libbpf's headers are; only its bpf/ folder is shown to the BPF compiler.
LIBBPF_INCLUDE ?= /usr/include

# ---- Output -------------------------------------------------------------------------------------

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)'
endif

# ---- Folders ------------------------------------------------------------------------------------

BUILD := build
OUT := $(BUILD)/$(TARGET_ARCH)
GEN := $(OUT)/gen
TEST_OUT := $(BUILD)/test
BIN := bin$(if $(filter-out $(HOST_ARCH),$(TARGET_ARCH)),/$(TARGET_ARCH))

PREFIX ?= /usr/local
DESTDIR ?=

# ---- Flags: required ones here; CFLAGS, CPPFLAGS, LDFLAGS, LDLIBS are the user's ----------------

CFLAGS ?=
CPPFLAGS ?=
LDFLAGS ?=
LDLIBS ?=

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Werror
BASE_CPPFLAGS := -D_GNU_SOURCE -Isrc -DEBPF_SERVER_VERSION=\"$(VERSION)\"
BASE_CFLAGS := -std=gnu17 $(WARNINGS) -g -fPIE -fstack-protector-strong -fno-strict-aliasing \
	-fvisibility=hidden
BASE_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
BASE_LDLIBS := -lmicrohttpd -lgnutls -lnettle -lcrypt -ljansson -linih -lsqlite3 -lbpf -lelf \
	-lz -lpthread

release_FLAGS := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# gcc's flow warnings see ghosts in instrumented code; the release build has them all.
SANITISED_FLAGS := -O1 -fno-omit-frame-pointer -DDEBUG \
	$(if $(findstring clang,$(CC)),-Wno-unknown-warning-option) \
	-Wno-format-truncation -Wno-maybe-uninitialized
dev_FLAGS := $(SANITISED_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover=undefined
tsan_FLAGS := $(SANITISED_FLAGS) -fsanitize=thread
dev_LDFLAGS := -fsanitize=address,undefined
tsan_LDFLAGS := -fsanitize=thread
# Compiled by the other compiler for its warnings alone; never linked.
clang_FLAGS := -O2
clang_CC := $(CLANG)
# The library as fuzzers want it: libFuzzer, which comes with clang, sees where an input leads.
fuzz_CC := $(CLANG)
fuzz_FLAGS := -O1 -fno-omit-frame-pointer -DDEBUG \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
fuzz_LDFLAGS := -fsanitize=fuzzer,address,undefined

# A file that changes only when its text does: objects depend on it, so that other flags rebuild.
# $(call remember,text)
define remember
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(1))' > $@
endef

.PHONY: FORCE
FORCE:
