// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO container for the sPAPR TCE IOMMU of POWER, versions 1 and 2.
 *
 * A container holds groups that share DMA windows: one TCE table each, the
 * same in all groups. User memory gets into the tables in one of two ways:
 *
 * v1 (VFIO_SPAPR_TCE_IOMMU): one group, the default 32-bit window only. ENABLE
 *    counts the size of the whole window in locked_vm, MAP pins, UNMAP unpins.
 * v2 (VFIO_SPAPR_TCE_v2_IOMMU): REGISTER pins and counts memory once
 *    (arch/powerpc/mm/mmu_context_iommu.c), MAP and UNMAP only write TCEs, and
 *    windows are created and removed at will.
 *
 * The default window appears when it is first used, in slot 0, unless user
 * space has removed it before.
 *
 * VFIO releases the container when the last call on it has returned; groups are
 * attached and detached while calls run.
 *
 * Locks, the outermost first: tce_container::eeh_lock keeps the groups in place
 * during EEH calls, which may last for seconds. tce_container::lock protects
 * windows and groups; calls that only use them hold it for reading, so
 * different ranges are mapped side by side. tce_container::memory_lock protects
 * the registrations. Then the registry of the mm, then mmap_lock.
 *
 * No user memory is read, written or pinned under a lock of the container: user
 * space decides how long a page fault takes, and the thread that serves it may
 * call the container itself.
 *
 * Errors, the same in all calls: -EPERM from another process than the one
 * that the container is bound to, -EFAULT for an argument that cannot be read,
 * -EINVAL for one too short or with unknown flags, -ENOTTY for a call that
 * the version does not have.
 */
#include <linux/bitfield.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pfn.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include <asm/eeh.h>
#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/iommu_tce_view.h>
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#include "vfio.h"

#define CREATE_TRACE_POINTS
#include <trace/events/spapr_tce.h>

#define TCE_MAX_WINDOWS	IOMMU_TABLE_GROUP_MAX_TABLES

/* Refusals that a container remembers, for people, and the length of a line. */
#define TCE_REFUSALS	4
#define TCE_REFUSAL_TEXT	256

/**
 * struct tce_window - a DMA window of the container
 * @tbl: its table, with a reference; NULL for the default window until it is
 *	used
 * @start: bus address
 * @size: bytes; what was asked for, while the table may have more entries;
 *	0: no window in this slot
 * @shift: log2 of the IOMMU page
 * @locked: pages that @tbl is charged for, until it is freed
 */
struct tce_window {
	struct iommu_table *tbl;
	u64 start;
	u64 size;
	unsigned int shift;
	unsigned long locked;
};

struct tce_group {
	struct list_head list;
	struct iommu_group *grp;
	struct iommu_table_group *tables;
};

/**
 * struct tce_registration - memory registered through the container
 * @node: in tce_container::registrations
 * @ua: its first user address
 * @region: the region, with the registration's reference; NULL while it is
 *	being pinned
 * @busy: one thread registers or unregisters it just now; others keep off
 */
struct tce_registration {
	struct rb_node node;
	unsigned long ua;
	struct mm_iommu_region *region;
	bool busy;
};

/**
 * struct tce_container - state of a container
 * @v2: VFIO_SPAPR_TCE_v2_IOMMU; does not change
 * @mm: the mm of the process that uses the container, held by mmgrab();
 *	set once, by the first call that counts or pins
 * @enabled: v1: between ENABLE and DISABLE, under @lock; v2: memory was
 *	registered once
 * @eeh_lock: held for writing, with @lock, where @groups changes
 * @lock: protects what follows up to @memory_lock
 * @locked: v1: pages counted in locked_vm by ENABLE
 * @pinning: v1: pages of memory that MAPs ask for at present, without any lock
 * @windows: by slot
 * @groups: list of struct tce_group
 * @memory_lock: protects @registrations
 * @registrations: v2: struct tce_registration by first user address
 * @refusal_lock: protects what follows
 * @refusals: lines of fdinfo, the last ones
 * @nr_refusals: number of refusals ever; the next goes to this index modulo
 *	TCE_REFUSALS
 */
struct tce_container {
	bool v2;
	bool enabled;
	struct mm_struct *mm;

	struct rw_semaphore eeh_lock;	/* groups, during EEH calls */
	struct rw_semaphore lock;
	unsigned long locked;
	atomic_long_t pinning;
	struct tce_window windows[TCE_MAX_WINDOWS];
	struct list_head groups;

	struct mutex memory_lock;	/* registrations */
	struct rb_root registrations;

	spinlock_t refusal_lock;	/* all below */
	char refusals[TCE_REFUSALS][TCE_REFUSAL_TEXT];
	unsigned int nr_refusals;
};

#define TCE_WHY(text)	((const struct mm_iommu_refusal){ .words = (text) })

/* The line of fdinfo; of what is not known the platform knows the reason. */
static void tce_print_refusal(char *line, const char *call, u64 start, u64 size,
			      int error, const struct mm_iommu_refusal *why)
{
	char last = why->words[strlen(why->words) - 1];
	int len;

	len = scnprintf(line, TCE_REFUSAL_TEXT,
			"spapr_tce_refusal:\tcall=%s error=%d start=0x%llx size=0x%llx cause=%s",
			call, error, start, size, why->words);
	if (last == 'x')
		len += scnprintf(line + len, TCE_REFUSAL_TEXT - len, "%llx", why->at);
	else if (last == ' ')
		len += scnprintf(line + len, TCE_REFUSAL_TEXT - len, "%llu", why->at);
	scnprintf(line + len, TCE_REFUSAL_TEXT - len, "\n");
}

/*
 * Remembers why a call is refused, and returns its error. @start and @size are what
 * it was asked for: bus address of MAP, UNMAP and windows, number of the group of
 * ATTACH, else user address. NULL: the platform knows why.
 */
static noinline int tce_refuse(struct tce_container *container, const char *call,
			       u64 start, u64 size, int error,
			       const struct mm_iommu_refusal *why)
{
	const struct mm_iommu_refusal unknown =
		TCE_WHY(error == -EINTR ? "the process was killed" :
			error == -ENOMEM ? "the kernel has no memory for it" :
			"the platform refused");
	unsigned int nr;

	if (!why || !why->words)
		why = &unknown;
	trace_spapr_tce_refused(call, error, start, size, why->words, why->at);
	spin_lock(&container->refusal_lock);
	nr = container->nr_refusals++;
	/* 0 is that of none */
	if (!container->nr_refusals)
		container->nr_refusals = TCE_REFUSALS;
	tce_print_refusal(container->refusals[nr % TCE_REFUSALS], call, start,
			  size, error, why);
	spin_unlock(&container->refusal_lock);
	return error;
}

/* v1: every TCE pins the page behind it */

/* A host address, of 51 bits at most, tells the page; all of it is one region. */
#define TCE_V1_COOKIE	FIELD_PREP(MM_IOMMU_COOKIE_ID, 1)

static long tce_v1_hold(struct mm_struct *mm, unsigned long ua,
			unsigned long npages, unsigned int shift, bool write,
			struct mm_iommu_held *held)
{
	struct page *page;
	int ret;

	held->bad = ua;
	/* a page is all that is known to be contiguous */
	if (shift > PAGE_SHIFT)
		return -EINVAL;

