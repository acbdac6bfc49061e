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
 * Locks: tce_container::lock protects everything in the container and is held
 * over each call. Inside it: the registry of the mm, then mmap_lock.
 *
 * Errors, the same in all calls: -EPERM from another process than the one
 * that the container is bound to, -EFAULT for an argument that cannot be read,
 * -EINVAL for one too short or with unknown flags, -ENOTTY for a call that
 * the version does not have.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pfn.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
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

#define TCE_MAX_WINDOWS	IOMMU_TABLE_GROUP_MAX_TABLES

/**
 * struct tce_window - a DMA window of the container
 * @tbl: its table, with a reference; NULL for the default window until it is
 *	used
 * @start: bus address
 * @size: bytes; what was asked for, while the table may have more entries;
 *	0: no window in this slot
 * @shift: log2 of the IOMMU page
 * @locked: pages counted in locked_vm for the table
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
 * @region: the region, with the registration's reference
 */
struct tce_registration {
	struct rb_node node;
	struct mm_iommu_region *region;
};

/**
 * struct tce_container - state of a container
 * @lock: protects all that follows but @v2, which does not change
 * @v2: VFIO_SPAPR_TCE_v2_IOMMU
 * @enabled: v1: between ENABLE and DISABLE; v2: memory was registered once
 * @locked: v1: pages counted in locked_vm by ENABLE
 * @mm: the mm of the process that uses the container, held by mmgrab();
 *	bound by the first call that counts or pins
 * @windows: by slot
 * @groups: list of struct tce_group
 * @registrations: v2: struct tce_registration by first user address
 * @refusal: why the last registration failed
 */
struct tce_container {
	struct mutex lock;	/* all but @v2 */
	bool v2;
	bool enabled;
	unsigned long locked;
	struct mm_struct *mm;
	struct tce_window windows[TCE_MAX_WINDOWS];
	struct list_head groups;
	struct rb_root registrations;
	struct mm_iommu_refusal refusal;
};

/* v1: every TCE pins the page behind it */

/* A host address tells the page; it is a multiple of 4K, so 1 is free. */
#define TCE_V1_COOKIE	1

static long tce_v1_hold(struct mm_struct *mm, unsigned long ua,
			unsigned long npages, unsigned int shift, bool write,
			struct iommu_tce_held *held)
{
	struct page *page;
	int ret;

	/* a page is all that is known to be contiguous */
	if (shift > PAGE_SHIFT)
		return -EINVAL;

