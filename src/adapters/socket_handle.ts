/**
 * The object that a socket of `node:net` holds as `_handle` from `connect` on. Once connected, it
 * has a connection and one call on each of its halves.
 *
 *   network -> data(), end(), error() ----> push into the stream, in the socket's async context
 *   stream --> write(), finish(), finalize() --> post to the network
 *              the callbacks of the first two ----> in the context of the call, as in Node
 *
 * The callback of a write is called when the bytes are copied and the queue has room, which may be
 * before the kernel has them. So `finalize` still sends the queued bytes, within the network's
 * `shutdownTimeoutMs`.
 *
 * @module
 */
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { ERRNO } from "../base/errno.ts";
import type { Slot } from "../buf/slot.ts";
import { AF_UNIX } from "../net/address/sockaddr.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import type { Consumer } from "../net/recv/push_receive.ts";
import { pushReceive } from "../net/recv/stream.ts";
import type { Part, Producer, PushSend } from "../net/send/push_send.ts";
import { pushSend } from "../net/send/sink.ts";
import type { Done } from "./any_function.ts";
import { asyncScope } from "./async_scope.ts";
import { ConnectionHandle } from "./connection_handle.ts";
import { REPORTS_LATER, type WriteRequest } from "./deno_http_end.ts";
import type { DenoHttpInput } from "./deno_http_input.ts";
import { handleCalls } from "./handle_calls.ts";
import type { IdleTimer } from "./idle_timer.ts";
import { nodeError } from "./node_error.ts";
import type { OnRead } from "./on_read.ts";
import { OnReadBuffers } from "./on_read_buffers.ts";
import { receivedChunk } from "./received_chunk.ts";
import { receivedEnd } from "./received_end.ts";
import type { Forwarder, SocketRelay } from "./socket_relay.ts";
import { streamParts } from "./stream_parts.ts";
import { TlsTransport } from "./tls_transport.ts";

/**
 * Bytes that may be queued before a write waits. A peer that does not read costs this much and the
 * stream's own buffer.
 */
const QUEUE_BYTES_MAX = 262_144;

export class SocketHandle extends ConnectionHandle implements Consumer, Producer, Forwarder {
  /** Null while the socket has no timeout. */
  idle: IdleTimer | null = null;
  /** The server of `node:http` that the socket belongs to; only in Deno. */
  http: DenoHttpInput | null = null;
  /** The way to the socket that this one is piped into. */
  relay: SocketRelay | null = null;
  bytesRead = 0;
  bytesWritten = 0;
  #send: PushSend | null = null;
  #stream: Duplex | undefined;
  #reader: OnReadBuffers | null = null;
  /** Whether the stream has asked for bytes before they could be received. */
  wantsRead = false;
  /** The callback of the write that waits for room. */
  #written: Done | null = null;
  #finished: Done | null = null;
  /** The callback of a write of a whole response that waits for room. */
  #responded: Done | null = null;

  /** Sets the stream that gets the bytes and the errors: the socket, or its transport for TLS. */
  serve(stream: Duplex, onread: OnRead | null): void {
    this.#stream = stream;
    this.#reader?.leaveTo(stream);
    this.#reader = onread === null ? null : new OnReadBuffers(this, stream, onread, this.scope);
    this.#begin();
  }

  /** Sets the connection once there is one. */
  open(connection: SocketConnection): void {
    this.connecting = null;
    this.connection = connection;
    this.hasPath = connection.socket.family === AF_UNIX;
    this.#begin();
  }