	ret = pin_user_pages_fast(ua & PAGE_MASK, 1, FOLL_LONGTERM |
				  (write ? FOLL_WRITE : 0), &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;

	held->hpa = page_to_phys(page) + offset_in_page(ua);
	held->cookie = TCE_V1_COOKIE + mm_iommu_cookie_step(held->hpa) + write;
	return 1;
}

static phys_addr_t tce_v1_hpa(u64 cookie)
{
	return FIELD_GET(MM_IOMMU_COOKIE_PAGE, cookie) * SZ_4K;
}

/* Of one page: no more was held. */
static int tce_v1_translate(struct mm_struct *mm, u64 cookie,
			    unsigned long npages, unsigned int shift, u64 bits,
			    __be64 *tces)
{
	*tces = cpu_to_be64(tce_v1_hpa(cookie) | bits);
	return 0;
}

static int tce_v1_drop(struct mm_struct *mm, u64 cookie, unsigned long npages)
{
	struct page *page = pfn_to_page(PHYS_PFN(tce_v1_hpa(cookie)));

	while (npages--)
		unpin_user_page_range_dirty_lock(page, 1, cookie &
						 MM_IOMMU_COOKIE_WRITE);
	return 0;
}

static const struct iommu_tce_backing tce_v1_pinned = {
	.hold = tce_v1_hold,
	.translate = tce_v1_translate,
	.drop = tce_v1_drop,
	.alike = ~0ULL,
};

static const struct iommu_tce_backing *
tce_backing(const struct tce_container *container)
{
	return container->v2 ? &iommu_tce_registered : &tce_v1_pinned;
}

/* What all calls have in common */

/* Reads an argument that starts with argsz and flags; @size is a constant. */
static __always_inline int tce_copy_arg(void *arg, size_t size,
					const void __user *uarg,
					u32 known_flags)
{
	struct {
		u32 argsz;
		u32 flags;
	} *head = arg;

	/* on the way of every map: a few loads in place of a call */
	if (!user_read_access_begin(uarg, size))
		return -EFAULT;
	unsafe_copy_from_user(arg, uarg, size, fault);
	user_read_access_end();

	if (head->argsz < size || head->flags & ~known_flags)
		return -EINVAL;
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/* Binds the container to the first process that uses it. */
static int tce_bind_mm(struct tce_container *container)
{
	struct mm_struct *mm = READ_ONCE(container->mm);

	if (!current->mm)
		return -ESRCH;
	if (!mm) {
		mmgrab(current->mm);
		mm = cmpxchg(&container->mm, NULL, current->mm);
		if (!mm)
			return 0;
		mmdrop(current->mm);
	}
	return mm == current->mm ? 0 : -EPERM;
}

/*
 * For calls that need a container in use: nobody but the bound process. It was
 * bound before @enabled was set, so this is the order to look at them.
 */
static int tce_check_enabled(struct tce_container *container)
{
	/* pairs with smp_store_release() by whoever sets it */
	if (!smp_load_acquire(&container->enabled))
		return -EPERM;
	return READ_ONCE(container->mm) == current->mm ? 0 : -EPERM;
}

/* For calls that do not bind: nobody but the bound process, if there is one. */
static int tce_check_mm(struct tce_container *container)
{
	struct mm_struct *mm = READ_ONCE(container->mm);

	return mm && mm != current->mm ? -EPERM : 0;
}

static struct iommu_table_group *
tce_first_group(struct tce_container *container)
{
	struct tce_group *group;

	lockdep_assert_held(&container->lock);
	group = list_first_entry_or_null(&container->groups, struct tce_group,
					 list);
	return group ? group->tables : NULL;
}

/* Windows */

static struct tce_window *tce_find_window(struct tce_container *container,
					  u64 iova)
{
	struct tce_window *win;
	int i;

	lockdep_assert_held(&container->lock);
	for (i = 0; i < TCE_MAX_WINDOWS; i++) {
		win = &container->windows[i];
		if (iova - win->start < win->size)
			return win;
	}
	return NULL;
}

/*
 * All of the table: it may have more entries than were asked for, and a guest of
 * KVM may use them.
 */
static int tce_clear_window(struct tce_window *win)
{
	return iommu_tce_unmap(win->tbl, win->tbl->it_offset,
			       win->tbl->it_size);
}

/* Takes a table away from one group, if it is there. */
static long tce_unset_group(struct iommu_table_group *tables, int slot,
			    struct iommu_table *tbl)
{
	if (tables->tables[slot] != tbl)
		return 0;
	return tables->ops->unset_window(tables, slot);
}

/* Takes a table away from every group that does not refuse. */
static void tce_unset_groups(struct tce_container *container, int slot,
			     struct iommu_table *tbl)
{
	struct tce_group *group;

	list_for_each_entry(group, &container->groups, list)
		tce_unset_group(group->tables, slot, tbl);
}

/* Takes a table away from all groups, or from none if one of them refuses. */
static long tce_unset_groups_or_none(struct tce_container *container, int slot,
				     struct iommu_table *tbl)
{
	struct iommu_table_group *tables;
	struct tce_group *group;
	long ret = 0;

	list_for_each_entry(group, &container->groups, list) {
		ret = tce_unset_group(group->tables, slot, tbl);
		if (ret)
			break;
	}
	if (!ret)
		return 0;

	list_for_each_entry_continue_reverse(group, &container->groups, list) {
		tables = group->tables;
		if (!tables->tables[slot] &&
		    tables->ops->set_window(tables, slot, tbl))
			pr_err("vfio_iommu_spapr_tce: window at 0x%llx is lost to a group\n",
			       (u64)tbl->it_offset << tbl->it_page_shift);
	}
	return ret;
}

/*
 * Gives a table to all groups, or to none. A platform may have given it to
 * the first group when it created the table.
 */
static long tce_set_groups(struct tce_container *container, int slot,
			   struct iommu_table *tbl)
{
	struct tce_group *group;
	long ret = 0;

	list_for_each_entry(group, &container->groups, list) {
		ret = group->tables->ops->set_window(group->tables, slot, tbl);
		if (ret)
			break;
	}
	if (ret)
		tce_unset_groups(container, slot, tbl);
	return ret;
}

/* A group that has got no window of the others. */
static long tce_refuse_set(long error, struct mm_iommu_refusal *why)
{
	if (error == -EPERM)
		mm_iommu_refuse(why, error, 0,
					"the windows cannot be shared by these groups");
	return error;
}

/* Puts a table that no group has any more. KVM may still have it. */
static void tce_free_window(struct tce_window *win)
{
	if (win->tbl)
		iommu_tce_table_put(win->tbl);
	*win = (struct tce_window){ };
}

/*
 * Removes a window, or leaves it in all groups where the platform refuses to
 * clear it or to take it away from one of them. If a bridge may still walk the
 * table it is not freed, nor is the memory behind it.
 */
static long tce_remove_window(struct tce_container *container, int slot)
{
	struct tce_window *win = &container->windows[slot];
	bool closed;
	long ret;

	if (win->tbl) {
		closed = iommu_tce_is_closed(win->tbl);
		/* KVM may have it too */
		iommu_tce_close(win->tbl, true);
		ret = tce_clear_window(win);
		if (!ret)
			ret = tce_unset_groups_or_none(container, slot,
						       win->tbl);
		if (ret) {
			iommu_tce_close(win->tbl, closed);
			return ret;
		}
	}
	tce_free_window(win);
	return 0;
}

/* The same where nobody can be told that it failed. */
static void tce_drop_window(struct tce_container *container, int slot)
{
	struct tce_window *win = &container->windows[slot];

	if (!tce_remove_window(container, slot))
		return;
	/* KVM may have the table still: nothing more is to be lost in it */
	iommu_tce_close(win->tbl, true);
	tce_unset_groups(container, slot, win->tbl);
	pr_err("vfio_iommu_spapr_tce: window at 0x%llx cannot be removed: its table and memory are lost\n",
	       win->start);
	*win = (struct tce_window){ };
}

/* Why the platform has made no table, which it says by its error alone. */
static long tce_refuse_table(const struct iommu_table_group *tables,
			     u32 page_shift, u64 size, u32 levels, long error,
			     struct mm_iommu_refusal *why)
{
	/* each level is one block of contiguous memory */
	u64 level = sizeof(u64) << DIV_ROUND_UP(ilog2(size) - page_shift,
						max(levels, 1U));

	if (error == -EINVAL)
		return mm_iommu_refuse(why, error, 0,
					"page size, window size or levels not supported");
	if (error == -EPERM)
		return mm_iommu_refuse(why, error, 0,
					"no place for a first window beside the second");
	if (error == -ENOMEM && tables->max_levels > 1 && level > PAGE_SIZE)
		return mm_iommu_refuse(why, error, level,
					"no contiguous memory for a level of the table, bytes of a level: ");
	if (error == -ENOMEM)
		return mm_iommu_refuse(why, error, 0,
					"the kernel has no memory for it");
	return error;
}

/* Creates a window; on failure nothing is left of it. */
static long tce_add_window(struct tce_container *container, int slot,
			   u32 page_shift, u64 size, u32 levels,
			   struct mm_iommu_refusal *why)
{
	struct iommu_table_group *tables = tce_first_group(container);
	struct tce_window *win = &container->windows[slot];
	struct iommu_table *tbl = NULL;
	unsigned long locked;
	long ret;

	locked = tables->ops->get_table_size(page_shift, size, levels);
	if (!locked)
		return tce_refuse_table(tables, page_shift, size, levels,
					-EINVAL, why);

	locked = DIV_ROUND_UP(locked, PAGE_SIZE);
	ret = account_locked_vm(container->mm, locked, true);
	if (ret)
		return mm_iommu_refuse(why, ret, mm_iommu_limit_left(container->mm),
					"over the limit of locked memory, bytes left of it: ");

	ret = tables->ops->create_table(tables, slot, page_shift, size, levels,
					&tbl);
	if (ret)
		goto err_unaccount;

	ret = iommu_tce_view_create(tbl);
	if (ret)
		goto err_unset_groups;

	ret = tce_refuse_set(tce_set_groups(container, slot, tbl), why);
	if (ret)
		goto err_unset_groups;

	win->tbl = tbl;
	win->start = (u64)tbl->it_offset << tbl->it_page_shift;
	win->size = size;
	win->shift = page_shift;
	win->locked = locked;

	/* Last: from here on KVM attaches it, where the memory is registered */
	iommu_tce_bind(tbl, tce_backing(container), container->mm, locked);
	return 0;

err_unset_groups:
	tce_unset_groups(container, slot, tbl);
	iommu_tce_table_put(tbl);
err_unaccount:
	account_locked_vm(container->mm, locked, false);
	return tce_refuse_table(tables, page_shift, size, levels, ret, why);
}

/* Creates the table of a window that was promised but not yet used. */
static long tce_use_window(struct tce_container *container,
			   struct tce_window *win, struct mm_iommu_refusal *why)
{
	if (!win->size || win->tbl)
		return 0;
	return tce_add_window(container, win - container->windows, win->shift,
			      win->size, 1, why);
}

/*
 * Undoes tce_use_window() for a call that failed after it, unless somebody else
 * has mapped something meanwhile.
 */
static void tce_unuse_window(struct tce_container *container,
			     struct tce_window *win)
{
	struct tce_window promised = {
		.start = win->start,
		.size = win->size,
		.shift = win->shift,
	};

	lockdep_assert_held_write(&container->lock);
	if (win->tbl && !iommu_tce_view_mapped(win->tbl) &&
	    !tce_remove_window(container, win - container->windows))
		*win = promised;
}

/* The default window, which exists as soon as the container has a group. */
static void tce_promise_window(struct tce_container *container,
			       const struct iommu_table_group *tables)
{
	container->windows[0] = (struct tce_window){
		.start = tables->tce32_start,
		.size = tables->tce32_size,
		.shift = IOMMU_PAGE_SHIFT_4K,
	};
}

static int tce_free_slot(const struct tce_container *container)
{
	int i;

	for (i = 0; i < TCE_MAX_WINDOWS; i++)
		if (!container->windows[i].size)
			return i;
	return -ENOSPC;
}

/* Platforms shift by what user space says: check it before they see it. */
static int tce_check_create(const struct iommu_table_group *tables,
			    const struct vfio_iommu_spapr_tce_create *create)
{
	if (create->page_shift >= BITS_PER_LONG_LONG ||
	    !(tables->pgsizes & BIT_ULL(create->page_shift)))
		return -EINVAL;
	if (!is_power_of_2(create->window_size) ||
	    create->window_size >> create->page_shift == 0)
		return -EINVAL;
	/* a hypervisor owns its tables: what is asked for is a hint */
	if (tables->max_levels > 1 &&
	    (!create->levels || create->levels > tables->max_levels))
		return -EINVAL;
	return 0;
}

static int tce_create(struct tce_container *container,
		      struct vfio_iommu_spapr_tce_create *create,
		      struct mm_iommu_refusal *why)
{
	struct tce_window *first = &container->windows[0];
	bool promised = first->size && !first->tbl;
	int slot, ret;

	if (tce_check_create(tce_first_group(container), create))
		return mm_iommu_refuse(why, -EINVAL, 0,
					"page size, window size or levels not supported");

	slot = tce_free_slot(container);
	if (slot < 0)
		return mm_iommu_refuse(why, slot, 0,
					"all windows are in use");

	/* the default window has the first claim on slot 0 */
	ret = tce_use_window(container, first, why);
	if (ret)
		return ret;

	ret = tce_add_window(container, slot, create->page_shift,
			     create->window_size, create->levels, why);
	if (ret) {
		if (promised)
			tce_unuse_window(container, first);
		return ret;
	}

	create->start_addr = container->windows[slot].start;
	return slot;
}

/*
 * Creates a window with the lock held, and takes a reference on its table.
 *
 * Return: the slot, or a negative errno.
 */
static int tce_create_locked(struct tce_container *container,
			     struct vfio_iommu_spapr_tce_create *create,
			     struct iommu_table **tblp)
{
	struct mm_iommu_refusal why = { };
	int slot;

	if (down_write_killable(&container->lock))
		return -EINTR;
	slot = tce_first_group(container) ? tce_create(container, create, &why) :
					    -ENXIO;
	trace_spapr_tce_create_window(create->start_addr, create->window_size,
				      create->page_shift, create->levels,
				      min(slot, 0));
	if (slot >= 0)
		*tblp = iommu_tce_table_get(container->windows[slot].tbl);
	up_write(&container->lock);
	if (slot < 0 && slot != -ENXIO)
		tce_refuse(container, "CREATE", 0, create->window_size, slot,
			   &why);
	return slot;
}

/*
 * Removes a window that user space was not told of, unless another call has. If the
 * process is killed it goes with the container.
 */
static void tce_uncreate(struct tce_container *container, int slot,
			 struct iommu_table *tbl)
{
	if (down_write_killable(&container->lock))
		return;
	if (container->windows[slot].tbl == tbl)
		tce_drop_window(container, slot);
	up_write(&container->lock);
}

/* VFIO_IOMMU_SPAPR_TCE_CREATE */
static noinline long tce_ioctl_create(struct tce_container *container,
				      void __user *uarg)
{
	struct vfio_iommu_spapr_tce_create create;
	struct iommu_table *tbl;
	int slot, ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&create, sizeof(create), uarg, 0);
	if (ret)
		return ret;
	if (create.__resv1 || create.__resv2)
		return -EINVAL;

	slot = tce_create_locked(container, &create, &tbl);
	if (slot < 0)
		return slot;

	if (copy_to_user(uarg, &create, sizeof(create))) {
		tce_uncreate(container, slot, tbl);
		ret = -EFAULT;
	}
	iommu_tce_table_put(tbl);
	return ret;
}

static long tce_remove(struct tce_container *container, u64 start)
{
	struct tce_window *win;
	long ret;

	if (!tce_first_group(container))
		return -ENXIO;

	win = tce_find_window(container, start);
	if (!win || win->start != start)
		return tce_refuse(container, "REMOVE", start, 0, -EINVAL,
				  &TCE_WHY("no window at this bus address"));

	ret = tce_remove_window(container, win - container->windows);
	trace_spapr_tce_remove_window(start, ret);
	if (ret)
		tce_refuse(container, "REMOVE", start, 0, ret, NULL);
	return ret;
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
static noinline long tce_ioctl_remove(struct tce_container *container,
				      void __user *uarg)
{
	struct vfio_iommu_spapr_tce_remove remove;
	long ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&remove, sizeof(remove), uarg, 0);
	if (ret)
		return ret;

	if (down_write_killable(&container->lock))
		return -EINTR;
	ret = tce_remove(container, remove.start_addr);
	up_write(&container->lock);
	return ret;
}

static int tce_get_info(struct tce_container *container,
			struct vfio_iommu_spapr_tce_info *info)
{
	const struct iommu_table_group *tables = tce_first_group(container);

