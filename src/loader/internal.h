/* SPDX-License-Identifier: MIT */
/* What the loader's files share. One process, one thread. */
#ifndef LOADER_INTERNAL_H
#define LOADER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/kernel_features.h"
#include "loader/list_maps.h"
#include "loader/loader.h"
#include "loader/message.h"
#include "schema/schema.h"

struct object;

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
	int data_dir; /* -1: none */
	struct server server;
	int signals;	/* signalfd */
	int statistics; /* keeps the kernel's run accounting switched on; -1: not by us */
	unsigned int possible_cpus;
	bool ending;
	int exit_status;
};

/* ---- listeners.c ---- */

/* Opens both sockets and logs where they are. 0, or -errno after one line in the log. */
int listeners_open(const struct config *config, struct listeners *ret_listeners);
void listeners_close(struct listeners *listeners);

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

/* ---- announce.c: messages to the server; lost without harm when there is none ---- */

void announce_program(struct loader *loader, const struct program *program);
void announce_parameter(struct loader *loader, const struct program *program, size_t parameter);
void announce_maps(struct loader *loader, const struct program *program);
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
