/*
 * The shim's own tests, in C, so that it can be built with sanitizers: the same op records that the
 * core writes, well-formed and not. Each case is a claim and runs in a process of its own.
 *
 *   driver.c      expectations, the cases one by one, faults inside ur_ring_open
 *   rig.c         one ring with its records, as `ffi/native.ts` and `src/ring` use it
 *   operations.c  every op code, as it is meant
 *   refusals.c    every kind of record and argument that must not reach the kernel
 *   lifetimes.c   rings, slabs and descriptors that come and go; threads that end
 *   doorbell.c    sleeping and waking
 *   join.c        doorbells in the epoll instance of an event loop
 *   fuzz.c        random records, compared with a second opinion about which are to be refused
 */
#ifndef URINGNET_SHIM_DRIVER_H
#define URINGNET_SHIM_DRIVER_H

#include "../../ffi/shim.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- cases and expectations -------------------------------------------------------------- */

struct test_case {
  const char *claim;
  void (*run)(void);
};

/* Each table ends with a claim that is NULL. */
extern const struct test_case operation_cases[];
extern const struct test_case refusal_cases[];
extern const struct test_case file_cases[];
extern const struct test_case lifetime_cases[];
extern const struct test_case doorbell_cases[];
extern const struct test_case join_cases[];
extern const struct test_case fuzz_cases[];

/* Ends the case when the two differ. */
void expect_equal(const char *file, int line, const char *what, long long given, long long wanted);

#define EXPECT(given, wanted) \
  expect_equal(__FILE__, __LINE__, #given, (long long)(given), (long long)(wanted))
#define EXPECT_TRUE(condition) expect_equal(__FILE__, __LINE__, #condition, (condition) ? 1 : 0, 1)

/* Descriptors that this process has open. */
uint32_t open_descriptors(void);

/* From the environment: UR_SEED and UR_ROUNDS. */
extern uint64_t fuzz_seed;
extern uint32_t fuzz_rounds;

/* ---- faults inside the shim -------------------------------------------------------------- */

/* Functions that the shim calls, and that can be told to fail. */
enum hook {
  HOOK_MMAP,
  HOOK_EVENTFD,
  HOOK_SOCKETPAIR,
  HOOK_QUEUE_INIT,
  HOOK_REGISTER_BUF_RING,
  HOOK_REGISTER_EVENTFD,
  HOOK_SYNC_CANCEL,
  HOOK_SUBMIT,
  HOOK_COUNT,
};

/* Leaves `after` calls alone, then lets the next `repeat` fail with the errno. */
void hook_fail(enum hook hook, uint32_t after, uint32_t repeat, int error);
/* How often the hook has failed. */
uint32_t hook_failed(enum hook hook);
/* Flags of the submission queue of the first ring that was opened, shared with the kernel. */
extern _Atomic unsigned *first_flags;

/* ---- a ring as the core uses it ---------------------------------------------------------- */

#define RIG_SEEN_MAX 8192u
#define RIG_WAIT_MS 10000

struct rig {
  uint32_t id;
  uint32_t *header;
  struct ur_op *ops;
  struct ur_completion *completions;
  uint8_t *blocks;
  int doorbell;
  uint32_t staged;
  uint32_t generation;
  uint32_t woken;
  uint32_t seen_count;
  struct ur_completion seen[RIG_SEEN_MAX];
};

void rig_open(struct rig *rig, uint32_t entries, uint32_t completion_entries, uint32_t flags);
/* Closes the ring and the end of the doorbell that the runtime would have adopted. */
void rig_close(struct rig *rig);
/* The next record of the coming turn, with a generation of its own. */
struct ur_op *rig_op(struct rig *rig, uint32_t opcode, uint32_t slot, int32_t fd);
struct ur_op *rig_bytes(struct rig *rig, uint32_t opcode, int32_t fd, uint32_t slab,
                        uint32_t offset, uint32_t length);
uint32_t *rig_triples(struct rig *rig, uint32_t block);
void rig_cancel(struct rig *rig, uint32_t slot, uint32_t generation, uint32_t flags);
void rig_provide(struct rig *rig, uint32_t group, uint32_t id, uint32_t slab, uint32_t offset,
                 uint32_t length);
/* One turn; keeps its completions. Returns their count. */
uint32_t rig_turn(struct rig *rig);
/* Takes turns, and sleeps by the doorbell in between, until the completion is there. */
struct ur_completion rig_await(struct rig *rig, uint32_t generation);
/* Whether a completion of this generation has been seen; takes it out. */
bool rig_take(struct rig *rig, uint32_t generation, struct ur_completion *completion);
/* Stages one operation, takes a turn and awaits its completion. */
int32_t rig_result(struct rig *rig);
/* Sleeps until the doorbell rings; false when it does not within the time. */
bool rig_hears(struct rig *rig, int timeout_ms);

uint32_t slab_map(uint32_t size);
uint8_t *slab_bytes(uint32_t slab);
/* A socket that listens on a free port of the loopback; its address is left in the block. */
int32_t rig_listen(struct rig *rig, uint32_t block);
/* Two connected sockets, both of the ring, made by ACCEPT and CONNECT. Uses blocks 1,020 and on. */
void rig_pair(struct rig *rig, int32_t pair[2]);

#endif
