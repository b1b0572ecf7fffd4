"""Chat formats: a list of messages to the one text that a model was trained on.

render_prompt(tokenizer, [Message("user", "hi")])                       # up to where the assistant begins to speak
render_chat(tokenizer, messages, template="codellama-instruct")          # a whole conversation
encode_rendered(tokenizer, text)                                         # its ids, with the beginning the model expects

`template` is "tokenizer" (the tokenizer's own Jinja template), "codellama-instruct", "vicuna", or the name of a
template of the fschat package ("vicuna_v1.1", "llama-2", "chatgpt", …).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from mindcode.data.tokenizer import Tokenizer
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import nearest

OWN_TEMPLATE, CODELLAMA_TEMPLATE, VICUNA_TEMPLATE = "tokenizer", "codellama-instruct", "vicuna"
_FSCHAT_NAMES = {VICUNA_TEMPLATE: "vicuna_v1.1"}

_CODELLAMA = (
    "{%- set system = messages[0].content if messages and messages[0].role == 'system' else none -%}"
    "{%- for message in messages if message.role != 'system' -%}"
    "{%- if message.role == 'user' -%}"
    "{{ bos_token + '[INST] ' }}"
    "{%- if loop.first and system -%}{{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{%- endif -%}"
    "{{ message.content | trim + ' [/INST]' }}"
    "{%- else -%}"
    "{{ ' ' + message.content | trim + ' ' + eos_token }}"
    "{%- endif -%}"
    "{%- endfor -%}"
)


@dataclass(frozen=True)
class Message:
    """One turn; `role` is "system" (only the first), "user" or "assistant"."""

    role: str
    content: str


class ChatTemplate(Protocol):
    """A chat format bound to a tokenizer."""

    def conversation(self, messages: Sequence[Message]) -> str:
        """The text of complete turns."""

    def prompt(self, messages: Sequence[Message]) -> str:
        """The same, and what comes before the assistant's next word."""


def render_chat(tokenizer: Tokenizer, messages: Sequence[Message], template: str = OWN_TEMPLATE) -> str:
    """Return the text of complete turns; raises UserError for an unknown or missing template."""
    return find_template(tokenizer, template).conversation(messages)


def render_prompt(tokenizer: Tokenizer, messages: Sequence[Message], template: str = OWN_TEMPLATE) -> str:
    """Return the text after which the assistant's reply to the last message begins."""
    return find_template(tokenizer, template).prompt(messages)


def encode_rendered(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the ids of a rendered text, special pieces included; BOS comes first where the tokenizer adds one."""
    ids = tokenizer.encode_with_specials(text)
    if tokenizer.bos_id is None or not tokenizer.adds_bos or ids[:1] == [tokenizer.bos_id]:
        return ids
    return [tokenizer.bos_id, *ids]


def find_template(tokenizer: Tokenizer, name: str) -> ChatTemplate:
    """Return the chat format called `name` for this tokenizer."""
    if name == CODELLAMA_TEMPLATE:
        return _KnownRoles(name, _JinjaTemplate(_CODELLAMA, tokenizer))
    if name == OWN_TEMPLATE:
        if tokenizer.chat_template is None:
            raise UserError(
                "template 'tokenizer': this tokenizer has no chat_template; "
                "put its tokenizer_config.json beside it or name a template"
            )
        return _JinjaTemplate(tokenizer.chat_template, tokenizer)
    return _KnownRoles(name, _FschatTemplate(name))


@dataclass(frozen=True)
class _KnownRoles:
    """A format with words for the user, the assistant and a first system message, and for nobody else."""

    name: str
    format: ChatTemplate

    def conversation(self, messages: Sequence[Message]) -> str:
        return self.format.conversation(self._checked(messages))

    def prompt(self, messages: Sequence[Message]) -> str:
        return self.format.prompt(self._checked(messages))

    def _checked(self, messages: Sequence[Message]) -> Sequence[Message]:
        for number, message in enumerate(messages, start=1):
            if message.role not in ("user", "assistant") and (message.role != "system" or number > 1):
                raise UserError(
                    f"template {self.name!r}: message {number} is from {message.role!r}; "
                    "expected user or assistant, or system at the beginning"
                )
        return messages


class _JinjaTemplate:
    """A Jinja chat template in the dialect of Hugging Face."""

    def __init__(self, source: str, tokenizer: Tokenizer) -> None:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise UserError(f"the tokenizer's chat_template is not valid Jinja ({error})") from error
        self._template_error = jinja2.TemplateError
        self._specials = {"bos_token": tokenizer.bos_piece or "", "eos_token": tokenizer.eos_piece or ""}

    def conversation(self, messages: Sequence[Message]) -> str:
        return self._render(messages, {"add_generation_prompt": False})

    def prompt(self, messages: Sequence[Message]) -> str:
        return self._render(messages, {"add_generation_prompt": True})

    def _render(self, messages: Sequence[Message], flags: dict[str, bool]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render({"messages": turns, **self._specials, **flags})
        except self._template_error as error:
            raise UserError(f"the chat template refuses this conversation ({error})") from error


def _refuse(message: str) -> NoReturn:
    """What templates call `raise_exception`."""
    import jinja2

    raise jinja2.TemplateError(message)


class _FschatTemplate:
    """A template of the fschat package."""

    def __init__(self, name: str) -> None:
        from fastchat.conversation import conv_templates

        name = _FSCHAT_NAMES.get(name, name)
        if name not in conv_templates:
            known = [OWN_TEMPLATE, CODELLAMA_TEMPLATE, VICUNA_TEMPLATE, *conv_templates]
            raise UserError(f"template {name!r}: unknown{nearest(name, known)} (known: {', '.join(sorted(known))})")
        self._name = name

    def conversation(self, messages: Sequence[Message]) -> str:
        return self._render(messages, [])

    def prompt(self, messages: Sequence[Message]) -> str:
        return self._render(messages, [None])

    def _render(self, messages: Sequence[Message], reply: list[None]) -> str:
        from fastchat.conversation import get_conv_template

        conversation = get_conv_template(self._name)
        roles = {"user": conversation.roles[0], "assistant": conversation.roles[1]}
        for message in messages:
            if message.role == "system":
                conversation.set_system_message(message.content)
            else:
                conversation.append_message(roles[message.role], message.content)
        for nothing in reply:
            conversation.append_message(roles["assistant"], nothing)
        return str(conversation.get_prompt())
