/* SPDX-License-Identifier: MIT */
/* A configuration in the making: its errors, lists and settings. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/options.h"

#define PROGRAM_NAME_MAX 63 /* what fits into the loader's messages */

/* One line that a terminal shows and does not obey, whatever was quoted in it: UTF-8 without
 * control characters (U+0080 to U+009F are some too). */
static void flatten(char *line)
{
	for (size_t left = strlen(line), size; left; line += size, left -= size) {
		const uint8_t *bytes = (const uint8_t *)line;

		size = text_utf8_sequence(line, left);
		if (!size)
			size = 1;
		else if (bytes[0] >= 0x20 && bytes[0] != 0x7f &&
			 !(bytes[0] == 0xc2 && bytes[1] < 0xa0))
			continue;
		memset(line, '?', size);
	}
}

static void set_error(struct draft *draft, const char *origin, const char *format,
		      va_list arguments)
{
	int used = snprintf(draft->error, draft->error_size, "%s%s", origin, *origin ? ": " : "");

	if (used >= 0 && (size_t)used < draft->error_size)
		vsnprintf(draft->error + used, draft->error_size - (size_t)used, format, arguments);
	flatten(draft->error);
}

int draft_fail(struct draft *draft, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_error(draft, draft->origin, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int draft_fail_plain(struct draft *draft, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_error(draft, "", format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int draft_out_of_memory(struct draft *draft)
{
	draft_fail_plain(draft, "out of memory");
	return -ENOMEM;
}

void draft_set_origin(struct draft *draft, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(draft->origin, sizeof(draft->origin), format, arguments);
	va_end(arguments);
}

bool config_program_name_is_valid(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789_-");

	return length && !name[length] && length <= PROGRAM_NAME_MAX && strcmp(name, "server") &&
	       strcmp(name, "none");
}

int program_name_check(struct draft *draft, const char *name)
{
	if (!config_program_name_is_valid(name))
		return draft_fail(draft, "'%s' cannot be the name of a program", name);
	return 0;
}

/* ---- Lists ---- */

struct list_place {
	char ***entries;
	char ***origins; /* NULL: nobody asks */
	size_t *count;
};

static struct list_place list_place(struct config *config, enum config_list list)
{
	switch (list) {
	case LIST_PROGRAMS:
		return (struct list_place){ &config->programs, &config->program_origins,
					    &config->program_count };
	case LIST_ENABLE:
		return (struct list_place){ &config->enable, &config->enable_origins,
					    &config->enable_count };
	case LIST_DISABLE:
		return (struct list_place){ &config->disable, &config->disable_origins,
					    &config->disable_count };
	default:
		return (struct list_place){ &config->interfaces, NULL, &config->interface_count };
	}
}

static bool list_has(char *const *entries, size_t count, const char *entry)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(entries[i], entry))
			return true;
	return false;
}

static void free_texts(char ***texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((*texts)[i]);
	free(*texts);
	*texts = NULL;
}

static void list_free(struct config *config, enum config_list list)
{
	struct list_place place = list_place(config, list);

	free_texts(place.entries, *place.count);
	if (place.origins)
		free_texts(place.origins, *place.count);
	*place.count = 0;
}

static void list_clear(struct draft *draft, enum config_list list)
{
	list_free(draft->config, list);
	draft->of[list] = draft->level;
}

static void list_remove(struct draft *draft, enum config_list list, const char *entry)
{
	struct list_place place = list_place(draft->config, list);
	size_t kept = 0;

	for (size_t i = 0; i < *place.count; i++) {
		char *this = (*place.entries)[i], *origin = (*place.origins)[i];

		if (!strcmp(this, entry)) {
			free(this);
			free(origin);
			continue;
		}
		(*place.entries)[kept] = this;
		(*place.origins)[kept++] = origin;
	}
	*place.count = kept;
}

/* A list may be empty and yet be given: it is allocated then, with room for nothing. */
static int list_grow(struct draft *draft, struct list_place place)
{
	char **entries = reallocarray(*place.entries, *place.count + 1, sizeof(char *));
	char **origins = NULL;

	if (!entries)
		return draft_out_of_memory(draft);
	*place.entries = entries;
	if (!place.origins)
		return 0;
	origins = reallocarray(*place.origins, *place.count + 1, sizeof(char *));
	if (!origins)
		return draft_out_of_memory(draft);
	*place.origins = origins;
	return 0;
}

/* A stronger level takes back what a weaker one said of a program; one level must not say both. */
static int list_settle(struct draft *draft, enum config_list list, const char *entry)
{
	enum config_list other = list == LIST_ENABLE ? LIST_DISABLE : LIST_ENABLE;
	struct list_place place = list_place(draft->config, other);

	if (list != LIST_ENABLE && list != LIST_DISABLE)
		return 0;
	if (!list_has(*place.entries, *place.count, entry))
		return 0;
	if (draft->of[other] == draft->level)
		return draft_fail(draft, "'%s' is both to be enabled and to be disabled", entry);
	list_remove(draft, other, entry);
	return 0;
}

struct list_addition {
	enum config_list list;
	int (*check)(struct draft *draft, const char *entry);
};

static int list_add_entry(void *context, struct draft *draft, const char *entry)
{
	const struct list_addition *addition = context;
	struct list_place place = list_place(draft->config, addition->list);
	FREE char *text = NULL, *origin = NULL;
	int r = addition->check(draft, entry);

	if (!r)
		r = list_settle(draft, addition->list, entry);
	if (r || list_has(*place.entries, *place.count, entry))
		return r;
	r = list_grow(draft, place);
	if (r)
		return r;
	text = strdup(entry);
	origin = strdup(draft->origin);
	if (!text || !origin)
		return draft_out_of_memory(draft);
	(*place.entries)[*place.count] = TAKE(text);
	if (place.origins)
		(*place.origins)[*place.count] = TAKE(origin);
	*place.count += 1;
	return 0;
}

int list_add(struct draft *draft, enum config_list list, const char *text,
	     int (*check)(struct draft *draft, const char *entry))
{
	struct list_addition addition = { .list = list, .check = check };

	if (draft->of[list] < draft->level || !text)
		list_clear(draft, list);
	/* "Exactly these" is said of what a weaker level added or took away, too. */
	if (list == LIST_PROGRAMS) {
		if (draft->of[LIST_ENABLE] < draft->level)
			list_clear(draft, LIST_ENABLE);
		if (draft->of[LIST_DISABLE] < draft->level)
			list_clear(draft, LIST_DISABLE);
	}
	if (!text)
		return list_grow(draft, list_place(draft->config, list));
	return list_split(draft, text, list_add_entry, &addition);
}

/* Cuts the next entry out of *rest, in place: without the backslashes and the space around it. */
static char *next_entry(char **rest)
{
	char *entry = *rest + strspn(*rest, " \t");
	char *from = entry, *to = entry, *end = entry;

	for (; *from && *from != ','; from++) {
		bool escaped = from[0] == '\\' && from[1] == ',';

		if (escaped)
			from++;
		*to++ = *from;
		if (escaped || (*from != ' ' && *from != '\t'))
			end = to;
	}
	*rest = *from ? from + 1 : NULL;
	*end = '\0';
	return entry;
}

int list_split(struct draft *draft, const char *text,
	       int (*entry)(void *context, struct draft *draft, const char *text), void *context)
{
	FREE char *copy = strdup(text);
	char *rest = copy;

	if (!copy)
		return draft_out_of_memory(draft);
	while (rest) {
		const char *this = next_entry(&rest);
		int r = *this ? entry(context, draft, this)
			      : draft_fail(draft, "'%s' has an empty entry", text);

		if (r)
			return r;
	}
	return 0;
}

/* ---- Settings of programs ---- */

static void setting_fini(struct config_setting *setting)
{
	free(setting->program);
	free(setting->parameter);
	free(setting->value);
	free(setting->origin);
}

int setting_add(struct draft *draft, const char *program, const char *parameter, const char *value)
{
	struct config *config = draft->config;
	struct config_setting setting = { 0 }, *settings;
	size_t i;
	int r = program_name_check(draft, program);

	if (r)
		return r;
	setting.program = strdup(program);
	setting.parameter = strdup(parameter);
	setting.value = strdup(value);
	setting.origin = strdup(draft->origin);
	settings = reallocarray(config->settings, config->setting_count + 1, sizeof(*settings));
	if (settings)
		config->settings = settings;
	if (!settings || !setting.program || !setting.parameter || !setting.value ||
	    !setting.origin) {
		setting_fini(&setting);
		return draft_out_of_memory(draft);
	}
	for (i = 0; i < config->setting_count; i++)
		if (!strcmp(settings[i].program, program) &&
		    !strcmp(settings[i].parameter, parameter))
			break;
	if (i < config->setting_count)
		setting_fini(&settings[i]);
	else
		config->setting_count++;
	settings[i] = setting;
	return 0;
}

int setting_parse(struct draft *draft, const char *text)
{
	FREE char *copy = strdup(text);
	char *dot, *equals;

	if (!copy)
		return draft_out_of_memory(draft);
	equals = strchr(copy, '=');
	if (equals)
		*equals = '\0';
	dot = strchr(copy, '.');
	if (!equals || !dot || !dot[1])
		return draft_fail(draft, "'%s' is not PROGRAM.PARAMETER=VALUE", text);
	*dot = '\0';
	return setting_add(draft, copy, dot + 1, equals + 1);
}

/* ---- The finished configuration ---- */

void config_free(struct config *config)
{
	if (!config)
		return;
	for (enum config_list list = 0; list < LISTS; list++)
		list_free(config, list);
	for (size_t i = 0; i < config->setting_count; i++)
		setting_fini(&config->settings[i]);
	free(config->settings);
	free(config->config_file);
	free(config->program_dir);
	free(config->data_dir);
	free(config->credentials);
	free(config->tls_cert);
	free(config->tls_key);
	free(config);
}

bool config_wants_program(const struct config *config, const char *name, bool by_default)
{
	bool wanted = by_default;

	if (config->programs)
		wanted = list_has(config->programs, config->program_count, name);
	if (list_has(config->enable, config->enable_count, name))
		wanted = true;
	if (list_has(config->disable, config->disable_count, name))
		wanted = false;
	return wanted;
}
