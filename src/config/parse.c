/* SPDX-License-Identifier: MIT */
/* The command line, and how all levels come together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/options.h"

#define ERROR_SIZE 1024

/* One option as it stands on the command line. */
struct given_option {
	const struct config_option *option;
	const char *value;
};

struct command_line {
	struct given_option *given;
	size_t count;
	const struct config_option *print; /* --help or --version */
};

/* ---- Scanning: which options, with which values ---- */

static void fail_unknown(struct draft *draft, const char *text, size_t length, const char *name)
{
	const char *nearest = option_nearest(name, 0);

	if (nearest)
		draft_fail_plain(draft, "unknown option '%.*s'; did you mean '--%s'? See --help",
				 (int)length, text, nearest);
	else
		draft_fail_plain(draft, "unknown option '%.*s'; see --help", (int)length, text);
}

/* The option of this name, or the only one that begins so; NULL with the draft's error set.
 * `text` is how it was written. */
static const struct config_option *find_option(struct draft *draft, const char *text, size_t length,
					       const char *name)
{
	/* -h is what everybody tries first, whatever else begins with it. */
	const struct config_option *found = option_find(strcmp(name, "h") != 0 ? name : "help");
	BUFFER candidates = BUFFER_INIT;
	size_t count = 0;

	if (found)
		return found;
	FOR_EACH_OPTION(option)
	{
		if (!*name || strncmp(option->name, name, strlen(name)) != 0)
			continue;
		buffer_printf(&candidates, "%s--%s", count ? ", " : "", option->name);
		found = option;
		count++;
	}
	if (!count)
		fail_unknown(draft, text, length, name);
	else if (count > 1)
		draft_fail_plain(draft, "'%.*s' may be %.*s; see --help", (int)length, text,
				 (int)candidates.length, candidates.data);
	return count == 1 ? found : NULL;
}

static int fail_argument(struct draft *draft, const char *text, const struct config_option *last)
{
	if (last && last->value == VALUE_OPTIONAL)
		return draft_fail_plain(
			draft, "unexpected argument '%s'; did you mean '--%s=%s'? See --help", text,
			last->name, text);
	return draft_fail_plain(
		draft, "unexpected argument '%s': options begin with --; see --help", text);
}

/* One argument, and the next one where that is its value. Moves *at on. */
static int scan_option(struct draft *draft, char **argv, int *at, struct given_option *ret_given)
{
	const char *text = argv[*at], *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);
	size_t dashes = text[1] == '-' ? 2 : 1;
	FREE char *name = strndup(text + dashes, length - dashes);
	const char *value = equals ? equals + 1 : NULL;
	const struct config_option *option;

	if (!name)
		return draft_out_of_memory(draft);
	option = find_option(draft, text, length, name);
	if (!option)
		return -EINVAL;
	*at += 1;
	if (!value && option->value == VALUE_REQUIRED) {
		value = argv[*at];
		if (!value)
			return draft_fail_plain(draft, "--%s needs a value (%s); see --help",
						option->name, option->argument);
		*at += 1;
	} else if (value && option->value == VALUE_NONE) {
		return draft_fail_plain(draft, "--%s takes no value; see --help", option->name);
	} else if (!value) {
		value = option->value == VALUE_OPTIONAL ? option->without_value : "true";
	}
	*ret_given = (struct given_option){ .option = option, .value = value };
	return 0;
}

static int scan_command_line(struct draft *draft, int argc, char **argv, struct command_line *line)
{
	const struct config_option *last = NULL;
	int at = 1;

	line->given = calloc((size_t)argc + 1, sizeof(*line->given));
	if (!line->given)
		return draft_out_of_memory(draft);
	while (at < argc) {
		struct given_option *given = &line->given[line->count];
		const char *text = argv[at];
		int r;

		if (!strcmp(text, "--")) {
			if (argv[at + 1])
				return fail_argument(draft, argv[at + 1], NULL);
			break;
		}
		if (text[0] != '-' || !text[1])
			return fail_argument(draft, text, last);
		r = scan_option(draft, argv, &at, given);
		if (r)
			return r;
		last = given->option;
		if (last->value == VALUE_NONE) {
			line->print = last;
			return 0;
		}
		line->count++;
	}
	return 0;
}

/* ---- Applying: defaults, file, environment, command line ---- */

static int apply_defaults(struct draft *draft)
{
	FOR_EACH_OPTION(option)
	{
		int r;

		if (!option->default_value)
			continue;
		draft_set_origin(draft, "default of --%s", option->name);
		r = option_apply(draft, option, option->default_value);
		if (r)
			return r;
	}
	return 0;
}

/* The file is a weaker level than what names it, so its name is looked for first. */
static int find_config_file(struct draft *draft, const struct command_line *line)
{
	const struct config_option *option = option_find("config");
	char variable[ENVIRONMENT_NAME_SIZE];
	const char *value = environment_value(option, variable);

	draft_set_origin(draft, "%s", variable);
	for (size_t i = 0; i < line->count; i++) {
		if (line->given[i].option != option)
			continue;
		value = line->given[i].value;
		draft_set_origin(draft, "--%s", option->name);
	}
	return value ? option_apply(draft, option, value) : 0;
}

