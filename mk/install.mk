# SPDX-License-Identifier: MIT

.PHONY: install clean
install: $(BIN)/ebpf-server $(TOOL_BINARIES) ## Other: install under DESTDIR and PREFIX (/usr/local)
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include/ebpf-server
	$(INSTALL) -m 0755 -s --strip-program=$(STRIP) $(BIN)/ebpf-server \
		$(DESTDIR)$(PREFIX)/bin/ebpf-server
	for tool in $(TOOLS); do $(INSTALL) -m 0755 -s --strip-program=$(STRIP) $(BIN)/$$tool \
		$(DESTDIR)$(PREFIX)/bin/$$tool || exit 1; done
	$(INSTALL) -m 0644 $(wildcard programs/include/*.h) $(DESTDIR)$(PREFIX)/include/ebpf-server

clean: ## Other: remove everything that was built
	rm -rf $(BUILD) bin
