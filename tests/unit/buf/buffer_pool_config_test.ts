import { BufferPoolConfig } from "../../../src/buf/buffer_pool_config.ts";
import { assert, Random, suite } from "../../harness.ts";
import { thrown } from "../../support/thrown.ts";

const test = suite("BufferPoolConfig");

test("BufferPoolConfig.forNetwork() has classes from 128 bytes to 64 KiB with 4,096 each", () => {
  const config = BufferPoolConfig.forNetwork();
  assert.equal(
    config.sizeClasses,
    [128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536],
  );
  assert.is(config.maxPerClass, 4_096);
  assert.is(config.prefill, false);
  assert.is(config.debug, false);
  assert.is(config.maxBytes, (2 * 65_536 - 128) * 4_096);
});

test("new BufferPoolConfig() without fields is the network preset", () => {
  assert.equal({ ...new BufferPoolConfig() }, { ...BufferPoolConfig.forNetwork() });
});

test("each builder changes its field in a copy and keeps the others", () => {
  const base = new BufferPoolConfig({ maxPerClass: 7 });
  const built = base.withMinSize(256).withMaxSize(1_024).withPrefill().withDebug();
  assert.equal(
    { ...built },
    {
      minSize: 256,
      maxSize: 1_024,
      maxPerClass: 7,
      budgetBytes: null,
      prefill: true,
      debug: true,
    },
  );
  assert.is(built.withMaxPerClass(3).maxPerClass, 3);
  assert.is(built.withPrefill(false).prefill, false);
  assert.is(built.withDebug(false).debug, false);
  assert.equal({ ...base }, { ...new BufferPoolConfig({ maxPerClass: 7 }) }, "unchanged");
});

test("a budget stays a ceiling when sizes change after it", () => {
  const budget = new BufferPoolConfig({ minSize: 64, maxSize: 64 }).withBudgetBytes(6_400);
  assert.is(budget.maxPerClass, 100);
  const wider = budget.withMaxSize(128);
  assert.is(wider.maxPerClass, 33, "6,400 / (64 + 128)");
  assert.ok(wider.maxBytes <= 6_400);
  assert.is(wider.withMaxPerClass(40).budgetBytes, null, "a count of its own ends the budget");
});

test("a config of one class is possible", () => {
  const config = new BufferPoolConfig({ minSize: 64, maxSize: 64, maxPerClass: 2 });
  assert.equal(config.sizeClasses, [64]);
  assert.is(config.maxBytes, 128);
});

test("maxBytes is the sum of all classes", () => {
  const config = new BufferPoolConfig({ minSize: 64, maxSize: 512, maxPerClass: 5 });
  const sum = config.sizeClasses.reduce((total, size) => total + size * 5, 0);
  assert.is(config.maxBytes, sum);
});

test("a budget is a strict ceiling and is used as far as whole rounds of classes go", () => {
  const random = new Random();
  for (let round = 0; round < 300; round++) {
    const minSize = 64 << random.int(0, 6);
    const maxSize = minSize << random.int(0, 6);
    const each = 2 * maxSize - minSize;
    const budgetBytes = each + random.int(0, 50 * each);
    const config = new BufferPoolConfig({ minSize, maxSize, budgetBytes });
    assert.ok(config.maxBytes <= budgetBytes, `${config.maxBytes} > ${budgetBytes}`);
    assert.ok(config.maxBytes + each > budgetBytes, "one more of each would not fit");
  }
});

test("a budget at the edge of one round more gives exactly that", () => {
  const fields = { minSize: 64, maxSize: 256 }; // One of each is 448 bytes.
  const count = (budgetBytes: number) =>
    new BufferPoolConfig({ ...fields, budgetBytes }).maxPerClass;
  assert.equal([count(448), count(895), count(896), count(4_480)], [1, 1, 2, 10]);
});

test("a budget in which not even one buffer of each class fits is refused", () => {
  const { message } = thrown(
    () => new BufferPoolConfig({ minSize: 64, maxSize: 256, budgetBytes: 447 }),
    RangeError,
  );
  assert.match(message, 'Cannot use "pool.budgetBytes"');
  assert.match(message, "448");
  assert.match(message, "given 447");
  thrown(() => BufferPoolConfig.forNetwork().withBudgetBytes(1_000), RangeError, "given 1000");
});

test("withBudgetBytes() takes the place of maxPerClass", () => {
  const config = new BufferPoolConfig({ minSize: 64, maxSize: 256, maxPerClass: 9 });
  assert.is(config.withBudgetBytes(896).maxPerClass, 2);
});

test("sizes that are no powers of two are refused by name", () => {
  for (const size of [65, 100, 3 * 64, 65_535]) {
    thrown(
      () => new BufferPoolConfig({ minSize: size }),
      RangeError,
      `Cannot use "pool.minSize": wanted a power of two, given ${size}`,
    );
    thrown(
      () => new BufferPoolConfig({ maxSize: size }),
      RangeError,
      `Cannot use "pool.maxSize": wanted a power of two, given ${size}`,
    );
  }
});

test("a largest class below the smallest is refused", () => {
  thrown(
    () => new BufferPoolConfig({ minSize: 512, maxSize: 256 }),
    RangeError,
    'Cannot use "pool.maxSize": wanted at least minSize (512), given 256',
  );
});

test("every wrong value is refused, naming its field", () => {
  const wrong: Record<string, unknown[]> = {
    minSize: [0, 32, -128, NaN, 128.5, 2 ** 29, Infinity],
    maxSize: [0, 32, -128, NaN, 128.5, 2 ** 29, Infinity],
    maxPerClass: [0, -1, NaN, 1.5, 2 ** 20 + 1, Infinity],
    budgetBytes: [0, -1, NaN, 1e9 + 0.5, Infinity],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      const { message } = thrown(() => new BufferPoolConfig({ [field]: value }), RangeError);
      assert.match(message, `"pool.${field}"`);
      assert.match(message, `given ${value}`);
    }
    for (const value of ["128", true, null, {}, [], 128n]) {
      const make = () => new BufferPoolConfig({ [field]: value } as never);
      thrown(make, TypeError, `"pool.${field}"`);
    }
  }
  for (const field of ["prefill", "debug"]) {
    for (const value of [0, 1, "true", null]) {
      const make = () => new BufferPoolConfig({ [field]: value } as never);
      thrown(make, TypeError, `"pool.${field}"`);
    }
  }
});

test("an unknown field and something that is no object are refused", () => {
  thrown(() => new BufferPoolConfig({ size: 1 } as never), TypeError, '"pool.size"');
  for (const value of [null, 5, "big", []]) {
    thrown(() => new BufferPoolConfig(value as never), TypeError, 'Cannot use "pool"');
  }
});

test.run();
