// SPDX-License-Identifier: GPL-2.0
/*
 * Paging domains of the sPAPR TCE IOMMU, used by iommufd to map user memory.
 *
 * A domain has the DMA windows of the platform, the default one and a 64-bit
 * one, and for each a TCE table that is set in all of its groups. The platform
 * creates the tables; the TCE core changes them. A table exists as long as the
 * domain does, with or without groups. Its view records the mappings: under a
 * hypervisor, where the TCEs of a group are gone with its window, they are
 * written again when a group is attached.
 *
 * The memory is pinned by the caller of map_pages(), and stays pinned until
 * unmap_pages() has returned. So there is no registry here and nothing is
 * counted: a cookie of the view is a host physical address.
 *
 * The default window is set when a group is attached. The 64-bit one, which
 * costs time and hypervisor memory, is set in all groups when the first page is
 * mapped there.
 *
 * spapr_domain::lock protects the groups of a domain and the windows that are
 * set in them. It nests in the mutex of an IOMMU group and in the locks of
 * iommufd; the locks of the platform nest in it. Mapping and unmapping take it
 * only to open a window. They run concurrently with each other as far as the
 * TCE core allows, and with attach and detach, where the platform makes both
 * sides visible to each other.
 */
#include <linux/iommu.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/iommu_tce.h>
#include <asm/mm_iommu.h>
#include <asm/mmzone.h>

#include "iommu_tce_view.h"

/**
 * struct spapr_window - a DMA window of a domain
 * @tbl: its TCE table, with a reference; NULL if there is no such window
 * @start: bus address
 * @size: bytes; 0 if there is no such window
 * @open: it is set in all groups, now and later; stored with release
 */
struct spapr_window {
	struct iommu_table *tbl;
	u64 start;
	u64 size;
	bool open;
};

struct spapr_group {
	struct list_head list;
	struct iommu_table_group *table_group;
};

/**
 * struct spapr_domain - a paging domain
 * @domain: the domain of the IOMMU core
 * @ops: of the platform; constant
 * @windows: by their number in a group; constant, except @open
 * @lock: protects the members below, and windows while they are opened
 * @groups: list of struct spapr_group
 */
struct spapr_domain {
	struct iommu_domain domain;
	const struct iommu_table_group_ops *ops;
	struct spapr_window windows[IOMMU_TABLE_GROUP_MAX_TABLES];
	struct mutex lock;	/* groups, and opening of windows */
	struct list_head groups;
};

static const struct iommu_domain_ops spapr_paging_ops;

static struct spapr_domain *to_spapr_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct spapr_domain, domain);
}

/* Memory pinned by the caller: only its address is known */

/* @hpa takes the place of the user address of other backings. */
static long pinned_hold(struct mm_struct *mm, unsigned long hpa,
			unsigned long npages, unsigned int shift, bool write,
			struct mm_iommu_held *held)
{
	held->cookie = iommu_tce_hpa_cookie(hpa, write);
	return npages;
}

static int pinned_drop(struct mm_struct *mm, u64 cookie, unsigned long npages)
{
	return 0;
}

static void pinned_lose(u64 cookie, unsigned long npages, unsigned int shift)
{
	u64 hpa = iommu_tce_cookie_hpa(cookie);

	for (; npages; npages--, hpa += BIT_ULL(shift))
		if (pfn_valid(PHYS_PFN(hpa)))
			folio_get(pfn_folio(PHYS_PFN(hpa)));
}

static const struct iommu_tce_backing pinned_memory = {
	.hold = pinned_hold,
	.drop = pinned_drop,
	.lose = pinned_lose,
	.alike = MM_IOMMU_COOKIE_ID,
};

/* Returns the view of an entry; 0 if it is not mapped. */
static u64 read_cookie(const struct iommu_table *tbl, unsigned long entry)
{
	unsigned long i = entry - tbl->it_offset;
	struct tce_view_block *blk;

	blk = tce_view_find(tbl->it_view, i / TCE_VIEW_ENTRIES);
	return blk ? READ_ONCE(blk->entry[i % TCE_VIEW_ENTRIES]) : 0;
}

