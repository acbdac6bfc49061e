/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCE core: the only place where a TCE, the userspace view of its table and the
 * count of mapped pages change together.
 *
 * kernel/iommu_tce_fast.c	up to 512 entries, never sleeps, or is undone
 *				in virtual and in real mode
 * kernel/iommu_tce.c		any range, may sleep, may be refused and undone
 * kernel/iommu_tce_view.c	the userspace view: the memory behind each entry
 */
#ifndef _ASM_POWERPC_IOMMU_TCE_H
#define _ASM_POWERPC_IOMMU_TCE_H

#include <linux/bitfield.h>
#include <linux/kprobes.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include <asm/mm_iommu.h>
#include <asm/tce.h>

struct iommu_table;
struct mm_struct;
struct tce_map;
struct tce_view_block;

/**
 * struct iommu_tce_backing - source of the memory behind TCEs
 * @hold: looks up memory for IOMMU pages from @ua on and takes one reference
 *	for each; all of them can be mapped. Returns their number, 1 to @npages,
 *	or -errno with nothing held.
 * @translate: stores the host addresses of held pages, starting with that of
 *	@cookie, with @bits added, in the format of the bridge; NULL if its
 *	cookies are those of iommu_tce_hpa_cookie()
 * @count: changes the number of references on the memory that @cookie belongs
 *	to, at least one of which remains; NULL if each page is kept by itself
 * @drop: drops references, when no device can reach the pages any more; @cookie
 *	is that of any of them. -ENOENT if it is not held
 * @lose: keeps pages in place permanently, as devices may reach them through a
 *	TCE that can neither be set nor cleared; NULL if leaking the reference
 *	is enough
 * @alike: cookie bits that must be equal in all pages of one @drop call
 *
 * @ua is a user address, a multiple of the IOMMU page size, whose log2 is
 * @shift; @write is set if a device may write there. Cookies are those of
 * asm/mm_iommu.h.
 *
 * Context: @hold and @drop: process context, may sleep; the latter in any
 *	process, also when the user address space is gone. @translate and
 *	@count: any but NMI, in virtual mode.
 */
struct iommu_tce_backing {
	long (*hold)(struct mm_struct *mm, unsigned long ua,
		     unsigned long npages, unsigned int shift, bool write,
		     struct mm_iommu_held *held);
	int (*translate)(struct mm_struct *mm, u64 cookie, unsigned long npages,
			 unsigned int shift, u64 bits, __be64 *tces);
	void (*count)(struct mm_struct *mm, u64 cookie, long more);
	int (*drop)(struct mm_struct *mm, u64 cookie, unsigned long npages);
	void (*lose)(u64 cookie, unsigned long npages, unsigned int shift);
	u64 alike;
};

/*
 * Cookie of memory that is known by its host physical address only, which has
 * 51 bits at most: it takes the place of the page, and the id is always 1.
 */
static inline u64 iommu_tce_hpa_cookie(u64 hpa, bool write)
{
	return FIELD_PREP(MM_IOMMU_COOKIE_ID, 1) + mm_iommu_cookie_step(hpa) +
	       write;
}

static inline u64 iommu_tce_cookie_hpa(u64 cookie)
{
	return FIELD_GET(MM_IOMMU_COOKIE_PAGE, cookie) * SZ_4K;
}

/* Writable implies readable: bridges read before they write a part. */
static inline __kprobes u64 iommu_tce_perm(bool write)
{
	return TCE_PCI_READ | (write ? TCE_PCI_WRITE : 0);
}

/**
 * struct iommu_tce_seg - requested mapping of consecutive entries
 * @ua: user address of the first page; the following ones are contiguous
 * @npages: number of pages
 * @write: whether the device may write, and not only read
 * @clear: the entries are to be cleared
 */
struct iommu_tce_seg {
	unsigned long ua;
	unsigned long npages;
	bool write;
	bool clear;
};

/*
 * Results of the fast path. 0: there was nothing to do; negative: nothing has
 * changed, but see each function.
 */
#define IOMMU_TCE_DONE		1
#define IOMMU_TCE_REAP		2	/* and mm_iommu_reap() must be called */

/* Maximum number of entries of one change. */
#define IOMMU_TCE_FAST_MAX	512UL

