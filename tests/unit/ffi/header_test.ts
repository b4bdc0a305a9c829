/**
 * `ffi/shim.h` is the one description of the layout. These tests read its text, and compare every
 * name and value with the constants of the TypeScript side: a number that is changed, added or
 * removed in one of the two only is found, without a compiler.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { LAYOUT, OPEN } from "../../../ffi/layout.ts";
import { SYMBOLS } from "../../../ffi/symbols.ts";
import { OP_CODE, POLL_EVENT } from "../../../src/ring/op_writer.ts";
import * as port from "../../../src/ring/port.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("the header of the shim");

function read(path: string): string {
  const text = readFileSync(new URL(`../../../ffi/${path}`, import.meta.url), "utf8");
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\\\n/g, " ");
}

const header = read("shim.h");

/** `UR_OP_RECV_SELECT` without `UR_OP_` as `recvSelect`. */
function camel(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The number of a plain C expression: a literal, or one shifted. */
function valueOf(text: string): number {
  const literal = (word: string) =>
    word === "UINT32_MAX"
      ? 0xffff_ffff
      : /^0[0-7]+$/.test(word)
      ? Number.parseInt(word, 8)
      : Number(word);
  const words = text.replace(/[()]/g, "").split("<<").map((word) => word.trim().replace(/u$/, ""));
  const [number, shift = 0] = words.map(literal);
  assert.ok(Number.isInteger(number) && Number.isInteger(shift), `"${text}" is a number`);
  return number * 2 ** shift;
}

/** Constants by name, without their prefix `UR_`: those of the preprocessor and of enums. */
function constantsOf(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^#define UR_(\w+) +(\S.*?) *$/gm)) {
    if (name !== "EXPORT") found.set(name, valueOf(value));
  }
  for (const [, body] of text.matchAll(/\benum \w+ \{([^}]*)\}/g)) {
    for (const [, name, value] of body.matchAll(/UR_(\w+) = (\w+)/g)) {
      found.set(name, valueOf(value));
    }
  }
  return found;
}

const constants = constantsOf(header);

/** Those that start with the prefix, but with none of the others, named as in TypeScript. */
function family(prefix: string, ...others: string[]): Record<string, number> {
  const names = [...constants.keys()].filter((name) =>
    name.startsWith(prefix) && !others.some((other) => name.startsWith(other))
  );
  return Object.fromEntries(
    names.map((name) => [camel(name.slice(prefix.length)), constants.get(name) as number]),
  );
}

/** The same as an object literal of plain numbers: order does not count. */
function expectSame(given: Readonly<Record<string, number>>, wanted: Record<string, number>): void {
  const sorted = (record: object) => Object.fromEntries(Object.entries(record).sort());
  assert.equal(sorted(given), sorted(wanted));
}

const SIZES = { uint8_t: 1, uint32_t: 4, int32_t: 4, uint64_t: 8 } as const;

/** The fields of a struct, with their offsets; `bytes` is its size. */
function structOf(name: string): Record<string, number> {
  const body = new RegExp(`struct ${name} \\{([^}]*)\\};`).exec(header)?.[1] ?? "";
  const offsets: Record<string, number> = {};
  let at = 0;
  for (const [, type, field, count] of body.matchAll(/(\w+) (\w+)(?:\[UR_(\w+)\])?;/g)) {
    const size = SIZES[type as keyof typeof SIZES];
    at = Math.ceil(at / size) * size;
    offsets[field] = at;
    at += size * (count === undefined ? 1 : constants.get(count) as number);
  }
  return { ...offsets, bytes: Math.ceil(at / 8) * 8 };
}

test("op codes and poll events have the numbers of the header", () => {
  const { count, ...codes } = family("OP_", "OP_FLAG_", "OP_CAPACITY");
  expectSame(OP_CODE, codes);
  assert.is(count, Object.keys(codes).length);
  expectSame(POLL_EVENT, family("POLL_"));
});

test("options, header words and features have the numbers of the header", () => {
  const { count, ...options } = family("OPTION_");
  expectSame(port.SOCKET_OPTION, options);
  assert.is(count, Object.keys(options).length);
  expectSame(port.SOCKET_STATE, family("STATE_"));
  expectSame(port.HEADER, family("HEADER_", "HEADER_WORDS"));
  expectSame(port.FEATURE, family("FEATURE_"));
});

