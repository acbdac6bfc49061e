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
 *   take it for reading, so different ranges are mapped concurrently. MAP
 *   takes it for writing in v1, and to create the table of the default window.
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
 * @region: registered region, with a reference; NULL while a thread is
 *	registering or unregistering it, and has exclusive access
 */
struct tce_registration {
	struct rb_node node;
	unsigned long ua;
	struct mm_iommu_region *region;
};

/**
 * struct tce_container - state of a container
 * @v2: VFIO_SPAPR_TCE_v2_IOMMU; constant
 * @mm: mm of the process that uses the container, with a reference by mmgrab();
 *	set once, by the first REGISTER, CREATE, REMOVE or ENABLE
 * @enabled: v1: between ENABLE and DISABLE, written under @lock; v2: set by the
 *	first successful REGISTER and never cleared
 * @eeh_lock: held for writing, together with @lock, to modify @groups
 * @lock: protects the members up to @memory_lock
 * @locked: v1: pages accounted in locked_vm by ENABLE
 * @pinning: v1: pages requested by MAP calls in progress, which have dropped
 *	@lock
 * @windows: windows by number
 * @groups: list of struct tce_group
 * @memory_lock: protects @registrations
 * @registrations: v2: struct tce_registration by first user address
 * @refusal_lock: protects @refusals
 * @refusals: the last refusals as lines of fdinfo, the latest one last; empty
 *	strings come first
 */
struct tce_container {
	bool v2;
	bool enabled;
	struct mm_struct *mm;

	struct rw_semaphore eeh_lock;	/* groups during EEH calls */
	struct rw_semaphore lock;
	unsigned long locked;
	unsigned long pinning;
	struct tce_window windows[TCE_MAX_WINDOWS];
	struct list_head groups;

	struct mutex memory_lock;	/* registrations */
	struct rb_root registrations;

	spinlock_t refusal_lock;	/* refusals */
	char refusals[TCE_REFUSALS][TCE_REFUSAL_TEXT];
};

/*
 * Records the cause of a failed call for fdinfo, and returns @error. @start
 * and @size are the arguments of the call: a bus address for MAP, UNMAP and
 * windows, the number of the group for ATTACH, else a user address. If @why is
 * empty the cause is derived from @error. One that ends with "0x" or with a
 * blank is followed by @why->at.
 */
static int tce_report(struct tce_container *container, const char *call,
		      u64 start, u64 size, int error,
		      struct mm_iommu_refusal *why)
{
	char last, at[24] = "";

	if (!why->words)
		why->words = error == -EINTR ? "the process was killed" :
			     error == -ENOMEM ?
			     "the kernel has no memory for it" :
			     "the platform refused";
	trace_spapr_tce_refused(call, error, start, size, why->words, why->at);

	last = why->words[strlen(why->words) - 1];
	if (last == 'x' || last == ' ')
		snprintf(at, sizeof(at), last == 'x' ? "%llx" : "%llu",
			 why->at);
	spin_lock(&container->refusal_lock);
	memmove(container->refusals, container->refusals + 1,
		sizeof(container->refusals) - TCE_REFUSAL_TEXT);
	snprintf(container->refusals[TCE_REFUSALS - 1], TCE_REFUSAL_TEXT,
		 "spapr_tce_refusal:\tcall=%s error=%d start=0x%llx size=0x%llx cause=%s%s\n",
		 call, error, start, size, why->words, at);
	spin_unlock(&container->refusal_lock);
	return error;
}

/* v1: every TCE pins its page */

/* IOMMU pages of the default window are 4K, so one is within one page. */
static long tce_v1_hold(struct mm_struct *mm, unsigned long ua,
			unsigned long npages, unsigned int shift, bool write,
			struct mm_iommu_held *held)
{
	struct page *page;
	int ret;

	held->bad = ua;
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

/* For calls that do not bind: fails if the container is bound to another mm. */
static int tce_check_mm(struct tce_container *container)
{
	struct mm_struct *mm = READ_ONCE(container->mm);

	return mm && mm != current->mm ? -EPERM : 0;
}

/* Binds the container to the calling process, if it is not bound yet. */
static int tce_bind_mm(struct tce_container *container)
{
	if (!READ_ONCE(container->mm)) {
		mmgrab(current->mm);
		if (cmpxchg(&container->mm, NULL, current->mm))
			mmdrop(current->mm);
	}
	return tce_check_mm(container);
}

/* For calls that do nothing before the container is bound. */
static bool tce_is_bound(struct tce_container *container)
{
	return READ_ONCE(container->mm) == current->mm;
}

/*
 * For calls that need an enabled container. It is bound before @enabled is set,
 * so they are read in reverse order.
 */
static bool tce_is_enabled(struct tce_container *container)
{
	/* pairs with smp_store_release() in ENABLE and REGISTER */
	return smp_load_acquire(&container->enabled) && tce_is_bound(container);
}

/* Adds pages to locked_vm of the mm. */
static int tce_account(struct tce_container *container, unsigned long npages,
		       struct mm_iommu_refusal *why)
{
	int ret = account_locked_vm(container->mm, npages, true);