	ret = pin_user_pages_fast(ua & PAGE_MASK, 1, FOLL_LONGTERM |
				  (write ? FOLL_WRITE : 0), &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;

	held->mem = page;
	held->hpa = page_to_phys(page) + offset_in_page(ua);
	held->cookie = held->hpa | TCE_V1_COOKIE;
	return 1;
}

static void tce_v1_translate(void *mem, unsigned long ua, unsigned long npages,
			     unsigned int shift, u64 bits, bool write,
			     __be64 *tces)
{
	struct page *page = mem;

	*tces = cpu_to_be64((page_to_phys(page) + offset_in_page(ua)) | bits);
}

static void *tce_v1_find(struct mm_struct *mm, u64 cookie, u64 *base,
			 unsigned long *size)
{
	*base = cookie;
	*size = 1;
	return pfn_to_page(PHYS_PFN(cookie));
}

static void tce_v1_drop(void *mem, unsigned long npages, bool write)
{
	while (npages--)
		unpin_user_page_range_dirty_lock(mem, 1, write);
}

static int tce_v1_drop_page(struct mm_struct *mm, u64 cookie, bool write)
{
	tce_v1_drop(pfn_to_page(PHYS_PFN(cookie)), 1, write);
	return 0;
}

static const struct iommu_tce_backing tce_v1_pinned = {
	.hold = tce_v1_hold,
	.translate = tce_v1_translate,
	.find = tce_v1_find,
	.drop = tce_v1_drop,
	.drop_page = tce_v1_drop_page,
};

static const struct iommu_tce_backing *
tce_backing(const struct tce_container *container)
{
	return container->v2 ? &iommu_tce_registered : &tce_v1_pinned;
}

/* What all calls have in common */

/* Reads an argument that starts with argsz and flags. */
static inline int tce_copy_arg(void *arg, size_t size,
			       const void __user *uarg, u32 known_flags)
{
	struct {
		u32 argsz;
		u32 flags;
	} *head = arg;

	if (copy_from_user(arg, uarg, size))
		return -EFAULT;
	if (head->argsz < size || head->flags & ~known_flags)
		return -EINVAL;
	return 0;
}

/* Binds the container to the first process that uses it. */
static int tce_bind_mm(struct tce_container *container)
{
	lockdep_assert_held(&container->lock);
	if (!current->mm)
		return -ESRCH;
	if (!container->mm) {
		container->mm = current->mm;
		mmgrab(container->mm);
	}
	return container->mm == current->mm ? 0 : -EPERM;
}

/* For calls that do not bind: nobody but the bound process, if there is one. */
static int tce_check_mm(struct tce_container *container)
{
	lockdep_assert_held(&container->lock);
	return container->mm && container->mm != current->mm ? -EPERM : 0;
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

static int tce_clear_window(struct tce_container *container,
			    struct tce_window *win)
{
	return iommu_tce_unmap(win->tbl, tce_backing(container), container->mm,
			       win->start >> win->shift,
			       win->size >> win->shift);
}

/* Takes a table away from one group, if it is there. */
static void tce_unset_group(struct iommu_table_group *tables, int slot,
			    struct iommu_table *tbl)
{
	if (tables->tables[slot] == tbl)
		tables->ops->unset_window(tables, slot);
}

static void tce_unset_groups(struct tce_container *container, int slot,
			     struct iommu_table *tbl)
{
	struct tce_group *group;

	list_for_each_entry(group, &container->groups, list)
		tce_unset_group(group->tables, slot, tbl);
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

static void tce_remove_window(struct tce_container *container, int slot)
{
	struct tce_window *win = &container->windows[slot];

	if (win->tbl) {
		tce_clear_window(container, win);
		tce_unset_groups(container, slot, win->tbl);
		iommu_tce_table_put(win->tbl);
		account_locked_vm(container->mm, win->locked, false);
	}
	*win = (struct tce_window){ };
}

/* Creates a window; on failure nothing is left of it. */
static long tce_add_window(struct tce_container *container, int slot,
			   u32 page_shift, u64 size, u32 levels)
{
	struct iommu_table_group *tables = tce_first_group(container);
	struct tce_window *win = &container->windows[slot];
	struct iommu_table *tbl = NULL;
	unsigned long locked;
	long ret;

	locked = tables->ops->get_table_size(page_shift, size, levels);
	if (!locked)
		return -EINVAL;

	locked = DIV_ROUND_UP(locked, PAGE_SIZE);
	ret = account_locked_vm(container->mm, locked, true);
	if (ret)
		return ret;

	ret = tables->ops->create_table(tables, slot, page_shift, size, levels,
					&tbl);
	if (ret)
		goto err_unaccount;

	/* a platform may have gone on without one */
	ret = iommu_tce_view_create(tbl);
	if (ret)
		goto err_unset_groups;

	ret = tce_set_groups(container, slot, tbl);
	if (ret)
		goto err_put_table;

	win->tbl = tbl;
	win->start = (u64)tbl->it_offset << tbl->it_page_shift;
	win->size = size;
	win->shift = page_shift;
	win->locked = locked;
	return 0;

err_unset_groups:
	tce_unset_groups(container, slot, tbl);
err_put_table:
	iommu_tce_table_put(tbl);
err_unaccount:
	account_locked_vm(container->mm, locked, false);
	return ret;
}

/* Creates the table of a window that was promised but not yet used. */
static long tce_use_window(struct tce_container *container,
			   struct tce_window *win)
{
	if (!win->size || win->tbl)
		return 0;
	return tce_add_window(container, win - container->windows, win->shift,
			      win->size, 1);
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
	/* a platform without dynamic windows has the default one still */
	if (!create->levels || create->levels > max(tables->max_levels, 1U))
		return -EINVAL;
	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_CREATE */
static long tce_ioctl_create(struct tce_container *container, void __user *uarg)
{
	struct iommu_table_group *tables;
	struct vfio_iommu_spapr_tce_create create;
	long ret;
	int slot;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;

	tables = tce_first_group(container);
	if (!tables)
		return -ENXIO;

	ret = tce_copy_arg(&create, sizeof(create), uarg, 0);
	if (ret)
		return ret;
	if (create.__resv1 || create.__resv2)
		return -EINVAL;

	ret = tce_check_create(tables, &create);
	if (ret)
		return ret;

	/* the default window has the first claim on slot 0 */
	ret = tce_use_window(container, &container->windows[0]);
	if (ret)
		return ret;

	slot = tce_free_slot(container);
	if (slot < 0)
		return slot;

	ret = tce_add_window(container, slot, create.page_shift,
			     create.window_size, create.levels);
	if (ret)
		return ret;

	create.start_addr = container->windows[slot].start;
	if (copy_to_user(uarg, &create, sizeof(create))) {
		tce_remove_window(container, slot);
		return -EFAULT;
	}
	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
static long tce_ioctl_remove(struct tce_container *container, void __user *uarg)
{
	struct vfio_iommu_spapr_tce_remove remove;
	struct tce_window *win;
	long ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	if (!tce_first_group(container))
		return -ENXIO;

	ret = tce_copy_arg(&remove, sizeof(remove), uarg, 0);
	if (ret)
		return ret;

	win = tce_find_window(container, remove.start_addr);
	if (!win || win->start != remove.start_addr)
		return -EINVAL;

	tce_remove_window(container, win - container->windows);
	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
static long tce_ioctl_get_info(struct tce_container *container,
			       void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_spapr_tce_info,
					 dma32_window_size);
	struct vfio_iommu_spapr_tce_info info = { };
	struct iommu_table_group *tables;
	u32 argsz;
	int ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;

	tables = tce_first_group(container);
	if (!tables)
		return -ENXIO;
	if (get_user(argsz, (u32 __user *)uarg))
		return -EFAULT;
	if (argsz < minsz)
		return -EINVAL;

	info.argsz = argsz;
	info.dma32_window_start = tables->tce32_start;
	info.dma32_window_size = tables->tce32_size;
	if (container->v2 && tables->max_dynamic_windows_supported) {
		info.flags |= VFIO_IOMMU_SPAPR_INFO_DDW;
		info.ddw.pgsizes = tables->pgsizes;
		info.ddw.max_dynamic_windows_supported =
			tables->max_dynamic_windows_supported;
		info.ddw.levels = tables->max_levels;
	}

	if (copy_to_user(uarg, &info,
			 argsz < sizeof(info) ? minsz : sizeof(info)))
		return -EFAULT;
	return 0;
}

/* Maps */

/* Finds the window of a whole range of IOMMU pages. */
static struct tce_window *tce_window_of_range(struct tce_container *container,
					      u64 iova, u64 size)
{
	struct tce_window *win = tce_find_window(container, iova);
	u64 mask;

	if (!win)
		return ERR_PTR(-ENXIO);

	mask = BIT_ULL(win->shift) - 1;
	if ((iova | size) & mask || size > win->size - (iova - win->start))
		return ERR_PTR(-EINVAL);
	return win;
}

static bool tce_wraps(u64 addr, u64 size)
{
	return size && addr + (size - 1) < addr;
}

static enum dma_data_direction tce_map_direction(u32 flags)
{
	switch (flags) {
	case VFIO_DMA_MAP_FLAG_READ:
		return DMA_TO_DEVICE;
	case VFIO_DMA_MAP_FLAG_WRITE:
		return DMA_FROM_DEVICE;
	case VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE:
		return DMA_BIDIRECTIONAL;
	default:
		return DMA_NONE;
	}
}

/* VFIO_IOMMU_MAP_DMA */
static long tce_ioctl_map(struct tce_container *container, void __user *uarg)
{
	struct vfio_iommu_type1_dma_map map;
	enum dma_data_direction dir;
	struct tce_window *win;
	long ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	if (!container->enabled)
		return -EPERM;

	ret = tce_copy_arg(&map, sizeof(map), uarg,
			   VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	if (ret)
		return ret;
	if (tce_wraps(map.iova, map.size) || tce_wraps(map.vaddr, map.size))
		return -EOVERFLOW;

	win = tce_window_of_range(container, map.iova, map.size);
	if (IS_ERR(win))
		return PTR_ERR(win);

	dir = tce_map_direction(map.flags);
	if (dir == DMA_NONE || !IS_ALIGNED(map.vaddr, BIT_ULL(win->shift)))
		return -EINVAL;
	if (!map.size)
		return 0;

	/* more than is registered at all: not worth an allocation */
	if (container->v2 &&
	    map.size >> PAGE_SHIFT > READ_ONCE(container->mm->locked_vm))
		return -EINVAL;

	ret = tce_use_window(container, win);
	if (ret)
		return ret;

	return iommu_tce_map(win->tbl, tce_backing(container), container->mm,
			     map.iova >> win->shift, map.vaddr,
			     map.size >> win->shift, dir);
}

/* VFIO_IOMMU_UNMAP_DMA */
static long tce_ioctl_unmap(struct tce_container *container, void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap,
					 size);
	struct vfio_iommu_type1_dma_unmap unmap;
	struct tce_window *win;
	long ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	if (!container->enabled)
		return -EPERM;

	ret = tce_copy_arg(&unmap, minsz, uarg, 0);
	if (ret)
		return ret;
	if (tce_wraps(unmap.iova, unmap.size))
		return -EOVERFLOW;

	win = tce_window_of_range(container, unmap.iova, unmap.size);
	if (IS_ERR(win))
		return PTR_ERR(win);

	if (!win->tbl)
		return 0;

	return iommu_tce_unmap(win->tbl, tce_backing(container), container->mm,
			       unmap.iova >> win->shift,
			       unmap.size >> win->shift);
}

/* v1: one switch for the whole 32-bit window */

/* VFIO_IOMMU_ENABLE */
static long tce_ioctl_enable(struct tce_container *container)
{
	struct iommu_table_group *tables = tce_first_group(container);
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
	if (ret)
		return ret;

	container->locked = locked;
	container->enabled = true;
	return 0;
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

	if (win->tbl)
		tce_clear_window(container, win);
	account_locked_vm(container->mm, container->locked, false);
	container->locked = 0;
	container->enabled = false;
	return 0;
}

/* v2: registered memory */

/* Reads the argument of REGISTER and UNREGISTER. */
static int tce_copy_memory(struct vfio_iommu_spapr_register_memory *memory,
			   const void __user *uarg)
{
	u64 last;
	int ret;

	ret = tce_copy_arg(memory, sizeof(*memory), uarg, 0);
	if (ret)
		return ret;
	if (!memory->size || !PAGE_ALIGNED(memory->vaddr | memory->size) ||
	    check_add_overflow(memory->vaddr, memory->size - 1, &last))
		return -EINVAL;
	return 0;
}

/*
 * Finds what this container registered at an address, or the place in the tree
 * where it belongs. A region that was refused and then replaced through another
 * container may still be there.
 */
static struct tce_registration *
tce_find_registration(struct tce_container *container, unsigned long ua,
		      struct rb_node **parent, struct rb_node ***link)
{
	struct tce_registration *reg;
	unsigned long start;

	*parent = NULL;
	*link = &container->registrations.rb_node;
	while (**link) {
		*parent = **link;
		reg = rb_entry(*parent, struct tce_registration, node);
		start = mm_iommu_start(reg->region);
		if (ua == start)
			return reg;
		*link = ua < start ? &(*parent)->rb_left : &(*parent)->rb_right;
	}
	return NULL;
}

static void tce_del_registration(struct tce_container *container,
				 struct tce_registration *reg)
{
	rb_erase(&reg->node, &container->registrations);
	kfree(reg);
}

/* Registers memory where this container has nothing that begins there. */
static int tce_add_registration(struct tce_container *container,
				unsigned long ua, unsigned long size,
				struct rb_node *parent, struct rb_node **link)
{
	struct tce_registration *reg;
	int ret;

	reg = kmalloc(sizeof(*reg), GFP_KERNEL_ACCOUNT);
	if (!reg)
		return -ENOMEM;

	ret = mm_iommu_register(container->mm, ua, size, &reg->region,
				&container->refusal);
	if (ret) {
		kfree(reg);
		return ret;
	}
	rb_link_node(&reg->node, parent, link);
	rb_insert_color(&reg->node, &container->registrations);
	return 0;
}

/* Registers memory in place of a registration that was given up before. */
static int tce_replace_registration(struct tce_container *container,
				    struct tce_registration *reg,
				    unsigned long ua, unsigned long size)
{
	struct mm_iommu_region *region;
	int ret;

	if (mm_iommu_size(reg->region) == size &&
	    mm_iommu_is_current(reg->region))
		return -EBUSY;

	ret = mm_iommu_register(container->mm, ua, size, &region,
				&container->refusal);
	if (ret)
		return ret;

	mm_iommu_release(reg->region);
	reg->region = region;
	return 0;
}

/* VFIO_IOMMU_SPAPR_REGISTER_MEMORY */
static long tce_ioctl_register(struct tce_container *container,
			       void __user *uarg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct rb_node *parent, **link;
	struct tce_registration *reg;
	int ret;

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_memory(&memory, uarg);
	if (ret)
		return ret;

	reg = tce_find_registration(container, memory.vaddr, &parent, &link);
	if (reg)
		ret = tce_replace_registration(container, reg, memory.vaddr,
					       memory.size);
	else
		ret = tce_add_registration(container, memory.vaddr,
					   memory.size, parent, link);
	if (!ret)
		container->enabled = true;
	return ret;
}

/* VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY */
static long tce_ioctl_unregister(struct tce_container *container,
				 void __user *uarg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct rb_node *parent, **link;
	struct tce_registration *reg;
	int ret;

	if (!container->mm)
		return -EPERM;
	ret = tce_check_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_memory(&memory, uarg);
	if (ret)
		return ret;

	reg = tce_find_registration(container, memory.vaddr, &parent, &link);
	if (!reg || mm_iommu_size(reg->region) != memory.size)
		return -ENOENT;

	ret = mm_iommu_unregister(reg->region);
	if (ret != -EBUSY)
		tce_del_registration(container, reg);
	return ret;
}

/* EEH */

static long tce_eeh_inject(struct eeh_pe *pe, struct vfio_eeh_pe_op *op,
			   const void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_eeh_pe_op, err.mask);

	if (op->argsz < minsz)
		return -EINVAL;
	if (copy_from_user(op, uarg, minsz))
		return -EFAULT;
	return eeh_pe_inject_err(pe, op->err.type, op->err.func, op->err.addr,
				 op->err.mask);
}

static long tce_eeh_group(struct iommu_group *grp, struct vfio_eeh_pe_op *op,
			  const void __user *uarg)
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
		return tce_eeh_inject(pe, op, uarg);
	default:
		return -EINVAL;
	}
}

/* VFIO_EEH_PE_OP, on each group until one does not answer 0 */
static long tce_ioctl_eeh(struct tce_container *container, void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_eeh_pe_op, op);
	struct vfio_eeh_pe_op op = { };
	struct tce_group *group;
	long ret;

	ret = tce_check_mm(container);
	if (ret)
		return ret;
	ret = tce_copy_arg(&op, minsz, uarg, 0);
	if (ret)
		return ret;

	list_for_each_entry(group, &container->groups, list) {
		ret = tce_eeh_group(group->grp, &op, uarg);
		if (ret)
			break;
	}
	return ret;
}

static long tce_ioctl_v1(struct tce_container *container, unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_ENABLE:
		return tce_ioctl_enable(container);
	case VFIO_IOMMU_DISABLE:
		return tce_ioctl_disable(container);
	default:
		return -ENOTTY;
	}
}

