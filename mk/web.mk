# SPDX-License-Identifier: MIT
# The dashboard and Swagger UI: web/ becomes build/web/assets.{c,S}, which the server embeds. npm
# fetches their packages once; from then on it builds offline. Without node and npm, or with WEB=no,
# the server is built without them and says so at /ui/.

WEB_OUT := $(BUILD)/web
WEB_SOURCES := $(sort $(shell find web -type f))
WEB_PACKAGES := package.json package-lock.json .npmrc
ifeq ($(WEB),)
WEB := $(if $(shell command -v node && command -v npm),yes,no)
WEB_LEFT_OUT := no node and npm here ('make deps' installs them)
endif
WEB_LEFT_OUT ?= WEB=$(WEB)

# $(call npm_ci,folder with the lists of packages,where to put them)
define npm_ci
	$(call say,NPM,$(2)/node_modules)
	$(Q)mkdir -p $(2)
	$(Q)cp $(WEB_PACKAGES:%=$(1)/%) $(2)/
	$(Q)(cd $(2) && npm ci --loglevel error --no-progress >npm.log 2>&1) || { \
		cat $(2)/npm.log >&2; \
		echo "make: npm could not fetch the packages of $(1)/: it needs the network once" \
			"(or build without the dashboard: make WEB=no)" >&2; exit 1; }
endef

$(WEB_OUT)/packages.stamp: $(WEB_PACKAGES:%=web/%)
	$(call npm_ci,web,$(@D))
	$(Q)touch $@

$(WEB_OUT)/sources: FORCE
	$(call remember,$(WEB) $(WEB_SOURCES))

ifeq ($(WEB),yes)
$(WEB_OUT)/built.stamp: $(WEB_OUT)/packages.stamp $(WEB_OUT)/sources $(WEB_SOURCES)
	$(call say,WEB,$(@D)/dist)
	$(Q)node web/build.mjs $(@D)
	$(Q)touch $@
else
$(WEB_OUT)/built.stamp: $(WEB_OUT)/sources
	@echo "make: the dashboard is left out: $(WEB_LEFT_OUT)" >&2
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '#include "api/assets.h"' 'const struct asset assets[1];' \
		'const size_t asset_count;' > $(@D)/assets.c
	$(Q)echo '	.section .note.GNU-stack,"",%progbits' > $(@D)/assets.S
	$(Q)touch $@
endif

$(WEB_OUT)/assets.c $(WEB_OUT)/assets.S: $(WEB_OUT)/built.stamp ;

# What holds the files' bytes is assembled for each architecture.
$(GEN)/assets-data.o: $(WEB_OUT)/built.stamp
	$(call say,AS,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -c $(WEB_OUT)/assets.S -o $@

.PHONY: build-web
build-web: $(WEB_OUT)/built.stamp ## Build: the dashboard alone, build/web
