# SPDX-License-Identifier: MIT

.PHONY: help
# From the comments "## Group: text" on the targets.
help: ## Other: this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^[a-z-]+:.*## [A-Z][a-z]+: / { \
			group = text = $$2; sub(/: .*/, "", group); sub(/^[A-Za-z]+: /, "", text); \
			if (!(group in lines)) order[++groups] = group; \
			lines[group] = lines[group] sprintf("  %-12s %s\n", $$1, text) \
		} \
		END { for (i = 1; i <= groups; i++) { \
			printf("%s%s\n%s", (i > 1 ? "\n" : ""), order[i], lines[order[i]]) } }' \
		$(MAKEFILE_LIST)
