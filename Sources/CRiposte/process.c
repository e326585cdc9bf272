// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static int result_or_errno(long result)
{
	return result < 0 ? -errno : (int)result;
}

int riposte_pidfd_open(pid_t pid)
{
	return result_or_errno(syscall(SYS_pidfd_open, pid, 0));
}

int riposte_pidfd_send_signal(int pidfd, int signal)
{
	return result_or_errno(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

pid_t riposte_spawn(char *const argv[], char *const envp[], int output)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = 0;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return -error;
	error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (!error)
		error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	return error ? -error : pid;
}

int riposte_eventfd(void)
{
	return result_or_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}
