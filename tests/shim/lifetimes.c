/*
 * Rings, slabs and descriptors that come and go, and threads that end in the middle of it. See
 * driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLAB_BYTES 8192u
/* Descriptors of one ring: itself, its doorbell's ring, the eventfd and the doorbell's two ends. */
#define RING_DESCRIPTORS 5u

static struct rig rig;

static void slabs_recycled(void) {
  uint32_t first = slab_map(3 * 4096), other = slab_map(4096);
  uint8_t *bytes = slab_bytes(first);
  memset(bytes, 1, 3 * 4096);
  EXPECT(ur_slab_release(first), 0);
  EXPECT_TRUE(ur_slab_address(first) == NULL);
  EXPECT_TRUE(slab_map(4096) != first);
  EXPECT(slab_map(3 * 4096), first);
  EXPECT_TRUE(slab_bytes(first) == bytes);
  for (uint32_t i = 0; i < 3 * 4096; i++) EXPECT(bytes[i], 0);
  EXPECT(ur_slab_release(other), 0);
  EXPECT(ur_slab_release(first), 0);
}

/* Leaves one of each kind with the kernel. */
static uint32_t occupy(struct rig *busy, int32_t pair[2], uint32_t slab) {
  int32_t listener = rig_listen(busy, 0);
  rig_bytes(busy, UR_OP_RECV, pair[0], slab, 0, 10)->flags = UR_OP_FLAG_POLL_FIRST;
  rig_op(busy, UR_OP_ACCEPT, 2, listener)->slab = 1;
  rig_provide(busy, 0, 0, slab, 1024, 1024);
  rig_provide(busy, 1, 0, slab, 2048, 1024);
  rig_op(busy, UR_OP_RECV_SELECT, 3, pair[1])->length = 10;
  rig_op(busy, UR_OP_RECV_MULTISHOT, 4, ur_socket(busy->id, AF_INET));
  rig_turn(busy);
  return busy->header[UR_HEADER_IN_FLIGHT];
}

static void close_in_flight(void) {
  uint32_t before = open_descriptors();
  for (uint32_t i = 0; i < 20; i++) {
    int32_t pair[2];
    rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
    rig_pair(&rig, pair);
    uint32_t slab = slab_map(SLAB_BYTES);
    EXPECT_TRUE(occupy(&rig, pair, slab) >= 3);
    /* Records that no turn took are not waited for. */
    rig_op(&rig, UR_OP_NOP, 1, -1);
    rig_close(&rig);
    EXPECT(open_descriptors(), before);
    EXPECT(ur_slab_release(slab), 0);
  }
}

/* A descriptor that is closed while it is in use: its number is gone at once, its entries end. */
static void close_descriptor_in_flight(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  rig_bytes(&rig, UR_OP_RECV, pair[0], slab, 0, 10);
  uint32_t receives = rig.generation;
  EXPECT(rig_turn(&rig), 0);
  EXPECT(ur_close(rig.id, pair[0]), 0);
  EXPECT(ur_close(rig.id, pair[0]), -EBADF);
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, 1);
  EXPECT(rig_result(&rig), -EBADF);
  /* The number belongs to another socket now; what was in flight is not moved to it. */
  for (int32_t fd = -1; fd != pair[0]; EXPECT_TRUE(fd <= pair[0])) fd = ur_socket(rig.id, AF_INET);
  memcpy(slab_bytes(slab) + 100, "last", 4);
  rig_bytes(&rig, UR_OP_SEND, pair[1], slab, 100, 4);
  EXPECT(rig_result(&rig), 4);
  EXPECT(rig_await(&rig, receives).result, 4);
  EXPECT(memcmp(slab_bytes(slab), "last", 4), 0);
  rig_close(&rig);
}

static void discarded(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, SLAB_BYTES);
  EXPECT(rig_result(&rig), SLAB_BYTES);
  EXPECT(ur_shutdown(rig.id, pair[1], UR_SHUTDOWN_DISCARD), 0);
  EXPECT(ur_close(rig.id, pair[1]), 0);
  rig_bytes(&rig, UR_OP_RECV, pair[0], slab, 0, 1);
  EXPECT(rig_result(&rig), 0); /* FIN, and no reset over unread bytes */
  rig_close(&rig);
}

