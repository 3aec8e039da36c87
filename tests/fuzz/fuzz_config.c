/* SPDX-License-Identifier: MIT */
/*
 * Settings from all three places: lines "--option=value" (one argument each), lines "NAME=value"
 * (EBPF_SERVER_NAME in the environment), then an empty line and the configuration file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "config/options.h"
#include "fuzz.h"

#define ARGUMENTS_MAX 16

static void clear_environment(void)
{
	FOR_EACH_OPTION(option)
	{
		char name[ENVIRONMENT_NAME_SIZE];

		option_environment_name(option, name);
		unsetenv(name);
	}
}

static void set_variable(char *line)
{
	char *value = strchr(line, '=');
	char name[ENVIRONMENT_NAME_SIZE];

	if (!value)
		return;
	*value++ = '\0';
	/* Only those that clear_environment() finds again. */
	FOR_EACH_OPTION(option)
	{
		option_environment_name(option, name);
		if (!strcmp(name + strlen(ENVIRONMENT_PREFIX), line))
			setenv(name, value, 1);
	}
}

/* Returns a descriptor of the rest of the input, and names it in `option`. */
static int write_file(const struct input *input, char *option, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, input->data, input->size) == (ssize_t)input->size);
	snprintf(option, size, "--config=/proc/self/fd/%d", fd);
	return fd;
}

static void check(const struct config *config)
{
	REQUIRE(config->api.length > 0);
	REQUIRE(!config->tls_cert == !config->tls_key);
	REQUIRE(config->api.loopback || config->insecure ||
		(config->credentials && config->tls_cert));
	config_wants_program(config, "connection", true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	char name[] = "ebpf-server", file[64], error[1024] = "";
	char *argv[ARGUMENTS_MAX + 3] = { name };
	CLEANUP(config) struct config *config = NULL;
	CLOSE int fd = -1;
	int argc = 1, r;

	log_set_level(LOG_ERROR);
	while (input.size) {
		FREE char *line = input_line(&input);

		if (!*line)
			break;
		if (*line != '-')
			set_variable(line);
		else if (argc <= ARGUMENTS_MAX)
			argv[argc++] = TAKE(line);
	}
	/* The last one of its kind counts: no other file is read. */
	fd = write_file(&input, file, sizeof(file));
	argv[argc] = file;
	r = config_reload(argc + 1, argv, &config, error, sizeof(error));
	if (config)
		check(config);
	else
		REQUIRE(!r || fuzz_is_text(error));
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	clear_environment();
	return 0;
}
