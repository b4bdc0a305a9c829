/*
 * Every op code as it is meant: bytes arrive where they should, and nowhere else. See driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <poll.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define SLAB_BYTES 65536u
#define GUARD 0xa5

static struct rig rig;

static void fill(uint8_t *bytes, uint32_t length, uint32_t seed) {
  for (uint32_t i = 0; i < length; i++) bytes[i] = (uint8_t)(seed + i * 31 + (i >> 8));
}

/* Everything outside of [from, from + length) is still the guard. */
static void expect_untouched(const uint8_t *bytes, uint32_t size, uint32_t from, uint32_t length) {
  for (uint32_t i = 0; i < size; i++)
    if (i < from || i >= from + length) EXPECT(bytes[i], GUARD);
}

static void nop(void) {
  rig_open(&rig, 8, 64, 0);
  rig_op(&rig, UR_OP_NOP, 0x7ffffffe, -1);
  struct ur_completion done = rig_await(&rig, rig.generation);
  EXPECT(done.result, 0);
  EXPECT(done.slot, 0x7ffffffe);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  rig_close(&rig);
}

/* Sends `sent` bytes at a distance into a slab, receives at another; returns nothing: it holds. */
static void carry(const int32_t pair[2], uint32_t from, uint32_t to, uint32_t offset,
                  uint32_t length) {
  uint8_t *source = slab_bytes(from), *target = slab_bytes(to);
  fill(source, SLAB_BYTES, length);
  memset(target, GUARD, SLAB_BYTES);
  rig_bytes(&rig, UR_OP_SEND, pair[0], from, offset, length);
  EXPECT(rig_result(&rig), length);
  for (uint32_t got = 0; got < length;) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], to, offset + got, length - got);
    int32_t count = rig_result(&rig);
    EXPECT_TRUE(count > 0);
    got += (uint32_t)count;
  }
  EXPECT(memcmp(source + offset, target + offset, length), 0);
  expect_untouched(target, SLAB_BYTES, offset, length);
}

static void echo(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t from = slab_map(SLAB_BYTES), to = slab_map(SLAB_BYTES);
  EXPECT_TRUE(from != to);
  carry(pair, from, to, 0, 1);
  carry(pair, from, to, SLAB_BYTES - 1, 1);
  carry(pair, from, to, 17, 4096);
  carry(pair, from, to, 0, SLAB_BYTES);
  rig_close(&rig);
}

/* `count` pieces of growing length, from the end of the slab to its begin. */
static void gather(const int32_t pair[2], uint32_t from, uint32_t to, uint32_t count) {
  uint8_t *source = slab_bytes(from), *target = slab_bytes(to);
  uint8_t expected[UR_IOVEC_MAX * 64];
  uint32_t total = 0, *triple = rig_triples(&rig, count);
  fill(source, SLAB_BYTES, count);
  memset(target, GUARD, SLAB_BYTES);
  for (uint32_t i = 0; i < count; i++, triple += 3) {
    triple[0] = from;
    triple[2] = 1 + i % 64;
    triple[1] = SLAB_BYTES - (i + 1) * 1000 - triple[2];
    memcpy(expected + total, source + triple[1], triple[2]);
    total += triple[2];
  }
  struct ur_op *op = rig_op(&rig, UR_OP_SENDMSG, 3, pair[0]);
  op->slab = count; /* the block */
  op->length = count;
  EXPECT(rig_result(&rig), total);
  for (uint32_t got = 0; got < total;) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], to, got, total - got);
    int32_t result = rig_result(&rig);
    EXPECT_TRUE(result > 0);
    got += (uint32_t)result;
  }
  EXPECT(memcmp(expected, target, total), 0);
  expect_untouched(target, SLAB_BYTES, 0, total);
}

static void echo_iovecs(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t from = slab_map(SLAB_BYTES), to = slab_map(SLAB_BYTES);
  for (uint32_t count = 1; count <= UR_IOVEC_MAX; count++) gather(pair, from, to, count);
  rig_close(&rig);
}

static void poll_first(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  memcpy(slab_bytes(slab), "hello", 5);
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 100, 5)->flags = UR_OP_FLAG_POLL_FIRST;
  uint32_t received = rig.generation;
  EXPECT(rig_turn(&rig), 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 1);
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 5)->flags = UR_OP_FLAG_POLL_FIRST;
  EXPECT(rig_result(&rig), 5);
  EXPECT(rig_await(&rig, received).result, 5);
  EXPECT(memcmp(slab_bytes(slab) + 100, "hello", 5), 0);
  rig_close(&rig);
}

static int mark_of(int32_t fd) {
  int bytes = 0;
  socklen_t size = sizeof(bytes);
  EXPECT(getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, &size), 0);
  return bytes;
}

