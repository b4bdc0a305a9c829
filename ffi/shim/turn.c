/*
 * One turn of a ring. The order of events:
 *
 *   op records --stage--> submission queue --enter--> kernel --collect--> completion records
 *
 * Invariants
 * - A record that is refused, or for which the queue has no room, completes in the same turn and
 *   never reaches the kernel.
 * - `in_flight` counts entries whose final completion has not been collected. An accepted
 *   descriptor has an owner from the moment at which its completion is collected.
 * - The low-water mark of a descriptor is above 1 only within a turn, so no byte waits for others
 *   while the thread does anything else.
 * - A turn that only submits collects nothing, whatever is ready: the completion records hold no
 *   more than the records that were refused.
 *
 * Limits: a turn ends after UR_TURN_TARGET completions, UR_TURN_BYTES bytes, or ENTER_MAX enters.
 */

/* Enters in one turn. 6.13+ runs 20 deferred completions in each: 128 x 20 exceeds the region. */
#define ENTER_MAX 128u
/* The largest number of waits for room in the queue of a polled ring. Other work may end each
 * wait early. */
#define ROOM_WAIT_MAX 100u
/* Pauses between two looks at the clock: some 0.1 us. */
#define LOOK_RELAX_COUNT 8u
static void note_enter(struct ring *ring, int result, unsigned submitted_before) {
  ring->header[UR_HEADER_ENTERS]++;
  ring->header[UR_HEADER_ENTER_ERROR] = result < 0 ? (uint32_t)-result : 0;
  ring->header[UR_HEADER_SUBMISSIONS] += submitted_before - io_uring_sq_ready(&ring->data);
}

static _Atomic unsigned *queue_flags(struct ring *ring) {
  return (_Atomic unsigned *)ring->data.sq.kflags;
}

/* Submits the staged entries and sleeps until one completes, or the time has passed. */
static int submit_and_sleep(struct ring *ring) {
  struct io_uring_cqe *cqe;
  struct __kernel_timespec limit = {.tv_nsec = UR_GATHER_US * 1000};
  int result = io_uring_submit_and_wait_timeout(&ring->data, &cqe, 1, &limit, NULL);
  return result == -ETIME ? 0 : result;
}

/*
 * Submits the staged entries and runs deferred completions, or also sleeps until there are some.
 * After EINTR, EAGAIN and EBUSY the work is done later.
 *
 * IORING_SQ_TASKRUN is cleared before the call. The kernel sets it after it has queued work. When
 * the shim has run that work in between, the flag stays set although no work is left, and a loop
 * that relies on it would not end (96 enters were seen for each completion). The kernel never reads
 * the flag. Work that is queued at this moment is run by this enter, or flagged again when it is
 * too much for one enter. A failed enter has run no work, and neither has one whose time has passed
 * on Linux 6.1 to 6.6, so the flag is restored.
 */
static void enter_kernel(struct ring *ring, bool sleeps) {
  unsigned ready = io_uring_sq_ready(&ring->data);
  unsigned flagged = atomic_load(queue_flags(ring)) & IORING_SQ_TASKRUN;
  if (flagged) atomic_fetch_and(queue_flags(ring), ~IORING_SQ_TASKRUN);
  int result = sleeps ? submit_and_sleep(ring) : io_uring_submit_and_get_events(&ring->data);
  bool idle = sleeps && io_uring_cq_ready(&ring->data) == 0;
  if (flagged && (result < 0 || idle || io_uring_sq_ready(&ring->data)))
    atomic_fetch_or(queue_flags(ring), flagged);
  note_enter(ring, result, ready);
}

static void enter(struct ring *ring) { enter_kernel(ring, false); }

/* Submits the staged entries, and runs no deferred completions. */
static void submit_only(struct ring *ring) {
  unsigned ready = io_uring_sq_ready(&ring->data);
  note_enter(ring, io_uring_submit(&ring->data), ready);
}

/* ---- gathering --------------------------------------------------------------------------- */

static bool set_mark(int32_t fd, uint32_t bytes) {
  return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)) == 0;
}

/* Lets the receive wait for more bytes than the first packet has. The mark also yields when the
 * receive window is about to close, when FIN has come, and when memory is short. */
static void raise_mark(struct ring *ring, const struct ur_op *op) {
  bool exact = op->opcode == UR_OP_RECV && op->length < UR_GATHER_BYTES;
  uint32_t bytes = exact ? op->length : UR_GATHER_BYTES;
  if (ring->polled || ring->gathering_count == UR_GATHER_MAX || !set_mark(op->fd, bytes)) return;
  ring->gathering[ring->gathering_count++] = op->fd;
}

/* Sleeps until a completion has come, if a receive of this turn gathers. */
static void gather(struct ring *ring) {
  if (ring->gathering_count == 0) return;
  enter_kernel(ring, true);
  /* The kernel reports the bytes that are below the mark when the mark falls. */
  while (ring->gathering_count > 0) set_mark(ring->gathering[--ring->gathering_count], 1);
}

/* ---- staging ----------------------------------------------------------------------------- */

/* A wait for room ends early when there is other work for this thread, for example from the
 * doorbell. */
static struct io_uring_sqe *take_entry(struct ring *ring) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->data);
  if (sqe) return sqe;
  submit_only(ring);
  sqe = io_uring_get_sqe(&ring->data);
  for (uint32_t i = 0; !sqe && ring->polled && i < ROOM_WAIT_MAX; i++) {
    io_uring_sqring_wait(&ring->data);
    sqe = io_uring_get_sqe(&ring->data);
  }
  return sqe;
}