static long tce_ioctl_v2(struct tce_container *container, unsigned int cmd,
			 void __user *uarg)
{
	switch (cmd) {
	case VFIO_IOMMU_SPAPR_REGISTER_MEMORY:
		return tce_ioctl_register(container, uarg);
	case VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY:
		return tce_ioctl_unregister(container, uarg);
	case VFIO_IOMMU_SPAPR_TCE_CREATE:
		return tce_ioctl_create(container, uarg);
	case VFIO_IOMMU_SPAPR_TCE_REMOVE:
		return tce_ioctl_remove(container, uarg);
	default:
		return -ENOTTY;
	}
}

static long tce_ioctl_locked(struct tce_container *container,
			     unsigned int cmd, void __user *uarg)
{
	switch (cmd) {
	case VFIO_IOMMU_SPAPR_TCE_GET_INFO:
		return tce_ioctl_get_info(container, uarg);
	case VFIO_IOMMU_MAP_DMA:
		return tce_ioctl_map(container, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return tce_ioctl_unmap(container, uarg);
	case VFIO_EEH_PE_OP:
		return tce_ioctl_eeh(container, uarg);
	default:
		return container->v2 ? tce_ioctl_v2(container, cmd, uarg) :
				       tce_ioctl_v1(container, cmd);
	}
}

/* @iommu_data is NULL when VFIO asks what a container would support. */
static long tce_iommu_ioctl(void *iommu_data, unsigned int cmd,
			    unsigned long arg)
{
	struct tce_container *container = iommu_data;
	long ret;

	if (cmd == VFIO_CHECK_EXTENSION) {
		switch (arg) {
		case VFIO_SPAPR_TCE_IOMMU:
		case VFIO_SPAPR_TCE_v2_IOMMU:
			return 1;
		case VFIO_EEH:
			return eeh_enabled();
		default:
			return 0;
		}
	}

	mutex_lock(&container->lock);
	ret = tce_ioctl_locked(container, cmd, (void __user *)arg);
	mutex_unlock(&container->lock);
	return ret;
}

/* Groups */

static int tce_check_group(struct tce_container *container,
			   struct iommu_group *grp,
			   const struct iommu_table_group *tables)
{
	struct tce_group *group;

	lockdep_assert_held(&container->lock);
	if (container->v2 && !tables->max_dynamic_windows_supported)
		return -EINVAL;
	if (!container->v2 && !list_empty(&container->groups))
		return -EBUSY;

	list_for_each_entry(group, &container->groups, list) {
		if (group->grp == grp)
			return -EBUSY;
		/* tables are shared, so all are of one platform */
		if (group->tables->ops->create_table !=
		    tables->ops->create_table)
			return -EPERM;
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
	struct iommu_table_group *tables;
	struct tce_group *group;
	int ret;

	if (type == VFIO_EMULATED_IOMMU)
		return -EINVAL;

	tables = iommu_group_get_iommudata(grp);
	if (!tables || !tables->ops || !tables->ops->create_table)
		return -ENODEV;

	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return -ENOMEM;
	group->grp = grp;
	group->tables = tables;

	mutex_lock(&container->lock);
	ret = tce_check_group(container, grp, tables);
	if (ret)
		goto err_unlock;

	ret = tce_set_windows(container, tables);
	if (ret)
		goto err_unlock;

	if (list_empty(&container->groups) && !tables->tables[0])
		tce_promise_window(container, tables);
	list_add_tail(&group->list, &container->groups);
	mutex_unlock(&container->lock);
	return 0;

err_unlock:
	mutex_unlock(&container->lock);
	kfree(group);
	return ret;
}

/* Only this group loses the windows; with the last one they go. */
static void tce_iommu_detach_group(void *iommu_data, struct iommu_group *grp)
{
	struct tce_container *container = iommu_data;
	struct tce_group *group;
	bool last;
	int i;

	mutex_lock(&container->lock);
	last = list_is_singular(&container->groups);
	list_for_each_entry(group, &container->groups, list)
		if (group->grp == grp)
			break;
	if (WARN_ON(list_entry_is_head(group, &container->groups, list)))
		goto out_unlock;

	for (i = 0; i < TCE_MAX_WINDOWS; i++) {
		struct tce_window *win = &container->windows[i];

		if (last)
			tce_remove_window(container, i);
		else if (win->tbl)
			tce_unset_group(group->tables, i, win->tbl);
	}
	list_del(&group->list);
	kfree(group);
out_unlock:
	mutex_unlock(&container->lock);
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

	mutex_init(&container->lock);
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
	}

	if (container->mm) {
		account_locked_vm(container->mm, container->locked, false);
		mmdrop(container->mm);
	}
	mutex_destroy(&container->lock);
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

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO container for the sPAPR TCE IOMMU");
