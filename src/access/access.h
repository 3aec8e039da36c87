/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: credentials, checked in constant time, and a bound on how often somebody may
 * guess. Knows nothing of HTTP but the value of Authorization (RFC 7235, 7617, 6750).
 *
 * Any thread may ask, and access_replace() may come at any time. What is checked is never kept and
 * never logged.
 */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "access/credentials.h"
#include "access/role.h"
#include "base/memory.h"

struct sockaddr;
struct access;

/* Takes the credentials. NULL when out of memory, or without random numbers. */
struct access *access_new(struct credentials *credentials);
void access_free(struct access *access);
DEFINE_CLEANUP(access, access_free)
/* Takes other credentials: from now on only they count. */
void access_replace(struct access *access, struct credentials *credentials);

/* Who somebody turned out to be. */
struct grant {
	enum role role;
	char name[CREDENTIAL_NAME_SIZE];
	unsigned int retry_after; /* with -EAGAIN: seconds, at least 1 */
};

/*
 * All return 0 and the grant; -EACCES for what is no credential of ours; -EAGAIN when it was not
 * even looked at, since too many wrong ones came from this address (`peer`; NULL: unknown, which
 * counts as an address) or another slow hash is being computed. On failure the grant's role
 * is ROLE_NONE.
 *
 * A secret given as a slow hash is checked by name only, so it serves access_basic() alone. The
 * first check of each computes the hash, which takes some 10 to 100 ms of the calling thread; then
 * a keyed digest of what was right is kept.
 */

/* The value of an Authorization header. -ENOENT when it is NULL. */
int access_authorization(struct access *access, const struct sockaddr *peer, const char *value,
			 struct grant *ret_grant);
/* A token, as it stands behind "Bearer ". */
int access_bearer(struct access *access, const struct sockaddr *peer, const char *token,
		  struct grant *ret_grant);
/* base64("name:secret"), as it stands behind "Basic ". */
int access_basic(struct access *access, const struct sockaddr *peer, const char *text,
		 struct grant *ret_grant);
/* base64(sha256(secret)), as clients of the rooms have it. `name` is what they call themselves:
 * free, but for the name of a credential that has another secret. */
int access_socket_io_token(struct access *access, const struct sockaddr *peer, const char *name,
			   const char *token, struct grant *ret_grant);

#endif
