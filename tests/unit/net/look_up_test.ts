import { LIMITS } from "../../../src/base/limits.ts";
import { lookUp } from "../../../src/net/look_up.ts";
import { assert, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";

/** A host on which every question is a mistake. */
class SilentHost extends ManualHost {
  override resolve(): Promise<never> {
    return Promise.reject(new Error("asked"));
  }
}

const test = suite("lookUp");

test("numeric addresses and paths are not looked up", async () => {
  const host = new SilentHost();
  for (const hostname of ["127.0.0.1", "::1", "fe80::1%2"]) {
    assert.equal(await lookUp(host, { hostname, port: 1 }), [{ hostname, port: 1 }]);
  }
  assert.equal(await lookUp(host, { path: "/run/a" }), [{ path: "/run/a" }]);
});

test("localhost is the loopback interface, IPv4 first, without asking anybody", async () => {
  const host = new SilentHost();
  for (const hostname of ["localhost", "LocalHost", "localhost.", "a.localhost"]) {
    assert.equal(await lookUp(host, { hostname, port: 5 }), [
      { hostname: "127.0.0.1", port: 5 },
      { hostname: "::1", port: 5 },
    ]);
  }
  for (const hostname of ["notlocalhost", "localhost.example"]) {
    await assert.rejects(lookUp(host, { hostname, port: 5 }), /asked/);
  }
});

test("a name gives its addresses in the resolver's order, at most eight", async () => {
  const host = new ManualHost();
  host.answers = Array.from({ length: 12 }, (_, i) => ({ address: `10.0.0.${i}`, family: 4 }));
  const found = await lookUp(host, { hostname: "name", port: 9 });
  assert.is(found.length, LIMITS.dialAddressCountMax);
  assert.equal(found[1], { hostname: "10.0.0.1", port: 9 });
});

test("the resolver's error reaches the caller", async () => {
  await assert.rejects(lookUp(new SilentHost(), { hostname: "name", port: 9 }), /asked/);
});

test.run();
