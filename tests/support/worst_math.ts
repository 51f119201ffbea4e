/**
 * WGSL with the least accurate arithmetic that its specification allows.
 *
 * A shader is rewritten before it is compiled: what a built-in function gives,
 * a division or a conversion to f16, is made wrong by as much as an
 * implementation may make it. The sign follows the bits of the argument, so
 * that neighbours are wrong in opposite directions and nothing cancels; quotients
 * are too small. Sums, differences and products stay as they are: WGSL names no
 * rounding mode, but GPUs round to the nearest, and long sums rely on that.
 *
 * @module
 */

/** At least one unit in the last place of f32, relative to the value. */
const ULP = "1.1920929e-7";
/** Half a unit of f16: what is rounded to nearest after it is off by one. */
const HALF_ULP_F16 = "4.8828125e-4";

/** −1 or 1, by an argument's bits; for numbers and vectors alike. */
const side = (x: string) =>
  `sign(fract(abs(${x}) / (1.0 + abs(${x})) * 65536.37) - 0.5)`;

/** A value that is wrong by so many units in the last place. */
const off = (value: string, ulps: string, x: string) =>
  `(${value} * (1.0 + ${ULP} * (${ulps}) * ${side(x)}))`;

/**
 * exp and exp2. WGSL lets an implementation assume that nothing overflows; where
 * it does, the result may be anything, here 1.
 */
const exponential = (name: string, most: string) => (x: string) =>
  off(
    `${name}((${x}) * saturate(sign(${most} - (${x}))))`,
    // At least 2 |x| up to 100, and not infinite for a masked score.
    `3.0 + abs(${x}) / (200.0 + abs(${x})) * 600.0`,
    x,
  );

/** 3 units, but between 0.5 and 2 an absolute 2⁻²¹; here both everywhere. */
const logarithm = (name: string) => (x: string) =>
  `(${name}(${x}) + ${
    side(x)
  } * (4.76837158e-7 + 3.0 * ${ULP} * abs(${name}(${x}))))`;

/** To f16: either neighbour. */
const conversion = (type: string) => (x: string) =>
  `${type}((${x}) * (1.0 + ${HALF_ULP_F16} * ${side(x)}))`;

/** What is rewritten: a call by its name, with the argument's text. */
const calls: Readonly<Record<string, (x: string) => string>> = {
  exp: exponential("exp", "88.7"),
  exp2: exponential("exp2", "127.9"),
  log: logarithm("log"),
  log2: logarithm("log2"),
  inverseSqrt: (x) => off(`inverseSqrt(${x})`, "2.0", x),
  // Inherited from 1 / inverseSqrt(x).
  sqrt: (x) => off(`sqrt(${x})`, "4.5", x),
};

/** Conversions to the storage type, where that is f16. */
const conversions: Readonly<Record<string, (x: string) => string>> = Object
  .fromEntries(
    ["real", "real4", "vec4<f16>"].map((type) => [type, conversion(type)]),
  );

