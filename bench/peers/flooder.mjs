/**
 * flooder.mjs: the far end of bench/closing.ts. Sends a number of bytes over each connection and
 * reads nothing; an end or an error of a connection is expected.
 *
 * Usage: bun flooder.mjs 0
 *
 * `listening PORT` on stdout names the port. A line `dial PORT COUNT` on stdin has COUNT connections
 * dialed to that port. A line `send BYTES` has BYTES sent over every connection, accepted or dialed.
 * Ends when stdin ends.
 */
import { connect, createServer } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";

const sockets = [];

function hold(socket) {
  socket.on("error", () => {});
  sockets.push(socket);
}

const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, hold);
server.listen({ host: "127.0.0.1", port: Number(process.argv[2] ?? "0"), backlog: 4_096 }, () => {
  console.log(`listening ${server.address().port}`);
});

createInterface({ input: process.stdin }).on("line", (line) => {
  const [word, ...numbers] = line.split(" ");
  const [first, count] = numbers.map(Number);
  if (word === "send") {
    const bytes = new Uint8Array(first).fill(7);
    for (const socket of sockets) socket.write(bytes);
    return;
  }
  for (let i = 0; i < count; i++) {
    hold(connect({ host: "127.0.0.1", port: first, allowHalfOpen: true }).pause());
  }
}).on("close", () => process.exit(0));
