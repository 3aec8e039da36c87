/* SPDX-License-Identifier: MIT */
/* The table of options, and how each value is read. */
#include "config/options.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define MEMORY_MINIMUM (8ULL << 20)
#define MEMORY_MAXIMUM (sizeof(size_t) > 4 ? 1ULL << 40 : 1ULL << 30)
/* A ring is a power of two and whole pages, and pages may have 64 KiB. */
#define RING_MINIMUM (64ULL << 10)
#define RING_MAXIMUM (1ULL << 30)
#define MAX_SERIES_MAXIMUM 1000000u
#define HISTORY_MINIMUM (16ULL << 20)
#define HISTORY_MAXIMUM (16ULL << 40)
#define AGE_MINIMUM_NS (60 * NS_PER_SECOND)
/* Rings are read each 200 ms when little happens, which is a part of it. */
#define FLUSH_MINIMUM_NS (500 * NS_PER_MS)
#define FLUSH_MAXIMUM_NS (60 * NS_PER_SECOND)
#define MAX_STREAMS_MAXIMUM 10000u
#define QUERY_TIMEOUT_MINIMUM (10 * NS_PER_MS)
#define QUERY_TIMEOUT_MAXIMUM (60 * NS_PER_SECOND)

#ifdef DEBUG /* make build-dev */
#define DEFAULT_LOG_LEVEL "debug"
#else
#define DEFAULT_LOG_LEVEL "info"
#endif

static int set_api_address(struct draft *draft, const char *value)
{
	struct config_address address;
	int r = address_parse(draft, value, &address);

	if (r)
		return r;
	address.given = draft->level > LEVEL_DEFAULT;
	draft->config->api = address;
	memcpy(draft->api_origin, draft->origin, sizeof(draft->api_origin));
	return 0;
}

static int set_metrics_address(struct draft *draft, const char *value)
{
	struct config_address address = { .off = true, .text = "off" };

	if (strcmp(value, "off") != 0 && strcmp(value, "none") != 0) {
		int r = address_parse(draft, value, &address);

		if (r)
			return r;
	}
	address.given = draft->level > LEVEL_DEFAULT;
	draft->config->metrics = address;
	return 0;
}

static int set_text(struct draft *draft, char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return draft_out_of_memory(draft);
	free(*text);
	*text = copy;
	return 0;
}

static int set_config_file(struct draft *draft, const char *value)
{
	return set_text(draft, &draft->config->config_file, value);
}

static int set_program_dir(struct draft *draft, const char *value)
{
	draft->config->program_dir_given = draft->level > LEVEL_DEFAULT;
	return set_text(draft, &draft->config->program_dir, value);
}

static int set_data_dir(struct draft *draft, const char *value)
{
	draft->config->data_dir_given = draft->level > LEVEL_DEFAULT;
	if (!strcmp(value, "none")) {
		free(TAKE(draft->config->data_dir));
		return 0;
	}
	if (*value != '/')
		return draft_fail(draft, "'%s' is not an absolute path", value);
	return set_text(draft, &draft->config->data_dir, value);
}

static int set_programs(struct draft *draft, const char *value)
{
	/* "none" is a value of its own: an empty entry is more often a mistake than a wish. */
	return list_add(draft, LIST_PROGRAMS, strcmp(value, "none") != 0 ? value : NULL,
			program_name_check);
}

static int set_enable(struct draft *draft, const char *value)
{
	return list_add(draft, LIST_ENABLE, value, program_name_check);
}

static int set_disable(struct draft *draft, const char *value)
{
	return list_add(draft, LIST_DISABLE, value, program_name_check);
}

/* What the kernel takes as a name (net/core/dev.c, dev_valid_name()). Whether there is such an
 * interface is seen later: it may come and go. */
static int check_interface(struct draft *draft, const char *name)
{
	bool bad = strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, "..");

	for (const char *at = name; *at; at++)
		bad = bad || *at == '/' || *at == ':' || isspace((unsigned char)*at);
	if (bad)
		return draft_fail(draft, "'%s' cannot be the name of a network interface", name);
	return 0;
}

