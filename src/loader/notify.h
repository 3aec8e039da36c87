/* SPDX-License-Identifier: MIT */
/*
 * Tells a service manager how it goes, where one listens: datagrams to $NOTIFY_SOCKET, as
 * sd_notify(3) describes them. Nothing happens, and nothing fails, where none does. Loader process
 * only.
 */
#ifndef LOADER_NOTIFY_H
#define LOADER_NOTIFY_H

/* "READY=1", "STOPPING=1", several lines separated by newlines. */
void notify_manager(const char *state);

/* A reload begins: "RELOADING=1" with the time that Type=notify-reload asks for. It ends with
 * "READY=1". */
void notify_reloading(void);

#endif
