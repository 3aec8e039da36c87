/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "loader/internal.h"
#include "loader/object.h"

/* struct stream_ledger of the program SDK: produced, filtered, sampled out, lost. */
#define LEDGER_COUNTS 4
#define LEDGER_SUFFIX "_ledger"

/* ---- loading with the values in force ---- */

static size_t collect_settings(const struct program *program, struct object_setting *settings)
{
	size_t count = 0;

	for (size_t i = 0; i < program->schema->parameter_count; i++) {
		const struct parameter *parameter = &program->schema->parameters[i];

		if (memcmp(program->values[i], parameter->default_value, parameter->size))
			settings[count++] = (struct object_setting){ .name = parameter->name,
								     .value = program->values[i],
								     .size = parameter->size };
	}
	return count;
}

static int load(struct loader *loader, struct program *program, const struct object *replaces,
		struct object **ret_object, char *error, size_t error_size)
{
	FREE struct object_setting *settings =
		calloc(program->schema->parameter_count + 1, sizeof(*settings));
	struct object_options options = {
		.kernel = &loader->kernel,
		.settings = settings,
		.ring_bytes = loader->config->ring_bytes,
		.interfaces = loader->config->interface_count > 0,
		.own_pid = loader->own_pid,
		.replaces = replaces,
		.shared = loader->shared,
	};

