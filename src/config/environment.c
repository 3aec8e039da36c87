/* SPDX-License-Identifier: MIT */
/* EBPF_SERVER_* variables. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config/options.h"

const char *environment_value(const struct config_option *option, char name[ENVIRONMENT_NAME_SIZE])
{
	const char *value;

	option_environment_name(option, name);
	value = getenv(name);
	return value && *value ? value : NULL;
}

int environment_apply(struct draft *draft)
{
	char name[ENVIRONMENT_NAME_SIZE];

	draft->level = LEVEL_ENVIRONMENT;
	FOR_EACH_OPTION(option)
	{
		const char *value;
		int r;

		if (!(option->from & FROM_ENVIRONMENT))
			continue;
		value = environment_value(option, name);
		if (!value)
			continue;
		draft_set_origin(draft, "%s", name);
		r = option_apply(draft, option, value);
		if (r)
			return r;
	}
	return 0;
}

static bool is_option(const char *name, size_t length)
{
	char known[ENVIRONMENT_NAME_SIZE];

	FOR_EACH_OPTION(option)
	{
		option_environment_name(option, known);
		if (option->from & FROM_ENVIRONMENT && strlen(known) == length &&
		    !memcmp(known, name, length))
			return true;
	}
	return false;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

/* "_PORT_8080_TCP", with "_PROTO", "_PORT" or "_ADDR" behind it or not. */
static bool is_link_port(const char *at)
{
	static const char *const protocols[] = { "_TCP", "_UDP", "_SCTP" };
	static const char *const parts[] = { "", "_PROTO", "_PORT", "_ADDR" };
	size_t digits;

	if (strncmp(at, "_PORT_", 6) != 0)
		return false;
	at += 6;
	digits = strspn(at, "0123456789");
	if (!digits)
		return false;
	at += digits;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		size_t length = strlen(protocols[i]);

		if (strncmp(at, protocols[i], length) != 0)
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(parts); j++)
			if (!strcmp(at + length, parts[j]))
				return true;
	}
	return false;
}

/*
 * Kubernetes and Docker tell a container of every service beside it by such variables (Kubernetes:
 * "Discovering services", environment variables), and a service is easily called ebpf-server or
 * ebpf-server-metrics: …_SERVICE_HOST, …_SERVICE_PORT, …_SERVICE_PORT_HTTP,
 * …_PORT=tcp://10.0.0.1:80, …_PORT_80_TCP, …_PORT_80_TCP_ADDR.
 */
static bool is_service_link(const char *name, const char *value)
{
	/* The underscore before, which a service called just ebpf-server takes from our prefix. */
	const char *rest = name + strlen(ENVIRONMENT_PREFIX) - 1;

	if (ends_with(rest, "_SERVICE_HOST") || strstr(rest, "_SERVICE_PORT") ||
	    (ends_with(rest, "_PORT") && strstr(value, "://")))
		return true;
	for (; rest; rest = strchr(rest + 1, '_'))
		if (is_link_port(rest))
			return true;
	return false;
}

static void warn_unknown(const char *name)
{
	char key[ENVIRONMENT_NAME_SIZE], variable[ENVIRONMENT_NAME_SIZE];
	const char *nearest;
	size_t i;

	name += strlen(ENVIRONMENT_PREFIX);
	for (i = 0; name[i] && i < sizeof(key) - 1; i++)
		key[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
	key[i] = '\0';
	nearest = option_nearest(key, FROM_ENVIRONMENT);
	if (nearest) {
		option_environment_name(option_find(nearest), variable);
		log_warn("unknown environment variable " ENVIRONMENT_PREFIX
			 "%s is ignored; did you mean %s?",
			 name, variable);
	} else {
		log_warn("unknown environment variable " ENVIRONMENT_PREFIX "%s is ignored", name);
	}
}

void environment_warn_unknown(void)
{
	for (char **variable = environ; variable && *variable; variable++) {
		size_t length = strcspn(*variable, "=");
		FREE char *name = NULL;

		if (strncmp(*variable, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) != 0 ||
		    !(*variable)[length] || is_option(*variable, length))
			continue;
		name = strndup(*variable, length);
		if (name && !is_service_link(name, *variable + length + 1))
			warn_unknown(name);
	}
}