	if (ret)
		mm_iommu_refuse(why, ret, mm_iommu_limit_left(container->mm),
				"over the limit of locked memory, bytes left of it: ");
	return ret;
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

/* Unsets a table in one group, if there is one and it is set there. */
static long tce_unset_group(struct iommu_table_group *table_group, int num,
			    struct iommu_table *tbl)
{
	if (!tbl || table_group->tables[num] != tbl)
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
	long ret;

	list_for_each_entry(group, &container->groups, list) {
		ret = tce_unset_group(group->table_group, num, tbl);
		if (ret)
			goto err_set;
	}
	return 0;

err_set:
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
 * Sets a table in all groups, until the platform fails for one. Some platforms
 * have set it in the first group when they created it.
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

/*
 * Removes the table of a window: the default window is then as before its first
 * use, another one is to be removed by the caller. If the platform fails to
 * clear the table or to unset it in a group, it stays in all groups: the bridge
 * may still walk it, so neither the table nor the mapped memory may be freed.
 * KVM may hold the table for longer.
 */
static long tce_remove_table(struct tce_container *container, int num)
{
	struct tce_window *win = &container->windows[num];
	bool closed;
	long ret;

	if (!win->tbl)
		return 0;

	closed = iommu_tce_is_closed(win->tbl);
	/* KVM may hold the table: reject new mappings */
	iommu_tce_close(win->tbl, true);
	ret = tce_clear_window(win);
	if (!ret)
		ret = tce_unset_groups_or_none(container, num, win->tbl);
	if (ret) {
		iommu_tce_close(win->tbl, closed);
		return ret;
	}
	iommu_tce_table_put(win->tbl);
	win->tbl = NULL;
	win->locked = 0;
	return 0;
}

/* Removes a window, but leaks the table and its memory if that fails. */
static void tce_drop_window(struct tce_container *container, int num)
{
	struct tce_window *win = &container->windows[num];

	if (tce_remove_table(container, num)) {
		/* KVM may still hold the table: do not leak more memory */
		iommu_tce_close(win->tbl, true);
		tce_unset_groups(container, num, win->tbl);
		pr_err("vfio_iommu_spapr_tce: cannot remove window at 0x%llx: leaking its table and memory\n",
		       win->start);
	}
	*win = (struct tce_window){ };
}

/* Names the cause of an error of create_table(). */
static void tce_report_table(const struct iommu_table_group *table_group,
			     u32 page_shift, u64 size, u32 levels, long error,
			     struct mm_iommu_refusal *why)
{
	/* bytes; each level is one physically contiguous allocation */
	u64 level = sizeof(u64) << DIV_ROUND_UP(ilog2(size) - page_shift,
						max(levels, 1U));

	if (error == -EINVAL)
		mm_iommu_refuse(why, error, 0,
				"page size, window size or levels not supported");
	else if (error == -EPERM)
		mm_iommu_refuse(why, error, 0,
				"no place for a first window beside the second");
	else if (error == -ENOMEM && table_group->max_levels > 1 &&
		 level > PAGE_SIZE)
		mm_iommu_refuse(why, error, level,
				"no contiguous memory for a level of the table, bytes of a level: ");
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
	locked = DIV_ROUND_UP(locked, PAGE_SIZE);
	ret = tce_account(container, locked, why);
	if (ret)
		return ret;

	ret = table_group->ops->create_table(table_group, num, page_shift, size,
					     levels, &tbl);
	if (ret) {
		tce_report_table(table_group, page_shift, size, levels, ret,
				 why);
		goto err_unaccount;
	}

	ret = iommu_tce_view_create(tbl);
	if (!ret)
		ret = tce_report_set(tce_set_groups(container, num, tbl), why);
	if (ret)
		goto err_unset_groups;

	win->tbl = tbl;
	win->start = (u64)tbl->it_offset << tbl->it_page_shift;
	win->size = size;
	win->shift = page_shift;
	win->locked = locked;

