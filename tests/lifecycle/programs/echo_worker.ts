/**
 * A worker with a network under load: twenty connections to itself.
 *
 * @module
 */
import { Network } from "../../../mod.ts";

const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const message = new Uint8Array(2_000);
let rounds = 0;

async function echo(): Promise<void> {
  const connection = await listener.accept();
  for (let data = await connection.stream.recvSome(); data !== null;) {
    await connection.sink.send(data);
    data = await connection.stream.recvSome();
  }
}

async function talk(): Promise<void> {
  const connection = await network.dial(listener.localAddress);
  for (;;) {
    await connection.sink.send(message);
    (await connection.stream.recv(message.length)).release();
    if (++rounds === 200) (globalThis as unknown as Worker).postMessage("running");
  }
}

for (let i = 0; i < 20; i++) {
  void echo();
  void talk();
}
