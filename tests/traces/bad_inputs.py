"""Records that no trace can be made of, and the sentence that each of them gets."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.traces.format_files import model, system, tool, user


class Bad(NamedTuple):
    """A bad record: its format, the name of the case, the line, and its sentence."""

    source_format: str
    name: str
    line: str
    sentence: str


COLUMNS = "prompt=q,reasoning=r,answer=a.text"
_CALL = {"id": "c1", "name": "f", "arguments": {}}


def chat(*messages: Any, **columns: Any) -> str:
    """The line of a chat."""
    return json.dumps({"messages": list(messages), **columns})


def turns(*turns: Any, **columns: Any) -> str:
    """The line of a conversation of ShareGPT; a turn is its role and its text."""
    said = [dict(zip(("from", "value"), turn, strict=True)) for turn in turns]
    return json.dumps({"conversations": said, **columns})


def parts(*parts: Any, role: str = "user") -> str:
    """The line of a chat whose first content is these parts."""
    return chat({"role": role, "content": list(parts)}, model("a"))


def call(function: Any, **fields: Any) -> str:
    """The line of a chat with a tool call."""
    calls = [{"id": "c1", "type": "function", "function": function, **fields}]
    return chat(user("q"), {"role": "assistant", "content": None, "tool_calls": calls})


def gemini(*parts: Any, role: str = "model") -> str:
    """The line of a chat of Gemini whose second content has these parts."""
    asked = {"role": "user", "parts": [{"text": "q"}]}
    return json.dumps({"contents": [asked, {"role": role, "parts": list(parts)}]})


def atif(*steps: Any, **fields: Any) -> str:
    """The line of a trajectory."""
    whole = {"schema_version": "ATIF-v1.6", "session_id": "s", "agent": {}, "steps": list(steps)}
    return json.dumps({**whole, **fields})


def session(*lines: Any, header: Any = None) -> str:
    """The lines of a session."""
    first = {"type": "session", "harness": "h", "id": "1"} if header is None else header
    return "\n".join(json.dumps(line) for line in (first, *lines))


def message(**fields: Any) -> dict[str, Any]:
    """A message of a session in its envelope."""
    return {"type": "message", "message": fields}


def sample(**fields: Any) -> str:
    """The line of a sample of lm-evaluation-harness; a change to ... removes the field."""
    whole = {"doc": {}, "resps": [["r"]], "arguments": [["p", {}]], "filter": "f", **fields}
    return json.dumps({key: item for key, item in whole.items() if item is not ...})


_MEDIA = (
    "A trace holds text only, no images, audio or files: leave the record out, or import with "
    "--on-error quarantine."
)
_ROLES = "one of system, user, assistant, tool"
_PARTS = "text, or a list of parts with text"
_OBJECT = "an object, or the text of one in JSON"

BAD = [
    # messages
    Bad(
        "messages",
        "a text",
        '"q"',
        'The record should be an object with messages, but is the text "q".',
    ),
    Bad(
        "messages",
        "no messages",
        '{"message": []}',
        'The field "messages" is missing; it should be a list of messages, each with role and '
        "content.",
    ),
    Bad(
        "messages",
        "messages as text",
        '{"messages": "hi"}',
        'The field "messages" should be a list of messages, each with role and content, but is '
        'the text "hi".',
    ),
    Bad(
        "messages",
        "no turns",
        chat(),
        'The field "messages" should be a list of 2 to 10,000 messages, but is empty.',
    ),
    Bad(
        "messages",
        "one turn",
        chat(user("q")),
        'The field "messages" should be a list of 2 to 10,000 messages, but is a list of 1.',
    ),
    Bad(
        "messages",
        "a message as text",
        chat("q", "a"),
        'The field "messages[0]" should be an object with role and content, but is the text "q".',
    ),
    Bad(
        "messages",
        "no role",
        chat({"content": "q"}, model("a")),
        f'The field "messages[0].role" is missing; it should be {_ROLES}.',
    ),
    Bad(
        "messages",
        "an unknown role",
        chat({"role": "asistant", "content": "q"}),
        f'The field "messages[0].role" should be {_ROLES}, but is the text "asistant". Did you '
        'mean "assistant"?',
    ),
    Bad(
        "messages",
        "a role that is not text",
        chat({"role": 3, "content": "q"}),
        f'The field "messages[0].role" should be {_ROLES}, but is the number 3.',
    ),
    Bad(
        "messages",
        "no content",
        chat({"role": "user"}),
        f'The field "messages[0].content" is missing; it should be {_PARTS}.',
    ),
    Bad(
        "messages",
        "null content of a user",
        chat(user("q"), model("a"), {"role": "user", "content": None}),
        f'The field "messages[2].content" should be {_PARTS}, but is null.',
    ),
    Bad(
        "messages",
        "null content without calls",
        chat(user("q"), {"role": "assistant", "content": None, "tool_calls": []}),
        f'The field "messages[1].content" should be {_PARTS}, but is null.',
    ),
    Bad(
        "messages",
        "content that is a number",
        chat(user("q"), {"role": "assistant", "content": 4}),
        f'The field "messages[1].content" should be {_PARTS}, but is the number 4.',
    ),
    Bad(
        "messages",
        "an empty user",
        chat(user(""), model("a")),
        'The field "messages[0]" should be a user message with text, but is one with empty '
        "content.",
    ),
    Bad(
        "messages",
        "an empty assistant",
        chat(user("q"), model("")),
        'The field "messages[1]" should be an assistant message with content, reasoning or tool '
        "calls, but is an empty one.",
    ),
    Bad(
        "messages",
        "two assistants in a row",
        chat(user("q"), model("a"), model("b")),
        'The field "messages[2]" should be of another role than "messages[1]", but is a second '
        "assistant message in a row.",
    ),
    Bad(
        "messages",
        "two users in a row",
        chat(user("q"), user("q?"), model("a")),
        'The field "messages[1]" should be of another role than "messages[0]", but is a second '
        "user message in a row.",
    ),
    Bad(
        "messages",
        "an assistant first",
        chat(model("a"), user("q")),
        'The field "messages[0]" should be the first user message, but is an assistant message.',
    ),
    Bad(
        "messages",
        "no assistant",
        chat(system("s"), user("q")),
        'The field "messages" should be a list with at least one assistant message, but is '
        "without one.",
    ),
    Bad(
        "messages",
        "a later system message",
        chat(user("q"), system("s"), model("a")),
        'The field "messages[1]" should be another role, as a system message is the first, but '
        "is a system message.",
    ),
    Bad(
        "messages",
        "a tool that was not called",
        chat(user("q"), model("a"), tool("4")),
        'The field "messages[2]" should be another role, as no tool was called, but is a tool '
        "message.",
    ),
    Bad(
        "messages",
        "an answer to another call",
        chat(user("q"), model("", tool_calls=[_CALL]), tool("4", tool_call_id="c2")),
        'The field "messages[2]" should be the answer to one of the tool calls before it ("c1"), '
        'but is one to "c2".',
    ),
    Bad(
        "messages",
        "an image",
        parts({"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "x"}}),
        'The field "messages[0].content[1]" should be text, but is a part of the type '
        f'"image_url". {_MEDIA}',
    ),
    Bad(
        "messages",
        "images alone",
        parts({"type": "image"}, {"type": "image"}),
        'The field "messages[0].content[0]" should be text, but is a part of the type "image". '
        f"{_MEDIA}",
    ),
    Bad(
        "messages",
        "sound",
        parts({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}),
        'The field "messages[0].content[0]" should be text, but is a part of the type '
        f'"input_audio". {_MEDIA}',
    ),
    Bad(
        "messages",
        "a document",
        parts({"type": "document", "source": {"type": "base64", "data": "JVBERi0="}}),
        'The field "messages[0].content[0]" should be text, but is a part of the type '
        f'"document". {_MEDIA}',
    ),
    Bad(
        "messages",
        "a spoken answer",
        chat(user("q"), {"role": "assistant", "content": "a", "audio": {"id": "au_1"}}),
        f'The field "messages[1].audio" should be text, but is audio. {_MEDIA}',
    ),
    Bad(
        "messages",
        "a column of images",
        chat(user("<image> what?"), model("a"), images=[{"bytes": "iVBO", "path": None}]),
        f'The field "images" should be text, but is a column of images. {_MEDIA}',
    ),
    Bad(
        "messages",
        "a part that is a number",
        parts(4),
        'The field "messages[0].content[0]" should be a part with text, but is the number 4.',
    ),
    Bad(
        "messages",
        "a part without its text",
        parts({"type": "text"}),
        'The field "messages[0].content[0].text" should be text, but is missing.',
    ),
    Bad(
        "messages",
        "a part of no kind",
        parts({"bytes": "iVBO"}),
        'The field "messages[0].content[0]" should be text, but is an object with "bytes". '
        f"{_MEDIA}",
    ),
    Bad(
        "messages",
        "calls that are not a list",
        chat(user("q"), model("a", tool_calls={"name": "f"})),
        'The field "messages[1].tool_calls" should be a list of tool calls, but is an object.',
    ),
    Bad(
        "messages",
        "a call that is text",
        chat(user("q"), model("a", tool_calls=["f"])),
        'The field "messages[1].tool_calls[0]" should be an object with name and arguments, but '
        'is the text "f".',
    ),
    Bad(
        "messages",
        "a call without a name",
        call({"arguments": "{}"}),
        'The field "messages[1].tool_calls[0].function.name" should be the name of a tool, but is '
        "missing.",
    ),
    Bad(
        "messages",
        "a call of another kind",
        call({"name": "f"}, type="custom"),
        'The field "messages[1].tool_calls[0].type" should be "function", but is the text '
        '"custom".',
    ),
    Bad(
        "messages",
        "arguments that are not JSON",
        call({"name": "f", "arguments": "{city: 'Oslo'}"}),
        f'The field "messages[1].tool_calls[0].function.arguments" should be {_OBJECT}, but is '
        "the text \"{city: 'Oslo'}\": This is not JSON at column 2: Expecting property name "
        "enclosed in double quotes, and found \"city: 'Oslo'}\".",
    ),
    Bad(
        "messages",
        "arguments with a key twice",
        call({"name": "f", "arguments": '{"a": 1, "a": 2}'}),
        f'The field "messages[1].tool_calls[0].function.arguments" should be {_OBJECT}, but is '
        'the text "{"a": 1, "a": 2}": The key "a" occurs twice in one object: keep one of '
        "the two.",
    ),
    Bad(
        "messages",
        "arguments that are a list",
        call({"name": "f", "arguments": "[1]"}),
        f'The field "messages[1].tool_calls[0].function.arguments" should be {_OBJECT}, but is a '
        "list of 1.",
    ),
    Bad(
        "messages",
        "arguments that are a number",
        call({"name": "f", "arguments": 5}),
        f'The field "messages[1].tool_calls[0].function.arguments" should be {_OBJECT}, but is '
        "the number 5.",
    ),
    Bad(
        "messages",
        "a user who calls",
        chat(user("q", tool_calls=[_CALL]), model("a")),
        'The field "messages[0].tool_calls" should be absent, as only the role assistant has it, '
        "but is of the role user.",
    ),
    Bad(
        "messages",
        "a user who thinks",
        chat(user("q", reasoning_content="hm"), model("a")),
        'The field "messages[0].reasoning_content" should be absent, as only the role assistant '
        "has it, but is of the role user.",
    ),
    Bad(
        "messages",
        "two different thoughts",
        chat(user("q"), model("<think>one</think>a", reasoning="two")),
        'The field "messages[1].content" should be absent, or equal to "messages[1].reasoning", '
        "but is another text.",
    ),
    Bad(
        "messages",
        "reasoning that is an object",
        chat(user("q"), model("a", reasoning={"effort": "low"})),
        'The field "messages[1].reasoning" should be text, but is an object.',
    ),
    Bad(
        "messages",
        "half a weight",
        chat(user("q"), model("a", weight=0.5)),
        'The field "messages[1].weight" should be 0 or 1, or absent, but is the number 0.5.',
    ),
    Bad(
        "messages",
        "a mask that is text",
        chat(user("q"), model("a", train="no")),
        'The field "messages[1].train" should be true, false, or absent, but is the text "no".',
    ),
    Bad(
        "messages",
        "a mask and a weight that disagree",
        chat(user("q"), model("a", train=True, weight=0)),
        'The field "messages[1].weight" should be absent, or equal to "messages[1].train", but is '
        "another text.",
    ),
    Bad(
        "messages",
        "two system messages",
        chat(system("one"), user("q"), model("a"), system="two"),
        'The field "system" should be absent, or equal to "the system message", but is another '
        "text.",
    ),
    Bad(
        "messages",
        "tools that are a number",
        chat(user("q"), model("a"), tools=3),
        'The field "tools" should be a list of tools, or the text of one in JSON, but is the '
        "number 3.",
    ),
    Bad(
        "messages",
        "tools in broken JSON",
        chat(user("q"), model("a"), tools="[{]"),
        'The field "tools" should be a list of tools, or the text of one in JSON, but is the text '
        '"[{]": This is not JSON at column 3: Expecting property name enclosed in double quotes, '
        'and found "]".',
    ),
    Bad(
        "messages",
        "a tool without a name",
        chat(user("q"), model("a"), tools=[{"type": "function", "function": {"description": "d"}}]),
        'The field "tools[0].name" is missing; it should be text of 1 to 256 characters.',
    ),
    # Gemini
    Bad(
        "messages",
        "contents as text",
        '{"contents": "q"}',
        'The field "contents" should be a list of contents, each with role and parts, but is the '
        'text "q".',
    ),
    Bad(
        "messages",
        "an image for Gemini",
        gemini({"inlineData": {"mimeType": "image/png", "data": "iVBO"}}, role="user"),
        'The field "contents[1].parts[0]" should be text, but is a part with "inlineData". '
        f"{_MEDIA}",
    ),
    Bad(
        "messages",
        "another role of Gemini",
        gemini({"text": "a"}, role="assistant"),
        'The field "contents[1].role" should be one of user, model, function, but is the text '
        '"assistant".',
    ),
    Bad(
        "messages",
        "a user of Gemini who calls",
        gemini({"functionCall": {"name": "f", "args": {}}}, role="user"),
        'The field "contents[1].role" should be of the role model, as it has calls, but is the '
        'role "user".',
    ),
    Bad(
        "messages",
        "no parts",
        json.dumps({"contents": [{"role": "user", "text": "q"}]}),
        'The field "contents[0].parts" is missing; it should be a list of parts.',
    ),
    # sharegpt
    Bad(
        "sharegpt",
        "no conversations",
        '{"conversation": []}',
        'The field "conversations" is missing; it should be a list of turns, each with from and '
        "value.",
    ),
    Bad(
        "sharegpt",
        "two turns of one role",
        turns(("human", "q"), ("gpt", "a"), ("gpt", "b")),
        'The field "conversations[2]" should be of another role than "conversations[1]", but is a '
        "second assistant message in a row.",
    ),
    Bad(
        "sharegpt",
        "an unknown role",
        turns(("humam", "q"), ("gpt", "a")),
        'The field "conversations[0].from" should be one of human, gpt, system, function_call, '
        'observation, but is the text "humam". Did you mean "human"?',
    ),
    Bad(
        "sharegpt",
        "no value",
        json.dumps({"conversations": [{"from": "human"}]}),
        'The field "conversations[0].value" should be text, but is missing.',
    ),
    Bad(
        "sharegpt",
        "a call that is not JSON",
        turns(("human", "q"), ("function_call", "weather(Oslo)"), ("observation", "rain")),
        'The field "conversations[1].value" should be a tool call in JSON, but is the text '
        '"weather(Oslo)": This is not JSON at column 1: Expecting value, and found '
        '"weather(Oslo)".',
    ),
    Bad(
        "sharegpt",
        "an observation without a call",
        turns(("human", "q"), ("gpt", "a"), ("observation", "4")),
        'The field "conversations[2]" should be another role, as no tool was called, but is a '
        "tool message.",
    ),
    Bad(
        "sharegpt",
        "a call that does not close",
        turns(("human", "q"), ("gpt", '<tool_call>{"name": "f"}'), ("tool", "4")),
        'The field "conversations[1].value" should be text with </tool_call> after each '
        "<tool_call>, but is without one.",
    ),
    # alpaca
    Bad(
        "alpaca",
        "no output",
        '{"instruction": "i", "input": ""}',
        'The field "output" is missing; it should be text.',
    ),
    Bad(
        "alpaca",
        "an instruction that is a list",
        '{"instruction": ["i"], "output": "o"}',
        'The field "instruction" should be text, but is a list of 1.',
    ),
    Bad(
        "alpaca",
        "a history of one",
        '{"instruction": "i", "output": "o", "history": [["q"]]}',
        'The field "history[0]" should be two texts, but is a list of 1.',
    ),
    # prompt-completion
    Bad(
        "prompt-completion",
        "no completion",
        '{"prompt": "p", "response": "r"}',
        'The field "completion" is missing; it should be text, or a list of messages.',
    ),
    Bad(
        "prompt-completion",
        "a completion that is a number",
        '{"prompt": "p", "completion": 4}',
        'The field "completion" should be text, or a list of messages, but is the number 4.',
    ),
    Bad(
        "prompt-completion",
        "a completion by the user",
        json.dumps({"prompt": [user("q")], "completion": [user("a")]}),
        'The field "completion[0]" should be of another role than "prompt[0]", but is a second '
        "user message in a row.",
    ),
    # think
    Bad(
        "think",
        "a completion as messages",
        json.dumps({"prompt": "p", "completion": [model("a")]}),
        'The field "completion" should be text, but is a list of 1.',
    ),
    Bad(
        "think",
        "nothing but an empty thought",
        '{"prompt": "p", "completion": "<think></think>"}',
        'The field "completion" should be an assistant message with content, reasoning or tool '
        "calls, but is an empty one.",
    ),
    # columns
    Bad(
        "columns",
        "no prompt",
        '{"Q": "q", "a": {"text": "a"}}',
        'The field "q" is missing; it should be the column that the map names. Did you mean "Q"?',
    ),
    Bad(
        "columns",
        "an answer that is an object",
        '{"q": "q", "a": {"text": {"n": 1}}}',
        'The field "a.text" should be text, but is an object.',
    ),
    Bad(
        "columns",
        "neither answer nor reasoning",
        '{"q": "q", "a": ["text"]}',
        'The field "a.text" is missing; it should be the column that the map names.',
    ),
    # atif
    Bad(
        "atif",
        "another version",
        atif(schema_version="2.0"),
        'The field "schema_version" should be "ATIF-v1." and a number, but is the text "2.0".',
    ),
    Bad(
        "atif",
        "no steps",
        '{"schema_version": "ATIF-v1.4"}',
        'The field "steps" is missing; it should be a list of steps, each with source and message.',
    ),
    Bad(
        "atif",
        "another source",
        atif({"step_id": 1, "source": "human", "message": "q"}),
        'The field "steps[0].source" should be one of system, user, agent, but is the text '
        '"human". The known ones are system, user, agent.',
    ),
    Bad(
        "atif",
        "an image",
        atif({"source": "user", "message": [{"type": "image", "source": {"path": "a.png"}}]}),
        f'The field "steps[0].message[0]" should be text, but is a part of the type "image". '
        f"{_MEDIA}",
    ),
    Bad(
        "atif",
        "a result of another call",
        atif(
            {"source": "user", "message": "q"},
            {
                "source": "agent",
                "message": "",
                "tool_calls": [{"tool_call_id": "c1", "function_name": "f", "arguments": {}}],
                "observation": {"results": [{"source_call_id": "c9", "content": "4"}]},
            },
        ),
        'The field "steps[1].observation.results[0]" should be the answer to one of the tool '
        'calls before it ("c1"), but is one to "c9".',
    ),
    Bad(
        "atif",
        "an observation that is text",
        atif({"source": "user", "message": "q", "observation": "4"}),
        'The field "steps[0].observation" should be an object with a list of results, but is the '
        'text "4".',
    ),
    # session
    Bad(
        "session",
        "no header",
        session(header=message(role="user", content="q")),
        'The field "type" should be the text "session" on the first line, but is the text '
        '"message".',
    ),
    Bad(
        "session",
        "no harness",
        session(header={"type": "session", "id": "1"}),
        'The field "harness" is missing; it should be the harness of the session.',
    ),
    Bad(
        "session",
        "another kind of line",
        session({"type": "tool", "message": {}}),
        'The field "type" should be "message", but is the text "tool".',
    ),
    Bad(
        "session",
        "a line that is not JSON",
        session() + "\n{",
        "Line 1 after the header: This is not JSON at column 2: Expecting property name enclosed "
        "in double quotes, and found the end of the text.",
    ),
    Bad(
        "session",
        "two assistants in a row",
        session(
            message(role="user", content="q"),
            message(role="assistant", content="a"),
            message(role="assistant", content="b"),
        ),
        'The field "line 3 after the header" should be of another role than "line 2 after the '
        'header", but is a second assistant message in a row.',
    ),
    # lm-eval
    Bad(
        "lm-eval",
        "no task",
        sample(doc=...),
        'The field "doc" is missing; it should be the record of the task.',
    ),
    Bad(
        "lm-eval",
        "no responses",
        sample(resps=...),
        'The field "resps" is missing; it should be a list with the generated texts of the sample.',
    ),
    Bad(
        "lm-eval",
        "log-likelihoods",
        sample(resps=[[[-1.25, False]], [[-0.5, True]]]),
        'The field "resps" should be a list with the generated texts of the sample, but is one '
        "without texts: log-likelihoods, or the responses of several requests.",
    ),
    Bad(
        "lm-eval",
        "no prompt",
        sample(arguments=...),
        'The field "arguments" is missing; it should be the arguments of the request, with the '
        "prompt.",
    ),
]
