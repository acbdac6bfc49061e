/* SPDX-License-Identifier: GPL-2.0 */
/*
 * References on registered memory, from the first TCE to the unpin: memory that
 * a device can reach is never unpinned, and every count is exact at the end.
 *
 * Two regions, and one block of the view with two entries. One CPU updates
 * single entries on the fast path (iommu_tce_fast_put()), one updates an entry
 * as a batch does (iommu_tce_change_commit()), one maps and clears the block,
 * or a part of it, on the range path (iommu_tce.c). The owner unregisters or
 * releases both regions at any time.
 *
 * A block counts the entries of one region, its home, and holds one reference
 * on that region for all of them. Entries of other regions have a reference
 * each. A block without a home takes the region of the next entry as home,
 * tce_view_enter(). Entries that had a reference each keep it: only the numbers
 * matter.
 *
 * Worst case of the TCE cache: it contains every TCE that was in the table
 * since the last kill.
 *
 * Each mutant breaks one rule, and the checker must reject it:
 */
/* MUTANT DROP_BEFORE_KILL: the fast path drops while the TCE may be cached */
/* MUTANT RANGE_DROP_BEFORE_KILL: the range path does that */
/* MUTANT NO_GATHER_REF: the range path relies on the reference of the block */
/* MUTANT GET_CLOSED: a region without references can be held */
/* MUTANT CLOSE_MAPPED: a region with one mapping is closed */
/* MUTANT NO_SECTION_SYNC: the reaper does not wait for the sections */
/* MUTANT NO_BLOCK_REF: a block takes no reference for its new home */
/* MUTANT LEAK_BLOCK_REF: an empty block keeps its reference */
/* MUTANT NO_ROLLBACK: a refused entry keeps its new reference */
/* MUTANT KEEP_HOME: a block gets a home while it has entries */
/* MUTANT FIND_GIVEN_UP: a block maps more pages of a home that is an orphan */

#define NR	2		/* regions */
#define NONE	2

byte mapped[3] = 1;		/* mm_iommu_region::mapped, with its bias */
bool indexed[3] = true;		/* mm_iommu::index: found by address */
bool dead[3];			/* mm_iommu::dead */
bool pinned[3] = true;

byte view[2] = NONE;		/* tce_view_block::entry, under the lock */
byte home = NONE;		/* under the lock, like homes */
byte homes;			/* entries that its reference covers */
bool locked;			/* the lock of the block */

byte hw[2] = NONE;		/* TCE table, as the bridge reads it */
byte cached[2];			/* TCEs it may have read, one bit per region */

bool section;			/* of the batch; other sections are one step */
bool reaping;
byte running = 4;

#define REACHABLE(r)	(hw[0] == r || hw[1] == r || \
			 ((cached[0] | cached[1]) & (1 << r)))
#define BIT(r)		(r == NONE -> 0 : 1 << r)

/* mm_iommu_region_drop() */
inline drop(r, n) {
	atomic {
		assert(mapped[r] >= n);
		mapped[r] = mapped[r] - n;
		dead[r] = dead[r] || mapped[r] == 0
	}
}

inline unpin(r) {
	atomic {
		assert(pinned[r] && !REACHABLE(r));
		pinned[r] = false
	}
}

inline store(e, r) {
	atomic {
		assert(r == NONE || pinned[r]);
		hw[e] = r;
		cached[e] = cached[e] | BIT(r)
	}
}

inline kill(e) { atomic { cached[e] = BIT(hw[e]) } }

/* mm_iommu_region_tryget(), in a section; sets @ok */
inline tryget(r) {
#ifdef GET_CLOSED
	ok = indexed[r] || !pinned[r];
#else
	ok = indexed[r] && mapped[r] > 0;
#endif
	mapped[r] = mapped[r] + ok
}

/* tce_view_enter(): sets @n to the references taken for the entry. */
inline enter(r) {
	atomic {
		if
		:: home == NONE -> home = r; homes = 1; n = 1
		:: else ->
			if
			:: home == r -> n = 0; homes++
			:: else -> n = 1
			fi
		fi
	}
}

/* Holds a new entry, in a section; sets @ok. */
inline hold(r) {
	atomic {
		ok = true;
		if
		:: r == NONE
		:: r != NONE && home == r ->
#ifndef FIND_GIVEN_UP
			ok = indexed[r]
#endif
		:: else ->
#ifdef NO_BLOCK_REF
			if
			:: home == NONE -> ok = indexed[r] && mapped[r] > 0
			:: else -> tryget(r)
			fi
#else
			tryget(r)
#endif
		fi;
		if
		:: r != NONE && ok -> enter(r)
		:: else
		fi;
		/* regions are only found by address while indexed */
		assert(r == NONE || !ok || indexed[r])
	}
}

/* tce_view_leave(); sets @n to the number of references to drop. */
inline forget(r) {
	atomic {
		if
		:: r == NONE -> n = 0
		:: r != NONE && home == r ->
			assert(homes > 0);
			homes--;
#ifdef LEAK_BLOCK_REF
			n = 0;
#else
			n = (homes == 0 -> 1 : 0);
#endif
#ifndef KEEP_HOME
			home = (homes == 0 -> NONE : home)
#endif
		:: else -> n = 1
		fi
	}
}

