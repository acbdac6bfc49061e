/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm_vio

#if !defined(_TRACE_KVM_VIO_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_VIO_H

#include <linux/tracepoint.h>
#include <asm/hvcall.h>

#define kvm_trace_symbol_tce_hcall \
	{ H_GET_TCE, "H_GET_TCE" }, \
	{ H_PUT_TCE, "H_PUT_TCE" }, \
	{ H_PUT_TCE_INDIRECT, "H_PUT_TCE_INDIRECT" }, \
	{ H_STUFF_TCE, "H_STUFF_TCE" }

/* @value: TCE, or for H_PUT_TCE_INDIRECT the guest address of the list. */
TRACE_EVENT(kvm_tce_hcall,
	TP_PROTO(unsigned long hcall, unsigned long liobn, unsigned long ioba,
		 unsigned long value, unsigned long npages, long ret),
	TP_ARGS(hcall, liobn, ioba, value, npages, ret),

	TP_STRUCT__entry(
		__field(unsigned long, hcall)
		__field(unsigned long, liobn)
		__field(unsigned long, ioba)
		__field(unsigned long, value)
		__field(unsigned long, npages)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->hcall = hcall;
		__entry->liobn = liobn;
		__entry->ioba = ioba;
		__entry->value = value;
		__entry->npages = npages;
		__entry->ret = ret;
	),

	TP_printk("%s liobn=0x%lx ioba=0x%lx value=0x%lx npages=%lu ret=%ld",
		  __print_symbolic(__entry->hcall, kvm_trace_symbol_tce_hcall),
		  __entry->liobn, __entry->ioba, __entry->value,
		  __entry->npages, __entry->ret)
);

#endif /* _TRACE_KVM_VIO_H */

/* This part must be outside protection */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE

#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace_vio

#include <trace/define_trace.h>
