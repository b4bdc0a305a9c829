/*
 * Slabs: memory that the kernel may touch, named by number.
 *
 *   free --map--> used --a ring opens on it--> held --the ring closes--> used --release--> free
 *                    \--release, or the thread ends, while the kernel lingers--> lost
 *
 * Invariants
 * - A mapping is never unmapped: its address stays valid for the kernel and for views of it.
 * - A slab is recycled only for a request of the same size. Its pages are dropped in between.
 * - After a ring of a thread was abandoned, no slab of that thread is reused.
 */

static void *map_memory(size_t size) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}

int32_t ur_slab_map(uint32_t size) {
  if (size == 0 || size > (1u << 30)) return -EINVAL;
  int32_t id = -ENOMEM;
  pthread_mutex_lock(&lock);
  for (uint32_t i = 0; i < slab_count; i++) {
    if (slabs[i].size == size && atomic_load(&slabs[i].state) == SLAB_FREE) {
      id = (int32_t)i;
      break;
    }
  }
  if (id < 0 && slab_count < SLAB_MAX) {
    uint8_t *base = map_memory(size);
    if (base) {
      /* A forked child must not see memory that the kernel fills, and must not disturb it at its
       * exit. */
      madvise(base, size, MADV_DONTFORK);
      id = (int32_t)slab_count;
      slabs[slab_count].base = base;
      slabs[slab_count].size = size;
      slab_count++;
    }
  }
  if (id >= 0) {
    atomic_store_explicit(&slabs[id].owner, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&slabs[id].state, SLAB_USED, memory_order_release);
  }
  pthread_mutex_unlock(&lock);
  if (id >= 0) end_with_thread();
  return id;
}

static uint32_t slab_state(uint32_t id) {
  return id < SLAB_MAX ? atomic_load_explicit(&slabs[id].state, memory_order_acquire) : SLAB_FREE;
}

static bool is_mine(_Atomic pthread_t *owner) {
  return pthread_equal(atomic_load_explicit(owner, memory_order_relaxed), pthread_self());
}

/* The slab with this number, if this thread may name it. */
static struct slab *slab_at(uint32_t id) {
  uint32_t state = slab_state(id);
  if (state != SLAB_USED && state != SLAB_HELD) return NULL;
  return is_mine(&slabs[id].owner) ? &slabs[id] : NULL;
}

void *ur_slab_address(uint32_t id) {
  struct slab *slab = slab_at(id);
  return slab ? slab->base : NULL;
}

/* Under the lock. */
static void recycle_slab(struct slab *slab) {
  if (!kernel_lingers) madvise(slab->base, slab->size, MADV_DONTNEED);
  uint32_t state = kernel_lingers ? SLAB_LOST : SLAB_FREE;
  atomic_store_explicit(&slab->state, state, memory_order_release);
}

int32_t ur_slab_release(uint32_t id) {
  uint32_t state = slab_state(id);
  if (state != SLAB_USED && state != SLAB_HELD) return -EINVAL;
  struct slab *slab = slab_at(id);
  if (!slab) return -EPERM;
  if (state == SLAB_HELD) return -EBUSY;
  pthread_mutex_lock(&lock);
  recycle_slab(slab);
  pthread_mutex_unlock(&lock);
  return 0;
}

/* The address of slab/offset/length, or NULL when any byte of it lies outside. */
static uint8_t *resolve(uint32_t id, uint32_t offset, uint32_t length) {
  struct slab *slab = slab_at(id);
  if (!slab || length == 0 || offset > slab->size || length > slab->size - offset) return NULL;
  return slab->base + offset;
}
