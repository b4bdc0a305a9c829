/*
 * The opening of a ring, its end, and its end together with its thread.
 *
 *   free --ur_ring_open--> open --drained--> free
 *                            \--UR_DRAIN_MS passed--> abandoned
 *
 * Invariants
 * - A ring drains before its descriptors are closed: its operations are cancelled and awaited for
 *   at most UR_DRAIN_MS. A ring that does not drain in that time is abandoned, and neither the ring
 *   nor any slab of its thread is reused.
 * - A thread-specific destructor ends the rings of a thread that ends.
 */

/* The largest number of operations that are cancelled together. More would take the kernel too
 * long. */
#define CANCEL_ALL_MAX 1024u

/* ---- opening ----------------------------------------------------------------------------- */

static int32_t open_buffers(struct ring *ring, uint32_t group) {
  struct io_uring_buf_ring *buffers = ring->buffers[group];
  if (!buffers) buffers = map_memory(UR_BUFFER_MAX * sizeof(struct io_uring_buf));
  if (!buffers) return -ENOMEM;
  ring->buffers[group] = buffers;
  struct io_uring_buf_reg registration;
  memset(&registration, 0, sizeof(registration));
  registration.ring_addr = (uintptr_t)buffers;
  registration.ring_entries = UR_BUFFER_MAX;
  registration.bgid = (uint16_t)group;
  io_uring_buf_ring_init(buffers);
  return io_uring_register_buf_ring(&ring->data, &registration, 0);
}

static int32_t open_data(struct ring *ring, uint32_t entries, uint32_t completion_entries,
                         uint32_t flags) {
  struct io_uring_params params;
  memset(&params, 0, sizeof(params));
  params.flags = setup_flags(flags);
  params.cq_entries = completion_entries;
  params.sq_thread_idle = 50; /* milliseconds until the kernel's polling thread sleeps */
  int32_t result = io_uring_queue_init_params(entries, &ring->data, &params);
  if (result < 0) return result;
  ring->polled = flags & UR_OPEN_SQPOLL;
  io_uring_ring_dontfork(&ring->data);
  /* Saves a descriptor lookup on each enter. May fail, because a thread has only 16 such places. */
  io_uring_register_ring_fd(&ring->data);
  for (uint32_t i = 0; flags & UR_OPEN_BUFFERS && i < UR_BUFFER_GROUPS && result == 0; i++)
    result = open_buffers(ring, i);
  if (result == 0)
    result = open_doorbell(ring, flags & UR_OPEN_PACKETS ? SOCK_SEQPACKET : SOCK_STREAM);
  if (result < 0) io_uring_queue_exit(&ring->data);
  return result;
}

/* Maps the memory of one more ring. NULL when there is no memory. */
static struct ring *map_ring(uint32_t id) {
  struct ring *ring = map_memory(sizeof(struct ring));
  if (!ring) return NULL;
  ring->id = id;
  ring->messages = map_memory(UR_BLOCK_COUNT * sizeof(struct message));
  if (ring->messages) return ring;
  munmap(ring, sizeof(struct ring));
  return NULL;
}

/* Takes a recycled or a new ring for this thread. Returns its index, or -errno. Under the lock. */
static int32_t take_ring(void) {
  for (uint32_t i = 0; i < RING_MAX; i++) {
    struct ring *ring = rings[i];
    if (ring && (ring->open || ring->abandoned)) continue;
    if (!ring) {
      ring = map_ring(i);
      if (!ring) return -ENOMEM;
      rings[i] = ring;
    }
    /* The order matters: the former owner must not find the ring open and still its own. */
    ring->owner = pthread_self();
    ring->open = true;
    return (int32_t)i;
  }
  return -ENOSPC;
}

/* Maps the control slab and opens the ring of the kernel. */
static int32_t start_ring(struct ring *ring, uint32_t entries, uint32_t completion_entries,
                          uint32_t flags) {
  int32_t slab = ur_slab_map(CONTROL_BYTES);
  if (slab < 0) return slab;
  uint8_t *base = slabs[slab].base;
  ring->control = (uint32_t)slab;
  ring->header = (uint32_t *)base;
  ring->ops = (struct ur_op *)(base + CONTROL_OPS);
  ring->completions = (struct ur_completion *)(base + CONTROL_COMPLETIONS);
  ring->blocks = base + CONTROL_BLOCKS;
  ring->in_flight = 0;
  ring->doorbell.armed = ring->doorbell.taken = ring->doorbell.polled = ring->doorbell.joined =
      false;
  int32_t result = open_data(ring, entries, completion_entries, flags);
  if (result < 0) {
    ur_slab_release(ring->control);
    return result;
  }
  atomic_store(&slabs[slab].state, SLAB_HELD);
  return 0;
}