/**
 * iommu_domain_read_tces() - get the TCEs of a part of a domain's table
 * @tbl: table of a domain
 * @entry: first entry, counted from bus address 0
 * @npages: number of entries
 * @tces: where to store them, in the format of the bridge
 *
 * Context: The lock of their block, as in iommu_tce_view_walk().
 */
void iommu_domain_read_tces(const struct iommu_table *tbl, unsigned long entry,
			    unsigned long npages, __be64 *tces)
{
	unsigned long i;

	for (i = 0; i < npages; i++)
		iommu_tce_fill(tbl, read_cookie(tbl, entry + i), 1, tces + i);
}

/*
 * The platform has refused to clear TCEs, so a device may reach the mapped
 * memory permanently: it is never released. The view forgets it, so that it is
 * not mapped for other groups.
 */
static void tce_leak_range(const struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages)
{
	unsigned long i = entry - tbl->it_offset, end = i + npages;
	struct tce_view_block *blk;
	u64 *cookie;

	pr_err_ratelimited("iommu: TCEs cannot be cleared, their memory is lost\n");
	for (; i < end; i++) {
		blk = tce_view_lock(tbl->it_view, i / TCE_VIEW_ENTRIES);
		cookie = blk ? &blk->entry[i % TCE_VIEW_ENTRIES] : NULL;
		if (cookie && *cookie) {
			pinned_lose(*cookie, 1, tbl->it_page_shift);
			*cookie = 0;
			blk->others--;
		}
		tce_view_unlock(tbl->it_view, i / TCE_VIEW_ENTRIES);
		cond_resched();
	}
}

/* Windows */

/*
 * Sets a window in a group. One that could not be unset before, of any domain,
 * is in its place: devices still reach what is mapped there.
 */
static int set_window(struct spapr_domain *dom, int num,
		      struct iommu_table_group *table_group)
{
	if (table_group->tables[num])
		return -EBUSY;
	return dom->ops->set_window(table_group, num, dom->windows[num].tbl);
}

/* Sets the open windows in a group. After an error some may be set. */
static int set_windows(struct spapr_domain *dom,
		       struct iommu_table_group *table_group)
{
	int i, ret = 0;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES && !ret; i++) {
		if (dom->windows[i].open)
			ret = set_window(dom, i, table_group);
		else if (table_group->tables[i])
			ret = -EBUSY;
	}
	return ret;
}

/*
 * Unsets all windows of a domain in a group. If the platform fails the table
 * stays, with the group, and devices reach through it what is mapped in the
 * domain: unmap clears it there too. Such a group cannot be attached to another
 * domain, nor be claimed again.
 */
static void unset_windows(struct spapr_domain *dom,
			  struct iommu_table_group *table_group)
{
	struct iommu_table *tbl;
	int i;

	for (i = IOMMU_TABLE_GROUP_MAX_TABLES - 1; i >= 0; i--) {
		tbl = dom->windows[i].tbl;
		if (tbl && table_group->tables[i] == tbl &&
		    dom->ops->unset_window(table_group, i))
			pr_err_ratelimited("iommu: DMA window at 0x%llx cannot be removed\n",
					   dom->windows[i].start);
	}
}

/* Sets a window in all groups, or in none. */
static int open_in_groups(struct spapr_domain *dom, struct spapr_window *win)
{
	int num = win - dom->windows, ret = 0;
	struct iommu_table_group *table_group;
	struct spapr_group *group;

	lockdep_assert_held(&dom->lock);
	list_for_each_entry(group, &dom->groups, list) {
		table_group = group->table_group;
		/* one that an earlier failure could not take back is good */
		if (table_group->tables[num] != win->tbl)
			ret = set_window(dom, num, table_group);
		if (ret)
			break;
	}
	if (!ret)
		return 0;

	list_for_each_entry_continue_reverse(group, &dom->groups, list)
		dom->ops->unset_window(group->table_group, num);
	return ret;
}

