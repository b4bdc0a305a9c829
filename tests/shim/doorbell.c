/*
 * Sleeping and waking: the byte in the socket pair comes exactly when a thread sleeps. See
 * driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* How long a doorbell that must not ring is listened to. */
#define SILENCE_MS 30

static struct rig rig;
static int32_t pair[2];
static uint32_t slab;

static void prepare(void) {
  rig_open(&rig, 8, 64, 0);
  rig_pair(&rig, pair);
  slab = slab_map(4096);
  while (rig_hears(&rig, 0)) {
  }
  rig.woken = UR_TURN_WOKEN;
  rig_turn(&rig);
}

static void wakes(void) {
  prepare();
  for (uint32_t i = 0; i < 50; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
    uint32_t receives = rig.generation;
    EXPECT(rig_turn(&rig), 0);
    EXPECT(ur_arm(rig.id), 0);
    EXPECT(write(pair[0], "x", 1), 1);
    EXPECT_TRUE(rig_hears(&rig, RIG_WAIT_MS));
    EXPECT(rig_turn(&rig), 1);
    struct ur_completion done;
    EXPECT_TRUE(rig_take(&rig, receives, &done));
    EXPECT(done.result, 1);
  }
  rig_close(&rig);
}

static bool event_rings(int event, int timeout_ms) {
  struct pollfd wait = {.fd = event, .events = POLLIN};
  uint64_t count;
  if (poll(&wait, 1, timeout_ms) != 1) return false;
  EXPECT(read(event, &count, sizeof(count)), sizeof(count));
  return true;
}

static void event_wakes(void) {
  prepare();
  int32_t event = ur_ring_event(rig.id);
  EXPECT_TRUE(event >= 0);
  EXPECT(ur_ring_event(rig.id), -EALREADY);
  for (uint32_t i = 0; i < 50; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
    EXPECT(rig_turn(&rig), 0);
    EXPECT(ur_arm(rig.id), 0);
    EXPECT(event_rings(event, 0), false);
    EXPECT(write(pair[0], "x", 1), 1);
    EXPECT_TRUE(event_rings(event, RIG_WAIT_MS));
    EXPECT(rig_turn(&rig), 1);
    rig.seen_count = 0;
    /* Awake: nothing rings. */
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
    EXPECT(rig_turn(&rig), 0);
    EXPECT(write(pair[0], "x", 1), 1);
    EXPECT(rig_turn(&rig), 1);
    rig.seen_count = 0;
    EXPECT(event_rings(event, 0), false);
  }
  EXPECT(rig_hears(&rig, SILENCE_MS), false);
  EXPECT(close(event), 0);
  rig_close(&rig);
}

static void silent_when_awake(void) {
  prepare();
  uint32_t arms = rig.header[UR_HEADER_ARMS];
  for (uint32_t i = 0; i < 50; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
    EXPECT(rig_turn(&rig), 0);
    EXPECT(write(pair[0], "x", 1), 1);
    EXPECT(rig_result(&rig), 1);
  }
  EXPECT(rig_hears(&rig, SILENCE_MS), false);
  EXPECT(rig.header[UR_HEADER_ARMS], arms);
  rig_close(&rig);
}

static void arms_once(void) {
  prepare();
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
  EXPECT(rig_turn(&rig), 0);
  uint32_t arms = rig.header[UR_HEADER_ARMS];
  for (uint32_t i = 0; i < 100; i++) {
    EXPECT(ur_arm(rig.id), 0);
    EXPECT(rig_turn(&rig), 0);
  }
  EXPECT(rig.header[UR_HEADER_ARMS], arms + 1);
  EXPECT(ur_arm(rig.id), 0);
  EXPECT(write(pair[0], "x", 1), 1);
  EXPECT_TRUE(rig_hears(&rig, RIG_WAIT_MS));
  EXPECT(rig_hears(&rig, SILENCE_MS), false);
  EXPECT(rig_turn(&rig), 1);
  rig_close(&rig);
}