/* TCP_FIN_WAIT2 of include/net/tcp_states.h: the peer has acknowledged FIN. */
#define STATE_FIN_WAIT2 5

static struct tcp_info tcp_info(int32_t fd) {
  struct tcp_info info = {0};
  socklen_t size = sizeof(info);
  EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info;
}

/* Nothing is under way, and what is left does not fit the peer's window. */
static bool is_stuck(int32_t fd) {
  struct tcp_info info = tcp_info(fd);
  return info.tcpi_unacked == 0 && info.tcpi_notsent_bytes > 0;
}

static bool fin_is_known(int32_t fd) { return tcp_info(fd).tcpi_state == STATE_FIN_WAIT2; }

static void await_that(bool (*holds)(int32_t), int32_t fd) {
  enum { MILLISECONDS_MAX = 5000 };
  struct timespec pause = {.tv_nsec = 1000000};
  for (uint32_t i = 0; !holds(fd); i++) {
    EXPECT_TRUE(i < MILLISECONDS_MAX);
    nanosleep(&pause, NULL);
  }
}

/* A window that stays shut is probed for a minute and longer. */
static void discarded_from_a_sender(void) {
  enum { SENDS_MAX = 10000 };
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  uint32_t sends = 0;
  for (uint32_t i = 0; sends == 0; i++) {
    EXPECT_TRUE(i < SENDS_MAX);
    rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, SLAB_BYTES);
    if (rig_turn(&rig) == 0) sends = rig.generation;
  }
  await_that(is_stuck, pair[0]);
  EXPECT(ur_shutdown(rig.id, pair[1], UR_SHUTDOWN_DISCARD), 0);
  await_that(fin_is_known, pair[1]);
  EXPECT(ur_close(rig.id, pair[1]), 0);
  int32_t result = rig_await(&rig, sends).result;
  for (uint32_t i = 0; result > 0; i++) {
    EXPECT_TRUE(i < SENDS_MAX);
    rig_bytes(&rig, UR_OP_SEND, pair[0], slab, 0, SLAB_BYTES);
    result = rig_await(&rig, rig.generation).result;
  }
  EXPECT_TRUE(result == -EPIPE || result == -ECONNRESET);
  rig_close(&rig);
}

/* Refusing what a peer sends would drop what it has yet to take. */
static void lingers(void) {
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  size_t sent = 0, received = 0;
  ssize_t count;
  while ((count = send(pair[0], slab_bytes(slab), SLAB_BYTES, MSG_DONTWAIT)) > 0)
    sent += (size_t)count;
  await_that(is_stuck, pair[0]);
  EXPECT(ur_shutdown(rig.id, pair[0], UR_SHUTDOWN_DISCARD), 1);
  EXPECT(ur_shutdown(rig.id, pair[0], UR_SHUTDOWN_AGAIN), 1);
  EXPECT(send(pair[1], "still here", 10, 0), 10);
  EXPECT(ur_shutdown(rig.id, pair[0], UR_SHUTDOWN_AGAIN), 2);
  while ((count = recv(pair[1], slab_bytes(slab), SLAB_BYTES, 0)) > 0) received += (size_t)count;
  EXPECT(count, 0);
  EXPECT(received, sent);
  await_that(fin_is_known, pair[0]);
  EXPECT(ur_shutdown(rig.id, pair[0], UR_SHUTDOWN_AGAIN), 0);
  rig_close(&rig);
}

