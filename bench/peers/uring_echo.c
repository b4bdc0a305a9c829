/*
 * uring_echo.c: the reference server on io_uring, the floor that a completion loop can reach.
 *
 * One thread owns one ring, opened with SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG, SUBMIT_ALL and
 * CQSIZE; the ring's descriptor is registered. A turn is one system call: it submits all that the
 * last turn's completions led to, runs deferred work and waits for at least one completion.
 *
 * Usage: uring_echo PORT [--mode echo|framed|joined|broadcast|sink|source]
 *                        [--recv oneshot|multishot] [--buffer BYTES]
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. SIGTERM ends it.
 *
 *   echo       answers bytes with the same bytes
 *   framed     answers a frame (4-byte big-endian length, body) when it is complete, each with a
 *              send of its own: up to 64 linked ones, so that they stay in order
 *   joined     the same, but all frames that one wakeup completed leave in one send
 *   broadcast  sends what any connection says to all connections, one piece at a time
 *   sink       reads and forgets
 *   source     after the first byte, sends a stream whose byte at position p is (p mod 256)
 *
 * Receiving, by --recv:
 *   oneshot    each connection owns a buffer and has one receive in it, not armed again before what
 *              came is answered; POLL_FIRST when the last completion said that the socket was empty
 *   multishot  one receive per connection, fed from a ring of shared buffers. Buffers that wait for
 *              an answer form a queue per connection, and leave together. Without a free buffer the
 *              receive ends (ENOBUFS) and is armed again when some came back: that is the back
 *              pressure.
 *
 * Sends carry MSG_WAITALL, so the kernel finishes short ones: a short count is a failure. At most
 * one send, or one chain of them, is in flight per connection.
 *
 * Life of a connection: accepted, `operations` counts what the kernel holds of it; `failed` or
 * `ended` say that it is to go; it is freed when nothing is in flight and no cast of it is pending.
 *
 * Needs Linux 6.1 and liburing 2.3. Limits: loopback only, frames of 16 MiB, a buffer of 4 KiB to
 * 16 MiB (64 KiB unless told). In a broadcast the slowest receiver sets the pace for all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    SUBMISSIONS = 1024,             /* A full queue means submit and go on. */
    COMPLETIONS = 16384,
    BUFFER_BYTES_DEFAULT = 64 << 10,
    BUFFER_BYTES_MIN = 4 << 10,
    BUFFER_BYTES_MAX = 16 << 20,
    SHARED_BYTES = 32 << 20,        /* Of all shared buffers together, */
    SHARED_COUNT_MIN = 16,          /* within these counts (powers of two). */
    SHARED_COUNT_MAX = 4096,
    SHARED_GROUP = 0,
    SPANS_MAX = 16,                 /* Shared buffers that leave in one send. */
    FRAME_HEADER_BYTES = 4,
    FRAME_BODY_BYTES_MAX = 16 << 20,
    CHAIN_MAX = 64,                 /* Linked sends. */
    SOURCE_BLOCK_BYTES = 256 << 10,
};

static const uint16_t NO_BUFFER = UINT16_MAX;

enum mode { ECHO, FRAMED, JOINED, BROADCAST, SINK, SOURCE, MODE_COUNT };

static const char *const MODE_NAMES[MODE_COUNT] = {"echo",      "framed", "joined",
                                                   "broadcast", "sink",   "source"};

/* The kind of a completion: the low bits of its user data. The connection is above them. */
enum operation { ACCEPT, RECEIVE, SEND, CAST, OPERATION_MASK = 3 };

struct connection {
    int fd;
    uint32_t operations;       /* In flight. */
    bool receiving;            /* A receive is armed, */
    bool busy;                 /* an answer or a cast of its own is under way. */
    bool poll_first;           /* The socket was empty after the last receive. */
    bool starved;              /* Multishot: ended for lack of shared buffers. */
    bool ended;                /* The peer has sent its last byte. */
    bool failed;
    uint8_t *data;             /* Bytes received and not yet answered: */
    size_t capacity;
    size_t length;
    uint32_t sends;            /* Sends in flight, */
    size_t sending;            /* how many bytes they must report together, */
    size_t sent;               /* and how many they have reported. */
    uint32_t spans_out;        /* How many shared buffers it covers. */
    uint16_t first_buffer;     /* Multishot: queue of shared buffers with unanswered bytes. */
    uint16_t last_buffer;
    size_t member;             /* Its place in `members`. */
    struct connection *next;   /* In the queue of casts. */
    struct connection *next_starved;
    struct iovec spans[SPANS_MAX];
    struct msghdr message;
};

