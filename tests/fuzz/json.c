/* SPDX-License-Identifier: MIT */
/* Apart from the others: jansson.h and base/json.h cannot be included together. */
#include <jansson.h>
#include <stdio.h>

#include "require.h"

void fuzz_require_json(const char *text, size_t length)
{
	json_error_t error;
	/* An integer may have 64 bits and no sign: jansson's have 63. */
	json_t *json = json_loadb(text, length,
				  JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
					  JSON_DECODE_INT_AS_REAL,
				  &error);

	if (!json)
		fprintf(stderr, "%s at %d of %.*s\n", error.text, error.position, (int)length,
			text);
	REQUIRE(json);
	json_decref(json);
}
