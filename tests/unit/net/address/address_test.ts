import {
  formatAddress,
  parseAddress,
  parseAddressField,
  type SocketAddress,
  type UnixAddress,
} from "../../../../src/net/address/address.ts";
import { AF_INET, writeSockaddr } from "../../../../src/net/address/sockaddr.ts";
import { assert, suite } from "../../../harness.ts";
import { thrown } from "../../../support/thrown.ts";

const test = suite("address");

test("parseAddress() reads every form that the documentation names", () => {
  const cases: [unknown, SocketAddress | UnixAddress][] = [
    ["127.0.0.1:80", { hostname: "127.0.0.1", port: 80 }],
    ["[::1]:80", { hostname: "::1", port: 80 }],
    ["[fe80::1%2]:443", { hostname: "fe80::1%2", port: 443 }],
    ["localhost:65535", { hostname: "localhost", port: 65_535 }],
    ["a.b-c.example:1", { hostname: "a.b-c.example", port: 1 }],
    ["unix:/run/a.sock", { path: "/run/a.sock" }],
    ["unix:relative.sock", { path: "relative.sock" }],
    ["unix:/a:80", { path: "/a:80" }],
    ["unix:\0abstract", { path: "\0abstract" }],
    [{ hostname: "::1", port: 1 }, { hostname: "::1", port: 1 }],
    [{ hostname: "[::1]", port: 1 }, { hostname: "::1", port: 1 }],
    [{ hostname: "name", port: 65_535 }, { hostname: "name", port: 65_535 }],
    [{ path: "/run/a.sock" }, { path: "/run/a.sock" }],
  ];
  for (const [given, expected] of cases) assert.equal(parseAddress(given, 1), expected);
});

test("parseAddress() takes port 0 for binding only", () => {
  assert.equal(parseAddress("127.0.0.1:0", 0), { hostname: "127.0.0.1", port: 0 });
  assert.is(
    thrown(() => parseAddress("127.0.0.1:0", 1), RangeError).message,
    'Cannot use "port": wanted an integer from 1 to 65535, given 0',
  );
});

test("parseAddress() throws RangeError for a wrong port, TypeError for other types", () => {
  for (const port of [65_536, -1, 1.5, NaN, Infinity]) {
    thrown(() => parseAddress({ hostname: "a", port }, 0), RangeError, `given ${port}`);
  }
  thrown(() => parseAddress("a:65536", 0), RangeError, "given 65536");
  for (const port of ["80", undefined, null, 80n]) {
    thrown(() => parseAddress({ hostname: "a", port }, 0), TypeError, '"port"');
  }
});

test("parseAddressField() names the field, whatever is wrong with the address", () => {
  const wrong: [unknown, typeof TypeError, string][] = [
    [1, TypeError, "address 1: it is not an address"],
    ["a", TypeError, 'address "a": it is malformed'],
    [{ hostname: "a", port: 65_536 }, RangeError, '"port": wanted an integer from 0 to 65535'],
    [{ path: "a".repeat(108) }, RangeError, "unix path "],
  ];
  for (const [given, Failure, reason] of wrong) {
    const { message } = thrown(() => parseAddressField("options.localAddress", given), Failure);
    assert.is(message.indexOf(`Cannot use "options.localAddress": ${reason}`), 0, message);
  }
  const failure = new Error("Cannot tell");
  const failing = {
    get hostname() {
      throw failure;
    },
  };
  assert.is(thrown(() => parseAddressField("options.localAddress", failing), Error), failure);
});

test("parseAddress() refuses malformed text with TypeError, with the text and the forms", () => {
  const texts = ["", "a", ":80", "a:", "a:b", "::1", "::1:80", "[::1]", "[::1]80", "[name]:80"];
  const more = ["[]:80", "[127.0.0.1]:80", "a b:80", "a/b:80", "a:-1", "a:1.5", "a: 80", "a:80 "];
  const last = ["a[b:80", "unix:", "http://a:80", "a:80\n", "\0:80"];
  for (const text of [...texts, ...more, ...last]) {
    const { message } = thrown(() => parseAddress(text, 0), TypeError);
    assert.match(message, `Cannot use address ${JSON.stringify(text)}: `);
    assert.match(message, '; wanted "host:port", "[ipv6]:port", "unix:/path"');
  }
});

test("parseAddress() refuses a value that is no address at all", () => {
  for (
    const given of [undefined, null, 80, true, [], {}, { port: 80 }, { hostname: "", port: 1 }]
  ) {
    thrown(() => parseAddress(given, 0), TypeError, "Cannot use address");
  }
  const wrong = [{ hostname: 5, port: 1 }, { path: "" }, { path: 5 }, { path: "/a\0b" }];
  for (const given of wrong) thrown(() => parseAddress(given, 0), TypeError, "Cannot use address");
});