static void stage_gathering(int32_t fd, uint32_t slab, uint32_t length) {
  rig_bytes(&rig, UR_OP_RECV, fd, slab, 1000, length)->flags =
      UR_OP_FLAG_POLL_FIRST | UR_OP_FLAG_GATHER;
}

/* The bytes are below the mark, so the kernel reports them only when the turn lowers it. */
static void gather_few(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  memcpy(slab_bytes(slab), "0123456789", 10);
  for (uint32_t i = 0; i < 3; i++) {
    rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 10);
    EXPECT(rig_result(&rig), 10);
    stage_gathering(pair[1], slab, 20);
    EXPECT(rig_turn(&rig), 1);
    EXPECT(rig_result(&rig), 10);
    EXPECT(memcmp(slab_bytes(slab) + 1000, "0123456789", 10), 0);
    EXPECT(mark_of(pair[1]), 1);
  }
  rig_close(&rig);
}

/* No byte comes. The turn ends, and the receive stays in flight without a mark. */
static void gather_none(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  stage_gathering(pair[1], slab, 20);
  uint32_t received = rig.generation;
  EXPECT(rig_turn(&rig), 0);
  EXPECT(mark_of(pair[1]), 1);
  EXPECT(rig.header[UR_HEADER_ENTER_ERROR], 0);
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 1);
  EXPECT(rig_result(&rig), 1);
  EXPECT(rig_await(&rig, received).result, 1);
  rig_close(&rig);
}

/* More descriptors than a turn gathers for; those that are left over receive as usual. */
static void gather_many(void) {
  int32_t pairs[UR_GATHER_MAX + 2][2];
  uint32_t received[UR_GATHER_MAX + 2];
  rig_open(&rig, 64, 256, 0);
  uint32_t slab = slab_map(SLAB_BYTES);
  for (uint32_t i = 0; i < UR_GATHER_MAX + 2; i++) {
    rig_pair(&rig, pairs[i]);
    rig_bytes(&rig, UR_OP_SEND, pairs[i][0], slab, 0, 10);
    EXPECT(rig_result(&rig), 10);
  }
  for (uint32_t i = 0; i < UR_GATHER_MAX + 2; i++) {
    stage_gathering(pairs[i][1], slab, 20);
    received[i] = rig.generation;
  }
  for (uint32_t i = 0; i < UR_GATHER_MAX + 2; i++) {
    EXPECT(rig_await(&rig, received[i]).result, 10);
    EXPECT(mark_of(pairs[i][1]), 1);
  }
  rig_close(&rig);
}

static void gather_refused(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 10)->flags = UR_OP_FLAG_GATHER;
  EXPECT(rig_result(&rig), -EINVAL);
  uint32_t both = UR_OP_FLAG_POLL_FIRST | UR_OP_FLAG_GATHER;
  rig_bytes(&rig, UR_OP_SEND, pair[1], slab, 0, 10)->flags = both;
  EXPECT(rig_result(&rig), -EINVAL);
  rig_op(&rig, UR_OP_RECV_MULTISHOT, 1, pair[1])->flags = both;
  EXPECT(rig_result(&rig), -EINVAL);
  EXPECT(mark_of(pair[1]), 1);
  rig_close(&rig);
}

static void select_buffers_of(uint32_t group) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  uint8_t *bytes = slab_bytes(slab);
  /* Buffers of the other groups are none of its own. */
  for (uint32_t other = 0; other < UR_BUFFER_GROUPS; other++)
    if (other != group) rig_provide(&rig, other, 7, slab, 0, 10);
  rig_bytes(&rig, UR_OP_RECV_SELECT, pair[1], group, 0, 1024);
  uint32_t empty = rig.generation;
  memcpy(bytes, "0123456789", 10);
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 10);
  EXPECT(rig_result(&rig), 10);
  EXPECT(rig_await(&rig, empty).result, -ENOBUFS);
  /* Every identifier once around, and the receive asks for less than a buffer holds. */
  for (uint32_t id = 0; id < UR_BUFFER_MAX + 2; id++) {
    uint32_t offset = 1024 + (id % 60) * 1024, buffer = id % UR_BUFFER_MAX;
    if (id > 0) rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 10);
    rig_provide(&rig, group, buffer, slab, offset, 1024);
    rig_bytes(&rig, UR_OP_RECV_SELECT, pair[1], group, 0, 7);
    struct ur_completion first = rig_await(&rig, rig.generation);
    EXPECT(first.result, 7);
    EXPECT_TRUE(first.flags & IORING_CQE_F_BUFFER);
    EXPECT(first.flags >> IORING_CQE_BUFFER_SHIFT, buffer);
    EXPECT(memcmp(bytes + offset, "0123456", 7), 0);
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 512, 100);
    EXPECT(rig_result(&rig), 3);
  }
  rig_close(&rig);
}