/** Built-ins that would need a line above; a shader that uses one is refused. */
const UNKNOWN =
  /\b(sin|cos|tan|sinh|cosh|tanh|asin|acos|atan|atan2|pow|length|distance|normalize|mix|smoothstep|reflect|refract|fma|ldexp|degrees|radians|quantizeToF16)\s*\(/;

/** What a / b and a /= b multiply by: 2.5 units too little, the worst for a floor. */
const quotient = (b: string) => `((1.0 / (${b})) * (1.0 - 2.5 * ${ULP}))`;

/** Where a shader can be rewritten: the place of a name or operator in its text. */
export type Site = number;

/** A shader's text without comments, with its sites. */
export class RewritableShader {
  /** Every call and division; those of whole numbers are among them. */
  readonly sites: readonly Site[];
  readonly #code: string;
  readonly #calls: Readonly<Record<string, (x: string) => string>>;

  /**
   * Finds the sites of a shader.
   *
   * @throws {Error} for a built-in function whose accuracy is not known here
   */
  constructor(source: string) {
    this.#code = source.replace(/\/\/.*$/gm, "");
    const unknown = UNKNOWN.exec(this.#code);
    if (unknown) throw new Error(`Say how exact ${unknown[1]} must be`);
    this.#calls = this.#code.startsWith("enable f16")
      ? { ...calls, ...conversions }
      : calls;
    const sites: Site[] = [];
    this.#render(0, this.#code.length, (site) => {
      sites.push(site);
      return false;
    });
    this.sites = sites;
  }

  /** The shader with those sites rewritten. */
  with(sites: ReadonlySet<Site>): string {
    return this.#render(0, this.#code.length, (site) => sites.has(site));
  }

  /** A stretch of the text, rewritten where `chosen` says so. */
  #render(from: number, to: number, chosen: (site: Site) => boolean): string {
    const code = this.#code;
    let text = "";
    for (let at = from; at < to;) {
      const [name] =
        /^(vec4<f16>|[A-Za-z_]\w*)/.exec(code.slice(at, at + 80)) ??
          [""];
      if (name && code[at + name.length] === "(" && name in this.#calls) {
        const open = at + name.length;
        const end = closing(code, open);
        const argument = this.#render(open + 1, end - 1, chosen);
        // A definition has the name of no built-in, an empty call no argument.
        text += chosen(at) && argument.trim() !== ""
          ? this.#calls[name](argument)
          : `${name}(${argument})`;
        at = end;
      } else if (name) {
        text += name;
        at += name.length;
      } else if (code[at] === "/") {
        const assigns = code[at + 1] === "=";
        const start = at + (assigns ? 2 : 1);
        const end = assigns ? code.indexOf(";", at) : factorEnd(code, start);
        const divisor = this.#render(start, end, chosen);
        const sign = assigns ? "=" : "";
        text += chosen(at)
          ? `*${sign} ${quotient(divisor.trim())}`
          : `/${sign}${divisor}`;
        at = end;
      } else {
        text += code[at++];
      }
    }
    return text;
  }
}

/** The place after the bracket that closes the one at `open`. */
function closing(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if ("([".includes(code[at])) depth++;
    if (")]".includes(code[at]) && --depth === 0) return at + 1;
  }
  throw new Error(`Nothing closes the bracket at ${open}`);
}

/** The place after one factor: a sign, a name, number or bracket, what follows it. */
function factorEnd(code: string, from: number): number {
  const [start] = /^\s*-?\s*(?:[A-Za-z_]\w*(?:<\w+>)?|[\d.]+(?:e[-+]?\d+)?\w?)?/
    .exec(code.slice(from, from + 80))!;
  let at = from + start.length;
  for (;;) {
    if (code[at] === "(" || code[at] === "[") at = closing(code, at);
    else if (code[at] === ".") at += /^\.\w+/.exec(code.slice(at))![0].length;
    else return at;
  }
}

/** Compiles every shader of a device with the least accurate arithmetic. */
export class WorstMath {
  readonly #device: GPUDevice;
  readonly #worst = new Map<string, string>();
  readonly #original: GPUDevice["createShaderModule"];
  /** Sites that were rewritten so far. */
  rewritten = 0;

  /** Takes the place of a device's compiler. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#original = device.createShaderModule.bind(device);
    device.createShaderModule = (descriptor) => {
      const code = this.#worst.get(descriptor.code);
      if (code === undefined) {
        throw new Error(`Shader ${descriptor.label} was not prepared`);
      }
      return this.#original({ ...descriptor, code });
    };
  }

  /**
   * Rewrites a shader. What is no float cannot be: each site is tried alone, and
   * left as it is where the shader does not compile with it.
   *
   * @returns how many sites are rewritten
   */
  async prepare(source: string): Promise<number> {
    if (this.#worst.has(source)) return 0;
    const shader = new RewritableShader(source);
    const tries = await Promise.all(
      shader.sites.map((site) => this.#compiles(shader.with(new Set([site])))),
    );
    const floats = new Set(shader.sites.filter((_site, i) => tries[i]));
    this.#worst.set(source, shader.with(floats));
    this.rewritten += floats.size;
    return floats.size;
  }

  async #compiles(code: string): Promise<boolean> {
    this.#device.pushErrorScope("validation");
    this.#original({ code });
    return await this.#device.popErrorScope() === null;
  }
}
