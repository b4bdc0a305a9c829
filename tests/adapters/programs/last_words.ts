/**
 * Writes so many bytes to a port and exits at once. With a third argument it answers the first byte
 * that it receives, and the callback of the write kills the process.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import net from "../../../src/adapters/net.ts";

const [port, length, answers] = process.argv.slice(2).map(Number);
const client = net.connect(port, "127.0.0.1", () => {
  if (answers) return;
  client.write(Buffer.alloc(length));
  process.exit(0);
});
client.once("data", () => {
  client.write(Buffer.alloc(length), () => process.kill(process.pid, "SIGKILL"));
});