static int open_window(struct spapr_domain *dom, struct spapr_window *win)
{
	int ret = 0;

	/* pairs with smp_store_release() below: the window is set */
	if (smp_load_acquire(&win->open))
		return 0;

	/* others may be waiting for a hypervisor that clears a window */
	if (mutex_lock_killable(&dom->lock))
		return -EINTR;
	if (!win->open)
		ret = open_in_groups(dom, win);
	if (!ret) {
		/* pairs with smp_load_acquire() above */
		smp_store_release(&win->open, true);
	}
	mutex_unlock(&dom->lock);
	return ret;
}

/* Returns the window of a range; NULL if no window has all of it. */
static struct spapr_window *find_window(struct spapr_domain *dom, u64 iova,
					u64 size)
{
	struct spapr_window *win;
	int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		win = &dom->windows[i];
		if (iova - win->start < win->size)
			return size <= win->size - (iova - win->start) ? win :
									 NULL;
	}
	return NULL;
}

/* Mapping */

/*
 * Maps everything or nothing, replacing old mappings. It sleeps, so callers
 * that must not are rejected. TCEs for registers of other devices would need
 * data that only the platform has.
 */
static int spapr_map_pages(struct iommu_domain *domain, unsigned long iova,
			   phys_addr_t paddr, size_t pgsize, size_t pgcount,
			   int prot, gfp_t gfp, size_t *mapped)
{
	struct spapr_domain *dom = to_spapr_domain(domain);
	size_t size = pgsize * pgcount;
	struct spapr_window *win;
	unsigned int shift;
	int ret;

	win = find_window(dom, iova, size);
	if (!win || !gfpflags_allow_blocking(gfp) || prot & IOMMU_MMIO ||
	    !(prot & (IOMMU_READ | IOMMU_WRITE)))
		return -EINVAL;

	ret = open_window(dom, win);
	if (ret)
		return ret;
	shift = win->tbl->it_page_shift;
	ret = iommu_tce_map(win->tbl, iova >> shift, paddr, size >> shift,
			    prot & IOMMU_WRITE, NULL);
	if (!ret)
		*mapped = size;
	return ret;
}

/*
 * On return no device reaches the memory, so there is nothing to gather: the
 * TCE core invalidates once for the range.
 */
static size_t spapr_unmap_pages(struct iommu_domain *domain, unsigned long iova,
				size_t pgsize, size_t pgcount,
				struct iommu_iotlb_gather *gather)
{
	struct spapr_domain *dom = to_spapr_domain(domain);
	size_t size = pgsize * pgcount;
	struct spapr_window *win;
	unsigned int shift;

	win = find_window(dom, iova, size);
	if (!win)
		return 0;
	shift = win->tbl->it_page_shift;
	if (iommu_tce_unmap(win->tbl, iova >> shift, size >> shift))
		tce_leak_range(win->tbl, iova >> shift, size >> shift);
	return size;
}

static phys_addr_t spapr_iova_to_phys(struct iommu_domain *domain,
				      dma_addr_t iova)
{
	struct spapr_window *win =
		find_window(to_spapr_domain(domain), iova, 1);
	u64 cookie;

	if (!win)
		return 0;
	cookie = read_cookie(win->tbl, iova >> win->tbl->it_page_shift);
	if (!cookie)
		return 0;
	return iommu_tce_cookie_hpa(cookie) +
	       (iova & (IOMMU_PAGE_SIZE(win->tbl) - 1));
}

static bool spapr_get_aperture(struct iommu_domain *domain, unsigned int n,
			       struct iommu_domain_geometry *aperture)
{
	struct spapr_domain *dom = to_spapr_domain(domain);
	int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		if (!dom->windows[i].size || n--)
			continue;
		aperture->aperture_start = dom->windows[i].start;
		aperture->aperture_end = dom->windows[i].start +
					 dom->windows[i].size - 1;
		return true;
	}
	return false;
}

/* Groups */

static struct iommu_table_group *dev_table_group(struct device *dev)
{
	struct iommu_group *grp = iommu_group_get(dev);
	struct iommu_table_group *table_group;

	if (!grp)
		return NULL;
	table_group = iommu_group_get_iommudata(grp);
	iommu_group_put(grp);
	return table_group;
}

