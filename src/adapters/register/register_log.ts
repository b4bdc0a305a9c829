/**
 * `URINGNET_REGISTER_LOG=1`: one line on stderr for each module that gets a replaced module.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { environment } from "../environment.ts";
import { replace } from "./node_modules.ts";

const VARIABLE = "URINGNET_REGISTER_LOG";

/** Whether the environment asks for lines. */
function wanted(): boolean {
  return environment(VARIABLE) === "1";
}

const told = new Set<string>();

function tell(specifier: string, module: string): void {
  const line = `uringnet: ${specifier} of ${module} is on the ring\n`;
  if (told.has(line)) return;
  told.add(line);
  try {
    writeSync(2, line);
  } catch {
    // stderr is closed, so the line is dropped.
  }
}

/** The file in one line of a stack trace. */
const STACK_FILE = /(?:\(|at )(?:async )?((?:file:\/\/|https?:\/\/|\/).+?):\d+(?::\d+)?\)?$/;

/** The first module of the stack trace that is not part of this library. */
function caller(stack: string, library: string): string | null {
  for (const line of stack.split("\n")) {
    const file = STACK_FILE.exec(line.trim())?.[1];
    if (file !== undefined && !file.includes(library)) return file;
  }
  return null;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * For Bun, where no hook sees imports of built-in modules: a module gets its line when it first
 * calls the method.
 */
function tellCallers(prototype: Record<string, unknown>, name: string, library: string): void {
  const original = prototype[name] as Method;
  const logged: Method = function (...args) {
    const module = caller(new Error().stack ?? "", library);
    if (module !== null) tell("node:net", module);
    return Reflect.apply(original, this, args);
  };
  replace(prototype, name, logged);
}

/** `tell(specifier, module)` writes a line, once for each pair. */
export const registerLog = { wanted, tell, tellCallers };
