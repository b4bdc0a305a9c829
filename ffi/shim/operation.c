/*
 * Turns one op record into one submission queue entry. All knowledge of the shim about op codes is
 * in this file: the checks of a record's words, the entry that the kernel gets, and the effect of
 * faults and flags.
 *
 * Invariants
 * - The ranges and blocks of a record are resolved only here, when the record is staged. A record
 *   that names memory or descriptors of another owner never reaches the kernel.
 * - The caller may overwrite a block only after its operation has landed, because the kernel reads
 *   an address from the block itself. It reads iovecs from private memory.
 */

#define GROUP_MULTISHOT 1
/* The result of a record that is staged. Every other result is <= 0 and completes the record at
 * once. */
#define STAGED 1
/* Poll events that a record may ask for. The kernel also reports POLLERR and POLLHUP. */
#define POLL_EVENTS (UR_POLL_IN | UR_POLL_OUT | UR_POLL_PEER_FINISHED)

_Static_assert(UR_POLL_IN == POLLIN && UR_POLL_OUT == POLLOUT && UR_POLL_ERROR == POLLERR &&
                   UR_POLL_HANG_UP == POLLHUP && UR_POLL_PEER_FINISHED == POLLRDHUP,
               "poll events");

/* Whether an operation moves bytes, so that it may wait for readiness first. */
static bool moves_bytes(uint32_t opcode) {
  return (opcode >= UR_OP_RECV && opcode <= UR_OP_SENDMSG) || opcode == UR_OP_RECV_MULTISHOT;
}

static bool receives_once(uint32_t opcode) {
  return opcode == UR_OP_RECV || opcode == UR_OP_RECV_SELECT;
}

static uint8_t *block_at(struct ring *ring, uint32_t block) {
  return block < UR_BLOCK_COUNT ? ring->blocks + (size_t)block * UR_BLOCK_BYTES : NULL;
}

/* Builds the private iovecs of a block from its triples. */
static struct msghdr *build_message(struct ring *ring, uint32_t block, uint32_t count) {
  uint8_t *bytes = block_at(ring, block);
  if (!bytes || count == 0 || count > UR_IOVEC_MAX) return NULL;
  struct message *message = &ring->messages[block];
  const uint32_t *triple = (const uint32_t *)bytes;
  for (uint32_t i = 0; i < count; i++, triple += 3) {
    uint32_t length = triple[2];
    uint8_t *base = resolve(triple[0], triple[1], length);
    if (!base) return NULL;
    message->iovecs[i].iov_base = base;
    message->iovecs[i].iov_len = length;
  }
  memset(&message->header, 0, sizeof(message->header));
  message->header.msg_iov = message->iovecs;
  message->header.msg_iovlen = count;
  return &message->header;
}

