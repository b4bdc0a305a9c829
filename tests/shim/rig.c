/*
 * One ring with its records and doorbell, used from C the way that the core uses it. See driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_LISTENER (UR_BLOCK_COUNT - 4)
#define BLOCK_ACCEPT (UR_BLOCK_COUNT - 3)

uint32_t slab_map(uint32_t size) {
  int32_t slab = ur_slab_map(size);
  EXPECT_TRUE(slab >= 0);
  return (uint32_t)slab;
}

uint8_t *slab_bytes(uint32_t slab) {
  uint8_t *bytes = ur_slab_address(slab);
  EXPECT_TRUE(bytes != NULL);
  return bytes;
}

void rig_open(struct rig *rig, uint32_t entries, uint32_t completion_entries, uint32_t flags) {
  memset(rig, 0, sizeof(*rig));
  int32_t id = ur_ring_open(entries, completion_entries, flags);
  EXPECT_TRUE(id >= 0);
  rig->id = (uint32_t)id;
  uint8_t *base = slab_bytes((uint32_t)ur_ring_control(rig->id));
  rig->header = (uint32_t *)base;
  base += UR_HEADER_WORDS * sizeof(uint32_t);
  rig->ops = (struct ur_op *)base;
  base += UR_OP_CAPACITY * sizeof(struct ur_op);
  rig->completions = (struct ur_completion *)base;
  rig->blocks = base + UR_COMPLETION_CAPACITY * sizeof(struct ur_completion);
  rig->doorbell = ur_ring_doorbell(rig->id);
  EXPECT_TRUE(rig->doorbell >= 0);
}

void rig_close(struct rig *rig) {
  EXPECT(ur_ring_close(rig->id), 0);
  EXPECT(close(rig->doorbell), 0);
}

struct ur_op *rig_op(struct rig *rig, uint32_t opcode, uint32_t slot, int32_t fd) {
  EXPECT_TRUE(rig->staged < UR_OP_CAPACITY);
  struct ur_op *op = &rig->ops[rig->staged++];
  memset(op, 0, sizeof(*op));
  op->opcode = opcode;
  op->slot = slot;
  op->generation = ++rig->generation;
  op->fd = fd;
  return op;
}

struct ur_op *rig_bytes(struct rig *rig, uint32_t opcode, int32_t fd, uint32_t slab,
                        uint32_t offset, uint32_t length) {
  struct ur_op *op = rig_op(rig, opcode, 1, fd);
  op->slab = slab;
  op->offset = offset;
  op->length = length;
  return op;
}

uint32_t *rig_triples(struct rig *rig, uint32_t block) {
  return (uint32_t *)(rig->blocks + block * UR_BLOCK_BYTES);
}

void rig_cancel(struct rig *rig, uint32_t slot, uint32_t generation, uint32_t flags) {
  struct ur_op *op = rig_op(rig, UR_OP_CANCEL, 0, -1);
  op->offset = slot;
  op->length = generation;
  op->flags = flags;
}

void rig_provide(struct rig *rig, uint32_t group, uint32_t id, uint32_t slab, uint32_t offset,
                 uint32_t length) {
  struct ur_op *op = rig_op(rig, UR_OP_PROVIDE, id, (int32_t)group);
  op->slab = slab;
  op->offset = offset;
  op->length = length;
}

uint32_t rig_turn(struct rig *rig) {
  int32_t count = ur_turn(rig->id, rig->staged, rig->woken);
  EXPECT_TRUE(count >= 0 && (uint32_t)count <= UR_COMPLETION_CAPACITY);
  rig->staged = rig->woken = 0;
  for (uint32_t i = 0; i < (uint32_t)count; i++) {
    EXPECT_TRUE(rig->seen_count < RIG_SEEN_MAX);
    rig->seen[rig->seen_count++] = rig->completions[i];
  }
  return (uint32_t)count;
}

bool rig_take(struct rig *rig, uint32_t generation, struct ur_completion *completion) {
  for (uint32_t i = 0; i < rig->seen_count; i++) {
    if (rig->seen[i].generation != generation) continue;
    *completion = rig->seen[i];
    rig->seen_count--;
    memmove(&rig->seen[i], &rig->seen[i + 1], (rig->seen_count - i) * sizeof(rig->seen[0]));
    return true;
  }
  return false;
}

bool rig_hears(struct rig *rig, int timeout_ms) {
  struct pollfd doorbell = {.fd = rig->doorbell, .events = POLLIN};
  if (poll(&doorbell, 1, timeout_ms) != 1) return false;
  char bytes[16];
  EXPECT_TRUE(recv(rig->doorbell, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
  rig->woken = UR_TURN_WOKEN;
  return true;
}

struct ur_completion rig_await(struct rig *rig, uint32_t generation) {
  struct ur_completion completion;
  if (rig->staged) rig_turn(rig);
  while (!rig_take(rig, generation, &completion)) {
    if (rig_turn(rig) > 0 || rig->header[UR_HEADER_MORE]) continue;
    int32_t armed = ur_arm(rig->id);
    EXPECT_TRUE(armed >= 0);
    if (armed == 0) EXPECT_TRUE(rig_hears(rig, RIG_WAIT_MS));
  }
  return completion;
}

int32_t rig_result(struct rig *rig) { return rig_await(rig, rig->generation).result; }

int32_t rig_listen(struct rig *rig, uint32_t block) {
  static const uint8_t loopback[16] = {AF_INET, 0, 0, 0, 127, 0, 0, 1};
  uint8_t *address = rig->blocks + block * UR_BLOCK_BYTES;
  int32_t fd = ur_socket(rig->id, AF_INET);
  EXPECT_TRUE(fd >= 0);
  memcpy(address, loopback, sizeof(loopback));
  EXPECT(ur_bind(rig->id, fd, block, sizeof(loopback)), 0);
  EXPECT(ur_listen(rig->id, fd, 128), 0);
  EXPECT(ur_address(rig->id, fd, 0, block), (int32_t)sizeof(loopback));
  return fd;
}

void rig_pair(struct rig *rig, int32_t pair[2]) {
  int32_t listener = rig_listen(rig, BLOCK_LISTENER);
  pair[0] = ur_socket(rig->id, AF_INET);
  EXPECT_TRUE(pair[0] >= 0);
  struct ur_op *connects = rig_op(rig, UR_OP_CONNECT, 1, pair[0]);
  connects->slab = BLOCK_LISTENER;
  connects->length = 16;
  uint32_t connected = connects->generation;
  rig_op(rig, UR_OP_ACCEPT, 2, listener)->slab = BLOCK_ACCEPT;
  uint32_t accepted = rig->generation;
  EXPECT(rig_await(rig, connected).result, 0);
  pair[1] = rig_await(rig, accepted).result;
  EXPECT_TRUE(pair[1] >= 0);
  EXPECT(ur_close(rig->id, listener), 0);
}
