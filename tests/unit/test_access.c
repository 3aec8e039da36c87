/* SPDX-License-Identifier: MIT */
/* Who is let in, by which secret, and how often somebody may guess. */
#include <crypt.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "access/access.h"
#include "access/throttle.h"

#define SECOND 1000000000ULL

/* As addresses are what failures are counted by, each case has one of its own. */
static const struct sockaddr *somebody(void)
{
	static struct sockaddr_in address = { .sin_family = AF_INET };

	address.sin_addr.s_addr = htonl(ntohl(address.sin_addr.s_addr) + 1);
	return (const struct sockaddr *)&address;
}

static struct credentials *parse(const char *text)
{
	struct credentials *credentials = NULL;
	char error[256];

	if (credentials_parse("file", text, strlen(text), &credentials, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return credentials;
}

/* The cheapest hash of its kind. */
static const char *slow_hash(const char *prefix, unsigned long cost, const char *secret)
{
	static struct crypt_data data;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	assert_non_null(
		crypt_gensalt_rn(prefix, cost, "0123456789abcdef", 16, setting, sizeof(setting)));
	assert_non_null(crypt_r(secret, setting, &data));
	return data.output;
}

#define DIGEST_OF_PASSWORD "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
#define TOKEN_OF_PASSWORD "XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg="

static int setup(void **state)
{
	char text[2048];
	int length = snprintf(text, sizeof(text),
			      "read grafana plain-token\n"
			      "write agent sha256:" DIGEST_OF_PASSWORD "\n"
			      "admin slow6 %s\n",
			      slow_hash("$6$", 1000, "sesame"));

	snprintf(text + length, sizeof(text) - (size_t)length, "admin slowy %s\n",
		 slow_hash("$y$", 1, "open:sesame"));
	*state = access_new(parse(text));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	access_free(*state);
	return 0;
}

static void assert_header(struct access *access, const char *value, int expected, enum role role,
			  const char *name)
{
	struct grant grant;
	int r = access_authorization(access, somebody(), value, &grant);

	if (r != expected || grant.role != role)
		fail_msg("%s: %d, role %d", value ? value : "none", r, grant.role);
	if (!r)
		assert_string_equal(grant.name, name);
}

static void test_headers(void **state)
{
	static const struct {
		const char *value;
		int result;
		enum role role;
		const char *name;
	} cases[] = {
		{ NULL, -ENOENT, ROLE_NONE, "" },
		{ "", -ENOENT, ROLE_NONE, "" },
		{ "Digest username=x", -ENOENT, ROLE_NONE, "" },
		{ "Bearer", -ENOENT, ROLE_NONE, "" },
		{ "Bearer ", -EACCES, ROLE_NONE, "" },
		{ "Bearer plain-token", 0, ROLE_READ, "grafana" },
		{ "bearer   plain-token", 0, ROLE_READ, "grafana" },
		{ "Bearer plain-token ", -EACCES, ROLE_NONE, "" },
		{ "Bearer plain-toke", -EACCES, ROLE_NONE, "" },
		{ "Bearer PLAIN-TOKEN", -EACCES, ROLE_NONE, "" },
		{ "Bearer password", 0, ROLE_WRITE, "agent" },
		{ "Bearer " DIGEST_OF_PASSWORD, -EACCES, ROLE_NONE, "" },
		{ "Bearer sha256:" DIGEST_OF_PASSWORD, -EACCES, ROLE_NONE, "" },
		/* A slow hash has a name. */
		{ "Bearer sesame", -EACCES, ROLE_NONE, "" },
		{ "Basic Z3JhZmFuYTpwbGFpbi10b2tlbg==", 0, ROLE_READ, "grafana" },
		{ "BASIC Z3JhZmFuYTpwbGFpbi10b2tlbg==", 0, ROLE_READ, "grafana" },
		{ "Basic YWdlbnQ6cGFzc3dvcmQ=", 0, ROLE_WRITE, "agent" },
		{ "Basic YWdlbnQ6cGxhaW4tdG9rZW4=", -EACCES, ROLE_NONE,
		  "" }, /* agent:plain-token */
		{ "Basic c2xvdzY6c2VzYW1l", 0, ROLE_ADMIN, "slow6" },
		{ "Basic c2xvdzY6c2VzYW1l", 0, ROLE_ADMIN, "slow6" },	      /* from memory */
		{ "Basic c2xvdzY6c2VzYW1m", -EACCES, ROLE_NONE, "" },	      /* slow6:sesamf */
		{ "Basic c2xvd3k6b3BlbjpzZXNhbWU=", 0, ROLE_ADMIN, "slowy" }, /* open:sesame */
		{ "Basic bm9ib2R5OnNlc2FtZQ==", -EACCES, ROLE_NONE, "" },     /* nobody:sesame */
		{ "Basic Z3JhZmFuYQ==", -EACCES, ROLE_NONE, "" },	      /* no colon */
		{ "Basic OnBsYWluLXRva2Vu", -EACCES, ROLE_NONE, "" },	      /* no name */
		{ "Basic !!!", -EACCES, ROLE_NONE, "" },
		{ "Basic ", -EACCES, ROLE_NONE, "" },
		/* grafana:plain-token and a NUL */
		{ "Basic Z3JhZmFuYTpwbGFpbi10b2tlbgA=", -EACCES, ROLE_NONE, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_header(*state, cases[i].value, cases[i].result, cases[i].role,
			      cases[i].name);
}

static void test_long_secrets(void **state)
{
	char value[9000];

	for (size_t length = 500; length < sizeof(value) - 8; length += 1201) {
		memset(value, 'Q', sizeof(value));
		memcpy(value, "Basic ", 6);
		value[length] = '\0';
		assert_header(*state, value, -EACCES, ROLE_NONE, "");
		memcpy(value, "Bearer ", 7);
		assert_header(*state, value, -EACCES, ROLE_NONE, "");
	}
}

static void test_socket_io(void **state)
{
	static const struct {
		const char *name, *token;
		int result;
	} cases[] = {
		{ "Monitor", TOKEN_OF_PASSWORD, 0 },
		{ "agent", TOKEN_OF_PASSWORD, 0 },
		/* Somebody else's name. */
		{ "grafana", TOKEN_OF_PASSWORD, -EACCES },
		{ "Monitor", "", -EACCES },
		{ "Monitor", "password", -EACCES },
		{ "Monitor", DIGEST_OF_PASSWORD, -EACCES },
		{ "Monitor", "YohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=", -EACCES },
		{ "Monitor", "XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQg==", -EACCES },
		{ "Monitor", TOKEN_OF_PASSWORD "AAAA", -EACCES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct grant grant;
		int r = access_socket_io_token(*state, somebody(), cases[i].name, cases[i].token,
					       &grant);

		if (r != cases[i].result)
			fail_msg("%s %s: %d", cases[i].name, cases[i].token, r);
		assert_int_equal(grant.role, r ? ROLE_NONE : ROLE_WRITE);
		if (!r)
			assert_string_equal(grant.name, "agent");
	}
}

static void test_replace(void **state)
{
	assert_header(*state, "Bearer plain-token", 0, ROLE_READ, "grafana");
	access_replace(*state, parse("admin grafana other-token\n"));
	assert_header(*state, "Bearer plain-token", -EACCES, ROLE_NONE, "");
	assert_header(*state, "Bearer other-token", 0, ROLE_ADMIN, "grafana");
	assert_header(*state, "Basic c2xvdzY6c2VzYW1l", -EACCES, ROLE_NONE, "");
}

/* Whatever comes after ten failures is not looked at, be it right; other addresses do not care. */
static void test_guessing(void **state)
{
	const struct sockaddr_in guesser = { .sin_family = AF_INET,
					     .sin_addr.s_addr = htonl(0x0a000001) };
	const struct sockaddr *peer = (const struct sockaddr *)&guesser;
	struct grant grant;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(access_bearer(*state, peer, "plain-token", &grant), 0);
		assert_int_equal(access_bearer(*state, peer, "wrong", &grant), -EACCES);
	}
	assert_int_equal(access_bearer(*state, peer, "plain-token", &grant), -EAGAIN);
	assert_in_range(grant.retry_after, 1, 5);
	assert_int_equal(grant.role, ROLE_NONE);
	assert_int_equal(access_basic(*state, peer, "Z3JhZmFuYTpwbGFpbi10b2tlbg==", &grant),
			 -EAGAIN);
	assert_int_equal(access_socket_io_token(*state, peer, "agent", TOKEN_OF_PASSWORD, &grant),
			 -EAGAIN);
	assert_int_equal(access_bearer(*state, somebody(), "plain-token", &grant), 0);
}

/* From however many addresses: slow hashes are computed ten at once, and then some a second. What
 * was right before needs none. */
static void test_hashing_is_bounded(void **state)
{
	struct grant grant;
	int refused = 0;

	assert_int_equal(access_basic(*state, somebody(), "c2xvdzY6c2VzYW1l", &grant), 0);
	for (int i = 0; i < 101; i++) {
		int r = access_basic(*state, somebody(), "c2xvdzY6c2VzYW1m", &grant);

		assert_true(r == -EACCES || r == -EAGAIN);
		refused += r == -EAGAIN;
	}
	assert_in_range(refused, 50, 92);
	assert_int_equal(access_basic(*state, somebody(), "c2xvdzY6c2VzYW1l", &grant), 0);
}

/* ---- the throttle by itself, on a clock of the test's ---- */

static struct throttle_address address(uint32_t number)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(number) };

	return throttle_address((const struct sockaddr *)&peer);
}

static void test_throttle(void **state)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));
	uint64_t now = 1000 * SECOND;

	(void)state;
	assert_non_null(throttle);
	throttle->rate = (struct throttle_rate){ .pause = 5 * SECOND, .burst = 3 };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(throttle_wait(throttle, address(1), now), 0);
		throttle_add(throttle, address(1), now);
	}
	assert_int_equal(throttle_wait(throttle, address(1), now), 5);
	assert_int_equal(throttle_wait(throttle, address(1), now + SECOND / 2), 5);
	assert_int_equal(throttle_wait(throttle, address(1), now + 4 * SECOND), 1);
	assert_int_equal(throttle_wait(throttle, address(2), now), 0);
	now += 5 * SECOND;
	assert_int_equal(throttle_wait(throttle, address(1), now), 0);
	throttle_add(throttle, address(1), now);
	assert_int_equal(throttle_wait(throttle, address(1), now), 5);
	/* All is paid. */
	now += 15 * SECOND;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(throttle_wait(throttle, address(1), now), 0);
		throttle_add(throttle, address(1), now);
	}
	assert_int_not_equal(throttle_wait(throttle, address(1), now), 0);
	free(throttle);
}

