// The multiply-add of the tiled matrix kernels.
//
// Four sums at once, each of four columns: result[i] = sums[i] + Σ_k w_i[k] · m[k].
// It is written out so that every product is added to the running sum by a fused
// multiply-add; a product of two mat4x4 would be summed separately, then added. On a
// GPU, whose lanes are scalar, selecting components costs nothing.

fn add4(sum: vec4<f32>, w: vec4<f32>, m: mat4x4<f32>) -> vec4<f32> {
  return sum + w.x * m[0] + w.y * m[1] + w.z * m[2] + w.w * m[3];
}

fn gather(
  sums: mat4x4<f32>,
  w0: vec4<f32>,
  w1: vec4<f32>,
  w2: vec4<f32>,
  w3: vec4<f32>,
  m: mat4x4<f32>,
) -> mat4x4<f32> {
  return mat4x4<f32>(
    add4(sums[0], w0, m),
    add4(sums[1], w1, m),
    add4(sums[2], w2, m),
    add4(sums[3], w3, m),
  );
}
