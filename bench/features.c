/*
 * features.c: measures features of the kernel that the library does not use, against its own way.
 *
 *   zero copy   SEND_ZC instead of SEND: CPU for each GiB, and whether the kernel copied after all
 *   files       SEND and RECV on registered files instead of descriptors: CPU for each operation
 *   closing     SHUTDOWN and CLOSE on the ring instead of shutdown(2) and close(2): CPU for each
 *               connection, the kernel's worker threads included
 *   accepting   a multishot accept with getpeername(2) instead of poll(2) and accept4(2)
 *
 * Usage: features [ROUNDS]
 *
 * Each line has the median CPU of both ways, and the median and quartiles of the ratios of the
 * rounds, in which the two ways alternate. CPU is that of the process. The peer is a child on the
 * other processor. Loopback TCP only: a network card may send without a copy, loopback does not.
 *
 * Needs Linux 6.1 and liburing 2.3. An error ends the program with its errno.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IORING_SEND_ZC_REPORT_USAGE /* Newer than liburing 2.3. */
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#define NOTIFICATION_COPIED (1U << 31)

enum {
    ROUNDS_DEFAULT = 21,
    ROUNDS_MAX = 1001,
    ENTRIES = 256,
    BYTES_OF_ROUND = 64 << 20,
    SEND_BYTES_MAX = 1 << 20,
    SLOTS = 8,                      /* Buffers of a stream: busy until their notification. */
    MESSAGE_BYTES = 64,
    MESSAGES_OF_ROUND = 5000,
    CONNECTIONS_OF_ROUND = 200,
    BACKLOG = 1024,
};

static uint8_t memory[SLOTS][SEND_BYTES_MAX];
static struct sockaddr_in address;
static int listener;
static struct io_uring ring;
/* Notifications of zero-copy sends, and those that say that the kernel copied. */
static unsigned notifications, copies;

static int must(int result, const char *what)
{
    if (result >= 0) return result;
    if (result == -1) result = -errno;
    fprintf(stderr, "features: %s: %s\n", what, strerror(-result));
    exit(1);
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void pin(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set); /* A machine may have one processor only. */
}

static int dial(void)
{
    int on = 1;
    int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    must(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    return fd;
}

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe != NULL) return sqe;
    must(io_uring_submit(&ring), "submit");
    return io_uring_get_sqe(&ring);
}

struct completion {
    uint64_t user_data;
    int res;
    unsigned flags;
};

/* Waits for one completion. */
static struct completion take(void)
{
    struct io_uring_cqe *cqe;
    struct completion taken;
    if (io_uring_peek_cqe(&ring, &cqe) != 0) {
        must(io_uring_submit_and_wait(&ring, 1), "enter");
        must(io_uring_wait_cqe(&ring, &cqe), "wait");
    }
    taken = (struct completion){cqe->user_data, cqe->res, cqe->flags};
    io_uring_cqe_seen(&ring, cqe);
    return taken;
}

/* ---- a peer that drops all bytes of one connection after the other */

static void drop_bytes(void)
{
    static char bytes[1 << 18];
    for (;;) {
        int fd = must(accept(listener, NULL, NULL), "accept");
        while (read(fd, bytes, sizeof bytes) > 0) continue;
        close(fd);
    }
}

/* ---- a peer that connects so many times for each byte, and ends them at the next */

static int orders[2], reports[2];

static void connect_often(void)
{
    int fds[CONNECTIONS_OF_ROUND];
    char order;
    while (read(orders[0], &order, 1) == 1) {
        for (int i = 0; i < CONNECTIONS_OF_ROUND; i++) fds[i] = dial();
        must((int)write(reports[1], &order, 1), "report");
        if (read(orders[0], &order, 1) != 1) return;
        for (int i = 0; i < CONNECTIONS_OF_ROUND; i++) close(fds[i]);
        must((int)write(reports[1], &order, 1), "report");
    }
}

static void tell_peer(void)
{
    char order = 1;
    must((int)write(orders[1], &order, 1), "order");
    if (read(reports[0], &order, 1) != 1) must(-EPIPE, "the peer");
}