/* A crowd pushes out those who owe little, and never more than its own set of places. */
static void test_throttle_is_bounded(void **state)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));
	uint64_t now = 1000 * SECOND;

	(void)state;
	assert_non_null(throttle);
	throttle->seed = 42;
	throttle->rate = (struct throttle_rate){ .pause = 5 * SECOND, .burst = 3 };
	for (int i = 0; i < 9; i++)
		throttle_add(throttle, address(1), now);
	for (uint32_t i = 0; i < 100003; i++)
		throttle_add(throttle, address(1000 + i), now);
	assert_int_equal(throttle_wait(throttle, address(1), now), 35);
	free(throttle);
}

static void test_addresses(void **state)
{
	struct sockaddr_in6 one = { .sin6_family = AF_INET6 }, other = one;
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001) };
	struct throttle_address a, b;

	(void)state;
	one.sin6_addr = (struct in6_addr){ { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, [15] = 1 } } };
	other.sin6_addr = (struct in6_addr){ { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, [15] = 2 } } };
	a = throttle_address((const struct sockaddr *)&one);
	b = throttle_address((const struct sockaddr *)&other);
	assert_memory_equal(&a, &b, sizeof(a));
	other.sin6_addr.s6_addr[7] = 2;
	b = throttle_address((const struct sockaddr *)&other);
	assert_memory_not_equal(&a, &b, sizeof(a));
	one.sin6_addr = (struct in6_addr){ { { [10] = 0xff, 0xff, 10, 0, 0, 1 } } };
	a = throttle_address((const struct sockaddr *)&one);
	b = throttle_address((const struct sockaddr *)&four);
	assert_memory_equal(&a, &b, sizeof(a));
	a = throttle_address(NULL);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_headers),
		TEST(test_long_secrets),
		TEST(test_socket_io),
		TEST(test_replace),
		TEST(test_guessing),
		TEST(test_hashing_is_bounded),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_throttle_is_bounded),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
