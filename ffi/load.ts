/**
 * Finds and opens the shared library, once for each thread, when it is first needed.
 *
 * The places, in this order. The first library that opens and passes the layout check is used:
 * 1. the file named by the environment variable `URINGNET_LIBRARY`, which must work when it is set;
 * 2. `ffi/build/liburingnet.so` beside this module, a development build: when it was compiled after
 *    the embedded copy, and only in a checkout (see {@link besideModule});
 * 3. the embedded copy, through a sealed anonymous file that all threads share, see
 *    `library_file.ts`.
 *
 * Opening a library runs its constructors before it can be checked. So no library is opened by a
 * bare name, which the dynamic loader would look for in `LD_LIBRARY_PATH` and Bun in the working
 * directory: every path is absolute, or belongs to a file whose content is known.
 *
 * @module
 */
import { messageOf } from "../src/base/network_error.ts";
import { EMBEDDED, type EmbeddedLibrary } from "./embedded.ts";
import { withLibraryFile } from "./library_file.ts";
import { buildTime, sourceHash, verifyLayout } from "./layout.ts";
import type { OpenLibrary, Runtime } from "./symbols.ts";

const ENVIRONMENT_NAME = "URINGNET_LIBRARY";
const ENVIRONMENT_PLACE = `environment variable ${ENVIRONMENT_NAME}`;
const EMBEDDED_PLACE = "embedded copy";

/** The reasons why no place worked, one line for each place. */
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
  const given = runtime.environment(ENVIRONMENT_NAME);
  if (given === undefined || given === "") return null;
  if (!given.includes("/")) {
    throw new Error(`"${given}" is a bare name, which could be any file; write "./${given}"`);
  }
  const path = given.startsWith("/") ? given : `${runtime.workingDirectory()}/${given}`;
  return checked(runtime, path);
}

const BUILD_NAME = "build/liburingnet.so";
const KIND_MASK = 0o170000;
const KIND_REGULAR = 0o100000;
const KIND_DIRECTORY = 0o040000;
const WRITABLE_BY_OTHERS = 0o002;
/** The mode bit of a folder in which only the owner of a file may remove or replace it. */
const STICKY = 0o1000;
const ROOT_USER = 0;

/** The reason why the file may belong to another user than the module, or null. */
function distrust(runtime: Runtime, file: string, module: string): string | null {
  const facts = runtime.fileFacts(file);
  if (facts === null) return null; // Missing or unreadable: the loader reports it.
  if ((facts.mode & KIND_MASK) !== KIND_REGULAR) return "is not a regular file";
  if ((facts.mode & WRITABLE_BY_OTHERS) !== 0) return "can be written by every user";
  const owners = [ROOT_USER, runtime.user(), runtime.fileFacts(module)?.owner];
  if (!owners.includes(facts.owner)) return `belongs to another user (${facts.owner})`;
  const replaceable = replaceableByOthers(runtime, file.slice(0, file.lastIndexOf("/")));
  return replaceable ? "can be replaced by every user, who may write to its folder" : null;
}

/** Whether other users may replace a file of this folder between its check and its opening. */
function replaceableByOthers(runtime: Runtime, folder: string): boolean {
  const mode = runtime.fileFacts(folder)?.mode ?? 0;
  if ((mode & KIND_MASK) !== KIND_DIRECTORY || (mode & STICKY) !== 0) return false;
  return (mode & WRITABLE_BY_OTHERS) !== 0;
}

/** The path of this module where it is a file of a checkout, or null. */
function moduleInCheckout({ standalone }: Runtime): string | null {
  const { protocol, pathname } = new URL(import.meta.url);
  const inCheckout = protocol === "file:" && pathname.endsWith("/ffi/load.ts");
  if (!inCheckout || standalone || pathname.includes("/node_modules/")) return null;
  return decodeURIComponent(pathname);
}

/**
 * The development build, where this module is a file of a checkout. Elsewhere such a file does not
 * belong to the library: a bundle and a compiled program have no `ffi` folder (`deno compile` names
 * its modules below /tmp, where every user may write), and the package has no `ffi/build`.
 */
function besideModule(runtime: Runtime): OpenLibrary | null {
  const module = moduleInCheckout(runtime);
  if (module === null) return null;
  const path = module.slice(0, -"load.ts".length) + BUILD_NAME;
  const reason = distrust(runtime, path, module);
  if (reason !== null) throw new Error(`${path} ${reason}`);
  const opened = checked(runtime, path);
  const compiled = buildTime((index) => opened.library.ur_layout(index));
  const copy = EMBEDDED[runtime.machine];
  if (copy !== undefined && compiled < copy.builtAt) {
    throw new Error(`${path} is older than the embedded copy`);
  }
  return opened;
}

