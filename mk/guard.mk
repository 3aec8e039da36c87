# SPDX-License-Identifier: MIT
# Instruction counts against a baseline: tests/guard. Counted on the release build.

GUARD_SOURCES := $(sort $(wildcard tests/guard/*.c))
GUARD_TOOLS := $(TEST_OUT)/guard/hot_paths $(TEST_OUT)/guard/verifier_counts
GUARD_HOT_PATHS := tests/guard/hot_paths tests/guard/events tests/unit/fake_ring

# What decides on counts, besides the compiler, is part of the baseline's name.
GUARD_BUILD = $(TARGET_ARCH), $(strip $(release_FLAGS) $(CPPFLAGS) $(CFLAGS))
GUARD_BPF_BUILD = $(TARGET_ARCH), $(strip \
	clang $(shell $(CLANG) -dumpversion | cut -d. -f1) $(BPF_CFLAGS))

$(OUT)/release/tests/guard/%.o: EXTRA_CPPFLAGS = -Itests/unit \
	-DGUARD_BUILD='"$(GUARD_BUILD)"' -DGUARD_BPF_BUILD='"$(GUARD_BPF_BUILD)"'
$(OUT)/clang/tests/guard/%.o: EXTRA_CPPFLAGS = -Itests/unit \
	-DGUARD_BUILD='""' -DGUARD_BPF_BUILD='""'
$(OUT)/release/tests/guard/verifier_counts.o: $(BPF_DIR)/flags

$(TEST_OUT)/guard/hot_paths: $(GUARD_HOT_PATHS:%=$(OUT)/release/%.o) $(release_LIBRARY)
$(TEST_OUT)/guard/verifier_counts: $(OUT)/release/tests/guard/verifier_counts.o $(release_LIBRARY)
$(GUARD_TOOLS):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(release_LINK) $(filter %.o %.a,$^) $(BASE_LDLIBS) -lcmocka $(LDLIBS) -o $@

-include $(GUARD_SOURCES:%.c=$(OUT)/release/%.d) $(OUT)/release/tests/unit/fake_ring.d

.PHONY: guard-tools guard-update test-guard
guard-tools: $(GUARD_TOOLS)

test-guard: $(GUARD_TOOLS) ## Test: instruction counts against the baseline (needs root)
	@mkdir -p $(RESULTS)
	@$(call run_pytest,guard,tests/guard)

guard-update: $(GUARD_TOOLS) ## Test: write the instruction counts of now into the baseline
	@$(SUDO) env PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/guard/counts.py \
		> $(TEST_OUT)/guard/baseline.json
	@cp $(TEST_OUT)/guard/baseline.json tests/guard/baseline.json
