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
 *   cancelled and awaited for at most UR_DRAIN_MS, then descriptors are closed. A ring that does
 *   not drain in that time is abandoned, and no slab of its thread is handed out again.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
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
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Of newer headers than some C libraries have: asm-generic/socket.h, Linux 5.0. */
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

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
/* Operations that the end of a ring cancels together: more would take the kernel too long. */
#define CANCEL_ALL_MAX 1024u
/* Waits for room in the queue of a polled ring, each of which other work may end early. */
#define ROOM_WAIT_MAX 100u
/* Between two looks at the clock: some 0.1 us. */
#define LOOK_RELAX_COUNT 8u
/* Unread bytes that a graceful close throws away, in steps, before it closes all the same. */
#define DISCARD_STEP_BYTES (1u << 16)
#define DISCARD_STEP_MAX 256u
/* Longest wait for another process that removes a stale socket file of the same directory. */
#define FILE_LOCK_WAIT_MS 20u
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
_Static_assert(sizeof(struct ur_file) == 152, "file record");
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
    case UR_OP_POLL:
      io_uring_prep_poll_multishot(sqe, op->fd, POLLRDHUP);
      break;
    default:
      return -EINVAL;
  }
  if (op->flags) {
    /* The same bit would make an accept multishot. */
    bool carries = op->opcode != UR_OP_ACCEPT && op->opcode != UR_OP_CONNECT &&
                   op->opcode != UR_OP_POLL;
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

/* ---- what this kernel can do ------------------------------------------------------------- */

/* Of newer headers than liburing 2.3 has. */
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
  /* The field behind bgid: padding in old headers, flags in new ones. */
  memcpy((char *)&registration + offsetof(struct io_uring_buf_reg, bgid) + sizeof(uint16_t), &flags,
         sizeof(flags));
  io_uring_buf_ring_init(memory);
  return io_uring_register_buf_ring(ring, &registration, 0);
}

/* Completions of a receive that had one byte and the end to read: 2 where it is multishot. */
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

/* What an open ring can do besides. A feature that cannot be tried, for want of descriptors
 * perhaps, counts as missing. */
