/*
 * uringnet shim: thin C over liburing. No policy: what to submit, retry, time out or own is decided
 * by the caller; this file checks bounds, prepares entries, enters the kernel and copies back.
 *
 * The order of events in one turn:
 *   op records --stage()--> submission queue --enter()--> kernel --collect()--> completion records
 *
 * Waking a sleeping event loop, with kernel objects only:
 *   data ring --eventfd--> bell ring: READ(eventfd) linked to SEND(pair[0]) --> pair[1] in the
 *   runtime's own epoll. The eventfd is enabled only while armed: a busy ring rings nothing.
 *
 * Invariants
 * - Slabs, rings and their private memory are mapped once and recycled, never unmapped: the kernel
 *   may finish late, and a view in the caller's heap may outlive everything.
 * - A thread that ends takes its rings with it (thread-specific destructor): operations are
 *   cancelled and awaited for at most EXIT_WAIT_MS, then descriptors are closed. A ring that does
 *   not drain in that time is abandoned, and no slab of its thread is handed out again.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <liburing.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Slabs of one process. 65,536 x 4 MiB is 256 GiB of address space: more than any pool asks for. */
#define SLAB_MAX 65536u
/* Rings of one process: 2 for each of 512 threads with a split network. */
#define RING_MAX 1024u
/* Descriptor numbers that can be owned: the kernel's own default ceiling (fs.nr_open). */
#define DESCRIPTOR_MAX (1u << 20)
/* Bell ring: one chain of two entries is armed at a time. */
#define BELL_ENTRIES 8u
#define GROUP_WATCH 1
/* Enters in one turn. 6.13+ runs 20 deferred completions in each: 128 x 20 exceeds the region. */
#define ENTER_MAX 128u
#define EXIT_WAIT_MS 1000
/* Waits for room in the queue of a polled ring, each of which other work may end early. */
#define ROOM_WAIT_MAX 100u
/* Between two looks at the clock: some 0.1 us. */
#define LOOK_RELAX_COUNT 8u
/* Unread bytes that a graceful close throws away, in steps, before it closes all the same. */
#define DISCARD_STEP_BYTES (1u << 16)
#define DISCARD_STEP_MAX 256u
/* user_data of entries whose completion nobody waits for. */
#define USER_DATA_NONE UINT64_MAX
/* Bit of user_data that marks an accept. */
#define ACCEPT_TAG 0x80000000u
/* Slots stay below it: the last accept would else be taken for an entry that nobody waits for. */
#define SLOT_MAX (ACCEPT_TAG - 1)

enum slab_state {
  SLAB_FREE = 0, /* or never mapped */
  SLAB_USED = 1,
  SLAB_HELD = 2, /* the control slab of an open ring: not to be released */
  SLAB_LOST = 3, /* the kernel may still write to it: never used again */
};

struct slab {
  uint8_t *base;
  uint32_t size;
  _Atomic uint32_t state; /* enum slab_state */
  _Atomic pthread_t owner;
};

/* What the kernel reads for one SENDMSG or ACCEPT, private to C; one for each block. */
struct message {
  struct msghdr header;
  struct iovec iovecs[UR_IOVEC_MAX];
};