static pid_t start_peer(void (*play)(void))
{
    pid_t child = must(fork(), "fork");
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    play();
    exit(0);
}

static void end_peer(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* ---- zero copy */

/* Sends a stream, one send at a time. Returns the CPU for each GiB in milliseconds. */
static double send_stream(bool zero_copy, unsigned size)
{
    bool busy[SLOTS] = {false};
    int fd = dial();
    double before = cpu_us();
    for (unsigned sent = 0, slot = 0; sent < BYTES_OF_ROUND; slot = (slot + 1) % SLOTS) {
        struct completion cqe;
        struct io_uring_sqe *sqe;
        bool sending = true;
        while (busy[slot]) {
            cqe = take();
            busy[cqe.user_data] = false;
        }
        sqe = entry();
        if (zero_copy) {
            io_uring_prep_send_zc(sqe, fd, memory[slot], size, MSG_WAITALL, 0);
            sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE;
        } else {
            io_uring_prep_send(sqe, fd, memory[slot], size, MSG_WAITALL);
        }
        sqe->user_data = slot;
        while (sending) {
            cqe = take();
            if (cqe.flags & IORING_CQE_F_NOTIF) {
                notifications++;
                if ((unsigned)cqe.res & NOTIFICATION_COPIED) copies++;
                busy[cqe.user_data] = false;
                continue;
            }
            must(cqe.res, "send");
            sent += (unsigned)cqe.res;
            busy[slot] = cqe.flags & IORING_CQE_F_MORE;
            sending = false;
        }
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        while (busy[slot]) busy[take().user_data] = false;
    }
    double spent = cpu_us() - before;
    close(fd);
    return spent / 1e3 * (1 << 30) / BYTES_OF_ROUND;
}

static double send_plain(unsigned size) { return send_stream(false, size); }
static double send_zero_copy(unsigned size) { return send_stream(true, size); }

/* ---- registered files */

/* Messages between two sockets of this thread. Returns the CPU of an operation in nanoseconds. */
static double exchange(bool registered, unsigned unused)
{
    int near = dial(), far = must(accept(listener, NULL, NULL), "accept");
    int files[2] = {near, far};
    (void)unused;
    if (registered) must(io_uring_register_files(&ring, files, 2), "register files");
    double before = cpu_us();
    for (int i = 0; i < MESSAGES_OF_ROUND; i++) {
        struct io_uring_sqe *sqe = entry();
        io_uring_prep_send(sqe, registered ? 0 : near, memory[0], MESSAGE_BYTES, MSG_WAITALL);
        if (registered) sqe->flags |= IOSQE_FIXED_FILE;
        sqe = entry();
        io_uring_prep_recv(sqe, registered ? 1 : far, memory[1], MESSAGE_BYTES, 0);
        if (registered) sqe->flags |= IOSQE_FIXED_FILE;
        must(io_uring_submit_and_wait(&ring, 2), "enter");
        for (int k = 0; k < 2; k++) must(take().res, "send or receive");
    }
    double spent = cpu_us() - before;
    if (registered) must(io_uring_unregister_files(&ring), "unregister files");
    close(near);
    close(far);
    return spent * 1e3 / MESSAGES_OF_ROUND / 2;
}

static double exchange_plain(unsigned unused) { return exchange(false, unused); }
static double exchange_registered(unsigned unused) { return exchange(true, unused); }

/* ---- closing and accepting */

static int accepted[CONNECTIONS_OF_ROUND];

static void close_directly(void)
{
    for (int i = 0; i < CONNECTIONS_OF_ROUND; i++) {
        shutdown(accepted[i], SHUT_WR);
        close(accepted[i]);
    }
}

static void close_on_ring(void)
{
    for (int i = 0; i < CONNECTIONS_OF_ROUND; i += ENTRIES / 2) {
        int end = i + ENTRIES / 2 < CONNECTIONS_OF_ROUND ? i + ENTRIES / 2 : CONNECTIONS_OF_ROUND;
        for (int k = i; k < end; k++) {
            struct io_uring_sqe *sqe = entry();
            io_uring_prep_shutdown(sqe, accepted[k], SHUT_WR);
            sqe->flags |= IOSQE_IO_LINK;
            io_uring_prep_close(entry(), accepted[k]);
        }
        for (int k = i; k < end; k++) {
            must(take().res, "shutdown");
            must(take().res, "close");
        }
    }
}

static void accept_directly(void)
{
    for (int i = 0; i < CONNECTIONS_OF_ROUND; i++) {
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        must(poll(&ready, 1, -1), "poll");
        accepted[i] = must(accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC),
                           "accept4");
    }
}

