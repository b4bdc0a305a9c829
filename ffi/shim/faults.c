/*
 * The fault table of tests. Compiled in only with -DUR_FAULTS, so that a released build has no way
 * to inject faults: see faults.h.
 *
 * A rule skips the first `after` operations with its op code (and descriptor), then acts on the
 * next `repeat` of them. The first rule that acts decides.
 *
 *   errno    the operation does not reach the kernel; it completes with -value. A cancel has no
 *            completion: it is lost.
 *   clamp    at most `value` bytes of it reach the kernel: a short send or receive. A provided
 *            buffer becomes that short, and with it each completion of a multishot receive. A
 *            multishot receive itself completes once, as one that the kernel ended early.
 *   zero     a send or receive does not reach the kernel; it completes with 0
 *   delay    its completion is shown `value` turns late, or when the rule is set again if `value`
 *            is UR_FAULT_FOREVER. A cancel reaches the kernel that late.
 *   reorder  its completion is shown behind those that come with it
 *
 * Completions of one operation keep their order, as the kernel's do. The process has one table. A
 * held completion belongs to a ring and ends with it.
 */

#define UR_FAULT_RULES 32u
#define UR_FAULT_HELD 4096u
/* In a rule, stands for every operation that completes. */
#define UR_FAULT_ANY 255u
#define UR_FAULT_FOREVER UINT32_MAX

enum ur_fault_action {
  UR_FAULT_NONE = 0,
  UR_FAULT_ERRNO = 1,
  UR_FAULT_CLAMP = 2,
  UR_FAULT_ZERO = 3,
  UR_FAULT_DELAY = 4,
  UR_FAULT_REORDER = 5,
};

struct fault_rule {
  uint32_t action;
  uint32_t opcode;
  uint32_t value;
  uint32_t after;
  uint32_t repeat;
  int32_t fd; /* -1: any */
  uint32_t seen;
  uint32_t acted;
  uint32_t serial; /* counts settings; completions held under an older one are released */
};

/* An operation in flight whose completions are to be held. */
struct fault_mark {
  struct fault_wait wait;
  uint64_t data;
};

/* A cancel that is held. */
struct fault_cancel {
  struct fault_wait wait;
  struct ur_op op;
};

static struct fault_rule fault_rules[UR_FAULT_RULES];
static __thread struct fault_mark fault_marks[UR_FAULT_HELD];
static __thread uint32_t fault_mark_count;
static __thread struct fault_completion fault_held[UR_FAULT_HELD];
static __thread uint32_t fault_held_count;
static __thread struct fault_cancel fault_cancels[UR_FAULT_HELD];
static __thread uint32_t fault_cancel_count;

/* Whether a rule can act at all. With a rule that cannot, a test would prove nothing. */
static bool fault_fits(uint32_t action, uint32_t opcode, uint32_t value) {
  bool known = opcode < UR_OP_COUNT || opcode == UR_FAULT_ANY;
  bool provides = opcode == UR_OP_PROVIDE;
  switch (action) {
    case UR_FAULT_NONE:
      return true;
    case UR_FAULT_ERRNO:
      return known && !provides && value > 0 && value < 4096;
    case UR_FAULT_CLAMP:
      return (moves_bytes(opcode) || provides) && value > 0;
    case UR_FAULT_ZERO:
      return moves_bytes(opcode);
    case UR_FAULT_DELAY:
      return known && !provides && value > 0;
    case UR_FAULT_REORDER:
      return known && !provides && opcode != UR_OP_CANCEL;
    default:
      return false;
  }
}

/* Sets rule `index`. Action 0 clears the rule. Releases completions that the rule held for ever. */
UR_EXPORT int32_t ur_fault_set(uint32_t index, uint32_t action, uint32_t opcode, uint32_t value,
                               uint32_t after, uint32_t repeat, int32_t fd) {
  if (index >= UR_FAULT_RULES || !fault_fits(action, opcode, value)) return -EINVAL;
  uint32_t serial = fault_rules[index].serial + 1;
  fault_rules[index] = (struct fault_rule){action, opcode, value, after, repeat, fd, 0, 0, serial};
  return 0;
}

/* How often rule `index` has acted. */
UR_EXPORT int32_t ur_fault_count(uint32_t index) {
  return index < UR_FAULT_RULES ? (int32_t)fault_rules[index].acted : -EINVAL;
}

/* Completions of this thread that are held. */
UR_EXPORT int32_t ur_fault_held(void) { return (int32_t)fault_held_count; }

