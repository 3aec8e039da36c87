/* SPDX-License-Identifier: MIT */
/*
 * Settings: command line over environment (EBPF_SERVER_*) over configuration file (INI: section
 * [server] and one section a program) over defaults. A list given at a higher level replaces the
 * lower one; --set merges parameter by parameter. One const table of options makes the parser,
 * --help, the documentation and the checks (config/options.c).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"

struct config_address {
	char text[80]; /* as given */
	struct sockaddr_storage address;
	socklen_t length;
	bool given; /* asked for, not the default */
	bool loopback;
	bool off; /* "off": no listener (metrics only); nothing else is set then */
};

/* program.parameter=value, as text: the schema knows its type. */
struct config_setting {
	char *program, *parameter, *value;
	char *origin; /* "--set", "EBPF_SERVER_SET", "/etc/x.conf line 12", for messages */
};

/* As programs know it (enum ip_list_mode of programs/include/ip_list.bpf.h). */
enum config_ip_list_mode { IP_LIST_TAG, IP_LIST_ONLY, IP_LIST_DROP };

enum config_print { PRINT_OFF, PRINT_TEXT, PRINT_JSON };

struct config {
	struct config_address api, metrics;
	char *config_file; /* NULL: none */
	char **programs; /* --programs: exactly these (there may be none); NULL: the default ones */
	size_t program_count;
	char **enable, **disable; /* no name is in both */
	size_t enable_count, disable_count;
	/* Where each entry was given, for messages: "--enable", "/etc/x.conf line 12". */
	char **program_origins, **enable_origins, **disable_origins;
	char *program_dir;
	bool program_dir_given; /* asked for, not the default */
	char *data_dir;		/* NULL: nothing is kept */
	bool data_dir_given;
	bool no_history;
	uint64_t history_size;	 /* bytes */
	uint64_t history_age_ns; /* 0: no limit */
	uint64_t flush_ns;
	char **interfaces;
	size_t interface_count;
	struct config_setting *settings;
	size_t setting_count;
	enum config_ip_list_mode ip_list_mode;
	enum config_print print;
	enum log_level log_level;
	size_t memory;	      /* bytes of the hot store */
	uint32_t ring_bytes;  /* of each ring buffer, a power of two; 0: as the program asks */
	uint32_t max_series;  /* of one metric */
	uint32_t max_streams; /* live streams at once */
	bool insecure;
	char *credentials;	  /* file; NULL: everybody may do everything */
	char *tls_cert, *tls_key; /* files; both or none */
	bool protect_metrics;	  /* credentials and TLS for metrics too */
	bool open_loopback;	  /* none for callers on this machine */
	uint64_t query_timeout_ns;
	bool program_stats; /* switch the kernel's run accounting on */
	bool check_config;
};

enum config_outcome {
	CONFIG_RUN,
	CONFIG_EXIT_OK,	   /* --help, --version: printed on standard output */
	CONFIG_EXIT_USAGE, /* one clear line was printed on standard error; exit status 2 */
};

/* Parses everything. On CONFIG_RUN *ret_config is the caller's. Prints what it must. */
enum config_outcome config_parse(int argc, char **argv, struct config **ret_config);
/* The same file again with the same command line (SIGHUP): returns 0 and a new config, or -EINVAL
 * (-ENOMEM) with a line in `error`. */
int config_reload(int argc, char **argv, struct config **ret_config, char *error,
		  size_t error_size);
void config_free(struct config *config);
DEFINE_CLEANUP(config, config_free)

/* Letters, digits, '_' and '-', short enough for the loader's messages, and no word that the
 * configuration needs for itself ("server", "none"). */
bool config_program_name_is_valid(const char *name);
/* True when the program of this name shall run, given whether it does so by default. */
bool config_wants_program(const struct config *config, const char *name, bool by_default);

#endif
