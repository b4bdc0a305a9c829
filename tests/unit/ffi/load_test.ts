import { bunRuntime } from "../../../ffi/bun.ts";
import { denoRuntime } from "../../../ffi/deno.ts";
import { EMBEDDED } from "../../../ffi/embedded.ts";
import { LoadError, loadLibrary } from "../../../ffi/load.ts";
import type { FileFacts, Runtime } from "../../../ffi/symbols.ts";
import { assert, suite } from "../../harness.ts";
import { thrown } from "../../support/thrown.ts";

const REGULAR = 0o100644;
const ME = 1_000;

/** A runtime that opens nothing and says what it was asked to open. */
class RefusingRuntime implements Runtime {
  readonly name = "deno";
  readonly machine = "x86_64";
  readonly standalone: boolean;
  readonly opened: string[] = [];
  readonly #facts: FileFacts | null;
  readonly #module: FileFacts | null;
  readonly #folder: FileFacts | null;
  readonly #environment: string | undefined;

  constructor(
    { facts = null, module = null, folder = null, standalone = false, environment }: {
      facts?: FileFacts | null;
      module?: FileFacts | null;
      folder?: FileFacts | null;
      standalone?: boolean;
      environment?: string;
    } = {},
  ) {
    this.#facts = facts;
    this.#module = module;
    this.#folder = folder;
    this.standalone = standalone;
    this.#environment = environment;
  }

  open(path: string): never {
    this.opened.push(path);
    throw new Error("opened");
  }

  libc(): never {
    throw new Error("no libc");
  }

  workingDirectory = () => "/working/directory";
  fileFacts = (path: string) => {
    if (path.endsWith("/ffi/build")) return this.#folder;
    return path.endsWith(".so") ? this.#facts : this.#module;
  };
  user = () => ME;
  sha256 = (): never => {
    throw new Error("called");
  };
  sha256Ahead: Runtime["sha256Ahead"] = null;
  openDoorbell = (): never => {
    throw new Error("called");
  };
  readonly packets = false;
  openEvent = null;
  programs = null;
  environment = () => this.#environment;
}

const test = suite("load");

function load(options: ConstructorParameters<typeof RefusingRuntime>[0]) {
  const runtime = new RefusingRuntime(options);
  const { message } = thrown(() => loadLibrary(runtime), LoadError);
  return { opened: runtime.opened, message };
}

const owned = (owner: number, mode = REGULAR): FileFacts => ({ mode, owner });

const trusted: [name: string, facts: FileFacts | null, module: FileFacts | null][] = [
  ["of this user", owned(ME), null],
  ["of root", owned(0), null],
  ["of the owner of the module", owned(7), owned(7)],
  ["that the group may write", owned(ME, 0o100664), null],
  ["of which nothing is known", null, null],
];

for (const [name, facts, module] of trusted) {
  test(`a development build ${name} is opened, by its absolute path`, () => {
    const { opened } = load({ facts, module });
    assert.is(opened.length, 1);
    assert.match(opened[0], /^\/.*\/ffi\/build\/liburingnet\.so$/);
  });
}

const distrusted: [name: string, facts: FileFacts, module: FileFacts | null, why: RegExp][] = [
  ["of another user", owned(7), owned(ME), /belongs to another user \(7\)/],
  ["that every user may write", owned(ME, 0o100666), null, /can be written by every user/],
  ["that is a symbolic link", owned(ME, 0o120777), null, /is not a regular file/],
  ["that is a directory", owned(ME, 0o040755), null, /is not a regular file/],
];

for (const [name, facts, module, why] of distrusted) {
  test(`a development build ${name} is not opened`, () => {
    const { opened, message } = load({ facts, module });
    assert.equal(opened, []);
    assert.match(message, why);
  });
}

test("a development build in a folder where every user may replace it is not opened", () => {
  const facts = owned(ME);
  const { opened, message } = load({ facts, folder: owned(ME, 0o040777) });
  assert.equal(opened, []);
  assert.match(message, "can be replaced by every user");
  for (const mode of [0o040755, 0o040775, 0o041777]) {
    assert.is(load({ facts, folder: owned(ME, mode) }).opened.length, 1, mode.toString(8));
  }
});

