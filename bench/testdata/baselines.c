/* The baselines of the bench in C, to hold those in Go against.
 *
 *   baselines pipe SIZE CORE NANOSECONDS    round trips through two pipes, both ends on one core
 *   baselines copies SIZE NANOSECONDS       four copies between five buffers
 *
 * It repeats that for so long, and prints the median in nanoseconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { limit = 1 << 20, pipe_size = 1 << 20, copies = 4 };

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int read_all(int fd, char *b, size_t n) {
  while (n > 0) {
    ssize_t got = read(fd, b, n);
    if (got <= 0) return -1;
    b += got, n -= got;
  }
  return 0;
}

static int write_all(int fd, const char *b, size_t n) {
  while (n > 0) {
    ssize_t put = write(fd, b, n);
    if (put <= 0) return -1;
    b += put, n -= put;
  }
  return 0;
}

static int there[2], back[2];
static char *buffers[copies + 1];
static size_t size;

static void round_trip(void) {
  if (write_all(there[1], buffers[0], size) || read_all(back[0], buffers[0], size)) fail("round trip");
}

static void copy_all(void) {
  for (int i = 0; i < copies; i++) {
    memcpy(buffers[i + 1], buffers[i], size);
    __asm__ volatile("" ::"r"(buffers[i + 1]) : "memory"); /* it is not optimised away */
  }
}

static void partner(void) {
  close(there[1]), close(back[0]);
  while (!read_all(there[0], buffers[1], size) && !write_all(back[1], buffers[1], size)) {
  }
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int pipes = !strcmp(argv[1], "pipe");
  size = strtoul(argv[2], 0, 10);
  int64_t length = strtoll(argv[argc - 1], 0, 10), *took = malloc(limit * sizeof *took);
  for (int i = 0; i <= copies; i++) {
    buffers[i] = malloc(size);
    memset(buffers[i], i, size);
  }
  pid_t child = 0;
  if (pipes) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(argv[3]), &set);
    if (sched_setaffinity(0, sizeof set, &set)) fail("sched_setaffinity");
    if (pipe(there) || pipe(back)) fail("pipe");
    fcntl(there[1], F_SETPIPE_SZ, pipe_size), fcntl(back[1], F_SETPIPE_SZ, pipe_size);
    if ((child = fork()) == 0) partner();
    if (child < 0) fail("fork");
    close(there[0]), close(back[1]);
  }
  void (*operation)(void) = pipes ? round_trip : copy_all;
  operation();
  int n = 0;
  for (int64_t begin = now(), last = begin; n < limit && (last - begin < length || n < 5); n++) {
    operation();
    int64_t t = now();
    took[n] = t - last, last = t;
  }
  qsort(took, n, sizeof *took, compare);
  printf("%lld\n", (long long)took[n / 2]);
  if (child) close(there[1]), waitpid(child, 0, 0);
  return 0;
}
