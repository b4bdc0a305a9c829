/*
 * Calls on sockets that need no ring, because they never block and their results are known at once.
 */

/* The number of unread bytes that a graceful close discards, in steps. After that it closes
 * anyway. */
#define DISCARD_STEP_BYTES (1u << 16)
#define DISCARD_STEP_MAX 256u

int32_t ur_socket(uint32_t id, uint32_t family) {
  if (!ring_at(id)) return -EPERM;
  int fd = socket((int)family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : adopt(id, fd);
}

static int32_t socket_number(int32_t fd, int name) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -errno : value;
}

/* Removes O_NONBLOCK, because operations on a non-blocking socket complete with -EAGAIN instead
 * of waiting. */
int32_t ur_adopt(uint32_t id, int32_t fd) {
  if (!ring_at(id)) return -EPERM;
  if (fd < 0 || (uint32_t)fd >= DESCRIPTOR_MAX) return -EBADF;
  if (atomic_load_explicit(&descriptor_ring[fd], memory_order_relaxed)) return -EBUSY;
  int32_t type = socket_number(fd, SO_TYPE);
  if (type < 0) return type;
  if (type != SOCK_STREAM) return -EPROTOTYPE;
  int32_t family = socket_number(fd, SO_DOMAIN);
  if (family < 0) return family;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) return -errno;
  /* Like all descriptors of a ring, this one is not inherited by a started program. */
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
  return adopt(id, fd) < 0 ? -EMFILE : family;
}

int32_t ur_disown(uint32_t id, int32_t fd) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  atomic_store_explicit(&descriptor_ring[fd], 0, memory_order_relaxed);
  return 0;
}

int32_t ur_state(uint32_t id, int32_t fd) {
  if (!ring_at(id)) return -EPERM;
  int32_t type = socket_number(fd, SO_TYPE);
  if (type < 0) return type;
  if (type != SOCK_STREAM) return -EPROTOTYPE;
  int32_t listening = socket_number(fd, SO_ACCEPTCONN);
  if (listening != 0) return listening < 0 ? listening : (int32_t)UR_STATE_LISTENING;
  struct sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  bool connected = getpeername(fd, (struct sockaddr *)&peer, &size) == 0;
  return (int32_t)(connected ? UR_STATE_CONNECTED : UR_STATE_NEITHER);
}

int32_t ur_bind(uint32_t id, int32_t fd, uint32_t block, uint32_t length) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  uint8_t *address = block_at(ring_at(id), block);
  if (!address) return -EFAULT;
  if (length > UR_ADDRESS_BYTES) return -EINVAL;
  return bind(fd, (struct sockaddr *)address, length) < 0 ? -errno : 0;
}

int32_t ur_listen(uint32_t id, int32_t fd, uint32_t backlog) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  return listen(fd, backlog > INT32_MAX ? INT32_MAX : (int)backlog) < 0 ? -errno : 0;
}

/* accept4 would block on an empty backlog. No other thread or process accepts from this backlog, as
 * shared sockets never come here, and a connection that was reset stays in it. So a connection that
 * poll has reported is there for accept4. */
int32_t ur_accept(uint32_t id, int32_t fd, uint32_t block) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  uint8_t *bytes = block_at(ring_at(id), block);
  if (!bytes) return -EFAULT;
  result = fault_accept(fd);
  if (result < 0) return result;
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  result = poll(&waiting, 1, 0);
  if (result <= 0) return result < 0 ? -errno : -EAGAIN;
  socklen_t *length = (socklen_t *)(bytes + UR_ADDRESS_BYTES);
  *length = UR_ADDRESS_BYTES;
  result = accept4(fd, (struct sockaddr *)bytes, length, SOCK_CLOEXEC);
  return result < 0 ? -errno : adopt(id, result);
}

int32_t ur_address(uint32_t id, int32_t fd, uint32_t which, uint32_t block) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  struct sockaddr *address = (struct sockaddr *)block_at(ring_at(id), block);
  if (!address) return -EFAULT;
  socklen_t length = UR_ADDRESS_BYTES;
  result = which ? getpeername(fd, address, &length) : getsockname(fd, address, &length);
  return result < 0 ? -errno : (int32_t)length;
}

