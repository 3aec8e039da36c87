# SPDX-License-Identifier: MIT
# Man pages, out of what each program says of itself (--help): they cannot say anything else.

MAN_OUT := $(BUILD)/man
# Section 8 is for what an administrator runs.
MAN_PAGES := $(MAN_OUT)/ebpf-server.8 $(MAN_OUT)/monitor_ebpf_loader.8 \
	$(MAN_OUT)/monitor_ebpf_reader.1
# The line of NAME.
man_ebpf-server := monitor of connections, dropped packets, pings and system calls
man_monitor_ebpf_loader := have ICMP packets written where others can read them
man_monitor_ebpf_reader := print ICMP packets that monitor_ebpf_loader sees

# $(call man_rule,page)
define man_rule
$(MAN_OUT)/$(1): $(BIN)/$(basename $(1)) $(wildcard deploy/man/$(basename $(1)).h2m)
	$$(call say,MAN,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)help2man --no-info --version-string=$(VERSION) --section=$(subst .,,$(suffix $(1))) \
		--name="$(man_$(basename $(1)))" --opt-include=deploy/man/$(basename $(1)).h2m \
		--output=$$@ $$<
endef
$(foreach page,$(MAN_PAGES),$(eval $(call man_rule,$(notdir $(page)))))

.PHONY: docs
docs: $(BUILD)/deps-docs.stamp ## Build: man pages, build/man
	@$(MAKE) $(MAN_PAGES)
