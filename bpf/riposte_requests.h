/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Requests of io_uring as the calls that they stand for: what opens, connects or renames by a ring makes no system call that does so. A request becomes an
 * event like the end of a call, with the number and the arguments that the call would have had, and is judged by the same tables. No reflex acts for one:
 * it may be carried out by a thread of the kernel's, at any time.
 *
 * The hooks are the functions that the kernel keeps in a table, one for each operation, so that a compiler can inline none; their names and their parameters
 * are the same since 6.0. The tracepoints of io_uring would be fewer, but that of the end is passed over for whoever asks for no completion
 * (IOSQE_CQE_SKIP_SUCCESS), and that of the submission knows no result.
 *
 * Of each function the beginning and the end: when it ends, the kernel has forgotten the names and the descriptor. Both are only a jump into one program for
 * all, so that the verifier looks at what judges once. Where a function gives anything else than 0 the request is not at its end: it is tried again by a
 * worker (-EAGAIN), or goes on by itself. What it has done by then is told at once, as nobody may ever try again: a handshake that goes on, and a part that was sent.
 *
 * What it misses: operations that are not here; each connection of an accept that goes on for more than one (its function never ends with 0 and a result), and
 * the parts of a bundle of sends that does not come to its end; names, where more threads are in the middle of such a request than the maps have room for, which is
 * counted; and what is under way before the hooks are there.
 *
 * They are an object of their own on the maps of the other: to prepare them takes libbpf longer than there is time for at the start, and where a kernel does
 * not take them the rest is there.
 *
 * fentry, fexit and tail calls from them: 5.5; on arm64 6.4.
 */
#ifndef RIPOSTE_REQUESTS_H
#define RIPOSTE_REQUESTS_H

/* enum io_uring_op, an interface to user space. */
enum {
	OP_SENDMSG = 9,
	OP_ACCEPT = 13,
	OP_CONNECT = 16,
	OP_OPENAT = 18,
	OP_SEND = 26,
	OP_OPENAT2 = 28,
	OP_RENAMEAT = 35,
	OP_UNLINKAT = 36,
	OP_MKDIRAT = 37,
	OP_SYMLINKAT = 38,
	OP_LINKAT = 39,
	OP_SOCKET = 45,
	OP_SEND_ZC = 47,
	OP_SENDMSG_ZC = 48,
	OP_BIND = 56,
	OP_LISTEN = 57,
};

#define REQ_F_FIXED_FILE 1	/* IOSQE_FIXED_FILE */
#define SEND_VECTORIZED 32	/* IORING_SEND_VECTORIZED: what is sent lies in vectors, 6.17 */
#define EAGAIN 11

/*
 * Requests whose function is being carried out, by thread. LRU: a thread may be told of no end where the hooks are taken away. Each processor takes 128 free
 * entries for itself, so user space gives these maps room for more than that on each, and that of long names for some.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);	/* bpf_get_current_pid_tgid() */
	__type(value, struct request);
} requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct request_names);
} request_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, u64);
	__type(value, struct request_long_names);
} request_long SEC(".maps");

/*
 * Requests that will be tried again, by whichever thread: by then the kernel has forgotten the descriptor. By struct io_kiocb *; nobody tells of one that is
 * called off, so another request may lie there next.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct request_try);
} request_tries SEC(".maps");

/* What the hooks of requests lead into: riposte_request_begin, riposte_request_end. User space fills them in. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} request_begin SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} request_end SEC(".maps");

/* The native call that does the same; -1: none that is known here. */
static __always_inline s32 request_number(u32 operation)
{
	switch (operation) {
	case OP_OPENAT: return NR_OPENAT;
	case OP_OPENAT2: return NR_OPENAT2;
	case OP_CONNECT: return NR_CONNECT;
	case OP_SOCKET: return NR_SOCKET;
	case OP_BIND: return NR_BIND;
	case OP_LISTEN: return NR_LISTEN;
	case OP_ACCEPT: return NR_ACCEPT4;
	case OP_UNLINKAT: return NR_UNLINKAT;
	case OP_RENAMEAT: return NR_RENAMEAT2;
	case OP_MKDIRAT: return NR_MKDIRAT;
	case OP_SYMLINKAT: return NR_SYMLINKAT;
	case OP_LINKAT: return NR_LINKAT;
	case OP_SENDMSG:
	case OP_SENDMSG_ZC: return NR_SENDMSG;
	case OP_SEND:
	case OP_SEND_ZC: return NR_SENDTO;
	}
	return -1;
}

