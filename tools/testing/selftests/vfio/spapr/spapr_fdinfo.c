// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/fdinfo of a container: windows, memory registered through it, and
 * the causes of the last refusals.
 *
 * A line is a key, a colon, a tab and words of the form key=value.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "memkind.h"
#include "spapr_test.h"

#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define PAGES		16
#define REFUSALS	4	/* kept */
#define NONE		(~0ULL)
#define TEXT		(256 * KIB)
#define BLANK		"\n "	/* ends a word */

/* ------------------------------------------------------------------ */
/* Reading */

/* Reads the whole file, terminated by 0; NULL if it cannot be read. */
static char *fdinfo_of(pid_t pid, int fd)
{
	static char text[TEXT];
	size_t len = 0;
	char path[64];
	ssize_t got;
	int info;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return NULL;
	while ((got = read(info, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	close(info);
	text[len] = '\0';
	return got ? NULL : text;
}

static char *fdinfo(int fd)
{
	return fdinfo_of(getpid(), fd);
}

/*
 * Returns the text after the tab of the next line of a key, at or after @line.
 */
static char *next_line(char *line, const char *item)
{
	size_t len = strlen(item);

	for (; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, item, len) &&
		    !strncmp(line + len, ":\t", 2))
			return line + len + 2;
	}
	return NULL;
}

/* Returns the nth line of a key, from 0; NULL if there are fewer. */
static char *nth_line(char *text, const char *item, int n)
{
	char *line = next_line(text, item);

	while (line && n--)
		line = next_line(line, item);
	return line;
}

static int nr_lines(char *text, const char *item)
{
	char *line = text;
	int n = -1;

	do {
		line = next_line(line, item);
		n++;
	} while (line);
	return n;
}

/* Returns the value of a word in a line, or NULL. */
static char *value_of(char *line, const char *key)
{
	size_t len = strlen(key);
	char *word = line;

	while (*word && *word != '\n') {
		if (!strncmp(word, key, len) && word[len] == '=')
			return word + len + 1;
		word += strcspn(word, BLANK);
		word += *word == ' ';
	}
	return NULL;
}

static __u64 number(char *line, const char *key)
{
	char *value = line ? value_of(line, key) : NULL;

	return value ? strtoull(value, NULL, 0) : NONE;
}

static bool is_word(char *line, const char *key, const char *word)
{
	char *value = line ? value_of(line, key) : NULL;
	size_t len = strlen(word);

	return value && !strncmp(value, word, len) &&
	       strchr(BLANK, value[len]);
}

/* Bytes that the container has locked. */
static long locked_of(char *text)
{
	char *line = nth_line(text, "spapr_tce_locked", 0), *unit;
	long kb = line ? strtol(line, &unit, 10) : -1;

	return kb < 0 || strncmp(unit, " kB\n", 4) ? -1 : kb * 1024;
}

/* Line of the window of this number, and of the region at an address. */
static char *line_with(char *text, const char *item, const char *key, __u64 n)
{
	char *line = next_line(text, item);

	while (line && number(line, key) != n)
		line = next_line(line, item);
	return line;
}

static char *window_in(char *text, unsigned int slot)
{
	return line_with(text, "spapr_tce_window", "slot", slot);
}

static char *region_at(char *text, const char *mem)
{
	return line_with(text, "spapr_tce_region", "start", (unsigned long)mem);
}

#define EXPECT_NUMBER(n, line, key)	EXPECT_EQ((__u64)(n), number(line, key))

/* A region has a reference of each leaf of a view, or of each of @n entries. */
#define EXPECT_REFS(n, line) do {					\
	__u64 __refs = number(line, "mapped");				\
									\
	EXPECT_LE((__u64)1, __refs);					\
	EXPECT_GE((__u64)(n), __refs);					\
} while (0)

/* ------------------------------------------------------------------ */

FIXTURE(fdinfo)
{
	struct spapr s;
	__u32 shift;
	struct spapr_account base;
	struct vfio_iommu_spapr_tce_info info;
	__u64 start;
	__u64 iova;
	size_t page;
	size_t size;
	char *mem;
	char *text;
};

