/**
 * Writes so many bytes to a port. "exits" ends the process at once, "throws" ends it by an
 * uncaught error, "unrefs" leaves it with nothing else to do, and "answers" writes at the first
 * byte that comes, and kills the process in the callback.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import net from "../../../src/adapters/net.ts";

const [port, length, mode] = process.argv.slice(2);
const bytes = Buffer.alloc(Number(length));
const client = net.connect(Number(port), "127.0.0.1", () => {
  if (mode === "answers") return;
  client.write(bytes);
  if (mode === "exits") process.exit(0);
  if (mode === "throws") throw new Error("the last words are said");
  client.unref();
});
if (mode === "answers") {
  client.once("data", () => client.write(bytes, () => process.kill(process.pid, "SIGKILL")));
}
