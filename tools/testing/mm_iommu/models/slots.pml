/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lock of the readers of the index: a writer takes only the slots that are
 * in use, and yet no reader is inside while it is; and nobody waits forever.
 *
 * Two slots. One reader has a slot of its own, another shares its slot with one
 * in real mode, which only tries. Two writers, one change each; see
 * mm_iommu_index.c.
 *
 * Each mutant breaks one rule, and the checker must reject it:
 */
/* MUTANT NO_NOTE: a reader does not note that its slot is in use */
/* MUTANT NOTE_OUTSIDE: it does not take used_lock for that */
/* MUTANT NO_RESET: a writer does not reset the hints */
/* MUTANT RESET_LATE: it resets them when it has released the slots */
/* MUTANT NOT_OVER_ALL: it releases used_lock when it has the slots */
/* MUTANT TAKE_ALL: it takes the slots that are not in use too */

#define NR	2

bool lock[NR];			/* mm_iommu_slot::lock */
bool hint[NR];			/* it is not NULL; under the lock of the slot */
bool used[NR];			/* mm_iommu::used, under used_lock */
bool used_lock;

byte inside;			/* readers */
bool writing;

#define TAKE(l)	atomic { !l -> l = true }

/* mm_iommu_use_slot() */
inline use(s) {
	used[s] = true;
	hint[s] = true;
	used_lock = false
}

inline look_up() {
	inside++;
	assert(!writing);
	inside--
}

/* mm_iommu_read_lock() */
proctype Reader(byte s) {
	byte i;

	do
	:: i < 2 ->
		i++;
		TAKE(lock[s]);
#ifndef NO_NOTE
		if
		:: !hint[s] ->
#ifndef NOTE_OUTSIDE
			TAKE(used_lock);
			use(s)
#else
			used[s] = true;
			hint[s] = true
#endif
		:: else
		fi;
#endif
		look_up();
		lock[s] = false
	:: else -> break
	od
}

/* mm_iommu_read_trylock() */
proctype RealMode(byte s) {
	byte i;
	bool in;

	do
	:: i < 2 ->
		i++;
		if
		:: TAKE(lock[s]);
			if
			:: hint[s] -> in = true
			:: else ->
				if
				:: atomic { !used_lock -> used_lock = true };
					use(s);
					in = true
				:: used_lock
				fi
			fi;
			if
			:: in -> look_up()
			:: else
			fi;
			in = false;
			lock[s] = false
		:: lock[s]
		fi
	:: else -> break
	od
}

/* mm_iommu_write_lock(), mm_iommu_write_unlock() */
proctype Writer() {
	bool had[NR];
	byte s;

	TAKE(used_lock);
	for (s : 0 .. NR - 1) {
#ifdef TAKE_ALL
		had[s] = true;
#else
		had[s] = used[s];
#endif
		if
		:: had[s] -> TAKE(lock[s])
		:: else
		fi
	}
#ifdef NOT_OVER_ALL
	used_lock = false;
#endif
	writing = true;
	assert(!inside);
	writing = false;
	for (s : 0 .. NR - 1) {
		if
		:: had[s] ->
#ifdef RESET_LATE
			lock[s] = false;
#endif
#ifndef NO_RESET
			hint[s] = false;
#endif
#ifndef RESET_LATE
			lock[s] = false
#endif
		:: else
		fi;
		used[s] = false
	}
#ifndef NOT_OVER_ALL
	used_lock = false
#endif
}

init {
	atomic {
		run Reader(0);
		run Reader(1);
		run RealMode(1);
		run Writer();
		run Writer()
	}
}
