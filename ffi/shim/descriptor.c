/*
 * Descriptors and the rings that own them. A call is refused for a descriptor of another thread,
 * and a ring closes its descriptors when it ends. The table is indexed by descriptor number.
 */

static struct ring *ring_at(uint32_t id) {
  if (id >= RING_MAX) return NULL;
  struct ring *ring = atomic_load_explicit(&rings[id], memory_order_acquire);
  if (!ring || !atomic_load_explicit(&ring->open, memory_order_acquire)) return NULL;
  return is_mine(&ring->owner) ? ring : NULL;
}

/* Two rings of one thread, one for each direction, share their descriptors. */
static bool owns(int32_t fd) {
  if (fd < 0 || (uint32_t)fd >= DESCRIPTOR_MAX) return false;
  uint32_t id = atomic_load_explicit(&descriptor_ring[fd], memory_order_relaxed);
  return id != 0 && ring_at(id - 1) != NULL;
}

/* 0 when the calling thread owns both the ring and the descriptor. */
static int32_t refusal(uint32_t ring, int32_t fd) {
  if (!ring_at(ring)) return -EPERM;
  return owns(fd) ? 0 : -EBADF;
}

static int32_t adopt(uint32_t ring, int32_t fd) {
  if ((uint32_t)fd >= DESCRIPTOR_MAX) {
    close(fd);
    return -EMFILE;
  }
  atomic_store_explicit(&descriptor_ring[fd], (uint16_t)(ring + 1), memory_order_relaxed);
  uint32_t end = atomic_load_explicit(&descriptor_end, memory_order_relaxed);
  while (end <= (uint32_t)fd &&
         !atomic_compare_exchange_weak(&descriptor_end, &end, (uint32_t)fd + 1)) {
  }
  return fd;
}

static void close_owned(int32_t fd) {
  atomic_store_explicit(&descriptor_ring[fd], 0, memory_order_relaxed);
  close(fd);
}

static void close_all(uint32_t ring) {
  uint32_t end = atomic_load(&descriptor_end);
  for (uint32_t fd = 0; fd < end; fd++)
    if (atomic_load_explicit(&descriptor_ring[fd], memory_order_relaxed) == ring + 1)
      close_owned((int32_t)fd);
}