	/* last: publishes the table to KVM, which attaches it if v2 */
	iommu_tce_bind(tbl, container->v2 ? &iommu_tce_registered :
		       &tce_v1_pinned, container->mm, locked);
	return 0;

err_unset_groups:
	tce_unset_groups(container, num, tbl);
	iommu_tce_table_put(tbl);
err_unaccount:
	account_locked_vm(container->mm, locked, false);
	return ret;
}

/* Creates the table of the default window, for its first use. */
static long tce_instantiate_window(struct tce_container *container,
				   struct mm_iommu_refusal *why)
{
	struct tce_window *win = &container->windows[0];

	return tce_add_window(container, 0, win->shift, win->size, 1, why);
}

/*
 * Reverts tce_instantiate_window() for a call that failed later, unless another
 * call has mapped something in the window since, or is about to.
 */
static void tce_revert_window(struct tce_container *container)
{
	struct iommu_table *tbl = container->windows[0].tbl;

	lockdep_assert_held_write(&container->lock);
	if (tbl && !container->pinning && !iommu_tce_view_mapped(tbl))
		tce_remove_table(container, 0);
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

/* Validates user values that platforms use as shift counts. */
static bool tce_create_valid(const struct iommu_table_group *table_group,
			     const struct vfio_iommu_spapr_tce_create *create)
{
	return create->page_shift < BITS_PER_LONG_LONG &&
	       table_group->pgsizes & BIT_ULL(create->page_shift) &&
	       is_power_of_2(create->window_size) &&
	       create->window_size >> create->page_shift &&
	       /* under a hypervisor the number of levels is only a hint */
	       (table_group->max_levels <= 1 ||
		(create->levels && create->levels <= table_group->max_levels));
}

static int tce_create(struct tce_container *container,
		      struct vfio_iommu_spapr_tce_create *create,
		      struct mm_iommu_refusal *why)
{
	struct tce_window *first = &container->windows[0];
	bool lazy = first->size && !first->tbl;
	int num, ret;

	if (!tce_create_valid(tce_first_group(container), create))
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "page size, window size or levels not supported");

	for (num = 0; num < TCE_MAX_WINDOWS; num++)
		if (!container->windows[num].size)
			break;
	if (num == TCE_MAX_WINDOWS)
		return mm_iommu_refuse(why, -ENOSPC, 0,
				       "all windows are in use");

	/* number 0 is reserved for the default window */
	ret = lazy ? tce_instantiate_window(container, why) : 0;
	if (!ret)
		ret = tce_add_window(container, num, create->page_shift,
				     create->window_size, create->levels, why);
	if (ret) {
		if (lazy)
			tce_revert_window(container);
		return ret;
	}

	create->start_addr = container->windows[num].start;
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
	struct mm_iommu_refusal why = { };
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

	if (down_write_killable(&container->lock))
		return -EINTR;
	num = -ENXIO;
	if (tce_first_group(container))
		num = tce_create(container, &create, &why);
	trace_spapr_tce_create_window(create.start_addr, create.window_size,
				      create.page_shift, create.levels,
				      min(num, 0));
	if (num >= 0)
		tbl = iommu_tce_table_get(container->windows[num].tbl);
	up_write(&container->lock);
	if (num < 0)
		return tce_report(container, "CREATE", 0, create.window_size,
				  num, &why);

	if (copy_to_user(uarg, &create, sizeof(create))) {
		tce_cancel_create(container, num, tbl);
		ret = -EFAULT;
	}
	iommu_tce_table_put(tbl);
	return ret;
}

static long tce_remove(struct tce_container *container, u64 start,
		       struct mm_iommu_refusal *why)
{
	struct tce_window *win;
	long ret;

	win = tce_find_window(container, start);
	if (!win || win->start != start)
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "no window at this bus address");

	ret = tce_remove_table(container, win - container->windows);
	trace_spapr_tce_remove_window(start, ret);
	if (!ret)
		*win = (struct tce_window){ };
	return ret;
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
static long tce_ioctl_remove(struct tce_container *container, void __user *uarg)
{
	struct vfio_iommu_spapr_tce_remove remove;
	struct mm_iommu_refusal why = { };
	long ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&remove, sizeof(remove), uarg, 0);
	if (ret)
		return ret;

