/* SPDX-License-Identifier: MIT */
#include "pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/memory.h"

#define WAS_UNMOUNTED "was-unmounted"
#define WAS_MODE "was-"
#define SEARCHABLE 0011 /* by group and others: names that are known can be reached */

static int fail(char *error, size_t size, const char *what, int number)
{
	snprintf(error, size, "%s: %s", what, strerror(number));
	return -number;
}

static bool is_bpffs(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 && status.f_type == BPF_FS_MAGIC;
}

static int mark(const struct pins *pins, const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", pins->directory, name);
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* ---- the file system ---- */

static int find_root(struct pins *pins, const char *path, char *error, size_t error_size)
{
	char copy[sizeof(pins->path)];

	if (*path != '/' || strlen(path) >= sizeof(pins->path) || path[strlen(path) - 1] == '/') {
		snprintf(error, error_size, "'%s' is no absolute path of a file", path);
		return -EINVAL;
	}
	snprintf(pins->path, sizeof(pins->path), "%s", path);
	snprintf(pins->directory, sizeof(pins->directory), "%s_state", path);
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(pins->root, sizeof(pins->root), "%s", dirname(copy));
	return 0;
}

static int mount_root(struct pins *pins, char *error, size_t error_size)
{
	if (mount("bpf", pins->root, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0711") < 0) {
		snprintf(error, error_size,
			 "%s is no bpf file system and cannot be mounted: %s (mount -t bpf bpf %s)",
			 pins->root, strerror(errno), pins->root);
		return -errno;
	}
	if (mkdir(pins->directory, 0700) == 0 && mark(pins, WAS_UNMOUNTED) == 0)
		return 0;
	fail(error, error_size, pins->directory, errno);
	umount2(pins->root, MNT_DETACH);
	return -EIO;
}

int pins_open(struct pins *pins, const char *path, bool mount, char *error, size_t error_size)
{
	int r;

	pins->lock = -1;
	r = find_root(pins, path, error, error_size);
	if (r < 0)
		return r;
	if (!is_bpffs(pins->root)) {
		if (!mount)
			return -ENOENT;
		r = mount_root(pins, error, error_size);
		if (r < 0)
			return r;
	}
	pins->lock = open(pins->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock < 0)
		return fail(error, error_size, pins->root, errno);
	if (flock(pins->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		snprintf(error, error_size, "another monitor_ebpf_loader is at work");
		return -EBUSY;
	}
	return fail(error, error_size, pins->root, errno);
}

void pins_close(struct pins *pins)
{
	if (pins->lock >= 0)
		close(TAKE_FD(pins->lock));
}

int pins_check(const struct pins *pins, char *error, size_t error_size)
{
	if (access(pins->path, F_OK) < 0 || access(pins->directory, F_OK) == 0)
		return 0;
	snprintf(error, error_size,
		 "%s is there and was not made by monitor_ebpf_loader: it is left alone",
		 pins->path);
	return -EEXIST;
}

/* ---- undoing ---- */

/* A program that hangs without a link is known by its number. */
static int detach_program(const char *path, unsigned int ifindex, enum interface_hook hook,
			  bool qdisc_ours)
{
	CLOSE int program = bpf_obj_get(path);
	struct interface_link link = INTERFACE_LINK_INIT;
	struct bpf_prog_info info = { .id = 0 };
	uint32_t size = sizeof(info);
	int r;

	if (program < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
		return -errno;
	r = interface_link_find(info.id, ifindex, hook, &link);
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	link.qdisc_ours = qdisc_ours;
	return interface_link_detach(&link);
}

static int detach_link(const char *path)
{
	struct interface_link link = INTERFACE_LINK_INIT;
	int r = interface_link_open_pinned(path, &link);

	if (r == -ENODEV)
		return 0;
	return r < 0 ? r : interface_link_detach(&link);
}

/* "3-0", "3-2-prog", "3-2-prog-qdisc", "was-700", "was-unmounted". */
static int undo(const struct pins *pins, const char *name, unsigned int *interfaces)
{
	char path[sizeof(pins->directory) + NAME_MAX + 2], rest[32] = "";
	unsigned int ifindex, hook;
	int fields, r;

	snprintf(path, sizeof(path), "%s/%s", pins->directory, name);
	if (!strncmp(name, WAS_MODE, strlen(WAS_MODE)))
		return rmdir(path) < 0 ? -errno : 0;
	fields = sscanf(name, "%u-%u%31s", &ifindex, &hook, rest);
	if (fields < 2)
		return -EINVAL;
	if (fields == 2)
		r = detach_link(path);
	else
		r = detach_program(path, ifindex, (enum interface_hook)hook,
				   !strcmp(rest, "-prog-qdisc"));
	if (unlink(path) < 0 && r == 0)
		r = -errno;
	if (r == 0)
		++*interfaces;
	return r;
}

struct found {
	bool mounted;
	bool changed;
	unsigned int mode;
};

static void read_mark(const char *name, struct found *found)
{
	if (!strcmp(name, WAS_UNMOUNTED))
		found->mounted = true;
	else if (sscanf(name, WAS_MODE "%o", &found->mode) == 1)
		found->changed = true;
}

static int undo_all(const struct pins *pins, struct found *found, unsigned int *interfaces,
		    char *error, size_t error_size)
{
	DIR *list = opendir(pins->directory);
	const struct dirent *entry;
	int result = 0;

	if (!list)
		return fail(error, error_size, pins->directory, errno);
	while ((entry = readdir(list))) {
		int r;

		if (entry->d_name[0] == '.')
			continue;
		read_mark(entry->d_name, found);
		r = undo(pins, entry->d_name, interfaces);
		/* The others are undone all the same. */
		if (r < 0 && result == 0) {
			snprintf(error, error_size, "%s/%s: %s", pins->directory, entry->d_name,
				 strerror(-r));
			result = r;
		}
	}
	closedir(list);
	return result;
}

int pins_remove(struct pins *pins, unsigned int *ret_interfaces, char *error, size_t error_size)
{
	struct found found = { .mounted = false };
	int r;

	*ret_interfaces = 0;
	if (access(pins->directory, F_OK) < 0)
		return 0;
	/* Readers stop finding it before anything else goes. */
	if (unlink(pins->path) < 0 && errno != ENOENT)
		return fail(error, error_size, pins->path, errno);
	r = undo_all(pins, &found, ret_interfaces, error, error_size);
	if (r < 0)
		return r;
	if (rmdir(pins->directory) < 0)
		return fail(error, error_size, pins->directory, errno);
	if (found.changed && chmod(pins->root, found.mode) < 0)
		return fail(error, error_size, pins->root, errno);
	if (found.mounted) {
		pins_close(pins);
		/* Somebody else may have come to use it: then it stays. */
		umount2(pins->root, UMOUNT_NOFOLLOW);
	}
	return 0;
}

/* ---- keeping ---- */

int pins_begin(struct pins *pins, char *error, size_t error_size)
{
	if (mkdir(pins->directory, 0700) < 0 && errno != EEXIST)
		return fail(error, error_size, pins->directory, errno);
	return 0;
}

int pins_keep(struct pins *pins, struct interface_link *link, int program, char *error,
	      size_t error_size)
{
	char path[192];
	int r;

	snprintf(path, sizeof(path), "%s/%u-%u%s", pins->directory, link->ifindex,
		 (unsigned int)link->hook,
		 link->fd >= 0	    ? ""
		 : link->qdisc_ours ? "-prog-qdisc"
				    : "-prog");
	if (link->fd >= 0)
		r = interface_link_pin(link, path);
	else
		r = bpf_obj_pin(program, path) < 0 ? -errno : 0;
	if (r < 0)
		return fail(error, error_size, path, -r);
	interface_link_leave(link);
	return 0;
}

/* Where systemd mounts it, only root may search it: then nobody else reaches PIN. */
static int make_searchable(struct pins *pins)
{
	struct stat status;
	char name[32];
	int r;

	if (stat(pins->root, &status) < 0)
		return -errno;
	if ((status.st_mode & SEARCHABLE) == SEARCHABLE)
		return 0;
	snprintf(name, sizeof(name), WAS_MODE "%o", status.st_mode & 07777);
	r = mark(pins, name);
	if (r < 0)
		return r;
	return chmod(pins->root, (status.st_mode & 07777) | SEARCHABLE) < 0 ? -errno : 0;
}

int pins_publish(struct pins *pins, int map, const struct pins_access *access, char *error,
		 size_t error_size)
{
	int r = access->mode & 0077 ? make_searchable(pins) : 0;

	if (r < 0)
		return fail(error, error_size, pins->root, -r);
	if (bpf_obj_pin(map, pins->path) < 0)
		return fail(error, error_size, pins->path, errno);
	if (chown(pins->path, 0, access->group) < 0 || chmod(pins->path, access->mode) < 0)
		return fail(error, error_size, pins->path, errno);
	return 0;
}
