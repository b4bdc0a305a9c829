/**
 * The examination as text: the facts, the backend that would run, and the changes to make.
 *
 * @module
 */
import { BACKENDS, isBackend } from "../net/config/backend.ts";
import type { Examination } from "./examination.ts";
import type { SelfTest } from "./self_test.ts";

const LABEL_WIDTH = 12;

function line(label: string, text: string): string {
  const indent = `\n${" ".repeat(LABEL_WIDTH)}`;
  return `${label.padEnd(LABEL_WIDTH)}${text.replaceAll("\n", indent)}`;
}

function memory(bytes: number | null): string {
  if (bytes === null) return "unknown";
  return bytes < 0 ? "not limited" : `${bytes} bytes`;
}

function permissions({ runtime }: Examination): string[] {
  if (runtime.permissions === null) return [];
  const states = Object.entries(runtime.permissions).map(([name, state]) => `${name} ${state}`);
  return [line("permissions", states.join(", "))];
}

function filter(installed: boolean | null): string {
  if (installed === null) return "unknown";
  return installed ? "a filter is installed" : "no filter";
}

function features({ ioUring }: Examination): string {
  const names = Object.entries(ioUring.features).filter(([, has]) => has).map(([name]) => name);
  return names.join(", ") || "none";
}

/** "a, b or c" */
function choices(names: readonly string[]): string {
  return [names.slice(0, -1).join(", "), ...names.slice(-1)].join(" or ");
}

/** The changes that help, the most useful first. */
export function advice(found: Examination): string[] {
  const { ioUring, portable, backend, variable } = found;
  const said: string[] = [];
  if (backend === null && variable !== null) {
    const why = isBackend(variable)
      ? "which cannot be used here: unset it"
      : `which names no backend: set it to ${choices(BACKENDS)}, or unset it`;
    said.push(`URINGNET_BACKEND is "${variable}", ${why}`);
  }
  if (ioUring.refusal !== null) said.push(`for io_uring: ${ioUring.refusal}`);
  if (!portable.works) said.push(`for the portable backend: ${portable.refusal}`);
  return said;
}

function tested({ backend, echoes, bytes, durationMs, failure }: SelfTest): string {
  const done = `${backend ?? "no backend"}, ${echoes} echoes, ${bytes} bytes, ${durationMs} ms`;
  return failure === null ? `passed: ${done}` : `failed: ${failure} (${done})`;
}

export function report(found: Examination, test: SelfTest | null): string {
  const { runtime, system, library, ioUring, portable, variable, backend } = found;
  const lines = [
    line("runtime", `${runtime.name} ${runtime.version}`),
    line("system", `${system.platform} ${system.machine}, kernel ${system.kernel ?? "unknown"}`),
    ...permissions(found),
    line("sysctl", `kernel.io_uring_disabled ${system.ioUringDisabled ?? "unknown, or not there"}`),
    line("seccomp", filter(system.seccompFilter)),
    line("memlock", memory(system.memlockBytes)),
    line("library", library.place ?? "not loaded"),
    line("features", features(found)),
    line("io_uring", ioUring.works ? "works" : "cannot be used"),
    line("portable", portable.works ? "works" : "cannot be used"),
    ...(variable === null ? [] : [line("variable", `URINGNET_BACKEND=${variable}`)]),
    line("backend", backend ?? "none"),
    ...(test === null ? [] : [line("selftest", tested(test))]),
    ...advice(found).map((text) => line("change", text)),
  ];
  return lines.join("\n");
}
