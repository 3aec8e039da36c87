/* SPDX-License-Identifier: MIT */
/*
 * How many instructions the running kernel's verifier goes through for every function of the
 * built-in programs, as JSON: {"build": …, "functions": {"connection/connection_enter": {"insns":
 * 512}, …}}; {"error": …} where a function does not load here. Each function is loaded alone, since
 * those that the server falls back to count too, and once more ("…, filtered") with every filter
 * set that is off by default: the verifier follows no branch of a filter that is not set.
 *
 *   verifier_counts --describe   the build and the names, without loading anything
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "loader/libbpf_log.h"
#include "loader/object.h"
#include "loader/registry.h"
#include "loader/rodata.h"
#include "schema/schema.h"

#define LOG_STATISTICS 4 /* BPF_LOG_STATS, include/linux/bpf_verifier.h: since 5.2 */
#define LOG_SIZE ((size_t)64 << 10)
#define FILTERED ", filtered"

static void close_bpf(struct bpf_object **bpf)
{
	bpf_object__close(*bpf);
}
#define CLOSE_BPF __attribute__((cleanup(close_bpf)))

struct settings {
	struct object_setting settings[SCHEMA_MAX_PARAMETERS];
	uint8_t values[SCHEMA_MAX_PARAMETERS][PARAMETER_VALUE_SIZE];
	size_t count;
};

/* Off is 0, "" or -1: what else a parameter says by default is no filter and stays. */
static bool is_off(const struct parameter *parameter)
{
	const uint8_t first = parameter->default_value[0];

	if (first != 0 && (first != 0xff || !parameter->is_signed))
		return false;
	for (uint32_t i = 1; i < parameter->size; i++) {
		if (parameter->default_value[i] != first)
			return false;
	}
	return true;
}

static void switch_on(const struct program_schema *schema, struct settings *settings)
{
	for (size_t i = 0; i < schema->parameter_count; i++) {
		const struct parameter *parameter = &schema->parameters[i];
		uint8_t *value = settings->values[settings->count];

		if (!is_off(parameter))
			continue;
		if (parameter->kind == PARAMETER_STRING)
			memset(value, 'x', parameter->size - 1);
		else
			value[0] = parameter->kind == PARAMETER_BOOLEAN ? 1 : 2;
		settings->settings[settings->count++] = (struct object_setting){
			.name = parameter->name, .value = value, .size = parameter->size
		};
	}
}

/* ---- one function ---- */

struct verification {
	struct json *json;
	const struct embedded_object *object;
	const struct settings *settings;
	char log[LOG_SIZE];
	char error[512];
};

/* Opened, with its constants and nothing to be loaded yet. */
static struct bpf_object *open_object(struct verification *verification)
{
	const struct embedded_object *object = verification->object;
	const struct object_options options = {
		.settings = verification->settings->settings,
		.setting_count = verification->settings->count,
	};
	LIBBPF_OPTS(bpf_object_open_opts, open_options, .object_name = object->name);
	CLOSE_BPF struct bpf_object *bpf =
		bpf_object__open_mem(object->bytes, object->size, &open_options);
	struct bpf_program *program;
	FREE void *rodata = NULL;
	size_t rodata_size = 0;

	if (!bpf)
		return NULL;
	bpf_object__for_each_program(program, bpf)
	{
		bpf_program__set_autoload(program, false);
	}
	if (rodata_make(bpf, &options, &rodata, &rodata_size, verification->error,
			sizeof(verification->error)) < 0 ||
	    (rodata && rodata_put(bpf, rodata, rodata_size) < 0) || rings_prepare(bpf, 0) < 0)
		return NULL;
	return TAKE(bpf);
}

/* Returns what the verifier processed; 0 with a line in `error` when it does not load. */
static unsigned long verify(struct verification *verification, const char *function)
{
	CLOSE_BPF struct bpf_object *bpf = NULL;
	struct bpf_program *program;
	const char *line;
	unsigned long insns;
	int r;

	libbpf_log_begin();
	memset(verification->log, 0, LOG_SIZE);
	snprintf(verification->error, sizeof(verification->error), "cannot be opened");
	bpf = open_object(verification);
	program = bpf ? bpf_object__find_program_by_name(bpf, function) : NULL;
	if (!program)
		return 0;
	bpf_program__set_autoload(program, true);
	bpf_program__set_log_level(program, LOG_STATISTICS);
	bpf_program__set_log_buf(program, verification->log, LOG_SIZE);
	r = bpf_object__load(bpf);
	if (r < 0) {
		snprintf(verification->error, sizeof(verification->error), "%s: %s",
			 *libbpf_log_complaint() ? libbpf_log_complaint() : "does not load",
			 strerror(-r));
		return 0;
	}
	line = strstr(verification->log, "processed ");
	if (!line || sscanf(line, "processed %lu insns", &insns) != 1) {
		snprintf(verification->error, sizeof(verification->error),
			 "the kernel gives no statistics");
		return 0;
	}
	return insns;
}

static void report(struct verification *verification, const char *function, bool filtered,
		   bool only_names)
{
	struct json *json = verification->json;
	unsigned long insns;
	char name[256];

	snprintf(name, sizeof(name), "%s/%s%s", verification->object->name, function,
		 filtered ? FILTERED : "");
	json_key(json, name);
	json_object_begin(json);
	if (!only_names) {
		insns = verify(verification, function);
		if (insns)
			json_member_u64(json, "insns", insns);
		else
			json_member_string(json, "error", verification->error);
	}
	json_object_end(json);
}

/* ---- all of them ---- */

static int report_object(struct json *json, const struct embedded_object *object, bool only_names)
{
	static struct verification verification;
	static struct settings none;
	struct settings all = { .count = 0 };
	CLEANUP(program_schema) struct program_schema *schema = NULL;
	CLOSE_BPF struct bpf_object *bpf = NULL;
	struct bpf_program *program;
	char error[512] = "";

	libbpf_log_begin();
	bpf = bpf_object__open_mem(object->bytes, object->size, NULL);
	if (!bpf || program_schema_read(object->name, object->bytes, object->size, NULL, &schema,
					error, sizeof(error))) {
		fprintf(stderr, "verifier_counts: %s: %s\n", object->name,
			bpf ? error : libbpf_log_complaint());
		return -EINVAL;
	}
	switch_on(schema, &all);
	verification = (struct verification){ .json = json, .object = object };
	bpf_object__for_each_program(program, bpf)
	{
		verification.settings = &none;
		report(&verification, bpf_program__name(program), false, only_names);
		if (!all.count)
			continue;
		verification.settings = &all;
		report(&verification, bpf_program__name(program), true, only_names);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const bool only_names = argc == 2 && !strcmp(argv[1], "--describe");
	BUFFER out = BUFFER_INIT;
	struct json json;

	if (argc > 1 && !only_names) {
		fprintf(stderr, "usage: verifier_counts [--describe]\n");
		return 2;
	}
	json_init(&json, &out);
	json_object_begin(&json);
	json_member_string(&json, "build", GUARD_BPF_BUILD);
	json_key(&json, "functions");
	json_object_begin(&json);
	for (size_t i = 0; i < embedded_object_count; i++) {
		if (report_object(&json, &embedded_objects[i], only_names))
			return EXIT_FAILURE;
	}
	json_object_end(&json);
	json_object_end(&json);
	if (out.failed)
		return EXIT_FAILURE;
	printf("%.*s\n", (int)out.length, out.data);
	return 0;
}
