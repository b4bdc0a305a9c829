/*
 * Runs the cases, each in a child process: one that trips a sanitizer, hangs or leaks fails alone.
 * See driver.h. Prints a line for each case, the seed of the random ones, and "N passed, N failed".
 *
 *   driver            all cases
 *   driver WORD...    those whose claim contains one of the words
 */
#define _GNU_SOURCE
#include "driver.h"

#include <dirent.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A case that takes longer hangs. */
#define CASE_SECONDS_MAX 120

uint64_t fuzz_seed;
uint32_t fuzz_rounds = 3000;

void expect_equal(const char *file, int line, const char *what, long long given, long long wanted) {
  if (given == wanted) return;
  const char *name = strrchr(file, '/');
  fprintf(stderr, "  %s:%d: %s is %lld, expected %lld\n", name ? name + 1 : file, line, what, given,
          wanted);
  fflush(stderr);
  _exit(1);
}

uint32_t open_descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  EXPECT_TRUE(folder != NULL);
  uint32_t count = 0;
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count - 1; /* without the folder itself */
}

/* ---- functions that fail on demand ------------------------------------------------------- */

static struct {
  uint32_t after;
  uint32_t repeat;
  uint32_t failed;
  int error;
} hooks[HOOK_COUNT];

void hook_fail(enum hook hook, uint32_t after, uint32_t repeat, int error) {
  hooks[hook].after = after;
  hooks[hook].repeat = repeat;
  hooks[hook].failed = 0;
  hooks[hook].error = error;
}

uint32_t hook_failed(enum hook hook) { return hooks[hook].failed; }

_Atomic unsigned *first_flags;

static bool fails(enum hook hook) {
  if (hooks[hook].repeat == 0) return false;
  if (hooks[hook].after > 0) {
    hooks[hook].after--;
    return false;
  }
  hooks[hook].repeat--;
  hooks[hook].failed++;
  errno = hooks[hook].error;
  return true;
}

/* The linker sends the shim's calls here (--wrap), and those of this file to the real ones. */
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_eventfd(unsigned value, int flags);
int __real_eventfd(unsigned value, int flags);
int __wrap_socketpair(int domain, int type, int protocol, int pair[2]);
int __real_socketpair(int domain, int type, int protocol, int pair[2]);
int __wrap_io_uring_queue_init_params(unsigned, struct io_uring *, struct io_uring_params *);
int __real_io_uring_queue_init_params(unsigned, struct io_uring *, struct io_uring_params *);
int __wrap_io_uring_register_buf_ring(struct io_uring *, struct io_uring_buf_reg *, unsigned);
int __real_io_uring_register_buf_ring(struct io_uring *, struct io_uring_buf_reg *, unsigned);
int __wrap_io_uring_register_eventfd(struct io_uring *, int);
int __real_io_uring_register_eventfd(struct io_uring *, int);
int __wrap_io_uring_register_sync_cancel(struct io_uring *, struct io_uring_sync_cancel_reg *);
int __real_io_uring_register_sync_cancel(struct io_uring *, struct io_uring_sync_cancel_reg *);
int __wrap_io_uring_submit(struct io_uring *);
int __real_io_uring_submit(struct io_uring *);

/* Memory between inaccessible pages: a byte too far is EFAULT, for the kernel too. */
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
  if (fails(HOOK_MMAP)) return MAP_FAILED;
  if (fd >= 0) return __real_mmap(address, size, protection, flags, fd, offset);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t whole = (size + page - 1) / page * page;
  uint8_t *base = __real_mmap(NULL, whole + 2 * page, PROT_NONE, flags, -1, 0);
  if (base == MAP_FAILED || mprotect(base + page, whole, protection) < 0) return MAP_FAILED;
  return base + page;
}

int __wrap_eventfd(unsigned value, int flags) {
  return fails(HOOK_EVENTFD) ? -1 : __real_eventfd(value, flags);
}

int __wrap_socketpair(int domain, int type, int protocol, int pair[2]) {
  return fails(HOOK_SOCKETPAIR) ? -1 : __real_socketpair(domain, type, protocol, pair);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params) {
  if (fails(HOOK_QUEUE_INIT)) return -errno;
  int result = __real_io_uring_queue_init_params(entries, ring, params);
  if (result >= 0 && !first_flags) first_flags = (_Atomic unsigned *)ring->sq.kflags;
  return result;
}

int __wrap_io_uring_register_buf_ring(struct io_uring *ring, struct io_uring_buf_reg *registration,
                                      unsigned flags) {
  if (fails(HOOK_REGISTER_BUF_RING)) return -errno;
  return __real_io_uring_register_buf_ring(ring, registration, flags);
}

int __wrap_io_uring_register_eventfd(struct io_uring *ring, int fd) {
  return fails(HOOK_REGISTER_EVENTFD) ? -errno : __real_io_uring_register_eventfd(ring, fd);
}

int __wrap_io_uring_register_sync_cancel(struct io_uring *ring,
                                         struct io_uring_sync_cancel_reg *cancel) {
  return fails(HOOK_SYNC_CANCEL) ? -errno : __real_io_uring_register_sync_cancel(ring, cancel);
}

int __wrap_io_uring_submit(struct io_uring *ring) {
  return fails(HOOK_SUBMIT) ? -errno : __real_io_uring_submit(ring);
}

/* ---- the cases one by one ---------------------------------------------------------------- */

static bool runs_well(const struct test_case *test) {
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    alarm(CASE_SECONDS_MAX);
    test->run();
    /* Not _exit: the leak detector runs at exit. */
    exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return false;
  if (WIFSIGNALED(status)) printf("  ended by signal %d\n", WTERMSIG(status));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool wanted(const char *claim, int count, char **words) {
  bool found = count == 0;
  for (int i = 0; i < count; i++) found = found || strstr(claim, words[i]);
  return found;
}

static uint64_t number_of(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
  static const struct test_case *const tables[] = {
      operation_cases, refusal_cases, file_cases, lifetime_cases,
      doorbell_cases,  join_cases,    fuzz_cases,
  };
  fuzz_seed = number_of("UR_SEED", (uint64_t)time(NULL) % 1000000000u);
  fuzz_rounds = (uint32_t)number_of("UR_ROUNDS", fuzz_rounds);
  printf("UR_SEED=%llu UR_ROUNDS=%u\n", (unsigned long long)fuzz_seed, fuzz_rounds);
  uint32_t passed = 0, failed = 0;
  for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
    for (const struct test_case *test = tables[i]; test->claim; test++) {
      if (!wanted(test->claim, argc - 1, argv + 1)) continue;
      bool well = runs_well(test);
      printf("shim > %s ... %s\n", test->claim, well ? "ok" : "FAILED");
      passed += well;
      failed += !well;
    }
  }
  printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
