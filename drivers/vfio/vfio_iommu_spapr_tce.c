// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO container for the sPAPR TCE IOMMU of POWER, versions 1 and 2.
 *
 * The groups of a container share its DMA windows. A window has one TCE table,
 * which is set in all groups. The versions differ in how user memory is pinned:
 *
 * v1 (VFIO_SPAPR_TCE_IOMMU): one group, the default 32-bit window only. ENABLE
 *    accounts the size of the whole window in locked_vm, MAP pins and UNMAP
 *    unpins.
 * v2 (VFIO_SPAPR_TCE_v2_IOMMU): REGISTER pins and accounts memory once
 *    (arch/powerpc/mm/mmu_context_iommu.c), MAP and UNMAP only write TCEs, and
 *    windows are created and removed by ioctls.
 *
 * The default window has number 0. Its table is created on first use, unless
 * user space has removed the window before.
 *
 * VFIO releases the container after the last call on it has returned. Groups
 * are attached and detached while calls run.
 *
 * Locking order, outermost first:
 *
 * - tce_container::eeh_lock pins the list of groups during EEH calls, which may
 *   take seconds.
 * - tce_container::lock protects windows and groups. Calls that only use them
 *   take it for reading, so different ranges are mapped concurrently.
 * - tce_container::memory_lock protects the registrations.
 * - The locks of the mm's registry, then mmap_lock.
 *
 * No user memory is accessed or pinned under a lock of the container: user
 * space controls how long a page fault takes, and the thread that handles the
 * fault may call the container itself.
 *
 * Errors common to all calls: -EPERM if the caller is not the process that the
 * container is bound to, -EFAULT if the argument cannot be read, -EINVAL if it
 * is too short or has unknown flags, -ENOTTY if the version does not have the
 * call.
 */
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
#include <asm/mm_iommu.h>
#include <asm/tce.h>

#include "vfio.h"

#define CREATE_TRACE_POINTS
#include <trace/events/spapr_tce.h>

#define TCE_MAX_WINDOWS	IOMMU_TABLE_GROUP_MAX_TABLES

/* Number of refusals kept for fdinfo, and size of the text of one. */
#define TCE_REFUSALS	4
#define TCE_REFUSAL_TEXT	256

/**
 * struct tce_window - a DMA window of the container
 * @tbl: TCE table, with a reference; NULL for the default window until its
 *	first use
 * @start: bus address
 * @size: requested size in bytes, the table may have more entries; 0 if there
 *	is no window of this number
 * @shift: log2 of the IOMMU page size
 * @locked: pages accounted in locked_vm for @tbl until it is freed
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
	struct iommu_table_group *table_group;
};

/**
 * struct tce_registration - memory registered through the container
 * @node: node in tce_container::registrations
 * @ua: first user address
 * @region: registered region, with a reference; NULL until the first
 *	registration of this address has pinned it
 * @busy: a thread is registering or unregistering it; grants this thread
 *	exclusive access
 */
struct tce_registration {
	struct rb_node node;
	unsigned long ua;
	struct mm_iommu_region *region;
	bool busy;
};

/**
 * struct tce_container - state of a container
 * @v2: VFIO_SPAPR_TCE_v2_IOMMU; constant
 * @mm: mm of the process that uses the container, with a reference by mmgrab();
 *	set once, by the first call that accounts or pins
 * @enabled: v1: between ENABLE and DISABLE, written under @lock; v2: set by the
 *	first successful REGISTER and never cleared
 * @eeh_lock: held for writing, together with @lock, to modify @groups
 * @lock: protects the members up to @memory_lock, except @pinning
 * @locked: v1: pages accounted in locked_vm by ENABLE
 * @pinning: v1: pages requested by MAP calls in progress; atomic, not under
 *	a lock
 * @windows: windows by number
 * @groups: list of struct tce_group
 * @memory_lock: protects @registrations
 * @registrations: v2: struct tce_registration by first user address
 * @refusal_lock: protects the members below
 * @refusals: ring of the last refusals, as lines of fdinfo
 * @nr_refusals: total number of refusals; modulo TCE_REFUSALS the index of the
 *	next one
 */
struct tce_container {
	bool v2;
	bool enabled;
	struct mm_struct *mm;

	struct rw_semaphore eeh_lock;	/* groups during EEH calls */
	struct rw_semaphore lock;
	unsigned long locked;
	atomic_long_t pinning;
	struct tce_window windows[TCE_MAX_WINDOWS];
	struct list_head groups;

	struct mutex memory_lock;	/* registrations */
	struct rb_root registrations;

	spinlock_t refusal_lock;	/* refusals, nr_refusals */
	char refusals[TCE_REFUSALS][TCE_REFUSAL_TEXT];
	unsigned int nr_refusals;
};

#define TCE_CAUSE(text)	((const struct mm_iommu_refusal){ .words = (text) })

/*
 * Formats a line of fdinfo. A cause that ends with "0x" or with a blank is
 * followed by @why->at.
 */
static void tce_print_refusal(char *line, const char *call, u64 start, u64 size,
			      int error, const struct mm_iommu_refusal *why)
{
	char last = why->words[strlen(why->words) - 1];
	int len;

	len = scnprintf(line, TCE_REFUSAL_TEXT,
			"spapr_tce_refusal:\tcall=%s error=%d start=0x%llx size=0x%llx cause=%s",
			call, error, start, size, why->words);
	if (last == 'x')
		len += scnprintf(line + len, TCE_REFUSAL_TEXT - len, "%llx",
				 why->at);
	else if (last == ' ')
		len += scnprintf(line + len, TCE_REFUSAL_TEXT - len, "%llu",
				 why->at);
	scnprintf(line + len, TCE_REFUSAL_TEXT - len, "\n");
}