	if (!tables)
		return -ENXIO;

	info->dma32_window_start = tables->tce32_start;
	info->dma32_window_size = tables->tce32_size;
	if (container->v2 && tables->max_dynamic_windows_supported) {
		info->flags |= VFIO_IOMMU_SPAPR_INFO_DDW;
		info->ddw.pgsizes = tables->pgsizes;
		info->ddw.max_dynamic_windows_supported =
			tables->max_dynamic_windows_supported;
		info->ddw.levels = tables->max_levels;
	}
	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
static noinline long tce_ioctl_get_info(struct tce_container *container,
					void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_spapr_tce_info,
					 dma32_window_size);
	struct vfio_iommu_spapr_tce_info info = { };
	int ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	if (get_user(info.argsz, (u32 __user *)uarg))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	if (down_read_killable(&container->lock))
		return -EINTR;
	ret = tce_get_info(container, &info);
	up_read(&container->lock);
	if (ret)
		return ret;

	if (copy_to_user(uarg, &info,
			 info.argsz < sizeof(info) ? minsz : sizeof(info)))
		return -EFAULT;
	return 0;
}

/* Maps */

/* Finds the window of a whole range of IOMMU pages. */
static __always_inline struct tce_window *
tce_window_of_range(struct tce_container *container, u64 iova, u64 size)
{
	struct tce_window *win = tce_find_window(container, iova);
	u64 mask;

	if (unlikely(!win))
		return ERR_PTR(-ENXIO);

	mask = BIT_ULL(win->shift) - 1;
	if (unlikely((iova | size) & mask ||
		     size > win->size - (iova - win->start)))
		return ERR_PTR(-EINVAL);
	return win;
}

static bool tce_wraps(u64 addr, u64 size)
{
	return size && addr + (size - 1) < addr;
}

static const struct mm_iommu_refusal tce_wrapped = {
	.words = "bus addresses or memory that wrap around",
};

/* A call before its time: of the range @iova has the bus address and the size. */
static noinline long tce_refuse_unused(struct tce_container *container,
				       const char *call, const void __user *iova,
				       int error)
{
	u64 range[2];

	if (READ_ONCE(container->enabled) ||
	    copy_from_user(range, iova, sizeof(range)))
		return error;
	return tce_refuse(container, call, range[0], range[1], error,
			  &TCE_WHY("nothing was registered or enabled yet"));
}

/* A range that is in no window, or not as a window has it. */
static noinline int tce_refuse_range(struct tce_container *container,
				     const char *call, u64 iova, u64 size,
				     int error)
{
	const struct mm_iommu_refusal why =
		TCE_WHY(error == -ENXIO ?
			"no window at this bus address" :
			"more than the window, or not whole IOMMU pages");

	return tce_refuse(container, call, iova, size, error, &why);
}

/* What the TCE core says by its error, and @bad: an address that is why, or the end. */
static noinline int tce_refuse_map(struct tce_container *container,
				   const struct vfio_iommu_type1_dma_map *map,
				   unsigned long bad, int error)
{
	struct mm_iommu_refusal why = { .at = bad };

	switch (error) {
	case -EPERM:
		why.words = "nothing was registered or enabled yet";
		break;
	case -ENOMEM:
		why.words = "the kernel has no memory for it";
		break;
	case -EBUSY:
		why.words = "other calls map as much as the window at present";
		break;
	case -EINVAL:
		if (container->v2)
			why.words = "not registered, or memory in smaller pieces than the IOMMU page: 0x";
		break;
	case -EFAULT:
		why.words = container->v2 ?
			"was mapped for reading only when it was first registered: 0x" :
			"no memory there, or none that can be pinned: 0x";
	}
	/* it was not for an address, so it was the platform */
	if ((error == -EINVAL || error == -EFAULT) &&
	    bad == map->vaddr + map->size)
		why.words = NULL;
	return tce_refuse(container, "MAP", map->iova, map->size, error, &why);
}

/*
 * Creates the default window for a call that is about to use it, which gets a
 * reference on the table in @made. Version 1 may have been disabled since the
 * caller looked: there was no table to close then.
 */
static noinline int tce_use_promised(struct tce_container *container,
				     const struct vfio_iommu_type1_dma_map *map,
				     struct iommu_table **made)
{
	struct tce_window *win = &container->windows[0];
	struct mm_iommu_refusal why = { };
	bool promised;
	int ret;