static void accept_on_ring(void)
{
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 0; i < CONNECTIONS_OF_ROUND; i++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        accepted[i] = must(take().res, "accept");
        must(getpeername(accepted[i], (struct sockaddr *)&peer, &length), "getpeername");
    }
    io_uring_prep_cancel64(entry(), 0, IORING_ASYNC_CANCEL_ANY);
    take();
    take();
}

/* Connections come, are accepted and are closed. Returns the CPU of one part, for each of them. */
static double connections(void (*accept_all)(void), void (*close_all)(void), bool of_closing)
{
    tell_peer();
    double start = cpu_us();
    accept_all();
    double between = cpu_us();
    close_all();
    double spent = of_closing ? cpu_us() - between : between - start;
    tell_peer();
    return spent / CONNECTIONS_OF_ROUND;
}

static double closing_plain(unsigned unused)
{
    (void)unused;
    return connections(accept_directly, close_directly, true);
}

static double closing_on_ring(unsigned unused)
{
    (void)unused;
    return connections(accept_directly, close_on_ring, true);
}

static double accepting_plain(unsigned unused)
{
    (void)unused;
    return connections(accept_directly, close_directly, false);
}

static double accepting_on_ring(unsigned unused)
{
    (void)unused;
    return connections(accept_on_ring, close_directly, false);
}

/* ---- rounds */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, int count, double part)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[(int)((count - 1) * part + 0.5)];
}

static void compare(const char *name, const char *unit, unsigned size, int rounds,
                    double (*ours)(unsigned), double (*other)(unsigned))
{
    static double plain[ROUNDS_MAX], with[ROUNDS_MAX], ratios[ROUNDS_MAX];
    ours(size);
    other(size);
    for (int i = 0; i < rounds; i++) {
        if (i % 2 == 0) plain[i] = ours(size);
        with[i] = other(size);
        if (i % 2 == 1) plain[i] = ours(size);
        ratios[i] = with[i] / plain[i];
    }
    printf("%-26s %8.2f and %8.2f %-20s ratio %.3f (%.3f..%.3f)\n", name,
           quantile(plain, rounds, 0.5), quantile(with, rounds, 0.5), unit,
           quantile(ratios, rounds, 0.5), quantile(ratios, rounds, 0.25),
           quantile(ratios, rounds, 0.75));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS_DEFAULT;
    static const unsigned sizes[] = {4 << 10, 64 << 10, 256 << 10, 1 << 20};
    socklen_t length = sizeof address;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = 4096,
    };
    if (rounds < 1 || rounds > ROUNDS_MAX) must(-EINVAL, "ROUNDS");
    listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    must(listen(listener, BACKLOG), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    must(pipe(orders), "pipe");
    must(pipe(reports), "pipe");

    pid_t peer = start_peer(drop_bytes);
    pin(0);
    must(io_uring_queue_init_params(ENTRIES, &ring, &params), "io_uring_setup");
    must(io_uring_register_ring_fd(&ring), "register the ring");
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[64];
        snprintf(name, sizeof name, "zero copy, %u KiB", sizes[i] >> 10);
        compare(name, "ms for each GiB", sizes[i], rounds, send_plain, send_zero_copy);
    }
    printf("%-26s %u of %u\n", "sends that were copied", copies, notifications);
    end_peer(peer);

    compare("registered files", "ns for an operation", 0, rounds, exchange_plain,
            exchange_registered);

    peer = start_peer(connect_often);
    compare("closing on the ring", "us for a connection", 0, rounds, closing_plain,
            closing_on_ring);
    compare("multishot accept", "us for a connection", 0, rounds, accepting_plain,
            accepting_on_ring);
    end_peer(peer);
    io_uring_queue_exit(&ring);
    return 0;
}
