/*
 * The runtime's epoll instance, and how it watches a doorbell.
 *
 * The kernel lists the entries of an epoll instance in /proc/self/fdinfo, with the data under which
 * the runtime knows each of them:
 *
 *   tfd:        9 events:       19 data:     370e1a5b0b0  pos:0 ino:3a5c sdev:8
 *
 * Without /proc, or with an event loop that is no epoll instance, no entry is found, and the
 * doorbell stays as it is.
 */

/* Packets that are sent together, one for each wakeup. */
#define PACKETS_AHEAD 64u
#define EPOLL_LINK "anon_inode:[eventpoll]"
/* A runtime opens its epoll instance when a thread starts, and a thread starts early. */
#define WATCH_SCAN_MAX 4096u

/* ---- finding ----------------------------------------------------------------------------- */

/* An entry of an epoll instance. */
struct watch {
  int epoll_fd;
  uint32_t events;
  uint64_t data;
};

static bool is_epoll(int fd) {
  char path[32], target[sizeof(EPOLL_LINK)];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, target, sizeof(target));
  return length == sizeof(EPOLL_LINK) - 1 &&
         memcmp(target, EPOLL_LINK, sizeof(EPOLL_LINK) - 1) == 0;
}

/* Finds the one entry for `fd` in this epoll instance. An entry of a file that once had the same
 * number has another inode, or makes the answer ambiguous: false. */
static bool find_entry(int epoll_fd, int fd, ino_t inode, struct watch *found) {
  char path[32], line[256];
  uint32_t count = 0;
  snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", epoll_fd);
  FILE *info = fopen(path, "re");
  if (!info) return false;
  while (fgets(line, sizeof(line), info)) {
    int target;
    unsigned events;
    unsigned long long data, entry_inode;
    if (sscanf(line, "tfd: %d events: %x data: %llx pos:%*d ino:%llx", &target, &events, &data,
               &entry_inode) != 4)
      continue;
    if (target != fd || entry_inode != inode) continue;
    *found = (struct watch){.epoll_fd = epoll_fd, .events = events, .data = data};
    count++;
  }
  fclose(info);
  return count == 1;
}

/* Finds the entry for `fd` in any epoll instance of this process. */
static bool find_watch(int fd, struct watch *found) {
  struct stat file;
  struct rlimit limit;
  if (fstat(fd, &file) < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0) return false;
  for (rlim_t at = 0; at < limit.rlim_cur && at < WATCH_SCAN_MAX; at++)
    if (is_epoll((int)at) && find_entry((int)at, fd, file.st_ino, found)) return true;
  return false;
}

/* Changes the events of an entry. The kernel refuses an entry whose file is another one. */
static int32_t change_watch(const struct watch *watch, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = watch->data};
  return epoll_ctl(watch->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

/* Adds a descriptor whose events are reported as those of the entry. */
static int32_t add_watch(const struct watch *watch, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = watch->data};
  return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- joining ----------------------------------------------------------------------------- */

/* Keeps at least one packet in the runtime's socket of a doorbell that has joined. */
static int32_t send_ahead(struct ring *ring) {
  struct doorbell *doorbell = &ring->doorbell;
  uint32_t taken = ring->header[UR_RUNG_WORD] - doorbell->joined_rung;
  if (doorbell->sent - taken - 1 < PACKETS_AHEAD) return 0;
  struct mmsghdr messages[PACKETS_AHEAD];
  struct iovec byte = {.iov_base = "!", .iov_len = 1};
  memset(messages, 0, sizeof(messages));
  for (uint32_t i = 0; i < PACKETS_AHEAD; i++) {
    messages[i].msg_hdr.msg_iov = &byte;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int sent = sendmmsg(doorbell->pair[0], messages, PACKETS_AHEAD, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) doorbell->sent = taken + (uint32_t)sent;
  /* A socket without room has packets. */
  return sent >= 0 || errno == EAGAIN ? 0 : -errno;
}

/* An event loop that reads the eventfd waits for room in it too, although there always is some, and
 * each read then wakes it once more. */
static int32_t join_event(struct doorbell *doorbell) {
  struct watch watch;
  if (!find_watch(doorbell->runtime_event, &watch)) return -ENOENT;
  return change_watch(&watch, doorbell->runtime_event, watch.events & ~(uint32_t)EPOLLOUT);
}

/*
 * The eventfd takes the place of the socket in the epoll instance, under the socket's data. An
 * event of it makes the runtime receive from the socket.
 *
 * - The eventfd is watched by edges and never read: each signal is an event, whatever the count.
 * - The socket stays in the epoll instance without events, because the runtime removes it later.
 * - Each event takes one packet, so the socket must not be empty while the doorbell is armed. The
 *   caller counts what it has received (UR_RUNG_WORD), and `send_ahead` sends more. An event that
 *   comes late, while the thread is awake, may find no packet: nothing waits for it.
 * - The entry of the eventfd is removed before the eventfd is closed, because the runtime frees the
 *   target of the data, and a process that is being forked keeps the file open.
 */
static int32_t join_pair(struct ring *ring) {
  struct doorbell *doorbell = &ring->doorbell;
  struct watch watch;
  const uint32_t always = EPOLLERR | EPOLLHUP;
  if (!find_watch(doorbell->pair[1], &watch)) return -ENOENT;
  /* The runtime first waits for room in the socket as well, and changes that at the first event. */
  if ((watch.events & ~always) != EPOLLIN) return -EAGAIN;
  int32_t result = change_watch(&watch, doorbell->pair[1], 0);
  if (result < 0) return result;
  result = add_watch(&watch, doorbell->event_fd, EPOLLIN | EPOLLET);
  if (result < 0) {
    change_watch(&watch, doorbell->pair[1], EPOLLIN);
    return result;
  }
  doorbell->joined = true;
  doorbell->epoll_fd = watch.epoll_fd;
  doorbell->joined_rung = ring->header[UR_RUNG_WORD];
  doorbell->sent = 0;
  return 0;
}

int32_t ur_ring_join(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  struct doorbell *doorbell = &ring->doorbell;
  if (doorbell->joined) return -EALREADY;
  if (doorbell->polled) return join_event(doorbell);
  return doorbell->taken ? join_pair(ring) : -EPERM;
}
