# SPDX-License-Identifier: Apache-2.0
"""OpenAI's Python client on the server: answers field by field.

    client.py PROGRAM MODEL MARKED_MODEL      MARKED_MODEL makes a model that has the markers of calls
"""
import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time

import openai
import pydantic

from serving import run, serving

PROGRAM, MODEL, MARKED = sys.argv[1:4]
CHAT = ('--format', 'deepseek-v3.1')
ASK = [{'role': 'user', 'content': 'Tell me of a cat, as json.'}]
SAME = {'cache_prompt': False}  # the same request has the same answer then
TOOLS = [{'type': 'function', 'function': {'name': name, 'description': 'd', 'strict': True, 'parameters': {
    'type': 'object', 'properties': {'town': {'enum': ['Oslo', 'Rome']}, 'days': {'type': 'integer', 'minimum': 1, 'maximum': 9}},
    'required': ['town', 'days'], 'additionalProperties': False}}} for name in ('get_weather', 'get_tide')]


@contextlib.contextmanager
def client(*options, model=MODEL, key='none'):
    with serving(PROGRAM, model, *options) as s:
        with openai.OpenAI(base_url=s.url + '/v1', api_key=key, max_retries=0) as c:
            yield c


@contextlib.contextmanager
def marked(*options):
    folder = subprocess.run([MARKED], capture_output=True, text=True, check=True).stdout.strip()
    try:
        with client(*options, model=folder) as c:
            yield c
    finally:
        shutil.rmtree(folder)


def usage(u, most):
    assert u.total_tokens == u.prompt_tokens + u.completion_tokens and 0 < u.completion_tokens <= most and u.prompt_tokens > 0, u
    assert 0 <= u.prompt_tokens_details.cached_tokens < u.prompt_tokens
    assert 0 <= u.completion_tokens_details.reasoning_tokens <= u.completion_tokens
    assert u.prompt_cache_hit_tokens == u.prompt_tokens_details.cached_tokens
    assert u.prompt_cache_hit_tokens + u.prompt_cache_miss_tokens == u.prompt_tokens


def chance(t, n_top):
    assert t.logprob <= 0 and len(t.top_logprobs) == n_top
    assert [x.logprob for x in t.top_logprobs] == sorted((x.logprob for x in t.top_logprobs), reverse=True)
    assert bytes(t.bytes).decode(errors='replace') == t.token


def chunks(stream):
    """What holds for every stream of a conversation; returns its parts, joined, and the chunks."""
    got = list(stream)
    assert len({c.id for c in got}) == 1 and len({c.created for c in got}) == 1
    assert all(c.object == 'chat.completion.chunk' and c.model == 'krill.remora' or c.model.startswith('remora-tiny') for c in got)
    assert got[-1].choices == [] and got[-1].usage is not None and all(c.usage is None for c in got[:-1])
    choices = [c.choices[0] for c in got[:-1]]
    assert all(c.index == 0 for c in choices)
    first, last = choices[0].delta.model_dump(exclude_unset=True), choices[-1]
    assert first == {'role': 'assistant', 'content': ''}, first
    assert last.delta.model_dump(exclude_unset=True) == {} and last.finish_reason
    assert all(c.finish_reason is None for c in choices[:-1])
    said, thought, calls = '', '', []
    for c in choices[1:-1]:
        d = c.delta.model_dump(exclude_unset=True)
        assert len(d) == 1 and set(d) <= {'content', 'reasoning_content', 'tool_calls'}, d
        said += d.get('content', '')
        thought += d.get('reasoning_content', '')
        for call in d.get('tool_calls', ()):
            if 'id' in call:
                assert call['index'] == len(calls) and call['type'] == 'function' and call['function']['arguments'] == ''
                calls.append((call['id'], call['function']['name'], []))
            else:
                assert set(call) == {'index', 'function'} and set(call['function']) == {'arguments'}
                calls[call['index']][2].append(call['function']['arguments'])
    return said, thought, [(i, name, ''.join(a)) for i, name, a in calls], last.finish_reason, got


