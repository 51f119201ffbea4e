// Eight values in a row as one load: f32.

alias octet = mat2x4<f32>;
alias values = mat2x4<f32>;

fn unpack(o: octet) -> values {
  return o;
}

fn pack(v: values) -> octet {
  return v;
}