static void several_rings(void) {
  static struct rig other;
  int32_t pair[2];
  rig_open(&rig, 8, 64, 0);
  rig_open(&other, 8, 64, 0);
  EXPECT_TRUE(rig.id != other.id);
  rig_pair(&rig, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  for (uint32_t i = 0; i < 10; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[0], slab, 0, 10);
    uint32_t receives = rig.generation;
    rig_turn(&rig);
    memset(slab_bytes(slab) + 100, (int)i, 10);
    rig_bytes(&other, UR_OP_SEND, pair[1], slab, 100, 10);
    EXPECT(rig_result(&other), 10);
    EXPECT(rig_await(&rig, receives).result, 10);
    EXPECT(memcmp(slab_bytes(slab), slab_bytes(slab) + 100, 10), 0);
  }
  /* The sockets go with the ring that made them. */
  rig_close(&rig);
  rig_bytes(&other, UR_OP_SEND, pair[1], slab, 0, 10);
  EXPECT(rig_result(&other), -EBADF);
  rig_close(&other);
}

static void *leaves_all_behind(void *context) {
  static __thread struct rig own;
  int32_t pair[2];
  rig_open(&own, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&own, pair);
  uint32_t slab = slab_map(SLAB_BYTES);
  EXPECT_TRUE(occupy(&own, pair, slab) >= 3);
  EXPECT(ur_arm(own.id), 0);
  *(uint32_t *)context = slab;
  return NULL;
}

static void thread_ends(void) {
  uint32_t before = open_descriptors(), slab[3];
  for (uint32_t i = 0; i < 30; i++) {
    pthread_t threads[3];
    for (uint32_t t = 0; t < 3; t++)
      EXPECT(pthread_create(&threads[t], NULL, leaves_all_behind, &slab[t]), 0);
    for (uint32_t t = 0; t < 3; t++) EXPECT(pthread_join(threads[t], NULL), 0);
    EXPECT(open_descriptors(), before);
    EXPECT(ur_slab_release(slab[0]), -EINVAL);
  }
  /* All of it is used again: at most three rings and slabs were ever there. */
  rig_open(&rig, 8, 64, 0);
  EXPECT_TRUE(rig.id < 3);
  EXPECT_TRUE(slab_map(SLAB_BYTES) < 6);
  rig_close(&rig);
}

static void *maps_and_ends(void *context) {
  uint32_t *mapped = context;
  for (uint32_t i = 0; i < 3; i++) mapped[i] = slab_map(SLAB_BYTES);
  return NULL;
}

/*
 * A ring whose operations cannot be cancelled in time: the kernel may write to the memory of its
 * thread at any later time, also when a later thread has the same pthread_t.
 */
static void never_drains(void) {
  uint32_t lost, mapped[3];
  pthread_t thread;
  hook_fail(HOOK_SYNC_CANCEL, 0, UINT32_MAX, ETIME);
  EXPECT(pthread_create(&thread, NULL, leaves_all_behind, &lost), 0);
  EXPECT(pthread_join(thread, NULL), 0);
  EXPECT_TRUE(hook_failed(HOOK_SYNC_CANCEL) > 0);
  hook_fail(HOOK_SYNC_CANCEL, 0, 0, 0);
  for (uint32_t i = 0; i < 3; i++) {
    EXPECT(pthread_create(&thread, NULL, maps_and_ends, mapped), 0);
    EXPECT(pthread_join(thread, NULL), 0);
    for (uint32_t k = 0; k < 3; k++) EXPECT_TRUE(mapped[k] != lost);
  }
  /* The same on a thread that lives on: the ring is not taken again, nor is what it used. */
  int32_t pair[2];
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  uint32_t id = rig.id, control = (uint32_t)ur_ring_control(id), slab = slab_map(SLAB_BYTES);
  EXPECT_TRUE(occupy(&rig, pair, slab) >= 3);
  hook_fail(HOOK_SYNC_CANCEL, 0, UINT32_MAX, ETIME);
  EXPECT(ur_ring_close(id), -EBUSY);
  EXPECT(close(rig.doorbell), 0);
  EXPECT(ur_ring_close(id), -EPERM);
  hook_fail(HOOK_SYNC_CANCEL, 0, 0, 0);
  EXPECT(ur_slab_release(slab), 0);
  EXPECT(ur_slab_release(control), 0);
  EXPECT_TRUE(slab_map(SLAB_BYTES) != slab);
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  EXPECT_TRUE(rig.id != id && (uint32_t)ur_ring_control(rig.id) != control);
  rig_close(&rig);
}

