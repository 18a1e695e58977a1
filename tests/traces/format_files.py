"""Files as the makers of each format write them, and the traces that they mean.

The names of the fields are those of the makers' documentation; the contents are our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tunixrt.traces.importers.table import SourceFormat


@dataclass(frozen=True)
class FormatFile:
    """A file, the traces in it without their version, and what is noted and dropped.

    Attributes:
        name: of the case.
        source_format: of the file.
        records: one per line.
        traces: schema 1.1 if they have messages, else 1.0.
        noted: the count of each note.
        columns: the map of the format ``columns``.
        unsaid: values, or words of them, that are structure or that are said otherwise.
    """

    name: str
    source_format: SourceFormat
    records: list[dict[str, Any]]
    traces: list[dict[str, Any]]
    noted: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    columns: str | None = None
    unsaid: tuple[object, ...] = ()

    @property
    def text(self) -> str:
        """The file."""
        return "".join(json.dumps(record) + "\n" for record in self.records)


def user(content: str, **fields: Any) -> dict[str, Any]:
    """A turn of the user."""
    return {"role": "user", "content": content, **fields}


def model(content: str, **fields: Any) -> dict[str, Any]:
    """A turn of the assistant."""
    return {"role": "assistant", "content": content, **fields}


def system(content: str) -> dict[str, Any]:
    """A system message."""
    return {"role": "system", "content": content}


def tool(content: str, **fields: Any) -> dict[str, Any]:
    """A result of a tool."""
    return {"role": "tool", "content": content, **fields}


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A conversation without its version."""
    return {"messages": list(messages), "meta": {}, **fields}


_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_WEATHER = {"name": "weather", "description": "The weather in a city", "parameters": _PARAMETERS}

