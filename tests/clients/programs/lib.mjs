// What the programs share. `net` is null in a program that is run with the preload: it then does
// nothing but what the software's own documentation says.
import { createHash } from "node:crypto";
import process from "node:process";

export const net = globalThis[Symbol.for("test.net")] ?? null;
export const host = "127.0.0.1";
export const port = Number(process.argv[2]);

/** A connected socket of the library, for clients that take one. */
export function connected(options) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(options, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Prints a result; the test compares what was printed. */
export function say(...values) {
  console.log(JSON.stringify(values));
}

export const hash = (data) => createHash("sha256").update(data).digest("hex").slice(0, 16);

/** Text without a short period, of this length. */
export function text(length) {
  let state = 12345;
  let made = "";
  while (made.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made += state.toString(36);
  }
  return made.slice(0, length);
}

/** Resolves with the first value of an event. */
export const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));
