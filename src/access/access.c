/* SPDX-License-Identifier: MIT */
#include "access/access.h"

#include <crypt.h>
#include <errno.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "access/throttle.h"
#include "base/clock.h"

/* Ten wrong ones at once, then one in five seconds: 17,000 a day from one address. */
#define FAILURES_AT_ONCE 10
#define FAILURE_PAUSE_NS (5 * NS_PER_SECOND)
/* Slow hashes of all addresses together: however many guess, a thread is busy with it for a part of
 * its time only. */
#define HASHES_AT_ONCE 10
#define HASH_PAUSE_NS (200 * NS_PER_MS)

#define SECRET_MAX_LENGTH 512u
#define DECODED_MAX_LENGTH (CREDENTIAL_NAME_SIZE + SECRET_MAX_LENGTH)
#define SEAL_KEY_SIZE 32

struct access {
	pthread_rwlock_t lock; /* held for reading while somebody is checked */
	struct credentials *credentials;
	uint8_t key[SEAL_KEY_SIZE];

	pthread_mutex_t books; /* of the throttle and the seals; held for moments */
	struct throttle *throttle;
	uint64_t hashes_paid_at;

	pthread_mutex_t hashing; /* one slow hash at a time */
};

static const struct throttle_rate hash_rate = { HASH_PAUSE_NS, HASHES_AT_ONCE };

struct access *access_new(struct credentials *credentials)
{
	CLEANUP(access) struct access *access = calloc(1, sizeof(*access));

	if (!access) {
		credentials_free(credentials);
		return NULL;
	}
	access->credentials = credentials;
	pthread_rwlock_init(&access->lock, NULL);
	pthread_mutex_init(&access->books, NULL);
	pthread_mutex_init(&access->hashing, NULL);
	access->throttle = calloc(1, sizeof(*access->throttle));
	if (!access->throttle ||
	    getrandom(access->key, sizeof(access->key), 0) != sizeof(access->key) ||
	    getrandom(&access->throttle->seed, sizeof(access->throttle->seed), 0) !=
		    sizeof(access->throttle->seed))
		return NULL;
	access->throttle->rate = (struct throttle_rate){ FAILURE_PAUSE_NS, FAILURES_AT_ONCE };
	return TAKE(access);
}

void access_free(struct access *access)
{
	if (!access)
		return;
	credentials_free(access->credentials);
	free(access->throttle);
	pthread_rwlock_destroy(&access->lock);
	pthread_mutex_destroy(&access->books);
	pthread_mutex_destroy(&access->hashing);
	explicit_bzero(access, sizeof(*access));
	free(access);
}

void access_replace(struct access *access, struct credentials *credentials)
{
	struct credentials *before;

	pthread_rwlock_wrlock(&access->lock);
	before = access->credentials;
	access->credentials = credentials;
	pthread_rwlock_unlock(&access->lock);
	credentials_free(before);
}

/* ---- slow hashes ---- */

/* What is kept of a secret that fitted: of no use without the key, which nobody else has. */
static void seal(const struct access *access, const char *secret,
		 uint8_t result[SECRET_DIGEST_SIZE])
{
	struct hmac_sha256_ctx context;

	hmac_sha256_set_key(&context, SEAL_KEY_SIZE, access->key);
	hmac_sha256_update(&context, strlen(secret), (const uint8_t *)secret);
	hmac_sha256_digest(&context, SECRET_DIGEST_SIZE, result);
	explicit_bzero(&context, sizeof(context));
}

static bool is_sealed(struct access *access, const struct credential *credential,
		      const uint8_t secret[SECRET_DIGEST_SIZE])
{
	bool same;

	pthread_mutex_lock(&access->books);
	same = credential->verified && memeql_sec(credential->seal, secret, SECRET_DIGEST_SIZE);
	pthread_mutex_unlock(&access->books);
	return same;
}

static void keep_seal(struct access *access, struct credential *credential,
		      const uint8_t secret[SECRET_DIGEST_SIZE])
{
	pthread_mutex_lock(&access->books);
	memcpy(credential->seal, secret, SECRET_DIGEST_SIZE);
	credential->verified = true;
	pthread_mutex_unlock(&access->books);
}

