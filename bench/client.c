/*
 * client.c: the load client of the benchmarks.
 *
 * One thread and one epoll drive N loopback connections against a server under test, for a bounded
 * time, and print one line of JSON: rates, round-trip percentiles, wrong bytes, errors and, when
 * the server's process id is given, what the measured window cost that process.
 *
 * Usage:
 *   client --port P [--host 127.0.0.1] --connections N --size BYTES --seconds S [--warmup S]
 *          [--depth D] [--messages M] [--server-pid PID] [--verify] [--progress]
 *          [--mode echo|framed|broadcast|sink|source|churn|idle]
 *
 * Modes, as seen from the client:
 *   echo       every connection keeps `depth` messages of `size` bytes in flight and awaits each
 *   framed     the same, each message being a 4-byte big-endian length and a body of `size` bytes
 *   broadcast  connection 0 sends one message, the server sends it to all N connections (the sender
 *              among them), and the next message leaves when all N have it; a delivery is a message
 *   sink       every connection sends as fast as the server reads; `size` is the bytes per send
 *   source     every connection sends one byte, then reads as fast as the server sends
 *   churn      N loops of: connect, echo one message, close
 *   idle       N connections are opened and held, silent
 *
 * Order of events: connect all, join (broadcast only), warm up, measure, drain, close. The drain
 * awaits every message that is still on its way, so a server that loses or delays bytes at the end
 * is caught. `--messages M` gives each connection M messages and ends the run when all of them are
 * answered. In a broadcast, M counts what connection 0 publishes. It excludes a warmup.
 *
 * Bytes. All payload is cut from one wire image: a few dozen or more distinct pseudo-random frames,
 * laid end to end and read as a cycle. Each connection starts at a frame of its own, so its stream
 * is a walk through the image, sending needs no copy and `--verify` is one memcmp per read.
 * In `source` mode the byte at stream position p must be (p mod 256). `sink` cannot be verified.
 *
 * Report. latency_us is taken from the moment a message may leave until its last byte is back
 * (churn: from connect), in a log-linear histogram, exact within 0.8 %; max is exact.
 * `bytes` counts payload in one direction. server_cpu_us is the CPU clock of the server's process
 * (all threads, nanoseconds); its division into user and system follows the kernel's clock ticks.
 * server_rss_before_kib is taken before the first connection, server_rss_kib while all are open.
 *
 * Limits: loopback addresses only, 20,000 connections, messages of 16 MiB, depth 4,096, 600 s.
 * Exit code: 0, or 1 after wrong bytes or errors, or 2 when the arguments are not usable.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 20000,
    MESSAGE_BYTES_MAX = 16 << 20,
    DEPTH_MAX = 4096,
    SECONDS_MAX = 600,

    CONNECTING_MAX = 64,        /* Handshakes in flight: below every server's backlog. */
    EVENTS_PER_TURN = 256,
    READ_BYTES = 256 << 10,     /* One read; also the least length of the wire image. */
    SEND_BYTES_MAX = 1 << 20,   /* One send. */
    SINK_SENDS_PER_TURN = 4,    /* So that one fast connection cannot hold the loop. */
    FRAMES_MIN = 5,             /* Distinct frames in the wire image. */
    FRAME_HEADER_BYTES = 4,
    CHURN_SOURCE_ADDRESSES = 200,
    ERRORS_SHOWN_MAX = 5,
    PROGRESS_PER_SECOND = 4,
};

static const uint64_t NS_PER_SECOND = 1000000000;
static const uint64_t CONNECT_TIMEOUT_NS = 30000000000;
static const uint64_t JOIN_TIMEOUT_NS = 5000000000;
static const uint64_t DRAIN_TIMEOUT_NS = 10000000000;

enum mode { ECHO, FRAMED, BROADCAST, SINK, SOURCE, CHURN, IDLE, MODE_COUNT };

static const char *const MODE_NAMES[MODE_COUNT] = {"echo",   "framed", "broadcast", "sink",
                                                   "source", "churn",  "idle"};

enum phase { CLOSED, CONNECTING, OPEN };