static int set_interfaces(struct draft *draft, const char *value)
{
	return list_add(draft, LIST_INTERFACES, value, check_interface);
}

static int set_setting(void *context, struct draft *draft, const char *text)
{
	(void)context;
	return setting_parse(draft, text);
}

static int set_settings(struct draft *draft, const char *value)
{
	/* On the command line the option is repeated, so that values may hold commas. */
	if (draft->level == LEVEL_COMMAND_LINE)
		return setting_parse(draft, value);
	return list_split(draft, value, set_setting, NULL);
}

static int set_ip_list_mode(struct draft *draft, const char *value)
{
	static const char *const names[] = {
		[IP_LIST_TAG] = "tag",
		[IP_LIST_ONLY] = "only",
		[IP_LIST_DROP] = "drop",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			draft->config->ip_list_mode = (enum config_ip_list_mode)i;
			return 0;
		}
	}
	return draft_fail(draft, "'%s' is not tag, only or drop", value);
}

static int set_print(struct draft *draft, const char *value)
{
	static const char *const names[] = {
		[PRINT_OFF] = "off",
		[PRINT_TEXT] = "text",
		[PRINT_JSON] = "json",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			draft->config->print = (enum config_print)i;
			return 0;
		}
	}
	return draft_fail(draft, "'%s' is not text, json or off", value);
}

static int set_log_level(struct draft *draft, const char *value)
{
	if (log_level_parse(value, &draft->config->log_level))
		return draft_fail(draft, "'%s' is not error, warn, info or debug", value);
	return 0;
}

static int set_memory(struct draft *draft, const char *value)
{
	uint64_t bytes;
	int r = text_parse_bytes(value, &bytes);

	if (r == -EINVAL)
		return draft_fail(draft, "'%s' is not a size such as 64MiB", value);
	if (r || bytes > MEMORY_MAXIMUM)
		return draft_fail(draft, "'%s' is too much: at most %lluGiB", value,
				  MEMORY_MAXIMUM >> 30);
	if (bytes < MEMORY_MINIMUM)
		return draft_fail(draft, "'%s' is too little: at least %lluMiB", value,
				  MEMORY_MINIMUM >> 20);
	draft->config->memory = (size_t)bytes;
	return 0;
}

static int set_ring_size(struct draft *draft, const char *value)
{
	uint64_t bytes;
	int r = text_parse_bytes(value, &bytes);

	if (r == -EINVAL)
		return draft_fail(draft, "'%s' is not a size such as 4MiB", value);
	if (r || bytes < RING_MINIMUM || bytes > RING_MAXIMUM || (bytes & (bytes - 1)))
		return draft_fail(draft, "'%s' is not a power of two from %lluKiB to %lluMiB",
				  value, RING_MINIMUM >> 10, RING_MAXIMUM >> 20);
	draft->config->ring_bytes = (uint32_t)bytes;
	return 0;
}

static int set_max_series(struct draft *draft, const char *value)
{
	uint64_t series;

	if (text_parse_u64(value, 1, MAX_SERIES_MAXIMUM, &series))
		return draft_fail(draft, "'%s' is not a number from 1 to %u", value,
				  MAX_SERIES_MAXIMUM);
	draft->config->max_series = (uint32_t)series;
	return 0;
}

static int set_max_streams(struct draft *draft, const char *value)
{
	uint64_t streams;

	if (text_parse_u64(value, 1, MAX_STREAMS_MAXIMUM, &streams))
		return draft_fail(draft, "'%s' is not a number from 1 to %u", value,
				  MAX_STREAMS_MAXIMUM);
	draft->config->max_streams = (uint32_t)streams;
	return 0;
}

static int set_switch(struct draft *draft, bool *flag, const char *value)
{
	if (text_parse_bool(value, flag))
		return draft_fail(draft, "'%s' is not true or false", value);
	return 0;
}