static uint64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void *leaves_rings_behind(void *context) {
  (void)context;
  static __thread struct rig own[4];
  for (uint32_t i = 0; i < 4; i++) {
    int32_t pair[2];
    rig_open(&own[i], 8, 64, UR_OPEN_BUFFERS);
    rig_pair(&own[i], pair);
    EXPECT_TRUE(occupy(&own[i], pair, slab_map(SLAB_BYTES)) >= 3);
  }
  return NULL;
}

/* Four times the bound is room for a busy machine, and less than the rings would take one by one if
 * each had its own. */
static void teardown_is_bounded(void) {
  pthread_t thread;
  int32_t pair[2];
  rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
  rig_pair(&rig, pair);
  EXPECT_TRUE(occupy(&rig, pair, slab_map(SLAB_BYTES)) >= 3);
  hook_fail(HOOK_SYNC_CANCEL, 0, UINT32_MAX, ETIME);
  uint64_t begun = milliseconds();
  EXPECT(ur_ring_close(rig.id), -EBUSY);
  EXPECT_TRUE(milliseconds() - begun < 4 * UR_DRAIN_MS);
  EXPECT(close(rig.doorbell), 0);
  EXPECT(pthread_create(&thread, NULL, leaves_rings_behind, NULL), 0);
  begun = milliseconds();
  EXPECT(pthread_join(thread, NULL), 0);
  EXPECT_TRUE(milliseconds() - begun < 4 * UR_DRAIN_MS);
}

/* More than one cancel of all is allowed to find: they end without it. */
static void many_drain(void) {
  enum { COUNT = 2000 };
  struct rlimit limit;
  EXPECT(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  EXPECT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  rig_open(&rig, 64, 4096, 0);
  uint32_t slab = slab_map(SLAB_BYTES), before = open_descriptors();
  for (uint32_t i = 0; i < COUNT; i++) {
    int32_t pair[2];
    rig_pair(&rig, pair);
    rig_bytes(&rig, UR_OP_RECV, pair[0], slab, 0, 1);
    EXPECT(rig_turn(&rig), 0);
  }
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], COUNT);
  hook_fail(HOOK_SYNC_CANCEL, 0, UINT32_MAX, ETIME);
  EXPECT(ur_ring_close(rig.id), 0);
  EXPECT(close(rig.doorbell), 0);
  EXPECT_TRUE(open_descriptors() < before);
}

static void open_fails_anywhere(void) {
  static const struct {
    enum hook hook;
    uint32_t calls;
    int error;
  } places[] = {
      {HOOK_QUEUE_INIT, 2, ENOMEM}, {HOOK_REGISTER_BUF_RING, 3, EPERM}, {HOOK_EVENTFD, 1, EMFILE},
      {HOOK_SOCKETPAIR, 1, EMFILE}, {HOOK_REGISTER_EVENTFD, 1, EPERM},
  };
  uint32_t before = open_descriptors();
  /* The ring, its messages, the control slab and the groups of buffers; each is mapped once. */
  static const uint32_t steps[] = {0, 1, 2, 1, 1, 1};
  for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    hook_fail(HOOK_MMAP, steps[i], 1, ENOMEM);
    EXPECT(ur_ring_open(8, 64, UR_OPEN_BUFFERS), -ENOMEM);
    EXPECT(hook_failed(HOOK_MMAP), 1);
    EXPECT(open_descriptors(), before);
  }
  for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    for (uint32_t nth = 0; nth < places[i].calls; nth++) {
      hook_fail(places[i].hook, nth, 1, places[i].error);
      EXPECT(ur_ring_open(8, 64, UR_OPEN_BUFFERS), -places[i].error);
      EXPECT(hook_failed(places[i].hook), 1);
      EXPECT(open_descriptors(), before);
      rig_open(&rig, 8, 64, UR_OPEN_BUFFERS);
      EXPECT(rig.id, 0);
      rig_close(&rig);
      EXPECT(open_descriptors(), before);
    }
  }
}