/* Has it a file that it works on? Others make one, or have names. */
static __always_inline bool works_on_file(u32 operation)
{
	switch (operation) {
	case OP_CONNECT:
	case OP_BIND:
	case OP_LISTEN:
	case OP_ACCEPT:
	case OP_SENDMSG:
	case OP_SENDMSG_ZC:
	case OP_SEND:
	case OP_SEND_ZC: return true;
	}
	return false;
}

static __always_inline bool sends(u32 operation)
{
	return operation == OP_SEND || operation == OP_SEND_ZC || operation == OP_SENDMSG || operation == OP_SENDMSG_ZC;
}

/* Where what the operation has of its own lies. */
static __always_inline u64 command_of(u64 address)
{
	return address + bpf_core_field_offset(struct io_kiocb, file);
}

/* The request whose function is called here: the first argument, as a number. */
static __always_inline u64 request_of(void *context)
{
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), context);
	return address;
}

/* The call table's entry for a request that rules may match; its index, or RIPOSTE_CALLS. */
static __always_inline u32 wanted_index(struct riposte_control *settings, u64 address, u32 *operation)
{
	u32 generation = settings->generation, set = generation & 1, index;
	s32 nr;

	*operation = MEMBER(struct io_kiocb, address, opcode);
	nr = request_number(*operation);
	if (nr < 0)
		return RIPOSTE_CALLS;
	index = nr;
	BOUND(index, RIPOSTE_CALLS - 1);
	if (!(settings->calls[set][index].wanted & RIPOSTE_WANTED_RULES))
		return RIPOSTE_CALLS;
	return index;
}

/* Nothing of a request may stay behind its function: it would take the room of those that are in the middle of theirs. */
static __always_inline void forget_thread(u64 thread)
{
	bpf_map_delete_elem(&requests, &thread);
	bpf_map_delete_elem(&request_names, &thread);
	bpf_map_delete_elem(&request_long, &thread);
}

/* ---------------------------------------------------------------- the beginning */

