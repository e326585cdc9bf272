// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
//
// The floors of a sensor: what the hooks cost when nothing is done in them, and how soon a program can be killed by one that knows only its name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_enter")
int empty_enter(void *context)
{
	return 0;
}

SEC("tp_btf/sys_exit")
int empty_exit(void *context)
{
	return 0;
}

#define SIGKILL 9

SEC("tp_btf/sched_process_exec")
int kill_victim(void *context)
{
	const char victim[16] = "victim";
	char name[16] = {};

	bpf_get_current_comm(name, sizeof(name));
	for (int i = 0; i < 7; i++)
		if (name[i] != victim[i])
			return 0;
	bpf_send_signal(SIGKILL);
	return 0;
}