static bool fault_matches(const struct fault_rule *rule, const struct ur_op *op) {
  if (rule->action == UR_FAULT_NONE) return false;
  if (rule->fd >= 0 && rule->fd != op->fd) return false;
  if (rule->opcode != UR_FAULT_ANY) return rule->opcode == op->opcode;
  return op->opcode != UR_OP_CANCEL && op->opcode != UR_OP_PROVIDE;
}

/* The rule that acts on this operation, or NULL. */
static struct fault_rule *fault_for(const struct ur_op *op) {
  for (uint32_t i = 0; i < UR_FAULT_RULES; i++) {
    struct fault_rule *rule = &fault_rules[i];
    if (!fault_matches(rule, op) || rule->seen++ < rule->after) continue;
    if (rule->acted >= rule->repeat) continue;
    rule->acted++;
    return rule;
  }
  return NULL;
}

/* Cuts triples (slab, offset, length) after `bytes`. Returns the number of remaining triples. */
static uint32_t fault_cut(uint32_t *triple, uint32_t count, uint32_t bytes) {
  for (uint32_t i = 0; i < count; i++, triple += 3) {
    if (triple[2] >= bytes) {
      triple[2] = bytes;
      return i + 1;
    }
    bytes -= triple[2];
  }
  return count;
}

/* Lets at most `bytes` of an operation through. */
static void fault_clamp(struct ring *ring, struct ur_op *op, uint32_t bytes) {
  uint8_t *block = op->opcode == UR_OP_SENDMSG ? block_at(ring, op->slab) : NULL;
  if (block && op->length <= UR_IOVEC_MAX)
    op->length = fault_cut((uint32_t *)block, op->length, bytes);
  else if (op->opcode == UR_OP_RECV_MULTISHOT || op->length > bytes)
    op->length = bytes;
}

static struct fault_wait fault_wait_of(struct ring *ring, const struct fault_rule *rule) {
  uint32_t turns = rule->action == UR_FAULT_DELAY ? rule->value : 0;
  return (struct fault_wait){ring->id, (uint32_t)(rule - fault_rules), rule->serial, turns};
}

static bool fault_due(const struct fault_wait *wait) {
  if (wait->turns == UR_FAULT_FOREVER) return fault_rules[wait->rule].serial != wait->serial;
  return wait->turns == 0;
}

/* Whether a cancel is held, or the operation marked so that its completions will be. */
static bool fault_keep_back(struct ring *ring, const struct ur_op *op,
                            const struct fault_rule *rule) {
  struct fault_wait wait = fault_wait_of(ring, rule);
  if (op->opcode == UR_OP_CANCEL) {
    if (fault_cancel_count == UR_FAULT_HELD) return false;
    fault_cancels[fault_cancel_count++] = (struct fault_cancel){wait, *op};
    return true;
  }
  if (fault_mark_count < UR_FAULT_HELD)
    fault_marks[fault_mark_count++] =
        (struct fault_mark){wait, user_data(op->slot, op->generation)};
  return false;
}

/* Applies the table to a record that is about to be staged, and may replace it by a changed
 * copy. True: the record is not staged, and has this result. */
static bool fault_decides(struct ring *ring, const struct ur_op **op, int32_t *result) {
  static __thread struct ur_op changed;
  struct fault_rule *rule = fault_for(*op);
  if (!rule) return false;
  switch (rule->action) {
    case UR_FAULT_ERRNO:
      *result = (*op)->opcode == UR_OP_CANCEL ? STAGED : -(int32_t)rule->value;
      return true;
    case UR_FAULT_ZERO:
      *result = 0;
      return true;
    case UR_FAULT_CLAMP:
      changed = **op;
      *op = &changed;
      fault_clamp(ring, &changed, rule->value);
      return false;
    default:
      return fault_keep_back(ring, *op, rule);
  }
}

/* A multishot receive that a rule has clamped completes once. */
static void fault_shorten_multishot(const struct ur_op *op, struct io_uring_sqe *sqe) {
  if (op->opcode != UR_OP_RECV_MULTISHOT || op->length == 0) return;
  sqe->ioprio &= (uint16_t)~IORING_RECV_MULTISHOT;
  sqe->len = op->length;
}

/* Whether a rule is about an accept on the ring: one that is held, or that ends with EAGAIN, which
 * would only mean an empty backlog without the ring. */
static bool fault_of_ring(const struct fault_rule *rule) {
  return rule->action != UR_FAULT_ERRNO || rule->value == EAGAIN;
}

