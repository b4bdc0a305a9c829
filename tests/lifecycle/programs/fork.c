/*
 * A forked child that runs no JavaScript: the pages of compiled code are not copied into it.
 */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

/* Forks. The child waits for SIGTERM, then ends with this code. Returns its id. */
int32_t fork_child(int32_t code) {
  sigset_t wanted, before;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  /* Blocked before the child is there, so that it cannot come too early. */
  pthread_sigmask(SIG_BLOCK, &wanted, &before);
  pid_t child = fork();
  if (child == 0) {
    int got;
    sigwait(&wanted, &got);
    _exit(code);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return child;
}
