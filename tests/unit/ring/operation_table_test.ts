import { OPERATION_IDLE, OPERATION_IN_FLIGHT } from "../../../src/ring/operation.ts";
import { OperationTable } from "../../../src/ring/operation_table.ts";
import { assert, Random, suite } from "../../harness.ts";
import { IdleOperation } from "../../support/idle_operation.ts";
import { thrown } from "../../support/thrown.ts";

/** Launches and returns what the kernel would be told. */
function launch(table: OperationTable, operation: IdleOperation) {
  table.launch(operation);
  return { slot: operation.slot, generation: operation.generation };
}

const test = suite("OperationTable");

test("OperationTable.launch() gives each operation a slot of its own", () => {
  const table = new OperationTable();
  const operations = [new IdleOperation(), new IdleOperation(), new IdleOperation()];
  const slots = operations.map((operation) => launch(table, operation).slot);
  assert.equal(slots, [0, 1, 2]);
  assert.is(table.inFlight, 3);
  assert.ok(operations.every((operation) => operation.state === OPERATION_IN_FLIGHT));
});

test("OperationTable.land() returns the operation of that very flight, once", () => {
  const table = new OperationTable();
  const operation = new IdleOperation();
  const { slot, generation } = launch(table, operation);
  assert.is(table.land(slot, generation), operation);
  assert.is(operation.state, OPERATION_IDLE);
  assert.is(table.inFlight, 0);
  assert.is(table.land(slot, generation), null, "a second completion is stale");
  assert.is(table.inFlight, 0);
});

test("OperationTable.land() ignores completions of earlier flights and of unknown slots", () => {
  const table = new OperationTable();
  const operation = new IdleOperation();
  const first = launch(table, operation);
  table.land(first.slot, first.generation);
  const second = launch(table, operation);
  assert.is(second.slot, first.slot, "an operation keeps its slot");
  assert.is.not(second.generation, first.generation);
  assert.is(table.land(first.slot, first.generation), null);
  assert.is(table.land(second.slot + 1, second.generation), null);
  assert.is(table.land(-1, second.generation), null);
  assert.is(table.inFlight, 1);
  assert.is(table.land(second.slot, second.generation), operation);
});

test("OperationTable.retire() frees the slot for another operation", () => {
  const table = new OperationTable();
  const [first, second, third] = [new IdleOperation(), new IdleOperation(), new IdleOperation()];
  const flights = [first, second].map((operation) => launch(table, operation));
  for (const { slot, generation } of flights) table.land(slot, generation);
  table.retire(first);
  assert.is(first.slot, -1);
  assert.is(launch(table, third).slot, flights[0].slot);
  assert.is(second.slot, flights[1].slot);
});

test("a late completion of a retired operation does not land on the slot's next owner", () => {
  const table = new OperationTable();
  const [first, second] = [new IdleOperation(), new IdleOperation()];
  const old = launch(table, first);
  table.land(old.slot, old.generation);
  table.retire(first);
  const current = launch(table, second);
  assert.is(current.slot, old.slot);
  assert.is(table.land(old.slot, old.generation), null);
  assert.is(table.land(current.slot, current.generation), second);
});

test("OperationTable.retire() of an operation that never flew does nothing", () => {
  const table = new OperationTable();
  table.retire(new IdleOperation());
  assert.is(launch(table, new IdleOperation()).slot, 0);
});

test("launching or retiring an operation in flight is a bug that is caught", () => {
  const table = new OperationTable();
  const operation = new IdleOperation();
  table.launch(operation);
  thrown(() => table.launch(operation), Error, "invariant");
  thrown(() => table.retire(operation), Error, "invariant");
  assert.is(table.inFlight, 1);
});

test("a launch forgets the cancel of the flight before", () => {
  const table = new OperationTable();
  const operation = new IdleOperation();
  const { slot, generation } = launch(table, operation);
  operation.isCanceling = true;
  table.land(slot, generation);
  table.launch(operation);
  assert.not.ok(operation.isCanceling);
});

test("generations are u32 and may come back from the shim as i32", () => {
  const table = new OperationTable();
  const operation = new IdleOperation();
  const { slot } = launch(table, operation);
  operation.generation = 0xffff_fff0; // As after four thousand million flights.
  assert.is(table.land(slot, 0xffff_fff0 | 0), operation);
});

test("OperationTable.eachInFlight() visits exactly the operations in flight", () => {
  const table = new OperationTable();
  const operations = Array.from({ length: 5 }, () => new IdleOperation());
  for (const operation of operations) table.launch(operation);
  table.land(operations[1].slot, operations[1].generation);
  table.land(operations[3].slot, operations[3].generation);
  table.retire(operations[3]);
  const visited: unknown[] = [];
  table.eachInFlight((operation) => visited.push(operation));
  assert.equal(visited.map((one) => operations.indexOf(one as IdleOperation)), [0, 2, 4]);
});

test("no two flights of a random history have the same slot and generation", () => {
  const random = new Random();
  const table = new OperationTable();
  const seen = new Set<string>();
  let operations: IdleOperation[] = [];
  for (let step = 0; step < 5_000; step++) {
    if (operations.length < 20 && random.chance(0.3)) operations.push(new IdleOperation());
    if (operations.length === 0) continue;
    const operation = random.pick(operations);
    if (operation.state === OPERATION_IN_FLIGHT) {
      assert.is(table.land(operation.slot, operation.generation), operation);
      if (random.chance(0.3)) {
        table.retire(operation);
        operations = operations.filter((other) => other !== operation);
      }
    } else {
      const { slot, generation } = launch(table, operation);
      assert.not.ok(seen.has(`${slot}/${generation}`), `${slot}/${generation} twice`);
      seen.add(`${slot}/${generation}`);
    }
    const flying = operations.filter((other) => other.state === OPERATION_IN_FLIGHT);
    assert.is(table.inFlight, flying.length);
    assert.is(new Set(flying.map((other) => other.slot)).size, flying.length);
  }
});

test.run();
