// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "riposte_sensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __clang__
#pragma clang assume_nonnull begin
#endif

// The BPF object for this machine's processor, an ELF file, as `make bpf` has built it; `typed`: the one for kernels of 6.17 and later.
const void *riposte_bpf_object(bool typed, size_t *bytes);
// The same of the programs that see requests of io_uring.
const void *riposte_requests_bpf_object(bool typed, size_t *bytes);

// Members of the shared structures that are arrays, which Swift would see as tuples of thousands.

static inline struct riposte_call *riposte_control_call(struct riposte_control *control, uint32_t generation, uint32_t index)
{
	return &control->calls[generation & 1][index % RIPOSTE_CALLS];
}

// Which set of tables is in force, 0 or 1.
static inline uint32_t riposte_control_set_in_force(const struct riposte_control *control)
{
	return __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE) & 1;
}

// Calls of this process are no events; 0: of all.
static inline void riposte_control_set_self(struct riposte_control *control, riposte_u32 tgid)
{
	control->self = tgid;
}

// Whose programs these are, for agents that come later: the mount namespace and what in it the state folder is called.
static inline void riposte_control_set_owner(struct riposte_control *control, riposte_u64 mount_ns, const char *state_folder)
{
	control->mount_ns = mount_ns;
	memset(control->state_folder, 0, sizeof(control->state_folder));
	if (strlen(state_folder) < sizeof(control->state_folder))
		strcpy((char *)control->state_folder, state_folder);
}

static inline const char *riposte_control_state_folder(const struct riposte_control *control)
{
	return control->state_folder[RIPOSTE_FOLDER_BYTES - 1] ? "" : (const char *)control->state_folder;
}

// From here on the programs go by the other set of tables.
static inline void riposte_control_switch(struct riposte_control *control)
{
	__atomic_fetch_add(&control->generation, 1, __ATOMIC_SEQ_CST);
}

static inline struct riposte_number_test *riposte_filter_number(struct riposte_filter *filter, uint32_t index)
{
	return &filter->numbers[index % RIPOSTE_NUMBERS];
}

static inline struct riposte_clause *riposte_filter_clause(struct riposte_filter *filter, uint32_t index)
{
	return &filter->clauses[index % RIPOSTE_CLAUSES];
}

// Has the kernel look up pieces that begin with these four bytes, the first one lowest.
static inline void riposte_pieces_mark(struct riposte_pieces *pieces, bool of_environment, riposte_u32 head)
{
	riposte_u32 place = riposte_piece_place(head);

	(of_environment ? pieces->environment : pieces->arguments)[place / 64] |= 1ULL << (place % 64);
}

// Adds up what the processors counted; `values` has one struct for each.
static inline void riposte_counters_add(struct riposte_counters *sum, const struct riposte_counters *values, uint32_t processors)
{
	riposte_u64 *total = (riposte_u64 *)sum;

	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < processors; i++) {
		const riposte_u64 *part = (const riposte_u64 *)&values[i];

		for (size_t j = 0; j < sizeof(*sum) / sizeof(riposte_u64); j++)
			total[j] += part[j];
	}
}

static inline riposte_u64 riposte_counters_seen(const struct riposte_counters *c, uint32_t index) { return c->seen[index % RIPOSTE_CALLS]; }
static inline riposte_u64 riposte_counters_passed(const struct riposte_counters *c, uint32_t index) { return c->passed[index % RIPOSTE_CALLS]; }
static inline riposte_u64 riposte_counters_dropped(const struct riposte_counters *c, uint32_t index) { return c->dropped[index % RIPOSTE_CALLS]; }
static inline riposte_u64 riposte_counters_state_passed(const struct riposte_counters *c, uint32_t kind) { return c->state_passed[kind & 7]; }
static inline riposte_u64 riposte_counters_state_dropped(const struct riposte_counters *c, uint32_t kind) { return c->state_dropped[kind & 7]; }

// All that was lost for lack of room.
static inline riposte_u64 riposte_counters_lost(const struct riposte_counters *c)
{
	riposte_u64 lost = 0;

	for (size_t i = 0; i < RIPOSTE_CALLS; i++)
		lost += c->dropped[i];
	for (size_t i = 0; i < 8; i++)
		lost += c->state_dropped[i];
	return lost;
}

// Mounts the BPF file system there, where that is not done. 0, or -errno.
int riposte_mount_bpf(const char *place);

// How many entries a map has room for, and how large a value is. 0, or -errno.
int riposte_bpf_map_facts(int descriptor, uint32_t *entries, uint32_t *value_bytes);

// Lets libbpf's warnings be collected instead of printed; the last few hundred bytes of them are kept.
void riposte_collect_bpf_messages(void);
const char *riposte_last_bpf_messages(void);

// Whether `bpf` is among the security modules that the kernel asks (its parameter lsm=), so that programs of type LSM are run and not only taken. False where
// that cannot be found out: before 6.8 it stands in a file of securityfs alone.
bool riposte_bpf_lsm_is_active(void);

// The kernel's id of the map, program or link behind a descriptor; 0: none of these.
uint32_t riposte_bpf_id(int descriptor);

// How often the kernel passed a program over, as another run of it was under way on that processor (bpf_prog_info.recursion_misses: 5.12).
uint64_t riposte_bpf_missed_runs(int descriptor);

// Opens a tracepoint ("sched/sched_process_exec", say) as an event of perf, for whatever happens on the host and with nothing that is sampled; a BPF program can
// be attached to it. The descriptor, or -errno. Its number stands in tracefs, which is looked at where it is mounted, or else by a mount that nobody sees
// (Linux 5.2, CAP_SYS_ADMIN).
int riposte_open_tracepoint(const char *name);

// The budgets are used up by the programs while user space fills them up: always by whole atomic steps.
#define RIPOSTE_BUDGETS 256

static inline void riposte_budget_add(struct riposte_budget *budget, riposte_s64 amount)
{
	__atomic_fetch_add(&budget->left, amount, __ATOMIC_SEQ_CST);
}

static inline void riposte_budget_set(struct riposte_budget *budget, riposte_s64 left)
{
	__atomic_store_n(&budget->left, left, __ATOMIC_SEQ_CST);
}

static inline riposte_u64 riposte_budget_used(const struct riposte_budget *budget)
{
	return __atomic_load_n(&budget->used, __ATOMIC_SEQ_CST);
}

static inline riposte_u64 riposte_budget_unrecorded(const struct riposte_budget *budget)
{
	return __atomic_load_n(&budget->unrecorded, __ATOMIC_SEQ_CST);
}

#ifdef __clang__
#pragma clang assume_nonnull end
#endif
