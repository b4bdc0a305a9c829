import { check, shown } from "../../../src/base/check.ts";
import { assert, suite } from "../../harness.ts";
import { thrown } from "../../support/thrown.ts";

const test = suite("check");

test("check.integer() returns every integer from min to max", () => {
  for (const value of [1, 2, 10]) assert.is(check.integer("size", value, 1, 10), value);
  assert.is(check.integer("size", 2 ** 53 - 1, 0, Number.MAX_SAFE_INTEGER), 2 ** 53 - 1);
});

test("check.integer() throws RangeError naming field, range and value", () => {
  for (const value of [0, 11, 1.5, NaN, Infinity, -Infinity, -1]) {
    const { message } = thrown(() => check.integer("a.size", value, 1, 10), RangeError);
    assert.is(message, `Cannot use "a.size": wanted an integer from 1 to 10, given ${value}`);
  }
});

test("check.integer() throws TypeError for what is not a number", () => {
  const cases: [unknown, string][] = [
    ["5", '"5"'],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [{}, "an object (Object)"],
    [[5], "an array of 1"],
    [new Date(0), "an object (Date)"],
  ];
  for (const [value, text] of cases) {
    const { message } = thrown(() => check.integer("size", value, 1, 10), TypeError);
    assert.is(message, `Cannot use "size": wanted an integer from 1 to 10, given ${text}`);
  }
});

test("check.integerOrNull() accepts null and says so when it refuses", () => {
  assert.is(check.integerOrNull("ms", null, 0, 9), null);
  assert.is(check.integerOrNull("ms", 9, 0, 9), 9);
  const wanted = 'Cannot use "ms": wanted null or an integer from 0 to 9, given ';
  assert.is(thrown(() => check.integerOrNull("ms", 10, 0, 9), RangeError).message, wanted + "10");
  assert.is(thrown(() => check.integerOrNull("ms", NaN, 0, 9), RangeError).message, wanted + "NaN");
  assert.is(
    thrown(() => check.integerOrNull("ms", undefined, 0, 9), TypeError).message,
    wanted + "undefined",
  );
});

test("check.boolean() takes nothing that is merely truthy or falsy", () => {
  assert.is(check.boolean("on", true), true);
  assert.is(check.boolean("on", false), false);
  for (const value of [0, 1, "", "true", null, undefined]) {
    thrown(() => check.boolean("on", value), TypeError, 'Cannot use "on": wanted true or false');
  }
});

test("check.text() takes strings only", () => {
  assert.is(check.text("name", ""), "");
  thrown(() => check.text("name", 1), TypeError, 'Cannot use "name": wanted a string, given 1');
});

test("check.oneOf() lists the choices", () => {
  assert.is(check.oneOf("mode", "b", ["a", "b"]), "b");
  const wanted = 'Cannot use "mode": wanted "a" or "b", given ';
  assert.is(
    thrown(() => check.oneOf("mode", "c", ["a", "b"]), RangeError).message,
    `${wanted}"c"`,
  );
  assert.is(thrown(() => check.oneOf("mode", 1, ["a", "b"]), TypeError).message, `${wanted}1`);
});

test("check.options() returns the object and takes undefined for an empty one", () => {
  const given = { a: 1 };
  assert.is(check.options("o", given, ["a", "b"]), given);
  assert.equal(check.options("o", undefined, ["a"]), {});
});

test("check.options() names an unknown key and lists the known ones", () => {
  assert.is(
    thrown(() => check.options("o", { a: 1, z: 2 }, ["a", "b"]), TypeError).message,
    'Cannot use "o.z": wanted only "a", "b", given "z"',
  );
});

test("check.options() refuses what is not an object", () => {
  for (const value of [null, 1, "a", true, [], ["a"], () => {}]) {
    thrown(() => check.options("o", value, ["a"]), TypeError, 'Cannot use "o": wanted an object');
  }
});

test("shown() keeps messages short: long text is cut, objects are named by their class", () => {
  assert.is(shown("a".repeat(60)), JSON.stringify("a".repeat(60)));
  assert.is(shown("a".repeat(61)), JSON.stringify("a".repeat(60) + "..."));
  assert.is(shown('quote " and \n'), JSON.stringify('quote " and \n'));
  assert.is(shown(Object.create(null)), "an object (Object)");
  assert.is(shown(new Uint8Array(3)), "an object (Uint8Array)");
  assert.is(shown([1, 2, 3]), "an array of 3");
  assert.is(shown(Symbol("s")), "Symbol(s)");
  assert.is(shown(undefined), "undefined");
});

test("shown() prints no source of functions, and shows that a BigInt is one", () => {
  assert.is(shown(() => "a secret of the source"), "a function");
  assert.is(shown(class Secret {}), "a function");
  assert.is(shown(80n), "80n");
});

test.run();