FIXTURE_SETUP(fdinfo)
{
	NEED_DEVICES(return, 1);
	self->page = spapr_page_size();
	self->size = PAGES * self->page;
	self->mem = spapr_mem(4 * self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
	spapr_open_with(&self->s, V2, 0);
	spapr_info(self->s.fd, &self->info);
	self->shift = iommu_shift(&self->info);
	self->start = self->info.dma32_window_start;
	self->iova = self->start + 16 * MIB;
}

FIXTURE_TEARDOWN(fdinfo)
{
	spapr_close(&self->s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define READ_INFO() do {						\
	self->text = fdinfo(self->s.fd);				\
	ASSERT_NE(NULL, self->text);					\
} while (0)

#define locked_by(self)		(spapr_locked() - (self)->base.locked)

/* ------------------------------------------------------------------ */
/* Container and windows */

TEST(a_container_without_an_iommu_has_no_lines)
{
	struct spapr s;
	char *text;

	NEED_DEVICES(return, 1);
	spapr_open(&s, V2, 0);
	text = fdinfo(s.fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(NULL, strstr(text, "spapr_tce"));
	spapr_attach(&s, 0);
	text = fdinfo(s.fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(NULL, strstr(text, "spapr_tce"));
	ASSERT_EQ(0, __spapr_ioctl(s.fd, VFIO_SET_IOMMU, (void *)V2));
	text = fdinfo(s.fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(1, nr_lines(text, "spapr_tce_version"));
	spapr_detach(&s, 0);
	text = fdinfo(s.fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(NULL, strstr(text, "spapr_tce"));
	spapr_close(&s);
}

TEST_F(fdinfo, a_new_container_has_the_promise_of_a_window)
{
	char *line;

	READ_INFO();
	line = nth_line(self->text, "spapr_tce_version", 0);
	ASSERT_NE(NULL, line);
	EXPECT_EQ(0, strncmp(line, "2\n", 2));
	EXPECT_EQ(0, locked_of(self->text));
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_region"));
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_refusal"));
	EXPECT_EQ(1, nr_lines(self->text, "spapr_tce_window"));
	line = window_in(self->text, 0);
	ASSERT_NE(NULL, line);
	EXPECT_NUMBER(self->start, line, "start");
	EXPECT_NUMBER(self->info.dma32_window_size, line, "size");
	EXPECT_NUMBER(IOMMU_PAGE, line, "page");
	EXPECT_NUMBER(1, line, "levels");
	EXPECT_NUMBER(0, line, "mapped");
	EXPECT_NUMBER(0, line, "locked");
	/* reading does not create the window */
	EXPECT_EQ(0, locked_by(self));
}

TEST_F(fdinfo, version_1_shows_what_enable_locked)
{
	long window = self->info.dma32_window_size;
	char *line;

	spapr_close(&self->s);
	spapr_open_with(&self->s, VFIO_SPAPR_TCE_IOMMU, 0);
	READ_INFO();
	line = nth_line(self->text, "spapr_tce_version", 0);
	ASSERT_NE(NULL, line);
	EXPECT_EQ(0, strncmp(line, "1\n", 2));
	EXPECT_EQ(0, locked_of(self->text));
	spapr_enable(self->s.fd);
	READ_INFO();
	EXPECT_EQ(window, locked_of(self->text));
	spapr_map(self->s.fd, self->iova, self->mem, 4 * IOMMU_PAGE, SPAPR_RW);
	READ_INFO();
	EXPECT_NUMBER(4, window_in(self->text, 0), "mapped");
	EXPECT_EQ(locked_by(self), locked_of(self->text));
	EXPECT_LT(window, locked_of(self->text));
	spapr_disable(self->s.fd);
	READ_INFO();
	EXPECT_NUMBER(0, window_in(self->text, 0), "mapped");
	EXPECT_EQ(locked_by(self), locked_of(self->text));
}

TEST_F(fdinfo, windows_come_and_go)
{
	__u32 shift = iommu_shift(&self->info);
	__u64 at = NONE;
	char *line;

	spapr_remove(self->s.fd, self->start);
	READ_INFO();
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_window"));
	spapr_create(self->s.fd, shift, GIB, 1, &at);
	READ_INFO();
	EXPECT_EQ(1, nr_lines(self->text, "spapr_tce_window"));
	line = window_in(self->text, 0);
	EXPECT_NUMBER(at, line, "start");
	EXPECT_NUMBER(GIB, line, "size");
	EXPECT_NUMBER(1UL << shift, line, "page");
	EXPECT_NUMBER(1, line, "levels");
	EXPECT_NUMBER(locked_by(self) / 1024, line, "locked");
	EXPECT_EQ(locked_by(self), locked_of(self->text));
	spapr_remove(self->s.fd, at);
	READ_INFO();
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_window"));
	EXPECT_EQ(0, locked_of(self->text));
	/* none of these calls was refused */
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_refusal"));
}

TEST_F(fdinfo, two_windows_are_two_lines)
{
	__u64 at = NONE;

	if (self->info.ddw.max_dynamic_windows_supported < 2)
		SKIP(return, "needs a machine with two windows");
	spapr_create(self->s.fd, iommu_shift(&self->info), GIB, 1, &at);
	READ_INFO();
	EXPECT_EQ(2, nr_lines(self->text, "spapr_tce_window"));
	EXPECT_NUMBER(self->start, window_in(self->text, 0), "start");
	EXPECT_NUMBER(at, window_in(self->text, 1), "start");
	EXPECT_NUMBER(GIB, window_in(self->text, 1), "size");
	EXPECT_EQ(locked_by(self), locked_of(self->text));
	spapr_remove(self->s.fd, self->start);
	READ_INFO();
	EXPECT_EQ(1, nr_lines(self->text, "spapr_tce_window"));
	EXPECT_NUMBER(at, window_in(self->text, 1), "start");
	EXPECT_EQ(locked_by(self), locked_of(self->text));
}

TEST_F(fdinfo, a_window_of_several_levels_says_so)
{
	__u64 at = NONE;

	if (self->info.ddw.levels < 2)
		SKIP(return, "needs several levels: a powernv machine");
	spapr_remove(self->s.fd, self->start);
	spapr_create(self->s.fd, 12, GIB, 2, &at);
	READ_INFO();
	EXPECT_NUMBER(2, window_in(self->text, 0), "levels");
	EXPECT_NUMBER(locked_by(self) / 1024, window_in(self->text, 0),
		      "locked");
}

/* ------------------------------------------------------------------ */
/* Memory */

TEST_F(fdinfo, a_region_is_shown_while_it_is_registered)
{
	__u64 bytes, granule;
	char *line;

	spapr_register(self->s.fd, self->mem, self->size);
	READ_INFO();
	EXPECT_EQ((long)self->size, locked_of(self->text));
	EXPECT_EQ(1, nr_lines(self->text, "spapr_tce_region"));
	line = region_at(self->text, self->mem);
	ASSERT_NE(NULL, line);
	EXPECT_NUMBER(self->size, line, "size");
	EXPECT_NUMBER(1, line, "used");
	EXPECT_NUMBER(0, line, "mapped");
	EXPECT_TRUE(is_word(line, "state", "live"));
	bytes = number(line, "bytes");
	EXPECT_LT(0U, bytes);
	EXPECT_GE(512U + 8 * PAGES, bytes);
	granule = number(line, "granule");
	EXPECT_LE(self->page, granule);
	EXPECT_EQ(0U, granule & (granule - 1));
	spapr_unregister(self->s.fd, self->mem, self->size);
	READ_INFO();
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_region"));
	EXPECT_EQ(0, locked_of(self->text));
}

/* The protection when the first container registered the memory is decisive. */
TEST_F(fdinfo, a_region_says_whether_it_may_be_written)
{
	struct spapr other;

	spapr_register(self->s.fd, self->mem + self->size, self->size);
	ASSERT_EQ(0, mprotect(self->mem, self->size, PROT_READ));
	spapr_register(self->s.fd, self->mem, self->size);
	READ_INFO();
	EXPECT_TRUE(is_word(region_at(self->text, self->mem), "access",
			    "read"));
	EXPECT_TRUE(is_word(region_at(self->text, self->mem + self->size),
			    "access", "read-write"));

	/* a second container has the same region */
	ASSERT_EQ(0, mprotect(self->mem, self->size, PROT_READ | PROT_WRITE));
	if (__spapr_open_with(&other, V2, 1))
		return;
	spapr_register(other.fd, self->mem, self->size);
	self->text = fdinfo(other.fd);
	ASSERT_NE(NULL, self->text);
	EXPECT_TRUE(is_word(region_at(self->text, self->mem), "access",
			    "read"));
	spapr_close(&other);
}

TEST_F(fdinfo, a_region_of_huge_pages_has_their_granule)
{
	const enum mem_kind kinds[] = { MEM_HUGETLB_2M, MEM_HUGETLB_16M };
	char *mem = NULL;
	size_t unit = 0;
	unsigned int i;

	for (i = 0; !mem && i < ARRAY_SIZE(kinds); i++) {
		unit = mem_unit(kinds[i]);
		mem = mem_map(kinds[i], NULL, unit);
	}
	if (!mem)
		SKIP(return, "%s", mem_why());
	spapr_register(self->s.fd, mem, unit);
	READ_INFO();
	EXPECT_NUMBER(unit, region_at(self->text, mem), "granule");
	spapr_unregister(self->s.fd, mem, unit);
	munmap(mem, unit);
}

TEST_F(fdinfo, mapped_entries_are_counted)
{
	char *mem = self->mem, *next = mem + self->size;
	int fd = self->s.fd;

	spapr_register(fd, mem, self->size);
	spapr_register(fd, next, self->size);
	spapr_map(fd, self->iova, mem, 5 * IOMMU_PAGE, SPAPR_RW);
	spapr_map(fd, self->iova + MIB, mem, 2 * IOMMU_PAGE, SPAPR_RW);
	spapr_map(fd, self->iova + 2 * MIB, next, 3 * IOMMU_PAGE, SPAPR_RW);
	READ_INFO();
	EXPECT_NUMBER(10, window_in(self->text, 0), "mapped");
	EXPECT_REFS(7, region_at(self->text, mem));
	EXPECT_REFS(3, region_at(self->text, next));
	EXPECT_EQ(locked_by(self), locked_of(self->text));
	EXPECT_NUMBER((locked_by(self) - 2 * self->size) / 1024,
		      window_in(self->text, 0), "locked");
	/* some replaced, some unmapped, some missing */
	spapr_map(fd, self->iova, next, 2 * IOMMU_PAGE, SPAPR_RW);
	spapr_unmap(fd, self->iova + MIB, 16 * IOMMU_PAGE);
	READ_INFO();
	EXPECT_NUMBER(8, window_in(self->text, 0), "mapped");
	EXPECT_REFS(3, region_at(self->text, mem));
	EXPECT_REFS(5, region_at(self->text, next));
	spapr_unmap(fd, self->start, self->info.dma32_window_size);
	READ_INFO();
	EXPECT_NUMBER(0, window_in(self->text, 0), "mapped");
	EXPECT_NUMBER(0, region_at(self->text, mem), "mapped");
	EXPECT_NUMBER(0, region_at(self->text, next), "mapped");
}

TEST_F(fdinfo, a_failed_mapping_is_not_counted)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	spapr_map(fd, self->iova, self->mem, 5 * IOMMU_PAGE, SPAPR_RW);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem + IOMMU_PAGE,
					 self->size, SPAPR_RW));
	READ_INFO();
	EXPECT_NUMBER(5, window_in(self->text, 0), "mapped");
	EXPECT_REFS(5, region_at(self->text, self->mem));
}

TEST_F(fdinfo, two_containers_use_one_region)
{
	char *mem = self->mem;
	struct spapr other;

	NEED_DEVICES(return, 2);
	spapr_open_with(&other, V2, 1);
	spapr_register(self->s.fd, mem, self->size);
	spapr_register(other.fd, mem, self->size);
	spapr_register(other.fd, mem + self->size, self->size);
	spapr_map(other.fd, self->iova, mem, IOMMU_PAGE, SPAPR_RW);
	READ_INFO();
	EXPECT_EQ(1, nr_lines(self->text, "spapr_tce_region"));
	EXPECT_EQ((long)self->size, locked_of(self->text));
	EXPECT_NUMBER(2, region_at(self->text, mem), "used");
	/* independent of the container, but not of the window */
	EXPECT_REFS(1, region_at(self->text, mem));
	EXPECT_NUMBER(0, window_in(self->text, 0), "mapped");
	self->text = fdinfo(other.fd);
	ASSERT_NE(NULL, self->text);
	EXPECT_EQ(2, nr_lines(self->text, "spapr_tce_region"));
	EXPECT_NUMBER(2, region_at(self->text, mem), "used");
	EXPECT_NUMBER(1, region_at(self->text, mem + self->size), "used");
	EXPECT_NUMBER(1, window_in(self->text, 0), "mapped");
	spapr_unregister(self->s.fd, mem, self->size);
	READ_INFO();
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_region"));
	self->text = fdinfo(other.fd);
	ASSERT_NE(NULL, self->text);
	EXPECT_NUMBER(1, region_at(self->text, mem), "used");
	spapr_close(&other);
}

TEST_F(fdinfo, a_refused_region_says_so_until_it_goes)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	spapr_map(fd, self->iova, self->mem, 2 * IOMMU_PAGE, SPAPR_RW);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, self->size));
	READ_INFO();
	EXPECT_TRUE(is_word(region_at(self->text, self->mem), "state",
			    "refused"));
	EXPECT_REFS(2, region_at(self->text, self->mem));
	EXPECT_EQ(locked_by(self), locked_of(self->text));
	spapr_unmap(fd, self->iova, 2 * IOMMU_PAGE);
	spapr_unregister(fd, self->mem, self->size);
	READ_INFO();
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_region"));
}

TEST_F(fdinfo, a_region_that_gave_way_is_an_orphan)
{
	char *mem = self->mem + self->size / 2;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, self->size));
	spapr_register(fd, mem, self->size);
	READ_INFO();
	EXPECT_EQ(2, nr_lines(self->text, "spapr_tce_region"));
	EXPECT_TRUE(is_word(region_at(self->text, self->mem), "state",
			    "orphan"));
	EXPECT_REFS(1, region_at(self->text, self->mem));
	EXPECT_TRUE(is_word(region_at(self->text, mem), "state", "live"));
	EXPECT_NUMBER(0, region_at(self->text, mem), "mapped");
	EXPECT_EQ(locked_by(self), locked_of(self->text));

	spapr_unmap(fd, self->iova, IOMMU_PAGE);
	READ_INFO();
	EXPECT_TRUE(is_word(region_at(self->text, self->mem), "state",
			    "dead"));
	EXPECT_EQ(locked_by(self), locked_of(self->text));
}

