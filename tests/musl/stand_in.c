/*
 * The symbols that glibc's libstdc++ and libgcc_s need and musl does not have, so that they can
 * stand in for those of musl, which Debian does not offer: scripts/test_musl.sh. Built as the
 * loader that they name as needed. Only what Bun comes by has to work.
 */
#define _GNU_SOURCE
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* There may always be more threads. */
char __libc_single_threaded = 0;

uint32_t arc4random(void) {
  uint32_t value;
  if (getrandom(&value, sizeof(value), 0) != sizeof(value)) abort();
  return value;
}

size_t __strftime_l(char *text, size_t capacity, const char *format, const struct tm *time,
                    locale_t locale) {
  return strftime_l(text, capacity, format, time, locale);
}

/* Not found: the unwinder then asks dl_iterate_phdr(). */
int _dl_find_object(void *address, void *result) {
  (void)address;
  (void)result;
  return -1;
}

/* Destructors of thread-local objects are not run: a test ends as a process. */
int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library) {
  (void)destroy;
  (void)object;
  (void)library;
  return 0;
}

/* Only code that Bun does not use asks for the features of the processor. */
int __cpu_indicator_init(void) { return 0; }
struct {
  unsigned int vendor, type, subtype, features[1];
} __cpu_model;
