# SPDX-License-Identifier: Apache-2.0
"""The server of examples/server as anybody on the network sees it: who may ask, limits, clients that go away, its end.

    http_test.py PROGRAM MODEL
"""
import json
import os
import subprocess
import sys
import tempfile
import time

from serving import JSON, Serving, events, run, serving

PROGRAM, MODEL = sys.argv[1:3]
CHAT = ('--format', 'deepseek-v3.1')
TEXT, TALK = '/v1/completions', '/v1/chat/completions'
ONCE = {'prompt': 'Once upon a time', 'max_tokens': 8, 'temperature': 0}
ENDLESS = {'prompt': 'Once upon a time', 'max_tokens': 100000, 'seed': 1, 'logit_bias': {}}


def refused(s, http, body, path=TEXT, headers=JSON, param=None):
    status, got = s.post(path, body, headers)
    assert status == http, (status, got)
    e = got['error']
    assert set(e) == {'message', 'type', 'param', 'code'} and e['message'], e
    assert e['type'] == ('invalid_request_error' if http < 500 else 'server_error'), e
    assert param is None or e['param'] == param, e
    return e


def who_may_ask():
    with serving(PROGRAM, MODEL, *CHAT) as s:
        refused(s, 415, ONCE, headers={'Content-Type': 'text/plain'})
        refused(s, 415, ONCE, headers={})
        refused(s, 403, ONCE, headers={**JSON, 'Host': 'evil.example:%d' % s.port})
        assert s.post(TEXT, ONCE, {**JSON, 'Host': 'localhost:%d' % s.port})[0] == 200
        assert s.post(TEXT, ONCE, {'Content-Type': 'application/json; charset=utf-8', 'Host': '[::1]'})[0] == 200
        for path in '/../etc/passwd', '/v1', '/v1/models/..%2f..', '/page.html', '/v1/chat/completions/':
            assert s.ask('GET', path)[0] == 404, path
        assert s.ask('GET', TEXT)[0] == 405 and s.ask('DELETE', TALK)[0] == 405 and s.ask('POST', '/', b'{}')[0] == 404


def keys():
    with tempfile.NamedTemporaryFile('w', suffix='.key') as f:
        f.write('a secret\n')
        f.flush()
        with serving(PROGRAM, MODEL, *CHAT, '--key-file', f.name) as s:
            for wrong in {}, {'Authorization': 'Bearer a secre'}, {'Authorization': 'Bearer a secrex'}, {'Authorization': 'Bearer a secret '[:-1] + 's'}, {'Authorization': 'a secret'}:
                assert refused(s, 401, ONCE, headers={**JSON, **wrong})['code'] == 'invalid_api_key'
                assert s.ask('GET', '/v1/models', headers=wrong)[0] == 401
            right = {'Authorization': 'Bearer a secret'}
            assert s.post(TEXT, ONCE, {**JSON, **right})[0] == 200
            assert s.ask('GET', '/v1/models', headers=right)[0] == 200
            assert s.ask('GET', '/')[0] == 200  # the page, which asks for the key
    said = subprocess.run([PROGRAM, '-m', MODEL, '--host', '0.0.0.0', '--port', '0'], capture_output=True, text=True)
    assert said.returncode == 2 and '--key-file' in said.stderr, said


