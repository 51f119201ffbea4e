// v[ξ, t, i] = (Bᵀ d B)[ξ],  d the 4 × 4 pixels of tile t, channel i
//
// First of three shaders of Winograd's F(2 × 2, 3 × 3): a 3 × 3 convolution with
// padding 1 and stride 1 as 16 matrix products, one for each ξ = 4 row + column, with
// 16 multiplications instead of 36. A tile is 2 × 2 pixels of the output and the
// 4 × 4 pixels of x around them; pixels outside the image are zero. With upsample 2,
// x is first upsampled to twice its size, or one row or column less, by repeating its
// pixels.
//
//        1  0 −1  0
// Bᵀ  =  0  1  1  0     (Lavin and Gray, 2016)
//        0 −1  1  0
//        0  1  0 −1
//
// x (B, H, W, I) in vec4s; v (16, room/32, I/4, 32) in f32 texels, as
// conv2d_texels.wgsl reads them, for a chunk of the tiles. Computes in f32.
// The three = torch.nn.functional.conv2d.
// Prepended: texels.wgsl and one of vec4_*.wgsl.
// Grid: ⌈tiles / 8⌉ · ⌈I/4 / 8⌉ workgroups of 8 tiles × 8 vec4s, tiles fastest.

struct Params {
  height: u32,
  width: u32,
  in4: u32, // I / 4
  upsample: u32, // 1 or 2
  full_height: u32, // of the upsampled image, which is the output's
  full_width: u32,
  tiles_y: u32, // of an image
  tiles_x: u32,
  first_tile: u32, // index in the batch of the launch's first tile
  tiles: u32, // of this launch
  room: u32, // tiles from one ξ to the next
  groups_t: u32, // ⌈tiles / 8⌉
  first_source: u32, // index in the batch of x's first bound pixel
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var v: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<uniform> p: Params;

// A pixel of image b, zero outside the image.
fn pixel(b: u32, y: i32, x_: i32, c: u32) -> vec4<f32> {
  if y < 0 || x_ < 0 || y >= i32(p.full_height) || x_ >= i32(p.full_width) {
    return vec4<f32>();
  }
  // Divides by 1 or 2 with a shift, as a CPU divides integers lane by lane.
  let row = b * p.height + (u32(y) >> (p.upsample - 1u));
  let at = row * p.width + (u32(x_) >> (p.upsample - 1u)) - p.first_source;
  return unpack4(x[at * p.in4 + c]);
}

// Bᵀ times one column of d.
fn column(b: u32, top: i32, left: i32, c: u32) -> array<vec4<f32>, 4> {
  let d0 = pixel(b, top, left, c);
  let d1 = pixel(b, top + 1, left, c);
  let d2 = pixel(b, top + 2, left, c);
  let d3 = pixel(b, top + 3, left, c);
  return array<vec4<f32>, 4>(d0 - d2, d1 + d2, d2 - d1, d1 - d3);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let line = divide(number, p.groups_t);
  let t = (number - line * p.groups_t) * 8u + lane % 8u;
  let c = line * 8u + lane / 8u;
  if t >= p.tiles || c >= p.in4 { return; }
  let tile = p.first_tile + t;
  let row = divide(tile, p.tiles_x);
  let b = divide(row, p.tiles_y);
  let top = i32((row - b * p.tiles_y) * 2u) - 1;
  let left = i32((tile - row * p.tiles_x) * 2u) - 1;
  let a0 = column(b, top, left, c);
  let a1 = column(b, top, left + 1, c);
  let a2 = column(b, top, left + 2, c);
  let a3 = column(b, top, left + 3, c);
  store(0u, t, c, a0[0], a1[0], a2[0], a3[0]);
  store(1u, t, c, a0[1], a1[1], a2[1], a3[1]);
  store(2u, t, c, a0[2], a1[2], a2[2], a3[2]);
  store(3u, t, c, a0[3], a1[3], a2[3], a3[3]);
}

// Stores one row of Bᵀ d, times B.
fn store(
  row: u32,
  t: u32,
  c: u32,
  a0: vec4<f32>,
  a1: vec4<f32>,
  a2: vec4<f32>,
  a3: vec4<f32>,
) {
  let step = p.in4 * p.room;
  let at = 4u * row * step + pixel_texel(t, p.in4) + 32u * c;
  store_texel(at, a0 - a2);
  store_texel(at + step, a1 + a2);
  store_texel(at + 2u * step, a2 - a1);
  store_texel(at + 3u * step, a1 - a3);
}

fn store_texel(at: u32, value: vec4<f32>) {
  textureStore(v, texel_place(at), bitcast<vec4<u32>>(value));
}