/* A shared buffer that is out of the ring: how full it is and which one follows it. */
struct shared {
    uint32_t length;
    uint16_t next;
};

static enum mode mode;
static bool multishot;
static size_t buffer_bytes = BUFFER_BYTES_DEFAULT;
static int listener;
static struct io_uring ring;
static uint8_t block[SOURCE_BLOCK_BYTES];

static struct io_uring_buf_ring *shared_ring;
static uint8_t *shared_bytes;
static struct shared *shared;
static uint32_t shared_count;
static uint32_t shared_returned;         /* Since the starved were last looked at. */
static struct connection *starved_list;

static struct connection **members;
static size_t member_count;
static size_t member_capacity;

static struct connection *caster;        /* Whose piece is being sent to all, */
static size_t cast_left;                 /* and how many sends of it are in flight. */
static struct connection *waiting_first; /* Those whose pieces wait. */
static struct connection *waiting_last;

__attribute__((noreturn)) static void die(const char *what, int number)
{
    fprintf(stderr, "uring_echo: %s: %s\n", what, strerror(number));
    exit(1);
}

/* ---- Shared buffers ----------------------------------------------------------------------- */

static uint8_t *shared_at(uint16_t buffer)
{
    return shared_bytes + (size_t)buffer * buffer_bytes;
}

static void give_shared_back(uint16_t buffer)
{
    const int mask = io_uring_buf_ring_mask(shared_count);
    io_uring_buf_ring_add(shared_ring, shared_at(buffer), (unsigned)buffer_bytes, buffer, mask, 0);
    io_uring_buf_ring_advance(shared_ring, 1);
    shared_returned += 1;
}

static void push_shared(struct connection *connection, uint16_t buffer, uint32_t length)
{
    shared[buffer] = (struct shared){.length = length, .next = NO_BUFFER};
    if (connection->first_buffer == NO_BUFFER) connection->first_buffer = buffer;
    else shared[connection->last_buffer].next = buffer;
    connection->last_buffer = buffer;
}

static void pop_shared(struct connection *connection)
{
    const uint16_t buffer = connection->first_buffer;
    connection->first_buffer = shared[buffer].next;
    give_shared_back(buffer);
}

/* The mapping's pages come with first use, so a large pool costs what it is used. */
static void open_shared(void)
{
    shared_count = SHARED_COUNT_MIN;
    while (shared_count < SHARED_COUNT_MAX && 2 * shared_count * buffer_bytes <= SHARED_BYTES) {
        shared_count *= 2;
    }
    const int protection = PROT_READ | PROT_WRITE;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const size_t ring_bytes = shared_count * sizeof(struct io_uring_buf);
    shared = calloc(shared_count, sizeof *shared);
    shared_bytes = mmap(NULL, shared_count * buffer_bytes, protection, flags, -1, 0);
    shared_ring = mmap(NULL, ring_bytes, protection, flags, -1, 0);
    if (shared == NULL || shared_bytes == MAP_FAILED || shared_ring == MAP_FAILED) {
        die("no memory for shared buffers", ENOMEM);
    }
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)shared_ring,
                                            .ring_entries = shared_count,
                                            .bgid = SHARED_GROUP};
    io_uring_buf_ring_init(shared_ring);
    const int result = io_uring_register_buf_ring(&ring, &registration, 0);
    if (result != 0) die("io_uring_register_buf_ring", -result);
    /* Added from the last to the first: the lowest is used first and again. */
    for (uint32_t i = shared_count; i > 0; i--) give_shared_back((uint16_t)(i - 1));
}

/* ---- Submissions -------------------------------------------------------------------------- */

/* Makes room for `count` entries, so that they enter the kernel together. */
static void make_room(unsigned count)
{
    while (io_uring_sq_space_left(&ring) < count) {
        const int result = io_uring_submit(&ring);
        if (result < 0 && result != -EINTR && result != -EBUSY) die("io_uring_submit", -result);
    }
}

static struct io_uring_sqe *next_sqe(void)
{
    make_room(1);
    return io_uring_get_sqe(&ring);
}

static void tag(struct io_uring_sqe *sqe, struct connection *connection, enum operation operation)
{
    io_uring_sqe_set_data64(sqe, (uintptr_t)connection | operation);
    if (connection != NULL) connection->operations += 1;
}

static void arm_accept(void)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    tag(sqe, NULL, ACCEPT);
}

