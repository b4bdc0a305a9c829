/*
 * epoll_echo.c: the reference server on epoll, the floor that a readiness loop can reach.
 *
 * One thread, level-triggered epoll. A connection borrows a buffer when it becomes readable and
 * gives it back when nothing is left in it, so silent connections hold none and busy ones share a
 * few that are warm in the cache. Received bytes are answered at once from the same buffer; only
 * when a socket takes less than offered is EPOLLOUT armed, and EPOLLIN disarmed until all is gone,
 * so a client that does not read is not read from either.
 *
 * Usage: epoll_echo PORT [--mode echo|framed|joined|broadcast|sink|source]
 *                        [--buffer BYTES]
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. SIGTERM ends it.
 *
 *   echo       answers bytes with the same bytes
 *   framed     answers a frame (4-byte big-endian length, body) when it is complete, each with a
 *              send of its own
 *   joined     the same, but all frames that one read completed leave in one send
 *   broadcast  sends what any connection says to all connections, one piece at a time
 *   sink       reads and forgets
 *   source     after the first byte, sends a stream whose byte at position p is (p mod 256)
 *
 * Limits: loopback only, frames of 16 MiB, a buffer of 4 KiB to 16 MiB (64 KiB unless told). In a
 * broadcast the slowest receiver sets the pace for all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    EVENTS_PER_TURN = 256,
    BUFFER_BYTES_DEFAULT = 64 << 10,
    BUFFER_BYTES_MIN = 4 << 10,
    BUFFER_BYTES_MAX = 16 << 20,
    FRAME_HEADER_BYTES = 4,
    FRAME_BODY_BYTES_MAX = 16 << 20,
    SOURCE_BLOCK_BYTES = 256 << 10,
    SOURCE_SENDS_PER_TURN = 4,   /* So that one fast connection cannot hold the loop. */
};

enum mode { ECHO, FRAMED, JOINED, BROADCAST, SINK, SOURCE, MODE_COUNT };

static const char *const MODE_NAMES[MODE_COUNT] = {"echo",      "framed", "joined",
                                                   "broadcast", "sink",   "source"};

struct connection {
    int fd;
    uint32_t events;           /* The events that epoll watches. */
    uint8_t *data;             /* Bytes read and not yet answered: */
    size_t capacity;
    size_t length;
    const uint8_t *out;        /* The bytes being sent: a piece of `data`, a cast or the block. */
    size_t out_bytes;
    bool casting;              /* Broadcast: its piece is on its way, or waits for its turn. */
    bool closed;
    size_t member;             /* Its place in `members`. */
    struct connection *next;   /* In the queue of casts, or in the list of the closed. */
};

static enum mode mode;
static size_t buffer_bytes = BUFFER_BYTES_DEFAULT;
static int poller;
static int listener;
static uint8_t block[SOURCE_BLOCK_BYTES];

static uint8_t **free_buffers;           /* All of `buffer_bytes`, the warmest last. */
static size_t free_count;
static size_t free_capacity;

static struct connection **members;
static size_t member_count;
static size_t member_capacity;
static struct connection *closed_list;   /* Freed after the batch: it may hold their events. */

static struct connection *caster;        /* Whose piece is being sent to all, */
static size_t cast_left;                 /* and how many still lack part of it. */
static struct connection *waiting_first; /* Those whose pieces wait. */
static struct connection *waiting_last;

__attribute__((noreturn)) static void die(const char *what)
{
    perror(what);
    exit(1);
}

/*
 * Watches for what the connection can go on with: room for what it is being sent, else its next
 * bytes, else, while its own piece is on its way to others, for its failure only.
 */
static void watch(struct connection *connection)
{
    const uint32_t reading = connection->casting ? 0 : EPOLLIN;
    const uint32_t events = connection->out_bytes > 0 ? (uint32_t)EPOLLOUT : reading;
    if (connection->events == events || connection->closed) return;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event) != 0) die("epoll_ctl");
    connection->events = events;
}

/* ---- Buffers ------------------------------------------------------------------------------ */

static void borrow_buffer(struct connection *connection)
{
    connection->data = free_count > 0 ? free_buffers[--free_count] : malloc(buffer_bytes);
    if (connection->data == NULL) die("malloc");
    connection->capacity = buffer_bytes;
}

static void give_buffer_back(struct connection *connection)
{
    if (connection->data == NULL) return;
    if (connection->capacity == buffer_bytes) {
        if (free_count == free_capacity) {
            free_capacity = free_capacity ? 2 * free_capacity : 64;
            free_buffers = realloc(free_buffers, free_capacity * sizeof(uint8_t *));
            if (free_buffers == NULL) die("realloc");
        }
        free_buffers[free_count++] = connection->data;
    } else {
        free(connection->data);
    }
    connection->data = NULL;
    connection->capacity = 0;
}

static void reserve(struct connection *connection, size_t capacity)
{
    if (capacity <= connection->capacity) return;
    connection->data = realloc(connection->data, capacity);
    if (connection->data == NULL) die("realloc");
    connection->capacity = capacity;
}

/* ---- Connections -------------------------------------------------------------------------- */