/*
 * Records the cause of a failed call for fdinfo, and returns @error. @start
 * and @size are the arguments of the call: a bus address for MAP, UNMAP and
 * windows, the number of the group for ATTACH, else a user address. Without a
 * cause in @why it is derived from @error.
 */
static int tce_report(struct tce_container *container, const char *call,
		      u64 start, u64 size, int error,
		      const struct mm_iommu_refusal *why)
{
	const struct mm_iommu_refusal unknown =
		TCE_CAUSE(error == -EINTR ? "the process was killed" :
			  error == -ENOMEM ? "the kernel has no memory for it" :
			  "the platform refused");
	unsigned int nr;

	if (!why || !why->words)
		why = &unknown;
	trace_spapr_tce_refused(call, error, start, size, why->words, why->at);
	spin_lock(&container->refusal_lock);
	nr = container->nr_refusals++;
	/* skip 0 on wrap-around, it means that there are no refusals */
	if (!container->nr_refusals)
		container->nr_refusals = TCE_REFUSALS;
	tce_print_refusal(container->refusals[nr % TCE_REFUSALS], call, start,
			  size, error, why);
	spin_unlock(&container->refusal_lock);
	return error;
}

/* v1: every TCE pins its page */

static long tce_v1_hold(struct mm_struct *mm, unsigned long ua,
			unsigned long npages, unsigned int shift, bool write,
			struct mm_iommu_held *held)
{
	struct page *page;
	int ret;

	held->bad = ua;
	/* memory is only known to be contiguous within one page */
	if (shift > PAGE_SHIFT)
		return -EINVAL;

	ret = pin_user_pages_fast(ua & PAGE_MASK, 1, FOLL_LONGTERM |
				  (write ? FOLL_WRITE : 0), &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;

	held->cookie = iommu_tce_hpa_cookie(page_to_phys(page) +
					    offset_in_page(ua), write);
	return 1;
}

static int tce_v1_drop(struct mm_struct *mm, u64 cookie, unsigned long npages)
{
	unsigned long pfn = PHYS_PFN(iommu_tce_cookie_hpa(cookie));

	while (npages--)
		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), 1, cookie &
						 MM_IOMMU_COOKIE_WRITE);
	return 0;
}

static const struct iommu_tce_backing tce_v1_pinned = {
	.hold = tce_v1_hold,
	.drop = tce_v1_drop,
	.alike = ~0ULL,
};

static const struct iommu_tce_backing *
tce_backing(const struct tce_container *container)
{
	return container->v2 ? &iommu_tce_registered : &tce_v1_pinned;
}

/* Helpers of all calls */

/*
 * Copies an argument that starts with argsz and flags, and checks both. @size
 * is a compile-time constant.
 */