struct connection {
    int fd;
    uint32_t index;
    enum phase phase;
    bool wants_write;         /* EPOLLOUT is armed. */
    bool replied;             /* Broadcast: the join byte has come. */
    size_t send_at;           /* Where in the wire image the next byte to send is. */
    size_t receive_at;        /* Where in the wire image the next byte to receive is. */
    uint64_t allowed_bytes;   /* Of the outgoing stream: how far it may go, */
    uint64_t sent_bytes;      /* and how far it has gone. */
    uint64_t received_bytes;  /* Of the incoming stream. */
    uint64_t issued;          /* Messages that were allowed to leave, */
    uint64_t answered;        /* and those that are back. */
    uint64_t *issued_at_ns;   /* Ring of `depth` clocks; message m has slot m mod depth. */
};

/* Counts messages by duration: 64 steps in every power of two of nanoseconds. */
enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, OCTAVES = 40 };

struct histogram {
    uint64_t counts[OCTAVES * STEPS];
    uint64_t total;
    uint64_t max_ns;
};

struct counters {
    uint64_t messages;
    uint64_t bytes;
};

struct usage {
    uint64_t cpu_ns;
    uint64_t user_ticks;
    uint64_t system_ticks;
};

static struct {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    enum mode mode;
    uint32_t connections;
    uint32_t size;
    uint32_t depth;
    uint64_t messages;
    double seconds;
    double warmup;
    pid_t server_pid;
    bool verify;
    bool progress;
} options;

static struct {
    uint8_t *bytes;
    size_t frame_bytes;
    size_t frames;
    size_t length;
} image;

static int poller;
static bool issuing;             /* New messages may leave. */
static uint32_t connecting;
static uint32_t alive;
static uint64_t wrong_bytes;
static uint64_t errors;
static uint64_t churn_attempts;
static uint32_t awaited;         /* Broadcast: receivers that lack the current message. */
static struct counters counted;
static struct histogram latencies;
static struct connection *connections;
static uint8_t read_buffer[READ_BYTES];
static uint64_t started_ns;
static uint64_t progress_due_ns;

/* ---- Clock, failures ---------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void usage_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("client: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void count_error(const struct connection *connection, const char *what, int number)
{
    errors += 1;
    if (errors > ERRORS_SHOWN_MAX) return;
    fprintf(stderr, "client: connection %u: %s%s%s\n", connection->index, what, number ? ": " : "",
            number ? strerror(number) : "");
}

/* ---- Histogram ---------------------------------------------------------------------------- */

static size_t histogram_index(uint64_t value)
{
    if (value < STEPS) return value;
    const unsigned shift = 63 - (unsigned)__builtin_clzll(value) - STEP_BITS;
    const size_t index = (size_t)(shift + 1) * STEPS + ((value >> shift) - STEPS);
    const size_t last = OCTAVES * STEPS - 1;
    return index < last ? index : last;
}

/* The middle of the step that `index` counts. */
static uint64_t histogram_value(size_t index)
{
    if (index < STEPS) return index;
    const unsigned shift = (unsigned)(index / STEPS) - 1;
    return ((STEPS + index % STEPS) << shift) + (((uint64_t)1 << shift) / 2);
}

static void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[histogram_index(value)] += 1;
    histogram->total += 1;
    if (value > histogram->max_ns) histogram->max_ns = value;
}

static double histogram_us(const struct histogram *histogram, double fraction)
{
    const double rank = fraction * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t index = 0; index < OCTAVES * STEPS; index++) {
        seen += histogram->counts[index];
        if (seen == 0 || (double)seen < rank) continue;
        const uint64_t value = histogram_value(index);
        return (double)(value < histogram->max_ns ? value : histogram->max_ns) / 1000.0;
    }
    return 0;
}

/* ---- Wire image --------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void image_build(void)
{
    const size_t header = options.mode == FRAMED ? FRAME_HEADER_BYTES : 0;
    image.frame_bytes = options.size + header;
    image.frames = READ_BYTES / image.frame_bytes + FRAMES_MIN;
    image.length = image.frames * image.frame_bytes;
    image.bytes = malloc(image.length);
    if (image.bytes == NULL) usage_error("no memory for messages of %u bytes", options.size);

    uint64_t state = 0x9E3779B97F4A7C15;
    for (size_t at = 0; at < image.length; at++) image.bytes[at] = (uint8_t)next_random(&state);
    if (header == 0) return;
    const uint32_t length = htonl(options.size);
    for (size_t frame = 0; frame < image.frames; frame++) {
        memcpy(image.bytes + frame * image.frame_bytes, &length, sizeof length);
    }
}

/* In source mode the incoming stream is its own position, modulo 256. */
static void image_build_positions(void)
{
    image.frame_bytes = READ_BYTES;
    image.frames = 1;
    image.length = READ_BYTES;
    image.bytes = malloc(image.length);
    if (image.bytes == NULL) usage_error("no memory for the wire image");
    for (size_t at = 0; at < image.length; at++) image.bytes[at] = (uint8_t)at;
}