struct ring {
  struct io_uring data;
  struct io_uring bell;
  _Atomic pthread_t owner;
  uint32_t control; /* slab id */
  uint32_t *header;
  struct ur_op *ops;
  struct ur_completion *completions;
  uint8_t *blocks;
  struct message *messages;
  struct io_uring_buf_ring *buffers[UR_BUFFER_GROUPS];
  uint64_t event_value;
  int event_fd;
  int pair[2]; /* [0] is written by the bell ring, [1] is adopted by the runtime */
  dev_t pair_device;
  ino_t pair_inode;
  uint64_t turn_bytes; /* that the completions of this turn moved */
  uint32_t in_flight;
  uint32_t id;
  _Atomic bool open;
  bool abandoned; /* did not drain: never used again */
  bool polled;    /* SQPOLL: the kernel's thread takes entries */
  bool armed;
  bool bell_taken; /* pair[1] was handed to the runtime, which closes it */
  bool renews;     /* the eventfd is registered anew each time the bell is armed */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static struct slab slabs[SLAB_MAX];
static uint32_t slab_count;
static struct ring *_Atomic rings[RING_MAX];
/* Ring id + 1 of the ring that owns the descriptor, 0 when it is not ours. */
static _Atomic uint16_t descriptor_ring[DESCRIPTOR_MAX];
static _Atomic uint32_t descriptor_end; /* one past the highest number ever owned */
/* A ring of this thread did not drain: the kernel may still write to any slab of the thread. */
static __thread bool kernel_lingers;

static const uint32_t layout[] = {
    UR_ABI_VERSION,
    UR_BUILD_TIME,
    UR_SOURCE_HASH,
    UR_HEADER_WORDS,
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

_Static_assert(sizeof(struct ur_op) == 32, "op record");
_Static_assert(sizeof(struct ur_completion) == 16, "completion record");
_Static_assert(UR_IOVEC_MAX * 12 <= UR_BLOCK_BYTES, "a block holds a full iovec batch");
_Static_assert(UR_ADDRESS_BYTES + 4 <= UR_BLOCK_BYTES, "a block holds an address and its length");
_Static_assert(sizeof(struct sockaddr_storage) == UR_ADDRESS_BYTES, "address");

#define CONTROL_OPS (UR_HEADER_WORDS * 4u)
#define CONTROL_COMPLETIONS (CONTROL_OPS + UR_OP_CAPACITY * 32u)
#define CONTROL_BLOCKS (CONTROL_COMPLETIONS + UR_COMPLETION_CAPACITY * 16u)
#define CONTROL_BYTES (CONTROL_BLOCKS + UR_BLOCK_COUNT * UR_BLOCK_BYTES)

int32_t ur_layout(uint32_t index) {
  if (index >= sizeof(layout) / sizeof(layout[0])) return -EINVAL;
  return (int32_t)layout[index];
}

/* ---- slabs ------------------------------------------------------------------------------- */

static void watch_thread(void);

static void *map_memory(size_t size) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}

int32_t ur_slab_map(uint32_t size) {
  if (size == 0 || size > (1u << 30)) return -EINVAL;
  int32_t id = -ENOMEM;
  pthread_mutex_lock(&lock);
  for (uint32_t i = 0; i < slab_count; i++) {
    if (slabs[i].size == size && atomic_load(&slabs[i].state) == SLAB_FREE) {
      id = (int32_t)i;
      break;
    }
  }
  if (id < 0 && slab_count < SLAB_MAX) {
    uint8_t *base = map_memory(size);
    if (base) {
      /* A child must not see, and its exit not disturb, memory that the kernel fills for us. */
      madvise(base, size, MADV_DONTFORK);
      id = (int32_t)slab_count;
      slabs[slab_count].base = base;
      slabs[slab_count].size = size;
      slab_count++;
    }
  }
  if (id >= 0) {
    atomic_store_explicit(&slabs[id].owner, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&slabs[id].state, SLAB_USED, memory_order_release);
  }
  pthread_mutex_unlock(&lock);
  if (id >= 0) watch_thread();
  return id;
}

static uint32_t slab_state(uint32_t id) {
  return id < SLAB_MAX ? atomic_load_explicit(&slabs[id].state, memory_order_acquire) : SLAB_FREE;
}

static bool is_mine(_Atomic pthread_t *owner) {
  return pthread_equal(atomic_load_explicit(owner, memory_order_relaxed), pthread_self());
}

/* A slab that this thread may name. */
static struct slab *slab_at(uint32_t id) {
  uint32_t state = slab_state(id);
  if (state != SLAB_USED && state != SLAB_HELD) return NULL;
  return is_mine(&slabs[id].owner) ? &slabs[id] : NULL;
}

void *ur_slab_address(uint32_t id) {
  struct slab *slab = slab_at(id);
  return slab ? slab->base : NULL;
}

/* Under the lock. */
static void recycle_slab(struct slab *slab) {
  if (!kernel_lingers) madvise(slab->base, slab->size, MADV_DONTNEED);
  uint32_t state = kernel_lingers ? SLAB_LOST : SLAB_FREE;
  atomic_store_explicit(&slab->state, state, memory_order_release);
}

int32_t ur_slab_release(uint32_t id) {
  uint32_t state = slab_state(id);
  if (state != SLAB_USED && state != SLAB_HELD) return -EINVAL;
  struct slab *slab = slab_at(id);
  if (!slab) return -EPERM;
  if (state == SLAB_HELD) return -EBUSY;
  pthread_mutex_lock(&lock);
  recycle_slab(slab);
  pthread_mutex_unlock(&lock);
  return 0;
}

/* The address of slab/offset/length, or NULL when any byte of it lies outside. */
static uint8_t *resolve(uint32_t id, uint32_t offset, uint32_t length) {
  struct slab *slab = slab_at(id);
  if (!slab || length == 0 || offset > slab->size || length > slab->size - offset) return NULL;
  return slab->base + offset;
}

/* ---- system ------------------------------------------------------------------------------ */

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

static unsigned setup_flags(uint32_t flags) {
  unsigned common = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  if (flags & UR_OPEN_SQPOLL) return common | IORING_SETUP_SQPOLL;
  return common | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
         IORING_SETUP_TASKRUN_FLAG;
}

/* ---- descriptors ------------------------------------------------------------------------- */

static struct ring *ring_at(uint32_t id) {
  if (id >= RING_MAX) return NULL;
  struct ring *ring = atomic_load_explicit(&rings[id], memory_order_acquire);
  if (!ring || !atomic_load_explicit(&ring->open, memory_order_acquire)) return NULL;
  return is_mine(&ring->owner) ? ring : NULL;
}

/* Two rings of one thread (one for each direction) share their descriptors. */
static bool owns(int32_t fd) {
  if (fd < 0 || (uint32_t)fd >= DESCRIPTOR_MAX) return false;
  uint32_t id = atomic_load_explicit(&descriptor_ring[fd], memory_order_relaxed);
  return id != 0 && ring_at(id - 1) != NULL;
}

/* 0 when the calling thread owns both. */
static int32_t refusal(uint32_t ring, int32_t fd) {
  if (!ring_at(ring)) return -EPERM;
  return owns(fd) ? 0 : -EBADF;
}

static int32_t adopt(uint32_t ring, int32_t fd) {
  if ((uint32_t)fd >= DESCRIPTOR_MAX) {
    close(fd);
    return -EMFILE;
  }
  atomic_store_explicit(&descriptor_ring[fd], (uint16_t)(ring + 1), memory_order_relaxed);
  uint32_t end = atomic_load_explicit(&descriptor_end, memory_order_relaxed);
  while (end <= (uint32_t)fd &&
         !atomic_compare_exchange_weak(&descriptor_end, &end, (uint32_t)fd + 1)) {
  }
  return fd;
}

static void close_owned(int32_t fd) {
  atomic_store_explicit(&descriptor_ring[fd], 0, memory_order_relaxed);
  close(fd);
}

static void close_all(uint32_t ring) {
  uint32_t end = atomic_load(&descriptor_end);
  for (uint32_t fd = 0; fd < end; fd++)
    if (atomic_load_explicit(&descriptor_ring[fd], memory_order_relaxed) == ring + 1)
      close_owned((int32_t)fd);
}

/* ---- staging ----------------------------------------------------------------------------- */

static void note_enter(struct ring *ring, int result, unsigned submitted_before) {
  ring->header[UR_HEADER_ENTERS]++;
  ring->header[UR_HEADER_ENTER_ERROR] = result < 0 ? (uint32_t)-result : 0;
  ring->header[UR_HEADER_SUBMISSIONS] += submitted_before - io_uring_sq_ready(&ring->data);
}

static _Atomic unsigned *queue_flags(struct ring *ring) {
  return (_Atomic unsigned *)ring->data.sq.kflags;
}

/*
 * Submits what is staged and runs deferred completions. EINTR, EAGAIN and EBUSY mean: later.
 *
 * IORING_SQ_TASKRUN is taken off before: the kernel sets it after it has queued work, and when we
 * ran that work in between, the flag stays although nothing is left, and a loop that believes it
 * never ends (seen: 96 enters for each completion). The kernel never reads the flag, and what is
 * queued at this moment is run by this enter, or flagged again when that is too much for one. An
 * enter that failed has run nothing: the flag is put back.
 */
static void enter(struct ring *ring) {
  unsigned ready = io_uring_sq_ready(&ring->data);
  unsigned flagged = atomic_load(queue_flags(ring)) & IORING_SQ_TASKRUN;
  if (flagged) atomic_fetch_and(queue_flags(ring), ~IORING_SQ_TASKRUN);
  int result = io_uring_submit_and_get_events(&ring->data);
  if (flagged && (result < 0 || io_uring_sq_ready(&ring->data)))
    atomic_fetch_or(queue_flags(ring), flagged);
  note_enter(ring, result, ready);
}

/* A wait for room ends early when there is other work for this thread, such as the bell's. */
static struct io_uring_sqe *take_entry(struct ring *ring) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->data);
  if (sqe) return sqe;
  unsigned ready = io_uring_sq_ready(&ring->data);
  note_enter(ring, io_uring_submit(&ring->data), ready);
  sqe = io_uring_get_sqe(&ring->data);
  for (uint32_t i = 0; !sqe && ring->polled && i < ROOM_WAIT_MAX; i++) {
    io_uring_sqring_wait(&ring->data);
    sqe = io_uring_get_sqe(&ring->data);
  }
  return sqe;
}