static const struct {
  int level;
  int name;
} options[UR_OPTION_COUNT] = {
    [UR_OPTION_NO_DELAY] = {IPPROTO_TCP, TCP_NODELAY},
    [UR_OPTION_LINGER_SECONDS] = {SOL_SOCKET, SO_LINGER},
    [UR_OPTION_KEEP_ALIVE] = {SOL_SOCKET, SO_KEEPALIVE},
    [UR_OPTION_KEEP_IDLE] = {IPPROTO_TCP, TCP_KEEPIDLE},
    [UR_OPTION_KEEP_INTERVAL] = {IPPROTO_TCP, TCP_KEEPINTVL},
    [UR_OPTION_KEEP_COUNT] = {IPPROTO_TCP, TCP_KEEPCNT},
    [UR_OPTION_REUSE_ADDRESS] = {SOL_SOCKET, SO_REUSEADDR},
    [UR_OPTION_REUSE_PORT] = {SOL_SOCKET, SO_REUSEPORT},
    [UR_OPTION_IPV6_ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY},
    [UR_OPTION_SEND_BUFFER] = {SOL_SOCKET, SO_SNDBUF},
    [UR_OPTION_RECEIVE_BUFFER] = {SOL_SOCKET, SO_RCVBUF},
    [UR_OPTION_TRAFFIC_CLASS] = {IPPROTO_IP, IP_TOS},
    [UR_OPTION_USER_TIMEOUT_MS] = {IPPROTO_TCP, TCP_USER_TIMEOUT},
    [UR_OPTION_DEFER_ACCEPT_SECONDS] = {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    [UR_OPTION_INTERFACE_INDEX] = {SOL_SOCKET, SO_BINDTOIFINDEX},
};

/* Finds the level of an option of this socket, and its name at that level. */
static void locate_option(int32_t fd, uint32_t option, int *level, int *name) {
  *level = options[option].level;
  *name = options[option].name;
  if (option != UR_OPTION_TRAFFIC_CLASS || socket_number(fd, SO_DOMAIN) != AF_INET6) return;
  *level = IPPROTO_IPV6;
  *name = IPV6_TCLASS;
}

int32_t ur_set_option(uint32_t id, int32_t fd, uint32_t option, int32_t value) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  if (option >= UR_OPTION_COUNT) return -EINVAL;
  struct linger linger = {.l_onoff = value >= 0, .l_linger = value >= 0 ? value : 0};
  bool lingers = option == UR_OPTION_LINGER_SECONDS;
  const void *bytes = lingers ? (const void *)&linger : (const void *)&value;
  socklen_t size = lingers ? sizeof(linger) : sizeof(value);
  int level, name;
  locate_option(fd, option, &level, &name);
  if (setsockopt(fd, level, name, bytes, size) < 0) return -errno;
  /* An IPv6 socket with an IPv4 peer sends IPv4 packets. With an IPv6 peer, only the priority in
   * the queue of the interface follows this, as it does on an IPv4 socket. */
  if (level == IPPROTO_IPV6 && name == IPV6_TCLASS) setsockopt(fd, IPPROTO_IP, IP_TOS, bytes, size);
  return 0;
}

int32_t ur_get_option(uint32_t id, int32_t fd, uint32_t option) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  if (option >= UR_OPTION_COUNT) return -EINVAL;
  struct linger linger = {0, 0};
  int32_t value = 0;
  bool lingers = option == UR_OPTION_LINGER_SECONDS;
  socklen_t size = lingers ? sizeof(linger) : sizeof(value);
  void *bytes = lingers ? (void *)&linger : (void *)&value;
  int level, name;
  locate_option(fd, option, &level, &name);
  if (getsockopt(fd, level, name, bytes, &size) < 0) return -errno;
  return lingers ? (linger.l_onoff ? linger.l_linger : -1) : value;
}

/* TCP_CLOSE of include/net/tcp_states.h: reset, timed out, or FIN went both ways. */
#define STATE_CLOSE 7

