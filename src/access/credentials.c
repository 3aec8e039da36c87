/* SPDX-License-Identifier: MIT */
#include "access/credentials.h"

#include <crypt.h>
#include <errno.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define DIGEST_PREFIX "sha256:"
#define DIGEST_DIGITS ((size_t)2 * SECRET_DIGEST_SIZE)
#define LINE_MAX_LENGTH 1024u
#define WORDS 3

_Static_assert(SECRET_DIGEST_SIZE == SHA256_DIGEST_SIZE, "digests are SHA-256");

/* Hashes that are slow on purpose (crypt(5)), with the length of what the salt is followed by: a
 * setting without its hash would be one that nothing fits. */
static const struct {
	const char *prefix;
	size_t length;
} slow_hashes[] = {
	{ "$y$", 43 },	{ "$gy$", 43 }, { "$7$", 43 }, { "$2b$", 53 },
	{ "$2y$", 53 }, { "$6$", 86 },	{ "$5$", 43 },
};

struct word {
	const char *text;
	size_t length;
};

struct parser {
	const char *path;
	size_t line;
	struct credentials *credentials;
	size_t capacity;
	char *error;
	size_t error_size;
};

static int fail(const struct parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(const struct parser *parser, const char *format, ...)
{
	int length = snprintf(parser->error, parser->error_size, "%s line %zu: ", parser->path,
			      parser->line);
	va_list arguments;

	va_start(arguments, format);
	if (length >= 0 && (size_t)length < parser->error_size)
		vsnprintf(parser->error + length, parser->error_size - (size_t)length, format,
			  arguments);
	va_end(arguments);
	return -EINVAL;
}

static int out_of_memory(const struct parser *parser)
{
	snprintf(parser->error, parser->error_size, "%s: out of memory", parser->path);
	return -ENOMEM;
}

void secret_digest(const char *secret, size_t length, uint8_t digest[SECRET_DIGEST_SIZE])
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, length, (const uint8_t *)secret);
	sha256_digest(&context, SECRET_DIGEST_SIZE, digest);
	explicit_bzero(&context, sizeof(context));
}

/* ---- the three words ---- */

static int read_name(const struct parser *parser, struct word word, struct credential *credential)
{
	if (word.length >= CREDENTIAL_NAME_SIZE)
		return fail(parser, "the name (second word) is longer than %d bytes",
			    CREDENTIAL_NAME_SIZE - 1);
	for (size_t i = 0; i < word.length;) {
		size_t size = text_utf8_sequence(word.text + i, word.length - i);

		/* A colon ends the name in basic authentication (RFC 7617). U+0080 to U+009F are
		 * control characters too. */
		if (!size || (unsigned char)word.text[i] < 0x20 || word.text[i] == 0x7f ||
		    word.text[i] == ':' ||
		    (size == 2 && (unsigned char)word.text[i] == 0xc2 &&
		     (unsigned char)word.text[i + 1] < 0xa0))
			return fail(parser, "the name (second word) must be UTF-8 without colons "
					    "and control characters");
		i += size;
	}
	memcpy(credential->name, word.text, word.length);
	return 0;
}

static int read_digest(const struct parser *parser, struct word word, struct credential *credential)
{
	struct base16_decode_ctx context;
	size_t length = SECRET_DIGEST_SIZE;

	base16_decode_init(&context);
	if (word.length != DIGEST_DIGITS ||
	    !base16_decode_update(&context, &length, credential->digest, word.length, word.text) ||
	    !base16_decode_final(&context) || length != SECRET_DIGEST_SIZE)
		return fail(parser, "sha256: is to be followed by 64 hexadecimal digits");
	return 0;
}

static bool is_slow_hash(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(slow_hashes); i++) {
		const char *salted = strrchr(text, '$') + 1;

		if (!strncmp(text, slow_hashes[i].prefix, strlen(slow_hashes[i].prefix)))
			return strlen(salted) == slow_hashes[i].length &&
			       crypt_checksalt(text) == CRYPT_SALT_OK;
	}
	return false;
}

static int read_hash(const struct parser *parser, struct word word, struct credential *credential)
{
	credential->hash = strndup(word.text, word.length);
	if (!credential->hash)
		return out_of_memory(parser);
	if (!is_slow_hash(credential->hash))
		return fail(parser, "the secret (third word) begins like a hash of crypt(5), and "
				    "is no whole one of yescrypt, scrypt, bcrypt, SHA-512 or "
				    "SHA-256; mkpasswd makes them");
	return 0;
}