/* Fills one entry from a record. 0, or -errno when the record must not reach the kernel. */
static int32_t fill_entry(struct ring *ring, const struct ur_op *op, struct io_uring_sqe *sqe) {
  uint8_t *bytes;
  struct msghdr *header;
  switch (op->opcode) {
    case UR_OP_RECV:
      if (!(bytes = resolve(op->slab, op->offset, op->length))) return -EFAULT;
      io_uring_prep_recv(sqe, op->fd, bytes, op->length, 0);
      return 0;
    case UR_OP_RECV_SELECT:
      if (op->slab >= UR_BUFFER_GROUPS || op->slab == GROUP_MULTISHOT) return -EFAULT;
      if (!ring->buffers[op->slab] || op->length == 0) return -ENOBUFS;
      io_uring_prep_recv(sqe, op->fd, NULL, op->length, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = (uint16_t)op->slab;
      return 0;
    case UR_OP_RECV_MULTISHOT:
      if (!ring->buffers[GROUP_MULTISHOT]) return -ENOBUFS;
      io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = GROUP_MULTISHOT;
      return 0;
    case UR_OP_SEND:
      if (!(bytes = resolve(op->slab, op->offset, op->length))) return -EFAULT;
      io_uring_prep_send(sqe, op->fd, bytes, op->length, MSG_NOSIGNAL | MSG_WAITALL);
      return 0;
    case UR_OP_SENDMSG:
      if (!(header = build_message(ring, op->slab, op->length))) return -EFAULT;
      io_uring_prep_sendmsg(sqe, op->fd, header, MSG_NOSIGNAL | MSG_WAITALL);
      return 0;
    case UR_OP_ACCEPT:
      if (op->slab == UR_BLOCK_NONE) {
        io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
        return 0;
      }
      if (!(bytes = block_at(ring, op->slab))) return -EFAULT;
      *(uint32_t *)(bytes + UR_ADDRESS_BYTES) = UR_ADDRESS_BYTES;
      io_uring_prep_accept(sqe, op->fd, (struct sockaddr *)bytes,
                           (socklen_t *)(bytes + UR_ADDRESS_BYTES), SOCK_CLOEXEC);
      return 0;
    case UR_OP_CONNECT:
      if (!(bytes = block_at(ring, op->slab)) || op->length > UR_ADDRESS_BYTES) return -EFAULT;
      io_uring_prep_connect(sqe, op->fd, (struct sockaddr *)bytes, op->length);
      return 0;
    case UR_OP_POLL:
      if (op->length == 0 || op->length & ~POLL_EVENTS) return -EINVAL;
      io_uring_prep_poll_multishot(sqe, op->fd, op->length);
      return 0;
    default:
      return -EINVAL;
  }
}

/* Prepares the entry of a record that will complete. 0, or -errno. */
static int32_t prepare(struct ring *ring, const struct ur_op *op, struct io_uring_sqe *sqe) {
  if (op->opcode == UR_OP_NOP) {
    io_uring_prep_nop(sqe);
    return 0;
  }
  int32_t result = fill_entry(ring, op, sqe);
  if (result < 0) return result;
  if (op->flags) {
    uint32_t gathers = receives_once(op->opcode) ? UR_OP_FLAG_GATHER : 0;
    /* On an accept, the same bit means multishot to the kernel. */
    if ((op->flags & ~gathers) != UR_OP_FLAG_POLL_FIRST || !moves_bytes(op->opcode)) return -EINVAL;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  }
  return owns(op->fd) ? 0 : -EBADF;
}

/* Prepares the cancel of another operation. Only a failed cancel leaves a completion. */
static void prepare_cancel(const struct ur_op *op, struct io_uring_sqe *sqe) {
  uint32_t tag = op->flags & UR_OP_FLAG_OF_ACCEPT ? ACCEPT_TAG : 0;
  io_uring_prep_cancel64(sqe, user_data(op->offset | tag, op->length), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, USER_DATA_NONE);
}

/* Makes an entry a silent no-op, because an entry that was taken from the queue cannot be
 * returned. */
static void prepare_nothing(struct io_uring_sqe *sqe) {
  io_uring_prep_nop(sqe);
  sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, USER_DATA_NONE);
}

/* Adds a buffer to a group. No entry is needed, because the kernel reads the ring of buffers
 * itself. */
static int32_t provide(struct ring *ring, const struct ur_op *op) {
  uint8_t *bytes = resolve(op->slab, op->offset, op->length);
  uint32_t group = (uint32_t)op->fd;
  if (group >= UR_BUFFER_GROUPS || op->slot >= UR_BUFFER_MAX || !bytes) return -EFAULT;
  struct io_uring_buf_ring *buffers = ring->buffers[group];
  if (!buffers) return -EFAULT;
  unsigned short id = (unsigned short)op->slot;
  io_uring_buf_ring_add(buffers, bytes, op->length, id, UR_BUFFER_MAX - 1, 0);
  io_uring_buf_ring_advance(buffers, 1);
  return 0;
}