/* One of the names of an operation whose own part lies at `command`. */
#define NAME(type, command, member) \
	(bpf_core_field_exists(struct type##___delayed, member) ? MEMBER(struct type##___delayed, command, member.__incomplete_filename) \
								: MEMBER(struct type, command, member))

/*
 * Where the names are, in the kernel's own copies. They go with the request: no other thread can change them any more. The second of two, or 0; false: it has
 * no names.
 */
static __always_inline bool find_names(u64 address, u32 operation, u64 *first, u64 *second)
{
	u64 command = command_of(address);
	struct filename *one, *other = NULL;

	switch (operation) {
	case OP_OPENAT:
	case OP_OPENAT2:
		one = NAME(io_open, command, filename);
		break;
	case OP_UNLINKAT:
		one = NAME(io_unlink, command, filename);
		break;
	case OP_MKDIRAT:
		one = NAME(io_mkdir, command, filename);
		break;
	case OP_RENAMEAT:
		one = NAME(io_rename, command, oldpath);
		other = NAME(io_rename, command, newpath);
		break;
	case OP_SYMLINKAT:
	case OP_LINKAT:
		one = NAME(io_link, command, oldpath);
		other = NAME(io_link, command, newpath);
		break;
	default:
		return false;
	}
	*first = (u64)BPF_CORE_READ(one, name);
	*second = other ? (u64)BPF_CORE_READ(other, name) : 0;
	return true;
}

/* Keeps the names of a request that begins. What the thread has left of another one must not be taken for them. */
__noinline int note_names(u32 room, u64 address, u32 operation)
{
	u64 thread = bpf_get_current_pid_tgid(), first, second;
	struct request_long_names *names;
	struct request_names *brief;
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	long one, other = 1;

	if (!work || !event || !find_names(address, operation, &first, &second))
		return 0;
	/* No event is built here: there is room for something else. */
	brief = (struct request_names *)event->bytes;
	brief->start = work->request.start;
	brief->address = address;
	brief->text[1][0] = 0;
	one = bpf_probe_read_kernel_str(brief->text[0], SHORT_TEXT, (void *)first);
	if (second)
		other = bpf_probe_read_kernel_str(brief->text[1], SHORT_TEXT, (void *)second);
	if (one > 0 && one < SHORT_TEXT && other > 0 && other < SHORT_TEXT && !bpf_map_update_elem(&request_names, &thread, brief, BPF_ANY))
		return 0;
	bpf_map_delete_elem(&request_names, &thread);
	names = (struct request_long_names *)event->bytes;
	names->text[1][0] = 0;
	one = bpf_probe_read_kernel_str(names->text[0], RIPOSTE_PATH_BYTES, (void *)first);
	if (second)
		other = bpf_probe_read_kernel_str(names->text[1], RIPOSTE_PATH_BYTES, (void *)second);
	if (one <= 0 || other <= 0 || bpf_map_update_elem(&request_long, &thread, names, BPF_ANY))
		bpf_map_delete_elem(&request_long, &thread);
	return 0;
}

/* Does the kernel keep a copy of the address for it in a message? Since 6.10; a kernel is taken for such a one by what came with 6.11. */
static __always_inline bool has_message(u32 operation)
{
	return bpf_core_type_exists(struct io_bind) && sends(operation);
}

/*
 * The address that it is for: the kernel's copy, or, before that, what the kernel copies next, which for a connect is the socket's in the end. Where the kernel
 * keeps those of connect and bind differs between releases of one version.
 */
static __always_inline void read_target(struct request *request, u64 address, u32 operation)
{
	u64 command = command_of(address), async = (u64)MEMBER(struct io_kiocb, address, async_data), from = 0;
	bool is_copy = has_message(operation);
	u32 length = 0;

	if (is_copy) {
		if (!async || !MEMBER(struct io_async_msghdr, async, msg.msg_name))
			return;
		length = MEMBER(struct io_async_msghdr, async, msg.msg_namelen);
		from = async + bpf_core_field_offset(struct io_async_msghdr, addr);
	} else if (operation == OP_CONNECT) {
		length = MEMBER(struct io_connect, command, addr_len);
		from = (u64)MEMBER(struct io_connect, command, addr);
	} else if (bpf_core_field_exists(struct io_sr_msg___address, addr) && (operation == OP_SEND || operation == OP_SEND_ZC)) {
		length = MEMBER(struct io_sr_msg___address, command, addr_len);
		from = (u64)MEMBER(struct io_sr_msg___address, command, addr);
		/* Of one that was handed in behind another, or is tried again, there is a copy. */
		is_copy = from && async;
		if (is_copy)
			from = async + bpf_core_field_offset(struct io_async_msghdr, addr);
	}
	if (!from || (s32)length < (s32)sizeof(u16))
		return;
	if (length > ADDRESS_BYTES)
		length = ADDRESS_BYTES;
	if (is_copy ? bpf_probe_read_kernel(request->target, ADDRESS_BYTES, (void *)from) : bpf_probe_read_user(request->target, length, (void *)from))
		return;
	request->target_length = length;
}

/* Has an earlier try of a connect begun a handshake? The kernel clears that in each request that is handed in. */
static __always_inline bool goes_on(u64 address)
{
	return bpf_core_field_exists(struct io_connect, in_progress) && MEMBER(struct io_connect, command_of(address), in_progress);
}

/*
 * What an earlier try has left: once a request has waited for its file, 0 stands where the descriptor did. Of another request that lay here no more is taken than a
 * descriptor of the same file; that something was told counts for a send which has sent a part already, and for a connect that goes on and leads to the same end.
 * Where the kernel does not know the latter, a connect is told twice rather than never.
 */
static __always_inline void recall_try(struct request *request, u32 operation)
{
	u64 address = request->address;
	struct request_try *known = bpf_map_lookup_elem(&request_tries, &address), try;

	if (!known)
		return;
	request->is_again = 1;
	bpf_probe_read_kernel(&try, sizeof(try), known);
	if (try.worked_on != request->worked_on || bpf_map_lookup_elem(&request_tries, &address) != known)
		return;
	if (!request->fd)
		request->fd = try.fd;
	if (sends(operation) && !MEMBER(struct io_sr_msg, command_of(address), done_io))
		return;
	if (operation == OP_CONNECT && !goes_on(address))
		return;
	request->told = try.told;
	request->peer[0] = try.peer[0];
	request->peer[1] = try.peer[1];
	request->peer[2] = try.peer[2];
	/* The caller may have something else there by now. */
	if (operation == OP_CONNECT) {
		__builtin_memcpy(request->target, try.target, sizeof(try.target));
		request->target_length = try.target_length;
	}
}

/* Nothing is known of it yet. */
static __always_inline void begin_request_anew(struct request *request)
{
	request->file = 0;
	request->worked_on = 0;
	request->fd = RIPOSTE_NO_DESCRIPTOR;
	request->target_length = 0;
	request->told = 0;
	request->is_again = 0;
}

/* What there will be no more when it ends. */
__noinline int note_request(u32 room, u64 address, u32 operation)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 thread = bpf_get_current_pid_tgid();
	struct work *work = work_of(room);
	struct request *request;

	if (!work)
		return 0;
	request = &work->request;
	request->start = BPF_CORE_READ(task, start_boottime);
	request->address = address;
	begin_request_anew(request);
	if (works_on_file(operation)) {
		request->worked_on = number_of(MEMBER(struct io_kiocb, address, file));
		if (!(MEMBER(struct io_kiocb, address, flags) & REQ_F_FIXED_FILE))
			request->fd = MEMBER(struct io_kiocb, address, cqe.fd);
		recall_try(request, operation);
		if (!request->target_length)
			read_target(request, address, operation);
	}
	if (bpf_map_update_elem(&requests, &thread, request, BPF_ANY))
		bpf_map_delete_elem(&requests, &thread);
	return 0;
}

