/**
 * The connections of a closing network, from the end of their calls to their own end.
 *
 *   add: receives end, or everything where sends are queued -> closeAll: in steps -> closed
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";
import { SocketConnection } from "../connection/socket_connection.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import { Step } from "./step.ts";

export class EndingConnections {
  readonly #context: NetworkContext;
  /** Connections whose receives have ended. */
  readonly #waiting = new Set<SocketConnection>();
  readonly #closing: Promise<void>[] = [];
  /** The cause of every call that ends here: an error costs V8 8 us, and its stack 500 bytes. */
  #cause: NetworkError | null = null;

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
    this.#cause ??= new NetworkError("Cannot go on: the network was closed", {
      code: "Closed",
      operation: "close",
    });
    open.endReceives(this.#cause);
    this.#waiting.add(open);
  }

  /** Closes the connections that have been added. */
  async closeAll(): Promise<void> {
    const step = new Step(this.#context);
    for (const open of this.#waiting) {
      if (step.isOver) await step.next();
      if (this.#waiting.delete(open)) this.#close(open);
    }
  }

  /**
   * Called at the end of the budget. Returns false when the connection has to be reset: it was not
   * added, or has sends that the peer has not taken.
   */
  finish(open: Closeable): boolean {
    if (!this.#waiting.delete(open as SocketConnection)) return false;
    this.#close(open);
    return (open as SocketConnection).sink.bytesQueued === 0;
  }

  /** Resolves when all connections are closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  #close(open: Closeable): void {
    this.#closing.push(open.close());
  }
}
