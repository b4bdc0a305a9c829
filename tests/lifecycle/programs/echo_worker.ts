/**
 * A worker with a network under load: connections to itself that echo, come and go, wait and are
 * stuck. Says "open" when its network is there, "running" when it is under load.
 *
 * No await at the top: a worker that Deno 2.9.6 terminates at one leaves two descriptors behind,
 * whatever it waits for.
 *
 * @module
 */
import { type Listener, Network } from "../../../mod.ts";

const scope = globalThis as unknown as Worker;
const message = new Uint8Array(2_000);
let rounds = 0;

scope.onmessage = ({ data }) => void main(data);

async function main(topology: "shared" | "split"): Promise<void> {
  const network = await Network.start({ ring: { topology } });
  scope.postMessage("open");
  const listener = await network.bind("127.0.0.1:0");
  const churned = await network.bind("127.0.0.1:0");
  await stuck(network, churned);
  for (let i = 0; i < 20; i++) {
    void echo(listener);
    void talk(network, listener);
  }
  void churn(network, churned);
  void listener.accept();
}

async function echo(listener: Listener): Promise<void> {
  const connection = await listener.accept();
  for (let data = await connection.stream.recvSome(); data !== null;) {
    await connection.sink.send(data);
    data = await connection.stream.recvSome();
  }
}

async function talk(network: Network, listener: Listener): Promise<void> {
  const connection = await network.dial(listener.localAddress);
  for (;;) {
    await connection.sink.send(message);
    (await connection.stream.recv(message.length)).release();
    if (++rounds === 200) scope.postMessage("running");
  }
}

async function churn(network: Network, churned: Listener): Promise<void> {
  for (;;) {
    const [client, server] = await Promise.all([
      network.dial(churned.localAddress),
      churned.accept(),
    ]);
    await client.sink.send(message);
    (await server.stream.recv(message.length)).release();
    await Promise.all([client.close(), server.close()]);
  }
}

/** Both halves of both ends wait for what never comes; the send has more than the sockets take. */
async function stuck(network: Network, churned: Listener): Promise<void> {
  const [client, server] = await Promise.all([
    network.dial(churned.localAddress),
    churned.accept(),
  ]);
  void client.sink.send(new Uint8Array(8 << 20));
  void client.stream.recv(200_000, { timeoutMs: 60_000 });
  void server.sink.send(Array.from({ length: 64 }, () => new Uint8Array(100_000)));
}
