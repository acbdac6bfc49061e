/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A window is removed, and a group is unlinked from its table, while hypercalls
 * run in real mode, where RCU does not wait for them: nothing is mapped in a
 * table after it was cleared, and neither a group nor the table is used after
 * it was freed.
 *
 * One CPU maps in real mode (iommu_tce_fast_put()), one on the range path
 * (iommu_tce.c). The container closes the table, clears it and puts it
 * (vfio_iommu_spapr_tce.c). The platform unlinks the group from the list that
 * tce_kill() walks, and frees it (pnv_pci_unlink_table_and_group()). KVM's list
 * has its own reference on the table, which is dropped after a grace period; a
 * hypercall that holds kvm->srcu delays it.
 *
 * Each mutant breaks one rule, and the checker must reject it:
 */
/* MUTANT CHECK_UNLOCKED: @closed is checked before the lock is taken */
/* MUTANT NO_CLOSE: the container clears a table that is not closed */
/* MUTANT NO_GROUP_SYNC: the group is freed without iommu_tce_view_sync() */
/* MUTANT KILL_UNLOCKED: the fast path kills after it has dropped the lock */
/* MUTANT NO_SRCU: KVM puts the table without a grace period */
/* MUTANT NO_TABLE_REF: KVM's list has no reference on the table */

bool locked;			/* lock of the block */
bool closed;			/* iommu_tce_view::closed */
bool mapped;			/* the entry, in the table and in the view */
bool cleared;			/* by the container */

bool linked = true;		/* on iommu_table::it_group_list */
bool group = true;		/* not freed */

byte refs = 2;			/* iommu_table::it_kref: container, KVM */
bool table = true;		/* not freed */
bool attached = true;		/* in the guest table's list */
byte srcu;			/* read-side sections */

inline put_table() {
	atomic {
		assert(refs > 0);
		refs--;
		if
		:: refs == 0 -> assert(!mapped); table = false
		:: else
		fi
	}
}

/* tce_kill() walks the list: a group may be freed between lookup and use. */
inline kill() {
	found = linked;
	assert(!found || group)
}

inline map() {
#ifdef CHECK_UNLOCKED
	ok = !closed;
#endif
	atomic { !locked -> locked = true }
	assert(table);
#ifndef CHECK_UNLOCKED
	ok = !closed;
#endif
	if
	:: ok ->
		atomic { assert(!cleared); mapped = true }
#ifndef KILL_UNLOCKED
		kill();
#endif
	:: else
	fi;
	locked = false;
#ifdef KILL_UNLOCKED
	if :: ok -> kill() :: else fi;
#endif
	ok = false
}

/* Two hypercalls; each looks up the guest table. */
proctype Guest() {
	bool ok, found;
	byte i;

	do
	:: i < 2 ->
		i++;
		srcu++;
		if
		:: attached -> map()
		:: else
		fi;
		srcu--
	:: else -> break
	od
}

/* VFIO, under the lock of its container; the window is gone afterwards. */
proctype Container() {
	bool ok, found;

	map();
#ifndef NO_CLOSE
	closed = true;
	/* iommu_tce_view_sync() */
	atomic { !locked -> locked = true }
	locked = false;
#endif
	atomic { !locked -> locked = true }
	atomic { mapped = false; cleared = true }
	locked = false;
	put_table()
}

/* Unlink the group, wait for all walks of the list, free it. */
proctype Platform() {
	linked = false;
#ifndef NO_GROUP_SYNC
	atomic { !locked -> locked = true }
	locked = false;
#endif
	group = false
}

/* kvm_spapr_tce_release_iommu_group() */
proctype Kvm() {
	attached = false;
#ifndef NO_SRCU
	srcu == 0;
#endif
#ifndef NO_TABLE_REF
	put_table()
#endif
}

init {
	atomic {
#ifdef NO_TABLE_REF
		refs = 1;
#endif
		run Guest();
		run Container();
		run Platform();
		run Kvm()
	}
}
