/**
 * The plain server of `node:http` below an https server in Bun: it serves the connections whose
 * handshake is finished, and passes its events on.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import type { Exports, Fields } from "./node_modules.ts";

/** The options of an https server that concern HTTP. */
const HTTP_OPTIONS = [
  "IncomingMessage",
  "ServerResponse",
  "highWaterMark",
  "insecureHTTPParser",
  "joinDuplicateHeaders",
  "maxHeaderSize",
  "rejectNonStandardBodyWrites",
  "uniqueHeaders",
] as const;

function httpOptions(given: Fields): Fields {
  return Object.fromEntries(
    HTTP_OPTIONS.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]),
  );
}

/** A plain server whose events are those of `server`, with its limits. */
export function plainServer<S extends EventEmitter>(http: Exports, server: S, given: Fields): S {
  const plain = http.createServer(httpOptions(given)) as S;
  const own = plain.emit;
  const kept = new Set(["connection", "listening", "close"]);
  plain.emit = function emit(this: EventEmitter, name: string | symbol, ...args: unknown[]) {
    if (kept.has(name as string)) return Reflect.apply(own, this, [name, ...args]);
    return server.emit(name, ...args);
  };
  // Bun handles an upgrade or a malformed request according to which events have listeners.
  plain.listenerCount = (name) => server.listenerCount(name);
  const limits = ["timeout", "keepAliveTimeout", "headersTimeout", "requestTimeout"];
  limits.push("maxHeadersCount", "maxRequestsPerSocket");
  for (const name of limits) {
    Object.defineProperty(plain, name, {
      get: () => (server as unknown as Fields)[name],
      set: () => {},
    });
  }
  return plain;
}