static uint8_t *block_at(struct ring *ring, uint32_t block) {
  return block < UR_BLOCK_COUNT ? ring->blocks + (size_t)block * UR_BLOCK_BYTES : NULL;
}

/* Builds the private iovecs of a block from its triples. */
static struct msghdr *build_message(struct ring *ring, uint32_t block, uint32_t count) {
  uint8_t *bytes = block_at(ring, block);
  if (!bytes || count == 0 || count > UR_IOVEC_MAX) return NULL;
  struct message *message = &ring->messages[block];
  const uint32_t *triple = (const uint32_t *)bytes;
  for (uint32_t i = 0; i < count; i++, triple += 3) {
    uint32_t length = triple[2];
    uint8_t *base = resolve(triple[0], triple[1], length);
    if (!base) return NULL;
    message->iovecs[i].iov_base = base;
    message->iovecs[i].iov_len = length;
  }
  memset(&message->header, 0, sizeof(message->header));
  message->header.msg_iov = message->iovecs;
  message->header.msg_iovlen = count;
  return &message->header;
}

/* Prepares one entry. 0, or -errno when the record must not reach the kernel. */
static int32_t prepare(struct ring *ring, const struct ur_op *op, struct io_uring_sqe *sqe) {
  uint8_t *bytes;
  struct msghdr *header;
  switch (op->opcode) {
    case UR_OP_NOP:
      io_uring_prep_nop(sqe);
      return 0;
    case UR_OP_RECV:
      if (!(bytes = resolve(op->slab, op->offset, op->length))) return -EFAULT;
      io_uring_prep_recv(sqe, op->fd, bytes, op->length, 0);
      break;
    case UR_OP_RECV_SELECT:
      if (op->slab >= UR_BUFFER_GROUPS || op->slab == GROUP_WATCH) return -EFAULT;
      if (!ring->buffers[op->slab] || op->length == 0) return -ENOBUFS;
      io_uring_prep_recv(sqe, op->fd, NULL, op->length, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = (uint16_t)op->slab;
      break;
    case UR_OP_RECV_WATCH:
      if (!ring->buffers[GROUP_WATCH]) return -ENOBUFS;
      io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = GROUP_WATCH;
      break;
    case UR_OP_SEND:
      if (!(bytes = resolve(op->slab, op->offset, op->length))) return -EFAULT;
      io_uring_prep_send(sqe, op->fd, bytes, op->length, MSG_NOSIGNAL | MSG_WAITALL);
      break;
    case UR_OP_SENDMSG:
      if (!(header = build_message(ring, op->slab, op->length))) return -EFAULT;
      io_uring_prep_sendmsg(sqe, op->fd, header, MSG_NOSIGNAL | MSG_WAITALL);
      break;
    case UR_OP_ACCEPT:
      if (!(bytes = block_at(ring, op->slab))) return -EFAULT;
      *(uint32_t *)(bytes + UR_ADDRESS_BYTES) = UR_ADDRESS_BYTES;
      io_uring_prep_accept(sqe, op->fd, (struct sockaddr *)bytes,
                           (socklen_t *)(bytes + UR_ADDRESS_BYTES), SOCK_CLOEXEC);
      break;
    case UR_OP_CONNECT:
      if (!(bytes = block_at(ring, op->slab)) || op->length > UR_ADDRESS_BYTES) return -EFAULT;
      io_uring_prep_connect(sqe, op->fd, (struct sockaddr *)bytes, op->length);
      break;
    default:
      return -EINVAL;
  }
  if (op->flags) {
    /* The same bit would make an accept multishot. */
    bool carries = op->opcode != UR_OP_ACCEPT && op->opcode != UR_OP_CONNECT;
    if (op->flags != UR_FLAG_POLL_FIRST || !carries) return -EINVAL;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  }
  return owns(op->fd) ? 0 : -EBADF;
}

static uint64_t user_data(uint32_t slot, uint32_t generation) {
  return ((uint64_t)generation << 32) | slot;
}

static int32_t provide(struct ring *ring, const struct ur_op *op) {
  uint8_t *bytes = resolve(op->slab, op->offset, op->length);
  uint32_t group = (uint32_t)op->fd;
  if (group >= UR_BUFFER_GROUPS || op->slot >= UR_BUFFER_MAX || !bytes) return -EFAULT;
  struct io_uring_buf_ring *buffers = ring->buffers[group];
  if (!buffers) return -EFAULT;
  unsigned short id = (unsigned short)op->slot;
  io_uring_buf_ring_add(buffers, bytes, op->length, id, UR_BUFFER_MAX - 1, 0);
  io_uring_buf_ring_advance(buffers, 1);
  return 0;
}

#ifdef UR_FAULTS
#include "faults.h"
#endif

/* 0: the record went to the kernel or needs no completion. Else the result to report. */
static int32_t submit(struct ring *ring, const struct ur_op *op) {
  struct io_uring_sqe *sqe = take_entry(ring);
  if (!sqe) return -EAGAIN;
  if (op->opcode == UR_OP_CANCEL) {
    uint32_t tag = op->flags & UR_FLAG_OF_ACCEPT ? ACCEPT_TAG : 0;
    io_uring_prep_cancel64(sqe, user_data(op->offset | tag, op->length), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, USER_DATA_NONE);
    return 0;
  }
  int32_t result = prepare(ring, op, sqe);
  if (result < 0) {
    /* The entry is taken already: it becomes a no-op that reports nothing. */
    io_uring_prep_nop(sqe);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, USER_DATA_NONE);
    return result;
  }
#ifdef UR_FAULTS
  if (op->opcode == UR_OP_RECV_WATCH && op->length) {
    sqe->ioprio &= (uint16_t)~IORING_RECV_MULTISHOT;
    sqe->len = op->length;
  }
#endif
  uint32_t tag = op->opcode == UR_OP_ACCEPT ? ACCEPT_TAG : 0;
  io_uring_sqe_set_data64(sqe, user_data(op->slot | tag, op->generation));
  ring->in_flight++;
  return 0;
}

