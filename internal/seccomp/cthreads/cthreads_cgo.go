//go:build cgo

package cthreads

/*
#cgo LDFLAGS: -lpthread
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Enough of everything that each thread has an arena of its own, that the arenas
// grow by brk, mmap and mremap, and that they shrink.
static void *work(void *unused) {
	pthread_attr_t attr;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) pthread_attr_destroy(&attr);
	pthread_setname_np(pthread_self(), "churn");
	for (size_t size = 16; size < 4 << 20; size *= 3) {
		char *p = malloc(size);
		if (!p) abort();
		memset(p, 1, size);
		p = realloc(p, 2 * size);
		if (!p) abort();
		p[2 * size - 1] = 1;
		free(p);
	}
	usleep(200);
	return unused;
}

static int churn(int n) {
	pthread_t threads[16];
	if (n > 16) n = 16;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL)) return 0;
	for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
	return 1;
}

static void *socketing(void *unused) { socket(AF_UNIX, SOCK_STREAM, 0); return unused; }

static void socketOnAThread(void) {
	pthread_t thread;
	if (!pthread_create(&thread, NULL, socketing, NULL)) pthread_join(thread, NULL);
}

// getpid(2) as a 32-bit program calls it; -1 where this cannot be said.
static long getpid32(void) {
#ifdef __x86_64__
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return r;
#else
	return -1;
#endif
}
*/
import "C"

// HasC says that there is C code here.
const HasC = true

// Round starts n C threads, at most 16, that use memory, and waits for them.
func Round(n int) bool { return C.churn(C.int(n)) != 0 }

// Socket makes a Unix socket in C code, on the thread of the caller.
func Socket() { C.socketing(nil) }

// SocketOnAThread makes one on a thread that C has made.
func SocketOnAThread() { C.socketOnAThread() }

// Getpid32 calls getpid(2) by its number of 32-bit programs; -1: it cannot.
func Getpid32() int { return int(C.getpid32()) }