static void select_buffers(void) {
  select_buffers_of(0);
  select_buffers_of(2);
}

static void multishot(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  uint8_t *bytes = slab_bytes(slab);
  for (uint32_t id = 0; id < 3; id++) rig_provide(&rig, 1, id, slab, 1024 + id * 1024, 1024);
  rig_op(&rig, UR_OP_RECV_MULTISHOT, 9, pair[1]);
  uint32_t received = rig.generation;
  for (uint32_t i = 0; i < 3; i++) {
    bytes[0] = (uint8_t)('a' + i);
    rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 1);
    EXPECT(rig_result(&rig), 1);
    struct ur_completion some = rig_await(&rig, received);
    EXPECT(some.result, 1);
    EXPECT_TRUE(some.flags & IORING_CQE_F_MORE);
    EXPECT(bytes[1024 + 1024 * (some.flags >> IORING_CQE_BUFFER_SHIFT)], 'a' + i);
    EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 1);
  }
  /* No buffer is left: it ends, and the byte waits for the next receive. */
  bytes[0] = 'd';
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 1);
  EXPECT(rig_result(&rig), 1);
  struct ur_completion last = rig_await(&rig, received);
  EXPECT(last.result, -ENOBUFS);
  EXPECT(last.flags & IORING_CQE_F_MORE, 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  rig_provide(&rig, 1, 0, slab, 1024, 1024);
  rig_op(&rig, UR_OP_RECV_MULTISHOT, 9, pair[1]);
  received = rig.generation;
  EXPECT(rig_await(&rig, received).result, 1);
  EXPECT(bytes[1024], 'd');
  rig_cancel(&rig, 9, received, 0);
  EXPECT(rig_await(&rig, received).result, -ECANCELED);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  rig_close(&rig);
}

static void addresses(void) {
  rig_open(&rig, 8, 64, 0);
  int32_t listener = rig_listen(&rig, 0), client = ur_socket(rig.id, AF_INET);
  struct ur_op *connects = rig_op(&rig, UR_OP_CONNECT, 1, client);
  connects->slab = 0;
  connects->length = sizeof(struct sockaddr_in);
  uint32_t connected = connects->generation;
  memset(rig.blocks + UR_BLOCK_BYTES, GUARD, 2 * UR_BLOCK_BYTES);
  rig_op(&rig, UR_OP_ACCEPT, 2, listener)->slab = 1;
  int32_t server = rig_result(&rig);
  EXPECT(rig_await(&rig, connected).result, 0);
  uint8_t *block = rig.blocks + UR_BLOCK_BYTES;
  EXPECT(*(uint32_t *)(block + UR_ADDRESS_BYTES), sizeof(struct sockaddr_in));
  for (uint32_t i = UR_ADDRESS_BYTES + 4; i < 2 * UR_BLOCK_BYTES; i++) EXPECT(block[i], GUARD);
  EXPECT(ur_address(rig.id, client, 0, 2), sizeof(struct sockaddr_in));
  EXPECT(memcmp(block, rig.blocks + 2 * UR_BLOCK_BYTES, sizeof(struct sockaddr_in)), 0);
  EXPECT(ur_address(rig.id, server, 1, 3), sizeof(struct sockaddr_in));
  EXPECT(memcmp(block, rig.blocks + 3 * UR_BLOCK_BYTES, sizeof(struct sockaddr_in)), 0);
  /* An accept without a block writes nothing, and the address can be asked for. */
  connects = rig_op(&rig, UR_OP_CONNECT, 1, ur_socket(rig.id, AF_INET));
  connects->slab = 0;
  connects->length = sizeof(struct sockaddr_in);
  connected = connects->generation;
  client = connects->fd;
  memset(block, GUARD, UR_BLOCK_BYTES);
  rig_op(&rig, UR_OP_ACCEPT, 2, listener)->slab = UR_BLOCK_NONE;
  server = rig_result(&rig);
  EXPECT(rig_await(&rig, connected).result, 0);
  for (uint32_t i = 0; i < UR_BLOCK_BYTES; i++) EXPECT(block[i], GUARD);
  EXPECT(ur_address(rig.id, client, 0, 2), sizeof(struct sockaddr_in));
  EXPECT(ur_address(rig.id, server, 1, 3), sizeof(struct sockaddr_in));
  EXPECT(memcmp(block + UR_BLOCK_BYTES, block + 2 * UR_BLOCK_BYTES, sizeof(struct sockaddr_in)), 0);
  /* The listener is closed. */
  EXPECT(ur_close(rig.id, listener), 0);
  connects = rig_op(&rig, UR_OP_CONNECT, 1, ur_socket(rig.id, AF_INET));
  connects->slab = 0;
  connects->length = sizeof(struct sockaddr_in);
  EXPECT(rig_result(&rig), -ECONNREFUSED);
  rig_close(&rig);
}