static void arm_receive(struct connection *connection)
{
    struct io_uring_sqe *sqe = next_sqe();
    if (multishot) {
        io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = SHARED_GROUP;
    } else {
        uint8_t *free_space = connection->data + connection->length;
        const size_t free_bytes = connection->capacity - connection->length;
        io_uring_prep_recv(sqe, connection->fd, free_space, free_bytes, 0);
    }
    if (connection->poll_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    connection->receiving = true;
    tag(sqe, connection, RECEIVE);
}

/* `sends` sends with `count` bytes together are about to be prepared. */
static void begin_sending(struct connection *connection, uint32_t sends, size_t count)
{
    connection->busy = true;
    connection->sends = sends;
    connection->sending = count;
    connection->sent = 0;
}

static void send_bytes(struct connection *connection, const uint8_t *bytes, size_t count)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_send(sqe, connection->fd, bytes, count, MSG_WAITALL | MSG_NOSIGNAL);
    begin_sending(connection, 1, count);
    tag(sqe, connection, SEND);
}

/* Sends the shared buffers at the head of the queue, straight from where they are. */
static void send_shared(struct connection *connection)
{
    uint32_t spans = 0;
    size_t bytes = 0;
    uint16_t buffer = connection->first_buffer;
    for (; buffer != NO_BUFFER && spans < SPANS_MAX; buffer = shared[buffer].next) {
        connection->spans[spans++] = (struct iovec){shared_at(buffer), shared[buffer].length};
        bytes += shared[buffer].length;
    }
    connection->spans_out = spans;
    if (spans == 1) {
        send_bytes(connection, connection->spans[0].iov_base, bytes);
        return;
    }
    struct io_uring_sqe *sqe = next_sqe();
    connection->message.msg_iov = connection->spans;
    connection->message.msg_iovlen = spans;
    io_uring_prep_sendmsg(sqe, connection->fd, &connection->message, MSG_WAITALL | MSG_NOSIGNAL);
    begin_sending(connection, 1, bytes);
    tag(sqe, connection, SEND);
}

/* ---- Connections -------------------------------------------------------------------------- */

static void reserve(struct connection *connection, size_t capacity)
{
    if (capacity <= connection->capacity) return;
    connection->data = realloc(connection->data, capacity);
    if (connection->data == NULL) die("realloc", ENOMEM);
    connection->capacity = capacity;
}

static void open_connection(int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) die("calloc", ENOMEM);
    connection->fd = fd;
    connection->first_buffer = NO_BUFFER;
    if (!multishot) reserve(connection, buffer_bytes);
    if (member_count == member_capacity) {
        member_capacity = member_capacity ? 2 * member_capacity : 256;
        members = realloc(members, member_capacity * sizeof(struct connection *));
        if (members == NULL) die("realloc", ENOMEM);
    }
    connection->member = member_count;
    members[member_count++] = connection;
    arm_receive(connection);
}

static void free_connection(struct connection *connection)
{
    struct connection *last = members[--member_count];
    members[connection->member] = last;
    last->member = connection->member;
    while (connection->first_buffer != NO_BUFFER) pop_shared(connection);
    close(connection->fd);
    free(connection->data);
    free(connection);
}

/* Frees it, or ends what is in flight so that it can be freed when that has completed. */
static void retire(struct connection *connection)
{
    connection->failed = true;
    if (connection->operations > 0) shutdown(connection->fd, SHUT_RDWR);
    else if (!connection->busy && !connection->starved) free_connection(connection);
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

/* Multishot: frames are assembled in the connection's own buffer. */
static void assemble(struct connection *connection)
{
    while (connection->first_buffer != NO_BUFFER) {
        const uint16_t buffer = connection->first_buffer;
        const size_t count = shared[buffer].length;
        const size_t needed = connection->length + count;
        if (needed > connection->capacity) reserve(connection, 2 * needed);
        memcpy(connection->data + connection->length, shared_at(buffer), count);
        connection->length += count;
        pop_shared(connection);
    }
}

/* One send for each of the frames in the first `count` bytes, in a chain: a short one ends it. */
static void send_frames(struct connection *connection, size_t count)
{
    size_t at = 0;
    uint32_t frames = 0;
    make_room(CHAIN_MAX);
    while (at < count && frames < CHAIN_MAX) {
        uint32_t body;
        memcpy(&body, connection->data + at, sizeof body);
        const size_t length = (size_t)ntohl(body) + FRAME_HEADER_BYTES;
        struct io_uring_sqe *sqe = next_sqe();
        io_uring_prep_send(sqe, connection->fd, connection->data + at, length,
                           MSG_WAITALL | MSG_NOSIGNAL);
        at += length;
        frames += 1;
        if (at < count && frames < CHAIN_MAX) sqe->flags |= IOSQE_IO_LINK;
        tag(sqe, connection, SEND);
    }
    begin_sending(connection, frames, at);
}

static bool answer_frames(struct connection *connection)
{
    size_t needed;
    if (multishot) assemble(connection);
    const size_t count = complete_frames(connection, &needed);
    if (needed > (size_t)FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES) {
        connection->failed = true;
        return false;
    }
    if (count == 0) reserve(connection, needed);
    else if (mode == JOINED) send_bytes(connection, connection->data, count);
    else send_frames(connection, count);
    return count > 0;
}

/* ---- Broadcast ---------------------------------------------------------------------------- */

static void send_cast(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < member_count; i++) {
        struct connection *to = members[i];
        struct io_uring_sqe *sqe = next_sqe();
        io_uring_prep_send(sqe, to->fd, bytes, count, MSG_WAITALL | MSG_NOSIGNAL);
        tag(sqe, to, CAST);
    }
    cast_left = member_count;   /* The caster is a member, so there is at least one. */
}

