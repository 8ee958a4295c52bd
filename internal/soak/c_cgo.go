//go:build linux && cgo

package main

/*
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// What it may free twice is up to the allocator, and glibc notices.
static void freeTwice(void *volatile p) { free(p); free(p); abort(); }

// So is what lies behind a block: its allocator's own notes.
static void writeBehind(void) {
	char *volatile a = malloc(1100), *volatile b = malloc(1100);
	memset(a, 0xff, 1100 + 32);
	free(b);
	free(a);
	abort();
}

static void lockTwice(void) {
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&m);
	pthread_mutex_lock(&m);
}
*/
import "C"

import (
	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// inC are the faults of C code.
func inC() []*kind {
	hang := func(name string, way func()) *kind {
		return &kind{name: name, rare: true, within: patience, cause: child.Deadline, act: func(*execution) { way() }}
	}
	return []*kind{
		dies("c-segfault", child.Segfault, ccrash.Segfault),
		dies("c-abort", child.Aborted, ccrash.Abort),
		dies("c-stack-overflow", child.Segfault, ccrash.Overflow),
		dies("c-double-free", child.Aborted, func() { C.freeTwice(C.malloc(40)) }),
		dies("c-heap-overflow", child.Aborted, func() { C.writeBehind() }),
		dies("c-exit", child.Exited, func() { C.exit(0) }),
		hang("c-busy-loop", ccrash.Spin),
		hang("c-deadlock", func() { C.lockTwice() }),
	}
}
