/*
 * Facts about the library, the system and its kernel: the layout for the check at load, facts for
 * messages, and features that are tried on a ring.
 */

/* In the order of `LAYOUT` in ffi/layout.ts. */
static const uint32_t layout[] = {
    UR_ABI_VERSION,
    UR_BUILD_TIME,
    UR_SOURCE_HASH,
    UR_HEADER_WORDS,
    UR_RUNG_WORD,
    UR_OP_CAPACITY,
    sizeof(struct ur_op),
    UR_COMPLETION_CAPACITY,
    sizeof(struct ur_completion),
    UR_BLOCK_COUNT,
    UR_BLOCK_BYTES,
    UR_IOVEC_MAX,
    UR_ADDRESS_BYTES,
    UR_BUFFER_MAX,
    UR_BUFFER_GROUPS,
    offsetof(struct ur_op, fd),
    offsetof(struct ur_op, flags),
    offsetof(struct ur_completion, result),
    IORING_CQE_F_SOCK_NONEMPTY,
    IORING_CQE_BUFFER_SHIFT,
};

int32_t ur_layout(uint32_t index) {
  if (index >= sizeof(layout) / sizeof(layout[0])) return -EINVAL;
  return (int32_t)layout[index];
}

int32_t ur_system(void *text, uint32_t capacity) {
  struct utsname name;
  if (uname(&name) < 0) return -errno;
  char disabled[16] = "";
  int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t n = read(fd, disabled, sizeof(disabled) - 1);
    disabled[n > 0 ? strcspn(disabled, "\n") : 0] = 0;
    close(fd);
  }
  struct rlimit limit = {0, 0};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  int n = snprintf(text, capacity, "%s\n%s\n%lld", name.release, disabled,
                   limit.rlim_cur == RLIM_INFINITY ? -1LL : (long long)limit.rlim_cur);
  return n < 0 || (uint32_t)n >= capacity ? -ENOSPC : n;
}

/* Constants of headers that are newer than those of liburing 2.3. */
#define FEATURE_RECVSEND_BUNDLE (1u << 14)
#define BUFFER_RING_INCREMENTAL 2u

#define PROBE_BUFFERS 2u
#define PROBE_BUFFER_BYTES 64u
#define PROBE_WAIT_NS 20000000

/* Registers a ring of buffers at `memory`. */
static int32_t probe_buffers(struct io_uring *ring, void *memory, uint16_t flags) {
  struct io_uring_buf_reg registration;
  memset(&registration, 0, sizeof(registration));
  registration.ring_addr = (uintptr_t)memory;
  registration.ring_entries = PROBE_BUFFERS;
  /* The field after bgid is padding in old headers, and flags in new ones. */
  memcpy((char *)&registration + offsetof(struct io_uring_buf_reg, bgid) + sizeof(uint16_t), &flags,
         sizeof(flags));
  io_uring_buf_ring_init(memory);
  return io_uring_register_buf_ring(ring, &registration, 0);
}

/* The number of completions of a receive that finds one byte and the end of the stream: 2 when
 * it is multishot. */
static uint32_t probe_receive(struct io_uring *ring, int fd) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  uint32_t seen = 0;
  for (bool more = true; more;) {
    struct __kernel_timespec limit = {.tv_sec = 0, .tv_nsec = PROBE_WAIT_NS};
    struct io_uring_cqe *cqe = NULL;
    if (io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL) < 0 || !cqe) break;
    more = cqe->flags & IORING_CQE_F_MORE;
    seen += cqe->res >= 0;
    io_uring_cqe_seen(ring, cqe);
  }
  return seen;
}

static bool probe_multishot(struct io_uring *ring, struct io_uring_buf_ring *buffers,
                            uint8_t *bytes) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return false;
  for (uint16_t i = 0; i < PROBE_BUFFERS; i++)
    io_uring_buf_ring_add(buffers, bytes + i * PROBE_BUFFER_BYTES, PROBE_BUFFER_BYTES, i,
                          PROBE_BUFFERS - 1, i);
  io_uring_buf_ring_advance(buffers, PROBE_BUFFERS);
  bool sent = send(ends[1], "!", 1, MSG_NOSIGNAL) == 1;
  close(ends[1]);
  bool many = sent && probe_receive(ring, ends[0]) > 1;
  close(ends[0]);
  return many;
}

static uint32_t probe_opcodes(struct io_uring *ring) {
  struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
  if (!probe) return 0;
  bool zero_copy = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
  io_uring_free_probe(probe);
  return zero_copy ? UR_FEATURE_SEND_ZERO_COPY : 0;
}

/* The features of an open ring. A feature that cannot be tried, for example for lack of
 * descriptors, counts as missing. */
static uint32_t probe_features(struct io_uring *ring) {
  static uint8_t *memory; /* a page for a ring of buffers, one for the buffers; never unmapped */
  static pthread_mutex_t probing = PTHREAD_MUTEX_INITIALIZER;
  uint32_t found = UR_FEATURE_DEFER_TASKRUN | UR_FEATURE_SINGLE_ISSUER | probe_opcodes(ring);
  if (ring->features & FEATURE_RECVSEND_BUNDLE) found |= UR_FEATURE_BUNDLES;
  pthread_mutex_lock(&probing);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (!memory) memory = map_memory(2 * page);
  if (memory && probe_buffers(ring, memory, 0) == 0) {
    found |= UR_FEATURE_PROVIDED_BUFFER_RINGS;
    if (probe_multishot(ring, (struct io_uring_buf_ring *)memory, memory + page))
      found |= UR_FEATURE_MULTISHOT_RECEIVE;
    io_uring_unregister_buf_ring(ring, 0);
    if (probe_buffers(ring, memory, BUFFER_RING_INCREMENTAL) == 0) {
      found |= UR_FEATURE_INCREMENTAL_BUFFERS;
      io_uring_unregister_buf_ring(ring, 0);
    }
  }
  pthread_mutex_unlock(&probing);
  return found;
}

int32_t ur_probe(void) {
  struct ring ring;
  memset(&ring, 0, sizeof(ring));
  int32_t result = open_data(&ring, 8, 16, 0);
  if (result < 0) return result;
  uint32_t features = probe_features(&ring.data);
  close_doorbell(&ring.doorbell, false);
  io_uring_queue_exit(&ring.data);
  return (int32_t)features;
}
