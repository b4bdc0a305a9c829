/**
 * One listening socket in several processes: a process that stops listening takes nothing from the
 * others. Two networks with a descriptor each stand for two processes, as the kernel sees no
 * difference.
 *
 * @module
 */
import { type Listener, Network, serve } from "../../mod.ts";
import { ERRNO } from "../../src/base/errno.ts";
import { networkAccess } from "../../src/net/lifecycle/network_access.ts";
import { AF_INET, writeSockaddr } from "../../src/net/address/sockaddr.ts";
import { SOON_MS } from "../contract/fixture.ts";
import { assert, suite } from "../harness.ts";
import { libc } from "../support/libc.ts";

const test = suite("shared listeners");
const SOON = { timeoutMs: SOON_MS };
const SOCK_STREAM = 1;
const ROUNDS = 100;

/** Two descriptors of one listening socket. */
function listening(): [number, number] {
  const fd = libc.socket(AF_INET, SOCK_STREAM, 0);
  const address = new Uint8Array(128);
  const { length } = writeSockaddr(address, { hostname: "127.0.0.1", port: 0 });
  assert.is(libc.bind(fd, address, length), 0);
  assert.is(libc.listen(fd, 64), 0);
  return [fd, libc.dup(fd)];
}

/** A server that answers each byte with one. */
function answering(listener: Listener) {
  return serve(listener, async ({ stream, sink }) => {
    (await stream.recv(1)).release();
    await sink.send("!");
  });
}

for (const inKernel of [false, true]) {
  const when = inKernel ? "while it accepts" : "before it accepts";
  const claim = `close() of an adopted listener ${when} leaves the backlog to the others`;
  test(claim, () => leavesTheBacklog(inKernel));
}

async function leavesTheBacklog(inKernel: boolean): Promise<void> {
  await using one = await Network.start();
  await using other = await Network.start();
  const [first, second] = listening();
  const closing = await one.adoptListener(first);
  const refused = assert.rejects(closing.accept(), { code: "Closed" });
  // Now and a turn later: the operation that accepts has not left, or is with the kernel.
  if (inKernel) await new Promise((resolve) => setTimeout(resolve, 0));
  await closing.close();
  await refused;
  const client = await other.dial(closing.localAddress, SOON);
  const listener = await other.adoptListener(second);
  const server = await listener.accept(SOON);
  await server.sink.send("here");
  assert.is((await client.stream.recv(4, SOON)).text(), "here");
  await Promise.all([client.close(), server.close()]);
}

test("no connection is lost to the process that stops", async () => {
  await using one = await Network.start();
  await using other = await Network.start();
  for (let round = 0; round < ROUNDS; round++) {
    const [first, second] = listening();
    const stopping = answering(await one.adoptListener(first));
    const staying = await other.adoptListener(second);
    const answers = Array.from({ length: 4 }, async (_, index) => {
      // Some dial before the server stops, some in the same turn, some after it.
      for (let turn = 0; turn < index * (round % 5); turn++) await Promise.resolve();
      await using client = await other.dial(staying.localAddress, SOON);
      await client.sink.send("?");
      return (await client.stream.recv(1, SOON)).text();
    });
    if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    const stopped = stopping.close();
    const successor = answering(staying);
    assert.equal(await Promise.all(answers), ["!", "!", "!", "!"], `round ${round}`);
    await stopped;
    await successor.close();
  }
});

/**
 * A direct accept is a poll and a blocking call: another process that takes the connection in
 * between leaves this thread in the kernel until the next connection arrives.
 */
test("no accept of a shared socket can block the thread", async () => {
  await using network = await Network.start();
  const { port } = networkAccess().coreOf(network).internals().recvRing;
  let directCount = 0;
  const countDirect = () => {
    directCount++;
    return -ERRNO.EAGAIN;
  };
  Object.defineProperty(port, "accept", { value: countDirect });
  const listener = await network.adoptListener(listening()[0]);
  const dial = () => Array.from({ length: 3 }, () => network.dial(listener.localAddress, SOON));
  const clients = await Promise.all(dial());
  for (const _ of clients) await (await listener.accept(SOON)).close();
  const late = await Promise.all(dial());
  const server = answering(listener);
  const answers = late.map(async ({ sink, stream }) => {
    await sink.send("?");
    return (await stream.recv(1, SOON)).text();
  });
  await server.close();
  assert.equal(await Promise.all(answers), ["!", "!", "!"]);
  assert.is(directCount, 0);
  await Promise.all([...clients, ...late].map((client) => client.close()));
});

test.run();
