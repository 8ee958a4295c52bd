//go:build cgo

package ccrash

/*
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// An address above page zero: Go makes a panic, not a crash, of the others.
static void writeTo(unsigned long address) { *(volatile int *)address = 1; }

// Every level needs stack of its own, and there is something to do after it returns.
static int deeper(volatile int n) {
	volatile char room[4096];
	room[0] = (char)n;
	return n < 0 ? 0 : deeper(n + 1) + room[0];
}

static void spin(void) { for (volatile unsigned long n = 0;; n++) {} }

static void *aborting(void *unused) { abort(); return unused; }

// The caller waits, so that nothing else ends first.
static void abortOnAThread(void) {
	pthread_t thread;
	pthread_create(&thread, NULL, aborting, NULL);
	pthread_join(thread, NULL);
}

static void complain(void) { fputs("free(): invalid pointer\n", stderr); abort(); }

// Takes memory, uses it, and loses it.
static int leak(size_t size) {
	volatile char *p = malloc(size);
	if (!p) return 0;
	for (size_t i = 0; i < size; i += 1024) p[i] = 1;
	return 1;
}

static void out(const char *s) { fputs(s, stdout); fflush(stdout); }
static void err(const char *s) { fputs(s, stderr); }
*/
import "C"

import "unsafe"

// HasC says that the crashes are those of C code.
const HasC = true

// Segfault writes to memory that is not mapped.
func Segfault() { C.writeTo(0xdead000) }

// Abort calls abort(3).
func Abort() { C.abort() }

// Overflow uses up the stack of its thread.
func Overflow() { C.deeper(0) }

// Spin never returns, and never sleeps.
func Spin() { C.spin() }

// AbortOnAThread calls abort(3) on a thread that Go knows nothing of.
func AbortOnAThread() { C.abortOnAThread() }

// Complain says why, as the C library does, and calls abort(3).
func Complain() { C.complain() }

// Leak loses so many bytes of memory, and reports whether it got them.
func Leak(size int) bool { return C.leak(C.size_t(size)) != 0 }

// Print writes s to stdout as C does.
func Print(s string) { with(s, func(c *C.char) { C.out(c) }) }

// PrintError writes s to stderr as C does.
func PrintError(s string) { with(s, func(c *C.char) { C.err(c) }) }

func with(s string, f func(*C.char)) {
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	f(c)
}
