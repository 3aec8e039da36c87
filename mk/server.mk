# SPDX-License-Identifier: MIT
# The user side: a static library per flavour from every src/**/*.c but main.c, then the binaries.

SOURCES := $(sort $(shell find src -name '*.c'))
LIBRARY_SOURCES := $(filter-out src/main.c,$(SOURCES))

# $(call flavour,name): rules that compile any .c of the tree into build/<arch>/<flavour>/.
define flavour
$(1)_DIR := $(OUT)/$(1)
$(1)_COMPILER := $(or $($(1)_CC),$(CC))
$(1)_TABLES := $(OUT)/$(1)/registry.o $(OUT)/$(1)/assets.o
$(1)_LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%.c=$(OUT)/$(1)/%.o) $$($(1)_TABLES)
$(1)_OBJECTS := $(SOURCES:%.c=$(OUT)/$(1)/%.o) $$($(1)_TABLES)
$(1)_LIBRARY := $(OUT)/$(1)/libebpf-server.a
$(1)_COMPILE = $$($(1)_COMPILER) $$(BASE_CPPFLAGS) $$(BASE_CFLAGS) $$($(1)_FLAGS) \
	$$(CPPFLAGS) $$(CFLAGS)
$(1)_LINK = $$($(1)_COMPILER) $$(BASE_LDFLAGS) $$($(1)_LDFLAGS) $$(LDFLAGS)

$(OUT)/$(1)/flags: FORCE
	$$(call remember,$$($(1)_COMPILE))

$(OUT)/$(1)/link-flags: FORCE
	$$(call remember,$$($(1)_LINK) $$(BASE_LDLIBS) $$(LDLIBS) $$($(1)_LIBRARY_OBJECTS))

$(OUT)/$(1)/%.o: %.c $(OUT)/$(1)/flags
	$$(call say,CC,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$($(1)_COMPILE) $$(EXTRA_CPPFLAGS) -MMD -MP -MF $$(@:.o=.d) -MT $$@ -c $$< -o $$@

$(OUT)/$(1)/registry.o: $(GEN)/registry.c
$(OUT)/$(1)/assets.o: $(WEB_OUT)/assets.c
$$($(1)_TABLES): $(OUT)/$(1)/flags
	$$(call say,CC,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$($(1)_COMPILE) -MMD -MP -MF $$(@:.o=.d) -MT $$@ \
		-c $$(filter %.c,$$^) -o $$@

$(OUT)/$(1)/libebpf-server.a: $$($(1)_LIBRARY_OBJECTS) $(GEN)/registry-data.o $(GEN)/assets-data.o \
		$(OUT)/$(1)/link-flags
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$(filter %.o,$$^)

-include $$($(1)_OBJECTS:.o=.d)
endef

FLAVOURS := release dev tsan clang fuzz
$(foreach name,$(FLAVOURS),$(eval $(call flavour,$(name))))

# $(call link_server,flavour)
define link_server
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$($(1)_LINK) $(filter %.o %.a,$^) $(BASE_LDLIBS) $(LDLIBS) -o $@
endef

$(BIN)/ebpf-server: $(OUT)/release/src/main.o $(release_LIBRARY)
	$(call link_server,release)

$(BIN)/ebpf-server-dev: $(OUT)/dev/src/main.o $(dev_LIBRARY)
	$(call link_server,dev)

.PHONY: build build-dev run run-dev arch-info
build: $(BIN)/ebpf-server ## Build: the server, bin/ebpf-server (default)
build-dev: $(BIN)/ebpf-server-dev ## Build: bin/ebpf-server-dev with ASan, UBSan and debug logging

ARGS ?=
run: ## Run: install what is missing, build, start and print events (ARGS= adds options)
	@$(MAKE) deps
	@$(MAKE) build
	$(SUDO) $(BIN)/ebpf-server --print $(ARGS)

run-dev: ## Run: the same with the sanitised build
	@$(MAKE) deps
	@$(MAKE) build-dev
	$(SUDO) $(BIN)/ebpf-server-dev --print $(ARGS)

# $(call version,command): its first line, or that it is missing.
version = $$($(1) --version 2>/dev/null | head -n 1 | grep . || echo missing)
arch-info: ## Build: say what is built for what, and with what
	@echo "host architecture    $(HOST_ARCH) ($(HOST_MACHINE))"
	@echo "target architecture  $(TARGET_ARCH), one of: $(ARCHITECTURES)"
	@echo "C compiler           $(CC): $(call version,$(CC))"
	@echo "BPF compiler         $(CLANG): $(call version,$(CLANG))"
	@echo "BPF objects          $(BPF_DIR)/$(TARGET_ARCH)/: $(PROGRAMS)"
	@echo "server               $(BIN)/ebpf-server"
