// A vec8 of f32 as one load.

alias packed8 = mat2x4<f32>;
alias values = mat2x4<f32>;

fn unpack(o: packed8) -> values {
  return o;
}

fn pack(v: values) -> packed8 {
  return v;
}

// Texels of 16 bytes that a vec8 takes, and one of them.
const VEC8_TEXELS = 2u;

fn packed8_texel(o: packed8, i: u32) -> vec4<u32> {
  return bitcast<vec4<u32>>(select(o[0], o[1], i == 1u));
}
