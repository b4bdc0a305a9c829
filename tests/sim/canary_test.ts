/**
 * Each planted bug must be caught. `URINGNET_CANARY=name` plays that one alone.
 *
 * @module
 */
import process from "node:process";
import { assert, suite } from "../harness.ts";
import { CANARIES } from "../support/canaries.ts";
import { runScenario } from "../support/random_scenario.ts";

/** Within so many seeds: the bug that is hardest to see shows in one of a hundred. */
const SEED_COUNT_MAX = 500;
const CONTROL_SEED_COUNT = 150;

const chosen = process.env.URINGNET_CANARY;
const test = suite("sim/canary");

/** The first seed that catches the bug, and how; null when none does. */
async function catchCanary(name: string): Promise<{ seed: number; error: Error } | null> {
  for (let seed = 1; seed <= SEED_COUNT_MAX; seed++) {
    const takeOut = CANARIES[name]();
    try {
      await runScenario(seed);
    } catch (error) {
      return { seed, error: error as Error };
    } finally {
      takeOut();
    }
  }
  return null;
}

for (const name of Object.keys(CANARIES)) {
  if (chosen !== undefined && chosen !== name) continue;
  test(`a core that ${name} is caught`, async () => {
    const caught = await catchCanary(name);
    assert.ok(caught !== null, `not caught by ${SEED_COUNT_MAX} seeds`);
    if (chosen !== undefined) console.log(caught?.error);
  }, { timeoutMs: 60_000 });
}

test("a core without a bug passes the same seeds", async () => {
  let multishotCount = 0;
  for (let seed = 1; seed <= CONTROL_SEED_COUNT; seed++) {
    multishotCount += (await runScenario(seed)).multishotCount;
  }
  assert.ok(multishotCount > 100, `${multishotCount} receives that complete many times`);
}, { timeoutMs: 120_000 });

test.run();