static struct spapr_group *
find_group(struct spapr_domain *dom,
	   const struct iommu_table_group *table_group)
{
	struct spapr_group *group;

	lockdep_assert_held(&dom->lock);
	list_for_each_entry(group, &dom->groups, list)
		if (group->table_group == table_group)
			return group;
	return NULL;
}

/*
 * Whether a group can have the windows of a domain, as far as known in advance.
 */
static bool group_fits(const struct spapr_domain *dom,
		       const struct iommu_table_group *table_group)
{
	const struct spapr_window *first = &dom->windows[0];
	unsigned int i, nr = 0;

	if (table_group->ops != dom->ops)
		return false;
	if (first->size && (table_group->tce32_start != first->start ||
			    table_group->tce32_size < first->size))
		return false;
	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		if (!dom->windows[i].size)
			continue;
		if (!(table_group->pgsizes &
		      IOMMU_PAGE_SIZE(dom->windows[i].tbl)))
			return false;
		nr++;
	}
	return nr == 1 || nr <= table_group->max_dynamic_windows_supported;
}

/*
 * Adds a group. The existing mappings become valid for it, or nothing has
 * changed.
 */
static int domain_join(struct spapr_domain *dom,
		       struct iommu_table_group *table_group)
{
	struct spapr_group *group;
	int ret;

	group = kzalloc_obj(*group);
	if (!group)
		return -ENOMEM;
	group->table_group = table_group;

	mutex_lock(&dom->lock);
	ret = set_windows(dom, table_group);
	if (!ret) {
		list_add_tail(&group->list, &dom->groups);
	} else {
		unset_windows(dom, table_group);
		kfree(group);
	}
	mutex_unlock(&dom->lock);
	return ret;
}

/**
 * spapr_domain_leave() - remove a group from a paging domain
 * @domain: the old domain of the device, of any kind or NULL
 * @dev: a device of the group
 *
 * On return the devices of the group reach nothing. It cannot fail; if the
 * platform does, they reach the remaining mappings, and nothing else. The first
 * device of a group removes the others too.
 *
 * Context: Process context, the mutex of the device's IOMMU group.
 * Return: whether it was a paging domain.
 */
bool spapr_domain_leave(struct iommu_domain *domain, struct device *dev)
{
	struct iommu_table_group *table_group;
	struct spapr_group *group;
	struct spapr_domain *dom;

	if (!domain || domain->ops != &spapr_paging_ops)
		return false;

	dom = to_spapr_domain(domain);
	table_group = dev_table_group(dev);
	mutex_lock(&dom->lock);
	group = find_group(dom, table_group);
	if (group) {
		unset_windows(dom, table_group);
		list_del(&group->list);
		kfree(group);
	}
	mutex_unlock(&dom->lock);
	return true;
}

static bool domain_has(struct spapr_domain *dom,
		       const struct iommu_table_group *table_group)
{
	bool has;

	mutex_lock(&dom->lock);
	has = find_group(dom, table_group);
	mutex_unlock(&dom->lock);
	return has;
}

/*
 * Attaches from the blocked domain or from another paging domain, which the
 * device keeps on failure. A device has to be claimed first, which takes it
 * from the kernel's own drivers.
 */
static int spapr_attach_dev(struct iommu_domain *domain, struct device *dev,
			    struct iommu_domain *old)
{
	struct iommu_table_group *table_group = dev_table_group(dev);
	struct spapr_domain *dom = to_spapr_domain(domain);
	int ret;

	if (!table_group || !group_fits(dom, table_group))
		return -EINVAL;
	/* done by another device of the group, which may be older than this */
	if (domain_has(dom, table_group))
		return 0;
	if (!old || old->type == IOMMU_DOMAIN_PLATFORM)
		return -EBUSY;

	spapr_domain_leave(old, dev);
	ret = domain_join(dom, table_group);
	if (ret && old->ops == &spapr_paging_ops &&
	    domain_join(to_spapr_domain(old), table_group))
		dev_err_ratelimited(dev, "cannot go back to the DMA windows it had\n");
	return ret;
}

/* Creation and release of a domain */

static void spapr_domain_free(struct iommu_domain *domain)
{
	struct spapr_domain *dom = to_spapr_domain(domain);
	int i;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++)
		if (dom->windows[i].tbl)
			iommu_tce_table_put(dom->windows[i].tbl);
	mutex_destroy(&dom->lock);
	kfree(dom);
}

