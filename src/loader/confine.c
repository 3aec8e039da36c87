/* SPDX-License-Identifier: MIT */
#include "loader/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/memory.h"
#include "loader/message.h"

#define SERVER_USER "ebpf-server"
/* Where there is no passwd file: what the kernel itself shows for "no such id". */
#define NOBODY 65534

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif
#ifndef SYS_landlock_add_rule
#define SYS_landlock_add_rule 445
#endif
#define LANDLOCK_VERSION_FLAG 1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define LANDLOCK_BENEATH 1	 /* LANDLOCK_RULE_PATH_BENEATH */

#define MOUNT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int fail(char *error, size_t error_size, int number, const char *what, const char *advice)
{
	message_format(error, error_size, "%s: %s%s", what, strerror(number), advice);
	return -number;
}

/* ---- descriptors ---- */

/* Kernels before 5.9 have no close_range(2). */
static void close_one_by_one(unsigned int first, unsigned int last)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned int fd = first; fd <= last && fd < limit.rlim_cur; fd++)
		close((int)fd);
}

static void close_between(unsigned int first, unsigned int last)
{
	if (first <= last && syscall(SYS_close_range, first, last, 0u) < 0)
		close_one_by_one(first, last);
}

int confine_descriptors(const int *kept, size_t count)
{
	unsigned int next = STDERR_FILENO + 1;

	for (;;) {
		unsigned int lowest = UINT32_MAX;

		for (size_t i = 0; i < count; i++) {
			if (kept[i] >= (int)next && (unsigned int)kept[i] < lowest)
				lowest = (unsigned int)kept[i];
		}
		if (lowest == UINT32_MAX)
			break;
		close_between(next, lowest - 1);
		if (fcntl((int)lowest, F_GETFD) < 0)
			return -errno;
		next = lowest + 1;
	}
	close_between(next, UINT32_MAX);
	return 0;
}

/* ---- file system ---- */

/* The local file only: a name service could block, or answer from the network. */
struct confine_identity confine_identity(void)
{
	struct confine_identity identity = { .user = NOBODY, .group = NOBODY };
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;

	if (!file)
		return identity;
	while ((entry = fgetpwent(file))) {
		bool own = !strcmp(entry->pw_name, SERVER_USER);

		if ((!own && strcmp(entry->pw_name, "nobody")) || entry->pw_uid == 0)
			continue;
		identity =
			(struct confine_identity){ .user = entry->pw_uid, .group = entry->pw_gid };
		if (own)
			break;
	}
	fclose(file);
	return identity;
}

/* The old root goes wholly where pivot_root(2) can (not from an initramfs); else chroot(2)
 * hides it, which holds since no descriptor outside and no CAP_SYS_CHROOT remain. */
static int change_root(const char *directory)
{
	if (chdir(directory) < 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return -errno;
	} else if (chroot(".") < 0) {
		return -errno;
	}
	return chdir("/") < 0 ? -errno : 0;
}

