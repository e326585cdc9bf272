/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Where the two architectures keep the number and the arguments of a system call, and how they mark one of the 32-bit ABI.
 *
 * On arm64 the first argument's register holds the result at sys_exit; the kernel keeps the argument in orig_x0.
 */
#ifndef RIPOSTE_ARCH_H
#define RIPOSTE_ARCH_H

#define CALLS_PER_ABI 512	/* of riposte_control.calls: native ones, then those of the 32-bit ABI */

#if defined(__TARGET_ARCH_x86)

#define NR_EXECVE 59
#define NR_EXECVEAT 322
#define NR_EXECVE_COMPAT 11
#define NR_EXECVEAT_COMPAT 358
#define TS_COMPAT 0x2
#define X32_SYSCALL_BIT 0x40000000

static __always_inline s32 call_number(struct pt_regs *regs)
{
	return (s32)regs->orig_ax;
}

/* Is the current task in a call of the 32-bit ABI? */
static __always_inline bool is_compat(void)
{
	struct task_struct *task;

	if (TASK_IS_TYPED) {
		task = bpf_get_current_task_btf();
		return task->thread_info.status & TS_COMPAT;
	}
	task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline void read_arguments(u64 *args, struct pt_regs *regs, bool compat)
{
	if (compat) {
		args[0] = (u32)regs->bx;
		args[1] = (u32)regs->cx;
		args[2] = (u32)regs->dx;
		args[3] = (u32)regs->si;
		args[4] = (u32)regs->di;
		args[5] = (u32)regs->bp;
		return;
	}
	args[0] = regs->di;
	args[1] = regs->si;
	args[2] = regs->dx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
}

#elif defined(__TARGET_ARCH_arm64)

#define NR_EXECVE 221
#define NR_EXECVEAT 281
#define NR_EXECVE_COMPAT 11
#define NR_EXECVEAT_COMPAT 387
#define TIF_32BIT 22

static __always_inline s32 call_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline bool is_compat(void)
{
	struct task_struct *task;

	if (TASK_IS_TYPED) {
		task = bpf_get_current_task_btf();
		return task->thread_info.flags >> TIF_32BIT & 1;
	}
	task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, thread_info.flags) >> TIF_32BIT & 1;
}

static __always_inline void read_arguments(u64 *args, struct pt_regs *regs, bool compat)
{
	args[0] = regs->orig_x0;
	args[1] = regs->regs[1];
	args[2] = regs->regs[2];
	args[3] = regs->regs[3];
	args[4] = regs->regs[4];
	args[5] = regs->regs[5];
	if (compat) {
#pragma unroll
		for (int i = 0; i < 6; i++)
			args[i] = (u32)args[i];
	}
}

#endif

#endif
