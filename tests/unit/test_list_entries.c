/* SPDX-License-Identifier: MIT */
/* lists/entries.h: addresses, numbers, processes, and sets of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>

#include "base/memory.h"
#include "lists/entries.h"

static void expect_text(const char *text, const char *expected)
{
	uint8_t entry[ENTRY_SIZE_MAX];
	char shown[IP_ENTRY_TEXT_SIZE];
	uint32_t number;

	assert_int_equal(ip_entry_parse(text, entry), 0);
	assert_false(ip_entry_number(entry, &number));
	ip_entry_text(entry, shown);
	assert_string_equal(shown, expected);
}

static void addresses(void **state)
{
	(void)state;
	expect_text("10.0.0.1", "10.0.0.1");
	expect_text("10.0.0.1/32", "10.0.0.1");
	expect_text("10.1.2.3/8", "10.0.0.0/8");
	expect_text("10.255.255.255/9", "10.128.0.0/9");
	expect_text("255.255.255.255/31", "255.255.255.254/31");
	expect_text("1.2.3.4/0", "0.0.0.0/0");
	expect_text("0.0.0.0", "0.0.0.0");
	expect_text("2001:DB8::1", "2001:db8::1");
	expect_text("2001:db8:0:0:0:0:0:1/128", "2001:db8::1");
	expect_text("2001:db8:ffff::1/33", "2001:db8:8000::/33");
	expect_text("ff02::fb/127", "ff02::fa/127");
	expect_text("1::/0", "::/0");
	expect_text("::", "::");
	expect_text("::1", "::1");
	expect_text("::ffff:10.0.0.1", "10.0.0.1");
	expect_text("::ffff:10.1.2.3/104", "10.0.0.0/8");
	expect_text("::ffff:0:0/96", "0.0.0.0/0");
	expect_text("::ffff:0:0/95", "::fffe:0:0/95");
	expect_text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	expect_text("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/127",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
}

static void texts_that_are_no_address(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"10.0.0",
		"10.0.0.256",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/08",
		"10.0.0.0/0x8",
		"10.0.0.0/8 ",
		" 10.0.0.0",
		"10.0.0.0/8/8",
		"010.0.0.1",
		"0x0a.0.0.1",
		"10.0.0.1:80",
		"/8",
		"/",
		"::1/129",
		"::1%lo",
		"fe80::1%eth0/64",
		":::",
		"1:2:3:4:5:6:7",
		"[::1]",
		"localhost",
		"10.0.0.0/8a",
		"::/00",
		"::ffff:10.0.0.1/129",
		"10.0.0.1\n",
		"1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1",
	};
	uint8_t entry[ENTRY_SIZE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (ip_entry_parse(texts[i], entry) != -EINVAL)
			fail_msg("\"%s\" was taken", texts[i]);
}

static void numbers_and_processes(void **state)
{
	uint8_t entry[ENTRY_SIZE_MAX], other[ENTRY_SIZE_MAX];
	char text[IP_ENTRY_TEXT_SIZE];
	uint32_t number;

	(void)state;
	ip_entry_from_number(1, entry);
	ip_entry_text(entry, text);
	assert_string_equal(text, "0.0.0.1");
	assert_true(ip_entry_number(entry, &number));
	assert_int_equal(number, 1);
	ip_entry_from_number(UINT32_MAX, entry);
	assert_true(ip_entry_number(entry, &number));
	assert_int_equal(number, UINT32_MAX);
	/* The same key as the text's. */
	assert_int_equal(ip_entry_parse("255.255.255.255", other), 0);
	assert_memory_equal(entry, other, shared_list_kinds[SHARED_IPS].key_size);

	assert_int_equal(process_entry_make(0, entry), -ERANGE);
	assert_int_equal(process_entry_make(-1, entry), -ERANGE);
	assert_int_equal(process_entry_make(4194305, entry), -ERANGE);
	assert_int_equal(process_entry_make((1LL << 32) + 1, entry), -ERANGE);
	assert_int_equal(process_entry_make(4194304, entry), 0);
	assert_int_equal(process_entry_pid(entry), 4194304);
	assert_int_equal(process_entry_make(1, entry), 0);
	assert_int_equal(process_entry_pid(entry), 1);
}

/* ---- sets ---- */

static void sets_hold_each_key_once(void **state)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	ENTRY_SET copy = { .list = SHARED_IPS };
	uint8_t entry[ENTRY_SIZE_MAX];

	(void)state;
	for (uint32_t i = 0; i < SHARED_IPS_MAX; i++) {
		ip_entry_from_number(i * 65537, entry);
		assert_int_equal(entry_set_add(&set, entry), 1);
		assert_int_equal(entry_set_add(&set, entry), 0);
	}
	assert_int_equal(set.count, SHARED_IPS_MAX);
	/* Full, and yet it knows what it has. */
	ip_entry_from_number(3 * 65537, entry);
	assert_int_equal(entry_set_add(&set, entry), 0);
	ip_entry_from_number(1, entry);
	assert_int_equal(entry_set_add(&set, entry), -ENOSPC);
	assert_int_equal(entry_set_copy(&copy, &set), 0);
	assert_int_equal(copy.count, SHARED_IPS_MAX);
	for (uint32_t i = 0; i < SHARED_IPS_MAX; i += 1009) {
		uint32_t number;

		assert_true(ip_entry_number(entry_set_at(&copy, i), &number));
		assert_int_equal(number, i * 65537);
	}
	assert_int_equal(entry_set_add(&copy, entry_set_at(&set, 17)), 0);
}

static void first_come_first_kept(void **state)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	uint8_t entry[ENTRY_SIZE_MAX];
	uint32_t number;

	(void)state;
	ip_entry_from_number(1, entry);
	assert_int_equal(entry_set_add(&set, entry), 1);
	assert_int_equal(ip_entry_parse("0.0.0.1", entry), 0);
	assert_int_equal(entry_set_add(&set, entry), 0);
	assert_true(ip_entry_number(entry_set_at(&set, 0), &number));
	/* Another prefix of the same bytes is another entry. */
	assert_int_equal(ip_entry_parse("0.0.0.0/8", entry), 0);
	assert_int_equal(entry_set_add(&set, entry), 1);
	assert_int_equal(ip_entry_parse("0.0.0.0/9", entry), 0);
	assert_int_equal(entry_set_add(&set, entry), 1);
	assert_int_equal(set.count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(texts_that_are_no_address),
		cmocka_unit_test(numbers_and_processes),
		cmocka_unit_test(sets_hold_each_key_once),
		cmocka_unit_test(first_come_first_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
