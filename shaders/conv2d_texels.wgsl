// y[b, oy, ox, o] = act(Σ_{ky, kx, i} x[b, iy, ix, i] · w[o, ky, kx, i]
//                       + bias[o] + channel_bias[b, o] + residual[b, oy, ox, o])
//
// Computes what conv2d.wgsl does, with a 1 × 1 window what linear.wgsl does, and the
// matrix products of Winograd convolutions and of attention, for software adapters:
// there a load from a buffer costs one branch per lane and vector component, while
// the 16 bytes of a texel are loaded at once. So x is a texture, packed by
// texels_pack.wgsl, and so is w, in blocks of 16 columns; see
// src/ops/weights/blocks.ts.
// = torch.nn.functional.conv2d on channels-last tensors, or linear.
//
// x (⌈pixels/32⌉, I/4, 32) in f32 texels, of which pixel `outside` is zero; I and
// O are multiples of 8. Accumulates in f32.
//
// Prepended: texels.wgsl, convolution.wgsl, one of columns_*.wgsl, which reads w,
// one of vec8_*.wgsl, and one of sums_*.wgsl, which binds and stores y.
//
// Each invocation keeps 4 pixels × 16 columns in registers: each texel of x is
// used 16 times, each value of w four times.
// Grid: ⌈pixels / 32⌉ · blocks of 16 columns · products workgroups of 8, pixels
// fastest. All products have the same sizes and lie one after the other in x, w and y.

struct Params {
  height: u32,
  width: u32,
  in4: u32, // I / 4
  out_height: u32,
  out_width: u32,
  out8: u32, // O / 8
  kernel_width: u32,
  taps: u32, // positions in the window
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  upsample: u32, // 1 or 2
  full_height: u32, // of the upsampled image
  full_width: u32,
  pixels: u32, // of the output, in this launch
  first_pixel: u32, // index in the batch of the first of them
  first_source: u32, // index in the batch of x's first packed pixel
  groups_m: u32, // ⌈pixels / 32⌉
  blocks: u32, // of 16 columns
  outside: u32, // pixel of x that is zero
  scaled4: u32, // vec4s that share scales; I / 4 without scales
  weight_shift: u32, // log₂ of the width of w's texture
  block_texels: u32, // texels of a block of w, without scales
  scales_start: u32, // first texel of the scales in w
  block_scales: u32, // texels of a block's scales
  start_x: u32, // first texel of x
  start_w: u32, // first texel of w
  start_y: u32, // first vec8 or texel of y
  product_x: u32, // texels of x from one product to the next
  product_w: u32, // texels of w
  product_y: u32, // vec8s or texels of y
  step_y: u32, // vec8s of y from one pixel to the next
  has_bias: u32,
  has_channel_bias: u32,
  has_residual: u32,
  activation: u32,
}

@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var w: texture_storage_2d<rgba32uint, read>;

// One vec4 of each of eight columns.
struct Columns8 {
  c0: vec4<f32>,
  c1: vec4<f32>,
  c2: vec4<f32>,
  c3: vec4<f32>,
  c4: vec4<f32>,
  c5: vec4<f32>,
  c6: vec4<f32>,
  c7: vec4<f32>,
}

// Position of texel t of w in its texture.
fn weight_place(t: u32) -> vec2<u32> {
  return vec2<u32>(t & ((1u << p.weight_shift) - 1u), t >> p.weight_shift);
}

fn load_x(t: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(textureLoad(x, texel_place(t)));
}

// The first texel of the pixel of x at a position of the window.
fn texel(at: Pixel, ky: u32, kx: u32) -> u32 {
  let pixel = source(at, ky, kx);
  return pixel_texel(select(u32(pixel), p.outside, pixel < 0), p.in4);
}

// Products of a column's vec4 with those of four pixels.
fn dots(w: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(dot(w, a), dot(w, b), dot(w, c), dot(w, d));
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let line = divide(number, p.groups_m);
  let product = divide(line, p.blocks);
  let block = line - product * p.blocks;
  // Neighbouring lanes load neighbouring texels of x.
  let first = (number - line * p.groups_m) * 32u + lane;
  let p0 = pixel(first);
  let p1 = pixel(first + 8u);
  let p2 = pixel(first + 16u);
  let p3 = pixel(first + 24u);

  // Sums of each column, for the four pixels.
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

  let weight = p.start_w + product * p.product_w + block * p.block_texels;
  var k4 = 0u;
  var scales_at = p.scales_start + block * p.block_scales;
  for (var tap = 0u; tap < p.taps; tap++) {
    let ky = divide(tap, p.kernel_width);
    let kx = tap - ky * p.kernel_width;
    var at = vec4<u32>(texel(p0, ky, kx), texel(p1, ky, kx), texel(p2, ky, kx), texel(p3, ky, kx)) +
      p.start_x + product * p.product_x;
    for (var scaled = 0u; scaled < p.in4; scaled += p.scaled4) {
      let s = load_scales(scales_at);
      scales_at += 2u;
      for (var i = 0u; i < p.scaled4; i++) {
        let a = load_x(at.x);
        let b = load_x(at.y);
        let c = load_x(at.z);
        let d = load_x(at.w);
        // Eight columns are loaded, then used: with two at a time, lavapipe's
        // compiler spills sums and the kernel takes 1.6 times as long.
        let w0 = columns(weight, k4, 0u, s);
        c0 += dots(w0.c0, a, b, c, d);
        c1 += dots(w0.c1, a, b, c, d);
        c2 += dots(w0.c2, a, b, c, d);
        c3 += dots(w0.c3, a, b, c, d);
        c4 += dots(w0.c4, a, b, c, d);
        c5 += dots(w0.c5, a, b, c, d);
        c6 += dots(w0.c6, a, b, c, d);
        c7 += dots(w0.c7, a, b, c, d);
        let w1 = columns(weight, k4, 1u, s);
        c8 += dots(w1.c0, a, b, c, d);
        c9 += dots(w1.c1, a, b, c, d);
        c10 += dots(w1.c2, a, b, c, d);
        c11 += dots(w1.c3, a, b, c, d);
        c12 += dots(w1.c4, a, b, c, d);
        c13 += dots(w1.c5, a, b, c, d);
        c14 += dots(w1.c6, a, b, c, d);
        c15 += dots(w1.c7, a, b, c, d);
        at += 32u;
        k4++;
      }
    }
  }

  // A loop, as drivers take long to compile this body eight times.
  for (var i = 0u; i < 8u; i++) {
    let r = i / 2u;
    let o = i % 2u;
    var a = vec4<f32>(c0[r], c1[r], c2[r], c3[r]);
    var b = vec4<f32>(c4[r], c5[r], c6[r], c7[r]);
    if o == 1u {
      a = vec4<f32>(c8[r], c9[r], c10[r], c11[r]);
      b = vec4<f32>(c12[r], c13[r], c14[r], c15[r]);
    }
    store(first + 8u * r, block * 2u + o, product, values(a, b));
  }
}