/* The result of an accept without the ring, or 0 when no rule acts on it. */
static int32_t fault_accept(int32_t fd) {
  struct ur_op op = {.opcode = UR_OP_ACCEPT, .fd = fd};
  for (uint32_t i = 0; i < UR_FAULT_RULES; i++)
    if (fault_matches(&fault_rules[i], &op) && fault_of_ring(&fault_rules[i])) return -EAGAIN;
  struct fault_rule *rule = fault_for(&op);
  return rule ? -(int32_t)rule->value : 0;
}

/* Whether no completion may be taken from the kernel, because there is no place to hold it. */
static bool fault_full(void) { return fault_held_count == UR_FAULT_HELD; }

/* The first held completion of this operation, or NULL. */
static struct fault_completion *fault_first(uint32_t ring, uint64_t data) {
  for (uint32_t i = 0; i < fault_held_count; i++)
    if (fault_held[i].wait.ring == ring && fault_held[i].data == data) return &fault_held[i];
  return NULL;
}

/* Whether the completion is held for now. */
static bool fault_hold(struct ring *ring, uint64_t data, int32_t result, uint32_t flags) {
  struct fault_mark *mark = NULL;
  for (uint32_t i = 0; i < fault_mark_count && !mark; i++)
    if (fault_marks[i].wait.ring == ring->id && fault_marks[i].data == data) mark = &fault_marks[i];
  struct fault_completion *first = fault_first(ring->id, data);
  if (!mark && !first) return false;
  struct fault_wait wait = mark ? mark->wait : first->wait;
  if (mark && !(flags & IORING_CQE_F_MORE)) *mark = fault_marks[--fault_mark_count];
  fault_held[fault_held_count++] = (struct fault_completion){wait, data, result, flags};
  return true;
}

/* The next completion of this ring that has been held long enough, if one more record fits. */
static bool fault_release(struct ring *ring, uint32_t count, struct fault_completion *released) {
  if (count == UR_COMPLETION_CAPACITY) return false;
  for (uint32_t i = 0; i < fault_held_count; i++) {
    struct fault_completion *held = &fault_held[i];
    if (held->wait.ring != ring->id || !fault_due(&held->wait)) continue;
    if (fault_first(ring->id, held->data) != held) continue;
    *released = *held;
    memmove(held, held + 1, (--fault_held_count - i) * sizeof(*held));
    return true;
  }
  return false;
}

/* The next cancel of this ring that has been held long enough. */
static bool fault_release_cancel(struct ring *ring, struct ur_op *op) {
  for (uint32_t i = 0; i < fault_cancel_count; i++) {
    struct fault_cancel *held = &fault_cancels[i];
    if (held->wait.ring != ring->id || !fault_due(&held->wait)) continue;
    *op = held->op;
    memmove(held, held + 1, (--fault_cancel_count - i) * sizeof(*held));
    return true;
  }
  return false;
}

static void fault_count_down(struct ring *ring, struct fault_wait *wait) {
  bool counted = wait->turns > 0 && wait->turns != UR_FAULT_FOREVER;
  if (wait->ring == ring->id && counted) wait->turns--;
}

/* Counts a turn of this ring. True: completions are still held, take another turn. */
static bool fault_tick(struct ring *ring) {
  bool left = false;
  for (uint32_t i = 0; i < fault_held_count; i++) {
    fault_count_down(ring, &fault_held[i].wait);
    left |= fault_held[i].wait.ring == ring->id;
  }
  for (uint32_t i = 0; i < fault_cancel_count; i++) {
    fault_count_down(ring, &fault_cancels[i].wait);
    left |= fault_cancels[i].wait.ring == ring->id;
  }
  return left;
}

/* Drops all held completions and cancels of a ring that ends. */
static void fault_forget(uint32_t ring) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < fault_mark_count; i++)
    if (fault_marks[i].wait.ring != ring) fault_marks[kept++] = fault_marks[i];
  fault_mark_count = kept;
  kept = 0;
  for (uint32_t i = 0; i < fault_held_count; i++)
    if (fault_held[i].wait.ring != ring) fault_held[kept++] = fault_held[i];
  fault_held_count = kept;
  kept = 0;
  for (uint32_t i = 0; i < fault_cancel_count; i++)
    if (fault_cancels[i].wait.ring != ring) fault_cancels[kept++] = fault_cancels[i];
  fault_cancel_count = kept;
}