	if (down_write_killable(&container->lock))
		return -EINTR;
	promised = win->size && !win->tbl;
	ret = container->enabled ?
	      tce_use_window(container, win, &why) :
	      mm_iommu_refuse(&why, -EPERM, 0,
				"nothing was registered or enabled yet");
	if (!ret && promised)
		*made = iommu_tce_table_get(win->tbl);
	up_write(&container->lock);
	if (ret)
		tce_refuse(container, "MAP", map->iova, map->size, ret, &why);
	return ret;
}

/*
 * After the call. If it has failed the window is a promise again, unless the process
 * is killed, or another call has removed it: another window may be in its place.
 */
static noinline void tce_unuse_promised(struct tce_container *container,
					struct iommu_table *made, bool failed)
{
	struct tce_window *win = &container->windows[0];

	if (failed && !down_write_killable(&container->lock)) {
		if (win->tbl == made)
			tce_unuse_window(container, win);
		up_write(&container->lock);
	}
	iommu_tce_table_put(made);
}

static bool tce_map_is_sane(const struct vfio_iommu_type1_dma_map *map,
			    const struct tce_window *win)
{
	return map->flags && IS_ALIGNED(map->vaddr, BIT_ULL(win->shift));
}

/*
 * v1 pins user memory, so the lock is released meanwhile. Who removes or
 * disables the window closes its table, and nothing is mapped in it then.
 *
 * ENABLE counts as much as the window maps. MAPs that wait for memory hold pages
 * beside those: never more than once as many, however many threads call.
 *
 * Return: 0; -EPERM where the window was disabled; -ESTALE where it was removed
 * or has another table; -EBUSY where other calls map as much already; errors of
 * iommu_tce_map().
 */
static noinline long tce_map_v1(struct tce_container *container,
				const struct vfio_iommu_type1_dma_map *map,
				const struct tce_window *win, unsigned long *bad)
{
	struct iommu_table *tbl = iommu_tce_table_get(win->tbl);
	unsigned long npages = PFN_UP(map->size);
	unsigned int shift = win->shift;
	long ret = container->enabled ? -EBUSY : -EPERM;

	if (atomic_long_add_return(npages, &container->pinning) >
	    container->locked)
		goto out_put;

	up_read(&container->lock);
	ret = iommu_tce_map(tbl, map->iova >> shift, map->vaddr,
			    map->size >> shift,
			    map->flags & VFIO_DMA_MAP_FLAG_WRITE, bad);
	down_read(&container->lock);
	if (ret == -ENXIO)
		ret = win->tbl == tbl ? -EPERM : -ESTALE;
out_put:
	atomic_long_sub(npages, &container->pinning);
	iommu_tce_table_put(tbl);
	return ret;
}

/* -ESTALE where the window has no table, or another one by now. */
static __always_inline long tce_map(struct tce_container *container,
				    const struct vfio_iommu_type1_dma_map *map)
{
	unsigned long bad = map->vaddr + map->size;
	struct tce_window *win;
	long ret;

	win = tce_window_of_range(container, map->iova, map->size);
	if (IS_ERR(win))
		return tce_refuse_range(container, "MAP", map->iova,
					map->size, PTR_ERR(win));
	if (!tce_map_is_sane(map, win))
		return tce_refuse_range(container, "MAP", map->iova,
					map->size, -EINVAL);
	if (!map->size)
		return 0;
	if (unlikely(!win->tbl))
		return -ESTALE;

	if (likely(container->v2))
		ret = iommu_tce_map(win->tbl, map->iova >> win->shift,
				    map->vaddr, map->size >> win->shift,
				    map->flags & VFIO_DMA_MAP_FLAG_WRITE, &bad);
	else
		ret = tce_map_v1(container, map, win, &bad);
	if (unlikely(ret == -ESTALE))
		return ret;
	trace_spapr_tce_map(map->iova, map->vaddr, map->size, map->flags, ret);
	if (unlikely(ret))
		ret = tce_refuse_map(container, map, bad, ret);
	return ret;
}

/* VFIO_IOMMU_MAP_DMA */
static noinline long tce_ioctl_map(struct tce_container *container,
				   void __user *uarg)
{
	struct vfio_iommu_type1_dma_map map;
	struct iommu_table *made = NULL;
	long ret;

	ret = tce_check_enabled(container);
	if (ret)
		return tce_refuse_unused(container, "MAP", uarg +
					 offsetof(typeof(map), iova), ret);
	ret = tce_copy_arg(&map, sizeof(map), uarg,
			   VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	if (ret)
		return ret;
	if (tce_wraps(map.iova, map.size) || tce_wraps(map.vaddr, map.size))
		return tce_refuse(container, "MAP", map.iova, map.size,
				  -EOVERFLOW, &tce_wrapped);

	do {
		if (down_read_killable(&container->lock)) {
			ret = -EINTR;
			break;
		}
		ret = tce_map(container, &map);
		up_read(&container->lock);
		if (likely(ret != -ESTALE))
			break;
		ret = tce_use_promised(container, &map, &made);
	} while (!ret);

	if (unlikely(made))
		tce_unuse_promised(container, made, ret);
	return ret;
}

static __always_inline long
tce_unmap(struct tce_container *container,
	  const struct vfio_iommu_type1_dma_unmap *unmap)
{
	struct tce_window *win;
	long ret;

	win = tce_window_of_range(container, unmap->iova, unmap->size);
	if (IS_ERR(win))
		return tce_refuse_range(container, "UNMAP", unmap->iova,
					unmap->size, PTR_ERR(win));

	if (!win->tbl)
		return 0;

	ret = iommu_tce_unmap(win->tbl, unmap->iova >> win->shift,
			      unmap->size >> win->shift);
	trace_spapr_tce_unmap(unmap->iova, unmap->size, ret);
	if (unlikely(ret))
		tce_refuse(container, "UNMAP", unmap->iova, unmap->size, ret, NULL);
	return ret;
}

/* VFIO_IOMMU_UNMAP_DMA */
static noinline long tce_ioctl_unmap(struct tce_container *container,
				     void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap,
					 size);
	struct vfio_iommu_type1_dma_unmap unmap;
	long ret;

	ret = tce_check_enabled(container);
	if (ret)
		return tce_refuse_unused(container, "UNMAP", uarg +
					 offsetof(typeof(unmap), iova), ret);
	ret = tce_copy_arg(&unmap, minsz, uarg, 0);
	if (ret)
		return ret;
	if (tce_wraps(unmap.iova, unmap.size))
		return tce_refuse(container, "UNMAP", unmap.iova, unmap.size,
				  -EOVERFLOW, &tce_wrapped);

	if (down_read_killable(&container->lock))
		return -EINTR;
	ret = tce_unmap(container, &unmap);
	up_read(&container->lock);
	return ret;
}

/* v1: one switch for the whole 32-bit window */

/* VFIO_IOMMU_ENABLE */
static long tce_ioctl_enable(struct tce_container *container)
{
	struct iommu_table_group *tables = tce_first_group(container);
	struct tce_window *win = &container->windows[0];
	struct mm_iommu_refusal why;
	unsigned long locked;
	int ret;

	if (container->enabled)
		return -EBUSY;
	if (!tables)
		return -ENODEV;
	if (!tables->tce32_size)
		return -EPERM;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;

	locked = tables->tce32_size >> PAGE_SHIFT;
	ret = account_locked_vm(container->mm, locked, true);
	if (ret) {
		mm_iommu_refuse(&why, ret, mm_iommu_limit_left(container->mm),
					"over the limit of locked memory, bytes left of it: ");
		return tce_refuse(container, "ENABLE", 0, tables->tce32_size,
				  ret, &why);
	}

	ret = mm_iommu_unregistered_start(container->mm);
	if (ret) {
		account_locked_vm(container->mm, locked, false);
		return tce_refuse(container, "ENABLE", 0, tables->tce32_size,
				  ret, &TCE_WHY("the kernel has no memory for it"));
	}

	container->locked = locked;
	if (win->tbl)
		iommu_tce_close(win->tbl, false);
	/* pairs with smp_load_acquire() in tce_check_enabled() */
	smp_store_release(&container->enabled, true);
	return 0;
}

/* Takes back what ENABLE did to the mm. */
static void tce_end_v1(struct tce_container *container)
{
	mm_iommu_unregistered_end(container->mm);
	account_locked_vm(container->mm, container->locked, false);
	container->locked = 0;
}

/* VFIO_IOMMU_DISABLE: what is not counted any more is not mapped any more. */
static long tce_ioctl_disable(struct tce_container *container)
{
	struct tce_window *win = &container->windows[0];
	int ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	if (!container->enabled)
		return 0;

	WRITE_ONCE(container->enabled, false);
	if (win->tbl) {
		/* a MAP may be pinning */
		iommu_tce_close(win->tbl, true);
		tce_clear_window(win);
	}
	tce_end_v1(container);
	return 0;
}

static noinline long tce_ioctl_v1(struct tce_container *container, bool enable)
{
	long ret;

	if (down_write_killable(&container->lock))
		return -EINTR;
	ret = enable ? tce_ioctl_enable(container) :
		       tce_ioctl_disable(container);
	up_write(&container->lock);
	return ret;
}

/* v2: registered memory */

static const struct mm_iommu_refusal tce_not_whole = {
	.words = "not whole pages, or nothing, or beyond the end",
};

static bool tce_memory_is_sane(const struct vfio_iommu_spapr_register_memory *m)
{
	/* no memory ends at 2^64, where the sum is 0 */
	return PAGE_ALIGNED(m->vaddr | m->size) &&
	       m->vaddr + m->size > m->vaddr;
}

/*
 * Finds what this container registered at an address, or the place in the tree
 * where it belongs.
 */
static struct tce_registration *
tce_find_registration(struct tce_container *container, unsigned long ua,
		      struct rb_node **parent, struct rb_node ***link)
{
	struct tce_registration *reg;

