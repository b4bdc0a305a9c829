/**
 * The garbage collector and the kernel want the same memory: neither may take it from the other.
 * Each test is a process of its own, in which collections are forced.
 *
 * @module
 */
import { assert, Random, suite } from "../harness.ts";
import { endChildren, type Ending, start } from "../lifecycle/child.ts";

const test = suite("garbage collection", {}, { timeoutMs: 120_000 });

test.after(() => endChildren());

const folder = new URL("./programs/", import.meta.url);

async function expectRight(kind: string): Promise<Ending> {
  const args = [kind, String(new Random().next())];
  const ending = await start("collected", { folder, collects: true, args }).ended;
  assert.is(ending.signal, null, ending.output);
  assert.is(ending.code, 0, ending.output);
  assert.match(ending.output, "<right>");
  return ending;
}

const WARNING = "was dropped without release()";

for (const topology of ["shared", "split"]) {
  test(`collections under load: every byte right, nothing leaks (${topology})`, async () => {
    const { output } = await expectRight(topology);
    assert.not.match(output, WARNING);
  });
}

test("dropped buffers are reclaimed, counted in pool and metrics, and warned of once", async () => {
  const { output } = await expectRight("dropped");
  assert.is(output.split(WARNING).length - 1, 1, output);
});

test("buffers dropped while the network sleeps are reclaimed too, and warned of once", async () => {
  const { output } = await expectRight("dropped asleep");
  assert.is(output.split(WARNING).length - 1, 1, output);
});

test("a stale view shows the pattern in debug mode, and a stale handle throws", async () => {
  await expectRight("stale");
});

test("memory in flight is kept, even if the caller drops all references", async () => {
  await expectRight("in flight");
});

test("nothing keeps closed connections, their calls and the memory of callers", async () => {
  await expectRight("closed");
});

test.run();
