// dw[o, ky, kx, i] = Σ dy[b, oy, ox, o] · x[b, oy·s + ky − top, ox·s + kx − left, i]
//
// over the output pixels of one part; x is upsampled first if upsample is 2, and zero
// outside the image. x (B, H, W, I), dy (B, OH, OW, O'), O' the O padded to a
// multiple of 4, as I is one; dw (P, O, KH, KW, I) in f32, a partial sum for each of P
// parts, which sum.wgsl adds up in a fixed order. A linear layer is a 1 × 1 window
// over images of one pixel. A launch binds what some of the parts need.
// = the gradient by the weight of torch.nn.functional.conv2d and linear.
// Each invocation computes a tile of 8 output by 8 input channels at one position of
// the window. Accumulates in f32.
// Prepended: one of vec4_*.wgsl.
// Grid: KH · KW · ⌈O/8⌉ · ⌈I/8⌉ invocations for each part of the launch, in groups of
// 32, input channels fastest.

struct Params {
  height: u32, // H, of x as it is stored
  width: u32,
  full_height: u32, // of x after upsampling
  full_width: u32,
  upsample: u32, // 1 or 2
  out_height: u32,
  out_width: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  in4: u32, // I / 4
  out4: u32, // O' / 4
  out: u32, // O
  pixels: u32, // B · OH · OW
  part: u32, // output pixels of a part
  first_part: u32, // of the launch
  first_pixel: u32, // index in the batch of the first bound pixel of dy
  first_source: u32, // and of x
  tiles_i: u32, // ⌈I/8⌉
  tiles_o: u32, // ⌈O/8⌉
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> dy: array<packed4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let taps = p.kernel_height * p.kernel_width;
  let i4 = (index % p.tiles_i) * 2u;
  var rest = index / p.tiles_i;
  let o4 = (rest % p.tiles_o) * 2u;
  rest /= p.tiles_o;
  let tap = rest % taps;
  let part = p.first_part + rest / taps;
  let ky = tap / p.kernel_width;
  let kx = tap % p.kernel_width;
  let second_i = min(i4 + 1u, p.in4 - 1u);
  let second_o = min(o4 + 1u, p.out4 - 1u);

  var a0 = vec4<f32>();
  var a1 = vec4<f32>();
  var a2 = vec4<f32>();
  var a3 = vec4<f32>();
  var a4 = vec4<f32>();
  var a5 = vec4<f32>();
  var a6 = vec4<f32>();
  var a7 = vec4<f32>();
  var b0 = vec4<f32>();
  var b1 = vec4<f32>();
  var b2 = vec4<f32>();
  var b3 = vec4<f32>();
  var b4 = vec4<f32>();
  var b5 = vec4<f32>();
  var b6 = vec4<f32>();
  var b7 = vec4<f32>();
  let first = part * p.part;
  let end = min(first + p.part, p.pixels);
  let image = p.out_height * p.out_width;
  var ox = first % p.out_width;
  var oy = (first / p.out_width) % p.out_height;
  var b = first / image;
  for (var pixel = first; pixel < end; pixel++) {
    // Below 0 wraps round, to above the height or width.
    let y = oy * p.stride + ky - p.pad_top;
    let c = ox * p.stride + kx - p.pad_left;
    if y < p.full_height && c < p.full_width {
      let row = b * p.height + y / p.upsample;
      let place = row * p.width + c / p.upsample - p.first_source;
      let source = place * p.in4;
      let slope = (pixel - p.first_pixel) * p.out4;
      let left = unpack4(x[source + i4]);
      let right = unpack4(x[source + second_i]);
      let g = unpack4(dy[slope + o4]);
      let h = unpack4(dy[slope + second_o]);
      a0 += g.x * left;
      a1 += g.y * left;
      a2 += g.z * left;
      a3 += g.w * left;
      a4 += h.x * left;
      a5 += h.y * left;
      a6 += h.z * left;
      a7 += h.w * left;
      b0 += g.x * right;
      b1 += g.y * right;
      b2 += g.z * right;
      b3 += g.w * right;
      b4 += h.x * right;
      b5 += h.y * right;
      b6 += h.z * right;
      b7 += h.w * right;
    }
    ox++;
    if ox == p.out_width {
      ox = 0u;
      oy++;
      if oy == p.out_height {
        oy = 0u;
        b++;
      }
    }
  }
  let o = o4 * 4u;
  let at = ((part * p.out + o) * taps + tap) * p.in4 + i4;
  let step = taps * p.in4;
  let both = i4 + 1u < p.in4;
  store(at, o, both, a0, b0);
  store(at + step, o + 1u, both, a1, b1);
  store(at + 2u * step, o + 2u, both, a2, b2);
  store(at + 3u * step, o + 3u, both, a3, b3);
  store(at + 4u * step, o + 4u, both, a4, b4);
  store(at + 5u * step, o + 5u, both, a5, b5);
  store(at + 6u * step, o + 6u, both, a6, b6);
  store(at + 7u * step, o + 7u, both, a7, b7);
}

fn store(at: u32, o: u32, both: bool, left: vec4<f32>, right: vec4<f32>) {
  if o >= p.out { return; }
  dw[at] = left;
  if both { dw[at + 1u] = right; }
}
