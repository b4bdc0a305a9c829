/**
 * Ports for servers of other programs.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the ports that the kernel gives to outgoing connections, which come and go all the time.
 */
const FIRST_PORT = 12_000;
const LAST_PORT = 31_000;
const PORT_ATTEMPTS = 100;

/** A port that was free a moment ago, and that no outgoing connection takes. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    const server = createServer().listen(port, "127.0.0.1");
    const free = await new Promise<boolean>((resolve) => {
      server.once("listening", () => resolve(true));
      server.once("error", () => resolve(false));
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error(`No free port from ${FIRST_PORT} to ${LAST_PORT}`);
}