static inline int tce_copy_arg(void *arg, size_t size, const void __user *uarg,
			       u32 known_flags)
{
	struct {
		u32 argsz;
		u32 flags;
	} *head = arg;

	/* hot path: inline copy */
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

/* Binds the container to the calling process, if it is not bound yet. */
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
 * For calls that need an enabled container: only the bound process may make
 * them. The container is bound before @enabled is set, so they are read in
 * reverse order.
 */
static int tce_check_enabled(struct tce_container *container)
{
	/* pairs with smp_store_release() in ENABLE and REGISTER */
	if (!smp_load_acquire(&container->enabled))
		return -EPERM;
	return READ_ONCE(container->mm) == current->mm ? 0 : -EPERM;
}

/* For calls that do not bind: fails if the container is bound to another mm. */
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
	return group ? group->table_group : NULL;
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
 * Clears the whole table, not only @win->size: the table may have more entries
 * than were requested, and a KVM guest may use them.
 */
static int tce_clear_window(struct tce_window *win)
{
	return iommu_tce_unmap(win->tbl, win->tbl->it_offset,
			       win->tbl->it_size);
}

/* Unsets a table in one group, if it is set there. */
static long tce_unset_group(struct iommu_table_group *table_group, int num,
			    struct iommu_table *tbl)
{
	if (table_group->tables[num] != tbl)
		return 0;
	return table_group->ops->unset_window(table_group, num);
}

/* Unsets a table in all groups. Failures are ignored. */
static void tce_unset_groups(struct tce_container *container, int num,
			     struct iommu_table *tbl)
{
	struct tce_group *group;

	list_for_each_entry(group, &container->groups, list)
		tce_unset_group(group->table_group, num, tbl);
}

/* Unsets a table in all groups, or in none if the platform fails for one. */
static long tce_unset_groups_or_none(struct tce_container *container, int num,
				     struct iommu_table *tbl)
{
	struct iommu_table_group *table_group;
	struct tce_group *group;
	long ret = 0;

	list_for_each_entry(group, &container->groups, list) {
		ret = tce_unset_group(group->table_group, num, tbl);
		if (ret)
			break;
	}
	if (!ret)
		return 0;

	list_for_each_entry_continue_reverse(group, &container->groups, list) {
		table_group = group->table_group;
		if (!table_group->tables[num] &&
		    table_group->ops->set_window(table_group, num, tbl))
			pr_err("vfio_iommu_spapr_tce: cannot restore window at 0x%llx in a group\n",
			       (u64)tbl->it_offset << tbl->it_page_shift);
	}
	return ret;
}

/*
 * Sets a table in all groups, or in none. Some platforms have set it in the
 * first group when they created it.
 */
static long tce_set_groups(struct tce_container *container, int num,
			   struct iommu_table *tbl)
{
	struct tce_group *group;
	long ret = 0;

	list_for_each_entry(group, &container->groups, list) {
		ret = group->table_group->ops->set_window(group->table_group,
							  num, tbl);
		if (ret)
			break;
	}
	if (ret)
		tce_unset_groups(container, num, tbl);
	return ret;
}

/* Names the cause when set_window() has failed. */
static long tce_report_set(long error, struct mm_iommu_refusal *why)
{
	if (error == -EPERM)
		mm_iommu_refuse(why, error, 0,
				"the windows cannot be shared by these groups");
	return error;
}

/* Drops a table that is set in no group any more. KVM may still hold it. */
static void tce_free_window(struct tce_window *win)
{
	if (win->tbl)
		iommu_tce_table_put(win->tbl);
	*win = (struct tce_window){ };
}

/*
 * Removes a window. If the platform fails to clear the window or to unset it in
 * a group, it stays in all groups: the bridge may still walk the table, so
 * neither the table nor the mapped memory may be freed.
 */
static long tce_remove_window(struct tce_container *container, int num)
{
	struct tce_window *win = &container->windows[num];
	bool closed;
	long ret;

	if (win->tbl) {
		closed = iommu_tce_is_closed(win->tbl);
		/* KVM may hold the table: reject new mappings */
		iommu_tce_close(win->tbl, true);
		ret = tce_clear_window(win);
		if (!ret)
			ret = tce_unset_groups_or_none(container, num,
						       win->tbl);
		if (ret) {
			iommu_tce_close(win->tbl, closed);
			return ret;
		}
	}
	tce_free_window(win);
	return 0;
}

/* As tce_remove_window(), but leaks the table and its memory on failure. */
static void tce_drop_window(struct tce_container *container, int num)
{
	struct tce_window *win = &container->windows[num];

	if (!tce_remove_window(container, num))
		return;
	/* KVM may still hold the table: do not leak more memory */
	iommu_tce_close(win->tbl, true);
	tce_unset_groups(container, num, win->tbl);
	pr_err("vfio_iommu_spapr_tce: cannot remove window at 0x%llx: leaking its table and memory\n",
	       win->start);
	*win = (struct tce_window){ };
}

/* Names the cause of an error of create_table() or get_table_size(). */
static long tce_report_table(const struct iommu_table_group *table_group,
			     u32 page_shift, u64 size, u32 levels, long error,
			     struct mm_iommu_refusal *why)
{
	/* bytes; each level is one physically contiguous allocation */
	u64 level = sizeof(u64) << DIV_ROUND_UP(ilog2(size) - page_shift,
						max(levels, 1U));

	if (error == -EINVAL)
		return mm_iommu_refuse(why, error, 0,
				       "page size, window size or levels not supported");
	if (error == -EPERM)
		return mm_iommu_refuse(why, error, 0,
				       "no place for a first window beside the second");
	if (error == -ENOMEM && table_group->max_levels > 1 &&
	    level > PAGE_SIZE)
		return mm_iommu_refuse(why, error, level,
				       "no contiguous memory for a level of the table, bytes of a level: ");
	if (error == -ENOMEM)
		return mm_iommu_refuse(why, error, 0,
				       "the kernel has no memory for it");
	return error;
}

/* Creates a window. On failure all changes are rolled back. */
static long tce_add_window(struct tce_container *container, int num,
			   u32 page_shift, u64 size, u32 levels,
			   struct mm_iommu_refusal *why)
{
	struct iommu_table_group *table_group = tce_first_group(container);
	struct tce_window *win = &container->windows[num];
	struct iommu_table *tbl = NULL;
	unsigned long locked;
	long ret;

	locked = table_group->ops->get_table_size(page_shift, size, levels);
	if (!locked)
		return tce_report_table(table_group, page_shift, size, levels,
					-EINVAL, why);

	locked = DIV_ROUND_UP(locked, PAGE_SIZE);
	ret = account_locked_vm(container->mm, locked, true);
	if (ret)
		return mm_iommu_refuse(why, ret,
				       mm_iommu_limit_left(container->mm),
				       "over the limit of locked memory, bytes left of it: ");

	ret = table_group->ops->create_table(table_group, num, page_shift, size,
					     levels, &tbl);
	if (ret)
		goto err_unaccount;

	ret = iommu_tce_view_create(tbl);
	if (ret)
		goto err_unset_groups;

	ret = tce_report_set(tce_set_groups(container, num, tbl), why);
	if (ret)
		goto err_unset_groups;

	win->tbl = tbl;
	win->start = (u64)tbl->it_offset << tbl->it_page_shift;
	win->size = size;
	win->shift = page_shift;
	win->locked = locked;

	/* last: publishes the table to KVM, which attaches it if v2 */
	iommu_tce_bind(tbl, tce_backing(container), container->mm, locked);
	return 0;

err_unset_groups:
	tce_unset_groups(container, num, tbl);
	iommu_tce_table_put(tbl);
err_unaccount:
	account_locked_vm(container->mm, locked, false);
	return tce_report_table(table_group, page_shift, size, levels, ret,
				why);
}

/* Creates the table of the default window if it does not exist yet. */
static long tce_instantiate_window(struct tce_container *container,
				   struct tce_window *win,
				   struct mm_iommu_refusal *why)
{
	if (!win->size || win->tbl)
		return 0;
	return tce_add_window(container, win - container->windows, win->shift,
			      win->size, 1, why);
}

/*
 * Reverts tce_instantiate_window() for a call that failed later, unless another
 * call has mapped something in the window since.
 */
static void tce_revert_window(struct tce_container *container,
			      struct tce_window *win)
{
	struct tce_window lazy = {
		.start = win->start,
		.size = win->size,
		.shift = win->shift,
	};

	lockdep_assert_held_write(&container->lock);
	if (win->tbl && !iommu_tce_view_mapped(win->tbl) &&
	    !tce_remove_window(container, win - container->windows))
		*win = lazy;
}

/* Initializes the default window, without a table, for the first group. */
static void tce_init_default_window(struct tce_container *container,
				    const struct iommu_table_group *table_group)
{
	container->windows[0] = (struct tce_window){
		.start = table_group->tce32_start,
		.size = table_group->tce32_size,
		.shift = IOMMU_PAGE_SHIFT_4K,
	};
}

static int tce_unused_num(const struct tce_container *container)
{
	int i;

	for (i = 0; i < TCE_MAX_WINDOWS; i++)
		if (!container->windows[i].size)
			return i;
	return -ENOSPC;
}

/* Validates user values that platforms use as shift counts. */
static int tce_check_create(const struct iommu_table_group *table_group,
			    const struct vfio_iommu_spapr_tce_create *create)
{
	if (create->page_shift >= BITS_PER_LONG_LONG ||
	    !(table_group->pgsizes & BIT_ULL(create->page_shift)))
		return -EINVAL;
	if (!is_power_of_2(create->window_size) ||
	    create->window_size >> create->page_shift == 0)
		return -EINVAL;
	/* under a hypervisor the number of levels is only a hint */
	if (table_group->max_levels > 1 &&
	    (!create->levels || create->levels > table_group->max_levels))
		return -EINVAL;
	return 0;
}

static int tce_create(struct tce_container *container,
		      struct vfio_iommu_spapr_tce_create *create,
		      struct mm_iommu_refusal *why)
{
	struct tce_window *first = &container->windows[0];
	bool lazy = first->size && !first->tbl;
	int num, ret;

	if (tce_check_create(tce_first_group(container), create))
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "page size, window size or levels not supported");

	num = tce_unused_num(container);
	if (num < 0)
		return mm_iommu_refuse(why, num, 0,
				       "all windows are in use");

	/* number 0 is reserved for the default window */
	ret = tce_instantiate_window(container, first, why);
	if (ret)
		return ret;

	ret = tce_add_window(container, num, create->page_shift,
			     create->window_size, create->levels, why);
	if (ret) {
		if (lazy)
			tce_revert_window(container, first);
		return ret;
	}

	create->start_addr = container->windows[num].start;
	return num;
}

