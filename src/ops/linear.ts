import code from "../../shaders/linear.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type Target,
  type TensorSpec,
  writes,
} from "./op.ts";
import { fitsVec8 } from "./stored_vectors.ts";
import { type Convolution, matrixProduct } from "./convolution.ts";
import { launchTiles } from "./conv2d_tiles.ts";
import {
  launchTexels,
  texelLimits,
  texelPixelBytes,
  texelsOf,
} from "./conv2d_texels.ts";
import { bindRows, cutRows, type Piece } from "./pieces.ts";
import { weightCode } from "./weight_code.ts";

/** Inputs of {@linkcode linear}. */
export type LinearInputs = {
  /** (…, K); the leading axes are rows */
  x: TensorSpec;
  /** (N, K) */
  weight: TensorSpec;
  /** (N) */
  bias?: TensorSpec;
  /** (…, N), added before the activation */
  residual?: TensorSpec;
};

/** Attributes of {@linkcode linear}. */
export interface LinearAttributes {
  /** Applied last. */
  activation?: Activation;
}

const TILE = 4;
const GROUP = 32;
/** Fewest rows that a variant is timed with. */
const LEAST_ROWS = 256;

/** `torch.nn.functional.linear` with residual and activation; K % 4 = 0, of quantised weights K % 32 = 0. */
export const linear: Op<LinearInputs, LinearAttributes> = {
  name: "linear",
  dtypes: { weight: "weight" },

  output(inputs) {
    const { x, weight, bias, residual } = inputs;
    const k = x.shape.at(-1);
    const shape = [...x.shape.slice(0, -1), weight.shape[0]];
    expectShape(
      weight.shape.length === 2 && weight.shape[1] === k && k % 4 === 0 &&
        (!bias || sameShape(bias.shape, [weight.shape[0]])) &&
        (!residual || sameShape(residual.shape, shape)),
      "linear",
      "x (…, K), weight (N, K), bias (N), residual (…, N), K a multiple of 4",
      inputs,
    );
    return { shape, dtype: x.dtype };
  },

  variants({ weight }) {
    return fitsVec8(weight) ? ["registers", "tiles", "texels"] : ["registers"];
  },

  excerpt({ x, weight, bias }, _attributes, share) {
    const [n, k] = weight.shape;
    const all = elementCount(x.shape) / k;
    const rows = Math.min(all, Math.max(LEAST_ROWS, Math.ceil(all * share)));
    return {
      x: { shape: [rows, k], dtype: x.dtype },
      weight: { shape: [n, k], dtype: weight.dtype },
      bias,
    };
  },

  weightLayout(variant) {
    return variant === "texels" ? "blocks" : "rows";
  },

  texels({ x, weight }, _output, _attributes, target) {
    if (target.variant !== "texels") return [];
    const pieces = cutLinear(x, weight, target);
    const longest = Math.max(...pieces.map((piece) => piece.rows));
    return [texelsOf(weight.shape[1], longest)];
  },

  launch({ x, weight, bias, residual }, _output, { activation }, target) {
    const [n, k] = weight.shape;
    const size = elementBytes(x.dtype);
    const rowBytes = { x: k * size, residual: n * size, output: n * size };
    const all = elementCount(x.shape) / k;
    const pieces = cutLinear(x, weight, target);
    if (target.variant === "tiles" || target.variant === "texels") {
      const convolution: Convolution = {
        ...matrixProduct(all, weight, x.dtype),
        has: {
          bias: bias !== undefined,
          shift: false,
          residual: residual !== undefined,
        },
        activation: activationNumber(activation),
      };
      if (target.variant === "tiles") {
        return pieces.map((piece) =>
          launchTiles(convolution, piece, piece, target)
        );
      }
      return pieces.flatMap((piece) =>
        launchTexels(convolution, piece, piece, target)
      );
    }
    return pieces.map((piece) => {
      const tilesM = Math.ceil(piece.rows / TILE);
      const tiles = tilesM * Math.ceil(n / TILE);
      const uses = [
        ...reads("x", "weight", "bias", "residual"),
        ...writes("output"),
      ];
      return {
        shader: `linear ${weight.dtype}`,
        code: weightCode(weight.dtype) + code,
        bind: bindRows(uses, piece, rowBytes),
        params: [
          piece.rows,
          n,
          k / 4,
          n * k / 4,
          tilesM,
          tiles,
          Number(bias !== undefined),
          Number(residual !== undefined),
          activationNumber(activation),
        ],
        workgroups: Math.ceil(tiles / GROUP),
      };
    });
  },

  flops({ x, weight }) {
    return 2 * elementCount(x.shape) * weight.shape[0];
  },
};

/** Cuts the rows of x so that what a launch binds of them fits. */
function cutLinear(
  x: TensorSpec,
  weight: TensorSpec,
  { variant, limits }: Target,
): Piece[] {
  const [n, k] = weight.shape;
  const size = elementBytes(x.dtype);
  const rows = elementCount(x.shape) / k;
  if (variant !== "texels") return cutRows(rows, Math.max(n, k) * size, limits);
  const bytes = Math.max(n * size, texelPixelBytes(k));
  return cutRows(rows, bytes, texelLimits(limits));
}