static int32_t stage(struct ring *ring, const struct ur_op *op) {
#ifdef UR_FAULTS
  struct ur_op faulty = *op;
  int32_t verdict = fault_stage(ring, &faulty);
  if (verdict != FAULT_NONE) return verdict;
  op = &faulty;
#endif
  if (op->opcode == UR_OP_PROVIDE) return provide(ring, op);
  return op->slot >= SLOT_MAX ? -EINVAL : submit(ring, op);
}

/* ---- the turn ---------------------------------------------------------------------------- */

static void put(struct ring *ring, uint32_t at, uint64_t data, int32_t result, uint32_t flags) {
  struct ur_completion *record = &ring->completions[at];
  record->slot = (uint32_t)data;
  record->generation = (uint32_t)(data >> 32);
  record->result = result;
  record->flags = flags;
}

/* An accepted descriptor is owned from the moment it is seen, whoever still waits for it. */
static int32_t accepted(struct ring *ring, int32_t result) {
  return result < 0 ? result : adopt(ring->id, result);
}

/* Copies completions behind the first `count` records; returns the new count. */
static uint32_t collect(struct ring *ring, uint32_t count) {
  struct io_uring_cqe *cqe;
  unsigned head, seen = 0;
  io_uring_for_each_cqe(&ring->data, head, cqe) {
    if (count == UR_COMPLETION_CAPACITY) break;
#ifdef UR_FAULTS
    if (fault_full()) break;
#endif
    seen++;
    if (cqe->user_data == USER_DATA_NONE) continue;
    if (!(cqe->flags & IORING_CQE_F_MORE)) ring->in_flight--;
    uint64_t data = cqe->user_data;
    int32_t result = cqe->res;
    if (data & ACCEPT_TAG) {
      data &= ~(uint64_t)ACCEPT_TAG;
      result = accepted(ring, result);
    } else if (result > 0) {
      ring->turn_bytes += (uint64_t)result;
    }
#ifdef UR_FAULTS
    if (fault_hold(ring, data, result, cqe->flags)) continue;
#endif
    put(ring, count++, data, result, cqe->flags);
  }
  io_uring_cq_advance(&ring->data, seen);
  return count;
}