/*
 * Creates a window under the lock, and returns its table with a reference in
 * @tblp.
 *
 * Return: the number of the window, or a negative errno.
 */
static int tce_create_locked(struct tce_container *container,
			     struct vfio_iommu_spapr_tce_create *create,
			     struct iommu_table **tblp)
{
	struct mm_iommu_refusal why = { };
	int num;

	if (down_write_killable(&container->lock))
		return -EINTR;
	num = tce_first_group(container) ? tce_create(container, create, &why) :
					    -ENXIO;
	trace_spapr_tce_create_window(create->start_addr, create->window_size,
				      create->page_shift, create->levels,
				      min(num, 0));
	if (num >= 0)
		*tblp = iommu_tce_table_get(container->windows[num].tbl);
	up_write(&container->lock);
	if (num < 0 && num != -ENXIO)
		tce_report(container, "CREATE", 0, create->window_size, num,
			   &why);
	return num;
}

/*
 * Removes a window whose creation could not be reported to user space, unless
 * another call has removed it. If the process is being killed the window is
 * removed with the container.
 */
static void tce_cancel_create(struct tce_container *container, int num,
			      struct iommu_table *tbl)
{
	if (down_write_killable(&container->lock))
		return;
	if (container->windows[num].tbl == tbl)
		tce_drop_window(container, num);
	up_write(&container->lock);
}

/* VFIO_IOMMU_SPAPR_TCE_CREATE */
static long tce_ioctl_create(struct tce_container *container, void __user *uarg)
{
	struct vfio_iommu_spapr_tce_create create;
	struct iommu_table *tbl;
	int num, ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&create, sizeof(create), uarg, 0);
	if (ret)
		return ret;
	if (create.__resv1 || create.__resv2)
		return -EINVAL;

	num = tce_create_locked(container, &create, &tbl);
	if (num < 0)
		return num;

	if (copy_to_user(uarg, &create, sizeof(create))) {
		tce_cancel_create(container, num, tbl);
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
		return tce_report(container, "REMOVE", start, 0, -EINVAL,
				  &TCE_CAUSE("no window at this bus address"));

	ret = tce_remove_window(container, win - container->windows);
	trace_spapr_tce_remove_window(start, ret);
	if (ret)
		tce_report(container, "REMOVE", start, 0, ret, NULL);
	return ret;
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
static long tce_ioctl_remove(struct tce_container *container, void __user *uarg)
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
	const struct iommu_table_group *table_group;

	table_group = tce_first_group(container);

	if (!table_group)
		return -ENXIO;

	info->dma32_window_start = table_group->tce32_start;
	info->dma32_window_size = table_group->tce32_size;
	if (container->v2 && table_group->max_dynamic_windows_supported) {
		info->flags |= VFIO_IOMMU_SPAPR_INFO_DDW;
		info->ddw.pgsizes = table_group->pgsizes;
		info->ddw.max_dynamic_windows_supported =
			table_group->max_dynamic_windows_supported;
		info->ddw.levels = table_group->max_levels;
	}
	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
static long tce_ioctl_get_info(struct tce_container *container,
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

/* Mappings */

/* Looks up the window that contains a range of whole IOMMU pages. */
static inline struct tce_window *
tce_range_window(struct tce_container *container, u64 iova, u64 size)
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
	.words = "bus addresses or memory wrap around",
};

/*
 * Reports MAP or UNMAP of a container that is not enabled yet. @iova points to
 * the members iova and size of the argument.
 */
static long tce_report_unused(struct tce_container *container, const char *call,
			      const void __user *iova, int error)
{
	u64 range[2];

	if (READ_ONCE(container->enabled) ||
	    copy_from_user(range, iova, sizeof(range)))
		return error;
	return tce_report(container, call, range[0], range[1], error,
			  &TCE_CAUSE("nothing was registered or enabled yet"));
}

/* Reports a range in no window, or one that is not valid in its window. */
static int tce_report_range(struct tce_container *container, const char *call,
			    u64 iova, u64 size, int error)
{
	const struct mm_iommu_refusal why =
		TCE_CAUSE(error == -ENXIO ?
			  "no window at this bus address" :
			  "outside of the window, or not whole IOMMU pages");

	return tce_report(container, call, iova, size, error, &why);
}

/*
 * Reports a failure of the TCE core, with the cause of its error. @bad is the
 * address that failed, or the end of the range.
 */
static int tce_report_map(struct tce_container *container,
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
		why.words = "other calls in progress map as much as the window";
		break;
	case -EINVAL:
		if (container->v2)
			why.words = "not registered, or in runs smaller than the IOMMU page: 0x";
		break;
	case -EFAULT:
		why.words = container->v2 ?
			"was read-only when it was first registered: 0x" :
			"no memory there, or none that can be pinned: 0x";
	}
	/* no address failed, so the platform did */
	if ((error == -EINVAL || error == -EFAULT) &&
	    bad == map->vaddr + map->size)
		why.words = NULL;
	return tce_report(container, "MAP", map->iova, map->size, error, &why);
}

