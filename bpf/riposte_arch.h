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
#define NR_SOCKET 41
#define NR_CONNECT 42
#define NR_SENDTO 44
#define NR_SENDMSG 46
#define NR_BIND 49
#define NR_LISTEN 50
#define NR_OPENAT 257
#define NR_MKDIRAT 258
#define NR_UNLINKAT 263
#define NR_LINKAT 265
#define NR_SYMLINKAT 266
#define NR_ACCEPT4 288
#define NR_RENAMEAT2 316
#define NR_OPENAT2 437
#define O_LARGEFILE 0100000
#define NR_EXECVE_COMPAT 11
#define NR_EXECVEAT_COMPAT 358
#define TS_COMPAT 0x2
#define X32_SYSCALL_BIT 0x40000000

static __always_inline s32 call_number(struct pt_regs *regs)
{
	return (s32)regs->orig_ax;
}

/*
 * Calls of the x32 ABI, where the kernel has it, are native ones with a bit in their number; those that take structures with pointers in them have numbers
 * of their own. (arch/x86/entry/syscalls/syscall_64.tbl)
 */
static __always_inline s32 native_number(s32 nr)
{
	if (!(nr & X32_SYSCALL_BIT))
		return nr;
	nr &= ~X32_SYSCALL_BIT;
	switch (nr) {
	case 514: return 16;	/* ioctl */
	case 515: return 19;	/* readv */
	case 516: return 20;	/* writev */
	case 517: return 45;	/* recvfrom */
	case 518: return 46;	/* sendmsg */
	case 519: return 47;	/* recvmsg */
	case 520: return NR_EXECVE;
	case 521: return 101;	/* ptrace */
	case 524: return 129;	/* rt_sigqueueinfo */
	case 528: return 246;	/* kexec_load */
	case 532: return 278;	/* vmsplice */
	case 534: return 295;	/* preadv */
	case 535: return 296;	/* pwritev */
	case 536: return 297;	/* rt_tgsigqueueinfo */
	case 537: return 299;	/* recvmmsg */
	case 538: return 307;	/* sendmmsg */
	case 539: return 310;	/* process_vm_readv */
	case 540: return 311;	/* process_vm_writev */
	case 541: return 54;	/* setsockopt */
	case 542: return 55;	/* getsockopt */
	case 545: return NR_EXECVEAT;
	case 546: return 327;	/* preadv2 */
	case 547: return 328;	/* pwritev2 */
	}
	return nr;
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
#define NR_MKDIRAT 34
#define NR_UNLINKAT 35
#define NR_SYMLINKAT 36
#define NR_LINKAT 37
#define NR_OPENAT 56
#define NR_SOCKET 198
#define NR_BIND 200
#define NR_LISTEN 201
#define NR_CONNECT 203
#define NR_SENDTO 206
#define NR_SENDMSG 211
#define NR_ACCEPT4 242
#define NR_RENAMEAT2 276
#define NR_OPENAT2 437
#define O_LARGEFILE 0400000
#define NR_EXECVE_COMPAT 11
#define NR_EXECVEAT_COMPAT 387
#define TIF_32BIT 22

static __always_inline s32 call_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline s32 native_number(s32 nr)
{
	return nr;
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