#define MANY	300

TEST_F(fdinfo, many_regions_are_all_there)
{
	char *mem = spapr_mem(MANY * self->page);
	int i;

	for (i = MANY - 1; i >= 0; i--)
		spapr_register(self->s.fd, mem + i * self->page, self->page);
	READ_INFO();
	EXPECT_EQ(MANY, nr_lines(self->text, "spapr_tce_region"));
	EXPECT_EQ((long)(MANY * self->page), locked_of(self->text));
	for (i = 0; i < MANY; i++) {
		ASSERT_NE(NULL, region_at(self->text, mem + i * self->page)) {
			TH_LOG("region %d is missing", i);
		}
	}
}

/* Monitoring tools read the files of other processes. */
TEST_F(fdinfo, another_process_reads_the_same)
{
	int fd = self->s.fd;
	pid_t owner = getpid();
	char *text;

	spapr_register(fd, self->mem, self->size);
	spapr_map(fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	READ_INFO();
	text = strdup(self->text);
	EXPECT_NE(NULL, strstr(text, "spapr_tce_region:\t"));
	EXPECT_IN_CHILD(fdinfo_of(owner, fd) &&
			!strcmp(text, fdinfo_of(owner, fd)));
	/* and the child may read its inherited file */
	EXPECT_IN_CHILD(fdinfo(fd) && strstr(fdinfo(fd), "spapr_tce_region"));
	free(text);
}

/* ------------------------------------------------------------------ */
/* Causes of refusals */

/* Whether one of the numbers in the cause is this one, in bytes or in kB. */
static bool cause_has(char *line, __u64 wanted)
{
	char *at = line ? value_of(line, "cause") : NULL, *end;
	__u64 n;

	while (at && *at && *at != '\n') {
		n = strtoull(at, &end, 0);
		if (end == at) {
			at++;
			continue;
		}
		if (n == wanted || (!(wanted % 1024) && n == wanted / 1024))
			return true;
		at = end;
	}
	return false;
}

static bool cause_says(char *line, const char *word)
{
	char *cause = line ? value_of(line, "cause") : NULL;
	char *found = cause ? strcasestr(cause, word) : NULL;

	return found && found < strchrnul(cause, '\n');
}

/* The last refusal is of @name with @err; its line is in __line. */
#define EXPECT_REFUSAL(name, err, word) do {				\
	READ_INFO();							\
	self->text = nth_line(self->text, "spapr_tce_refusal",		\
			      nr_lines(self->text, "spapr_tce_refusal") - 1); \
	ASSERT_NE(NULL, self->text);					\
	EXPECT_TRUE(is_word(self->text, "call", name) &&		\
		    number(self->text, "error") == (__u64)-(err) &&	\
		    cause_says(self->text, word)) {			\
		TH_LOG("%.*s", (int)strcspn(self->text, "\n"),		\
		       self->text);					\
	}								\
} while (0)