/*
 * Creates the table of the default window for a MAP, and returns it with a
 * reference in @new_tbl, which is NULL the first time. @enabled is checked
 * again: a DISABLE after the caller's check had no table to close.
 */
static noinline int
tce_instantiate_default(struct tce_container *container,
			const struct vfio_iommu_type1_dma_map *map,
			struct iommu_table **new_tbl)
{
	struct tce_window *win = &container->windows[0];
	struct mm_iommu_refusal why = { };
	bool lazy;
	int ret;

	if (down_write_killable(&container->lock))
		return -EINTR;
	lazy = win->size && !win->tbl;
	ret = container->enabled ?
	      tce_instantiate_window(container, win, &why) :
	      mm_iommu_refuse(&why, -EPERM, 0,
			      "nothing was registered or enabled yet");
	if (!ret && lazy) {
		/* the window may have lost an earlier one before the MAP */
		if (*new_tbl)
			iommu_tce_table_put(*new_tbl);
		*new_tbl = iommu_tce_table_get(win->tbl);
	}
	up_write(&container->lock);
	if (ret)
		tce_report(container, "MAP", map->iova, map->size, ret, &why);
	return ret;
}

/*
 * Drops the reference of tce_instantiate_default() after the MAP. If the MAP
 * has failed the table is removed again, unless the process is being killed or
 * another call has removed the window: number 0 may be another window then.
 */
static void tce_revert_default(struct tce_container *container,
			       struct iommu_table *new_tbl, bool failed)
{
	struct tce_window *win = &container->windows[0];

	if (failed && !down_write_killable(&container->lock)) {
		if (win->tbl == new_tbl)
			tce_revert_window(container, win);
		up_write(&container->lock);
	}
	iommu_tce_table_put(new_tbl);
}

static bool tce_map_valid(const struct vfio_iommu_type1_dma_map *map,
			  const struct tce_window *win)
{
	return map->flags && IS_ALIGNED(map->vaddr, BIT_ULL(win->shift));
}

/*
 * v1 pins user memory, so the lock is dropped around iommu_tce_map(). REMOVE
 * and DISABLE close the table, after which nothing can be mapped in it.
 *
 * ENABLE accounts as many pages as the window can map. MAP calls in progress
 * may hold pages in addition; @pinning limits these to the same number for all
 * threads together.
 *
 * Context: container->lock held for reading; dropped and taken again.
 * Return: 0; -EPERM if the container was disabled; -ESTALE if the window was
 * removed or has another table; -EBUSY if the limit is reached; errors of
 * iommu_tce_map().
 */
