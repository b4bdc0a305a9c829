/**
 * The messages of errors: the attempt, the address, and the event.
 *
 * @module
 */
import { formatAddress } from "../../src/net/address/address.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { withPair } from "../support/pair.ts";
import { Sim } from "../support/sim.ts";

const test = suite("sim/messages");

const NARROW = { sendCapacity: 4_096, recvCapacity: 4_096 };
/** The bytes that a narrow connection takes before its peer reads. */
const NARROW_BYTES = 8_192;

/** The message of a call that must fail, and that of the error behind it. */
async function said(call: Promise<unknown>): Promise<string[]> {
  const error = await assert.rejects(call, { name: "NetworkError" });
  const cause = error.cause as Error | undefined;
  return cause === undefined ? [error.message] : [error.message, cause.message];
}

function peerOf(connection: Connection): string {
  return formatAddress(connection.remoteAddress);
}

test("receives: the length, the peer, and how far they came", async () => {
  await withPair({}, async ({ client, server }) => {
    const peer = peerOf(server);
    assert.match(peer, /^127\.0\.0\.1:\d+$/);
    assert.equal(await said(server.stream.recv(10, { timeoutMs: 20 })), [
      `Cannot receive 10 bytes from ${peer}: 20 ms passed after 0 bytes`,
    ]);
    assert.equal(await said(server.stream.recvSome(10, { timeoutMs: 0 })), [
      `Cannot receive from ${peer}: 0 ms passed after 0 bytes`,
    ]);
    await client.sink.send("five!");
    await client.sink.close();
    assert.equal(await said(server.stream.recv(10)), [
      `Cannot receive 10 bytes from ${peer}: the peer closed after 5 bytes`,
    ]);
  });
});

test("a peer that has reset before the dial was told is named, with the right family", async () => {
  const asked = [["127.0.0.1", "127.0.0.1"], ["::1", "::1"], ["0:0:0:0:0:0:0:1", "::1"]];
  const sim = new Sim({ faults: { late: 1 } });
  let gone = 0;
  await sim.run(async () => {
    const network = sim.open();
    for (const [given, hostname] of asked) {
      const listener = await network.bind({ hostname, port: 0 });
      const { port } = listener.localAddress as { port: number };
      for (let i = 0; i < 20; i++) {
        const accepting = listener.accept().then((server) => server.reset());
        const client = await network.dial({ hostname: given, port });
        await accepting;
        assert.equal(client.remoteAddress, { hostname, port });
        if (sim.kernel.all.some(({ open, dead }) => open && dead)) gone++;
        await assert.rejects(client.stream.recv(1), {
          message: `Cannot receive 1 bytes from ${formatAddress({ hostname, port })}: ` +
            "connection reset by peer (ECONNRESET) after 0 bytes",
        });
        client.reset();
      }
      await listener.close();
    }
    await network.close();
  });
  sim.checkNothingLeft();
  assert.ok(gone > 5, `${gone} peers were gone`);
});

test("receives: a reset, and what was closed on this side", async () => {
  await withPair({}, async ({ client, server }) => {
    const waiting = said(server.stream.recv(10));
    client.reset();
    assert.equal(await waiting, [
      `Cannot receive 10 bytes from ${peerOf(server)}: connection reset by peer (ECONNRESET) ` +
      "after 0 bytes",
    ]);
    assert.equal(await said(client.stream.recvSome()), [
      `Cannot receive from ${peerOf(client)}: the connection was reset`,
      `Cannot use the connection to ${peerOf(client)}: the connection was reset`,
    ]);
  });
  await withPair({}, async ({ client }) => {
    const waiting = said(client.stream.recv(7));
    await client.close();
    assert.equal(await waiting, [
      `Cannot receive 7 bytes from ${peerOf(client)}: the connection was closed`,
      `Cannot use the connection to ${peerOf(client)}: the connection was closed`,
    ]);
  });
  await withPair({}, async ({ client }) => {
    await client.readable.cancel();
    assert.equal(await said(client.stream.recv(7)), [
      `Cannot receive 7 bytes from ${peerOf(client)}: the readable stream was cancelled`,
      `Cannot use the connection to ${peerOf(client)}: the readable stream was cancelled`,
    ]);
  });
});

