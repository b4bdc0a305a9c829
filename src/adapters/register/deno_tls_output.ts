/**
 * The encrypted bytes of a TLS socket in Deno, over the transport of a socket of this library.
 *
 * Over its own sockets the runtime writes them at once. Over any other stream a function of the
 * handle writes them in a microtask, and not after each call that makes bytes:
 *
 *   received bytes, a write, the end --> _flushEncOut --> the microtask --> the transport
 *   destroy of the transport ----------> drainEncOut: what waits goes first (an alert, an answer)
 *   finishAccept, after SNICallback ---> _flushEncOut: otherwise the handshake would stop here
 *
 * @module
 */
import type { TlsTransport } from "../tls_transport.ts";

/** The handle of a TLS socket, as far as a version of the runtime has these methods. */
export interface TlsHandle {
  drainEncOut?: () => ArrayBuffer | Uint8Array | null | undefined;
  finishAccept?: (...args: unknown[]) => unknown;
  _flushEncOut?: () => void;
}

/** Makes sure that all that TLS writes reaches the transport. */
export function denoTlsOutput(handle: TlsHandle, transport: TlsTransport): void {
  const { drainEncOut, finishAccept, _flushEncOut: flush } = handle;
  if (typeof drainEncOut === "function") {
    transport.lastBytes = () => {
      const bytes = Reflect.apply(drainEncOut, handle, []);
      return bytes ? new Uint8Array(bytes as ArrayBuffer) : null;
    };
  }
  if (typeof finishAccept === "function" && typeof flush === "function") {
    handle.finishAccept = (...args) => {
      const result = Reflect.apply(finishAccept, handle, args);
      flush();
      return result;
    };
  }
}