static long tce_map_v1(struct tce_container *container,
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

/* Returns -ESTALE if the window has no table, or was replaced (v1). */
static long tce_map(struct tce_container *container,
		    const struct vfio_iommu_type1_dma_map *map)
{
	unsigned long bad = map->vaddr + map->size;
	struct tce_window *win;
	long ret;

	win = tce_range_window(container, map->iova, map->size);
	if (IS_ERR(win))
		return tce_report_range(container, "MAP", map->iova,
					map->size, PTR_ERR(win));
	if (!tce_map_valid(map, win))
		return tce_report_range(container, "MAP", map->iova,
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
		ret = tce_report_map(container, map, bad, ret);
	return ret;
}

static long tce_map_locked(struct tce_container *container,
			   const struct vfio_iommu_type1_dma_map *map)
{
	long ret;

	if (down_read_killable(&container->lock))
		return -EINTR;
	ret = tce_map(container, map);
	up_read(&container->lock);
	return ret;
}

/* VFIO_IOMMU_MAP_DMA */
static noinline long tce_ioctl_map(struct tce_container *container,
				   void __user *uarg)
{
	struct vfio_iommu_type1_dma_map map;
	struct iommu_table *new_tbl = NULL;
	long ret;

	ret = tce_check_enabled(container);
	if (ret)
		return tce_report_unused(container, "MAP", uarg +
					 offsetof(typeof(map), iova), ret);
	ret = tce_copy_arg(&map, sizeof(map), uarg,
			   VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	if (ret)
		return ret;
	if (tce_wraps(map.iova, map.size) || tce_wraps(map.vaddr, map.size))
		return tce_report(container, "MAP", map.iova, map.size,
				  -EOVERFLOW, &tce_wrapped);

	do {
		ret = tce_map_locked(container, &map);
		if (likely(ret != -ESTALE))
			break;
		ret = tce_instantiate_default(container, &map, &new_tbl);
	} while (!ret);

	if (unlikely(new_tbl))
		tce_revert_default(container, new_tbl, ret);
	return ret;
}

static long
tce_unmap(struct tce_container *container,
	  const struct vfio_iommu_type1_dma_unmap *unmap)
{
	struct tce_window *win;
	long ret;

	win = tce_range_window(container, unmap->iova, unmap->size);
	if (IS_ERR(win))
		return tce_report_range(container, "UNMAP", unmap->iova,
					unmap->size, PTR_ERR(win));

	if (!win->tbl)
		return 0;

	ret = iommu_tce_unmap(win->tbl, unmap->iova >> win->shift,
			      unmap->size >> win->shift);
	trace_spapr_tce_unmap(unmap->iova, unmap->size, ret);
	if (unlikely(ret))
		tce_report(container, "UNMAP", unmap->iova, unmap->size, ret,
			   NULL);
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
		return tce_report_unused(container, "UNMAP", uarg +
					 offsetof(typeof(unmap), iova), ret);
	ret = tce_copy_arg(&unmap, minsz, uarg, 0);
	if (ret)
		return ret;
	if (tce_wraps(unmap.iova, unmap.size))
		return tce_report(container, "UNMAP", unmap.iova, unmap.size,
				  -EOVERFLOW, &tce_wrapped);

	if (down_read_killable(&container->lock))
		return -EINTR;
	ret = tce_unmap(container, &unmap);
	up_read(&container->lock);
	return ret;
}

/* v1: ENABLE and DISABLE of the whole 32-bit window */

/* VFIO_IOMMU_ENABLE */
static long tce_ioctl_enable(struct tce_container *container)
{
	struct iommu_table_group *table_group = tce_first_group(container);
	struct tce_window *win = &container->windows[0];
	struct mm_iommu_refusal why;
	unsigned long locked;
	int ret;

	if (container->enabled)
		return -EBUSY;
	if (!table_group)
		return -ENODEV;
	if (!table_group->tce32_size)
		return -EPERM;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;

	locked = table_group->tce32_size >> PAGE_SHIFT;
	ret = account_locked_vm(container->mm, locked, true);
	if (ret) {
		mm_iommu_refuse(&why, ret, mm_iommu_limit_left(container->mm),
				"over the limit of locked memory, bytes left of it: ");
		return tce_report(container, "ENABLE", 0,
				  table_group->tce32_size, ret, &why);
	}

	ret = mm_iommu_unregistered_start(container->mm);
	if (ret) {
		account_locked_vm(container->mm, locked, false);
		return tce_report(container, "ENABLE", 0,
				  table_group->tce32_size, ret,
				  &TCE_CAUSE("the kernel has no memory for it"));
	}

	container->locked = locked;
	if (win->tbl)
		iommu_tce_close(win->tbl, false);
	/* pairs with smp_load_acquire() in tce_check_enabled() */
	smp_store_release(&container->enabled, true);
	return 0;
}

/* Reverts the accounting of ENABLE in the mm. */
static void tce_disable_v1(struct tce_container *container)
{
	mm_iommu_unregistered_end(container->mm);
	account_locked_vm(container->mm, container->locked, false);
	container->locked = 0;
}

/* VFIO_IOMMU_DISABLE: unmaps everything that is not accounted any more. */
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
		/* a MAP may be pinning without the lock: make it fail */
		iommu_tce_close(win->tbl, true);
		tce_clear_window(win);
	}
	tce_disable_v1(container);
	return 0;
}

static long tce_ioctl_v1(struct tce_container *container, bool enable)
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

static bool tce_memory_valid(const struct vfio_iommu_spapr_register_memory *m)
{
	/* also rejects an end of 2^64, where the sum is 0 */
	return PAGE_ALIGNED(m->vaddr | m->size) &&
	       m->vaddr + m->size > m->vaddr;
}

/*
 * Looks up the registration of this container at @ua. If there is none, returns
 * NULL, and @parent and @link are where to insert one in the tree.
 */
static struct tce_registration *
tce_find_registration(struct tce_container *container, unsigned long ua,
		      struct rb_node **parent, struct rb_node ***link)
{
	struct tce_registration *rn;

	lockdep_assert_held(&container->memory_lock);
	*parent = NULL;
	*link = &container->registrations.rb_node;
	while (**link) {
		*parent = **link;
		rn = rb_entry(*parent, struct tce_registration, node);
		if (ua == rn->ua)
			return rn;
		*link = ua < rn->ua ? &(*parent)->rb_left :
				       &(*parent)->rb_right;
	}
	return NULL;
}

static void tce_del_registration(struct tce_container *container,
				 struct tce_registration *rn)
{
	lockdep_assert_held(&container->memory_lock);
	rb_erase(&rn->node, &container->registrations);
	kfree(rn);
}

/*
 * Finds or inserts the registration of a range, and marks it busy. The region
 * of an existing one may have been replaced through another container after an
 * UNREGISTER failed with -EBUSY; it is then replaced here too.
 *
 * Return: the registration; NULL if the range is registered already or busy;
 * ERR_PTR(-ENOMEM).
 */
static struct tce_registration *
tce_begin_register(struct tce_container *container, unsigned long ua,
		   unsigned long size)
{
	struct tce_registration *rn, *new;
	struct rb_node *parent, **link;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);

	mutex_lock(&container->memory_lock);
	rn = tce_find_registration(container, ua, &parent, &link);
	if (!rn) {
		rn = new;
		new = NULL;
		rn->ua = ua;
		rb_link_node(&rn->node, parent, link);
		rb_insert_color(&rn->node, &container->registrations);
	} else if (rn->busy || (mm_iommu_size(rn->region) == size &&
				mm_iommu_is_current(rn->region))) {
		rn = NULL;
	}
	if (rn)
		rn->busy = true;
	mutex_unlock(&container->memory_lock);
	kfree(new);
	return rn;
}

