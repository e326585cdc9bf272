// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

int riposte_open_regular_below(int root, const char *path)
{
	// O_PATH takes hold of the file without opening it.
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	struct stat facts;
	char name[32];
	int file, result;
	int place = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (place < 0)
		return -errno;
	if (fstat(place, &facts) < 0) {
		result = -errno;
	} else if (!S_ISREG(facts.st_mode)) {
		result = -EINVAL;
	} else {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
		file = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		result = file < 0 ? -errno : file;
	}
	close(place);
	return result;
}

long riposte_write_now(int file, const void *bytes, size_t count)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = count };
	ssize_t written = pwritev2(file, &part, 1, -1, RWF_NOWAIT);

	return written < 0 ? -errno : written;
}