static void probe_fails_anywhere(void) {
  static const enum hook places[] = {HOOK_QUEUE_INIT, HOOK_EVENTFD, HOOK_SOCKETPAIR,
                                     HOOK_REGISTER_EVENTFD};
  uint32_t before = open_descriptors();
  for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    hook_fail(places[i], 0, 1, EPERM);
    EXPECT(ur_probe(), -EPERM);
    EXPECT_TRUE(ur_probe() > 0);
    EXPECT(open_descriptors(), before);
  }
}

/* A feature that cannot be tried counts as missing, and no other. */
static void features_are_tried(void) {
  uint32_t before = open_descriptors();
  int32_t all = ur_probe();
  const int32_t incremental = UR_FEATURE_INCREMENTAL_BUFFERS;
  const int32_t multishot = UR_FEATURE_MULTISHOT_RECEIVE;
  const int32_t buffers = UR_FEATURE_PROVIDED_BUFFER_RINGS | UR_FEATURE_MULTISHOT_RECEIVE;
  EXPECT(all & buffers, buffers);
  hook_fail(HOOK_REGISTER_BUF_RING, 0, 2, EINVAL);
  EXPECT(ur_probe(), all & ~buffers & ~incremental);
  hook_fail(HOOK_REGISTER_BUF_RING, 1, 1, EINVAL);
  EXPECT(ur_probe(), all & ~incremental);
  /* The first pair is the doorbell's. */
  hook_fail(HOOK_SOCKETPAIR, 1, 1, EMFILE);
  EXPECT(ur_probe(), all & ~multishot);
  for (uint32_t i = 0; i < 100; i++) EXPECT(ur_probe(), all);
  EXPECT(open_descriptors(), before);
}