/* Connects `count` sockets to the listener whose address block 0 has; none is accepted. */
static void dial(int32_t *clients, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    clients[i] = ur_socket(rig.id, AF_INET);
    struct ur_op *op = rig_op(&rig, UR_OP_CONNECT, 10 + i, clients[i]);
    op->slab = 0;
    op->length = sizeof(struct sockaddr_in);
    EXPECT(rig_result(&rig), 0);
  }
}

static void take_waiting(void) {
  enum { COUNT = 5 };
  int32_t clients[COUNT];
  rig_open(&rig, 8, 64, 0);
  int32_t listener = rig_listen(&rig, 0);
  EXPECT(ur_accept(rig.id, listener, 1), -EAGAIN);
  dial(clients, COUNT);
  uint8_t *block = rig.blocks + UR_BLOCK_BYTES;
  for (uint32_t i = 0; i < COUNT; i++) {
    memset(block, GUARD, 2 * UR_BLOCK_BYTES);
    int32_t server = ur_accept(rig.id, listener, 1);
    EXPECT_TRUE(server >= 0);
    EXPECT(fcntl(server, F_GETFD), FD_CLOEXEC);
    EXPECT(*(uint32_t *)(block + UR_ADDRESS_BYTES), sizeof(struct sockaddr_in));
    for (uint32_t k = UR_ADDRESS_BYTES + 4; k < 2 * UR_BLOCK_BYTES; k++) EXPECT(block[k], GUARD);
    EXPECT(ur_address(rig.id, clients[i], 0, 2), sizeof(struct sockaddr_in));
    EXPECT(memcmp(block, block + UR_BLOCK_BYTES, sizeof(struct sockaddr_in)), 0);
    EXPECT(ur_close(rig.id, server), 0);
  }
  EXPECT(ur_accept(rig.id, listener, 1), -EAGAIN);
  rig_close(&rig);
}

/* A peer that has reset its connection leaves it in the queue: nothing waits for the next one. */
static void take_reset(void) {
  int32_t client;
  rig_open(&rig, 8, 64, 0);
  int32_t listener = rig_listen(&rig, 0);
  dial(&client, 1);
  EXPECT(ur_set_option(rig.id, client, UR_OPTION_LINGER_SECONDS, 0), 0);
  EXPECT(ur_close(rig.id, client), 0);
  EXPECT_TRUE(ur_accept(rig.id, listener, 1) >= 0);
  EXPECT(ur_accept(rig.id, listener, 1), -EAGAIN);
  rig_close(&rig);
}

