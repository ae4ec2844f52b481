# SPDX-License-Identifier: Apache-2.0
"""Conversations: prompts from turns, and answers into their parts."""
import ctypes
import json
from contextlib import nullcontext
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Union

from . import _abi
from ._abi import D, F
from ._run import Cancel, Handle, use
from .errors import call, create
from .model import Model, read_struct, tokens_call
from .sampler import Constraint, Sampler, Schema, schema_text
from .session import Session

PARTS = D.names("remora_chat_parts", "REMORA_PART_")
FINISHES = D.names("remora_chat_finishes", "REMORA_FINISH_")


class Prompt(NamedTuple):
    """Tokens of a prompt; where the answer begins, and whether it may have calls, are for ChatParse."""

    tokens: List[int]
    begin: int
    calls: bool


class Event(NamedTuple):
    """A part of an answer as it grows: kind is "reasoning", "content", "call", "arguments", "call_end", "rest" or "end"."""

    kind: str
    text: str
    call: int
    id: str
    finish: Optional[str]
    """Of "end": "stop", "calls" or "length"."""


class ChatFormat(NamedTuple):
    """A chat format of your own: what stands around each text, as remora_chat_format has it. tools_of: the built-in format whose
    tools and calls it has."""

    begin: str = ""
    system_open: str = ""
    system_close: str = ""
    user_open: str = ""
    user_close: str = ""
    assistant_open: str = ""
    assistant_close: str = ""
    generation: str = ""
    system_text: str = ""
    think_open: str = ""
    think_close: str = ""
    tools_of: Optional[str] = None

    def struct(self) -> Any:
        texts = {name: _abi.text(text) for name, text in self._asdict().items() if name != "tools_of"}
        return D.make("remora_chat_format", tools_of=None if self.tools_of is None else self.tools_of.encode(), **texts)