SEC("fentry/io_openat2")
int riposte_request_begin(u64 *ctx)
{
	IN_ONE_PIECE;
	struct riposte_control *settings = control_entry();
	u64 address = request_of(ctx);
	u32 operation, room;
	struct work *work;

	if (!settings || bpf_get_current_pid_tgid() >> 32 == settings->self || wanted_index(settings, address, &operation) >= RIPOSTE_CALLS)
		return 0;
	room = take_room(ROOM_REQUEST);
	work = work_of(room);
	if (!work) {
		forget_thread(bpf_get_current_pid_tgid());
		bpf_map_delete_elem(&request_tries, &address);
		return 0;
	}
	note_request(room, address, operation);
	note_names(room, address, operation);
	leave_room(work);
	return 0;
}

/* A file that gets no descriptor, but a place in the ring's own table. Called within the function of whatever has made it. */
SEC("fentry/io_fixed_fd_install")
int riposte_request_install(u64 *ctx)
{
	IN_ONE_PIECE;
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 thread = bpf_get_current_pid_tgid();
	struct request *known = bpf_map_lookup_elem(&requests, &thread), request;

	if (!known)
		return 0;
	/* A copy, which is put in its place whole: by now the entry may be another thread's. */
	bpf_probe_read_kernel(&request, sizeof(request), known);
	if (request.address != request_of(ctx) || request.start != BPF_CORE_READ(task, start_boottime))
		return 0;
	bpf_probe_read_kernel(&request.file, sizeof(request.file), &ctx[2]);
	bpf_map_update_elem(&requests, &thread, &request, BPF_ANY);
	return 0;
}

/* ---------------------------------------------------------------- the end */

/* work->request, as noted; false where it is not there any more. */
static __always_inline bool recall(struct work *work, u64 address, u64 thread, u64 start)
{
	struct request *known = bpf_map_lookup_elem(&requests, &thread);
	struct request *request = &work->request;

	if (known && !bpf_probe_read_kernel(request, sizeof(*request), known) && request->address == address && request->start == start &&
	    bpf_map_lookup_elem(&requests, &thread) == known)
		return true;
	request->start = start;
	request->address = address;
	begin_request_anew(request);
	return false;
}

static __always_inline bool is_of_32_bits(u64 address)
{
	struct io_ring_ctx *ring = MEMBER(struct io_kiocb, address, ctx);

	return bpf_core_field_exists(ring->compat) && BPF_CORE_READ_BITFIELD_PROBED(ring, compat);
}

