"""What a failure of MindSpore's compiler has to do with the configuration: the place in the model, the key.

explain(error)      # "RuntimeError: ... (model/attention.py:37; see parallel_config.model_parallel)"
"""

import re

KEYS = (
    (r"recompute", "recompute_config"),
    (r"pipeline|stage|micro", "parallel_config.pipeline_stage, micro_batch_num"),
    (r"out of memory|memory (isn't|not) enough", "context.max_device_memory"),
    (r"strateg|shard|divisible|divided", "parallel_config.model_parallel, data_parallel"),
    (r"flash|head_num|headdim", "model.model_config.use_flash_attention, num_heads, n_kv_heads"),
    (r"shape|broadcast", "model.model_config"),
    (r"dtype|type", "model.model_config.compute_dtype, param_init_type"),
)
"""Words of a message, and the keys that it is most often about; the first row that fits counts."""

_PLACE = re.compile(r"/mindcode/((?:model|training|parallel|generation)/\w+\.py):(\d+)")


def explain(error: Exception) -> str:
    """Return one line: what MindSpore says first, the cell's line where it says one, the key where it is known."""
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    message = lines[0] if lines else "no message"
    places = _PLACE.findall(text)
    key = next((key for words, key in KEYS if re.search(words, message, re.IGNORECASE)), "")
    notes = [":".join(places[-1])] if places else []
    notes += [f"see {key}"] if key else []
    return f"{type(error).__name__}: {message}" + (f" ({'; '.join(notes)})" if notes else "")