/** Opens the file at `path` and checks that it is the embedded library and not another version. */
function checkedCopy(runtime: Runtime, copy: EmbeddedLibrary, path: string): OpenLibrary {
  const opened = checked(runtime, path);
  const hash = sourceHash((index) => opened.library.ur_layout(index));
  if (!copy.sourceHash.startsWith(hash)) {
    throw new Error(`${path} is another version (${hash})`);
  }
  return opened;
}

const { fromBase64 } = Uint8Array as unknown as {
  fromBase64(text: string): Uint8Array<ArrayBuffer>;
};
const { toBase64 } = Uint8Array.prototype as unknown as { toBase64(): string };

/** Not compressed: unpacking takes 6 to 18 ms of a start, reading the longer text takes less. */
function unpacked({ base64 }: EmbeddedLibrary): Uint8Array<ArrayBuffer> {
  return fromBase64.call(Uint8Array, base64());
}

let loadedFrom: string | null = null;

/** The embedded library, once its SHA-256 is known to be that of the build; null otherwise. */
let hashed: string | null = null;

/**
 * Hashes the embedded library without blocking, where that costs less: `node:crypto` takes 6 ms
 * of a start in Deno. Bytes that equal those need no hash of their own. Does nothing where the
 * library comes from another place.
 */
export async function hashAhead(runtime: Runtime): Promise<void> {
  const copy = EMBEDDED[runtime.machine];
  if (runtime.sha256Ahead === null || copy === undefined) return;
  if (moduleInCheckout(runtime) !== null) return;
  if ((runtime.environment(ENVIRONMENT_NAME) ?? "") !== "") return;
  const bytes = unpacked(copy);
  const matches = await runtime.sha256Ahead(bytes) === copy.sha256;
  if (matches && loadedFrom === null) hashed = toBase64.call(bytes);
}

/** The SHA-256 of bytes that should be the embedded library. */
function digest(runtime: Runtime, { sha256 }: EmbeddedLibrary, bytes: Uint8Array): string {
  const known = hashed !== null && toBase64.call(bytes) === hashed;
  return known ? sha256 : runtime.sha256(bytes);
}

function embedded(runtime: Runtime): OpenLibrary {
  const copy = EMBEDDED[runtime.machine];
  if (copy === undefined) throw new Error(`there is none for ${runtime.machine}: build one`);
  const { soname: name, sizeBytes, sha256 } = copy;
  const hash = (bytes: Uint8Array) => digest(runtime, copy, bytes);
  const opened = withLibraryFile(
    runtime.libc(),
    { name, sizeBytes, sha256, digest: hash },
    () => unpacked(copy),
    (path) => checkedCopy(runtime, copy, path),
  );
  hashed = null;
  return opened;
}

/** The place from which the library of this thread was loaded; null before that. */
export function libraryPlace(): string | null {
  return loadedFrom;
}

/** The description of a place in messages. */
function described(name: string, runtime: Runtime): string {
  switch (name) {
    case ENVIRONMENT_PLACE:
      return `${name} (${runtime.environment(ENVIRONMENT_NAME)})`;
    case EMBEDDED_PLACE:
      return `${name} (${EMBEDDED[runtime.machine]?.soname})`;
    default:
      return `${name} (ffi/${BUILD_NAME})`;
  }
}

/** Opens the library of this runtime. Throws {@link LoadError} naming each place and its reason. */
export function loadLibrary(runtime: Runtime): OpenLibrary {
  const places: [string, (runtime: Runtime) => OpenLibrary | null, boolean][] = [
    [ENVIRONMENT_PLACE, fromEnvironment, true],
    ["file beside the module", besideModule, false],
    [EMBEDDED_PLACE, embedded, false],
  ];
  const reasons: string[] = [];
  for (const [name, load, decisive] of places) {
    try {
      const opened = load(runtime);
      if (opened !== null) {
        loadedFrom = described(name, runtime);
        return opened;
      }
      reasons.push(`${name}: not given`);
    } catch (cause) {
      reasons.push(`${name}: ${messageOf(cause)}`);
      if (decisive) break;
    }
  }
  throw new LoadError(`Cannot load the uringnet library\n  ${reasons.join("\n  ")}`);
}
