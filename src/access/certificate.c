/* SPDX-License-Identifier: MIT */
#include "access/certificate.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define KEY_ID_SIZE 32 /* SHA-256 */

struct certificate {
	gnutls_x509_crt_t *chain; /* the server's own first */
	unsigned int count;
	gnutls_x509_privkey_t key;
};

struct tls {
	pthread_rwlock_t lock;
	struct certificate *certificate;
};

/* ---- reading ---- */

static int fail(char *error, size_t error_size, const char *name, const char *what)
{
	snprintf(error, error_size, "%s: %s", name, what);
	return -EINVAL;
}

static gnutls_datum_t datum(const struct certificate_text *text)
{
	/* The library does not write through it. */
	return (gnutls_datum_t){ .data = (unsigned char *)(uintptr_t)text->data,
				 .size = (unsigned int)text->length };
}

static int read_chain(struct certificate *certificate, const struct certificate_text *text,
		      char *error, size_t error_size)
{
	const gnutls_datum_t data = datum(text);
	int r = gnutls_x509_crt_list_import2(&certificate->chain, &certificate->count, &data,
					     GNUTLS_X509_FMT_PEM,
					     GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);

	if (r == GNUTLS_E_CERTIFICATE_LIST_UNSORTED)
		return fail(error, error_size, text->name,
			    "its certificates are out of order: the server's own comes first, "
			    "then the one that signed it, and so on");
	if (r == GNUTLS_E_NO_CERTIFICATE_FOUND || (r >= 0 && !certificate->count))
		return fail(error, error_size, text->name,
			    "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
	return r < 0 ? fail(error, error_size, text->name, gnutls_strerror(r)) : 0;
}

static int read_key(struct certificate *certificate, const struct certificate_text *text,
		    char *error, size_t error_size)
{
	const gnutls_datum_t data = datum(text);
	int r = gnutls_x509_privkey_init(&certificate->key);

	if (r < 0) {
		certificate->key = NULL;
		return fail(error, error_size, text->name, gnutls_strerror(r));
	}
	r = gnutls_x509_privkey_import2(certificate->key, &data, GNUTLS_X509_FMT_PEM, NULL,
					GNUTLS_PKCS_PLAIN);
	if (r == GNUTLS_E_DECRYPTION_FAILED ||
	    memmem(text->data, text->length, "ENCRYPTED", strlen("ENCRYPTED")))
		return fail(error, error_size, text->name,
			    "the key is encrypted, and there is nobody to ask for its password: "
			    "store it without (openssl pkey)");
	if (r < 0)
		return fail(error, error_size, text->name,
			    "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)");
	return 0;
}

static bool belong_together(const struct certificate *certificate)
{
	unsigned char ids[2][KEY_ID_SIZE];
	size_t sizes[2] = { KEY_ID_SIZE, KEY_ID_SIZE };

	return gnutls_x509_crt_get_key_id(certificate->chain[0], GNUTLS_KEYID_USE_SHA256, ids[0],
					  &sizes[0]) >= 0 &&
	       gnutls_x509_privkey_get_key_id(certificate->key, GNUTLS_KEYID_USE_SHA256, ids[1],
					      &sizes[1]) >= 0 &&
	       sizes[0] == sizes[1] && !memcmp(ids[0], ids[1], sizes[0]);
}

int certificate_parse(const struct certificate_text *chain, const struct certificate_text *key,
		      struct certificate **ret_certificate, char *error, size_t error_size)
{
	CLEANUP(certificate) struct certificate *certificate = calloc(1, sizeof(*certificate));
	int r;

	if (!certificate) {
		snprintf(error, error_size, "%s: out of memory", chain->name);
		return -ENOMEM;
	}
	r = read_chain(certificate, chain, error, error_size);
	if (!r)
		r = read_key(certificate, key, error, error_size);
	if (r < 0)
		return r;
	if (!belong_together(certificate)) {
		snprintf(error, error_size, "%s: is not the key of the certificate in %s",
			 key->name, chain->name);
		return -EINVAL;
	}
	*ret_certificate = TAKE(certificate);
	return 0;
}

void certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	for (unsigned int i = 0; i < certificate->count; i++)
		gnutls_x509_crt_deinit(certificate->chain[i]);
	gnutls_free(certificate->chain);
	if (certificate->key)
		gnutls_x509_privkey_deinit(certificate->key);
	free(certificate);
}

time_t certificate_not_before(const struct certificate *certificate)
{
	return gnutls_x509_crt_get_activation_time(certificate->chain[0]);
}

time_t certificate_not_after(const struct certificate *certificate)
{
	return gnutls_x509_crt_get_expiration_time(certificate->chain[0]);
}

bool tls_is_supported(void)
{
	return MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_YES;
}

/* ---- the one in force ---- */

struct tls *tls_new(struct certificate *certificate)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls) {
		certificate_free(certificate);
		return NULL;
	}
	pthread_rwlock_init(&tls->lock, NULL);
	tls->certificate = certificate;
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	certificate_free(tls->certificate);
	pthread_rwlock_destroy(&tls->lock);
	free(tls);
}

void tls_replace(struct tls *tls, struct certificate *certificate)
{
	struct certificate *before;

	pthread_rwlock_wrlock(&tls->lock);
	before = tls->certificate;
	tls->certificate = certificate;
	pthread_rwlock_unlock(&tls->lock);
	certificate_free(before);
}

static int copy_key(const struct certificate *certificate, gnutls_privkey_t *ret_key)
{
	gnutls_privkey_t key;

	if (gnutls_privkey_init(&key) < 0)
		return -1;
	if (gnutls_privkey_import_x509(key, certificate->key, GNUTLS_PRIVKEY_IMPORT_COPY) < 0) {
		gnutls_privkey_deinit(key);
		return -1;
	}
	*ret_key = key;
	return 0;
}

static int copy(const struct certificate *certificate, gnutls_pcert_st **ret_chain,
		unsigned int *ret_count, gnutls_privkey_t *ret_key)
{
	unsigned int count = certificate->count;
	gnutls_pcert_st *chain = gnutls_calloc(count, sizeof(*chain));

	if (!chain)
		return -1;
	if (gnutls_pcert_import_x509_list(chain, certificate->chain, &count, 0) < 0) {
		gnutls_free(chain);
		return -1;
	}
	if (copy_key(certificate, ret_key) < 0) {
		for (unsigned int i = 0; i < count; i++)
			gnutls_pcert_deinit(&chain[i]);
		gnutls_free(chain);
		return -1;
	}
	*ret_chain = chain;
	*ret_count = count;
	return 0;
}

int tls_retrieve(struct tls *tls, gnutls_pcert_st **ret_chain, unsigned int *ret_count,
		 gnutls_privkey_t *ret_key, unsigned int *ret_flags)
{
	int r;

	pthread_rwlock_rdlock(&tls->lock);
	r = copy(tls->certificate, ret_chain, ret_count, ret_key);
	pthread_rwlock_unlock(&tls->lock);
	*ret_flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	return r;
}