#define EXPECT_RANGE(va, len) do {					\
	EXPECT_NUMBER((unsigned long)(va), self->text, "start");	\
	EXPECT_NUMBER(len, self->text, "size");				\
} while (0)

static int give_up_ipc_lock(size_t limit)
{
	struct rlimit r = { .rlim_cur = limit, .rlim_max = limit };
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (setrlimit(RLIMIT_MEMLOCK, &r) ||
	    syscall(SYS_capget, &header, data))
		return -errno;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &=
		~CAP_TO_MASK(CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

TEST_F(fdinfo, the_limit_is_reported_with_the_rest_of_it)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, 2 * self->page);
	ASSERT_EQ(0, give_up_ipc_lock(spapr_locked() + 3 * self->page));
	EXPECT_ERRNO(ENOMEM, __spapr_register(fd, self->mem + self->size,
					      5 * self->page));
	EXPECT_REFUSAL("REGISTER", ENOMEM, "limit");
	EXPECT_RANGE(self->mem + self->size, 5 * self->page);
	EXPECT_TRUE(cause_has(self->text, 3 * self->page));
}

TEST_F(fdinfo, an_overlap_is_reported_with_its_region)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem + self->size, self->size);
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem, 2 * self->size));
	EXPECT_REFUSAL("REGISTER", EINVAL, "overlap");
	EXPECT_RANGE(self->mem, 2 * self->size);
	EXPECT_TRUE(cause_has(self->text,
			      (unsigned long)self->mem + self->size));
}

