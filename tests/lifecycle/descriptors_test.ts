/**
 * Descriptors that are left when a network has ended, or when it could not begin: each test runs a
 * program in this runtime.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { endChildren, start } from "./child.ts";

const test = suite("lifecycle/descriptors", {}, { timeoutMs: 120_000 });

test.after(() => endChildren());

test("closed networks leave the descriptors of a process without a network", async () => {
  const [without, with_] = await Promise.all(
    ["nothing", "network"].map((kind) => start("leftover", { args: [kind] }).ended),
  );
  const kindsOf = (output: string) => /<later (.*)>/.exec(output)?.[1];
  assert.ok(kindsOf(without.output) !== undefined, without.output);
  assert.is(kindsOf(with_.output), kindsOf(without.output));
});

test("a doorbell that the runtime cannot adopt: a typed error, and nothing is left", async () => {
  const { code, output } = await start("doorbells").ended;
  assert.is(code, 0, output);
  assert.match(output, "<refused 10 of 10>");
  assert.match(output, "<leaked 0>");
  assert.match(output, "<unhandled 0>");
});

test.run();
