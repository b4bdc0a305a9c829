import { assert, suite } from "../../harness.ts";
import { IdleOperation, looseLane } from "../../support/idle_operation.ts";

const test = suite("Lane");

test("Lane.shift() gives resubmitted operations before fresh ones, each in their order", () => {
  const lane = looseLane();
  for (const name of ["fresh1", "again1", "fresh2", "again2"]) {
    lane.push(new IdleOperation(lane, name), name.startsWith("again") ? "resubmitted" : "fresh");
  }
  const names: string[] = [];
  for (let next = lane.shift(); next !== null; next = lane.shift()) {
    names.push((next as IdleOperation).name);
  }
  assert.equal(names, ["again1", "again2", "fresh1", "fresh2"]);
});

test("Lane.pending counts operations in flight and waiting in either queue", () => {
  const lane = looseLane();
  lane.push(new IdleOperation(lane), "fresh");
  lane.push(new IdleOperation(lane), "resubmitted");
  lane.inFlight = 3;
  assert.is(lane.pending, 5);
  lane.shift();
  assert.is(lane.pending, 4);
});

test("Lane.canStage is true while something waits and the budget allows it", () => {
  const lane = looseLane(2);
  assert.not.ok(lane.canStage, "nothing waits");
  lane.push(new IdleOperation(lane), "fresh");
  assert.ok(lane.canStage);
  lane.inFlight = 1;
  assert.ok(lane.canStage);
  lane.inFlight = 2;
  assert.not.ok(lane.canStage, "the budget is used up");
  lane.push(new IdleOperation(lane), "resubmitted");
  assert.not.ok(lane.canStage, "also for resubmitted ones");
  lane.inFlight = 1;
  lane.shift();
  lane.shift();
  assert.not.ok(lane.canStage);
});

test("Lane.admit() admits as many as it is given, first come first served", () => {
  const lane = looseLane(1);
  const operations = [1, 2, 3].map(() => new IdleOperation(lane));
  for (const operation of operations) lane.push(operation, "awaitingBuffer");
  assert.is(lane.pending, 3);
  assert.ok(lane.hasBufferQueue && lane.canAdmit);
  assert.not.ok(lane.canStage, "those that wait for a buffer were not admitted yet");
  assert.is(lane.shift(), null);
  lane.admit(2);
  assert.ok(lane.hasBufferQueue);
  assert.is(lane.shift(), operations[0]);
  assert.is(lane.shift(), operations[1]);
  assert.is(lane.shift(), null);
  lane.inFlight = 1;
  assert.not.ok(lane.canAdmit, "the budget is used up");
  lane.admit(5);
  assert.not.ok(lane.hasBufferQueue);
  assert.is(lane.shift(), operations[2]);
  assert.is(lane.pending, 1);
});

test("Lane.remove() finds an operation wherever it waits, and says whether it did", () => {
  const lane = looseLane();
  const [resubmitted, fresh, waiting, other] = [1, 2, 3, 4].map(() => new IdleOperation(lane));
  lane.push(resubmitted, "resubmitted");
  lane.push(fresh, "fresh");
  lane.push(waiting, "awaitingBuffer");
  assert.not.ok(lane.remove(other));
  assert.ok(lane.remove(resubmitted));
  assert.ok(lane.remove(waiting));
  assert.ok(lane.remove(fresh));
  assert.not.ok(lane.remove(fresh));
  assert.is(lane.pending, 0);
  assert.is(lane.shift(), null);
});

test("an operation that was taken out can be pushed again", () => {
  const lane = looseLane();
  const [first, second] = [new IdleOperation(lane), new IdleOperation(lane)];
  lane.push(first, "fresh");
  lane.push(second, "fresh");
  lane.remove(first);
  lane.push(first, "fresh");
  assert.is(lane.shift(), second);
  assert.is(lane.shift(), first);
});

test.run();
