/*
 * Random records and calls, among them many that are nearly right. A second opinion says which of
 * the records must be refused and with what; all others reach the kernel, and what is in flight is
 * counted here and there. Guard pages lie around all memory, so a byte too far would be EFAULT. See
 * driver.h; the seed is printed, UR_SEED repeats it.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLABS 6u
#define SOCKETS 24u
/* The last socket listens. */
#define LISTENER (SOCKETS - 1)
#define RECORDS_USUAL 40u
#define RECORDS_MANY 700u
/* Messages have their triples in the first blocks, addresses are in the second ones. */
#define BLOCKS_EACH 256u
/* Generations are small and never twice in flight, so that a table knows them all. */
#define GENERATIONS (1u << 16)

enum fate { UNKNOWN, STAGED, FLYING, REFUSED };

static struct rig rig;
static uint64_t state;
static uint32_t slabs[SLABS], slab_sizes[SLABS];
static int32_t sockets[SOCKETS];
static uint32_t foreign_slab;
static struct {
  enum fate fate;
  int32_t result;
  uint32_t opcode;
  uint32_t slot;
} fates[GENERATIONS];
static uint32_t flying, due, refused_count, flown_count, completed_count;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
static uint32_t number(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 0x2545f4914f6cdd1dull) >> 32);
}

static uint32_t below(uint32_t limit) { return number() % limit; }

static bool chance(uint32_t percent) { return below(100) < percent; }

/* Any number, mostly one at the edge of something. */
static uint32_t edge(void) {
  static const uint32_t edges[] = {
      0,           1,           2,           31,          32,          33,
      127,         128,         129,         255,         256,         511,
      512,         1023,        1024,        1025,        4095,        4096,
      4097,        8192,        65535,       65536,       0x3fffffffu, 0x40000000u,
      0x7ffffffeu, 0x7fffffffu, 0x80000000u, 0xfffffffeu, UINT32_MAX,
  };
  if (chance(10)) return number();
  return edges[below(sizeof(edges) / sizeof(edges[0]))];
}

static uint32_t any_slab(void) {
  if (chance(90)) return slabs[below(SLABS)];
  return chance(30) ? foreign_slab : chance(50) ? (uint32_t)ur_ring_control(rig.id) : edge();
}

static uint32_t size_of(uint32_t slab) {
  for (uint32_t i = 0; i < SLABS; i++)
    if (slabs[i] == slab) return slab_sizes[i];
  if (slab != (uint32_t)ur_ring_control(rig.id)) return 0;
  return UR_HEADER_WORDS * 4 + UR_OP_CAPACITY * 32 + UR_COMPLETION_CAPACITY * 16 +
         UR_BLOCK_COUNT * UR_BLOCK_BYTES;
}

static bool in_range(uint32_t slab, uint32_t offset, uint32_t length) {
  return length > 0 && (uint64_t)offset + length <= size_of(slab);
}

/* The control slab is shared with the caller: what the kernel writes there could be records. */
static void any_range(uint32_t range[3], bool is_written) {
  do range[0] = any_slab();
  while (is_written && range[0] == (uint32_t)ur_ring_control(rig.id));
  uint32_t size = size_of(range[0]);
  range[1] = chance(80) && size ? below(size) : edge();
  range[2] = chance(70) && size ? 1 + below(size - range[1] % size) : edge();
  if (chance(10)) range[2] = size - range[1];
  if (chance(5)) range[2] = 1 - range[1];
}

static int32_t any_socket(void) { return chance(92) ? sockets[below(SOCKETS)] : (int32_t)edge(); }

static bool is_own(int32_t fd) {
  for (uint32_t i = 0; i < SOCKETS; i++)
    if (sockets[i] == fd) return true;
  return false;
}