/* The offset in the image at which a connection's stream starts. */
static size_t image_start(uint64_t seed)
{
    if (options.mode == BROADCAST || options.mode == SOURCE) return 0;
    return (seed * 2654435761 % image.frames) * image.frame_bytes;
}

static size_t image_next(size_t at, size_t count)
{
    at += count;
    return at < image.length ? at : at % image.length;
}

static void check_span(const uint8_t *actual, size_t at, size_t count)
{
    const uint8_t *expected = image.bytes + at;
    if (memcmp(actual, expected, count) == 0) return;
    for (size_t i = 0; i < count; i++) wrong_bytes += actual[i] != expected[i];
}

static void check_bytes(const uint8_t *actual, size_t at, size_t count)
{
    while (count > 0) {
        const size_t span = count < image.length - at ? count : image.length - at;
        check_span(actual, at, span);
        actual += span;
        count -= span;
        at = image_next(at, span);
    }
}

/* ---- The server's process ----------------------------------------------------------------- */

/* The fields of /proc/PID/stat that follow the process name: state is 0, utime 11, stime 12. */
static void read_ticks(struct usage *usage)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", options.server_pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    const size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = 0;
    const char *fields = strrchr(text, ')');
    if (fields == NULL) return;
    unsigned long user = 0;
    unsigned long system = 0;
    if (sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2) return;
    usage->user_ticks = user;
    usage->system_ticks = system;
}

/*
 * The CPU clock of another process has nanoseconds and counts all its threads, also those that have
 * ended. Clock ticks (10 ms) stand in where it cannot be read.
 */
static struct usage read_usage(void)
{
    struct usage usage = {0};
    if (options.server_pid == 0) return usage;
    read_ticks(&usage);
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(options.server_pid, &clock) == 0 && clock_gettime(clock, &time) == 0) {
        usage.cpu_ns = (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
    } else {
        const uint64_t ticks_per_second = (uint64_t)sysconf(_SC_CLK_TCK);
        usage.cpu_ns = (usage.user_ticks + usage.system_ticks) * (NS_PER_SECOND / ticks_per_second);
    }
    return usage;
}

/* The difference between `after` and `before`; zero when the process ended in between. */
static struct usage usage_between(const struct usage *before, const struct usage *after)
{
    if (after->cpu_ns < before->cpu_ns) return (struct usage){0};
    return (struct usage){.cpu_ns = after->cpu_ns - before->cpu_ns,
                          .user_ticks = after->user_ticks - before->user_ticks,
                          .system_ticks = after->system_ticks - before->system_ticks};
}

static uint64_t read_rss_kib(void)
{
    if (options.server_pid == 0) return 0;
    char path[64];
    char line[256];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", options.server_pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %lu", &kib) == 1) break;
    }
    fclose(file);
    return kib;
}

/* ---- Connections -------------------------------------------------------------------------- */

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event) == 0) return;
    perror("client: epoll_ctl");
    exit(1);
}

static void close_connection(struct connection *connection)
{
    if (connection->phase == CLOSED) return;
    if (connection->phase == CONNECTING) connecting -= 1;
    connection->phase = CLOSED;
    alive -= 1;
    close(connection->fd);
}

static void fail(struct connection *connection, const char *what, int number)
{
    count_error(connection, what, number);
    close_connection(connection);
}

/*
 * Churn leaves one TIME_WAIT behind per connection; many loopback source addresses keep the ports
 * of one address from running out.
 */
static void bind_churn_source(int fd)
{
    if (options.address.ss_family != AF_INET) return;
    const int on = 1;
    const uint32_t host = INADDR_LOOPBACK + (uint32_t)(churn_attempts % CHURN_SOURCE_ADDRESSES);
    const struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&source, sizeof source) != 0) perror("client: bind");
}

