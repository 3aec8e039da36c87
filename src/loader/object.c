/* SPDX-License-Identifier: MIT */
#include "loader/object_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "loader/libbpf_log.h"
#include "loader/rodata.h"
#include "loader/shared_maps.h"

/* The kernel's own, never meant for user space and yet returned by attach: no trampolines on this
 * architecture. strerror(3) does not know it. */
#define ENOTSUPP_KERNEL 524

static void close_bpf(struct bpf_object **bpf)
{
	bpf_object__close(*bpf);
}
#define CLOSE_BPF __attribute__((cleanup(close_bpf)))

/* ---- what went wrong, in words ---- */

static const char *error_words(int number)
{
	switch (number) {
	case ENOTSUPP_KERNEL:
	case EOPNOTSUPP:
		return "not supported by this kernel";
	case EPERM:
		return "not permitted by this kernel (lockdown or a security module)";
	default:
		return strerror(number);
	}
}

/* libbpf's complaint without the part that names the function. */
static const char *complaint_text(void)
{
	const char *text = libbpf_log_complaint();
	const char *rest = !strncmp(text, "prog '", 6) ? strstr(text, "': ") : NULL;

	return rest ? rest + 3 : text;
}

static void describe(int number, char *why, size_t size)
{
	const char *verdict = libbpf_log_verdict();

	if (*verdict)
		message_format(why, size, "refused by the verifier: %s", verdict);
	else if (number == EPERM || number == EOPNOTSUPP || number == ENOTSUPP_KERNEL)
		message_format(why, size, "%s", error_words(number));
	else if (*complaint_text())
		message_format(why, size, "%s", complaint_text());
	else
		message_format(why, size, "%s", error_words(number));
}

/* ---- loading ---- */

static int open_bytes(const struct object *object, struct bpf_object **ret_bpf, char *error,
		      size_t error_size)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = object->name);
	struct bpf_object *bpf;

	libbpf_log_begin();
	bpf = bpf_object__open_mem(object->bytes, object->size, &options);
	if (!bpf) {
		int number = errno;
		char words[MESSAGE_TEXT_SIZE] = "";

		/* It has numbers of its own. */
		libbpf_strerror(number, words, sizeof(words));
		message_format(error, error_size, "not a usable eBPF object: %s",
			       *libbpf_log_complaint() ? libbpf_log_complaint() : words);
		return -number;
	}
	*ret_bpf = bpf;
	return 0;
}

int object_try(const char *name, const void *bytes, size_t size, char *error, size_t error_size)
{
	struct object object = { .bytes = bytes, .size = size };
	CLOSE_BPF struct bpf_object *bpf = NULL;
	CLEANUP(hooks) struct hooks *hooks = NULL;
	int r;

	message_set_text(object.name, "%s", name);
	r = open_bytes(&object, &bpf, error, error_size);
	return r < 0 ? r : hooks_new(bpf, &hooks, error, error_size);
}

/* Maps of an object that this one shares or replaces; .rodata and its like are each object's
 * own. */
