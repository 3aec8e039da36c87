/* SPDX-License-Identifier: MIT */
/* What the loader's files share. One process, one thread. */
#ifndef LOADER_INTERNAL_H
#define LOADER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/interface_link.h"
#include "loader/kernel_features.h"
#include "loader/list_maps.h"
#include "loader/loader.h"
#include "loader/message.h"
#include "schema/schema.h"

struct object;

/* A direction of a named interface, for a program that has functions for it. */
struct attachment {
	char interface[MESSAGE_NAME_SIZE];
	enum interface_direction direction;
	struct interface_link link; /* ifindex 0: not attached */
	unsigned int rank;	    /* of the function that is attached */
	/* Not attached: where that was tried in vain; whether others may make room there. */
	unsigned int refused_by;
	bool refused_for_now;
	char reason[MESSAGE_TEXT_SIZE]; /* why not, or not in a better way; "" */
};

static inline bool attachment_is_attached(const struct attachment *attachment)
{
	return attachment->link.ifindex != 0;
}

/* Its number, for as long as the loader lives, is its place in the table. */
struct program {
	char name[MESSAGE_NAME_SIZE];
	const uint8_t *bytes;
	size_t size;
	/* Of one from the program directory: the file's name there, and the bytes, which are then
	 * the program's own. NULL for built-in ones. */
	char *file;
	uint8_t *file_bytes;
	bool gone;    /* its file; it keeps its number, and comes back with its file */
	bool fresh;   /* just read: the server does not know it yet */
	bool changed; /* fresh in the place of another object, under the same name */
	struct program_schema *schema; /* NULL: the object is faulty, `fault` says how */
	char fault[MESSAGE_TEXT_SIZE];
	int object_fd; /* the bytes as a sealed memfd; -1 when there is no schema */
	bool enabled;
	enum program_status status;
	char error[MESSAGE_TEXT_SIZE];
	struct object *object; /* while it is loaded */
	bool attached;
	/* Of one that attaches to interfaces, while it is loaded: sorted by direction, then in the
	 * order of the configuration. */
	struct attachment *attachments;
	size_t attachment_count;
	bool lacks_interface; /* it is not loaded since none is named */
	/* Values in force, one a parameter of the schema. */
	uint8_t (*values)[MESSAGE_VALUE_SIZE];
};

struct server {
	pid_t pid;  /* 0: there is none */
	int socket; /* -1: there is none, or it broke */
	unsigned int generation;
	unsigned int quick_deaths;	 /* in a row, each soon after its start */
	uint64_t started_at, restart_at; /* boot ns; restart_at 0: not due */
};

struct listeners {
	int api, metrics;
};

struct loader {
	const struct config *config;
	struct config *own_config; /* `config`, once it was read again */
	int argc;
	char **argv;
	server_main_fn server_main;
	struct kernel_features kernel;
	struct program *programs; /* MESSAGE_MAX_PROGRAMS of them */
	size_t program_count;
	const char *program_dir;	 /* as at start: later it changes no more */
	struct stream_account *accounts; /* shared with the server, who may write anything there */
	struct stream_account *books; /* names and past_* of the same, as the loader knows them */
	struct shared_maps *shared;
	struct list_maps *lists;
	unsigned int lists_told; /* bit by bit: by the first server, at its start */
	struct listeners listeners;
	int data_dir;			   /* -1: none */
	const struct config *first_config; /* as at start: where the secrets are changes no more */
	struct credentials *credentials;   /* NULL: none are asked for */
	struct certificate *certificate;   /* NULL: plain HTTP */
	struct server server;
	int signals;	  /* signalfd */
	int interfaces;	  /* word of interfaces that come and go; -1: none is named */
	uint64_t look_at; /* boot ns: when to look at them without a word; 0: not planned */
	int statistics;	  /* keeps the kernel's run accounting switched on; -1: not by us */
	unsigned int possible_cpus;
	uint32_t own_pid; /* loader/own_pid.h; 0: unknown */
	bool ending;
	int exit_status;
};

/* ---- listeners.c ---- */

/* Opens both sockets and logs where they are. 0, or -errno after one line in the log. */
int listeners_open(const struct config *config, struct listeners *ret_listeners);
void listeners_close(struct listeners *listeners);

/* ---- secrets.c: credentials, certificate and key ---- */

/* Reads the files that the configuration names. 0, or -errno with one line in `error`. */
int secrets_open(struct loader *loader, char *error, size_t error_size);
/* After SIGHUP: the same files again, passed on to the server; what cannot be used is logged, and
 * what was in force stays so. */
void secrets_reload(struct loader *loader);
void secrets_close(struct loader *loader);

/* ---- programs.c: the table ---- */

/* Reads every built-in program, and gives each of their streams an account. 0 or -ENOMEM. */
int programs_open(struct loader *loader);
/* Unloads and frees. */
void programs_close(struct loader *loader);
/* Reads the schema of program->bytes under program->name, and makes what the server gets of it. A
 * fault of the object is the program's state; only what ends the loader is returned. */
int program_read(struct program *program);
/* Gives each of a schema's streams an account, where it has none. */
void program_open_accounts(struct loader *loader, const struct program_schema *schema);
/* Unloads, and frees all that an object brought. */
void program_fini(struct program *program);
/* Whether every name and value in a configuration is known and good. 0, or -EINVAL with a line. */
int programs_check(const struct loader *loader, const struct config *config, char *error,
		   size_t error_size);
