/*
 * The state of the process and of each ring, and the shim's own limits.
 *
 * Invariants
 * - Slabs, rings and their private memory are mapped once and recycled, never unmapped: the kernel
 *   may finish late, and a view in the caller's heap may outlive the ring.
 * - `lock` guards the tables of slabs and rings while one is taken or recycled. Apart from that,
 *   only the thread that owns a ring or a slab touches it. Every exported function checks the
 *   owner.
 */
#ifndef URINGNET_SHIM_INTERNAL_H
#define URINGNET_SHIM_INTERNAL_H

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
#include <sys/epoll.h>
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

/* Missing in the headers of some C libraries: asm-generic/socket.h, Linux 5.0. */
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

/* Slabs of one process. 65,536 x 4 MiB is 256 GiB of address space: more than any pool asks for. */
#define SLAB_MAX 65536u
/* Rings of one process: 2 for each of 512 threads with a split network. */
#define RING_MAX 1024u
/* Descriptor numbers that can be owned: the kernel's own default ceiling (fs.nr_open). */
#define DESCRIPTOR_MAX (1u << 20)
/* Bit of user_data that marks an accept: its result is a descriptor. */
#define ACCEPT_TAG 0x80000000u
/* Slots stay below this number, because the last accept would otherwise look like
 * USER_DATA_NONE. */
#define SLOT_MAX (ACCEPT_TAG - 1)
/* user_data of entries whose completion is dropped. */
#define USER_DATA_NONE UINT64_MAX

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

/* The structures that the kernel reads for one SENDMSG, private to C. One for each block. */
struct message {
  struct msghdr header;
  struct iovec iovecs[UR_IOVEC_MAX];
};

/* The doorbell of a ring, see doorbell.c. */
struct doorbell {
  struct io_uring ring;
  uint64_t event_value;
  int event_fd;
  int pair[2]; /* [0] is written by the doorbell's ring, [1] is adopted by the runtime */
  dev_t pair_device;
  ino_t pair_inode;
  bool armed;
  int runtime_event;    /* the duplicate of event_fd that the runtime closes, when polled */
  bool polled;          /* the runtime polls the eventfd itself */
  bool taken;           /* pair[1] was handed to the runtime, which closes it */
  bool joined;          /* the runtime's epoll instance has the eventfd under the data of pair[1] */
  int epoll_fd;         /* that instance */
  uint32_t joined_rung; /* UR_RUNG_WORD when it joined */
  uint32_t sent;        /* packets that were sent ahead since */
  bool renews;          /* the eventfd is registered again each time the doorbell is armed */
};

struct ring {
  struct io_uring data;
  struct doorbell doorbell;
  _Atomic pthread_t owner;
  uint32_t control; /* slab id */
  uint32_t *header;
  struct ur_op *ops;
  struct ur_completion *completions;
  uint8_t *blocks;
  struct message *messages;
  struct io_uring_buf_ring *buffers[UR_BUFFER_GROUPS];
  uint64_t turn_bytes;              /* moved by the completions of this turn */
  int32_t gathering[UR_GATHER_MAX]; /* descriptors for whose bytes this turn waits */
  uint32_t gathering_count;
  uint32_t in_flight;
  uint32_t id;
  _Atomic bool open;
  bool abandoned; /* did not drain; never used again */
  bool polled;    /* SQPOLL: a thread of the kernel takes entries */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab slabs[SLAB_MAX];
static uint32_t slab_count;
static struct ring *_Atomic rings[RING_MAX];
/* Ring id + 1 of the ring that owns the descriptor, 0 when none does. */
static _Atomic uint16_t descriptor_ring[DESCRIPTOR_MAX];
static _Atomic uint32_t descriptor_end; /* one past the highest number ever owned */
/* A ring of this thread did not drain: the kernel may still write to any slab of the thread. */
static __thread bool kernel_lingers;

#define CONTROL_OPS (UR_HEADER_WORDS * 4u)
#define CONTROL_COMPLETIONS (CONTROL_OPS + UR_OP_CAPACITY * 32u)
#define CONTROL_BLOCKS (CONTROL_COMPLETIONS + UR_COMPLETION_CAPACITY * 16u)
#define CONTROL_BYTES (CONTROL_BLOCKS + UR_BLOCK_COUNT * UR_BLOCK_BYTES)

_Static_assert(sizeof(struct ur_op) == 32, "op record");
_Static_assert(sizeof(struct ur_completion) == 16, "completion record");
_Static_assert(sizeof(struct ur_file) == 152, "file record");
_Static_assert(sizeof(struct sockaddr_storage) == UR_ADDRESS_BYTES, "address");
_Static_assert(UR_IOVEC_MAX * 12 <= UR_BLOCK_BYTES, "a block holds a full iovec batch");
_Static_assert(UR_ADDRESS_BYTES + 4 <= UR_BLOCK_BYTES, "a block holds an address and its length");

/* Defined in ring.c, used in slab.c. Makes the rings and slabs of this thread end with it. */
static void end_with_thread(void);

static inline uint64_t user_data(uint32_t slot, uint32_t generation) {
  return ((uint64_t)generation << 32) | slot;
}

/* The setup flags of the data ring. */
static unsigned setup_flags(uint32_t flags) {
  unsigned common = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  if (flags & UR_OPEN_SQPOLL) return common | IORING_SETUP_SQPOLL;
  return common | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
         IORING_SETUP_TASKRUN_FLAG;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
