# SPDX-License-Identifier: MIT
# The companion programs: a folder tools/<name>/ with a main.c becomes bin/<name>, linked with the
# library. A <name>.bpf.c beside it is embedded in it, between embedded_object_<name> and
# embedded_object_<name>_end. tools/include is for what several share.

TOOLS := $(sort $(patsubst tools/%/main.c,%,$(wildcard tools/*/main.c)))
TOOL_BINARIES := $(TOOLS:%=$(BIN)/%)
tool_sources = $(sort $(wildcard tools/$(1)/*.c))
tool_bpf = $(wildcard tools/$(1)/$(1).bpf.c)
tool_c = $(filter-out $(call tool_bpf,$(1)),$(call tool_sources,$(1)))
TOOL_SOURCES := $(foreach tool,$(TOOLS),$(call tool_c,$(tool)))
TOOLS_WITH_BPF := $(foreach tool,$(TOOLS),$(if $(call tool_bpf,$(tool)),$(tool)))

$(foreach flavour,$(FLAVOURS),$(OUT)/$(flavour)/tools/%.o): EXTRA_CPPFLAGS = -Itools/include
-include $(foreach flavour,$(FLAVOURS),$(TOOL_SOURCES:%.c=$(OUT)/$(flavour)/%.d))

# What they read in packets is what programs/icmp reads.
$(ARCHITECTURES:%=$(BPF_DIR)/%/tools/%): EXTRA_BPF_FLAGS = -Iprograms/icmp -Itools/include

# $(call tool_bpf_rule,architecture,tool)
define tool_bpf_rule
$(BPF_DIR)/$(1)/tools/$(2).bpf.o: tools/$(2)/$(2).bpf.c $(BPF_DIR)/flags | $(BPF_INCLUDE)/bpf
	$$(call bpf_compile,$(1))
endef
$(foreach arch,$(ARCHITECTURES),\
	$(foreach tool,$(TOOLS_WITH_BPF),$(eval $(call tool_bpf_rule,$(arch),$(tool)))))
-include $(foreach arch,$(ARCHITECTURES),$(TOOLS_WITH_BPF:%=$(BPF_DIR)/$(arch)/tools/%.bpf.d))
build-bpf-all: $(foreach arch,$(ARCHITECTURES),$(TOOLS_WITH_BPF:%=$(BPF_DIR)/$(arch)/tools/%.bpf.o))

$(GEN)/tools/%.S: $(BPF_DIR)/$(TARGET_ARCH)/tools/%.bpf.o scripts/make-registry.sh
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)sh scripts/make-registry.sh data $< > $@

$(GEN)/tools/%.o: $(GEN)/tools/%.S
	$(call say,AS,$@)
	$(Q)$(CC) -c $< -o $@

# $(call tool_rule,tool): the release build in bin/, the sanitised one beside it.
define tool_rule
$(BIN)/$(1): $(patsubst %.c,$(OUT)/release/%.o,$(call tool_c,$(1))) \
		$(if $(call tool_bpf,$(1)),$(GEN)/tools/$(1).o) $$(release_LIBRARY)
	$$(call link_server,release)
$(BIN)/$(1)-dev: $(patsubst %.c,$(OUT)/dev/%.o,$(call tool_c,$(1))) \
		$(if $(call tool_bpf,$(1)),$(GEN)/tools/$(1).o) $$(dev_LIBRARY)
	$$(call link_server,dev)
endef
$(foreach tool,$(TOOLS),$(eval $(call tool_rule,$(tool))))

build: $(TOOL_BINARIES)
build-dev: $(TOOL_BINARIES:=-dev)
