/**
 * Addresses in the form of accepted connections: unpacking restores each address.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../../../../src/net/address/address.ts";
import { readSockaddr, writeSockaddr } from "../../../../src/net/address/sockaddr.ts";
import { packedAddress } from "../../../../src/net/address/packed_address.ts";
import { BlockList } from "../../../../src/ring/block_list.ts";
import type { RingPort } from "../../../../src/ring/port.ts";
import { assert, Random, suite } from "../../../harness.ts";

const test = suite("packedAddress");

const BLOCK_BYTES = 512;
const BLOCK = 2;

function fourBlocks(): BlockList {
  const memory = new ArrayBuffer(4 * BLOCK_BYTES);
  const port = { blocks: new Uint8Array(memory), blockWords: new Uint32Array(memory) };
  return new BlockList({ ...port, blockBytes: BLOCK_BYTES } as RingPort);
}

function packAndUnpack(address: SocketAddress | UnixAddress) {
  const blocks = fourBlocks();
  const { length } = writeSockaddr(blocks.bytes(BLOCK), address);
  const packed = packedAddress.read(blocks, BLOCK, length);
  return { packed, unpacked: packedAddress.unpack(packed) };
}

test("IPv4 is one number, and unpacks to the same address", () => {
  const random = new Random();
  const octet = () => random.pick([0, 1, 127, 128, 255, random.int(0, 255)]);
  for (let i = 0; i < 2_000; i++) {
    const hostname = [octet(), octet(), octet(), octet()].join(".");
    const port = random.pick([0, 1, 255, 256, 32_767, 32_768, 65_535, random.int(0, 65_535)]);
    const { packed, unpacked } = packAndUnpack({ hostname, port });
    assert.is(typeof packed, "number");
    assert.equal(unpacked, { hostname, port });
    assert.is(packedAddress.port(packed), port);
  }
});

test("IPv6 and unix addresses are kept as objects", () => {
  for (const hostname of ["::1", "fe80::1%3", "2001:db8::ff", "::ffff:127.0.0.1"]) {
    const { unpacked } = packAndUnpack({ hostname, port: 65_535 });
    assert.equal(unpacked, { hostname, port: 65_535 });
  }
  for (const path of ["/tmp/socket", "\0abstract"]) {
    assert.equal(packAndUnpack({ path }).unpacked, { path });
  }
});

test("equals() compares hostname and port, or the path", () => {
  const addresses = [
    { hostname: "127.0.0.1", port: 80 },
    { hostname: "127.0.0.1", port: 81 },
    { hostname: "127.0.0.2", port: 80 },
    { hostname: "::1", port: 80 },
    { hostname: "::1", port: 81 },
    { path: "/tmp/a" },
    { path: "/tmp/b" },
  ];
  const ports = [80, 81, 80, 80, 81, -1, -1];
  for (const [i, one] of addresses.entries()) {
    assert.is(packedAddress.port(packAndUnpack(one).packed), ports[i]);
    for (const [j, other] of addresses.entries()) {
      const [first, second] = [packAndUnpack(one).packed, packAndUnpack(other).packed];
      assert.is(packedAddress.equals(first, second), i === j, `${i}, ${j}`);
    }
  }
});

test("an unnamed unix socket has the empty path, whatever the block held before", () => {
  const blocks = fourBlocks();
  const bytes = blocks.bytes(BLOCK);
  writeSockaddr(bytes, { hostname: "127.0.0.1", port: 80 });
  new DataView(bytes.buffer, bytes.byteOffset).setUint16(0, 1, true);
  assert.equal(packedAddress.unpack(packedAddress.read(blocks, BLOCK, 2)), { path: "" });
  assert.equal(readSockaddr(bytes, 2), { path: "" });
});

test.run();