/* The errno with which the record must be refused, or 0. */
static int32_t verdict(const struct ur_op *op) {
  const uint32_t *triple = rig_triples(&rig, op->slab % UR_BLOCK_COUNT);
  bool receives = op->opcode == UR_OP_RECV || op->opcode == UR_OP_RECV_SELECT;
  bool gathers = receives && op->flags == (UR_OP_FLAG_POLL_FIRST | UR_OP_FLAG_GATHER);
  bool poll_first = gathers || op->flags == UR_OP_FLAG_POLL_FIRST;
  if (op->slot >= 0x7fffffffu) return -EINVAL;
  switch (op->opcode) {
    case UR_OP_NOP:
      return 0;
    case UR_OP_RECV:
    case UR_OP_SEND:
      if (!in_range(op->slab, op->offset, op->length)) return -EFAULT;
      break;
    case UR_OP_RECV_SELECT:
      if (op->slab != 0 && op->slab != 2) return -EFAULT;
      if (op->length == 0) return -ENOBUFS;
      break;
    case UR_OP_RECV_MULTISHOT:
      break;
    case UR_OP_POLL:
      if (op->length == 0 || op->length & ~(uint32_t)(POLLIN | POLLOUT | POLLRDHUP)) return -EINVAL;
      poll_first = false;
      break;
    case UR_OP_SENDMSG:
      if (op->slab >= UR_BLOCK_COUNT || op->length < 1 || op->length > UR_IOVEC_MAX) return -EFAULT;
      for (uint32_t i = 0; i < op->length; i++, triple += 3)
        if (!in_range(triple[0], triple[1], triple[2])) return -EFAULT;
      break;
    case UR_OP_CONNECT:
      if (op->length > UR_ADDRESS_BYTES || op->slab >= UR_BLOCK_COUNT) return -EFAULT;
      poll_first = false;
      break;
    case UR_OP_ACCEPT:
      if (op->slab >= UR_BLOCK_COUNT && op->slab != UR_BLOCK_NONE) return -EFAULT;
      poll_first = false;
      break;
    default:
      return -EINVAL;
  }
  if (op->flags != 0 && !poll_first) return -EINVAL;
  return is_own(op->fd) ? 0 : -EBADF;
}

static void write_block(uint32_t block) {
  uint32_t *triple = rig_triples(&rig, block);
  for (uint32_t i = 0; i < UR_BLOCK_BYTES / 4 / 3; i++) {
    any_range(triple + 3 * i, false);
    if (!chance(97)) continue;
    /* Mostly good ones, else a message of 32 would never be. */
    triple[3 * i] = slabs[i % SLABS];
    triple[3 * i + 1] = below(100);
    triple[3 * i + 2] = 1 + below(1000);
  }
}

/* The address that this process listens on, and that no other one uses. Faulty now and then. */
static void write_address(uint32_t block) {
  uint8_t *bytes = rig.blocks + block * UR_BLOCK_BYTES;
  ur_address(rig.id, sockets[LISTENER], 0, block);
  if (chance(10)) bytes[5 + below(3)] = (uint8_t)number();
  if (chance(10)) bytes[below(2)] = (uint8_t)edge();
}

static uint32_t fresh_generation(void) {
  do rig.generation = (rig.generation + 1) % GENERATIONS;
  while (fates[rig.generation].fate != UNKNOWN);
  return rig.generation;
}

static void stage_provide(void) {
  uint32_t range[3];
  any_range(range, true);
  bool good = chance(80) && in_range(range[0], range[1], range[2]);
  rig_provide(&rig, good ? below(3) : edge(), good ? below(256) : edge(), range[0], range[1],
              range[2]);
  struct ur_op *op = &rig.ops[rig.staged - 1];
  op->generation = fresh_generation();
  bool refused = (uint32_t)op->fd > 2 || op->slot > 255 || !in_range(range[0], range[1], range[2]);
  if (!refused) return;
  fates[op->generation].fate = REFUSED;
  fates[op->generation].result = -EFAULT;
  refused_count++;
  due++;
}