/* Its path may have come to mean something else since it was opened. */
static bool is_same_file(int a, int b)
{
	struct stat first, second;

	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

/* The descriptor from outside would lead back there, by "..": it is exchanged for one within. */
static int enter_directory(struct confine_directory *directory)
{
	CLOSE int within =
		open(CONFINE_DIRECTORY_PATH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (within < 0)
		return -errno;
	if (!is_same_file(within, directory->fd))
		return -ESTALE;
	close(directory->fd);
	directory->fd = TAKE_FD(within);
	directory->path = CONFINE_DIRECTORY_PATH;
	return 0;
}

/* In `root`, a file system of this process's own. */
static int show_directory(const char *root, const char *path)
{
	char place[32];

	snprintf(place, sizeof(place), "%s" CONFINE_DIRECTORY_PATH, root);
	if (mkdir(place, 0555) < 0 || mount(path, place, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | MOUNT_FLAGS, NULL) < 0)
		return -errno;
	return 0;
}

static int make_root(const char *place, struct confine_directory *directory)
{
	static const char options[] = "size=4k,mode=0555";
	int r = 0;

	if (mount("ebpf-server", place, "tmpfs", MOUNT_FLAGS, options) < 0)
		return -errno;
	if (directory)
		r = show_directory(place, directory->path);
	if (r == 0 && mount(NULL, place, NULL, MS_REMOUNT | MS_RDONLY | MOUNT_FLAGS, options) < 0)
		r = -errno;
	if (r == 0)
		r = change_root(place);
	return r < 0 || !directory ? r : enter_directory(directory);
}

static int empty_root(struct confine_directory *directory)
{
	/* Any directory that is there will do: the mount is seen by this process alone. */
	static const char *const places[] = { "/proc", "/sys", "/tmp", "/run" };
	int r = -ENOENT;

	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(places) && r < 0; i++)
		r = make_root(places[i], directory);
	return r;
}

/* Every file-system right that the running kernel can refuse is refused, but beneath the one
 * directory: rules are what allows, and there are no others. Rights by ABI: linux/landlock.h; 13
 * in the first, REFER, TRUNCATE, and IOCTL_DEV in the second, third and fifth. */
static uint64_t landlock_rights(long abi)
{
	unsigned int count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	return (1ULL << count) - 1;
}

static int landlock_allow(int ruleset, uint64_t rights, int directory)
{
	/* struct landlock_path_beneath_attr */
	struct {
		uint64_t rights;
		int32_t directory;
	} __attribute__((packed)) rule = { .rights = rights, .directory = directory };

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_BENEATH, &rule, 0u) < 0)
		return -errno;
	return 0;
}

static int landlock_everything(const struct confine_directory *directory)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_VERSION_FLAG);
	uint64_t handled; /* struct landlock_ruleset_attr of the first ABI */
	CLOSE int ruleset = -1;

	if (abi < 0)
		return -errno;
	handled = landlock_rights(abi);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0u);
	if (ruleset < 0)
		return -errno;
	if (directory && landlock_allow(ruleset, handled, directory->fd) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, ruleset, 0u) < 0 ? -errno : 0;
}

/* ---- identity and capabilities ---- */

/* Best effort: needs CAP_SETPCAP, and without capabilities and with no_new_privs the set gives
 * nothing any more. */
static void drop_bounding_set(void)
{
	for (unsigned long capability = 0; capability < 64; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0UL, 0UL, 0UL) < 0 && errno == EINVAL)
			break;
	}
}

/* A process that is somebody else than root already, and may not change that, stays who it is. */
static int change_identity(struct confine_identity identity)
{
	if (setgroups(0, NULL) == 0 &&
	    setresgid(identity.group, identity.group, identity.group) == 0 &&
	    setresuid(identity.user, identity.user, identity.user) == 0)
		return 0;
	if (errno == EPERM && getuid() != 0 && geteuid() != 0)
		return 0;
	return -errno;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	/* Kernels before 4.3 have no ambient set. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int forbid_inspection(void)
{
	if (prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) < 0)
		return -errno;
	return setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 }) < 0 ? -errno : 0;
}

/* The kernel forgets the signal when credentials change, so this comes after they did. */
static int follow_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM, 0UL, 0UL, 0UL) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

int confine(pid_t parent, struct confine_directory *directory, char *error, size_t error_size)
{
	/* Before the file system is gone. */
	struct confine_identity identity = confine_identity();
	int root = empty_root(directory);
	int r;

	drop_bounding_set();
	r = change_identity(identity);
	if (r < 0)
		return fail(error, error_size, -r, "giving up root",
			    " (needs CAP_SETUID and CAP_SETGID)");
	r = drop_capabilities();
	if (r < 0)
		return fail(error, error_size, -r, "dropping capabilities", "");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0)
		return fail(error, error_size, errno, "no_new_privs", "");
	if (root < 0 && (r = landlock_everything(directory)) < 0)
		return fail(error, error_size, -root, "an empty root",
			    " (needs CAP_SYS_ADMIN, or a kernel with Landlock)");
	r = forbid_inspection();
	if (r < 0)
		return fail(error, error_size, -r, "core dumps", "");
	r = follow_parent(parent);
	if (r < 0)
		return fail(error, error_size, -r, "the loader", "");
	return 0;
}