	if (down_write_killable(&container->lock))
		return -EINTR;
	ret = tce_first_group(container) ?
	      tce_remove(container, remove.start_addr, &why) : -ENXIO;
	up_write(&container->lock);
	if (ret)
		tce_report(container, "REMOVE", remove.start_addr, 0, ret,
			   &why);
	return ret;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
static long tce_ioctl_get_info(struct tce_container *container,
			       void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_spapr_tce_info,
					 dma32_window_size);
	const struct iommu_table_group *table_group;
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
	table_group = tce_first_group(container);
	if (table_group) {
		info.dma32_window_start = table_group->tce32_start;
		info.dma32_window_size = table_group->tce32_size;
	}
	/* no group without dynamic windows is attached in v2 */
	if (table_group && container->v2) {
		info.flags |= VFIO_IOMMU_SPAPR_INFO_DDW;
		info.ddw.pgsizes = table_group->pgsizes;
		info.ddw.max_dynamic_windows_supported =
			table_group->max_dynamic_windows_supported;
		info.ddw.levels = table_group->max_levels;
	}
	up_read(&container->lock);
	if (!table_group)
		return -ENXIO;

	if (copy_to_user(uarg, &info,
			 info.argsz < sizeof(info) ? minsz : sizeof(info)))
		return -EFAULT;
	return 0;
}

/* Mappings */

static bool tce_wraps(u64 addr, u64 size)
{
	return size && addr + (size - 1) < addr;
}

/*
 * Looks up the window that contains a range of whole IOMMU pages. @ua is what
 * is to be mapped there, or 0.
 */
static inline struct tce_window *
tce_range_window(struct tce_container *container, u64 iova, u64 ua, u64 size,
		 struct mm_iommu_refusal *why)
{
	struct tce_window *win;

	if (unlikely(tce_wraps(iova, size) || tce_wraps(ua, size)))
		return ERR_PTR(mm_iommu_refuse(why, -EOVERFLOW, 0,
					       "bus addresses or memory wrap around"));

	win = tce_find_window(container, iova);
	if (unlikely(!win))
		return ERR_PTR(mm_iommu_refuse(why, -ENXIO, 0,
					       "no window at this bus address"));

	if (unlikely(!IS_ALIGNED(iova | ua | size, BIT_ULL(win->shift)) ||
		     size > win->size - (iova - win->start)))
		return ERR_PTR(mm_iommu_refuse(why, -EINVAL, 0,
					       "outside of the window, or not whole IOMMU pages"));
	return win;
}

/*
 * Reports MAP or UNMAP of a container that is not enabled yet. @iova points to
 * the members iova and size of the argument.
 */
static long tce_report_unused(struct tce_container *container, const char *call,
			      const void __user *iova)
{
	struct mm_iommu_refusal why;
	u64 range[2];

	if (READ_ONCE(container->enabled) ||
	    copy_from_user(range, iova, sizeof(range)))
		return -EPERM;
	mm_iommu_refuse(&why, -EPERM, 0,
			"nothing was registered or enabled yet");
	return tce_report(container, call, range[0], range[1], -EPERM, &why);
}

/* Names the cause when @bad, a user address, could not be mapped. */
static void tce_report_bad(const struct tce_container *container,
			   unsigned long bad, int error,
			   struct mm_iommu_refusal *why)
{
	if (error == -EINVAL)
		mm_iommu_refuse(why, error, bad,
				"not registered, or in runs smaller than the IOMMU page: 0x");
	else if (error == -EFAULT)
		mm_iommu_refuse(why, error, bad, container->v2 ?
				"was read-only when it was first registered: 0x" :
				"no memory there, or none that can be pinned: 0x");
}

/*
 * v1 pins user memory, so the lock is dropped around iommu_tce_map(). DISABLE
 * and the detach of the group close the table, after which nothing can be
 * mapped in it.
 *
 * ENABLE accounts as many pages as the window can map. MAP calls in progress
 * may hold pages in addition; @pinning limits these to the same number for all
 * threads together.
 *
 * Context: container->lock held for writing; dropped and taken again.
 * Return: 0; -EPERM if the container was disabled; -ENXIO if its group was
 * detached; -EBUSY if the limit is reached; errors of iommu_tce_map().
 */
static long tce_map_v1(struct tce_container *container,
		       const struct vfio_iommu_type1_dma_map *map,
		       const struct tce_window *win, unsigned long *bad,
		       struct mm_iommu_refusal *why)
{
	unsigned long npages = PFN_UP(map->size);
	unsigned int shift = win->shift;
	struct iommu_table *tbl;
	long ret;

	if (container->pinning + npages > container->locked)
		return mm_iommu_refuse(why, -EBUSY, 0,
				       "other calls in progress map as much as the window");

