/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Sockets, the addresses that calls pass, and what they move. */
#ifndef RIPOSTE_SOCKETS_H
#define RIPOSTE_SOCKETS_H

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define EINTR 4
#define EINPROGRESS 115
/* What a call that a signal has interrupted ends with, before the kernel makes it EINTR or has it made again. (linux/errno.h) */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516
#define ADDRESS_BYTES 128	/* struct sockaddr_storage */

static __always_inline u16 swap16(u16 value)
{
	return __builtin_bswap16(value);
}

static __always_inline void role_key_of(struct work *work, struct role_key *key)
{
	struct file *file = (void *)work->file;

	key->sock = work->sock;
	key->inode = BPF_CORE_READ(file, f_inode, i_ino);
}

static __always_inline bool was_interrupted(s64 result)
{
	return result == -EINTR || result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
}

/* A handshake goes on when a signal has interrupted the connect: that is told as of a socket that does not wait. */
__noinline int see_interrupted_connect(u32 room)
{
	struct work *work = work_of(room);
	struct sock *sock;
	u32 family, state;

	if (!work)
		return 0;
	resolve_descriptor(room);
	sock = (struct sock *)work->sock;
	if (!sock)
		return 0;
	family = BPF_CORE_READ(sock, __sk_common.skc_family);
	state = BPF_CORE_READ(sock, __sk_common.skc_state);
	if ((family == AF_INET || family == AF_INET6) && state != TCP_CLOSE && state != TCP_LISTEN)
		work->result = -EINPROGRESS;
	return 0;
}

/* After connect, accept and bind: which end the socket is from now on. */
__noinline int remember_role(u32 room)
{
	struct work *work = work_of(room);
	struct role_key key;
	u32 role = RIPOSTE_ROLE_SERVER;

	if (!work)
		return 0;
	if (work->call.flags & RIPOSTE_CALL_CONNECT)
		role = RIPOSTE_ROLE_CLIENT;
	if (work->result < 0 && !(role == RIPOSTE_ROLE_CLIENT && work->result == -EINPROGRESS))
		return 0;
	resolve_descriptor(room);
	if (!work->sock)
		return 0;
	role_key_of(work, &key);
	bpf_map_update_elem(&roles, &key, &role, BPF_ANY);
	return 0;
}

static __always_inline u32 role_of(struct work *work, u32 state, u32 family)
{
	struct role_key key;
	u32 *role;

	if (state == TCP_LISTEN && (family == AF_INET || family == AF_INET6 || family == AF_UNIX))
		return RIPOSTE_ROLE_SERVER;
	role_key_of(work, &key);
	role = bpf_map_lookup_elem(&roles, &key);
	return role ? *role : RIPOSTE_ROLE_NONE;
}

/* ITEM_SOCKET_PATH: the name that a Unix socket is bound to. */
__noinline int put_socket_path(u32 room, u64 sock, u32 detail)
{
	struct unix_sock *unix = (void *)sock;
	struct unix_address *address = BPF_CORE_READ(unix, addr);
	char *text;
	u8 first = 0;
	s32 length;

	if (!address)
		return 0;
	length = BPF_CORE_READ(address, len) - (s32)sizeof(unsigned short);
	if (length <= 0)
		return 0;
	if (length > 108)
		length = 108;
	text = (char *)address + bpf_core_field_offset(struct unix_address, name) + sizeof(unsigned short);
	bpf_probe_read_kernel(&first, 1, text);
	if (first) {
		char copy[112];
		long bytes = bpf_probe_read_kernel_str(copy, sizeof(copy), text);

		/* A path ends with NUL, whatever length was given. */
		if (bytes > 1 && bytes - 1 < length)
			length = bytes - 1;
	}
	return put_kernel_bytes(room, RIPOSTE_ITEM_SOCKET_PATH, number_of(text), length, detail);
}