	if (!settings) {
		message_format(error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	options.setting_count = collect_settings(program, settings);
	return object_load(program->name, program->bytes, program->size, &options, ret_object,
			   error, error_size);
}

/* ---- the ledger of maps that go ---- */

static struct stream_account *find_account(const struct loader *loader, const char *name)
{
	for (size_t i = 0; i < STREAM_ACCOUNTS; i++) {
		if (!strcmp(loader->books[i].name, name))
			return &loader->books[i];
	}
	return NULL;
}

/* Detached before, so that these counts are final. */
static void keep_ledgers(struct loader *loader, const struct program *program)
{
	kernel_synchronize();
	for (size_t i = 0; i < program->schema->stream_count; i++) {
		const char *stream = program->schema->streams[i].name;
		struct stream_account *account = find_account(loader, stream);
		uint64_t counts[LEDGER_COUNTS];
		char map[MESSAGE_NAME_SIZE + sizeof(LEDGER_SUFFIX)];
		int r;

		message_set_text(map, "%s%s", stream, LEDGER_SUFFIX);
		r = object_sum_per_cpu(program->object, map, counts, LEDGER_COUNTS);
		if (r < 0 || !account) {
			log_warn("%s: its counts so far cannot be kept: %s", stream,
				 r < 0 ? strerror(-r) : "too many streams");
			continue;
		}
		account->past_produced += counts[0];
		account->past_filtered += counts[1];
		account->past_sampled_out += counts[2];
		account->past_lost += counts[3];
	}
}

void program_unload(struct loader *loader, struct program *program)
{
	if (!program->object)
		return;
	object_detach(program->object);
	if (program->attachment_count) {
		interfaces_detach(program);
		announce_interfaces(loader, program);
		/* There may be others of ours that wait for the place. */
		if (loader->look_at)
			loader->look_at = clock_boot_ns();
	}
	program->attached = false;
	keep_ledgers(loader, program);
	announce_unloaded(loader, program);
	object_unload(TAKE(program->object));
}

/* ---- on and off ---- */

void program_set_status(struct loader *loader, struct program *program, enum program_status status)
{
	program->status = status;
	if (status == PROGRAM_LOADING || status == PROGRAM_RUNNING)
		program->error[0] = '\0';
	announce_program(loader, program);
}

static int fail(struct loader *loader, struct program *program, int error)
{
	program_set_status(loader, program, PROGRAM_FAILED);
	log_warn("%s: %s", program->name, program->error);
	return error;
}

static int refuse(struct loader *loader, struct program *program)
{
	message_set_text(program->error, "%s", program->fault);
	return fail(loader, program, -EINVAL);
}

/* With no interface named there is nothing to run on, and that is no failure. */
static int keep_off(struct loader *loader, struct program *program)
{
	program->lacks_interface = true;
	program_set_status(loader, program, PROGRAM_DISABLED);
	log_info("%s: %s", program->name, program->error);
	return -EINVAL;
}

static void log_hooks(const struct program *program)
{
	const char *hook = object_hook(program->object);
	const char *reason = object_fallback_reason(program->object);

	if (*hook || *reason)
		log_info("%s: attached (%s)%s%s", program->name, hook,
			 *reason ? "; better hooks do not work here: " : "", reason);
}

int program_start(struct loader *loader, struct program *program)
{
	int r;

	program->enabled = true;
	program->lacks_interface = false;
	if (program->object && object_needs_interfaces(program->object))
		return interfaces_attach(loader, program);
	if (program->object)
		return 0;
	if (!program->schema)
		return refuse(loader, program);
	if (program->status != PROGRAM_LOADING)
		program_set_status(loader, program, PROGRAM_LOADING);
	r = load(loader, program, NULL, &program->object, program->error, sizeof(program->error));
	if (r == -ENODEV)
		return keep_off(loader, program);
	if (r < 0)
		return fail(loader, program, r);
	requests_await_lists(loader);
	list_maps_fill(loader->lists);
	/* The ring is read before the first event can be in it. */
	announce_maps(loader, program);
	r = object_attach(program->object, program->error, sizeof(program->error));
	if (r < 0) {
		program_unload(loader, program);
		return fail(loader, program, r);
	}
	log_hooks(program);
	if (object_needs_interfaces(program->object))
		return interfaces_attach(loader, program);
	program->attached = true;
	program_set_status(loader, program, PROGRAM_RUNNING);
	return 0;
}

void program_stop(struct loader *loader, struct program *program)
{
	bool was_enabled = program->enabled;

	program->enabled = false;
	program->lacks_interface = false;
	program_unload(loader, program);
	program->error[0] = '\0';
	program_set_status(loader, program, PROGRAM_DISABLED);
	if (was_enabled)
		log_info("%s: switched off", program->name);
}

/* ---- come and gone ---- */

void program_introduce(struct loader *loader, struct program *program, bool wanted)
{
	program->fresh = program->changed = false;
	program->enabled = wanted;
	program->status = wanted ? PROGRAM_LOADING : PROGRAM_DISABLED;
	announce_new(loader, program);
	if (wanted)
		program_start(loader, program);
	else if (program->file && !program->schema)
		refuse(loader, program); /* asked for or not: somebody put it there */
}

void program_withdraw(struct loader *loader, struct program *program)
{
	program_unload(loader, program);
	program->enabled = false;
	program->status = PROGRAM_DISABLED;
	message_set_text(program->error, "its file is gone: %s", program->file);
	message_set_text(program->fault, "%s", program->error);
	announce_program(loader, program);
	log_info("%s: %s", program->name, program->error);
}

/* ---- other parameters ---- */

/*
 * The next one is attached before the old one goes. For the microseconds between, both run: a
 * program that pairs entry and exit through a map shares it, others may report one event twice.
 * The other order would leave a gap of 70 ms for each classic tracepoint, in which the kernel
 * waits for its readers, and what happened in it would be lost and not counted.
 */
static int replace(struct loader *loader, struct program *program, char *error, size_t error_size)
{
	CLEANUP(object) struct object *next = NULL;
	int r = load(loader, program, program->object, &next, error, error_size);

	if (!r)
		r = object_attach(next, error, error_size);
	if (!r)
		r = interfaces_move(program, next, error, error_size);
	if (r < 0)
		return r;
	object_unload(program->object);
	program->object = TAKE(next);
	return 0;
}

int program_set_values(struct loader *loader, struct program *program,
		       const uint8_t (*values)[MESSAGE_VALUE_SIZE], char *error, size_t error_size)
{
	size_t count = program->schema->parameter_count;
	FREE uint8_t(*old)[MESSAGE_VALUE_SIZE] = program_values_new(program);
	int r = 0;

	if (!old) {
		message_format(error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (!memcmp(program->values, values, count * MESSAGE_VALUE_SIZE))
		return 0;
	memcpy(old, program->values, count * MESSAGE_VALUE_SIZE);
	memcpy(program->values, values, count * MESSAGE_VALUE_SIZE);
	if (program->object)
		r = replace(loader, program, error, error_size);
	if (r < 0) {
		memcpy(program->values, old, count * MESSAGE_VALUE_SIZE);
		return r;
	}
	for (size_t i = 0; i < count; i++) {
		if (!memcmp(old[i], program->values[i], MESSAGE_VALUE_SIZE))
			continue;
		announce_parameter(loader, program, i);
		log_info("%s: parameter %s changed", program->name,
			 program->schema->parameters[i].name);
	}
	announce_program(loader, program);
	return 0;
}
