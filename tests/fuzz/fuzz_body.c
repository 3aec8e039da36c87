/* SPDX-License-Identifier: MIT */
/* JSON bodies: bare, and within an object ("filters", as programs take them). */
#include <stdlib.h>
#include <string.h>

#include "api/arguments.h"
#include "base/memory.h"
#include "fuzz.h"

static void read_body(const char *body, size_t size, const char *within)
{
	__attribute__((cleanup(answer_fini))) struct answer answer = ANSWER_INIT;
	ARGUMENTS arguments = ARGUMENTS_INIT;
	int r = arguments_from_body(&arguments, body, size, within, &answer);

	for (size_t i = 0; !r && i < arguments.count; i++) {
		REQUIRE(arguments.items[i].name && arguments.items[i].value);
		REQUIRE(arguments.items[i].form != ARGUMENT_UNTYPED);
		REQUIRE(arguments.items[i].form != ARGUMENT_OTHER || !arguments.items[i].value[0]);
	}
	REQUIRE(arguments.count <= ARGUMENTS_MAX);
	REQUIRE(r ? answer.status == STATUS_BAD_REQUEST : answer.status == 0);
	if (r)
		fuzz_require_json(answer.body.data, answer.body.length);
	else
		fuzz_require_json(body, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	size_t length;
	FREE uint8_t *body = input_rest(&input, &length);

	read_body((const char *)body, length, NULL);
	read_body((const char *)body, length, "parameters");
	return 0;
}