/* ITEM_SOCKET of work->sock, and the names of Unix sockets. */
__noinline int put_socket(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_socket *out;
	struct inet_sock *inet;
	struct unix_sock *unix;
	struct socket *socket;
	struct sock *sock;
	u32 at, family;

	if (!work || !event || !work->sock)
		return 0;
	at = item_begin(work);
	if (!at || at > ITEM_ROOM + sizeof(struct riposte_item))
		return 0;
	out = (struct riposte_socket *)&event->bytes[at];
	__builtin_memset(out, 0, sizeof(*out));
	sock = (struct sock *)work->sock;
	inet = (struct inet_sock *)sock;
	unix = (struct unix_sock *)sock;
	socket = (struct socket *)work->socket;

	family = BPF_CORE_READ(sock, __sk_common.skc_family);
	out->family = family;
	out->type = BPF_CORE_READ(socket, type);
	out->protocol = BPF_CORE_READ(sock, sk_protocol);
	out->state = BPF_CORE_READ(sock, __sk_common.skc_state);
	out->role = role_of(work, out->state, family);
	out->backlog = BPF_CORE_READ(sock, sk_ack_backlog);
	out->backlog_limit = BPF_CORE_READ(sock, sk_max_ack_backlog);
	out->net_ns = BPF_CORE_READ(sock, __sk_common.skc_net.net, ns.inum);
	if (family == AF_INET || family == AF_INET6) {
		out->local_port = swap16(BPF_CORE_READ(inet, inet_sport));
		out->remote_port = swap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
	}
	if (family == AF_INET) {
		*(u32 *)out->local = BPF_CORE_READ(inet, inet_saddr);
		*(u32 *)out->remote = BPF_CORE_READ(sock, __sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		struct ipv6_pinfo *six = BPF_CORE_READ(inet, pinet6);

		bpf_probe_read_kernel(out->local, 16, __builtin_preserve_access_index(&six->saddr));
		bpf_probe_read_kernel(out->remote, 16, __builtin_preserve_access_index(&sock->__sk_common.skc_v6_daddr));
	} else if (family == AF_UNIX) {
		out->own = (u64)sock;
		out->peer = (u64)BPF_CORE_READ(unix, peer);
	}
	item_end(work, event, at, RIPOSTE_ITEM_SOCKET, sizeof(*out), 0);
	if (family == AF_UNIX) {
		u64 peer = out->peer;

		put_socket_path(room, (u64)sock, 0);
		if (peer)
			put_socket_path(room, peer, 1);
	}
	return at;
}

/* What of struct msghdr and struct iovec is needed, of either ABI. */
struct message {
	u64 name;
	u32 name_length;
	u64 vector;
};

#define MESSAGE_BYTES 64	/* sizeof(struct mmsghdr), and of the 32-bit ABI */
#define MESSAGE_BYTES_COMPAT 32

static __always_inline bool read_message(struct work *work, u64 address, struct message *message)
{
	address += (u64)work->message * (work->flags & RIPOSTE_FLAG_COMPAT ? MESSAGE_BYTES_COMPAT : MESSAGE_BYTES);
	if (work->flags & RIPOSTE_FLAG_COMPAT) {
		u32 words[3] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)address))
			return false;
		message->name = words[0];
		message->name_length = words[1];
		message->vector = words[2];
	} else {
		u64 words[3] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)address))
			return false;
		message->name = words[0];
		message->name_length = words[1];
		message->vector = words[2];
	}
	return true;
}

static __always_inline bool read_vector(struct work *work, u64 address, u64 *data, u64 *length)
{
	if (work->flags & RIPOSTE_FLAG_COMPAT) {
		u32 words[2] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)address))
			return false;
		*data = words[0];
		*length = words[1];
	} else {
		u64 words[2] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)address))
			return false;
		*data = words[0];
		*length = words[1];
	}
	return true;
}

static __always_inline u64 argument(struct work *work, s8 number)
{
	return number < 0 ? 0 : work->args[number & 7];
}