static void start_connection(struct connection *connection)
{
    const size_t start = image_start(options.mode == CHURN ? churn_attempts : connection->index);
    connection->send_at = start;
    connection->receive_at = start;
    connection->allowed_bytes = 0;
    connection->sent_bytes = 0;
    connection->received_bytes = 0;
    connection->wants_write = true;

    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    connection->fd = socket(options.address.ss_family, type, 0);
    if (connection->fd < 0) {
        count_error(connection, "socket", errno);
        return;
    }
    const int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.mode == CHURN) bind_churn_source(connection->fd);

    connection->phase = CONNECTING;
    connecting += 1;
    alive += 1;
    const struct sockaddr *address = (const struct sockaddr *)&options.address;
    if (connect(connection->fd, address, options.address_bytes) != 0 && errno != EINPROGRESS) {
        fail(connection, "connect", errno);
        return;
    }
    watch(connection, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

/* A churn message is issued when its connection starts; on_connected() sends it. */
static void start_churn(struct connection *connection)
{
    connection->issued_at_ns[0] = now_ns();
    connection->issued += 1;
    churn_attempts += 1;
    start_connection(connection);
    connection->allowed_bytes = image.frame_bytes;
}

/* ---- Sending ------------------------------------------------------------------------------ */

static void set_wants_write(struct connection *connection, bool wants_write)
{
    if (connection->wants_write == wants_write) return;
    connection->wants_write = wants_write;
    watch(connection, EPOLL_CTL_MOD, EPOLLIN | (wants_write ? (uint32_t)EPOLLOUT : 0));
}

/* Sends `count` bytes of the image from where the connection is, across the image's end. */
static ssize_t send_image(const struct connection *connection, size_t count)
{
    const size_t tail = image.length - connection->send_at;
    if (count <= tail) {
        return send(connection->fd, image.bytes + connection->send_at, count, MSG_NOSIGNAL);
    }
    const size_t rest = count - tail < image.length ? count - tail : image.length;
    struct iovec spans[] = {{image.bytes + connection->send_at, tail}, {image.bytes, rest}};
    const struct msghdr message = {.msg_iov = spans, .msg_iovlen = 2};
    return sendmsg(connection->fd, &message, MSG_NOSIGNAL);
}

/* Sends up to `count` bytes; false when the socket took less, and is then watched or failed. */
static bool send_some(struct connection *connection, size_t count)
{
    const ssize_t sent = send_image(connection, count);
    if (sent < 0 && errno != EAGAIN) {
        fail(connection, "send", errno);
        return false;
    }
    if (sent > 0) {
        connection->sent_bytes += (uint64_t)sent;
        connection->send_at = image_next(connection->send_at, (size_t)sent);
    }
    if (sent == (ssize_t)count) return true;
    set_wants_write(connection, true);
    return false;
}

static void send_allowed(struct connection *connection)
{
    while (connection->sent_bytes < connection->allowed_bytes) {
        const uint64_t left = connection->allowed_bytes - connection->sent_bytes;
        size_t count = left < SEND_BYTES_MAX ? (size_t)left : SEND_BYTES_MAX;
        if (count > image.length) count = image.length;
        if (!send_some(connection, count)) return;
    }
    set_wants_write(connection, false);
}

static void send_sink(struct connection *connection)
{
    if (!issuing) {
        set_wants_write(connection, false);
        return;
    }
    set_wants_write(connection, true);
    for (int round = 0; round < SINK_SENDS_PER_TURN; round++) {
        const uint64_t before = connection->sent_bytes;
        const bool whole = send_some(connection, options.size);
        counted.bytes += connection->sent_bytes - before;
        if (!whole) return;
    }
}

/* Lets up to `count` more messages leave, within --messages, and sends what the socket takes. */
static void issue(struct connection *connection, uint64_t count, uint64_t now)
{
    const uint64_t left = options.messages - connection->issued;
    if (options.messages != 0 && count > left) count = left;
    for (uint64_t i = 0; i < count; i++) {
        connection->issued_at_ns[connection->issued % options.depth] = now;
        connection->issued += 1;
    }
    connection->allowed_bytes += count * image.frame_bytes;
    send_allowed(connection);
}

static void publish(uint64_t now)
{
    struct connection *publisher = &connections[0];
    if (options.messages != 0 && publisher->issued == options.messages) return;
    awaited = options.connections;
    issue(publisher, 1, now);
}

/* ---- Receiving ---------------------------------------------------------------------------- */

static void complete(uint64_t issued_at, uint64_t now)
{
    histogram_add(&latencies, now - issued_at);
    counted.messages += 1;
    counted.bytes += image.frame_bytes;
}

static void churn_next(struct connection *connection)
{
    close_connection(connection);
    if (!issuing) return;
    if (options.messages != 0 && connection->issued == options.messages) return;
    start_churn(connection);
}

static void received_echo(struct connection *connection, uint64_t now)
{
    const uint64_t depth = options.depth;
    uint64_t whole = 0;
    if (connection->received_bytes > connection->sent_bytes) {
        fail(connection, "received more bytes than were sent", 0);
        return;
    }
    while ((connection->answered + 1) * image.frame_bytes <= connection->received_bytes) {
        complete(connection->issued_at_ns[connection->answered % depth], now);
        connection->answered += 1;
        whole += 1;
    }
    if (whole > 0 && issuing) issue(connection, whole, now);
}

static void received_churn(struct connection *connection, uint64_t now)
{
    if (connection->received_bytes > image.frame_bytes) {
        fail(connection, "received more bytes than were sent", 0);
    } else if (connection->received_bytes == image.frame_bytes) {
        complete(connection->issued_at_ns[0], now);
        connection->answered += 1;
        churn_next(connection);
    }
}

static void received_broadcast(struct connection *connection, uint64_t now)
{
    const struct connection *publisher = &connections[0];
    if (connection->received_bytes > publisher->sent_bytes) {
        fail(connection, "received more bytes than were published", 0);
        return;
    }
    if (connection->answered == publisher->issued) return;
    if (connection->received_bytes < publisher->issued * image.frame_bytes) return;
    connection->answered += 1;
    complete(publisher->issued_at_ns[0], now);
    awaited -= 1;
    if (awaited == 0 && issuing) publish(now);
}

static void received(struct connection *connection, size_t count)
{
    const uint64_t now = now_ns();
    if (options.mode == BROADCAST && !connection->replied) {
        connection->replied = true;
        awaited -= 1;
        if (count != 1) fail(connection, "the join byte came with others", 0);
        return;
    }
    if (options.verify) check_bytes(read_buffer, connection->receive_at, count);
    connection->receive_at = image_next(connection->receive_at, count);
    connection->received_bytes += count;
    switch (options.mode) {
    case ECHO:
    case FRAMED: received_echo(connection, now); return;
    case CHURN: received_churn(connection, now); return;
    case BROADCAST: received_broadcast(connection, now); return;
    case SOURCE: counted.bytes += count; return;
    default: fail(connection, "received bytes in a mode that expects none", 0);
    }
}

/* Discarding in the kernel keeps the client's own copying out of the source measurement. */
static void on_readable(struct connection *connection)
{
    const int flags = options.mode == SOURCE && !options.verify ? MSG_TRUNC : 0;
    const ssize_t count = recv(connection->fd, read_buffer, sizeof read_buffer, flags);
    if (count > 0) {
        received(connection, (size_t)count);
    } else if (count == 0) {
        /* A server may answer the end of a sink's stream with its own. */
        if (options.mode == SINK && !issuing) close_connection(connection);
        else fail(connection, "closed by the server", 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        fail(connection, "recv", errno);
    }
}

/* ---- Events ------------------------------------------------------------------------------- */

static void on_connected(struct connection *connection)
{
    int number = 0;
    socklen_t length = sizeof number;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &number, &length);
    if (number != 0) {
        fail(connection, "connect", number);
        return;
    }
    connection->phase = OPEN;
    connecting -= 1;
    if (options.mode == CHURN) send_allowed(connection);
    else set_wants_write(connection, false);
}

static void on_event(struct connection *connection, uint32_t events)
{
    if (connection->phase == CLOSED) return;
    if (connection->phase == CONNECTING) {
        on_connected(connection);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(connection);
    if (connection->phase != OPEN || !connection->wants_write || !(events & EPOLLOUT)) return;
    if (options.mode == SINK) send_sink(connection);
    else send_allowed(connection);
}

static void show_progress(uint64_t now)
{
    static struct counters last;
    static uint64_t last_ns;
    const double seconds = (double)(now - (last_ns ? last_ns : started_ns)) / 1e9;
    const double elapsed = (double)(now - started_ns) / 1e9;
    const char *end = isatty(STDERR_FILENO) ? "\033[K\r" : "\n";
    const double messages = (double)(counted.messages - last.messages) / seconds;
    const double mib = (double)(counted.bytes - last.bytes) / seconds / (1 << 20);
    fprintf(stderr, "%6.2f s  %10.0f messages/s  %9.1f MiB/s  %u connections%s", elapsed, messages,
            mib, alive, end);
    last = counted;
    last_ns = now;
}

/* Waits for events until `deadline_ns` at the latest and handles one batch of them. */
static void turn(uint64_t deadline_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    const uint64_t now = now_ns();
    if (options.progress && now >= progress_due_ns) {
        show_progress(now);
        progress_due_ns = now + NS_PER_SECOND / PROGRESS_PER_SECOND;
    }
    uint64_t until = deadline_ns;
    if (options.progress && progress_due_ns < until) until = progress_due_ns;
    const int timeout_ms = until <= now ? 0 : (int)((until - now) / 1000000 + 1);
    const int count = epoll_wait(poller, events, EVENTS_PER_TURN, timeout_ms);
    for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
}

/* ---- Phases ------------------------------------------------------------------------------- */

static void connect_range(uint32_t first, uint32_t end)
{
    const uint64_t deadline = now_ns() + CONNECT_TIMEOUT_NS;
    uint32_t next = first;
    while (errors == 0 && (next < end || connecting > 0)) {
        while (next < end && connecting < CONNECTING_MAX && errors == 0) {
            start_connection(&connections[next++]);
        }
        if (now_ns() >= deadline) count_error(&connections[next - 1], "connect timed out", 0);
        else turn(deadline);
    }
}

/*
 * A broadcast must not start before the server has accepted every connection, which the client
 * cannot see. Servers accept in order, so the connection that was opened last, after all others,
 * sends one byte, and the run starts when all have received it.
 */
static void join_broadcast(void)
{
    const uint64_t deadline = now_ns() + JOIN_TIMEOUT_NS;
    struct connection *last = &connections[options.connections - 1];
    awaited = options.connections;
    if (send(last->fd, "j", 1, MSG_NOSIGNAL) != 1) count_error(last, "join", errno);
    while (errors == 0 && awaited > 0) {
        if (now_ns() >= deadline) count_error(last, "the join byte did not reach everyone", 0);
        else turn(deadline);
    }
}

static void connect_all(void)
{
    if (options.mode == CHURN) return;
    const uint32_t last = options.connections - 1;
    connect_range(0, last);
    connect_range(last, options.connections);
    if (options.mode == BROADCAST && errors == 0) join_broadcast();
}

static void start_traffic(void)
{
    const uint64_t now = now_ns();
    issuing = true;
    for (uint32_t i = 0; i < options.connections; i++) {
        struct connection *connection = &connections[i];
        switch (options.mode) {
        case ECHO:
        case FRAMED: issue(connection, options.depth, now); break;
        case SINK: send_sink(connection); break;
        case SOURCE:
            if (send(connection->fd, "g", 1, MSG_NOSIGNAL) != 1) fail(connection, "send", errno);
            break;
        case CHURN: start_churn(connection); break;
        default: break;
        }
    }
    if (options.mode == BROADCAST) publish(now);
}

/* True when every message that was allowed to leave is back. */
static bool all_answered(void)
{
    if (options.mode == BROADCAST) return awaited == 0;
    if (options.mode == CHURN || options.mode == SINK) return alive == 0;
    for (uint32_t i = 0; i < options.connections; i++) {
        const struct connection *connection = &connections[i];
        if (connection->phase == OPEN && connection->answered < connection->issued) return false;
    }
    return true;
}

/* With --messages: true when each connection has had its share. */
static bool all_spent(void)
{
    if (options.messages == 0) return false;
    if (options.mode == BROADCAST) return awaited == 0 && connections[0].issued == options.messages;
    if (options.mode == CHURN) return alive == 0;
    for (uint32_t i = 0; i < options.connections; i++) {
        const struct connection *connection = &connections[i];
        if (connection->phase == OPEN && connection->answered < options.messages) return false;
    }
    return true;
}

static void run_for(double seconds)
{
    const uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    while (alive > 0 && now_ns() < deadline && !all_spent()) {
        if (options.mode == BROADCAST && alive < options.connections) return;
        turn(deadline);
    }
}

static void drain(void)
{
    const uint64_t deadline = now_ns() + DRAIN_TIMEOUT_NS;
    issuing = false;
    if (options.mode == IDLE || options.mode == SOURCE) return;
    for (uint32_t i = 0; options.mode == SINK && i < options.connections; i++) {
        if (connections[i].phase == OPEN) shutdown(connections[i].fd, SHUT_WR);
    }
    while (alive > 0 && !all_answered()) {
        if (options.mode == BROADCAST && alive < options.connections) return;
        if (now_ns() >= deadline) {
            count_error(&connections[0], "run did not drain: bytes are missing", 0);
            return;
        }
        turn(deadline);
    }
}

/* ---- Report ------------------------------------------------------------------------------- */

struct window {
    double seconds;
    struct counters counted;
    struct usage usage;
    uint64_t rss_before_kib;
    uint64_t rss_kib;
};

static void print_server(const struct window *window)
{
    if (options.server_pid == 0) return;
    const struct usage *usage = &window->usage;
    const double cpu_us = (double)usage->cpu_ns / 1000.0;
    const uint64_t ticks = usage->user_ticks + usage->system_ticks;
    const double user = ticks ? (double)usage->user_ticks / (double)ticks : 0;
    const double messages = (double)window->counted.messages;
    const double gib = (double)window->counted.bytes / (1 << 30);
    printf(",\"server_cpu_us\":%.0f,\"server_user_us\":%.0f,\"server_system_us\":%.0f", cpu_us,
           cpu_us * user, cpu_us * (1 - user));
    printf(",\"server_cpu_us_per_message\":%.3f", messages > 0 ? cpu_us / messages : 0);
    printf(",\"server_cpu_ms_per_gib\":%.1f", gib > 0 ? cpu_us / 1000.0 / gib : 0);
    printf(",\"server_rss_before_kib\":%lu,\"server_rss_kib\":%lu",
           (unsigned long)window->rss_before_kib, (unsigned long)window->rss_kib);
}

static void print_report(const struct window *window)
{
    const struct histogram *histogram = &latencies;
    const double seconds = window->seconds > 0 ? window->seconds : 1;
    printf("{\"mode\":\"%s\",\"connections\":%u,\"size\":%u,\"depth\":%u,\"seconds\":%.3f",
           MODE_NAMES[options.mode], options.connections, options.size, options.depth,
           window->seconds);
    printf(",\"messages\":%lu,\"bytes\":%lu,\"messages_per_second\":%.1f,\"mib_per_second\":%.2f",
           (unsigned long)window->counted.messages, (unsigned long)window->counted.bytes,
           (double)window->counted.messages / seconds,
           (double)window->counted.bytes / seconds / (1 << 20));
    printf(",\"latency_us\":{\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f}",
           histogram_us(histogram, 0.5), histogram_us(histogram, 0.99),
           histogram_us(histogram, 0.999), (double)histogram->max_ns / 1000.0);
    printf(",\"verified\":%s,\"wrong_bytes\":%lu,\"errors\":%lu", options.verify ? "true" : "false",
           (unsigned long)wrong_bytes, (unsigned long)errors);
    print_server(window);
    puts("}");
}

static void measure(struct window *window)
{
    memset(&latencies, 0, sizeof latencies);
    const struct usage usage_before = read_usage();
    const struct counters before = counted;
    const uint64_t start = now_ns();
    run_for(options.seconds);
    const uint64_t end = now_ns();
    const struct usage usage_after = read_usage();
    window->seconds = (double)(end - start) / 1e9;
    window->counted.messages = counted.messages - before.messages;
    window->counted.bytes = counted.bytes - before.bytes;
    window->usage = usage_between(&usage_before, &usage_after);
    window->rss_kib = read_rss_kib();
    if (options.mode == SINK || options.mode == SOURCE) {
        window->counted.messages = window->counted.bytes / options.size;
    }
}

/* ---- Arguments ---------------------------------------------------------------------------- */

static uint32_t parse_integer(const char *name, const char *text, uint32_t min, uint32_t max)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    const bool whole = errno == 0 && end != text && *end == 0 && text[0] != '-';
    if (!whole || value < min || value > max) {
        usage_error("--%s must be %u to %u, not \"%s\"", name, min, max, text);
    }
    return (uint32_t)value;
}

static double parse_seconds(const char *name, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != 0 || !(value >= 0 && value <= SECONDS_MAX)) {
        usage_error("--%s must be 0 to %d, not \"%s\"", name, SECONDS_MAX, text);
    }
    return value;
}

