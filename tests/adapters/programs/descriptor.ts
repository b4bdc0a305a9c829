/**
 * Sockets made of descriptors: of descriptor 3, which is a connection, and of the standard input.
 *
 * @module
 */
import { once } from "node:events";
import process from "node:process";
import net from "../../../src/adapters/net.ts";

async function textOf(socket: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}

const connected = new net.Socket({ fd: 3 });
console.log(`socket: ${await textOf(connected)}`);
if (!connected.closed) await once(connected, "close");
const pipe = new net.Socket({ fd: 0, readable: true, writable: false });
console.log(`pipe: ${await textOf(pipe)}`);
process.exit(0);
