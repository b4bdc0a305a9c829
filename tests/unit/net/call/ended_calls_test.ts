import { EndedCalls } from "../../../../src/net/call/ended_calls.ts";
import { assert, suite } from "../../../harness.ts";
import { ManualHost } from "../../../support/manual_host.ts";

const test = suite("EndedCalls");

/** Runs the macrotasks of the host that are queued now. */
function runMacrotasks(host: ManualHost): void {
  for (const macrotask of host.macrotasks.splice(0)) macrotask();
}

test("every wait ends, also where further calls end before it goes on", async () => {
  const host = new ManualHost();
  const calls = new EndedCalls(host);
  const told: string[] = [];
  const add = (name: string) => calls.add({}, { tell: () => told.push(name) });
  add("first");
  const waits = Promise.all([calls.emptied(), calls.emptied(), calls.emptied()]);
  runMacrotasks(host);
  add("second");
  // The waits look again, and find the second half.
  for (let i = 0; i < 10; i++) await Promise.resolve();
  runMacrotasks(host);
  await waits;
  assert.equal(told, ["first", "second"]);
  assert.is(calls.count, 0);
  await calls.emptied();
});

test.run();