  /** Called when the stream takes more bytes. */
  resume(): void {
    if (this.#reader !== null) this.#reader.resume();
    else this.receiveMore();
  }

  /** Called when the program pauses the socket. The stream does not, but `onread` passes it by. */
  pause(): void {
    this.#reader?.pause();
  }

  receiveMore(): void {
    if (this.receive === null) this.wantsRead = true;
    else this.receive.resume();
  }

  write(parts: readonly Part[], done: Done): void {
    const send = this.#sender();
    if (send === null) return done(nodeError.system(ERRNO.EBADF, "write"));
    this.idle?.touch();
    const more = streamParts.post(send, parts);
    this.bytesWritten = send.postedBytes;
    if (more === false) this.#written = asyncScope.bind(done);
    else done(more === true ? null : more);
  }

  /** Whether `node:http` of Deno may write a whole response as one text, by the methods below. */
  get isStreamBase(): boolean {
    const { http } = this;
    return http !== null && http.writesTexts && this.connected && this.#send?.full !== true;
  }

  /** The native parser reads from native handles alone: this one counts as taken. */
  get _consumed(): boolean {
    return true;
  }

  writeUtf8String(request: WriteRequest, text: string): number {
    return this.#writeText(request, text, "utf8");
  }

  writeLatin1String(request: WriteRequest, text: string): number {
    return this.#writeText(request, text, "latin1");
  }

  /** Sends bytes that another connection has received, when they need not wait. */
  forward(slot: Slot, start: number, end: number): boolean {
    const send = this.#sender();
    if (send === null || this.#written !== null || !send.postSlot(slot, start, end)) return false;
    this.idle?.touch();
    this.bytesWritten = send.postedBytes;
    return true;
  }

  /** Bytes that the kernel has not taken yet. */
  get queuedBytes(): number {
    return this.#send?.queuedBytes ?? 0;
  }

  /** Sends FIN after the written bytes. */
  finish(done: Done): void {
    const send = this.#sender();
    if (send === null) return done();
    this.#finished = asyncScope.bind(done);
    send.finish();
  }

  /**
   * Ends the connection with RST, or with FIN after the written bytes. `closed` is called when the
   * descriptor is closed, or soon when the peer has yet to take bytes. It is never called before
   * the program could react to an error: in Node, handles close at the end of the event loop.
   */
  finalize(reset: boolean, closed: () => void): void {
    this.connecting?.cancel();
    this.connecting = null;
    const connection = this.connection;
    // As in Node, behind the immediates of listeners, those of 'error' among them.
    const later = () => void nextTick(setImmediate, () => void this.scope.run(closed));
    if (connection === null) return later();
    const { context } = this;
    const lingers = !reset && this.queuedBytes > 0;
    const written = this.#written;
    const responded = this.#responded;
    this.receive?.stop();
    this.#send?.stop();
    this.connection =
      this.receive =
      this.#send =
      this.http =
        null;
    this.#written = this.#finished = this.#responded = null;
    if (!this.referenced) connection.unref();
    if (reset) connection.reset();
    const closing = new Promise<void>((resolve) => {
      connection.socket.whenLingering = resolve;
      void connection.close().then(resolve);
    });
    // As in Node, the callback gets no error. The program may reuse the bytes, which are read no
    // more.
    if (written !== null) nextTick(written);
    if (responded !== null) nextTick(responded);
    if (lingers) return later();
    // Keeps the process alive until the callback was called.
    context.addReference();
    void closing.then(() => {
      context.removeReference();
      later();
    });
  }

  close(callback?: () => void): void {
    this.finalize(false, callback ?? (() => {}));
  }

  // ------------------------------------------------------------------- what the network calls

  data(bytes: Uint8Array, start: number, end: number, slot: Slot): boolean {
    const stream = this.#stream as Duplex;
    if (this.#reader !== null) {
      this.idle?.touch();
      return this.#reader.receive(bytes, start, end);
    }
    this.bytesRead += end - start;
    const { http, relay } = this;
    if (http !== null && http.mayFeed(stream)) {
      // The server restarts the timeout itself.
      return this.scope.run(handleCalls.feed, http, receivedChunk(bytes, start, end)) as boolean;
    }
    this.idle?.touch();
    if (relay !== null && relay.take(stream, slot, start, end)) return true;
    return this.scope.run(handleCalls.push, stream, receivedChunk(bytes, start, end)) as boolean;
  }

  end(): void {
    this.#afterBytes(() => void this.scope.run(receivedEnd.push, this.#stream));
  }

  error(reason: unknown): void {
    const failure = nodeError.system(nodeError.errnoOf(reason, ERRNO.ECONNRESET), "read");
    this.#afterBytes(() => void this.scope.run(handleCalls.destroy, this.#stream, failure));
  }

  /** Tells the stream of the end, once the program has the bytes before it. */
  #afterBytes(told: () => void): void {
    if (this.#reader === null) told();
    else this.#reader.end(told);
  }

  drained(): void {
    const written = this.#written;
    const responded = this.#responded;
    this.#written = this.#responded = null;
    this.idle?.touch();
    responded?.();
    // The stream calls those of writes that did not wait in a later tick.
    if (written !== null) nextTick(written);
  }

  finished(): void {
    const finished = this.#finished;
    this.#finished = null;
    finished?.();
  }

  failed(reason: unknown): void {
    const failure = nodeError.system(nodeError.errnoOf(reason, ERRNO.EPIPE), "write");
    // An error of its write would be that of the socket, which has none below TLS.
    const waiting = this.#stream instanceof TlsTransport ? null : this.#written ?? this.#finished;
    if (waiting !== null) this.#written = this.#finished = null;
    this.#responded = null;
    if (waiting !== null) nextTick(waiting, failure);
    else this.scope.run(handleCalls.destroy, this.#stream, failure);
  }

  #writeText(request: WriteRequest, text: string, encoding: string): number {
    const send = this.#sender();
    if (send === null) return -ERRNO.EBADF;
    TEXT[0].chunk = text;
    TEXT[0].encoding = encoding;
    const more = send.postShort(TEXT) ? !send.full : send.post(streamParts.encode(TEXT[0]));
    TEXT[0].chunk = "";
    this.bytesWritten = send.postedBytes;
    if (more) nextTick(handleCalls.complete, request, 0);
    else this.#responded = asyncScope.bind(() => request.oncomplete(0));
    return REPORTS_LATER;
  }

  /**
   * The sender, made for the first write, so that an idle socket has none. Null without a
   * connection.
   */
  #sender(): PushSend | null {
    const { connection } = this;
    if (connection === null) return null;
    return this.#send ??= pushSend(connection.sink, this, QUEUE_BYTES_MAX);
  }

  /**
   * Starts to receive once there are both a connection and a stream, in a later tick: as in Node,
   * the ticks of listeners of 'connect' and 'connection' run before the first bytes come.
   */
  #begin(): void {
    const { connection } = this;
    if (connection === null || this.#stream === undefined) return;
    nextTick(() => {
      // The socket was destroyed meanwhile, or TLS has taken it.
      if (this.connection === null || this.receive !== null) return;
      this.receive = pushReceive(connection.stream, this);
      if (!this.referenced) this.receive.unref();
      if (this.wantsRead) this.receive.resume();
      this.wantsRead = false;
    });
  }
}

/** One array for all responses: the sender does not keep it. */
const TEXT: [{ chunk: string; encoding: string }] = [{ chunk: "", encoding: "" }];
