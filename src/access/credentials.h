/* SPDX-License-Identifier: MIT */
/*
 * The credentials file: one a line, `role name secret`, separated by blanks; lines that begin with
 * '#' are comments. A secret is
 *
 *   sha256:<64 hexadecimal digits>   the SHA-256 of the secret
 *   $y$…, $6$… and other crypt(5)    a slow hash, for passwords
 *   anything else                    the secret itself
 *
 * Plain ones are digested while they are read; none is ever quoted in a message, nor is any other
 * word of the file: in a line whose words are in another order, any of them may be the secret.
 */
#ifndef ACCESS_CREDENTIALS_H
#define ACCESS_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/role.h"
#include "base/memory.h"

#define CREDENTIAL_NAME_SIZE 65 /* with its NUL */
#define CREDENTIALS_MAX 1000
#define CREDENTIALS_MAX_BYTES (256u << 10)
#define SECRET_DIGEST_SIZE 32 /* SHA-256 */

struct credential {
	char name[CREDENTIAL_NAME_SIZE];
	enum role role;
	char *hash;			    /* crypt(5); NULL: the digest is what counts */
	uint8_t digest[SECRET_DIGEST_SIZE]; /* SHA-256 of the secret */
	/* Of the last secret that fitted the slow hash: a keyed digest (access.c). */
	bool verified;
	uint8_t seal[SECRET_DIGEST_SIZE];
	size_t line;
};

struct credentials {
	struct credential *items; /* at least one; no name and no digest twice */
	size_t count;
};

/* `path` is for messages. Returns 0, -EINVAL or -ENOMEM with a line in `error`. */
int credentials_parse(const char *path, const char *text, size_t length,
		      struct credentials **ret_credentials, char *error, size_t error_size);
void credentials_free(struct credentials *credentials);
DEFINE_CLEANUP(credentials, credentials_free)

void secret_digest(const char *secret, size_t length, uint8_t digest[SECRET_DIGEST_SIZE]);

#endif