static unsigned pending_flags(struct ring *ring) {
  return atomic_load_explicit(queue_flags(ring), memory_order_acquire) &
         (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Entries that wait in the submission queue for an enter of ours. */
static bool unsubmitted(struct ring *ring) {
  return !ring->polled && io_uring_sq_ready(&ring->data) != 0;
}

static uint32_t drain(struct ring *ring, uint32_t count) {
  if (ring->polled && io_uring_sq_ready(&ring->data)) enter(ring);
  for (uint32_t i = 0; i < ENTER_MAX; i++) {
    unsigned pending = pending_flags(ring);
    if (pending & IORING_SQ_CQ_OVERFLOW) ring->header[UR_HEADER_OVERFLOWS]++;
    if (!pending && !unsubmitted(ring)) break;
    enter(ring);
    count = collect(ring, count);
    if (count >= UR_TURN_TARGET || ring->turn_bytes >= UR_TURN_BYTES) break;
    if (ring->header[UR_HEADER_ENTER_ERROR]) break;
  }
  return collect(ring, count);
}

static bool has_work(struct ring *ring) {
  return pending_flags(ring) || io_uring_cq_ready(&ring->data) || unsubmitted(ring);
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Waits for work without a system call, and not for long. */
static void look(struct ring *ring) {
  uint64_t end_ns = now_ns() + UR_LOOK_US * 1000u;
  while (!has_work(ring) && now_ns() < end_ns)
    for (uint32_t i = 0; i < LOOK_RELAX_COUNT; i++) relax();
}

int32_t ur_turn(uint32_t id, uint32_t op_count, uint32_t flags) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  if (op_count > UR_OP_CAPACITY) return -EINVAL;
  if (flags & UR_TURN_WOKEN) ring->armed = false;
  io_uring_cq_eventfd_toggle(&ring->data, false);
  uint32_t count = 0;
  ring->turn_bytes = 0;
#ifdef UR_FAULTS
  struct ur_op late;
  while (fault_release_cancel(ring, &late)) submit(ring, &late);
#endif
  for (uint32_t i = 0; i < op_count; i++) {
    const struct ur_op *op = &ring->ops[i];
    int32_t result = stage(ring, op);
#ifdef UR_FAULTS
    if (result == FAULT_LOST) continue;
    if (result == FAULT_ZERO) {
      put(ring, count++, user_data(op->slot, op->generation), 0, 0);
      continue;
    }
#endif
    if (result < 0) put(ring, count++, user_data(op->slot, op->generation), result, 0);
  }
  count = drain(ring, count);
  if (count == 0 && flags & UR_TURN_LOOK) {
    look(ring);
    count = drain(ring, count);
  }
#ifdef UR_FAULTS
  struct fault_completion held;
  while (count < UR_COMPLETION_CAPACITY && fault_release(ring, &held))
    put(ring, count++, held.data, held.result, held.flags);
#endif
  ring->header[UR_HEADER_COMPLETIONS] += count;
  ring->header[UR_HEADER_IN_FLIGHT] = ring->in_flight;
  ring->header[UR_HEADER_MORE] = has_work(ring);
#ifdef UR_FAULTS
  ring->header[UR_HEADER_MORE] |= fault_tick(ring);
#endif
  return (int32_t)count;
}

/* ---- the doorbell ------------------------------------------------------------------------ */

/* A completion on the bell ring means that a chain broke: skipped successes leave none. */
static void collect_bell(struct ring *ring) {
  struct io_uring_cqe *cqe;
  unsigned head, seen = 0;
  io_uring_for_each_cqe(&ring->bell, head, cqe) seen++;
  io_uring_cq_advance(&ring->bell, seen);
  if (seen) ring->armed = false;
}

static int32_t stage_bell(struct ring *ring) {
  struct io_uring_sqe *heard = io_uring_get_sqe(&ring->bell);
  struct io_uring_sqe *told = io_uring_get_sqe(&ring->bell);
  if (!heard || !told) return -EBUSY;
  io_uring_prep_read(heard, ring->event_fd, &ring->event_value, sizeof(ring->event_value), 0);
  heard->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  io_uring_prep_send(told, ring->pair[0], "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  told->flags |= IOSQE_CQE_SKIP_SUCCESS;
  return 0;
}

static int32_t arm_bell(struct ring *ring) {
  /* A chain that the kernel did not take the last time is still there. */
  if (io_uring_sq_ready(&ring->bell) == 0) {
    int32_t result = stage_bell(ring);
    if (result < 0) return result;
  }
  int submitted = io_uring_submit(&ring->bell);
  if (submitted < 0) return submitted;
  ring->armed = true;
  ring->header[UR_HEADER_ARMS]++;
  return 0;
}

/* A registration of its own for each wake-up, see `signals_late`. */
static int32_t renew_eventfd(struct ring *ring) {
  int result = io_uring_unregister_eventfd(&ring->data);
  if (result < 0 && result != -ENXIO) return result;
  return io_uring_register_eventfd(&ring->data, ring->event_fd);
}

int32_t ur_arm(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  collect_bell(ring);
  if (ring->renews) {
    int32_t result = renew_eventfd(ring);
    if (result < 0) return result;
  }
  io_uring_cq_eventfd_toggle(&ring->data, true);
  if (!ring->armed) {
    int32_t result = arm_bell(ring);
    if (result < 0) return result;
  }
  /* Enabled first, looked at second: work queued before the first store is seen here, work queued
   * after it signals the eventfd. */
  atomic_thread_fence(memory_order_seq_cst);
  return has_work(ring);
}

/* ---- opening and closing a ring ---------------------------------------------------------- */

/* Finds out whether the signal for work that a wake-up queues is late. 0 or -errno. */
static int32_t probe_signal(struct io_uring *ring, int event, const int ends[2], bool *late) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  uint64_t count;
  if (!sqe) return -EBUSY;
  io_uring_prep_poll_add(sqe, ends[0], POLLIN);
  int result = io_uring_register_eventfd(ring, event);
  if (result == 0) result = io_uring_submit(ring);
  if (result < 0) return result;
  if (write(ends[1], "!", 1) != 1) return -errno;
  *late = read(event, &count, sizeof(count)) != sizeof(count);
  return 0;
}

/*
 * Linux 6.12.115 and others leave the signal for work that a wake-up queues to a callback after an
 * RCU grace period, and queue that callback once for each registration: no second one ever comes.
 * Where the signal is late, or nobody can tell, the eventfd is registered anew for each sleep.
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
  params.cq_entries = 2 * BELL_ENTRIES;
  if (pipe2(ends, O_CLOEXEC) < 0) return late;
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event >= 0 && io_uring_queue_init_params(BELL_ENTRIES, &ring, &params) == 0) {
    if (probe_signal(&ring, event, ends, &late) == 0) known = late ? 2 : 1;
    io_uring_queue_exit(&ring);
  }
  if (event >= 0) close(event);
  close(ends[0]);
  close(ends[1]);
  return late;
}

static int32_t open_bell(struct ring *ring) {
  struct io_uring_params params;
  memset(&params, 0, sizeof(params));
  int result = io_uring_queue_init_params(BELL_ENTRIES, &ring->bell, &params);
  if (result < 0) return result;
  result = ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (result < 0) goto close_ring;
  result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ring->pair);
  if (result < 0) goto close_event;
  struct stat info;
  if (fstat(ring->pair[1], &info) == 0) {
    ring->pair_device = info.st_dev;
    ring->pair_inode = info.st_ino;
  }
  result = io_uring_register_eventfd(&ring->data, ring->event_fd);
  ring->renews = signals_late();
  /* Submits nothing: a filter that forbids entering is to be met now, not by the first turn. */
  if (result == 0) result = io_uring_get_events(&ring->data);
  if (result >= 0) return 0;
  errno = -result;
  close(ring->pair[0]);
  close(ring->pair[1]);
close_event:
  result = -errno;
  close(ring->event_fd);
  errno = -result;
close_ring:
  result = -errno;
  io_uring_queue_exit(&ring->bell);
  return result;
}

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
  int result = io_uring_queue_init_params(entries, &ring->data, &params);
  if (result < 0) return result;
  ring->polled = flags & UR_OPEN_SQPOLL;
  io_uring_ring_dontfork(&ring->data);
  /* Saves a descriptor look-up on each enter. Not fatal: a thread has only 16 such places. */
  io_uring_register_ring_fd(&ring->data);
  for (uint32_t i = 0; flags & UR_OPEN_BUFFERS && i < UR_BUFFER_GROUPS && result == 0; i++)
    result = open_buffers(ring, i);
  if (result == 0) result = open_bell(ring);
  if (result < 0) io_uring_queue_exit(&ring->data);
  return result;
}

