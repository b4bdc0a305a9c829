/*
 * Records and arguments that must not reach the kernel: each is refused with a defined errno, and
 * the ring carries bytes afterwards as it did before. See driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLAB_BYTES 8192u

static struct rig rig;
static int32_t pair[2];
static uint32_t slab;

static void prepare(void) {
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  slab = slab_map(SLAB_BYTES);
}

/* The ring still does what it should; then it is closed. */
static void finish(void) {
  memcpy(slab_bytes(slab), "still", 5);
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 5);
  EXPECT(rig_result(&rig), 5);
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 100, 100);
  EXPECT(rig_result(&rig), 5);
  EXPECT(memcmp(slab_bytes(slab) + 100, "still", 5), 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], 0);
  EXPECT(rig.seen_count, 0);
  rig_close(&rig);
}

/* One turn: the last staged record is refused with the errno, and nothing of it is in flight. */
static void refused(int32_t error) {
  struct ur_completion done;
  uint32_t in_flight = rig.header[UR_HEADER_IN_FLIGHT];
  EXPECT(rig_turn(&rig), 1);
  EXPECT_TRUE(rig_take(&rig, rig.generation, &done));
  EXPECT(done.result, -error);
  EXPECT(done.flags, 0);
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], in_flight);
}

/* Triples of (slab, offset, length) that name a byte which is not there. */
static uint32_t bad_triples(uint32_t triples[][3]) {
  uint32_t released = slab_map(3 * 4096), count = 0;
  EXPECT(ur_slab_release(released), 0);
  const uint32_t bad[][3] = {
      {slab, 0, 0},
      {slab, SLAB_BYTES, 0},
      {slab, SLAB_BYTES, 1},
      {slab, SLAB_BYTES - 1, 2},
      {slab, 0, SLAB_BYTES + 1},
      {slab, 1, SLAB_BYTES},
      {slab, 1, UINT32_MAX},
      {slab, 2, UINT32_MAX - 1},
      {slab, UINT32_MAX, 1},
      {slab, UINT32_MAX, 2},
      {slab, UINT32_MAX, UINT32_MAX},
      {slab, 0x80000000u, 0x80000000u},
      {slab, 0x80000000u, 0x80000001u},
      {released, 0, 1},
      {slab + 1000, 0, 1},
      {65535, 0, 1},
      {65536, 0, 1},
      {0x80000000u | slab, 0, 1},
      {UINT32_MAX, 0, 1},
  };
  for (; count < sizeof(bad) / sizeof(bad[0]); count++)
    memcpy(triples[count], bad[count], sizeof(bad[0]));
  return count;
}

static void ranges(void) {
  uint32_t bad[32][3];
  prepare();
  uint32_t count = bad_triples(bad);
  for (uint32_t i = 0; i < count; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], bad[i][0], bad[i][1], bad[i][2]);
    refused(EFAULT);
    rig_bytes(&rig, UR_OP_SEND, pair[0], bad[i][0], bad[i][1], bad[i][2]);
    refused(EFAULT);
    rig_op(&rig, UR_OP_PROVIDE, 0, 0);
    struct ur_op *op = &rig.ops[rig.staged - 1];
    op->slab = bad[i][0];
    op->offset = bad[i][1];
    op->length = bad[i][2];
    refused(EFAULT);
  }
  finish();
}

static void message(uint32_t block, uint32_t count) {
  struct ur_op *op = rig_op(&rig, UR_OP_SENDMSG, 4, pair[0]);
  op->slab = block;
  op->length = count;
  refused(EFAULT);
}

static void messages(void) {
  uint32_t bad[32][3];
  prepare();
  uint32_t count = bad_triples(bad);
  /* One bad range among good ones, at either end and in the middle. */
  for (uint32_t i = 0; i < count; i++) {
    for (uint32_t at = 0; at < UR_IOVEC_MAX; at += at ? 16 : 15) {
      uint32_t *triple = rig_triples(&rig, UR_BLOCK_COUNT - 1);
      for (uint32_t k = 0; k < UR_IOVEC_MAX; k++, triple += 3) {
        triple[0] = slab;
        triple[1] = k;
        triple[2] = 1;
        if (k == at) memcpy(triple, bad[i], sizeof(bad[i]));
      }
      message(UR_BLOCK_COUNT - 1, UR_IOVEC_MAX);
    }
  }
  static const uint32_t counts[] = {0, UR_IOVEC_MAX + 1, 1024, 0x80000000u, UINT32_MAX};
  for (uint32_t k = 0; k < 2 * (UR_BLOCK_BYTES / 12); k++) {
    rig_triples(&rig, 0)[3 * k] = slab;
    rig_triples(&rig, 0)[3 * k + 1] = 0;
    rig_triples(&rig, 0)[3 * k + 2] = 1;
  }
  for (uint32_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) message(0, counts[i]);
  finish();
}

