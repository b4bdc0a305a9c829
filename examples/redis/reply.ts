/**
 * Replies of the Redis protocol, version 2, behind each other as one string.
 */

/** The first lines of short strings. */
const LENGTHS = Array.from({ length: 256 }, (_, length) => `$${length}\r\n`);

export class Reply {
  #text = "";

  get length(): number {
    return this.#text.length;
  }

  /** The bytes that were written since the last call. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  simple(text: string): void {
    this.#text += text === "OK" ? "+OK\r\n" : `+${text}\r\n`;
  }

  error(text: string): void {
    this.#text += `-${text.replace(/[\r\n]/g, " ")}\r\n`;
  }

  integer(value: number): void {
    this.#text += `:${value}\r\n`;
  }

  nothing(): void {
    this.#text += "$-1\r\n";
  }

  array(count: number): this {
    this.#text += `*${count}\r\n`;
    return this;
  }

  bulk(value: string): this {
    this.#text += (LENGTHS[value.length] ?? `$${value.length}\r\n`) + value + "\r\n";
    return this;
  }

  bulkOrNothing(value: string | undefined): void {
    if (value === undefined) this.nothing();
    else this.bulk(value);
  }
}
