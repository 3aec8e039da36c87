/* SPDX-License-Identifier: MIT */
/* Ids of events: read back, refused, sorted. */
#include "encode_fixture.h"

#include <errno.h>

static void ids_are_read_back(void **state)
{
	static const struct event_id ids[] = {
		{ 0, 0, 0, 0 },
		{ 0xffffffff, 0xfffffffffffffff, 255, 0xffffffff },
		{ 0x6553f100, 123456789012, 3, 0x22334455 },
	};
	char text[EVENT_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct event_id id;

		event_id_format(&ids[i], text);
		assert_int_equal(strlen(text), EVENT_ID_SIZE - 1);
		assert_int_equal(event_id_parse(text, &id), 0);
		assert_int_equal(event_id_compare(&id, &ids[i]), 0);
	}
	assert_string_equal(text, ID_OF_FILL);
}

static void other_texts_are_no_ids(void **state)
{
	static const char *const texts[] = {
		"",
		"0",
		"6553f100",
		"6553f100-000001cbe991a14",
		"6553f100-000001cbe991a14-03223344550",
		"6553f100-000001cbe991a14-032233445",
		"6553F100-000001cbe991a14-0322334455",
		"6553f10g-000001cbe991a14-0322334455",
		"6553f100_000001cbe991a14-0322334455",
		" 6553f100-000001cbe991a14-0322334455",
		"6553f100-000001cbe991a14-0322334455 ",
		"-1",
	};
	struct event_id id;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(event_id_parse(texts[i], &id), -EINVAL);
}

static void ids_sort_as_text(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char a_text[EVENT_ID_SIZE], b_text[EVENT_ID_SIZE];
		struct event_id ids[2];
		int by_text, by_value;

		for (int k = 0; k < 2; k++)
			ids[k] = (struct event_id){ random_number(&seed) % 2 + 0x6553f100,
						    random_number(&seed) % 3,
						    (uint16_t)(random_number(&seed) % 3),
						    (uint32_t)(random_number(&seed) % 3) };
		event_id_format(&ids[0], a_text);
		event_id_format(&ids[1], b_text);
		by_text = strcmp(a_text, b_text);
		by_value = event_id_compare(&ids[0], &ids[1]);
		assert_int_equal(by_text < 0, by_value < 0);
		assert_int_equal(by_text > 0, by_value > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_read_back),
		cmocka_unit_test(other_texts_are_no_ids),
		cmocka_unit_test(ids_sort_as_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
