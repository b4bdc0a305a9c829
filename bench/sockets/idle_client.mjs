/**
 * Connects COUNT times and holds what it has: PROGRAM PORT COUNT.
 *
 * @module
 */
import net from "node:net";
import process from "node:process";

const [port, count] = process.argv.slice(2).map(Number);
for (let i = 0; i < count; i += 100) {
  const batch = Array.from(
    { length: Math.min(100, count - i) },
    () =>
      new Promise((resolve, reject) => {
        const socket = net.connect({ port, host: "127.0.0.1" }, resolve);
        socket.once("error", reject);
      }),
  );
  await Promise.all(batch);
}