/* What was sent, and to where: of vectors the first. Whatever was sent of it by an earlier try is before `buf` now. */
static __always_inline void read_send(u64 address, u64 command, u64 *args)
{
	u32 done = MEMBER(struct io_sr_msg, command, done_io);
	u64 vector[2] = {};

	args[1] = number_of(MEMBER(struct io_sr_msg, command, buf)) - done;
	args[2] = (u32)MEMBER(struct io_sr_msg, command, len) + done;
	args[3] = MEMBER(struct io_sr_msg, command, msg_flags);
	if (MEMBER(struct io_sr_msg, command, flags) & SEND_VECTORIZED) {
		/* Of a 32-bit program they have another form. */
		if (is_of_32_bits(address) || bpf_probe_read_user(vector, sizeof(vector), (void *)args[1]))
			vector[0] = vector[1] = 0;
		args[1] = vector[0];
		args[2] = vector[1];
	}
	if (bpf_core_field_exists(struct io_sr_msg___address, addr)) {
		args[4] = (u64)MEMBER(struct io_sr_msg___address, command, addr);
		args[5] = MEMBER(struct io_sr_msg___address, command, addr_len);
	}
}

/* work->args as the call's registers would be. What stands where a name would is 0. Whether a file is made that gets no descriptor. */
__noinline int read_request(u32 room, u64 address, u32 operation)
{
	struct work *work = work_of(room);
	u64 command = command_of(address), *args;
	int is_direct = 0;

	if (!work)
		return 0;
	args = work->args;
#pragma unroll
	for (int i = 0; i < 6; i++)
		args[i] = 0;
	if (works_on_file(operation))
		args[0] = (s64)work->request.fd;
	switch (operation) {
	case OP_OPENAT:
	case OP_OPENAT2:
		args[0] = (s64)MEMBER(struct io_open, command, dfd);
		is_direct = MEMBER(struct io_open, command, file_slot) != 0;
		work->how = command + bpf_core_field_offset(struct io_open, how);
		if (operation == OP_OPENAT2) {
			args[3] = sizeof(struct open_how);
			break;
		}
		args[2] = MEMBER(struct io_open, command, how.flags) & ~(u64)O_LARGEFILE;	/* which the kernel adds */
		args[3] = MEMBER(struct io_open, command, how.mode);
		break;
	case OP_SOCKET:
		args[0] = MEMBER(struct io_socket, command, domain);
		args[1] = MEMBER(struct io_socket, command, type);
		args[2] = MEMBER(struct io_socket, command, protocol);
		is_direct = MEMBER(struct io_socket, command, file_slot) != 0;
		break;
	case OP_CONNECT:
		args[1] = (u64)MEMBER(struct io_connect, command, addr);
		args[2] = MEMBER(struct io_connect, command, addr_len);
		break;
	case OP_BIND:
		if (bpf_core_type_exists(struct io_bind))
			args[2] = MEMBER(struct io_bind, command, addr_len);
		break;
	case OP_LISTEN:
		if (bpf_core_type_exists(struct io_listen))
			args[1] = MEMBER(struct io_listen, command, backlog);
		break;
	case OP_ACCEPT:
		args[1] = (u64)MEMBER(struct io_accept, command, addr);
		args[2] = (u64)MEMBER(struct io_accept, command, addr_len);
		args[3] = MEMBER(struct io_accept, command, flags);
		is_direct = MEMBER(struct io_accept, command, file_slot) != 0;
		break;
	case OP_UNLINKAT:
		args[0] = (s64)MEMBER(struct io_unlink, command, dfd);
		args[2] = MEMBER(struct io_unlink, command, flags);
		break;
	case OP_MKDIRAT:
		args[0] = (s64)MEMBER(struct io_mkdir, command, dfd);
		args[2] = MEMBER(struct io_mkdir, command, mode);
		break;
	case OP_RENAMEAT:
		args[0] = (s64)MEMBER(struct io_rename, command, old_dfd);
		args[2] = (s64)MEMBER(struct io_rename, command, new_dfd);
		args[4] = MEMBER(struct io_rename, command, flags);
		break;
	case OP_SYMLINKAT:
		args[1] = (s64)MEMBER(struct io_link, command, new_dfd);
		break;
	case OP_LINKAT:
		args[0] = (s64)MEMBER(struct io_link, command, old_dfd);
		args[2] = (s64)MEMBER(struct io_link, command, new_dfd);
		args[4] = MEMBER(struct io_link, command, flags);
		break;
	case OP_SENDMSG:
	case OP_SENDMSG_ZC:
		/* Of a 32-bit program it has another form. */
		if (!is_of_32_bits(address))
			args[1] = (u64)MEMBER(struct io_sr_msg, command, buf);
		args[2] = MEMBER(struct io_sr_msg, command, msg_flags);
		break;
	case OP_SEND:
	case OP_SEND_ZC:
		read_send(address, command, args);
		break;
	}
	return is_direct;
}