TEST_F(fdinfo, a_hole_is_reported_with_its_address)
{
	char *hole = self->mem + 3 * self->page;

	ASSERT_EQ(0, munmap(hole, self->page));
	EXPECT_ERRNO(EFAULT, __spapr_register(self->s.fd, self->mem,
					      self->size));
	EXPECT_REFUSAL("REGISTER", EFAULT, "");
	EXPECT_RANGE(self->mem, self->size);
	EXPECT_TRUE(cause_has(self->text, (unsigned long)hole));
}

TEST_F(fdinfo, misalignment_is_reported)
{
	int fd = self->s.fd;

	EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem + 8, self->size));
	EXPECT_REFUSAL("REGISTER", EINVAL, "whole");
	EXPECT_RANGE(self->mem + 8, self->size);
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem, self->size + 8));
	EXPECT_REFUSAL("REGISTER", EINVAL, "whole");
	spapr_register(fd, self->mem, self->size);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova + 8, self->mem,
					 IOMMU_PAGE, SPAPR_RW));
	EXPECT_REFUSAL("MAP", EINVAL, "whole");
	EXPECT_ERRNO(EINVAL, __spapr_unmap(fd, self->iova, IOMMU_PAGE + 8));
	EXPECT_REFUSAL("UNMAP", EINVAL, "whole");
}

