/**
 * The arguments of `bench/run.ts`. See `--help` there.
 *
 * @module
 */
import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Names of cases or of groups of them; null runs what the mode has. */
  cases: string[] | null;
  /** Parts of names of peers; null runs all. */
  peers: string[] | null;
  mode: "full" | "quick" | "smoke";
  rounds: number;
  seconds: number;
  warmup: number;
  bars: boolean;
  charts: boolean;
  /** Puts the bars and their charts into the documents. */
  publish: boolean;
  /** Files of results to be judged and drawn again; null measures. */
  from: string[] | null;
  verify: boolean;
  list: boolean;
  help: boolean;
}

/**
 * Rounds, and seconds of each measurement and of the warm-up before it. Bun takes some 50,000
 * messages until everything is compiled: after a second the figures of a busy machine still fall.
 */
const WINDOWS = {
  full: { rounds: 5, seconds: 2, warmup: 2 },
  bars: { rounds: 8, seconds: 0.4, warmup: 2 },
  quick: { rounds: 2, seconds: 0.4, warmup: 0.6 },
  smoke: { rounds: 1, seconds: 0.3, warmup: 0.1 },
} as const;

const ROUNDS_MAX = 100;
const SECONDS_MAX = 600;

export const USAGE = `Usage: run.ts [options]

  --case NAME,...   cases or groups of them; CASE=NAME says the same. --list shows all
  --peers PART,...  peers whose name contains a part, as in --peers uringnet,listen
  --rounds N        how often each peer is measured (${WINDOWS.full.rounds})
  --seconds S       how long each time (${WINDOWS.full.seconds})
  --warmup S        how long the server is loaded before that (${WINDOWS.full.warmup})
  --quick           a few bars, ${WINDOWS.quick.rounds} rounds of ${WINDOWS.quick.seconds} s
  --smoke           everything once, ${WINDOWS.smoke.seconds} s each: does it work at all
  --bars            the cases and peers that the bars need, in ${WINDOWS.bars.rounds} rounds of
                    ${WINDOWS.bars.seconds} s, then which are met; also as a page beside the record
  --publish         with --bars: the page into docs/PERFORMANCE.md, the echoes into README.md, and
                    three charts into docs/charts
  --charts          the sweeps, then docs/charts/*.svg; with --case or --bars, of those cases
  --from FILE,...   measure nothing: tables, --bars and --charts of the results in these files
  --verify          compare every byte where something comes back: costs the client time
  --list, --help`;

function number(name: string, text: string | undefined, fallback: number, max: number): number {
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!(value > 0 && value <= max)) {
    throw new RangeError(`Cannot use "--${name} ${text}": wanted more than 0, at most ${max}`);
  }
  return value;
}

function names(texts: readonly string[]): string[] | null {
  const all = texts.flatMap((text) => text.split(",")).map((name) => name.trim()).filter(Boolean);
  return all.length === 0 ? null : all;
}

/** Throws TypeError or RangeError for what cannot be understood. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      case: { type: "string", multiple: true, default: [] },
      peers: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      seconds: { type: "string" },
      warmup: { type: "string" },
      quick: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
      bars: { type: "boolean", default: false },
      charts: { type: "boolean", default: false },
      publish: { type: "boolean", default: false },
      from: { type: "string", multiple: true, default: [] },
      verify: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const cases = [...values.case];
  for (const text of positionals) {
    if (!text.startsWith("CASE=")) throw new TypeError(`Cannot understand "${text}"\n\n${USAGE}`);
    cases.push(text.slice("CASE=".length));
  }
  const mode = values.smoke ? "smoke" : values.quick ? "quick" : "full";
  if (values.publish && !values.bars) throw new TypeError("--publish is about --bars");
  const window = WINDOWS[mode === "full" && values.bars ? "bars" : mode];
  const rounds = number("rounds", values.rounds, window.rounds, ROUNDS_MAX);
  if (!Number.isInteger(rounds)) {
    throw new RangeError(`Cannot use "--rounds ${rounds}": wanted a whole number`);
  }
  return {
    cases: names(cases),
    peers: names(values.peers),
    mode,
    rounds,
    seconds: number("seconds", values.seconds, window.seconds, SECONDS_MAX),
    warmup: number("warmup", values.warmup, window.warmup, SECONDS_MAX),
    bars: values.bars,
    charts: values.charts,
    publish: values.publish,
    from: names(values.from),
    verify: values.verify || mode === "smoke",
    list: values.list,
    help: values.help,
  };
}
