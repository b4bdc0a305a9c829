/*
 * The files of unix sockets: which one is made, which one is removed, and which one is stale. See
 * driver.h.
 */
#define _GNU_SOURCE
#include "driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct rig rig;
static char folder[] = "/tmp/uringnet-shim-XXXXXX";
static uint32_t before; /* descriptors */

static void prepare(void) {
  EXPECT_TRUE(mkdtemp(folder) != NULL);
  rig_open(&rig, 8, 64, 0);
  before = open_descriptors();
}

static void finish(void) {
  EXPECT(open_descriptors(), before);
  EXPECT(rmdir(folder), 0);
  rig_close(&rig);
}

/* The record of a path in the test's folder, or of a path as it is. */
static struct ur_file file_at(const char *name, bool relative) {
  struct ur_file file = {0};
  struct sockaddr_un *address = (struct sockaddr_un *)file.address;
  address->sun_family = AF_UNIX;
  int length = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s%s",
                        relative ? "" : folder, relative ? "" : "/", name);
  file.length = (uint32_t)offsetof(struct sockaddr_un, sun_path) + (uint32_t)length + 1;
  return file;
}

static const char *path_in(const struct ur_file *file) {
  return ((const struct sockaddr_un *)file->address)->sun_path;
}

static int32_t bind_at(int32_t fd, struct ur_file *file, uint32_t mode) {
  return ur_file_bind(rig.id, fd, file, sizeof(*file), mode);
}

static int32_t remove_it(const struct ur_file *file) {
  return ur_file_remove(rig.id, file, sizeof(*file));
}

static int32_t stale(const struct ur_file *file, uint32_t remove) {
  return ur_file_stale(rig.id, file, sizeof(*file), remove);
}

static uint32_t mode_of(const char *path) {
  struct stat info;
  return lstat(path, &info) < 0 ? UINT32_MAX : info.st_mode & 07777;
}

static uint32_t entries(void) {
  uint32_t count = 0;
  DIR *directory = opendir(folder);
  EXPECT_TRUE(directory != NULL);
  while (readdir(directory)) count++;
  closedir(directory);
  return count - 2; /* "." and ".." */
}