/* Sockets of others are taken over, and what is no stream socket stays as it was. */
static void adopt_foreign(void) {
  int pair[2], pipes[2];
  rig_open(&rig, 8, 64, 0);
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  EXPECT(ur_adopt(rig.id, pair[0]), AF_UNIX);
  EXPECT(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
  EXPECT(ur_adopt(rig.id, pair[0]), -EBUSY);
  EXPECT(ur_close(rig.id, pair[0]), 0);
  EXPECT(ur_adopt(rig.id, pair[0]), -EBADF);
  close(pair[1]);
  EXPECT(pipe(pipes), 0);
  EXPECT(ur_adopt(rig.id, pipes[0]), -ENOTSOCK);
  EXPECT(close(pipes[0]) | close(pipes[1]), 0);
  int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  EXPECT(ur_adopt(rig.id, datagrams), -EPROTOTYPE);
  EXPECT(close(datagrams), 0);
  EXPECT(ur_adopt(rig.id, -1), -EBADF);
  EXPECT(ur_adopt(rig.id, INT32_MAX), -EBADF);
  EXPECT(ur_adopt(UINT32_MAX, 0), -EPERM);
  rig_close(&rig);
}

/* ur_state() does not change a descriptor or its flags. */
static void states(void) {
  int pair[2], pipes[2];
  rig_open(&rig, 8, 64, 0);
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  int flags = fcntl(pair[0], F_GETFL);
  EXPECT(ur_state(rig.id, pair[0]), UR_STATE_CONNECTED);
  EXPECT(fcntl(pair[0], F_GETFL), flags);
  EXPECT(fcntl(pair[0], F_GETFD), 0);
  int fresh = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT(ur_state(rig.id, fresh), UR_STATE_NEITHER);
  EXPECT(listen(fresh, 1), 0);
  EXPECT(ur_state(rig.id, fresh), UR_STATE_LISTENING);
  EXPECT(pipe(pipes), 0);
  EXPECT(ur_state(rig.id, pipes[0]), -ENOTSOCK);
  EXPECT(close(pipes[0]) | close(pipes[1]), 0);
  EXPECT(ur_state(rig.id, pipes[0]), -EBADF);
  EXPECT(ur_state(rig.id, -1), -EBADF);
  int packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  EXPECT(ur_state(rig.id, packets), -EPROTOTYPE);
  EXPECT(ur_state(UINT32_MAX, fresh), -EPERM);
  EXPECT(close(packets) | close(fresh), 0);
  /* Taken over and given back. */
  EXPECT(ur_adopt(rig.id, pair[0]), AF_UNIX);
  EXPECT(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
  EXPECT(ur_disown(rig.id, pair[0]), 0);
  EXPECT(ur_disown(rig.id, pair[0]), -EBADF);
  EXPECT(ur_close(rig.id, pair[0]), -EBADF);
  EXPECT(close(pair[0]) | close(pair[1]), 0);
  rig_close(&rig);
}

static void reset(int32_t fd) {
  EXPECT(ur_set_option(rig.id, fd, UR_OPTION_LINGER_SECONDS, 0), 0);
  EXPECT(ur_close(rig.id, fd), 0);
}

static void expect_end(int32_t fd, uint32_t slab, int32_t end) {
  rig_bytes(&rig, UR_OP_RECV, fd, slab, 0, 100);
  EXPECT(rig_result(&rig), end);
}

/* The next completion of a poll, which goes on. */
static void expect_events(uint32_t generation, int32_t events) {
  struct ur_completion done = rig_await(&rig, generation);
  EXPECT(done.result & (POLLRDHUP | POLLHUP | POLLERR), events);
  EXPECT_TRUE(done.flags & IORING_CQE_F_MORE);
}

/* A poll sees FIN behind unread bytes, and leaves them. */
static void poll_fin(void) {
  int32_t pair[2];
  struct ur_completion none;
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  rig_op(&rig, UR_OP_POLL, 20, pair[1])->length = UR_POLL_PEER_FINISHED;
  uint32_t polled = rig.generation;
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 5);
  EXPECT(rig_result(&rig), 5);
  EXPECT_TRUE(!rig_take(&rig, polled, &none));
  EXPECT(ur_shutdown(rig.id, pair[0], 1), 0);
  expect_events(polled, POLLRDHUP);
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 100, 100);
  EXPECT(rig_result(&rig), 5);
  EXPECT_TRUE(!rig_take(&rig, polled, &none));
  EXPECT(ur_shutdown(rig.id, pair[1], 1), 0);
  expect_events(polled, POLLRDHUP | POLLHUP);
  rig_cancel(&rig, 20, polled, 0);
  EXPECT(rig_await(&rig, polled).result, -ECANCELED);
  rig_close(&rig);
}

/* RST: the poll takes no error away, the receive is told of it. */
static void poll_rst(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  rig_op(&rig, UR_OP_POLL, 20, pair[1])->length = UR_POLL_PEER_FINISHED;
  uint32_t polled = rig.generation;
  rig_turn(&rig);
  reset(pair[0]);
  expect_events(polled, POLLRDHUP | POLLHUP | POLLERR);
  expect_end(pair[1], slab, -ECONNRESET);
  rig_close(&rig);
}

static void more_options(void) {
  rig_open(&rig, 8, 64, 0);
  int32_t fd = ur_socket(rig.id, AF_INET);
  EXPECT(ur_set_option(rig.id, fd, UR_OPTION_USER_TIMEOUT_MS, 4321), 0);
  EXPECT(ur_get_option(rig.id, fd, UR_OPTION_USER_TIMEOUT_MS), 4321);
  EXPECT(ur_set_option(rig.id, fd, UR_OPTION_DEFER_ACCEPT_SECONDS, 1), 0);
  EXPECT_TRUE(ur_get_option(rig.id, fd, UR_OPTION_DEFER_ACCEPT_SECONDS) >= 1);
  EXPECT(ur_get_option(rig.id, fd, UR_OPTION_INTERFACE_INDEX), 0);
  EXPECT(ur_set_option(rig.id, fd, UR_OPTION_INTERFACE_INDEX, 1), 0);
  EXPECT(ur_get_option(rig.id, fd, UR_OPTION_INTERFACE_INDEX), 1);
  EXPECT(ur_close(rig.id, fd), 0);
  rig_close(&rig);
}

static void traffic_class(void) {
  static const uint32_t families[] = {AF_INET, AF_INET6};
  rig_open(&rig, 8, 64, 0);
  for (uint32_t i = 0; i < 2; i++) {
    int32_t fd = ur_socket(rig.id, families[i]);
    EXPECT(ur_set_option(rig.id, fd, UR_OPTION_TRAFFIC_CLASS, 0x10), 0);
    EXPECT(ur_get_option(rig.id, fd, UR_OPTION_TRAFFIC_CLASS), 0x10);
    EXPECT(ur_close(rig.id, fd), 0);
  }
  rig_close(&rig);
}

