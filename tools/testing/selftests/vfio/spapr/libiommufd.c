// SPDX-License-Identifier: GPL-2.0-only
/* Calls of /dev/iommu and of the cdev of QEMU's edu device. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "libiommufd.h"
#include "libspapr.h"

int ioas_alloc(int fd, __u32 *id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int ret = __spapr_ioctl(fd, IOMMU_IOAS_ALLOC, &arg);

	*id = arg.out_ioas_id;
	return ret;
}

int iommufd_destroy(int fd, __u32 id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return __spapr_ioctl(fd, IOMMU_DESTROY, &arg);
}

int ioas_map(int fd, __u32 ioas, __u64 iova, const void *va, __u64 len)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (__u64)va,
		.length = len,
		.iova = iova,
	};

	return __spapr_ioctl(fd, IOMMU_IOAS_MAP, &arg);
}

int ioas_unmap(int fd, __u32 ioas, __u64 iova, __u64 len)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = len,
	};

	return __spapr_ioctl(fd, IOMMU_IOAS_UNMAP, &arg);
}

int hwpt_alloc(int fd, __u32 dev, __u32 ioas, __u32 *id)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = dev,
		.pt_id = ioas,
	};
	int ret = __spapr_ioctl(fd, IOMMU_HWPT_ALLOC, &arg);

	*id = arg.out_hwpt_id;
	return ret;
}

int attach(struct device *dev, __u32 pt)
{
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = sizeof(arg),
		.pt_id = pt,
	};

	return __spapr_ioctl(dev->edu.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

int detach(struct device *dev)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	return __spapr_ioctl(dev->edu.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
}

int open_cdev(const char *bdf)
{
	char path[PATH_MAX];
	struct dirent *d;
	int fd = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.') {
			snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
				 d->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
	closedir(dir);
	return fd < 0 ? -errno : fd;
}

int bind_fd(int fd, int iommufd, __u32 *id)
{
	struct vfio_device_bind_iommufd arg = {
		.argsz = sizeof(arg),
		.iommufd = iommufd,
	};
	int ret = __spapr_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &arg);

	*id = arg.out_devid;
	return ret;
}

int open_device(struct device *dev, const char *bdf, int iommufd)
{
	int fd = open_cdev(bdf), ret;

	if (fd < 0)
		return fd;
	ret = bind_fd(fd, iommufd, &dev->id);
	if (!ret)
		return edu_open_device(&dev->edu, fd);
	close(fd);
	return ret;
}
