# SPDX-License-Identifier: MIT
# What a machine can check. All checks run, then the verb fails if one did.

C_FILES := $(sort $(shell find src programs tests tools -name '*.[ch]'))
SHELL_FILES := $(sort $(wildcard scripts/*.sh) .ci/run)
PYTHON_FILES := $(sort $(wildcard scripts/*.py) \
	$(shell find tests programs -name '*.py') $(wildcard *.py))

CLANG_OBJECTS := $(filter-out $(clang_TABLES),$(clang_OBJECTS)) \
	$(patsubst %.c,$(OUT)/clang/%.o,$(UNIT_SOURCES) $(UNIT_HELPERS) $(TOOL_SOURCES) \
	$(sort $(wildcard tests/tools/*.c)) $(GUARD_SOURCES) \
	$(FUZZ_SOURCES) $(filter tests/fuzz/%,$(FUZZ_HELPERS)))

LINT_CHECKS := format layers files shell python gcc clang bpf $(if $(filter yes,$(WEB)),web)

.PHONY: lint fmt $(LINT_CHECKS:%=lint-%)
lint: ## Check: formatting, layers, files, both compilers, scripts
	@failed=; for check in $(LINT_CHECKS); do \
		$(MAKE) -k lint-$$check || failed="$$failed $$check"; done; \
	if [ -n "$$failed" ]; then echo "lint: failed:$$failed" >&2; exit 1; fi; echo "lint: clean"

# $(call with,tool,command): the command, or a line that says why it was left out.
with = @if command -v $(1) >/dev/null; then echo '  LINT     $(@:lint-%=%)'; $(2); \
	else echo 'lint: skipped $(@:lint-%=%): no $(1) here (make dev-setup)'; fi

lint-format:
	$(call with,$(CLANG_FORMAT),$(CLANG_FORMAT) --dry-run -Werror $(C_FILES))
lint-layers:
	$(call with,$(PYTHON),$(PYTHON) scripts/lint-layers.py)
lint-files:
	$(call with,git,$(PYTHON) scripts/lint-files.py)
lint-shell:
	$(call with,shellcheck,shellcheck $(SHELL_FILES))
lint-python:
	@if $(PYTHON) -c 'import pyflakes' 2>/dev/null; then echo '  LINT     python'; \
		$(PYTHON) -m pyflakes $(PYTHON_FILES); \
	else echo 'lint: skipped python: no pyflakes here (make dev-setup)'; fi
lint-gcc: $(BIN)/ebpf-server $(TOOL_BINARIES)
lint-clang: $(CLANG_OBJECTS)
lint-bpf: build-bpf-all

# Types and formatting of what the browser runs.
WEB_TOOLS := $(TEST_OUT)/web/node_modules/.bin
WEB_FILES := web tests/web --ignore-path .gitignore --log-level warn
lint-web: $(TEST_OUT)/web/packages.stamp $(WEB_OUT)/packages.stamp
	@echo '  LINT     web'
	$(Q)$(WEB_TOOLS)/tsc -p web
	$(Q)$(WEB_TOOLS)/prettier --check $(WEB_FILES)

fmt: ## Check: format all C in place, and web/ where its tools are installed
	$(CLANG_FORMAT) -i $(C_FILES)
	$(Q)if [ -x $(WEB_TOOLS)/prettier ]; then $(WEB_TOOLS)/prettier --write $(WEB_FILES); fi
