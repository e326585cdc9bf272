/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Refusing calls. Where a reflex acts at the end of a call, the file has been opened, and cut perhaps, or the connection's first packet is out. The hooks of
 * security modules (BPF LSM) ask before that: where an armed reflex surely holds already, its signal is sent here, and the call itself fails with EPERM.
 *
 * They are attached only as long as there is such a reflex. Without them, and wherever they do not decide, everything is as it is without: the end of the
 * call is judged, and the reflex acts there. So whatever is doubtful here lets the call go on: no room, a file that is not the call's own, a budget that
 * is spent, a process that is protected, a reflex that only observes.
 *
 * What the call is stands in the registers that the thread came into the kernel with (bpf_task_pt_regs: 5.15).
 */
#ifndef RIPOSTE_DENY_H
#define RIPOSTE_DENY_H

#define EPERM 1

/* Has a hook refused the call that ends here? It has told of it, and acted. */
static __always_inline bool was_refused(s32 nr)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 thread = bpf_get_current_pid_tgid();
	struct denial *denial = bpf_map_lookup_elem(&denials, &thread);
	bool is_this;

	if (!denial)
		return false;
	is_this = denial->nr == nr && denial->start == BPF_CORE_READ(task, start_boottime);
	bpf_map_delete_elem(&denials, &thread);
	return is_this;
}

/* So that the end of the call is not judged as well. */
static __always_inline void remember_refusal(struct work *work)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 thread = bpf_get_current_pid_tgid();
	struct denial denial = { .start = BPF_CORE_READ(task, start_boottime), .nr = work->nr };

	bpf_map_update_elem(&denials, &thread, &denial, BPF_ANY);
}

/* Judges the call that the room is about, as it would end if it went on. 1: a reflex has acted, and the call is to be refused. */
__noinline int refuse(u32 room)
{
	struct riposte_counters *count = counters_entry();
	struct work *work = work_of(room);
	u32 index;

	if (!work || !count || !work->filter)
		return 0;
	know_call(work);
	if (!judge(room, work, false) || !work->reflex || !act(room))
		return 0;
	remember_refusal(work);
	index = work->index & (RIPOSTE_CALLS - 1);
	count->seen[index]++;
	work->flags |= RIPOSTE_FLAG_DENIED;
	put_call_paths(room);
	put_call_descriptor(room);
	put_call_memory(room);
	send_call(room);
	return 1;
}

/* Is this the kernel's own doing, or something that the thread does for another call than the one that its registers tell of? */
static __always_inline bool is_not_its_own(struct task_struct *task)
{
	/* A file system that opens what lies below it does so in the name of whoever has mounted it. */
	return BPF_CORE_READ(task, flags) & (PF_KTHREAD | PF_IO_WORKER) || BPF_CORE_READ(task, cred) != BPF_CORE_READ(task, real_cred);
}

/* Takes a room for the call that the current thread is in, if a reflex may want to refuse it; ROOMS: let it go on. */
static __always_inline u32 begin_refusal(u32 before)
{
	struct riposte_control *settings = control_entry();
	const struct riposte_call *call;
	struct riposte_filter *filter;
	struct task_struct *task;
	struct pt_regs *regs;
	struct work *work;
	u32 index, generation, set, number, room;
	bool compat;
	s32 nr;

	if (!settings)
		return ROOMS;
	task = bpf_get_current_task_btf();
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	nr = call_number(regs);
	compat = is_compat();
	index = call_index(&nr, compat);
	if (index >= RIPOSTE_CALLS)
		return ROOMS;
	generation = settings->generation;
	set = generation & 1;
	BOUND(index, RIPOSTE_CALLS - 1);
	call = &settings->calls[set][index];
	if (!(call->wanted & RIPOSTE_WANTED_RULES))
		return ROOMS;
	if (before == RIPOSTE_BEFORE_OPEN ? call->kind != RIPOSTE_CALL_OPEN : !(call->flags & RIPOSTE_CALL_CONNECT))
		return ROOMS;
	number = set * RIPOSTE_FILTERS + (call->filter & (RIPOSTE_FILTERS - 1));
	filter = bpf_map_lookup_elem(&filters, &number);
	if (!filter || !(filter->before & before))
		return ROOMS;
	if (bpf_get_current_pid_tgid() >> 32 == settings->self || is_not_its_own(task))
		return ROOMS;
	room = take_room(ROOM_BEFORE);
	work = work_of(room);
	if (!work)
		return ROOMS;
	begin_call(work, call, regs, nr, index, generation, compat, before == RIPOSTE_BEFORE_OPEN ? RIPOSTE_DENIED_RESULT : 0);
	work->before = before;
	/* What comes of a success is for its end. */
	work->call.wanted = RIPOSTE_WANTED_RULES;
	return room;
}

/*
 * The file was found, and made if it had to be, and its driver has not heard of it; it is cut behind this. Not asked for O_PATH. Since 5.7.
 */
SEC("lsm/file_open")
int BPF_PROG(riposte_file_open, struct file *file)
{
	u32 room = begin_refusal(RIPOSTE_BEFORE_OPEN);
	struct work *work = work_of(room);
	int refused;

	if (!work)
		return 0;
	/* A number of what the verifier knows as a pointer; global functions take no other. */
	bpf_probe_read_kernel(&work->file, sizeof(work->file), &ctx[0]);
	work->file_tried = 1;
	refused = refuse(room);
	leave_room(work);
	return refused ? -EPERM : 0;
}

/*
 * The address is in the kernel's memory, and nothing was sent. Another socket than the one that the call names is that of a request of io_uring which
 * is carried out meanwhile, or another thread has exchanged the descriptor. Since 5.7.
 */
SEC("lsm/socket_connect")
int BPF_PROG(riposte_connect, struct socket *socket, struct sockaddr *address, int length)
{
	u32 room = begin_refusal(RIPOSTE_BEFORE_CONNECT);
	struct work *work = work_of(room);
	u64 number = 0, from = 0;
	int refused = 0;

	if (!work)
		return 0;
	bpf_probe_read_kernel(&number, sizeof(number), &ctx[0]);
	bpf_probe_read_kernel(&from, sizeof(from), &ctx[1]);
	resolve_descriptor(room);
	if (work->sock && work->socket == number) {
		work->address_tried = 1;
		if (length > ADDRESS_BYTES)
			length = ADDRESS_BYTES;
		if (length >= (int)sizeof(u16))
			work->address_at = put_kernel_bytes(room, RIPOSTE_ITEM_ADDRESS, from, length, 0);
		work->address_length = length;
		refused = refuse(room);
	}
	leave_room(work);
	return refused ? -EPERM : 0;
}

#endif
