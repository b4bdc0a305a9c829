/**
 * `URINGNET_REGISTER_LOG=1`: one line on stderr for each module that gets a replaced module.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";

const VARIABLE = "URINGNET_REGISTER_LOG";

interface DenoPermissions {
  permissions: { querySync(descriptor: { name: "env"; variable: string }): { state: string } };
}

/** Whether the environment asks for lines; never prompts for the permission to look. */
function wanted(): boolean {
  const { Deno: deno } = globalThis as { Deno?: DenoPermissions };
  if (deno?.permissions.querySync({ name: "env", variable: VARIABLE }).state === "prompt") {
    return false;
  }
  try {
    return process.env[VARIABLE] === "1";
  } catch {
    return false;
  }
}

const told = new Set<string>();

function tell(specifier: string, module: string): void {
  const line = `uringnet: ${specifier} of ${module} is on the ring\n`;
  if (told.has(line)) return;
  told.add(line);
  try {
    writeSync(2, line);
  } catch {
    // stderr is closed: then nobody reads the lines.
  }
}

/** `tell(specifier, module)` writes a line, once for each pair. */
export const registerLog = { wanted, tell };