class Chat(Handle):
    """A conversation: turns, tools, and the chat format of a model.

    Markers in the texts are text, so nobody can forge a turn. format: one of `formats()`, or a ChatFormat; None: the model's.
    """

    _free = "remora_chat_free"

    def __init__(self, model: Model, format: Union[None, str, ChatFormat] = None, *, date: str = "") -> None:
        o = D.make("remora_chat_opts", format=format.encode() if isinstance(format, str) else None, date=_abi.text(date),
                   described=ctypes.pointer(format.struct()) if isinstance(format, ChatFormat) else None)
        with use(model, False) as m:
            super().__init__(create("remora_chat_create", m, o))
        self.model = model

    @staticmethod
    def formats() -> List[str]:
        """The names of the chat formats that are built in."""
        found: List[str] = []
        name = ctypes.c_char_p()
        while F["remora_chat_format_name"](len(found), name, None) >= 0:
            found.append((name.value or b"").decode())
        return found

    def add(self, role: str, text: str = "", *, name: str = "", reasoning: str = "", call_id: str = "",
            calls: Sequence[Mapping[str, str]] = ()) -> "Chat":
        """Add a turn of "system", "user", "assistant", "tool" or "reminder". calls: of an assistant, {"id", "name", "arguments"}
        each."""
        made = [D.structs["remora_call"](*(_abi.text(c.get(key, "")) for key in ("id", "name", "arguments"))) for c in calls]
        turn = D.make("remora_turn", role=_abi.value("remora_chat_roles", "REMORA_ROLE_", role), text=_abi.text(text),
                      name=_abi.text(name), reasoning=_abi.text(reasoning), call_id=_abi.text(call_id),
                      calls=_abi.array("remora_call", made), n_calls=len(made))
        with use(self) as p:
            call("remora_chat_add", p, turn)
        return self

    def _add_json(self, function: str, what: Mapping[str, Any]) -> "Chat":
        raw = json.dumps(what, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        with use(self) as p:
            call(function, p, raw, len(raw))
        return self

    def add_request(self, request: Mapping[str, Any]) -> "Chat":
        """Add a request in the form of OpenAI's API: messages, tools, tool_choice, response_format, and so on."""
        return self._add_json("remora_chat_add_json", request)

    def add_tool(self, tool: Mapping[str, Any]) -> "Chat":
        """Declare a tool: {"type": "function", "function": {"name", "description", "parameters"}}."""
        return self._add_json("remora_chat_add_tool", tool)

    def trim(self, keep: int) -> None:
        """Keep the first turns."""
        with use(self) as p:
            call("remora_chat_trim", p, keep)

    def info(self) -> Dict[str, Any]:
        """The numbers of remora_chat_info."""
        with use(self, False) as p:
            return read_struct("remora_chat_get_info", p, "remora_chat_info")

    def _options(self, think: Optional[bool] = None, effort: int = 0, choice: Optional[str] = None, tool: str = "",
                 schema: Optional[Schema] = None, go_on: bool = False, request: bool = True, as_template: bool = False) -> Any:
        chosen_flags = {"REMORA_PROMPT_CONTINUE": go_on, "REMORA_PROMPT_NO_REQUEST": not request,
                        "REMORA_PROMPT_AS_TEMPLATE": as_template}
        flags = sum(D.values[name] for name, on in chosen_flags.items() if on)
        thinks = 0 if think is None else D.values["REMORA_THINK_ON" if think else "REMORA_THINK_OFF"]
        chosen = _abi.value("remora_tool_choices", "REMORA_CHOICE_", choice) if choice else 0
        return D.make("remora_prompt_opts", flags=flags, think=thinks, effort=effort, choice=chosen, tool=_abi.text(tool),
                      schema=None if schema is None else _abi.text(schema_text(schema)))

    def prompt(self, **options: Any) -> Prompt:
        """The prompt for the next answer. think: True or False; effort: of thinking, 1 to 100; choice: "none", "required" or
        "named" of tools, with `tool` the name; schema: families that were trained to be told get it; go_on: with the last
        turn's text; request=False: end behind the last turn; as_template: with what the family's own template leaves out."""
        o = self._options(**options)
        info = D.make("remora_prompt_info")
        with use(self, False) as p:
            tokens = tokens_call("remora_chat_prompt", (p, o), 1024, info)
        return Prompt(tokens, info.begin, bool(info.calls))

    def constraint(self, *, one_call: bool = False, lax: bool = False, **options: Any) -> Constraint:
        """What may answer the prompt of the same options: text, and calls of declared tools with arguments that fit."""
        flags = (D.values["REMORA_ANSWER_ONE_CALL"] if one_call else 0) | (D.values["REMORA_ANSWER_LAX"] if lax else 0)
        with use(self, False) as p:
            return Constraint._of(create("remora_chat_constraint", p, self._options(**options),
                                         D.make("remora_answer_opts", flags=flags)))

    def answer(self, session: Session, sampler: Optional[Sampler] = None, *, max_tokens: int = 0, schema: Optional[Schema] = None,
               cancel: Optional[Cancel] = None, stop: Sequence[str] = (), add: bool = True, bounded: bool = False,
               **prompt: Any) -> "Answer":
        """Ask for an answer: an iterator of events. When it is through, the answer is a turn of the conversation (add).

        bounded: it keeps to the chat format, and its calls to the tools, as `constraint` says. Others are options of `prompt`.
        """
        chosen = sampler or Sampler.greedy(self.model)
        if schema is not None:
            chosen.constrain(Constraint.schema(self.model, schema))
        elif bounded:
            chosen.constrain(self.constraint(**prompt))
        asked = self.prompt(**prompt)
        session.sync(asked.tokens)
        return Answer(self, asked, session, chosen, max_tokens, stop, cancel, add)


class ChatParse(Handle):
    """Reads an answer: tokens in, events out."""

    _free = "remora_chat_parse_free"

    def __init__(self, model: Model, *, format: Optional[str] = None, chat: Optional[Chat] = None, begin: int = 0,
                 calls: bool = False) -> None:
        o = D.make("remora_chat_parse_opts", format=None if format is None else format.encode(), begin=begin,
                   flags=D.values["REMORA_CHAT_PARSE_CALLS"] if calls else 0)
        with use(model, False) as m, use(chat, False) if chat is not None else nullcontext() as c:
            o.chat = c
            super().__init__(create("remora_chat_parse_create", m, o))

    def clone(self) -> "ChatParse":
        """Another one that goes on from the same place."""
        with use(self, False) as p:
            return ChatParse._of(create("remora_chat_parse_clone", p))

    def copy_from(self, other: "ChatParse") -> None:
        """Be as `other` is, a clone of this one or what it was cloned from: an answer is taken back to an earlier place."""
        with use(self) as to, use(other, False) as p:
            call("remora_chat_parse_copy", to, p)

    def _events(self, function: str, data: Any, size: int) -> Iterator[Event]:
        used = ctypes.c_size_t()
        at = 0
        step = ctypes.sizeof(data) // max(len(data), 1)
        while True:
            event = D.make("remora_chat_event")
            rest = type(data).from_buffer(data) if at == 0 else (data._type_ * (len(data) - at)).from_buffer(data, at * step)
            with use(self) as p:
                status = call(function, p, rest, size - at, used, event)
                made = _event(event) if status == _abi.MORE else None
            at += used.value
            if made is None:
                return
            yield made

    def push(self, tokens: Sequence[int]) -> Iterator[Event]:
        """The events of the next tokens. Take all of them."""
        return self._events("remora_chat_parse_next", _abi.tokens_array([*tokens, 0]), len(tokens))

    def push_text(self, text: str) -> Iterator[Event]:
        """The same for text whose tokens are not known."""
        raw = _abi.utf8(text)
        return self._events("remora_chat_parse_text", ctypes.create_string_buffer(raw), len(raw))

    def end(self, cut: bool = False) -> Iterator[Event]:
        """The end of the answer; cut: it did not end by itself. FormatError: it broke its format."""
        status = _abi.MORE
        while status == _abi.MORE:
            event = D.make("remora_chat_event")
            with use(self) as p:
                status = call("remora_chat_parse_end", p, int(cut), event)
                made = _event(event)
            yield made

    def info(self) -> Dict[str, Any]:
        """The numbers of remora_chat_parse_info."""
        with use(self, False) as p:
            return read_struct("remora_chat_parse_get_info", p, "remora_chat_parse_info")


def _event(e: Any) -> Event:
    return Event(PARTS[e.kind], _abi.text_of(e.text), e.call, _abi.text_of(e.id), FINISHES.get(e.finish))


class Answer:
    """An answer that is being made: iterate over its events; then `message` is it as OpenAI's API has messages."""

    def __init__(self, chat: Chat, prompt: Prompt, session: Session, sampler: Sampler, max_tokens: int, stop: Sequence[str],
                 cancel: Optional[Cancel], add: bool) -> None:
        self.prompt = prompt
        self.generation = session.generate(sampler, max_tokens=max_tokens, stop=stop, cancel=cancel)
        self.reasoning = ""
        self.content = ""
        self.calls: List[Dict[str, str]] = []
        self.finish: Optional[str] = None
        self._chat = chat
        self._add = add
        self._parse = ChatParse(chat.model, chat=chat, begin=prompt.begin, calls=prompt.calls)
        self._events = self._run()

    def _take(self, event: Event) -> None:
        if event.kind == "reasoning":
            self.reasoning += event.text
        elif event.kind == "content":
            self.content += event.text
        elif event.kind == "call":
            self.calls.append({"id": event.id, "name": event.text, "arguments": ""})
        elif event.kind == "arguments":
            self.calls[event.call]["arguments"] += event.text
        elif event.kind == "end":
            self.finish = event.finish

    def _raw(self) -> Iterator[Event]:
        seen = 0
        for _ in self.generation:
            yield from self._parse.push(self.generation.tokens[seen:])
            seen = len(self.generation.tokens)
        yield from self._parse.push(self.generation.tokens[seen:])
        yield from self._parse.end(self.generation.reason not in ("end_of_turn", "stop"))

    def _run(self) -> Iterator[Event]:
        for event in self._raw():
            self._take(event)
            yield event
        self._parse.close()
        if self._add:
            self._chat.add("assistant", self.content, reasoning=self.reasoning, calls=self.calls)

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def text(self) -> str:
        """The answer's text, when all of it is there."""
        for _ in self:
            pass
        return self.content

    @property
    def message(self) -> Dict[str, Any]:
        """The answer in the form of OpenAI's API, as far as it is there."""
        made: Dict[str, Any] = {"role": "assistant", "content": self.content}
        if self.reasoning:
            made["reasoning_content"] = self.reasoning
        if self.calls:
            made["tool_calls"] = [{"id": c["id"] or f"call_{i}", "type": "function",
                                   "function": {"name": c["name"], "arguments": c["arguments"]}} for i, c in enumerate(self.calls)]
        return made
