/**
 * The table of BiSeNet, the face parser: batch norms are folded into the
 * convolutions before them.
 *
 * @module
 */
import { bisenet } from "../../models/bisenet.ts";
import { requestedWeights } from "./requested_weights.ts";
import type { CheckpointConfig } from "./config.ts";
import {
  plainRow,
  type SourceTensor,
  type Table,
  type TableRow,
} from "./table.ts";

/** `torch.nn.BatchNorm2d`'s own. */
const EPS = 1e-5;

/** What the reference implementation hard-codes. */
export const STANDARD_FACE_PARSER_CONFIG = {
  n_classes: 19,
  width: 64,
  input_size: 512,
} as const;

/** Modules of BiSeNet, in the file's order. */
const ORDER = [
  "cp",
  "resnet",
  "arm16",
  "arm32",
  "conv_head32",
  "conv_head16",
  "conv_avg",
  "ffm",
  "convblk",
  "conv",
  "conv_atten",
  "conv1",
  "conv2",
  "downsample",
  "layer1",
  "layer2",
  "layer3",
  "layer4",
  "conv_out",
  "weight",
  "bias",
];
/** Side of the image that the graph is built for; no weight depends on it. */
const SIDE = 32;

/**
 * The table of a face parser.
 *
 * @param config `face_parser_config.json`, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function faceParserTable(config: CheckpointConfig): Table {
  const sizes = {
    width: config.size("width"),
    classes: config.size("n_classes"),
    inputSize: SIDE,
  };
  const weights = requestedWeights({
    component: "face_parser",
    config,
    order: ORDER,
    overImages: ["cp.resnet.conv1"],
    build: (g, w) => {
      bisenet(g.input("image", [1, SIDE, SIDE, 4], "f32"), w, sizes);
    },
  });
  const names = new Set(weights.map(({ name }) => name));
  const rows = weights.flatMap((weight): TableRow[] => {
    const [, path, kind] = /^(.*)\.(weight|bias)$/.exec(weight.name)!;
    // In PyTorch only the batch norms have a bias, which these convolutions get.
    if (!names.has(`${path}.bias`)) return [plainRow(weight)];
    return kind === "weight" ? folded(path, normOf(path), weight.shape) : [];
  });
  return {
    component: "face_parser",
    rows,
    dropped: [
      {
        names: /^conv_out(16|32)\./,
        reason: "a head that only training uses",
      },
      { names: /\.num_batches_tracked$/, reason: "a count of training steps" },
    ],
  };
}

/** The batch norm after a convolution, by the convolution's path. */
function normOf(path: string): string {
  return path.endsWith("downsample.0")
    ? path.replace(/0$/, "1")
    : path.replace(/conv([^.]*)$/, "bn$1");
}

/**
 * A convolution without bias and the batch norm after it as one convolution:
 * weight · g / sqrt(var + eps), and bias b − mean · g / sqrt(var + eps).
 */
function folded(
  path: string,
  norm: string,
  shape: readonly number[],
): TableRow[] {
  const channels = [shape[0]];
  const ofNorm = (name: string): SourceTensor => ({
    names: [`${norm}.${name}`],
    shape: channels,
  });
  const weight = { names: [`${path}.weight`], shape };
  const variance = ofNorm("running_var");
  return [
    {
      name: `${path}.weight`,
      shape,
      from: [weight, ofNorm("weight"), variance],
      make: ([weight, gain, variance]) => {
        const size = weight.length / gain.length;
        return weight.map((value, i) => {
          const channel = Math.floor(i / size);
          return value * scale(gain[channel], variance[channel]);
        });
      },
      exact: true,
    },
    {
      name: `${path}.bias`,
      shape: channels,
      from: [
        ofNorm("weight"),
        ofNorm("bias"),
        ofNorm("running_mean"),
        variance,
      ],
      make: ([gain, bias, mean, variance]) =>
        bias.map((b, i) => b - mean[i] * scale(gain[i], variance[i])),
      exact: true,
    },
  ];
}

function scale(gain: number, variance: number): number {
  return gain / Math.sqrt(variance + EPS);
}
