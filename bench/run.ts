/**
 * The benchmarks: peers side by side, in interleaved rounds, with CPU time per message first.
 *
 *   cases x rounds x peers -> one server at a time, loaded by bench/build/client -> samples
 *   samples -> medians, ratios inside each round -> tables, a JSON file, charts, the bars
 *   bars -> a page in Markdown beside the JSON file; with --publish in the documents, with charts
 *
 * Runs in Bun and in Deno, needs what bench/build.sh and scripts/build.sh build; scripts/bench.sh
 * sees to both. `--help` lists the options. Exit code: 0, whatever the figures are; 1 when nothing
 * could be measured, 2 when the arguments are not usable.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { type Bar, BARS, casesOfBars, peersOfBars } from "./bars.ts";
import { drawBarCharts } from "./lib/bar_charts.ts";
import { type Case, CASES, CHART_CASES, QUICK_CASES, selectCases } from "./lib/cases.ts";
import { drawCharts, writeCharts } from "./lib/draw.ts";
import { describeMachine, type Machine, readMachine } from "./lib/machine.ts";
import { type BenchOptions, parseOptions, USAGE } from "./lib/options.ts";
import { BENCH_FOLDER, peersOf, Runtimes } from "./lib/peers.ts";
import { Estimate, formatSeconds, Progress } from "./lib/progress.ts";
import { barsReport, echoTable, replaceBlock } from "./lib/report.ts";
import { type CaseResult, readRecord, type RunRecord, writeRecord } from "./lib/results.ts";
import { Runner } from "./lib/runner.ts";
import { SafetyBench, safetySeconds, safetyTable } from "./lib/safety.ts";
import { Sweeper, sweepSeconds } from "./lib/sweeps.ts";
import { caseTable, missingPeers, sweepTable } from "./lib/table.ts";
import { describeVerdicts, judge } from "./lib/verdicts.ts";

/** More cases than this do not show in the name of the file. */
const NAMED_CASES_MAX = 3;

const ROOT = join(BENCH_FOLDER, "..");
const CHARTS_FOLDER = join(ROOT, "docs", "charts");

/** The documents that have a block of a run, and what each of them gets. */
const PUBLISHED = [
  { document: "docs/PERFORMANCE.md", block: barsReport },
  { document: "README.md", block: echoTable },
] as const;

function chosenCases(options: BenchOptions): Case[] {
  if (options.cases !== null) return selectCases(options.cases);
  const wanted = [
    ...(options.bars ? casesOfBars() : []),
    ...(options.charts ? CHART_CASES : []),
  ];
  if (wanted.length > 0) return selectCases(wanted);
  return options.mode === "quick" ? selectCases(QUICK_CASES) : [...CASES];
}

/** The name of the results file. */
function recordName(options: BenchOptions): string {
  if (options.cases !== null) {
    return options.cases.length <= NAMED_CASES_MAX ? options.cases.join("+") : "selected";
  }
  if (options.bars) return options.charts ? "bars+charts" : "bars";
  if (options.charts) return "charts";
  return options.mode === "full" ? "all" : options.mode;
}

function listCases(): string {
  return CASES.map(({ name, group, title }) =>
    `${name.padEnd(18)}${group === name ? "".padEnd(20) : group.padEnd(20)}${title}`
  ).join("\n");
}

class Bench {
  readonly #options: BenchOptions;
  readonly #progress = new Progress();
  readonly #runtimes = new Runtimes();
  readonly #machine: Machine;
  readonly #record: RunRecord;
  readonly #began = performance.now();

