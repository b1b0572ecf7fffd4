"""Llama in NumPy and float64, forward and backward, written for clarity: what the cells are compared with.

Every function returns its result and a function from the result's gradient to the gradients of its arguments. Nothing
here uses the package except its configuration class. Shapes as in mindcode/model/attention.py.
"""

from collections.abc import Callable

import numpy as np

from mindcode.config.model_schema import ModelConfig

Array = np.ndarray
Weights = dict[str, Array]
Back = Callable[[Array], tuple[Array, ...]]


def linear(x: Array, weight: Array) -> tuple[Array, Back]:
    """x [T, I], weight [O, I] -> x Wᵀ [T, O]."""
    return x @ weight.T, lambda dy: (dy @ weight, dy.T @ x)


def embedding(ids: Array, table: Array) -> tuple[Array, Back]:
    """ids [T], table [V, D] -> rows [T, D]; the only gradient is the table's."""

    def back(dy: Array) -> tuple[Array, ...]:
        d_table = np.zeros_like(table)
        np.add.at(d_table, ids, dy)
        return (d_table,)

    return table[ids], back


def rms_norm(x: Array, weight: Array, eps: float) -> tuple[Array, Back]:
    """x [T, D] divided by its root mean square, times weight [D]."""
    rms = np.sqrt((x**2).mean(-1, keepdims=True) + eps)
    normal = x / rms

    def back(dy: Array) -> tuple[Array, ...]:
        g = dy * weight
        return (g - normal * (g * normal).mean(-1, keepdims=True)) / rms, (dy * normal).sum(0)

    return normal * weight, back


def swiglu(gate: Array, up: Array) -> tuple[Array, Back]:
    """silu(gate) · up, elementwise."""
    sigmoid = 1 / (1 + np.exp(-gate))

    def back(dy: Array) -> tuple[Array, ...]:
        return dy * up * sigmoid * (1 + gate * (1 - sigmoid)), dy * gate * sigmoid

    return gate * sigmoid * up, back


def rotate(x: Array, angles: Array, scale: float) -> tuple[Array, Back]:
    """x [B, N, S, H] as H / 2 complex numbers (first half real, second half imaginary), turned by angles [S, H / 2]."""
    half = x.shape[-1] // 2
    turn = scale * np.exp(1j * angles)

    def apply(value: Array, factor: Array) -> Array:
        turned = (value[..., :half] + 1j * value[..., half:]) * factor
        return np.concatenate([turned.real, turned.imag], -1)

    return apply(x, turn), lambda dy: (apply(dy, turn.conj()),)


def attention(q: Array, k: Array, v: Array, hidden: Array) -> tuple[Array, Back]:
    """q [B, N, S, H], k and v [B, K, S, H], hidden [B, 1, S, S] -> [B, N, S, H]; head n uses key head n // (N / K)."""
    group = q.shape[1] // k.shape[1]
    keys, values = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scale = q.shape[-1] ** -0.5
    weights = softmax(np.where(hidden, -1e9, q @ keys.swapaxes(2, 3) * scale))

    def per_key_head(d_heads: Array) -> Array:
        return d_heads.reshape(d_heads.shape[0], -1, group, *d_heads.shape[2:]).sum(2)

    def back(dy: Array) -> tuple[Array, ...]:
        d_weights = dy @ values.swapaxes(2, 3)
        d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True)) * scale
        d_keys, d_values = d_scores.swapaxes(2, 3) @ q, weights.swapaxes(2, 3) @ dy
        return d_scores @ keys, per_key_head(d_keys), per_key_head(d_values)

    return weights @ values, back


def softmax(x: Array) -> Array:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def cross_entropy(logits: Array, targets: Array) -> tuple[Array, Back]:
    """-log softmax(logits)[target] of logits [T, V] and targets [T], one value a token."""
    rows = np.arange(len(targets))
    shifted = logits - logits.max(-1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(-1)) - shifted[rows, targets]

    def back(dy: Array) -> tuple[Array, ...]:
        d_logits = softmax(logits)
        d_logits[rows, targets] -= 1
        return (d_logits * dy[:, None],)

    return losses, back


def masked_mean_loss(config: ModelConfig, logits: Array, input_ids: Array, labels: Array) -> tuple[float, Back]:
    """Mean cross entropy of logits [T, V] over the tokens whose input is no padding and whose label is not ignored."""
    ids, targets = input_ids.reshape(-1), labels.reshape(-1)
    weights = ((ids != config.pad_token_id) & (targets != config.ignore_token_id)).astype(np.float64)
    losses, back = cross_entropy(logits, np.where(weights > 0, targets, 0))
    count = weights.sum() + 1e-8
    return float((losses * weights).sum() / count), lambda dy: back(dy * weights / count)


