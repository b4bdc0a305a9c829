/**
 * Plays random scenarios: `fuzz.ts SEEDS FIRST`. Says now and then how far it is, stops at the
 * first failure and says how to play that seed again. URINGNET_FUZZ_GO_ON goes on instead,
 * URINGNET_CANARY=name plants one of the bugs of `canaries.ts`.
 *
 * @module
 */
import process from "node:process";
import type { FaultKind } from "../support/faults.ts";
import { CANARIES } from "../support/canaries.ts";
import { runScenario } from "../support/random_scenario.ts";

const PROGRESS_MS = 5_000;

const runtime = process.versions.bun === undefined ? "deno" : "bun";
const [seedCount, first] = process.argv.slice(2).map(Number);
if (!Number.isSafeInteger(seedCount) || !Number.isSafeInteger(first)) {
  throw new Error("usage: fuzz.ts SEEDS FIRST");
}
const canary = process.env.URINGNET_CANARY;
if (canary !== undefined) CANARIES[canary]();

const totals = {
  seeds: 0,
  failed: 0,
  connections: 0,
  messages: 0,
  bytes: 0,
  turns: 0,
  multishots: 0,
  multishotCompletions: 0,
  bulk: 0,
  idleStepsMax: 0,
};
const faults = new Map<FaultKind, number>();
const startedMs = performance.now();
let toldMs = startedMs;

async function play(seed: number): Promise<void> {
  const result = await runScenario(seed);
  totals.connections += result.connectionCount;
  totals.messages += result.messageCount;
  totals.bytes += result.byteCount;
  totals.turns += result.turnCount;
  totals.multishots += result.multishotCount;
  totals.multishotCompletions += result.moreCount;
  totals.bulk += result.bulkCount;
  totals.idleStepsMax = Math.max(totals.idleStepsMax, result.idleStepCountMax);
  for (const [kind, times] of result.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
}

function tellProgress(): void {
  const now = performance.now();
  if (now - toldMs < PROGRESS_MS) return;
  toldMs = now;
  const { seeds, failed, bytes } = totals;
  const leftS = Math.ceil(((now - startedMs) / seeds) * (seedCount - seeds) / 1_000);
  console.log(
    `${runtime}: ${seeds} of ${seedCount} seeds, ${failed} failed, ` +
      `${Math.round(bytes / 1e6)} MB compared, ${leftS} s left`,
  );
}

console.log(`${runtime}: seeds ${first} to ${first + seedCount - 1}`);
for (let seed = first; seed < first + seedCount; seed++) {
  totals.seeds++;
  try {
    await play(seed);
  } catch (error) {
    totals.failed++;
    console.error(error);
    console.error(`${runtime}: again: make fuzz SEEDS=1 FIRST=${seed} RUNTIMES=${runtime}`);
    if (process.env.URINGNET_FUZZ_GO_ON === undefined) break;
  }
  tellProgress();
}

const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
const struck = [...faults].sort().map(([kind, times]) => `${kind} ${times}`);
console.log(`${runtime}: faults: ${struck.join(", ")}`);
console.log(
  `${runtime}: ${totals.seeds} seeds in ${seconds} s, ${totals.failed} failed: ` +
    `${totals.connections} connections, ${totals.messages} messages, ${totals.bytes} bytes, ` +
    `${totals.turns} turns, ${totals.multishots} multishot receives with ` +
    `${totals.multishotCompletions} completions` +
    `, ${totals.bulk} large receives, nothing moved for at most ${totals.idleStepsMax} steps`,
);
if (totals.failed > 0) process.exit(1);