static void blocks(void) {
  static const uint32_t bad[] = {UR_BLOCK_COUNT, UR_BLOCK_COUNT + 1, 0x800000u, UINT32_MAX};
  prepare();
  for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct ur_op *op = rig_op(&rig, UR_OP_CONNECT, 1, pair[0]);
    op->slab = bad[i];
    op->length = 16;
    refused(EFAULT);
    if (bad[i] != UR_BLOCK_NONE) {
      rig_op(&rig, UR_OP_ACCEPT, 1, pair[0])->slab = bad[i];
      refused(EFAULT);
    }
    message(bad[i], 1);
    EXPECT(ur_bind(rig.id, pair[0], bad[i], 16), -EFAULT);
    EXPECT(ur_address(rig.id, pair[0], 0, bad[i]), -EFAULT);
    EXPECT(ur_interface(rig.id, bad[i], 2), -EFAULT);
  }
  static const uint32_t lengths[] = {UR_ADDRESS_BYTES + 1, 512, 0x80000000u, UINT32_MAX};
  for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    rig_op(&rig, UR_OP_CONNECT, 1, pair[0])->length = lengths[i];
    refused(EFAULT);
    EXPECT(ur_bind(rig.id, pair[0], 0, lengths[i]), -EINVAL);
  }
  EXPECT(ur_bind(rig.id, pair[0], 0, 0), -EINVAL);
  EXPECT(ur_interface(rig.id, 0, UR_BLOCK_BYTES), -EINVAL);
  EXPECT(ur_interface(rig.id, 0, UINT32_MAX), -EINVAL);
  EXPECT(ur_interface(rig.id, 0, 0), -ENODEV);
  memcpy(rig.blocks, "lo*", 3);
  EXPECT(ur_interface(rig.id, 0, 3), -ENODEV);
  EXPECT(ur_interface(rig.id, 0, 2), (int32_t)if_nametoindex("lo"));
  finish();
}

static void codes_and_slots(void) {
  static const uint32_t codes[] = {UR_OP_COUNT, UR_OP_COUNT + 1, 255, 256, 0x80000000u, UINT32_MAX};
  static const uint32_t slots[] = {0x7fffffffu, 0x80000000u, UINT32_MAX};
  prepare();
  for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
    rig_bytes(&rig, codes[i], pair[0], slab, 0, 1);
    refused(EINVAL);
  }
  for (uint32_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
    for (uint32_t code = UR_OP_NOP; code <= UR_OP_CONNECT; code++) {
      rig_bytes(&rig, code, pair[0], slab, 0, 1)->slot = slots[i];
      refused(EINVAL);
    }
  }
  /* This slot would look like an entry whose completion is dropped. */
  int32_t listener = rig_listen(&rig, 0);
  rig_op(&rig, UR_OP_ACCEPT, 0x7fffffffu, listener)->generation = UINT32_MAX;
  EXPECT(rig_turn(&rig), 1);
  struct ur_completion done;
  EXPECT_TRUE(rig_take(&rig, UINT32_MAX, &done));
  EXPECT(done.result, -EINVAL);
  EXPECT(ur_turn(rig.id, UR_OP_CAPACITY + 1, 0), -EINVAL);
  EXPECT(ur_turn(rig.id, UINT32_MAX, 0), -EINVAL);
  finish();
}

