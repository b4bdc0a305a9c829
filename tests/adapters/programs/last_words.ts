/**
 * Writes so many bytes to a port and exits at once.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import net from "../../../src/adapters/net.ts";

const [port, length] = process.argv.slice(2).map(Number);
const client = net.connect(port, "127.0.0.1", () => {
  client.write(Buffer.alloc(length));
  process.exit(0);
});