inline fast_put(e, r) {
	atomic { !locked -> locked = true; old = view[e] }
	hold(r);
	if
	:: ok ->
		if
		:: true ->
			store(e, r);
			forget(old)
		:: r != NONE ->
			/* the platform refuses */
			n = 0;
#ifndef NO_ROLLBACK
			forget(r);
#endif
			atomic { old = r; r = view[e] }
		fi;
		view[e] = r;
#ifdef DROP_BEFORE_KILL
		if :: n > 0 -> drop(old, n); n = 0 :: else fi;
#endif
		kill(e);
		locked = false;
		if :: n > 0 -> drop(old, n) :: else fi
	:: else -> locked = false
	fi
}

proctype Fast() {
	byte i, e, r, old, n;
	bool ok;

	do
	:: i < 2 ->
		i++;
		if
		:: e = 0; r = 0
		:: e = 0; r = 1
		:: e = 0; r = NONE
		:: e = 1; r = 1
		:: e = 1; r = NONE
		fi;
		fast_put(e, r);
		/* reduces the number of states */
		atomic { e = 0; r = 0; old = 0; n = 0; ok = false }
	:: else -> break
	od;
	running--
}

/* A batch drops before it kills, in a section that the reaper waits for. */
proctype Batch() {
	byte r, old, n;
	bool ok;

	if :: r = 0 :: r = NONE fi;
	atomic { !locked -> locked = true; section = true; old = view[0] }
	hold(r);
	if
	:: ok ->
		store(0, r);
		view[0] = r;
		forget(old);
		if :: n > 0 -> drop(old, n) :: else fi;
		kill(0)
	:: else
	fi;
	section = false;
	atomic { locked = false; r = 0; old = 0; n = 0; ok = false };
	running--
}

/*
 * Each old entry has a reference until its kill: its own, or one that is taken
 * while the block still has one.
 */
inline gather(r) {
	atomic {
		if
		:: r == NONE
		:: else ->
			forget(r);
#ifdef NO_GATHER_REF
			gathered[r] = gathered[r] + n
#else
			mapped[r] = mapped[r] + 1 - n;
			gathered[r] = gathered[r] + 1
#endif
		fi;
		n = 0
	}
}

inline flush() {
	if
	:: gathered[0] > 0 -> drop(0, gathered[0]); gathered[0] = 0
	:: else
	fi;
	if
	:: gathered[1] > 0 -> drop(1, gathered[1]); gathered[1] = 0
	:: else
	fi
}

inline range(r, end) {
	ok = true;
	if
	:: r != NONE -> atomic { tryget(r) }
	:: else
	fi;
	if
	:: ok ->
		atomic { !locked -> locked = true }
		e = 0;
		do
		:: e < end ->
			old = view[e];
			/* cannot fail: the range holds @r */
			atomic {
				if
				:: r != NONE ->
					enter(r);
					mapped[r] = mapped[r] + n
				:: else
				fi;
				n = 0
			}
			store(e, r);
			view[e] = r;
			gather(old);
			e++
		:: else -> break
		od;
		locked = false;
#ifdef RANGE_DROP_BEFORE_KILL
		flush();
#endif
		kill(0);
		if :: end == 2 -> kill(1) :: else fi;
		flush();
		if :: r != NONE -> drop(r, 1) :: else fi
	:: else
	fi
}

proctype Range() {
	byte i, e, old, n;
	bool ok;
	byte gathered[3];

	do
	:: i < 2 ->
		i++;
		if
		:: range(0, 2)
		:: range(NONE, 2)
		:: range(NONE, 1)
		fi;
		atomic { e = 0; old = 0; ok = false }
	:: else -> break
	od;
	running--
}

/* mm_iommu_unregister(), or mm_iommu_release() if it is mapped */
proctype Owner() {
	byte r;
	bool closed;

	do
	:: r < NR ->
		atomic {
#ifdef CLOSE_MAPPED
			closed = mapped[r] <= 2;
#else
			closed = mapped[r] == 1;
#endif
			mapped[r] = (closed -> 0 : mapped[r])
		}
		/* no reader is inside while it is removed from the index */
		atomic { !section -> indexed[r] = false }
		if
		:: closed -> unpin(r)
		:: else -> drop(r, 1)
		fi;
		atomic { r++; closed = false }
	:: else -> break
	od;
	running--
}

/* mm_iommu_reap(): waits for the sections after it has taken the region */
proctype Reaper() {
	byte r;

end:	do
	:: atomic {
		dead[0] || dead[1] ->
		reaping = true;
		r = (dead[0] -> 0 : 1);
		dead[r] = false
	   }
#ifndef NO_SECTION_SYNC
		!section;
#endif
		unpin(r);
		atomic { r = 0; reaping = false }
	od
}

#define SINGLE(r)	((view[0] == r) + (view[1] == r) - \
			 (home == r -> homes : 0))
#define IS_HOME(r)	(home == r)

/* At the end the counts must match the view. */
proctype Judge() {
	atomic {
		running == 0 ->
		assert(mapped[0] == SINGLE(0) + IS_HOME(0));
		assert(mapped[1] == SINGLE(1) + IS_HOME(1));
		/* the reaper may be working on it */
		assert(mapped[0] > 0 || dead[0] || !pinned[0] || reaping);
		assert(mapped[1] > 0 || dead[1] || !pinned[1] || reaping)
	}
}

init {
	atomic {
		/* possible results of earlier calls */
		if
		:: true
		:: view[0] = 0; view[1] = 1; home = 0; homes = 1;
		   mapped[0] = 2; mapped[1] = 2
		:: view[0] = 1; view[1] = 1; mapped[1] = 3
		fi;
		hw[0] = view[0];
		hw[1] = view[1];
		cached[0] = BIT(hw[0]);
		cached[1] = BIT(hw[1]);
		run Fast();
		run Batch();
		run Range();
		run Owner();
		run Reaper();
		run Judge()
	}
}