	lockdep_assert_held(&container->memory_lock);
	*parent = NULL;
	*link = &container->registrations.rb_node;
	while (**link) {
		*parent = **link;
		reg = rb_entry(*parent, struct tce_registration, node);
		if (ua == reg->ua)
			return reg;
		*link = ua < reg->ua ? &(*parent)->rb_left :
				       &(*parent)->rb_right;
	}
	return NULL;
}

static void tce_del_registration(struct tce_container *container,
				 struct tce_registration *reg)
{
	lockdep_assert_held(&container->memory_lock);
	rb_erase(&reg->node, &container->registrations);
	kfree(reg);
}

/*
 * Takes the place of a range, for this thread alone. What is registered there
 * may have been given up before and replaced through another container: then
 * it is to be replaced here too.
 *
 * Return: the registration, busy; NULL where the range is registered;
 * ERR_PTR(-ENOMEM).
 */
static struct tce_registration *
tce_claim_registration(struct tce_container *container, unsigned long ua,
		       unsigned long size)
{
	struct tce_registration *reg, *new;
	struct rb_node *parent, **link;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);

	mutex_lock(&container->memory_lock);
	reg = tce_find_registration(container, ua, &parent, &link);
	if (!reg) {
		reg = new;
		new = NULL;
		reg->ua = ua;
		rb_link_node(&reg->node, parent, link);
		rb_insert_color(&reg->node, &container->registrations);
	} else if (reg->busy || (mm_iommu_size(reg->region) == size &&
				 mm_iommu_is_current(reg->region))) {
		reg = NULL;
	}
	if (reg)
		reg->busy = true;
	mutex_unlock(&container->memory_lock);
	kfree(new);
	return reg;
}