def models():
    with client(*CHAT) as c:
        one, = c.models.list().data
        assert (one.id, one.object, one.owned_by) == ('krill.remora', 'model', 'remora') and one.created <= time.time()
        assert c.models.retrieve('krill.remora').id == one.id
        try:
            c.models.retrieve('gpt')
            raise AssertionError('there is none')
        except openai.NotFoundError as e:
            assert e.code == 'model_not_found'


def chat_whole():
    with client(*CHAT) as c:
        r = c.chat.completions.create(model='x', messages=ASK, max_tokens=20, temperature=0, logprobs=True, top_logprobs=3)
        assert r.id.startswith('chatcmpl-') and r.object == 'chat.completion' and abs(r.created - time.time()) < 3600
        assert r.model == 'krill.remora' and r.system_fingerprint.startswith('remora-')
        choice, = r.choices
        assert (choice.index, choice.finish_reason, choice.message.role) == (0, 'length', 'assistant')
        assert choice.message.tool_calls is None and not hasattr(choice.message, 'reasoning_content')
        usage(r.usage, 20)
        assert r.usage.completion_tokens == 20
        for t in choice.logprobs.content:
            chance(t, 3)
        assert b''.join(bytes(t.bytes) for t in choice.logprobs.content).decode() == choice.message.content
        assert c.chat.completions.create(model='x', messages=ASK, max_completion_tokens=2).choices[0].logprobs is None


def chat_streamed():
    with client(*CHAT) as c:
        how = dict(model='x', messages=ASK, max_tokens=24, temperature=0, logprobs=True, top_logprobs=1, extra_body=SAME)
        whole = c.chat.completions.create(**how)
        said, thought, calls, finish, got = chunks(c.chat.completions.create(**how, stream=True, stream_options={'include_usage': True}))
        assert (said, thought, calls) == (whole.choices[0].message.content, '', [])
        assert finish == whole.choices[0].finish_reason and got[-1].usage == whole.usage
        assert all(''.join(t.token for t in x.choices[0].logprobs.content) == x.choices[0].delta.content
                   for x in got[:-1] if x.choices[0].delta.content), 'they go out with their text'
        streamed = [t for x in got[:-1] if x.choices[0].logprobs for t in x.choices[0].logprobs.content]
        assert streamed == whole.choices[0].logprobs.content
        plain = list(c.chat.completions.create(model='x', messages=ASK, max_tokens=2, stream=True))
        assert all(x.choices for x in plain) and 'usage' not in plain[0].model_dump(exclude_unset=True)


def reasoning():
    with client(*CHAT) as c:
        how = dict(model='x', messages=ASK, max_tokens=30, temperature=0)
        think = {'chat_template_kwargs': {'thinking': True}, **SAME}
        r = c.chat.completions.create(**how, extra_body=think)
        message = r.choices[0].message
        assert message.reasoning_content and message.content == '' and r.choices[0].finish_reason == 'length'
        assert r.usage.completion_tokens_details.reasoning_tokens == r.usage.completion_tokens == 30
        said, thought, _, finish, _ = chunks(c.chat.completions.create(**how, extra_body=think, stream=True, stream_options={'include_usage': True}))
        assert (said, thought, finish) == ('', message.reasoning_content, 'length')
        off = c.chat.completions.create(**how, extra_body={'thinking': {'type': 'disabled'}})
        assert off.choices[0].message.content and off.usage.completion_tokens_details.reasoning_tokens == 0


def stop_and_seed():
    with client(*CHAT) as c:
        def say(**more):
            return c.chat.completions.create(model='x', messages=ASK, max_tokens=24, extra_body=SAME, **more).choices[0]
        free = say(seed=5)
        assert say(seed=5).message.content == free.message.content
        assert any(say(seed=n).message.content != free.message.content for n in range(6, 9))
        word = free.message.content.split()[3]
        cut = say(seed=5, stop=[word, 'never there'])
        assert cut.finish_reason == 'stop' and cut.message.content == free.message.content.split(word)[0]
        banned = say(seed=5, temperature=0, logit_bias={str(n): -100 for n in range(300)})
        assert banned.message.content


