import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  connectedAddress,
  formatAddress,
  parseAddress,
  readSockaddr,
  type SocketAddress,
  type UnixAddress,
  writeSockaddr,
} from "../../../../src/net/address/address.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { thrown } from "../../../support/thrown.ts";

/** Writes to a dirty block in the middle of a larger buffer, as on the ring. */
function sockaddr(address: SocketAddress | UnixAddress) {
  const block = new Uint8Array(new ArrayBuffer(1_024), 512, 512).fill(0xee);
  const written = writeSockaddr(block, address);
  return { block, ...written };
}

const throughKernel = (address: SocketAddress | UnixAddress) => {
  const { block, length } = sockaddr(address);
  return readSockaddr(block, length);
};

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

test("parseAddress() tells wrong ports (RangeError) from what is no number (TypeError)", () => {
  for (const port of [65_536, -1, 1.5, NaN, Infinity]) {
    thrown(() => parseAddress({ hostname: "a", port }, 0), RangeError, `given ${port}`);
  }
  thrown(() => parseAddress("a:65536", 0), RangeError, "given 65536");
  for (const port of ["80", undefined, null, 80n]) {
    thrown(() => parseAddress({ hostname: "a", port }, 0), TypeError, '"port"');
  }
});

test("parseAddress() refuses malformed text with TypeError, showing it and the forms", () => {
  const texts = ["", "a", ":80", "a:", "a:b", "::1", "::1:80", "[::1]", "[::1]80", "[name]:80"];
  const more = ["[]:80", "[127.0.0.1]:80", "a b:80", "a/b:80", "a:-1", "a:1.5", "a: 80", "a:80 "];
  const last = ["a[b:80", "unix:", "http://a:80", "a:80\n", "\0:80"];
  for (const text of [...texts, ...more, ...last]) {
    const { message } = thrown(() => parseAddress(text, 0), TypeError);
    assert.match(message, `Cannot use address ${JSON.stringify(text)}: `);
    assert.match(message, '; wanted "host:port", "[ipv6]:port", "unix:/path"');
  }
});

