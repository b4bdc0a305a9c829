/**
 * The benchmarks: peers side by side, in interleaved rounds, with CPU time per message first.
 *
 *   cases x rounds x peers -> one server at a time, loaded by bench/build/client -> samples
 *   samples -> medians, ratios inside each round -> tables, a JSON file, charts, the bars
 *
 * Runs in Bun and in Deno, needs what bench/build.sh and scripts/build.sh build; scripts/bench.sh
 * sees to both. `--help` lists the options. Exit code: 0, whatever the figures are; 1 when nothing
 * could be measured, 2 when the arguments are not usable.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { casesOfBars, describeVerdicts, judge } from "./bars.ts";
import { type Case, CASES, QUICK_CASES, selectCases } from "./lib/cases.ts";
import { drawCharts, writeCharts } from "./lib/draw.ts";
import { runIovec } from "./lib/iovec.ts";
import { describeMachine, type Machine, readMachine } from "./lib/machine.ts";
import { type BenchOptions, parseOptions, USAGE } from "./lib/options.ts";
import { BENCH_FOLDER, Runtimes } from "./lib/peers.ts";
import { formatSeconds, Progress } from "./lib/progress.ts";
import { type CaseResult, type RunRecord, writeRecord } from "./lib/results.ts";
import { Runner } from "./lib/runner.ts";
import { caseTable, sweepTable } from "./lib/table.ts";

/** Parts of the window that each of the sweep's 56 points gets. */
const IOVEC_WINDOW_PART = 0.1;

/** More cases than this do not show in the name of the file. */
const NAMED_CASES_MAX = 3;

function chosenCases(options: BenchOptions): Case[] {
  if (options.cases !== null) return selectCases(options.cases);
  if (options.bars) return selectCases(casesOfBars());
  return options.mode === "quick" ? selectCases(QUICK_CASES) : [...CASES];
}

/** What the file of results is called after. */
function recordName(options: BenchOptions): string {
  if (options.cases !== null) {
    return options.cases.length <= NAMED_CASES_MAX ? options.cases.join("+") : "selected";
  }
  if (options.bars) return "bars";
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

  constructor(options: BenchOptions, args: readonly string[]) {
    this.#options = options;
    this.#machine = readMachine(this.#runtimes);
    this.#record = {
      date: new Date().toISOString(),
      commandLine: ["bench/run.ts", ...args].join(" "),
      machine: this.#machine,
      rounds: options.rounds,
      results: [],
    };
  }

  async run(): Promise<number> {
    const { rounds, seconds, warmup, verify, mode, peers } = this.#options;
    const cases = chosenCases(this.#options);
    const plan = {
      cases,
      peers,
      rounds,
      window: { seconds, warmup, verify },
      quick: mode !== "full",
    };
    const runner = new Runner(plan, this.#machine, this.#runtimes, this.#progress);
    const { print } = this;
    print(describeMachine(this.#machine));
    print(
      `${cases.length} cases, ${rounds} round${rounds === 1 ? "" : "s"} of ${seconds} s: about ` +
        formatSeconds(runner.secondsLeft),
    );
    if (cases.some(({ group }) => group === "workers") && this.#machine.pins.workers === null) {
      print("Fewer than three processors: workers share them with the client");
    }
    let path = "";
    for (const work of cases) {
      if (work.work.kind === "iovec") await this.#sweepPieces(work);
      else this.#add(await runner.run(work));
      path = this.#write();
    }
    this.#conclude(path);
    return this.#record.results.some((result) => wasMeasured(result)) ? 0 : 1;
  }

  readonly print = (text: string): void => this.#progress.print(text);

  #add(result: CaseResult): void {
    this.#record.results.push(result);
    this.print(`\n${caseTable(result)}`);
  }

  async #sweepPieces(work: Case): Promise<void> {
    const { seconds, rounds } = this.#options;
    const window = { seconds: seconds * IOVEC_WINDOW_PART, rounds };
    for (const runtime of ["bun", "deno"] as const) {
      this.#progress.show(`${work.name}, ${runtime}`);
      const results = await runIovec(work, runtime, window, this.#machine, this.#runtimes);
      this.#record.results.push(...results);
      this.print(`\n${sweepTable(results)}`);
    }
  }

  /** After each case: a run that is broken off leaves what it has. */
  #write(): string {
    const { mode, cases, peers } = this.#options;
    const whole = mode === "full" && cases === null && peers === null;
    const folder = join(BENCH_FOLDER, "results");
    return writeRecord(folder, recordName(this.#options), this.#record, whole);
  }

  #conclude(path: string): void {
    const { results } = this.#record;
    for (const group of ["sweep-depth", "sweep-connections", "sweep-size"]) {
      const points = results.filter((result) => result.case.group === group);
      if (points.length > 1) this.print(`\n${sweepTable(points)}`);
    }
    if (this.#options.bars) this.print(`\n${describeVerdicts(judge(results))}`);
    if (this.#options.charts) {
      const charts = drawCharts(results);
      writeCharts(join(BENCH_FOLDER, "..", "docs", "charts"), charts);
      this.print(`\n${charts.size} charts in docs/charts`);
    }
    if (path !== "") this.print(`\nWritten to bench/results/${path.split("/").at(-1)}`);
  }
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
  if (!existsSync(join(BENCH_FOLDER, "build", "client"))) {
    console.error("The client is missing: run bench/build.sh");
    return 1;
  }
  return await new Bench(options, args).run();
}

process.exit(await main(process.argv.slice(2)));