static void provided(void) {
  prepare();
  static const struct {
    uint32_t group;
    uint32_t id;
  } bad[] = {{3, 0}, {UINT32_MAX, 0}, {0x80000000u, 0}, {0, 256}, {1, 65536}, {0, UINT32_MAX}};
  for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    rig_provide(&rig, bad[i].group, bad[i].id, slab, 0, 64);
    refused(EFAULT);
  }
  rig_op(&rig, UR_OP_RECV_SELECT, 1, pair[1])->length = 0;
  refused(ENOBUFS);
  static const uint32_t unfit[] = {1, 3, 256, 0x80000000u, UINT32_MAX};
  for (uint32_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
    rig_bytes(&rig, UR_OP_RECV_SELECT, pair[1], unfit[i], 0, 10);
    refused(EFAULT);
  }
  static struct rig other;
  struct rig *without = &other;
  rig_open(without, 8, 64, 0);
  rig_op(without, UR_OP_RECV_SELECT, 1, pair[1])->length = 10;
  EXPECT(rig_result(without), -ENOBUFS);
  rig_op(without, UR_OP_RECV_MULTISHOT, 1, pair[1]);
  EXPECT(rig_result(without), -ENOBUFS);
  rig_provide(without, 0, 0, slab, 0, 64);
  EXPECT(rig_result(without), -EFAULT);
  rig_close(without);
  finish();
}

static void descriptors(void) {
  prepare();
  int own = open("/dev/null", O_RDWR | O_CLOEXEC);
  int32_t closed = ur_socket(rig.id, AF_INET);
  EXPECT(ur_close(rig.id, closed), 0);
  const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, 0, 1, 2, own, closed, 1 << 20, rig.doorbell};
  for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    int32_t fd = bad[i];
    for (uint32_t code = UR_OP_RECV; code < UR_OP_COUNT; code++) {
      if (code == UR_OP_CANCEL || code == UR_OP_PROVIDE || code == UR_OP_SENDMSG) continue;
      /* A length that each of them takes: of bytes, of an address, or the event POLLOUT. */
      struct ur_op *op = rig_bytes(&rig, code, fd, slab, 0, UR_POLL_OUT);
      if (code != UR_OP_RECV && code != UR_OP_SEND) op->slab = 0;
      refused(EBADF);
    }
    EXPECT(ur_bind(rig.id, fd, 0, 16), -EBADF);
    EXPECT(ur_listen(rig.id, fd, 1), -EBADF);
    EXPECT(ur_accept(rig.id, fd, 0), -EBADF);
    EXPECT(ur_address(rig.id, fd, 0, 0), -EBADF);
    EXPECT(ur_set_option(rig.id, fd, UR_OPTION_NO_DELAY, 1), -EBADF);
    EXPECT(ur_get_option(rig.id, fd, UR_OPTION_NO_DELAY), -EBADF);
    EXPECT(ur_cut_off(rig.id, fd), -EBADF);
    EXPECT(ur_disown(rig.id, fd), -EBADF);
    EXPECT(ur_shutdown(rig.id, fd, 2), -EBADF);
    EXPECT(ur_shutdown(rig.id, fd, UR_SHUTDOWN_DISCARD), -EBADF);
    EXPECT(ur_close(rig.id, fd), -EBADF);
  }
  EXPECT(fcntl(own, F_GETFD) >= 0, true);
  EXPECT(close(own), 0);
  finish();
}

