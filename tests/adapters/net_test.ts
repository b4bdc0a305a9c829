/**
 * `uringnet/net` does what `node:net` does: the same programs, over both. What a runtime's own
 * module does in its own way is named in the scenario.
 *
 * @module
 */
import process from "node:process";
import ring, { netNetwork } from "../../src/adapters/net.ts";
import { assert, suite } from "../harness.ts";
import { type Net, type Scenario, SCENARIOS } from "./net_scenarios.ts";

const test = suite("adapters/net", {}, { timeoutMs: 10_000 });
const runtime = "Bun" in globalThis ? "bun" : "deno";

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
  test(scenario.claim, async () => {
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

test.run();