static const struct iommu_domain_ops spapr_paging_ops = {
	.attach_dev = spapr_attach_dev,
	.map_pages = spapr_map_pages,
	.unmap_pages = spapr_unmap_pages,
	.iova_to_phys = spapr_iova_to_phys,
	.get_aperture = spapr_get_aperture,
	.free = spapr_domain_free,
};

/* Creates the table of a window, if the platform has one of this number. */
static int alloc_window(struct spapr_domain *dom,
			struct iommu_table_group *table_group, int num)
{
	struct spapr_window *win = &dom->windows[num];
	struct iommu_table *tbl = NULL;
	int ret;

	ret = dom->ops->domain_table(table_group, num, &tbl);
	if (ret)
		return ret == -ENODEV ? 0 : ret;

	win->tbl = tbl;
	ret = iommu_tce_view_create(tbl);
	if (ret)
		return ret;
	/* the kernel pays for it: no locked_vm is charged */
	iommu_tce_bind(tbl, &pinned_memory, &init_mm, 0);
	win->start = (u64)tbl->it_offset << tbl->it_page_shift;
	win->size = (u64)tbl->it_size << tbl->it_page_shift;
	win->open = !num;
	return 0;
}

/* Sets the range from the first to the last address that can be mapped. */
static bool set_geometry(struct spapr_domain *dom)
{
	struct iommu_domain_geometry *all = &dom->domain.geometry, ap;
	unsigned int n;

	for (n = 0; spapr_get_aperture(&dom->domain, n, &ap); n++) {
		if (!n)
			all->aperture_start = ap.aperture_start;
		all->aperture_end = ap.aperture_end;
	}
	all->force_aperture = true;
	return n;
}

/**
 * spapr_domain_alloc() - allocate a paging domain
 * @dev: a device to be attached; other devices can be attached if they have the
 *	same windows
 * @flags: IOMMU_HWPT_ALLOC_*, none is supported
 * @user_data: not supported
 *
 * Does not change the device's group.
 *
 * Context: Process context, may sleep.
 * Return: the domain; ERR_PTR() of -EOPNOTSUPP, or of -ENOMEM.
 */
struct iommu_domain *spapr_domain_alloc(struct device *dev, u32 flags,
					const struct iommu_user_data *user_data)
{
	struct iommu_table_group *table_group = dev_table_group(dev);
	struct spapr_domain *dom;
	int i, ret = 0;

	if (flags || user_data || !table_group || !table_group->ops ||
	    !table_group->ops->domain_table)
		return ERR_PTR(-EOPNOTSUPP);

	dom = kzalloc_obj(*dom, GFP_KERNEL_ACCOUNT);
	if (!dom)
		return ERR_PTR(-ENOMEM);
	dom->ops = table_group->ops;
	mutex_init(&dom->lock);
	INIT_LIST_HEAD(&dom->groups);
	dom->domain.type = IOMMU_DOMAIN_UNMANAGED;
	dom->domain.ops = &spapr_paging_ops;
	/* one size: each run of memory is one call, of any length */
	dom->domain.pgsize_bitmap = PAGE_SIZE;

	for (i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES && !ret; i++)
		ret = alloc_window(dom, table_group, i);
	if (!ret && !set_geometry(dom))
		ret = -EOPNOTSUPP;
	if (ret) {
		spapr_domain_free(&dom->domain);
		return ERR_PTR(ret);
	}
	return &dom->domain;
}

/**
 * iommu_domain_window64_size() - size of the 64-bit window of a domain
 *
 * Four times the maximum memory of the machine, 4 GiB at least: room for all of
 * it in any layout that user space chooses.
 *
 * Context: Any.
 * Return: bytes, a power of 2.
 */
u64 iommu_domain_window64_size(void)
{
	return max(roundup_pow_of_two(memory_hotplug_max()) * 4, (u64)SZ_4G);
}

#ifdef CONFIG_IOMMU_TCE_KUNIT_TEST
#include "tests/iommu_domain_kunit.c"
#endif
