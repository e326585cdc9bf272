/*
 * Loads programs of empty.bpf.o and holds them until standard input ends. `ready` on standard output says that they are in the kernel.
 *
 *     bpf-floor OBJECT empty      those on sys_enter and sys_exit that do nothing
 *     bpf-floor OBJECT kill       the one that kills every program called `victim` at its start
 *
 * Build: gcc -O2 -o bpf-floor bpf-floor.c -lbpf
 */
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_wanted(const char *program, const char *mode)
{
	bool is_killer = strcmp(program, "kill_victim") == 0;

	return is_killer == (strcmp(mode, "kill") == 0);
}

int main(int count, char **words)
{
	struct bpf_object *object;
	struct bpf_program *program;
	char byte;

	if (count != 3 || (strcmp(words[2], "empty") != 0 && strcmp(words[2], "kill") != 0)) {
		fprintf(stderr, "usage: bpf-floor OBJECT empty|kill\n");
		return 2;
	}
	object = bpf_object__open_file(words[1], NULL);
	if (!object) {
		perror(words[1]);
		return 1;
	}
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, is_wanted(bpf_program__name(program), words[2]));
	if (bpf_object__load(object) < 0) {
		perror("bpf-floor: load");
		return 1;
	}
	bpf_object__for_each_program(program, object) {
		if (is_wanted(bpf_program__name(program), words[2]) && !bpf_program__attach(program)) {
			perror("bpf-floor: attach");
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	bpf_object__close(object);
	return 0;
}
