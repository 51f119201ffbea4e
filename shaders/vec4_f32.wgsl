// A vec4 of f32 as one load.

alias packed4 = vec4<f32>;

fn unpack4(q: packed4) -> vec4<f32> {
  return q;
}

fn pack4(v: vec4<f32>) -> packed4 {
  return v;
}