static int set_no_history(struct draft *draft, const char *value)
{
	return set_switch(draft, &draft->config->no_history, value);
}

static int set_history_size(struct draft *draft, const char *value)
{
	uint64_t bytes;
	int r = text_parse_bytes(value, &bytes);

	if (r == -EINVAL)
		return draft_fail(draft, "'%s' is not a size such as 1GiB", value);
	if (r || bytes < HISTORY_MINIMUM || bytes > HISTORY_MAXIMUM)
		return draft_fail(draft, "'%s' is not a size from %lluMiB to %lluTiB", value,
				  HISTORY_MINIMUM >> 20, HISTORY_MAXIMUM >> 40);
	draft->config->history_size = bytes;
	return 0;
}

static int set_history_age(struct draft *draft, const char *value)
{
	if (!strcmp(value, "none")) {
		draft->config->history_age_ns = 0;
		return 0;
	}
	if (clock_parse_duration(value, 0, &draft->config->history_age_ns) ||
	    draft->config->history_age_ns < AGE_MINIMUM_NS)
		return draft_fail(draft,
				  "'%s' is not a time such as 7d or 12h, of 1m at least, or "
				  "none",
				  value);
	return 0;
}

static int set_flush_interval(struct draft *draft, const char *value)
{
	if (clock_parse_duration(value, 0, &draft->config->flush_ns) ||
	    draft->config->flush_ns < FLUSH_MINIMUM_NS ||
	    draft->config->flush_ns > FLUSH_MAXIMUM_NS)
		return draft_fail(draft, "'%s' is not a time from 500ms to 1m", value);
	return 0;
}

static int set_insecure(struct draft *draft, const char *value)
{
	return set_switch(draft, &draft->config->insecure, value);
}

static int set_credentials(struct draft *draft, const char *value)
{
	return set_text(draft, &draft->config->credentials, value);
}

static int set_tls_cert(struct draft *draft, const char *value)
{
	return set_text(draft, &draft->config->tls_cert, value);
}

static int set_tls_key(struct draft *draft, const char *value)
{
	return set_text(draft, &draft->config->tls_key, value);
}

static int set_protect_metrics(struct draft *draft, const char *value)
{
	return set_switch(draft, &draft->config->protect_metrics, value);
}

static int set_open_loopback(struct draft *draft, const char *value)
{
	return set_switch(draft, &draft->config->open_loopback, value);
}

static int set_query_timeout(struct draft *draft, const char *value)
{
	uint64_t timeout;
	int r = clock_parse_duration(value, NS_PER_SECOND, &timeout);

	if (r == -EINVAL)
		return draft_fail(draft, "'%s' is not a duration such as 2s", value);
	if (r || timeout < QUERY_TIMEOUT_MINIMUM || timeout > QUERY_TIMEOUT_MAXIMUM)
		return draft_fail(draft, "'%s' is not from 10ms to 60s", value);
	draft->config->query_timeout_ns = timeout;
	return 0;
}

static int set_program_stats(struct draft *draft, const char *value)
{
	return set_switch(draft, &draft->config->program_stats, value);
}

static int set_check_config(struct draft *draft, const char *value)
{
	return set_switch(draft, &draft->config->check_config, value);
}

/* clang-format off */
static const struct config_option listening_options[] = {
	{
		.name = "addr", .argument = "HOST:PORT", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_api_address,
		.default_value = "127.0.0.1:8080",
		.help = "Where the API and the health checks are served. HOST is an "
			"IPv4 address, an IPv6 address in brackets, or localhost; :PORT alone "
			"means all interfaces; port 0 takes a free one.",
	},
	{
		.name = "metrics-addr", .argument = "HOST:PORT", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_metrics_address,
		.default_value = "127.0.0.1:9090",
		.help = "Where Prometheus finds /metrics, which the API address serves too; off "
			"for no second address.",
	},
	{
		.name = "max-series", .argument = "COUNT", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_max_series,
		.default_value = "1000",
		.help = "Series of one metric at most; the largest are shown, and the rest "
			"together as one more, other.",
	},
	{
		.name = "max-streams", .argument = "COUNT", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_max_streams,
		.default_value = "256",
		.help = "Live streams that may be open at once; who comes when they are is asked "
			"to try again later.",
	},
	{
		.name = "query-timeout", .argument = "DURATION", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_query_timeout,
		.default_value = "2s",
		.help = "How long a question may search; then it is answered with what was found, "
			"and says so.",
	},
	{ .name = NULL },
};

