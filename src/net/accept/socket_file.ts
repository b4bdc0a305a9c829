/**
 * The file of a listening unix socket: made by bind, removed when the listener closes.
 *
 *   bind --EADDRINUSE--> look: a socket has it ----------------------> refused
 *    | ^                       no socket -----------------------------> refused
 *    | |                       nobody has it, and `unlinkStale` is not set -> refused, with advice
 *    | +--- removed, or gone --+
 *    +--> listening --> remove, while the socket is open --> close the directory
 *
 * Invariants
 * - Only the very file that bind made is removed, by device and inode, in the directory that the
 *   path named at that time. The open socket holds the inode: its number cannot be another's.
 * - A file is stale when no socket of the system is bound to it, which is final.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { LIMITS } from "../../base/limits.ts";
import { FILE_RECORD, MODE_DEFAULT, type RingPort } from "../../ring/port.ts";
import { type UnixAddress, writeSockaddr } from "../address/address.ts";
import type { CheckedBindOptions } from "./bind_options.ts";

/** Why a path cannot be bound. */
export interface FileRefusal {
  readonly errno: number;
  /** What is behind EADDRINUSE, and what can be done; empty for others. */
  readonly advice: string;
}

export class SocketFile {
  readonly #port: RingPort;
  readonly #record = new Uint8Array(FILE_RECORD.bytes);

  constructor(port: RingPort, address: UnixAddress) {
    this.#port = port;
    const { length } = writeSockaddr(this.#record, address);
    this.#fields.setUint32(FILE_RECORD.lengthAt, length, true);
  }

  /** Whether a socket is bound to the file at this path. */
  get taken(): boolean {
    return this.#port.staleFile(this.#record, false) === 0;
  }

  /** Binds the socket and makes the file. Null, or why not. */
  bind(fd: number, options: CheckedBindOptions): FileRefusal | null {
    const { unlinkStale, mode } = options;
    for (let attempt = 1;; attempt++) {
      const result = this.#port.bindFile(fd, this.#record, mode ?? MODE_DEFAULT);
      if (result >= 0) return null;
      if (result !== -ERRNO.EADDRINUSE) return { errno: -result, advice: "" };
      const found = this.#port.staleFile(this.#record, unlinkStale);
      const free = found === -ERRNO.ENOENT || (found === 1 && unlinkStale);
      if (!free || attempt === LIMITS.bindFileCountMax) {
        return { errno: ERRNO.EADDRINUSE, advice: adviceOn(found) };
      }
    }
  }

  /** Removes the file, unless its name is another's by now. While the socket is open. */
  remove(): void {
    this.#port.removeFile(this.#record);
    this.#port.closeDescriptor(this.#fields.getInt32(FILE_RECORD.directoryAt, true));
  }

  get #fields(): DataView {
    return new DataView(this.#record.buffer);
  }
}

function adviceOn(found: number): string {
  switch (found) {
    case 0:
      return "a socket is bound to the file";
    case 1:
      return "nobody listens there, the file was left behind; pass unlinkStale: true to replace " +
        "it, or remove it";
    case -ERRNO.ENOTSOCK:
      return "the file is no socket";
    case -ERRNO.ENOENT:
      return "the file comes and goes";
    default:
      return `whether somebody listens there cannot be told: ${errnoText(-found)}`;
  }
}
