/**
 * The public declarations: no internals, documentation in the standard form, and an entry in
 * docs/API.md for each member, with the same parameters and defaults.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { API, type Member, publicDeclarations, type PublicSymbol } from "./public_declarations.ts";
import { run, tool } from "./tools.ts";

const test = suite<{ symbols: PublicSymbol[] }>("public surface", { symbols: [] }, {
  timeoutMs: 60_000,
});

test.before(async (context) => {
  context.symbols = (await publicDeclarations()).symbols;
});

const members = (symbols: readonly PublicSymbol[]) => symbols.flatMap((symbol) => symbol.members);
const codes = new Set(
  [
    ...readFileSync(join(ROOT, "src", "base", "network_error.ts"), "utf8")
      .match(/type NetworkErrorCode =([^;]*);/)?.[1].matchAll(/"(\w+)"/g) ?? [],
  ].map(([, c]) => c),
);

/** The faults of the documentation of a member. */
function faults({ name, kind, doc, tags, optional, params, returns }: Member): string[] {
  const found: string[] = [];
  if (doc.trim() === "") found.push("no description");
  const isCall = kind === "method" || kind === "constructor" || kind === "function";
  const documented = tags.filter((tag) => tag.kind === "param").map((tag) => tag.name);
  const wanted = params.map((param) => param.replace(/^\.\.\.|\?$/g, ""));
  if (isCall && documented.join() !== wanted.join()) found.push(`@param ${wanted.join()}`);
  if (isCall && returns && !tags.some((tag) => tag.kind === "return")) {
    if (!name.includes("[Symbol.dispose]")) found.push("no @returns");
  }
  if (kind === "property" && optional && !tags.some((tag) => tag.kind === "default")) {
    found.push("no @default");
  }
  for (const tag of tags.filter((tag) => tag.kind === "throws")) {
    if (tag.tsType?.repr !== "NetworkError") continue;
    const named = [...(tag.doc ?? "").matchAll(/`"(\w+)"`/g)].map(([, code]) => code);
    const unknown = named.filter((code) => !codes.has(code));
    if (unknown.length > 0) found.push(`@throws names unknown codes ${unknown}`);
    if (named.length === 0 && !/error of a buffered send/.test(tag.doc ?? "")) {
      found.push("@throws NetworkError names no code");
    }
  }
  return found.map((fault) => `${name}: ${fault}`);
}

test("`deno doc --lint` finds nothing: each type that is referenced is exported", async () => {
  const listed = await run(["sh", "scripts/entry_points.sh"], { cwd: ROOT });
  const entryPoints = listed.output.trim().split("\n");
  assert.ok(entryPoints.includes("mod.ts") && entryPoints.includes("src/adapters/net.ts"));
  const ran = await run([tool("deno"), "doc", "--lint", ...entryPoints], { cwd: ROOT });
  assert.is(ran.code, 0, ran.errors);
});

test("no public symbol and no public member is internal", ({ symbols }) => {
  const all = [...symbols, ...members(symbols)];
  assert.ok(all.length > 150);
  const internal = all.filter(({ name, doc, tags }) =>
    /@internal/.test(doc) || tags.some((tag) => /internal/.test(`${tag.kind} ${tag.doc}`)) ||
    /(?:^|\.)_/.test(name)
  );
  assert.equal(internal.map(({ name }) => name), []);
});

test("each public member is documented in the standard form", ({ symbols }) => {
  assert.ok(codes.size >= 10);
  assert.equal(members(symbols).flatMap(faults), []);
});

test("each public class and function has an example", ({ symbols }) => {
  const missing = symbols.filter(({ kind, tags }) =>
    (kind === "class" || kind === "function") && !tags.some((tag) => tag.kind === "example")
  );
  assert.equal(missing.map(({ name }) => name), []);
});

