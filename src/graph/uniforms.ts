/**
 * Packs the parameters of launches into uniforms, as their shaders' `struct Params`
 * lays them out.
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
  /** Whether its components are f32; otherwise u32. */
  readonly isFloat: boolean;
  /** Number of components: 1, or 4 for a vector. */
  readonly length: number;
  /** Its offset, in words of 4 bytes. */
  readonly word: number;
}

const STRUCT = /\bstruct Params \{([^}]*)\}/;
const MEMBER = /^\s*(\w+): (?:(u32|f32)|vec4<(u32|f32)>),/gm;

/**
 * The members of `struct Params`, placed by WGSL's layout rules.
 *
 * @throws {MasterWeaverError} `gpu` if a member is not u32, f32 or a vec4 of these
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

/** The parameters of launches in one buffer. */
export interface PackedParams {
  /** All parameters, little-endian. */
  readonly bytes: ArrayBuffer;
  /** The bytes of each launch, in order; offsets are valid for a binding. */
  readonly places: readonly {
    readonly offset: number;
    readonly size: number;
  }[];
}

/**
 * Packs the parameters of launches one after the other.
 *
 * @throws {MasterWeaverError} `gpu` if a launch's parameters are not exactly the members of its shader's struct
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
