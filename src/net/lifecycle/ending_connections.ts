/**
 * The connections of a closing network, from the end of their calls to their own end.
 *
 *   add: receives end, or everything where sends are queued
 *   -> closeAll: all callers have been told, in rounds of the event loop; then ends, in steps
 *   -> closed
 *
 * No connection ends before the callers of all receives have been told, except those that are
 * reset. So a descriptor is closed, and `close` of its connection resolves, behind its calls.
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";
import { CloseReason } from "../call/close_reason.ts";
import { SocketConnection } from "../connection/socket_connection.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import { Step } from "./step.ts";

export class EndingConnections {
  readonly #context: NetworkContext;
  /** Connections whose receives have ended. */
  readonly #waiting = new Set<SocketConnection>();
  readonly #closing: Promise<void>[] = [];
  /** Of every call that ends here: an error costs V8 8 us, and its stack 500 bytes. */
  readonly #reason = new CloseReason(
    "the connection was closed",
    new NetworkError("Cannot go on: the network was closed", {
      code: "Closed",
      operation: "close",
    }),
  );
  /** Whether the budget of the network is over. */
  #isExpired = false;

  constructor(context: NetworkContext) {
    this.#context = context;
  }

  has(open: Closeable): boolean {
    return this.#waiting.has(open as SocketConnection);
  }

  /**
   * Ends the calls of a connection. Resets it where an answer may be missing, because the peer
   * would take FIN for the end of a complete answer.
   */
  add(open: Closeable): void {
    if (!(open instanceof SocketConnection)) return this.#close(open);
    if (open.debt === "unknown") open.resetSoon();
    if (open.sink.bytesQueued > 0) return this.#close(open);
    open.endReceives(this.#reason);
    this.#waiting.add(open);
  }

  /** Tells the callers of ended receives, and closes the connections that have been added. */
  async closeAll(): Promise<void> {
    const { endedCalls } = this.#context;
    // At once for the few connections of most networks: their ends begin in the same step.
    endedCalls.tellSome();
    if (endedCalls.count > 0) await endedCalls.emptied();
    const step = new Step(this.#context);
    for (const open of this.#waiting) {
      if (step.isOver) await step.next();
      if (this.#waiting.delete(open)) this.#end(open);
    }
  }

  /**
   * Called at the end of the budget. Resets the connections that were not added, and those that
   * have sends which the peer has not taken. Resolves when the ends of all have begun or wait for
   * their turn.
   */
  async expire(): Promise<void> {
    this.#isExpired = true;
    for (const open of this.#context.open.all()) {
      if (!this.#waiting.has(open as SocketConnection)) open.resetSoon();
    }
    await this.closeAll();
  }

  #end(open: SocketConnection): void {
    this.#close(open);
    if (this.#isExpired && open.sink.bytesQueued > 0) open.resetSoon();
  }

  /** Resolves when all connections are closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  #close(open: Closeable): void {
    this.#closing.push(open instanceof SocketConnection ? open.closeSoon() : open.close());
  }
}
