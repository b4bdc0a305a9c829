/**
 * The files of unix listeners: which file is made and with which permissions, which file is
 * removed, and when a stale file may be replaced.
 *
 * @module
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import type { Network, NetworkConfig } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import { leaveStaleFile, RawUnixSocket, SOCK_DGRAM } from "../../support/raw_unix.ts";
import { connect, type ContractSuite, expectAlive, settlesWithin, started } from "../fixture.ts";

/** A folder for one test, which is empty again at the end of the test. */
class Folder implements Disposable {
  readonly path: string = mkdtempSync("/tmp/uringnet-files-");

  file(name: string): string {
    return `${this.path}/${name}`;
  }

  get names(): string[] {
    return readdirSync(this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

/** Runs `body` in another working directory, and always returns. */
async function within<T>(path: string, body: () => Promise<T>): Promise<T> {
  const here = process.cwd();
  process.chdir(path);
  try {
    return await body();
  } finally {
    process.chdir(here);
  }
}

async function withUmask<T>(mask: number, body: () => Promise<T>): Promise<T> {
  const before = process.umask(mask);
  try {
    return await body();
  } finally {
    process.umask(before);
  }
}

const REMEDY = "no socket listens there, the file was left behind; pass unlinkStale: true to " +
  "replace it, or remove it";

/** Entries in the place of a socket file, none of which may be removed. */
const OTHERS: readonly (readonly [string, (path: string) => void])[] = [
  ["a plain file", (path) => writeFileSync(path, "mine")],
  ["a link to a file that is stale", (path) => {
    leaveStaleFile(`${path}.stale`);
    symlinkSync(`${path}.stale`, path);
  }],
  ["a link to nothing", (path) => symlinkSync(`${path}.nothing`, path)],
  ["a folder", (path) => mkdirSync(path)],
];

function removing(test: ContractSuite, config: NetworkConfig): void {
  test("unix files: closing removes the listener's own file, and no newer one", async (context) => {
    using folder = new Folder();
    const path = folder.file("a");
    const first = await context.network.bind({ path });
    unlinkSync(path);
    const pair = await connect(context.network, { path });
    await first.close();
    await expectAlive(pair);
    assert.equal(folder.names, ["a"], "the newer listener's file stays");
    await pair[Symbol.asyncDispose]();
    assert.equal(folder.names, []);
  });

  for (const [name, place] of OTHERS) {
    test(`unix files: ${name} in the place of the listener's file stays`, async (context) => {
      using folder = new Folder();
      const path = folder.file("a");
      const listener = await context.network.bind({ path });
      unlinkSync(path);
      place(path);
      const before = [lstatSync(path).ino, ...folder.names];
      await listener.close();
      assert.equal([lstatSync(path).ino, ...folder.names], before);
    });
  }

  test("unix files: a relative path is resolved at the time of bind", async ({ network }) => {
    using folder = new Folder();
    mkdirSync(folder.file("inner"));
    for (const name of ["plain", "./dotted", "../inner/parent", "\ufeffmarked", "@at"]) {
      const path = name === "@at" ? "./@at" : name;
      const pair = await within(folder.file("inner"), async () => {
        const pair = await connect(network, { path });
        assert.equal(pair.listener.localAddress, { path });
        assert.equal(pair.client.remoteAddress, { path });
        return pair;
      });
      assert.is(readdirSync(folder.file("inner")).length, 1, name);
      await expectAlive(pair);
      await pair[Symbol.asyncDispose]();
      assert.equal(readdirSync(folder.file("inner")), [], name);
    }
  });

  test("unix files: a short path whose absolute form is too long", async (context) => {
    using folder = new Folder();
    const deep = folder.file(Array(5).fill("x".repeat(50)).join("/"));
    mkdirSync(deep, { recursive: true });
    const listener = await within(deep, () => context.network.bind({ path: "short" }));
    assert.equal(readdirSync(deep), ["short"]);
    await listener.close();
    assert.equal(readdirSync(deep), []);
  });

  test("unix files: a folder that was moved, and another in its place", async ({ network }) => {
    using folder = new Folder();
    const [there, moved] = [folder.file("there"), folder.file("moved")];
    mkdirSync(there);
    const first = await network.bind({ path: `${there}/a` });
    renameSync(there, moved);
    mkdirSync(there);
    const second = await network.bind({ path: `${there}/a` });
    await first.close();
    assert.equal([readdirSync(moved), readdirSync(there)], [[], ["a"]]);
    await second.close();
    assert.equal(readdirSync(there), []);
  });

  test("unix files: a closing network removes its files, a refused bind leaves none", async () => {
    using folder = new Folder();
    const own = await started(config);
    await own.network.bind({ path: folder.file("a") });
    await own.network.bind({ path: folder.file("b") }, { mode: 0o600 });
    const none = { code: "BindFailed", errno: "ENOENT" };
    await assert.rejects(own.network.bind({ path: folder.file("none/c") }), none);
    assert.equal(folder.names.sort(), ["a", "b"]);
    await own[Symbol.asyncDispose]();
    assert.equal(folder.names, []);
  });
}

/** Binds several times: each bind is refused for this reason, and the folder does not change. */
async function expectRefused(network: Network, folder: Folder, reason: string): Promise<void> {
  const path = folder.file("a");
  const before = [lstatSync(path).ino, ...folder.names];
  const error = await assert.rejects(network.bind({ path }, { unlinkStale: true }), {
    code: "BindFailed",
    operation: "bind",
    errno: "EADDRINUSE",
  });
  assert.is(
    error.message,
    `Cannot bind unix:${path}: address already in use (EADDRINUSE): ${reason}`,
  );
  assert.equal([lstatSync(path).ino, ...folder.names], before);
}

function replacing(test: ContractSuite, _config: NetworkConfig): void {
  test("unix files: a stale file is refused, with the remedy", async ({ network }) => {
    using folder = new Folder();
    const path = folder.file("a");
    leaveStaleFile(path);
    const { ino } = statSync(path);
    for (const options of [undefined, {}, { unlinkStale: false }]) {
      const error = await assert.rejects(network.bind({ path }, options), {
        code: "BindFailed",
        errno: "EADDRINUSE",
      });
      assert.is(
        error.message,
        `Cannot bind unix:${path}: address already in use (EADDRINUSE): ${REMEDY}`,
      );
    }
    assert.is(statSync(path).ino, ino);
    await assert.rejects(network.dial({ path }), { errno: "ECONNREFUSED" });
  });

  test("unix files: unlinkStale works with and without a stale file", async (context) => {
    using folder = new Folder();
    const path = folder.file("a");
    for (const stale of [true, false]) {
      if (stale) leaveStaleFile(path);
      const listener = await context.network.bind({ path }, { unlinkStale: true, mode: 0o600 });
      assert.equal(listener.localAddress, { path });
      assert.equal(folder.names, ["a"]);
      const [client, server] = await Promise.all([
        context.network.dial({ path }),
        listener.accept(),
      ]);
      await expectAlive({ client, server });
      await Promise.all([client.close(), server.close(), listener.close()]);
      assert.equal(folder.names, []);
    }
  });

  test("unix files: unlinkStale leaves a listener alone, and undisturbed", async ({ network }) => {
    using folder = new Folder();
    const path = folder.file("a");
    const listener = await network.bind({ path });
    const accepting = listener.accept();
    await expectRefused(network, folder, "a socket is bound to the file");
    await assert.rejects(network.bind({ path }), { errno: "EADDRINUSE" });
    assert.not(await settlesWithin(accepting, 20), "it was asked without a connection");
    const client = await network.dial({ path });
    const server = await accepting;
    await expectAlive({ client, server });
    await Promise.all([client.close(), server.close(), listener.close()]);
  });

  test("unix files: unlinkStale leaves a socket that is about to listen alone", async (context) => {
    using folder = new Folder();
    using _ = new RawUnixSocket(folder.file("a"));
    await expectRefused(context.network, folder, "a socket is bound to the file");
  });

  test("unix files: unlinkStale leaves a socket of another type alone", async ({ network }) => {
    using folder = new Folder();
    using _ = new RawUnixSocket(folder.file("a"), SOCK_DGRAM);
    await expectRefused(network, folder, "a socket is bound to the file");
  });

  for (const [name, place] of OTHERS) {
    test(`unix files: unlinkStale leaves ${name} alone`, async ({ network }) => {
      using folder = new Folder();
      place(folder.file("a"));
      await expectRefused(network, folder, "the file is not a socket");
    });
  }

  test("unix files: a path that ends with a slash is refused as a folder", async ({ network }) => {
    using folder = new Folder();
    const path = folder.file("");
    for (const unlinkStale of [false, true]) {
      const error = await assert.rejects(network.bind({ path }, { unlinkStale }), {
        code: "BindFailed",
        errno: "EADDRINUSE",
      });
      const reason = "the path ends with a slash, so it names a folder; add the name of a file";
      assert.is(
        error.message,
        `Cannot bind unix:${path}: address already in use (EADDRINUSE): ${reason}`,
      );
    }
    assert.equal(folder.names, []);
  });

  test("unix files: unlinkStale and many binds at once: one listener", async ({ network }) => {
    using folder = new Folder();
    const path = folder.file("a");
    leaveStaleFile(path);
    const binds = Array.from({ length: 20 }, () => network.bind({ path }, { unlinkStale: true }));
    const settled = await Promise.allSettled(binds);
    const listeners = settled.filter(({ status }) => status === "fulfilled");
    assert.is(listeners.length, 1);
    for (const bind of settled) {
      if (bind.status === "fulfilled") await bind.value.close();
      else assert.is(bind.reason.errno, "EADDRINUSE");
    }
    assert.equal(folder.names, []);
  });
}

function permissions(test: ContractSuite): void {
  test("unix files: mode is exact, for every umask", async ({ network }) => {
    using folder = new Folder();
    for (const mask of [0, 0o022, 0o077, 0o777]) {
      for (const mode of [undefined, 0, 0o600, 0o660, 0o666, 0o777]) {
        const path = folder.file("a");
        const options = mode === undefined ? {} : { mode };
        const listener = await withUmask(mask, () => network.bind({ path }, options));
        assert.is(statSync(path).mode & 0o7777, mode ?? (0o777 & ~mask));
        await listener.close();
      }
    }
    assert.equal(folder.names, []);
  });

  test("unix files: mode is refused where there is no file", async ({ network }) => {
    const name = `\0uringnet-mode-${process.pid}`;
    for (const address of ["127.0.0.1:0", "[::1]:0", "localhost:0", { path: name }]) {
      const error = await assert.rejects(network.bind(address, { mode: 0o600 }));
      assert.instance(error, TypeError);
      assert.match(error.message, '"options.mode": wanted the path of a file');
    }
  });

  test("unix files: unlinkStale has no effect on addresses without a file", async ({ network }) => {
    const path = `\0uringnet-stale-${process.pid}`;
    for (const address of ["127.0.0.1:0", { path }]) {
      const listener = await network.bind(address, { unlinkStale: true });
      const error = { code: "BindFailed", errno: "EADDRINUSE" };
      await assert.rejects(network.bind(listener.localAddress, { unlinkStale: true }), error);
      await listener.close();
    }
    assert.not(existsSync(path.slice(1)));
  });
}

export function unixFiles(test: ContractSuite, config: NetworkConfig): void {
  removing(test, config);
  replacing(test, config);
  permissions(test);
}
