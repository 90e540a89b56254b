#include "go_asm.h"
#include "textflag.h"

// func split(queue []addition, text []byte, entries []entry) (n, next int)
TEXT ·split(SB), NOSPLIT, $0-88
	MOVQ queue_base+0(FP), DI
	MOVQ queue_len+8(FP), R9
	SHLQ $5, R9
	ADDQ DI, R9 // the queue's end
	MOVQ text_base+24(FP), SI
	MOVQ entries_base+48(FP), R10
	MOVQ entries_len+56(FP), R11
	DECQ R11
	LEAQ ·masks(SB), R12
	XORL R8, R8 // where the next word begins
	XORL BX, BX // where the block begins
	MOVQ $0x2020202020202020, AX
	MOVQ AX, X4
	PUNPCKLQDQ X4, X4

block:
	MOVOU (SI)(BX*1), X0
	MOVOU 16(SI)(BX*1), X1
	MOVOU 32(SI)(BX*1), X2
	MOVOU 48(SI)(BX*1), X3
	PCMPEQB X4, X0
	PCMPEQB X4, X1
	PCMPEQB X4, X2
	PCMPEQB X4, X3
	PMOVMSKB X0, R14 // the ends of words
	PMOVMSKB X1, AX
	PMOVMSKB X2, CX
	PMOVMSKB X3, DX
	SHLQ $16, AX
	SHLQ $32, CX
	SHLQ $48, DX
	ORQ AX, R14
	ORQ CX, R14
	ORQ DX, R14

	MOVQ text_len+32(FP), CX
	SUBQ BX, CX
	CMPQ CX, $const_block
	JGE more
	MOVL $1, AX
	SHLQ CX, AX
	LEAQ -1(AX), DX
	ANDQ DX, R14
	ORQ AX, R14

more:
	TESTQ R14, R14
	JZ last
	TZCNTQ R14, DX // without BMI1 it is BSFQ, which does the same as R14 is not 0
	ADDQ BX, DX
	MOVQ DX, R13
	SUBQ R8, R13 // the word's length
	CMPQ R13, $const_inEntry
	JHI done
	CMPQ DI, R9
	JEQ done

	// shortKey
	MOVQ (SI)(R8*1), AX
	MOVQ 8(SI)(R8*1), CX
	LEAQ 1(DX), R8
	LEAQ 1(R13), DX
	SHLQ $4, R13
	ANDQ key_a(R12)(R13*1), AX
	ANDQ key_b(R12)(R13*1), CX
	SHLQ $const_lengthAt, DX
	ORQ DX, CX
	MOVQ AX, addition_key+key_a(DI)
	MOVQ CX, addition_key+key_b(DI)
	MOVQ $1, addition_n(DI)

	// hash
	XORQ ·seedA(SB), AX
	XORQ ·seedB(SB), CX
	MULQ CX
	XORQ DX, AX
	MOVQ AX, addition_hash(DI)

	ANDQ R11, AX
	SHLQ $5, AX
	PREFETCHT0 (R10)(AX*1)

	ADDQ $addition__size, DI
	LEAQ -1(R14), AX
	ANDQ AX, R14
	JMP more

last:
	ADDQ $const_block, BX
	CMPQ BX, text_len+32(FP)
	JLE block

done:
	SUBQ queue_base+0(FP), DI
	SHRQ $5, DI
	MOVQ DI, n+72(FP)
	MOVQ R8, next+80(FP)
	RET

// func find(queue []addition, entries []entry, missed *[queued]uint8) (misses int)
TEXT ·find(SB), NOSPLIT, $0-64
	MOVQ queue_base+0(FP), SI
	MOVQ queue_len+8(FP), CX
	MOVQ entries_base+24(FP), R10
	MOVQ entries_len+32(FP), R11
	DECQ R11
	MOVQ missed+48(FP), R9
	XORL R8, R8   // misses
	XORL R12, R12 // the word's place in the queue

word:
	MOVQ addition_hash(SI), AX
	ANDQ R11, AX
	SHLQ $5, AX
	MOVOU addition_key(SI), X0
	MOVOU entry_word(R10)(AX*1), X1
	PCMPEQB X1, X0
	PMOVMSKB X0, DX
	XORL BX, BX
	CMPL DX, $0xffff
	SETNE BX // 1 is a miss
	LEAQ -1(BX), DX
	ANDQ addition_n(SI), DX
	ADDQ DX, entry_count(R10)(AX*1)
	MOVB R12, (R9)(R8*1)
	ADDQ BX, R8
	ADDQ $addition__size, SI
	INCL R12
	CMPL R12, CX
	JLT word

	MOVQ R8, misses+56(FP)
	RET