static void socket_files(void) {
  prepare();
  struct ur_file file = file_at("socket", false);
  int32_t fd = ur_socket(rig.id, AF_UNIX);
  EXPECT(stale(&file, 1), -ENOENT);
  EXPECT(bind_at(fd, &file, UR_MODE_DEFAULT), 0);
  EXPECT(stale(&file, 1), 0); /* not listening yet: bound all the same */
  EXPECT(ur_listen(rig.id, fd, 1), 0);
  EXPECT(stale(&file, 1), 0);
  int32_t other = ur_socket(rig.id, AF_UNIX);
  EXPECT(bind_at(other, &file, UR_MODE_DEFAULT), -EADDRINUSE);

  /* Another file of this name stays. */
  EXPECT(unlink(path_in(&file)), 0);
  EXPECT(remove_it(&file), 0);
  int plain = open(path_in(&file), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  EXPECT(close(plain), 0);
  EXPECT(remove_it(&file), 0);
  EXPECT(stale(&file, 1), -ENOTSOCK);
  EXPECT(access(path_in(&file), F_OK), 0);
  EXPECT(unlink(path_in(&file)), 0);
  struct ur_file second = file_at("socket", false);
  EXPECT(bind_at(other, &second, UR_MODE_DEFAULT), 0);
  EXPECT(remove_it(&file), 0);
  EXPECT(access(path_in(&file), F_OK), 0);

  /* Its own goes, wherever the directory is by then, and once. */
  char moved[64];
  snprintf(moved, sizeof(moved), "%s.moved", folder);
  EXPECT(rename(folder, moved), 0);
  EXPECT(mkdir(folder, 0700), 0);
  struct ur_file decoy = file_at("socket", false);
  int32_t third = ur_socket(rig.id, AF_UNIX);
  EXPECT(bind_at(third, &decoy, UR_MODE_DEFAULT), 0);
  EXPECT(remove_it(&second), 1);
  EXPECT(remove_it(&second), 0);
  EXPECT(rmdir(moved), 0);
  EXPECT(remove_it(&decoy), 1);
  EXPECT(entries(), 0);

  int32_t all[] = {fd, other, third, file.directory, second.directory, decoy.directory};
  for (uint32_t i = 0; i < 6; i++) EXPECT(ur_close(rig.id, all[i]), 0);
  EXPECT(remove_it(&file), -EBADF);
  finish();
}

static void stale_files(void) {
  prepare();
  struct ur_file file = file_at("socket", false), link = file_at("link", false);
  for (uint32_t removed = 0; removed < 2; removed++) {
    int32_t fd = ur_socket(rig.id, AF_UNIX);
    EXPECT(bind_at(fd, &file, UR_MODE_DEFAULT), 0);
    EXPECT(ur_listen(rig.id, fd, 1), 0);
    EXPECT(ur_close(rig.id, fd), 0);
    EXPECT(ur_close(rig.id, file.directory), 0);
    EXPECT(stale(&file, 0), 1);
    EXPECT(access(path_in(&file), F_OK), 0);
    /* A link is never followed. */
    EXPECT(symlink(path_in(&file), path_in(&link)), 0);
    EXPECT(stale(&link, 1), -ENOTSOCK);
    EXPECT(unlink(path_in(&link)), 0);
    /* The wait for a lock of another process is short. */
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT(flock(lock, LOCK_EX), 0);
    EXPECT(stale(&file, 1), 1);
    EXPECT(close(lock), 0);
    EXPECT(stale(&file, 1), -ENOENT);
    EXPECT(entries(), 0);
  }
  int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT(bind(datagram, (struct sockaddr *)file.address, file.length), 0);
  EXPECT(stale(&file, 1), 0); /* a socket of another type has it */
  EXPECT(close(datagram), 0);
  EXPECT(stale(&file, 1), 1);
  finish();
}

static void file_modes(void) {
  static const uint32_t modes[] = {0, 0600, 0660, 0666, 0777, 0700, 01};
  static const mode_t masks[] = {0, 022, 077, 0777};
  prepare();
  for (uint32_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
    mode_t mask = umask(masks[i]);
    for (uint32_t k = 0; k <= sizeof(modes) / sizeof(modes[0]); k++) {
      bool named = k < sizeof(modes) / sizeof(modes[0]);
      struct ur_file file = file_at("socket", false);
      int32_t fd = ur_socket(rig.id, AF_UNIX);
      EXPECT(bind_at(fd, &file, named ? modes[k] : UR_MODE_DEFAULT), 0);
      EXPECT(mode_of(path_in(&file)), named ? modes[k] : 0777 & ~masks[i]);
      EXPECT(remove_it(&file), 1);
      EXPECT(ur_close(rig.id, fd), 0);
      EXPECT(ur_close(rig.id, file.directory), 0);
    }
    umask(mask);
  }
  struct ur_file file = file_at("socket", false);
  int32_t fd = ur_socket(rig.id, AF_UNIX);
  EXPECT(bind_at(fd, &file, 01000), -EINVAL);
  EXPECT(bind_at(fd, &file, UINT32_MAX - 1), -EINVAL);
  EXPECT(ur_close(rig.id, fd), 0);
  EXPECT(entries(), 0);
  finish();
}

static void file_records(void) {
  prepare();
  int32_t fd = ur_socket(rig.id, AF_UNIX);
  struct ur_file good = file_at("socket", false);
  struct ur_file bad[6] = {good, good, good, good, good, good};
  bad[0].length = 0;
  bad[1].length = offsetof(struct sockaddr_un, sun_path);
  bad[2].length = sizeof(struct sockaddr_un) + 1;
  bad[3].length = good.length - 1; /* without NUL */
  bad[4].address[offsetof(struct sockaddr_un, sun_path)] = 0;
  bad[5].address[0] = AF_INET;
  for (uint32_t i = 0; i < 6; i++) {
    EXPECT(bind_at(fd, &bad[i], 0600), -EINVAL);
    EXPECT(remove_it(&bad[i]), -EINVAL);
    EXPECT(stale(&bad[i], 1), -EINVAL);
  }
  EXPECT(ur_file_bind(rig.id, fd, &good, sizeof(good) - 1, 0600), -EINVAL);
  EXPECT(ur_file_remove(rig.id, &good, 0), -EINVAL);
  EXPECT(ur_file_stale(rig.id, &good, UINT32_MAX, 1), -EINVAL);
  EXPECT(bind_at(-1, &good, 0600), -EBADF);
  EXPECT(bind_at(STDOUT_FILENO, &good, 0600), -EBADF);
  static const int32_t foreign[] = {-1, 0, INT32_MAX, INT32_MIN};
  for (uint32_t i = 0; i < 4; i++) {
    good.directory = foreign[i];
    EXPECT(remove_it(&good), -EBADF);
  }
  struct ur_file nowhere = file_at("none/socket", false);
  EXPECT(bind_at(fd, &nowhere, 0600), -ENOENT);
  EXPECT(stale(&nowhere, 1), -ENOENT);
  struct ur_file slashed = file_at("", false);
  EXPECT_TRUE(bind_at(fd, &slashed, 0600) < 0);
  EXPECT_TRUE(stale(&slashed, 1) < 0);

  /* A relative path means what it meant when it was bound, also where the absolute one is long. */
  char start[256], deep[128] = "", *part = "0123456789012345678901234567890123456789/";
  EXPECT_TRUE(getcwd(start, sizeof(start)) != NULL);
  EXPECT(chdir(folder), 0);
  for (uint32_t i = 0; i < 3; i++) {
    strcat(deep, part);
    EXPECT(mkdir(deep, 0700), 0);
  }
  EXPECT(chdir(deep), 0);
  struct ur_file relative = file_at("socket", true);
  EXPECT(bind_at(fd, &relative, 0600), 0);
  EXPECT(access("socket", F_OK), 0);
  EXPECT(chdir(folder), 0);
  EXPECT(remove_it(&relative), 1);
  for (uint32_t i = 3; i > 0; i--) {
    EXPECT(rmdir(deep), 0);
    deep[41 * (i - 1)] = 0;
  }
  EXPECT(chdir(start), 0);
  EXPECT(ur_close(rig.id, relative.directory), 0);
  EXPECT(ur_close(rig.id, fd), 0);
  finish();
}

const struct test_case file_cases[] = {
    {"the socket file that was bound is removed, once, and no other", socket_files},
    {"a socket file that no socket has is stale, and no other", stale_files},
    {"a socket file has the permissions that are asked for, whatever the umask", file_modes},
    {"records of files that make no sense: EINVAL, EBADF, ENOENT", file_records},
    {NULL, NULL},
};