/* VFIO_IOMMU_SPAPR_REGISTER_MEMORY */
static noinline long tce_ioctl_register(struct tce_container *container,
					void __user *uarg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct mm_iommu_region *region, *old;
	struct mm_iommu_refusal why;
	struct tce_registration *reg;
	int ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&memory, sizeof(memory), uarg, 0);
	if (ret)
		return ret;
	if (!tce_memory_is_sane(&memory))
		return tce_refuse(container, "REGISTER", memory.vaddr, memory.size,
				  -EINVAL, &tce_not_whole);

	reg = tce_claim_registration(container, memory.vaddr, memory.size);
	if (IS_ERR(reg))
		return PTR_ERR(reg);
	if (!reg)
		return tce_refuse(container, "REGISTER", memory.vaddr, memory.size,
				  -EBUSY, &TCE_WHY("is registered already, or was enabled"));

	ret = mm_iommu_register(container->mm, memory.vaddr, memory.size,
				&region, &why);
	trace_spapr_tce_register(memory.vaddr, memory.size, ret);

	mutex_lock(&container->memory_lock);
	old = reg->region;
	reg->busy = false;
	if (!ret)
		reg->region = region;
	else if (!old)
		tce_del_registration(container, reg);
	mutex_unlock(&container->memory_lock);

	if (ret)
		return tce_refuse(container, "REGISTER", memory.vaddr, memory.size,
				  ret, &why);
	if (old)
		mm_iommu_release(old);
	/* pairs with smp_load_acquire() in tce_check_enabled() */
	smp_store_release(&container->enabled, true);
	return 0;
}

/* The registration of exactly this range, busy from now on; or NULL. */
static struct tce_registration *
tce_take_registration(struct tce_container *container, unsigned long ua,
		      unsigned long size)
{
	struct rb_node *parent, **link;
	struct tce_registration *reg;

	mutex_lock(&container->memory_lock);
	reg = tce_find_registration(container, ua, &parent, &link);
	if (reg && !reg->busy && mm_iommu_size(reg->region) == size)
		reg->busy = true;
	else
		reg = NULL;
	mutex_unlock(&container->memory_lock);
	return reg;
}

/*
 * Has all regions told how many of their pages are mapped, until mm_iommu_tell_end();
 * there is at least one.
 */
static void tce_tell_begin(struct tce_container *container)
{
	mm_iommu_tell_begin(container->mm);
	iommu_tce_tell(container->mm, &iommu_tce_registered);
}

static void tce_refuse_mapped(struct tce_container *container,
			      const struct vfio_iommu_spapr_register_memory *m,
			      struct mm_iommu_region *region)
{
	struct mm_iommu_refusal why;
	struct mm_iommu_info info;

	tce_tell_begin(container);
	mm_iommu_get_info(region, &info);
	mm_iommu_tell_end(container->mm);
	mm_iommu_refuse(&why, -EBUSY, info.mapped,
				"IOMMU pages of it are mapped: ");
	tce_refuse(container, "UNREGISTER", m->vaddr, m->size, -EBUSY, &why);
}

/* VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY */
static noinline long tce_ioctl_unregister(struct tce_container *container,
					  void __user *uarg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct tce_registration *reg;
	int ret;

	if (!READ_ONCE(container->mm))
		return -EPERM;
	ret = tce_check_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&memory, sizeof(memory), uarg, 0);
	if (ret)
		return ret;
	if (!tce_memory_is_sane(&memory))
		return tce_refuse(container, "UNREGISTER", memory.vaddr, memory.size,
				  -EINVAL, &tce_not_whole);

	reg = tce_take_registration(container, memory.vaddr, memory.size);
	if (!reg)
		return tce_refuse(container, "UNREGISTER", memory.vaddr, memory.size,
				  -ENOENT, &TCE_WHY("is not registered through this container"));

	ret = mm_iommu_unregister(reg->region);
	trace_spapr_tce_unregister(memory.vaddr, memory.size, ret);
	if (ret == -EBUSY)
		tce_refuse_mapped(container, &memory, reg->region);

	mutex_lock(&container->memory_lock);
	if (ret == -EBUSY)
		reg->busy = false;
	else
		tce_del_registration(container, reg);
	mutex_unlock(&container->memory_lock);
	return ret;
}

/* EEH */

static int tce_eeh_copy_arg(struct vfio_eeh_pe_op *op, void __user *uarg)
{
	const size_t size = offsetofend(struct vfio_eeh_pe_op, err.mask);
	int ret;

	ret = tce_copy_arg(op, offsetofend(struct vfio_eeh_pe_op, op), uarg, 0);
	if (ret || op->op != VFIO_EEH_PE_INJECT_ERR)
		return ret;

	if (op->argsz < size)
		return -EINVAL;
	if (copy_from_user(&op->err, uarg + offsetof(typeof(*op), err),
			   size - offsetof(typeof(*op), err)))
		return -EFAULT;
	return 0;
}

