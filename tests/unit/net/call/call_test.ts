import { Call } from "../../../../src/net/call/call.ts";
import type { LoopReference } from "../../../../src/net/call/loop_reference.ts";
import { TimingWheel } from "../../../../src/ring/timing_wheel.ts";
import { assert, suite } from "../../../harness.ts";
import { countedSignal } from "../../../support/counted_signal.ts";
import { ManualHost } from "../../../support/manual_host.ts";
import { thrown } from "../../../support/thrown.ts";

/** A call that fails with the reason of its end. */
class PlainCall extends Call {
  constructor(override readonly loopReference: LoopReference) {
    super();
  }

  override expire(): void {
    this.fail(new Error("expired"));
  }

  override abort(reason: unknown): void {
    this.fail(reason);
  }

  protected override enqueue(): void {}
}

/** The parts of a connection that a call uses. */
function setUp() {
  const host = new ManualHost();
  const wheel = new TimingWheel(host);
  const counter = { held: 0 };
  const loopReference = {
    context: { wheel, now: 500 },
    addCall: () => void counter.held++,
    removeCall: () => void counter.held--,
  } as unknown as LoopReference;
  return { host, wheel, loopReference, counter };
}

const test = suite("Call");

test("a call that succeeds leaves no deadline, no listener and no reference", async () => {
  const { host, wheel, loopReference, counter } = setUp();
  const { signal, listenerCount } = countedSignal();
  const call = new PlainCall(loopReference);
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
  const { wheel, loopReference, counter } = setUp();
  const call = new PlainCall(loopReference);
  call.prepare(undefined, null);
  const promise = call.promise<void>();
  call.begin();
  assert.equal([wheel.count, counter.held, call.startedMs], [0, 1, 500]);
  call.succeed(undefined);
  await promise;
});

test("unknown fields of call options may be inherited, but not own", () => {
  const { loopReference } = setUp();
  const call = new PlainCall(loopReference);
  call.prepare(new AbortController(), null);
  call.prepare(Object.assign(Object.create({ extension: 1 }), { timeoutMs: 6 }), null);
  assert.is(call.timeoutMs, 6);
  thrown(() => call.prepare({ extension: 1 } as never, null), TypeError, "options.extension");
  thrown(() => call.prepare(new AbortController().signal as never, null), TypeError, "AbortSignal");
});

test("a call whose budget runs out expires once and leaves its signal", async () => {
  const { host, wheel, loopReference, counter } = setUp();
  const { signal, listenerCount } = countedSignal();
  const call = new PlainCall(loopReference);
  call.prepare({ signal }, 100);
  const promise = call.promise<void>();
  call.begin();
  const rejected = assert.rejects(promise, /expired/);
  host.runUntil(host.now() + 110);
  await rejected;
  assert.equal([counter.held, wheel.count, listenerCount()], [0, 0, 0]);
});

test("a call that is aborted rejects with the signal's reason and has no deadline", async () => {
  const { wheel, loopReference, counter } = setUp();
  const { controller, signal } = countedSignal();
  const call = new PlainCall(loopReference);
  call.prepare({ signal, timeoutMs: 100 }, null);
  const promise = call.promise<void>();
  call.begin();
  const reason = { not: "an error" };
  controller.abort(reason);
  assert.equal([counter.held, wheel.count], [0, 0]);
  assert.is(await promise.then(() => null, (error) => error), reason);
});

test("a call that is used again does not listen to the signal of its last use", async () => {
  const { loopReference } = setUp();
  const { controller, signal, listenerCount } = countedSignal();
  const call = new PlainCall(loopReference);
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
  const { wheel, loopReference } = setUp();
  const call = new PlainCall(loopReference);
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

test("a second end of a call is a bug, and throws", async () => {
  const { loopReference } = setUp();
  const call = new PlainCall(loopReference);
  const promise = call.promise<void>();
  call.begin();
  call.succeed(undefined);
  thrown(() => call.succeed(undefined), Error, "a call settles once");
  thrown(() => call.fail(new Error("late")), Error, "a call settles once");
  await promise;
});

test("disarm() ends budget and signal, and leaves the call unsettled", async () => {
  const { wheel, loopReference, counter } = setUp();
  const { controller, signal, listenerCount } = countedSignal();
  const call = new PlainCall(loopReference);
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
  const { loopReference } = setUp();
  const call = new PlainCall(loopReference);
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
  const { loopReference } = setUp();
  const prepare = (options: unknown) => () =>
    new PlainCall(loopReference).prepare(options as never, null);
  for (const timeoutMs of [-1, 1.5, NaN, 2 ** 31]) {
    thrown(prepare({ timeoutMs }), RangeError, `"timeoutMs"`);
  }
  thrown(prepare({ timeoutMs: "5" }), TypeError, `"timeoutMs"`);
  for (const signal of [{}, 5, new EventTarget(), Object.create(AbortSignal.prototype)]) {
    thrown(prepare({ signal }), TypeError, `"signal": wanted an AbortSignal`);
  }
  for (const options of [null, 5, "fast"]) thrown(prepare(options), TypeError, `"options"`);
});

test("prepare() throws the reason of a signal that is aborted already", () => {
  const { loopReference } = setUp();
  const reason = new Error("too late");
  const signal = AbortSignal.abort(reason);
  assert.is(thrown(() => new PlainCall(loopReference).prepare({ signal }, null), Error), reason);
});

test.run();