OPENAI = FormatFile(
    "OpenAI fine-tuning",
    SourceFormat.MESSAGES,
    [
        {
            "messages": [
                {"role": "developer", "content": "Use tools."},
                {"role": "user", "content": "Rain in Oslo?", "name": "kari"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                        }
                    ],
                    "weight": 0,
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "rain, 7 degrees"},
                {"role": "assistant", "content": "Yes, it rains.", "weight": 1},
            ],
            "tools": [{"type": "function", "function": _WEATHER}],
            "parallel_tool_calls": False,
        }
    ],
    [
        chat(
            system("Use tools."),
            user("Rain in Oslo?", name="kari"),
            model(
                "",
                tool_calls=[{"id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}],
                train=False,
            ),
            tool("rain, 7 degrees", tool_call_id="call_1"),
            model("Yes, it rains."),
            tools=[_WEATHER],
            meta={"parallel_tool_calls": False},
        )
    ],
    unsaid=("developer", "function", 0, 1),
)

OPENAI_FUNCTIONS = FormatFile(
    "OpenAI functions, before tools",
    SourceFormat.MESSAGES,
    [
        {
            "messages": [
                {"role": "user", "content": "Rain in Bergen?", "name": ""},
                {
                    "role": "assistant",
                    "content": "",
                    "function_call": {"name": "weather", "arguments": '{"city": "Bergen"}'},
                },
                {"role": "function", "name": "weather", "content": '{"rain": true}'},
                {"role": "assistant", "content": [{"type": "text", "text": "As ever."}]},
            ],
            "functions": [_WEATHER],
        }
    ],
    [
        chat(
            user("Rain in Bergen?"),
            model("", tool_calls=[{"name": "weather", "arguments": {"city": "Bergen"}}]),
            tool('{"rain": true}', name="weather"),
            model("As ever."),
            tools=[_WEATHER],
        )
    ],
    unsaid=("function", "text"),
)

TRL = FormatFile(
    "TRL, from a table that fills up with nulls",
    SourceFormat.MESSAGES,
    [
        {
            "messages": [
                {"role": "system", "content": "Think.", "thinking": None, "tool_calls": None},
                {"role": "user", "content": "2 + 2?", "thinking": None, "tool_calls": None},
                {
                    "role": "assistant",
                    "content": "4",
                    "thinking": "Two and two are four.",
                    "tool_calls": None,
                },
            ],
            "source": "tables",
            "score": 0.5,
            "level": None,
        }
    ],
    [
        chat(
            system("Think."),
            user("2 + 2?"),
            model("4", reasoning="Two and two are four."),
            meta={"source": "tables", "score": 0.5},
        )
    ],
)

CHAT_LOG = FormatFile(
    "a chat log, its fields of messages kept",
    SourceFormat.MESSAGES,
    [
        {
            "conversation_id": "a1b2",
            "conversation": [
                {"role": "user", "content": "3 * 3?", "timestamp": "2026-01-02Z", "weight": 0.5},
                {"role": "assistant", "content": "<think>\nNine.\n</think>\n\n9", "turn": 2},
            ],
            "final_answer": "9",
            "meta": {"language": "English"},
        },
        {
            "conversations": [
                {"role": "user", "content": "A third?"},
                {"role": "assistant", "content": "1 / 3\n</think>\n0.333"},
                {"role": "user", "content": "A half?"},
                {"role": "assistant", "content": "<think>1 / 2 is"},
                {"role": "user", "content": "What does <think> do?"},
                {"role": "assistant", "content": "The tag <think> opens reasoning."},
                {"role": "user", "content": "Nothing?"},
                {"role": "assistant", "content": "<think>\n\n</think>\n\nNothing."},
            ],
        },
    ],
    [
        chat(
            user("3 * 3?"),
            model("9", reasoning="Nine."),
            final_answer="9",
            meta={
                "conversation_id": "a1b2",
                "language": "English",
                "message_fields": {
                    "0": {"timestamp": "2026-01-02Z", "weight": 0.5},
                    "1": {"turn": 2},
                },
            },
        ),
        chat(
            user("A third?"),
            model("0.333", reasoning="1 / 3"),
            user("A half?"),
            model("", reasoning="1 / 2 is"),
            user("What does <think> do?"),
            model("The tag <think> opens reasoning."),
            user("Nothing?"),
            model("Nothing."),
        ),
    ],
    noted={
        "empty reasoning, left out": 1,
        "reasoning tag in the middle of a text, left there": 1,
        "reasoning without closing tag, kept as reasoning": 1,
        "reasoning without opening tag, kept as reasoning": 1,
    },
)

LITELLM = FormatFile(
    "LiteLLM, reasoning twice",
    SourceFormat.MESSAGES,
    [
        {
            "messages": [
                {"role": "user", "content": "5 - 2?"},
                {
                    "role": "assistant",
                    "content": "3",
                    "reasoning_content": "Five minus two.",
                    "thinking_blocks": [
                        {"type": "thinking", "thinking": "Five minus two.", "signature": "x9=="}
                    ],
                },
            ]
        }
    ],
    [chat(user("5 - 2?"), model("3", reasoning="Five minus two."))],
    noted={"field of a content part beside its text, left out": 1},
    unsaid=("thinking", "x9=="),
)

ANTHROPIC = FormatFile(
    "Anthropic",
    SourceFormat.MESSAGES,
    [
        {
            "model": "some-model",
            "max_tokens": 512,
            "system": [{"type": "text", "text": "Be exact.", "cache_control": {"type": "e"}}],
            "tools": [{"name": "clock", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": "What time is it?"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Ask the clock.", "signature": "EqQ="},
                        {"type": "redacted_thinking", "data": "EmwK"},
                        {"type": "text", "text": "Let me see."},
                        {"type": "tool_use", "id": "tu_1", "name": "clock", "input": {"tz": "Z"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "tu_1",
                            "is_error": False,
                            "content": [{"type": "text", "text": "15:00"}],
                        },
                        {"type": "text", "text": "And in words?"},
                    ],
                },
                {"role": "assistant", "content": "Three o'clock."},
            ],
        }
    ],
    [
        chat(
            system("Be exact."),
            user("What time is it?"),
            model(
                "Let me see.",
                reasoning="Ask the clock.",
                tool_calls=[{"id": "tu_1", "name": "clock", "arguments": {"tz": "Z"}}],
            ),
            tool("15:00", tool_call_id="tu_1"),
            user("And in words?"),
            model("Three o'clock."),
            tools=[{"name": "clock", "parameters": {"type": "object"}}],
            meta={
                "model": "some-model",
                "max_tokens": 512,
                "message_fields": {"3": {"is_error": False}},
            },
        )
    ],
    noted={
        "encrypted reasoning, left out": 1,
        "field of a content part beside its text, left out": 2,
    },
    unsaid=(
        "text", "thinking", "redacted_thinking", "tool_use", "tool_result", "e", "EqQ=", "EmwK",
    ),
)  # fmt: skip