static const struct config_option access_options[] = {
	{
		.name = "credentials", .argument = "FILE", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_credentials,
		.default_note = "none are asked for",
		.help = "Who may use the API: a line each, ROLE NAME SECRET; ROLE is read, write "
			"or admin, SECRET a token, sha256:HEX or a hash of crypt(5). Readable by "
			"its owner alone; read again on SIGHUP.",
	},
	{
		.name = "tls-cert", .argument = "FILE", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_tls_cert,
		.default_note = "plain HTTP",
		.help = "Certificate of the API, and those between it and the authority's, in PEM. "
			"Read again on SIGHUP.",
	},
	{
		.name = "tls-key", .argument = "FILE", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_tls_key,
		.help = "Its private key, in PEM, not readable by others.",
	},
	{
		.name = "protect-metrics", .value = VALUE_SWITCH,
		.from = FROM_ANYWHERE, .set = set_protect_metrics,
		.help = "Ask for a credential at /metrics too, and serve the metrics address by "
			"TLS as well. Health and probes stay open.",
	},
	{
		.name = "open-loopback", .value = VALUE_SWITCH,
		.from = FROM_ANYWHERE, .set = set_open_loopback,
		.help = "Ask callers that come from a loopback address for no credential. Not "
			"behind a proxy on this machine: everybody would come from there.",
	},
	{
		.name = "insecure", .value = VALUE_SWITCH,
		.from = FROM_ANYWHERE, .set = set_insecure,
		.help = "Allow an API address that other machines can reach without TLS and "
			"credentials.",
	},
	{ .name = NULL },
};

static const struct config_option program_options[] = {
	{
		.name = "programs", .argument = "LIST", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_programs,
		.default_note = "those that run by default",
		.help = "Run exactly these eBPF programs; none for none.",
	},
	{
		.name = "enable", .argument = "LIST", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_enable,
		.help = "Run these besides.",
	},
	{
		.name = "disable", .argument = "LIST", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_disable,
		.help = "Do not run these.",
	},
	{
		.name = "program-dir", .argument = "DIR", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_program_dir,
		.default_value = "/etc/ebpf-server/programs",
		.help = "Where compiled programs (NAME.bpf.o) are taken from, at start and on "
			"SIGHUP. Directory and files must be root's, and writable by nobody else.",
	},
	{
		.name = "interface", .argument = "LIST", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_interfaces,
		.help = "Network interfaces, by name, for the programs that attach to them; those "
			"run only when one is named. One that is not there yet is waited for.",
	},
	{
		.name = "ip-list-mode", .argument = "tag|only|drop", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_ip_list_mode,
		.default_value = "tag",
		.help = "What the IP list (POST /add_ips) does while it is not empty: tag marks "
			"events of its addresses, only reports no others, drop marks them and "
			"drops their packets at the interfaces named.",
	},
	{
		.name = "set", .argument = "PROGRAM.PARAMETER=VALUE", .value = VALUE_REQUIRED,
		.from = FROM_ENVIRONMENT, .set = set_settings,
		.help = "Set a program's parameter. In the configuration file: PARAMETER = VALUE "
			"in section [PROGRAM].",
	},
	{
		.name = "program-stats", .value = VALUE_SWITCH,
		.from = FROM_ANYWHERE, .set = set_program_stats,
		.help = "Have the kernel measure what each program costs; the measuring itself "
			"costs 20 to 40 ns a run.",
	},
	{ .name = NULL },
};

