// y[b, oy, ox, o] = act((Aᵀ m A)[oy % 2, ox % 2]
//                       + bias[o] + channel_bias[b, o] + residual[b, oy, ox, o])
//
// Last of three shaders of Winograd's F(2 × 2, 3 × 3), see winograd_input.wgsl; m are
// the 16 products of tile (oy / 2, ox / 2), channel o.
//
// Aᵀ  =  1  1  1  0
//        0  1 −1 −1
//
// m (16, room, O), bias (O), channel_bias (B, O), residual and y (B, OH, OW, O), all in
// vec4s. Accumulates in f32.
// Prepended: one of vec4_*.wgsl.
// Grid: one invocation per tile and vec4 of channels, in groups of 64, channels fastest.

struct Params {
  out_height: u32,
  out_width: u32,
  out4: u32, // O / 4
  tiles_y: u32, // of an image
  tiles_x: u32,
  first_tile: u32, // index in the batch of the launch's first tile
  room: u32, // tiles from one ξ to the next
  first_pixel: u32, // index in the batch of y's and residual's first bound pixel
  total: u32,
  has_bias: u32,
  has_channel_bias: u32,
  has_residual: u32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> m: array<packed4>;
@group(0) @binding(1) var<storage, read> bias: array<packed4>;
@group(0) @binding(2) var<storage, read> channel_bias: array<packed4>;
@group(0) @binding(3) var<storage, read> residual: array<packed4>;
@group(0) @binding(4) var<storage, read_write> y: array<packed4>;
@group(0) @binding(5) var<uniform> p: Params;

// Aᵀ times column j of m.
fn column(j: u32, at: u32, step: u32) -> array<vec4<f32>, 2> {
  let m0 = unpack4(m[at + j * step]);
  let m1 = unpack4(m[at + (4u + j) * step]);
  let m2 = unpack4(m[at + (8u + j) * step]);
  let m3 = unpack4(m[at + (12u + j) * step]);
  return array<vec4<f32>, 2>(m0 + m1 + m2, m1 - m2 - m3);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let t = divide(index, p.out4);
  let c = index - t * p.out4;
  let tile = p.first_tile + t;
  let row = divide(tile, p.tiles_x);
  let b = divide(row, p.tiles_y);
  let oy = (row - b * p.tiles_y) * 2u;
  let ox = (tile - row * p.tiles_x) * 2u;

  let step = p.room * p.out4;
  let at = t * p.out4 + c;
  let a0 = column(0u, at, step);
  let a1 = column(1u, at, step);
  let a2 = column(2u, at, step);
  let a3 = column(3u, at, step);
  var added = vec4<f32>();
  if p.has_bias != 0u { added += unpack4(bias[c]); }
  if p.has_channel_bias != 0u { added += unpack4(channel_bias[b * p.out4 + c]); }
  // A loop, as drivers take long to compile this body four times.
  for (var i = 0u; i < 4u; i++) {
    let lower = i / 2u;
    let s0 = select(a0[0], a0[1], lower == 1u);
    let s1 = select(a1[0], a1[1], lower == 1u);
    let s2 = select(a2[0], a2[1], lower == 1u);
    let s3 = select(a3[0], a3[1], lower == 1u);
    let sum = select(s0 + s1 + s2, s1 - s2 - s3, i % 2u == 1u);
    store(b, oy + lower, ox + i % 2u, c, sum + added);
  }
}

fn store(b: u32, oy: u32, ox: u32, c: u32, sum: vec4<f32>) {
  if oy >= p.out_height || ox >= p.out_width { return; }
  let pixel = (b * p.out_height + oy) * p.out_width + ox - p.first_pixel;
  let at = pixel * p.out4 + c;
  var value = sum;
  if p.has_residual != 0u { value += unpack4(residual[at]); }
  y[at] = pack4(activate4(p.activation, value));
}
