/*
 * The doorbell wakes a sleeping event loop by kernel objects only:
 *
 *   data ring --eventfd--> doorbell's ring: READ(eventfd) linked to SEND(pair[0]) --> pair[1] in
 *   the runtime's own epoll
 *
 *   silent --ur_arm--> armed --a completion comes--> rung --ur_turn(UR_TURN_WOKEN)--> silent
 *
 * The chain is submitted for each sleep, and it is task work of this thread, which interrupts the
 * runtime's epoll_wait. Where that can be avoided, the doorbell's ring stays idle:
 *
 *   polled   a runtime whose event loop can read an eventfd has a duplicate of the eventfd
 *   joined   the runtime's epoll instance has the eventfd itself, as if it were pair[1]. There the
 *            runtime receives a packet, which was sent ahead of the wakeup (watch.c)
 *
 * The eventfd is enabled only while the doorbell is armed, so a busy ring causes no wakeup. One
 * chain of two entries is armed at a time, and only a broken chain leaves a completion.
 */

#define DOORBELL_ENTRIES 8u

/* ---- arming ------------------------------------------------------------------------------ */

/* Collects completions. Each one means that a chain broke and has to be armed again. */
static void collect_broken(struct doorbell *doorbell) {
  struct io_uring_cqe *cqe;
  unsigned head, seen = 0;
  io_uring_for_each_cqe(&doorbell->ring, head, cqe) seen++;
  io_uring_cq_advance(&doorbell->ring, seen);
  if (seen) doorbell->armed = false;
}

static int32_t stage_chain(struct doorbell *doorbell) {
  struct io_uring_sqe *wait = io_uring_get_sqe(&doorbell->ring);
  struct io_uring_sqe *wake = io_uring_get_sqe(&doorbell->ring);
  if (!wait || !wake) return -EBUSY;
  io_uring_prep_read(wait, doorbell->event_fd, &doorbell->event_value,
                     sizeof(doorbell->event_value), 0);
  wait->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  io_uring_prep_send(wake, doorbell->pair[0], "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  wake->flags |= IOSQE_CQE_SKIP_SUCCESS;
  return 0;
}

static int32_t arm_chain(struct ring *ring) {
  struct doorbell *doorbell = &ring->doorbell;
  int32_t result = 0;
  /* A chain that the kernel did not take the last time is still staged. */
  if (io_uring_sq_ready(&doorbell->ring) == 0) result = stage_chain(doorbell);
  if (result == 0) result = io_uring_submit(&doorbell->ring);
  if (result < 0) return result;
  doorbell->armed = true;
  ring->header[UR_HEADER_ARMS]++;
  return 0;
}

/* Registers the eventfd again, for each wakeup: see `signals_late`. */
static int32_t renew_eventfd(struct ring *ring) {
  int32_t result = io_uring_unregister_eventfd(&ring->data);
  if (result < 0 && result != -ENXIO) return result;
  return io_uring_register_eventfd(&ring->data, ring->doorbell.event_fd);
}

int32_t ur_arm(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  collect_broken(&ring->doorbell);
  int32_t result = ring->doorbell.renews ? renew_eventfd(ring) : 0;
  if (result == 0 && ring->doorbell.joined) result = send_ahead(ring);
  if (result < 0) return result;
  io_uring_cq_eventfd_toggle(&ring->data, true);
  if (ring->doorbell.polled || ring->doorbell.joined)
    ring->header[UR_HEADER_ARMS]++;
  else if (!ring->doorbell.armed)
    result = arm_chain(ring);
  if (result < 0) return result;
  /* The order matters: work that was queued before the eventfd was enabled is seen here, and work
   * that is queued afterwards signals the eventfd. */
  atomic_thread_fence(memory_order_seq_cst);
  return has_work(ring);
}

/* ---- opening and closing ----------------------------------------------------------------- */

/* Finds out whether the signal for work that a wakeup queues is late. 0 or -errno. */
static int32_t probe_signal(struct io_uring *ring, int event, const int ends[2], bool *late) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  uint64_t count;
  if (!sqe) return -EBUSY;
  io_uring_prep_poll_add(sqe, ends[0], POLLIN);
  int32_t result = io_uring_register_eventfd(ring, event);
  if (result == 0) result = io_uring_submit(ring);
  if (result < 0) return result;
  if (write(ends[1], "!", 1) != 1) return -errno;
  *late = read(event, &count, sizeof(count)) != sizeof(count);
  return 0;
}

/*
 * Linux 6.12.115 and others leave the signal for work that a wakeup queues to a callback after an
 * RCU grace period, and queue that callback once for each registration: no second signal ever
 * comes. Where the signal is late, or the probe fails, the eventfd is registered again for each
 * sleep.
 */
