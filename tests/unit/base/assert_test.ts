import { assert as claim, unreachable } from "../../../src/base/assert.ts";
import { suite } from "../../harness.ts";
import { thrown } from "../../support/thrown.ts";

const test = suite("assert");

test("assert() throws the claim that does not hold, and nothing otherwise", () => {
  claim(true, "never seen");
  thrown(() => claim(false, "one is two"), Error, "uringnet invariant broken: one is two");
});

test("unreachable() names the unexpected case", () => {
  thrown(() => unreachable("third" as never), Error, "unexpected case third");
});

test.run();