static void arm_looks_again(void) {
  prepare();
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
  uint32_t receives = rig.generation;
  EXPECT(rig_turn(&rig), 0);
  EXPECT(write(pair[0], "x", 1), 1);
  /* A completion before the doorbell was armed rings no doorbell. */
  EXPECT(ur_arm(rig.id), 1);
  EXPECT(rig_await(&rig, receives).result, 1);
  rig_close(&rig);
}

/* A failed submission leaves the chain in the queue: it must not be doubled, nor fill the queue. */
static void arm_recovers(void) {
  prepare();
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
  uint32_t receives = rig.generation;
  EXPECT(rig_turn(&rig), 0);
  hook_fail(HOOK_SUBMIT, 0, 20, EAGAIN);
  for (uint32_t i = 0; i < 20; i++) EXPECT(ur_arm(rig.id), -EAGAIN);
  EXPECT(hook_failed(HOOK_SUBMIT), 20);
  EXPECT(ur_arm(rig.id), 0);
  EXPECT(write(pair[0], "x", 1), 1);
  EXPECT_TRUE(rig_hears(&rig, RIG_WAIT_MS));
  EXPECT(rig_hears(&rig, SILENCE_MS), false);
  EXPECT(rig_await(&rig, receives).result, 1);
  rig_close(&rig);
}

/*
 * The kernel sets the flag after it has queued work. When that work was run in between, the flag
 * stays, here set by hand: whoever believes it enters the kernel for ever and never sleeps.
 */
static void stale_flag(void) {
  prepare();
  rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
  EXPECT(rig_turn(&rig), 0);
  uint32_t enters = rig.header[UR_HEADER_ENTERS];
  atomic_fetch_or(first_flags, IORING_SQ_TASKRUN);
  EXPECT(rig_turn(&rig), 0);
  EXPECT(rig.header[UR_HEADER_ENTERS], enters + 1);
  EXPECT(rig.header[UR_HEADER_MORE], 0);
  EXPECT(ur_arm(rig.id), 0);
  EXPECT(write(pair[0], "x", 1), 1);
  EXPECT(rig_result(&rig), 1);
  rig_close(&rig);
}

static void *write_byte(void *unused) {
  EXPECT(write(pair[0], "x", 1), 1);
  return unused;
}

/* Another thread writes, so that the byte comes before, in or after a look. */
static void looks(void) {
  prepare();
  for (uint32_t i = 0; i < 200; i++) {
    rig_bytes(&rig, UR_OP_RECV, pair[1], slab, 0, 1);
    uint32_t receives = rig.generation;
    rig.woken = UR_TURN_LOOK;
    EXPECT(rig_turn(&rig), 0);
    pthread_t writer;
    EXPECT(pthread_create(&writer, NULL, write_byte, NULL), 0);
    struct ur_completion done;
    while (!rig_take(&rig, receives, &done)) {
      rig.woken = UR_TURN_LOOK;
      rig_turn(&rig);
    }
    EXPECT(done.result, 1);
    EXPECT(pthread_join(writer, NULL), 0);
  }
  EXPECT(rig_hears(&rig, SILENCE_MS), false);
  rig_close(&rig);
}

const struct test_case doorbell_cases[] = {
    {"the doorbell wakes whoever armed it, 50 times over", wakes},
    {"an event loop that reads the eventfd is woken 50 times, and no byte is sent", event_wakes},
    {"the doorbell is silent while no thread sleeps", silent_when_awake},
    {"arming again before the doorbell was heard arms nothing", arms_once},
    {"arm says that work is there when it came before", arm_looks_again},
    {"arming recovers after the kernel refused it 20 times", arm_recovers},
    {"a look ends by itself, and finds completions without the doorbell, 200 times", looks},
    {"a task flag that outlived its work costs one enter, and does not keep awake", stale_flag},
    {NULL, NULL},
};