test("parseAddress() refuses what is no address at all", () => {
  for (
    const given of [undefined, null, 80, true, [], {}, { port: 80 }, { hostname: "", port: 1 }]
  ) {
    thrown(() => parseAddress(given, 0), TypeError, "Cannot use address");
  }
  const wrong = [{ hostname: 5, port: 1 }, { path: "" }, { path: 5 }, { path: "/a\0b" }];
  for (const given of wrong) thrown(() => parseAddress(given, 0), TypeError, "Cannot use address");
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

test("writeSockaddr() writes sockaddr_in: family, port in network order, address", () => {
  const { block, family, length } = sockaddr({ hostname: "1.2.3.4", port: 0x1234 });
  assert.equal([family, length], [AF_INET, 16]);
  assert.equal([...block.subarray(0, 16)], [2, 0, 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("writeSockaddr() writes sockaddr_in6: port, flow, address, scope", () => {
  const { block, family, length } = sockaddr({ hostname: "fe80::2%7", port: 0x1234 });
  assert.equal([family, length], [AF_INET6, 28]);
  const expected = [10, 0, 0x12, 0x34, 0, 0, 0, 0, 0xfe, 0x80, ...new Array(13).fill(0), 2, 7];
  assert.equal([...block.subarray(0, 28)], [...expected, 0, 0, 0]);
});

test("writeSockaddr() ends a path with NUL, and an abstract name where it ends", () => {
  const path = sockaddr({ path: "/ab" });
  assert.equal([path.family, path.length], [AF_UNIX, 2 + 3 + 1]);
  assert.equal([...path.block.subarray(0, 6)], [1, 0, 0x2f, 0x61, 0x62, 0]);
  const abstract = sockaddr({ path: "\0ab" });
  assert.equal([abstract.family, abstract.length], [AF_UNIX, 2 + 3]);
  assert.equal([...abstract.block.subarray(0, 5)], [1, 0, 0, 0x61, 0x62]);
});

test("writeSockaddr() refuses a name: those are looked up before", () => {
  thrown(() => sockaddr({ hostname: "localhost", port: 1 }), TypeError, '"localhost"');
});

test("an address comes back from the kernel's form as it went in", () => {
  const addresses: (SocketAddress | UnixAddress)[] = [
    { hostname: "0.0.0.0", port: 0 },
    { hostname: "255.1.20.3", port: 65_535 },
    { hostname: "::", port: 1 },
    { hostname: "::1", port: 1 },
    { hostname: "2001:db8::ff00:42:8329", port: 443 },
    { hostname: "fe80::1%2", port: 443 },
    { path: "/run/a.sock" },
    { path: "\0abstract" },
    { path: "\0a\u20acb" },
    { path: "a".repeat(107) },
    { path: "\ufeffmarked" },
    { path: "\ufeff\ufeff" },
    { path: "\0\ufeffmarked" },
  ];
  for (const address of addresses) assert.equal(throughKernel(address), address);
});

test("connectedAddress() spells as the kernel does, and takes no address for the loopback", () => {
  const cases: [string, string][] = [
    ["10.1.2.3", "10.1.2.3"],
    ["0.0.0.0", "127.0.0.1"],
    ["0:0:0:0:0:0:0:0", "::1"],
    ["::ffff:0.0.0.0", "::ffff:127.0.0.1"],
    ["::ffff:0.0.0.1", "::ffff:0.0.0.1"],
    ["2001:DB8::0:1", "2001:db8::1"],
    ["fe80::1%7", "fe80::1%7"],
  ];
  for (const [given, hostname] of cases) {
    assert.equal(connectedAddress({ hostname: given, port: 9 }), { hostname, port: 9 });
  }
  for (const path of ["/a", "a", "\0a", "\ufeffa"]) {
    assert.equal(connectedAddress({ path }), { path });
  }
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

test("readSockaddr() writes IPv6 addresses as RFC 5952 wants them", () => {
  const cases: [string, string][] = [
    ["2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // One group is not shortened.
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // The longest run.
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // The first of equal runs.
    ["1:0:0:0:0:0:0:0", "1::"],
    ["0:0:0:0:0:0:0:8", "::8"],
    ["0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"],
    ["::ffff:1.2.3.4", "::ffff:1.2.3.4"], // Mapped: section 5.
    ["::ffff:7f00:1", "::ffff:127.0.0.1"],
    ["0:0:0:0:0:FFFF:0:0", "::ffff:0.0.0.0"],
    ["::1.2.3.4", "::102:304"], // Only mapped ones are known by how they begin.
    ["::fffe:102:304", "::fffe:102:304"],
    ["::1:ffff:102:304", "::1:ffff:102:304"],
  ];
  for (const [given, expected] of cases) {
    assert.equal(throughKernel({ hostname: given, port: 1 }), { hostname: expected, port: 1 });
  }
});

test("random IPv6 addresses survive the round trip byte for byte", () => {
  const random = new Random();
  for (let round = 0; round < 500; round++) {
    const groups = Array.from({ length: 8 }, () => random.chance(0.6) ? 0 : random.int(0, 0xffff));
    if (random.chance(0.1)) groups.fill(0, 0, 5)[5] = 0xffff;
    const hostname = groups.map((group) => group.toString(16)).join(":");
    const first = sockaddr({ hostname, port: random.int(0, 65_535) });
    const second = sockaddr(readSockaddr(first.block, first.length));
    assert.bytesEqual(second.block.subarray(0, 28), first.block.subarray(0, 28));
  }
});

test("readSockaddr() gives an unnamed unix socket the empty path", () => {
  const block = new Uint8Array(512).fill(0xee);
  block.set([AF_UNIX, 0]);
  assert.equal(readSockaddr(block, 2), { path: "" });
  assert.equal(readSockaddr(block, 0), { path: "" });
});

test("readSockaddr() ends a path at its NUL although the kernel counts more bytes", () => {
  const block = new Uint8Array(512).fill(0x61);
  block.set([AF_UNIX, 0, 0x2f, 0x62, 0]);
  assert.equal(readSockaddr(block, 110), { path: "/b" });
});

test("what was put on Object.prototype is no part of an address", () => {
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
