/**
 * The cost of the library's safety in an echo: the library as it is, without one of its parts,
 * without all of them, and with options that a program may choose.
 *
 *   memory   bench/scale/memory_echo.ts: the JavaScript alone, where a difference of 10 ns shows
 *   kernel   a server and the client in C, where the kernel's 5 us hide such differences
 *
 * Copies without a part exist for this measurement only: they are wrong, and would corrupt memory
 * in a program that ends calls early or uses a buffer twice.
 *
 * @module
 */
import { join } from "node:path";
import type { MemoryReport } from "../scale/memory_echo.ts";
import type { Case, ClientWork, SafetyWork } from "./cases.ts";
import type { Machine } from "./machine.ts";
import { measure, type Window } from "./measure.ts";
import { formatNumber, METRICS, type Sample } from "./metrics.ts";
import { BENCH_FOLDER, type Runtimes } from "./peers.ts";
import { runProgram } from "./processes.ts";
import { type Estimate, formatSeconds, type Progress } from "./progress.ts";
import { type CaseResult, findPeer, type PeerResult, roundsOf, spreadOf } from "./results.ts";
import { Stand } from "./stand.ts";
import { difference, rotated } from "./statistics.ts";
import { textTable } from "./table.ts";
import { type Edit, Variants } from "./variants.ts";

/** A program to compare with the first one. */
export interface SafetyVariant {
  name: string;
  /** The part that is taken out of the library. */
  edits: readonly Edit[];
  /** Arguments of memory_echo.ts; null where the variant makes no difference there. */
  memoryArgs: readonly string[] | null;
  /** Arguments of uringnet_echo.ts; null likewise. */
  kernelArgs: readonly string[] | null;
}

const AS_IT_IS = "as it is";

/** The owner of a buffer, and that it is used once. */
const HANDLES: readonly Edit[] = [{
  file: "src/buf/buffer_handle.ts",
  changes: [[
    /if \(handle\.#slot === null\) \{\n\s+throw [^\n]+\n\s+\}\n\s+return handle\.#slot;/,
    "return handle.#slot as Slot;",
  ]],
}];

/** Buffers that a program drops. */
const LEAKS: readonly Edit[] = [{
  file: "src/buf/buffer_handle.ts",
  changes: [
    [/slot\.home\?\.tracker\?\.add\(this\);/, ""],
    [
      /handle\.#slot\?\.home\?\.tracker \?\? null/,
      "null as import('./slot.ts').HandleTracker | null",
    ],
  ],
}];

/** Which flight a completion belongs to. */
const GENERATIONS: readonly Edit[] = [{
  file: "src/ring/operation_table.ts",
  changes: [
    [/if \(operation\.generation !== generation >>> 0\) return null;/, "void generation;"],
    [/return operation\.state === OPERATION_IN_FLIGHT \? operation : null;/, "return operation;"],
  ],
}];

/** The library's own invariants, among them the counts of references. */
const ASSERTIONS: readonly Edit[] = [{
  file: "src/base/assert.ts",
  changes: [[/if \(!condition\) throw new Error[^;]+;/, "void condition, claim;"]],
}];

/** The error of one operation ends that operation alone. */
const CONTAINMENT: readonly Edit[] = [{
  file: "src/ring/ring.ts",
  changes: [
    [
      /try \{\n\s+owner\.complete\(result, flags\);[^}]+\} catch [^}]+\}/,
      "owner.complete(result, flags);",
    ],
    [
      /let broken: [\s\S]+?writer\.rewind\(recordCount\);\n\s+\}\n/,
      "void recordCount;\n      const prepared = operation.owner.prepare(writer);\n",
    ],
    [/if \(broken !== null\) [^;]+;/, ""],
  ],
}];

/** Arguments are checked, and read by accessors that no program can replace. */
const ARGUMENTS: readonly Edit[] = [{
  file: "src/base/check.ts",
  changes: [[
    /(?<=\n {2}integer\([^)]*\): number \{\n)/,
    "    if (max >= 0) return value as number;\n",
  ]],
}];

/** The process lives while calls are pending. */
const REFERENCES: readonly Edit[] = [{
  file: "src/net/call/loop_reference.ts",
  changes: [
    [/this\.bits \+= CALL;\n\s+if \(.* === 0\) this\.context\.addReference\(\);/, ""],
    [/this\.bits -= CALL;\n\s+if \(.* === 0\) this\.context\.removeReference\(\);/, ""],
  ],
}];

/** Counts and histograms. */
const COUNTS: readonly Edit[] = [
  {
    file: "src/base/histogram.ts",
    changes: [[
      /const bounds = this\.bounds;\n(?=\s+let i)/,
      "const bounds = this.bounds;\n    if (value >= 0) return;\n",
    ]],
  },
  {
    file: "src/net/recv/recv_half.ts",
    changes: [[/this\.ring\.meter\.counts\[COUNT\.inboundBytes\] \+= result;/, ""]],
  },
  {
    file: "src/net/send/send_half.ts",
    changes: [[/ring\.meter\.counts\[COUNT\.outboundBytes\] \+= count;/, ""]],
  },
];

