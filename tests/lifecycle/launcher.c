/*
 * Starts a program in a world where io_uring is refused: with a seccomp filter like those of
 * container engines, without privileges, with little locked memory. For tests.
 *
 *   launcher OPTION... -- PROGRAM ARGUMENT...
 *
 *   --deny CALL ERRNO        CALL (setup, enter, register) of io_uring fails with the errno
 *   --deny-above N ERRNO     setup with more than N entries does
 *   --sysctl FILE            the program reads kernel.io_uring_disabled from this file
 *   --memlock BYTES          limit of locked memory
 *   --uid NUMBER             as this user, without any privilege but that of reading all files
 *   --docker                 the calls fail that Docker's default profile denies to a container
 *                            without added capabilities, and no HOME is set
 *   --read-only              no file system can be written to, and /dev/shm is empty
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The calls that the default seccomp profile of Docker 25 and newer denies on x86-64 and aarch64 to
 * a container without added capabilities, as its documentation says: all with EPERM, but clone3
 * with ENOSYS, so that C libraries go on with clone. Profiles before version 25 allowed io_uring.
 * Calls whose denial depends on an argument (clone, personality, socket) are left out.
 */
static const uint32_t docker_denied[] = {
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
    __NR_acct,
    __NR_add_key,
    __NR_bpf,
    __NR_chroot,
    __NR_clock_settime,
    __NR_delete_module,
    __NR_fanotify_init,
    __NR_finit_module,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fsopen,
    __NR_fspick,
    __NR_get_mempolicy,
    __NR_init_module,
    __NR_kcmp,
    __NR_kexec_file_load,
    __NR_kexec_load,
    __NR_keyctl,
    __NR_lookup_dcookie,
    __NR_mbind,
    __NR_migrate_pages,
    __NR_mount,
    __NR_mount_setattr,
    __NR_move_mount,
    __NR_move_pages,
    __NR_open_by_handle_at,
    __NR_open_tree,
    __NR_perf_event_open,
    __NR_pidfd_getfd,
    __NR_pivot_root,
    __NR_process_madvise,
    __NR_quotactl,
    __NR_reboot,
    __NR_request_key,
    __NR_set_mempolicy,
    __NR_setdomainname,
    __NR_sethostname,
    __NR_setns,
    __NR_settimeofday,
    __NR_swapoff,
    __NR_swapon,
    __NR_syslog,
    __NR_umount2,
    __NR_unshare,
    __NR_userfaultfd,
    __NR_vhangup,
};

/* Little endian: the lower half of the first argument. */
#define FIRST_ARGUMENT offsetof(struct seccomp_data, args)

static void fail(const char *what) {
  fprintf(stderr, "launcher: %s: %s\n", what, strerror(errno));
  exit(125);
}

static uint32_t number(const char *text) {
  char *end;
  unsigned long value = text ? strtoul(text, &end, 10) : 0;
  if (!text || *text == 0 || *end != 0 || value > UINT32_MAX) {
    fprintf(stderr, "launcher: %s is no number\n", text ? text : "nothing");
    exit(125);
  }
  return (uint32_t)value;
}

static uint32_t call_number(const char *name) {
  if (name && strcmp(name, "setup") == 0) return __NR_io_uring_setup;
  if (name && strcmp(name, "enter") == 0) return __NR_io_uring_enter;
  if (name && strcmp(name, "register") == 0) return __NR_io_uring_register;
  fprintf(stderr, "launcher: no call named %s\n", name ? name : "nothing");
  exit(125);
}

/* One filter for each option: all of them are asked, and the sternest answer holds. */
static void deny(uint32_t call, int64_t above, uint32_t error) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST_ARGUMENT),
      BPF_JUMP(BPF_JMP | (above < 0 ? BPF_JGE : BPF_JGT) | BPF_K, above < 0 ? 0 : (uint32_t)above,
               0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("no new privileges");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0) fail("seccomp");
}

static void deny_as_docker(void) {
  for (size_t i = 0; i < sizeof(docker_denied) / sizeof(docker_denied[0]); i++) {
    deny(docker_denied[i], -1, EPERM);
  }
  deny(__NR_clone3, -1, ENOSYS);
  unsetenv("HOME");
}

/* The files of the project may lie where only root can read, hence the one privilege that stays. */
static void become(uint32_t user) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
  data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_DAC_READ_SEARCH;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) fail("keep capabilities");
  if (setgroups(0, NULL) < 0) fail("setgroups");
  if (setresgid(user, user, user) < 0) fail("setresgid");
  if (setresuid(user, user, user) < 0) fail("setresuid");
  if (syscall(SYS_capset, &header, data) < 0) fail("capset");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) < 0) fail("ambient");
}

/* In a mount namespace of its own, so that no other process sees the other file. */
static void show_sysctl(const char *file) {
  if (unshare(CLONE_NEWNS) < 0) fail("unshare");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("private mounts");
  if (mount(file, "/proc/sys/kernel/io_uring_disabled", NULL, MS_BIND, NULL) < 0) fail("bind");
}

static void make_read_only(void) {
  struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY};
  if (unshare(CLONE_NEWNS) < 0) fail("unshare");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("private mounts");
  umount2("/dev/shm", MNT_DETACH);
  if (syscall(__NR_mount_setattr, -1, "/", AT_RECURSIVE, &change, sizeof change) < 0) {
    fail("read-only mounts");
  }
}

static void limit_memory(uint32_t bytes) {
  const struct rlimit limit = {bytes, bytes};
  if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0) fail("setrlimit");
}

int main(int argc, char **argv) {
  int at = 1;
  for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
    const char *option = argv[at];
    if (strcmp(option, "--deny") == 0 && at + 2 < argc) {
      deny(call_number(argv[at + 1]), -1, number(argv[at + 2]));
      at += 2;
    } else if (strcmp(option, "--deny-above") == 0 && at + 2 < argc) {
      deny(__NR_io_uring_setup, number(argv[at + 1]), number(argv[at + 2]));
      at += 2;
    } else if (strcmp(option, "--sysctl") == 0 && at + 1 < argc) {
      show_sysctl(argv[++at]);
    } else if (strcmp(option, "--memlock") == 0 && at + 1 < argc) {
      limit_memory(number(argv[++at]));
    } else if (strcmp(option, "--uid") == 0 && at + 1 < argc) {
      become(number(argv[++at]));
    } else if (strcmp(option, "--docker") == 0) {
      deny_as_docker();
    } else if (strcmp(option, "--read-only") == 0) {
      make_read_only();
    } else {
      fprintf(stderr, "launcher: no option %s\n", option);
      return 125;
    }
  }
  if (at + 1 >= argc) return 125;
  execvp(argv[at + 1], argv + at + 1);
  fail(argv[at + 1]);
}
