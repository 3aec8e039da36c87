/* SPDX-License-Identifier: MIT */
/*
 * A certificate chain with its private key (GnuTLS), and the one that is in force, which may be
 * exchanged while connections are made.
 */
#ifndef ACCESS_CERTIFICATE_H
#define ACCESS_CERTIFICATE_H

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/memory.h"

#define CERTIFICATE_MAX_BYTES (256u << 10) /* of a file */

struct certificate;

/* A PEM text; `name` is for messages. */
struct certificate_text {
	const char *name, *data;
	size_t length;
};

/* Both may be one text. Returns 0, -EINVAL or -ENOMEM with a line in `error`: no PEM, a chain out
 * of order, an encrypted key, a key of another certificate. */
int certificate_parse(const struct certificate_text *chain, const struct certificate_text *key,
		      struct certificate **ret_certificate, char *error, size_t error_size);
void certificate_free(struct certificate *certificate);
DEFINE_CLEANUP(certificate, certificate_free)
time_t certificate_not_before(const struct certificate *certificate);
time_t certificate_not_after(const struct certificate *certificate);

/* Whether the HTTP library was built with TLS. */
bool tls_is_supported(void);

/* What the API offers; GnuTLS's language for it. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* The certificate in force. Any thread. */
struct tls;

/* Takes the certificate. NULL when out of memory. */
struct tls *tls_new(struct certificate *certificate);
void tls_free(struct tls *tls);
DEFINE_CLEANUP(tls, tls_free)
/* Takes another one, for connections from now on. */
void tls_replace(struct tls *tls, struct certificate *certificate);
/* What a gnutls_certificate_retrieve_function3 gives back: copies that GnuTLS frees after the
 * handshake, so that an exchanged certificate need not outlive it. 0, or -1. */
int tls_retrieve(struct tls *tls, gnutls_pcert_st **ret_chain, unsigned int *ret_count,
		 gnutls_privkey_t *ret_key, unsigned int *ret_flags);

#endif
