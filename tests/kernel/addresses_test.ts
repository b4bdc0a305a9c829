/**
 * The address of a peer that is gone by the time that it is asked for.
 *
 * @module
 */
import { type Connection, Network, NetworkError } from "../../mod.ts";
import { formatAddress } from "../../src/net/address/address.ts";
import { connect } from "../contract/fixture.ts";
import { assert, suite } from "../harness.ts";
import { endChildren, start } from "../lifecycle/child.ts";

const test = suite("kernel, addresses", {}, { timeoutMs: 60_000 });

test.after(() => endChildren());

const WAVE_SIZE = 50;
/** Of so many waves some connections are always reset before the dial is told. */
const WAVE_COUNT = 10;

/** A dialed connection, or null where the reset came before it was one. */
function dialed(network: Network, hostname: string, port: number): Promise<Connection | null> {
  return network.dial({ hostname, port }).catch((error) => {
    assert.instance(error, NetworkError);
    assert.is(error.errno, "ECONNRESET");
    return null;
  });
}

const DIALS: readonly (readonly [string, readonly string[]])[] = [
  ["127.0.0.1", ["127.0.0.1", "0.0.0.0"]],
  ["::1", ["::1", "0:0:0:0:0:0:0:1", "::"]],
];

for (const [hostname, asked] of DIALS) {
  test(`a dialed connection names ${hostname}, although the peer has reset it`, async () => {
    await using network = await Network.start();
    const program = start("resetter", { args: [hostname] });
    const port = Number((await program.line(/<port (\d+)>/))[1]);
    const name = formatAddress({ hostname, port });
    for (const given of asked) {
      for (let i = 0; i < WAVE_COUNT; i++) {
        const wave = Array.from({ length: WAVE_SIZE }, () => dialed(network, given, port));
        for (const connection of await Promise.all(wave)) {
          if (connection === null) continue;
          assert.equal(connection.remoteAddress, { hostname, port });
          const local = connection.localAddress as { hostname: string; port: number };
          assert.is(local.hostname, hostname, "the family of the local address");
          const error = await assert.rejects(connection.stream.recv(1, { timeoutMs: 0 }));
          assert.match(error.message, `from ${name}: `);
          connection.reset();
        }
      }
    }
    program.kill();
    await program.ended;
  });
}

test("an accepted connection names its peer, although the peer has reset it before", async () => {
  await using network = await Network.start();
  for (const address of ["127.0.0.1:0", "[::1]:0"]) {
    const listener = await network.bind(address);
    const client = await network.dial(listener.localAddress);
    const { localAddress } = client;
    client.reset();
    await client.close();
    await using server = await listener.accept();
    assert.equal(server.remoteAddress, localAddress);
    assert.equal(
      (server.localAddress as { hostname: string }).hostname,
      (listener.localAddress as { hostname: string }).hostname,
    );
    await listener.close();
  }
});

test("unix sockets: a peer that is gone is known by the path that was dialed", async () => {
  await using network = await Network.start();
  const path = `/tmp/uringnet-gone-${crypto.randomUUID().slice(0, 8)}`;
  await using pair = await connect(network, { path });
  pair.server.reset();
  await pair.listener.close();
  assert.equal(pair.client.remoteAddress, { path });
});

test.run();
