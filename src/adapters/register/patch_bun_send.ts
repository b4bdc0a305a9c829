/**
 * Handles that Bun's processes send to each other. Bun takes a server or a socket of this library
 * for one of its own, finds no handle in it, and sends the message without one. Deno refuses such
 * a handle, with Node's error, and so do these functions.
 *
 * @module
 */
import process from "node:process";
import { nodeError } from "../node_error.ts";
import { type Exports, type NetModule, replace } from "./node_modules.ts";

type Send = (...args: unknown[]) => unknown;

function refusing(net: NetModule, original: Send): Send {
  return function send(this: unknown, ...args: unknown[]): unknown {
    const handle = args[1];
    if (handle instanceof net.Server || handle instanceof net.Socket) {
      throw nodeError.fixed("ERR_INVALID_HANDLE_TYPE");
    }
    return Reflect.apply(original, this, args);
  };
}

/** Replaces `send` of this process, and of each child that it starts. */
export function patchBunSend(net: NetModule, { ChildProcess }: Exports): void {
  if (typeof process.send === "function") {
    replace(process, "send", refusing(net, process.send as Send));
  }
  const { prototype } = ChildProcess;
  const spawn = prototype.spawn;
  replace(prototype, "spawn", function (this: Exports, ...args: unknown[]) {
    const result = Reflect.apply(spawn, this, args);
    // A child has its own `send` where it has a channel.
    if (typeof this.send === "function") replace(this, "send", refusing(net, this.send));
    return result;
  });
}