static bool signals_late(void) {
  static _Atomic int32_t known; /* 1: no, 2: yes */
  bool late = true;
  int ends[2];
  struct io_uring ring;
  struct io_uring_params params;
  if (known) return known == 2;
  memset(&params, 0, sizeof(params));
  params.flags = setup_flags(0);
  params.cq_entries = 2 * DOORBELL_ENTRIES;
  if (pipe2(ends, O_CLOEXEC) < 0) return late;
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event >= 0 && io_uring_queue_init_params(DOORBELL_ENTRIES, &ring, &params) == 0) {
    if (probe_signal(&ring, event, ends, &late) == 0) known = late ? 2 : 1;
    io_uring_queue_exit(&ring);
  }
  if (event >= 0) close(event);
  close(ends[0]);
  close(ends[1]);
  return late;
}

static int32_t open_pair(struct doorbell *doorbell, int type) {
  struct stat info;
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, doorbell->pair) < 0)
    return -errno;
  if (fstat(doorbell->pair[1], &info) < 0) return 0;
  doorbell->pair_device = info.st_dev;
  doorbell->pair_inode = info.st_ino;
  return 0;
}

/* Connects the data ring, which is open, with a doorbell whose descriptors are open. */
static int32_t connect_doorbell(struct ring *ring) {
  int32_t result = io_uring_register_eventfd(&ring->data, ring->doorbell.event_fd);
  ring->doorbell.renews = signals_late();
  /* Submits no entry. A filter that forbids io_uring_enter must fail the opening, and not the
   * first turn. */
  return result < 0 ? result : io_uring_get_events(&ring->data);
}

static int32_t open_doorbell(struct ring *ring, int type) {
  struct doorbell *doorbell = &ring->doorbell;
  struct io_uring_params params;
  memset(&params, 0, sizeof(params));
  int32_t result = io_uring_queue_init_params(DOORBELL_ENTRIES, &doorbell->ring, &params);
  if (result < 0) return result;
  doorbell->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (doorbell->event_fd < 0) {
    result = -errno;
    goto close_ring;
  }
  result = open_pair(doorbell, type);
  if (result < 0) goto close_event;
  result = connect_doorbell(ring);
  if (result >= 0) return 0;
  close(doorbell->pair[0]);
  close(doorbell->pair[1]);
close_event:
  close(doorbell->event_fd);
close_ring:
  io_uring_queue_exit(&doorbell->ring);
  return result;
}

/* Whether the descriptor still is the runtime's end, because a closed number may be reused. */
static bool has_runtime_end(const struct doorbell *doorbell) {
  struct stat info;
  return fstat(doorbell->pair[1], &info) == 0 && info.st_dev == doorbell->pair_device &&
         info.st_ino == doorbell->pair_inode;
}

static bool is_readable(int fd) {
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  return poll(&wait, 1, 0) == 1 && wait.revents == POLLIN;
}

/* Whether the descriptor still is the runtime's duplicate of the eventfd. All eventfds share one
 * inode, but only a duplicate has the same count. */
static bool has_runtime_event(const struct doorbell *doorbell) {
  struct stat ours, theirs;
  uint64_t count = 1;
  if (fstat(doorbell->event_fd, &ours) < 0 || fstat(doorbell->runtime_event, &theirs) < 0)
    return false;
  if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino) return false;
  if (read(doorbell->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN) return false;
  if (is_readable(doorbell->runtime_event)) return false;
  count = 1;
  if (write(doorbell->event_fd, &count, sizeof(count)) != sizeof(count)) return false;
  bool follows = is_readable(doorbell->runtime_event);
  if (read(doorbell->event_fd, &count, sizeof(count)) < 0) return false;
  return follows;
}

static void close_doorbell(struct doorbell *doorbell, bool thread_ends) {
  io_uring_queue_exit(&doorbell->ring);
  if (doorbell->joined) epoll_ctl(doorbell->epoll_fd, EPOLL_CTL_DEL, doorbell->event_fd, NULL);
  if (doorbell->polled && thread_ends && has_runtime_event(doorbell))
    close(doorbell->runtime_event);
  close(doorbell->event_fd);
  close(doorbell->pair[0]);
  /* A runtime that ends with its thread may not close the end that it adopted. */
  if (!doorbell->taken || (thread_ends && has_runtime_end(doorbell))) close(doorbell->pair[1]);
}

int32_t ur_ring_doorbell(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  ring->doorbell.taken = true;
  return ring->doorbell.pair[1];
}

int32_t ur_ring_event(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  if (ring->doorbell.polled) return -EALREADY;
  int fd = fcntl(ring->doorbell.event_fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return -errno;
  ring->doorbell.runtime_event = fd;
  ring->doorbell.polled = true;
  return fd;
}

int32_t ur_ring_event_back(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring || !ring->doorbell.polled) return -EPERM;
  if (has_runtime_event(&ring->doorbell)) close(ring->doorbell.runtime_event);
  ring->doorbell.polled = false;
  return 0;
}

int32_t ur_ring_doorbell_back(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  if (has_runtime_end(&ring->doorbell)) ring->doorbell.taken = false;
  return 0;
}