test("a compiled program looks for no development build", () => {
  const { opened, message } = load({ standalone: true, facts: owned(ME) });
  assert.equal(opened, []);
  assert.match(message, "file beside the module: not given");
});

test("URINGNET_LIBRARY is opened by an absolute path, and nothing else is tried", () => {
  assert.equal(load({ environment: "/a/b.so" }).opened, ["/a/b.so"]);
  assert.equal(load({ environment: "./b.so" }).opened, ["/working/directory/./b.so"]);
  assert.equal(load({ environment: "a/b.so" }).opened, ["/working/directory/a/b.so"]);
});

test("URINGNET_LIBRARY with a bare name is refused", () => {
  const { opened, message } = load({ environment: "b.so" });
  assert.equal(opened, []);
  assert.match(message, 'environment variable URINGNET_LIBRARY: "b.so" is a bare name');
});

test("every embedded copy carries the SHA-256 and the size of its bytes", () => {
  for (const { sha256, sizeBytes } of Object.values(EMBEDDED)) {
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.ok(sizeBytes > 0);
  }
});

/** This runtime in a compiled program, which takes the embedded library, and counts its hashes. */
function counting(changes: Partial<Runtime> = {}): { runtime: Runtime; hashes: () => number } {
  const own = "Bun" in globalThis ? bunRuntime : denoRuntime;
  let hashes = 0;
  const runtime = {
    ...own,
    standalone: true,
    environment: () => undefined,
    sha256(bytes: Uint8Array) {
      hashes++;
      return own.sha256(bytes);
    },
    sha256Ahead: own.sha256Ahead ?? ((bytes: Uint8Array) => Promise.resolve(own.sha256(bytes))),
    ...changes,
  };
  return { runtime, hashes: () => hashes };
}

const notAhead: [name: string, changes: Partial<Runtime>][] = [
  ["another hash", { sha256Ahead: () => Promise.resolve("0".repeat(64)) }],
  ["no such function", { sha256Ahead: null }],
  ["URINGNET_LIBRARY", { environment: () => "/a/b.so" }],
  ["a checkout", { standalone: false }],
];

let instances = 0;

/** The loader as a new thread has it: nothing is loaded or hashed. */
function newLoader(): Promise<typeof import("../../../ffi/load.ts")> {
  return import(`../../../ffi/load.ts?thread=${++instances}`);
}

for (const [name, changes] of notAhead) {
  test(`the embedded library is hashed as it is loaded, after ${name}`, async () => {
    const { hashAhead, loadLibrary } = await newLoader();
    await hashAhead(counting(changes).runtime);
    const { runtime, hashes } = counting();
    loadLibrary(runtime);
    assert.ok(hashes() > 0);
  });
}

test("the embedded library is not hashed as it is loaded, if it was hashed ahead", async () => {
  const { hashAhead, libraryPlace, loadLibrary } = await newLoader();
  const { runtime, hashes } = counting();
  await hashAhead(runtime);
  loadLibrary(runtime);
  assert.match(libraryPlace() ?? "", "embedded copy");
  assert.is(hashes(), 0);
});

test("a file with other bytes than those hashed ahead is hashed and not taken", async () => {
  const { hashAhead, loadLibrary } = await newLoader();
  const opened: string[] = [];
  const { runtime, hashes } = counting();
  const libc = runtime.libc();
  let read = 0;
  const changing = {
    ...libc,
    pread(fd: number, bytes: Uint8Array, length: number, offset: number) {
      const count = libc.pread(fd, bytes, length, offset);
      if (Number(count) === EMBEDDED[runtime.machine].sizeBytes && ++read === 1) bytes[0] ^= 1;
      return count;
    },
  };
  await hashAhead(runtime);
  const open = (path: string) => {
    opened.push(path);
    return runtime.open(path);
  };
  // The tests before this one have left such a file, whose first reading is wrong now.
  loadLibrary({ ...runtime, open, libc: () => changing });
  assert.is(hashes(), 1);
  assert.is(opened.length, 1);
});

test.run();
