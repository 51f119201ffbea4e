// y[b, oy, ox, o] = act(Σ_{ky, kx, i} x[b, iy, ix, i] · w[o, ky, kx, i]
//                       + bias[o] + channel_bias[b, o] + residual[b, oy, ox, o])
//
// Computes what conv2d.wgsl does, and with a 1 × 1 window what linear.wgsl does, for
// hardware GPUs: operands go through workgroup memory.
// = torch.nn.functional.conv2d on channels-last tensors (with upsample, after
// interpolate(size=…, mode="nearest")), or torch.nn.functional.linear.
//
// x (B, H, W, I), w (O, KH, KW, I) row-major, bias (O), channel_bias (B, O), residual
// and y (B, OH, OW, O) in vec8s: I and O are multiples of 8. Accumulates in f32.
// Prepended: gather.wgsl, convolution.wgsl, one of vec8_*.wgsl and one of
// tiles_*.wgsl, which binds and reads w.
//
// An implicit GEMM: rows are output pixels, columns output channels; the sum runs
// over the window and the channels as one axis of vec8s. A slice of it is two vec8s,
// which may belong to different positions of the window.
// A workgroup computes TILE_M pixels × 64 columns, an invocation 4 pixels × 8
// columns: 32 sums, and 128 multiply-adds per 12 vec4s read from workgroup memory,
// about enough not to wait for it. 8 × 8 would save a third of the loads but take
// more registers than every GPU has. Eight columns are a vec8 of y, which is one
// store.
// Grid: ⌈pixels / TILE_M⌉ · ⌈O / 64⌉ workgroups of 2 · TILE_M, pixels fastest, so
// that neighbours read the same columns of w.
//
// Workgroup memory holds f32: a value is unpacked, or dequantised, once and used
// 64 or TILE_M times; as f16, every invocation that reads it would unpack it, 12
// values per 32 multiply-adds. A slice takes 12.6 KiB at TILE_M 128, so a second one
// does not fit in 16 KiB; instead, the next slice waits in registers, 16 bytes of
// each operand per invocation. It is fetched before the current slice is multiplied,
// which hides the latency. 16 channels of f16 are the 32 bytes that a GPU's cache
// fetches at once.
// A row of a tile is what one invocation reads, in its order, plus one vec4, so that
// rows start in different banks. Positions in a row are constants, so that only the
// row index is clamped, once.
//
// Prepended constant: TILE_M, 128, or 64 if that would leave too few workgroups.

struct Params {
  height: u32,
  width: u32,
  in8: u32, // I / 8
  out_height: u32,
  out_width: u32,
  out8: u32, // O / 8
  kernel_height: u32,
  kernel_width: u32,
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  upsample: u32, // 1 or 2
  full_height: u32, // of the upsampled image
  full_width: u32,
  row8: u32, // KH · KW · I / 8
  weight8: u32, // O · KH · KW · I / 8
  slices: u32, // ⌈KH · KW · I / 16⌉
  pixels: u32, // of the output, in this launch
  first_pixel: u32, // index in the batch of the first of them
  first_source: u32, // index in the batch of x's first bound pixel
  groups_m: u32, // ⌈pixels / TILE_M⌉
  has_bias: u32,
  has_channel_bias: u32,
  has_residual: u32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed8>;
@group(0) @binding(2) var<storage, read> bias: array<packed8>;
@group(0) @binding(3) var<storage, read> channel_bias: array<packed8>;
@group(0) @binding(4) var<storage, read> residual: array<packed8>;
@group(0) @binding(5) var<storage, read_write> y: array<packed8>;
@group(0) @binding(6) var<uniform> p: Params;

const LANES_M = TILE_M / 4u; // invocations along the pixels

// vec4s along the sum; k = 0 … 3 counts those of a slice. tile_x: row m holds pixel
// m + i · LANES_M at 4 · k + i. tile_w: row n holds column 8 · n + j at 8 · k + j.
var<workgroup> tile_x: array<array<vec4<f32>, 17>, LANES_M>;
var<workgroup> tile_w: array<array<vec4<f32>, 33>, 8>;

// Sums of an invocation: four pixels × columns 0 … 3 and 4 … 7.
struct Sums {
  left: mat4x4<f32>,
  right: mat4x4<f32>,
}

// Adds to the sums the products of vec4 k of the slice.
fn step(sums: Sums, m: u32, n: u32, k: u32) -> Sums {
  let a = tile_x[m][4u * k];
  let b = tile_x[m][4u * k + 1u];
  let c = tile_x[m][4u * k + 2u];
  let d = tile_x[m][4u * k + 3u];
  let left = transpose(mat4x4<f32>(
    tile_w[n][8u * k],
    tile_w[n][8u * k + 1u],
    tile_w[n][8u * k + 2u],
    tile_w[n][8u * k + 3u],
  ));
  let right = transpose(mat4x4<f32>(
    tile_w[n][8u * k + 4u],
    tile_w[n][8u * k + 5u],
    tile_w[n][8u * k + 6u],
    tile_w[n][8u * k + 7u],
  ));
  return Sums(
    gather(sums.left, a, b, c, d, left),
    gather(sums.right, a, b, c, d, right),
  );
}

// Stores eight columns of one pixel.
fn store(index: u32, o8: u32, a: vec4<f32>, b: vec4<f32>) {
  if index >= p.pixels || o8 >= p.out8 { return; }
  var v = values(a, b);
  if p.has_bias != 0u { v += unpack(bias[o8]); }
  if p.has_channel_bias != 0u {
    let image = (p.first_pixel + index) / (p.out_width * p.out_height);
    v += unpack(channel_bias[image * p.out8 + o8]);
  }
  let at = index * p.out8 + o8;
  if p.has_residual != 0u { v += unpack(residual[at]); }
  y[at] = pack(values(activate4(p.activation, v[0]), activate4(p.activation, v[1])));
}

@compute @workgroup_size(TILE_M * 2u)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let first = number % p.groups_m * TILE_M;
  let first8 = number / p.groups_m * 8u;
  // Eight neighbours compute the 64 columns of the same four pixels.
  let m = lane / 8u;
  let n = lane % 8u;

