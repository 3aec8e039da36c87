/* SPDX-License-Identifier: MIT */
/* Query strings: what comes out of them is text, or an answer that says what is wrong. */
#include <string.h>

#include "api/arguments.h"
#include "base/memory.h"
#include "base/text.h"
#include "fuzz.h"

static void check_utf8(const char *text)
{
	for (size_t left = strlen(text), step; left; text += step, left -= step) {
		step = text_utf8_sequence(text, left);
		REQUIRE(step);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	__attribute__((cleanup(answer_fini))) struct answer answer = ANSWER_INIT;
	ARGUMENTS arguments = ARGUMENTS_INIT;
	struct input input = { data, size };
	FREE char *query = input_line(&input);
	int r = arguments_from_query(&arguments, query, &answer);

	REQUIRE(arguments.count <= ARGUMENTS_MAX);
	for (size_t i = 0; !r && i < arguments.count; i++) {
		check_utf8(arguments.items[i].name);
		check_utf8(arguments.items[i].value);
		REQUIRE(arguments.items[i].form == ARGUMENT_UNTYPED);
	}
	REQUIRE(r ? answer.status == STATUS_BAD_REQUEST : answer.status == 0);
	if (r)
		fuzz_require_json(answer.body.data, answer.body.length);
	return 0;
}