GEMINI = FormatFile(
    "Gemini",
    SourceFormat.MESSAGES,
    [
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Use tools."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Sum of 1 and 2?"}]},
                {
                    "role": "model",
                    "parts": [
                        {"text": "I should call sum.", "thought": True},
                        {"functionCall": {"name": "sum", "args": {"a": 1, "b": 2}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "sum", "response": {"result": 3}}}],
                },
                {"role": "model", "parts": [{"text": "It is "}, {"text": "3."}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "sum", "description": "Adds"}]}],
            "generationConfig": {"temperature": 0.25},
        }
    ],
    [
        chat(
            system("Use tools."),
            user("Sum of 1 and 2?"),
            model(
                "",
                reasoning="I should call sum.",
                tool_calls=[{"name": "sum", "arguments": {"a": 1, "b": 2}}],
            ),
            tool('{"result":3}', name="sum"),
            model("It is 3."),
            tools=[{"name": "sum", "description": "Adds"}],
            meta={"generationConfig": {"temperature": 0.25}},
        )
    ],
    noted={"content in several parts, joined": 1},
    unsaid=("model", True),
)

SHAREGPT = FormatFile(
    "ShareGPT with tools",
    SourceFormat.SHAREGPT,
    [
        {
            "conversations": [
                {"from": "human", "value": "Snow in Oslo?"},
                {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": 1}}'},
                {"from": "observation", "value": "snow"},
                {"from": "gpt", "value": "<think>It said snow.</think>Yes.", "weight": 0},
            ],
            "system": "Answer briefly.",
            "tools": json.dumps([_WEATHER]),
            "id": "sg-1",
        }
    ],
    [
        chat(
            system("Answer briefly."),
            user("Snow in Oslo?"),
            model("", tool_calls=[{"name": "weather", "arguments": {"city": 1}}]),
            tool("snow"),
            model("Yes.", reasoning="It said snow.", train=False),
            tools=[_WEATHER],
            meta={"id": "sg-1"},
        )
    ],
    unsaid=("human", "gpt", "function_call", "observation", 0),
)

HERMES = FormatFile(
    "ShareGPT with calls between tags",
    SourceFormat.SHAREGPT,
    [
        {
            "conversations": [
                {"from": "system", "value": "You may call echo."},
                {"from": "human", "value": "Echo a."},
                {
                    "from": "gpt",
                    "value": "Calling.\n<tool_call>\n"
                    '{"name": "echo", "arguments": {"text": "a"}}\n</tool_call>',
                },
                {"from": "tool", "value": "<tool_response>\na\n</tool_response>"},
                {"from": "gpt", "value": "It said a."},
            ]
        }
    ],
    [
        chat(
            system("You may call echo."),
            user("Echo a."),
            model("Calling.", tool_calls=[{"name": "echo", "arguments": {"text": "a"}}]),
            tool("a"),
            model("It said a."),
        )
    ],
    unsaid=("human", "gpt", "name", "arguments", "text"),
)

ALPACA = FormatFile(
    "Alpaca",
    SourceFormat.ALPACA,
    [
        {"instruction": "Name a prime.", "input": "", "output": "7", "text": "as a whole"},
        {
            "instruction": "Add.",
            "input": "1, 2",
            "output": "3",
            "system": "Add numbers.",
            "history": [["Add 1, 1.", "2"]],
        },
    ],
    [
        chat(user("Name a prime."), model("7"), meta={"text": "as a whole"}),
        chat(
            system("Add numbers."),
            user("Add 1, 1."),
            model("2"),
            user("Add.\n1, 2"),
            model("3"),
        ),
    ],
)

PROMPT_COMPLETION = FormatFile(
    "prompt and completion",
    SourceFormat.PROMPT_COMPLETION,
    [
        {"prompt": "The sky is", "completion": " blue.", "split": "train"},
        {
            "prompt": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": "Bye"},
            ],
            "completion": [{"role": "assistant", "content": "Bye!"}],
        },
    ],
    [
        chat(user("The sky is"), model(" blue."), meta={"split": "train"}),
        chat(
            system("Be kind."),
            user("Hello"),
            model("Hello!", train=False),
            user("Bye"),
            model("Bye!"),
        ),
    ],
)

