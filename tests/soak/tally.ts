/**
 * The record of a soak: counts, failures, and actors that have not moved for too long.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { contentOf } from "../support/content.ts";

/** Complaints that are kept; the rest is only counted. */
const COMPLAINTS_MAX = 20;

export class Tally {
  messages = 0;
  bytes = 0;
  /** Calls that ended early on purpose: timeouts, aborts, refusals, resets. */
  disturbed = 0;
  complaintCount = 0;
  readonly complaints: string[] = [];
  /** When each actor last got something done, on the clock of `performance.now()`. */
  readonly movedAt = new Map<string, number>();

  complain(text: string): void {
    this.complaintCount++;
    if (this.complaints.length < COMPLAINTS_MAX) this.complaints.push(text);
  }

  /** A message of this actor arrived, and was compared. */
  verified(actor: string, bytes: number): void {
    this.messages++;
    this.bytes += bytes;
    this.movedAt.set(actor, performance.now());
  }

  /** Compares bytes with those that belong at this position. */
  compare(actor: string, key: number, start: number, bytes: Uint8Array): void {
    if (Buffer.compare(bytes, contentOf(key, bytes.length, start)) === 0) return;
    this.complain(`${actor}: wrong bytes among ${bytes.length} at ${start}`);
  }

  /** Actors that did nothing for so long. */
  stuck(limitMs: number): string[] {
    const now = performance.now();
    return [...this.movedAt].filter(([, at]) => now - at > limitMs).map(([actor]) => actor);
  }
}
