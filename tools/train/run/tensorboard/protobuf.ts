/**
 * Writes the few kinds of protocol buffer fields that TensorBoard's events need.
 *
 * @module
 */
import { joinBytes } from "../../../../src/host/codecs/bytes.ts";

/** A field: its number and its value. */
export type Field =
  | { readonly kind: "double" | "float"; readonly value: number }
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "message"; readonly value: Message };

/** Fields in the order they are written, each with its number. */
export type Message = readonly (readonly [number: number, field: Field])[];

/** How a value is stored, by the encoding's own numbers. */
const VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5;

/** A message's bytes. */
export function encode(message: Message): Uint8Array<ArrayBuffer> {
  return joinBytes(
    message.flatMap(([number, field]) => encodeField(number, field)),
  );
}

function encodeField(number: number, field: Field): Uint8Array[] {
  const tag = (wire: number) => varint(number << 3 | wire);
  switch (field.kind) {
    case "double":
      return [
        tag(FIXED64),
        fixed(8, (view) => view.setFloat64(0, field.value, true)),
      ];
    case "float":
      return [
        tag(FIXED32),
        fixed(4, (view) => view.setFloat32(0, field.value, true)),
      ];
    case "int":
      return [tag(VARINT), varint(field.value)];
    case "bytes":
      return [tag(LENGTH), varint(field.value.length), field.value];
    case "text": {
      const bytes = new TextEncoder().encode(field.value);
      return [tag(LENGTH), varint(bytes.length), bytes];
    }
    case "message": {
      const bytes = encode(field.value);
      return [tag(LENGTH), varint(bytes.length), bytes];
    }
  }
}

/** Seven bits a byte, the lowest first; whole numbers from 0 to 2⁵³. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    bytes.push(rest % 0x80 | 0x80);
  }
  return Uint8Array.from([...bytes, rest]);
}

function fixed(length: number, set: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  set(new DataView(bytes.buffer));
  return bytes;
}
