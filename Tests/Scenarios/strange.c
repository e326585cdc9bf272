/*
 * Processes of the kinds that sensors get wrong, each a command; what is started at the end of each is this program again, as `told`, which ends at once.
 *
 *     strange thread PROGRAM WORD          a second thread executes PROGRAM; the process keeps its number
 *     strange deleted PROGRAM WORD         executes PROGRAM, which it has unlinked, by descriptor
 *     strange memfd PROGRAM WORD           executes a copy of PROGRAM in memory
 *     strange chroot FOLDER PROGRAM WORD   changes its root to FOLDER first; PROGRAM is below it
 *     strange user PROGRAM WORD            in a user namespace of its own, in which it is root
 *     strange stranger PROGRAM WORD        the same as user 65534, who is root there
 *     strange nested PROGRAM WORD          as the first process of a pid namespace within a pid namespace
 *     strange deep FOLDER PROGRAM WORD     opens a file in folders below FOLDER that are as deep as a path of 4095 bytes can be
 *     strange long PROGRAM WORD            with an argument of 128 KiB behind WORD
 *     strange short COUNT                  COUNT processes one after the other, each of which ends at once
 *     strange busy COUNT FILE PROGRAM      COUNT times a process that ends at once and 16 opens of FILE, and each eighth time PROGRAM
 *     strange tree FOLDER NAME WORD        opens and executes NAME in a mount of FOLDER that hangs nowhere
 *     strange swap COUNT FILE OTHER        opens FILE COUNT times, by a long path, while another thread puts OTHER in the place of each
 *     strange told …                       ends at once
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void start(const char *program, const char *word)
{
	execl(program, program, "told", word, (char *)NULL);
	fail(program);
}

static char **thread_words;

static void *start_in_thread(void *unused)
{
	start(thread_words[0], thread_words[1]);
	return unused;
}

static void from_thread(char **words)
{
	pthread_t thread;

	thread_words = words;
	if (pthread_create(&thread, NULL, start_in_thread, NULL))
		fail("pthread_create");
	pthread_join(thread, NULL);
}

static void start_descriptor(int file, const char *program, const char *word)
{
	char *words[] = { (char *)program, "told", (char *)word, NULL };

	fexecve(file, words, environ);
	fail("fexecve");
}

static void deleted(char **words)
{
	int file = open(words[0], O_RDONLY | O_CLOEXEC);

	if (file < 0 || unlink(words[0]) < 0)
		fail(words[0]);
	start_descriptor(file, words[0], words[1]);
}

static void from_memory(char **words)
{
	int source = open(words[0], O_RDONLY | O_CLOEXEC), copy = memfd_create("harmless", MFD_CLOEXEC);
	struct stat facts;

	if (source < 0 || copy < 0 || fstat(source, &facts) < 0 || sendfile(copy, source, NULL, facts.st_size) != facts.st_size)
		fail("memfd");
	start_descriptor(copy, words[0], words[1]);
}

static void in_root(char **words)
{
	if (chroot(words[0]) < 0 || chdir("/") < 0)
		fail("chroot");
	start(words[1], words[2]);
}

static void write_to(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		fail(path);
	close(file);
}

static void in_user_namespace(char **words)
{
	if (unshare(CLONE_NEWUSER) < 0)
		fail("unshare");
	write_to("/proc/self/setgroups", "deny");
	/* Whom it is outside is nobody of note. */
	write_to("/proc/self/uid_map", "0 0 1");
	start(words[0], words[1]);
}

static void as_stranger(char **words)
{
	if (setgid(65534) < 0 || setuid(65534) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0)
		fail("unshare");
	write_to("/proc/self/setgroups", "deny");
	write_to("/proc/self/uid_map", "0 65534 1");
	write_to("/proc/self/gid_map", "0 65534 1");
	start(words[0], words[1]);
}

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#define CLONE_OF_TREE 1	/* OPEN_TREE_CLONE */

static void from_tree(char **words)
{
	char *program[] = { words[1], "told", words[2], NULL };
	int tree = syscall(SYS_open_tree, AT_FDCWD, words[0], CLONE_OF_TREE | O_CLOEXEC);

	if (tree < 0 || openat(tree, words[1], O_RDONLY | O_CLOEXEC) < 0)
		fail(words[1]);
	syscall(SYS_execveat, tree, words[1], program, environ, 0);
	fail("execveat");
}

static int innocent, kept;
static atomic_int turn;		/* 0: nobody's; 1: the other thread's; 2: that was the last one; 3: the other thread looks for the file */

