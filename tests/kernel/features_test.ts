/**
 * The features that probe() finds in this kernel, compared with those that its release is known to
 * have.
 *
 * @module
 */
import { release } from "node:os";
import { type Features, probe } from "../../mod.ts";
import { kernelAtLeast } from "../../src/net/config/capabilities.ts";
import { assert, suite } from "../harness.ts";
import { descriptors } from "../contract/fixture.ts";

/** The mainline release that brought each. A kernel with backports has them earlier. */
const SINCE: Record<keyof Features, [major: number, minor: number]> = {
  deferTaskrun: [6, 1],
  singleIssuer: [6, 0],
  providedBufferRings: [5, 19],
  multishotReceive: [6, 0],
  sendZeroCopy: [6, 0],
  bundles: [6, 10],
  incrementalBuffers: [6, 12],
};

const test = suite("features");

for (const [name, [major, minor]] of Object.entries(SINCE)) {
  const old = kernelAtLeast(release(), major, minor) ? null : `${release()} need not have it`;
  test.skipIf(old, `Linux ${major}.${minor} or newer: ${name} is found`, () => {
    assert.is(probe().features[name as keyof Features], true);
  });
}

test("probing often leaves no descriptor open", () => {
  const features = probe().features;
  const before = descriptors().size;
  for (let i = 0; i < 50; i++) assert.equal(probe().features, features);
  assert.is(descriptors().size, before);
});

test.run();
