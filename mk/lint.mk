# SPDX-License-Identifier: MIT
# What a machine can check. All checks run, then the verb fails if one did.

C_FILES := $(sort $(shell find src programs tests tools -name '*.[ch]'))
SHELL_FILES := $(sort $(wildcard scripts/*.sh) .ci/run)
PYTHON_FILES := $(sort $(wildcard scripts/*.py) \
	$(shell find tests programs -name '*.py') $(wildcard *.py))

CLANG_OBJECTS := $(filter-out %/registry.o,$(clang_OBJECTS)) \
	$(patsubst %.c,$(OUT)/clang/%.o,$(UNIT_SOURCES) $(UNIT_HELPERS) $(TOOL_SOURCES) \
	$(sort $(wildcard tests/tools/*.c)) $(GUARD_SOURCES))

LINT_CHECKS := format layers files shell python gcc clang bpf

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

fmt: ## Check: format all C in place
	$(CLANG_FORMAT) -i $(C_FILES)
