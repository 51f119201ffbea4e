/**
 * The table of BiSeNet, the face parser: batch norms are folded into the
 * convolutions before them.
 *
 * @module
 */
import type { CheckpointConfig } from "./config.ts";
import type { SourceTensor, Table, TableRow } from "./table.ts";

/** `torch.nn.BatchNorm2d`'s own. */
const EPS = 1e-5;

/** What the reference writes into its code. */
export const STANDARD_FACE_PARSER_CONFIG = {
  n_classes: 19,
  width: 64,
  input_size: 512,
} as const;

/**
 * The table of a face parser.
 *
 * @param config `face_parser_config.json`, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function faceParserTable(config: CheckpointConfig): Table {
  const rows: TableRow[] = [];
  const conv = (path: string, norm: string, shape: number[]) =>
    rows.push(...folded(path, norm, shape));
  const width = config.size("width");
  const half = 2 * width;

  const trunk = "cp.resnet";
  conv(`${trunk}.conv1`, `${trunk}.bn1`, [width, 3, 7, 7]);
  for (let level = 1; level <= 4; level++) {
    const out = width * 2 ** (level - 1);
    for (const i of [0, 1]) {
      const shrinks = level > 1 && i === 0;
      const inner = shrinks ? out / 2 : out;
      const path = `${trunk}.layer${level}.${i}`;
      conv(`${path}.conv1`, `${path}.bn1`, [out, inner, 3, 3]);
      conv(`${path}.conv2`, `${path}.bn2`, [out, out, 3, 3]);
      const shortcut = `${path}.downsample`;
      if (shrinks) conv(`${shortcut}.0`, `${shortcut}.1`, [out, inner, 1, 1]);
    }
  }
  for (const [path, inner] of [["cp.arm16", 4], ["cp.arm32", 8]] as const) {
    conv(`${path}.conv.conv`, `${path}.conv.bn`, [half, inner * width, 3, 3]);
    conv(`${path}.conv_atten`, `${path}.bn_atten`, [half, half, 1, 1]);
  }
  const block = (path: string, shape: number[]) =>
    conv(`${path}.conv`, `${path}.bn`, shape);
  block("cp.conv_head32", [half, half, 3, 3]);
  block("cp.conv_head16", [half, half, 3, 3]);
  block("cp.conv_avg", [half, 8 * width, 1, 1]);
  block("ffm.convblk", [4 * width, 4 * width, 1, 1]);
  rows.push(plain("ffm.conv1.weight", [width, 4 * width, 1, 1]));
  rows.push(plain("ffm.conv2.weight", [4 * width, width, 1, 1]));
  block("conv_out.conv", [4 * width, 4 * width, 3, 3]);
  const classes = config.size("n_classes");
  rows.push(plain("conv_out.conv_out.weight", [classes, 4 * width, 1, 1]));
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

function plain(name: string, shape: readonly number[]): TableRow {
  return { name, shape, from: [{ names: [name], shape }] };
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
  const part = (name: string): SourceTensor => ({
    names: [`${norm}.${name}`],
    shape: channels,
  });
  const weight = { names: [`${path}.weight`], shape };
  const variance = part("running_var");
  return [
    {
      name: `${path}.weight`,
      shape,
      from: [weight, part("weight"), variance],
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
      from: [part("weight"), part("bias"), part("running_mean"), variance],
      make: ([gain, bias, mean, variance]) =>
        bias.map((b, i) => b - mean[i] * scale(gain[i], variance[i])),
      exact: true,
    },
  ];
}

function scale(gain: number, variance: number): number {
  return gain / Math.sqrt(variance + EPS);
}