static uint32_t probe_features(struct io_uring *ring) {
  static uint8_t *memory; /* a page for a ring of buffers, one for the buffers; never unmapped */
  static pthread_mutex_t probing = PTHREAD_MUTEX_INITIALIZER;
  uint32_t found = UR_FEATURE_DEFER_TASKRUN | UR_FEATURE_SINGLE_ISSUER | probe_opcodes(ring);
  if (ring->features & FEATURE_RECVSEND_BUNDLE) found |= UR_FEATURE_BUNDLES;
  pthread_mutex_lock(&probing);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (!memory) memory = map_memory(2 * page);
  if (memory && probe_buffers(ring, memory, 0) == 0) {
    found |= UR_FEATURE_PROVIDED_BUFFERS;
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
  close_bell(&ring, false);
  io_uring_queue_exit(&ring.data);
  return (int32_t)features;
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

/* A number that was closed may be another descriptor's by now. */
static bool has_bell(const struct ring *ring) {
  struct stat info;
  return fstat(ring->pair[1], &info) == 0 && info.st_dev == ring->pair_device &&
         info.st_ino == ring->pair_inode;
}

int32_t ur_ring_bell_back(uint32_t id) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  if (has_bell(ring)) ring->bell_taken = false;
  return 0;
}

/* Ends the receives on every connection of a ring, without a word to the peers. Listeners are left
 * alone: a process that was forked may share them. */
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
 * Cancels what is in flight and waits for the kernel to hand it back. False: time ran out.
 *
 * The kernel searches through all operations for each one that it cancels: 1,000 take 6 ms, 8,000
 * take 400 ms. Where there are many, receives end with the halves of their sockets instead, which
 * takes each the same time, and what then is still too much for a cancel is left to the kernel.
 */
static bool retire_operations(struct ring *ring, uint64_t end_ns) {
  struct io_uring_sync_cancel_reg cancel;
  memset(&cancel, 0, sizeof(cancel));
  cancel.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  cancel.timeout.tv_nsec = 1000000;
  if (ring->in_flight > CANCEL_ALL_MAX) end_receives(ring->id);
  while (ring->in_flight) {
    if (ring->in_flight <= CANCEL_ALL_MAX) io_uring_register_sync_cancel(&ring->data, &cancel);
    /* One enter runs a few completions only, and another cancel would search through the rest. */
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

static void close_bell(struct ring *ring, bool thread_ends) {
  io_uring_queue_exit(&ring->bell);
  close(ring->event_fd);
  close(ring->pair[0]);
  if (!ring->bell_taken) {
    close(ring->pair[1]);
    return;
  }
  /* A runtime that ends with its thread may have forgotten the end that it adopted. */
  if (thread_ends && has_bell(ring)) close(ring->pair[1]);
}

static uint64_t drain_end_ns(void) { return now_ns() + UR_DRAIN_MS * 1000000u; }

static int32_t shut_ring(struct ring *ring, uint64_t end_ns, bool thread_ends) {
#ifdef UR_FAULTS
  fault_forget(ring->id);
#endif
  bool drained = retire_operations(ring, end_ns);
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
  return ring ? shut_ring(ring, drain_end_ns(), false) : -EPERM;
}

/* Runs on the ending thread: with a worker of either runtime, and with nothing else. */
static void end_thread(void *unused) {
  (void)unused;
  uint64_t end_ns = drain_end_ns();
  for (uint32_t i = 0; i < RING_MAX; i++) {
    struct ring *ring = ring_at(i);
    if (ring) shut_ring(ring, end_ns, true);
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
  /* As all descriptors of a ring: a program that this one starts does not get it. */
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
    [UR_OPTION_USER_TIMEOUT_MS] = {IPPROTO_TCP, TCP_USER_TIMEOUT},
    [UR_OPTION_DEFER_ACCEPT_SECONDS] = {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    [UR_OPTION_INTERFACE] = {SOL_SOCKET, SO_BINDTOIFINDEX},
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

/*
 * The kernel keeps a flag that says that FIN came (SOCK_DONE), and shows it in one place: asked to
 * map received bytes, a socket that has none answers EIO behind FIN and 0 otherwise. Nothing is
 * mapped: the request names no memory. Counts of bytes cannot tell, because urgent bytes and the
 * FIN itself are among them.
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
  /* Up to this field: a longer answer would carry the socket's error, and so take it away. */
  size = (socklen_t)offsetof(struct tcp_zerocopy_receive, inq);
  if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &nothing, &size) == 0) return 1;
  return errno == EIO ? 0 : -errno;
}

/* TCP drops the bytes where they are; a unix socket has to copy them. Returns what the last receive
 * did: 0 at the end of the stream, -errno, or a count when there is more. */
static int32_t discard(int32_t fd, bool *came) {
  uint8_t scratch[DISCARD_STEP_BYTES];
  ssize_t result = -1;
  for (uint32_t i = 0; i < DISCARD_STEP_MAX; i++) {
    result = recv(fd, scratch, sizeof(scratch), MSG_TRUNC | MSG_DONTWAIT);
    if (result <= 0) break;
    *came = true;
  }
  return result < 0 ? -errno : (int32_t)result;
}

/* Whether TCP has more than FIN, which counts as a byte, that was not sent (SIOCOUTQNSD) or not
 * acknowledged (SIOCOUTQ). A unix socket's bytes are with the peer at once. */
static bool has_left(int32_t fd, unsigned long which) {
  int count = 0;
  int domain = 0;
  socklen_t size = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain == AF_UNIX) return false;
  return ioctl(fd, which, &count) == 0 && count > 1;
}

/* Shuts the receive half, or returns how it is with a connection that must not be shut yet. */
static int32_t shut_for_good(int32_t fd, bool again) {
  bool came = false;
  int32_t result = again || shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
  int32_t last = discard(fd, &came);
  bool open = result == 0 && (last > 0 || last == -EAGAIN);
  if (open && (again || came ? has_left(fd, SIOCOUTQ) : has_left(fd, SIOCOUTQNSD)))
    return again && came ? 2 : 1;
  if (shutdown(fd, SHUT_RD) < 0 && result == 0) result = -errno;
  /* What came in between would still make close send RST. */
  discard(fd, &came);
  return result;
}

int32_t ur_shutdown(uint32_t id, int32_t fd, uint32_t how) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  if (how == UR_SHUTDOWN_DISCARD || how == UR_SHUTDOWN_AGAIN)
    return shut_for_good(fd, how == UR_SHUTDOWN_AGAIN);
  return shutdown(fd, (int)how) < 0 ? -errno : 0;
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

/* ---- socket files ------------------------------------------------------------------------ */

/*
 * A path is resolved once, to a directory that stays open and a name in it: neither chdir() nor a
 * directory that is moved leads to another file later. No call follows a link at the name itself.
 *
 * Device and inode identify a file. The open socket holds its inode, so that no other file can get
 * the number. The kernel removes a name, not an inode: a file is therefore renamed to an unknown
 * name first, and looked at again there. A file that took the name in between is put back, unless
 * a third file has the name by then: in that case both stay.
 */
static const char *read_file(struct ur_file *file, const void *record, uint32_t size) {
  const uint32_t start = offsetof(struct sockaddr_un, sun_path);
  if (size != sizeof(*file)) return NULL;
  memcpy(file, record, sizeof(*file));
  const struct sockaddr_un *address = (const struct sockaddr_un *)file->address;
  if (file->length <= start || file->length > sizeof(*address)) return NULL;
  if (address->sun_family != AF_UNIX || address->sun_path[0] == 0) return NULL;
  return memchr(address->sun_path, 0, file->length - start) ? address->sun_path : NULL;
}

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int open_directory(const char *path) {
  char directory[sizeof(struct sockaddr_un)] = ".";
  size_t length = (size_t)(file_name(path) - path);
  if (length > 0) {
    memcpy(directory, path, length);
    directory[length] = 0;
  }
  return open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void note_file(struct ur_file *file, const struct stat *info) {
  file->device = info->st_dev;
  file->inode = info->st_ino;
}

static bool is_file(const struct ur_file *file, const struct stat *info) {
  return S_ISSOCK(info->st_mode) && info->st_dev == file->device && info->st_ino == file->inode;
}

static bool is_file_at(const struct ur_file *file, int directory, const char *name) {
  struct stat info;
  return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && is_file(file, &info);
}

/* 1 when this file was there and is gone, 0 when another one or none is. */
static int32_t remove_file(const struct ur_file *file, int directory, const char *name) {
  if (!is_file_at(file, directory, name)) return 0;
  uint64_t random;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) return -EIO;
  char away[32];
  snprintf(away, sizeof(away), ".uringnet-%016llx", (unsigned long long)random);
  if (syscall(SYS_renameat2, directory, name, directory, away, RENAME_NOREPLACE) < 0) {
    if (errno == ENOENT) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -errno;
    /* A file system without this kind of rename. */
    return unlinkat(directory, name, 0) < 0 ? -errno : 1;
  }
  if (is_file_at(file, directory, away)) return unlinkat(directory, away, 0) < 0 ? -errno : 1;
  long back = syscall(SYS_renameat2, directory, away, directory, name, RENAME_NOREPLACE);
  return back < 0 ? -errno : 0;
}

/* A path to the file that the descriptor is open on, also when its name leads elsewhere by now. */
static void path_of(int fd, char *path, size_t size) {
  snprintf(path, size, "/proc/self/fd/%d", fd);
}

static int32_t set_mode(const struct ur_file *file, const char *name, mode_t mode) {
  int fd = openat(file->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat info;
  char path[32];
  path_of(fd, path, sizeof(path));
  int32_t result = fstat(fd, &info) < 0 ? -errno : is_file(file, &info) ? 0 : -ESTALE;
  if (result == 0 && chmod(path, mode) < 0) result = -errno;
  close(fd);
  return result;
}

static int32_t bind_file(int fd, struct ur_file *file, const char *name, uint32_t mode) {
  struct stat info;
  /* The file gets the permissions of the socket less the umask: at no time more than is wanted. */
  if (mode != UR_MODE_DEFAULT && fchmod(fd, mode) < 0) return -errno;
  if (bind(fd, (struct sockaddr *)file->address, file->length) < 0) return -errno;
  file->device = file->inode = 0;
  if (fstatat(file->directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0) note_file(file, &info);
  else return mode == UR_MODE_DEFAULT ? 0 : -ESTALE; /* moved already, to an unknown place */
  if (mode == UR_MODE_DEFAULT || (info.st_mode & UR_MODE_MAX) == mode) return 0;
  int32_t result = set_mode(file, name, mode);
  if (result < 0) remove_file(file, file->directory, name);
  return result;
}

int32_t ur_file_bind(uint32_t id, int32_t fd, void *record, uint32_t size, uint32_t mode) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  struct ur_file file;
  const char *path = read_file(&file, record, size);
  if (!path || (mode > UR_MODE_MAX && mode != UR_MODE_DEFAULT)) return -EINVAL;
  int directory = open_directory(path);
  if (directory < 0) return -errno;
  file.directory = adopt(id, directory);
  if (file.directory < 0) return file.directory;
  result = bind_file(fd, &file, file_name(path), mode);
  if (result < 0) close_owned(directory);
  else memcpy(record, &file, sizeof(file));
  return result;
}

int32_t ur_file_remove(uint32_t id, const void *record, uint32_t size) {
  if (!ring_at(id)) return -EPERM;
  struct ur_file file;
  const char *path = read_file(&file, record, size);
  if (!path) return -EINVAL;
  if (!owns(file.directory)) return -EBADF;
  return remove_file(&file, file.directory, file_name(path));
}

/*
 * 1 when no socket of the system is bound to this file, 0 when one is, listening or not yet. The
 * probe is a datagram socket: connecting it to a stream socket fails with EPROTOTYPE and does not
 * disturb the listener, which would have to accept a connection of its own type. A stale file is
 * stale for ever, because bind() never takes a file that exists.
 */
static int32_t judge_file(int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  path_of(fd, address.sun_path, sizeof(address.sun_path));
  int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return -errno;
  int error = connect(probe, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
  close(probe);
  if (error == ECONNREFUSED) return 1;
  return error == 0 || error == EPROTOTYPE ? 0 : -error;
}

/*
 * Several processes that find the same stale file at once remove it one after the other, so that
 * none renames the file that another has just bound. The lock is on the directory and is held for
 * microseconds. A lock that is held for longer is ignored: the removal is safe without it.
 */
static int lock_directory(int directory) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct timespec pause = {.tv_nsec = 1000000};
  for (uint32_t i = 0; fd >= 0 && i < FILE_LOCK_WAIT_MS; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) break;
    nanosleep(&pause, NULL);
  }
  return fd;
}

static int32_t look_at_file(struct ur_file *file, int directory, const char *name, bool remove) {
  int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat info;
  int32_t result = fstat(fd, &info) < 0 ? -errno : S_ISSOCK(info.st_mode) ? 0 : -ENOTSOCK;
  if (result == 0) {
    note_file(file, &info);
    result = judge_file(fd);
  }
  if (result == 1 && remove) result = remove_file(file, directory, name) ?: -ENOENT;
  close(fd);
  return result;
}

int32_t ur_file_stale(uint32_t id, const void *record, uint32_t size, uint32_t remove) {
  if (!ring_at(id)) return -EPERM;
  struct ur_file file;
  const char *path = read_file(&file, record, size);
  if (!path) return -EINVAL;
  int directory = open_directory(path);
  if (directory < 0) return -errno;
  int lock_fd = remove ? lock_directory(directory) : -1;
  int32_t result = look_at_file(&file, directory, file_name(path), remove);
  if (lock_fd >= 0) close(lock_fd);
  close(directory);
  return result;
}
