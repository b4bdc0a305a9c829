/**
 * The `signal` among the options of `listen`: its abort closes the server.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import { nextTick } from "node:process";

interface Closeable extends EventEmitter {
  close(): unknown;
}

/** Closes `server` when `signal` is aborted, in the next tick when it is aborted already. */
export function closeOnAbort(signal: AbortSignal, server: Closeable): void {
  const close = () => void server.close();
  if (signal.aborted) {
    nextTick(close);
    return;
  }
  signal.addEventListener("abort", close, { once: true });
  server.once("close", () => signal.removeEventListener("abort", close));
}
