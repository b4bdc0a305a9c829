/*
 * uringnet shim: the ABI between the TypeScript core and liburing.
 *
 * Rules
 * - Every function returns >= 0 or -errno. No function prints, calls back or starts a thread.
 * - Memory that the kernel may touch is mapped here and never unmapped while the process lives.
 *   The caller names a range of it by (slab, offset, length), all u32. Every range is checked here.
 * - A ring and a slab belong to the thread that opened or mapped them. A ring that is closed or
 *   belongs to another thread gets -EPERM; a slab of another thread is treated as a missing one.
 * - A descriptor belongs to a ring of the calling thread; any other number gets -EBADF.
 * - A range, block or buffer group that does not exist gets -EFAULT. A value that has no meaning
 *   (an op code, a flag, a slot, a length) gets -EINVAL. A refused record completes with that errno
 *   in the same turn.
 *
 * One control slab per ring, shared with the caller:
 *
 *   0              header    UR_HEADER_WORDS x u32
 *   ops            UR_OP_CAPACITY x struct ur_op                 caller writes, ur_turn reads
 *   completions    UR_COMPLETION_CAPACITY x struct ur_completion ur_turn writes, caller reads
 *   blocks         UR_BLOCK_COUNT x UR_BLOCK_BYTES               iovec triples or one address
 *
 * A block belongs to the operation that names it until that operation's final completion. The
 * iovec and msghdr structures that the kernel reads are built from it in memory that only C sees.
 *
 * This file is the one description of the layout. tests/unit/ffi/header_test.ts reads it, and
 * compares every name and value with the constants of the TypeScript side.
 */
#ifndef URINGNET_SHIM_H
#define URINGNET_SHIM_H

#include <stdint.h>

#define UR_ABI_VERSION 6u

/* Set by the build: seconds since 1970 (0 when reproducible), and the first 32 bits of the hash of
 * the sources, which tells builds apart. */
#ifndef UR_BUILD_TIME
#define UR_BUILD_TIME 0u
#endif
#ifndef UR_SOURCE_HASH
#define UR_SOURCE_HASH 0u
#endif

#define UR_HEADER_WORDS 64u
/* The word of the header in which the caller counts the packets of the doorbell that it has
 * received. */
#define UR_RUNG_WORD 8u
#define UR_OP_CAPACITY 1024u
#define UR_COMPLETION_CAPACITY 2048u
/* A turn stops collecting at this many completions, so that the caller can provide buffers
 * again. */
#define UR_TURN_TARGET 256u
/* A turn also stops at this many bytes, which the processor's cache still holds when the caller
 * reads them. */
#define UR_TURN_BYTES (1u << 20)
#define UR_BLOCK_COUNT 1024u
#define UR_BLOCK_BYTES 512u
#define UR_BLOCK_NONE UINT32_MAX /* in ACCEPT: the address is not wanted */
#define UR_IOVEC_MAX 32u
#define UR_ADDRESS_BYTES 128u /* sizeof(struct sockaddr_storage) */
#define UR_BUFFER_MAX 256u    /* entries of each provided-buffer ring */
#define UR_BUFFER_GROUPS 3u   /* 0: single receives, 1: multishot ones, 2: large single ones */
/* The longest time for which the close of a ring, or the end of a thread with all of its rings,
 * waits until the kernel has completed all operations. 10,000 receives take about 35 ms. A ring
 * that has not drained by then is abandoned, and every slab of the thread with it. */
#define UR_DRAIN_MS 100u

/* The operation of an op record. */
enum ur_opcode {
  UR_OP_NOP = 0,
  UR_OP_RECV = 1,           /* into slab/offset/length */
  UR_OP_RECV_SELECT = 2,    /* into a provided buffer of group `slab`, at most length bytes */
  UR_OP_SEND = 3,           /* from slab/offset/length */
  UR_OP_SENDMSG = 4,        /* block: `length` triples (slab, offset, length) */
  UR_OP_ACCEPT = 5,         /* block: receives the peer's address, length word behind it; or none */
  UR_OP_CONNECT = 6,        /* block: holds the address of `length` bytes */
  UR_OP_CANCEL = 7,         /* target: offset = slot, length = generation; has no completion */
  UR_OP_PROVIDE = 8,        /* slab/offset/length is buffer `slot` of group `fd`; no completion */
  UR_OP_RECV_MULTISHOT = 9, /* into provided buffers of group 1; completes many times */
  UR_OP_POLL = 10,          /* poll events in `length`; completes with events, many times */
  UR_OP_COUNT = 11,
};