  constructor(options: BenchOptions, args: readonly string[]) {
    this.#options = options;
    this.#machine = readMachine(this.#runtimes);
    this.#record = {
      date: new Date().toISOString(),
      commandLine: ["bench/run.ts", ...args].join(" "),
      machine: this.#machine,
      rounds: options.rounds,
      tookSeconds: 0,
      results: [],
    };
  }

  async run(): Promise<number> {
    const { rounds, seconds, warmup, verify, mode } = this.#options;
    const cases = chosenCases(this.#options);
    const plan = {
      cases,
      peersOf: this.#peersOf,
      rounds,
      window: { seconds, warmup, verify },
      quick: mode !== "full",
    };
    const estimate = new Estimate();
    const runner = new Runner(plan, this.#machine, this.#runtimes, this.#progress, estimate);
    const sweeper = new Sweeper(this.#machine, this.#runtimes, this.#progress, estimate);
    const safety = new SafetyBench(this.#machine, this.#runtimes, this.#progress, estimate);
    for (const { work } of cases) {
      if (work.kind === "sweep") estimate.expect(sweepSeconds(work.over, { seconds, rounds }));
      if (work.kind === "safety") estimate.expect(safetySeconds(work, plan.window, rounds));
    }
    this.#announce(cases, estimate);
    let path = "";
    for (const work of cases) {
      if (work.work.kind === "sweep") this.#addSweeps(await sweeper.run(work, { seconds, rounds }));
      else if (work.work.kind === "safety") this.#addSafety(await safety.run(work, plan));
      else this.#add(await runner.run(work));
      path = this.#write();
    }
    if (path !== "") conclude(this.#record, path, this.#options, this.print);
    return this.#record.results.some((result) => wasMeasured(result)) ? 0 : 1;
  }

  readonly print = (text: string): void => this.#progress.print(text);

  /** For the bars alone, only the peers that they are about; for a case without bars, all. */
  readonly #peersOf = (work: Case) => {
    const { bars, charts, cases, peers, mode } = this.#options;
    const judged = !charts && (bars || (cases === null && mode === "quick"));
    const needed = judged ? peersOfBars(work, peers) : [];
    return needed.length > 0 ? needed : peersOf(work, peers);
  };

  #announce(cases: readonly Case[], estimate: Estimate): void {
    const { rounds, seconds } = this.#options;
    this.print(describeMachine(this.#machine));
    this.print(
      `${cases.length} cases, ${rounds} round${rounds === 1 ? "" : "s"} of ${seconds} s: about ` +
        formatSeconds(estimate.secondsLeft),
    );
    if (cases.some(({ group }) => group === "workers") && this.#machine.pins.workers === null) {
      this.print("Fewer than three processors: workers share them with the client");
    }
  }

  #add(result: CaseResult): void {
    this.#record.results.push(result);
    this.print(`\n${caseTable(result)}`);
  }

  #addSafety(results: readonly CaseResult[]): void {
    this.#record.results.push(...results);
    for (const result of results) this.print(`\n${safetyTable(result)}`);
  }

  #addSweeps(sweeps: readonly CaseResult[][]): void {
    for (const results of sweeps) {
      this.#record.results.push(...results);
      this.print(`\n${sweepTable(results)}`);
    }
  }

  /** After each case: a run that is broken off leaves what it has. */
  #write(): string {
    const { mode, cases, peers, bars, charts } = this.#options;
    const whole = mode === "full" && cases === null && peers === null && !bars && !charts;
    const folder = join(BENCH_FOLDER, "results");
    this.#record.tookSeconds = (performance.now() - this.#began) / 1_000;
    return writeRecord(folder, recordName(this.#options), this.#record, whole);
  }
}

const SWEEP_GROUPS = ["sweep-depth", "sweep-connections", "sweep-size", "workers"];

/** The summary of a run whose record is in the file `path`. */
function conclude(
  record: RunRecord,
  path: string,
  { bars, charts, cases, publish, mode }: BenchOptions,
  print: (text: string) => void,
): void {
  const { results } = record;
  for (const group of SWEEP_GROUPS) {
    const points = results.filter((result) => result.case.group === group);
    if (points.length > 1) print(`\n${sweepTable(points)}`);
  }
  const judged = bars && cases === null ? BARS : barsOfCases(results);
  if (bars || mode === "quick") print(`\n${describeVerdicts(judge(results, judged))}`);
  if (charts) {
    const drawn = drawCharts(results);
    writeCharts(CHARTS_FOLDER, drawn);
    print(`\n${drawn.size} charts in docs/charts`);
  }
  const missing = missingPeers(results);
  if (missing.length > 0) print(`\nMissing peers:\n${missing.join("\n")}`);
  print(`\nThe record is bench/results/${basename(path)}`);
  if (bars) print(`The bars as a page: ${writePage(record, judged, path)}`);
  if (publish) print(`Published: ${publishRun(record).join(", ")}`);
}

/** The bars of the cases that were run, where others are not to be named as missing. */
function barsOfCases(results: readonly CaseResult[]): Bar[] {
  const names = new Set(results.map((result) => result.case.name));
  return BARS.map((bar) => ({ ...bar, cases: bar.cases.filter((name) => names.has(name)) }));
}

/** The bars in Markdown, beside the record. Returns the name of the file. */
function writePage(record: RunRecord, bars: readonly Bar[], path: string): string {
  const page = path.replace(/\.json$/, ".md");
  writeFileSync(page, `${barsReport(record, bars)}\n`);
  return `bench/results/${basename(page)}`;
}

/** Puts a run of the bars into the documents, and draws the charts that they show. */
function publishRun(record: RunRecord): string[] {
  for (const { document, block } of PUBLISHED) {
    const path = join(ROOT, document);
    writeFileSync(path, replaceBlock(readFileSync(path, "utf8"), "bars", block(record)));
  }
  const charts = drawBarCharts(record.results);
  writeCharts(CHARTS_FOLDER, charts);
  const drawn = [...charts.keys()].map((name) => `docs/charts/${name}.svg`);
  return [...PUBLISHED.map(({ document }) => document), ...drawn];
}

/** Tables, verdicts and charts of what was measured before. */
function showAgain(options: BenchOptions, paths: readonly string[]): number {
  const record = readRecord(paths);
  const { results } = record;
  for (const result of results) {
    const { group, x } = result.case;
    if (x === undefined || SWEEP_GROUPS.includes(group)) console.log(`${caseTable(result)}\n`);
  }
  for (const group of new Set(results.map((result) => result.case.group))) {
    const points = results.filter((result) => result.case.group === group);
    const own = points.length > 1 && points[0].case.work.kind === "sweep";
    if (own) console.log(`${sweepTable(points)}\n`);
  }
  conclude(record, paths[paths.length - 1], options, console.log);
  return 0;
}

function wasMeasured({ peers }: CaseResult): boolean {
  return peers.some(({ samples }) => samples.some((sample) => sample !== null));
}

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseOptions(args);
    chosenCases(options);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (options.help || options.list) {
    console.log(options.help ? USAGE : listCases());
    return 0;
  }
  if (options.from !== null) return showAgain(options, options.from);
  if (!existsSync(join(BENCH_FOLDER, "build", "client"))) {
    console.error("The client is missing: run bench/build.sh");
    return 1;
  }
  return await new Bench(options, args).run();
}

process.exit(await main(process.argv.slice(2)));
