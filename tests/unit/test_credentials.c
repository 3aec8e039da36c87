/* SPDX-License-Identifier: MIT */
/* The credentials file: what is taken, what is refused, and that no message holds a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/credentials.h"
#include "base/buffer.h"

#define DIGEST_OF_ABC                                                                              \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-4 */
#define OF_43 "abcdefghijklmnopqrstuvwxyz./ABCDEFGHIJKLMNO"
#define OF_86 OF_43 OF_43

static struct credentials *good(const char *text, size_t length)
{
	struct credentials *credentials = NULL;
	char error[256] = "";

	if (credentials_parse("file", text, length, &credentials, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return credentials;
}

#define GOOD(text) good(text, sizeof(text) - 1)

static void refused(const char *text, size_t length, const char *expected)
{
	struct credentials *credentials = NULL;
	char error[256] = "";

	assert_int_not_equal(
		credentials_parse("file", text, length, &credentials, error, sizeof(error)), 0);
	assert_null(credentials);
	if (strcmp(error, expected) != 0)
		fail_msg("\"%s\" instead of \"%s\"", error, expected);
}

#define REFUSED(text, expected) refused(text, sizeof(text) - 1, expected)

static void test_secrets(void **state)
{
	CLEANUP(credentials)
	struct credentials *credentials =
		GOOD("# a comment\n"
		     "\n"
		     "  \t # another\r\n"
		     "read grafana abc\n"
		     "\twrite  agent-7\tsha256:BA7816BF8F01CFEA414140DE5DAE2223"
		     "B00361A396177A9CB410FF61F20015AE \r\n"
		     "admin \xc3\xa9ve $6$salt$" OF_86 "\n"
		     "admin y $y$j9T$salt$" OF_43 "\n"
		     "admin b $2b$10$" OF_43 "abcdefghij\n"
		     "admin s #no-comment");
	(void)state;

	assert_int_equal(credentials->count, 6);
	assert_string_equal(credentials->items[0].name, "grafana");
	assert_int_equal(credentials->items[0].role, ROLE_READ);
	assert_null(credentials->items[0].hash);
	assert_int_equal(credentials->items[0].digest[0], 0xba);
	assert_int_equal(credentials->items[0].digest[31], 0xad);
	assert_int_equal(credentials->items[0].line, 4);
	assert_string_equal(credentials->items[1].name, "agent-7");
	assert_int_equal(credentials->items[1].role, ROLE_WRITE);
	assert_int_equal(credentials->items[1].digest[0], 0xba);
	assert_int_equal(credentials->items[1].digest[31], 0xae);
	assert_string_equal(credentials->items[2].name, "\xc3\xa9ve");
	assert_int_equal(credentials->items[2].role, ROLE_ADMIN);
	assert_string_equal(credentials->items[2].hash, "$6$salt$" OF_86);
	assert_false(credentials->items[2].verified);
	assert_string_equal(credentials->items[3].hash, "$y$j9T$salt$" OF_43);
	assert_null(credentials->items[5].hash);
}

static void test_refused(void **state)
{
	(void)state;
	REFUSED("", "file: holds no credential (role name secret)");
	REFUSED("# nothing\n\n", "file: holds no credential (role name secret)");
	REFUSED("read a b\nroot c d\n", "file line 2: the first word is not read, write or admin");
	REFUSED("Read a b\n", "file line 1: the first word is not read, write or admin");
	REFUSED("read\n", "file line 1: is not of the form: role name secret");
	REFUSED("read a\n", "file line 1: is not of the form: role name secret");
	REFUSED("read a b c\n", "file line 1: is not of the form: role name secret");
	REFUSED("read a b\n\nread a c\n", "file line 3: has the name of line 1");
	REFUSED("read a abc\nread b sha256:" DIGEST_OF_ABC "\n",
		"file line 2: has the secret of line 1");
	REFUSED("read a:b c\n", "file line 1: the name (second word) must be UTF-8 without colons "
				"and control characters");
	REFUSED("read \xff c\n", "file line 1: the name (second word) must be UTF-8 without colons "
				 "and control characters");
	REFUSED("read a\xc2\x80 c\n", "file line 1: the name (second word) must be UTF-8 without "
				      "colons and control characters");
	REFUSED("read a\x01 c\n", "file line 1: the name (second word) must be UTF-8 without "
				  "colons and control characters");
	REFUSED("read " OF_43 OF_43 " c\n",
		"file line 1: the name (second word) is longer than 64 bytes");
	REFUSED("read a b\0c\n", "file line 1: holds a NUL byte");
	REFUSED("read a sha256:" DIGEST_OF_ABC "0\n",
		"file line 1: sha256: is to be followed by 64 hexadecimal digits");
	REFUSED("read a sha256:\n",
		"file line 1: sha256: is to be followed by 64 hexadecimal digits");
	REFUSED("read a sha256:zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"file line 1: sha256: is to be followed by 64 hexadecimal digits");
}

#define BAD_HASH                                                                                   \
	"file line 1: the secret (third word) begins like a hash of crypt(5), and is no whole "    \
	"one of yescrypt, scrypt, bcrypt, SHA-512 or SHA-256; mkpasswd makes them"

static void test_refused_hashes(void **state)
{
	(void)state;
	REFUSED("read a $1$salt$abcdefghijklmnopqrstuv\n", BAD_HASH);
	REFUSED("read a $6$salt$\n", BAD_HASH);
	REFUSED("read a $6$salt$" OF_43 "\n", BAD_HASH);
	REFUSED("read a $y$\n", BAD_HASH);
	REFUSED("read a $\n", BAD_HASH);
	REFUSED("read a $unknown$" OF_43 "\n", BAD_HASH);
}

static void test_bounds(void **state)
{
	BUFFER text = BUFFER_INIT;
	char line[1200];

	(void)state;
	for (int i = 0; i < CREDENTIALS_MAX; i++)
		buffer_printf(&text, "read name-%d secret-%d\n", i, i);
	credentials_free(good(text.data, text.length));
	buffer_append_string(&text, "read one-more secret\n");
	refused(text.data, text.length, "file line 1001: more than 1000 credentials");

	memset(line, 'x', sizeof(line));
	refused(line, 1025, "file line 1: longer than 1024 bytes");
	buffer_clear(&text);
	while (text.length <= CREDENTIALS_MAX_BYTES)
		buffer_append_string(&text, "# padding\n");
	refused(text.data, text.length, "file: is larger than 256 KiB");
}

/* In whatever order the words stand: none of them is in the message. */
static void test_no_message_quotes(void **state)
{
	static const char *const texts[] = {
		"hunter2 read name",
		"name hunter2 read",
		"read hunter2",
		"read name hunter2 x",
		"read hunter2:x secret",
		"name read hunter2",
		"hunter2",
		"read name $hunter2",
		"read name $6$hunter2",
		"read name sha256:hunter2",
		"read a b\nread a hunter2",
		"read a hunter2\nread b hunter2",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct credentials *credentials = NULL;
		char error[256] = "";

		assert_int_not_equal(credentials_parse("file", texts[i], strlen(texts[i]),
						       &credentials, error, sizeof(error)),
				     0);
		assert_non_null(strstr(error, "file line "));
		assert_null(strstr(error, "hunter2"));
	}
}

/* Garbage of bytes that mean something: never more than an error. The texts lie at the end of what
 * is allocated, so that the sanitiser sees each byte too many. */
static void test_garbage(void **state)
{
	static const char alphabet[] = "read admin\n\n  \t\r#:$6y2ab\0\xff\xc3\xa9sha256:0123abc";
	uint64_t chance = 20260101;

	(void)state;
	for (int round = 0; round < 20011; round++) {
		struct credentials *credentials = NULL;
		size_t length = (size_t)(round % 97);
		char error[256] = "";
		char *text = malloc(length ? length : 1);

		assert_non_null(text);
		for (size_t i = 0; i < length; i++) {
			chance = chance * 6364136223846793005ULL + 1442695040888963407ULL;
			text[i] = alphabet[(chance >> 33) % (sizeof(alphabet) - 1)];
		}
		if (round % 3 == 0 && length > 9)
			memcpy(text, "admin a $", 9);
		if (credentials_parse("file", text, length, &credentials, error, sizeof(error)))
			assert_non_null(strchr(error, ':'));
		credentials_free(credentials);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secrets),		  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_hashes),	  cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_no_message_quotes), cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
