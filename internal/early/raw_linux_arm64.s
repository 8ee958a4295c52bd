#include "textflag.h"

// A handler runs on the thread's signal stack, and touches nothing. The kernel
// brings along what follows it.
TEXT doNothing<>(SB),NOSPLIT|NOFRAME,$0
	RET

GLOBL ·doNothing(SB), RODATA, $8
DATA ·doNothing(SB)/8, $doNothing<>(SB)
