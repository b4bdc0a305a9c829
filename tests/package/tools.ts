/**
 * Running programs and making empty directories, for the package tests.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "./program.ts";

export interface Ran {
  code: number | null;
  output: string;
  errors: string;
}

interface DenoCommand {
  output(): Promise<{ code: number; stdout: Uint8Array; stderr: Uint8Array }>;
}

const { Deno } = globalThis as unknown as {
  Deno?: { Command: new (program: string, options: Record<string, unknown>) => DenoCommand };
};

/**
 * Runs a program to its end, with an environment that has nothing of this process.
 *
 * In Deno not through node:child_process, which keeps the environment and adds --allow-all to every
 * `deno run` that it starts.
 */
export async function run(
  command: string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<Ran> {
  const [program, ...args] = command;
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env };
  if (Deno !== undefined) {
    const ran = new Deno.Command(program, { args, cwd: options.cwd, env, clearEnv: true });
    const { code, stdout, stderr } = await ran.output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout), errors: decoder.decode(stderr) };
  }
  const child = spawn(program, args, { cwd: options.cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const ran: Ran = { code: null, output: "", errors: "" };
  child.stdout.on("data", (chunk) => ran.output += chunk);
  child.stderr.on("data", (chunk) => ran.errors += chunk);
  [ran.code] = await once(child, "close") as [number | null];
  return ran;
}

/** The path of deno, bun or tsc, as scripts/tool.sh finds it. */
export function tool(name: "deno" | "bun" | "tsc"): string {
  const found = spawnSync("sh", [join(ROOT, "scripts", "tool.sh"), name], { encoding: "utf8" });
  if (found.status !== 0) throw new Error(found.stderr);
  return found.stdout.trim();
}

/** An empty directory that is removed with the value. */
export function emptyDirectory(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "uringnet-package-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/**
 * A copy of what the package is made from: packing writes files, and the checkout is in use. With
 * `packages: false` it is like a fresh clone, in which nothing is installed.
 */
export function copyCheckout(target: string, { packages = true } = {}): void {
  const { files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const published = (files as string[]).map((name) => name.split("/")[0]);
  const names = new Set(published.filter((name) => name !== "types" && name !== "dist"));
  for (const name of ["scripts", "package.json", "package-lock.json", "bunfig.toml"]) {
    names.add(name);
  }
  for (const name of ["tsconfig.json", "tsconfig.types.json"]) names.add(name);
  for (const name of names) {
    cpSync(join(ROOT, name), join(target, name), {
      recursive: true,
      filter: (source) => !source.startsWith(join(ROOT, "ffi", "build")),
    });
  }
  if (packages) symlinkSync(join(ROOT, "node_modules"), join(target, "node_modules"));
}

/** Packs a copy of the checkout into `folder`. Returns the path of the tarball. */
export async function pack(folder: string, options?: { packages: boolean }): Promise<string> {
  using copy = emptyDirectory();
  copyCheckout(copy.path, options);
  const command = [tool("bun"), "pm", "pack", "--destination", folder];
  const { code, output, errors } = await run(command, { cwd: copy.path });
  const name = /uringnet-[\w.-]+\.tgz/.exec(output)?.[0];
  if (code !== 0 || name === undefined) throw new Error(`Packing failed\n${output}${errors}`);
  return join(folder, name);
}

/** Names of the files in a tarball, without its "package/" folder. */
export async function filesOf(tarball: string): Promise<string[]> {
  const { code, output, errors } = await run(["tar", "-tzf", tarball], { cwd: ROOT });
  if (code !== 0) throw new Error(errors);
  return output.trim().split("\n").map((name) => name.replace(/^package\//, "")).sort();
}