/* Seconds to wait until another hash may be computed; 0 allows one, and counts it. */
static unsigned int hash_wait(struct access *access)
{
	uint64_t now = clock_boot_ns();
	unsigned int wait;

	pthread_mutex_lock(&access->books);
	wait = throttle_debt_wait(hash_rate, access->hashes_paid_at, now);
	if (!wait)
		access->hashes_paid_at = throttle_debt_add(hash_rate, access->hashes_paid_at, now);
	pthread_mutex_unlock(&access->books);
	return wait;
}

static int compute_hash(const char *secret, const char *hash)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *computed;
	int r = -EACCES;

	if (!data)
		return -ENOMEM;
	computed = crypt_r(secret, hash, data);
	if (computed && strlen(computed) == strlen(hash) &&
	    memeql_sec(computed, hash, strlen(hash)))
		r = 0;
	explicit_bzero(data, sizeof(*data));
	free(data);
	return r;
}

static int check_hash(struct access *access, struct credential *credential, const char *secret,
		      struct grant *grant)
{
	uint8_t sealed[SECRET_DIGEST_SIZE];
	int r;

	seal(access, secret, sealed);
	if (is_sealed(access, credential, sealed))
		return 0;
	grant->retry_after = 1;
	if (pthread_mutex_trylock(&access->hashing) != 0)
		return -EAGAIN;
	grant->retry_after = hash_wait(access);
	r = grant->retry_after ? -EAGAIN : compute_hash(secret, credential->hash);
	pthread_mutex_unlock(&access->hashing);
	if (!r)
		keep_seal(access, credential, sealed);
	return r;
}

/* ---- the three ways ---- */

static struct credential *by_name(const struct credentials *credentials, const char *name)
{
	for (size_t i = 0; i < credentials->count; i++) {
		if (!strcmp(credentials->items[i].name, name))
			return &credentials->items[i];
	}
	return NULL;
}

/* All are looked at, whichever it is. */
static const struct credential *by_digest(const struct credentials *credentials,
					  const uint8_t digest[SECRET_DIGEST_SIZE])
{
	const struct credential *found = NULL;

	for (size_t i = 0; i < credentials->count; i++) {
		const struct credential *credential = &credentials->items[i];
		bool same = memeql_sec(credential->digest, digest, SECRET_DIGEST_SIZE);

		if (same && !credential->hash)
			found = credential;
	}
	return found;
}

/* Somebody who guesses names learns nothing from the time it takes: an unknown one costs what a
 * known one does. */
static int check_nobody(struct access *access, const char *secret, struct grant *grant)
{
	for (size_t i = 0; i < access->credentials->count; i++) {
		struct credential decoy = access->credentials->items[i];
		int r;

		if (!decoy.hash)
			continue;
		decoy.verified = false;
		r = check_hash(access, &decoy, secret, grant);
		return r == -EAGAIN ? r : -EACCES;
	}
	return -EACCES;
}

static int grant_to(const struct credential *credential, struct grant *grant)
{
	grant->role = credential->role;
	memcpy(grant->name, credential->name, sizeof(grant->name));
	return 0;
}

static int check_token(struct access *access, const char *token, const char *name,
		       struct grant *grant)
{
	const struct credential *credential;
	uint8_t digest[SECRET_DIGEST_SIZE];

	(void)name;
	secret_digest(token, strlen(token), digest);
	credential = by_digest(access->credentials, digest);
	return credential ? grant_to(credential, grant) : -EACCES;
}

static int check_password(struct access *access, const char *secret, const char *name,
			  struct grant *grant)
{
	struct credential *credential = by_name(access->credentials, name);
	uint8_t digest[SECRET_DIGEST_SIZE];
	int r;

	secret_digest(secret, strlen(secret), digest);
	if (!credential)
		return check_nobody(access, secret, grant);
	if (!credential->hash) {
		if (!memeql_sec(credential->digest, digest, SECRET_DIGEST_SIZE))
			return -EACCES;
		return grant_to(credential, grant);
	}
	r = check_hash(access, credential, secret, grant);
	return r < 0 ? r : grant_to(credential, grant);
}