static void options(void) {
  static const int32_t values[UR_OPTION_COUNT] = {
      [UR_OPTION_NO_DELAY] = 1,      [UR_OPTION_LINGER_SECONDS] = 3, [UR_OPTION_KEEP_ALIVE] = 1,
      [UR_OPTION_KEEP_IDLE] = 77,    [UR_OPTION_KEEP_INTERVAL] = 7,  [UR_OPTION_KEEP_COUNT] = 5,
      [UR_OPTION_REUSE_ADDRESS] = 1, [UR_OPTION_REUSE_PORT] = 1,
  };
  prepare();
  for (uint32_t option = 0; option <= UR_OPTION_REUSE_PORT; option++) {
    EXPECT(ur_set_option(rig.id, pair[0], option, values[option]), 0);
    EXPECT(ur_get_option(rig.id, pair[0], option), values[option]);
  }
  EXPECT(ur_set_option(rig.id, pair[0], UR_OPTION_LINGER_SECONDS, -1), 0);
  EXPECT(ur_get_option(rig.id, pair[0], UR_OPTION_LINGER_SECONDS), -1);
  EXPECT_TRUE(ur_set_option(rig.id, pair[0], UR_OPTION_IPV6_ONLY, 1) < 0);
  EXPECT_TRUE(ur_get_option(rig.id, pair[0], UR_OPTION_SEND_BUFFER) > 0);
  static const uint32_t bad[] = {UR_OPTION_COUNT, 1000, 0x80000000u, UINT32_MAX};
  for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    EXPECT(ur_set_option(rig.id, pair[0], bad[i], 1), -EINVAL);
    EXPECT(ur_get_option(rig.id, pair[0], bad[i]), -EINVAL);
  }
  EXPECT(ur_set_option(rig.id, pair[0], UR_OPTION_KEEP_IDLE, INT32_MIN), -EINVAL);
  EXPECT(ur_shutdown(rig.id, pair[0], 5), -EINVAL);
  EXPECT(ur_shutdown(rig.id, pair[0], UINT32_MAX), -EINVAL);
  EXPECT_TRUE(ur_socket(rig.id, UINT32_MAX) < 0);
  EXPECT(ur_listen(rig.id, pair[0], UINT32_MAX), -EINVAL); /* it is connected */
  EXPECT(ur_accept(rig.id, pair[0], 0), -EAGAIN);
  EXPECT(ur_shutdown(rig.id, pair[1], 1), 0);
  EXPECT(ur_accept(rig.id, pair[0], 0), -EINVAL); /* readable, and no listener */
  EXPECT(ur_accept(rig.id, pair[0], UR_BLOCK_COUNT), -EFAULT);
  EXPECT(ur_accept(rig.id, pair[0], UINT32_MAX), -EFAULT);
  finish();
}

static void tables(void) {
  char text[512];
  int32_t length = ur_system(text, sizeof(text));
  EXPECT_TRUE(length > 0);
  for (uint32_t capacity = 0; capacity <= (uint32_t)length; capacity++) {
    memset(text, '#', sizeof(text));
    EXPECT(ur_system(text, capacity), -ENOSPC);
    for (uint32_t i = capacity; i < sizeof(text); i++) EXPECT(text[i], '#');
  }
  EXPECT(ur_system(text, (uint32_t)length + 1), length);
  EXPECT(ur_layout(0), UR_ABI_VERSION);
  uint32_t count = 0;
  while (count < 1000 && ur_layout(count) != -EINVAL) count++;
  EXPECT(count, 20);
  EXPECT(ur_layout(UINT32_MAX), -EINVAL);
  /* The features that the core cannot do without. */
  int32_t needed = UR_FEATURE_DEFER_TASKRUN | UR_FEATURE_SINGLE_ISSUER |
                   UR_FEATURE_PROVIDED_BUFFER_RINGS | UR_FEATURE_MULTISHOT_RECEIVE;
  EXPECT(ur_probe() & needed, needed);
}

static void ring_sizes(void) {
  uint32_t before = open_descriptors();
  static const uint32_t bad[][2] = {
      {0, 64}, {8, 0}, {8, 4}, {32769, 65536}, {8, 65537}, {UINT32_MAX, UINT32_MAX}, {256, 128},
  };
  for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    EXPECT(ur_ring_open(bad[i][0], bad[i][1], 0), -EINVAL);
  EXPECT(ur_slab_map(0), -EINVAL);
  EXPECT(ur_slab_map((1u << 30) + 1), -EINVAL);
  EXPECT(ur_slab_map(UINT32_MAX), -EINVAL);
  EXPECT(open_descriptors(), before);
  prepare();
  finish();
}

/* Every function with a ring that is not open, or not this thread's. */
static void expect_shut_out(uint32_t id, int32_t fd) {
  EXPECT(ur_turn(id, 0, 0), -EPERM);
  EXPECT(ur_arm(id), -EPERM);
  EXPECT(ur_ring_doorbell(id), -EPERM);
  EXPECT(ur_ring_event(id), -EPERM);
  EXPECT(ur_ring_event_back(id), -EPERM);
  EXPECT(ur_ring_control(id), -EPERM);
  EXPECT(ur_ring_close(id), -EPERM);
  EXPECT(ur_socket(id, AF_INET), -EPERM);
  EXPECT(ur_bind(id, fd, 0, 16), -EPERM);
  EXPECT(ur_listen(id, fd, 1), -EPERM);
  EXPECT(ur_accept(id, fd, 0), -EPERM);
  EXPECT(ur_address(id, fd, 0, 0), -EPERM);
  EXPECT(ur_set_option(id, fd, UR_OPTION_NO_DELAY, 1), -EPERM);
  EXPECT(ur_get_option(id, fd, UR_OPTION_NO_DELAY), -EPERM);
  EXPECT(ur_cut_off(id, fd), -EPERM);
  EXPECT(ur_shutdown(id, fd, 2), -EPERM);
  EXPECT(ur_close(id, fd), -EPERM);
  struct ur_file file = {0};
  EXPECT(ur_file_bind(id, fd, &file, sizeof(file), 0600), -EPERM);
  EXPECT(ur_file_remove(id, &file, sizeof(file)), -EPERM);
  EXPECT(ur_file_stale(id, &file, sizeof(file), 1), -EPERM);
  EXPECT(ur_interface(id, 0, 2), -EPERM);
}

