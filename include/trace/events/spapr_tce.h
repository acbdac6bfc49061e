/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls on the DMA windows of a sPAPR TCE container of VFIO. An event is
 * emitted when its call returns: @ret is 0 or a negative errno.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spapr_tce

#if !defined(_TRACE_SPAPR_TCE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SPAPR_TCE_H

#include <linux/tracepoint.h>

/* @start is a user address (register, unregister) or a bus address (unmap). */
DECLARE_EVENT_CLASS(spapr_tce_range,
	TP_PROTO(u64 start, u64 size, long ret),
	TP_ARGS(start, size, ret),

	TP_STRUCT__entry(
		__field(u64, start)
		__field(u64, size)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->size = size;
		__entry->ret = ret;
	),

	TP_printk("start=0x%llx size=0x%llx ret=%ld",
		  __entry->start, __entry->size, __entry->ret)
);

/* Memory was registered: pinned, or shared with another container. */
DEFINE_EVENT(spapr_tce_range, spapr_tce_register,
	TP_PROTO(u64 start, u64 size, long ret),
	TP_ARGS(start, size, ret)
);

DEFINE_EVENT(spapr_tce_range, spapr_tce_unregister,
	TP_PROTO(u64 start, u64 size, long ret),
	TP_ARGS(start, size, ret)
);

DEFINE_EVENT(spapr_tce_range, spapr_tce_unmap,
	TP_PROTO(u64 start, u64 size, long ret),
	TP_ARGS(start, size, ret)
);

TRACE_EVENT(spapr_tce_map,
	TP_PROTO(u64 iova, u64 ua, u64 size, u32 flags, long ret),
	TP_ARGS(iova, ua, size, flags, ret),

	TP_STRUCT__entry(
		__field(u64, iova)
		__field(u64, ua)
		__field(u64, size)
		__field(u32, flags)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->iova = iova;
		__entry->ua = ua;
		__entry->size = size;
		__entry->flags = flags;
		__entry->ret = ret;
	),

	TP_printk("iova=0x%llx ua=0x%llx size=0x%llx flags=0x%x ret=%ld",
		  __entry->iova, __entry->ua, __entry->size, __entry->flags,
		  __entry->ret)
);

/* @start is a bus address; it is undefined if the call failed. */
TRACE_EVENT(spapr_tce_create_window,
	TP_PROTO(u64 start, u64 size, u32 page_shift, u32 levels, long ret),
	TP_ARGS(start, size, page_shift, levels, ret),

	TP_STRUCT__entry(
		__field(u64, start)
		__field(u64, size)
		__field(u32, page_shift)
		__field(u32, levels)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->size = size;
		__entry->page_shift = page_shift;
		__entry->levels = levels;
		__entry->ret = ret;
	),

	TP_printk("start=0x%llx size=0x%llx page_shift=%u levels=%u ret=%ld",
		  __entry->start, __entry->size, __entry->page_shift,
		  __entry->levels, __entry->ret)
);

TRACE_EVENT(spapr_tce_remove_window,
	TP_PROTO(u64 start, long ret),
	TP_ARGS(start, ret),

	TP_STRUCT__entry(
		__field(u64, start)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->ret = ret;
	),

	TP_printk("start=0x%llx ret=%ld", __entry->start, __entry->ret)
);

/* A call failed; @cause is the text in fdinfo of the container. */
TRACE_EVENT(spapr_tce_refused,
	TP_PROTO(const char *call, int error, u64 start, u64 size,
		 const char *cause, u64 at),
	TP_ARGS(call, error, start, size, cause, at),

	TP_STRUCT__entry(
		__string(call, call)
		__field(int, error)
		__field(u64, start)
		__field(u64, size)
		__string(cause, cause)
		__field(u64, at)
	),

	TP_fast_assign(
		__assign_str(call);
		__entry->error = error;
		__entry->start = start;
		__entry->size = size;
		__assign_str(cause);
		__entry->at = at;
	),

	TP_printk("call=%s error=%d start=0x%llx size=0x%llx at=0x%llx cause=%s",
		  __get_str(call), __entry->error, __entry->start,
		  __entry->size, __entry->at, __get_str(cause))
);

#endif /* _TRACE_SPAPR_TCE_H */

#include <trace/define_trace.h>