/* Decodes base64 to a text of at most `size - 1` bytes. Returns its length, or -EINVAL. */
static ssize_t decode_base64(const char *text, char *out, size_t size)
{
	struct base64_decode_ctx context;
	size_t length = strlen(text), decoded = size - 1;

	base64_decode_init(&context);
	if (BASE64_DECODE_LENGTH(length) > size - 1 ||
	    !base64_decode_update(&context, &decoded, (uint8_t *)out, length, text) ||
	    !base64_decode_final(&context))
		return -EINVAL;
	out[decoded] = '\0';
	return (ssize_t)decoded;
}

static int check_digest(struct access *access, const char *token, const char *name,
			struct grant *grant)
{
	const struct credential *credential, *named = by_name(access->credentials, name);
	char digest[SECRET_DIGEST_SIZE + 3];

	if (decode_base64(token, digest, sizeof(digest)) != SECRET_DIGEST_SIZE)
		return -EACCES;
	credential = by_digest(access->credentials, (const uint8_t *)digest);
	if (!credential || (named && named != credential))
		return -EACCES;
	return grant_to(credential, grant);
}

/* ---- what they have in common ---- */

/* Asks `check` when the address may try, and counts its failure. */
static int attempt(struct access *access, const struct sockaddr *peer, const char *secret,
		   const char *name,
		   int (*check)(struct access *access, const char *secret, const char *name,
				struct grant *grant),
		   struct grant *ret_grant)
{
	struct throttle_address address = throttle_address(peer);
	struct grant grant = { .role = ROLE_NONE };
	uint64_t now = clock_boot_ns();
	int r;

	pthread_mutex_lock(&access->books);
	grant.retry_after = throttle_wait(access->throttle, address, now);
	pthread_mutex_unlock(&access->books);
	if (grant.retry_after) {
		*ret_grant = grant;
		return -EAGAIN;
	}
	pthread_rwlock_rdlock(&access->lock);
	r = check(access, secret, name, &grant);
	pthread_rwlock_unlock(&access->lock);
	if (r == -EACCES) {
		pthread_mutex_lock(&access->books);
		throttle_add(access->throttle, address, now);
		pthread_mutex_unlock(&access->books);
	}
	*ret_grant = grant;
	return r;
}

int access_bearer(struct access *access, const struct sockaddr *peer, const char *token,
		  struct grant *ret_grant)
{
	return attempt(access, peer, token, "", check_token, ret_grant);
}

int access_basic(struct access *access, const struct sockaddr *peer, const char *text,
		 struct grant *ret_grant)
{
	char decoded[DECODED_MAX_LENGTH + 1];
	ssize_t length = decode_base64(text, decoded, sizeof(decoded));
	char *colon = length < 0 ? NULL : memchr(decoded, ':', (size_t)length);
	int r;

	/* What is cut at a NUL, or has no name, fits nobody, and counts as a failure too. */
	if (!colon || strlen(decoded) != (size_t)length)
		return attempt(access, peer, "", "", check_password, ret_grant);
	*colon = '\0';
	r = attempt(access, peer, colon + 1, decoded, check_password, ret_grant);
	explicit_bzero(decoded, sizeof(decoded));
	return r;
}

int access_socket_io_token(struct access *access, const struct sockaddr *peer, const char *name,
			   const char *token, struct grant *ret_grant)
{
	return attempt(access, peer, token, name, check_digest, ret_grant);
}

/* The scheme, and blanks behind it (RFC 7235, 2.1). */
static const char *after_scheme(const char *value, const char *scheme)
{
	size_t length = strlen(scheme);

	if (strncasecmp(value, scheme, length) != 0 || value[length] != ' ')
		return NULL;
	return value + length + strspn(value + length, " ");
}

int access_authorization(struct access *access, const struct sockaddr *peer, const char *value,
			 struct grant *ret_grant)
{
	const char *secret;

	*ret_grant = (struct grant){ .role = ROLE_NONE };
	if (!value)
		return -ENOENT;
	secret = after_scheme(value, "Bearer");
	if (secret)
		return access_bearer(access, peer, secret, ret_grant);
	secret = after_scheme(value, "Basic");
	if (secret)
		return access_basic(access, peer, secret, ret_grant);
	/* A scheme that is not known: nothing was tried. */
	return -ENOENT;
}
