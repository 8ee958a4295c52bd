#include "textflag.h"

// A handler runs on the thread's signal stack, and touches nothing.
TEXT doNothing<>(SB),NOSPLIT|NOFRAME,$0
	RET

TEXT comeBack<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ $15, AX // rt_sigreturn
	SYSCALL
	INT $3

GLOBL ·doNothing(SB), RODATA, $8
DATA ·doNothing(SB)/8, $doNothing<>(SB)

GLOBL ·comeBack(SB), RODATA, $8
DATA ·comeBack(SB)/8, $comeBack<>(SB)