bool program_is_wanted(const struct program *program, const struct config *config);
/* Defaults, and over them what the (checked) configuration says; `values` has a row a parameter. */
void program_values(const struct program *program, const struct config *config,
		    uint8_t (*values)[MESSAGE_VALUE_SIZE]);
/* Room for program_values(), zeroed; NULL: no memory. Freed by the caller. */
void *program_values_new(const struct program *program);

/* ---- program_dir.c ---- */

/* Brings the table in line with the program directory: what is new or changed is read (`fresh`) and
 * still to be introduced, what is gone is withdrawn. `at_start`: a directory that was asked for has
 * to be there. 0, or -errno after one line in the log. */
int program_dir_read(struct loader *loader, bool at_start);

/* ---- running.c: one program's life; each change is told to the server and logged ---- */

/* Tells the server of a program for the first time, and starts it when it is wanted. Once the
 * configuration in force is put into its values. */
void program_introduce(struct loader *loader, struct program *program, bool wanted);
/* Its file is gone: unloads it and says so. */
void program_withdraw(struct loader *loader, struct program *program);
/* Detaches and closes; its counts are kept. Nothing to do when it is not loaded. */
void program_unload(struct loader *loader, struct program *program);

/* Loads and attaches; nothing to do when it runs. 0, or -errno with the reason in
 * program->error. */
int program_start(struct loader *loader, struct program *program);
void program_stop(struct loader *loader, struct program *program);
/*
 * Puts other values in force. A program that runs is loaded with them beside the one that runs,
 * which goes when the next one is attached; its maps, and so its counts, go on. On failure
 * everything stays as it was; -errno with a line in `error`.
 */
int program_set_values(struct loader *loader, struct program *program,
		       const uint8_t (*values)[MESSAGE_VALUE_SIZE], char *error, size_t error_size);

/* Sets and tells it, with program->error as its text where it has one. */
void program_set_status(struct loader *loader, struct program *program, enum program_status status);

/* ---- interfaces.c: programs that attach to network interfaces ---- */

/*
 * The option names interfaces by name: one that appears is attached to, whenever it does; one that
 * vanishes is waited for again, and so is one that is renamed, which is another interface then.
 * Others' programs are left alone (loader/interface_link.h).
 */

/* Makes a loaded program's list and attaches wherever it can be. 0, or -errno with a line in
 * program->error when no interface takes it and none is missing; the list stays all the same. */
int interfaces_attach(struct loader *loader, struct program *program);
/* Detaches, and forgets the list. */
void interfaces_detach(struct program *program);
/* Puts the functions of another object of the same program in the place of those attached. On
 * failure all are the old ones'; -errno with a line in `error`. */
int interfaces_move(struct program *program, const struct object *next, char *error,
		    size_t error_size);
/* Hears that something changed, and looks what. */
void interfaces_look(struct loader *loader);
/* Milliseconds until it is time to look without having heard anything; -1: it is not. */
int interfaces_timeout(const struct loader *loader);
/* Opens or closes the ear, as the configuration asks. */
void interfaces_watch(struct loader *loader);
/* The list of a program that runs, after another configuration. */
void interfaces_configure(struct loader *loader, struct program *program);

/* ---- interface_words.c ---- */

/* "waits for network interface eth0, eth1" */
void interfaces_name_missing(const struct program *program, char *text, size_t size);
/* "eth0 ingress: has XDP program 7 (other) already, and keeps it; …" */
void interfaces_name_refused(const struct program *program, char *text, size_t size);
/* "xdp native ingress (eth0), …" after what the object says, and why not better. */
void interfaces_describe(const struct program *program, char *hook, size_t hook_size, char *reason,
			 size_t reason_size);

/* ---- announce.c: messages to the server; lost without harm when there is none ---- */

void announce_program(struct loader *loader, const struct program *program);
void announce_parameter(struct loader *loader, const struct program *program, size_t parameter);
void announce_maps(struct loader *loader, const struct program *program);
void announce_interfaces(struct loader *loader, const struct program *program);
void announce_unloaded(struct loader *loader, const struct program *program);
/* The program, its object and its parameters: once to each server. */
void announce_new(struct loader *loader, const struct program *program);
/* Everything there is, to a server that knows nothing; MESSAGE_READY at the end. */
void announce_all(struct loader *loader);
void announce_ready(struct loader *loader);

/* ---- supervise.c ---- */

/* Starts a server. 0, or -errno after one line in the log. */
int server_begin(struct loader *loader);
/* Sends, and when the server does not take it any more, gives it up. */
void server_send(struct loader *loader, const struct message *message, int fd);
/* Ends a server that breaks the rules; server_reap() sees to the rest. */
void server_give_up(struct loader *loader, const char *why);
/* After SIGCHLD: when the server is dead, says how, keeps the accounts right, sets the
 * restart's time. */
void server_reap(struct loader *loader);
/* Starts it again when its time has come. */
void server_restart_when_due(struct loader *loader);
/* Milliseconds until then; -1: no restart is due. */
int server_restart_timeout(const struct loader *loader);
/* Tells it to end and waits: two seconds, or until a second signal. */
void server_end(struct loader *loader);

/* ---- requests.c ---- */

/* Hears one message of the server's. */
void requests_hear(struct loader *loader);
/* Waits until the first server has told its lists, so that no program reports without them. It does
 * so before anything else; one that does not is not waited for longer than a second. */
void requests_await_lists(struct loader *loader);

/* ---- reload.c ---- */

/* SIGHUP: reads the configuration again and applies what changed in it. */
void loader_reload(struct loader *loader);
/* Switches the kernel's run accounting as the configuration asks. */
void loader_apply_statistics(struct loader *loader);

#endif
