# SPDX-License-Identifier: MIT
# The kernel side: programs/<name>/<name>.bpf.c becomes build/bpf/<arch>/<name>.bpf.o. A folder
# that has such a file is a program; nothing else names it.

PROGRAMS := $(sort $(foreach dir,$(wildcard programs/*/.),\
	$(foreach name,$(notdir $(dir:/.=)),\
	$(if $(wildcard programs/$(name)/$(name).bpf.c),$(name)))))

BPF_DIR := $(BUILD)/bpf
BPF_INCLUDE := $(BPF_DIR)/include
BPF_OBJECTS := $(PROGRAMS:%=$(BPF_DIR)/$(TARGET_ARCH)/%.bpf.o)

# Neither the system's headers nor the target's: only libbpf's, so an object that builds here builds
# anywhere. -mcpu=v2 is what every kernel since 4.14 takes.
BPF_CFLAGS ?=
BPF_FLAGS = -target bpf -mcpu=v2 -O2 -g -std=gnu17 $(WARNINGS) -nostdlibinc \
	-isystem $(BPF_INCLUDE) -Iprograms/include $(EXTRA_BPF_FLAGS) $(BPF_CFLAGS)

$(BPF_INCLUDE)/bpf:
	$(Q)test -e $(LIBBPF_INCLUDE)/bpf/bpf_helpers.h || { \
		echo "make: $(LIBBPF_INCLUDE)/bpf/bpf_helpers.h is missing:" \
			"run 'make deps', or set LIBBPF_INCLUDE" >&2; exit 1; }
	$(Q)mkdir -p $(@D)
	$(Q)ln -sfn $(abspath $(LIBBPF_INCLUDE))/bpf $@

$(BPF_DIR)/flags: FORCE
	$(call remember,$(CLANG) $(BPF_FLAGS))

# DWARF goes, BTF stays. $(call bpf_compile,architecture)
define bpf_compile
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -D__TARGET_ARCH_$(1) \
		-MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@
endef

# $(call bpf_rule,architecture,program)
define bpf_rule
$(BPF_DIR)/$(1)/$(2).bpf.o: programs/$(2)/$(2).bpf.c $(BPF_DIR)/flags | $(BPF_INCLUDE)/bpf
	$$(call bpf_compile,$(1))
endef

$(foreach arch,$(ARCHITECTURES),\
	$(foreach name,$(PROGRAMS),$(eval $(call bpf_rule,$(arch),$(name)))))
-include $(foreach arch,$(ARCHITECTURES),$(PROGRAMS:%=$(BPF_DIR)/$(arch)/%.bpf.d))

.PHONY: build-bpf build-bpf-all
build-bpf: $(BPF_OBJECTS) ## Build: compile the eBPF programs for TARGET_ARCH
build-bpf-all: $(foreach arch,$(ARCHITECTURES),$(PROGRAMS:%=$(BPF_DIR)/$(arch)/%.bpf.o))

# The table of embedded objects, sorted by name; made again when an object or the set changes.
$(GEN)/programs: FORCE
	$(call remember,$(PROGRAMS))

$(GEN)/registry.c: scripts/make-registry.sh $(GEN)/programs $(BPF_OBJECTS)
	$(call say,GEN,$@)
	$(Q)sh scripts/make-registry.sh table $(BPF_OBJECTS) > $@

$(GEN)/registry.S: scripts/make-registry.sh $(GEN)/programs $(BPF_OBJECTS)
	$(call say,GEN,$@)
	$(Q)sh scripts/make-registry.sh data $(BPF_OBJECTS) > $@

$(GEN)/registry-data.o: $(GEN)/registry.S
	$(call say,AS,$@)
	$(Q)$(CC) -c $< -o $@
