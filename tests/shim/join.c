/*
 * A doorbell that has joined an event loop: here the test is the runtime, with an epoll instance of
 * its own. See driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAKEUPS 300u
#define LOOP_DATA 0x123456789abcdefull

static struct rig rig;
static int32_t pair[2];
static uint32_t slab;
static int loop;

/* Opens a ring whose doorbell is in an epoll instance, as a runtime adopts it. */
static void prepare(int fd, uint32_t events) {
  rig_pair(&rig, pair);
  slab = slab_map(4096);
  while (rig_hears(&rig, 0)) {
  }
  rig.woken = UR_TURN_WOKEN;
  rig_turn(&rig);
  loop = epoll_create1(EPOLL_CLOEXEC);
  EXPECT_TRUE(loop >= 0);
  struct epoll_event event = {.events = events, .data.u64 = LOOP_DATA};
  EXPECT(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
}

/* Waits for one event of the loop, and returns its kinds; 0 when none came. */
static uint32_t next_event(int timeout_ms) {
  struct epoll_event event = {0};
  int count = epoll_wait(loop, &event, 1, timeout_ms);
  EXPECT_TRUE(count >= 0);
  if (count == 0) return 0;
  EXPECT(event.data.u64, LOOP_DATA);
  return event.events;
}

/* Receives as Bun does: once for each event, and the callback runs when there was a packet. */
static bool takes_packet(void) {
  char bytes[16];
  ssize_t length = recv(rig.doorbell, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (length < 0) return false;
  EXPECT(length, 1);
  rig.header[UR_RUNG_WORD]++;
  rig.woken = UR_TURN_WOKEN;
  return true;
}

static void receive(void) {
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
  EXPECT(rig_turn(&rig), 0);
}

static void write_byte(void) { EXPECT(write(pair[0], "x", 1), 1); }

static void wake_once(void) {
  receive();
  EXPECT(ur_arm(rig.id), 0);
  EXPECT(next_event(0), 0);
  write_byte();
  EXPECT(next_event(RIG_WAIT_MS), EPOLLIN);
  EXPECT_TRUE(takes_packet());
  EXPECT(rig_turn(&rig), 1);
  rig.seen_count = 0;
}

static void end(void) {
  EXPECT(close(loop), 0);
  rig_close(&rig);
}

static void joined_wakes(void) {
  rig_open(&rig, 8, 64, UR_OPEN_PACKETS);
  prepare(rig.doorbell, EPOLLIN);
  EXPECT(ur_ring_join(rig.id), 0);
  EXPECT(ur_ring_join(rig.id), -EALREADY);
  uint32_t arms = rig.header[UR_HEADER_ARMS];
  for (uint32_t i = 0; i < WAKEUPS; i++) {
    wake_once();
    /* Awake: nothing rings. */
    receive();
    write_byte();
    EXPECT(rig_result(&rig), 1);
    EXPECT(next_event(0), 0);
  }
  EXPECT(rig.header[UR_HEADER_ARMS], arms + WAKEUPS);
  end();
}

/* An event that comes while the thread is awake takes a packet, or finds none. */
static void late_events(void) {
  rig_open(&rig, 8, 64, UR_OPEN_PACKETS);
  prepare(rig.doorbell, EPOLLIN);
  EXPECT(ur_ring_join(rig.id), 0);
  uint32_t empty = 0;
  for (uint32_t i = 0; i < WAKEUPS; i++) {
    receive();
    EXPECT(ur_arm(rig.id), 0);
    write_byte();
    /* The thread finds the completion by itself, and then sees the event of the doorbell. */
    EXPECT(rig_result(&rig), 1);
    EXPECT(next_event(0), EPOLLIN);
    while (takes_packet()) empty = i;
    wake_once();
  }
  EXPECT(empty, WAKEUPS - 1);
  end();
}

static void full_socket(void) {
  rig_open(&rig, 8, 64, UR_OPEN_PACKETS);
  prepare(rig.doorbell, EPOLLIN);
  EXPECT(ur_ring_join(rig.id), 0);
  /* Packets that are not counted fill it: arming neither fails nor waits. */
  while (send(rig.doorbell - 1, "?", 1, MSG_DONTWAIT) == 1) {
  }
  EXPECT(errno, EAGAIN);
  for (uint32_t i = 0; i < WAKEUPS; i++) wake_once();
  end();
}

/* Without an entry in an epoll instance, or while the loop waits for room as well. */
static void not_joined(void) {
  rig_open(&rig, 8, 64, UR_OPEN_PACKETS);
  EXPECT(ur_ring_join(rig.id), -ENOENT);
  prepare(rig.doorbell, EPOLLIN | EPOLLOUT);
  EXPECT(ur_ring_join(rig.id), -EAGAIN);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = LOOP_DATA};
  EXPECT(epoll_ctl(loop, EPOLL_CTL_MOD, rig.doorbell, &event), 0);
  /* The chain wakes as before. */
  wake_once();
  EXPECT(ur_ring_join(rig.id), 0);
  wake_once();
  EXPECT(ur_ring_join(UINT32_MAX), -EPERM);
  end();
}

/* The file of a closed descriptor stays in an epoll instance as long as a duplicate is open. */
static void stale_entry(void) {
  rig_open(&rig, 8, 64, UR_OPEN_PACKETS);
  int old = epoll_create1(EPOLL_CLOEXEC), kept = dup(rig.doorbell);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};
  EXPECT(epoll_ctl(old, EPOLL_CTL_ADD, kept, &event), 0);
  prepare(rig.doorbell, EPOLLIN);
  EXPECT(ur_ring_join(rig.id), 0);
  wake_once();
  EXPECT(close(kept), 0);
  EXPECT(close(old), 0);
  end();
}

