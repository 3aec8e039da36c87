# SPDX-License-Identifier: MIT
# ebpf-server. `make help` lists the verbs; the rules live in mk/*.mk.

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
SHELL := /bin/sh

include mk/config.mk
include mk/bpf.mk
include mk/web.mk
include mk/server.mk
include mk/tools.mk
include mk/test.mk
include mk/fuzz.mk
include mk/bench.mk
include mk/guard.mk
include mk/lint.mk
include mk/deps.mk
include mk/docs.mk
include mk/install.mk
include mk/help.mk