static void *on_other_thread(void *unused) {
  (void)unused;
  expect_shut_out(rig.id, pair[0]);
  EXPECT(ur_slab_release(slab), -EPERM);
  EXPECT_TRUE(ur_slab_address(slab) == NULL);
  /* A ring of its own does not give it the other's sockets and memory. */
  static struct rig own;
  rig_open(&own, 8, 64, 0);
  rig_bytes(&own, UR_OP_SEND, pair[0], slab_map(4096), 0, 1);
  EXPECT(rig_result(&own), -EBADF);
  EXPECT(ur_close(own.id, pair[0]), -EBADF);
  rig_bytes(&own, UR_OP_SEND, ur_socket(own.id, AF_INET), slab, 0, 1);
  EXPECT(rig_result(&own), -EFAULT);
  rig_close(&own);
  return NULL;
}

static void other_thread(void) {
  prepare();
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, on_other_thread, NULL), 0);
  EXPECT(pthread_join(thread, NULL), 0);
  finish();
}

static void after_close(void) {
  prepare();
  uint32_t before = open_descriptors();
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
  rig_turn(&rig);
  rig_close(&rig);
  expect_shut_out(rig.id, pair[0]);
  expect_shut_out(1023, pair[0]);
  expect_shut_out(1024, pair[0]);
  expect_shut_out(UINT32_MAX, pair[0]);
  /* Ring, doorbell ring, eventfd, two ends of the doorbell and the two sockets. */
  EXPECT(open_descriptors(), before - 7);
  prepare();
  finish();
}

static void slabs(void) {
  prepare();
  EXPECT(ur_slab_release(UINT32_MAX), -EINVAL);
  EXPECT(ur_slab_release(65536), -EINVAL);
  EXPECT(ur_slab_release(slab + 1), -EINVAL);
  EXPECT_TRUE(ur_slab_address(UINT32_MAX) == NULL);
  EXPECT_TRUE(ur_slab_address(slab + 1) == NULL);
  /* The records of an open ring are not to be handed out to another. */
  uint32_t control = (uint32_t)ur_ring_control(rig.id);
  EXPECT(ur_slab_release(control), -EBUSY);
  finish();
  EXPECT(ur_slab_release(control), 0);
  EXPECT(ur_slab_release(control), -EINVAL);
  EXPECT(ur_slab_release(slab), 0);
  EXPECT(ur_slab_release(slab), -EINVAL);
}

const struct test_case refusal_cases[] = {
    {"ranges outside of a slab, also where offset + length overflows: EFAULT", ranges},
    {"one bad range among 32, and counts outside of 1 to 32: EFAULT", messages},
    {"blocks that do not exist and addresses that are too long: EFAULT, EINVAL", blocks},
    {"unknown op codes, slots out of range, too many records: EINVAL", codes_and_slots},
    {"provided buffers of unknown groups and identifiers: EFAULT, ENOBUFS", provided},
    {"descriptors that are closed, foreign or out of range: EBADF", descriptors},
    {"options are read as they were set; unknown ones: EINVAL", options},
    {"tables end where they end: EINVAL, ENOSPC, and no byte too far", tables},
    {"rings and slabs of impossible sizes: EINVAL, and no descriptor is left", ring_sizes},
    {"another thread is refused everything: EPERM, EBADF, EFAULT", other_thread},
    {"a closed ring refuses everything, closing it again too: EPERM", after_close},
    {"slabs that do not exist, that are in use or released twice: EINVAL, EBUSY", slabs},
    {NULL, NULL},
};