int32_t ur_ring_open(uint32_t entries, uint32_t completion_entries, uint32_t flags) {
  pthread_mutex_lock(&lock);
  int32_t id = take_ring();
  pthread_mutex_unlock(&lock);
  if (id < 0) return id;
  struct ring *ring = rings[id];
  int32_t result = start_ring(ring, entries, completion_entries, flags);
  if (result < 0) {
    ring->open = false;
    return result;
  }
  end_with_thread();
  return id;
}

int32_t ur_ring_control(uint32_t id) {
  struct ring *ring = ring_at(id);
  return ring ? (int32_t)ring->control : -EPERM;
}

/* ---- ending ------------------------------------------------------------------------------ */

/* Ends the receives on every connection of a ring. The peers do not notice. Listeners are not
 * touched, because a forked process may share them. */
static void end_receives(uint32_t ring) {
  uint32_t end = atomic_load(&descriptor_end);
  for (uint32_t fd = 0; fd < end; fd++) {
    if (atomic_load_explicit(&descriptor_ring[fd], memory_order_relaxed) != ring + 1) continue;
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens)
      shutdown((int)fd, SHUT_RD);
  }
}

/*
 * Cancels the operations in flight and waits until they have landed. False when the time ran out.
 *
 * For each cancel, the kernel searches all operations: 1,000 of them take 6 ms, 8,000 take 400 ms.
 * When there are many, receives are ended by shutting the receive halves of their sockets, in
 * constant time each. While more than CANCEL_ALL_MAX operations are left, none is cancelled.
 */
static bool retire_operations(struct ring *ring, uint64_t end_ns) {
  struct io_uring_sync_cancel_reg cancel;
  memset(&cancel, 0, sizeof(cancel));
  cancel.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  cancel.timeout.tv_nsec = 1000000;
  if (ring->in_flight > CANCEL_ALL_MAX) end_receives(ring->id);
  while (ring->in_flight) {
    if (ring->in_flight <= CANCEL_ALL_MAX) io_uring_register_sync_cancel(&ring->data, &cancel);
    /* One enter runs only a few completions, and another cancel would search the rest again. */
    do {
      enter(ring);
      while (collect(ring, 0) == UR_COMPLETION_CAPACITY) {
      }
    } while (ring->in_flight && pending_flags(ring) && now_ns() < end_ns);
    if (ring->in_flight == 0 || now_ns() >= end_ns) break;
    struct __kernel_timespec moment = {.tv_sec = 0, .tv_nsec = 1000000};
    struct io_uring_cqe *cqe;
    io_uring_submit_and_wait_timeout(&ring->data, &cqe, 1, &moment, NULL);
  }
  return ring->in_flight == 0;
}

static uint64_t drain_end_ns(void) { return now_ns() + UR_DRAIN_MS * 1000000u; }

static int32_t end_ring(struct ring *ring, uint64_t end_ns, bool thread_ends) {
  fault_forget(ring->id);
  bool drained = retire_operations(ring, end_ns);
  close_all(ring->id);
  close_doorbell(&ring->doorbell, thread_ends);
  io_uring_queue_exit(&ring->data);
  if (!drained) ring->abandoned = kernel_lingers = true;
  atomic_store(&slabs[ring->control].state, SLAB_USED);
  ring->open = false;
  return drained ? 0 : -EBUSY;
}

int32_t ur_ring_close(uint32_t id) {
  struct ring *ring = ring_at(id);
  return ring ? end_ring(ring, drain_end_ns(), false) : -EPERM;
}

/* Runs on the thread that ends, for example that of a worker. */
static void end_thread(void *unused) {
  (void)unused;
  uint64_t end_ns = drain_end_ns();
  for (uint32_t i = 0; i < RING_MAX; i++) {
    struct ring *ring = ring_at(i);
    if (ring) end_ring(ring, end_ns, true);
  }
  pthread_mutex_lock(&lock);
  for (uint32_t i = 0; i < slab_count; i++) {
    struct slab *slab = slab_at(i);
    if (slab) recycle_slab(slab);
  }
  pthread_mutex_unlock(&lock);
}

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;

static void make_key(void) { pthread_key_create(&thread_key, end_thread); }

static void end_with_thread(void) {
  pthread_once(&key_once, make_key);
  pthread_setspecific(thread_key, &thread_key);
}