/* Texts of a map's entry, which at worst another thread is writing to by now. */
static __always_inline u32 put_noted_text(struct work *work, struct event *event, u32 type, const u8 *text, u32 size)
{
	u32 at = item_begin(work);
	long length;

	if (!at)
		return 0;
	length = bpf_probe_read_kernel_str(&event->bytes[at], size, text);
	if (length <= 0)
		return 0;
	item_end(work, event, at, type, length - 1, 0);
	return at;
}

static __always_inline void put_noted_texts(struct work *work, struct event *event, const u8 *one, const u8 *other, u32 size)
{
	work->path1_at = put_noted_text(work, event, RIPOSTE_ITEM_PATH1, one, size);
	work->path1_length = work->item_length;
	if (work->call.path2 < 0)
		return;
	work->path2_at = put_noted_text(work, event, RIPOSTE_ITEM_PATH2, other, size);
	work->path2_length = work->item_length;
}

/* Puts what was noted of this request's names, and forgets it. 0: it is not there any more. */
__noinline int recall_names(u32 room, u64 address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 thread = bpf_get_current_pid_tgid(), start = BPF_CORE_READ(task, start_boottime);
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct request_names *brief;
	struct request_long_names *names;

	if (!work || !event)
		return 0;
	brief = bpf_map_lookup_elem(&request_names, &thread);
	if (brief && brief->address == address && brief->start == start) {
		put_noted_texts(work, event, brief->text[0], brief->text[1], SHORT_TEXT);
		/* It is still the same entry, so these were its texts. */
		if (bpf_map_lookup_elem(&request_names, &thread) != brief)
			return 0;
		bpf_map_delete_elem(&request_names, &thread);
		return 1;
	}
	names = bpf_map_lookup_elem(&request_long, &thread);
	if (!names || names->address != address || names->start != start)
		return 0;
	put_noted_texts(work, event, names->text[0], names->text[1], RIPOSTE_PATH_BYTES);
	if (bpf_map_lookup_elem(&request_long, &thread) != names)
		return 0;
	bpf_map_delete_elem(&request_long, &thread);
	return 1;
}

/* Something of it is missing that rules may ask for. */
static __always_inline void count_loss(struct work *work)
{
	struct riposte_counters *count = counters_entry();
	u32 index = work->index;

	BOUND(index, RIPOSTE_CALLS - 1);
	if (count)
		count->dropped[index]++;
}

/*
 * ITEM_PATH1 and ITEM_PATH2 of what was noted. Where that is gone, of a file that was opened the kernel's own path stands for the first; else they are
 * missing, which the filter takes for possible, and which counts as a loss: a rule about a name does not match.
 */
__noinline int put_noted_names(u32 room, u64 address)
{
	struct work *work = work_of(room);
	u32 before;

	if (!work)
		return 0;
	work->path1_tried = 1;
	work->path2_tried = 1;
	if (work->call.path1 < 0)
		return 0;
	before = work->size;
	if (recall_names(room, address))
		return 0;
	work->size = before;
	work->path1_at = 0;
	work->path2_at = 0;
	if (work->call.kind == RIPOSTE_CALL_OPEN && work->result >= 0) {
		find_file(work);
		if (work->file) {
			work->path1_at = put_path(room, RIPOSTE_ITEM_PATH1, path_of(work->file), 0);
			work->path1_length = work->item_length;
			return 0;
		}
	}
	count_loss(work);
	return 0;
}