/* Flags of an op record. */
#define UR_OP_FLAG_POLL_FIRST 1u /* of a receive or send: wait before the first attempt */
#define UR_OP_FLAG_OF_ACCEPT 2u  /* of CANCEL: the target is an accept */
#define UR_OP_FLAG_GATHER 4u     /* of a receive, with POLL_FIRST: this turn waits for bytes */

/* Poll events of an op record and of its result, as in <poll.h>. The kernel adds the last two. */
#define UR_POLL_IN 1u
#define UR_POLL_OUT 4u
#define UR_POLL_PEER_FINISHED 0x2000u /* POLLRDHUP: FIN has come; bytes may wait before it */
#define UR_POLL_ERROR 8u
#define UR_POLL_HANG_UP 16u /* both halves have ended, for example after a reset */

/* 32 bytes. `slab` is the block index for SENDMSG, ACCEPT and CONNECT. */
struct ur_op {
  uint32_t opcode;
  uint32_t slot;
  uint32_t generation;
  int32_t fd;
  uint32_t slab;
  uint32_t offset;
  uint32_t length;
  uint32_t flags;
};

/* 16 bytes. `flags` are the kernel's cqe flags. */
struct ur_completion {
  uint32_t slot;
  uint32_t generation;
  int32_t result;
  uint32_t flags;
};

/* Words of the header: running totals, wrapping at 2^32. */
enum ur_header {
  UR_HEADER_ENTERS = 0,
  UR_HEADER_SUBMISSIONS = 1,
  UR_HEADER_COMPLETIONS = 2,
  UR_HEADER_OVERFLOWS = 3,
  UR_HEADER_IN_FLIGHT = 4, /* operations whose final completion has not been seen */
  UR_HEADER_ARMS = 5,
  UR_HEADER_MORE = 6, /* 1 when the last turn left work behind */
  UR_HEADER_ENTER_ERROR = 7,
};

/* Flags of ur_ring_open. */
#define UR_OPEN_SQPOLL 1u
#define UR_OPEN_BUFFERS 2u /* registers the provided-buffer rings */
#define UR_OPEN_PACKETS 4u /* the doorbell's socket hands out one byte for each receive */

/* The value of `how` of ur_shutdown for a graceful end. FIN is sent, then the bytes that the peer
 * has sent are discarded, up to 16 MiB, and further ones are refused: unread bytes would make close
 * send RST, which overtakes the bytes that the peer has yet to read. While bytes are discarded, the
 * receive window opens, so a peer in the middle of a send continues and notices the end. After the
 * receive half is shut, the window would stay closed.
 *
 * A refusal sends RST, and RST drops bytes that were sent and have not reached the peer. So when
 * TCP has unsent bytes, or when the peer sends and has not acknowledged all bytes, the receive
 * half stays open and the result is 1: call again with UR_SHUTDOWN_AGAIN, until that returns 0.
 * It returns 2 instead of 1 when it discarded bytes. */
#define UR_SHUTDOWN_DISCARD 3u
#define UR_SHUTDOWN_AGAIN 4u

/* Results of ur_state. */
#define UR_STATE_NEITHER 0u
#define UR_STATE_LISTENING 1u
#define UR_STATE_CONNECTED 2u

/* Flags of ur_turn. */
#define UR_TURN_WOKEN 1u  /* the doorbell rang: it must be armed again before sleeping */
#define UR_TURN_LOOK 2u   /* spin for work for up to UR_LOOK_US microseconds when there is none */
#define UR_TURN_SUBMIT 4u /* only submit: the completions are left to the next turn */

/* Options of ur_set_option. */
enum ur_option {
  UR_OPTION_NO_DELAY = 0,
  UR_OPTION_LINGER_SECONDS = 1, /* negative: off */
  UR_OPTION_KEEP_ALIVE = 2,
  UR_OPTION_KEEP_IDLE = 3,
  UR_OPTION_KEEP_INTERVAL = 4,
  UR_OPTION_KEEP_COUNT = 5,
  UR_OPTION_REUSE_ADDRESS = 6,
  UR_OPTION_REUSE_PORT = 7,
  UR_OPTION_IPV6_ONLY = 8,
  UR_OPTION_SEND_BUFFER = 9,
  UR_OPTION_RECEIVE_BUFFER = 10,
  UR_OPTION_TRAFFIC_CLASS = 11, /* TOS of IPv4, traffic class of IPv6 */
  UR_OPTION_USER_TIMEOUT_MS = 12,
  UR_OPTION_DEFER_ACCEPT_SECONDS = 13,
  UR_OPTION_INTERFACE_INDEX = 14, /* the interface that the socket is bound to; 0: none */
  UR_OPTION_COUNT = 15,
};

