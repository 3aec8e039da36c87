# SPDX-License-Identifier: MIT
# Tests. tests/unit/test_*.c are one executable each, linked with the sanitised library;
# those named test_*_race.c run under TSan too. Results go to build/test/results/<part>.xml.

# What T= picks is no part of a sum.
RESULTS := $(TEST_OUT)/results$(if $(T),-picked)
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
RACE_SOURCES := $(filter %_race.c,$(UNIT_SOURCES))
UNIT_HELPERS := $(filter-out $(UNIT_SOURCES),$(sort $(wildcard tests/unit/*.c)))
UNIT_TESTS := $(UNIT_SOURCES:tests/unit/%.c=$(TEST_OUT)/unit/%)
RACE_TESTS := $(RACE_SOURCES:tests/unit/%.c=$(TEST_OUT)/race/%)

TEST_OBJECTS := $(patsubst tests/unit/objects/%.c,$(TEST_OUT)/objects/%.o,\
	$(sort $(wildcard tests/unit/objects/*.bpf.c)))
TEST_TOOLS := $(patsubst tests/tools/%.c,$(TEST_OUT)/tools/%,$(sort $(wildcard tests/tools/*.c)))

$(TEST_OUT)/objects/%.bpf.o: tests/unit/objects/%.bpf.c $(BPF_DIR)/flags | $(BPF_INCLUDE)/bpf
	$(call bpf_compile,$(HOST_ARCH))

$(OUT)/dev/tests/%.o $(OUT)/tsan/tests/%.o $(OUT)/clang/tests/%.o: EXTRA_CPPFLAGS = -Itests/unit \
	-DTEST_OBJECT_DIR=\"$(abspath $(TEST_OUT)/objects)\" \
	-DTEST_PROGRAM_DIR=\"$(abspath $(BPF_DIR)/$(HOST_ARCH))\"

$(TEST_OUT)/unit/%: $(OUT)/dev/tests/unit/%.o $(UNIT_HELPERS:%.c=$(OUT)/dev/%.o) $(dev_LIBRARY) \
		| $(TEST_OBJECTS)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(dev_LINK) $(filter %.o %.a,$^) $(BASE_LDLIBS) -lcmocka $(LDLIBS) -o $@

$(TEST_OUT)/race/%: $(OUT)/tsan/tests/unit/%.o $(UNIT_HELPERS:%.c=$(OUT)/tsan/%.o) $(tsan_LIBRARY) \
		| $(TEST_OBJECTS)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(tsan_LINK) $(filter %.o %.a,$^) $(BASE_LDLIBS) -lcmocka $(LDLIBS) -o $@

# The tools make the system calls that tests count: no sanitiser, nothing but what they say.
$(TEST_OUT)/tools/%: tests/tools/%.c $(OUT)/release/flags
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(release_COMPILE) -MMD -MP -MF $@.d -MT $@ $< $(release_LINK:$(CC)%=%) -lpthread -o $@

-include $(UNIT_SOURCES:%.c=$(OUT)/dev/%.d) $(UNIT_HELPERS:%.c=$(OUT)/dev/%.d)
-include $(RACE_SOURCES:%.c=$(OUT)/tsan/%.d) $(UNIT_HELPERS:%.c=$(OUT)/tsan/%.d)
-include $(TEST_OBJECTS:.o=.d) $(TEST_TOOLS:=.d)
# Kept, so that the next build is short.
.SECONDARY:

T ?=
PYTEST_ARGS ?=
# $(call chosen,binaries): all, or those whose name contains T.
chosen = $(if $(T),$(foreach test,$(1),$(if $(findstring $(T),$(notdir $(test))),$(test))),$(1))

# The server that the system tests start: the sanitised one, or what EBPF_SERVER_BINARY names.
TEST_SERVER := $(if $(EBPF_SERVER_BINARY),,$(BIN)/ebpf-server-dev)
SYSTEM_NEEDS := $(TEST_TOOLS) $(TEST_OBJECTS) $(TEST_SERVER)

# Debian's Python, as root: programs are loaded, network namespaces are made.
# $(call run_pytest,part,folders)
run_pytest = $(SUDO) env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests \
	$(if $(EBPF_SERVER_BINARY),EBPF_SERVER_BINARY=$(EBPF_SERVER_BINARY)) \
	$(PYTHON) -m pytest --junitxml=$(RESULTS)/$(1).xml $(if $(T),-k '$(T)') $(2) $(PYTEST_ARGS)

PARTS := unit race fuzz kernel api web deploy guard

.PHONY: test test-tools $(PARTS:%=test-%)
test: deps-test ## Test: everything; ends with the sum of all results
	@rm -rf $(RESULTS) && mkdir -p $(RESULTS)
	@for part in $(PARTS); do echo "== $$part"; $(MAKE) -k test-$$part; done; \
		echo "== sum"; $(PYTHON) scripts/summarize-tests.py $(RESULTS) $(PARTS)

test-tools: $(TEST_TOOLS) $(TEST_OBJECTS)

# A test that cannot be built stops no other: it is a failure of its own. What an older build left
# of it is removed, so that no stale executable runs.
# $(call unit_part,part,executables)
define unit_part
.PHONY: executables-$(1)
executables-$(1): $(2)
	@:
test-$(1):
	@$$(MAKE) -k executables-$(1) || { \
		rm -f $(2); $$(MAKE) -k executables-$(1) >/dev/null 2>&1 || :; }
	@$$(PYTHON) scripts/run-unit-tests.py --junit $$(RESULTS)/$(1).xml $(2)
endef

test-unit: ## Test: C parts under ASan and UBSan (T= picks by name)
$(eval $(call unit_part,unit,$(call chosen,$(UNIT_TESTS))))

test-race: ## Test: the threaded C parts under TSan
$(eval $(call unit_part,race,$(call chosen,$(RACE_TESTS))))

# Prometheus itself is the judge of /metrics. Fetched once; the tests say when it is not there.
PROMETHEUS := $(TEST_OUT)/prometheus/fetched
$(PROMETHEUS): scripts/fetch-prometheus.sh
	$(call say,GET,$(@D))
	$(Q)sh $< $(@D)
	$(Q)touch $@

# Memory is measured on the release build: a sanitiser's is not the server's.
test-kernel: $(if $(EBPF_SERVER_BINARY),,$(BIN)/ebpf-server)
test-kernel: $(TOOL_BINARIES) $(TOOL_BINARIES:=-dev)
test-kernel: $(SYSTEM_NEEDS) $(PROMETHEUS) ## Test: real programs, real triggers (needs root)
	@mkdir -p $(RESULTS)
	@$(call run_pytest,kernel,tests/kernel $(sort $(dir $(wildcard programs/*/test_*.py))))