static enum mode parse_mode(const char *text)
{
    for (int mode = 0; mode < MODE_COUNT; mode++) {
        if (strcmp(text, MODE_NAMES[mode]) == 0) return (enum mode)mode;
    }
    usage_error("--mode \"%s\" is not one of echo framed broadcast sink source churn idle", text);
}

__attribute__((noreturn)) static void refuse_host(const char *host)
{
    usage_error("--host must be a literal loopback address, not \"%s\"", host);
}

/* Load goes to this machine only: anything but a literal loopback address is refused. */
static void parse_address(const char *host, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&options.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&options.address;
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        if (ntohl(v4->sin_addr.s_addr) >> 24 != 127) refuse_host(host);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        options.address_bytes = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        if (!IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) refuse_host(host);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        options.address_bytes = sizeof *v6;
    } else {
        refuse_host(host);
    }
}

static void parse_arguments(int count, char **arguments)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},        {"host", required_argument, NULL, 'h'},
        {"connections", required_argument, NULL, 'c'}, {"size", required_argument, NULL, 'b'},
        {"seconds", required_argument, NULL, 's'},     {"warmup", required_argument, NULL, 'w'},
        {"depth", required_argument, NULL, 'd'},       {"messages", required_argument, NULL, 'n'},
        {"mode", required_argument, NULL, 'm'},        {"server-pid", required_argument, NULL, 'P'},
        {"verify", no_argument, NULL, 'v'},            {"progress", no_argument, NULL, 'r'},
        {NULL, 0, NULL, 0}};
    const char *host = "127.0.0.1";
    uint16_t port = 0;
    options.depth = 1;
    options.seconds = -1;
    for (int name; (name = getopt_long(count, arguments, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p': port = (uint16_t)parse_integer("port", optarg, 1, UINT16_MAX); break;
        case 'h': host = optarg; break;
        case 'c':
            options.connections = parse_integer("connections", optarg, 1, CONNECTIONS_MAX);
            break;
        case 'b': options.size = parse_integer("size", optarg, 1, MESSAGE_BYTES_MAX); break;
        case 's': options.seconds = parse_seconds("seconds", optarg); break;
        case 'w': options.warmup = parse_seconds("warmup", optarg); break;
        case 'd': options.depth = parse_integer("depth", optarg, 1, DEPTH_MAX); break;
        case 'n': options.messages = parse_integer("messages", optarg, 1, UINT32_MAX); break;
        case 'm': options.mode = parse_mode(optarg); break;
        case 'P': options.server_pid = (pid_t)parse_integer("pid", optarg, 1, INT32_MAX); break;
        case 'v': options.verify = true; break;
        case 'r': options.progress = true; break;
        default: exit(2);
        }
    }
    if (port == 0 || options.connections == 0 || options.size == 0 || options.seconds < 0) {
        usage_error("--port, --connections, --size and --seconds are required");
    }
    parse_address(host, port);
}