/** The part of docs/API.md about a symbol: its headings, and those of its members. */
function sectionsOf(api: string, name: string): string {
  const parts = api.split(/^(?=#{2,3} )/m);
  const own = (heading: string) =>
    heading === name || heading.toLowerCase().startsWith(`${name.toLowerCase()}.`);
  return parts.filter((part) => {
    const heading = /^#+ (.*)/.exec(part)?.[1] ?? "";
    return heading.split(", ").some(own);
  }).join("\n");
}

/** "options?" for "options?: CallOptions" and for "on = true". */
function shortParam(text: string): string {
  const name = /^(?:\.\.\.)?\w+/.exec(text.trim())?.[0] ?? text;
  return /^\w+(?:\?| =)/.test(text.trim()) ? `${name}?` : name;
}

/** The faults of the entry of a member in docs/API.md. */
function entryFault(api: string, { name, kind, params }: Member): string | null {
  const [owner, ...rest] = name.split(".");
  const member = rest.join(".");
  const section = sectionsOf(api, owner);
  if (section === "") return `${name}: no section ${owner}`;
  const escaped = (member || owner).replace(/[.[\]]/g, "\\$&");
  if (kind === "getter" || kind === "property") {
    // "`field`", "{ field?: type", or a heading "network.member".
    const entry = new RegExp(
      "`" + escaped + "`|[{,] ?" + escaped + "\\??[,: }]|\\w\\." + escaped + "\\b",
    );
    return entry.test(section) ? null : `${name}: no entry`;
  }
  if (kind === "constructor" || member.startsWith("[")) {
    const entry = kind === "constructor" ? `new ${owner}(` : member;
    return section.includes(entry) ? null : `${name}: no entry`;
  }
  const entries = [
    ...section.matchAll(new RegExp("`(?:static )?" + escaped + "\\(([^`]*?)\\)", "g")),
  ];
  if (entries.length === 0) return `${name}: no entry`;
  const wanted = params.join(", ");
  const shown = entries.map(([, list]) =>
    list === "" ? "" : list.split(/,(?![^<]*>) */).map(shortParam).join(", ")
  );
  return shown.includes(wanted) ? null : `${name}(${wanted}): docs/API.md says (${shown})`;
}

test("docs/API.md has each public member, with its parameters", ({ symbols }) => {
  const api = readFileSync(API, "utf8");
  const faults = members(symbols).map((member) => entryFault(api, member));
  assert.equal(faults.filter((fault) => fault !== null), []);
});

test("docs/API.md has the defaults of the declarations", ({ symbols }) => {
  const api = readFileSync(API, "utf8");
  let compared = 0;
  const faults: string[] = [];
  for (const { name, tags } of members(symbols)) {
    const declared = tags.find((tag) => tag.kind === "default")?.value;
    const [owner, field = ""] = name.split(".");
    if (!/^\w+$/.test(field)) continue;
    const row = new RegExp("^\\| `" + field + "` \\| `([^`]+)` \\|", "m");
    const shown = row.exec(sectionsOf(api, owner))?.[1];
    if (declared === undefined || shown === undefined) continue;
    compared++;
    if (declared !== shown) faults.push(`${name}: ${declared}, docs/API.md says ${shown}`);
  }
  assert.ok(compared > 20, `${compared} defaults compared`);
  assert.equal(faults, []);
});

test("the walk finds members that have no entry", () => {
  const member: Member = {
    name: "Sink.send",
    kind: "method",
    doc: "",
    tags: [{ kind: "throws", tsType: { repr: "NetworkError" }, doc: '`"TimedOut"`' }],
    optional: false,
    params: ["data", "force"],
    returns: true,
  };
  const api = readFileSync(API, "utf8");
  assert.match(entryFault(api, member) ?? "", /docs\/API\.md says/);
  assert.match(entryFault(api, { ...member, name: "Sink.gaveUp" }) ?? "", /no entry/);
  assert.match(entryFault(api, { ...member, name: "Sink.late", kind: "getter" }) ?? "", /no entry/);
  assert.is(faults(member).length, 4);
});

test.run();
