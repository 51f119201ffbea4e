// y[b, oy, ox, o] = act(Σ_{ky, kx, i} x[b, iy, ix, i] · w[o, ky, kx, i]
//                       + bias[o] + channel_bias[b, o] + residual[b, oy, ox, o])
// with iy = oy · stride + ky − pad_top, ix likewise; pixels outside the image are
// zero. With upsample 2, x is first upsampled to twice its size, or one row or
// column less, by repeating its pixels.
//
// x (B, H, W, I), w (O, KH, KW, I), bias (O), channel_bias (B, O) (the time embedding),
// residual and y (B, OH, OW, O); I a multiple of 4. Accumulates in f32.
// = torch.nn.functional.conv2d on channels-last tensors; with upsample, after
// interpolate(size=…, mode="nearest").
//
// Prepended: convolution.wgsl and one of weights_*.wgsl, which binds and reads w.
//
// An implicit GEMM: rows are output pixels, columns output channels, the sum
// runs over the window and the input channels. Each invocation keeps a tile of
// 4 pixels × 4 channels in registers; neighbours take neighbouring pixels.
// Grid: ⌈B·OH·OW/4⌉ · ⌈O/4⌉ invocations in groups of 32, pixels fastest.

struct Params {
  height: u32,
  width: u32,
  in4: u32, // I / 4
  out_height: u32,
  out_width: u32,
  out: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  upsample: u32, // 1 or 2
  full_height: u32, // of the upsampled image
  full_width: u32,
  weight4: u32, // O · KH · KW · I / 4
  pixels: u32, // of the output, in this launch
  first_pixel: u32, // index in the batch of the first of them
  first_source: u32, // index in the batch of x's first bound pixel
  tiles_m: u32,
  tiles: u32,
  has_bias: u32,
  has_channel_bias: u32,
  has_residual: u32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(2) var<storage, read> bias: array<real>;
@group(0) @binding(3) var<storage, read> channel_bias: array<real>;
@group(0) @binding(4) var<storage, read> residual: array<real>;
@group(0) @binding(5) var<storage, read_write> y: array<real>;
@group(0) @binding(6) var<uniform> p: Params;

fn store(index: u32, o: u32, sum: f32) {
  var v = sum;
  if p.has_bias != 0u { v += f32(bias[o]); }
  if p.has_channel_bias != 0u {
    let b = divide(p.first_pixel + index, p.out_width * p.out_height);
    v += f32(channel_bias[b * p.out + o]);
  }
  if p.has_residual != 0u { v += f32(residual[index * p.out + o]); }
  y[index * p.out + o] = real(activate(p.activation, v));
}

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = group_index(group, groups) * 32u + lane;
  if tile >= p.tiles { return; }
  let first = (tile % p.tiles_m) * 4u;
  let channel = (tile / p.tiles_m) * 4u;

  let p0 = pixel(first);
  let p1 = pixel(first + 1u);
  let p2 = pixel(first + 2u);
  let p3 = pixel(first + 3u);
  let row = p.kernel_height * p.kernel_width * p.in4;
  let w0 = channel * row;
  let w1 = min(channel + 1u, p.out - 1u) * row;
  let w2 = min(channel + 2u, p.out - 1u) * row;
  let w3 = min(channel + 3u, p.out - 1u) * row;

  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var tap = 0u;
  for (var ky = 0u; ky < p.kernel_height; ky++) {
    for (var kx = 0u; kx < p.kernel_width; kx++) {
      let s0 = source(p0, ky, kx);
      let s1 = source(p1, ky, kx);
      let s2 = source(p2, ky, kx);
      let s3 = source(p3, ky, kx);
      let x0 = u32(max(s0, 0)) * p.in4;
      let x1 = u32(max(s1, 0)) * p.in4;
      let x2 = u32(max(s2, 0)) * p.in4;
      let x3 = u32(max(s3, 0)) * p.in4;
      // 1 inside the image, 0 outside.
      let in0 = f32(s0 >= 0);
      let in1 = f32(s1 >= 0);
      let in2 = f32(s2 >= 0);
      let in3 = f32(s3 >= 0);
      for (var start = 0u; start < p.in4;) {
        let end = start + min(SCALED4, p.in4 - start);
        var sum0 = vec4<f32>();
        var sum1 = vec4<f32>();
        var sum2 = vec4<f32>();
        var sum3 = vec4<f32>();
        for (var i = start; i < end; i++) {
          let a0 = vec4<f32>(x[x0 + i]);
          let a1 = vec4<f32>(x[x1 + i]);
          let a2 = vec4<f32>(x[x2 + i]);
          let a3 = vec4<f32>(x[x3 + i]);
          let b0 = weight4(w0 + tap + i);
          let b1 = weight4(w1 + tap + i);
          let b2 = weight4(w2 + tap + i);
          let b3 = weight4(w3 + tap + i);
          sum0 += vec4<f32>(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
          sum1 += vec4<f32>(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
          sum2 += vec4<f32>(dot(a2, b0), dot(a2, b1), dot(a2, b2), dot(a2, b3));
          sum3 += vec4<f32>(dot(a3, b0), dot(a3, b1), dot(a3, b2), dot(a3, b3));
        }
        let scale = vec4<f32>(
          weight_scale(w0 + tap + start),
          weight_scale(w1 + tap + start),
          weight_scale(w2 + tap + start),
          weight_scale(w3 + tap + start),
        );
        acc0 += in0 * scale * sum0;
        acc1 += in1 * scale * sum1;
        acc2 += in2 * scale * sum2;
        acc3 += in3 * scale * sum3;
        start = end;
      }
      tap += p.in4;
    }
  }
  // Loops, as drivers take long to compile this body sixteen times.
  let acc = mat4x4<f32>(acc0, acc1, acc2, acc3);
  let pixels = min(first + 4u, p.pixels) - first;
  let channels = min(channel + 4u, p.out) - channel;
  for (var i = 0u; i < pixels; i++) {
    for (var j = 0u; j < channels; j++) { store(first + i, channel + j, acc[i][j]); }
  }
}
