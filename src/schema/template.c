/* SPDX-License-Identifier: MIT */
#include "schema/template.h"

#include <string.h>

bool template_next(const char **text, struct template_part *ret_part)
{
	const char *start = *text;
	const char *open = strchr(start, '{');
	const char *close = open ? strchr(open, '}') : NULL;

	if (!*start)
		return false;
	if (close && open == start) {
		*ret_part = (struct template_part){ open + 1, (size_t)(close - open - 1), true };
		*text = close + 1;
		return true;
	}
	*ret_part = (struct template_part){
		.text = start,
		.length = close ? (size_t)(open - start) : strlen(start),
	};
	*text = start + ret_part->length;
	return true;
}

bool template_part_is(const struct template_part *part, const char *name)
{
	return part->is_name && strlen(name) == part->length &&
	       !memcmp(name, part->text, part->length);
}
