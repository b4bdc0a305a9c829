import { parseIp } from "../../../../src/net/address/ip.ts";
import { assert, Random, suite } from "../../../harness.ts";

/** The bytes in hexadecimal, or null. */
function hex(text: string): string | null {
  const ip = parseIp(text);
  if (ip === null) return null;
  return [...ip.bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const test = suite("parseIp");

test("parseIp() reads dotted IPv4 addresses", () => {
  assert.equal([hex("127.0.0.1"), hex("0.0.0.0"), hex("255.255.255.255"), hex("10.20.30.40")], [
    "7f000001",
    "00000000",
    "ffffffff",
    "0a141e28",
  ]);
  assert.is(parseIp("1.2.3.4")?.family, 4);
});

test("parseIp() refuses IPv4 that is short, octal, hexadecimal or too large", () => {
  const wrong = ["1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "0x7f.0.0.1", "1..2.3"];
  const more = ["1.2.3.", ".1.2.3", "1.2.3.4 ", " 1.2.3.4", "-1.2.3.4", "1.2.3.1000", "2130706433"];
  for (const text of [...wrong, ...more]) assert.is(hex(text), null, text);
});

test("parseIp() reads IPv6 addresses, with and without a gap", () => {
  const cases: [string, string][] = [
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["1::", "00010000000000000000000000000000"],
    ["2001:db8::ff00:42:8329", "20010db8000000000000ff0000428329"],
    ["2001:DB8::Ff00:42:8329", "20010db8000000000000ff0000428329"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["1:2:3:4:5:6:7::", "00010002000300040005000600070000"],
    ["::2:3:4:5:6:7:8", "00000002000300040005000600070008"],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffffffffffffffffffffffffffffffff"],
    ["0001:02::", "00010002000000000000000000000000"],
  ];
  for (const [text, bytes] of cases) assert.is(hex(text), bytes, text);
  assert.is(parseIp("::1")?.family, 6);
});

test("parseIp() reads an IPv4 tail at the end of an IPv6 address", () => {
  assert.is(hex("::ffff:127.0.0.1"), "00000000000000000000ffff7f000001");
  assert.is(hex("::1.2.3.4"), "00000000000000000000000001020304");
  assert.is(hex("64:ff9b::1.2.3.4"), "0064ff9b000000000000000001020304");
  assert.is(hex("1:2:3:4:5:6:7.8.9.10"), "0001000200030004000500060708090a");
});

test("parseIp() refuses an IPv4 tail anywhere else", () => {
  for (const text of ["1.2.3.4::", "1.2.3.4::1", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4"]) {
    assert.is(hex(text), null, text);
  }
  assert.is(hex("::1.2.3"), null);
  assert.is(hex("::1.2.3.256"), null);
});

test("parseIp() refuses malformed IPv6 addresses", () => {
  const wrong = ["", ":", ":::", "1:2:3", "1:2:3:4:5:6:7:8:9", "1::2::3", "::1:2:3:4:5:6:7:8"];
  const more = ["1:2:3:4:5:6:7:8::", "12345::", "g::", ":1::", "1::2:", "[::1]", "::1 ", "::1/64"];
  for (const text of [...wrong, ...more]) assert.is(hex(text), null, text);
});

test("parseIp() keeps the scope, by number or by name", () => {
  const scopes = [
    "fe80::1%3",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::1%4294967295",
    "fe80::1%4294967296",
  ]
    .map((text) => parseIp(text)?.scope);
  assert.equal(scopes, [3, 0, "eth0", 4_294_967_295, "4294967296"]);
  const wrong = [
    "fe80::1%",
    "fe80::1%1%2",
    "127.0.0.1%1",
    "%1",
    "fe80::1%sixteen-letters-",
    "1%lo",
  ];
  for (const text of wrong) {
    assert.is(parseIp(text), null, text);
  }
});

test("parseIp() reads random addresses in every spelling", () => {
  const random = new Random();
  for (let round = 0; round < 1_000; round++) {
    const groups = Array.from({ length: 8 }, () => random.chance(0.5) ? 0 : random.int(0, 0xffff));
    const expected = groups.map((group) => group.toString(16).padStart(4, "0")).join("");
    const texts = groups.map((group) => {
      const text = group.toString(16).padStart(random.int(1, 4), "0");
      return random.chance(0.5) ? text.toUpperCase() : text;
    });
    assert.is(hex(texts.join(":")), expected);
    const start = groups.indexOf(0);
    if (start < 0) continue;
    let end = start;
    while (groups[end] === 0) end++;
    const gap = `${texts.slice(0, start).join(":")}::${texts.slice(end).join(":")}`;
    assert.is(hex(gap), expected, gap);
  }
});

test.run();
