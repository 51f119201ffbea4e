// The derivatives of the prelude's activations by their argument, for gradients.
// Prepended to the shaders that need them; kinds are numbered as in prelude.wgsl.
// ReLU's at 0 is 0 and the leaky one's 0.2, as in PyTorch.

fn activate_derivative(kind: u32, x: f32) -> f32 {
  switch kind {
    case ACT_SILU: {
      let s = sigmoid(x);
      return s * (1.0 + x * (1.0 - s));
    }
    case ACT_GELU: { // Φ(x) + x φ(x), with the normal distribution's Φ and density φ
      let density = 0.3989422804014327 * exp(-0.5 * x * x);
      return 0.5 * (1.0 + erf(x * 0.7071067811865476)) + x * density;
    }
    case ACT_QUICK_GELU: {
      let s = sigmoid(1.702 * x);
      return s * (1.0 + 1.702 * x * (1.0 - s));
    }
    case ACT_RELU: { return select(0.0, 1.0, !(x <= 0.0)); }
    case ACT_SIGMOID: {
      let s = sigmoid(x);
      return s * (1.0 - s);
    }
    case ACT_LEAKY_RELU: { return select(0.2, 1.0, !(x <= 0.0)); }
    default: { return 1.0; }
  }
}

fn activate_derivative4(kind: u32, x: vec4<f32>) -> vec4<f32> {
  switch kind {
    case ACT_SILU: {
      let s = 1.0 / (1.0 + exp_neg4(x));
      return s * (1.0 + x * (1.0 - s));
    }
    case ACT_GELU: {
      let z = abs(x) * 0.7071067811865476;
      let t = 1.0 / (1.0 + 0.3275911 * z);
      let q = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 +
        t * (-1.453152027 + t * 1.061405429))));
      let e = exp(-z * z); // of the error function and of the density alike
      return 0.5 * (1.0 + sign(x) * (1.0 - q * e)) + 0.3989422804014327 * x * e;
    }
    case ACT_QUICK_GELU: {
      let s = 1.0 / (1.0 + exp_neg4(1.702 * x));
      return s * (1.0 + 1.702 * x * (1.0 - s));
    }
    case ACT_RELU: {
      return select(vec4<f32>(), vec4<f32>(1.0), !(x <= vec4<f32>()));
    }
    case ACT_SIGMOID: {
      let s = 1.0 / (1.0 + exp_neg4(x));
      return s * (1.0 - s);
    }
    case ACT_LEAKY_RELU: {
      return select(vec4<f32>(0.2), vec4<f32>(1.0), !(x <= vec4<f32>()));
    }
    default: { return vec4<f32>(1.0); }
  }
}
