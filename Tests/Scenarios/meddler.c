/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One deed each, for the test that meddling with the agent is told, and that what only looks like it is not:
 *
 *     meddler DEED ARGUMENT...
 *
 * Exit status 0: the call did what it says. Harmless: what is opened is not written, who is traced is let go.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif

static int let_go(long pid)
{
	int status;

	waitpid((pid_t)pid, &status, __WALL);
	return ptrace(PTRACE_DETACH, pid, 0, 0) != 0;
}

static int by_id(int command, const char *id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_id = (unsigned int)atol(id);	/* all kinds of ids are in the same place */
	return syscall(SYS_bpf, command, &attr, sizeof(attr)) < 0;
}

static int by_name(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (unsigned long)path;
	return syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)) < 0;
}

int main(int argc, char **argv)
{
	const char *deed = argc > 1 ? argv[1] : "", *one = argc > 2 ? argv[2] : "", *two = argc > 3 ? argv[3] : "";
	long number = atol(one);

	if (!strcmp(deed, "nothing"))
		return 0;
	if (!strcmp(deed, "kill"))
		return kill((pid_t)number, atoi(two)) != 0;
	if (!strcmp(deed, "tgkill"))
		return syscall(SYS_tgkill, number, number, atoi(two)) != 0;
	if (!strcmp(deed, "tkill"))
		return syscall(SYS_tkill, number, atoi(two)) != 0;
	if (!strcmp(deed, "pidfd"))
		return syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, number, 0), atoi(two), NULL, 0) != 0;
	if (!strcmp(deed, "pidfd-of-thread"))
		return syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, number, O_EXCL /* PIDFD_THREAD */), atoi(two), NULL, 0) != 0;
	if (!strcmp(deed, "folder"))
		return syscall(SYS_pidfd_send_signal, open(one, O_RDONLY | O_DIRECTORY), atoi(two), NULL, 0) != 0;
	if (!strcmp(deed, "attach"))
		return ptrace(PTRACE_ATTACH, number, 0, 0) ? 1 : let_go(number);
	if (!strcmp(deed, "seize"))
		return ptrace(PTRACE_SEIZE, number, 0, 0) ? 1 : 0;
	if (!strcmp(deed, "read"))
		return open(one, O_RDONLY) < 0;
	if (!strcmp(deed, "write"))
		return open(one, O_WRONLY) < 0;
	if (!strcmp(deed, "truncate-on-open"))
		return open(one, O_RDONLY | O_TRUNC) < 0;
	if (!strcmp(deed, "write-below")) {
		if (chdir(one))
			return 1;
		return open(two, O_WRONLY) < 0;
	}
	if (!strcmp(deed, "write-memory")) {
		struct iovec nothing = { NULL, 0 };

		return process_vm_writev((pid_t)number, &nothing, 1, &nothing, 1, 0) < 0;
	}
	if (!strcmp(deed, "rename"))
		return rename(one, two) != 0;
	if (!strcmp(deed, "exchange"))
		return syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, 2 /* RENAME_EXCHANGE */) != 0;
	if (!strcmp(deed, "unlink"))
		return unlink(one) != 0;
	if (!strcmp(deed, "unlink-below"))
		return unlinkat(open(one, O_RDONLY | O_DIRECTORY), two, 0) != 0;
	if (!strcmp(deed, "truncate"))
		return truncate(one, 0) != 0;
	if (!strcmp(deed, "link"))
		return link(one, two) != 0;
	if (!strcmp(deed, "symlink"))
		return symlink(one, two) != 0;
	if (!strcmp(deed, "program"))
		return by_id(BPF_PROG_GET_FD_BY_ID, one);
	if (!strcmp(deed, "map"))
		return by_id(BPF_MAP_GET_FD_BY_ID, one);
	if (!strcmp(deed, "bpf-link"))
		return by_id(30 /* BPF_LINK_GET_FD_BY_ID */, one);
	if (!strcmp(deed, "pinned"))
		return by_name(one);
	fprintf(stderr, "meddler: no deed %s\n", deed);
	return 2;
}
