//go:build linux && cgo && (amd64 || arm64)

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// What the handler reads is written before it is installed.
static struct sigaction go_handlers[NSIG];
static uintptr_t go_begin, go_end;
static uint64_t *word;
static int control;
static pid_t self;

static uintptr_t instruction(const ucontext_t *c) {
#if defined(__x86_64__)
	return (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#else
	return (uintptr_t)c->uc_mcontext.pc;
#endif
}

// by_c tells whether C code of this process has raised the signal. A process that C
// code has forked has this handler too, and is none of the parent's business.
static int by_c(int sig, const siginfo_t *info, const ucontext_t *c) {
	uintptr_t pc = instruction(c);
	if (getpid() != self || (pc >= go_begin && pc < go_end)) {
		return 0;
	}
	if (sig == SIGABRT) { // by raise(3), kill(2) or abort(3)
		return (info->si_code == SI_TKILL || info->si_code == SI_USER) && info->si_pid == self;
	}
	return info->si_code > 0; // by the kernel
}

// Only what signal-safety(7) allows is done here.
static void handle(int sig, siginfo_t *info, void *context) {
	uint64_t none = 0;
	int saved = errno;
	if (by_c(sig, info, context) &&
	    __atomic_compare_exchange_n(word, &none, (uint64_t)sig, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		shutdown(control, SHUT_WR);
	}
	errno = saved;
	go_handlers[sig].sa_sigaction(sig, info, context);
}

int verdigris_cfault_arm(int fd, uint64_t *at, uintptr_t begin, uintptr_t end) {
	control = fd;
	word = at;
	go_begin = begin;
	go_end = end;
	self = getpid();
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
		int sig = signals[i];
		if (sigaction(sig, NULL, &go_handlers[sig]) != 0) {
			return errno;
		}
		if (!(go_handlers[sig].sa_flags & SA_SIGINFO)) {
			continue; // none of Go's
		}
		struct sigaction action = go_handlers[sig];
		action.sa_sigaction = handle;
		if (sigaction(sig, &action, NULL) != 0) {
			return errno;
		}
	}
	return 0;
}