	tbl = iommu_tce_table_get(win->tbl);
	container->pinning += npages;
	up_write(&container->lock);
	ret = iommu_tce_map(tbl, map->iova >> shift, map->vaddr,
			    map->size >> shift,
			    map->flags & VFIO_DMA_MAP_FLAG_WRITE, bad);
	down_write(&container->lock);
	container->pinning -= npages;
	iommu_tce_table_put(tbl);
	if (ret != -ENXIO)
		return ret;
	if (tbl != win->tbl)
		return mm_iommu_refuse(why, ret, 0,
				       "no window at this bus address");
	return mm_iommu_refuse(why, -EPERM, 0,
			       "nothing was registered or enabled yet");
}

/*
 * Context: container->lock held for writing if @exclusive, else for reading.
 * The latter is for v2 only, and fails with -ESTALE if the window has no table
 * yet. Always inlined, because @exclusive is constant.
 */
static __always_inline long
tce_map(struct tce_container *container,
	const struct vfio_iommu_type1_dma_map *map, bool exclusive,
	struct mm_iommu_refusal *why)
{
	unsigned long end = map->vaddr + map->size, bad = end;
	struct tce_window *win;
	bool lazy;
	long ret;

	win = tce_range_window(container, map->iova, map->vaddr, map->size,
			       why);
	if (IS_ERR(win))
		return PTR_ERR(win);
	if (unlikely(!map->flags))
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "neither for reading nor for writing");
	if (!map->size)
		return 0;

	lazy = !win->tbl;
	if (unlikely(lazy)) {
		ret = exclusive ? tce_instantiate_window(container, why) :
				  -ESTALE;
		if (ret)
			return ret;
	}

	if (!exclusive || container->v2)
		ret = iommu_tce_map(win->tbl, map->iova >> win->shift,
				    map->vaddr, map->size >> win->shift,
				    map->flags & VFIO_DMA_MAP_FLAG_WRITE, &bad);
	else
		ret = tce_map_v1(container, map, win, &bad, why);
	trace_spapr_tce_map(map->iova, map->vaddr, map->size, map->flags, ret);
	if (likely(!ret))
		return 0;
	/* else the platform failed */
	if (bad != end)
		tce_report_bad(container, bad, ret, why);
	/* v1: others may still be pinning, the last of them reverts it */
	if (lazy || !container->v2)
		tce_revert_window(container);
	return ret;
}

/*
 * For v1, and for the first MAP in the default window. Not inlined, because MAP
 * would save more registers.
 */
static noinline long
tce_map_exclusive(struct tce_container *container,
		  const struct vfio_iommu_type1_dma_map *map,
		  struct mm_iommu_refusal *why)
{
	long ret;