/* pair[1] sends so many bytes, pair[0] receives them. */
static void send_some(const int32_t pair[2], uint32_t slab, uint32_t length) {
  rig_bytes(&rig, UR_OP_SEND, pair[1], slab, 0, length);
  EXPECT(rig_result(&rig), length);
  rig_bytes(&rig, UR_OP_RECV, pair[0], slab, 0, length);
  EXPECT(rig_result(&rig), length);
}

/* Bytes before the end, of which the receiver sees `length`; some of them may be urgent. */
static void speak(int32_t pair[2], uint32_t slab, uint32_t length, uint32_t urgent) {
  if (length > 0) send_some(pair, slab, length);
  for (uint32_t i = 0; i < urgent; i++) EXPECT((int32_t)send(pair[1], "!", 1, MSG_OOB), 1);
}

/* Of several urgent bytes, any number may be bytes like others: the last one is none. */
static void expect_end_behind_bytes(int32_t fd, uint32_t slab, int32_t end) {
  int32_t result;
  do {
    rig_bytes(&rig, UR_OP_RECV, fd, slab, 0, 100);
    result = rig_result(&rig);
  } while (result > 0);
  EXPECT(result, end);
}

static void cut_off_after(uint32_t slab, uint32_t length, uint32_t urgent) {
  int32_t pair[2];
  rig_pair(&rig, pair);
  speak(pair, slab, length, urgent);
  EXPECT(ur_cut_off(rig.id, pair[0]), 0); /* alive */
  reset(pair[1]);
  expect_end_behind_bytes(pair[0], slab, -ECONNRESET);
  expect_end(pair[0], slab, 0);
  for (int i = 0; i < 2; i++) EXPECT(ur_cut_off(rig.id, pair[0]), 1);
  EXPECT(ur_close(rig.id, pair[0]), 0);

  rig_pair(&rig, pair);
  speak(pair, slab, length, urgent);
  EXPECT(ur_shutdown(rig.id, pair[1], 1), 0);
  expect_end_behind_bytes(pair[0], slab, 0);
  EXPECT(ur_cut_off(rig.id, pair[0]), 0); /* half closed */
  reset(pair[1]);
  EXPECT(ur_cut_off(rig.id, pair[0]), 0); /* FIN, then RST */
  EXPECT(ur_close(rig.id, pair[0]), 0);

  rig_pair(&rig, pair);
  speak(pair, slab, length, urgent);
  EXPECT(ur_shutdown(rig.id, pair[0], 1), 0);
  EXPECT(ur_close(rig.id, pair[1]), 0);
  expect_end_behind_bytes(pair[0], slab, 0);
  EXPECT(ur_cut_off(rig.id, pair[0]), 0); /* FIN of both */
  EXPECT(ur_close(rig.id, pair[0]), 0);
}

static void cut_off(void) {
  rig_open(&rig, 8, 64, 0);
  uint32_t slab = slab_map(SLAB_BYTES);
  for (uint32_t urgent = 0; urgent <= 3; urgent++) {
    cut_off_after(slab, 0, urgent);
    cut_off_after(slab, 5, urgent);
  }
  EXPECT(ur_cut_off(rig.id, ur_socket(rig.id, AF_UNIX)), 0);
  rig_close(&rig);
}

static void cancels(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  int32_t listener = rig_listen(&rig, 0);
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 10)->slot = 7;
  uint32_t receives = rig.generation;
  rig_op(&rig, UR_OP_ACCEPT, 7, listener)->slab = 1;
  uint32_t accepts = rig.generation;
  EXPECT(rig_turn(&rig), 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 2);
  /* The accept is known by its flag only; the wrong generation finds nothing; both are silent. */
  rig_cancel(&rig, 7, accepts, 0);
  rig_cancel(&rig, 7, receives + 1000, 0);
  rig_cancel(&rig, UINT32_MAX, UINT32_MAX, 0);
  rig_cancel(&rig, UINT32_MAX, UINT32_MAX, UR_OP_FLAG_OF_ACCEPT);
  EXPECT(rig_turn(&rig), 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 2);
  rig_cancel(&rig, 7, accepts, UR_OP_FLAG_OF_ACCEPT);
  EXPECT(rig_await(&rig, accepts).result, -ECANCELED);
  rig_cancel(&rig, 7, receives, 0);
  EXPECT(rig_await(&rig, receives).result, -ECANCELED);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  EXPECT(rig.seen_count, 0);
  rig_close(&rig);
}