static void open_connection(int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) die("calloc");
    connection->fd = fd;
    connection->events = EPOLLIN;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    if (member_count == member_capacity) {
        member_capacity = member_capacity ? 2 * member_capacity : 256;
        members = realloc(members, member_capacity * sizeof(struct connection *));
        if (members == NULL) die("realloc");
    }
    connection->member = member_count;
    members[member_count++] = connection;
}

static void finish_member(struct connection *connection);

static void close_connection(struct connection *connection)
{
    if (connection->closed) return;
    connection->closed = true;
    close(connection->fd);
    struct connection *last = members[--member_count];
    members[connection->member] = last;
    last->member = connection->member;
    if (mode == BROADCAST && connection->out_bytes > 0) finish_member(connection);
    if (connection->casting) return;   /* Its piece is still being sent to the others. */
    connection->next = closed_list;
    closed_list = connection;
}

static void free_closed(void)
{
    while (closed_list != NULL) {
        struct connection *connection = closed_list;
        closed_list = connection->next;
        give_buffer_back(connection);
        free(connection);
    }
}

/* ---- Sending ------------------------------------------------------------------------------ */

/* Sends what the socket takes; false when some is left (EPOLLOUT is armed) or the peer is gone. */
static bool send_out(struct connection *connection)
{
    const ssize_t sent = send(connection->fd, connection->out, connection->out_bytes, MSG_NOSIGNAL);
    if (sent == (ssize_t)connection->out_bytes) {
        connection->out_bytes = 0;
        return true;
    }
    if (sent < 0 && errno != EAGAIN) {
        close_connection(connection);
        return false;
    }
    if (sent > 0) {
        connection->out += sent;
        connection->out_bytes -= (size_t)sent;
    }
    watch(connection);
    return false;
}

/* ---- Broadcast ---------------------------------------------------------------------------- */

static void finish_cast(void)
{
    struct connection *connection = caster;
    caster = NULL;
    connection->casting = false;
    connection->length = 0;
    if (connection->closed) {
        connection->next = closed_list;
        closed_list = connection;
    } else {
        watch(connection);
    }
}

/* One receiver has its piece, or is gone. */
static void finish_member(struct connection *connection)
{
    connection->out_bytes = 0;
    cast_left -= 1;
    watch(connection);
    if (cast_left == 0 && caster != NULL) finish_cast();
}

static void send_cast(struct connection *from)
{
    caster = from;
    cast_left = 1;   /* Held while the list is walked, so that nothing finishes underneath. */
    for (size_t i = 0; i < member_count;) {
        struct connection *to = members[i];
        to->out = from->data;
        to->out_bytes = from->length;
        cast_left += 1;
        if (send_out(to)) finish_member(to);
        if (i < member_count && members[i] == to) i += 1;   /* Else it closed, another took over. */
    }
    cast_left -= 1;
    if (cast_left == 0) finish_cast();
}

static void cast_next(void)
{
    while (caster == NULL && waiting_first != NULL) {
        struct connection *connection = waiting_first;
        waiting_first = connection->next;
        send_cast(connection);
    }
}

static void queue_cast(struct connection *connection)
{
    connection->casting = true;
    connection->next = NULL;
    if (waiting_first == NULL) waiting_first = connection;
    else waiting_last->next = connection;
    waiting_last = connection;
    cast_next();
    watch(connection);
}

/* ---- Framed ------------------------------------------------------------------------------- */

/* The bytes of all complete frames; `*needed` is the length of the first incomplete one. */
static size_t complete_frames(const struct connection *connection, size_t *needed)
{
    size_t at = 0;
    *needed = FRAME_HEADER_BYTES;
    while (connection->length - at >= FRAME_HEADER_BYTES) {
        uint32_t body;
        memcpy(&body, connection->data + at, sizeof body);
        *needed = (size_t)ntohl(body) + FRAME_HEADER_BYTES;
        if (connection->length - at < *needed) break;
        at += *needed;
        *needed = FRAME_HEADER_BYTES;
    }
    return at;
}

/* Drops the answered bytes, keeping what follows them. */
static void consume(struct connection *connection, size_t count)
{
    connection->length -= count;
    if (connection->length > 0 && count > 0) {
        memmove(connection->data, connection->data + count, connection->length);
    }
}

/* One send for each frame in the first `count` bytes; false as send_out(). */
static bool send_frames(struct connection *connection, size_t count)
{
    for (size_t at = 0; at < count;) {
        uint32_t body;
        memcpy(&body, connection->data + at, sizeof body);
        const size_t length = (size_t)ntohl(body) + FRAME_HEADER_BYTES;
        connection->out = connection->data + at;
        connection->out_bytes = length;
        if (!send_out(connection)) return false;
        at += length;
    }
    return true;
}

static bool send_joined(struct connection *connection, size_t count)
{
    connection->out = connection->data;
    connection->out_bytes = count;
    return send_out(connection);
}