/* The room, which has recalled what was noted, is about this request now, and about what work->result says of it. */
__noinline int begin_request(u32 room, u64 address, u32 operation, u32 index)
{
	struct riposte_control *settings = control_entry();
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u32 set, generation, at;
	int is_direct;

	if (!work || !event || !settings)
		return 0;
	is_direct = read_request(room, address, operation);
	generation = settings->generation;
	set = generation & 1;
	BOUND(index, RIPOSTE_CALLS - 1);
	work->call = settings->calls[set][index];
	begin_with_arguments(work, index, index, generation, RIPOSTE_FLAG_REQUEST, work->result);
	/* Nothing that only the calls of a thread may do. */
	work->call.wanted &= RIPOSTE_WANTED_RULES;
	work->call.flags &= ~RIPOSTE_CALL_MESSAGES;
	work->has_acted = 1;
	if (works_on_file(operation) && operation != OP_ACCEPT) {
		work->file = (u64)MEMBER(struct io_kiocb, address, file);
		work->file_tried = 1;
	} else if (is_direct && work->result >= 0) {
		work->file = work->request.file;
		work->file_tried = 1;
		work->fd = RIPOSTE_NO_DESCRIPTOR;
	}
	put_noted_names(room, address);
	if (operation == OP_OPENAT2)
		put_kernel_bytes(room, RIPOSTE_ITEM_EXTRA, work->how, sizeof(struct open_how), 0);
	work->call.extra = -1;
	if (work->request.target_length) {
		at = item_begin(work);
		if (at && at <= ITEM_ROOM + sizeof(struct riposte_item)) {
			bpf_probe_read_kernel(&event->bytes[at], ADDRESS_BYTES, work->request.target);
			item_end(work, event, at, RIPOSTE_ITEM_ADDRESS, work->request.target_length, 0);
			work->address_at = at;
			work->address_length = work->request.target_length;
		}
	}
	/* What the kernel has taken for the address is known, even if that is none. */
	if (work->request.target_length || (work->recalled && has_message(operation)))
		work->address_tried = 1;
	if (!work->recalled && has_message(operation))
		count_loss(work);
	return 0;
}

/*
 * Where a connection leads to that is there or being made; false: there is none. peer[0] is 0 where that is no address of IP. All of it is the kernel's own: whoever
 * has the socket led elsewhere meanwhile is not taken for the same one.
 */
static __always_inline bool read_peer(u64 address, u64 *peer)
{
	struct file *file = MEMBER(struct io_kiocb, address, file);
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sock = (struct sock *)number_of(BPF_CORE_READ(socket, sk));
	u32 state = BPF_CORE_READ(sock, __sk_common.skc_state);
	u64 family = BPF_CORE_READ(sock, __sk_common.skc_family);

	peer[0] = 0;
	peer[1] = 0;
	peer[2] = 0;
	if (!sock || state == TCP_CLOSE || state == TCP_LISTEN)
		return false;
	if (family == AF_INET || family == AF_INET6)
		peer[0] = family << 48 | (u64)BPF_CORE_READ(sock, __sk_common.skc_dport) << 32 | BPF_CORE_READ(sock, __sk_common.skc_daddr);
	if (family == AF_INET6)
		bpf_probe_read_kernel(&peer[1], 16, __builtin_preserve_access_index(&sock->__sk_common.skc_v6_daddr));
	return true;
}

/*
 * Recalls what was noted of a request whose function has ended with `ended`, and sets work->result; whether that is to be told. What an earlier try has told is not
 * told once more, but for what went wrong in the end.
 *
 * One that is not at its end may be called off at any moment, and nobody would tell what it has done: a connect whose handshake goes on is told as one of a socket
 * that does not wait, and a send that has sent a part with that.
 */
__noinline int recall_request(u32 room, u64 address, u32 operation, s32 ended)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct work *work = work_of(room);
	struct request *request;
	u64 peer[3];
	bool was_told;

	if (!work)
		return 0;
	request = &work->request;
	work->recalled = recall(work, address, bpf_get_current_pid_tgid(), BPF_CORE_READ(task, start_boottime));
	work->result = (s32)MEMBER(struct io_kiocb, address, cqe.res);
	if (operation == OP_CONNECT) {
		bool is_there = read_peer(address, peer);

		was_told = is_there && request->told && peer[0] && peer[0] == request->peer[0] && peer[1] == request->peer[1] && peer[2] == request->peer[2];
		if (ended) {
			if (ended != -EAGAIN || !is_there)
				return 0;
			work->result = -EINPROGRESS;
			request->peer[0] = peer[0];
			request->peer[1] = peer[1];
			request->peer[2] = peer[2];
			return !was_told;
		}
	} else if (sends(operation)) {
		was_told = request->told;
		if (ended) {
			work->result = MEMBER(struct io_sr_msg, command_of(address), done_io);
			return work->result > 0 && !was_told;
		}
	} else {
		return !ended;
	}
	return !was_told || work->result < 0;
}