	if (down_write_killable(&container->lock))
		return -EINTR;
	/* DISABLE may have come first */
	if (container->enabled)
		ret = tce_map(container, map, true, why);
	else
		ret = mm_iommu_refuse(why, -EPERM, 0,
				      "nothing was registered or enabled yet");
	up_write(&container->lock);
	return ret;
}

/* VFIO_IOMMU_MAP_DMA */
static noinline long tce_ioctl_map(struct tce_container *container,
				   void __user *uarg)
{
	struct vfio_iommu_type1_dma_map map;
	struct mm_iommu_refusal why = { };
	long ret = -ESTALE;
	int err;

	if (!tce_is_enabled(container))
		return tce_report_unused(container, "MAP", uarg +
					 offsetof(typeof(map), iova));
	err = tce_copy_arg(&map, sizeof(map), uarg,
			   VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	if (err)
		return err;

	if (likely(container->v2)) {
		if (down_read_killable(&container->lock))
			return -EINTR;
		ret = tce_map(container, &map, false, &why);
		up_read(&container->lock);
	}
	if (unlikely(ret == -ESTALE))
		ret = tce_map_exclusive(container, &map, &why);
	if (unlikely(ret))
		tce_report(container, "MAP", map.iova, map.size, ret, &why);
	return ret;
}

/* VFIO_IOMMU_UNMAP_DMA */
static noinline long tce_ioctl_unmap(struct tce_container *container,
				     void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap,
					 size);
	struct vfio_iommu_type1_dma_unmap unmap;
	struct mm_iommu_refusal why = { };
	struct tce_window *win;
	long ret;

	if (!tce_is_enabled(container))
		return tce_report_unused(container, "UNMAP", uarg +
					 offsetof(typeof(unmap), iova));
	ret = tce_copy_arg(&unmap, minsz, uarg, 0);
	if (ret)
		return ret;

	if (down_read_killable(&container->lock))
		return -EINTR;
	win = tce_range_window(container, unmap.iova, 0, unmap.size, &why);
	ret = PTR_ERR_OR_ZERO(win);
	if (!ret && win->tbl) {
		ret = iommu_tce_unmap(win->tbl, unmap.iova >> win->shift,
				      unmap.size >> win->shift);
		trace_spapr_tce_unmap(unmap.iova, unmap.size, ret);
	}
	up_read(&container->lock);
	if (unlikely(ret))
		tce_report(container, "UNMAP", unmap.iova, unmap.size, ret,
			   &why);
	return ret;
}

/* v1: ENABLE and DISABLE of the whole 32-bit window */

/* VFIO_IOMMU_ENABLE */
static long tce_enable(struct tce_container *container)
{
	struct iommu_table_group *table_group = tce_first_group(container);
	struct tce_window *win = &container->windows[0];
	struct mm_iommu_refusal why = { };
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
	ret = tce_account(container, locked, &why);
	if (ret)
		goto err_report;
	ret = mm_iommu_unregistered_start(container->mm);
	if (ret)
		goto err_unaccount;

	container->locked = locked;
	if (win->tbl)
		iommu_tce_close(win->tbl, false);
	/* pairs with smp_load_acquire() in tce_is_enabled() */
	smp_store_release(&container->enabled, true);
	return 0;

err_unaccount:
	account_locked_vm(container->mm, locked, false);
err_report:
	return tce_report(container, "ENABLE", 0, table_group->tce32_size, ret,
			  &why);
}

/* Reverts the accounting of ENABLE in the mm. */
static void tce_disable_v1(struct tce_container *container)
{
	mm_iommu_unregistered_end(container->mm);
	account_locked_vm(container->mm, container->locked, false);
	container->locked = 0;
}

/* VFIO_IOMMU_DISABLE: unmaps everything that is not accounted any more. */
static long tce_disable(struct tce_container *container)
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
	ret = enable ? tce_enable(container) : tce_disable(container);
	up_write(&container->lock);
	return ret;
}

/* v2: registered memory */

static int tce_cmp_ua(const void *ua, const struct rb_node *node)
{
	const struct tce_registration *rn =
		rb_entry(node, struct tce_registration, node);

	if (*(const unsigned long *)ua < rn->ua)
		return -1;
	return *(const unsigned long *)ua > rn->ua;
}

static int tce_cmp_registrations(struct rb_node *a, const struct rb_node *b)
{
	return tce_cmp_ua(&rb_entry(a, struct tce_registration, node)->ua, b);
}

/*
 * Finds or inserts the registration of a range, and takes its region, if any.
 * That may have been replaced through another container after an UNREGISTER
 * failed with -EBUSY; it is then replaced here too.
 *
 * Return: the registration; ERR_PTR() of -ENOMEM; of -EINVAL if another range
 * at this address is registered; or of -EBUSY if it is registered or busy.
 */
static struct tce_registration *
tce_begin_register(struct tce_container *container, unsigned long ua,
		   unsigned long size, struct mm_iommu_region **old,
		   struct mm_iommu_refusal *why)
{
	struct tce_registration *rn;
	struct rb_node *node;

	rn = kzalloc_obj(*rn, GFP_KERNEL_ACCOUNT);
	if (!rn)
		return ERR_PTR(-ENOMEM);
	rn->ua = ua;
	*old = NULL;

	mutex_lock(&container->memory_lock);
	node = rb_find_add(&rn->node, &container->registrations,
			   tce_cmp_registrations);
	if (node) {
		kfree(rn);
		rn = rb_entry(node, struct tce_registration, node);
		*old = rn->region;
		if (*old && !mm_iommu_is_current(*old))
			rn->region = NULL;
		else if (*old && mm_iommu_size(*old) != size)
			rn = ERR_PTR(mm_iommu_refuse(why, -EINVAL, ua,
						     "overlaps what is registered there: 0x"));
		else
			rn = ERR_PTR(mm_iommu_refuse(why, -EBUSY, 0,
						     "is registered already, or being registered"));
	}
	mutex_unlock(&container->memory_lock);
	return rn;
}

/* Finds the registration of exactly this range, and takes its region. */
static struct tce_registration *
tce_begin_unregister(struct tce_container *container, unsigned long ua,
		     unsigned long size, struct mm_iommu_region **region)
{
	struct tce_registration *rn;
	struct rb_node *node;

	mutex_lock(&container->memory_lock);
	node = rb_find(&ua, &container->registrations, tce_cmp_ua);
	rn = rb_entry_safe(node, struct tce_registration, node);
	*region = rn ? rn->region : NULL;
	if (*region && mm_iommu_size(*region) == size)
		rn->region = NULL;
	else
		rn = NULL;
	mutex_unlock(&container->memory_lock);
	return rn;
}