/*
 * The kernel has a flag for a received FIN (SOCK_DONE), which only one call shows: a request to map
 * received bytes, on a socket without any, fails with EIO after FIN and succeeds otherwise. The
 * request names no memory, so no page is mapped. Counts of bytes cannot replace it, because they
 * include urgent bytes and the FIN itself.
 */
int32_t ur_cut_off(uint32_t id, int32_t fd) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  struct tcp_info info = {0};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
    return errno == EOPNOTSUPP || errno == ENOPROTOOPT ? 0 : -errno;
  if (info.tcpi_state != STATE_CLOSE) return 0;
  struct tcp_zerocopy_receive nothing = {0};
  /* Only up to this field: a longer answer would include the socket's error, and clear it. */
  size = (socklen_t)offsetof(struct tcp_zerocopy_receive, inq);
  if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &nothing, &size) == 0) return 1;
  return errno == EIO ? 0 : -errno;
}

/* Discards received bytes. TCP drops them in place; a unix socket has to copy them. Returns the
 * result of the last receive: 0 at the end of the stream, -errno, or a count when there are more
 * bytes. */
static int32_t discard(int32_t fd, bool *has_discarded) {
  uint8_t scratch[DISCARD_STEP_BYTES];
  ssize_t result = -1;
  for (uint32_t i = 0; i < DISCARD_STEP_MAX; i++) {
    result = recv(fd, scratch, sizeof(scratch), MSG_TRUNC | MSG_DONTWAIT);
    if (result <= 0) break;
    *has_discarded = true;
  }
  return result < 0 ? -errno : (int32_t)result;
}

/* Whether TCP has bytes that were not sent (SIOCOUTQNSD) or not acknowledged (SIOCOUTQ), besides
 * FIN, which counts as one. The bytes of a unix socket reach the peer at once. */
static bool has_unsent(int32_t fd, unsigned long which) {
  int count = 0;
  int domain = 0;
  socklen_t size = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain == AF_UNIX) return false;
  return ioctl(fd, which, &count) == 0 && count > 1;
}

/* UR_SHUTDOWN_DISCARD and UR_SHUTDOWN_AGAIN: shuts the receive half as soon as it may be shut. */
static int32_t shut_gracefully(int32_t fd, bool again) {
  bool has_discarded = false;
  int32_t result = again || shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
  int32_t last = discard(fd, &has_discarded);
  bool open = result == 0 && (last > 0 || last == -EAGAIN);
  if (open && has_unsent(fd, again || has_discarded ? SIOCOUTQ : SIOCOUTQNSD))
    return again && has_discarded ? 2 : 1;
  if (shutdown(fd, SHUT_RD) < 0 && result == 0) result = -errno;
  /* Bytes that came meanwhile would still make close send RST. */
  discard(fd, &has_discarded);
  return result;
}

int32_t ur_shutdown(uint32_t id, int32_t fd, uint32_t how) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  if (how == UR_SHUTDOWN_DISCARD || how == UR_SHUTDOWN_AGAIN)
    return shut_gracefully(fd, how == UR_SHUTDOWN_AGAIN);
  return shutdown(fd, (int)how) < 0 ? -errno : 0;
}

int32_t ur_close(uint32_t id, int32_t fd) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  close_owned(fd);
  return 0;
}

/* Finds the text of `length` bytes in a block, and ends it with NUL. */
static int32_t text_at(uint32_t id, uint32_t block, uint32_t length, const char **text) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  uint8_t *bytes = block_at(ring, block);
  if (!bytes) return -EFAULT;
  if (length >= UR_BLOCK_BYTES) return -EINVAL;
  bytes[length] = 0;
  *text = (const char *)bytes;
  return 0;
}

int32_t ur_interface(uint32_t id, uint32_t block, uint32_t length) {
  const char *name;
  int32_t result = text_at(id, block, length, &name);
  if (result < 0) return result;
  unsigned index = if_nametoindex(name);
  return index ? (int32_t)index : -errno;
}
