import { LIMITS } from "../../../src/base/limits.ts";
import { CancelQueue } from "../../../src/ring/cancel_queue.ts";
import { OP_CODE, OpWriter } from "../../../src/ring/op_writer.ts";
import { OPERATION_IDLE, OPERATION_IN_FLIGHT } from "../../../src/ring/operation.ts";
import { assert, suite } from "../../harness.ts";
import { IdleOperation } from "../../support/idle_operation.ts";
import { ManualHost } from "../../support/manual_host.ts";

const CAPACITY = 4;
const SLOT_WORD = 5;

function setUp() {
  const host = new ManualHost();
  let wakeCount = 0;
  const queue = new CancelQueue(host, () => wakeCount++);
  const ops = new Uint32Array(CAPACITY * 8);
  const writer = new OpWriter(ops, CAPACITY);
  /** The slots that a turn cancels. */
  const stage = () => {
    writer.clear();
    queue.stage(writer);
    return Array.from({ length: writer.count }, (_, at) => {
      assert.is(ops[at * 8], OP_CODE.cancel);
      return ops[at * 8 + SLOT_WORD];
    });
  };
  return { host, queue, stage, wakes: () => wakeCount };
}

/** An operation in flight that is being cancelled. */
function ending(slot: number): IdleOperation {
  const operation = new IdleOperation();
  operation.slot = slot;
  operation.state = OPERATION_IN_FLIGHT;
  operation.isCanceling = true;
  return operation;
}

function land(operation: IdleOperation): void {
  operation.state = OPERATION_IDLE;
}

const test = suite("CancelQueue");

test("a cancel is staged once, and again when its operation is still in flight", () => {
  const { host, queue, stage, wakes } = setUp();
  const operation = ending(7);
  queue.push(operation);
  assert.equal(stage(), [7]);
  assert.not(queue.waits);
  host.runUntil(host.now() + LIMITS.cancelAgainFirstMs);
  assert.is(wakes(), 1);
  assert.equal(stage(), [7]);
  land(operation);
  host.runUntil(host.now() + LIMITS.cancelAgainLastMs);
  assert.is(wakes(), 1);
  assert.is(host.timers.length, 0);
});

test("an operation that lands before its turn gets no cancel", () => {
  const { queue, stage } = setUp();
  const operation = ending(1);
  queue.push(operation);
  land(operation);
  assert.equal(stage(), []);
});

test("an expected operation that lands costs no cancel and no turn", () => {
  const { host, queue, wakes } = setUp();
  const operations = Array.from({ length: 1_000 }, (_, slot) => ending(slot));
  for (const operation of operations) queue.expect(operation);
  assert.is(host.timersSet, 1);
  assert.not(queue.waits);
  for (const operation of operations) land(operation);
  host.runUntil(host.now() + LIMITS.cancelAgainFirstMs);
  assert.is(wakes(), 0);
  assert.is(host.timers.length, 0);
});

test("an expected operation that does not land is cancelled after the pause", () => {
  const { host, queue, stage, wakes } = setUp();
  const [late, landed] = [ending(3), ending(4)];
  queue.expect(late);
  queue.expect(landed);
  land(landed);
  host.runUntil(host.now() + LIMITS.cancelAgainFirstMs - 1);
  assert.is(wakes(), 0);
  host.runUntil(host.now() + 1);
  assert.is(wakes(), 1);
  assert.equal(stage(), [3]);
});

test("pauses double up to their limit, and begin anew once all have landed", () => {
  const { host, queue, stage, wakes } = setUp();
  const operation = ending(1);
  queue.push(operation);
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    stage();
    pauses.push((host.nextDueMs as number) - host.now());
    host.runUntil(host.nextDueMs as number);
  }
  assert.equal(pauses, [20, 40, 80, 160, 320, 640, 1_000, 1_000]);
  stage();
  land(operation);
  host.runUntil(host.nextDueMs as number);
  const before = wakes();
  queue.expect(ending(2));
  assert.is(host.nextDueMs, host.now() + LIMITS.cancelAgainFirstMs);
  assert.is(wakes(), before);
});

test("cancels for which a turn has no room wait for the next one, in order", () => {
  const { host, queue, stage, wakes } = setUp();
  for (let slot = 0; slot < CAPACITY + 2; slot++) queue.push(ending(slot));
  assert.equal(stage(), [0, 1, 2, 3]);
  assert.ok(queue.waits);
  host.runUntil(host.now() + LIMITS.cancelAgainFirstMs);
  assert.is(wakes(), 0);
  assert.equal(stage(), [4, 5]);
  host.runUntil(host.now() + LIMITS.cancelAgainFirstMs);
  assert.is(wakes(), 1);
});

test("close() leaves no timer", () => {
  const { host, queue } = setUp();
  queue.expect(ending(1));
  queue.close();
  assert.is(host.timers.length, 0);
});

test.run();
