/* SPDX-License-Identifier: MIT */
/* What callers are asked for and shown at the API's doors: credentials and certificate, as the
 * loader read them, at the start and again after SIGHUP. Server process. */
#ifndef DOORS_H
#define DOORS_H

#include "access/access.h"
#include "access/certificate.h"
#include "loader/loader.h"
#include "pipeline/control.h"

struct doors {
	struct access *access; /* NULL: nobody is asked for credentials */
	struct tls *tls;       /* NULL: plain HTTP */
};

#define DOORS __attribute__((cleanup(doors_close))) struct doors

/* Takes what the start brought; from control_run() on, what the loader reads later takes its place.
 * `doors` stays where it is. Returns 0 or -ENOMEM. */
int doors_open(struct doors *doors, const struct server_start *start, struct control *control);
void doors_close(struct doors *doors);

#endif
