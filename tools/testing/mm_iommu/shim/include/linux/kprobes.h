/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SHIM_LINUX_KPROBES_H
#define _SHIM_LINUX_KPROBES_H

#define __kprobes

#endif /* _SHIM_LINUX_KPROBES_H */