/* Leaves room for so many more descriptors. */
static void limit_descriptors(uint32_t room) {
  struct rlimit limit = {0, 4096};
  for (; room > 0; limit.rlim_cur++) room -= fcntl((int)limit.rlim_cur, F_GETFD) < 0;
  EXPECT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void few_descriptors(void) {
  uint32_t before = open_descriptors(), opened = 0;
  int doorbells[64];
  limit_descriptors(7 * RING_DESCRIPTORS + 2);
  for (;;) {
    int32_t id = ur_ring_open(8, 64, UR_OPEN_BUFFERS);
    if (id < 0) {
      EXPECT(id, -EMFILE);
      break;
    }
    EXPECT(id, opened);
    doorbells[opened++] = ur_ring_doorbell((uint32_t)id);
  }
  EXPECT(opened, 7);
  int32_t fd = ur_socket(0, AF_INET);
  EXPECT_TRUE(fd >= 0 && ur_socket(6, AF_INET) >= 0);
  EXPECT(ur_socket(0, AF_INET), -EMFILE);
  for (uint32_t id = 0; id < opened; id++) {
    EXPECT(ur_ring_close(id), 0);
    EXPECT(close(doorbells[id]), 0);
  }
  limit_descriptors(64);
  EXPECT(open_descriptors(), before);
}

/* Threads that open, carry and close at the same time; some end without closing. */
static void *churns(void *context) {
  static __thread struct rig own;
  uintptr_t number = (uintptr_t)context;
  for (uint32_t i = 0; i < 25; i++) {
    int32_t pair[2];
    rig_open(&own, 8, 64, UR_OPEN_BUFFERS);
    rig_pair(&own, pair);
    uint32_t slab = slab_map(SLAB_BYTES);
    uint8_t *bytes = slab_bytes(slab);
    for (uint32_t k = 0; k < 10; k++) {
      memset(bytes, (int)(number * 16 + k), 100);
      rig_bytes(&own, UR_OP_SEND, pair[0], slab, 0, 100);
      EXPECT(rig_result(&own), 100);
      rig_bytes(&own, UR_OP_RECV, pair[1], slab, 4096, 100);
      EXPECT(rig_result(&own), 100);
      EXPECT(memcmp(bytes, bytes + 4096, 100), 0);
      /* Another thread's, or closed, or not there. */
      uint32_t foreign = (own.id + 1 + k % 3) % 8;
      EXPECT(ur_turn(foreign, 0, 0), -EPERM);
      EXPECT(ur_close(foreign, pair[0]), -EPERM);
    }
    if (i == 24 && number % 2) return NULL;
    EXPECT(ur_slab_release(slab), 0);
    rig_close(&own);
  }
  return NULL;
}

static void threads(void) {
  uint32_t before = open_descriptors();
  pthread_t all[4];
  for (uint32_t round = 0; round < 3; round++) {
    for (uintptr_t i = 0; i < 4; i++) EXPECT(pthread_create(&all[i], NULL, churns, (void *)i), 0);
    for (uint32_t i = 0; i < 4; i++) EXPECT(pthread_join(all[i], NULL), 0);
    EXPECT(open_descriptors(), before);
  }
}

enum event_end { EVENT_LEFT, EVENT_GIVEN_BACK, EVENT_NUMBER_REUSED, EVENT_NUMBER_OF_FILE };

static int32_t event_number;

/* A thread that ends without closing its ring, whose eventfd the runtime has taken. */
static void *takes_event(void *context) {
  static __thread struct rig own;
  rig_open(&own, 8, 64, 0);
  event_number = ur_ring_event(own.id);
  EXPECT_TRUE(event_number >= 0);
  enum event_end end = (enum event_end)(uintptr_t)context;
  if (end == EVENT_GIVEN_BACK) {
    EXPECT(ur_ring_event_back(own.id), 0);
    EXPECT(ur_ring_event_back(own.id), -EPERM);
  } else if (end != EVENT_LEFT) {
    EXPECT(close(event_number), 0);
    int other = end == EVENT_NUMBER_REUSED ? eventfd(0, EFD_NONBLOCK) : open("/dev/null", O_RDONLY);
    EXPECT(other, event_number);
  }
  return NULL;
}

static void event_ends(void) {
  uint32_t before = open_descriptors();
  for (uintptr_t end = EVENT_LEFT; end <= EVENT_NUMBER_OF_FILE; end++) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, takes_event, (void *)end), 0);
    EXPECT(pthread_join(thread, NULL), 0);
    bool reused = end >= EVENT_NUMBER_REUSED;
    EXPECT(open_descriptors(), before + reused);
    if (reused) EXPECT(close(event_number), 0);
  }
}

const struct test_case lifetime_cases[] = {
    {"a released slab is handed out again, empty, at the same address", slabs_recycled},
    {"a ring that closes takes everything in flight with it, 20 times", close_in_flight},
    {"a closed descriptor is refused at once, its receive completes", close_descriptor_in_flight},
    {"closing with unread bytes discarded sends FIN", discarded},
    {"discarding what a peer is in the middle of sending tells the peer", discarded_from_a_sender},
    {"discarding waits while the peer has not taken everything", lingers},
    {"two rings of one thread share descriptors, which go with their owner", several_rings},
    {"a thread that ends leaves no descriptor, 90 times with work in flight", thread_ends},
    {"memory of a ring that never drained is never handed out again", never_drains},
    {"closing a ring and ending a thread are bounded when nothing drains", teardown_is_bounded},
    {"2,000 receives drain although no cancel works", many_drain},
    {"opening a ring fails cleanly at each of its steps", open_fails_anywhere},
    {"the probe fails cleanly at each of its steps", probe_fails_anywhere},
    {"a feature that cannot be tried counts as missing, and no other", features_are_tried},
    {"rings up to the limit of descriptors, then EMFILE, then all are free", few_descriptors},
    {"the eventfd of a runtime goes with its thread, and no other descriptor of that number",
     event_ends},
    {"four threads open, carry and close at once, some end in between", threads},
    {NULL, NULL},
};