/* The first open gets the number behind that of the other file. What was opened is kept: else there was no use in it. */
static void *swap_each(void *unused)
{
	for (;;) {
		while (!atomic_load(&turn))
			sched_yield();
		if (atomic_load(&turn) == 2)
			return unused;
		atomic_store(&turn, 3);
		while ((kept = fcntl(innocent + 1, F_DUPFD_CLOEXEC, 100)) < 0)
			;
		dup3(innocent, innocent + 1, O_CLOEXEC);
		atomic_store(&turn, 0);
	}
}

/* The longer a path is, the longer it takes to look at what was given. */
static void swap(char **words)
{
	static char path[PATH_MAX];
	size_t length = strlen(words[1]), slashes = sizeof(path) - 1 - length;
	pthread_t thread;

	memset(path, '/', slashes);
	memcpy(path + slashes, words[1], length);
	innocent = open(words[2], O_RDONLY | O_CLOEXEC);
	if (innocent < 0 || pthread_create(&thread, NULL, swap_each, NULL))
		fail(words[2]);
	for (long left = atol(words[0]); left > 0; left--) {
		atomic_store(&turn, 1);
		while (atomic_load(&turn) != 3)
			sched_yield();
		if (openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC) != innocent + 1)
			fail(path);
		while (atomic_load(&turn))
			sched_yield();
		close(innocent + 1);
		close(kept);
	}
	atomic_store(&turn, 2);
	pthread_join(thread, NULL);
	exit(0);
}

static int in_child(void (*body)(char **), char **words)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		fail("fork");
	if (child == 0) {
		body(words);
		exit(1);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void start_words(char **words) { start(words[0], words[1]); }

static void in_inner_namespace(char **words)
{
	if (unshare(CLONE_NEWPID) < 0)
		fail("unshare");
	exit(in_child(start_words, words));
}

static void in_outer_namespace(char **words)
{
	if (unshare(CLONE_NEWPID) < 0)
		fail("unshare");
	exit(in_child(in_inner_namespace, words));
}

/* Names of 200 bytes, until no more fit; what is over is the file's. */
static void open_deep(char **words)
{
	static char path[PATH_MAX];
	size_t length = strlen(words[0]), rest;

	memcpy(path, words[0], length);
	while ((rest = PATH_MAX - 1 - length) > 256) {
		path[length] = '/';
		memset(path + length + 1, 'd', 199);
		length += 200;
		path[length] = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			fail("mkdir");
	}
	path[length] = '/';
	memset(path + length + 1, 'f', rest - 1);
	path[PATH_MAX - 1] = 0;
	if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0)
		fail("open");
	start(words[1], words[2]);
}

static void with_long_argument(char **words)
{
	/* MAX_ARG_STRLEN, with its NUL. */
	char *text = malloc(128 << 10);

	memset(text, 'x', (128 << 10) - 1);
	text[(128 << 10) - 1] = 0;
	execl(words[0], words[0], "told", words[1], text, (char *)NULL);
	fail(words[0]);
}

static void short_lives(char **words)
{
	for (long left = atol(words[0]); left > 0; left--) {
		pid_t child = vfork();

		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("vfork");
	}
	exit(0);
}

static void busy(char **words)
{
	for (long left = atol(words[0]); left > 0; left--) {
		pid_t child = vfork();

		if (child == 0) {
			if (left % 8 == 0)
				execl(words[2], words[2], "told", (char *)NULL);
			_exit(0);
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("vfork");
		for (int i = 0; i < 16; i++) {
			int file = open(words[1], O_RDONLY | O_CLOEXEC);

			if (file < 0)
				fail(words[1]);
			close(file);
		}
	}
	exit(0);
}

int main(int count, char **words)
{
	static const struct { const char *name; int words; void (*body)(char **); } commands[] = {
		{ "thread", 2, from_thread }, { "deleted", 2, deleted }, { "memfd", 2, from_memory }, { "chroot", 3, in_root }, { "user", 2, in_user_namespace },
		{ "nested", 2, in_outer_namespace }, { "deep", 3, open_deep }, { "long", 2, with_long_argument }, { "short", 1, short_lives },
		{ "busy", 3, busy }, { "stranger", 2, as_stranger }, { "tree", 3, from_tree }, { "swap", 3, swap },
	};

	if (count > 1 && strcmp(words[1], "told") == 0)
		return 0;
	for (size_t i = 0; count > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(words[1], commands[i].name) == 0 && count == commands[i].words + 2)
			commands[i].body(words + 2);
	}
	fprintf(stderr, "strange: unknown command\n");
	return 2;
}
