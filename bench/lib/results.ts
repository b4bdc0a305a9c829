/**
 * The results of a case: a sample for each peer and round, and the ratios that are drawn from them.
 *
 * @module
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case } from "./cases.ts";
import type { Machine } from "./machine.ts";
import { type MetricName, METRICS, type Sample } from "./metrics.ts";
import { isFloor, type Peer } from "./peers.ts";
import { ratio, type Rounds, type Spread, spread } from "./statistics.ts";

export interface PeerResult {
  peer: string;
  /** The peer with the runtime's own sockets, or null. */
  own: string | null;
  family: Peer["family"];
  /** Why it could not run at all; null when it did. */
  missing: string | null;
  /** By round; null where the round failed. */
  samples: (Sample | null)[];
  /** The failures of single rounds. */
  failures: string[];
}

export interface CaseResult {
  case: Case;
  /** Why nothing was measured; null when it was. */
  skipped: string | null;
  seconds: number;
  peers: PeerResult[];
}

export function newPeerResult({ name, own, family }: Peer): PeerResult {
  return { peer: name, own, family, missing: null, samples: [], failures: [] };
}

export function roundsOf(result: PeerResult, metric: MetricName): Rounds {
  return result.samples.map((sample) => sample?.[metric] ?? null);
}

export function spreadOf(result: PeerResult, metric: MetricName): Spread | null {
  return spread(roundsOf(result, metric));
}

export function findPeer(result: CaseResult, name: string | null): PeerResult | null {
  return result.peers.find(({ peer }) => peer === name) ?? null;
}

/** The C server on io_uring with the lower median of the case's first figure. */
export function bestFloor(result: CaseResult): PeerResult | null {
  let best: PeerResult | null = null;
  let lowest = Infinity;
  for (const candidate of result.peers) {
    const found = spreadOf(candidate, result.case.primary);
    if (!isFloor(candidate.peer) || found === null) continue;
    if (found.median >= lowest) continue;
    best = candidate;
    lowest = found.median;
  }
  return best;
}

/** Median, least and greatest of the ratios of each round; null when there is nothing to divide. */
export function ratioTo(
  result: PeerResult,
  other: PeerResult | null,
  metric: MetricName,
): Spread | null {
  if (other === null || other === result) return null;
  return ratio(roundsOf(result, metric), roundsOf(other, metric));
}

/** Everything of one run of the benchmarks. */
export interface RunRecord {
  date: string;
  commandLine: string;
  machine: Machine;
  rounds: number;
  /** From the start of the run to its last figure. */
  tookSeconds: number;
  results: CaseResult[];
}

/** A row as it is kept: the samples and what follows from them. */
function summarized(result: CaseResult): unknown {
  const floor = bestFloor(result);
  const { work, ...about } = result.case;
  const peers = result.peers.map((peer) => {
    const metrics = (Object.keys(METRICS) as MetricName[]).filter((metric) =>
      spreadOf(peer, metric) !== null
    );
    const own = findPeer(result, peer.own);
    return {
      ...peer,
      figures: Object.fromEntries(metrics.map((metric) => [metric, {
        ...spreadOf(peer, metric),
        toFloor: ratioTo(peer, floor, metric)?.median ?? null,
        toOwn: ratioTo(peer, own, metric)?.median ?? null,
      }])),
    };
  });
  return { ...result, case: { ...about, work }, floor: floor?.peer ?? null, peers };
}

/** 2031-02-03T04:05:06.789Z -> 2031-02-03T04-05-06 */
export function fileDate(date: string): string {
  return date.slice(0, 19).replaceAll(":", "-");
}

/**
 * The records of several files as one: of a case that several have, the last; all command lines,
 * the time of all together; of everything else, the last file's.
 */
export function readRecord(paths: readonly string[]): RunRecord {
  const byName = new Map<string, CaseResult>();
  const records = paths.map((path) => JSON.parse(readFileSync(path, "utf8")) as RunRecord);
  for (const { results } of records) {
    for (const result of results) byName.set(result.case.name, result);
  }
  return {
    ...records[records.length - 1],
    commandLine: [...new Set(records.map(({ commandLine }) => commandLine))].join("; "),
    tookSeconds: records.reduce((sum, { tookSeconds }) => sum + tookSeconds, 0),
    results: [...byName.values()],
  };
}

/** Writes `<name>-<date>.json`, and `latest.json` beside it when asked. Returns the path. */
export function writeRecord(
  folder: string,
  name: string,
  record: RunRecord,
  latest: boolean,
): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}-${fileDate(record.date)}.json`);
  const text = JSON.stringify({ ...record, results: record.results.map(summarized) }, null, 1);
  writeFileSync(path, `${text}\n`);
  if (latest) copyFileSync(path, join(folder, "latest.json"));
  return path;
}
