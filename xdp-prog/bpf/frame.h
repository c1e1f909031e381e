/*
 * The one way to the bytes of a frame: by offset and size, checked here. Offsets and not pointers
 * are kept between steps, because steps that many paths lead to are functions that the verifier
 * reads once each, and only numbers travel between those.
 *
 * It reads such a function for any caller, one whose pointers are null too, so the function asks:
 * the tag that spares the question (`__arg_nonnull`) is younger than Linux 6.1.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * No frame is longer, and an offset beyond it is none. Not a power of two, or the compiler tests
 * bits where the verifier wants to see a comparison.
 */
#define FRAME_BYTES_MAX 32000

/*
 * The context's fields look like 32-bit numbers but load as pointers. In C the compiler may move
 * such a number between 32-bit registers, and what arrives is no pointer for the verifier: so the
 * load is written out.
 */
#define FRAME_POINTER(frame, field)                                                                \
	({                                                                                         \
		void *pointer;                                                                     \
		asm volatile("%0 = *(u32 *)(%1 + %2)"                                              \
			     : "=r"(pointer)                                                       \
			     : "r"(frame), "i"(__builtin_offsetof(struct xdp_md, field)));         \
		pointer;                                                                           \
	})

/* `size` bytes at `offset`, or 0 where the frame ends before. */
static __always_inline void *frame_at(struct xdp_md *frame, __u32 offset, __u32 size)
{
	void *end = FRAME_POINTER(frame, data_end);
	void *at = FRAME_POINTER(frame, data);

	if (offset > FRAME_BYTES_MAX)
		return 0;
	at += offset;
	if (at + size > end)
		return 0;
	return at;
}

static __always_inline __u32 frame_bytes(struct xdp_md *frame)
{
	return FRAME_POINTER(frame, data_end) - FRAME_POINTER(frame, data);
}
