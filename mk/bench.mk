# SPDX-License-Identifier: MIT
# What it costs: loads and references in C, the runner in Python (tests/bench/README.md).

BENCH_OUT := $(BUILD)/bench
BENCH_RESULTS := $(BENCH_OUT)/results.json
LOAD_SOURCES := $(sort $(wildcard tests/bench/loads/*.c))
BENCH_SOURCES := $(LOAD_SOURCES) $(filter-out %.bpf.c,$(sort $(wildcard tests/bench/reference/*.c)))
BENCH_OBJECTS := $(patsubst tests/bench/reference/%.bpf.c,$(BENCH_OUT)/%.bpf.o,\
	$(sort $(wildcard tests/bench/reference/*.bpf.c)))
BENCH_NEEDS := $(BIN)/ebpf-server $(BENCH_OUT)/load $(BENCH_OUT)/consumer $(BENCH_OUT)/hello \
	$(BENCH_OUT)/follow $(BENCH_OUT)/packet_cost $(BENCH_OBJECTS) $(BPF_OBJECTS)

$(BENCH_OUT)/load: $(LOAD_SOURCES:%.c=$(OUT)/release/%.o)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(release_LINK) $^ -lpthread -o $@

# The reader of streams is that of the tests.
$(BENCH_OUT)/follow: $(TEST_OUT)/tools/follow
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@

# Nothing of the server's library: a reference stands on the system's libraries alone.
$(BENCH_OUT)/%: $(OUT)/release/tests/bench/reference/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(release_LINK) $< -lbpf -lmicrohttpd -o $@

$(BENCH_OUT)/%.bpf.o: tests/bench/reference/%.bpf.c $(BPF_DIR)/flags | $(BPF_INCLUDE)/bpf
	$(call bpf_compile,$(HOST_ARCH))

-include $(BENCH_SOURCES:%.c=$(OUT)/release/%.d) $(BENCH_OBJECTS:.o=.d)

BENCH_ARGS ?=
# As root: programs are loaded; the runner makes itself namespaces of its own.
run_bench = $(SUDO) env PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/bench/bench.py \
	--server $(BIN)/ebpf-server --tools $(BENCH_OUT) --objects $(BPF_DIR)/$(HOST_ARCH)

.PHONY: bench bench-quick bench-docs deps-bench
bench: $(BENCH_NEEDS) ## Bench: all goals and curves, 10 minutes; writes docs/performance.md
	@$(run_bench) --json $(BENCH_RESULTS) $(BENCH_ARGS)
	@$(MAKE) bench-docs

bench-quick: $(BENCH_NEEDS) ## Bench: the same goals with short loads, under 60 s (root)
	@$(run_bench) --quick --json $(BENCH_OUT)/results-quick.json $(BENCH_ARGS)

bench-docs: ## Bench: docs/performance.md again from the last full run
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/bench/report.py $(BENCH_RESULTS) docs

deps-bench: $(BUILD)/deps-bench.stamp ## Bench: install the tools that are compared with
	@:
