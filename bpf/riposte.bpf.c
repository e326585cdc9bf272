// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The kernel side of Riposte's sensor: four hooks, in two ways to be called, which describe what happens in the terms of riposte_sensor.h, two more that refuse (riposte_deny.h), and
 * those that see requests of io_uring (riposte_requests.h), which are an object of their own, built from the same (RIPOSTE_REQUESTS).
 *
 * Needs 5.8 (ring buffers, bpf_ktime_get_boot_ns) and BTF of the kernel. What is asked of system calls is in tables that user space fills in, by number;
 * the programs know no system call by name but execve and execveat.
 */
#include "riposte_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "../Sources/CRiposte/include/riposte_sensor.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "riposte_maps.h"
#include "riposte_arch.h"
#include "riposte_items.h"
#include "riposte_paths.h"
#include "riposte_tasks.h"
#include "riposte_files.h"
#include "riposte_sockets.h"
#include "riposte_filter.h"

/* ---------------------------------------------------------------- building and sending */

/* A new event in the room; what is of a call is filled in already. */
static __always_inline void begin_event(struct work *work, u32 flags)
{
	work->size = sizeof(struct riposte_event);
	work->flags = flags;
	work->path1_at = 0;
	work->path1_tried = 0;
	work->path2_at = 0;
	work->path2_tried = 0;
	work->file_path_tried = 0;
	work->walked_file = 0;
	work->cgroup = 0;
	work->kernel_path_at = 0;
	work->address_at = 0;
	work->address_tried = 0;
	work->exe_at = 0;
	work->arguments_at = 0;
	work->environment_at = 0;
	work->reflex = 0;
	work->outcome = 0;
	work->skipped = 0;
}

/* Nothing of a call. */
static __always_inline void begin_state_event(struct work *work)
{
	begin_event(work, 0);
#pragma unroll
	for (int i = 0; i < 6; i++)
		work->args[i] = 0;
	work->result = 0;
	work->nr = -1;
	work->fd = -1;
	work->fd_known = 0;
	work->file_tried = 0;
	work->file = 0;
	work->sock = 0;
}

/*
 * The last eighth of a ring is for what reflexes do: whoever floods the ring with anything else must not be able to take their evidence away.
 */
static __always_inline bool has_room(void *ring, struct work *work)
{
	u64 size = bpf_ringbuf_query(ring, BPF_RB_RING_SIZE);

	return work->outcome == RIPOSTE_REFLEX_SENT || bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) + work->size <= size - size / 8;
}

static __always_inline long send(void *ring, struct work *work, struct event *event, u32 kind, u64 wake)
{
	u64 size = work->size;

	if (size > RIPOSTE_EVENT_BYTES)
		return -1;
	LAUNDER(size);
	if (size < sizeof(struct riposte_event) || !has_room(ring, work))
		return -1;
	((struct riposte_event *)event->bytes)->kind = kind;
	return bpf_ringbuf_output(ring, event->bytes, size, wake);
}

/*
 * Whether the reader is to be woken for a state event. To wake it costs the host more than all else that is done for the start of a program, and what only
 * the process table wants to know is in time with the next event that a rule may match: whoever reads that one reads what came before it first. The reader
 * looks by itself once a second, and well before the ring is full. In a hurry is what rules may match, and the first program of a cgroup that user space
 * has not classified, whose container's facts are to be fetched.
 *
 * What has to be heard of is always told by force: by itself the kernel wakes nobody for a record behind others that were not taken.
 */
static __always_inline u64 wake_for_state(struct event *event, u32 kind, u32 hurry)
{
	u64 cgroup = ((struct riposte_event *)event->bytes)->cgroup;

	if (!hurry && (kind == RIPOSTE_EVENT_EXEC || kind == RIPOSTE_EVENT_FORK) && cgroup)
		hurry = !bpf_map_lookup_elem(&cgroups, &cgroup);
	if (!hurry)
		hurry = bpf_ringbuf_query(&state_events, BPF_RB_AVAIL_DATA) > bpf_ringbuf_query(&state_events, BPF_RB_RING_SIZE) / 8;
	return hurry ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* The header tells the size of it all. */
__noinline int send_state(u32 room, u64 task, u32 kind, u32 hurry)
{
	struct riposte_counters *count = counters_entry();
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	long failed;

	if (!work || !event || !count)
		return 0;
	put_header(room, task);
	if (kind == RIPOSTE_EVENT_UPDATE || kind == RIPOSTE_EVENT_EXIT)
		put_new_cgroup(room);
	failed = send(&state_events, work, event, kind, wake_for_state(event, kind, hurry));
	kind &= 7;
	if (failed) {
		count->state_dropped[kind]++;
		miss_reflex(work);
	} else {
		count->state_passed[kind]++;
	}
	return 0;
}

__noinline int send_call(u32 room)
{
	struct riposte_counters *count = counters_entry();
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u32 index;
	long failed;

	if (!work || !event || !count)
		return 0;
	put_header(room, bpf_get_current_task());
	put_new_cgroup(room);
	if (work->flags & RIPOSTE_FLAG_REQUEST)
		put_name(room);
	failed = send(&call_events, work, event, RIPOSTE_EVENT_SYSCALL, 0);
	work->sent = !failed;
	index = work->index & (RIPOSTE_CALLS - 1);
	if (failed) {
		count->dropped[index]++;
		miss_reflex(work);
	} else {
		count->passed[index]++;
	}
	return 0;
}

/* ---------------------------------------------------------------- system calls */

/* Items about paths that were passed. */
__noinline int put_call_paths(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u32 at;

	if (!work || !event)
		return 0;
	put_path1(room);
	at = work->path1_at;
	BOUND(at, 0x7fff);
	if (at && (event->bytes[at] != '/' || !work->path1_length))
		put_base(room, work, RIPOSTE_ITEM_BASE1, work->call.base1);
	if (work->call.path2 < 0)
		return 0;
	put_path2(room);
	at = work->path2_at;
	BOUND(at, 0x7fff);
	if (at && (event->bytes[at] != '/' || !work->path2_length))
		put_base(room, work, RIPOSTE_ITEM_BASE2, work->call.base2);
	return 0;
}

/* Items about what the descriptor refers to. */
__noinline int put_call_descriptor(u32 room)
{
	struct work *work = work_of(room);

	if (!work)
		return 0;
	resolve_descriptor(room);
	if (work->file) {
		if (work->sock) {
			put_socket(room);
		} else {
			put_file(room, RIPOSTE_ITEM_FILE, work->file, 0);
			put_file_path(room);
		}
	}
	if (work->call.flags & RIPOSTE_CALL_OLD_FD)
		put_file(room, RIPOSTE_ITEM_OLD_FILE, file_of((s32)work->args[0]), 0);
	return 0;
}

/* Items in user memory. */
__noinline int put_call_memory(u32 room)
{
	struct work *work = work_of(room);
	s32 number;
	u64 size = 64;

	if (!work)
		return 0;
	put_address(room);
	put_data(room);
	number = work->call.extra;
	if (number < 0)
		return 0;
	if (number < 5) {
		size = work->args[(number + 1) & 7];
		if (!size || size > 64)
			size = 64;
	}
	put_user_bytes(room, RIPOSTE_ITEM_EXTRA, work->args[number & 7], size);
	return 0;
}

/* UPDATE: the process table is told what has changed. */
__noinline int send_update(u32 room)
{
	u64 task = bpf_get_current_task();
	struct work *work = work_of(room);

	if (!work)
		return 0;
	begin_event(work, work->flags);
	put_process(room, task, 0);
	put_directory(room);
	send_state(room, task, RIPOSTE_EVENT_UPDATE, 0);
	begin_event(work, work->flags & RIPOSTE_FLAG_COMPAT);
	return 0;
}

/*
 * Flags and mode of an open. creat has neither argument; those of openat2 are in user memory, where another thread may have changed them since, so of what
 * the kernel keeps with the file that counts.
 */
static __always_inline void know_open(struct work *work)
{
	if (work->call.flags & RIPOSTE_CALL_OPEN_HOW) {
		u64 how[2];

		if (work->flags & RIPOSTE_FLAG_REQUEST) {
			/* A copy of the kernel's own. */
			if (bpf_probe_read_kernel(how, sizeof(how), (void *)work->how))
				return;
		} else if (bpf_probe_read_user(how, sizeof(how), (void *)argument(work, work->call.extra))) {
			return;
		} else if (work->result >= 0) {
			struct file *file;

			find_file(work);
			file = (struct file *)work->file;
			if (!file)
				return;
			how[0] = (how[0] & FLAGS_OF_CALL) | (BPF_CORE_READ(file, f_flags) & ~FLAGS_OF_CALL);
			if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
				how[0] |= O_CREAT;
		}
		know(work, RIPOSTE_NUMBER_OPEN_FLAGS, how[0]);
		know(work, RIPOSTE_NUMBER_OPEN_MODE, how[1]);
		return;
	}
	if (work->call.open_flags < 0)
		know(work, RIPOSTE_NUMBER_OPEN_FLAGS, O_CREAT | O_WRONLY | O_TRUNC);
	else
		know(work, RIPOSTE_NUMBER_OPEN_FLAGS, (u32)argument(work, work->call.open_flags));
	if (work->call.open_mode >= 0)
		know(work, RIPOSTE_NUMBER_OPEN_MODE, (u32)argument(work, work->call.open_mode));
}

/* What the filter is told of a call for nothing. */
static __always_inline void know_call(struct work *work)
{
	work->values[RIPOSTE_NUMBER_RESULT] = work->result;
#pragma unroll
	for (int i = 0; i < 6; i++)
		work->values[RIPOSTE_NUMBER_ARG0 + i] = work->args[i];
	work->values[RIPOSTE_NUMBER_NR] = work->nr;
	work->values[RIPOSTE_NUMBER_FD] = work->fd;
	work->known = 0x7f | SOURCE(NR);
	if (work->call.fd != -1)
		work->known |= SOURCE(FD);
	if (work->call.kind == RIPOSTE_CALL_OPEN)
		know_open(work);
}

/* Judges what the room is about, and sends what rules may match. */
__noinline int take_event(u32 room)
{
	struct riposte_control *settings = control_entry();
	struct work *work = work_of(room);

	if (!work || !settings)
		return 0;
	if (work->filter) {
		know_call(work);
		if (!judge(room, work, false) && !settings->filters_off)
			return 0;
		/* Once a call, however many messages it has sent. */
		if (work->has_acted)
			work->reflex = 0;
		if (work->reflex)
			work->has_acted = act(room);
	}
	put_call_paths(room);
	put_call_descriptor(room);
	put_call_memory(room);
	send_call(room);
	return 0;
}

/* Messages behind the first. More than 1024 of them (UIO_MAXIOV) no call moves. */
#define MESSAGES_PER_PIECE 32
#define MESSAGE_PIECES 32

/* Takes those from `from` on; 1: that were all. */
__noinline int take_messages(u32 room, u32 from)
{
	struct work *work = work_of(room);

	if (!work || from > 1024)
		return 1;
	for (u32 i = 0; i < MESSAGES_PER_PIECE; i++) {
		LAUNDER(i);	/* else the compiler counts to `from` + 32, which has no end that a verifier before 6.18 could see */
		if ((s64)(from + i) >= work->result)
			return 1;
		begin_event(work, work->flags & RIPOSTE_FLAG_COMPAT);
		work->message = from + i;
		take_event(room);
	}
	return 0;
}

/* A call that rules may match, or that changes what the process table keeps. */
static __always_inline void take_call(u32 room, struct work *work, struct riposte_control *settings)
{
	struct riposte_counters *count = counters_entry();
	u32 index;

	if (!count)
		return;
	index = work->index;
	BOUND(index, RIPOSTE_CALLS - 1);
	count->seen[index]++;
	if (work->call.wanted & RIPOSTE_WANTED_BY_PATH && !settings->filters_off && is_harmless(room))
		return;
	if (work->call.flags & RIPOSTE_CALL_CONNECT && was_interrupted(work->result))
		see_interrupted_connect(room);
	if (work->call.flags & (RIPOSTE_CALL_CONNECT | RIPOSTE_CALL_ACCEPT | RIPOSTE_CALL_BIND))
		remember_role(room);
	if (work->call.wanted & RIPOSTE_WANTED_STATE && work->result >= 0)
		send_update(room);
	if (!(work->call.wanted & RIPOSTE_WANTED_RULES))
		return;
	take_event(room);
	if (!(work->call.flags & RIPOSTE_CALL_MESSAGES))
		return;
	/* Each is an event: one that goes where it should hides none that does not. */
	for (u32 piece = 0; piece < MESSAGE_PIECES; piece++) {
		if (take_messages(room, 1 + piece * MESSAGES_PER_PIECE))
			return;
	}
}

/* Where a call of this number stands in the call table; RIPOSTE_CALLS: nowhere. */
static __always_inline u32 call_index(s32 *nr, bool compat)
{
	u32 index;

	if (!compat)
		*nr = native_number(*nr);
	index = *nr;
	if (index >= CALLS_PER_ABI)
		return RIPOSTE_CALLS;
	return compat ? index + CALLS_PER_ABI : index;
}

/* The room is about the call that work->call describes now, with the arguments in work->args. */
static __always_inline void begin_with_arguments(struct work *work, s32 nr, u32 index, u32 generation, u32 flags, s64 result)
{
	work->result = result;
	work->nr = nr;
	work->index = index;
	work->generation = generation;
	work->filter = work->call.filter & (RIPOSTE_FILTERS - 1);
	work->fd = -1;
	if (work->call.fd == -2)
		work->fd = result < 0 ? -1 : (s32)result;
	else if (work->call.fd >= 0)
		work->fd = (s32)work->args[work->call.fd & 7];
	if (work->fd < 0 && work->fd != AT_FDCWD)
		work->fd = -1;
	work->fd_known = 0;
	work->file_tried = 0;
	work->file = 0;
	work->sock = 0;
	work->message = 0;
	work->before = 0;
	work->has_acted = 0;
	begin_event(work, flags);
	/* Another thread may put something else in its place at any moment: first of all what came of the call. */
	if (work->call.fd == -2)
		find_file(work);
}

/* The room is about this call now. */
static __always_inline void begin_call(struct work *work, const struct riposte_call *call, struct pt_regs *regs, s32 nr, u32 index, u32 generation, bool compat, s64 result)
{
	work->call = *call;
	read_arguments(work->args, regs, compat);
	begin_with_arguments(work, nr, index, generation, compat ? RIPOSTE_FLAG_COMPAT : 0, result);
}

#ifdef RIPOSTE_REQUESTS
#include "riposte_requests.h"
#else
#include "riposte_deny.h"

/*
 * sys_exit, and not sys_enter: here the result is known, and with it the file that was opened; user memory that the call has read is in place, and paths
 * can be compared with what the kernel made of them. Since 4.17 with registers as its argument, as tp_btf since 5.5.
 *
 * It misses what never comes back: exit, and a successful execve, which has its own hook; requests of io_uring, which are no system calls and have theirs; and a text in
 * user memory that another thread has changed since the kernel read it, which is why for successful opens the kernel's own path counts as well.
 */
static __always_inline void see_call(struct pt_regs *regs, s64 result)
{
	struct riposte_control *settings = control_entry();
	const struct riposte_call *call;
	struct work *work;
	s32 nr = call_number(regs);
	u32 index, generation, set;
	bool compat;

	if (!settings)
		return;
	compat = is_compat();
	index = call_index(&nr, compat);
	if (index >= RIPOSTE_CALLS)
		return;
	/* Whatever is wanted by now: nothing that it says may be left over for another call. */
	if (result == -EPERM && was_refused(nr))
		return;
	generation = settings->generation;
	set = generation & 1;
	BOUND(index, RIPOSTE_CALLS - 1);
	call = &settings->calls[set][index];
	if (!call->wanted)
		return;
	if (call->kind == RIPOSTE_CALL_EXEC && !result)
		return;
	if (bpf_get_current_pid_tgid() >> 32 == settings->self)
		return;
	work = work_of(ROOM_CALL);
	if (!work)
		return;
	begin_call(work, call, regs, nr, index, generation, compat, result);
	take_call(ROOM_CALL, work, settings);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(riposte_sys_exit, struct pt_regs *regs, long result)
{
	IN_ONE_PIECE;
	see_call(regs, result);
	return 0;
}

/* ---------------------------------------------------------------- processes */

/* ITEM_EXE, ITEM_EXE_PATH of the current task, ITEM_PATH1. */
__noinline int put_program(u32 room, u64 name)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct work *work = work_of(room);
	u64 file;

	if (!work)
		return 0;
	file = number_of(BPF_CORE_READ(task, mm, exe_file));
	if (put_file(room, RIPOSTE_ITEM_EXE, file, may_write(file) ? RIPOSTE_FILE_WRITABLE : 0))
		know(work, RIPOSTE_NUMBER_EXE_FLAGS, work->file_flags);
	work->exe_at = put_path(room, RIPOSTE_ITEM_EXE_PATH, path_of(file), 0);
	work->exe_length = work->item_length;
	if (work->flags & RIPOSTE_FLAG_CUT)
		work->exe_at = 0;	/* without its beginning it proves nothing */
	work->path1_tried = 1;
	work->path1_at = put_kernel_text(room, RIPOSTE_ITEM_PATH1, name);
	work->path1_length = work->item_length;
	return 0;
}

/* ITEM_ARGUMENTS or ITEM_ENVIRONMENT: the strings lie one behind the other on the new stack. */
static __always_inline u32 put_strings(u32 room, struct work *work, u32 type, u64 from, u64 to)
{
	if (to <= from)
		return put_empty(room, type);
	if (to - from > RIPOSTE_TEXT_BYTES) {
		to = from + RIPOSTE_TEXT_BYTES;
		work->flags |= RIPOSTE_FLAG_CUT;
	}
	return put_user_bytes(room, type, from, to - from);
}

/* What the program was started with. */
static __always_inline void put_start(u32 room, struct work *work, struct mm_struct *mm)
{
	work->arguments_at = put_strings(room, work, RIPOSTE_ITEM_ARGUMENTS, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
	work->arguments_length = work->item_length;
	know_argument_head(room);
	work->environment_at = put_strings(room, work, RIPOSTE_ITEM_ENVIRONMENT, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
	work->environment_length = work->item_length;
}

/* A start is always handed up; what rules may match, at once. */
static __always_inline void count_start(struct work *work, bool passes)
{
	struct riposte_counters *count = counters_entry();
	u32 index = work->index;

	if (!count)
		return;
	BOUND(index, RIPOSTE_CALLS - 1);
	count->seen[index]++;
	if (passes)
		count->passed[index]++;
}

/*
 * sched_process_exec: the new program is in place, its credentials too, and it has not run an instruction; whichever call, ABI or interpreter started it.
 * Tells of successes only; failures are the end of a system call. As tp_btf since 5.5.
 *
 * A reflex here kills the program before it does anything. The threads that execve ended have their own exits.
 *
 * `name`: the address of what the program was called by. `by_descriptor`: by execveat, which made that name up; x86 writes execve's number over its.
 */
static __always_inline void see_start(u64 name, bool by_descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct riposte_control *settings = control_entry();
	struct work *work = work_of(ROOM_EXEC);
	bool compat, hurry;

	if (!settings || !work || bpf_get_current_pid_tgid() >> 32 == settings->self)
		return;
	compat = is_compat();
	begin_state_event(work);
	if (compat)
		work->flags = RIPOSTE_FLAG_COMPAT;
	if (by_descriptor)
		work->nr = compat ? NR_EXECVEAT_COMPAT : NR_EXECVEAT;
	else
		work->nr = compat ? NR_EXECVE_COMPAT : NR_EXECVE;
	work->index = by_descriptor ? NR_EXECVEAT : NR_EXECVE;
	work->generation = settings->generation;
	work->call = settings->calls[work->generation & 1][by_descriptor ? NR_EXECVEAT : NR_EXECVE];
	work->filter = work->call.filter & (RIPOSTE_FILTERS - 1);
	work->call.kind = RIPOSTE_CALL_EXEC;
	work->call.path1 = -1;
	work->call.address = -1;
	work->values[RIPOSTE_NUMBER_RESULT] = 0;
	work->values[RIPOSTE_NUMBER_NR] = work->nr;
	work->known = SOURCE(RESULT) | SOURCE(NR);

	put_program(ROOM_EXEC, name);
	put_start(ROOM_EXEC, work, BPF_CORE_READ(task, mm));
	hurry = work->call.wanted & RIPOSTE_WANTED_RULES && (!work->filter || settings->filters_off);
	if (work->filter) {
		if (judge(ROOM_EXEC, work, true))
			hurry = true;
		if (work->reflex)
			act(ROOM_EXEC);
	}
	count_start(work, hurry);
	put_process(ROOM_EXEC, bpf_get_current_task(), 0);
	put_directory(ROOM_EXEC);
	put_cgroup(ROOM_EXEC, bpf_get_current_task());
	send_state(ROOM_EXEC, bpf_get_current_task(), RIPOSTE_EVENT_EXEC, hurry);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(riposte_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
	IN_ONE_PIECE;
	see_start(number_of(BPF_CORE_READ(program, filename)), bpf_core_field_exists(program->fdpath) && BPF_CORE_READ(program, fdpath));
	return 0;
}

/*
 * sched_process_fork: the child is complete and has not run; clone, clone3, fork, vfork and threads alike, and those of the kernel. As tp_btf since 5.5.
 *
 * `address`: the child's, a number and not what the verifier knows as a pointer; global functions take no other.
 */
static __always_inline void see_fork(u64 address)
{
	struct task_struct *parent = (void *)bpf_get_current_task(), *child = (void *)address;
	struct riposte_control *settings = control_entry();
	struct work *work = work_of(ROOM_FORK);
	u32 tgid = BPF_CORE_READ(child, tgid);
	u64 clone_flags = 0;

	if (!settings || !work || tgid == settings->self)
		return;
	begin_state_event(work);
	work->args[0] = BPF_CORE_READ(parent, pid);
	work->args[1] = BPF_CORE_READ(parent, tgid);
	work->args[2] = BPF_CORE_READ(parent, group_leader, start_boottime);
	if (tgid == work->args[1])
		clone_flags |= CLONE_THREAD;
	if (BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm))
		clone_flags |= CLONE_VM;
	put_process(ROOM_FORK, address, clone_flags);
	if (tgid == BPF_CORE_READ(child, pid))
		put_cgroup(ROOM_FORK, address);
	send_state(ROOM_FORK, address, RIPOSTE_EVENT_FORK, 0);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(riposte_fork, struct task_struct *parent, struct task_struct *child)
{
	IN_ONE_PIECE;
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &ctx[1]);
	see_fork(address);
	return 0;
}

/*
 * sched_process_exit: each thread's end, by itself or by a signal; it still has its names and numbers here. As tp_btf since 5.5.
 *
 * signal->live has been counted down before, so the last thread to come here knows that it is; another may still be on its way out.
 */
static __always_inline void see_end(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct riposte_control *settings = control_entry();
	struct work *work = work_of(ROOM_EXIT);

	if (!settings || !work)
		return;
	if (BPF_CORE_READ(task, tgid) == settings->self) {
		/* Whoever gets its number next is somebody else. */
		if (!BPF_CORE_READ(task, signal, live.counter)) {
			settings->unattended = 1;
			settings->self = 0;
		}
		return;
	}
	begin_state_event(work);
	work->result = BPF_CORE_READ(task, exit_code);
	if (!BPF_CORE_READ(task, signal, live.counter))
		work->flags = RIPOSTE_FLAG_LAST_THREAD;
	send_state(ROOM_EXIT, bpf_get_current_task(), RIPOSTE_EVENT_EXIT, settings->exits_judged);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(riposte_exit, struct task_struct *task)
{
	IN_ONE_PIECE;
	see_end();
	return 0;
}

#ifdef RIPOSTE_TYPED
/* ---------------------------------------------------------------- kernels that preempt tracepoints */

/*
 * The same by perf's tracepoints, which run with preemption off on every kernel. From 7.0 on a program of type tp_btf may be preempted, already between the
 * kernel's note that it is under way on this CPU and its first instruction; until it goes on the kernel passes it over for all others there: of six tasks that
 * do nothing but call, a quarter of the calls. What the programs need is in the record, or can be reached from the current task.
 */
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

SEC("tp/raw_syscalls/sys_exit")
int riposte_call_tp(struct trace_event_raw_sys_exit *record)
{
	see_call((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()), record->ret);
	return 0;
}

/* The record says nothing of the call. What execveat makes up for a descriptor begins like this, and hardly any other name. (fs/exec.c) */
SEC("tp/sched/sched_process_exec")
int riposte_exec_tp(struct trace_event_raw_sched_process_exec *record)
{
	u64 name = number_of(record) + (record->__data_loc_filename & 0xffff);
	char start[8] = "";

	bpf_probe_read_kernel(start, sizeof(start), (void *)name);
	see_start(name, *(u64 *)start == *(u64 *)"/dev/fd/");
	return 0;
}

SEC("tp/sched/sched_process_fork")
int riposte_fork_tp(struct trace_event_raw_sched_process_fork *record)
{
	struct task_struct *child = bpf_task_from_pid(record->child_pid);

	if (!child)
		return 0;
	see_fork(number_of(child));
	bpf_task_release(child);
	return 0;
}

SEC("tp/sched/sched_process_exit")
int riposte_exit_tp(void *record)
{
	see_end();
	return 0;
}
#endif

#endif