TEST_F(fdinfo, memory_that_is_not_registered_is_reported)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	EXPECT_ERRNO(EINVAL, __spapr_map(fd, self->iova, self->mem + self->size,
					 IOMMU_PAGE, SPAPR_RW));
	EXPECT_REFUSAL("MAP", EINVAL, "not registered");
	EXPECT_NUMBER(IOMMU_PAGE, self->text, "size");
	EXPECT_ERRNO(ENOENT, __spapr_unregister(fd, self->mem, self->page));
	EXPECT_REFUSAL("UNREGISTER", ENOENT, "not registered");
	EXPECT_RANGE(self->mem, self->page);
}

TEST_F(fdinfo, memory_that_is_mapped_is_reported)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	spapr_map(fd, self->iova, self->mem, 3 * IOMMU_PAGE, SPAPR_RW);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->mem, self->size));
	EXPECT_REFUSAL("UNREGISTER", EBUSY, "mapped");
	EXPECT_RANGE(self->mem, self->size);
	/* one reference for all entries of a leaf */
	EXPECT_TRUE(cause_has(self->text, 1));
}

TEST_F(fdinfo, an_address_in_no_window_is_reported)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	EXPECT_ERRNO(ENXIO, __spapr_map(fd, 1ULL << 40, self->mem, IOMMU_PAGE,
					SPAPR_RW));
	EXPECT_REFUSAL("MAP", ENXIO, "no window");
	EXPECT_ERRNO(ENXIO, __spapr_unmap(fd, 1ULL << 40, 2 * IOMMU_PAGE));
	EXPECT_REFUSAL("UNMAP", ENXIO, "no window");
	EXPECT_RANGE(1ULL << 40, 2 * IOMMU_PAGE);
	EXPECT_ERRNO(EINVAL, __spapr_remove(fd, 1ULL << 40));
	EXPECT_REFUSAL("REMOVE", EINVAL, "no window");
	EXPECT_NUMBER(1ULL << 40, self->text, "start");
}

TEST_F(fdinfo, a_call_before_its_time_is_reported)
{
	int fd = self->s.fd;

	EXPECT_ERRNO(EPERM, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					SPAPR_RW));
	EXPECT_REFUSAL("MAP", EPERM, "registered");
	EXPECT_RANGE(self->iova, IOMMU_PAGE);
	EXPECT_ERRNO(EPERM, __spapr_unmap(fd, self->iova, 2 * IOMMU_PAGE));
	EXPECT_REFUSAL("UNMAP", EPERM, "registered");
	EXPECT_RANGE(self->iova, 2 * IOMMU_PAGE);
	/* unreadable arguments are not recorded */
	EXPECT_ERRNO(EPERM, __spapr_ioctl(fd, VFIO_IOMMU_MAP_DMA, NULL));
	READ_INFO();
	EXPECT_EQ(2, nr_lines(self->text, "spapr_tce_refusal"));
}

TEST_F(fdinfo, a_range_that_wraps_is_reported)
{
	void *last = (void *)-IOMMU_PAGE;
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	EXPECT_ERRNO(EOVERFLOW, __spapr_map(fd, -IOMMU_PAGE, self->mem,
					    2 * IOMMU_PAGE, SPAPR_RW));
	EXPECT_REFUSAL("MAP", EOVERFLOW, "wrap");
	EXPECT_RANGE(-IOMMU_PAGE, 2 * IOMMU_PAGE);
	EXPECT_ERRNO(EOVERFLOW, __spapr_map(fd, self->iova, last,
					    2 * IOMMU_PAGE, SPAPR_RW));
	EXPECT_REFUSAL("MAP", EOVERFLOW, "wrap");
	EXPECT_RANGE(self->iova, 2 * IOMMU_PAGE);
	EXPECT_ERRNO(EOVERFLOW, __spapr_unmap(fd, -IOMMU_PAGE, 3 * IOMMU_PAGE));
	EXPECT_REFUSAL("UNMAP", EOVERFLOW, "wrap");
	EXPECT_RANGE(-IOMMU_PAGE, 3 * IOMMU_PAGE);
}

TEST_F(fdinfo, a_window_that_cannot_be_made_is_reported)
{
	struct vfio_iommu_spapr_tce_info info;
	int fd = self->s.fd;
	__u64 at;

	spapr_info(fd, &info);
	spapr_remove(fd, self->start);
	EXPECT_ERRNO(EINVAL, __spapr_create(fd, 13, GIB, 1, &at));
	EXPECT_REFUSAL("CREATE", EINVAL, "page");
	EXPECT_NUMBER(GIB, self->text, "size");
	EXPECT_ERRNO(EINVAL, __spapr_create(fd, 12, GIB + IOMMU_PAGE, 1, &at));
	EXPECT_REFUSAL("CREATE", EINVAL, "size");
	if (!levels_are_a_hint(&info)) {
		EXPECT_ERRNO(EINVAL, __spapr_create(fd, 12, GIB, 99, &at));
		EXPECT_REFUSAL("CREATE", EINVAL, "level");
	}
	ASSERT_EQ(0, give_up_ipc_lock(MIB));
	EXPECT_ERRNO(ENOMEM, __spapr_create(fd, 12, GIB, 1, &at));
	EXPECT_REFUSAL("CREATE", ENOMEM, "limit");
	EXPECT_TRUE(cause_has(self->text, MIB - spapr_locked()));
}

