// y[b, oy, ox, o] = act(Σ_{ky, kx, i} x[b, iy, ix, i] · w[o, ky, kx, i]
//                       + bias[o] + shift[b, o] + residual[b, oy, ox, o])
//
// What conv2d.wgsl computes, and with a window of 1 × 1 what linear.wgsl
// computes, for adapters that are processors: there a load from a uniform
// buffer costs a third of one from a storage buffer, whose every lane is a
// branch. A uniform binding sees 64 KiB, so a launch computes as many columns
// as fit, or a part of the sum of 16 of them.
//
// x (B, H, W, I), bias (O), shift (B, O), residual and y (B, OH, OW, O) in
// octets: I and O are multiples of 8. w in blocks of 16 columns, see
// src/ops/blocks.ts. partial (tiles, 16) holds sums that another launch goes on
// with. Accumulates in f32.
//
// In front of it stand convolution.wgsl, one of octets_*.wgsl and one of
// windows_*.wgsl, which binds and reads w.
//
// Each invocation keeps 4 pixels × 16 columns in registers: each octet of x is
// used 16 times, each octet of w four times.
// Grid: ⌈pixels / 32⌉ · blocks of 16 columns, workgroups of 8, pixels fastest.

struct Params {
  height: u32,
  width: u32,
  in8: u32, // I / 8
  out_height: u32,
  out_width: u32,
  out8: u32, // O / 8
  kernel_width: u32,
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  enlarge: u32, // 1 or 2
  full_height: u32, // of the enlarged picture
  full_width: u32,
  pixels: u32, // of the output in this launch
  first_pixel: u32, // of these, in the whole batch
  first_source: u32, // pixel of the batch that x, as bound here, begins with
  groups_m: u32, // ⌈pixels / 32⌉
  first_block: u32, // of 16 columns, of those bound
  first_tap: u32, // place in the window the sum begins with
  end_tap: u32,
  first_octet: u32, // of the channels
  end_octet: u32,
  rows: u32, // octets of the sum, in all that is bound of a block
  skip: u32, // elements of w before the first block
  skip_scales: u32,
  resume: u32, // whether partial holds sums to go on with
  finish: u32, // whether y is written, and not partial
  has_bias: u32,
  has_shift: u32,
  has_residual: u32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<octet>;
@group(0) @binding(3) var<storage, read> bias: array<octet>;
@group(0) @binding(4) var<storage, read> shift: array<octet>;
@group(0) @binding(5) var<storage, read> residual: array<octet>;
@group(0) @binding(6) var<storage, read_write> partial: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> y: array<octet>;
@group(0) @binding(8) var<uniform> p: Params;

fn dot8(a: values, b: values) -> f32 {
  return dot(a[0], b[0]) + dot(a[1], b[1]);
}

// One column's octet with those of four pixels.
fn dots(w: values, a: values, b: values, c: values, d: values) -> vec4<f32> {
  return vec4<f32>(dot8(w, a), dot8(w, b), dot8(w, c), dot8(w, d));
}

// Eight columns of one pixel.
fn store(index: u32, octet8: u32, a: vec4<f32>, b: vec4<f32>) {
  if index >= p.pixels || octet8 >= p.out8 { return; }
  var v = values(a, b);
  if p.has_bias != 0u { v += unpack(bias[octet8]); }
  if p.has_shift != 0u {
    let picture = (p.first_pixel + index) / (p.out_width * p.out_height);
    v += unpack(shift[picture * p.out8 + octet8]);
  }
  let at = index * p.out8 + octet8;
  if p.has_residual != 0u { v += unpack(residual[at]); }
  y[at] = pack(values(activate4(p.activation, v[0]), activate4(p.activation, v[1])));
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let tile = number % p.groups_m * 8u + lane;
  let block = number / p.groups_m;
  let first = tile * 4u;

  let p0 = pixel(first);
  let p1 = pixel(first + 1u);
  let p2 = pixel(first + 2u);
  let p3 = pixel(first + 3u);

  // Sums of a column, over the four pixels.
  var c0 = vec4<f32>();
  var c1 = vec4<f32>();
  var c2 = vec4<f32>();
  var c3 = vec4<f32>();
  var c4 = vec4<f32>();
  var c5 = vec4<f32>();
  var c6 = vec4<f32>();
  var c7 = vec4<f32>();
  var c8 = vec4<f32>();
  var c9 = vec4<f32>();
  var c10 = vec4<f32>();
  var c11 = vec4<f32>();
  var c12 = vec4<f32>();
  var c13 = vec4<f32>();
  var c14 = vec4<f32>();
  var c15 = vec4<f32>();
  let kept = tile * 16u;
  if p.resume != 0u {
    c0 = partial[kept];
    c1 = partial[kept + 1u];
    c2 = partial[kept + 2u];
    c3 = partial[kept + 3u];
    c4 = partial[kept + 4u];
    c5 = partial[kept + 5u];
    c6 = partial[kept + 6u];
    c7 = partial[kept + 7u];
    c8 = partial[kept + 8u];
    c9 = partial[kept + 9u];
    c10 = partial[kept + 10u];
    c11 = partial[kept + 11u];
    c12 = partial[kept + 12u];
    c13 = partial[kept + 13u];
    c14 = partial[kept + 14u];
    c15 = partial[kept + 15u];
  }

  var row = block * p.rows;
  for (var tap = p.first_tap; tap < p.end_tap; tap++) {
    let ky = tap / p.kernel_width;
    let kx = tap % p.kernel_width;
    let s0 = source(p0, ky, kx);
    let s1 = source(p1, ky, kx);
    let s2 = source(p2, ky, kx);
    let s3 = source(p3, ky, kx);
    let x0 = u32(max(s0, 0)) * p.in8;
    let x1 = u32(max(s1, 0)) * p.in8;
    let x2 = u32(max(s2, 0)) * p.in8;
    let x3 = u32(max(s3, 0)) * p.in8;
    // 1 inside the picture, 0 outside.
    let in0 = f32(s0 >= 0);
    let in1 = f32(s1 >= 0);
    let in2 = f32(s2 >= 0);
    let in3 = f32(s3 >= 0);
    for (var i = p.first_octet; i < p.end_octet; i++) {
      let a = in0 * unpack(x[x0 + i]);
      let b = in1 * unpack(x[x1 + i]);
      let c = in2 * unpack(x[x2 + i]);
      let d = in3 * unpack(x[x3 + i]);
      let at = p.skip + row * ROW;
      c0 += dots(column(at, 0u, row), a, b, c, d);
      c1 += dots(column(at, 1u, row), a, b, c, d);
      c2 += dots(column(at, 2u, row), a, b, c, d);
      c3 += dots(column(at, 3u, row), a, b, c, d);
      c4 += dots(column(at, 4u, row), a, b, c, d);
      c5 += dots(column(at, 5u, row), a, b, c, d);
      c6 += dots(column(at, 6u, row), a, b, c, d);
      c7 += dots(column(at, 7u, row), a, b, c, d);
      c8 += dots(column(at, 8u, row), a, b, c, d);
      c9 += dots(column(at, 9u, row), a, b, c, d);
      c10 += dots(column(at, 10u, row), a, b, c, d);
      c11 += dots(column(at, 11u, row), a, b, c, d);
      c12 += dots(column(at, 12u, row), a, b, c, d);
      c13 += dots(column(at, 13u, row), a, b, c, d);
      c14 += dots(column(at, 14u, row), a, b, c, d);
      c15 += dots(column(at, 15u, row), a, b, c, d);
      row++;
    }
  }

  if p.finish == 0u {
    partial[kept] = c0;
    partial[kept + 1u] = c1;
    partial[kept + 2u] = c2;
    partial[kept + 3u] = c3;
    partial[kept + 4u] = c4;
    partial[kept + 5u] = c5;
    partial[kept + 6u] = c6;
    partial[kept + 7u] = c7;
    partial[kept + 8u] = c8;
    partial[kept + 9u] = c9;
    partial[kept + 10u] = c10;
    partial[kept + 11u] = c11;
    partial[kept + 12u] = c12;
    partial[kept + 13u] = c13;
    partial[kept + 14u] = c14;
    partial[kept + 15u] = c15;
    return;
  }
  // A loop, for a driver takes long to compile this body eight times.
  let octet8 = (p.first_block + block) * 2u;
  for (var i = 0u; i < 8u; i++) {
    let r = i / 2u;
    let left = i % 2u == 0u;
    let a = vec4<f32>(c0[r], c1[r], c2[r], c3[r]);
    let b = vec4<f32>(c4[r], c5[r], c6[r], c7[r]);
    let c = vec4<f32>(c8[r], c9[r], c10[r], c11[r]);
    let d = vec4<f32>(c12[r], c13[r], c14[r], c15[r]);
    store(first + r, octet8 + i % 2u, select(c, a, left), select(d, b, left));
  }
}