static long tce_eeh_group(struct iommu_group *grp,
			  const struct vfio_eeh_pe_op *op)
{
	struct eeh_pe *pe = eeh_iommu_group_to_pe(grp);

	if (!pe)
		return -ENODEV;

	switch (op->op) {
	case VFIO_EEH_PE_DISABLE:
		return eeh_pe_set_option(pe, EEH_OPT_DISABLE);
	case VFIO_EEH_PE_ENABLE:
		return eeh_pe_set_option(pe, EEH_OPT_ENABLE);
	case VFIO_EEH_PE_UNFREEZE_IO:
		return eeh_pe_set_option(pe, EEH_OPT_THAW_MMIO);
	case VFIO_EEH_PE_UNFREEZE_DMA:
		return eeh_pe_set_option(pe, EEH_OPT_THAW_DMA);
	case VFIO_EEH_PE_GET_STATE:
		return eeh_pe_get_state(pe);
	case VFIO_EEH_PE_RESET_DEACTIVATE:
		return eeh_pe_reset(pe, EEH_RESET_DEACTIVATE, true);
	case VFIO_EEH_PE_RESET_HOT:
		return eeh_pe_reset(pe, EEH_RESET_HOT, true);
	case VFIO_EEH_PE_RESET_FUNDAMENTAL:
		return eeh_pe_reset(pe, EEH_RESET_FUNDAMENTAL, true);
	case VFIO_EEH_PE_CONFIGURE:
		return eeh_pe_configure(pe);
	case VFIO_EEH_PE_INJECT_ERR:
		return eeh_pe_inject_err(pe, op->err.type, op->err.func,
					 op->err.addr, op->err.mask);
	default:
		return -EINVAL;
	}
}

/* VFIO_EEH_PE_OP, on each group until one does not answer 0 */
static noinline long tce_ioctl_eeh(struct tce_container *container,
				   void __user *uarg)
{
	struct vfio_eeh_pe_op op = { };
	struct tce_group *group;
	long ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	ret = tce_eeh_copy_arg(&op, uarg);
	if (ret)
		return ret;

	if (down_read_killable(&container->eeh_lock))
		return -EINTR;
	list_for_each_entry(group, &container->groups, list) {
		ret = tce_eeh_group(group->grp, &op);
		if (ret)
			break;
	}
	up_read(&container->eeh_lock);
	return ret;
}

static long tce_check_extension(unsigned long extension)
{
	switch (extension) {
	case VFIO_SPAPR_TCE_IOMMU:
	case VFIO_SPAPR_TCE_v2_IOMMU:
		return 1;
	case VFIO_EEH:
		return eeh_enabled();
	default:
		return 0;
	}
}

/*
 * @iommu_data is NULL when VFIO asks what a container would support. Each call
 * is a function of its own, so that none pays for what another needs.
 */
static long tce_iommu_ioctl(void *iommu_data, unsigned int cmd,
			    unsigned long arg)
{
	struct tce_container *container = iommu_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_CHECK_EXTENSION:
		return tce_check_extension(arg);
	case VFIO_IOMMU_MAP_DMA:
		return tce_ioctl_map(container, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return tce_ioctl_unmap(container, uarg);
	case VFIO_IOMMU_SPAPR_TCE_GET_INFO:
		return tce_ioctl_get_info(container, uarg);
	case VFIO_EEH_PE_OP:
		return tce_ioctl_eeh(container, uarg);
	case VFIO_IOMMU_SPAPR_REGISTER_MEMORY:
		return container->v2 ? tce_ioctl_register(container, uarg) :
				       -ENOTTY;
	case VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY:
		return container->v2 ? tce_ioctl_unregister(container, uarg) :
				       -ENOTTY;
	case VFIO_IOMMU_SPAPR_TCE_CREATE:
		return container->v2 ? tce_ioctl_create(container, uarg) :
				       -ENOTTY;
	case VFIO_IOMMU_SPAPR_TCE_REMOVE:
		return container->v2 ? tce_ioctl_remove(container, uarg) :
				       -ENOTTY;
	case VFIO_IOMMU_ENABLE:
	case VFIO_IOMMU_DISABLE:
		return container->v2 ? -ENOTTY :
		       tce_ioctl_v1(container, cmd == VFIO_IOMMU_ENABLE);
	default:
		return -ENOTTY;
	}
}

/* For people: /proc/PID/fdinfo of the container */

/* Returns the pages that are locked for windows, and by ENABLE. */
static unsigned long tce_show_windows(struct tce_container *container,
				      struct seq_file *m)
{
	unsigned long pages = container->locked;
	const struct tce_window *win;
	int i;

	for (i = 0; i < TCE_MAX_WINDOWS; i++) {
		win = &container->windows[i];
		if (!win->size)
			continue;
		seq_printf(m, "spapr_tce_window:\tslot=%d start=0x%llx size=0x%llx page=0x%llx levels=%lu mapped=%lu locked=%lu\n",
			   i, win->start, win->size, BIT_ULL(win->shift),
			   win->tbl ? win->tbl->it_indirect_levels + 1 : 1,
			   win->tbl ? iommu_tce_view_mapped(win->tbl) : 0,
			   win->locked << (PAGE_SHIFT - 10));
		pages += win->locked;
	}
	return pages;
}

/* Returns the pages of all registrations. */
static unsigned long tce_show_regions(struct tce_container *container,
				      struct seq_file *m)
{
	struct tce_registration *reg;
	struct mm_iommu_info info;
	unsigned long pages = 0;
	bool told = false;
	struct rb_node *node;

	lockdep_assert_held(&container->memory_lock);
	for (node = rb_first(&container->registrations); node;
	     node = rb_next(node)) {
		reg = rb_entry(node, struct tce_registration, node);
		if (!reg->region || reg->busy)
			continue;
		if (!told)
			tce_tell_begin(container);
		told = true;
		mm_iommu_get_info(reg->region, &info);
		seq_printf(m, "spapr_tce_region:\tstart=0x%lx size=0x%lx used=%u mapped=%lu granule=0x%lx bytes=%zu access=%s state=%s\n",
			   reg->ua, mm_iommu_size(reg->region), info.used,
			   info.mapped, info.granule, info.bytes,
			   info.readonly ? "read" : "read-write", info.state);
		pages += mm_iommu_size(reg->region) >> PAGE_SHIFT;
		cond_resched();
	}
	if (told)
		mm_iommu_tell_end(container->mm);
	return pages;
}

/* The last refusals as lines of fdinfo, to be freed; NULL: there are none. */
static char *tce_iommu_refusals(void *iommu_data)
{
	struct tce_container *container = iommu_data;
	unsigned int i, nr;
	int len = 0;
	char *text;

	if (!READ_ONCE(container->nr_refusals))
		return NULL;
	text = kmalloc(sizeof(container->refusals), GFP_KERNEL_ACCOUNT);
	if (!text)
		return NULL;

	*text = '\0';
	spin_lock(&container->refusal_lock);
	nr = container->nr_refusals;
	for (i = nr - min(nr, TCE_REFUSALS); i != nr; i++)
		len += strscpy(text + len, container->refusals[i % TCE_REFUSALS],
			       TCE_REFUSAL_TEXT);
	spin_unlock(&container->refusal_lock);
	return text;
}