static void close_bell(struct ring *ring, bool thread_ends);

int32_t ur_probe(void) {
  struct ring ring;
  memset(&ring, 0, sizeof(ring));
  int32_t result = open_data(&ring, 8, 16, 0);
  if (result < 0) return result;
  close_bell(&ring, false);
  io_uring_queue_exit(&ring.data);
  return 0;
}

/* Memory of a ring that was not there before, or NULL. */
static struct ring *map_ring(uint32_t id) {
  struct ring *ring = map_memory(sizeof(struct ring));
  if (!ring) return NULL;
  ring->id = id;
  ring->messages = map_memory(UR_BLOCK_COUNT * sizeof(struct message));
  if (ring->messages) return ring;
  munmap(ring, sizeof(struct ring));
  return NULL;
}

/* The index of a recycled ring or of a new one, now this thread's, or -errno. Under the lock. */
static int32_t take_ring(void) {
  for (uint32_t i = 0; i < RING_MAX; i++) {
    struct ring *ring = rings[i];
    if (ring && (ring->open || ring->abandoned)) continue;
    if (!ring) {
      ring = map_ring(i);
      if (!ring) return -ENOMEM;
      rings[i] = ring;
    }
    /* In this order: whoever had it before must not find it open and still his. */
    ring->owner = pthread_self();
    ring->open = true;
    return (int32_t)i;
  }
  return -ENOSPC;
}

