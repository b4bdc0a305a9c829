/**
 * Sessions of `node:http2` in Deno that are destroyed while they parse or serialize frames. Deno
 * frees the native session at once, and then goes on with it: the process ends, or its memory is
 * corrupt. A peer brings that about with a GOAWAY, which destroys a session without streams.
 *
 *   receive(bytes) -> a frame -> the program, or the runtime -> destroy() waits
 *   receive has parsed all bytes ----------------------------> destroy()
 *
 * @module
 */
import { Duplex } from "node:stream";
import { type Exports, replaceFunction } from "./node_modules.ts";

interface NativeSession {
  receive(bytes: Uint8Array): unknown;
  destroy(...args: unknown[]): unknown;
}

type Connect = (authority: string, options: object) => Exports;

function isNative(value: unknown): value is NativeSession {
  if (typeof value !== "object" || value === null) return false;
  const { receive, destroy, getOutgoingChunk } = value as Exports;
  return [receive, destroy, getOutgoingChunk].every((method) => typeof method === "function");
}

/** The prototype of native sessions, found at a session over nothing. Null in other versions. */
function nativePrototype(connect: Connect): NativeSession | null {
  const nowhere = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const session = connect("http://localhost", { createConnection: () => nowhere });
  session.on("error", () => {});
  const symbols = Object.getOwnPropertySymbols(session) as unknown as string[];
  const native = symbols.map((symbol) => session[symbol] as unknown).find(isNative);
  session.destroy();
  nowhere.destroy();
  return native === undefined ? null : Object.getPrototypeOf(native);
}

/** Sessions that parse or serialize, with the arguments of a `destroy` that waits. */
const busy = new Map<NativeSession, unknown[] | null>();
const destroyed = new WeakSet<NativeSession>();

type Method = (this: NativeSession, ...args: unknown[]) => unknown;

/** A method during which `destroy` waits, and which does nothing afterwards. */
function undisturbed(method: Method, destroy: Method): Method {
  return function (...args) {
    if (destroyed.has(this)) return undefined;
    if (busy.has(this)) return Reflect.apply(method, this, args);
    busy.set(this, null);
    try {
      return Reflect.apply(method, this, args);
    } finally {
      const waiting = busy.get(this) ?? null;
      busy.delete(this);
      if (waiting !== null) Reflect.apply(destroy, this, waiting);
    }
  };
}

let prepared = false;

/** Protects all sessions, from the first call on. */
function prepare(connect: Connect): void {
  if (prepared || !("Deno" in globalThis)) return;
  prepared = true;
  const prototype = nativePrototype(connect) as Exports | null;
  if (prototype === null) return;
  const { destroy: original } = prototype;
  const destroy: Method = function (...args) {
    destroyed.add(this);
    return Reflect.apply(original, this, args);
  };
  for (const name of ["receive", "getOutgoingChunk", "hasPendingData"]) {
    if (name in prototype) replaceFunction(prototype, name, undisturbed(prototype[name], destroy));
  }
  replaceFunction(prototype, "destroy", function (this: NativeSession, ...args: unknown[]) {
    if (!busy.has(this)) return Reflect.apply(destroy, this, args);
    busy.set(this, args);
    return undefined;
  });
}

export const denoHttp2Sessions = { prepare };
