# SPDX-License-Identifier: MIT
# Fuzzers: tests/fuzz/fuzz_<name>.c are one executable each, linked with the library as clang
# builds it for libFuzzer, under ASan and UBSan. Other C files there are shared. Inputs to begin
# with are in tests/fuzz/corpus/<name>/; what a run finds is kept in build/fuzz/.

FUZZ_OUT := $(BUILD)/fuzz
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELPERS := $(filter-out $(FUZZ_SOURCES),$(sort $(wildcard tests/fuzz/*.c))) \
	tests/unit/fake_ring.c tests/unit/beat.c
FUZZERS := $(FUZZ_SOURCES:tests/fuzz/%.c=$(FUZZ_OUT)/%)

$(OUT)/fuzz/tests/%.o $(OUT)/clang/tests/fuzz/%.o: EXTRA_CPPFLAGS = -Itests/unit \
	-DTEST_OBJECT_DIR=\"$(abspath $(TEST_OUT)/objects)\" \
	-DTEST_PROGRAM_DIR=\"$(abspath $(BPF_DIR)/$(HOST_ARCH))\"

$(FUZZ_OUT)/fuzz_%: $(OUT)/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_HELPERS:%.c=$(OUT)/fuzz/%.o) \
		$(fuzz_LIBRARY) | $(TEST_OBJECTS) $(BPF_OBJECTS)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(fuzz_LINK) $(filter %.o %.a,$^) $(BASE_LDLIBS) -lcmocka $(LDLIBS) -o $@

-include $(FUZZ_SOURCES:%.c=$(OUT)/fuzz/%.d) $(FUZZ_HELPERS:%.c=$(OUT)/fuzz/%.d)

# Seconds of each fuzzer; a test is a short run that is the same each time, as far as time allows.
ifeq ($(FUZZ_SECONDS),)
FUZZ_SECONDS := 60
FUZZ_TEST_SECONDS := 3
endif
FUZZ_TEST_SECONDS ?= $(FUZZ_SECONDS)

# The reader of objects begins with objects: those of the server and those of the unit tests.
# $(call run_fuzzers,seconds,arguments)
run_fuzzers = $(PYTHON) scripts/run-fuzzers.py --out $(FUZZ_OUT) --corpus tests/fuzz/corpus \
	--seeds object=$(BPF_DIR)/$(HOST_ARCH) --seeds object=$(TEST_OUT)/objects \
	--seconds $(1) $(2) $(call chosen,$(FUZZERS))

.PHONY: fuzz fuzzers test-fuzz
fuzzers: $(call chosen,$(FUZZERS))

fuzz: fuzzers ## Test: fuzz each parser for FUZZ_SECONDS=60 (T= picks by name), keep what it finds
	@$(call run_fuzzers,$(FUZZ_SECONDS),--keep)

test-fuzz: ## Test: the fuzzers over their corpus, and some seconds more
	@$(MAKE) -k fuzzers || :
	@$(call run_fuzzers,$(FUZZ_TEST_SECONDS),--seed 1 --junit $(RESULTS)/fuzz.xml)
