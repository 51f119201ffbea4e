/**
 * Parameters of launches as their shaders lay them out.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { alignBinding } from "../gpu/buffers.ts";
import type { Launch, Params } from "../ops/op.ts";

/** A member of a shader's `struct Params`. */
export interface ParamField {
  /** Its name. */
  readonly name: string;
  /** Whether it is made of floats; else of unsigned integers. */
  readonly isFloat: boolean;
  /** How many of them: 1, or 4 of a vector. */
  readonly length: number;
  /** Where it lies, in words of 4 bytes. */
  readonly word: number;
}

const STRUCT = /\bstruct Params \{([^}]*)\}/;
const MEMBER = /^\s*(\w+): (?:(u32|f32)|vec4<(u32|f32)>),/gm;

/**
 * The members of `struct Params` in WGSL, by WGSL's rules of layout.
 *
 * @throws {MasterWeaverError} `gpu` where a member is of a type that no shader here has
 */
export function paramFields(code: string): readonly ParamField[] {
  const body = STRUCT.exec(code)?.[1] ?? "";
  const lines = body.replace(/\/\/.*$/gm, "");
  const fields: ParamField[] = [];
  let word = 0;
  for (const [, name, scalar, vector] of lines.matchAll(MEMBER)) {
    const length = vector ? 4 : 1;
    word = Math.ceil(word / length) * length;
    fields.push({ name, isFloat: (scalar ?? vector) === "f32", length, word });
    word += length;
  }
  if (lines.split(":").length - 1 !== fields.length) {
    throw new MasterWeaverError(
      "gpu",
      `Cannot lay out parameters: expected members u32, f32, vec4<u32> or vec4<f32>, got ${body.trim()}`,
    );
  }
  return fields;
}

/** The parameters of some launches, and where each one's lie, in bytes. */
export interface PackedParams {
  /** All of them, little-endian. */
  readonly bytes: ArrayBuffer;
  /** In the order of the launches; each begins where a binding may. */
  readonly places: readonly {
    readonly offset: number;
    readonly size: number;
  }[];
}

/**
 * Lays the parameters of launches one after the other.
 *
 * @throws {MasterWeaverError} `gpu` where a launch lacks a member of its shader's struct, or has more
 */
export function packParams(launches: readonly Launch[]): PackedParams {
  const known = new Map<string, readonly ParamField[]>();
  const fieldsOf = (code: string) => {
    let fields = known.get(code);
    if (!fields) known.set(code, fields = paramFields(code));
    return fields;
  };
  let total = 0;
  const places = launches.map(({ code }) => {
    const last = fieldsOf(code).at(-1);
    const words = last ? last.word + last.length : 0;
    const place = { offset: total, size: Math.ceil(words / 4) * 16 };
    total += alignBinding(place.size);
    return place;
  });
  const words = new DataView(new ArrayBuffer(total));
  launches.forEach(({ shader, code, params }, i) => {
    const fields = fieldsOf(code);
    checkNames(shader, fields, params);
    for (const field of fields) {
      const values = [params[field.name]].flat();
      values.forEach((value, at) => {
        const byte = places[i].offset + 4 * (field.word + at);
        if (field.isFloat) words.setFloat32(byte, value, true);
        else words.setUint32(byte, value, true);
      });
    }
  });
  return { bytes: words.buffer, places };
}

function checkNames(
  shader: string,
  fields: readonly ParamField[],
  params: Params,
): void {
  const given = Object.keys(params);
  const fits = given.length === fields.length &&
    fields.every(({ name, length }) => {
      const value = params[name];
      return value !== undefined &&
        (typeof value === "number" ? 1 : value.length) === length;
    });
  if (fits) return;
  throw new MasterWeaverError(
    "gpu",
    `Cannot launch ${shader}: its parameters are ${
      fields.map(({ name }) => name).join(", ")
    }, got ${given.join(", ")}`,
  );
}
