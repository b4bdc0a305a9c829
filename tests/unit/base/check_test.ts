import { check, shown } from "../../../src/base/check.ts";
import { assert, suite } from "../../harness.ts";
import { thrown } from "../../support/thrown.ts";

const test = suite("check");

test("check.integer() returns every integer from min to max", () => {
  for (const value of [1, 2, 10]) assert.is(check.integer("size", value, 1, 10), value);
  assert.is(check.integer("size", 2 ** 53 - 1, 0, Number.MAX_SAFE_INTEGER), 2 ** 53 - 1);
});

test("check.integer() and check.integerOrNull() return 0 for -0", () => {
  assert.ok(Object.is(check.integer("size", -0, 0, 10), 0));
  assert.ok(Object.is(check.integerOrNull("ms", -0, 0, 10), 0));
});

test("check.integer() throws RangeError naming field, range and value", () => {
  for (const value of [0, 11, 1.5, NaN, Infinity, -Infinity, -1]) {
    const { message } = thrown(() => check.integer("a.size", value, 1, 10), RangeError);
    assert.is(message, `Cannot use "a.size": wanted an integer from 1 to 10, given ${value}`);
  }
});

test("check.integer() throws TypeError for a value that is not a number", () => {
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

test("check.integerOrNull() accepts null, and its refusal names null", () => {
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

test("check.boolean() refuses values that are only truthy or falsy", () => {
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

test("check.options() returns the known fields and takes undefined for none", () => {
  assert.equal({ ...check.options("o", { a: 1 }, ["a", "b"]) }, { a: 1, b: undefined });
  assert.equal({ ...check.options("o", undefined, ["a"]) }, {});
});

test("check.options() reads each field once, own fields and fields of a class", () => {
  let reads = 0;
  class Options {
    get a() {
      return ++reads;
    }
    b = 5;
  }
  const fields = check.options("o", new Options(), ["a", "b"]);
  assert.equal([fields.a, fields.a, fields.b, reads], [1, 1, 5, 1]);
});

test("check.options() does not read properties of Object.prototype", () => {
  const polluted = Object.prototype as { a?: unknown };
  polluted.a = 1;
  try {
    assert.is(check.options("o", {}, ["a"]).a, undefined);
    assert.is(check.options("o", undefined, ["a"]).a, undefined);
    assert.is(check.options("o", Object.create(null), ["a"]).a, undefined);
    assert.is(check.options("o", { a: 2 }, ["a"]).a, 2, "an own one");
    assert.is(check.options("o", Object.create({ a: 3 }), ["a"]).a, 3, "an inherited one");
  } finally {
    delete polluted.a;
  }
});

test("check.bytes() returns the engine's length of an array", () => {
  class Liar extends Uint8Array {
    override get length() {
      return 1_000;
    }
  }
  const own = Object.defineProperty(new Uint8Array(4), "length", { value: 1_000 });
  const lengths = [new Uint8Array(3), new Liar(3), own].map((view) => check.bytes("d", "w", view));
  assert.equal(lengths, [3, 3, 4]);
  assert.is(check.bytes("d", "w", new Uint8Array(0)), 0);
});

test("check.bytes() refuses objects that only look like a byte array, and detached arrays", () => {
  const looks = [
    new Proxy(new Uint8Array(3), {}),
    Object.create(Uint8Array.prototype),
    new Uint16Array(3),
    [1, 2, 3],
    { length: 3 },
    null,
  ];
  for (const value of looks) thrown(() => check.bytes("d", "bytes", value), TypeError, "bytes");
  const gone = new Uint8Array(3);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  thrown(() => check.bytes("d", "bytes", gone), TypeError, "detached");
});

test("a message about an object whose getters throw is still made", () => {
  const hostile = {
    get constructor() {
      throw new Error("no");
    },
  };
  assert.is(shown(hostile), "an object (Object)");
  assert.is(shown({ constructor: { name: 5 } }), "an object (Object)");
});

test("check.options() names an unknown key and lists the known ones", () => {
  assert.is(
    thrown(() => check.options("o", { a: 1, z: 2 }, ["a", "b"]), TypeError).message,
    'Cannot use "o.z": wanted only "a", "b", given "z"',
  );
});

test("check.options() refuses a value that is not an object", () => {
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

test("shown() prints no source of functions, and marks a BigInt as one", () => {
  assert.is(shown(() => "a secret of the source"), "a function");
  assert.is(shown(class Secret {}), "a function");
  assert.is(shown(80n), "80n");
});

test.run();
