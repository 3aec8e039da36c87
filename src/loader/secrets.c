/* SPDX-License-Identifier: MIT */
/*
 * Credentials, certificate and key: read with privilege, parsed here, so that a bad file is told at
 * the start and never takes the place of a good one. The server's fork has what was parsed; after
 * SIGHUP it gets the text, in memory that no name leads to.
 *
 * Where the files are is settled at the start; what stands in them is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buffer.h"
#include "base/log.h"
#include "loader/internal.h"

/* Permissions that a file must not give. */
#define NOT_TO_OTHERS (S_IRWXG | S_IRWXO)
/* Debian keeps keys readable by group ssl-cert. */
#define NOT_KEY_OF_OTHERS (S_IWGRP | S_IXGRP | S_IRWXO)
#define NOT_WRITTEN_BY_OTHERS (S_IWGRP | S_IWOTH)

struct secret_file {
	const char *option, *path;
	mode_t forbidden;
	size_t limit;
};

static void wipe(struct buffer *text)
{
	if (text->data)
		explicit_bzero(text->data, text->capacity);
	buffer_fini(text);
}
#define SECRET __attribute__((cleanup(wipe))) struct buffer

/* ---- files ---- */

static int refuse(const struct secret_file *file, char *error, size_t error_size, const char *what)
{
	message_format(error, error_size, "--%s: %s: %s", file->option, file->path, what);
	return -EPERM;
}

static int check(const struct secret_file *file, const struct stat *status, char *error,
		 size_t error_size)
{
	if (!S_ISREG(status->st_mode))
		return refuse(file, error, error_size, "is no regular file");
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return refuse(file, error, error_size, "must be owned by root (chown root)");
	if (status->st_mode & file->forbidden) {
		message_format(error, error_size, "--%s: %s: mode %04o lets others %s it: %s",
			       file->option, file->path, (unsigned int)status->st_mode & 07777,
			       file->forbidden & S_IROTH ? "read" : "write",
			       file->forbidden & S_IROTH ? "chmod 600" : "chmod go-w");
		return -EPERM;
	}
	if (status->st_size > (off_t)file->limit)
		return refuse(file, error, error_size, "is too large for what it should be");
	return 0;
}

static int read_text(int fd, size_t limit, struct buffer *text)
{
	char *at = buffer_reserve(text, limit + 1);

	if (!at)
		return -ENOMEM;
	while (text->length <= limit) {
		ssize_t part = read(fd, at + text->length, limit + 1 - text->length);

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return -errno;
		if (!part)
			return 0;
		text->length += (size_t)part;
	}
	return -EFBIG;
}

