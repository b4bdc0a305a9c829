import { type SocketAddress, type UnixAddress } from "../../../../src/net/address/address.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  connectedAddress,
  readSockaddr,
  writeSockaddr,
} from "../../../../src/net/address/sockaddr.ts";
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

const test = suite("sockaddr");

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

test("writeSockaddr() ends a path with NUL, and an abstract name by its length alone", () => {
  const path = sockaddr({ path: "/ab" });
  assert.equal([path.family, path.length], [AF_UNIX, 2 + 3 + 1]);
  assert.equal([...path.block.subarray(0, 6)], [1, 0, 0x2f, 0x61, 0x62, 0]);
  const abstract = sockaddr({ path: "\0ab" });
  assert.equal([abstract.family, abstract.length], [AF_UNIX, 2 + 3]);
  assert.equal([...abstract.block.subarray(0, 5)], [1, 0, 0, 0x61, 0x62]);
});

test("writeSockaddr() refuses a name, which the lookup has to resolve first", () => {
  thrown(() => sockaddr({ hostname: "localhost", port: 1 }), TypeError, '"localhost"');
});

test("an address survives the way into the kernel's form and back", () => {
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

test("connectedAddress() spells as the kernel does, and maps no address to the loopback", () => {
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

test("readSockaddr() writes IPv6 addresses as RFC 5952 specifies", () => {
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
    ["::1.2.3.4", "::102:304"], // Only mapped addresses have the prefix.
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

test.run();
