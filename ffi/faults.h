/*
 * A fault table for tests: compiled in only with -DUR_FAULTS, so that no released build can be told
 * to fail. Include it once, from shim.c.
 *
 * A rule says: of the operations with this op code (and descriptor), leave the first `after` alone,
 * then act on the next `repeat` of them. Rules are looked at in order; the first that acts decides.
 *
 *   errno    the operation does not reach the kernel; it completes with -value
 *   clamp    at most `value` bytes of it reach the kernel: a short send or receive
 *   zero     it does not reach the kernel; it completes with 0
 *   delay    its completion is shown `value` turns late
 *   reorder  its completion is shown behind those that come with it
 *
 * The table is one for the process, as the library is: tests that use it run in their own.
 */
#ifndef URINGNET_FAULTS_H
#define URINGNET_FAULTS_H

#define UR_FAULT_RULES 32u
#define UR_FAULT_HELD 1024u
/* Larger op codes in a rule stand for every operation. */
#define UR_FAULT_ANY 255u

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
};

/* Completions that are kept back. */
struct fault_held {
  uint64_t data;
  int32_t result;
  uint32_t flags;
  uint32_t turns;
};

/* What was decided for an operation whose completion is to be changed, by user_data. */
struct fault_mark {
  uint64_t data;
  uint32_t action;
  uint32_t value;
};

static struct fault_rule fault_rules[UR_FAULT_RULES];
static __thread struct fault_held fault_held[UR_FAULT_HELD];
static __thread uint32_t fault_held_count;
static __thread struct fault_mark fault_marks[UR_FAULT_HELD];
static __thread uint32_t fault_mark_count;

/* Sets rule `index`; action 0 clears it. */
UR_EXPORT int32_t ur_fault_set(uint32_t index, uint32_t action, uint32_t opcode, uint32_t value,
                               uint32_t after, uint32_t repeat, int32_t fd) {
  if (index >= UR_FAULT_RULES || action > UR_FAULT_REORDER) return -EINVAL;
  fault_rules[index] = (struct fault_rule){action, opcode, value, after, repeat, fd, 0, 0};
  return 0;
}

/* How often rule `index` has acted. */
UR_EXPORT int32_t ur_fault_count(uint32_t index) {
  return index < UR_FAULT_RULES ? (int32_t)fault_rules[index].acted : -EINVAL;
}

/* The rule that acts on this operation, or NULL. */
static struct fault_rule *fault_for(const struct ur_op *op) {
  for (uint32_t i = 0; i < UR_FAULT_RULES; i++) {
    struct fault_rule *rule = &fault_rules[i];
    if (rule->action == UR_FAULT_NONE) continue;
    if (rule->opcode != op->opcode && rule->opcode != UR_FAULT_ANY) continue;
    if (rule->fd >= 0 && rule->fd != op->fd) continue;
    if (rule->seen++ < rule->after) continue;
    if (rule->acted >= rule->repeat) continue;
    rule->acted++;
    return rule;
  }
  return NULL;
}

static void fault_remember(uint64_t data, const struct fault_rule *rule) {
  if (fault_mark_count == UR_FAULT_HELD) return;
  fault_marks[fault_mark_count++] = (struct fault_mark){data, rule->action, rule->value};
}

/* Whether the completion is kept back for now. */
static bool fault_hold(uint64_t data, int32_t result, uint32_t flags) {
  for (uint32_t i = 0; i < fault_mark_count; i++) {
    if (fault_marks[i].data != data) continue;
    uint32_t turns = fault_marks[i].action == UR_FAULT_DELAY ? fault_marks[i].value : 0;
    fault_marks[i] = fault_marks[--fault_mark_count];
    if (fault_held_count == UR_FAULT_HELD) return false;
    fault_held[fault_held_count++] = (struct fault_held){data, result, flags, turns};
    return true;
  }
  return false;
}

/* The next completion that has been kept back long enough. */
static bool fault_release(struct fault_held *held) {
  for (uint32_t i = 0; i < fault_held_count; i++) {
    if (fault_held[i].turns > 0) continue;
    *held = fault_held[i];
    fault_held[i] = fault_held[--fault_held_count];
    return true;
  }
  return false;
}

/* A turn has passed. */
static void fault_tick(void) {
  for (uint32_t i = 0; i < fault_held_count; i++)
    if (fault_held[i].turns > 0) fault_held[i].turns--;
}

#endif