/* Ends exclusive access; without a @region nothing is registered any more. */
static void tce_end_registration(struct tce_container *container,
				 struct tce_registration *rn,
				 struct mm_iommu_region *region)
{
	mutex_lock(&container->memory_lock);
	rn->region = region;
	if (!region) {
		rb_erase(&rn->node, &container->registrations);
		kfree(rn);
	}
	mutex_unlock(&container->memory_lock);
}

/* Without a lock: a call that is refused does not delay others. */
static int tce_check_range(unsigned long ua, unsigned long size,
			   struct mm_iommu_refusal *why)
{
	/* also rejects an end of 2^64, where the sum is 0 */
	if (!PAGE_ALIGNED(ua | size) || ua + size <= ua)
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "not whole pages, or nothing, or beyond the end");
	return 0;
}

static int tce_register(struct tce_container *container, unsigned long ua,
			unsigned long size, struct mm_iommu_refusal *why)
{
	struct mm_iommu_region *region, *old;
	struct tce_registration *rn;
	int ret;

	ret = tce_check_range(ua, size, why);
	if (ret)
		return ret;
	rn = tce_begin_register(container, ua, size, &old, why);
	if (IS_ERR(rn))
		return PTR_ERR(rn);

	ret = mm_iommu_register(container->mm, ua, size, &region, why);
	trace_spapr_tce_register(ua, size, ret);
	tce_end_registration(container, rn, ret ? old : region);
	if (ret)
		return ret;
	if (old)
		mm_iommu_release(old);
	/* pairs with smp_load_acquire() in tce_is_enabled() */
	smp_store_release(&container->enabled, true);
	return 0;
}

static int tce_unregister(struct tce_container *container, unsigned long ua,
			  unsigned long size, struct mm_iommu_refusal *why)
{
	struct mm_iommu_region *region;
	struct tce_registration *rn;
	struct mm_iommu_info info;
	int ret;

	ret = tce_check_range(ua, size, why);
	if (ret)
		return ret;
	mm_iommu_refuse(why, -ENOENT, 0,
			"is not registered through this container");
	rn = tce_begin_unregister(container, ua, size, &region);
	if (!rn)
		return -ENOENT;

	ret = mm_iommu_unregister(region);
	trace_spapr_tce_unregister(ua, size, ret);
	if (ret == -EBUSY) {
		mm_iommu_get_info(region, &info);
		mm_iommu_refuse(why, ret, info.mapped,
				"it is mapped, references of TCE tables: ");
	}
	tce_end_registration(container, rn, ret == -EBUSY ? region : NULL);
	return ret;
}

/* VFIO_IOMMU_SPAPR_REGISTER_MEMORY, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY */
static long tce_ioctl_memory(struct tce_container *container,
			     void __user *uarg, bool add)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct mm_iommu_refusal why = { };
	int ret = 0;

	if (add)
		ret = tce_bind_mm(container);
	else if (!tce_is_bound(container))
		ret = -EPERM;
	if (ret)
		return ret;
	ret = tce_copy_arg(&memory, sizeof(memory), uarg, 0);
	if (ret)
		return ret;

	if (add)
		ret = tce_register(container, memory.vaddr, memory.size, &why);
	else
		ret = tce_unregister(container, memory.vaddr, memory.size,
				     &why);
	if (ret)
		tce_report(container, add ? "REGISTER" : "UNREGISTER",
			   memory.vaddr, memory.size, ret, &why);
	return ret;
}

/* EEH */

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
	const size_t size = offsetofend(struct vfio_eeh_pe_op, err.mask);
	struct vfio_eeh_pe_op op = { };
	struct tce_group *group;
	long ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&op, offsetofend(typeof(op), op), uarg, 0);
	/* the one call with more arguments */
	if (!ret && op.op == VFIO_EEH_PE_INJECT_ERR)
		ret = op.argsz < size ? -EINVAL :
					tce_copy_arg(&op, size, uarg, 0);
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