TEST_F(fdinfo, a_limit_of_version_1_is_reported)
{
	spapr_close(&self->s);
	spapr_open_with(&self->s, VFIO_SPAPR_TCE_IOMMU, 0);
	ASSERT_EQ(0, give_up_ipc_lock(MIB));
	EXPECT_ERRNO(ENOMEM, __spapr_enable(self->s.fd));
	EXPECT_REFUSAL("ENABLE", ENOMEM, "limit");
	EXPECT_TRUE(cause_has(self->text, MIB - spapr_locked()));
}

/* DPDK detaches the group before it reports that its window was refused. */
TEST_F(fdinfo, refusals_are_kept_when_the_last_group_has_left)
{
	int fd = self->s.fd;

	EXPECT_ERRNO(EINVAL, __spapr_remove(fd, 1ULL << 40));
	EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem + 8, self->size));
	spapr_detach(&self->s, 0);
	READ_INFO();
	EXPECT_EQ(NULL, strstr(self->text, "spapr_tce_version"));
	EXPECT_EQ(2, nr_lines(self->text, "spapr_tce_refusal"));
	EXPECT_REFUSAL("REGISTER", EINVAL, "whole");
	EXPECT_RANGE(self->mem + 8, self->size);
	/* until another IOMMU is set, which has its own refusals */
	spapr_attach(&self->s, 0);
	ASSERT_EQ(0, __spapr_ioctl(fd, VFIO_SET_IOMMU, (void *)V2));
	READ_INFO();
	EXPECT_EQ(1, nr_lines(self->text, "spapr_tce_version"));
	EXPECT_EQ(0, nr_lines(self->text, "spapr_tce_refusal"));
	spapr_detach(&self->s, 0);
	READ_INFO();
	EXPECT_EQ(NULL, strstr(self->text, "spapr_tce"));
}

/* Each level is one contiguous allocation, larger than the possible maximum. */
TEST_F(fdinfo, a_level_that_is_too_large_is_reported)
{
	__u64 at, window = 1ULL << 47;
	int fd = self->s.fd;

	if (levels_are_a_hint(&self->info))
		SKIP(return, "needs tables that the kernel makes: powernv");
	spapr_remove(fd, self->start);
	EXPECT_ERRNO(ENOMEM, __spapr_create(fd, self->shift, window, 1, &at));
	EXPECT_REFUSAL("CREATE", ENOMEM, "level");
	EXPECT_TRUE(cause_has(self->text, window >> self->shift << 3));
}

TEST_F(fdinfo, a_limit_of_the_default_window_is_reported)
{
	int fd = self->s.fd;

	spapr_register(fd, self->mem, self->size);
	ASSERT_EQ(0, give_up_ipc_lock(spapr_locked()));
	EXPECT_ERRNO(ENOMEM, __spapr_map(fd, self->iova, self->mem, IOMMU_PAGE,
					 SPAPR_RW));
	EXPECT_REFUSAL("MAP", ENOMEM, "limit");
	EXPECT_TRUE(cause_has(self->text, 0));
}

TEST_F(fdinfo, a_group_that_cannot_be_attached_is_reported)
{
	NEED_DEVICES(return, 2);
	spapr_close(&self->s);
	spapr_open_with(&self->s, VFIO_SPAPR_TCE_IOMMU, 0);
	EXPECT_ERRNO(EBUSY, __spapr_attach(&self->s, 1));
	EXPECT_REFUSAL("ATTACH", EBUSY, "version 1");
	spapr_close(&self->s);
}

TEST_F(fdinfo, the_last_refusals_are_kept_the_oldest_first)
{
	int i, fd = self->s.fd;

	for (i = 1; i <= REFUSALS + 2; i++) {
		EXPECT_ERRNO(EINVAL, __spapr_register(fd, self->mem + 8,
						      i * self->page));
		READ_INFO();
		EXPECT_EQ(i < REFUSALS ? i : REFUSALS,
			  nr_lines(self->text, "spapr_tce_refusal"));
	}
	for (i = 0; i < REFUSALS; i++)
		EXPECT_NUMBER((i + 3) * self->page,
			      nth_line(self->text, "spapr_tce_refusal", i),
			      "size");
	/* a successful call is no refusal, and keeps the existing ones */
	spapr_register(fd, self->mem, self->size);
	READ_INFO();
	EXPECT_EQ(REFUSALS, nr_lines(self->text, "spapr_tce_refusal"));
}

/* ------------------------------------------------------------------ */
/* Reading during concurrent maps */

#define READS		200
#define MAPPERS		2
#define MOST		8	/* pages per mapping */

