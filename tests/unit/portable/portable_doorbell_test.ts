import { PortableDoorbell } from "../../../src/portable/portable_doorbell.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("PortableDoorbell");

/** Rings once for `count` completions. Returns the kind of task that was used. */
type Ring = (count: number) => Promise<"macrotask" | "microtask">;

async function withDoorbell(macrotasks: boolean, body: (ring: Ring) => Promise<void>) {
  let waiting = 0;
  let wakeups = 0;
  const queued: (() => void)[] = [];
  const macrotask = macrotasks ? (callback: () => void) => void queued.push(callback) : null;
  const doorbell = new PortableDoorbell(() => void wakeups++, macrotask, () => waiting);
  try {
    await body(async (count) => {
      waiting = count;
      const before = wakeups;
      doorbell.ring();
      doorbell.ring();
      assert.is(wakeups, before, "never during the call");
      await Promise.resolve();
      const kind = wakeups > before ? "microtask" : "macrotask";
      for (const callback of queued.splice(0)) callback();
      assert.is(wakeups, before + 1, "one wakeup for all calls");
      return kind;
    });
  } finally {
    doorbell.close();
  }
}

test("macrotasks while they serve several completions, else microtasks and trials", async () => {
  await withDoorbell(true, async (ring) => {
    for (let i = 0; i < 20; i++) assert.is(await ring(2), "macrotask");
    let first = 0;
    while (await ring(1) === "macrotask") first++;
    assert.ok(first > 1, "a single lone wakeup decides nothing");
    let trials = 0;
    for (let i = 0; i < 600; i++) if (await ring(1) === "macrotask") trials++;
    assert.ok(trials >= 1 && trials <= 10, `${trials} trials`);
    let more = 0;
    while (await ring(2) === "microtask") more++;
    assert.ok(more < 300, "a trial comes");
    assert.is(await ring(2), "macrotask", "the trial has served several");
  });
});

test("without macrotasks, each wakeup is a microtask", async () => {
  await withDoorbell(false, async (ring) => {
    for (let i = 0; i < 20; i++) assert.is(await ring(1 + i % 3), "microtask");
  });
});

test("a closed doorbell does not wake", async () => {
  let wakeups = 0;
  const doorbell = new PortableDoorbell(() => void wakeups++, null, () => 1);
  doorbell.ring();
  doorbell.close();
  doorbell.ring();
  await Promise.resolve();
  assert.is(wakeups, 0);
});

test.run();