/* @container is NULL if the container of VFIO has no IOMMU driver yet. */
static noinline long tce_ioctl_other(struct tce_container *container,
				     unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	if (cmd == VFIO_CHECK_EXTENSION)
		return tce_check_extension(arg);
	if (cmd == VFIO_IOMMU_SPAPR_TCE_GET_INFO)
		return tce_ioctl_get_info(container, uarg);
	if (cmd == VFIO_EEH_PE_OP)
		return tce_ioctl_eeh(container, uarg);
	if (!container->v2 &&
	    (cmd == VFIO_IOMMU_ENABLE || cmd == VFIO_IOMMU_DISABLE))
		return tce_ioctl_v1(container, cmd == VFIO_IOMMU_ENABLE);
	if (container->v2 && cmd == VFIO_IOMMU_SPAPR_TCE_CREATE)
		return tce_ioctl_create(container, uarg);
	if (container->v2 && cmd == VFIO_IOMMU_SPAPR_TCE_REMOVE)
		return tce_ioctl_remove(container, uarg);
	return -ENOTTY;
}

/* Nothing is inlined: no call pays for the stack frame of another. */
static long tce_iommu_ioctl(void *iommu_data, unsigned int cmd,
			    unsigned long arg)
{
	struct tce_container *container = iommu_data;
	void __user *uarg = (void __user *)arg;

	if (cmd == VFIO_IOMMU_MAP_DMA)
		return tce_ioctl_map(container, uarg);
	if (cmd == VFIO_IOMMU_UNMAP_DMA)
		return tce_ioctl_unmap(container, uarg);
	if (cmd == VFIO_IOMMU_SPAPR_REGISTER_MEMORY && container->v2)
		return tce_ioctl_memory(container, uarg, true);
	if (cmd == VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY && container->v2)
		return tce_ioctl_memory(container, uarg, false);
	return tce_ioctl_other(container, cmd, arg);
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
		if (!rn->region)
			continue;
		mm_iommu_get_info(rn->region, &info);
		seq_printf(m, "spapr_tce_region:\tstart=0x%lx size=0x%lx used=%u mapped=%lu granule=0x%lx bytes=%zu access=%s state=%s\n",
			   rn->ua, mm_iommu_size(rn->region), info.used,
			   info.mapped, info.granule, info.bytes,
			   info.readonly ? "read" : "read-write", info.state);
		if (seq_has_overflowed(m))
			break;
		if (info.used || info.mapped)
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
	int i, len = 0;
	char *text;

	if (!READ_ONCE(*container->refusals[TCE_REFUSALS - 1]))
		return NULL;
	text = kmalloc_array(TCE_REFUSALS, TCE_REFUSAL_TEXT,
			     GFP_KERNEL_ACCOUNT);
	if (!text)
		return NULL;

	spin_lock(&container->refusal_lock);
	for (i = 0; i < TCE_REFUSALS; i++)
		len += strscpy(text + len, container->refusals[i],
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
	if (!table_group || !table_group->ops ||
	    !table_group->ops->create_table)
		return mm_iommu_refuse(why, -ENODEV, 0,
				       "the group has no TCE tables");
	if (container->v2 && !table_group->max_dynamic_windows_supported)
		return mm_iommu_refuse(why, -EINVAL, 0,
				       "the group has no dynamic windows, version 1 can use it");

	list_for_each_entry(group, &container->groups, list) {
		if (!container->v2 || group->grp == grp)
			return mm_iommu_refuse(why, -EBUSY, 0,
					       "version 1 has one group, or the group is attached");
		/* tables are shared, so all groups need the same platform */
		if (group->table_group->ops->create_table !=
		    table_group->ops->create_table)
			return tce_report_set(-EPERM, why);
	}
	return 0;
}

static void tce_unset_windows(struct tce_container *container,
			      struct iommu_table_group *table_group)
{
	int i;

	for (i = 0; i < TCE_MAX_WINDOWS; i++)
		tce_unset_group(table_group, i, container->windows[i].tbl);
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
		tce_unset_windows(container, table_group);
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
	group = kzalloc_obj(*group, GFP_KERNEL_ACCOUNT);
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
	if (!ret)
		ret = tce_report_set(tce_set_windows(container, table_group),
				     &why);
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
	int i;

	down_write(&container->eeh_lock);
	down_write(&container->lock);
	list_for_each_entry(group, &container->groups, list)
		if (group->grp == grp)
			break;
	if (WARN_ON(list_entry_is_head(group, &container->groups, list)))
		goto out_unlock;

	if (list_is_singular(&container->groups))
		for (i = 0; i < TCE_MAX_WINDOWS; i++)
			tce_drop_window(container, i);
	else
		tce_unset_windows(container, group->table_group);
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

	container = kzalloc_obj(*container, GFP_KERNEL_ACCOUNT);
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