/* Data and cancel race: in one turn, or with the data in the socket already. */
static void cancel_races(void) {
  int32_t pair[2];
  uint32_t lost = 0, won = 0;
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  uint8_t *bytes = slab_bytes(slab);
  for (uint32_t i = 0; i < 400; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 8);
    uint32_t receives = rig.generation;
    if (i & 1) rig_turn(&rig);
    memcpy(bytes + 100, &i, sizeof(i));
    uint32_t sends = 0;
    for (uint32_t step = 0; step < 2; step++) {
      if (step == (i >> 1 & 1)) {
        rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 100, 8);
        sends = rig.generation;
      } else {
        rig_cancel(&rig, 1, receives, 0);
      }
      if (i & 4) rig_turn(&rig);
    }
    EXPECT(rig_await(&rig, sends).result, 8);
    int32_t result = rig_await(&rig, receives).result;
    won += result == 8;
    lost += result == -ECANCELED;
    EXPECT_TRUE(result == 8 || result == -ECANCELED);
    /* Cancelled: not one byte has been taken. */
    if (result < 0) {
      rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 8);
      EXPECT(rig_result(&rig), 8);
    }
    EXPECT(memcmp(bytes, &i, sizeof(i)), 0);
    EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  }
  EXPECT(won + lost, 400);
  EXPECT_TRUE(lost > 0);
  rig_close(&rig);
}

static void cancel_connect(void) {
  rig_open(&rig, 8, 64, 0);
  uint32_t before = open_descriptors();
  /* One place in the backlog, and no accept: about the third connect has to wait. */
  int32_t listener = rig_listen(&rig, 0);
  EXPECT(ur_listen(rig.id, listener, 0), 0);
  uint32_t generations[8], canceled = 0;
  for (uint32_t i = 0; i < 8; i++) {
    struct ur_op *op = rig_op(&rig, UR_OP_CONNECT, i, ur_socket(rig.id, AF_INET));
    op->slab = 0;
    op->length = sizeof(struct sockaddr_in);
    generations[i] = op->generation;
  }
  rig_turn(&rig);
  for (uint32_t i = 0; i < 8; i++) rig_cancel(&rig, i, generations[i], 0);
  for (uint32_t i = 0; i < 8; i++) {
    int32_t result = rig_await(&rig, generations[i]).result;
    EXPECT_TRUE(result == 0 || result == -ECANCELED || result == -EINTR);
    canceled += result != 0;
  }
  EXPECT_TRUE(canceled > 0);
  EXPECT(open_descriptors(), before + 9);
  rig_close(&rig);
}

static void sq_full(void) {
  int32_t pair[2];
  rig_open(&rig, 1, 8, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES), first = rig.generation + 1;
  uint8_t *bytes = slab_bytes(slab);
  for (uint32_t i = 0; i < UR_OP_CAPACITY; i++) {
    bytes[i] = (uint8_t)(i * 7);
    rig_bytes(&rig, UR_OP_SEND, pair[0], slab, i, 1);
  }
  for (uint32_t i = 0; i < UR_OP_CAPACITY; i++) EXPECT(rig_await(&rig, first + i).result, 1);
  for (uint32_t got = 0; got < UR_OP_CAPACITY;) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 8192 + got, UR_OP_CAPACITY - got);
    int32_t count = rig_result(&rig);
    EXPECT_TRUE(count > 0);
    got += (uint32_t)count;
  }
  EXPECT(memcmp(bytes, bytes + 8192, UR_OP_CAPACITY), 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  rig_close(&rig);
}

static void cq_overflow(void) {
  rig_open(&rig, 8, 8, 0);
  for (uint32_t round = 0; round < 5; round++) {
    uint32_t first = rig.generation + 1;
    for (uint32_t i = 0; i < UR_OP_CAPACITY; i++) rig_op(&rig, UR_OP_NOP, i, -1);
    for (uint32_t i = 0; i < UR_OP_CAPACITY; i++) {
      struct ur_completion done = rig_await(&rig, first + i);
      EXPECT(done.result, 0);
      EXPECT(done.slot, i);
    }
    EXPECT(rig.seen_count, 0);
    EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  }
  EXPECT_TRUE(rig.header[UR_HEADER_OVERFLOWS] > 0);
  EXPECT(rig.header[UR_HEADER_COMPLETIONS], 5 * UR_OP_CAPACITY);
  EXPECT(rig.header[UR_HEADER_SUBMISSIONS], 5 * UR_OP_CAPACITY);
  rig_close(&rig);
}

