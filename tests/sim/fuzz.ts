/**
 * Plays random scenarios: `fuzz.ts SEEDS [FIRST]`. Stops at the first failure and says which seed,
 * unless URINGNET_FUZZ_GO_ON is set. URINGNET_CANARY=name plants one of the bugs of `canaries.ts`.
 *
 * @module
 */
import process from "node:process";
import type { FaultKind } from "../support/faults.ts";
import { CANARIES } from "../support/canaries.ts";
import { runScenario } from "../support/random_scenario.ts";

const [count = "1000", first] = process.argv.slice(2);
const from = first === undefined ? Date.now() % 0x4000_0000 : Number(first);
const to = from + Number(count);
const totals = { steps: 0, connections: 0, messages: 0, bytes: 0 };
const faults = new Map<FaultKind, number>();
const canary = process.env.URINGNET_CANARY;
if (canary !== undefined) CANARIES[canary]();
const started = performance.now();

console.log(`seeds ${from} to ${to - 1}`);
for (let seed = from; seed < to; seed++) {
  try {
    const result = await runScenario(seed);
    totals.steps += result.stepCount;
    totals.connections += result.connectionCount;
    totals.messages += result.messageCount;
    totals.bytes += result.byteCount;
    for (const [kind, times] of result.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
  } catch (error) {
    console.error(error);
    console.error(`URINGNET_SEED=${seed} URINGNET_SEEDS=1 repeats this`);
    if (process.env.URINGNET_FUZZ_GO_ON === undefined) process.exit(1);
    process.exitCode = 1;
  }
}

const seconds = (performance.now() - started) / 1_000;
const struck = [...faults].map(([kind, times]) => `${kind} ${times}`).join(", ");
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s: ${totals.connections} connections, ` +
    `${totals.messages} messages, ${totals.bytes} bytes, ${totals.steps} steps`,
);
console.log(`faults: ${struck}`);