static void cast_next(void)
{
    if (caster != NULL || waiting_first == NULL) return;
    caster = waiting_first;
    waiting_first = caster->next;
    if (multishot) {
        const uint16_t buffer = caster->first_buffer;
        caster->sending = shared[buffer].length;
        send_cast(shared_at(buffer), shared[buffer].length);
    } else {
        caster->sending = caster->length;
        send_cast(caster->data, caster->length);
    }
}

static void queue_cast(struct connection *connection)
{
    connection->busy = true;
    connection->next = NULL;
    if (waiting_first == NULL) waiting_first = connection;
    else waiting_last->next = connection;
    waiting_last = connection;
    cast_next();
}

/* ---- One step of a connection ------------------------------------------------------------- */

static bool has_bytes(const struct connection *connection)
{
    return connection->length > 0 || connection->first_buffer != NO_BUFFER;
}

static void forget_bytes(struct connection *connection)
{
    connection->length = 0;
    while (connection->first_buffer != NO_BUFFER) pop_shared(connection);
}

/* Starts the answer to what has come, if that calls for one; then the connection is busy. */
static bool answer(struct connection *connection)
{
    if (!has_bytes(connection)) return false;
    switch (mode) {
    case ECHO:
        if (multishot) send_shared(connection);
        else send_bytes(connection, connection->data, connection->length);
        return true;
    case FRAMED:
    case JOINED: return answer_frames(connection);
    case BROADCAST: queue_cast(connection); return true;
    case SINK: forget_bytes(connection); return false;
    default:
        forget_bytes(connection);
        send_bytes(connection, block, sizeof block);
        return true;
    }
}

/* Goes on with whatever the connection can do next. */
static void advance(struct connection *connection)
{
    if (connection->busy) return;
    if (!connection->failed && answer(connection)) return;
    if (connection->failed || connection->ended) retire(connection);
    else if (!connection->receiving && !connection->starved) arm_receive(connection);
}

/* ---- Completions -------------------------------------------------------------------------- */

static void on_accepted(const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0) open_connection(cqe->res);
    else if (cqe->res != -ECONNABORTED && cqe->res != -EINTR) die("accept", -cqe->res);
    if (!(cqe->flags & IORING_CQE_F_MORE)) arm_accept();
}

static void starve(struct connection *connection)
{
    connection->starved = true;
    connection->next_starved = starved_list;
    starved_list = connection;
}

static void on_received(struct connection *connection, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        connection->receiving = false;
        connection->operations -= 1;
    }
    connection->poll_first = !(cqe->flags & IORING_CQE_F_SOCK_NONEMPTY);
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        const uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        if (cqe->res > 0) push_shared(connection, buffer, (uint32_t)cqe->res);
        else give_shared_back(buffer);
    } else if (cqe->res > 0) {
        connection->length += (size_t)cqe->res;
    }
    if (cqe->res == 0) connection->ended = true;
    else if (cqe->res == -ENOBUFS) starve(connection);
    else if (cqe->res < 0 && cqe->res != -EINTR) connection->failed = true;
    advance(connection);
}

