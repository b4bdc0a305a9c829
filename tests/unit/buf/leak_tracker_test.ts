import { spawn } from "node:child_process";
import process from "node:process";
import { type BufferHandle, handleFields } from "../../../src/buf/buffer_handle.ts";
import { leakTrackerOf, openPool } from "../../../src/buf/buffer_pool.ts";
import { assert, deferred, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";

/** Where the child process writes its findings. */
const MARK = "findings: ";

function makePool(maxPerClass = 8) {
  const source = new PlainSlabSource();
  return { source, pool: openPool({ minSize: 64, maxSize: 64, maxPerClass }, source) };
}

const isRegistered = (handle: BufferHandle) => handleFields.isRegistered(handle);

/** Runs a program in a process of its own whose garbage collector can be called. */
async function runCollected(body: string): Promise<Record<string, unknown>> {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { leakTrackerOf, openPool } from ${url("../../../src/buf/buffer_pool.ts")};
    import { PlainSlabSource } from ${url("../../support/plain_slab_source.ts")};
    const collect = globalThis.Bun ? () => Bun.gc(true) : globalThis.gc;
    const source = new PlainSlabSource();
    const pool = openPool({ minSize: 64, maxSize: 64, maxPerClass: 100 }, source);
    const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
    /** Collects until it is so, for a limited number of rounds. */
    async function until(condition) {
      for (let round = 0; round < 500 && !condition(); round++) { collect(); await turn(); }
    }
    ${body}`;
  const inDeno = "Deno" in globalThis;
  const flags = inDeno
    ? ["run", "--no-config", "--no-lock", "--no-check", "--v8-flags=--expose-gc", "-"]
    : ["run", "-"];
  const child = spawn(process.execPath, flags, { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk) => output += String(chunk));
  child.stdin.end(program);
  const closed = deferred<number | null>();
  child.on("error", closed.reject);
  child.on("close", closed.resolve);
  assert.is(await closed.promise, 0, output);
  const line = output.split("\n").find((text) => text.startsWith(MARK));
  assert.ok(line !== undefined, output);
  return JSON.parse((line as string).slice(MARK.length));
}

const test = suite("LeakTracker");

test("a handle that is released within its first moments is never registered", () => {
  const { source, pool } = makePool();
  const buffer = pool.alloc(1);
  buffer.release();
  assert.is(source.runTimers(), 1);
  assert.not.ok(isRegistered(buffer));
});

test("a handle that is still held when the timer fires is registered until it is released", () => {
  const { source, pool } = makePool();
  const buffer = pool.alloc(1);
  assert.not.ok(isRegistered(buffer));
  source.runTimers();
  assert.ok(isRegistered(buffer));
  buffer.release();
  assert.not.ok(isRegistered(buffer));
});

test("a registered handle that is moved is unregistered, and its successor is registered", () => {
  const { source, pool } = makePool();
  const buffer = pool.alloc(1);
  source.runTimers();
  const fixed = buffer.freeze();
  assert.not.ok(isRegistered(buffer));
  source.runTimers();
  assert.ok(isRegistered(fixed));
  const piece = fixed.slice(0, 1);
  source.runTimers();
  assert.ok(isRegistered(piece), "slices too");
  fixed.release();
  piece.release();
});

test("plain memory is not tracked at all", () => {
  const { source, pool } = makePool(1);
  const held = pool.alloc(1);
  source.runTimers();
  const plain = [pool.alloc(1), pool.alloc(0), pool.alloc(1_000)];
  assert.is(source.timers.length, 0);
  for (const buffer of [held, ...plain]) buffer.release();
});

test("one timer serves many handles, and none is set while nothing is new", () => {
  const { source, pool } = makePool();
  const buffers = [pool.alloc(1), pool.alloc(1), pool.alloc(1)];
  assert.is(source.timers.length, 1);
  source.runTimers();
  assert.is(source.timers.length, 0);
  const late = pool.alloc(1);
  assert.is(source.timers.length, 1);
  for (const buffer of [...buffers, late]) buffer.release();
});

test("while a ring is busy no timer is set, and its next sleep finds what is open", () => {
  const { source, pool } = makePool();
  const tracker = leakTrackerOf(pool);
  tracker.onBusy();
  pool.alloc(1).release();
  tracker.onIdle();
  assert.is(source.timers.length, 0, "no handle is open");
  tracker.onBusy();
  const held = pool.alloc(1);
  assert.is(source.timers.length, 0);
  tracker.onIdle();
  source.runTimers();
  assert.ok(isRegistered(held));
  held.release();
});

test("a handle that is made while every ring is idle sets the timer: no sleep follows", () => {
  const { source, pool } = makePool();
  const tracker = leakTrackerOf(pool);
  tracker.onBusy();
  tracker.onBusy();
  tracker.onIdle();
  const first = pool.alloc(1);
  assert.is(source.timers.length, 0, "one ring is busy");
  tracker.onIdle();
  source.runTimers();
  assert.ok(isRegistered(first));
  const second = pool.alloc(1);
  source.runTimers();
  assert.ok(isRegistered(second));
  for (const buffer of [first, second]) buffer.release();
});

test("sweep() registers open handles without waiting for the timer", () => {
  const { pool } = makePool();
  const [first, second] = [pool.alloc(1), pool.alloc(1)];
  second.release();
  leakTrackerOf(pool).sweep();
  assert.equal([isRegistered(first), isRegistered(second)], [true, false]);
  first.release();
});

test("the nursery is bounded: each 4,096th handle sweeps it", () => {
  const { pool } = makePool(1);
  const held = pool.alloc(1).freeze();
  const release = (count: number) => {
    for (let i = 0; i < count; i++) held.clone().release();
  };
  // The nursery has the buffer, which was frozen, and the handle that took its place.
  release(4_093);
  assert.not.ok(isRegistered(held));
  release(1);
  assert.ok(isRegistered(held), "swept by the 4,096th handle");
  const later = held.clone();
  release(4_094);
  assert.not.ok(isRegistered(later));
  release(1);
  assert.ok(isRegistered(later));
  later.release();
  held.release();
  assert.not.ok(isRegistered(held));
});

test("a dropped buffer is reclaimed and counted, the first of all pools is warned of", async () => {
  const found = await runCollected(`
    const kept = pool.alloc(1);
    (() => { for (let i = 0; i < 40; i++) pool.alloc(1).bytes[0] = i; })();
    const before = pool.stats().classes[0].allocated;
    source.runTimers();
    await until(() => pool.stats().leaked === 40);
    kept.bytes[0] = 1;
    const other = openPool({ minSize: 64, maxSize: 64, maxPerClass: 1 }, source);
    (() => { other.alloc(1).bytes[0] = 1; })();
    source.runTimers();
    await until(() => other.stats().leaked === 1);
    const { leaked, classes: [{ allocated, available }] } = pool.stats();
    console.log(${JSON.stringify(MARK)} + JSON.stringify(
      { before, leaked, allocated, available, warnings: source.warnings }));
  `);
  const { warnings, ...numbers } = found;
  assert.equal(numbers, { before: 41, leaked: 40, allocated: 1, available: 99 });
  assert.is((warnings as string[]).length, 1, "said once");
  assert.match((warnings as string[])[0], "without release()");
});

test("released, moved and shared buffers are not counted as leaked", async () => {
  // The last three are dropped on purpose: when they are gone, the collector has been through.
  const found = await runCollected(`
    const shared = pool.alloc(4).freeze();
    (() => {
      for (let i = 0; i < 30; i++) {
        const buffer = pool.alloc(4);
        if (i % 3 === 0) buffer.release();
        else if (i % 3 === 1) buffer.freeze().release();
        else { leakTrackerOf(pool).sweep(); buffer.release(); }
      }
      shared.slice(1);
      shared.clone();
      pool.alloc(1);
    })();
    leakTrackerOf(pool).sweep();
    await until(() => pool.stats().leaked >= 3);
    for (let round = 0; round < 5; round++) { collect(); await turn(); }
    const { leaked, classes: [{ allocated }] } = pool.stats();
    shared.release();
    const after = pool.stats().classes[0].allocated;
    console.log(${JSON.stringify(MARK)} + JSON.stringify({ leaked, allocated, after }));
  `);
  assert.equal(found, { leaked: 3, allocated: 1, after: 0 });
});

test.run();
