/**
 * Ends abruptly, in the way that its argument names, while fifty connections echo.
 *
 * @module
 */
import process from "node:process";
import { Network } from "../../../mod.ts";

const kind = process.argv.at(-1);
const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const message = new Uint8Array(4_096);

async function echo(): Promise<void> {
  const connection = await listener.accept();
  for (let data = await connection.stream.recvSome(); data !== null;) {
    await connection.sink.send(data);
    data = await connection.stream.recvSome();
  }
}

let rounds = 0;
async function talk(): Promise<void> {
  const connection = await network.dial(listener.localAddress);
  for (;;) {
    await connection.sink.send(message);
    (await connection.stream.recv(message.length)).release();
    rounds++;
  }
}

for (let i = 0; i < 50; i++) {
  for (const call of [echo(), talk()]) {
    call.catch((error) => {
      if (kind !== "close" || error.code !== "Closed") throw error;
    });
  }
}
const stuck = await Promise.all([network.dial(listener.localAddress), listener.accept()]);
void stuck[0].sink.send(new Uint8Array(24 << 20)).catch(() => {});
setTimeout(() => {
  if (rounds < 100) throw new Error("nothing happened");
  console.log("<ending>");
  if (kind === "exit") process.exit(7);
  if (kind === "throw") throw new Error("on purpose");
  if (kind === "rejection") void Promise.reject(new Error("on purpose"));
  if (kind === "close") {
    network.close().then(() => {
      console.log("<closed>");
      process.exit(0);
    });
  }
}, 200);
