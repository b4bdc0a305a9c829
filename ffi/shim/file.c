/*
 * Socket files in the file system: binding, removal, and the test whether a file is stale, without
 * races.
 *
 * A path is resolved once, to a directory that stays open and a name in it. So neither chdir() nor
 * a rename of the directory leads to another file later. No call follows a link at the name itself.
 *
 * Device and inode identify a file. The open socket holds its inode, so that no other file can get
 * the number. The kernel removes a name, not an inode: a file is therefore renamed to an unknown
 * name first, and checked again there. A file that took the name in between is renamed back, unless
 * a third file has the name by then: in that case both files stay.
 */

/* The longest wait for another process that removes a stale socket file of the same directory. */
#define FILE_LOCK_WAIT_MS 100u

static const char *read_file(struct ur_file *file, const void *record, uint32_t size) {
  const uint32_t start = offsetof(struct sockaddr_un, sun_path);
  if (size != sizeof(*file)) return NULL;
  memcpy(file, record, sizeof(*file));
  const struct sockaddr_un *address = (const struct sockaddr_un *)file->address;
  if (file->length <= start || file->length > sizeof(*address)) return NULL;
  if (address->sun_family != AF_UNIX || address->sun_path[0] == 0) return NULL;
  return memchr(address->sun_path, 0, file->length - start) ? address->sun_path : NULL;
}

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int open_directory(const char *path) {
  char directory[sizeof(struct sockaddr_un)] = ".";
  size_t length = (size_t)(file_name(path) - path);
  if (length > 0) {
    memcpy(directory, path, length);
    directory[length] = 0;
  }
  return open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void record_file(struct ur_file *file, const struct stat *info) {
  file->device = info->st_dev;
  file->inode = info->st_ino;
}

static bool is_same_file(const struct ur_file *file, const struct stat *info) {
  return S_ISSOCK(info->st_mode) && info->st_dev == file->device && info->st_ino == file->inode;
}

static bool is_same_file_at(const struct ur_file *file, int directory, const char *name) {
  struct stat info;
  return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && is_same_file(file, &info);
}

/* 1: this file had the name and was removed. 0: another file or none has the name. */
static int32_t remove_file(const struct ur_file *file, int directory, const char *name) {
  if (!is_same_file_at(file, directory, name)) return 0;
  uint64_t random;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) return -EIO;
  char away[32];
  snprintf(away, sizeof(away), ".uringnet-%016llx", (unsigned long long)random);
  if (syscall(SYS_renameat2, directory, name, directory, away, RENAME_NOREPLACE) < 0) {
    if (errno == ENOENT) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -errno;
    /* This file system has no rename that keeps an existing target. */
    return unlinkat(directory, name, 0) < 0 ? -errno : 1;
  }
  if (is_same_file_at(file, directory, away)) return unlinkat(directory, away, 0) < 0 ? -errno : 1;
  long back = syscall(SYS_renameat2, directory, away, directory, name, RENAME_NOREPLACE);
  return back < 0 ? -errno : 0;
}

/* Writes a path to the open file of the descriptor, valid even when its name leads elsewhere by
 * now. */
static void path_of(int fd, char *path, size_t size) {
  snprintf(path, size, "/proc/self/fd/%d", fd);
}