class Cat(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra='forbid')
    age: int
    colour: str
    likes: list[str]


def json_answers():
    schema = {'type': 'object', 'properties': {'age': {'type': 'integer', 'maximum': 30}, 'colour': {'enum': ['black', 'red']}},
              'required': ['age', 'colour'], 'additionalProperties': False}
    with client(*CHAT) as c:
        for seed in range(4):
            how = dict(model='x', messages=ASK, max_tokens=300, seed=seed)
            r = c.chat.completions.create(**how, response_format={'type': 'json_schema', 'json_schema': {'name': 'cat', 'schema': schema, 'strict': True}})
            assert r.choices[0].finish_reason == 'stop', r
            cat = json.loads(r.choices[0].message.content)
            assert set(cat) == {'age', 'colour'} and cat['age'] <= 30 and cat['colour'] in ('black', 'red')
            r = c.chat.completions.create(**how, response_format={'type': 'json_object'})
            assert r.choices[0].finish_reason == 'length' or isinstance(json.loads(r.choices[0].message.content), dict)
        r = c.chat.completions.parse(model='x', messages=ASK, temperature=0, max_tokens=1500, response_format=Cat)
        assert isinstance(r.choices[0].message.parsed, Cat), r
        try:
            c.chat.completions.create(model='x', messages=ASK, response_format={'type': 'json_schema', 'json_schema': {
                'name': 'x', 'strict': True, 'schema': {'not': {'type': 'string', 'pattern': 'a'}, 'uniqueItems': True}}})
            raise AssertionError('it cannot be enforced')
        except openai.BadRequestError as e:
            assert e.type == 'invalid_request_error' and e.param == 'messages', e


def right_call(name, arguments):
    assert name in ('get_weather', 'get_tide')
    a = json.loads(arguments)
    assert set(a) == {'town', 'days'} and a['town'] in ('Oslo', 'Rome') and 1 <= a['days'] <= 9, a


def tools():
    for family in 'deepseek-v3.1', 'kimi-k2', 'glm-4.7-flash', 'deepseek-v4', 'qwen2.5':
        with marked('--format', family) as c:
            off = {'thinking': {'type': 'disabled'}, **SAME}
            how = dict(model='x', messages=ASK, tools=TOOLS, max_tokens=1500, seed=3, parallel_tool_calls=False, extra_body=off)
            r = c.chat.completions.create(**how, tool_choice='required')
            message = r.choices[0].message
            call, = message.tool_calls
            assert r.choices[0].finish_reason == 'tool_calls' and message.content is None and call.type == 'function', (family, r)
            right_call(call.function.name, call.function.arguments)
            assert call.id.startswith('functions.' if family == 'kimi-k2' else 'call_'), call.id
            named = c.chat.completions.create(**how, tool_choice={'type': 'function', 'function': {'name': 'get_tide'}})
            assert named.choices[0].message.tool_calls[0].function.name == 'get_tide'
            said, _, calls, finish, _ = chunks(c.chat.completions.create(**how, tool_choice='required', stream=True, stream_options={'include_usage': True}))
            assert said == '' and finish == 'tool_calls' and [x[1:] for x in calls] == [(call.function.name, call.function.arguments)]
            after = [*ASK, message.model_dump(exclude_unset=True), {'role': 'tool', 'tool_call_id': call.id, 'content': '7 degrees'}]
            r = c.chat.completions.create(model='x', messages=after, tools=TOOLS, tool_choice='none', max_tokens=4, extra_body=off)
            assert r.choices[0].message.tool_calls is None
            short = c.chat.completions.create(**{**how, 'max_tokens': 12}, tool_choice='required')
            assert short.choices[0].finish_reason == 'length'