/* Twenty receives of an enter are more than that already, so every turn enters once. */
static void much_in_a_turn(void) {
  enum { PAIRS = 60, BYTES = 60000 };
  static int32_t pairs[PAIRS][2];
  static uint32_t received[PAIRS];
  rig_open(&rig, 64, 512, 0);
  uint32_t from = slab_map(BYTES), to = slab_map(PAIRS * BYTES);
  for (uint32_t i = 0; i < PAIRS; i++) rig_pair(&rig, pairs[i]);
  for (uint32_t i = 0; i < PAIRS; i++) {
    rig_bytes(&rig, UR_OP_RECV, pairs[i][1], to, i * BYTES, BYTES)->slot = i;
    received[i] = rig.generation;
  }
  EXPECT(rig_turn(&rig), 0);
  for (uint32_t i = 0; i < PAIRS; i++)
    rig_bytes(&rig, UR_OP_SEND, pairs[i][0], from, 0, BYTES)->slot = PAIRS + i;
  uint32_t left = 2 * PAIRS;
  while (left > 0) {
    uint32_t enters = rig.header[UR_HEADER_ENTERS];
    left -= rig_turn(&rig);
    EXPECT(rig.header[UR_HEADER_ENTERS] - enters, 1);
    EXPECT_TRUE(left == 0 || rig.header[UR_HEADER_MORE]);
  }
  for (uint32_t i = 0; i < PAIRS; i++) EXPECT(rig_await(&rig, received[i]).result, BYTES);
  rig_close(&rig);
}

static void polled(void) {
  int32_t pair[2];
  rig_open(&rig, 4, 64, UR_OPEN_SQPOLL | UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  uint32_t from = slab_map(SLAB_BYTES), to = slab_map(SLAB_BYTES);
  carry(pair, from, to, 3, 5000);
  for (uint32_t count = 1; count <= UR_IOVEC_MAX; count += 31) gather(pair, from, to, count);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  rig_close(&rig);
}

/* An armed doorbell interrupts the wait for room each time that completions ring it. */
static void polled_full(void) {
  rig_open(&rig, 4, 64, UR_OPEN_SQPOLL);
  for (uint32_t round = 0; round < 40; round++) {
    uint32_t first = rig.generation + 1;
    EXPECT_TRUE(ur_arm(rig.id) >= 0);
    for (uint32_t i = 0; i < UR_OP_CAPACITY; i++) rig_op(&rig, UR_OP_NOP, i, -1);
    for (uint32_t i = 0; i < UR_OP_CAPACITY; i++) EXPECT(rig_await(&rig, first + i).result, 0);
    EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  }
  rig_close(&rig);
}

const struct test_case operation_cases[] = {
    {"NOP completes with 0, its slot and its generation", nop},
    {"SEND and RECV carry bytes between slabs, and touch no other byte", echo},
    {"SENDMSG carries 1 to 32 ranges in order", echo_iovecs},
    {"POLL_FIRST waits, then carries", poll_first},
    {"GATHER takes what has come when its turn ends, and leaves no mark", gather_few},
    {"GATHER ends its turn when no byte comes, and the receive goes on", gather_none},
    {"GATHER for more descriptors than a turn has room for", gather_many},
    {"GATHER is refused without POLL_FIRST, for sends and multishot receives", gather_refused},
    {"RECV_SELECT fills provided buffers, 256 identifiers around, and says which", select_buffers},
    {"a turn that moved 1 MiB ends, and says that there is more", much_in_a_turn},
    {"RECV_MULTISHOT completes until its buffers run out, and loses nothing", multishot},
    {"ACCEPT writes the peer's address and not a byte more, CONNECT says when refused", addresses},
    {"ur_accept() takes what waits, in order, with addresses, and never waits", take_waiting},
    {"ur_accept() takes a connection that its peer has reset", take_reset},
    {"ur_adopt() takes stream sockets of others over, and nothing else", adopt_foreign},
    {"ur_state() tells listening sockets from connected ones, and touches neither", states},
    {"POLL sees the peer's FIN, then the end of both halves, and takes no byte", poll_fin},
    {"POLL sees the peer's RST, and takes no error away", poll_rst},
    {"the user timeout, deferred accepts and the interface are set and read", more_options},
    {"the traffic class is set and read, for IPv4 and IPv6", traffic_class},
    {"ur_cut_off() tells a connection that was reset from one that ended with FIN", cut_off},
    {"CANCEL ends a receive or an accept by slot, generation and kind, and is silent", cancels},
    {"a cancelled receive has taken no byte, whoever wins the race", cancel_races},
    {"CANCEL ends a connect that waits for room in the backlog", cancel_connect},
    {"1,024 records in one turn go through a submission queue of one entry, in order", sq_full},
    {"1,024 completions come through a completion queue of 8, none lost", cq_overflow},
    {"a ring polled by the kernel carries the same", polled},
    {"records wait for room in the queue of a ring polled by the kernel", polled_full},
    {NULL, NULL},
};
