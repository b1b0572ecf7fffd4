"""model.model_config: the sizes and number formats of a Llama network (see schema.py for the rest of a YAML file)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RopeScaling:
    """How rotary positions are stretched beyond the trained length (`scaling_factor` given as a mapping)."""

    factor: float = 1.0
    """Ratio of the new context length to the trained one."""
    original_max_position_embedding: int | None = None
    """Trained context length in tokens; null means `max_position_embedding`. Used by YARN and LLAMA3."""
    low_freq_factor: float = 1.0
    """LLAMA3: wavelengths longer than original length / this are divided by `factor`."""
    high_freq_factor: float = 4.0
    """LLAMA3: wavelengths shorter than original length / this are kept."""
    beta_slow: float = 1.0
    """YARN: below this number of rotations over the trained length a dimension is interpolated."""
    beta_fast: float = 32.0
    """YARN: above this number of rotations over the trained length a dimension is kept."""
    mscale: float | None = None
    """YARN: attention temperature; null means 0.1 ln(factor) + 1."""


@dataclass(frozen=True)
class ModelConfig:
    """model.model_config: the sizes and number formats of a Llama network, and its generation defaults."""

    type: str = "LlamaConfig"
    """Always LlamaConfig."""
    batch_size: int = 1
    """Rows a prediction graph is built for."""
    seq_length: int = 2048
    """Tokens in a row: training rows hold seq_length + 1, prediction stops there."""
    hidden_size: int = 4096
    """Width of the residual stream."""
    num_layers: int = 32
    """Number of decoder layers."""
    num_heads: int = 32
    """Query heads."""
    n_kv_heads: int | None = None
    """Key/value heads (grouped-query attention); null means num_heads."""
    vocab_size: int = 32000
    """Rows of the embedding table."""
    intermediate_size: int | None = None
    """Width of the feed-forward layer; null derives it from hidden_size, ffn_dim_multiplier and multiple_of."""
    multiple_of: int = 256
    """The derived feed-forward width is rounded up to a multiple of this."""
    ffn_dim_multiplier: float | None = None
    """Factor on the derived feed-forward width."""
    max_position_embedding: int | None = None
    """Longest trained position; null means seq_length."""
    rms_norm_eps: float = 1e-5
    """Added to the mean square in RMSNorm."""
    theta: float = 10000.0
    """Base of the rotary frequencies (Code Llama: 1e6)."""
    extend_method: str = "None"
    """Rotary scaling: None, PI, NTK, YARN or LLAMA3."""
    scaling_factor: float | RopeScaling = 1.0
    """Rotary scaling factor, or a mapping with the method's parameters."""
    tie_word_embeddings: bool = False
    """Use the embedding table as the output head."""
    qkv_has_bias: bool = False
    """Biases on the query, key and value projections (not built here: must be False)."""
    bos_token_id: int = 1
    """Begin-of-sequence id."""
    eos_token_id: int | tuple[int, ...] = 2
    """End-of-sequence id, or several."""
    pad_token_id: int = 0
    """Padding id: never a key in attention, never a loss position when it is the input."""
    ignore_token_id: int = -100
    """Label without a loss."""
    compute_dtype: str = "float16"
    """Format of matrix products: float16, bfloat16 or float32."""
    layernorm_compute_type: str = "float32"
    """Format of RMSNorm."""
    softmax_compute_type: str = "float32"
    """Format of the attention softmax."""
    rotary_dtype: str = "float32"
    """Format of the rotary tables and of the rotation."""
    param_init_type: str = "float16"
    """Format of the parameters."""
    embedding_init_type: str | None = None
    """Format of the embedding table; null means param_init_type."""
    init_method_std: float = 0.01
    """Standard deviation of random initial weights."""
    use_past: bool = False
    """Decode with a key/value cache."""
    use_flash_attention: bool = False
    """Fused attention on Ascend; the plain one everywhere else."""
    is_dynamic: bool = False
    """Dynamic shapes in prediction on Ascend."""
    block_size: int = 16
    """Tokens in a block of the paged cache (Ascend)."""
    num_blocks: int = 512
    """Blocks in the paged cache (Ascend)."""
    fine_grain_interleave: int = 1
    """Pieces a layer is cut into so that communication overlaps computation; only by engine mindformers."""
    offset: int | tuple[int, ...] = 0
    """Layers more or fewer for each pipeline stage."""
    checkpoint_name_or_path: str = ""
    """Weights to start from when load_checkpoint is empty."""
    repetition_penalty: float = 1.0
    """Divides (positive) or multiplies (negative) the logits of tokens already present."""
    max_decode_length: int = 1024
    """Longest prompt plus answer, in tokens."""
    max_new_tokens: int | None = None
    """Longest answer in tokens; wins over max_decode_length."""
    temperature: float = 1.0
    """Divides the logits before sampling."""
    top_k: int = 5
    """Sample among this many most likely tokens; 0 means all."""
    top_p: float = 1.0
    """Sample among the fewest tokens whose probability reaches this."""
    do_sample: bool = True
    """Sample; False takes the most likely token."""

    @property
    def kv_heads(self) -> int:
        """Key/value heads, with the default resolved."""
        return self.n_kv_heads or self.num_heads

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden_size // self.num_heads

    @property
    def ffn_size(self) -> int:
        """Feed-forward width, by Llama's rule when intermediate_size is not set."""
        if self.intermediate_size is not None:
            return self.intermediate_size
        width = 4 * self.hidden_size
        if self.ffn_dim_multiplier is not None:
            width = int((self.ffn_dim_multiplier + 0.01) * width)
        width = int(2 * width / 3)
        return self.multiple_of * ((width + self.multiple_of - 1) // self.multiple_of)

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """End-of-sequence ids, always as a tuple."""
        return (self.eos_token_id,) if isinstance(self.eos_token_id, int) else tuple(self.eos_token_id)
