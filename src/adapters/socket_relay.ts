/**
 * The way of bytes from a socket to another socket of this library that it is piped into: from the
 * receive buffer straight to the other connection, without both streams.
 *
 *   one listener of 'data', that of pipe(); both streams have nothing to do --> handle.forward()
 *   anything else -----------------------------------------------------------> 'data', write()
 *
 * A proxy is two pipes. Through the streams, each chunk costs a `Buffer` with a copy, an event, a
 * write and another copy. The end, errors and backpressure go through the streams in any case: a
 * target that is full gets its bytes by `write`, which then pauses the source.
 *
 * @module
 */
import { Duplex } from "node:stream";
import type { Slot } from "../buf/slot.ts";
import { loneListener } from "./lone_listener.ts";

/** The socket that is written to. */
export interface RelayTarget extends Duplex {
  readonly connecting: boolean;
}

/** The handle of that socket. */
export interface Forwarder {
  /** Sends bytes of a slot. Returns false, and sends nothing, when a write has to do that. */
  forward(slot: Slot, start: number, end: number): boolean;
}

/** The members that the bytes pass by, as they were before any program could replace them. */
const { emit, push, write } = Duplex.prototype;

/** The name of the function with which `pipe` listens to 'data'. */
const LISTENER_NAME = "ondata";

export class SocketRelay {
  readonly #listener: object;
  readonly #target: RelayTarget;
  /** `_write` of the class: a program may have another one in its place. */
  readonly #write: unknown;
  readonly #handleOf: (target: RelayTarget) => Forwarder | null;

  private constructor(
    listener: object,
    target: RelayTarget,
    write: unknown,
    handleOf: (target: RelayTarget) => Forwarder | null,
  ) {
    this.#listener = listener;
    this.#target = target;
    this.#write = write;
    this.#handleOf = handleOf;
  }

  /** The relay of a source that was just piped; null when others listen to it as well. */
  static of(
    source: Duplex,
    target: RelayTarget,
    write: unknown,
    handleOf: (target: RelayTarget) => Forwarder | null,
  ): SocketRelay | null {
    const listener = loneListener.named(source, LISTENER_NAME);
    return listener === null ? null : new SocketRelay(listener, target, write, handleOf);
  }

  /** Forwards bytes of a slot. Returns false when the streams have to do that. */
  take(source: Duplex, slot: Slot, start: number, end: number): boolean {
    if (loneListener.of(source) !== this.#listener) return false;
    if (!loneListener.isTransparent(source)) return false;
    if (source.emit !== emit || source.push !== push) return false;
    // The first chunk goes through the stream, which then counts as disturbed.
    if (!source.readableDidRead) return false;
    const target = this.#target;
    const { writableLength, writableCorked, connecting, writable } = target;
    if (writableLength > 0 || writableCorked > 0 || connecting || !writable) return false;
    if (target.write !== write || target._write !== this.#write) return false;
    return this.#handleOf(target)?.forward(slot, start, end) ?? false;
  }
}
