#include "go_asm.h"
#include "textflag.h"

// func prefetch(queue []addition, entries []entry)
TEXT ·prefetch(SB), NOSPLIT, $0-48
	MOVQ queue_base+0(FP), SI
	MOVQ queue_len+8(FP), CX
	MOVQ entries_base+24(FP), DI
	MOVQ entries_len+32(FP), DX
	DECQ DX

next:
	MOVQ addition_hash(SI), AX
	ANDQ DX, AX
	SHLQ $5, AX
	PREFETCHT0 (DI)(AX*1)
	ADDQ $addition__size, SI
	DECQ CX
	JNZ  next
	RET