/**
 * struct iommu_tce_scratch - buffers for a change of several entries
 * @tces: new content of the table
 * @cookies: new content of the view
 *
 * In the linear map.
 */
struct iommu_tce_scratch {
	__be64 tces[IOMMU_TCE_FAST_MAX];
	u64 cookies[IOMMU_TCE_FAST_MAX];
};

/**
 * struct iommu_tce_change - a change between its begin and its end
 * @tbl: the table
 * @section: of the registry of the table's owner
 * @entry: first entry, counted from bus address 0
 * @npages: number of entries
 * @done: entries whose new content is known
 * @in_first: entries that are in the first block of the view
 * @nr_blocks: number of blocks that are locked, 1 or 2
 * @blocks: these blocks; NULL if nothing is mapped
 * @empty: nothing was mapped there when the change began
 * @scratch: the new content
 */
struct iommu_tce_change {
	struct iommu_table *tbl;
	struct mm_iommu_section section;
	unsigned long entry;
	unsigned long npages;
	unsigned long done;
	unsigned int nr_blocks;
	unsigned long in_first;
	struct tce_view_block *blocks[2];
	bool empty[2];
	struct iommu_tce_scratch *scratch;
};

#ifdef CONFIG_SPAPR_TCE_IOMMU

extern const struct iommu_tce_backing iommu_tce_registered;

int iommu_tce_map(struct iommu_table *tbl, unsigned long entry,
		  unsigned long ua, unsigned long npages, bool write,
		  unsigned long *bad);
int iommu_tce_begin(struct tce_map **maps, struct iommu_table *tbl,
		    unsigned long entry, const struct iommu_tce_seg *segs,
		    unsigned int nr, unsigned int order);
int iommu_tce_commit(struct tce_map *maps);
void iommu_tce_abort(struct tce_map *maps);
int iommu_tce_unmap(struct iommu_table *tbl, unsigned long entry,
		    unsigned long npages);
void iommu_tce_fill(const struct iommu_table *tbl, u64 cookie, unsigned long n,
		    __be64 *tces);
int iommu_tce_fast_put(struct iommu_table *tbl, unsigned long entry,
		       unsigned long ua, u64 perm);
int iommu_tce_fast_clear(struct iommu_table *tbl, unsigned long entry,
			 unsigned long npages);

int iommu_tce_change_begin(struct iommu_tce_change *change,
			   struct iommu_table *tbl, unsigned long entry,
			   unsigned long npages,
			   struct iommu_tce_scratch *scratch);
int iommu_tce_change_map(struct iommu_tce_change *change, unsigned long ua,
			 unsigned long npages, bool write);
void iommu_tce_change_clear(struct iommu_tce_change *change,
			    unsigned long npages);
int iommu_tce_change_commit(struct iommu_tce_change *change);
void iommu_tce_change_abort(struct iommu_tce_change *change);

int iommu_tce_view_create(struct iommu_table *tbl);
void iommu_tce_view_destroy(struct iommu_table *tbl);
unsigned long iommu_tce_view_mapped(struct iommu_table *tbl);
int iommu_tce_view_walk(struct iommu_table *tbl,
			int (*fn)(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages, void *arg), void *arg);
void iommu_tce_bind(struct iommu_table *tbl,
		    const struct iommu_tce_backing *backing,
		    struct mm_struct *mm, unsigned long locked);
bool iommu_tce_is_owner(struct iommu_table *tbl, const struct mm_struct *mm);
void iommu_tce_close(struct iommu_table *tbl, bool close);
void iommu_tce_view_sync(struct iommu_table *tbl);
bool iommu_tce_is_closed(struct iommu_table *tbl);

#else

static inline int iommu_tce_view_create(struct iommu_table *tbl)
{
	return 0;
}

static inline void iommu_tce_view_destroy(struct iommu_table *tbl) { }
static inline void iommu_tce_view_sync(struct iommu_table *tbl) { }

static inline int
iommu_tce_view_walk(struct iommu_table *tbl,
		    int (*fn)(struct iommu_table *tbl, unsigned long index,
			      unsigned long npages, void *arg), void *arg)
{
	return 0;
}

#endif /* CONFIG_SPAPR_TCE_IOMMU */

#endif /* _ASM_POWERPC_IOMMU_TCE_H */