/* Features that ur_probe has tried. The kernel's version is not consulted. */
#define UR_FEATURE_DEFER_TASKRUN 1u         /* IORING_SETUP_DEFER_TASKRUN, a ring was opened so */
#define UR_FEATURE_SINGLE_ISSUER 2u         /* IORING_SETUP_SINGLE_ISSUER, likewise */
#define UR_FEATURE_PROVIDED_BUFFER_RINGS 4u /* IORING_REGISTER_PBUF_RING was accepted */
#define UR_FEATURE_MULTISHOT_RECEIVE 8u     /* a multishot receive completed more than once */
#define UR_FEATURE_SEND_ZERO_COPY 16u       /* IORING_OP_SEND_ZC, from IORING_REGISTER_PROBE */
#define UR_FEATURE_BUNDLES 32u              /* IORING_FEAT_RECVSEND_BUNDLE, from the setup */
#define UR_FEATURE_INCREMENTAL_BUFFERS 64u  /* IOU_PBUF_RING_INC was accepted */

/* A socket file, 152 bytes. The caller fills the first two fields, and the library the others. */
struct ur_file {
  uint8_t address[UR_ADDRESS_BYTES]; /* struct sockaddr_un, its path ends with NUL */
  uint32_t length;                   /* of the address */
  int32_t directory;
  uint64_t device;
  uint64_t inode;
};

/* Permissions of a socket file: up to UR_MODE_MAX, or UR_MODE_DEFAULT for those that the umask
 * leaves. */
#define UR_MODE_MAX 0777u
#define UR_MODE_DEFAULT UINT32_MAX

/* The longest spin. A spin is cheaper than a pass through the runtime's event loop, but delays
 * it. */
#define UR_LOOK_US 8u

/* A receive that gathers: the turn sleeps until so many bytes wait (or as many as a receive into a
 * range asks for), or another operation completes, or the time has passed. Then the receive takes
 * whatever has come. One sleep for many bytes costs less than one for each packet: 256 KiB at a
 * time cost a fifth more. A turn gathers for so many descriptors at most; the others are received
 * as usual. */
#define UR_GATHER_BYTES (1u << 19)
#define UR_GATHER_US 100u
#define UR_GATHER_MAX 8u

#define UR_EXPORT __attribute__((visibility("default")))

/* Constants of this header, by index, for the check at load; -EINVAL past the last. */
UR_EXPORT int32_t ur_layout(uint32_t index);
/* Writes "release\nio_uring_disabled\nmemlock soft limit" as text; returns its length. */
UR_EXPORT int32_t ur_system(void *text, uint32_t capacity);
/* Opens and closes a ring with the flags that the core needs. Returns UR_FEATURE_... bits, or
 * -errno of the first refused call. */
UR_EXPORT int32_t ur_probe(void);

UR_EXPORT int32_t ur_slab_map(uint32_t size);
UR_EXPORT void *ur_slab_address(uint32_t slab);
/* -EBUSY for the control slab of an open ring. */
UR_EXPORT int32_t ur_slab_release(uint32_t slab);

/* -ENOSPC when the process has as many rings as it can have. */
UR_EXPORT int32_t ur_ring_open(uint32_t entries, uint32_t completion_entries, uint32_t flags);
/* -EBUSY: closed, but some operations have not landed. No slab of the thread is reused then. */
UR_EXPORT int32_t ur_ring_close(uint32_t ring);
UR_EXPORT int32_t ur_ring_control(uint32_t ring);
/* The descriptor of the doorbell, which the caller closes from now on. */
UR_EXPORT int32_t ur_ring_doorbell(uint32_t ring);
/* Gives back a doorbell that the caller could not use and has not closed. The ring closes it. */
UR_EXPORT int32_t ur_ring_doorbell_back(uint32_t ring);
/* Returns a duplicate of the doorbell's eventfd, in place of its socket, for an event loop that
 * reads the count at each wakeup. The caller closes it, or gives it back when it cannot use it.
 * Once for each ring (-EALREADY). */
