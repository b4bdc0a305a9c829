/**
 * Views of a SharedArrayBuffer: sent and copied like other arrays, with the bytes that are there
 * when they are copied.
 *
 * @module
 */
import { IoBuf, IoBufs, type NetworkConfig, type Sendable } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import { connect, type ContractSuite, expectBytes, pattern } from "../fixture.ts";

function shared(length: number): Uint8Array<SharedArrayBuffer> {
  const view = new Uint8Array(new SharedArrayBuffer(length));
  view.set(pattern(length));
  return view;
}

export function sharedMemory(test: ContractSuite, _config: NetworkConfig): void {
  test("a view of shared memory is copied before send() returns", async ({ network }) => {
    await using pair = await connect(network);
    const view = shared(1_000);
    const sent = pair.client.sink.send(view);
    view.fill(0);
    await sent;
    await expectBytes(pair.server, pattern(1_000));
  });

  test("a large view of shared memory is sent in full", async ({ network }) => {
    await using pair = await connect(network);
    const view = shared(1_000_000);
    const sent = pair.client.sink.send(view);
    await expectBytes(pair.server, pattern(1_000_000));
    await sent;
  });

  test("memory that grows while it is sent does not make the send longer", async ({ network }) => {
    await using pair = await connect(network);
    const buffer = new SharedArrayBuffer(200_000, { maxByteLength: 400_000 });
    const view = new Uint8Array(buffer);
    view.set(pattern(200_000));
    const sent = pair.client.sink.send(view);
    buffer.grow(400_000);
    await Promise.all([sent, expectBytes(pair.server, pattern(200_000))]);
    assert.is(pair.client.sink.bytesSent, 200_000);
  });

  test("a buffer made from a view of shared memory has its own bytes", async ({ network }) => {
    await using pair = await connect(network);
    const view = shared(100);
    const one = IoBuf.from(view);
    const several = new IoBufs(view, view);
    view.fill(0);
    await pair.client.sink.send(one);
    await pair.client.sink.send(several);
    for (let i = 0; i < 3; i++) await expectBytes(pair.server, pattern(100));
  });

  test("a SharedArrayBuffer itself is refused: a view of it is not", async ({ network }) => {
    await using pair = await connect(network);
    const data = new SharedArrayBuffer(10) as unknown as Sendable;
    await assert.rejects(pair.client.sink.send(data), /an object \(SharedArrayBuffer\)/);
    await pair.client.sink.send(new Uint8Array(data as unknown as SharedArrayBuffer));
    await expectBytes(pair.server, new Uint8Array(10));
  });
}