static int read_secret(const struct parser *parser, struct word word, struct credential *credential)
{
	const size_t prefix = strlen(DIGEST_PREFIX);

	if (word.text[0] == '$')
		return read_hash(parser, word, credential);
	if (word.length >= prefix && !memcmp(word.text, DIGEST_PREFIX, prefix)) {
		word = (struct word){ word.text + prefix, word.length - prefix };
		return read_digest(parser, word, credential);
	}
	secret_digest(word.text, word.length, credential->digest);
	return 0;
}

/* ---- lines ---- */

/* Cuts a line at its blanks. Returns how many words there are; only WORDS of them are kept. */
static size_t split(const char *line, size_t length, struct word words[WORDS])
{
	size_t count = 0, at = 0;

	for (;;) {
		size_t begin;

		while (at < length && strchr(" \t\r", line[at]))
			at++;
		if (at == length)
			return count;
		begin = at;
		while (at < length && !strchr(" \t\r", line[at]))
			at++;
		if (count < WORDS)
			words[count] = (struct word){ line + begin, at - begin };
		count++;
	}
}

/* Bounded by CREDENTIALS_MAX squared, once a reading. */
static int check_unique(const struct parser *parser, const struct credential *credential)
{
	for (size_t i = 0; i < parser->credentials->count; i++) {
		const struct credential *other = &parser->credentials->items[i];

		if (!strcmp(other->name, credential->name))
			return fail(parser, "has the name of line %zu", other->line);
		/* A token alone has to tell whose it is. */
		if (!other->hash && !credential->hash &&
		    !memcmp(other->digest, credential->digest, SECRET_DIGEST_SIZE))
			return fail(parser, "has the secret of line %zu", other->line);
	}
	return 0;
}

static void credential_fini(struct credential *credential)
{
	free(credential->hash);
	explicit_bzero(credential, sizeof(*credential));
}

static int add(struct parser *parser, struct credential *credential)
{
	struct credentials *credentials = parser->credentials;

	if (credentials->count == CREDENTIALS_MAX)
		return fail(parser, "more than %u credentials", CREDENTIALS_MAX);
	if (credentials->count == parser->capacity) {
		size_t capacity = parser->capacity ? 2 * parser->capacity : 8;
		struct credential *items =
			reallocarray(credentials->items, capacity, sizeof(*items));

		if (!items)
			return out_of_memory(parser);
		credentials->items = items;
		parser->capacity = capacity;
	}
	credentials->items[credentials->count++] = *credential;
	credential->hash = NULL;
	return 0;
}

static int read_line(struct parser *parser, const char *line, size_t length)
{
	__attribute__((cleanup(credential_fini))) struct credential credential = {
		.line = parser->line,
	};
	struct word words[WORDS];
	size_t count;
	int r;

	if (length > LINE_MAX_LENGTH)
		return fail(parser, "longer than %u bytes", LINE_MAX_LENGTH);
	if (memchr(line, '\0', length))
		return fail(parser, "holds a NUL byte");
	count = split(line, length, words);
	if (!count || words[0].text[0] == '#')
		return 0;
	credential.role = role_parse(words[0].text, words[0].length);
	if (credential.role == ROLE_NONE)
		return fail(parser, "the first word is not read, write or admin");
	if (count != WORDS)
		return fail(parser, "is not of the form: role name secret");
	r = read_name(parser, words[1], &credential);
	if (!r)
		r = read_secret(parser, words[2], &credential);
	if (!r)
		r = check_unique(parser, &credential);
	if (!r)
		r = add(parser, &credential);
	return r;
}

int credentials_parse(const char *path, const char *text, size_t length,
		      struct credentials **ret_credentials, char *error, size_t error_size)
{
	CLEANUP(credentials) struct credentials *credentials = calloc(1, sizeof(*credentials));
	struct parser parser = {
		.path = path,
		.credentials = credentials,
		.error = error,
		.error_size = error_size,
	};

	if (!credentials)
		return out_of_memory(&parser);
	if (length > CREDENTIALS_MAX_BYTES) {
		snprintf(error, error_size, "%s: is larger than %u KiB", path,
			 CREDENTIALS_MAX_BYTES >> 10);
		return -EINVAL;
	}
	while (length) {
		const char *end = memchr(text, '\n', length);
		size_t size = end ? (size_t)(end - text) : length;
		int r;

		parser.line++;
		r = read_line(&parser, text, size);
		if (r < 0)
			return r;
		size += end != NULL;
		text += size;
		length -= size;
	}
	if (!credentials->count) {
		snprintf(error, error_size, "%s: holds no credential (role name secret)", path);
		return -EINVAL;
	}
	*ret_credentials = TAKE(credentials);
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	for (size_t i = 0; i < credentials->count; i++)
		credential_fini(&credentials->items[i]);
	free(credentials->items);
	free(credentials);
}
