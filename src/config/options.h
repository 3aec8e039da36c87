/* SPDX-License-Identifier: MIT */
/*
 * The table of options, and what reading them takes. Inside this folder only, but for tools that
 * write documentation out of the table.
 *
 * An option's environment variable is EBPF_SERVER_ and its name in capitals with '_' for '-'; its
 * key in section [server] of the configuration file is its name.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "base/buffer.h"
#include "config/config.h"

#define ENVIRONMENT_PREFIX "EBPF_SERVER_"
#define ENVIRONMENT_NAME_SIZE 64
#define ORIGIN_SIZE 512

enum option_value {
	VALUE_REQUIRED, /* --name=x or --name x */
	VALUE_OPTIONAL, /* --name or --name=x */
	VALUE_SWITCH,	/* --name, or --name=true and --name=false */
	VALUE_NONE,	/* --name, which prints something and ends */
};

/* Where an option may come from besides the command line. */
#define FROM_ENVIRONMENT 1u
#define FROM_FILE 2u
#define FROM_ANYWHERE (FROM_ENVIRONMENT | FROM_FILE)

/* From the weakest to the strongest. */
enum config_level { LEVEL_DEFAULT, LEVEL_FILE, LEVEL_ENVIRONMENT, LEVEL_COMMAND_LINE };

enum config_list { LIST_PROGRAMS, LIST_ENABLE, LIST_DISABLE, LIST_INTERFACES, LISTS };

/* A configuration in the making. */
struct draft {
	struct config *config;
	enum config_level level;     /* of what is being applied now */
	char origin[ORIGIN_SIZE];    /* and where it comes from: "--addr", "/etc/x.conf line 12" */
	enum config_level of[LISTS]; /* level that a list comes from */
	char api_origin[ORIGIN_SIZE];
	char *error;
	size_t error_size;
};

struct config_option {
	const char *name;
	const char *argument; /* what --help calls the value; NULL for switches */
	enum option_value value;
	unsigned int from;
	const char *default_value; /* applied first; NULL: nothing is */
	const char *default_note;  /* what --help says instead */
	const char *help;
	/* Returns 0, or -errno with the draft's error set. `value` is never NULL. NULL for what
	 * prints something and ends. */
	int (*set)(struct draft *draft, const char *value);
	/* What such an option prints. */
	void (*print)(struct buffer *out);
	const char *without_value; /* VALUE_OPTIONAL: the value of the plain --name */
};

/* Options under one heading; the last group has no options. */
struct option_group {
	const char *title;
	const struct config_option *options; /* the last one has no name */
};

extern const struct option_group config_option_groups[];

/* for (each option) */
#define FOR_EACH_OPTION(option)                                                                    \
	for (const struct option_group *group_ = config_option_groups; group_->title; group_++)    \
		for (const struct config_option *option = group_->options; option->name; option++)

const struct config_option *option_find(const char *name);
/* "EBPF_SERVER_METRICS_ADDR" for --metrics-addr. */
void option_environment_name(const struct config_option *option, char name[ENVIRONMENT_NAME_SIZE]);
/* The known name nearest to a mistyped one, or NULL when none is near. Only options that may come
 * from `from` count (0: all). */
const char *option_nearest(const char *name, unsigned int from);

/* Applies one value; "" is an error here. */
int option_apply(struct draft *draft, const struct config_option *option, const char *value);

/* The draft's error becomes "ORIGIN: MESSAGE", one line. Returns -EINVAL. */
int draft_fail(struct draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same without an origin. */
int draft_fail_plain(struct draft *draft, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int draft_out_of_memory(struct draft *draft);
void draft_set_origin(struct draft *draft, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "host:port" and its forms. Returns 0, or the draft's error. */
int address_parse(struct draft *draft, const char *text, struct config_address *ret_address);

/* Adds a comma-separated text to a list ("\," stands for a comma in an entry), checked entry by
 * entry; replaces what a weaker level gave. */
int list_add(struct draft *draft, enum config_list list, const char *text,
	     int (*check)(struct draft *draft, const char *entry));
/* Calls `entry` for each entry of such a text. */
int list_split(struct draft *draft, const char *text,
	       int (*entry)(void *context, struct draft *draft, const char *text), void *context);

/* program.parameter=value in one text, or in three. */
int setting_parse(struct draft *draft, const char *text);
int setting_add(struct draft *draft, const char *program, const char *parameter, const char *value);
/* A program's name: letters, digits, '_' and '-'. */
int program_name_check(struct draft *draft, const char *name);

/* Applies the configuration file of draft->config. */
int config_file_apply(struct draft *draft);
/* Applies EBPF_SERVER_* to the draft. */
int environment_apply(struct draft *draft);
/* The value of an option's variable, or NULL: an empty variable counts as none. */
const char *environment_value(const struct config_option *option, char name[ENVIRONMENT_NAME_SIZE]);
/* Logs a warning for each EBPF_SERVER_* variable that is no option's. */
void environment_warn_unknown(void);

void help_print(struct buffer *out);
void version_print(struct buffer *out);

#endif
