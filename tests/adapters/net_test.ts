/**
 * `uringnet/net` does what `node:net` does: the same programs, over both. Behaviour that a
 * runtime's own module does in its own way is named in the scenario.
 *
 * @module
 */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import ring, { netNetwork } from "../../src/adapters/net.ts";
import { assert, suite } from "../harness.ts";
import { type Net, type Scenario, SCENARIOS } from "./net_scenarios.ts";

const test = suite("adapters/net", {}, { timeoutMs: 30_000 });
const runtime = "Bun" in globalThis ? "bun" : "deno";
const portable = process.env.URINGNET_BACKEND === "portable";

const builtin = (process as unknown as { getBuiltinModule(name: string): Net })
  .getBuiltinModule("node:net");

async function played({ play }: Scenario, net: Net): Promise<string[]> {
  const lines: string[] = [];
  await play(net, (line) => void lines.push(line));
  return lines;
}

/** The end of a connection is seen before its descriptor is closed. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 2));
}

for (const scenario of SCENARIOS) {
  const different = portable ? scenario.portable?.[runtime] ?? null : null;
  test.skipIf(different, scenario.claim, async () => {
    const before = netNetwork().stats();
    assert.equal(await played(scenario, ring as unknown as Net), scenario.expected);
    const used = netNetwork().stats().ringSubmissions - before.ringSubmissions;
    assert.ok(used > 0, "the ring was used");
    await until(() => netNetwork().stats().connections === before.connections);
  });

  const reason = scenario.differs?.[runtime];
  test.skipIf(
    reason === undefined ? null : reason,
    `${runtime}'s own node:net: ${scenario.claim}`,
    async () => assert.equal(await played(scenario, builtin), scenario.expected),
  );
}

test("a destroyed socket closes at once, although its peer has yet to take the bytes", async () => {
  const server = ring.createServer({ pauseOnConnect: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const accepted = once(server, "connection");
  const client = ring.connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [peer] = await accepted as [Socket];
  client.write(Buffer.alloc(1_048_576));
  const { _handle: handle } = client as unknown as { _handle: { queuedBytes: number } };
  await until(() => client.writableLength === 0 && handle.queuedBytes === 0);
  const { connections } = netNetwork().stats();
  client.destroy();
  await once(client, "close");
  assert.is(netNetwork().stats().connections, connections, "the connection lingers");
  peer.destroy();
  server.close();
  await once(server, "close");
});

test("a large write that is destroyed calls back, and its memory is read no more", async () => {
  const server = ring.createServer({ allowHalfOpen: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const accepted = once(server, "connection");
  const client = ring.connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [peer] = await accepted as [Socket];
  peer.on("error", () => {});
  const bytes = new Uint8Array(20_000_000).fill(1);
  const returned = new Promise((resolve) => client.write(bytes, () => resolve(bytes.fill(2))));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.destroy();
  await returned;
  let wrongCount = 0;
  peer.on("data", (chunk) => void (wrongCount += chunk.every((byte) => byte === 1) ? 0 : 1));
  await new Promise((resolve) => peer.once("end", resolve).once("close", resolve));
  assert.is(wrongCount, 0, "chunks with bytes of the memory's next use");
  peer.destroy();
  server.close();
  await once(server, "close");
});

test.run();
