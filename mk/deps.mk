# SPDX-License-Identifier: MIT
# What the distribution provides. A stamp remembers that all was there, so that `make run` and
# `make test` ask the package manager only once.

$(BUILD)/deps-%.stamp: scripts/deps.sh
	$(Q)mkdir -p $(@D)
	$(Q)sh scripts/deps.sh install $*
	$(Q)touch $@

.PHONY: deps deps-test check-deps dev-setup
deps: $(BUILD)/deps-run.stamp ## Setup: install what building and running need (apt, dnf, pacman)
	@:
deps-test: $(BUILD)/deps-run.stamp $(BUILD)/deps-test.stamp
check-deps: ## Setup: say what is missing, install nothing
	@sh scripts/deps.sh check run test dev
dev-setup: deps-test $(BUILD)/deps-dev.stamp ## Setup: install what tests, lint and fmt need too
