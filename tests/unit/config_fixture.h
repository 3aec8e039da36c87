/* SPDX-License-Identifier: MIT */
/* What tests of the configuration share: command lines, environment, files, captured output. */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/config.h"

#define MAX_ARGUMENTS 24

/* Parses the arguments (without argv[0], NULL at the end); the error is left in `error`. */
struct parsed {
	struct config *config;
	int result;
	char error[1024];
};

static inline struct parsed parse_arguments(const char *first, ...)
{
	struct parsed parsed = { .config = NULL };
	char *argv[MAX_ARGUMENTS + 1] = { (char *)"ebpf-server" };
	const char *argument = first;
	va_list arguments;
	int argc = 1;

	va_start(arguments, first);
	for (; argument; argument = va_arg(arguments, const char *)) {
		assert_true(argc < MAX_ARGUMENTS);
		argv[argc++] = (char *)argument;
	}
	va_end(arguments);
	parsed.result =
		config_reload(argc, argv, &parsed.config, parsed.error, sizeof(parsed.error));
	assert_int_equal(parsed.result == 0, parsed.config != NULL);
	return parsed;
}

#define PARSE(...) parse_arguments(__VA_ARGS__ __VA_OPT__(, ) NULL)

/* The configuration of a command line that must be good. */
#define GOOD(...)                                                                                  \
	({                                                                                         \
		struct parsed parsed_ = PARSE(__VA_ARGS__);                                        \
		if (!parsed_.config)                                                               \
			fail_msg("%s", parsed_.error);                                             \
		parsed_.config;                                                                    \
	})

/* A command line that must be refused, with this error. */
#define REFUSED(expected, ...)                                                                     \
	do {                                                                                       \
		struct parsed parsed_ = PARSE(__VA_ARGS__);                                        \
		config_free(parsed_.config);                                                       \
		assert_null(parsed_.config);                                                       \
		assert_int_equal(parsed_.result, -EINVAL);                                         \
		assert_string_equal(parsed_.error, (expected));                                    \
	} while (0)

static inline void clear_environment(void)
{
	char name[256];

	for (char **variable = environ; *variable;) {
		size_t length = strcspn(*variable, "=");

		if (strncmp(*variable, "EBPF_SERVER_", 12) == 0 && length < sizeof(name)) {
			memcpy(name, *variable, length);
			name[length] = '\0';
			unsetenv(name);
			variable = environ;
		} else {
			variable++;
		}
	}
}

/* Before and after every test. */
static inline int fixture_clean(void **state)
{
	(void)state;
	clear_environment();
	return 0;
}

static inline void remove_file(char **path)
{
	if (*path)
		unlink(*path);
	free(*path);
}

#define TEMPORARY_FILE __attribute__((cleanup(remove_file))) char *

static inline char *write_bytes(const char *text, size_t length)
{
	const char *directory = getenv("TMPDIR");
	char *path = NULL;
	int fd;

	assert_true(asprintf(&path, "%s/config-test-XXXXXX", directory ? directory : "/tmp") > 0);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
	return path;
}

static inline char *write_file(const char *text)
{
	return write_bytes(text, strlen(text));
}

/* What a descriptor (1 or 2) gets between begin and end. */
struct capture {
	int fd, saved;
	FILE *file;
};

static inline struct capture capture_begin(int fd)
{
	struct capture capture = { .fd = fd, .file = tmpfile() };

	assert_non_null(capture.file);
	fflush(stdout);
	fflush(stderr);
	capture.saved = dup(fd);
	assert_true(dup2(fileno(capture.file), fd) >= 0);
	return capture;
}

static inline char *capture_end(struct capture *capture)
{
	char *text;
	long size;

	fflush(stdout);
	fflush(stderr);
	dup2(capture->saved, capture->fd);
	close(capture->saved);
	fseek(capture->file, 0, SEEK_END);
	size = ftell(capture->file);
	rewind(capture->file);
	text = calloc((size_t)size + 1, 1);
	assert_int_equal(fread(text, 1, (size_t)size, capture->file), size);
	fclose(capture->file);
	return text;
}

static inline void assert_list(char *const *entries, size_t count, const char *expected)
{
	char joined[512] = "";

	for (size_t i = 0; i < count; i++) {
		strcat(joined, i ? "," : "");
		strcat(joined, entries[i]);
	}
	assert_string_equal(joined, expected);
}

static inline void assert_setting(const struct config *config, size_t index, const char *program,
				  const char *parameter, const char *value, const char *origin)
{
	assert_true(index < config->setting_count);
	assert_string_equal(config->settings[index].program, program);
	assert_string_equal(config->settings[index].parameter, parameter);
	assert_string_equal(config->settings[index].value, value);
	assert_string_equal(config->settings[index].origin, origin);
}

#endif