def hidden_keys(input_ids: Array, pad_token_id: int) -> Array:
    """input_ids [B, S] -> bool [B, 1, S, S]: the key comes after the query or is padding."""
    length = input_ids.shape[1]
    later = np.arange(length)[None, :] > np.arange(length)[:, None]
    return later[None, None] | (input_ids == pad_token_id)[:, None, None, :]


class NumpyLlama:
    """The whole network; `angles` [S, head_dim / 2] in radians and `scale` describe the rotary tables."""

    def __init__(self, config: ModelConfig, weights: Weights, angles: Array, scale: float) -> None:
        self.config, self.angles, self.scale = config, angles, scale
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.gradients: Weights = {}

    def forward(self, input_ids: Array) -> tuple[Array, Callable[[Array], None]]:
        """Return logits [B, S, V] and the backward pass, which fills `gradients` from d logits [T, V]."""
        self.gradients = {name: np.zeros_like(value) for name, value in self.weights.items()}
        hidden = hidden_keys(input_ids, self.config.pad_token_id)
        x, back_embedding = embedding(input_ids.reshape(-1), self.weights["model.tok_embeddings.embedding_weight"])
        backs = []
        for layer in range(self.config.num_layers):
            x, back_attention = self._attention(f"model.layers.{layer}.", x, hidden)
            x, back_feed_forward = self._feed_forward(f"model.layers.{layer}.", x)
            backs += [back_attention, back_feed_forward]
        normal, back_norm = self._norm("model.norm_out.weight", x)
        tied = self.config.tie_word_embeddings
        head = "model.tok_embeddings.embedding_weight" if tied else "lm_head.weight"
        logits, back_head = self._linear(head, normal)

        def back(d_logits: Array) -> None:
            dx = back_norm(back_head(d_logits))
            for step in reversed(backs):
                dx = step(dx)
            self.gradients["model.tok_embeddings.embedding_weight"] += back_embedding(dx)[0]

        return logits.reshape(*input_ids.shape, -1), back

    def loss(self, input_ids: Array, labels: Array) -> tuple[float, Array]:
        """Return loss and logits; `gradients` then holds the loss's gradient for every weight."""
        logits, back = self.forward(input_ids)
        loss, back_loss = masked_mean_loss(self.config, logits.reshape(input_ids.size, -1), input_ids, labels)
        back(back_loss(np.ones(()))[0])
        return loss, logits

    def _linear(self, name: str, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        y, back = linear(x, self.weights[name])
        return y, lambda dy: self._keep(name, back(dy))

    def _norm(self, name: str, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        y, back = rms_norm(x, self.weights[name], self.config.rms_norm_eps)
        return y, lambda dy: self._keep(name, back(dy))

    def _keep(self, name: str, gradients: tuple[Array, ...]) -> Array:
        dx, d_weight = gradients
        self.gradients[name] += d_weight
        return dx

    def _attention(self, prefix: str, x: Array, hidden: Array) -> tuple[Array, Callable[[Array], Array]]:
        normal, back_norm = self._norm(prefix + "attention_norm.weight", x)
        (q, back_q), (k, back_k), (v, back_v) = (
            self._linear(f"{prefix}attention.{name}.weight", normal) for name in ("wq", "wk", "wv")
        )
        batch, length = hidden.shape[0], hidden.shape[2]

        def heads(y: Array) -> Array:
            return y.reshape(batch, length, -1, self.config.head_dim).swapaxes(1, 2)

        def flat(y: Array) -> Array:
            return y.swapaxes(1, 2).reshape(batch * length, -1)

        turned_q, unturn_q = rotate(heads(q), self.angles, self.scale)
        turned_k, unturn_k = rotate(heads(k), self.angles, self.scale)
        mixed, back_mixed = attention(turned_q, turned_k, heads(v), hidden)
        out, back_out = self._linear(prefix + "attention.wo.weight", flat(mixed))

        def back(dy: Array) -> Array:
            dq, dk, dv = back_mixed(heads(back_out(dy)))
            d_normal = back_q(flat(unturn_q(dq)[0])) + back_k(flat(unturn_k(dk)[0])) + back_v(flat(dv))
            return dy + back_norm(d_normal)

        return x + out, back

    def _feed_forward(self, prefix: str, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        normal, back_norm = self._norm(prefix + "ffn_norm.weight", x)
        gate, back_gate = self._linear(prefix + "feed_forward.w1.weight", normal)
        up, back_up = self._linear(prefix + "feed_forward.w3.weight", normal)
        inner, back_inner = swiglu(gate, up)
        out, back_out = self._linear(prefix + "feed_forward.w2.weight", inner)

        def back(dy: Array) -> Array:
            d_gate, d_up = back_inner(back_out(dy))
            return dy + back_norm(back_gate(d_gate) + back_up(d_up))

        return x + out, back
