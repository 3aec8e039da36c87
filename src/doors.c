/* SPDX-License-Identifier: MIT */
#include "doors.h"

#include <errno.h>

#include "base/log.h"

static int take_credentials(struct access *access, const char *text, size_t length)
{
	struct credentials *credentials = NULL;
	char error[MESSAGE_TEXT_SIZE];
	size_t count;
	int r;

	if (!access)
		return 0;
	r = credentials_parse("credentials", text, length, &credentials, error, sizeof(error));
	if (r < 0)
		return r;
	count = credentials->count;
	access_replace(access, credentials);
	log_info("credentials read again: %zu", count);
	return 0;
}

static int take_certificate(struct tls *tls, const char *text, size_t length)
{
	const struct certificate_text pem = { "certificate", text, length };
	struct certificate *certificate = NULL;
	char error[MESSAGE_TEXT_SIZE];
	int r;

	if (!tls)
		return 0;
	r = certificate_parse(&pem, &pem, &certificate, error, sizeof(error));
	if (r < 0)
		return r;
	tls_replace(tls, certificate);
	log_info("certificate read again");
	return 0;
}

/* What the loader found good; an error here means that the two do not agree. */
static int take(void *context, uint32_t type, const char *text, size_t length)
{
	const struct doors *doors = context;

	return type == MESSAGE_CREDENTIALS ? take_credentials(doors->access, text, length)
					   : take_certificate(doors->tls, text, length);
}

int doors_open(struct doors *doors, const struct server_start *start, struct control *control)
{
	if (start->credentials) {
		doors->access = access_new(start->credentials);
		if (!doors->access)
			return -ENOMEM;
	}
	if (start->certificate) {
		doors->tls = tls_new(start->certificate);
		if (!doors->tls)
			return -ENOMEM;
	}
	control_pass_on(control, take, doors);
	return 0;
}

void doors_close(struct doors *doors)
{
	access_free(doors->access);
	tls_free(doors->tls);
}