/* Forgets it where it has ended, and else keeps what the next try needs. */
__noinline int settle_request(u32 room, u64 address, s32 ended)
{
	struct work *work = work_of(room);
	struct request_try try = {};

	if (!work)
		return 0;
	if (!ended) {
		if (work->request.is_again)
			bpf_map_delete_elem(&request_tries, &address);
		return 0;
	}
	if (!work->recalled)
		return 0;
	try.worked_on = work->request.worked_on;
	try.fd = work->request.fd;
	try.told = work->request.told;
	try.peer[0] = work->request.peer[0];
	try.peer[1] = work->request.peer[1];
	try.peer[2] = work->request.peer[2];
	if (work->request.target_length <= sizeof(try.target)) {
		__builtin_memcpy(try.target, work->request.target, sizeof(try.target));
		try.target_length = work->request.target_length;
	}
	bpf_map_update_elem(&request_tries, &address, &try, BPF_ANY);
	return 0;
}

/*
 * io_openat is a call of io_openat2, which some compiler may put into the one and leave the other. Where both are there, the inner one tells, and the outer
 * one, which ends behind it, forgets that.
 */
static __always_inline bool was_told(u64 address, u64 thread)
{
	struct request *known = bpf_map_lookup_elem(&requests, &thread);

	return known && known->address == address && known->told && bpf_map_lookup_elem(&requests, &thread) == known;
}

SEC("fexit/io_openat2")
int riposte_request_end(u64 *ctx)
{
	IN_ONE_PIECE;
	struct riposte_control *settings = control_entry();
	struct riposte_counters *count = counters_entry();
	u64 address = request_of(ctx), thread = bpf_get_current_pid_tgid();
	s32 ended = ctx[2];	/* the function's own result, behind its arguments */
	u32 operation, index, room;
	struct work *work;

	if (!settings || !count || thread >> 32 == settings->self)
		return 0;
	index = wanted_index(settings, address, &operation);
	if (index >= RIPOSTE_CALLS)
		return 0;
	if (ended && !works_on_file(operation)) {
		forget_thread(thread);
		return 0;
	}
	if (operation == OP_OPENAT && was_told(address, thread)) {
		bpf_map_delete_elem(&requests, &thread);
		return 0;
	}
	room = take_room(ROOM_REQUEST);
	work = work_of(room);
	if (!work) {
		if (!ended)
			count->dropped[index]++;
		forget_thread(thread);
		return 0;
	}
	if (recall_request(room, address, operation, ended)) {
		begin_request(room, address, operation, index);
		work->sent = 0;
		take_call(room, work, settings);
		/* What no rule could match may be something that one does at its end. */
		work->request.told = !ended || work->sent;
	}
	if (operation != OP_OPENAT || bpf_map_update_elem(&requests, &thread, &work->request, BPF_ANY))
		bpf_map_delete_elem(&requests, &thread);
	if (works_on_file(operation))
		settle_request(room, address, ended);
	leave_room(work);
	return 0;
}

/* ---------------------------------------------------------------- the hooks */

/* For user space the name of the function is all that counts: begin_… and end_… */
#define HOOKS(function) \
	SEC("fentry/" #function) int begin_##function(void *ctx) { bpf_tail_call(ctx, &request_begin, 0); return 0; } \
	SEC("fexit/" #function) int end_##function(void *ctx) { bpf_tail_call(ctx, &request_end, 0); return 0; }

HOOKS(io_openat)
HOOKS(io_openat2)
HOOKS(io_connect)
HOOKS(io_socket)
HOOKS(io_bind)
HOOKS(io_listen)
HOOKS(io_accept)
HOOKS(io_unlinkat)
HOOKS(io_renameat)
HOOKS(io_mkdirat)
HOOKS(io_symlinkat)
HOOKS(io_linkat)
HOOKS(io_sendmsg)
HOOKS(io_sendmsg_zc)
HOOKS(io_send)
HOOKS(io_send_zc)

#endif