static void stage_cancel(void) {
  uint32_t generation = below(GENERATIONS), slot = below(8);
  for (uint32_t i = 0; i < GENERATIONS && fates[generation].fate != FLYING; i++)
    generation = (generation + 1) % GENERATIONS;
  bool accepts = fates[generation].opcode == UR_OP_ACCEPT;
  if (fates[generation].fate == FLYING) slot = fates[generation].slot;
  rig_cancel(&rig, chance(95) ? slot : edge(), chance(95) ? generation : edge(),
             chance(95) ? (accepts ? UR_OP_FLAG_OF_ACCEPT : 0) : edge());
}

/* The operands of a record that has a block. */
static void stage_block(struct ur_op *op) {
  bool sends = op->opcode == UR_OP_SENDMSG;
  op->slab = op->generation % BLOCKS_EACH + (sends ? 0 : BLOCKS_EACH);
  op->length = sends ? below(UR_IOVEC_MAX + 2) : sizeof(struct sockaddr_in);
  if (sends) write_block(op->slab);
  if (op->opcode == UR_OP_CONNECT) write_address(op->slab);
  if (chance(5)) op->length = edge();
  if (chance(95)) return;
  op->slab = edge();
  if (sends || op->slab >= UR_BLOCK_COUNT) return;
  /* Nothing is to be written over the triples of another record, nor connected to just anything. */
  if (op->slab < BLOCKS_EACH) op->slab += BLOCKS_EACH;
  if (op->opcode == UR_OP_CONNECT) write_address(op->slab);
}

static void stage_record(void) {
  uint32_t kind = chance(94) ? below(UR_OP_COUNT) : edge(), range[3];
  if (kind == UR_OP_PROVIDE) {
    stage_provide();
    return;
  }
  if (kind == UR_OP_CANCEL) {
    stage_cancel();
    return;
  }
  struct ur_op *op = rig_op(&rig, kind, chance(97) ? below(8) : edge(), any_socket());
  op->generation = fresh_generation();
  fates[op->generation].fate = STAGED;
  any_range(range, kind == UR_OP_RECV);
  op->slab = range[0];
  op->offset = range[1];
  op->length = range[2];
  op->flags = chance(80) ? 0 : chance(70) ? UR_OP_FLAG_POLL_FIRST : edge();
  if (chance(5)) op->flags |= UR_OP_FLAG_GATHER;
  if (kind >= UR_OP_SENDMSG && kind <= UR_OP_CONNECT) stage_block(op);
  if (kind == UR_OP_RECV_SELECT) op->slab = chance(90) ? 2 * below(2) : edge();
  if (kind == UR_OP_POLL) op->length = chance(90) ? 1u << (below(2) ? 13 : 2 * below(2)) : edge();
}

/* When all records of the turn are there: a later one may have changed the block of another. */
static void judge(void) {
  for (uint32_t i = 0; i < rig.staged; i++) {
    const struct ur_op *op = &rig.ops[i];
    if (op->opcode == UR_OP_PROVIDE || op->opcode == UR_OP_CANCEL) continue;
    int32_t result = verdict(op);
    fates[op->generation].fate = result ? REFUSED : FLYING;
    fates[op->generation].result = result;
    fates[op->generation].opcode = op->opcode;
    fates[op->generation].slot = op->slot;
    flying += result == 0;
    flown_count += result == 0;
    refused_count += result != 0;
    due += result != 0;
  }
}

static void forget_socket(uint32_t at) {
  if (sockets[at] >= 0) EXPECT(ur_close(rig.id, sockets[at]), 0);
  sockets[at] = -1;
}

static void check(const struct ur_completion *done) {
  EXPECT_TRUE(done->generation < GENERATIONS);
  uint32_t opcode = fates[done->generation].opcode;
  enum fate fate = fates[done->generation].fate;
  EXPECT_TRUE(fate == FLYING || fate == REFUSED);
  bool more = done->flags & IORING_CQE_F_MORE;
  if (more) EXPECT_TRUE(opcode == UR_OP_RECV_MULTISHOT || opcode == UR_OP_POLL);
  if (!more) fates[done->generation].fate = UNKNOWN;
  if (fate == REFUSED) {
    EXPECT(done->result, fates[done->generation].result);
    due--;
    return;
  }
  completed_count++;
  flying -= !more;
  EXPECT(done->slot, fates[done->generation].slot);
  /* Never a byte outside, whatever else may fail. */
  EXPECT_TRUE(done->result != -EFAULT);
  if (opcode != UR_OP_ACCEPT || done->result < 0) return;
  uint32_t at = below(LISTENER);
  forget_socket(at);
  sockets[at] = done->result;
}