static void on_sent(struct connection *connection, int result)
{
    connection->operations -= 1;
    connection->sends -= 1;
    if (result > 0) connection->sent += (size_t)result;
    if (connection->sends > 0) return;
    connection->busy = false;
    if (connection->sent != connection->sending) connection->failed = true;
    if (mode == FRAMED || mode == JOINED) consume(connection, connection->sending);
    else connection->length = 0;
    for (; connection->spans_out > 0; connection->spans_out--) pop_shared(connection);
    if (mode == SOURCE && !connection->failed) send_bytes(connection, block, sizeof block);
    advance(connection);
}

static void finish_cast(void)
{
    struct connection *connection = caster;
    caster = NULL;
    connection->busy = false;
    connection->length = 0;
    if (multishot) pop_shared(connection);
    advance(connection);
    cast_next();
}

static void on_cast(struct connection *connection, int result)
{
    connection->operations -= 1;
    if (result < 0 || (size_t)result != caster->sending) connection->failed = true;
    if (connection->failed && connection != caster) advance(connection);
    cast_left -= 1;
    if (cast_left == 0) finish_cast();
}

static void on_completion(const struct io_uring_cqe *cqe)
{
    struct connection *connection = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)OPERATION_MASK);
    switch ((enum operation)(cqe->user_data & OPERATION_MASK)) {
    case ACCEPT: on_accepted(cqe); return;
    case RECEIVE: on_received(connection, cqe); return;
    case SEND: on_sent(connection, cqe->res); return;
    default: on_cast(connection, cqe->res);
    }
}

/* Those whose receives ended for lack of buffers go on when buffers have come back. */
static void feed_starved(void)
{
    if (shared_returned == 0 || starved_list == NULL) return;
    struct connection *list = starved_list;
    starved_list = NULL;
    while (list != NULL) {
        struct connection *connection = list;
        list = connection->next_starved;
        connection->starved = false;
        advance(connection);
    }
    shared_returned = 0;
}

static void turn(void)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    const int result = io_uring_submit_and_wait(&ring, 1);
    if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN) {
        die("io_uring_submit_and_wait", -result);
    }
    io_uring_for_each_cqe(&ring, head, cqe)
    {
        on_completion(cqe);
        count += 1;
    }
    io_uring_cq_advance(&ring, count);
    feed_starved();
}

/* ---- Start -------------------------------------------------------------------------------- */

static void open_ring(void)
{
    struct io_uring_params parameters = {.cq_entries = COMPLETIONS};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    int result = io_uring_queue_init_params(SUBMISSIONS, &ring, &parameters);
    if (result != 0) die("io_uring_queue_init_params", -result);
    result = io_uring_register_ring_fd(&ring);
    if (result != 1) die("io_uring_register_ring_fd", -result);
    if (multishot) open_shared();
}

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
        fprintf(stderr, "uring_echo: \"%s\" must be %ld to %ld\n", text, min, max);
        exit(2);
    }
    return value;
}

static void parse_mode(const char *text)
{
    for (mode = 0; mode < MODE_COUNT; mode++) {
        if (strcmp(text, MODE_NAMES[mode]) == 0) return;
    }
    fprintf(stderr, "uring_echo: there is no mode \"%s\"\n", text);
    exit(2);
}

static void parse_option(const char *name, const char *value)
{
    if (strcmp(name, "--mode") == 0) {
        parse_mode(value);
    } else if (strcmp(name, "--buffer") == 0) {
        buffer_bytes = (size_t)parse_integer(value, BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
    } else if (strcmp(name, "--recv") == 0 && strcmp(value, "multishot") == 0) {
        multishot = true;
    } else if (strcmp(name, "--recv") != 0 || strcmp(value, "oneshot") != 0) {
        fprintf(stderr, "uring_echo: there is no option \"%s %s\"\n", name, value);
        exit(2);
    }
}

static uint16_t parse_arguments(int count, char **arguments)
{
    if (count < 2 || count % 2 != 0) {
        fputs("usage: uring_echo PORT [--mode MODE] [--recv KIND] [--buffer BYTES]\n", stderr);
        exit(2);
    }
    for (int i = 2; i < count; i += 2) parse_option(arguments[i], arguments[i + 1]);
    return (uint16_t)parse_integer(arguments[1], 0, UINT16_MAX);
}

/* TCP_NODELAY is inherited by every accepted socket. */
static void open_listener(uint16_t port)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, length) != 0) die("bind", errno);
    if (listen(listener, BACKLOG) != 0) die("listen", errno);
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) die("getsockname", errno);
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
    open_ring();
    open_listener(port);
    arm_accept();
    for (;;) turn();
}
