import { featuresOf, kernelAtLeast } from "../../../../src/net/config/capabilities.ts";
import { FEATURE } from "../../../../src/ring/port.ts";
import { assert, suite } from "../../../harness.ts";

const test = suite("capabilities");

test("kernelAtLeast() compares numbers, not text", () => {
  const cases: [string, number, number, boolean][] = [
    ["6.1.0-18-amd64", 6, 1, true],
    ["6.10.1", 6, 9, true],
    ["6.9.1", 6, 10, false],
    ["7.0.0", 6, 12, true],
    ["5.19.0", 6, 0, false],
    ["10.2", 6, 1, true],
    ["6.1+", 6, 1, true],
    ["", 6, 1, false],
    ["unknown", 0, 1, false],
  ];
  for (const [kernel, major, minor, expected] of cases) {
    assert.is(kernelAtLeast(kernel, major, minor), expected, `${kernel} >= ${major}.${minor}`);
  }
});

test("featuresOf() has a field for each bit of the probe, and no other", () => {
  const names = Object.keys(FEATURE);
  assert.equal(Object.keys(featuresOf(0)), names);
  assert.ok(Object.values(featuresOf(0)).every((has) => has === false));
  for (const [name, bit] of Object.entries(FEATURE)) {
    const features: Readonly<Record<string, boolean>> = { ...featuresOf(bit) };
    assert.equal(names.filter((other) => features[other]), [name]);
  }
});

test.run();