static void look(void) {
  for (uint32_t i = 0; i < rig.seen_count; i++) check(&rig.seen[i]);
  rig.seen_count = 0;
}

static void turn(void) {
  judge();
  rig.woken = below(2);
  rig_turn(&rig);
  look();
  EXPECT(rig.header[UR_HEADER_IN_FLIGHT], flying);
  EXPECT(due, 0); /* who is refused is told in the same turn */
}

static void set_anything(uint32_t id, int32_t fd) {
  uint32_t option = chance(80) ? below(UR_OPTION_COUNT) : edge();
  int32_t value = (int32_t)edge();
  /* With time to linger, close would wait for it. */
  if (option == UR_OPTION_LINGER_SECONDS) value = -(int32_t)below(2);
  ur_set_option(id, fd, option, value);
  ur_get_option(id, fd, chance(80) ? below(UR_OPTION_COUNT) : edge());
  ur_cut_off(id, fd);
}

static void take_waiting(uint32_t id, int32_t fd, uint32_t block) {
  int32_t accepted = ur_accept(id, fd, block);
  if (accepted >= 0) EXPECT(ur_close(id, accepted), 0);
}

/* Calls outside of turns; none may harm, whatever it answers. */
static void call_anything(void) {
  int32_t fd = any_socket();
  uint32_t id = chance(90) ? rig.id : edge() | 4096, block = chance(80) ? 512 + below(400) : edge();
  switch (below(9)) {
    case 0:
      set_anything(id, fd);
      break;
    case 7:
      if (block >= 2 * BLOCKS_EACH) take_waiting(id, chance(50) ? sockets[LISTENER] : fd, block);
      break;
    case 1:
      if (block >= 2 * BLOCKS_EACH) ur_address(id, fd, edge(), block);
      break;
    case 2:
      if (chance(20)) ur_shutdown(id, fd, chance(50) ? UR_SHUTDOWN_DISCARD : edge());
      break;
    case 3:
      /* A socket without an address would listen to the world. */
      if (!is_own(fd) || fd == sockets[LISTENER]) ur_listen(id, fd, edge());
      break;
    case 4:
      if (block >= 2 * BLOCKS_EACH && block < UR_BLOCK_COUNT)
        memset(rig.blocks + block * UR_BLOCK_BYTES, 0xff, 2);
      ur_bind(id, fd, block, edge());
      break;
    case 5:
      EXPECT_TRUE(ur_arm(rig.id) >= 0);
      break;
    case 6:
      EXPECT(ur_turn(rig.id, UR_OP_CAPACITY + 1 + below(1000), edge()), -EINVAL);
      EXPECT(ur_turn(edge() | 4096, 0, 0), -EPERM);
      break;
    default:
      EXPECT(ur_ring_close(edge() | 4096), -EPERM);
      EXPECT(ur_slab_release((uint32_t)ur_ring_control(rig.id)), -EBUSY);
      EXPECT(ur_slab_release(foreign_slab), -EPERM);
      break;
  }
}

/* New sockets in the place of two: connected, or fresh. */
static void renew(void) {
  uint32_t first = below(LISTENER), second = (first + 1) % LISTENER;
  int32_t pair[2];
  if (chance(10)) {
    forget_socket(LISTENER);
    sockets[LISTENER] = rig_listen(&rig, UR_BLOCK_COUNT - 1);
  }
  forget_socket(first);
  forget_socket(second);
  if (chance(40)) {
    sockets[first] = ur_socket(rig.id, AF_INET);
    return;
  }
  /* Generations above those of the records. */
  uint32_t generation = rig.generation;
  rig.generation = GENERATIONS;
  rig_pair(&rig, pair);
  rig.generation = generation;
  sockets[first] = pair[0];
  sockets[second] = pair[1];
  look();
}