def requests_that_are_wrong():
    many = [{'role': 'user', 'content': 'a'}]
    with serving(PROGRAM, MODEL, *CHAT, '--body', '60000') as s:
        refused(s, 400, b'{"prompt": ')
        refused(s, 400, b'')
        refused(s, 400, b'[]')
        refused(s, 400, b'{"prompt":' + b'[' * 9999 + b']' * 9999 + b'}')
        refused(s, 413, b' ' * 60001)
        assert s.ask('POST', TEXT, iter([b' ' * 30000] * 3), JSON)[0] == 413
        for field, value in (('temperature', 3), ('temperature', '1'), ('top_p', -1), ('stop', ['']), ('stop', ['a'] * 17), ('n', 2),
                             ('seed', 1.5), ('max_tokens', 0), ('logprobs', 21), ('logit_bias', {'x': 1}), ('stream', 'yes'),
                             ('echo', True), ('best_of', 3), ('stream_options', 1), ('top_k', 'a'), ('prompt', 7), ('prompt', [1, 'a']),
                             ('prompt', [99999]), ('prompt', [-1]), ('grammar', 'root ::= ('), ('logit_bias', {'99999': 1})):
            refused(s, 400, {**ONCE, field: value}, param=field)
        refused(s, 400, {'prompt': [1, 2], 'suffix': 'a'}, param='prompt')
        assert refused(s, 400, {'prompt': 'a b' * 3000}, param='prompt')['code'] == 'context_length_exceeded'
        for body in {}, {'messages': []}, {'messages': 'a'}, {'messages': many, 'top_logprobs': 3}, {'messages': many, 'logprobs': 5}:
            refused(s, 400, body, TALK)
        for field, value in ('grammar', 'root ::= "a"'), ('json_schema', {'type': 'integer'}), ('reasoning_format', 'none'):
            refused(s, 400, {'messages': many, field: value}, TALK, param=field)
        refused(s, 400, {'messages': [{'role': 'nobody', 'content': 'a'}]}, TALK, param='messages')
        assert s.post(TEXT, ONCE)[0] == 200
        assert s.health()['jobs'] == 1


def nothing_is_asked_for():
    with serving(PROGRAM, MODEL, *CHAT) as s:
        plain, empty = (s.post(TEXT, {**ONCE, **more, 'cache_prompt': False})[1] for more in ({}, {'suffix': ''}))
        assert plain['choices'] == empty['choices'] and plain['usage'] == empty['usage'], (plain, empty)
        talk = {'messages': [{'role': 'user', 'content': 'a'}], 'max_tokens': 1}
        assert s.post(TALK, {**talk, 'grammar': '', 'json_schema': None, 'reasoning_format': 'auto'})[0] == 200


def sampling_has_its_effect():
    same = {'prompt': 'Once upon a time', 'max_tokens': 40, 'temperature': 0, 'logprobs': 20, 'cache_prompt': False}
    with serving(PROGRAM, MODEL, *CHAT) as s:
        def say(**more):
            return s.post(TEXT, {**same, **more})[1]['choices'][0]
        greedy, hot = say(), {'temperature': 2, 'seed': 1}
        assert say(**hot)['text'] != greedy['text']
        for bound in {'top_k': 1}, {'top_p': 0}, {'top_p': 1e-6}, {'min_p': 1}:
            assert say(**hot, **bound)['text'] == greedy['text'], bound
        for field, most in ('frequency_penalty', 99), ('presence_penalty', 1):
            for value in 2, -2:
                got = say(**{field: value})
                tokens, rows = got['logprobs']['tokens'], got['logprobs']['top_logprobs']
                assert tokens != greedy['logprobs']['tokens'], field
                for k, row in enumerate(rows):  # what was picked is the best one behind the penalty
                    best = max(row, key=lambda t: row[t] - value * min(tokens[:k].count(t), most))
                    assert tokens[k] == best, (field, value, k, tokens[k], best)
        first, low, high = say(max_tokens=1)['text'], 0, 512
        def chosen_of(low, high):
            return say(max_tokens=1, logit_bias={str(t): 100 for t in range(low, high)})['text']
        while high - low > 1:  # the token that greedy begins with, found by what a bias for others does
            assert chosen_of(low, high) == first
            middle = (low + high) // 2
            low, high = (low, middle) if chosen_of(low, middle) == first else (middle, high)
        without = say(logit_bias={str(low): -100})['logprobs']['tokens']
        assert first in greedy['logprobs']['tokens'] and first not in without, (first, without)
        assert say(max_tokens=4, logit_bias={str(low): 100})['logprobs']['tokens'] == [first] * 4


