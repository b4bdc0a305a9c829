/**
 * Text from bytes that should be UTF-8. U+FEFF at the beginning is an ordinary character, and is
 * not removed as a byte order mark: the bytes are a name, text of the kernel or a slice of a
 * stream, and not the beginning of a document. Decoding restores every text that was encoded.
 *
 * @module
 */

const OPTIONS: TextDecoderOptions = Object.freeze({ ignoreBOM: true });

const decoder = utf8Decoder();

/** A new decoder, for bytes that come in parts. */
export function utf8Decoder(): TextDecoder {
  return new TextDecoder("utf-8", OPTIONS);
}

/** Malformed input becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
