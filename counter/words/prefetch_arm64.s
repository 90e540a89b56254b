#include "go_asm.h"
#include "textflag.h"

// func prefetch(queue []addition, entries []entry)
TEXT ·prefetch(SB), NOSPLIT, $0-48
	MOVD queue_base+0(FP), R0
	MOVD queue_len+8(FP), R1
	MOVD entries_base+24(FP), R2
	MOVD entries_len+32(FP), R3
	SUB  $1, R3

next:
	MOVD addition_hash(R0), R4
	AND  R3, R4
	ADD  R4<<5, R2, R5
	PRFM (R5), PLDL1KEEP
	ADD  $addition__size, R0
	SUBS $1, R1
	BNE  next
	RET