def same_text_streamed():
    with serving(PROGRAM, MODEL, *CHAT) as s:
        for stop in None, 'named', 'girl named', ['zzz', ' l']:
            body = {**ONCE, 'max_tokens': 24, 'stop': stop, 'logprobs': 1, 'cache_prompt': False}
            whole = s.post(TEXT, body)[1]
            status, got = s.ask('POST', TEXT, {**body, 'stream': True, 'stream_options': {'include_usage': True}})
            parts = events(got)
            assert status == 200 and parts[-1]['choices'] == [] and parts[-1]['usage'] == whole['usage']
            assert all(p['usage'] is None for p in parts[:-1])
            choices = [p['choices'][0] for p in parts[:-1]]
            choice = whole['choices'][0]
            assert ''.join(c['text'] for c in choices) == choice['text']
            assert stop is None or not any(x in choice['text'] for x in ([stop] if isinstance(stop, str) else stop))
            assert choices[-1]['finish_reason'] == choice['finish_reason'] == ('stop' if stop else 'length')
            for name in 'tokens', 'token_logprobs', 'text_offset':
                assert [x for c in choices if c['logprobs'] for x in c['logprobs'][name]] == choice['logprobs'][name], name
            assert ''.join(choice['logprobs']['tokens']).startswith(choice['text'])  # a stop string may begin in a token


def what_was_read_is_kept():
    body = {**ONCE, 'prompt': 'Once upon a time there was a little girl who lived in a house by the sea and'}
    with serving(PROGRAM, MODEL, *CHAT, '--parallel', '2') as s:
        first, second = s.post(TEXT, body)[1], s.post(TEXT, body)[1]
        fresh = s.post(TEXT, {**body, 'cache_prompt': False})[1]
        n = first['usage']['prompt_tokens']
        kept = [x['usage']['prompt_tokens_details']['cached_tokens'] for x in (first, second, fresh)]
        assert kept == [0, n - 1, 0], kept
        assert first['choices'] == second['choices'] == fresh['choices']


def many_together_say_what_each_says_alone():
    prompts = ['Once upon a time', 'The old man', 'def add(a, b):', 'In the morning the sea', 'A cat', 'One day the king said']
    bodies = [{'prompt': p, 'max_tokens': 12, 'seed': i, 'stream': True, 'cache_prompt': False} for i, p in enumerate(prompts)]
    with serving(PROGRAM, MODEL, '--parallel', '4') as s:
        def texts(answers):
            return [''.join(e['choices'][0]['text'] for e in events(a)) for a in answers]
        alone = texts(s.ask('POST', TEXT, b)[1] for b in bodies)
        connections = [s.connect() for _ in bodies]
        for c, b in zip(connections, bodies):
            c.request('POST', TEXT, json.dumps(b), JSON)
        assert texts(c.getresponse().read() for c in connections) == alone
        for c in connections:
            c.close()


def a_large_request_holds_up_nobody():
    """A stream goes on, and another request is answered, while the tokens of 4 MB of text are made."""
    with serving(PROGRAM, MODEL, *CHAT) as s:
        stream, large = s.connect(), s.connect()
        stream.request('POST', TEXT, json.dumps({**ENDLESS, 'logit_bias': {'1': -100}, 'stream': True}), JSON)
        lines = stream.getresponse()
        large.request('POST', TEXT, json.dumps({'prompt': 'The cat went to the sea. ' * 160000, 'stream': True}), JSON)
        s.until(lambda h: h['unmade'] == 1)
        made, seen = s.health()['tokens'], 0
        while seen <= made + 3:  # events of tokens that were made since
            seen += lines.readline().startswith(b'data: ')
        assert s.post(TEXT, ONCE)[0] == 200
        assert s.health()['unmade'] == 1, 'the large request was made before the others went on'
        answer = large.getresponse()
        assert answer.status == 400 and json.loads(answer.read())['error']['code'] == 'context_length_exceeded'
        stream.close()
        large.close()


def drafts_change_no_answer():
    prompts = ['one two three four one two three four one two', 'A cat and a dog. A cat and a dog. A cat', 'Once upon a time there was a boy',
               'red, red, red, red, red, red']
    bodies = [{'prompt': p, 'max_tokens': 40, 'temperature': i % 2 * 0.3, 'seed': i, 'logprobs': 2, 'stream': i > 1, 'cache_prompt': False}
              for i, p in enumerate(prompts)]
    got, steps = {}, {}
    for said in 'off', 'auto', '6':
        with serving(PROGRAM, MODEL, '--parallel', '3', '--draft', said) as s:
            connections = [s.connect() for _ in bodies]
            for c, b in zip(connections, bodies):
                c.request('POST', TEXT, json.dumps(b), JSON)
            answers = [c.getresponse().read() for c in connections]
            got[said] = [[e['choices'] for e in (events(a) if b['stream'] else [json.loads(a)])] for a, b in zip(answers, bodies)]
            steps[said] = s.health()['steps']
            for c in connections:
                c.close()
    assert got['off'] == got['auto'] == got['6']
    assert steps['6'] < steps['off'], steps
    assert subprocess.run([PROGRAM, '-m', MODEL, '--draft', '31'], stderr=subprocess.DEVNULL, check=False).returncode == 2


