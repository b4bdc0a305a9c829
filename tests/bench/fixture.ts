/**
 * Made-up results, and a bar to judge them by.
 *
 * @module
 */
import type { Bar } from "../../bench/bars.ts";
import { selectCases } from "../../bench/lib/cases.ts";
import type { MetricName } from "../../bench/lib/metrics.ts";
import { type Peer, PEERS } from "../../bench/lib/peers.ts";
import { type CaseResult, newPeerResult } from "../../bench/lib/results.ts";

/** The values of one metric, round by round, of each peer that was measured. */
export function caseResult(
  name: string,
  metric: MetricName,
  rounds: Readonly<Record<string, readonly (number | null)[]>>,
): CaseResult {
  const peers = Object.entries(rounds).map(([peer, values]) => ({
    ...newPeerResult(PEERS.find((known) => known.name === peer) as Peer),
    samples: values.map((value) => value === null ? null : { [metric]: value }),
  }));
  return { case: selectCases([name])[0], skipped: null, seconds: 1, peers };
}

/** At most half of the CPU of the runtime's own sockets. */
export const BAR: Bar = {
  claim: "claim",
  cases: ["echo-50x64"],
  metric: "cpuUs",
  subject: "",
  against: "own",
  compare: "ratio",
  sense: "at most",
  limits: { bun: 0.5, deno: 0.5 },
};
