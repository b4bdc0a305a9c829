import { interleave } from "../../../../src/net/address/interleave.ts";
import { assert, suite } from "../../../harness.ts";

const test = suite("interleave");

const familyOf = (name: string) => name.startsWith("6") ? 6 : 4;
const ordered = (...names: string[]) => interleave(names, familyOf).join(" ");

test("families alternate, beginning with that of the first address", () => {
  assert.is(ordered("6a", "6b", "6c", "4a", "4b"), "6a 4a 6b 4b 6c");
  assert.is(ordered("4a", "6a", "6b", "6c"), "4a 6a 6b 6c");
  assert.is(ordered("4a", "4b", "6a"), "4a 6a 4b");
  assert.is(ordered("60", "61", "42", "43", "44"), "60 42 61 43 44");
});

test("addresses of one family, or fewer than three, keep their order", () => {
  assert.is(ordered("4a", "4b", "4c"), "4a 4b 4c");
  assert.is(ordered("4a", "6a"), "4a 6a");
  assert.is(ordered("6a"), "6a");
  assert.is(ordered(), "");
});

test("the given array is not changed", () => {
  const names = ["6a", "6b", "4a"];
  interleave(names, familyOf);
  assert.equal(names, ["6a", "6b", "4a"]);
});

test.run();