/* Finds memory for the records, and opens the kernel's part. */
static int32_t fill_ring(struct ring *ring, uint32_t entries, uint32_t completion_entries,
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
  ring->armed = ring->bell_taken = false;
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
  int32_t result = fill_ring(ring, entries, completion_entries, flags);
  if (result < 0) {
    ring->open = false;
    return result;
  }
  watch_thread();
  return id;
}

int32_t ur_ring_control(uint32_t id) {
  struct ring *ring = ring_at(id);
  return ring ? (int32_t)ring->control : -EPERM;
}

int32_t ur_ring_bell(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  ring->bell_taken = true;
  return ring->pair[1];
}

/* Cancels what is in flight and waits for the kernel to hand it back. False: time ran out. */
static bool retire_operations(struct ring *ring) {
  struct io_uring_sync_cancel_reg cancel;
  memset(&cancel, 0, sizeof(cancel));
  cancel.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  cancel.timeout.tv_nsec = 1000000;
  for (int waited = 0; ring->in_flight && waited < EXIT_WAIT_MS; waited++) {
    io_uring_register_sync_cancel(&ring->data, &cancel);
    struct __kernel_timespec moment = {.tv_sec = 0, .tv_nsec = 1000000};
    struct io_uring_cqe *cqe;
    io_uring_submit_and_wait_timeout(&ring->data, &cqe, 1, &moment, NULL);
    io_uring_get_events(&ring->data);
    while (collect(ring, 0) == UR_COMPLETION_CAPACITY) {
    }
  }
  return ring->in_flight == 0;
}

