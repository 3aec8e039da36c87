/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "config/config.h"
#include "loader/loader.h"
#include "server.h"

#define EXIT_USAGE 2

int main(int argc, char **argv)
{
	CLEANUP(config) struct config *config = NULL;

	switch (config_parse(argc, argv, &config)) {
	case CONFIG_EXIT_OK:
		return EXIT_SUCCESS;
	case CONFIG_EXIT_USAGE:
		return EXIT_USAGE;
	case CONFIG_RUN:
		break;
	}
	log_set_level(config->log_level);
	return loader_run(config, argc, argv, server_main);
}
