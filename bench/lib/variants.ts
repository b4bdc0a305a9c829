/**
 * The library with other constants, or without a part: a copy of its sources below bench/build/, in
 * which single lines are changed, so that a constant or a check can be measured without becoming an
 * option.
 *
 * Every copy has room for the largest batch in its shim, so that copies differ in nothing else.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BENCH_FOLDER } from "./peers.ts";

/** The constants of src/base/limits.ts that are swept. */
export interface Constants {
  gatherCopyBytes: number;
  iovecBatchSize: number;
}

/** The largest batch that a copy can be given: a power of two whose triples fill a block. */
export const BATCH_SIZE_MAX = 64;
const BLOCK_BYTES = 1_024;

/** The changes of one file of a copy. Each pattern is found exactly once. */
export interface Edit {
  file: string;
  changes: readonly (readonly [RegExp, string])[];
}

const ROOT = join(BENCH_FOLDER, "..");

/** The program that serves from a copy: its imports lead to the copy. */
const ECHO_PROGRAM = join("bench", "peers", "uringnet_echo.ts");

/** Replaces what `pattern` finds; throws unless that is one place. */
export function replaceOnce(text: string, pattern: RegExp, replacement: string): string {
  const found = [...text.matchAll(new RegExp(pattern, "g"))].length;
  if (found !== 1) throw new Error(`${pattern} is in ${found} places: wanted one`);
  return text.replace(pattern, replacement);
}

function edit(path: string, changes: readonly (readonly [RegExp, string])[]): void {
  let text = readFileSync(path, "utf8");
  for (const [pattern, replacement] of changes) text = replaceOnce(text, pattern, replacement);
  writeFileSync(path, text);
}

/** A copy with room for large batches, compiled. */
function makeBase(folder: string): void {
  mkdirSync(join(folder, "ffi"), { recursive: true });
  mkdirSync(join(folder, "scripts"));
  for (const name of readdirSync(ROOT)) {
    if (name.endsWith(".ts")) cpSync(join(ROOT, name), join(folder, name));
  }
  cpSync(join(ROOT, "src"), join(folder, "src"), { recursive: true });
  for (const name of ["build.sh", "strip.awk"]) {
    cpSync(join(ROOT, "scripts", name), join(folder, "scripts", name));
  }
  for (const name of readdirSync(join(ROOT, "ffi"))) {
    if (name !== "build") {
      cpSync(join(ROOT, "ffi", name), join(folder, "ffi", name), { recursive: true });
    }
  }
  edit(join(folder, "ffi", "shim.h"), [
    [/(?<=define UR_BLOCK_BYTES )\d+/, String(BLOCK_BYTES)],
    [/(?<=define UR_IOVEC_MAX )\d+/, String(BATCH_SIZE_MAX)],
  ]);
  edit(join(folder, "ffi", "layout.ts"), [
    [/(?<=blockBytes: )\d+/, String(BLOCK_BYTES)],
    [/(?<=iovecMax: )\d+/, String(BATCH_SIZE_MAX)],
  ]);
  cpSync(join(ROOT, ECHO_PROGRAM), join(folder, ECHO_PROGRAM));
  build(folder);
}

function build(folder: string): void {
  const { status, stderr } = spawnSync("sh", [join(folder, "scripts", "build.sh")], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the copy of the library was not built: ${stderr}`);
}

/** Makes copies when they are first wanted; those of an earlier run are forgotten. */
export class Variants {
  readonly #folder: string;
  #base: string | null = null;
  readonly #made = new Map<string, string>();

  /** The copies lie in a folder of this name below bench/build/. */
  constructor(name = "variants") {
    this.#folder = join(BENCH_FOLDER, "build", name);
  }

  /** The path of the module that a program imports; null stands for the library as it is. */
  library(constants: Constants | null): string {
    if (constants === null) return join(ROOT, "mod.ts");
    const { gatherCopyBytes, iovecBatchSize } = constants;
    const folder = this.edited(`gather-${gatherCopyBytes}-batch-${iovecBatchSize}`, [{
      file: join("src", "base", "limits.ts"),
      changes: [
        [/(?<=\n {2}gatherCopyBytes: )[\d_]+/, String(gatherCopyBytes)],
        [/(?<=\n {2}iovecBatchSize: )\d+/, String(iovecBatchSize)],
      ],
    }]);
    return join(folder, "mod.ts");
  }

  /** The folder of a copy with these edits. An edited shim is compiled. */
  edited(name: string, edits: readonly Edit[]): string {
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    if (this.#base === null) {
      const base = join(this.#folder, "base");
      if (existsSync(this.#folder)) rmSync(this.#folder, { recursive: true });
      makeBase(base);
      this.#base = base;
    }
    const folder = join(this.#folder, name);
    cpSync(this.#base, folder, { recursive: true });
    for (const { file, changes } of edits) edit(join(folder, file), changes);
    if (edits.some(({ file }) => file.startsWith("ffi"))) build(folder);
    this.#made.set(name, folder);
    return folder;
  }

  /** The echo server of a copy. */
  static echoProgram(folder: string): string {
    return join(folder, ECHO_PROGRAM);
  }
}