/* Waits for no lock: a part that is just being changed is left out. */
static void tce_iommu_show_fdinfo(void *iommu_data, struct seq_file *m)
{
	struct tce_container *container = iommu_data;
	unsigned long pages = 0;
	bool complete = true;
	char *refusals;

	seq_printf(m, "spapr_tce_version:\t%d\n", container->v2 ? 2 : 1);

	if (down_read_trylock(&container->lock)) {
		pages += tce_show_windows(container, m);
		up_read(&container->lock);
	} else {
		seq_puts(m, "spapr_tce_busy:\twindows\n");
		complete = false;
	}

	if (mutex_trylock(&container->memory_lock)) {
		pages += tce_show_regions(container, m);
		mutex_unlock(&container->memory_lock);
	} else {
		seq_puts(m, "spapr_tce_busy:\tregions\n");
		complete = false;
	}

	if (complete)
		seq_printf(m, "spapr_tce_locked:\t%lu kB\n",
			   pages << (PAGE_SHIFT - 10));

	refusals = tce_iommu_refusals(container);
	if (refusals)
		seq_puts(m, refusals);
	kfree(refusals);
}

/* Groups */

static int tce_check_group(struct tce_container *container,
			   struct iommu_group *grp,
			   const struct iommu_table_group *tables,
			   struct mm_iommu_refusal *why)
{
	struct tce_group *group;

	lockdep_assert_held(&container->lock);
	if (container->v2 && !tables->max_dynamic_windows_supported)
		return mm_iommu_refuse(why, -EINVAL, 0,
					"the group has no dynamic windows, version 1 can use it");
	if (!container->v2 && !list_empty(&container->groups))
		return mm_iommu_refuse(why, -EBUSY, 0,
					"version 1 has one group, or the group is attached");

	list_for_each_entry(group, &container->groups, list) {
		if (group->grp == grp)
			return mm_iommu_refuse(why, -EBUSY, 0,
						"version 1 has one group, or the group is attached");
		/* tables are shared, so all are of one platform */
		if (group->tables->ops->create_table !=
		    tables->ops->create_table)
			return tce_refuse_set(-EPERM, why);
	}
	return 0;
}

/* Gives a new group all windows that the container has, or none. */
static long tce_set_windows(struct tce_container *container,
			    struct iommu_table_group *tables)
{
	struct tce_window *win;
	long ret = 0;
	int i;

	for (i = 0; i < TCE_MAX_WINDOWS && !ret; i++) {
		win = &container->windows[i];
		if (win->tbl)
			ret = tables->ops->set_window(tables, i, win->tbl);
	}
	if (ret)
		for (i = 0; i < TCE_MAX_WINDOWS; i++)
			if (container->windows[i].tbl)
				tce_unset_group(tables, i,
						container->windows[i].tbl);
	return ret;
}

static int tce_iommu_attach_group(void *iommu_data, struct iommu_group *grp,
				  enum vfio_group_type type)
{
	struct tce_container *container = iommu_data;
	struct mm_iommu_refusal why = { };
	struct iommu_table_group *tables;
	struct tce_group *group;
	int ret;

	if (type == VFIO_EMULATED_IOMMU)
		return -EINVAL;

	tables = iommu_group_get_iommudata(grp);
	if (!tables || !tables->ops || !tables->ops->create_table)
		return tce_refuse(container, "ATTACH", iommu_group_id(grp), 0,
				  -ENODEV, &TCE_WHY("the group has no TCE tables"));

	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return -ENOMEM;
	group->grp = grp;
	group->tables = tables;

	ret = -EINTR;
	if (down_write_killable(&container->eeh_lock))
		goto err_free;
	if (down_write_killable(&container->lock))
		goto err_unlock_eeh;
	ret = tce_check_group(container, grp, tables, &why);
	if (ret)
		goto err_unlock;

	ret = tce_refuse_set(tce_set_windows(container, tables), &why);
	if (ret)
		goto err_unlock;

	if (list_empty(&container->groups) && !tables->tables[0])
		tce_promise_window(container, tables);
	list_add_tail(&group->list, &container->groups);
	up_write(&container->lock);
	up_write(&container->eeh_lock);
	return 0;

err_unlock:
	up_write(&container->lock);
err_unlock_eeh:
	up_write(&container->eeh_lock);
err_free:
	kfree(group);
	return tce_refuse(container, "ATTACH", iommu_group_id(grp), 0, ret,
			  &why);
}

/* Only this group loses the windows; with the last one they go. */
static void tce_iommu_detach_group(void *iommu_data, struct iommu_group *grp)
{
	struct tce_container *container = iommu_data;
	struct tce_group *group;
	bool last;
	int i;

	down_write(&container->eeh_lock);
	down_write(&container->lock);
	last = list_is_singular(&container->groups);
	list_for_each_entry(group, &container->groups, list)
		if (group->grp == grp)
			break;
	if (WARN_ON(list_entry_is_head(group, &container->groups, list)))
		goto out_unlock;

	for (i = 0; i < TCE_MAX_WINDOWS; i++) {
		struct tce_window *win = &container->windows[i];

		if (last)
			tce_drop_window(container, i);
		else if (win->tbl)
			tce_unset_group(group->tables, i, win->tbl);
	}
	list_del(&group->list);
	kfree(group);
out_unlock:
	up_write(&container->lock);
	up_write(&container->eeh_lock);
}

/* The container itself */

static void *tce_iommu_open(unsigned long arg)
{
	struct tce_container *container;

	if (arg != VFIO_SPAPR_TCE_IOMMU && arg != VFIO_SPAPR_TCE_v2_IOMMU)
		return ERR_PTR(-EINVAL);

	container = kzalloc(sizeof(*container), GFP_KERNEL_ACCOUNT);
	if (!container)
		return ERR_PTR(-ENOMEM);

	init_rwsem(&container->eeh_lock);
	init_rwsem(&container->lock);
	mutex_init(&container->memory_lock);
	spin_lock_init(&container->refusal_lock);
	INIT_LIST_HEAD(&container->groups);
	container->registrations = RB_ROOT;
	container->v2 = arg == VFIO_SPAPR_TCE_v2_IOMMU;
	return container;
}

/* VFIO has detached all groups, so there are no windows any more. */
static void tce_iommu_release(void *iommu_data)
{
	struct tce_container *container = iommu_data;
	struct tce_registration *reg, *next;

	WARN_ON(!list_empty(&container->groups));

	rbtree_postorder_for_each_entry_safe(reg, next,
					     &container->registrations, node) {
		mm_iommu_release(reg->region);
		kfree(reg);
		cond_resched();
	}

	if (!container->v2 && container->enabled)
		tce_end_v1(container);
	if (container->mm)
		mmdrop(container->mm);
	mutex_destroy(&container->memory_lock);
	kfree(container);
}

static const struct vfio_iommu_driver_ops tce_iommu_driver_ops = {
	.name		= "iommu-vfio-powerpc",
	.owner		= THIS_MODULE,
	.open		= tce_iommu_open,
	.release	= tce_iommu_release,
	.ioctl		= tce_iommu_ioctl,
	.attach_group	= tce_iommu_attach_group,
	.detach_group	= tce_iommu_detach_group,
	.show_fdinfo	= tce_iommu_show_fdinfo,
	.keep_fdinfo	= tce_iommu_refusals,
};

static int __init tce_iommu_init(void)
{
	return vfio_register_iommu_driver(&tce_iommu_driver_ops);
}

static void __exit tce_iommu_cleanup(void)
{
	vfio_unregister_iommu_driver(&tce_iommu_driver_ops);
}

module_init(tce_iommu_init);
module_exit(tce_iommu_cleanup);

#ifdef CONFIG_VFIO_IOMMU_SPAPR_TCE_KUNIT_TEST
#include "vfio_iommu_spapr_tce_kunit.c"
#endif

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO container for the sPAPR TCE IOMMU");
