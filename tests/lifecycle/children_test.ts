/**
 * Children of a process whose network is busy.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { endChildren, start } from "./child.ts";

const test = suite("children", {}, { timeoutMs: 120_000 });

test.after(() => endChildren());

test("spawned programs get no descriptor of a network, which goes on unharmed", async () => {
  const { code, output } = await start("children", { args: ["spawn"] }).ended;
  assert.is(code, 0, output);
  assert.match(output, "<unharmed");
});

test("forked copies of the process do not disturb its network, and end as they like", async () => {
  const { code, output } = await start("children", { args: ["fork"] }).ended;
  assert.is(code, 0, output);
  assert.match(output, "<unharmed");
});

test.run();