static void close_bell(struct ring *ring, bool thread_ends) {
  io_uring_queue_exit(&ring->bell);
  close(ring->event_fd);
  close(ring->pair[0]);
  if (!ring->bell_taken) {
    close(ring->pair[1]);
    return;
  }
  /* A runtime that ends with its thread may have forgotten the end that it adopted. */
  struct stat info;
  if (thread_ends && fstat(ring->pair[1], &info) == 0 && info.st_dev == ring->pair_device &&
      info.st_ino == ring->pair_inode)
    close(ring->pair[1]);
}

static int32_t shut_ring(struct ring *ring, bool thread_ends) {
#ifdef UR_FAULTS
  fault_forget(ring->id);
#endif
  bool drained = retire_operations(ring);
  close_all(ring->id);
  close_bell(ring, thread_ends);
  io_uring_queue_exit(&ring->data);
  if (!drained) ring->abandoned = kernel_lingers = true;
  atomic_store(&slabs[ring->control].state, SLAB_USED);
  ring->open = false;
  return drained ? 0 : -EBUSY;
}

int32_t ur_ring_close(uint32_t id) {
  struct ring *ring = ring_at(id);
  return ring ? shut_ring(ring, false) : -EPERM;
}

/* Runs on the ending thread: with a worker of either runtime, and with nothing else. */
static void end_thread(void *unused) {
  (void)unused;
  for (uint32_t i = 0; i < RING_MAX; i++) {
    struct ring *ring = ring_at(i);
    if (ring) shut_ring(ring, true);
  }
  pthread_mutex_lock(&lock);
  for (uint32_t i = 0; i < slab_count; i++) {
    struct slab *slab = slab_at(i);
    if (slab) recycle_slab(slab);
  }
  pthread_mutex_unlock(&lock);
}

static void make_key(void) { pthread_key_create(&thread_key, end_thread); }

static void watch_thread(void) {
  pthread_once(&once, make_key);
  pthread_setspecific(thread_key, &thread_key);
}

/* ---- sockets ----------------------------------------------------------------------------- */

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

/* What does not wait by itself would answer -EAGAIN, where the ring is to wait for it. */
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
  return adopt(id, fd) < 0 ? -EMFILE : family;
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

/* Nobody else takes from this queue, and a connection that was reset stays in it: what poll has
 * seen is there for accept4, which would wait for it otherwise. */
int32_t ur_accept(uint32_t id, int32_t fd, uint32_t block) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  uint8_t *bytes = block_at(ring_at(id), block);
  if (!bytes) return -EFAULT;
#ifdef UR_FAULTS
  if ((result = fault_accept(fd)) != FAULT_NONE) return result;
#endif
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
};

/* The level at which an option of this socket stands, and its name there. */
static void place_option(int32_t fd, uint32_t option, int *level, int *name) {
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
  place_option(fd, option, &level, &name);
  return setsockopt(fd, level, name, bytes, size) < 0 ? -errno : 0;
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
  place_option(fd, option, &level, &name);
  if (getsockopt(fd, level, name, bytes, &size) < 0) return -errno;
  return lingers ? (linger.l_onoff ? linger.l_linger : -1) : value;
}

/* TCP_CLOSE of include/net/tcp_states.h: reset, timed out, or FIN went both ways. */
#define STATE_CLOSE 7

int32_t ur_cut_off(uint32_t id, int32_t fd, uint32_t received) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  struct tcp_info info = {0};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
    return errno == EOPNOTSUPP ? 0 : -errno;
  /* The kernel counts a FIN as one byte: it has a sequence number. */
  return info.tcpi_state == STATE_CLOSE && (uint32_t)info.tcpi_bytes_received == received;
}

/* TCP drops the bytes where they are; a unix socket has to copy them. */
static void discard(int32_t fd) {
  uint8_t scratch[DISCARD_STEP_BYTES];
  for (uint32_t i = 0; i < DISCARD_STEP_MAX; i++)
    if (recv(fd, scratch, sizeof(scratch), MSG_TRUNC | MSG_DONTWAIT) <= 0) break;
}

int32_t ur_shutdown(uint32_t id, int32_t fd, uint32_t how) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  if (how != UR_SHUTDOWN_DISCARD) return shutdown(fd, (int)how) < 0 ? -errno : 0;
  result = shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
  discard(fd);
  if (shutdown(fd, SHUT_RD) < 0 && result == 0) result = -errno;
  return result;
}

int32_t ur_close(uint32_t id, int32_t fd) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  close_owned(fd);
  return 0;
}

/* The text of `length` bytes in a block, which it ends with NUL. */
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

int32_t ur_unlink(uint32_t id, uint32_t block, uint32_t length) {
  const char *path;
  int32_t result = text_at(id, block, length, &path);
  if (result < 0) return result;
  return unlink(path) < 0 ? -errno : 0;
}