UR_EXPORT int32_t ur_ring_event(uint32_t ring);
UR_EXPORT int32_t ur_ring_event_back(uint32_t ring);
/* Changes how the epoll instance of the runtime watches the doorbell, so that a wakeup costs less.
 * 0, -EAGAIN when it may work at a later wakeup, or another -errno when the doorbell goes on as it
 * is. To be called while the doorbell is not armed. */
UR_EXPORT int32_t ur_ring_join(uint32_t ring);
UR_EXPORT int32_t ur_turn(uint32_t ring, uint32_t op_count, uint32_t flags);
/* Arms the doorbell. 0: the caller may sleep. 1: there is work already, take a turn. */
UR_EXPORT int32_t ur_arm(uint32_t ring);

UR_EXPORT int32_t ur_socket(uint32_t ring, uint32_t family);
/* Takes over a stream socket that other code has opened, and makes it blocking. Returns its
 * family. Returns -ENOTSOCK, -EPROTOTYPE, or -EBUSY for a socket of a ring, and leaves it
 * unchanged. */
UR_EXPORT int32_t ur_adopt(uint32_t ring, int32_t fd);
/* Gives up a descriptor that a later step of an adoption refused. It stays open, and no ring
 * owns it. */
UR_EXPORT int32_t ur_disown(uint32_t ring, int32_t fd);
/* The state of any descriptor, which is not changed: UR_STATE_..., or -EBADF, -ENOTSOCK or
 * -EPROTOTYPE for a descriptor that is not a stream socket. */
UR_EXPORT int32_t ur_state(uint32_t ring, int32_t fd);
UR_EXPORT int32_t ur_bind(uint32_t ring, int32_t fd, uint32_t block, uint32_t length);
UR_EXPORT int32_t ur_listen(uint32_t ring, int32_t fd, uint32_t backlog);
/* Takes a connection from the backlog and fills the block as an accept on the ring does, or returns
 * -EAGAIN. Only while no accept on the ring has this descriptor, and never for a shared socket. */
UR_EXPORT int32_t ur_accept(uint32_t ring, int32_t fd, uint32_t block);
/* which: 0 local, 1 peer. Writes the address into the block, returns its length. */
UR_EXPORT int32_t ur_address(uint32_t ring, int32_t fd, uint32_t which, uint32_t block);
UR_EXPORT int32_t ur_set_option(uint32_t ring, int32_t fd, uint32_t option, int32_t value);
UR_EXPORT int32_t ur_get_option(uint32_t ring, int32_t fd, uint32_t option);
/* 1: this TCP connection has ended without the peer's FIN, so the peer may have sent more bytes
 * than were received. Else 0. To be called after a receive has returned 0. */
UR_EXPORT int32_t ur_cut_off(uint32_t ring, int32_t fd);
/* how: 0 receive half, 1 send half, 2 both, or UR_SHUTDOWN_DISCARD and _AGAIN. */
UR_EXPORT int32_t ur_shutdown(uint32_t ring, int32_t fd, uint32_t how);
UR_EXPORT int32_t ur_close(uint32_t ring, int32_t fd);
/* The index of the network interface whose name of `length` bytes is in the block. */
UR_EXPORT int32_t ur_interface(uint32_t ring, uint32_t block, uint32_t length);

/* The three functions below take a `struct ur_file` in the caller's memory, which they use during
 * the call only, and its size. An address without a path gets -EINVAL. */

/* Creates the socket file with exactly these permissions, whatever the umask is. Fills in its
 * directory (which the caller closes), its device and its inode. A failed call leaves no file
 * behind. */
UR_EXPORT int32_t ur_file_bind(uint32_t ring, int32_t fd, void *file, uint32_t size, uint32_t mode);
/* 1: the file that ur_file_bind recorded was removed. 0: another file or none has its name. Only
 * while the socket is open. */
UR_EXPORT int32_t ur_file_remove(uint32_t ring, const void *file, uint32_t size);
/* 1: no socket of the system is bound to the file at this path, which `remove` then has removed.
 * 0: a socket is bound to it. -ENOTSOCK: another kind of file. -ENOENT: there is no such file,
 * or it was removed meanwhile. */
UR_EXPORT int32_t ur_file_stale(uint32_t ring, const void *file, uint32_t size, uint32_t remove);

#endif
