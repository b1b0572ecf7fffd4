"""What a run puts around the prompts of any task: the flags of SkyThought and of the BigCode harness that do so."""

from dataclasses import dataclass, replace

from mindcode.evaluation.types import Message, Prompt


@dataclass(frozen=True)
class Dressing:
    """Text around every prompt; empty text changes nothing."""

    prefix: str = ""
    """Before the prompt, or before the question of a chat."""
    system_prompt: str = ""
    """The first turn of a chat."""
    assistant_prefill: str = ""
    """The first words of the answer."""
    instruction_tokens: tuple[str, str, str] | None = None
    """Before the question, after it, and before the answer: text instead of the model's chat template."""

    def dress(self, prompt: Prompt) -> Prompt:
        """Return the prompt that the model is given. Its stop strings stay."""
        if not prompt.messages:
            return replace(prompt, text=self.prefix + prompt.text + self.assistant_prefill)
        first, *others = prompt.messages
        messages = (replace(first, content=self.prefix + first.content), *others)
        if self.system_prompt:
            messages = (Message("system", self.system_prompt), *messages)
        text = prompt.text + self.assistant_prefill
        if self.instruction_tokens is None:
            return replace(prompt, messages=messages, text=text)
        before, after, answer = self.instruction_tokens
        turns = "".join(before + message.content + after for message in messages)
        return replace(prompt, messages=(), text=turns + answer + text)