struct mapper {
	pthread_t thread;
	int fd;
	__u64 iova;
	char *mem;
	char *next;		/* registered now and then, or NULL */
	bool *stop;
	int wrong;
};

/* One region stays mapped, another one is registered and unregistered. */
static void *map_and_register(void *arg)
{
	struct mapper *m = arg;
	size_t page = spapr_page_size();

	while (!m->wrong && !__atomic_load_n(m->stop, __ATOMIC_RELAXED)) {
		m->wrong = __spapr_map(m->fd, m->iova, m->mem,
				       MOST * IOMMU_PAGE, SPAPR_RW);
		m->wrong = m->wrong ? : __spapr_unmap(m->fd, m->iova,
						      MOST * IOMMU_PAGE);
		if (m->wrong || !m->next)
			continue;
		m->wrong = __spapr_register(m->fd, m->next, page);
		m->wrong = m->wrong ? : __spapr_unregister(m->fd, m->next,
							   page);
	}
	return NULL;
}

/* No count is out of bounds, and the sum matches the lines. */
static bool is_sound(char *text, const char *mem)
{
	__u64 locked = number(window_in(text, 0), "locked") * 1024;
	char *line = next_line(text, "spapr_tce_region");

	for (; line; line = next_line(line, "spapr_tce_region"))
		locked += number(line, "size");
	return number(window_in(text, 0), "mapped") <= MAPPERS * MOST &&
	       number(region_at(text, mem), "mapped") <= MAPPERS * MOST &&
	       locked_of(text) == (long)locked;
}

/* Trace events, for the same users as fdinfo. */
TEST_F(fdinfo, each_call_is_traced)
{
	struct vfio_iommu_spapr_tce_info info;
	char words[128];

	spapr_info(self->s.fd, &info);
	ASSERT_EQ(0, spapr_trace_begin("spapr_tce"));
	spapr_register(self->s.fd, self->mem, self->size);
	spapr_map(self->s.fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	EXPECT_EQ(-EBUSY, __spapr_unregister(self->s.fd, self->mem,
					     self->size));
	spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	spapr_unregister(self->s.fd, self->mem, self->size);
	spapr_remove(self->s.fd, info.dma32_window_start);
	spapr_trace_end("spapr_tce");

	snprintf(words, sizeof(words),
		 "spapr_tce_register: start=0x%lx size=0x%zx ret=0",
		 (unsigned long)self->mem, self->size);
	EXPECT_TRUE(spapr_trace_has(words));
	snprintf(words, sizeof(words),
		 "spapr_tce_map: iova=0x%llx ua=0x%lx size=0x%lx flags=0x3 ret=0",
		 (unsigned long long)self->iova, (unsigned long)self->mem,
		 IOMMU_PAGE);
	EXPECT_TRUE(spapr_trace_has(words));
	snprintf(words, sizeof(words), "spapr_tce_unregister: start=0x%lx",
		 (unsigned long)self->mem);
	EXPECT_TRUE(spapr_trace_has(words));
	EXPECT_TRUE(spapr_trace_has("spapr_tce_refused: call=UNREGISTER error=-16"));
	snprintf(words, sizeof(words), "spapr_tce_unmap: start=0x%llx",
		 (unsigned long long)self->iova);
	EXPECT_TRUE(spapr_trace_has(words));
	EXPECT_TRUE(spapr_trace_has("spapr_tce_remove_window: start="));
}

TEST_F_TIMEOUT(fdinfo, reading_while_others_map, 120)
{
	struct mapper m[MAPPERS];
	bool stop = false;
	int i;

	spapr_register(self->s.fd, self->mem, self->size);
	spapr_map(self->s.fd, self->iova, self->mem, IOMMU_PAGE, SPAPR_RW);
	spapr_unmap(self->s.fd, self->iova, IOMMU_PAGE);
	for (i = 0; i < MAPPERS; i++) {
		m[i] = (struct mapper){
			.fd = self->s.fd, .mem = self->mem, .stop = &stop,
			.iova = self->iova + i * MIB,
			.next = i ? NULL : self->mem + self->size,
		};
		ASSERT_EQ(0, pthread_create(&m[i].thread, NULL,
					    map_and_register, &m[i]));
	}
	for (i = 0; i < READS; i++) {
		self->text = fdinfo(self->s.fd);
		if (!self->text)
			break;
		/* a part is omitted while a call updates it */
		if (!next_line(self->text, "spapr_tce_busy") &&
		    !is_sound(self->text, self->mem))
			break;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(READS, i) {
		TH_LOG("read:\n%s", self->text ? : "nothing");
	}
	for (i = 0; i < MAPPERS; i++) {
		pthread_join(m[i].thread, NULL);
		EXPECT_EQ(0, m[i].wrong);
	}
	READ_INFO();
	EXPECT_NUMBER(0, window_in(self->text, 0), "mapped");
	EXPECT_NUMBER(0, region_at(self->text, self->mem), "mapped");
	spapr_unregister(self->s.fd, self->mem, self->size);
}

TEST_HARNESS_MAIN
