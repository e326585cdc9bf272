// SPDX-License-Identifier: Apache-2.0
// A tree that defends itself: the root forks all the time, and three of its children wake it as soon as it is stopped. The
// first argument is a mark to know it by.
#include <signal.h>
#include <unistd.h>

int main(void)
{
	pid_t root = getpid();

	for (int i = 0; i < 3; i++) {
		if (fork() == 0)
			for (;;)
				kill(root, SIGCONT);
	}
	// Its end, should nobody else bring it about.
	for (int i = 0; i < 2000; i++) {
		if (fork() == 0)
			for (;;)
				pause();
		usleep(3000);
	}
	kill(0, SIGKILL);
}