test("sends: the length, the peer, and how much was taken", async () => {
  await withPair({ kernel: NARROW }, async ({ client }) => {
    const peer = peerOf(client);
    const timedOut = `Cannot send 20000 bytes to ${peer}: 20 ms passed after ${NARROW_BYTES} bytes`;
    const sends = [
      said(client.sink.send(contentOf(1, 20_000), { timeoutMs: 20 })),
      said(client.sink.send(contentOf(2, 10))),
    ];
    assert.equal(await Promise.all(sends), [[timedOut], [
      `Cannot send 10 bytes to ${peer}: the sink was closed by an earlier failure after 0 bytes`,
      timedOut,
    ]]);
    assert.equal(await said(client.sink.send("late")), [
      `Cannot send to ${peer}: the sink is closed`,
      timedOut,
    ]);
  });
  await withPair({}, async ({ client, sim }) => {
    sim.faults.plan("sendErrno", 1);
    const [message] = await said(client.sink.send(contentOf(1, 64)));
    const start = `Cannot send 64 bytes to ${peerOf(client)}: `;
    assert.is(message.slice(0, start.length), start);
    assert.match(message, /\(E[A-Z]+\) after 0 bytes$/);
  });
  await withPair({}, async ({ client, sim }) => {
    sim.faults.plan("zeroSend", 1);
    assert.equal(await said(client.sink.send(contentOf(1, 64))), [
      `Cannot send 64 bytes to ${peerOf(client)}: the kernel took 0 bytes after 0 bytes`,
    ]);
  });
});

test("sends: what was closed on this side", async () => {
  await withPair({ kernel: NARROW }, async ({ client, sim }) => {
    const peer = peerOf(client);
    const sends = [
      said(client.sink.send(contentOf(1, 20_000))),
      said(client.sink.send(contentOf(2, 10))),
    ];
    await sim.sleep(10);
    client.reset();
    assert.equal(await Promise.all(sends), [
      [`Cannot send 20000 bytes to ${peer}: the connection was reset after ${NARROW_BYTES} bytes`],
      [`Cannot send 10 bytes to ${peer}: the connection was reset after 0 bytes`],
    ]);
    assert.equal(await said(client.sink.send("late")), [
      `Cannot send to ${peer}: the sink is closed`,
      `Cannot use the connection to ${peer}: the connection was reset`,
    ]);
  });
  const config = { shutdownTimeoutMs: 30 };
  await withPair({ kernel: NARROW, config }, async ({ client }) => {
    const peer = peerOf(client);
    const sending = said(client.sink.send(contentOf(1, 20_000)));
    await client.sink.close();
    assert.equal(await sending, [
      `Cannot send 20000 bytes to ${peer}: the sink was closed and 30 ms passed ` +
      `after ${NARROW_BYTES} bytes`,
    ]);
    assert.equal(await said(client.sink.send("late")), [
      `Cannot send to ${peer}: the sink is closed`,
      `Cannot use the connection to ${peer}: the sink was closed`,
    ]);
  });
});

test("flushes: the peer, and what became of the bytes", async () => {
  await withPair({ kernel: NARROW }, async ({ client }) => {
    const peer = peerOf(client);
    const sending = said(client.sink.send(contentOf(1, 20_000)));
    assert.equal(await said(client.sink.flush({ timeoutMs: 20 })), [
      `Cannot flush to ${peer}: 20 ms passed`,
    ]);
    const flushing = said(client.sink.flush());
    client.reset();
    await sending;
    assert.equal(await flushing, [
      `Cannot flush to ${peer}: the connection was reset`,
      `Cannot use the connection to ${peer}: the connection was reset`,
    ]);
  });
});

test("listeners: their own address", async () => {
  await withPair({}, async ({ listener }) => {
    const name = formatAddress(listener.localAddress);
    assert.equal(await said(listener.accept({ timeoutMs: 20 })), [
      `Cannot accept on ${name}: 20 ms passed`,
    ]);
    const waiting = said(listener.accept());
    await listener.close();
    const closed = [
      `Cannot accept on ${name}: the listener is closed`,
      `Cannot accept on ${name}: the listener was closed`,
    ];
    assert.equal(await waiting, closed);
    assert.equal(await said(listener.accept()), closed);
  });
});

test("binding and dialing: the address as it was given", async () => {
  await withPair({}, async ({ network, sim }) => {
    assert.equal(await said(network.bind("nobody:80")), [
      "Cannot bind nobody:80: name lookup failed: no such name: nobody",
      "no such name: nobody",
    ]);
    sim.host.names.set("nowhere", []);
    assert.equal(await said(network.bind("nowhere:80")), [
      "Cannot bind nowhere:80: name lookup failed: the name has no address",
      "the name has no address",
    ]);
    const closing = network.close();
    assert.equal(await said(network.bind("name:80")), [
      "Cannot bind name:80: the network is closed",
    ]);
    assert.equal(await said(network.dial({ hostname: "::1", port: 9 })), [
      "Cannot dial [::1]:9: the network is closed",
    ]);
    await closing;
  });
});

test.run();