/** Operations in flight, the pool's share for receives, bytes in the cache. */
const BUDGETS: readonly Edit[] = [
  {
    file: "src/ring/lane.ts",
    changes: [
      [/return this\.inFlight < this\.inFlightMax &&\n\s+\(([^;]+)\);/, "return $1;"],
      [/return this\.inFlight < this\.inFlightMax && this\.pending/, "return this.pending"],
    ],
  },
  {
    file: "src/ring/provided_buffers.ts",
    changes: [
      [/shared !== null && shared\.available \* 4 > shared\.countMax/, "shared !== null"],
      [
        /this\.#averageBytes \+= \(length - this\.#averageBytes\) \/ AVERAGE_COUNT;/,
        "void length;",
      ],
    ],
  },
];

/** The shim's checks of every record. */
const SHIM: readonly Edit[] = [
  {
    file: "ffi/shim/descriptor.c",
    changes: [[
      /static bool owns\(int32_t fd\) \{/,
      "static bool owns(int32_t fd) {\n  if (fd >= 0) return true;",
    ]],
  },
  {
    file: "ffi/shim/slab.c",
    changes: [[
      /if \(!slab \|\| length == 0 \|\| offset > slab->size [^;]+return NULL;/,
      "(void)length;",
    ]],
  },
];

/** The edits of several parts as one for each file. */
function joined(...parts: readonly (readonly Edit[])[]): Edit[] {
  const byFile = new Map<string, (readonly [RegExp, string])[]>();
  for (const { file, changes } of parts.flat()) {
    byFile.set(file, [...byFile.get(file) ?? [], ...changes]);
  }
  return [...byFile].map(([file, changes]) => ({ file, changes }));
}

const BUDGET_MS = "30000";

function without(name: string, edits: readonly Edit[]): SafetyVariant {
  return { name: `without ${name}`, edits, memoryArgs: [], kernelArgs: null };
}

/** The first is what the others are compared with. */
export const SAFETY_VARIANTS: readonly SafetyVariant[] = [
  { name: AS_IT_IS, edits: [], memoryArgs: [], kernelArgs: [] },
  { name: "exact", edits: [], memoryArgs: ["--exact"], kernelArgs: ["--exact", "64"] },
  {
    name: "a budget in every call",
    edits: [],
    memoryArgs: ["--timeout-ms", BUDGET_MS],
    kernelArgs: ["--timeout-ms", BUDGET_MS],
  },
  {
    name: "options in every call",
    edits: [],
    memoryArgs: ["--options"],
    kernelArgs: ["--options"],
  },
  {
    name: "a registry",
    edits: [],
    memoryArgs: null,
    kernelArgs: ["--metrics", "/dev/null"],
  },
  without("checks of handles", HANDLES),
  without("finding dropped buffers", LEAKS),
  without("generations", GENERATIONS),
  without("assertions", ASSERTIONS),
  without("containment", CONTAINMENT),
  without("checks of arguments", ARGUMENTS),
  without("references", REFERENCES),
  without("counts and histograms", COUNTS),
  without("budgets of operations and memory", BUDGETS),
  { name: "without checks in C", edits: SHIM, memoryArgs: null, kernelArgs: [] },
  {
    name: "without all of these",
    edits: joined(
      HANDLES,
      LEAKS,
      GENERATIONS,
      ASSERTIONS,
      CONTAINMENT,
      ARGUMENTS,
      REFERENCES,
      COUNTS,
      BUDGETS,
      SHIM,
    ),
    memoryArgs: [],
    kernelArgs: [],
  },
];

const RUNTIMES = ["bun", "deno"] as const;
/** Starting a runtime. */
const START_SECONDS = 0.6;
const PROGRAM_MS_MAX = 60_000;

/** Warm-up of a server that was measured before. */
const SETTLING_SECONDS = 0.2;

/** The case of a server on the kernel, as `measure` takes it. */
const ECHO: Omit<Case, "work"> = {
  name: "safety-echo",
  group: "safety",
  title: "echo",
  primary: "cpuUs",
  others: [],
  peers: "plain",
};

export interface SafetyPlan {
  rounds: number;
  window: Window;
}

function argsOf(variant: SafetyVariant, over: SafetyWork["over"]): readonly string[] | null {
  return over === "memory" ? variant.memoryArgs : variant.kernelArgs;
}

function variantsOf(over: SafetyWork["over"]): SafetyVariant[] {
  return SAFETY_VARIANTS.filter((variant) => argsOf(variant, over) !== null);
}

/** The time of a run in both runtimes, as far as it can be told before. */
export function safetySeconds(work: SafetyWork, window: Window, rounds: number): number {
  const each = START_SECONDS + window.warmup + window.seconds;
  return variantsOf(work.over).length * RUNTIMES.length * rounds * each;
}

function emptyResult({ name }: SafetyVariant): PeerResult {
  const own = name === AS_IT_IS ? null : AS_IT_IS;
  return { peer: name, own, family: "uringnet", missing: null, samples: [], failures: [] };
}

/** The figures with their differences from the first row. */
export function safetyTable(result: CaseResult): string {
  const { primary, name, title } = result.case;
  const { label, unit, digits } = METRICS[primary];
  const first = findPeer(result, AS_IT_IS) as PeerResult;
  const shown = (value: number | undefined) =>
    value === undefined ? "-" : formatNumber(value, digits);
  const rows = result.peers.map((peer) => {
    const found = spreadOf(peer, primary);
    const more = difference(roundsOf(peer, primary), roundsOf(first, primary));
    const cells = [peer.peer, shown(found?.median)];
    if (peer === first) return cells;
    return [...cells, shown(more?.median), `${shown(more?.min)}..${shown(more?.max)}`];
  });
  const header = ["", `${label} ${unit}`, "difference", "min..max"];
  const failures = result.peers.flatMap(({ peer, failures }) =>
    failures.map((failure) => `  failed: ${peer}, ${failure}`)
  );
  return [`${name}: ${title}`, textTable(header, rows), ...failures].join("\n");
}

export class SafetyBench {
  readonly #machine: Machine;
  readonly #runtimes: Runtimes;
  readonly #progress: Progress;
  readonly #estimate: Estimate;
  readonly #variants = new Variants("safety");

  constructor(machine: Machine, runtimes: Runtimes, progress: Progress, estimate: Estimate) {
    this.#machine = machine;
    this.#runtimes = runtimes;
    this.#progress = progress;
    this.#estimate = estimate;
  }

  /** A result for each runtime. */
  async run(base: Case, plan: SafetyPlan): Promise<CaseResult[]> {
    const results: CaseResult[] = [];
    for (const runtime of RUNTIMES) results.push(await this.#runIn(runtime, base, plan));
    return results;
  }

  async #runIn(
    runtime: typeof RUNTIMES[number],
    base: Case,
    { rounds, window }: SafetyPlan,
  ): Promise<CaseResult> {
    const { over } = base.work as SafetyWork;
    const about = { ...base, name: `${base.name}-${runtime}`, title: `${base.title}, ${runtime}` };
    const start = this.#runtimes.of(runtime);
    if (start === null) {
      return { case: about, skipped: `${runtime} is not installed`, seconds: 0, peers: [] };
    }
    const variants = variantsOf(over);
    const results = new Map(variants.map((variant) => [variant, emptyResult(variant)]));
    const stand = new Stand(about, this.#machine);
    const seconds = START_SECONDS + window.warmup + window.seconds;
    for (let round = 0; round < rounds; round++) {
      for (const variant of rotated(variants, round)) {
        this.#progress.show(
          `${about.name}, round ${round + 1} of ${rounds}, ${variant.name}; ` +
            `${formatSeconds(this.#estimate.secondsLeft)} left`,
        );
        const began = performance.now();
        const result = results.get(variant) as PeerResult;
        try {
          const sample = over === "memory"
            ? await this.#inMemory(start, runtime, variant, window)
            : await this.#onKernel(start, variant, window, stand);
          result.samples.push(sample);
        } catch (error) {
          result.samples.push(null);
          result.failures.push(`round ${round + 1}: ${(error as Error).message}`);
        }
        this.#estimate.done(seconds, (performance.now() - began) / 1_000);
      }
    }
    await stand.close();
    return { case: about, skipped: null, seconds: window.seconds, peers: [...results.values()] };
  }

  #folder({ name, edits }: SafetyVariant): string {
    return this.#variants.edited(edits.length === 0 ? "plain" : name.replaceAll(" ", "-"), edits);
  }

  async #inMemory(
    start: readonly string[],
    runtime: typeof RUNTIMES[number],
    variant: SafetyVariant,
    { seconds, warmup }: Window,
  ): Promise<Sample> {
    const flags = runtime === "deno" ? ["--v8-flags=--expose-gc"] : [];
    const program = join(BENCH_FOLDER, "scale", "memory_echo.ts");
    const command = [...start, ...flags, program, "--library", this.#folder(variant)];
    command.push("--seconds", String(seconds), "--warmup", String(warmup));
    command.push(...variant.memoryArgs ?? []);
    const finished = await runProgram(command, this.#machine.pins.server, PROGRAM_MS_MAX);
    if (finished.exitCode !== 0) throw new Error(finished.stderr.trim().split("\n")[0]);
    return { threadNs: (JSON.parse(finished.stdout) as MemoryReport).echoNs };
  }

  async #onKernel(
    start: readonly string[],
    variant: SafetyVariant,
    window: Window,
    stand: Stand,
  ): Promise<Sample> {
    const program = Variants.echoProgram(this.#folder(variant));
    const command = [...start, program, "0", "--mode", "echo", ...variant.kernelArgs ?? []];
    const { server, fresh } = await stand.take(variant.name, command);
    const warmup = fresh ? window.warmup : Math.min(window.warmup, SETTLING_SECONDS);
    const work: ClientWork = { kind: "client", mode: "echo", connections: 50, size: 64, depth: 1 };
    const sample = await measure(server, { ...ECHO, work }, { ...window, warmup }, this.#machine);
    return { cpuUs: sample.cpuUs as number };
  }
}
