// y[b, oy, ox, o] = act(Σ_{ky, kx, i} x[b, iy, ix, i] · w[o, ky, kx, i]
//                       + bias[o] + channel_bias[b, o] + residual[b, oy, ox, o])
//
// What conv2d.wgsl computes, and with a window of 1 × 1 what linear.wgsl
// computes, for real GPUs: operands go through workgroup memory.
// = torch.nn.functional.conv2d on channels-last tensors (when upsampled, after
// interpolate(size=…, mode="nearest")), torch.nn.functional.linear.
//
// x (B, H, W, I), w (O, KH, KW, I) row-major, bias (O), channel_bias (B, O), residual
// and y (B, OH, OW, O) in vec8s: I and O are multiples of 8. Accumulates in f32.
// In front of it stand gather.wgsl, convolution.wgsl, one of vec8_*.wgsl and
// one of tiles_*.wgsl, which binds and reads w.
//
// An implicit GEMM: rows are output pixels, columns output channels, the sum
// runs over the window and the channels as one axis of vec8s, of which a slice
// takes two, from whatever places of the window they come.
// A workgroup computes TILE_M pixels × 64 columns, an invocation 4 pixels × 8
// columns of them: 32 sums, and 128 multiply-adds for 12 vec4 out of workgroup
// memory, about what a GPU needs not to wait for that memory; 8 × 8 would save a
// third of the loads and take registers that not every GPU has. The eight columns
// are a vec8 of y, which is one store.
// Grid: ⌈pixels / TILE_M⌉ · ⌈O / 64⌉ workgroups of 2 · TILE_M, pixels fastest, so
// that neighbours read the same columns of w.
//
// Workgroup memory holds f32: a value is unpacked, or dequantised, once and used
// 64 or TILE_M times; kept as f16 it would be unpacked by every invocation that
// reads it, 12 values for 32 multiply-adds. So a slice takes 12.6 KiB at TILE_M 128 and a second
// one has no room in 16; the next slice waits in registers instead, 16 bytes of
// each operand per invocation, fetched before the sums of the current one begin,
// so that they hide its way. 16 channels of f16 are the 32 bytes that a GPU's
// cache fetches at once.
// A row of a tile is what one invocation reads, in the order it reads it, and one
// vec4 more, so that rows start in different banks. Places in a row are known
// when the shader is compiled: only the row is clamped to the tile, once.
//
// Constant put in front: TILE_M, 128, or 64 where there would be few workgroups.

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
  pixels: u32, // of the output in this launch
  first_pixel: u32, // of these, in the whole batch
  first_source: u32, // pixel of the batch that x, as bound here, begins with
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

// vec4 along the sum. Of x: row m holds pixels m, m + LANES_M, … at 4 · k + i. Of
// w: row n holds columns 8 · n … 8 · n + 7 at 8 · k + j. k counts vec4, 0 … 3.
var<workgroup> tile_x: array<array<vec4<f32>, 17>, LANES_M>;
var<workgroup> tile_w: array<array<vec4<f32>, 33>, 8>;

// Sums of an invocation: of four pixels, columns 0 … 3 and 4 … 7.
struct Sums {
  left: mat4x4<f32>,
  right: mat4x4<f32>,
}

// Goes on with the sums by vec4 k of the slice.
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

// Eight columns of one pixel.
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

  // What this invocation fetches: one vec8 a slice of one pixel, the first 128
  // also one of one column. Eight neighbours fetch one vec8 of eight rows, the
  // next eight the vec8 beside it.
  let row = lane % 8u + lane / 16u * 8u;
  let half = lane / 8u % 2u;
  let mine = pixel(first + row);
  let column = min(first8 * 8u + row, p.out8 * 8u - 1u) * p.row8;
  var k8 = half; // of the whole sum
  var i8 = half; // of the channels at (ky, kx)
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
        // Below the window there is nothing: half a slice may be left over.
        at = select(source(mine, ky, kx), -1, ky >= p.kernel_height);
      }
      // What is not there is zero in both, for garbage could be no number.
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

  // A loop, for a driver takes long to compile this body four times.
  for (var i = 0u; i < 4u; i++) {
    store(first + m + i * LANES_M, first8 + n, sums.left[0], sums.right[0]);
    sums.left = mat4x4<f32>(sums.left[1], sums.left[2], sums.left[3], vec4<f32>());
    sums.right = mat4x4<f32>(sums.right[1], sums.right[2], sums.right[3], vec4<f32>());
  }
}