static void *map_foreign(void *unused) {
  (void)unused;
  foreign_slab = slab_map(16384);
  pause();
  return NULL;
}

static void begin(void) {
  state = fuzz_seed * 0x9e3779b97f4a7c15ull + 1;
  rig_open(&rig, 16, 64, UR_OPEN_BUFFERS);
  for (uint32_t i = 0; i < SLABS; i++) {
    slab_sizes[i] = (1 + below(8)) * 4096 - (i & 1) * 100;
    slabs[i] = slab_map(slab_sizes[i]);
  }
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, map_foreign, NULL), 0);
  while (*(volatile uint32_t *)&foreign_slab == 0) sched_yield();
  for (uint32_t i = 0; i < SOCKETS; i++) sockets[i] = -1;
  sockets[LISTENER] = rig_listen(&rig, UR_BLOCK_COUNT - 1);
  for (uint32_t i = 0; i < 2 * SOCKETS; i++) renew();
}

/* Everything that still flies is cancelled, and lands. */
static void land_all(void) {
  for (uint32_t round = 0; flying > 0 && round < 1000; round++) {
    for (uint32_t i = 0; i < GENERATIONS && rig.staged < UR_OP_CAPACITY; i++) {
      if (fates[i].fate != FLYING) continue;
      rig_cancel(&rig, fates[i].slot, i,
                 fates[i].opcode == UR_OP_ACCEPT ? UR_OP_FLAG_OF_ACCEPT : 0);
    }
    turn();
    if (flying > 0 && ur_arm(rig.id) == 0) rig_hears(&rig, 20);
  }
  EXPECT(flying, 0);
}

static void random_records(void) {
  uint32_t before = open_descriptors();
  begin();
  for (uint32_t round = 0; round < fuzz_rounds; round++) {
    uint32_t count = chance(2) ? RECORDS_MANY : below(RECORDS_USUAL);
    for (uint32_t i = 0; i < count; i++) stage_record();
    turn();
    for (uint32_t i = below(4); i > 0; i--) call_anything();
    if (chance(40)) renew();
    if (chance(1)) land_all();
  }
  land_all();
  printf("  %u records flew, %u were refused, %u completions\n", flown_count, refused_count,
         completed_count);
  EXPECT_TRUE(flown_count > 0 && refused_count > 0);
  rig_close(&rig);
  EXPECT(open_descriptors(), before);
}

/* Bytes as they come, without a plan: the ring must only survive, and then close. */
static void random_bytes(void) {
  uint32_t before = open_descriptors();
  state = fuzz_seed + 77;
  for (uint32_t life = 0; life < 8; life++) {
    uint32_t id, flags = life & 1 ? UR_OPEN_BUFFERS : 0;
    rig_open(&rig, 1 + below(32), 64, flags);
    id = rig.id;
    for (uint32_t round = 0; round < fuzz_rounds / 8; round++) {
      uint32_t count = below(RECORDS_USUAL);
      uint32_t *words = (uint32_t *)rig.ops;
      for (uint32_t i = 0; i < count * 8; i++) words[i] = chance(50) ? number() : below(12);
      int32_t result = ur_turn(id, count, number());
      EXPECT_TRUE(result >= 0 && (uint32_t)result <= UR_COMPLETION_CAPACITY);
      EXPECT(rig.header[UR_HEADER_ENTER_ERROR], 0);
    }
    rig_close(&rig);
    EXPECT(open_descriptors(), before);
  }
}

const struct test_case fuzz_cases[] = {
    {"random records fly or are refused exactly as a model says", random_records},
    {"random bytes as records harm nothing", random_bytes},
    {NULL, NULL},
};