/* Answers the complete frames; the rest moves to the front when they are gone. */
static void answer_frames(struct connection *connection)
{
    size_t needed;
    const size_t count = complete_frames(connection, &needed);
    if (needed > (size_t)FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES) {
        close_connection(connection);
        return;
    }
    if (count > 0) {
        const bool whole = mode == JOINED ? send_joined(connection, count)
                                          : send_frames(connection, count);
        if (!whole) return;
        consume(connection, count);
    }
    reserve(connection, needed);
}

/* ---- Events ------------------------------------------------------------------------------- */

/* Sends blocks until the socket is full, or leaves one pending so that the next turn goes on. */
static void stream_blocks(struct connection *connection)
{
    for (int i = 0; i < SOURCE_SENDS_PER_TURN; i++) {
        if (connection->out_bytes > 0 && !send_out(connection)) return;
        connection->out = block;
        connection->out_bytes = sizeof block;
    }
    watch(connection);
}

static void on_data(struct connection *connection)
{
    switch (mode) {
    case ECHO:
        connection->out = connection->data;
        connection->out_bytes = connection->length;
        if (send_out(connection)) connection->length = 0;
        return;
    case FRAMED:
    case JOINED: answer_frames(connection); return;
    case BROADCAST: queue_cast(connection); return;
    case SINK: connection->length = 0; return;
    default:
        connection->length = 0;
        stream_blocks(connection);
    }
}

static void on_readable(struct connection *connection)
{
    if (connection->data == NULL) borrow_buffer(connection);
    uint8_t *free_space = connection->data + connection->length;
    const size_t free_bytes = connection->capacity - connection->length;
    const ssize_t count = recv(connection->fd, free_space, free_bytes, 0);
    if (count > 0) {
        connection->length += (size_t)count;
        on_data(connection);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_connection(connection);
    }
}

static void on_writable(struct connection *connection)
{
    if (mode == SOURCE) {
        stream_blocks(connection);
        return;
    }
    const uint8_t *end = connection->out + connection->out_bytes;
    if (!send_out(connection)) return;
    switch (mode) {
    case BROADCAST: finish_member(connection); return;
    case FRAMED:
    case JOINED:
        consume(connection, (size_t)(end - connection->data));
        answer_frames(connection);
        break;
    default: connection->length = 0;
    }
    watch(connection);
}

static void on_event(struct connection *connection, uint32_t events)
{
    if (connection->closed) return;
    if (connection->events & EPOLLOUT) {
        on_writable(connection);   /* After an error or a hang-up, the send says so. */
    } else if (connection->events & EPOLLIN) {
        on_readable(connection);
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        close_connection(connection);
    }
    /* A buffer that has grown stays: its frames are large. */
    if (connection->length == 0 && connection->capacity == buffer_bytes && !connection->closed) {
        give_buffer_back(connection);
    }
}

static void accept_all(void)
{
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) open_connection(fd);
        else if (errno == EAGAIN) return;
        else if (errno != ECONNABORTED && errno != EINTR) die("accept");
    }
}

static void turn(void)
{
    struct epoll_event events[EVENTS_PER_TURN];
    const int count = epoll_wait(poller, events, EVENTS_PER_TURN, -1);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) accept_all();
        else on_event(events[i].data.ptr, events[i].events);
    }
    cast_next();
    free_closed();
}

/* ---- Start -------------------------------------------------------------------------------- */

static void on_terminate(int signal)
{
    (void)signal;
    _exit(0);
}

static long parse_integer(const char *text, long min, long max)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != 0 || value < min || value > max) {
        fprintf(stderr, "epoll_echo: \"%s\" must be %ld to %ld\n", text, min, max);
        exit(2);
    }
    return value;
}

static void parse_mode(const char *text)
{
    for (mode = 0; mode < MODE_COUNT; mode++) {
        if (strcmp(text, MODE_NAMES[mode]) == 0) return;
    }
    fprintf(stderr, "epoll_echo: there is no mode \"%s\"\n", text);
    exit(2);
}

static uint16_t parse_arguments(int count, char **arguments)
{
    if (count < 2 || count % 2 != 0) {
        fputs("usage: epoll_echo PORT [--mode MODE] [--buffer BYTES]\n", stderr);
        exit(2);
    }
    for (int i = 2; i < count; i += 2) {
        const char *value = arguments[i + 1];
        if (strcmp(arguments[i], "--mode") == 0) {
            parse_mode(value);
        } else if (strcmp(arguments[i], "--buffer") == 0) {
            buffer_bytes = (size_t)parse_integer(value, BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        } else {
            fprintf(stderr, "epoll_echo: there is no option \"%s\"\n", arguments[i]);
            exit(2);
        }
    }
    return (uint16_t)parse_integer(arguments[1], 0, UINT16_MAX);
}

/* TCP_NODELAY is inherited by every accepted socket. */
static void open_listener(uint16_t port)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, length) != 0) die("bind");
    if (listen(listener, BACKLOG) != 0) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) die("getsockname");
    printf("listening %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **arguments)
{
    const uint16_t port = parse_arguments(count, arguments);
    signal(SIGTERM, on_terminate);
    raise_file_limit();
    for (size_t i = 0; i < sizeof block; i++) block[i] = (uint8_t)i;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    open_listener(port);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll_ctl");
    for (;;) turn();
}