static void check_arguments(void)
{
    const enum mode mode = options.mode;
    const bool counts = mode == ECHO || mode == FRAMED || mode == BROADCAST || mode == CHURN;
    if (options.messages != 0 && !counts) usage_error("--messages has no meaning in this mode");
    if (options.messages != 0 && options.warmup > 0) usage_error("--messages excludes --warmup");
    if (options.verify && (mode == SINK || mode == IDLE)) {
        usage_error("--verify: nothing comes back in this mode");
    }
    if (mode != ECHO && mode != FRAMED && options.depth != 1) {
        usage_error("--depth is for echo and framed");
    }
    if (options.server_pid != 0 && kill(options.server_pid, 0) != 0 && errno == ESRCH) {
        usage_error("--server-pid %d is no process", options.server_pid);
    }
}

/* ---- Main --------------------------------------------------------------------------------- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void allocate_connections(void)
{
    const size_t count = options.connections;
    connections = calloc(count, sizeof *connections);
    uint64_t *clocks = calloc(count * options.depth, sizeof *clocks);
    if (connections == NULL || clocks == NULL) usage_error("no memory for the connections");
    for (uint32_t i = 0; i < options.connections; i++) {
        connections[i].index = i;
        connections[i].issued_at_ns = clocks + (size_t)i * options.depth;
    }
}

int main(int count, char **arguments)
{
    parse_arguments(count, arguments);
    check_arguments();
    raise_file_limit();
    if (options.mode == SOURCE) image_build_positions();
    else image_build();
    allocate_connections();
    poller = epoll_create1(EPOLL_CLOEXEC);
    started_ns = now_ns();
    progress_due_ns = started_ns + NS_PER_SECOND / PROGRESS_PER_SECOND;

    struct window window = {.rss_before_kib = read_rss_kib()};
    connect_all();
    if (errors == 0) {
        start_traffic();
        run_for(options.warmup);
        measure(&window);
        drain();
    }
    for (uint32_t i = 0; i < options.connections; i++) close_connection(&connections[i]);
    print_report(&window);
    return wrong_bytes > 0 || errors > 0 ? 1 : 0;
}
