import { LIMITS } from "../../../../src/base/limits.ts";
import { lookUp } from "../../../../src/net/address/look_up.ts";
import { assert, suite } from "../../../harness.ts";
import { ManualHost } from "../../../support/manual_host.ts";

/** A host whose resolver must not be asked. */
class SilentHost extends ManualHost {
  override resolve(): Promise<never> {
    return Promise.reject(new Error("asked"));
  }
}

/** The only interface is "lo". */
function interfaceIndex(name: string): number {
  if (name !== "lo") throw new Error(`no ${name}`);
  return 7;
}

const test = suite("lookUp");

test("numeric addresses and paths are not looked up", async () => {
  const host = new SilentHost();
  for (const hostname of ["127.0.0.1", "::1", "fe80::1%2"]) {
    assert.equal(await lookUp(host, { hostname, port: 1 }, interfaceIndex), [{
      hostname,
      port: 1,
    }]);
  }
  assert.equal(await lookUp(host, { path: "/run/a" }, interfaceIndex), [{ path: "/run/a" }]);
});

test("an interface is named by its number, and refused when there is none", async () => {
  const host = new ManualHost();
  const byName = { hostname: "fe80::1%lo", port: 1 };
  const byNumber = [{ hostname: "fe80::1%7", port: 1 }];
  assert.equal(await lookUp(host, byName, interfaceIndex), byNumber);
  host.answers = [{ address: "fe80::1%lo", family: 6 }];
  assert.equal(await lookUp(host, { hostname: "name", port: 1 }, interfaceIndex), byNumber);
  const strange = { hostname: "fe80::1%eth9", port: 1 };
  await assert.rejects(lookUp(host, strange, interfaceIndex), /no eth9/);
});

test("an answer that is not an address is the lookup's failure", async () => {
  const host = new ManualHost();
  host.answers = [{ address: "fe80::1%a name that is too long", family: 6 }];
  const asked = { hostname: "name", port: 1 };
  await assert.rejects(lookUp(host, asked, interfaceIndex), /not an address/);
});

test("localhost is the loopback interface, IPv4 first, and no resolver is asked", async () => {
  const host = new SilentHost();
  for (const hostname of ["localhost", "LocalHost", "localhost.", "a.localhost"]) {
    assert.equal(await lookUp(host, { hostname, port: 5 }, interfaceIndex), [
      { hostname: "127.0.0.1", port: 5 },
      { hostname: "::1", port: 5 },
    ]);
  }
  for (const hostname of ["notlocalhost", "localhost.example"]) {
    await assert.rejects(lookUp(host, { hostname, port: 5 }, interfaceIndex), /asked/);
  }
});

test("a name gives its addresses in the resolver's order, at most eight", async () => {
  const host = new ManualHost();
  host.answers = Array.from({ length: 12 }, (_, i) => ({ address: `10.0.0.${i}`, family: 4 }));
  const found = await lookUp(host, { hostname: "name", port: 9 }, interfaceIndex);
  assert.is(found.length, LIMITS.dialAddressCountMax);
  assert.equal(found[1], { hostname: "10.0.0.1", port: 9 });
});

test("families take turns, beginning with the resolver's first, and can be chosen", async () => {
  const host = new ManualHost();
  host.answers = ["fd00::1", "fd00::2", "fd00::3", "10.0.0.1", "10.0.0.2"].map((address) => ({
    address,
    family: address.includes(":") ? 6 : 4,
  }));
  const ask = async (family?: 4 | 6) => {
    const found = await lookUp(host, { hostname: "name", port: 9 }, interfaceIndex, family ?? null);
    return found.map((one) => (one as { hostname: string }).hostname);
  };
  assert.equal(await ask(), ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "fd00::3"]);
  assert.equal(await ask(4), ["10.0.0.1", "10.0.0.2"]);
  assert.equal(await ask(6), ["fd00::1", "fd00::2", "fd00::3"]);
});

test("the resolver's error reaches the caller", async () => {
  await assert.rejects(
    lookUp(new SilentHost(), { hostname: "name", port: 9 }, interfaceIndex),
    /asked/,
  );
});

test.run();