/* VFIO_IOMMU_SPAPR_REGISTER_MEMORY */
static noinline long tce_ioctl_register(struct tce_container *container,
					void __user *uarg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct mm_iommu_region *region, *old;
	struct mm_iommu_refusal why;
	struct tce_registration *rn;
	int ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&memory, sizeof(memory), uarg, 0);
	if (ret)
		return ret;
	if (!tce_memory_valid(&memory))
		return tce_report(container, "REGISTER", memory.vaddr,
				  memory.size, -EINVAL, &tce_not_whole);

	rn = tce_begin_register(container, memory.vaddr, memory.size);
	if (IS_ERR(rn))
		return PTR_ERR(rn);
	if (!rn)
		return tce_report(container, "REGISTER", memory.vaddr,
				  memory.size, -EBUSY,
				  &TCE_CAUSE("is registered already, or being registered"));

	ret = mm_iommu_register(container->mm, memory.vaddr, memory.size,
				&region, &why);
	trace_spapr_tce_register(memory.vaddr, memory.size, ret);

	mutex_lock(&container->memory_lock);
	old = rn->region;
	rn->busy = false;
	if (!ret)
		rn->region = region;
	else if (!old)
		tce_del_registration(container, rn);
	mutex_unlock(&container->memory_lock);

	if (ret)
		return tce_report(container, "REGISTER", memory.vaddr,
				  memory.size, ret, &why);
	if (old)
		mm_iommu_release(old);
	/* pairs with smp_load_acquire() in tce_check_enabled() */
	smp_store_release(&container->enabled, true);
	return 0;
}

/* Finds the registration of exactly this range, and marks it busy; or NULL. */
static struct tce_registration *
tce_begin_unregister(struct tce_container *container, unsigned long ua,
		     unsigned long size)
{
	struct rb_node *parent, **link;
	struct tce_registration *rn;

	mutex_lock(&container->memory_lock);
	rn = tce_find_registration(container, ua, &parent, &link);
	if (rn && !rn->busy && mm_iommu_size(rn->region) == size)
		rn->busy = true;
	else
		rn = NULL;
	mutex_unlock(&container->memory_lock);
	return rn;
}

static void tce_report_mapped(struct tce_container *container,
			      const struct vfio_iommu_spapr_register_memory *m,
			      struct mm_iommu_region *region)
{
	struct mm_iommu_refusal why;
	struct mm_iommu_info info;

	mm_iommu_get_info(region, &info);
	mm_iommu_refuse(&why, -EBUSY, info.mapped,
			"it is mapped, references of TCE tables: ");
	tce_report(container, "UNREGISTER", m->vaddr, m->size, -EBUSY, &why);
}

/* VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY */
static noinline long tce_ioctl_unregister(struct tce_container *container,
					  void __user *uarg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct tce_registration *rn;
	int ret;

	if (!READ_ONCE(container->mm))
		return -EPERM;
	ret = tce_check_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&memory, sizeof(memory), uarg, 0);
	if (ret)
		return ret;
	if (!tce_memory_valid(&memory))
		return tce_report(container, "UNREGISTER", memory.vaddr,
				  memory.size, -EINVAL, &tce_not_whole);

	rn = tce_begin_unregister(container, memory.vaddr, memory.size);
	if (!rn)
		return tce_report(container, "UNREGISTER", memory.vaddr,
				  memory.size, -ENOENT,
				  &TCE_CAUSE("is not registered through this container"));

	ret = mm_iommu_unregister(rn->region);
	trace_spapr_tce_unregister(memory.vaddr, memory.size, ret);
	if (ret == -EBUSY)
		tce_report_mapped(container, &memory, rn->region);

	mutex_lock(&container->memory_lock);
	if (ret == -EBUSY)
		rn->busy = false;
	else
		tce_del_registration(container, rn);
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

/* VFIO_EEH_PE_OP, on each group until one does not return 0 */
static long tce_ioctl_eeh(struct tce_container *container, void __user *uarg)
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
 * @container is NULL when VFIO checks extensions before the container has an
 * IOMMU driver.
 */
