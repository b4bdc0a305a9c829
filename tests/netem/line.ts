/**
 * A line between two network namespaces that can be made to lose, delay, reorder, duplicate and
 * corrupt packets, and that can be cut.
 *
 *   near 10.77.0.1 [netem] ===== veth ===== [netem] far 10.77.0.2
 *
 * `tc` puts netem on the way out of each side. Each packet carries one segment, as on a wire:
 * otherwise the kernel would hand 64 KiB at a time from one side to the other, and one lost packet
 * would be a whole transfer.
 *
 * @module
 */
import { NetNamespace } from "./net_namespace.ts";

export const NEAR_ADDRESS = "10.77.0.1";
export const FAR_ADDRESS = "10.77.0.2";

/** Packets that netem holds: more than any test has in flight, so that none is lost by overflow. */
const QUEUE_PACKETS_MAX = "10000";

/** Counters of /proc/net/snmp and /proc/net/netstat by section and name: "Tcp.RetransSegs". */
export type Counters = Readonly<Record<string, number>>;

export class Line {
  readonly near: NetNamespace;
  readonly far: NetNamespace;
  /** Why this line can be cut but not disturbed, or null. */
  undisturbed: string | null = null;

  private constructor(near: NetNamespace, far: NetNamespace) {
    this.near = near;
    this.far = far;
  }

  /** A line without disturbances, or the reason why this machine cannot have one. */
  static make(): Line | string {
    const near = NetNamespace.make();
    const far = NetNamespace.make();
    if (near === null || far === null) {
      near?.close();
      far?.close();
      return "making network namespaces needs root";
    }
    const line = new Line(near, far);
    const reason = line.#build();
    if (reason === null) return line;
    line.close();
    return reason;
  }

  #build(): string | null {
    const { near, far } = this;
    for (const program of ["ip", "tc"]) {
      if (near.try(program, "-V").status !== 0) return `no program ${program} (package iproute2)`;
    }
    const link = ["link", "add", "near", "type", "veth", "peer", "name", "far", "netns", far.path];
    const added = near.try("ip", ...link);
    if (/Unknown device type|not supported/.test(added.stderr)) return "no module veth";
    if (/not permitted/.test(added.stderr)) return "making interfaces needs root";
    if (added.status !== 0) throw new Error(`Cannot make the line: ${added.stderr}`);
    for (const [side, name, address] of this.#sides()) {
      side.run("ip", "link", "set", name, "gso_max_segs", "1");
      // Or a connection would begin as slowly as the lossy ones before it ended.
      side.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save");
      side.run("ip", "address", "add", `${address}/24`, "dev", name);
      side.run("ip", "link", "set", name, "up");
    }
    const shaped = near.try("tc", "qdisc", "add", "dev", "near", "root", "netem");
    if (/qdisc kind is unknown|No such file/.test(shaped.stderr)) {
      this.undisturbed = "no module sch_netem";
    } else if (shaped.status !== 0) {
      throw new Error(`Cannot disturb the line: ${shaped.stderr}`);
    }
    return null;
  }

  #sides(): [side: NetNamespace, name: string, address: string][] {
    return [[this.near, "near", NEAR_ADDRESS], [this.far, "far", FAR_ADDRESS]];
  }

  /** Disturbs both directions from now on: words of tc-netem(8), none for a line without faults. */
  disturb(...words: string[]): void {
    if (this.undisturbed !== null) {
      if (words.length > 0) throw new Error(`Cannot disturb the line: ${this.undisturbed}`);
      return;
    }
    for (const [side, name] of this.#sides()) {
      // A new qdisc each time: changing one keeps what the new words do not name, as corruption.
      side.try("tc", "qdisc", "del", "dev", name, "root");
      const netem = ["root", "netem", "limit", QUEUE_PACKETS_MAX, ...words];
      side.run("tc", "qdisc", "add", "dev", name, ...netem);
    }
  }

  /** Takes the far interface down: the near one loses its carrier. */
  cut(): void {
    this.far.run("ip", "link", "set", "far", "down");
  }

  mend(): void {
    this.far.run("ip", "link", "set", "far", "up");
  }

  /** The counts of the kernel on each side since the namespaces were made. */
  counters(): { near: Counters; far: Counters } {
    const read = (side: NetNamespace) =>
      parseCounters(side.run("cat", "/proc/net/snmp", "/proc/net/netstat"));
    return { near: read(this.near), far: read(this.far) };
  }

  close(): void {
    this.near.close();
    this.far.close();
  }
}

/** Pairs of lines: "Tcp: RetransSegs InErrs" and "Tcp: 12 0". */
function parseCounters(text: string): Counters {
  const lines = text.trim().split("\n").map((line) => line.split(/\s+/));
  const counters: Record<string, number> = {};
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [section, ...names] = lines[at];
    const values = lines[at + 1].slice(1);
    names.forEach((name, index) => {
      counters[`${section.replace(":", ".")}${name}`] = Number(values[index]);
    });
  }
  return counters;
}