test("parseAddress() shows the fields of an object that it refuses", () => {
  const shown: readonly (readonly [object, string])[] = [
    [{ hostname: "", port: 80 }, '{ hostname: "", port: 80 }'],
    [{ hostname: "a b", port: 80 }, '{ hostname: "a b", port: 80 }'],
    [{ hostname: "[name]", port: "80" }, '{ hostname: "[name]", port: "80" }'],
    [{ hostname: 5 }, "{ hostname: 5 }"],
    [{ path: 5 }, "{ path: 5 }"],
    [{ path: "/a\0b" }, '{ path: "/a\\u0000b" }'],
    [[], "an array of 0"],
    [{ host: "a" }, "an object (Object)"],
  ];
  for (const [given, text] of shown) {
    thrown(() => parseAddress(given, 0), TypeError, `Cannot use address ${text}: `);
  }
});

test("parseAddress() takes brackets in a hostname around IPv6 addresses only", () => {
  for (const hostname of ["[]", "[name]", "[127.0.0.1]", "[::1", "::1]"]) {
    thrown(() => parseAddress({ hostname, port: 1 }, 0), TypeError, "Cannot use address");
  }
});

test("parseAddress() counts the bytes of a unix path, not its characters", () => {
  assert.equal(parseAddress({ path: "a".repeat(107) }, 1), { path: "a".repeat(107) });
  const long = thrown(() => parseAddress(`unix:${"a".repeat(108)}`, 1), RangeError);
  assert.match(long.message, "wanted at most 107 bytes, given 108");
  thrown(() => parseAddress({ path: "\u20ac".repeat(36) }, 1), RangeError, "given 108");
});

test("formatAddress() writes what parseAddress() reads", () => {
  for (const text of ["127.0.0.1:80", "[::1]:80", "name:1", "unix:/run/a.sock", "[fe80::1%2]:9"]) {
    assert.is(formatAddress(parseAddress(text, 1)), text);
  }
});

test("formatAddress() shows an abstract name with an @, so that it can be printed", () => {
  assert.is(formatAddress({ path: "\0name" }), "unix:@name");
  assert.is(formatAddress({ path: "\0@name" }), "unix:@@name");
});

test("formatAddress() shows a file whose name begins with @ as a file", () => {
  assert.is(formatAddress({ path: "@name" }), "unix:./@name");
  assert.equal(parseAddress("unix:./@name", 1), { path: "./@name" });
  assert.is(formatAddress({ path: "a/@name" }), "unix:a/@name");
});

test("parseAddress() takes an interface by any name that the kernel gives one", () => {
  for (const name of ["eth0", "\ufeffeth0", "\u00e9t\u2028h", "2"]) {
    const hostname = `fe80::1%${name}`;
    assert.equal(parseAddress(`[${hostname}]:80`, 1), { hostname, port: 80 });
    assert.equal(parseAddress({ hostname, port: 80 }, 1), { hostname, port: 80 });
  }
  for (const name of ["", "a b", "a/b", "a:b", "a\0", "a\n"]) {
    thrown(() => parseAddress(`[fe80::1%${name}]:80`, 1), TypeError, "IPv6");
  }
  for (const name of ["a b", "a/b", "a:b", "a\0", "a\n"]) {
    thrown(() => parseAddress({ hostname: `x%${name}`, port: 80 }, 1), TypeError, "character");
  }
});

test("properties of Object.prototype are no part of an address", () => {
  const polluted = Object.prototype as { path?: unknown; hostname?: unknown };
  polluted.path = "/nowhere";
  polluted.hostname = "nowhere";
  try {
    const parsed = parseAddress({ hostname: "127.0.0.1", port: 80 }, 0);
    assert.is(formatAddress(parsed), "127.0.0.1:80");
    assert.is(writeSockaddr(new Uint8Array(128), parsed).family, AF_INET);
    thrown(() => parseAddress({ port: 80 }, 0), TypeError, "the hostname is missing");
  } finally {
    delete polluted.path;
    delete polluted.hostname;
  }
});

test("each field of an address is read once", () => {
  let reads = 0;
  const hostname = () => ++reads === 1 ? "127.0.0.1" : "10.0.0.1";
  const address = Object.defineProperty({ port: 80 }, "hostname", { get: hostname });
  assert.equal(parseAddress(address, 0), { hostname: "127.0.0.1", port: 80 });
  assert.is(reads, 1);
});

test.run();