def clients_that_go_away():
    with serving(PROGRAM, MODEL, *CHAT, '--parallel', '1', '--queue', '2') as s:
        running = s.socket(TEXT, {**ENDLESS, 'stream': True})
        s.until(lambda h: h['running'] == 1)
        waits = [s.socket(TEXT, ENDLESS), s.socket(TEXT, {**ENDLESS, 'stream': True})]
        s.until(lambda h: h['waiting'] == 2)
        assert refused(s, 503, ONCE)['code'] == 'queue_full'
        for w in waits:
            w.close()
        s.until(lambda h: h['waiting'] == 0)
        running.close()
        s.until(lambda h: h['running'] == 0)
        silent = s.socket(TEXT, ENDLESS)  # it is not streamed, so nothing is written that could fail
        s.until(lambda h: h['running'] == 1)
        silent.close()
        s.until(lambda h: h['running'] == 0)
        assert s.health()['gone'] >= 3, 'nobody looked at connections that sleep'
        assert s.post(TEXT, ONCE)[0] == 200


def clients_that_do_not_read():
    with serving(PROGRAM, MODEL, *CHAT, '--parallel', '1') as s:
        talk = {'messages': [{'role': 'user', 'content': 'Tell me of a cat.'}], 'logprobs': True, 'top_logprobs': 20, 'logit_bias': {'1': -100}}
        silent = s.socket(TALK, {**talk, 'seed': 1, 'stream': True}, room=4096)
        s.until(lambda h: h['running'] == 1)
        waits = s.connect()
        waits.request('POST', TEXT, json.dumps(ONCE), JSON)
        s.until(lambda h: h['waiting'] == 1)
        tokens = -1
        while tokens != s.health()['tokens']:  # as long as the answer that nobody reads goes on
            tokens, before, began = s.health()['tokens'], s.cpu(), time.monotonic()
            time.sleep(1)
            share = (s.cpu() - before) / (time.monotonic() - began)
        n = s.health()
        assert (n['running'], n['waiting'], n['finished']) == (1, 1, 0), n
        assert share < 0.1, f'{share} of a processor is used for answers that wait for their clients'
        silent.close()
        assert waits.getresponse().status == 200
        waits.close()


def it_ends_when_it_is_told():
    s = Serving(PROGRAM, MODEL, *CHAT, '--grace', '3600')
    c = s.connect()
    c.request('POST', TEXT, json.dumps({**ONCE, 'max_tokens': 200, 'stream': True}), JSON)
    s.until(lambda h: h['running'] == 1)
    s.signal()  # what is under way may end
    assert events(c.getresponse().read())[-1]['choices'][0]['finish_reason'] in ('length', 'stop')
    assert s.end() == (0, '')
    s = Serving(PROGRAM, MODEL, *CHAT, '--grace', '0')
    c, whole = s.connect(), s.connect()
    c.request('POST', TEXT, json.dumps({**ENDLESS, 'stream': True}), JSON)
    whole.request('POST', TEXT, json.dumps({**ENDLESS, 'prompt': 'A'}), JSON)
    s.until(lambda h: h['running'] == 2)
    s.signal()  # what is under way is told
    last = c.getresponse().read().decode().split('\n\n')[-2]
    assert json.loads(last.removeprefix('data: '))['error']['type'] == 'server_error', last
    assert whole.getresponse().status == 503
    assert s.end() == (0, '')


os.environ.pop('http_proxy', None)
run([who_may_ask, keys, requests_that_are_wrong, nothing_is_asked_for, sampling_has_its_effect, same_text_streamed, what_was_read_is_kept, many_together_say_what_each_says_alone,
     drafts_change_no_answer, a_large_request_holds_up_nobody, clients_that_go_away, clients_that_do_not_read, it_ends_when_it_is_told])
