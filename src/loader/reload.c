/* SPDX-License-Identifier: MIT */
#include <bpf/bpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "loader/internal.h"
#include "loader/object.h"

/* ---- what only a new start applies ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_list(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++) {
		if (strcmp(a[i], b[i]))
			return false;
	}
	return true;
}

static void warn_about_fixed(const struct config *old, const struct config *new)
{
	const struct {
		const char *option;
		bool same;
	} fixed[] = {
		{ "addr", same_text(old->api.text, new->api.text) },
		{ "metrics-addr", same_text(old->metrics.text, new->metrics.text) },
		{ "credentials", same_text(old->credentials, new->credentials) },
		{ "tls-cert", same_text(old->tls_cert, new->tls_cert) },
		{ "tls-key", same_text(old->tls_key, new->tls_key) },
		{ "protect-metrics", old->protect_metrics == new->protect_metrics },
		{ "open-loopback", old->open_loopback == new->open_loopback },
		{ "query-timeout", old->query_timeout_ns == new->query_timeout_ns },
		{ "memory", old->memory == new->memory },
		{ "max-series", old->max_series == new->max_series },
		{ "max-streams", old->max_streams == new->max_streams },
		{ "ring", old->ring_bytes == new->ring_bytes },
		{ "print", old->print == new->print },
		{ "data-dir", same_text(old->data_dir, new->data_dir) },
		{ "program-dir", same_text(old->program_dir, new->program_dir) },
	};
	BUFFER names = BUFFER_INIT;
	FREE char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (!fixed[i].same)
			buffer_printf(&names, "%s%s", names.length ? ", " : "", fixed[i].option);
	}
	if (!names.length)
		return;
	text = buffer_take_string(&names);
	log_warn("configuration: these changes take effect at the next start: %s",
		 text ? text : "several");
}

/* ---- what is applied ---- */

static void apply_log_level(struct loader *loader, enum log_level level)
{
	struct message message = { .type = MESSAGE_LOG_LEVEL, .numbers = { level } };

	log_set_level(level);
	server_send(loader, &message, -1);
}

void loader_apply_statistics(struct loader *loader)
{
	if (!loader->config->program_stats) {
		if (loader->statistics >= 0)
			close(TAKE_FD(loader->statistics));
		return;
	}
	if (loader->statistics >= 0)
		return;
	loader->statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (loader->statistics < 0) {
		log_warn("cannot switch the kernel's run accounting on: %s", strerror(errno));
		loader->statistics = -1;
	}
}

static void apply_ip_list_mode(struct loader *loader)
{
	int r = list_maps_set_option(loader->lists, SHARED_IPS, loader->config->ip_list_mode);

	if (r < 0)
		log_warn("ip-list-mode stays as it was: %s", strerror(-r));
}

/* Only what the file changed: a parameter set through the API stays unless the file says
 * otherwise now. */
static void apply_values(struct loader *loader, struct program *program, const struct config *old,
			 const struct config *new)
{
	size_t count = program->schema->parameter_count;
	FREE uint8_t(*before)[MESSAGE_VALUE_SIZE] = program_values_new(program);
	FREE uint8_t(*after)[MESSAGE_VALUE_SIZE] = program_values_new(program);
	char error[MESSAGE_TEXT_SIZE] = "out of memory";
	int r = -ENOMEM;

	if (before && after) {
		program_values(program, old, before);
		program_values(program, new, after);
		for (size_t i = 0; i < count; i++) {
			if (!memcmp(before[i], after[i], MESSAGE_VALUE_SIZE))
				memcpy(after[i], program->values[i], MESSAGE_VALUE_SIZE);
		}
		r = program_set_values(loader, program, (const uint8_t(*)[MESSAGE_VALUE_SIZE])after,
				       error, sizeof(error));
	}
	if (r < 0)
		log_warn("%s: its parameters stay as they were: %s", program->name, error);
}

/* One whose file is new or another one. Its parameters are the configured ones; what was switched
 * on or off through the API stays so. */
static void introduce(struct loader *loader, struct program *program, const struct config *old,
		      const struct config *new)
{
	bool wanted = program_is_wanted(program, new);

	if (program->schema)
		program_values(program, new, program->values);
	if (program->changed && wanted == program_is_wanted(program, old))
		wanted = program->enabled;
	program_introduce(loader, program, wanted);
}

static bool same_interfaces(const struct config *a, const struct config *b)
{
	return same_list(a->interfaces, a->interface_count, b->interfaces, b->interface_count);
}

/* Of one that is switched on, whether it had any or not. */
static void apply_interfaces(struct loader *loader, struct program *program)
{
	if (program->object && !object_needs_interfaces(program->object))
		return;
	if (program->object && loader->config->interface_count) {
		interfaces_configure(loader, program);
		return;
	}
	if (program->object)
		program_unload(loader, program);
	else if (!program->lacks_interface)
		return;
	program_start(loader, program);
}

static void apply_config(struct loader *loader, struct program *program, const struct config *old,
			 const struct config *new)
{
	bool wanted = program_is_wanted(program, new);

	if (program->schema)
		apply_values(loader, program, old, new);
	if (program->enabled && !same_interfaces(old, new))
		apply_interfaces(loader, program);
	if (wanted == program_is_wanted(program, old))
		return;
	if (wanted)
		program_start(loader, program);
	else
		program_stop(loader, program);
}

static void apply_programs(struct loader *loader, const struct config *old,
			   const struct config *new)
{
	bool introduced = false;

	for (size_t i = 0; i < loader->program_count; i++) {
		struct program *program = &loader->programs[i];

		if (program->fresh) {
			introduce(loader, program, old, new);
			introduced = true;
		} else if (!program->gone) {
			apply_config(loader, program, old, new);
		}
	}
	if (introduced)
		announce_ready(loader);
	kernel_features_trim(&loader->kernel);
	malloc_trim(0);
}

/* The configuration that stays, and the programs that came anyway. */
static void keep_config(struct loader *loader, const char *why)
{
	log_error("configuration: it stays as it was: %s", why);
	apply_programs(loader, loader->config, loader->config);
}

void loader_reload(struct loader *loader)
{
	CLEANUP(config) struct config *new = NULL;
	CLEANUP(config) struct config *old_owned = NULL;
	const struct config *old = loader->config;
	char error[MESSAGE_TEXT_SIZE] = "";
	int r;

	/* Whatever becomes of the rest: a token that was withdrawn must not stay. */
	secrets_reload(loader);
	/* First: the configuration may name what is new. */
	program_dir_read(loader, false);
	r = config_reload(loader->argc, loader->argv, &new, error, sizeof(error));
	if (!r)
		r = programs_check(loader, new, error, sizeof(error));
	if (r < 0) {
		keep_config(loader, error);
		return;
	}
	warn_about_fixed(old, new);
	/* A ring's size is its program's for as long as its maps live, and shared by its next
	 * object. */
	new->ring_bytes = old->ring_bytes;
	old_owned = loader->own_config;
	loader->own_config = new;
	loader->config = TAKE(new);
	if (loader->config->log_level != old->log_level)
		apply_log_level(loader, loader->config->log_level);
	loader_apply_statistics(loader);
	apply_ip_list_mode(loader);
	interfaces_watch(loader);
	apply_programs(loader, old, loader->config);
	log_info("configuration read again");
}
