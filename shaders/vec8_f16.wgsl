// A vec8 of f16 as one load: packed in four words.
//
// A software adapter pays for every component of a load, whatever its width, so
// words that hold two f16 each cost half as much as f16 components.

alias packed8 = vec4<u32>;
alias values = mat2x4<f32>;

fn unpack(o: packed8) -> values {
  return values(
    vec4<f32>(unpack2x16float(o.x), unpack2x16float(o.y)),
    vec4<f32>(unpack2x16float(o.z), unpack2x16float(o.w)),
  );
}

// Rounded before packing, as pack2x16float need not round to nearest.
fn pack(v: values) -> packed8 {
  let a = vec4<f32>(vec4<f16>(v[0]));
  let b = vec4<f32>(vec4<f16>(v[1]));
  return packed8(
    pack2x16float(a.xy),
    pack2x16float(a.zw),
    pack2x16float(b.xy),
    pack2x16float(b.zw),
  );
}

// Texels of 16 bytes that a vec8 takes, and one of them.
const VEC8_TEXELS = 1u;

fn packed8_texel(o: packed8, i: u32) -> vec4<u32> {
  return o;
}