static int apply_command_line(struct draft *draft, const struct command_line *line)
{
	draft->level = LEVEL_COMMAND_LINE;
	for (size_t i = 0; i < line->count; i++) {
		int r;

		draft_set_origin(draft, "--%s", line->given[i].option->name);
		r = option_apply(draft, line->given[i].option, line->given[i].value);
		if (r)
			return r;
	}
	return 0;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
	return a->length == b->length && !memcmp(&a->address, &b->address, a->length);
}

static bool has_port(const struct config_address *address)
{
	/* The port stands at the same place in both families. */
	return ((const struct sockaddr_in *)&address->address)->sin_port != 0;
}

/* Others can reach the API: then it has to be known who asks, and nobody may listen in. */
static int check_reachable(struct draft *draft)
{
	const struct config *config = draft->config;
	const bool open = !config->credentials, plain = !config->tls_cert;

	if (config->api.loopback || config->insecure || (!open && !plain))
		return 0;
	return draft_fail(draft,
			  "other machines could reach %s, and there is %s%s%s: give %s%s%s, use "
			  "127.0.0.1, or allow it with --insecure",
			  config->api.text, plain ? "no TLS" : "", plain && open ? " and " : "",
			  open ? "no credential" : "",
			  plain ? "--tls-cert FILE and --tls-key FILE" : "",
			  plain && open ? " and " : "", open ? "--credentials FILE" : "");
}

static int check_access(struct draft *draft)
{
	const struct config *config = draft->config;

	if (!config->tls_cert != !config->tls_key)
		return draft_fail_plain(draft,
					"--tls-cert and --tls-key go together: --tls-%s "
					"FILE is missing",
					config->tls_cert ? "key" : "cert");
	if (config->protect_metrics && !config->credentials)
		return draft_fail_plain(draft, "--protect-metrics needs --credentials FILE");
	if (config->protect_metrics && !config->metrics.off && !config->metrics.loopback &&
	    !config->tls_cert && !config->insecure)
		return draft_fail_plain(
			draft,
			"--metrics-addr: credentials for %s would pass the network "
			"in the clear: give --tls-cert FILE and --tls-key FILE, use "
			"127.0.0.1, or allow it with --insecure",
			config->metrics.text);
	if (config->open_loopback && !config->credentials)
		return draft_fail_plain(draft, "--open-loopback needs --credentials FILE: without, "
					       "nobody is asked for any");
	return 0;
}

/* What can only be judged once everything is known. */
static int check_together(struct draft *draft)
{
	const struct config *config = draft->config;
	int r = check_access(draft);

	if (r)
		return r;
	memcpy(draft->origin, draft->api_origin, sizeof(draft->origin));
	r = check_reachable(draft);
	if (r)
		return r;
	if (config->metrics.given && !config->metrics.off && has_port(&config->api) &&
	    same_address(&config->api, &config->metrics))
		return draft_fail(draft,
				  "%s is the metrics address too; the API address serves metrics "
				  "anyway, so use --metrics-addr=off",
				  config->api.text);
	return 0;
}

static int apply_all(struct draft *draft, const struct command_line *line)
{
	int r = apply_defaults(draft);

	if (!r)
		r = find_config_file(draft, line);
	if (!r)
		r = config_file_apply(draft);
	if (!r)
		r = environment_apply(draft);
	if (!r)
		r = apply_command_line(draft, line);
	if (!r)
		r = check_together(draft);
	return r;
}

/* *ret_print is set instead of *ret_config when the command line asks for help or the version. */
static int parse(int argc, char **argv, struct config **ret_config,
		 const struct config_option **ret_print, char *error, size_t error_size)
{
	CLEANUP(config) struct config *config = calloc(1, sizeof(*config));
	struct draft draft = { .config = config, .error = error, .error_size = error_size };
	struct command_line line = { .count = 0 };
	int r;

	if (!config)
		return draft_out_of_memory(&draft);
	r = scan_command_line(&draft, argc, argv, &line);
	if (!r && !line.print)
		r = apply_all(&draft, &line);
	free(line.given);
	if (r)
		return r;
	if (line.print) {
		*ret_print = line.print;
		return 0;
	}
	if (config->log_level >= LOG_WARN)
		environment_warn_unknown();
	*ret_config = TAKE(config);
	return 0;
}

enum config_outcome config_parse(int argc, char **argv, struct config **ret_config)
{
	const struct config_option *print = NULL;
	BUFFER out = BUFFER_INIT;
	char error[ERROR_SIZE];

	if (parse(argc, argv, ret_config, &print, error, sizeof(error))) {
		fprintf(stderr, "ebpf-server: %s\n", error);
		return CONFIG_EXIT_USAGE;
	}
	if (!print)
		return CONFIG_RUN;
	print->print(&out);
	if (!out.failed)
		fwrite(out.data, 1, out.length, stdout);
	fflush(stdout);
	return CONFIG_EXIT_OK;
}

int config_reload(int argc, char **argv, struct config **ret_config, char *error, size_t error_size)
{
	const struct config_option *print = NULL;

	return parse(argc, argv, ret_config, &print, error, error_size);
}
