// How linear and conv2d read their weight, stored in the storage type, without scales.

@group(0) @binding(1) var<storage, read> w: array<real4>;

const SCALED4 = 0xffffffffu; // vec4s of a row that share a scale: all

fn weight4(at: u32) -> vec4<f32> {
  return vec4<f32>(w[at]);
}

fn weight_scale(at: u32) -> f32 {
  return 1.0;
}
