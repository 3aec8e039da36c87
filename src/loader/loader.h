/* SPDX-License-Identifier: MIT */
/*
 * The privileged half. Opens the listening sockets, starts the server process and starts it again
 * when it dies, loads and attaches programs, passes descriptors, answers the server's requests,
 * and undoes everything at the end. Reads no network and no file but its configuration and program
 * objects.
 *
 * Lives in the process that the user started (one thread). The server is a fork of it that gives
 * up every privilege (loader/confine.h) before it looks at anything from outside, and dies with
 * it.
 */
#ifndef LOADER_LOADER_H
#define LOADER_LOADER_H

#include "access/certificate.h"
#include "access/credentials.h"
#include "config/config.h"
#include "loader/message.h"
#include "loader/shared_list.h"

/* What the server process starts with; all descriptors are its own. */
struct server_start {
	const struct config *config;
	int socket;	       /* to the loader */
	int api_listener;      /* listening TCP socket, non-blocking, shared */
	int metrics_listener;  /* the same; -1 when off, or when the default port was taken */
	int kallsyms;	       /* /proc/kallsyms, opened with privilege; -1: unreadable */
	int kernel_btf;	       /* /sys/kernel/btf/vmlinux; -1 when there is none */
	int data_dir;	       /* --data-dir, as the server sees it; -1: none */
	const char *data_path; /* its absolute path for the server; NULL: none */
	/* The lists that are in force, left by the server before. */
	struct shared_list_image lists[SHARED_LISTS];
	int statm;		    /* own memory figures: /proc/self/statm; -1: unavailable */
	unsigned int possible_cpus; /* values of a per-CPU map entry; libbpf knows it too by now */
	struct credentials *credentials; /* given to the server; NULL: nobody is asked for any */
	struct certificate *certificate; /* the same; NULL: plain HTTP */
	uint32_t own_pid; /* of the loader, as programs see it (loader/own_pid.h); 0: unknown */
	struct stream_account *accounts; /* STREAM_ACCOUNTS of them, shared */
	unsigned int generation;	 /* 0 for the first server, then one more each restart */
};

/* The server's main: runs in the child, confined, until the loader goes or sends SIGTERM.
 * Begins with SIGTERM, SIGINT, SIGHUP and SIGCHLD blocked. Returns the exit status; whatever it
 * is, a server that ends without having been told to is started again. */
typedef int (*server_main_fn)(const struct server_start *start);

/* Runs until a signal ends it. `argc` and `argv` are main's, read again on SIGHUP. Returns the
 * process's exit status: 0 after SIGTERM or SIGINT (and after --check-config), 2 after wrong
 * usage and 1 after another failure; both have said so in one line. */
int loader_run(const struct config *config, int argc, char **argv, server_main_fn server_main);

#endif
