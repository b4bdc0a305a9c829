/**
 * Random scenarios: URINGNET_SEEDS of them (150), from the seed URINGNET_SEED on.
 *
 * @module
 */
import process from "node:process";
import { assert, randomSeed, suite } from "../harness.ts";
import { runScenario } from "../support/random_scenario.ts";

const SEED_COUNT = Number(process.env.URINGNET_SEEDS ?? 150);
const TEST_COUNT = Math.min(SEED_COUNT, 10);
/** The time that one seed may take on a slow machine. */
const SEED_MS = 1_000;

const test = suite("sim/random");

for (let part = 0; part < TEST_COUNT; part++) {
  const from = Math.floor((SEED_COUNT * part) / TEST_COUNT);
  const to = Math.floor((SEED_COUNT * (part + 1)) / TEST_COUNT);
  const timeoutMs = 10_000 + (to - from) * SEED_MS;
  test(`seeds ${from} to ${to - 1} deliver every byte and leave nothing behind`, async () => {
    const first = randomSeed();
    let byteCount = 0;
    for (let i = from; i < to; i++) {
      const result = await runScenario((first + i) >>> 0);
      byteCount += result.byteCount;
    }
    assert.ok(byteCount >= 0);
  }, { timeoutMs });
}

test("the same seed plays the same scenario", async () => {
  const seed = randomSeed();
  const first = await runScenario(seed);
  const second = await runScenario(seed);
  assert.is(second.stepCount, first.stepCount);
  assert.is(second.byteCount, first.byteCount);
  assert.equal([...second.faults], [...first.faults]);
});

test.run();
