/*
 * The places at which tests inject faults, as functions that the turn calls. With -DUR_FAULTS they
 * consult the fault table, see faults.c. Without it they are empty inline functions, so a released
 * build has neither the table nor a branch for it.
 */
#ifndef URINGNET_SHIM_FAULTS_H
#define URINGNET_SHIM_FAULTS_H

/* The time for which a completion or a cancel is held. */
struct fault_wait {
  uint32_t ring;
  uint32_t rule;
  uint32_t serial;
  uint32_t turns;
};

/* A completion that is held. */
struct fault_completion {
  struct fault_wait wait;
  uint64_t data;
  int32_t result;
  uint32_t flags;
};

#ifndef UR_FAULTS

static inline bool fault_decides(struct ring *ring, const struct ur_op **op, int32_t *result) {
  (void)ring, (void)op, (void)result;
  return false;
}

static inline void fault_shorten_multishot(const struct ur_op *op, struct io_uring_sqe *sqe) {
  (void)op, (void)sqe;
}

static inline int32_t fault_accept(int32_t fd) {
  (void)fd;
  return 0;
}

static inline bool fault_full(void) { return false; }

static inline bool fault_hold(struct ring *ring, uint64_t data, int32_t result, uint32_t flags) {
  (void)ring, (void)data, (void)result, (void)flags;
  return false;
}

static inline bool fault_release(struct ring *ring, uint32_t count, struct fault_completion *held) {
  (void)ring, (void)count, (void)held;
  return false;
}

static inline bool fault_release_cancel(struct ring *ring, struct ur_op *op) {
  (void)ring, (void)op;
  return false;
}

static inline bool fault_tick(struct ring *ring) {
  (void)ring;
  return false;
}

static inline void fault_forget(uint32_t ring) { (void)ring; }

#else
#include "faults.c"
#endif

#endif
