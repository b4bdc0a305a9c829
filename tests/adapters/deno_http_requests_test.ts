/**
 * The map that a server of `node:http` in Deno gets for its requests.
 *
 * @module
 */
import { denoHttpRequests } from "../../src/adapters/deno_http_requests.ts";
import { assert, suite } from "../harness.ts";

const test = suite("deno http requests");

/** The members of the list of a server in Deno 2.9. */
class List {
  readonly _all = new Set<object>();
  _active: unknown = new Map<object, object>();
  popActiveIfReq(): void {}
}

function given(list: object): Map<object, object> {
  const server = { [Symbol("other")]: 1, [Symbol("connections")]: list };
  denoHttpRequests.keepFor(server);
  denoHttpRequests.keepFor(server);
  return (list as List)._active as Map<object, object>;
}

test("a deleted request is gone, and the entry of its socket stays until the socket leaves", () => {
  const list = new List();
  const map = given(list);
  const [socket, request] = [{}, { startTime: 1 }];
  list._all.add(socket);
  map.set(socket, request);
  assert.equal([map.get(socket), map.has(socket), map.size], [request, true, 1]);
  assert.is(map.delete(socket), true);
  assert.equal([map.get(socket), map.has(socket), map.size], [undefined, false, 1]);
  assert.is(map.delete(socket), false);
  map.set(socket, request);
  assert.is(map.get(socket), request);
  list._all.delete(socket);
  assert.is(map.delete(socket), true);
  assert.is(map.size, 0);
});

test("an entry without a request never times out", () => {
  const list = new List();
  const map = given(list);
  const socket = {};
  list._all.add(socket);
  map.set(socket, {});
  map.delete(socket);
  // As the server computes it.
  const [[, entry]] = [...map] as [object, { headersCompleted: boolean; startTime: number }][];
  assert.is(entry.headersCompleted, true);
  assert.is(1e15 - entry.startTime >= 1, false);
});

test("requests that the server has already are kept, and so is a list of another kind", () => {
  const list = new List();
  const [socket, request] = [{}, {}];
  list._all.add(socket);
  (list._active as Map<object, object>).set(socket, request);
  assert.is(given(list).get(socket), request);
  const other = new List();
  other._active = { set() {}, delete() {} };
  const before = other._active;
  assert.is(given(other), before);
  denoHttpRequests.keepFor(null);
  denoHttpRequests.keepFor("server");
});

test.run();
