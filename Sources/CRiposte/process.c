// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

static int add_stream(posix_spawn_file_actions_t *actions, int given, int descriptor)
{
	if (given < 0)
		return posix_spawn_file_actions_addopen(actions, descriptor, "/dev/null", O_RDWR, 0);
	return posix_spawn_file_actions_adddup2(actions, given, descriptor);
}

static pid_t spawn(char *const argv[], char *const envp[], int input, int output, int error, short flags)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	pid_t pid = 0;
	int code = posix_spawn_file_actions_init(&actions);

	if (code)
		return -code;
	// What we ignore or block, SIGPIPE say, is no business of the child's.
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | flags);
	code = add_stream(&actions, input, 0);
	if (!code)
		code = add_stream(&actions, output, 1);
	if (!code)
		code = add_stream(&actions, error, 2);
	if (!code)
		code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (!code)
		code = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return code ? -code : pid;
}

pid_t riposte_spawn(char *const argv[], char *const envp[], int input, int output, int error)
{
	return spawn(argv, envp, input, output, error, 0);
}

pid_t riposte_spawn_leader(char *const argv[], char *const envp[], int input, int output, int error)
{
	return spawn(argv, envp, input, output, error, POSIX_SPAWN_SETPGROUP);
}

int riposte_eventfd(void)
{
	return result_or_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void riposte_eventfd_set(int descriptor)
{
	eventfd_write(descriptor, 1);
}

int riposte_eventfd_is_set(int descriptor)
{
	struct pollfd poller = { .fd = descriptor, .events = POLLIN };

	return poll(&poller, 1, 0) > 0;
}

void riposte_eventfd_clear(int descriptor)
{
	eventfd_t value;

	eventfd_read(descriptor, &value);
}