/* The runtime frees the target of the data after the close. A duplicate keeps the eventfd open. */
static void leaves(void) {
  rig_open(&rig, 8, 64, UR_OPEN_PACKETS);
  prepare(rig.doorbell, EPOLLIN);
  EXPECT(ur_ring_join(rig.id), 0);
  wake_once();
  receive();
  EXPECT(ur_arm(rig.id), 0);
  int kept = dup(rig.doorbell - 2);
  EXPECT_TRUE(kept >= 0);
  write_byte();
  EXPECT(epoll_ctl(loop, EPOLL_CTL_DEL, rig.doorbell, NULL), 0);
  rig_close(&rig);
  EXPECT(next_event(0), 0);
  EXPECT(close(kept), 0);
  EXPECT(close(loop), 0);
}

static void event_reads_once(void) {
  rig_open(&rig, 8, 64, 0);
  int32_t event = ur_ring_event(rig.id);
  EXPECT_TRUE(event >= 0);
  EXPECT(ur_ring_join(rig.id), -ENOENT);
  prepare(event, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  EXPECT(next_event(0), EPOLLOUT);
  EXPECT(ur_ring_join(rig.id), 0);
  for (uint32_t i = 0; i < WAKEUPS; i++) {
    uint64_t count;
    receive();
    EXPECT(ur_arm(rig.id), 0);
    EXPECT(next_event(0), 0);
    write_byte();
    EXPECT(next_event(RIG_WAIT_MS), EPOLLIN);
    EXPECT(read(event, &count, sizeof(count)), sizeof(count));
    EXPECT(next_event(0), 0);
    EXPECT(rig_turn(&rig), 1);
    rig.seen_count = 0;
  }
  EXPECT(close(event), 0);
  end();
}

const struct test_case join_cases[] = {
    {"a doorbell that has joined the loop wakes it 300 times, and is silent in between",
     joined_wakes},
    {"an event that comes late costs no later wakeup, with or without a packet", late_events},
    {"a joined doorbell whose socket is full is armed all the same", full_socket},
    {"a doorbell that cannot join goes on as it was, and may join later", not_joined},
    {"the entry of another descriptor for the same socket is left alone", stale_entry},
    {"after the close no event comes under the data of the runtime", leaves},
    {"a loop that reads the eventfd is not woken by its own read", event_reads_once},
    {NULL, NULL},
};