/* Lies the address of a message where the kernel has written how much it has sent of those in the array? It is not the one that was used then. */
static __always_inline bool is_written_over(struct work *work, u64 array, struct message *message)
{
	u64 length = (u64)work->result * (work->flags & RIPOSTE_FLAG_COMPAT ? MESSAGE_BYTES_COMPAT : MESSAGE_BYTES);

	return work->call.flags & RIPOSTE_CALL_MESSAGES && work->result > 0 && (message->name - array < length || array - message->name < message->name_length);
}

/* ITEM_ADDRESS, once per event; an empty one where it cannot be known. */
__noinline int put_address(u32 room)
{
	struct work *work = work_of(room);
	struct message message = {};
	u64 address;
	u32 length = 0;

	if (!work || work->address_tried)
		return 0;
	work->address_tried = 1;
	if (work->call.address < 0)
		return 0;
	if (work->call.flags & RIPOSTE_CALL_ADDRESS_BACK && work->result < 0)
		return 0;
	address = argument(work, work->call.address);
	if (!address)
		return 0;
	if (work->call.kind == RIPOSTE_CALL_MESSAGE) {
		if (!read_message(work, address, &message)) {
			work->flags |= RIPOSTE_FLAG_FAULT;
			return 0;
		}
		if (message.name && is_written_over(work, address, &message)) {
			put_empty(room, RIPOSTE_ITEM_ADDRESS);
			return 0;
		}
		address = message.name;
		length = message.name_length;
	} else if (work->call.flags & RIPOSTE_CALL_ADDRESS_BACK) {
		if (bpf_probe_read_user(&length, sizeof(length), (void *)argument(work, work->call.address_length))) {
			work->flags |= RIPOSTE_FLAG_FAULT;
			return 0;
		}
	} else {
		length = argument(work, work->call.address_length);
	}
	if (!address || (s32)length < (s32)sizeof(u16))
		return 0;
	if (length > ADDRESS_BYTES)
		length = ADDRESS_BYTES;
	work->address_at = put_user_bytes(room, RIPOSTE_ITEM_ADDRESS, address, length);
	work->address_length = length;
	return 0;
}

/* ITEM_DATA: the beginning of what was moved; of vectors, of the first of them. */
__noinline int put_data(u32 room)
{
	struct work *work = work_of(room);
	struct message message = {};
	u64 address, length;

	if (!work)
		return 0;
	if (work->call.kind == RIPOSTE_CALL_MESSAGE) {
		address = argument(work, work->call.address);
		if (!address || work->result <= 0)
			return 0;
		if (!read_message(work, address, &message) || !message.vector || !read_vector(work, message.vector, &address, &length)) {
			work->flags |= RIPOSTE_FLAG_FAULT;
			return 0;
		}
		/* The result of sendmmsg and recvmmsg counts messages. */
		if (!(work->call.flags & RIPOSTE_CALL_MESSAGES) && length > (u64)work->result)
			length = work->result;
	} else {
		if (work->call.data < 0)
			return 0;
		address = argument(work, work->call.data);
		if (work->call.kind == RIPOSTE_CALL_VECTOR) {
			if (!address || work->result <= 0)
				return 0;
			if (!read_vector(work, address, &address, &length)) {
				work->flags |= RIPOSTE_FLAG_FAULT;
				return 0;
			}
			if (length > (u64)work->result)
				length = work->result;
		} else if (work->call.data_length == -2) {
			if (work->result <= 0)
				return 0;
			length = work->result;
		} else {
			length = argument(work, work->call.data_length);
			if (work->result >= 0 && length > (u64)work->result)
				length = work->result;
		}
	}
	if (length > RIPOSTE_DATA_BYTES)
		length = RIPOSTE_DATA_BYTES;
	put_user_bytes(room, RIPOSTE_ITEM_DATA, address, length);
	return 0;
}

#endif