static noinline long tce_ioctl_other(struct tce_container *container,
				     unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_CHECK_EXTENSION:
		return tce_check_extension(arg);
	case VFIO_IOMMU_SPAPR_TCE_GET_INFO:
		return tce_ioctl_get_info(container, uarg);
	case VFIO_EEH_PE_OP:
		return tce_ioctl_eeh(container, uarg);
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

/*
 * None of these is inlined: MAP and UNMAP, and those that register, do not pay
 * for the stack frame of another.
 */
static long tce_iommu_ioctl(void *iommu_data, unsigned int cmd,
			    unsigned long arg)
{
	struct tce_container *container = iommu_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_IOMMU_MAP_DMA:
		return tce_ioctl_map(container, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return tce_ioctl_unmap(container, uarg);
	case VFIO_IOMMU_SPAPR_REGISTER_MEMORY:
		return container->v2 ? tce_ioctl_register(container, uarg) :
				       -ENOTTY;
	case VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY:
		return container->v2 ? tce_ioctl_unregister(container, uarg) :
				       -ENOTTY;
	default:
		return tce_ioctl_other(container, cmd, arg);
	}
}

/* Diagnostics: /proc/PID/fdinfo of the container */

/* Returns the number of pages accounted for windows and by ENABLE. */
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

/* Returns the number of pages of all registrations. */
static unsigned long tce_show_regions(struct tce_container *container,
				      struct seq_file *m)
{
	struct tce_registration *rn;
	struct mm_iommu_info info;
	unsigned long pages = 0;
	struct rb_node *node;

	lockdep_assert_held(&container->memory_lock);
	for (node = rb_first(&container->registrations); node;
	     node = rb_next(node)) {
		rn = rb_entry(node, struct tce_registration, node);
		if (!rn->region || rn->busy)
			continue;
		mm_iommu_get_info(rn->region, &info);
		seq_printf(m, "spapr_tce_region:\tstart=0x%lx size=0x%lx used=%u mapped=%lu granule=0x%lx bytes=%zu access=%s state=%s\n",
			   rn->ua, mm_iommu_size(rn->region), info.used,
			   info.mapped, info.granule, info.bytes,
			   info.readonly ? "read" : "read-write", info.state);
		if (seq_has_overflowed(m))
			break;
		pages += mm_iommu_size(rn->region) >> PAGE_SHIFT;
		cond_resched();
	}
	return pages;
}

/*
 * Returns the last refusals as lines of fdinfo, to be freed by kfree(); NULL if
 * there are none, or if the allocation fails.
 */
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
		len += strscpy(text + len,
			       container->refusals[i % TCE_REFUSALS],
			       TCE_REFUSAL_TEXT);
	spin_unlock(&container->refusal_lock);
	return text;
}

/* Does not wait for locks: a part whose lock is contended is omitted. */
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
			   const struct iommu_table_group *table_group,
			   struct mm_iommu_refusal *why)
{
	struct tce_group *group;

	lockdep_assert_held(&container->lock);
	if (container->v2 && !table_group->max_dynamic_windows_supported)
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "the group has no dynamic windows, version 1 can use it");
	if (!container->v2 && !list_empty(&container->groups))
		return mm_iommu_refuse(why, -EBUSY, 0,
				       "version 1 has one group, or the group is attached");

	list_for_each_entry(group, &container->groups, list) {
		if (group->grp == grp)
			return mm_iommu_refuse(why, -EBUSY, 0,
					       "version 1 has one group, or the group is attached");
		/* tables are shared, so all groups need the same platform */
		if (group->table_group->ops->create_table !=
		    table_group->ops->create_table)
			return tce_report_set(-EPERM, why);
	}
	return 0;
}

/* Sets all windows of the container in a new group, or none. */
static long tce_set_windows(struct tce_container *container,
			    struct iommu_table_group *table_group)
{
	struct tce_window *win;
	long ret = 0;
	int i;

	for (i = 0; i < TCE_MAX_WINDOWS && !ret; i++) {
		win = &container->windows[i];
		if (win->tbl)
			ret = table_group->ops->set_window(table_group, i,
							   win->tbl);
	}
	if (ret)
		for (i = 0; i < TCE_MAX_WINDOWS; i++)
			if (container->windows[i].tbl)
				tce_unset_group(table_group, i,
						container->windows[i].tbl);
	return ret;
}

static int tce_iommu_attach_group(void *iommu_data, struct iommu_group *grp,
				  enum vfio_group_type type)
{
	struct tce_container *container = iommu_data;
	struct mm_iommu_refusal why = { };
	struct iommu_table_group *table_group;
	struct tce_group *group;
	int ret;

	if (type == VFIO_EMULATED_IOMMU)
		return -EINVAL;

	table_group = iommu_group_get_iommudata(grp);
	if (!table_group || !table_group->ops ||
	    !table_group->ops->create_table)
		return tce_report(container, "ATTACH", iommu_group_id(grp), 0,
				  -ENODEV,
				  &TCE_CAUSE("the group has no TCE tables"));

	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return -ENOMEM;
	group->grp = grp;
	group->table_group = table_group;

	ret = -EINTR;
	if (down_write_killable(&container->eeh_lock))
		goto err_free;
	if (down_write_killable(&container->lock))
		goto err_unlock_eeh;
	ret = tce_check_group(container, grp, table_group, &why);
	if (ret)
		goto err_unlock;

	ret = tce_report_set(tce_set_windows(container, table_group), &why);
	if (ret)
		goto err_unlock;

	if (list_empty(&container->groups) && !table_group->tables[0])
		tce_init_default_window(container, table_group);
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
	return tce_report(container, "ATTACH", iommu_group_id(grp), 0, ret,
			  &why);
}

/* Unsets the windows in this group; the last group removes them. */
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
			tce_unset_group(group->table_group, i, win->tbl);
	}
	list_del(&group->list);
	kfree(group);
out_unlock:
	up_write(&container->lock);
	up_write(&container->eeh_lock);
}

/* Life of the container */

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

/* VFIO has detached all groups, so all windows are removed. */
static void tce_iommu_release(void *iommu_data)
{
	struct tce_container *container = iommu_data;
	struct tce_registration *rn, *next;

	WARN_ON(!list_empty(&container->groups));

	rbtree_postorder_for_each_entry_safe(rn, next,
					     &container->registrations, node) {
		mm_iommu_release(rn->region);
		kfree(rn);
		cond_resched();
	}

	if (!container->v2 && container->enabled)
		tce_disable_v1(container);
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
