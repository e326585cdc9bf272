// SPDX-License-Identifier: Apache-2.0
// The first thread ends, and /proc/PID/stat says `Z` from there on; another one runs. What is named on the command line
// (`sleep 1000`) is started below it.
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static char **words;

static void *live_on(void *unused)
{
	if (words[1] && !strcmp(words[1], "sleep") && fork() == 0)
		execvp(words[1], words + 1);
	for (;;)
		usleep(1000);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	(void)argc;
	words = argv;
	pthread_create(&thread, NULL, live_on, NULL);
	pthread_exit(NULL);
}
