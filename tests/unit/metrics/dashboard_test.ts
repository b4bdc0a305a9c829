/**
 * The Grafana dashboard of examples/fleet: its shape is the one that Grafana documents ("Dashboard
 * JSON model"), and it asks for each metric of the library and for no other.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { DEFINITIONS } from "../../../src/metrics/definitions.ts";
import { assert, suite } from "../../harness.ts";

const path = new URL("../../../examples/fleet/dashboard.json", import.meta.url);
const text = readFileSync(path, "utf8");
const GRID_COLUMNS = 24;
const test = suite("dashboard");

type Shape = { [field: string]: "string" | "number" | "boolean" | "array" | Shape };

const DATASOURCE: Shape = { type: "string", uid: "string" };
const DASHBOARD: Shape = {
  title: "string",
  uid: "string",
  tags: "array",
  schemaVersion: "number",
  version: "number",
  editable: "boolean",
  graphTooltip: "number",
  time: { from: "string", to: "string" },
  refresh: "string",
  annotations: { list: "array" },
  templating: { list: "array" },
  panels: "array",
};
const PANEL: Shape = {
  id: "number",
  type: "string",
  title: "string",
  description: "string",
  datasource: DATASOURCE,
  gridPos: { x: "number", y: "number", w: "number", h: "number" },
  fieldConfig: { defaults: { unit: "string" }, overrides: "array" },
  options: {},
  targets: "array",
};
const TARGET: Shape = {
  refId: "string",
  datasource: DATASOURCE,
  expr: "string",
  legendFormat: "string",
};
const VARIABLE: Shape = { name: "string", type: "string", hide: "number" };

// deno-lint-ignore no-explicit-any
type Json = any;

function kindOf(value: unknown): string {
  return Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
}

/** The differences from the shape, by path. */
function faults(value: Json, shape: Shape, at: string): string[] {
  if (kindOf(value) !== "object") return [`${at} is ${kindOf(value)}, wants an object`];
  return Object.entries(shape).flatMap(([field, wanted]) => {
    if (typeof wanted === "object") return faults(value[field], wanted, `${at}.${field}`);
    const found = kindOf(value[field]);
    return found === wanted ? [] : [`${at}.${field} is ${found}, wants ${wanted}`];
  });
}

function shapeFaults(dashboard: Json): string[] {
  const own = faults(dashboard, DASHBOARD, "dashboard");
  if (own.length > 0) return own;
  return [
    ...dashboard.templating.list.flatMap((variable: Json, i: number) =>
      faults(variable, VARIABLE, `variable ${i}`)
    ),
    ...dashboard.panels.flatMap((panel: Json, i: number) => [
      ...faults(panel, PANEL, `panel ${i}`),
      ...(panel.targets ?? []).flatMap((target: Json) => faults(target, TARGET, `panel ${i}`)),
    ]),
  ];
}

const expressionsOf = (dashboard: Json): string[] =>
  dashboard.panels.flatMap(({ targets }: Json) => targets.map(({ expr }: Json) => expr));

/** The metrics that an expression names; a histogram is named by its series. */
function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\$\{prefix\}(\w+)/g)]
    .map(([, name]) => name.replace(/^(\w+_(?:seconds|size|iovecs))_(?:bucket|sum|count)$/, "$1"));
}

test("has the shape that Grafana documents", () => {
  assert.equal(shapeFaults(JSON.parse(text)), []);
  // The check itself finds a wrong type at each level.
  const broken: [(dashboard: Json) => void, string][] = [
    [(dashboard) => dashboard.panels = {}, "dashboard.panels is object, wants array"],
    [(dashboard) => dashboard.time.to = 5, "dashboard.time.to is number, wants string"],
    [(dashboard) => delete dashboard.panels[1].gridPos, "panel 1.gridPos is undefined"],
    [(dashboard) => dashboard.panels[2].targets[0].expr = null, "panel 2.expr is null"],
    [(dashboard) => dashboard.templating.list[0].name = 1, "variable 0.name is number"],
  ];
  for (const [damage, complaint] of broken) {
    const dashboard = JSON.parse(text);
    damage(dashboard);
    assert.match(shapeFaults(dashboard).join("\n"), complaint);
  }
});

test("its panels have numbers of their own and do not overlap", () => {
  const { panels } = JSON.parse(text);
  assert.is(new Set(panels.map(({ id }: Json) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert.ok(x + w <= GRID_COLUMNS, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert.ok(!taken.has(`${column} ${row}`), title);
        taken.add(`${column} ${row}`);
      }
    }
  }
  for (const { title, targets } of panels) {
    const ids = targets.map(({ refId }: Json) => refId);
    assert.is(new Set(ids).size, ids.length, title);
  }
});

test("asks for every metric of the library, and for no other", () => {
  const asked = expressionsOf(JSON.parse(text)).flatMap(metricsIn);
  const published = DEFINITIONS.map(({ name }) => name);
  assert.equal([...new Set(asked)].sort(), [...published].sort());
});

test("names no metric without the prefix, no unknown variable, and closes its parentheses", () => {
  const dashboard = JSON.parse(text);
  const variables = dashboard.templating.list.map(({ name }: Json) => name);
  const known = new Set([...variables, "__rate_interval", "__range"]);
  for (const expression of expressionsOf(dashboard)) {
    assert.ok(metricsIn(expression).length > 0, expression);
    for (const [, name] of expression.matchAll(/\$\{?(\w+)/g)) assert.ok(known.has(name), name);
    for (const [open, close] of ["()", "{}", "[]"]) {
      assert.is(expression.split(open).length, expression.split(close).length, expression);
    }
  }
});

test.run();
