"""The small network that most tests run."""

from mindcode.config.model_schema import ModelConfig


def small_model(seq_length: int) -> ModelConfig:
    """Two layers, two query heads for each key head, everything in float32."""
    return ModelConfig(
        seq_length=seq_length,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        n_kv_heads=2,
        vocab_size=61,
        intermediate_size=48,
        compute_dtype="float32",
        param_init_type="float32",
        init_method_std=0.2,
    )