COLUMNS = FormatFile(
    "columns with a map",
    SourceFormat.COLUMNS,
    [
        {
            "problem": "What is 6 * 7?",
            "runs": [{"model": "m1", "trace": ["6 * 7", "is 42"]}, {"model": "m2", "trace": []}],
            "solution": 42,
            "level": {"name": "easy", "n": 1},
        }
    ],
    [
        chat(
            user("What is 6 * 7?"),
            model("42", reasoning="6 * 7\nis 42"),
            meta={
                "runs": [{"model": "m1"}, {"model": "m2", "trace": []}],
                "level": {"name": "easy", "n": 1},
            },
        )
    ],
    columns="prompt=problem,reasoning=runs.0.trace,answer=solution",
    unsaid=(42,),
)

COLUMNS_CHAT = FormatFile(
    "columns with messages further in",
    SourceFormat.COLUMNS,
    [
        {
            "request": {"messages": [user("Hi")], "temperature": 0},
            "chat": {"log": [user("Hi"), model("<think>Greet.</think>Hi!")], "n": 2},
            "key": "hi",
        }
    ],
    [
        chat(
            user("Hi"),
            model("Hi!", reasoning="Greet."),
            final_answer="hi",
            meta={"request": {"messages": [user("Hi")], "temperature": 0}, "chat": {"n": 2}},
        )
    ],
    columns="messages=chat.log,answer=key",
)

THINK = FormatFile(
    "completions with tags",
    SourceFormat.THINK,
    [
        {
            "prompt": "A half of 3/2?",
            "completion": "<think>\nHalve it.\n\nSo 3/4.\n</think>\n\nIt is not \\boxed{1}, but "
            "\\boxed{\\frac{3}{4}}.",
            "source": "r1",
        },
        {
            "prompt": "2 + 3?",
            "completion": "<reasoning>\nCount on.\n</reasoning>\n<answer>\n5\n</answer>\n",
        },
        {
            "prompt": "1 + 1?",
            "completion": "<|begin_of_thought|>\n\nEasy.\n\n<|end_of_thought|>\n\n"
            "<|begin_of_solution|>\n\nSo \\boxed{2}.\n\n<|end_of_solution|>",
        },
        {"prompt": "Only closed?", "completion": "Think so.</think><answer>yes"},
        {"prompt": "Cut off?", "completion": "<think>It goes on and"},
        {"prompt": "Cut off later?", "completion": "<think>It ends<answer>here</answer>"},
        {"prompt": "An open box?", "completion": "<think>a</think>\\boxed{\\frac{1}{2}"},
        {"prompt": "No tags?", "completion": "None."},
    ],
    [
        chat(
            user("A half of 3/2?"),
            model(
                "It is not \\boxed{1}, but \\boxed{\\frac{3}{4}}.",
                reasoning="Halve it.\n\nSo 3/4.",
            ),
            final_answer="\\frac{3}{4}",
            meta={"source": "r1"},
        ),
        chat(user("2 + 3?"), model("5", reasoning="Count on."), final_answer="5"),
        chat(user("1 + 1?"), model("So \\boxed{2}.", reasoning="Easy."), final_answer="2"),
        chat(user("Only closed?"), model("yes", reasoning="Think so."), final_answer="yes"),
        chat(user("Cut off?"), model("", reasoning="It goes on and")),
        chat(user("Cut off later?"), model("here", reasoning="It ends"), final_answer="here"),
        chat(user("An open box?"), model("\\boxed{\\frac{1}{2}", reasoning="a")),
        chat(user("No tags?"), model("None.")),
    ],
    noted={
        "\\boxed without closing brace, not an answer": 1,
        "answer without closing tag, kept as answer": 1,
        "reasoning without closing tag, kept as reasoning": 2,
        "reasoning without opening tag, kept as reasoning": 1,
        "text without reasoning tags, kept as a turn": 1,
    },
)