static const struct config_option event_options[] = {
	{
		.name = "memory", .argument = "SIZE", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_memory,
		.default_value = "64MiB",
		.help = "Memory for the newest events, all included; at least 8MiB.",
	},
	{
		.name = "data-dir", .argument = "DIR", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_data_dir,
		.default_value = "/var/lib/ebpf-server",
		.help = "Where the server keeps what must outlive it. Made when missing, and given "
			"to the server's user; none keeps nothing.",
	},
	{
		.name = "no-history", .value = VALUE_SWITCH,
		.from = FROM_ANYWHERE, .set = set_no_history,
		.help = "Keep events in memory only.",
	},
	{
		.name = "history-size", .argument = "SIZE", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_history_size,
		.default_value = "1GiB",
		.help = "Size of the file in --data-dir that keeps events: the oldest make room; "
			"at least 16MiB.",
	},
	{
		.name = "history-age", .argument = "TIME", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_history_age,
		.default_value = "7d",
		.help = "Older events go; none keeps them as long as there is room.",
	},
	{
		.name = "flush-interval", .argument = "TIME", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_flush_interval,
		.default_value = "1s",
		.help = "An event that is older than this survives when a process is killed; "
			"500ms to 1m.",
	},
	{
		.name = "ring-size", .argument = "SIZE", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_ring_size,
		.default_note = "as each program asks",
		.help = "Size of each stream's ring buffer, a power of two: what it holds until "
			"the server comes to read it.",
	},
	{
		.name = "print", .argument = "text|json", .value = VALUE_OPTIONAL,
		.from = FROM_ANYWHERE, .set = set_print,
		.without_value = "text", .default_value = "off",
		.help = "Print events on standard output, one a line.",
	},
	{ .name = NULL },
};

static const struct config_option general_options[] = {
	{
		.name = "config", .argument = "FILE", .value = VALUE_REQUIRED,
		.from = FROM_ENVIRONMENT, .set = set_config_file,
		.default_note = "no file is read",
		.help = "Configuration file; read again on SIGHUP.",
	},
	{
		.name = "log-level", .argument = "LEVEL", .value = VALUE_REQUIRED,
		.from = FROM_ANYWHERE, .set = set_log_level,
		.default_value = DEFAULT_LOG_LEVEL,
		.help = "What is told on standard error: error, warn, info or debug.",
	},
	{
		.name = "check-config", .value = VALUE_SWITCH,
		.from = FROM_ENVIRONMENT, .set = set_check_config,
		.help = "Check the configuration, say what is wrong, and end.",
	},
	{
		.name = "version", .value = VALUE_NONE, .print = version_print,
		.help = "Print the version and end.",
	},
	{
		.name = "help", .value = VALUE_NONE, .print = help_print,
		.help = "Print this and end.",
	},
	{ .name = NULL },
};

const struct option_group config_option_groups[] = {
	{ .title = "Listening", .options = listening_options },
	{ .title = "Access", .options = access_options },
	{ .title = "Programs", .options = program_options },
	{ .title = "Events", .options = event_options },
	{ .title = "General", .options = general_options },
	{ .title = NULL },
};
/* clang-format on */

const struct config_option *option_find(const char *name)
{
	FOR_EACH_OPTION(option)
	if (!strcmp(option->name, name))
		return option;
	return NULL;
}

void option_environment_name(const struct config_option *option, char name[ENVIRONMENT_NAME_SIZE])
{
	size_t length = (size_t)snprintf(name, ENVIRONMENT_NAME_SIZE, ENVIRONMENT_PREFIX "%s",
					 option->name);

	for (size_t i = strlen(ENVIRONMENT_PREFIX); i < length; i++)
		name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
}

int option_apply(struct draft *draft, const struct config_option *option, const char *value)
{
	if (!*value)
		return draft_fail(draft, "needs a value (%s)",
				  option->argument ? option->argument : "true or false");
	return option->set(draft, value);
}
