import { Call } from "../../../../src/net/call/call.ts";
import type { Holder } from "../../../../src/net/call/holder.ts";
import { TimingWheel } from "../../../../src/ring/timing_wheel.ts";
import { assert, suite } from "../../../harness.ts";
import { countedSignal } from "../../../support/counted_signal.ts";
import { ManualHost } from "../../../support/manual_host.ts";
import { thrown } from "../../../support/thrown.ts";

/** A call that fails with what ended it. */
class PlainCall extends Call {
  constructor(override readonly holder: Holder) {
    super();
  }

  override expire(): void {
    this.fail(new Error("expired"));
  }

  override abort(reason: unknown): void {
    this.fail(reason);
  }
}

/** What a call needs of a connection. */
function setUp() {
  const host = new ManualHost();
  const wheel = new TimingWheel(host);
  const counter = { held: 0 };
  const holder = {
    context: { wheel, now: 500 },
    hold: () => void counter.held++,
    unhold: () => void counter.held--,
  } as unknown as Holder;
  return { host, wheel, holder, counter };
}

const test = suite("Call");

test("a call that succeeds leaves no deadline, no listener and no hold", async () => {
  const { host, wheel, holder, counter } = setUp();
  const { signal, listenerCount } = countedSignal();
  const call = new PlainCall(holder);
  call.prepare({ signal, timeoutMs: 50 }, null);
  const promise = call.promise<number>();
  assert.not.ok(call.settled);
  call.begin();
  assert.equal([counter.held, wheel.count, listenerCount()], [1, 1, 1]);
  call.succeed(7);
  assert.ok(call.settled);
  assert.equal([counter.held, wheel.count, listenerCount()], [0, 0, 0]);
  assert.is(await promise, 7);
  host.runUntil(10_000);
});

test("a call without options costs no deadline", async () => {
  const { wheel, holder, counter } = setUp();
  const call = new PlainCall(holder);
  call.prepare(undefined, null);
  const promise = call.promise<void>();
  call.begin();
  assert.equal([wheel.count, counter.held, call.startedMs], [0, 1, 500]);
  call.succeed(undefined);
  await promise;
});

test("call options may inherit fields that they must not have themselves", () => {
  const { holder } = setUp();
  const call = new PlainCall(holder);
  call.prepare(new AbortController(), null);
  call.prepare(Object.assign(Object.create({ extension: 1 }), { timeoutMs: 6 }), null);
  assert.is(call.timeoutMs, 6);
  thrown(() => call.prepare({ extension: 1 } as never, null), TypeError, "options.extension");
  thrown(() => call.prepare(new AbortController().signal as never, null), TypeError, "AbortSignal");
});

test("a call whose budget runs out expires once and forgets its signal", async () => {
  const { host, wheel, holder, counter } = setUp();
  const { signal, listenerCount } = countedSignal();
  const call = new PlainCall(holder);
  call.prepare({ signal }, 100);
  const promise = call.promise<void>();
  call.begin();
  const rejected = assert.rejects(promise, /expired/);
  host.runUntil(host.now() + 110);
  await rejected;
  assert.equal([counter.held, wheel.count, listenerCount()], [0, 0, 0]);
});

test("a call that is aborted rejects with the signal's reason and has no deadline", async () => {
  const { wheel, holder, counter } = setUp();
  const { controller, signal } = countedSignal();
  const call = new PlainCall(holder);
  call.prepare({ signal, timeoutMs: 100 }, null);
  const promise = call.promise<void>();
  call.begin();
  const reason = { not: "an error" };
  controller.abort(reason);
  assert.equal([counter.held, wheel.count], [0, 0]);
  assert.is(await promise.then(() => null, (error) => error), reason);
});

test("a call that is used again does not listen to the signal of its last use", async () => {
  const { holder } = setUp();
  const { controller, signal, listenerCount } = countedSignal();
  const call = new PlainCall(holder);
  call.prepare({ signal }, null);
  const first = call.promise<string>();
  call.begin();
  call.succeed("first");
  call.prepare(undefined, null);
  const second = call.promise<string>();
  call.begin();
  assert.is(listenerCount(), 0);
  controller.abort();
  assert.not.ok(call.settled);
  call.succeed("second");
  assert.equal([await first, await second], ["first", "second"]);
});

test("a call that is used again has the budget of this use only", async () => {
  const { wheel, holder } = setUp();
  const call = new PlainCall(holder);
  call.prepare({ timeoutMs: 5 }, null);
  const first = call.promise<void>();
  call.begin();
  call.succeed(undefined);
  call.prepare({}, null);
  const second = call.promise<void>();
  call.begin();
  assert.is(wheel.count, 0);
  call.succeed(undefined);
  await Promise.all([first, second]);
});

test("a call settles once: a second end is a bug that is caught", async () => {
  const { holder } = setUp();
  const call = new PlainCall(holder);
  const promise = call.promise<void>();
  call.begin();
  call.succeed(undefined);
  thrown(() => call.succeed(undefined), Error, "a call settles once");
  thrown(() => call.fail(new Error("late")), Error, "a call settles once");
  await promise;
});

test("disarm() stops clock and signal, and the call is still to be settled", async () => {
  const { wheel, holder, counter } = setUp();
  const { controller, signal, listenerCount } = countedSignal();
  const call = new PlainCall(holder);
  call.prepare({ signal, timeoutMs: 100 }, null);
  const promise = call.promise<void>();
  call.begin();
  call.disarm();
  controller.abort();
  assert.equal([counter.held, wheel.count, listenerCount()], [1, 0, 0]);
  assert.not.ok(call.settled);
  call.succeed(undefined);
  assert.is(counter.held, 0);
  await promise;
});

test("prepare() takes the call's own budget, null for none, or the configured one", () => {
  const { holder } = setUp();
  const call = new PlainCall(holder);
  const budget = (options: Record<string, unknown> | undefined) => {
    call.prepare(options, 1_000);
    return call.timeoutMs;
  };
  assert.equal(
    [budget(undefined), budget({}), budget({ timeoutMs: undefined }), budget({ timeoutMs: null })],
    [1_000, 1_000, 1_000, null],
  );
  assert.equal([budget({ timeoutMs: 0 }), budget({ timeoutMs: 2 ** 31 - 1 })], [0, 2 ** 31 - 1]);
});

test("prepare() refuses wrong options, budgets and signals by name", () => {
  const { holder } = setUp();
  const prepare = (options: unknown) => () => new PlainCall(holder).prepare(options as never, null);
  for (const timeoutMs of [-1, 1.5, NaN, 2 ** 31]) {
    thrown(prepare({ timeoutMs }), RangeError, `"timeoutMs"`);
  }
  thrown(prepare({ timeoutMs: "5" }), TypeError, `"timeoutMs"`);
  thrown(prepare({ signal: {} }), TypeError, `"signal": wanted an AbortSignal`);
  for (const options of [null, 5, "fast"]) thrown(prepare(options), TypeError, `"options"`);
});

test("prepare() throws the reason of a signal that is aborted already", () => {
  const { holder } = setUp();
  const reason = new Error("too late");
  const signal = AbortSignal.abort(reason);
  assert.is(thrown(() => new PlainCall(holder).prepare({ signal }, null), Error), reason);
});

test.run();