static int share_maps(struct bpf_object *bpf, const struct bpf_object *from)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf)
	{
		const struct bpf_map *other;
		int r;

		if (bpf_map__is_internal(map) || !bpf_map__autocreate(map))
			continue;
		other = bpf_object__find_map_by_name(from, bpf_map__name(map));
		if (!other)
			return -EINVAL;
		r = bpf_map__reuse_fd(map, bpf_map__fd(other));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Types up to the ring buffer's are in every kernel that takes these objects at all. What kernel or
 * libbpf does not know is not made, and a function that needs it does not load. */
static int leave_out_maps(struct bpf_object *bpf)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf)
	{
		int r = 1;

		if (bpf_map__type(map) > BPF_MAP_TYPE_RINGBUF)
			r = libbpf_probe_bpf_map_type(bpf_map__type(map), NULL);
		if (r == 0 || r == -EOPNOTSUPP)
			r = bpf_map__set_autocreate(map, false);
		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare(const struct object *object, struct bpf_object *bpf,
		   const struct bpf_object *maps_from, char *error, size_t error_size)
{
	int r = rings_prepare(bpf, object->ring_bytes);

	if (!r)
		r = leave_out_maps(bpf);

	if (!r && object->rodata)
		r = rodata_put(bpf, object->rodata, object->rodata_size);
	if (!r && maps_from)
		r = share_maps(bpf, maps_from);
	if (r < 0) {
		message_format(error, error_size, "cannot prepare its maps: %s", strerror(-r));
		return r;
	}
	if (!maps_from && object->shared)
		r = shared_maps_give(object->shared, bpf, error, error_size);
	return r;
}

/*
 * Tries until a choice of functions loads, and puts it in the place of what the object had.
 * libbpf ends the failure of a function with "prog 'NAME': failed to load", whatever went wrong; a
 * failure that names none is the object's (a map that cannot be made).
 */
static int load_best(struct object *object, const struct bpf_object *maps_from, char *error,
		     size_t error_size)
{
	char why[MESSAGE_TEXT_SIZE];

	for (;;) {
		CLOSE_BPF struct bpf_object *bpf = NULL;
		int r = open_bytes(object, &bpf, error, error_size);

		if (r < 0)
			return r;
		r = hooks_select(object->hooks, object->kernel, bpf, error, error_size);
		if (r < 0)
			return r;
		r = prepare(object, bpf, maps_from, error, error_size);
		if (r < 0)
			return r;
		r = bpf_object__load(bpf);
		if (r == 0) {
			bpf_object__close(object->bpf);
			object->bpf = TAKE(bpf);
			return 0;
		}
		describe(-r, why, sizeof(why));
		if (!*libbpf_log_function()) {
			message_format(error, error_size, "%s", why);
			return r;
		}
		if (!hooks_give_way(object->hooks, libbpf_log_function(), why, error, error_size))
			return r;
	}
}

static size_t count_functions(const struct bpf_object *bpf)
{
	struct bpf_program *program = NULL;
	size_t count = 0;

	while ((program = bpf_object__next_program(bpf, program)))
		count++;
	return count;
}

struct constants {
	const struct bpf_object *bpf;
	const struct object *object;
};

static int is_set(void *context, const char *name)
{
	const struct constants *constants = context;

	return rodata_is_set(constants->bpf, constants->object->rodata,
			     constants->object->rodata_size, name);
}

/* What is the same for every try: the choice, and the parameters. */
static int read_object(struct object *object, const struct object_options *options, char *error,
		       size_t error_size)
{
	CLOSE_BPF struct bpf_object *bpf = NULL;
	int r = open_bytes(object, &bpf, error, error_size);

	if (r < 0)
		return r;
	r = hooks_new(bpf, &object->hooks, error, error_size);
	if (r < 0)
		return r;
	if (hooks_need_interfaces(object->hooks) && !options->interfaces) {
		message_format(error, error_size, "runs when an interface is named: --interface");
		return -ENODEV;
	}
	object->link_count = count_functions(bpf);
	object->links = calloc(object->link_count + 1, sizeof(struct bpf_link *));
	if (!object->links) {
		message_format(error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	r = rodata_make(bpf, options, &object->rodata, &object->rodata_size, error, error_size);
	if (r < 0)
		return r;
	return hooks_set_parameters(object->hooks, is_set, &(struct constants){ bpf, object },
				    error, error_size);
}

int object_load(const char *name, const void *bytes, size_t size,
		const struct object_options *options, struct object **ret_object, char *error,
		size_t error_size)
{
	CLEANUP(object) struct object *object = calloc(1, sizeof(*object));
	int r;

	if (!object) {
		message_format(error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	message_set_text(object->name, "%s", name);
	object->bytes = bytes;
	object->size = size;
	object->kernel = options->kernel;
	object->ring_bytes = options->ring_bytes;
	object->shared = options->shared;
	r = read_object(object, options, error, error_size);
	if (r < 0)
		return r;
	r = load_best(object, options->replaces ? options->replaces->bpf : NULL, error, error_size);
	if (!r && object->shared)
		r = shared_maps_keep(object->shared, object->bpf, error, error_size);
	if (r < 0)
		return r;
	*ret_object = TAKE(object);
	return 0;
}

void object_unload(struct object *object)
{
	if (!object)
		return;
	object_detach(object);
	bpf_object__close(object->bpf);
	hooks_free(object->hooks);
	free(object->links);
	free(object->rodata);
	free(object);
}

/* ---- attaching ---- */

/* Returns the function that cannot be attached, with the reason, or NULL. */
static const struct bpf_program *attach_functions(struct object *object, int *ret_error)
{
	struct bpf_program *program = NULL;
	size_t i = 0;

	while ((program = bpf_object__next_program(object->bpf, program))) {
		size_t place = i++;

		if (!bpf_program__autoload(program) ||
		    hooks_is_on_interface(object->hooks, bpf_program__name(program)))
			continue;
		object->links[place] = bpf_program__attach(program);
		if (!object->links[place]) {
			*ret_error = errno;
			return program;
		}
	}
	return NULL;
}

int object_attach(struct object *object, char *error, size_t error_size)
{
	for (;;) {
		const struct bpf_program *failed;
		char why[MESSAGE_TEXT_SIZE];
		int number = 0;
		int r;

		libbpf_log_begin();
		failed = attach_functions(object, &number);
		if (!failed)
			return 0;
		object_detach(object);
		/* libbpf's complaint names calls and numbers of its own: that is for the debug
		 * log. */
		message_set_text(why, "cannot be attached: %s", error_words(number));
		if (!hooks_give_way(object->hooks, bpf_program__name(failed), why, error,
				    error_size))
			return -number;
		r = load_best(object, object->bpf, error, error_size);
		if (r < 0)
			return r;
	}
}

void object_detach(struct object *object)
{
	for (size_t i = 0; object->links && i < object->link_count; i++) {
		int r = bpf_link__destroy(TAKE(object->links[i]));

		if (r < 0)
			log_warn("%s: detaching: %s", object->name, strerror(-r));
	}
}

const char *object_hook(const struct object *object)
{
	return hooks_chosen(object->hooks);
}

const char *object_fallback_reason(const struct object *object)
{
	return hooks_reason(object->hooks);
}

bool object_needs_interfaces(const struct object *object)
{
	return hooks_need_interfaces(object->hooks);
}

int object_interface_function(const struct object *object, enum interface_direction direction,
			      unsigned int after, unsigned int *ret_rank,
			      enum interface_hook *ret_hook)
{
	const char *name = hooks_on_interface(object->hooks, direction, after, ret_rank, ret_hook);
	const struct bpf_program *program =
		name ? bpf_object__find_program_by_name(object->bpf, name) : NULL;

	return program ? bpf_program__fd(program) : -ENOENT;
}
