/**
 * Loads an echo server of WebSockets: PROGRAM PORT SECONDS. Fifty connections over the
 * runtime's own sockets, each with one message of 64 bytes at a time. Frames are written here by
 * hand: the client must not be what is measured.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import net from "node:net";
import process from "node:process";

const [port, seconds] = process.argv.slice(2).map(Number);
const CONNECTION_COUNT = 50;
const PAYLOAD_BYTES = 64;
/** A masked frame with a mask of zeroes. */
const frame = Buffer.alloc(6 + PAYLOAD_BYTES, 97);
frame.set([0x82, 0x80 | PAYLOAD_BYTES, 0, 0, 0, 0]);
const ANSWER_BYTES = 2 + PAYLOAD_BYTES;
const upgrade = [
  "GET / HTTP/1.1",
  "Host: localhost",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");

let count = 0;
function open() {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  let upgraded = false;
  let received = 0;
  socket.write(upgrade);
  socket.on("data", (data) => {
    if (!upgraded) {
      upgraded = true;
      socket.write(frame);
      return;
    }
    received += data.length;
    if (received < ANSWER_BYTES) return;
    received -= ANSWER_BYTES;
    count++;
    socket.write(frame);
  });
}

for (let i = 0; i < CONNECTION_COUNT; i++) open();
setTimeout(() => {
  console.log(JSON.stringify({ count }));
  process.exit(0);
}, seconds * 1_000);
