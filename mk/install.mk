# SPDX-License-Identifier: MIT
# What is installed, and where: the directories are the GNU Coding Standards'.

BINDIR ?= $(PREFIX)/bin
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d

INSTALL_PROGRAM = $(INSTALL) -D -m 0755 -s --strip-program=$(STRIP)
INSTALL_DATA = $(INSTALL) -D -m 0644

# Where help2man is not (make docs installs it) there are no man pages, and everything else is.
INSTALLED_MAN := $(if $(shell command -v help2man),$(MAN_PAGES))

.PHONY: install clean
install: $(BIN)/ebpf-server $(TOOL_BINARIES) $(INSTALLED_MAN)
install: ## Other: install under DESTDIR and PREFIX (/usr/local)
	for program in ebpf-server $(TOOLS); do \
		$(INSTALL_PROGRAM) $(BIN)/$$program $(DESTDIR)$(BINDIR)/$$program || exit 1; done
	for header in $(notdir $(wildcard programs/include/*.h)); do \
		$(INSTALL_DATA) programs/include/$$header \
		$(DESTDIR)$(INCLUDEDIR)/ebpf-server/$$header || exit 1; done
	for page in $(notdir $(INSTALLED_MAN)); do $(INSTALL_DATA) $(MAN_OUT)/$$page \
		$(DESTDIR)$(MANDIR)/man$${page##*.}/$$page || exit 1; done
	test -e $(DESTDIR)$(SYSCONFDIR)/ebpf-server/ebpf-server.conf || $(INSTALL_DATA) \
		deploy/ebpf-server.conf $(DESTDIR)$(SYSCONFDIR)/ebpf-server/ebpf-server.conf
	$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/bin/|$(BINDIR)/|; s|/etc/ebpf-server/|$(SYSCONFDIR)/ebpf-server/|' \
		deploy/systemd/ebpf-server.service > $(DESTDIR)$(UNITDIR)/ebpf-server.service
	$(INSTALL_DATA) deploy/systemd/ebpf-server.sysusers \
		$(DESTDIR)$(SYSUSERSDIR)/ebpf-server.conf
	$(INSTALL_DATA) deploy/completion/ebpf-server.bash \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/ebpf-server
	for tool in $(TOOLS); do ln -sf ebpf-server \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/$$tool || exit 1; done
	$(INSTALL_DATA) deploy/completion/_ebpf-server \
		$(DESTDIR)$(DATADIR)/zsh/vendor-completions/_ebpf-server

clean: ## Other: remove everything that was built
	rm -rf $(BUILD) bin

# ---- the Debian package -------------------------------------------------------------------------

DEB_ARCH_x86 := amd64
DEB_ARCH_arm64 := arm64
DEB_ARCH_arm := armhf
DEB_ARCH_riscv := riscv64
DEB_ARCH = $(DEB_ARCH_$(TARGET_ARCH))
# Whoever builds it stands for it.
DEB_MAINTAINER ?= $(shell git log -1 --format='%an <%ae>')
DEB := $(BUILD)/ebpf-server_$(VERSION)_$(DEB_ARCH).deb

.PHONY: deb
deb: $(BUILD)/deps-deb.stamp ## Other: the Debian package, build/ebpf-server_VERSION_ARCH.deb
	rm -rf $(BUILD)/deb
	@$(MAKE) install DESTDIR=$(abspath $(BUILD)/deb) PREFIX=/usr UNITDIR=/lib/systemd/system
	sh scripts/make-deb.sh $(BUILD)/deb $(VERSION) $(DEB_ARCH) '$(DEB_MAINTAINER)' $(DEB)