static int32_t set_mode(const struct ur_file *file, const char *name, mode_t mode) {
  int fd = openat(file->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat info;
  char path[32];
  path_of(fd, path, sizeof(path));
  int32_t result = fstat(fd, &info) < 0 ? -errno : is_same_file(file, &info) ? 0 : -ESTALE;
  if (result == 0 && chmod(path, mode) < 0) result = -errno;
  close(fd);
  return result;
}

static int32_t bind_file(int fd, struct ur_file *file, const char *name, uint32_t mode) {
  struct stat info;
  /* The file gets the permissions of the socket less the umask, so never more than were asked
   * for. */
  if (mode != UR_MODE_DEFAULT && fchmod(fd, mode) < 0) return -errno;
  if (bind(fd, (struct sockaddr *)file->address, file->length) < 0) return -errno;
  file->device = file->inode = 0;
  if (fstatat(file->directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
    record_file(file, &info);
  else
    return mode == UR_MODE_DEFAULT ? 0 : -ESTALE; /* renamed already, to an unknown name */
  if (mode == UR_MODE_DEFAULT || (info.st_mode & UR_MODE_MAX) == mode) return 0;
  int32_t result = set_mode(file, name, mode);
  if (result < 0) remove_file(file, file->directory, name);
  return result;
}

int32_t ur_file_bind(uint32_t id, int32_t fd, void *record, uint32_t size, uint32_t mode) {
  int32_t result = refusal(id, fd);
  if (result < 0) return result;
  struct ur_file file;
  const char *path = read_file(&file, record, size);
  if (!path || (mode > UR_MODE_MAX && mode != UR_MODE_DEFAULT)) return -EINVAL;
  int directory = open_directory(path);
  if (directory < 0) return -errno;
  file.directory = adopt(id, directory);
  if (file.directory < 0) return file.directory;
  result = bind_file(fd, &file, file_name(path), mode);
  if (result < 0)
    close_owned(directory);
  else
    memcpy(record, &file, sizeof(file));
  return result;
}

int32_t ur_file_remove(uint32_t id, const void *record, uint32_t size) {
  if (!ring_at(id)) return -EPERM;
  struct ur_file file;
  const char *path = read_file(&file, record, size);
  if (!path) return -EINVAL;
  if (!owns(file.directory)) return -EBADF;
  return remove_file(&file, file.directory, file_name(path));
}

/*
 * 1 when no socket of the system is bound to this file, 0 when a socket is bound to it, whether it
 * listens or not. The probe is a datagram socket: connecting it to a stream socket fails with
 * EPROTOTYPE, while a stream socket would leave a connection in the listener's backlog. A stale
 * file stays stale, because bind() never takes a file that exists.
 */
static int32_t is_stale(int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  path_of(fd, address.sun_path, sizeof(address.sun_path));
  int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return -errno;
  int error = connect(probe, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
  close(probe);
  if (error == ECONNREFUSED) return 1;
  return error == 0 || error == EPROTOTYPE ? 0 : -error;
}

/*
 * Processes that find the same stale file at once remove it one after the other, so that none
 * renames the file that another has just bound. The lock is on the directory and is held for
 * microseconds. A lock that is held for longer is ignored: the removal is safe without it.
 */
static int lock_directory(int directory) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct timespec pause = {.tv_nsec = 1000000};
  for (uint32_t i = 0; fd >= 0 && i < FILE_LOCK_WAIT_MS; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) break;
    nanosleep(&pause, NULL);
  }
  return fd;
}

/*
 * Waits until each bind() that had made its file in this directory is complete. bind() holds the
 * lock of the directory while it makes the file and ties the socket to it, and between the two the
 * file looks stale. Renaming a file to its own name takes the same lock and changes nothing
 * (rename(2)). Of 500,000 files that were probed while bind() made them, 11 looked stale, and none
 * did after this. An error is no matter: where nothing can be renamed, nothing can be removed.
 */
static void await_binds(int directory, const char *name) {
  syscall(SYS_renameat2, directory, name, directory, name, 0);
}

static int32_t check_file(struct ur_file *file, int directory, const char *name, bool remove) {
  int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat info;
  int32_t result = fstat(fd, &info) < 0 ? -errno : S_ISSOCK(info.st_mode) ? 0 : -ENOTSOCK;
  if (result == 0) {
    record_file(file, &info);
    result = is_stale(fd);
    if (result == 1 && remove) {
      await_binds(directory, name);
      result = is_stale(fd);
    }
  }
  if (result == 1 && remove) result = remove_file(file, directory, name) ?: -ENOENT;
  close(fd);
  return result;
}

int32_t ur_file_stale(uint32_t id, const void *record, uint32_t size, uint32_t remove) {
  if (!ring_at(id)) return -EPERM;
  struct ur_file file;
  const char *path = read_file(&file, record, size);
  if (!path) return -EINVAL;
  int directory = open_directory(path);
  if (directory < 0) return -errno;
  int lock_fd = remove ? lock_directory(directory) : -1;
  int32_t result = check_file(&file, directory, file_name(path), remove);
  if (lock_fd >= 0) close(lock_fd);
  close(directory);
  return result;
}