  // For each slice, an invocation fetches one vec8 of one pixel, and the first 128
  // also one of one column. Eight neighbours fetch the first vec8 of eight rows, the
  // next eight the second.
  let row = lane % 8u + lane / 16u * 8u;
  let half = lane / 8u % 2u;
  let mine = pixel(first + row);
  let column = min(first8 * 8u + row, p.out8 * 8u - 1u) * p.row8;
  var k8 = half; // vec8 of the whole sum
  var i8 = half; // vec8 of the channels at (ky, kx)
  var ky = 0u;
  var kx = 0u;
  var at = source(mine, 0u, 0u);

  var sums = Sums();
  for (var slice = 0u; slice <= p.slices; slice++) {
    var next_x = packed8();
    var next_w = fetched();
    if slice < p.slices {
      while i8 >= p.in8 {
        i8 -= p.in8;
        kx += 1u;
        if kx == p.kernel_width {
          kx = 0u;
          ky += 1u;
        }
        // The last slice may end half a slice past the window.
        at = select(source(mine, ky, kx), -1, ky >= p.kernel_height);
      }
      // Both operands are zero outside: zero times garbage could be NaN.
      if at >= 0 { next_x = x[u32(at) * p.in8 + i8]; }
      if lane < 128u && k8 < p.row8 { next_w = fetch(column + k8); }
      i8 += 2u;
      k8 += 2u;
    }

    if slice > 0u {
      sums = step(sums, m, n, 0u);
      sums = step(sums, m, n, 1u);
      sums = step(sums, m, n, 2u);
      sums = step(sums, m, n, 3u);
    }

    workgroupBarrier();
    if slice < p.slices {
      let a = unpack(next_x);
      tile_x[row % LANES_M][8u * half + row / LANES_M] = a[0];
      tile_x[row % LANES_M][8u * half + row / LANES_M + 4u] = a[1];
      if lane < 128u {
        let b = expand(next_w);
        tile_w[row / 8u][16u * half + row % 8u] = b[0];
        tile_w[row / 8u][16u * half + row % 8u + 8u] = b[1];
      }
    }
    workgroupBarrier();
  }

  // A loop, as drivers take long to compile this body four times.
  for (var i = 0u; i < 4u; i++) {
    store(first + m + i * LANES_M, first8 + n, sums.left[0], sums.right[0]);
    sums.left = mat4x4<f32>(sums.left[1], sums.left[2], sums.left[3], vec4<f32>());
    sums.right = mat4x4<f32>(sums.right[1], sums.right[2], sums.right[3], vec4<f32>());
  }
}