test("flags have the numbers of the header", () => {
  const turnFlags = { woken: port.TURN_WOKEN, look: port.TURN_LOOK, submit: port.TURN_SUBMIT };
  const opFlags = {
    pollFirst: port.OP_FLAG_POLL_FIRST,
    ofAccept: port.OP_FLAG_OF_ACCEPT,
    gather: port.OP_FLAG_GATHER,
  };
  expectSame(opFlags, family("OP_FLAG_"));
  expectSame(turnFlags, family("TURN_", "TURN_TARGET", "TURN_BYTES"));
  expectSame(OPEN, family("OPEN_"));
  const { SHUTDOWN_DISCARD, SHUTDOWN_AGAIN } = port;
  expectSame({ discard: SHUTDOWN_DISCARD, again: SHUTDOWN_AGAIN }, family("SHUTDOWN_"));
  expectSame({ default: port.MODE_DEFAULT, max: 0o777 }, family("MODE_"));
});

test("records have the fields of the header", () => {
  assert.equal(structOf("ur_op"), {
    opcode: 0,
    slot: 4,
    generation: 8,
    fd: LAYOUT.opFdOffset,
    slab: 16,
    offset: 20,
    length: 24,
    flags: LAYOUT.opFlagsOffset,
    bytes: LAYOUT.opBytes,
  });
  assert.equal(structOf("ur_completion"), {
    slot: 0,
    generation: 4,
    result: LAYOUT.completionResultOffset,
    flags: 12,
    bytes: LAYOUT.completionBytes,
  });
  const { address, length, directory, bytes } = structOf("ur_file");
  const { lengthAt, directoryAt } = port.FILE_RECORD;
  assert.equal([address, length, directory], [0, lengthAt, directoryAt]);
  assert.is(bytes, port.FILE_RECORD.bytes);
  assert.is(port.CQE_SOCKET_NONEMPTY, LAYOUT.cqeSockNonempty);
  assert.is(port.CQE_BUFFER_SHIFT, LAYOUT.cqeBufferShift);
  assert.is(port.BLOCK_NONE, constants.get("BLOCK_NONE"));
});

/** Constants of the header that only C uses, or that are no number of LAYOUT. */
const ONLY_C = [
  "BLOCK_NONE",
  "TURN_TARGET",
  "TURN_BYTES",
  "DRAIN_MS",
  "LOOK_US",
  "GATHER_BYTES",
  "GATHER_US",
  "GATHER_MAX",
];
/** Numbers of LAYOUT that are no constant of the header: of structs, or of the kernel. */
const ONLY_LAYOUT = [
  "opBytes",
  "completionBytes",
  "opFdOffset",
  "opFlagsOffset",
  "completionResultOffset",
  "cqeSockNonempty",
  "cqeBufferShift",
];
const FAMILIES = /^(?:OP|POLL|OPTION|HEADER|FEATURE|OPEN|SHUTDOWN|STATE|MODE|OP_FLAG|TURN)_/;
const SINGLE = /^(?:OP_CAPACITY|HEADER_WORDS|TURN_TARGET|TURN_BYTES)$/;

test("every other constant of the header is a number of LAYOUT, and the reverse", () => {
  const names = [...constants.keys()].filter((name) =>
    (!FAMILIES.test(name) || SINGLE.test(name)) && !ONLY_C.includes(name)
  );
  const wanted = Object.fromEntries(names.map((name) => [camel(name), constants.get(name)]));
  const given = Object.entries(LAYOUT).filter(([name]) => !ONLY_LAYOUT.includes(name));
  expectSame(Object.fromEntries(given), wanted as Record<string, number>);
});

const TYPES: Readonly<Record<string, string>> = {
  uint32_t: "u32",
  int32_t: "i32",
  "void *": "bytes",
  "const void *": "bytes",
};

test("every function of the header is declared to the loaders with its types", () => {
  const wanted: Record<string, unknown> = {};
  for (const [, result, name, list] of header.matchAll(/UR_EXPORT ([^;(]*?)(\w+)\(([^)]*)\);/g)) {
    const args = list === "void"
      ? []
      : list.split(",").map((argument) => TYPES[argument.trim().replace(/\w+$/, "").trim()]);
    wanted[name] = { args, returns: result.trim() === "void *" ? "address" : TYPES[result.trim()] };
  }
  const given = Object.entries(SYMBOLS).map(([name, { args, returns }]) => [
    name,
    { args: [...args], returns },
  ]);
  expectSame(Object.fromEntries(given), wanted as Record<string, number>);
});

test("the table of LAYOUT in the shim has the constants in the same order", () => {
  const table = /static const uint32_t layout\[\] = \{([^}]*)\}/.exec(read("shim/probe.c"))?.[1];
  const rows = (table ?? "").split(/,\s*\n/).map((row) => row.trim()).filter((row) => row !== "");
  assert.is(rows.length, Object.keys(LAYOUT).length);
  Object.keys(LAYOUT).forEach((name, index) => {
    const constant = /^UR_(\w+)$/.exec(rows[index])?.[1];
    if (constant !== undefined) assert.is(camel(constant), name);
    else assert.ok(ONLY_LAYOUT.includes(name), `${rows[index]} stands for ${name}`);
  });
});

test.run();