test-api: $(if $(EBPF_SERVER_BINARY),,$(BIN)/ebpf-server)
test-api: $(SYSTEM_NEEDS) ## Test: the real server over HTTP (needs root)
	@mkdir -p $(RESULTS)
	@$(call run_pytest,api,tests/api)

# The browser's driver and the judge of accessibility, from npm; the browser is the distribution's.
$(TEST_OUT)/web/packages.stamp: $(WEB_PACKAGES:%=tests/web/%)
	$(call npm_ci,tests/web,$(@D))
	$(Q)touch $@

test-web: $(SYSTEM_NEEDS) $(if $(filter yes,$(WEB)),$(TEST_OUT)/web/packages.stamp)
test-web: ## Test: in a browser (root)
	@mkdir -p $(RESULTS)
	@$(call run_pytest,web,tests/web)

test-deploy: $(BIN)/ebpf-server $(TOOL_BINARIES)
test-deploy: ## Test: what is installed, the Debian package (root)
	@mkdir -p $(RESULTS)
	@$(call run_pytest,deploy,tests/deploy)

# What takes too long for every run: histories under 200 kills, and 500 damaged ones.
.PHONY: test-soak
test-soak: $(SYSTEM_NEEDS) $(BIN)/ebpf-server $(TEST_OUT)/unit/test_history_damage
test-soak: ## Test: history through 200 kills and 500 damaged files (an hour; needs root)
	@mkdir -p $(RESULTS)
	HISTORY_DAMAGES=500 $(TEST_OUT)/unit/test_history_damage
	@$(subst env PYTHON,env HISTORY_KILLS=200 HISTORY_DAMAGES=500 PYTHON,$(call \
		run_pytest,soak,-s tests/kernel/test_history.py))

# For scripts: one name a line.
.PHONY: test-parts
test-parts:
	@printf '%s\n' $(PARTS)
