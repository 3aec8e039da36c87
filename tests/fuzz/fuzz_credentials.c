/* SPDX-License-Identifier: MIT */
/* The credentials file. */
#include <string.h>

#include "access/credentials.h"
#include "base/memory.h"
#include "fuzz.h"

static void check(const struct credentials *credentials)
{
	REQUIRE(credentials->count >= 1 && credentials->count <= CREDENTIALS_MAX);
	for (size_t i = 0; i < credentials->count; i++) {
		const struct credential *one = &credentials->items[i];

		REQUIRE(one->role > ROLE_NONE && one->role <= ROLE_ADMIN);
		REQUIRE(one->name[0] && strlen(one->name) < sizeof(one->name));
		REQUIRE(fuzz_is_text(one->name));
		for (size_t j = 0; j < i; j++)
			REQUIRE(strcmp(one->name, credentials->items[j].name) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(credentials) struct credentials *credentials = NULL;
	struct input input = { data, size };
	char error[256] = "";
	size_t length;
	FREE uint8_t *text = input_rest(&input, &length);

	if (credentials_parse("corpus", (const char *)text, length, &credentials, error,
			      sizeof(error)) == 0) {
		check(credentials);
	} else {
		REQUIRE(!credentials && error[0]);
		REQUIRE(fuzz_is_text(error));
	}
	return 0;
}
