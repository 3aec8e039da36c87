/* SPDX-License-Identifier: MIT */
/* The unprivileged half, put together: store, pipeline, API, sinks. */
#ifndef SERVER_H
#define SERVER_H

#include "loader/loader.h"

/* Runs in the confined child until the loader goes or asks for the end; a server_main_fn. Returns
 * the process's exit status. */
int server_main(const struct server_start *start);

#endif