/* Puts a record into the submission queue. STAGED, or -errno to complete it with. */
static int32_t submit(struct ring *ring, const struct ur_op *op) {
  struct io_uring_sqe *sqe = take_entry(ring);
  if (!sqe) return -EAGAIN;
  if (op->opcode == UR_OP_CANCEL) {
    prepare_cancel(op, sqe);
    return STAGED;
  }
  int32_t result = prepare(ring, op, sqe);
  if (result < 0) {
    prepare_nothing(sqe);
    return result;
  }
  fault_shorten_multishot(op, sqe);
  uint32_t tag = op->opcode == UR_OP_ACCEPT ? ACCEPT_TAG : 0;
  io_uring_sqe_set_data64(sqe, user_data(op->slot | tag, op->generation));
  ring->in_flight++;
  if (op->flags & UR_OP_FLAG_GATHER) raise_mark(ring, op);
  return STAGED;
}

/* STAGED, or the result to complete the record with. */
static int32_t stage(struct ring *ring, const struct ur_op *op) {
  int32_t result = STAGED;
  if (fault_decides(ring, &op, &result)) return result;
  if (op->opcode != UR_OP_PROVIDE) return op->slot >= SLOT_MAX ? -EINVAL : submit(ring, op);
  result = provide(ring, op);
  return result < 0 ? result : STAGED;
}

/* ---- collecting -------------------------------------------------------------------------- */

static void put(struct ring *ring, uint32_t at, uint64_t data, int32_t result, uint32_t flags) {
  struct ur_completion *record = &ring->completions[at];
  record->slot = (uint32_t)data;
  record->generation = (uint32_t)(data >> 32);
  record->result = result;
  record->flags = flags;
}

/* The ring owns an accepted descriptor from now on, even when no accept call is pending any
 * more. */
static int32_t accepted(struct ring *ring, int32_t result) {
  return result < 0 ? result : adopt(ring->id, result);
}

/* Copies completions behind the first `count` records. Returns the new count. */
static uint32_t collect(struct ring *ring, uint32_t count) {
  struct io_uring_cqe *cqe;
  unsigned head, seen = 0;
  io_uring_for_each_cqe(&ring->data, head, cqe) {
    if (count == UR_COMPLETION_CAPACITY || fault_full()) break;
    seen++;
    if (cqe->user_data == USER_DATA_NONE) continue;
    if (!(cqe->flags & IORING_CQE_F_MORE)) ring->in_flight--;
    uint64_t data = cqe->user_data;
    int32_t result = cqe->res;
    if (data & ACCEPT_TAG) {
      data &= ~(uint64_t)ACCEPT_TAG;
      result = accepted(ring, result);
    } else if (result > 0) {
      /* The events of a poll count as bytes too, but as a few thousand at most, which does not
       * end a turn. */
      ring->turn_bytes += (uint64_t)result;
    }
    if (!fault_hold(ring, data, result, cqe->flags)) put(ring, count++, data, result, cqe->flags);
  }
  io_uring_cq_advance(&ring->data, seen);
  return count;
}

static unsigned pending_flags(struct ring *ring) {
  return atomic_load_explicit(queue_flags(ring), memory_order_acquire) &
         (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Whether entries wait in the submission queue for an enter of this thread. */
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

/* ---- the turn ---------------------------------------------------------------------------- */

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/* Spins without a system call until there is work, for UR_LOOK_US at most. */
static void look(struct ring *ring) {
  uint64_t end_ns = now_ns() + UR_LOOK_US * 1000u;
  while (!has_work(ring) && now_ns() < end_ns)
    for (uint32_t i = 0; i < LOOK_RELAX_COUNT; i++) relax();
}

int32_t ur_turn(uint32_t id, uint32_t op_count, uint32_t flags) {
  struct ring *ring = ring_at(id);
  if (!ring) return -EPERM;
  if (op_count > UR_OP_CAPACITY) return -EINVAL;
  if (flags & UR_TURN_WOKEN) ring->doorbell.armed = false;
  io_uring_cq_eventfd_toggle(&ring->data, false);
  uint32_t count = 0;
  ring->turn_bytes = 0;
  for (struct ur_op late; fault_release_cancel(ring, &late);) submit(ring, &late);
  for (uint32_t i = 0; i < op_count; i++) {
    const struct ur_op *op = &ring->ops[i];
    int32_t result = stage(ring, op);
    if (result != STAGED) put(ring, count++, user_data(op->slot, op->generation), result, 0);
  }
  gather(ring);
  if (flags & UR_TURN_SUBMIT) {
    if (io_uring_sq_ready(&ring->data)) submit_only(ring);
  } else {
    count = drain(ring, count);
  }
  if (count == 0 && flags & UR_TURN_LOOK) {
    look(ring);
    count = drain(ring, count);
  }
  for (struct fault_completion held; fault_release(ring, count, &held);)
    put(ring, count++, held.data, held.result, held.flags);
  ring->header[UR_HEADER_COMPLETIONS] += count;
  ring->header[UR_HEADER_IN_FLIGHT] = ring->in_flight;
  ring->header[UR_HEADER_MORE] = fault_tick(ring) || has_work(ring);
  return (int32_t)count;
}