def completions():
    with client(*CHAT) as c:
        how = dict(model='x', prompt='Once upon a time', max_tokens=12, temperature=0, extra_body=SAME)
        r = c.completions.create(**how, logprobs=2)
        assert r.id.startswith('cmpl-') and r.object == 'text_completion' and r.model == 'krill.remora'
        choice, = r.choices
        assert choice.finish_reason == 'length' and choice.index == 0
        usage(r.usage, 12)
        lp = choice.logprobs
        assert ''.join(lp.tokens) == choice.text and len(lp.tokens) == 12 == len(lp.token_logprobs) == len(lp.top_logprobs)
        assert [choice.text[at:at + len(t)] for at, t in zip(lp.text_offset, lp.tokens)] == lp.tokens
        assert all(top[t] == p and len(top) == 2 for t, p, top in zip(lp.tokens, lp.token_logprobs, lp.top_logprobs))
        parts = list(c.completions.create(**how, stream=True))
        assert ''.join(p.choices[0].text for p in parts) == choice.text and parts[-1].choices[0].finish_reason == 'length'
        assert all(p.object == 'text_completion' for p in parts)
        assert len(c.completions.create(model='x', prompt='Once').choices[0].text.split()) <= 16
        assert c.completions.create(model='x', prompt=[1, 2, 3], max_tokens=1).usage.prompt_tokens == 3
        assert c.completions.create(model='x', prompt=['Once'], max_tokens=1).usage.prompt_tokens == c.completions.create(model='x', prompt='Once', max_tokens=1).usage.prompt_tokens
        hole = c.completions.create(model='x', prompt='def add(a, b):\n    return ', suffix='\n\nprint(add(1, 2))\n', max_tokens=24, temperature=0)
        whole = c.completions.create(model='x', prompt='def add(a, b):\n    return ', max_tokens=24, temperature=0)
        assert hole.usage.prompt_tokens > whole.usage.prompt_tokens and hole.choices[0].text != whole.choices[0].text
        assert '｜' not in hole.choices[0].text
        word = c.completions.create(model='x', prompt='A', max_tokens=9, extra_body={'grammar': 'root ::= "yes" | "no"'}).choices[0]
        assert word.text in ('yes', 'no') and word.finish_reason == 'stop'
        number = c.completions.create(model='x', prompt='A', max_tokens=20, extra_body={'json_schema': {'type': 'integer', 'maximum': 99, 'minimum': 0}})
        assert 0 <= json.loads(number.choices[0].text) <= 99


def errors():
    with tempfile.NamedTemporaryFile('w') as f:
        f.write('secret')
        f.flush()
        with client(*CHAT, '--key-file', f.name, key='secret') as c:
            for what, field in (dict(temperature=7), 'temperature'), (dict(n=2), 'n'), (dict(stop=['']), 'stop'), (dict(top_logprobs=2), 'top_logprobs'):
                try:
                    c.chat.completions.create(model='x', messages=ASK, **what)
                    raise AssertionError(what)
                except openai.BadRequestError as e:
                    assert e.param == field and e.type == 'invalid_request_error' and field in e.message, e
            try:
                c.completions.create(model='x', prompt='a b' * 4000)
                raise AssertionError('too long')
            except openai.BadRequestError as e:
                assert e.code == 'context_length_exceeded'
            try:
                c.with_options(api_key='wrong').models.list()
                raise AssertionError('wrong key')
            except openai.AuthenticationError as e:
                assert e.code == 'invalid_api_key'


def many_at_once():
    async def one(c, k):
        stream = await c.chat.completions.create(model='x', messages=[{'role': 'user', 'content': f'Count to {k}'}], max_tokens=8, stream=True)
        if k % 4 == 0:  # some leave in the middle
            await stream.__anext__()
            await stream.close()
            return None
        return [x async for x in stream][-1].choices[0].finish_reason

    async def all_of_them(url):
        async with openai.AsyncOpenAI(base_url=url, api_key='none', max_retries=0) as c:
            return await asyncio.gather(*(one(c, k) for k in range(40)))

    with serving(PROGRAM, MODEL, *CHAT) as s:
        ends = asyncio.run(all_of_them(s.url + '/v1'))
        assert [e for k, e in enumerate(ends) if k % 4] == [e for e in ends if e] and set(ends) <= {None, 'length', 'stop'}
        s.until(lambda h: h['running'] == h['waiting'] == 0)


run([models, chat_whole, chat_streamed, reasoning, stop_and_seed, json_answers, tools, completions, errors, many_at_once])