/* Symbolic links are followed: container platforms mount secrets as such. */
static int read_file(const struct secret_file *file, struct buffer *text, char *error,
		     size_t error_size)
{
	/* Not blocking: it might be a named pipe. */
	CLOSE int fd = open(file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;
	int r;

	if (fd < 0 || fstat(fd, &status) < 0) {
		r = -errno;
		refuse(file, error, error_size, strerror(-r));
		return r;
	}
	r = check(file, &status, error, error_size);
	if (r < 0)
		return r;
	r = read_text(fd, file->limit, text);
	if (r < 0)
		refuse(file, error, error_size, strerror(-r));
	return r;
}

static int read_credentials(const char *path, struct buffer *text,
			    struct credentials **ret_credentials, char *error, size_t error_size)
{
	const struct secret_file file = { "credentials", path, NOT_TO_OTHERS,
					  CREDENTIALS_MAX_BYTES };
	int r = read_file(&file, text, error, error_size);

	if (r < 0)
		return r;
	return credentials_parse(path, text->data, text->length, ret_credentials, error,
				 error_size);
}

/* `chain` gets the key behind it: what the server is sent. */
static int read_certificate(const struct config *config, struct buffer *chain,
			    struct certificate **ret_certificate, char *error, size_t error_size)
{
	const struct secret_file chain_file = { "tls-cert", config->tls_cert, NOT_WRITTEN_BY_OTHERS,
						CERTIFICATE_MAX_BYTES };
	const struct secret_file key_file = { "tls-key", config->tls_key, NOT_KEY_OF_OTHERS,
					      CERTIFICATE_MAX_BYTES };
	SECRET key = BUFFER_INIT;
	int r;

	if (!tls_is_supported()) {
		message_format(error, error_size,
			       "--tls-cert: the libmicrohttpd of this machine was built without "
			       "TLS; put a proxy that speaks it before a loopback address");
		return -EOPNOTSUPP;
	}
	r = read_file(&chain_file, chain, error, error_size);
	if (!r)
		r = read_file(&key_file, &key, error, error_size);
	if (!r)
		r = certificate_parse(
			&(struct certificate_text){ config->tls_cert, chain->data, chain->length },
			&(struct certificate_text){ config->tls_key, key.data, key.length },
			ret_certificate, error, error_size);
	if (r < 0)
		return r;
	buffer_append_char(chain, '\n');
	buffer_append(chain, key.data, key.length);
	return chain->failed ? -ENOMEM : 0;
}

/* Clients refuse it, but the clock may be what is wrong. */
static void warn_about_times(const struct certificate *certificate, const char *path)
{
	time_t now = time(NULL), end = certificate_not_after(certificate);
	struct tm tm;
	char text[32] = "?";

	if (now < end && now >= certificate_not_before(certificate))
		return;
	if (now < end)
		end = certificate_not_before(certificate);
	if (gmtime_r(&end, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	log_warn("%s: the certificate %s %s; clients will refuse it", path,
		 now < certificate_not_after(certificate) ? "is not valid before" : "expired",
		 text);
}

/* ---- at the start ---- */

int secrets_open(struct loader *loader, char *error, size_t error_size)
{
	const struct config *config = loader->config;
	SECRET credentials = BUFFER_INIT;
	SECRET certificate = BUFFER_INIT;
	int r = 0;

	if (config->credentials)
		r = read_credentials(config->credentials, &credentials, &loader->credentials, error,
				     error_size);
	if (!r && config->tls_cert)
		r = read_certificate(config, &certificate, &loader->certificate, error, error_size);
	if (!r && loader->certificate)
		warn_about_times(loader->certificate, config->tls_cert);
	/* Nobody's memory dump holds them. */
	if (loader->credentials || loader->certificate)
		prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL);
	return r;
}

void secrets_close(struct loader *loader)
{
	credentials_free(TAKE(loader->credentials));
	certificate_free(TAKE(loader->certificate));
}

/* ---- after SIGHUP ---- */

static int seal_text(const struct buffer *text, int *ret_fd)
{
	CLOSE int fd = memfd_create("ebpf-server", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < text->length) {
		ssize_t part = write(fd, text->data + done, text->length - done);

		if (part < 0)
			return -errno;
		done += (size_t)part;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int pass_on(struct loader *loader, uint32_t type, const struct buffer *text, char *error,
		   size_t error_size)
{
	struct message message = { .type = type };
	CLOSE int fd = -1;
	int r = seal_text(text, &fd);

	if (r < 0) {
		message_format(error, error_size, "memory for the server: %s", strerror(-r));
		return r;
	}
	server_send(loader, &message, fd);
	return 0;
}

static void reload_credentials(struct loader *loader)
{
	CLEANUP(credentials) struct credentials *credentials = NULL;
	SECRET text = BUFFER_INIT;
	char error[MESSAGE_TEXT_SIZE];

	if (!loader->credentials)
		return;
	if (read_credentials(loader->first_config->credentials, &text, &credentials, error,
			     sizeof(error)) < 0 ||
	    pass_on(loader, MESSAGE_CREDENTIALS, &text, error, sizeof(error)) < 0) {
		log_error("credentials stay as they were: %s", error);
		return;
	}
	credentials_free(loader->credentials);
	loader->credentials = TAKE(credentials);
}

static void reload_certificate(struct loader *loader)
{
	CLEANUP(certificate) struct certificate *certificate = NULL;
	SECRET text = BUFFER_INIT;
	char error[MESSAGE_TEXT_SIZE] = "out of memory";

	if (!loader->certificate)
		return;
	if (read_certificate(loader->first_config, &text, &certificate, error, sizeof(error)) < 0 ||
	    pass_on(loader, MESSAGE_CERTIFICATE, &text, error, sizeof(error)) < 0) {
		log_error("the certificate stays as it was: %s", error);
		return;
	}
	warn_about_times(certificate, loader->first_config->tls_cert);
	certificate_free(loader->certificate);
	loader->certificate = TAKE(certificate);
}

void secrets_reload(struct loader *loader)
{
	reload_credentials(loader);
	reload_certificate(loader);
}
