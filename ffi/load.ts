/**
 * Finds and opens the shared library, once for each thread, when it is first needed.
 *
 * Places, in this order; the first that opens and passes the layout check wins:
 * 1. the file named by the environment variable `URINGNET_LIBRARY`, which must work when it is set;
 * 2. `ffi/build/liburingnet.so` beside this module, when it was compiled after the embedded copy;
 * 3. the embedded copy: by its soname when another thread has loaded it, else through an anonymous
 *    file. The soname carries a hash of the sources, so that two versions can live in one process.
 *
 * The anonymous file is closed after loading. The dynamic loader remembers libraries by path, and a
 * descriptor number can come back: a path that turns out to be taken by another library is seen by
 * the layout check or the hash, and the next number is tried.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { EMBEDDED, type EmbeddedLibrary } from "./embedded.ts";
import { buildTime, sourceHash, verifyLayout } from "./layout.ts";
import type { OpenLibrary, Runtime } from "./symbols.ts";

/** Descriptor numbers tried before giving up: each clash means one more version in the process. */
const PATH_TRIES_MAX = 8;

const ENVIRONMENT_NAME = "URINGNET_LIBRARY";

/** Why no place worked, one line for each. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}

function checked(runtime: Runtime, path: string): OpenLibrary {
  const opened = runtime.open(path);
  const difference = verifyLayout((index) => opened.library.ur_layout(index));
  if (difference !== null) throw new Error(difference);
  return opened;
}

function fromEnvironment(runtime: Runtime): OpenLibrary | null {
  const path = runtime.environment(ENVIRONMENT_NAME);
  if (path === undefined || path === "") return null;
  return checked(runtime, path);
}

function besideModule(runtime: Runtime): OpenLibrary | null {
  if (!import.meta.url.startsWith("file:")) return null;
  const path = decodeURIComponent(new URL("./build/liburingnet.so", import.meta.url).pathname);
  const opened = checked(runtime, path);
  const compiled = buildTime((index) => opened.library.ur_layout(index));
  const copy = EMBEDDED[runtime.machine];
  if (copy !== undefined && compiled < copy.builtAt) {
    throw new Error(`${path} is older than the embedded copy`);
  }
  return opened;
}

/** Opens what is at `path` if it is the embedded library and not one of another version. */
function checkedCopy(runtime: Runtime, copy: EmbeddedLibrary, path: string): OpenLibrary {
  const opened = checked(runtime, path);
  const hash = sourceHash((index) => opened.library.ur_layout(index));
  if (!copy.sourceHash.startsWith(hash)) {
    throw new Error(`${path} is another version (${hash})`);
  }
  return opened;
}

function embedded(runtime: Runtime): OpenLibrary {
  const copy = EMBEDDED[runtime.machine];
  if (copy === undefined) throw new Error(`there is none for ${runtime.machine}: build one`);
  try {
    return checkedCopy(runtime, copy, copy.soname);
  } catch {
    // Not loaded yet in this process: the usual case for the first thread.
  }
  const compressed = Uint8Array.from(atob(copy.gzipBase64), (c) => c.charCodeAt(0));
  const bytes = gunzipSync(compressed);
  const held: { close(): void }[] = [];
  try {
    for (let i = 0; i < PATH_TRIES_MAX; i++) {
      const file = runtime.anonymousFile(copy.soname, bytes);
      held.push(file);
      try {
        return checkedCopy(runtime, copy, file.path);
      } catch (cause) {
        if (i === PATH_TRIES_MAX - 1) throw cause;
      }
    }
    throw new Error("no descriptor number was free of another library");
  } finally {
    for (const file of held) file.close();
  }
}

/** Opens the library of this runtime. Throws {@link LoadError} naming each place and its reason. */
export function loadLibrary(runtime: Runtime): OpenLibrary {
  const places: [string, (runtime: Runtime) => OpenLibrary | null, boolean][] = [
    [`environment variable ${ENVIRONMENT_NAME}`, fromEnvironment, true],
    ["file beside the module", besideModule, false],
    ["embedded copy", embedded, false],
  ];
  const reasons: string[] = [];
  for (const [name, load, decisive] of places) {
    try {
      const opened = load(runtime);
      if (opened !== null) return opened;
      reasons.push(`${name}: not given`);
    } catch (cause) {
      reasons.push(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
      if (decisive) break;
    }
  }
  throw new LoadError(`Cannot load the uringnet library\n  ${reasons.join("\n  ")}`);
}
