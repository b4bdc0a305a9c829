/*
 * Starts a program with listening sockets, as a service manager does. For tests.
 *
 *   launch PORT... NAME=VALUE... -- PROGRAM ARGUMENT...
 *
 * The sockets are the descriptors from 3 on; port "datagram" stands for one that cannot listen.
 * LISTEN_PID is the program's own, unless it is given.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 3
/* Where the sockets wait until all are made. */
#define ASIDE 100

static void fail(const char *what) {
  perror(what);
  exit(125);
}

static int listening(const char *port) {
  int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) fail("bind");
  if (listen(fd, 128) < 0) fail("listen");
  return fd;
}

int main(int count, char **arguments) {
  int sockets = 0;
  char pid[32];
  snprintf(pid, sizeof(pid), "%ld", (long)getpid());
  setenv("LISTEN_PID", pid, 1);
  int at = 1;
  for (; at < count && strcmp(arguments[at], "--") != 0; at++) {
    if (strchr(arguments[at], '=')) {
      putenv(arguments[at]);
      continue;
    }
    int datagram = strcmp(arguments[at], "datagram") == 0;
    int fd = datagram ? socket(AF_INET, SOCK_DGRAM, 0) : listening(arguments[at]);
    if (fd < 0 || dup2(fd, ASIDE + sockets++) < 0) fail("socket");
    close(fd);
  }
  for (int i = 0; i < sockets; i++) {
    if (dup2(ASIDE + i, FIRST + i) < 0) fail("dup2");
    close(ASIDE + i);
  }
  if (at + 1 < count) execv(arguments[at + 1], arguments + at + 1);
  fail("execv");
}