GSM8K = FormatFile(
    "GSM8K",
    SourceFormat.GSM8K,
    [
        {"question": "Half of 48?", "answer": "48/2 = <<48/2=24>>24.\n#### 24"},
        {"question": "And of 2?", "answer": "2/2 is 1.\n#### 1", "id": 7},
        {"question": "And of 4?", "answer": "#### 2"},
    ],
    [
        {
            "prompt": "Half of 48?",
            "steps": [{"i": 0, "type": "reason", "content": "48/2 = <<48/2=24>>24."}],
            "final_answer": "24",
            "meta": {"source": "gsm8k"},
        },
        {
            "prompt": "And of 2?",
            "steps": [{"i": 0, "type": "reason", "content": "2/2 is 1."}],
            "final_answer": "1",
            "meta": {"source": "gsm8k", "id": 7},
        },
        chat(user("And of 4?"), model("2"), final_answer="2", meta={"source": "gsm8k"}),
    ],
    unsaid=("#### ",),
)

ATIF = FormatFile(
    "ATIF",
    SourceFormat.ATIF,
    [
        {
            "schema_version": "ATIF-v1.6",
            "session_id": "s-1",
            "agent": {
                "name": "solver",
                "version": "1.0.0",
                "tool_definitions": [{"type": "function", "function": _WEATHER}],
            },
            "steps": [
                {"step_id": 1, "source": "system", "message": "You are a solver."},
                {"step_id": 2, "source": "user", "message": "Rain?", "timestamp": "2026-01-01Z"},
                {
                    "step_id": 3,
                    "source": "agent",
                    "message": "I look.",
                    "reasoning_content": "Ask.",
                    "model_name": "m",
                    "tool_calls": [
                        {
                            "tool_call_id": "c1",
                            "function_name": "weather",
                            "arguments": {"city": "Oslo"},
                        }
                    ],
                    "observation": {
                        "results": [
                            {"source_call_id": "c1", "content": [{"type": "text", "text": "rain"}]}
                        ]
                    },
                    "metrics": {"prompt_tokens": 20, "completion_token_ids": [5, 6]},
                },
                {"step_id": 4, "source": "agent", "message": "It rains."},
                {"step_id": 5, "source": "agent", "message": "Done."},
            ],
            "final_metrics": {"total_steps": 5},
            "continued_trajectory_ref": "s-2.json",
        },
        {
            "schema_version": "ATIF-v1.7",
            "session_id": "s-2",
            "agent": {"name": "solver", "version": "1.0.0"},
            "steps": [
                {"step_id": 1, "source": "user", "message": "Rain?", "is_copied_context": True},
                {
                    "step_id": 2,
                    "source": "agent",
                    "message": "ls",
                    "is_copied_context": True,
                    "observation": {"results": [{"content": "a.txt"}]},
                },
                {"step_id": 3, "source": "system", "message": "Time is up."},
                {"step_id": 4, "source": "agent", "message": ""},
                {"step_id": 5, "source": "agent", "message": "Stop."},
            ],
        },
    ],
    [
        chat(
            system("You are a solver."),
            user("Rain?"),
            model(
                "I look.",
                reasoning="Ask.",
                tool_calls=[{"id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}],
            ),
            tool("rain", tool_call_id="c1"),
            model("It rains.\n\nDone."),
            tools=[_WEATHER],
            meta={
                "schema_version": "ATIF-v1.6",
                "session_id": "s-1",
                "agent": {"name": "solver", "version": "1.0.0"},
                "final_metrics": {"total_steps": 5},
                "continued_trajectory_ref": "s-2.json",
                "steps": [
                    {"step_id": 2, "timestamp": "2026-01-01Z"},
                    {
                        "step_id": 3,
                        "model_name": "m",
                        "metrics": {"prompt_tokens": 20, "completion_token_ids": [5, 6]},
                    },
                ],
            },
        ),
        chat(
            user("Rain?"),
            model("ls", train=False),
            user("a.txt\n\nTime is up."),
            model("Stop."),
            meta={
                "schema_version": "ATIF-v1.7",
                "session_id": "s-2",
                "agent": {"name": "solver", "version": "1.0.0"},
                "steps": [
                    {"step_id": 1, "is_copied_context": True},
                    {"step_id": 2, "is_copied_context": True},
                ],
            },
        ),
    ],
    noted={
        "observation without a tool call, kept as a user turn": 1,
        "step without text, reasoning and tool calls, left out": 1,
        "steps of one source in a row, joined to one turn": 2,
        "system step after the first turn, kept as a user turn": 1,
        "trajectory that continues in another file": 1,
    },
    unsaid=("agent", "function", "text", 1, 4, 5),
)

SESSION = FormatFile(
    "a session of the Hub",
    SourceFormat.SESSION,
    [
        {"type": "session", "harness": "my-agent", "id": "abc123", "name": "the time"},
        {"type": "message", "message": {"role": "user", "content": "What time is it?"}},
        {
            "type": "message",
            "message": {
                "role": "assistant",
                "content": "",
                "reasoningContent": "I need a clock.",
                "toolCalls": [{"id": "t1", "function": {"name": "time", "arguments": "{}"}}],
                "model": "m-1",
            },
        },
        {
            "type": "message",
            "message": {"role": "tool", "toolCallId": "t1", "content": "15:00", "timestamp": 9},
        },
        {"type": "message", "message": {"role": "assistant", "content": "It is 15:00."}},
    ],
    [
        chat(
            user("What time is it?"),
            model(
                "",
                reasoning="I need a clock.",
                tool_calls=[{"id": "t1", "name": "time", "arguments": {}}],
            ),
            tool("15:00", tool_call_id="t1"),
            model("It is 15:00."),
            meta={
                "harness": "my-agent",
                "id": "abc123",
                "name": "the time",
                "message_fields": {"1": {"model": "m-1"}, "2": {"timestamp": 9}},
            },
        )
    ],
    unsaid=("session", "message", "{}"),
)


def _sample(filter_name: str, found: str, score: float) -> dict[str, Any]:
    return {
        "doc_id": 0,
        "doc": {"question": "2 + 2?", "answer": "#### 4"},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": "Q: 2 + 2?\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [["Two and two. The answer is 4."]],
        "filtered_resps": [found],
        "filter": filter_name,
        "metrics": ["exact_match"],
        "doc_hash": "d0",
        "exact_match": score,
    }


_TASK = {
    "doc": {"question": "2 + 2?", "answer": "#### 4"},
    "doc_id": 0,
    "target": "4",
    "metrics": ["exact_match"],
}
LM_EVAL = FormatFile(
    "samples of lm-evaluation-harness",
    SourceFormat.LM_EVAL,
    [
        _sample("strict-match", "[invalid]", 0.25),
        {
            **_sample("strict-match", "5", 0.0),
            "arguments": {"gen_args_0": {"arg_0": json.dumps([user("2 + 2?")]), "arg_1": {}}},
            "resps": [["5", "4"]],
            "filtered_resps": [["5", "4"]],
        },
        _sample("flexible-extract", "4", 1.0),
    ],
    [
        chat(
            user("Q: 2 + 2?\nA:"),
            model("Two and two. The answer is 4."),
            meta={
                **_TASK,
                "arguments": {"until": ["Q:"]},
                "filter": "strict-match",
                "doc_hash": "d0",
                "exact_match": 0.25,
            },
        ),
        *(
            chat(
                user("2 + 2?"),
                model(text),
                final_answer=text,
                meta={
                    **_TASK,
                    "arguments": {},
                    "filter": "strict-match",
                    "doc_hash": "d0",
                    "exact_match": 0,
                    "repeat": repeat,
                },
            )
            for repeat, text in enumerate("54")
        ),
    ],
    noted={"answer that the filter did not find, left out": 1},
    dropped={"sample of another filter than the first": 1},
    unsaid=("[invalid]", "flexible-extract", 1.0),
)

TUNIXRT = FormatFile(
    "our own, both schemas",
    SourceFormat.TUNIXRT,
    [
        {
            "trace_version": "1.0",
            "prompt": "1 + 1?",
            "steps": [{"i": 0, "type": "add", "content": "1 + 1 = 2"}],
            "final_answer": "2",
            "meta": {"source": "hand"},
        },
        {"trace_version": "1.1", **chat(user("1 + 1?"), model("2"))},
    ],
    [
        {
            "prompt": "1 + 1?",
            "steps": [{"i": 0, "type": "add", "content": "1 + 1 = 2"}],
            "final_answer": "2",
            "meta": {"source": "hand"},
        },
        chat(user("1 + 1?"), model("2")),
    ],
    unsaid=("1.0", "1.1"),
)

FILES = [
    OPENAI, OPENAI_FUNCTIONS, TRL, CHAT_LOG, LITELLM, ANTHROPIC, GEMINI, SHAREGPT, HERMES, ALPACA,
    PROMPT_COMPLETION, COLUMNS, COLUMNS_CHAT, THINK, GSM8K, ATIF, SESSION, LM_EVAL, TUNIXRT,
]  # fmt: skip
